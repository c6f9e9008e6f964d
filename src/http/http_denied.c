/* SPDX-License-Identifier: MIT
 * Whoever is not let in is remembered before being told so. A request that ends with 401 or 403, or
 * whose handler says that something is there but is not the caller's, makes one stop more: the
 * store's writer adds the event, with those of all others who wait, and the answer leaves behind
 * the commit. Who is let in never comes here.
 *
 *   http_call_fail -> http_denied_go -> store (together) -> denied_run -> commit -> http_denied_end
 *         |                 |                                                            |
 *         |                 |                                                            +- not
 *         |                 |                                                   written: 503
 *         |                 +- too many on their way, or the address asks too often: 503, 429
 *         |                 +- a stranger's, beyond what is written each: counted
 *         +- answered at once, when it was no denial
 *
 * A refusal that a handler records itself (http_refuse, http_settle) does not come here either: one
 * fact, one event. See docs/decisions/trail-events.md. */
#include "http/http_priv.h"

#include "base/limits.h"

static const struct metric_def denied_def = {.name = "access_denied_total",
                                             .help = "Requests not let in, by what became of "
                                                     "their event.",
                                             .kind = METRIC_COUNTER,
                                             .labels = {"event"}};

static const char *const fates[HTTP_DENIED_FATES] = {[HTTP_DENIED_RECORDED] = "recorded",
                                                     [HTTP_DENIED_COUNTED] = "counted",
                                                     [HTTP_DENIED_BUSY] = "turned_away",
                                                     [HTTP_DENIED_LOST] = "not_written"};

enum err http_denied_engine(struct http_engine *engine)
{
    struct metric *denied;
    enum err err = metric_register(engine->options.metrics, &denied_def, &denied);

    for (size_t i = 0; i < HTTP_DENIED_FATES && !err; i++) {
        struct span label = span_from(fates[i]);

        engine->denied[i] = metric_series(denied, &label, 1);
    }
    return err;
}

enum err http_denied(struct http_request *req, enum err err, enum reason reason, struct span object)
{
    struct http_call *call = http_call_of(req);

    PC_ASSERT(err != ERR_OK);
    call->denied =
        (struct http_why_denied){.err = err, .reason = reason_code(reason), .object = object};
    return err;
}

struct span http_object(struct http_request *req, const char *kind, int64_t id)
{
    struct sbuf out = sbuf_on(req->arena, 64);

    sbuf_add_text(&out, kind);
    sbuf_add_i64(&out, id);
    return out.full ? (struct span){0} : sbuf_span(&out);
}

static bool is_denial(const struct http_call *call, enum err err)
{
    int status = err_status(err);

    return status == 401 || status == 403 || (err != ERR_OK && call->denied.err == err);
}

/* "partner:alice": never to be taken for a user of ours. */
static struct span name_abroad(struct http_call *call, const struct http_principal *who)
{
    struct sbuf out = sbuf_on(call->req.arena, TRAIL_TEXT_BYTES_MAX);

    sbuf_add_text(&out, who->issuer->name);
    sbuf_add_char(&out, ':');
    sbuf_add(&out, span_slice(who->subject, 0, TRAIL_TEXT_BYTES_MAX / 2));
    return out.full ? (struct span){0} : sbuf_span(&out);
}

/* Rights that were read make an actor. A token whose signature is good but which is worth nothing
 * any more tells whose it was, and that is a claim. */
static void name_actor(struct http_call *call, struct trail_record *record)
{
    const struct http_principal *who = &call->principal;
    bool known = call->req.principal != NULL;

    record->client_id = who->client_id;
    if (who->issuer != NULL) {
        record->actor = name_abroad(call, who);
        record->actor_kind = known ? TRAIL_ACTOR_USER : TRAIL_ACTOR_UNKNOWN;
        return;
    }
    if (who->user_id != 0) {
        record->actor = http_object(&call->req, "", who->user_id);
        record->actor_kind = known ? TRAIL_ACTOR_USER : TRAIL_ACTOR_UNKNOWN;
        return;
    }
    record->actor = who->client_id;
    if (who->client_id.len > 0)
        record->actor_kind = known ? TRAIL_ACTOR_CLIENT : TRAIL_ACTOR_UNKNOWN;
}

