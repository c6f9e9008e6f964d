/* SPDX-License-Identifier: MIT
 * HTTP/1.1 on a connection: one stream after the other.
 *
 *   idle --request_begin--> reading --request_step: HEAD, BODY*, END--> complete
 *    ^                         |                                           |
 *    |                         +-- refuse (malformed, slow) --> refused ---+
 *    |                                                                     |
 *    +-- answer_finish: the answer is written ----------------------------+--> net_conn_goodbye
 *
 * `consume` is the only driver: it goes on until it needs bytes, the application, or the socket. A
 * further request on the same connection is not looked at before the answer has left. */
#include "net/net_priv.h"

enum {
    BODY_INLINE_BYTES_MAX = 16 * 1024, /* a smaller body is copied behind its head: one part */
    CHUNK_LINE_BYTES_MAX = 20,
};

/* --- questions -------------------------------------------------------------------------------- */

static const struct net_server_options *options_of(const struct net_conn *conn)
{
    return &conn->loop->server->options;
}

/* Nothing more of this request will be read. */
static bool is_over(const struct net_stream *stream)
{
    return stream->complete || stream->refused ||
           (stream->reply == NET_REPLY_DONE && stream->must_close);
}

static bool is_held_back(const struct net_stream *stream)
{
    return stream->paused && stream->reply != NET_REPLY_DONE;
}

static bool http1_reads(const struct net_conn *conn)
{
    const struct net_stream *stream = conn->stream;

    if (conn->stash != NULL)
        return false;
    return stream == NULL || (!is_over(stream) && !is_held_back(stream));
}

/* By when a body must go on: the next piece, and enough of it in all. */
static int64_t body_deadline_ns(const struct net_conn *conn, const struct net_stream *stream)
{
    const struct net_server_options *options = options_of(conn);
    int64_t next_ns = conn->active_ns + options->body_ms * CLOCK_NS_PER_MS;
    int64_t begin_ns = stream->body_ns + options->body_grace_ms * CLOCK_NS_PER_MS;
    uint64_t earned_s = stream->body_bytes / (uint64_t)options->body_rate_min;
    int64_t rate_ns;

    if (is_held_back(stream) || (stream->want_continue && stream->reply == NET_REPLY_NONE))
        return NET_NO_DEADLINE;
    if (earned_s > (uint64_t)(INT64_MAX / CLOCK_NS_PER_S / 2))
        return next_ns;
    rate_ns = begin_ns + (int64_t)earned_s * CLOCK_NS_PER_S;
    return rate_ns < next_ns ? rate_ns : next_ns;
}

static int64_t idle_ms(const struct net_conn *conn)
{
    const struct net_server_options *options = options_of(conn);

    if (conn->requests > 0)
        return options->idle_ms;
    if (conn->loop->draining && options->head_ms > NET_DRAIN_FIRST_MS)
        return NET_DRAIN_FIRST_MS;
    return options->head_ms;
}

static int64_t http1_deadline_ns(const struct net_conn *conn)
{
    const struct net_server_options *options = options_of(conn);
    const struct net_stream *stream = conn->stream;

    if (stream == NULL)
        return conn->active_ns + idle_ms(conn) * CLOCK_NS_PER_MS;
    if (is_over(stream))
        return NET_NO_DEADLINE;
    if (!stream->told)
        return stream->start_ns + options->head_ms * CLOCK_NS_PER_MS;
    return body_deadline_ns(conn, stream);
}

/* --- a request comes in ----------------------------------------------------------------------- */

static bool request_begin(struct net_conn *conn)
{
    struct net_stream *stream = net_stream_new(conn);

    if (stream == NULL)
        return false;
    net_http1_start(&stream->http1, &stream->arena, &conn->loop->server->limits);
    conn->stream = stream;
    conn->requests++;
    return true;
}

static void refuse(struct net_conn *conn, struct net_stream *stream, enum err err)
{
    metric_add(conn->loop->server->counters.malformed[err], 1);
    stream->refused = stream->must_close = true;
    if (stream->reply == NET_REPLY_STREAMING) {
        net_conn_fail(conn);
        return;
    }
    if (stream->reply == NET_REPLY_DONE)
        return;
    stream->told = true;
    net_conn_app(conn)->refuse(stream, err);
}

