/* SPDX-License-Identifier: MIT
 * POST /auth/revoke (RFC 7009) and POST /auth/introspect (RFC 7662): what a client does with a
 * token it holds, or was shown.
 *
 *   begin (LOOP) -> find, prove (READ; SIGN for an assertion) -> revoke (WRITE)
 *                                                             `-> tell (READ) [-> settle (WRITE)]
 *
 * Both answer alike whatever is wrong with the token, so that nobody learns from them what others
 * hold: "revoked", and {"active":false}. */
#include "oauth/oauth_flow_priv.h"

enum { TOKEN_BYTES_MAX = LIMIT_JWS_BYTES_MAX, OBJECT_BYTES_MAX = 128 };

/* ---- the bodies -------------------------------------------------------------------------------
 */

struct ask_body {
    struct span token, token_type_hint;
    struct oauth_shown shown;
};

static const struct json_field ask_fields[] = {
    {.name = "token",
     .kind = JSON_KIND_TEXT,
     .min = 1,
     .max = TOKEN_BYTES_MAX,
     .offset = offsetof(struct ask_body, token),
     .example = "jF2cyhGmmVPqB4Jy5mYk3k1yZ0eV0pVdP0bA3v1n2xQ",
     .about = "An access token or a refresh token."},
    {.name = "token_type_hint",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .max = 128,
     .offset = offsetof(struct ask_body, token_type_hint),
     .example = "refresh_token",
     .about = "Not needed: a token shows of which kind it is."},
    OAUTH_SHOWN_FIELDS(struct ask_body, "web-portal"),
};
const struct json_schema oauth_ask_schema = {.name = "TokenQuestion",
                                             .about = "A token, and the client that shows it.",
                                             .fields = ask_fields,
                                             .field_count = PC_COUNT(ask_fields),
                                             .bytes = sizeof(struct ask_body)};

struct revoked_reply {
    struct span status;
};

static const struct json_field revoked_fields[] = {
    {.name = "status",
     .kind = JSON_KIND_TEXT,
     .max = 16,
     .offset = offsetof(struct revoked_reply, status),
     .example = "revoked"},
};
const struct json_schema oauth_revoked_schema = {.name = "Revoked",
                                                 .about = "The token is worth nothing now.",
                                                 .fields = revoked_fields,
                                                 .field_count = PC_COUNT(revoked_fields),
                                                 .bytes = sizeof(struct revoked_reply)};

struct binding {
    struct span thumbprint;
};

static const struct json_field binding_fields[] = {
    {.name = "x5t#S256",
     .kind = JSON_KIND_TEXT,
     .max = 64,
     .offset = offsetof(struct binding, thumbprint),
     .example = "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"},
};
static const struct json_schema binding_schema = {.name = "TokenBinding",
                                                  .about = "RFC 8705, 3.2.",
                                                  .fields = binding_fields,
                                                  .field_count = PC_COUNT(binding_fields),
                                                  .bytes = sizeof(struct binding)};

struct told {
    bool active;
    struct span scope, client_id, username, token_type, sub, aud, iss, jti;
    int64_t exp, iat;
    bool has_exp, has_iat;
    struct binding cnf;
    bool has_cnf;
    struct json_list roles;
    bool has_roles;
};

static const struct json_field role_item = {
    .kind = JSON_KIND_TEXT, .max = 64, .example = "customer"};

#define TOLD_TEXT(member, sample)                                                                  \
    {                                                                                              \
        .name = #member, .kind = JSON_KIND_TEXT, .optional = true, .max = 2048,                    \
        .offset = offsetof(struct told, member), .example = (sample)                               \
    }

