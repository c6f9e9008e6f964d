/* SPDX-License-Identifier: MIT
 * Ages that are seen and not told: whatever the writers' clocks say, and however long rows wait. */
#include "trail/trail_age.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/clock.h"

#define S      CLOCK_NS_PER_S
#define FUTURE (-3600 * S)
#define PAST   (3600 * S)

/* Rows of a node that is an hour behind are not an hour late, nor are those of one ahead early. */
static void clocks_of_others_say_nothing(void **state)
{
    struct trail_age age = {0};

    (void)state;
    assert_int_equal(trail_age_look(&age, 0, 0, 0, 0), 0);
    assert_int_equal(trail_age_look(&age, 1, 1, PAST, 1 * S), 0);
    assert_int_equal(trail_age_look(&age, 1, 5, PAST, 4 * S), 3 * S);
    assert_int_equal(trail_age_look(&age, 5, 6, FUTURE, 5 * S), 1 * S);
    assert_int_equal(trail_age_look(&age, 6, 6, PAST, 9 * S), 4 * S);
    assert_int_equal(trail_age_look(&age, 0, 0, 0, 10 * S), 0);
    assert_int_equal(trail_age_look(&age, 7, 7, PAST, 11 * S), 0);
}

/* An outbox that is carried too slowly falls behind though its oldest row is ever another. */
static void slow_is_seen_though_it_moves(void **state)
{
    struct trail_age age = {0};

    (void)state;
    assert_int_equal(trail_age_look(&age, 0, 0, 0, 0), 0);
    for (int64_t i = 1; i <= 40; i++)
        assert_int_equal(trail_age_look(&age, (i + 1) / 2, i, 0, i * S), (i - (i + 1) / 2) * S);
}

/* What was there before this program: its writer's word is all there is. */
static void rows_of_before_have_their_own_age(void **state)
{
    struct trail_age age = {0};

    (void)state;
    assert_int_equal(trail_age_look(&age, 3, 9, 90 * S, 0), 90 * S);
    assert_int_equal(trail_age_look(&age, 9, 12, 70 * S, 1 * S), 70 * S);
    assert_int_equal(trail_age_look(&age, 10, 12, 70 * S, 2 * S), 1 * S);
    assert_int_equal(trail_age_look(&age, 10, 12, FUTURE, 3 * S), 2 * S);
}

/* Hours of waiting fit into the marks; the error stays small beside the age. */
static void hours_are_remembered(void **state)
{
    enum { LOOKS = 100000 };
    struct trail_age age = {0};

    (void)state;
    assert_int_equal(trail_age_look(&age, 0, 0, 0, 0), 0);
    for (int64_t i = 1; i <= LOOKS; i++)
        assert_int_equal(trail_age_look(&age, 1, i, 0, i * S), (i - 1) * S);
    for (int64_t oldest = 1000; oldest < LOOKS; oldest += 7777) {
        int64_t seen = trail_age_look(&age, oldest, LOOKS, 0, LOOKS * S);

        assert_true(seen <= (LOOKS - oldest) * S);
        assert_true(seen >= (LOOKS - oldest - LOOKS / 16) * S);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clocks_of_others_say_nothing),
        cmocka_unit_test(slow_is_seen_though_it_moves),
        cmocka_unit_test(rows_of_before_have_their_own_age),
        cmocka_unit_test(hours_are_remembered),
    };

    return cmocka_run_group_tests_name("trail age", tests, NULL, NULL);
}
