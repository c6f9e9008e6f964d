/* SPDX-License-Identifier: MIT
 * The registry as numbers. See metric_priv.h for the cells. */
#include "base/metric_read.h"

#include <string.h>

#include "base/metric_priv.h"

static void read_histogram(const struct metric_series *series, struct metric_sample *sample)
{
    const struct metric *metric = series->metric;
    uint32_t sum_cell = series->cell + (uint32_t)metric->bound_count + 1;

    sample->bounds_ns = metric->bounds_ns;
    sample->bound_count = metric->bound_count;
    for (uint32_t i = 0; i <= metric->bound_count; i++) {
        sample->buckets[i] = metric_cell_sum(metric->metrics, series->cell + i);
        sample->value += (int64_t)sample->buckets[i];
    }
    sample->sum_ns = metric_cell_sum(metric->metrics, sum_cell);
}

void metric_samples(struct metrics *metrics, const char *name, metric_sample_fn *each,
                    void *context)
{
    const struct metric *metric;

    if (metrics == NULL)
        return;
    metric_lock(metrics);
    metric = metrics->first;
    while (metric != NULL && strcmp(metric->def->name, name) != 0)
        metric = metric->next;
    for (const struct metric_series *i = metric ? metric->first : NULL; i != NULL; i = i->next) {
        struct metric_sample sample = {.labels = span_make(i->labels, i->labels_len),
                                       .is_gone = metric_is_gone(i)};

        if (metric->def->kind == METRIC_HISTOGRAM)
            read_histogram(i, &sample);
        else
            sample.value = metric_value_locked(i);
        each(context, &sample);
    }
    metric_unlock(metrics);
}

/* The end of a printed value: the quote that no backslash stands before. */
static size_t value_end(struct span text)
{
    size_t at = 0;

    while (at < text.len && text.ptr[at] != '"')
        at += text.ptr[at] == '\\' ? 2 : 1;
    return at < text.len ? at : text.len;
}

struct span metric_sample_label(const struct metric_sample *sample, const char *name)
{
    struct span rest = sample->labels;

    while (rest.len > 0) {
        size_t equals = span_find(rest, '=');
        struct span label = span_slice(rest, 0, equals);
        struct span value = span_slice(rest, equals + 2, rest.len); /* behind =" */
        size_t end = value_end(value);

        if (span_is(label, name))
            return span_slice(value, 0, end);
        rest = span_slice(value, end + 2, value.len); /* behind ", */
    }
    return (struct span){0};
}

/* whole * part / of, where part <= of, without leaving 64 bits. */
static int64_t share(uint64_t whole, uint64_t part, uint64_t of)
{
    return (int64_t)(whole / of * part + whole % of * part / of);
}

int64_t metric_quantile_ns(const int64_t *bounds_ns, size_t bound_count, const uint64_t *buckets,
                           uint32_t permille)
{
    uint64_t count = 0, below = 0, rank;
    size_t i = 0;
    int64_t from;

    PC_ASSERT(bound_count > 0 && permille <= 1000);
    for (size_t j = 0; j <= bound_count; j++)
        count += buckets[j];
    if (count == 0)
        return 0;
    rank = (count * permille + 999) / 1000;
    rank = rank > 0 ? rank : 1;
    while (below + buckets[i] < rank)
        below += buckets[i++];
    if (i == bound_count)
        return bounds_ns[bound_count - 1];
    from = i > 0 ? bounds_ns[i - 1] : 0;
    return from + share((uint64_t)(bounds_ns[i] - from), rank - below, buckets[i]);
}
