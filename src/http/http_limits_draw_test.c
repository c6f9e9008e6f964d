/* SPDX-License-Identifier: MIT
 * Several limits of one route, by everything that requests can be counted by; and limits that are
 * kept with other nodes while nobody can be asked. What is asked of a real Redis is in
 * limit_shared_test.c and tests/e2e/limits_shared.test.mjs. */
#include "http/http_test_kit.h"

#include <netinet/in.h>

#include "limit/limit_shared.h"

#define SECOND CLOCK_NS_PER_S
#define DAY    (86400 * SECOND)

#define LIMIT(name_, requests_, period, ...)                                                       \
    {                                                                                              \
        .rate = {.id = __COUNTER__ + 1000, .requests = (requests_), .period_ns = (period)},        \
        .name = SPAN(name_), __VA_ARGS__                                                           \
    }
#define LIMITS(list_, ...)                                                                         \
    {                                                                                              \
        .list = (list_), .count = PC_COUNT(list_), __VA_ARGS__                                     \
    }

static const struct http_limit by_address[] = {LIMIT("a", 3, DAY, .key = HTTP_LIMIT_ADDRESS),
                                               LIMIT("b", 5, DAY, .key = HTTP_LIMIT_ROUTE)};
static const struct http_limit by_header[] = {
    LIMIT("c", 2, DAY, .key = HTTP_LIMIT_HEADER, .header = SPAN("x-key"))};
static const struct http_limit by_user[] = {LIMIT("d", 2, DAY, .key = HTTP_LIMIT_USER)};
static const struct http_limit by_client[] = {LIMIT("e", 2, DAY, .key = HTTP_LIMIT_CLIENT)};
static const struct http_limit ten[] = {LIMIT("f", 10, DAY, .key = HTTP_LIMIT_ADDRESS)};

static const struct http_limits lists[] = {
    LIMITS(by_address, .has_sharing = true),
    LIMITS(by_header, .has_sharing = true),
    LIMITS(by_user, .has_sharing = true),
    LIMITS(by_client, .has_sharing = true),
    LIMITS(ten, .has_sharing = true, .sharing = {LIMIT_EXACT, LIMIT_OUTAGE_LOCAL_SHARE}),
    LIMITS(ten, .has_sharing = true, .sharing = {LIMIT_LEASED, LIMIT_OUTAGE_DENY}),
    LIMITS(ten, .has_sharing = true, .sharing = {LIMIT_EXACT, LIMIT_OUTAGE_ALLOW}),
};

static enum err answer(struct http_request *req)
{
    return http_reply_empty(req, 204);
}

#define ROUTE(path_, id_, access_, list)                                                           \
    {                                                                                              \
        .method = NET_METHOD_GET, .path = (path_), .access = (access_),                            \
        .tokens = (access_) == HTTP_ACCESS_BEARER ? HTTP_TOKENS_ANY : HTTP_TOKENS_BY_SCOPE,        \
        .limits = (list), .handle = answer, .id = (id_)                                            \
    }
static const struct http_route routes[] = {
    ROUTE("/address", "address", HTTP_ACCESS_OPEN, &lists[0]),
    ROUTE("/header", "header", HTTP_ACCESS_OPEN, &lists[1]),
    ROUTE("/user", "user", HTTP_ACCESS_BEARER, &lists[2]),
    ROUTE("/client", "client", HTTP_ACCESS_BEARER, &lists[3]),
    ROUTE("/share", "share", HTTP_ACCESS_OPEN, &lists[4]),
    ROUTE("/deny", "deny", HTTP_ACCESS_OPEN, &lists[5]),
    ROUTE("/allow", "allow", HTTP_ACCESS_OPEN, &lists[6]),
    ROUTE("/usual", "usual", HTTP_ACCESS_OPEN, NULL),
    {.path = NULL},
};

/* "u1" is user 1 by client "app"; "u2" user 2 by the same. */
static enum err verify(void *context, struct span token, int64_t now_s, struct arena *arena,
                       struct http_principal *ret_principal)
{
    (void)context;
    (void)arena;
    *ret_principal = (struct http_principal){.kind = HTTP_TOKEN_ISSUED,
                                             .client_id = SPAN_OF("app"),
                                             .user_id = token.ptr[1] - '0',
                                             .expires_at_s = now_s + 3600};
    return token.ptr[0] == 'u' ? ERR_OK : ERR_TOKEN_INVALID;
}

static enum err load(void *context, struct store_conn *conn, struct arena *arena,
                     struct http_principal *principal)
{
    (void)context;
    (void)conn;
    (void)arena;
    (void)principal;
    return ERR_OK;
}

static struct limit_shared *shared;

/* Nobody listens where Redis should be. */
static enum err away_make(void)
{
    struct limit_shared_options options = {
        .nodes = 2,
        .lease_percent = 10,
        .loops = 1,
        .slots = 64,
        .random = &random_system,
        .redis = {.connect_ms = 1000, .timeout_ms = 1000, .waiting_max = 10}};
    struct sockaddr_in *to = (struct sockaddr_in *)(void *)&options.redis.address;

    to->sin_family = AF_INET;
    to->sin_port = htons(1);
    to->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    options.redis.address_bytes = sizeof(*to);
    return limit_shared_new(&options, &shared);
}

