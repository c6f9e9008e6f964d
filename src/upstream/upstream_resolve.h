/* SPDX-License-Identifier: MIT
 * Targets by name: every address of a name is a target of its own, and they share its weight. Names
 * are looked up when the upstream is made and again and again by one thread of its own, since
 * looking up may take many seconds. Addresses come and go without failing what is under way; when
 * the resolver fails, the last ones stay.
 *
 *   upstream_resolver_start(list, count, logger, &resolver);  ... upstream_resolver_stop(resolver);
 *
 * What a resolver says is not trusted: a name has so many addresses and no more, of which those
 * that are none are dropped, and the port is always the configured one.
 *
 * Threads: start and stop from one; upstream_resolve from one at a time for each upstream.
 * Memory: start / stop, before the upstreams go. Nobody waits for a look-up under way, which may
 * hang for as long as it likes: what it hears is dropped. */
#ifndef PC_UPSTREAM_UPSTREAM_RESOLVE_H
#define PC_UPSTREAM_UPSTREAM_RESOLVE_H

#include <sys/socket.h>

#include "upstream/upstream.h"

enum { UPSTREAM_ADDRESSES_MAX = 8 /* of one name */, UPSTREAM_ANSWERS_MAX = 64 /* read of one */ };

struct upstream_resolver;

PC_CHECKED enum err upstream_resolver_start(struct upstream *const *list, size_t count,
                                            struct upstream_resolver **ret_resolver);
void upstream_resolver_stop(struct upstream_resolver *resolver); /* accepts NULL */

/* Looks all names of the upstream up once, in the calling thread. */
void upstream_resolve(struct upstream *upstream);

#endif
