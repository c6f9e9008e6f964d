/* SPDX-License-Identifier: MIT
 * Limits that several gateways keep together, in Redis.
 *
 *   exact    one script a request says yes or no for all of its limits at once
 *   leased   a loop takes some requests ahead and gives them out without asking; no more is ever
 *            admitted than the limit and what is out on lease
 *
 * While Redis is away (down, slow, read-only, loading, lying) each request's `on_outage` says what
 * happens: the node keeps to its share of the limit by itself, denies, or allows. What the node
 * admits is counted against its share all along, so an outage does not begin with a full bucket.
 *
 *   question -> [limit_shared_ask] -> an answer at once, or LIMIT_WAITS ... done
 *
 * Threads: a question belongs to its loop; each loop has a connection and leases of its own, so no
 * lock is taken. limit_shared_look from any thread.
 * Memory: limit_shared_new / limit_shared_free; a question is its owner's until it has its answer.
 * Source: docs/decisions/limits-shared.md. */
#ifndef PC_LIMIT_LIMIT_SHARED_H
#define PC_LIMIT_LIMIT_SHARED_H

#include "base/log.h"
#include "base/metric.h"
#include "limit/limit_redis.h"

struct limit_shared_options {
    struct limit_redis_options redis;
    uint32_t nodes;         /* that share the limits; at least 1 */
    uint32_t lease_percent; /* of a limit's burst, of one node */
    size_t loops;           /* of this node */
    size_t slots;           /* of the table of this node's shares */
    const struct random_source *random;
    struct logger *logger;   /* NULL: none */
    struct metrics *metrics; /* NULL: none */
};

enum { LIMIT_NODES_MAX = 256, LIMIT_LOOPS_MAX = 256 };

struct limit_shared;

PC_CHECKED enum err limit_shared_new(const struct limit_shared_options *options,
                                     struct limit_shared **ret_shared);
void limit_shared_free(struct limit_shared *shared); /* the loops are over; accepts NULL */

/* On the loop's thread, before its first question and after its last. */
void limit_shared_loop_start(struct limit_shared *shared, struct net_loop *loop);
void limit_shared_loop_stop(struct limit_shared *shared, struct net_loop *loop);

enum limit_fate {
    LIMIT_WAITS = 0,
    LIMIT_ADMITTED,
    LIMIT_REFUSED, /* a limit is used up */
    LIMIT_DENIED,  /* nobody knows, and the request asked for `deny` then */
};

struct limit_question;
typedef void limit_question_fn(struct limit_question *question);

struct limit_question {
    /* What is asked. The texts live until the answer. */
    limit_question_fn *done; /* never from inside of limit_shared_ask */
    struct limit_sharing sharing;
    struct limit_ask asks[LIMIT_ASKS_MAX];
    size_t count;

    /* The answer. */
    enum limit_fate fate;
    bool told; /* there is a verdict: not when it is allowed because nobody knows */
    size_t tightest;
    struct limit_verdict verdict;

    /* limit/ only. */
    struct limit_node *node;
    struct limit_question *next;
    struct limit_command command;
    struct limit_part parts[LIMIT_ASKS_MAX];
};

/* The answer, or LIMIT_WAITS when it comes by `done`. The sharing's mode is not LIMIT_LOCAL. */
enum limit_fate limit_shared_ask(struct limit_shared *shared, struct net_loop *loop,
                                 struct limit_question *question);

/* Redis has moved: the next connections go there. Any thread. */
void limit_shared_move(struct limit_shared *shared, const struct sockaddr *address,
                       socklen_t address_bytes);

/* For those who look on. */
struct limit_shared_state {
    size_t loops;     /* that have started */
    size_t connected; /* to Redis */
    uint64_t admitted, refused, away, busy;
};
void limit_shared_look(struct limit_shared *shared, struct limit_shared_state *ret);

#endif
