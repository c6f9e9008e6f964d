/* SPDX-License-Identifier: MIT
 * A strict reader for JSON text. What two readers could understand in two ways is refused here:
 * a member named twice, bytes that are not UTF-8, half a surrogate pair, a byte order mark,
 * anything after the end. A number is kept as the text it was written in, so that an amount of
 * money never passes through a double.
 *
 *   err = json_read(body, req->arena, &root, &fault);
 *   name = json_get(root, "name");
 *   if (json_is_text(name)) use(name->text);
 *
 * Every json_… question accepts NULL for "no such value", so that look-ups can be chained.
 *
 * Threads: pure; a value may be read from any thread.
 * Memory:  values live in the arena. Their spans point into the text that was read wherever that is
 *          possible, so it must live as long as they do.
 * Units:   offsets and lengths in bytes; line and column count from 1, columns in characters.
 * Errors:  ERR_JSON_SYNTAX with a fault; ERR_BODY_TOO_LARGE when the arena's cap is reached;
 *          ERR_NO_MEMORY when the heap refuses.
 * Source:  RFC 8259; RFC 7493 (I-JSON) for what is refused beyond it. */
#ifndef PC_JSON_JSON_H
#define PC_JSON_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"

enum json_type {
    JSON_NONE, /* no value at all: never comes out of json_read */
    JSON_NULL,
    JSON_BOOL,
    JSON_NUMBER,
    JSON_TEXT,
    JSON_LIST,
    JSON_OBJECT,
};

struct json_value {
    enum json_type type;
    uint32_t count;                 /* of items; 0 unless a list or an object */
    const struct json_value *items; /* a list's items or an object's members, in order */
    struct span name;               /* decoded; of a member, else empty */
    struct span text;               /* decoded text, or a number as written; may hold NUL */
    struct span source;             /* this value exactly as it stood in the text */
};

enum json_reason {
    JSON_REASON_NONE,
    JSON_REASON_BOM,
    JSON_REASON_VALUE,
    JSON_REASON_NAME,
    JSON_REASON_COLON,
    JSON_REASON_LIST_NEXT,
    JSON_REASON_OBJECT_NEXT,
    JSON_REASON_TRAILING,
    JSON_REASON_NUMBER,
    JSON_REASON_NUMBER_LONG,
    JSON_REASON_TEXT_OPEN,
    JSON_REASON_CONTROL,
    JSON_REASON_ESCAPE,
    JSON_REASON_SURROGATE,
    JSON_REASON_UTF8,
    JSON_REASON_DEPTH,
    JSON_REASON_MEMBERS,
    JSON_REASON_DUPLICATE,
    JSON_REASON_TOO_LARGE,
    JSON_REASON_MEMORY,
    JSON_REASON_COUNT
};

/* Where and why reading stopped. Never holds a byte of the text. */
struct json_fault {
    enum json_reason reason;
    size_t offset;
    size_t line;
    size_t column;
};

/* "a member name is used twice": goes behind "line 3, column 7: ". Static text. */
const char *json_reason_text(enum json_reason reason);

/* Reads one whole JSON text of at most 4 GiB - 1 byte. On failure *ret_root stays as it was, and
 * *ret_fault is filled in (it may be NULL). */
PC_CHECKED enum err json_read(struct span text, struct arena *arena,
                              const struct json_value **ret_root, struct json_fault *ret_fault);

/* The member called `name`; NULL when it is missing or `object` is no object. */
const struct json_value *json_get(const struct json_value *object, const char *name);
const struct json_value *json_get_span(const struct json_value *object, struct span name);

static inline bool json_is(const struct json_value *value, enum json_type type)
{
    return value != NULL && value->type == type;
}

static inline bool json_is_text(const struct json_value *value)
{
    return json_is(value, JSON_TEXT);
}

static inline bool json_is_object(const struct json_value *value)
{
    return json_is(value, JSON_OBJECT);
}

static inline bool json_is_list(const struct json_value *value)
{
    return json_is(value, JSON_LIST);
}

/* False unless the value is of that type; then the result stays as it was. */
PC_CHECKED bool json_to_text(const struct json_value *value, struct span *ret_text);
PC_CHECKED bool json_to_bool(const struct json_value *value, bool *ret_value);

/* Whole numbers only, written without fraction and exponent; false beyond int64_t. */
PC_CHECKED bool json_to_i64(const struct json_value *value, int64_t *ret_value);

/* Any number, rounded down to a whole one, exactly and without a double: 1.5e3 is 1500, -0.1 is -1.
 * For dates in tokens, which may carry a fraction (RFC 7519, 2). False beyond int64_t. */
PC_CHECKED bool json_to_i64_floor(const struct json_value *value, int64_t *ret_value);

#endif
