/* SPDX-License-Identifier: MIT
 * A request as the application sees it. Its memory comes from a short list of used ones that each
 * loop keeps, so that a request costs no call of malloc.
 *
 *   net_stream_new --> in use --net_stream_done--> [orphan, while held] --> recycle --> spare */
#include "base/alloc.h"
#include "net/net_priv.h"

struct net_stream *net_stream_new(struct net_conn *conn)
{
    struct net_loop *loop = conn->loop;
    struct net_stream *stream = loop->spare;

    if (stream != NULL) {
        loop->spare = stream->next_spare;
        loop->spare_count--;
    } else {
        stream = alloc_raw(sizeof(*stream));
        if (stream == NULL)
            return NULL;
        arena_init(&stream->arena, stream->first, sizeof(stream->first),
                   loop->server->options.arena_bytes_max);
    }
    stream->conn = conn;
    stream->slot = NULL;
    stream->start_ns = net_loop_now_ns(loop);
    stream->holds = 0;
    stream->reply = NET_REPLY_NONE;
    stream->told = stream->refused = stream->complete = stream->paused = stream->orphan = false;
    stream->must_close = stream->want_continue = stream->no_body = stream->chunked = false;
    stream->starved = stream->cut = stream->shut = false;
    stream->head = NULL;
    stream->trailers = (struct span){0};
    stream->reply_left = 0;
    stream->body_bytes = 0;
    stream->body_ns = 0;
    conn->refs++;
    return stream;
}

/* The last one out. */
static void recycle(struct net_stream *stream)
{
    struct net_conn *conn = stream->conn;
    struct net_loop *loop = conn->loop;
    const struct net_app *app = net_conn_app(conn);

    if (stream->told && app->recycle != NULL)
        app->recycle(stream);
    if (loop->spare_count < NET_STREAMS_SPARE_MAX) {
        arena_rewind(&stream->arena); /* wiped when the loop has time */
        loop->spare_dirty = true;
        stream->next_spare = loop->spare;
        loop->spare = stream;
        loop->spare_count++;
    } else {
        arena_reset(&stream->arena);
        alloc_free(stream);
    }
    net_conn_unref(conn);
}

void net_stream_done(struct net_stream *stream)
{
    PC_ASSERT(!stream->orphan);
    stream->orphan = true;
    if (stream->holds == 0)
        recycle(stream);
}

void net_stream_hold(struct net_stream *stream)
{
    stream->holds++;
}

void net_stream_release(struct net_stream *stream)
{
    PC_ASSERT(stream->holds > 0);
    stream->holds--;
    if (stream->holds == 0 && stream->orphan)
        recycle(stream);
}

struct arena *net_stream_arena(struct net_stream *stream)
{
    return &stream->arena;
}

void **net_stream_slot(struct net_stream *stream)
{
    return &stream->slot;
}

const struct net_head *net_stream_head(struct net_stream *stream)
{
    return stream->head;
}

const struct net_peer *net_stream_peer(struct net_stream *stream)
{
    return &stream->conn->peer;
}

struct net_loop *net_stream_loop(struct net_stream *stream)
{
    return stream->conn->loop;
}

void *net_stream_context(struct net_stream *stream)
{
    return stream->conn->door->listener->options.app_context;
}

int64_t net_stream_start_ns(struct net_stream *stream)
{
    return stream->start_ns;
}

bool net_stream_is_open(struct net_stream *stream)
{
    return !stream->orphan && !stream->cut && !stream->conn->failed &&
           stream->conn->state == NET_CONN_OPEN;
}

bool net_stream_account(struct net_stream *stream, size_t bytes, bool more)
{
    if (stream->reply_left == NET_LENGTH_CHUNKED)
        return true;
    if (bytes > stream->reply_left)
        return false;
    stream->reply_left -= bytes;
    return more || stream->reply_left == 0;
}

void net_reply(struct net_stream *stream, const struct net_reply *reply)
{
    struct net_conn *conn = stream->conn;

    PC_ASSERT(reply->status >= 200 && reply->status <= 599);
    if (!net_stream_is_open(stream))
        return;
    PC_ASSERT(stream->reply == NET_REPLY_NONE);
    net_conn_enter(conn);
    conn->codec->reply(stream, reply);
    net_conn_leave(conn);
}

enum err net_reply_body(struct net_stream *stream, struct span bytes, bool more)
{
    struct net_conn *conn = stream->conn;
    enum err err;

    if (!net_stream_is_open(stream))
        return ERR_END;
    PC_ASSERT(stream->reply == NET_REPLY_STREAMING);
    net_conn_enter(conn);
    err = conn->codec->reply_body(stream, bytes, more);
    net_conn_leave(conn);
    return err;
}

enum err net_reply_end(struct net_stream *stream, struct span trailers)
{
    stream->trailers = trailers;
    return net_reply_body(stream, (struct span){0}, false);
}

const struct net_header *net_stream_trailers(const struct net_stream *stream, size_t *ret_count)
{
    bool http2 = stream->conn->codec == &net_codec_http2;

    *ret_count = http2 ? stream->http2.in.trailer_count : stream->http1.trailer_count;
    return http2 ? stream->http2.in.trailers : stream->http1.trailers;
}

size_t net_stream_write_room(struct net_stream *stream)
{
    return net_stream_is_open(stream) ? stream->conn->codec->write_room(stream) : 0;
}

void net_stream_continue(struct net_stream *stream)
{
    struct net_conn *conn = stream->conn;

    if (!net_stream_is_open(stream) || !stream->want_continue)
        return;
    net_conn_enter(conn);
    conn->codec->proceed(stream);
    net_conn_leave(conn);
}

void net_stream_pause(struct net_stream *stream)
{
    stream->paused = true;
}

void net_stream_resume(struct net_stream *stream)
{
    struct net_conn *conn = stream->conn;

    if (!stream->paused)
        return;
    stream->paused = false;
    if (!net_stream_is_open(stream))
        return;
    net_conn_enter(conn);
    stream->body_ns = conn->active_ns = net_loop_now_ns(conn->loop);
    stream->body_bytes = 0;
    if (conn->codec->resumed != NULL)
        conn->codec->resumed(stream);
    net_conn_leave(conn);
}

void net_stream_abort(struct net_stream *stream)
{
    struct net_conn *conn = stream->conn;

    if (stream->orphan || stream->cut)
        return;
    stream->reply = NET_REPLY_DONE; /* the application knows: no gone */
    net_conn_enter(conn);
    conn->codec->abort(stream);
    net_conn_leave(conn);
}
