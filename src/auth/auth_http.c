/* SPDX-License-Identifier: MIT
 * The routes under /api/v1/auth. Each that needs the store or a password hash walks over several
 * stops, so that no loop waits and no store thread hashes:
 *
 *   login     read the user -> hash threads: verify -> write the session, or the refusal
 *   register  hash threads: hash -> write user and session -> sign
 *   refresh   read the token -> sign the next pair -> write the rotation
 *   logout    write
 *
 * Who refreshes waits behind no password: signing has threads of its own, or none where it is
 * quick. */
#include "auth/auth_priv.h"

#include <string.h>

#include "base/alloc.h"
#include "crypto/digest.h"
#include "crypto/seal.h"

/* ---- bodies and replies -----------------------------------------------------------------------
 */

struct register_body {
    struct span username, email, password;
};

static const struct json_field register_fields[] = {
    {.name = "username",
     .kind = JSON_KIND_TEXT,
     .format = JSON_FORMAT_USERNAME,
     .min = AUTH_USERNAME_CHARS_MIN,
     .max = AUTH_USERNAME_CHARS_MAX,
     .offset = offsetof(struct register_body, username),
     .example = "john_doe",
     .about = "Unique; letters, digits, '.', '_' and '-'."},
    {.name = "email",
     .kind = JSON_KIND_TEXT,
     .format = JSON_FORMAT_EMAIL,
     .offset = offsetof(struct register_body, email),
     .example = "john@example.com",
     .about = "Unique, whatever the case of its letters."},
    {.name = "password",
     .kind = JSON_KIND_TEXT,
     .format = JSON_FORMAT_PASSWORD,
     .min = 1,
     .offset = offsetof(struct register_body, password),
     .example = "secure_password123",
     .about = "At least as long as the service asks for (8 characters by default), and not "
              "one that everybody tries first."},
};
static const struct json_schema register_schema = {.name = "Registration",
                                                   .about = "A new user.",
                                                   .fields = register_fields,
                                                   .field_count = PC_COUNT(register_fields),
                                                   .bytes = sizeof(struct register_body)};

struct login_body {
    struct span email, password;
};

static const struct json_field login_fields[] = {
    {.name = "email",
     .kind = JSON_KIND_TEXT,
     .format = JSON_FORMAT_EMAIL,
     .offset = offsetof(struct login_body, email),
     .example = "user@example.com"},
    {.name = "password",
     .kind = JSON_KIND_TEXT,
     .format = JSON_FORMAT_PASSWORD,
     .min = 1,
     .offset = offsetof(struct login_body, password),
     .example = "user123"},
};
static const struct json_schema login_schema = {.name = "Login",
                                                .about = "Who logs in.",
                                                .fields = login_fields,
                                                .field_count = PC_COUNT(login_fields),
                                                .bytes = sizeof(struct login_body)};

struct refresh_body {
    struct span refresh_token;
};

static const struct json_field refresh_fields[] = {
    {.name = "refresh_token",
     .kind = JSON_KIND_TEXT,
     .min = 1,
     .max = LIMIT_JWS_BYTES_MAX,
     .offset = offsetof(struct refresh_body, refresh_token),
     .example = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.c2lnbmF0dXJl",
     .about = "The newest refresh_token of the session; each may be used once."},
};
static const struct json_schema refresh_schema = {.name = "Refresh",
                                                  .about = "Asks for the next token pair.",
                                                  .fields = refresh_fields,
                                                  .field_count = PC_COUNT(refresh_fields),
                                                  .bytes = sizeof(struct refresh_body)};

