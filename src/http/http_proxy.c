/* SPDX-License-Identifier: MIT
 * A request's passage to an upstream and back, as two streams that hold each other back:
 *
 *   client --body--> upstream      the client is not read while the upstream takes no more
 *   client <--answer-- upstream    the upstream is not read while the client takes no more
 *
 * The body is asked for only when a connection to the upstream stands, so that until then another
 * target can be asked. An answer that comes before the request is complete is passed on, and the
 * rest of the request is dropped. Once an answer has begun, what goes wrong can only be told by
 * cutting the connection. */
#include "http/http_priv.h"

#include "upstream/upstream.h"

enum {
    ROOM_BYTES_MIN = 80 * 1024, /* what one read may bring, as chunks */
    WHOLE_BYTES_MAX = 8 * 1024, /* an answer's body that leaves with its head: net/ copies it */
    CHUNK_LINE_BYTES_MAX = 20,
};

struct http_passage {
    struct upstream_call up;
    struct http_call *call;
    uint64_t body_bytes; /* of the request */
    uint64_t body_bytes_max;
    uint64_t left;          /* of the answer's body; NET_LENGTH_CHUNKED: not told */
    struct net_reply reply; /* its head, until it has left */
    bool head_waits;        /* for the first piece of the body */
    bool holds;             /* the client's body: no connection yet, or no room */
    bool chunked;           /* the request */
};

static struct http_passage *passage_of(struct upstream_call *up)
{
    return PC_CONTAINER(up, struct http_passage, up);
}

/* Answering may be the end of the stream and of all that lives in its arena: who does so from the
 * upstream's side holds it meanwhile. */
static struct net_stream *stay(struct http_passage *passage)
{
    struct net_stream *stream = passage->call->stream;

    net_stream_hold(stream);
    return stream;
}

/* ---- the request -------------------------------------------------------------------------------
 */

static void hold(struct http_passage *passage)
{
    passage->holds = true;
    net_stream_pause(passage->call->stream);
}

static void let_go(struct http_passage *passage)
{
    struct http_call *call = passage->call;

    passage->holds = false;
    net_stream_continue(call->stream);
    if (!call->waiting)
        net_stream_resume(call->stream);
}

/* Going on may find the client gone, and then the call is over in the middle of it. */
static void on_ready(struct upstream_call *up)
{
    struct net_stream *stream = stay(passage_of(up));

    let_go(passage_of(up));
    net_stream_release(stream);
}

static void on_room(struct upstream_call *up)
{
    on_ready(up);
}

static struct span write_head(struct upstream_call *up, const struct upstream_target *target)
{
    return http_proxy_request(passage_of(up)->call, target);
}

/* The passage is over; the request has its answer, or will have another. The stream was held for
 * it: the client may have the last byte before the upstream's end is seen. */
static void note_asked(struct http_call *call, const struct upstream_call *up)
{
    const struct upstream *upstream = call->req.route->proxy->upstream;

    call->went_to.upstream = upstream_name(upstream);
    call->went_to.target = up->picked ? upstream_target(upstream, up->target)->url : NULL;
    call->went_to.retries = up->attempts;
}

static void part(struct http_passage *passage)
{
    note_asked(passage->call, &passage->up);
    passage->call->passage = NULL;
    net_stream_release(passage->call->stream);
}

bool http_proxy_holds(const struct http_call *call)
{
    return call->passage != NULL && call->passage->holds;
}

/* More than the upstream is to have. */
static void refuse_length(struct http_passage *passage)
{
    struct http_call *call = passage->call;

    upstream_cancel(&passage->up);
    part(passage);
    if (call->answered) {
        net_stream_abort(call->stream);
        http_passed_over(call);
    } else {
        http_breaker_leave(call);
        http_call_fail(call, ERR_BODY_TOO_LARGE);
    }
}

/* Bytes of another protocol: as they are. */
static void pass_on(struct http_passage *passage, struct span bytes)
{
    passage->call->tunnel->bytes_in += bytes.len;
    upstream_give(&passage->up, &bytes, 1);
    if (upstream_room(&passage->up) < ROOM_BYTES_MIN)
        hold(passage);
}

void http_proxy_body(struct http_call *call, struct span bytes)
{
    struct http_passage *passage = call->passage;
    char line[CHUNK_LINE_BYTES_MAX];
    struct sbuf out = sbuf_over(line, sizeof(line));
    struct span parts[3] = {{0}, bytes, SPAN("\r\n")};

    if (http_tunnel_is_open(call)) {
        pass_on(passage, bytes);
        return;
    }
    passage->body_bytes += bytes.len;
    if (passage->body_bytes > passage->body_bytes_max) {
        refuse_length(passage);
        return;
    }
    if (bytes.len == 0)
        return;
    if (passage->chunked) {
        sbuf_add_format(&out, "%zx\r\n", bytes.len);
        parts[0] = sbuf_span(&out);
        upstream_give(&passage->up, parts, 3);
    } else {
        upstream_give(&passage->up, &bytes, 1);
    }
    if (upstream_room(&passage->up) < ROOM_BYTES_MIN)
        hold(passage);
}

