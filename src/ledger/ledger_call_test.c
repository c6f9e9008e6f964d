/* SPDX-License-Identifier: MIT
 * The runner: many requests in one commit, each answered for itself; and who may move what. On both
 * databases. */
#include "ledger/ledger_move_test_kit.h"

enum { FAILURES_MAX = 60 };

/* ---- commits ----------------------------------------------------------------------------------
 */

/* Many in one commit: one refused, one of no known account, the others done. */
static void many_are_one_commit(void **state)
{
    static const char *const amounts[] = {"1", "5000", "2", "-1", "3"};
    static const int statuses[] = {201, 409, 201, 422, 201};
    int fds[PC_COUNT(amounts)];
    struct store_stats before, after;
    char key[8];

    (void)state;
    desk_hold();
    store_stats(bench.store, &before);
    for (size_t i = 0; i < PC_COUNT(amounts); i++) {
        (void)snprintf(key, sizeof(key), "k%zu", i);
        fds[i] = desk_send("POST /moves", ADA, key, order_text(ada, eve, amounts[i]));
    }
    desk_let_go(PC_COUNT(amounts));
    for (size_t i = 0; i < PC_COUNT(amounts); i++)
        assert_int_equal(site_hear(fds[i]), statuses[i]);
    store_stats(bench.store, &after);
    assert_int_equal(after.commits - before.commits, 2); /* with the one that was held */
    assert_int_equal(balance(eve), 600);
    assert_int_equal(number_of(&count_keys), PC_COUNT(amounts));
}

/* A statement that the store refuses is our fault and nobody else's. */
static void a_refused_row_is_our_fault(void **state)
{
    int fds[FEW];

    (void)state;
    desk_hold();
    fds[0] = desk_send("POST /moves", ADA, "one", order_text(ada, eve, "1"));
    fds[1] = desk_send("POST /bad", ADA, "bad", "{}");
    fds[2] = desk_send("POST /moves", ADA, "two", order_text(ada, eve, "2"));
    desk_let_go(FEW);
    assert_int_equal(site_hear(fds[0]), 201);
    assert_int_equal(site_hear(fds[1]), 500);
    assert_int_equal(site_hear(fds[2]), 201);
    assert_int_equal(balance(eve), 300);
    assert_int_equal(number_of(&count_keys), 2);
}

/* Whatever store call fails, asking again until there is an answer does it once. */
static void any_store_failure_is_one_effect(void **state)
{
    bool struck = true;
    int failed = 0;

    (void)state;
    for (uint64_t nth = 1; struck && nth <= FAILURES_MAX; nth++) {
        int fds[FEW];
        int statuses[FEW];
        char key[FEW][24];

        desk_hold();
        for (int i = 0; i < FEW; i++) {
            (void)snprintf(key[i], sizeof(key[i]), "k%d-%d", (int)nth, i);
            fds[i] = desk_send("POST /moves", ADA, key[i], order_text(ada, eve, "0.01"));
        }
        /* All wait before the failure is set: a reader must not have it. */
        {
            struct store_stats stats;

            do {
                desk_pause();
                store_stats(bench.store, &stats);
            } while (stats.writes_queued < FEW);
        }
        store_fail_at(nth);
        desk_let_go(FEW);
        for (int i = 0; i < FEW; i++) {
            statuses[i] = site_hear(fds[i]);
            assert_true(statuses[i] == 201 || statuses[i] == 503);
            failed += statuses[i] == 503;
        }
        struck = !store_fail_pending();
        store_fail_at(0);
        for (int i = 0; i < FEW; i++) {
            assert_int_equal(desk_ask("POST /moves", ADA, key[i], order_text(ada, eve, "0.01")),
                             201);
            if (statuses[i] == 201)
                assert_says("Idempotency-Replayed: true\r\n");
        }
        assert_int_equal(balance(eve), FEW * (int64_t)nth);
    }
    assert_false(struck);
    assert_true(failed > 0);
}

static const struct store_statement refusals = {
    .name = "call_test_refusals",
    .sqlite = "SELECT count(*) FROM trail_events WHERE event = 'ledger.refused' AND actor = '1' "
              "AND outcome = 'refused' AND reason IN ('insufficient_funds', "
              "'idempotency-key-reused')"};

/* A refusal is an event, once; a replay of it is none. */
static void refusals_are_in_the_trail(void **state)
{
    (void)state;
    assert_int_equal(pay("one", "5000"), 409);
    assert_int_equal(number_of(&refusals), 1);
    assert_int_equal(pay("one", "5000"), 409);
    assert_int_equal(number_of(&refusals), 1);
    assert_int_equal(pay("one", "5001"), 422);
    assert_int_equal(number_of(&refusals), 2);
}

/* ---- who may, and what ------------------------------------------------------------------------
 */

static void others_accounts_are_not_there(void **state)
{
    static const struct {
        const char *token;
        int seen, moved;
    } cases[] = {
        {"u1.customer", 204, 201}, {"u2.customer", 404, 404},  {"u9.", 404, 404},
        {"u9.payments", 204, 201}, {"u9.risk", 204, 201},      {"u9.auditor", 204, 404},
        {"u9.admin", 204, 404},    {"c1.customer", 404, 404},  {"c1.payments", 204, 201},
        {"c1.auditor", 204, 404},  {"u9.paymentsx", 404, 404},
    };
    char text[64];

    (void)state;
    (void)snprintf(text, sizeof(text), "POST /seen/%lld", (long long)ada);
    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        assert_int_equal(desk_ask(text, cases[i].token, NULL, ""), cases[i].seen);
        assert_int_equal(desk_ask("POST /moves", cases[i].token, NULL, order_text(ada, eve, "1")),
                         cases[i].moved);
    }
    assert_int_equal(desk_ask("POST /seen/999999", "u9.payments", NULL, ""), 404);
    /* The house's accounts have no owner, and neither has a client of its own. */
    (void)snprintf(text, sizeof(text), "POST /seen/%lld",
                   (long long)ledger_house_account(LEDGER_SETTLEMENT, CURRENCY_EUR));
    assert_int_equal(desk_ask(text, "c1.customer", NULL, ""), 404);
    assert_int_equal(desk_ask(text, "u1.customer", NULL, ""), 404);
    assert_int_equal(desk_ask(text, "c1.auditor", NULL, ""), 204);
}

static void amounts_name_their_field(void **state)
{
    (void)state;
    assert_int_equal(pay(NULL, "0"), 422);
    assert_says("\"field\":\"amount\",\"message\":\"must be above zero\"");
    assert_int_equal(pay(NULL, "-1"), 422);
    assert_says("amount-range");
    assert_int_equal(pay(NULL, "1.001"), 422);
    assert_says("amount-digits");
    assert_says("at most 2 digits");
    assert_int_equal(pay(NULL, "92233720368547758.08"), 422);
    assert_says("\"field\":\"amount\",\"message\":\"is out of range\"");
    assert_int_equal(pay(NULL, "1.00"), 201);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MOVE_TEST(many_are_one_commit),
        MOVE_TEST(a_refused_row_is_our_fault),
        MOVE_TEST(any_store_failure_is_one_effect),
        MOVE_TEST(refusals_are_in_the_trail),
        MOVE_TEST(others_accounts_are_not_there),
        MOVE_TEST(amounts_name_their_field),
    };

    return cmocka_run_group_tests_name("call", tests, NULL, NULL);
}
