/* SPDX-License-Identifier: MIT
 * The writer: commas and nesting, texts that try to break out, and a buffer that is too small. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "json/json.h"
#include "json/json_writer.h"

static char buffer[4096];

static void check_text(const struct sbuf *out, const char *expected)
{
    struct span text;

    assert_int_equal(sbuf_finish(out, &text), ERR_OK);
    if (!span_is(text, expected))
        fail_msg("wrote %.*s", SPAN_ARG(text));
}

static void writes_every_type(void **state)
{
    struct sbuf out = sbuf_over(buffer, sizeof(buffer));
    struct json_writer w = json_writer_on(&out);

    (void)state;
    json_begin_object(&w);
    json_add_text(&w, "text", SPAN_OF("a\"\n\xFF"));
    json_add_i64(&w, "least", INT64_MIN);
    json_add_u64(&w, "most", UINT64_MAX);
    json_key(&w, "list");
    json_begin_list(&w);
    json_bool(&w, true);
    json_null(&w);
    json_begin_object(&w);
    json_end_object(&w);
    json_begin_list(&w);
    json_end_list(&w);
    json_end_list(&w);
    json_add_bool(&w, "no", false);
    json_add_time(&w, "at", INT64_C(1700000000123456789));
    json_add_raw(&w, "raw", SPAN_OF("{\"x\":1.20}"));
    json_key_span(&w, SPAN_OF("k\""));
    json_text(&w, SPAN_OF(""));
    json_end_object(&w);
    assert_true(w.done);
    check_text(&out, "{\"text\":\"a\\\"\\n\\ufffd\",\"least\":-9223372036854775808,"
                     "\"most\":18446744073709551615,\"list\":[true,null,{},[]],\"no\":false,"
                     "\"at\":\"2023-11-14T22:13:20.123456Z\",\"raw\":{\"x\":1.20},\"k\\\"\":\"\"}");
}

static void a_scalar_is_a_whole_text(void **state)
{
    struct sbuf out = sbuf_over(buffer, sizeof(buffer));
    struct json_writer w = json_writer_on(&out);

    (void)state;
    json_u64(&w, 7);
    assert_true(w.done);
    check_text(&out, "7");
}

/* A level that is used again begins without a comma, and its kind is its own. */
static void levels_are_reused(void **state)
{
    struct sbuf out = sbuf_over(buffer, sizeof(buffer));
    struct json_writer w = json_writer_on(&out);

    (void)state;
    json_begin_list(&w);
    json_begin_object(&w);
    json_add_i64(&w, "a", 1);
    json_end_object(&w);
    json_begin_list(&w);
    json_i64(&w, 2);
    json_i64(&w, 3);
    json_end_list(&w);
    json_begin_object(&w);
    json_end_object(&w);
    json_end_list(&w);
    check_text(&out, "[{\"a\":1},[2,3],{}]");
}

/* What the deepest allowed nesting writes, the reader reads. */
static void deepest_nesting_reads_back(void **state)
{
    struct sbuf out = sbuf_over(buffer, sizeof(buffer));
    struct json_writer w = json_writer_on(&out);
    const struct json_value *root;
    struct arena arena;

    (void)state;
    arena_init(&arena, NULL, 0, 1 << 20);
    for (int i = 0; i < LIMIT_JSON_DEPTH_MAX; i++)
        json_begin_list(&w);
    for (int i = 0; i < LIMIT_JSON_DEPTH_MAX; i++)
        json_end_list(&w);
    assert_true(w.done);
    assert_int_equal(json_read(sbuf_span(&out), &arena, &root, NULL), ERR_OK);
    arena_reset(&arena);
}

static void a_full_buffer_is_noticed(void **state)
{
    struct sbuf out = sbuf_over(buffer, 10);
    struct json_writer w = json_writer_on(&out);
    struct span text;

    (void)state;
    json_begin_object(&w);
    json_add_text(&w, "name", SPAN_OF("value"));
    json_end_object(&w);
    assert_int_equal(sbuf_finish(&out, &text), ERR_NO_SPACE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_every_type),        cmocka_unit_test(a_scalar_is_a_whole_text),
        cmocka_unit_test(levels_are_reused),        cmocka_unit_test(deepest_nesting_reads_back),
        cmocka_unit_test(a_full_buffer_is_noticed),
    };

    return cmocka_run_group_tests_name("json_writer", tests, NULL, NULL);
}
