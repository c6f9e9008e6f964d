/* SPDX-License-Identifier: MIT
 * HTTP/2 answers going out. A head is given to nghttp2 by reference: it lives in the stream's
 * arena, which outlasts nghttp2's interest in it (see http2_priv.h). A body is fetched by nghttp2
 * piece by piece, as the client's windows allow. */
#include <string.h>

#include "net/http2_priv.h"

enum {
    LINES_MAX = 160,      /* of an answer's head, those of an upstream with ours */
    LENGTH_BYTES_MAX = 20 /* of a number */
};

/* --- heads ------------------------------------------------------------------------------------ */

/* What is different each time, or secret, has no place in the client's table. */
static bool is_unindexed(struct span name)
{
    switch (name.len) {
    case 4:
        return span_is(name, "etag");
    case 8:
        return span_is(name, "location");
    case 10:
        return span_is(name, "set-cookie");
    case 11:
        return span_is(name, "retry-after");
    case 12:
        return span_is(name, "x-request-id");
    case 14:
        return span_is(name, "content-length") || span_is(name, "x-process-time");
    case 17:
        return span_is(name, "x-ratelimit-reset");
    case 21:
        return span_is(name, "x-ratelimit-remaining");
    default:
        return false;
    }
}

struct lines {
    nghttp2_nv of[LINES_MAX];
    size_t count;
    bool failed;
};

static void add(struct lines *lines, struct span name, struct span value)
{
    uint8_t flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE;

    if (lines->count == LINES_MAX) {
        lines->failed = true;
        return;
    }
    if (is_unindexed(name))
        flags |= NGHTTP2_NV_FLAG_NO_INDEX;
    lines->of[lines->count++] =
        (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name.ptr,
                     .namelen = name.len,
                     .value = (uint8_t *)(uintptr_t)(value.ptr != NULL ? value.ptr : ""),
                     .valuelen = value.len,
                     .flags = flags};
}

/* The application's "Name: value" lines, in a copy whose names are lower case. */
static void add_given(struct lines *lines, struct net_stream *stream, struct span given)
{
    char *text;
    struct span rest;
    struct span line;

    if (given.len == 0)
        return;
    text = arena_bytes(&stream->arena, given.len);
    if (text == NULL) {
        lines->failed = true;
        return;
    }
    memcpy(text, given.ptr, given.len);
    rest = span_make(text, given.len);
    while (span_cut(&rest, '\n', &line) && line.len > 1) {
        size_t colon = span_find(line, ':');
        char *name = text + (line.ptr - text);

        for (size_t i = 0; i < colon; i++)
            name[i] = span_lower_char(name[i]);
        add(lines, span_make(name, colon), span_trim(span_slice(line, colon + 1, line.len - 1)));
    }
}

static void add_status(struct lines *lines, struct net_stream *stream, int status)
{
    char *text = stream->http2.status;

    text[0] = (char)('0' + status / 100);
    text[1] = (char)('0' + status / 10 % 10);
    text[2] = (char)('0' + status % 10);
    add(lines, SPAN_OF(":status"), span_make(text, 3));
}

static void add_length(struct lines *lines, struct net_stream *stream, uint64_t length)
{
    char *text = arena_bytes(&stream->arena, LENGTH_BYTES_MAX);
    struct sbuf out = sbuf_over(text, text != NULL ? LENGTH_BYTES_MAX : 0);

    sbuf_add_u64(&out, length);
    if (out.full)
        lines->failed = true;
    else
        add(lines, SPAN_OF("content-length"), sbuf_span(&out));
}

/* --- bodies ----------------------------------------------------------------------------------- */

bool net_http2_is_writing(const struct net_stream *stream)
{
    return !stream->cut && (stream->http2.body.len > 0 || stream->http2.pieces.bytes > 0);
}

static size_t take_body(struct net_stream *stream, uint8_t *to, size_t most)
{
    struct span *body = &stream->http2.body;
    size_t bytes = body->len < most ? body->len : most;

    if (bytes > 0)
        memcpy(to, body->ptr, bytes);
    *body = span_slice(*body, bytes, body->len);
    return bytes;
}

