/* SPDX-License-Identifier: MIT
 * The tree's inner nodes, kept as tiles of 256 hashes (C2SP tlog-tiles), and out of them the whole
 * subtrees that proofs are made of.
 *
 * A tile of level 0 has the leaves' own hashes, one of level n + 1 the roots of 256 tiles of level
 * n. Of level 0 only full tiles are kept, since the leaves are in the rows of the events; of higher
 * levels also the last one, which grows. Tiles are made from what is committed and are only a
 * shorter way: what is not there yet is worked out from below.
 *
 * Threads: inside a store job.    Memory: the arena's.    Units: leaves and tiles count from 0.
 * Errors:  the store's; ERR_STORE_CORRUPT when leaves are missing or a tile is cut.
 * Source:  C2SP tlog-tiles. */
#ifndef PC_TRAIL_TRAIL_TILES_H
#define PC_TRAIL_TRAIL_TILES_H

#include "base/arena.h"
#include "store/store.h"
#include "trail/trail_tree.h"

enum {
    TRAIL_TILE_BITS = 8,
    TRAIL_TILE_HASHES = 1 << TRAIL_TILE_BITS,
    TRAIL_TILE_BYTES = TRAIL_TILE_HASHES * TRAIL_HASH_BYTES,
    TRAIL_TILE_LEVELS = 8, /* 256^8 leaves are more than there can be */
};

struct trail_nodes;

/* A context for trail_node below, for one job. It keeps the tiles it has read. */
PC_CHECKED enum err trail_nodes_on(struct store_conn *conn, struct arena *arena,
                                   struct trail_nodes **ret);

/* A trail_node_fn over tiles and rows: for trail_proof_inclusion and its sisters. The caller keeps
 * to sizes that are committed. */
enum err trail_node(void *context, unsigned level, uint64_t number, struct trail_hash *ret);

/* The first `count` hashes of a tile, wherever they have to come from. */
PC_CHECKED enum err trail_tile_read(struct trail_nodes *nodes, unsigned level, uint64_t number,
                                    size_t count, struct trail_hash *ret);

/* Keeps a tile; one that is there and holds as much stays as it is. */
PC_CHECKED enum err trail_tile_write(struct store_conn *conn, unsigned level, uint64_t number,
                                     const struct trail_hash *hashes, size_t count);

/* The root over a power of two of hashes. */
void trail_hashes_root(const struct trail_hash *hashes, size_t count, struct trail_hash *ret);

#endif
