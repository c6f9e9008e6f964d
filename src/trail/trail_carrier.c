/* SPDX-License-Identifier: MIT
 * The carrier's rounds, and the thread that goes them. */
#include "trail/trail_carrier.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/alloc.h"
#include "trail/trail_outbox.h"

enum {
    ROWS_MAX = 1024,             /* of one round */
    BYTES_MAX = 4 * 1024 * 1024, /* about */
    ARENA_BYTES = 32 * 1024 * 1024,
    GATHER_MS = 5, /* a commit is worth more than one event */
    IDLE_MS = 250, /* until rows of other nodes are looked for */
    STEP_MS = 50,
    RETRY_MS_MIN = 250,
    RETRY_MS_MAX = 2000,
};

/* ---- one round ---- */

struct round {
    struct store_job job; /* that deletes, */
    sem_t over;           /* and is waited for */
    struct arena arena;
    struct trail_outbox_rows rows;
    size_t fresh; /* rows that the log had not */
};

static enum err read_run(struct store_conn *conn, struct store_job *job)
{
    struct round *round = job->context;

    arena_reset(&round->arena);
    return trail_outbox_read(conn, ROWS_MAX, BYTES_MAX, &round->arena, &round->rows);
}

static enum err append_run(struct store_conn *conn, struct store_job *job)
{
    struct round *round = job->context;

    return trail_outbox_append(conn, &round->rows, &round->fresh);
}

static enum err delete_together(struct store_conn *conn, struct store_job *const *jobs,
                                size_t count, const void *group)
{
    struct round *round = PC_CONTAINER(jobs[0], struct round, job);

    PC_ASSERT(count == 1 && group == round);
    return trail_outbox_delete(conn, &round->rows, &round->arena);
}

static void delete_done(struct store_job *job)
{
    PC_ASSERT(sem_post(&PC_CONTAINER(job, struct round, job)->over) == 0);
}

/* In a transaction of its own: in the company of commits that a full outbox refuses it would be
 * refused with them, and the outbox stay full. */
static enum err delete_alone(struct round *round, struct store *from)
{
    enum err err;

    PC_ASSERT(sem_init(&round->over, 0, 0) == 0);
    round->job = (struct store_job){
        .together = delete_together, .done = delete_done, .group = round, .weight = 1};
    err = store_write(from, &round->job);
    while (err == ERR_OK && sem_wait(&round->over) != 0)
        continue; /* a signal */
    (void)sem_destroy(&round->over);
    return err ? err : round->job.err;
}

enum err trail_carry(struct store *from, struct store *to, size_t *ret_count)
{
    struct round round = {0};
    enum err err;

    arena_init(&round.arena, NULL, 0, ARENA_BYTES);
    err = store_do(from, read_run, &round, false);
    if (err == ERR_OK && round.rows.count > 0)
        err = store_do(to, append_run, &round, true);
    if (err == ERR_OK && round.rows.count > 0)
        err = delete_alone(&round, from);
    if (err == ERR_OK)
        *ret_count = round.rows.count;
    arena_reset(&round.arena);
    return err;
}

/* ---- the thread ---- */

struct trail_carrier {
    struct trail_carrier_options options;
    pthread_t thread;
    _Atomic bool stopping;
    enum err err; /* of the last round: trouble is told once */
};

/* Until there is something to carry, it is time to stop, or so long. */
static void wait_written(struct trail_carrier *carrier, int64_t ms)
{
    int64_t until_ns = clock_monotonic_ns(&clock_system) + ms * CLOCK_NS_PER_MS;
    const struct timespec until = {.tv_sec = until_ns / CLOCK_NS_PER_S,
                                   .tv_nsec = (long)(until_ns % CLOCK_NS_PER_S)};

    if (sem_clockwait(carrier->options.written, CLOCK_MONOTONIC, &until) != 0)
        return;
    while (sem_trywait(carrier->options.written) == 0)
        continue; /* one look is for all of them */
}

/* In short steps, so that it is soon over when it is time to stop. */
static void pause_ms(struct trail_carrier *carrier, int64_t ms)
{
    for (int64_t step; ms > 0 && !atomic_load(&carrier->stopping); ms -= step) {
        struct timespec wait = {0};

        step = ms < STEP_MS ? ms : STEP_MS;
        wait.tv_nsec = (long)(step * CLOCK_NS_PER_MS);
        (void)nanosleep(&wait, NULL);
    }
}

static void note(struct trail_carrier *carrier, enum err err)
{
    if (err != ERR_OK && carrier->err == ERR_OK)
        log_warn(carrier->options.logger, "audit_carry_failed", LOG_ERR("error", err));
    if (err == ERR_OK && carrier->err != ERR_OK)
        log_info(carrier->options.logger, "audit_carry_resumed");
    carrier->err = err;
    if (carrier->options.pressure != NULL)
        trail_pressure_carried(carrier->options.pressure, err);
}

/* The event that the program stops need not wait for its next start, if all is well. */
static void carry_last(struct trail_carrier *carrier)
{
    size_t count;

    if (carrier->err != ERR_OK || carrier->options.until_empty)
        return;
    note(carrier, trail_carry(carrier->options.from, carrier->options.to, &count));
}

static void *carrier_thread(void *context)
{
    struct trail_carrier *carrier = context;
    int64_t retry_ms = RETRY_MS_MIN;

    while (!atomic_load(&carrier->stopping)) {
        size_t count = 0;
        enum err err = trail_carry(carrier->options.from, carrier->options.to, &count);

        if (err != ERR_DRAINING)
            note(carrier, err);
        if (err != ERR_OK) {
            pause_ms(carrier, retry_ms);
            retry_ms = retry_ms * 2 < RETRY_MS_MAX ? retry_ms * 2 : RETRY_MS_MAX;
            continue;
        }
        retry_ms = RETRY_MS_MIN;
        if (count == 0 && carrier->options.until_empty)
            break;
        if (count == 0)
            wait_written(carrier, IDLE_MS);
        if (count < ROWS_MAX / 4)
            pause_ms(carrier, GATHER_MS);
    }
    carry_last(carrier);
    return NULL;
}

enum err trail_carrier_start(const struct trail_carrier_options *options,
                             struct trail_carrier **ret)
{
    struct trail_carrier *carrier = alloc_zero(sizeof(*carrier));

    if (carrier == NULL)
        return ERR_NO_MEMORY;
    carrier->options = *options;
    if (pthread_create(&carrier->thread, NULL, carrier_thread, carrier) != 0) {
        alloc_free(carrier);
        return ERR_NO_MEMORY;
    }
    (void)pthread_setname_np(carrier->thread, "audit-carrier");
    *ret = carrier;
    return ERR_OK;
}

void trail_carrier_stop(struct trail_carrier *carrier)
{
    if (carrier == NULL)
        return;
    atomic_store(&carrier->stopping, true);
    (void)sem_post(carrier->options.written);
    PC_ASSERT(pthread_join(carrier->thread, NULL) == 0);
    alloc_free(carrier);
}
