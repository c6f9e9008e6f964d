/* SPDX-License-Identifier: MIT
 * The logger as its callers see it: puts lines together and into the ring of the calling thread.
 * Nothing here waits, except log_flush and log_close. log_priv.h draws the whole. */
#include "base/log.h"

#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log_priv.h"
#include "base/mask.h"
#include "base/metric.h"

static const char *const level_names[] = {
    [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error"};

#define TRUNCATED "\"truncated\":true"

static struct logger *logger_make(const struct log_options *options)
{
    struct logger *logger = alloc_zero(sizeof(*logger));
    size_t length;

    if (logger == NULL)
        return NULL;
    logger->level = options->level;
    logger->clock = options->clock ? options->clock : &clock_system;
    logger->ring_bytes = options->ring_bytes ? options->ring_bytes : LIMIT_LOG_RING_BYTES;
    PC_ASSERT((logger->ring_bytes & (logger->ring_bytes - 1)) == 0);
    logger->fd = STDOUT_FILENO;
    PC_ASSERT(pthread_mutex_init(&logger->shared_lock, NULL) == 0);
    if (options->path == NULL || strcmp(options->path, "-") == 0)
        return logger;

    length = strlen(options->path) + 1;
    logger->path = alloc_raw(length);
    if (logger->path == NULL) {
        alloc_free(logger);
        return NULL;
    }
    memcpy(logger->path, options->path, length);
    return logger;
}

static void logger_unmake(struct logger *logger)
{
    for (size_t i = 0; i < THREAD_SLOTS_ALL; i++)
        alloc_free(atomic_load(&logger->rings[i]));
    (void)pthread_mutex_destroy(&logger->shared_lock);
    if (logger->path != NULL && logger->fd > STDERR_FILENO)
        (void)close(logger->fd);
    alloc_free(logger->path);
    alloc_free(logger);
}

enum err log_open(const struct log_options *options, struct logger **ret_logger)
{
    struct logger *logger = logger_make(options);
    enum err err;

    if (logger == NULL)
        return ERR_NO_MEMORY;
    err = log_writer_open(logger);
    if (err == ERR_OK && pthread_create(&logger->writer, NULL, log_writer_run, logger) != 0)
        err = ERR_NO_MEMORY;
    if (err != ERR_OK) {
        logger_unmake(logger);
        return err;
    }
    *ret_logger = logger;
    return ERR_OK;
}

void log_close(struct logger *logger)
{
    if (logger == NULL)
        return;
    atomic_store(&logger->stop, true);
    log_writer_call(logger, LOG_CALL_CONTROL);
    PC_ASSERT(pthread_join(logger->writer, NULL) == 0);
    logger_unmake(logger);
}

void log_reopen(struct logger *logger)
{
    if (logger == NULL || logger->path == NULL)
        return;
    atomic_store(&logger->reopen, true);
    log_writer_call(logger, LOG_CALL_CONTROL);
}

bool log_enabled(const struct logger *logger, enum log_level level)
{
    return logger != NULL && level >= logger->level;
}

/* This thread's ring, made at its first line; NULL when there is no memory for it. */
static struct log_ring *ring_of(struct logger *logger, unsigned slot)
{
    struct log_ring *ring = atomic_load_explicit(&logger->rings[slot], memory_order_acquire);

    if (PC_LIKELY(ring != NULL))
        return ring;
    ring = alloc_raw(sizeof(*ring) + logger->ring_bytes);
    if (ring == NULL)
        return NULL;
    memset(ring, 0, sizeof(*ring)); /* the data's pages are touched as they are used */
    ring->bytes = logger->ring_bytes;
    atomic_store(&logger->rings[slot], ring);
    return ring;
}

static void copy_in(struct log_ring *ring, uint64_t at, const char *ptr, size_t len)
{
    size_t from = (size_t)at & (ring->bytes - 1);
    size_t first = len < ring->bytes - from ? len : ring->bytes - from;

    memcpy(ring->data + from, ptr, first);
    if (first < len)
        memcpy(ring->data, ptr + first, len - first);
}

/* The line and its newline, or nothing. */
static bool ring_put(struct log_ring *ring, struct span line)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    size_t need = line.len + 1;

    /* Looking at half of the ring keeps tail_seen fresh enough for ring_is_crowded. */
    if (head + need - ring->tail_seen > ring->bytes / 2)
        ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
    if (head + need - ring->tail_seen > ring->bytes)
        return false;
    copy_in(ring, head, line.ptr, line.len);
    ring->data[(head + line.len) & (ring->bytes - 1)] = '\n';
    atomic_store(&ring->head, head + need);
    return true;
}

static bool ring_is_crowded(const struct log_ring *ring)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

    return head - ring->tail_seen > ring->bytes / 2;
}

