/* SPDX-License-Identifier: MIT
 * The account service for tests: all of its routes over socket pairs, on the bench's ledger, with
 * tokens that say who somebody is and may do: "u1.customer", "c3.payments+risk",
 * "u2.auditor.accounts:read". Users 1 to 3 are there. */
#ifndef PC_ACCOUNT_ACCOUNT_TEST_KIT_H
#define PC_ACCOUNT_ACCOUNT_TEST_KIT_H

#include "account/account_priv.h"
#include "http/http_test_kit.h"
#include "ledger/ledger_test_kit.h"

#define CUSTOMER "u1.customer"
#define PAYMENTS "c3.payments"

static struct {
    struct auth *auth;
    struct metrics *metrics;
    struct account_service service;
    struct arena arena; /* of what tests read out of answers */
} desk;

/* ---- who there is -----------------------------------------------------------------------------
 */

static inline struct span desk_list(struct span list, struct arena *arena)
{
    struct sbuf out = sbuf_on(arena, 256);
    struct span name;

    while (list.len > 0 && span_cut(&list, '+', &name)) {
        sbuf_add_text(&out, out.len ? " " : "");
        sbuf_add(&out, name);
    }
    return sbuf_span(&out);
}

static inline enum err desk_verify(void *context, struct span token, int64_t now_s,
                                   struct arena *arena, struct http_principal *ret_principal)
{
    struct span id = {0}, roles = {0}, scopes = {0};
    bool is_user = token.len > 0 && token.ptr[0] == 'u';
    int64_t number;

    (void)context;
    if (!span_cut(&token, '.', &id) || !span_to_i64(span_slice(id, 1, id.len), &number))
        return ERR_TOKEN_INVALID;
    if (!span_cut(&token, '.', &roles) || !span_cut(&token, '.', &scopes))
        scopes = SPAN_OF("accounts:read+accounts:write");
    *ret_principal =
        (struct http_principal){.kind = is_user ? HTTP_TOKEN_SESSION : HTTP_TOKEN_ISSUED,
                                .user_id = is_user ? number : 0,
                                .client_key = is_user ? 0 : number,
                                .client_id = is_user ? SPAN_OF("") : SPAN_OF("robot"),
                                .expires_at_s = now_s + 3600,
                                .roles = desk_list(roles, arena),
                                .scope = desk_list(scopes, arena)};
    return ERR_OK;
}

static inline enum err desk_load(void *context, struct store_conn *conn, struct arena *arena,
                                 struct http_principal *principal)
{
    (void)context, (void)conn, (void)arena;
    principal->is_admin = http_has_role(principal, "admin");
    return ERR_OK;
}

static const struct store_statement desk_users = {
    .name = "desk_users",
    .sqlite = "INSERT INTO users (id, username, username_key, email, email_key, password_hash, "
              "created_at, updated_at, password_changed_at) "
              "VALUES (2, 'bob', 'bob', 'bob@example.com', 'bob@example.com', 'hash', 1, 1, 1), "
              "(3, 'cyd', 'cyd', 'cyd@example.com', 'cyd@example.com', 'hash', 1, 1, 1)"};
/* Whoever comes next is 100. */
static const struct store_statement desk_next = {
    .name = "desk_next",
    .sqlite = "UPDATE sqlite_sequence SET seq = 99 WHERE name = 'users'",
    .postgres = "ALTER TABLE users ALTER COLUMN id RESTART WITH 100"};

/* ---- start and stop ---------------------------------------------------------------------------
 */

#define DESK_RATE(route)                                                                           \
    {                                                                                              \
        .what = SPAN(route), .rate = {.requests = 1000000, .period_ns = 60 * CLOCK_NS_PER_S }      \
    }
