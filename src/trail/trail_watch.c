/* SPDX-License-Identifier: MIT
 * One thread, and three questions on their way at most: what the outbox holds, whether the log can
 * be read, and, when trouble seems to be over, whether it can be written. The last one is asked
 * twice: first by a change of nothing, which must be quick, then by the event of what went wrong.
 * With its commit the log takes events again. */
#include "trail/trail_watch.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "trail/trail.h"
#include "trail/trail_outbox.h"

enum {
    TICK_MS = 250,
    ASK_MS = 1000,       /* between two looks at the log */
    TELL_MS = 500,       /* between two tries to tell */
    QUICK_MS = 1000,     /* a change of nothing, in a store that is well */
    COUNT_OFTEN = 10000, /* so few rows are counted at every tick, */
    COUNT_TICKS = 4,     /* more of them at every fourth */
};

/* A question to a store. */
struct question {
    struct trail_watch *watch;
    struct store_job job;
    bool busy;        /* under lock */
    bool answered;    /* ... and the answer was not yet looked at */
    int64_t asked_ns; /* monotonic */
    int64_t took_ns;
    enum err err;
};

struct trail_watch {
    struct trail_watch_options options;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping; /* under lock */
    unsigned ticks;
    struct question count, ask, probe, tell;
    uint64_t admitted; /* when the count was asked for; it may know of those */
    struct trail_outbox_look look;
    int64_t head_ns;                 /* the time of the log's newest event */
    struct trail_pressure_time told; /* what the event tells */
};

static int64_t now_ns(void)
{
    return clock_monotonic_ns(&clock_system);
}

static void lock(struct trail_watch *watch)
{
    PC_ASSERT(pthread_mutex_lock(&watch->lock) == 0);
}

static void unlock(struct trail_watch *watch)
{
    PC_ASSERT(pthread_mutex_unlock(&watch->lock) == 0);
}

/* ---- questions ---- */

static void answered(struct store_job *job)
{
    struct question *question = PC_CONTAINER(job, struct question, job);
    struct trail_watch *watch = question->watch;

    lock(watch);
    question->err = job->err;
    question->took_ns = now_ns() - question->asked_ns;
    question->busy = false;
    question->answered = true;
    PC_ASSERT(pthread_cond_signal(&watch->wake) == 0);
    unlock(watch);
}

static bool is_busy(struct question *question)
{
    bool busy;

    lock(question->watch);
    busy = question->busy;
    unlock(question->watch);
    return busy;
}

/* True once for each answer. */
static bool take(struct question *question)
{
    bool fresh;

    lock(question->watch);
    fresh = question->answered;
    question->answered = false;
    unlock(question->watch);
    return fresh;
}

static void ask(struct question *question, struct store *store, store_run_fn *run, bool write)
{
    enum err err;

    lock(question->watch);
    question->busy = true;
    question->answered = false;
    unlock(question->watch);
    question->asked_ns = now_ns();
    question->job = (struct store_job){.run = run, .done = answered, .context = question->watch};
    err = write ? store_write(store, &question->job) : store_read(store, &question->job);
    if (err == ERR_OK)
        return;
    question->job.err = err;
    answered(&question->job);
}

static enum err count_run(struct store_conn *conn, struct store_job *job)
{
    struct trail_watch *watch = job->context;

    return trail_outbox_look(conn, watch->options.waiting_max, &watch->look);
}

static enum err ask_run(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement look = {
        .name = "trail_watch_look",
        .sqlite = "SELECT coalesce((SELECT at FROM trail_events ORDER BY seq DESC LIMIT 1), 0)"};
    struct trail_watch *watch = job->context;
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &look, NULL, 0, &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_STORE_CORRUPT);
    watch->head_ns = store_rows_i64(rows, 0);
    return ERR_OK;
}

/* A real change, since only that shows whether the disk is still full. */
static enum err probe_run(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement change = {.name = "trail_watch_change",
                                                  .sqlite = "UPDATE trail_head SET at = at"};

    (void)job;
    return store_exec(conn, &change, NULL, 0, NULL);
}