static const struct json_field told_fields[] = {
    {.name = "active",
     .kind = JSON_KIND_BOOL,
     .offset = offsetof(struct told, active),
     .example = "true",
     .about = "Whether the token is good here and now; if not, nothing else is told."},
    TOLD_TEXT(scope, "accounts:read"),
    TOLD_TEXT(client_id, "web-portal"),
    TOLD_TEXT(username, "user"),
    TOLD_TEXT(token_type, "bearer"),
    {.name = "exp",
     .kind = JSON_KIND_I64,
     .optional = true,
     .max = INT64_MAX,
     .offset = offsetof(struct told, exp),
     .has_offset = offsetof(struct told, has_exp),
     .example = "1769990400"},
    {.name = "iat",
     .kind = JSON_KIND_I64,
     .optional = true,
     .max = INT64_MAX,
     .offset = offsetof(struct told, iat),
     .has_offset = offsetof(struct told, has_iat),
     .example = "1769989500"},
    TOLD_TEXT(sub, "2"),
    TOLD_TEXT(aud, "portcullis-services"),
    TOLD_TEXT(iss, "https://auth-service.local"),
    TOLD_TEXT(jti, "0c5f2a5e-8f0e-4f0e-9c55-6f1c3e1b2a77"),
    {.name = "cnf",
     .kind = JSON_KIND_OBJECT,
     .optional = true,
     .schema = &binding_schema,
     .offset = offsetof(struct told, cnf),
     .has_offset = offsetof(struct told, has_cnf)},
    {.name = "roles",
     .kind = JSON_KIND_LIST,
     .optional = true,
     .max = 16,
     .item = &role_item,
     .offset = offsetof(struct told, roles),
     .has_offset = offsetof(struct told, has_roles)},
};
const struct json_schema oauth_told_schema = {.name = "TokenInformation",
                                              .about = "What a token is worth: RFC 7662, 2.2.",
                                              .fields = told_fields,
                                              .field_count = PC_COUNT(told_fields),
                                              .bytes = sizeof(struct told)};

/* ---- who asks ---------------------------------------------------------------------------------
 */

struct ask {
    struct oauth_caller caller;
    http_handler_fn *then; /* once the caller has proven itself */
    enum http_run run;     /* where we are */
    struct span token;
    int64_t now_ns;
    bool is_access; /* and a good one, by its signature and claims */
    struct oauth_access access;
    struct told told;
    int64_t forget;
};

static enum err refused(struct http_request *req)
{
    struct ask *ask = req->work;

    return oauth_caller_refused(req, &ask->caller);
}

static enum err prove(struct http_request *req)
{
    struct ask *ask = req->work;
    enum err err = oauth_caller_check(req, &ask->caller);

    if (err == ERR_OAUTH_INVALID_CLIENT)
        return http_hop(req, HTTP_RUN_WRITE, refused);
    return err ? err : ask->then(req);
}

static enum err find(struct http_request *req)
{
    struct ask *ask = req->work;
    enum err err = oauth_caller_find(req, &ask->caller);

    if (err)
        return err;
    ask->run = HTTP_RUN_READ;
    if (oauth_caller_run(&ask->caller) == HTTP_RUN_LOOP)
        return prove(req);
    ask->run = HTTP_RUN_SIGN;
    return http_hop(req, HTTP_RUN_SIGN, prove);
}

static void over(struct http_request *req, enum err err)
{
    const struct ask *ask = req->work;

    (void)err;
    if (ask->forget != 0)
        http_forget_subject(http_engine_of(req), ask->forget);
}

static enum err begin(struct http_request *req, http_handler_fn *then)
{
    const struct ask_body *body = req->body;
    struct ask *ask = arena_zero(req->arena, sizeof(*ask));
    enum err err;

    if (ask == NULL)
        return ERR_NO_MEMORY;
    ask->then = then;
    ask->token = body->token;
    ask->now_ns = clock_realtime_ns(oauth_of(req)->options.clock);
    err = oauth_caller_read(req, &body->shown, &ask->caller);
    if (!err)
        err = http_limit_client(req, ask->caller.client_id);
    if (err)
        return err;
    req->work = ask;
    http_finally(req, over);
    return http_hop(req, HTTP_RUN_READ, find);
}

/* A token with dots is signed: refresh tokens have none. */
static enum err look_at_access(struct http_request *req, struct ask *ask)
{
    enum err err;

    ask->is_access = false;
    if (span_find(ask->token, '.') == ask->token.len)
        return ERR_OK;
    err = oauth_access_verify(oauth_of(req), ask->token, ask->now_ns, req->arena, &ask->access);
    ask->is_access = err == ERR_OK;
    return err == ERR_TOKEN_INVALID || err == ERR_TOKEN_EXPIRED ? ERR_OK : err;
}

