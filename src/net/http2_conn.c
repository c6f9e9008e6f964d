/* SPDX-License-Identifier: MIT
 * HTTP/2 on a connection: many streams at once. The gate looks at what came, nghttp2 reads it, and
 * what is to be said leaves when the loop is about to wait.
 *
 *   http2_open -> http2_input: gate -> nghttp2 -> http2_stream.c -> application
 *                     |                                                |
 *                     +-- flood: calm()                     net_reply: http2_reply.c
 *                             |                                        |
 *   farewell <- GOAWAY sent <-+       net_http2_flush <- due <- http2_settle
 *
 * Deadlines of a hundred streams would cost a walk each turn. So only the earliest moment at which
 * one may be over is kept: new streams move it nearer, and when it comes all are looked at. */
#include <string.h>

#include "base/alloc.h"
#include "net/http2_priv.h"

enum { MAX_OUTBOUND_ACKS = 100, PRIORITY_BYTES = 5, REST_MS = 1000 };

static const struct net_server_options *options_of(const struct net_conn *conn)
{
    return &conn->loop->server->options;
}

/* --- being due -------------------------------------------------------------------------------- */

static void undue(struct net_http2 *http2)
{
    if (http2->due_link == NULL)
        return;
    *http2->due_link = http2->next_due;
    if (http2->next_due != NULL)
        http2->next_due->due_link = http2->due_link;
    http2->due_link = NULL;
    http2->next_due = NULL;
}

/* While others are being flushed its turn is the next one, which comes at once. */
static void due(struct net_http2 *http2)
{
    struct net_loop *loop = http2->conn->loop;

    if (http2->due_link != NULL)
        return;
    if (loop->flushing) {
        http2->conn->wants_write = !http2->stalled;
        http2->stalled = false;
        return;
    }
    http2->next_due = loop->due;
    http2->due_link = &loop->due;
    if (http2->next_due != NULL)
        http2->next_due->due_link = &http2->next_due;
    loop->due = http2;
}

void net_http2_look_at(struct net_http2 *http2, int64_t at_ns)
{
    if (at_ns < http2->look_ns)
        http2->look_ns = at_ns;
}

/* --- opening and closing ---------------------------------------------------------------------- */

static bool session_new(struct net_http2 *http2, nghttp2_session_callbacks *callbacks,
                        nghttp2_option *option)
{
    nghttp2_mem memory = net_http2_memory_functions(&http2->memory);
    bool made;

    net_http2_stream_callbacks(callbacks);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_outbound_ack(option, MAX_OUTBOUND_ACKS);
    made = nghttp2_session_server_new3(&http2->session, callbacks, http2, option, &memory) == 0;
    net_http2_memory_made(&http2->memory);
    return made;
}

static bool session_greet(struct net_http2 *http2)
{
    const struct net_http1_limits *limits = &http2->conn->loop->server->limits;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, NET_HTTP2_STREAMS_MAX},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)limits->head_bytes_max},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };

    return nghttp2_submit_settings(http2->session, NGHTTP2_FLAG_NONE, settings,
                                   PC_COUNT(settings)) == 0 &&
           nghttp2_session_set_local_window_size(http2->session, NGHTTP2_FLAG_NONE, 0,
                                                 NET_HTTP2_WINDOW_BYTES) == 0;
}

static bool session_open(struct net_http2 *http2)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    bool opened = nghttp2_session_callbacks_new(&callbacks) == 0 &&
                  nghttp2_option_new(&option) == 0 && session_new(http2, callbacks, option) &&
                  session_greet(http2);

    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return opened;
}

