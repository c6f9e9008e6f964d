/* SPDX-License-Identifier: MIT
 * The metrics registry: making metrics and series, and counting. metric_priv.h draws the cells. */
#include "base/metric.h"

#include <string.h>

#include "base/alloc.h"
#include "base/metric_priv.h"

/* Request durations: 0.5 ms to 10 s. */
static const int64_t bounds_default[METRIC_BOUNDS_MAX] = {
    500000,    1000000,   2500000,   5000000,    10000000,   25000000,   50000000,
    100000000, 250000000, 500000000, 1000000000, 2500000000, 5000000000, 10000000000};

/* The text of a series' labels: every name, quotes, and values of which each byte may be escaped.
 */
enum { LABELS_BYTES_MAX = METRIC_LABELS_MAX * (64 + 4 + 3 * LIMIT_METRIC_LABEL_BYTES_MAX) };

static const struct metric_def series_dropped_def = {
    .name = "portcullis_metric_series_dropped_total",
    .help = "Metric series refused because the registry was full.",
    .kind = METRIC_COUNTER};

void metric_lock(struct metrics *metrics)
{
    PC_ASSERT(pthread_mutex_lock(&metrics->lock) == 0);
}

void metric_unlock(struct metrics *metrics)
{
    PC_ASSERT(pthread_mutex_unlock(&metrics->lock) == 0);
}

static int64_t read_series_dropped(void *metrics)
{
    return (int64_t)atomic_load(&((struct metrics *)metrics)->series_dropped);
}

enum err metrics_new(struct metrics **ret_metrics)
{
    struct metrics *metrics = alloc_zero(sizeof(*metrics));
    struct metric_series *dropped;
    struct metric *metric;

    if (metrics == NULL)
        return ERR_NO_MEMORY;
    PC_ASSERT(pthread_mutex_init(&metrics->lock, NULL) == 0);
    metrics->last = &metrics->first;
    metrics->key = hash_key_new(&random_system);
    if (metric_register(metrics, &series_dropped_def, &metric) != ERR_OK ||
        (dropped = metric_only(metric)) == NULL) {
        metrics_free(metrics);
        return ERR_NO_MEMORY;
    }
    metric_callback(dropped, read_series_dropped, metrics);
    *ret_metrics = metrics;
    return ERR_OK;
}

static void metric_free(struct metric *metric)
{
    while (metric->first != NULL) {
        struct metric_series *next = metric->first->next;

        alloc_free(metric->first);
        metric->first = next;
    }
    alloc_free(metric);
}

void metrics_free(struct metrics *metrics)
{
    if (metrics == NULL)
        return;
    while (metrics->first != NULL) {
        struct metric *next = metrics->first->next;

        metric_free(metrics->first);
        metrics->first = next;
    }
    for (size_t i = 0; i < THREAD_SLOTS_ALL; i++)
        alloc_free(atomic_load(&metrics->blocks[i]));
    (void)pthread_mutex_destroy(&metrics->lock);
    alloc_free(metrics);
}

static bool name_is_valid(const char *name)
{
    for (size_t i = 0; name[i] != '\0'; i++) {
        char c = span_lower_char(name[i]);
        bool letter = (c >= 'a' && c <= 'z') || c == '_' || c == ':';

        if (!letter && (i == 0 || c < '0' || c > '9'))
            return false;
    }
    return name[0] != '\0' && strlen(name) <= 64;
}

static struct metric *metric_make(struct metrics *metrics, const struct metric_def *def)
{
    struct metric *metric = alloc_zero(sizeof(*metric));

    if (metric == NULL)
        return NULL;
    metric->metrics = metrics;
    metric->def = def;
    metric->last = &metric->first;
    while (metric->label_count < METRIC_LABELS_MAX && def->labels[metric->label_count] != NULL)
        PC_ASSERT(name_is_valid(def->labels[metric->label_count++]));
    if (def->kind != METRIC_HISTOGRAM)
        return metric;

    metric->bounds_ns = def->bounds_ns[0] != 0 ? def->bounds_ns : bounds_default;
    while (metric->bound_count < METRIC_BOUNDS_MAX && metric->bounds_ns[metric->bound_count] > 0) {
        size_t i = metric->bound_count++;

        PC_ASSERT(i == 0 || metric->bounds_ns[i] > metric->bounds_ns[i - 1]);
    }
    return metric;
}

enum err metric_register(struct metrics *metrics, const struct metric_def *def,
                         struct metric **ret_metric)
{
    struct metric *metric;
    enum err err = ERR_OK;

    if (metrics == NULL) {
        *ret_metric = NULL;
        return ERR_OK;
    }
    PC_ASSERT(name_is_valid(def->name));
    metric_lock(metrics);
    metric = metrics->first;
    while (metric != NULL && strcmp(metric->def->name, def->name) != 0)
        metric = metric->next;
    if (metric != NULL && metric->def != def)
        err = ERR_TAKEN;
    if (metric == NULL) {
        metric = metric_make(metrics, def);
        if (metric == NULL) {
            err = ERR_NO_MEMORY;
        } else {
            *metrics->last = metric;
            metrics->last = &metric->next;
        }
    }
    metric_unlock(metrics);
    if (err == ERR_OK)
        *ret_metric = metric;
    return err;
}