static const struct json_field pair_fields[] = {
    {.name = "access_token",
     .kind = JSON_KIND_TEXT,
     .max = LIMIT_JWS_BYTES_MAX,
     .offset = offsetof(struct auth_pair, access_token),
     .example = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.c2lnbmF0dXJl",
     .about = "Goes into \"Authorization: Bearer\"."},
    {.name = "refresh_token",
     .kind = JSON_KIND_TEXT,
     .max = LIMIT_JWS_BYTES_MAX,
     .offset = offsetof(struct auth_pair, refresh_token),
     .example = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.c2lnbmF0dXJl",
     .about = "Good for one POST /api/v1/auth/refresh."},
    {.name = "token_type",
     .kind = JSON_KIND_TEXT,
     .max = 6,
     .offset = offsetof(struct auth_pair, token_type),
     .example = "bearer"},
    {.name = "expires_in",
     .kind = JSON_KIND_I64,
     .max = INT64_C(1) << 32,
     .offset = offsetof(struct auth_pair, expires_in),
     .example = "1800",
     .about = "Seconds the access token lives."},
};
const struct json_schema auth_pair_schema = {.name = "TokenPair",
                                             .about = "An access token and a refresh token.",
                                             .fields = pair_fields,
                                             .field_count = PC_COUNT(pair_fields),
                                             .bytes = sizeof(struct auth_pair)};

struct profile {
    int64_t user_id;
    struct span username, email;
    bool is_admin;
};

static const struct json_field profile_fields[] = {
    {.name = "user_id",
     .kind = JSON_KIND_I64,
     .max = INT64_MAX,
     .offset = offsetof(struct profile, user_id),
     .example = "2"},
    {.name = "username",
     .kind = JSON_KIND_TEXT,
     .max = AUTH_USERNAME_CHARS_MAX,
     .offset = offsetof(struct profile, username),
     .example = "user"},
    {.name = "email",
     .kind = JSON_KIND_TEXT,
     .max = AUTH_EMAIL_BYTES_MAX,
     .offset = offsetof(struct profile, email),
     .example = "user@example.com"},
    {.name = "is_admin",
     .kind = JSON_KIND_BOOL,
     .offset = offsetof(struct profile, is_admin),
     .example = "false"},
};
static const struct json_schema profile_schema = {.name = "Profile",
                                                  .about = "The user whose token was sent.",
                                                  .fields = profile_fields,
                                                  .field_count = PC_COUNT(profile_fields),
                                                  .bytes = sizeof(struct profile)};

struct goodbye {
    struct span message;
    int64_t user_id;
};

static const struct json_field goodbye_fields[] = {
    {.name = "message",
     .kind = JSON_KIND_TEXT,
     .max = 64,
     .offset = offsetof(struct goodbye, message),
     .example = "Successfully logged out"},
    {.name = "user_id",
     .kind = JSON_KIND_I64,
     .max = INT64_MAX,
     .offset = offsetof(struct goodbye, user_id),
     .example = "2"},
};
static const struct json_schema goodbye_schema = {.name = "LoggedOut",
                                                  .about = "The session is over.",
                                                  .fields = goodbye_fields,
                                                  .field_count = PC_COUNT(goodbye_fields),
                                                  .bytes = sizeof(struct goodbye)};

/* ---- what the stops of one request share ------------------------------------------------------
 */

struct work {
    struct auth_user user;
    struct auth_user_new fresh; /* register */
    struct auth_pair_ids ids;
    struct auth_pair pair;
    struct auth_login login;
    enum err refused; /* login: why */
    int64_t now_ns;
    char hash[CRYPTO_PASSWORD_HASH_BYTES]; /* register */
    struct auth_refresh_claims claims;
    struct auth_refresh refresh;
    struct span sealed;
    int64_t changed_user; /* whose caches must forget */
};

static struct auth *auth_of(const struct http_request *req)
{
    return http_context(req);
}

static enum err work_begin(struct http_request *req, struct work **ret_work)
{
    struct auth *auth = auth_of(req);
    struct work *work = arena_zero(req->arena, sizeof(*work));

    if (work == NULL)
        return ERR_NO_MEMORY;
    work->now_ns = clock_realtime_ns(auth->options.clock);
    random_uuid(auth->options.random, work->ids.session);
    random_uuid(auth->options.random, work->ids.access);
    random_uuid(auth->options.random, work->ids.refresh);
    req->work = work;
    *ret_work = work;
    return ERR_OK;
}

static enum err sign_pair(struct http_request *req, struct work *work)
{
    return auth_pair_sign(auth_of(req), &work->user, &work->ids, work->now_ns / CLOCK_NS_PER_S,
                          req->arena, &work->pair);
}

static enum err reply_pair(struct http_request *req)
{
    struct work *work = req->work;

