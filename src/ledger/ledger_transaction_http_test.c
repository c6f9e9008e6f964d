/* SPDX-License-Identifier: MIT
 * /transactions through the whole journey: what is given in, moved on, counted and refused. */
#include "ledger/ledger_site_test_kit.h"
#include "ledger/ledger_transaction.h"

static int64_t usd; /* of ada, with 100.00 */

static int setup(void **state)
{
    if (site_setup(state) != 0)
        return -1;
    usd = account_with(1, CURRENCY_USD, 10000);
    return 0;
}

#define T(function) cmocka_unit_test_setup_teardown(function, setup, site_teardown)

/* Gives one in as `pay`; `rest` is what follows the account in the body. */
static int give_in(const char *rest)
{
    return ask("pay", "POST /transactions",
               text_of("{\"account_id\":%lld,%s}", (long long)usd, rest));
}

static int64_t given_in(const char *rest)
{
    if (give_in(rest) != 201)
        fail_msg("%s", site.text);
    return said_number("id");
}

static int put(int64_t id, const char *body)
{
    return ask("pay", text_of("PUT /transactions/%lld", (long long)id), body);
}

static int put_status(int64_t id, const char *status)
{
    return put(id, text_of("{\"status\":\"%s\"}", status));
}

static int64_t counted(const char *status)
{
    char text[64 * 1024];
    struct sbuf out = sbuf_over(text, sizeof(text) - 1);
    const char *line;
    int64_t value = 0;

    metric_render(site.metrics, &out);
    text[out.len] = '\0';
    line = strstr(text, text_of("transaction_service_submissions_total{status=\"%s\"} ", status));
    if (line == NULL)
        return 0;
    line = strchr(line, '}') + 2;
    assert_true(span_to_i64(span_make(line, strcspn(line, "\n")), &value));
    return value;
}

/* Rules see that no transactions are given in only by a number that stands. */
static void every_status_is_counted_from_the_start(void **state)
{
    char text[64 * 1024];
    struct sbuf out = sbuf_over(text, sizeof(text) - 1);

    (void)state;
    metric_render(site.metrics, &out);
    text[out.len] = '\0';
    for (size_t i = 0; ledger_statuses[i] != NULL; i++)
        assert_non_null(
            strstr(text, text_of("transaction_service_submissions_total{status=\"%s\"} 0\n",
                                 ledger_statuses[i])));
}

static const struct store_statement events_statement = {
    .name = "test_transaction_events",
    .sqlite = "SELECT count(*) FROM trail_events WHERE event LIKE 'transaction.%'"};
static const struct store_statement refusals_statement = {
    .name = "test_refused_events",
    .sqlite = "SELECT count(*) FROM trail_events WHERE event = 'ledger.refused'"};

/* ---- rows -------------------------------------------------------------------------------------
 */

static void assert_row(const struct http_route *rows, enum net_method method, const char *path,
                       const char *roles, uint32_t per_minute)
{
    const char *scope = method == NET_METHOD_GET ? "transactions:read" : "transactions:write";

    for (; rows->path != NULL; rows++) {
        if (rows->method != method || strcmp(rows->path, path) != 0)
            continue;
        assert_int_equal(rows->access, HTTP_ACCESS_BEARER);
        assert_string_equal(rows->scopes, scope);
        assert_true((rows->roles == NULL) == (roles == NULL));
        if (roles != NULL)
            assert_string_equal(rows->roles, roles);
        assert_int_equal(rows->per_minute, per_minute);
        assert_int_equal(rows->keyed, method == NET_METHOD_POST || method == NET_METHOD_PUT);
        return;
    }
    fail_msg("no route %s", path);
}

