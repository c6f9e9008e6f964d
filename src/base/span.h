/* SPDX-License-Identifier: MIT
 * Text as pointer and length, and the few questions asked of it everywhere. Nothing here depends on
 * the locale. A span does not own its bytes and need not end in NUL.
 *
 * Threads: pure.    Memory: plain values. */
#ifndef PC_BASE_SPAN_H
#define PC_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"

struct span {
    const char *ptr; /* NULL only when len is 0 */
    size_t len;      /* bytes */
};

/* A span of a literal, usable in constant tables. */
#define SPAN(literal)                                                                              \
    {                                                                                              \
        .ptr = (literal), .len = sizeof(literal) - 1                                               \
    }
/* The same as an expression. */
#define SPAN_OF(literal) ((struct span)SPAN(literal))
/* For printf's "%.*s". */
#define SPAN_ARG(span) (int)(span).len, (span).ptr ? (span).ptr : ""

/* These are asked for every header of every request: here, so that a literal's length is known when
 * the program is compiled. */

/* NULL gives the empty span. */
static inline struct span span_from(const char *text)
{
    return (struct span){.ptr = text, .len = text ? strlen(text) : 0};
}

/* From a pointer and a length. */
static inline struct span span_make(const void *ptr, size_t len)
{
    PC_ASSERT(ptr != NULL || len == 0);
    return (struct span){.ptr = ptr, .len = len};
}

/* [from, to), both clamped. */
static inline struct span span_slice(struct span s, size_t from, size_t to)
{
    PC_ASSERT(s.ptr != NULL || s.len == 0);
    if (s.len == 0)
        return s;
    if (to > s.len)
        to = s.len;
    if (from > to)
        from = to;
    return (struct span){.ptr = s.ptr + from, .len = to - from};
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool span_is(struct span a, const char *text)
{
    return span_equal(a, span_from(text));
}

static inline bool span_starts(struct span s, struct span prefix)
{
    return s.len >= prefix.len && span_equal(span_slice(s, 0, prefix.len), prefix);
}

static inline bool span_ends(struct span s, struct span suffix)
{
    return s.len >= suffix.len && span_equal(span_slice(s, s.len - suffix.len, s.len), suffix);
}

bool span_equal_nocase(struct span a, struct span b); /* ASCII letters only */
bool span_is_nocase(struct span a, const char *text);
int span_compare(struct span a, struct span b); /* by bytes, like memcmp */

/* The index of `c`, or s.len when it is absent. */
size_t span_find(struct span s, char c);

/* Takes the part before the first `separator` off *rest. False when *rest is used up. */
bool span_cut(struct span *rest, char separator, struct span *ret_part);

/* Without spaces and tabs at both ends. */
struct span span_trim(struct span s);

/* Decimal digits only, no sign, no leading '+', at least one digit; false if out of range. */
PC_CHECKED bool span_to_u64(struct span s, uint64_t *ret_value);
PC_CHECKED bool span_to_i64(struct span s, int64_t *ret_value); /* one leading '-' allowed */

/* Well-formed UTF-8 without surrogates and overlong forms (RFC 3629). NUL is a valid character. */
bool span_is_utf8(struct span s);

/* How many characters (code points) well-formed UTF-8 holds. */
size_t span_utf8_length(struct span s);

/* Equal in time that depends on the lengths alone. For secrets. */
bool span_equal_secret(struct span a, struct span b);

/* Edit distance (insert, delete, change, swap of neighbours), capped at 64 bytes a side: for "did
 * you mean". */
size_t span_distance(struct span a, struct span b);

static inline char span_lower_char(char c)
{
    return (c >= 'A' && c <= 'Z') ? (char)(c | 0x20) : c;
}

#endif
