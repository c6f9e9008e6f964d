/* SPDX-License-Identifier: MIT
 * Two who take parts of one list. All they share is behind the lock, which is held for a look and
 * never while hashing. */
#include "trail/trail_hasher.h"

#include <sched.h>

#include "trail/trail_priv.h"

static void lock(struct trail_hasher *hasher)
{
    PC_ASSERT(pthread_mutex_lock(&hasher->lock) == 0);
}

static void unlock(struct trail_hasher *hasher)
{
    PC_ASSERT(pthread_mutex_unlock(&hasher->lock) == 0);
}

/* ---- a part ------------------------------------------------------------------------------------
 */

static enum err leaves_make(struct trail_entry *entries, size_t count)
{
    enum err err = ERR_OK;

    for (size_t i = 0; i < count && err == ERR_OK; i++)
        err = trail_entry_leaf(&entries[i], &entries[i].leaf);
    return err;
}

/* The next part that nobody has begun, made without the lock, which is held before and behind. */
static void part_make(struct trail_hasher *hasher)
{
    size_t part = hasher->begun++;
    size_t from = part * TRAIL_HASHER_PART;
    size_t rest = hasher->count - from;
    struct trail_entry *entries = hasher->entries + from;
    enum err err;

    unlock(hasher);
    err = leaves_make(entries, rest < TRAIL_HASHER_PART ? rest : TRAIL_HASHER_PART);
    lock(hasher);
    hasher->err = hasher->err ? hasher->err : err;
    hasher->done[part] = true;
    hasher->over++;
}

/* ---- the thread --------------------------------------------------------------------------------
 */

static void *hasher_thread(void *context)
{
    struct trail_hasher *hasher = context;

    lock(hasher);
    while (!hasher->stopping) {
        if (hasher->begun < hasher->parts) {
            part_make(hasher);
            if (hasher->waiting)
                PC_ASSERT(pthread_cond_signal(&hasher->made) == 0);
            continue;
        }
        hasher->idle = true;
        PC_ASSERT(pthread_cond_wait(&hasher->wanted, &hasher->lock) == 0);
        hasher->idle = false;
    }
    unlock(hasher);
    return NULL;
}

static bool has_processors(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 1;
}

/* Once; without it the writer makes all leaves, as it does for small commits. */
static void thread_start(struct trail_hasher *hasher)
{
    if (hasher->tried)
        return;
    hasher->tried = true;
    if (!has_processors() || pthread_create(&hasher->thread, NULL, hasher_thread, hasher) != 0)
        return;
    (void)pthread_setname_np(hasher->thread, "log leaves");
    hasher->runs = true;
}

/* ---- the writer --------------------------------------------------------------------------------
 */

void trail_hasher_init(struct trail_hasher *hasher)
{
    *hasher = (struct trail_hasher){.count = 0};
    PC_ASSERT(pthread_mutex_init(&hasher->lock, NULL) == 0);
    PC_ASSERT(pthread_cond_init(&hasher->wanted, NULL) == 0);
    PC_ASSERT(pthread_cond_init(&hasher->made, NULL) == 0);
}

void trail_hasher_free(struct trail_hasher *hasher)
{
    if (hasher->runs) {
        lock(hasher);
        hasher->stopping = true;
        PC_ASSERT(pthread_cond_signal(&hasher->wanted) == 0);
        unlock(hasher);
        PC_ASSERT(pthread_join(hasher->thread, NULL) == 0);
    }
    PC_ASSERT(pthread_cond_destroy(&hasher->made) == 0);
    PC_ASSERT(pthread_cond_destroy(&hasher->wanted) == 0);
    PC_ASSERT(pthread_mutex_destroy(&hasher->lock) == 0);
}

void trail_hasher_begin(struct trail_hasher *hasher, struct trail_entry *entries, size_t count)
{
    size_t parts = (count + TRAIL_HASHER_PART - 1) / TRAIL_HASHER_PART;
    bool is_many = count > TRAIL_HASHER_FEW;
    bool wakes;

    if (is_many)
        thread_start(hasher);
    lock(hasher);
    hasher->entries = entries;
    hasher->count = count;
    hasher->parts = parts < TRAIL_HASHER_PARTS ? parts : TRAIL_HASHER_PARTS;
    hasher->begun = hasher->over = 0;
    hasher->err = ERR_OK;
    memset(hasher->done, 0, hasher->parts * sizeof(hasher->done[0]));
    wakes = is_many && hasher->runs && hasher->idle;
    unlock(hasher);
    if (wakes)
        PC_ASSERT(pthread_cond_signal(&hasher->wanted) == 0);
}

/* How many from `from` on are complete, of those that the two share. */
static size_t complete(const struct trail_hasher *hasher, size_t from, size_t most)
{
    size_t part = from / TRAIL_HASHER_PART;
    size_t end;

    while (part < hasher->parts && part * TRAIL_HASHER_PART < from + most && hasher->done[part])
        part++;
    end = part * TRAIL_HASHER_PART < hasher->count ? part * TRAIL_HASHER_PART : hasher->count;
    if (end <= from)
        return 0;
    return end - from < most ? end - from : most;
}

enum err trail_hasher_some(struct trail_hasher *hasher, size_t from, size_t most, size_t *ret_some)
{
    enum err err;

    PC_ASSERT(most > 0 && from + most <= hasher->count);
    if (from >= (size_t)TRAIL_HASHER_PARTS * TRAIL_HASHER_PART) {
        *ret_some = most;
        return leaves_make(hasher->entries + from, most);
    }
    lock(hasher);
    while ((*ret_some = complete(hasher, from, most)) == 0) {
        if (hasher->begun < hasher->parts) {
            part_make(hasher);
            continue;
        }
        hasher->waiting = true;
        PC_ASSERT(pthread_cond_wait(&hasher->made, &hasher->lock) == 0);
        hasher->waiting = false;
    }
    err = hasher->err;
    unlock(hasher);
    return err;
}

void trail_hasher_end(struct trail_hasher *hasher)
{
    lock(hasher);
    hasher->parts = hasher->begun; /* what nobody has begun stays so */
    while (hasher->over < hasher->begun) {
        hasher->waiting = true;
        PC_ASSERT(pthread_cond_wait(&hasher->made, &hasher->lock) == 0);
        hasher->waiting = false;
    }
    unlock(hasher);
}
