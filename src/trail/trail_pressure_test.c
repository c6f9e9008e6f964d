/* SPDX-License-Identifier: MIT
 * When writes are refused, since when and for how long, on a clock that is moved by hand. */
#include "trail/trail_pressure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define START   INT64_C(1800000000000000000)
#define SECONDS CLOCK_NS_PER_S

static struct clock_fake the_clock;
static struct trail_pressure *the_pressure;

static void make(bool apart, size_t waiting_max)
{
    const struct trail_pressure_options options = {.clock = &the_clock.clock,
                                                   .apart = apart,
                                                   .waiting_max = waiting_max,
                                                   .wait_ns_max = 30 * SECONDS};

    clock_fake_init(&the_clock, START);
    assert_int_equal(trail_pressure_new(&options, &the_pressure), ERR_OK);
}

static int teardown(void **state)
{
    (void)state;
    trail_pressure_free(the_pressure);
    the_pressure = NULL;
    return 0;
}

static struct trail_pressure_state seen(void)
{
    struct trail_pressure_state state = {0};

    trail_pressure_read(the_pressure, &state);
    return state;
}

static bool note(enum err err, struct trail_pressure_time *ret)
{
    struct trail_pressure_time none = {0};

    return trail_pressure_note(the_pressure, err, ret != NULL ? ret : &none);
}

static void counted(size_t waiting, int64_t age_ns)
{
    trail_pressure_counted(the_pressure, waiting, the_clock.realtime_ns - age_ns,
                           trail_pressure_admitted(the_pressure));
}

/* As many as may wait are let in, and not one more; what was carried makes room. */
static void so_many_may_wait(void **state)
{
    make(true, 100);
    assert_int_equal(trail_pressure_admit(the_pressure, 60), ERR_OK);
    assert_int_equal(trail_pressure_admit(the_pressure, 40), ERR_OK);
    assert_int_equal(trail_pressure_admit(the_pressure, 1), ERR_AUDIT_BEHIND);
    assert_int_equal(seen().waiting, 100);
    assert_int_equal(seen().refused, 1);
    counted(30, 0);
    assert_int_equal(seen().waiting, 30);
    assert_int_equal(trail_pressure_admit(the_pressure, 70), ERR_OK);
    assert_int_equal(trail_pressure_admit(the_pressure, 1), ERR_AUDIT_BEHIND);
    (void)state;
}

/* What is admitted while the outbox is being counted is counted on top of it. */
static void what_comes_meanwhile_counts(void **state)
{
    uint64_t admitted;

    make(true, 100);
    assert_int_equal(trail_pressure_admit(the_pressure, 10), ERR_OK);
    admitted = trail_pressure_admitted(the_pressure);
    assert_int_equal(trail_pressure_admit(the_pressure, 5), ERR_OK);
    trail_pressure_counted(the_pressure, 10, START, admitted);
    assert_int_equal(seen().waiting, 15);
    (void)state;
}

/* A commit with more events than may wait is not refused for ever. */
static void an_empty_outbox_takes_any_commit(void **state)
{
    make(true, 5);
    assert_int_equal(trail_pressure_admit(the_pressure, 1000), ERR_OK);
    assert_int_equal(trail_pressure_admit(the_pressure, 1), ERR_AUDIT_BEHIND);
    (void)state;
}

/* The oldest may wait so long, also between two looks at the outbox. */
static void so_long_may_they_wait(void **state)
{
    make(true, 100);
    counted(1, 29 * SECONDS);
    assert_int_equal(trail_pressure_admit(the_pressure, 1), ERR_OK);
    clock_fake_move(&the_clock, SECONDS + 1);
    assert_int_equal(trail_pressure_admit(the_pressure, 1), ERR_AUDIT_BEHIND);
    assert_int_equal(seen().lag_ns, 30 * SECONDS + 1);
    counted(1, 2 * SECONDS);
    assert_int_equal(trail_pressure_admit(the_pressure, 1), ERR_OK);
    counted(0, 0);
    assert_int_equal(seen().oldest_ns, 0);
    assert_int_equal(seen().lag_ns, 0);
    (void)state;
}

/* A full outbox is trouble, and so is one that was too full for somebody. */
static void who_is_turned_away_is_noticed(void **state)
{
    make(true, 100);
    counted(100, 0);
    assert_false(note(ERR_OK, NULL));
    assert_true(seen().refusing);
    counted(0, 0);
    assert_true(note(ERR_OK, NULL));
    trail_pressure_told(the_pressure);
    counted(95, 0);
    assert_int_equal(trail_pressure_admit(the_pressure, 6), ERR_AUDIT_BEHIND);
    assert_false(note(ERR_OK, NULL));
    assert_true(seen().refusing);
    counted(90, 0);
    assert_true(note(ERR_OK, NULL));
    (void)state;
}

