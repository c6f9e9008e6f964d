/* SPDX-License-Identifier: MIT
 * GET /whoami and GET /health: what a token says of its holder, and that the service is there for
 * it. */
#include "oauth/oauth_flow_priv.h"

struct self {
    struct span sub, scope, client_id;
    struct json_list roles;
};

static const struct json_field role_item = {
    .kind = JSON_KIND_TEXT, .max = 64, .example = "customer"};

static const struct json_field self_fields[] = {
    {.name = "sub",
     .kind = JSON_KIND_TEXT,
     .max = 64,
     .offset = offsetof(struct self, sub),
     .example = "2",
     .about = "A user's id, or a client's."},
    {.name = "scope",
     .kind = JSON_KIND_TEXT,
     .max = 2048,
     .offset = offsetof(struct self, scope),
     .example = "accounts:read transactions:read",
     .about = "What the token may do now."},
    {.name = "roles",
     .kind = JSON_KIND_LIST,
     .max = 16,
     .item = &role_item,
     .offset = offsetof(struct self, roles)},
    {.name = "client_id",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .max = 64,
     .offset = offsetof(struct self, client_id),
     .example = "web-portal",
     .about = "Who holds the token; not there for a user's own session."},
};
static const struct json_schema self_schema = {.name = "Self",
                                               .about = "Whom the token speaks for.",
                                               .fields = self_fields,
                                               .field_count = PC_COUNT(self_fields),
                                               .bytes = sizeof(struct self)};

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
static const struct json_schema health_schema = {.name = "AuthHealth",
                                                 .about = "The service answers.",
                                                 .fields = health_fields,
                                                 .field_count = PC_COUNT(health_fields),
                                                 .bytes = sizeof(struct health)};

enum err oauth_names_split(struct span list, struct arena *arena, struct json_list *ret_list)
{
    struct span *items = arena_array(arena, list.len / 2 + 1, sizeof(*items));
    size_t count = 0;

    if (items == NULL)
        return ERR_NO_MEMORY;
    for (struct span name; span_cut(&list, ' ', &name);)
        if (name.len > 0)
            items[count++] = name;
    *ret_list = (struct json_list){.items = items, .count = count};
    return ERR_OK;
}

static enum err whoami(struct http_request *req)
{
    const struct http_principal *principal = req->principal;
    struct self self = {.sub = principal->subject,
                        .scope = principal->scope.len > 0 ? principal->scope : SPAN_OF("")};
    enum err err = oauth_names_split(principal->roles, req->arena, &self.roles);

    if (err)
        return err;
    if (principal->client_id.len > 0)
        self.client_id = principal->client_id;
    return http_reply(req, &self);
}

static enum err health(struct http_request *req)
{
    const struct health reply = {.status = SPAN("ok")};

    return http_reply(req, &reply);
}

const struct http_route oauth_self_routes[] = {
    {.method = NET_METHOD_GET,
     .path = "/whoami",
     .access = HTTP_ACCESS_BEARER,
     .tokens = HTTP_TOKENS_ANY,
     .data = HTTP_DATA_CONFIDENTIAL,
     .reply = &self_schema,
     .run = HTTP_RUN_LOOP,
     .handle = whoami,
     .id = "whoami",
     .tag = "OAuth",
     .summary = "Whom does my token speak for?",
     .about = "Scope and roles are those of now: what the client or user lost since the token was "
              "issued is not among them."},
    {.method = NET_METHOD_GET,
     .path = "/health",
     .access = HTTP_ACCESS_BEARER,
     .tokens = HTTP_TOKENS_ANY,
     .data = HTTP_DATA_INTERNAL,
     .reply = &health_schema,
     .run = HTTP_RUN_LOOP,
     .handle = health,
     .id = "auth_health",
     .tag = "OAuth",
     .summary = "Is the auth service there?"},
    {.path = NULL},
};
