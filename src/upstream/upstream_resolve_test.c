/* SPDX-License-Identifier: MIT
 * Names whose answers the test gives: who is asked, by which share, what stays when the resolver
 * fails, and answers that nobody should believe. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "upstream/upstream_pool.h"
#include "upstream/upstream_resolve.h"

enum { PORT = 9001, PICKS = 12000, TEXT_BYTES = INET6_ADDRSTRLEN };

/* What the resolver says now. */
struct answer {
    const char *addresses[UPSTREAM_ANSWERS_MAX + 1]; /* closed by NULL; none: it fails */
    _Atomic unsigned asked;
};

static struct answer answer;
static struct upstream *upstream;
static struct upstream_turn turn;
static struct random_batch drawn;
static struct random_seeded seeded;
static struct clock_fake now;
static struct metrics *metrics;

static size_t say(void *context, const char *name, struct upstream_place *list, size_t max,
                  const char **reterr_why)
{
    struct answer *from = context;
    size_t count = 0;

    assert_string_equal(name, "shop.test");
    *reterr_why = "the test says so";
    (void)atomic_fetch_add(&from->asked, 1);
    for (; count < max && from->addresses[count] != NULL; count++) {
        struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&list[count].address;
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&list[count].address;

        memset(&list[count], 0, sizeof(list[count]));
        if (inet_pton(AF_INET, from->addresses[count], &v4->sin_addr) == 1) {
            v4->sin_family = AF_INET;
            v4->sin_port = htons(22); /* not for it to say */
            list[count].bytes = sizeof(*v4);
        } else if (inet_pton(AF_INET6, from->addresses[count], &v6->sin6_addr) == 1) {
            v6->sin6_family = AF_INET6;
            list[count].bytes = sizeof(*v6);
        }
    }
    return count;
}

#define SAYS(...)                                                                                  \
    memcpy(answer.addresses, (const char * [UPSTREAM_ANSWERS_MAX + 1]){__VA_ARGS__},               \
           sizeof(answer.addresses))

static struct upstream *made_after(struct upstream *former, enum upstream_balance balance,
                                   bool with_literal)
{
    static const struct upstream_target targets[] = {
        {.url = "http://shop.test:9001", .host = "h", .name = "shop.test", .port = PORT},
        {.url = "http://10.9.9.9:9001", .host = "h", .name = "10.9.9.9", .port = PORT}};
    struct upstream_options options = {.name = "shop",
                                       .targets = targets,
                                       .target_count = with_literal ? 2 : 1,
                                       .balance = balance,
                                       .health = {.fails_max = 1},
                                       .look_up = say,
                                       .look_up_context = &answer,
                                       .resolve_ms = 1,
                                       .clock = &now.clock,
                                       .metrics = metrics,
                                       .former = former};
    struct upstream *ret = NULL;
    struct arena arena;
    const char *why;

    arena_init(&arena, NULL, 0, 4096);
    assert_int_equal(upstream_new(&options, &arena, &ret, &why), ERR_OK);
    return ret;
}

static struct upstream *made(enum upstream_balance balance, bool with_literal)
{
    return made_after(NULL, balance, with_literal);
}

static int setup(void **state)
{
    (void)state;
    clock_fake_init(&now, INT64_C(1800000000) * CLOCK_NS_PER_S);
    memset(&turn, 0, sizeof(turn));
    random_seeded_init(&seeded, 11);
    random_batch_init(&drawn, &seeded.source);
    return metrics_new(&metrics) == ERR_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    upstream_free(upstream);
    upstream = NULL;
    metrics_free(metrics);
    return 0;
}

static size_t begin(uint64_t key)
{
    return upstream_pick(upstream->picker, &turn, &drawn, key, 0, clock_monotonic_ns(&now.clock));
}

static void end(size_t target, enum upstream_outcome outcome)
{
    upstream_settle(upstream->picker, target, outcome, 1000, clock_monotonic_ns(&now.clock));
}

/* The address of a place; its port is the configured one. */
static const char *address_of(struct upstream *of, size_t target)
{
    static char text[TEXT_BYTES];
    struct upstream_place place = upstream_place_now(of, target);
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)&place.address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)&place.address;

    assert_true(place.bytes > 0);
    if (v4->sin_family == AF_INET) {
        assert_int_equal(ntohs(v4->sin_port), PORT);
        return inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
    }
    assert_int_equal(ntohs(v6->sin6_port), PORT);
    return inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
}

