/* SPDX-License-Identifier: MIT
 * /transfers, /transfers/batch and reversals through the whole journey. */
#include "ledger/ledger_site_test_kit.h"

static int64_t adas, bobs; /* in USD, with 100.00 each */

static int setup(void **state)
{
    if (site_setup(state) != 0)
        return -1;
    adas = account_with(1, CURRENCY_USD, 10000);
    bobs = account_with(2, CURRENCY_USD, 10000);
    return 0;
}

#define T(function) cmocka_unit_test_setup_teardown(function, setup, site_teardown)

static const char *order(int64_t from, int64_t to, const char *rest)
{
    return text_of("{\"from_account_id\":%lld,\"to_account_id\":%lld,%s}", (long long)from,
                   (long long)to, rest);
}

static int transfer(const char *who, int64_t from, int64_t to, const char *rest)
{
    return ask(who, "POST /transfers", order(from, to, rest));
}

static int64_t transferred(int64_t minor)
{
    if (transfer("pay", adas, bobs,
                 text_of("\"amount\":%lld.%02lld", (long long)minor / 100,
                         (long long)minor % 100)) != 201)
        fail_msg("%s", site.text);
    return said_number("id");
}

static int give_back(const char *who, int64_t id, const char *body)
{
    return ask(who, text_of("POST /transfers/%lld/reversals", (long long)id), body);
}

static const struct store_statement refusals_statement = {
    .name = "test_refused_events",
    .sqlite = "SELECT count(*) FROM trail_events WHERE event = 'ledger.refused'"};
static const struct store_statement transfers_statement = {
    .name = "test_transfers",
    .sqlite = "SELECT count(*) FROM ledger_posts WHERE kind = 'transfer'"};

/* ---- one --------------------------------------------------------------------------------------
 */

static void money_moves_at_once(void **state)
{
    int64_t id;

    (void)state;
    assert_int_equal(transfer("ada", adas, bobs,
                              "\"amount\":\"19.95\",\"currency\":\"USD\",\"description\":\"Rent\","
                              "\"balance\":1,\"id\":7"),
                     201);
    id = said_number("id");
    assert_said("from_account_id", text_of("%lld", (long long)adas));
    assert_said("to_account_id", text_of("%lld", (long long)bobs));
    assert_said("amount", "19.95");
    assert_said("amount_minor", "1995");
    assert_said("currency", "USD");
    assert_said("description", "Rent");
    assert_said("status", "completed");
    assert_said("reversed_amount", "0.00");
    assert_said("reversed_amount_minor", "0");
    assert_said("effective_at", said("created_at"));
    assert_true(site_has(text_of("\r\nLocation: /transfers/%lld\r\n", (long long)id)));
    assert_balance(adas, 8005, 0);
    assert_balance(bobs, 11995, 0);
}

/* What is answered at first is what is read later, byte by byte. */
static void what_is_read_is_what_was_answered(void **state)
{
    static const char *const rests[] = {
        "\"amount\":1", "\"amount\":0.01,\"description\":\"\"",
        "\"amount\":2.50,\"description\":\"\\u00e4\\\"\\\\\\n\","
        "\"effective_at\":\"2027-01-10T00:00:00.123456Z\"",
        "\"amount\":3,\"description\":null,\"currency\":null,\"effective_at\":null"};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(rests); i++) {
        const char *first;
        int64_t id;

        assert_int_equal(transfer("ada", adas, bobs, rests[i]), 201);
        first = text_of("%s", site_body());
        id = said_number("id");
        assert_int_equal(ask("bob", text_of("GET /transfers/%lld", (long long)id), NULL), 200);
        assert_string_equal(site_body(), first);
    }
}

static void a_customer_moves_what_is_theirs(void **state)
{
    (void)state;
    (void)transfer("bob", adas, bobs, "\"amount\":1");
    assert_problem(404, "not-found");
    (void)transfer("nobody", adas, bobs, "\"amount\":1");
    assert_problem(404, "not-found");
    (void)transfer("adm", adas, bobs, "\"amount\":1");
    assert_problem(404, "not-found");
    (void)transfer("eve", adas, bobs, "\"amount\":1");
    assert_problem(403, "insufficient-scope");
    (void)transfer("reader", adas, bobs, "\"amount\":1");
    assert_problem(403, "insufficient-scope");
    assert_int_equal(transfer(NULL, adas, bobs, "\"amount\":1"), 401);
    assert_balance(adas, 10000, 0);
    assert_int_equal(transfer("ada", adas, bobs, "\"amount\":1"), 201);
    assert_int_equal(transfer("bob", bobs, adas, "\"amount\":2"), 201);
    assert_int_equal(transfer("pay", adas, bobs, "\"amount\":1"), 201);
    assert_int_equal(transfer("engine", adas, bobs, "\"amount\":1"), 201);
    assert_balance(adas, 9900, 0);
}

