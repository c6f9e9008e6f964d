/* SPDX-License-Identifier: MIT
 * Which token may do what: its kind, its scopes and roles, the certificate it is bound to; and how
 * long an answer of the store about it is believed. */
#include "http/http_test_kit.h"

#include <stdatomic.h>

#include "http/http_priv.h"

enum { USER = 7, CLIENT = 3 };

/* ---- tokens: the text is a place in this table ------------------------------------------------
 */

static const struct http_principal tokens[] = {
    {.user_id = USER, .scope = SPAN("a:read a:write"), .roles = SPAN("customer")},
    {.user_id = USER, .is_admin = true, .scope = SPAN("a:read admin"), .roles = SPAN("x admin")},
    {.kind = HTTP_TOKEN_ISSUED,
     .client_key = CLIENT,
     .subject = SPAN("robot"),
     .client_id = SPAN("robot"),
     .scope = SPAN("a:read"),
     .roles = SPAN("payments")},
    {.kind = HTTP_TOKEN_ISSUED,
     .user_id = USER,
     .client_key = CLIENT,
     .client_id = SPAN("web"),
     .session_id = SPAN("s"),
     .scope = SPAN("a:read a:write b:read"),
     .roles = SPAN("customer")},
    {.kind = HTTP_TOKEN_ISSUED,
     .client_key = CLIENT,
     .client_id = SPAN("bound"),
     .scope = SPAN("a:read"),
     .thumbprint = SPAN("0123456789012345678901234567890123456789012")},
    {.user_id = USER, .scope = SPAN(""), .roles = SPAN("")},
};
#define CUSTOMER "0"
#define ADMIN    "1"
#define ROBOT    "2"
#define WEB      "3"
#define BOUND    "4"
#define BARE     "5"
#define CONSTANT "a-constant-secret-of-a-machine"

enum { MANY = 1000 }; /* numbers from here on are further tokens of the same bearers */

static bool bearer_of(struct span token, uint64_t *ret_at)
{
    if (!span_to_u64(token, ret_at))
        return false;
    if (*ret_at >= MANY)
        *ret_at %= PC_COUNT(tokens);
    return *ret_at < PC_COUNT(tokens);
}

static atomic_int loads;
static _Atomic int64_t moved_while_loading;

static enum err verify(void *context, struct span token, int64_t now_s, struct arena *arena,
                       struct http_principal *ret_principal)
{
    uint64_t at;

    (void)context;
    (void)arena;
    if (!bearer_of(token, &at))
        return ERR_TOKEN_INVALID;
    *ret_principal = (struct http_principal){.kind = tokens[at].kind,
                                             .user_id = tokens[at].user_id,
                                             .expires_at_s = now_s + 3600,
                                             .token_id = token,
                                             .thumbprint = tokens[at].thumbprint};
    return ERR_OK;
}

/* A client's key is known only here. */
static enum err load(void *context, struct store_conn *conn, struct arena *arena,
                     struct http_principal *principal)
{
    struct http_principal before = *principal;
    uint64_t at;

    (void)context;
    (void)conn;
    (void)arena;
    if (!bearer_of(principal->token_id, &at))
        return ERR_TOKEN_INVALID;
    *principal = tokens[at];
    principal->expires_at_s = before.expires_at_s;
    principal->token_id = before.token_id;
    principal->epoch = before.epoch;
    atomic_fetch_add(&loads, 1);
    if (atomic_load(&moved_while_loading) != 0)
        http_forget_subject(site.engine, atomic_load(&moved_while_loading));
    return ERR_OK;
}

/* ---- routes -----------------------------------------------------------------------------------
 */

static enum err whoami(struct http_request *req)
{
    const struct http_principal *p = req->principal;
    struct sbuf out = sbuf_on(req->arena, 512);

    sbuf_add_format(&out, "[%d|%d|%d|%.*s|%.*s|%.*s|%.*s|%d|%.*s]", (int)p->kind, (int)p->user_id,
                    (int)p->client_key, SPAN_ARG(p->subject), SPAN_ARG(p->client_id),
                    SPAN_ARG(p->scope), SPAN_ARG(p->roles), p->client_id.ptr != NULL,
                    SPAN_ARG(p->token_id));
    return http_reply_text(req, 200, "text/plain", sbuf_span(&out));
}

