/* SPDX-License-Identifier: MIT
 * Who sees and does what, on both databases: every route for every kind of caller, the list and its
 * filters, the limits of the contract, and what metrics say of data scopes. */
#include "account/account_test_kit.h"

#define TYPE "{\"account_type\":\"named by %d\"}"

/* ---- every route for everybody ----------------------------------------------------------------
 */

struct caller {
    const char *token;
    int see, other, open_other, rename, rename_other, freeze, freeze_other;
};

/* Of user 1: their own account 1 and another's account 2. */
static const struct caller callers[] = {
    {"u1.customer", 200, 404, 404, 200, 404, 403, 404},
    {"u1.broker", 200, 404, 404, 200, 404, 403, 404},
    {"u1.payments", 200, 200, 201, 200, 200, 200, 200},
    {"u1.customer+risk", 200, 200, 201, 200, 200, 200, 200},
    {"u1.auditor", 200, 200, 403, 200, 403, 403, 403},
    {"u1.customer+admin", 200, 200, 201, 200, 200, 403, 403},
    {"c1.customer", 404, 404, 404, 404, 404, 404, 404},
    {"c1.", 404, 404, 404, 404, 404, 404, 404},
    {"c1.payments", 200, 200, 201, 200, 200, 200, 200},
    {"c1.risk", 200, 200, 201, 200, 200, 200, 200},
    {"c1.auditor", 200, 200, 403, 403, 403, 403, 403},
};

static void assert_status(const struct caller *caller, const char *what, const char *body,
                          int expected)
{
    int status = ask(what, caller->token, body);

    if (status != expected)
        fail_msg("%s, %s: %d, not %d: %s", caller->token, what, status, expected, site.text);
    if (status == 404)
        assert_said("title", err_sentence(ERR_NOT_FOUND));
}

static void reads_follow_ownership(const struct caller *caller)
{
    static const char *const own[] = {"GET /accounts/1", "GET /accounts/1/balance",
                                      "GET /accounts/1/statement", "GET /users/1"};
    static const char *const others[] = {"GET /accounts/2",
                                         "GET /accounts/2/balance",
                                         "GET /accounts/2/balance?seq=1",
                                         "GET /accounts/2/statement",
                                         "GET /accounts/2/statement?format=csv",
                                         "GET /users/2"};
    static const char *const nobodys[] = {"GET /accounts/999", "GET /accounts/999/balance",
                                          "GET /accounts/999/statement", "GET /users/999"};

    for (size_t i = 0; i < PC_COUNT(own); i++)
        assert_status(caller, own[i], NULL, caller->see);
    for (size_t i = 0; i < PC_COUNT(others); i++)
        assert_status(caller, others[i], NULL, caller->other);
    for (size_t i = 0; i < PC_COUNT(nobodys); i++)
        assert_status(caller, nobodys[i], NULL, 404);
}

static void writes_follow_ownership(const struct caller *caller, int number)
{
    char body[256];

    (void)snprintf(body, sizeof(body), TYPE, number);
    assert_status(caller, "PUT /accounts/1", body, caller->rename);
    assert_status(caller, "PUT /accounts/2", body, caller->rename_other);
    assert_status(caller, "PUT /accounts/999", body, 404);
    (void)snprintf(body, sizeof(body), "{\"overdraft_limit\":%d}", number);
    assert_status(caller, "PUT /accounts/1", body, caller->freeze);
    assert_status(caller, "PUT /accounts/2", body, caller->freeze_other);
    (void)snprintf(body, sizeof(body),
                   "{\"user_id\":2,\"account_number\":\"number %d\",\"account_type\":\"x\"}",
                   1000 + number);
    assert_status(caller, "POST /accounts", body, caller->open_other);
    assert_status(caller, "DELETE /accounts/999", NULL, 404);
}

