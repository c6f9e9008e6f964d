/* SPDX-License-Identifier: MIT
 * The looks, and the jobs between them. monitor_watch_tell.c writes what is answered. */
#include "monitor/monitor_watch.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "monitor/monitor_watch_priv.h"

enum {
    LOOK_MS = 500,
    REPORT_MS = 1500, /* also how soon a store that takes no writes is noticed */
    READ_MS = 2000,
    MEASURE_MS = 60000, /* PostgreSQL looks at each of a database's files for its size */
    SWEEP_MS = 60000,
    TASK_BYTES_MAX = 8 * 1024 * 1024,
    LOOK_BYTES_MAX = 4 * 1024 * 1024,
    UNTOLD_WAIT_S = 900,
};

#define NS_PER_DAY (INT64_C(86400) * CLOCK_NS_PER_S)

/* ---- jobs of the store ------------------------------------------------------------------------
 */

static enum err run_report(struct store_conn *conn, struct store_job *job)
{
    struct monitor_task *task = PC_CONTAINER(job, struct monitor_task, job);
    const struct monitor_watch *watch = task->watch;

    return monitor_node_write(conn, span_from(watch->node), task->asked_ns, false, task->report);
}

static enum err run_read(struct store_conn *conn, struct store_job *job)
{
    struct monitor_task *task = PC_CONTAINER(job, struct monitor_task, job);
    enum err err;

    arena_reset(&task->arena); /* it may run again */
    task->adopted_count = 0;
    err = monitor_node_rows(conn, &task->arena, &task->rows, &task->row_count, &task->more_rows);
    if (!err)
        err = monitor_watch_last_id(conn, &task->tally_id);
    if (!err)
        err = monitor_alert_tally(conn, &task->tally);
    if (!err && task->measures)
        err = monitor_store_bytes(conn, &task->bytes);
    if (!err)
        err = trail_tree_read(conn, &task->tree, &task->tree_at);
    if (!err && !task->watch->adopted)
        err = monitor_watch_adoptable(conn, span_from(task->watch->node), &task->arena,
                                      &task->adopted, &task->adopted_count);
    return err;
}

static enum err run_tell(struct store_conn *conn, struct store_job *job)
{
    struct monitor_task *task = PC_CONTAINER(job, struct monitor_task, job);

    return monitor_inner_tell(conn, &task->telling, task->asked_ns, &task->arena);
}

/* Alertmanager tells a node that was away what it missed: until then nothing is over for that. */
static int64_t untold_ns(const struct monitor_task *task)
{
    const struct monitor_watch *watch = task->watch;
    bool is_new = task->begun_ns - watch->started_ns < UNTOLD_WAIT_S * CLOCK_NS_PER_S;

    return is_new ? 0 : watch->options.stale_after_s * CLOCK_NS_PER_S;
}

static enum err run_sweep(struct store_conn *conn, struct store_job *job)
{
    struct monitor_task *task = PC_CONTAINER(job, struct monitor_task, job);
    const struct monitor_keep keep = {.resolved_ns = task->watch->options.keep_days * NS_PER_DAY,
                                      .untold_ns = untold_ns(task)};
    enum err err = monitor_node_sweep(conn, task->asked_ns);

    return err ? err : monitor_alert_sweep(conn, &keep, task->asked_ns, &task->more);
}

static void task_done(struct store_job *job)
{
    struct monitor_task *task = PC_CONTAINER(job, struct monitor_task, job);
    struct monitor_watch *watch = task->watch;

    monitor_watch_lock(watch);
    task->state = TASK_DONE;
    PC_ASSERT(pthread_cond_broadcast(&watch->wake) == 0);
    monitor_watch_unlock(watch);
}

static const struct {
    store_run_fn *run;
    bool writes;
} kinds[TASK_COUNT] = {[TASK_REPORT] = {run_report, true},
                       [TASK_READ] = {run_read, false},
                       [TASK_TELL] = {run_tell, true},
                       [TASK_SWEEP] = {run_sweep, true}};

static enum monitor_task_state task_state(struct monitor_watch *watch,
                                          const struct monitor_task *task)
{
    enum monitor_task_state state;

    monitor_watch_lock(watch);
    state = task->state;
    monitor_watch_unlock(watch);
    return state;
}

static void set_state(struct monitor_watch *watch, struct monitor_task *task,
                      enum monitor_task_state state)
{
    monitor_watch_lock(watch);
    task->state = state;
    monitor_watch_unlock(watch);
}

