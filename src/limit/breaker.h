/* SPDX-License-Identifier: MIT
 * Circuit breaker: stops calling what keeps failing, and finds out carefully when it works again.
 *
 *            failures in a row, or the share of errors or
 *            slow calls in a window, reach the threshold    (breaker_report)
 *     CLOSED ------------------------------------------> OPEN
 *        ^                                               |  ^
 *        | successes reach successes_needed              |  | any probe fails
 *        | (breaker_report)       open_ns has passed     |  | (breaker_report)
 *        +----------------------- HALF_OPEN <------------+  |
 *                                   |   (breaker_admit)     |
 *                                   +-----------------------+
 *
 * Half-open lets at most `probes` calls run at once; a probe that is never reported is given up
 * after probe_ns. With `exact` it lets that many through and no more, all of which must succeed.
 * A ticket carries the generation of its state, so a report that arrives after a transition changes
 * nothing.
 *
 * Shares are taken of the calls that ended within the window while closed; fewer than calls_min of
 * them say nothing. A window begins empty when the breaker closes.
 *
 *   if (!breaker_admit(breaker, now_ns, &ticket, &retry_after_ns))
 *       return ERR_BREAKER_OPEN;
 *   …
 *   breaker_report(breaker, ticket, status < 500, now_ns);
 *
 * Threads: any, no lock; a closed, healthy breaker is only read, unless it has a window.
 * Memory: breaker_new / breaker_free.    Units: monotonic nanoseconds, kept in whole milliseconds.
 * Source: Nygard, "Release It!", 2nd ed., 5.2. */
#ifndef PC_LIMIT_BREAKER_H
#define PC_LIMIT_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum { BREAKER_PROBES_MAX = 8, BREAKER_CALLS_MIN_MAX = 10000 };

struct breaker;

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN, BREAKER_STATE_COUNT };

/* What a transition was made for. */
enum breaker_why {
    BREAKER_WHY_FAILURES,   /* in a row */
    BREAKER_WHY_ERROR_RATE, /* in the window */
    BREAKER_WHY_SLOW_RATE,
    BREAKER_WHY_TIME,         /* it was open long enough */
    BREAKER_WHY_PROBE_FAILED, /* or was slow, where that counts */
    BREAKER_WHY_PROBES_PASSED,
    BREAKER_WHY_COUNT
};

/* One transition. `number` counts this breaker's transitions from 1, so records of several threads
 * can be put in order. */
struct breaker_move {
    enum breaker_state from, to;
    enum breaker_why why;
    uint32_t number; /* wraps at 2^22 */
    int64_t now_ns;
};

/* Called once for each transition, by the thread that made it: for logs and counters. It must not
 * call the breaker. */
typedef void breaker_moved_fn(void *context, const struct breaker_move *move);

struct breaker_options {
    uint32_t failures;         /* in a row that open it; 0: 5 */
    int64_t open_ns;           /* 0: 60 s */
    uint32_t probes;           /* at once when half open, up to BREAKER_PROBES_MAX; 0: 1 */
    uint32_t successes_needed; /* probes that close it; 0: 1 */
    int64_t probe_ns;          /* after this a silent probe is given up; 0: 30 s */
    bool exact;                /* `probes` calls in all, each of which must succeed */
    int64_t window_ns;         /* of the shares below; 0: 10 s */
    uint32_t calls_min;        /* in the window, up to BREAKER_CALLS_MIN_MAX; 0: 20 */
    uint32_t error_percent;    /* of them, that opens it; 0: errors are not counted */
    uint32_t slow_percent;     /* the same of slow calls; 0: they are not counted */
    int64_t slow_ns;           /* a call that takes so long is slow; with slow_percent */
    breaker_moved_fn *moved;   /* may be NULL */
    void *context;
};

/* Permission for one call, to be handed to breaker_report or breaker_abandon exactly once. */
struct breaker_ticket {
    uint32_t generation;
    uint32_t probe; /* 0: none; else 1 + its place */
    int64_t until_ms;
};

PC_CHECKED enum err breaker_new(const struct breaker_options *options,
                                struct breaker **ret_breaker);
void breaker_free(struct breaker *breaker); /* accepts NULL */

/* Other thresholds from now on, while calls are under way; 0 as above. One that is open stays so
 * for the time that it was opened for. Not of an exact one. */
void breaker_adjust(struct breaker *breaker, uint32_t failures, int64_t open_ns, uint32_t probes);

/* True with *ret_ticket set, or false with *ret_retry_after_ns > 0. */
PC_CHECKED bool breaker_admit(struct breaker *breaker, int64_t now_ns,
                              struct breaker_ticket *ret_ticket, int64_t *ret_retry_after_ns);

/* How the call went. Only faults of what is called are failures (5xx, timeout, refused): never a
 * client's mistake and never our own refusal. */
void breaker_report(struct breaker *breaker, struct breaker_ticket ticket, bool ok, int64_t now_ns);

/* The same with how long it took; a call that can say nothing of that took 0. */
void breaker_report_timed(struct breaker *breaker, struct breaker_ticket ticket, bool ok,
                          int64_t took_ns, int64_t now_ns);

/* The call was never made, or its client left: counts for nothing. */
void breaker_abandon(struct breaker *breaker, struct breaker_ticket ticket);

/* As last decided: an open breaker whose time is over stays open until somebody asks to pass. */
enum breaker_state breaker_state(const struct breaker *breaker);

/* As it would be decided now: an open breaker whose time is over is half open, whether or not
 * somebody asks. For those who watch; it changes nothing. */
enum breaker_state breaker_state_at(const struct breaker *breaker, int64_t now_ns);

/* "closed", "open", "half_open": the X-Circuit-Breaker-State header. */
const char *breaker_state_name(enum breaker_state state);

/* "failures", "error_rate", "slow_rate", "time", "probe_failed", "probes_passed". */
const char *breaker_why_name(enum breaker_why why);

/* What the window holds now; zeros without one. */
struct breaker_sums {
    uint32_t calls, errors, slow;
};
struct breaker_sums breaker_sums(const struct breaker *breaker, int64_t now_ns);

/* When an open one may be tried, in this many nanoseconds; 0: it is not open, or may be. */
int64_t breaker_open_left_ns(const struct breaker *breaker, int64_t now_ns);

/* How often the state was entered since the start. */
uint64_t breaker_moves(const struct breaker *breaker, enum breaker_state into);

#endif
