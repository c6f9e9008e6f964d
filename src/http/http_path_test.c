/* SPDX-License-Identifier: MIT
 * Every way to spell a path that could be understood in two ways: normalised once, or refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "http/http_path.h"

struct path_case {
    const char *target;
    const char *path; /* NULL: refused */
};

static const struct path_case cases[] = {
    {"/", "/"},
    {"/a/b", "/a/b"},
    {"/a/b/", "/a/b/"},
    {"/abcdefghijklmnopqrstuvwxyz", "/abcdefghijklmnopqrstuvwxyz"},
    {"/ABCDEFGHIJKLMNOPQRSTUVWXYZ", "/ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
    {"/0123456789-._~!$&'()*+,=:@[]", "/0123456789-._~!$&'()*+,=:@[]"},
    {"//a///b", "/a/b"},
    {"/a/./b", "/a/b"},
    {"/a/%2e/b", "/a/b"},
    {"/a/../b", "/b"},
    {"/a/%2E%2e/b", "/b"},
    {"/a/.%2e/b", "/b"},
    {"/a/b/..", "/a/"},
    {"/abc/defg/../hi", "/abc/hi"},
    {"/abc/defg/hi/../..", "/abc/"},
    {"/a/b/.", "/a/b/"},
    {"/a/..", "/"},
    {"/..", NULL},
    {"/../a", NULL},
    {"/a/../../b", NULL},
    {"/%2e%2e/a", NULL},
    {"/a%2fb", NULL},
    {"/a%2Fb", NULL},
    {"/a%5cb", NULL},
    {"/a\\b", NULL},
    {"/a%00b", NULL},
    {"/a%0ab", NULL},
    {"/a%7f", NULL},
    {"/a;b=c", NULL},
    {"/a%3bb", NULL},
    {"/a%", NULL},
    {"/a%2", NULL},
    {"/a%zz", NULL},
    {"/a%252e", "/a%2e"}, /* decoded once, not twice */
    {"/%c3%a9", "/\xC3\xA9"},
    {"/%c0%ae", NULL}, /* overlong '.' */
    {"/%ff", NULL},
    {"/%ed%a0%80", NULL}, /* surrogate */
    {"/\xC3\xA9", NULL},  /* raw bytes above ASCII */
    {"/a b", NULL},
    {"/a#b", NULL},
    {"/a?b", "/a"},
    {"/a?b#c", NULL},
    {"/...", "/..."},
    {"/a/..b", "/a/..b"},
    {"/.well-known/jwks.json", "/.well-known/jwks.json"},
    {"a", NULL},
    {"*", "*"},
    {"http://example.com/a/../b?c", "/b"},
    {"http://example.com", "/"},
    {"https://example.com?x", "/"},
    {"http:///a", NULL},
    {"http://us er/a", NULL},
    {"http://user@example.com/", NULL},
    {"ftp://example.com/", NULL},
};

static void path_is_canonical_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        struct http_target target = {0};
        struct arena arena;
        enum err err;

        arena_init(&arena, NULL, 0, 4096);
        err = http_target_read(span_from(cases[i].target), &arena, &target);
        if ((err == ERR_OK) != (cases[i].path != NULL))
            fail_msg("%s: %s", cases[i].target, err_name(err));
        if (cases[i].path != NULL && !span_is(target.path, cases[i].path))
            fail_msg("%s became %.*s", cases[i].target, SPAN_ARG(target.path));
        arena_reset(&arena);
    }
}

/* What is said to be plain goes on as it is: so it must be what an encoder would have written. */
static void path_is_plain_as_it_came(void **state)
{
    static const struct {
        const char *target;
        bool is_plain;
    } rows[] = {{"/", true},
                {"/a/b?c=%20", true},
                {"/a-b_c~d!$&'()*+,=:@[]", true},
                {"/a%20b", false},
                {"/a%62", false},
                {"/a/../b", false},
                {"/a//b", false},
                {"/%C3%A9", false},
                {"http://example.com/a", true},
                {"/.well-known", false}};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        struct http_target target;
        struct arena arena;
        struct sbuf out;

        arena_init(&arena, NULL, 0, 4096);
        out = sbuf_on(&arena, 1024);
        assert_int_equal(http_target_read(span_from(rows[i].target), &arena, &target), ERR_OK);
        http_path_encode(&out, target.path);
        if (target.path_is_plain != rows[i].is_plain)
            fail_msg("%s", rows[i].target);
        if (target.path_is_plain)
            assert_true(span_equal(sbuf_span(&out), target.path));
        arena_reset(&arena);
    }
}

static void a_path_below_another_has_its_segments(void **state)
{
    (void)state;
    assert_true(http_path_is_below(SPAN_OF("/admin"), "/admin"));
    assert_true(http_path_is_below(SPAN_OF("/admin/keys"), "/admin"));
    assert_false(http_path_is_below(SPAN_OF("/administer"), "/admin"));
    assert_false(http_path_is_below(SPAN_OF("/admi"), "/admin"));
    assert_false(http_path_is_below(SPAN_OF("/other"), "/admin"));
    assert_false(http_path_is_below(SPAN_OF("/admin\0/x"), "/admin"));
}

/* Forms may hold any byte but NUL, so control characters are read as well; who may have them is
 * for others to say. */
