/* SPDX-License-Identifier: MIT
 * Any bytes at all into the codec of HTTP/2, cut into pieces, with an application behind it that
 * answers, streams, pauses, holds and aborts as the path says. What is let through must be clean,
 * every stream must be recycled once, and nothing may be left. The first byte of the input chooses
 * the cuts, and whether the preface is said for it. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "net/http2_priv.h"

enum { HELD_MAX = 256, LARGE_BYTES = 200 * 1024, PIECE_BYTES = 1000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static struct net_server *server;
static struct net_listener *listener;
static struct net_stream *held[HELD_MAX];
static size_t held_count;
static int told;
static int recycled;
static char large[LARGE_BYTES];

/* --- the application -------------------------------------------------------------------------- */

static void check_head(const struct net_head *head)
{
    PC_ASSERT(head->target.len > 0 && head->target.len <= server->limits.target_bytes_max);
    PC_ASSERT(head->target.ptr[0] == '/' || span_is(head->target, "*"));
    PC_ASSERT(head->header_count <= server->limits.headers_max + 1);
    PC_ASSERT(head->has_body == (head->content_length > 0));
    PC_ASSERT(!span_is(head->method_text, "CONNECT"));
    for (size_t i = 0; i < head->target.len; i++)
        PC_ASSERT(head->target.ptr[i] > ' ' && head->target.ptr[i] < 0x7f);
    for (size_t i = 0; i < head->header_count; i++) {
        const struct net_header *header = &head->headers[i];

        PC_ASSERT(header->name.len > 0 && header->name.ptr[0] != ':');
        PC_ASSERT(!span_is(header->name, "connection") && !span_is(header->name, "upgrade"));
        PC_ASSERT(header->value.ptr != NULL);
        for (size_t at = 0; at < header->value.len; at++) {
            unsigned char c = (unsigned char)header->value.ptr[at];

            PC_ASSERT((c >= ' ' || c == '\t') && c != 0x7f);
        }
    }
}

static char way_of(struct net_stream *stream)
{
    const struct net_head *head = net_stream_head(stream);

    return head != NULL && head->target.len > 1 ? head->target.ptr[1] : 0;
}

static void answer(struct net_stream *stream, struct span body)
{
    const struct net_reply reply = {
        .status = 200, .head = SPAN("Content-Type: text/plain\r\nX-A: b\r\n"), .body = body};

    net_reply(stream, &reply);
}

static void stream_more(struct net_stream *stream)
{
    while (net_stream_is_open(stream)) {
        size_t *left = *net_stream_slot(stream);
        bool more = *left > PIECE_BYTES;

        if (net_reply_body(stream, span_make(large, PIECE_BYTES), more) != ERR_OK || !more)
            return;
        *left -= PIECE_BYTES;
    }
}

static void stream_begin(struct net_stream *stream)
{
    const struct net_reply reply = {.status = 200, .more = true, .body_length = NET_LENGTH_CHUNKED};
    size_t *left = arena_zero(net_stream_arena(stream), sizeof(*left));

    PC_ASSERT(left != NULL);
    *left = LARGE_BYTES;
    *net_stream_slot(stream) = left;
    net_reply(stream, &reply);
    stream_more(stream);
}

static void hold(struct net_stream *stream)
{
    PC_ASSERT(held_count < HELD_MAX); /* there are never more */
    net_stream_hold(stream);
    held[held_count++] = stream;
}

static void fuzz_head(struct net_stream *stream, const struct net_head *head)
{
    told++;
    check_head(head);
    switch (way_of(stream)) {
    case 'a':
        net_stream_abort(stream);
        break;
    case 'c':
        net_stream_continue(stream);
        break;
    case 'e':
        answer(stream, SPAN_OF("early"));
        break;
    case 'p':
        net_stream_pause(stream);
        hold(stream);
        break;
    case 'h':
        hold(stream);
        break;
    default:
        break;
    }
}

static void fuzz_body(struct net_stream *stream, struct span bytes)
{
    PC_ASSERT(bytes.len > 0 && net_stream_is_open(stream));
    if (way_of(stream) == 'b')
        net_stream_abort(stream);
}

