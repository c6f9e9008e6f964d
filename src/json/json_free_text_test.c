/* SPDX-License-Identifier: MIT
 * Card data in free text is gone before a handler sees the struct, however the body was written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "json/json_schema.h"

enum { ARENA_BYTES_MAX = 1 << 16 };

struct part {
    struct span note;
};

struct order {
    struct span description;
    struct span reference;
    struct part part;
    struct json_list parts;
    struct json_list remarks;
    struct span extra;
    struct span whatever;
};

static const struct json_field part_fields[] = {{.name = "note",
                                                 .kind = JSON_KIND_TEXT,
                                                 .free_text = true,
                                                 .optional = true,
                                                 .max = 40,
                                                 .offset = offsetof(struct part, note)}};
static const struct json_schema part_schema = {.name = "Part",
                                               .fields = part_fields,
                                               .field_count = PC_COUNT(part_fields),
                                               .bytes = sizeof(struct part)};
static const struct json_field remark = {.kind = JSON_KIND_TEXT, .free_text = true, .max = 19};

static const struct json_field fields[] = {
    {.name = "description",
     .kind = JSON_KIND_TEXT,
     .free_text = true,
     .optional = true,
     .min = 3,
     .max = 19,
     .fallback = "none given",
     .offset = offsetof(struct order, description)},
    {.name = "reference",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .max = 40,
     .offset = offsetof(struct order, reference)},
    {.name = "part",
     .kind = JSON_KIND_OBJECT,
     .schema = &part_schema,
     .optional = true,
     .offset = offsetof(struct order, part)},
    {.name = "parts",
     .kind = JSON_KIND_LIST,
     .schema = &part_schema,
     .optional = true,
     .max = 3,
     .offset = offsetof(struct order, parts)},
    {.name = "remarks",
     .kind = JSON_KIND_LIST,
     .item = &remark,
     .optional = true,
     .max = 3,
     .offset = offsetof(struct order, remarks)},
    {.name = "extra",
     .kind = JSON_KIND_MAP,
     .free_text = true,
     .depth = 3,
     .optional = true,
     .min = 2,
     .max = 200,
     .offset = offsetof(struct order, extra)},
    {.name = "whatever",
     .kind = JSON_KIND_ANY,
     .free_text = true,
     .optional = true,
     .max = 200,
     .offset = offsetof(struct order, whatever)},
};
static const struct json_schema schema = {.name = "Order",
                                          .fields = fields,
                                          .field_count = PC_COUNT(fields),
                                          .bytes = sizeof(struct order)};

static struct arena arena;
static struct json_problems problems;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, NULL, 0, ARENA_BYTES_MAX);
    problems = (struct json_problems){0};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_reset(&arena);
    return 0;
}

static enum err bind(const char *text, struct order *ret_order)
{
    const struct json_value *root;

    assert_int_equal(json_read(span_from(text), &arena, &root, NULL), ERR_OK);
    return json_bind(&schema, root, &arena, ret_order, &problems);
}

static void check(struct span text, const char *expected)
{
    if (!span_is(text, expected))
        fail_msg("%.*s, not %s", SPAN_ARG(text), expected);
}

static void free_text_is_masked_wherever_it_stands(void **state)
{
    struct order order;

    (void)state;
    assert_int_equal(bind("{\"description\":\"4111 1111 1111 1111\","
                          "\"part\":{\"note\":\"cvv 123\"},"
                          "\"parts\":[{\"note\":\"plain\"},{\"note\":\"n 5555555555554444\"},{}],"
                          "\"remarks\":[\"5555-5555-5555-4444\",\"ok\"]}",
                          &order),
                     ERR_OK);
    check(order.description, "**** **** **** 1111");
    check(order.part.note, "cvv ***");
    check(((const struct part *)order.parts.items)[0].note, "plain");
    check(((const struct part *)order.parts.items)[1].note, "n ************4444");
    check(((const struct span *)order.remarks.items)[0], "****-****-****-4444");
    check(((const struct span *)order.remarks.items)[1], "ok");
}

static void escapes_hide_nothing(void **state)
{
    struct order order;

    (void)state;
    assert_int_equal(bind("{\"description\":\"\\u00341\\u003111111111111\\u0031\\u0031\"}", &order),
                     ERR_OK);
    check(order.description, "************1111");
    assert_int_equal(bind("{\"description\":\"n\\n4111111111111111\"}", &order), ERR_OK);
    check(order.description, "n\n************1111");
    assert_int_equal(bind("{\"description\":\"4111\\u20281111\\u00A01111\\t1111\"}", &order),
                     ERR_OK);
    check(order.description, "****\u2028****\u00A0****\t1111");
}

/* An id is not text of people: changing it would make it another. */
static void other_text_is_left_alone(void **state)
{
    struct order order;

    (void)state;
    assert_int_equal(bind("{\"reference\":\"4111111111111111\"}", &order), ERR_OK);
    check(order.reference, "4111111111111111");
    check(order.description, "none given");
}

