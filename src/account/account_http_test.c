/* SPDX-License-Identifier: MIT
 * The account routes on both databases: what they answer, what they refuse and in which order. */
#include "account/account_test_kit.h"

static const struct store_statement count_accounts = {.name = "count_accounts",
                                                      .sqlite = "SELECT count(*) FROM accounts"};
static const struct store_statement count_ledger = {
    .name = "count_ledger", .sqlite = "SELECT count(*) FROM ledger_accounts WHERE id > 0"};

#define OPEN1(number, more)                                                                        \
    "{\"user_id\":1,\"account_number\":\"" number "\",\"account_type\":\"checking\"" more "}"

/* ---- opening ----------------------------------------------------------------------------------
 */

static void an_account_is_opened(void **state)
{
    (void)state;
    assert_int_equal(ask("POST /accounts", CUSTOMER, OPEN1("1234567890", "")), 201);
    assert_says("\r\nLocation: /accounts/1\r\n");
    assert_said("id", "1");
    assert_said("user_id", "1");
    assert_said("account_number", "******7890");
    assert_said("account_type", "checking");
    assert_said("currency", "USD");
    assert_said("status", "active");
    assert_said("balance", "0.00");
    assert_said("balance_minor", "0");
    assert_said("created_at", "2027-01-15T08:00:00.000000Z");
    assert_said("updated_at", "2027-01-15T08:00:00.000000Z");
    assert_silent("1234567890");
    assert_int_equal(events(TRAIL_ACCOUNT_OPENED), 1);
    assert_int_equal(events(TRAIL_LEDGER_DEPOSIT), 0);
    assert_int_equal(ask("GET /accounts/1", CUSTOMER, NULL), 200);
    assert_said("account_number", "******7890");
    assert_said("balance", "0.00");
}

/* One commit for the account, its first money and both events. */
static void a_first_deposit_is_posted(void **state)
{
    (void)state;
    assert_int_equal(ask("POST /accounts", PAYMENTS,
                         OPEN1("KWD-1", ",\"currency\":\"KWD\",\"initial_deposit\":\"12.345\"")),
                     201);
    assert_said("balance", "12.345");
    assert_said("balance_minor", "12345");
    assert_int_equal(events(TRAIL_ACCOUNT_OPENED), 1);
    assert_int_equal(events(TRAIL_LEDGER_DEPOSIT), 1);
    assert_int_equal(account_of(1).posted, 12345);
    assert_int_equal(account_of(ledger_house_account(LEDGER_SETTLEMENT, CURRENCY_KWD)).posted,
                     -12345);
    assert_int_equal(ask("GET /accounts/1", CUSTOMER, NULL), 200);
    assert_said("balance", "12.345");
    assert_int_equal(ask("POST /accounts", PAYMENTS,
                         OPEN1("JPY-1", ",\"currency\":\"JPY\",\"status\":\"frozen\","
                                        "\"initial_deposit\":500")),
                     201);
    assert_said("balance", "500");
    assert_said("status", "frozen");
}

/* Contract, section 4: unknown members are ignored and never honoured. */
static void unknown_members_are_never_honoured(void **state)
{
    (void)state;
    assert_int_equal(ask("POST /accounts", CUSTOMER,
                         OPEN1("1234567890", ",\"balance\":1000000,\"balance_minor\":5,\"id\":77,"
                                             "\"role\":\"admin\",\"credit_limit\":9,"
                                             "\"overdraft_limit\":\"9.00\",\"held\":-5,"
                                             "\"created_at\":\"2001-01-01T00:00:00Z\"")),
                     201);
    assert_said("id", "1");
    assert_said("balance", "0.00");
    assert_said("created_at", "2027-01-15T08:00:00.000000Z");
    assert_int_equal(ask("PUT /accounts/1", CUSTOMER,
                         "{\"account_type\":\"savings\",\"balance\":9,\"user_id\":2,\"id\":5,"
                         "\"account_number\":\"99999\",\"currency\":\"EUR\"}"),
                     200);
    assert_said("id", "1");
    assert_said("user_id", "1");
    assert_said("account_type", "savings");
    assert_said("account_number", "******7890");
    assert_said("currency", "USD");
    assert_said("balance", "0.00");
    assert_int_equal(account_of(1).credit_limit, 0);
}

