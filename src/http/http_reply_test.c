/* SPDX-License-Identifier: MIT
 * How an answer may differ from the usual one: pages with a policy of their own, redirects,
 * cookies, errors in another protocol's form, paths and stores of a mount, and no other origin let
 * in. */
#include "http/http_page.h"
#include "http/http_test_kit.h"

#define ORIGIN "Origin: https://app.example\r\n"

static enum err page(struct http_request *req)
{
    return http_reply_text(req, 200, "text/html; charset=utf-8", SPAN_OF("<p>page</p>"));
}

static enum err page_of_its_own(struct http_request *req)
{
    http_reply_csp(req, SPAN_OF("default-src 'none'; form-action https://b.example"));
    http_reply_cache(req, SPAN_OF("public, max-age=300"));
    return page(req);
}

static enum err cached(struct http_request *req)
{
    http_reply_cache(req, SPAN_OF("public, max-age=300"));
    return page(req);
}

static enum err away(struct http_request *req)
{
    return http_reply_redirect(req, 303, SPAN_OF("https://b.example/cb?code=x&iss=y"));
}

/* As long as a client's state may make it. */
static enum err far_away(struct http_request *req)
{
    static char location[8192];

    memset(location, 'x', sizeof(location));
    return http_reply_redirect(req, 302, span_make(location, sizeof(location)));
}

static enum err cookie(struct http_request *req)
{
    struct span value = http_cookie(req, "login");
    struct sbuf out = sbuf_on(req->arena, 256);

    sbuf_add_format(&out, "[%.*s|%d]", SPAN_ARG(value), http_peer(req)->tls);
    return http_reply_text(req, 200, "text/plain", sbuf_span(&out));
}

/* The first time, the transaction is lost after the reply was made: nothing of it may stay. */
static enum err replied_twice(struct http_request *req)
{
    static bool again;

    if (again)
        return page(req);
    again = true;
    http_reply_csp(req, SPAN_OF("default-src 'self'"));
    http_reply_cache(req, SPAN_OF("public"));
    http_reply_header(req, "X-Lost", SPAN_OF("1"));
    return ERR_STORE_RETRY;
}

static enum err refused(struct http_request *req)
{
    return http_fail(req, ERR_OAUTH_INVALID_CLIENT, "The secret is wrong.");
}

static void own_form(struct http_request *req, struct http_problem *problem)
{
    struct sbuf out = sbuf_on(req->arena, 512);

    if (problem->err == ERR_RATE_LIMITED)
        return;
    sbuf_add_format(&out, "{\"error\":\"%s\",\"detail\":\"%s\",\"fields\":%zu}",
                    err_slug(problem->err), problem->detail ? problem->detail : "",
                    problem->problems ? problem->problems->count : 0);
    if (problem->status == 401)
        http_reply_header(req, "WWW-Authenticate", SPAN_OF("Basic realm=\"own\""));
    if (problem->err == ERR_VALIDATION)
        problem->status = 400;
    problem->content_type = SPAN_OF("application/json");
    problem->body = sbuf_span(&out);
}

struct note {
    struct span text;
};
static const struct json_field note_fields[] = {
    {.name = "text", .kind = JSON_KIND_TEXT, .max = 9, .offset = offsetof(struct note, text)}};
static const struct json_schema note_schema = {
    .name = "Note", .fields = note_fields, .field_count = 1, .bytes = sizeof(struct note)};

static enum err notes(struct http_request *req)
{
    static const struct note list[] = {{SPAN("one")}, {SPAN("two")}};
    size_t count = span_is(req->query, "none") ? 0 : PC_COUNT(list);

    return http_reply_list(req, (struct json_list){.items = list, .count = count});
}

static const struct json_field pages_fields[] = {HTTP_PAGE_FIELDS(20, "1")};
static const struct json_schema pages_schema = {
    .name = "Pages", .fields = pages_fields, .field_count = 2, .bytes = sizeof(struct http_page)};

static enum err pages(struct http_request *req)
{
    http_page_link_key(req, req->input, 7);
    return page(req);
}

