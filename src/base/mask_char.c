/* SPDX-License-Identifier: MIT
 * Characters with their disguises taken off. Where a number is written in other digits, with wide
 * letters or with invisible marks between, it is the same number to the person who reads it. */
#include <string.h>

#include "base/mask_priv.h"

/* The character that means zero; the nine behind it mean one to nine. Unicode 14, category Nd, and
 * the small, circled and boxed ones. */
static const uint32_t zeros[] = {
    0x660,   0x6F0,   0x7C0,   0x966,   0x9E6,   0xA66,   0xAE6,   0xB66,   0xBE6,
    0xC66,   0xCE6,   0xD66,   0xDE6,   0xE50,   0xED0,   0xF20,   0x1040,  0x1090,
    0x17E0,  0x1810,  0x1946,  0x19D0,  0x1A80,  0x1A90,  0x1B50,  0x1BB0,  0x1C40,
    0x1C50,  0x2070,  0x2080,  0x245F,  0x2775,  0x277F,  0x2789,  0xA620,  0xA8D0,
    0xA900,  0xA9D0,  0xA9F0,  0xAA50,  0xABF0,  0xFF10,  0x104A0, 0x10D30, 0x11066,
    0x110F0, 0x11136, 0x111D0, 0x112F0, 0x11450, 0x114D0, 0x11650, 0x116C0, 0x11730,
    0x118E0, 0x11950, 0x11C50, 0x11D50, 0x11DA0, 0x16A60, 0x16AC0, 0x16B50, 0x1D7CE,
    0x1D7D8, 0x1D7E2, 0x1D7EC, 0x1D7F6, 0x1E140, 0x1E2F0, 0x1E950, 0x1F101, 0x1FBF0};

struct range {
    uint32_t first;
    uint32_t last;
};

/* Nothing to see: category Cf, marks that sit on the character before, variation selectors. */
static const struct range widthless[] = {
    {0xAD, 0xAD},     {0x300, 0x36F},   {0x600, 0x605},     {0x61C, 0x61C},     {0x180B, 0x180F},
    {0x200B, 0x200F}, {0x202A, 0x202E}, {0x2060, 0x206F},   {0x20D0, 0x20F0},   {0xFE00, 0xFE0F},
    {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}, {0xE0001, 0xE007F}, {0xE0100, 0xE01EF},
};

static const struct range spaces[] = {
    {0x85, 0x85},     {0xA0, 0xA0},     {0x1680, 0x1680}, {0x2000, 0x200A},
    {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000},
};

static const struct range dashes[] = {
    {0x58A, 0x58A},   {0x5BE, 0x5BE},   {0x1806, 0x1806}, {0x2010, 0x2015},
    {0x2043, 0x2043}, {0x2212, 0x2212}, {0x2E3A, 0x2E3B}, {0x301C, 0x301C},
    {0x3030, 0x3030}, {0xFE58, 0xFE58}, {0xFE63, 0xFE63}, {0xFF0D, 0xFF0D},
};

static bool in_ranges(uint32_t code, const struct range *ranges, size_t count)
{
    for (size_t i = 0; i < count && code >= ranges[i].first; i++) {
        if (code <= ranges[i].last)
            return true;
    }
    return false;
}

static uint32_t digit_of(uint32_t code)
{
    size_t low = 0;
    size_t high = PC_COUNT(zeros);

    while (high - low > 1) { /* zeros[low] <= code, if any is */
        size_t middle = (low + high) / 2;

        if (zeros[middle] <= code)
            low = middle;
        else
            high = middle;
    }
    return code >= zeros[low] && code - zeros[low] <= 9 ? '0' + code - zeros[low] : code;
}

/* Of a character beyond ASCII; 0 for one without width. */
static uint32_t fold_wide(uint32_t code)
{
    if (code >= 0x3040 && code < 0xA620) /* most of the world's ideographs: none of these */
        return code;
    if (in_ranges(code, widthless, PC_COUNT(widthless)))
        return 0;
    if (in_ranges(code, spaces, PC_COUNT(spaces)))
        return ' ';
    if (in_ranges(code, dashes, PC_COUNT(dashes)))
        return '-';
    if (code == 0xB2 || code == 0xB3)
        return code - 0xB2 + '2';
    if (code == 0xB9)
        return '1';
    if (code == 0x66D || code == 0x1F7AF) /* our own stars */
        return MASK_STAR;
    if (code >= 0xFF01 && code <= 0xFF5E) /* the wide ASCII */
        return code - 0xFF01 + '!';
    return digit_of(code);
}

static bool hex_value(char c, uint32_t *ret_value)
{
    uint32_t lower = mask_lower((unsigned char)c);

    if (lower >= '0' && lower <= '9')
        *ret_value = lower - '0';
    else if (lower >= 'a' && lower <= 'f')
        *ret_value = lower - 'a' + 10;
    else
        return false;
    return true;
}

/* "%34": the digits, separators and signs that numbers and tracks are made of; 0 for any other. */
static uint32_t percent_at(struct span text, size_t at)
{
    uint32_t high;
    uint32_t low;
    uint32_t code;

    if (text.len - at < 3 || text.ptr[at] != '%' || !hex_value(text.ptr[at + 1], &high) ||
        !hex_value(text.ptr[at + 2], &low))
        return 0;
    code = high << 4 | low;
    return (code >= '0' && code <= '9') || strchr(" %*+-;=?^", (int)code) != NULL ? code : 0;
}

