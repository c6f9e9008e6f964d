/* SPDX-License-Identifier: MIT
 * A bounded queue of jobs between threads. The job embeds its link, so queueing allocates nothing.
 * A full or closed queue refuses; nothing is ever dropped silently.
 *
 * Threads: any number of givers and takers.    Memory: queue_new / queue_free; jobs are the
 * caller's.    Units: items, milliseconds. */
#ifndef PC_BASE_QUEUE_H
#define PC_BASE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct queue;

struct queue_item {
    struct queue_item *next;
};

PC_CHECKED enum err queue_new(size_t items_max, struct queue **ret_queue);
void queue_free(struct queue *queue); /* must be empty; accepts NULL */

/* ERR_BUSY when full, ERR_DRAINING when closed. */
PC_CHECKED enum err queue_push(struct queue *queue, struct queue_item *item);

/* The oldest item; waits up to timeout_ms (-1: for ever). NULL on timeout, or when the queue is
 * closed and empty. */
struct queue_item *queue_pop(struct queue *queue, int timeout_ms);

/* Takes up to items_max at once, in order, linked through ->next; waits like queue_pop. NULL when
 * there is nothing. */
struct queue_item *queue_pop_many(struct queue *queue, size_t items_max, int timeout_ms);

/* Refuses new items and wakes every taker; what is queued is still handed out. */
void queue_close(struct queue *queue);
bool queue_is_closed(struct queue *queue);

size_t queue_length(struct queue *queue);

#endif
