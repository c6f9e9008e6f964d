/* SPDX-License-Identifier: MIT
 * Why, and by whom, a request was refused: a code of err.def or reason.def in the access log, and
 * one counter for each service, source and code. A request that is served costs one comparison. */
#include "http/http_priv.h"

#include "base/alloc.h"

enum { CODES = (int)ERR_COUNT + (int)REASON_COUNT };

struct http_refusals {
    struct metric *metric;
    const char *service;
    _Atomic(struct metric_series *) by_code[CODES]; /* errors, and behind them reasons */
};

static const struct metric_def refusals_def = {
    .name = "http_refusals_total",
    .help = "Requests refused, by who refused and why (docs/reasons.md).",
    .kind = METRIC_COUNTER,
    .labels = {"service", "source", "reason"}};

enum err http_refusals_engine(struct http_engine *engine)
{
    return metric_register(engine->options.metrics, &refusals_def, &engine->refusals);
}

enum err http_refusals_new(struct metrics *metrics, const char *service,
                           struct http_refusals **ret_refusals)
{
    struct http_refusals *refusals = alloc_zero(sizeof(*refusals));
    enum err err;

    if (refusals == NULL)
        return ERR_NO_MEMORY;
    refusals->service = service;
    err = metric_register(metrics, &refusals_def, &refusals->metric);
    if (err) {
        alloc_free(refusals);
        return err;
    }
    *ret_refusals = refusals;
    return ERR_OK;
}

void http_refusals_free(struct http_refusals *refusals)
{
    alloc_free(refusals);
}

enum err http_refusals_make(struct http_service *service)
{
    struct http_refusals *refusals = arena_zero(&service->arena, sizeof(*refusals));

    if (refusals == NULL)
        return ERR_NO_MEMORY;
    refusals->metric = service->engine->refusals;
    refusals->service = service->options.name;
    service->refusals = refusals;
    return ERR_OK;
}

static int code_of_reason(enum reason reason)
{
    return (int)ERR_COUNT + (int)reason;
}

static int code_of(const struct http_call *call)
{
    if (call->err == ERR_END)
        return code_of_reason(REASON_CLIENT_GONE);
    if (call->err != ERR_OK)
        return (int)call->err;
    if (call->status == HTTP_STATUS_CLIENT_GONE)
        return code_of_reason(REASON_CLIENT_GONE);
    if (call->went_to.upstream == NULL)
        return code_of_reason(REASON_OWN_ANSWER);
    return code_of_reason(call->status < 500 ? REASON_ANSWERED_4XX : REASON_ANSWERED_5XX);
}

static const char *source_of(int code)
{
    if (code == code_of_reason(REASON_CLIENT_GONE))
        return "client";
    if (code == code_of_reason(REASON_ANSWERED_4XX) || code == code_of_reason(REASON_ANSWERED_5XX))
        return "upstream";
    return "gateway";
}

static const char *text_of(int code)
{
    return code < (int)ERR_COUNT ? err_slug((enum err)code)
                                 : reason_code((enum reason)(code - (int)ERR_COUNT));
}

/* Made at the first refusal of its kind. */
static void count(struct http_refusals *refusals, int code)
{
    struct metric_series *series =
        atomic_load_explicit(&refusals->by_code[code], memory_order_acquire);
    struct span labels[3];

    if (series == NULL) {
        labels[0] = span_from(refusals->service);
        labels[1] = span_from(source_of(code));
        labels[2] = span_from(text_of(code));
        series = metric_series(refusals->metric, labels, PC_COUNT(labels));
        atomic_store_explicit(&refusals->by_code[code], series, memory_order_release);
    }
    metric_add(series, 1);
}

void http_refusal_count(const struct http_call *call)
{
    if (http_is_refusal(call))
        count(call->req.service->refusals, code_of(call));
}

void http_refusal_bare(const struct http_service *service, enum err err)
{
    count(service->refusals, (int)err);
}

void http_refusals_add(struct http_refusals *refusals, enum err err)
{
    count(refusals, (int)err);
}

void http_refusal_lines(const struct http_call *call, struct sbuf *out)
{
    int code;

    if (!http_is_refusal(call))
        return;
    code = code_of(call);
    sbuf_add_lit(out, ",\"source\":\"");
    sbuf_add_text(out, source_of(code));
    sbuf_add_lit(out, "\",\"reason\":\"");
    sbuf_add_text(out, text_of(code));
    sbuf_add_char(out, '"');
}

enum err http_refusal_told(const struct http_call *call, enum err err)
{
    if (PC_LIKELY(err_is_told(err)))
        return err;
    log_error(call->lane->engine->options.logger, "inner_error_told", LOG_ERR("error", err),
              LOG_TEXT("request_id", call->req.request_id));
    return ERR_INTERNAL;
}
