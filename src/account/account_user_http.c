/* SPDX-License-Identifier: MIT
 * POST /users and GET /users/{id}: customers, as the account service knows them. A user is made as
 * by POST /api/v1/auth/register, without being signed in:
 *
 *   hash threads: the password's policy, then its hash -> write user and event
 *
 * The contract gives no username here, so it is the part of the e-mail address before the '@';
 * where that is taken, some letters of the address's digest follow. */
#include "account/account_priv.h"

#include "crypto/digest.h"
#include "ledger/ledger_call.h"

enum { NAME_CHARS_MAX = 100, TAIL_HEX_BYTES = 4, TAIL_CHARS = 1 + 2 * TAIL_HEX_BYTES };

struct user_new {
    struct span email, full_name, password;
};

static const struct json_field new_fields[] = {
    {.name = "email",
     .kind = JSON_KIND_TEXT,
     .format = JSON_FORMAT_EMAIL,
     .offset = offsetof(struct user_new, email),
     .example = "john@example.com",
     .about = "Unique, whatever the case of its letters."},
    {.name = "full_name",
     .kind = JSON_KIND_TEXT,
     .free_text = true,
     .min = 1,
     .max = NAME_CHARS_MAX,
     .offset = offsetof(struct user_new, full_name),
     .example = "John Doe"},
    {.name = "password",
     .kind = JSON_KIND_TEXT,
     .format = JSON_FORMAT_PASSWORD,
     .min = 1,
     .offset = offsetof(struct user_new, password),
     .example = "secure_password123",
     .about =
         "At least as long as the service asks for (8 characters by default), and not one that "
         "everybody tries first."},
};
static const struct json_schema new_schema = {.name = "CustomerNew",
                                              .about = "A user to be made.",
                                              .fields = new_fields,
                                              .field_count = PC_COUNT(new_fields),
                                              .bytes = sizeof(struct user_new)};

struct user_reply {
    int64_t id;
    struct span email, full_name;
    int64_t created_at;
    struct json_list accounts;
};

static const struct json_field user_fields[] = {
    {.name = "id",
     .kind = JSON_KIND_I64,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct user_reply, id),
     .example = "2"},
    {.name = "email",
     .kind = JSON_KIND_TEXT,
     .max = AUTH_EMAIL_BYTES_MAX,
     .offset = offsetof(struct user_reply, email),
     .example = "john@example.com"},
    {.name = "full_name",
     .kind = JSON_KIND_TEXT,
     .nullable = true,
     .max = NAME_CHARS_MAX,
     .offset = offsetof(struct user_reply, full_name),
     .example = "John Doe"},
    {.name = "created_at",
     .kind = JSON_KIND_TIME,
     .offset = offsetof(struct user_reply, created_at),
     .example = "2026-02-03T04:05:06Z"},
    {.name = "accounts",
     .kind = JSON_KIND_LIST,
     .max = LIMIT_PAGE_ITEMS_MAX,
     .offset = offsetof(struct user_reply, accounts),
     .schema = &account_schema,
     .about = "The newest; all of them are in `GET /accounts?user_id=`."},
};
static const struct json_schema user_schema = {.name = "Customer",
                                               .about = "A user and their accounts.",
                                               .fields = user_fields,
                                               .field_count = PC_COUNT(user_fields),
                                               .bytes = sizeof(struct user_reply)};

static const struct json_field id_fields[] = {
    {.name = "id",
     .kind = JSON_KIND_I64,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct account_id_input, id),
     .example = "2",
     .about = "The user's id."},
};
static const struct json_schema id_schema = {.name = "CustomerId",
                                             .fields = id_fields,
                                             .field_count = PC_COUNT(id_fields),
                                             .bytes = sizeof(struct account_id_input)};

/* ---- POST /users ------------------------------------------------------------------------------
 */

struct work {
    char hash[CRYPTO_PASSWORD_HASH_BYTES];
};