static void refusals_come_in_order(void **state)
{
    int64_t eur = account_with(2, CURRENCY_EUR, 0);
    int64_t closed = account_with(1, CURRENCY_USD, 0);
    int64_t frozen = account_with(1, CURRENCY_USD, 0);
    int64_t poor = account_with(1, CURRENCY_USD, 0);
    int64_t full = account_with(1, CURRENCY_USD, 0);

    (void)state;
#define LATE ",\"effective_at\":\"1999-01-01T00:00:00Z\""
    deposited(full, CURRENCY_USD, INT64_MAX, LEDGER_POSITION);
    account_is(closed, LEDGER_CLOSED);
    account_is(frozen, LEDGER_FROZEN);
    (void)transfer("ada", 998, 999, "\"amount\":1.999,\"currency\":\"EUR\"" LATE);
    assert_problem(404, "not-found");
    (void)transfer("ada", adas, 999, "\"amount\":1.999,\"currency\":\"EUR\"" LATE);
    assert_problem(404, "not-found");
    (void)transfer("ada", closed, closed, "\"amount\":1.999,\"currency\":\"EUR\"" LATE);
    assert_problem(422, "same-account");
    (void)transfer("ada", closed, frozen, "\"amount\":1.999,\"currency\":\"XXQ\"" LATE);
    assert_field("currency");
    (void)transfer("ada", closed, frozen, "\"amount\":1.999,\"currency\":\"EUR\"" LATE);
    assert_problem(422, "currency-mismatch");
    (void)transfer("ada", closed, eur, "\"amount\":1.999" LATE);
    assert_problem(422, "currency-mismatch");
    (void)transfer("ada", frozen, closed, "\"amount\":1.999" LATE);
    assert_problem(422, "amount-digits");
    assert_field("amount");
    (void)transfer("ada", frozen, closed, "\"amount\":0" LATE);
    assert_problem(422, "amount-range");
    (void)transfer("ada", frozen, closed, "\"amount\":1" LATE);
    assert_problem(422, "effective-date");
    (void)transfer("ada", frozen, closed, "\"amount\":1");
    assert_problem(409, "account-closed");
    (void)transfer("ada", frozen, full, "\"amount\":1");
    assert_problem(409, "account-frozen");
    (void)transfer("ada", poor, full, "\"amount\":1");
    assert_problem(409, "insufficient_funds");
    (void)transfer("ada", adas, full, "\"amount\":1");
    assert_problem(409, "balance-range");
    assert_int_equal(transfer("ada", adas, frozen, "\"amount\":1"), 201);
    assert_int_equal(number_of(&refusals_statement), 13);
    assert_int_equal(number_of(&transfers_statement), 1);
}

static void bodies_are_checked(void **state)
{
    static const struct {
        const char *body, *field;
    } wrong[] = {
        {"{}", "from_account_id"},
        {"{\"from_account_id\":-100,\"to_account_id\":1,\"amount\":1}", "from_account_id"},
        {"{\"from_account_id\":1,\"to_account_id\":-110101,\"amount\":1}", "to_account_id"},
        {"{\"from_account_id\":1,\"to_account_id\":2,\"amount\":1e400}", "amount"},
        {"{\"from_account_id\":1,\"to_account_id\":2,\"amount\":\"1e400\"}", "amount"},
        {"{\"from_account_id\":1,\"to_account_id\":2,\"amount\":-0}", "amount"},
        {"{\"from_account_id\":1,\"to_account_id\":2,\"amount\":-1}", "amount"},
        {"{\"from_account_id\":1.5,\"to_account_id\":2,\"amount\":1}", "from_account_id"},
        {"{\"from_account_id\":9223372036854775808,\"to_account_id\":2,\"amount\":1}",
         "from_account_id"},
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(wrong); i++) {
        (void)ask("pay", "POST /transfers", wrong[i].body);
        assert_field(wrong[i].field);
    }
    assert_int_equal(number_of(&transfers_statement), 0);
}

