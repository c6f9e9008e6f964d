/* SPDX-License-Identifier: MIT
 * A look-up belongs to two: the thread that asks the system, and the net_lookup that began it. The
 * last one to let go of it frees it, so neither ever waits for the other:
 *
 *   begin --> thread: getaddrinfo --> answered, told by an eventfd --> let_go
 *     \--> ask: waits, takes the answer --> let_go     (or gives up, and asks again later)
 *      \--> net_lookup_free --> let_go */
#include "net/net_lookup.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"

enum { WAIT_MS_MAX = 60000 };

struct asking {
    pthread_mutex_t lock;
    unsigned holders; /* under the lock, and so is the rest */
    int answered_fd;  /* readable when it is */
    int failed;       /* of getaddrinfo */
    struct net_lookup_answer answer;
    char name[NET_LOOKUP_NAME_BYTES];
    char port[NET_LOOKUP_PORT_BYTES];
};

struct net_lookup {
    struct asking *asking; /* NULL: nobody is asked */
};

enum err net_lookup_new(struct net_lookup **ret_lookup)
{
    struct net_lookup *lookup = alloc_zero(sizeof(*lookup));

    if (lookup == NULL)
        return ERR_NO_MEMORY;
    *ret_lookup = lookup;
    return ERR_OK;
}

static void asking_free(struct asking *asking)
{
    if (asking->answered_fd >= 0)
        (void)close(asking->answered_fd);
    PC_ASSERT(pthread_mutex_destroy(&asking->lock) == 0);
    alloc_free(asking);
}

static void let_go(struct asking *asking)
{
    bool last;

    PC_ASSERT(pthread_mutex_lock(&asking->lock) == 0);
    last = --asking->holders == 0;
    PC_ASSERT(pthread_mutex_unlock(&asking->lock) == 0);
    if (last)
        asking_free(asking);
}

static void forget(struct net_lookup *lookup)
{
    if (lookup->asking != NULL)
        let_go(lookup->asking);
    lookup->asking = NULL;
}

void net_lookup_free(struct net_lookup *lookup)
{
    if (lookup == NULL)
        return;
    forget(lookup);
    alloc_free(lookup);
}

/* ---- the thread --------------------------------------------------------------------------------
 */

static void answer_copy(const struct addrinfo *list, struct net_lookup_answer *answer)
{
    for (; list != NULL && answer->count < NET_LOOKUP_ADDRESSES_MAX; list = list->ai_next) {
        if (list->ai_addrlen > sizeof(answer->list[0].at))
            continue;
        memcpy(&answer->list[answer->count].at, list->ai_addr, list->ai_addrlen);
        answer->list[answer->count++].bytes = list->ai_addrlen;
    }
}

/* An address needs nobody to be asked. */
static bool is_literal(const char *name, const char *port, struct net_lookup_answer *ret_answer)
{
    static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                          .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *list = NULL;

    if (getaddrinfo(name, port, &hints, &list) != 0)
        return false;
    ret_answer->count = 0;
    answer_copy(list, ret_answer);
    freeaddrinfo(list);
    return ret_answer->count > 0;
}

static void *asking_thread(void *context)
{
    static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct asking *asking = context;
    struct addrinfo *list = NULL;
    int failed = getaddrinfo(asking->name, asking->port, &hints, &list);

    PC_ASSERT(pthread_mutex_lock(&asking->lock) == 0);
    asking->failed = failed;
    if (failed == 0)
        answer_copy(list, &asking->answer);
    PC_ASSERT(eventfd_write(asking->answered_fd, 1) == 0);
    PC_ASSERT(pthread_mutex_unlock(&asking->lock) == 0);
    if (failed == 0)
        freeaddrinfo(list);
    let_go(asking);
    return NULL;
}

static enum err begin(struct net_lookup *lookup, const char *name, const char *port)
{
    struct asking *asking = alloc_zero(sizeof(*asking));
    pthread_t thread;

    if (asking == NULL)
        return ERR_NO_MEMORY;
    PC_ASSERT(pthread_mutex_init(&asking->lock, NULL) == 0);
    asking->holders = 2;
    (void)snprintf(asking->name, sizeof(asking->name), "%s", name);
    (void)snprintf(asking->port, sizeof(asking->port), "%s", port);
    asking->answered_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (asking->answered_fd < 0 || pthread_create(&thread, NULL, asking_thread, asking) != 0) {
        asking_free(asking);
        return ERR_NO_MEMORY;
    }
    PC_ASSERT(pthread_detach(thread) == 0);
    lookup->asking = asking;
    return ERR_OK;
}

/* ---- waiting for it ----------------------------------------------------------------------------
 */

static enum err refuse(const char *why, const char **reterr_why)
{
    *reterr_why = why;
    return ERR_IO;
}

static enum err wait_for(const struct asking *asking, int64_t deadline_ns, int stop_fd,
                         const char **reterr_why)
{
    struct pollfd fds[2] = {{.fd = asking->answered_fd, .events = POLLIN},
                            {.fd = stop_fd, .events = POLLIN}};

    for (;;) {
        int64_t left_ns = deadline_ns - clock_monotonic_ns(&clock_system);
        int64_t left_ms = left_ns > 0 ? left_ns / CLOCK_NS_PER_MS + 1 : 0;
        int got = poll(fds, 2, left_ms > WAIT_MS_MAX ? WAIT_MS_MAX : (int)left_ms);

        if (got < 0 && errno != EINTR)
            return refuse(strerror(errno), reterr_why);
        if (got > 0 && fds[1].revents != 0)
            return refuse("the program stops", reterr_why);
        if (got > 0)
            return ERR_OK;
        if (left_ms == 0)
            return refuse("its name is looked up for too long", reterr_why);
    }
}

static enum err take(struct asking *asking, struct net_lookup_answer *ret_answer,
                     const char **reterr_why)
{
    int failed;

    PC_ASSERT(pthread_mutex_lock(&asking->lock) == 0);
    failed = asking->failed;
    *ret_answer = asking->answer;
    PC_ASSERT(pthread_mutex_unlock(&asking->lock) == 0);
    if (failed != 0)
        return refuse(gai_strerror(failed), reterr_why);
    return ret_answer->count > 0 ? ERR_OK : refuse("its name has no address", reterr_why);
}

static bool is_for(const struct asking *asking, const char *name, const char *port)
{
    return strcmp(asking->name, name) == 0 && strcmp(asking->port, port) == 0;
}

enum err net_lookup_ask(struct net_lookup *lookup, const char *name, const char *port,
                        int64_t deadline_ns, int stop_fd, struct net_lookup_answer *ret_answer,
                        const char **reterr_why)
{
    enum err err = ERR_OK;

    if (strlen(name) >= NET_LOOKUP_NAME_BYTES || strlen(port) >= NET_LOOKUP_PORT_BYTES)
        return refuse("its name is too long", reterr_why);
    if (is_literal(name, port, ret_answer))
        return ERR_OK;
    if (lookup->asking != NULL && !is_for(lookup->asking, name, port))
        forget(lookup);
    if (lookup->asking == NULL)
        err = begin(lookup, name, port);
    if (err) {
        *reterr_why = err_sentence(err);
        return err;
    }
    err = wait_for(lookup->asking, deadline_ns, stop_fd, reterr_why);
    if (err)
        return err;
    err = take(lookup->asking, ret_answer, reterr_why);
    forget(lookup);
    return err;
}
