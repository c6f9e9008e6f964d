/* SPDX-License-Identifier: MIT
 * GET /health of the services behind the gateway: answered on the loop. Open and never limited at
 * the account and the transaction service; the audit and the monitoring service want a token.
 * Whether the store answers is asked at /readyz. */
#include "app/serve_priv.h"

struct health {
    struct span status;
};

static const struct json_field health_fields[] = {
    {.name = "status",
     .kind = JSON_KIND_TEXT,
     .max = 8,
     .offset = offsetof(struct health, status),
     .example = "ok"},
};
static const struct json_schema health_schema = {.name = "ServiceHealth",
                                                 .about = "The service answers.",
                                                 .fields = health_fields,
                                                 .field_count = PC_COUNT(health_fields),
                                                 .bytes = sizeof(struct health)};

static enum err health(struct http_request *req)
{
    const struct health reply = {.status = SPAN("ok")};

    return http_reply(req, &reply);
}

const struct http_route serve_health_routes[] = {
    {.method = NET_METHOD_GET,
     .path = "/health",
     .access = HTTP_ACCESS_OPEN,
     .rate = HTTP_RATE_EXEMPT,
     .guard = HTTP_GUARD_NONE,
     .data = HTTP_DATA_PUBLIC,
     .reply = &health_schema,
     .handle = health,
     .id = "health",
     .tag = "Health",
     .summary = "Does the service answer?"},
    {.path = NULL},
};

const struct http_route serve_health_bearer_routes[] = {
    {.method = NET_METHOD_GET,
     .path = "/health",
     .access = HTTP_ACCESS_BEARER,
     .tokens = HTTP_TOKENS_ANY,
     .guard = HTTP_GUARD_NONE,
     .data = HTTP_DATA_INTERNAL,
     .reply = &health_schema,
     .handle = health,
     .id = "health",
     .tag = "Health",
     .summary = "Does the service answer?"},
    {.path = NULL},
};
