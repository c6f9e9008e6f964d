/* SPDX-License-Identifier: MIT
 * Signing keys when memory runs out or the store breaks off, at every single step. */
#include "oauth/oauth_keys_test_kit.h"

/* What is tried, and what must be there before. */
struct attempt {
    void (*prepare)(void);
    enum err (*run)(void);
    uint64_t stride; /* from the tenth on: checking an RSA key takes its time */
};

static struct oauth_keys *running; /* beside which it is tried */
static struct span retiring;       /* the kid that attempt_retire takes out */

/* A database that has no keys yet. */
static void prepare_open(void)
{
    static const struct store_statement forget = {.name = "test_forget_all",
                                                  .sqlite = "DELETE FROM oauth_keys"};

    kit_exec(bench.store, &forget);
}

static enum err attempt_open(void)
{
    struct oauth_keys_options options = node_options('a');
    struct oauth_keys *keys = NULL;
    enum err err = oauth_keys_open(&options, &keys, NULL);

    assert_true((err == ERR_OK) == (keys != NULL));
    oauth_keys_free(keys);
    return err;
}

static enum err attempt_reload(void)
{
    return oauth_keys_reload(running);
}

/* Rows of keys that are gone are cleared away, or each reading would take longer than the last. */
static void prepare_rotate(void)
{
    static const struct store_statement clear = {
        .name = "test_clear", .sqlite = "DELETE FROM oauth_keys WHERE gone_at IS NOT NULL"};

    assert_int_equal(oauth_keys_reload(running), ERR_OK);
    kit_exec(bench.store, &clear);
    assert_int_equal(oauth_keys_reload(running), ERR_OK);
}

static enum err attempt_rotate(void)
{
    struct oauth_keys_options options = node_options('a');
    struct oauth_key_row row;

    return oauth_key_rotate(&options, CRYPTO_EDDSA, true, &bench.arena, &row, NULL);
}

static void prepare_retire(void)
{
    prepare_rotate();
    retiring = signer_of(running, CRYPTO_EDDSA)->kid;
    (void)rotate('a', CRYPTO_EDDSA, true);
}

static enum err attempt_retire(void)
{
    struct oauth_keys_options options = node_options('a');

    return oauth_key_retire(&options, retiring, NULL);
}

static bool strike(const struct attempt *attempt, bool memory, uint64_t nth)
{
    bool struck;
    enum err err;

    pass_s(VERIFY_S + 1); /* what stopped before is gone */
    attempt->prepare();
    if (memory)
        alloc_fail_at(nth);
    else
        store_fail_at(nth);
    err = attempt->run();
    struck = memory ? !alloc_fail_pending() : !store_fail_pending();
    alloc_fail_at(0);
    store_fail_at(0);
    if (!struck)
        assert_int_equal(err, ERR_OK);
    return struck;
}

/* Whatever fails, the next attempt works, every algorithm signs what verifies, and no file is left
 * that has no row. */
static void survives(bool memory)
{
    static const struct attempt attempts[] = {{prepare_open, attempt_open, 9},
                                              {prepare_open, attempt_reload, 1},
                                              {prepare_rotate, attempt_rotate, 1},
                                              {prepare_retire, attempt_retire, 1}};

    folder_fill('a');
    running = node_open('a');
    for (size_t i = 0; i < PC_COUNT(attempts); i++) {
        uint64_t nth = 1;

        while (strike(&attempts[i], memory, nth)) {
            assert_int_equal(oauth_keys_reload(running), ERR_OK);
            for (size_t k = 0; k < PC_COUNT(kit_algs); k++)
                assert_true(token_verifies(running, token_sign(running, kit_algs[k])));
            arena_reset(&bench.arena);
            nth += nth < 10 ? 1 : attempts[i].stride;
        }
        assert_true(nth > 3);
    }
    pass_s(VERIFY_S + 1);
    assert_int_equal(oauth_keys_reload(running), ERR_OK);
    oauth_keys_free(running);
    assert_int_equal(folder_count('a'), 3);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    survives(true);
}

static void every_store_call_may_fail(void **state)
{
    (void)state;
    survives(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KEYS_TEST(every_allocation_may_fail),
        KEYS_TEST(every_store_call_may_fail),
    };

    return cmocka_run_group_tests(tests, kit_begin, kit_end);
}