static void start_task(struct monitor_watch *watch, enum monitor_task_kind kind)
{
    struct monitor_task *task = &watch->tasks[kind];
    struct store *store = watch->options.store;
    enum err err;

    task->job = (struct store_job){.run = kinds[kind].run, .done = task_done};
    task->begun_ns = watch->now_ns;
    task->asked_ns = watch->real_ns;
    set_state(watch, task, TASK_BUSY);
    err = kinds[kind].writes ? store_write(store, &task->job) : store_read(store, &task->job);
    if (err) {
        task->job.err = err;
        set_state(watch, task, TASK_DONE);
    }
}

static bool is_due(struct monitor_watch *watch, enum monitor_task_kind kind, int64_t period_ms)
{
    const struct monitor_task *task = &watch->tasks[kind];

    return task_state(watch, task) == TASK_IDLE &&
           (task->begun_ns == 0 || watch->now_ns - task->begun_ns >= period_ms * CLOCK_NS_PER_MS);
}

/* ---- collecting -------------------------------------------------------------------------------
 */

/* Told once each time that it begins: the oldest of those that stopped, or are missing, are not
 * seen any more. */
static void tell_cut(struct monitor_watch *watch, bool cut)
{
    if (cut && !watch->nodes_cut)
        log_warn(watch->options.logger, "nodes_not_seen",
                 LOG_I64("seen", (int64_t)MONITOR_NODES_MAX));
    watch->nodes_cut = cut;
}

static void take_read(struct monitor_watch *watch, struct monitor_task *task)
{
    tell_cut(watch, task->more_rows);
    monitor_watch_lock(watch);
    monitor_nodes_take(&watch->nodes, task->rows, task->row_count, watch->now_ns, watch->real_ns);
    watch->tally = task->tally;
    watch->tally_id = task->tally_id;
    watch->has_tally = true;
    monitor_watch_unlock(watch);
    watch->tree_size = (int64_t)task->tree.size;
    if (task->measures) {
        watch->bytes = task->bytes;
        watch->bytes_ns = watch->now_ns;
        watch->has_bytes = true;
    }
    for (size_t i = 0; !watch->adopted && i < task->adopted_count; i++)
        monitor_inner_adopt(watch->inner, &task->adopted[i], watch->real_ns);
    watch->adopted = true;
}

static void collect(struct monitor_watch *watch, enum monitor_task_kind kind)
{
    struct monitor_task *task = &watch->tasks[kind];
    bool done;

    monitor_watch_lock(watch);
    done = task->state == TASK_DONE;
    if (done)
        task->state = TASK_IDLE;
    monitor_watch_unlock(watch);
    if (!done)
        return;
    task->err = task->job.err;
    if (kind == TASK_READ && task->err == ERR_OK)
        take_read(watch, task);
    if (kind == TASK_TELL && task->err == ERR_OK)
        monitor_inner_told(watch->inner, &task->telling, watch->real_ns);
    if (kind == TASK_SWEEP)
        watch->sweeps_on = task->err == ERR_OK && task->more;
    arena_reset(&task->arena);
}

/* "ok", what went wrong last, or that there is no answer for too long. */
static struct span state_of(struct monitor_watch *watch, enum monitor_task_kind kind)
{
    const struct monitor_task *task = &watch->tasks[kind];

    if (task_state(watch, task) == TASK_BUSY &&
        watch->now_ns - task->begun_ns > NO_ANSWER_MS * CLOCK_NS_PER_MS)
        return SPAN_OF("no-answer");
    return task->err ? span_from(err_slug(task->err)) : SPAN_OF("ok");
}

/* ---- looking ----------------------------------------------------------------------------------
 */

static void fill_store(struct monitor_watch *watch, struct monitor_report *report)
{
    struct store *store = watch->options.store;
    struct store_stats stats;

    store_stats(store, &stats);
    report->store.kind =
        store_kind(store) == STORE_POSTGRES ? SPAN_OF("postgresql") : SPAN_OF("sqlite");
    report->store.place = span_from(store_shown(store));
    report->store.reads = state_of(watch, TASK_READ);
    report->store.writes = state_of(watch, TASK_REPORT);
    report->store.bytes = watch->bytes;
    report->store.has_bytes = watch->has_bytes;
    report->store.jobs_read = (int64_t)stats.reads;
    report->store.jobs_written = (int64_t)stats.writes;
    report->store.commits = (int64_t)stats.commits;
    report->store.failures = (int64_t)stats.failures;
    report->store.retries = (int64_t)stats.retries;
    report->store.reconnects = (int64_t)stats.reconnects;
    report->store.unknown = (int64_t)stats.unknown;
    if (watch->options.store_queue_max > 0) {
        monitor_report_queue(report, "store.reads", stats.reads_queued,
                             watch->options.store_queue_max);
        monitor_report_queue(report, "store.writes", stats.writes_queued,
                             watch->options.store_queue_max);
    }
}