static bool http2_open(struct net_conn *conn)
{
    struct net_http2 *http2 = alloc_zero(sizeof(*http2));
    int64_t now_ns = net_loop_now_ns(conn->loop);
    size_t block_bytes_max = conn->loop->server->limits.head_bytes_max;

    if (http2 == NULL)
        return false;
    http2->conn = conn;
    http2->memory.spares = &conn->loop->http2_spares;
    http2->idle_ns = now_ns;
    http2->look_ns = now_ns + options_of(conn)->head_ms * CLOCK_NS_PER_MS;
    net_http2_gate_open(&http2->gate, block_bytes_max + NET_HTTP2_BLOCK_SLACK_BYTES);
    conn->http2 = http2;
    metric_add(conn->loop->server->counters.http2, 1);
    return session_open(http2);
}

/* Nothing is left but the output that was made already. */
static void http2_lost(struct net_conn *conn)
{
    struct net_http2 *http2 = conn->http2;

    if (http2 == NULL)
        return;
    while (http2->streams != NULL)
        net_http2_stream_drop(http2->streams);
    undue(http2);
    conn->http2 = NULL;
    net_http2_memory_free(&http2->memory);
    net_http2_heard_free(&http2->heard);
    alloc_free(http2->pack);
    alloc_free(http2);
}

void net_http2_goaway(struct net_http2 *http2)
{
    int32_t last;

    if (http2->goaway)
        return;
    http2->goaway = true;
    last = nghttp2_session_get_last_proc_stream_id(http2->session);
    if (nghttp2_submit_goaway(http2->session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0) !=
        0)
        net_conn_fail(http2->conn);
}

static void end(struct net_http2 *http2, uint32_t code)
{
    http2->ending = true;
    if (nghttp2_session_terminate_session(http2->session, code) != 0)
        net_conn_fail(http2->conn);
}

void net_http2_calm(struct net_http2 *http2, enum net_http2_flood kind)
{
    if (http2->ending)
        return;
    metric_add(http2->conn->loop->server->counters.floods[kind], 1);
    end(http2, NGHTTP2_ENHANCE_YOUR_CALM);
}

void net_http2_made_reset(struct net_http2 *http2)
{
    if (!net_http2_gate_made(&http2->gate, net_http2_now_ns(http2)))
        net_http2_calm(http2, NET_HTTP2_FLOOD_MADE);
}

/* --- sending ---------------------------------------------------------------------------------- */

/* Puts frames together until the loop's buffer is full. False when there is no more to say. */
static bool gather(struct net_http2 *http2, struct sbuf *out, struct span *frame)
{
    while (frame->len <= out->cap - out->len) {
        const uint8_t *data;
        ssize_t bytes;

        if (frame->len > 0)
            sbuf_add(out, *frame);
        net_http2_forget(http2);
        bytes = nghttp2_session_mem_send(http2->session, &data);
        if (bytes < 0)
            net_conn_fail(http2->conn);
        PC_ASSERT(bytes <= NET_SCRATCH_BYTES);
        *frame = bytes > 0 ? span_make(data, (size_t)bytes) : (struct span){0};
        if (http2->block.len > 0)
            *frame = http2->block;
        http2->block = (struct span){0};
        if (bytes <= 0)
            return false;
    }
    return true;
}

/* As much as the socket takes, and not more than a turn's share. `last`: the session ends, so all
 * that it has is put where the socket finds it. */
static void send_frames(struct net_http2 *http2, bool last)
{
    struct net_conn *conn = http2->conn;
    struct span frame = {0};
    size_t sent = 0;
    bool more = true;

    while (more && !conn->failed && (last || conn->output.bytes == 0) &&
           sent < NET_HTTP2_TURN_BYTES) {
        struct sbuf out = sbuf_over(conn->loop->buffers[NET_BUFFER_SCRATCH], NET_SCRATCH_BYTES);
        struct span part;

        more = gather(http2, &out, &frame);
        part = sbuf_span(&out);
        sent += part.len;
        net_loop_dirty(conn->loop, NET_BUFFER_SCRATCH, part.len);
        if (part.len > 0)
            net_conn_send(conn, &part, 1, false);
        if (frame.len > NET_SCRATCH_BYTES) { /* a head that is far too long */
            net_conn_send(conn, &frame, 1, false);
            frame.len = 0;
        }
    }
    if (frame.len > 0 && !conn->failed) /* nghttp2 has let go of it */
        net_conn_send(conn, &frame, 1, false);
    net_http2_forget(http2);
    http2->stalled = sent == 0 && conn->output.bytes == 0;
}

