/* SPDX-License-Identifier: MIT
 * What the store's threads do: readers run one job after the other; a writer takes whatever waits
 * and commits it together, since one fsync costs more than a hundred small changes.
 *
 *   batch_run: BEGIN -> job, SAVEPOINT, job, SAVEPOINT, ... -> COMMIT -> done for each
 *                |            |                                  |
 *                |            +-- the transaction is lost --+    +-- refused: jobs_alone
 *                |                                          v    +-- failed: all get the error
 *                +-- cannot begin: all get the error    jobs_alone: a transaction for each, tried
 *                                                       again within LIMIT_STORE_TRIES_MAX
 *
 * What the jobs left for the seal is written behind the last of them (store_seal.c).
 *
 * A job that fails alone is rolled back to its savepoint and disturbs nobody. Jobs that ask to be
 * run together have a transaction without savepoints: group_run, and jobs_alone when it is refused.
 * Nothing is run again once a COMMIT was sent and its answer stayed away. */
#include "store/store_priv.h"

#include <time.h>

#include "base/limits.h"

enum {
    PING_MS = 5000,  /* how often an idle store is asked whether it is there */
    PROBE_MS = 1000, /* and one that is in trouble */
};

static struct store_job *job_of(struct queue_item *item)
{
    return item == NULL ? NULL : PC_CONTAINER(item, struct store_job, link);
}

static struct store_job *next_of(struct store_job *job)
{
    return job_of(job->link.next);
}

bool store_is_trouble(enum err err)
{
    return err == ERR_STORE_UNAVAILABLE || err == ERR_STORE_READ_ONLY || err == ERR_STORE_FULL ||
           err == ERR_STORE_CORRUPT || err == ERR_STORE_VERSION;
}

static void count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* ---- What the jobs tell about the store --------------------------------------------------- */

/* Says so once when trouble comes and once when it goes. */
static void note(struct store_worker *worker, _Atomic int *state, enum err err)
{
    struct store *store = worker->store;
    int now = store_is_trouble(err) ? (int)err : ERR_OK;
    int before = atomic_exchange(state, now);
    const char *what = state == &store->read_state ? "read" : "write";

    if (now != before && now != ERR_OK)
        store_log_trouble(&worker->conn, what, err);
    else if (now != before)
        store_log_recovered(store, what);
}

static void settle(struct store_worker *worker, struct store_job *job, enum err err)
{
    struct store *store = worker->store;

    job->err = err;
    job->unknown = err && worker->conn.sent;
    if (job->unknown)
        count(&store->unknown, 1);
    if (store_is_trouble(err) || err == ERR_BUSY || err == ERR_STORE_RETRY || err == ERR_INTERNAL)
        count(&store->failures, 1);
}

/* A short wait that differs from thread to thread, so that two do not collide for ever. */
static void pause_before(struct store_worker *worker, size_t try)
{
    struct timespec wait = {0};

    worker->jitter = worker->jitter * 1103515245U + 12345U;
    wait.tv_nsec = (long)((1U << try) + (worker->jitter >> 16) % (2U << try)) * 1000000L;
    (void)nanosleep(&wait, NULL);
}

/* How a transaction ended. */
enum ending {
    END_DONE,
    END_REFUSED, /* rolled back */
    END_LOST,    /* and so was the connection, before COMMIT was sent */
    END_ABORTED, /* ... after that; but the server says that it was rolled back */
    END_UNKNOWN,
};

/* Leaves nothing open, and knows what can be known: what was asked is not asked twice. */
static enum ending ending_of(struct store_worker *worker, enum err err)
{
    struct store_conn *conn = &worker->conn;
    bool lost = conn->broken;
    enum store_fate fate;

    if (err == ERR_OK)
        return END_DONE;
    if (!conn->sent) {
        store_conn_rollback(conn);
        return lost ? END_LOST : END_REFUSED;
    }
    fate = store_conn_fate(conn);
    if (fate == STORE_FATE_UNKNOWN)
        return END_UNKNOWN;
    count(&worker->store->learned, 1);
    conn->sent = false;
    return fate == STORE_FATE_COMMITTED ? END_DONE : END_ABORTED;
}

/* Serialization failures a few times, a lost connection once. */
static bool worth_again(enum ending ending, enum err err, size_t try)
{
    if (ending == END_UNKNOWN)
        return false;
    if (err == ERR_STORE_RETRY)
        return try + 1 < LIMIT_STORE_TRIES_MAX;
    return (ending == END_LOST || ending == END_ABORTED) && try == 0;
}

