/* SPDX-License-Identifier: MIT
 * POST /auth/token: RFC 6749, 4 and 5. The grants are a table of flows (oauth_flow_priv.h); the
 * refresh token's is in oauth_refresh_http.c, since POST /auth/refresh is the same in JSON. */
#include "oauth/oauth_flow_priv.h"

#include "crypto/digest.h"

enum { VERIFIER_BYTES_MIN = 43, VERIFIER_BYTES_MAX = 128, TEXT_BYTES_MAX = 2048 };

/* ---- the form ---------------------------------------------------------------------------------
 */

struct token_form {
    struct span grant_type, scope;
    struct oauth_shown shown;
    struct span username, password;
    struct span code, redirect_uri, code_verifier;
    struct span refresh_token;
};

static const struct json_field token_fields[] = {
    {.name = "grant_type",
     .kind = JSON_KIND_TEXT,
     .max = 128,
     .offset = offsetof(struct token_form, grant_type),
     .example = "client_credentials",
     .about = "client_credentials, authorization_code, refresh_token or password."},
    OAUTH_SHOWN_FIELDS(struct token_form, "payments-gateway"),
    {.name = "scope",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .max = TEXT_BYTES_MAX,
     .offset = offsetof(struct token_form, scope),
     .example = "transactions:read",
     .about = "Left out: all that the client may have, but openid and offline_access."},
    {.name = "username",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .max = AUTH_EMAIL_BYTES_MAX,
     .offset = offsetof(struct token_form, username),
     .example = "user@example.com",
     .about = "password: the user's e-mail address."},
    {.name = "password",
     .kind = JSON_KIND_TEXT,
     .format = JSON_FORMAT_PASSWORD,
     .optional = true,
     .offset = offsetof(struct token_form, password),
     .about = "password: the user's password."},
    {.name = "code",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .max = TEXT_BYTES_MAX,
     .offset = offsetof(struct token_form, code),
     .about = "authorization_code: what the redirect brought."},
    {.name = "redirect_uri",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .max = TEXT_BYTES_MAX,
     .offset = offsetof(struct token_form, redirect_uri),
     .example = "http://localhost:3000/callback",
     .about = "authorization_code: the same as in the authorization request."},
    {.name = "code_verifier",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .max = TEXT_BYTES_MAX,
     .offset = offsetof(struct token_form, code_verifier),
     .about = "authorization_code: RFC 7636, 4.1."},
    {.name = "refresh_token",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .max = TEXT_BYTES_MAX,
     .offset = offsetof(struct token_form, refresh_token),
     .about = "refresh_token: the newest one of the grant."},
};
const struct json_schema oauth_token_schema = {.name = "TokenRequest",
                                               .about = "Asks for tokens.",
                                               .fields = token_fields,
                                               .field_count = PC_COUNT(token_fields),
                                               .bytes = sizeof(struct token_form)};

/* ---- client_credentials -----------------------------------------------------------------------
 */

static enum err machine_judge(struct http_request *req, struct oauth_flow *flow)
{
    const struct oauth_client *client = &flow->caller.client;
    enum err err;

    if (client->method == OAUTH_METHOD_NONE) /* anybody may say its name: RFC 6749, 4.4 */
        return oauth_flow_no(flow, ERR_OAUTH_UNAUTHORIZED_CLIENT,
                             "A public client has no credentials.");
    err = oauth_flow_scope_alone(req, flow);
    if (err)
        return err;
    flow->subject.roles = client->roles;
    flow->subject.thumbprint = client->is_bound ? flow->caller.thumbprint : (struct span){0};
    flow->subject.access_s = oauth_flow_access_s(req, flow);
    return ERR_OK;
}

static enum err machine_settle(struct http_request *req, struct oauth_flow *flow)
{
    (void)req;
    (void)flow;
    return ERR_OK; /* the client is all there is to it */
}

/* ---- password ---------------------------------------------------------------------------------
 */

static enum err password_look(struct http_request *req, struct oauth_flow *flow)
{
    struct auth *auth = oauth_of(req)->options.auth;
    enum err err;

