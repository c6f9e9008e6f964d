/* SPDX-License-Identifier: MIT
 * HTTP/2 answers going out. A head is put together when its frame's turn comes, and its lines are
 * the application's until then (see http2_priv.h). A body is fetched by nghttp2 piece by piece, as
 * the client's windows allow. */
#include <string.h>

#include "base/alloc.h"
#include "net/http2_priv.h"

enum {
    LINES_BYTES_MAX = 32 * 1024, /* of an answer's head, those of an upstream with ours */
    FRAME_BYTES_MAX = 16 * 1024, /* what every client takes */
};

/* --- heads ------------------------------------------------------------------------------------ */

/* nghttp2 is told of heads only that there is one, and which: what it says is replaced by a block
 * of our own (http2_pack.h) when it says it, so that the client's table is in the order of frames.
 * Its own packing took two thirds of what an answer cost. */
static const nghttp2_nv stand_ins[] = {
    [NET_HTTP2_SAYS_CONTINUE] = {(uint8_t *)(uintptr_t) ":status", (uint8_t *)(uintptr_t) "100", 7,
                                 3, NGHTTP2_NV_FLAG_NO_INDEX},
    [NET_HTTP2_SAYS_HEAD] = {(uint8_t *)(uintptr_t) ":status", (uint8_t *)(uintptr_t) "200", 7, 3,
                             NGHTTP2_NV_FLAG_NO_INDEX},
    [NET_HTTP2_SAYS_TRAILERS] = {(uint8_t *)(uintptr_t) "te", (uint8_t *)(uintptr_t) "", 2, 0,
                                 NGHTTP2_NV_FLAG_NO_INDEX},
};

static enum net_http2_says what_says(const nghttp2_headers *headers)
{
    const nghttp2_nv *first = headers->nva;

    if (first->name[0] != ':')
        return NET_HTTP2_SAYS_TRAILERS;
    return first->value[0] == '1' ? NET_HTTP2_SAYS_CONTINUE : NET_HTTP2_SAYS_HEAD;
}

static void add_fields(struct net_stream *stream, enum net_http2_says what, struct sbuf *out)
{
    struct net_http2_stream *own = &stream->http2;
    struct net_http2_pack *pack = net_http2_of(stream)->pack;

    net_http2_pack_begin(pack, out);
    switch (what) {
    case NET_HTTP2_SAYS_CONTINUE:
        net_http2_pack_status(out, 100);
        break;
    case NET_HTTP2_SAYS_HEAD:
        net_http2_pack_status(out, own->status);
        net_http2_pack_lines(pack, out, own->lines);
        if (own->says_length)
            net_http2_pack_length(out, own->length);
        break;
    case NET_HTTP2_SAYS_TRAILERS:
        net_http2_pack_lines(pack, out, stream->trailers);
        break;
    }
}

static void put_frame_head(char *at, size_t bytes, uint8_t type, uint8_t flags, int32_t id)
{
    const unsigned char head[NET_HTTP2_FRAME_HEAD_BYTES] = {(unsigned char)(bytes >> 16),
                                                            (unsigned char)(bytes >> 8),
                                                            (unsigned char)bytes,
                                                            type,
                                                            flags,
                                                            (unsigned char)((uint32_t)id >> 24),
                                                            (unsigned char)(id >> 16),
                                                            (unsigned char)(id >> 8),
                                                            (unsigned char)id};

    memcpy(at, head, sizeof(head));
}

/* Puts frame heads around a block that stands behind the place for the first one: HEADERS, and as
 * many CONTINUATION as it takes. */
static struct span frames_of(char *at, size_t bytes, const nghttp2_frame_hd *hd)
{
    size_t count = bytes > 0 ? (bytes - 1) / FRAME_BYTES_MAX + 1 : 1;
    size_t rest = bytes;

    for (size_t i = count; i-- > 0;) {
        size_t from = NET_HTTP2_FRAME_HEAD_BYTES + i * FRAME_BYTES_MAX;
        size_t to = from + i * NET_HTTP2_FRAME_HEAD_BYTES;
        size_t part = rest - i * FRAME_BYTES_MAX;
        uint8_t ends = i + 1 == count ? NGHTTP2_FLAG_END_HEADERS : 0;
        uint8_t flags = i == 0 ? hd->flags & NGHTTP2_FLAG_END_STREAM : 0;

        if (i > 0)
            memmove(at + to, at + from, part);
        put_frame_head(at + to - NET_HTTP2_FRAME_HEAD_BYTES, part,
                       i == 0 ? NGHTTP2_HEADERS : NGHTTP2_CONTINUATION, flags | ends,
                       hd->stream_id);
        rest -= part;
    }
    return span_make(at, bytes + count * NET_HTTP2_FRAME_HEAD_BYTES);
}

