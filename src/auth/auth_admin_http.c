/* SPDX-License-Identifier: MIT
 * The routes under /api/v1/admin: who the users are, and what they may do. */
#include "auth/auth_priv.h"

#include "http/http_page.h"

static const struct json_field page_fields[] = {
    HTTP_PAGE_FIELDS(HTTP_PAGE_KEY_BYTES_MAX, "100"),
};
static const struct json_schema page_schema = {.name = "UserPage",
                                               .fields = page_fields,
                                               .field_count = PC_COUNT(page_fields),
                                               .bytes = sizeof(struct http_page)};

struct user_reply {
    int64_t user_id;
    struct span username, email;
    bool is_admin, is_active;
};

static const struct json_field user_fields[] = {
    {.name = "user_id",
     .kind = JSON_KIND_I64,
     .max = INT64_MAX,
     .offset = offsetof(struct user_reply, user_id),
     .example = "2"},
    {.name = "username",
     .kind = JSON_KIND_TEXT,
     .max = AUTH_USERNAME_CHARS_MAX,
     .offset = offsetof(struct user_reply, username),
     .example = "user"},
    {.name = "email",
     .kind = JSON_KIND_TEXT,
     .max = AUTH_EMAIL_BYTES_MAX,
     .offset = offsetof(struct user_reply, email),
     .example = "user@example.com"},
    {.name = "is_admin",
     .kind = JSON_KIND_BOOL,
     .offset = offsetof(struct user_reply, is_admin),
     .example = "false"},
    {.name = "is_active",
     .kind = JSON_KIND_BOOL,
     .offset = offsetof(struct user_reply, is_active),
     .example = "true"},
};
static const struct json_schema user_schema = {.name = "User",
                                               .about = "A user and their rights.",
                                               .fields = user_fields,
                                               .field_count = PC_COUNT(user_fields),
                                               .bytes = sizeof(struct user_reply)};

struct users_reply {
    struct json_list users;
    int64_t total;
    struct span admin;
};

static const struct json_field users_fields[] = {
    {.name = "users",
     .kind = JSON_KIND_LIST,
     .max = LIMIT_PAGE_ITEMS_MAX,
     .offset = offsetof(struct users_reply, users),
     .schema = &user_schema},
    {.name = "total",
     .kind = JSON_KIND_I64,
     .max = INT64_MAX,
     .offset = offsetof(struct users_reply, total),
     .example = "3",
     .about = "Of all pages together."},
    {.name = "admin",
     .kind = JSON_KIND_TEXT,
     .max = AUTH_USERNAME_CHARS_MAX,
     .offset = offsetof(struct users_reply, admin),
     .example = "admin",
     .about = "Who asked."},
};
static const struct json_schema users_schema = {.name = "Users",
                                                .about = "One page of users, by id.",
                                                .fields = users_fields,
                                                .field_count = PC_COUNT(users_fields),
                                                .bytes = sizeof(struct users_reply)};

struct change_input {
    int64_t id;
};

static const struct json_field change_input_fields[] = {
    {.name = "id",
     .kind = JSON_KIND_I64,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct change_input, id),
     .example = "2",
     .about = "The user's id."},
};
static const struct json_schema change_input_schema = {.name = "UserId",
                                                       .fields = change_input_fields,
                                                       .field_count = PC_COUNT(change_input_fields),
                                                       .bytes = sizeof(struct change_input)};

static const struct json_field change_fields[] = {
    {.name = "is_active",
     .kind = JSON_KIND_BOOL,
     .optional = true,
     .offset = offsetof(struct auth_user_change, is_active),
     .has_offset = offsetof(struct auth_user_change, sets_active),
     .example = "false",
     .about = "False ends all sessions of the user and refuses new ones."},
    {.name = "is_admin",
     .kind = JSON_KIND_BOOL,
     .optional = true,
     .offset = offsetof(struct auth_user_change, is_admin),
     .has_offset = offsetof(struct auth_user_change, sets_admin),
     .example = "true",
     .about = "Grants or takes the administrator's rights."},
};
static const struct json_schema change_schema = {.name = "UserChange",
                                                 .about = "What is to change; the rest stays.",
                                                 .fields = change_fields,
                                                 .field_count = PC_COUNT(change_fields),
                                                 .bytes = sizeof(struct auth_user_change)};

