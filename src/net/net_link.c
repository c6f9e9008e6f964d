/* SPDX-License-Identifier: MIT
 * An outgoing connection on one loop, the counterpart of net_conn.c: connects, waits through libuv,
 * reads into a buffer of the loop, sends what its owner gives and keeps what the socket does not
 * take.
 *
 *   net_link_open --> CONNECTING --connected--> [HANDSHAKE, TLS only] --opened--> OPEN --hang_up-->
 *                         |                            |                         |   broken: sends
 *                         | refused, late              | refused, late           |   no more, reads
 *                         v                            v                         v   what was said
 *                       CLOSED <----- leave: lost -----+-------------------------+-------+
 *                         ^
 *                         +--------- net_link_close, in any state, without lost
 *
 * The owner is called only between enter and leave, and only the loop enters: on_poll, on_timer,
 * on_task, cut. What an owner's call breaks (a failed send) is marked and told by a task. A
 * reference is held by libuv's handle, by whoever entered and by the task, so no callback ever
 * finds its link freed under its feet. */
#include "net/net_link.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "net/net_io.h"

enum { CONNECT_MS = 5000, ROOM_BYTES = NET_OUTPUT_BYTES_MAX };

enum link_state { CONNECTING, HANDSHAKE, OPEN, CLOSED };

struct net_link {
    uv_poll_t poll;
    struct net_loop *loop;
    struct net_link *next; /* of the loop */
    struct net_link **at;  /* what points at this one */
    const struct net_link_app *app;
    void *context;
    struct crypto_tls *tls; /* NULL: plain */
    struct net_output output;
    struct net_sender sender;
    struct net_timer timer; /* hangs at the earliest of the deadlines, or before it */
    int64_t connect_ns;     /* must be open before */
    int64_t deadline_ns;    /* the owner's */
    struct net_task task;   /* comes back from the loop, outside of any call of the owner */
    int fd;
    int error;        /* errno */
    uint8_t refs;     /* libuv's handle, enter, task */
    uint8_t interest; /* NET_READS, UV_WRITABLE as libuv knows it */
    struct net_edge edge;
    enum link_state state : 8;
    enum err why : 16; /* with `failed` */
    bool tls_wants_write;
    bool entered : 1;    /* by the loop; it does not nest */
    bool failed : 1;     /* lost is due */
    bool broken : 1;     /* the peer is gone: read what it said, then fail */
    bool paused : 1;     /* by the owner */
    bool held : 1;       /* readable, but paused: not polled until resumed */
    bool starved : 1;    /* room is due */
    bool posted : 1;     /* the task is on its way */
    bool shut : 1;       /* the owner sends no more */
    bool ended : 1;      /* ... and the peer was told so */
    bool input_over : 1; /* the peer sends no more, and the owner goes on */
};

/* --- failing ---------------------------------------------------------------------------------- */

static void link_unref(struct net_link *link)
{
    struct net_loop *loop = link->loop;

    PC_ASSERT(link->refs > 0);
    if (--link->refs > 0)
        return;
    *link->at = link->next;
    if (link->next != NULL)
        link->next->at = link->at;
    crypto_tls_free(link->tls);
    alloc_free(link);
    net_loop_one_gone(loop);
}

/* Comes back soon, when none of the owner's calls is on the stack. */
static void later(struct net_link *link)
{
    if (link->posted)
        return;
    link->posted = true;
    link->refs++;
    net_loop_post(link->loop, &link->task);
}

static void fail(struct net_link *link, enum err why)
{
    if (link->failed)
        return;
    link->failed = true;
    link->why = why;
    if (!link->entered)
        later(link);
}

static int socket_error(int fd)
{
    int error = 0;
    socklen_t bytes = sizeof(error);

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes) == 0 ? error : errno;
}

/* The peer is gone for our bytes. What it sent before may wait in the socket, and can be the
 * answer that explains why. */
static void hang_up(struct net_link *link, int error)
{
    if (link->broken)
        return;
    link->broken = true;
    link->error = error;
    net_output_clear(&link->output);
    if (!link->entered)
        later(link);
}

/* --- bytes in and out ------------------------------------------------------------------------- */