static struct span number_text(char room[32], uint64_t number)
{
    int len = snprintf(room, 32, "%llu", (unsigned long long)number);

    return span_make(room, (size_t)len);
}

static uint64_t ms_of(int64_t ns)
{
    return ns > 0 ? (uint64_t)(ns / CLOCK_NS_PER_MS) : 0;
}

static enum err tell_run(struct store_conn *conn, struct store_job *job)
{
    const struct trail_watch *watch = job->context;
    const struct trail_pressure_time *told = &watch->told;
    char numbers[3][32];
    char since[40];
    struct sbuf out = sbuf_over(since, sizeof(since));
    struct trail_record record = {.event = TRAIL_AUDIT_PRESSURE,
                                  .outcome = TRAIL_DONE,
                                  .at_ns = told->until_ns,
                                  .actor_kind = TRAIL_ACTOR_SYSTEM,
                                  .object = SPAN_OF("audit-log"),
                                  .reason = span_from(err_slug(told->err))};

    clock_add_rfc3339(&out, told->since_ns, 3);
    record.details[0] = (struct trail_detail){"since", sbuf_span(&out)};
    record.details[1] = (struct trail_detail){
        "lasted_ms", number_text(numbers[0], ms_of(told->until_ns - told->since_ns))};
    record.details[2] =
        (struct trail_detail){"refused_ms", number_text(numbers[1], ms_of(told->refusing_ns))};
    record.details[3] = (struct trail_detail){"refused", number_text(numbers[2], told->refused)};
    return trail_add(conn, &record);
}

/* ---- a tick ---- */

static bool is_apart(const struct trail_watch *watch)
{
    return watch->options.store != watch->options.log;
}

/* The answer of before is looked at before the next question is asked. */
static void look_at_outbox(struct trail_watch *watch)
{
    struct trail_pressure *pressure = watch->options.pressure;
    const struct trail_outbox_look *look = &watch->look;
    bool fresh;

    if (is_busy(&watch->count))
        return;
    fresh = take(&watch->count);
    if (fresh && watch->count.err == ERR_OK)
        trail_pressure_counted(
            pressure, look->count,
            trail_pressure_oldest(pressure, look->oldest, look->newest, look->oldest_at_ns),
            watch->admitted);
    if (look->count >= COUNT_OFTEN && watch->ticks % COUNT_TICKS != 0)
        return;
    watch->admitted = trail_pressure_admitted(watch->options.pressure);
    ask(&watch->count, watch->options.store, count_run, false);
}

/* Of what is wrong, what came first: the store's own word, no answer, a commit that does not end.
 */
static enum err err_of_log(struct trail_watch *watch)
{
    struct store *log = watch->options.log;
    int64_t stall_ns = LIMIT_STORE_STALL_MS * CLOCK_NS_PER_MS;
    enum err err = store_ready(log);

    if (err)
        return err;
    if (is_busy(&watch->ask) && now_ns() - watch->ask.asked_ns > stall_ns)
        return ERR_STORE_SLOW;
    return store_stalled_ns(log) > stall_ns ? ERR_STORE_SLOW : ERR_OK;
}

static void look_at_log(struct trail_watch *watch)
{
    if (!is_busy(&watch->ask) && take(&watch->ask) && watch->ask.err == ERR_OK)
        trail_pressure_head(watch->options.pressure, watch->head_ns);
    if (!is_busy(&watch->ask) && now_ns() - watch->ask.asked_ns > ASK_MS * CLOCK_NS_PER_MS)
        ask(&watch->ask, watch->options.log, ask_run, false);
}

static bool is_quick(const struct question *question)
{
    return question->err == ERR_OK && question->took_ns < QUICK_MS * CLOCK_NS_PER_MS;
}