static struct user_reply reply_of(const struct auth_user *user)
{
    return (struct user_reply){.user_id = user->id,
                               .username = user->username,
                               .email = user->email,
                               .is_admin = user->is_admin,
                               .is_active = user->is_active};
}

/* One more than asked for tells whether there is a next page. */
static enum err users_list(struct http_request *req)
{
    const struct http_page *page = req->input;
    struct users_reply reply = {.admin = req->principal->username};
    struct auth_user *users;
    struct user_reply *items;
    size_t limit = (size_t)page->limit;
    size_t count;
    int64_t after;
    enum err err;

    err = http_page_after(req, page, &after);
    if (err)
        return err;
    err = auth_user_list(req->store, after, limit + 1, req->arena, &users, &count);
    if (err)
        return err;
    err = auth_user_count(req->store, &reply.total);
    if (err)
        return err;
    items = arena_array(req->arena, count + 1, sizeof(*items));
    if (items == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        items[i] = reply_of(&users[i]);
    if (count > limit) {
        count = limit;
        http_page_link_key(req, page, users[limit - 1].id);
    }
    reply.users = (struct json_list){.items = items, .count = count};
    return http_reply(req, &reply);
}

static void change_finally(struct http_request *req, enum err err)
{
    const struct change_input *input = req->input;

    if (err == ERR_OK && input != NULL)
        http_forget_subject(http_engine_of(req), input->id);
}

static void add_change(struct sbuf *out, bool is_set, const char *name, bool value)
{
    if (is_set)
        sbuf_add_format(out, "%s%s=%s", out->len > 0 ? " " : "", name, value ? "true" : "false");
}

/* With what was asked for: "is_active=false is_admin=true". */
static enum err record_change(struct http_request *req, int64_t user_id,
                              const struct auth_user_change *change)
{
    struct auth_event event = {.event = TRAIL_USER_CHANGED, .outcome = TRAIL_DONE};
    char object[AUTH_OBJECT_BYTES_MAX];
    char reason[AUTH_OBJECT_BYTES_MAX];
    struct sbuf on = sbuf_over(object, sizeof(object));
    struct sbuf why = sbuf_over(reason, sizeof(reason));

    sbuf_add_lit(&on, "user:");
    sbuf_add_i64(&on, user_id);
    add_change(&why, change->sets_active, "is_active", change->is_active);
    add_change(&why, change->sets_admin, "is_admin", change->is_admin);
    if (why.len == 0) /* nothing was asked for, and nothing has changed */
        return ERR_OK;
    event.object = sbuf_span(&on);
    event.reason = sbuf_span(&why);
    return auth_record(req, &event);
}

static enum err user_change(struct http_request *req)
{
    const struct change_input *input = req->input;
    const struct auth *auth = http_context(req);
    struct auth_user user;
    struct user_reply reply;
    enum err err;

    http_finally(req, change_finally);
    err = auth_user_update(req->store, input->id, req->body, clock_realtime_ns(auth->options.clock),
                           req->arena, &user);
    if (!err)
        err = record_change(req, input->id, req->body);
    if (err)
        return err;
    log_info(auth->options.logger, "user_changed", LOG_I64("user_id", user.id),
             LOG_I64("by", req->principal->user_id), LOG_BOOL("is_active", user.is_active),
             LOG_BOOL("is_admin", user.is_admin), LOG_TEXT("request_id", req->request_id));
    reply = reply_of(&user);
    return http_reply(req, &reply);
}

const struct http_route auth_admin_routes[] = {
    {.method = NET_METHOD_GET,
     .path = "/api/v1/admin/users",
     .access = HTTP_ACCESS_ADMIN,
     .scopes = "admin",
     .input = &page_schema,
     .reply = &users_schema,
     .run = HTTP_RUN_READ,
     .handle = users_list,
     .id = "admin_users_list",
     .tag = "Administration",
     .summary = "List users"},
    {.method = NET_METHOD_PATCH,
     .path = "/api/v1/admin/users/{id}",
     .access = HTTP_ACCESS_ADMIN,
     .scopes = "admin",
     .input = &change_input_schema,
     .body = &change_schema,
     .body_bytes_max = 4096,
     .reply = &user_schema,
     .run = HTTP_RUN_WRITE,
     .handle = user_change,
     .id = "admin_users_change",
     .tag = "Administration",
     .summary = "Activate or deactivate a user, grant or take the administrator's rights",
     .errors = {ERR_NOT_FOUND, ERR_LAST_ADMIN}},
    {.path = NULL},
};
