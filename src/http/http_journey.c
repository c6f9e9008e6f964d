/* SPDX-License-Identifier: MIT
 * The journey itself: a table of stops, run in order by journey_go. A stop says "next", "answered"
 * (by an error or a reply) or "wait": for the body, or for another thread that has the request.
 *
 *   head() -> ROUTE -> ADDRESS_LIMIT -> TOKEN -> RIGHTS -> USER_LIMIT -> AUTHORIZE -> BODY
 *                                         |        ^ (store, on a cache miss)        |  ^ end()
 *                                         +--------+                                 v  |
 *                                                    answer <- RUN <- BREAKER <- INPUT -+
 *                                                               ^ (store or hash threads)
 *   401 and 403, at any stop -> DENIED (store: the event) -> answer             http_denied.c
 *
 * Limits that nodes share may have to be asked for: then the request waits at its stop, on its
 * loop (http_limits_draw.c).
 *
 * A request is on one thread at a time. Before it leaves its loop the stream is held and paused;
 * it comes home as a task (journey_home). */
#include "http/http_priv.h"

#include <string.h>

enum verdict { GO_ON, WAIT, DONE };

typedef enum verdict stop_fn(struct http_call *call);

static void journey_go(struct http_call *call);

static enum verdict finish(struct http_call *call, enum err err)
{
    http_call_fail(call, err);
    return DONE;
}

void http_call_fail(struct http_call *call, enum err err)
{
    PC_ASSERT(err != ERR_OK);
    call->err = err = http_refusal_told(call, err);
    if (call->retry_after_ns == 0 && err_status(err) == 503)
        call->retry_after_ns = CLOCK_NS_PER_S;
    if (!http_denied_go(call))
        http_call_answer(call);
}

/* ---- stops ------------------------------------------------------------------------------------
 */

/* Whether a route of this path keeps other origins' scripts away: then all of them do. */
static bool path_is_same_origin(const struct http_call *call, uint32_t methods)
{
    const struct http_service *service = call->req.service; /* no route to an upstream does */
    struct http_match match;

    for (size_t i = 0; i < NET_METHOD_COUNT; i++) {
        if ((methods & (1U << i)) &&
            http_router_find(service->router, (enum net_method)i, call->req.path, &match) ==
                ERR_OK &&
            service->routes[match.index].row.same_origin)
            return true;
    }
    return false;
}

static enum verdict answer_options(struct http_call *call, uint32_t methods)
{
    char text[128];
    struct sbuf allow = sbuf_over(text, sizeof(text));

    http_methods_add(&allow, methods);
    call->status = 204;
    http_reply_header(&call->req, "Allow", sbuf_span(&allow));
    call->same_origin = path_is_same_origin(call, methods);
    if (!call->same_origin && http_cors_is_preflight(call))
        http_cors_preflight(call, methods & http_cors_find(call));
    http_call_answer(call);
    return DONE;
}

static uint32_t with_implied(uint32_t methods)
{
    if (methods & (1U << NET_METHOD_GET))
        methods |= 1U << NET_METHOD_HEAD;
    return methods | (1U << NET_METHOD_OPTIONS);
}

/* Who looks for what is not there pays like anybody else, so a scan is limited too. */
static enum verdict refuse_route(struct http_call *call, enum err err)
{
    enum err limited = http_limit_address(call);

    return finish(call, limited ? limited : err);
}

static enum verdict refuse_method(struct http_call *call, uint32_t methods)
{
    char text[128];
    struct sbuf allow = sbuf_over(text, sizeof(text));

    http_methods_add(&allow, methods);
    http_reply_header(&call->req, "Allow", sbuf_span(&allow));
    return refuse_route(call, ERR_METHOD_NOT_ALLOWED);
}

/* In what is the service's own a path that it lacks is nowhere, and no upstream's. */
static bool is_in_area(const struct http_service *service, struct span path)
{
    for (const char *const *area = service->options.areas; area != NULL && *area != NULL; area++) {
        if (http_path_is_below(path, *area))
            return true;
    }
    return false;
}

/* To what others put behind us; our own services may run elsewhere too. */
static bool leads_away(const struct http_route *row)
{
    return row->proxy != NULL && !row->proxy->is_ours;
}