/* A machine's constant secret; it may write and has no role. */
static bool constant(const struct http_request *req, struct span bearer,
                     struct http_principal *ret_principal)
{
    (void)req;
    *ret_principal = (struct http_principal){.kind = HTTP_TOKEN_ISSUED,
                                             .client_id = SPAN_OF("machine"),
                                             .scope = SPAN_OF("a:write"),
                                             .roles = SPAN_OF("")};
    return span_equal_secret(bearer, SPAN_OF(CONSTANT));
}

#define ROW .method = NET_METHOD_GET, .handle = whoami, .access = HTTP_ACCESS_BEARER

static const struct http_route routes[] = {
    {ROW, .path = "/plain", .id = "plain"},
    {ROW, .path = "/any", .tokens = HTTP_TOKENS_ANY, .id = "any"},
    {ROW, .path = "/issued", .tokens = HTTP_TOKENS_ISSUED, .id = "issued"},
    {ROW, .path = "/read", .scopes = "a:read", .id = "read"},
    {ROW, .path = "/both", .scopes = "a:read a:write", .id = "both"},
    {ROW, .path = "/pay", .scopes = "a:read", .roles = "payments risk", .id = "pay"},
    {ROW, .path = "/pay-write", .scopes = "a:write", .roles = "payments risk", .id = "pay_write"},
    {ROW, .path = "/any-both", .tokens = HTTP_TOKENS_ANY, .scopes = "a:write", .id = "any_both"},
    {ROW, .path = "/machine", .scopes = "a:write", .bearer = constant, .id = "machine"},
    {ROW, .path = "/machine-any", .bearer = constant, .id = "machine_any"},
    {ROW, .path = "/machine-both", .scopes = "a:read a:write", .bearer = constant, .id = "m_both"},
    {ROW, .path = "/machine-pay", .scopes = "a:write", .roles = "payments", .bearer = constant,
     .id = "machine_pay"},
    {.method = NET_METHOD_GET,
     .handle = whoami,
     .access = HTTP_ACCESS_ADMIN,
     .path = "/admin",
     .scopes = "admin",
     .id = "admin"},
    {.path = NULL},
};

static int start(void **state)
{
    static const struct http_mount mounts[] = {{.rows = routes}};

    (void)state;
    return site_start(&(struct http_service_options){.mounts = mounts, .mount_count = 1},
                      (struct http_engine_options){.identity = {.verify = verify, .load = load}});
}

static int ask(const char *path, const char *token)
{
    char what[64];
    char bearer[64];

    (void)snprintf(what, sizeof(what), "GET %s", path);
    (void)snprintf(bearer, sizeof(bearer), "Authorization: Bearer %s\r\n", token);
    http_engine_feed_alive(site.engine, clock_monotonic_ns(&clock_system));
    return site_ask(what, bearer, NULL);
}

/* ---- tests ------------------------------------------------------------------------------------
 */

struct expectation {
    const char *path, *token;
    int status;
    const char *problem; /* the type's last part; NULL: none */
};