static void head_in(struct net_conn *conn, struct net_stream *stream, struct span rest)
{
    struct net_head *head = &stream->http1.head;

    head->expects_continue = head->expects_continue && rest.len == 0;
    stream->want_continue = head->expects_continue;
    stream->body_ns = net_loop_now_ns(conn->loop);
    stream->told = true;
    stream->head = head;
    net_conn_app(conn)->head(stream, head);
}

/* Bytes that come behind a complete answer are dropped, a bounded number of them. */
static void body_in(struct net_conn *conn, struct net_stream *stream, struct span piece)
{
    stream->want_continue = false;
    stream->body_bytes += piece.len;
    if (stream->reply != NET_REPLY_DONE)
        net_conn_app(conn)->body(stream, piece);
}

static void end_in(struct net_conn *conn, struct net_stream *stream)
{
    stream->complete = true;
    if (stream->reply != NET_REPLY_DONE)
        net_conn_app(conn)->end(stream);
}

/* One event of the reader. False when it needs more bytes. */
static bool request_step(struct net_conn *conn, struct net_stream *stream, struct span *input)
{
    struct span piece;
    enum err err;

    switch (net_http1_next(&stream->http1, input, &piece, &err)) {
    case NET_HTTP1_MORE:
        return false;
    case NET_HTTP1_HEAD:
        head_in(conn, stream, *input);
        break;
    case NET_HTTP1_BODY:
        body_in(conn, stream, piece);
        break;
    case NET_HTTP1_END:
        end_in(conn, stream);
        break;
    case NET_HTTP1_BAD:
        refuse(conn, stream, err);
        break;
    }
    return true;
}

/* The request is over: lets go of it once its answer is written. False while that is not so. */
static bool answer_finish(struct net_conn *conn, struct net_stream *stream, struct span *input)
{
    if (stream->reply != NET_REPLY_DONE || conn->output.bytes > 0)
        return false;
    if (stream->must_close)
        net_conn_goodbye(conn, !stream->complete || input->len > 0 || conn->stash != NULL);
    conn->stream = NULL;
    conn->active_ns = net_loop_now_ns(conn->loop);
    net_stream_done(stream);
    return true;
}

static void consume(struct net_conn *conn, struct span *input)
{
    while (!conn->failed && conn->state == NET_CONN_OPEN) {
        struct net_stream *stream = conn->stream;

        if (stream == NULL) {
            if (input->len == 0)
                return;
            if (!request_begin(conn))
                net_conn_fail(conn);
        } else if (is_over(stream)) {
            if (!answer_finish(conn, stream, input))
                return;
        } else if (is_held_back(stream)) {
            return;
        } else if (!request_step(conn, stream, input)) {
            if (conn->input_over) /* in the middle of a request */
                net_conn_fail(conn);
            return;
        }
        if (conn->codec != &net_codec_http1) /* the rest is another protocol's */
            return;
    }
    *input = (struct span){0}; /* nobody will read it */
}

static void http1_input(struct net_conn *conn, struct span bytes)
{
    consume(conn, &bytes);
    if (bytes.len > 0)
        net_conn_stash(conn, bytes);
}

/* A streamed answer has room again. */
static void offer_room(struct net_conn *conn)
{
    struct net_stream *stream = conn->stream;

    if (stream == NULL || !stream->starved || stream->reply != NET_REPLY_STREAMING ||
        conn->output.bytes > NET_OUTPUT_BYTES_MAX / 2)
        return;
    stream->starved = false;
    if (net_conn_app(conn)->writable != NULL)
        net_conn_app(conn)->writable(stream);
}

static void http1_settle(struct net_conn *conn)
{
    struct span waiting = {0};

    offer_room(conn);
    if (conn->stash != NULL)
        waiting = span_make(conn->stash + conn->stash_at, conn->stash_bytes - conn->stash_at);
    consume(conn, &waiting);
    conn->stash_at = conn->stash_bytes - (uint32_t)waiting.len;
    if (waiting.len == 0)
        net_conn_unstash(conn);
    if (conn->stream == NULL && conn->input_over)
        net_conn_goodbye(conn, false);
}

