/* SPDX-License-Identifier: MIT
 * HTTP/2 requests coming in: what nghttp2 tells, in the words of net.h.
 *
 *   begin_headers -> header* -> request_in -> [data_in -> body]* -> end_in
 *                       |           |
 *                       |           +--> refuse: answered with 4xx on its own stream
 *                       +--> malformed: RST_STREAM
 *   ... and from each: on_stream_close -> net_http2_stream_drop (gone, recycle) */
#include "net/http2_priv.h"

static const struct net_server_options *options_of(const struct net_stream *stream)
{
    return &stream->conn->loop->server->options;
}

/* --- letting go ------------------------------------------------------------------------------- */

void net_http2_cut(struct net_stream *stream, uint32_t code)
{
    struct net_http2 *http2 = net_http2_of(stream);

    if (stream->cut)
        return;
    stream->cut = true;
    if (nghttp2_submit_rst_stream(http2->session, NGHTTP2_FLAG_NONE, stream->http2.id, code) != 0)
        net_conn_fail(stream->conn);
}

void net_http2_stream_drop(struct net_stream *stream)
{
    struct net_http2 *http2 = net_http2_of(stream);
    struct net_http2_stream *own = &stream->http2;
    const struct net_app *app = net_conn_app(stream->conn);

    *own->link = own->next;
    if (own->next != NULL)
        own->next->http2.link = own->link;
    http2->stream_count--;
    http2->queued -= own->pieces.bytes;
    http2->stashed -= own->stash.bytes;
    net_output_clear(&own->pieces);
    net_output_clear(&own->stash);
    if (http2->stream_count == 0)
        net_http2_idle(http2);
    if (stream->told && stream->reply != NET_REPLY_DONE && app->gone != NULL)
        app->gone(stream);
    net_stream_done(stream);
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    struct net_http2 *http2 = user;
    struct net_stream *stream = nghttp2_session_get_stream_user_data(session, id);

    if (stream == NULL)
        return 0;
    if (code != NGHTTP2_NO_ERROR && !stream->http2.client_reset && !stream->cut &&
        !stream->http2.counted)
        net_http2_made_reset(http2);
    if (stream->http2.stash.bytes > 0 &&
        nghttp2_session_consume_connection(session, stream->http2.stash.bytes) != 0)
        net_conn_fail(stream->conn);
    (void)nghttp2_session_set_stream_user_data(session, id, NULL);
    net_http2_stream_drop(stream);
    return 0;
}