/* A keeper that does not see what the store has had for long does not look any more. Where the log
 * has a database of its own, this store has no tree. */
static void look_at_keeper(struct monitor_watch *watch, struct monitor_report *report)
{
    struct monitor_audit *audit = &report->audit;

    if (audit->has_outbox || !audit->has_tree || audit->tree_size >= watch->tree_size)
        watch->behind_ns = 0;
    else if (watch->behind_ns == 0)
        watch->behind_ns = watch->now_ns;
    if (watch->behind_ns == 0)
        return;
    audit->tree_size = watch->tree_size;
    if (watch->now_ns - watch->behind_ns > MONITOR_LAG_MS_MAX * CLOCK_NS_PER_MS)
        audit->keeper = SPAN_OF("stopped");
}

static void fill(struct monitor_watch *watch, struct monitor_report *report)
{
    report->node = span_from(watch->node);
    report->version = span_from(watch->version);
    report->reported_at = watch->real_ns;
    report->started_at = watch->started_at;
    report->uptime_s = (watch->now_ns - watch->started_ns) / CLOCK_NS_PER_S;
    monitor_watch_lock(watch);
    report->configuration = arena_copy(report->arena, span_from(watch->configuration));
    monitor_watch_unlock(watch);
    fill_store(watch, report);
    for (size_t i = 0; i < watch->options.probe_count; i++)
        watch->options.probes[i].look(watch->options.probes[i].context, report);
    look_at_keeper(watch, report);
    monitor_traffic_look(watch->traffic, watch->now_ns);
    monitor_traffic_tell(watch->traffic, report);
    monitor_judge_services(report);
}

static void judge(struct monitor_watch *watch, const struct monitor_report *report,
                  struct monitor_findings *findings)
{
    monitor_judge(report, findings);
    findings->knows_nodes = monitor_nodes_known(&watch->nodes);
    for (size_t i = 0; i < watch->nodes.count; i++) {
        const struct monitor_node *node = &watch->nodes.list[i];

        if (!span_is(report->node, node->name) && monitor_node_state(node) == MONITOR_NODE_MISSING)
            monitor_judge_missing(report, span_from(node->name), findings);
    }
}

static void finish(struct monitor_watch *watch, struct monitor_report *report)
{
    size_t firing, critical;

    monitor_inner_tally(watch->inner, &firing, &critical);
    report->alerts = (int64_t)firing;
    report->health = critical > 0 ? SPAN_OF("failing")
                     : firing > 0 ? SPAN_OF("degraded")
                                  : SPAN_OF("ok");
    report->service_list =
        (struct json_list){.items = report->services, .count = report->service_count};
    report->queue_list = (struct json_list){.items = report->queues, .count = report->queue_count};
    report->expiry_list =
        (struct json_list){.items = report->expiries, .count = report->expiry_count};
    report->breaker_list =
        (struct json_list){.items = report->breakers, .count = report->breaker_count};
}

/* A report with at most so many routes of each service; full: it is too long. */
struct draft {
    struct monitor_report *report;
    size_t counts[MONITOR_SERVICES_MAX]; /* of routes that there are */
    char *room;
    size_t bytes;
};

static struct sbuf write_draft(struct draft *draft, size_t most)
{
    struct sbuf out = sbuf_over(draft->room, draft->bytes);

    for (size_t i = 0; i < draft->report->service_count; i++)
        draft->report->services[i].routes.count = draft->counts[i] < most ? draft->counts[i] : most;
    json_write(&out, &monitor_report_schema, draft->report);
    return out;
}

/* With as many routes as make it short enough: the busiest, which come first, stay. */
static struct span write_report(struct monitor_report *report)
{
    struct draft draft = {.report = report,
                          .room = arena_bytes(report->arena, MONITOR_REPORT_BYTES_MAX)};
    size_t fits = 0, too_many = MONITOR_ROUTES_MAX;
    struct sbuf out;