static bool is_over(const struct net_http2 *http2)
{
    return http2->ending || (nghttp2_session_want_read(http2->session) == 0 &&
                             nghttp2_session_want_write(http2->session) == 0);
}

/* What was said last is on its way; streams that are left hear that their client is gone. */
static void finish(struct net_http2 *http2)
{
    struct net_conn *conn = http2->conn;

    send_frames(http2, true);
    net_conn_goodbye(conn, true);
    http2_lost(conn);
}

static void http2_settle(struct net_conn *conn)
{
    struct net_http2 *http2 = conn->http2;

    if (http2->waiting)
        net_http2_go_on(http2);
    if (http2->starved)
        net_http2_offer_room(http2);
    if (conn->failed)
        return;
    if (is_over(http2))
        finish(http2);
    else if (conn->output.bytes == 0 && nghttp2_session_want_write(http2->session) != 0)
        due(http2);
}

void net_http2_flush(struct net_loop *loop)
{
    loop->flushing = true;
    while (loop->due != NULL) {
        struct net_http2 *http2 = loop->due;
        struct net_conn *conn = http2->conn;

        undue(http2);
        net_conn_enter(conn);
        if (!conn->failed && conn->state == NET_CONN_OPEN)
            send_frames(http2, false);
        net_conn_leave(conn);
    }
    loop->flushing = false;
}

/* --- receiving -------------------------------------------------------------------------------- */

static void read_frames(struct net_http2 *http2, struct span bytes)
{
    const struct net_http2_gate *gate = &http2->gate;
    bool unread;
    ssize_t taken = nghttp2_session_mem_recv(http2->session, (const uint8_t *)bytes.ptr, bytes.len);

    unread = taken == NGHTTP2_ERR_FLOODED ||
             nghttp2_session_get_outbound_queue_size(http2->session) > NET_HTTP2_QUEUE_MAX;
    if (unread)
        net_http2_calm(http2, NET_HTTP2_FLOOD_QUEUE);
    else if (taken < 0)
        net_conn_fail(http2->conn);
    if (gate->block_ns != 0)
        net_http2_look_at(http2,
                          gate->block_ns + options_of(http2->conn)->head_ms * CLOCK_NS_PER_MS);
}

/* The size of a frame, HEADERS with all of its block, written anew; 0: it stays as it is. */
static size_t headers_plainly(struct net_http2 *http2, struct span frame, char *to)
{
    struct net_loop *loop = http2->conn->loop;
    const unsigned char *head = (const unsigned char *)frame.ptr;
    const uint8_t alone = NGHTTP2_FLAG_END_HEADERS;
    const uint8_t padded = NGHTTP2_FLAG_PADDED;
    size_t from = NET_HTTP2_FRAME_HEAD_BYTES;
    size_t bytes;

    if (head[3] != NGHTTP2_HEADERS || (head[4] & (alone | padded)) != alone)
        return 0;
    if ((head[4] & NGHTTP2_FLAG_PRIORITY) != 0)
        from += PRIORITY_BYTES;
    if (frame.len <= from)
        return 0;
    bytes = net_http2_plain(&http2->heard, span_slice(frame, from, frame.len), to + from,
                            NET_PLAIN_BYTES - from);
    net_loop_dirty(loop, NET_BUFFER_PLAIN, bytes > 0 ? from + bytes : NET_PLAIN_BYTES);
    if (bytes == 0)
        return 0;
    memcpy(to, frame.ptr, from);
    bytes += from;
    for (size_t i = 0; i < 3; i++)
        to[i] = (char)((bytes - NET_HTTP2_FRAME_HEAD_BYTES) >> (8 * (2 - i)));
    return bytes;
}