/* What may stand in a username. */
static char name_char(char c)
{
    char lower = span_lower_char(c);
    bool stays = (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-';

    return stays ? c : '_';
}

/* "john.doe" of john.doe@example.com, or, with a tail, "john.doe-1f3a5b7c"; "jo" becomes "jo_". */
static enum err username_of(struct span email, bool tail, struct arena *arena,
                            struct span *ret_name)
{
    struct span local = span_slice(email, 0, span_find(email, '@'));
    struct span key = auth_key_of(email, arena);
    struct sbuf out = sbuf_on(arena, AUTH_USERNAME_CHARS_MAX);
    unsigned char digest[CRYPTO_SHA256_BYTES];

    if (key.ptr == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < local.len && out.len < AUTH_USERNAME_CHARS_MAX - TAIL_CHARS; i++)
        sbuf_add_char(&out, name_char(local.ptr[i]));
    while (out.len < AUTH_USERNAME_CHARS_MIN && !out.full)
        sbuf_add_char(&out, '_');
    crypto_sha256(key, digest);
    if (tail) {
        sbuf_add_char(&out, '-');
        sbuf_add_hex(&out, digest, TAIL_HEX_BYTES);
    }
    *ret_name = sbuf_span(&out);
    return out.full ? ERR_NO_MEMORY : ERR_OK;
}

/* An address that is taken is refused; a username that is taken is not the client's affair. */
static enum err make_user(struct http_request *req, int64_t now_ns, int64_t *ret_id)
{
    const struct user_new *body = req->body;
    const struct work *work = req->work;
    struct auth_user_new fresh = {
        .email = body->email, .full_name = body->full_name, .password_hash = span_from(work->hash)};
    const char *field = "username";
    enum err err = ERR_TAKEN;

    for (int tail = 0; tail < 2 && err == ERR_TAKEN && field[0] == 'u'; tail++) {
        err = username_of(body->email, tail > 0, req->arena, &fresh.username);
        if (!err)
            err = auth_user_create(req->store, &fresh, now_ns, req->arena, ret_id, &field);
    }
    return err == ERR_TAKEN ? http_fail(req, err, "This e-mail address is already registered.")
                            : err;
}

static enum err record_user(struct http_request *req, int64_t id)
{
    struct auth_event event = {.event = TRAIL_USER_REGISTERED, .outcome = TRAIL_DONE};
    struct sbuf object = sbuf_on(req->arena, ACCOUNT_DECIMAL_BYTES_MAX);

    sbuf_add_lit(&object, "user:");
    sbuf_add_i64(&object, id);
    if (object.full)
        return ERR_NO_MEMORY;
    event.object = sbuf_span(&object);
    return auth_record(req, &event);
}

/* The caller is the event's actor, unlike somebody who registers. */
static enum err user_store(struct http_request *req)
{
    const struct user_new *body = req->body;
    struct user_reply reply = {.email = body->email,
                               .full_name = body->full_name,
                               .created_at =
                                   clock_realtime_ns(http_engine_clock(http_engine_of(req)))};
    struct sbuf where = sbuf_on(req->arena, LIMIT_HTTP_TARGET_BYTES_MAX);
    enum err err = make_user(req, reply.created_at, &reply.id);

    if (!err)
        err = record_user(req, reply.id);
    if (err)
        return err;
    sbuf_add(&where, req->path);
    sbuf_add_char(&where, '/');
    sbuf_add_i64(&where, reply.id);
    if (where.full)
        return ERR_NO_MEMORY;
    http_reply_header(req, "Location", sbuf_span(&where));
    return http_reply(req, &reply);
}

static bool is_name(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7F)
            return false;
    }
    return span_trim(text).len > 0;
}

static enum err user_create(struct http_request *req)
{
    const struct account_service *service = http_context(req);
    const struct user_new *body = req->body;
    struct work *work = arena_zero(req->arena, sizeof(*work));
    struct span username;
    enum err err;

    account_count_scopes(req);
    if (work == NULL)
        return ERR_NO_MEMORY;
    req->work = work;
    if (!is_name(body->full_name))
        return http_fail_field(req, "full_name", "must be a name without control characters");
    err = username_of(body->email, false, req->arena, &username);
    if (!err)
        err = auth_password_new(service->auth, req, body->password, username, work->hash);
    return err ? err : http_hop(req, HTTP_RUN_WRITE, user_store);
}

/* ---- GET /users/{id} --------------------------------------------------------------------------
 */

static enum err user_get(struct http_request *req)
{
    const struct account_id_input *input = req->input;
    const struct account_filter filter = {
        .user_id = input->id, .before = INT64_MAX, .limit = LIMIT_PAGE_ITEMS_MAX};
    struct user_reply reply = {0};
    struct auth_user user = {0};
    struct account *accounts;
    size_t count;
    enum err err;

    account_count_scopes(req);
    err = auth_user_by_id(req->store, input->id, req->arena, &user);
    if (!err && !account_is_seen(req->principal, input->id))
        return ledger_not_owner(req, "user:", input->id);
    if (!err)
        err = account_list(req->store, &filter, req->arena, &accounts, &count);
    if (!err)
        err = account_replies_of(accounts, count, req->arena, &reply.accounts);
    if (err)
        return err;
    reply.id = user.id;
    reply.email = user.email;
    reply.full_name = user.full_name;
    reply.created_at = user.created_at_ns;
    return http_reply(req, &reply);
}

const struct http_route account_user_routes[] = {
    {.method = NET_METHOD_POST,
     .path = "/users",
     .access = HTTP_ACCESS_BEARER,
     .scopes = "accounts:write",
     .per_minute = 10,
     .body = &new_schema,
     .body_bytes_max = 8192,
     .reply = &user_schema,
     .reply_status = 201,
     .run = HTTP_RUN_HASH,
     .handle = user_create,
     .id = "users_create",
     .tag = "Users",
     .summary = "Make a user",
     .about = "As by registering, without being signed in. The username comes from the address.",
     .errors = {ERR_TAKEN}},
    {.method = NET_METHOD_GET,
     .path = "/users/{id}",
     .access = HTTP_ACCESS_BEARER,
     .scopes = "accounts:read",
     .per_minute = 30,
     .input = &id_schema,
     .reply = &user_schema,
     .run = HTTP_RUN_READ,
     .handle = user_get,
     .id = "users_get",
     .tag = "Users",
     .summary = "A user with their accounts",
     .about = "Oneself; everybody by the roles payments, risk, auditor and admin.",
     .errors = {ERR_NOT_FOUND}},
    {.path = NULL},
};
