/* SPDX-License-Identifier: MIT
 * The addresses of a name, for a thread that may wait, but not for as long as a dead resolver
 * likes. The system's resolver has no time limit and hears no stop; so a thread of its own asks it,
 * and whoever wants the answer waits for that, for his deadline, or for the word to stop.
 *
 *   net_lookup_new -> net_lookup_ask ... -> net_lookup_free     (while one hangs, too)
 *
 * One that hangs is waited for again by the next who asks for the same name, so a resolver that
 * answers nobody holds one thread for each net_lookup, however often it is asked.
 *
 * Threads: one at a time.    Memory: new / free, which never waits; a look-up that hangs has its
 * own memory, and ends with it.    Units: nanoseconds of clock_system.
 * Source: POSIX getaddrinfo(). */
#ifndef PC_NET_NET_LOOKUP_H
#define PC_NET_NET_LOOKUP_H

#include <sys/socket.h>

#include "base/clock.h"
#include "base/err.h"

enum { NET_LOOKUP_ADDRESSES_MAX = 16, NET_LOOKUP_NAME_BYTES = 256, NET_LOOKUP_PORT_BYTES = 8 };

struct net_lookup_answer {
    size_t count;
    struct {
        struct sockaddr_storage at; /* with the port */
        socklen_t bytes;
    } list[NET_LOOKUP_ADDRESSES_MAX];
};

struct net_lookup;

PC_CHECKED enum err net_lookup_new(struct net_lookup **ret_lookup);
void net_lookup_free(struct net_lookup *lookup); /* accepts NULL */

/* At least one address, or ERR_IO with the reason. Gives up when `stop_fd` can be read (-1: never)
 * or the time is over. */
PC_CHECKED enum err net_lookup_ask(struct net_lookup *lookup, const char *name, const char *port,
                                   int64_t deadline_ns, int stop_fd,
                                   struct net_lookup_answer *ret_answer, const char **reterr_why);

#endif
