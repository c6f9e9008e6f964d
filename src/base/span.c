/* SPDX-License-Identifier: MIT
 * Questions asked of text; see span.h. Kept free of locale and of NUL-terminated conventions, so
 * that a NUL sent by a client is one byte among others. */
#include "base/span.h"

#include <string.h>

enum { DISTANCE_BYTES_MAX = 64 };

bool span_equal_nocase(struct span a, struct span b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (span_lower_char(a.ptr[i]) != span_lower_char(b.ptr[i]))
            return false;
    }
    return true;
}

bool span_is_nocase(struct span a, const char *text)
{
    return span_equal_nocase(a, span_from(text));
}

int span_compare(struct span a, struct span b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter == 0 ? 0 : memcmp(a.ptr, b.ptr, shorter);

    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

size_t span_find(struct span s, char c)
{
    const char *at = s.len == 0 ? NULL : memchr(s.ptr, c, s.len);

    return at ? (size_t)(at - s.ptr) : s.len;
}

bool span_cut(struct span *rest, char separator, struct span *ret_part)
{
    size_t at;

    if (rest->ptr == NULL)
        return false;
    at = span_find(*rest, separator);
    *ret_part = span_slice(*rest, 0, at);
    if (at == rest->len)
        *rest = (struct span){0};
    else
        *rest = span_slice(*rest, at + 1, rest->len);
    return true;
}

struct span span_trim(struct span s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

bool span_to_u64(struct span s, uint64_t *ret_value)
{
    uint64_t value = 0;

    if (s.len == 0 || s.len > 20)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        if (__builtin_mul_overflow(value, 10U, &value) ||
            __builtin_add_overflow(value, (uint64_t)(s.ptr[i] - '0'), &value))
            return false;
    }
    *ret_value = value;
    return true;
}

bool span_to_i64(struct span s, int64_t *ret_value)
{
    bool negative = s.len > 0 && s.ptr[0] == '-';
    uint64_t value;

    if (!span_to_u64(negative ? span_slice(s, 1, s.len) : s, &value))
        return false;
    if (value > (uint64_t)INT64_MAX + (negative ? 1U : 0U))
        return false;
    *ret_value = negative ? (int64_t)(0U - value) : (int64_t)value;
    return true;
}

/* Length of the well-formed character at p, or 0. RFC 3629, 4. */
static size_t utf8_char(const unsigned char *p, size_t left)
{
    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xC2 && p[0] <= 0xDF)
        return left >= 2 && (p[1] & 0xC0) == 0x80 ? 2 : 0;
    if (p[0] >= 0xE0 && p[0] <= 0xEF) {
        if (left < 3 || (p[1] & 0xC0) != 0x80 || (p[2] & 0xC0) != 0x80)
            return 0;
        if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F))
            return 0;
        return 3;
    }
    if (p[0] >= 0xF0 && p[0] <= 0xF4) {
        if (left < 4 || (p[1] & 0xC0) != 0x80 || (p[2] & 0xC0) != 0x80 || (p[3] & 0xC0) != 0x80)
            return 0;
        if ((p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F))
            return 0;
        return 4;
    }
    return 0;
}

static bool eight_are_ascii(const unsigned char *p)
{
    uint64_t eight;

    memcpy(&eight, p, sizeof(eight));
    return (eight & UINT64_C(0x8080808080808080)) == 0;
}

/* Most text is: eight bytes are looked at at once, the last of them with some before them again. */
static bool is_ascii(const unsigned char *p, size_t len)
{
    size_t i = 0;

    if (len < 8) {
        while (i < len && p[i] < 0x80)
            i++;
        return i == len;
    }
    while (i + 8 <= len && eight_are_ascii(p + i))
        i += 8;
    return i + 8 > len && eight_are_ascii(p + len - 8);
}

bool span_is_utf8(struct span s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;

    if (is_ascii(p, s.len))
        return true;
    for (size_t i = 0; i < s.len;) {
        size_t step = s.len - i >= 8 && eight_are_ascii(p + i) ? 8 : utf8_char(p + i, s.len - i);

        if (step == 0)
            return false;
        i += step;
    }
    return true;
}

size_t span_utf8_length(struct span s)
{
    size_t count = 0;

    for (size_t i = 0; i < s.len; i++)
        count += ((unsigned char)s.ptr[i] & 0xC0) != 0x80;
    return count;
}

bool span_equal_secret(struct span a, struct span b)
{
    volatile unsigned char difference = a.len != b.len;

    for (size_t i = 0; i < a.len && b.len > 0; i++)
        difference |= (unsigned char)a.ptr[i] ^ (unsigned char)b.ptr[i % b.len];
    return difference == 0;
}

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return least < c ? least : c;
}

size_t span_distance(struct span a, struct span b)
{
    size_t rows[3][DISTANCE_BYTES_MAX + 1];

    a = span_slice(a, 0, DISTANCE_BYTES_MAX);
    b = span_slice(b, 0, DISTANCE_BYTES_MAX);
    for (size_t j = 0; j <= b.len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t *now = rows[i % 3];
        const size_t *before = rows[(i - 1) % 3];

        now[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t change = a.ptr[i - 1] == b.ptr[j - 1] ? 0 : 1;

            now[j] = smallest(before[j] + 1, now[j - 1] + 1, before[j - 1] + change);
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1] &&
                rows[(i - 2) % 3][j - 2] + 1 < now[j])
                now[j] = rows[(i - 2) % 3][j - 2] + 1;
        }
    }
    return rows[a.len % 3][b.len];
}
