/* SPDX-License-Identifier: MIT
 * Lists against a model: every filter, page by page, while rows are added; and that each of their
 * queries is served by an index on both databases. */
#include "ledger/ledger_site_test_kit.h"

#include <stdatomic.h>

#include "ledger/ledger_list.h"
#include "ledger/ledger_transaction.h"

enum { ACCOUNTS = 6, ROWS_MAX = 600, SEED = 20270115 };

static const struct {
    int64_t user_id;
    enum currency currency;
} owners[ACCOUNTS] = {{1, CURRENCY_USD}, {1, CURRENCY_USD}, {1, CURRENCY_EUR},
                      {2, CURRENCY_USD}, {2, CURRENCY_JPY}, {3, CURRENCY_USD}};
static int64_t accounts[ACCOUNTS];
static uint64_t dice;

static uint64_t roll(uint64_t sides)
{
    dice = dice * 6364136223846793005U + 1442695040888963407U;
    return (dice >> 33) % sides;
}

static int setup(void **state)
{
    if (site_setup(state) != 0)
        return -1;
    dice = SEED;
    for (size_t i = 0; i < ACCOUNTS; i++)
        accounts[i] = account_with(owners[i].user_id, owners[i].currency, 1000000);
    return 0;
}

#define T(function) cmocka_unit_test_setup_teardown(function, setup, site_teardown)

/* The target of the Link to the next page; NULL when there is none. */
static const char *next_page(void)
{
    const char *begin = strstr(site.text, "\r\nLink: <");
    const char *end = begin != NULL ? strstr(begin, ">; rel=\"next\"\r\n") : NULL;

    if (begin == NULL)
        return NULL;
    assert_non_null(end);
    begin += strlen("\r\nLink: <");
    return text_of("GET %.*s", (int)(end - begin), begin);
}

/* ---- transactions -----------------------------------------------------------------------------
 */

static struct ledger_transaction_row rows[ROWS_MAX];
static size_t row_count;

static enum err add_work(struct ledger_turn *turn, void *context)
{
    struct ledger_transaction_row *row = context;

    row->id = ledger_turn_transaction_id(turn);
    row->created_at = row->updated_at = ledger_turn_now(turn);
    return ledger_transaction_add(turn, row);
}

/* The clock may stand still, and here and there it goes back. */
static void add_row(bool may_go_back)
{
    size_t i = roll(ACCOUNTS);
    struct ledger_transaction_row *row = &rows[row_count++];

    assert_in_range(row_count, 1, ROWS_MAX);
    *row = (struct ledger_transaction_row){
        .account_id = accounts[i],
        .user_id = owners[i].user_id,
        .amount = {.minor = (int64_t)roll(50) + 1, .currency = owners[i].currency},
        .currency = span_from(currency_code(owners[i].currency)),
        .direction = roll(3) == 0 ? SPAN_OF("credit") : SPAN_OF("debit"),
        .status = span_from(ledger_statuses[roll(4)])};
    row->is_posted = span_is(row->status, "completed");
    row->posted_seq = 1;
    clock_fake_move(&bench.clock, (int64_t)roll(3) * CLOCK_NS_PER_S);
    if (may_go_back && roll(10) == 0)
        atomic_fetch_sub(&bench.clock.realtime_ns, 20 * CLOCK_NS_PER_S);
    assert_int_equal(doing(add_work, row), ERR_OK);
}

/* What one asks for; 0 and NULL: anything. */
struct question {
    const char *who;
    int64_t account_id, user_id, from, to, amount_min, amount_max;
    const char *status, *direction;
    enum currency currency;
};

static const char *rfc3339(int64_t time_ns)
{
    char text[64];
    struct sbuf out = sbuf_over(text, sizeof(text));

    clock_add_rfc3339(&out, time_ns, 9);
    return text_of("%.*s", SPAN_ARG(sbuf_span(&out)));
}

static const char *decimal_of(int64_t minor, enum currency currency)
{
    return text_of("%.*s", SPAN_ARG(ledger_decimal(&site.arena, (struct money){minor, currency})));
}