/* The row of a refresh token of this client; *ret_found false for any other text. */
static enum err look_at_refresh(struct http_request *req, const struct ask *ask,
                                struct oauth_refresh *ret_refresh, bool *ret_found)
{
    unsigned char hash[OAUTH_HASH_BYTES];
    enum err err;

    oauth_token_hash(ask->token, hash);
    err = oauth_refresh_find(req->store, hash, ask->now_ns, req->arena, ret_refresh);
    *ret_found = err == ERR_OK && ret_refresh->grant.client_key == ask->caller.client.key;
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* ---- revoke -----------------------------------------------------------------------------------
 */

static enum err record(struct http_request *req, const struct ask *ask, const char *kind,
                       struct span id)
{
    char text[OBJECT_BYTES_MAX];
    struct sbuf object = sbuf_over(text, sizeof(text));
    struct auth_event what = {.event = TRAIL_TOKEN_REVOKED,
                              .outcome = TRAIL_DONE,
                              .client_id = ask->caller.client.client_id};

    sbuf_add_text(&object, kind);
    sbuf_add(&object, id);
    what.object = sbuf_span(&object);
    return auth_record(req, &what);
}

/* This one token; the grant and its other tokens live on. */
static enum err revoke_access(struct http_request *req, struct ask *ask)
{
    const struct oauth_access *access = &ask->access;
    int64_t subject = access->user_id != 0 ? access->user_id : -ask->caller.client.key;
    int64_t until_s = access->jwt.exp_s + oauth_of(req)->options.leeway_s;
    enum err err;

    if (!span_equal(access->client_id, ask->caller.client.client_id))
        return ERR_OK;
    err = oauth_access_revoke(req->store, access->jwt.jti, subject, until_s * CLOCK_NS_PER_S,
                              ask->now_ns);
    if (err)
        return err;
    ask->forget = subject;
    return record(req, ask, "token:", access->jwt.jti);
}

/* The grant, with its access tokens: RFC 7009, 2.1. A used token says the same wish. */
static enum err revoke_refresh(struct http_request *req, struct ask *ask)
{
    struct oauth_refresh refresh = {.used = false};
    const struct oauth_grant *grant = &refresh.grant;
    bool found;
    enum err err = look_at_refresh(req, ask, &refresh, &found);

    if (err || !found || grant->is_over)
        return err;
    err = oauth_grant_end(req->store, grant->session_id, grant->user_id, "revoked", ask->now_ns);
    if (err)
        return err;
    ask->forget = grant->user_id;
    return record(req, ask, "session:", grant->session_id);
}

static enum err revoke_settle(struct http_request *req)
{
    const struct revoked_reply reply = {.status = SPAN("revoked")};
    struct ask *ask = req->work;
    enum err err = oauth_caller_settle(req, &ask->caller);

    ask->forget = 0; /* the job may run again */
    if (err == ERR_OAUTH_INVALID_CLIENT)
        return refused(req);
    if (!err)
        err = ask->is_access ? revoke_access(req, ask) : revoke_refresh(req, ask);
    return err ? err : http_reply(req, &reply);
}

static enum err revoke(struct http_request *req)
{
    enum err err = look_at_access(req, req->work);

    return err ? err : http_hop(req, HTTP_RUN_WRITE, revoke_settle);
}

enum err oauth_revoke_post(struct http_request *req)
{
    return begin(req, revoke);
}

/* ---- introspect -------------------------------------------------------------------------------
 */

static struct span id_text(int64_t id, struct arena *arena)
{
    struct sbuf out = sbuf_on(arena, 24);

