/* SPDX-License-Identifier: MIT
 * What may be sent again: every combination of facts against a list of those that are safe. And the
 * budget, request by request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "upstream/upstream_retry.h"

/* answer untouched, body repeatable, request unwritten, method idempotent, key. */
static const char *const safe[] = {
    "A B U - -", /* nothing was written: any method */
    "A B U - K", "A B U I -", "A B U I K",
    "A B - I -", /* it may have been seen: only what may happen twice, or is known by its key */
    "A B - I K", "A B - - K",
};

static bool is_listed(const char *facts)
{
    for (size_t i = 0; i < PC_COUNT(safe); i++)
        if (strcmp(facts, safe[i]) == 0)
            return true;
    return false;
}

static void only_what_is_listed_is_safe(void **state)
{
    int count = 0;

    (void)state;
    for (unsigned bits = 0; bits < 32; bits++) {
        char facts[] = "- - - - -";
        struct upstream_attempt attempt = {.answer_untouched = bits & 1,
                                           .body_repeatable = bits & 2,
                                           .request_unwritten = bits & 4,
                                           .method = bits & 8 ? UPSTREAM_METHOD_IDEMPOTENT
                                                              : UPSTREAM_METHOD_OTHER,
                                           .has_idempotency_key = bits & 16};

        for (unsigned i = 0; i < 5; i++)
            if (bits >> i & 1)
                facts[(size_t)i * 2] = "ABUIK"[i];
        assert_int_equal(upstream_retry_is_safe(&attempt), is_listed(facts));
        count += upstream_retry_is_safe(&attempt);
    }
    assert_int_equal(count, PC_COUNT(safe));
}

/* Zero is strict. */
static void nothing_known_is_not_safe(void **state)
{
    (void)state;
    assert_false(upstream_retry_is_safe(&(struct upstream_attempt){0}));
}

static void methods_are_told_apart(void **state)
{
    static const char *const idempotent[] = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"};
    static const char *const other[] = {"POST", "PATCH", "CONNECT", "TRACE",
                                        "get",  "GETS",  "GE",      ""};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(idempotent); i++)
        assert_int_equal(upstream_method_of(span_from(idempotent[i])), UPSTREAM_METHOD_IDEMPOTENT);
    for (size_t i = 0; i < PC_COUNT(other); i++)
        assert_int_equal(upstream_method_of(span_from(other[i])), UPSTREAM_METHOD_OTHER);
}

static int takes(struct upstream_budget *budget, int64_t now_ns)
{
    int taken = 0;

    while (upstream_retry_take(budget, now_ns))
        taken++;
    return taken;
}

static void small_traffic_has_ten_a_second(void **state)
{
    struct upstream_budget budget = {0};

    (void)state;
    assert_int_equal(takes(&budget, 0), 10);
    assert_int_equal(takes(&budget, CLOCK_NS_PER_S - 1), 0);
    assert_int_equal(takes(&budget, CLOCK_NS_PER_S), 10);
    assert_int_equal(takes(&budget, 100 * CLOCK_NS_PER_S), 10); /* they do not gather */
    assert_int_equal(takes(&budget, 100 * CLOCK_NS_PER_S), 0);
}

static void five_requests_earn_one_retry_up_to_a_hundred(void **state)
{
    struct upstream_budget budget = {0};

    (void)state;
    (void)takes(&budget, 0);
    for (int i = 0; i < 4; i++)
        upstream_retry_earn(&budget);
    assert_int_equal(takes(&budget, 0), 0);
    upstream_retry_earn(&budget);
    assert_int_equal(takes(&budget, 0), 1);
    for (int i = 0; i < 10000; i++)
        upstream_retry_earn(&budget);
    assert_int_equal(takes(&budget, 0), 100);
}

/* All fail: beside the free ones, a fifth more load and not twice as much. */
static void failing_upstream_gets_a_fifth_more(void **state)
{
    struct upstream_budget budget = {0};
    int retries = 0;

    (void)state;
    for (int i = 0; i < 10000; i++) {
        upstream_retry_earn(&budget);
        retries += upstream_retry_take(&budget, i * CLOCK_NS_PER_MS);
    }
    assert_in_range(retries, 2000, 2000 + 10 * 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_listed_is_safe),
        cmocka_unit_test(nothing_known_is_not_safe),
        cmocka_unit_test(methods_are_told_apart),
        cmocka_unit_test(small_traffic_has_ten_a_second),
        cmocka_unit_test(five_requests_earn_one_retry_up_to_a_hundred),
        cmocka_unit_test(failing_upstream_gets_a_fifth_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
