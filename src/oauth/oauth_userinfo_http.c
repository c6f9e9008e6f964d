/* SPDX-License-Identifier: MIT
 * GET and POST /oauth/userinfo: what an application may know of the user whose token it holds, by
 * the scopes of that token. OpenID Connect Core 1.0, 5.3 and 5.4. */
#include "oauth/oauth_page_priv.h"

struct userinfo {
    struct span sub, preferred_username, name, email;
    int64_t updated_at;
    bool email_verified, has_email_verified, has_updated_at;
};

static const struct json_field fields[] = {
    {.name = "sub",
     .kind = JSON_KIND_TEXT,
     .max = 64,
     .offset = offsetof(struct userinfo, sub),
     .example = "2",
     .about = "The user, as in the id_token."},
    {.name = "preferred_username",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .max = AUTH_USERNAME_CHARS_MAX,
     .offset = offsetof(struct userinfo, preferred_username),
     .example = "user",
     .about = "With the scope profile."},
    {.name = "name",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .max = 256,
     .offset = offsetof(struct userinfo, name),
     .example = "Una User",
     .about = "With the scope profile, if the user gave one."},
    {.name = "updated_at",
     .kind = JSON_KIND_I64,
     .optional = true,
     .max = INT64_MAX,
     .offset = offsetof(struct userinfo, updated_at),
     .has_offset = offsetof(struct userinfo, has_updated_at),
     .example = "1769990400",
     .about = "With the scope profile: seconds since 1970."},
    {.name = "email",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .max = AUTH_EMAIL_BYTES_MAX,
     .offset = offsetof(struct userinfo, email),
     .example = "user@example.com",
     .about = "With the scope email."},
    {.name = "email_verified",
     .kind = JSON_KIND_BOOL,
     .optional = true,
     .offset = offsetof(struct userinfo, email_verified),
     .has_offset = offsetof(struct userinfo, has_email_verified),
     .example = "false",
     .about = "With the scope email: always false, since no mail was ever sent there."},
};
const struct json_schema oauth_userinfo_schema = {.name = "UserInfo",
                                                  .about = "The user whose token was sent.",
                                                  .fields = fields,
                                                  .field_count = PC_COUNT(fields),
                                                  .bytes = sizeof(struct userinfo)};

static const struct store_statement user_profile = {
    .name = "oauth_user_profile",
    .sqlite = "SELECT username, email, full_name, updated_at FROM users WHERE id = ?1"};

static enum err read_user(struct http_request *req, struct userinfo *info)
{
    struct span scope = req->principal->scope;
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(req->store, &user_profile,
                               STORE_PARAMS(STORE_I64(req->principal->user_id)), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_TOKEN_REVOKED);
    if (oauth_list_has(scope, SPAN_OF("profile"))) {
        info->preferred_username = store_rows_text(rows, 0, req->arena);
        info->name = store_rows_text(rows, 2, req->arena);
        info->updated_at = store_rows_i64(rows, 3) / CLOCK_NS_PER_S;
        info->has_updated_at = true;
    }
    if (oauth_list_has(scope, SPAN_OF("email"))) {
        info->email = store_rows_text(rows, 1, req->arena);
        info->has_email_verified = true;
    }
    return store_rows_err(rows);
}

enum err oauth_userinfo(struct http_request *req)
{
    struct userinfo info = {.sub = req->principal->subject};
    enum err err;

    if (req->principal->user_id == 0)
        return http_fail(req, ERR_FORBIDDEN, "This token speaks for no user.");
    err = read_user(req, &info);
    if (err)
        return err;
    return http_reply(req, &info);
}