static const char *request_of(const struct question *asked, size_t limit)
{
    struct sbuf out = sbuf_on(&site.arena, 1024);

    sbuf_add_format(&out, "GET /transactions?limit=%zu", limit);
    if (asked->account_id != 0)
        sbuf_add_format(&out, "&account_id=%lld", (long long)asked->account_id);
    if (asked->user_id != 0)
        sbuf_add_format(&out, "&user_id=%lld", (long long)asked->user_id);
    if (asked->from != 0)
        sbuf_add_format(&out, "&created_from=%s", rfc3339(asked->from));
    if (asked->to != 0)
        sbuf_add_format(&out, "&created_to=%s", rfc3339(asked->to));
    if (asked->status != NULL)
        sbuf_add_format(&out, "&status=%s", asked->status);
    if (asked->direction != NULL)
        sbuf_add_format(&out, "&direction=%s", asked->direction);
    if (asked->currency != CURRENCY_NONE)
        sbuf_add_format(&out, "&currency=%s", currency_code(asked->currency));
    if (asked->amount_min != 0)
        sbuf_add_format(&out, "&amount_min=%s", decimal_of(asked->amount_min, asked->currency));
    if (asked->amount_max != 0)
        sbuf_add_format(&out, "&amount_max=%s", decimal_of(asked->amount_max, asked->currency));
    return arena_string(&site.arena, sbuf_span(&out));
}

static bool is_asked(const struct question *asked, const struct ledger_transaction_row *row)
{
    const struct http_principal *who = person(span_from(asked->who));
    bool all = ledger_sees_all(who);

    return (all || row->user_id == who->user_id) &&
           (asked->account_id == 0 || row->account_id == asked->account_id) &&
           (asked->user_id == 0 || row->user_id == asked->user_id) &&
           (asked->from == 0 || row->created_at >= asked->from) &&
           (asked->to == 0 || row->created_at < asked->to) &&
           (asked->status == NULL || span_is(row->status, asked->status)) &&
           (asked->direction == NULL || span_is(row->direction, asked->direction)) &&
           (asked->currency == CURRENCY_NONE || row->amount.currency == asked->currency) &&
           (asked->amount_min == 0 || row->amount.minor >= asked->amount_min) &&
           (asked->amount_max == 0 || row->amount.minor <= asked->amount_max);
}

static bool by_time;

static int compare_rows(const void *a, const void *b)
{
    const struct ledger_transaction_row *one = *(const struct ledger_transaction_row *const *)a;
    const struct ledger_transaction_row *other = *(const struct ledger_transaction_row *const *)b;

    if (by_time && one->created_at != other->created_at)
        return one->created_at < other->created_at ? 1 : -1;
    return one->id < other->id ? 1 : -1;
}

/* All rows that are asked for, newest first, as they are now. */
static size_t expect(const struct question *asked, const struct ledger_transaction_row **wanted)
{
    bool all = ledger_sees_all(person(span_from(asked->who)));
    size_t count = 0;

    for (size_t i = 0; i < row_count; i++) {
        if (is_asked(asked, &rows[i]))
            wanted[count++] = &rows[i];
    }
    by_time = all && asked->account_id == 0 && asked->user_id == 0 &&
              (asked->from != 0 || asked->to != 0);
    qsort(wanted, count, sizeof(const struct ledger_transaction_row *), compare_rows);
    return count;
}

/* Walks all pages; between them rows are added. */
static void check_question(const struct question *asked)
{
    static const struct ledger_transaction_row *wanted[ROWS_MAX];
    size_t count = expect(asked, wanted);
    size_t limit = roll(12) + 1;
    const char *what = request_of(asked, limit);
    size_t seen = 0;

    while (what != NULL) {
        size_t here = 0;

        if (ask(asked->who, what, NULL) != 200)
            fail_msg("%s: %s", what, site.text);
        for (; said(text_of("%zu.id", here)) != NULL; here++, seen++) {
            assert_in_range(seen, 0, count - 1);
            if (said_number(text_of("%zu.id", here)) != wanted[seen]->id)
                fail_msg("%s: row %zu is not %lld: %s", what, seen, (long long)wanted[seen]->id,
                         site.text);
        }
        what = next_page();
        assert_true(what == NULL || here == limit);
        if (row_count + 50 < ROWS_MAX && roll(8) == 0)
            add_row(false);
    }
    if (seen != count)
        fail_msg("%s: %zu rows, not %zu", request_of(asked, limit), seen, count);
}