/* The value as the text format wants it: at most LIMIT_METRIC_LABEL_BYTES_MAX bytes of UTF-8 with
 * backslash, quote and newline escaped; what is not UTF-8 has each odd byte replaced by '?'. */
static void add_label_value(struct sbuf *out, struct span value)
{
    bool utf8;

    if (value.len > LIMIT_METRIC_LABEL_BYTES_MAX) {
        value.len = LIMIT_METRIC_LABEL_BYTES_MAX;
        while (value.len > 0 && ((unsigned char)value.ptr[value.len] & 0xC0) == 0x80)
            value.len--;
    }
    utf8 = span_is_utf8(value);
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];

        if (c == '\\' || c == '"')
            sbuf_add_char(out, '\\');
        if (c == '\n')
            sbuf_add_lit(out, "\\n");
        else
            sbuf_add_char(out, !utf8 && (c & 0x80) != 0 ? '?' : c);
    }
}

static void add_labels(struct sbuf *out, const struct metric *metric, const struct span *values)
{
    for (size_t i = 0; i < metric->label_count; i++) {
        if (i > 0)
            sbuf_add_char(out, ',');
        sbuf_add_text(out, metric->def->labels[i]);
        sbuf_add_lit(out, "=\"");
        add_label_value(out, values[i]);
        sbuf_add_char(out, '"');
    }
    PC_ASSERT(!out->full);
}

static uint32_t cells_of(const struct metric *metric)
{
    return metric->def->kind == METRIC_HISTOGRAM ? (uint32_t)metric->bound_count + 2 : 1;
}

/* The place of a series in the index, or where its chain ends. */
static struct metric_series **index_at(struct metric *metric, struct span labels)
{
    struct metrics *metrics = metric->metrics;
    uint64_t hash = hash_span(&metrics->key, labels) ^ (uintptr_t)metric;
    struct metric_series **at = &metrics->index[hash % METRIC_INDEX_LENGTH];

    while (*at != NULL && ((*at)->metric != metric ||
                           !span_equal(span_make((*at)->labels, (*at)->labels_len), labels)))
        at = &(*at)->collides;
    return at;
}

/* Where the metric's list names the series that is gone for longest, if it is to make room: NULL
 * while few are gone and the registry has room. */
static struct metric_series **find_room(struct metric *metric)
{
    struct metric_series **oldest = NULL;
    size_t gone = 0;

    for (struct metric_series **at = &metric->first; *at != NULL; at = &(*at)->next) {
        if (!metric_is_gone(*at) || (*at)->wanted > 0 || (*at)->read != NULL)
            continue;
        gone++;
        if (oldest == NULL || (*at)->gone_at < (*oldest)->gone_at)
            oldest = at;
    }
    return gone > LIMIT_METRIC_GONE_MAX || metric->metrics->series_count == LIMIT_METRIC_SERIES_MAX
               ? oldest
               : NULL;
}

/* No thread counts in these cells: who held the series has let go, and told the others so. */
static void cells_clear(struct metrics *metrics, uint32_t first, uint32_t count)
{
    for (size_t i = 0; i < THREAD_SLOTS_ALL; i++) {
        struct metric_block *block =
            atomic_load_explicit(&metrics->blocks[i], memory_order_acquire);

        for (uint32_t cell = first; block != NULL && cell < first + count; cell++)
            atomic_store_explicit(&block->cells[cell], 0, memory_order_relaxed);
    }
}

/* In the place of one that is gone, with its cells; the order of the others stays. */
static void take_place(struct metric_series **at, struct metric_series *series)
{
    struct metric_series *gone = *at;
    struct metric *metric = series->metric;
    struct metric_series **index = index_at(metric, span_make(gone->labels, gone->labels_len));

    PC_ASSERT(*index == gone);
    *index = gone->collides;
    series->cell = gone->cell;
    cells_clear(metric->metrics, gone->cell, cells_of(metric));
    series->next = gone->next;
    *at = series;
    if (metric->last == &gone->next)
        metric->last = &series->next;
    alloc_free(gone);
}

static void take_new_place(struct metric_series *series)
{
    struct metric *metric = series->metric;
    struct metrics *metrics = metric->metrics;

    series->cell = metrics->cells_used;
    metrics->series_count++;
    metrics->cells_used += cells_of(metric);
    *metric->last = series;
    metric->last = &series->next;
}

static struct metric_series *series_make(struct metric *metric, struct span labels)
{
    struct metric_series **room = find_room(metric);
    struct metric_series *series;

    if (room == NULL && metric->metrics->series_count == LIMIT_METRIC_SERIES_MAX)
        return NULL;
    series = alloc_zero(sizeof(*series) + labels.len + 1);
    if (series == NULL)
        return NULL;
    series->metric = metric;
    series->metrics = metric->metrics;
    series->kind = metric->def->kind;
    series->labels_len = labels.len;
    if (labels.len > 0)
        memcpy(series->labels, labels.ptr, labels.len);
    if (room != NULL)
        take_place(room, series);
    else
        take_new_place(series);
    return series;
}

