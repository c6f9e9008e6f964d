/* SPDX-License-Identifier: MIT
 * The tree against the vectors that the implementations of RFC 6962 share, and against an oracle
 * that is nothing but the RFC's recursive definitions, for every size and index up to
 * SIZE_MAX_HERE. Every changed byte, lost or added hash and shifted number must make a proof
 * worthless. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/sbuf.h"
#include "trail/trail_edge.h"

enum { LEAVES = 132 };

static struct trail_hash leaves[LEAVES];

/* ---- The oracle: RFC 6962, 2.1, word by word ------------------------------------------------ */

static size_t power_below(size_t n)
{
    size_t k = 1;

    while (k * 2 < n)
        k *= 2;
    return k;
}

static struct trail_hash oracle_root(size_t from, size_t to)
{
    struct trail_hash left, right, ret;

    if (to == from) {
        trail_hash_empty(&ret);
        return ret;
    }
    if (to - from == 1)
        return leaves[from];
    left = oracle_root(from, from + power_below(to - from));
    right = oracle_root(from + power_below(to - from), to);
    trail_hash_node(&left, &right, &ret);
    return ret;
}

static void proof_add(struct trail_proof *proof, struct trail_hash hash)
{
    proof->path[proof->count++] = hash;
}

/* PATH(m, D[from:to]) */
static void oracle_path(size_t m, size_t from, size_t to, struct trail_proof *ret)
{
    size_t k;

    if (to - from == 1)
        return;
    k = power_below(to - from);
    if (m < k) {
        oracle_path(m, from, from + k, ret);
        proof_add(ret, oracle_root(from + k, to));
    } else {
        oracle_path(m - k, from + k, to, ret);
        proof_add(ret, oracle_root(from, from + k));
    }
}

/* SUBPROOF(m, D[from:to], b) */
static void oracle_subproof(size_t m, size_t from, size_t to, bool whole, struct trail_proof *ret)
{
    size_t k;

    if (m == to - from) {
        if (!whole)
            proof_add(ret, oracle_root(from, to));
        return;
    }
    k = power_below(to - from);
    if (m <= k) {
        oracle_subproof(m, from, from + k, whole, ret);
        proof_add(ret, oracle_root(from + k, to));
    } else {
        oracle_subproof(m - k, from + k, to, false, ret);
        proof_add(ret, oracle_root(from, from + k));
    }
}

/* Whole subtrees of `leaves`; refuses to be asked for one that reaches past *limit. */
static enum err leaves_node(void *context, unsigned level, uint64_t number, struct trail_hash *ret)
{
    const uint64_t *limit = context;

    assert_true(level < 8 && (number + 1) << level <= *limit);
    *ret = oracle_root((size_t)(number << level), (size_t)((number + 1) << level));
    return ERR_OK;
}

/* ---- Vectors -------------------------------------------------------------------------------- */

static struct trail_hash hash_of_hex(const char *hex)
{
    struct trail_hash hash;

