/* SPDX-License-Identifier: MIT
 * The feed of changes: one thread that asks the store five times a second what changed since it
 * last asked, and tells http/ to forget those users. While the store answers, http/ may trust what
 * it has cached; when the store is silent for a second, it no longer does.
 *
 * What is everybody's business (a signing key that came or went) has no subject: whoever started
 * the feed is told by name, then everything cached is forgotten.
 *
 * The same thread drives the sweeper (auth_sweep.c), and tells once a minute that one is over. */
#include "auth/auth_priv.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"

enum {
    FEED_PERIOD_MS = 200,
    FEED_MINUTE_S = 60,
    FEED_ROWS_MAX = 4096, /* of one look; the next follows at once */
    NEWS_MAX = 8,         /* kinds of everybody's business in one look */
    NEWS_BYTES = 32,
};

/* Kinds of everybody's business that were seen and not told yet. */
struct news {
    char text[NEWS_MAX][NEWS_BYTES];
    size_t len[NEWS_MAX];
    size_t count;
};

struct auth_feed {
    struct store *store;
    struct http_engine *engine;
    const struct clock *clock;
    void (*changed)(void *context, struct span what);
    void (*minute)(void *context);
    void *context;
    int64_t minute_ns; /* when the present one began */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping; /* under lock */
    int64_t seen;  /* highest seq */
    bool started;  /* seen is set */
    bool behind;   /* the last look was too short for all there was */
    struct news news;
    bool told; /* there was news at the last look */
    struct auth_sweeper sweeper;
};

static const struct store_statement feed_newest = {
    .name = "feed_newest", .sqlite = "SELECT coalesce(max(seq), 0) FROM identity_changes"};
static const struct store_statement feed_since = {
    .name = "feed_since",
    .sqlite =
        "SELECT seq, subject, what FROM identity_changes WHERE seq > ?1 ORDER BY seq LIMIT ?2"};
static const struct store_statement feed_recent = {
    .name = "feed_recent",
    .sqlite = "SELECT DISTINCT what FROM identity_changes WHERE subject = 0 LIMIT ?1"};

/* Each kind once, however often it is seen: a read may be run again from its start. */
static void news_add(struct news *news, struct span what)
{
    what = span_slice(what, 0, NEWS_BYTES);
    for (size_t i = 0; i < news->count; i++)
        if (span_equal(span_make(news->text[i], news->len[i]), what))
            return;
    if (news->count == NEWS_MAX || what.len == 0)
        return;
    memcpy(news->text[news->count], what.ptr, what.len);
    news->len[news->count++] = what.len;
}

/* Whoever must read something anew does so before anything is asked for again. All is forgotten
 * once more at the next look: a token that was verified by what was then may have been on its way
 * into a cache. */
static void news_tell(struct auth_feed *feed)
{
    bool again = feed->news.count > 0;

    for (size_t i = 0; i < feed->news.count && feed->changed != NULL; i++)
        feed->changed(feed->context, span_make(feed->news.text[i], feed->news.len[i]));
    if (again || feed->told)
        http_forget_subject(feed->engine, 0);
    feed->told = again;
    feed->news.count = 0;
}

/* What was everybody's business lately may have happened after others read it and before us. */
static enum err feed_catch_up(struct auth_feed *feed, struct store_conn *conn)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &feed_recent, STORE_PARAMS(STORE_I64(NEWS_MAX)), &rows);

    if (err)
        return err;
    while (store_next(rows))
        news_add(&feed->news, store_rows_text(rows, 0, NULL));
    return store_rows_err(rows);
}

static enum err feed_begin(struct auth_feed *feed, struct store_conn *conn)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &feed_newest, NULL, 0, &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_STORE_CORRUPT);
    feed->seen = store_rows_i64(rows, 0);
    err = store_rows_err(rows);
    if (!err)
        err = feed_catch_up(feed, conn);
    if (!err)
        feed->started = true;
    return err;
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
        int64_t subject = store_rows_i64(rows, 1);

        if (subject == 0)
            news_add(&feed->news, store_rows_text(rows, 2, NULL));
        else
            http_forget_subject(feed->engine, subject);
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
        news_tell(feed);
    } while (feed->behind);
    /* Alive as of the moment before we asked: a change after that is not in the answer. */
    http_engine_feed_alive(feed->engine, asked_ns);
    return ERR_OK;
}

/* False when it is time to stop. */
static bool wait_ms(struct auth_feed *feed, int64_t ms)
{
    int64_t until_ns = clock_monotonic_ns(&clock_system) + ms * CLOCK_NS_PER_MS;
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

static void minute_tell(struct auth_feed *feed)
{
    int64_t now_ns = clock_monotonic_ns(feed->clock);

    if (feed->minute == NULL || now_ns - feed->minute_ns < FEED_MINUTE_S * CLOCK_NS_PER_S)
        return;
    feed->minute_ns = now_ns;
    feed->minute(feed->context);
}

static void *feed_thread(void *context)
{
    struct auth_feed *feed = context;
    int64_t left_ms = FEED_PERIOD_MS; /* until the next look */
    int64_t pause_ms = FEED_PERIOD_MS;

    while (wait_ms(feed, pause_ms)) {
        left_ms -= pause_ms;
        if (left_ms <= 0) {
            (void)look(feed); /* its silence says enough */
            minute_tell(feed);
            left_ms = FEED_PERIOD_MS;
        }
        pause_ms = auth_sweeper_tick(&feed->sweeper);
        if (pause_ms > left_ms)
            pause_ms = left_ms;
    }
    return NULL;
}

static void feed_free(struct auth_feed *feed)
{
    auth_sweeper_stop(&feed->sweeper);
    (void)pthread_cond_destroy(&feed->wake);
    (void)pthread_mutex_destroy(&feed->lock);
    alloc_free(feed);
}

enum err auth_feed_start(const struct auth_feed_options *options, struct auth_feed **ret_feed)
{
    struct auth_feed *feed = alloc_zero(sizeof(*feed));
    const struct auth_sweeper_options sweeper = {.store = options->store,
                                                 .clock = options->clock,
                                                 .logger = options->logger,
                                                 .sweeps = options->sweeps,
                                                 .sweep_count = options->sweep_count};
    pthread_condattr_t attr;
    enum err err;

    if (feed == NULL)
        return ERR_NO_MEMORY;
    feed->store = options->store;
    feed->engine = options->engine;
    feed->clock = options->clock;
    feed->changed = options->changed;
    feed->minute = options->minute;
    feed->minute_ns = clock_monotonic_ns(options->clock);
    feed->context = options->context;
    auth_sweeper_init(&feed->sweeper, &sweeper);
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
