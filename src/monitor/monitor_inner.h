/* SPDX-License-Identifier: MIT
 * The alerts that this node raises itself, kept in memory until the store has them: they can be
 * told at once, and above all while the store cannot be written.
 *
 *   (none) --found often enough--> firing --not found twice--> over --stored--> (none)
 *
 * Each is told to the store when it begins and when it is over, and once a minute between, so that
 * what somebody closed by hand comes again while its cause is there.
 *
 * Threads: any; one lock.    Memory: monitor_inner_new / monitor_inner_free.
 * Units:   nanoseconds since 1970, as a parameter. */
#ifndef PC_MONITOR_MONITOR_INNER_H
#define PC_MONITOR_MONITOR_INNER_H

#include "base/log.h"
#include "base/metric.h"
#include "monitor/monitor_alert.h"
#include "monitor/monitor_rules.h"

enum { MONITOR_INNER_MAX = 64, MONITOR_INNER_AGAIN_S = 60 };

struct monitor_inner;

PC_CHECKED enum err monitor_inner_new(struct logger *logger, struct metrics *metrics,
                                      struct monitor_inner **ret_inner);
void monitor_inner_free(struct monitor_inner *inner); /* accepts NULL */

/* One look: what was found begins or goes on, what was not is over. `scratch` is for texts. */
PC_CHECKED enum err monitor_inner_look(struct monitor_inner *inner,
                                       const struct monitor_findings *findings, int64_t now_ns,
                                       struct arena *scratch);

/* A row from before this start that is still firing: it is over unless it is found again. */
void monitor_inner_adopt(struct monitor_inner *inner, const struct monitor_alert *alert,
                         int64_t now_ns);

/* How many are firing, and how many of them are critical. */
void monitor_inner_tally(struct monitor_inner *inner, size_t *ret_firing, size_t *ret_critical);

/* Adds those that are firing and not among the rows up to `last_id`, which were counted already. */
void monitor_inner_tally_unread(struct monitor_inner *inner, int64_t last_id,
                                struct monitor_tally *tally);

/* What the store should be told now; and what came of it, by the same places. */
struct monitor_inner_telling {
    struct monitor_told told[MONITOR_INNER_MAX];
    int64_t ids[MONITOR_INNER_MAX]; /* the rows: known ones before, told ones after */
    size_t count;
};
PC_CHECKED enum err monitor_inner_untold(struct monitor_inner *inner, int64_t now_ns,
                                         struct arena *arena,
                                         struct monitor_inner_telling *ret_telling);
void monitor_inner_told(struct monitor_inner *inner, const struct monitor_inner_telling *telling,
                        int64_t now_ns);

/* Tells the store, inside a job. */
PC_CHECKED enum err monitor_inner_tell(struct store_conn *conn,
                                       struct monitor_inner_telling *telling, int64_t now_ns,
                                       struct arena *arena);

/* What only we know yet: alerts without a row (id 0), and those whose end has none (id of the row).
 * Copies in the arena, the newest first. */
PC_CHECKED enum err monitor_inner_unstored(struct monitor_inner *inner, struct arena *arena,
                                           struct monitor_alert **ret_list, size_t *ret_count);

#endif