    for (size_t i = 0; i < TRAIL_HASH_BYTES; i++) {
        unsigned value = 0;

        for (size_t j = 0; j < 2; j++) {
            char c = hex[2 * i + j];

            value = value * 16 + (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
        }
        hash.bytes[i] = (unsigned char)value;
    }
    return hash;
}

static void hash_is(const struct trail_hash *hash, const char *hex)
{
    struct trail_hash expected = hash_of_hex(hex);

    assert_memory_equal(hash->bytes, expected.bytes, TRAIL_HASH_BYTES);
}

static const struct span reference_leaves[] = {
    SPAN(""),
    SPAN("\x00"),
    SPAN("\x10"),
    SPAN("\x20\x21"),
    SPAN("\x30\x31"),
    SPAN("\x40\x41\x42\x43"),
    SPAN("\x50\x51\x52\x53\x54\x55\x56\x57"),
    SPAN("\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f"),
};

static const char *const reference_roots[] = {
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
};

#define NODE_1_2 "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
#define NODE_1_4 "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
#define NODE_3_4 "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
#define NODE_5_6 "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
#define NODE_5_8 "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
#define NODE_7_8 "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
#define LEAF_1   "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
#define LEAF_2   "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
#define LEAF_5   "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"

struct vector {
    uint64_t a, size; /* a: the leaf's index, or the old size */
    size_t count;
    const char *path[3];
};

static const struct vector inclusions[] = {
    {0, 1, 0, {NULL}},
    {0, 8, 3, {LEAF_2, NODE_3_4, NODE_5_8}},
    {5, 8, 3, {LEAF_5, NODE_7_8, NODE_1_4}},
    {2, 3, 1, {NODE_1_2}},
    {1, 5, 3, {LEAF_1, NODE_3_4, LEAF_5}},
};

static const struct vector consistencies[] = {
    {1, 1, 0, {NULL}},
    {1, 8, 3, {LEAF_2, NODE_3_4, NODE_5_8}},
    {6, 8, 3, {NODE_5_6, NODE_7_8, NODE_1_4}},
    {2, 5, 2, {NODE_3_4, LEAF_5}},
};

static int setup_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < PC_COUNT(reference_leaves); i++)
        trail_hash_leaf(reference_leaves[i], &leaves[i]);
    return 0;
}

static int setup_many(void **state)
{
    (void)state;
    for (size_t i = 0; i < LEAVES; i++) {
        unsigned char byte = (unsigned char)i;

        trail_hash_leaf(span_make(&byte, 1), &leaves[i]);
    }
    return 0;
}

static void roots_match_the_reference(void **state)
{
    struct trail_tree tree = {0};
    struct trail_hash root;

    (void)state;
    for (uint64_t size = 0; size <= 8; size++) {
        trail_tree_root(&tree, &root);
        hash_is(&root, reference_roots[size]);
        assert_int_equal(trail_root_at(size, leaves_node, &size, &root), ERR_OK);
        hash_is(&root, reference_roots[size]);
        if (size < 8)
            trail_tree_add(&tree, &leaves[size]);
    }
}

static void path_is(const struct trail_proof *proof, const struct vector *vector)
{
    assert_int_equal(proof->count, vector->count);
    for (size_t i = 0; i < vector->count; i++)
        hash_is(&proof->path[i], vector->path[i]);
}

static void proofs_match_the_reference(void **state)
{
    struct trail_proof proof;

    (void)state;
    for (size_t i = 0; i < PC_COUNT(inclusions); i++) {
        const struct vector *v = &inclusions[i];
        struct trail_hash root = hash_of_hex(reference_roots[v->size]);
        uint64_t limit = v->size;

        assert_int_equal(trail_proof_inclusion(v->a, v->size, leaves_node, &limit, &proof), ERR_OK);
        path_is(&proof, v);
        assert_true(trail_check_inclusion(&leaves[v->a], v->a, v->size, &proof, &root));
    }
    for (size_t i = 0; i < PC_COUNT(consistencies); i++) {
        const struct vector *v = &consistencies[i];
        struct trail_hash old_root = hash_of_hex(reference_roots[v->a]);
        struct trail_hash root = hash_of_hex(reference_roots[v->size]);
        uint64_t limit = v->size;

        assert_int_equal(trail_proof_consistency(v->a, v->size, leaves_node, &limit, &proof),
                         ERR_OK);
        path_is(&proof, v);
        assert_true(trail_check_consistency(v->a, &old_root, v->size, &root, &proof));
    }
}

/* ---- All sizes ------------------------------------------------------------------------------ */

static void proofs_equal(const struct trail_proof *a, const struct trail_proof *b)
{
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a->path, b->path, a->count * sizeof(a->path[0]));
}

static void every_size_grows_to_its_root(void **state)
{
    struct trail_tree tree = {0};

    (void)state;
    for (size_t size = 0; size < LEAVES; size++) {
        struct trail_hash expected = oracle_root(0, size);
        struct trail_hash root;
        uint64_t limit = size;

        trail_tree_root(&tree, &root);
        assert_memory_equal(root.bytes, expected.bytes, TRAIL_HASH_BYTES);
        assert_int_equal(trail_root_at(size, leaves_node, &limit, &root), ERR_OK);
        assert_memory_equal(root.bytes, expected.bytes, TRAIL_HASH_BYTES);
        trail_tree_add(&tree, &leaves[size]);
    }
}