    return http_reply(req, &work->pair);
}

static void log_user(const struct http_request *req, const char *event, int64_t user_id)
{
    log_info(auth_of(req)->options.logger, event, LOG_I64("user_id", user_id),
             LOG_TEXT("client", req->address), LOG_TEXT("request_id", req->request_id));
}

/* ---- register ---------------------------------------------------------------------------------
 */

static enum err register_sign(struct http_request *req)
{
    struct work *work = req->work;
    enum err err = sign_pair(req, work);

    if (err)
        return err;
    log_user(req, "user_registered", work->user.id);
    return http_reply(req, &work->pair);
}

static enum err register_store(struct http_request *req)
{
    struct work *work = req->work;
    const char *field;
    int64_t id;
    enum err err =
        auth_user_create(req->store, &work->fresh, work->now_ns, req->arena, &id, &field);

    if (err == ERR_TAKEN)
        return http_fail(req, err,
                         field[0] == 'e' ? "This e-mail address is already registered."
                                         : "This username is already taken.");
    if (err)
        return err;
    work->user = (struct auth_user){
        .id = id, .username = work->fresh.username, .email = work->fresh.email, .is_active = true};
    err = auth_session_open(req->store, id, &work->ids, req->address, work->now_ns,
                            auth_of(req)->options.refresh_s);
    if (!err)
        err = auth_record_on(req, TRAIL_USER_REGISTERED, id,
                             "session:", span_make(work->ids.session, AUTH_ID_BYTES), NULL);
    if (err)
        return err;
    return http_hop(req, auth_sign_run(auth_of(req)), register_sign);
}

enum err auth_password_new(const struct auth *auth, struct http_request *req, struct span password,
                           struct span username, char ret_hash[CRYPTO_PASSWORD_HASH_BYTES])
{
    const struct auth_options *options = &auth->options;
    const char *why;
    enum err err;

    if (span_utf8_length(password) < options->password_chars_min)
        return http_fail_field(req, "password", "is too short");
    err = crypto_password_common_check(options->password_common, password, username, &why);
    if (err)
        return err == ERR_VALIDATION ? http_fail_field(req, "password", why) : err;
    err = crypto_password_hash(&options->policy, options->random, password, ret_hash);
    return err == ERR_VALIDATION ? http_fail_field(req, "password", "is too long") : err;
}

static enum err register_user(struct http_request *req)
{
    const struct register_body *body = req->body;
    struct work *work;
    enum err err = work_begin(req, &work);

    if (!err)
        err = auth_password_new(auth_of(req), req, body->password, body->username, work->hash);
    if (err)
        return err;
    work->fresh = (struct auth_user_new){
        .username = body->username, .email = body->email, .password_hash = span_from(work->hash)};
    return http_hop(req, HTTP_RUN_WRITE, register_store);
}

/* ---- login ------------------------------------------------------------------------------------
 */

/* Every attempt that was let in is ended here, whatever became of it. */
static void login_finally(struct http_request *req, enum err err)
{
    struct work *work = req->work;

    if (work != NULL)
        auth_login_over(auth_of(req), req, &work->login, err);
}

/* The refusal is recorded, which must be kept though the answer is an error. */
static enum err login_refuse(struct http_request *req)
{
    struct work *work = req->work;
    enum err err =
        auth_login_refused(auth_of(req), req, &work->login, (struct span){0}, work->refused);

    return err ? err : http_refuse(req, work->refused);
}

static bool is_refusal(enum err err)
{
    return err == ERR_CREDENTIALS || err == ERR_INACTIVE || err == ERR_LOCKED;
}

static enum err login_refused(struct http_request *req, enum err err)
{
    struct work *work = req->work;

    if (!is_refusal(err))
        return err;
    work->refused = err;
    return http_hop(req, HTTP_RUN_WRITE, login_refuse);
}

static enum err login_store(struct http_request *req)
{
    struct auth *auth = auth_of(req);
    struct work *work = req->work;
    enum err err = auth_login_settle(auth, req, &work->login);

