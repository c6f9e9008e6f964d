/* SPDX-License-Identifier: MIT
 * For this folder only: a picker's memory, laid out by who writes what how often.
 *
 * One line of three masks, a bit for each target, is all that a pick reads of health while nobody
 * is away. Each target has one line that is written with each request, and one that is written
 * when something goes wrong. */
#ifndef PC_UPSTREAM_UPSTREAM_PRIV_H
#define PC_UPSTREAM_UPSTREAM_PRIV_H

#include <stdatomic.h>

#include "base/clock.h"
#include "upstream/upstream_pick.h"

enum { UPSTREAM_LINE_BYTES = 64 };

struct upstream_target {
    /* Written with each request. */
    _Alignas(UPSTREAM_LINE_BYTES) _Atomic uint32_t in_flight;
    _Atomic int64_t latency_ns; /* 0: not known */
    _Atomic int64_t seen_ns;    /* when latency_ns was written */
    /* Written when something goes wrong. */
    _Alignas(UPSTREAM_LINE_BYTES) _Atomic uint64_t health; /* upstream_health.c */
    _Atomic uint32_t checks;                               /* upstream_health.c */
    _Atomic uint32_t ejections;
    _Atomic int64_t back_ms; /* since when its share grows; 0: it is whole */
    _Atomic uint32_t held;   /* enum upstream_held */
    /* Written by the one thread that makes pickers. */
    unsigned pickers; /* that have it */
    void *block;
    size_t name_bytes;
    char name[];
};

/* What an operator said of a target while it runs. */
enum upstream_held { UPSTREAM_AS_SET = 0, UPSTREAM_HELD_OUT, UPSTREAM_HELD_IN };

/* Rules as they are kept: defaults filled in, times in milliseconds. */
struct upstream_rules_kept {
    uint32_t fails_max, panic_percent, rise, fall;
    uint32_t recent_max; /* with more ejections the time would not grow */
    uint64_t eject_ms, eject_most_ms, forget_ms;
    int64_t slow_start_ms; /* 0: none */
};

/* A place of the alias table: this target below the threshold, else the other. */
struct upstream_alias {
    uint32_t below;
    uint32_t other;
};

struct upstream_picker {
    /* Written when a target comes or goes. */
    _Alignas(UPSTREAM_LINE_BYTES) _Atomic uint64_t drained;
    _Atomic uint64_t down;
    _Atomic uint64_t ejected; /* on trial too */
    _Atomic uint64_t starting;
    _Atomic uint64_t absent; /* places of a name that no address has */
    uint64_t all;
    enum upstream_balance balance;
    bool weights_equal;
    bool grouped; /* one of each group is to be found first */
    uint32_t count;
    uint64_t *ring; /* of UPSTREAM_HASH: sorted places, the target in the lowest bits */
    size_t ring_count;
    /* Written in panic. */
    _Alignas(UPSTREAM_LINE_BYTES) _Atomic uint64_t panic_picks;
    /* Never written after the making. */
    _Alignas(UPSTREAM_LINE_BYTES) struct upstream_rules_kept rules;
    void *block;
    uint32_t group_count;
    uint64_t groups[UPSTREAM_TARGETS_MAX];      /* places of one name each */
    _Atomic uint64_t ids[UPSTREAM_TARGETS_MAX]; /* of the addresses in them */
    uint32_t weights[UPSTREAM_TARGETS_MAX];
    struct upstream_alias aliases[UPSTREAM_TARGETS_MAX];
    /* Shared with the pickers before and after it: what is known of a target outlives its row. */
    struct upstream_target *targets[UPSTREAM_TARGETS_MAX];
};

/* upstream_share.c */
PC_CHECKED enum err upstream_targets_take(struct upstream_picker *picker,
                                          const struct upstream_picker *former,
                                          const struct span *names, uint64_t lasting);
void upstream_targets_leave(struct upstream_picker *picker);

/* Whom a request may be given to. */
struct upstream_choice {
    uint64_t asked;
    uint64_t trials; /* those of `asked` that are ejected: upstream_trial comes before asking */
    bool panic;
};

static inline uint64_t upstream_bit(size_t target)
{
    return UINT64_C(1) << target;
}

struct upstream_rules_kept upstream_rules_keep(const struct upstream_health_rules *rules);

/* The choice while somebody is away. */
struct upstream_choice upstream_choice_now(const struct upstream_picker *picker, int64_t now_ns);

/* Takes the one trial of an ejected target for a request that is counted as in flight already, so
 * that who sees the trial out sees it in flight too. False: somebody else has it. */
bool upstream_trial(struct upstream_picker *picker, size_t target, int64_t now_ns);

/* How much of its share a target has that comes back, in parts of 2^32; all of it, and the end of
 * its slow start, when its time is over. */
uint64_t upstream_share_now(struct upstream_picker *picker, size_t target, int64_t now_ns);

PC_CHECKED enum err upstream_ring_new(const uint32_t *weights, const struct span *names,
                                      size_t count, uint64_t **ret_ring, size_t *ret_count);

/* The first of `asked`, which is not empty, at or after the key's place. */
size_t upstream_ring_find(const uint64_t *ring, size_t count, uint64_t key, uint64_t asked);

#endif
