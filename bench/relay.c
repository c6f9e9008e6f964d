/* SPDX-License-Identifier: MIT
 * What passing bytes on costs at the least: one thread, one epoll, a pair of sockets for each
 * client. It reads nothing of what it passes, so no proxy can do with less.
 *
 *   bench/relay PORT TARGET_PORT            both on 127.0.0.1 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, PIECE = 16384, FDS_MAX = 65536 };

static int other_of[FDS_MAX]; /* the other end of each pair */

static void stop(const char *what)
{
    perror(what);
    exit(1);
}

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return at;
}

static void watch(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.fd = fd};
    int one = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        stop("epoll_ctl");
}

static void pair_up(int epoll, int listener, int target_port)
{
    struct sockaddr_in target = loopback(target_port);
    int client = accept(listener, NULL, NULL);
    int server = socket(AF_INET, SOCK_STREAM, 0);

    if (client < 0 || server < 0 || client >= FDS_MAX || server >= FDS_MAX ||
        connect(server, (struct sockaddr *)&target, sizeof(target)) != 0) {
        close(client);
        close(server);
        return;
    }
    other_of[client] = server;
    other_of[server] = client;
    watch(epoll, client);
    watch(epoll, server);
}

/* Pieces are small and the other end reads at once: what does not fit ends the pair. */
static void pass(int fd)
{
    char piece[PIECE];
    int other = other_of[fd];
    ssize_t got;

    if (other == 0) /* closed by an event before this one */
        return;
    got = recv(fd, piece, sizeof(piece), 0);
    if (got < 0 && errno == EINTR)
        return;
    if (got <= 0 || send(other, piece, (size_t)got, MSG_NOSIGNAL) != got) {
        other_of[fd] = other_of[other] = 0;
        close(fd);
        close(other);
    }
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    struct sockaddr_in at = loopback(argc > 1 ? atoi(argv[1]) : 0);
    int target_port = argc > 2 ? atoi(argv[2]) : 0;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int epoll = epoll_create1(0);
    int one = 1;

    if (target_port <= 0) {
        (void)fprintf(stderr, "usage: relay PORT TARGET_PORT\n");
        return 2;
    }
    (void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(listener, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(listener, 4096) != 0)
        stop("listen");
    watch(epoll, listener);
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, -1);

        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener)
                pair_up(epoll, listener, target_port);
            else
                pass(events[i].data.fd);
        }
    }
}
