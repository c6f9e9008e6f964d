/* SPDX-License-Identifier: MIT
 * Equal values have one print whatever their layout was, and whichever member changes is the one
 * that is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "json/json_schema.h"

enum { ARENA_BYTES_MAX = 16 * 1024 * 1024 };

struct item {
    int64_t to;
    struct span amount;
};
static const struct json_field item_fields[] = {
    {.name = "to", .kind = JSON_KIND_I64, .max = 1000, .offset = offsetof(struct item, to)},
    {.name = "amount",
     .kind = JSON_KIND_DECIMAL,
     .max = 1000,
     .offset = offsetof(struct item, amount)},
};
static const struct json_schema item_schema = {.name = "Item",
                                               .fields = item_fields,
                                               .field_count = PC_COUNT(item_fields),
                                               .bytes = sizeof(struct item)};

struct order {
    int64_t from;
    struct span amount, text, any, map;
    bool atomic, has_atomic;
    int64_t at;
    struct item inner;
    struct json_list items, words;
    bool has_words;
};
static const struct json_field word = {.kind = JSON_KIND_TEXT, .max = 10};
static const struct json_field order_fields[] = {
    {.name = "from", .kind = JSON_KIND_I64, .max = 1000, .offset = offsetof(struct order, from)},
    {.name = "amount",
     .kind = JSON_KIND_DECIMAL,
     .min = -1000,
     .max = 1000,
     .optional = true,
     .offset = offsetof(struct order, amount)},
    {.name = "text",
     .kind = JSON_KIND_TEXT,
     .max = 100,
     .optional = true,
     .offset = offsetof(struct order, text)},
    {.name = "any",
     .kind = JSON_KIND_ANY,
     .max = 1000,
     .optional = true,
     .offset = offsetof(struct order, any)},
    {.name = "map",
     .kind = JSON_KIND_MAP,
     .max = 1000,
     .optional = true,
     .offset = offsetof(struct order, map)},
    {.name = "atomic",
     .kind = JSON_KIND_BOOL,
     .optional = true,
     .offset = offsetof(struct order, atomic),
     .has_offset = offsetof(struct order, has_atomic)},
    {.name = "at", .kind = JSON_KIND_TIME, .optional = true, .offset = offsetof(struct order, at)},
    {.name = "inner",
     .kind = JSON_KIND_OBJECT,
     .optional = true,
     .schema = &item_schema,
     .offset = offsetof(struct order, inner)},
    {.name = "items",
     .kind = JSON_KIND_LIST,
     .max = 100,
     .optional = true,
     .schema = &item_schema,
     .offset = offsetof(struct order, items)},
    {.name = "words",
     .kind = JSON_KIND_LIST,
     .max = 100,
     .optional = true,
     .item = &word,
     .offset = offsetof(struct order, words),
     .has_offset = offsetof(struct order, has_words)},
};
static const struct json_schema order_schema = {.name = "Order",
                                                .fields = order_fields,
                                                .field_count = PC_COUNT(order_fields),
                                                .bytes = sizeof(struct order)};

static struct arena arena;

static int begin(void **state)
{
    (void)state;
    arena_init(&arena, NULL, 0, ARENA_BYTES_MAX);
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_reset(&arena);
    return 0;
}

static struct span print_of(const char *text)
{
    const struct json_value *root;
    struct json_problems problems = {0};
    struct order *order = arena_zero(&arena, sizeof(*order));
    struct span print = {0};

    assert_non_null(order);
    assert_int_equal(json_read(span_from(text), &arena, &root, NULL), ERR_OK);
    if (json_bind(&order_schema, root, &arena, order, &problems) != ERR_OK)
        fail_msg("%s: %.*s %s", text, SPAN_ARG(problems.list[0].field), problems.list[0].message);
    assert_int_equal(json_fingerprint(&order_schema, order, &arena, &print), ERR_OK);
    return print;
}

/* NULL: they are equal. */
static void assert_differ(const char *one, const char *other, const char *name)
{
    char text[64];
    struct sbuf found = sbuf_over(text, sizeof(text));
    bool differ = json_fingerprint_differs(&order_schema, print_of(one), print_of(other), &found);

    if (differ != (name != NULL) || !span_is(sbuf_span(&found), name ? name : ""))
        fail_msg("%s and %s differ in \"%.*s\"", one, other, SPAN_ARG(sbuf_span(&found)));
}

