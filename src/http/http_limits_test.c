/* SPDX-License-Identifier: MIT
 * Whose bucket a request draws from where clients prove themselves: the client's at its address,
 * and the address's for what fails. A user and a client draw from buckets of their own. */
#include "http/http_test_kit.h"

enum { PER_MINUTE = 3, PER_ADDRESS = 5, PER_READ = 2, SAME_NUMBER = 7 };

struct caller {
    struct span client_id, secret;
};
static const struct json_field caller_fields[] = {
    {.name = "client_id",
     .kind = JSON_KIND_TEXT,
     .max = 300,
     .offset = offsetof(struct caller, client_id)},
    {.name = "secret",
     .kind = JSON_KIND_TEXT,
     .max = 20,
     .optional = true,
     .offset = offsetof(struct caller, secret)},
};
static const struct json_schema caller_schema = {.name = "Caller",
                                                 .fields = caller_fields,
                                                 .field_count = PC_COUNT(caller_fields),
                                                 .bytes = sizeof(struct caller)};

/* On a store thread, the first time in vain: the failure is charged once. */
static enum err wrong(struct http_request *req)
{
    enum err err = http_limit_failure(req);

    if (err)
        return err;
    if (req->work == NULL) {
        req->work = req;
        return ERR_STORE_RETRY;
    }
    return http_refuse(req, ERR_OAUTH_INVALID_CLIENT);
}

static enum err prove(struct http_request *req)
{
    const struct caller *caller = req->body;
    enum err err = http_limit_client(req, caller->client_id);

    if (err)
        return err;
    if (span_is(caller->secret, "right"))
        return http_reply_empty(req, 204);
    return http_hop(req, HTTP_RUN_WRITE, wrong);
}

static enum err sign(struct http_request *req)
{
    return http_reply_empty(req, 204);
}

static const struct http_route routes[] = {
    {.method = NET_METHOD_POST,
     .path = "/token",
     .access = HTTP_ACCESS_OPEN,
     .rate = HTTP_RATE_CLIENT,
     .per_minute = PER_MINUTE,
     .form = HTTP_FORM_URLENCODED,
     .body = &caller_schema,
     .handle = prove,
     .id = "token"},
    {.method = NET_METHOD_GET,
     .path = "/open",
     .access = HTTP_ACCESS_OPEN,
     .run = HTTP_RUN_SIGN,
     .handle = sign,
     .id = "open"},
    {.method = NET_METHOD_GET,
     .path = "/read",
     .access = HTTP_ACCESS_BEARER,
     .tokens = HTTP_TOKENS_ANY,
     .per_minute = PER_READ,
     .handle = sign,
     .id = "read"},
    {.path = NULL},
};