static struct question question(void)
{
    static const char *const people_who_ask[] = {"ada", "bob",    "pay",   "eve",
                                                 "adm", "engine", "nobody"};
    struct question asked = {.who = people_who_ask[roll(PC_COUNT(people_who_ask))]};
    int64_t one = rows[roll(row_count)].created_at;
    int64_t other = rows[roll(row_count)].created_at;

    if (roll(4) == 0)
        asked.account_id = accounts[roll(ACCOUNTS)];
    if (roll(4) == 0)
        asked.user_id = (int64_t)roll(4) + 1;
    if (roll(4) == 0)
        asked.from = one;
    if (roll(4) == 0)
        asked.to = other + (int64_t)roll(2);
    if (roll(4) == 0)
        asked.status = ledger_statuses[roll(5)];
    if (roll(4) == 0)
        asked.direction = roll(2) ? "debit" : "credit";
    if (roll(3) == 0)
        asked.currency = owners[roll(ACCOUNTS)].currency;
    if (asked.currency != CURRENCY_NONE && roll(2))
        asked.amount_min = (int64_t)roll(50) + 1;
    if (asked.currency != CURRENCY_NONE && roll(2))
        asked.amount_max = (int64_t)roll(50) + 1;
    return asked;
}

static void every_filter_gives_what_the_model_has(void **state)
{
    (void)state;
    row_count = 0;
    for (size_t i = 0; i < 300; i++)
        add_row(true);
    for (size_t i = 0; i < 300; i++) {
        const struct question asked = question();

        check_question(&asked);
        arena_reset(&site.arena);
    }
}

/* Whoever may see the account is told the same. */
static void check_account(const char *who)
{
    static const struct ledger_transaction_row *wanted[ROWS_MAX];
    const struct question asked = {
        .who = who, .account_id = accounts[0], .direction = "debit", .status = "pending"};
    size_t count = expect(&asked, wanted);
    const char *what =
        text_of("GET /transactions/accounts/%lld?limit=3&direction=debit&status=pending",
                (long long)accounts[0]);
    size_t seen = 0;

    for (; what != NULL; what = next_page()) {
        assert_int_equal(ask(who, what, NULL), 200);
        for (size_t i = 0; said(text_of("%zu.id", i)) != NULL; i++, seen++) {
            assert_in_range(seen, 0, count - 1);
            assert_int_equal(said_number(text_of("%zu.id", i)), wanted[seen]->id);
        }
    }
    assert_int_equal(seen, count);
    assert_in_range(count, 4, ROWS_MAX); /* more than a page */
}

/* Of an account: the same, behind a look at whose it is. */
static void an_account_s_own_list(void **state)
{
    const char *what = text_of("GET /transactions/accounts/%lld", (long long)accounts[0]);

    (void)state;
    row_count = 0;
    for (size_t i = 0; i < 120; i++)
        add_row(false);
    assert_int_equal(ask("bob", what, NULL), 404);
    assert_int_equal(ask("nobody", what, NULL), 404);
    assert_int_equal(ask("pay", "GET /transactions/accounts/999", NULL), 404);
    assert_int_equal(ask("pay", "GET /transactions/accounts/x", NULL), 422);
    assert_int_equal(ask("pay", "GET /transactions/accounts/-110101", NULL), 422);
    check_account("ada");
    check_account("eve");
}

static int64_t number_at(const char *text)
{
    int64_t number = 0;

    assert_true(span_to_i64(span_make(text, strspn(text, "0123456789")), &number));
    return number;
}

/* A page with as many words as there may be still leaves, in parts. */
static void long_words_make_short_pages(void **state)
{
    char words[6 * LIMIT_LEDGER_DESCRIPTION_CHARS_MAX + 1] = "";
    const char *what = "GET /transactions?limit=500";
    size_t seen = 0;
    size_t pages = 0;

    (void)state;
    for (size_t i = 0; i < LIMIT_LEDGER_DESCRIPTION_CHARS_MAX; i++)
        memcpy(words + 6 * i, "\\u0001", 7);
    for (size_t i = 0; i < 260; i++) {
        assert_int_equal(ask("pay", "POST /transactions",
                             text_of("{\"account_id\":%lld,\"amount\":1,\"direction\":\"debit\","
                                     "\"description\":\"%s\"}",
                                     (long long)accounts[0], words)),
                         201);
        arena_reset(&site.arena);
    }
    for (; what != NULL; what = next_page(), pages++) {
        assert_int_equal(ask("ada", what, NULL), 200);
        for (const char *at = site_body(); (at = strstr(at, "{\"id\":")) != NULL; at++)
            assert_int_equal(number_at(at + strlen("{\"id\":")), 260 - seen++);
    }
    assert_int_equal(seen, 260);
    assert_int_equal(pages, 2);
}