static void put(struct logger *logger, struct span line, bool urgent)
{
    unsigned slot = thread_slot();
    struct log_ring *ring;
    bool fits = false;

    if (slot == THREAD_SHARED)
        PC_ASSERT(pthread_mutex_lock(&logger->shared_lock) == 0);
    ring = ring_of(logger, slot);
    if (ring != NULL && line.len < LIMIT_LOG_LINE_BYTES_MAX) {
        fits = ring_put(ring, line);
        urgent = urgent || ring_is_crowded(ring);
    }
    if (slot == THREAD_SHARED)
        PC_ASSERT(pthread_mutex_unlock(&logger->shared_lock) == 0);

    if (PC_UNLIKELY(!fits))
        (void)atomic_fetch_add_explicit(&logger->lines_dropped, 1, memory_order_relaxed);
    log_writer_call(logger, urgent ? LOG_CALL_URGENT : LOG_CALL_GATHER);
}

void log_line(struct logger *logger, struct span json_line)
{
    if (logger != NULL)
        put(logger, json_line, false);
}

static void add_ms(struct sbuf *out, int64_t ns)
{
    uint64_t us = (ns < 0 ? 0U - (uint64_t)ns : (uint64_t)ns) / 1000;

    if (ns < 0)
        sbuf_add_char(out, '-');
    sbuf_add_format(out, "%llu.%03llu", (unsigned long long)(us / 1000),
                    (unsigned long long)(us % 1000));
}

/* Few texts in the log come from a client, and none may carry card data into it. */
static void add_masked(struct sbuf *out, struct span text)
{
    char copy[LIMIT_LOG_LINE_BYTES_MAX];

    text = span_slice(text, 0, sizeof(copy)); /* more would not fit the line */
    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    mask_in_place(copy, text.len);
    sbuf_add_json(out, span_make(copy, text.len));
}

static void add_value(struct sbuf *out, const struct log_field *field)
{
    switch (field->kind) {
    case LOG_KIND_TEXT:
        if (PC_UNLIKELY(mask_finds(field->value.text)))
            add_masked(out, field->value.text);
        else
            sbuf_add_json(out, field->value.text);
        return;
    case LOG_KIND_U64:
        sbuf_add_u64(out, field->value.u64);
        return;
    case LOG_KIND_I64:
        sbuf_add_i64(out, field->value.i64);
        return;
    case LOG_KIND_BOOL:
        sbuf_add_text(out, field->value.flag ? "true" : "false");
        return;
    case LOG_KIND_ERR:
        sbuf_add_json(out, span_from(err_name(field->value.err)));
        return;
    case LOG_KIND_MS:
        add_ms(out, field->value.i64);
        return;
    case LOG_KIND_JSON:
        sbuf_add(out, field->value.text);
        return;
    case LOG_KIND_END:
        break;
    }
    PC_WRONG("log field kind");
}

/* Fields that do not fit are left out whole; false if there were any. */
static bool add_fields(struct sbuf *out, const struct log_field *fields, size_t count)
{
    bool whole = true;

    for (size_t i = 0; i < count && fields[i].kind != LOG_KIND_END; i++) {
        size_t begin = out->len;

        sbuf_add_lit(out, ",\"");
        sbuf_add_text(out, fields[i].name);
        sbuf_add_lit(out, "\":");
        add_value(out, &fields[i]);
        if (out->full) {
            sbuf_truncate(out, begin);
            whole = false;
        }
    }
    return whole;
}

