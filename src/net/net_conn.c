/* SPDX-License-Identifier: MIT
 * A connection: one socket on one loop. Waits through libuv, reads into the loop's buffer, hands
 * bytes to the codec, sends what the codec gives and keeps what the socket does not take.
 *
 *   HANDSHAKE --handshake--> OPEN --net_conn_goodbye--> GOODBYE --farewell--> LINGER --> CLOSED
 *                              |                           |                     (close_now)
 *                              +---- net_conn_fail --------+--> CLOSED
 *
 * Everything that may call the application happens between net_conn_enter and net_conn_leave; only
 * the outermost leave closes, changes what is polled and moves the timer, so no callback ever finds
 * its connection freed under its feet. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "net/net_io.h"

/* --- bytes in and out ------------------------------------------------------------------------- */

static enum net_io conn_read(struct net_conn *conn, void *buffer, size_t bytes, size_t *ret_bytes)
{
    if (conn->tls != NULL && conn->state != NET_CONN_LINGER)
        return net_tls_read(conn->tls, &conn->wants_write, buffer, bytes, ret_bytes);
    return net_io_recv(conn->fd, buffer, bytes, 0, ret_bytes);
}

static enum net_io conn_write(void *owner, struct iovec *vectors, size_t count, size_t *ret_bytes)
{
    struct net_conn *conn = owner;

    if (conn->tls != NULL)
        return net_tls_write(conn->tls, &conn->wants_write, vectors, count, ret_bytes);
    return net_io_send(conn->fd, vectors, count, ret_bytes);
}

static void written(struct net_conn *conn, size_t bytes)
{
    metric_add(conn->loop->server->counters.bytes_out, bytes);
    conn->written_ns = net_loop_now_ns(conn->loop);
}

static void flush(struct net_conn *conn)
{
    size_t bytes;
    enum net_io io = net_output_flush(&conn->output, conn_write, conn, &bytes);

    if (bytes > 0)
        written(conn, bytes);
    if (io != NET_IO_DONE && io != NET_IO_WAIT)
        net_conn_fail(conn);
}

/* In the loop's own time it also sees to what became of it; else whoever entered does. */
static void post(struct net_sender *sender, struct span bytes)
{
    struct net_conn *conn = PC_CONTAINER(sender, struct net_conn, sender);
    struct iovec vector = {.iov_base = (void *)(uintptr_t)bytes.ptr, .iov_len = bytes.len};
    size_t sent = 0;
    enum net_io io = NET_IO_WAIT;

    if (conn->output.bytes == 0)
        io = conn_write(conn, &vector, 1, &sent);
    if ((io != NET_IO_DONE && io != NET_IO_WAIT) ||
        (sent < bytes.len && !net_output_keep(&conn->output, &bytes, 1, false, sent)))
        net_conn_fail(conn);
    if (conn->depth == 0 && (sent < bytes.len || conn->wants_write)) {
        net_conn_enter(conn);
        net_conn_leave(conn);
    }
}

static void push(struct net_conn *conn)
{
    net_outbox_push(&conn->loop->outbox, &conn->sender);
}

bool net_conn_is_drained(struct net_conn *conn)
{
    push(conn);
    return !conn->failed && conn->output.bytes == 0;
}

void net_conn_send(struct net_conn *conn, const struct span *parts, size_t count, bool stable)
{
    struct iovec vectors[NET_SEND_PARTS_MAX];
    size_t sent = 0;
    size_t all;

    if (conn->failed || conn->state == NET_CONN_CLOSED)
        return;
    all = net_io_vectors(parts, count, vectors);
    if (all == 0) /* the end of an answer that has none of its own; TLS has no empty record */
        return;
    if (conn->output.bytes == 0 &&
        net_outbox_put(&conn->loop->outbox, &conn->sender, parts, count, all)) {
        written(conn, all);
        return;
    }
    push(conn);
    if (conn->failed)
        return;
    if (conn->output.bytes == 0) {
        enum net_io io = conn_write(conn, vectors, count, &sent);

        if (io != NET_IO_DONE && io != NET_IO_WAIT) {
            net_conn_fail(conn);
            return;
        }
        written(conn, sent);
    }
    if (sent < all && !net_output_keep(&conn->output, parts, count, stable, sent))
        net_conn_fail(conn);
}

