/* SPDX-License-Identifier: MIT
 * What metric.c (counting) and metric_render.c (reading) share.
 *
 * A series owns METRIC_CELLS_MAX cells or fewer, numbered over the whole registry. Every thread has
 * its own block with all cells, so `blocks[slot]->cells[cell]` has one writer and needs no locked
 * instruction; only the block of THREAD_SHARED is written by several. A block is zeroed address
 * space: pages come as their cells are used. Cells change hands when nobody holds their series any
 * more: then no thread counts there, and whoever makes the next one of that metric zeroes them.
 *
 *   counter, gauge   one cell: what was added (a gauge's cell is a signed sum)
 *   histogram        a cell for each bound, one for +Inf, one for the sum in nanoseconds */
#ifndef PC_BASE_METRIC_PRIV_H
#define PC_BASE_METRIC_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/hash.h"
#include "base/metric.h"
#include "base/thread.h"

enum {
    METRIC_CELLS_MAX = METRIC_BOUNDS_MAX + 2,
    METRIC_CELLS_ALL = LIMIT_METRIC_SERIES_MAX * METRIC_CELLS_MAX,
    METRIC_INDEX_LENGTH = 1024, /* of the table that finds a series */
};

struct metric_series {
    struct metric *metric;
    struct metrics *metrics;
    enum metric_kind kind;
    struct metric_series *next;     /* of its metric, in order of making */
    struct metric_series *collides; /* in the index */
    uint32_t cell;                  /* its first */
    uint32_t holders;               /* under the registry's lock */
    uint32_t wanted;                /* looked up so often, and not held yet */
    uint64_t gone_at;               /* when the last holder let go: the registry's count */
    bool was_held;                  /* then it is printed only while somebody holds it */
    _Atomic int64_t base;           /* gauge: what was set; the cells come on top */
    metric_read_fn *read;           /* under the registry's lock */
    void *read_context;
    size_t labels_len;
    char labels[]; /* a="x",b="y" as it will be printed */
};

struct metric {
    struct metrics *metrics;
    struct metric *next;
    const struct metric_def *def;
    const int64_t *bounds_ns;
    size_t bound_count;
    size_t label_count;
    struct metric_series *first;
    struct metric_series **last;
};

struct metric_block {
    _Atomic uint64_t cells[METRIC_CELLS_ALL];
};

struct metrics {
    pthread_mutex_t lock; /* for everything but the cells */
    struct metric *first;
    struct metric **last;
    uint32_t series_count;
    uint32_t cells_used;
    uint64_t let_go_count;
    _Atomic uint64_t series_dropped;
    struct hash_key key;
    struct metric_series *index[METRIC_INDEX_LENGTH];
    _Atomic(struct metric_block *) blocks[THREAD_SLOTS_ALL];
};

/* Nobody holds it, though somebody did. */
static inline bool metric_is_gone(const struct metric_series *series)
{
    return series->was_held && series->holders == 0;
}

/* The sum of a cell over all threads. */
uint64_t metric_cell_sum(const struct metrics *metrics, uint32_t cell);

void metric_lock(struct metrics *metrics);
void metric_unlock(struct metrics *metrics);

/* The value with the lock held. */
int64_t metric_value_locked(const struct metric_series *series);

#endif