/* The client may not do that: the stream ends, and so does the connection if it is a habit. */
static int malformed(struct net_stream *stream)
{
    struct net_http2 *http2 = net_http2_of(stream);

    metric_add(stream->conn->loop->server->counters.malformed[ERR_BAD_REQUEST], 1);
    stream->http2.counted = true;
    net_http2_cut(stream, NGHTTP2_PROTOCOL_ERROR);
    net_http2_made_reset(http2);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* --- time ------------------------------------------------------------------------------------- */

/* Nobody looks at what is left of the request. */
static bool is_unwanted(const struct net_stream *stream)
{
    return stream->cut || stream->refused || stream->reply == NET_REPLY_DONE;
}

/* The client could not send if it wanted, or waits to be asked. */
static bool is_held_back(const struct net_stream *stream)
{
    return stream->paused || stream->http2.stash.bytes > 0 ||
           (stream->want_continue && stream->reply == NET_REPLY_NONE) ||
           net_http2_of(stream)->stashed >= NET_HTTP2_WINDOW_BYTES / 2;
}

/* By when its body must go on: the next piece, and enough of it in all. */
static int64_t body_deadline_ns(const struct net_stream *stream)
{
    const struct net_server_options *options = options_of(stream);
    int64_t next_ns = stream->http2.read_ns + options->body_ms * CLOCK_NS_PER_MS;
    int64_t begin_ns = stream->body_ns + options->body_grace_ms * CLOCK_NS_PER_MS;
    uint64_t earned_s = stream->body_bytes / (uint64_t)options->body_rate_min;
    int64_t rate_ns;

    if (earned_s > (uint64_t)(INT64_MAX / CLOCK_NS_PER_S / 2))
        return next_ns;
    rate_ns = begin_ns + (int64_t)earned_s * CLOCK_NS_PER_S;
    return rate_ns < next_ns ? rate_ns : next_ns;
}

int64_t net_http2_stream_deadline_ns(const struct net_stream *stream)
{
    int64_t write_ns = options_of(stream)->write_ms * CLOCK_NS_PER_MS;
    int64_t at_ns = NET_NO_DEADLINE;

    if (stream->told && !stream->http2.ended && !is_unwanted(stream) && !is_held_back(stream))
        at_ns = body_deadline_ns(stream);
    if (net_http2_is_writing(stream) && stream->http2.written_ns + write_ns < at_ns)
        at_ns = stream->http2.written_ns + write_ns;
    return at_ns;
}

static void refuse(struct net_stream *stream, enum err err)
{
    metric_add(stream->conn->loop->server->counters.malformed[err], 1);
    stream->refused = true;
    if (stream->reply == NET_REPLY_STREAMING)
        net_http2_cut(stream, NGHTTP2_CANCEL);
    if (stream->reply != NET_REPLY_NONE)
        return;
    stream->told = true;
    net_conn_app(stream->conn)->refuse(stream, err);
}

/* With windows open it only waits for its turn: how slowly the socket may take what others send is
 * the connection's own deadline. */
static bool is_shut_out(const struct net_stream *stream)
{
    nghttp2_session *session = net_http2_of(stream)->session;

    return nghttp2_session_get_remote_window_size(session) <= 0 ||
           nghttp2_session_get_stream_remote_window_size(session, stream->http2.id) <= 0;
}

bool net_http2_stream_timeout(struct net_stream *stream)
{
    if (!net_http2_is_writing(stream)) {
        refuse(stream, ERR_REQUEST_TIMEOUT);
        return true;
    }
    if (is_shut_out(stream)) {
        net_http2_cut(stream, NGHTTP2_CANCEL);
        return true;
    }
    stream->http2.written_ns = net_http2_now_ns(net_http2_of(stream));
    return false;
}

/* --- bodies ----------------------------------------------------------------------------------- */

static void consume(struct net_stream *stream, size_t bytes)
{
    if (nghttp2_session_consume(net_http2_of(stream)->session, stream->http2.id, bytes) != 0)
        net_conn_fail(stream->conn);
}

static void end_in(struct net_stream *stream)
{
    if (stream->complete)
        return;
    stream->complete = true;
    if (!is_unwanted(stream))
        net_conn_app(stream->conn)->end(stream);
}

/* The window of a body that nobody wants stays shut. */
static void drop_body(struct net_stream *stream, size_t bytes)
{
    if (nghttp2_session_consume_connection(net_http2_of(stream)->session, bytes) != 0)
        net_conn_fail(stream->conn);
}

static void stash(struct net_stream *stream, struct span bytes)
{
    struct net_http2 *http2 = net_http2_of(stream);

    if (!net_output_copy(&stream->http2.stash, bytes)) {
        drop_body(stream, bytes.len);
        net_http2_cut(stream, NGHTTP2_INTERNAL_ERROR);
        return;
    }
    http2->stashed += bytes.len;
    http2->waiting = true;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t bytes, void *user)
{
    struct net_http2 *http2 = user;
    struct net_stream *stream = nghttp2_session_get_stream_user_data(session, id);
    struct span piece = span_make(data, bytes);

    if (stream == NULL)
        return nghttp2_session_consume_connection(session, bytes);
    stream->want_continue = false;
    stream->body_bytes += bytes;
    stream->http2.read_ns = net_http2_now_ns(http2);
    if (is_unwanted(stream)) {
        drop_body(stream, bytes);
    } else if (stream->paused || stream->http2.stash.bytes > 0) {
        stash(stream, piece);
    } else {
        net_conn_app(stream->conn)->body(stream, piece);
        consume(stream, bytes);
    }
    return 0;
}

static bool may_go_on(const struct net_stream *stream)
{
    return !stream->paused || is_unwanted(stream);
}

/* What waited while the application had it paused. */
static void unstash(struct net_stream *stream)
{
    struct net_http2 *http2 = net_http2_of(stream);
    struct net_output *waiting = &stream->http2.stash;
    struct iovec piece;

    while (waiting->bytes > 0 && may_go_on(stream)) {
        PC_ASSERT(net_output_peek(waiting, &piece, 1) == 1);
        if (is_unwanted(stream)) {
            drop_body(stream, piece.iov_len);
        } else {
            net_conn_app(stream->conn)->body(stream, span_make(piece.iov_base, piece.iov_len));
            consume(stream, piece.iov_len);
        }
        http2->stashed -= piece.iov_len;
        net_output_drop(waiting, piece.iov_len);
    }
    if (waiting->bytes == 0 && stream->http2.end_waits && may_go_on(stream)) {
        stream->http2.end_waits = false;
        end_in(stream);
    }
}

void net_http2_go_on(struct net_http2 *http2)
{
    bool waiting = false;

    for (struct net_stream *stream = http2->streams; stream != NULL; stream = stream->http2.next) {
        unstash(stream);
        waiting = waiting || stream->http2.stash.bytes > 0 || stream->http2.end_waits;
    }
    http2->waiting = waiting;
}

/* The application hears of the end behind all of the body. */
static void tell_end(struct net_stream *stream)
{
    if (stream->paused || stream->http2.stash.bytes > 0) {
        stream->http2.end_waits = true;
        net_http2_of(stream)->waiting = true;
    } else {
        end_in(stream);
    }
}

/* The client has sent all of it. */
static void ended(struct net_stream *stream)
{
    stream->http2.ended = true;
    tell_end(stream);
}

/* --- heads ------------------------------------------------------------------------------------ */

/* Small answers do not wait behind large ones, whatever the client thinks of it (RFC 9218): its
 * streams may be those of many. False without memory. */
static bool share_alike(struct net_http2 *http2, int32_t id)
{
    const nghttp2_extpri alike = {.urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY, .inc = 1};

    return nghttp2_session_change_extpri_stream_priority(http2->session, id, &alike, 1) == 0;
}

static struct net_stream *stream_begin(struct net_http2 *http2, int32_t id)
{
    struct net_stream *stream = net_stream_new(http2->conn);

    if (stream == NULL)
        return NULL;
    stream->http2 = (struct net_http2_stream){.id = id, .link = &http2->streams};
    stream->http2.next = http2->streams;
    if (http2->streams != NULL)
        http2->streams->http2.link = &stream->http2.next;
    http2->streams = stream;
    http2->rests = false;
    http2->stream_count++;
    return stream;
}

/* Streams that the application still holds count, though the client has reset them: otherwise a
 * client could have any number of them worked on. The first reference is the socket's. */
static bool has_room(const struct net_conn *conn)
{
    return (size_t)conn->refs - conn->depth <= NET_HTTP2_HELD_MAX;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct net_http2 *http2 = user;
    struct net_stream *stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
        if (stream != NULL)
            stream->http2.in = (struct net_http2_head){.head = stream->http2.in.head,
                                                       .headers = stream->http2.in.headers,
                                                       .room = stream->http2.in.room,
                                                       .in_trailers = true};
        return 0;
    }
    stream =
        has_room(http2->conn) && !http2->goaway ? stream_begin(http2, frame->hd.stream_id) : NULL;
    if (stream == NULL) {
        if (!http2->goaway) /* it may not know yet */
            net_http2_made_reset(http2);
        if (nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                      NGHTTP2_REFUSED_STREAM) != 0)
            return NGHTTP2_ERR_CALLBACK_FAILURE;
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    PC_ASSERT(nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, stream) == 0);
    if (!share_alike(http2, frame->hd.stream_id))
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (++http2->conn->requests >= options_of(stream)->requests_per_conn_max)
        net_http2_goaway(http2);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_bytes, const uint8_t *value, size_t value_bytes, uint8_t flags,
                     void *user)
{
    struct net_http2 *http2 = user;
    struct net_stream *stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    const struct net_header field = {.name = {.ptr = (const char *)name, .len = name_bytes},
                                     .value = {.ptr = (const char *)value, .len = value_bytes}};

    if (stream == NULL || stream->cut)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    switch (net_http2_head_add(&stream->http2.in, &stream->arena,
                               &http2->conn->loop->server->limits, stream->conn->tls != NULL,
                               field)) {
    case NET_HTTP2_GOOD:
        return 0;
    case NET_HTTP2_MALFORMED:
        return malformed(stream);
    case NET_HTTP2_FLOODED:
        break;
    }
    net_http2_calm(http2, NET_HTTP2_FLOOD_HEADERS);
    net_http2_cut(stream, NGHTTP2_ENHANCE_YOUR_CALM);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* What nghttp2 would pass over in silence. */
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
                             const uint8_t *name, size_t name_bytes, const uint8_t *value,
                             size_t value_bytes, uint8_t flags, void *user)
{
    struct net_stream *stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

    if (stream == NULL || stream->cut)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    return malformed(stream);
}

