/* SPDX-License-Identifier: MIT
 * The part of the configuration that may change while the program runs, in the form in which
 * http/ asks it. Plans are resolved here: a user on a plan has the plan's rate. */
#include "app/serve_priv.h"

#include <string.h>

#include "base/alloc.h"

enum { POLICY_ARENA_BYTES_MAX = 8 * 1024 * 1024, VERIFY_FACTOR = 10 };

static struct limit_rate per_minute(uint32_t requests, uint32_t burst)
{
    return (struct limit_rate){
        .requests = requests, .period_ns = 60 * CLOCK_NS_PER_S, .burst = burst};
}

/* A number left out means: as in general. */
static struct limit_rate rate_of(const struct config *config, const struct config_limit *limit)
{
    uint32_t requests = limit->requests_per_minute ? limit->requests_per_minute
                                                   : config->limits.requests_per_minute;
    uint32_t burst =
        limit->requests_per_minute || limit->burst ? limit->burst : config->limits.burst;

    return per_minute(requests, burst);
}

static const struct config_limit *plan_of(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->limits.plans.count; i++) {
        if (strcmp(config->limits.plans.items[i].plan, name) == 0)
            return &config->limits.plans.items[i];
    }
    return NULL;
}

static enum err make_routes(const struct config *config, struct serve_policy *made)
{
    const struct config_limits *from = &config->limits.routes;
    struct http_rate_override *list =
        arena_array(&made->arena, from->count + 1, sizeof(struct http_rate_override));

    if (list == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < from->count; i++)
        list[i] =
            (struct http_rate_override){.what = span_from(from->items[i].route),
                                        .rate = rate_of(config, &from->items[i]),
                                        .sharing = serve_sharing(config, &from->items[i].sharing)};
    made->policy.route_rates = list;
    made->policy.route_rate_count = from->count;
    return ERR_OK;
}

static enum err make_users(const struct config *config, struct serve_policy *made)
{
    const struct config_limits *from = &config->limits.users;
    struct http_rate_override *list =
        arena_array(&made->arena, from->count + 1, sizeof(struct http_rate_override));

    if (list == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < from->count; i++) {
        const struct config_limit *limit = &from->items[i];

        if (limit->requests_per_minute == 0 && limit->plan && plan_of(config, limit->plan))
            limit = plan_of(config, limit->plan);
        list[i] = (struct http_rate_override){.what = span_from(from->items[i].user),
                                              .rate = rate_of(config, limit)};
    }
    made->policy.user_rates = list;
    made->policy.user_rate_count = from->count;
    return ERR_OK;
}

static enum err make_networks(const struct config_texts *from, struct arena *arena,
                              const struct http_network **ret_list, size_t *ret_count)
{
    struct http_network *list = arena_array(arena, from->count + 1, sizeof(*list));

    if (list == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < from->count; i++) {
        if (!http_network_read(span_from(from->items[i]), &list[i]))
            return ERR_CONFIG;
    }
    *ret_list = list;
    *ret_count = from->count;
    return ERR_OK;
}

static enum err make_origins(const struct config *config, struct serve_policy *made)
{
    const struct config_texts *from = &config->cors.allowed_origins;
    struct span *list = arena_array(&made->arena, from->count + 1, sizeof(*list));

    if (list == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < from->count; i++)
        list[i] = span_from(from->items[i]);
    made->policy.origins = list;
    made->policy.origin_count = from->count;
    return ERR_OK;
}

static enum err fill(const struct config *config, struct serve_policy *made)
{
    struct http_policy *policy = &made->policy;
    uint32_t requests = config->limits.requests_per_minute;
    enum err err;