    /* A read that runs again is no second guess. */
    auth_login_over(auth, req, &flow->login, ERR_STORE_RETRY);
    err = auth_login_look(auth, req, &flow->login);
    if (err || !flow->login.found)
        return err;
    return auth_roles_of_user(req->store, flow->login.user.id, req->arena, &flow->roles);
}

static enum err password_judge(struct http_request *req, struct oauth_flow *flow)
{
    enum err err = oauth_flow_scope(req, flow, flow->roles);

    if (err)
        return err;
    flow->subject.roles = flow->roles;
    flow->subject.auth_at_s = flow->now_ns / CLOCK_NS_PER_S;
    oauth_flow_grant(req, flow, flow->login.user.id);
    return ERR_OK;
}

static enum err password_settle(struct http_request *req, struct oauth_flow *flow)
{
    enum err err = auth_login_settle(oauth_of(req)->options.auth, req, &flow->login);

    if (err || flow->refused)
        return err;
    return oauth_grant_open(req->store, &flow->grant, flow->refreshes ? flow->next_hash : NULL,
                            flow->now_ns);
}

/* ---- authorization_code -----------------------------------------------------------------------
 */

static enum err code_look(struct http_request *req, struct oauth_flow *flow)
{
    enum err err;

    oauth_token_hash(flow->code, flow->hash);
    err = oauth_code_find(req->store, flow->hash, req->arena, &flow->code_row);
    flow->found = err == ERR_OK;
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* RFC 7636, 4.1: ALPHA / DIGIT / "-" / "." / "_" / "~" */
static bool is_verifier(struct span text)
{
    if (text.len < VERIFIER_BYTES_MIN || text.len > VERIFIER_BYTES_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = span_lower_char(text.ptr[i]);

        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_' &&
            c != '~')
            return false;
    }
    return true;
}

/* RFC 7636, 4.6 */
static bool verifier_fits(struct span verifier, struct span challenge)
{
    unsigned char digest[CRYPTO_SHA256_BYTES];
    char text[64];
    struct sbuf out = sbuf_over(text, sizeof(text));

    crypto_sha256(verifier, digest);
    crypto_base64url_add(&out, span_make(digest, sizeof(digest)));
    return span_equal_secret(sbuf_span(&out), challenge);
}

/* The address and the proof that came with a code, which is the right client's. */
static bool code_is_right(const struct oauth_flow *flow)
{
    const struct oauth_code *code = &flow->code_row;

    return span_equal(flow->redirect_uri, code->redirect_uri) && is_verifier(flow->verifier) &&
           verifier_fits(flow->verifier, code->challenge);
}

static bool code_is_ours(const struct oauth_flow *flow)
{
    return flow->found && flow->code_row.client_key == flow->caller.client.key;
}

static enum err refuse_code(struct oauth_flow *flow, const char *why)
{
    return oauth_flow_no(flow, ERR_OAUTH_INVALID_GRANT, why);
}

static enum err code_judge(struct http_request *req, struct oauth_flow *flow)
{
    const struct oauth_code *code = &flow->code_row;
    enum err err;

    if (!code_is_ours(flow))
        return refuse_code(flow, "The code is not valid.");
    if (code->used)
        return refuse_code(flow, "The code was used before.");
    if (code->expires_at_ns <= flow->now_ns)
        return refuse_code(flow, "The code has expired.");
    if (code->is_over)
        return refuse_code(flow, "The user is no longer signed in.");
    if (!code_is_right(flow))
        return refuse_code(flow, "The redirect_uri or code_verifier is not the code's.");
    err = oauth_flow_scope_of(req, flow, code->scope, code->roles);
    if (err)
        return err;
    flow->subject.roles = code->roles;
    flow->subject.nonce = code->nonce;
    flow->subject.auth_at_s = code->auth_at_ns / CLOCK_NS_PER_S;
    oauth_flow_grant(req, flow, code->user_id);
    return ERR_OK;
}

/* It came twice: one of the two is a thief, so what the first one got is over (RFC 6749, 4.1.2). */
static enum err code_reused(struct http_request *req, struct oauth_flow *flow)
{
    const struct oauth_code *code = &flow->code_row;

