/* SPDX-License-Identifier: MIT
 * The keeper's thread: a round every TRAIL_KEEPER_PERIOD_MS, sooner while leaves come by the
 * hundreds, without a pause while it is behind. And what it tells: a state for /monitoring/status
 * and numbers for /metrics. */
#include "trail/trail_keeper.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/alloc.h"
#include "trail/trail_keeper_priv.h"

enum { SOON_MS = TRAIL_KEEPER_PERIOD_MS / 2 };

static const struct metric_def size_def = {
    .name = "portcullis_audit_log_size", .help = "Leaves in the audit log.", .kind = METRIC_GAUGE};
static const struct metric_def signed_def = {.name = "portcullis_audit_log_signed_size",
                                             .help = "Leaves that the newest checkpoint is of.",
                                             .kind = METRIC_GAUGE};
static const struct metric_def leaves_def = {.name = "portcullis_audit_checkpoint_lag_leaves",
                                             .help = "Leaves without a checkpoint yet.",
                                             .kind = METRIC_GAUGE};
static const struct metric_def seconds_def = {
    .name = "portcullis_audit_checkpoint_lag_seconds",
    .help = "How long the oldest leaf without a checkpoint has waited.",
    .kind = METRIC_GAUGE};
static const struct metric_def refused_def = {
    .name = "portcullis_audit_log_refused",
    .help = "1 when the log is not the one that was signed for; nothing is signed any more.",
    .kind = METRIC_GAUGE};
static const struct metric_def checkpoints_def = {.name = "portcullis_audit_checkpoints_total",
                                                  .help = "Checkpoints signed by this node.",
                                                  .kind = METRIC_COUNTER};
static const struct metric_def failures_def = {.name = "portcullis_audit_keeper_failures_total",
                                               .help = "Rounds of the log's keeper that failed.",
                                               .kind = METRIC_COUNTER};

/* ---- what it tells ---- */

enum err trail_keeper_refuse(struct trail_keeper *keeper, const char *format, ...)
{
    char why[TRAIL_KEEPER_WHY_BYTES];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    log_error(keeper->logger, "audit_log_refused", LOG_STRING("why", why));
    metric_set(keeper->refused, 1);
    PC_ASSERT(pthread_mutex_lock(&keeper->lock) == 0);
    keeper->state.refused = true;
    keeper->state.signs = false;
    memcpy(keeper->state.why, why, sizeof(why));
    PC_ASSERT(pthread_mutex_unlock(&keeper->lock) == 0);
    return ERR_CONFLICT;
}

enum err trail_keeper_refuse_note(struct trail_keeper *keeper, const char *fault)
{
    return trail_keeper_refuse(keeper,
                               "the newest checkpoint in the database: %s (if another node has the "
                               "log's key, copy its key file here or set audit.key_file)",
                               fault);
}

static bool is_refused(struct trail_keeper *keeper)
{
    bool refused;

    PC_ASSERT(pthread_mutex_lock(&keeper->lock) == 0);
    refused = keeper->state.refused;
    PC_ASSERT(pthread_mutex_unlock(&keeper->lock) == 0);
    return refused;
}

/* The oldest leaf that waits came at the latest when leaves were first seen to wait. */
static void tell(struct trail_keeper *keeper)
{
    uint64_t size = keeper->look.head.size;
    uint64_t stored = keeper->look.has_newest ? keeper->look.newest.size : 0;
    uint64_t done = keeper->noted_size > stored ? keeper->noted_size : stored;
    int64_t now = clock_monotonic_ns(keeper->clock);
    int64_t lag;

    if (size <= done)
        keeper->waiting_since = 0;
    else if (keeper->waiting_since == 0)
        keeper->waiting_since = now;
    lag = keeper->waiting_since == 0 ? 0 : now - keeper->waiting_since;
    PC_ASSERT(pthread_mutex_lock(&keeper->lock) == 0);
    keeper->state.size = size;
    keeper->state.signed_size = done;
    keeper->state.lag_ns = lag;
    PC_ASSERT(pthread_mutex_unlock(&keeper->lock) == 0);
    metric_set(keeper->size_now, (int64_t)size);
    metric_set(keeper->size_signed, (int64_t)done);
    metric_set(keeper->lag_leaves, size > done ? (int64_t)(size - done) : 0);
    metric_set(keeper->lag_seconds, lag / CLOCK_NS_PER_S);
}

enum err trail_keeper_round(struct trail_keeper *keeper)
{
    uint64_t noted = keeper->noted_size;
    enum err err = is_refused(keeper) ? ERR_CONFLICT : trail_keeper_turn(keeper);

    if (err) {
        keeper->noted_size = noted;
        metric_add(keeper->failures, 1);
    } else if (keeper->noted_size != noted) {
        metric_add(keeper->checkpoints, 1);
    }
    tell(keeper);
    if (err && !keeper->failed)
        log_warn(keeper->logger, "audit_keeper_failed", LOG_ERR("error", err));
    keeper->failed = err != ERR_OK;
    return err;
}

void trail_keeper_state(struct trail_keeper *keeper, struct trail_keeper_state *ret)
{
    PC_ASSERT(pthread_mutex_lock(&keeper->lock) == 0);
    *ret = keeper->state;
    PC_ASSERT(pthread_mutex_unlock(&keeper->lock) == 0);
}

struct span trail_keeper_key(const struct trail_keeper *keeper)
{
    return span_make(keeper->key, keeper->key_bytes);
}