static void layouts_are_one(void **state)
{
    (void)state;
    assert_differ("{\"from\":1,\"amount\":19.95}", "{ \"amount\" : \"19.95\",\n\"from\": 1 }",
                  NULL);
    assert_differ("{\"from\":1,\"amount\":19.9}", "{\"from\":1,\"amount\":\"19.900\"}", NULL);
    assert_differ("{\"from\":1,\"amount\":20}", "{\"from\":1,\"amount\":20.00}", NULL);
    assert_differ("{\"from\":1,\"text\":\"a\\u0062\"}", "{\"from\":1,\"text\":\"ab\"}", NULL);
    assert_differ("{\"from\":1,\"at\":\"2026-02-03T04:05:06Z\"}",
                  "{\"from\":1,\"at\":\"2026-02-03T05:05:06.0+01:00\"}", NULL);
    assert_differ("{\"from\":1,\"ignored\":5}", "{\"from\":1}", NULL);
    assert_differ("{\"from\":1,\"any\":{\"a\":[1,2.50],\"b\":null}}",
                  "{\"from\":1,\"any\":{ \"b\" : null, \"a\" : [ 1 , 2.5 ] }}", NULL);
    assert_differ("{\"from\":1,\"items\":[{\"to\":2,\"amount\":1}]}",
                  "{\"items\":[{\"amount\":\"1.0\",\"to\":2}],\"from\":1}", NULL);
}

static void each_member_is_named(void **state)
{
    (void)state;
    assert_differ("{\"from\":1}", "{\"from\":2}", "from");
    assert_differ("{\"from\":1,\"amount\":19.95}", "{\"from\":1,\"amount\":19.96}", "amount");
    assert_differ("{\"from\":1,\"amount\":200}", "{\"from\":1,\"amount\":20}", "amount");
    assert_differ("{\"from\":1,\"amount\":1}", "{\"from\":1,\"amount\":-1}", "amount");
    assert_differ("{\"from\":1,\"amount\":0}", "{\"from\":1}", "amount");
    assert_differ("{\"from\":1,\"text\":\"\"}", "{\"from\":1}", "text");
    assert_differ("{\"from\":1,\"text\":\"a\"}", "{\"from\":1,\"text\":\"A\"}", "text");
    assert_differ("{\"from\":1,\"any\":[1,[2]]}", "{\"from\":1,\"any\":[[1],2]}", "any");
    assert_differ("{\"from\":1,\"any\":{\"a\":1,\"b\":2}}",
                  "{\"from\":1,\"any\":{\"a\":2,\"b\":1}}", "any");
    assert_differ("{\"from\":1,\"any\":\"1\"}", "{\"from\":1,\"any\":1}", "any");
    assert_differ("{\"from\":1,\"any\":true}", "{\"from\":1,\"any\":false}", "any");
    assert_differ("{\"from\":1,\"any\":null}", "{\"from\":1}", "any");
    assert_differ("{\"from\":1,\"map\":{}}", "{\"from\":1,\"map\":{\"a\":{}}}", "map");
    assert_differ("{\"from\":1,\"atomic\":false}", "{\"from\":1}", "atomic");
    assert_differ("{\"from\":1,\"atomic\":false}", "{\"from\":1,\"atomic\":true}", "atomic");
    assert_differ("{\"from\":1,\"at\":\"2026-02-03T04:05:06Z\"}",
                  "{\"from\":1,\"at\":\"2026-02-03T04:05:07Z\"}", "at");
    assert_differ("{\"from\":1,\"inner\":{\"to\":1,\"amount\":5}}",
                  "{\"from\":1,\"inner\":{\"to\":5,\"amount\":1}}", "inner");
    assert_differ("{\"from\":1,\"words\":[]}", "{\"from\":1}", "words");
}

/* Only the first of many is told, in the order of the table. */
static void the_first_is_named(void **state)
{
    (void)state;
    assert_differ("{\"from\":1,\"text\":\"a\",\"amount\":1}",
                  "{\"text\":\"b\",\"amount\":2,\"from\":1}", "amount");
}

