/* SPDX-License-Identifier: MIT
 * The reader: what it accepts, what it refuses and where it says so, and that it survives every
 * allocation failing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/sbuf.h"
#include "json/json_priv.h"

enum { ARENA_BYTES_MAX = 8 << 20 };

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, NULL, 0, ARENA_BYTES_MAX);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_reset(&arena);
    return 0;
}

static const struct json_value *read_good(const char *text)
{
    const struct json_value *root = NULL;

    assert_int_equal(json_read(span_from(text), &arena, &root, NULL), ERR_OK);
    assert_non_null(root);
    return root;
}

/* Each type keeps its text, its source and its place among its siblings. */
static void reads_every_type(void **state)
{
    const struct json_value *root =
        read_good(" { \"a\" : [ 1 , -2.50e+3, \"x\" ], \"b\":{}, \"c\":null,\"d\":true,"
                  "\"e\":false, \"\":[] } ");
    const struct json_value *list = json_get(root, "a");
    bool flag = false;
    int64_t number = 0;

    (void)state;
    assert_int_equal(root->count, 6);
    assert_int_equal(list->count, 3);
    assert_true(json_to_i64(&list->items[0], &number) && number == 1);
    assert_true(span_is(list->items[1].text, "-2.50e+3"));
    assert_true(span_is(list->items[2].text, "x"));
    assert_true(span_is(list->items[2].source, "\"x\""));
    assert_true(span_is(list->source, "[ 1 , -2.50e+3, \"x\" ]"));
    assert_int_equal(list->items[0].name.len, 0);
    assert_true(span_is(list->name, "a"));
    assert_true(json_is_object(json_get(root, "b")));
    assert_true(json_is(json_get(root, "c"), JSON_NULL));
    assert_true(json_to_bool(json_get(root, "d"), &flag) && flag);
    assert_true(json_to_bool(json_get(root, "e"), &flag) && !flag);
    assert_true(json_is_list(json_get(root, "")));
    assert_null(json_get(root, "f"));
    assert_null(json_get(list, "a"));
    assert_null(json_get(NULL, "a"));
    assert_true(span_is(root->items[5].source, "[]"));
}

/* A scalar is a whole JSON text (RFC 8259, 2). */
static void reads_lone_scalars(void **state)
{
    (void)state;
    assert_true(json_is(read_good("null"), JSON_NULL));
    assert_true(span_is(read_good("  -0 ")->text, "-0"));
    assert_true(span_is(read_good("\"\"")->text, ""));
    assert_true(span_is(read_good("9007199254740993.10")->text, "9007199254740993.10"));
}

static void reads_escapes(void **state)
{
    static const char plain[] = "\"\xC3\xA9\xF0\x9D\x84\x9E\"";
    const struct json_value *value =
        read_good("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20AC\\uD834\\uDD1Ex\\u0041\"");

    (void)state;
    assert_true(span_is(value->text, "\"\\/\b\f\n\r\t\xC3\xA9\xE2\x82\xAC\xF0\x9D\x84\x9ExA"));
    value = read_good("\"a\\u0000b\"");
    assert_int_equal(value->text.len, 3);
    assert_memory_equal(value->text.ptr, "a\0b", 3);
    value = read_good(plain);
    assert_ptr_equal(value->text.ptr, plain + 1); /* nothing to decode, nothing copied */
    assert_int_equal(value->text.len, 6);
    assert_true(json_is(json_get(read_good("{\"\\u0061\":1}"), "a"), JSON_NUMBER));
    assert_true(span_is(read_good("\"\x7F\\u007f\"")->text, "\x7F\x7F"));
}

struct refusal {
    struct span text;
    enum json_reason reason;
    size_t offset;
};