/* A read takes a whole record, so TLS never keeps decoded bytes that poll cannot see. */
static enum net_io link_read(struct net_link *link, void *buffer, size_t bytes, size_t *ret_bytes)
{
    if (link->tls != NULL)
        return net_tls_read(link->tls, &link->tls_wants_write, buffer, bytes, ret_bytes);
    return net_io_recv(link->fd, buffer, bytes, 0, ret_bytes);
}

static enum net_io link_peek(struct net_link *link)
{
    char byte;
    size_t got;

    if (link->tls != NULL)
        return NET_IO_DONE; /* records may hold anything: what it is shows when resumed */
    return net_io_recv(link->fd, &byte, 1, MSG_PEEK, &got);
}

static enum net_io link_write(void *owner, struct iovec *vectors, size_t count, size_t *ret_bytes)
{
    struct net_link *link = owner;

    if (link->tls != NULL)
        return net_tls_write(link->tls, &link->tls_wants_write, vectors, count, ret_bytes);
    return net_io_send(link->fd, vectors, count, ret_bytes);
}

/* Why reading or writing just failed. */
static int io_error(const struct net_link *link)
{
    return link->tls != NULL ? socket_error(link->fd) : errno;
}

static bool is_fine(enum net_io io)
{
    return io == NET_IO_DONE || io == NET_IO_WAIT;
}

static bool is_readable(const struct net_link *link)
{
    return link->state == OPEN && !link->failed;
}