struct span trail_keeper_origin(const struct trail_keeper *keeper)
{
    return keeper->origin;
}

/* ---- the thread ---- */

static int period_ms(const struct trail_keeper *keeper)
{
    if (keeper->failed)
        return TRAIL_KEEPER_PERIOD_MS;
    if (keeper->behind)
        return 0;
    return keeper->look.count >= KEEPER_LEAVES_MANY ? SOON_MS : TRAIL_KEEPER_PERIOD_MS;
}

/* False when it is time to stop. */
static bool wait_period(struct trail_keeper *keeper, int ms)
{
    int64_t until_ns = clock_monotonic_ns(&clock_system) + ms * CLOCK_NS_PER_MS;
    const struct timespec until = {.tv_sec = until_ns / CLOCK_NS_PER_S,
                                   .tv_nsec = (long)(until_ns % CLOCK_NS_PER_S)};
    bool stopping;
    int timed_out = 0;

    PC_ASSERT(pthread_mutex_lock(&keeper->lock) == 0);
    while (!keeper->stopping && timed_out == 0)
        timed_out = pthread_cond_timedwait(&keeper->wake, &keeper->lock, &until);
    stopping = keeper->stopping;
    PC_ASSERT(pthread_mutex_unlock(&keeper->lock) == 0);
    return !stopping;
}

/* It tells and counts by itself what it could not do. */
static bool round_went_well(struct trail_keeper *keeper)
{
    return trail_keeper_round(keeper) == ERR_OK;
}

static void *keeper_thread(void *context)
{
    struct trail_keeper *keeper = context;

    do {
        (void)round_went_well(keeper);
    } while (wait_period(keeper, period_ms(keeper)));
    while (round_went_well(keeper) && keeper->behind)
        continue; /* the last leaves */
    trail_keeper_remember(keeper, true);
    return NULL;
}

enum err trail_keeper_start(struct trail_keeper *keeper)
{
    PC_ASSERT(!keeper->started);
    if (pthread_create(&keeper->thread, NULL, keeper_thread, keeper) != 0)
        return ERR_NO_MEMORY;
    (void)pthread_setname_np(keeper->thread, "log keeper");
    keeper->started = true;
    return ERR_OK;
}

void trail_keeper_stop(struct trail_keeper *keeper)
{
    if (!keeper->started)
        return;
    PC_ASSERT(pthread_mutex_lock(&keeper->lock) == 0);
    keeper->stopping = true;
    PC_ASSERT(pthread_cond_signal(&keeper->wake) == 0);
    PC_ASSERT(pthread_mutex_unlock(&keeper->lock) == 0);
    PC_ASSERT(pthread_join(keeper->thread, NULL) == 0);
    keeper->started = false;
}

/* ---- making it ---- */

static enum err metrics_make(struct trail_keeper *keeper, struct metrics *metrics)
{
    const struct {
        const struct metric_def *def;
        struct metric_series **series;
    } rows[] = {{&size_def, &keeper->size_now},     {&signed_def, &keeper->size_signed},
                {&leaves_def, &keeper->lag_leaves}, {&seconds_def, &keeper->lag_seconds},
                {&refused_def, &keeper->refused},   {&checkpoints_def, &keeper->checkpoints},
                {&failures_def, &keeper->failures}};

    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        struct metric *metric = NULL;
        enum err err = metric_register(metrics, rows[i].def, &metric);

        if (err)
            return err;
        *rows[i].series = metric_only(metric);
    }
    return ERR_OK;
}

static enum err key_make(struct trail_keeper *keeper)
{
    struct sbuf out = sbuf_over(keeper->key, sizeof(keeper->key));
    enum err err = keeper->signer == NULL ? ERR_OK : trail_verifier_add(keeper->signer, &out);

    keeper->key_bytes = out.len;
    return err ? err : out.full ? ERR_NO_SPACE : ERR_OK;
}

static void lock_make(struct trail_keeper *keeper)
{
    pthread_condattr_t attr;

    PC_ASSERT(pthread_mutex_init(&keeper->lock, NULL) == 0);
    PC_ASSERT(pthread_condattr_init(&attr) == 0);
    PC_ASSERT(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    PC_ASSERT(pthread_cond_init(&keeper->wake, &attr) == 0);
    PC_ASSERT(pthread_condattr_destroy(&attr) == 0);
}

enum err trail_keeper_new(const struct trail_keeper_options *options, struct trail_keeper **ret)
{
    struct trail_keeper *keeper = alloc_zero(sizeof(*keeper));
    enum err err;

    if (keeper == NULL)
        return ERR_NO_MEMORY;
    keeper->store = options->store;
    keeper->clock = options->clock;
    keeper->logger = options->logger;
    keeper->signer = options->signer;
    keeper->memory = options->memory;
    keeper->origin = options->origin;
    keeper->checked_size = UINT64_MAX;
    keeper->state.signs = options->signer != NULL;
    lock_make(keeper);
    err = key_make(keeper);
    if (!err)
        err = metrics_make(keeper, options->metrics);
    if (err) {
        trail_keeper_free(keeper);
        return err;
    }
    *ret = keeper;
    return ERR_OK;
}

void trail_keeper_free(struct trail_keeper *keeper)
{
    if (keeper == NULL)
        return;
    trail_keeper_stop(keeper);
    (void)pthread_cond_destroy(&keeper->wake);
    (void)pthread_mutex_destroy(&keeper->lock);
    alloc_free(keeper);
}