static void an_escape_is_a_byte(void **state)
{
    static const struct {
        const char *text;
        int byte;
    } rows[] = {{"%0a", 10}, {"%00", 0},  {"%10", 16}, {"%fF", 255}, {"%09x", 9}, {"%", -1},
                {"%0", -1},  {"%g0", -1}, {"%0g", -1}, {"%-1", -1},  {"%/0", -1}, {"%0@", -1}};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(rows); i++)
        assert_int_equal(http_escape_byte(span_from(rows[i].text), 0), rows[i].byte);
    assert_int_equal(http_escape_byte(SPAN_OF("ab%41"), 2), 'A');
}

/* All behind the first question mark, as it is. */
static void query_is_what_follows(void **state)
{
    static const char *const rows[][2] = {
        {"/a?b=c", "b=c"}, {"/a?b?c/../d", "b?c/../d"},    {"/?", ""},
        {"/a", ""},        {"https://example.com?x", "x"}, {"http://example.com/a?x=%20", "x=%20"}};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        struct http_target target = {0};
        struct arena arena;

        arena_init(&arena, NULL, 0, 4096);
        assert_int_equal(http_target_read(span_from(rows[i][0]), &arena, &target), ERR_OK);
        assert_true(span_is(target.query, rows[i][1]));
        arena_reset(&arena);
    }
}

/* A canonical path, encoded and read again, is itself: nothing is decoded twice. */
static void path_survives_its_own_encoding(void **state)
{
    (void)state;
    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        struct http_target target;
        struct http_target again;
        struct arena arena;
        struct sbuf out;

        if (cases[i].path == NULL || cases[i].path[0] == '*')
            continue;
        arena_init(&arena, NULL, 0, 16384);
        assert_int_equal(http_target_read(span_from(cases[i].target), &arena, &target), ERR_OK);
        out = sbuf_on(&arena, 1024);
        http_path_encode(&out, target.path);
        assert_int_equal(http_target_read(sbuf_span(&out), &arena, &again), ERR_OK);
        assert_true(span_equal(target.path, again.path));
        arena_reset(&arena);
    }
}

static void path_reports_a_full_arena(void **state)
{
    struct http_target target;
    struct arena arena;

    (void)state;
    arena_init(&arena, NULL, 0, 4096);
    alloc_fail_at(1);
    assert_int_equal(http_target_read(SPAN_OF("/a/%2e"), &arena, &target), ERR_NO_MEMORY);
    arena_reset(&arena);
}

static void query_decodes_and_refuses(void **state)
{
    struct span rest = SPAN("a=1&&b=x+y%26&c&d=&=e");
    struct span name;
    struct span value;
    struct arena arena;

    (void)state;
    arena_init(&arena, NULL, 0, 4096);
    assert_int_equal(http_query_next(&rest, &arena, &name, &value), ERR_OK);
    assert_true(span_is(name, "a") && span_is(value, "1"));
    assert_int_equal(http_query_next(&rest, &arena, &name, &value), ERR_OK);
    assert_true(span_is(name, "b") && span_is(value, "x y&"));
    assert_int_equal(http_query_next(&rest, &arena, &name, &value), ERR_OK);
    assert_true(span_is(name, "c") && value.len == 0);
    assert_int_equal(http_query_next(&rest, &arena, &name, &value), ERR_OK);
    assert_true(span_is(name, "d") && value.len == 0);
    assert_int_equal(http_query_next(&rest, &arena, &name, &value), ERR_OK);
    assert_true(name.len == 0 && span_is(value, "e"));
    assert_int_equal(http_query_next(&rest, &arena, &name, &value), ERR_END);
    rest = SPAN_OF("a=%0a");
    assert_int_equal(http_query_next(&rest, &arena, &name, &value), ERR_BAD_QUERY);
    rest = SPAN_OF("a=%f");
    assert_int_equal(http_query_next(&rest, &arena, &name, &value), ERR_BAD_QUERY);
    rest = SPAN_OF("a=%ff");
    assert_int_equal(http_query_next(&rest, &arena, &name, &value), ERR_BAD_QUERY);
    arena_reset(&arena);
}

static void host_is_a_name_or_an_address(void **state)
{
    static const char *const good[] = {
        "a",          "example.com:8000",
        "127.0.0.1",  "[::1]",
        "[::1]:80",   "a_b.example",
        "localhost:", "xn--bcher-kva.example",
        "a:65535",    "[0000:0000:0000:0000:0000:ffff:255.255.255.255]"};
    static const char *const bad[] = {
        "",       "a b",     "!a",
        "a/b",    "a:99999", "a:x",
        "[::1",   "[]",      "[g::]",
        ".a",     "a@b",     "a,b",
        "-a",     "a:80:80", "a\tb",
        "[::1]x", "a:65536", "[00000:0000:0000:0000:0000:ffff:255.255.255.255]"};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(good); i++)
        assert_true(http_host_is_valid(span_from(good[i])));
    for (size_t i = 0; i < PC_COUNT(bad); i++) {
        if (http_host_is_valid(span_from(bad[i])))
            fail_msg("\"%s\" was let through", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(path_is_canonical_or_refused),
        cmocka_unit_test(path_survives_its_own_encoding),
        cmocka_unit_test(path_reports_a_full_arena),
        cmocka_unit_test(query_decodes_and_refuses),
        cmocka_unit_test(query_is_what_follows),
        cmocka_unit_test(path_is_plain_as_it_came),
        cmocka_unit_test(a_path_below_another_has_its_segments),
        cmocka_unit_test(an_escape_is_a_byte),
        cmocka_unit_test(host_is_a_name_or_an_address),
    };

    return cmocka_run_group_tests_name("http path", tests, NULL, NULL);
}