static const struct refusal refusals[] = {
    {SPAN(""), JSON_REASON_VALUE, 0},
    {SPAN(" \n"), JSON_REASON_VALUE, 2},
    {SPAN("\xEF\xBB\xBF{}"), JSON_REASON_BOM, 0},
    {SPAN("{\"a\":\xEF\xBB\xBF"), JSON_REASON_VALUE, 5},
    {SPAN("\xFF\xFE{\0}\0"), JSON_REASON_VALUE, 0},
    {SPAN("nul"), JSON_REASON_VALUE, 0},
    {SPAN("True"), JSON_REASON_VALUE, 0},
    {SPAN("nullx"), JSON_REASON_TRAILING, 4},
    {SPAN("NaN"), JSON_REASON_VALUE, 0},
    {SPAN("Infinity"), JSON_REASON_VALUE, 0},
    {SPAN("'a'"), JSON_REASON_VALUE, 0},
    {SPAN("/**/1"), JSON_REASON_VALUE, 0},
    {SPAN("1//"), JSON_REASON_TRAILING, 1},
    {SPAN("1\0"), JSON_REASON_TRAILING, 1},
    {SPAN("\0"), JSON_REASON_VALUE, 0},
    {SPAN("\f1"), JSON_REASON_VALUE, 0},
    {SPAN("\xC2\xA0"
          "1"),
     JSON_REASON_VALUE, 0},
    {SPAN("{}{}"), JSON_REASON_TRAILING, 2},
    {SPAN("[1] 2"), JSON_REASON_TRAILING, 4},
    {SPAN("["), JSON_REASON_VALUE, 1},
    {SPAN("[1"), JSON_REASON_LIST_NEXT, 2},
    {SPAN("[1,"), JSON_REASON_VALUE, 3},
    {SPAN("[1,]"), JSON_REASON_VALUE, 3},
    {SPAN("[,1]"), JSON_REASON_VALUE, 1},
    {SPAN("[1 2]"), JSON_REASON_LIST_NEXT, 3},
    {SPAN("[1}"), JSON_REASON_LIST_NEXT, 2},
    {SPAN("]"), JSON_REASON_VALUE, 0},
    {SPAN("{"), JSON_REASON_NAME, 1},
    {SPAN("{1:2}"), JSON_REASON_NAME, 1},
    {SPAN("{a:2}"), JSON_REASON_NAME, 1},
    {SPAN("{\"a\"}"), JSON_REASON_COLON, 4},
    {SPAN("{\"a\" 1}"), JSON_REASON_COLON, 5},
    {SPAN("{\"a\":}"), JSON_REASON_VALUE, 5},
    {SPAN("{\"a\":1,}"), JSON_REASON_NAME, 7},
    {SPAN("{\"a\":1]"), JSON_REASON_OBJECT_NEXT, 6},
    {SPAN("{\"a\":1"), JSON_REASON_OBJECT_NEXT, 6},
    {SPAN("{\"a\":1 \"b\":2}"), JSON_REASON_OBJECT_NEXT, 7},
    {SPAN("{\"a\":1,,\"b\":2}"), JSON_REASON_NAME, 7},
    {SPAN("01"), JSON_REASON_NUMBER, 1},
    {SPAN("-01"), JSON_REASON_NUMBER, 2},
    {SPAN("-"), JSON_REASON_NUMBER, 1},
    {SPAN("+1"), JSON_REASON_VALUE, 0},
    {SPAN(".5"), JSON_REASON_VALUE, 0},
    {SPAN("1."), JSON_REASON_NUMBER, 2},
    {SPAN("1.e1"), JSON_REASON_NUMBER, 2},
    {SPAN("1e"), JSON_REASON_NUMBER, 2},
    {SPAN("1e+"), JSON_REASON_NUMBER, 3},
    {SPAN("1e1.5"), JSON_REASON_TRAILING, 3},
    {SPAN("0x1F"), JSON_REASON_TRAILING, 1},
    {SPAN("1_000"), JSON_REASON_TRAILING, 1},
    {SPAN("-Infinity"), JSON_REASON_NUMBER, 1},
    {SPAN("1\xD9\xA1"), JSON_REASON_TRAILING, 1},
    {SPAN("\"a"), JSON_REASON_TEXT_OPEN, 0},
    {SPAN("\"a\\"), JSON_REASON_TEXT_OPEN, 0},
    {SPAN("\"a\\\""), JSON_REASON_TEXT_OPEN, 0},
    {SPAN("\"a\nb\""), JSON_REASON_CONTROL, 2},
    {SPAN("\"a\0b\""), JSON_REASON_CONTROL, 2},
    {SPAN("\"\\\n\""), JSON_REASON_CONTROL, 2},
    {SPAN("\"\x1F\""), JSON_REASON_CONTROL, 1},
    {SPAN("\"\\x41\""), JSON_REASON_ESCAPE, 1},
    {SPAN("\"\\'\""), JSON_REASON_ESCAPE, 1},
    {SPAN("\"ab\\U0041\""), JSON_REASON_ESCAPE, 3},
    {SPAN("\"\\u004\""), JSON_REASON_ESCAPE, 1},
    {SPAN("\"\\u004g\""), JSON_REASON_ESCAPE, 1},
    {SPAN("\"\\u\""), JSON_REASON_ESCAPE, 1},
    {SPAN("\"\\\xC3\xA9\""), JSON_REASON_ESCAPE, 1},
    {SPAN("\"\\uD800\""), JSON_REASON_SURROGATE, 1},
    {SPAN("\"\\uD800\\\""), JSON_REASON_TEXT_OPEN, 0},
    {SPAN("\"\\uD800\\u\""), JSON_REASON_SURROGATE, 1},
    {SPAN("\"\\uD800\\n\""), JSON_REASON_SURROGATE, 1},
    {SPAN("\"\\uD800\\uD800\""), JSON_REASON_SURROGATE, 1},
    {SPAN("\"\\uD800\\u0041\""), JSON_REASON_SURROGATE, 1},
    {SPAN("\"\\uD800\\uDC0\""), JSON_REASON_SURROGATE, 1},
    {SPAN("\"\\uD800xuDC00\""), JSON_REASON_SURROGATE, 1},
    {SPAN("\"\\uDC00\""), JSON_REASON_SURROGATE, 1},
    {SPAN("\"\\uDD1E\\uD834\""), JSON_REASON_SURROGATE, 1},
    {SPAN("\"\xFF\""), JSON_REASON_UTF8, 1},
    {SPAN("\"a\x80\""), JSON_REASON_UTF8, 2},
    {SPAN("\"\xC3\xA9\x80\""), JSON_REASON_UTF8, 3},
    {SPAN("\"\xC0\xAF\""), JSON_REASON_UTF8, 1},
    {SPAN("\"\xC3\""), JSON_REASON_UTF8, 1},
    {SPAN("\"\xC3\xA9\xED\xA0\x80\""), JSON_REASON_UTF8, 3},
    {SPAN("\"\xF4\x90\x80\x80\""), JSON_REASON_UTF8, 1},
    {SPAN("{\"\xE9\":1}"), JSON_REASON_UTF8, 2},
    {SPAN("{\"a\":1,\"a\":1}"), JSON_REASON_DUPLICATE, 7},
    {SPAN("{\"a\":\"x\\\"\" , \"b\":2, \"\\u0061\":3}"), JSON_REASON_DUPLICATE, 20},
    {SPAN("{\"x\":{\"\":1,\"\":2}}"), JSON_REASON_DUPLICATE, 11},
    {SPAN("{\"\xC3\xA9\":1,\"\\u00E9\":2}"), JSON_REASON_DUPLICATE, 8},
};