static void every_leaf_is_proved(void **state)
{
    (void)state;
    for (uint64_t size = 1; size <= LEAVES; size++) {
        struct trail_hash root = oracle_root(0, size);

        for (uint64_t index = 0; index < size; index++) {
            struct trail_proof expected = {0};
            struct trail_proof proof;

            oracle_path(index, 0, size, &expected);
            assert_int_equal(trail_proof_inclusion(index, size, leaves_node, &size, &proof),
                             ERR_OK);
            proofs_equal(&proof, &expected);
            assert_true(trail_check_inclusion(&leaves[index], index, size, &proof, &root));
        }
    }
}

static void every_old_size_is_proved(void **state)
{
    (void)state;
    for (uint64_t size = 0; size <= LEAVES; size++) {
        struct trail_hash root = oracle_root(0, size);

        for (uint64_t old_size = 0; old_size <= size; old_size++) {
            struct trail_hash old_root = oracle_root(0, old_size);
            struct trail_proof expected = {0};
            struct trail_proof proof;

            if (old_size > 0)
                oracle_subproof(old_size, 0, size, true, &expected);
            assert_int_equal(trail_proof_consistency(old_size, size, leaves_node, &size, &proof),
                             ERR_OK);
            proofs_equal(&proof, &expected);
            assert_true(trail_check_consistency(old_size, &old_root, size, &root, &proof));
        }
    }
}

/* ---- What is no proof ----------------------------------------------------------------------- */

/* The question: the leaf at `a` is in the tree of `size`, or the tree of `a` became that of `size`.
 */
struct claim {
    bool inclusion;
    uint64_t a, size;
    struct trail_hash subject, root;
    struct trail_proof proof;
};

static bool claim_holds(const struct claim *c)
{
    if (c->inclusion)
        return trail_check_inclusion(&c->subject, c->a, c->size, &c->proof, &c->root);
    return trail_check_consistency(c->a, &c->subject, c->size, &c->root, &c->proof);
}

static void bytes_are_weighed(struct claim *c, unsigned char *bytes)
{
    for (size_t i = 0; i < TRAIL_HASH_BYTES; i++) {
        bytes[i] ^= (unsigned char)(1U << (i % 8));
        assert_false(claim_holds(c));
        bytes[i] ^= (unsigned char)(1U << (i % 8));
    }
}

static void claim_is_tight(struct claim *c)
{
    assert_true(claim_holds(c));
    bytes_are_weighed(c, c->root.bytes);
    /* Nothing becomes anything, but only the hash of nothing is its root. */
    bytes_are_weighed(c, c->subject.bytes);
    for (size_t i = 0; i < c->proof.count; i++)
        bytes_are_weighed(c, c->proof.path[i].bytes);
    for (size_t i = 0; i + 1 < c->proof.count; i++) {
        struct trail_hash kept = c->proof.path[i];

        c->proof.path[i] = c->proof.path[i + 1];
        c->proof.path[i + 1] = kept;
        assert_false(claim_holds(c));
        c->proof.path[i + 1] = c->proof.path[i];
        c->proof.path[i] = kept;
    }
    c->proof.path[c->proof.count++] = c->root; /* one too many */
    assert_false(claim_holds(c));
    c->proof.count -= 2; /* one too few; at none it becomes a huge number, which is refused too */
    assert_false(claim_holds(c));
    c->proof.count++;
}

static void no_changed_byte_passes(void **state)
{
    (void)state;
    for (uint64_t size = 1; size <= 40; size++) {
        struct claim c = {.size = size, .root = oracle_root(0, size)};

        for (c.a = 0; c.a < size; c.a++) {
            c.inclusion = true;
            c.subject = leaves[c.a];
            assert_int_equal(trail_proof_inclusion(c.a, size, leaves_node, &size, &c.proof),
                             ERR_OK);
            claim_is_tight(&c);
        }
        for (c.a = 1; c.a < size; c.a++) {
            c.inclusion = false;
            c.subject = oracle_root(0, c.a);
            assert_int_equal(trail_proof_consistency(c.a, size, leaves_node, &size, &c.proof),
                             ERR_OK);
            claim_is_tight(&c);
        }
    }
}