/* Writes are let in again only some way below the bound. */
static void it_eases_before_it_opens(void **state)
{
    make(true, 100);
    counted(101, 0);
    assert_false(note(ERR_OK, NULL));
    assert_true(seen().refusing);
    assert_int_equal(seen().err, ERR_AUDIT_BEHIND);
    counted(95, 0);
    assert_false(note(ERR_OK, NULL));
    assert_int_equal(trail_pressure_admit(the_pressure, 1), ERR_AUDIT_BEHIND);
    counted(90, 0);
    assert_true(note(ERR_OK, NULL));
    assert_false(seen().refusing);
    assert_int_equal(trail_pressure_admit(the_pressure, 1), ERR_OK);
    (void)state;
}

/* From the first sign of trouble to the event that tells of it. */
static void a_time_of_trouble_is_told(void **state)
{
    struct trail_pressure_time told = {0};

    make(true, 10);
    assert_false(note(ERR_OK, NULL));
    assert_int_equal(seen().err, ERR_OK);
    clock_fake_move(&the_clock, SECONDS);
    assert_false(note(ERR_STORE_FULL, NULL));
    assert_int_equal(seen().err, ERR_STORE_FULL);
    assert_int_equal(seen().since_ns, START + SECONDS);
    assert_false(seen().refusing); /* there is room yet */
    clock_fake_move(&the_clock, 4 * SECONDS);
    counted(11, SECONDS);
    assert_false(note(ERR_STORE_UNAVAILABLE, NULL));
    assert_int_equal(trail_pressure_admit(the_pressure, 1), ERR_AUDIT_BEHIND);
    assert_int_equal(seen().err, ERR_STORE_FULL); /* what it began with */
    clock_fake_move(&the_clock, 2 * SECONDS);
    counted(0, 0);
    assert_true(note(ERR_OK, &told));
    assert_int_equal(told.err, ERR_STORE_FULL);
    assert_int_equal(told.since_ns, START + SECONDS);
    assert_int_equal(told.until_ns, START + 7 * SECONDS);
    assert_int_equal(told.refusing_ns, 2 * SECONDS);
    assert_int_equal(told.refused, 1);
    assert_int_equal(seen().err, ERR_STORE_FULL); /* until it is told */
    assert_int_equal(seen().total_ns, 6 * SECONDS);
    trail_pressure_told(the_pressure);
    assert_int_equal(seen().err, ERR_OK);
    assert_int_equal(seen().since_ns, 0);
    clock_fake_move(&the_clock, SECONDS);
    assert_false(note(ERR_OK, NULL));
    assert_int_equal(seen().total_ns, 6 * SECONDS);
    (void)state;
}

/* What comes back before it was told is one time of trouble; what comes after it another. */
static void trouble_that_comes_back(void **state)
{
    struct trail_pressure_time told = {0};

    make(false, 0);
    assert_false(note(ERR_STORE_READ_ONLY, NULL));
    assert_true(seen().refusing); /* the store itself refuses */
    clock_fake_move(&the_clock, SECONDS);
    assert_true(note(ERR_OK, &told));
    assert_false(note(ERR_STORE_FULL, NULL));
    clock_fake_move(&the_clock, SECONDS);
    assert_true(note(ERR_OK, &told));
    assert_int_equal(told.err, ERR_STORE_READ_ONLY);
    assert_int_equal(told.until_ns - told.since_ns, 2 * SECONDS);
    trail_pressure_told(the_pressure);
    assert_false(note(ERR_STORE_FULL, NULL));
    assert_int_equal(seen().err, ERR_STORE_FULL);
    assert_int_equal(seen().since_ns, START + 2 * SECONDS);
    (void)state;
}

/* After a restart the outbox itself tells since when it is behind. */
static void trouble_from_before_the_start(void **state)
{
    struct trail_pressure_time told = {0};

    make(true, 100);
    counted(3, 90 * SECONDS);
    assert_false(note(ERR_OK, NULL));
    assert_int_equal(seen().since_ns, START - 60 * SECONDS);
    clock_fake_move(&the_clock, SECONDS);
    counted(0, 0);
    assert_true(note(ERR_OK, &told));
    assert_int_equal(told.since_ns, START - 60 * SECONDS);
    assert_int_equal(told.refusing_ns, 61 * SECONDS);
    (void)state;
}