    if (is_refusal(err)) {
        work->refused = err;
        return login_refuse(req);
    }
    if (err)
        return err;
    err = auth_session_open(req->store, work->user.id, &work->ids, req->address, work->now_ns,
                            auth->options.refresh_s);
    if (!err)
        err = auth_record_on(req, TRAIL_LOGIN, work->user.id,
                             "session:", span_make(work->ids.session, AUTH_ID_BYTES), NULL);
    if (err)
        return err;
    log_user(req, "user_logged_in", work->user.id);
    return reply_pair(req);
}

static enum err login_verify(struct http_request *req)
{
    struct work *work = req->work;
    enum err err = auth_login_verify(auth_of(req), req, &work->login);

    if (err)
        return login_refused(req, err);
    work->user = work->login.user;
    err = sign_pair(req, work);
    if (err)
        return err;
    return http_hop(req, HTTP_RUN_WRITE, login_store);
}

static enum err login(struct http_request *req)
{
    const struct login_body *body = req->body;
    struct work *work;
    enum err err = work_begin(req, &work);

    if (err)
        return err;
    http_finally(req, login_finally);
    work->login = (struct auth_login){.email = body->email, .password = body->password};
    err = auth_login_look(auth_of(req), req, &work->login);
    if (err)
        return login_refused(req, err);
    return http_hop(req, HTTP_RUN_HASH, login_verify);
}

/* ---- refresh ----------------------------------------------------------------------------------
 */

static void seal_key(struct span token, unsigned char key[CRYPTO_SEAL_KEY_BYTES])
{
    const struct span pieces[] = {SPAN("portcullis refresh grace"), token};
    unsigned char digest[CRYPTO_HASH_BYTES_MAX];

    crypto_digest_pieces(CRYPTO_SHA256, pieces, PC_COUNT(pieces), digest);
    memcpy(key, digest, CRYPTO_SEAL_KEY_BYTES);
}

/* The pair rests in the store only sealed, and only whoever holds the used token can open it. */
static enum err seal_pair(struct http_request *req, struct work *work)
{
    const struct refresh_body *body = req->body;
    unsigned char key[CRYPTO_SEAL_KEY_BYTES];
    struct sbuf plain = sbuf_on(req->arena, 2 * LIMIT_JWS_BYTES_MAX);
    enum err err;

    sbuf_add(&plain, work->pair.access_token);
    sbuf_add_char(&plain, ' ');
    sbuf_add(&plain, work->pair.refresh_token);
    if (plain.full)
        return ERR_NO_SPACE;
    seal_key(body->refresh_token, key);
    err = crypto_seal(key, sbuf_span(&plain), auth_of(req)->options.random, req->arena,
                      &work->sealed);
    alloc_wipe(key, sizeof(key));
    return err;
}

static enum err answer_again(struct http_request *req, struct span sealed)
{
    const struct refresh_body *body = req->body;
    /* Not work->pair: what was signed stays, in case this is rolled back and we are first then. */
    struct auth_pair pair = {.token_type = SPAN("bearer"),
                             .expires_in = auth_of(req)->options.access_s};
    unsigned char key[CRYPTO_SEAL_KEY_BYTES];
    struct span plain;
    enum err err;

    seal_key(body->refresh_token, key);
    err = crypto_unseal(key, sealed, req->arena, &plain);
    alloc_wipe(key, sizeof(key));
    if (err)
        return err == ERR_KEY ? ERR_TOKEN_INVALID : err;
    if (!span_cut(&plain, ' ', &pair.access_token))
        return ERR_TOKEN_INVALID;
    pair.refresh_token = plain;
    return http_reply(req, &pair);
}

static void forget_finally(struct http_request *req, enum err err)
{
    struct work *work = req->work;

    (void)err;
    if (work != NULL && work->changed_user != 0)
        http_forget_subject(http_engine_of(req), work->changed_user);
}

/* A used token has come again: its session ends, which must be kept though the answer is 401. */
static enum err reuse(struct http_request *req)
{
    struct work *work = req->work;
    enum err err = auth_session_end(req->store, work->claims.session_id, work->refresh.user.id,
                                    "reuse", work->now_ns);