/* A client may say that it sends no more and still wait for its answer. */
static void http1_input_end(struct net_conn *conn)
{
    struct net_stream *stream = conn->stream;

    if (stream == NULL || (!is_over(stream) && conn->stash == NULL))
        net_conn_fail(conn);
    else if (net_conn_app(conn)->hung_up != NULL && stream->reply != NET_REPLY_DONE)
        net_conn_app(conn)->hung_up(stream);
}

static bool http1_timeout(struct net_conn *conn)
{
    struct net_stream *stream = conn->stream;

    if (stream == NULL) {
        net_conn_goodbye(conn, false);
        return true;
    }
    if (stream->reply == NET_REPLY_DONE)
        net_conn_fail(conn);
    else
        refuse(conn, stream, ERR_REQUEST_TIMEOUT);
    return true;
}

static void http1_lost(struct net_conn *conn)
{
    struct net_stream *stream = conn->stream;
    const struct net_app *app = net_conn_app(conn);

    if (stream == NULL)
        return;
    conn->stream = NULL;
    if (stream->told && stream->reply != NET_REPLY_DONE && app->gone != NULL)
        app->gone(stream);
    net_stream_done(stream);
}

/* A new connection may still ask once; its deadline is near now. */
static void http1_drain(struct net_conn *conn)
{
    if (conn->stream == NULL && conn->requests > 0)
        net_conn_goodbye(conn, false);
}

/* --- an answer goes out ----------------------------------------------------------------------- */

/* Whether reading what is left of the request costs more than a new connection. */
static bool is_unread(const struct net_stream *stream)
{
    const struct net_http1 *http1 = &stream->http1;

    if (http1->state == NET_HTTP1_COMPLETE)
        return false;
    return stream->want_continue || http1->state != NET_HTTP1_IN_LENGTH ||
           http1->body_left > NET_DRAIN_BYTES_MAX;
}

static bool must_close(const struct net_conn *conn, const struct net_stream *stream,
                       const struct net_reply *reply)
{
    return reply->close || stream->refused || stream->must_close ||
           (conn->input_over && conn->stash == NULL) || !stream->http1.keep_alive ||
           conn->loop->draining || conn->requests >= options_of(conn)->requests_per_conn_max ||
           is_unread(stream);
}

/* How the end of the body will be told, and what the answer means for the connection. */
static struct net_framing framing_of(struct net_conn *conn, struct net_stream *stream,
                                     const struct net_reply *reply)
{
    const struct net_head *head = &stream->http1.head;
    bool has_length = !reply->more || reply->body_length != NET_LENGTH_CHUNKED;
    bool old = stream->http1.head_seen && head->minor_version == 0;
    bool never = reply->status == 204 || reply->status == 304;
    struct net_framing framing = {.status = reply->status};

    stream->no_body = never || (stream->http1.head_seen && head->method == NET_METHOD_HEAD);
    stream->chunked = !has_length && !old && !never;
    stream->must_close = must_close(conn, stream, reply) || (!has_length && old && !never);
    stream->reply_left = has_length && reply->more ? reply->body_length : NET_LENGTH_CHUNKED;
    framing.chunked = stream->chunked;
    framing.no_length = never || !has_length;
    framing.length = reply->more ? reply->body_length : reply->body.len;
    framing.close = stream->must_close;
    framing.keep_alive = old;
    return framing;
}

static void chunk_line(struct sbuf *out, size_t bytes)
{
    sbuf_add_format(out, "%zx\r\n", bytes);
}

/* The beginning of a streamed answer. */
static void send_first(struct net_conn *conn, struct net_stream *stream, struct sbuf *head,
                       struct span body)
{
    struct span parts[3] = {{0}, body, SPAN("\r\n")};
    bool framed = stream->chunked && body.len > 0;

    if (framed)
        chunk_line(head, body.len);
    parts[0] = sbuf_span(head);
    net_conn_send(conn, parts, framed ? 3 : 2, false);
}

static void send_whole(struct net_conn *conn, struct sbuf *head, struct span body)
{
    struct span parts[2];

    if (body.len <= BODY_INLINE_BYTES_MAX && body.len <= head->cap - head->len) {
        sbuf_add(head, body);
        body.len = 0;
    }
    parts[0] = sbuf_span(head);
    parts[1] = body;
    net_conn_send(conn, parts, body.len > 0 ? 2 : 1, body.len > 0);
}

