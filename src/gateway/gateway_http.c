/* SPDX-License-Identifier: MIT
 * GET / and GET /health, at the root and under /api/v1: open, never limited, never guarded by a
 * breaker, answered on the loop. */
#include "gateway/gateway.h"

static const char *program_version = "unknown";

void gateway_version_set(const char *version)
{
    program_version = version;
}

struct welcome {
    struct span service, version, status, docs;
};

static const struct json_field welcome_fields[] = {
    {.name = "service",
     .kind = JSON_KIND_TEXT,
     .max = 64,
     .offset = offsetof(struct welcome, service),
     .example = GATEWAY_TITLE},
    {.name = "version",
     .kind = JSON_KIND_TEXT,
     .max = 64,
     .offset = offsetof(struct welcome, version),
     .example = "0.1.0"},
    {.name = "status",
     .kind = JSON_KIND_TEXT,
     .max = 16,
     .offset = offsetof(struct welcome, status),
     .example = "healthy"},
    {.name = "docs",
     .kind = JSON_KIND_TEXT,
     .max = 64,
     .offset = offsetof(struct welcome, docs),
     .example = "/api/docs"},
};
static const struct json_schema welcome_schema = {.name = "Welcome",
                                                  .about = "Who answers here.",
                                                  .fields = welcome_fields,
                                                  .field_count = PC_COUNT(welcome_fields),
                                                  .bytes = sizeof(struct welcome)};

static enum err welcome(struct http_request *req)
{
    struct welcome reply = {.service = SPAN(GATEWAY_TITLE),
                            .version = span_from(program_version),
                            .status = SPAN("healthy"),
                            .docs = SPAN("/api/docs")};

    return http_reply(req, &reply);
}

struct health {
    struct span status, service, timestamp;
};

static const struct json_field health_fields[] = {
    {.name = "status",
     .kind = JSON_KIND_TEXT,
     .max = 16,
     .offset = offsetof(struct health, status),
     .example = "healthy"},
    {.name = "service",
     .kind = JSON_KIND_TEXT,
     .max = 32,
     .offset = offsetof(struct health, service),
     .example = GATEWAY_SERVICE},
    {.name = "timestamp",
     .kind = JSON_KIND_TEXT,
     .format = JSON_FORMAT_DATE_TIME,
     .max = 40,
     .offset = offsetof(struct health, timestamp),
     .example = "2025-10-06T12:00:00Z"},
};
static const struct json_schema health_schema = {.name = "Health",
                                                 .about = "The gateway answers.",
                                                 .fields = health_fields,
                                                 .field_count = PC_COUNT(health_fields),
                                                 .bytes = sizeof(struct health)};

static enum err health(struct http_request *req)
{
    char text[40];
    struct sbuf now = sbuf_over(text, sizeof(text));
    struct health reply = {.status = SPAN("healthy"), .service = SPAN(GATEWAY_SERVICE)};

    clock_add_rfc3339(&now, clock_realtime_ns(http_engine_clock(http_engine_of(req))), 3);
    reply.timestamp = sbuf_span(&now);
    return http_reply(req, &reply);
}

#define OPEN_ROW                                                                                   \
    .method = NET_METHOD_GET, .access = HTTP_ACCESS_OPEN, .rate = HTTP_RATE_EXEMPT,                \
    .guard = HTTP_GUARD_NONE, .data = HTTP_DATA_PUBLIC, .tag = "Gateway"

const struct http_route gateway_routes[] = {
    {OPEN_ROW, .path = "/", .reply = &welcome_schema, .handle = welcome, .id = "root",
     .summary = "Who answers here?"},
    {OPEN_ROW, .path = "/health", .reply = &health_schema, .handle = health, .id = "health",
     .summary = "Is the gateway healthy?"},
    {OPEN_ROW, .path = "/api/v1", .reply = &welcome_schema, .handle = welcome, .id = "api_root",
     .summary = "Who answers here?"},
    {OPEN_ROW, .path = "/api/v1/", .reply = &welcome_schema, .handle = welcome,
     .id = "api_root_slash", .summary = "Who answers here?", .hidden = true},
    {OPEN_ROW, .path = "/api/v1/health", .reply = &health_schema, .handle = health,
     .id = "api_health", .summary = "Is the gateway healthy?"},
    {.path = NULL},
};