    policy->rate = per_minute(requests, config->limits.burst);
    policy->rate_verify = per_minute(
        requests > UINT32_MAX / VERIFY_FACTOR ? UINT32_MAX : requests * VERIFY_FACTOR, 0);
    policy->sharing = serve_sharing(config, &config->limits.shared.general);
    policy->origin_credentials = config->cors.allow_credentials;
    policy->origin_max_age_s = config->cors.max_age_s;
    policy->body_bytes_max = config->http.body_bytes_max;
    policy->breaker_failures = config->breaker.failure_threshold;
    policy->breaker_open_ns = config->breaker.timeout_s * CLOCK_NS_PER_S;
    policy->breaker_probes = config->breaker.probes_max;
    err = make_routes(config, made);
    if (!err)
        err = make_users(config, made);
    if (!err)
        err = make_origins(config, made);
    if (!err)
        err = make_networks(&config->trusted_proxies, &made->arena, &policy->proxies,
                            &policy->proxy_count);
    if (!err)
        err = make_networks(&config->metrics.allow, &made->arena, &policy->metrics_from,
                            &policy->metrics_from_count);
    return err;
}

/* Whether one of the services has that route; `nearest` is the name most like it, of any of them.
 */
static bool is_limited(struct span name, unsigned services, struct sbuf *nearest,
                       enum http_rate *ret_rate)
{
    for (enum config_service i = 0; i < CONFIG_SERVICE_COUNT; i++) {
        struct serve_mounts mounts;
        const struct http_service_options service = serve_service_options(i, "", &mounts);
        char text[256];
        struct sbuf near = sbuf_over(text, sizeof(text));

        if ((services & CONFIG_SERVICE_BIT(i)) == 0)
            continue;
        if (http_route_is_limited(&service, name, &near, ret_rate))
            return true;
        if (near.len == 0 || (nearest->len > 0 && span_distance(name, sbuf_span(nearest)) <=
                                                      span_distance(name, sbuf_span(&near))))
            continue;
        sbuf_truncate(nearest, 0);
        sbuf_add(nearest, sbuf_span(&near));
    }
    return false;
}

enum err serve_routes_check(const struct config *config, unsigned services,
                            struct serve_fault *reterr)
{
    for (size_t i = 0; i < config->limits.routes.count; i++) {
        const char *name = config->limits.routes.items[i].route;
        char text[256];
        struct sbuf nearest = sbuf_over(text, sizeof(text));
        bool shared = config->limits.routes.items[i].sharing.mode > CONFIG_LIMIT_OFF;
        enum http_rate rate = HTTP_RATE_LIMITED;
        bool limited =
            is_limited(span_from(name), services ? services : CONFIG_SERVICES_ALL, &nearest, &rate);

        if (limited && shared && rate == HTTP_RATE_CLIENT)
            return serve_fail(reterr, ERR_CONFIG,
                              "limits.routes: \"%s\" is limited by client and address, which "
                              "each process does by itself: it takes no mode",
                              name);
        if (limited)
            continue;
        if (nearest.len == 0)
            return serve_fail(reterr, ERR_CONFIG,
                              "limits.routes: \"%s\" is not a route that is limited; "
                              "`portcullis openapi` lists the routes",
                              name);
        return serve_fail(reterr, ERR_CONFIG,
                          "limits.routes: \"%s\" is not a route that is limited, did you mean "
                          "\"%.*s\"?",
                          name, SPAN_ARG(sbuf_span(&nearest)));
    }
    return ERR_OK;
}

enum err serve_policy_make(const struct config *config, struct serve_policy **ret)
{
    struct serve_policy *made = alloc_zero(sizeof(*made));
    enum err err;

    if (made == NULL)
        return ERR_NO_MEMORY;
    arena_init(&made->arena, NULL, 0, POLICY_ARENA_BYTES_MAX);
    err = fill(config, made);
    if (err) {
        serve_policy_free(made);
        return err;
    }
    *ret = made;
    return ERR_OK;
}

void serve_policy_free(struct serve_policy *policy)
{
    if (policy == NULL)
        return;
    arena_reset(&policy->arena);
    alloc_free(policy);
}

enum err serve_policy_part(struct serve_snapshot *made, const struct serve_snapshot *now,
                           struct serve_fault *fault)
{
    enum err err = serve_policy_make(made->config, &made->policy);

    (void)now;
    return err ? serve_fail(fault, err, "%s", err_sentence(err)) : ERR_OK;
}

void serve_policy_part_free(struct serve_snapshot *snapshot)
{
    serve_policy_free(snapshot->policy);
    snapshot->policy = NULL;
}
