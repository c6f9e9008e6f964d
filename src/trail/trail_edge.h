/* SPDX-License-Identifier: MIT
 * The right edge of the tree as it grows: its whole subtrees, and the last tile of each level as
 * far as it is filled. Whoever adds leaves is handed each tile that becomes full.
 *
 * Threads: one at a time.    Memory: a plain value of 70 KB; copy it to be able to go back.
 * Source:  C2SP tlog-tiles. */
#ifndef PC_TRAIL_TRAIL_EDGE_H
#define PC_TRAIL_TRAIL_EDGE_H

#include "trail/trail_tiles.h"

struct trail_edge {
    struct trail_tree tree;
    struct trail_hash hashes[TRAIL_TILE_LEVELS][TRAIL_TILE_HASHES];
};

/* Is handed a tile; its hashes are lent. */
typedef void trail_tile_fn(void *context, unsigned level, uint64_t number,
                           const struct trail_hash *hashes, size_t count);

/* The edge of the tree of `size` leaves, as the log has them. */
PC_CHECKED enum err trail_edge_load(struct trail_nodes *nodes, uint64_t size,
                                    struct trail_edge *ret);

void trail_edge_add(struct trail_edge *edge, const struct trail_hash *leaf, trail_tile_fn *full,
                    void *context);

/* Hands out the last tiles of the levels above the leaves that have grown since `old_size`. */
void trail_edge_partial(const struct trail_edge *edge, uint64_t old_size, trail_tile_fn *grown,
                        void *context);

#endif