static void others_are_not_found(void **state)
{
    const char *hers, *none;
    int64_t third = account_with(3, CURRENCY_USD, 0);

    int64_t id;

    (void)state;
    assert_int_equal(transfer("pay", adas, third, "\"amount\":1"), 201);
    id = said_number("id");
    assert_int_equal(ask("bob", text_of("GET /transfers/%lld", (long long)id), NULL), 404);
    hers = text_of("%.*s", (int)(strstr(site_body(), "\"instance\"") - site_body()), site_body());
    assert_int_equal(ask("bob", "GET /transfers/999", NULL), 404);
    none = text_of("%.*s", (int)(strstr(site_body(), "\"instance\"") - site_body()), site_body());
    assert_string_equal(hers, none);
    assert_int_equal(ask("nobody", text_of("GET /transfers/%lld", (long long)id), NULL), 404);
    assert_int_equal(ask("ada", text_of("GET /transfers/%lld", (long long)id), NULL), 200);
    assert_int_equal(ask("eve", text_of("GET /transfers/%lld", (long long)id), NULL), 200);
    assert_int_equal(ask("eve", "GET /transfers/1", NULL), 404); /* a posting of another kind */
}

static void a_key_makes_it_once(void **state)
{
    const char *body = order(adas, bobs, "\"amount\":1.00");
    const char *same = order(adas, bobs, "\"amount\":\"1.00\",\"description\":null");
    const char *first;

    (void)state;
    assert_int_equal(ask_keyed("ada", "POST /transfers", "k", body), 201);
    first = text_of("%s", site_body());
    assert_int_equal(ask_keyed("ada", "POST /transfers", "k", body), 201);
    assert_string_equal(site_body(), first);
    assert_true(site_has("\r\nIdempotency-Replayed: true\r\n"));
    assert_int_equal(ask_keyed("ada", "POST /transfers", "k", same), 201);
    assert_true(site_has("\r\nIdempotency-Replayed: true\r\n"));
    assert_balance(adas, 9900, 0);
    (void)ask_keyed("ada", "POST /transfers", "k", order(adas, bobs, "\"amount\":1.01"));
    assert_problem(422, "idempotency-key-reused");
    assert_said("errors.0.field", "amount");
    assert_balance(adas, 9900, 0);
    (void)ask_keyed("ada", "POST /transfers", "\xC3\xA4", body);
    assert_int_equal(site.status, 422);
}

/* The same answer twice, byte by byte, and one effect; a changed request is refused. */
static void check_key(const char *what, const char *body, const char *other)
{
    const char *first;

    if (ask_keyed("pay", what, "the-key", body) != 201)
        fail_msg("%s: %s", what, site.text);
    first = text_of("%s", site_body());
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(ask_keyed("pay", what, "the-key", body), 201);
        assert_true(site_has("\r\nIdempotency-Replayed: true\r\n"));
        assert_string_equal(site_body(), first);
    }
    (void)ask_keyed("pay", what, "the-key", other);
    assert_problem(422, "idempotency-key-reused");
}

static const struct store_statement postings_statement = {
    .name = "test_postings", .sqlite = "SELECT count(*) FROM ledger_posts"};

static void every_route_keeps_its_answer(void **state)
{
    int64_t before;
    int64_t id = transferred(1000);

    (void)state;
    before = number_of(&postings_statement);
    check_key("POST /transfers", order(adas, bobs, "\"amount\":1"),
              order(bobs, adas, "\"amount\":1"));
    check_key("POST /transfers/batch",
              text_of("{\"transfers\":[%s,%s]}", order(adas, bobs, "\"amount\":1"),
                      order(adas, bobs, "\"amount\":2")),
              text_of("{\"transfers\":[%s]}", order(adas, bobs, "\"amount\":1")));
    check_key(text_of("POST /transfers/%lld/reversals", (long long)id), "{\"amount\":1}", "{}");
    check_key("POST /postings",
              text_of("{\"legs\":[{\"account\":%lld,\"amount\":-1},{\"account\":%lld,"
                      "\"amount\":1}]}",
                      (long long)adas, (long long)bobs),
              text_of("{\"legs\":[{\"account\":%lld,\"amount\":-2},{\"account\":%lld,"
                      "\"amount\":2}]}",
                      (long long)adas, (long long)bobs));
    check_key(
        "POST /transactions",
        text_of("{\"account_id\":%lld,\"amount\":1,\"direction\":\"debit\",\"hold\":true}",
                (long long)adas),
        text_of("{\"account_id\":%lld,\"amount\":1,\"direction\":\"debit\"}", (long long)adas));
    assert_int_equal(ask("pay", "PUT /transactions/1", "{\"status\":\"completed\"}"), 200);
    check_key("POST /transactions/1/reversals", "{\"amount\":0.40}", "{\"amount\":0.41}");
    assert_int_equal(number_of(&postings_statement), before + 8);
    assert_int_equal(ask("pay", "GET /transactions/1", NULL), 200);
    assert_said("status", "completed");
}

