/* SPDX-License-Identifier: MIT
 * The audit service for tests: all of its routes on one service, over socket pairs for those who
 * read and over TLS, with curl, for those who write. Tokens say who somebody is and may do:
 * "u1.admin.accounts:read", "c3.robot.audit:write+audit:read". */
#ifndef PC_AUDIT_AUDIT_TEST_KIT_H
#define PC_AUDIT_AUDIT_TEST_KIT_H

#include <time.h>

#include "audit/audit_priv.h"
#include "crypto/certs.h"
#include "crypto/tls.h"
#include "http/http_test_kit.h"
#include "json/json.h"
#include "store/store_test_kit.h"

#define T0     (INT64_C(1800000000) * CLOCK_NS_PER_S)
#define READER "c7.auditor.audit:read"
#define WRITER "c3.robot.audit:write"

#define EVENT                                                                                      \
    "{\"category\":\"compliance\",\"action\":\"report.filed\",\"actor\":\"ann\","                  \
    "\"principal\":\"team\",\"resource\":\"report:1\",\"severity\":\"warning\","                   \
    "\"metadata\":{\"pages\":12},\"compliance_tags\":[\"sox\",\"gdpr\"]}"
#define SMALL "{\"category\":\"security\",\"action\":\"seen\",\"actor\":\"bob\"}"

static struct {
    struct kit *kit;
    struct store *store;
    struct clock_fake clock;
    struct audit_service service;
    struct crypto_tls_context *tls;
    struct net_listener *secure;
    char folder[64];
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
    struct span id = {0}, role = {0}, scopes = {0};
    bool is_user = token.len > 0 && token.ptr[0] == 'u';
    int64_t number;