static void everybody_gets_what_is_theirs(void **state)
{
    (void)state;
    assert_int_equal(account_of_user(1, "own 1", "USD"), 1);
    assert_int_equal(account_of_user(2, "others 2", "USD"), 2);
    paid_in(2, 100, CURRENCY_USD);
    for (size_t i = 0; i < PC_COUNT(callers); i++) {
        reads_follow_ownership(&callers[i]);
        writes_follow_ownership(&callers[i], (int)i);
    }
}

/* Another's account and none at all differ in nothing. */
static void unknown_and_anothers_look_alike(void **state)
{
    char first[SITE_TEXT_BYTES];
    struct span others;

    (void)state;
    assert_int_equal(account_of_user(2, "others 1", "USD"), 1);
    assert_int_equal(ask("GET /accounts/1", CUSTOMER, NULL), 404);
    others = arena_copy(&desk.arena, said("detail"));
    (void)snprintf(first, sizeof(first), "%.*s", SPAN_ARG(said("type")));
    assert_int_equal(ask("GET /accounts/8", CUSTOMER, NULL), 404);
    assert_true(span_equal(others, said("detail")));
    assert_said("type", first);
    assert_int_equal(ask("POST /accounts", CUSTOMER,
                         "{\"user_id\":2,\"account_number\":\"1234\",\"account_type\":\"x\"}"),
                     404);
    others = arena_copy(&desk.arena, said("detail"));
    assert_int_equal(ask("POST /accounts", CUSTOMER,
                         "{\"user_id\":99,\"account_number\":\"1234\",\"account_type\":\"x\"}"),
                     404);
    assert_true(span_equal(others, said("detail")));
}

static void a_scope_is_asked_for(void **state)
{
    (void)state;
    assert_int_equal(account_of_user(1, "own 1", "USD"), 1);
    assert_int_equal(ask("GET /accounts", "c1.payments.accounts:write", NULL), 403);
    assert_says("error=\"insufficient_scope\"");
    assert_int_equal(ask("GET /accounts/1", "c1.payments.accounts:write", NULL), 403);
    assert_int_equal(ask("GET /accounts/1/balance", "c1.payments.accounts:write", NULL), 403);
    assert_int_equal(ask("GET /accounts/1/statement", "c1.payments.accounts:write", NULL), 403);
    assert_int_equal(ask("GET /users/1", "c1.payments.accounts:write", NULL), 403);
    assert_int_equal(ask("POST /accounts", "c1.payments.accounts:read", "{}"), 403);
    assert_int_equal(ask("PUT /accounts/1", "c1.payments.accounts:read", "{}"), 403);
    assert_int_equal(ask("DELETE /accounts/1", "c1.payments.accounts:read", NULL), 403);
    assert_int_equal(ask("POST /users", "c1.payments.accounts:read", "{}"), 403);
    assert_int_equal(site_ask("GET /accounts", "", NULL), 401);
}

/* ---- the list ---------------------------------------------------------------------------------
 */

static void open_many(void)
{
    static const char *const currencies[] = {"USD", "EUR", "JPY"};
    char body[256];

    for (int i = 0; i < 12; i++) {
        (void)snprintf(body, sizeof(body),
                       "{\"user_id\":%d,\"account_number\":\"number %d\",\"account_type\":\"%s\","
                       "\"currency\":\"%s\",\"status\":\"%s\"}",
                       1 + i % 2, 1000 + i, i % 4 < 2 ? "day to day" : "savings", currencies[i % 3],
                       i % 6 == 5 ? "frozen" : "active");
        assert_int_equal(ask("POST /accounts", PAYMENTS, body), 201);
    }
}