static size_t take_piece(struct net_stream *stream, uint8_t *to, size_t most)
{
    struct net_output *pieces = &stream->http2.pieces;
    struct iovec piece;
    size_t bytes;

    if (pieces->bytes == 0 || most == 0)
        return 0;
    PC_ASSERT(net_output_peek(pieces, &piece, 1) == 1);
    bytes = piece.iov_len < most ? piece.iov_len : most;
    memcpy(to, piece.iov_base, bytes);
    net_output_drop(pieces, bytes);
    net_http2_of(stream)->queued -= bytes;
    return bytes;
}

/* Behind the last of the body, in place of its end. */
static void give_trailers(struct net_stream *stream, uint32_t *data_flags)
{
    struct lines lines;

    lines.count = 0;
    lines.failed = false;
    if (stream->no_body || stream->trailers.len == 0)
        return;
    add_given(&lines, stream, stream->trailers);
    if (lines.failed || lines.count == 0)
        return;
    *data_flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    if (nghttp2_submit_trailer(net_http2_of(stream)->session, stream->http2.id, lines.of,
                               lines.count) != 0)
        net_http2_cut(stream, NGHTTP2_INTERNAL_ERROR);
}

/* nghttp2 has room for `most` bytes of this answer. */
static ssize_t give(nghttp2_session *session, int32_t id, uint8_t *to, size_t most,
                    uint32_t *data_flags, nghttp2_data_source *source, void *user)
{
    struct net_stream *stream = source->ptr;
    size_t bytes = 0;
    size_t got;

    if (!stream->cut) {
        bytes = take_body(stream, to, most);
        while ((got = take_piece(stream, to + bytes, most - bytes)) > 0)
            bytes += got;
    }
    stream->http2.written_ns = net_loop_now_ns(stream->conn->loop);
    if (!net_http2_is_writing(stream) && stream->reply == NET_REPLY_DONE && !stream->cut) {
        *data_flags |= NGHTTP2_DATA_FLAG_EOF;
        give_trailers(stream, data_flags);
    } else if (bytes == 0) {
        stream->http2.deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    return (ssize_t)bytes;
}

/* The client's patience with it begins now. */
static void writing_begins(struct net_stream *stream)
{
    struct net_http2 *http2 = net_http2_of(stream);
    int64_t write_ms = stream->conn->loop->server->options.write_ms;

    stream->http2.written_ns = net_http2_now_ns(http2);
    net_http2_look_at(http2, stream->http2.written_ns + write_ms * CLOCK_NS_PER_MS);
}

/* --- answers ---------------------------------------------------------------------------------- */

static void submit(struct net_stream *stream, const struct lines *lines, bool has_body)
{
    const nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = give};

    if (lines->failed ||
        nghttp2_submit_response(net_http2_of(stream)->session, stream->http2.id, lines->of,
                                lines->count, has_body ? &provider : NULL) != 0)
        net_http2_cut(stream, NGHTTP2_INTERNAL_ERROR);
}

void net_http2_reply(struct net_stream *stream, const struct net_reply *reply)
{
    bool never = reply->status == 204 || reply->status == 304;
    bool has_length = !reply->more || reply->body_length != NET_LENGTH_CHUNKED;
    struct lines lines;

    lines.count = 0;
    lines.failed = false;
    stream->no_body = never || (stream->head != NULL && stream->head->method == NET_METHOD_HEAD);
    stream->reply_left = has_length && reply->more ? reply->body_length : NET_LENGTH_CHUNKED;
    stream->reply = reply->more ? NET_REPLY_STREAMING : NET_REPLY_DONE;
    if (reply->more && !net_stream_account(stream, reply->body.len, true)) {
        net_http2_cut(stream, NGHTTP2_INTERNAL_ERROR);
        return;
    }
    add_status(&lines, stream, reply->status);
    add_given(&lines, stream, reply->head);
    if (has_length && !never)
        add_length(&lines, stream, reply->more ? reply->body_length : reply->body.len);
    stream->http2.body = stream->no_body ? (struct span){0} : reply->body;
    submit(stream, &lines, reply->more || stream->http2.body.len > 0);
    if (stream->http2.body.len > 0)
        writing_begins(stream);
}