/* The whole decision, as a table. Twice, so that the second time the token comes from the cache. */
static void rows_say_which_tokens_they_take(void **state)
{
    static const struct expectation list[] = {
        {"/plain", CUSTOMER, 200, NULL},
        {"/plain", BARE, 200, NULL},
        {"/plain", ROBOT, 401, "wrong-token"},
        {"/plain", WEB, 401, "wrong-token"},
        {"/any", CUSTOMER, 200, NULL},
        {"/any", ROBOT, 200, NULL},
        {"/issued", ROBOT, 200, NULL},
        {"/issued", WEB, 200, NULL},
        {"/issued", CUSTOMER, 401, "wrong-token"},
        {"/read", CUSTOMER, 200, NULL},
        {"/read", ROBOT, 200, NULL},
        {"/read", WEB, 200, NULL},
        {"/read", BARE, 403, "insufficient-scope"},
        {"/both", CUSTOMER, 200, NULL},
        {"/both", WEB, 200, NULL},
        {"/both", ROBOT, 403, "insufficient-scope"},
        {"/pay", ROBOT, 200, NULL},
        {"/pay", WEB, 403, "forbidden"},
        {"/pay", CUSTOMER, 403, "forbidden"},
        {"/pay-write", ROBOT, 403, "insufficient-scope"},
        {"/pay-write", WEB, 403, "forbidden"},
        {"/pay-write", BARE, 403, "forbidden"},
        {"/any-both", ROBOT, 403, "insufficient-scope"},
        {"/any-both", CUSTOMER, 200, NULL},
        {"/admin", ADMIN, 200, NULL},
        {"/admin", CUSTOMER, 403, "forbidden"},
        {"/admin", WEB, 403, "insufficient-scope"},
        {"/read", "9", 401, "invalid-token"},
        {"/machine", CONSTANT, 200, NULL},
        {"/machine", CUSTOMER, 200, NULL},
        {"/machine", ROBOT, 403, "insufficient-scope"},
        {"/machine", "a-constant-secret-of-a-machinf", 401, "invalid-token"},
        {"/machine", "", 401, "unauthenticated"},
        {"/machine-any", CONSTANT, 401, "wrong-token"},
        {"/machine-both", CONSTANT, 403, "insufficient-scope"},
        {"/machine-pay", CONSTANT, 403, "forbidden"},
        {"/read", CONSTANT, 401, "invalid-token"},
        {"/both", CONSTANT, 401, "invalid-token"},
    };

    (void)state;
    for (size_t i = 0; i < 2 * PC_COUNT(list); i++) {
        const struct expectation *e = &list[i % PC_COUNT(list)];
        int status = ask(e->path, e->token);

        if (status != e->status)
            fail_msg("%s with token %s is %d", e->path, e->token, status);
        if (e->problem != NULL)
            assert_says(e->problem);
    }
}

/* RFC 6750, 3.1 */
static void challenges_say_what_is_missing(void **state)
{
    (void)state;
    assert_int_equal(ask("/both", ROBOT), 403);
    assert_says("\r\nWWW-Authenticate: Bearer realm=\"portcullis\", error=\"insufficient_scope\", "
                "error_description=\"The token lacks a scope that this needs\", "
                "scope=\"a:read a:write\"\r\n");
    assert_int_equal(ask("/plain", ROBOT), 401);
    assert_says("error=\"invalid_token\", error_description=\"A token of this kind is not accepted "
                "here\"\r\n");
    assert_int_equal(ask("/pay", WEB), 403);
    assert_silent("WWW-Authenticate");
    assert_int_equal(site_ask("GET /read", "", NULL), 401);
    assert_says("\r\nWWW-Authenticate: Bearer realm=\"portcullis\"\r\n");
}

/* From the cache a handler gets what it got from the store. */
static void the_cache_forgets_nothing(void **state)
{
    int before;

    (void)state;
    assert_int_equal(ask("/any", ROBOT), 200);
    before = atomic_load(&loads);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(ask("/any", ROBOT), 200);
        assert_says("[1|0|3|robot|robot|a:read|payments|1|2]");
    }
    assert_int_equal(atomic_load(&loads), before);
    assert_int_equal(ask("/any", CUSTOMER), 200);
    assert_says("[0|7|0|||a:read a:write|customer|0|0]");
    assert_int_equal(ask("/any", CUSTOMER), 200);
    assert_says("[0|7|0|||a:read a:write|customer|0|0]");
}

/* With sixteen places to a set, one in seventy caches has a set too full for its share of so many,
 * and then seventeen tokens are read again; with four places it was two hundred in every cache. */
static void five_thousand_tokens_are_remembered(void **state)
{
    enum { TOKENS = 5000, SPARE = 60 };
    int before = 0;

    (void)state;
    for (int round = 0; round < 2; round++) {
        before = atomic_load(&loads);
        for (int i = 0; i < TOKENS; i++) {
            char token[16];

            (void)snprintf(token, sizeof(token), "%zu", MANY + 2 + PC_COUNT(tokens) * (size_t)i);
            assert_int_equal(ask("/any", token), 200);
        }
    }
    assert_true(atomic_load(&loads) - before <= SPARE);
}