static void what_cannot_be_asked_is_named(void **state)
{
    static const struct {
        const char *query, *field;
    } wrong[] = {
        {"status=open", "status"},
        {"direction=up", "direction"},
        {"currency=XXQ", "currency"},
        {"currency=usd", "currency"},
        {"amount_min=1", "amount_min"},
        {"amount_max=1", "amount_max"},
        {"currency=USD&amount_min=1.999", "amount_min"},
        {"currency=USD&amount_max=1e400", "amount_max"},
        {"currency=JPY&amount_max=1.5", "amount_max"},
        {"created_from=yesterday", "created_from"},
        {"account_id=0", "account_id"},
        {"account_id=9223372036854775808", "account_id"},
        {"user_id=x", "user_id"},
        {"limit=0", "limit"},
        {"limit=501", "limit"},
        {"cursor=x", "cursor"},
        {"cursor=1", "cursor"},
        {"cursor=1.x", "cursor"},
        {"cursor=.", "cursor"},
        {"cursor=1.2.3", "cursor"},
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(wrong); i++) {
        (void)ask("pay", text_of("GET /transactions?%s", wrong[i].query), NULL);
        assert_field(wrong[i].field);
    }
    (void)ask("pay", "GET /transfers?cursor=x", NULL);
    assert_field("cursor");
    assert_int_equal(ask("pay", "GET /transactions?limit=1&limit=2", NULL), 400);
    assert_int_equal(ask("pay", "GET /transactions?cursor=-5.-5", NULL), 200);
    assert_int_equal(ask("pay",
                         "GET /transactions?created_from=2030-01-01T00:00:00Z&created_to="
                         "2020-01-01T00:00:00Z",
                         NULL),
                     200);
    assert_string_equal(site_body(), "[]");
}

/* ---- transfers --------------------------------------------------------------------------------
 */

static struct transfer {
    int64_t id, at;
    size_t from, to;
} transfers[ROWS_MAX];
static size_t transfer_count;

/* Among the accounts in USD: 0, 1, 3 and 5. */
static void add_transfer(void)
{
    static const size_t of_usd[] = {0, 1, 3, 5};
    size_t from = roll(PC_COUNT(of_usd));
    size_t to = (from + 1 + roll(PC_COUNT(of_usd) - 1)) % PC_COUNT(of_usd);
    struct movement movement = {
        .transfer = transfer_of(accounts[of_usd[from]], accounts[of_usd[to]], 1, CURRENCY_USD)};

    clock_fake_move(&bench.clock, (int64_t)roll(3) * CLOCK_NS_PER_S);
    if (roll(12) == 0)
        bench_leap();
    if (roll(3) == 0)
        movement.transfer.kind = LEDGER_TRANSACTION; /* is on no list of transfers */
    assert_int_equal(doing(move_work, &movement), ERR_OK);
    if (movement.transfer.kind == LEDGER_TRANSFER)
        transfers[transfer_count++] = (struct transfer){.id = movement.posted.seq,
                                                        .at = movement.posted.at_ns,
                                                        .from = of_usd[from],
                                                        .to = of_usd[to]};
    assert_in_range(transfer_count, 0, ROWS_MAX - 1);
}

static bool touches_user(const struct transfer *transfer, int64_t user_id)
{
    return owners[transfer->from].user_id == user_id || owners[transfer->to].user_id == user_id;
}