/* What may be done how often by whom is in the rows; the journey does the rest. */
static void rows_ask_what_was_promised(void **state)
{
    static const struct http_route *const t = ledger_transaction_routes;
    static const struct http_route *const m = ledger_transfer_routes;

    (void)state;
    assert_row(t, NET_METHOD_GET, "/transactions", NULL, 50);
    assert_row(t, NET_METHOD_POST, "/transactions", "payments risk", 15);
    assert_row(t, NET_METHOD_GET, "/transactions/{id}", NULL, 50);
    assert_row(t, NET_METHOD_GET, "/transactions/accounts/{account_id}", NULL, 30);
    assert_row(t, NET_METHOD_PUT, "/transactions/{id}", "payments risk", 15);
    assert_row(t, NET_METHOD_POST, "/transactions/{id}/reversals", "payments risk", 0);
    assert_row(m, NET_METHOD_POST, "/transfers", NULL, 0);
    assert_row(m, NET_METHOD_POST, "/transfers/batch", NULL, 0);
    assert_row(m, NET_METHOD_GET, "/transfers", NULL, 0);
    assert_row(m, NET_METHOD_GET, "/transfers/{id}", NULL, 0);
    assert_row(m, NET_METHOD_POST, "/transfers/{id}/reversals", "payments risk", 0);
    assert_row(m, NET_METHOD_POST, "/postings", "payments", 0);
    assert_row(m, NET_METHOD_GET, "/postings/{id}", NULL, 0);
}

/* ---- giving in --------------------------------------------------------------------------------
 */

/* As the published collection has it: what nobody asked for is not honoured. */
static void one_is_pending_and_moves_nothing(void **state)
{
    (void)state;
    assert_int_equal(give_in("\"amount\":19.95,\"currency\":\"USD\",\"direction\":\"debit\","
                             "\"description\":\"Invoice\",\"user_id\":1,\"balance\":5,\"id\":77,"
                             "\"status\":\"completed\""),
                     201);
    assert_said("id", "1");
    assert_said("account_id", text_of("%lld", (long long)usd));
    assert_said("user_id", "1");
    assert_said("amount", "19.95");
    assert_said("amount_minor", "1995");
    assert_said("currency", "USD");
    assert_said("direction", "debit");
    assert_said("description", "Invoice");
    assert_said("status", "pending");
    assert_said("created_at", said("updated_at"));
    assert_null(said("hold_seq"));
    assert_null(said("posted_seq"));
    assert_true(site_has("\r\nLocation: /transactions/1\r\n"));
    assert_balance(usd, 10000, 0);
    assert_int_equal(counted("pending"), 1);
    assert_int_equal(number_of(&events_statement), 1);
    assert_int_equal(ask("ada", "GET /transactions/1", NULL), 200);
    assert_said("description", "Invoice");
    assert_said("amount", "19.95");
}

static void what_is_left_out_is_the_account_s(void **state)
{
    (void)state;
    assert_int_equal(given_in("\"amount\":\"0.01\",\"direction\":\"credit\""), 1);
    assert_said("currency", "USD");
    assert_said("description", "null");
    usd = account_with(2, CURRENCY_KWD, 0);
    assert_int_equal(given_in("\"amount\":0.001,\"direction\":\"credit\",\"currency\":null"), 2);
    assert_said("amount", "0.001");
    assert_said("user_id", "2");
    usd = account_with(2, CURRENCY_JPY, 0);
    assert_int_equal(given_in("\"amount\":9223372036854775807,\"direction\":\"credit\""), 3);
    assert_said("amount", "9223372036854775807");
    assert_said("amount_minor", "9223372036854775807");
}