static void bounds_are_those_of_the_original(void **state)
{
    struct order order;

    (void)state;
    assert_int_equal(bind("{\"description\":\"4111 1111 1111 1111.\"}", &order), ERR_VALIDATION);
    assert_int_equal(problems.count, 1);
    assert_string_equal(problems.list[0].message, "must be 3 to 19 characters");
    assert_int_equal(bind("{\"remarks\":[\"４１１１　１１１１　１１１１　１１１１\"]}", &order),
                     ERR_OK);
    check(((const struct span *)order.remarks.items)[0], "＊＊＊＊　＊＊＊＊　＊＊＊＊　１１１１");
}

static void objects_are_masked_at_any_depth(void **state)
{
    struct order order;

    (void)state;
    assert_int_equal(bind("{\"extra\":{\"a\":\"4111111111111111\",\"b\":[{\"c\":\"x "
                          "DE89370400440532013000\"}],\"d\":1.50,\"e\":null,\"f\":true}}",
                          &order),
                     ERR_OK);
    check(order.extra, "{\"a\":\"************1111\",\"b\":[{\"c\":\"x "
                       "DE****************3000\"}],\"d\":1.50,\"e\":null,\"f\":true}");
    assert_int_equal(bind("{\"whatever\":\"5555\\u0035555 55554444\"}", &order), ERR_OK);
    check(order.whatever, "\"******** ****4444\"");
}

/* A number cannot hold stars. */
static void numbers_become_texts(void **state)
{
    struct order order;

    (void)state;
    assert_int_equal(bind("{\"extra\":{\"n\":[4111111111111111,17]}}", &order), ERR_OK);
    check(order.extra, "{\"n\":[\"************1111\",17]}");
    assert_int_equal(bind("{\"whatever\":4111111111111111}", &order), ERR_OK);
    check(order.whatever, "\"************1111\"");
}

static void names_give_values_away(void **state)
{
    struct order order;

    (void)state;
    assert_int_equal(bind("{\"extra\":{\"cvv\":\"123\",\"CVC2\":[456],\"n\":123}}", &order),
                     ERR_OK);
    check(order.extra, "{\"cvv\":\"***\",\"CVC2\":[\"***\"],\"n\":123}");
    assert_int_equal(bind("{\"extra\":{\"4111111111111111\":1}}", &order), ERR_VALIDATION);
    assert_int_equal(problems.count, 1);
    assert_true(span_is(problems.list[0].field, "extra"));
    assert_string_equal(problems.list[0].message, "must not have card data in a member's name");
}

