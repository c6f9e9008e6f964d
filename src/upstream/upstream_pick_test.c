/* SPDX-License-Identifier: MIT
 * Each way of balancing: exact where it must be exact, by shares where it draws, in a small world
 * with slow targets, and by many threads at once. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "upstream/upstream_pick.h"

#define MS CLOCK_NS_PER_MS

enum {
    THREADS = 4,
    ROUNDS = 60000,
    DOOR_ROUNDS = 200000,
    HELD_MAX = 32,
    KEYS = 40000,
    COST_PICKS = 100000
};

/* A picker with one loop's belongings. */
struct bench {
    struct upstream_picker *picker;
    struct upstream_turn turn;
    struct random_batch random;
    struct random_seeded seeded;
    size_t count;
};

static char name_texts[UPSTREAM_TARGETS_MAX][32];
static struct span names[UPSTREAM_TARGETS_MAX];

static void names_make(void)
{
    for (size_t i = 0; i < UPSTREAM_TARGETS_MAX; i++) {
        (void)snprintf(name_texts[i], sizeof(name_texts[i]), "http://10.0.0.%zu:8080", i + 1);
        names[i] = span_from(name_texts[i]);
    }
}

static void bench_open(struct bench *bench, enum upstream_balance balance, const uint32_t *weights,
                       size_t count, uint64_t seed)
{
    names_make();
    memset(bench, 0, sizeof(*bench));
    bench->count = count;
    random_seeded_init(&bench->seeded, seed);
    random_batch_init(&bench->random, &bench->seeded.source);
    assert_int_equal(upstream_picker_new(balance, weights, names, count, NULL, &bench->picker),
                     ERR_OK);
}

static size_t pick(struct bench *bench, uint64_t key, uint64_t tried, int64_t now_ns)
{
    return upstream_pick(bench->picker, &bench->turn, &bench->random, key, tried, now_ns);
}

static void settle(struct bench *bench, size_t target, int64_t took_ns, int64_t now_ns)
{
    upstream_settle(bench->picker, target, UPSTREAM_WELL, took_ns, now_ns);
}

static size_t pick_and_settle(struct bench *bench, uint64_t key)
{
    size_t target = pick(bench, key, 0, 0);

    assert_true(target < bench->count);
    settle(bench, target, MS, 0);
    return target;
}

static void close_balanced(struct bench *bench)
{
    for (size_t i = 0; i < bench->count; i++)
        assert_int_equal(upstream_target_state(bench->picker, i, 0).in_flight, 0);
    upstream_picker_free(bench->picker);
}

static bool is_cycle(const char *got, size_t got_count, const char *from, const char *cycle,
                     size_t length)
{
    for (size_t i = 0; i < got_count; i++)
        if (got[i] != cycle[((size_t)(from - cycle) + i) % length])
            return false;
    return true;
}

/* The picks are the cycle, from any of its places on. */
static void follows_cycle(enum upstream_balance balance, const uint32_t *weights, size_t count,
                          const char *cycle)
{
    size_t length = strlen(cycle);
    bool began_late = false;

    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct bench bench;
        char got[400];
        size_t phase = 0;

        bench_open(&bench, balance, weights, count, seed);
        for (size_t i = 0; i < sizeof(got); i++)
            got[i] = (char)('a' + pick_and_settle(&bench, 0));
        while (phase < length && !is_cycle(got, sizeof(got), cycle + phase, cycle, length))
            phase++;
        assert_true(phase < length);
        began_late = began_late || phase > 0;
        close_balanced(&bench);
    }
    assert_true(began_late == (length > 1));
}

