/* SPDX-License-Identifier: MIT
 * The thread that writes the log. It sleeps until somebody calls, gathers for a moment, empties
 * every ring into the file, and sleeps again. A sink that fails (disk full, reader gone) is tried
 * once a second; meanwhile the rings fill and further lines are dropped and counted, so memory
 * stays bounded. A line that was written in part is finished before anything else is written.
 *
 * Pipes and terminals get small writes, and only when poll says there is room: their descriptor may
 * be shared with other processes, so it is not made non-blocking, and yet log_close must not hang.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/log_priv.h"

enum {
    PIPE_BYTES_MAX = 4096, /* PIPE_BUF: what poll promises */
    BLOCKED_WAIT_MS = 100, /* how long to wait for room before looking at `stop` again */
    CLOSING_PAUSE_MS = 50,
};

/* How a round ended. */
enum outcome {
    OUTCOME_DONE,
    OUTCOME_BLOCKED, /* a pipe had no room in BLOCKED_WAIT_MS */
    OUTCOME_FAILED,
};

bool log_futex_wait(_Atomic uint32_t *word, uint32_t expected, int64_t timeout_ms)
{
    struct timespec timeout = {.tv_sec = timeout_ms / 1000,
                               .tv_nsec = timeout_ms % 1000 * CLOCK_NS_PER_MS};
    long result = syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected,
                          timeout_ms < 0 ? NULL : &timeout, NULL, 0);

    return !(result == -1 && errno == ETIMEDOUT);
}

void log_futex_wake(_Atomic uint32_t *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

void log_writer_call(struct logger *logger, enum log_call call)
{
    uint32_t now = atomic_load(&logger->call);

    while (now < call) {
        if (atomic_compare_exchange_weak(&logger->call, &now, call)) {
            log_futex_wake(&logger->call);
            return;
        }
    }
}

enum err log_writer_open(struct logger *logger)
{
    struct stat status;
    int fd = STDOUT_FILENO;

    if (logger->path != NULL)
        fd = open(logger->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
    if (fd < 0 || fstat(fd, &status) != 0)
        return ERR_IO;
    if (logger->path != NULL && logger->fd > STDERR_FILENO)
        (void)close(logger->fd);
    logger->fd = fd;
    logger->is_file = S_ISREG(status.st_mode);
    return ERR_OK;
}

/* Waits while `call` is below `until`, at most timeout_ms (-1: for ever). */
static void wait_call(struct logger *logger, enum log_call until, int64_t timeout_ms)
{
    int64_t deadline_ns = clock_monotonic_ns(&clock_system) + timeout_ms * CLOCK_NS_PER_MS;

    for (;;) {
        uint32_t call = atomic_load(&logger->call);
        int64_t left_ms = -1;

        if (call >= until)
            return;
        if (timeout_ms >= 0) {
            int64_t left_ns = deadline_ns - clock_monotonic_ns(&clock_system);

            if (left_ns <= 0)
                return;
            left_ms = left_ns / CLOCK_NS_PER_MS + 1;
        }
        (void)log_futex_wait(&logger->call, call, left_ms);
    }
}

/* Returns when it is time to write. */
static void wait_for_work(struct logger *logger)
{
    if (logger->failing) {
        wait_call(logger, LOG_CALL_CONTROL, LIMIT_LOG_RETRY_MS);
        return;
    }
    wait_call(logger, LOG_CALL_GATHER, -1);
    wait_call(logger, LOG_CALL_URGENT, LIMIT_LOG_GATHER_MS);
}

/* What lies between `tail` and `head`, in at most two pieces and bytes_max bytes. */
static int ring_pieces(struct log_ring *ring, uint64_t tail, uint64_t head, size_t bytes_max,
                       struct iovec pieces[2])
{
    size_t left = (size_t)(head - tail);
    size_t from = (size_t)tail & (ring->bytes - 1);
    size_t first;

    if (left > bytes_max)
        left = bytes_max;
    first = left < ring->bytes - from ? left : ring->bytes - from;
    pieces[0] = (struct iovec){.iov_base = ring->data + from, .iov_len = first};
    pieces[1] = (struct iovec){.iov_base = ring->data, .iov_len = left - first};
    return first < left ? 2 : 1;
}

static bool has_room(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLOUT};

    return poll(&wait, 1, BLOCKED_WAIT_MS) != 0;
}

/* Writes the ring out up to what is in it now. */
static enum outcome ring_drain(struct logger *logger, struct log_ring *ring)
{
    uint64_t head = atomic_load(&ring->head);
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

    while (tail < head) {
        size_t bytes_max = logger->is_file ? ring->bytes : PIPE_BYTES_MAX;
        struct iovec pieces[2];
        int count = ring_pieces(ring, tail, head, bytes_max, pieces);
        ssize_t written;

        if (!logger->is_file && !has_room(logger->fd))
            return OUTCOME_BLOCKED;
        written = writev(logger->fd, pieces, count);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            (void)atomic_fetch_add_explicit(&logger->write_errors, 1, memory_order_relaxed);
            return OUTCOME_FAILED;
        }
        tail += (uint64_t)written;
        logger->unended = ring->data[(tail - 1) & (ring->bytes - 1)] == '\n' ? NULL : ring;
        atomic_store_explicit(&ring->tail, tail, memory_order_release);
        (void)atomic_fetch_add_explicit(&logger->bytes_written, (uint64_t)written,
                                        memory_order_relaxed);
    }
    return OUTCOME_DONE;
}

