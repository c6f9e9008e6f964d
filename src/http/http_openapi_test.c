/* SPDX-License-Identifier: MIT
 * The API document of rows that no service has all of: forms, pages, redirects, errors in another
 * form, scopes, and clients that prove themselves. */
#include "http/http_test_kit.h"

#include "http/http_priv.h"
#include "json/json.h"

struct ask {
    struct span name;
};
static const struct json_field ask_fields[] = {
    {.name = "name", .kind = JSON_KIND_TEXT, .max = 9, .offset = offsetof(struct ask, name)}};
static const struct json_schema ask_schema = {
    .name = "Ask", .fields = ask_fields, .field_count = 1, .bytes = sizeof(struct ask)};
static const struct json_schema odd_schema = {
    .name = "Odd", .fields = ask_fields, .field_count = 1, .bytes = sizeof(struct ask)};

static enum err answer(struct http_request *req)
{
    return http_reply_empty(req, 204);
}

static void own_form(struct http_request *req, struct http_problem *problem)
{
    (void)req;
    (void)problem;
}

#define ROW .handle = answer, .access = HTTP_ACCESS_OPEN

static const struct http_route routes[] = {
    {ROW, .method = NET_METHOD_POST, .path = "/token", .rate = HTTP_RATE_CLIENT,
     .form = HTTP_FORM_EITHER, .body = &ask_schema, .reply = &ask_schema, .problem = own_form,
     .problem_reply = &odd_schema, .errors = {ERR_OAUTH_INVALID_CLIENT}, .id = "token"},
    {ROW, .method = NET_METHOD_POST, .path = "/login", .form = HTTP_FORM_URLENCODED,
     .body = &ask_schema, .reply_status = 303, .reply_type = "text/html; charset=utf-8",
     .problem = own_form, .id = "login"},
    {ROW, .method = NET_METHOD_GET, .path = "/away", .reply_status = 302, .id = "away"},
    {.method = NET_METHOD_GET,
     .path = "/read",
     .handle = answer,
     .access = HTTP_ACCESS_BEARER,
     .scopes = "a:read b:read",
     .reply = &ask_schema,
     .reply_other = "text/csv",
     .id = "read"},
    {.method = NET_METHOD_GET,
     .path = "/session",
     .handle = answer,
     .access = HTTP_ACCESS_BEARER,
     .id = "session"},
    {.method = NET_METHOD_GET,
     .path = "/any",
     .handle = answer,
     .access = HTTP_ACCESS_BEARER,
     .tokens = HTTP_TOKENS_ANY,
     .id = "any"},
    {.method = NET_METHOD_POST,
     .path = "/pay",
     .handle = answer,
     .access = HTTP_ACCESS_BEARER,
     .body = &ask_schema,
     .keyed = true,
     .id = "pay"},
    {.method = NET_METHOD_PUT,
     .path = "/pay",
     .handle = answer,
     .access = HTTP_ACCESS_BEARER,
     .certificate = true,
     .input = &ask_schema,
     .input_error = ERR_BAD_REQUEST,
     .id = "pay_known"},
    {.method = NET_METHOD_GET,
     .path = "/secret",
     .handle = answer,
     .access = HTTP_ACCESS_BEARER,
     .scopes = "c:hidden",
     .hidden = true,
     .id = "secret"},
    {.path = NULL},
};

static const char *about(struct span scope)
{
    return span_is(scope, "a:read") ? "See what a is" : NULL;
}

static const struct http_mount mounts[] = {{.rows = routes, .from = "", .to = "/x"}};
static const struct http_service_options options = {.title = "Test",
                                                    .version = "1",
                                                    .docs_base = "/",
                                                    .mounts = mounts,
                                                    .mount_count = 1,
                                                    .oauth_authorize_url = "/oauth/authorize",
                                                    .oauth_token_url =
                                                        "https://auth.example:8001/oauth/token",
                                                    .oauth_client_id = "api-docs",
                                                    .oauth_scope_about = about};

static struct arena arena;
static const struct json_value *root;

static int start(void **state)
{
    struct sbuf out;

    (void)state;
    arena_init(&arena, NULL, 0, 4 * 1024 * 1024);
    out = sbuf_on(&arena, 256 * 1024);
    if (http_openapi_write(&options, &out) != ERR_OK ||
        json_read(sbuf_span(&out), &arena, &root, NULL) != ERR_OK)
        return -1;
    return site_start(&options, (struct http_engine_options){0});
}