/* ---- batches ----------------------------------------------------------------------------------
 */

static const char *batch(const char *orders, bool atomic)
{
    return text_of("{\"transfers\":[%s],\"atomic\":%s}", orders, atomic ? "true" : "false");
}

static void a_batch_is_all_or_nothing(void **state)
{
    const char *good = order(adas, bobs, "\"amount\":60");
    const char *back = order(bobs, adas, "\"amount\":150,\"description\":\"back\"");

    (void)state;
    assert_int_equal(
        ask("pay", "POST /transfers/batch", text_of("{\"transfers\":[%s,%s]}", good, back)), 201);
    assert_said("posted", "2");
    assert_said("refused", "0");
    assert_said("transfers.0.status", "completed");
    assert_said("transfers.0.transfer.amount", "60.00");
    assert_said("transfers.1.transfer.description", "back");
    assert_int_equal(said_number("transfers.1.transfer.id"),
                     said_number("transfers.0.transfer.id") + 1);
    assert_balance(adas, 19000, 0);
    assert_balance(bobs, 1000, 0);
    (void)ask("pay", "POST /transfers/batch", batch(text_of("%s,%s,%s", good, back, good), true));
    assert_problem(409, "insufficient_funds");
    assert_said("detail", "transfers[1]: The account has not enough to spend");
    assert_balance(adas, 19000, 0);
    assert_int_equal(number_of(&transfers_statement), 2);
}

static void a_batch_names_the_first_that_is_wrong(void **state)
{
    const char *good = order(adas, bobs, "\"amount\":1");

    (void)state;
    (void)ask("pay", "POST /transfers/batch",
              batch(text_of("%s,%s,%s", good, order(adas, bobs, "\"amount\":1.999"),
                            order(adas, 999, "\"amount\":1")),
                    true));
    assert_problem(422, "amount-digits");
    assert_field("transfers[1].amount");
    (void)ask("pay", "POST /transfers/batch",
              batch(text_of("%s,%s", good, order(adas, bobs, "\"amount\":1,\"currency\":\"XXQ\"")),
                    true));
    assert_field("transfers[1].currency");
    (void)ask("pay", "POST /transfers/batch",
              batch(text_of("%s,%s", good, order(adas, 999, "\"amount\":1")), true));
    assert_problem(404, "not-found");
    assert_said("detail", "transfers[1]: There is nothing here");
    (void)ask("pay", "POST /transfers/batch",
              batch(text_of("%s,{\"from_account_id\":1}", good), true));
    assert_field("transfers[1].to_account_id");
    (void)ask("ada", "POST /transfers/batch",
              batch(text_of("%s,%s", good, order(bobs, adas, "\"amount\":1")), true));
    assert_problem(404, "not-found");
    (void)ask("ada", "POST /transfers/batch", "{\"transfers\":[]}");
    assert_field("transfers");
    assert_balance(adas, 10000, 0);
}

