/* SPDX-License-Identifier: MIT
 * Swapping what may change while running (http_snapshot.h).
 *
 *   take: now = it; a task for each loop          on_switch: the loop's pointer, enter, leave
 *         waits until each has run  <------------------+
 *
 *   http_snapshot_use  counts a request on its loop     http_snapshot_done  counts it off; the last
 *                                                       of a snapshot that was left ends it there
 *
 * The end is told by a task, so that whoever is still on the stack of the last request (an upstream
 * that serves the next in its line) finds everything where it was. */
#include "http/http_snapshot.h"

#include "base/alloc.h"
#include "http/http_priv.h"

/* What one loop knows of a snapshot. */
struct place {
    struct net_task task;
    struct http_snapshot *snapshot;
    struct http_lane *lane;
    uint64_t requests;
    bool left;
};

struct http_snapshot {
    struct http_engine *engine;
    struct http_snapshot *next; /* of all, the newest first */
    struct http_snapshot_options options;
    uint64_t number;
    struct http_names scopes, roles;
    struct http_service *routes; /* NULL: none */
    struct http_rules *rules[HTTP_SERVICES_MAX];
    size_t loops; /* that use it, or have requests of it */
    struct place places[HTTP_LOOPS_MAX];
};

struct http_changer {
    pthread_mutex_t lock; /* of what follows; never on a request's way */
    pthread_cond_t switched;
    struct http_lane *lanes;
    size_t waiting; /* loops that have yet to switch */
    struct http_snapshot *now;
    struct http_snapshot *all;
    uint64_t number;
    struct http_service *services[HTTP_SERVICES_MAX];
};

static void lock(struct http_changer *changer)
{
    PC_ASSERT(pthread_mutex_lock(&changer->lock) == 0);
}

static void unlock(struct http_changer *changer)
{
    PC_ASSERT(pthread_mutex_unlock(&changer->lock) == 0);
}

/* ---- on a request's way ------------------------------------------------------------------------
 */

static struct place *place_of(struct http_snapshot *snapshot, const struct http_lane *lane)
{
    return &snapshot->places[net_loop_index(lane->loop)];
}

void http_snapshot_use(struct http_call *call, const struct http_service *service)
{
    struct http_snapshot *snapshot = call->lane->snapshot;

    call->snapshot = snapshot;
    call->rules = snapshot != NULL ? snapshot->rules[service->place] : service->rules;
    if (snapshot != NULL)
        place_of(snapshot, call->lane)->requests++;
}

static void end_place(struct place *place)
{
    struct http_changer *changer = place->snapshot->engine->changer;

    lock(changer);
    PC_ASSERT(place->snapshot->loops > 0);
    place->snapshot->loops--;
    unlock(changer);
}

static void on_over(struct net_task *task)
{
    end_place(PC_CONTAINER(task, struct place, task));
}

void http_snapshot_done(struct http_call *call)
{
    struct place *place;

    if (call->snapshot == NULL)
        return;
    place = place_of(call->snapshot, call->lane);
    PC_ASSERT(place->requests > 0);
    if (--place->requests == 0 && place->left) {
        place->task.run = on_over;
        net_loop_post(call->lane->loop, &place->task);
    }
}

const struct http_service *http_snapshot_routes(const struct http_call *call)
{
    const struct http_snapshot *snapshot = call->snapshot;

    return snapshot != NULL && snapshot->options.service == call->req.service ? snapshot->routes
                                                                              : NULL;
}

const struct http_names *http_scopes_of(const struct http_call *call)
{
    return call->snapshot != NULL ? &call->snapshot->scopes : &call->lane->engine->scopes;
}

const struct http_names *http_roles_of(const struct http_call *call)
{
    return call->snapshot != NULL ? &call->snapshot->roles : &call->lane->engine->roles;
}

/* ---- the loops ---------------------------------------------------------------------------------
 */

static void tell(void (*what)(void *, struct net_loop *), const struct http_snapshot *snapshot,
                 const struct http_lane *lane)
{
    if (what != NULL)
        what(snapshot->options.context, lane->loop);
}

static void on_switch(struct net_task *task)
{
    struct place *place = PC_CONTAINER(task, struct place, task);
    struct http_lane *lane = place->lane;
    struct http_changer *changer = lane->engine->changer;
    struct http_snapshot *former = lane->snapshot;

    lane->snapshot = place->snapshot;
    tell(place->snapshot->options.enter, place->snapshot, lane);
    if (former != NULL) {
        tell(former->options.leave, former, lane);
        place_of(former, lane)->left = true;
        if (place_of(former, lane)->requests == 0)
            end_place(place_of(former, lane));
    }
    lock(changer);
    if (--changer->waiting == 0)
        PC_ASSERT(pthread_cond_signal(&changer->switched) == 0);
    unlock(changer);
}

void http_lane_enter(struct http_lane *lane)
{
    struct http_changer *changer = lane->engine->changer;

    PC_ASSERT(net_loop_index(lane->loop) < HTTP_LOOPS_MAX);
    lock(changer);
    lane->next = changer->lanes;
    changer->lanes = lane;
    lane->snapshot = changer->now;
    if (lane->snapshot != NULL)
        lane->snapshot->loops++;
    unlock(changer);
    if (lane->snapshot != NULL)
        tell(lane->snapshot->options.enter, lane->snapshot, lane);
}

/* The loop ends, and all that it had with it. */
void http_lane_leave(struct http_lane *lane)
{
    struct http_changer *changer = lane->engine->changer;
    struct http_lane **at = &changer->lanes;

    lock(changer);
    while (*at != lane)
        at = &(*at)->next;
    *at = lane->next;
    unlock(changer);
}

/* ---- making and taking -------------------------------------------------------------------------
 */