static void read_part(struct net_http2 *http2, struct span bytes)
{
    if (bytes.len > 0 && !http2->ending && !http2->conn->failed)
        read_frames(http2, bytes);
}

/* The same to nghttp2, but quicker to read. `at`: where the first frame in there begins. */
static void read_plainly(struct net_http2 *http2, struct span bytes, size_t at)
{
    char *plain = http2->conn->loop->buffers[NET_BUFFER_PLAIN];
    size_t from = 0; /* of what nghttp2 has not seen */

    while (at < bytes.len && bytes.len - at >= NET_HTTP2_FRAME_HEAD_BYTES) {
        const unsigned char *head = (const unsigned char *)bytes.ptr + at;
        size_t end = at + NET_HTTP2_FRAME_HEAD_BYTES + ((size_t)head[0] << 16) +
                     ((size_t)head[1] << 8) + head[2];
        size_t written =
            end <= bytes.len ? headers_plainly(http2, span_slice(bytes, at, end), plain) : 0;

        if (written > 0) {
            read_part(http2, span_slice(bytes, from, at));
            read_part(http2, span_make(plain, written));
            from = end;
        }
        at = end;
    }
    read_part(http2, span_slice(bytes, from, bytes.len));
}

static void http2_input(struct net_conn *conn, struct span bytes)
{
    struct net_http2 *http2 = conn->http2;
    const struct net_http2_gate *gate = &http2->gate;
    size_t first = gate->have == 0 ? gate->skip : bytes.len; /* or within a frame's head */
    enum net_http2_flood kind;

    if (http2->ending)
        return;
    if (net_http2_gate_pass(&http2->gate, bytes, net_loop_now_ns(conn->loop), &kind))
        read_plainly(http2, bytes, first);
    else
        net_http2_calm(http2, kind);
}

/* Whoever hangs up hears no answer: there is no half-closing of a connection with many streams. */
static void http2_input_end(struct net_conn *conn)
{
    net_conn_fail(conn);
}

/* Answers that wait never hold up reading: windows open and pings are answered. */
static bool http2_reads(const struct net_conn *conn)
{
    return true;
}

/* --- time ------------------------------------------------------------------------------------- */

static int64_t idle_deadline_ns(const struct net_http2 *http2)
{
    const struct net_conn *conn = http2->conn;
    int64_t wait_ms = conn->requests > 0 ? options_of(conn)->idle_ms : options_of(conn)->head_ms;

    return http2->idle_ns + wait_ms * CLOCK_NS_PER_MS;
}

void net_http2_idle(struct net_http2 *http2)
{
    http2->idle_ns = net_http2_now_ns(http2);
    net_http2_look_at(http2, idle_deadline_ns(http2));
    net_http2_look_at(http2, http2->idle_ns + REST_MS * CLOCK_NS_PER_MS);
}

static int64_t block_deadline_ns(const struct net_http2 *http2)
{
    if (http2->gate.block_ns == 0)
        return NET_NO_DEADLINE;
    return http2->gate.block_ns + options_of(http2->conn)->head_ms * CLOCK_NS_PER_MS;
}

static int64_t http2_deadline_ns(const struct net_conn *conn)
{
    return conn->http2->look_ns;
}

/* Those whose time is over; looks for the next one. */
static bool streams_look(struct net_http2 *http2, int64_t now_ns)
{
    bool over = false;

    for (struct net_stream *stream = http2->streams; stream != NULL; stream = stream->http2.next) {
        if (net_http2_stream_deadline_ns(stream) <= now_ns)
            over = net_http2_stream_timeout(stream) || over;
        net_http2_look_at(http2, net_http2_stream_deadline_ns(stream));
    }
    return over;
}

