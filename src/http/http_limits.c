/* SPDX-License-Identifier: MIT
 * Which bucket a request draws from.
 *
 * Who has not shown a valid token draws from its address's bucket. Who has, draws from the user's:
 * many people behind one address do not share 60 requests a minute. A token that is not cached must
 * be verified, which costs us more than refusing, so that draws first from a third, larger bucket
 * of the address; and a token that turns out bad is charged to the address like any anonymous
 * request. Where clients authenticate themselves (HTTP_RATE_CLIENT), each draws from a bucket for
 * its name at its address, and what fails is charged to the address. A stranger who is not let in
 * pays from the address's bucket wherever it was.
 * Limits that nodes share, and several at once, are drawn from in http_limits_draw.c.
 * See docs/decisions/http-rate-limits.md. */
#include "http/http_priv.h"

#include "base/alloc.h"

/* Each kind of bucket has ids of its own; a route's own rate adds the route's index. */
enum { BUCKET_ADDRESS = 1, BUCKET_VERIFY = 2, BUCKET_USER = 3, BUCKET_COST = 4 };

enum { CLIENT_KEY_BYTES_MAX = 128 }; /* longer names share a bucket */

/* What the bucket answered is what the client is told. */
enum err http_limit_heed(struct http_call *call, const struct limit_verdict *verdict)
{
    call->verdict = *verdict;
    call->verdict_given = true;
    metric_add(call->lane->engine->limited[verdict->allowed], 1);
    if (verdict->allowed)
        return ERR_OK;
    call->detail = NULL; /* of what would have been refused anyway */
    return http_fail_retry(&call->req, ERR_RATE_LIMITED, verdict->retry_after_ns);
}

static enum err take(struct http_call *call, struct span key, struct limit_rate rate, uint32_t id)
{
    struct limit_verdict verdict;

    rate.id = id;
    limit_take(call->lane->engine->limits, key, &rate, net_loop_now_ns(call->lane->loop), &verdict);
    return http_limit_heed(call, &verdict);
}

static struct span address_key(const struct http_call *call)
{
    return limit_address(span_make(call->address, sizeof(call->address)));
}

/* Those of the service that the route is of. */
static const struct http_rules *rules_of(const struct http_call *call)
{
    return call->state->service == call->req.service ? call->rules : call->state->service->rules;
}

const struct http_route_rule *http_limit_rule(const struct http_call *call)
{
    return &rules_of(call)->routes[call->state - call->state->service->routes];
}

const struct limit_rate *http_limit_route(const struct http_call *call, uint32_t *ret_bucket)
{
    const struct limit_rate *rate;

    *ret_bucket = 0;
    if (call->state == &call->req.service->nowhere)
        return NULL;
    *ret_bucket = call->state->lasting->bucket;
    rate = &http_limit_rule(call)->rate;
    return rate->requests > 0 ? rate : NULL;
}

enum err http_limit_address(struct http_call *call)
{
    uint32_t bucket;
    const struct limit_rate *own = http_limit_route(call, &bucket);

    if (own != NULL)
        return take(call, address_key(call), *own, bucket);
    return take(call, address_key(call), call->req.policy->rate, BUCKET_ADDRESS);
}

enum err http_limit_verify(struct http_call *call)
{
    enum err err = take(call, address_key(call), call->req.policy->rate_verify, BUCKET_VERIFY);

    call->verdict_given = err != ERR_OK; /* not the bucket that the client is told about */
    return err;
}

int64_t http_limit_subject(const struct http_call *call)
{
    const struct http_principal *principal = &call->principal;

    if (principal->payer != 0)
        return principal->payer;
    return principal->user_id != 0 ? principal->user_id : -principal->client_key;
}

enum err http_limit_user(struct http_call *call)
{
    int64_t subject = http_limit_subject(call);
    struct span key = span_make(&subject, sizeof(subject));
    uint32_t bucket;
    const struct limit_rate *own = http_limit_route(call, &bucket);

    if (own != NULL)
        return take(call, key, *own, bucket + 1);
    return take(call, key, call->user_rate.requests > 0 ? call->user_rate : call->req.policy->rate,
                BUCKET_USER);
}

enum err http_limit_cost(struct http_request *req, uint32_t per_minute, uint32_t cost)
{
    struct http_call *call = http_call_of(req);
    int64_t subject = http_limit_subject(call);
    const struct limit_rate rate = {
        .id = BUCKET_COST, .requests = per_minute, .period_ns = 60 * CLOCK_NS_PER_S};
    struct limit_verdict verdict;

