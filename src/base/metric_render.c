/* SPDX-License-Identifier: MIT
 * Reads the registry: sums the threads' cells and prints the Prometheus text format 0.0.4. Integers
 * only: a duration is printed in seconds from its nanoseconds, exactly. Counting goes on meanwhile,
 * so two lines may be some additions apart; a histogram's count is made from its buckets and always
 * agrees with them. */
#include "base/metric_priv.h"

uint64_t metric_cell_sum(const struct metrics *metrics, uint32_t cell)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < THREAD_SLOTS_ALL; i++) {
        struct metric_block *block =
            atomic_load_explicit(&metrics->blocks[i], memory_order_acquire);

        if (block != NULL)
            sum += atomic_load_explicit(&block->cells[cell], memory_order_relaxed);
    }
    return sum;
}

int64_t metric_value_locked(const struct metric_series *series)
{
    const struct metric *metric = series->metric;
    uint64_t sum = 0;

    if (series->read != NULL)
        return series->read(series->read_context);
    if (metric->def->kind != METRIC_HISTOGRAM)
        return (int64_t)((uint64_t)atomic_load_explicit(&series->base, memory_order_relaxed) +
                         metric_cell_sum(metric->metrics, series->cell));
    for (uint32_t i = 0; i <= metric->bound_count; i++)
        sum += metric_cell_sum(metric->metrics, series->cell + i);
    return (int64_t)sum;
}

int64_t metric_value(struct metric_series *series)
{
    int64_t value;

    if (series == NULL)
        return 0;
    metric_lock(series->metric->metrics);
    value = metric_value_locked(series);
    metric_unlock(series->metric->metrics);
    return value;
}

/* Seconds with as many decimals as it takes: 500000 ns is 0.0005. */
static void add_seconds(struct sbuf *out, uint64_t ns)
{
    char digits[9];
    size_t length = sizeof(digits);
    uint64_t rest = ns % 1000000000;

    for (size_t i = sizeof(digits); i > 0; i--) {
        digits[i - 1] = (char)('0' + rest % 10);
        rest /= 10;
    }
    while (length > 0 && digits[length - 1] == '0')
        length--;
    sbuf_add_u64(out, ns / 1000000000);
    if (length > 0) {
        sbuf_add_char(out, '.');
        sbuf_add_bytes(out, digits, length);
    }
}

/* HELP escapes backslash and newline only. */
static void add_help(struct sbuf *out, const char *help)
{
    for (; *help != '\0'; help++) {
        if (*help == '\\')
            sbuf_add_lit(out, "\\\\");
        else if (*help == '\n')
            sbuf_add_lit(out, "\\n");
        else
            sbuf_add_char(out, *help);
    }
}

static void add_heading(struct sbuf *out, const struct metric_def *def)
{
    static const char *const kinds[] = {
        [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};

    sbuf_add_lit(out, "# HELP ");
    sbuf_add_text(out, def->name);
    sbuf_add_char(out, ' ');
    add_help(out, def->help);
    sbuf_add_lit(out, "\n# TYPE ");
    sbuf_add_text(out, def->name);
    sbuf_add_char(out, ' ');
    sbuf_add_text(out, kinds[def->kind]);
    sbuf_add_char(out, '\n');
}

/* name_suffix{labels} and a space. */
static void add_name(struct sbuf *out, const struct metric_series *series, const char *suffix)
{
    sbuf_add_text(out, series->metric->def->name);
    sbuf_add_text(out, suffix);
    if (series->labels_len > 0) {
        sbuf_add_char(out, '{');
        sbuf_add_bytes(out, series->labels, series->labels_len);
        sbuf_add_char(out, '}');
    }
    sbuf_add_char(out, ' ');
}

static void add_bucket(struct sbuf *out, const struct metric_series *series, size_t bound,
                       uint64_t count)
{
    const struct metric *metric = series->metric;

    sbuf_add_text(out, metric->def->name);
    sbuf_add_lit(out, "_bucket{");
    sbuf_add_bytes(out, series->labels, series->labels_len);
    if (series->labels_len > 0)
        sbuf_add_char(out, ',');
    sbuf_add_lit(out, "le=\"");
    if (bound < metric->bound_count)
        add_seconds(out, (uint64_t)metric->bounds_ns[bound]);
    else
        sbuf_add_lit(out, "+Inf");
    sbuf_add_lit(out, "\"} ");
    sbuf_add_u64(out, count);
    sbuf_add_char(out, '\n');
}

static void add_histogram(struct sbuf *out, const struct metric_series *series)
{
    const struct metric *metric = series->metric;
    uint32_t sum_cell = series->cell + (uint32_t)metric->bound_count + 1;
    uint64_t count = 0;

    for (uint32_t i = 0; i <= metric->bound_count; i++) {
        count += metric_cell_sum(metric->metrics, series->cell + i);
        add_bucket(out, series, i, count);
    }
    add_name(out, series, "_sum");
    add_seconds(out, metric_cell_sum(metric->metrics, sum_cell));
    sbuf_add_char(out, '\n');
    add_name(out, series, "_count");
    sbuf_add_u64(out, count);
    sbuf_add_char(out, '\n');
}

static bool is_printed(const struct metric_series *series)
{
    return !metric_is_gone(series);
}

static bool has_printed(const struct metric *metric)
{
    const struct metric_series *series = metric->first;

    while (series != NULL && !is_printed(series))
        series = series->next;
    return series != NULL;
}

static void add_metric(struct sbuf *out, const struct metric *metric)
{
    if (!has_printed(metric))
        return;
    add_heading(out, metric->def);
    for (const struct metric_series *i = metric->first; i != NULL; i = i->next) {
        if (!is_printed(i))
            continue;
        if (metric->def->kind == METRIC_HISTOGRAM) {
            add_histogram(out, i);
            continue;
        }
        add_name(out, i, "");
        sbuf_add_i64(out, metric_value_locked(i));
        sbuf_add_char(out, '\n');
    }
}

void metric_render(struct metrics *metrics, struct sbuf *out)
{
    if (metrics == NULL)
        return;
    metric_lock(metrics);
    for (const struct metric *i = metrics->first; i != NULL; i = i->next)
        add_metric(out, i);
    metric_unlock(metrics);
}