static void amounts_are_exact_or_refused(void **state)
{
    static const struct {
        enum currency currency;
        const char *amount;
        const char *slug; /* NULL: any 422 */
    } wrong[] = {
        {CURRENCY_USD, "19.999", "amount-digits"},
        {CURRENCY_USD, "19.950", "amount-digits"},
        {CURRENCY_USD, "\"1.000\"", "amount-digits"},
        {CURRENCY_JPY, "1.5", "amount-digits"},
        {CURRENCY_JPY, "1.0", "amount-digits"},
        {CURRENCY_KWD, "0.0001", "amount-digits"},
        {CURRENCY_USD, "0", "amount-range"},
        {CURRENCY_USD, "0.00", "amount-range"},
        {CURRENCY_USD, "-0", NULL},
        {CURRENCY_USD, "-0.00", NULL},
        {CURRENCY_USD, "-1.00", NULL},
        {CURRENCY_USD, "1e400", NULL},
        {CURRENCY_USD, "1e2", NULL},
        {CURRENCY_USD, "\"1e2\"", NULL},
        {CURRENCY_USD, "\"NaN\"", NULL},
        {CURRENCY_USD, "\"Infinity\"", NULL},
        {CURRENCY_USD, "\" 1\"", NULL},
        {CURRENCY_USD, "\"+1\"", NULL},
        {CURRENCY_USD, "\"01\"", NULL},
        {CURRENCY_USD, "\"\"", NULL},
        {CURRENCY_USD, "null", NULL},
        {CURRENCY_USD, "true", NULL},
        {CURRENCY_USD, "[1]", NULL},
        {CURRENCY_USD, "{}", NULL},
        {CURRENCY_USD, "92233720368547758.08", "amount-range"},
        {CURRENCY_JPY, "9223372036854775808", NULL},
        {CURRENCY_USD, "9223372036854775807", "amount-range"},
        {CURRENCY_USD, "99999999999999999999999999999999999", NULL},
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(wrong); i++) {
        usd = account_with(1, wrong[i].currency, 0);
        (void)give_in(text_of("\"amount\":%s,\"direction\":\"credit\"", wrong[i].amount));
        assert_field("amount");
        if (wrong[i].slug != NULL)
            assert_problem(422, wrong[i].slug);
    }
    assert_int_equal(number_of(&events_statement), 0);
    assert_int_equal(given_in("\"amount\":1,\"direction\":\"credit\""), 1); /* no number is lost */
}

static void bodies_are_checked_member_by_member(void **state)
{
    static const struct {
        const char *body, *field;
    } wrong[] = {
        {"{}", "account_id"},
        {"{\"account_id\":1}", "amount"},
        {"{\"account_id\":0,\"amount\":1,\"direction\":\"debit\"}", "account_id"},
        {"{\"account_id\":\"1\",\"amount\":1,\"direction\":\"debit\"}", "account_id"},
        {"{\"account_id\":1,\"amount\":1}", "direction"},
        {"{\"account_id\":1,\"amount\":1,\"direction\":\"DEBIT\"}", "direction"},
        {"{\"account_id\":1,\"amount\":1,\"direction\":\"debit\",\"currency\":\"US\"}", "currency"},
        {"{\"account_id\":1,\"amount\":1,\"direction\":\"debit\",\"currency\":\"XXQ\"}",
         "currency"},
        {"{\"account_id\":1,\"amount\":1,\"direction\":\"debit\",\"currency\":\"usd\"}",
         "currency"},
        {"{\"account_id\":1,\"amount\":1,\"direction\":\"debit\",\"user_id\":2}", "user_id"},
        {"{\"account_id\":1,\"amount\":1,\"direction\":\"credit\",\"hold\":true}", "hold"},
        {"{\"account_id\":1,\"amount\":1,\"direction\":\"debit\",\"hold\":\"yes\"}", "hold"},
        {"{\"account_id\":1,\"amount\":1,\"direction\":\"debit\",\"hold_expires_at\":"
         "\"2030-01-01T00:00:00Z\"}",
         "hold_expires_at"},
        {"{\"account_id\":1,\"amount\":1,\"direction\":\"debit\",\"hold\":true,"
         "\"hold_expires_at\":\"2020-01-01T00:00:00Z\"}",
         "hold_expires_at"},
        {"{\"account_id\":1,\"amount\":1,\"direction\":\"debit\",\"hold\":true,\"effective_at\":"
         "\"2027-01-15T00:00:00Z\"}",
         "effective_at"},
        {"{\"account_id\":1,\"amount\":1,\"direction\":\"debit\",\"effective_at\":\"yesterday\"}",
         "effective_at"},
    };

    (void)state;
    assert_int_equal(usd, 1);
    for (size_t i = 0; i < PC_COUNT(wrong); i++) {
        (void)ask("pay", "POST /transactions", wrong[i].body);
        assert_field(wrong[i].field);
    }
    (void)give_in(text_of("\"amount\":1,\"direction\":\"debit\",\"description\":\"%0513d\"", 0));
    assert_field("description");
    assert_int_equal(
        given_in(text_of("\"amount\":1,\"direction\":\"debit\",\"description\":\"%0512d\"", 0)), 1);
    assert_int_equal(ask("pay", "POST /transactions", "{"), 400);
    assert_int_equal(ask("pay", "POST /transactions", "[]"), 422);
    assert_int_equal(ask("pay", "POST /transactions", NULL), 422);
}