/* --- input ------------------------------------------------------------------------------------ */

void net_conn_stash(struct net_conn *conn, struct span bytes)
{
    PC_ASSERT(conn->stash == NULL && bytes.len <= NET_READ_BYTES);
    conn->stash = alloc_raw(bytes.len);
    if (conn->stash == NULL) {
        net_conn_fail(conn);
        return;
    }
    memcpy(conn->stash, bytes.ptr, bytes.len);
    conn->stash_at = 0;
    conn->stash_bytes = (uint32_t)bytes.len;
}

void net_conn_unstash(struct net_conn *conn)
{
    if (conn->stash != NULL)
        alloc_wipe(conn->stash, conn->stash_bytes);
    alloc_free(conn->stash);
    conn->stash = NULL;
}

/* Readable, and nobody wants it now: has the client gone, or is it only early? */
static void look(struct net_conn *conn)
{
    char byte;
    size_t got;
    enum net_io io;

    conn->read_held = true;
    if (conn->tls != NULL)
        return;
    io = net_io_recv(conn->fd, &byte, 1, MSG_PEEK, &got);
    if (io == NET_IO_END) {
        conn->input_over = true;
        conn->codec->input_end(conn);
    } else if (io == NET_IO_FAILED) {
        net_conn_fail(conn);
    }
}

static void drop_input(struct net_conn *conn, size_t bytes)
{
    conn->lingered += (uint32_t)bytes;
    if (conn->lingered > NET_LINGER_BYTES_MAX)
        net_conn_fail(conn);
}

static void input_taken(struct net_conn *conn, size_t bytes)
{
    metric_add(conn->loop->server->counters.bytes_in, bytes);
    net_loop_dirty(conn->loop, NET_BUFFER_READ, bytes);
    if (conn->state == NET_CONN_LINGER) {
        drop_input(conn, bytes);
        return;
    }
    conn->active_ns = net_loop_now_ns(conn->loop);
    conn->codec->input(conn, span_make(conn->loop->buffers[NET_BUFFER_READ], bytes));
}

static bool wants_input(const struct net_conn *conn)
{
    if (conn->failed || conn->input_over)
        return false;
    return conn->state == NET_CONN_LINGER ||
           (conn->state == NET_CONN_OPEN && conn->codec->reads(conn));
}

/* One read per readiness: what is left makes the socket readable again, for which it leaves the
 * edge. */
void net_conn_input(struct net_conn *conn)
{
    size_t most = conn->stream != NULL ? NET_READ_BYTES : NET_READ_HEAD_BYTES;
    size_t bytes = 0;
    enum net_io io;

    if (!wants_input(conn)) {
        net_edge_read(&conn->edge, conn->loop, conn->fd, false);
        look(conn);
        return;
    }
    conn->read_dry = false;
    io = conn_read(conn, conn->loop->buffers[NET_BUFFER_READ], most, &bytes);
    if (conn->tls == NULL)
        net_edge_read(&conn->edge, conn->loop, conn->fd,
                      conn->interest == NET_READS && io == NET_IO_DONE && bytes < most);
    switch (io) {
    case NET_IO_DONE:
        input_taken(conn, bytes);
        return;
    case NET_IO_WAIT:
        conn->read_dry = true;
        return;
    case NET_IO_END:
        if (conn->state != NET_CONN_OPEN)
            break;
        conn->input_over = true;
        conn->codec->input_end(conn);
        return;
    case NET_IO_FAILED:
        break;
    }
    net_conn_fail(conn);
}

/* TLS may have bytes that poll cannot see. */
static bool has_unseen_input(const struct net_conn *conn)
{
    return conn->tls != NULL && conn->state == NET_CONN_OPEN && wants_input(conn) &&
           !conn->read_dry && crypto_tls_pending(conn->tls);
}

static void take_peer(struct net_conn *conn)
{
    const struct crypto_tls_peer *peer = crypto_tls_peer(conn->tls);

    conn->peer.tls_subject = peer->subject;
    conn->peer.tls_cn = peer->cn;
    conn->peer.tls_thumbprint = peer->thumbprint;
}

