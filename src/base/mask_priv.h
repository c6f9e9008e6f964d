/* SPDX-License-Identifier: MIT
 * Shared by the files that look for card data. Text is read character by character with the
 * disguises taken off: digits of all scripts, wide letters, and the %31 of a URL read as what they
 * mean, all spaces as ' ', all dashes as '-', and what has no width is passed over.
 *
 * What is found is hidden character by character, each by a star of as many bytes, so that nothing
 * after it moves.
 *
 * Threads: pure.    Memory: none. */
#ifndef PC_BASE_MASK_PRIV_H
#define PC_BASE_MASK_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mask.h"

enum {
    MASK_END = 0,        /* before the first and after the last character */
    MASK_OTHER = 0xFFFD, /* not UTF-8, and NUL */
    MASK_STAR = '*',     /* of any width */
    MASK_PAN_DIGITS_MIN = 13,
    MASK_PAN_DIGITS_MAX = 19,
    MASK_LAST_SHOWN = 4,
};

struct mask_char {
    uint32_t code; /* folded; MASK_END where there is none */
    size_t at;
    size_t end;
};

/* The text under the scan. Hiding writes into `out`, which is the text itself; NULL to only ask. */
struct mask_scan {
    struct span text;
    char *out;
    bool found;
};

/* Some digits in a row, `from` to `to`, and how many. */
struct mask_group {
    size_t from;
    size_t to;
    size_t count;
};

struct mask_char mask_char_next_slowly(struct span text, size_t at);
struct mask_char mask_char_before_slowly(struct span text, size_t at);

static inline uint32_t mask_fold_ascii(unsigned char c)
{
    if (c > ' ')
        return c;
    return c == 0 ? MASK_OTHER : c == ' ' || (c >= '\t' && c <= '\r') ? ' ' : c;
}

/* The first character at or after `at`. */
static inline struct mask_char mask_char_next(struct span text, size_t at)
{
    unsigned char c = at < text.len ? (unsigned char)text.ptr[at] : '%';

    if (PC_UNLIKELY(c >= 0x80 || c == '%'))
        return mask_char_next_slowly(text, at);
    return (struct mask_char){.code = mask_fold_ascii(c), .at = at, .end = at + 1};
}

/* The last one before it. */
static inline struct mask_char mask_char_before(struct span text, size_t at)
{
    unsigned char c = at > 0 ? (unsigned char)text.ptr[at - 1] : 0x80;

    if (PC_UNLIKELY(c >= 0x80 || (at >= 3 && text.ptr[at - 3] == '%')))
        return mask_char_before_slowly(text, at);
    return (struct mask_char){.code = mask_fold_ascii(c), .at = at - 1, .end = at};
}

/* Where the next digit is; text.len when there is none. */
size_t mask_char_digit(struct span text, size_t at);

static inline bool mask_is_digit(uint32_t code)
{
    return code >= '0' && code <= '9';
}

static inline bool mask_is_letter(uint32_t code)
{
    return (code >= 'A' && code <= 'Z') || (code >= 'a' && code <= 'z');
}

static inline uint32_t mask_lower(uint32_t code)
{
    return (code >= 'A' && code <= 'Z') ? code | 0x20U : code;
}

/* Hides one character, or all from `from` to `to`. */
void mask_hide(struct mask_scan *scan, size_t at, size_t end);
void mask_hide_all(struct mask_scan *scan, size_t from, size_t to);

/* Each hides what it knows around these digits and returns where to go on, or 0 when it is none. */
size_t mask_iban(struct mask_scan *scan, size_t digit_at);
size_t mask_track(struct mask_scan *scan, const struct mask_group *group);
bool mask_code(struct mask_scan *scan, const struct mask_group *group);

/* A run of digits with separators between them, its card numbers hidden; returns its end. */
size_t mask_run(struct mask_scan *scan, size_t digit_at);

/* Whether these could be a card's digits: issuer, length, Luhn. ISO/IEC 7812-1. */
bool mask_is_pan(const unsigned char *digits, size_t count);

#endif