static int stop(void **state)
{
    arena_reset(&arena);
    return site_stop(state);
}

/* What it is, or what it refers to. */
static const struct json_value *followed(const struct json_value *value)
{
    const struct json_value *to = root;
    struct span rest;
    struct span step;

    if (!json_to_text(json_get(value, "$ref"), &rest))
        return value;
    assert_true(span_cut(&rest, '/', &step) && span_is(step, "#"));
    while (span_cut(&rest, '/', &step))
        to = json_get_span(to, step);
    return to;
}

/* What is at "a>b>c", as JSON text; "" when there is nothing. */
static struct span at(const char *steps)
{
    const struct json_value *value = root;
    struct span rest = span_from(steps);
    struct span step;
    uint64_t index;

    while (value != NULL && span_cut(&rest, '>', &step)) {
        value = followed(value);
        if (value->type != JSON_LIST)
            value = json_get_span(value, step);
        else
            value = span_to_u64(step, &index) && index < value->count ? &value->items[index] : NULL;
    }
    return value != NULL ? value->source : SPAN_OF("");
}

static void assert_at(const char *steps, const char *json)
{
    struct span found = at(steps);

    if (!span_is(found, json))
        fail_msg("%s is %.*s", steps, SPAN_ARG(found));
}

static void forms_are_told(void **state)
{
    (void)state;
    assert_at("paths>/x/token>post>requestBody>content>application/x-www-form-urlencoded>schema",
              "{\"$ref\":\"#/components/schemas/Ask\"}");
    assert_at("paths>/x/token>post>requestBody>content>application/json>schema",
              "{\"$ref\":\"#/components/schemas/Ask\"}");
    assert_at("paths>/x/token>post>requestBody>content>application/json>example",
              "{\"name\":\"text\"}");
    assert_at("paths>/x/login>post>requestBody>content>application/json", "");
    assert_true(
        at("paths>/x/login>post>requestBody>content>application/x-www-form-urlencoded").len > 0);
}

static void pages_and_redirects_are_told(void **state)
{
    (void)state;
    assert_at("paths>/x/login>post>responses>200>content",
              "{\"text/html; charset=utf-8\":{\"schema\":{\"type\":\"string\"}}}");
    assert_true(at("paths>/x/login>post>responses>303>headers>Location").len > 0);
    assert_true(at("paths>/x/read>get>responses>200>content>application/json").len > 0);
    assert_true(at("paths>/x/read>get>responses>200>content>text/csv").len > 0);
    assert_at("paths>/x/login>post>responses>303>content", "");
    assert_true(at("paths>/x/away>get>responses>302>headers>Location").len > 0);
    assert_at("paths>/x/away>get>responses>200", "");
}

static void errors_are_told_in_their_form(void **state)
{
    (void)state;
    assert_at("paths>/x/token>post>responses>401>content",
              "{\"application/json\":{\"schema\":{\"$ref\":\"#/components/schemas/Odd\"},"
              "\"example\":{\"name\":\"text\"}}}");
    /* before the route was known, in the usual form */
    assert_true(at("paths>/x/token>post>responses>400>content>application/problem+json").len > 0);
    assert_true(at("paths>/x/token>post>responses>429>content>application/problem+json").len > 0);
    assert_at("paths>/x/token>post>responses>422", "");
    assert_true(at("paths>/x/login>post>responses>400>content>text/html; charset=utf-8").len > 0);
    assert_true(at("components>schemas>Odd").len > 0);
}

static void rights_are_told(void **state)
{
    (void)state;
    assert_at("paths>/x/read>get>security",
              "[{\"bearerAuth\":[]},{\"oauth2\":[\"a:read\",\"b:read\"]}]");
    assert_at("paths>/x/read>get>description", "\"Needs a token with `a:read`, `b:read`.\"");
    assert_at("paths>/x/session>get>security", "[{\"bearerAuth\":[]}]");
    assert_at("paths>/x/any>get>security", "[{\"bearerAuth\":[]},{\"oauth2\":[]}]");
    assert_at("paths>/x/token>post>security", "[{\"clientBasic\":[]},{}]");
    assert_at("paths>/x/away>get>security", "[]");
    assert_at("paths>/x/away>get>x-access", "\"open\"");
    assert_at("paths>/x/token>post>x-access", "\"client\"");
    assert_at("paths>/x/read>get>x-access", "\"bearer\"");
    assert_at("paths>/x/read>get>x-roles", "");
    assert_true(at("paths>/x/read>get>responses>403").len > 0);
    assert_at("paths>/x/session>get>responses>403", "");
    assert_at("paths>/x/secret", "");
}

