/* SPDX-License-Identifier: MIT
 * How long the oldest row of the outbox has been waiting, by this node's own observation. What a
 * row says of its time is its writer's clock, and a node that is ahead of that one would find rows
 * late that have just come. Rows are numbered as they come, so it is enough to remember when which
 * number was the newest.
 *
 * What was there at the first look has its writer's word for its age: nobody here has seen it come.
 *
 * Threads: one at a time.    Memory: a plain value; zero is the beginning.
 * Units:   nanoseconds; `now` is monotonic. */
#ifndef PC_TRAIL_TRAIL_AGE_H
#define PC_TRAIL_TRAIL_AGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TRAIL_AGE_MARKS = 64 };

struct trail_age {
    bool begun;
    int64_t before;  /* the newest number at the first look */
    int64_t step_ns; /* between two marks, at least */
    size_t count;
    struct {
        int64_t number, seen_ns;
    } marks[TRAIL_AGE_MARKS]; /* both grow */
};

/* A look at the outbox: its oldest and newest number (both 0 when it is empty), and how old its
 * writer's clock makes the oldest. The age, too small by a look and a mark at the most. */
int64_t trail_age_look(struct trail_age *age, int64_t oldest, int64_t newest, int64_t claimed_ns,
                       int64_t now_ns);

#endif
