/* SPDX-License-Identifier: MIT
 * What the tests of orders share: the routes of orders over a real ledger and store, served to
 * socket pairs. A token says whom it speaks for: "2.customer.rw" is user 2 with that role (several
 * are joined by '+') and the scopes to read and write orders; user 0 is a client by itself. */
#ifndef PC_GATEWAY_GATEWAY_TEST_KIT_H
#define PC_GATEWAY_GATEWAY_TEST_KIT_H

#include "gateway/gateway.h"
#include "http/http_test_kit.h"
#include "json/json.h"
#include "ledger/ledger_book.h"
#include "ledger/ledger_call.h"
#include "store/store_test_kit.h"
#include "trail/trail_catalogue.h"

#define CUSTOMER "2.customer.rw"
#define STRANGER "3.customer.rw"
#define BROKER   "4.broker.rw"
#define ORDERS   "/api/v1/trading/orders"

static struct {
    struct kit *kit;
    struct clock_fake clock;
    struct ledger *ledger;
    struct metrics *metrics;
    struct arena arena;
} bench;

/* ---- who asks ---------------------------------------------------------------------------------
 */

static inline enum err bench_verify(void *context, struct span token, int64_t now_s,
                                    struct arena *arena, struct http_principal *ret_principal)
{
    struct span user, roles;
    struct sbuf list = sbuf_on(arena, 64);
    struct http_principal principal = {.kind = HTTP_TOKEN_ISSUED,
                                       .client_key = 5,
                                       .client_id = SPAN("desk"),
                                       .token_id = SPAN("t"),
                                       .expires_at_s = now_s + 3600};

    (void)context;
    if (!span_cut(&token, '.', &user) || !span_cut(&token, '.', &roles) ||
        !span_to_i64(user, &principal.user_id))
        return ERR_TOKEN_INVALID;
    for (size_t i = 0; i < roles.len; i++)
        sbuf_add_char(&list, roles.ptr[i] == '+' ? ' ' : roles.ptr[i]);
    principal.subject = arena_copy(arena, user);
    principal.roles = sbuf_span(&list);
    principal.scope = span_is(token, "rw")  ? SPAN_OF("orders:read orders:write")
                      : span_is(token, "r") ? SPAN_OF("orders:read")
                                            : SPAN_OF("accounts:read");
    *ret_principal = principal;
    return ERR_OK;
}

