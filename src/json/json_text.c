/* SPDX-License-Identifier: MIT
 * The reader's scalars: texts with their escapes, and the shape of numbers. A text without an
 * escape stays where it was read; one with escapes is decoded into the arena. */
#include "json/json_priv.h"

#include <string.h>

/* The bytes of the character at the front, or 0 when there is no whole one. */
static size_t good_character(struct span s)
{
    for (size_t bytes = 1; bytes <= 4 && bytes <= s.len; bytes++) {
        if (span_is_utf8(span_slice(s, 0, bytes)))
            return bytes;
    }
    return 0;
}

/* How many bytes at the front are whole characters. Only walked when some are not. */
static size_t good_utf8(struct span s)
{
    size_t at = 0;
    size_t step;

    while ((step = good_character(span_slice(s, at, s.len))) > 0)
        at += step;
    return at;
}

/* Four hexadecimal digits, or -1. */
static int32_t hex4(const char *at, const char *end)
{
    int32_t value = 0;

    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int32_t digit;

        if (c >= '0' && c <= '9')
            digit = c - '0';
        else if (span_lower_char(c) >= 'a' && span_lower_char(c) <= 'f')
            digit = span_lower_char(c) - 'a' + 10;
        else
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static char *put_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        *out++ = (char)code;
        return out;
    }
    if (code < 0x800) {
        *out++ = (char)(0xC0 | code >> 6);
    } else {
        if (code < 0x10000) {
            *out++ = (char)(0xE0 | code >> 12);
        } else {
            *out++ = (char)(0xF0 | code >> 18);
            *out++ = (char)(0x80 | (code >> 12 & 0x3F));
        }
        *out++ = (char)(0x80 | (code >> 6 & 0x3F));
    }
    *out++ = (char)(0x80 | (code & 0x3F));
    return out;
}

/* Behind "\u" at *at; `end` is the closing quote. RFC 8259, 7: a pair of surrogates is one
 * character, half of one is none. Returns JSON_REASON_NONE and moves *at behind it. */
static enum json_reason take_unicode(const char **at, const char *end, uint32_t *ret_code)
{
    int32_t high = hex4(*at, end);
    int32_t low;

    if (high < 0)
        return JSON_REASON_ESCAPE;
    if (high < 0xD800 || high > 0xDFFF) {
        *at += 4;
        *ret_code = (uint32_t)high;
        return JSON_REASON_NONE;
    }
    if (high > 0xDBFF || end - *at < 6 || (*at)[4] != '\\' || (*at)[5] != 'u')
        return JSON_REASON_SURROGATE;
    low = hex4(*at + 6, end);
    if (low < 0xDC00 || low > 0xDFFF)
        return JSON_REASON_SURROGATE;
    *at += 10;
    *ret_code = 0x10000 + ((uint32_t)(high - 0xD800) << 10) + (uint32_t)(low - 0xDC00);
    return JSON_REASON_NONE;
}

/* The character behind a backslash; *at is on it. */
static enum json_reason take_escape(const char **at, const char *end, uint32_t *ret_code)
{
    static const char names[] = "\"\\/bfnrt";
    static const char codes[] = "\"\\/\b\f\n\r\t";
    char c;
    const char *name;

    PC_ASSERT(*at < end);
    c = *(*at)++;
    if (c == 'u')
        return take_unicode(at, end, ret_code);
    name = c == '\0' ? NULL : strchr(names, c);
    if (name == NULL)
        return JSON_REASON_ESCAPE;
    *ret_code = (unsigned char)codes[name - names];
    return JSON_REASON_NONE;
}

/* Decodes what stands between the quotes. It never grows: an escape is longer than its character.
 */