enum err http_route_find(const struct http_call *call, enum net_method method,
                         const struct http_service **ret_owner, struct http_match *ret)
{
    const struct http_request *req = &call->req;
    const struct http_service *own = req->service;
    const struct http_service *proxied = http_snapshot_routes(call);
    enum err err;

    *ret_owner = own;
    if (proxied == NULL || is_in_area(own, req->path))
        return http_host_find(own, req->host, method, req->path, ret);
    *ret_owner = proxied;
    err = http_host_find_own(proxied, req->host, method, req->path, ret);
    if (err != ERR_NOT_FOUND)
        return err;
    *ret_owner = own;
    err = http_host_find(own, req->host, method, req->path, ret);
    if (err != ERR_NOT_FOUND)
        return err;
    *ret_owner = proxied;
    return http_router_find(proxied->router, method, req->path, ret);
}

static enum verdict stop_route(struct http_call *call)
{
    struct http_request *req = &call->req;
    enum net_method method = req->method == NET_METHOD_HEAD ? NET_METHOD_GET : req->method;
    const struct http_service *owner;
    struct http_match match;
    enum err err = http_route_find(call, method, &owner, &match);

    if (span_is(req->path, "*"))
        return answer_options(call, with_implied(0));
    if (err == ERR_OK && owner == req->service && leads_away(&owner->routes[match.index].row) &&
        is_in_area(owner, req->path))
        return refuse_route(call, ERR_NOT_FOUND);
    if (err == ERR_METHOD_NOT_ALLOWED && method == NET_METHOD_OPTIONS)
        return answer_options(call, with_implied(match.methods));
    if (err == ERR_OK && method == NET_METHOD_OPTIONS && http_cors_is_ours(call))
        return answer_options(call, with_implied(http_cors_find(call)));
    if (err == ERR_METHOD_NOT_ALLOWED)
        return refuse_method(call, with_implied(match.methods));
    if (err)
        return refuse_route(call, err);
    call->state = &owner->routes[match.index];
    req->route = &call->state->row;
    memcpy(req->params, match.params, sizeof(match.params));
    return GO_ON;
}

static bool needs_token(const struct http_call *call)
{
    return call->req.route->access == HTTP_ACCESS_BEARER ||
           call->req.route->access == HTTP_ACCESS_ADMIN ||
           call->req.route->access == HTTP_ACCESS_KEY;
}

/* Who shows no token is limited by address. */
static enum verdict stop_address_limit(struct http_call *call)
{
    enum err err;

    if (call->req.route->rate != HTTP_RATE_LIMITED ||
        (needs_token(call) && http_token_is_shown(call)))
        return GO_ON;
    err = http_limit_draw(call, false);
    return err == ERR_AGAIN ? WAIT : err ? finish(call, err) : GO_ON;
}

/* A bad token is charged to its address; over the limit, that is the answer. */
static enum verdict refuse_token(struct http_call *call, enum err err)
{
    if (call->req.route->rate != HTTP_RATE_EXEMPT && http_token_is_shown(call)) {
        enum err limited = http_limit_address(call);

        if (limited)
            err = limited;
    }
    return finish(call, err);
}

/* A bound token is nobody's but the certificate's (RFC 8705, 3). What is cached is the token, not
 * the connection, so each request is looked at. */
static enum verdict admit(struct http_call *call)
{
    if (!http_token_is_at_home(call))
        return refuse_token(call, ERR_TOKEN_BOUND);
    call->req.principal = &call->principal;
    return GO_ON;
}

static bool knows_bearer(struct http_call *call, struct span bearer)
{
    struct http_principal principal = {0};

    if (call->req.route->bearer == NULL || !call->req.route->bearer(&call->req, bearer, &principal))
        return false;
    principal.scope_bits = http_names_bits(http_scopes_of(call), principal.scope);
    principal.role_bits = http_names_bits(http_roles_of(call), principal.roles);
    call->principal = principal;
    call->by_bearer = true;
    return true;
}

const struct http_identity *http_identity_of(const struct http_call *call)
{
    const struct http_engine_options *options = &call->lane->engine->options;

    return call->req.route->access == HTTP_ACCESS_KEY ? &options->keys : &options->identity;
}

static enum verdict stop_token(struct http_call *call)
{
    const struct http_engine *engine = call->lane->engine;
    const struct http_identity *identity;
    int64_t now_s = net_loop_realtime_ns(call->lane->loop) / CLOCK_NS_PER_S;
    struct span token;
    enum err err;

