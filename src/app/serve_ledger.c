/* SPDX-License-Identifier: MIT
 * The ledger of the running program, and the housekeeper: one thread that asks the ledger every
 * second to end what has expired and to forget answers that are old enough. */
#include "app/serve_priv.h"

#include <pthread.h>
#include <time.h>

#include "base/alloc.h"

enum { HOUSEKEEPER_PERIOD_MS = 1000 };

struct serve_housekeeper {
    struct ledger *ledger;
    struct logger *logger;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping; /* under lock */
    bool failed;   /* the last round: trouble is told once */
};

enum err serve_ledger_start(struct serve *serve, struct serve_fault *fault)
{
    const struct config *config = serve->config;
    const struct ledger_options options = {
        .store = serve->store,
        .clock = serve->clock,
        .logger = serve->logger,
        .metrics = serve->metrics,
        .key_life_s = (int64_t)config->ledger.key_hours * 3600,
        .backdate_s = (int64_t)config->ledger.backdate_days * 86400,
        .hold_life_s = (int64_t)config->ledger.hold_hours * 3600,
    };
    enum err err = ledger_new(&options, &serve->ledger);

    if (!err)
        err = account_service_init(&serve->accounts, serve->ledger, serve->auth);
    return err ? serve_fail(fault, err, "the ledger cannot be set up: %s", err_sentence(err))
               : ERR_OK;
}

/* ---- the housekeeper ---- */

static bool is_stopping(struct serve_housekeeper *keeper)
{
    bool stopping;

    PC_ASSERT(pthread_mutex_lock(&keeper->lock) == 0);
    stopping = keeper->stopping;
    PC_ASSERT(pthread_mutex_unlock(&keeper->lock) == 0);
    return stopping;
}

/* False when it is time to stop. */
static bool wait_period(struct serve_housekeeper *keeper)
{
    int64_t until_ns = clock_monotonic_ns(&clock_system) + HOUSEKEEPER_PERIOD_MS * CLOCK_NS_PER_MS;
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

/* What cannot be done now is done a second later. */
static void sweep(struct serve_housekeeper *keeper)
{
    bool more = true;
    enum err err = ERR_OK;

    while (more && !err && !is_stopping(keeper)) {
        more = false;
        err = ledger_sweep(keeper->ledger, &more);
    }
    if (err && !keeper->failed)
        log_warn(keeper->logger, "ledger_sweep_failed", LOG_ERR("error", err));
    keeper->failed = err != ERR_OK;
}

static void *housekeeper_thread(void *context)
{
    struct serve_housekeeper *keeper = context;

    while (wait_period(keeper))
        sweep(keeper);
    return NULL;
}

static void housekeeper_free(struct serve_housekeeper *keeper)
{
    (void)pthread_cond_destroy(&keeper->wake);
    (void)pthread_mutex_destroy(&keeper->lock);
    alloc_free(keeper);
}

enum err serve_housekeeper_start(struct serve *serve)
{
    struct serve_housekeeper *keeper;
    pthread_condattr_t attr;

    if (serve->services == CONFIG_SERVICE_BIT(CONFIG_AUTH))
        return ERR_OK; /* moves no money */
    keeper = alloc_zero(sizeof(*keeper));
    if (keeper == NULL)
        return ERR_NO_MEMORY;
    keeper->ledger = serve->ledger;
    keeper->logger = serve->logger;
    PC_ASSERT(pthread_mutex_init(&keeper->lock, NULL) == 0);
    PC_ASSERT(pthread_condattr_init(&attr) == 0);
    PC_ASSERT(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    PC_ASSERT(pthread_cond_init(&keeper->wake, &attr) == 0);
    PC_ASSERT(pthread_condattr_destroy(&attr) == 0);
    if (pthread_create(&keeper->thread, NULL, housekeeper_thread, keeper) != 0) {
        housekeeper_free(keeper);
        return ERR_NO_MEMORY;
    }
    (void)pthread_setname_np(keeper->thread, "housekeeper");
    serve->housekeeper = keeper;
    return ERR_OK;
}

void serve_housekeeper_stop(struct serve *serve)
{
    struct serve_housekeeper *keeper = serve->housekeeper;

    if (keeper == NULL)
        return;
    PC_ASSERT(pthread_mutex_lock(&keeper->lock) == 0);
    keeper->stopping = true;
    PC_ASSERT(pthread_cond_signal(&keeper->wake) == 0);
    PC_ASSERT(pthread_mutex_unlock(&keeper->lock) == 0);
    PC_ASSERT(pthread_join(keeper->thread, NULL) == 0);
    housekeeper_free(keeper);
    serve->housekeeper = NULL;
}
