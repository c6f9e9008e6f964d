/* SPDX-License-Identifier: MIT
 * Which target of an upstream is asked next, and which are well. No sockets and no clock of its
 * own: times are given.
 *
 *   target = upstream_pick(picker, &loop->turn, &loop->random, key, tried, now_ns);
 *   if (target == UPSTREAM_NO_TARGET)
 *       answer 503: every target is drained
 *   …
 *   upstream_settle(picker, target, outcome, took_ns, now_ns);
 *
 * A target is away for one of three reasons, each of its own: an operator drains it, active checks
 * find it down, or requests fail and it is ejected:
 *
 *           failures in a row reach fails_max                   (upstream_settle)
 *     WELL -------------------------------------> EJECTED
 *       ^                                         |   ^
 *       | a success                its time is    |   | a failure
 *       | (upstream_settle)        over, and a    |   | (upstream_settle)
 *       |                          request comes  v   |
 *       +---------------------------------------- TRIAL
 *                                     (upstream_pick)
 *
 * Results count by when they come, not by when the request went: while EJECTED none does; on TRIAL
 * the first that is not neutral decides, were it of an older request. A trial that says nothing is
 * given up when no request is in flight, at the latest after eject_ns.
 *
 * Panic: when fewer than panic_percent of the targets that are not drained are well, the fault may
 * as well be on our side, and the few would fall under the load of all: every target that is not
 * drained is asked. An ejected target whose time is over counts as well until its trial goes out.
 *
 * Slow start: a target that comes back by a trial, by checks or from draining is left out of most
 * choices at first, of fewer and fewer as time goes on, and of none after slow_start_ns; a tenth of
 * its share it has from the beginning. For UPSTREAM_HASH that is decided by the key, so each key
 * comes back once. In panic, and when there is nobody else, it is asked like any other.
 *
 * Threads: any, no lock. A picker is shared; a turn belongs to one loop. While all are well and
 * steady, a pick writes one cache line of its target and reads the rest.
 * Memory: upstream_picker_new / upstream_picker_free; nothing in between.
 * Units: monotonic nanoseconds, kept in whole milliseconds for ejections.
 * Source: Mitzenmacher, "The power of two choices in randomized load balancing"; Karger et al.,
 * "Consistent hashing and random trees"; docs of Envoy (outlier detection, panic threshold) and of
 * Finagle (peak EWMA). */
#ifndef PC_UPSTREAM_UPSTREAM_PICK_H
#define PC_UPSTREAM_UPSTREAM_PICK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/random.h"
#include "base/span.h"

enum { UPSTREAM_TARGETS_MAX = 64, UPSTREAM_WEIGHT_MAX = 1000 };

#define UPSTREAM_NO_TARGET SIZE_MAX

enum upstream_balance {
    UPSTREAM_ROUND_ROBIN = 0, /* smooth and weighted */
    UPSTREAM_LEAST_REQUESTS,  /* fewest in flight per weight; ties in turn */
    UPSTREAM_POWER_OF_TWO,    /* of two drawn by weight, the smaller (in flight + 1) x latency per
                                 weight; the latency leaps up and sinks slowly */
    UPSTREAM_HASH,            /* the key's target on a ring; the next one while that is away */
};

/* Zero is the default in parentheses. */
struct upstream_health_rules {
    uint32_t fails_max;     /* failures in a row that eject (5), up to 4095 */
    int64_t eject_ns;       /* times how often it was ejected lately (10 s); six times this without
                               another and one of them is forgotten */
    int64_t eject_most_ns;  /* an ejection lasts no longer (300 s) */
    uint32_t panic_percent; /* fewer well than this: all are asked (50), up to 100 */
    uint32_t rise;          /* good checks in a row that bring a target back (2) */
    uint32_t fall;          /* bad checks in a row that take it out (3) */
    int64_t slow_start_ns;  /* a target that comes back gets its full share after this (at once) */
};

/* Shared by all loops; one for each upstream. */
struct upstream_picker;

/* `weights` are 1 to UPSTREAM_WEIGHT_MAX; `names` decide the places on the ring of UPSTREAM_HASH,
 * so the same names give the same targets on every node, in any order. Both are read here only.
 * Every target begins as well. */
PC_CHECKED enum err upstream_picker_new(enum upstream_balance balance, const uint32_t *weights,
                                        const struct span *names, size_t count,
                                        const struct upstream_health_rules *rules,
                                        struct upstream_picker **ret_picker);
void upstream_picker_free(struct upstream_picker *picker); /* accepts NULL */

/* Places [first, first + count) belong to one name: its addresses take and leave them, and all that
 * are there have one weight together. They begin absent. Before the first pick. */