static struct metric_series *series_find_or_make(struct metric *metric, struct span labels)
{
    struct metric_series *series = *index_at(metric, labels);

    if (series == NULL) {
        series = series_make(metric, labels);
        if (series != NULL)
            *index_at(metric, labels) = series;
    }
    if (series != NULL && series->wanted < UINT32_MAX)
        series->wanted++;
    return series;
}

struct metric_series *metric_series(struct metric *metric, const struct span *values, size_t count)
{
    char text[LABELS_BYTES_MAX];
    struct sbuf labels = sbuf_over(text, sizeof(text));
    struct metric_series *series;

    if (metric == NULL)
        return NULL;
    PC_ASSERT(count == metric->label_count);
    add_labels(&labels, metric, values);
    metric_lock(metric->metrics);
    series = series_find_or_make(metric, sbuf_span(&labels));
    metric_unlock(metric->metrics);
    if (series == NULL)
        (void)atomic_fetch_add_explicit(&metric->metrics->series_dropped, 1, memory_order_relaxed);
    return series;
}

void metric_hold(struct metric_series *series)
{
    if (series == NULL)
        return;
    metric_lock(series->metrics);
    series->holders++;
    series->wanted -= series->wanted > 0 ? 1 : 0;
    series->was_held = true;
    metric_unlock(series->metrics);
}

void metric_let_go(struct metric_series *series)
{
    if (series == NULL)
        return;
    metric_lock(series->metrics);
    PC_ASSERT(series->holders > 0);
    series->holders--;
    series->gone_at = ++series->metrics->let_go_count;
    metric_unlock(series->metrics);
}

/* This thread's block; NULL when there is no memory for it, and then nothing is counted. */
static struct metric_block *block_make(struct metrics *metrics, unsigned slot)
{
    struct metric_block *block = alloc_zero(sizeof(*block));
    struct metric_block *other = NULL;

    if (block == NULL)
        return NULL;
    if (atomic_compare_exchange_strong(&metrics->blocks[slot], &other, block))
        return block;
    alloc_free(block); /* another thread of the shared slot was first */
    return other;
}

static void cell_add(struct metrics *metrics, uint32_t cell, uint64_t n)
{
    unsigned slot = thread_slot();
    struct metric_block *block = atomic_load_explicit(&metrics->blocks[slot], memory_order_acquire);
    uint64_t now;

    if (PC_UNLIKELY(block == NULL)) {
        block = block_make(metrics, slot);
        if (block == NULL)
            return;
    }
    if (PC_UNLIKELY(slot == THREAD_SHARED)) {
        (void)atomic_fetch_add_explicit(&block->cells[cell], n, memory_order_relaxed);
        return;
    }
    now = atomic_load_explicit(&block->cells[cell], memory_order_relaxed);
    atomic_store_explicit(&block->cells[cell], now + n, memory_order_relaxed);
}

void metric_add(struct metric_series *series, uint64_t n)
{
    if (series == NULL)
        return;
    PC_ASSERT(series->kind == METRIC_COUNTER);
    cell_add(series->metrics, series->cell, n);
}

void metric_move(struct metric_series *series, int64_t delta)
{
    if (series == NULL)
        return;
    PC_ASSERT(series->kind == METRIC_GAUGE);
    cell_add(series->metrics, series->cell, (uint64_t)delta);
}

void metric_set(struct metric_series *series, int64_t value)
{
    if (series == NULL)
        return;
    PC_ASSERT(series->kind == METRIC_GAUGE);
    atomic_store_explicit(&series->base, value, memory_order_relaxed);
}

void metric_observe_ns(struct metric_series *series, int64_t ns)
{
    const struct metric *metric;
    uint32_t bucket = 0;

    if (series == NULL)
        return;
    metric = series->metric;
    PC_ASSERT(series->kind == METRIC_HISTOGRAM);
    if (ns < 0)
        ns = 0;
    while (bucket < metric->bound_count && ns > metric->bounds_ns[bucket])
        bucket++;
    cell_add(series->metrics, series->cell + bucket, 1);
    cell_add(series->metrics, series->cell + (uint32_t)metric->bound_count + 1, (uint64_t)ns);
}

void metric_callback(struct metric_series *series, metric_read_fn *read, void *context)
{
    if (series == NULL)
        return;
    PC_ASSERT(series->kind != METRIC_HISTOGRAM);
    metric_lock(series->metrics);
    series->read = read;
    series->read_context = context;
    metric_unlock(series->metrics);
}

void metric_callback_end(struct metric_series *series, const void *context)
{
    if (series == NULL)
        return;
    metric_lock(series->metrics);
    if (series->read_context == context) {
        series->read = NULL;
        series->read_context = NULL;
    }
    metric_unlock(series->metrics);
}
