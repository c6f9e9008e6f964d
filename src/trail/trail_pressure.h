/* SPDX-License-Identifier: MIT
 * Whether the log takes events, and what is done while it does not: what would have to be
 * remembered is refused, and it is known since when, why and for how long.
 *
 * Two kinds of house:
 *  - the log is in the database of what it tells of. Then the store's own refusal is the bound, and
 *    this only says so;
 *  - the log has a database of its own. Then events wait in the outbox, and the bounds are here: so
 *    many events, and so long for the oldest.
 *
 *   well --- trouble, or past a bound ---> behind --- the log has taken the event of it ---> well
 *
 * Threads: any; reading costs a lock and no look at a database.
 * Memory:  trail_pressure_new / trail_pressure_free.
 * Units:   nanoseconds, since 1970 where a moment is meant.
 * Source:  docs/decisions/trail-outbox.md. */
#ifndef PC_TRAIL_TRAIL_PRESSURE_H
#define PC_TRAIL_TRAIL_PRESSURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

struct trail_pressure;

struct trail_pressure_options {
    const struct clock *clock; /* NULL: clock_system */
    struct logger *logger;     /* may be NULL */
    bool apart;                /* the log has a database of its own */
    size_t waiting_max;        /* events in the outbox */
    int64_t wait_ns_max;       /* of the oldest of them */
};

PC_CHECKED enum err trail_pressure_new(const struct trail_pressure_options *options,
                                       struct trail_pressure **ret);
void trail_pressure_free(struct trail_pressure *pressure); /* accepts NULL */

/* As others are told. */
struct trail_pressure_state {
    enum err err;      /* ERR_OK: the log takes events; else why it does not */
    bool refusing;     /* what would have to be remembered is refused */
    int64_t since_ns;  /* when that began; 0: all is well */
    size_t waiting;    /* events in the outbox; all nodes' */
    int64_t oldest_ns; /* since when the oldest of them has been there; 0: none waits */
    int64_t lag_ns;    /* how far the log is behind what happened: the age of that one */
    uint64_t refused;  /* commits that were refused here since the start */
    int64_t total_ns;  /* not well, since the start */
    int64_t ahead_ns;  /* the log's time is so far ahead of the clock here; 0: it is not */
};

void trail_pressure_read(struct trail_pressure *pressure, struct trail_pressure_state *ret);

/* ---- for those who keep it ----------------------------------------------------------------- */

/* Before so many events go into the outbox: ERR_AUDIT_BEHIND past the bounds. */
PC_CHECKED enum err trail_pressure_admit(struct trail_pressure *pressure, size_t count);

/* All events that were admitted here, also those whose commit failed after that. Taken before the
 * outbox is looked at, so that what comes meanwhile is counted on top. */
uint64_t trail_pressure_admitted(const struct trail_pressure *pressure);

/* Since when its oldest row has been waiting, by the clock here: see trail_age.h. Of its oldest and
 * newest number and what the oldest says of its time. One thread. */
int64_t trail_pressure_oldest(struct trail_pressure *pressure, int64_t oldest, int64_t newest,
                              int64_t at_ns);

/* What the outbox holds, and of how many that were admitted it may know. */
void trail_pressure_counted(struct trail_pressure *pressure, size_t waiting, int64_t oldest_ns,
                            uint64_t admitted);

/* The time of the log's newest event. It never goes back, so one node whose clock is wrong gives
 * its time to all events until the others' clocks are there. Logged when it begins and ends. */
void trail_pressure_head(struct trail_pressure *pressure, int64_t at_ns);

/* How the last carrying from the outbox to the log ended. */
void trail_pressure_carried(struct trail_pressure *pressure, enum err err);

/* A time of trouble, for the event that tells of it. */
struct trail_pressure_time {
    enum err err;
    int64_t since_ns, until_ns;
    int64_t refusing_ns; /* for how much of it writes were refused */
    uint64_t refused;    /* commits, here */
};

/* How the log's store does; asked a few times a second. True when a time of trouble is over but for
 * the telling: *ret is what is to be told. */
bool trail_pressure_note(struct trail_pressure *pressure, enum err err,
                         struct trail_pressure_time *ret);

/* It was told: all is well. */
void trail_pressure_told(struct trail_pressure *pressure);

#endif