/* Each body is wrong in all that follows; what is told is the first. */
static void refusals_come_in_order(void **state)
{
    int64_t closed = account_with(1, CURRENCY_USD, 0);
    int64_t frozen = account_with(1, CURRENCY_USD, 0);

    (void)state;
    account_is(closed, LEDGER_CLOSED);
    account_is(frozen, LEDGER_FROZEN);
#define WRONG_DATE "\"effective_at\":\"1999-01-01T00:00:00Z\""
    usd = 999;
    (void)give_in(
        "\"user_id\":9,\"currency\":\"EUR\",\"amount\":1.999,\"direction\":\"debit\"," WRONG_DATE);
    assert_problem(404, "not-found");
    usd = closed;
    (void)give_in("\"currency\":\"EUR\",\"amount\":1.999,\"direction\":\"debit\"," WRONG_DATE);
    assert_problem(422, "currency-mismatch");
    (void)give_in("\"amount\":1.999,\"direction\":\"debit\"," WRONG_DATE);
    assert_problem(422, "amount-digits");
    (void)give_in("\"amount\":1.99,\"direction\":\"debit\"," WRONG_DATE);
    assert_problem(422, "effective-date");
    (void)give_in("\"amount\":1.99,\"direction\":\"debit\"");
    assert_problem(409, "account-closed");
    usd = frozen;
    (void)give_in("\"amount\":1.99,\"direction\":\"debit\",\"hold\":true");
    assert_problem(409, "account-frozen");
    assert_int_equal(give_in("\"amount\":1.99,\"direction\":\"credit\""), 201);
    account_is(frozen, LEDGER_ACTIVE);
    (void)give_in("\"amount\":1.99,\"direction\":\"debit\",\"hold\":true");
    assert_problem(409, "insufficient_funds");
    assert_int_equal(give_in("\"amount\":1.99,\"direction\":\"debit\""), 201);
    assert_said("id", "2");
    assert_int_equal(number_of(&refusals_statement), 7);
}

static void dates_lie_within_the_books(void **state)
{
    (void)state;
    assert_int_equal(
        give_in("\"amount\":1,\"direction\":\"debit\",\"effective_at\":\"2027-01-01T00:00:00Z\""),
        201);
    assert_said("effective_at", "2027-01-01T00:00:00.000000Z");
    (void)give_in("\"amount\":1,\"direction\":\"debit\",\"effective_at\":\"2028-01-01T00:00:00Z\"");
    assert_problem(422, "effective-date");
    (void)give_in("\"amount\":1,\"direction\":\"debit\",\"effective_at\":\"1970-01-01T00:00:00Z\"");
    assert_problem(422, "effective-date");
    assert_int_equal(put_status(1, "completed"), 200);
    (void)give_in("\"amount\":1,\"direction\":\"debit\",\"effective_at\":\"2027-01-01T00:00:00Z\"");
    clock_fake_move(&bench.clock, 40 * DAY);
    (void)put_status(said_number("id"), "completed");
    assert_problem(422, "effective-date");
}

static void who_may_is_asked_first(void **state)
{
    const char *body = "{\"account_id\":1,\"amount\":1,\"direction\":\"credit\"}";

    (void)state;
    assert_int_equal(ask(NULL, "POST /transactions", body), 401);
    assert_int_equal(ask("mallory", "POST /transactions", body), 401);
    assert_int_equal(ask("ada", "POST /transactions", body), 403);
    assert_int_equal(ask("reader", "POST /transactions", body), 403);
    assert_problem(403, "insufficient-scope");
    assert_int_equal(ask("adm", "POST /transactions", body), 403);
    assert_int_equal(ask("eve", "POST /transactions", body), 403);
    assert_int_equal(ask("ada", "PUT /transactions/1", "{}"), 403);
    assert_int_equal(ask("ada", "POST /transactions/1/reversals", "{}"), 403);
    assert_int_equal(ask("engine", "POST /transactions", body), 201);
    assert_int_equal(ask("pay", "POST /transactions", body), 201);
}