/* A proof is of one leaf at one place. (Of a larger tree it may say the same: a path tells of the
 * size no more than which sides its hashes stand on, so the size comes from a signed note.) */
static void a_proof_is_of_one_place(void **state)
{
    (void)state;
    for (uint64_t size = 2; size <= 40; size++) {
        struct trail_hash root = oracle_root(0, size);

        for (uint64_t index = 0; index < size; index++) {
            struct trail_proof proof;

            assert_int_equal(trail_proof_inclusion(index, size, leaves_node, &size, &proof),
                             ERR_OK);
            for (uint64_t other = 0; other < size; other++) {
                bool holds = trail_check_inclusion(&leaves[index], other, size, &proof, &root);

                assert_int_equal(holds, other == index);
            }
        }
    }
}

static void numbers_that_do_not_fit_are_refused(void **state)
{
    struct trail_proof proof = {.count = 7};
    struct trail_hash hash = oracle_root(0, 4);
    struct trail_hash empty;
    uint64_t size = 4;

    (void)state;
    trail_hash_empty(&empty);
    assert_int_equal(trail_proof_inclusion(4, 4, leaves_node, &size, &proof), ERR_BAD_REQUEST);
    assert_int_equal(trail_proof_inclusion(0, 0, leaves_node, &size, &proof), ERR_BAD_REQUEST);
    assert_int_equal(trail_proof_inclusion(0, UINT64_MAX, leaves_node, &size, &proof),
                     ERR_BAD_REQUEST);
    assert_int_equal(trail_proof_consistency(5, 4, leaves_node, &size, &proof), ERR_BAD_REQUEST);
    assert_int_equal(trail_proof_consistency(1, UINT64_MAX, leaves_node, &size, &proof),
                     ERR_BAD_REQUEST);
    assert_int_equal(trail_root_at(UINT64_MAX, leaves_node, &size, &hash), ERR_BAD_REQUEST);
    assert_int_equal(proof.count, 7);
    proof.count = 0;
    assert_false(trail_check_inclusion(&hash, 0, 0, &proof, &hash));
    assert_false(trail_check_inclusion(&hash, UINT64_MAX, UINT64_MAX, &proof, &hash));
    assert_false(trail_check_consistency(2, &hash, 1, &hash, &proof));
    assert_false(trail_check_consistency(0, &hash, 1, &hash, &proof));
    assert_true(trail_check_consistency(0, &empty, 4, &hash, &proof));
    assert_true(trail_check_consistency(4, &hash, 4, &hash, &proof));
    proof.count = TRAIL_PROOF_MAX + 1;
    assert_false(trail_check_inclusion(&hash, 0, 1, &proof, &hash));
    assert_false(trail_check_consistency(1, &hash, 2, &hash, &proof));
}

/* The largest tree there may be: 2^63 - 1 leaves, of which every whole subtree has the same root
 * on its level. */
static enum err huge_node(void *context, unsigned level, uint64_t number, struct trail_hash *ret)
{
    (void)context;
    (void)number;
    *ret = leaves[0];
    for (unsigned i = 0; i < level; i++)
        trail_hash_node(ret, ret, ret);
    return ERR_OK;
}

static void the_largest_tree_has_proofs(void **state)
{
    const uint64_t size = INT64_MAX;
    struct trail_hash root, old_root;
    struct trail_proof proof = {0};

    (void)state;
    assert_int_equal(trail_root_at(size, huge_node, NULL, &root), ERR_OK);
    for (uint64_t index = 0; index < 3; index++) {
        assert_int_equal(trail_proof_inclusion(size - 1 - index, size, huge_node, NULL, &proof),
                         ERR_OK);
        assert_true(trail_check_inclusion(&leaves[0], size - 1 - index, size, &proof, &root));
        assert_int_equal(trail_root_at(size - 1 - index, huge_node, NULL, &old_root), ERR_OK);
        assert_int_equal(trail_proof_consistency(size - 1 - index, size, huge_node, NULL, &proof),
                         ERR_OK);
        assert_true(trail_check_consistency(size - 1 - index, &old_root, size, &root, &proof));
    }
}