static bool is_writable(const struct net_link *link)
{
    return is_readable(link) && !link->broken;
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void poll_as_needed(struct net_link *link)
{
    int wants = 0;

    if (link->state == CONNECTING)
        wants = UV_WRITABLE;
    else if (!link->broken)
        wants = (link->held || link->input_over ? 0 : NET_READS) |
                (link->output.bytes > 0 || link->tls_wants_write ? UV_WRITABLE : 0);
    if (wants == link->interest)
        return;
    link->interest = (uint8_t)wants;
    net_edge_forget(&link->edge);
    PC_ASSERT(wants == 0 ? uv_poll_stop(&link->poll) == 0
                         : uv_poll_start(&link->poll, wants, on_poll) == 0);
}

/* The vectors are the parts, laid out. */
static void write_or_keep(struct net_link *link, const struct span *parts, size_t count,
                          struct iovec *vectors, size_t all)
{
    size_t sent = 0;

    if (link->output.bytes == 0 && !is_fine(link_write(link, vectors, count, &sent))) {
        hang_up(link, io_error(link));
        return;
    }
    if (sent == all)
        return;
    if (!net_output_keep(&link->output, parts, count, false, sent)) {
        fail(link, ERR_NO_MEMORY);
        return;
    }
    link->starved = link->output.bytes > ROOM_BYTES / 2;
    if (!link->entered)
        poll_as_needed(link);
}

static void post(struct net_sender *sender, struct span bytes)
{
    struct net_link *link = PC_CONTAINER(sender, struct net_link, sender);
    struct iovec vector;
    size_t all = net_io_vectors(&bytes, 1, &vector);

    if (is_writable(link))
        write_or_keep(link, &bytes, 1, &vector, all);
}

static void push(struct net_link *link)
{
    net_outbox_push(&link->loop->outbox, &link->sender);
}

void net_link_send(struct net_link *link, const struct span *parts, size_t count)
{
    struct iovec vectors[NET_SEND_PARTS_MAX];
    size_t all = net_io_vectors(parts, count, vectors);

    PC_ASSERT(link->state >= OPEN && !link->shut);
    if (!is_writable(link) || all == 0)
        return;
    if (link->output.bytes == 0 &&
        net_outbox_put(&link->loop->outbox, &link->sender, parts, count, all))
        return;
    push(link);
    if (is_writable(link))
        write_or_keep(link, parts, count, vectors, all);
}

/* Our end, once the last byte has left. Over in both ways, it is lost in order. */
static void shut_when_drained(struct net_link *link)
{
    if (!link->shut || link->ended)
        return;
    push(link);
    if (link->output.bytes > 0 || !is_writable(link))
        return;
    link->ended = true;
    if (link->tls != NULL)
        net_tls_goodbye(link->tls);
    if (shutdown(link->fd, SHUT_WR) != 0)
        hang_up(link, errno);
    else if (link->input_over)
        fail(link, ERR_END);
}

void net_link_shut(struct net_link *link)
{
    link->shut = true;
    shut_when_drained(link);
}

static void flush(struct net_link *link)
{
    size_t bytes;

    if (!is_fine(net_output_flush(&link->output, link_write, link, &bytes))) {
        hang_up(link, io_error(link));
        return;
    }
    shut_when_drained(link);
    if (link->failed || !link->starved || link->output.bytes > ROOM_BYTES / 2)
        return;
    link->starved = false;
    if (link->app->room != NULL)
        link->app->room(link);
}

/* The peer sends no more. Whoever sends on says so. */
static void end_input(struct net_link *link)
{
    bool goes_on = link->app->ended != NULL && link->app->ended(link);

    if (link->state == CLOSED)
        return;
    link->input_over = goes_on;
    if (!goes_on || link->ended)
        fail(link, ERR_END);
}

/* One read per readiness: what is left makes the socket readable again, for which it leaves the
 * edge, or, when it is broken and not polled, the task comes again. */
static void take_input(struct net_link *link)
{
    char *buffer = link->loop->buffers[NET_BUFFER_LINK];
    size_t bytes = 0;
    enum net_io io =
        link->paused ? link_peek(link) : link_read(link, buffer, NET_READ_BYTES, &bytes);

    if (link->tls == NULL)
        net_edge_read(&link->edge, link->loop, link->fd,
                      link->interest == NET_READS && io == NET_IO_DONE && !link->paused &&
                          bytes < NET_READ_BYTES);
    switch (io) {
    case NET_IO_DONE:
        net_loop_dirty(link->loop, NET_BUFFER_LINK, bytes);
        link->held = link->paused;
        if (!link->held)
            link->app->input(link, span_make(buffer, bytes));
        return;
    case NET_IO_WAIT:
        if (!link->broken)
            return;
        break;
    case NET_IO_END:
        if (!link->broken) {
            end_input(link);
            return;
        }
        break;
    case NET_IO_FAILED:
        if (!link->broken)
            link->error = io_error(link);
        break;
    }
    fail(link, ERR_IO);
}

/* --- closing ---------------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    link_unref(handle->data);
}

static void close_now(struct net_link *link)
{
    push(link);
    net_outbox_forget(&link->loop->outbox, &link->sender);
    if (link->state == OPEN)
        metric_move(link->loop->server->counters.links_open, -1);
    if (is_writable(link) && link->tls != NULL)
        net_tls_goodbye(link->tls);
    link->state = CLOSED;
    net_timer_stop(&link->timer);
    net_output_clear(&link->output);
    uv_close((uv_handle_t *)&link->poll, on_closed);
    (void)close(link->fd);
    link->fd = -1;
}

void net_link_close(struct net_link *link)
{
    if (link->state != CLOSED)
        close_now(link);
}

static void tell_lost(struct net_link *link)
{
    static const enum net_link_kind where[] = {
        [CONNECTING] = NET_LINK_UNREACHABLE, [HANDSHAKE] = NET_LINK_TLS, [OPEN] = NET_LINK_RESET};

    net_counters_link_lost(&link->loop->server->counters, where[link->state], link->why,
                           link->error);
    close_now(link);
    link->app->lost(link, link->why);
}

/* --- entering and leaving --------------------------------------------------------------------- */

static void enter(struct net_link *link)
{
    PC_ASSERT(!link->entered);
    link->refs++;
    link->entered = true;
}

static void leave(struct net_link *link)
{
    if (link->failed && link->state != CLOSED)
        tell_lost(link);
    link->entered = false;
    if (link->state != CLOSED) {
        if (link->broken && !link->held)
            later(link);
        poll_as_needed(link);
    }
    link_unref(link);
}

/* --- deadlines -------------------------------------------------------------------------------- */

static int64_t earliest_ns(const struct net_link *link)
{
    if (link->state < OPEN && link->connect_ns < link->deadline_ns)
        return link->connect_ns;
    return link->deadline_ns;
}

/* A deadline that is taken away leaves the timer where it hangs: it rings for nothing. */
static void arm(struct net_link *link)
{
    int64_t at_ns = earliest_ns(link);

    if (link->state != CLOSED && at_ns != NET_LINK_NO_DEADLINE)
        net_loop_timer_set(link->loop, &link->timer, at_ns);
}

/* --- connecting ------------------------------------------------------------------------------- */

/* On loopback a socket that connects to a free port can be given that very port, and then it talks
 * to itself. */
bool net_link_is_own(int fd)
{
    struct sockaddr_storage here;
    struct sockaddr_storage there;
    socklen_t here_bytes = sizeof(here);
    socklen_t there_bytes = sizeof(there);

    memset(&here, 0, sizeof(here));
    memset(&there, 0, sizeof(there));
    return getsockname(fd, (struct sockaddr *)&here, &here_bytes) == 0 &&
           getpeername(fd, (struct sockaddr *)&there, &there_bytes) == 0 &&
           here.ss_family != AF_UNIX && here_bytes == there_bytes &&
           memcmp(&here, &there, here_bytes) == 0;
}

static void opened(struct net_link *link)
{
    struct net_counters *counters = &link->loop->server->counters;

    link->state = OPEN;
    metric_add(counters->links, 1);
    metric_move(counters->links_open, 1);
    arm(link);
    link->app->open(link);
}

static void handshake(struct net_link *link)
{
    enum net_io io = net_tls_handshake(link->tls, &link->tls_wants_write);

    if (io == NET_IO_DONE) {
        opened(link);
    } else if (io != NET_IO_WAIT) {
        link->error = socket_error(link->fd);
        fail(link, ERR_IO);
    }
}

static void connected(struct net_link *link)
{
    link->error = socket_error(link->fd);
    if (link->error == 0 && net_link_is_own(link->fd))
        link->error = ECONNREFUSED;
    if (link->error != 0) {
        fail(link, ERR_IO);
    } else if (link->tls == NULL) {
        opened(link);
    } else {
        link->state = HANDSHAKE;
        handshake(link);
    }
}

/* 0 or errno. */
static int socket_new(int family, int *ret_fd)
{
    int on = 1;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error;

    PC_ASSERT(family == AF_INET || family == AF_INET6 || family == AF_UNIX);
    if (fd < 0)
        return errno;
    if (family != AF_UNIX && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0) {
        error = errno;
        (void)close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

/* A failure is the peer's matter and is told later, like one that takes its time. */
static void begin(struct net_link *link, const struct net_link_options *options)
{
    const struct sockaddr *address = (const struct sockaddr *)&options->address;

    if (connect(link->fd, address, options->address_bytes) == 0 || errno == EINPROGRESS) {
        arm(link);
        poll_as_needed(link);
        return;
    }
    link->error = errno;
    fail(link, ERR_IO);
}

/* --- what the loop calls ---------------------------------------------------------------------- */

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct net_link *link = poll->data;

    net_outbox_check(&link->loop->outbox);
    enter(link);
    link->tls_wants_write = false;
    link->edge.end_told |= (events & UV_DISCONNECT) != 0;
    if (link->state == CONNECTING) {
        connected(link);
    } else if (link->state == HANDSHAKE) {
        handshake(link);
    } else {
        if (status < 0) /* libuv has stopped polling: the socket has an error */
            hang_up(link, socket_error(link->fd));
        else if ((events & UV_WRITABLE) != 0)
            flush(link);
        if (is_readable(link) && (link->broken || (events & UV_READABLE) != 0))
            take_input(link);
    }
    leave(link);
}

/* The wheel may come before the deadline, which was only moved by writing its number. */
static void on_timer(struct net_timer *timer)
{
    struct net_link *link = PC_CONTAINER(timer, struct net_link, timer);
    int64_t now_ns = net_loop_now_ns(link->loop);

    enter(link);
    if (link->state < OPEN && link->connect_ns <= now_ns) {
        fail(link, ERR_REQUEST_TIMEOUT);
    } else if (link->deadline_ns <= now_ns && !link->failed) {
        link->deadline_ns = NET_LINK_NO_DEADLINE;
        if (link->app->late != NULL)
            link->app->late(link);
    }
    arm(link);
    leave(link);
}

static void on_task(struct net_task *task)
{
    struct net_link *link = PC_CONTAINER(task, struct net_link, task);

    link->posted = false;
    enter(link);
    if (is_readable(link) && link->broken && !link->held)
        take_input(link);
    leave(link);
    link_unref(link);
}

void net_link_cut(struct net_loop *loop)
{
    /* None is freed meanwhile: that happens when libuv reports its handle closed. */
    for (struct net_link *link = loop->links; link != NULL; link = link->next) {
        if (link->state == CLOSED)
            continue;
        enter(link);
        fail(link, ERR_DRAINING);
        leave(link);
    }
}

/* --- what the owner calls --------------------------------------------------------------------- */

static struct net_link *link_new(struct net_loop *loop, const struct net_link_options *options)
{
    struct net_link *link = alloc_zero(sizeof(*link));
    int64_t connect_ms = options->connect_ms > 0 ? options->connect_ms : CONNECT_MS;

    if (link == NULL)
        return NULL;
    link->loop = loop;
    link->app = options->app;
    link->context = options->context;
    link->timer.fire = on_timer;
    link->sender.post = post;
    link->task.run = on_task;
    link->connect_ns = net_loop_now_ns(loop) + connect_ms * CLOCK_NS_PER_MS;
    link->deadline_ns = NET_LINK_NO_DEADLINE;
    link->poll.data = link;
    link->refs = 1;
    link->fd = -1;
    return link;
}

/* 0 or errno. */
static int socket_attach(struct net_link *link, const struct net_link_options *options)
{
    int error = socket_new(options->address.ss_family, &link->fd);

    if (error != 0)
        return error;
    if (options->tls != NULL && crypto_tls_new(options->tls, link->fd, &link->tls) != ERR_OK)
        error = ENOMEM;
    else
        error = -uv_poll_init(&link->loop->uv, &link->poll, link->fd);
    if (error == 0)
        return 0;
    crypto_tls_free(link->tls);
    (void)close(link->fd);
    return error;
}

static void link_in(struct net_link *link)
{
    struct net_loop *loop = link->loop;

    link->next = loop->links;
    link->at = &loop->links;
    if (link->next != NULL)
        link->next->at = &link->next;
    loop->links = link;
}

enum err net_link_open(struct net_loop *loop, const struct net_link_options *options,
                       struct net_link **ret_link)
{
    struct net_link *link;
    int error;

    if (loop->stopping)
        return ERR_DRAINING;
    PC_ASSERT(net_loop_is_current(loop));
    link = link_new(loop, options);
    if (link == NULL)
        return ERR_NO_MEMORY;
    error = socket_attach(link, options);
    if (error != 0) {
        alloc_free(link);
        if (error == ENOMEM)
            return ERR_NO_MEMORY;
        metric_add(loop->server->counters.links_failed[NET_LINK_FILES], 1);
        errno = error;
        return ERR_IO;
    }
    link_in(link);
    begin(link, options);
    *ret_link = link;
    return ERR_OK;
}

void *net_link_context(const struct net_link *link)
{
    return link->context;
}

void net_link_set_context(struct net_link *link, const struct net_link_app *app, void *context)
{
    link->app = app;
    link->context = context;
}

struct net_loop *net_link_loop(struct net_link *link)
{
    return link->loop;
}

bool net_link_is_open(const struct net_link *link)
{
    return is_writable(link);
}

int net_link_errno(const struct net_link *link)
{
    return link->error;
}

const char *net_link_tls_reason(const struct net_link *link)
{
    return link->tls != NULL && crypto_tls_is_refused(link->tls) ? crypto_tls_reason(link->tls)
                                                                 : "";
}

size_t net_link_room(const struct net_link *link)
{
    if (!is_writable(link) || link->output.bytes >= ROOM_BYTES)
        return 0;
    return ROOM_BYTES - link->output.bytes;
}

bool net_link_is_drained(const struct net_link *link)
{
    return link->output.bytes == 0;
}

void net_link_pause(struct net_link *link)
{
    link->paused = true;
}

void net_link_resume(struct net_link *link)
{
    link->paused = false;
    if (!link->held)
        return;
    link->held = false;
    if (link->entered || link->state == CLOSED)
        return; /* leave sees to it */
    if (link->broken)
        later(link);
    else
        poll_as_needed(link);
}

void net_link_deadline(struct net_link *link, int64_t deadline_ns)
{
    link->deadline_ns = deadline_ns;
    arm(link);
}
