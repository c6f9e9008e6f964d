/* SPDX-License-Identifier: MIT
 * What the gateway listener answers itself: who it is, how it is, the caller's orders, and
 * the console for operators. The tables of other services are mounted beside these by app/.
 *
 * Threads, memory: as http/ says of handlers. */
#ifndef PC_GATEWAY_GATEWAY_H
#define PC_GATEWAY_GATEWAY_H

#include "http/http.h"

#define GATEWAY_TITLE   "Secure Financial API Gateway"
#define GATEWAY_SERVICE "api-gateway"
#define GATEWAY_ABOUT                                                                              \
    "Register, log in, and call protected routes with the `access_token` as bearer.\n\n"           \
    "Every answer carries security headers, `X-Request-ID` and `X-Process-Time`; limited routes "  \
    "tell what is left in `X-RateLimit-*`; errors are `application/problem+json` (RFC 9457)."

extern const struct http_route gateway_routes[];
extern const struct http_route gateway_order_routes[];
extern const struct http_route gateway_console_routes[];

/* The version that GET / tells; constant text. Set once, before the first request. */
void gateway_version_set(const char *version);

#endif
