/* SPDX-License-Identifier: MIT
 * The feed of changes: one thread that asks the store five times a second what changed since it
 * last asked, and tells http/ to forget those users. While the store answers, http/ may trust what
 * it has cached; when the store is silent for a second, it no longer does.
 *
 * The same thread clears away, now and then, what nobody can ask for any more. */
#include "auth/auth_priv.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/alloc.h"

enum {
    FEED_PERIOD_MS = 200,
    FEED_ROWS_MAX = 4096, /* of one look; the next follows at once */
    PURGE_PERIOD_S = 60,
    PURGE_KEEP_S = 24 * 3600, /* of changes and of sessions that are over */
};

struct auth_feed {
    struct store *store;
    struct http_engine *engine;
    const struct clock *clock;
    struct logger *logger;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping; /* under lock */
    int64_t seen;  /* highest seq */
    bool started;  /* seen is set */
    bool behind;   /* the last look was too short for all there was */
    int64_t purged_ns;
};

static const struct store_statement feed_newest = {
    .name = "feed_newest", .sqlite = "SELECT coalesce(max(seq), 0) FROM identity_changes"};
static const struct store_statement feed_since = {
    .name = "feed_since",
    .sqlite = "SELECT seq, subject FROM identity_changes WHERE seq > ?1 ORDER BY seq LIMIT ?2"};
static const struct store_statement purge_changes = {
    .name = "purge_changes", .sqlite = "DELETE FROM identity_changes WHERE at < ?1"};
static const struct store_statement purge_sessions = {
    .name = "purge_sessions", .sqlite = "DELETE FROM sessions WHERE expires_at < ?1"};
static const struct store_statement purge_tokens = {
    .name = "purge_tokens", .sqlite = "DELETE FROM refresh_tokens WHERE expires_at < ?1"};
static const struct store_statement purge_pairs = {
    .name = "purge_pairs",
    .sqlite = "UPDATE refresh_tokens SET successor_pair = NULL "
              "WHERE successor_pair IS NOT NULL AND grace_until < ?1"};

static enum err feed_begin(struct auth_feed *feed, struct store_conn *conn)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &feed_newest, NULL, 0, &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_STORE_CORRUPT);
    feed->seen = store_rows_i64(rows, 0);
    feed->started = true;
    return store_rows_err(rows);
}

static enum err feed_run(struct store_conn *conn, struct store_job *job)
{
    struct auth_feed *feed = job->context;
    PC_AUTO(store_rows) rows = NULL;
    size_t count = 0;
    enum err err;

    if (!feed->started)
        return feed_begin(feed, conn);
    err = store_query(conn, &feed_since,
                      STORE_PARAMS(STORE_I64(feed->seen), STORE_I64(FEED_ROWS_MAX)), &rows);
    if (err)
        return err;
    while (store_next(rows)) {
        http_forget_subject(feed->engine, store_rows_i64(rows, 1));
        feed->seen = store_rows_i64(rows, 0);
        count++;
    }
    feed->behind = count == FEED_ROWS_MAX;
    return store_rows_err(rows);
}

/* Until nothing is left to be seen: only then may http/ trust what it has cached. */
static enum err look(struct auth_feed *feed)
{
    int64_t asked_ns;
    enum err err;

    do {
        asked_ns = clock_monotonic_ns(feed->clock);
        err = store_do(feed->store, feed_run, feed, false);
        if (err)
            return err;
    } while (feed->behind);
    /* Alive as of the moment before we asked: a change after that is not in the answer. */
    http_engine_feed_alive(feed->engine, asked_ns);
    return ERR_OK;
}

static enum err purge_one(struct store_conn *conn, const struct store_statement *statement,
                          int64_t before_ns)
{
    return store_exec(conn, statement, STORE_PARAMS(STORE_I64(before_ns)), NULL);
}