static void a_bound_token_is_good_nowhere_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ask("/any", BOUND), 401);
        assert_says("bound-token");
        assert_says("error=\"invalid_token\"");
    }
}

/* A change of the user, or of the client, is seen at the next request; one of others is not. */
static void a_change_of_user_or_client_is_seen(void **state)
{
    int before;

    (void)state;
    assert_int_equal(ask("/any", WEB), 200);
    before = atomic_load(&loads);
    assert_int_equal(ask("/any", WEB), 200);
    http_forget_subject(site.engine, CLIENT);
    http_forget_subject(site.engine, -USER);
    assert_int_equal(ask("/any", WEB), 200);
    assert_int_equal(atomic_load(&loads), before);
    http_forget_subject(site.engine, -CLIENT);
    assert_int_equal(ask("/any", WEB), 200);
    assert_int_equal(atomic_load(&loads), before + 1);
    http_forget_subject(site.engine, USER);
    assert_int_equal(ask("/any", WEB), 200);
    assert_int_equal(atomic_load(&loads), before + 2);
    assert_int_equal(ask("/any", WEB), 200);
    assert_int_equal(atomic_load(&loads), before + 2);
    http_forget_subject(site.engine, 0); /* everybody */
    assert_int_equal(ask("/any", WEB), 200);
    assert_int_equal(atomic_load(&loads), before + 3);
}

/* The client's key is known only when the store has answered: a change while it was asked must not
 * be lost, whoever's it was. */
static void a_change_while_the_store_is_asked_is_seen(void **state)
{
    static const int64_t subjects[] = {-CLIENT, USER, 1234567};
    int before;

    (void)state;
    for (size_t i = 0; i < PC_COUNT(subjects); i++) {
        http_forget_subject(site.engine, -CLIENT);
        atomic_store(&moved_while_loading, subjects[i]);
        before = atomic_load(&loads);
        assert_int_equal(ask("/any", WEB), 200);
        atomic_store(&moved_while_loading, 0);
        assert_int_equal(ask("/any", WEB), 200);
        assert_int_equal(atomic_load(&loads), before + 2);
        assert_int_equal(ask("/any", WEB), 200);
        assert_int_equal(atomic_load(&loads), before + 2);
    }
}

/* ---- names ------------------------------------------------------------------------------------
 */

static void names_have_a_bit_each(void **state)
{
    static struct http_names names;
    uint64_t bits;
    char text[16];

    (void)state;
    assert_true(http_names_add(&names, NULL, &bits));
    assert_int_equal(bits, 0);
    assert_true(http_names_add(&names, "a b", &bits));
    assert_int_equal(bits, 3);
    assert_true(http_names_add(&names, "c b", &bits));
    assert_int_equal(bits, 6);
    assert_int_equal(http_names_bits(&names, SPAN_OF("b  c unknown a:b")), 6);
    assert_int_equal(http_names_bits(&names, (struct span){0}), 0);
    assert_false(http_names_add(&names, "", &bits));
    assert_false(http_names_add(&names, "a  b", &bits));
    assert_false(http_names_add(&names, "a\"", &bits));
    for (size_t i = 3; i < HTTP_NAMES_MAX; i++) {
        (void)snprintf(text, sizeof(text), "n%zu", i);
        assert_true(http_names_add(&names, text, &bits));
        assert_true(bits == UINT64_C(1) << i);
    }
    assert_false(http_names_add(&names, "one-more", &bits));
    assert_true(http_names_add(&names, "n63 a", &bits));
    assert_true(bits == (UINT64_C(1) << 63 | 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_say_which_tokens_they_take),
        cmocka_unit_test(challenges_say_what_is_missing),
        cmocka_unit_test(the_cache_forgets_nothing),
        cmocka_unit_test(five_thousand_tokens_are_remembered),
        cmocka_unit_test(a_bound_token_is_good_nowhere_else),
        cmocka_unit_test(a_change_of_user_or_client_is_seen),
        cmocka_unit_test(a_change_while_the_store_is_asked_is_seen),
        cmocka_unit_test(names_have_a_bit_each),
    };

    return cmocka_run_group_tests_name("http_authorize", tests, start, site_stop);
}