/* The ids of the list, one after the other: "12 11 10". */
static void assert_listed(const char *token, const char *query, const char *expected)
{
    char text[256];
    struct sbuf ids = sbuf_over(text, sizeof(text));
    char path[16];
    int status = ask_for(token, "GET /accounts%s", query);

    assert_int_equal(status, 200);
    for (int i = 0; i < 50; i++) {
        (void)snprintf(path, sizeof(path), "%d.id", i);
        if (said(path).len == 0)
            break;
        sbuf_add_text(&ids, i > 0 ? " " : "");
        sbuf_add(&ids, said(path));
    }
    if (!span_is(sbuf_span(&ids), expected))
        fail_msg("%s %s lists \"%.*s\", not \"%s\"", token, query, SPAN_ARG(sbuf_span(&ids)),
                 expected);
}

static void lists_are_filtered(void **state)
{
    (void)state;
    open_many();
    assert_listed(PAYMENTS, "", "12 11 10 9 8 7 6 5 4 3 2 1");
    assert_listed(CUSTOMER, "", "11 9 7 5 3 1");
    assert_listed("u3.customer", "", "");
    assert_listed("c1.customer", "", "");
    assert_listed(CUSTOMER, "?user_id=1", "11 9 7 5 3 1");
    assert_listed(CUSTOMER, "?user_id=2", "");
    assert_listed("c1.customer", "?user_id=2", "");
    assert_listed("u3.auditor", "?user_id=2", "12 10 8 6 4 2");
    assert_listed(PAYMENTS, "?user_id=77", "");
    assert_listed(PAYMENTS, "?currency=USD", "10 7 4 1");
    assert_listed(PAYMENTS, "?status=frozen", "12 6");
    assert_listed(PAYMENTS, "?status=closed", "");
    assert_listed(PAYMENTS, "?account_type=savings", "12 11 8 7 4 3");
    assert_listed(PAYMENTS, "?account_type=day%20to%20day&currency=JPY", "9 6");
    assert_listed(PAYMENTS, "?currency=JPY&status=active", "9 3");
    assert_listed(CUSTOMER, "?account_type=savings&currency=USD&status=active", "7");
    assert_listed(PAYMENTS, "?user_id=1&account_type=savings&currency=USD&status=frozen", "");
    assert_listed(PAYMENTS, "?currency=XXX", "");
    assert_problem(ask("GET /accounts?status=gone", PAYMENTS, NULL), 422, "validation-failed");
    assert_problem(ask("GET /accounts?user_id=0", PAYMENTS, NULL), 422, "validation-failed");
    assert_problem(ask("GET /accounts?limit=501", PAYMENTS, NULL), 422, "validation-failed");
    assert_problem(ask("GET /accounts?cursor=x", PAYMENTS, NULL), 422, "validation-failed");
}

/* Accounts that are opened meanwhile move nothing: each of the old ones comes once. */
static void pages_are_stable_while_accounts_are_opened(void **state)
{
    char what[1024] = "GET /accounts?limit=5&currency=USD&account_type=day%20to%20day";
    int64_t last = INT64_MAX;
    size_t count = 0;
    char number[32];

    (void)state;
    for (int i = 0; i < 9; i++) {
        (void)snprintf(number, sizeof(number), "first %d", 1000 + i);
        (void)account_of_user(1, number, "USD");
        (void)snprintf(number, sizeof(number), "other %d", 1000 + i);
        (void)account_of_user(1, number, "EUR");
    }
    assert_int_equal(ask("GET /accounts?limit=9&currency=USD", PAYMENTS, NULL), 200);
    assert_silent("Link:");
    (void)snprintf(what, sizeof(what), "GET /accounts?limit=2&currency=USD&account_type=checking");
    for (int page = 0; page < 5; page++) {
        assert_int_equal(ask(what, PAYMENTS, NULL), 200);
        for (int i = 0; i < 2 && (page < 4 || i < 1); i++, count++) {
            int64_t id = said_number(i == 0 ? "0.id" : "1.id");

            assert_true(id < last);
            assert_said(i == 0 ? "0.currency" : "1.currency", "USD");
            last = id;
        }
        assert_int_equal(next_page(what), page < 4);
        (void)snprintf(number, sizeof(number), "later %d", 1000 + page);
        (void)account_of_user(1, number, "USD");
    }
    assert_int_equal(count, 9);
    assert_int_equal(last, 1);
}