    if (!needs_token(call))
        return GO_ON;
    err = http_token_take(call, &token);
    if (err)
        return refuse_token(call, err);
    if (knows_bearer(call, token))
        return admit(call);
    if (http_cache_find(call, token)) {
        metric_add(engine->token_seen[1], 1);
        return admit(call);
    }
    metric_add(engine->token_seen[0], 1);
    err = http_limit_verify(call);
    if (err)
        return finish(call, err);
    if (call->req.route->issuer_count > 0) {
        err = http_issuer_verify(call, token, now_s);
        if (err == ERR_ISSUER_UNAVAILABLE)
            return finish(call, err); /* which is not the bearer's doing */
        return err ? refuse_token(call, err) : admit(call);
    }
    identity = http_identity_of(call);
    err = identity->verify(identity->context, token, now_s, call->req.arena, &call->principal);
    return err ? refuse_token(call, err) : GO_ON;
}

/* ---- to other threads and back ----------------------------------------------------------------
 */

void http_call_leave(struct http_call *call)
{
    call->waiting = true;
    net_stream_hold(call->stream);
    if (!call->body_done)
        net_stream_pause(call->stream);
}

/* It could not leave. The answer comes first: resuming may bring a body that is refused, or the
 * news that the client is gone, and each of them would be an answer too. */
static enum verdict turn_away(struct http_call *call, enum err err)
{
    struct net_stream *stream = call->stream;

    call->waiting = false;
    http_call_fail(call, err);
    net_stream_resume(stream);
    net_stream_release(stream);
    return DONE;
}

/* Recorded as the client's doing, answered to nobody. */
static void give_up(struct http_call *call)
{
    call->answered = true;
    call->status = HTTP_STATUS_CLIENT_GONE;
    http_record(call, net_loop_now_ns(call->lane->loop) - call->req.begun_ns);
}

/* While it was away its body was refused, or its client went: an upstream is not asked for nobody,
 * and nobody waits for a body that does not come. What has run is answered all the same. */
static bool ends_early(struct http_call *call)
{
    enum err err = call->over;

    if (err == ERR_OK || call->stop > HTTP_STOP_RUN ||
        (call->body_done && call->req.route->proxy == NULL))
        return false;
    call->close = true;
    if (err == ERR_END)
        give_up(call);
    else
        http_call_fail(call, err);
    return true;
}

/* On the loop again, with run_err set. The journey goes on first: only a stop that waits for the
 * body keeps what comes of it, and resuming may bring all of it at once. */
static void journey_home(struct net_task *task)
{
    struct http_call *call = PC_CONTAINER(task, struct http_call, back);
    struct net_stream *stream = call->stream;

    call->waiting = false;
    if (!call->answered && !ends_early(call))
        journey_go(call);
    if (!call->body_done && !call->waiting && !http_proxy_holds(call))
        net_stream_resume(stream);
    net_stream_release(stream);
}

void http_call_go_home(struct http_call *call)
{
    call->back.run = journey_home;
    net_loop_post(call->lane->loop, &call->back);
}

void http_call_back(struct http_call *call)
{
    journey_home(&call->back);
}

/* What one of many in a commit is told: its own answer, if there was a commit. A statement that was
 * refused is nothing that it did wrong. */
static enum err told_of(const struct http_call *call, const struct store_job *job)
{
    if (job->err == ERR_OK)
        return call->visit_err;
    if (job->unknown)
        return ERR_OUTCOME_UNKNOWN;
    if (job->err == ERR_STORE_UNIQUE || job->err == ERR_STORE_CONSTRAINT)
        return ERR_INTERNAL;
    return job->err;
}

static void store_done(struct store_job *job)
{
    struct http_call *call = PC_CONTAINER(job, struct http_call, store);

    call->run_err = job->together != NULL ? told_of(call, job) : job->err;
    call->req.store = NULL;
    if (call->run_err != call->visit_err) /* what a handler said of its answer is void */
        http_call_forget(call);
    http_call_go_home(call);
}

static enum err rights_run(struct store_conn *conn, struct store_job *job)
{
    struct http_call *call = PC_CONTAINER(job, struct http_call, store);
    const struct http_identity *identity = http_identity_of(call);

    return identity->load(identity->context, conn, call->req.arena, &call->principal);
}

/* Twice: on the way out, and when the rights are here. Again when they changed before the body was
 * here. */
static enum verdict stop_rights(struct http_call *call)
{
    struct http_engine *engine = call->lane->engine;
    enum err err;

