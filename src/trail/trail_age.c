/* SPDX-License-Identifier: MIT
 * Marks of when the outbox had come to which number. A mark that no row in it needs any more goes;
 * when they are too many every second one does, and from then on they are made half as often. */
#include "trail/trail_age.h"

/* Those of rows that have left the outbox. */
static void forget(struct trail_age *age, int64_t oldest)
{
    size_t gone = 0;

    while (gone < age->count && age->marks[gone].number < oldest)
        gone++;
    for (size_t i = gone; i < age->count; i++)
        age->marks[i - gone] = age->marks[i];
    age->count -= gone;
    if (age->count == 0)
        age->step_ns = 0;
}

static void thin_out(struct trail_age *age, int64_t now_ns)
{
    for (size_t i = 0; i < TRAIL_AGE_MARKS / 2; i++)
        age->marks[i] = age->marks[2 * i]; /* a row whose mark goes has the next one's: too young */
    age->count = TRAIL_AGE_MARKS / 2;
    age->step_ns = (now_ns - age->marks[0].seen_ns) / (TRAIL_AGE_MARKS / 2);
}

static void mark(struct trail_age *age, int64_t newest, int64_t now_ns)
{
    if (age->count > 0 && (age->marks[age->count - 1].number >= newest ||
                           now_ns - age->marks[age->count - 1].seen_ns < age->step_ns))
        return;
    if (age->count == TRAIL_AGE_MARKS)
        thin_out(age, now_ns);
    age->marks[age->count].number = newest;
    age->marks[age->count].seen_ns = now_ns;
    age->count++;
}

int64_t trail_age_look(struct trail_age *age, int64_t oldest, int64_t newest, int64_t claimed_ns,
                       int64_t now_ns)
{
    if (!age->begun)
        age->before = newest;
    age->begun = true;
    forget(age, newest > 0 ? oldest : INT64_MAX);
    if (newest == 0)
        return 0;
    mark(age, newest, now_ns);
    if (oldest <= age->before)
        return claimed_ns > 0 ? claimed_ns : 0;
    for (size_t i = 0; i < age->count; i++) {
        if (age->marks[i].number >= oldest)
            return now_ns - age->marks[i].seen_ns;
    }
    return 0;
}
