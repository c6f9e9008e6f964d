/* SPDX-License-Identifier: MIT
 * See http2_head.h. nghttp2 checks much of this as well; what a gateway relies on is checked here,
 * in one place that a test can look at. */
#include "net/http2_head.h"

#include <string.h>

#include "net/http1_parts.h"
#include "net/net_words.h"

enum {
    ROOM_MIN = 16,
    FLOOD_TIMES = 4, /* a list this many times its limit is an attack (HPACK bombs) */
};

/* --- fields ----------------------------------------------------------------------------------- */

static bool is_clean_name(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        if (!net_http1_is_token_char((unsigned char)c) || (c >= 'A' && c <= 'Z'))
            return false;
    }
    return name.len > 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Whether one of eight bytes may be a control byte: false is sure, true is to be looked at. A byte
 * below 0x20 borrows when 0x20 is taken off it; one that is 0x7f carries when 1 is added. */
static bool may_control(const char *at)
{
    const uint64_t ones = 0x0101010101010101U;
    uint64_t word;

    memcpy(&word, at, sizeof(word));
    return (((word - 0x20 * ones) | (word + ones)) & ~word & (0x80 * ones)) != 0;
}

/* RFC 9113, 8.2.1, and no other control bytes either. Tokens are long: eight bytes at a time. */
static bool is_clean_value(struct span value)
{
    if (value.len > 0 && (is_blank(value.ptr[0]) || is_blank(value.ptr[value.len - 1])))
        return false;
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];

        if (value.len - i >= sizeof(uint64_t) && !may_control(value.ptr + i)) {
            i += sizeof(uint64_t) - 1;
            continue;
        }
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static bool is_visible(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f)
            return false;
    }
    return text.len > 0;
}

static enum net_http2_verdict refuse(struct net_http2_head *h, enum err err)
{
    if (h->err == ERR_OK)
        h->err = err;
    return NET_HTTP2_GOOD;
}

/* Room for one more in a list of `count`. */
static bool grow(struct arena *arena, size_t count, struct net_header **list, size_t *list_room)
{
    size_t room = *list_room > 0 ? 2 * *list_room : ROOM_MIN;
    struct net_header *larger;

    if (count < *list_room)
        return true;
    larger = arena_array(arena, room, sizeof(*larger));
    if (larger == NULL)
        return false;
    if (count > 0)
        memcpy(larger, *list, count * sizeof(*larger));
    *list = larger;
    *list_room = room;
    return true;
}

/* False without memory. */
static bool copy(struct arena *arena, struct span from, struct span *ret_copy)
{
    if (from.len == 0) {
        *ret_copy = SPAN_OF("");
        return true;
    }
    *ret_copy = arena_copy(arena, from);
    return ret_copy->ptr != NULL;
}

static enum net_http2_verdict keep(struct net_http2_head *h, struct arena *arena,
                                   struct net_header field)
{
    struct net_header kept;

    if (!grow(arena, h->head.header_count, &h->headers, &h->room) ||
        !copy(arena, field.name, &kept.name) || !copy(arena, field.value, &kept.value))
        return refuse(h, ERR_NO_MEMORY);
    h->head.headers = h->headers;
    h->headers[h->head.header_count++] = kept;
    return NET_HTTP2_GOOD;
}

static enum net_http2_verdict keep_trailer(struct net_http2_head *h, struct arena *arena,
                                           struct net_header field)
{
    struct net_header kept;

    if (!grow(arena, h->trailer_count, &h->trailers, &h->trailer_room) ||
        !copy(arena, field.name, &kept.name) || !copy(arena, field.value, &kept.value))
        return refuse(h, ERR_NO_MEMORY);
    h->trailers[h->trailer_count++] = kept;
    h->trailer_count -= 1 - net_trailers_keep(&h->trailers[h->trailer_count - 1], 1);
    return NET_HTTP2_GOOD;
}