static bool may_rest(const struct net_http2 *http2)
{
    return http2->streams == NULL && !http2->rests;
}

/* Nothing was asked for some time: what the next request can do without is let go. */
static void rest(struct net_http2 *http2)
{
    if (nghttp2_session_want_write(http2->session) != 0)
        return;
    http2->rests = true;
    http2->renews = http2->renews || http2->pack != NULL;
    net_http2_memory_rest(&http2->memory);
    net_http2_heard_free(&http2->heard);
    alloc_free(http2->pack);
    http2->pack = NULL;
}

static bool conn_look(struct net_http2 *http2, int64_t now_ns)
{
    if (http2->last_ns != 0 && http2->last_ns <= now_ns)
        net_http2_goaway(http2);
    if (block_deadline_ns(http2) <= now_ns) {
        net_http2_calm(http2, NET_HTTP2_FLOOD_HEADERS);
        return true;
    }
    if (http2->streams == NULL && idle_deadline_ns(http2) <= now_ns) {
        end(http2, NGHTTP2_NO_ERROR);
        return true;
    }
    if (may_rest(http2) && http2->idle_ns + REST_MS * CLOCK_NS_PER_MS <= now_ns)
        rest(http2);
    return false;
}

static bool http2_timeout(struct net_conn *conn)
{
    struct net_http2 *http2 = conn->http2;
    int64_t now_ns = net_loop_now_ns(conn->loop);
    bool over;

    http2->look_ns = NET_NO_DEADLINE;
    over = conn_look(http2, now_ns);
    over = streams_look(http2, now_ns) || over;
    if (http2->last_ns != 0 && !http2->goaway)
        net_http2_look_at(http2, http2->last_ns);
    net_http2_look_at(http2, block_deadline_ns(http2));
    if (http2->streams == NULL)
        net_http2_look_at(http2, idle_deadline_ns(http2));
    if (may_rest(http2))
        net_http2_look_at(http2, now_ns + REST_MS * CLOCK_NS_PER_MS);
    return over;
}

/* Two steps, so that what is on its way is still served (RFC 9113, 6.8): a notice, and a ping
 * behind it (on_frame_sent); when that comes back, or does not, the GOAWAY that counts. */
static void http2_drain(struct net_conn *conn)
{
    struct net_http2 *http2 = conn->http2;

    if (http2->goaway || http2->last_ns != 0)
        return;
    http2->last_ns = net_loop_now_ns(conn->loop) + NET_DRAIN_FIRST_MS * CLOCK_NS_PER_MS;
    net_http2_look_at(http2, http2->last_ns);
    if (nghttp2_submit_shutdown_notice(http2->session) != 0)
        net_conn_fail(conn);
}

static void http2_resumed(struct net_stream *stream)
{
    struct net_http2 *http2 = net_http2_of(stream);
    const struct net_server_options *options = options_of(stream->conn);

    http2->waiting = true;
    stream->http2.read_ns = stream->body_ns;
    net_http2_look_at(http2, stream->body_ns + options->body_ms * CLOCK_NS_PER_MS);
    net_http2_look_at(http2, stream->body_ns + options->body_grace_ms * CLOCK_NS_PER_MS);
}

static void http2_abort(struct net_stream *stream)
{
    net_http2_cut(stream, NGHTTP2_INTERNAL_ERROR);
}

const struct net_codec net_codec_http2 = {
    .name = "h2",
    .open = http2_open,
    .input = http2_input,
    .input_end = http2_input_end,
    .settle = http2_settle,
    .timeout = http2_timeout,
    .lost = http2_lost,
    .drain = http2_drain,
    .deadline_ns = http2_deadline_ns,
    .reads = http2_reads,
    .reply = net_http2_reply,
    .reply_body = net_http2_reply_body,
    .write_room = net_http2_write_room,
    .proceed = net_http2_proceed,
    .resumed = http2_resumed,
    .abort = http2_abort,
};
