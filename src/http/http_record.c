/* SPDX-License-Identifier: MIT
 * What is kept of each request: one access log line and the counters. Labels and the constant part
 * of the line are made once for each route; per request only numbers and ids are written. */
#include "http/http_priv.h"

#include <string.h>

#include "base/mask.h"

enum {
    LINE_BYTES = 4096,
    CARD_DIGITS_MIN = 12,
    PATH_BYTES_SHOWN = 512,
    PATH_BYTES_BEYOND = 128, /* a card number that begins within ends within */
};

static const struct metric_def requests_def = {.name = "http_requests_total",
                                               .help = "Requests answered.",
                                               .kind = METRIC_COUNTER,
                                               .labels = {"service", "route", "method", "status"}};
static const struct metric_def durations_def = {
    .name = "http_request_duration_seconds",
    .help = "Time from a request's first byte to its answer.",
    .kind = METRIC_HISTOGRAM,
    .labels = {"service", "route", "method"}};
static const struct metric_def limits_def = {.name = "rate_limit_decisions_total",
                                             .help = "Requests let through or refused by a limit.",
                                             .kind = METRIC_COUNTER,
                                             .labels = {"decision"}};
static const struct metric_def breaker_states_def = {.name = "circuit_breaker_state",
                                                     .help = "0 closed, 1 open, 2 half open.",
                                                     .kind = METRIC_GAUGE,
                                                     .labels = {"service", "route", "method"}};
static const struct metric_def breaker_moves_def = {.name = "circuit_breaker_transitions_total",
                                                    .help = "Transitions of circuit breakers.",
                                                    .kind = METRIC_COUNTER,
                                                    .labels = {"to"}};
static const struct metric_def cache_def = {.name = "token_cache_lookups_total",
                                            .help = "Bearer tokens looked up in the cache.",
                                            .kind = METRIC_COUNTER,
                                            .labels = {"result"}};

struct span http_method_name(enum net_method method)
{
    static const struct span names[NET_METHOD_COUNT] = {
        [NET_METHOD_OTHER] = SPAN("OTHER"),   [NET_METHOD_GET] = SPAN("GET"),
        [NET_METHOD_HEAD] = SPAN("HEAD"),     [NET_METHOD_POST] = SPAN("POST"),
        [NET_METHOD_PUT] = SPAN("PUT"),       [NET_METHOD_PATCH] = SPAN("PATCH"),
        [NET_METHOD_DELETE] = SPAN("DELETE"), [NET_METHOD_OPTIONS] = SPAN("OPTIONS"),
        [NET_METHOD_TRACE] = SPAN("TRACE")};

    return names[method];
}

static struct metric_series *one_label(struct metric *metric, const char *value)
{
    struct span label = span_from(value);

    return metric_series(metric, &label, 1);
}

enum err http_record_engine(struct http_engine *engine)
{
    static const char *const states[] = {"closed", "open", "half_open"};
    struct metrics *metrics = engine->options.metrics;
    enum err err;

    if ((err = metric_register(metrics, &requests_def, &engine->requests)) != ERR_OK ||
        (err = metric_register(metrics, &durations_def, &engine->durations)) != ERR_OK ||
        (err = metric_register(metrics, &limits_def, &engine->limit_decisions)) != ERR_OK ||
        (err = metric_register(metrics, &breaker_states_def, &engine->breaker_states)) != ERR_OK ||
        (err = metric_register(metrics, &breaker_moves_def, &engine->breaker_transitions)) !=
            ERR_OK ||
        (err = metric_register(metrics, &cache_def, &engine->token_cache)) != ERR_OK)
        return err;
    engine->limited[0] = one_label(engine->limit_decisions, "refused");
    engine->limited[1] = one_label(engine->limit_decisions, "allowed");
    engine->token_seen[0] = one_label(engine->token_cache, "miss");
    engine->token_seen[1] = one_label(engine->token_cache, "hit");
    for (size_t i = 0; i < PC_COUNT(states); i++)
        engine->breaker_moved[i] = one_label(engine->breaker_transitions, states[i]);
    return http_refusals_engine(engine);
}

static const char *route_name(const struct http_route_state *state)
{
    return state->row.path ? state->row.path : "none";
}

/* ,"route":...,"service":...,"compliance":{...} */
static enum err make_log_tail(struct http_service *service, struct http_route_state *state)
{
    static const char *const classes[] = {"restricted", "confidential", "internal", "public"};
    struct sbuf out = sbuf_on(&service->arena, 1024);

    sbuf_add_lit(&out, ",\"route\":");
    sbuf_add_json(&out, span_from(route_name(state)));
    sbuf_add_lit(&out, ",\"service\":");
    sbuf_add_json(&out, span_from(service->options.name));
    sbuf_add_lit(&out, ",\"compliance\":{\"regimes\":[");
    if (state->row.data <= HTTP_DATA_CONFIDENTIAL && state->row.path != NULL)
        sbuf_add_lit(&out, "\"PCI-DSS\",\"GDPR\"");
    sbuf_add_lit(&out, "],\"data_classification\":");
    sbuf_add_json(&out, span_from(state->row.path ? classes[state->row.data] : "public"));
    sbuf_add_lit(&out, "}}");
    return sbuf_finish(&out, &state->log_tail);
}

