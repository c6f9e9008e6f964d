/* SPDX-License-Identifier: MIT
 * What opens a breaker and what does not, told by the store's answers, and what metrics tell of a
 * breaker that nobody asks. */
#include "http/http_test_kit.h"

#include <stdatomic.h>

#include "base/metric_read.h"
#include "http/http_priv.h"

enum { FAILURES = 3, OPEN_S = 60, MANY = 5 * FAILURES };

/* ---- a store that answers as told -------------------------------------------------------------
 */

static struct {
    _Atomic(enum err) at_once; /* of asking for a turn */
    _Atomic(enum err) later;   /* of the job, before it had its turn */
    _Atomic(enum err) in_turn; /* of the handler */
} answers;

/* The event of a breaker, put aside as the store's writer may do. */
static struct store_job *put_aside;
static atomic_bool puts_aside;

enum err __real_store_write(struct store *store, struct store_job *job);
enum err __wrap_store_write(struct store *store, struct store_job *job);
enum err __wrap_store_write(struct store *store, struct store_job *job)
{
    if (atomic_load(&puts_aside)) {
        put_aside = job;
        return ERR_OK;
    }
    if (atomic_load(&answers.at_once) != ERR_OK)
        return atomic_load(&answers.at_once);
    if (atomic_load(&answers.later) == ERR_OK)
        return __real_store_write(store, job);
    job->err = atomic_load(&answers.later);
    job->done(job);
    return ERR_OK;
}

static char source[32];

enum err __wrap_trail_add(struct store_conn *conn, const struct trail_record *record);
enum err __wrap_trail_add(struct store_conn *conn, const struct trail_record *record)
{
    (void)conn;
    (void)snprintf(source, sizeof(source), "%.*s", SPAN_ARG(record->source));
    return ERR_OK;
}

static enum err work(struct http_request *req)
{
    enum err err = atomic_load(&answers.in_turn);

    return err ? err : http_reply_empty(req, 204);
}

static const struct http_route routes[] = {{.method = NET_METHOD_POST,
                                            .path = "/work",
                                            .access = HTTP_ACCESS_OPEN,
                                            .run = HTTP_RUN_WRITE,
                                            .handle = work,
                                            .id = "work"},
                                           {.path = NULL}};

static struct metrics *metrics;
static struct clock_fake now;

static int setup(void **state)
{
    static const struct http_policy policy = {
        .rate = {.requests = 100000, .period_ns = 60 * CLOCK_NS_PER_S},
        .rate_verify = {.requests = 100000, .period_ns = 60 * CLOCK_NS_PER_S},
        .breaker_failures = FAILURES,
        .breaker_open_ns = OPEN_S * CLOCK_NS_PER_S};
    static const struct http_mount mounts[] = {{.rows = routes}};
    const struct http_service_options service = {
        .mounts = mounts, .mount_count = PC_COUNT(mounts), .policy = &policy};
    struct http_engine_options engine = {.clock = &now.clock};

    (void)state;
    atomic_store(&answers.at_once, ERR_OK);
    atomic_store(&answers.later, ERR_OK);
    atomic_store(&answers.in_turn, ERR_OK);
    clock_fake_init(&now, INT64_C(1800000000) * CLOCK_NS_PER_S);
    if (metrics_new(&metrics) != ERR_OK)
        return -1;
    engine.metrics = metrics;
    return site_start(&service, engine);
}

static int teardown(void **state)
{
    int stopped = site_stop(state);
    char text[64 * 1024];
    struct sbuf page = sbuf_over(text, sizeof(text));

    metric_render(metrics, &page); /* the breakers are gone, and nobody asks them */
    metrics_free(metrics);
    return stopped;
}

/* The status; the header says what the breaker was then. */
static int ask(const char *breaker)
{
    char header[64];
    int status = site_ask("POST /work", "", "");

    (void)snprintf(header, sizeof(header), "X-Circuit-Breaker-State: %s\r\n", breaker);
    assert_says(header);
    return status;
}

