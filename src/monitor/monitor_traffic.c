/* SPDX-License-Identifier: MIT
 * Counters of requests, looked at again and again. A route is known by the labels of its duration
 * series; the n-th of a metric is the same one at each look, until a new one takes the
 * place of one that nobody holds any more: then counting begins anew. */
#include "monitor/monitor_traffic.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/limits.h"

enum {
    ROUTES_MAX = 512,
    LOOKS = 13, /* kept: one in five seconds makes a minute */
    LOOK_S = 5,
    NOWHERE = ROUTES_MAX, /* a series that belongs to no route that is kept */
    SEVERAL = LIMIT_METRIC_SERIES_MAX,
    DECIMAL_BYTES = 32,
};

/* What was counted of a route. */
struct counts {
    uint64_t buckets[METRIC_BOUNDS_MAX + 1];
    uint64_t errors;
};

struct look {
    int64_t at_ns;
    struct counts routes[ROUTES_MAX];
    struct monitor_limits limits;
};

struct monitor_traffic {
    struct metrics *metrics;
    char *labels[ROUTES_MAX]; /* alloc_free */
    bool is_gone[ROUTES_MAX]; /* a reload took it away */
    size_t route_count;
    const int64_t *bounds_ns;
    size_t bound_count;
    int64_t breakers[ROUTES_MAX]; /* 1 + its state; 0: none */
    uint16_t route_of[SEVERAL];   /* of each series of requests; 1 + index, 0: not looked up */
    struct look now;
    struct look kept[LOOKS]; /* kept[next] is the oldest */
    size_t next, kept_count;
};

enum err monitor_traffic_new(struct metrics *metrics, struct monitor_traffic **ret_traffic)
{
    struct monitor_traffic *traffic = alloc_zero(sizeof(*traffic));

    if (traffic == NULL)
        return ERR_NO_MEMORY;
    traffic->metrics = metrics;
    *ret_traffic = traffic;
    return ERR_OK;
}

void monitor_traffic_free(struct monitor_traffic *traffic)
{
    if (traffic == NULL)
        return;
    for (size_t i = 0; i < traffic->route_count; i++)
        alloc_free(traffic->labels[i]);
    alloc_free(traffic);
}

/* ---- looking ----------------------------------------------------------------------------------
 */

/* One pass over the series of a metric. */
struct pass {
    struct monitor_traffic *traffic;
    size_t index;
};

/* This route stands there now, and nothing was counted of it before. */
static void begin_route(struct monitor_traffic *traffic, size_t at, struct span labels)
{
    char *text = alloc_zero(labels.len + 1);

    alloc_free(traffic->labels[at]);
    traffic->labels[at] = text; /* NULL: without a name until the next look */
    if (text != NULL && labels.len > 0)
        memcpy(text, labels.ptr, labels.len);
    for (size_t i = 0; i < LOOKS; i++)
        traffic->kept[i].routes[at] = (struct counts){0};
}

static void see_duration(void *context, const struct metric_sample *sample)
{
    struct pass *pass = context;
    struct monitor_traffic *traffic = pass->traffic;
    size_t at = pass->index++;

    if (at >= ROUTES_MAX || sample->bounds_ns == NULL)
        return;
    if (at == traffic->route_count)
        traffic->route_count++;
    if (!span_equal(span_from(traffic->labels[at]), sample->labels))
        begin_route(traffic, at, sample->labels);
    traffic->is_gone[at] = sample->is_gone;
    traffic->bounds_ns = sample->bounds_ns;
    traffic->bound_count = sample->bound_count;
    for (size_t i = 0; i <= sample->bound_count; i++)
        traffic->now.routes[at].buckets[i] = sample->buckets[i];
}

static bool begins_with_route(const struct monitor_traffic *traffic, size_t at, struct span labels)
{
    struct span route = span_from(traffic->labels[at]);

    return route.len > 0 && span_starts(labels, route) &&
           (labels.len == route.len || labels.ptr[route.len] == ',');
}

/* The route whose labels these begin with. */
static size_t find_route(const struct monitor_traffic *traffic, struct span labels)
{
    size_t at = 0;

    while (at < traffic->route_count && !begins_with_route(traffic, at, labels))
        at++;
    return at < traffic->route_count ? at : NOWHERE;
}

static void see_request(void *context, const struct metric_sample *sample)
{
    struct pass *pass = context;
    struct monitor_traffic *traffic = pass->traffic;
    size_t series = pass->index++;
    size_t at;

    if (series >= SEVERAL || !span_starts(metric_sample_label(sample, "status"), SPAN_OF("5")))
        return;
    at = (size_t)traffic->route_of[series] - 1; /* not looked up: far beyond NOWHERE */
    if (at >= NOWHERE || !begins_with_route(traffic, at, sample->labels))
        at = find_route(traffic, sample->labels);
    traffic->route_of[series] = (uint16_t)(1 + at);
    if (at != NOWHERE)
        traffic->now.routes[at].errors += (uint64_t)sample->value;
}

