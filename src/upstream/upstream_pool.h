/* SPDX-License-Identifier: MIT
 * What asking is made of: the connections of each loop, and what they carry. For the folder alone.
 */
#ifndef PC_UPSTREAM_UPSTREAM_POOL_H
#define PC_UPSTREAM_UPSTREAM_POOL_H

#include <pthread.h>
#include <stdatomic.h>

#include "net/net_link.h"
#include "upstream/upstream.h"
#include "upstream/upstream_tls.h"

enum { UPSTREAM_LOOPS_MAX = 256 };

enum { UPSTREAM_OUTCOMES = 3 };

/* What is counted of a target. */
struct upstream_counts {
    struct upstream *upstream;
    size_t target;
    struct metric_series *attempts[UPSTREAM_OUTCOMES];
    struct metric_series *well;
    struct metric_series *addresses; /* NULL: no name */
    size_t places; /* from `target` on, of one name; 1 without; 0: told with another */
};

/* A target whose host is a name, and the places of its addresses. */
struct upstream_name {
    size_t first, count;
    bool failing;                     /* the last look-up did */
    struct metric_series *lookups[2]; /* well, failed */
};

/* What an upstream and those in place of it have in common: which of them each loop uses. */
struct upstream_line {
    unsigned members;                         /* of the one thread that makes them */
    struct upstream *now[UPSTREAM_LOOPS_MAX]; /* by loop; each touched by its own alone */
};

struct upstream {
    struct upstream_options options; /* with defaults filled in */
    struct upstream_target targets[UPSTREAM_TARGETS_MAX];
    struct upstream_place places[UPSTREAM_TARGETS_MAX];    /* read under places_lock */
    _Atomic uint32_t place_versions[UPSTREAM_TARGETS_MAX]; /* grows when another address is there */
    pthread_mutex_t places_lock;
    struct upstream_name names[UPSTREAM_TARGETS_MAX];
    size_t name_count;
    bool is_counted; /* it holds its series */
    struct upstream_counts counts[UPSTREAM_TARGETS_MAX];
    struct upstream_times times; /* of calls whose route says nothing */
    struct net_answer_limits limits;
    struct upstream_picker *picker;
    struct upstream_tls *tls;       /* NULL: plain */
    struct upstream_checks *checks; /* NULL: none */
    struct upstream_line *line;
    struct upstream_pool *pools[UPSTREAM_LOOPS_MAX]; /* by loop; each touched by its own alone */
    uint32_t entered[UPSTREAM_LOOPS_MAX];            /* the same: how often */
};

/* One connection. */
struct upstream_wire {
    struct net_link *link; /* NULL: gone */
    struct upstream_pool *pool;
    struct upstream_call *call; /* NULL: it waits for one */
    struct upstream_wire *next; /* of those of its target that wait, the last used first */
    struct upstream_wire **ref;
    size_t target;
    uint32_t version; /* of its place, when it was opened */
    uint32_t uses;    /* answers that it has carried */
    bool entered;     /* a function of it is on the stack: freed when it returns */
    bool closed;
    struct net_answer answer;
};

/* The connections of one loop. */
struct upstream_pool {
    struct upstream *upstream;
    struct net_loop *loop;
    struct upstream_turn turn;
    struct upstream_budget budget; /* of asking again */
    size_t wire_count;
    struct upstream_wire *kept[UPSTREAM_TARGETS_MAX];
    struct upstream_call *waiting;
    struct upstream_call **waiting_end;
    size_t waiting_count;
    bool left; /* another upstream stands in place of this one, or none */
    int64_t tls_quiet_ns[UPSTREAM_TARGETS_MAX]; /* until then no failure of TLS is logged */
};

/* upstream_call.c */
void upstream_serve(struct upstream_pool *pool); /* there is room for one that waits */
void upstream_call_open(struct upstream_wire *wire);
void upstream_call_input(struct upstream_wire *wire, struct span bytes);
void upstream_call_lost(struct upstream_wire *wire, enum err err, bool was_open);
void upstream_call_late(struct upstream_wire *wire);

/* upstream_tunnel.c */
void upstream_tunnel_input(struct upstream_wire *wire, struct span bytes);
bool upstream_tunnel_ended(struct upstream_wire *wire);

/* upstream_resolve.c: before the first pick, without slow start. */
void upstream_resolve_first(struct upstream *upstream);
/* An address as it stands. */
PC_CHECKED bool upstream_is_literal(const char *name, uint16_t port,
                                    struct upstream_place *ret_place);

/* upstream.c: where a target is now. */
PC_CHECKED struct upstream_place upstream_place_now(struct upstream *upstream, size_t target);

/* upstream_pool.c */
PC_CHECKED struct upstream_pool *upstream_pool_of(struct upstream *upstream, struct net_loop *loop);
void upstream_pool_free(struct upstream_pool *pool); /* accepts NULL */
/* A kept connection to the target, a new one that is to stand within connect_ms, or neither:
 * ERR_BUSY when all are in use. */
PC_CHECKED enum err upstream_wire_take(struct upstream_pool *pool, size_t target,
                                       int64_t connect_ms, struct upstream_wire **ret_wire);
void upstream_wire_keep(struct upstream_wire *wire); /* for the next call */
void upstream_wire_close(struct upstream_wire *wire);
void upstream_wire_unkeep(struct upstream_wire *wire); /* it waits no more */

/* upstream_change.c: a left pool's connection that has done its work goes to who has the target
 * now, or is closed. */
void upstream_wire_hand_over(struct upstream_wire *wire);
/* The upstream that this loop uses in place of a left one; NULL: none. */
struct upstream *upstream_heir(const struct upstream_pool *pool);
PC_CHECKED enum err upstream_line_join(struct upstream *upstream, const struct upstream *former);
void upstream_line_leave(struct upstream *upstream);

/* upstream_check.c: on the loop. */
PC_CHECKED enum err upstream_check_start(struct upstream *upstream, struct net_loop *loop);
void upstream_check_stop(struct upstream *upstream);

#endif
