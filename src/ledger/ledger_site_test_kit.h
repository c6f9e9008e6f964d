/* SPDX-License-Identifier: MIT
 * The transaction service for tests: its real routes over socket pairs, on a real store, with
 * people whose tokens are their names. */
#ifndef PC_LEDGER_LEDGER_SITE_TEST_KIT_H
#define PC_LEDGER_LEDGER_SITE_TEST_KIT_H

#include <sys/socket.h>
#include <sys/time.h>

#include "ledger/ledger_call.h"
#include "ledger/ledger_test_kit.h"
#include "net/net_pool.h"

enum { SITE_TEXT_BYTES = 2 * 1024 * 1024, SITE_WAIT_S = 60, SITE_ARENA_BYTES = 16 * 1024 * 1024 };

/* Users 1 (from the bench), 2, 3 and 4. */
#define READS_AND_WRITES SPAN("transactions:read transactions:write")
static const struct http_principal people[] = {
    {.user_id = 1, .username = SPAN("ada"), .roles = SPAN("customer"), .scope = READS_AND_WRITES},
    {.user_id = 2, .username = SPAN("bob"), .roles = SPAN("customer"), .scope = READS_AND_WRITES},
    {.user_id = 3, .username = SPAN("pay"), .roles = SPAN("payments"), .scope = READS_AND_WRITES},
    {.user_id = 4,
     .username = SPAN("eve"),
     .roles = SPAN("auditor"),
     .scope = SPAN("transactions:read")},
    {.user_id = 4, .username = SPAN("adm"), .is_admin = true, .scope = READS_AND_WRITES},
    {.user_id = 1,
     .username = SPAN("reader"),
     .roles = SPAN("payments"),
     .scope = SPAN("transactions:read")},
    {.kind = HTTP_TOKEN_ISSUED,
     .client_key = 9,
     .username = SPAN("engine"),
     .client_id = SPAN("risk-engine"),
     .roles = SPAN("risk"),
     .scope = READS_AND_WRITES},
    {.kind = HTTP_TOKEN_ISSUED,
     .client_key = 8,
     .username = SPAN("nobody"),
     .client_id = SPAN("nobody"),
     .scope = READS_AND_WRITES},
};

static struct {
    struct metrics *metrics;
    struct http_engine *engine;
    struct http_service *service;
    struct net_server *server;
    struct net_listener *listener;
    struct arena arena; /* as long as the test */
    int status;         /* of the last answer */
    char text[SITE_TEXT_BYTES];
} site;

static const struct store_statement site_users = {
    .name = "site_users",
    .sqlite = "INSERT INTO users (id, username, username_key, email, email_key, password_hash, "
              "created_at, updated_at, password_changed_at) VALUES "
              "(2, 'bob', 'bob', 'bob@example.com', 'bob@example.com', 'hash', 1, 1, 1), "
              "(3, 'pay', 'pay', 'pay@example.com', 'pay@example.com', 'hash', 1, 1, 1), "
              "(4, 'eve', 'eve', 'eve@example.com', 'eve@example.com', 'hash', 1, 1, 1)"};

/* ---- tokens are names -------------------------------------------------------------------------
 */

static inline const struct http_principal *person(struct span name)
{
    for (size_t i = 0; i < PC_COUNT(people); i++) {
        if (span_equal(people[i].username, name))
            return &people[i];
    }
    return NULL;
}

static inline enum err site_verify(void *context, struct span token, int64_t now_s,
                                   struct arena *arena, struct http_principal *ret_principal)
{
    const struct http_principal *who = person(token);

    (void)context;
    (void)arena;
    if (who == NULL)
        return ERR_TOKEN_INVALID;
    *ret_principal = *who;
    ret_principal->expires_at_s = now_s + 3600;
    ret_principal->token_id = who->username;
    return ERR_OK;
}

static inline enum err site_load(void *context, struct store_conn *conn, struct arena *arena,
                                 struct http_principal *principal)
{
    (void)context;
    (void)conn;
    (void)arena;
    (void)principal;
    return ERR_OK;
}

/* ---- start and stop ---------------------------------------------------------------------------
 */

#define SITE_RATE                                                                                  \
    {                                                                                              \
        .requests = 1000000, .period_ns = 60 * CLOCK_NS_PER_S                                      \
    }
static const struct http_rate_override site_rates[] = {
    {.what = SPAN("POST /transactions"), .rate = SITE_RATE},
    {.what = SPAN("GET /transactions"), .rate = SITE_RATE},
    {.what = SPAN("GET /transactions/{id}"), .rate = SITE_RATE},
    {.what = SPAN("PUT /transactions/{id}"), .rate = SITE_RATE},
    {.what = SPAN("GET /transactions/accounts/{account_id}"), .rate = SITE_RATE},
};
static const struct http_policy site_policy = {.rate = SITE_RATE,
                                               .rate_verify = SITE_RATE,
                                               .route_rates = site_rates,
                                               .route_rate_count = PC_COUNT(site_rates),
                                               .body_bytes_max = 65536,
                                               .breaker_failures = 1000};