static void see_breaker(void *context, const struct metric_sample *sample)
{
    struct pass *pass = context;
    size_t at = find_route(pass->traffic, sample->labels);

    if (at != NOWHERE && !sample->is_gone)
        pass->traffic->breakers[at] = 1 + sample->value;
}

static void see_limit(void *context, const struct metric_sample *sample)
{
    struct pass *pass = context;
    struct monitor_limits *limits = &pass->traffic->now.limits;

    if (span_is(metric_sample_label(sample, "decision"), "allowed"))
        limits->allowed = sample->value;
    else
        limits->refused = sample->value;
}

static void look_at(struct monitor_traffic *traffic, const char *name, metric_sample_fn *see)
{
    struct pass pass = {.traffic = traffic};

    metric_samples(traffic->metrics, name, see, &pass);
}

static void keep(struct monitor_traffic *traffic)
{
    const struct look *last = &traffic->kept[(traffic->next + LOOKS - 1) % LOOKS];

    if (traffic->kept_count > 0 && traffic->now.at_ns - last->at_ns < LOOK_S * CLOCK_NS_PER_S)
        return;
    traffic->kept[traffic->next] = traffic->now;
    traffic->next = (traffic->next + 1) % LOOKS;
    traffic->kept_count += traffic->kept_count < LOOKS ? 1 : 0;
}

void monitor_traffic_look(struct monitor_traffic *traffic, int64_t now_ns)
{
    for (size_t i = 0; i < traffic->route_count; i++) {
        traffic->now.routes[i].errors = 0;
        traffic->breakers[i] = 0;
    }
    traffic->now.at_ns = now_ns;
    look_at(traffic, "http_request_duration_seconds", see_duration);
    look_at(traffic, "http_requests_total", see_request);
    look_at(traffic, "circuit_breaker_state", see_breaker);
    look_at(traffic, "rate_limit_decisions_total", see_limit);
    keep(traffic);
}

/* ---- telling ----------------------------------------------------------------------------------
 */

/* Sums that may be of several routes. */
struct sums {
    uint64_t buckets[METRIC_BOUNDS_MAX + 1];
    uint64_t errors;
};

/* What stood a minute ago; nothing when we are younger. */
static const struct look *minute_ago(const struct monitor_traffic *traffic)
{
    return traffic->kept_count == LOOKS ? &traffic->kept[traffic->next] : NULL;
}

/* A counter whose series was taken by another route begins anew. */
static uint64_t since(uint64_t now, uint64_t before)
{
    return now > before ? now - before : 0;
}

static void add_counts(struct sums *sums, const struct counts *now, const struct counts *before)
{
    for (size_t i = 0; i <= METRIC_BOUNDS_MAX; i++)
        sums->buckets[i] += since(now->buckets[i], before ? before->buckets[i] : 0);
    sums->errors += since(now->errors, before ? before->errors : 0);
}

/* units / 10^digits as a decimal. */
static struct span decimal(struct arena *arena, uint64_t units, unsigned digits)
{
    struct sbuf out = sbuf_on(arena, DECIMAL_BYTES);
    uint64_t scale = 1;

    for (unsigned i = 0; i < digits; i++)
        scale *= 10;
    sbuf_add_u64(&out, units / scale);
    sbuf_add_char(&out, '.');
    for (scale /= 10; scale > 0; scale /= 10)
        sbuf_add_char(&out, (char)('0' + units / scale % 10));
    return out.full ? SPAN_OF("0") : sbuf_span(&out);
}

static struct span quantile(const struct monitor_traffic *traffic, const struct sums *sums,
                            uint32_t permille, struct arena *arena)
{
    int64_t ns =
        metric_quantile_ns(traffic->bounds_ns, traffic->bound_count, sums->buckets, permille);

    return decimal(arena, (uint64_t)(ns / CLOCK_NS_PER_US), 3);
}

static struct monitor_rates rates_of(const struct monitor_traffic *traffic, const struct sums *sums,
                                     struct arena *arena)
{
    struct monitor_rates rates = {.error_rate = SPAN("0"),
                                  .p50_ms = SPAN("0"),
                                  .p95_ms = SPAN("0"),
                                  .p99_ms = SPAN("0"),
                                  .errors = (int64_t)sums->errors};

    for (size_t i = 0; i <= METRIC_BOUNDS_MAX; i++)
        rates.requests += (int64_t)sums->buckets[i];
    if (rates.requests == 0)
        return rates;
    rates.error_rate = decimal(arena, sums->errors * 10000 / (uint64_t)rates.requests, 4);
    rates.p50_ms = quantile(traffic, sums, 500, arena);
    rates.p95_ms = quantile(traffic, sums, 950, arena);
    rates.p99_ms = quantile(traffic, sums, 990, arena);
    return rates;
}

