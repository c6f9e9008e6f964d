/* SPDX-License-Identifier: MIT
 * What all grants have in common: the stops of a request for tokens (oauth_flow_priv.h draws them),
 * the reply, and what is remembered of it. */
#include "oauth/oauth_flow_priv.h"

enum { REPLY_BYTES_MAX = 3 * LIMIT_JWS_BYTES_MAX, OBJECT_BYTES_MAX = 128 };

/* ---- refusals ---------------------------------------------------------------------------------
 */

enum err oauth_flow_no(struct oauth_flow *flow, enum err err, const char *why)
{
    flow->why = why;
    return err;
}

bool oauth_flow_is_refusal(enum err err)
{
    return err != ERR_OK && err != ERR_CONFLICT && err != ERR_STORE_UNIQUE &&
           err != ERR_STORE_CONSTRAINT && err_status(err) < 500;
}

static enum err record(struct http_request *req, const struct oauth_flow *flow,
                       enum trail_event event, enum trail_outcome outcome, const char *reason)
{
    char text[OBJECT_BYTES_MAX];
    struct sbuf object = sbuf_over(text, sizeof(text));
    struct auth_event what = {.event = event,
                              .outcome = outcome,
                              .user_id = outcome == TRAIL_DONE ? flow->subject.user_id : 0,
                              .client_id = flow->caller.client.client_id,
                              .reason = span_from(reason)};

    if (flow->object.len > 0) {
        sbuf_add_lit(&object, "session:");
        sbuf_add(&object, flow->object);
        what.object = sbuf_span(&object);
    }
    return auth_record(req, &what);
}

static bool is_login_refusal(enum err err)
{
    return err == ERR_CREDENTIALS || err == ERR_INACTIVE || err == ERR_LOCKED;
}

/* The end of a refusal, in the commit that remembers it. */
static enum err settle_refusal(struct http_request *req, struct oauth_flow *flow, enum err refusal)
{
    struct auth *auth = oauth_of(req)->options.auth;
    enum err err;

    if (refusal == ERR_OAUTH_INVALID_CLIENT)
        return oauth_caller_refused(req, &flow->caller);
    if (is_login_refusal(refusal))
        err = auth_login_refused(auth, req, &flow->login, flow->caller.client.client_id, refusal);
    else
        err = record(req, flow, flow->event, TRAIL_REFUSED, flow->why);
    if (err)
        return err;
    if (refusal == ERR_LOCKED)
        refusal = http_fail_retry(req, refusal, flow->login.attempt.retry_after_ns);
    else
        refusal = http_fail(req, refusal, flow->why);
    return http_refuse(req, refusal);
}

static http_handler_fn find;

/* ---- the last stop ----------------------------------------------------------------------------
 */

static enum err settle_all(struct http_request *req, struct oauth_flow *flow)
{
    enum err err = ERR_OK;

    if (flow->is_proven)
        err = oauth_caller_settle(req, &flow->caller);
    if (err)
        return err;
    if (flow->is_final)
        return flow->refused;
    err = flow->kind->settle(req, flow);
    if (err || flow->answer.len > 0)
        return err;
    return flow->refused; /* it might have tokens now, but there are none */
}

static enum err settle(struct http_request *req)
{
    struct oauth_flow *flow = req->work;
    bool again = flow->refresh_token.len > 0;
    enum err err;

    flow->answer = flow->object = (struct span){0}; /* the job may run again */
    flow->event = TRAIL_TOKEN_REFUSED;
    err = settle_all(req, flow);
    if (err == ERR_CONFLICT && flow->caller.is_recent && flow->caller.is_stale)
        return http_hop(req, HTTP_RUN_READ, find);
    if (oauth_flow_is_refusal(err))
        return settle_refusal(req, flow, err);
    if (err)
        return err;
    flow->object = flow->grant.session_id;
    err = record(req, flow, again ? TRAIL_TOKEN_REFRESHED : TRAIL_TOKEN_ISSUED, TRAIL_DONE,
                 flow->answer.len > 0 ? "the same reply again" : flow->kind->name);
    if (err)
        return err;
    return http_reply_text(req, 200, "application/json",
                           flow->answer.len > 0 ? flow->answer : flow->body);
}

/* ---- the stops before it ----------------------------------------------------------------------
 */