static enum err purge_run(struct store_conn *conn, struct store_job *job)
{
    const struct auth_feed *feed = job->context;
    int64_t now_ns = clock_realtime_ns(feed->clock);
    int64_t old_ns = now_ns - PURGE_KEEP_S * CLOCK_NS_PER_S;
    enum err err = purge_one(conn, &purge_pairs, now_ns);

    if (!err)
        err = purge_one(conn, &purge_changes, old_ns);
    if (!err)
        err = purge_one(conn, &purge_tokens, old_ns);
    if (!err)
        err = purge_one(conn, &purge_sessions, old_ns);
    return err;
}

static void purge_now_and_then(struct auth_feed *feed, int64_t now_ns)
{
    enum err err;

    if (now_ns - feed->purged_ns < PURGE_PERIOD_S * CLOCK_NS_PER_S)
        return;
    feed->purged_ns = now_ns;
    err = store_do(feed->store, purge_run, feed, true);
    if (err)
        log_warn(feed->logger, "identity_purge_failed", LOG_ERR("error", err));
}

static bool wait_period(struct auth_feed *feed)
{
    int64_t until_ns = clock_monotonic_ns(&clock_system) + FEED_PERIOD_MS * CLOCK_NS_PER_MS;
    const struct timespec until = {.tv_sec = until_ns / CLOCK_NS_PER_S,
                                   .tv_nsec = (long)(until_ns % CLOCK_NS_PER_S)};
    bool stopping;

    PC_ASSERT(pthread_mutex_lock(&feed->lock) == 0);
    if (!feed->stopping)
        (void)pthread_cond_timedwait(&feed->wake, &feed->lock, &until);
    stopping = feed->stopping;
    PC_ASSERT(pthread_mutex_unlock(&feed->lock) == 0);
    return !stopping;
}

static void *feed_thread(void *context)
{
    struct auth_feed *feed = context;

    while (wait_period(feed)) {
        (void)look(feed); /* its silence says enough */
        purge_now_and_then(feed, clock_monotonic_ns(feed->clock));
    }
    return NULL;
}

static void feed_free(struct auth_feed *feed)
{
    (void)pthread_cond_destroy(&feed->wake);
    (void)pthread_mutex_destroy(&feed->lock);
    alloc_free(feed);
}

enum err auth_feed_start(const struct auth_feed_options *options, struct auth_feed **ret_feed)
{
    struct auth_feed *feed = alloc_zero(sizeof(*feed));
    pthread_condattr_t attr;
    enum err err;

    if (feed == NULL)
        return ERR_NO_MEMORY;
    feed->store = options->store;
    feed->engine = options->engine;
    feed->clock = options->clock;
    feed->logger = options->logger;
    feed->purged_ns = clock_monotonic_ns(options->clock);
    PC_ASSERT(pthread_mutex_init(&feed->lock, NULL) == 0);
    PC_ASSERT(pthread_condattr_init(&attr) == 0);
    PC_ASSERT(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    PC_ASSERT(pthread_cond_init(&feed->wake, &attr) == 0);
    PC_ASSERT(pthread_condattr_destroy(&attr) == 0);
    /* The first look before anybody can come in: what is cached after it cannot be older. */
    err = look(feed);
    if (!err && pthread_create(&feed->thread, NULL, feed_thread, feed) != 0)
        err = ERR_NO_MEMORY;
    if (err) {
        feed_free(feed);
        return err;
    }
    *ret_feed = feed;
    return ERR_OK;
}

void auth_feed_stop(struct auth_feed *feed)
{
    if (feed == NULL)
        return;
    PC_ASSERT(pthread_mutex_lock(&feed->lock) == 0);
    feed->stopping = true;
    PC_ASSERT(pthread_cond_signal(&feed->wake) == 0);
    PC_ASSERT(pthread_mutex_unlock(&feed->lock) == 0);
    PC_ASSERT(pthread_join(feed->thread, NULL) == 0);
    feed_free(feed);
}