/* Of a thousand requests, how many each address gets. */
static unsigned share_of(const char *address)
{
    unsigned got = 0;

    for (uint64_t i = 0; i < PICKS; i++) {
        size_t target = begin(i);

        assert_true(target != UPSTREAM_NO_TARGET);
        got += strcmp(address_of(upstream, target), address) == 0;
        end(target, UPSTREAM_WELL);
    }
    return got * 1000 / PICKS;
}

static void near(unsigned got, unsigned wanted)
{
    if (got + 30 < wanted || got > wanted + 30)
        fail_msg("%u of a thousand, not %u", got, wanted);
}

static size_t present(void)
{
    size_t count = 0;

    for (size_t i = 0; i < upstream_target_count(upstream->picker); i++)
        count += !upstream_target_state(upstream->picker, i, 0).absent;
    return count;
}

static const char *rendered(void)
{
    static char text[16 * 1024];
    struct sbuf page = sbuf_over(text, sizeof(text));

    metric_render(metrics, &page);
    sbuf_add_char(&page, '\0');
    assert_false(page.full);
    return text;
}

static void all_addresses_are_asked(void **state)
{
    const enum upstream_balance balances[] = {UPSTREAM_ROUND_ROBIN, UPSTREAM_LEAST_REQUESTS,
                                              UPSTREAM_POWER_OF_TWO, UPSTREAM_HASH};

    (void)state;
    SAYS("10.0.0.3", "10.0.0.1", "2001:db8::2", "10.0.0.3");
    for (size_t i = 0; i < PC_COUNT(balances); i++) {
        upstream_free(upstream);
        memset(&turn, 0, sizeof(turn));
        upstream = made(balances[i], false);
        assert_int_equal(present(), 3);
        near(share_of("10.0.0.1"), 333);
        near(share_of("10.0.0.3"), 333);
        near(share_of("2001:db8::2"), 333);
    }
}

/* However many addresses a name has, it has the weight of one target. */
static void addresses_share_a_weight(void **state)
{
    const enum upstream_balance balances[] = {UPSTREAM_ROUND_ROBIN, UPSTREAM_LEAST_REQUESTS,
                                              UPSTREAM_HASH};

    (void)state;
    SAYS("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4");
    for (size_t i = 0; i < PC_COUNT(balances); i++) {
        upstream_free(upstream);
        memset(&turn, 0, sizeof(turn));
        upstream = made(balances[i], true);
        if (balances[i] != UPSTREAM_HASH) /* the ring's shares are not so even */
            near(share_of("10.9.9.9"), 500);
        near(share_of("10.0.0.2"), 125);
    }
}

/* Whoever leaves ends what is under way; his place is another's only then. */
static void addresses_come_and_go(void **state)
{
    size_t busy;

    (void)state;
    SAYS("10.0.0.1");
    upstream = made(UPSTREAM_ROUND_ROBIN, false);
    busy = begin(0);
    SAYS("10.0.0.2");
    upstream_resolve(upstream);
    assert_int_equal(present(), 1);
    assert_int_equal(share_of("10.0.0.2"), 1000);
    for (int i = 3; i < 20; i++) { /* more than it has places */
        char text[TEXT_BYTES];

        (void)snprintf(text, sizeof(text), "10.0.0.%d", i);
        SAYS(text);
        upstream_resolve(upstream);
        assert_int_equal(share_of(text), 1000);
        assert_string_equal(address_of(upstream, busy), "10.0.0.1");
    }
    assert_int_equal(upstream_target_state(upstream->picker, busy, 0).in_flight, 1);
    end(busy, UPSTREAM_FAILED);
    SAYS("10.0.0.1", "10.0.0.19");
    upstream_resolve(upstream);
    assert_false(upstream_target_state(upstream->picker, busy, 0).absent);
    assert_string_equal(address_of(upstream, busy), "10.0.0.1");
}

