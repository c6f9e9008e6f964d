/* SPDX-License-Identifier: MIT
 * Cross-origin requests: an exact list, or "*" without credentials. What is not allowed gets no
 * header, and the browser refuses it. A route's own decision stands in place of the policy's; a
 * preflight is about the route of the method that it asks for. Source: Fetch standard, "CORS
 * protocol". */
#include "http/http_priv.h"

/* What holds for this request. */
static struct http_cors decision_of(const struct http_call *call)
{
    const struct http_route *route = call->req.route;
    const struct http_policy *policy = call->req.policy;

    if (call->cors != NULL)
        return *call->cors;
    if (route != NULL && route->cors != NULL)
        return *route->cors;
    return (struct http_cors){.origins = policy->origins,
                              .origin_count = policy->origin_count,
                              .credentials = policy->origin_credentials,
                              .max_age_s = policy->origin_max_age_s};
}

static bool is_any(const struct http_cors *cors)
{
    return cors->origin_count == 1 && span_is(cors->origins[0], "*");
}

static bool is_allowed(const struct http_call *call, const struct http_cors *cors)
{
    if (call->known.origin.len == 0)
        return false;
    if (is_any(cors))
        return true;
    for (size_t i = 0; i < cors->origin_count; i++) {
        if (span_equal(cors->origins[i], call->known.origin))
            return true;
    }
    return false;
}

bool http_cors_is_preflight(const struct http_call *call)
{
    return call->req.method == NET_METHOD_OPTIONS && call->known.origin.len > 0 &&
           call->known.preflight_method.len > 0;
}

bool http_cors_is_decided(const struct http_call *call)
{
    return decision_of(call).origin_count > 0;
}

/* ---- preflights --------------------------------------------------------------------------------
 */

/* NULL: there is none. */
static const struct http_route *route_of(const struct http_call *call, enum net_method method)
{
    const struct http_service *owner;
    struct http_match match;

    if (method == NET_METHOD_HEAD)
        method = NET_METHOD_GET;
    if (http_route_find(call, method, &owner, &match) != ERR_OK)
        return NULL;
    return &owner->routes[match.index].row;
}

static const struct http_cors *wanted_cors(const struct http_call *call)
{
    for (enum net_method i = NET_METHOD_OTHER + 1; i < NET_METHOD_COUNT; i++) {
        const struct http_route *route = NULL;

        if (span_equal(http_method_name(i), call->known.preflight_method))
            route = route_of(call, i);
        if (route != NULL)
            return route->cors;
    }
    return NULL;
}

bool http_cors_is_ours(const struct http_call *call)
{
    return http_cors_is_preflight(call) && wanted_cors(call) != NULL;
}

uint32_t http_cors_find(struct http_call *call)
{
    uint32_t methods = 0;

    call->cors = wanted_cors(call);
    for (enum net_method i = NET_METHOD_OTHER + 1; i < NET_METHOD_COUNT; i++) {
        const struct http_route *route = route_of(call, i);

        if (route == NULL ? i == NET_METHOD_OPTIONS : route->cors == call->cors)
            methods |= 1U << i;
    }
    return methods;
}

/* ---- answers -----------------------------------------------------------------------------------
 */

void http_cors_headers(const struct http_call *call, struct sbuf *out)
{
    const struct http_cors cors = decision_of(call);

    if (cors.origin_count == 0 || call->same_origin ||
        (call->req.route != NULL && call->req.route->same_origin))
        return;
    if (!is_any(&cors))
        sbuf_add_lit(out, "Vary: Origin\r\n");
    if (!is_allowed(call, &cors))
        return;
    sbuf_add_lit(out, "Access-Control-Allow-Origin: ");
    sbuf_add(out, is_any(&cors) ? SPAN_OF("*") : call->known.origin);
    /* Never both: a wildcard with credentials would let every site act for the user. */
    if (cors.credentials && !is_any(&cors))
        sbuf_add_lit(out, "\r\nAccess-Control-Allow-Credentials: true");
    sbuf_add_lit(out, "\r\nAccess-Control-Expose-Headers: X-Request-ID, X-Process-Time, "
                      "X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Retry-After, "
                      "X-Circuit-Breaker-State, Link, Location, Idempotency-Replayed");
    sbuf_add(out, cors.exposed);
    sbuf_add_lit(out, "\r\n");
}

static void add_header(struct http_call *call, const char *name, const struct sbuf *value)
{
    if (!value->full)
        http_reply_header(&call->req, name, sbuf_span(value));
}

/* Only what a script may need to send; the list does not echo the request. */
void http_cors_preflight(struct http_call *call, uint32_t methods)
{
    const struct http_cors cors = decision_of(call);
    struct sbuf headers = sbuf_on(call->req.arena, 4096);
    char text[256];
    struct sbuf allow = sbuf_over(text, sizeof(text));

    call->status = 204;
    if (!is_allowed(call, &cors)) {
        call->err = ERR_FORBIDDEN;
        call->detail = "This origin is not allowed to call this API.";
        return;
    }
    http_methods_add(&allow, methods);
    add_header(call, "Access-Control-Allow-Methods", &allow);
    sbuf_add_lit(&headers, "Authorization, Content-Type, Idempotency-Key, X-Request-ID, "
                           "X-Requested-With");
    sbuf_add(&headers, cors.headers);
    add_header(call, "Access-Control-Allow-Headers", &headers);
    allow.len = 0;
    sbuf_add_u64(&allow, cors.max_age_s);
    add_header(call, "Access-Control-Max-Age", &allow);
}
