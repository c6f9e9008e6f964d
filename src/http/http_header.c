/* SPDX-License-Identifier: MIT
 * Names by their length: nearly every one is told apart without a look at its bytes. */
#include "http/http_header.h"

#define IS(literal) (memcmp(name.ptr, (literal), sizeof(literal) - 1) == 0)

static unsigned kind_of_start(struct span name)
{
    if (span_starts(name, SPAN_OF("x-forwarded-")) || span_starts(name, SPAN_OF("x-portcullis-")) ||
        span_starts(name, SPAN_OF("x-user-")))
        return HTTP_HEADER_TO_UPSTREAM;
    if (span_starts(name, SPAN_OF("x-ratelimit-")))
        return HTTP_HEADER_LIMIT;
    return span_starts(name, SPAN_OF("access-control-allow-")) ? HTTP_HEADER_CROSS : 0;
}

static unsigned kind_of_short(struct span name)
{
    switch (name.len) {
    case 2:
        return IS("te") ? HTTP_HEADER_HOP : 0;
    case 3:
        return IS("via") ? HTTP_HEADER_TO_UPSTREAM : 0;
    case 4:
        return IS("host") ? HTTP_HEADER_TO_UPSTREAM : 0;
    case 5:
        return IS("range") ? HTTP_HEADER_KEPT : 0;
    case 6:
        if (IS("expect"))
            return HTTP_HEADER_TO_UPSTREAM;
        return IS("cookie") || IS("origin") || IS("accept") ? HTTP_HEADER_KEPT : 0;
    case 7:
        return IS("trailer") || IS("upgrade") ? HTTP_HEADER_HOP : 0;
    case 9:
        if (IS("ratelimit"))
            return HTTP_HEADER_LIMIT;
        return IS("forwarded") || IS("x-real-ip") ? HTTP_HEADER_TO_UPSTREAM : 0;
    case 10:
        return IS("connection") || IS("keep-alive") ? HTTP_HEADER_HOP : 0;
    case 11:
        return IS("traceparent") || IS("x-client-ip") ? HTTP_HEADER_TO_UPSTREAM : 0;
    default:
        return 0;
    }
}

static unsigned kind_of_long(struct span name)
{
    switch (name.len) {
    case 12:
        if (IS("x-request-id"))
            return HTTP_HEADER_TO_UPSTREAM | HTTP_HEADER_TO_CLIENT;
        return IS("content-type") ? HTTP_HEADER_KEPT : 0;
    case 13:
        return IS("authorization") || IS("cache-control") ? HTTP_HEADER_KEPT : 0;
    case 14:
        if (IS("content-length"))
            return HTTP_HEADER_TO_UPSTREAM | HTTP_HEADER_TO_CLIENT;
        if (IS("true-client-ip"))
            return HTTP_HEADER_TO_UPSTREAM;
        if (IS("x-process-time"))
            return HTTP_HEADER_TO_CLIENT;
        return IS("http2-settings") ? HTTP_HEADER_HOP : 0;
    case 15:
        if (IS("x-frame-options") || IS("referrer-policy"))
            return HTTP_HEADER_TO_CLIENT;
        return IS("idempotency-key") ? HTTP_HEADER_KEPT : 0;
    case 16:
        if (IS("proxy-connection"))
            return HTTP_HEADER_HOP;
        if (IS("x-mtls-client-cn"))
            return HTTP_HEADER_TO_UPSTREAM;
        if (IS("x-xss-protection"))
            return HTTP_HEADER_TO_CLIENT;
        if (IS("ratelimit-policy"))
            return HTTP_HEADER_LIMIT;
        return IS("content-encoding") || IS("content-language") ? HTTP_HEADER_KEPT : 0;
    case 17:
        return IS("transfer-encoding") ? HTTP_HEADER_HOP : 0;
    case 18:
        return IS("proxy-authenticate") ? HTTP_HEADER_HOP : 0;
    case 19:
        return IS("proxy-authorization") ? HTTP_HEADER_HOP : 0;
    case 22:
        return IS("x-content-type-options") ? HTTP_HEADER_TO_CLIENT : 0;
    case 23:
        return IS("x-circuit-breaker-state") ? HTTP_HEADER_TO_CLIENT : 0;
    case 25:
        return IS("strict-transport-security") ? HTTP_HEADER_TO_CLIENT : 0;
    default:
        return 0;
    }
}

unsigned http_header_kind(struct span name)
{
    unsigned kind = name.len < 12 ? kind_of_short(name) : kind_of_long(name);

    if (kind != 0 || name.len == 0 || (name.ptr[0] != 'x' && name.ptr[0] != 'a'))
        return kind;
    return kind_of_start(name);
}
