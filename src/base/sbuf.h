/* SPDX-License-Identifier: MIT
 * A bounded, append-only text builder: the only way text is put together. It cannot overflow: what
 * does not fit is dropped whole and leaves a sticky mark, so a caller checks once, at the end.
 *
 * Threads: one at a time.    Memory: on an arena or over a buffer that the caller owns. */
#ifndef PC_BASE_SBUF_H
#define PC_BASE_SBUF_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"

struct sbuf {
    char *ptr;
    size_t len;          /* bytes so far */
    size_t cap;          /* bytes there is room for before it must grow */
    size_t bytes_max;    /* it may grow to this on its arena */
    struct arena *arena; /* NULL: fixed buffer */
    bool full;           /* sticky: something was left out */
};

/* Grows on the arena up to bytes_max. */
struct sbuf sbuf_on(struct arena *arena, size_t bytes_max);

/* Over a fixed buffer. */
struct sbuf sbuf_over(void *buffer, size_t bytes);

void sbuf_add_slowly(struct sbuf *out, const void *ptr, size_t len); /* what does not just fit */

/* Inline, since answers are put together from dozens of pieces: a piece of constant length becomes
 * a comparison and a move. */
static inline void sbuf_add_bytes(struct sbuf *out, const void *ptr, size_t len)
{
    if (PC_LIKELY(!out->full && len <= out->cap - out->len && len > 0)) {
        memcpy(out->ptr + out->len, ptr, len); /* NOLINT: bytes that there are have an address */
        out->len += len;
    } else {
        sbuf_add_slowly(out, ptr, len);
    }
}

static inline void sbuf_add(struct sbuf *out, struct span s)
{
    sbuf_add_bytes(out, s.ptr, s.len);
}

static inline void sbuf_add_char(struct sbuf *out, char c)
{
    sbuf_add_bytes(out, &c, 1);
}

static inline void sbuf_add_text(struct sbuf *out, const char *text)
{
    sbuf_add_bytes(out, text, strlen(text));
}

void sbuf_add_u64(struct sbuf *out, uint64_t value);
void sbuf_add_i64(struct sbuf *out, int64_t value);
void sbuf_add_hex(struct sbuf *out, const void *ptr, size_t len); /* lower case */
PC_FORMAT(2, 3) void sbuf_add_format(struct sbuf *out, const char *format, ...);

/* A JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. RFC 8259, 7. */
void sbuf_add_json(struct sbuf *out, struct span s);

/* Appends a literal. */
#define sbuf_add_lit(out, literal) sbuf_add_bytes((out), (literal), sizeof(literal) - 1)

/* Takes back everything after `len`, and the sticky mark with it. */
void sbuf_truncate(struct sbuf *out, size_t len);

static inline struct span sbuf_span(const struct sbuf *out)
{
    return (struct span){.ptr = out->ptr, .len = out->len};
}

/* ERR_NO_SPACE if anything was left out. */
PC_CHECKED enum err sbuf_finish(const struct sbuf *out, struct span *ret_text);

#endif