    sbuf_add_i64(&out, id);
    return sbuf_span(&out);
}

/* An access token with the rights of now: whatever would refuse it as a bearer makes it inactive,
 * but for the connection it may be bound to, which is not ours to see. */
static enum err tell_access(struct http_request *req, struct ask *ask)
{
    const struct http_identity identity = oauth_identity(oauth_of(req));
    const struct oauth_access *access = &ask->access;
    struct http_principal principal = {.kind = HTTP_TOKEN_ISSUED,
                                       .user_id = access->user_id,
                                       .subject = access->jwt.sub,
                                       .session_id = access->session_id,
                                       .token_id = access->jwt.jti,
                                       .client_id = access->client_id,
                                       .scope = access->scope,
                                       .thumbprint = access->thumbprint,
                                       .issued_at_s = access->jwt.iat_s,
                                       .expires_at_s = access->jwt.exp_s};
    enum err err = identity.load(identity.context, req->store, req->arena, &principal);

    if (err)
        return err == ERR_TOKEN_REVOKED ? ERR_OK : err;
    ask->told = (struct told){.active = true,
                              .scope = principal.scope,
                              .client_id = principal.client_id,
                              .username = principal.username,
                              .token_type = SPAN("bearer"),
                              .sub = principal.subject,
                              .aud = oauth_of(req)->options.audience,
                              .iss = access->jwt.iss,
                              .jti = access->jwt.jti,
                              .exp = access->jwt.exp_s,
                              .iat = access->jwt.iat_s,
                              .has_exp = true,
                              .has_iat = true,
                              .cnf = {.thumbprint = access->thumbprint},
                              .has_cnf = access->thumbprint.len > 0,
                              .has_roles = true};
    return oauth_names_split(principal.roles, req->arena, &ask->told.roles);
}

/* A refresh token is nobody's business but its client's. */
static enum err tell_refresh(struct http_request *req, struct ask *ask)
{
    struct oauth_refresh refresh;
    const struct oauth_grant *grant = &refresh.grant;
    struct auth_user user;
    bool found;
    enum err err = look_at_refresh(req, ask, &refresh, &found);

    if (err || !found || grant->is_over || refresh.used || refresh.expires_at_ns <= ask->now_ns)
        return err;
    err = auth_user_by_id(req->store, grant->user_id, req->arena, &user);
    if (err)
        return err;
    ask->told = (struct told){.active = true,
                              .scope = grant->scope,
                              .client_id = grant->client_id,
                              .username = user.username,
                              .token_type = SPAN("refresh_token"),
                              .sub = id_text(grant->user_id, req->arena),
                              .iss = oauth_of(req)->options.issuer,
                              .exp = refresh.expires_at_ns / CLOCK_NS_PER_S,
                              .has_exp = true,
                              .cnf = {.thumbprint = grant->thumbprint},
                              .has_cnf = grant->thumbprint.len > 0,
                              .has_roles = true};
    return oauth_names_split(grant->roles, req->arena, &ask->told.roles);
}

static enum err tell_settle(struct http_request *req)
{
    struct ask *ask = req->work;
    enum err err = oauth_caller_settle(req, &ask->caller);

    if (err == ERR_OAUTH_INVALID_CLIENT)
        return refused(req);
    return err ? err : http_reply(req, &ask->told);
}

static enum err tell(struct http_request *req)
{
    struct ask *ask = req->work;
    enum err err = look_at_access(req, ask);

    ask->told = (struct told){.active = false}; /* a read may run again */
    if (!err)
        err = ask->is_access ? tell_access(req, ask) : tell_refresh(req, ask);
    if (err)
        return err;
    if (ask->caller.shown == OAUTH_METHOD_PRIVATE_KEY) /* which works once */
        return http_hop(req, HTTP_RUN_WRITE, tell_settle);
    return http_reply(req, &ask->told);
}

/* RFC 7662, 2.1: whoever may ask must prove who it is, or everybody could try tokens here. */
static enum err introspect(struct http_request *req)
{
    struct ask *ask = req->work;

    if (ask->caller.client.method == OAUTH_METHOD_NONE) {
        ask->caller.why = "a public client may not look into tokens";
        return http_hop(req, HTTP_RUN_WRITE, refused);
    }
    return ask->run == HTTP_RUN_READ ? tell(req) : http_hop(req, HTTP_RUN_READ, tell);
}

enum err oauth_introspect_post(struct http_request *req)
{
    return begin(req, introspect);
}
