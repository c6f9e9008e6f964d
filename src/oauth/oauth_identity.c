/* SPDX-License-Identifier: MIT
 * The port by which http/ turns a token into a principal, for tokens of both kinds. The header's
 * `typ`, which nobody has verified yet, chooses the one verifier that is asked; each of the two
 * then insists on its own type, issuer and keys, so a lie only leads to the verifier that refuses
 * it.
 *
 *   at+jwt          our access token (RFC 9068)      oauth_access_verify
 *   anything else   a session's own token            auth_identity
 *
 * What a token may do is decided when its rights are read, not by what it says: its scope, of which
 * is left what its client still has and what its user's roles still give. */
#include "oauth/oauth_priv.h"

static bool is_access_type(struct span typ)
{
    return span_is_nocase(typ, "at+jwt") || span_is_nocase(typ, "application/at+jwt");
}

static enum err issued_verify(const struct oauth *oauth, struct span token, int64_t now_s,
                              struct arena *arena, struct http_principal *ret_principal)
{
    struct oauth_access access;
    enum err err = oauth_access_verify(oauth, token, now_s * CLOCK_NS_PER_S, arena, &access);

    if (err)
        return err;
    *ret_principal = (struct http_principal){.kind = HTTP_TOKEN_ISSUED,
                                             .user_id = access.user_id,
                                             .subject = access.jwt.sub,
                                             .session_id = access.session_id,
                                             .token_id = access.jwt.jti,
                                             .client_id = access.client_id,
                                             .scope = access.scope,
                                             .thumbprint = access.thumbprint,
                                             .issued_at_s = access.jwt.iat_s,
                                             .expires_at_s = access.jwt.exp_s};
    return ERR_OK;
}

static enum err identity_verify(void *context, struct span token, int64_t now_s,
                                struct arena *arena, struct http_principal *ret_principal)
{
    const struct oauth *oauth = context;
    const struct http_identity sessions = auth_identity(oauth->options.auth);
    struct crypto_jws jws;
    enum err err = crypto_jws_peek(token, arena, &jws, NULL);

    if (err)
        return err;
    if (is_access_type(jws.typ))
        return issued_verify(oauth, token, now_s, arena, ret_principal);
    return sessions.verify(sessions.context, token, now_s, arena, ret_principal);
}

/* ---- rights -----------------------------------------------------------------------------------
 */

/* A user's token: its session lives, is of this client, and has a grant. */
static const struct store_statement user_rights = {
    .name = "oauth_user_rights",
    .sqlite = "SELECT c.id, c.is_active, c.tokens_after, c.scopes, v.jti, "
              "u.username, u.email, u.is_admin, u.role, u.is_active, s.ended_at "
              "FROM sessions s JOIN users u ON u.id = s.user_id "
              "JOIN oauth_grants g ON g.session_id = s.id "
              "JOIN oauth_clients c ON c.id = g.client "
              "LEFT JOIN oauth_revoked v ON v.jti = ?4 "
              "WHERE s.id = ?1 AND s.user_id = ?2 AND c.client_id = ?3 AND s.client = ?3"};
static const struct store_statement client_rights = {
    .name = "oauth_client_rights",
    .sqlite = "SELECT c.id, c.is_active, c.tokens_after, c.scopes, v.jti, c.roles "
              "FROM oauth_clients c LEFT JOIN oauth_revoked v ON v.jti = ?2 "
              "WHERE c.client_id = ?1"};

enum { ID, CLIENT_ACTIVE, TOKENS_AFTER, SCOPES, REVOKED, REST };

/* What both kinds share: the client is there and active, the token is not taken back. */
static enum err client_read(struct store_rows *rows, struct arena *arena,
                            struct http_principal *principal)
{
    int64_t issued_at_ns = principal->issued_at_s * CLOCK_NS_PER_S;

    if (!store_rows_bool(rows, CLIENT_ACTIVE) || !store_rows_null(rows, REVOKED) ||
        issued_at_ns < store_rows_i64(rows, TOKENS_AFTER))
        return ERR_TOKEN_REVOKED;
    principal->client_key = store_rows_i64(rows, ID);
    principal->scope =
        oauth_list_both(principal->scope, store_rows_text(rows, SCOPES, NULL), arena);
    return principal->scope.ptr == NULL ? ERR_NO_MEMORY : ERR_OK;
}

static enum err user_read(struct store_rows *rows, struct arena *arena,
                          struct http_principal *principal)
{
    struct span scopes;
    enum err err;

    if (!store_rows_bool(rows, REST + 4) || !store_rows_null(rows, REST + 5))
        return ERR_TOKEN_REVOKED;
    principal->username = store_rows_text(rows, REST, arena);
    principal->email = store_rows_text(rows, REST + 1, arena);
    principal->is_admin = store_rows_bool(rows, REST + 2);
    if (principal->username.ptr == NULL || principal->email.ptr == NULL)
        return ERR_NO_MEMORY;
    err = auth_roles_join(store_rows_text(rows, REST + 3, NULL), principal->is_admin, arena,
                          &principal->roles);
    if (!err)
        err = auth_scopes_of_roles(principal->roles, arena, &scopes);
    if (err)
        return err;
    principal->scope = oauth_list_both(principal->scope, scopes, arena);
    return principal->scope.ptr == NULL ? ERR_NO_MEMORY : ERR_OK;
}

static enum err rights_ask(struct store_conn *conn, const struct http_principal *principal,
                           struct store_rows **ret_rows)
{
    if (principal->user_id == 0)
        return store_query(
            conn, &client_rights,
            STORE_PARAMS(STORE_TEXT(principal->client_id), STORE_TEXT(principal->token_id)),
            ret_rows);
    return store_query(conn, &user_rights,
                       STORE_PARAMS(STORE_TEXT(principal->session_id),
                                    STORE_I64(principal->user_id), STORE_TEXT(principal->client_id),
                                    STORE_TEXT(principal->token_id)),
                       ret_rows);
}

static enum err rights_read(struct store_rows *rows, struct arena *arena,
                            struct http_principal *principal)
{
    enum err err = client_read(rows, arena, principal);

    if (err)
        return err;
    if (principal->user_id != 0)
        return user_read(rows, arena, principal);
    principal->roles = store_rows_text(rows, REST, arena);
    return principal->roles.ptr == NULL ? ERR_NO_MEMORY : ERR_OK;
}

static enum err issued_load(struct store_conn *conn, struct arena *arena,
                            struct http_principal *principal)
{
    PC_AUTO(store_rows) rows = NULL;
    struct http_principal now = *principal;
    enum err err = rights_ask(conn, principal, &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_TOKEN_REVOKED);
    err = rights_read(rows, arena, &now);
    if (err)
        return store_rows_end(rows, err);
    err = store_rows_err(rows);
    if (!err)
        *principal = now;
    return err;
}

static enum err identity_load(void *context, struct store_conn *conn, struct arena *arena,
                              struct http_principal *principal)
{
    const struct oauth *oauth = context;
    const struct http_identity sessions = auth_identity(oauth->options.auth);

    if (principal->kind == HTTP_TOKEN_ISSUED)
        return issued_load(conn, arena, principal);
    return sessions.load(sessions.context, conn, arena, principal);
}

struct http_identity oauth_identity(struct oauth *oauth)
{
    return (struct http_identity){
        .context = oauth, .verify = identity_verify, .load = identity_load};
}
