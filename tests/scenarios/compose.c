/* SPDX-License-Identifier: MIT
 * The steps that put a request together, and its bytes. */
#include <openssl/evp.h>
#include <string.h>

#include "play.h"

static void begin(struct play *play)
{
    if (play->request.pending)
        return;
    play->request = (struct play_request){.pending = true,
                                          .headers = sbuf_on(&play->arena, PLAY_TEXT_BYTES_MAX),
                                          .raw_bytes = sbuf_on(&play->arena, PLAY_TEXT_BYTES_MAX)};
}

bool compose_request(struct play *play, struct span method, struct span target)
{
    play->request.pending = false;
    begin(play);
    play->request.method = method;
    play->request.target = target;
    play->request.head = span_is(method, "HEAD");
    return true;
}

bool compose_header_line(struct play *play, struct span rest)
{
    if (span_is(rest, "-Host")) {
        play->request.bare = true;
        return true;
    }
    if (span_starts(rest, SPAN_OF("Content-Type:")))
        play->request.has_type = true;
    if (span_starts(rest, SPAN_OF("Host:")))
        play->request.bare = true;
    sbuf_add(&play->request.headers, rest);
    sbuf_add_lit(&play->request.headers, "\r\n");
    return true;
}

bool compose_body(struct play *play, struct span rest)
{
    play->request.body = rest;
    play->request.has_body = true;
    return true;
}

/* {"filler":"xxxx"} of so many bytes */
bool compose_filler(struct play *play, struct span rest)
{
    struct sbuf out = sbuf_on(&play->arena, PLAY_TEXT_BYTES_MAX);
    uint64_t bytes;

    if (!span_to_u64(rest, &bytes) || bytes < 14)
        return play_fail(play, "how many bytes?");
    sbuf_add_lit(&out, "{\"filler\":\"");
    while (out.len < bytes - 2)
        sbuf_add_char(&out, 'x');
    sbuf_add_lit(&out, "\"}");
    return compose_body(play, sbuf_span(&out));
}

bool compose_chunked(struct play *play, struct span rest)
{
    (void)rest;
    play->request.chunked = true;
    return true;
}