/* What the client and we agreed on; in clear, what the listener says. */
static void choose_codec(struct net_conn *conn)
{
    bool http2 = conn->tls != NULL ? span_is(crypto_tls_alpn(conn->tls), "h2")
                                   : conn->door->listener->options.http2_clear;

    conn->codec = http2 ? &net_codec_http2 : &net_codec_http1;
    if (conn->codec->open != NULL && !conn->codec->open(conn))
        net_conn_fail(conn);
}

static void handshake(struct net_conn *conn)
{
    struct net_counters *counters = &conn->loop->server->counters;

    switch (net_tls_handshake(conn->tls, &conn->wants_write)) {
    case NET_IO_DONE:
        metric_add(counters->tls_done, 1);
        take_peer(conn);
        conn->state = NET_CONN_OPEN;
        conn->active_ns = net_loop_now_ns(conn->loop);
        choose_codec(conn);
        break;
    case NET_IO_WAIT:
        break;
    case NET_IO_END:
    case NET_IO_FAILED:
        metric_add(counters->tls_failed, 1);
        net_conn_tell(conn, "tls", crypto_tls_reason(conn->tls));
        net_conn_fail(conn);
        break;
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct net_conn *conn = poll->data;

    net_outbox_check(&conn->loop->outbox);
    net_conn_enter(conn);
    if (status < 0) /* libuv has stopped polling: the socket has an error */
        net_conn_fail(conn);
    conn->wants_write = false;
    conn->edge.end_told |= (events & UV_DISCONNECT) != 0;
    if (!conn->failed && conn->state == NET_CONN_PROXIED)
        net_proxied_input(conn);
    if (!conn->failed && conn->state == NET_CONN_HANDSHAKE)
        handshake(conn);
    if (!conn->failed && (events & UV_WRITABLE) != 0)
        flush(conn);
    if (!conn->failed && conn->state > NET_CONN_HANDSHAKE && (events & UV_READABLE) != 0)
        net_conn_input(conn);
    net_conn_leave(conn);
}

/* --- closing ---------------------------------------------------------------------------------- */

void net_conn_fail(struct net_conn *conn)
{
    conn->failed = true;
}

void net_conn_goodbye(struct net_conn *conn, bool linger)
{
    if (conn->state != NET_CONN_OPEN)
        return;
    conn->state = NET_CONN_GOODBYE;
    conn->linger = linger;
}

static void uncount(struct net_conn *conn)
{
    struct net_server *server = conn->loop->server;

    if (!conn->counted)
        return;
    conn->counted = false;
    if (conn->placed)
        net_admit_give(server->admit, &conn->peer);
    conn->placed = false;
    metric_move(server->counters.open, -1);
    atomic_fetch_sub_explicit(&server->conn_count, 1, memory_order_relaxed);
}

static void on_closed(uv_handle_t *handle)
{
    struct net_conn *conn = handle->data;

    net_conn_unref(conn);
}

static void close_now(struct net_conn *conn)
{
    if (conn->tls == NULL || !conn->failed)
        push(conn);
    net_outbox_forget(&conn->loop->outbox, &conn->sender);
    conn->state = NET_CONN_CLOSED;
    conn->failed = true;
    conn->codec->lost(conn);
    net_timer_stop(&conn->timer);
    net_output_clear(&conn->output);
    net_conn_unstash(conn);
    uv_close((uv_handle_t *)&conn->poll, on_closed);
    (void)close(conn->fd);
    conn->fd = -1;
    uncount(conn);
}

/* Everything is written: says so, and waits for the client to hang up if bytes of it may still be
 * on their way, since closing then would reset the connection and lose our answer. */
static void farewell(struct net_conn *conn)
{
    if (conn->tls != NULL)
        net_tls_goodbye(conn->tls);
    if (!conn->linger || conn->input_over || shutdown(conn->fd, SHUT_WR) != 0) {
        close_now(conn);
        return;
    }
    conn->state = NET_CONN_LINGER;
    conn->read_held = false;
    conn->active_ns = net_loop_now_ns(conn->loop);
}

static void conn_free(struct net_conn *conn)
{
    struct net_loop *loop = conn->loop;

    *conn->link = conn->next;
    if (conn->next != NULL)
        conn->next->link = conn->link;
    crypto_tls_free(conn->tls);
    alloc_free(conn);
    net_loop_one_gone(loop);
}

void net_conn_unref(struct net_conn *conn)
{
    PC_ASSERT(conn->refs > 0);
    if (--conn->refs == 0)
        conn_free(conn);
}

/* --- entering and leaving --------------------------------------------------------------------- */

void net_conn_enter(struct net_conn *conn)
{
    conn->refs++;
    conn->depth++;
}

static void poll_as_needed(struct net_conn *conn)
{
    int wants = 0;

    if (conn->read_held && wants_input(conn))
        conn->read_held = false;
    if (!conn->read_held && !conn->input_over && conn->state != NET_CONN_GOODBYE)
        wants |= NET_READS;
    if (conn->output.bytes > 0 || conn->wants_write)
        wants |= UV_WRITABLE;
    if (wants == conn->interest)
        return;
    conn->interest = (uint8_t)wants;
    net_edge_forget(&conn->edge);
    PC_ASSERT(wants == 0 ? uv_poll_stop(&conn->poll) == 0
                         : uv_poll_start(&conn->poll, wants, on_poll) == 0);
}

static int64_t deadline_ns(const struct net_conn *conn)
{
    const struct net_server_options *options = &conn->loop->server->options;
    int64_t at = NET_NO_DEADLINE;
    int64_t codec_at;

    if (conn->state <= NET_CONN_HANDSHAKE)
        return conn->active_ns + options->head_ms * CLOCK_NS_PER_MS;
    if (conn->state == NET_CONN_LINGER)
        return conn->active_ns + NET_LINGER_MS * CLOCK_NS_PER_MS;
    if (conn->output.bytes > 0)
        at = conn->written_ns + options->write_ms * CLOCK_NS_PER_MS;
    if (conn->state != NET_CONN_OPEN)
        return at;
    codec_at = conn->codec->deadline_ns(conn);
    return at < codec_at ? at : codec_at;
}

static void on_timer(struct net_timer *timer)
{
    struct net_conn *conn = PC_CONTAINER(timer, struct net_conn, timer);
    int64_t write_ns = conn->loop->server->options.write_ms * CLOCK_NS_PER_MS;
    bool over = true;

    net_conn_enter(conn);
    if (conn->state == NET_CONN_OPEN &&
        (conn->output.bytes == 0 || conn->written_ns + write_ns > net_loop_now_ns(conn->loop)))
        over = conn->codec->timeout(conn);
    else
        net_conn_fail(conn);
    metric_add(conn->loop->server->counters.timeouts, over);
    net_conn_leave(conn);
}

/* With depth 1, so that what the application does on the way does not come here again. */
static void settle(struct net_conn *conn)
{
    if (!conn->failed && conn->state == NET_CONN_OPEN)
        conn->codec->settle(conn);
    while (has_unseen_input(conn)) {
        net_conn_input(conn);
        if (!conn->failed && conn->state == NET_CONN_OPEN)
            conn->codec->settle(conn);
    }
    if (!conn->failed && conn->state == NET_CONN_GOODBYE && net_conn_is_drained(conn))
        farewell(conn);
    if (conn->failed && conn->state != NET_CONN_CLOSED)
        close_now(conn);
    if (conn->state == NET_CONN_CLOSED)
        return;
    poll_as_needed(conn);
    net_loop_timer_set(conn->loop, &conn->timer, deadline_ns(conn));
}

void net_conn_leave(struct net_conn *conn)
{
    PC_ASSERT(conn->depth > 0);
    if (conn->depth == 1 && conn->state != NET_CONN_CLOSED)
        settle(conn);
    conn->depth--;
    net_conn_unref(conn);
}

/* --- opening ---------------------------------------------------------------------------------- */

void net_conn_address(struct net_conn *conn, const struct sockaddr *address)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;
    struct net_peer *peer = &conn->peer;

    peer->family = address->sa_family;
    if (peer->family == AF_INET) {
        memcpy(peer->bytes, &in->sin_addr, 4);
        peer->port = ntohs(in->sin_port);
    } else if (peer->family == AF_INET6) {
        bool mapped = IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);

        peer->family = mapped ? AF_INET : AF_INET6;
        memcpy(peer->bytes, in6->sin6_addr.s6_addr + (mapped ? 12 : 0), mapped ? 4 : 16);
        peer->port = ntohs(in6->sin6_port);
    } else {
        peer->family = AF_UNIX;
        peer->address = SPAN_OF("unix");
        return;
    }
    PC_ASSERT(inet_ntop(peer->family, peer->bytes, conn->address, sizeof(conn->address)) != NULL);
    peer->address = span_from(conn->address);
}

