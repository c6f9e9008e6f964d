/* SPDX-License-Identifier: MIT
 * Our own tokens: JWTs whose claim `type` keeps access and refresh tokens apart, in whichever
 * algorithm the key is pinned to. */
#include "auth/auth_priv.h"

#include "json/json_writer.h"

enum { CLAIMS_BYTES_MAX = 2048, TOKEN_BYTES_MAX = 4096 };

enum http_run auth_sign_run(const struct auth *auth)
{
    enum crypto_alg alg = auth->options.signer->alg;

    return crypto_alg_is_symmetric(alg) ? HTTP_RUN_LOOP : HTTP_RUN_SIGN;
}

static void add_common(struct json_writer *w, const struct auth *auth, const struct auth_user *user,
                       const char *token_id, const char *session_id, int64_t now_s, int64_t life_s)
{
    char text[24];
    struct sbuf id = sbuf_over(text, sizeof(text));

    sbuf_add_i64(&id, user->id);
    json_add_text(w, "iss", auth->options.issuer);
    json_add_text(w, "sub", sbuf_span(&id));
    json_add_i64(w, "iat", now_s);
    json_add_i64(w, "exp", now_s + life_s);
    json_add_text(w, "jti", span_make(token_id, AUTH_ID_BYTES));
    json_add_text(w, "sid", span_make(session_id, AUTH_ID_BYTES));
    json_add_i64(w, "user_id", user->id);
}

static enum err sign(const struct auth *auth, struct sbuf *claims, struct arena *arena,
                     struct span *ret_token)
{
    struct sbuf token = sbuf_on(arena, TOKEN_BYTES_MAX);
    enum err err;

    if (claims->full)
        return ERR_NO_SPACE;
    err = crypto_jwt_sign(auth->options.signer, SPAN_OF("JWT"), sbuf_span(claims), &token);
    if (err)
        return err;
    return sbuf_finish(&token, ret_token);
}

static enum err sign_access(const struct auth *auth, const struct auth_user *user,
                            const struct auth_pair_ids *ids, int64_t now_s, struct arena *arena,
                            struct span *ret_token)
{
    struct sbuf claims = sbuf_on(arena, CLAIMS_BYTES_MAX);
    struct json_writer w = json_writer_on(&claims);

    json_begin_object(&w);
    add_common(&w, auth, user, ids->access, ids->session, now_s, auth->options.access_s);
    json_add_text(&w, "type", SPAN_OF("access"));
    json_add_text(&w, "username", user->username);
    json_add_text(&w, "email", user->email);
    json_add_bool(&w, "is_admin", user->is_admin);
    json_end_object(&w);
    return sign(auth, &claims, arena, ret_token);
}

static enum err sign_refresh(const struct auth *auth, const struct auth_user *user,
                             const struct auth_pair_ids *ids, int64_t now_s, struct arena *arena,
                             struct span *ret_token)
{
    struct sbuf claims = sbuf_on(arena, CLAIMS_BYTES_MAX);
    struct json_writer w = json_writer_on(&claims);

    json_begin_object(&w);
    add_common(&w, auth, user, ids->refresh, ids->session, now_s, auth->options.refresh_s);
    json_add_text(&w, "type", SPAN_OF("refresh"));
    json_end_object(&w);
    return sign(auth, &claims, arena, ret_token);
}

enum err auth_pair_sign(const struct auth *auth, const struct auth_user *user,
                        const struct auth_pair_ids *ids, int64_t now_s, struct arena *arena,
                        struct auth_pair *ret_pair)
{
    struct auth_pair pair = {.token_type = SPAN("bearer"), .expires_in = auth->options.access_s};
    enum err err = sign_access(auth, user, ids, now_s, arena, &pair.access_token);

    if (err)
        return err;
    err = sign_refresh(auth, user, ids, now_s, arena, &pair.refresh_token);
    if (err)
        return err;
    *ret_pair = pair;
    return ERR_OK;
}

/* Signature, time, issuer, and that the token is of the type asked for and lives no longer than we
 * give: a shorter life that an operator sets holds for the tokens that are out there too. */
static enum err verify(const struct auth *auth, struct span token, const char *type, int64_t life_s,
                       int64_t now_s, struct arena *arena, struct crypto_jwt *ret_jwt)
{
    const struct crypto_jwt_rules rules = {.iss = auth->options.issuer,
                                           .leeway_s = auth->options.leeway_s,
                                           .life_s_max = life_s,
                                           .jti_required = true};
    struct crypto_jwt jwt;
    struct span found;
    enum err err = crypto_jwt_verify(auth->options.keys, &rules, token, now_s, arena, &jwt, NULL);

    if (err)
        return err;
    if (!json_to_text(json_get(jwt.claims, "type"), &found) || !span_is(found, type))
        return ERR_TOKEN_INVALID;
    *ret_jwt = jwt;
    return ERR_OK;
}