static void assert_refused(const char *body, const char *token, int status, const char *slug,
                           const char *field)
{
    int answered = ask("POST /accounts", token, body);

    assert_problem(answered, status, slug);
    if (field != NULL)
        assert_said("errors.0.field", field);
    assert_int_equal(number_of(&count_accounts), 0);
    assert_int_equal(number_of(&count_ledger), 0);
}

static void wrong_bodies_are_refused(void **state)
{
    static const char *const fields[][2] = {
        {OPEN1("123", ""), "account_number"},
        {OPEN1("12345678901234567890123456789012345", ""), "account_number"},
        {OPEN1("12/34", ""), "account_number"},
        {OPEN1("- - -", ""), "account_number"},
        {"{\"account_number\":\"1234\",\"account_type\":\"x\"}", "user_id"},
        {"{\"user_id\":0,\"account_number\":\"1234\",\"account_type\":\"x\"}", "user_id"},
        {"{\"user_id\":\"1\",\"account_number\":\"1234\",\"account_type\":\"x\"}", "user_id"},
        {"{\"user_id\":1,\"account_number\":\"1234\",\"account_type\":\"\"}", "account_type"},
        {"{\"user_id\":1,\"account_number\":\"1234\",\"account_type\":\"<b>\"}", "account_type"},
        {"{\"user_id\":1,\"account_number\":\"1234\",\"account_type\":\"4111111111111111\"}",
         "account_type"},
        {OPEN1("1234", ",\"status\":\"closed\""), "status"},
        {OPEN1("1234", ",\"currency\":\"usd\""), "currency"},
        {OPEN1("1234", ",\"currency\":\"XYZ\""), "currency"},
        {OPEN1("1234", ",\"currency\":\"EURO\""), "currency"},
        {OPEN1("1234", ",\"initial_deposit\":-1"), "initial_deposit"},
        {OPEN1("1234", ",\"initial_deposit\":1e2"), "initial_deposit"},
        {OPEN1("1234", ",\"initial_deposit\":\"NaN\""), "initial_deposit"},
        {OPEN1("1234", ",\"initial_deposit\":-0"), "initial_deposit"},
        {OPEN1("1234", ",\"initial_deposit\":0.000"), "initial_deposit"},
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(fields); i++) {
        assert_refused(fields[i][0], PAYMENTS, 422, "validation-failed", fields[i][1]);
        assert_silent("4111111111111111");
    }
    assert_refused(OPEN1("1234", ",\"initial_deposit\":19.999"), PAYMENTS, 422, "amount-digits",
                   "initial_deposit");
    assert_refused(OPEN1("1234", ",\"initial_deposit\":1.00,\"currency\":\"JPY\""), PAYMENTS, 422,
                   "amount-digits", "initial_deposit");
    assert_refused(OPEN1("1234", ",\"initial_deposit\":92233720368547758.08"), PAYMENTS, 422,
                   "amount-range", "initial_deposit");
}

/* Of several mistakes the first in the order of README.md is told. */
static void refusals_come_in_their_order(void **state)
{
    static const char wrong[] =
        "{\"user_id\":9,\"account_number\":\"acc 1\",\"account_type\":\"x\","
        "\"currency\":\"XXY\",\"initial_deposit\":0.001}";

    (void)state;
    assert_int_equal(account_of_user(2, "ACC-1", "USD"), 1);
    assert_problem(ask("POST /accounts", PAYMENTS, wrong), 404, "not-found");
    assert_problem(ask("POST /accounts", CUSTOMER, wrong), 404, "not-found");
    assert_problem(ask("POST /accounts", CUSTOMER,
                       OPEN1("acc 1", ",\"currency\":\"XXY\",\"initial_deposit\":0.001")),
                   403, "forbidden");
    assert_problem(ask("POST /accounts", "u2.auditor", OPEN1("acc 1", ",\"currency\":\"XXY\"")),
                   403, "forbidden");
    assert_problem(ask("POST /accounts", PAYMENTS,
                       OPEN1("acc 1", ",\"currency\":\"XXY\",\"initial_deposit\":0.001")),
                   422, "validation-failed");
    assert_said("errors.0.field", "currency");
    assert_problem(ask("POST /accounts", PAYMENTS, OPEN1("acc 1", ",\"initial_deposit\":0.001")),
                   422, "amount-digits");
    assert_problem(ask("POST /accounts", PAYMENTS, OPEN1("acc 1", ",\"initial_deposit\":0.01")),
                   409, "already-taken");
    assert_silent("ACC");
    assert_int_equal(number_of(&count_ledger), 1);
}