static bool is_listed(const struct question *asked, const struct transfer *transfer)
{
    const struct http_principal *who = person(span_from(asked->who));
    int64_t account = asked->account_id;
    size_t of = ACCOUNTS;

    for (size_t i = 0; account != 0 && i < ACCOUNTS; i++)
        of = accounts[i] == account ? i : of;
    if (account != 0 && transfer->from != of && transfer->to != of)
        return false;
    if (account != 0 && asked->user_id != 0 && owners[of].user_id != asked->user_id)
        return false;
    if (account != 0 && !ledger_sees_all(who) && owners[of].user_id != who->user_id)
        return false;
    if (asked->user_id != 0 && !touches_user(transfer, asked->user_id))
        return false;
    if (!ledger_sees_all(who) && (!touches_user(transfer, who->user_id) ||
                                  (asked->user_id != 0 && asked->user_id != who->user_id)))
        return false;
    return (asked->from == 0 || transfer->at >= asked->from) &&
           (asked->to == 0 || transfer->at < asked->to);
}

static void check_transfers(const struct question *asked)
{
    size_t limit = roll(12) + 1;
    struct sbuf out = sbuf_on(&site.arena, 1024);
    size_t left = transfer_count;
    const char *what;

    sbuf_add_format(&out, "GET /transfers?limit=%zu", limit);
    if (asked->account_id != 0)
        sbuf_add_format(&out, "&account_id=%lld", (long long)asked->account_id);
    if (asked->user_id != 0)
        sbuf_add_format(&out, "&user_id=%lld", (long long)asked->user_id);
    if (asked->from != 0)
        sbuf_add_format(&out, "&created_from=%s", rfc3339(asked->from));
    if (asked->to != 0)
        sbuf_add_format(&out, "&created_to=%s", rfc3339(asked->to));
    for (what = arena_string(&site.arena, sbuf_span(&out)); what != NULL; what = next_page()) {
        if (ask(asked->who, what, NULL) != 200)
            fail_msg("%s: %s", what, site.text);
        for (size_t i = 0; said(text_of("%zu.id", i)) != NULL; i++) {
            while (left > 0 && !is_listed(asked, &transfers[left - 1]))
                left--;
            if (left == 0 || said_number(text_of("%zu.id", i)) != transfers[left - 1].id)
                fail_msg("%s: not %lld: %s", what,
                         left == 0 ? -1LL : (long long)transfers[left - 1].id, site.text);
            left--;
        }
        if (transfer_count + 50 < ROWS_MAX && roll(8) == 0)
            add_transfer();
    }
    while (left > 0 && !is_listed(asked, &transfers[left - 1]))
        left--;
    assert_int_equal(left, 0);
}

static void transfers_are_listed_as_the_model_has_them(void **state)
{
    (void)state;
    transfer_count = 0;
    for (size_t i = 0; i < 200; i++)
        add_transfer();
    for (size_t i = 0; i < 200; i++) {
        struct question asked;

        row_count = 1;
        rows[0].created_at = transfers[roll(transfer_count)].at + (int64_t)roll(2);
        asked = question();
        asked.to = asked.to != 0 ? transfers[roll(transfer_count)].at : 0;
        check_transfers(&asked);
        arena_reset(&site.arena);
    }
}

/* ---- plans ------------------------------------------------------------------------------------
 */

struct plan {
    const struct store_statement *statement;
    size_t params;
    const struct store_value *values;
    struct sbuf text;
};

static const struct store_statement only_indexes = {
    .name = "only_indexes", .sqlite = "SELECT 1", .postgres = "SET LOCAL enable_seqscan = off"};

static enum err plan_run(struct store_conn *conn, struct store_job *job)
{
    struct plan *plan = job->context;
    bool postgres = store_conn_kind(conn) == STORE_POSTGRES;
    PC_AUTO(store_rows) found = NULL;
    enum err err = store_exec(conn, &only_indexes, NULL, 0, NULL);

    if (!err)
        err = store_query(conn, plan->statement, plan->values, plan->params, &found);
    while (!err && store_next(found)) {
        sbuf_add(&plan->text, store_rows_text(found, postgres ? 0 : 3, NULL));
        sbuf_add_char(&plan->text, '\n');
    }
    return err ? err : store_rows_err(found);
}