/* The bytes of the UTF-8 character that begins here and is whole; 1 for anything else. */
static size_t utf8_bytes(struct span text, size_t at)
{
    unsigned char lead = (unsigned char)text.ptr[at];
    size_t bytes = lead >= 0xF0 && lead <= 0xF4 ? 4 : lead >= 0xE0 ? 3 : 2;

    if (lead < 0xC2 || lead > 0xF4 || text.len - at < bytes)
        return 1;
    return span_is_utf8(span_slice(text, at, at + bytes)) ? bytes : 1;
}

static uint32_t utf8_code(const char *ptr, size_t bytes)
{
    uint32_t code = (unsigned char)ptr[0] & (0xFFU >> (bytes + 1));

    for (size_t i = 1; i < bytes; i++)
        code = code << 6 | ((unsigned char)ptr[i] & 0x3FU);
    return code;
}

/* The character that begins here; its code is 0 when it has no width. */
static struct mask_char char_at(struct span text, size_t at)
{
    unsigned char c = (unsigned char)text.ptr[at];
    uint32_t percent = percent_at(text, at);
    size_t bytes;

    if (percent != 0)
        return (struct mask_char){.code = percent, .at = at, .end = at + 3};
    if (c < 0x80)
        return (struct mask_char){.code = mask_fold_ascii(c), .at = at, .end = at + 1};
    bytes = utf8_bytes(text, at);
    if (bytes == 1)
        return (struct mask_char){.code = MASK_OTHER, .at = at, .end = at + 1};
    return (struct mask_char){
        .code = fold_wide(utf8_code(text.ptr + at, bytes)), .at = at, .end = at + bytes};
}

struct mask_char mask_char_next_slowly(struct span text, size_t at)
{
    while (at < text.len) {
        struct mask_char c = char_at(text, at);

        if (c.code != 0)
            return c;
        at = c.end;
    }
    return (struct mask_char){.code = MASK_END, .at = text.len, .end = text.len};
}

/* Where the character that ends here begins. */
static size_t begin_before(struct span text, size_t at)
{
    if (at >= 3 && percent_at(span_slice(text, 0, at), at - 3) != 0)
        return at - 3;
    for (size_t bytes = 2; bytes <= 4 && bytes <= at; bytes++) {
        if (utf8_bytes(span_slice(text, 0, at), at - bytes) == bytes)
            return at - bytes;
    }
    return at - 1;
}

struct mask_char mask_char_before_slowly(struct span text, size_t at)
{
    while (at > 0) {
        struct mask_char c = char_at(text, begin_before(text, at));

        if (c.code != 0)
            return c;
        at = c.at;
    }
    return (struct mask_char){.code = MASK_END, .at = 0, .end = 0};
}

/* Of eight bytes at once, the top bits of those that are a digit or beyond ASCII. A sum never
 * carries into the next byte, since the bytes are below 0x80. */
static uint64_t interest_of(uint64_t bytes)
{
    const uint64_t tops = UINT64_C(0x8080808080808080);
    uint64_t from_zero = (bytes & ~tops) + UINT64_C(0x5050505050505050); /* top bit: >= '0' */
    uint64_t past_nine = (bytes & ~tops) + UINT64_C(0x4646464646464646); /* top bit: > '9' */

    return (bytes | (from_zero & ~past_nine)) & tops;
}

/* The first byte of a digit in UTF-8, as far as one byte can tell. */
static bool may_begin_digit(unsigned char byte)
{
    switch (byte) {
    case 0xC2:
    case 0xD9:
    case 0xDB:
    case 0xDF:
    case 0xE0:
    case 0xE1:
    case 0xE2:
    case 0xEA:
    case 0xEF:
    case 0xF0:
        return true;
    default:
        return mask_is_digit(byte);
    }
}

static size_t skip_plain(struct span text, size_t at)
{
    uint64_t bytes;
    uint64_t found;

    while (text.len - at >= sizeof(bytes)) {
        memcpy(&bytes, text.ptr + at, sizeof(bytes)); /* the first is the lowest; see hash.c */
        found = interest_of(bytes);
        if (found == 0) {
            at += sizeof(bytes);
            continue;
        }
        at += (size_t)__builtin_ctzll(found) / 8;
        if (may_begin_digit((unsigned char)text.ptr[at]))
            return at;
        at++;
    }
    while (at < text.len && !may_begin_digit((unsigned char)text.ptr[at]))
        at++;
    return at;
}

size_t mask_char_digit(struct span text, size_t at)
{
    size_t from = at;

    while ((at = skip_plain(text, at)) < text.len) {
        bool encoded = at > from && text.ptr[at - 1] == '%' && percent_at(text, at - 1) != 0;
        struct mask_char c;

        if (PC_LIKELY(!encoded && mask_is_digit((unsigned char)text.ptr[at])))
            return at;
        c = char_at(text, encoded ? at - 1 : at);
        if (mask_is_digit(c.code))
            return c.at;
        at = c.end;
    }
    return text.len;
}