/* What cannot be posted is refused before a row is written. */
static void a_deposit_beyond_the_settlement_is_refused(void **state)
{
    static const char most[] = ",\"initial_deposit\":\"92233720368547758.07\"";
    char body[256];

    (void)state;
    (void)snprintf(body, sizeof(body), OPEN1("1001", "%s"), most);
    assert_int_equal(ask("POST /accounts", PAYMENTS, body), 201);
    (void)snprintf(body, sizeof(body), OPEN1("1002", "%s"), ",\"initial_deposit\":\"0.01\"");
    assert_int_equal(ask("POST /accounts", PAYMENTS, body), 201);
    (void)snprintf(body, sizeof(body), OPEN1("1003", "%s"), ",\"initial_deposit\":\"0.01\"");
    assert_problem(ask("POST /accounts", PAYMENTS, body), 409, "balance-range");
    assert_int_equal(number_of(&count_accounts), 2);
    assert_int_equal(number_of(&count_ledger), 2);
    assert_int_equal(ask("POST /accounts", PAYMENTS, OPEN1("1003", "")), 201);
}

/* The same bytes again, and no second account; with another body, the member is named. */
static void a_key_opens_one_account(void **state)
{
    static const char key[] = "Idempotency-Key: one\r\n";
    char first[SITE_TEXT_BYTES];

    (void)state;
    assert_int_equal(ask_with("POST /accounts", CUSTOMER, key, OPEN1("1234567890", "")), 201);
    (void)snprintf(first, sizeof(first), "%.*s", SPAN_ARG(answer_body()));
    assert_int_equal(ask_with("POST /accounts", CUSTOMER, key, OPEN1("1234567890", "")), 201);
    assert_true(span_is(answer_body(), first));
    assert_says("\r\nLocation: /accounts/1\r\n");
    assert_says("Idempotency-Replayed: true");
    assert_problem(ask_with("POST /accounts", CUSTOMER, key, OPEN1("1234567891", "")), 422,
                   "idempotency-key-reused");
    assert_said("errors.0.field", "account_number");
    assert_int_equal(number_of(&count_accounts), 1);
    assert_int_equal(number_of(&count_ledger), 1);
}

/* ---- changing ---------------------------------------------------------------------------------
 */

static void an_account_is_changed(void **state)
{
    (void)state;
    assert_int_equal(account_of_user(1, "1234567890", "USD"), 1);
    clock_fake_move(&bench.clock, CLOCK_NS_PER_S);
    assert_int_equal(ask("PUT /accounts/1", CUSTOMER, "{}"), 200);
    assert_said("updated_at", "2027-01-15T08:00:00.000000Z");
    assert_int_equal(ask("PUT /accounts/1", CUSTOMER, "{\"account_type\":\"checking\"}"), 200);
    assert_int_equal(events(TRAIL_ACCOUNT_CHANGED), 0);
    assert_int_equal(ask("PUT /accounts/1", CUSTOMER, "{\"account_type\":\"savings\"}"), 200);
    assert_said("account_type", "savings");
    assert_said("created_at", "2027-01-15T08:00:00.000000Z");
    assert_said("updated_at", "2027-01-15T08:00:01.000000Z");
    assert_int_equal(events(TRAIL_ACCOUNT_CHANGED), 1);
    assert_int_equal(
        ask("PUT /accounts/1", PAYMENTS, "{\"status\":\"frozen\",\"overdraft_limit\":\"5.50\"}"),
        200);
    assert_said("status", "frozen");
    assert_int_equal(account_of(1).credit_limit, 550);
    assert_int_equal(events(TRAIL_ACCOUNT_CHANGED), 2);
    assert_int_equal(ask("PUT /accounts/1", PAYMENTS, "{\"status\":\"active\"}"), 200);
    assert_said("status", "active");
    assert_int_equal(ask("GET /accounts/1", CUSTOMER, NULL), 200);
    assert_said("account_type", "savings");
    assert_said("status", "active");
}

