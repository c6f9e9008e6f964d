/* SPDX-License-Identifier: MIT
 * Who is not let in is told so behind the commit of an event: one for each, with who, where from,
 * on what and why; none for those who are let in, and no answer but 503 when it cannot be written.
 */
#include "http/http_test_kit.h"

#include <stdatomic.h>

#include "base/limits.h"

enum { USER = 42 };

static const struct store_statement last_event = {
    .name = "denied_last",
    .sqlite = "SELECT event, outcome, actor_kind, actor, address, object, "
              "reason, details FROM trail_events ORDER BY seq DESC LIMIT 1"};
static const struct store_statement all_events = {.name = "denied_count",
                                                  .sqlite = "SELECT count(*) FROM trail_events"};

/* ---- routes -----------------------------------------------------------------------------------
 */

static enum err fine(struct http_request *req)
{
    return http_reply_empty(req, 204);
}

static enum err others(struct http_request *req)
{
    return http_denied(req, ERR_NOT_FOUND, REASON_NOT_OWNER, http_object(req, "thing:", 7));
}

static enum err nothing(struct http_request *req)
{
    (void)req;
    return ERR_NOT_FOUND;
}

/* What it says of a thing is void when it answers something else. */
static enum err busy(struct http_request *req)
{
    enum err err = others(req);

    return err == ERR_NOT_FOUND ? ERR_CONFLICT : err;
}

static enum err refused(struct http_request *req)
{
    return http_refuse(req, ERR_FORBIDDEN);
}

static enum err forbidden(struct http_request *req)
{
    return http_fail(req, ERR_FORBIDDEN, "Not on Sundays.");
}

#define ROW(name, kind, stop, handler)                                                             \
    {                                                                                              \
        .method = NET_METHOD_GET, .path = "/" name, .access = (kind), .run = (stop),               \
        .handle = (handler), .id = name                                                            \
    }

static const struct http_route routes[] = {
    ROW("fine", HTTP_ACCESS_BEARER, HTTP_RUN_LOOP, fine),
    ROW("admin", HTTP_ACCESS_ADMIN, HTTP_RUN_LOOP, fine),
    ROW("nothing", HTTP_ACCESS_BEARER, HTTP_RUN_READ, nothing),
    ROW("busy", HTTP_ACCESS_BEARER, HTTP_RUN_READ, busy),
    ROW("refused", HTTP_ACCESS_BEARER, HTTP_RUN_WRITE, refused),
    ROW("forbidden", HTTP_ACCESS_OPEN, HTTP_RUN_LOOP, forbidden),
    ROW("things/{id}", HTTP_ACCESS_BEARER, HTTP_RUN_READ, others),
    {.path = NULL},
};

/* "good" is USER's, "old" was: its signature is good and its session is over. */
static enum err verify(void *context, struct span token, int64_t now_s, struct arena *arena,
                       struct http_principal *ret_principal)
{
    (void)context;
    (void)arena;
    if (!span_is(token, "good") && !span_is(token, "old"))
        return ERR_TOKEN_INVALID;
    *ret_principal =
        (struct http_principal){.user_id = USER, .session_id = token, .expires_at_s = now_s + 3600};
    return ERR_OK;
}

static enum err load(void *context, struct store_conn *conn, struct arena *arena,
                     struct http_principal *principal)
{
    (void)context;
    (void)conn;
    (void)arena;
    return span_is(principal->session_id, "old") ? ERR_TOKEN_REVOKED : ERR_OK;
}

static int start(void **state)
{
    static const struct http_mount mounts[] = {{.rows = routes}};
    const struct http_service_options service = {.mounts = mounts, .mount_count = 1};

    (void)state;
    return site_start(&service,
                      (struct http_engine_options){.identity = {.verify = verify, .load = load}});
}

/* ---- what was written -------------------------------------------------------------------------
 */

enum { COLUMNS = 8 };

struct row {
    char text[COLUMNS][256];
    int64_t count;
};