static const struct http_rate_override desk_rates[] = {
    DESK_RATE("GET /accounts"),
    DESK_RATE("POST /accounts"),
    DESK_RATE("GET /accounts/{id}"),
    DESK_RATE("PUT /accounts/{id}"),
    DESK_RATE("DELETE /accounts/{id}"),
    DESK_RATE("GET /accounts/{id}/balance"),
    DESK_RATE("GET /accounts/{id}/statement"),
    DESK_RATE("POST /users"),
    DESK_RATE("GET /users/{id}"),
};
/* Not limited; and with the limits of the rows. */
static const struct http_policy desk_policy = {
    .rate = {.requests = 1000000, .period_ns = 60 * CLOCK_NS_PER_S},
    .rate_verify = {.requests = 1000000, .period_ns = 60 * CLOCK_NS_PER_S},
    .route_rates = desk_rates,
    .route_rate_count = PC_COUNT(desk_rates),
    .body_bytes_max = 65536,
    .breaker_failures = 1000000};
static const struct http_policy desk_policy_limited = {
    .rate = {.requests = 60, .period_ns = 60 * CLOCK_NS_PER_S},
    .rate_verify = {.requests = 1000000, .period_ns = 60 * CLOCK_NS_PER_S},
    .body_bytes_max = 65536,
    .breaker_failures = 1000000};

static inline void desk_make_services(void)
{
    const struct auth_options auth = {.clock = &bench.clock.clock,
                                      .random = &random_system,
                                      .policy = {.kind = CRYPTO_PASSWORD_BCRYPT, .bcrypt_cost = 4},
                                      .password_chars_min = 8,
                                      .metrics = desk.metrics};
    struct ledger_options ledger = *ledger_options_of(bench.ledger);

    assert_int_equal(auth_new(&auth, &desk.auth), ERR_OK);
    ledger_free(bench.ledger);
    ledger.metrics = desk.metrics;
    ledger.key_life_s = DAY_S;
    assert_int_equal(ledger_new(&ledger, &bench.ledger), ERR_OK);
    assert_int_equal(account_service_init(&desk.service, bench.ledger, desk.auth), ERR_OK);
}

static inline int desk_open(void **state, const struct http_policy *policy)
{
    const struct http_mount mounts[] = {{.rows = account_routes, .context = &desk.service},
                                        {.rows = account_user_routes, .context = &desk.service}};
    const struct http_service_options options = {
        .mounts = mounts, .mount_count = PC_COUNT(mounts), .policy = policy};
    struct http_engine_options engine = {.clock = &bench.clock.clock,
                                         .identity = {.verify = desk_verify, .load = desk_load}};

    if (bench_setup(state) != 0)
        return -1;
    arena_init(&desk.arena, NULL, 0, 64 * 1024 * 1024);
    kit_exec(bench.store, &desk_users);
    kit_exec(bench.store, &desk_next);
    assert_int_equal(metrics_new(&desk.metrics), ERR_OK);
    desk_make_services();
    engine.store = bench.store;
    engine.metrics = desk.metrics;
    return site_start(&options, engine);
}

static inline int desk_setup(void **state)
{
    return desk_open(state, &desk_policy);
}

static inline int desk_setup_limited(void **state)
{
    return desk_open(state, &desk_policy_limited);
}

static inline int desk_teardown(void **state)
{
    int stopped = site_stop(state);
    int over;

    ledger_free(bench.ledger);
    bench.ledger = NULL;
    auth_free(desk.auth);
    over = bench_teardown(state);
    metrics_free(desk.metrics);
    arena_reset(&desk.arena);
    return stopped | over;
}

#define DESK_TEST(function) cmocka_unit_test_setup_teardown(function, desk_setup, desk_teardown)

/* ---- asking -----------------------------------------------------------------------------------
 */

/* `headers` end with CRLF; `body` NULL: none. */
static inline int ask_with(const char *what, const char *token, const char *headers,
                           const char *body)
{
    char text[2048];

    (void)snprintf(text, sizeof(text), "Authorization: Bearer %s\r\n%s%s", token, headers,
                   body != NULL ? "Content-Type: application/json\r\n" : "");
    return site_ask(what, text, body);
}

static inline int ask(const char *what, const char *token, const char *body)
{
    return ask_with(what, token, "", body);
}

