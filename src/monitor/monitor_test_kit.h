/* SPDX-License-Identifier: MIT
 * The monitoring service for tests: its routes over socket pairs, on a store of each kind, with
 * tokens that say who somebody is and may do: "u1.monitoring:read+monitoring:write", "c3.". */
#ifndef PC_MONITOR_MONITOR_TEST_KIT_H
#define PC_MONITOR_MONITOR_TEST_KIT_H

#include "http/http_test_kit.h"
#include "monitor/monitor_priv.h"
#include "monitor/monitor_webhook.h"
#include "store/store_test_kit.h"

#define T0       (INT64_C(1800000000) * CLOCK_NS_PER_S)
#define READER   "u1.monitoring:read"
#define OPERATOR "u2.monitoring:read+monitoring:write"
#define SENDER   "c3.monitoring:write"
#define SECRET   "a-static-bearer-of-more-than-32-bytes"

static struct {
    struct kit *kit;
    struct store *store;
    struct clock_fake clock;
    struct metrics *metrics;
    struct monitor *monitor;
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
    bool is_user = token.len > 0 && token.ptr[0] == 'u';
    struct span id = {0};
    int64_t number;

    (void)context;
    if (!span_cut(&token, '.', &id) || !span_to_i64(span_slice(id, 1, id.len), &number))
        return ERR_TOKEN_INVALID;
    *ret_principal =
        (struct http_principal){.kind = is_user ? HTTP_TOKEN_SESSION : HTTP_TOKEN_ISSUED,
                                .user_id = is_user ? number : 0,
                                .client_key = is_user ? 0 : number,
                                .client_id = is_user ? SPAN_OF("") : SPAN_OF("robot"),
                                .expires_at_s = now_s + 3600,
                                .scope = desk_list(token, arena)};
    return ERR_OK;
}

static inline enum err desk_load(void *context, struct store_conn *conn, struct arena *arena,
                                 struct http_principal *principal)
{
    (void)context, (void)conn, (void)arena, (void)principal;
    return ERR_OK;
}

/* ---- start and stop ---------------------------------------------------------------------------
 */

static const struct http_policy desk_policy = {
    .rate = {.requests = 1000000, .period_ns = 60 * CLOCK_NS_PER_S},
    .rate_verify = {.requests = 1000000, .period_ns = 60 * CLOCK_NS_PER_S},
    .body_bytes_max = 65536,
    .breaker_failures = 1000000};

static inline void desk_store(void)
{
    const struct store_migration *list;
    size_t count;

    desk.kit->options.seal = &trail_seal;
    desk.store = kit_open(desk.kit);
    store_migrations(&list, &count);
    assert_int_equal(store_migrate(desk.store, list, count, NULL), ERR_OK);
}

/* A store and the service, without routes. */
static inline int desk_setup_bare(void **state)
{
    struct monitor_options options = {.clock = &desk.clock.clock, .webhook_token = SPAN_OF(SECRET)};

    if (kit_setup(state) != 0)
        return -1;
    desk.kit = *state;
    clock_fake_init(&desk.clock, T0);
    arena_init(&desk.arena, NULL, 0, 64 * 1024 * 1024);
    desk_store();
    assert_int_equal(metrics_new(&desk.metrics), ERR_OK);
    options.store = desk.store;
    options.metrics = desk.metrics;
    assert_int_equal(monitor_new(&options, &desk.monitor), ERR_OK);
    return 0;
}

static inline int desk_teardown_bare(void **state)
{
    store_fail_at(0);
    monitor_free(desk.monitor);
    store_close(desk.store);
    metrics_free(desk.metrics);
    arena_reset(&desk.arena);
    return kit_teardown(state);
}

static inline int desk_setup(void **state)
{
    struct http_mount mounts[] = {{.rows = monitor_read_routes}, {.rows = monitor_write_routes}};
    const struct http_service_options options = {
        .mounts = mounts, .mount_count = PC_COUNT(mounts), .policy = &desk_policy};
    struct http_engine_options engine = {.clock = &desk.clock.clock,
                                         .identity = {.verify = desk_verify, .load = desk_load}};

    if (desk_setup_bare(state) != 0)
        return -1;
    mounts[0].context = mounts[1].context = desk.monitor;
    engine.store = desk.store;
    engine.metrics = desk.metrics;
    return site_start(&options, engine);
}

static inline int desk_teardown(void **state)
{
    int stopped = site_stop(state);

    return desk_teardown_bare(state) | stopped;
}

#define DESK_TEST(function) cmocka_unit_test_setup_teardown(function, desk_setup, desk_teardown)
#define BARE_TEST(function)                                                                        \
    cmocka_unit_test_setup_teardown(function, desk_setup_bare, desk_teardown_bare)

/* ---- asking -----------------------------------------------------------------------------------
 */

static inline int ask(const char *what, const char *token, const char *body)
{
    char text[512];

    (void)snprintf(text, sizeof(text), "Authorization: Bearer %s\r\n%s", token,
                   body != NULL ? "Content-Type: application/json\r\n" : "");
    return site_ask(what, text, body);
}

/* What a notification of one alert says; NULL leaves a member out. */
struct notice {
    const char *status, *labels, *annotations, *starts_at, *ends_at, *fingerprint;
};

static inline void notice_member(struct sbuf *out, const char *name, const char *value, bool raw)
{
    if (value == NULL)
        return;
    sbuf_add_format(out, ",\"%s\":", name);
    if (raw)
        sbuf_add_text(out, value);
    else
        sbuf_add_json(out, span_from(value));
}

static inline int notify_as(const char *token, const struct notice *notice)
{
    char text[12 * 1024];
    struct sbuf out = sbuf_over(text, sizeof(text) - 1);

    sbuf_add_format(&out, "{\"version\":\"4\",\"receiver\":\"r\",\"alerts\":[{\"status\":\"%s\"",
                    notice->status);
    notice_member(&out, "labels", notice->labels, true);
    notice_member(&out, "annotations", notice->annotations, true);
    notice_member(&out, "startsAt", notice->starts_at, false);
    notice_member(&out, "endsAt", notice->ends_at, false);
    notice_member(&out, "fingerprint", notice->fingerprint, false);
    sbuf_add_lit(&out, "}]}");
    assert_false(out.full);
    text[out.len] = '\0';
    return ask("POST /alerts", token, text);
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

/* What the last answer says at "0.labels.severity": a text, or how it is written; empty: nothing.
 */
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

struct events_asked {
    enum trail_event event;
    int64_t count;
};

static inline enum err events_run(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement count = {
        .name = "desk_events", .sqlite = "SELECT count(*) FROM trail_events WHERE event = ?1"};
    struct events_asked *asked = job->context;
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(
        conn, &count, STORE_PARAMS(STORE_TEXT(span_from(trail_event_name(asked->event)))), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    asked->count = store_rows_i64(rows, 0);
    return store_rows_err(rows);
}

/* How many of this event the trail holds. */
static inline int64_t events(enum trail_event event)
{
    struct events_asked asked = {.event = event};

    assert_int_equal(store_do(desk.store, events_run, &asked, false), ERR_OK);
    return asked.count;
}

#endif