/* "u" is a user's, "c" a client's; of the same number. */
static enum err verify(void *context, struct span token, int64_t now_s, struct arena *arena,
                       struct http_principal *ret_principal)
{
    (void)context;
    (void)arena;
    *ret_principal = (struct http_principal){.expires_at_s = now_s + 3600};
    if (span_is(token, "u"))
        ret_principal->user_id = SAME_NUMBER;
    else
        ret_principal->client_key = SAME_NUMBER;
    return ERR_OK;
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

static int start(void **state)
{
    static const struct http_mount mounts[] = {{.rows = routes}};
    static struct http_network everybody;
    static struct http_policy policy;

    (void)state;
    policy = site_policy;
    policy.rate.requests = PER_ADDRESS;
    policy.proxies = &everybody;
    policy.proxy_count = 1;
    return site_start(
        &(struct http_service_options){.mounts = mounts, .mount_count = 1, .policy = &policy},
        (struct http_engine_options){.identity = {.verify = verify, .load = load}});
}

static int ask(const char *address, const char *body)
{
    char headers[128];

    (void)snprintf(headers, sizeof(headers),
                   "X-Forwarded-For: %s\r\nContent-Type: application/x-www-form-urlencoded\r\n",
                   address);
    return site_ask("POST /token", headers, body);
}

static int ask_open(const char *address)
{
    char headers[64];

    (void)snprintf(headers, sizeof(headers), "X-Forwarded-For: %s\r\n", address);
    return site_ask("GET /open", headers, NULL);
}

static void a_client_has_a_bucket_at_its_address(void **state)
{
    (void)state;
    for (size_t i = 0; i < PER_MINUTE; i++) {
        assert_int_equal(ask("192.0.2.1", "client_id=a&secret=right"), 204);
        assert_says("\r\nX-RateLimit-Limit: 3\r\n");
    }
    assert_int_equal(ask("192.0.2.1", "client_id=a&secret=right"), 429);
    assert_says("\r\nRetry-After: ");
    assert_int_equal(ask("192.0.2.1", "client_id=b&secret=right"), 204);
    assert_int_equal(ask("192.0.2.2", "client_id=a&secret=right"), 204);
    assert_int_equal(ask("2001:db8::1", "client_id=a&secret=right"), 204);
    /* What succeeded has cost the address nothing. */
    for (size_t i = 0; i < PER_ADDRESS; i++)
        assert_int_equal(ask_open("192.0.2.1"), 204);
    assert_int_equal(ask_open("192.0.2.1"), 429);
}

/* Names are free to invent; the address is not. */
static void what_fails_is_charged_to_the_address(void **state)
{
    char body[64];

    (void)state;
    for (size_t i = 0; i < PER_ADDRESS; i++) {
        (void)snprintf(body, sizeof(body), "client_id=made-up-%zu&secret=wrong", i);
        assert_int_equal(ask("198.51.100.1", body), 401);
        assert_says("\r\nX-RateLimit-Limit: 3\r\n");
    }
    assert_int_equal(ask("198.51.100.1", "client_id=made-up&secret=wrong"), 429);
    assert_says("\r\nX-RateLimit-Limit: 5\r\n");
    assert_int_equal(ask("198.51.100.1", "client_id=good&secret=right"), 429);
    assert_int_equal(ask_open("198.51.100.1"), 429);
    assert_int_equal(ask("198.51.100.2", "client_id=good&secret=right"), 204);
}

/* So is what no handler has seen. */
static void what_cannot_be_read_is_charged_to_the_address(void **state)
{
    static const char *const bad[PER_ADDRESS] = {"client_id=%", "x=1", "client_id=a&client_id=a",
                                                 "", "client_id=%00"};

    (void)state;
    for (size_t i = 0; i < PER_ADDRESS; i++)
        assert_in_range(ask("203.0.113.1", bad[i]), 400, 422);
    assert_int_equal(ask("203.0.113.1", "client_id=a&client_id=a"), 429);
    assert_silent("twice");
    assert_int_equal(ask_open("203.0.113.1"), 429);
    assert_int_equal(
        site_ask("POST /token", "X-Forwarded-For: 203.0.113.2\r\nContent-Type: a/b\r\n", "x"), 415);
}

static void long_names_are_no_way_around(void **state)
{
    char body[400];
    size_t refused = 0;

    (void)state;
    for (size_t i = 0; i < PER_MINUTE + 1; i++) {
        (void)snprintf(body, sizeof(body), "client_id=%0200d%zu&secret=right", 0, i);
        refused += ask("203.0.113.9", body) == 429;
    }
    assert_int_equal(refused, 1);
}

static void a_user_is_not_the_client_of_the_same_number(void **state)
{
    static const char *const bearers[] = {"Authorization: Bearer u\r\n",
                                          "Authorization: Bearer c\r\n"};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(bearers); i++) {
        for (size_t j = 0; j < PER_READ; j++)
            assert_int_equal(site_ask("GET /read", bearers[i], NULL), 204);
        assert_int_equal(site_ask("GET /read", bearers[i], NULL), 429);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_has_a_bucket_at_its_address),
        cmocka_unit_test(what_fails_is_charged_to_the_address),
        cmocka_unit_test(what_cannot_be_read_is_charged_to_the_address),
        cmocka_unit_test(long_names_are_no_way_around),
        cmocka_unit_test(a_user_is_not_the_client_of_the_same_number),
    };

    return cmocka_run_group_tests_name("http_limits", tests, start, site_stop);
}
