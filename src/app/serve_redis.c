/* SPDX-License-Identifier: MIT
 * Where Redis is. A name is looked up when the program starts, and while Redis is away again and
 * again: it may have moved. Looking up blocks, so a thread of its own does it, which otherwise
 * sleeps; an address needs none. */
#include "app/serve_priv.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "limit/limit_shared.h"

enum { LOOK_AGAIN_S = 5, PORT_BYTES = 8 };

struct serve_redis {
    struct limit_shared *shared;
    char host[NI_MAXHOST];
    char port[PORT_BYTES];
    size_t tries; /* addresses are tried in turn */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping; /* under the lock */
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
    struct addrinfo *list = NULL;
    const struct addrinfo *one;
    size_t count = 0;
    size_t at;

    if (look_up(follower->host, follower->port, 0, &list) != 0)
        return; /* the last address stays */
    for (one = list; one != NULL; one = one->ai_next)
        count++;
    if (count == 0)
        return;
    at = follower->tries++ % count;
    for (one = list; at > 0; at--)
        one = one->ai_next;
    limit_shared_move(follower->shared, one->ai_addr, one->ai_addrlen);
    freeaddrinfo(list);
}

static bool is_away(struct serve_redis *follower)
{
    struct limit_shared_state state;

    limit_shared_look(follower->shared, &state);
    return state.connected < state.loops;
}

/* Until it is time again: false at the end. */
static bool sleep_on(struct serve_redis *follower)
{
    int64_t until_ns = clock_monotonic_ns(&clock_system) + LOOK_AGAIN_S * CLOCK_NS_PER_S;
    const struct timespec until = {.tv_sec = until_ns / CLOCK_NS_PER_S,
                                   .tv_nsec = until_ns % CLOCK_NS_PER_S};
    bool stopping;
    int woken = 0;

    PC_ASSERT(pthread_mutex_lock(&follower->lock) == 0);
    while (!follower->stopping && woken != ETIMEDOUT)
        woken = pthread_cond_timedwait(&follower->wake, &follower->lock, &until);
    stopping = follower->stopping;
    PC_ASSERT(pthread_mutex_unlock(&follower->lock) == 0);
    return !stopping;
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

enum err serve_redis_follow(struct limit_shared *shared, const struct config_redis *redis,
                            struct serve_redis **ret)
{
    struct serve_redis *follower = alloc_zero(sizeof(*follower));
    pthread_condattr_t steady;

    if (follower == NULL)
        return ERR_NO_MEMORY;
    follower->shared = shared;
    place_of(redis, follower->host, follower->port);
    if (is_address(follower->host, follower->port)) {
        alloc_free(follower);
        return ERR_OK;
    }
    PC_ASSERT(pthread_mutex_init(&follower->lock, NULL) == 0);
    PC_ASSERT(pthread_condattr_init(&steady) == 0);
    PC_ASSERT(pthread_condattr_setclock(&steady, CLOCK_MONOTONIC) == 0);
    PC_ASSERT(pthread_cond_init(&follower->wake, &steady) == 0);
    PC_ASSERT(pthread_condattr_destroy(&steady) == 0);
    if (pthread_create(&follower->thread, NULL, follow, follower) != 0) {
        alloc_free(follower);
        return ERR_NO_MEMORY;
    }
    *ret = follower;
    return ERR_OK;
}

void serve_redis_free(struct serve_redis *follower)
{
    if (follower == NULL)
        return;
    PC_ASSERT(pthread_mutex_lock(&follower->lock) == 0);
    follower->stopping = true;
    PC_ASSERT(pthread_cond_signal(&follower->wake) == 0);
    PC_ASSERT(pthread_mutex_unlock(&follower->lock) == 0);
    PC_ASSERT(pthread_join(follower->thread, NULL) == 0);
    PC_ASSERT(pthread_cond_destroy(&follower->wake) == 0);
    PC_ASSERT(pthread_mutex_destroy(&follower->lock) == 0);
    alloc_free(follower);
}
