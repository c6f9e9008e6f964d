/* SPDX-License-Identifier: MIT
 * A connection behind its 101: bytes of another protocol, both ways, each way with an end of its
 * own.
 *
 *   http1 --net_upgrade--> both open --the client ends--> app->end --+
 *                              |                                     +--> both over: closed
 *                              +--net_reply_body(.., false)----------+
 *          refuse: silent for idle_ms in both ways, or shutting down and silent for a moment
 *          gone:   cut
 *
 * It takes the place of HTTP/1.1 as the connection's codec and keeps its one stream. What the
 * client sent before it could know of the 101 was kept in the stash and goes in first. */
#include "net/net_priv.h"

bool net_stream_may_upgrade(const struct net_stream *stream)
{
    const struct net_head *head = stream->head;

    return stream->conn->codec == &net_codec_http1 && head != NULL && head->minor_version == 1 &&
           !head->has_body && stream->reply == NET_REPLY_NONE;
}

void net_upgrade(struct net_stream *stream, const struct net_upgrade *upgrade)
{
    const struct net_framing framing = {.status = 101, .no_length = true, .upgrade = true};
    struct net_conn *conn = stream->conn;
    struct sbuf head = sbuf_over(conn->loop->buffers[NET_BUFFER_SCRATCH], NET_SCRATCH_BYTES);
    struct span line;

    if (!net_stream_is_open(stream))
        return;
    PC_ASSERT(net_stream_may_upgrade(stream) && stream->complete && upgrade->idle_ms > 0);
    net_conn_enter(conn);
    net_http1_reply_head(&head, &framing, upgrade->head);
    line = sbuf_span(&head);
    net_loop_dirty(conn->loop, NET_BUFFER_SCRATCH, line.len);
    conn->codec = &net_codec_tunnel;
    conn->active_ns = net_loop_now_ns(conn->loop);
    stream->tunnel_idle_ns = upgrade->idle_ms * CLOCK_NS_PER_MS;
    stream->reply = NET_REPLY_STREAMING;
    stream->complete = false; /* from now on: the client has ended, and that was told */
    if (head.full)
        net_conn_fail(conn);
    else
        net_conn_send(conn, &line, 1, false);
    net_conn_leave(conn);
}

/* --- from the client -------------------------------------------------------------------------- */

static bool tunnel_reads(const struct net_conn *conn)
{
    return conn->stream != NULL && conn->stash == NULL && !conn->stream->paused;
}

static void tunnel_input(struct net_conn *conn, struct span bytes)
{
    net_conn_app(conn)->body(conn->stream, bytes);
}

/* Behind the last of its bytes. */
static void tell_end(struct net_conn *conn)
{
    struct net_stream *stream = conn->stream;

    if (!conn->input_over || conn->stash != NULL || stream->complete)
        return;
    stream->complete = true;
    net_conn_app(conn)->end(stream);
}

static void tunnel_input_end(struct net_conn *conn)
{
    tell_end(conn);
}

static void take_stash(struct net_conn *conn)
{
    if (conn->stash == NULL || conn->stream->paused)
        return;
    net_conn_app(conn)->body(
        conn->stream, span_make(conn->stash + conn->stash_at, conn->stash_bytes - conn->stash_at));
    net_conn_unstash(conn);
}

/* --- to the client ---------------------------------------------------------------------------- */

static size_t tunnel_write_room(const struct net_stream *stream)
{
    size_t waiting = stream->conn->output.bytes;

    return waiting < NET_OUTPUT_BYTES_MAX ? NET_OUTPUT_BYTES_MAX - waiting : 0;
}

static enum err tunnel_reply_body(struct net_stream *stream, struct span bytes, bool more)
{
    struct net_conn *conn = stream->conn;

    if (bytes.len > tunnel_write_room(stream)) {
        stream->starved = true;
        return ERR_BUSY;
    }
    if (!more)
        stream->reply = NET_REPLY_DONE;
    if (bytes.len > 0)
        net_conn_send(conn, &bytes, 1, false);
    stream->starved = tunnel_write_room(stream) < NET_OUTPUT_BYTES_MAX / 2;
    return conn->failed ? ERR_END : ERR_OK;
}

static void offer_room(struct net_conn *conn)
{
    struct net_stream *stream = conn->stream;

    if (!stream->starved || stream->reply != NET_REPLY_STREAMING ||
        conn->output.bytes > NET_OUTPUT_BYTES_MAX / 2)
        return;
    stream->starved = false;
    if (net_conn_app(conn)->writable != NULL)
        net_conn_app(conn)->writable(stream);
}

/* Our end, once the last byte has left. */
static void end_output(struct net_conn *conn)
{
    struct net_stream *stream = conn->stream;

    if (stream->reply != NET_REPLY_DONE || stream->shut || !net_conn_is_drained(conn))
        return;
    stream->shut = true;
    if (stream->complete) /* the last of both: closing says it */
        return;
    if (conn->tls != NULL)
        net_tls_goodbye(conn->tls);
    if (shutdown(conn->fd, SHUT_WR) != 0)
        net_conn_fail(conn);
}

/* --- both ------------------------------------------------------------------------------------- */

static void tunnel_settle(struct net_conn *conn)
{
    struct net_stream *stream = conn->stream;

    offer_room(conn);
    take_stash(conn);
    tell_end(conn);
    if (conn->failed)
        return;
    end_output(conn);
    if (conn->failed || !stream->shut || !stream->complete)
        return;
    conn->stream = NULL;
    net_stream_done(stream);
    net_conn_goodbye(conn, false);
}

static int64_t tunnel_deadline_ns(const struct net_conn *conn)
{
    const struct net_stream *stream = conn->stream;
    int64_t last_ns = conn->active_ns > conn->written_ns ? conn->active_ns : conn->written_ns;
    int64_t idle_ns = stream->tunnel_idle_ns;

    if (conn->loop->draining && idle_ns > NET_DRAIN_FIRST_MS * CLOCK_NS_PER_MS)
        idle_ns = NET_DRAIN_FIRST_MS * CLOCK_NS_PER_MS;
    return last_ns + idle_ns;
}

static bool tunnel_timeout(struct net_conn *conn)
{
    struct net_stream *stream = conn->stream;

    stream->refused = true; /* and so not gone */
    net_conn_app(conn)->refuse(stream, conn->loop->draining ? ERR_DRAINING : ERR_REQUEST_TIMEOUT);
    net_conn_fail(conn);
    return true;
}

static void tunnel_lost(struct net_conn *conn)
{
    struct net_stream *stream = conn->stream;
    const struct net_app *app = net_conn_app(conn);

    if (stream == NULL)
        return;
    conn->stream = NULL;
    if (!stream->refused && app->gone != NULL)
        app->gone(stream);
    net_stream_done(stream);
}

static void tunnel_drain(struct net_conn *conn)
{
    (void)conn; /* its deadline is near now */
}

static void tunnel_abort(struct net_stream *stream)
{
    stream->refused = true; /* the application knows */
    net_conn_fail(stream->conn);
}

const struct net_codec net_codec_tunnel = {
    .name = "tunnel",
    .input = tunnel_input,
    .input_end = tunnel_input_end,
    .settle = tunnel_settle,
    .timeout = tunnel_timeout,
    .lost = tunnel_lost,
    .drain = tunnel_drain,
    .deadline_ns = tunnel_deadline_ns,
    .reads = tunnel_reads,
    .reply_body = tunnel_reply_body,
    .write_room = tunnel_write_room,
    .abort = tunnel_abort,
};