static void round_robin_is_smooth_and_exact(void **state)
{
    (void)state;
    follows_cycle(UPSTREAM_ROUND_ROBIN, (uint32_t[]){1}, 1, "a");
    follows_cycle(UPSTREAM_ROUND_ROBIN, (uint32_t[]){7, 7, 7}, 3, "abc");
    follows_cycle(UPSTREAM_ROUND_ROBIN, (uint32_t[]){5, 1, 1}, 3, "aabacaa");
    follows_cycle(UPSTREAM_ROUND_ROBIN, (uint32_t[]){3, 2}, 2, "ababa");
    follows_cycle(UPSTREAM_ROUND_ROBIN, (uint32_t[]){1, 2, 4}, 3, "cbcacbc");
}

/* With nothing in flight all are tied, and ties follow the weights. */
static void ties_of_least_requests_come_in_turn(void **state)
{
    (void)state;
    follows_cycle(UPSTREAM_LEAST_REQUESTS, (uint32_t[]){1, 1, 1, 1}, 4, "abcd");
    follows_cycle(UPSTREAM_LEAST_REQUESTS, (uint32_t[]){5, 1, 1}, 3, "aabacaa");
}

/* Random picks and ends; each pick is of the fewest in flight per weight. */
static void least_requests_never_picks_a_busier_one(void **state)
{
    const uint32_t weights[] = {1, 4, 2, 2, 8, 1};
    uint32_t flying[PC_COUNT(weights)] = {0};
    struct bench bench;

    (void)state;
    bench_open(&bench, UPSTREAM_LEAST_REQUESTS, weights, PC_COUNT(weights), 3);
    for (int step = 0; step < 100000; step++) {
        uint32_t random;
        size_t i;

        random_batch_fill(&bench.random, &random, sizeof(random));
        i = random % PC_COUNT(weights);
        if (random >> 16 & 1 && flying[i] > 0) {
            settle(&bench, i, MS, 0);
            flying[i]--;
            continue;
        }
        i = pick(&bench, 0, 0, 0);
        for (size_t other = 0; other < PC_COUNT(weights); other++)
            assert_true(flying[i] * weights[other] <= flying[other] * weights[i]);
        flying[i]++;
        assert_int_equal(upstream_target_state(bench.picker, i, 0).in_flight, flying[i]);
    }
    for (size_t i = 0; i < PC_COUNT(weights); i++)
        for (; flying[i] > 0; flying[i]--)
            settle(&bench, i, MS, 0);
    close_balanced(&bench);
}

/* Of each ten thousand by weight: no difference in latency, none in flight. A target of a hundredth
 * tells an alias table that is only about right. */
static void draws_follow_the_weights(void **state)
{
    const uint32_t weights[] = {1, 1, 10, 20, 30, 38};
    uint32_t got[PC_COUNT(weights)] = {0};
    struct bench bench;

    (void)state;
    bench_open(&bench, UPSTREAM_POWER_OF_TWO, (uint32_t[]){1, 1, 1, 1, 1, 1}, 6, 5);
    for (int i = 0; i < 60000; i++)
        got[pick_and_settle(&bench, 0)]++;
    for (size_t i = 0; i < 6; i++)
        assert_in_range(got[i], 9600, 10400);
    close_balanced(&bench);

    /* Little load: the draw decides between targets that are about as fast. */
    bench_open(&bench, UPSTREAM_POWER_OF_TWO, (uint32_t[]){1, 3}, 2, 7);
    memset(got, 0, sizeof(got));
    for (int i = 0; i < 10000; i++) {
        size_t target = pick(&bench, 0, 0, i * MS);

        got[target]++;
        settle(&bench, target, target == 0 ? 10 * MS : 15 * MS, i * MS);
    }
    assert_in_range(got[0], 2400, 2600);
    close_balanced(&bench);

    bench_open(&bench, UPSTREAM_POWER_OF_TWO, weights, PC_COUNT(weights), 6);
    memset(got, 0, sizeof(got));
    for (int i = 0; i < 100000; i++)
        got[pick_and_settle(&bench, 0)]++;
    for (size_t i = 0; i < PC_COUNT(weights); i++)
        assert_in_range(got[i], weights[i] * 900, weights[i] * 1100);
    close_balanced(&bench);

    /* All in flight: the number there follows the weights. */
    memset(got, 0, sizeof(got));
    bench_open(&bench, UPSTREAM_POWER_OF_TWO, weights, PC_COUNT(weights), 6);
    for (int i = 0; i < 10000; i++)
        got[pick(&bench, 0, 0, 0)]++;
    for (size_t i = 0; i < PC_COUNT(weights); i++)
        assert_in_range(got[i], weights[i] * 90, weights[i] * 110);
    for (size_t i = 0; i < PC_COUNT(weights); i++)
        for (; got[i] > 0; got[i]--)
            settle(&bench, i, MS, 0);
    close_balanced(&bench);
}