    if (!err)
        err =
            auth_record_on(req, TRAIL_TOKEN_REUSED, work->refresh.user.id,
                           "session:", work->claims.session_id, "a used refresh token came again");
    if (err)
        return err;
    work->changed_user = work->refresh.user.id;
    log_user(req, "refresh_token_reused", work->refresh.user.id);
    return http_refuse(req, ERR_TOKEN_REVOKED);
}

/* What a refresh token is worth now. ERR_OK: not used yet. ERR_CONFLICT: used, but in its grace.
 * ERR_TOKEN_REVOKED with ->used set: reuse. */
static enum err judge(const struct work *work, const struct auth_refresh *refresh)
{
    if (refresh->session_over || !refresh->user.is_active)
        return ERR_TOKEN_REVOKED;
    if (refresh->expires_at_ns <= work->now_ns)
        return ERR_TOKEN_EXPIRED;
    if (!refresh->used)
        return ERR_OK;
    return work->now_ns < refresh->grace_until_ns && refresh->sealed_pair.len > 0
               ? ERR_CONFLICT
               : ERR_TOKEN_REVOKED;
}

static enum err look(struct http_request *req, enum err *ret_worth)
{
    struct work *work = req->work;
    enum err err = auth_refresh_find(req->store, work->claims.token_id, work->claims.session_id,
                                     req->arena, &work->refresh);

    if (err)
        return err;
    if (work->refresh.user.id != work->claims.user_id)
        return ERR_TOKEN_INVALID;
    *ret_worth = judge(work, &work->refresh);
    return ERR_OK;
}

static enum err refresh_store(struct http_request *req)
{
    const struct auth_options *options = &auth_of(req)->options;
    struct work *work = req->work;
    enum err worth;
    enum err err = look(req, &worth); /* again: the world has moved since we read it */

    if (err)
        return err;
    if (worth == ERR_CONFLICT)
        return answer_again(req, work->refresh.sealed_pair);
    if (worth == ERR_TOKEN_REVOKED && work->refresh.used && !work->refresh.session_over)
        return reuse(req);
    if (worth)
        return worth;
    err = auth_refresh_use(req->store, work->claims.token_id, work->claims.session_id, &work->ids,
                           work->sealed, work->now_ns, options->grace_s, options->refresh_s);
    if (err == ERR_CONFLICT)
        return ERR_STORE_RETRY;
    if (!err)
        err = auth_record_on(req, TRAIL_TOKEN_REFRESHED, work->user.id,
                             "session:", work->claims.session_id, NULL);
    if (err)
        return err;
    return reply_pair(req);
}

static enum err refresh_sign(struct http_request *req)
{
    struct work *work = req->work;
    enum err err;

    work->user = work->refresh.user;
    memcpy(work->ids.session, work->claims.session_id.ptr, AUTH_ID_BYTES);
    err = sign_pair(req, work);
    if (err)
        return err;
    err = seal_pair(req, work);
    if (err)
        return err;
    return http_hop(req, HTTP_RUN_WRITE, refresh_store);
}

static enum err refresh_look(struct http_request *req)
{
    struct work *work = req->work;
    enum err worth;
    enum err err = look(req, &worth);

    if (err)
        return err;
    if (worth == ERR_CONFLICT)
        return answer_again(req, work->refresh.sealed_pair);
    if (worth == ERR_TOKEN_REVOKED && work->refresh.used && !work->refresh.session_over)
        return http_hop(req, HTTP_RUN_WRITE, refresh_store);
    if (worth)
        return worth;
    return http_hop(req, auth_sign_run(auth_of(req)), refresh_sign);
}

static enum err refresh(struct http_request *req)
{
    const struct refresh_body *body = req->body;
    struct work *work;
    enum err err = work_begin(req, &work);

    if (err)
        return err;
    http_finally(req, forget_finally);
    err = auth_refresh_verify(auth_of(req), body->refresh_token, work->now_ns / CLOCK_NS_PER_S,
                              req->arena, &work->claims);
    if (err)
        return err;
    if (work->claims.session_id.len != AUTH_ID_BYTES)
        return ERR_TOKEN_INVALID;
    return http_hop(req, HTTP_RUN_READ, refresh_look);
}

/* ---- me, logout -------------------------------------------------------------------------------
 */

