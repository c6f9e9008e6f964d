/* SPDX-License-Identifier: MIT
 * What is known of a route whatever becomes of its row: its breaker, the ids of its buckets, its
 * counters. A reload makes the rows of upstreams anew, and a route that stays must not be let in
 * again where its breaker is open, nor get a full bucket. Made and left by one thread at a time. */
#include "http/http_priv.h"

#include <string.h>

#include "base/alloc.h"

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool is_of(const struct http_lasting *lasting, const struct http_route_state *state)
{
    return lasting->method == state->row.method && strcmp(lasting->path, state->row.path) == 0 &&
           same_text(lasting->host, state->row.host) &&
           strcmp(lasting->service, state->service->options.name) == 0;
}

/* Rows come in the order in which they came before, so the next one is looked at first. */
static struct http_lasting *find(const struct http_engine *engine,
                                 const struct http_route_state *state)
{
    struct http_lasting *at = engine->hint != NULL ? engine->hint->next : engine->lasting;

    for (; at != NULL; at = at->next)
        if (at->rows > 0 && is_of(at, state))
            return at;
    for (at = engine->lasting; at != NULL; at = at->next)
        if (at->rows > 0 && is_of(at, state))
            return at;
    return NULL;
}

static struct http_lasting *make(const struct http_route_state *state)
{
    struct span service = span_from(state->service->options.name);
    const char *named = state->row.path != NULL ? state->row.path : "none";
    struct span path = span_from(named);
    struct span host = span_from(state->row.host != NULL ? state->row.host : "");
    struct http_lasting *lasting =
        alloc_zero(sizeof(*lasting) + service.len + path.len + host.len + 3);

    if (lasting == NULL)
        return NULL;
    memcpy(lasting->text, service.ptr, service.len);
    memcpy(lasting->text + service.len + 1, path.ptr, path.len);
    memcpy(lasting->text + service.len + path.len + 2, host.ptr, host.len);
    lasting->service = lasting->text;
    lasting->path = lasting->text + service.len + 1;
    lasting->host = state->row.host != NULL ? lasting->text + service.len + path.len + 2 : NULL;
    lasting->method = state->row.path != NULL ? state->row.method : NET_METHOD_OTHER;
    lasting->engine = state->service->engine;
    return lasting;
}

static void discard(struct http_lasting *lasting)
{
    http_record_forget(lasting);
    breaker_free(lasting->breaker);
    alloc_free(lasting);
}

static enum err guard_with(struct http_lasting *lasting, const struct breaker_options *guard)
{
    struct breaker_options own = *guard;

    lasting->guard = *guard;
    own.moved = http_breaker_route_moved;
    own.context = lasting;
    return breaker_new(&own, &lasting->breaker);
}

static void add(struct http_engine *engine, struct http_lasting *lasting)
{
    struct http_lasting **end = &engine->lasting;

    PC_ASSERT(pthread_mutex_lock(&engine->lasting_lock) == 0);
    if (engine->newest != NULL)
        end = &engine->newest->next;
    *end = lasting;
    engine->newest = lasting;
    PC_ASSERT(pthread_mutex_unlock(&engine->lasting_lock) == 0);
}

static enum err take_new(struct http_route_state *state, const struct breaker_options *guard,
                         const struct http_lasting *former)
{
    struct http_engine *engine = state->service->engine;
    struct http_lasting *lasting = make(state);
    enum err err = lasting == NULL ? ERR_NO_MEMORY : ERR_OK;

    if (err == ERR_OK && guard != NULL)
        err = guard_with(lasting, guard);
    if (err) {
        alloc_free(lasting);
        return err;
    }
    lasting->bucket = former != NULL ? former->bucket : engine->bucket_next;
    engine->bucket_next += former != NULL ? 0 : 2;
    lasting->rows = 1;
    http_record_lasting(lasting);
    add(engine, lasting);
    state->lasting = lasting;
    return ERR_OK;
}

enum err http_lasting_take(struct http_route_state *state, const struct breaker_options *guard)
{
    struct http_engine *engine = state->service->engine;
    bool lasts = state->row.proxy != NULL; /* the others are made once */
    struct http_lasting *lasting = lasts ? find(engine, state) : NULL;
    enum err err = ERR_OK;

    if (lasting != NULL && (lasting->breaker != NULL) == (guard != NULL) &&
        (guard == NULL || http_breaker_same(&lasting->guard, guard))) {
        lasting->rows++;
        state->lasting = lasting;
    } else {
        err = take_new(state, guard, lasting);
    }
    if (err)
        return err;
    engine->hint = state->lasting;
    state->breaker = state->lasting->breaker;
    return ERR_OK;
}

/* Those that no row has, and of which nothing is left to tell. */
static void sweep(struct http_engine *engine, bool all)
{
    struct http_lasting **at = &engine->lasting;

    PC_ASSERT(pthread_mutex_lock(&engine->lasting_lock) == 0);
    engine->newest = NULL;
    engine->hint = NULL;
    while (*at != NULL) {
        struct http_lasting *lasting = *at;
        bool told = atomic_load(&lasting->strangers) + lasting->strangers_taken == 0;

        if (all || (lasting->rows == 0 && told)) {
            *at = lasting->next;
            discard(lasting);
            continue;
        }
        engine->newest = lasting;
        at = &lasting->next;
    }
    PC_ASSERT(pthread_mutex_unlock(&engine->lasting_lock) == 0);
}

void http_lasting_leave(struct http_service *service)
{
    for (size_t i = 0; i < service->route_count; i++) {
        if (service->routes[i].lasting != NULL)
            service->routes[i].lasting->rows--;
    }
    if (service->nowhere.lasting != NULL)
        service->nowhere.lasting->rows--;
    sweep(service->engine, false);
}

void http_lasting_free_all(struct http_engine *engine)
{
    sweep(engine, true);
}

void http_breakers_see(struct http_engine *engine, http_breaker_see_fn *see, void *context)
{
    int64_t now_ns = clock_monotonic_ns(engine->options.clock);

    PC_ASSERT(pthread_mutex_lock(&engine->lasting_lock) == 0);
    for (const struct http_lasting *at = engine->lasting; at != NULL; at = at->next) {
        const struct http_breaker_seen seen = {
            .service = at->service,
            .route = at->path,
            .host = at->host,
            .method = http_method_name(at->method),
            .state = at->breaker ? breaker_state_at(at->breaker, now_ns) : BREAKER_CLOSED,
            .open_left_ns = at->breaker ? breaker_open_left_ns(at->breaker, now_ns) : 0};

        if (at->breaker != NULL && at->rows > 0)
            see(context, &seen);
    }
    PC_ASSERT(pthread_mutex_unlock(&engine->lasting_lock) == 0);
}
