/* SPDX-License-Identifier: MIT
 * base64url and base64, one text for one value: what a lenient decoder would pass over is refused,
 * so that a token cannot be changed without breaking it. RFC 4648, 3.5, 4 and 5; RFC 7515, 2.
 *
 * base64 is base64url with two other characters and padding, and is read and written as that. */
#include "crypto/digest.h"

static const char characters[64] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* 1 + the six bits of a character; 0 for one that is not of the alphabet. */
static const unsigned char values[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['-'] = 63, ['_'] = 64,
};

void crypto_base64url_add(struct sbuf *out, struct span data)
{
    const unsigned char *in = (const unsigned char *)data.ptr;
    size_t left = data.len;

    while (left > 0) {
        uint32_t bits = (uint32_t)in[0] << 16;
        size_t take = left < 3 ? left : 3;
        char text[4];

        if (take > 1)
            bits |= (uint32_t)in[1] << 8;
        if (take > 2)
            bits |= in[2];
        for (unsigned i = 0; i < 4; i++)
            text[i] = characters[(bits >> (18 - 6 * i)) & 63];
        sbuf_add_bytes(out, text, take + 1);
        in += take;
        left -= take;
    }
}

/* `count` (2 to 4) characters give count - 1 bytes; false when a character or a spare bit is wrong.
 */
static inline bool group_decode(const unsigned char *text, size_t count, unsigned char *out)
{
    uint32_t bits = 0;
    bool good = true;

    for (size_t i = 0; i < count; i++) {
        unsigned value = values[text[i]];

        good &= value != 0;
        bits |= (uint32_t)((value - 1U) & 63U) << (18 - 6 * i);
    }
    for (size_t i = 0; i + 1 < count; i++)
        out[i] = (unsigned char)(bits >> (16 - 8 * i));
    return good && (bits & (0xffffffU >> (8 * (count - 1)))) == 0;
}

enum err crypto_base64url_decode(struct span text, void *buffer, size_t buffer_bytes,
                                 size_t *ret_bytes)
{
    const unsigned char *in = (const unsigned char *)text.ptr;
    unsigned char *out = buffer;
    size_t tail = text.len % 4;
    size_t bytes = text.len / 4 * 3 + tail * 3 / 4;

    if (tail == 1)
        return ERR_BAD_REQUEST;
    if (bytes > buffer_bytes)
        return ERR_NO_SPACE;
    for (size_t left = text.len / 4; left > 0; left--, in += 4, out += 3) {
        if (!group_decode(in, 4, out)) /* of a size that the compiler knows */
            return ERR_BAD_REQUEST;
    }
    if (tail > 0 && !group_decode(in, tail, out))
        return ERR_BAD_REQUEST;
    *ret_bytes = bytes;
    return ERR_OK;
}

enum err crypto_base64url_read(struct span text, struct arena *arena, struct span *ret_data)
{
    size_t bytes_max = text.len / 4 * 3 + 3;
    char *buffer = arena_bytes(arena, bytes_max);
    size_t bytes;
    enum err err;

    if (buffer == NULL)
        return ERR_NO_MEMORY;
    err = crypto_base64url_decode(text, buffer, bytes_max, &bytes);
    if (err)
        return err;
    *ret_data = span_make(buffer, bytes);
    return ERR_OK;
}

/* ---- base64 ---- */

void crypto_base64_add(struct sbuf *out, struct span data)
{
    size_t begin = out->len;

    crypto_base64url_add(out, data);
    for (size_t i = begin; i < out->len; i++) {
        if (out->ptr[i] == '-')
            out->ptr[i] = '+';
        else if (out->ptr[i] == '_')
            out->ptr[i] = '/';
    }
    for (size_t i = data.len; i % 3 != 0; i++)
        sbuf_add_char(out, '=');
}

/* The characters of base64url in `text`, four at a time; false for what is none of base64. */
static bool group_translate(struct span text, size_t at, char group[4])
{
    for (size_t i = 0; i < 4; i++) {
        char c = text.ptr[at + i];

        if (c == '-' || c == '_')
            return false;
        group[i] = c == '+' ? '-' : c == '/' ? '_' : c;
    }
    return true;
}

enum err crypto_base64_decode(struct span text, void *buffer, size_t buffer_bytes,
                              size_t *ret_bytes)
{
    unsigned char *out = buffer;
    size_t bytes = 0;

    if (text.len % 4 != 0)
        return ERR_BAD_REQUEST;
    for (size_t at = 0; at < text.len; at += 4) {
        char group[4];
        size_t count = 4;
        size_t got = 0;
        enum err err;

        if (!group_translate(text, at, group))
            return ERR_BAD_REQUEST;
        while (at + 4 == text.len && count > 2 && group[count - 1] == '=')
            count--;
        err = crypto_base64url_decode(span_make(group, count), out + bytes, buffer_bytes - bytes,
                                      &got);
        if (err)
            return err;
        bytes += got;
    }
    *ret_bytes = bytes;
    return ERR_OK;
}