static int hex_digit(char c)
{
    c = span_lower_char(c);
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* \r \n \t \0 \\ \s (a blank) \xHH */
static bool add_escaped(struct play *play, struct sbuf *out, struct span text)
{
    static const char from[] = "rnt0\\s";
    static const char to[] = "\r\n\t\0\\ ";

    for (size_t i = 0; i < text.len; i++) {
        const char *found;

        if (text.ptr[i] != '\\' || i + 1 == text.len) {
            sbuf_add_char(out, text.ptr[i]);
            continue;
        }
        found = memchr(from, text.ptr[++i], sizeof(from) - 1);
        if (found != NULL) {
            sbuf_add_char(out, to[found - from]);
        } else if (text.ptr[i] == 'x' && i + 2 < text.len && hex_digit(text.ptr[i + 1]) >= 0 &&
                   hex_digit(text.ptr[i + 2]) >= 0) {
            sbuf_add_char(out,
                          (char)(hex_digit(text.ptr[i + 1]) * 16 + hex_digit(text.ptr[i + 2])));
            i += 2;
        } else {
            return play_fail(play, "\\%c means nothing", text.ptr[i]);
        }
    }
    return true;
}

bool compose_raw(struct play *play, struct span rest)
{
    begin(play);
    play->request.raw = true;
    return add_escaped(play, &play->request.raw_bytes, rest);
}

bool compose_raw_times(struct play *play, struct span rest)
{
    uint64_t times;

    if (!span_to_u64(play_word(&rest), &times))
        return play_fail(play, "how many times?");
    for (uint64_t i = 0; i < times; i++) {
        if (!compose_raw(play, rest))
            return false;
    }
    return true;
}

/* ---- what browsers and OAuth clients send -----------------------------------------------------
 */

/* RFC 3986, 2.3: all but the unreserved characters as %HH, which both sides of a form understand.
 */
static void add_encoded(struct sbuf *out, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        char lower = span_lower_char(c);

        if ((lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') ||
            (c != '\0' && strchr("-._~", c) != NULL))
            sbuf_add_char(out, c);
        else
            sbuf_add_format(out, "%%%02X", (unsigned char)c);
    }
}

static bool add_field(struct play *play, struct sbuf *out, struct span pair)
{
    struct sbuf value = sbuf_on(&play->arena, PLAY_TEXT_BYTES_MAX);
    struct span name = span_slice(pair, 0, span_find(pair, '='));

    if (name.len == pair.len)
        return play_fail(play, "a field is NAME=VALUE");
    if (!add_escaped(play, &value, span_slice(pair, name.len + 1, pair.len)))
        return false;
    if (out->len > 0)
        sbuf_add_char(out, '&');
    add_encoded(out, name);
    sbuf_add_char(out, '=');
    add_encoded(out, sbuf_span(&value));
    return true;
}

/* "form grant_type=password username=a\\sb": each value is encoded; \\s is a blank in it. */
bool compose_form(struct play *play, struct span rest)
{
    struct sbuf out = sbuf_on(&play->arena, PLAY_TEXT_BYTES_MAX);

    if (play->request.form)
        sbuf_add(&out, play->request.body);
    while (rest.len > 0) {
        if (!add_field(play, &out, play_word(&rest)))
            return false;
    }
    play->request.form = true;
    return compose_body(play, sbuf_span(&out));
}

/* RFC 6749, 2.3.1: name and password are encoded as in a form before they are put together. */
bool compose_basic(struct play *play, struct span rest)
{
    unsigned char text[1024];
    char bytes[512];
    struct sbuf pair = sbuf_over(bytes, sizeof(bytes));

    add_encoded(&pair, play_word(&rest));
    sbuf_add_char(&pair, ':');
    add_encoded(&pair, rest);
    if (pair.full)
        return play_fail(play, "the pair is too long");
    (void)EVP_EncodeBlock(text, (const unsigned char *)pair.ptr, (int)pair.len);
    sbuf_add_format(&play->request.headers, "Authorization: Basic %s\r\n", (const char *)text);
    return true;
}

static void add_chunks(struct sbuf *out, struct span body)
{
    while (body.len > 0) {
        struct span piece = span_slice(body, 0, body.len > 1000 ? 1000 : (body.len + 1) / 2);

        sbuf_add_format(out, "%zx\r\n", piece.len);
        sbuf_add(out, piece);
        sbuf_add_lit(out, "\r\n");
        body = span_slice(body, piece.len, body.len);
    }
    sbuf_add_lit(out, "0\r\n\r\n");
}

struct span compose_bytes(struct play *play)
{
    const struct play_request *request = &play->request;
    struct sbuf out = sbuf_on(&play->arena, 2 * PLAY_TEXT_BYTES_MAX);

    if (request->raw)
        return sbuf_span(&request->raw_bytes);
    sbuf_add(&out, request->method);
    sbuf_add_char(&out, ' ');
    sbuf_add(&out, request->target);
    sbuf_add_lit(&out, " HTTP/1.1\r\n");
    if (!request->bare)
        sbuf_add_lit(&out, "Host: localhost\r\n");
    sbuf_add(&out, sbuf_span(&request->headers));
    if (request->has_body && !request->has_type)
        sbuf_add_format(&out, "Content-Type: application/%s\r\n",
                        request->form ? "x-www-form-urlencoded" : "json");
    if (request->chunked)
        sbuf_add_lit(&out, "Transfer-Encoding: chunked\r\n\r\n");
    else if (request->has_body)
        sbuf_add_format(&out, "Content-Length: %zu\r\n\r\n", request->body.len);
    else
        sbuf_add_lit(&out, "\r\n");
    if (request->chunked)
        add_chunks(&out, request->body);
    else
        sbuf_add(&out, request->body);
    return sbuf_span(&out);
}