    if (!needs_token(call) || call->req.principal != NULL)
        return GO_ON;
    if (call->store.run == NULL) {
        http_rights_ask(call);
        call->store = (struct store_job){.run = rights_run, .done = store_done};
        http_call_leave(call);
        err = store_read(engine->options.store, &call->store);
        return err == ERR_OK ? WAIT : turn_away(call, err);
    }
    if (call->run_err)
        return err_status(call->run_err) == 401 ? refuse_token(call, call->run_err)
                                                : finish(call, call->run_err);
    http_rights_keep(call);
    return admit(call);
}

static enum verdict stop_user_limit(struct http_call *call)
{
    enum err err;

    if (call->req.route->rate != HTTP_RATE_LIMITED || call->req.principal == NULL)
        return GO_ON;
    err = http_limit_draw(call, true);
    return err == ERR_AGAIN ? WAIT : err ? finish(call, err) : GO_ON;
}

static enum verdict stop_authorize(struct http_call *call)
{
    const struct http_policy *policy = call->req.policy;
    enum err err;

    switch (call->req.route->access) {
    case HTTP_ACCESS_OPEN:
        return GO_ON;
    case HTTP_ACCESS_NETWORK:
        if (http_network_holds(policy->metrics_from, policy->metrics_from_count, call->address))
            return GO_ON; /* a stranger need not know that it exists */
        return finish(call,
                      http_denied(&call->req, ERR_NOT_FOUND, REASON_NETWORK, (struct span){0}));
    case HTTP_ACCESS_BEARER:
    case HTTP_ACCESS_ADMIN:
    case HTTP_ACCESS_KEY:
        err = http_authorize(call);
        return err ? finish(call, err) : GO_ON;
    case HTTP_ACCESS_DENIED:
    default:
        return finish(call, ERR_FORBIDDEN);
    }
}

/* What no handler has seen yet is nobody's but the address's, where the handler would have said. */
static enum err charge_unread(struct http_call *call, enum err err)
{
    enum err limited =
        call->req.route->rate == HTTP_RATE_CLIENT ? http_limit_failure(&call->req) : ERR_OK;

    return limited ? limited : err;
}

static enum verdict stop_body(struct http_call *call)
{
    enum err err;

    if (call->req.route->body == NULL || call->req.route->proxy != NULL)
        return GO_ON;
    if (call->body_done && call->req.head->has_body)
        return GO_ON;
    err = http_body_check(call);
    if (err)
        return finish(call, charge_unread(call, err));
    if (call->body_done)
        return GO_ON; /* a form without a byte */
    net_stream_continue(call->stream);
    return WAIT;
}

static enum verdict stop_input(struct http_call *call)
{
    enum err err = ERR_OK;

    if (call->req.route->proxy != NULL)
        return GO_ON;
    if (call->req.route->input != NULL)
        err = http_input_bind(call);
    if (err == ERR_OK && call->req.route->body != NULL)
        err = http_body_bind(call);
    return err ? finish(call, charge_unread(call, err)) : GO_ON;
}

static enum verdict stop_breaker(struct http_call *call)
{
    int64_t retry_after_ns;

    if (http_breaker_admit(call, &retry_after_ns))
        return GO_ON;
    return finish(call, http_fail_retry(&call->req, ERR_BREAKER_OPEN, retry_after_ns));
}

/* ---- running ----------------------------------------------------------------------------------
 */

void http_call_forget(struct http_call *call)
{
    call->err = ERR_OK;
    call->settled = false;
    call->detail = NULL;
    call->retry_after_ns = 0;
    call->extra = (struct sbuf){0};
    call->csp = call->cache_control = (struct span){0};
    call->denied = (struct http_why_denied){0};
    if (call->problems != NULL)
        call->problems->count = 0;
}

/* One visit of a handler. A write may come here again after a rollback: it starts clean. */
enum err http_call_visit(struct http_call *call)
{
    http_call_forget(call);
    call->hopping = false;
    call->visit_err = call->visited(&call->req);
    return call->visit_err;
}

static enum err handle_in_store(struct store_conn *conn, struct store_job *job)
{
    struct http_call *call = PC_CONTAINER(job, struct http_call, store);

    call->req.store = conn;
    call->finally = call->finally_before; /* it may have run before, and was undone */
    return http_call_visit(call);
}

static void handle_in_pool(struct net_job *job)
{
    struct http_call *call = PC_CONTAINER(job, struct http_call, hash);

    call->run_err = http_call_visit(call);
    http_call_go_home(call);
}

static enum err dispatch(struct http_call *call)
{
    const struct http_engine_options *options = &call->lane->engine->options;
    struct store *store = call->state->store;