/* ---- One job, one transaction ------------------------------------------------------------- */

static enum store_control frame_of(const struct store_job *job, bool write)
{
    if (!write)
        return STORE_BEGIN_SNAPSHOT;
    return job->together != NULL ? STORE_BEGIN_TOGETHER : STORE_BEGIN;
}

/* No frame: a single statement is a transaction by itself. */
static enum err run_framed(struct store_conn *conn, struct store_job *job, bool write)
{
    bool framed = write || job->snapshot;
    enum err err = ERR_OK;

    conn->sent = false;
    if (framed)
        err = store_conn_control(conn, frame_of(job, write));
    if (err == ERR_OK)
        err = store_conn_run(conn, &job, 1);
    if (err == ERR_OK && write)
        err = store_seal_run(conn);
    if (err == ERR_OK && framed)
        err = store_conn_control(conn, STORE_COMMIT);
    if (!write)
        conn->sent = false; /* nothing hangs on it */
    return err;
}

static enum err run_alone(struct store_worker *worker, struct store_job *job, bool write)
{
    struct store_conn *conn = &worker->conn;
    enum ending ending;
    bool fresh;
    enum err err;

    for (size_t try = 0;; try++) {
        err = store_conn_ready(conn, &fresh);
        if (err) {
            conn->sent = false;
            return err;
        }
        err = run_framed(conn, job, write);
        ending = ending_of(worker, err);
        if (ending == END_DONE)
            return ERR_OK;
        if (!worth_again(ending, err, try))
            return err;
        count(&worker->store->retries, 1);
        if (err == ERR_STORE_RETRY)
            pause_before(worker, try);
    }
}

static void alone(struct store_worker *worker, struct store_job *job)
{
    enum err err = run_alone(worker, job, true);

    if (err == ERR_OK)
        count(&worker->store->commits, 1);
    settle(worker, job, err);
    note(worker, &worker->store->write_state, err);
}

static void jobs_alone(struct store_worker *worker, struct store_job *first)
{
    for (struct store_job *job = first; job != NULL; job = next_of(job))
        alone(worker, job);
}

/* ---- Many jobs, one transaction ----------------------------------------------------------- */

enum phase { PHASE_BEGIN, PHASE_JOBS, PHASE_SEAL, PHASE_COMMIT };

static enum err batch_jobs(struct store_conn *conn, struct store_job *first)
{
    enum err err = ERR_OK;

    for (struct store_job *job = first; job != NULL && !err; job = next_of(job)) {
        size_t mark = store_seal_mark(conn);

        job->err = store_conn_run(conn, &job, 1);
        if (job->err == ERR_STORE_RETRY || conn->broken || !conn->driver->in_transaction(conn))
            return job->err ? job->err : ERR_STORE_RETRY;
        if (job->err) {
            store_seal_undo(conn, mark);
            err = store_conn_control(conn, STORE_UNDO);
        } else if (next_of(job) != NULL) {
            err = store_conn_control(conn, STORE_NEXT);
        }
    }
    return err;
}

static enum err batch_try(struct store_conn *conn, struct store_job *first, enum phase *ret_phase)
{
    enum err err;

    *ret_phase = PHASE_BEGIN;
    err = store_conn_control(conn, STORE_BEGIN_BATCH);
    if (err)
        return err;
    *ret_phase = PHASE_JOBS;
    err = batch_jobs(conn, first);
    if (err)
        return err;
    *ret_phase = PHASE_SEAL;
    err = store_seal_run(conn);
    if (err)
        return err;
    *ret_phase = PHASE_COMMIT;
    return store_conn_control(conn, STORE_COMMIT);
}

static void batch_settle(struct store_worker *worker, struct store_job *first, enum err err)
{
    enum err trouble = err;

    for (struct store_job *job = first; job != NULL; job = next_of(job)) {
        settle(worker, job, err ? err : job->err);
        if (store_is_trouble(job->err))
            trouble = job->err;
    }
    note(worker, &worker->store->write_state, trouble);
}

/* Whether the fault lies with none of the jobs: then all of them fail, rather than each once more
 * and for as long. */
static bool is_nobodys(enum err err)
{
    return store_is_trouble(err) || err == ERR_BUSY || err == ERR_AUDIT_BEHIND;
}

