/* SPDX-License-Identifier: MIT
 * Counting in base 256: a level whose tile is full hands its root to the level above and begins
 * anew. */
#include "trail/trail_edge.h"

/* How many hashes of its last tile a level has. */
static size_t count_of(uint64_t size, unsigned level)
{
    return (size_t)(size >> (TRAIL_TILE_BITS * level)) % TRAIL_TILE_HASHES;
}

/* How many tiles of that level are full. */
static uint64_t full_of(uint64_t size, unsigned level)
{
    unsigned bits = TRAIL_TILE_BITS * (level + 1);

    return bits >= 64 ? 0 : size >> bits;
}

/* The whole subtrees are those of the bits of each level's count, the highest level first. */
static void roots_make(struct trail_edge *edge)
{
    size_t roots = 0;

    for (unsigned level = TRAIL_TILE_LEVELS; level-- > 0;) {
        size_t count = count_of(edge->tree.size, level);
        size_t at = 0;

        for (size_t part = TRAIL_TILE_HASHES / 2; part > 0; part /= 2) {
            if ((count & part) == 0)
                continue;
            trail_hashes_root(&edge->hashes[level][at], part, &edge->tree.roots[roots++]);
            at += part;
        }
    }
    PC_ASSERT(roots == trail_tree_roots(edge->tree.size));
}

enum err trail_edge_load(struct trail_nodes *nodes, uint64_t size, struct trail_edge *ret)
{
    ret->tree.size = size;
    for (unsigned level = 0; level < TRAIL_TILE_LEVELS; level++) {
        size_t count = count_of(size, level);
        enum err err = ERR_OK;

        if (count > 0)
            err = trail_tile_read(nodes, level, full_of(size, level), count, ret->hashes[level]);
        if (err)
            return err;
    }
    roots_make(ret);
    return ERR_OK;
}

/* The root of 256 hashes of the level below, or a leaf; with it the level's own tile may be full.
 */
static void hash_put(struct trail_edge *edge, unsigned level, const struct trail_hash *hash,
                     trail_tile_fn *full, void *context)
{
    size_t count = count_of(edge->tree.size, level);

    edge->hashes[level][count] = *hash;
    if (count + 1 == TRAIL_TILE_HASHES)
        full(context, level, full_of(edge->tree.size, level), edge->hashes[level],
             TRAIL_TILE_HASHES);
}

/* As trail_tree_add does it: each eighth time that two neighbours become one, that one is the root
 * of a tile. */
void trail_edge_add(struct trail_edge *edge, const struct trail_hash *leaf, trail_tile_fn *full,
                    void *context)
{
    struct trail_tree *tree = &edge->tree;
    size_t count = trail_tree_roots(tree->size);
    struct trail_hash carried = *leaf;
    unsigned height = 0;

    PC_ASSERT(tree->size < INT64_MAX);
    hash_put(edge, 0, leaf, full, context);
    for (uint64_t rest = tree->size; (rest & 1) != 0; rest >>= 1) {
        trail_hash_node(&tree->roots[--count], &carried, &carried);
        if (++height % TRAIL_TILE_BITS == 0 && height / TRAIL_TILE_BITS < TRAIL_TILE_LEVELS)
            hash_put(edge, height / TRAIL_TILE_BITS, &carried, full, context);
    }
    tree->roots[count] = carried;
    tree->size++;
}

void trail_edge_partial(const struct trail_edge *edge, uint64_t old_size, trail_tile_fn *grown,
                        void *context)
{
    uint64_t size = edge->tree.size;

    for (unsigned level = 1; level < TRAIL_TILE_LEVELS; level++) {
        size_t count = count_of(size, level);

        if (count > 0 && size >> (TRAIL_TILE_BITS * level) != old_size >> (TRAIL_TILE_BITS * level))
            grown(context, level, full_of(size, level), edge->hashes[level], count);
    }
}
