/* SPDX-License-Identifier: MIT
 * The store as its users see it: opened from options, fed with jobs, watched, closed. */
#include "store/store.h"

#include <semaphore.h>
#include <signal.h>

#include "base/alloc.h"
#include "store/store_priv.h"

enum {
    READERS_DEFAULT = 2,
    READERS_MAX = 16,
    WRITERS_MAX = 8,
    QUEUE_DEFAULT = 1024,
    BATCH_DEFAULT = 128,
    BATCH_DEFAULT_POSTGRES =
        60, /* beyond 64 savepoints each snapshot has to look them up on disk */
    BUSY_MS_DEFAULT = 5000,
    STATEMENT_MS_DEFAULT = 10000,
};

/* ---- Opening and closing ------------------------------------------------------------------ */

static size_t size_or(size_t value, size_t otherwise)
{
    return value != 0 ? value : otherwise;
}

static struct store_options with_defaults(const struct store_options *given)
{
    struct store_options options = *given;

    if (options.url.len == 0)
        options.url = SPAN_OF("sqlite:portcullis.db");
    if (options.data_dir == NULL || options.data_dir[0] == '\0')
        options.data_dir = "data";
    if (options.sslmode != NULL && options.sslmode[0] == '\0')
        options.sslmode = NULL;
    if (options.clock == NULL)
        options.clock = &clock_system;
    options.readers = size_or(options.readers, READERS_DEFAULT);
    options.writers = size_or(options.writers, 1);
    options.queue_max = size_or(options.queue_max, QUEUE_DEFAULT);
    options.busy_timeout_ms =
        options.busy_timeout_ms > 0 ? options.busy_timeout_ms : BUSY_MS_DEFAULT;
    options.statement_timeout_ms =
        options.statement_timeout_ms > 0 ? options.statement_timeout_ms : STATEMENT_MS_DEFAULT;
    PC_ASSERT(options.readers <= READERS_MAX && options.writers <= WRITERS_MAX);
    return options;
}

/* Takes copies of what the options point to. */
static enum err store_fill(struct store *store, const struct store_options *given,
                           struct store_fault *reterr)
{
    struct store_options *options = &store->options;
    bool postgres;
    enum err err;

    *options = with_defaults(given);
    arena_init(&store->arena, store->strings, sizeof(store->strings), 0);
    options->data_dir = arena_string(&store->arena, span_from(options->data_dir));
    if (options->sslmode != NULL)
        options->sslmode = arena_string(&store->arena, span_from(options->sslmode));
    if (store->arena.overflowed)
        return ERR_NO_MEMORY;
    err = store_target_read(options, &store->arena, &store->target, reterr);
    options->url = (struct span){0};
    if (err)
        return err;
    postgres = store->target.kind == STORE_POSTGRES;
    store->driver = postgres ? &store_postgres : &store_sqlite;
    options->writers = postgres ? options->writers : 1;
    options->batch_max =
        size_or(options->batch_max, postgres ? BATCH_DEFAULT_POSTGRES : BATCH_DEFAULT);
    err = queue_new(options->queue_max, &store->reads);
    if (err == ERR_OK)
        err = queue_new(options->queue_max, &store->writes);
    return err;
}