static void card_data_is_masked_before_it_is_kept(void **state)
{
    (void)state;
    assert_int_equal(give_in("\"amount\":1,\"direction\":\"debit\",\"description\":"
                             "\"card 4111 1111 1111 1111 thanks\""),
                     201);
    assert_false(site_has("4111"));
    assert_true(site_has("1111 thanks"));
    assert_int_equal(put(1, "{\"description\":\"now 5500 0000 0000 0004\"}"), 200);
    assert_false(site_has("5500"));
    assert_int_equal(ask("pay", "GET /transactions/1", NULL), 200);
    assert_false(site_has("5500"));
    assert_true(site_has("0004"));
}

/* ---- moving on --------------------------------------------------------------------------------
 */

static void completing_moves_the_money(void **state)
{
    int64_t debit = given_in("\"amount\":19.95,\"direction\":\"debit\",\"description\":\"a\"");
    int64_t credit = given_in("\"amount\":5,\"direction\":\"credit\"");

    (void)state;
    assert_int_equal(put_status(debit, "completed"), 200);
    assert_said("status", "completed");
    assert_said("description", "a");
    assert_balance(usd, 8005, 0);
    assert_int_equal(ask("pay", text_of("GET /postings/%s", said("posted_seq")), NULL), 200);
    assert_said("kind", "transaction");
    assert_said("transaction_id", "1");
    assert_said("legs.0.amount", "-19.95");
    assert_said("legs.1.account", "settlement:USD");
    assert_said("description", "a");
    assert_int_equal(put_status(credit, "completed"), 200);
    assert_balance(usd, 8505, 0);
    assert_int_equal(counted("completed"), 2);
    assert_int_equal(number_of(&events_statement), 4);
}

static void without_funds_it_stays_pending(void **state)
{
    int64_t id = given_in("\"amount\":100.01,\"direction\":\"debit\"");

    (void)state;
    (void)put_status(id, "completed");
    assert_problem(409, "insufficient_funds");
    assert_int_equal(ask("ada", text_of("GET /transactions/%lld", (long long)id), NULL), 200);
    assert_said("status", "pending");
    assert_null(said("posted_seq"));
    assert_balance(usd, 10000, 0);
    assert_int_equal(counted("completed"), 0);
    paid_in(usd, 1, CURRENCY_USD);
    assert_int_equal(put_status(id, "completed"), 200);
    assert_balance(usd, 0, 0);
}

/* Every pair of statuses: those of the table go, all others are 409 and change nothing. */
static void only_the_table_s_transitions_go(void **state)
{
    static const char *const statuses[] = {"pending", "completed", "cancelled", "failed",
                                           "reversed"};
    static const bool goes[5][5] = {
        {[1] = true, [2] = true, [3] = true}, {[4] = true}, {false}, {false}, {false}};

    (void)state;
    for (size_t from = 0; from < 5; from++) {
        for (size_t to = 0; to < 5; to++) {
            int64_t id = given_in("\"amount\":0.01,\"direction\":\"credit\"");

            if (from == 4)
                assert_int_equal(put_status(id, "completed"), 200);
            if (from > 0)
                assert_int_equal(put_status(id, statuses[from]), 200);
            (void)put(id, text_of("{\"status\":\"%s\",\"description\":\"%zu\"}", statuses[to], to));
            if (goes[from][to])
                assert_int_equal(site.status, 200);
            else
                assert_problem(409, "forbidden-transition");
            (void)ask("pay", text_of("GET /transactions/%lld", (long long)id), NULL);
            assert_said("status", statuses[goes[from][to] ? to : from]);
            assert_said("description", goes[from][to] ? text_of("%zu", to) : "null");
        }
    }
    (void)put_status(1, "done");
    assert_field("status");
}