/* What was held against one address is not held against the next in its place. */
static void a_new_address_begins_well(void **state)
{
    (void)state;
    SAYS("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.7",
         "10.0.0.8");
    upstream = made(UPSTREAM_ROUND_ROBIN, false);
    for (size_t i = 0; i < UPSTREAM_ADDRESSES_MAX; i++) {
        while (!upstream_target_state(upstream->picker, i, clock_monotonic_ns(&now.clock)).ejected)
            end(begin(0), UPSTREAM_FAILED);
    }
    SAYS("10.0.1.1");
    upstream_resolve(upstream);
    assert_int_equal(present(), 1);
    assert_non_null(strstr(rendered(), "upstream_target_well{upstream=\"shop\",target=\"http://"
                                       "shop.test:9001\"} 1\n"));
}

static void the_last_addresses_stay_when_it_fails(void **state)
{
    (void)state;
    SAYS("10.0.0.1", "10.0.0.2");
    upstream = made(UPSTREAM_ROUND_ROBIN, false);
    for (int i = 0; i < 3; i++) {
        SAYS(NULL);
        upstream_resolve(upstream);
        SAYS("0.0.0.0", "224.0.0.1", "::", "ff02::1"); /* nobody is there */
        upstream_resolve(upstream);
    }
    assert_int_equal(present(), 2);
    near(share_of("10.0.0.1"), 500);
    assert_non_null(strstr(rendered(), "upstream_lookups_total{upstream=\"shop\",target=\"http://"
                                       "shop.test:9001\",outcome=\"failed\"} 6\n"));
    assert_non_null(strstr(rendered(), "upstream_target_addresses{upstream=\"shop\",target=\""
                                       "http://shop.test:9001\"} 2\n"));
}

static void a_name_may_be_unknown_at_the_start(void **state)
{
    (void)state;
    SAYS(NULL);
    upstream = made(UPSTREAM_POWER_OF_TWO, false);
    assert_int_equal(begin(0), UPSTREAM_NO_TARGET);
    assert_non_null(strstr(rendered(), "upstream_target_well{upstream=\"shop\",target=\"http://"
                                       "shop.test:9001\"} 0\n"));
    SAYS("10.0.0.1");
    upstream_resolve(upstream);
    assert_int_equal(share_of("10.0.0.1"), 1000);
    upstream_free(upstream);
    SAYS(NULL);
    memset(&turn, 0, sizeof(turn));
    upstream = made(UPSTREAM_HASH, true);
    assert_int_equal(share_of("10.9.9.9"), 1000);
}

/* A name that an operator drains is drained at all its addresses, at those that come later, and in
 * an upstream that takes the place of this one. */
static void a_name_is_held_as_a_whole(void **state)
{
    struct upstream *former;

    (void)state;
    SAYS("10.0.0.1", "10.0.0.2");
    upstream = made(UPSTREAM_ROUND_ROBIN, true);
    upstream_hold_target(upstream, 1, true); /* not its first place */
    assert_int_equal(share_of("10.9.9.9"), 1000);
    SAYS("10.0.0.2", "10.0.0.3");
    upstream_resolve(upstream);
    assert_int_equal(share_of("10.9.9.9"), 1000);
    former = upstream;
    memset(&turn, 0, sizeof(turn));
    upstream = made_after(former, UPSTREAM_ROUND_ROBIN, true);
    upstream_free(former);
    assert_int_equal(share_of("10.9.9.9"), 1000);
    assert_true(upstream_target_state(upstream->picker, 0, 0).held);
    upstream_hold_target(upstream, 0, false);
    near(share_of("10.9.9.9"), 500);
    near(share_of("10.0.0.3"), 250);
}

/* A name has so many addresses and no more, the same ones in whichever order they are told. */
static void long_answers_are_cut(void **state)
{
    static char texts[UPSTREAM_ANSWERS_MAX][TEXT_BYTES];

    (void)state;
    for (int i = 0; i < UPSTREAM_ANSWERS_MAX; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "10.0.7.%d", i + 1);
        answer.addresses[i] = texts[i];
    }
    answer.addresses[UPSTREAM_ANSWERS_MAX] = NULL;
    upstream = made(UPSTREAM_ROUND_ROBIN, true);
    assert_int_equal(present(), UPSTREAM_ADDRESSES_MAX + 1);
    for (int i = 0; i < UPSTREAM_ANSWERS_MAX; i++)
        answer.addresses[i] = texts[UPSTREAM_ANSWERS_MAX - 1 - i];
    upstream_resolve(upstream);
    near(share_of("10.0.7.8"), 500 / UPSTREAM_ADDRESSES_MAX);
    near(share_of("10.9.9.9"), 500);
}