void http_proxy_end(struct http_call *call)
{
    struct http_passage *passage = call->passage;
    struct span last[3] = {SPAN("0\r\n"), {0}, SPAN("\r\n")};

    if (http_tunnel_is_open(call)) {
        upstream_shut(&passage->up);
        return;
    }
    if (passage->chunked) {
        last[1] = http_trailers_up(call);
        upstream_give(&passage->up, last, 3);
    }
    upstream_given(&passage->up);
}

/* ---- the answer --------------------------------------------------------------------------------
 */

static void cut(struct http_passage *passage, enum err err)
{
    struct http_call *call = passage->call;

    call->err = err;
    part(passage);
    net_stream_abort(call->stream);
    http_passed_over(call);
}

/* The head leaves, with what there is of the body. */
static void send_head(struct http_passage *passage, struct span body, bool more)
{
    passage->head_waits = false;
    passage->reply.body = body;
    passage->reply.more = more;
    net_reply(passage->call->stream, &passage->reply);
}

static bool has_room(const struct http_passage *passage)
{
    return net_stream_write_room(passage->call->stream) >= ROOM_BYTES_MIN;
}

static void on_upgrade(struct http_passage *passage, const struct net_answer_head *head)
{
    struct http_call *call = passage->call;
    enum err err;

    passage->left = NET_LENGTH_CHUNKED;
    err = http_tunnel_open(call, &passage->up, head);
    if (err == ERR_OK)
        return;
    upstream_cancel(&passage->up);
    part(passage);
    http_call_fail(call, err);
}

static void on_head_now(struct upstream_call *up, const struct net_answer_head *head)
{
    struct http_passage *passage = passage_of(up);
    struct http_call *call = passage->call;
    struct http_passed passed = {0};

    call->upstream_ns = upstream_waited_ns(up);
    if (head->upgraded) {
        on_upgrade(passage, head);
        return;
    }

    http_proxy_lines(call, head, &passed);
    passage->reply = (struct net_reply){.status = head->status, .close = call->close};
    if (passed.lines.ptr != NULL)
        passage->reply.head = http_passed_head(call, &passed);
    if (passage->reply.head.len == 0) {
        upstream_cancel(up);
        part(passage);
        http_call_fail(call, ERR_UPSTREAM_ANSWER);
        return;
    }
    call->answered = true;
    call->status = head->status;
    passage->left =
        head->content_length == NET_LENGTH_CLOSE ? NET_LENGTH_CHUNKED : head->content_length;
    passage->reply.body_length = passage->left;
    passage->head_waits = true;
}

static void on_head(struct upstream_call *up, const struct net_answer_head *head)
{
    struct net_stream *stream = stay(passage_of(up));

    on_head_now(up, head);
    net_stream_release(stream);
}

/* A piece of the body. The last one of a known length ends the answer. */
static void on_body_now(struct upstream_call *up, struct span bytes)
{
    struct http_passage *passage = passage_of(up);
    struct http_tunnel *tunnel = passage->call->tunnel;
    bool last = passage->left == bytes.len;
    enum err err = ERR_OK;

    if (tunnel != NULL)
        tunnel->bytes_out += bytes.len;
    if (passage->left != NET_LENGTH_CHUNKED)
        passage->left -= bytes.len;
    if (passage->head_waits && last && bytes.len <= WHOLE_BYTES_MAX) {
        send_head(passage, bytes, false);
    } else if (passage->head_waits) {
        send_head(passage, bytes, true);
        if (last)
            err = net_reply_body(passage->call->stream, (struct span){0}, false);
    } else {
        err = net_reply_body(passage->call->stream, bytes, !last);
    }
    if (passage->call->passage != passage) /* the client has gone, and that was told meanwhile */
        return;
    if (err) {
        upstream_cancel(up);
        cut(passage, ERR_END);
    } else if (!has_room(passage)) {
        upstream_pause(up);
    }
}

static void on_body(struct upstream_call *up, struct span bytes)
{
    struct net_stream *stream = stay(passage_of(up));

    on_body_now(up, bytes);
    net_stream_release(stream);
}

static void on_ended(struct upstream_call *up)
{
    struct http_passage *passage = passage_of(up);
    struct net_stream *stream = stay(passage);

    passage->call->tunnel->upstream_over = true;
    if (net_reply_body(stream, (struct span){0}, false) != ERR_OK)
        net_stream_abort(stream);
    net_stream_release(stream);
}

static void on_quiet_now(struct upstream_call *up)
{
    struct http_passage *passage = passage_of(up);

    if (passage->head_waits)
        send_head(passage, (struct span){0}, true);
}

static void on_quiet(struct upstream_call *up)
{
    struct net_stream *stream = stay(passage_of(up));

    on_quiet_now(up);
    net_stream_release(stream);
}