static struct span label_of(const struct monitor_traffic *traffic, size_t route, const char *name)
{
    const struct metric_sample sample = {.labels = span_from(traffic->labels[route])};

    return metric_sample_label(&sample, name);
}

static struct span breaker_of(const struct monitor_traffic *traffic, size_t route)
{
    static const struct span names[] = {SPAN("closed"), SPAN("open"), SPAN("half_open")};
    int64_t state = traffic->breakers[route] - 1;

    return state >= 0 && state < (int64_t)PC_COUNT(names) ? names[state] : (struct span){0};
}

static void tell_breaker(const struct monitor_traffic *traffic, size_t route,
                         struct monitor_report *report)
{
    struct span state = breaker_of(traffic, route);
    struct arena *arena = report->arena;

    report->breakers_closed += span_is(state, "closed");
    report->breakers_open += span_is(state, "open");
    report->breakers_half_open += span_is(state, "half_open");
    if (state.len == 0 || span_is(state, "closed") || report->breaker_count == MONITOR_BREAKERS_MAX)
        return;
    report->breakers[report->breaker_count++] =
        (struct monitor_breaker){.service = arena_copy(arena, label_of(traffic, route, "service")),
                                 .method = arena_copy(arena, label_of(traffic, route, "method")),
                                 .route = arena_copy(arena, label_of(traffic, route, "route")),
                                 .state = state};
}

static int busiest_first(const void *one, const void *other)
{
    const struct monitor_route *a = one, *b = other;

    if (a->minute.requests != b->minute.requests)
        return a->minute.requests < b->minute.requests ? 1 : -1;
    return (a->start.requests < b->start.requests) - (a->start.requests > b->start.requests);
}

static bool is_of(const struct monitor_traffic *traffic, size_t route, struct span service)
{
    return span_equal(label_of(traffic, route, "service"), service);
}

/* One route, added to its service's sums; false: nobody asked for it, or it is no more. */
static bool tell_route(const struct monitor_traffic *traffic, size_t at, struct sums *minute,
                       struct sums *start, struct arena *arena, struct monitor_route *ret_route)
{
    const struct look *before = minute_ago(traffic);
    struct sums own_minute = {{0}}, own_start = {{0}};

    add_counts(&own_minute, &traffic->now.routes[at], before ? &before->routes[at] : NULL);
    add_counts(&own_start, &traffic->now.routes[at], NULL);
    add_counts(minute, &traffic->now.routes[at], before ? &before->routes[at] : NULL);
    add_counts(start, &traffic->now.routes[at], NULL);
    *ret_route =
        (struct monitor_route){.method = arena_copy(arena, label_of(traffic, at, "method")),
                               .route = arena_copy(arena, label_of(traffic, at, "route")),
                               .breaker = breaker_of(traffic, at),
                               .minute = rates_of(traffic, &own_minute, arena),
                               .start = rates_of(traffic, &own_start, arena)};
    return ret_route->start.requests > 0 && !traffic->is_gone[at];
}

static void tell_service(const struct monitor_traffic *traffic, struct monitor_service *service,
                         struct arena *arena)
{
    struct sums minute = {{0}}, start = {{0}};
    struct monitor_route *routes = arena_array(arena, traffic->route_count + 1, sizeof(*routes));
    size_t count = 0;

    if (routes == NULL)
        return;
    for (size_t i = 0; i < traffic->route_count; i++) {
        if (is_of(traffic, i, service->service))
            count += tell_route(traffic, i, &minute, &start, arena, &routes[count]);
    }
    qsort(routes, count, sizeof(*routes), busiest_first);
    service->minute = rates_of(traffic, &minute, arena);
    service->start = rates_of(traffic, &start, arena);
    service->routes = (struct json_list){
        .items = routes, .count = count < MONITOR_ROUTES_MAX ? count : MONITOR_ROUTES_MAX};
}

static bool has_service(const struct monitor_report *report, struct span service)
{
    for (size_t i = 0; i < report->service_count; i++) {
        if (span_equal(report->services[i].service, service))
            return true;
    }
    return false;
}

void monitor_traffic_tell(const struct monitor_traffic *traffic, struct monitor_report *report)
{
    const struct look *before = minute_ago(traffic);

    for (size_t i = 0; i < traffic->route_count; i++) {
        struct span service = label_of(traffic, i, "service");

        if (!has_service(report, service))
            monitor_report_service(report, service, SPAN_OF(""));
        tell_breaker(traffic, i, report);
    }
    for (size_t i = 0; i < report->service_count; i++)
        tell_service(traffic, &report->services[i], report->arena);
    report->limits_start = report->limits_minute = traffic->now.limits;
    if (before != NULL) {
        report->limits_minute.allowed -= before->limits.allowed;
        report->limits_minute.refused -= before->limits.refused;
    }
}
