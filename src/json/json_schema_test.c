/* SPDX-License-Identifier: MIT
 * Tables at work: bodies that bind, every problem a field can have, replies, and descriptions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "json/json_sample.h"

enum { ARENA_BYTES_MAX = 1 << 20 };

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

static enum err bind(const char *text, struct json_sample *ret_order)
{
    const struct json_value *root;

    problems.count = 0;
    assert_int_equal(json_read(span_from(text), &arena, &root, NULL), ERR_OK);
    return json_bind(&order_schema, root, &arena, ret_order, &problems);
}

/* `members` beside the two that are always needed. */
static enum err bind_with(const char *members, struct json_sample *ret_order)
{
    struct sbuf text = sbuf_on(&arena, 1 << 16);

    sbuf_add_lit(&text, "{\"email\":\"a@b.co\",\"direction\":\"debit\",");
    sbuf_add_text(&text, members);
    sbuf_add_bytes(&text, "}", 2);
    assert_false(text.full);
    return bind(text.ptr, ret_order);
}

static void check_problem(size_t i, const char *field, const char *message)
{
    assert_in_range(i, 0, problems.count - 1);
    if (!span_is(problems.list[i].field, field) || strcmp(problems.list[i].message, message) != 0)
        fail_msg("problem %zu: %.*s %s", i, SPAN_ARG(problems.list[i].field),
                 problems.list[i].message);
}

static void binds_a_whole_body(void **state)
{
    struct json_sample order;
    const struct json_sample_leg *legs;
    const struct span *tags;

    (void)state;
    assert_int_equal(
        bind("{\"email\":\"a@b.co\",\"direction\":\"cr\\u0065dit\",\"note\":\"\xC3\xA9\xC3\xA9\xC3"
             "\xA9\",\"password\":\"secret12\",\"metadata\":{\"a\": [1]},\"extra\":[null ],"
             "\"legs\":[{\"amount\":12.30,\"account\":7},{\"amount\":\"0.05\",\"account\":8}],"
             "\"tags\":[\"x\",\"yy\"],\"codes\":[-1,9],\"fee\":{\"amount\":1,\"account\":9},"
             "\"count\":0,\"due\":\"2026-02-03T05:05:06+01:00\",\"urgent\":true,"
             "\"id\":99,\"balance\":1}",
             &order),
        ERR_OK);
    legs = order.legs.items;
    tags = order.tags.items;
    assert_true(span_is(order.email, "a@b.co") && span_is(order.direction, "credit"));
    assert_int_equal(order.note.len, 6);
    assert_true(span_is(order.metadata, "{\"a\": [1]}") && span_is(order.extra, "[null ]"));
    assert_int_equal(order.legs.count, 2);
    assert_true(span_is(legs[0].amount, "12.30") && span_is(legs[1].amount, "0.05"));
    assert_int_equal(legs[1].account, 8);
    assert_true(order.tags.count == 2 && span_is(tags[1], "yy"));
    assert_true(order.codes.count == 2 && ((const int64_t *)order.codes.items)[0] == -1);
    assert_true(order.has_fee && order.fee.account == 9);
    assert_true(order.has_count && order.count == 0 && order.limit == 100);
    assert_true(order.has_due && order.due_ns == INT64_C(1770091506) * 1000000000);
    assert_true(order.has_urgent && order.urgent);
}

/* What is left out is zero, or its fallback; null reads like left out where it may stand. */
static void fallbacks_stand_in(void **state)
{
    struct json_sample order;

    (void)state;
    memset(&order, 0xAA, sizeof(order));
    assert_int_equal(bind_with("\"note\":null,\"fee\":null,\"due\":null", &order), ERR_OK);
    assert_null(order.note.ptr);
    assert_true(span_is(order.metadata, "{}"));
    assert_true(order.tags.count == 1 && span_is(*(const struct span *)order.tags.items, "a"));
    assert_int_equal(order.limit, 100);
    assert_false(order.has_count || order.has_fee || order.has_due || order.has_urgent);
    assert_int_equal(order.count, 0);
    assert_null(order.legs.items);
}

struct wrong {
    const char *members;
    const char *field;
    const char *message;
};

