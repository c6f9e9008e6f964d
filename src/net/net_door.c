/* SPDX-License-Identifier: MIT
 * Listening sockets, one per listener and loop (SO_REUSEPORT), and what comes through them. A
 * connection is let in, or closed at once when there are too many.
 *
 * A socket that somebody else opened is shared by the loops: each has a descriptor of its own, all
 * wake for a connection, and the first to accept has it. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "net/net_priv.h"

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_storage storage;
};

static bool address_read(const char *host, uint16_t port, union address *ret_address,
                         socklen_t *ret_bytes)
{
    union address address;

    memset(&address, 0, sizeof(address));
    if (inet_pton(AF_INET, host, &address.in.sin_addr) == 1) {
        address.in.sin_family = AF_INET;
        address.in.sin_port = htons(port);
        *ret_bytes = sizeof(address.in);
    } else if (inet_pton(AF_INET6, host, &address.in6.sin6_addr) == 1) {
        address.in6.sin6_family = AF_INET6;
        address.in6.sin6_port = htons(port);
        *ret_bytes = sizeof(address.in6);
    } else {
        return false;
    }
    *ret_address = address;
    return true;
}

/* Accepted sockets inherit TCP_NODELAY. */
static int socket_bind(const union address *address, socklen_t bytes, bool shared, int *ret_fd)
{
    int on = 1;
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error;

    if (fd < 0)
        return errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0) ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
        bind(fd, &address->any, bytes) != 0) {
        error = errno;
        (void)close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

/* A descriptor of our own of a socket that listens already. */
static int socket_share(int given, int *ret_fd)
{
    int on = 1;
    int fd = fcntl(given, F_DUPFD_CLOEXEC, 0);
    int flags = fd >= 0 ? fcntl(fd, F_GETFL) : -1;
    int error;

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0) {
        error = errno;
        if (fd >= 0)
            (void)close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

int net_door_bind(const struct net_listener_options *options, uint16_t port, bool alone,
                  int *ret_fd)
{
    union address address;
    socklen_t bytes;
    int error;
    int probe = -1;

    if (options->given > 0)
        return socket_share(options->given, ret_fd);
    if (!address_read(options->host, port, &address, &bytes))
        return EADDRNOTAVAIL;
    if (alone && port != 0) {
        /* SO_REUSEPORT would share a port with another process of this user without a word. */
        error = socket_bind(&address, bytes, false, &probe);
        if (error == 0 && listen(probe, 1) != 0)
            error = errno;
        if (probe >= 0)
            (void)close(probe);
        if (error != 0)
            return error;
    }
    return socket_bind(&address, bytes, true, ret_fd);
}

static bool is_out_of_files(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void on_retry(struct net_timer *timer);
static void on_knock(uv_poll_t *poll, int status, int events);

/* Without file descriptors accepting would spin: wait a little. */
static void pause_accepting(struct net_door *door)
{
    metric_add(door->listener->server->counters.refused_files, 1);
    PC_ASSERT(uv_poll_stop(&door->poll) == 0);
    net_timer_start(door->loop, &door->retry, NET_ACCEPT_PAUSE_MS, on_retry);
}

static void on_retry(struct net_timer *timer)
{
    struct net_door *door = PC_CONTAINER(timer, struct net_door, retry);

    if (door->fd >= 0)
        PC_ASSERT(uv_poll_start(&door->poll, UV_READABLE, on_knock) == 0);
}

/* 0, or why nothing was accepted. */
static int accept_one(struct net_door *door)
{
    union address address;
    socklen_t bytes = sizeof(address);
    int fd = accept4(door->fd, &address.any, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0)
        return errno;
    net_conn_open(door, fd, &address.any);
    return 0;
}

static void on_knock(uv_poll_t *poll, int status, int events)
{
    struct net_door *door = poll->data;

    for (int i = 0; i < NET_ACCEPT_BURST; i++) {
        int error = accept_one(door);

        if (error == EAGAIN)
            return;
        if (is_out_of_files(error)) {
            pause_accepting(door);
            return;
        }
    }
}

void net_door_open(struct net_door *door)
{
    if (door->fd < 0)
        return;
    door->poll.data = door;
    PC_ASSERT(uv_poll_init(&door->loop->uv, &door->poll, door->fd) == 0);
    PC_ASSERT(uv_poll_start(&door->poll, UV_READABLE, on_knock) == 0);
    door->polled = true;
}

void net_door_close(struct net_door *door)
{
    int error = 0;

    if (door->fd < 0)
        return;
    net_timer_stop(&door->retry);
    if (door->polled) {
        /* Those that connected before we closed are ours; at a given socket, the next one's. */
        while (door->listener->options.given == 0 && error != EAGAIN && !is_out_of_files(error))
            error = accept_one(door);
        uv_close((uv_handle_t *)&door->poll, NULL);
        door->polled = false;
    }
    (void)close(door->fd);
    door->fd = -1;
}

uint64_t net_raise_fd_limit(void)
{
    struct rlimit limit;

    PC_ASSERT(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    if (limit.rlim_cur < limit.rlim_max) {
        rlim_t before = limit.rlim_cur;

        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            return before;
    }
    return limit.rlim_cur;
}
