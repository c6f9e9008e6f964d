/* SPDX-License-Identifier: MIT
 * GET /auth/clients: which programs may ask for tokens, for auditors. Page by page, as a plain
 * array. */
#include "oauth/oauth_priv.h"

enum { ITEMS_MAX = 64 }; /* of one client's scopes or roles */

struct page {
    int64_t limit;
    struct span cursor;
};

static const struct json_field page_fields[] = {
    {.name = "limit",
     .kind = JSON_KIND_I64,
     .optional = true,
     .min = 1,
     .max = LIMIT_PAGE_ITEMS_MAX,
     .offset = offsetof(struct page, limit),
     .fallback = "100",
     .about = "How many at most.",
     .example = "100"},
    {.name = "cursor",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .min = 1,
     .max = 20,
     .offset = offsetof(struct page, cursor),
     .about = "Where the next page begins: as in the Link header of the one before.",
     .example = "100"},
};
const struct json_schema oauth_clients_page_schema = {.name = "OAuthClientPage",
                                                      .fields = page_fields,
                                                      .field_count = PC_COUNT(page_fields),
                                                      .bytes = sizeof(struct page)};

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

static void add_link(struct http_request *req, int64_t limit, int64_t last_key)
{
    char text[160];
    struct sbuf link = sbuf_over(text, sizeof(text));

    sbuf_add_format(&link, "<%s?limit=%lld&cursor=%lld>; rel=\"next\"", req->route->path,
                    (long long)limit, (long long)last_key);
    http_reply_header(req, "Link", sbuf_span(&link));
}

/* One more than asked for tells whether there is a next page. */
enum err oauth_clients_list(struct http_request *req)
{
    const struct page *page = req->input;
    struct oauth_client *clients;
    struct client_reply *items;
    size_t limit = (size_t)page->limit;
    size_t count;
    int64_t after = 0;
    enum err err;

    if (page->cursor.len > 0 && !span_to_i64(page->cursor, &after))
        return http_fail_field(req, "cursor", "is not one that this service gave out");
    err = oauth_client_list(req->store, after, limit + 1, req->arena, &clients, &count);
    if (err)
        return err;
    if (count > limit) {
        count = limit;
        add_link(req, page->limit, clients[limit - 1].key);
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