static enum err failing_node(void *context, unsigned level, uint64_t number, struct trail_hash *ret)
{
    unsigned *left = context;

    (void)level;
    (void)number;
    if ((*left)-- == 0)
        return ERR_STORE_UNAVAILABLE;
    *ret = leaves[0];
    return ERR_OK;
}

static void a_failing_node_leaves_the_result_alone(void **state)
{
    (void)state;
    for (unsigned nth = 0; nth < 3; nth++) {
        struct trail_proof proof = {.count = 5};
        unsigned left = nth;

        assert_int_equal(trail_proof_inclusion(1, 7, failing_node, &left, &proof),
                         ERR_STORE_UNAVAILABLE);
        left = nth;
        assert_int_equal(trail_proof_consistency(3, 7, failing_node, &left, &proof),
                         ERR_STORE_UNAVAILABLE);
        assert_int_equal(proof.count, 5);
    }
}

/* ---- the edge --------------------------------------------------------------------------------
 */

struct tiles {
    size_t count[2];
    struct trail_hash roots[TRAIL_TILE_HASHES]; /* of the leaves' tiles, as tiles tell them */
};

static void tile_take(void *context, unsigned level, uint64_t number,
                      const struct trail_hash *hashes, size_t count)
{
    struct tiles *tiles = context;

    assert_in_range(level, 0, 1);
    assert_int_equal(count, TRAIL_TILE_HASHES);
    assert_int_equal(number, tiles->count[level]++);
    if (level == 0)
        trail_hashes_root(hashes, count, &tiles->roots[number % TRAIL_TILE_HASHES]);
    else
        assert_memory_equal(hashes, tiles->roots, sizeof(tiles->roots));
}

/* Past 256 full tiles: the tree is the plain one, and each tile's root is in the tile above. */
static void the_edge_is_the_tree(void **state)
{
    static struct trail_edge edge;
    static struct tiles tiles;
    struct trail_tree tree = {.size = 0};

    (void)state;
    for (uint64_t i = 0; i < 256 * 256 + 600; i++) {
        struct trail_hash leaf;

        trail_hash_leaf(span_make(&i, sizeof(i)), &leaf);
        trail_edge_add(&edge, &leaf, tile_take, &tiles);
        trail_tree_add(&tree, &leaf);
        assert_int_equal(edge.tree.size, tree.size);
        assert_memory_equal(edge.tree.roots, tree.roots,
                            trail_tree_roots(tree.size) * sizeof(tree.roots[0]));
    }
    assert_int_equal(tiles.count[0], 256 + 2);
    assert_int_equal(tiles.count[1], 1);
    assert_memory_equal(edge.hashes[1], tiles.roots, 2 * sizeof(tiles.roots[0]));
    assert_memory_equal(edge.hashes[2], tree.roots, sizeof(tree.roots[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(roots_match_the_reference, setup_reference),
        cmocka_unit_test_setup(proofs_match_the_reference, setup_reference),
        cmocka_unit_test_setup(every_size_grows_to_its_root, setup_many),
        cmocka_unit_test_setup(every_leaf_is_proved, setup_many),
        cmocka_unit_test_setup(every_old_size_is_proved, setup_many),
        cmocka_unit_test_setup(no_changed_byte_passes, setup_many),
        cmocka_unit_test_setup(a_proof_is_of_one_place, setup_many),
        cmocka_unit_test_setup(numbers_that_do_not_fit_are_refused, setup_many),
        cmocka_unit_test_setup(the_largest_tree_has_proofs, setup_many),
        cmocka_unit_test_setup(a_failing_node_leaves_the_result_alone, setup_many),
        cmocka_unit_test(the_edge_is_the_tree),
    };

    return cmocka_run_group_tests_name("trail tree", tests, NULL, NULL);
}