static const struct wrong wrongs[] = {
    {"\"note\":1", "note", "must be a string"},
    {"\"note\":\"ab\"", "note", "must be 3 to 8 characters"},
    {"\"note\":\"\xC3\xA9\xC3\xA9\"", "note", "must be 3 to 8 characters"},
    {"\"note\":\"123456789\"", "note", "must be 3 to 8 characters"},
    {"\"note\":\"ab\\u0000c\"", "note", "must not contain a NUL character"},
    {"\"password\":\"short12\"", "password", "must be 8 to 1024 characters"},
    {"\"password\":null", "password", "must not be null"},
    {"\"password\":\"12345678\\u0000\"", "password", "must not contain a NUL character"},
    {"\"metadata\":[]", "metadata", "must be an object"},
    {"\"metadata\":{\"a\":\"0123456789012345678901234567890123\"}", "metadata",
     "must be at most 40 bytes"},
    {"\"extra\":\"0123456789012345678\"", "extra", "must be at most 20 bytes"},
    {"\"legs\":{}", "legs", "must be a list"},
    {"\"legs\":[{},{},{},{}]", "legs", "must have at most 3 items"},
    {"\"legs\":[1]", "legs[0]", "must be an object"},
    {"\"legs\":[{\"amount\":1,\"account\":2},{\"amount\":1}]", "legs[1].account", "is required"},
    {"\"legs\":[{\"amount\":-1,\"account\":2}]", "legs[0].amount", "must be 0 to 1000000"},
    {"\"legs\":[{\"amount\":1000000.01,\"account\":2}]", "legs[0].amount", "must be 0 to 1000000"},
    {"\"legs\":[{\"amount\":-0.01,\"account\":2}]", "legs[0].amount", "must be 0 to 1000000"},
    {"\"legs\":[{\"amount\":99999999999999999999,\"account\":2}]", "legs[0].amount",
     "must be 0 to 1000000"},
    {"\"legs\":[{\"amount\":1e2,\"account\":2}]", "legs[0].amount",
     "must be a decimal number without an exponent"},
    {"\"legs\":[{\"amount\":\"1e2\",\"account\":2}]", "legs[0].amount",
     "must be a decimal number without an exponent"},
    {"\"legs\":[{\"amount\":\"01\",\"account\":2}]", "legs[0].amount",
     "must be a decimal number without an exponent"},
    {"\"legs\":[{\"amount\":\"1.\",\"account\":2}]", "legs[0].amount",
     "must be a decimal number without an exponent"},
    {"\"legs\":[{\"amount\":\".5\",\"account\":2}]", "legs[0].amount",
     "must be a decimal number without an exponent"},
    {"\"legs\":[{\"amount\":\"\",\"account\":2}]", "legs[0].amount",
     "must be a decimal number without an exponent"},
    {"\"legs\":[{\"amount\":\"NaN\",\"account\":2}]", "legs[0].amount",
     "must be a decimal number without an exponent"},
    {"\"legs\":[{\"amount\":\" 1\",\"account\":2}]", "legs[0].amount",
     "must be a decimal number without an exponent"},
    {"\"legs\":[{\"amount\":0."
     "0000000000000000000000000000000000000000000000000000000000000000001,\"account\":2}]",
     "legs[0].amount", "must be a decimal number without an exponent"},
    {"\"legs\":[{\"amount\":true,\"account\":2}]", "legs[0].amount",
     "must be a decimal number without an exponent"},
    {"\"legs\":[{\"amount\":1,\"account\":0}]", "legs[0].account", "must be at least 1"},
    {"\"tags\":[]", "tags", "must have 1 to 2 items"},
    {"\"tags\":[\"abcdef\"]", "tags[0]", "must be 1 to 5 characters"},
    {"\"tags\":[\"a\",null]", "tags[1]", "must be a string"},
    {"\"codes\":[1,2,10]", "codes[2]", "must be -9 to 9"},
    {"\"fee\":[]", "fee", "must be an object"},
    {"\"fee\":{\"amount\":1}", "fee.account", "is required"},
    {"\"count\":501", "count", "must be -5 to 500"},
    {"\"count\":1.0", "count", "must be a whole number"},
    {"\"count\":\"1\"", "count", "must be a whole number"},
    {"\"count\":99999999999999999999", "count", "must be a whole number"},
    {"\"count\":null", "count", "must not be null"},
    {"\"limit\":0", "limit", "must be 1 to 500"},
    {"\"due\":\"2026-02-30T00:00:00Z\"", "due",
     "must be a date and time like 2026-02-03T04:05:06Z"},
    {"\"due\":\"1678-01-01T00:00:00+00:01\"", "due",
     "must be a date and time like 2026-02-03T04:05:06Z"},
    {"\"due\":\"2261-12-31T23:59:59-00:01\"", "due",
     "must be a date and time like 2026-02-03T04:05:06Z"},
    {"\"due\":1770091506", "due", "must be a string"},
    {"\"urgent\":1", "urgent", "must be true or false"},
    {"\"urgent\":\"true\"", "urgent", "must be true or false"},
};

