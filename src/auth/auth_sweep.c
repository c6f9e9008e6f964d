/* SPDX-License-Identifier: MIT
 * Clearing away what nobody can ask for any more, in small steps: each deletes a bounded number of
 * rows in a commit of its own and goes to the end of the queue, so whoever writes meanwhile waits
 * for one step at most. Between two steps there is a pause.
 *
 *   resting ──(the period is over)──> sweeping ──(a step deleted less than its bound)──> next table
 *      ^                                                                                     │
 *      └───────────────────────────(after the last table)────────────────────────────────────┘
 *
 * The step runs on the store's thread and the sweeper never waits for it: what drives the sweeper
 * has other things to do. */
#include "auth/auth_priv.h"

#include "base/alloc.h"

enum {
    KEEP_S = 24 * 3600, /* of changes, tokens and sessions that are over */
    DONE_PERIOD_MS = 10,
};

static const struct store_statement sweep_pairs = {
    .name = "sweep_pairs",
    .sqlite = "UPDATE refresh_tokens SET successor_pair = NULL WHERE id IN "
              "(SELECT id FROM refresh_tokens WHERE successor_pair IS NOT NULL "
              "AND grace_until < ?1 LIMIT ?2)"};
static const struct store_statement sweep_changes = {
    .name = "sweep_changes",
    .sqlite = "DELETE FROM identity_changes WHERE seq IN "
              "(SELECT seq FROM identity_changes WHERE at < ?1 ORDER BY at LIMIT ?2)"};
static const struct store_statement sweep_tokens = {
    .name = "sweep_tokens",
    .sqlite = "DELETE FROM refresh_tokens WHERE id IN "
              "(SELECT id FROM refresh_tokens WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2)"};
/* Only once its tokens are gone: what hangs on a session would go with it, in the same commit and
 * however many they are. Sessions of clients are cleared away by those who opened them. */
static const struct store_statement sweep_sessions = {
    .name = "sweep_sessions",
    .sqlite = "DELETE FROM sessions WHERE id IN (SELECT s.id FROM sessions s WHERE "
              "s.expires_at < ?1 AND s.client IS NULL AND NOT EXISTS "
              "(SELECT 1 FROM refresh_tokens r WHERE r.session_id = s.id) "
              "ORDER BY s.expires_at LIMIT ?2)"};

const struct auth_sweep auth_sweeps[AUTH_SWEEPS] = {
    {.statement = &sweep_pairs},
    {.statement = &sweep_changes, .keep_s = KEEP_S},
    {.statement = &sweep_tokens, .keep_s = KEEP_S},
    {.statement = &sweep_sessions, .keep_s = KEEP_S},
};

void auth_sweeper_init(struct auth_sweeper *sweeper, const struct auth_sweeper_options *options)
{
    *sweeper = (struct auth_sweeper){
        .options = *options, .at = SIZE_MAX, .round_ns = clock_monotonic_ns(options->clock)};
    PC_ASSERT(pthread_mutex_init(&sweeper->lock, NULL) == 0);
    PC_ASSERT(pthread_cond_init(&sweeper->over, NULL) == 0);
}

/* Theirs first: what they have hangs on our sessions. */
static const struct auth_sweep *sweep_at(const struct auth_sweeper *sweeper, size_t at)
{
    const struct auth_sweeper_options *options = &sweeper->options;

    if (at < options->sweep_count)
        return &options->sweeps[at];
    at -= options->sweep_count;
    return at < AUTH_SWEEPS ? &auth_sweeps[at] : NULL;
}

/* The one under way: a step is asked for only while there is one. */
static const struct auth_sweep *sweep_now(const struct auth_sweeper *sweeper)
{
    const struct auth_sweep *sweep = sweep_at(sweeper, sweeper->at);

    PC_ASSERT(sweep != NULL);
    return sweep;
}