static void fuzz_end(struct net_stream *stream)
{
    switch (way_of(stream)) {
    case 'l':
        answer(stream, span_make(large, sizeof(large)));
        break;
    case 's':
        stream_begin(stream);
        break;
    case 'h':
    case 'n':
    case 'e':
        break;
    default:
        answer(stream, SPAN_OF("whole"));
        break;
    }
}

static void fuzz_refuse(struct net_stream *stream, enum err err)
{
    PC_ASSERT(err != ERR_OK);
    if (net_stream_head(stream) == NULL)
        told++;
    answer(stream, SPAN_OF("refused"));
}

static void fuzz_gone(struct net_stream *stream)
{
    PC_ASSERT(stream->told);
}

static void fuzz_recycle(struct net_stream *stream)
{
    recycled++;
}

static const struct net_app app = {.head = fuzz_head,
                                   .body = fuzz_body,
                                   .end = fuzz_end,
                                   .refuse = fuzz_refuse,
                                   .gone = fuzz_gone,
                                   .writable = stream_more,
                                   .recycle = fuzz_recycle};

/* --- the connection --------------------------------------------------------------------------- */

static void start(void)
{
    const struct net_server_options options = {
        .loops = 1, .head_bytes_max = 2048, .headers_max = 16, .target_bytes_max = 128};
    const struct net_listener_options door = {.name = "fuzz", .app = &app, .http2_clear = true};

    PC_ASSERT(net_server_new(&options, &server) == ERR_OK);
    PC_ASSERT(net_server_listen_none(server, &door, &listener) == ERR_OK);
}

/* What the loop would do before it waits; the client reads all that it is sent. */
static void turn(struct net_loop *loop, int client)
{
    static char sink[64 * 1024];

    (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
    while (recv(client, sink, sizeof(sink), MSG_DONTWAIT) > 0)
        continue;
    (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
}

static void let_go(void)
{
    while (held_count > 0) {
        struct net_stream *stream = held[--held_count];

        if (stream->paused)
            net_stream_resume(stream);
        else
            answer(stream, SPAN_OF("held"));
        net_stream_release(stream);
    }
}

static void feed(struct net_conn *conn, struct span piece)
{
    net_conn_enter(conn);
    if (!conn->failed && conn->state == NET_CONN_OPEN)
        conn->codec->input(conn, piece);
    net_conn_leave(conn);
}

/* From a block of exact size, so that reading past its end is seen. */
static void feed_exactly(struct net_conn *conn, struct span piece)
{
    struct arena arena;

    arena_init(&arena, NULL, 0, piece.len + 64 * 1024);
    feed(conn, arena_copy(&arena, piece));
    arena_reset(&arena);
}

static void feed_cut(struct net_conn *conn, int client, struct span input, uint32_t seed)
{
    for (size_t at = 0; at < input.len;) {
        size_t len = input.len - at;

        if (seed % 4 != 0) {
            seed = seed * 1664525u + 1013904223u;
            len = 1 + (seed >> 24) % 61;
            if (len > input.len - at)
                len = input.len - at;
        }
        feed_exactly(conn, span_slice(input, at, at + len));
        at += len;
        if (at % 3 == 0)
            let_go();
        turn(conn->loop, client);
    }
}

static void hang_up(struct net_conn *conn)
{
    net_conn_enter(conn);
    net_conn_fail(conn);
    net_conn_leave(conn);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const struct sockaddr address = {.sa_family = AF_UNIX};
    struct net_conn *conn;
    struct net_loop *loop;
    int ends[2];

    if (bytes == 0)
        return 0;
    if (server == NULL)
        start();
    loop = server->loops[0];
    told = recycled = 0;
    PC_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    net_conn_open(&loop->doors[0], ends[1], &address);
    conn = loop->conns;
    conn->refs++; /* it may close before we are done */
    if (data[0] < 0xf0)
        feed(conn, SPAN_OF(NGHTTP2_CLIENT_MAGIC "\0\0\0\4\0\0\0\0\0"));
    feed_cut(conn, ends[0], span_make(data + 1, bytes - 1), data[0]);
    let_go();
    turn(loop, ends[0]);
    let_go();
    if (conn->state != NET_CONN_CLOSED)
        hang_up(conn);
    PC_ASSERT(close(ends[0]) == 0);
    let_go();
    net_conn_unref(conn);
    turn(loop, -1);
    PC_ASSERT(loop->conns == NULL && loop->due == NULL);
    PC_ASSERT(told == recycled);
    return 0;
}
