/* SPDX-License-Identifier: MIT
 * The feed on both databases: what is everybody's business is told by name, also when it happened
 * just before the start, and another subject's change is not. */
#include "auth/auth_test_kit.h"

#include <stdatomic.h>

enum { WAIT_MS_MAX = 5000 };

static _Atomic int keys_told, others_told, minutes_told;

static void told(void *context, struct span what)
{
    assert_ptr_equal(context, &keys_told);
    atomic_fetch_add(span_is(what, "keys") ? &keys_told : &others_told, 1);
}

static void minute_told(void *context)
{
    assert_ptr_equal(context, &keys_told);
    atomic_fetch_add(&minutes_told, 1);
}

static enum err change_steps(struct store_conn *conn, void *context)
{
    const int64_t *subject = context;

    return auth_change_add(conn, *subject, (struct span){0}, *subject == 0 ? "keys" : "rights", T0);
}

static void change(int64_t subject)
{
    assert_int_equal(writing(bench.store, change_steps, &subject), ERR_OK);
}

static void wait_until(_Atomic int *counter, int count)
{
    for (int ms = 0; ms < WAIT_MS_MAX && atomic_load(counter) < count; ms += 10)
        (void)usleep(10000);
    assert_int_equal(atomic_load(counter), count);
}

static void wait_for(int count)
{
    wait_until(&keys_told, count);
}

static void everybodys_business_is_told(void **state)
{
    const struct http_engine_options options = {
        .clock = &clock_system, .random = &random_system, .store = bench.store};
    struct auth_feed_options feed_options = {
        .store = bench.store, .clock = &clock_system, .changed = told, .context = &keys_told};
    struct auth_feed *feed;

    (void)state;
    atomic_store(&keys_told, 0);
    assert_int_equal(http_engine_new(&options, &feed_options.engine), ERR_OK);
    change(0);
    change(0);
    change(7);
    assert_int_equal(auth_feed_start(&feed_options, &feed), ERR_OK);
    assert_int_equal(atomic_load(&keys_told), 1); /* once, before it returned */
    change(7);
    change(-7);
    change(0);
    wait_for(2);
    change(0);
    wait_for(3);
    assert_int_equal(atomic_load(&others_told), 0);
    auth_feed_stop(feed);
    http_engine_free(feed_options.engine);
}

/* Each minute once, and none before its time. */
static void minutes_are_told(void **state)
{
    const struct http_engine_options options = {
        .clock = &clock_system, .random = &random_system, .store = bench.store};
    struct clock_fake clock;
    struct auth_feed_options feed_options = {.store = bench.store,
                                             .clock = &clock.clock,
                                             .changed = told,
                                             .minute = minute_told,
                                             .context = &keys_told};
    struct auth_feed *feed;

    (void)state;
    clock_fake_init(&clock, T0);
    atomic_store(&keys_told, 0);
    assert_int_equal(http_engine_new(&options, &feed_options.engine), ERR_OK);
    assert_int_equal(auth_feed_start(&feed_options, &feed), ERR_OK);
    clock_fake_move(&clock, 60 * CLOCK_NS_PER_S - 1);
    change(0);
    wait_for(1); /* a look later */
    assert_int_equal(atomic_load(&minutes_told), 0);
    clock_fake_move(&clock, 1);
    wait_until(&minutes_told, 1);
    change(0);
    wait_for(2);
    assert_int_equal(atomic_load(&minutes_told), 1);
    clock_fake_move(&clock, 60 * CLOCK_NS_PER_S);
    wait_until(&minutes_told, 2);
    auth_feed_stop(feed);
    http_engine_free(feed_options.engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(everybodys_business_is_told, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(minutes_are_told, bench_setup, bench_teardown),
    };

    return cmocka_run_group_tests_name("auth_feed", tests, NULL, NULL);
}