static void wrong_changes_are_refused(void **state)
{
    (void)state;
    assert_int_equal(account_of_user(1, "1234567890", "JPY"), 1);
    assert_problem(ask("PUT /accounts/2", PAYMENTS, "{\"overdraft_limit\":0.5}"), 404, "not-found");
    assert_problem(ask("PUT /accounts/1", "u2.customer", "{}"), 404, "not-found");
    assert_problem(ask("PUT /accounts/1", "u2.auditor", "{}"), 403, "forbidden");
    assert_problem(ask("PUT /accounts/1", CUSTOMER, "{\"status\":\"frozen\"}"), 403, "forbidden");
    assert_problem(ask("PUT /accounts/1", CUSTOMER, "{\"overdraft_limit\":0.5}"), 403, "forbidden");
    assert_problem(ask("PUT /accounts/1", "u2.admin", "{\"status\":\"frozen\"}"), 403, "forbidden");
    assert_problem(ask("PUT /accounts/1", PAYMENTS, "{\"overdraft_limit\":0.5}"), 422,
                   "validation-failed");
    assert_problem(ask("PUT /accounts/1", PAYMENTS, "{\"overdraft_limit\":-1}"), 422,
                   "validation-failed");
    assert_problem(ask("PUT /accounts/1", PAYMENTS, "{\"status\":\"gone\"}"), 422,
                   "validation-failed");
    assert_problem(ask("PUT /accounts/1", PAYMENTS, "{\"account_type\":\"\\u0009\"}"), 422,
                   "validation-failed");
    assert_problem(ask("PUT /accounts/0", PAYMENTS, "{}"), 422, "validation-failed");
    assert_int_equal(events(TRAIL_ACCOUNT_CHANGED), 0);
}

/* The limit cannot be taken while it is used, and then nothing else of the change is done. */
static void a_limit_that_is_used_stays(void **state)
{
    int64_t other;

    (void)state;
    assert_int_equal(account_of_user(1, "1001", "USD"), 1);
    other = account_of_user(2, "1002", "USD");
    assert_int_equal(ask("PUT /accounts/1", PAYMENTS, "{\"overdraft_limit\":5}"), 200);
    assert_int_equal(moved(1, other, 400, CURRENCY_USD), ERR_OK);
    assert_int_equal(ask("GET /accounts/1", CUSTOMER, NULL), 200);
    assert_said("balance", "-4.00");
    assert_problem(ask("PUT /accounts/1", PAYMENTS,
                       "{\"overdraft_limit\":3.99,\"account_type\":\"x\",\"status\":\"frozen\"}"),
                   409, "insufficient_funds");
    assert_problem(ask("PUT /accounts/1", PAYMENTS,
                       "{\"overdraft_limit\":6,\"account_type\":\"x\",\"status\":\"closed\"}"),
                   409, "balance-not-zero");
    assert_int_equal(account_of(1).credit_limit, 500);
    assert_int_equal(account_of(1).state, LEDGER_ACTIVE);
    assert_int_equal(ask("GET /accounts/1", CUSTOMER, NULL), 200);
    assert_said("account_type", "checking");
    assert_int_equal(ask("PUT /accounts/1", PAYMENTS, "{\"overdraft_limit\":\"4.00\"}"), 200);
    assert_int_equal(account_of(1).credit_limit, 400);
}

/* ---- closing ----------------------------------------------------------------------------------
 */

