/* SPDX-License-Identifier: MIT
 * The Merkle tree of RFC 6962, free of any store: hashing, the tree as it grows by one leaf at a
 * time, proofs made from whole subtrees that a callback hands out, and their checks as RFC 9162
 * lays them down.
 *
 * Everything is made of one fact: the leaves [from, to), where `from` is a multiple of the smallest
 * power of two that is no less than to - from, are the whole subtrees of the bits of to - from, the
 * largest first. A proof walks from the whole tree down to what it is about, keeps the range beside
 * each step, and hashes those ranges from the bottom up. */
#include "trail/trail_tree.h"

#include <string.h>

#include "crypto/digest.h"

/* Leaves [from, to). */
struct range {
    uint64_t from, to;
};

void trail_hash_leaf(struct span data, struct trail_hash *ret)
{
    const struct span pieces[] = {{.ptr = "\0", .len = 1}, data};

    crypto_sha256_pieces(pieces, PC_COUNT(pieces), ret->bytes);
}

void trail_hash_node(const struct trail_hash *left, const struct trail_hash *right,
                     struct trail_hash *ret)
{
    unsigned char data[1 + 2 * TRAIL_HASH_BYTES];

    data[0] = 1;
    memcpy(data + 1, left->bytes, TRAIL_HASH_BYTES);
    memcpy(data + 1 + TRAIL_HASH_BYTES, right->bytes, TRAIL_HASH_BYTES);
    crypto_sha256(span_make(data, sizeof(data)), ret->bytes);
}

void trail_hash_empty(struct trail_hash *ret)
{
    crypto_sha256((struct span){0}, ret->bytes);
}

/* ---- The tree as it grows ------------------------------------------------------------------- */

size_t trail_tree_roots(uint64_t size)
{
    return (size_t)__builtin_popcountll(size);
}

/* Two neighbours of one size become the next larger, as in counting. */
void trail_tree_add(struct trail_tree *tree, const struct trail_hash *leaf)
{
    size_t count = trail_tree_roots(tree->size);
    struct trail_hash carried = *leaf;

    PC_ASSERT(tree->size < INT64_MAX);
    for (uint64_t rest = tree->size; (rest & 1) != 0; rest >>= 1)
        trail_hash_node(&tree->roots[--count], &carried, &carried);
    tree->roots[count] = carried;
    tree->size++;
}

void trail_tree_root(const struct trail_tree *tree, struct trail_hash *ret)
{
    size_t count = trail_tree_roots(tree->size);
    struct trail_hash root;

    if (count == 0) {
        trail_hash_empty(ret);
        return;
    }
    root = tree->roots[--count];
    while (count > 0)
        trail_hash_node(&tree->roots[--count], &root, &root);
    *ret = root;
}

/* ---- Making proofs -------------------------------------------------------------------------- */

/* The largest power of two below `count`, which is at least 2. */
static uint64_t split_at(uint64_t count)
{
    PC_ASSERT(count >= 2);
    return UINT64_C(1) << (63 - __builtin_clzll(count - 1));
}

/* Whole subtrees from right to left, the small ones first. */
static enum err range_root(struct range range, trail_node_fn *node, void *context,
                           struct trail_hash *ret)
{
    uint64_t end = range.to;
    struct trail_hash root;
    bool begun = false;

    PC_ASSERT(range.from < range.to);
    for (uint64_t rest = range.to - range.from; rest != 0; rest &= rest - 1) {
        unsigned level = (unsigned)__builtin_ctzll(rest);
        struct trail_hash part;
        enum err err;

        end -= UINT64_C(1) << level;
        err = node(context, level, end >> level, &part);
        if (err)
            return err;
        if (begun)
            trail_hash_node(&part, &root, &root);
        else
            root = part;
        begun = true;
    }
    *ret = root;
    return ERR_OK;
}

/* The ranges were found from the top down; a proof has them from the bottom up. */
static enum err ranges_prove(const struct range *ranges, size_t count, trail_node_fn *node,
                             void *context, struct trail_proof *ret)
{
    struct trail_proof proof = {.count = count};

    PC_ASSERT(count <= TRAIL_PROOF_MAX);
    for (size_t i = 0; i < count; i++) {
        enum err err = range_root(ranges[count - 1 - i], node, context, &proof.path[i]);

        if (err)
            return err;
    }
    *ret = proof;
    return ERR_OK;
}

/* Goes down towards the half that holds what is looked for; returns the other one. */
static struct range half_left(struct range *range, bool to_the_right)
{
    uint64_t middle = range->from + split_at(range->to - range->from);
    struct range left = {range->from, middle};
    struct range right = {middle, range->to};

    *range = to_the_right ? right : left;
    return to_the_right ? left : right;
}

/* RFC 6962, 2.1.1: PATH(m, D[n]) */
enum err trail_proof_inclusion(uint64_t index, uint64_t size, trail_node_fn *node, void *context,
                               struct trail_proof *ret)
{
    struct range ranges[TRAIL_PROOF_MAX];
    struct range range = {0, size};
    size_t count = 0;

