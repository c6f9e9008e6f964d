/* SPDX-License-Identifier: MIT
 * The breakers of a request's journey: its route's, and the one that all routes to its upstream
 * share. Both must let it pass, and both are told how it went:
 *
 *   http_breaker_admit -> running -> http_breaker_release   (answered, or failed)
 *                            \-----> http_breaker_leave     (it says nothing of what they guard)
 *
 * Each transition is counted, logged and written to the trail, once. */
#include "http/http_priv.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/limits.h"

enum { OBJECT_BYTES = HTTP_PATH_BYTES_MAX + 32, SOURCE_BYTES = 64, NUMBER_BYTES = 16 };

struct http_breaker {
    struct breaker *breaker;
    struct http_engine *engine;
    const char *service;
    struct metric_series *gauge;
    struct breaker_options options;
    unsigned holders;
    char route[OBJECT_BYTES]; /* "upstream:shop": the label beside those of routes */
};

/* ---- telling -----------------------------------------------------------------------------------
 */

/* A transition on its way to the trail. Its texts are its own: a reload may end the route and the
 * upstream before the store's writer comes to it. */
struct told {
    struct store_job job;
    struct http_engine *engine;
    struct trail_record record;
    char source[SOURCE_BYTES];
    char object[OBJECT_BYTES];
    char number[NUMBER_BYTES];
};

static enum err told_run(struct store_conn *conn, struct store_job *job)
{
    return trail_add(conn, &PC_CONTAINER(job, struct told, job)->record);
}

static void lost(struct http_engine *engine, const char *object, enum err err)
{
    log_error(engine->options.logger, "circuit_breaker_not_recorded", LOG_STRING("breaker", object),
              LOG_STRING("why", err_sentence(err)));
}

static void told_end(struct http_engine *engine, struct told *told, enum err err)
{
    if (err)
        lost(engine, told->object, err);
    (void)atomic_fetch_sub(&engine->breaker_telling, 1);
    alloc_free(told);
}

static void told_done(struct store_job *job)
{
    struct told *told = PC_CONTAINER(job, struct told, job);

    told_end(told->engine, told, job->err);
}

/* The store may be what failed, and nobody waits for it here: what cannot be recorded stands in the
 * log. */
static void record(struct http_engine *engine, const char *service, const char *object,
                   const struct breaker_move *move)
{
    struct told *told;
    enum err err;

    if (engine->options.store == NULL)
        return;
    told = alloc_zero(sizeof(*told));
    if (told == NULL) {
        lost(engine, object, ERR_NO_MEMORY);
        return;
    }
    told->engine = engine;
    (void)snprintf(told->source, sizeof(told->source), "%s", service);
    (void)snprintf(told->object, sizeof(told->object), "breaker:%s", object);
    (void)snprintf(told->number, sizeof(told->number), "%u", move->number);
    told->record =
        (struct trail_record){.event = TRAIL_BREAKER_MOVED,
                              .outcome = TRAIL_DONE,
                              .at_ns = clock_realtime_ns(engine->options.clock),
                              .actor_kind = TRAIL_ACTOR_SYSTEM,
                              .actor = SPAN("system"),
                              .source = span_from(told->source),
                              .object = span_from(told->object),
                              .reason = span_from(breaker_why_name(move->why)),
                              .details = {{"from", span_from(breaker_state_name(move->from))},
                                          {"to", span_from(breaker_state_name(move->to))},
                                          {"number", span_from(told->number)}}};
    told->job = (struct store_job){.run = told_run, .done = told_done};
    if (atomic_fetch_add(&engine->breaker_telling, 1) >= LIMIT_HTTP_BREAKERS_TOLD_MAX)
        err = ERR_BUSY;
    else
        err = store_write(engine->options.store, &told->job);
    if (err)
        told_end(engine, told, err);
}

static void tell(struct http_engine *engine, const char *service, const char *route,
                 const char *object, const struct breaker_move *move)
{
    metric_add(engine->breaker_moved[move->to], 1);
    log_warn(engine->options.logger, "circuit_breaker", LOG_STRING("service", service),
             LOG_STRING("route", route), LOG_STRING("from", breaker_state_name(move->from)),
             LOG_STRING("to", breaker_state_name(move->to)),
             LOG_STRING("why", breaker_why_name(move->why)));
    record(engine, service, object, move);
}