/* In which file it is. */
static enum err where(struct http_request *req)
{
    static const struct store_statement file = {
        .name = "file", .sqlite = "SELECT file FROM pragma_database_list WHERE name = 'main'"};
    PC_AUTO(store_rows) rows = NULL;
    struct span text;
    enum err err = store_query(req->store, &file, NULL, 0, &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    text = store_rows_text(rows, 0, req->arena);
    return store_rows_err(rows) ? ERR_INTERNAL : http_reply_text(req, 200, "text/plain", text);
}

#define ROW .method = NET_METHOD_GET, .access = HTTP_ACCESS_OPEN

static const struct http_route routes[] = {
    {ROW, .path = "/page", .csp = "default-src 'none'; style-src 'self'", .handle = page,
     .id = "page"},
    {ROW, .path = "/own", .csp = "default-src 'self'", .handle = page_of_its_own, .id = "own"},
    {ROW, .path = "/cached", .handle = cached, .id = "cached"},
    {ROW, .path = "/away", .handle = away, .id = "away"},
    {ROW, .path = "/far", .handle = far_away, .id = "far"},
    {ROW, .path = "/cookie", .handle = cookie, .id = "cookie"},
    {ROW, .path = "/again", .run = HTTP_RUN_WRITE, .handle = replied_twice, .id = "again"},
    {ROW, .path = "/refused", .problem = own_form, .handle = refused, .id = "refused"},
    {ROW, .path = "/usual", .csp = "default-src 'self'", .handle = refused, .id = "usual"},
    {.method = NET_METHOD_POST,
     .path = "/refused",
     .access = HTTP_ACCESS_OPEN,
     .problem = own_form,
     .body = &note_schema,
     .form = HTTP_FORM_URLENCODED,
     .handle = page,
     .id = "refused_body"},
    {ROW, .path = "/notes", .reply = &note_schema, .reply_is_list = true, .handle = notes,
     .id = "notes"},
    {ROW, .path = "/pages/{id}", .input = &pages_schema, .handle = pages, .id = "pages"},
    {ROW, .path = "/old", .input = &pages_schema, .input_error = ERR_BAD_REQUEST, .handle = pages,
     .id = "old"},
    {ROW, .path = "/where", .run = HTTP_RUN_READ, .handle = where, .id = "where"},
    {ROW, .path = "/near", .same_origin = true, .handle = page, .id = "near"},
    {.path = NULL},
};

static const struct http_route below[] = {
    {ROW, .path = "/auth/page", .handle = page, .id = "below"},
    {ROW, .path = "/auth/{id}/page", .rate = HTTP_RATE_EXEMPT, .handle = page, .id = "below_id"},
    {.path = NULL},
};

static const struct http_route elsewhere[] = {
    {ROW, .path = "/elsewhere/read", .run = HTTP_RUN_READ, .handle = where, .id = "else_read"},
    {ROW, .path = "/elsewhere/write", .run = HTTP_RUN_WRITE, .handle = where, .id = "else_write"},
    {.path = NULL},
};

static struct http_mount mounts[] = {
    {.rows = routes}, {.rows = below, .from = "/auth", .to = "/api/v1/oauth"}, {.rows = elsewhere}};
static const struct http_service_options options = {
    .title = "Test", .version = "1", .docs_base = "/", .mounts = mounts, .mount_count = 3};
static struct store *other;
static char other_dir[] = "/tmp/portcullis-other-XXXXXX";

static int start(void **state)
{
    static const struct span origins[] = {SPAN("https://app.example")};
    static struct http_policy policy;
    struct http_service_options with_policy = options;

    (void)state;
    policy = site_policy;
    policy.origins = origins;
    policy.origin_count = 1;
    with_policy.policy = &policy;
    if (mkdtemp(other_dir) == NULL ||
        store_open(&(struct store_options){.data_dir = other_dir}, &other, NULL) != ERR_OK)
        return -1;
    mounts[2].store = other;
    return site_start(&with_policy, (struct http_engine_options){0});
}

static int stop(void **state)
{
    char command[96];

    if (site_stop(state) != 0)
        return -1;
    store_close(other);
    (void)snprintf(command, sizeof(command), "rm -r %s", other_dir);
    return system(command);
}

static void a_mount_may_have_a_store_of_its_own(void **state)
{
    (void)state;
    assert_int_equal(site_ask("GET /where", "", NULL), 200);
    assert_silent(other_dir);
    assert_int_equal(site_ask("GET /elsewhere/read", "", NULL), 200);
    assert_says(other_dir);
    assert_int_equal(site_ask("GET /elsewhere/write", "", NULL), 200);
    assert_says(other_dir);
}

/* Those before us said 400 for it. */
static void wrong_parameters_may_be_another_error(void **state)
{
    (void)state;
    assert_int_equal(site_ask("GET /pages/1?limit=501", "", NULL), 422);
    assert_int_equal(site_ask("GET /old?limit=501", "", NULL), 400);
    assert_says("\"type\":\"urn:portcullis:problem:bad-request\"");
    assert_says("\"errors\":[{\"field\":\"limit\",\"message\":\"must be 1 to 500\"}]");
    assert_int_equal(site_ask("GET /old?limit=500", "", NULL), 200);
}

static void a_page_has_its_own_policy(void **state)
{
    (void)state;
    assert_int_equal(site_ask("GET /page", "", NULL), 200);
    assert_says("\r\nContent-Security-Policy: default-src 'none'; style-src 'self'\r\n");
    assert_says("\r\nCache-Control: no-store\r\n");
    assert_int_equal(site_ask("GET /own", "", NULL), 200);
    assert_says(
        "\r\nContent-Security-Policy: default-src 'none'; form-action https://b.example\r\n");
    assert_says("\r\nCache-Control: public, max-age=300\r\n");
    assert_int_equal(site_ask("GET /cached", "", NULL), 200);
    assert_says("\r\nContent-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n");
    assert_int_equal(site_ask("GET /usual", "", NULL), 401);
    assert_says("\r\nContent-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n");
}

static void a_redirect_has_a_location_and_no_body(void **state)
{
    (void)state;
    assert_int_equal(site_ask("GET /away", "", NULL), 303);
    assert_says("\r\nLocation: https://b.example/cb?code=x&iss=y\r\n");
    assert_says("\r\nContent-Length: 0\r\n");
    assert_says("\r\nCache-Control: no-store\r\n");
    assert_int_equal(site_ask("GET /far", "", NULL), 302);
    assert_says("\r\nLocation: xxxx");
}

static void a_cookie_is_believed_when_it_is_there_once(void **state)
{
    static const char *const none[] = {"",
                                       "Cookie: log=1\r\n",
                                       "Cookie: xlogin=1\r\n",
                                       "Cookie: login=1; login=2\r\n",
                                       "Cookie: login\r\n",
                                       "Cookie: login=1\r\nCookie: login=1\r\n"};

    (void)state;
    assert_int_equal(site_ask("GET /cookie", "Cookie: a=b; login=c=d;e=f\r\n", NULL), 200);
    assert_says("[c=d|0]");
    assert_int_equal(site_ask("GET /cookie", "Cookie: a=b\r\nCookie: login=x\r\n", NULL), 200);
    assert_says("[x|0]");
    for (size_t i = 0; i < PC_COUNT(none); i++) {
        assert_int_equal(site_ask("GET /cookie", none[i], NULL), 200);
        assert_says("[|0]");
    }
}

static void nothing_stays_of_a_reply_that_was_rolled_back(void **state)
{
    (void)state;
    assert_int_equal(site_ask("GET /again", "", NULL), 200);
    assert_says("\r\nContent-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n");
    assert_says("\r\nCache-Control: no-store\r\n");
    assert_silent("X-Lost");
}

static void an_error_takes_the_form_of_its_protocol(void **state)
{
    (void)state;
    assert_int_equal(site_ask("GET /refused", "", NULL), 401);
    assert_says("\r\nContent-Type: application/json\r\n");
    assert_says("\r\nWWW-Authenticate: Basic realm=\"own\"\r\n");
    assert_silent("Bearer");
    assert_says("{\"error\":\"invalid_client\",\"detail\":\"The secret is wrong.\",\"fields\":0}");
    assert_int_equal(
        site_ask("POST /refused", "Content-Type: application/x-www-form-urlencoded\r\n", "text="),
        400);
    assert_says("{\"error\":\"validation-failed\",\"detail\":\"\",\"fields\":1}");
    assert_int_equal(site_ask("POST /refused", "Content-Type: text/plain\r\n", "text="), 415);
    assert_says("{\"error\":\"unsupported-media-type\"");
    assert_int_equal(site_ask("GET /usual", "", NULL), 401);
    assert_says("\r\nContent-Type: application/problem+json\r\n");
    assert_says("\r\nWWW-Authenticate: Bearer ");
}

/* No header of CORS and no preflight, where other origins have no business. */
static void other_origins_are_kept_away(void **state)
{
    static const char preflight[] = ORIGIN "Access-Control-Request-Method: GET\r\n";

    (void)state;
    assert_int_equal(site_ask("GET /page", ORIGIN, NULL), 200);
    assert_says("Access-Control-Allow-Origin: https://app.example");
    assert_int_equal(site_ask("OPTIONS /page", preflight, NULL), 204);
    assert_says("Access-Control-Allow-Methods");
    assert_int_equal(site_ask("GET /near", ORIGIN, NULL), 200);
    assert_silent("Access-Control");
    assert_int_equal(site_ask("OPTIONS /near", preflight, NULL), 204);
    assert_silent("Access-Control");
    assert_says("\r\nAllow: GET, HEAD, OPTIONS\r\n");
}

static void a_list_is_a_plain_array(void **state)
{
    (void)state;
    assert_int_equal(site_ask("GET /notes", "", NULL), 200);
    assert_says("\r\nContent-Type: application/json\r\n");
    assert_says("\r\n\r\n[{\"text\":\"one\"},{\"text\":\"two\"}]");
    assert_int_equal(site_ask("GET /notes?none", "", NULL), 200);
    assert_says("\r\n\r\n[]");
    assert_int_equal(site_ask("GET /openapi.json", "", NULL), 200);
    assert_says("\"application/json\":{\"schema\":{\"type\":\"array\",\"items\":{\"$ref\":"
                "\"#/components/schemas/Note\"}},\"example\":[{");
}

/* Who asks for some of a list is led to the next of those. */
static void the_next_page_is_of_the_same_list(void **state)
{
    (void)state;
    assert_int_equal(site_ask("GET /pages/a.b", "", NULL), 200);
    assert_says("\r\nLink: </pages/a.b?limit=100&cursor=7>; rel=\"next\"\r\n");
    assert_int_equal(site_ask("GET /pages/%3Fa%25?to=%3E%22&limit=2&a=b>c&cursor=5&&all", "", NULL),
                     200);
    assert_says(
        "\r\nLink: </pages/%3Fa%25?to=%3E%22&a=b%3Ec&all&limit=2&cursor=7>; rel=\"next\"\r\n");
}

/* ---- mounts -----------------------------------------------------------------------------------
 */

static void rows_are_served_where_they_are_mounted(void **state)
{
    (void)state;
    assert_int_equal(site_ask("GET /api/v1/oauth/page", "", NULL), 200);
    assert_int_equal(site_ask("GET /auth/page", "", NULL), 404);
    assert_int_equal(site_ask("GET /openapi.json", "", NULL), 200);
    assert_says("\"/api/v1/oauth/page\":{\"get\":{\"operationId\":\"below\"");
    assert_says("\"/api/v1/oauth/{id}/page\":{");
    assert_silent("\"/auth/");
}

/* Limits are named by the path that clients see. */
static void limits_are_named_as_mounted(void **state)
{
    char text[128];
    enum http_rate rate = HTTP_RATE_EXEMPT;
    struct sbuf nearest = sbuf_over(text, sizeof(text));

    (void)state;
    assert_true(
        http_route_is_limited(&options, SPAN_OF("GET /api/v1/oauth/page"), &nearest, &rate));
    assert_true(http_route_is_limited(&options, SPAN_OF("GET /page"), &nearest, &rate));
    assert_int_equal(rate, HTTP_RATE_LIMITED);
    assert_false(http_route_is_limited(&options, SPAN_OF("GET /auth/page"), &nearest, &rate));
    nearest.len = 0;
    assert_false(
        http_route_is_limited(&options, SPAN_OF("GET /api/v1/oauth/pag"), &nearest, &rate));
    assert_true(span_is(sbuf_span(&nearest), "GET /api/v1/oauth/page"));
    assert_false(
        http_route_is_limited(&options, SPAN_OF("GET /api/v1/oauth/{id}/page"), &nearest, &rate));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mount_may_have_a_store_of_its_own),
        cmocka_unit_test(wrong_parameters_may_be_another_error),
        cmocka_unit_test(a_page_has_its_own_policy),
        cmocka_unit_test(a_redirect_has_a_location_and_no_body),
        cmocka_unit_test(a_cookie_is_believed_when_it_is_there_once),
        cmocka_unit_test(nothing_stays_of_a_reply_that_was_rolled_back),
        cmocka_unit_test(an_error_takes_the_form_of_its_protocol),
        cmocka_unit_test(other_origins_are_kept_away),
        cmocka_unit_test(a_list_is_a_plain_array),
        cmocka_unit_test(the_next_page_is_of_the_same_list),
        cmocka_unit_test(rows_are_served_where_they_are_mounted),
        cmocka_unit_test(limits_are_named_as_mounted),
    };

    return cmocka_run_group_tests_name("http_reply", tests, start, stop);
}