/* A world: one request each millisecond, which takes as long as its target does. */
struct flight {
    int64_t ends_ns;
    int64_t took_ns;
    size_t target;
};

struct world {
    struct bench bench;
    struct flight flights[1024];
    size_t flight_count;
    int64_t takes_ns[3];
    uint32_t got[3];
    uint32_t most_flying[3];
    int64_t now_ns;
};

static void world_lands(struct world *world)
{
    for (size_t i = 0; i < world->flight_count;) {
        struct flight flight = world->flights[i];

        if (flight.ends_ns > world->now_ns) {
            i++;
            continue;
        }
        settle(&world->bench, flight.target, flight.took_ns, world->now_ns);
        world->flights[i] = world->flights[--world->flight_count];
    }
}

static void world_runs(struct world *world, int64_t seconds)
{
    memset(world->got, 0, sizeof(world->got));
    memset(world->most_flying, 0, sizeof(world->most_flying));
    for (int64_t ms = 0; ms < seconds * 1000; ms++) {
        size_t i;
        uint32_t flying;

        world->now_ns += MS;
        world_lands(world);
        i = pick(&world->bench, 0, 0, world->now_ns);
        assert_true(world->flight_count < PC_COUNT(world->flights));
        world->flights[world->flight_count++] =
            (struct flight){.ends_ns = world->now_ns + world->takes_ns[i],
                            .took_ns = world->takes_ns[i],
                            .target = i};
        world->got[i]++;
        flying = upstream_target_state(world->bench.picker, i, 0).in_flight;
        if (flying > world->most_flying[i])
            world->most_flying[i] = flying;
    }
}

static void world_ends(struct world *world)
{
    world->now_ns = INT64_MAX / 2;
    world_lands(world);
    close_balanced(&world->bench);
}

/* Ten times slower: asked so rarely that it does not hurt, yet asked, and back when it is fast. */
static void power_of_two_avoids_the_slow_and_finds_it_again(void **state)
{
    struct world world = {.takes_ns = {10 * MS, 10 * MS, 100 * MS}};

    (void)state;
    bench_open(&world.bench, UPSTREAM_POWER_OF_TWO, (uint32_t[]){1, 1, 1}, 3, 9);
    world_runs(&world, 60);
    assert_in_range(world.got[2], 5, 600); /* 1 % */
    assert_true(world.most_flying[2] <= 12);
    assert_in_range(world.got[0], 28000, 32000);

    world.takes_ns[2] = 10 * MS;
    world_runs(&world, 15); /* 10 times is three halvings and a bit: 7 to 9 s, and it settles */
    world_runs(&world, 10);
    assert_in_range(world.got[2], 2800, 3900);
    world_ends(&world);
}

/* Both are known, the one as slow; what the slow one is asked from then on is asked by time. */
static void open_with_slow(struct bench *bench, uint64_t seed)
{
    bench_open(bench, UPSTREAM_POWER_OF_TWO, (uint32_t[]){1, 1}, 2, seed);
    assert_int_equal(pick(bench, 0, 2, 0), 0);
    settle(bench, 0, 100 * MS, 0);
    assert_int_equal(pick(bench, 0, 1, 0), 1);
    settle(bench, 1, 10 * MS, 0);
}

