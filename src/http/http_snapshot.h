/* SPDX-License-Identifier: MIT
 * What a reload swaps, as one: the policy of all services, and the routes to upstreams.
 *
 *   http_snapshot_new -> http_snapshot_take -> in force -> another is taken -> its last request is
 *   over -> options.over, freed
 *
 * A request sees one snapshot from its head to its end. Each loop has a pointer of its own to the
 * one that new requests are served by, and counts its own requests of each, so the request's way
 * has no lock and no shared cache line for it. Routes of the same host, method and path keep their
 * breaker and buckets from one snapshot to the next.
 *
 * Threads: new, take, free and reap are one thread's at a time, and no loop's; enter and leave are
 * called on the loops. Memory: what options point at stays until `over` is called. */
#ifndef PC_HTTP_HTTP_SNAPSHOT_H
#define PC_HTTP_HTTP_SNAPSHOT_H

#include "http/http.h"

enum { HTTP_SERVICES_MAX = 16, HTTP_LOOPS_MAX = 256 };

struct http_snapshot;

struct http_snapshot_options {
    const struct http_policy *policy;
    struct http_service *service;    /* that has the routes; NULL: none has */
    const struct http_route *routes; /* all with a `proxy`; closed by a NULL path */
    /* On a loop: new requests of it are served by this one; the former one is left behind it. */
    void (*enter)(void *context, struct net_loop *loop); /* may be NULL */
    /* On a loop: no new request of it is. Those under way may still be. */
    void (*leave)(void *context, struct net_loop *loop); /* may be NULL */
    /* Nobody looks at it any more; by the thread that takes, or frees the engine. Not called for
     * one that was never taken. */
    void (*over)(void *context); /* may be NULL */
    void *context;
};

/* When all services are made. ERR_CONFIG with a sentence in reterr_why for a route that is not
 * whole. */
PC_CHECKED enum err http_snapshot_new(struct http_engine *engine,
                                      const struct http_snapshot_options *options,
                                      struct http_snapshot **ret_snapshot, const char **reterr_why);
/* One that was never taken. Accepts NULL. */
void http_snapshot_free(struct http_snapshot *snapshot);

/* In force: returns when every loop serves new requests by it. Cannot fail. */
void http_snapshot_take(struct http_snapshot *snapshot);

/* Frees what nobody uses any more; taking does so too. How many are left, the present one too. */
size_t http_snapshot_reap(struct http_engine *engine);

#endif
