/* SPDX-License-Identifier: MIT
 * What each line says by itself: the costly part, since every commitment and the leaf are hashed
 * again. Lines do not depend on each other here, so two threads take some in turn, and the one
 * whose processor others use as well takes fewer. */
#include <string.h>

#include "base/alloc.h"
#include "trail/trail_verify_priv.h"

enum { SOME_LINES = 64 };

/* The number that a line claims, also one that is wrong otherwise; -1: none. */
static int64_t seq_of(struct span line)
{
    static const struct span begin = SPAN("{\"seq\":");
    struct span rest = span_slice(line, begin.len, line.len);
    int64_t seq = -1;

    if (!span_starts(line, begin) || !span_to_i64(span_slice(rest, 0, span_find(rest, ',')), &seq))
        return -1;
    return seq < 0 ? -1 : seq;
}

static void line_do(struct trail_verify_line *line, char *room)
{
    struct trail_entry entry = {.seq = 0};
    struct trail_hash leaf;
    struct arena arena;
    enum err err;

    line->kind = VERIFY_OTHER;
    line->seq = -1;
    if (span_starts(line->text, SPAN_OF("{\"log\":")) ||
        span_starts(line->text, SPAN_OF("{\"checkpoint\":")))
        return;
    line->kind = VERIFY_WRONG;
    line->seq = seq_of(line->text);
    arena_init(&arena, room, VERIFY_WORK_BYTES, 0);
    err = trail_line_read(line->text, &arena, &entry);
    if (!err && entry.seq == INT64_MAX)
        err = ERR_BAD_REQUEST; /* no tree has that leaf */
    if (!err)
        err = trail_entry_leaf(&entry, &leaf);
    if (!err) {
        line->leaf = entry.leaf;
        line->at_ns = entry.at_ns;
        line->kind = memcmp(leaf.bytes, entry.leaf.bytes, sizeof(leaf.bytes)) == 0 ? VERIFY_GOOD
                                                                                   : VERIFY_CHANGED;
    }
    arena_reset(&arena);
}

static void lines_do(struct trail_verify_line *lines, size_t count, char *room)
{
    for (size_t i = 0; i < count; i++)
        line_do(&lines[i], room);
}

/* With the lock held, but not while looking at lines: until nobody has to begin one. */
static void lines_share(struct trail_verify_work *work, char *room)
{
    while (work->begun < work->count) {
        struct trail_verify_line *lines = work->lines + work->begun;
        size_t rest = work->count - work->begun;
        size_t some = rest < SOME_LINES ? rest : SOME_LINES;

        work->begun += some;
        PC_ASSERT(pthread_mutex_unlock(&work->lock) == 0);
        lines_do(lines, some, room);
        PC_ASSERT(pthread_mutex_lock(&work->lock) == 0);
    }
}

static void *work_thread(void *context)
{
    struct trail_verify_work *work = context;

    PC_ASSERT(pthread_mutex_lock(&work->lock) == 0);
    while (!work->stopping) {
        if (work->begun == work->count) {
            PC_ASSERT(pthread_cond_wait(&work->wake, &work->lock) == 0);
            continue;
        }
        work->busy = true;
        lines_share(work, work->room[1]);
        work->busy = false;
        PC_ASSERT(pthread_cond_broadcast(&work->wake) == 0);
    }
    PC_ASSERT(pthread_mutex_unlock(&work->lock) == 0);
    return NULL;
}

void trail_verify_work_do(struct trail_verify_work *work, struct trail_verify_line *lines,
                          size_t count)
{
    PC_ASSERT(pthread_mutex_lock(&work->lock) == 0);
    work->lines = lines;
    work->count = count;
    work->begun = 0;
    PC_ASSERT(pthread_cond_broadcast(&work->wake) == 0);
    lines_share(work, work->room[0]);
    while (work->busy)
        PC_ASSERT(pthread_cond_wait(&work->wake, &work->lock) == 0);
    PC_ASSERT(pthread_mutex_unlock(&work->lock) == 0);
}

enum err trail_verify_work_start(struct trail_verify_work *work)
{
    PC_ASSERT(pthread_mutex_init(&work->lock, NULL) == 0);
    PC_ASSERT(pthread_cond_init(&work->wake, NULL) == 0);
    for (size_t i = 0; i < PC_COUNT(work->room); i++) {
        work->room[i] = alloc_raw(VERIFY_WORK_BYTES);
        if (work->room[i] == NULL)
            return ERR_NO_MEMORY;
    }
    if (pthread_create(&work->thread, NULL, work_thread, work) != 0)
        return ERR_NO_MEMORY;
    work->started = true;
    return ERR_OK;
}

void trail_verify_work_stop(struct trail_verify_work *work)
{
    if (work->started) {
        PC_ASSERT(pthread_mutex_lock(&work->lock) == 0);
        work->stopping = true;
        PC_ASSERT(pthread_cond_broadcast(&work->wake) == 0);
        PC_ASSERT(pthread_mutex_unlock(&work->lock) == 0);
        PC_ASSERT(pthread_join(work->thread, NULL) == 0);
    }
    alloc_free(work->room[0]);
    alloc_free(work->room[1]);
    (void)pthread_cond_destroy(&work->wake);
    (void)pthread_mutex_destroy(&work->lock);
}
