/* SPDX-License-Identifier: MIT
 * Cross-origin requests: an exact list, or "*" without credentials. What is not allowed gets no
 * header, and the browser refuses it. Source: Fetch standard, "CORS protocol". */
#include "http/http_priv.h"

static bool any_origin(const struct http_policy *policy)
{
    return policy->origin_count == 1 && span_is(policy->origins[0], "*");
}

static bool origin_allowed(const struct http_call *call)
{
    const struct http_policy *policy = call->req.policy;

    if (call->known.origin.len == 0)
        return false;
    if (any_origin(policy))
        return true;
    for (size_t i = 0; i < policy->origin_count; i++) {
        if (span_equal(policy->origins[i], call->known.origin))
            return true;
    }
    return false;
}

bool http_cors_is_preflight(const struct http_call *call)
{
    return call->req.method == NET_METHOD_OPTIONS && call->known.origin.len > 0 &&
           call->known.preflight_method.len > 0;
}

void http_cors_headers(const struct http_call *call, struct sbuf *out)
{
    const struct http_policy *policy = call->req.policy;

    if (policy->origin_count == 0 || call->same_origin ||
        (call->req.route != NULL && call->req.route->same_origin))
        return;
    if (!any_origin(policy))
        sbuf_add_lit(out, "Vary: Origin\r\n");
    if (!origin_allowed(call))
        return;
    sbuf_add_lit(out, "Access-Control-Allow-Origin: ");
    sbuf_add(out, any_origin(policy) ? SPAN_OF("*") : call->known.origin);
    /* Never both: a wildcard with credentials would let every site act for the user. */
    if (policy->origin_credentials && !any_origin(policy))
        sbuf_add_lit(out, "\r\nAccess-Control-Allow-Credentials: true");
    sbuf_add_lit(out, "\r\nAccess-Control-Expose-Headers: X-Request-ID, X-Process-Time, "
                      "X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Retry-After, "
                      "X-Circuit-Breaker-State, Link, Location, Idempotency-Replayed\r\n");
}

/* Only what a script may need to send; the list does not echo the request. */
void http_cors_preflight(struct http_call *call, uint32_t methods)
{
    char text[256];
    struct sbuf allow = sbuf_over(text, sizeof(text));

    call->status = 204;
    if (!origin_allowed(call)) {
        call->err = ERR_FORBIDDEN;
        call->detail = "This origin is not allowed to call this API.";
        return;
    }
    http_methods_add(&allow, methods);
    http_reply_header(&call->req, "Access-Control-Allow-Methods", sbuf_span(&allow));
    http_reply_header(&call->req, "Access-Control-Allow-Headers",
                      SPAN_OF("Authorization, Content-Type, Idempotency-Key, X-Request-ID, "
                              "X-Requested-With"));
    allow.len = 0;
    sbuf_add_u64(&allow, call->req.policy->origin_max_age_s);
    http_reply_header(&call->req, "Access-Control-Max-Age", sbuf_span(&allow));
}
