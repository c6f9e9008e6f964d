/* SPDX-License-Identifier: MIT
 * Leases against a model: a bucket that does what the script does, nodes that take, use, lose and
 * give back in any order, and a count of everything that was ever admitted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "limit/limit_lease.h"

enum { NODES = 3, STEPS = 1500, ROUNDS = 40, BURST = 20, STEP_US = 50000 };

static uint64_t seed;

static uint32_t draw(uint32_t below)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % below;
}

/* The bucket in Redis. */
static int64_t tat_us;

static void script(const struct limit_part *part, int64_t now_us, int64_t *ret_debt,
                   int64_t *ret_got)
{
    int64_t debt = tat_us > now_us ? tat_us - now_us : 0;
    int64_t open = (part->room_us - debt) / part->step_us;
    int64_t got = part->want < open ? part->want : open;
    int64_t after = debt + got * part->step_us;

    *ret_debt = debt;
    *ret_got = got;
    tat_us = now_us + (after > 0 ? after : 0);
}

struct landing {
    bool due;
    int64_t debt, got;
};

static const struct limit_rate rate = {.requests = BURST,
                                       .period_ns = (int64_t)BURST * STEP_US * CLOCK_NS_PER_US};

static void never_more(int64_t *at_us, size_t count, int64_t out_most)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = i; j < count; j++) {
            int64_t most = BURST + (at_us[j] - at_us[i]) / STEP_US + 1 + out_most;

            if ((int64_t)(j - i + 1) > most)
                fail_msg("%zu admitted where %lld may be, seed %llu", j - i + 1, (long long)most,
                         (unsigned long long)seed);
        }
    }
}

static void run_round(int32_t size)
{
    struct limit_lease leases[NODES];
    struct landing landings[NODES] = {{0}};
    int64_t now_us = 1000000;
    static int64_t admitted_us[STEPS];
    size_t admitted = 0;

    memset(leases, 0, sizeof(leases));
    tat_us = 0;
    for (size_t i = 0; i < NODES; i++) {
        leases[i].part = limit_part_of(&rate);
        leases[i].size = size;
    }
    for (size_t step = 0; step < STEPS; step++) {
        size_t i = draw(NODES);
        struct limit_lease *lease = &leases[i];
        int64_t now_ns = now_us * CLOCK_NS_PER_US;

        if (landings[i].due) { /* its answer comes, or is lost */
            landings[i].due = false;
            if (draw(20) > 0)
                limit_lease_landed(lease, landings[i].debt, landings[i].got, now_ns);
        } else if (draw(12) == 0 && lease->left > 0) {
            limit_lease_return(lease);
            script(&lease->part, now_us, &landings[i].debt, &landings[i].got);
            landings[i].due = true;
        } else if (limit_lease_has(lease, now_ns)) {
            limit_lease_give(lease);
            admitted_us[admitted++] = now_us;
        } else if (!limit_lease_is_refused(lease, now_ns)) {
            limit_lease_ask(lease);
            script(&lease->part, now_us, &landings[i].debt, &landings[i].got);
            landings[i].due = true;
        }
        now_us += draw(3) == 0 ? draw(2 * STEP_US) : draw(200);
        now_us += draw(200) == 0 ? 5000000 : 0;
    }
    assert_true(admitted > 0);
    never_more(admitted_us, admitted, (int64_t)size * NODES);
}

static void admits_no_more_than_limit_and_leases(void **state)
{
    (void)state;
    for (seed = 1; seed <= ROUNDS; seed++) {
        uint64_t begin = seed;

        run_round((int32_t)(1 + begin % 7));
        seed = begin;
    }
}

static void has_a_size(void **state)
{
    (void)state;
    assert_int_equal(limit_lease_size(1000, 10, 2), 50);
    assert_int_equal(limit_lease_size(5, 10, 4), 1);
    assert_int_equal(limit_lease_size(UINT32_MAX, 50, 1), INT32_MAX);
}

static void is_lost_when_it_cannot_go_back(void **state)
{
    struct limit_lease lease = {.part = limit_part_of(&rate), .size = 5};

    (void)state;
    limit_lease_ask(&lease);
    assert_int_equal(lease.part.want, 5);
    assert_int_equal(lease.part.least, 0);
    limit_lease_landed(&lease, 0, 5, 0);
    assert_true(limit_lease_has(&lease, LIMIT_LEASE_NS));
    assert_false(limit_lease_has(&lease, 2 * LIMIT_LEASE_NS));
    limit_lease_ask(&lease);
    assert_int_equal(lease.left, 0);
}

