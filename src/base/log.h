/* SPDX-License-Identifier: MIT
 * One JSON object a line, written by a thread of its own. Whoever logs copies the line into a ring
 * that belongs to its own thread and goes on: no lock, no system call, no waiting for a disk. A
 * line that finds its ring full is dropped whole and counted; lines never interleave; the lines of
 * one thread keep their order.
 *
 *   log_info(logger, "config_loaded", LOG_STRING("path", path), LOG_U64("routes", count));
 *   {"ts":"2026-02-03T04:05:06.789Z","level":"info","event":"config_loaded","path":…,"routes":12}
 *
 * What may be logged: names, ids, counts, durations, errors. Never a password, token, key, cookie,
 * card number or request body: the logger escapes values but cannot know what they mean.
 *
 * Threads: any; log_close only after the last call that uses the logger.
 * Memory: log_open / log_close; LIMIT_LOG_RING_BYTES for each thread that logs, taken at its first
 * line. A logger that is NULL is accepted everywhere and does nothing.
 * Source: RFC 8259 (text), RFC 3339 (time). */
#ifndef PC_BASE_LOG_H
#define PC_BASE_LOG_H

#include "base/clock.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/span.h"

struct logger;
struct metrics;

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_options {
    const char *path;          /* appended to, made with mode 0640; NULL or "-": standard output */
    enum log_level level;      /* what log_event lets through; log_line knows no level */
    const struct clock *clock; /* for "ts"; NULL: clock_system */
    size_t ring_bytes;         /* a power of two; 0: LIMIT_LOG_RING_BYTES */
};

/* ERR_IO when the file cannot be opened, ERR_NO_MEMORY. Starts the writer thread. */
PC_CHECKED enum err log_open(const struct log_options *options, struct logger **ret_logger);

/* Writes everything out and stops. A sink that takes nothing for LIMIT_LOG_CLOSE_MS is given up. */
void log_close(struct logger *logger);

/* Opens the path again, after a log rotation moved the file. Returns at once; the writer does it
 * between two lines. If the path cannot be opened the old file stays in use. */
void log_reopen(struct logger *logger);

/* Waits until what was logged so far is written, at most timeout_ms. True if it is. */
bool log_flush(struct logger *logger, int timeout_ms);

bool log_enabled(const struct logger *logger, enum log_level level);

enum log_kind {
    LOG_KIND_END, /* ends a list of fields */
    LOG_KIND_TEXT,
    LOG_KIND_U64,
    LOG_KIND_I64,
    LOG_KIND_BOOL,
    LOG_KIND_ERR,
    LOG_KIND_MS,
    LOG_KIND_JSON,
};

struct log_field {
    const char *name; /* plain ASCII without quotes; written as it is */
    enum log_kind kind;
    union {
        struct span text;
        uint64_t u64;
        int64_t i64;
        bool flag;
        enum err err;
    } value;
};

#define LOG_TEXT(name_, span_)                                                                     \
    ((struct log_field){.name = (name_), .kind = LOG_KIND_TEXT, .value = {.text = (span_)}})
#define LOG_STRING(name_, text_) LOG_TEXT(name_, span_from(text_))
#define LOG_U64(name_, u64_)                                                                       \
    ((struct log_field){.name = (name_), .kind = LOG_KIND_U64, .value = {.u64 = (u64_)}})
#define LOG_I64(name_, i64_)                                                                       \
    ((struct log_field){.name = (name_), .kind = LOG_KIND_I64, .value = {.i64 = (i64_)}})
#define LOG_BOOL(name_, flag_)                                                                     \
    ((struct log_field){.name = (name_), .kind = LOG_KIND_BOOL, .value = {.flag = (flag_)}})
/* The error's name: "ERR_NOT_FOUND". */
#define LOG_ERR(name_, err_)                                                                       \
    ((struct log_field){.name = (name_), .kind = LOG_KIND_ERR, .value = {.err = (err_)}})
/* Nanoseconds, written as milliseconds with three decimals. */
#define LOG_MS(name_, ns_)                                                                         \
    ((struct log_field){.name = (name_), .kind = LOG_KIND_MS, .value = {.i64 = (ns_)}})
/* A finished JSON value, written as it is. */
#define LOG_JSON(name_, span_)                                                                     \
    ((struct log_field){.name = (name_), .kind = LOG_KIND_JSON, .value = {.text = (span_)}})
#define LOG_END ((struct log_field){.kind = LOG_KIND_END})

/* One line from typed fields; stops at LOG_END. Fields past LIMIT_LOG_LINE_BYTES_MAX are left out
 * and "truncated":true takes their place. An error wakes the writer at once. */
void log_event(struct logger *logger, enum log_level level, const char *event,
               const struct log_field *fields, size_t count);

/* log_info(logger, "event") or log_info(logger, "event", LOG_…(…), …). */
#define log_debug(logger, ...) LOG_AT(logger, LOG_DEBUG, __VA_ARGS__, LOG_END)
#define log_info(logger, ...)  LOG_AT(logger, LOG_INFO, __VA_ARGS__, LOG_END)
#define log_warn(logger, ...)  LOG_AT(logger, LOG_WARN, __VA_ARGS__, LOG_END)
#define log_error(logger, ...) LOG_AT(logger, LOG_ERROR, __VA_ARGS__, LOG_END)
#define LOG_AT(logger, level, event, ...)                                                          \
    log_event((logger), (level), (event), (const struct log_field[]){__VA_ARGS__},                 \
              sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

/* A finished line without its newline, which it must not contain: the access log. One copy into
 * this thread's ring. Dropped and counted when the ring is full or the line is longer than
 * LIMIT_LOG_LINE_BYTES_MAX. */
void log_line(struct logger *logger, struct span json_line);

struct log_stats {
    uint64_t lines_dropped;
    uint64_t write_errors; /* failed writes, each tried again later */
    uint64_t bytes_written;
};
void log_stats(const struct logger *logger, struct log_stats *ret_stats);

/* Puts portcullis_log_dropped_total and portcullis_log_write_errors_total into the registry, which
 * must be rendered no more once the logger is closed. */
PC_CHECKED enum err log_metrics(struct logger *logger, struct metrics *metrics);

#endif