    PC_ASSERT(req->principal != NULL && net_loop_is_current(call->lane->loop));
    limit_take_some(call->lane->engine->limits, span_make(&subject, sizeof(subject)), &rate, cost,
                    net_loop_now_ns(call->lane->loop), &verdict);
    if (!verdict.allowed)
        return http_limit_heed(call, &verdict);
    return ERR_OK; /* the client is told of the bucket of its requests */
}

static struct limit_rate address_rate(const struct http_call *call)
{
    struct limit_rate rate = call->req.policy->rate;

    rate.id = BUCKET_ADDRESS;
    return rate;
}

/* An address whose bucket is used up is not looked up any more: it could go on for ever with names
 * that nobody has. Nothing is taken from it here. */
enum err http_limit_client(struct http_request *req, struct span key)
{
    struct http_call *call = http_call_of(req);
    int64_t now_ns = net_loop_now_ns(call->lane->loop);
    struct limit_rate rate = address_rate(call);
    struct limit_verdict verdict;
    unsigned char text[CLIENT_KEY_BYTES_MAX + 32];
    struct sbuf whose = sbuf_over(text, sizeof(text));
    uint32_t bucket;
    const struct limit_rate *own = http_limit_route(call, &bucket);

    PC_ASSERT(req->route->rate == HTTP_RATE_CLIENT && net_loop_is_current(call->lane->loop));
    limit_peek(call->lane->engine->limits, address_key(call), &rate, now_ns, &verdict);
    if (!verdict.allowed)
        return http_limit_heed(call, &verdict);
    sbuf_add_char(&whose, (char)address_key(call).len);
    sbuf_add(&whose, address_key(call));
    sbuf_add(&whose, span_slice(key, 0, CLIENT_KEY_BYTES_MAX));
    return take(call, sbuf_span(&whose), own != NULL ? *own : req->policy->rate, bucket + 1);
}

/* May be on any thread, which has the call for itself; the table takes all, and the time is asked
 * of the clock since the loop's is the loop's own. */
enum err http_limit_failure(struct http_request *req)
{
    struct http_call *call = http_call_of(req);
    const struct http_engine *engine = req->service->engine;
    struct limit_rate rate = address_rate(call);
    struct limit_verdict verdict;

    if (call->failure_charged)
        return ERR_OK;
    call->failure_charged = true;
    limit_take(engine->limits, address_key(call), &rate, clock_monotonic_ns(engine->options.clock),
               &verdict);
    if (!verdict.allowed)
        return http_limit_heed(call, &verdict);
    metric_add(engine->limited[true], 1); /* the client is told of its own bucket, not of this */
    return ERR_OK;
}

/* Whoever is not let in is written down, and that is not to be had more often than by asking
 * anywhere: a stranger pays from the address's own bucket too where a route has a larger one, and
 * where it has none at all. */
enum err http_limit_denied(struct http_call *call)
{
    enum http_rate rate = call->req.route->rate;
    uint32_t bucket;

    if (rate == HTTP_RATE_EXEMPT)
        return http_limit_address(call);
    if (call->req.principal != NULL)
        return ERR_OK;
    if (rate != HTTP_RATE_CLIENT && http_limit_route(call, &bucket) == NULL)
        return ERR_OK; /* it has paid from there */
    return http_limit_failure(&call->req);
}

static uint64_t seconds_up(int64_t ns)
{
    return ns <= 0 ? 0 : (uint64_t)((ns + CLOCK_NS_PER_S - 1) / CLOCK_NS_PER_S);
}

/* The names that clients know, and the IETF's (draft-ietf-httpapi-ratelimit-headers). */
void http_limit_headers(const struct http_call *call, struct sbuf *out)
{
    const struct limit_verdict *v = &call->verdict;
    int64_t now_ns = net_loop_realtime_ns(call->lane->loop);
    uint64_t wait_s = seconds_up(v->allowed ? v->full_after_ns : v->retry_after_ns);

    if (!call->verdict_given)
        return;
    sbuf_add_lit(out, "X-RateLimit-Limit: ");
    sbuf_add_u64(out, v->limit);
    sbuf_add_lit(out, "\r\nX-RateLimit-Remaining: ");
    sbuf_add_u64(out, v->remaining);
    sbuf_add_lit(out, "\r\nX-RateLimit-Reset: ");
    sbuf_add_u64(out, seconds_up(now_ns + v->full_after_ns));
    sbuf_add_lit(out, "\r\nRateLimit-Policy: \"default\";q=");
    sbuf_add_u64(out, v->limit);
    sbuf_add_lit(out, ";w=");
    sbuf_add_u64(out, call->window_s ? call->window_s : 60);
    sbuf_add_lit(out, "\r\nRateLimit: \"default\";r=");
    sbuf_add_u64(out, v->remaining);
    sbuf_add_lit(out, ";t=");
    sbuf_add_u64(out, wait_s);
    sbuf_add_lit(out, "\r\n");
}