    call->store = (struct store_job){.run = handle_in_store, .done = store_done};
    call->finally_before = call->finally;
    if (call->group != NULL) {
        call->store = (struct store_job){.together = http_group_run,
                                         .group = call->group,
                                         .weight = call->weight,
                                         .done = store_done};
        return store_write(store, &call->store);
    }
    switch (call->run) {
    case HTTP_RUN_READ:
        return store_read(store, &call->store);
    case HTTP_RUN_WRITE:
        return store_write(store, &call->store);
    case HTTP_RUN_HASH:
        call->hash.run = handle_in_pool;
        return net_pool_submit(options->hash_pool, &call->hash);
    case HTTP_RUN_SIGN:
        call->hash.run = handle_in_pool;
        return net_pool_submit(options->sign_pool, &call->hash);
    case HTTP_RUN_LOOP:
    default:
        PC_WRONG("a loop handler is not dispatched");
    }
}

enum err http_hop(struct http_request *req, enum http_run run, http_handler_fn *next)
{
    struct http_call *call = http_call_of(req);

    call->run = run;
    call->handle = next;
    call->group = NULL;
    call->hopping = true;
    return ERR_OK;
}

/* A full queue is our own refusal: it says nothing about what the breaker guards. A store that
 * stands still does. */
static enum verdict refuse_busy(struct http_call *call, enum err err)
{
    if (err != ERR_STORE_SLOW)
        http_breaker_leave(call);
    return turn_away(call, err);
}

/* First visit: run here or send away. Later visits: the result of one stop is here; it is an error,
 * a reply, or the wish for another stop. */
static enum verdict stop_run(struct http_call *call)
{
    enum err err;

    if (call->req.route->proxy != NULL) {
        err = http_tunnel_offer(call);
        if (err == ERR_OK)
            err = http_proxy_go(call);
        return err ? finish(call, err) : WAIT;
    }
    if (call->handle == NULL) {
        call->handle = call->req.route->handle;
        call->run = call->req.route->run;
        call->hopping = true;
        call->run_err = ERR_OK;
    }
    while (call->run_err == ERR_OK && call->hopping) {
        call->visited = call->handle;
        if (call->run == HTTP_RUN_LOOP) {
            call->run_err = http_call_visit(call);
            continue;
        }
        http_call_leave(call);
        err = dispatch(call);
        return err == ERR_OK ? WAIT : refuse_busy(call, err);
    }
    if (call->run_err)
        return finish(call, call->run_err);
    PC_ASSERT(call->status != 0); /* a handler must reply, hop or fail */
    http_call_answer(call);
    return DONE;
}

/* On the way back: what was refused is written down, or nothing is. */
static enum verdict stop_denied(struct http_call *call)
{
    http_denied_end(call);
    return DONE;
}

static stop_fn *const stops[HTTP_STOP_COUNT] = {[HTTP_STOP_ROUTE] = stop_route,
                                                [HTTP_STOP_ADDRESS_LIMIT] = stop_address_limit,
                                                [HTTP_STOP_TOKEN] = stop_token,
                                                [HTTP_STOP_RIGHTS] = stop_rights,
                                                [HTTP_STOP_USER_LIMIT] = stop_user_limit,
                                                [HTTP_STOP_AUTHORIZE] = stop_authorize,
                                                [HTTP_STOP_BODY] = stop_body,
                                                [HTTP_STOP_INPUT] = stop_input,
                                                [HTTP_STOP_BREAKER] = stop_breaker,
                                                [HTTP_STOP_RUN] = stop_run,
                                                [HTTP_STOP_DENIED] = stop_denied};

static void journey_go(struct http_call *call)
{
    while (stops[call->stop](call) == GO_ON) {
        call->stop++;
        PC_ASSERT(call->stop < HTTP_STOP_COUNT);
    }
}

/* ---- what net/ calls --------------------------------------------------------------------------
 */

static struct http_call *call_new(struct net_stream *stream)
{
    struct http_service *service = net_stream_context(stream);
    struct http_call *call = arena_zero(net_stream_arena(stream), sizeof(*call));

    if (call == NULL)
        return NULL;
    *net_stream_slot(stream) = call;
    call->stream = stream;
    call->lane = *net_loop_slot(net_stream_loop(stream));
    call->close = atomic_load_explicit(&service->engine->leaving, memory_order_relaxed);
    http_snapshot_use(call, service);
    call->state = &service->nowhere;
    call->req.service = service;
    call->req.policy = call->rules->policy;
    call->req.arena = net_stream_arena(stream);
    call->req.head = net_stream_head(stream);
    call->req.begun_ns = net_stream_start_ns(stream);
    http_call_identify(call);
    return call;
}