/* When it is asked for: a breaker's time passes without requests too. */
static int64_t read_breaker(void *context)
{
    const struct http_lasting *lasting = context;
    const struct clock *clock = lasting->engine->options.clock;

    return (int64_t)breaker_state_at(lasting->breaker, clock_monotonic_ns(clock));
}

void http_record_lasting(struct http_lasting *lasting)
{
    struct http_engine *engine = lasting->engine;
    struct span labels[] = {span_from(lasting->service), span_from(lasting->path),
                            http_method_name(lasting->method)};

    lasting->duration = metric_series(engine->durations, labels, PC_COUNT(labels));
    metric_hold(lasting->duration);
    if (lasting->breaker != NULL)
        lasting->breaker_gauge = metric_series(engine->breaker_states, labels, PC_COUNT(labels));
    metric_hold(lasting->breaker_gauge);
}

void http_record_show(struct http_lasting *lasting)
{
    metric_callback(lasting->breaker_gauge, read_breaker, lasting);
}

enum err http_record_route(struct http_service *service, struct http_route_state *state)
{
    return make_log_tail(service, state);
}

void http_record_forget(struct http_lasting *lasting)
{
    metric_callback_end(lasting->breaker_gauge, lasting);
    metric_let_go(lasting->breaker_gauge);
    metric_let_go(lasting->duration);
    for (size_t i = 0; i < HTTP_STATUS_COUNT; i++)
        metric_let_go(atomic_load(&lasting->by_status[i]));
}

/* The counter of this route and status; made at the first such answer. */
static struct metric_series *status_series(const struct http_call *call)
{
    struct http_route_state *state = call->state;
    size_t at = (size_t)(call->status - 100) % HTTP_STATUS_COUNT;
    struct metric_series *series =
        atomic_load_explicit(&state->lasting->by_status[at], memory_order_acquire);
    char text[8];
    struct sbuf status = sbuf_over(text, sizeof(text));
    struct metric_series *held = NULL;
    struct span labels[4];