/* ---- of a route --------------------------------------------------------------------------------
 */

void http_breaker_route_moved(void *context, const struct breaker_move *move)
{
    const struct http_lasting *route = context;
    char name[OBJECT_BYTES];

    (void)snprintf(name, sizeof(name), "%.*s %s", SPAN_ARG(http_method_name(route->method)),
                   route->path);
    tell(route->engine, route->service, route->path, name, move);
}

/* What the row leaves out is the policy's. */
static struct breaker_options options_of(const struct http_route_state *state,
                                         const struct http_policy *policy)
{
    const struct http_proxy *proxy = state->row.proxy;
    struct breaker_options options = {0};

    if (proxy != NULL)
        options = proxy->breaker;
    if (options.failures == 0)
        options.failures = policy->breaker_failures;
    if (options.open_ns == 0)
        options.open_ns = policy->breaker_open_ns;
    if (options.probes == 0)
        options.probes = policy->breaker_probes;
    return options;
}

/* Rows that are made once go on with the breaker that they have. */
void http_breakers_adjust(struct http_service *service, const struct http_policy *policy)
{
    for (size_t i = 0; i < service->route_count; i++) {
        struct http_lasting *lasting = service->routes[i].lasting;
        struct breaker_options options = options_of(&service->routes[i], policy);

        if (lasting->breaker == NULL || options.exact)
            continue;
        lasting->guard = options;
        breaker_adjust(lasting->breaker, options.failures, options.open_ns, options.probes);
    }
}

enum err http_breaker_make(struct http_service *service, struct http_route_state *state)
{
    struct breaker_options options = options_of(state, service->options.policy);

    if (state->row.guard == HTTP_GUARD_NONE || state->row.path == NULL)
        return http_lasting_take(state, NULL);
    return http_lasting_take(state, &options);
}

/* A breaker with other settings is another breaker. */
bool http_breaker_same(const struct breaker_options *a, const struct breaker_options *b)
{
    return a->failures == b->failures && a->open_ns == b->open_ns && a->probes == b->probes &&
           a->successes_needed == b->successes_needed && a->probe_ns == b->probe_ns &&
           a->exact == b->exact && a->window_ns == b->window_ns && a->calls_min == b->calls_min &&
           a->error_percent == b->error_percent && a->slow_percent == b->slow_percent &&
           a->slow_ns == b->slow_ns;
}

/* ---- of an upstream ----------------------------------------------------------------------------
 */

static void shared_moved(void *context, const struct breaker_move *move)
{
    const struct http_breaker *shared = context;

    tell(shared->engine, shared->service, shared->route, shared->route, move);
}

static int64_t read_shared(void *context)
{
    const struct http_breaker *shared = context;

    return (int64_t)breaker_state_at(shared->breaker,
                                     clock_monotonic_ns(shared->engine->options.clock));
}

static enum err shared_new(struct http_engine *engine, const char *service, const char *upstream,
                           const struct breaker_options *options, struct http_breaker **ret)
{
    struct http_breaker *shared = alloc_zero(sizeof(*shared));
    struct breaker_options own = *options;
    struct span labels[3];
    enum err err;

    if (shared == NULL)
        return ERR_NO_MEMORY;
    shared->engine = engine;
    shared->service = service;
    shared->options = *options;
    shared->holders = 1;
    (void)snprintf(shared->route, sizeof(shared->route), "upstream:%s", upstream);
    own.moved = shared_moved;
    own.context = shared;
    err = breaker_new(&own, &shared->breaker);
    if (err) {
        alloc_free(shared);
        return err;
    }
    labels[0] = span_from(service);
    labels[1] = span_from(shared->route);
    labels[2] = http_method_name(NET_METHOD_OTHER);
    shared->gauge = metric_series(engine->breaker_states, labels, PC_COUNT(labels));
    metric_hold(shared->gauge);
    *ret = shared;
    return ERR_OK;
}