/* One request at a time never makes the fast one busy enough, but time heals: after three halvings
 * the slow one is about as fast, is tried, and avoided for as long again. */
static void slow_target_is_tried_in_time(void **state)
{
    struct bench bench;
    int64_t asked_ns = 0;
    uint32_t asked = 0;

    (void)state;
    open_with_slow(&bench, 2);
    for (int64_t now_ns = 0; now_ns < 60 * CLOCK_NS_PER_S; now_ns += 100 * MS) {
        size_t target = pick(&bench, 0, 0, now_ns);

        settle(&bench, target, target == 0 ? 100 * MS : 10 * MS, now_ns);
        if (target == 1)
            continue;
        assert_in_range(now_ns - asked_ns, 6000 * MS, 9000 * MS);
        asked_ns = now_ns;
        asked++;
    }
    assert_in_range(asked, 6, 9);
    close_balanced(&bench);
}

/* Long unheard of, it counts like the other and not better: the one with fewer in flight is asked,
 * whichever was drawn first. */
static void faded_estimate_stops_at_the_other(void **state)
{
    const int64_t late_ns = 600 * CLOCK_NS_PER_S;
    struct bench bench;

    (void)state;
    open_with_slow(&bench, 3);
    assert_int_equal(pick(&bench, 0, 1, late_ns), 1);
    settle(&bench, 1, 10 * MS, late_ns);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pick(&bench, 0, 1, late_ns), 1);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(pick(&bench, 0, 0, late_ns), 0);
        upstream_settle(bench.picker, 0, UPSTREAM_NEUTRAL, 0, late_ns);
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(pick(&bench, 0, 2, late_ns), 0);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(pick(&bench, 0, 0, late_ns), 1);
        upstream_settle(bench.picker, 1, UPSTREAM_NEUTRAL, 0, late_ns);
    }
    for (int i = 0; i < 7; i++)
        upstream_settle(bench.picker, i < 3, UPSTREAM_NEUTRAL, 0, late_ns);
    close_balanced(&bench);
}

/* A peak counts at once; the way back takes time. */
static void latency_leaps_up_and_sinks(void **state)
{
    struct bench bench;
    int64_t now_ns = 0;

    (void)state;
    bench_open(&bench, UPSTREAM_POWER_OF_TWO, (uint32_t[]){1}, 1, 1);
    assert_int_equal(upstream_target_state(bench.picker, 0, 0).latency_ns, 0);
    settle(&bench, pick(&bench, 0, 0, 0), 5 * MS, 0);
    assert_int_equal(upstream_target_state(bench.picker, 0, 0).latency_ns, 5 * MS);
    settle(&bench, pick(&bench, 0, 0, 0), 80 * MS, 0);
    assert_int_equal(upstream_target_state(bench.picker, 0, 0).latency_ns, 80 * MS);
    upstream_settle(bench.picker, pick(&bench, 0, 0, 0), UPSTREAM_FAILED, 900 * MS, 0);
    upstream_settle(bench.picker, pick(&bench, 0, 0, 0), UPSTREAM_NEUTRAL, 900 * MS, 0);
    assert_int_equal(upstream_target_state(bench.picker, 0, 0).latency_ns, 80 * MS);

    /* One time constant of quick answers, however many they are: what is left is 1/e. */
    for (int per_ms = 1; per_ms <= 100; per_ms *= 10) {
        int64_t latency;

        settle(&bench, pick(&bench, 0, 0, now_ns), 80 * MS, now_ns);
        for (int64_t i = 0; i < INT64_C(4295) * per_ms; i++) {
            now_ns += MS / per_ms;
            settle(&bench, pick(&bench, 0, 0, now_ns), 5 * MS, now_ns);
        }
        latency = upstream_target_state(bench.picker, 0, 0).latency_ns;
        assert_in_range(latency, (5 + 26) * MS, (5 + 29) * MS);
        now_ns += 10000 * MS;
        settle(&bench, pick(&bench, 0, 0, now_ns), 5 * MS, now_ns);
        assert_int_equal(upstream_target_state(bench.picker, 0, 0).latency_ns, 5 * MS);
    }
    close_balanced(&bench);
}

