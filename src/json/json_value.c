/* SPDX-License-Identifier: MIT
 * Questions asked of values that were read, and the rule that no object names a member twice. */
#include <string.h>

#include "json/json_priv.h"

enum { PAIRWISE_MAX = 16 };

/* The opening quote of a member's name. Between it and the member before stand only spaces and a
 * comma, so it is the first quote behind that. */
static const char *name_place(const struct json_value *object, size_t member)
{
    const char *end = object->source.ptr + object->source.len;
    struct span before;
    const char *at;

    PC_ASSERT(member > 0 && member < object->count);
    before = object->items[member - 1].source;
    at = before.ptr + before.len;
    return memchr(at, '"', (size_t)(end - at));
}

static bool unique_pairwise(struct json_reader *r, const struct json_value *object)
{
    for (size_t i = 1; i < object->count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (span_equal(object->items[i].name, object->items[j].name))
                return json_reader_fail(r, JSON_REASON_DUPLICATE, name_place(object, i));
        }
    }
    return true;
}

/* Open addressing, at most half full. The key is drawn anew for each text that needs one, so that
 * nobody can prepare names that collide. */
bool json_reader_unique(struct json_reader *r, const struct json_value *object)
{
    uint16_t *slots; /* the member's index + 1; 0 is free */
    size_t room = 64;

    _Static_assert(LIMIT_JSON_MEMBERS_MAX < UINT16_MAX, "an index fits its slot");
    if (object->count <= PAIRWISE_MAX)
        return unique_pairwise(r, object);
    while (room < object->count * (size_t)2)
        room *= 2;
    slots = arena_array(r->arena, room, sizeof(*slots));
    if (slots == NULL)
        return json_reader_fail_room(r, room * sizeof(*slots));
    if (!r->keyed)
        r->key = hash_key_new(&random_system);
    r->keyed = true;
    for (size_t i = 0; i < object->count; i++) {
        size_t at = hash_span(&r->key, object->items[i].name) & (room - 1);

        for (; slots[at] != 0; at = (at + 1) & (room - 1)) {
            if (span_equal(object->items[i].name, object->items[slots[at] - 1].name))
                return json_reader_fail(r, JSON_REASON_DUPLICATE, name_place(object, i));
        }
        slots[at] = (uint16_t)(i + 1);
    }
    return true;
}

const struct json_value *json_get_span(const struct json_value *object, struct span name)
{
    if (!json_is_object(object))
        return NULL;
    for (size_t i = 0; i < object->count; i++) {
        if (span_equal(object->items[i].name, name))
            return &object->items[i];
    }
    return NULL;
}

const struct json_value *json_get(const struct json_value *object, const char *name)
{
    return json_get_span(object, span_from(name));
}

bool json_to_text(const struct json_value *value, struct span *ret_text)
{
    if (!json_is_text(value))
        return false;
    *ret_text = value->text;
    return true;
}

bool json_to_bool(const struct json_value *value, bool *ret_value)
{
    if (!json_is(value, JSON_BOOL))
        return false;
    *ret_value = value->source.ptr[0] == 't';
    return true;
}

bool json_to_i64(const struct json_value *value, int64_t *ret_value)
{
    return json_is(value, JSON_NUMBER) && span_to_i64(value->text, ret_value);
}

/* A number as whole digits times a power of ten. */
struct scaled {
    bool negative;
    struct span whole;    /* digits before the point */
    struct span fraction; /* digits behind it */
    int64_t exponent;
};

static bool scaled_from(struct span text, struct scaled *ret_number)
{
    struct scaled number = {.negative = text.ptr[0] == '-'};
    size_t end = 0;
    size_t point;

    if (number.negative)
        text = span_slice(text, 1, text.len);
    while (end < text.len && span_lower_char(text.ptr[end]) != 'e')
        end++;
    if (end < text.len) {
        struct span exponent = span_slice(text, end + 1, text.len);

        if (exponent.ptr[0] == '+')
            exponent = span_slice(exponent, 1, exponent.len);
        if (!span_to_i64(exponent, &number.exponent))
            return false;
    }
    text = span_slice(text, 0, end);
    point = span_find(text, '.');
    number.whole = span_slice(text, 0, point);
    number.fraction = span_slice(text, point + 1, text.len);
    *ret_number = number;
    return true;
}

/* The i-th digit of whole and fraction written behind one another; zeros follow without end. */
static int scaled_digit(const struct scaled *number, size_t i)
{
    if (i < number->whole.len)
        return number->whole.ptr[i] - '0';
    i -= number->whole.len;
    return i < number->fraction.len ? number->fraction.ptr[i] - '0' : 0;
}

/* Counts downwards, as int64_t reaches one further below zero. */
static bool floor_of(const struct scaled *number, size_t whole_digits, int64_t *ret_value)
{
    size_t digits = number->whole.len + number->fraction.len;
    int64_t value = 0;
    bool rest = false;

    for (size_t i = 0; i < whole_digits; i++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, scaled_digit(number, i), &value))
            return false;
    }
    for (size_t i = whole_digits; i < digits; i++)
        rest = rest || scaled_digit(number, i) != 0;
    if (!number->negative)
        return !__builtin_sub_overflow(0, value, ret_value);
    return !__builtin_sub_overflow(value, rest ? 1 : 0, ret_value);
}

bool json_to_i64_floor(const struct json_value *value, int64_t *ret_value)
{
    struct scaled number;
    int64_t whole_digits;

    if (!json_is(value, JSON_NUMBER) || !scaled_from(value->text, &number))
        return false;
    if (__builtin_add_overflow(number.exponent, (int64_t)number.whole.len, &whole_digits))
        return false;
    if (whole_digits > 2 * LIMIT_JSON_NUMBER_BYTES_MAX) /* 0e9999 is refused too; no harm */
        return false;
    return floor_of(&number, whole_digits < 0 ? 0 : (size_t)whole_digits, ret_value);
}