    if (size > INT64_MAX || index >= size)
        return ERR_BAD_REQUEST;
    while (range.to - range.from > 1) {
        uint64_t middle = range.from + split_at(range.to - range.from);

        ranges[count++] = half_left(&range, index >= middle);
    }
    return ranges_prove(ranges, count, node, context, ret);
}

/* RFC 6962, 2.1.2: PROOF(m, D[n]). The walk ends at the subtree that the old tree ends with; its
 * root is left out where it is the old tree itself, which the checker has. */
enum err trail_proof_consistency(uint64_t old_size, uint64_t size, trail_node_fn *node,
                                 void *context, struct trail_proof *ret)
{
    struct range ranges[TRAIL_PROOF_MAX];
    struct range range = {0, size};
    size_t count = 0;

    if (size > INT64_MAX || old_size > size)
        return ERR_BAD_REQUEST;
    if (old_size == 0) {
        ret->count = 0;
        return ERR_OK;
    }
    while (range.to != old_size) {
        uint64_t middle = range.from + split_at(range.to - range.from);

        ranges[count++] = half_left(&range, old_size > middle);
    }
    if (range.from != 0)
        ranges[count++] = range;
    return ranges_prove(ranges, count, node, context, ret);
}

enum err trail_root_at(uint64_t size, trail_node_fn *node, void *context, struct trail_hash *ret)
{
    if (size > INT64_MAX)
        return ERR_BAD_REQUEST;
    if (size == 0) {
        trail_hash_empty(ret);
        return ERR_OK;
    }
    return range_root((struct range){0, size}, node, context, ret);
}

/* ---- Checking proofs ------------------------------------------------------------------------ */

/* Where a checker is: the number of its node on this level, and that of the last node. */
struct climb {
    uint64_t here, last;
};

static void climb_up(struct climb *climb)
{
    climb->here >>= 1;
    climb->last >>= 1;
}

/* True when the next hash stands to the left. A node at the right edge may have no sibling on some
 * levels; those are skipped, as RFC 9162 does in its step "until LSB(fn) is set". */
static bool climb_from_right(struct climb *climb)
{
    if ((climb->here & 1) == 0 && climb->here != climb->last)
        return false;
    while ((climb->here & 1) == 0 && climb->here != 0)
        climb_up(climb);
    return true;
}

static bool hash_equal(const struct trail_hash *a, const struct trail_hash *b)
{
    return memcmp(a->bytes, b->bytes, TRAIL_HASH_BYTES) == 0;
}

/* RFC 9162, 2.1.3.2 */
bool trail_check_inclusion(const struct trail_hash *leaf, uint64_t index, uint64_t size,
                           const struct trail_proof *proof, const struct trail_hash *root)
{
    struct climb climb = {index, size - 1};
    struct trail_hash hash = *leaf;

    if (size > INT64_MAX || index >= size || proof->count > TRAIL_PROOF_MAX)
        return false;
    for (size_t i = 0; i < proof->count; i++) {
        if (climb.last == 0)
            return false;
        if (climb_from_right(&climb))
            trail_hash_node(&proof->path[i], &hash, &hash);
        else
            trail_hash_node(&hash, &proof->path[i], &hash);
        climb_up(&climb);
    }
    return climb.last == 0 && hash_equal(&hash, root);
}

/* RFC 9162, 2.1.4.2, from step 3 on: `first` is where the path begins. */
static bool consistency_climb(struct climb climb, const struct trail_hash *first,
                              const struct trail_hash *path, size_t count,
                              const struct trail_hash *old_root, const struct trail_hash *root)
{
    struct trail_hash old_hash = *first;
    struct trail_hash hash = *first;

    for (size_t i = 0; i < count; i++) {
        if (climb.last == 0)
            return false;
        if (climb_from_right(&climb)) {
            trail_hash_node(&path[i], &old_hash, &old_hash);
            trail_hash_node(&path[i], &hash, &hash);
        } else {
            trail_hash_node(&hash, &path[i], &hash);
        }
        climb_up(&climb);
    }
    return climb.last == 0 && hash_equal(&old_hash, old_root) && hash_equal(&hash, root);
}

bool trail_check_consistency(uint64_t old_size, const struct trail_hash *old_root, uint64_t size,
                             const struct trail_hash *root, const struct trail_proof *proof)
{
    struct climb climb = {old_size - 1, size - 1};
    bool whole = (old_size & (old_size - 1)) == 0; /* a power of two: its root is in the new tree */
    struct trail_hash empty;

    if (size > INT64_MAX || old_size > size || proof->count > TRAIL_PROOF_MAX)
        return false;
    if (old_size == size)
        return proof->count == 0 && hash_equal(old_root, root);
    if (old_size == 0) {
        trail_hash_empty(&empty);
        return proof->count == 0 && hash_equal(old_root, &empty);
    }
    if (proof->count == 0)
        return false;
    while ((climb.here & 1) != 0)
        climb_up(&climb);
    if (whole)
        return consistency_climb(climb, old_root, proof->path, proof->count, old_root, root);
    return consistency_climb(climb, &proof->path[0], proof->path + 1, proof->count - 1, old_root,
                             root);
}
