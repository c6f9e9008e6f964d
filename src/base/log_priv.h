/* SPDX-License-Identifier: MIT
 * What log.c (whoever logs) and log_writer.c (the thread that writes) share.
 *
 *   a thread -> its ring -> the writer -> the file
 *
 * A ring has one producer, the thread that owns its slot, and one consumer, the writer. `head`
 * moves only past whole lines, so whatever the writer sees is whole. Threads beyond THREAD_SLOTS
 * share the last ring under a lock.
 *
 * `call` is how a producer calls the writer, and it only rises until the writer takes it down:
 *
 *   IDLE     the writer sleeps until it is called
 *   GATHER   there is something; the writer waits LIMIT_LOG_GATHER_MS for more
 *   URGENT   an error, a flush, or a ring that is half full: write now
 *   CONTROL  stop or reopen: also ends the pause after a failed write
 *
 * The producer publishes `head` and then reads `call`; the writer sets `call` to IDLE and then
 * reads each `head`, all of it sequentially consistent. So either the writer sees the line or the
 * producer sees IDLE and calls: no line is left behind in a sleeping logger, and an idle one never
 * wakes. */
#ifndef PC_BASE_LOG_PRIV_H
#define PC_BASE_LOG_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/log.h"
#include "base/thread.h"

enum { LOG_CACHE_LINE_BYTES = 64 };

struct log_ring {
    /* the producer's */
    _Atomic uint64_t head; /* bytes ever put in */
    uint64_t tail_seen;    /* a tail from earlier: never more than the real one */
    char apart[LOG_CACHE_LINE_BYTES];
    /* the writer's */
    _Atomic uint64_t tail; /* bytes ever written out */
    char apart_too[LOG_CACHE_LINE_BYTES];
    size_t bytes; /* a power of two */
    char data[];
};

enum log_call { LOG_CALL_IDLE, LOG_CALL_GATHER, LOG_CALL_URGENT, LOG_CALL_CONTROL };

struct logger {
    enum log_level level;
    const struct clock *clock;
    size_t ring_bytes;
    char *path; /* NULL: standard output */
    pthread_t writer;
    pthread_mutex_t shared_lock; /* for the ring of THREAD_SHARED */
    _Atomic uint32_t call;       /* enum log_call; a futex */
    _Atomic uint32_t rounds;     /* of the writer; a futex for log_flush */
    _Atomic uint32_t flushers;   /* threads waiting for `rounds` */
    _Atomic bool stop;
    _Atomic bool reopen;
    _Atomic uint64_t lines_dropped;
    _Atomic uint64_t write_errors;
    _Atomic uint64_t bytes_written;
    _Atomic(struct log_ring *) rings[THREAD_SLOTS_ALL];

    /* the writer's own */
    int fd;
    bool is_file;              /* not a pipe or terminal: takes large writes without blocking */
    bool failing;              /* the last round ended in an error */
    struct log_ring *unended;  /* the ring whose line is written in part */
    uint64_t dropped_reported; /* of lines_dropped */
};

/* log_writer.c */
void *log_writer_run(void *context);
PC_CHECKED enum err log_writer_open(struct logger *logger);
void log_writer_call(struct logger *logger, enum log_call call);
/* False on timeout. Units: milliseconds; -1 for ever. */
bool log_futex_wait(_Atomic uint32_t *word, uint32_t expected, int64_t timeout_ms);
void log_futex_wake(_Atomic uint32_t *word);

#endif