static void head_in(struct net_stream *stream)
{
    struct net_http2 *http2 = net_http2_of(stream);
    const struct net_server_options *options = options_of(stream);
    int64_t now_ns = net_http2_now_ns(http2);

    stream->head = &stream->http2.in.head;
    stream->want_continue = stream->head->expects_continue;
    stream->body_ns = stream->http2.read_ns = now_ns;
    stream->told = true;
    if (!stream->http2.ended) {
        net_http2_look_at(http2, now_ns + options->body_ms * CLOCK_NS_PER_MS);
        net_http2_look_at(http2, now_ns + options->body_grace_ms * CLOCK_NS_PER_MS);
    }
    net_conn_app(stream->conn)->head(stream, stream->head);
}

static void request_in(struct net_stream *stream, bool end_stream)
{
    struct net_http2_head *in = &stream->http2.in;

    if (net_http2_head_end(in, &stream->arena, end_stream) != NET_HTTP2_GOOD) {
        (void)malformed(stream);
        return;
    }
    stream->http2.ended = end_stream;
    if (in->err != ERR_OK) {
        refuse(stream, in->err);
        return;
    }
    head_in(stream);
    if (end_stream)
        ended(stream);
    else if (!in->head.has_body)
        tell_end(stream);
}

static void trailers_in(struct net_stream *stream)
{
    if (stream->http2.in.err != ERR_OK && !is_unwanted(stream))
        refuse(stream, stream->http2.in.err);
    ended(stream);
}