static enum err row_read(struct store_conn *conn, struct store_job *job)
{
    struct row *row = job->context;
    PC_AUTO(store_rows) rows = NULL;
    PC_AUTO(store_rows) counts = NULL;
    enum err err = store_query(conn, &all_events, NULL, 0, &counts);

    if (err)
        return err;
    row->count = store_next(counts) ? store_rows_i64(counts, 0) : -1;
    err = store_query(conn, &last_event, NULL, 0, &rows);
    if (err || !store_next(rows))
        return err;
    for (size_t i = 0; i < COLUMNS; i++)
        (void)snprintf(row->text[i], sizeof(row->text[i]), "%.*s",
                       SPAN_ARG(store_rows_text(rows, i, NULL)));
    return store_rows_err(rows);
}

static struct row newest(void)
{
    struct row row = {0};

    assert_int_equal(store_do(site.store, row_read, &row, false), ERR_OK);
    return row;
}

static void assert_row(const struct row *row, const char *const texts[COLUMNS])
{
    for (size_t i = 0; i < COLUMNS; i++)
        assert_string_equal(row->text[i], texts[i]);
}

/* ---- tests ------------------------------------------------------------------------------------
 */

static void a_stranger_is_written_down(void **state)
{
    static const char *const none[] = {"access.denied",
                                       "refused",
                                       "unknown",
                                       "",
                                       "unix",
                                       "",
                                       "unauthenticated",
                                       "{\"method\":\"GET\",\"route\":\"/things/{id}\"}"};
    static const char *const bad[] = {
        "access.denied", "refused", "unknown",       "",
        "unix",          "",        "invalid-token", "{\"method\":\"GET\",\"route\":\"/fine\"}"};
    struct row row;

    (void)state;
    assert_int_equal(site_ask("GET /things/4111111111111111?card=1", "", NULL), 401);
    assert_says("WWW-Authenticate: Bearer");
    row = newest();
    assert_int_equal(row.count, 1);
    assert_row(&row, none);
    assert_int_equal(site_ask("GET /fine", "Authorization: Bearer bad\r\n", NULL), 401);
    row = newest();
    assert_int_equal(row.count, 2);
    assert_row(&row, bad);
}

/* A good signature is no right: whose the token was is a claim. */
static void an_old_token_is_a_claim(void **state)
{
    struct row row;

    (void)state;
    assert_int_equal(site_ask("GET /fine", "Authorization: Bearer old\r\n", NULL), 401);
    row = newest();
    assert_string_equal(row.text[2], "unknown");
    assert_string_equal(row.text[3], "42");
    assert_string_equal(row.text[6], "revoked-token");
}

static void a_user_is_named(void **state)
{
    static const char *const admin[] = {
        "access.denied", "refused", "user",      "42",
        "unix",          "",        "forbidden", "{\"method\":\"GET\",\"route\":\"/admin\"}"};
    static const char *const thing[] = {
        "access.denied", "refused", "user",      "42",
        "unix",          "thing:7", "not-owner", "{\"method\":\"GET\",\"route\":\"/things/{id}\"}"};
    struct row row;

    (void)state;
    assert_int_equal(site_ask("GET /admin", "Authorization: Bearer good\r\n", NULL), 403);
    row = newest();
    assert_row(&row, admin);
    assert_int_equal(site_ask("GET /things/7", "Authorization: Bearer good\r\n", NULL), 404);
    assert_says("urn:portcullis:problem:not-found");
    row = newest();
    assert_row(&row, thing);
}

/* The detail that a handler gave is still there when the answer leaves. */
static void a_handler_that_forbids_is_heard(void **state)
{
    (void)state;
    assert_int_equal(site_ask("GET /forbidden", "", NULL), 403);
    assert_says("Not on Sundays.");
    assert_string_equal(newest().text[7], "{\"method\":\"GET\",\"route\":\"/forbidden\"}");
}