    if (code->session_id.len == 0)
        return ERR_OK; /* a burnt code gave nothing */
    flow->event = TRAIL_CODE_REUSED;
    flow->object = code->session_id;
    flow->forget = code->user_id;
    return oauth_grant_end(req->store, code->session_id, code->user_id, "code reused",
                           flow->now_ns);
}

/* What a code is refused for by its own client leaves no second try: whoever guesses at a verifier
 * has the code already. */
static enum err code_refused(struct http_request *req, struct oauth_flow *flow, enum err refusal)
{
    enum err err = ERR_OK;

    if (code_is_ours(flow) && flow->code_row.used)
        err = code_reused(req, flow);
    else if (code_is_ours(flow))
        err = oauth_code_use(req->store, flow->hash, (struct span){0}, flow->now_ns);
    return err ? err : refusal;
}

static enum err code_settle(struct http_request *req, struct oauth_flow *flow)
{
    enum err err = code_look(req, flow);

    if (err)
        return err;
    err = code_judge(req, flow);
    if (oauth_flow_is_refusal(err))
        return code_refused(req, flow, err);
    if (err || flow->refused)
        return err;
    err = oauth_grant_open(req->store, &flow->grant, flow->refreshes ? flow->next_hash : NULL,
                           flow->now_ns);
    if (err)
        return err;
    err = oauth_code_use(req->store, flow->hash, flow->grant.session_id, flow->now_ns);
    return err == ERR_CONFLICT ? ERR_STORE_RETRY : err;
}

/* ---- the route --------------------------------------------------------------------------------
 */

static const struct oauth_flow_kind machine = {
    .name = "client_credentials", .judge = machine_judge, .settle = machine_settle};
static const struct oauth_flow_kind password = {.name = "password",
                                                .look = password_look,
                                                .has_password = true,
                                                .judge = password_judge,
                                                .settle = password_settle};
static const struct oauth_flow_kind code = {
    .name = "authorization_code", .look = code_look, .judge = code_judge, .settle = code_settle};

/* Which grant, and what it cannot do without. */
static const struct {
    const struct oauth_flow_kind *kind;
    size_t needs[3];
    const char *why;
} grants[] = {
    {&machine, {0}, NULL},
    {&code,
     {offsetof(struct token_form, code), offsetof(struct token_form, redirect_uri),
      offsetof(struct token_form, code_verifier)},
     "authorization_code needs code, redirect_uri and code_verifier."},
    {&oauth_flow_refresh,
     {offsetof(struct token_form, refresh_token)},
     "refresh_token needs refresh_token."},
    {&password,
     {offsetof(struct token_form, username), offsetof(struct token_form, password)},
     "password needs username and password."},
};

static bool has_all(const struct token_form *form, const size_t needs[3])
{
    for (size_t i = 0; i < 3 && needs[i] != 0; i++) {
        const struct span *value = (const void *)((const char *)form + needs[i]);

        if (value->len == 0)
            return false;
    }
    return true;
}

/* Nobody has proven anything yet, and a client's name is free to invent: the address pays. */
static enum err refuse_form(struct http_request *req, enum err err, const char *why)
{
    enum err limited = http_limit_failure(req);

    return limited ? limited : http_fail(req, err, why);
}

enum err oauth_token_post(struct http_request *req)
{
    const struct token_form *form = req->body;
    struct oauth_flow *flow;
    size_t i = 0;
    enum err err = oauth_flow_begin(req, &form->shown, &flow);

    if (err)
        return err;
    while (i < PC_COUNT(grants) && !span_is(form->grant_type, grants[i].kind->name))
        i++;
    if (i == PC_COUNT(grants))
        return refuse_form(req, ERR_OAUTH_UNSUPPORTED_GRANT, NULL);
    if (!has_all(form, grants[i].needs))
        return refuse_form(req, ERR_OAUTH_INVALID_REQUEST, grants[i].why);
    if (grants[i].kind != &code) /* a code's scope was agreed on */
        flow->scope = form->scope;
    flow->code = form->code;
    flow->redirect_uri = form->redirect_uri;
    flow->verifier = form->code_verifier;
    flow->refresh_token =
        grants[i].kind == &oauth_flow_refresh ? form->refresh_token : (struct span){0};
    flow->login.email = form->username;
    flow->login.password = form->password;
    return oauth_flow_go(req, grants[i].kind);
}