/* Nothing will be signed; the commit says what is answered instead. */
static enum err refuse(struct http_request *req, enum err err, bool is_final)
{
    struct oauth_flow *flow = req->work;

    if (!oauth_flow_is_refusal(err) && err != ERR_CONFLICT)
        return err;
    flow->refused = err;
    flow->is_final = is_final;
    return http_hop(req, HTTP_RUN_WRITE, settle);
}

/* Goes on there, unless that is where we are, or anywhere would do. */
static enum err go_on(struct http_request *req, enum http_run run, http_handler_fn *handle)
{
    struct oauth_flow *flow = req->work;

    if (run == HTTP_RUN_LOOP || run == flow->run)
        return handle(req);
    flow->run = run;
    return http_hop(req, run, handle);
}

/* The tokens, and the reply as text: a client that asks again gets the same bytes. */
static enum err make(struct http_request *req, struct oauth_flow *flow)
{
    const struct oauth *oauth = oauth_of(req);
    const struct oauth_subject *subject = &flow->subject;
    struct oauth_reply *reply = &flow->reply;
    struct sbuf out = sbuf_on(req->arena, REPLY_BYTES_MAX);
    enum err err =
        oauth_access_sign(oauth, subject, flow->now_ns, req->arena, &reply->access_token);

    if (!err && subject->user_id != 0 && oauth_list_has(subject->scope, SPAN_OF("openid")))
        err = oauth_id_sign(oauth, subject, reply->access_token, flow->now_ns, req->arena,
                            &reply->id_token);
    if (!err && flow->refreshes)
        err = oauth_token_make(oauth->options.random, req->arena, &reply->refresh_token,
                               flow->next_hash);
    if (err)
        return err;
    reply->token_type = SPAN_OF("bearer");
    reply->expires_in = subject->access_s;
    reply->issued_at_ns = flow->now_ns;
    if (subject->scope.len > 0)
        reply->scope = subject->scope;
    json_write(&out, &oauth_reply_schema, reply);
    return sbuf_finish(&out, &flow->body);
}

static enum err sign(struct http_request *req)
{
    struct oauth_flow *flow = req->work;
    enum err err = make(req, flow);

    if (err == ERR_KEY) /* the client chose an algorithm that the issuer has no key for */
        return refuse(req,
                      oauth_flow_no(flow, ERR_OAUTH_UNAUTHORIZED_CLIENT,
                                    "No key here signs with this client's algorithm."),
                      true);
    if (!err && flow->kind->made != NULL)
        err = flow->kind->made(req, flow);
    return err ? err : http_hop(req, HTTP_RUN_WRITE, settle);
}

static enum err judge(struct http_request *req)
{
    struct oauth_flow *flow = req->work;
    enum err err = flow->kind->judge(req, flow);

    if (err)
        return refuse(req, err, false);
    return go_on(req, oauth_sign_run(oauth_of(req), &flow->caller.client), sign);
}

static enum err verify(struct http_request *req)
{
    struct oauth_flow *flow = req->work;
    enum err err = auth_login_verify(oauth_of(req)->options.auth, req, &flow->login);

    return err ? refuse(req, err, true) : judge(req);
}

static enum err look(struct http_request *req)
{
    struct oauth_flow *flow = req->work;
    enum err err = ERR_OK;

    if (!flow->looked && flow->kind->look != NULL)
        err = flow->kind->look(req, flow);
    if (err)
        return refuse(req, err, true);
    flow->looked = true;
    return flow->kind->has_password ? go_on(req, HTTP_RUN_HASH, verify) : judge(req);
}

/* The caller is who it says. */
static enum err proven(struct http_request *req)
{
    struct oauth_flow *flow = req->work;

    flow->is_proven = true;
    if (!oauth_list_has(flow->caller.client.grants, span_from(flow->kind->name)))
        return refuse(req,
                      oauth_flow_no(flow, ERR_OAUTH_UNAUTHORIZED_CLIENT,
                                    "This client may not use this grant."),
                      true);
    flow->subject.client = &flow->caller.client;
    return go_on(req, flow->looked ? HTTP_RUN_LOOP : HTTP_RUN_READ, look);
}