static void what_is_so_already_changes_nothing(void **state)
{
    int64_t id = given_in("\"amount\":1,\"direction\":\"credit\",\"description\":\"a\"");
    const char *was = said("updated_at");

    (void)state;
    clock_fake_move(&bench.clock, DAY);
    assert_int_equal(put(id, "{}"), 200);
    assert_int_equal(put_status(id, "pending"), 200);
    assert_int_equal(put(id, "{\"status\":\"pending\",\"description\":\"a\"}"), 200);
    assert_int_equal(put(id, "{\"status\":null,\"description\":null}"), 200);
    assert_said("updated_at", was);
    assert_said("description", "a");
    assert_int_equal(put_status(id, "completed"), 200);
    assert_int_equal(put_status(id, "completed"), 200);
    assert_balance(usd, 10100, 0);
    assert_int_equal(counted("completed"), 1);
    assert_int_equal(put(id, "{\"description\":\"b\"}"), 200);
    assert_said("description", "b");
    assert_said("status", "completed");
    assert_int_equal(number_of(&events_statement), 3);
    assert_int_equal(put(99, "{}"), 404);
    assert_int_equal(put(INT64_MAX, "{\"status\":\"completed\"}"), 404);
    assert_int_equal(ask("pay", "PUT /transactions/x", "{}"), 422);
    assert_int_equal(ask("pay", "PUT /transactions/0", "{}"), 422);
}

/* ---- holds ------------------------------------------------------------------------------------
 */

static void a_hold_is_captured_when_it_completes(void **state)
{
    int64_t id = given_in("\"amount\":60,\"direction\":\"debit\",\"hold\":true");

    (void)state;
    assert_non_null(said("hold_seq"));
    assert_balance(usd, 10000, 6000);
    (void)give_in("\"amount\":40.01,\"direction\":\"debit\",\"hold\":true");
    assert_problem(409, "insufficient_funds");
    assert_int_equal(put_status(id, "completed"), 200);
    assert_balance(usd, 4000, 0);
    assert_int_equal(ask("pay", text_of("GET /postings/%s", said("posted_seq")), NULL), 200);
    assert_said("kind", "capture");
    assert_said("legs.0.held", "-60.00");
}

static void a_hold_is_voided_when_it_is_given_up(void **state)
{
    int64_t one = given_in("\"amount\":60,\"direction\":\"debit\",\"hold\":true");
    int64_t two = given_in("\"amount\":40,\"direction\":\"debit\",\"hold\":true");

    (void)state;
    assert_int_equal(put_status(one, "cancelled"), 200);
    assert_balance(usd, 10000, 4000);
    assert_int_equal(put_status(two, "failed"), 200);
    assert_balance(usd, 10000, 0);
    assert_int_equal(counted("cancelled") + counted("failed"), 2);
}

/* An expired hold promises nothing any more: there must be enough again. */
static void behind_its_hold_s_end_funds_decide(void **state)
{
    int64_t one = given_in("\"amount\":60,\"direction\":\"debit\",\"hold\":true,"
                           "\"hold_expires_at\":\"2027-01-15T09:00:00Z\"");
    int64_t two = given_in("\"amount\":30,\"direction\":\"debit\",\"hold\":true,"
                           "\"hold_expires_at\":\"2027-01-15T09:00:00Z\"");

    (void)state;
    clock_fake_move(&bench.clock, DAY);
    assert_int_equal(put_status(given_in("\"amount\":70,\"direction\":\"debit\""), "completed"),
                     200);
    (void)put_status(one, "completed");
    assert_problem(409, "insufficient_funds");
    assert_int_equal(put_status(two, "completed"), 200);
    assert_balance(usd, 0, 0);
    assert_int_equal(put_status(one, "cancelled"), 200);
}

/* ---- keys -------------------------------------------------------------------------------------
 */

static void a_key_makes_it_once(void **state)
{
    const char *body =
        text_of("{\"account_id\":%lld,\"amount\":1,\"direction\":\"credit\"}", (long long)usd);
    const char *first;

    (void)state;
    assert_int_equal(ask_keyed("pay", "POST /transactions", "k1", body), 201);
    first = text_of("%s", site_body());
    assert_false(site_has("Idempotency-Replayed"));
    assert_int_equal(ask_keyed("pay", "POST /transactions", "k1", body), 201);
    assert_true(site_has("\r\nIdempotency-Replayed: true\r\n"));
    assert_true(site_has("\r\nLocation: /transactions/1\r\n"));
    assert_string_equal(site_body(), first);
    assert_int_equal(counted("pending"), 1);
    assert_int_equal(number_of(&events_statement), 1);
    assert_int_equal(ask_keyed("engine", "POST /transactions", "k1", body), 201);
    assert_said("id", "2");
    (void)ask_keyed("pay", "POST /transactions", "k1",
                    "{\"account_id\":1,\"amount\":2,\"direction\":\"credit\"}");
    assert_problem(422, "idempotency-key-reused");
    assert_said("errors.0.field", "amount");
}