/* Every refusal names its reason and the very byte, and leaves the result alone. */
static void refuses_with_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < PC_COUNT(refusals); i++) {
        const struct refusal *expected = &refusals[i];
        const struct json_value *root = NULL;
        struct json_fault fault = {0};
        enum err err = json_read(expected->text, &arena, &root, &fault);

        if (err != ERR_JSON_SYNTAX || fault.reason != expected->reason ||
            fault.offset != expected->offset)
            fail_msg("refusal %zu \"%.*s\": %s, reason %d at %zu", i, SPAN_ARG(expected->text),
                     err_name(err), fault.reason, fault.offset);
        assert_null(root);
        assert_int_equal(json_read(expected->text, &arena, &root, NULL), ERR_JSON_SYNTAX);
    }
}

/* The last text that reads well, cut anywhere, never does. */
static void refuses_every_prefix(void **state)
{
    struct span whole = SPAN("{\"a\":[1.5e-1,\"\\uD834\\uDD1E\xC3\xA9\",true,null,{\"b\":false}]}");
    const struct json_value *root;

    (void)state;
    assert_int_equal(json_read(whole, &arena, &root, NULL), ERR_OK);
    for (size_t len = 0; len < whole.len; len++) {
        char *cut = len == 0 ? NULL : alloc_raw(len); /* its own block: a byte too far is seen */

        if (cut != NULL)
            memcpy(cut, whole.ptr, len);
        assert_int_equal(json_read(span_make(cut, len), &arena, &root, NULL), ERR_JSON_SYNTAX);
        alloc_free(cut);
    }
}