/* One wrong value gives one problem, with the field's path and the rule, never the value. */
static void names_each_problem(void **state)
{
    (void)state;
    for (size_t i = 0; i < PC_COUNT(wrongs); i++) {
        struct json_sample order;

        assert_int_equal(bind_with(wrongs[i].members, &order), ERR_VALIDATION);
        assert_int_equal(problems.count, 1);
        check_problem(0, wrongs[i].field, wrongs[i].message);
    }
}

static void collects_all_problems(void **state)
{
    struct json_sample order;

    (void)state;
    assert_int_equal(bind("{\"direction\":\"sideways\",\"note\":\"\",\"count\":true}", &order),
                     ERR_VALIDATION);
    assert_int_equal(problems.count, 4);
    check_problem(0, "email", "is required");
    check_problem(1, "direction", "must be one of: debit, credit");
    check_problem(2, "note", "must be 3 to 8 characters");
    check_problem(3, "count", "must be a whole number");
    assert_int_equal(bind("{\"email\":\"nobody\",\"direction\":\"\"}", &order), ERR_VALIDATION);
    assert_int_equal(problems.count, 2);
    check_problem(0, "email", "must be a valid e-mail address");
}

static void a_body_must_be_an_object(void **state)
{
    struct json_sample order;

    (void)state;
    assert_int_equal(bind("[]", &order), ERR_VALIDATION);
    assert_int_equal(problems.count, 1);
    check_problem(0, "body", "must be an object");
    assert_int_equal(json_bind(&order_schema, NULL, &arena, &order, &problems), ERR_VALIDATION);
}

/* The list of problems is bounded; a full one still refuses. */
static void problems_are_bounded(void **state)
{
    struct sbuf text = sbuf_on(&arena, 1 << 16);
    struct json_sample order;

    (void)state;
    sbuf_add_lit(&text, "\"codes\":[");
    for (int i = 0; i < 40; i++)
        sbuf_add_text(&text, i == 0 ? "10" : ",10");
    sbuf_add_bytes(&text, "]", 2);
    assert_int_equal(bind_with(text.ptr, &order), ERR_VALIDATION);
    assert_int_equal(problems.count, JSON_PROBLEMS_MAX);
    check_problem(15, "codes[15]", "must be -9 to 9");
    assert_int_equal(json_bind_text(&order_fields[11], SPAN_OF("0"), &arena, &order, &problems),
                     ERR_VALIDATION);
    assert_int_equal(problems.count, JSON_PROBLEMS_MAX);
    assert_int_equal(json_problem_add(&problems, SPAN_OF("x"), "is wrong"), ERR_VALIDATION);
    assert_int_equal(problems.count, JSON_PROBLEMS_MAX);
}

/* Problems found earlier, in the query say, are not held against a body that is well. */
static void earlier_problems_stay_apart(void **state)
{
    struct json_sample order = {0};

    (void)state;
    json_problem_add(&problems, SPAN_OF("x"), "is wrong");
    assert_int_equal(json_bind_text(&order_fields[11], SPAN_OF("1"), &arena, &order, &problems),
                     ERR_OK);
    assert_int_equal(problems.count, 1);
}

