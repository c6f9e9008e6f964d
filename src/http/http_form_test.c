/* SPDX-License-Identifier: MIT
 * Form bodies: what is read, what is refused, and how they fill the same tables as JSON. */
#include "http/http_test_kit.h"

#include "http/http_form.h"

/* ---- the decoder ------------------------------------------------------------------------------
 */

static struct http_form_fields form;

static enum err read_form(const char *text)
{
    static char first[8192];
    struct arena arena;
    const char *why;
    enum err err;

    arena_init(&arena, first, sizeof(first), sizeof(first));
    err = http_form_read(span_from(text), &arena, &form, &why);
    if (err)
        assert_non_null(why);
    return err;
}

static void assert_value(const char *name, const char *value)
{
    struct span found = http_form_value(&form, span_from(name));

    if (!span_is(found, value))
        fail_msg("%s is \"%.*s\"", name, SPAN_ARG(found));
}

static void a_form_is_decoded_once(void **state)
{
    (void)state;
    assert_int_equal(read_form("a=1+2%2B3&b=%C3%A9%26%3D&c=x=y&&d&e=&%61%62=%2525&f=l%0D%0An"),
                     ERR_OK);
    assert_int_equal(form.count, 7);
    assert_value("a", "1 2+3");
    assert_value("b", "\xC3\xA9&=");
    assert_value("c", "x=y");
    assert_value("d", "");
    assert_value("e", "");
    assert_value("ab", "%25");
    assert_value("f", "l\r\nn");
    assert_value("g", "");
    assert_int_equal(read_form(""), ERR_OK);
    assert_int_equal(form.count, 0);
}

static void what_is_ambiguous_is_refused(void **state)
{
    static const char *const bad[] = {
        "a=%",  "a=%4",   "a=%zz",   "a=%00",    "%00=a",    "a=%FF", "a=\xC3(",
        "a=\n", "a=\x7F", "a=1&a=2", "a=1&%61=", "x=&y=1&x", "=1&=2",
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(bad); i++) {
        if (read_form(bad[i]) != ERR_BAD_REQUEST)
            fail_msg("\"%s\" is taken", bad[i]);
    }
    assert_int_equal(read_form("a=1&b=2&a=3"), ERR_BAD_REQUEST);
    assert_true(span_is(form.doubled, "a"));
}

static void fields_are_counted(void **state)
{
    char text[LIMIT_FORM_FIELDS_MAX * 8];
    struct sbuf out = sbuf_over(text, sizeof(text) - 1);

    (void)state;
    for (size_t i = 0; i < LIMIT_FORM_FIELDS_MAX; i++)
        sbuf_add_format(&out, "f%zu&", i);
    text[out.len] = '\0';
    assert_int_equal(read_form(text), ERR_OK);
    sbuf_add_lit(&out, "z");
    text[out.len] = '\0';
    assert_int_equal(read_form(text), ERR_BAD_REQUEST);
}

/* ---- bodies -----------------------------------------------------------------------------------
 */

struct ask {
    struct span grant_type, scope;
    int64_t lines;
    bool has_lines;
};

static const struct json_field ask_fields[] = {
    {.name = "grant_type",
     .kind = JSON_KIND_TEXT,
     .max = 20,
     .offset = offsetof(struct ask, grant_type),
     .example = "password"},
    {.name = "scope",
     .kind = JSON_KIND_TEXT,
     .max = 20,
     .optional = true,
     .offset = offsetof(struct ask, scope)},
    {.name = "lines",
     .kind = JSON_KIND_I64,
     .max = 9,
     .optional = true,
     .offset = offsetof(struct ask, lines),
     .has_offset = offsetof(struct ask, has_lines)},
};
static const struct json_schema ask_schema = {.name = "Ask",
                                              .fields = ask_fields,
                                              .field_count = PC_COUNT(ask_fields),
                                              .bytes = sizeof(struct ask)};
static const struct json_schema nothing_schema = {
    .name = "Nothing", .fields = &ask_fields[1], .field_count = 1, .bytes = sizeof(struct ask)};

/* What was bound, said back. */
static enum err echo(struct http_request *req)
{
    const struct ask *ask = req->body;
    struct sbuf out = sbuf_on(req->arena, 256);

    sbuf_add_format(&out, "[%.*s|%.*s|%d|%zu]", SPAN_ARG(ask->grant_type), SPAN_ARG(ask->scope),
                    ask->has_lines ? (int)ask->lines : -1, req->body_text.len);
    return http_reply_text(req, 200, "text/plain", sbuf_span(&out));
}