/* A target never heard of counts like the one it is compared to: it gets its share of requests,
 * and no more than that, though it has not answered. */
static void new_target_is_neither_flooded_nor_starved(void **state)
{
    struct bench bench;
    uint32_t got[2] = {0};

    (void)state;
    bench_open(&bench, UPSTREAM_POWER_OF_TWO, (uint32_t[]){1, 1}, 2, 4);
    while (upstream_target_state(bench.picker, 0, 0).latency_ns == 0) {
        size_t i = pick(&bench, 0, 2, 0);

        assert_int_equal(i, 0);
        settle(&bench, i, 50 * MS, 0);
    }
    for (int i = 0; i < 100; i++)
        got[pick(&bench, 0, 0, 0)]++;
    assert_int_equal(got[0], 50);
    for (int i = 0; i < 50; i++) {
        settle(&bench, 0, 50 * MS, 0);
        settle(&bench, 1, 50 * MS, 0);
    }
    close_balanced(&bench);
}

static void tries_come_last(enum upstream_balance balance, const uint32_t *weights)
{
    struct bench bench;

    bench_open(&bench, balance, weights, 4, 8);
    for (uint64_t key = 0; key < 200; key++) {
        uint64_t tried = 0;

        for (int i = 0; i < 4; i++) {
            size_t target = pick(&bench, key, tried, 0);

            assert_int_equal(tried >> target & 1, 0);
            tried |= UINT64_C(1) << target;
            settle(&bench, target, MS, 0);
        }
        settle(&bench, pick(&bench, key, tried, 0), MS, 0);
    }
    close_balanced(&bench);
}

static void tried_targets_come_last(void **state)
{
    (void)state;
    for (int balance = UPSTREAM_ROUND_ROBIN; balance <= UPSTREAM_HASH; balance++) {
        tries_come_last((enum upstream_balance)balance, (uint32_t[]){3, 1, 1, 1});
        tries_come_last((enum upstream_balance)balance, (uint32_t[]){2, 2, 2, 2});
    }
}

static void hash_shares_follow_the_weights(void **state)
{
    const uint32_t weights[] = {1, 2, 2, 5, 10};
    uint32_t got[PC_COUNT(weights)] = {0};
    struct bench bench;

    (void)state;
    bench_open(&bench, UPSTREAM_HASH, weights, PC_COUNT(weights), 1);
    for (uint64_t key = 0; key < KEYS; key++)
        got[pick_and_settle(&bench, key)]++;
    for (size_t i = 0; i < PC_COUNT(weights); i++)
        assert_in_range(got[i], KEYS / 20 * weights[i] * 75 / 100,
                        KEYS / 20 * weights[i] * 125 / 100);
    close_balanced(&bench);
}