static void fault_counts_lines_and_characters(void **state)
{
    const struct json_value *root;
    struct json_fault fault;

    (void)state;
    assert_int_equal(
        json_read(SPAN_OF("{\n  \"a\": 1,\r\n  \"\xC3\xA9\": oops\n}"), &arena, &root, &fault),
        ERR_JSON_SYNTAX);
    assert_int_equal(fault.line, 3);
    assert_int_equal(fault.column, 8);
    assert_int_equal(fault.offset, 21);
}

static void every_reason_has_a_text(void **state)
{
    (void)state;
    for (enum json_reason reason = 0; reason < JSON_REASON_COUNT; reason++)
        assert_true(strlen(json_reason_text(reason)) > 4);
}

static struct span nested(char open, char close, size_t depth)
{
    char *text = arena_bytes(&arena, depth * 2);

    assert_non_null(text);
    memset(text, open, depth);
    memset(text + depth, close, depth);
    return span_make(text, depth * 2);
}

static void depth_is_bounded(void **state)
{
    const struct json_value *root;
    struct json_fault fault;

    (void)state;
    assert_int_equal(json_read(nested('[', ']', LIMIT_JSON_DEPTH_MAX), &arena, &root, NULL),
                     ERR_OK);
    assert_int_equal(json_read(nested('[', ']', LIMIT_JSON_DEPTH_MAX + 1), &arena, &root, &fault),
                     ERR_JSON_SYNTAX);
    assert_int_equal(fault.reason, JSON_REASON_DEPTH);
    assert_int_equal(fault.offset, LIMIT_JSON_DEPTH_MAX);
    assert_int_equal(json_read(nested('[', '[', 50000), &arena, &root, &fault), ERR_JSON_SYNTAX);
    assert_int_equal(fault.reason, JSON_REASON_DEPTH);
}

/* {"m0":0,"m1":1,...}, and at the end once more the member `again` unless it is count. */
static struct span many_members(size_t count, size_t again)
{
    struct sbuf out = sbuf_on(&arena, 1 << 20);
    struct span text;

    for (size_t i = 0; i < count; i++)
        sbuf_add_format(&out, "%c\"m%zu\":%zu", i == 0 ? '{' : ',', i, i);
    if (again < count)
        sbuf_add_format(&out, ", \"m%zu\":0", again);
    sbuf_add_char(&out, '}');
    assert_int_equal(sbuf_finish(&out, &text), ERR_OK);
    return text;
}