/* --- pseudo-headers --------------------------------------------------------------------------- */

static enum net_http2_verdict add_method(struct net_http2_head *h, struct arena *arena,
                                         struct span value)
{
    if (h->head.method_text.ptr != NULL || !net_http1_is_token(value))
        return NET_HTTP2_MALFORMED;
    if (!copy(arena, value, &h->head.method_text)) {
        h->head.method_text = SPAN_OF("?");
        return refuse(h, ERR_NO_MEMORY);
    }
    h->head.method = net_method_of(value);
    return NET_HTTP2_GOOD;
}

static enum net_http2_verdict add_path(struct net_http2_head *h, struct arena *arena,
                                       const struct net_http1_limits *limits, struct span value)
{
    if (h->head.target.ptr != NULL || !is_visible(value) ||
        (value.ptr[0] != '/' && !span_is(value, "*")))
        return NET_HTTP2_MALFORMED;
    h->head.target = SPAN_OF("/");
    if (value.len > limits->target_bytes_max)
        return refuse(h, ERR_URI_TOO_LONG);
    if (!copy(arena, value, &h->head.target))
        return refuse(h, ERR_NO_MEMORY);
    return NET_HTTP2_GOOD;
}

/* Host is what an application looks at: there is one way to say it. */
static enum net_http2_verdict add_authority(struct net_http2_head *h, struct arena *arena,
                                            struct span value)
{
    const struct net_header host = {.name = SPAN("host"), .value = value};

    if (h->authority || !is_visible(value))
        return NET_HTTP2_MALFORMED;
    h->authority = true;
    return keep(h, arena, host);
}

static enum net_http2_verdict add_pseudo(struct net_http2_head *h, struct arena *arena,
                                         const struct net_http1_limits *limits, bool tls,
                                         struct net_header field)
{
    if (h->regular || h->in_trailers)
        return NET_HTTP2_MALFORMED;
    if (span_is(field.name, ":method"))
        return add_method(h, arena, field.value);
    if (span_is(field.name, ":path"))
        return add_path(h, arena, limits, field.value);
    if (span_is(field.name, ":authority"))
        return add_authority(h, arena, field.value);
    if (!span_is(field.name, ":scheme") || h->scheme ||
        !span_is_nocase(field.value, tls ? "https" : "http"))
        return NET_HTTP2_MALFORMED;
    h->scheme = true;
    return NET_HTTP2_GOOD;
}

/* --- what is not pseudo ----------------------------------------------------------------------- */

/* RFC 9113, 8.2.2: they speak of a connection, and of another protocol's. */
static bool is_of_connection(struct net_header field)
{
    static const struct span names[] = {
        SPAN("connection"),        SPAN("keep-alive"), SPAN("proxy-connection"),
        SPAN("transfer-encoding"), SPAN("upgrade"),
    };

    for (size_t i = 0; i < PC_COUNT(names); i++) {
        if (span_equal(field.name, names[i]))
            return true;
    }
    return span_is(field.name, "te") && !span_is_nocase(field.value, "trailers");
}

static enum net_http2_verdict add_length(struct net_http2_head *h, struct arena *arena,
                                         struct net_header field)
{
    if (h->has_content_length || !span_to_u64(field.value, &h->head.content_length) ||
        h->head.content_length > INT64_MAX)
        return NET_HTTP2_MALFORMED;
    h->has_content_length = true;
    return keep(h, arena, field);
}

static enum net_http2_verdict add_regular(struct net_http2_head *h, struct arena *arena,
                                          struct net_header field)
{
    if (span_is(field.name, "content-length"))
        return add_length(h, arena, field);
    if (span_is(field.name, "host") && h->authority) {
        bool same = h->err != ERR_OK || span_equal_nocase(field.value, h->headers[0].value);

        return same ? NET_HTTP2_GOOD : NET_HTTP2_MALFORMED;
    }
    if (span_is(field.name, "expect")) {
        if (!span_is_nocase(field.value, "100-continue") || h->head.expects_continue)
            return refuse(h, ERR_EXPECTATION);
        h->head.expects_continue = true;
    }
    return keep(h, arena, field);
}