/* An empty bucket is not asked again before it has something. */
static void knows_when_to_ask_again(void **state)
{
    struct limit_lease lease = {.part = limit_part_of(&rate), .size = 5};
    struct limit_verdict verdict;
    int64_t step_ns = STEP_US * CLOCK_NS_PER_US;

    (void)state;
    limit_lease_ask(&lease);
    limit_lease_landed(&lease, lease.part.room_us, 0, 0);
    assert_true(limit_lease_is_refused(&lease, step_ns - 1));
    verdict = limit_lease_verdict(&lease, false, step_ns / 2);
    assert_false(verdict.allowed);
    assert_int_equal(verdict.retry_after_ns, step_ns / 2);
    assert_false(limit_lease_is_refused(&lease, step_ns));
    limit_lease_landed(&lease, 0, 0, step_ns); /* a lie: it was empty, and is full */
    assert_true(limit_lease_is_refused(&lease, step_ns + 1));
}

/* What the client is told: of the bucket as it was heard of, filled since, and what is out. */
static void tells_what_is_left(void **state)
{
    struct limit_lease lease = {.part = limit_part_of(&rate), .size = 5};
    const int64_t step_ns = STEP_US * CLOCK_NS_PER_US;
    struct limit_verdict verdict;

    (void)state;
    limit_lease_ask(&lease);
    limit_lease_landed(&lease, 2 * STEP_US, 5, 0);
    assert_int_equal(lease.debt_us, 7 * STEP_US);
    verdict = limit_lease_verdict(&lease, true, step_ns);
    assert_int_equal(verdict.full_after_ns, 6 * step_ns);
    assert_int_equal(verdict.remaining, BURST - 6 + 5);
    verdict = limit_lease_verdict(&lease, true, 100 * step_ns); /* full since long */
    assert_int_equal(verdict.full_after_ns, 0);
    assert_int_equal(verdict.remaining, BURST); /* not more, with those that are out */
    limit_lease_return(&lease);
    assert_int_equal(lease.part.want, -5);
    limit_lease_landed(&lease, 2 * STEP_US, -5, 0);
    assert_int_equal(lease.debt_us, 0);
}

/* A digest's first bytes say where, within the table. */
static void has_a_place(void **state)
{
    static const uint32_t hashes[] = {0, 1, 77, UINT32_MAX, UINT32_MAX - 5};
    struct limit_leases leases = {0};
    struct limit_part part = limit_part_of(&rate);

    (void)state;
    assert_int_equal(limit_leases_new(&leases), ERR_OK);
    for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
        memcpy(part.key, &hashes[i], sizeof(hashes[i]));
        assert_ptr_equal(limit_lease_find(&leases, &part, 5, 0),
                         &leases.slots[hashes[i] % (LIMIT_LEASE_SLOTS / 8) * 8]);
    }
    limit_leases_free(&leases);
    assert_null(leases.slots);
}

/* Whoever has something out, or waits, keeps the place. */
static void keeps_what_is_out(void **state)
{
    struct limit_leases leases = {0};
    struct limit_part part = limit_part_of(&rate);
    struct limit_lease *held[9] = {NULL};

    (void)state;
    assert_int_equal(limit_leases_new(&leases), ERR_OK);
    for (unsigned char i = 0; i < 8; i++) { /* of one set */
        part.key[LIMIT_KEY_BYTES - 1] = i;
        held[i] = limit_lease_find(&leases, &part, 5, 0);
        assert_non_null(held[i]);
        held[i]->left = 1;
        held[i]->until_ns = LIMIT_LEASE_NS;
    }
    part.key[LIMIT_KEY_BYTES - 1] = 8;
    assert_null(limit_lease_find(&leases, &part, 5, 1));
    held[3]->left = 0;
    held[9 - 1] = limit_lease_find(&leases, &part, 5, 1);
    assert_ptr_equal(held[8], held[3]);
    assert_int_equal(held[8]->size, 5);
    part.key[LIMIT_KEY_BYTES - 1] = 4;
    part.step_us *= 2; /* the limit is another now */
    assert_ptr_equal(limit_lease_find(&leases, &part, 7, 1), held[4]);
    assert_int_equal(held[4]->size, 7);
    assert_int_equal(held[4]->part.step_us, part.step_us);
    assert_int_equal(held[4]->left, 1);
    limit_leases_free(&leases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(admits_no_more_than_limit_and_leases),
        cmocka_unit_test(has_a_size),
        cmocka_unit_test(is_lost_when_it_cannot_go_back),
        cmocka_unit_test(knows_when_to_ask_again),
        cmocka_unit_test(tells_what_is_left),
        cmocka_unit_test(has_a_place),
        cmocka_unit_test(keeps_what_is_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