bool http_denial(struct http_request *req, enum err err, struct trail_record *ret_record)
{
    struct http_call *call = http_call_of(req);
    struct http_why_denied denied = call->denied;

    if (!is_denial(call, err))
        return false;
    call->denied = (struct http_why_denied){0};
    if (denied.err != err)
        denied = (struct http_why_denied){.reason = err_slug(err)};
    *ret_record =
        (struct trail_record){.event = TRAIL_ACCESS_DENIED,
                              .outcome = TRAIL_REFUSED,
                              .at_ns = clock_realtime_ns(call->lane->engine->options.clock),
                              .source = span_from(req->service->options.name),
                              .address = req->address,
                              .request_id = req->request_id,
                              .object = denied.object,
                              .reason = span_from(denied.reason),
                              .details = {{"method", http_method_name(req->method)},
                                          {"route", span_from(req->route->path)}}};
    name_actor(call, ret_record);
    return true;
}

/* ---- the stop more ----------------------------------------------------------------------------
 */

/* Fail closed: nobody is told anything that was not written down. It says nothing about what the
 * breaker guards. */
static void give_up(struct http_call *call, enum http_denied_fate fate, enum err err)
{
    metric_add(call->lane->engine->denied[fate], 1);
    http_breaker_leave(call);
    http_call_forget(call);
    http_call_fail(call, err);
}

static enum err denied_run(struct store_conn *conn, struct store_job *const *jobs, size_t count,
                           const void *group)
{
    enum err err = ERR_OK;

    (void)group;
    for (size_t i = 0; i < count && !err; i++) {
        const struct http_call *call = PC_CONTAINER(jobs[i], struct http_call, store);

        err = trail_add(conn, call->denial);
    }
    return err;
}

static void denied_done(struct store_job *job)
{
    struct http_call *call = PC_CONTAINER(job, struct http_call, store);

    call->run_err = job->err;
    atomic_fetch_sub(&call->lane->engine->denied_waiting, 1);
    http_call_go_home(call);
}

static void send(struct http_call *call)
{
    struct http_engine *engine = call->lane->engine;
    struct net_stream *stream = call->stream;
    enum err err;

    if (atomic_fetch_add(&engine->denied_waiting, 1) >= LIMIT_HTTP_DENIED_MAX) {
        atomic_fetch_sub(&engine->denied_waiting, 1);
        give_up(call, HTTP_DENIED_BUSY, ERR_BUSY);
        return;
    }
    call->store = (struct store_job){.together = denied_run, .done = denied_done};
    http_call_leave(call);
    err = store_write(engine->options.store, &call->store);
    if (err == ERR_OK)
        return;
    atomic_fetch_sub(&engine->denied_waiting, 1);
    call->waiting = false; /* the answer comes before what resuming may bring */
    give_up(call, HTTP_DENIED_BUSY, err);
    net_stream_resume(stream);
    net_stream_release(stream);
}

bool http_denied_go(struct http_call *call)
{
    enum err err;

    if (call->req.route == NULL || call->lane->engine->options.store == NULL ||
        !is_denial(call, call->err))
        return false;
    err = http_limit_denied(call);
    if (err) {
        call->err = err;
        return false;
    }
    if (http_strangers_count(call)) {
        metric_add(call->lane->engine->denied[HTTP_DENIED_COUNTED], 1);
        return false;
    }
    call->denial = arena_alloc(call->req.arena, sizeof(*call->denial));
    if (call->denial == NULL || !http_denial(&call->req, call->err, call->denial)) {
        give_up(call, HTTP_DENIED_LOST, ERR_NO_MEMORY);
        return true;
    }
    call->stop = HTTP_STOP_DENIED;
    send(call);
    return true;
}

void http_denied_end(struct http_call *call)
{
    if (call->run_err) {
        give_up(call, HTTP_DENIED_LOST,
                err_status(call->run_err) == 503 ? call->run_err : ERR_STORE_UNAVAILABLE);
        return;
    }
    metric_add(call->lane->engine->denied[HTTP_DENIED_RECORDED], 1);
    http_call_answer(call);
}
