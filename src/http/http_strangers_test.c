/* SPDX-License-Identifier: MIT
 * Strangers from ever new addresses: the log grows by what is written each and by one event for
 * each route and minute, and every denial is in it. */
#include "http/http_priv.h"
#include "http/http_test_kit.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>

enum { EACH = 5, MORE = 60, PER_ADDRESS = 4, PER_WEBHOOK = 1000 };

static enum err fine(struct http_request *req)
{
    return http_reply_empty(req, 204);
}

static enum err others(struct http_request *req)
{
    return http_denied(req, ERR_NOT_FOUND, REASON_NOT_OWNER, http_object(req, "thing:", 7));
}

static const struct http_route routes[] = {
    {.method = NET_METHOD_GET,
     .path = "/fine",
     .access = HTTP_ACCESS_BEARER,
     .handle = fine,
     .id = "fine"},
    {.method = NET_METHOD_GET,
     .path = "/things/{id}",
     .access = HTTP_ACCESS_BEARER,
     .handle = others,
     .id = "thing"},
    {.method = NET_METHOD_GET,
     .path = "/webhook",
     .access = HTTP_ACCESS_BEARER,
     .per_minute = PER_WEBHOOK,
     .handle = fine,
     .id = "webhook"},
    {.path = NULL},
};

static enum err verify(void *context, struct span token, int64_t now_s, struct arena *arena,
                       struct http_principal *ret_principal)
{
    (void)context;
    (void)arena;
    if (!span_is(token, "good") && !span_is(token, "old"))
        return ERR_TOKEN_INVALID;
    *ret_principal =
        (struct http_principal){.user_id = 42, .session_id = token, .expires_at_s = now_s + 3600};
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

static struct clock_fake now;

static int start(void **state)
{
    static const struct http_mount mounts[] = {{.rows = routes}};
    static struct http_network everybody;
    static struct http_policy policy;

    (void)state;
    clock_fake_init(&now, INT64_C(1800000000) * CLOCK_NS_PER_S);
    policy = site_policy;
    policy.rate.requests = PER_ADDRESS;
    policy.proxies = &everybody;
    policy.proxy_count = 1;
    return site_start(
        &(struct http_service_options){.mounts = mounts, .mount_count = 1, .policy = &policy},
        (struct http_engine_options){
            .clock = &now.clock, .strangers = EACH, .identity = {.verify = verify, .load = load}});
}

static int stop(void **state)
{
    return site_stop(state);
}

/* ---- what is in the log -----------------------------------------------------------------------
 */

static const struct store_statement singles = {
    .name = "strangers_singles",
    .sqlite = "SELECT count(*) FROM trail_events WHERE event = 'access.denied'"};
static const struct store_statement many = {
    .name = "strangers_many",
    .sqlite = "SELECT count(*) FROM trail_events WHERE event = 'access.denied_many'"};
static const struct store_statement last = {
    .name = "strangers_last",
    .sqlite = "SELECT outcome, actor_kind, source, details FROM trail_events "
              "WHERE event = 'access.denied_many' ORDER BY seq DESC LIMIT 1"};

struct seen {
    int64_t singles, many;
    char text[4][256]; /* outcome, actor_kind, source, details */
};

static enum err number_read(struct store_conn *conn, const struct store_statement *what,
                            int64_t *ret)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, what, NULL, 0, &rows);

    if (err == ERR_OK)
        *ret = store_next(rows) ? store_rows_i64(rows, 0) : -1;
    return err;
}

static enum err seen_run(struct store_conn *conn, struct store_job *job)
{
    struct seen *seen = job->context;
    PC_AUTO(store_rows) rows = NULL;
    enum err err = number_read(conn, &singles, &seen->singles);

    if (err == ERR_OK)
        err = number_read(conn, &many, &seen->many);
    if (err == ERR_OK)
        err = store_query(conn, &last, NULL, 0, &rows);
    if (err || !store_next(rows))
        return err;
    for (size_t i = 0; i < PC_COUNT(seen->text); i++)
        (void)snprintf(seen->text[i], sizeof(seen->text[i]), "%.*s",
                       SPAN_ARG(store_rows_text(rows, i, NULL)));
    return store_rows_err(rows);
}

static struct seen seen(void)
{
    struct seen seen = {0};

    assert_int_equal(store_do(site.store, seen_run, &seen, false), ERR_OK);
    return seen;
}

/* Each from an address that nobody has come from before. */
static int ask_anew(const char *what, const char *more)
{
    static unsigned number;
    char headers[160];

    number++;
    (void)snprintf(headers, sizeof(headers), "X-Forwarded-For: 2001:db8:%x:%x::1\r\n%s",
                   number >> 8, number & 0xFF, more);
    return site_ask(what, headers, NULL);
}

/* ---- tests ------------------------------------------------------------------------------------
 */

static void a_crowd_is_written_down_as_a_count(void **state)
{
    struct seen told;

    (void)state;
    for (int i = 0; i < EACH + MORE; i++)
        assert_int_equal(ask_anew("GET /fine", ""), 401);
    assert_says("WWW-Authenticate: Bearer");
    assert_int_equal(seen().singles, EACH);
    assert_int_equal(seen().many, 0);
    clock_fake_move(&now, CLOCK_NS_PER_S);
    http_strangers_tell(site.engine);
    told = seen();
    assert_int_equal(told.singles, EACH);
    assert_int_equal(told.many, 1);
    assert_string_equal(told.text[0], "refused");
    assert_string_equal(told.text[1], "unknown");
    assert_string_equal(told.text[2], "test");
    assert_string_equal(told.text[3], "{\"requests\":\"60\",\"since\":\"2027-01-15T08:00:00.000Z\","
                                      "\"method\":\"GET\",\"route\":\"/fine\"}");
    http_strangers_tell(site.engine); /* nothing of nothing */
    assert_int_equal(seen().many, 1);
}