static void an_item_is_named(void **state)
{
#define ITEM(to) "{\"to\":" #to ",\"amount\":1}"
    (void)state;
    assert_differ("{\"from\":1,\"items\":[" ITEM(1) "," ITEM(2) "," ITEM(3) "]}",
                  "{\"from\":1,\"items\":[" ITEM(1) "," ITEM(2) "," ITEM(4) "]}", "items[2]");
    assert_differ("{\"from\":1,\"items\":[" ITEM(1) "," ITEM(2) "]}",
                  "{\"from\":1,\"items\":[" ITEM(2) "," ITEM(1) "]}", "items[0]");
    assert_differ("{\"from\":1,\"items\":[" ITEM(1) "]}",
                  "{\"from\":1,\"items\":[" ITEM(1) "," ITEM(2) "]}", "items[1]");
    assert_differ("{\"from\":1,\"items\":[" ITEM(1) "," ITEM(2) "]}", "{\"from\":1,\"items\":[]}",
                  "items[0]");
    assert_differ("{\"from\":1,\"items\":[" ITEM(1) "],\"words\":[\"a\",\"b\"]}",
                  "{\"from\":1,\"items\":[" ITEM(1) "],\"words\":[\"a\",\"c\"]}", "words[1]");
    /* Items do not wander from one list into the next. */
    assert_differ("{\"from\":1,\"items\":[" ITEM(1) "," ITEM(2) "],\"words\":[\"a\"]}",
                  "{\"from\":1,\"items\":[" ITEM(1) "],\"words\":[\"a\",\"b\"]}", "items[1]");
    assert_differ("{\"from\":1,\"words\":[\"ab\",\"c\"]}", "{\"from\":1,\"words\":[\"a\",\"bc\"]}",
                  "words[0]");
#undef ITEM
}

/* A print that was kept by a program with another table, or that was damaged. */
static void a_foreign_print_is_another_body(void **state)
{
    struct span print = print_of("{\"from\":1,\"words\":[\"a\"]}");
    char damaged[256];
    char text[64];

    (void)state;
    for (size_t len = 0; len < print.len; len++) {
        struct sbuf found = sbuf_over(text, sizeof(text));

        assert_true(
            json_fingerprint_differs(&order_schema, print, span_slice(print, 0, len), &found));
        assert_true(span_is(sbuf_span(&found), "body"));
    }
    assert_true(print.len <= sizeof(damaged));
    for (size_t bit = 0; bit < print.len * 8; bit++) {
        struct sbuf found = sbuf_over(text, sizeof(text));

        for (size_t i = 0; i < print.len; i++)
            damaged[i] = print.ptr[i];
        damaged[bit / 8] = (char)(damaged[bit / 8] ^ (1 << bit % 8));
        assert_true(
            json_fingerprint_differs(&order_schema, print, span_make(damaged, print.len), &found));
        assert_true(found.len > 0);
    }
}

/* Kept prints must mean the same in the next version: this one was made by the first. */
static void prints_stay_as_they_are(void **state)
{
    static const char first[] = "a723e6bbec6370d94e320c594625edbfb00f5638fc0cd0cf";
    char text[512];
    struct sbuf hex = sbuf_over(text, sizeof(text));
    struct span print = print_of("{\"from\":7,\"amount\":19.95,\"text\":\"rent\"}");

    (void)state;
    sbuf_add_hex(&hex, print.ptr, 24);
    if (!span_is(sbuf_span(&hex), first))
        fail_msg("%.*s", SPAN_ARG(sbuf_span(&hex)));
}

static void a_full_arena_is_told(void **state)
{
    struct order order = {.text = SPAN("text")};
    struct arena small;
    char bytes[64];
    struct span print = {0};

    (void)state;
    arena_init(&small, bytes, sizeof(bytes), 0);
    assert_int_equal(json_fingerprint(&order_schema, &order, &small, &print), ERR_NO_MEMORY);
    assert_null(print.ptr);
    arena_reset(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layouts_are_one),
        cmocka_unit_test(each_member_is_named),
        cmocka_unit_test(the_first_is_named),
        cmocka_unit_test(an_item_is_named),
        cmocka_unit_test(a_foreign_print_is_another_body),
        cmocka_unit_test(prints_stay_as_they_are),
        cmocka_unit_test(a_full_arena_is_told),
    };

    return cmocka_run_group_tests_name("json_fingerprint", tests, begin, end);
}