static bool is_proxied(const struct net_conn *conn)
{
    return conn->door->listener->options.proxied != NULL;
}

/* Its address has a share for it; a proxy's own is not counted, for all of its clients have it. */
static bool place(struct net_conn *conn)
{
    struct net_server *server = conn->loop->server;

    conn->placed = net_admit_take(server->admit, &conn->peer);
    if (!conn->placed)
        metric_add(server->counters.refused_ip, 1);
    return conn->placed;
}

/* Counts it in, or says why not. */
static bool admit(struct net_conn *conn)
{
    struct net_server *server = conn->loop->server;
    size_t before = atomic_fetch_add_explicit(&server->conn_count, 1, memory_order_relaxed);
    bool full = before >= server->options.conns_max;

    if (!full && (is_proxied(conn) || place(conn))) {
        conn->counted = true;
        metric_add(server->counters.accepted, 1);
        metric_move(server->counters.open, 1);
        return true;
    }
    atomic_fetch_sub_explicit(&server->conn_count, 1, memory_order_relaxed);
    if (full)
        metric_add(server->counters.refused_total, 1);
    return false;
}

static bool start_tls(struct net_conn *conn)
{
    if (conn->door->tls == NULL)
        return true;
    conn->peer.tls = true;
    conn->state = NET_CONN_HANDSHAKE;
    return crypto_tls_new(conn->door->tls, conn->fd, &conn->tls) == ERR_OK;
}

