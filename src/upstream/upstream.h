/* SPDX-License-Identifier: MIT
 * Asking other servers: an upstream is a set of targets that answer the same; a call is one request
 * to it, sent over a connection that is kept for the next.
 *
 *   upstream_ask -> [queued] -> connecting or a kept connection -> ready -> (upstream_give)* ->
 *   upstream_given;   head -> (body)* -> end      or, at any time, failed
 *
 *   head (101), upstream_tunnel: body and upstream_give, each until its own end: ended,
 * upstream_shut
 *
 * A call that has not had a byte of its answer may be asked again of another target, where that is
 * safe; whoever asks does not notice.
 *
 * Threads: an upstream is shared by the loops; a call belongs to its loop, and so do the kept
 * connections (a pool for each loop, no lock). Memory: a call is embedded in its owner, and all
 * that it points at lives until end, failed or upstream_cancel. Source: RFC 9110, RFC 9112. */
#ifndef PC_UPSTREAM_UPSTREAM_H
#define PC_UPSTREAM_UPSTREAM_H

#include <sys/socket.h>

#include "base/log.h"
#include "base/metric.h"
#include "net/http1_answer.h"
#include "net/net.h"
#include "upstream/upstream_pick.h"
#include "upstream/upstream_retry.h"

struct crypto_tls_context;
struct upstream;
struct upstream_call;
struct upstream_pool;
struct upstream_wire;

struct upstream_target {
    const char *url;  /* "http://10.0.0.7:9001": for logs and metrics */
    const char *host; /* "10.0.0.7:9001": the Host it is asked by */
    const char *name; /* "10.0.0.7", "shop.internal": an address, or what has some */
    uint16_t port;
    uint32_t weight; /* 0: 1 */
    bool drained;
    size_t number; /* among those that were given; set here */
};

/* Where a target is. */
struct upstream_place {
    struct sockaddr_storage address;
    socklen_t bytes;  /* 0: nowhere yet */
    uint32_t version; /* upstream_resolve.c */
};

/* The addresses of a name, at most `max`; 0: none, and why. It may take many seconds. */
typedef size_t upstream_look_up_fn(void *context, const char *name, struct upstream_place *list,
                                   size_t max, const char **reterr_why);
upstream_look_up_fn upstream_look_up; /* by the system's resolver */

/* How long a call may take, where its route says so. Completed before the first call. */
struct upstream_times {
    int64_t connect_ms, response_ms, idle_ms; /* 0: the upstream's */
    int64_t total_ms;                         /* 0: the upstream's; below 0: none */
};

/* Zero means the default in parentheses. */
struct upstream_options {
    const char *name;
    const struct upstream_target *targets;
    size_t target_count;
    struct crypto_tls_context *const *tls; /* for each target, shared with us; NULL: plain */
    enum upstream_balance balance;
    struct upstream_health_rules health;
    int64_t connect_ms;           /* (2 000) */
    int64_t response_ms;          /* to the first byte of the answer (15 000) */
    int64_t idle_ms;              /* between two pieces of either (30 000) */
    int64_t total_ms;             /* all together (none) */
    int64_t keep_alive_ms;        /* a connection that waits (60 000) */
    size_t links_max;             /* of each loop (256) */
    size_t queue_max;             /* calls that wait for one of them (256) */
    unsigned retries;             /* further attempts, where that is safe (0) */
    size_t head_bytes_max;        /* of an answer (LIMIT_HTTP_HEAD_BYTES_MAX) */
    size_t headers_max;           /* (LIMIT_HTTP_HEADERS_MAX) */
    const char *check_path;       /* of active checks; NULL: a connection is enough */
    int64_t check_interval_ms;    /* (no active checks) */
    int64_t check_timeout_ms;     /* (1 000) */
    int64_t resolve_ms;           /* names are looked up again (30 000) */
    upstream_look_up_fn *look_up; /* (upstream_look_up) */
    void *look_up_context;
    const struct clock *clock; /* clock_system; of what the metrics say */
    struct metrics *metrics;   /* (none) */
    struct logger *logger;
    const struct upstream *former; /* that this one stands in place of: see below (none) */
};
/* Looks its names up, and says nothing against one that has no address: its target is down until it
 * has (upstream_resolve.h). */
PC_CHECKED enum err upstream_new(const struct upstream_options *options, struct arena *arena,
                                 struct upstream **ret_upstream, const char **reterr_why);
/* No loop uses it any more, or the server whose loops did is stopped. Accepts NULL. */
void upstream_free(struct upstream *upstream);

/* While settings change, an upstream is made anew in place of a former one of the same name, and
 * both are there until the last request of the former is over:
 *
 *   upstream_new(former) -> on each loop: upstream_loop_enter(new), upstream_loop_leave(former)
 *     -> the former's last request is over, and its loop has turned since (whoever is told of the
 *     end is told from within) -> upstream_free(former)
 *
 * A target that both have goes on as it was (upstream_picker_renew), and connections to it that
 * wait for a request are the new one's. Those to others are closed, at once or when what they carry
 * is over. One that stays as it is may be entered several times, and is left as often. Making and
 * freeing is one thread's; enter and leave are the loop's. Active checks are done by loop 0. */