void upstream_group(struct upstream_picker *picker, size_t first, size_t count);

/* An address takes an absent place, to be picked from now on; `id` tells addresses apart, the same
 * on every node. `is_another`: nothing of what was known of the place holds any more, and no
 * request may be in flight there. `now_ns`: when its slow start begins. */
#define UPSTREAM_AT_ONCE INT64_MIN /* without one */
void upstream_enter(struct upstream_picker *picker, size_t target, uint64_t id, bool is_another,
                    int64_t now_ns);
/* It is picked no more; requests in flight come to their end. */
void upstream_leave(struct upstream_picker *picker, size_t target);

/* The same in place of a former one: targets with a name that this one has too go on as they are
 * (requests in flight, latency, health, what an operator said), as results that come late to the
 * former one count in both. Making and freeing pickers of one upstream is one thread's. NULL: there
 * was none. `lasting` has a bit for each target that may go on, now and later. */
PC_CHECKED enum err upstream_picker_renew(const struct upstream_picker *former,
                                          enum upstream_balance balance, const uint32_t *weights,
                                          const struct span *names, size_t count,
                                          const struct upstream_health_rules *rules,
                                          uint64_t lasting, struct upstream_picker **ret_picker);

/* What results that came to another picker changed is seen by this one from now on. */
void upstream_picker_refresh(struct upstream_picker *picker);

/* What one loop keeps of one picker: zero it before the first pick. */
struct upstream_turn {
    uint64_t seed;                         /* 0: not begun; then the state of its draws */
    uint32_t last;                         /* whose turn it was, when all weights are equal */
    int32_t current[UPSTREAM_TARGETS_MAX]; /* how far behind its weight each target is */
};

/* Chooses a target and counts the request as in flight there. Targets whose bit is in `tried` are
 * chosen only when nothing else may be asked. `key` is for UPSTREAM_HASH and may be of any quality.
 * UPSTREAM_NO_TARGET: all are drained. Draws from `random` at a turn's first pick only. */
PC_CHECKED size_t upstream_pick(struct upstream_picker *picker, struct upstream_turn *turn,
                                struct random_batch *random, uint64_t key, uint64_t tried,
                                int64_t now_ns);

enum upstream_outcome {
    UPSTREAM_NEUTRAL = 0, /* our own refusal, a client that left: says nothing of the target */
    UPSTREAM_WELL,        /* answered; took_ns counts */
    UPSTREAM_FAILED,      /* refused, reset, timed out, or what the rules call a failure */
};

/* How it went, once for each pick. `took_ns` is read for UPSTREAM_WELL only: to the first byte of
 * the answer says more of the target than to the last, which a slow client delays. */
void upstream_settle(struct upstream_picker *picker, size_t target, enum upstream_outcome outcome,
                     int64_t took_ns, int64_t now_ns);

/* It answered, and the request goes on for long: what UPSTREAM_WELL says, before the settling,
 * which is then neutral. */
void upstream_answered(struct upstream_picker *picker, size_t target, int64_t took_ns,
                       int64_t now_ns);

/* The result of one active check. */
void upstream_checked(struct upstream_picker *picker, size_t target, bool well, int64_t now_ns);

/* New requests go elsewhere, those in flight come to their end. */
void upstream_drain(struct upstream_picker *picker, size_t target, bool drained);

/* As the settings say, unless an operator said something else. */
void upstream_drain_as_set(struct upstream_picker *picker, size_t target, bool drained);

/* By an operator: the same, and it stays so when the settings change, until the program ends. */
void upstream_hold(struct upstream_picker *picker, size_t target, bool drained);

/* For metrics and the admin. Looking changes nothing. */
struct upstream_target_state {
    bool down;     /* by checks */
    bool ejected;  /* and its time is not over */
    bool on_trial; /* its time is over, and one request decides */
    bool drained;
    bool absent;   /* no address has this place */
    bool starting; /* its share grows */
    bool held;     /* drained or not by an operator, whatever the settings say */
    uint32_t in_flight;
    int64_t latency_ns;        /* 0: not known */
    uint32_t ejections;        /* since the start; wraps */
    uint32_t recent_ejections; /* that are not forgotten */
};
struct upstream_target_state upstream_target_state(const struct upstream_picker *picker,
                                                   size_t target, int64_t now_ns);

size_t upstream_target_count(const struct upstream_picker *picker);

/* Would a pick at this moment ask them all, because too few are well? */
bool upstream_is_panicking(const struct upstream_picker *picker, int64_t now_ns);

/* Picks that were made in panic, since the start. */
uint64_t upstream_panic_picks(const struct upstream_picker *picker);

#endif