static void http1_reply(struct net_stream *stream, const struct net_reply *reply)
{
    struct net_conn *conn = stream->conn;
    struct net_framing framing = framing_of(conn, stream, reply);
    struct sbuf head = sbuf_over(conn->loop->buffers[NET_BUFFER_SCRATCH], NET_SCRATCH_BYTES);
    struct span body = stream->no_body ? (struct span){0} : reply->body;

    net_http1_reply_head(&head, &framing, reply->head);
    if (head.len > NET_SCRATCH_BYTES - CHUNK_LINE_BYTES_MAX)
        head.full = true;
    stream->reply = reply->more ? NET_REPLY_STREAMING : NET_REPLY_DONE;
    if (head.full || (reply->more && !net_stream_account(stream, reply->body.len, true)))
        net_conn_fail(conn);
    else if (reply->more)
        send_first(conn, stream, &head, body);
    else
        send_whole(conn, &head, body);
    net_loop_dirty(conn->loop, NET_BUFFER_SCRATCH, head.len);
}

static size_t http1_write_room(const struct net_stream *stream)
{
    size_t waiting = stream->conn->output.bytes;

    return waiting < NET_OUTPUT_BYTES_MAX ? NET_OUTPUT_BYTES_MAX - waiting : 0;
}

static void send_piece(struct net_conn *conn, const struct net_stream *stream, struct span bytes,
                       bool more)
{
    char line[CHUNK_LINE_BYTES_MAX];
    struct sbuf out = sbuf_over(line, sizeof(line));
    struct span end = more ? SPAN_OF("\r\n") : SPAN_OF("\r\n0\r\n\r\n");
    struct span parts[3] = {{0}, bytes, end};

    if (!stream->chunked) {
        net_conn_send(conn, &bytes, 1, false);
        return;
    }
    if (bytes.len == 0) {
        parts[0] = more ? (struct span){0} : SPAN_OF("0\r\n");
        parts[1] = stream->trailers;
        parts[2] = more ? (struct span){0} : SPAN_OF("\r\n");
        net_conn_send(conn, parts, 3, false);
        return;
    }
    chunk_line(&out, bytes.len);
    parts[0] = sbuf_span(&out);
    net_conn_send(conn, parts, 3, false);
}

static enum err http1_reply_body(struct net_stream *stream, struct span bytes, bool more)
{
    struct net_conn *conn = stream->conn;

    if (bytes.len > http1_write_room(stream)) {
        stream->starved = true;
        return ERR_BUSY;
    }
    if (!stream->no_body && !net_stream_account(stream, bytes.len, more)) {
        net_conn_fail(conn);
        return ERR_END;
    }
    if (!more)
        stream->reply = NET_REPLY_DONE;
    if (!stream->no_body && (bytes.len > 0 || !more))
        send_piece(conn, stream, bytes, more);
    stream->starved = http1_write_room(stream) < NET_OUTPUT_BYTES_MAX / 2;
    return conn->failed ? ERR_END : ERR_OK;
}

static void http1_proceed(struct net_stream *stream)
{
    struct span line = SPAN("HTTP/1.1 100 Continue\r\n\r\n");

    if (stream->reply != NET_REPLY_NONE)
        return;
    stream->want_continue = false;
    stream->body_ns = stream->conn->active_ns = net_loop_now_ns(stream->conn->loop);
    net_conn_send(stream->conn, &line, 1, false);
}

/* An answer cannot be taken back but with its connection. */
static void http1_abort(struct net_stream *stream)
{
    net_conn_fail(stream->conn);
}

const struct net_codec net_codec_http1 = {
    .name = "http/1.1",
    .input = http1_input,
    .input_end = http1_input_end,
    .settle = http1_settle,
    .timeout = http1_timeout,
    .lost = http1_lost,
    .drain = http1_drain,
    .deadline_ns = http1_deadline_ns,
    .reads = http1_reads,
    .reply = http1_reply,
    .reply_body = http1_reply_body,
    .write_room = http1_write_room,
    .proceed = http1_proceed,
    .abort = http1_abort,
};