void upstream_loop_enter(struct upstream *upstream, struct net_loop *loop);
void upstream_loop_leave(struct upstream *upstream, struct net_loop *loop);

/* The metrics say how this one's targets are, in place of a former one's; one without a former does
 * so from the start. */
void upstream_show(struct upstream *upstream);

const char *upstream_name(const struct upstream *upstream);
size_t upstream_targets(const struct upstream *upstream);
const struct upstream_target *upstream_target(const struct upstream *upstream, size_t index);
struct upstream_picker *upstream_picker(struct upstream *upstream);
/* upstream_hold for all places of the target at `index`: for each address its name has or gets. */
void upstream_hold_target(struct upstream *upstream, size_t index, bool drained);
/* Writes what the upstream says in place of what the route leaves out. */
void upstream_times_complete(const struct upstream *upstream, struct upstream_times *times);

struct upstream_app {
    /* The connection stands and the head is sent: the body may be given. Not called when
     * upstream_ask said so at once. */
    void (*ready)(struct upstream_call *call);
    void (*room)(struct upstream_call *call); /* upstream_room was short, and is not any more */
    void (*head)(struct upstream_call *call, const struct net_answer_head *head);
    void (*body)(struct upstream_call *call, struct span bytes); /* valid during the call */
    /* All that has come so far was told, and the answer is not over: send on what waits for more.
     */
    void (*quiet)(struct upstream_call *call);
    /* A tunnel's other side sends no more; end follows upstream_shut. NULL when none is asked for.
     */
    void (*ended)(struct upstream_call *call);
    void (*end)(struct upstream_call *call); /* the call is over; its trailers are there */
    /* The call is over, before head or behind it: ERR_UPSTREAM_... */
    void (*failed)(struct upstream_call *call, enum err err);
};

/* What is asked. */
struct upstream_ask {
    const struct upstream_app *app;
    struct arena *arena; /* for the answer's head */
    /* The request's head for this target, whole, with its empty line: written when it is known who
     * is asked. The empty span without memory. */
    struct span (*write_head)(struct upstream_call *call, const struct upstream_target *target);
    uint64_t key;                       /* for UPSTREAM_HASH */
    const struct upstream_times *times; /* complete; NULL: the upstream's */
    enum upstream_method method;
    bool has_idempotency_key;
    bool is_head;  /* HEAD: the answer has no body */
    bool has_body; /* upstream_give and upstream_given follow */
    bool upgrade;  /* a 101 is an answer */
};

struct upstream_call {
    struct upstream_ask ask;
    struct upstream_pool *pool;
    struct upstream_wire *wire;
    struct upstream_call *next; /* of those that wait */
    struct upstream_call **link;
    struct net_timer timer; /* while waiting */
    const struct upstream_times *times;
    uint64_t tried; /* a bit for each target that was asked */
    int64_t begun_ns;
    int64_t sent_ns;  /* this attempt's head */
    int64_t first_ns; /* the first byte of the answer; 0: none yet */
    int64_t given_ns; /* the last byte of the request was given; 0: not yet */
    size_t target;
    unsigned attempts;                 /* further ones */
    bool picked;                       /* `target` was chosen */
    int status;                        /* of the answer; 0: none yet */
    const struct net_header *trailers; /* at end; none that may not be one */
    size_t trailer_count;
    bool ready;
    bool body_begun; /* a byte of it has left: nobody else can be asked any more */
    bool given;      /* the request is complete */
    bool paused;
    bool starved; /* room is due */
    bool over;
    bool tunnel;    /* behind a 101 */
    bool peer_over; /* the upstream sends no more in it */
};

/* ERR_OK: on its way, `call->ready` tells whether the body may be given now; nothing of the app was
 * called. Else it never began: ERR_UPSTREAM_NONE, ERR_UPSTREAM_FULL, ERR_UPSTREAM_CONNECT,
 * ERR_NO_MEMORY. */
PC_CHECKED enum err upstream_begin(struct upstream *upstream, struct net_loop *loop,
                                   struct upstream_call *call, const struct upstream_ask *ask);

/* More of the body, as it goes over the wire (framed), or of what a tunnel carries; within
 * upstream_room. */
void upstream_give(struct upstream_call *call, const struct span *parts, size_t count);
void upstream_given(struct upstream_call *call);
size_t upstream_room(struct upstream_call *call);

/* How long the target let us wait: from the whole request to the first byte of the answer, or until
 * now. 0 when it cannot be said, as the client had not sent all. */
int64_t upstream_waited_ns(const struct upstream_call *call);

/* From inside of head, of a 101: the asker takes it, and may give at once. One that does not
 * cancels. */
void upstream_tunnel(struct upstream_call *call);
/* A tunnel: we send no more. */
void upstream_shut(struct upstream_call *call);

/* Holds the answer back, and lets it go on. */
void upstream_pause(struct upstream_call *call);
void upstream_resume(struct upstream_call *call);

/* The asker does not want it any more: nothing is called after this. Accepts one that is over. */
void upstream_cancel(struct upstream_call *call);

#endif