static inline void site_make(void)
{
    const struct http_mount mounts[] = {
        {.rows = ledger_transaction_routes, .context = bench.ledger},
        {.rows = ledger_transfer_routes, .context = bench.ledger}};
    const struct http_service_options options = {.name = "transaction",
                                                 .title = "Test",
                                                 .about = "Test.",
                                                 .version = "1",
                                                 .mounts = mounts,
                                                 .mount_count = PC_COUNT(mounts),
                                                 .policy = &site_policy};
    const struct http_engine_options engine = {
        .clock = &bench.clock.clock,
        .random = &random_system,
        .metrics = site.metrics,
        .store = bench.store,
        .identity = {.verify = site_verify, .load = site_load}};
    const char *why = "";

    assert_int_equal(http_engine_new(&engine, &site.engine), ERR_OK);
    if (http_service_new(site.engine, &options, &site.service, &why) != ERR_OK)
        fail_msg("%s", why);
}

static inline void site_serve(void)
{
    const struct net_server_options options = {.loops = 1,
                                               .clock = &bench.clock.clock,
                                               .loop_context = site.engine,
                                               .loop_started = http_loop_started,
                                               .loop_stopped = http_loop_stopped};
    const struct net_listener_options listening = {
        .name = "test", .app = &http_net_app, .app_context = site.service};

    assert_int_equal(net_server_new(&options, &site.server), ERR_OK);
    assert_int_equal(net_server_listen_none(site.server, &listening, &site.listener), ERR_OK);
    assert_int_equal(net_server_start(site.server), ERR_OK);
}

static inline int site_setup(void **state)
{
    struct ledger_options options;

    if (bench_setup(state) != 0)
        return -1;
    kit_exec(bench.store, &site_users);
    assert_int_equal(metrics_new(&site.metrics), ERR_OK);
    options = *ledger_options_of(bench.ledger);
    options.metrics = site.metrics;
    options.key_life_s = 24 * 60 * 60;
    ledger_free(bench.ledger);
    assert_int_equal(ledger_new(&options, &bench.ledger), ERR_OK);
    arena_init(&site.arena, NULL, 0, SITE_ARENA_BYTES);
    site_make();
    site_serve();
    return 0;
}

static inline int site_teardown(void **state)
{
    net_server_free(site.server);
    store_fail_at(0);
    store_close(bench.store);
    http_service_free(site.service);
    http_engine_free(site.engine);
    ledger_free(bench.ledger);
    metrics_free(site.metrics);
    arena_reset(&site.arena);
    return kit_teardown(state);
}

#define SITE_TEST(function) cmocka_unit_test_setup_teardown(function, site_setup, site_teardown)

/* ---- asking -----------------------------------------------------------------------------------
 */

/* The server may have answered and hung up before all of it was said: what it answered counts. */
static inline void site_write(int fd, struct span text)
{
    while (text.len > 0) {
        ssize_t done = send(fd, text.ptr, text.len, MSG_NOSIGNAL);

        if (done < 0)
            break;
        text = span_slice(text, (size_t)done, text.len);
    }
}

/* Sends and does not wait: "POST /transfers" by "ada", a key unless NULL, a body unless NULL. */
static inline int site_begin(const char *who, const char *what, const char *key, const char *body)
{
    const struct timeval wait = {.tv_sec = SITE_WAIT_S};
    struct sbuf head = sbuf_on(&site.arena, 16 * 1024);
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), 0);
    assert_int_equal(net_server_adopt(site.server, site.listener, pair[1]), ERR_OK);
    sbuf_add_format(&head, "%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n", what);
    if (who != NULL)
        sbuf_add_format(&head, "Authorization: Bearer %s\r\n", who);
    if (key != NULL)
        sbuf_add_format(&head, "Idempotency-Key: %s\r\n", key);
    if (body != NULL)
        sbuf_add_format(&head, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                        strlen(body));
    sbuf_add_lit(&head, "\r\n");
    assert_false(head.full);
    site_write(pair[0], sbuf_span(&head));
    if (body != NULL)
        site_write(pair[0], span_from(body));
    return pair[0];
}

/* The status; everything until the server hangs up is in site.text. */
static inline int site_hear(int fd)
{
    size_t len = 0;
    uint64_t status = 0;
    ssize_t got;

    while ((got = read(fd, site.text + len, SITE_TEXT_BYTES - 1 - len)) > 0)
        len += (size_t)got;
    (void)close(fd);
    site.text[len] = '\0';
    assert_int_equal(got, 0);
    assert_true(len > 12);
    assert_true(span_to_u64(span_make(site.text + 9, 3), &status));
    site.status = (int)status;
    return site.status;
}

static inline int ask_keyed(const char *who, const char *what, const char *key, const char *body)
{
    return site_hear(site_begin(who, what, key, body));
}