/* Good answers, other errors, and what a handler has recorded itself. */
static void nothing_else_is_written(void **state)
{
    int64_t before;

    (void)state;
    before = newest().count;
    assert_int_equal(site_ask("GET /fine", "Authorization: Bearer good\r\n", NULL), 204);
    assert_int_equal(site_ask("GET /nothing", "Authorization: Bearer good\r\n", NULL), 404);
    assert_int_equal(site_ask("GET /busy", "Authorization: Bearer good\r\n", NULL), 409);
    assert_int_equal(site_ask("GET /refused", "Authorization: Bearer good\r\n", NULL), 403);
    assert_int_equal(site_ask("GET /nowhere", "", NULL), 404);
    assert_int_equal(newest().count, before);
}

static void a_body_that_comes_later_does_no_harm(void **state)
{
    int64_t before = newest().count;
    int fd = site_dial();

    (void)state;
    site_say(fd, "GET /fine HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
    site_say(fd, "hello");
    site_say(fd, "GET /fine HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_int_equal(site_hear(fd), 401);
    assert_int_equal(newest().count, before + 2);
}

/* Nobody is told 401 of which nothing is known afterwards. */
static void what_cannot_be_written_is_not_answered(void **state)
{
    int64_t before = newest().count;

    (void)state;
    store_fail_at(STORE_FAIL_ALWAYS);
    assert_int_equal(site_ask("GET /fine", "", NULL), 503);
    store_fail_at(0);
    assert_says("Retry-After: ");
    assert_silent("WWW-Authenticate");
    assert_int_equal(newest().count, before);
    assert_int_equal(site_ask("GET /fine", "", NULL), 401);
    assert_int_equal(newest().count, before + 1);
}

/* Keeps the writer busy until it is let go. */
static atomic_bool writer_held, writer_go;

static enum err hold_run(struct store_conn *conn, struct store_job *job)
{
    (void)conn;
    (void)job;
    atomic_store(&writer_held, true);
    while (!atomic_load(&writer_go))
        (void)usleep(1000);
    return ERR_OK;
}

static void hold_done(struct store_job *job)
{
    (void)job;
}

static void ask_all(int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fds[i] = site_dial();
        site_say(fds[i], "GET /fine HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    }
}

/* Who comes when too many wait is sent away at once, so that the writer's queue is others' too; all
 * are answered, each once, and those that were told 401 are written down. */
static void a_flood_is_bounded(void **state)
{
    enum { MORE = 64 };
    static int fds[LIMIT_HTTP_DENIED_MAX + MORE];
    static struct store_job holding = {.run = hold_run, .done = hold_done};
    int64_t before = newest().count;

    (void)state;
    assert_int_equal(store_write(site.store, &holding), ERR_OK);
    while (!atomic_load(&writer_held))
        (void)usleep(1000);
    ask_all(fds, PC_COUNT(fds)); /* one loop serves them in their order */
    for (size_t i = LIMIT_HTTP_DENIED_MAX; i < PC_COUNT(fds); i++) {
        assert_int_equal(site_hear(fds[i]), 503);
        assert_says("Retry-After: 1");
    }
    atomic_store(&writer_go, true);
    for (size_t i = 0; i < LIMIT_HTTP_DENIED_MAX; i++)
        assert_int_equal(site_hear(fds[i]), 401);
    assert_int_equal(newest().count, before + LIMIT_HTTP_DENIED_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stranger_is_written_down),
        cmocka_unit_test(an_old_token_is_a_claim),
        cmocka_unit_test(a_user_is_named),
        cmocka_unit_test(a_handler_that_forbids_is_heard),
        cmocka_unit_test(nothing_else_is_written),
        cmocka_unit_test(a_body_that_comes_later_does_no_harm),
        cmocka_unit_test(what_cannot_be_written_is_not_answered),
        cmocka_unit_test(a_flood_is_bounded),
    };

    return cmocka_run_group_tests(tests, start, site_stop);
}
