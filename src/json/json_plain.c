/* SPDX-License-Identifier: MIT
 * The rules for a single value: the same whether it came in a JSON body, in a query or from a
 * table's fallback. */
#include <string.h>

#include "base/clock.h"
#include "base/mask.h"
#include "json/json_schema_priv.h"

/* The years 1678 to 2261 in UTC: with an offset a time could lie just outside of what can be read
 * back once it is written. */
#define TIME_S_MIN INT64_C(-9214560000)
#define TIME_S_END INT64_C(9214646400)

int64_t json_text_max(const struct json_field *field)
{
    int64_t own = json_format_max(field->format);

    if (field->max > 0 && (own == 0 || field->max < own))
        return field->max;
    return own;
}

static bool is_choice(struct span text, const char *const *choices)
{
    for (size_t i = 0; choices[i] != NULL; i++) {
        if (span_is(text, choices[i]))
            return true;
    }
    return false;
}

/* The bounds were those of the text as it came; masking leaves its length as it is. */
static bool text_keep(struct json_binder *b, const struct json_field *field, struct span text,
                      struct span *at)
{
    if (!field->free_text) {
        *at = text;
        return true;
    }
    return mask_card_data(text, b->arena, at) == ERR_OK || json_bind_no_room(b, text.len);
}

static bool bind_text(struct json_binder *b, const struct json_field *field, struct span text,
                      struct span *at, const struct json_place *place)
{
    int64_t max = json_text_max(field);
    int64_t length;

    if (!span_is_utf8(text))
        return json_problem_at(b, place, "must be valid UTF-8");
    if (span_find(text, '\0') < text.len)
        return json_problem_at(b, place, "must not contain a NUL character");
    if (field->choices != NULL) {
        if (!is_choice(text, field->choices))
            return json_problem_choices(b, place, field->choices);
    } else {
        length = (int64_t)span_utf8_length(text);
        if (length < field->min || length > max)
            return json_problem_range(b, place, "must be", field->min, max, "character");
        if (!json_format_holds(field->format, text))
            return json_problem_at(b, place, json_format_problem(field->format));
    }
    if (text.ptr == NULL)
        text.ptr = ""; /* given, though empty */
    return text_keep(b, field, text, at);
}

static bool bind_i64(struct json_binder *b, const struct json_field *field, struct span text,
                     int64_t *at, const struct json_place *place)
{
    int64_t value;

    if (!span_to_i64(text, &value))
        return json_problem_at(b, place, "must be a whole number");
    if (value < field->min || value > field->max)
        return json_problem_range(b, place, "must be", field->min, field->max, "");
    *at = value;
    return true;
}

static bool bind_bool(struct json_binder *b, struct span text, bool *at,
                      const struct json_place *place)
{
    if (!span_is(text, "true") && !span_is(text, "false"))
        return json_problem_at(b, place, "must be true or false");
    *at = text.ptr[0] == 't';
    return true;
}

static bool bind_time(struct json_binder *b, struct span text, int64_t *at,
                      const struct json_place *place)
{
    int64_t ns;

    if (clock_from_rfc3339(text, &ns) || ns < TIME_S_MIN * CLOCK_NS_PER_S ||
        ns >= TIME_S_END * CLOCK_NS_PER_S)
        return json_problem_at(b, place, "must be a date and time like 2026-02-03T04:05:06Z");
    *at = ns;
    return true;
}

static bool all_digits(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
    }
    return text.len > 0;
}

/* A decimal number taken apart. */
struct decimal {
    bool negative;
    struct span whole; /* with its sign */
    bool broken;       /* a digit other than 0 stands behind the point */
};

/* RFC 8259, 6, without the exponent. */
static bool decimal_from(struct span text, struct decimal *ret_decimal)
{
    struct decimal decimal = {.negative = text.len > 0 && text.ptr[0] == '-'};
    size_t point = span_find(text, '.');
    struct span digits = span_slice(text, decimal.negative ? 1 : 0, point);
    struct span fraction = span_slice(text, point + 1, text.len);

    if (text.len > JSON_DECIMAL_CHARACTERS_MAX || !all_digits(digits) ||
        (digits.len > 1 && digits.ptr[0] == '0') || (point < text.len && !all_digits(fraction)))
        return false;
    decimal.whole = span_slice(text, 0, point);
    for (size_t i = 0; i < fraction.len; i++)
        decimal.broken = decimal.broken || fraction.ptr[i] != '0';
    *ret_decimal = decimal;
    return true;
}

/* Exact: a fraction moves the value away from zero, never across the next whole number. */
static bool decimal_within(const struct decimal *decimal, int64_t min, int64_t max)
{
    int64_t whole;

    if (!span_to_i64(decimal->whole, &whole))
        return false;
    if (whole < min || (whole == min && decimal->negative && decimal->broken))
        return false;
    return whole < max || (whole == max && (decimal->negative || !decimal->broken));
}

static bool bind_decimal(struct json_binder *b, const struct json_field *field, struct span text,
                         struct span *at, const struct json_place *place)
{
    struct decimal decimal;

    if (!decimal_from(text, &decimal))
        return json_problem_at(b, place, "must be a decimal number without an exponent");
    if (!decimal_within(&decimal, field->min, field->max))
        return json_problem_range(b, place, "must be", field->min, field->max, "");
    *at = text;
    return true;
}

bool json_bind_plain(struct json_binder *b, const struct json_field *field, struct span text,
                     void *at, const struct json_place *place)
{
    switch (field->kind) {
    case JSON_KIND_TEXT:
        return bind_text(b, field, text, at, place);
    case JSON_KIND_BOOL:
        return bind_bool(b, text, at, place);
    case JSON_KIND_I64:
        return bind_i64(b, field, text, at, place);
    case JSON_KIND_DECIMAL:
        return bind_decimal(b, field, text, at, place);
    case JSON_KIND_TIME:
        return bind_time(b, text, at, place);
    case JSON_KIND_NONE:
    case JSON_KIND_OBJECT:
    case JSON_KIND_LIST:
    case JSON_KIND_MAP:
    case JSON_KIND_ANY:
    case JSON_KIND_COUNT:
        break;
    }
    PC_WRONG("this kind is never plain text");
}
