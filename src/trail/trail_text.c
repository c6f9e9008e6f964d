/* SPDX-License-Identifier: MIT
 * Texts from outside, made fit for a record: whoever reads the trail, on a terminal or in a file,
 * must see one event as one event, however its texts were chosen. */
#include "trail/trail_priv.h"

#include <string.h>

/* How long the character at the front is; 0: it is none. */
static size_t char_bytes(struct span rest)
{
    unsigned char lead = (unsigned char)rest.ptr[0];
    size_t len = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;

    return len <= rest.len && span_is_utf8(span_slice(rest, 0, len)) ? len : 0;
}

/* Unicode 15, 23.1 (controls), 5.8 (line ends), UAX #9, 2 (what turns the direction). */
static bool is_harmless(struct span one)
{
    const unsigned char *c = (const unsigned char *)one.ptr;

    if (one.len == 1)
        return c[0] >= 0x20 && c[0] != 0x7F;
    if (one.len == 2)
        return !(c[0] == 0xC2 && c[1] < 0xA0) && !(c[0] == 0xD8 && c[1] == 0x9C);
    if (one.len == 3 && c[0] == 0xE2 && c[1] == 0x80)
        return c[2] != 0x8E && c[2] != 0x8F && (c[2] < 0xA8 || c[2] > 0xAE);
    if (one.len == 3 && c[0] == 0xE2 && c[1] == 0x81)
        return c[2] < 0xA6 || c[2] > 0xA9;
    return true;
}

static bool is_plain(struct span text)
{
    if (text.len > TRAIL_TEXT_BYTES_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < 0x20 || text.ptr[i] > 0x7E)
            return false;
    }
    return true;
}

struct span trail_text(struct span text, char room[TRAIL_TEXT_BYTES_MAX])
{
    struct span rest = text;
    size_t len = 0;

    if (is_plain(text))
        return text;
    while (rest.len > 0) {
        size_t taken = char_bytes(rest);
        struct span one = span_slice(rest, 0, taken);

        if (taken == 0 || !is_harmless(one))
            one = SPAN_OF("\xEF\xBF\xBD");
        if (len + one.len > TRAIL_TEXT_BYTES_MAX)
            break;
        memcpy(room + len, one.ptr, one.len);
        len += one.len;
        rest = span_slice(rest, taken == 0 ? 1 : taken, rest.len);
    }
    return span_make(room, len);
}

static unsigned code_point(struct span one)
{
    unsigned lead = (unsigned char)one.ptr[0];
    unsigned code = one.len == 1 ? lead : lead & (0x7FU >> one.len);

    for (size_t i = 1; i < one.len; i++)
        code = code << 6 | ((unsigned char)one.ptr[i] & 0x3F);
    return code;
}

/* Beyond the ASCII range JSON has characters only in its texts, so an escape is at home wherever
 * one stands. Spaces and line ends between its parts stay; in texts they cannot be. RFC 8259, 7. */
void trail_json_plain(struct span json, struct sbuf *out)
{
    size_t done = 0;

    for (size_t i = 0; i < json.len;) {
        struct span rest = span_slice(json, i, json.len);
        size_t taken = (unsigned char)rest.ptr[0] < 0x7F ? 1 : char_bytes(rest);
        struct span one = span_slice(rest, 0, taken);

        if (taken > 0 && ((unsigned char)one.ptr[0] < 0x7F || is_harmless(one))) {
            i += taken;
            continue;
        }
        sbuf_add(out, span_slice(json, done, i));
        sbuf_add_format(out, "\\u%04x", taken > 0 ? code_point(one) : 0xFFFD);
        i += taken > 0 ? taken : 1;
        done = i;
    }
    sbuf_add(out, span_slice(json, done, json.len));
}