static const char *plan_of(const struct store_statement *statement,
                           const struct store_value *values, size_t params)
{
    const char *sqlite = text_of("EXPLAIN QUERY PLAN %s", statement->sqlite);
    const char *postgres =
        text_of("EXPLAIN %s", statement->postgres ? statement->postgres : statement->sqlite);
    struct store_statement *explain = arena_zero(&site.arena, sizeof(*explain));
    struct plan plan = {.statement = explain,
                        .params = params,
                        .values = values,
                        .text = sbuf_on(&site.arena, 64 * 1024)};

    assert_non_null(explain);
    *explain = (struct store_statement){
        .name = text_of("explain_%s", statement->name), .sqlite = sqlite, .postgres = postgres};
    assert_int_equal(store_do(bench.store, plan_run, &plan, true), ERR_OK);
    return text_of("%.*s", SPAN_ARG(sbuf_span(&plan.text)));
}

/* What was picked, a few rows, may be walked as it is. */
static void assert_no_scan(const struct store_statement *statement, const char *plan)
{
    const char *line = plan;

    if (strstr(plan, "Seq Scan") != NULL)
        fail_msg("%s:\n%s", statement->name, plan);
    while ((line = strstr(line, "SCAN ")) != NULL) {
        line += strlen("SCAN ");
        if (strncmp(line, "s\n", 2) != 0 && strncmp(line, "(subquery", 9) != 0)
            fail_msg("%s:\n%s", statement->name, plan);
    }
}

/* The filter that each query is for, by its place; -1: none. */
static void no_list_looks_at_all_rows(void **state)
{
    static const struct {
        const char *sqlite, *postgres;
        int filter;
    } expected[LEDGER_TRANSACTION_LISTS] = {
        {"transactions_by_account", "transactions_by_account", 0},
        {"transactions_by_user", "transactions_by_user", 1},
        {"transactions_by_time", "transactions_by_time", -1},
        {"transactions_by_status", "transactions_by_status", 2},
        {"transactions_by_amount", "transactions_by_", 4},
        {"transactions_by_currency", "transactions_by_", 4},
        {"transactions_by_direction", "transactions_by_direction", 3},
        {"INTEGER PRIMARY KEY", "Index", -1},
    };
    const struct store_value given[] = {STORE_I64(1), STORE_I64(1), STORE_TEXT(SPAN_OF("pending")),
                                        STORE_TEXT(SPAN_OF("debit")), STORE_TEXT(SPAN_OF("USD"))};
    const struct store_value window[] = {STORE_I64(1), STORE_I64(INT64_MAX), STORE_I64(101),
                                         STORE_I64(1)};

    (void)state;
    for (size_t i = 0; i < LEDGER_TRANSACTION_LISTS; i++) {
        const struct store_statement *statement = &ledger_transaction_lists[i];
        struct store_value values[] = {STORE_I64(0),
                                       STORE_I64(0),
                                       STORE_TEXT(SPAN_OF("")),
                                       STORE_TEXT(SPAN_OF("")),
                                       STORE_TEXT(SPAN_OF("")),
                                       STORE_I64(1),
                                       STORE_I64(100),
                                       STORE_I64(0),
                                       STORE_I64(T0),
                                       STORE_I64(INT64_MAX),
                                       STORE_I64(101),
                                       STORE_I64(T0)};
        size_t params = strstr(statement->sqlite, "?12") != NULL ? 12 : 11;
        const char *plan;

        if (expected[i].filter >= 0)
            values[expected[i].filter] = given[expected[i].filter];
        plan = plan_of(statement, values, params);
        assert_no_scan(statement, plan);
        if (strstr(plan, bench.kit->postgres ? expected[i].postgres : expected[i].sqlite) == NULL)
            fail_msg("%s:\n%s", statement->name, plan);
    }
    for (size_t i = 0; i < LEDGER_TRANSFER_LISTS; i++) {
        const struct store_statement *statement = &ledger_transfer_lists[i];

        const char *plan = plan_of(statement, window, i == 0 ? 3 : 4);

        assert_no_scan(statement, plan);
        if (i > 0 && !bench.kit->postgres &&
            strstr(plan, "ledger_entries_by_account (<expr>=? AND account_id=? AND seq>? AND "
                         "seq<?)") == NULL)
            fail_msg("%s:\n%s", statement->name, plan);
    }
}

/* ---- partitions -------------------------------------------------------------------------------
 */

