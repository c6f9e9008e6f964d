/* SPDX-License-Identifier: MIT
 * Circuit breakers as the file describes them, of routes, and of upstreams whatever the route; and
 * the time limits that a route has of its own. */
#include "app/serve_priv.h"
#include "upstream/upstream.h"

const struct upstream_times *serve_times(const struct config_route *from,
                                         const struct upstream *upstream, struct arena *arena,
                                         bool *ok)
{
    uint32_t all = from->timeouts.connect_ms + from->timeouts.response_ms + from->timeouts.idle_ms +
                   from->timeouts.total_ms;
    struct upstream_times *times;

    if (all == 0 && !from->timeouts.endless)
        return NULL;
    times = arena_zero(arena, sizeof(*times));
    *ok = *ok && times != NULL;
    if (times == NULL)
        return NULL;
    *times = (struct upstream_times){
        .connect_ms = from->timeouts.connect_ms,
        .response_ms = from->timeouts.response_ms,
        .idle_ms = from->timeouts.idle_ms,
        .total_ms = from->timeouts.endless ? -1 : (int64_t)from->timeouts.total_ms};
    upstream_times_complete(upstream, times);
    return times;
}

/* What is left out stays 0: the policy's, for a route. */
struct breaker_options serve_breaker_options(const struct config_breaker *from)
{
    return (struct breaker_options){.failures = from->failures,
                                    .open_ns = from->seconds * CLOCK_NS_PER_S,
                                    .probes = from->probes_max,
                                    .exact = from->probes_max > 0,
                                    .window_ns = from->window_seconds * CLOCK_NS_PER_S,
                                    .calls_min = from->requests_min,
                                    .error_percent = from->error_percent,
                                    .slow_percent = from->slow_percent,
                                    .slow_ns = from->slow_ms * CLOCK_NS_PER_MS};
}

bool serve_breaker_same(const struct config_upstream *from, const struct config *a,
                        const struct config *b)
{
    const struct config_breaker *own = &from->breaker;

    return !config_breaker_is_given(own) ||
           ((own->failures > 0 || a->breaker.failure_threshold == b->breaker.failure_threshold) &&
            (own->seconds > 0 || a->breaker.timeout_s == b->breaker.timeout_s) &&
            (own->probes_max > 0 || a->breaker.probes_max == b->breaker.probes_max));
}

enum err serve_breaker_make(const struct serve_snapshot *made, const struct config_upstream *from,
                            struct http_breaker *former, struct http_breaker **ret_breaker)
{
    struct breaker_options options = serve_breaker_options(&from->breaker);
    const struct config *config = made->config;

    *ret_breaker = NULL;
    if (!config_breaker_is_given(&from->breaker))
        return ERR_OK;
    if (options.failures == 0)
        options.failures = config->breaker.failure_threshold;
    if (options.open_ns == 0)
        options.open_ns = config->breaker.timeout_s * CLOCK_NS_PER_S;
    if (options.probes == 0)
        options.probes = config->breaker.probes_max;
    return http_breaker_new(made->serve->engine, GATEWAY_SERVICE, from->name, &options, former,
                            ret_breaker);
}
