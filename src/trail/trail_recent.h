/* SPDX-License-Identifier: MIT
 * The leaves that this program committed last, in memory: under load the keeper takes them from
 * here, and reads their rows when it is quieter. They are a short way and no more: what they lead
 * to is held against the head of the log, and where it is not that, the rows are read at once.
 *
 * Threads: any.    Memory: half a MiB, of which the pages are used that were written to. */
#ifndef PC_TRAIL_TRAIL_RECENT_H
#define PC_TRAIL_TRAIL_RECENT_H

#include "trail/trail_log.h"

enum { TRAIL_RECENT_LEAVES = 16 * 1024 };

/* Entries that were committed, one behind the other. Those that are not right behind the last ones
 * begin anew. */
void trail_recent_add(const struct trail_entry *entries, size_t count);

/* The leaves from `from` on, but none from `to` on; returns how many there are. */
PC_CHECKED size_t trail_recent_take(uint64_t from, uint64_t to, struct trail_hash *ret);

#endif
