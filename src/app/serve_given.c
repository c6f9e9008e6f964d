/* SPDX-License-Identifier: MIT
 * Sockets that listen already, since a service manager opened them before it started this process:
 * each is for the listener whose address and port it has. One that nobody wants is an error, so
 * that a door that somebody believes guarded is not left standing. */
#include "app/serve_priv.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct place {
    char address[NI_MAXHOST];
    char port[NI_MAXSERV];
};

static bool place_of(int fd, struct place *ret)
{
    struct sockaddr_storage bound = {0};
    socklen_t bytes = sizeof(bound), number_bytes = sizeof(int);
    int kind = 0, listens = 0;

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, &number_bytes) != 0 || kind != SOCK_STREAM ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &number_bytes) != 0 || listens == 0 ||
        getsockname(fd, (struct sockaddr *)&bound, &bytes) != 0 ||
        (bound.ss_family != AF_INET && bound.ss_family != AF_INET6))
        return false;
    return getnameinfo((const struct sockaddr *)&bound, bytes, ret->address, sizeof(ret->address),
                       ret->port, sizeof(ret->port), NI_NUMERICHOST | NI_NUMERICSERV) == 0;
}

static bool is_at(const struct place *place, const char *address, uint32_t port)
{
    uint64_t number;

    return strcmp(place->address, address) == 0 && span_to_u64(span_from(place->port), &number) &&
           number == port && port != 0;
}

/* Where the socket of this place is to be told; NULL when no listener is there, or has one. */
static int *seat_of(struct serve *serve, const struct place *place)
{
    struct serve_listener *gateway = &serve->listeners[CONFIG_GATEWAY];

    for (enum config_service i = 0; i < CONFIG_SERVICE_COUNT; i++) {
        struct serve_listener *listener = &serve->listeners[i];

        if (serve_serves(serve, i) && !listener->reserves && listener->given == 0 &&
            is_at(place, listener->address, listener->port))
            return &listener->given;
    }
    if (serve_serves(serve, CONFIG_GATEWAY) && serve->redirect_given == 0 &&
        is_at(place, gateway->address, serve->config->redirect.port))
        return &serve->redirect_given;
    return NULL;
}

static enum err take(struct serve *serve, int fd, struct serve_fault *fault)
{
    struct place place;
    int *seat;

    if (!place_of(fd, &place))
        return serve_fail(fault, ERR_CONFIG,
                          "LISTEN_FDS: descriptor %d is no TCP socket that listens", fd);
    seat = seat_of(serve, &place);
    if (seat == NULL)
        return serve_fail(fault, ERR_CONFIG,
                          "LISTEN_FDS: a socket listens at %s port %s, where no service of this "
                          "process is, or has one already; compare SERVICE.host and SERVICE.port",
                          place.address, place.port);
    *seat = fd;
    return ERR_OK;
}

enum err serve_given_place(struct serve *serve, int first, unsigned count,
                           struct serve_fault *fault)
{
    enum err err = ERR_OK;

    for (int fd = first; fd < first + (int)count; fd++) {
        if (!err)
            err = take(serve, fd, fault);
        if (err)
            (void)close(fd);
    }
    return err;
}

static void give_back(int *seat)
{
    if (*seat != 0)
        (void)close(*seat);
    *seat = 0;
}

void serve_given_close(struct serve *serve)
{
    for (enum config_service i = 0; i < CONFIG_SERVICE_COUNT; i++)
        give_back(&serve->listeners[i].given);
    give_back(&serve->redirect_given);
}