static void an_account_is_closed_when_it_is_empty(void **state)
{
    (void)state;
    assert_int_equal(account_of_user(1, "1001", "USD"), 1);
    assert_int_equal(account_of_user(2, "1002", "USD"), 2);
    paid_in(1, 5, CURRENCY_USD);
    assert_problem(ask("DELETE /accounts/1", CUSTOMER, NULL), 409, "balance-not-zero");
    assert_int_equal(moved(1, 2, 5, CURRENCY_USD), ERR_OK);
    assert_int_equal(ask("DELETE /accounts/1", CUSTOMER, NULL), 204);
    assert_int_equal(events(TRAIL_ACCOUNT_CLOSED), 1);
    assert_int_equal(ask("GET /accounts/1", CUSTOMER, NULL), 200);
    assert_said("status", "closed");
    assert_int_equal(ask("DELETE /accounts/1", CUSTOMER, NULL), 204);
    assert_int_equal(events(TRAIL_ACCOUNT_CLOSED), 1);
    assert_problem(ask("PUT /accounts/1", PAYMENTS, "{\"status\":\"active\"}"), 409,
                   "account-closed");
    assert_problem(ask("PUT /accounts/1", CUSTOMER, "{\"account_type\":\"x\"}"), 409,
                   "account-closed");
    assert_int_equal(ask("PUT /accounts/1", PAYMENTS, "{\"status\":\"closed\"}"), 200);
    assert_problem(ask("POST /accounts", CUSTOMER, OPEN1("1001", "")), 409, "already-taken");
    assert_int_equal(moved(2, 1, 5, CURRENCY_USD), ERR_ACCOUNT_CLOSED);
}

static void closing_asks_for_rights(void **state)
{
    (void)state;
    assert_int_equal(account_of_user(1, "1001", "USD"), 1);
    assert_problem(ask("DELETE /accounts/2", CUSTOMER, NULL), 404, "not-found");
    assert_problem(ask("DELETE /accounts/1", "u2.customer", NULL), 404, "not-found");
    assert_problem(ask("DELETE /accounts/1", "c2.customer", NULL), 404, "not-found");
    assert_problem(ask("DELETE /accounts/1", "u2.auditor", NULL), 403, "forbidden");
    assert_int_equal(ask("PUT /accounts/1", PAYMENTS, "{\"status\":\"frozen\"}"), 200);
    assert_problem(ask("DELETE /accounts/1", CUSTOMER, NULL), 409, "account-frozen");
    assert_problem(ask("DELETE /accounts/1", "u2.admin", NULL), 409, "account-frozen");
    assert_int_equal(ask("DELETE /accounts/1", "u2.risk", NULL), 204);
}

/* As a client of the published system does it. */
static void the_collection_works_as_written(void **state)
{
    (void)state;
    assert_int_equal(ask("GET /accounts", PAYMENTS, NULL), 200);
    assert_true(span_is(answer_body(), "[]"));
    assert_int_equal(ask("POST /accounts", PAYMENTS,
                         "{\"user_id\":1,\"account_number\":\"9876543210\",\"account_type\":"
                         "\"checking\",\"currency\":\"USD\",\"balance\":1000.0}"),
                     201);
    assert_said("balance", "0.00");
    assert_int_equal(ask("GET /accounts/1", PAYMENTS, NULL), 200);
    assert_said("account_number", "******3210");
    assert_int_equal(ask("PUT /accounts/1", PAYMENTS, "{\"status\":\"frozen\"}"), 200);
    assert_int_equal(ask("PUT /accounts/1", PAYMENTS, "{\"status\":\"active\"}"), 200);
    paid_in(1, 1995, CURRENCY_USD);
    assert_int_equal(ask("DELETE /accounts/1", PAYMENTS, NULL), 409);
    assert_int_equal(
        moved(1, ledger_house_account(LEDGER_SETTLEMENT, CURRENCY_USD), 1995, CURRENCY_USD),
        ERR_OK);
    assert_int_equal(ask("DELETE /accounts/1", PAYMENTS, NULL), 204);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DESK_TEST(an_account_is_opened),
        DESK_TEST(a_first_deposit_is_posted),
        DESK_TEST(unknown_members_are_never_honoured),
        DESK_TEST(wrong_bodies_are_refused),
        DESK_TEST(refusals_come_in_their_order),
        DESK_TEST(a_deposit_beyond_the_settlement_is_refused),
        DESK_TEST(a_key_opens_one_account),
        DESK_TEST(an_account_is_changed),
        DESK_TEST(wrong_changes_are_refused),
        DESK_TEST(a_limit_that_is_used_stays),
        DESK_TEST(an_account_is_closed_when_it_is_empty),
        DESK_TEST(closing_asks_for_rights),
        DESK_TEST(the_collection_works_as_written),
    };

    return cmocka_run_group_tests_name("account_http", tests, NULL, NULL);
}