    (void)context;
    if (!span_cut(&token, '.', &id) || !span_to_i64(span_slice(id, 1, id.len), &number) ||
        !span_cut(&token, '.', &role))
        return ERR_TOKEN_INVALID;
    scopes = token;
    *ret_principal =
        (struct http_principal){.kind = is_user ? HTTP_TOKEN_SESSION : HTTP_TOKEN_ISSUED,
                                .user_id = is_user ? number : 0,
                                .client_key = is_user ? 0 : number,
                                .client_id = is_user ? SPAN_OF("") : arena_copy(arena, role),
                                .expires_at_s = now_s + 3600,
                                .roles = arena_copy(arena, role),
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

/* ---- start and stop ---------------------------------------------------------------------------
 */

static const struct http_rate_override desk_rates[] = {
    {.what = SPAN("POST /audit/events"),
     .rate = {.requests = 1000000, .period_ns = 60 * CLOCK_NS_PER_S}},
};
static const struct http_policy desk_policy = {
    .rate = {.requests = 1000000, .period_ns = 60 * CLOCK_NS_PER_S},
    .rate_verify = {.requests = 1000000, .period_ns = 60 * CLOCK_NS_PER_S},
    .route_rates = desk_rates,
    .route_rate_count = PC_COUNT(desk_rates),
    .body_bytes_max = 65536,
    .breaker_failures = 1000000};

static inline void desk_make_tls(void)
{
    static const char *const clients[] = {"scanner", "other", "auth-service", NULL};
    const struct crypto_certs_options certs = {
        .folder = desk.folder, .clients = clients, .clock = &clock_system, .force = true};
    char cert[96], key[96], ca[96];
    const struct crypto_tls_options options = {.name = "audit",
                                               .cert_path = cert,
                                               .key_path = key,
                                               .client = CRYPTO_TLS_CLIENT_OPTIONAL,
                                               .client_ca_path = ca,
                                               .alpn = {"http/1.1"}};
    struct crypto_fault fault = {""};

    (void)snprintf(desk.folder, sizeof(desk.folder), "/tmp/portcullis-audit-XXXXXX");
    assert_non_null(mkdtemp(desk.folder));
    if (crypto_certs_make(&certs, &fault) != ERR_OK)
        fail_msg("%s", fault.text);
    (void)snprintf(cert, sizeof(cert), "%s/server.crt", desk.folder);
    (void)snprintf(key, sizeof(key), "%s/server.key", desk.folder);
    (void)snprintf(ca, sizeof(ca), "%s/ca.crt", desk.folder);
    if (crypto_tls_context_new(&options, &clock_system, &desk.tls, &fault) != ERR_OK)
        fail_msg("%s", fault.text);
}

static inline void desk_make_store(void)
{
    const struct store_migration *list;
    size_t count;

    desk.kit->options.seal = &trail_seal;
    desk.store = kit_open(desk.kit);
    store_migrations(&list, &count);
    assert_int_equal(store_migrate(desk.store, list, count, NULL), ERR_OK);
}

static inline void desk_serve(void)
{
    struct net_server_options options = {.loops = 1,
                                         .loop_started = http_loop_started,
                                         .loop_stopped = http_loop_stopped,
                                         .loop_context = site.engine,
                                         .clock = &desk.clock.clock};
    struct net_listener_options listening = {.name = "test", .app = &http_net_app};

    listening.app_context = site.service;
    assert_int_equal(net_server_new(&options, &site.server), ERR_OK);
    assert_int_equal(net_server_listen_none(site.server, &listening, &site.listener), ERR_OK);
    listening.name = "secure";
    listening.host = "127.0.0.1";
    listening.tls = desk.tls;
    assert_int_equal(net_server_listen(site.server, &listening, &desk.secure, NULL), ERR_OK);
    assert_int_equal(net_server_start(site.server), ERR_OK);
}

static inline int desk_setup_limited(void **state, uint32_t events_per_minute)
{
    const struct http_mount mounts[] = {
        {.rows = audit_write_routes, .context = &desk.service},
        {.rows = audit_read_routes, .context = &desk.service},
        {.rows = audit_read_routes, .context = &desk.service, .from = "/", .to = "/api/v1/"}};
    const struct http_service_options options = {
        .mounts = mounts, .mount_count = PC_COUNT(mounts), .policy = &desk_policy};
    struct http_engine_options engine = {.clock = &desk.clock.clock,
                                         .identity = {.verify = desk_verify, .load = desk_load}};

    if (kit_setup(state) != 0)
        return -1;
    desk.kit = *state;
    clock_fake_init(&desk.clock, T0);
    arena_init(&desk.arena, NULL, 0, 64 * 1024 * 1024);
    desk_make_store();
    desk_make_tls();
    desk.service = (struct audit_service){
        .store = desk.store, .origin = "test-log", .events_per_minute = events_per_minute};
    engine.store = desk.store;
    assert_true(site_make(&options, engine));
    desk_serve();
    return 0;
}

static inline int desk_setup(void **state)
{
    return desk_setup_limited(state, 1000000);
}

static inline int desk_teardown(void **state)
{
    char command[96];
    int over;

    store_fail_at(0);
    over = site_stop(state);
    crypto_tls_context_free(desk.tls);
    (void)snprintf(command, sizeof(command), "rm -r %s", desk.folder);
    over |= system(command);
    store_close(desk.store);
    arena_reset(&desk.arena);
    return over | kit_teardown(state);
}

#define DESK_TEST(function) cmocka_unit_test_setup_teardown(function, desk_setup, desk_teardown)

/* ---- asking -----------------------------------------------------------------------------------
 */

static inline int ask_with(const char *what, const char *token, const char *headers)
{
    char text[2048];

    (void)snprintf(text, sizeof(text), "Authorization: Bearer %s\r\n%s", token, headers);
    return site_ask(what, text, NULL);
}

static inline int ask(const char *what, const char *token)
{
    return ask_with(what, token, "");
}

PC_FORMAT(1, 2) static inline int read_log(const char *format, ...)
{
    char what[1024];
    va_list list;

    va_start(list, format);
    (void)vsnprintf(what, sizeof(what), format, list);
    va_end(list);
    return ask(what, READER);
}

static inline void desk_file(const char *name, const char *text)
{
    char path[128];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", desk.folder, name);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* Begins a POST over TLS, by curl; its answer comes out of the pipe. `headers` are curl's options.
 */
static inline FILE *post_begin(const char *path, const char *client, const char *token,
                               const char *headers, const char *body)
{
    static unsigned number;
    char command[1024], cert[256] = "", name[32];
    FILE *pipe;

    (void)snprintf(name, sizeof(name), "body%u", number++);
    desk_file(name, body);
    if (client != NULL)
        (void)snprintf(cert, sizeof(cert), "--cert '%s/%s.crt' --key '%s/%s.key'", desk.folder,
                       client, desk.folder, client);
    (void)snprintf(command, sizeof(command),
                   "curl --silent --include --cacert %s/ca.crt %s --header 'Expect:' "
                   "--header 'Content-Type: application/json' --header 'Authorization: Bearer %s' "
                   "%s --data-binary @%s/%s https://localhost:%u%s",
                   desk.folder, cert, token, headers, desk.folder, name,
                   (unsigned)net_listener_port(desk.secure), path);
    pipe = popen(command, "r");
    assert_non_null(pipe);
    return pipe;
}

/* The status; the whole answer is in site.text. */
static inline int post_end(FILE *pipe)
{
    size_t len = fread(site.text, 1, SITE_TEXT_BYTES - 1, pipe);
    uint64_t status = 0;

    site.text[len] = '\0';
    while (fgetc(pipe) != EOF) /* more than there is room for */
        continue;
    assert_int_equal(pclose(pipe), 0);
    assert_true(len > 12 && span_to_u64(span_make(site.text + 9, 3), &status));
    return (int)status;
}

static inline int post_as(const char *path, const char *client, const char *token,
                          const char *headers, const char *body)
{
    return post_end(post_begin(path, client, token, headers, body));
}

static inline int post(const char *path, const char *body)
{
    return post_as(path, "scanner", WRITER, "", body);
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

/* What the last answer says at "0.action": a text, or how it is written; empty: nothing. */
static inline struct span said(const char *path)
{
    const struct json_value *value = NULL;
    struct span text = SPAN_OF("");

    if (json_read(arena_copy(&desk.arena, answer_body()), &desk.arena, &value, NULL) == ERR_OK)
        value = value_at(value, span_from(path));
    if (value != NULL && !json_to_text(value, &text))
        text = value->source;
    return text;
}

static inline void assert_said(const char *path, const char *expected)
{
    struct span text = said(path);

    if (!span_is(text, expected))
        fail_msg("%s is \"%.*s\", not \"%s\", in %s", path, SPAN_ARG(text), expected, site.text);
}

/* How many items the last answer, a list, has. */
static inline size_t said_count(void)
{
    const struct json_value *value = NULL;

    assert_int_equal(json_read(arena_copy(&desk.arena, answer_body()), &desk.arena, &value, NULL),
                     ERR_OK);
    assert_true(json_is_list(value));
    return value->count;
}

static inline const char *text_of(struct span text)
{
    const char *string = arena_string(&desk.arena, text);

    assert_non_null(string);
    return string;
}

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

struct desk_count {
    struct span event;
    int64_t count;
};

static inline enum err desk_count_run(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement count_events = {
        .name = "desk_events",
        .sqlite = "SELECT count(*) FROM trail_events "
                  "WHERE event = ?1 OR CAST(?1 AS text) = ''"};
    struct desk_count *count = job->context;
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &count_events, STORE_PARAMS(STORE_TEXT(count->event)), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    count->count = store_rows_i64(rows, 0);
    return store_rows_err(rows);
}

/* How many of that name are in the log; "": all. */
static inline int64_t events(const char *name)
{
    struct desk_count count = {.event = span_from(name)};

    enum err err = store_do(desk.store, desk_count_run, &count, false);

    for (int i = 0; i < 500 && err == ERR_STORE_UNAVAILABLE; i++) { /* a handle that was given up */
        (void)nanosleep(&(const struct timespec){.tv_nsec = 10000000}, NULL);
        err = store_do(desk.store, desk_count_run, &count, false);
    }
    assert_int_equal(err, ERR_OK);
    return count.count;
}

#endif
