/* SPDX-License-Identifier: MIT
 * GET /accounts/{id}/balance, now and in the past, against a list that is added up again. */
#include "account/account_history_test_kit.h"

/* ---- now --------------------------------------------------------------------------------------
 */

static enum err hold_work(struct ledger_turn *turn, void *context)
{
    const struct ledger_hold_new hold = {.from = 1,
                                         .to = 2,
                                         .amount = {250, CURRENCY_USD},
                                         .expires_at_ns = T0 + 60 * CLOCK_NS_PER_S};

    return ledger_hold(turn, &hold, context);
}

static void holds_count_until_they_expire(void **state)
{
    struct ledger_posted posted;

    (void)state;
    (void)account_of_user(1, "1001", "USD");
    (void)account_of_user(2, "1002", "USD");
    paid_in(1, 1000, CURRENCY_USD);
    assert_int_equal(ask("PUT /accounts/1", PAYMENTS, "{\"overdraft_limit\":\"5.00\"}"), 200);
    assert_int_equal(doing(hold_work, &posted), ERR_OK);
    assert_int_equal(ask("GET /accounts/1/balance", CUSTOMER, NULL), 200);
    assert_said("account_id", "1");
    assert_said("currency", "USD");
    assert_said("posted", "10.00");
    assert_said("posted_minor", "1000");
    assert_said("held", "2.50");
    assert_said("held_minor", "250");
    assert_said("incoming", "0.00");
    assert_said("incoming_minor", "0");
    assert_said("available", "12.50");
    assert_said("available_minor", "1250");
    assert_said("credit_limit", "5.00");
    assert_said("credit_limit_minor", "500");
    assert_said("seq", "2");
    assert_said("at", "2027-01-15T08:00:00.000000000Z");
    assert_int_equal(ask("GET /accounts/2/balance", "u2.customer", NULL), 200);
    assert_said("incoming", "2.50");
    assert_said("available", "0.00");
    clock_fake_move(&bench.clock, 60 * CLOCK_NS_PER_S - 1);
    assert_int_equal(ask("GET /accounts/1/balance", CUSTOMER, NULL), 200);
    assert_said("held", "2.50");
    clock_fake_move(&bench.clock, 1);
    assert_int_equal(ask("GET /accounts/1/balance", CUSTOMER, NULL), 200);
    assert_said("held", "0.00");
    assert_said("available", "15.00");
    assert_int_equal(ask("GET /accounts/2/balance", "u2.customer", NULL), 200);
    assert_said("incoming", "0.00");
    assert_int_equal(ask("GET /accounts/1/balance?seq=2", CUSTOMER, NULL), 200);
    assert_said("held", "2.50");
}

/* ---- then -------------------------------------------------------------------------------------
 */

static int64_t sum_of(size_t account, int64_t seq, int64_t at, int64_t effective)
{
    int64_t sum = 0;

    for (size_t i = 0; i < history.count; i++) {
        const struct event *event = &history.events[i];

        if (event->seq <= seq && event->at <= at && event->effective <= effective)
            sum += event->posted[account];
    }
    return sum;
}

static int64_t held_of(size_t account, int64_t seq, int64_t at)
{
    int64_t sum = 0;

    for (size_t i = 0; i < history.count; i++) {
        if (history.events[i].seq <= seq && history.events[i].at <= at)
            sum += history.events[i].held[account];
    }
    return sum;
}

static void assert_posted(size_t account, const char *query, int64_t expected)
{
    if (ask_for(CUSTOMER, "GET /accounts/%lld/balance?%s", (long long)history.ids[account],
                query) != 200 ||
        said_number("posted_minor") != expected)
        fail_msg("%s of %zu: not %lld but %s", query, account, (long long)expected, site.text);
}

static void every_moment_adds_up(uint64_t seed)
{
    char query[160];

    history_begin(seed);
    history_grow(60);
    for (size_t i = 0; i < history.count; i++) {
        const struct event *event = &history.events[i];
        const struct event *other = &history.events[any(history.count)];
        size_t account = any(HISTORY_ACCOUNTS);

        (void)snprintf(query, sizeof(query), "seq=%lld", (long long)event->seq);
        assert_posted(account, query, sum_of(account, event->seq, INT64_MAX, INT64_MAX));
        assert_int_equal(said_number("held_minor"), held_of(account, event->seq, INT64_MAX));
        assert_said("at", when(event->at));
        (void)snprintf(query, sizeof(query), "at=%s", when(event->at));
        assert_posted(account, query, sum_of(account, INT64_MAX, event->at, INT64_MAX));
        assert_int_equal(said_number("held_minor"), held_of(account, INT64_MAX, event->at));
        (void)snprintf(query, sizeof(query), "at=%s", when(event->at - 1));
        assert_posted(account, query, sum_of(account, INT64_MAX, event->at - 1, INT64_MAX));
        (void)snprintf(query, sizeof(query), "effective_at=%s", when(event->effective));
        assert_posted(account, query, sum_of(account, INT64_MAX, INT64_MAX, event->effective));
        (void)snprintf(query, sizeof(query), "effective_at=%s", when(event->effective - 1));
        assert_posted(account, query, sum_of(account, INT64_MAX, INT64_MAX, event->effective - 1));
        (void)snprintf(query, sizeof(query), "effective_at=%s&seq=%lld", when(other->effective),
                       (long long)event->seq);
        assert_posted(account, query, sum_of(account, event->seq, INT64_MAX, other->effective));
        (void)snprintf(query, sizeof(query), "effective_at=%s&at=%s", when(other->effective),
                       when(event->at));
        assert_posted(account, query, sum_of(account, INT64_MAX, event->at, other->effective));
    }
}

