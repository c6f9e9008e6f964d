/* SPDX-License-Identifier: MIT
 * audit_events_total{category,source}: the events that entered the log here, ours and those that
 * other programs gave in, each counted behind the commit it is in. Sources come from certificates,
 * so only so many get a series of their own; the others are "other". */
#include <pthread.h>
#include <string.h>

#include "base/metric.h"
#include "trail/trail_priv.h"

enum { SERIES_MAX = 128, SOURCE_BYTES_MAX = 64 };

static const struct metric_def counted_def = {.name = "audit_events_total",
                                              .help = "Events that entered the audit log here.",
                                              .kind = METRIC_COUNTER,
                                              .labels = {"category", "source"}};

/* A category and a source that came. */
struct counted {
    char category[SOURCE_BYTES_MAX], source[SOURCE_BYTES_MAX];
    size_t category_len, source_len;
    struct metric_series *series;
};

static struct {
    pthread_mutex_t lock;
    struct metric *metric; /* NULL: nobody counts */
    struct counted list[SERIES_MAX];
    size_t count;
} board = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void count_in(struct metric *metric)
{
    (void)pthread_mutex_lock(&board.lock);
    board.metric = metric;
    board.count = 0;
    (void)pthread_mutex_unlock(&board.lock);
}

enum err trail_count_in(struct metrics *metrics)
{
    struct metric *metric;
    enum err err = metric_register(metrics, &counted_def, &metric);

    if (err == ERR_OK)
        count_in(metric);
    return err;
}

void trail_count_stop(void)
{
    count_in(NULL);
}

static bool is_of(const struct counted *one, struct span category, struct span source)
{
    return span_equal(span_make(one->category, one->category_len), category) &&
           span_equal(span_make(one->source, one->source_len), source);
}

static struct metric_series *series_new(struct span category, struct span source)
{
    struct counted *one = &board.list[board.count];
    const struct span labels[] = {category, source};

    if (category.len > SOURCE_BYTES_MAX || source.len > SOURCE_BYTES_MAX)
        return NULL;
    memcpy(one->category, category.ptr, category.len);
    memcpy(one->source, source.ptr, source.len);
    one->category_len = category.len;
    one->source_len = source.len;
    one->series = metric_series(board.metric, labels, PC_COUNT(labels));
    board.count++;
    return one->series;
}

static struct metric_series *series_of(struct span category, struct span source)
{
    for (size_t i = 0; i < board.count; i++) {
        if (is_of(&board.list[i], category, source))
            return board.list[i].series;
    }
    if (board.count < SERIES_MAX && category.len > 0 && source.len > 0)
        return series_new(category, source);
    return metric_series(board.metric, (const struct span[]){category, SPAN_OF("other")}, 2);
}

void trail_count(const struct trail_entry *entries, size_t count)
{
    (void)pthread_mutex_lock(&board.lock);
    for (size_t i = 0; i < count && board.metric != NULL; i++)
        metric_add(series_of(entries[i].category, entries[i].source), 1);
    (void)pthread_mutex_unlock(&board.lock);
}