static inline enum err bench_load(void *context, struct store_conn *conn, struct arena *arena,
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

static const struct store_statement bench_users = {
    .name = "bench_users",
    .sqlite = "INSERT INTO users (username, username_key, email, email_key, password_hash, "
              "created_at, updated_at, password_changed_at) VALUES ('a', 'a', 'a@b', 'a@b', 'x', "
              "0, 0, 0), ('b', 'b', 'b@b', 'b@b', 'x', 0, 0, 0), "
              "('c', 'c', 'c@b', 'c@b', 'x', 0, 0, 0), ('d', 'd', 'd@b', 'd@b', 'x', 0, 0, 0)"};

static inline void bench_open_store(void)
{
    const struct store_migration *list;
    size_t count;

    bench.kit->options.clock = &bench.clock.clock;
    site.store = kit_open(bench.kit);
    store_migrations(&list, &count);
    assert_int_equal(store_migrate(site.store, list, count, NULL), ERR_OK);
    kit_exec(site.store, &bench_users);
}

static inline void bench_serve(void)
{
    const struct http_mount mount = {.rows = gateway_order_routes, .context = bench.ledger};
    const struct http_engine_options engine = {
        .clock = &bench.clock.clock,
        .random = &random_system,
        .store = site.store,
        .hash_pool = site.pool,
        .sign_pool = site.pool,
        .identity = {.verify = bench_verify, .load = bench_load}};
    const struct http_service_options service = {.name = "test",
                                                 .title = "Test",
                                                 .about = "Test.",
                                                 .version = "1",
                                                 .mounts = &mount,
                                                 .mount_count = 1,
                                                 .policy = &site_policy};
    struct net_server_options options = {.loops = 1,
                                         .clock = &bench.clock.clock,
                                         .loop_started = http_loop_started,
                                         .loop_stopped = http_loop_stopped};
    struct net_listener_options listening = {.name = "test", .app = &http_net_app};
    const char *why = NULL;

    assert_int_equal(net_pool_new("work", 1, 8, &site.pool), ERR_OK);
    assert_int_equal(http_engine_new(&engine, &site.engine), ERR_OK);
    if (http_service_new(site.engine, &service, &site.service, &why) != ERR_OK)
        fail_msg("%s", why);
    options.loop_context = site.engine;
    listening.app_context = site.service;
    assert_int_equal(net_server_new(&options, &site.server), ERR_OK);
    assert_int_equal(net_server_listen_none(site.server, &listening, &site.listener), ERR_OK);
    assert_int_equal(net_server_start(site.server), ERR_OK);
}

static inline int bench_setup(void **state)
{
    struct ledger_options options = {.clock = &bench.clock.clock, .key_life_s = 86400};

    if (kit_setup(state) != 0)
        return -1;
    bench.kit = *state;
    bench.kit->options.seal = &trail_seal;
    trail_misfits_tell(trail_misfit_ends, NULL);
    clock_fake_init(&bench.clock, INT64_C(1800000000) * CLOCK_NS_PER_S);
    arena_init(&bench.arena, NULL, 0, (size_t)64 * 1024 * 1024);
    bench_open_store();
    assert_int_equal(metrics_new(&bench.metrics), ERR_OK);
    options.store = site.store;
    options.metrics = bench.metrics;
    assert_int_equal(ledger_new(&options, &bench.ledger), ERR_OK);
    bench_serve();
    return 0;
}

static inline int bench_teardown(void **state)
{
    net_server_free(site.server);
    net_pool_free(site.pool);
    store_close(site.store);
    http_service_free(site.service);
    http_engine_free(site.engine);
    ledger_free(bench.ledger);
    metrics_free(bench.metrics);
    arena_reset(&bench.arena);
    return kit_teardown(state);
}

/* ---- accounts ---------------------------------------------------------------------------------
 */

struct bench_account {
    int64_t user_id, id, minor;
    enum currency currency;
    enum ledger_state state;
};

static const struct store_statement bench_number = {
    .name = "bench_number",
    .sqlite = "INSERT INTO accounts (id, account_number, number_key, account_type, created_at, "
              "updated_at) VALUES (?1, CAST(?2 AS text), CAST(?2 AS text), 'checking', 0, 0)"};

static inline enum err bench_open_steps(struct ledger_turn *turn, void *context)
{
    struct bench_account *account = context;
    const struct ledger_account_new made = {
        .user_id = account->user_id, .currency = account->currency, .state = LEDGER_ACTIVE};
    struct ledger_transfer money = {
        .kind = LEDGER_DEPOSIT,
        .from = ledger_house_account(LEDGER_SETTLEMENT, account->currency),
        .amount = {.minor = account->minor, .currency = account->currency}};
    struct ledger_posted posted;
    char number[24];
    enum err err = ledger_account_open(turn, &made, &account->id);

    if (err)
        return err;
    (void)snprintf(number, sizeof(number), "%lld", (long long)account->id);
    err = store_exec(ledger_turn_conn(turn), &bench_number,
                     STORE_PARAMS(STORE_I64(account->id), STORE_TEXT(span_from(number))), NULL);
    if (err || account->minor == 0)
        return err;
    money.to = account->id;
    return ledger_move(turn, &money, &posted);
}

/* An account of the user with so much on it. */
static inline int64_t bench_account(int64_t user_id, enum currency currency, int64_t minor)
{
    struct bench_account account = {.user_id = user_id, .currency = currency, .minor = minor};

    assert_int_equal(ledger_do(bench.ledger, bench_open_steps, &account), ERR_OK);
    return account.id;
}

static inline enum err bench_state_steps(struct ledger_turn *turn, void *context)
{
    const struct bench_account *account = context;

    return ledger_account_set_state(turn, account->id, account->state);
}

static inline void bench_state(int64_t id, enum ledger_state state)
{
    struct bench_account account = {.id = id, .state = state};

    assert_int_equal(ledger_do(bench.ledger, bench_state_steps, &account), ERR_OK);
}

struct bench_look {
    int64_t id;
    struct ledger_account account;
};

static const struct store_statement bench_balances = {
    .name = "bench_balances",
    .sqlite = "SELECT posted, held, incoming FROM ledger_accounts WHERE id = ?1"};

static inline enum err bench_look_run(struct store_conn *conn, struct store_job *job)
{
    struct bench_look *look = job->context;
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &bench_balances, STORE_PARAMS(STORE_I64(look->id)), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    look->account = (struct ledger_account){.posted = store_rows_i64(rows, 0),
                                            .held = store_rows_i64(rows, 1),
                                            .incoming = store_rows_i64(rows, 2)};
    return store_rows_err(rows);
}

static inline struct ledger_account bench_look(int64_t id)
{
    struct bench_look look = {.id = id};

    assert_int_equal(store_do(site.store, bench_look_run, &look, false), ERR_OK);
    return look.account;
}

static inline void assert_account(int64_t id, int64_t posted, int64_t held)
{
    struct ledger_account account = bench_look(id);

    assert_int_equal(account.posted, posted);
    assert_int_equal(account.held, held);
}

static inline void bench_fault(void *context, const char *invariant, struct span sentence)
{
    (void)context;
    print_message("%s %.*s\n", invariant, SPAN_ARG(sentence));
}

static inline enum err bench_check_run(struct store_conn *conn, struct store_job *job)
{
    return ledger_check(conn, clock_realtime_ns(&bench.clock.clock), bench_fault, NULL,
                        job->context);
}

/* Every invariant of the ledger, and that orders agree with it. */
static inline void assert_adds_up(void)
{
    struct ledger_summary summary = {0};

    assert_int_equal(store_do(site.store, bench_check_run, &summary, false), ERR_OK);
    assert_int_equal(summary.faults, 0);
}

/* ---- asking -----------------------------------------------------------------------------------
 */

/* As the token's holder; further header lines, each with its line feed. */
static inline int ask_with(const char *what, const char *token, const char *lines, const char *body)
{
    char headers[1024];

    (void)snprintf(headers, sizeof(headers), "Authorization: Bearer %s\r\n%s%s", token, lines,
                   body ? "Content-Type: application/json\r\n" : "");
    return site_ask(what, headers, body);
}

static inline int ask(const char *what, const char *token, const char *body)
{
    return ask_with(what, token, "", body);
}

/* The body of the last answer. */
static inline struct span bench_body(void)
{
    const char *body = strstr(site.text, "\r\n\r\n");

    return body == NULL ? SPAN_OF("") : span_from(body + 4);
}

/* "order.fills.0.price" of the last answer: text, or a number as it was written. */
static inline struct span said(const char *path)
{
    struct span rest = span_from(path);
    struct span name;
    const struct json_value *value = NULL;
    uint64_t index;

    if (json_read(arena_copy(&bench.arena, bench_body()), &bench.arena, &value, NULL) != ERR_OK)
        return SPAN_OF("");
    while (value != NULL && rest.len > 0 && span_cut(&rest, '.', &name)) {
        if (json_is_list(value) && span_to_u64(name, &index))
            value = index < value->count ? &value->items[index] : NULL;
        else
            value = json_get_span(value, name);
    }
    if (value == NULL)
        return SPAN_OF("");
    return json_is_text(value) ? value->text : value->source;
}

static inline void assert_said(const char *path, const char *value)
{
    struct span text = said(path);

    if (!span_is(text, value))
        fail_msg("%s is \"%.*s\", not \"%s\", in %s", path, SPAN_ARG(text), value, site.text);
}

static inline void assert_refused(int status, const char *slug)
{
    struct span type = said("type");

    if (!span_ends(type, span_from(slug)))
        fail_msg("%d is no %s: %s", status, slug, site.text);
}

/* The id that was said, in the test's arena. */
static inline const char *said_id(void)
{
    struct sbuf id = sbuf_on(&bench.arena, 64);

    sbuf_add(&id, said("id"));
    sbuf_add_char(&id, '\0');
    return sbuf_span(&id).ptr;
}

/* Gives in an order that is taken; its id. */
static inline const char *order_of(const char *token, const char *body)
{
    if (ask("POST " ORDERS, token, body) != 201)
        fail_msg("not taken: %s", site.text);
    return said_id();
}

static inline const char *on_order(const char *method, const char *id, const char *more)
{
    struct sbuf what = sbuf_on(&bench.arena, 256);

    sbuf_add_format(&what, "%s " ORDERS "/%s%s", method, id, more);
    sbuf_add_char(&what, '\0');
    return sbuf_span(&what).ptr;
}

static inline int fill_of(const char *id, int64_t quantity, const char *price)
{
    char body[128];

    (void)snprintf(body, sizeof(body), "{\"quantity\":%lld,\"price\":%s}", (long long)quantity,
                   price);
    return ask(on_order("POST", id, "/fills"), BROKER, body);
}

#define BENCH_TEST(function) cmocka_unit_test_setup_teardown(function, bench_setup, bench_teardown)

#endif