/* Signals are for the main thread. */
static bool start_thread(struct store_worker *worker, void *(*run)(void *))
{
    sigset_t all, before;
    int failed;

    (void)sigfillset(&all);
    PC_ASSERT(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    failed = pthread_create(&worker->thread, NULL, run, worker);
    PC_ASSERT(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    worker->started = !failed;
    return worker->started;
}

static enum err start_keeper(struct store *store)
{
    struct store_worker *keeper;

    if (store->driver->keep == NULL)
        return ERR_OK;
    keeper = store->keeper = alloc_zero(sizeof(*keeper));
    if (keeper == NULL)
        return ERR_NO_MEMORY;
    keeper->store = store;
    store_conn_init(&keeper->conn, store, STORE_KEEPER);
    if (!start_thread(keeper, store->driver->keep))
        return ERR_NO_MEMORY;
    (void)pthread_setname_np(keeper->thread, "store-keep");
    return ERR_OK;
}

static void stop_keeper(struct store *store)
{
    if (store->keeper != NULL && store->keeper->started) {
        atomic_store(&store->wal.stop, true);
        PC_ASSERT(sem_post(&store->wal.wanted) == 0);
        PC_ASSERT(pthread_join(store->keeper->thread, NULL) == 0);
    }
    alloc_free(store->keeper);
    (void)sem_destroy(&store->wal.wanted);
}

static enum err start_threads(struct store *store)
{
    for (size_t i = 0; i < store->worker_count; i++) {
        struct store_worker *worker = &store->workers[i];
        bool writes = i < store->options.writers;

        worker->queue = writes ? store->writes : store->reads;
        worker->pings = i == store->options.writers;
        worker->jitter = (unsigned)(i + 1) * 2654435761U;
        if (!start_thread(worker, writes ? store_write_thread : store_read_thread))
            return ERR_NO_MEMORY;
        (void)pthread_setname_np(worker->thread, writes ? "store-write" : "store-read");
    }
    return start_keeper(store);
}

/* The first writer's handle is opened here, so that what is wrong shows at once. */
static enum err start_workers(struct store *store, struct store_fault *reterr)
{
    size_t count = store->options.writers + store->options.readers;
    enum err err = ERR_OK;

    store->workers = alloc_zero(count * sizeof(struct store_worker));
    if (store->workers == NULL)
        return ERR_NO_MEMORY;
    store->worker_count = count;
    for (size_t i = 0; i < count; i++) {
        store->workers[i].store = store;
        store_conn_init(&store->workers[i].conn, store,
                        i < store->options.writers ? STORE_WRITER : STORE_READER);
    }
    for (size_t i = 0; i < store->options.writers && err == ERR_OK; i++)
        err = store_seal_open(&store->workers[i].conn);
    if (err)
        return err;
    store->may_create = true;
    err = store_conn_open(&store->workers[0].conn, reterr);
    store->may_create = false;
    if (err)
        return err;
    return start_threads(store);
}

enum err store_open(const struct store_options *options, struct store **ret_store,
                    struct store_fault *reterr)
{
    struct store *store = alloc_zero(sizeof(*store));
    struct store_fault fault = {""};
    enum err err;

    if (store == NULL)
        return store_fault_set(reterr, ERR_NO_MEMORY, "There is not enough memory for the store.");
    PC_ASSERT(sem_init(&store->wal.wanted, 0, 0) == 0);
    err = store_fill(store, options, &fault);
    if (err == ERR_OK)
        err = start_workers(store, &fault);
    if (err) {
        store_close(store);
        if (fault.text[0] == '\0')
            (void)store_fault_set(&fault, err, "The store cannot be opened: %s.",
                                  err_sentence(err));
        if (reterr != NULL)
            *reterr = fault;
        return err;
    }
    *ret_store = store;
    return ERR_OK;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    if (store->reads != NULL)
        queue_close(store->reads);
    if (store->writes != NULL)
        queue_close(store->writes);
    for (size_t i = 0; i < store->worker_count; i++) {
        if (store->workers[i].started)
            PC_ASSERT(pthread_join(store->workers[i].thread, NULL) == 0);
        else
            store_conn_close(&store->workers[i].conn);
        store_seal_close(&store->workers[i].conn);
    }
    stop_keeper(store);
    queue_free(store->reads);
    queue_free(store->writes);
    alloc_free(store->workers);
    arena_reset(&store->arena);
    alloc_wipe(store->strings, sizeof(store->strings)); /* the URI holds a password */
    alloc_free(store);
}

enum store_kind store_kind(const struct store *store)
{
    return store->target.kind;
}

const char *store_shown(const struct store *store)
{
    return store->target.shown;
}

enum err store_ready(struct store *store)
{
    int write_state = atomic_load(&store->write_state);

    return (enum err)(write_state != ERR_OK ? write_state : atomic_load(&store->read_state));
}

/* ---- Jobs --------------------------------------------------------------------------------- */

static enum err push(struct store *store, struct queue *queue, struct store_job *job)
{
    enum err err;

    PC_ASSERT(job->done != NULL);
    job->err = ERR_OK;
    job->unknown = false;
    job->queued_ns = clock_monotonic_ns(&clock_system);
    err = queue == store->writes && store_is_stalled(store) ? ERR_STORE_SLOW
                                                            : queue_push(queue, &job->link);
    if (err)
        atomic_fetch_add_explicit(&store->failures, 1, memory_order_relaxed);
    return err;
}

enum err store_read(struct store *store, struct store_job *job)
{
    PC_ASSERT(job->run != NULL && job->together == NULL);
    return push(store, store->reads, job);
}

enum err store_write(struct store *store, struct store_job *job)
{
    PC_ASSERT((job->run != NULL) != (job->together != NULL));
    return push(store, store->writes, job);
}

struct waiting {
    struct store_job job;
    sem_t over;
};

static void waiting_done(struct store_job *job)
{
    struct waiting *waiting = PC_CONTAINER(job, struct waiting, job);

    PC_ASSERT(sem_post(&waiting->over) == 0);
}

enum err store_do(struct store *store, store_run_fn *run, void *context, bool write)
{
    struct waiting waiting = {
        .job = {.run = run, .done = waiting_done, .context = context, .snapshot = true}};
    enum err err;

    PC_ASSERT(sem_init(&waiting.over, 0, 0) == 0);
    err = write ? store_write(store, &waiting.job) : store_read(store, &waiting.job);
    while (err == ERR_OK && sem_wait(&waiting.over) != 0)
        continue; /* a signal */
    (void)sem_destroy(&waiting.over);
    return err ? err : waiting.job.err;
}

/* ---- Watching ----------------------------------------------------------------------------- */

static uint64_t load(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void store_stats(struct store *store, struct store_stats *ret_stats)
{
    *ret_stats = (struct store_stats){
        .reads = load(&store->reads_done),
        .writes = load(&store->writes_done),
        .batches = load(&store->batches),
        .commits = load(&store->commits),
        .failures = load(&store->failures),
        .retries = load(&store->retries),
        .reconnects = load(&store->reconnects),
        .unknown = load(&store->unknown),
        .learned = load(&store->learned),
        .batch_jobs_max = load(&store->batch_jobs_max),
        .reads_queued = queue_length(store->reads),
        .writes_queued = queue_length(store->writes),
    };
}