static enum outcome drain(struct logger *logger)
{
    enum outcome outcome = OUTCOME_DONE;

    if (logger->unended != NULL)
        outcome = ring_drain(logger, logger->unended);
    for (size_t i = 0; i < THREAD_SLOTS_ALL && outcome == OUTCOME_DONE; i++) {
        struct log_ring *ring = atomic_load(&logger->rings[i]);

        if (ring != NULL)
            outcome = ring_drain(logger, ring);
    }
    return outcome;
}

/* Throws away what is left of the ring, or of its first line. Counts the lines. */
static void ring_discard(struct logger *logger, struct log_ring *ring, bool first_line_only)
{
    uint64_t head = atomic_load(&ring->head);
    uint64_t tail = atomic_load(&ring->tail);
    uint64_t lines = 0;

    while (tail < head && !(first_line_only && lines == 1))
        lines += ring->data[tail++ & (ring->bytes - 1)] == '\n';
    atomic_store_explicit(&ring->tail, tail, memory_order_release);
    (void)atomic_fetch_add(&logger->lines_dropped, lines);
}

/* The half line of a file that takes no more is lost; the new file begins with a whole one. */
static void reopen(struct logger *logger)
{
    if (logger->unended != NULL && ring_drain(logger, logger->unended) != OUTCOME_DONE)
        ring_discard(logger, logger->unended, true);
    logger->unended = NULL;
    if (log_writer_open(logger) != ERR_OK) {
        (void)atomic_fetch_add(&logger->write_errors, 1);
        log_error(logger, "log_reopen_failed", LOG_STRING("path", logger->path));
    }
}

/* Says in the log itself that lines are missing from it. */
static void report_dropped(struct logger *logger)
{
    uint64_t dropped = atomic_load(&logger->lines_dropped);

    if (dropped == logger->dropped_reported)
        return;
    log_warn(logger, "log_lines_dropped", LOG_U64("lines", dropped - logger->dropped_reported));
    logger->dropped_reported = dropped;
}

/* The last rounds: until all is written, or nothing moves for LIMIT_LOG_CLOSE_MS. */
static void finish(struct logger *logger)
{
    uint64_t moved = atomic_load(&logger->bytes_written);
    int64_t moved_ns = clock_monotonic_ns(&clock_system);
    struct timespec pause = {.tv_nsec = CLOSING_PAUSE_MS * CLOCK_NS_PER_MS};

    while (drain(logger) != OUTCOME_DONE) {
        int64_t now_ns = clock_monotonic_ns(&clock_system);

        if (atomic_load(&logger->bytes_written) != moved) {
            moved = atomic_load(&logger->bytes_written);
            moved_ns = now_ns;
        }
        if (now_ns - moved_ns > LIMIT_LOG_CLOSE_MS * CLOCK_NS_PER_MS)
            return;
        (void)nanosleep(&pause, NULL);
    }
}

static void round_ended(struct logger *logger)
{
    (void)atomic_fetch_add(&logger->rounds, 1);
    if (atomic_load(&logger->flushers) != 0)
        log_futex_wake(&logger->rounds);
}

void *log_writer_run(void *context)
{
    struct logger *logger = context;
    sigset_t all;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, NULL); /* a closed pipe is EPIPE here, not a signal */
    (void)pthread_setname_np(pthread_self(), "log");
    while (!atomic_load(&logger->stop)) {
        enum outcome outcome;

        wait_for_work(logger);
        atomic_store(&logger->call, LOG_CALL_IDLE);
        if (atomic_exchange(&logger->reopen, false))
            reopen(logger);
        outcome = drain(logger);
        logger->failing = outcome == OUTCOME_FAILED;
        if (outcome == OUTCOME_DONE)
            report_dropped(logger);
        else
            log_writer_call(logger, LOG_CALL_GATHER); /* something is left */
        round_ended(logger);
    }
    report_dropped(logger);
    finish(logger);
    return NULL;
}