enum { ROUTE_NAME_BYTES = HTTP_PATH_BYTES_MAX + 16, NEAR_ENOUGH = 6 };

/* "GET /api/v1/auth/me", by the path under which the listener serves it. */
static struct span route_name(enum net_method method, struct span path, char text[ROUTE_NAME_BYTES])
{
    struct sbuf name = sbuf_over(text, ROUTE_NAME_BYTES);

    http_methods_add(&name, 1U << method);
    sbuf_add_char(&name, ' ');
    sbuf_add(&name, path);
    return name.full ? (struct span){0} : sbuf_span(&name);
}

static bool names_route(struct span what, const struct http_route *route)
{
    char text[ROUTE_NAME_BYTES];

    return span_equal(what, route_name(route->method, span_from(route->path), text));
}

/* Whether the row, as it is mounted, has this name; one that is only near is kept. */
static bool is_named(const struct http_mount *mount, const struct http_route *row, struct span name,
                     struct sbuf *nearest, size_t *least)
{
    char path[HTTP_PATH_BYTES_MAX];
    char text[ROUTE_NAME_BYTES];
    struct span found = route_name(row->method, http_mount_path(mount, row, path), text);

    if (row->rate == HTTP_RATE_EXEMPT)
        return false;
    if (span_equal(found, name))
        return true;
    if (span_distance(found, name) < *least) {
        *least = span_distance(found, name);
        nearest->len = 0;
        sbuf_add(nearest, found);
    }
    return false;
}

bool http_route_is_limited(const struct http_service_options *options, struct span name,
                           struct sbuf *nearest, enum http_rate *ret_rate)
{
    size_t least = NEAR_ENOUGH;

    for (size_t i = 0; i < options->mount_count; i++) {
        for (const struct http_route *row = options->mounts[i].rows; row->path != NULL; row++) {
            if (!is_named(&options->mounts[i], row, name, nearest, &least))
                continue;
            *ret_rate = row->rate;
            return true;
        }
    }
    return false;
}

static struct http_route_rule rule_of(const struct http_policy *policy,
                                      const struct http_route *route)
{
    struct http_route_rule rule = {
        .rate = {.requests = route->per_minute, .period_ns = 60 * CLOCK_NS_PER_S},
        .sharing = policy->sharing};

    if (route->limits != NULL && route->limits->has_sharing)
        rule.sharing = route->limits->sharing;
    for (size_t i = 0; i < policy->route_rate_count; i++) {
        if (!names_route(policy->route_rates[i].what, route))
            continue;
        rule.rate = policy->route_rates[i].rate;
        rule.sharing = policy->route_rates[i].sharing;
        break;
    }
    return rule;
}

enum err http_rules_new(const struct http_service *service, const struct http_policy *policy,
                        uint64_t snapshot, struct http_rules **ret)
{
    struct http_rules *rules =
        alloc_zero(sizeof(*rules) + service->route_count * sizeof(rules->routes[0]));

    if (rules == NULL)
        return ERR_NO_MEMORY;
    rules->policy = policy;
    rules->snapshot = snapshot;
    for (size_t i = 0; i < service->route_count; i++)
        rules->routes[i] = rule_of(policy, &service->routes[i].row);
    *ret = rules;
    return ERR_OK;
}

/* Looked up when a token enters the cache, not for each request. */
struct limit_rate http_rules_user(const struct http_rules *rules, int64_t user_id)
{
    char text[24];
    struct sbuf id = sbuf_over(text, sizeof(text));

    sbuf_add_i64(&id, user_id);
    for (size_t i = 0; user_id != 0 && i < rules->policy->user_rate_count; i++) {
        if (span_equal(rules->policy->user_rates[i].what, sbuf_span(&id)))
            return rules->policy->user_rates[i].rate;
    }
    return (struct limit_rate){0};
}