/* The wording follows the bounds; a format's own length gives way to a smaller one. */
static void messages_follow_the_bounds(void **state)
{
    static char long_choice[1200];
    const char *const choices[] = {long_choice, NULL};
    const struct json_field fields[] = {
        {.name = "a", .kind = JSON_KIND_TEXT, .max = 1},
        {.name = "b", .kind = JSON_KIND_TEXT, .min = 4, .max = 4},
        {.name = "c", .kind = JSON_KIND_TEXT, .format = JSON_FORMAT_EMAIL, .max = 6},
        {.name = "d", .kind = JSON_KIND_TEXT, .format = JSON_FORMAT_URI, .max = 9999},
        {.name = "e", .kind = JSON_KIND_TEXT, .min = 1, .max = INT64_MAX},
        {.name = "f", .kind = JSON_KIND_I64, .min = INT64_MIN, .max = -1},
        {.name = "g", .kind = JSON_KIND_TEXT, .choices = choices},
    };
    static const char *const texts[] = {"xx", "x", "long@example.com", NULL, "", "0", "x"};
    static const char *const messages[] = {
        "must be at most 1 character",
        "must be 4 characters",
        "must be at most 6 characters",
        "must be at most 2048 characters",
        "must be at least 1 character",
        "must be at most -1",
        "must be one of the values in the documentation",
    };
    static char long_uri[3000];
    char place[16];

    (void)state;
    memset(long_choice, 'c', sizeof(long_choice) - 1);
    memset(long_uri, 'u', sizeof(long_uri) - 1);
    for (size_t i = 0; i < PC_COUNT(fields); i++) {
        const char *text = texts[i] ? texts[i] : long_uri;

        assert_int_equal(json_bind_text(&fields[i], span_from(text), &arena, place, &problems),
                         ERR_VALIDATION);
        check_problem(i, fields[i].name, messages[i]);
    }
}

/* A row without bounds admits nothing: forgetting them cannot open a door. */
static void zero_bounds_deny(void **state)
{
    static const struct json_field fields[] = {{.name = "t", .kind = JSON_KIND_TEXT},
                                               {.name = "n", .kind = JSON_KIND_I64, .offset = 16}};
    static const struct json_schema schema = {
        .name = "Forgotten", .fields = fields, .field_count = 2, .bytes = 24};
    const struct json_value *root;
    char place[24];

    (void)state;
    assert_int_equal(json_read(SPAN_OF("{\"t\":\"x\",\"n\":1}"), &arena, &root, NULL), ERR_OK);
    assert_int_equal(json_bind(&schema, root, &arena, place, &problems), ERR_VALIDATION);
    check_problem(0, "t", "must be 0 characters");
    check_problem(1, "n", "must be 0");
    assert_string_equal(json_schema_check(&schema), "t");
}

static void binds_parameters_from_text(void **state)
{
    const struct json_field *limit = &order_fields[11];
    const struct json_field *count = &order_fields[10];
    const struct json_field *urgent = &order_fields[13];
    struct json_sample order = {0};

    (void)state;
    assert_int_equal(json_bind_text(limit, SPAN_OF("500"), &arena, &order, &problems), ERR_OK);
    assert_int_equal(order.limit, 500);
    assert_int_equal(json_bind_text(count, SPAN_OF("-5"), &arena, &order, &problems), ERR_OK);
    assert_true(order.has_count && order.count == -5);
    assert_int_equal(json_bind_text(urgent, SPAN_OF("true"), &arena, &order, &problems), ERR_OK);
    assert_true(order.has_urgent && order.urgent);
    assert_int_equal(json_bind_text(&order_fields[2], SPAN_OF("abc"), &arena, &order, &problems),
                     ERR_OK);
    assert_int_equal(json_bind_text(&leg_fields[0], SPAN_OF("1.50"), &arena, &order, &problems),
                     ERR_OK);
    assert_int_equal(json_bind_text(&order_fields[12], SPAN_OF("2026-02-03T04:05:06Z"), &arena,
                                    &order, &problems),
                     ERR_OK);
    assert_int_equal(problems.count, 0);
    assert_int_equal(json_bind_text(limit, SPAN_OF("501"), &arena, &order, &problems),
                     ERR_VALIDATION);
    assert_int_equal(json_bind_text(limit, SPAN_OF(" 5"), &arena, &order, &problems),
                     ERR_VALIDATION);
    assert_int_equal(json_bind_text(urgent, SPAN_OF("1"), &arena, &order, &problems),
                     ERR_VALIDATION);
    assert_int_equal(json_bind_text(&order_fields[2], SPAN_OF("ab\xFF"), &arena, &order, &problems),
                     ERR_VALIDATION);
    assert_int_equal(problems.count, 4);
    check_problem(0, "limit", "must be 1 to 500");
    check_problem(1, "limit", "must be a whole number");
    check_problem(2, "urgent", "must be true or false");
    check_problem(3, "note", "must be valid UTF-8");
}

