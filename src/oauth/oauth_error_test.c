/* SPDX-License-Identifier: MIT
 * Each error of the token endpoint in the words of RFC 6749, 5.2. The request's reply lines are
 * caught here instead of on a connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "oauth/oauth_priv.h"

static struct arena arena;
static struct http_request request;
static char challenge[128];

/* In place of http/'s own, which wants a whole connection. */
void http_reply_header(struct http_request *req, const char *name, struct span value)
{
    assert_ptr_equal(req, &request);
    assert_string_equal(name, "WWW-Authenticate");
    assert_true(value.len < sizeof(challenge));
    memcpy(challenge, value.ptr, value.len);
    challenge[value.len] = '\0';
}

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, NULL, 0, 64 * 1024);
    request = (struct http_request){.arena = &arena};
    challenge[0] = '\0';
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_reset(&arena);
    return 0;
}

static struct http_problem ask(enum err err, const char *detail,
                               const struct json_problems *problems)
{
    struct http_problem problem = {.err = err,
                                   .detail = detail,
                                   .problems = problems,
                                   .status = err_status(err),
                                   .content_type = SPAN_OF("application/problem+json"),
                                   .body = SPAN_OF("{\"type\":1}")};

    oauth_problem(&request, &problem);
    return problem;
}

static void expect(enum err err, int status, const char *error)
{
    struct http_problem problem = ask(err, "Because", NULL);
    char body[256];
    struct sbuf out = sbuf_over(body, sizeof(body));

    sbuf_add_format(&out, "{\"error\":\"%s\",\"error_description\":\"Because\"}", error);
    assert_int_equal(problem.status, status);
    assert_true(span_is(problem.content_type, "application/json"));
    assert_true(span_equal(problem.body, sbuf_span(&out)));
}

static void each_error_has_its_word(void **state)
{
    (void)state;
    expect(ERR_OAUTH_INVALID_REQUEST, 400, "invalid_request");
    expect(ERR_OAUTH_INVALID_GRANT, 400, "invalid_grant");
    expect(ERR_OAUTH_UNAUTHORIZED_CLIENT, 400, "unauthorized_client");
    expect(ERR_OAUTH_UNSUPPORTED_GRANT, 400, "unsupported_grant_type");
    expect(ERR_OAUTH_INVALID_SCOPE, 400, "invalid_scope");
    expect(ERR_SCOPE, 400, "invalid_scope");
    assert_string_equal(challenge, "");
}

/* What http/ refuses before a handler saw it. */
static void a_bad_body_is_an_invalid_request(void **state)
{
    static const enum err errs[] = {ERR_VALIDATION,     ERR_JSON_SYNTAX, ERR_BODY_TOO_LARGE,
                                    ERR_MEDIA_TYPE,     ERR_BAD_QUERY,   ERR_BAD_REQUEST,
                                    ERR_LENGTH_REQUIRED};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(errs); i++)
        expect(errs[i], 400, "invalid_request");
}

/* A wrong password and a disabled user are told alike: 400, since the client itself was right. */
static void a_wrong_password_is_an_invalid_grant(void **state)
{
    (void)state;
    expect(ERR_CREDENTIALS, 400, "invalid_grant");
    expect(ERR_INACTIVE, 400, "invalid_grant");
    expect(ERR_TOKEN_EXPIRED, 400, "invalid_grant");
    assert_string_equal(challenge, "");
}

static void a_wrong_client_is_asked_again(void **state)
{
    (void)state;
    expect(ERR_OAUTH_INVALID_CLIENT, 401, "invalid_client");
    assert_string_equal(challenge, "Basic realm=\"portcullis\"");
}

static void limits_and_our_faults_stay_problems(void **state)
{
    static const enum err errs[] = {ERR_RATE_LIMITED, ERR_LOCKED, ERR_INTERNAL,
                                    ERR_STORE_UNAVAILABLE, ERR_BUSY};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(errs); i++) {
        struct http_problem problem = ask(errs[i], "Because", NULL);

        assert_int_equal(problem.status, err_status(errs[i]));
        assert_true(span_is(problem.content_type, "application/problem+json"));
        assert_true(span_is(problem.body, "{\"type\":1}"));
    }
}

static void fields_are_told(void **state)
{
    struct json_problems problems = {0};
    struct http_problem problem;

    (void)state;
    (void)json_problem_add(&problems, SPAN_OF("grant_type"), "is required");
    (void)json_problem_add(&problems, SPAN_OF("scope"), "must be at most 1000 characters");
    problem = ask(ERR_VALIDATION, NULL, &problems);
    assert_true(span_is(problem.body,
                        "{\"error\":\"invalid_request\",\"error_description\":\"grant_type is "
                        "required; scope must be at most 1000 characters\"}"));
}

/* RFC 6749, 5.2: neither quotes nor backslashes nor anything beyond ASCII. */
static void descriptions_hold_only_what_they_may(void **state)
{
    struct http_problem problem = ask(ERR_OAUTH_INVALID_GRANT, "a \"b\" \\ \n caf\xC3\xA9", NULL);

    (void)state;
    assert_true(span_is(problem.body, "{\"error\":\"invalid_grant\",\"error_description\":\"a 'b' "
                                      "' ? caf??\"}"));
}

static void without_detail_the_sentence_stands(void **state)
{
    struct http_problem problem = ask(ERR_OAUTH_INVALID_CLIENT, NULL, NULL);

    (void)state;
    assert_true(span_is(problem.body, "{\"error\":\"invalid_client\",\"error_description\":\"The "
                                      "client could not be authenticated\"}"));
}

static void without_memory_the_usual_problem_stands(void **state)
{
    struct http_problem problem;

    (void)state;
    arena_reset(&arena);
    arena_init(&arena, NULL, 0, 0);
    problem = ask(ERR_OAUTH_INVALID_GRANT, "Because", NULL);
    assert_true(span_is(problem.body, "{\"type\":1}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_error_has_its_word, setup, teardown),
        cmocka_unit_test_setup_teardown(a_bad_body_is_an_invalid_request, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wrong_password_is_an_invalid_grant, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wrong_client_is_asked_again, setup, teardown),
        cmocka_unit_test_setup_teardown(limits_and_our_faults_stay_problems, setup, teardown),
        cmocka_unit_test_setup_teardown(fields_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(descriptions_hold_only_what_they_may, setup, teardown),
        cmocka_unit_test_setup_teardown(without_detail_the_sentence_stands, setup, teardown),
        cmocka_unit_test_setup_teardown(without_memory_the_usual_problem_stands, setup, teardown),
    };

    return cmocka_run_group_tests_name("oauth error", tests, NULL, NULL);
}