/* Who is drained, or was tried, gives its keys to the others, to each some, and no other moves. */
static void hash_moves_only_the_keys_of_who_leaves(void **state)
{
    static size_t owner[KEYS];
    uint32_t moved[10] = {0};
    struct bench bench;

    (void)state;
    bench_open(&bench, UPSTREAM_HASH, (uint32_t[]){1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 10, 1);
    for (uint64_t key = 0; key < KEYS; key++)
        owner[key] = pick_and_settle(&bench, key);
    upstream_drain(bench.picker, 4, true);
    for (uint64_t key = 0; key < KEYS; key++) {
        size_t target = pick_and_settle(&bench, key);

        assert_int_not_equal(target, 4);
        if (owner[key] == 4)
            moved[target]++;
        else
            assert_int_equal(target, owner[key]);
    }
    for (size_t i = 0; i < 10; i++)
        assert_true(i == 4 ? moved[i] == 0 : moved[i] > KEYS / 10 / 9 / 2);
    upstream_drain(bench.picker, 4, false);
    for (uint64_t key = 0; key < KEYS; key++)
        assert_int_equal(pick_and_settle(&bench, key), owner[key]);
    close_balanced(&bench);
}

/* Another node, another order of names, and one name less: a tenth of the keys moves. */
static void hash_depends_on_names_alone(void **state)
{
    const uint32_t weights[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    struct span turned[10];
    struct upstream_picker *other = NULL;
    struct upstream_picker *less = NULL;
    struct bench bench;
    uint32_t moved = 0;

    (void)state;
    bench_open(&bench, UPSTREAM_HASH, weights, 10, 1);
    for (size_t i = 0; i < 10; i++)
        turned[i] = names[9 - i];
    assert_int_equal(upstream_picker_new(UPSTREAM_HASH, weights, turned, 10, NULL, &other), ERR_OK);
    assert_int_equal(upstream_picker_new(UPSTREAM_HASH, weights, names, 9, NULL, &less), ERR_OK);
    for (uint64_t key = 0; key < KEYS; key++) {
        size_t mine = pick_and_settle(&bench, key);
        size_t theirs = upstream_pick(other, &bench.turn, &bench.random, key, 0, 0);
        size_t after = upstream_pick(less, &bench.turn, &bench.random, key, 0, 0);

        assert_int_equal(mine, 9 - theirs);
        moved += mine != after;
        assert_true(mine == after || mine == 9);
    }
    assert_in_range(moved, KEYS / 10 * 75 / 100, KEYS / 10 * 125 / 100);
    upstream_picker_free(other);
    upstream_picker_free(less);
    close_balanced(&bench);
}

static void all_drained_is_no_target(void **state)
{
    (void)state;
    for (int balance = UPSTREAM_ROUND_ROBIN; balance <= UPSTREAM_HASH; balance++) {
        struct bench bench;

        bench_open(&bench, (enum upstream_balance)balance, (uint32_t[]){1, 2}, 2, 8);
        upstream_drain(bench.picker, 0, true);
        for (uint64_t key = 0; key < 50; key++)
            assert_int_equal(pick_and_settle(&bench, key), 1);
        upstream_drain(bench.picker, 1, true);
        assert_true(pick(&bench, 7, 0, 0) == UPSTREAM_NO_TARGET);
        upstream_drain(bench.picker, 0, false);
        assert_int_equal(pick_and_settle(&bench, 3), 0);
        close_balanced(&bench);
    }
}

static void most_targets_work(void **state)
{
    uint32_t weights[UPSTREAM_TARGETS_MAX];

    (void)state;
    for (size_t i = 0; i < UPSTREAM_TARGETS_MAX; i++)
        weights[i] = i == 0 ? UPSTREAM_WEIGHT_MAX : i % 2 == 0 ? 1 : 50;
    for (int balance = UPSTREAM_ROUND_ROBIN; balance <= UPSTREAM_HASH; balance++) {
        struct bench bench;
        uint64_t seen = 0;

        bench_open(&bench, (enum upstream_balance)balance, weights, UPSTREAM_TARGETS_MAX, 8);
        for (uint64_t key = 0; key < 200000; key++)
            seen |= UINT64_C(1) << pick_and_settle(&bench, key);
        assert_true(seen == UINT64_MAX);
        close_balanced(&bench);
    }
}

/* Threads pick, hold, settle; operator, checks and failures stir. Afterwards nothing is in flight
 * and no bit says other than its target. */
struct crowd {
    struct upstream_picker *picker;
    pthread_barrier_t all_here;
    _Atomic int64_t now_ns;
    _Atomic uint32_t number;
};

static void *crowd_run(void *context)
{
    struct crowd *crowd = context;
    struct upstream_turn turn = {0};
    struct random_seeded seeded;
    struct random_batch random;
    size_t held[HELD_MAX];
    size_t held_count = 0;

    random_seeded_init(&seeded, atomic_fetch_add(&crowd->number, 1) + 1);
    random_batch_init(&random, &seeded.source);
    (void)pthread_barrier_wait(&crowd->all_here);
    for (unsigned i = 0; i < ROUNDS || held_count > 0; i++) {
        int64_t now_ns = atomic_fetch_add(&crowd->now_ns, MS);
        uint32_t draw;

        random_batch_fill(&random, &draw, sizeof(draw));
        if (draw % 512 == 0)
            upstream_drain(crowd->picker, draw >> 16 & 3, (draw >> 20 & 3) == 0);
        if (draw % 128 == 1)
            upstream_checked(crowd->picker, draw >> 16 & 3, (draw >> 20 & 3) != 0, now_ns);
        if (i < ROUNDS && held_count < HELD_MAX && draw >> 31 == 0) {
            size_t target = upstream_pick(crowd->picker, &turn, &random, draw, 0, now_ns);

            if (target != UPSTREAM_NO_TARGET)
                held[held_count++] = target;
        } else if (held_count > 0) {
            enum upstream_outcome outcome = (draw >> 24 & 7) < 5   ? UPSTREAM_FAILED
                                            : (draw >> 24 & 7) < 7 ? UPSTREAM_WELL
                                                                   : UPSTREAM_NEUTRAL;

            upstream_settle(crowd->picker, held[--held_count], outcome, MS, now_ns);
        }
    }
    return NULL;
}

static void crowd_leaves_nothing_in_flight(void **state)
{
    (void)state;
    names_make();
    for (int balance = UPSTREAM_ROUND_ROBIN; balance <= UPSTREAM_HASH; balance++) {
        struct crowd crowd = {0};
        struct upstream_health_rules rules = {.fails_max = 3, .eject_ns = 5 * MS};
        pthread_t threads[THREADS];
        uint32_t ejections = 0;

        assert_int_equal(upstream_picker_new((enum upstream_balance)balance,
                                             (uint32_t[]){1, 2, 3, 4}, names, 4, &rules,
                                             &crowd.picker),
                         ERR_OK);
        assert_int_equal(pthread_barrier_init(&crowd.all_here, NULL, THREADS), 0);
        for (size_t i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, crowd_run, &crowd), 0);
        for (size_t i = 0; i < THREADS; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        (void)pthread_barrier_destroy(&crowd.all_here);
        for (size_t i = 0; i < 4; i++) {
            assert_int_equal(upstream_target_state(crowd.picker, i, 0).in_flight, 0);
            ejections += upstream_target_state(crowd.picker, i, 0).ejections;
        }
        assert_true(ejections > 100);
        assert_true(upstream_panic_picks(crowd.picker) > 0);
        upstream_picker_free(crowd.picker);
    }
}

/* One ejected target whose time is over, all threads at its door: one trial at a time. */
struct door {
    struct upstream_picker *picker;
    pthread_barrier_t all_here;
    _Atomic uint32_t inside;
    _Atomic uint32_t trials;
    _Atomic bool too_many;
};

static void *door_run(void *context)
{
    struct door *door = context;
    struct upstream_turn turn = {0};
    struct random_batch random;

    random_batch_init(&random, &random_system);
    (void)pthread_barrier_wait(&door->all_here);
    for (unsigned i = 0; i < DOOR_ROUNDS; i++) {
        size_t target =
            upstream_pick(door->picker, &turn, &random, 0, ~UINT64_C(1), 100 * CLOCK_NS_PER_S);

        if (target == 0) {
            if (atomic_fetch_add(&door->inside, 1) != 0)
                atomic_store(&door->too_many, true);
            (void)atomic_fetch_add(&door->trials, 1);
            for (int wait = 0; wait < 300; wait++) /* so that others come to the door */
                (void)atomic_load(&door->too_many);
            (void)atomic_fetch_sub(&door->inside, 1);
        }
        upstream_settle(door->picker, target, UPSTREAM_NEUTRAL, 0, 100 * CLOCK_NS_PER_S);
    }
    return NULL;
}

static void door_of_a_trial_holds(void **state)
{
    struct door door = {0};
    struct bench bench;
    pthread_t threads[THREADS];

    (void)state;
    bench_open(&bench, UPSTREAM_ROUND_ROBIN, (uint32_t[]){1, 1, 1}, 3, 1);
    door.picker = bench.picker;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(pick(&bench, 0, ~UINT64_C(1), 0), 0);
        upstream_settle(bench.picker, 0, UPSTREAM_FAILED, 0, 0);
    }
    assert_int_equal(pthread_barrier_init(&door.all_here, NULL, THREADS), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, door_run, &door), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    (void)pthread_barrier_destroy(&door.all_here);
    assert_false(atomic_load(&door.too_many));
    assert_true(atomic_load(&door.trials) > 1000);
    assert_true(upstream_target_state(bench.picker, 0, 100 * CLOCK_NS_PER_S).on_trial);
    close_balanced(&bench);
}

static void failing_heap_is_an_error(void **state)
{
    (void)state;
    names_make();
    for (uint64_t nth = 1; nth <= 2; nth++) {
        struct upstream_picker *picker = NULL;

        alloc_fail_at(nth);
        assert_int_equal(
            upstream_picker_new(UPSTREAM_HASH, (uint32_t[]){1, 1}, names, 2, NULL, &picker),
            ERR_NO_MEMORY);
        assert_null(picker);
    }
    assert_false(alloc_fail_pending());
    upstream_picker_free(NULL);
}

/* For counting instructions: README.md. */
__attribute__((noinline)) static void cost_loop(struct bench *bench)
{
    for (int64_t i = 0; i < COST_PICKS; i++) {
        size_t target = pick(bench, (uint64_t)i, 0, i * 10000);

        settle(bench, target, MS, i * 10000);
    }
}

#define COST_OF(name, balance)                                                                     \
    __attribute__((noinline)) static void cost_of_##name(void)                                     \
    {                                                                                              \
        struct bench bench;                                                                        \
                                                                                                   \
        bench_open(&bench, balance, (uint32_t[]){1, 1, 1, 1}, 4, 1);                               \
        cost_loop(&bench);                                                                         \
        close_balanced(&bench);                                                                    \
    }
COST_OF(round_robin, UPSTREAM_ROUND_ROBIN)
COST_OF(least_requests, UPSTREAM_LEAST_REQUESTS)
COST_OF(power_of_two, UPSTREAM_POWER_OF_TWO)
COST_OF(hash, UPSTREAM_HASH)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_robin_is_smooth_and_exact),
        cmocka_unit_test(ties_of_least_requests_come_in_turn),
        cmocka_unit_test(least_requests_never_picks_a_busier_one),
        cmocka_unit_test(draws_follow_the_weights),
        cmocka_unit_test(power_of_two_avoids_the_slow_and_finds_it_again),
        cmocka_unit_test(slow_target_is_tried_in_time),
        cmocka_unit_test(faded_estimate_stops_at_the_other),
        cmocka_unit_test(latency_leaps_up_and_sinks),
        cmocka_unit_test(new_target_is_neither_flooded_nor_starved),
        cmocka_unit_test(tried_targets_come_last),
        cmocka_unit_test(hash_shares_follow_the_weights),
        cmocka_unit_test(hash_moves_only_the_keys_of_who_leaves),
        cmocka_unit_test(hash_depends_on_names_alone),
        cmocka_unit_test(all_drained_is_no_target),
        cmocka_unit_test(most_targets_work),
        cmocka_unit_test(crowd_leaves_nothing_in_flight),
        cmocka_unit_test(door_of_a_trial_holds),
        cmocka_unit_test(failing_heap_is_an_error),
    };

    if (argc > 1 && strcmp(argv[1], "cost") == 0) {
        cost_of_round_robin();
        cost_of_least_requests();
        cost_of_power_of_two();
        cost_of_hash();
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