/* ---- limits and metrics -----------------------------------------------------------------------
 */

static void limits_are_those_of_the_contract(void **state)
{
    static const struct {
        const char *what, *body;
        const char *limit;
    } rows[] = {{"GET /accounts", NULL, "30"},     {"POST /accounts", "{}", "10"},
                {"GET /accounts/1", NULL, "30"},   {"PUT /accounts/1", "{}", "10"},
                {"DELETE /accounts/1", NULL, "5"}, {"POST /users", "{}", "10"},
                {"GET /users/1", NULL, "30"}};
    char header[64];

    (void)state;
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        (void)ask(rows[i].what, CUSTOMER, rows[i].body);
        (void)snprintf(header, sizeof(header), "X-RateLimit-Limit: %s\r\n", rows[i].limit);
        assert_says(header);
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(ask("DELETE /accounts/1", CUSTOMER, NULL), 404);
    assert_int_equal(ask("DELETE /accounts/1", CUSTOMER, NULL), 429);
}

static void assert_counted(const char *scope, int64_t expected)
{
    char text[65536], line[128];
    struct sbuf out = sbuf_over(text, sizeof(text) - 1);

    metric_render(desk.metrics, &out);
    text[out.len] = '\0';
    (void)snprintf(line, sizeof(line),
                   "account_service_compliance_flags_total{scope=\"%s\"} %lld\n", scope,
                   (long long)expected);
    if (strstr(text, line) == NULL)
        fail_msg("%s is not there", line);
    assert_null(strstr(text, "4111"));
    assert_null(strstr(text, "scope=\"evil"));
}

static void flags(const char *what, const char *scopes, const char *body)
{
    char header[512];

    (void)snprintf(header, sizeof(header), "X-Data-Scope: %s\r\n", scopes);
    (void)ask_with(what, CUSTOMER, header, body);
}

/* Known names only: a client cannot write into a label, nor make many of them. */
static void data_scopes_are_counted(void **state)
{
    (void)state;
    assert_counted("pci", 0);
    flags("GET /accounts", "pci", NULL);
    flags("GET /accounts/9", "PCI-DSS, gdpr", NULL);
    flags("GET /accounts/9/balance", "pii,pii , PII", NULL);
    flags("GET /accounts/9/statement", "evil\\\",4111111111111111", NULL);
    flags("GET /users/9", "pci", NULL);
    flags("DELETE /accounts/9", "pci", NULL);
    flags("PUT /accounts/9", "pci", "{}");
    flags("POST /accounts", "pci",
          "{\"user_id\":1,\"account_number\":\"1\",\"account_type\":\"x\"}");
    flags("POST /accounts", "pci",
          "{\"user_id\":1,\"account_number\":\"1234\",\"account_type\":\"x\"}");
    flags("POST /users", "pci",
          "{\"email\":\"a@example.com\",\"full_name\":\"A\",\"password\":\"x\"}");
    flags("GET /accounts", "", NULL);
    flags("GET /accounts", ",,,,,,,,,,,,sox", NULL);
    assert_counted("pci", 6);
    assert_counted("pci_dss", 1);
    assert_counted("gdpr", 1);
    assert_counted("pii", 1);
    assert_counted("sox", 0);
    assert_counted("other", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DESK_TEST(everybody_gets_what_is_theirs),
        DESK_TEST(unknown_and_anothers_look_alike),
        DESK_TEST(a_scope_is_asked_for),
        DESK_TEST(lists_are_filtered),
        DESK_TEST(pages_are_stable_while_accounts_are_opened),
        cmocka_unit_test_setup_teardown(limits_are_those_of_the_contract, desk_setup_limited,
                                        desk_teardown),
        DESK_TEST(data_scopes_are_counted),
    };

    return cmocka_run_group_tests_name("account_rights", tests, NULL, NULL);
}
