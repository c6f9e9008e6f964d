/* SPDX-License-Identifier: MIT
 * The bounded builder of sbuf.h. Every append goes through room(), the only place that looks at
 * capacity. */
#include "base/sbuf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { GROW_BYTES_MIN = 256 };

struct sbuf sbuf_on(struct arena *arena, size_t bytes_max)
{
    return (struct sbuf){.arena = arena, .bytes_max = bytes_max};
}

struct sbuf sbuf_over(void *buffer, size_t bytes)
{
    return (struct sbuf){.ptr = buffer, .cap = bytes, .bytes_max = bytes};
}

/* Rare, and kept out of what calls it. */
static __attribute__((noinline)) bool grow(struct sbuf *out, size_t bytes)
{
    size_t cap = out->cap ? out->cap * 2 : GROW_BYTES_MIN;
    char *ptr;

    if (out->arena == NULL || bytes > out->bytes_max - out->len)
        return false;
    while (cap < out->len + bytes)
        cap *= 2;
    if (cap > out->bytes_max)
        cap = out->bytes_max;
    ptr = arena_extend(out->arena, out->ptr, out->cap, cap);
    if (ptr == NULL)
        return false;
    out->ptr = ptr;
    out->cap = cap;
    return true;
}

/* Where `bytes` more bytes go, or NULL, after which nothing more is taken. */
static inline char *room(struct sbuf *out, size_t bytes)
{
    char *at;

    if (PC_UNLIKELY(out->full))
        return NULL;
    if (PC_UNLIKELY(bytes > out->cap - out->len) && !grow(out, bytes)) {
        out->full = true;
        return NULL;
    }
    at = out->ptr + out->len;
    out->len += bytes;
    return at;
}

void sbuf_add_slowly(struct sbuf *out, const void *ptr, size_t len)
{
    char *at;

    if (len == 0)
        return;
    at = room(out, len);
    if (at != NULL)
        memcpy(at, ptr, len);
}

/* From the place of its highest bit: 1233 / 4096 is the logarithm of 2 to the base of 10. */
static size_t digits_of(uint64_t value)
{
    static const uint64_t powers[] = {UINT64_C(0),
                                      UINT64_C(10),
                                      UINT64_C(100),
                                      UINT64_C(1000),
                                      UINT64_C(10000),
                                      UINT64_C(100000),
                                      UINT64_C(1000000),
                                      UINT64_C(10000000),
                                      UINT64_C(100000000),
                                      UINT64_C(1000000000),
                                      UINT64_C(10000000000),
                                      UINT64_C(100000000000),
                                      UINT64_C(1000000000000),
                                      UINT64_C(10000000000000),
                                      UINT64_C(100000000000000),
                                      UINT64_C(1000000000000000),
                                      UINT64_C(10000000000000000),
                                      UINT64_C(100000000000000000),
                                      UINT64_C(1000000000000000000),
                                      UINT64_C(10000000000000000000)};
    size_t bits = 64 - (size_t)__builtin_clzll(value | 1);
    size_t least = bits * 1233 >> 12;

    return least + (value >= powers[least]);
}

/* Straight to their place, two at a time from the end: a request's answer and log line have fifteen
 * numbers. */
void sbuf_add_u64(struct sbuf *out, uint64_t value)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    size_t digits = digits_of(value);
    char *at = room(out, digits);

    if (at == NULL)
        return;
    for (at += digits; value >= 100; value /= 100) {
        at -= 2;
        memcpy(at, pairs + 2 * (value % 100), 2);
    }
    if (value >= 10)
        memcpy(at - 2, pairs + 2 * value, 2);
    else
        at[-1] = (char)('0' + value);
}

void sbuf_add_i64(struct sbuf *out, int64_t value)
{
    if (value < 0)
        sbuf_add_char(out, '-');
    sbuf_add_u64(out, value < 0 ? 0U - (uint64_t)value : (uint64_t)value);
}

void sbuf_add_hex(struct sbuf *out, const void *ptr, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *bytes = ptr;
    char *at = len == 0 ? NULL : room(out, len * 2);

    for (size_t i = 0; at != NULL && i < len; i++) {
        *at++ = digits[bytes[i] >> 4];
        *at++ = digits[bytes[i] & 15];
    }
}

void sbuf_add_format(struct sbuf *out, const char *format, ...)
{
    va_list args;
    va_list again;
    int len;
    char *at;

    va_start(args, format);
    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    PC_ASSERT(len >= 0);
    /* vsnprintf writes a NUL behind the text: ask for it, then give it back. */
    at = room(out, (size_t)len + 1);
    if (at != NULL) {
        (void)vsnprintf(at, (size_t)len + 1, format, again);
        out->len--;
    }
    va_end(again);
}

static void add_escape(struct sbuf *out, unsigned char c)
{
    static const char digits[] = "0123456789abcdef";
    static const char shorts[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
                                  ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\'};
    char text[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};

    if (c < sizeof(shorts) && shorts[c] != '\0') {
        text[1] = shorts[c];
        sbuf_add_bytes(out, text, 2);
        return;
    }
    sbuf_add_bytes(out, text, sizeof(text));
}

/* May all eight bytes be copied as they are? Each term lifts the top bit of a byte that may not be:
 * control, quote, backslash, DEL, beyond ASCII. (A borrow may lift one bit too many: then the bytes
 * are looked at one by one.) */
static bool plain_eight(const char *bytes)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t x;

    memcpy(&x, bytes, sizeof(x));
    return (((x - ones * 0x20) | ((x ^ (ones * '"')) - ones) | ((x ^ (ones * '\\')) - ones) | x |
             (x + ones)) &
            (ones * 0x80)) == 0;
}

/* How many bytes from `at` may be copied as they are. */
static size_t plain_run(struct span s, size_t at)
{
    size_t end = at;

    while (s.len - end >= 8 && plain_eight(s.ptr + end))
        end += 8;
    if (s.len - end < 8 && s.len - at >= 8 && plain_eight(s.ptr + s.len - 8))
        end = s.len; /* the last eight, some of them once more */
    while (end < s.len) {
        unsigned char c = (unsigned char)s.ptr[end];

        if (c < 0x20 || c == '"' || c == '\\' || c >= 0x7F)
            break;
        end++;
    }
    return end - at;
}

void sbuf_add_json(struct sbuf *out, struct span s)
{
    sbuf_add_char(out, '"');
    for (size_t i = 0; i < s.len;) {
        size_t run = plain_run(s, i);
        unsigned char c;
        size_t step = 1;

        sbuf_add_bytes(out, s.ptr + i, run);
        i += run;
        if (i == s.len)
            break;
        c = (unsigned char)s.ptr[i];
        if (c < 0x80) {
            add_escape(out, c);
        } else {
            while (step < 4 && i + step < s.len && ((unsigned char)s.ptr[i + step] & 0xC0) == 0x80)
                step++;
            if (span_is_utf8(span_slice(s, i, i + step))) {
                sbuf_add_bytes(out, s.ptr + i, step);
            } else {
                sbuf_add_lit(out, "\\ufffd");
                step = 1;
            }
        }
        i += step;
    }
    sbuf_add_char(out, '"');
}

void sbuf_truncate(struct sbuf *out, size_t len)
{
    PC_ASSERT(len <= out->len);
    out->len = len;
    out->full = false;
}

enum err sbuf_finish(const struct sbuf *out, struct span *ret_text)
{
    if (out->full)
        return ERR_NO_SPACE;
    *ret_text = sbuf_span(out);
    return ERR_OK;
}