    if (PC_LIKELY(series != NULL))
        return series;
    sbuf_add_i64(&status, call->status);
    labels[0] = span_from(call->req.service->options.name);
    labels[1] = span_from(route_name(state));
    labels[2] = http_method_name(state->row.path ? state->row.method : NET_METHOD_OTHER);
    labels[3] = sbuf_span(&status);
    series = metric_series(call->lane->engine->requests, labels, PC_COUNT(labels));
    metric_hold(series);
    if (!atomic_compare_exchange_strong(&state->lasting->by_status[at], &held, series))
        metric_let_go(series); /* another loop was first */
    return series;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Where a run of digits ends that may be a card number: a single blank or dash between two digits
 * is part of it. */
static size_t digits_end(struct span path, size_t at, size_t *ret_digits)
{
    *ret_digits = 0;
    for (; at < path.len; at++) {
        char c = path.ptr[at];
        bool joins = (c == ' ' || c == '-') && *ret_digits > 0 && at + 1 < path.len &&
                     is_digit(path.ptr[at - 1]) && is_digit(path.ptr[at + 1]);

        if (is_digit(c))
            (*ret_digits)++;
        else if (!joins)
            break;
    }
    return at;
}

/* Card data must not reach the log by way of a path: masked before it is cut, so that no half of a
 * number passes, and runs of 12 and more digits altogether. */
static void add_path(struct sbuf *out, struct span path)
{
    char copy[PATH_BYTES_SHOWN + PATH_BYTES_BEYOND];
    char text[PATH_BYTES_SHOWN * 2];
    struct sbuf masked = sbuf_over(text, sizeof(text));
    size_t kept = 0; /* from here on nothing was written yet */

    path = span_slice(path, 0, sizeof(copy));
    if (path.len > 0)
        memcpy(copy, path.ptr, path.len);
    mask_in_place(copy, path.len);
    path = span_slice(span_make(copy, path.len), 0, PATH_BYTES_SHOWN);
    for (size_t at = 0; at < path.len;) {
        size_t from = at++;
        size_t digits;

        if (!is_digit(path.ptr[from]))
            continue;
        at = digits_end(path, from, &digits);
        if (digits < CARD_DIGITS_MIN)
            continue;
        sbuf_add(&masked, span_slice(path, kept, from));
        sbuf_add_lit(&masked, "************");
        kept = at;
    }
    sbuf_add(&masked, span_slice(path, kept, path.len));
    sbuf_add_json(out, sbuf_span(&masked));
}

static void add_milliseconds(struct sbuf *out, int64_t ns)
{
    uint64_t us = ns > 0 ? (uint64_t)ns / 1000 : 0;

    sbuf_add_u64(out, us / 1000);
    sbuf_add_char(out, '.');
    sbuf_add_char(out, (char)('0' + us / 100 % 10));
    sbuf_add_char(out, (char)('0' + us / 10 % 10));
    sbuf_add_char(out, (char)('0' + us % 10));
}

/* The calendar is asked once a second; the milliseconds are written behind what it said. */
static void add_time(struct http_lane *lane, struct sbuf *out)
{
    int64_t now_ns = net_loop_realtime_ns(lane->loop);
    int64_t second = now_ns / CLOCK_NS_PER_S;
    int64_t ms = now_ns / CLOCK_NS_PER_MS % 1000;

    if (lane->log_second != second) {
        char text[HTTP_LOG_TIME_BYTES + 1]; /* with the Z */
        struct sbuf time = sbuf_over(text, sizeof(text));

        clock_add_rfc3339(&time, now_ns, 0);
        memcpy(lane->log_time, text, sizeof(lane->log_time));
        lane->log_second = second;
    }
    sbuf_add_bytes(out, lane->log_time, sizeof(lane->log_time));
    sbuf_add_char(out, '.');
    sbuf_add_char(out, (char)('0' + ms / 100));
    sbuf_add_char(out, (char)('0' + ms / 10 % 10));
    sbuf_add_char(out, (char)('0' + ms % 10));
    sbuf_add_char(out, 'Z');
}

/* Who was asked, how long it let us wait, and how often somebody was asked again. */
static void add_asked(const struct http_call *call, struct sbuf *out)
{
    sbuf_add_lit(out, ",\"upstream\":");
    sbuf_add_json(out, span_from(call->went_to.upstream));
    if (call->went_to.target != NULL) {
        sbuf_add_lit(out, ",\"target\":");
        sbuf_add_json(out, span_from(call->went_to.target));
    }
    sbuf_add_lit(out, ",\"upstream_ms\":");
    add_milliseconds(out, call->upstream_ns);
    sbuf_add_lit(out, ",\"retries\":");
    sbuf_add_u64(out, call->went_to.retries);
}

static void access_line(const struct http_call *call, int64_t took_ns, struct sbuf *out)
{
    const struct http_request *req = &call->req;

    sbuf_add_lit(out, "{\"ts\":\"");
    add_time(call->lane, out);
    sbuf_add_lit(out, "\",\"level\":\"info\",\"event\":\"http_request\",\"method\":\"");
    sbuf_add(out, http_method_name(req->method));
    sbuf_add_lit(out, "\",\"path\":");
    add_path(out, req->path);
    sbuf_add_lit(out, ",\"status_code\":");
    sbuf_add_i64(out, call->status);
    sbuf_add_lit(out, ",\"duration_ms\":");
    add_milliseconds(out, took_ns);
    sbuf_add_lit(out, ",\"request_id\":\"");
    sbuf_add(out, req->request_id); /* well-formed: needs no escape */
    sbuf_add_lit(out, "\",\"trace_id\":\"");
    sbuf_add(out, req->trace_id);
    sbuf_add_lit(out, "\",\"client\":\"");
    sbuf_add(out, req->address);
    sbuf_add_lit(out, "\",\"mtls_subject\":");
    if (net_stream_peer(call->stream)->tls_subject.len > 0)
        sbuf_add_json(out, net_stream_peer(call->stream)->tls_subject);
    else
        sbuf_add_lit(out, "null");
    if (call->err != ERR_OK) {
        sbuf_add_lit(out, ",\"error\":\"");
        sbuf_add_text(out, err_slug(call->err));
        sbuf_add_char(out, '"');
    }
    http_refusal_lines(call, out);
    if (req->principal != NULL && req->principal->user_id != 0) {
        sbuf_add_lit(out, ",\"user_id\":");
        sbuf_add_i64(out, req->principal->user_id);
    }
    if (req->principal != NULL && req->principal->client_id.len > 0) {
        sbuf_add_lit(out, ",\"client_id\":");
        sbuf_add_json(out, req->principal->client_id);
    }
    if (req->principal != NULL && req->principal->issuer != NULL) {
        sbuf_add_lit(out, ",\"issuer\":");
        sbuf_add_json(out, span_from(req->principal->issuer->name));
    }
    http_tunnel_lines(call, out);
    if (call->went_to.upstream != NULL)
        add_asked(call, out);
    sbuf_add(out, call->state->log_tail);
}

void http_record(const struct http_call *call, int64_t took_ns)
{
    char text[LINE_BYTES];
    struct sbuf line = sbuf_over(text, sizeof(text));

    http_tunnel_over(call);
    metric_add(status_series(call), 1);
    http_refusal_count(call);
    metric_observe_ns(call->state->lasting->duration,
                      http_tunnel_is_open(call) ? call->tunnel->opened_ns - call->req.begun_ns
                                                : took_ns);
    if (!call->lane->engine->options.access_log)
        return;
    access_line(call, took_ns, &line);
    if (!line.full)
        log_line(call->lane->engine->options.logger, sbuf_span(&line));
}