    draft.bytes = draft.room != NULL ? MONITOR_REPORT_BYTES_MAX : 0;
    for (size_t i = 0; i < report->service_count; i++)
        draft.counts[i] = report->services[i].routes.count;
    out = write_draft(&draft, too_many);
    if (!out.full)
        return sbuf_span(&out);
    while (too_many - fits > 1) {
        size_t most = (fits + too_many) / 2;

        out = write_draft(&draft, most);
        *(out.full ? &too_many : &fits) = most;
    }
    out = write_draft(&draft, fits);
    return out.full ? (struct span){0} : sbuf_span(&out);
}

static void publish(struct monitor_watch *watch, struct span report)
{
    if (report.len == 0 || report.len > sizeof(watch->own))
        return;
    monitor_watch_lock(watch);
    memcpy(watch->own, report.ptr, report.len);
    watch->own_bytes = report.len;
    watch->own_at = watch->real_ns;
    monitor_watch_unlock(watch);
}

static void look(struct monitor_watch *watch)
{
    struct monitor_report *report = arena_zero(&watch->arena, sizeof(*report));
    struct monitor_findings *findings = arena_zero(&watch->arena, sizeof(*findings));
    enum err err;

    if (report == NULL || findings == NULL)
        return;
    report->arena = &watch->arena;
    fill(watch, report);
    judge(watch, report, findings);
    err = monitor_inner_look(watch->inner, findings, watch->real_ns, &watch->arena);
    if (err)
        log_error(watch->options.logger, "watch_failed", LOG_ERR("error", err));
    finish(watch, report);
    if (!watch->arena.overflowed)
        publish(watch, write_report(report));
}

/* ---- asking -----------------------------------------------------------------------------------
 */

static void ask_report(struct monitor_watch *watch)
{
    struct monitor_task *task = &watch->tasks[TASK_REPORT];

    if (!is_due(watch, TASK_REPORT, REPORT_MS))
        return;
    task->report = arena_copy(&task->arena, span_make(watch->own, watch->own_bytes));
    if (task->report.len > 0)
        start_task(watch, TASK_REPORT);
}

static void ask_read(struct monitor_watch *watch)
{
    if (!is_due(watch, TASK_READ, READ_MS))
        return;
    watch->tasks[TASK_READ].measures =
        !watch->has_bytes || watch->now_ns - watch->bytes_ns >= MEASURE_MS * CLOCK_NS_PER_MS;
    start_task(watch, TASK_READ);
}

static void ask_tell(struct monitor_watch *watch)
{
    struct monitor_task *task = &watch->tasks[TASK_TELL];

    if (!is_due(watch, TASK_TELL, LOOK_MS) || !watch->adopted)
        return;
    if (monitor_inner_untold(watch->inner, watch->real_ns, &task->arena, &task->telling) ==
            ERR_OK &&
        task->telling.count > 0)
        start_task(watch, TASK_TELL);
    else
        arena_reset(&task->arena);
}

void monitor_watch_look(struct monitor_watch *watch)
{
    watch->now_ns = clock_monotonic_ns(watch->options.clock);
    watch->real_ns = clock_realtime_ns(watch->options.clock);
    for (enum monitor_task_kind i = 0; i < TASK_COUNT; i++)
        collect(watch, i);
    look(watch);
    arena_reset(&watch->arena);
    ask_report(watch);
    ask_read(watch);
    ask_tell(watch);
    if (is_due(watch, TASK_SWEEP, watch->sweeps_on ? 0 : SWEEP_MS))
        start_task(watch, TASK_SWEEP);
}

void monitor_watch_settle(struct monitor_watch *watch)
{
    monitor_watch_lock(watch);
    for (size_t i = 0; i < TASK_COUNT; i++) {
        while (watch->tasks[i].state == TASK_BUSY)
            PC_ASSERT(pthread_cond_wait(&watch->wake, &watch->lock) == 0);
    }
    monitor_watch_unlock(watch);
}

void monitor_watch_configuration(struct monitor_watch *watch, struct span hash)
{
    hash = span_slice(hash, 0, sizeof(watch->configuration) - 1);
    monitor_watch_lock(watch);
    memset(watch->configuration, 0, sizeof(watch->configuration));
    if (hash.len > 0)
        memcpy(watch->configuration, hash.ptr, hash.len);
    monitor_watch_unlock(watch);
}

/* ---- the thread -------------------------------------------------------------------------------
 */