static void on_end_now(struct upstream_call *up)
{
    struct http_passage *passage = passage_of(up);
    struct http_call *call = passage->call;
    struct net_stream *stream = call->stream;
    bool told = passage->reply.more && passage->left != 0;
    struct span trailers = http_trailers_down(call, up->trailers, up->trailer_count);

    part(passage);
    http_passed_over(call);
    if (http_tunnel_is_open(call))
        return;
    if (passage->head_waits && trailers.len == 0 &&
        (call->req.method != NET_METHOD_HEAD || passage->left == 0)) {
        passage->head_waits = false;
        net_reply(stream, &(struct net_reply){.status = passage->reply.status,
                                              .head = passage->reply.head,
                                              .close = passage->reply.close});
        return;
    }
    if (passage->head_waits)
        send_head(passage, (struct span){0}, true);
    else if (!told)
        return;
    if (net_reply_end(stream, trailers) != ERR_OK)
        net_stream_abort(stream);
}

static void on_end(struct upstream_call *up)
{
    struct net_stream *stream = stay(passage_of(up));

    on_end_now(up);
    net_stream_release(stream);
}

static void on_failed_now(struct upstream_call *up, enum err err)
{
    struct http_passage *passage = passage_of(up);
    struct http_call *call = passage->call;

    if (call->upstream_ns == 0)
        call->upstream_ns = upstream_waited_ns(up);
    if (http_tunnel_is_open(call) && call->tunnel->upstream_over) {
        part(passage); /* what it sent may still be on its way to the client */
        http_passed_over(call);
        net_stream_resume(call->stream); /* to hear its end; that may be now, so this comes last */
        return;
    }
    if (call->answered && !passage->head_waits) {
        cut(passage, err);
        return;
    }
    call->answered = false; /* what was said of it has not left */
    part(passage);
    http_call_fail(call, err);
}

static void on_failed(struct upstream_call *up, enum err err)
{
    struct net_stream *stream = stay(passage_of(up));

    on_failed_now(up, err);
    net_stream_release(stream);
}

static const struct upstream_app passage_app = {.ready = on_ready,
                                                .room = on_room,
                                                .head = on_head,
                                                .body = on_body,
                                                .quiet = on_quiet,
                                                .ended = on_ended,
                                                .end = on_end,
                                                .failed = on_failed};

void http_proxy_writable(struct http_call *call)
{
    if (has_room(call->passage))
        upstream_resume(&call->passage->up);
}

void http_proxy_stop(struct http_call *call, enum err err)
{
    struct http_passage *passage = call->passage;

    upstream_cancel(&passage->up);
    part(passage);
    if (!call->answered) {
        http_breaker_leave(call);
        return;
    }
    call->err = err;
    http_passed_over(call);
}

void http_proxy_gone(struct http_call *call)
{
    http_proxy_stop(call, ERR_END);
}

/* ---- setting out -------------------------------------------------------------------------------
 */

/* Whoever sends one has an upstream that knows the same request again. */
static bool has_idempotency_key(const struct net_head *head)
{
    return net_head_find(head, SPAN_OF("idempotency-key")) != NULL;
}

static uint64_t length_max(const struct http_call *call)
{
    uint32_t own = call->req.route->body_bytes_max;

    return own != 0 ? own : call->req.policy->body_bytes_max;
}

enum err http_proxy_go(struct http_call *call)
{
    const struct net_head *head = call->req.head;
    struct http_passage *passage = arena_zero(call->req.arena, sizeof(*passage));
    const struct upstream_ask ask = {.app = &passage_app,
                                     .arena = call->req.arena,
                                     .write_head = write_head,
                                     .key = http_proxy_key(call),
                                     .times = call->req.route->proxy->times,
                                     .is_head = call->req.method == NET_METHOD_HEAD,
                                     .method = upstream_method_of(head->method_text),
                                     .has_idempotency_key = has_idempotency_key(head),
                                     .has_body = head->has_body,
                                     .upgrade = call->tunnel != NULL};
    enum err err;

    if (passage == NULL) {
        http_breaker_leave(call);
        return ERR_NO_MEMORY;
    }
    passage->call = call;
    passage->chunked = head->has_body && head->content_length == NET_LENGTH_CHUNKED;
    passage->body_bytes_max = length_max(call);
    if (head->has_body && !passage->chunked && head->content_length > passage->body_bytes_max) {
        http_breaker_leave(call);
        return ERR_BODY_TOO_LARGE;
    }
    call->passage = passage;
    err = upstream_begin(call->req.route->proxy->upstream, call->lane->loop, &passage->up, &ask);
    if (err) {
        note_asked(call, &passage->up);
        call->passage = NULL;
        return err;
    }
    net_stream_hold(call->stream);
    if (head->has_body && !passage->up.ready)
        hold(passage);
    else if (head->has_body)
        net_stream_continue(call->stream);
    return ERR_OK;
}