static void on_head(struct net_stream *stream, const struct net_head *head)
{
    struct http_call *call = call_new(stream);
    enum err err;

    if (call == NULL) {
        http_refusal_bare(net_stream_context(stream), ERR_NO_MEMORY);
        http_answer_bare(stream, 503);
        return;
    }
    call->body_done = !head->has_body;
    err = http_call_begin(call);
    if (err) {
        call->close |= err != ERR_NOT_IMPLEMENTED;
        http_call_fail(call, err);
        return;
    }
    journey_go(call);
}

static void on_body(struct net_stream *stream, struct span bytes)
{
    struct http_call *call = *net_stream_slot(stream);

    if (call != NULL && call->passage != NULL) {
        http_proxy_body(call, bytes);
        return;
    }
    if (call == NULL || call->answered || call->stop != HTTP_STOP_BODY)
        return; /* nobody asked for it */
    sbuf_add(&call->body, bytes);
    if (call->body.full && call->req.arena->overflowed)
        http_call_fail(call, ERR_NO_MEMORY);
    else if (call->body.full)
        http_call_fail(call, charge_unread(call, ERR_BODY_TOO_LARGE));
}

/* A client may take long over its body; the rights that counted when its head came may be gone.
 * Then they are asked for again, once. */
static void look_at_rights_again(struct http_call *call)
{
    if (call->req.principal == NULL || call->by_bearer || call->principal.issuer != NULL ||
        http_rights_are_fresh(call->lane, &call->principal))
        return;
    call->req.principal = NULL;
    call->store.run = NULL;
    call->stop = HTTP_STOP_RIGHTS;
}

static void on_end(struct net_stream *stream)
{
    struct http_call *call = *net_stream_slot(stream);

    if (call == NULL || (call->body_done && !(call->passage && http_tunnel_is_open(call))))
        return;
    call->body_done = true;
    if (call->passage != NULL) {
        http_proxy_end(call);
        return;
    }
    if (call->answered || call->waiting || call->stop != HTTP_STOP_BODY)
        return;
    look_at_rights_again(call);
    journey_go(call);
}

static void on_refuse(struct net_stream *stream, enum err err)
{
    struct http_call *call = *net_stream_slot(stream);

    if (call == NULL)
        call = call_new(stream);
    if (call == NULL) {
        http_refusal_bare(net_stream_context(stream), err);
        http_answer_bare(stream, err_status(err));
        return;
    }
    if (call->passage != NULL)
        http_proxy_stop(call, http_tunnel_is_open(call) ? err : ERR_END);
    if (call->waiting && call->over == ERR_OK)
        call->over = err;
    if (call->answered || call->waiting)
        return;
    call->close = true;
    if (err == ERR_METHOD_NOT_ALLOWED) /* CONNECT: allowed nowhere, so there is no Allow to give */
        err = ERR_NOT_IMPLEMENTED;
    if (call->req.head != NULL)
        call->req.method = call->req.head->method;
    http_call_fail(call, err);
}

static void on_gone(struct net_stream *stream)
{
    struct http_call *call = *net_stream_slot(stream);

    if (call != NULL && call->passage != NULL)
        http_proxy_gone(call);
    if (call == NULL || call->answered)
        return;
    if (call->waiting)
        call->over = ERR_END;
    else
        give_up(call); /* the body never came */
}

/* Most who send no more have gone. Our own answers are quick and are sent all the same; an
 * upstream's work is not done for nobody. */
static void on_hung_up(struct net_stream *stream)
{
    struct http_call *call = *net_stream_slot(stream);

    if (call == NULL || call->passage == NULL)
        return;
    on_gone(stream);
    net_stream_abort(stream);
}

static void on_recycle(struct net_stream *stream)
{
    struct http_call *call = *net_stream_slot(stream);

    if (call != NULL)
        http_snapshot_done(call);
}

static void on_writable(struct net_stream *stream)
{
    struct http_call *call = *net_stream_slot(stream);

    if (call != NULL && call->passage != NULL)
        http_proxy_writable(call);
}

const struct net_app http_net_app = {.head = on_head,
                                     .body = on_body,
                                     .end = on_end,
                                     .refuse = on_refuse,
                                     .gone = on_gone,
                                     .hung_up = on_hung_up,
                                     .writable = on_writable,
                                     .recycle = on_recycle};