/* False when it is time to stop. */
static bool wait_look(struct monitor_watch *watch)
{
    int64_t until_ns = clock_monotonic_ns(&clock_system) + LOOK_MS * CLOCK_NS_PER_MS;
    const struct timespec until = {.tv_sec = until_ns / CLOCK_NS_PER_S,
                                   .tv_nsec = (long)(until_ns % CLOCK_NS_PER_S)};
    int timed_out = 0;
    bool stopping;

    monitor_watch_lock(watch);
    while (!watch->stopping && timed_out == 0)
        timed_out = pthread_cond_timedwait(&watch->wake, &watch->lock, &until);
    stopping = watch->stopping;
    monitor_watch_unlock(watch);
    return !stopping;
}

static void *watch_thread(void *context)
{
    struct monitor_watch *watch = context;

    do
        monitor_watch_look(watch);
    while (wait_look(watch));
    return NULL;
}

enum err monitor_watch_start(struct monitor_watch *watch)
{
    PC_ASSERT(!watch->running);
    if (pthread_create(&watch->thread, NULL, watch_thread, watch) != 0)
        return ERR_NO_MEMORY;
    (void)pthread_setname_np(watch->thread, "watcher");
    watch->running = true;
    return ERR_OK;
}

static enum err run_farewell(struct store_conn *conn, struct store_job *job)
{
    const struct monitor_watch *watch = job->context;

    return monitor_node_write(conn, span_from(watch->node), clock_realtime_ns(watch->options.clock),
                              true, span_make(watch->own, watch->own_bytes));
}

void monitor_watch_stop(struct monitor_watch *watch)
{
    if (!watch->running)
        return;
    monitor_watch_lock(watch);
    watch->stopping = true;
    PC_ASSERT(pthread_cond_broadcast(&watch->wake) == 0);
    monitor_watch_unlock(watch);
    PC_ASSERT(pthread_join(watch->thread, NULL) == 0);
    watch->running = false;
    monitor_watch_settle(watch);
    if (watch->tasks[TASK_REPORT].job.err == ERR_OK && watch->own_bytes > 0 &&
        store_do(watch->options.store, run_farewell, watch, true) != ERR_OK)
        log_warn(watch->options.logger, "farewell_failed", LOG_STRING("node", watch->node));
}

/* ---- making -----------------------------------------------------------------------------------
 */

static void init_threads(struct monitor_watch *watch)
{
    pthread_condattr_t attr;

    PC_ASSERT(pthread_mutex_init(&watch->lock, NULL) == 0);
    PC_ASSERT(pthread_condattr_init(&attr) == 0);
    PC_ASSERT(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    PC_ASSERT(pthread_cond_init(&watch->wake, &attr) == 0);
    PC_ASSERT(pthread_condattr_destroy(&attr) == 0);
}

static void keep_text(char *room, size_t bytes, struct span text)
{
    text = monitor_text_cut(text, bytes - 1);
    if (text.len > 0)
        memcpy(room, text.ptr, text.len);
}

enum err monitor_watch_new(const struct monitor_options *options, struct monitor_inner *inner,
                           struct monitor_watch **ret_watch)
{
    struct monitor_watch *watch = alloc_zero(sizeof(*watch));
    enum err err;

    if (watch == NULL)
        return ERR_NO_MEMORY;
    init_threads(watch);
    watch->options = *options;
    watch->inner = inner;
    watch->started_ns = clock_monotonic_ns(options->clock);
    watch->started_at = clock_realtime_ns(options->clock);
    keep_text(watch->node, sizeof(watch->node), options->node);
    keep_text(watch->version, sizeof(watch->version), options->version);
    arena_init(&watch->arena, NULL, 0, LOOK_BYTES_MAX);
    for (size_t i = 0; i < TASK_COUNT; i++) {
        watch->tasks[i].watch = watch;
        arena_init(&watch->tasks[i].arena, NULL, 0, TASK_BYTES_MAX);
    }
    monitor_watch_configuration(watch, options->configuration);
    err = monitor_traffic_new(options->metrics, &watch->traffic);
    if (err) {
        monitor_watch_free(watch);
        return err;
    }
    *ret_watch = watch;
    return ERR_OK;
}

void monitor_watch_free(struct monitor_watch *watch)
{
    if (watch == NULL)
        return;
    monitor_watch_stop(watch);
    monitor_watch_settle(watch);
    for (size_t i = 0; i < TASK_COUNT; i++)
        arena_reset(&watch->tasks[i].arena);
    arena_reset(&watch->arena);
    monitor_nodes_clear(&watch->nodes);
    monitor_traffic_free(watch->traffic);
    (void)pthread_cond_destroy(&watch->wake);
    (void)pthread_mutex_destroy(&watch->lock);
    alloc_free(watch);
}