/* Two nodes that were told in different orders, at different times, agree; and one that leaves
 * moves nobody's keys but its own. */
static void keys_find_their_address(void **state)
{
    static char before[300][TEXT_BYTES];
    struct upstream *other;
    struct upstream_turn turn_other = {0};
    size_t moved = 0;

    (void)state;
    SAYS("10.0.0.4");
    other = made(UPSTREAM_HASH, true);
    SAYS("10.0.0.4", "10.0.0.2", "10.0.0.1");
    upstream_resolve(other);
    SAYS("10.0.0.1", "10.0.0.2", "10.0.0.4");
    upstream = made(UPSTREAM_HASH, true);
    for (uint64_t key = 0; key < PC_COUNT(before); key++) {
        size_t one = begin(key);
        size_t two = upstream_pick(other->picker, &turn_other, &drawn, key, 0, 0);

        (void)snprintf(before[key], sizeof(before[key]), "%s", address_of(upstream, one));
        assert_string_equal(before[key], address_of(other, two));
        end(one, UPSTREAM_WELL);
        upstream_settle(other->picker, two, UPSTREAM_WELL, 1, 0);
    }
    SAYS("10.0.0.1", "10.0.0.4");
    upstream_resolve(upstream);
    for (uint64_t key = 0; key < PC_COUNT(before); key++) {
        size_t one = begin(key);

        if (strcmp(before[key], "10.0.0.2") == 0)
            moved++;
        else
            assert_string_equal(before[key], address_of(upstream, one));
        end(one, UPSTREAM_WELL);
    }
    assert_true(moved > 10);
    upstream_free(other);
}

static void a_thread_asks_again_and_again(void **state)
{
    struct upstream_resolver *resolver = NULL;

    (void)state;
    SAYS("10.0.0.1");
    upstream = made(UPSTREAM_ROUND_ROBIN, true);
    atomic_store(&answer.asked, 0);
    assert_int_equal(upstream_resolver_start(&upstream, 1, &resolver), ERR_OK);
    while (atomic_load(&answer.asked) < 3)
        end(begin(0), UPSTREAM_WELL);
    upstream_resolver_stop(resolver);
    assert_int_equal(present(), 2);
    upstream_resolver_stop(NULL);
}

static _Atomic bool hangs;
static _Atomic unsigned hanging;

static size_t say_late(void *context, const char *name, struct upstream_place *list, size_t max,
                       const char **reterr_why)
{
    (void)atomic_fetch_add(&hanging, 1);
    while (atomic_load(&hangs))
        continue;
    (void)atomic_fetch_sub(&hanging, 1);
    return say(context, name, list, max, reterr_why);
}

/* Stopping waits for no resolver, and nothing of the upstream is touched when it answers at last.
 */
static void a_look_up_that_hangs_holds_nobody_up(void **state)
{
    struct upstream_resolver *resolver = NULL;

    (void)state;
    SAYS("10.0.0.1");
    upstream = made(UPSTREAM_ROUND_ROBIN, true);
    upstream->options.look_up = say_late;
    atomic_store(&hangs, true);
    assert_int_equal(upstream_resolver_start(&upstream, 1, &resolver), ERR_OK);
    while (atomic_load(&hanging) == 0)
        end(begin(0), UPSTREAM_WELL);
    upstream_resolver_stop(resolver);
    upstream_free(upstream);
    upstream = NULL;
    atomic_store(&hangs, false);
    while (atomic_load(&hanging) > 0)
        continue;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_addresses_are_asked),
        TEST(addresses_share_a_weight),
        TEST(addresses_come_and_go),
        TEST(a_new_address_begins_well),
        TEST(a_name_is_held_as_a_whole),
        TEST(the_last_addresses_stay_when_it_fails),
        TEST(a_name_may_be_unknown_at_the_start),
        TEST(long_answers_are_cut),
        TEST(keys_find_their_address),
        TEST(a_thread_asks_again_and_again),
        TEST(a_look_up_that_hangs_holds_nobody_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