static bool decode(struct json_reader *r, struct span raw, struct span *ret_text)
{
    char *begin = arena_bytes(r->arena, raw.len);
    const char *end = raw.ptr + raw.len;
    char *out = begin;

    if (begin == NULL)
        return json_reader_fail_room(r, raw.len);
    for (const char *at = raw.ptr; at < end;) {
        size_t run = span_find(span_make(at, (size_t)(end - at)), '\\');
        const char *escape = at + run;
        enum json_reason reason;
        uint32_t code;

        memcpy(out, at, run);
        out += run;
        if (escape == end)
            break;
        at = escape + 1;
        reason = take_escape(&at, end, &code);
        if (reason != JSON_REASON_NONE)
            return json_reader_fail(r, reason, escape);
        out = put_utf8(out, code);
    }
    *ret_text = span_make(begin, (size_t)(out - begin));
    return true;
}

/* Moves r->at onto the closing quote. */
static bool find_quote(struct json_reader *r, bool *ret_escaped, bool *ret_plain)
{
    const char *open = r->at - 1;
    unsigned char bits = 0;

    *ret_escaped = false;
    *ret_plain = true;
    while (r->at < r->end && *r->at != '"') {
        unsigned char c = (unsigned char)*r->at;

        if (c < 0x20)
            return json_reader_fail(r, JSON_REASON_CONTROL, r->at);
        bits |= c;
        r->at++;
        if (c == '\\') {
            *ret_escaped = true;
            /* The byte behind it is no closing quote, whatever it is. */
            if (r->at < r->end && (unsigned char)*r->at >= 0x20)
                bits |= (unsigned char)*r->at++;
        }
    }
    if (r->at == r->end)
        return json_reader_fail(r, JSON_REASON_TEXT_OPEN, open);
    *ret_plain = bits < 0x80;
    return true;
}

bool json_reader_text(struct json_reader *r, struct span *ret_text)
{
    struct span raw;
    bool escaped;
    bool plain;

    PC_ASSERT(*r->at == '"');
    raw.ptr = ++r->at;
    if (!find_quote(r, &escaped, &plain))
        return false;
    raw.len = (size_t)(r->at - raw.ptr);
    if (!plain && !span_is_utf8(raw))
        return json_reader_fail(r, JSON_REASON_UTF8, raw.ptr + good_utf8(raw));
    if (escaped && !decode(r, raw, &raw))
        return false;
    r->at++;
    *ret_text = raw;
    return true;
}

static bool skip_digits(struct json_reader *r)
{
    const char *begin = r->at;

    while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
        r->at++;
    return r->at > begin;
}

static bool skip_one(struct json_reader *r, const char *of)
{
    if (r->at == r->end || *r->at == '\0' || strchr(of, *r->at) == NULL)
        return false;
    r->at++;
    return true;
}

/* RFC 8259, 6: [ minus ] int [ frac ] [ exp ]. A zero in front stands alone. */
static bool skip_number(struct json_reader *r)
{
    skip_one(r, "-");
    if (!skip_one(r, "0") && !skip_digits(r))
        return false;
    if (skip_one(r, ".") && !skip_digits(r))
        return false;
    if (skip_one(r, "eE")) {
        skip_one(r, "+-");
        return skip_digits(r);
    }
    return true;
}

bool json_reader_number(struct json_reader *r, struct span *ret_text)
{
    const char *begin = r->at;

    if (begin == r->end || (*begin != '-' && (*begin < '0' || *begin > '9')))
        return json_reader_fail(r, JSON_REASON_VALUE, begin);
    if (!skip_number(r))
        return json_reader_fail(r, JSON_REASON_NUMBER, r->at);
    if (r->at < r->end && *r->at >= '0' && *r->at <= '9') /* "01" */
        return json_reader_fail(r, JSON_REASON_NUMBER, r->at);
    if (r->at - begin > LIMIT_JSON_NUMBER_BYTES_MAX)
        return json_reader_fail(r, JSON_REASON_NUMBER_LONG, begin);
    *ret_text = span_make(begin, (size_t)(r->at - begin));
    return true;
}