/* `sub` and `user_id` say the same; `sid` is there. */
static enum err read_ids(const struct crypto_jwt *jwt, int64_t *ret_user_id,
                         struct span *ret_session_id)
{
    int64_t user_id;
    int64_t subject;

    if (!json_to_i64(json_get(jwt->claims, "user_id"), &user_id) ||
        !span_to_i64(jwt->sub, &subject) || subject != user_id ||
        !json_to_text(json_get(jwt->claims, "sid"), ret_session_id))
        return ERR_TOKEN_INVALID;
    if (ret_session_id->len == 0 || ret_session_id->len > 64 || jwt->jti.len > 64)
        return ERR_TOKEN_INVALID;
    *ret_user_id = user_id;
    return ERR_OK;
}

enum err auth_refresh_verify(const struct auth *auth, struct span token, int64_t now_s,
                             struct arena *arena, struct auth_refresh_claims *ret)
{
    struct auth_refresh_claims claims;
    struct crypto_jwt jwt;
    enum err err = verify(auth, token, "refresh", auth->options.refresh_s, now_s, arena, &jwt);

    if (err)
        return err;
    err = read_ids(&jwt, &claims.user_id, &claims.session_id);
    if (err)
        return err;
    claims.token_id = jwt.jti;
    claims.expires_at_s = jwt.exp_s;
    *ret = claims;
    return ERR_OK;
}

/* ---- the port of http/ ------------------------------------------------------------------------
 */

static enum err identity_verify(void *context, struct span token, int64_t now_s,
                                struct arena *arena, struct http_principal *ret_principal)
{
    const struct auth *auth = context;
    struct http_principal principal = {0};
    struct crypto_jwt jwt;
    enum err err = verify(auth, token, "access", auth->options.access_s, now_s, arena, &jwt);

    if (err)
        return err;
    err = read_ids(&jwt, &principal.user_id, &principal.session_id);
    if (err)
        return err;
    principal.kind = HTTP_TOKEN_SESSION;
    principal.subject = jwt.sub;
    principal.token_id = jwt.jti;
    principal.expires_at_s = jwt.exp_s;
    *ret_principal = principal;
    return ERR_OK;
}

/* Sessions of OAuth clients and of browsers at the issuer have a client: no token of ours is of
 * such a session. */
static const struct store_statement rights_now = {
    .name = "rights_now",
    .sqlite = "SELECT u.username, u.email, u.is_admin, u.is_active, u.role, s.ended_at "
              "FROM sessions s JOIN users u ON u.id = s.user_id "
              "WHERE s.id = ?1 AND s.user_id = ?2 AND s.client IS NULL"};

static enum err rights_read(struct store_rows *rows, struct arena *arena,
                            struct http_principal *ret_principal)
{
    struct http_principal now = *ret_principal;
    enum err err;

    now.username = store_rows_text(rows, 0, arena);
    now.email = store_rows_text(rows, 1, arena);
    now.is_admin = store_rows_bool(rows, 2);
    if (now.username.ptr == NULL || now.email.ptr == NULL)
        return ERR_NO_MEMORY;
    err = auth_roles_join(store_rows_text(rows, 4, NULL), now.is_admin, arena, &now.roles);
    if (!err)
        err = auth_scopes_of_roles(now.roles, arena, &now.scope);
    if (!err)
        *ret_principal = now;
    return err;
}

/* Name, rights and session as the store has them now: what the token says of them may be old. */
static enum err identity_load(void *context, struct store_conn *conn, struct arena *arena,
                              struct http_principal *principal)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(
        conn, &rights_now,
        STORE_PARAMS(STORE_TEXT(principal->session_id), STORE_I64(principal->user_id)), &rows);

    (void)context;
    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_TOKEN_REVOKED);
    if (!store_rows_bool(rows, 3) || !store_rows_null(rows, 5))
        return store_rows_end(rows, ERR_TOKEN_REVOKED);
    err = rights_read(rows, arena, principal);
    return err ? store_rows_end(rows, err) : store_rows_err(rows);
}

struct http_identity auth_identity(struct auth *auth)
{
    return (struct http_identity){
        .context = auth, .verify = identity_verify, .load = identity_load};
}