/* Whether jobs that failed together may do better one by one. */
static bool worth_alone(enum ending ending, enum err err, enum phase phase)
{
    if (ending == END_UNKNOWN)
        return false;
    if (phase == PHASE_BEGIN)
        return ending == END_LOST; /* the connection was stale */
    if (phase == PHASE_JOBS || ending == END_ABORTED)
        return true;
    if (phase == PHASE_SEAL) /* it may be what one of them left */
        return ending == END_LOST || !is_nobodys(err);
    return err == ERR_STORE_RETRY || err == ERR_STORE_UNIQUE || err == ERR_STORE_CONSTRAINT;
}

static void batch_run(struct store_worker *worker, struct store_job *first)
{
    struct store_conn *conn = &worker->conn;
    enum ending ending;
    enum phase phase;
    bool fresh;
    enum err err;

    conn->sent = false;
    err = store_conn_ready(conn, &fresh);
    if (err) {
        batch_settle(worker, first, err);
        return;
    }
    err = batch_try(conn, first, &phase);
    ending = ending_of(worker, err);
    if (ending == END_DONE) {
        count(&worker->store->commits, 1);
        batch_settle(worker, first, ERR_OK);
        return;
    }
    if (worth_alone(ending, err, phase)) {
        count(&worker->store->retries, 1);
        jobs_alone(worker, first);
        return;
    }
    batch_settle(worker, first, err);
}

/* ---- A group: many jobs, one call --------------------------------------------------------- */

static enum err group_try(struct store_worker *worker, struct store_job *first,
                          enum phase *ret_phase)
{
    struct store_conn *conn = &worker->conn;
    size_t jobs = 0;
    enum err err;

    for (struct store_job *job = first; job != NULL; job = next_of(job)) {
        job->err = ERR_OK;
        worker->group[jobs++] = job;
    }
    *ret_phase = PHASE_BEGIN;
    err = store_conn_control(conn, STORE_BEGIN_TOGETHER);
    if (err)
        return err;
    *ret_phase = PHASE_JOBS;
    err = store_conn_run(conn, worker->group, jobs);
    if (err)
        return err;
    *ret_phase = PHASE_SEAL;
    err = store_seal_run(conn);
    if (err)
        return err;
    *ret_phase = PHASE_COMMIT;
    return store_conn_control(conn, STORE_COMMIT);
}

static void group_run(struct store_worker *worker, struct store_job *first)
{
    struct store_conn *conn = &worker->conn;
    enum ending ending = END_REFUSED;
    enum phase phase = PHASE_BEGIN;
    bool fresh;
    enum err err;

    for (size_t try = 0;; try++) {
        conn->sent = false;
        err = store_conn_ready(conn, &fresh);
        if (err)
            break;
        err = group_try(worker, first, &phase);
        ending = ending_of(worker, err);
        if (ending == END_DONE || try > 0 || !worth_again(ending, err, try))
            break;
        count(&worker->store->retries, 1);
    }
    if (ending == END_DONE) {
        count(&worker->store->commits, 1);
        err = ERR_OK;
    } else if (!is_nobodys(err) && worth_alone(ending, err, phase)) {
        count(&worker->store->retries, 1);
        jobs_alone(worker, first);
        return;
    }
    batch_settle(worker, first, err);
}

/* ---- Sharing out what was taken ----------------------------------------------------------- */

static uint32_t weight_of(const struct store_job *job)
{
    return job->weight != 0 ? job->weight : 1;
}

static bool is_company(const struct store_job *a, const struct store_job *b)
{
    return a->together == b->together && (a->together == NULL || a->group == b->group);
}

/* Unlinks from *list its first job and those that go with it, as many as may be run at once. */
static struct store_job *share_out(const struct store *store, struct store_job **list)
{
    struct store_job *first = *list;
    uint64_t weight_max =
        first->together != NULL ? LIMIT_STORE_WEIGHT_MAX : store->options.batch_max;
    uint64_t weight = 0;
    struct queue_item *rest = NULL;
    struct queue_item **rest_end = &rest;
    struct queue_item **end = NULL;
    bool full = false;