static int start(void **state)
{
    static const struct http_mount mounts[] = {{.rows = routes}};
    static struct http_network everybody;
    static struct http_policy policy;

    (void)state;
    policy = site_policy;
    policy.proxies = &everybody;
    policy.proxy_count = 1;
    policy.rate = (struct limit_rate){.requests = 4, .period_ns = DAY};
    policy.sharing = (struct limit_sharing){LIMIT_EXACT, LIMIT_OUTAGE_LOCAL_SHARE};
    assert_int_equal(away_make(), ERR_OK);
    return site_start(
        &(struct http_service_options){.mounts = mounts, .mount_count = 1, .policy = &policy},
        (struct http_engine_options){.identity = {.verify = verify, .load = load},
                                     .limits_shared = shared});
}

static int stop(void **state)
{
    int failed = site_stop(state);

    limit_shared_free(shared);
    shared = NULL;
    return failed;
}

static int from(const char *address, const char *what)
{
    char headers[64];

    (void)snprintf(headers, sizeof(headers), "X-Forwarded-For: %s\r\n", address);
    return site_ask(what, headers, NULL);
}

static void says(const char *line)
{
    if (strstr(site.text, line) == NULL)
        fail_msg("no %s in:\n%s", line, site.text);
}

/* What one limit refuses costs the other nothing, and the client is told of the tightest. */
static void all_limits_admit_or_none(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(from("192.0.2.1", "GET /address"), 204);
    says("X-RateLimit-Limit: 3\r\n");
    says("X-RateLimit-Remaining: 0\r\n");
    says("RateLimit-Policy: \"default\";q=3;w=86400\r\n");
    for (int i = 0; i < 5; i++)
        assert_int_equal(from("192.0.2.1", "GET /address"), 429);
    says("Retry-After: 28");
    assert_int_equal(from("192.0.2.2", "GET /address"), 204);
    says("X-RateLimit-Limit: 5\r\n"); /* the route has less left than this address */
    says("X-RateLimit-Remaining: 1\r\n");
    assert_int_equal(from("192.0.2.2", "GET /address"), 204);
    assert_int_equal(from("192.0.2.3", "GET /address"), 429);
}

static void headers_are_told_apart(void **state)
{
    static const char long_a[] =
        "X-Key: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n";
    static const char long_b[] =
        "X-Key: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\r\n";
    static const char *const values[] = {"X-Key: a\r\n", "X-Key: b\r\n", long_a, long_b, ""};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(values); i++) {
        assert_int_equal(site_ask("GET /header", values[i], NULL), 204);
        assert_int_equal(site_ask("GET /header", values[i], NULL), 204);
        assert_int_equal(site_ask("GET /header", values[i], NULL), 429);
    }
}

static void users_are_told_apart_and_clients_are_not(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(site_ask("GET /user", "Authorization: Bearer u1\r\n", NULL), 204);
        assert_int_equal(site_ask("GET /user", "Authorization: Bearer u2\r\n", NULL), 204);
    }
    assert_int_equal(site_ask("GET /user", "Authorization: Bearer u1\r\n", NULL), 429);
    assert_int_equal(site_ask("GET /client", "Authorization: Bearer u1\r\n", NULL), 204);
    assert_int_equal(site_ask("GET /client", "Authorization: Bearer u2\r\n", NULL), 204);
    assert_int_equal(site_ask("GET /client", "Authorization: Bearer u1\r\n", NULL), 429);
}

/* Who shows no token, or a bad one, pays where strangers do, and never from a user's limit. */
static void strangers_do_not_draw_from_the_list(void **state)
{
    (void)state;
    assert_int_equal(from("192.0.2.9", "GET /user"), 401);
    says("X-RateLimit-Limit: 4\r\n");
    assert_int_equal(site_ask("GET /user", "Authorization: Bearer x1\r\n", NULL), 401);
    says("X-RateLimit-Limit: 4\r\n");
}

static void while_nobody_can_be_asked(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        assert_int_equal(from("192.0.2.1", "GET /share"), 204);
    says("X-RateLimit-Limit: 5\r\n"); /* of ten, for one of two nodes */
    assert_int_equal(from("192.0.2.1", "GET /share"), 429);
    assert_int_equal(from("192.0.2.1", "GET /deny"), 503);
    says("limits-unavailable");
    says("Retry-After: 1\r\n");
    for (int i = 0; i < 12; i++)
        assert_int_equal(from("192.0.2.1", "GET /allow"), 204);
    assert_null(strstr(site.text, "RateLimit"));
}

/* The general limit, of a route that says nothing. */
static void the_usual_limit_is_shared_too(void **state)
{
    (void)state;
    assert_int_equal(from("192.0.2.1", "GET /usual"), 204);
    says("X-RateLimit-Limit: 2\r\n");
    assert_int_equal(from("192.0.2.1", "GET /usual"), 204);
    assert_int_equal(from("192.0.2.1", "GET /usual"), 429);
    assert_int_equal(from("192.0.2.2", "GET /usual"), 204);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_limits_admit_or_none, start, stop),
        cmocka_unit_test_setup_teardown(headers_are_told_apart, start, stop),
        cmocka_unit_test_setup_teardown(users_are_told_apart_and_clients_are_not, start, stop),
        cmocka_unit_test_setup_teardown(strangers_do_not_draw_from_the_list, start, stop),
        cmocka_unit_test_setup_teardown(while_nobody_can_be_asked, start, stop),
        cmocka_unit_test_setup_teardown(the_usual_limit_is_shared_too, start, stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
