/* SPDX-License-Identifier: MIT
 * Where Redis is. A name is looked up when the program starts, and while Redis is away again and
 * again: it may have moved. Looking up blocks, so a thread of its own does it, which otherwise
 * sleeps; an address needs none. At the end nobody waits for a resolver (net_lookup.h). */
#include "app/serve_priv.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "limit/limit_shared.h"
#include "net/net_lookup.h"

enum { LOOK_AGAIN_MS = 5000, LOOK_UP_S = 10, PORT_BYTES = NET_LOOKUP_PORT_BYTES };

struct serve_redis {
    struct limit_shared *shared;
    char host[NI_MAXHOST];
    char port[PORT_BYTES];
    size_t tries; /* addresses are tried in turn */
    struct net_lookup *lookup;
    pthread_t thread;
    int stop[2]; /* a pipe: readable when it is time to stop */
};

static void place_of(const struct config_redis *redis, char host[NI_MAXHOST], char port[PORT_BYTES])
{
    (void)snprintf(host, NI_MAXHOST, "%.*s", SPAN_ARG(redis->host));
    (void)snprintf(port, PORT_BYTES, "%u", redis->port);
}

static int look_up(const char *host, const char *port, int flags, struct addrinfo **ret)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags};

    return getaddrinfo(host, port, &hints, ret);
}

enum err serve_redis_find(const struct config_redis *redis, struct limit_redis_options *ret,
                          struct serve_fault *fault)
{
    struct addrinfo *list = NULL;
    char host[NI_MAXHOST];
    char port[PORT_BYTES];
    int failed;

    place_of(redis, host, port);
    failed = look_up(host, port, 0, &list);
    if (failed != 0)
        return serve_fail(fault, ERR_CONFIG, "redis.url: %s: %s", host, gai_strerror(failed));
    memcpy(&ret->address, list->ai_addr, list->ai_addrlen);
    ret->address_bytes = list->ai_addrlen;
    freeaddrinfo(list);
    return ERR_OK;
}

static void look_again(struct serve_redis *follower)
{
    int64_t deadline_ns = clock_monotonic_ns(&clock_system) + LOOK_UP_S * CLOCK_NS_PER_S;
    struct net_lookup_answer answer;
    const char *why;
    size_t at;

    if (net_lookup_ask(follower->lookup, follower->host, follower->port, deadline_ns,
                       follower->stop[0], &answer, &why) != ERR_OK)
        return; /* the last address stays */
    at = follower->tries++ % answer.count;
    limit_shared_move(follower->shared, (const struct sockaddr *)(const void *)&answer.list[at].at,
                      answer.list[at].bytes);
}

static bool is_away(struct serve_redis *follower)
{
    struct limit_shared_state state;

    limit_shared_look(follower->shared, &state);
    return state.connected < state.loops;
}

/* Until it is time again: false at the end. */
static bool sleep_on(const struct serve_redis *follower)
{
    struct pollfd stop = {.fd = follower->stop[0], .events = POLLIN};

    return poll(&stop, 1, LOOK_AGAIN_MS) <= 0;
}

static void *follow(void *context)
{
    struct serve_redis *follower = context;

    while (sleep_on(follower)) {
        if (is_away(follower))
            look_again(follower);
    }
    return NULL;
}

static bool is_address(const char *host, const char *port)
{
    struct addrinfo *list = NULL;

    if (look_up(host, port, AI_NUMERICHOST, &list) != 0)
        return false;
    freeaddrinfo(list);
    return true;
}

static enum err begin(struct serve_redis *follower)
{
    enum err err = net_lookup_new(&follower->lookup);

    if (!err && pipe2(follower->stop, O_CLOEXEC) != 0)
        err = ERR_IO;
    if (err)
        return err;
    if (pthread_create(&follower->thread, NULL, follow, follower) == 0)
        return ERR_OK;
    (void)close(follower->stop[0]);
    (void)close(follower->stop[1]);
    return ERR_NO_MEMORY;
}

enum err serve_redis_follow(struct limit_shared *shared, const struct config_redis *redis,
                            struct serve_redis **ret)
{
    struct serve_redis *follower = alloc_zero(sizeof(*follower));
    enum err err;

    if (follower == NULL)
        return ERR_NO_MEMORY;
    follower->shared = shared;
    place_of(redis, follower->host, follower->port);
    if (is_address(follower->host, follower->port)) {
        alloc_free(follower);
        return ERR_OK;
    }
    err = begin(follower);
    if (err) {
        net_lookup_free(follower->lookup);
        alloc_free(follower);
        return err;
    }
    *ret = follower;
    return ERR_OK;
}

void serve_redis_free(struct serve_redis *follower)
{
    if (follower == NULL)
        return;
    (void)close(follower->stop[1]); /* whoever polls the other end wakes up */
    PC_ASSERT(pthread_join(follower->thread, NULL) == 0);
    (void)close(follower->stop[0]);
    net_lookup_free(follower->lookup);
    alloc_free(follower);
}
