/* SPDX-License-Identifier: MIT
 * The promise of the overlap, tried over long, held time: keys are turned over at any moment, nodes
 * hear of it late, verifiers ask whichever node and keep the answer for as long as they may. At
 * every moment every token within its life must fit every kept answer. */
#include "oauth/oauth_keys_test_kit.h"
#include "base/random_test_kit.h"

enum {
    SEEDS = 6,
    STEPS = 400,
    STEP_S_MAX = 90,
    KIDS_MAX = 64,
    LATE_S_MAX = OAUTH_KEYS_MARGIN_S - 1, /* until a node has heard of a change */
    LEEWAY_S = VERIFY_S - LIFE_S,
};

static const enum crypto_alg turned[] = {CRYPTO_ES256, CRYPTO_EDDSA};

struct answer { /* what a verifier keeps */
    int64_t at_s;
    uint64_t kids;
};

struct token {
    int64_t at_s;
    size_t kid;
    struct span text;
};

struct world {
    struct oauth_keys *nodes[2];
    bool behind[2];       /* has not heard of the last change */
    int64_t behind_since; /* of the older */
    struct span kids[KIDS_MAX];
    size_t kid_count;
    struct answer answers[2 * STEPS];
    size_t answer_count;
    struct token tokens[4 * STEPS];
    size_t token_count;
    struct random_seeded random;
};

static int64_t now_s(void)
{
    return now_ns() / CLOCK_NS_PER_S;
}

/* A number for each kid, in the order in which they were first met. */
static size_t kid_number(struct world *world, struct span kid)
{
    for (size_t i = 0; i < world->kid_count; i++) {
        if (span_equal(world->kids[i], kid))
            return i;
    }
    assert_true(world->kid_count < KIDS_MAX);
    world->kids[world->kid_count] = arena_copy(&bench.arena, kid);
    return world->kid_count++;
}

static void ask(struct world *world, const struct oauth_keys *node)
{
    const struct crypto_keyset *keys = oauth_keys_public(node, now_ns());
    struct answer *answer = &world->answers[world->answer_count++];

    *answer = (struct answer){.at_s = now_s()};
    for (size_t i = 0; i < crypto_keyset_count(keys); i++)
        answer->kids |= UINT64_C(1) << kid_number(world, crypto_key_kid(crypto_keyset_at(keys, i)));
}

static void sign(struct world *world, const struct oauth_keys *node, enum crypto_alg alg)
{
    world->tokens[world->token_count++] =
        (struct token){.at_s = now_s(),
                       .kid = kid_number(world, signer_of(node, alg)->kid),
                       .text = token_sign(node, alg)};
}

static void hear(struct world *world, size_t node)
{
    if (!world->behind[node])
        return;
    assert_int_equal(oauth_keys_reload(world->nodes[node]), ERR_OK);
    world->behind[node] = false;
}

/* Both nodes have heard of a change before the margin is over. */
static void hear_in_time(struct world *world, int64_t step_s)
{
    for (size_t node = 0; node < 2; node++) {
        if (test_draw(&world->random, 3) == 0 ||
            now_s() + step_s - world->behind_since > LATE_S_MAX)
            hear(world, node);
    }
}

static void turn(struct world *world)
{
    char which = test_draw(&world->random, 2) == 0 ? 'a' : 'b';

    hear(world, 0);
    hear(world, 1);
    (void)rotate(which, turned[test_draw(&world->random, PC_COUNT(turned))], false);
    world->behind[0] = world->behind[1] = true;
    world->behind_since = now_s();
}

static bool is_live(const struct token *token)
{
    return now_s() < token->at_s + LIFE_S + LEEWAY_S;
}

static void check(struct world *world)
{
    int64_t max_age_s = oauth_keys_max_age_s(world->nodes[0]);
    const struct token *one = &world->tokens[test_draw(&world->random, world->token_count)];

    for (size_t t = world->token_count; t > 0 && is_live(&world->tokens[t - 1]); t--) {
        const struct token *token = &world->tokens[t - 1];

        for (size_t a = world->answer_count; a > 0; a--) {
            const struct answer *answer = &world->answers[a - 1];

            if (answer->at_s + max_age_s < now_s())
                break;
            if ((answer->kids >> token->kid & 1) == 0)
                fail_msg("an answer of %llds ago lacks the key of a token of %llds ago",
                         (long long)(now_s() - answer->at_s), (long long)(now_s() - token->at_s));
        }
    }
    if (is_live(one)) {
        assert_true(token_verifies(world->nodes[0], one->text));
        assert_true(token_verifies(world->nodes[1], one->text));
    }
}

/* Turning over keeps to the rhythm that leaves room for all keys. */
static void step(struct world *world, int64_t *turned_at_s)
{
    int64_t step_s = (int64_t)test_draw(&world->random, STEP_S_MAX);

    if (now_s() - *turned_at_s > 120 && test_draw(&world->random, 4) == 0) {
        turn(world);
        *turned_at_s = now_s();
    }
    hear_in_time(world, step_s);
    ask(world, world->nodes[test_draw(&world->random, 2)]);
    for (size_t i = 0; i < PC_COUNT(turned); i++)
        sign(world, world->nodes[test_draw(&world->random, 2)], turned[i]);
    check(world);
    pass_s(step_s);
    check(world);
}

static void run(struct world *world, uint64_t seed)
{
    int64_t turned_at_s = now_s();

    *world = (struct world){.nodes = {node_open('a'), node_open('b')}};
    random_seeded_init(&world->random, seed);
    assert_int_equal(oauth_keys_reload(world->nodes[0]), ERR_OK);
    for (size_t i = 0; i < STEPS && world->kid_count < KIDS_MAX - 4; i++)
        step(world, &turned_at_s);
    oauth_keys_free(world->nodes[0]);
    oauth_keys_free(world->nodes[1]);
}

/* Every token fits what any verifier may know, from its first second to its last. */
static void no_verifier_meets_an_unknown_key(void **state)
{
    struct world *world = alloc_zero(sizeof(*world));
    char path[PATH_BYTES], from[PATH_BYTES];

    (void)state;
    assert_non_null(world);
    folder_fill('a');
    folder_path('b', path);
    assert_int_equal(mkdir(path, 0700), 0);
    file_path('t', "other.pem", from);
    file_path('b', "RS256-1.pem", path);
    assert_int_equal(link(from, path), 0);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        run(world, seed);
        pass_s(VERIFY_S + PUBLISH_S);
        arena_reset(&bench.arena);
    }
    alloc_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {KEYS_TEST(no_verifier_meets_an_unknown_key)};

    return cmocka_run_group_tests(tests, kit_begin, kit_end);
}