static enum err prove(struct http_request *req)
{
    struct oauth_flow *flow = req->work;
    enum err err = oauth_caller_check(req, &flow->caller);

    if (err)
        return refuse(req, err, true);
    if (flow->keeps)
        oauth_recent_keep(oauth_of(req)->recent, &flow->caller.client, flow->mark);
    return proven(req);
}

/* A read may run again from its start. */
static enum err find(struct http_request *req)
{
    struct oauth_flow *flow = req->work;
    struct http_engine *engine = http_engine_of(req);
    uint32_t seen = http_changes_seen(engine);
    enum err err = oauth_caller_find(req, &flow->caller);

    if (err)
        return err;
    flow->mark = http_subject_mark(engine, -flow->caller.client.key);
    flow->keeps = flow->caller.found && http_changes_seen(engine) == seen;
    flow->run = HTTP_RUN_READ;
    flow->caller.is_recent = false;
    flow->is_proven = flow->is_final = false;
    flow->refused = ERR_OK;
    flow->looked = flow->kind->look == NULL;
    if (oauth_caller_run(&flow->caller) == HTTP_RUN_LOOP)
        return prove(req);
    /* Reading a row now saves coming back; who guesses at passwords must prove first. */
    if (!flow->looked && !flow->kind->has_password) {
        err = flow->kind->look(req, flow);
        if (err)
            return err;
        flow->looked = true;
    }
    return go_on(req, HTTP_RUN_SIGN, prove);
}

static bool find_recent(struct http_request *req, struct oauth_caller *caller)
{
    struct oauth_client client;
    uint32_t mark;

    if (!oauth_recent_find(oauth_of(req)->recent, caller->client_id, req->arena, &client, &mark) ||
        !http_subject_is_fresh(http_engine_of(req), -client.key, mark))
        return false;
    caller->client = client;
    caller->is_recent = true;
    return true;
}

/* With what was kept of it. If that does not do, as if nothing had been: so a secret that was
 * changed a moment ago is good at once, and a wrong one takes as long for a client that does not
 * exist. */
static enum err prove_recent(struct http_request *req)
{
    struct oauth_flow *flow = req->work;

    if (oauth_caller_check(req, &flow->caller) == ERR_OK)
        return proven(req);
    flow->caller.why = NULL;
    return http_hop(req, HTTP_RUN_READ, find);
}

/* ---- begin and end ----------------------------------------------------------------------------
 */

/* After the commit: what was counted, what others must forget, what guessing costs. */
static void over(struct http_request *req, enum err err)
{
    struct oauth *oauth = oauth_of(req);
    struct oauth_flow *flow = req->work;

    if (flow->kind != NULL && flow->kind->has_password)
        auth_login_over(oauth->options.auth, req, &flow->login, err);
    if (flow->forget != 0)
        http_forget_subject(http_engine_of(req), flow->forget);
    if (err == ERR_OK && flow->kind != NULL && flow->answer.len == 0) {
        struct span label = span_from(flow->kind->name);

        metric_add(metric_series(oauth->issued, &label, 1), 1);
    }
}

enum err oauth_flow_begin(struct http_request *req, const struct oauth_shown *shown,
                          struct oauth_flow **ret_flow)
{
    const struct oauth_options *options = &oauth_of(req)->options;
    struct oauth_flow *flow = arena_zero(req->arena, sizeof(*flow));
    enum err err;

    if (flow == NULL)
        return ERR_NO_MEMORY;
    flow->now_ns = clock_realtime_ns(options->clock);
    random_uuid(options->random, flow->session);
    err = oauth_caller_read(req, shown, &flow->caller);
    if (!err)
        err = http_limit_client(req, flow->caller.client_id);
    if (err)
        return err;
    req->work = flow;
    http_finally(req, over);
    *ret_flow = flow;
    return ERR_OK;
}

enum err oauth_flow_go(struct http_request *req, const struct oauth_flow_kind *kind)
{
    struct oauth_flow *flow = req->work;

    flow->kind = kind;
    flow->run = HTTP_RUN_LOOP;
    flow->looked = kind->look == NULL;
    flow->caller.found = find_recent(req, &flow->caller);
    if (!flow->caller.found)
        return http_hop(req, HTTP_RUN_READ, find);
    return go_on(req, oauth_caller_run(&flow->caller), prove_recent);
}