static void each_by_itself_is_answered_by_itself(void **state)
{
    const char *orders = text_of(
        "%s,%s,%s,%s,%s,%s", order(adas, bobs, "\"amount\":60"), order(adas, bobs, "\"amount\":60"),
        order(adas, bobs, "\"amount\":1.999"), order(adas, 999, "\"amount\":1"),
        order(adas, adas, "\"amount\":1"), order(adas, bobs, "\"amount\":40"));

    (void)state;
    assert_int_equal(ask("ada", "POST /transfers/batch", batch(orders, false)), 201);
    assert_said("posted", "2");
    assert_said("refused", "4");
    assert_said("transfers.0.status", "completed");
    assert_said("transfers.1.status", "refused");
    assert_said("transfers.1.error.type", "urn:portcullis:problem:insufficient_funds");
    assert_said("transfers.1.error.title", "The account has not enough to spend");
    assert_said("transfers.1.error.status", "409");
    assert_said("transfers.1.error.detail", "transfers[1]: The account has not enough to spend");
    assert_null(said("transfers.1.transfer"));
    assert_said("transfers.2.error.type", "urn:portcullis:problem:amount-digits");
    assert_said("transfers.3.error.status", "404");
    assert_said("transfers.4.error.type", "urn:portcullis:problem:same-account");
    assert_said("transfers.5.status", "completed");
    assert_null(said("transfers.5.error"));
    assert_balance(adas, 0, 0);
    assert_int_equal(number_of(&refusals_statement), 4);
    assert_int_equal(ask("bob", "POST /transfers/batch", batch(orders, false)), 201);
    assert_said("posted", "0");
    assert_said("transfers.0.error.status", "404");
}

/* As many as there may be, each as long as there is room for. */
static const char *thousand(size_t count, size_t description)
{
    struct sbuf out = sbuf_on(&site.arena, 1024 * 1024);
    const char *text;

    sbuf_add_lit(&out, "{\"transfers\":[");
    for (size_t i = 0; i < count; i++)
        sbuf_add_format(&out,
                        "%s{\"from_account_id\":%lld,\"to_account_id\":%lld,\"amount\":0.01,"
                        "\"description\":\"%0*d\"}",
                        i > 0 ? "," : "", (long long)adas, (long long)bobs, (int)description, 0);
    sbuf_add_lit(&out, "]}");
    text = arena_string(&site.arena, sbuf_span(&out));
    assert_non_null(text);
    return text;
}

static void a_batch_has_up_to_a_thousand(void **state)
{
    const char *body = thousand(1000, 310);
    const char *first;

    (void)state;
    assert_in_range(strlen(body), 370000, 384 * 1024);
    assert_int_equal(ask_keyed("ada", "POST /transfers/batch", "big", body), 201);
    assert_said("posted", "1000");
    assert_said("transfers.999.transfer.amount_minor", "1");
    assert_balance(adas, 9000, 0);
    first = arena_string(&site.arena, span_from(site_body()));
    assert_non_null(first);
    assert_int_equal(ask_keyed("ada", "POST /transfers/batch", "big", body), 201);
    assert_true(site_has("\r\nIdempotency-Replayed: true\r\n"));
    assert_string_equal(site_body(), first);
    assert_balance(adas, 9000, 0);
    assert_int_equal(number_of(&transfers_statement), 1000);
    (void)ask("ada", "POST /transfers/batch", thousand(1001, 1));
    assert_field("transfers");
    assert_int_equal(ask("ada", "POST /transfers/batch", thousand(1000, 335)), 413);
}

/* Whichever call to the store fails: what is answered 201 is there, and nothing else. */
static void a_store_that_fails_moves_all_or_nothing(void **state)
{
    const char *orders =
        text_of("{\"transfers\":[%s,%s],\"atomic\":false}", order(adas, bobs, "\"amount\":0.10"),
                order(adas, bobs, "\"amount\":0.20"));
    int64_t done = 0;
    size_t failed = 0;

    (void)state;
    for (uint64_t nth = 1; nth < 60; nth++) {
        store_fail_at(nth % 2 ? nth : STORE_FAIL_ALWAYS);
        (void)ask("ada", "POST /transfers/batch", orders);
        store_fail_at(0);
        assert_true(site.status == 201 || site.status == 503);
        done += site.status == 201 ? 1 : 0;
        failed += site.status == 503;
        while (store_ready(bench.store) != ERR_OK)
            (void)usleep(1000);
        assert_balance(adas, 10000 - 30 * done, 0);
    }
    assert_in_range(done, 5, 60);
    assert_in_range(failed, 5, 60);
}

/* ---- reversals --------------------------------------------------------------------------------
 */