static bool has_pack(struct net_http2 *http2)
{
    if (http2->pack != NULL)
        return true;
    http2->pack = alloc_raw(sizeof(*http2->pack));
    if (http2->pack == NULL)
        return false;
    net_http2_pack_init(http2->pack);
    net_http2_pack_resize(http2->pack, nghttp2_session_get_remote_settings(
                                           http2->session, NGHTTP2_SETTINGS_HEADER_TABLE_SIZE));
    if (http2->renews)
        net_http2_pack_renew(http2->pack);
    http2->renews = false;
    return true;
}

bool net_http2_head_sent(struct net_stream *stream, const nghttp2_headers *headers)
{
    struct net_http2 *http2 = net_http2_of(stream);
    char *at = stream->conn->loop->buffers[NET_BUFFER_BLOCK];
    struct sbuf out = sbuf_over(at + NET_HTTP2_FRAME_HEAD_BYTES,
                                NET_BLOCK_BYTES - NET_HTTP2_FRAMES_HEAD_BYTES_MAX);

    if (!has_pack(http2))
        return false;
    add_fields(stream, what_says(headers), &out);
    http2->block = frames_of(at, out.len, &headers->hd);
    net_loop_dirty(stream->conn->loop, NET_BUFFER_BLOCK, http2->block.len);
    return !out.full;
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
    if (stream->no_body || stream->trailers.len == 0)
        return;
    *data_flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    if (stream->trailers.len > LINES_BYTES_MAX ||
        nghttp2_submit_trailer(net_http2_of(stream)->session, stream->http2.id,
                               &stand_ins[NET_HTTP2_SAYS_TRAILERS], 1) != 0)
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
    net_http2_of(stream)->given = (struct iovec){.iov_base = to, .iov_len = bytes};
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

/* The frame has been copied: nghttp2 keeps its buffer for the next one, which may never come. */
void net_http2_forget(struct net_http2 *http2)
{
    if (http2->given.iov_len > 0)
        alloc_wipe(http2->given.iov_base, http2->given.iov_len);
    http2->given.iov_len = 0;
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

static void submit(struct net_stream *stream, bool has_body)
{
    const nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = give};

    if (nghttp2_submit_response(net_http2_of(stream)->session, stream->http2.id,
                                &stand_ins[NET_HTTP2_SAYS_HEAD], 1,
                                has_body ? &provider : NULL) != 0)
        net_http2_cut(stream, NGHTTP2_INTERNAL_ERROR);
}

void net_http2_reply(struct net_stream *stream, const struct net_reply *reply)
{
    struct net_http2_stream *own = &stream->http2;
    bool never = reply->status == 204 || reply->status == 304;
    bool has_length = !reply->more || reply->body_length != NET_LENGTH_CHUNKED;

    stream->no_body = never || (stream->head != NULL && stream->head->method == NET_METHOD_HEAD);
    stream->reply_left = has_length && reply->more ? reply->body_length : NET_LENGTH_CHUNKED;
    stream->reply = reply->more ? NET_REPLY_STREAMING : NET_REPLY_DONE;
    if (reply->head.len > LINES_BYTES_MAX ||
        (reply->more && !net_stream_account(stream, reply->body.len, true))) {
        net_http2_cut(stream, NGHTTP2_INTERNAL_ERROR);
        return;
    }
    own->status = reply->status;
    own->lines = reply->head;
    own->says_length = has_length && !never;
    own->length = reply->more ? reply->body_length : reply->body.len;
    own->body = stream->no_body ? (struct span){0} : reply->body;
    submit(stream, reply->more || own->body.len > 0);
    if (own->body.len > 0)
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
    struct net_http2 *http2 = net_http2_of(stream);
    const struct net_server_options *options = &stream->conn->loop->server->options;

    if (stream->reply != NET_REPLY_NONE)
        return;
    stream->want_continue = false;
    stream->body_ns = stream->http2.read_ns = net_http2_now_ns(http2);
    net_http2_look_at(http2, stream->body_ns + options->body_ms * CLOCK_NS_PER_MS);
    net_http2_look_at(http2, stream->body_ns + options->body_grace_ms * CLOCK_NS_PER_MS);
    if (nghttp2_submit_headers(http2->session, NGHTTP2_FLAG_NONE, stream->http2.id, NULL,
                               &stand_ins[NET_HTTP2_SAYS_CONTINUE], 1, NULL) < 0)
        net_http2_cut(stream, NGHTTP2_INTERNAL_ERROR);
}