/* Another has no part in what strangers use up, and each of the routes has its count. */
static void who_is_known_is_always_named(void **state)
{
    (void)state;
    for (int i = 0; i < EACH; i++)
        assert_int_equal(ask_anew("GET /fine", ""), 401);
    assert_int_equal(ask_anew("GET /things/7", ""), 401);
    assert_int_equal(ask_anew("GET /fine", "Authorization: Bearer old\r\n"), 401);
    assert_int_equal(seen().singles, EACH);
    assert_int_equal(ask_anew("GET /things/7", "Authorization: Bearer good\r\n"), 404);
    assert_int_equal(seen().singles, EACH + 1);
    http_strangers_tell(site.engine);
    assert_int_equal(seen().many, 2);
}

static void what_cannot_be_told_stays_counted(void **state)
{
    (void)state;
    for (int i = 0; i < EACH + 2; i++)
        assert_int_equal(ask_anew("GET /fine", ""), 401);
    store_fail_at(STORE_FAIL_ALWAYS);
    http_strangers_tell(site.engine);
    store_fail_at(0);
    assert_int_equal(ask_anew("GET /fine", ""), 401);
    http_strangers_tell(site.engine);
    assert_int_equal(seen().many, 1);
    assert_non_null(strstr(seen().text[3], "{\"requests\":\"3\""));
}

static sem_t held, let_go;
static atomic_bool telling_is_over;

static enum err hold_run(struct store_conn *conn, struct store_job *job)
{
    (void)conn;
    (void)job;
    PC_ASSERT(sem_post(&held) == 0);
    PC_ASSERT(sem_wait(&let_go) == 0);
    return ERR_OK;
}

static void *hold(void *context)
{
    (void)context;
    PC_ASSERT(store_do(site.store, hold_run, NULL, true) == ERR_OK);
    return NULL;
}

static void *tell(void *context)
{
    (void)context;
    http_strangers_tell(site.engine);
    atomic_store(&telling_is_over, true);
    return NULL;
}

static void see_nothing(void *context, const struct http_breaker_seen *breaker)
{
    (void)context;
    (void)breaker;
}

static uint64_t untaken(void)
{
    uint64_t count = 0;

    for (const struct http_lasting *at = site.engine->lasting; at != NULL; at = at->next)
        count += atomic_load(&at->strangers);
    return count;
}

/* While the store stands still, nobody else waits: routes can be made, breakers looked at. */
static void nobody_waits_for_what_is_told(void **state)
{
    pthread_t holder, teller;

    (void)state;
    assert_int_equal(sem_init(&held, 0, 0), 0);
    assert_int_equal(sem_init(&let_go, 0, 0), 0);
    for (int i = 0; i < EACH + 3; i++)
        assert_int_equal(ask_anew("GET /fine", ""), 401);
    assert_int_equal(untaken(), 3);
    assert_int_equal(pthread_create(&holder, NULL, hold, NULL), 0);
    PC_ASSERT(sem_wait(&held) == 0);
    assert_int_equal(pthread_create(&teller, NULL, tell, NULL), 0);
    while (untaken() > 0)
        (void)sched_yield();
    http_breakers_see(site.engine, see_nothing, NULL);
    assert_false(atomic_load(&telling_is_over));
    PC_ASSERT(sem_post(&let_go) == 0);
    assert_int_equal(pthread_join(holder, NULL), 0);
    assert_int_equal(pthread_join(teller, NULL), 0);
    assert_int_equal(seen().many, 1);
    assert_non_null(strstr(seen().text[3], "{\"requests\":\"3\""));
}

/* A minute later as many are written each again. */
static void the_bucket_fills_again(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * EACH; i++)
        assert_int_equal(ask_anew("GET /fine", ""), 401);
    assert_int_equal(seen().singles, EACH);
    clock_fake_move(&now, 60 * CLOCK_NS_PER_S);
    for (int i = 0; i < 2 * EACH; i++)
        assert_int_equal(ask_anew("GET /fine", ""), 401);
    assert_int_equal(seen().singles, 2 * EACH);
}

/* A route that lets many through for who is known is no way for who is not. */
static void a_larger_rate_is_no_way_around(void **state)
{
    static const char from[] = "X-Forwarded-For: 192.0.2.7\r\n";
    static const char known[] = "X-Forwarded-For: 192.0.2.7\r\nAuthorization: Bearer good\r\n";

    (void)state;
    for (int i = 0; i < PER_ADDRESS; i++)
        assert_int_equal(site_ask("GET /webhook", from, NULL), 401);
    assert_int_equal(site_ask("GET /webhook", from, NULL), 429);
    assert_says("\r\nRetry-After: ");
    assert_int_equal(site_ask("GET /webhook", known, NULL), 204);
    assert_int_equal(seen().singles, PER_ADDRESS);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        T(a_crowd_is_written_down_as_a_count),
        T(who_is_known_is_always_named),
        T(nobody_waits_for_what_is_told),
        T(what_cannot_be_told_stays_counted),
        T(the_bucket_fills_again),
        T(a_larger_rate_is_no_way_around),
    };

    return cmocka_run_group_tests_name("http_strangers", tests, NULL, NULL);
}