void log_event(struct logger *logger, enum log_level level, const char *event,
               const struct log_field *fields, size_t count)
{
    char text[LIMIT_LOG_LINE_BYTES_MAX];
    struct sbuf out = sbuf_over(text, sizeof(text) - 1 - sizeof("," TRUNCATED "}"));
    bool whole;

    if (!log_enabled(logger, level))
        return;
    sbuf_add_lit(&out, "{\"ts\":\"");
    clock_add_rfc3339(&out, clock_realtime_ns(logger->clock), 3);
    sbuf_add_lit(&out, "\",\"level\":\"");
    sbuf_add_text(&out, level_names[level]);
    sbuf_add_lit(&out, "\",\"event\":");
    sbuf_add_json(&out, span_from(event));
    whole = add_fields(&out, fields, count);

    out.cap = out.bytes_max = sizeof(text) - 1;
    if (!whole)
        sbuf_add_lit(&out, "," TRUNCATED);
    sbuf_add_char(&out, '}');
    PC_ASSERT(!out.full);
    put(logger, sbuf_span(&out), level >= LOG_ERROR);
}

/* Waits until the writer has passed `head` in this ring, or `deadline_ns`. */
static bool flush_ring(struct logger *logger, const struct log_ring *ring, uint64_t head,
                       int64_t deadline_ns)
{
    for (;;) {
        uint32_t rounds = atomic_load(&logger->rounds);
        int64_t left_ns = deadline_ns - clock_monotonic_ns(&clock_system);

        if (atomic_load(&ring->tail) >= head)
            return true;
        if (left_ns <= 0)
            return false;
        log_writer_call(logger, LOG_CALL_URGENT);
        (void)log_futex_wait(&logger->rounds, rounds, left_ns / CLOCK_NS_PER_MS + 1);
    }
}

bool log_flush(struct logger *logger, int timeout_ms)
{
    int64_t deadline_ns = clock_monotonic_ns(&clock_system) + timeout_ms * CLOCK_NS_PER_MS;
    bool done = true;

    if (logger == NULL)
        return true;
    (void)atomic_fetch_add(&logger->flushers, 1);
    for (size_t i = 0; i < THREAD_SLOTS_ALL && done; i++) {
        struct log_ring *ring = atomic_load(&logger->rings[i]);

        if (ring != NULL)
            done = flush_ring(logger, ring, atomic_load(&ring->head), deadline_ns);
    }
    (void)atomic_fetch_sub(&logger->flushers, 1);
    return done;
}

void log_stats(const struct logger *logger, struct log_stats *ret_stats)
{
    *ret_stats = (struct log_stats){0};
    if (logger == NULL)
        return;
    ret_stats->lines_dropped = atomic_load(&logger->lines_dropped);
    ret_stats->write_errors = atomic_load(&logger->write_errors);
    ret_stats->bytes_written = atomic_load(&logger->bytes_written);
}

static int64_t read_dropped(void *logger)
{
    return (int64_t)atomic_load(&((struct logger *)logger)->lines_dropped);
}

static int64_t read_write_errors(void *logger)
{
    return (int64_t)atomic_load(&((struct logger *)logger)->write_errors);
}

enum err log_metrics(struct logger *logger, struct metrics *metrics)
{
    static const struct metric_def dropped = {
        .name = "portcullis_log_dropped_total",
        .help = "Log lines dropped because a ring was full or the line too long.",
        .kind = METRIC_COUNTER};
    static const struct metric_def write_errors = {
        .name = "portcullis_log_write_errors_total",
        .help = "Writes of the log that failed and were tried again.",
        .kind = METRIC_COUNTER};
    struct metric *metric;
    enum err err;

    if (logger == NULL)
        return ERR_OK;
    err = metric_register(metrics, &dropped, &metric);
    if (err)
        return err;
    metric_callback(metric_only(metric), read_dropped, logger);
    err = metric_register(metrics, &write_errors, &metric);
    if (err)
        return err;
    metric_callback(metric_only(metric), read_write_errors, logger);
    return ERR_OK;
}
