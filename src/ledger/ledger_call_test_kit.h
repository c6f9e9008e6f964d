/* SPDX-License-Identifier: MIT
 * Requests that move money, for tests: a whole service over socket pairs on the ledger's test kit,
 * with tokens that say who somebody is ("u7.customer+payments": user 7; "c3.risk": client 3), and
 * a writer that can be held until many requests wait. */
#ifndef PC_LEDGER_LEDGER_CALL_TEST_KIT_H
#define PC_LEDGER_LEDGER_CALL_TEST_KIT_H

#include "http/http_test_kit.h"
#include "ledger/ledger_call.h"
#include "ledger/ledger_test_kit.h"

#include <stdatomic.h>
#include <time.h>

/* ---- who there is -----------------------------------------------------------------------------
 */

static inline struct span desk_roles(struct span list, struct arena *arena)
{
    struct sbuf out = sbuf_on(arena, 256);
    struct span role;

    while (list.len > 0 && span_cut(&list, '+', &role)) {
        sbuf_add_text(&out, out.len ? " " : "");
        sbuf_add(&out, role);
    }
    return sbuf_span(&out);
}

static inline enum err desk_verify(void *context, struct span token, int64_t now_s,
                                   struct arena *arena, struct http_principal *ret_principal)
{
    size_t dot = span_find(token, '.');
    int64_t id;

    (void)context;
    if (token.len < 2 || !span_to_i64(span_slice(token, 1, dot), &id))
        return ERR_TOKEN_INVALID;
    *ret_principal =
        (struct http_principal){.expires_at_s = now_s + 3600,
                                .roles = desk_roles(span_slice(token, dot + 1, token.len), arena)};
    if (token.ptr[0] == 'u')
        ret_principal->user_id = id;
    else
        ret_principal->client_key = id;
    ret_principal->kind = token.ptr[0] == 'u' ? HTTP_TOKEN_SESSION : HTTP_TOKEN_ISSUED;
    ret_principal->client_id = token.ptr[0] == 'u' ? SPAN_OF("") : SPAN_OF("robot");
    return ERR_OK;
}

static inline enum err desk_load(void *context, struct store_conn *conn, struct arena *arena,
                                 struct http_principal *principal)
{
    (void)context, (void)conn, (void)arena, (void)principal;
    return ERR_OK;
}

/* ---- the desk: a service on the bench's ledger ------------------------------------------------
 */

static const struct http_policy desk_policy = {
    .rate = {.requests = 10000000, .period_ns = CLOCK_NS_PER_S},
    .rate_verify = {.requests = 10000000, .period_ns = CLOCK_NS_PER_S},
    .body_bytes_max = 1024 * 1024,
    .breaker_failures = 1000000};

static inline void desk_open(const struct http_route *routes)
{
    const struct http_mount mounts[] = {
        {.rows = routes, .context = bench.ledger},
        {.rows = routes, .context = bench.ledger, .from = "", .to = "/api/v1"}};
    const struct http_service_options options = {
        .mounts = mounts, .mount_count = PC_COUNT(mounts), .policy = &desk_policy};
    const struct http_engine_options engine = {
        .store = bench.store, .identity = {.verify = desk_verify, .load = desk_load}};

    assert_int_equal(site_start(&options, engine), 0);
}

static inline void desk_close(void)
{
    void *none = NULL;

    assert_int_equal(site_stop(&none), 0);
}

/* The process ends and begins again. */
static inline void desk_restart(const struct http_route *routes)
{
    struct ledger_options options = *ledger_options_of(bench.ledger);

    desk_close();
    ledger_free(bench.ledger);
    store_close(bench.store);
    bench.store = kit_open(bench.kit);
    options.store = bench.store;
    assert_int_equal(ledger_new(&options, &bench.ledger), ERR_OK);
    desk_open(routes);
}

/* ---- asking -----------------------------------------------------------------------------------
 */

/* One request under way; `key` NULL: none. */
static inline int desk_send(const char *what, const char *token, const char *key, const char *body)
{
    char text[4096];
    char header[512] = "";
    int fd = site_dial();
    int len;

    if (key != NULL)
        (void)snprintf(header, sizeof(header), "Idempotency-Key: %s\r\n", key);
    len = snprintf(text, sizeof(text),
                   "%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer %s\r\n%s"
                   "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                   what, token, header, strlen(body), body);
    assert_in_range(len, 1, sizeof(text) - 1);
    site_say(fd, text);
    return fd;
}

static inline int desk_ask(const char *what, const char *token, const char *key, const char *body)
{
    return site_hear(desk_send(what, token, key, body));
}

/* Behind the header of the last answer. */
static inline const char *desk_body(void)
{
    const char *end = strstr(site.text, "\r\n\r\n");

    if (end == NULL)
        fail_msg("an answer without a body: %s", site.text);
    return end + 4;
}

/* ---- the writer, held and let go --------------------------------------------------------------
 */

static atomic_bool desk_held, desk_holding;
static struct store_job desk_hold_job;

static inline void desk_pause(void)
{
    const struct timespec wait = {.tv_nsec = 1000000};

    (void)nanosleep(&wait, NULL);
}

static inline enum err desk_hold_run(struct store_conn *conn, struct store_job *job)
{
    (void)conn, (void)job;
    atomic_store(&desk_holding, true);
    while (atomic_load(&desk_held))
        desk_pause();
    return ERR_OK;
}

static inline void desk_hold_done(struct store_job *job)
{
    (void)job;
    atomic_store(&desk_holding, false);
}

static inline void desk_hold(void)
{
    desk_hold_job = (struct store_job){.run = desk_hold_run, .done = desk_hold_done};
    atomic_store(&desk_held, true);
    assert_int_equal(store_write(bench.store, &desk_hold_job), ERR_OK);
    while (!atomic_load(&desk_holding))
        desk_pause();
}

/* When that many wait. */
static inline void desk_let_go(size_t waiting)
{
    struct store_stats stats;

    do {
        desk_pause();
        store_stats(bench.store, &stats);
    } while (stats.writes_queued < waiting);
    atomic_store(&desk_held, false);
    while (atomic_load(&desk_holding))
        desk_pause();
}

#endif