static void what_is_well_stays_as_it_was_written(void **state)
{
    struct order order;

    (void)state;
    assert_int_equal(bind("{\"extra\":{ \"a\" : \"\\u0041\", \"b\":1e5 }}", &order), ERR_OK);
    check(order.extra, "{ \"a\" : \"\\u0041\", \"b\":1e5 }");
    assert_int_equal(bind("{\"extra\":{\n \"a\":\r\n\"\\u0041\\n\"}}", &order), ERR_OK);
    check(order.extra, "{\"a\":\"A\\n\"}");
}

static void depth_and_size_are_bounded(void **state)
{
    struct order order;
    char text[512];

    (void)state;
    assert_int_equal(bind("{\"extra\":{\"a\":{\"b\":[1]}}}", &order), ERR_OK);
    assert_int_equal(bind("{\"extra\":{\"a\":{\"b\":[[]]}}}", &order), ERR_VALIDATION);
    assert_string_equal(problems.list[0].message, "must not be nested so deep");
    problems.count = 0;
    (void)snprintf(text, sizeof(text), "{\"extra\":{\"a\":\"%0200d\"}}", 0);
    assert_int_equal(bind(text, &order), ERR_VALIDATION);
    assert_string_equal(problems.list[0].message, "must be 2 to 200 bytes");
    (void)snprintf(text, sizeof(text), "{\"extra\":{%300s\"a\":1}}", "");
    assert_int_equal(bind(text, &order), ERR_OK);
    check(order.extra, "{\"a\":1}");
}

static void parameters_are_masked_too(void **state)
{
    struct order order = {0};

    (void)state;
    assert_int_equal(
        json_bind_text(&fields[0], SPAN_OF("4111111111111111"), &arena, &order, &problems), ERR_OK);
    check(order.description, "************1111");
}

static void a_full_arena_ends_the_binding(void **state)
{
    struct order order = {0};
    struct arena none;

    (void)state;
    arena_init(&none, NULL, 0, 0);
    assert_int_not_equal(
        json_bind_text(&fields[0], SPAN_OF("4111111111111111"), &none, &order, &problems), ERR_OK);
    assert_null(order.description.ptr);
}

static void what_has_a_form_is_never_free_text(void **state)
{
    struct json_field wrong = {.name = "email",
                               .kind = JSON_KIND_TEXT,
                               .format = JSON_FORMAT_EMAIL,
                               .free_text = true,
                               .offset = offsetof(struct order, description)};
    struct json_schema of = {
        .name = "Of", .fields = &wrong, .field_count = 1, .bytes = sizeof(struct order)};

    (void)state;
    assert_null(json_schema_check(&schema));
    assert_string_equal(json_schema_check(&of), "email");
    wrong.free_text = false;
    assert_null(json_schema_check(&of));
    wrong = (struct json_field){.name = "map", .kind = JSON_KIND_MAP, .max = 9, .free_text = true};
    assert_null(json_schema_check(&of));
    wrong.free_text = false, wrong.depth = 2;
    assert_string_equal(json_schema_check(&of), "map");
    wrong = (struct json_field){
        .name = "amount", .kind = JSON_KIND_DECIMAL, .max = 9, .free_text = true};
    assert_string_equal(json_schema_check(&of), "amount");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(free_text_is_masked_wherever_it_stands, setup, teardown),
        cmocka_unit_test_setup_teardown(escapes_hide_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(other_text_is_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(bounds_are_those_of_the_original, setup, teardown),
        cmocka_unit_test_setup_teardown(objects_are_masked_at_any_depth, setup, teardown),
        cmocka_unit_test_setup_teardown(numbers_become_texts, setup, teardown),
        cmocka_unit_test_setup_teardown(names_give_values_away, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_well_stays_as_it_was_written, setup, teardown),
        cmocka_unit_test_setup_teardown(depth_and_size_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(parameters_are_masked_too, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_arena_ends_the_binding, setup, teardown),
        cmocka_unit_test(what_has_a_form_is_never_free_text),
    };

    return cmocka_run_group_tests_name("json_free_text", tests, NULL, NULL);
}
