/* SPDX-License-Identifier: MIT
 * Denials of strangers, beyond what is written one by one. Whoever shows no identity can come from
 * as many addresses as he likes, so no limit of an address bounds what he makes the log grow by;
 * and a log that has filled the disk stops everything, money first. So the process has one bucket
 * for all of them:
 *
 *   http_denied_go -> a token is there: the event, and the answer behind its commit
 *                  -> none: counted at its route, answered at once
 *   http_strangers_tell, each minute and at the end: one event for each route with its count
 *
 * Each denial is in the log, by itself or in a count. A crash can lose the counts of the minute
 * that it falls in. See docs/decisions/trail-events.md. */
#include "http/http_priv.h"

#include "base/limits.h"

enum { NUMBER_BYTES = 24, TIME_BYTES = 40 };

enum err http_strangers_engine(struct http_engine *engine)
{
    if (engine->options.strangers == 0)
        engine->options.strangers = LIMIT_HTTP_STRANGERS_PER_MINUTE;
    engine->strangers_told_ns = clock_realtime_ns(engine->options.clock);
    return limit_table_new(1, engine->options.random, &engine->strangers);
}

/* Rights that were read make an identity; a good signature of a session that is over does not, or
 * an old token would be a pass. */
bool http_strangers_count(struct http_call *call)
{
    struct http_engine *engine = call->lane->engine;
    const struct limit_rate rate = {.requests = engine->options.strangers,
                                    .period_ns = 60 * CLOCK_NS_PER_S};
    struct limit_verdict verdict;

    if (call->req.principal != NULL)
        return false;
    limit_take(engine->strangers, SPAN_OF("all"), &rate, net_loop_now_ns(call->lane->loop),
               &verdict);
    if (!verdict.allowed)
        atomic_fetch_add_explicit(&call->state->lasting->strangers, 1, memory_order_relaxed);
    return !verdict.allowed;
}

/* ---- telling ----------------------------------------------------------------------------------
 */

struct telling {
    struct http_engine *engine;
    struct http_lasting *first; /* of those that have a count */
    uint64_t count;
    int64_t now_ns;
};

/* A route with a count stays until it is told, so the list holds without the lock. */
static void take_counts(struct telling *telling)
{
    struct http_engine *engine = telling->engine;

    PC_ASSERT(pthread_mutex_lock(&engine->lasting_lock) == 0);
    for (struct http_lasting *route = engine->lasting; route != NULL; route = route->next) {
        route->strangers_taken += atomic_exchange(&route->strangers, 0);
        if (route->strangers_taken == 0)
            continue;
        telling->count += route->strangers_taken;
        route->telling = telling->first;
        telling->first = route;
    }
    PC_ASSERT(pthread_mutex_unlock(&engine->lasting_lock) == 0);
}

static void forget_counts(struct telling *telling)
{
    struct http_lasting *next;

    PC_ASSERT(pthread_mutex_lock(&telling->engine->lasting_lock) == 0);
    for (struct http_lasting *route = telling->first; route != NULL; route = next) {
        next = route->telling;
        route->strangers_taken = 0;
    }
    PC_ASSERT(pthread_mutex_unlock(&telling->engine->lasting_lock) == 0);
}

static enum err route_tell(struct store_conn *conn, const struct telling *telling,
                           const struct http_lasting *route)
{
    char number[NUMBER_BYTES], time[TIME_BYTES];
    struct sbuf requests = sbuf_over(number, sizeof(number));
    struct sbuf since = sbuf_over(time, sizeof(time));
    struct trail_record record = {.event = TRAIL_ACCESS_DENIED_MANY,
                                  .outcome = TRAIL_REFUSED,
                                  .at_ns = telling->now_ns,
                                  .source = span_from(route->service)};

    sbuf_add_u64(&requests, route->strangers_taken);
    clock_add_rfc3339(&since, telling->engine->strangers_told_ns, 3);
    record.details[0] = (struct trail_detail){"requests", sbuf_span(&requests)};
    record.details[1] = (struct trail_detail){"since", sbuf_span(&since)};
    record.details[2] = (struct trail_detail){"method", http_method_name(route->method)};
    record.details[3] = (struct trail_detail){"route", span_from(route->path)};
    return trail_add(conn, &record);
}

static enum err tell_run(struct store_conn *conn, struct store_job *job)
{
    const struct telling *telling = job->context;
    enum err err = ERR_OK;

    for (const struct http_lasting *route = telling->first; route != NULL && !err;
         route = route->telling)
        err = route_tell(conn, telling, route);
    return err;
}

/* What a commit may have told or not is told again: rather twice than not at all. The store may
 * take its time, and whoever makes routes or looks at breakers does not wait for it. */
void http_strangers_tell(struct http_engine *engine)
{
    struct telling telling = {.engine = engine, .now_ns = clock_realtime_ns(engine->options.clock)};
    enum err err = ERR_OK;

    take_counts(&telling);
    if (telling.count > 0)
        err = store_do(engine->options.store, tell_run, &telling, true);
    if (err) {
        log_error(engine->options.logger, "denials_not_recorded", LOG_ERR("error", err),
                  LOG_U64("requests", telling.count));
        return;
    }
    forget_counts(&telling);
    engine->strangers_told_ns = telling.now_ns;
}