static void binds_missing_parameters(void **state)
{
    struct json_sample order = {0};

    (void)state;
    assert_int_equal(json_bind_missing(&order_fields[11], &arena, &order, &problems), ERR_OK);
    assert_int_equal(order.limit, 100);
    assert_int_equal(json_bind_missing(&order_fields[10], &arena, &order, &problems), ERR_OK);
    assert_false(order.has_count);
    assert_int_equal(json_bind_missing(&order_fields[0], &arena, &order, &problems),
                     ERR_VALIDATION);
    check_problem(0, "email", "is required");
}

static void check_sbuf(const struct sbuf *out, const char *expected)
{
    struct span text;

    assert_int_equal(sbuf_finish(out, &text), ERR_OK);
    if (!span_is(text, expected))
        fail_msg("%.*s", SPAN_ARG(text));
}

static void writes_a_whole_reply(void **state)
{
    const struct json_sample_leg legs[] = {{SPAN("12.30"), 7}, {SPAN("-0.05"), 8}};
    const struct span tags[] = {SPAN("x"), SPAN("\"")};
    const struct json_sample order = {.email = SPAN("a@b.co"),
                                      .direction = SPAN("debit"),
                                      .password = SPAN("never shown"),
                                      .metadata = SPAN("{\"a\": 1}"),
                                      .legs = {legs, 2},
                                      .tags = {tags, 2},
                                      .fee = {SPAN("1"), 9},
                                      .has_fee = true,
                                      .limit = 5,
                                      .has_urgent = true};
    struct sbuf out = sbuf_on(&arena, 4096);

    (void)state;
    json_write(&out, &order_schema, &order);
    check_sbuf(&out, "{\"email\":\"a@b.co\",\"direction\":\"debit\",\"note\":null,"
                     "\"metadata\":{\"a\": 1},\"legs\":[{\"amount\":12.30,\"account\":7},"
                     "{\"amount\":-0.05,\"account\":8}],\"tags\":[\"x\",\"\\\"\"],\"codes\":[],"
                     "\"fee\":{\"amount\":1,\"account\":9},\"limit\":5,\"due\":null,"
                     "\"urgent\":false}");
}

/* What is written binds again to the same values. */
static void replies_bind_back(void **state)
{
    struct json_sample first;
    struct json_sample again;
    struct sbuf out = sbuf_on(&arena, 4096);
    struct sbuf out_again = sbuf_on(&arena, 4096);

    (void)state;
    assert_int_equal(bind_with("\"note\":\"abc\",\"extra\":null,\"count\":3,\"legs\":[{\"amount\":"
                               "\"1.10\",\"account\":1}],\"due\":\"2026-02-03T04:05:06.5Z\"",
                               &first),
                     ERR_OK);
    json_write(&out, &order_schema, &first);
    sbuf_add_char(&out, '\0');
    assert_int_equal(bind(out.ptr, &again), ERR_OK);
    json_write(&out_again, &order_schema, &again);
    sbuf_add_char(&out_again, '\0');
    assert_string_equal(out.ptr, out_again.ptr);
}

