/* SPDX-License-Identifier: MIT
 * The ledger as a thing: its settings, and work that is done outside of requests. */
#include "ledger/ledger.h"

#include <semaphore.h>

#include "base/alloc.h"
#include "ledger/ledger_key.h"
#include "ledger/ledger_priv.h"
#include "ledger/ledger_transaction.h"

#define SECONDS_MAX (INT64_C(100) * 366 * 24 * 60 * 60)

static bool is_span_of_time(int64_t seconds)
{
    return seconds >= 0 && seconds <= SECONDS_MAX;
}

enum err ledger_new(const struct ledger_options *options, struct ledger **ret_ledger)
{
    struct ledger *ledger;
    enum err err;

    PC_ASSERT(options->store != NULL && options->clock != NULL);
    if (!is_span_of_time(options->backdate_s) || !is_span_of_time(options->hold_life_s) ||
        !is_span_of_time(options->key_life_s))
        return ERR_CONFIG;
    err = ledger_submissions_begin(options->metrics);
    if (err)
        return err;
    ledger = alloc_zero(sizeof(*ledger));
    if (ledger == NULL)
        return ERR_NO_MEMORY;
    ledger->options = *options;
    *ret_ledger = ledger;
    return ERR_OK;
}

const struct ledger_options *ledger_options_of(const struct ledger *ledger)
{
    return &ledger->options;
}

/* ---- work outside of requests -----------------------------------------------------------------
 */

struct work {
    struct store_job job;
    sem_t over;
    struct ledger *ledger;
    ledger_work_fn *run;
    void *context;
};

/* Each work has a turn to itself: its group is itself. */
static enum err work_together(struct store_conn *conn, struct store_job *const *jobs, size_t count,
                              const void *group)
{
    struct work *work = PC_CONTAINER(jobs[0], struct work, job);
    struct ledger_turn *turn = NULL;
    enum err err;

    PC_ASSERT(count == 1 && group == work);
    err = ledger_turn_begin(work->ledger, conn, &turn);
    if (err == ERR_OK)
        err = work->run(turn, work->context);
    if (err == ERR_OK)
        err = ledger_turn_end(turn);
    ledger_turn_free(turn);
    return err;
}

static void work_done(struct store_job *job)
{
    PC_ASSERT(sem_post(&PC_CONTAINER(job, struct work, job)->over) == 0);
}

enum err ledger_do(struct ledger *ledger, ledger_work_fn *run, void *context)
{
    struct work work = {.ledger = ledger, .run = run, .context = context};
    enum err err;

    work.job.together = work_together;
    work.job.group = &work;
    work.job.done = work_done;
    PC_ASSERT(sem_init(&work.over, 0, 0) == 0);
    err = store_write(ledger->options.store, &work.job);
    while (err == ERR_OK && sem_wait(&work.over) != 0)
        continue; /* a signal */
    (void)sem_destroy(&work.over);
    if (err)
        return err;
    return work.job.unknown ? ERR_OUTCOME_UNKNOWN : work.job.err;
}

/* ---- housekeeping -----------------------------------------------------------------------------
 */

enum { SWEEP_HOLDS = 500 };

static enum err expire_work(struct ledger_turn *turn, void *context)
{
    return ledger_expire(turn, SWEEP_HOLDS, context);
}

/* What is there to do, asked of a reader: whoever has nothing to do keeps no writer busy, and takes
 * no turn from others. */
struct due {
    int64_t now_ns, keys_before_ns;
    bool holds, keys;
};

static enum err due_run(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement due_find = {
        .name = "ledger_due",
        .sqlite = "SELECT EXISTS (SELECT 1 FROM ledger_holds WHERE ended_seq IS NULL "
                  "AND expires_at <= ?1), EXISTS (SELECT 1 FROM ledger_keys "
                  "WHERE id = (SELECT min(id) FROM ledger_keys) AND at < ?2)"};
    struct due *due = job->context;
    PC_AUTO(store_rows) rows = NULL;
    enum err err =
        store_query(conn, &due_find,
                    STORE_PARAMS(STORE_I64(due->now_ns), STORE_I64(due->keys_before_ns)), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_STORE_CORRUPT);
    due->holds = store_rows_bool(rows, 0);
    due->keys = store_rows_bool(rows, 1);
    return store_rows_err(rows);
}

enum err ledger_sweep(struct ledger *ledger, bool *ret_more)
{
    int64_t now_ns = clock_realtime_ns(ledger->options.clock);
    struct due due = {.now_ns = now_ns,
                      .keys_before_ns = now_ns - ledger->options.key_life_s * CLOCK_NS_PER_S};
    size_t expired = 0;
    bool more_keys = false;
    enum err err = store_do(ledger->options.store, due_run, &due, false);

    if (err == ERR_OK && due.holds)
        err = ledger_do(ledger, expire_work, &expired);
    if (err == ERR_OK && due.keys)
        err = ledger_keys_sweep(ledger, &more_keys);
    if (err == ERR_OK)
        *ret_more = more_keys || expired == SWEEP_HOLDS;
    return err;
}
