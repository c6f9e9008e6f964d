/* SPDX-License-Identifier: MIT
 * The Merkle tree of RFC 6962: hashes, the tree as it grows, proofs and their checks. Pure: where
 * hashes are kept is the caller's business.
 *
 * Threads: any.    Memory: the caller's.    Units: leaves count from 0.
 * Source:  RFC 6962, 2.1; RFC 9162, 2.1.3 and 2.1.4 (how proofs are checked). */
#ifndef PC_TRAIL_TRAIL_TREE_H
#define PC_TRAIL_TRAIL_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

enum { TRAIL_HASH_BYTES = 32, TRAIL_LEVELS_MAX = 63, TRAIL_PROOF_MAX = 64 };

struct trail_hash {
    unsigned char bytes[TRAIL_HASH_BYTES];
};

/* SHA-256(0x00 || data), SHA-256(0x01 || left || right), SHA-256() of nothing. */
void trail_hash_leaf(struct span data, struct trail_hash *ret);
void trail_hash_node(const struct trail_hash *left, const struct trail_hash *right,
                     struct trail_hash *ret);
void trail_hash_empty(struct trail_hash *ret);

/* All that is needed to go on: the roots of the whole subtrees, the largest (leftmost) first. There
 * are as many as `size` has bits set. */
struct trail_tree {
    uint64_t size;
    struct trail_hash roots[TRAIL_LEVELS_MAX];
};
size_t trail_tree_roots(uint64_t size);
void trail_tree_add(struct trail_tree *tree, const struct trail_hash *leaf);
void trail_tree_root(const struct trail_tree *tree, struct trail_hash *ret);

/* The root of the whole subtree over the leaves [number << level, (number + 1) << level). */
typedef enum err trail_node_fn(void *context, unsigned level, uint64_t number,
                               struct trail_hash *ret);

struct trail_proof {
    size_t count;
    struct trail_hash path[TRAIL_PROOF_MAX];
};

/* ERR_BAD_REQUEST where index, sizes do not fit each other; else what `node` returns. */
PC_CHECKED enum err trail_proof_inclusion(uint64_t index, uint64_t size, trail_node_fn *node,
                                          void *context, struct trail_proof *ret);
PC_CHECKED enum err trail_proof_consistency(uint64_t old_size, uint64_t size, trail_node_fn *node,
                                            void *context, struct trail_proof *ret);
PC_CHECKED enum err trail_root_at(uint64_t size, trail_node_fn *node, void *context,
                                  struct trail_hash *ret);

PC_CHECKED bool trail_check_inclusion(const struct trail_hash *leaf, uint64_t index, uint64_t size,
                                      const struct trail_proof *proof,
                                      const struct trail_hash *root);
PC_CHECKED bool trail_check_consistency(uint64_t old_size, const struct trail_hash *old_root,
                                        uint64_t size, const struct trail_hash *root,
                                        const struct trail_proof *proof);

#endif