/* Small objects are compared pair by pair, large ones by hash: both find a name used twice. */
static void duplicates_are_found_at_any_size(void **state)
{
    static const size_t sizes[] = {
        1, 2, 8, 15, 16, 17, 31, 32, 33, 500, LIMIT_JSON_MEMBERS_MAX - 1};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(sizes); i++) {
        const struct json_value *root;
        struct json_fault fault;
        struct span twice = many_members(sizes[i], sizes[i] / 2);

        assert_int_equal(json_read(many_members(sizes[i], sizes[i]), &arena, &root, NULL), ERR_OK);
        assert_int_equal(root->count, sizes[i]);
        assert_true(span_is(json_get(root, "m0")->text, "0"));
        assert_int_equal(json_read(twice, &arena, &root, &fault), ERR_JSON_SYNTAX);
        assert_int_equal(fault.reason, JSON_REASON_DUPLICATE);
        assert_memory_equal(twice.ptr + fault.offset - 2, ", \"m", 4);
        arena_reset(&arena);
    }
}

static void members_are_bounded(void **state)
{
    const struct json_value *root;
    struct json_fault fault;

    (void)state;
    assert_int_equal(json_read(many_members(LIMIT_JSON_MEMBERS_MAX, SIZE_MAX), &arena, &root, NULL),
                     ERR_OK);
    assert_int_equal(
        json_read(many_members(LIMIT_JSON_MEMBERS_MAX + 1, SIZE_MAX), &arena, &root, &fault),
        ERR_JSON_SYNTAX);
    assert_int_equal(fault.reason, JSON_REASON_MEMBERS);
}

/* Only the test of the grammar may let the same name stand twice. */
static void grammar_alone_allows_duplicates(void **state)
{
    const struct json_value *root = NULL;

    (void)state;
    assert_int_equal(json_read_grammar(SPAN_OF("{\"a\":1,\"a\":2}"), &arena, &root, NULL), ERR_OK);
    assert_int_equal(root->count, 2);
}

static void number_length_is_bounded(void **state)
{
    char digits[LIMIT_JSON_NUMBER_BYTES_MAX + 1];
    const struct json_value *root;
    struct json_fault fault;

    (void)state;
    memset(digits, '7', sizeof(digits));
    assert_int_equal(json_read(span_make(digits, sizeof(digits) - 1), &arena, &root, NULL), ERR_OK);
    assert_int_equal(json_read(span_make(digits, sizeof(digits)), &arena, &root, &fault),
                     ERR_JSON_SYNTAX);
    assert_int_equal(fault.reason, JSON_REASON_NUMBER_LONG);
}

static void whole_numbers_are_exact(void **state)
{
    int64_t value = 7;

    (void)state;
    assert_true(json_to_i64(read_good("9223372036854775807"), &value) && value == INT64_MAX);
    assert_true(json_to_i64(read_good("-9223372036854775808"), &value) && value == INT64_MIN);
    assert_true(json_to_i64(read_good("-0"), &value) && value == 0);
    value = 7;
    assert_false(json_to_i64(read_good("9223372036854775808"), &value));
    assert_false(json_to_i64(read_good("1.0"), &value));
    assert_false(json_to_i64(read_good("1e2"), &value));
    assert_false(json_to_i64(read_good("\"1\""), &value));
    assert_false(json_to_i64(NULL, &value));
    assert_int_equal(value, 7);
}