    for (struct store_job *job = first, *next; job != NULL; job = next) {
        uint32_t own = first->together != NULL ? weight_of(job) : 1;
        bool goes = !full && is_company(first, job);

        next = next_of(job);
        if (goes && end != NULL && weight + own > weight_max)
            full = true, goes = false; /* the order is kept: nobody overtakes */
        if (goes) {
            weight += own;
            if (end != NULL)
                *end = &job->link;
            end = &job->link.next;
        } else {
            *rest_end = &job->link;
            rest_end = &job->link.next;
        }
    }
    PC_ASSERT(end != NULL); /* the first one always goes */
    *end = NULL;
    *rest_end = NULL;
    *list = job_of(rest);
    return first;
}

/* ---- Asking an idle store ----------------------------------------------------------------- */

static enum err ping_run(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement ping = {
        .name = "store_ping",
        .sqlite = "SELECT count(*) FROM sqlite_schema",
        .postgres = "SELECT 1",
    };
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &ping, NULL, 0, &rows);

    (void)job;
    if (err)
        return err;
    return store_next(rows) ? ERR_OK : store_rows_end(rows, ERR_INTERNAL);
}

/* A real change, since only that shows whether the disk is still full. */
static enum err probe_run(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement probe = {
        .name = "store_probe",
        .sqlite = "UPDATE schema_migrations SET name = name WHERE number = 1",
    };

    (void)job;
    return store_exec(conn, &probe, NULL, 0, NULL);
}

static void ask(struct store_worker *worker, store_run_fn *run, bool write)
{
    struct store *store = worker->store;
    struct store_job job = {.run = run};
    enum err err = run_alone(worker, &job, write);

    /* A database without steps cannot be probed; it was there to say so. */
    note(worker, write ? &store->write_state : &store->read_state,
         err == ERR_INTERNAL ? ERR_OK : err);
}

/* ---- Threads ------------------------------------------------------------------------------ */

static int idle_ms(const struct store_worker *worker, const _Atomic int *state)
{
    if (atomic_load(state) != ERR_OK)
        return PROBE_MS;
    return worker->pings ? PING_MS : -1;
}

void *store_read_thread(void *context)
{
    struct store_worker *worker = context;
    struct store *store = worker->store;
    struct store_job *job;
    enum err err;

    for (;;) {
        job = job_of(queue_pop(worker->queue, idle_ms(worker, &store->read_state)));
        if (job == NULL && queue_is_closed(worker->queue))
            break;
        if (job == NULL) {
            ask(worker, ping_run, false);
            continue;
        }
        err = run_alone(worker, job, false);
        settle(worker, job, err);
        job->unknown = false;
        note(worker, &store->read_state, err);
        count(&store->reads_done, 1);
        job->done(job);
    }
    store_conn_close(&worker->conn);
    return NULL;
}

static void batch_done(struct store_worker *worker, struct store_job *first)
{
    uint64_t jobs = 0;

    for (struct store_job *job = first, *next; job != NULL; job = next, jobs++) {
        next = next_of(job); /* done may free the job */
        job->done(job);
    }
    count(&worker->store->writes_done, jobs);
    count(&worker->store->batches, 1);
    if (jobs > atomic_load_explicit(&worker->store->batch_jobs_max, memory_order_relaxed))
        atomic_store_explicit(&worker->store->batch_jobs_max, jobs, memory_order_relaxed);
}

/* With several writers one does not take the work of the others. */
static size_t take_max(const struct store *store)
{
    return store->options.writers > 1 ? store->options.batch_max : LIMIT_STORE_TAKE_MAX;
}

static void work(struct store_worker *worker, struct store_job *first)
{
    atomic_store(&worker->since_ns, clock_monotonic_ns(&clock_system));
    if (next_of(first) == NULL)
        alone(worker, first);
    else if (first->together != NULL)
        group_run(worker, first);
    else
        batch_run(worker, first);
    batch_done(worker, first);
    if (worker->conn.driver->tend != NULL)
        worker->conn.driver->tend(&worker->conn);
    atomic_store(&worker->since_ns, 0);
}

void *store_write_thread(void *context)
{
    struct store_worker *worker = context;
    struct store *store = worker->store;
    struct store_job *first;

    for (;;) {
        first = job_of(
            queue_pop_many(worker->queue, take_max(store), idle_ms(worker, &store->write_state)));
        if (first == NULL && queue_is_closed(worker->queue))
            break;
        if (first == NULL) {
            ask(worker, probe_run, true);
            continue;
        }
        while ((first = store_refuse_late(store, first)) != NULL)
            work(worker, share_out(store, &first));
    }
    store_conn_close(&worker->conn);
    return NULL;
}