static void describes_a_table(void **state)
{
    struct sbuf out = sbuf_on(&arena, 8192);

    (void)state;
    json_schema_describe(&out, &order_schema, "#/components/schemas/");
    check_sbuf(
        &out,
        "{\"title\":\"Order\",\"type\":\"object\",\"properties\":{"
        "\"email\":{\"type\":\"string\",\"maxLength\":254,\"format\":\"email\","
        "\"examples\":[\"user@example.com\"]},"
        "\"direction\":{\"type\":\"string\",\"enum\":[\"debit\",\"credit\"]},"
        "\"note\":{\"type\":[\"string\",\"null\"],\"minLength\":3,\"maxLength\":8},"
        "\"password\":{\"type\":\"string\",\"minLength\":8,\"maxLength\":1024,"
        "\"format\":\"password\",\"writeOnly\":true},"
        "\"metadata\":{\"type\":\"object\",\"additionalProperties\":true,\"default\":{}},"
        "\"extra\":{},"
        "\"legs\":{\"type\":\"array\",\"maxItems\":3,\"items\":{\"$ref\":"
        "\"#/components/schemas/Leg\",\"description\":\"One side of an order.\"}},"
        "\"tags\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":2,\"items\":{\"type\":"
        "\"string\",\"minLength\":1,\"maxLength\":5},\"default\":[\"a\"]},"
        "\"codes\":{\"type\":\"array\",\"maxItems\":100,\"items\":{\"type\":\"integer\","
        "\"format\":\"int64\",\"minimum\":-9,\"maximum\":9}},"
        "\"fee\":{\"anyOf\":[{\"$ref\":\"#/components/schemas/Leg\"},{\"type\":\"null\"}],"
        "\"description\":\"One side of an order.\"},"
        "\"count\":{\"type\":\"integer\",\"format\":\"int64\",\"minimum\":-5,\"maximum\":500},"
        "\"limit\":{\"type\":\"integer\",\"format\":\"int64\",\"minimum\":1,\"maximum\":500,"
        "\"default\":100},"
        "\"due\":{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"},"
        "\"urgent\":{\"type\":\"boolean\"}},"
        "\"required\":[\"email\",\"direction\"],\"description\":\"An order.\"}");
}

/* An answer has its nulls and no passwords, and what a number is, is one. */
static void describes_what_is_written(void **state)
{
    static const struct json_field fields[] = {
        {.name = "amount", .kind = JSON_KIND_DECIMAL, .max = 9},
        {.name = "note", .kind = JSON_KIND_TEXT, .max = 3, .optional = true, .nullable = true},
        {.name = "password", .kind = JSON_KIND_TEXT, .format = JSON_FORMAT_PASSWORD},
        {.name = "rest", .kind = JSON_KIND_BOOL, .optional = true}};
    static const struct json_schema schema = {.name = "Told", .fields = fields, .field_count = 4};
    struct sbuf out = sbuf_on(&arena, 4096);

    (void)state;
    json_schema_describe_written(&out, &schema, NULL);
    json_schema_example_written(&out, &schema);
    json_schema_example(&out, &schema);
    check_sbuf(&out, "{\"title\":\"Told\",\"type\":\"object\",\"properties\":{"
                     "\"amount\":{\"type\":\"number\",\"minimum\":0,\"maximum\":9},"
                     "\"note\":{\"type\":[\"string\",\"null\"],\"maxLength\":3},"
                     "\"rest\":{\"type\":\"boolean\"}},\"required\":[\"amount\",\"note\"]}"
                     "{\"amount\":10.00,\"note\":null}"
                     "{\"amount\":10.00,\"password\":\"text\"}");
}

/* null is one more choice where it may stand; a form without a name has a pattern. */
static void describes_choices_and_forms(void **state)
{
    static const struct json_field choice = {
        .name = "x", .kind = JSON_KIND_TEXT, .choices = directions, .nullable = true};
    static const struct json_field name = {
        .name = "x", .kind = JSON_KIND_TEXT, .format = JSON_FORMAT_USERNAME, .min = 3, .max = 50};
    struct sbuf out = sbuf_on(&arena, 4096);

    (void)state;
    json_field_describe(&out, &choice, NULL);
    json_field_describe(&out, &name, NULL);
    check_sbuf(&out, "{\"type\":[\"string\",\"null\"],\"enum\":[\"debit\",\"credit\",null]}"
                     "{\"type\":\"string\",\"minLength\":3,\"maxLength\":50,"
                     "\"pattern\":\"^[A-Za-z0-9._-]+$\"}");
}