static void the_past_adds_up(void **state)
{
    (void)state;
    every_moment_adds_up(1);
}

static void another_past_adds_up(void **state)
{
    (void)state;
    every_moment_adds_up(2);
}

/* Whatever comes later: postings dated back, limits, the end of holds. */
static void the_past_stays(void **state)
{
    char first[SITE_TEXT_BYTES], what[128];

    (void)state;
    history_begin(3);
    history_grow(20);
    (void)snprintf(what, sizeof(what), "GET /accounts/1/balance?seq=%lld&effective_at=%s",
                   (long long)history.events[history.count - 1].seq, when(T0));
    assert_int_equal(ask(what, CUSTOMER, NULL), 200);
    (void)snprintf(first, sizeof(first), "%.*s", SPAN_ARG(answer_body()));
    assert_int_equal(ask("PUT /accounts/1", PAYMENTS, "{\"overdraft_limit\":2000}"), 200);
    history_grow(20);
    assert_int_equal(ask(what, CUSTOMER, NULL), 200);
    assert_true(span_is(answer_body(), first));
    assert_said("credit_limit", "1000.00");
    assert_int_equal(ask("GET /accounts/1/balance", CUSTOMER, NULL), 200);
    assert_said("credit_limit", "2000.00");
}

/* Of a moment that may still get a posting, the answer speaks of the last one that is sure. */
static void a_moment_that_is_not_over_is_not_told(void **state)
{
    char query[160];

    (void)state;
    (void)account_of_user(1, "1001", "USD");
    assert_int_equal(ask_for(CUSTOMER, "GET /accounts/1/balance?at=%s", when(T0)), 200);
    assert_said("posted", "0.00");
    assert_said("seq", "0");
    paid_in(1, 1000, CURRENCY_USD);
    clock_fake_move(&bench.clock, 10 * CLOCK_NS_PER_S);
    (void)snprintf(query, sizeof(query), "at=%s", when(T0 + 10 * CLOCK_NS_PER_S));
    assert_int_equal(ask_for(CUSTOMER, "GET /accounts/1/balance?%s", query), 200);
    assert_said("posted", "10.00");
    assert_said("at", "2027-01-15T08:00:00.000000000Z");
    paid_in(1, 1, CURRENCY_USD);
    assert_int_equal(ask_for(CUSTOMER, "GET /accounts/1/balance?%s", query), 200);
    assert_said("posted", "10.01");
    assert_said("at", "2027-01-15T08:00:10.000000000Z");
}

static void wrong_moments_are_refused(void **state)
{
    static const char *const queries[][2] = {
        {"at=2027-01-15T08:00:00.000000001Z", "at"},
        {"at=2028-01-01T00:00:00Z", "at"},
        {"at=yesterday", "at"},
        {"seq=2", "seq"},
        {"seq=0", "seq"},
        {"seq=-1", "seq"},
        {"seq=1&at=2027-01-15T08:00:00Z", "at"},
        {"effective_at=2027-01-15", "effective_at"},
    };

    (void)state;
    (void)account_of_user(1, "1001", "USD");
    paid_in(1, 1000, CURRENCY_USD);
    for (size_t i = 0; i < PC_COUNT(queries); i++) {
        assert_problem(ask_for(CUSTOMER, "GET /accounts/1/balance?%s", queries[i][0]), 422,
                       "validation-failed");
        assert_said("errors.0.field", queries[i][1]);
    }
    assert_problem(ask("GET /accounts/2/balance?seq=99", CUSTOMER, NULL), 404, "not-found");
    assert_int_equal(ask("GET /accounts/1/balance?seq=1", CUSTOMER, NULL), 200);
    assert_int_equal(
        ask("GET /accounts/1/balance?effective_at=1970-01-01T00:00:00Z", CUSTOMER, NULL), 200);
    assert_said("posted", "0.00");
    assert_int_equal(ask("GET /accounts/1/balance?at=1970-01-01T00:00:00Z", CUSTOMER, NULL), 200);
    assert_said("posted", "0.00");
    assert_int_equal(ask("GET /accounts/1/balance?at=1969-07-20T20:17:40Z", CUSTOMER, NULL), 200);
    assert_said("posted", "0.00");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DESK_TEST(holds_count_until_they_expire),
        DESK_TEST(the_past_adds_up),
        DESK_TEST(another_past_adds_up),
        DESK_TEST(the_past_stays),
        DESK_TEST(a_moment_that_is_not_over_is_not_told),
        DESK_TEST(wrong_moments_are_refused),
    };

    return cmocka_run_group_tests_name("account_balance", tests, NULL, NULL);
}
