/* SPDX-License-Identifier: MIT
 * Swapping policy and routes while requests are under way: whole, and with nothing forgotten that
 * stays. */
#include "http/http_test_kit.h"

#include <semaphore.h>

#include "base/alloc.h"
#include "http/http_snapshot.h"
#include "upstream/upstream.h"

static sem_t arrived, go_on;
static struct upstream *upstream;
static struct arena names;
static struct http_proxy proxy, other_guard;
static int over; /* how many snapshots have ended */

/* Tells the limit of the policy that it was let in by. */
static enum err answer(struct http_request *req)
{
    return http_reply_text(req, 200, "text/plain",
                           req->policy->body_bytes_max == 1 ? SPAN_OF("one") : SPAN_OF("two"));
}

static enum err wait_here(struct http_request *req)
{
    PC_ASSERT(sem_post(&arrived) == 0);
    PC_ASSERT(sem_wait(&go_on) == 0);
    return answer(req);
}

static enum err fail_here(struct http_request *req)
{
    (void)req;
    return ERR_STORE_UNAVAILABLE;
}

#define OPEN .access = HTTP_ACCESS_OPEN, .rate = HTTP_RATE_EXEMPT, .data = HTTP_DATA_PUBLIC

static const struct http_route own[] = {
    {.method = NET_METHOD_GET,
     .path = "/api/slow",
     OPEN,
     .id = "slow",
     .run = HTTP_RUN_HASH,
     .handle = wait_here},
    {.method = NET_METHOD_GET, .path = "/api/quick", OPEN, .id = "quick", .handle = answer},
    {.method = NET_METHOD_GET, .path = "/api/failing", OPEN, .id = "failing", .handle = fail_here},
    {.method = NET_METHOD_GET, .path = "/page", OPEN, .id = "page", .handle = answer},
    {.path = NULL}};

#define TO_UPSTREAM(methods, where, to)                                                            \
    {                                                                                              \
        .method = (methods), .path = (where), OPEN, .id = "route", .proxy = (to), .hidden = true   \
    }

static const struct http_route all[] = {TO_UPSTREAM(NET_METHOD_GET, "/shop", &proxy),
                                        TO_UPSTREAM(NET_METHOD_POST, "/*", &proxy),
                                        {.path = NULL}};
static const struct http_route changed[] = {TO_UPSTREAM(NET_METHOD_GET, "/shop", &other_guard),
                                            {.path = NULL}};
static const struct http_route none[] = {{.path = NULL}};

static const struct http_policy one = {.rate = {.requests = 1000, .period_ns = CLOCK_NS_PER_S},
                                       .body_bytes_max = 1,
                                       .breaker_failures = 1,
                                       .breaker_open_ns = 3600 * CLOCK_NS_PER_S};
static const struct http_policy two = {.rate = {.requests = 1000, .period_ns = CLOCK_NS_PER_S},
                                       .body_bytes_max = 2,
                                       .breaker_failures = 1,
                                       .breaker_open_ns = 3600 * CLOCK_NS_PER_S};

static void on_over(void *context)
{
    (void)context;
    over++;
}

static struct http_snapshot *make(const struct http_policy *policy, const struct http_route *routes)
{
    const struct http_snapshot_options options = {
        .policy = policy, .service = site.service, .routes = routes, .over = on_over};
    struct http_snapshot *snapshot;
    const char *why;

    assert_int_equal(http_snapshot_new(site.engine, &options, &snapshot, &why), ERR_OK);
    return snapshot;
}

static void take(const struct http_policy *policy, const struct http_route *routes)
{
    http_snapshot_take(make(policy, routes));
}

static int start(void **state)
{
    static const char *const areas[] = {"/api", NULL};
    static const struct http_mount mounts[] = {{.rows = own}};
    const struct http_service_options options = {
        .mounts = mounts, .mount_count = 1, .areas = areas};
    /* Nobody is there. */
    const struct upstream_target target = {
        .url = "http://peer", .host = "peer", .name = "127.0.0.1", .port = 1};
    const struct upstream_options asked = {
        .name = "peer", .targets = &target, .target_count = 1, .health = {.fails_max = 1000}};
    const char *why;

    (void)state;
    over = 0;
    arena_init(&names, NULL, 0, 64 * 1024);
    if (upstream_new(&asked, &names, &upstream, &why) != ERR_OK || sem_init(&arrived, 0, 0) != 0 ||
        sem_init(&go_on, 0, 0) != 0)
        return -1;
    proxy = (struct http_proxy){.upstream = upstream};
    other_guard = (struct http_proxy){.upstream = upstream, .breaker = {.failures = 2}};
    return site_start(&options, (struct http_engine_options){0});
}