static void describes_inner_tables_in_place(void **state)
{
    struct sbuf out = sbuf_on(&arena, 4096);
    const struct json_value *root;

    (void)state;
    json_field_describe(&out, &order_fields[9], NULL);
    check_sbuf(&out, "{\"type\":[\"object\",\"null\"],\"properties\":{\"amount\":{\"type\":"
                     "[\"number\",\"string\"],\"pattern\":\"^-?(0|[1-9][0-9]*)(\\\\.[0-9]+)?$\","
                     "\"minimum\":0,\"maximum\":1000000,\"description\":\"What moves.\","
                     "\"examples\":[12.30]},\"account\":{\"type\":\"integer\",\"format\":"
                     "\"int64\",\"minimum\":1}},\"required\":[\"amount\",\"account\"],"
                     "\"description\":\"One side of an order.\"}");
    assert_int_equal(json_read(sbuf_span(&out), &arena, &root, NULL), ERR_OK);
}

/* Whichever allocation fails, binding ends with ERR_NO_MEMORY, with and without problems to tell.
 */
static void survives_failing_allocations(void **state)
{
    static const struct span bodies[] = {
        SPAN("{\"email\":\"a@b.co\",\"direction\":\"debit\",\"legs\":[{\"amount\":1,\"account\":1}]"
             "}"),
        SPAN("{\"email\":1,\"direction\":\"x\",\"note\":\"\",\"legs\":[{}],\"tags\":[1]}"),
    };
    const struct json_value *root;
    struct json_sample order;

    (void)state;
    for (size_t i = 0; i < PC_COUNT(bodies); i++) {
        uint64_t nth;

        assert_int_equal(json_read(bodies[i], &arena, &root, NULL), ERR_OK);
        for (nth = 1; nth < 50; nth++) {
            struct arena other;
            enum err err;

            problems.count = 0;
            arena_init(&other, NULL, 0, ARENA_BYTES_MAX);
            alloc_fail_at(nth);
            err = json_bind(&order_schema, root, &other, &order, &problems);
            arena_reset(&other);
            if (alloc_fail_pending())
                break;
            assert_int_equal(err, ERR_NO_MEMORY);
        }
        alloc_fail_at(0);
        assert_in_range(nth, 2, 49);
    }
}

/* Lists that outgrow the arena's cap are too large; they do not make the service look sick. */
static void arena_cap_is_too_large(void **state)
{
    struct sbuf text = sbuf_on(&arena, 1 << 16);
    const struct json_value *root;
    struct arena small;
    struct json_sample order;

    (void)state;
    sbuf_add_lit(&text, "{\"email\":\"a@b.co\",\"direction\":\"debit\",\"codes\":[");
    for (int i = 0; i < 100; i++)
        sbuf_add_text(&text, i == 0 ? "1" : ",1");
    sbuf_add_lit(&text, "]}");
    assert_int_equal(json_read(sbuf_span(&text), &arena, &root, NULL), ERR_OK);
    arena_init(&small, NULL, 0, 700);
    assert_int_equal(json_bind(&order_schema, root, &small, &order, &problems), ERR_BODY_TOO_LARGE);
    arena_reset(&small);
}

static void check_finds_nothing_wrong(void **state)
{
    (void)state;
    assert_null(json_schema_check(&order_schema));
    assert_null(json_schema_check(&leg_schema));
}