static void floor_is_exact(void **state)
{
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {
        {"0", 0},
        {"-0.0", 0},
        {"1.5", 1},
        {"-1.5", -2},
        {"-0.1", -1},
        {"1.5e3", 1500},
        {"1.5E+0003", 1500},
        {"15e-1", 1},
        {"-15e-1", -2},
        {"5e-1000", 0},
        {"-5e-1000", -1},
        {"0e-5", 0},
        {"1699999999.999999999999999999", 1699999999},
        {"9223372036854775807.9", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
        {"-9223372036854775807.1", INT64_MIN},
        {"922337203685477580.7e1", INT64_MAX},
    };
    static const char *const bad[] = {
        "9223372036854775808",     "-9223372036854775808.1", "1e19",  "1e99999999999999999999",
        "1e-99999999999999999999", "1e9223372036854775807",  "\"1\"", "true"};
    int64_t value;

    (void)state;
    for (size_t i = 0; i < PC_COUNT(good); i++) {
        assert_true(json_to_i64_floor(read_good(good[i].text), &value));
        assert_true(value == good[i].value);
    }
    for (size_t i = 0; i < PC_COUNT(bad); i++)
        assert_false(json_to_i64_floor(read_good(bad[i]), &value));
}

static void conversions_refuse_other_types(void **state)
{
    struct span text = SPAN("kept");
    bool flag = true;

    (void)state;
    assert_false(json_to_text(read_good("1"), &text));
    assert_false(json_to_text(NULL, &text));
    assert_true(span_is(text, "kept"));
    assert_true(json_to_text(read_good("\"new\""), &text) && span_is(text, "new"));
    assert_false(json_to_bool(read_good("null"), &flag));
    assert_true(flag);
}

/* A text whose values need more than the arena may hold is the sender's fault, not the heap's. */
static void arena_cap_is_too_large(void **state)
{
    struct arena small;
    const struct json_value *root = NULL;
    struct json_fault fault;
    char text[4096];

    (void)state;
    memset(text, '1', sizeof(text));
    for (size_t i = 0; i < sizeof(text); i += 2)
        text[i] = i == 0 ? '[' : ',';
    text[sizeof(text) - 1] = ']';
    text[sizeof(text) - 2] = '1';
    text[sizeof(text) - 3] = '1';
    arena_init(&small, NULL, 0, 16384);
    assert_int_equal(json_read(span_make(text, sizeof(text)), &small, &root, &fault),
                     ERR_BODY_TOO_LARGE);
    assert_int_equal(fault.reason, JSON_REASON_TOO_LARGE);
    assert_null(root);
    arena_reset(&small);
    assert_int_equal(json_read(span_make(text, sizeof(text)), &arena, &root, NULL), ERR_OK);
}

/* Whichever allocation fails, reading ends with ERR_NO_MEMORY and nothing stays behind. */
static void survives_failing_allocations(void **state)
{
    struct span text;
    const struct json_value *root;
    uint64_t nth;

    (void)state;
    text = many_members(300, 300);
    for (nth = 1; nth < 100; nth++) {
        struct arena other;
        enum err err;

        arena_init(&other, NULL, 0, ARENA_BYTES_MAX);
        alloc_fail_at(nth);
        err = json_read(text, &other, &root, NULL);
        if (alloc_fail_pending()) {
            alloc_fail_at(0);
            assert_int_equal(err, ERR_OK);
            arena_reset(&other);
            break;
        }
        assert_int_equal(err, ERR_NO_MEMORY);
        arena_reset(&other);
    }
    assert_in_range(nth, 3, 99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_every_type, setup, teardown),
        cmocka_unit_test_setup_teardown(reads_lone_scalars, setup, teardown),
        cmocka_unit_test_setup_teardown(reads_escapes, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_with_place, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_every_prefix, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_counts_lines_and_characters, setup, teardown),
        cmocka_unit_test(every_reason_has_a_text),
        cmocka_unit_test_setup_teardown(depth_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(duplicates_are_found_at_any_size, setup, teardown),
        cmocka_unit_test_setup_teardown(members_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(grammar_alone_allows_duplicates, setup, teardown),
        cmocka_unit_test_setup_teardown(number_length_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(whole_numbers_are_exact, setup, teardown),
        cmocka_unit_test_setup_teardown(floor_is_exact, setup, teardown),
        cmocka_unit_test_setup_teardown(conversions_refuse_other_types, setup, teardown),
        cmocka_unit_test_setup_teardown(arena_cap_is_too_large, setup, teardown),
        cmocka_unit_test_setup_teardown(survives_failing_allocations, setup, teardown),
    };

    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