static enum err fill(struct http_snapshot *snapshot, const char **reterr_why)
{
    struct http_engine *engine = snapshot->engine;
    const struct http_snapshot_options *options = &snapshot->options;
    enum err err = ERR_OK;

    snapshot->scopes = engine->scopes;
    snapshot->roles = engine->roles;
    for (size_t i = 0; i < HTTP_SERVICES_MAX && !err; i++) {
        if (engine->changer->services[i] != NULL)
            err = http_rules_new(engine->changer->services[i], options->policy, snapshot->number,
                                 &snapshot->rules[i]);
    }
    if (err || options->service == NULL || options->routes == NULL || options->routes->path == NULL)
        return err;
    return http_service_proxied(options->service, options->policy, snapshot->number,
                                options->routes, &snapshot->scopes, &snapshot->roles,
                                &snapshot->routes, reterr_why);
}

enum err http_snapshot_new(struct http_engine *engine, const struct http_snapshot_options *options,
                           struct http_snapshot **ret_snapshot, const char **reterr_why)
{
    struct http_snapshot *snapshot = alloc_zero(sizeof(*snapshot));
    enum err err;

    *reterr_why = NULL;
    if (snapshot == NULL)
        return ERR_NO_MEMORY;
    snapshot->engine = engine;
    snapshot->options = *options;
    snapshot->number = ++engine->changer->number;
    err = fill(snapshot, reterr_why);
    if (err) {
        http_snapshot_free(snapshot);
        return err;
    }
    *ret_snapshot = snapshot;
    return ERR_OK;
}

void http_snapshot_free(struct http_snapshot *snapshot)
{
    if (snapshot == NULL)
        return;
    for (size_t i = 0; i < HTTP_SERVICES_MAX; i++)
        alloc_free(snapshot->rules[i]);
    http_service_free(snapshot->routes);
    alloc_free(snapshot);
}

/* It was in force once. */
static void end(struct http_snapshot *snapshot)
{
    const struct http_snapshot_options options = snapshot->options;

    http_snapshot_free(snapshot);
    if (options.over != NULL)
        options.over(options.context);
}

static void end_all(struct http_snapshot *list)
{
    while (list != NULL) {
        struct http_snapshot *next = list->next;

        end(list);
        list = next;
    }
}

size_t http_snapshot_reap(struct http_engine *engine)
{
    struct http_changer *changer = engine->changer;
    struct http_snapshot **at = &changer->all;
    struct http_snapshot *ended = NULL;
    size_t left = 0;

    lock(changer);
    while (*at != NULL) {
        struct http_snapshot *snapshot = *at;

        if (snapshot == changer->now || snapshot->loops > 0) {
            at = &snapshot->next;
            left++;
            continue;
        }
        *at = snapshot->next;
        snapshot->next = ended;
        ended = snapshot;
    }
    unlock(changer);
    end_all(ended);
    return left;
}

/* Under the lock. */
static void send_tasks(struct http_changer *changer, struct http_snapshot *snapshot)
{
    for (struct http_lane *lane = changer->lanes; lane != NULL; lane = lane->next) {
        struct place *place = place_of(snapshot, lane);

        *place = (struct place){.task = {.run = on_switch}, .snapshot = snapshot, .lane = lane};
        snapshot->loops++;
        changer->waiting++;
        net_loop_post(lane->loop, &place->task);
    }
}

void http_snapshot_take(struct http_snapshot *snapshot)
{
    struct http_changer *changer = snapshot->engine->changer;

    if (snapshot->routes != NULL)
        http_service_show(snapshot->routes);
    for (size_t i = 0; i < HTTP_SERVICES_MAX; i++)
        if (changer->services[i] != NULL)
            http_breakers_adjust(changer->services[i], snapshot->options.policy);
    lock(changer);
    for (size_t i = 0; i < HTTP_LOOPS_MAX; i++)
        snapshot->places[i].snapshot = snapshot;
    snapshot->next = changer->all;
    changer->all = snapshot;
    changer->now = snapshot;
    send_tasks(changer, snapshot);
    while (changer->waiting > 0)
        PC_ASSERT(pthread_cond_wait(&changer->switched, &changer->lock) == 0);
    unlock(changer);
    (void)http_snapshot_reap(snapshot->engine);
}

/* ---- the engine's ------------------------------------------------------------------------------
 */

enum err http_changer_new(struct http_engine *engine)
{
    struct http_changer *changer = alloc_zero(sizeof(*changer));

    if (changer == NULL)
        return ERR_NO_MEMORY;
    PC_ASSERT(pthread_mutex_init(&changer->lock, NULL) == 0);
    PC_ASSERT(pthread_cond_init(&changer->switched, NULL) == 0);
    engine->changer = changer;
    return ERR_OK;
}

/* The loops are gone. */
void http_changer_free(struct http_engine *engine)
{
    struct http_changer *changer = engine->changer;

    if (changer == NULL)
        return;
    end_all(changer->all);
    PC_ASSERT(pthread_cond_destroy(&changer->switched) == 0);
    PC_ASSERT(pthread_mutex_destroy(&changer->lock) == 0);
    engine->changer = NULL;
    alloc_free(changer);
}

void http_changer_add(struct http_service *service)
{
    struct http_service **services = service->engine->changer->services;

    while (service->place < HTTP_SERVICES_MAX && services[service->place] != NULL)
        service->place++;
    PC_ASSERT(service->place < HTTP_SERVICES_MAX);
    services[service->place] = service;
}

void http_changer_remove(struct http_service *service)
{
    struct http_changer *changer = service->engine->changer;

    if (changer != NULL && changer->services[service->place] == service)
        changer->services[service->place] = NULL;
}