/* change of nothing -> quick and well -> the event -> committed: all is well */
static void tell(struct trail_watch *watch, const struct trail_pressure_time *over)
{
    if (is_busy(&watch->tell) || is_busy(&watch->probe))
        return;
    if (take(&watch->probe) && is_quick(&watch->probe)) {
        watch->told = *over;
        ask(&watch->tell, watch->options.log, tell_run, true);
    } else if (now_ns() - watch->probe.asked_ns > TELL_MS * CLOCK_NS_PER_MS) {
        ask(&watch->probe, watch->options.log, probe_run, true);
    }
}

static void tick(struct trail_watch *watch)
{
    struct trail_pressure_time over = {0};

    store_refuse_stalled(watch->options.store);
    if (is_apart(watch)) {
        store_refuse_stalled(watch->options.log);
        look_at_outbox(watch);
    }
    look_at_log(watch);
    if (take(&watch->tell) && watch->tell.err == ERR_OK)
        trail_pressure_told(watch->options.pressure);
    if (trail_pressure_note(watch->options.pressure, err_of_log(watch), &over))
        tell(watch, &over);
    watch->ticks++;
}

/* ---- the thread ---- */

/* False when it is time to stop. */
static bool wait_tick(struct trail_watch *watch)
{
    int64_t until_ns = now_ns() + TICK_MS * CLOCK_NS_PER_MS;
    const struct timespec until = {.tv_sec = until_ns / CLOCK_NS_PER_S,
                                   .tv_nsec = (long)(until_ns % CLOCK_NS_PER_S)};
    int timed_out = 0;
    bool stopping;

    lock(watch);
    while (!watch->stopping && timed_out == 0)
        timed_out = pthread_cond_timedwait(&watch->wake, &watch->lock, &until);
    stopping = watch->stopping;
    unlock(watch);
    return !stopping;
}

static void *watch_thread(void *context)
{
    struct trail_watch *watch = context;

    do
        tick(watch);
    while (wait_tick(watch));
    return NULL;
}

static void watch_free(struct trail_watch *watch)
{
    (void)pthread_cond_destroy(&watch->wake);
    (void)pthread_mutex_destroy(&watch->lock);
    alloc_free(watch);
}

static void init(struct trail_watch *watch, const struct trail_watch_options *options)
{
    struct question *const questions[] = {&watch->count, &watch->ask, &watch->probe, &watch->tell};
    pthread_condattr_t attr;

    watch->options = *options;
    for (size_t i = 0; i < PC_COUNT(questions); i++)
        questions[i]->watch = watch;
    PC_ASSERT(pthread_mutex_init(&watch->lock, NULL) == 0);
    PC_ASSERT(pthread_condattr_init(&attr) == 0);
    PC_ASSERT(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    PC_ASSERT(pthread_cond_init(&watch->wake, &attr) == 0);
    PC_ASSERT(pthread_condattr_destroy(&attr) == 0);
}

enum err trail_watch_start(const struct trail_watch_options *options, struct trail_watch **ret)
{
    struct trail_watch *watch = alloc_zero(sizeof(*watch));

    if (watch == NULL)
        return ERR_NO_MEMORY;
    init(watch, options);
    if (pthread_create(&watch->thread, NULL, watch_thread, watch) != 0) {
        watch_free(watch);
        return ERR_NO_MEMORY;
    }
    (void)pthread_setname_np(watch->thread, "audit-watch");
    *ret = watch;
    return ERR_OK;
}

void trail_watch_stop(struct trail_watch *watch)
{
    if (watch == NULL)
        return;
    lock(watch);
    watch->stopping = true;
    PC_ASSERT(pthread_cond_signal(&watch->wake) == 0);
    unlock(watch);
    PC_ASSERT(pthread_join(watch->thread, NULL) == 0);
    lock(watch);
    while (watch->count.busy || watch->ask.busy || watch->probe.busy || watch->tell.busy)
        PC_ASSERT(pthread_cond_wait(&watch->wake, &watch->lock) == 0);
    unlock(watch);
    watch_free(watch);
}