/* A carrier that fails for a moment is no trouble; one that goes on failing is. */
static void a_carrier_that_fails(void **state)
{
    make(true, 100);
    trail_pressure_carried(the_pressure, ERR_STORE_UNAVAILABLE);
    assert_false(note(ERR_OK, NULL));
    assert_int_equal(seen().err, ERR_OK);
    clock_fake_move(&the_clock, SECONDS);
    trail_pressure_carried(the_pressure, ERR_STORE_UNAVAILABLE);
    assert_false(note(ERR_OK, NULL));
    assert_int_equal(seen().err, ERR_STORE_UNAVAILABLE);
    assert_false(seen().refusing);
    trail_pressure_carried(the_pressure, ERR_OK);
    assert_true(note(ERR_OK, NULL));
    (void)state;
}

/* A full disk behind a full outbox is told as a full disk, and still as one when it is slow again.
 */
static void what_it_comes_of_is_told(void **state)
{
    struct trail_pressure_time time;

    make(true, 100);
    counted(100, 0);
    assert_int_equal(trail_pressure_admit(the_pressure, 1), ERR_AUDIT_BEHIND);
    assert_false(note(ERR_OK, NULL));
    assert_int_equal(seen().err, ERR_AUDIT_BEHIND);
    clock_fake_move(&the_clock, SECONDS);
    assert_false(note(ERR_STORE_FULL, NULL));
    assert_int_equal(seen().err, ERR_STORE_FULL);
    assert_false(note(ERR_STORE_SLOW, NULL));
    assert_int_equal(seen().err, ERR_STORE_FULL);
    counted(0, 0);
    assert_true(note(ERR_OK, &time));
    assert_int_equal(time.err, ERR_STORE_FULL);
    assert_int_equal(time.since_ns, START);
    (void)state;
}

/* Rows of a node whose clock is a minute behind are as old as they have been seen, and no older. */
static void rows_are_as_old_as_they_were_seen(void **state)
{
    int64_t oldest_ns;

    make(true, 100);
    trail_pressure_counted(the_pressure, 0, trail_pressure_oldest(the_pressure, 0, 0, 0), 0);
    oldest_ns = trail_pressure_oldest(the_pressure, 7, 7, START - 60 * SECONDS);
    trail_pressure_counted(the_pressure, 1, oldest_ns, 0);
    assert_int_equal(seen().lag_ns, 0);
    assert_int_equal(trail_pressure_admit(the_pressure, 1), ERR_OK);
    clock_fake_move(&the_clock, 31 * SECONDS);
    oldest_ns = trail_pressure_oldest(the_pressure, 7, 9, START - 60 * SECONDS);
    trail_pressure_counted(the_pressure, 2, oldest_ns, 0);
    assert_int_equal(seen().lag_ns, 31 * SECONDS);
    assert_int_equal(trail_pressure_admit(the_pressure, 1), ERR_AUDIT_BEHIND);
    (void)state;
}

/* One wrong clock gives its time to the whole log: by how much is seen, until time is there. */
static void a_log_ahead_of_its_time(void **state)
{
    make(false, 0);
    trail_pressure_head(the_pressure, START - SECONDS);
    assert_int_equal(seen().ahead_ns, 0);
    trail_pressure_head(the_pressure, START + 365 * 86400 * SECONDS);
    assert_int_equal(seen().ahead_ns, 365 * 86400 * SECONDS);
    assert_int_equal(seen().err, ERR_OK); /* it takes events all the same */
    clock_fake_move(&the_clock, SECONDS);
    trail_pressure_head(the_pressure, START + 12 * SECONDS);
    assert_int_equal(seen().ahead_ns, 11 * SECONDS);
    trail_pressure_head(the_pressure, START);
    assert_int_equal(seen().ahead_ns, 0);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(so_many_may_wait, teardown),
        cmocka_unit_test_teardown(what_comes_meanwhile_counts, teardown),
        cmocka_unit_test_teardown(an_empty_outbox_takes_any_commit, teardown),
        cmocka_unit_test_teardown(so_long_may_they_wait, teardown),
        cmocka_unit_test_teardown(who_is_turned_away_is_noticed, teardown),
        cmocka_unit_test_teardown(it_eases_before_it_opens, teardown),
        cmocka_unit_test_teardown(a_time_of_trouble_is_told, teardown),
        cmocka_unit_test_teardown(trouble_that_comes_back, teardown),
        cmocka_unit_test_teardown(trouble_from_before_the_start, teardown),
        cmocka_unit_test_teardown(a_carrier_that_fails, teardown),
        cmocka_unit_test_teardown(what_it_comes_of_is_told, teardown),
        cmocka_unit_test_teardown(rows_are_as_old_as_they_were_seen, teardown),
        cmocka_unit_test_teardown(a_log_ahead_of_its_time, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