#define ROW .method = NET_METHOD_POST, .access = HTTP_ACCESS_OPEN, .handle = echo

static const struct http_route routes[] = {
    {ROW, .path = "/form", .form = HTTP_FORM_URLENCODED, .body = &ask_schema, .id = "form"},
    {ROW, .path = "/either", .form = HTTP_FORM_EITHER, .body = &ask_schema, .id = "either"},
    {ROW, .path = "/json", .body = &ask_schema, .id = "json"},
    {ROW, .path = "/none", .form = HTTP_FORM_URLENCODED, .body = &nothing_schema, .id = "none"},
    {.path = NULL},
};

static int start(void **state)
{
    static const struct http_mount mounts[] = {{.rows = routes}};

    (void)state;
    return site_start(&(struct http_service_options){.mounts = mounts, .mount_count = 1},
                      (struct http_engine_options){0});
}

#define FORM "Content-Type: application/x-www-form-urlencoded\r\n"
#define JSON "Content-Type: application/json\r\n"

static void a_form_fills_the_table(void **state)
{
    (void)state;
    assert_int_equal(site_ask("POST /form", FORM, "grant_type=a+b&lines=7&what=ever"), 200);
    assert_says("[a b||7|32]");
    assert_int_equal(site_ask("POST /either", FORM, "grant_type=a&scope=x%20y"), 200);
    assert_says("[a|x y|-1|24]");
    assert_int_equal(site_ask("POST /either", JSON, "{\"grant_type\":\"j\"}"), 200);
    assert_says("[j||-1|18]");
    assert_int_equal(site_ask("POST /form",
                              "Content-Type: Application/X-WWW-Form-Urlencoded;charset=UTF-8\r\n",
                              "grant_type=a"),
                     200);
}

static void the_type_must_be_one_of_the_routes(void **state)
{
    (void)state;
    assert_int_equal(site_ask("POST /form", JSON, "{}"), 415);
    assert_says("application/x-www-form-urlencoded");
    assert_int_equal(site_ask("POST /json", FORM, "grant_type=a"), 415);
    assert_int_equal(site_ask("POST /either", "Content-Type: text/plain\r\n", "a"), 415);
    assert_int_equal(site_ask("POST /either", "", "grant_type=a"), 415);
    assert_int_equal(site_ask("POST /form", "", NULL), 422);
}

/* RFC 6749, 3.2: without a value is as if left out; twice is refused, whoever the name is. */
static void empty_is_absent_and_twice_is_refused(void **state)
{
    (void)state;
    assert_int_equal(site_ask("POST /form", FORM, "grant_type=a&scope=&lines="), 200);
    assert_says("[a||-1|");
    assert_int_equal(site_ask("POST /form", FORM, "grant_type="), 422);
    assert_says("\"field\":\"grant_type\",\"message\":\"is required\"");
    assert_int_equal(site_ask("POST /form", FORM, "grant_type=a&grant_type=a"), 400);
    assert_says("grant_type is given twice.");
    assert_int_equal(site_ask("POST /form", FORM, "grant_type=a&zebra=1&zebra="), 400);
    assert_says("is given twice.");
    assert_silent("zebra");
    assert_int_equal(site_ask("POST /form", FORM, "grant_type=%GG"), 400);
}

/* All that is wrong is said at once. */
static void wrong_values_are_named(void **state)
{
    (void)state;
    assert_int_equal(site_ask("POST /form", FORM, "lines=10&scope=aaaaaaaaaaaaaaaaaaaaa"), 422);
    assert_says("\"field\":\"grant_type\"");
    assert_says("\"field\":\"lines\"");
    assert_says("\"field\":\"scope\"");
}

/* The button of a page sends no field, and so no byte. */
static void an_empty_form_is_a_form(void **state)
{
    (void)state;
    assert_int_equal(site_ask("POST /none", FORM, ""), 200);
    assert_int_equal(site_ask("POST /form", FORM, ""), 422);
    assert_says("\"field\":\"grant_type\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_form_is_decoded_once),
        cmocka_unit_test(what_is_ambiguous_is_refused),
        cmocka_unit_test(fields_are_counted),
        cmocka_unit_test(a_form_fills_the_table),
        cmocka_unit_test(the_type_must_be_one_of_the_routes),
        cmocka_unit_test(empty_is_absent_and_twice_is_refused),
        cmocka_unit_test(wrong_values_are_named),
        cmocka_unit_test(an_empty_form_is_a_form),
    };

    return cmocka_run_group_tests_name("http_form", tests, start, site_stop);
}