static void see(void *context, const struct metric_sample *sample)
{
    if (span_is(metric_sample_label(sample, "route"), "/work"))
        *(int64_t *)context = sample->value;
}

/* What metrics tell: 0 closed, 1 open, 2 half open. */
static int64_t gauge(void)
{
    int64_t value = -1;

    metric_samples(metrics, "circuit_breaker_state", see, &value);
    return value;
}

/* ---- tests ------------------------------------------------------------------------------------
 */

static void assert_opens(const char *slug)
{
    for (int i = 1; i <= FAILURES; i++) {
        assert_int_equal(ask(i < FAILURES ? "closed" : "open"), 503);
        assert_says(slug);
    }
    assert_int_equal(ask("open"), 503);
    assert_says("circuit-open");
}

static void assert_never_opens(const char *slug)
{
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(ask("closed"), 503);
        assert_says(slug);
    }
    assert_int_equal(gauge(), 0);
}

/* Once it is known to stand, who comes is refused at once. */
static void a_store_that_stands_still_opens_it(void **state)
{
    (void)state;
    atomic_store(&answers.at_once, ERR_STORE_SLOW);
    assert_opens("store-slow");
}

/* Who came before that waits until it is known. */
static void so_does_one_that_lets_nobody_have_his_turn(void **state)
{
    (void)state;
    atomic_store(&answers.later, ERR_STORE_SLOW);
    assert_opens("store-slow");
}

/* The outbox is full: that is our own bound, and is eased long before a breaker would be. */
static void an_audit_log_that_is_behind_does_not(void **state)
{
    (void)state;
    atomic_store(&answers.in_turn, ERR_AUDIT_BEHIND);
    assert_never_opens("audit-behind");
    atomic_store(&answers.in_turn, ERR_OK);
    atomic_store(&answers.later, ERR_AUDIT_BEHIND);
    assert_never_opens("audit-behind");
}

static void a_full_queue_does_not(void **state)
{
    (void)state;
    atomic_store(&answers.at_once, ERR_BUSY);
    assert_never_opens("busy");
}

/* Watchers need no request to see that its time is over. */
static void metrics_follow_its_time(void **state)
{
    (void)state;
    assert_int_equal(gauge(), 0);
    atomic_store(&answers.at_once, ERR_STORE_SLOW);
    assert_opens("store-slow");
    assert_int_equal(gauge(), 1);
    clock_fake_move(&now, (OPEN_S - 1) * CLOCK_NS_PER_S);
    assert_int_equal(gauge(), 1);
    clock_fake_move(&now, CLOCK_NS_PER_S);
    assert_int_equal(gauge(), 2);
    atomic_store(&answers.at_once, ERR_OK);
    assert_int_equal(ask("closed"), 204);
    assert_int_equal(gauge(), 0);
}

/* A reload may end the route, and the name of its service with it, before its event is written. */
static void an_event_outlives_its_route(void **state)
{
    const struct breaker_move move = {
        .from = BREAKER_CLOSED, .to = BREAKER_OPEN, .why = BREAKER_WHY_FAILURES, .number = 1};
    char name[] = "gateway";
    struct http_lasting route = {
        .engine = site.engine, .service = name, .path = "/work", .method = NET_METHOD_POST};

    (void)state;
    atomic_store(&puts_aside, true);
    http_breaker_route_moved(&route, &move);
    atomic_store(&puts_aside, false);
    memset(name, '?', sizeof(name) - 1);
    assert_non_null(put_aside);
    put_aside->err = put_aside->run(NULL, put_aside);
    put_aside->done(put_aside);
    assert_string_equal(source, "gateway");
}

#define BREAKER_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BREAKER_TEST(a_store_that_stands_still_opens_it),
        BREAKER_TEST(so_does_one_that_lets_nobody_have_his_turn),
        BREAKER_TEST(an_audit_log_that_is_behind_does_not),
        BREAKER_TEST(a_full_queue_does_not),
        BREAKER_TEST(metrics_follow_its_time),
        BREAKER_TEST(an_event_outlives_its_route),
    };

    return cmocka_run_group_tests_name("http_breaker", tests, NULL, NULL);
}