/* --- frames ----------------------------------------------------------------------------------- */

static void stream_frame_in(struct net_stream *stream, const nghttp2_frame *frame)
{
    bool end_stream = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
            request_in(stream, end_stream);
        else
            trailers_in(stream);
        break;
    case NGHTTP2_DATA:
        if (end_stream)
            ended(stream);
        break;
    case NGHTTP2_RST_STREAM:
        stream->http2.client_reset = true;
        break;
    default:
        break;
    }
}

/* An acknowledgement has none. The client waits to hear of the least size there was, also when
 * nothing was packed meanwhile. */
static void table_resized(struct net_http2 *http2, const nghttp2_settings *settings)
{
    for (size_t i = 0; i < settings->niv; i++) {
        uint32_t bytes = settings->iv[i].value;

        if (settings->iv[i].settings_id != NGHTTP2_SETTINGS_HEADER_TABLE_SIZE)
            continue;
        if (http2->pack != NULL)
            net_http2_pack_resize(http2->pack, bytes);
        else
            http2->renews = http2->renews || bytes < NET_HTTP2_PACK_PEER_BYTES;
    }
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct net_http2 *http2 = user;
    struct net_stream *stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0 &&
        http2->last_ns != 0) {
        net_http2_goaway(http2);
        return 0;
    }
    if (frame->hd.type == NGHTTP2_SETTINGS)
        table_resized(http2, &frame->settings);
    if (stream != NULL && !stream->cut)
        stream_frame_in(stream, frame);
    return 0;
}

/* A stream error that nghttp2 saw: it resets the stream by itself. */
static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int code,
                            void *user)
{
    struct net_http2 *http2 = user;
    struct net_stream *stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

    if (stream != NULL && stream->http2.counted)
        return 0;
    if (stream != NULL)
        stream->http2.counted = true;
    if (code != NGHTTP2_ERR_REFUSED_STREAM)
        metric_add(http2->conn->loop->server->counters.malformed[ERR_BAD_REQUEST], 1);
    net_http2_made_reset(http2);
    return 0;
}

/* An answer that is said to the end, though the client still sends: it may stop (RFC 9113, 8.1). */
static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct net_http2 *http2 = user;
    struct net_stream *stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

    if (frame->hd.type == NGHTTP2_GOAWAY && http2->last_ns != 0 && !http2->goaway)
        return nghttp2_submit_ping(session, NGHTTP2_FLAG_NONE, NULL);
    if (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    if (frame->hd.type == NGHTTP2_DATA)
        net_http2_gate_data(&http2->gate);
    else if (stream == NULL || !net_http2_head_sent(stream, &frame->headers))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
        return 0;
    net_http2_gate_completed(&http2->gate);
    if (stream != NULL && !stream->http2.ended)
        net_http2_cut(stream, NGHTTP2_NO_ERROR);
    return 0;
}

/* An answer that nghttp2 cannot say. */
static int on_frame_not_sent(nghttp2_session *session, const nghttp2_frame *frame, int code,
                             void *user)
{
    struct net_stream *stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

    if (stream != NULL && frame->hd.type == NGHTTP2_HEADERS)
        net_http2_cut(stream, NGHTTP2_INTERNAL_ERROR);
    return 0;
}

void net_http2_stream_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
}