/* A client's own token speaks for nobody. */
static enum err profile(struct http_request *req)
{
    struct profile reply = {.user_id = req->principal->user_id,
                            .username = req->principal->username,
                            .email = req->principal->email,
                            .is_admin = req->principal->is_admin};

    if (reply.user_id == 0)
        return http_fail(req, ERR_FORBIDDEN, "This token speaks for a client, not for a user.");
    return http_reply(req, &reply);
}

static enum err logout(struct http_request *req)
{
    struct goodbye reply = {.message = SPAN("Successfully logged out"),
                            .user_id = req->principal->user_id};
    struct work *work;
    enum err err = work_begin(req, &work);

    if (err)
        return err;
    http_finally(req, forget_finally);
    err = auth_session_end(req->store, req->principal->session_id, req->principal->user_id,
                           "logout", work->now_ns);
    if (!err)
        err = auth_record_on(req, TRAIL_LOGOUT, 0, "session:", req->principal->session_id, NULL);
    if (err)
        return err;
    work->changed_user = req->principal->user_id;
    log_user(req, "user_logged_out", req->principal->user_id);
    return http_reply(req, &reply);
}

const struct http_route auth_routes[] = {
    {.method = NET_METHOD_POST,
     .path = "/api/v1/auth/register",
     .access = HTTP_ACCESS_OPEN,
     .body = &register_schema,
     .body_bytes_max = 8192,
     .reply = &auth_pair_schema,
     .reply_status = 201,
     .run = HTTP_RUN_HASH,
     .handle = register_user,
     .id = "auth_register",
     .tag = "Authentication",
     .summary = "Register a new user",
     .about = "Makes a user and logs in.",
     .errors = {ERR_TAKEN}},
    {.method = NET_METHOD_POST,
     .path = "/api/v1/auth/login",
     .access = HTTP_ACCESS_OPEN,
     .body = &login_schema,
     .body_bytes_max = 8192,
     .reply = &auth_pair_schema,
     .run = HTTP_RUN_READ,
     .handle = login,
     .id = "auth_login",
     .tag = "Authentication",
     .summary = "Log in",
     .about = "Opens a session. After several failures from one address the next attempt has to "
              "wait; see Retry-After.",
     .errors = {ERR_CREDENTIALS, ERR_INACTIVE, ERR_LOCKED}},
    {.method = NET_METHOD_POST,
     .path = "/api/v1/auth/refresh",
     .access = HTTP_ACCESS_OPEN,
     .body = &refresh_schema,
     .body_bytes_max = 16384,
     .reply = &auth_pair_schema,
     .run = HTTP_RUN_LOOP,
     .handle = refresh,
     .id = "auth_refresh",
     .tag = "Authentication",
     .summary = "Exchange a refresh token for the next pair",
     .about = "Each refresh token works once. Sent again within a few seconds, the same pair is "
              "answered again, so that a lost reply does no harm; sent again later, the whole "
              "session ends, since someone else must have it.",
     .errors = {ERR_TOKEN_INVALID, ERR_TOKEN_EXPIRED, ERR_TOKEN_REVOKED}},
    {.method = NET_METHOD_GET,
     .path = "/api/v1/auth/me",
     .access = HTTP_ACCESS_BEARER,
     .scopes = "profile",
     .reply = &profile_schema,
     .run = HTTP_RUN_LOOP,
     .handle = profile,
     .id = "auth_me",
     .tag = "Authentication",
     .summary = "Who am I?"},
    {.method = NET_METHOD_POST,
     .path = "/api/v1/auth/logout",
     .access = HTTP_ACCESS_BEARER,
     .reply = &goodbye_schema,
     .run = HTTP_RUN_WRITE,
     .handle = logout,
     .id = "auth_logout",
     .tag = "Authentication",
     .summary = "End this session",
     .about = "Its access and refresh tokens stop working at once."},
    {.method = NET_METHOD_GET,
     .path = "/api/v1/users/profile",
     .access = HTTP_ACCESS_BEARER,
     .scopes = "profile",
     .reply = &profile_schema,
     .run = HTTP_RUN_LOOP,
     .handle = profile,
     .id = "users_profile",
     .tag = "Users",
     .summary = "My profile"},
    {.path = NULL},
};