static void what_was_moved_is_given_back(void **state)
{
    int64_t id = transferred(6000);
    int64_t back;

    (void)state;
    assert_int_equal(give_back("ada", id, "{}"), 403);
    assert_int_equal(give_back("pay", id, "{\"amount\":20.00,\"description\":\"half\"}"), 201);
    back = said_number("id");
    assert_said("reverses", text_of("%lld", (long long)id));
    assert_said("amount", "20.00");
    assert_said("amount_minor", "2000");
    assert_said("currency", "USD");
    assert_said("description", "half");
    assert_said("from_account_id", text_of("%lld", (long long)bobs));
    assert_said("to_account_id", text_of("%lld", (long long)adas));
    assert_null(said("transaction_id"));
    assert_balance(adas, 6000, 0);
    assert_int_equal(ask("ada", text_of("GET /transfers/%lld", (long long)id), NULL), 200);
    assert_said("reversed_amount", "20.00");
    assert_int_equal(ask("eve", text_of("GET /postings/%lld", (long long)back), NULL), 200);
    assert_said("refers_to", text_of("%lld", (long long)id));
    assert_said("kind", "reversal");
    assert_said("referred_by", "[]");
    assert_int_equal(ask("eve", text_of("GET /postings/%lld", (long long)id), NULL), 200);
    assert_said("referred_by", text_of("[%lld]", (long long)back));
    (void)give_back("engine", id, "{\"amount\":40.01}");
    assert_problem(409, "more-than-original");
    assert_int_equal(give_back("engine", id, "{}"), 201);
    assert_said("amount", "40.00");
    assert_balance(adas, 10000, 0);
    (void)give_back("pay", id, "{\"amount\":0.01}");
    assert_problem(409, "more-than-original");
    (void)give_back("pay", id, "{}");
    assert_problem(409, "more-than-original");
    (void)give_back("pay", back, "{}"); /* a reversal is no transfer */
    assert_problem(404, "not-found");
}

static void what_is_gone_is_not_given_back(void **state)
{
    int64_t id = transferred(6000);

    (void)state;
    (void)give_back("pay", 999, "{}");
    assert_problem(404, "not-found");
    (void)give_back("pay", 1, "{}"); /* it is there, and no transfer */
    assert_problem(404, "not-found");
    (void)give_back("pay", id, "{\"amount\":1.001}");
    assert_problem(422, "amount-digits");
    assert_field("amount");
    (void)give_back("pay", id, "{\"amount\":0}");
    assert_field("amount");
    account_is(bobs, LEDGER_FROZEN);
    (void)give_back("pay", id, "{\"amount\":100}");
    assert_problem(409, "account-frozen");
    account_is(bobs, LEDGER_ACTIVE);
    assert_int_equal(transfer("bob", bobs, adas, "\"amount\":150"), 201);
    (void)give_back("pay", id, "{}");
    assert_problem(409, "insufficient_funds");
    assert_int_equal(give_back("pay", id, "{\"amount\":10}"), 201);
}

/* Many reversals of one transfer at once: together they never exceed it. */
static void many_reversals_never_exceed_it(void **state)
{
    enum { MANY = 20 };
    int64_t id = transferred(1000);
    const char *what = text_of("POST /transfers/%lld/reversals", (long long)id);
    int fds[MANY];
    size_t posted = 0;

    (void)state;
    for (size_t i = 0; i < MANY; i++)
        fds[i] = site_begin("pay", what, text_of("r%zu", i), "{\"amount\":3.00}");
    for (size_t i = 0; i < MANY; i++)
        posted += site_hear(fds[i]) == 201;
    assert_int_equal(posted, 3);
    assert_balance(adas, 9900, 0);
}

/* ---- postings ---------------------------------------------------------------------------------
 */

static int post(const char *who, const char *legs)
{
    return ask(who, "POST /postings", text_of("{\"legs\":[%s],\"description\":\"d\"}", legs));
}

static const char *leg(int64_t account, const char *amount)
{
    return text_of("{\"account\":%lld,\"amount\":%s}", (long long)account, amount);
}

static void a_posting_has_many_legs(void **state)
{
    int64_t eur = account_with(2, CURRENCY_EUR, 0);
    const char *first;

    (void)state;
    assert_int_equal(post("pay", text_of("%s,{\"account\":\"position:USD\",\"amount\":\"9.90\"},"
                                         "{\"account\":\"%lld\",\"amount\":0.10},"
                                         "{\"account\":\"position:EUR\",\"amount\":-9},%s",
                                         leg(adas, "-10.00"), (long long)bobs, leg(eur, "9.00"))),
                     201);
    assert_said("kind", "posting");
    assert_said("legs.0.amount", "-10.00");
    assert_said("legs.1.account", "position:USD");
    assert_said("legs.2.account", text_of("%lld", (long long)bobs));
    assert_said("legs.3.amount_minor", "-900");
    assert_said("legs.4.currency", "EUR");
    assert_said("legs.4.held", "0.00");
    assert_said("description", "d");
    assert_balance(adas, 9000, 0);
    assert_balance(bobs, 10010, 0);
    assert_balance(eur, 900, 0);
    first = text_of("%s", site_body());
    assert_int_equal(ask("eve", text_of("GET /postings/%s", said("id")), NULL), 200);
    assert_string_equal(site_body(), first);
    assert_int_equal(ask("ada", text_of("GET /postings/%s", said("id")), NULL), 404);
    assert_int_equal(ask("pay", "GET /postings/999", NULL), 404);
}

