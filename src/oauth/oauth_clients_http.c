/* SPDX-License-Identifier: MIT
 * GET /auth/clients: which programs may ask for tokens, for auditors. Page by page, as a plain
 * array. */
#include "oauth/oauth_priv.h"

#include "http/http_page.h"

enum { ITEMS_MAX = 64 }; /* of one client's scopes or roles */

static const struct json_field page_fields[] = {
    HTTP_PAGE_FIELDS(HTTP_PAGE_KEY_BYTES_MAX, "100"),
};
const struct json_schema oauth_clients_page_schema = {.name = "OAuthClientPage",
                                                      .fields = page_fields,
                                                      .field_count = PC_COUNT(page_fields),
                                                      .bytes = sizeof(struct http_page)};

struct client_reply {
    struct span client_id, client_name;
    struct json_list scopes, roles;
    int64_t created_at_ns;
};

static const struct json_field name_item = {.kind = JSON_KIND_TEXT, .min = 1, .max = 64};

static const struct json_field client_fields[] = {
    {.name = "client_id",
     .kind = JSON_KIND_TEXT,
     .max = OAUTH_CLIENT_ID_CHARS_MAX,
     .offset = offsetof(struct client_reply, client_id),
     .example = "web-portal"},
    {.name = "client_name",
     .kind = JSON_KIND_TEXT,
     .max = OAUTH_CLIENT_NAME_CHARS_MAX,
     .offset = offsetof(struct client_reply, client_name),
     .example = "Retail Web Portal"},
    {.name = "scopes",
     .kind = JSON_KIND_LIST,
     .max = ITEMS_MAX,
     .item = &name_item,
     .offset = offsetof(struct client_reply, scopes),
     .about = "What its tokens may do.",
     .example = "[\"accounts:read\"]"},
    {.name = "roles",
     .kind = JSON_KIND_LIST,
     .max = ITEMS_MAX,
     .item = &name_item,
     .offset = offsetof(struct client_reply, roles),
     .about = "What it is itself, when it acts for nobody else.",
     .example = "[\"customer\"]"},
    {.name = "created_at",
     .kind = JSON_KIND_TIME,
     .offset = offsetof(struct client_reply, created_at_ns),
     .example = "2026-02-03T04:05:06Z"},
};
const struct json_schema oauth_client_schema = {.name = "OAuthClient",
                                                .about = "A program that may ask for tokens.",
                                                .fields = client_fields,
                                                .field_count = PC_COUNT(client_fields),
                                                .bytes = sizeof(struct client_reply)};

/* "a b" as a list. */
static enum err names_of(struct span text, struct arena *arena, struct json_list *ret_list)
{
    struct span *names;
    size_t room = 1, count = 0;

    for (size_t i = 0; i < text.len; i++)
        room += text.ptr[i] == ' ';
    names = arena_array(arena, room, sizeof(*names));
    if (names == NULL)
        return ERR_NO_MEMORY;
    for (struct span name; text.len > 0 && span_cut(&text, ' ', &name);)
        names[count++] = name;
    *ret_list = (struct json_list){.items = names, .count = count};
    return ERR_OK;
}

static enum err reply_of(const struct oauth_client *client, struct arena *arena,
                         struct client_reply *ret_reply)
{
    enum err err = names_of(client->scopes, arena, &ret_reply->scopes);

    ret_reply->client_id = client->client_id;
    ret_reply->client_name = client->name;
    ret_reply->created_at_ns = client->created_at_ns;
    return err ? err : names_of(client->roles, arena, &ret_reply->roles);
}

/* One more than asked for tells whether there is a next page. */
enum err oauth_clients_list(struct http_request *req)
{
    const struct http_page *page = req->input;
    struct oauth_client *clients;
    struct client_reply *items;
    size_t limit = (size_t)page->limit;
    size_t count;
    int64_t after;
    enum err err;

    err = http_page_after(req, page, &after);
    if (err)
        return err;
    err = oauth_client_list(req->store, after, limit + 1, req->arena, &clients, &count);
    if (err)
        return err;
    if (count > limit) {
        count = limit;
        http_page_link_key(req, page, clients[limit - 1].key);
    }
    items = arena_array(req->arena, count + 1, sizeof(*items));
    if (items == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        err = reply_of(&clients[i], req->arena, &items[i]);
        if (err)
            return err;
    }
    return http_reply_list(req, (struct json_list){.items = items, .count = count});
}