static void begin(struct net_conn *conn)
{
    conn->state = NET_CONN_OPEN;
    if (!start_tls(conn))
        net_conn_fail(conn);
    else if (conn->tls == NULL)
        choose_codec(conn);
}

void net_conn_located(struct net_conn *conn)
{
    conn->active_ns = conn->written_ns = net_loop_now_ns(conn->loop);
    if (place(conn))
        begin(conn);
    else
        net_conn_fail(conn);
}

void net_conn_tell(struct net_conn *conn, const char *what, const char *why)
{
    const struct net_listener_options *options = &conn->door->listener->options;

    if (options->refused != NULL)
        options->refused(options->door_context, &conn->peer, what, why);
}

static void link_in(struct net_conn *conn)
{
    struct net_loop *loop = conn->loop;

    conn->next = loop->conns;
    conn->link = &loop->conns;
    if (conn->next != NULL)
        conn->next->link = &conn->next;
    loop->conns = conn;
}

void net_conn_open(struct net_door *door, int fd, const struct sockaddr *address)
{
    struct net_conn *conn = alloc_zero(sizeof(*conn));

    if (conn == NULL) {
        (void)close(fd);
        return;
    }
    conn->loop = door->loop;
    conn->door = door;
    conn->codec = &net_codec_http1;
    conn->fd = fd;
    conn->state = NET_CONN_OPEN;
    conn->timer.fire = on_timer;
    conn->sender.post = post;
    conn->active_ns = conn->written_ns = net_loop_now_ns(conn->loop);
    net_conn_address(conn, address);
    if (!admit(conn) || uv_poll_init(&conn->loop->uv, &conn->poll, fd) != 0) {
        uncount(conn);
        (void)close(fd);
        alloc_free(conn);
        return;
    }
    conn->poll.data = conn;
    conn->refs = 1;
    link_in(conn);
    net_conn_enter(conn);
    if (!is_proxied(conn))
        begin(conn);
    else if (net_proxied_may(conn))
        conn->state = NET_CONN_PROXIED;
    net_conn_leave(conn);
}