PC_FORMAT(2, 3) static inline int ask_for(const char *token, const char *format, ...)
{
    char what[1024];
    va_list list;

    va_start(list, format);
    (void)vsnprintf(what, sizeof(what), format, list);
    va_end(list);
    return ask(what, token, NULL);
}

static inline struct span answer_body(void)
{
    const char *body = strstr(site.text, "\r\n\r\n");

    assert_non_null(body);
    return span_from(body + 4);
}

static inline const struct json_value *value_at(const struct json_value *value, struct span path)
{
    struct span name;
    uint64_t index;

    while (value != NULL && path.len > 0 && span_cut(&path, '.', &name)) {
        if (!json_is_list(value))
            value = json_is_object(value) ? json_get_span(value, name) : NULL;
        else
            value = span_to_u64(name, &index) && index < value->count ? &value->items[index] : NULL;
    }
    return value;
}

/* What the last answer says at "lines.0.amount": a text, or how it is written; empty: nothing. */
static inline struct span said(const char *path)
{
    const struct json_value *value = NULL;
    struct span text = SPAN_OF("");
    struct arena scratch;

    arena_init(&scratch, NULL, 0, 16 * 1024 * 1024);
    if (json_read(arena_copy(&scratch, answer_body()), &scratch, &value, NULL) == ERR_OK)
        value = value_at(value, span_from(path));
    if (value != NULL && !json_to_text(value, &text))
        text = value->source;
    if (text.len > 0)
        text = arena_copy(&desk.arena, text);
    assert_false(scratch.overflowed || desk.arena.overflowed);
    arena_reset(&scratch);
    return text;
}

static inline void assert_said(const char *path, const char *expected)
{
    struct span text = said(path);

    if (!span_is(text, expected))
        fail_msg("%s is \"%.*s\", not \"%s\", in %s", path, SPAN_ARG(text), expected, site.text);
}

static inline int64_t said_number(const char *path)
{
    int64_t number = INT64_MIN;

    if (!span_to_i64(said(path), &number))
        fail_msg("%s is no number in %s", path, site.text);
    return number;
}

/* The last answer is this problem: its status and the last part of its type. */
static inline void assert_problem(int status, int expected, const char *slug)
{
    if (status != expected || !span_ends(said("type"), span_from(slug)))
        fail_msg("status %d, not %d %s: %s", status, expected, slug, site.text);
}

/* Where the last answer's Link leads, as "GET /..."; false: nowhere. */
static inline bool next_page(char what[1024])
{
    const char *link = strstr(site.text, "Link: <");
    const char *end = link != NULL ? strchr(link, '>') : NULL;

    if (end == NULL)
        return false;
    (void)snprintf(what, 1024, "GET %.*s", (int)(end - link - 7), link + 7);
    return true;
}

/* ---- what there is ----------------------------------------------------------------------------
 */

/* Opens an account and gives its id. */
static inline int64_t account_of_user(int user_id, const char *number, const char *currency)
{
    char body[512];

    (void)snprintf(body, sizeof(body),
                   "{\"user_id\":%d,\"account_number\":\"%s\",\"account_type\":\"checking\","
                   "\"currency\":\"%s\"}",
                   user_id, number, currency);
    if (ask("POST /accounts", PAYMENTS, body) != 201)
        fail_msg("not opened: %s", site.text);
    return said_number("id");
}

/* What the trail holds of an event. */
static inline enum err events_run(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement count = {
        .name = "desk_events", .sqlite = "SELECT count(*) FROM trail_events WHERE event = ?1"};
    struct kit_number *number = job->context;
    const char *name = trail_event_name((enum trail_event)number->id);
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &count, STORE_PARAMS(STORE_TEXT(span_from(name))), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    number->result = store_rows_i64(rows, 0);
    return store_rows_err(rows);
}

static inline int64_t events(enum trail_event event)
{
    struct kit_number number = {.id = event};

    assert_int_equal(store_do(bench.store, events_run, &number, false), ERR_OK);
    return number.result;
}

#endif