enum net_http2_verdict net_http2_head_add(struct net_http2_head *h, struct arena *arena,
                                          const struct net_http1_limits *limits, bool tls,
                                          struct net_header field)
{
    bool pseudo = field.name.len > 0 && field.name.ptr[0] == ':';

    h->bytes += field.name.len + field.value.len + NET_HTTP2_FIELD_EXTRA_BYTES;
    if (h->bytes / FLOOD_TIMES > limits->head_bytes_max)
        return NET_HTTP2_FLOODED;
    if (!is_clean_value(field.value) || (!pseudo && !is_clean_name(field.name)))
        return NET_HTTP2_MALFORMED;
    if (!pseudo) {
        h->regular = true;
        h->count++;
    }
    if (h->count > limits->headers_max || h->bytes > limits->head_bytes_max)
        (void)refuse(h, ERR_HEADERS_TOO_LARGE);
    if (pseudo)
        return add_pseudo(h, arena, limits, tls, field);
    if (is_of_connection(field))
        return NET_HTTP2_MALFORMED;
    if (h->err != ERR_OK)
        return NET_HTTP2_GOOD;
    if (h->in_trailers)
        return keep_trailer(h, arena, field);
    return add_regular(h, arena, field);
}

static struct net_header *cookie_next(struct net_http2_head *h, size_t from)
{
    for (size_t i = from; i < h->head.header_count; i++) {
        if (span_is(h->headers[i].name, "cookie"))
            return &h->headers[i];
    }
    return NULL;
}

static void header_drop(struct net_http2_head *h, struct net_header *header)
{
    size_t behind = h->head.header_count - (size_t)(header - h->headers) - 1;

    memmove(header, header + 1, behind * sizeof(*header));
    h->head.header_count--;
}

/* A client may send its cookies in crumbs; others know one line alone (RFC 9113, 8.2.3). */
static enum net_http2_verdict join_cookies(struct net_http2_head *h, struct arena *arena)
{
    struct net_header *first = cookie_next(h, 0);
    struct net_header *crumb =
        first != NULL ? cookie_next(h, (size_t)(first - h->headers) + 1) : NULL;
    struct sbuf line;

    if (crumb == NULL)
        return NET_HTTP2_GOOD;
    line = sbuf_on(arena, h->bytes);
    sbuf_add(&line, first->value);
    while (crumb != NULL) {
        sbuf_add_lit(&line, "; ");
        sbuf_add(&line, crumb->value);
        header_drop(h, crumb);
        crumb = cookie_next(h, (size_t)(crumb - h->headers));
    }
    if (sbuf_finish(&line, &first->value) != ERR_OK)
        return refuse(h, ERR_NO_MEMORY);
    return NET_HTTP2_GOOD;
}

enum net_http2_verdict net_http2_head_end(struct net_http2_head *h, struct arena *arena,
                                          bool end_stream)
{
    struct net_head *head = &h->head;

    if (head->method_text.ptr == NULL)
        return NET_HTTP2_MALFORMED;
    if (span_is(head->method_text, "CONNECT")) /* the only one without a path (RFC 9113, 8.5) */
        return refuse(h, ERR_METHOD_NOT_ALLOWED);
    if (head->target.ptr == NULL || !h->scheme)
        return NET_HTTP2_MALFORMED;
    if (end_stream && head->content_length > 0)
        return NET_HTTP2_MALFORMED;
    if (!end_stream && !h->has_content_length)
        head->content_length = NET_LENGTH_CHUNKED;
    head->has_body = head->content_length > 0;
    head->expects_continue = head->expects_continue && head->has_body;
    head->minor_version = 1;
    return join_cookies(h, arena);
}