static enum err step_run(struct store_conn *conn, struct store_job *job)
{
    struct auth_sweeper *sweeper = PC_CONTAINER(job, struct auth_sweeper, job);

    return store_exec(conn, sweep_now(sweeper)->statement,
                      STORE_PARAMS(STORE_I64(sweeper->before_ns), STORE_I64(AUTH_SWEEP_ROWS)),
                      &sweeper->changed);
}

static void step_done(struct store_job *job)
{
    struct auth_sweeper *sweeper = PC_CONTAINER(job, struct auth_sweeper, job);

    PC_ASSERT(pthread_mutex_lock(&sweeper->lock) == 0);
    sweeper->running = false;
    PC_ASSERT(pthread_cond_signal(&sweeper->over) == 0);
    PC_ASSERT(pthread_mutex_unlock(&sweeper->lock) == 0);
}

static bool is_running(struct auth_sweeper *sweeper)
{
    bool running;

    PC_ASSERT(pthread_mutex_lock(&sweeper->lock) == 0);
    running = sweeper->running;
    PC_ASSERT(pthread_mutex_unlock(&sweeper->lock) == 0);
    return running;
}

/* A table that cannot be cleared now is left for the next round. */
static void give_up(struct auth_sweeper *sweeper, enum err err)
{
    log_warn(sweeper->options.logger, "sweep_failed", LOG_ERR("error", err),
             LOG_TEXT("sweep", span_from(sweep_now(sweeper)->statement->name)));
    sweeper->at++;
}

static void take_result(struct auth_sweeper *sweeper)
{
    if (!sweeper->asked)
        return;
    sweeper->asked = false;
    if (sweeper->job.err)
        give_up(sweeper, sweeper->job.err);
    else if (sweeper->changed < AUTH_SWEEP_ROWS)
        sweeper->at++;
}

static void step_ask(struct auth_sweeper *sweeper)
{
    const struct auth_sweep *sweep = sweep_now(sweeper);
    enum err err;

    sweeper->before_ns = sweeper->round_realtime_ns - sweep->keep_s * CLOCK_NS_PER_S;
    sweeper->job = (struct store_job){.run = step_run, .done = step_done};
    sweeper->running = true; /* nobody else looks before the job is there */
    sweeper->asked = true;
    err = store_write(sweeper->options.store, &sweeper->job);
    if (err == ERR_OK)
        return;
    sweeper->running = false;
    sweeper->asked = false;
    give_up(sweeper, err);
}

int64_t auth_sweeper_tick(struct auth_sweeper *sweeper)
{
    int64_t now_ns = clock_monotonic_ns(sweeper->options.clock);

    if (is_running(sweeper))
        return DONE_PERIOD_MS;
    take_result(sweeper);
    if (sweeper->at == SIZE_MAX) {
        if (now_ns - sweeper->round_ns < AUTH_SWEEP_PERIOD_S * CLOCK_NS_PER_S)
            return AUTH_SWEEP_REST_MS;
        sweeper->round_ns = now_ns;
        sweeper->round_realtime_ns = clock_realtime_ns(sweeper->options.clock);
        sweeper->at = 0;
    }
    if (sweep_at(sweeper, sweeper->at) == NULL) {
        sweeper->at = SIZE_MAX;
        return AUTH_SWEEP_REST_MS;
    }
    step_ask(sweeper);
    return AUTH_SWEEP_PAUSE_MS;
}

void auth_sweeper_stop(struct auth_sweeper *sweeper)
{
    PC_ASSERT(pthread_mutex_lock(&sweeper->lock) == 0);
    while (sweeper->running)
        PC_ASSERT(pthread_cond_wait(&sweeper->over, &sweeper->lock) == 0);
    PC_ASSERT(pthread_mutex_unlock(&sweeper->lock) == 0);
    (void)pthread_cond_destroy(&sweeper->over);
    (void)pthread_mutex_destroy(&sweeper->lock);
}