/* Each of these rows would refuse everybody, write astray, or show what the service refuses. */
static void check_finds_each_mistake(void **state)
{
    static const struct json_field unbounded = {.kind = JSON_KIND_TEXT};
    static const struct json_field rows[] = {
        {.name = "x"},
        {.name = "", .kind = JSON_KIND_BOOL},
        {.kind = JSON_KIND_BOOL},
        {.name = "x", .kind = JSON_KIND_TEXT},
        {.name = "x", .kind = JSON_KIND_TEXT, .min = 5, .max = 4},
        {.name = "x", .kind = JSON_KIND_I64},
        {.name = "x", .kind = JSON_KIND_I64, .min = 2, .max = 1},
        {.name = "x", .kind = JSON_KIND_MAP},
        {.name = "x", .kind = JSON_KIND_ANY, .min = -1, .max = 5},
        {.name = "x", .kind = JSON_KIND_OBJECT},
        {.name = "x", .kind = JSON_KIND_LIST, .max = 5},
        {.name = "x", .kind = JSON_KIND_LIST, .max = 5, .item = &unbounded},
        {.name = "x", .kind = JSON_KIND_LIST, .max = 5, .item = &tag, .schema = &leg_schema},
        {.name = "x", .kind = JSON_KIND_LIST, .item = &tag},
        {.name = "x", .kind = JSON_KIND_BOOL, .offset = 64},
        {.name = "x", .kind = JSON_KIND_TEXT, .max = 5, .offset = 56},
        {.name = "x", .kind = JSON_KIND_BOOL, .has_offset = 64},
        {.name = "x", .kind = JSON_KIND_I64, .max = 5, .offset = 8, .has_offset = 15},
        {.name = "x", .kind = JSON_KIND_BOOL, .nullable = true},
        {.name = "x", .kind = JSON_KIND_BOOL, .fallback = "true"},
        {.name = "x", .kind = JSON_KIND_BOOL, .optional = true, .fallback = "yes"},
        {.name = "x", .kind = JSON_KIND_MAP, .max = 9, .optional = true, .fallback = "{"},
        {.name = "x", .kind = JSON_KIND_TEXT, .max = 3, .example = "long"},
        {.name = "x", .kind = JSON_KIND_TEXT, .choices = directions, .example = "up"},
    };
    static const struct json_field twice[] = {{.name = "x", .kind = JSON_KIND_BOOL},
                                              {.name = "x", .kind = JSON_KIND_BOOL}};
    struct json_schema schema = {.name = "Wrong", .field_count = 1, .bytes = 64};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        schema.fields = &rows[i];
        if (json_schema_check(&schema) == NULL)
            fail_msg("row %zu passed", i);
    }
    schema = (struct json_schema){.name = "Twice", .fields = twice, .field_count = 2, .bytes = 64};
    assert_string_equal(json_schema_check(&schema), "x");
    schema.name = NULL;
    assert_non_null(json_schema_check(&schema));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(binds_a_whole_body, setup, teardown),
        cmocka_unit_test_setup_teardown(fallbacks_stand_in, setup, teardown),
        cmocka_unit_test_setup_teardown(names_each_problem, setup, teardown),
        cmocka_unit_test_setup_teardown(collects_all_problems, setup, teardown),
        cmocka_unit_test_setup_teardown(a_body_must_be_an_object, setup, teardown),
        cmocka_unit_test_setup_teardown(problems_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(earlier_problems_stay_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(messages_follow_the_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(zero_bounds_deny, setup, teardown),
        cmocka_unit_test_setup_teardown(binds_parameters_from_text, setup, teardown),
        cmocka_unit_test_setup_teardown(binds_missing_parameters, setup, teardown),
        cmocka_unit_test_setup_teardown(writes_a_whole_reply, setup, teardown),
        cmocka_unit_test_setup_teardown(replies_bind_back, setup, teardown),
        cmocka_unit_test_setup_teardown(describes_a_table, setup, teardown),
        cmocka_unit_test_setup_teardown(describes_what_is_written, setup, teardown),
        cmocka_unit_test_setup_teardown(describes_choices_and_forms, setup, teardown),
        cmocka_unit_test_setup_teardown(describes_inner_tables_in_place, setup, teardown),
        cmocka_unit_test_setup_teardown(survives_failing_allocations, setup, teardown),
        cmocka_unit_test_setup_teardown(arena_cap_is_too_large, setup, teardown),
        cmocka_unit_test(check_finds_nothing_wrong),
        cmocka_unit_test(check_finds_each_mistake),
    };

    return cmocka_run_group_tests_name("json_schema", tests, NULL, NULL);
}