/* Each number is in one part, in order, and no part reaches into a second partition. */
static enum err windows_run(struct store_conn *conn, struct store_job *job)
{
    static const int64_t edges[] = {1, 2, 8190, 8191, 8192, 8193, 16383, 16384, 16385, 40000};
    bool parted = store_conn_kind(conn) == STORE_SQLITE;

    (void)job;
    for (size_t i = 0; i < PC_COUNT(edges) * PC_COUNT(edges); i++) {
        const struct ledger_window whole = {edges[i % PC_COUNT(edges)], edges[i / PC_COUNT(edges)]};
        struct ledger_window rest = whole, part;
        int64_t at = whole.from, below = whole.below;

        while (ledger_window_oldest(conn, &rest, &part)) {
            assert_true(part.from == at && part.from < part.below && part.below <= whole.below);
            assert_true(!parted || part.from >> 13 == (part.below - 1) >> 13);
            at = part.below;
        }
        assert_true(at == whole.below || whole.from >= whole.below);
        rest = whole;
        while (ledger_window_newest(conn, &rest, &part)) {
            assert_true(part.below == below && part.from < part.below && part.from >= whole.from);
            assert_true(!parted || part.from >> 13 == (part.below - 1) >> 13);
            below = part.from;
        }
        assert_true(below == whole.from || whole.from >= whole.below);
    }
    return ERR_OK;
}

static void windows_part_where_the_index_does(void **state)
{
    (void)state;
    assert_int_equal(store_do(bench.store, windows_run, NULL, true), ERR_OK);
}

static int64_t entries_in(struct store_conn *conn, int64_t account_id,
                          const struct ledger_window *part)
{
    static const struct store_statement count = {
        .name = "entries_of_part",
        .sqlite = "SELECT count(*) FROM ledger_entries WHERE account_id = ?1 AND seq >= ?2 AND "
                  "seq < ?3"};
    PC_AUTO(store_rows) found = NULL;
    int64_t number;

    assert_int_equal(store_query(conn, &count,
                                 STORE_PARAMS(STORE_I64(account_id), STORE_I64(part->from),
                                              STORE_I64(part->below)),
                                 &found),
                     ERR_OK);
    assert_true(store_next(found));
    number = store_rows_i64(found, 0);
    assert_int_equal(store_rows_err(found), ERR_OK);
    return number;
}

/* All entries of an account, in parts of which only the last may have none. */
static void walk_all(struct store_conn *conn, struct ledger_walk walk)
{
    int64_t all = entries_in(conn, walk.id, &walk.rest);
    struct ledger_window part;
    bool found = true, ended = false;

    for (;;) {
        int64_t some;

        assert_int_equal(ledger_walk_next(&walk, &part, &found), ERR_OK);
        if (!found)
            break;
        some = entries_in(conn, walk.id, &part);
        assert_false(ended);
        ended = some == 0;
        all -= some;
    }
    assert_int_equal(all, 0);
}

static enum err walks_run(struct store_conn *conn, struct store_job *job)
{
    const int64_t *last = job->context;

    for (size_t i = 0; i < ACCOUNTS; i++) {
        struct ledger_walk walk = {
            .conn = conn, .id = accounts[i], .rest = {.from = 1, .below = *last + 1}};

        walk_all(conn, walk);
        walk.oldest_first = true;
        walk_all(conn, walk);
    }
    return ERR_OK;
}

/* What lies between is not asked for part by part. */
static void walks_pass_over_what_has_none(void **state)
{
    (void)state;
    transfer_count = 0;
    for (size_t i = 0; i < 40; i++) {
        add_transfer();
        for (size_t leaps = roll(6); leaps > 0; leaps--)
            bench_leap();
    }
    assert_int_equal(store_do(bench.store, walks_run, &transfers[transfer_count - 1].id, true),
                     ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(every_filter_gives_what_the_model_has),
        T(an_account_s_own_list),
        T(long_words_make_short_pages),
        T(what_cannot_be_asked_is_named),
        T(transfers_are_listed_as_the_model_has_them),
        T(no_list_looks_at_all_rows),
        T(windows_part_where_the_index_does),
        T(walks_pass_over_what_has_none),
    };

    return cmocka_run_group_tests_name("ledger_list", tests, NULL, NULL);
}