size_t net_http2_write_room(const struct net_stream *stream)
{
    size_t own = stream->http2.pieces.bytes + stream->http2.body.len;
    size_t all = net_http2_of(stream)->queued;
    size_t room = own < NET_OUTPUT_BYTES_MAX ? NET_OUTPUT_BYTES_MAX - own : 0;
    size_t rest = all < NET_HTTP2_PIECES_BYTES_MAX ? NET_HTTP2_PIECES_BYTES_MAX - all : 0;

    return room < rest ? room : rest;
}

/* False without memory. */
static bool queue(struct net_stream *stream, struct span bytes)
{
    struct net_http2 *http2 = net_http2_of(stream);

    if (stream->no_body || bytes.len == 0)
        return true;
    if (!net_http2_is_writing(stream))
        writing_begins(stream);
    if (!net_output_copy(&stream->http2.pieces, bytes))
        return false;
    http2->queued += bytes.len;
    return true;
}

static void wake(struct net_stream *stream)
{
    if (!stream->http2.deferred)
        return;
    stream->http2.deferred = false;
    if (nghttp2_session_resume_data(net_http2_of(stream)->session, stream->http2.id) != 0)
        net_http2_cut(stream, NGHTTP2_INTERNAL_ERROR);
}

enum err net_http2_reply_body(struct net_stream *stream, struct span bytes, bool more)
{
    if (bytes.len > net_http2_write_room(stream)) {
        stream->starved = net_http2_of(stream)->starved = true;
        return ERR_BUSY;
    }
    if (!stream->no_body && !net_stream_account(stream, bytes.len, more)) {
        net_http2_cut(stream, NGHTTP2_INTERNAL_ERROR);
        return ERR_END;
    }
    if (!queue(stream, bytes)) {
        net_http2_cut(stream, NGHTTP2_INTERNAL_ERROR);
        return ERR_NO_MEMORY;
    }
    if (!more)
        stream->reply = NET_REPLY_DONE;
    wake(stream);
    if (net_http2_write_room(stream) < NET_OUTPUT_BYTES_MAX / 2)
        stream->starved = net_http2_of(stream)->starved = true;
    return stream->cut ? ERR_END : ERR_OK;
}

static void offer(struct net_stream *stream)
{
    const struct net_app *app = net_conn_app(stream->conn);

    if (!stream->starved || stream->cut || stream->reply != NET_REPLY_STREAMING ||
        net_http2_write_room(stream) < NET_OUTPUT_BYTES_MAX / 2)
        return;
    stream->starved = false;
    if (app->writable != NULL)
        app->writable(stream);
}

void net_http2_offer_room(struct net_http2 *http2)
{
    bool starved = false;

    for (struct net_stream *stream = http2->streams; stream != NULL; stream = stream->http2.next) {
        offer(stream);
        starved = starved || (stream->starved && stream->reply == NET_REPLY_STREAMING);
    }
    http2->starved = starved;
}

void net_http2_proceed(struct net_stream *stream)
{
    static const nghttp2_nv status = {.name = (uint8_t *)(uintptr_t) ":status",
                                      .namelen = 7,
                                      .value = (uint8_t *)(uintptr_t) "100",
                                      .valuelen = 3};
    struct net_http2 *http2 = net_http2_of(stream);
    const struct net_server_options *options = &stream->conn->loop->server->options;

    if (stream->reply != NET_REPLY_NONE)
        return;
    stream->want_continue = false;
    stream->body_ns = stream->http2.read_ns = net_http2_now_ns(http2);
    net_http2_look_at(http2, stream->body_ns + options->body_ms * CLOCK_NS_PER_MS);
    net_http2_look_at(http2, stream->body_ns + options->body_grace_ms * CLOCK_NS_PER_MS);
    if (nghttp2_submit_headers(http2->session, NGHTTP2_FLAG_NONE, stream->http2.id, NULL, &status,
                               1, NULL) < 0)
        net_http2_cut(stream, NGHTTP2_INTERNAL_ERROR);
}