static void postings_are_refused_in_order(void **state)
{
    int64_t eur = account_with(2, CURRENCY_EUR, 0);

    (void)state;
    assert_int_equal(post("ada", text_of("%s,%s", leg(adas, "-1"), leg(bobs, "1"))), 403);
    assert_int_equal(post("engine", text_of("%s,%s", leg(adas, "-1"), leg(bobs, "1"))), 403);
    (void)post("pay", leg(adas, "-1"));
    assert_field("legs");
    (void)post("pay", text_of("%s,%s,%s", leg(adas, "-1.999"), leg(adas, "1"), leg(999, "1")));
    assert_problem(404, "not-found");
    (void)post("pay", text_of("%s,%s,%s", leg(adas, "-1.999"), leg(bobs, "1"), leg(adas, "1")));
    assert_problem(422, "same-account");
    (void)post("pay", text_of("%s,%s", leg(adas, "-1"), leg(bobs, "1.999")));
    assert_problem(422, "amount-digits");
    assert_field("legs[1].amount");
    (void)post("pay", text_of("%s,%s", leg(adas, "0.00"), leg(bobs, "0")));
    assert_field("legs[0].amount");
    (void)post("pay", text_of("%s,%s", leg(adas, "-0"), leg(bobs, "1")));
    assert_field("legs[0].amount");
    (void)post("pay", text_of("%s,%s", leg(adas, "-1"), leg(bobs, "1.01")));
    assert_problem(422, "unbalanced");
    (void)post("pay", text_of("%s,%s", leg(adas, "-1"), leg(eur, "1")));
    assert_problem(422, "unbalanced");
    (void)post("pay", text_of("%s,%s", leg(adas, "-100.01"), leg(bobs, "100.01")));
    assert_problem(409, "insufficient_funds");
    assert_balance(adas, 10000, 0);
}

static void accounts_have_one_of_three_names(void **state)
{
    static const char *const wrong[] = {"0",
                                        "-1",
                                        "\"\"",
                                        "\"settlement\"",
                                        "\"settlement:\"",
                                        "\"settlement:XXQ\"",
                                        "1.5",
                                        "1e1",
                                        "null",
                                        "true",
                                        "\"settlement:usd\"",
                                        "\"-100\"",
                                        "[1]",
                                        "{}",
                                        "\"\\u0031\"",
                                        "\"position:USDX\"",
                                        "\"Settlement:USD\"",
                                        "\"01\\\"\"",
                                        "9223372036854775808"};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(wrong); i++) {
        (void)post("pay", text_of("%s,{\"account\":%s,\"amount\":1}", leg(adas, "-1"), wrong[i]));
        assert_field("legs[1].account");
    }
    assert_int_equal(
        post("pay", text_of("%s,{\"account\":\"settlement:USD\",\"amount\":1}", leg(adas, "-1"))),
        201);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(money_moves_at_once),
        T(what_is_read_is_what_was_answered),
        T(a_customer_moves_what_is_theirs),
        T(refusals_come_in_order),
        T(bodies_are_checked),
        T(others_are_not_found),
        T(a_key_makes_it_once),
        T(every_route_keeps_its_answer),
        T(a_batch_is_all_or_nothing),
        T(a_batch_names_the_first_that_is_wrong),
        T(each_by_itself_is_answered_by_itself),
        T(a_batch_has_up_to_a_thousand),
        T(a_store_that_fails_moves_all_or_nothing),
        T(what_was_moved_is_given_back),
        T(what_is_gone_is_not_given_back),
        T(many_reversals_never_exceed_it),
        T(a_posting_has_many_legs),
        T(postings_are_refused_in_order),
        T(accounts_have_one_of_three_names),
    };

    return cmocka_run_group_tests_name("ledger_transfer_http", tests, NULL, NULL);
}