/* A refusal is remembered, though it would go well by now. */
static void a_key_keeps_a_refusal(void **state)
{
    const char *body =
        text_of("{\"account_id\":%lld,\"amount\":100.01,\"direction\":\"debit\",\"hold\":true}",
                (long long)usd);

    (void)state;
    (void)ask_keyed("pay", "POST /transactions", "k2", body);
    assert_problem(409, "insufficient_funds");
    paid_in(usd, 1, CURRENCY_USD);
    (void)ask_keyed("pay", "POST /transactions", "k2", body);
    assert_problem(409, "insufficient_funds");
    assert_true(site_has("Idempotency-Replayed"));
    assert_int_equal(ask_keyed("pay", "POST /transactions", "k3", body), 201);
    assert_said("id", "1");
}

/* ---- one of several ---------------------------------------------------------------------------
 */

static void others_are_not_found(void **state)
{
    const char *hers, *none;

    (void)state;
    (void)given_in("\"amount\":1,\"direction\":\"credit\"");
    assert_int_equal(ask("bob", "GET /transactions/1", NULL), 404);
    hers = text_of("%.*s", (int)(strstr(site_body(), "\"instance\"") - site_body()), site_body());
    assert_int_equal(ask("bob", "GET /transactions/999", NULL), 404);
    none = text_of("%.*s", (int)(strstr(site_body(), "\"instance\"") - site_body()), site_body());
    assert_string_equal(hers, none);
    assert_int_equal(ask("nobody", "GET /transactions/1", NULL), 404);
    assert_int_equal(ask("ada", "GET /transactions/1", NULL), 200);
    assert_int_equal(ask("eve", "GET /transactions/1", NULL), 200);
    assert_int_equal(ask("adm", "GET /transactions/1", NULL), 200);
    assert_int_equal(ask("engine", "GET /transactions/1", NULL), 200);
}

/* Many PUTs at once, so that some share a turn: one of them completes it, and only one. */
static void many_at_once_complete_it_once(void **state)
{
    enum { MANY = 24 };
    int fds[MANY];

    (void)state;
    for (size_t round = 0; round < 5; round++) {
        int64_t id = given_in("\"amount\":10,\"direction\":\"debit\"");
        const char *what = text_of("PUT /transactions/%lld", (long long)id);

        for (size_t i = 0; i < MANY; i++)
            fds[i] = site_begin("pay", what, NULL,
                                i % 2 ? "{\"status\":\"completed\"}"
                                      : "{\"status\":\"completed\",\"description\":\"x\"}");
        for (size_t i = 0; i < MANY; i++) {
            (void)site_hear(fds[i]);
            assert_true(site.status == 200 || site.status == 409);
        }
        assert_balance(usd, 10000 - 1000 * ((int64_t)round + 1), 0);
        assert_int_equal(counted("completed"), round + 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_ask_what_was_promised),
        T(every_status_is_counted_from_the_start),
        T(one_is_pending_and_moves_nothing),
        T(what_is_left_out_is_the_account_s),
        T(amounts_are_exact_or_refused),
        T(bodies_are_checked_member_by_member),
        T(refusals_come_in_order),
        T(dates_lie_within_the_books),
        T(who_may_is_asked_first),
        T(card_data_is_masked_before_it_is_kept),
        T(completing_moves_the_money),
        T(without_funds_it_stays_pending),
        T(only_the_table_s_transitions_go),
        T(what_is_so_already_changes_nothing),
        T(a_hold_is_captured_when_it_completes),
        T(a_hold_is_voided_when_it_is_given_up),
        T(behind_its_hold_s_end_funds_decide),
        T(a_key_makes_it_once),
        T(a_key_keeps_a_refusal),
        T(others_are_not_found),
        T(many_at_once_complete_it_once),
    };

    return cmocka_run_group_tests_name("ledger_transaction_http", tests, NULL, NULL);
}
