/* SPDX-License-Identifier: MIT
 * One loop's connection to Redis. It is made, kept and made again unaided; while it does not stand,
 * nothing waits for it.
 *
 *   start -> CONNECTING -> HELLO (AUTH, SELECT, SCRIPT LOAD) -> PROBE (the script writes) -> READY
 *               ^                                                                              |
 *               +---- PAUSING (50 ms, doubled up to 2 s) <---- refused, late, an error, a lie -+
 *
 * The probe is the script itself: a replica that may not write, or a server that still loads, is
 * as good as none.
 *
 * Threads: the loop's.    Memory: embedded in its owner; a command is its owner's until done.
 * Source: Redis protocol; hiredis reads it (limit_reply.h), net/ carries it, since hiredis itself
 * would resolve names on the loop and, in Debian, has no TLS. */
#ifndef PC_LIMIT_LIMIT_REDIS_H
#define PC_LIMIT_LIMIT_REDIS_H

#include "limit/limit_reply.h"
#include "limit/limit_script.h"
#include "net/net_link.h"

/* The script for some buckets. Embedded in what waits for it. */
struct limit_command;
/* `reply` is NULL when Redis is away: whether it ran is not known. Otherwise it is a list of 1 + 2
 * * count numbers that a bucket may have said. */
typedef void limit_command_fn(struct limit_command *command, const struct limit_reply *reply);
struct limit_command {
    struct limit_command *next;
    limit_command_fn *done;
    const struct limit_part *parts;
    size_t count;
    int64_t deadline_ns;
    bool whole; /* it was asked again with the script's text */
};

struct limit_redis_options {
    struct sockaddr_storage address; /* at first: see limit_redis_where_fn */
    socklen_t address_bytes;
    struct crypto_tls_context *tls; /* NULL: plain */
    struct span user, password;     /* empty: none */
    uint32_t database;
    int64_t connect_ms; /* until it is ready */
    int64_t timeout_ms; /* of one command */
    size_t waiting_max; /* commands on their way */
};

/* What its owner is told, and asked. */
struct limit_redis;
/* Where it is now: before each connection. */
typedef void limit_redis_where_fn(struct limit_redis *redis, struct sockaddr_storage *ret_address,
                                  socklen_t *ret_bytes);
typedef void limit_redis_up_fn(struct limit_redis *redis);
/* Before the commands on their way are told. `why`: "timeout", "READONLY"; while it stays away it
 * is told again for each attempt. */
typedef void limit_redis_down_fn(struct limit_redis *redis, struct span why);

enum limit_redis_state {
    LIMIT_REDIS_STOPPED = 0,
    LIMIT_REDIS_PAUSING,
    LIMIT_REDIS_CONNECTING,
    LIMIT_REDIS_HELLO,
    LIMIT_REDIS_PROBE,
    LIMIT_REDIS_READY,
};

struct limit_redis {
    const struct limit_redis_options *options;
    limit_redis_where_fn *where;
    limit_redis_up_fn *up;
    limit_redis_down_fn *down;
    struct net_loop *loop;
    struct net_link *link;
    struct limit_reader *reader;
    struct net_timer timer;
    enum limit_redis_state state;
    int64_t pause_ms;
    struct limit_command *first, **last; /* on their way, in the order of their answers */
    size_t waiting;
    size_t hellos_left; /* answers that are due before the probe */
    struct limit_command probe;
    struct limit_part probe_part;
    char sha[LIMIT_SHA_BYTES];
};

/* `options` outlive it. */
void limit_redis_start(struct limit_redis *redis, const struct limit_redis_options *options,
                       struct net_loop *loop);
void limit_redis_stop(struct limit_redis *redis); /* what waits is told that it is away */

static inline bool limit_redis_is_ready(const struct limit_redis *redis)
{
    return redis->state == LIMIT_REDIS_READY;
}

/* ERR_OK: on its way, and done is called later, never from inside of this. ERR_AGAIN: not ready.
 * ERR_BUSY: too many are on their way. */
PC_CHECKED enum err limit_redis_ask(struct limit_redis *redis, struct limit_command *command);

/* Whoever gave such an answer is not believed any more. */
void limit_redis_fail(struct limit_redis *redis, struct span why);

#endif