static inline int ask(const char *who, const char *what, const char *body)
{
    return ask_keyed(who, what, NULL, body);
}

/* A text in the test's arena. */
PC_FORMAT(1, 2) static inline const char *text_of(const char *format, ...)
{
    static char text[64 * 1024];
    va_list arguments;
    const char *kept;
    int len;

    va_start(arguments, format);
    len = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    assert_in_range(len, 0, sizeof(text) - 1);
    kept = arena_string(&site.arena, span_make(text, (size_t)len));
    assert_non_null(kept);
    return kept;
}

/* ---- what it said -----------------------------------------------------------------------------
 */

static inline const char *site_body(void)
{
    const char *body = strstr(site.text, "\r\n\r\n");

    return body != NULL ? body + 4 : "";
}

/* "transfers.3.error.type" in the last body; NULL when it is not there. */
static inline const struct json_value *said_value(const char *path)
{
    struct span rest = span_from(path);
    const struct json_value *at = NULL;
    struct span body = arena_copy(&site.arena, span_from(site_body()));
    struct span name;
    uint64_t index;

    if (json_read(body, &site.arena, &at, NULL) != ERR_OK)
        fail_msg("not JSON: %s", site.text);
    while (at != NULL && rest.len > 0 && span_cut(&rest, '.', &name)) {
        if (at->type == JSON_LIST && span_to_u64(name, &index))
            at = index < at->count ? &at->items[index] : NULL;
        else
            at = json_get(at, arena_string(&site.arena, name));
    }
    return at;
}

/* A text without its quotes, anything else as it is written; NULL when it is not there. */
static inline const char *said(const char *path)
{
    const struct json_value *value = said_value(path);
    struct span text;

    if (value == NULL)
        return NULL;
    if (!json_to_text(value, &text))
        text = value->source;
    return arena_string(&site.arena, text);
}

static inline int64_t said_number(const char *path)
{
    int64_t number = 0;
    const char *text = said(path);

    if (text == NULL || !span_to_i64(span_from(text), &number))
        fail_msg("no number %s in %s", path, site.text);
    return number;
}

static inline void assert_said(const char *path, const char *value)
{
    const char *text = said(path);

    if (text == NULL || strcmp(text, value) != 0)
        fail_msg("%s is %s, not %s, in %s", path, text ? text : "absent", value, site.text);
}

/* The problem's type ends in this. */
static inline void assert_problem(int status, const char *slug)
{
    if (site.status != status)
        fail_msg("status %d, not %d %s: %s", site.status, status, slug, site.text);
    assert_said("type", text_of("urn:portcullis:problem:%s", slug));
}

/* A 422 that names the member first. */
static inline void assert_field(const char *field)
{
    if (site.status != 422)
        fail_msg("status %d, not 422 naming %s: %s", site.status, field, site.text);
    assert_said("errors.0.field", field);
}

static inline bool site_has(const char *part)
{
    return strstr(site.text, part) != NULL;
}

/* ---- what there is ----------------------------------------------------------------------------
 */

struct site_account {
    int64_t user_id, id;
    enum currency currency;
    enum ledger_state state;
};

static inline enum err site_open_work(struct ledger_turn *turn, void *context)
{
    struct site_account *account = context;
    const struct ledger_account_new made = {
        .user_id = account->user_id, .currency = account->currency, .state = LEDGER_ACTIVE};

    return ledger_account_open(turn, &made, &account->id);
}

/* Money that no transfer brought. */
static inline void deposited(int64_t account_id, enum currency currency, int64_t minor,
                             enum ledger_house from)
{
    struct movement movement = {
        .transfer = transfer_of(ledger_house_account(from, currency), account_id, minor, currency)};

    movement.transfer.kind = LEDGER_DEPOSIT;
    assert_int_equal(doing(move_work, &movement), ERR_OK);
}

/* An account of that user with that much on it. */
static inline int64_t account_with(int64_t user_id, enum currency currency, int64_t minor)
{
    struct site_account account = {.user_id = user_id, .currency = currency};

    assert_int_equal(doing(site_open_work, &account), ERR_OK);
    if (minor > 0)
        deposited(account.id, currency, minor, LEDGER_SETTLEMENT);
    return account.id;
}

static inline enum err site_state_work(struct ledger_turn *turn, void *context)
{
    const struct site_account *account = context;

    return ledger_account_set_state(turn, account->id, account->state);
}

static inline void account_is(int64_t id, enum ledger_state state)
{
    struct site_account account = {.id = id, .state = state};

    assert_int_equal(doing(site_state_work, &account), ERR_OK);
}

static inline void assert_balance(int64_t id, int64_t posted, int64_t held)
{
    struct ledger_account account = account_of(id);

    if (account.posted != posted || account.held != held)
        fail_msg("account %lld has %lld and %lld held, not %lld and %lld", (long long)id,
                 (long long)account.posted, (long long)account.held, (long long)posted,
                 (long long)held);
}

#endif