/* Beside the token, and where a wrong parameter is another error than usual. */
static void certificates_are_told(void **state)
{
    (void)state;
    assert_at("paths>/x/pay>put>description",
              "\"Needs a token. Needs a verified client certificate.\"");
    assert_at("paths>/x/pay>put>security", "[{\"bearerAuth\":[],\"mutualTLS\":[]}]");
    assert_at("components>securitySchemes>mutualTLS>type", "\"mutualTLS\"");
    assert_true(at("paths>/x/pay>put>responses>403").len > 0);
    assert_true(at("paths>/x/pay>put>responses>400").len > 0);
    assert_at("paths>/x/pay>put>responses>422", "");
}

/* What may be sent twice says how, and what then comes. */
static void keys_are_told(void **state)
{
    (void)state;
    assert_at("paths>/x/pay>post>parameters>0>name", "\"Idempotency-Key\"");
    assert_at("paths>/x/pay>post>parameters>0>in", "\"header\"");
    assert_at("paths>/x/pay>post>parameters>0>required", "false");
    assert_true(at("paths>/x/pay>post>responses>409>headers>Retry-After").len > 0);
    assert_true(at("paths>/x/pay>post>responses>422>headers>Idempotency-Replayed").len > 0);
    assert_true(at("paths>/x/pay>post>responses>200>headers>Idempotency-Replayed").len > 0);
    assert_at("paths>/x/pay>post>responses>503>headers>Idempotency-Replayed", "");
    assert_at("paths>/x/token>post>responses>200>headers>Idempotency-Replayed", "");
    assert_at("paths>/x/token>post>parameters", "");
}

/* Each code that a status may have, with what it looks like. */
static void refusals_have_their_codes(void **state)
{
    static const char codes[] =
        "paths>/x/pay>post>responses>409>content>application/problem+json>examples";

    (void)state;
    assert_at(codes, "{\"idempotency-key-running\":"
                     "{\"$ref\":\"#/components/examples/idempotency-key-running\"}}");
    assert_at("components>examples>idempotency-key-running>value>type",
              "\"urn:portcullis:problem:idempotency-key-running\"");
    assert_at("components>examples>idempotency-key-running>value>status", "409");
    assert_true(at("components>examples>validation-failed>value>errors>0>field").len > 0);
    assert_at("components>examples>insufficient_funds", ""); /* no row has it */
    assert_true(at("paths>/x/away>get>responses>default").len > 0);
    assert_at("paths>/x/session>get>responses>401",
              "{\"$ref\":\"#/components/responses/Error401-2\"}");
    assert_at("paths>/x/any>get>responses>401", "{\"$ref\":\"#/components/responses/Error401-2\"}");
}

static void schemes_say_how_to_sign_in(void **state)
{
    (void)state;
    assert_at("components>securitySchemes>oauth2>flows",
              "{\"authorizationCode\":{\"authorizationUrl\":\"/oauth/authorize\","
              "\"tokenUrl\":\"https://auth.example:8001/oauth/token\","
              "\"scopes\":{\"a:read\":\"See what a is\",\"b:read\":\"\"}}}");
    assert_at("components>securitySchemes>oauth2>x-client-id", "\"api-docs\"");
    assert_at("components>securitySchemes>clientBasic>scheme", "\"basic\"");
    assert_at("components>securitySchemes>bearerAuth>scheme", "\"bearer\"");
}

/* The page's script may ask the issuer, and nobody else. */
static void the_page_may_ask_the_issuer(void **state)
{
    (void)state;
    if (!web_complete())
        skip();
    assert_int_equal(site_ask("GET /docs", "", NULL), 200);
    assert_says("connect-src 'self' https://auth.example:8001; ");
    assert_int_equal(site_ask("GET /redoc", "", NULL), 200);
    assert_says("connect-src 'self'; ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_are_told),
        cmocka_unit_test(pages_and_redirects_are_told),
        cmocka_unit_test(errors_are_told_in_their_form),
        cmocka_unit_test(rights_are_told),
        cmocka_unit_test(certificates_are_told),
        cmocka_unit_test(keys_are_told),
        cmocka_unit_test(refusals_have_their_codes),
        cmocka_unit_test(schemes_say_how_to_sign_in),
        cmocka_unit_test(the_page_may_ask_the_issuer),
    };

    return cmocka_run_group_tests_name("http_openapi", tests, start, stop);
}