static int stop(void **state)
{
    int failed = site_stop(state);

    upstream_free(upstream);
    arena_reset(&names);
    return failed;
}

/* A request sees one snapshot from its head to its end, which ends behind it. */
static void requests_end_where_they_began(void **state)
{
    int fd = site_dial();

    (void)state;
    take(&one, none);
    site_say(fd, "GET /api/slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    PC_ASSERT(sem_wait(&arrived) == 0);
    take(&two, none);
    assert_int_equal(over, 0);
    assert_int_equal(http_snapshot_reap(site.engine), 2);
    assert_int_equal(site_ask("GET /api/quick", "", NULL), 200);
    assert_says("two");
    for (int i = 0; i < 10; i++) /* those that nobody uses do not wait for it */
        take(&two, none);
    assert_int_equal(over, 10);
    PC_ASSERT(sem_post(&go_on) == 0);
    assert_int_equal(site_hear(fd), 200);
    assert_says("one");
    while (http_snapshot_reap(site.engine) > 1)
        (void)usleep(1000);
    assert_int_equal(over, 11);
}

/* Routes come and go; one that stays keeps its breaker, unless that is to be another one. */
static void routes_keep_their_breaker(void **state)
{
    (void)state;
    assert_int_equal(site_ask("GET /shop", "", NULL), 404);
    take(&one, all);
    assert_int_equal(site_ask("GET /shop", "", NULL), 502);
    assert_int_equal(site_ask("GET /shop", "", NULL), 503);
    take(&two, all);
    assert_int_equal(site_ask("GET /shop", "", NULL), 503);
    http_snapshot_free(make(&two, changed)); /* that was made in vain */
    assert_int_equal(site_ask("GET /shop", "", NULL), 503);
    take(&two, changed);
    assert_int_equal(site_ask("GET /shop", "", NULL), 502);
    assert_int_equal(site_ask("GET /shop", "", NULL), 502);
    assert_int_equal(site_ask("GET /shop", "", NULL), 503);
    take(&two, none);
    assert_int_equal(site_ask("GET /shop", "", NULL), 404);
}

/* Failures until the route's breaker is open. */
static int failures_of(const char *route)
{
    for (int count = 0; count < 100; count++) {
        (void)site_ask(route, "", NULL);
        if (strstr(site.text, "X-Circuit-Breaker-State: open") != NULL)
            return count;
    }
    return -1;
}

/* General thresholds are of the policy: for routes to upstreams, and for a service's own ones. */
static void general_thresholds_are_swapped(void **state)
{
    struct http_policy patient = one;

    (void)state;
    patient.breaker_failures = 3;
    take(&patient, all);
    assert_int_equal(failures_of("GET /api/failing"), 2);
    assert_int_equal(failures_of("GET /shop"), 2);
}

/* What an upstream takes says nothing of the service's own areas and paths. */
static void own_paths_stay_own(void **state)
{
    (void)state;
    take(&one, all);
    assert_int_equal(site_ask("GET /anything", "", NULL), 405);
    assert_says("Allow: POST");
    assert_int_equal(site_ask("GET /api/nothing", "", NULL), 404);
    assert_int_equal(site_ask("POST /api/nothing", "", NULL), 404);
    assert_int_equal(site_ask("POST /api/quick", "", NULL), 405);
    assert_says("Allow: GET");
    assert_int_equal(site_ask("POST /page", "", NULL), 405);
}

static void memory_that_runs_out_changes_nothing(void **state)
{
    const struct http_snapshot_options options = {
        .policy = &two, .service = site.service, .routes = all, .over = on_over};
    struct http_snapshot *snapshot = NULL;
    uint64_t nth = 0;
    const char *why;
    enum err err;

    (void)state;
    take(&one, none);
    do {
        alloc_fail_at(++nth);
        err = http_snapshot_new(site.engine, &options, &snapshot, &why);
        if (err == ERR_OK)
            http_snapshot_free(snapshot);
    } while (alloc_fail_pending() == 0);
    alloc_fail_at(0);
    assert_in_range(nth, 8, 500);
    assert_int_equal(over, 0);
    assert_int_equal(site_ask("GET /shop", "", NULL), 404);
    assert_int_equal(site_ask("GET /api/quick", "", NULL), 200);
    assert_says("one");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(requests_end_where_they_began),        TEST(routes_keep_their_breaker),
        TEST(general_thresholds_are_swapped),       TEST(own_paths_stay_own),
        TEST(memory_that_runs_out_changes_nothing),
    };

    return cmocka_run_group_tests_name("http_snapshot", tests, NULL, NULL);
}