enum err http_breaker_new(struct http_engine *engine, const char *service, const char *upstream,
                          const struct breaker_options *options, struct http_breaker *former,
                          struct http_breaker **ret)
{
    if (former == NULL || !http_breaker_same(&former->options, options))
        return shared_new(engine, service, upstream, options, ret);
    former->holders++;
    *ret = former;
    return ERR_OK;
}

void http_breaker_show(struct http_breaker *breaker)
{
    if (breaker != NULL)
        metric_callback(breaker->gauge, read_shared, breaker);
}

void http_breaker_free(struct http_breaker *breaker)
{
    if (breaker == NULL || --breaker->holders > 0)
        return;
    metric_callback_end(breaker->gauge, breaker);
    metric_let_go(breaker->gauge);
    breaker_free(breaker->breaker);
    alloc_free(breaker);
}

const struct breaker *http_breaker_inner(const struct http_breaker *breaker)
{
    return breaker->breaker;
}

/* ---- a request ---------------------------------------------------------------------------------
 */

static struct breaker *shared_of(const struct http_call *call)
{
    const struct http_proxy *proxy = call->state->row.proxy;

    return proxy != NULL && proxy->shared != NULL ? proxy->shared->breaker : NULL;
}

bool http_breaker_admit(struct http_call *call, int64_t *ret_retry_after_ns)
{
    int64_t now_ns = net_loop_now_ns(call->lane->loop);
    struct breaker *shared = shared_of(call);

    if (call->state->breaker != NULL) {
        if (!breaker_admit(call->state->breaker, now_ns, &call->ticket, ret_retry_after_ns))
            return false;
        call->breaker_held = true;
    }
    if (shared != NULL) {
        if (!breaker_admit(shared, now_ns, &call->ticket_shared, ret_retry_after_ns)) {
            http_breaker_leave(call); /* that the other is open says nothing of the route */
            return false;
        }
        call->shared_held = true;
    }
    return true;
}

void http_breaker_leave(struct http_call *call)
{
    if (call->breaker_held)
        breaker_abandon(call->state->breaker, call->ticket);
    if (call->shared_held)
        breaker_abandon(shared_of(call), call->ticket_shared);
    call->breaker_held = call->shared_held = false;
}

/* What our own bound refuses says nothing about what the breaker guards, and it would stay open
 * long after that is eased; nor does a client that goes (ERR_END), nor an operator who drains all
 * targets. A store that stands still is what it guards. */
static bool is_ours(const struct http_call *call)
{
    return call->err == ERR_AUDIT_BEHIND || call->err == ERR_UPSTREAM_FULL ||
           call->err == ERR_UPSTREAM_NONE || call->err == ERR_DRAINING || call->err == ERR_END;
}

void http_breaker_release(struct http_call *call, int64_t now_ns)
{
    bool ok = call->status < 500 && err_status(call->err) < 500;

    if (is_ours(call))
        http_breaker_leave(call);
    if (call->breaker_held)
        breaker_report_timed(call->state->breaker, call->ticket, ok, call->upstream_ns, now_ns);
    if (call->shared_held)
        breaker_report_timed(shared_of(call), call->ticket_shared, ok, call->upstream_ns, now_ns);
    call->breaker_held = call->shared_held = false;
}

/* The one that keeps more requests away. */
const char *http_breaker_shown(const struct http_call *call)
{
    static const int strictness[BREAKER_STATE_COUNT] = {
        [BREAKER_CLOSED] = 0, [BREAKER_HALF_OPEN] = 1, [BREAKER_OPEN] = 2};
    const struct breaker *shared = shared_of(call);
    enum breaker_state state;
    enum breaker_state other;

    if (call->state->breaker == NULL && shared == NULL)
        return NULL;
    state = call->state->breaker != NULL ? breaker_state(call->state->breaker) : BREAKER_CLOSED;
    other = shared != NULL ? breaker_state(shared) : BREAKER_CLOSED;
    return breaker_state_name(strictness[other] > strictness[state] ? other : state);
}
