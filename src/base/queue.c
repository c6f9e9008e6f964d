/* SPDX-License-Identifier: MIT
 * One mutex, one condition, one list. Work behind this queue costs tens of microseconds and more
 * (disk, hashing), so a lock is not what it waits for. */
#include "base/queue.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "base/alloc.h"

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t filled; /* on CLOCK_MONOTONIC */
    struct queue_item *oldest;
    struct queue_item **newest; /* where the next one is linked */
    size_t count;
    size_t items_max;
    bool closed;
};

enum err queue_new(size_t items_max, struct queue **ret_queue)
{
    struct queue *queue = alloc_zero(sizeof(*queue));
    pthread_condattr_t attr;

    PC_ASSERT(items_max > 0);
    if (queue == NULL)
        return ERR_NO_MEMORY;
    PC_ASSERT(pthread_mutex_init(&queue->lock, NULL) == 0);
    PC_ASSERT(pthread_condattr_init(&attr) == 0);
    PC_ASSERT(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    PC_ASSERT(pthread_cond_init(&queue->filled, &attr) == 0);
    PC_ASSERT(pthread_condattr_destroy(&attr) == 0);
    queue->newest = &queue->oldest;
    queue->items_max = items_max;
    *ret_queue = queue;
    return ERR_OK;
}

void queue_free(struct queue *queue)
{
    if (queue == NULL)
        return;
    PC_ASSERT(queue->count == 0);
    (void)pthread_cond_destroy(&queue->filled);
    (void)pthread_mutex_destroy(&queue->lock);
    alloc_free(queue);
}

static void lock(struct queue *queue)
{
    PC_ASSERT(pthread_mutex_lock(&queue->lock) == 0);
}

static void unlock(struct queue *queue)
{
    PC_ASSERT(pthread_mutex_unlock(&queue->lock) == 0);
}

enum err queue_push(struct queue *queue, struct queue_item *item)
{
    enum err err = ERR_OK;

    lock(queue);
    if (queue->closed) {
        err = ERR_DRAINING;
    } else if (queue->count == queue->items_max) {
        err = ERR_BUSY;
    } else {
        item->next = NULL;
        *queue->newest = item;
        queue->newest = &item->next;
        queue->count++;
        PC_ASSERT(pthread_cond_signal(&queue->filled) == 0);
    }
    unlock(queue);
    return err;
}

static struct timespec deadline_after(int timeout_ms)
{
    struct timespec at;

    PC_ASSERT(clock_gettime(CLOCK_MONOTONIC, &at) == 0);
    at.tv_sec += timeout_ms / 1000;
    at.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_nsec -= 1000000000;
        at.tv_sec++;
    }
    return at;
}

/* With the lock held: returns when there is something, the queue is closed, or time is up. */
static void wait_filled(struct queue *queue, int timeout_ms)
{
    struct timespec deadline = {0};

    if (timeout_ms > 0)
        deadline = deadline_after(timeout_ms);
    while (queue->count == 0 && !queue->closed && timeout_ms != 0) {
        if (timeout_ms < 0)
            PC_ASSERT(pthread_cond_wait(&queue->filled, &queue->lock) == 0);
        else if (pthread_cond_timedwait(&queue->filled, &queue->lock, &deadline) == ETIMEDOUT)
            return;
    }
}

struct queue_item *queue_pop_many(struct queue *queue, size_t items_max, int timeout_ms)
{
    struct queue_item *first;
    struct queue_item *last;
    size_t taken = 0;

    PC_ASSERT(items_max > 0);
    lock(queue);
    wait_filled(queue, timeout_ms);
    first = last = queue->oldest;
    for (struct queue_item *i = first; i != NULL && taken < items_max; i = i->next) {
        last = i;
        taken++;
    }
    if (first != NULL) {
        queue->oldest = last->next;
        last->next = NULL;
        queue->count -= taken;
        if (queue->oldest == NULL)
            queue->newest = &queue->oldest;
    }
    unlock(queue);
    return first;
}

struct queue_item *queue_pop(struct queue *queue, int timeout_ms)
{
    return queue_pop_many(queue, 1, timeout_ms);
}

void queue_close(struct queue *queue)
{
    lock(queue);
    queue->closed = true;
    PC_ASSERT(pthread_cond_broadcast(&queue->filled) == 0);
    unlock(queue);
}

bool queue_is_closed(struct queue *queue)
{
    bool closed;

    lock(queue);
    closed = queue->closed;
    unlock(queue);
    return closed;
}

size_t queue_length(struct queue *queue)
{
    size_t count;

    lock(queue);
    count = queue->count;
    unlock(queue);
    return count;
}
