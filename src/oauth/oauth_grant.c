/* SPDX-License-Identifier: MIT
 * Codes, grants and refresh tokens in the store. A grant is a session of auth/ with a row of
 * oauth_grants beside it; here is only what an OAuth client adds to a session.
 *
 *   code:     unused --(oauth_code_use)--> used, and what came of it
 *   refresh:  newest --(oauth_refresh_use)--> used, in its grace --> used
 *               `--(oauth_refresh_keep: a bound client)--> newest, for longer
 *   grant:    open --(oauth_grant_end; whatever ends a user's sessions)--> over
 *
 * "Once" is decided by the update of the row that was not used yet, in the same commit as what
 * comes of it: so it holds between threads, between nodes, and over a sudden death. */
#include "oauth/oauth_priv.h"

static const struct store_statement code_insert = {
    .name = "oauth_code_insert",
    .sqlite = "INSERT INTO oauth_codes (hash, client, user_id, login_session, redirect_uri, "
              "challenge, scope, nonce, auth_at, created_at, expires_at) "
              "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"};
static const struct store_statement code_find = {
    .name = "oauth_code_find",
    .sqlite = "SELECT c.client, c.user_id, c.login_session, c.redirect_uri, c.challenge, c.scope, "
              "c.nonce, c.auth_at, c.expires_at, c.used_at, c.session_id, u.is_active, l.id "
              "FROM oauth_codes c JOIN users u ON u.id = c.user_id "
              "LEFT JOIN sessions l ON l.id = c.login_session AND l.ended_at IS NULL "
              "WHERE c.hash = ?1"};
static const struct store_statement code_mark = {
    .name = "oauth_code_mark",
    .sqlite = "UPDATE oauth_codes SET used_at = ?2, session_id = ?3 "
              "WHERE hash = ?1 AND used_at IS NULL"};
static const struct store_statement grant_insert = {
    .name = "oauth_grant_insert",
    .sqlite = "INSERT INTO oauth_grants (session_id, client, login_session, scope, auth_at, "
              "thumbprint) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"};
static const struct store_statement grant_extend = {
    .name = "oauth_grant_extend", .sqlite = "UPDATE sessions SET expires_at = ?2 WHERE id = ?1"};
static const struct store_statement refresh_insert = {
    .name = "oauth_refresh_insert",
    .sqlite = "INSERT INTO oauth_refresh_tokens (hash, session_id, issued_at, expires_at) "
              "VALUES (?1, ?2, ?3, ?4)"};
static const struct store_statement refresh_find = {
    .name = "oauth_refresh_find",
    .sqlite = "SELECT r.session_id, c.client_id, g.client, s.user_id, g.login_session, g.scope, "
              "g.thumbprint, s.address, g.auth_at, s.expires_at, s.ended_at, u.is_active, "
              "c.is_active, r.expires_at, r.used_at, r.grace_until, r.reply "
              "FROM oauth_refresh_tokens r JOIN oauth_grants g ON g.session_id = r.session_id "
              "JOIN sessions s ON s.id = r.session_id JOIN users u ON u.id = s.user_id "
              "JOIN oauth_clients c ON c.id = g.client WHERE r.hash = ?1"};
static const struct store_statement refresh_mark = {
    .name = "oauth_refresh_mark",
    .sqlite = "UPDATE oauth_refresh_tokens SET used_at = ?2, grace_until = ?3, reply = ?4 "
              "WHERE hash = ?1 AND used_at IS NULL"};
static const struct store_statement refresh_extend = {
    .name = "oauth_refresh_extend",
    .sqlite = "UPDATE oauth_refresh_tokens SET expires_at = ?2 "
              "WHERE hash = ?1 AND used_at IS NULL"};
static const struct store_statement revoked_insert = {
    .name = "oauth_revoked_insert",
    .sqlite = "INSERT INTO oauth_revoked (jti, expires_at) VALUES (?1, ?2) "
              "ON CONFLICT (jti) DO NOTHING"};

static struct store_value hash_value(const unsigned char hash[OAUTH_HASH_BYTES])
{
    return STORE_BLOB(span_make(hash, OAUTH_HASH_BYTES));
}

/* Empty is NULL in the table. */
static struct store_value text_or_null(struct span text)
{
    return text.len == 0 ? STORE_NULL : STORE_TEXT(text);
}

/* An update that must find its row as we last saw it. */
static enum err exec_one(struct store_conn *conn, const struct store_statement *statement,
                         const struct store_value *params, size_t count)
{
    int64_t changed;
    enum err err = store_exec(conn, statement, params, count, &changed);

    if (err)
        return err;
    return changed == 1 ? ERR_OK : ERR_CONFLICT;
}

/* ---- codes ------------------------------------------------------------------------------------
 */

enum err oauth_code_add(struct store_conn *conn, const unsigned char hash[OAUTH_HASH_BYTES],
                        const struct oauth_code *code, int64_t now_ns)
{
    return store_exec(conn, &code_insert,
                      STORE_PARAMS(hash_value(hash), STORE_I64(code->client_key),
                                   STORE_I64(code->user_id), STORE_TEXT(code->login_session),
                                   STORE_TEXT(code->redirect_uri), STORE_TEXT(code->challenge),
                                   STORE_TEXT(code->scope), text_or_null(code->nonce),
                                   STORE_I64(code->auth_at_ns), STORE_I64(now_ns),
                                   STORE_I64(code->expires_at_ns)),
                      NULL);
}

static enum err code_read(struct store_conn *conn, const unsigned char hash[OAUTH_HASH_BYTES],
                          struct arena *arena, struct oauth_code *code)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &code_find, STORE_PARAMS(hash_value(hash)), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    *code = (struct oauth_code){.client_key = store_rows_i64(rows, 0),
                                .user_id = store_rows_i64(rows, 1),
                                .login_session = store_rows_text(rows, 2, arena),
                                .redirect_uri = store_rows_text(rows, 3, arena),
                                .challenge = store_rows_text(rows, 4, arena),
                                .scope = store_rows_text(rows, 5, arena),
                                .nonce = store_rows_text(rows, 6, arena),
                                .auth_at_ns = store_rows_i64(rows, 7),
                                .expires_at_ns = store_rows_i64(rows, 8),
                                .used = !store_rows_null(rows, 9),
                                .session_id = store_rows_text(rows, 10, arena),
                                .is_over = !store_rows_bool(rows, 11) || store_rows_null(rows, 12)};
    return store_rows_err(rows);
}

enum err oauth_code_find(struct store_conn *conn, const unsigned char hash[OAUTH_HASH_BYTES],
                         struct arena *arena, struct oauth_code *ret_code)
{
    struct oauth_code code = {0};
    enum err err = code_read(conn, hash, arena, &code);

    if (err)
        return err;
    err = auth_roles_of_user(conn, code.user_id, arena, &code.roles);
    if (err)
        return err;
    *ret_code = code;
    return ERR_OK;
}

enum err oauth_code_use(struct store_conn *conn, const unsigned char hash[OAUTH_HASH_BYTES],
                        struct span session_id, int64_t now_ns)
{
    return exec_one(conn, &code_mark,
                    STORE_PARAMS(hash_value(hash), STORE_I64(now_ns), text_or_null(session_id)));
}

/* ---- grants -----------------------------------------------------------------------------------
 */

static enum err refresh_add(struct store_conn *conn, const unsigned char hash[OAUTH_HASH_BYTES],
                            const struct oauth_grant *grant, int64_t now_ns)
{
    return store_exec(conn, &refresh_insert,
                      STORE_PARAMS(hash_value(hash), STORE_TEXT(grant->session_id),
                                   STORE_I64(now_ns), STORE_I64(grant->expires_at_ns)),
                      NULL);
}

enum err oauth_grant_open(struct store_conn *conn, const struct oauth_grant *grant,
                          const unsigned char *refresh_hash, int64_t now_ns)
{
    const struct auth_session_new session = {.id = grant->session_id,
                                             .user_id = grant->user_id,
                                             .client = grant->client_id,
                                             .address = grant->address,
                                             .expires_at_ns = grant->expires_at_ns};
    enum err err = auth_session_add(conn, &session, now_ns);

    if (err)
        return err;
    err = store_exec(conn, &grant_insert,
                     STORE_PARAMS(STORE_TEXT(grant->session_id), STORE_I64(grant->client_key),
                                  text_or_null(grant->login_session), STORE_TEXT(grant->scope),
                                  STORE_I64(grant->auth_at_ns), text_or_null(grant->thumbprint)),
                     NULL);
    if (err || refresh_hash == NULL)
        return err;
    return refresh_add(conn, refresh_hash, grant, now_ns);
}

enum err oauth_grant_end(struct store_conn *conn, struct span session_id, int64_t user_id,
                         const char *reason, int64_t now_ns)
{
    return auth_session_end(conn, session_id, user_id, reason, now_ns);
}

static enum err grant_live_on(struct store_conn *conn, const struct oauth_grant *grant)
{
    return store_exec(conn, &grant_extend,
                      STORE_PARAMS(STORE_TEXT(grant->session_id), STORE_I64(grant->expires_at_ns)),
                      NULL);
}

/* ---- refresh tokens ---------------------------------------------------------------------------
 */

static enum err refresh_read(struct store_conn *conn, const unsigned char hash[OAUTH_HASH_BYTES],
                             int64_t now_ns, struct arena *arena, struct oauth_refresh *refresh)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &refresh_find, STORE_PARAMS(hash_value(hash)), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    *refresh = (struct oauth_refresh){
        .grant = {.session_id = store_rows_text(rows, 0, arena),
                  .client_id = store_rows_text(rows, 1, arena),
                  .client_key = store_rows_i64(rows, 2),
                  .user_id = store_rows_i64(rows, 3),
                  .login_session = store_rows_text(rows, 4, arena),
                  .scope = store_rows_text(rows, 5, arena),
                  .thumbprint = store_rows_text(rows, 6, arena),
                  .address = store_rows_text(rows, 7, arena),
                  .auth_at_ns = store_rows_i64(rows, 8),
                  .expires_at_ns = store_rows_i64(rows, 9),
                  .is_over = store_rows_i64(rows, 9) <= now_ns || !store_rows_null(rows, 10) ||
                             !store_rows_bool(rows, 11) || !store_rows_bool(rows, 12)},
        .expires_at_ns = store_rows_i64(rows, 13),
        .used = !store_rows_null(rows, 14),
        .grace_until_ns = store_rows_i64_or(rows, 15, 0),
        .sealed_reply = store_rows_blob(rows, 16, arena)};
    return store_rows_err(rows);
}

enum err oauth_refresh_find(struct store_conn *conn, const unsigned char hash[OAUTH_HASH_BYTES],
                            int64_t now_ns, struct arena *arena, struct oauth_refresh *ret_refresh)
{
    struct oauth_refresh refresh = {0};
    enum err err = refresh_read(conn, hash, now_ns, arena, &refresh);

    if (err)
        return err;
    err = auth_roles_of_user(conn, refresh.grant.user_id, arena, &refresh.grant.roles);
    if (err)
        return err;
    *ret_refresh = refresh;
    return ERR_OK;
}

enum err oauth_refresh_use(struct store_conn *conn, const unsigned char hash[OAUTH_HASH_BYTES],
                           const struct oauth_grant *grant,
                           const unsigned char next_hash[OAUTH_HASH_BYTES],
                           struct span sealed_reply, int64_t grace_until_ns, int64_t now_ns)
{
    enum err err = exec_one(conn, &refresh_mark,
                            STORE_PARAMS(hash_value(hash), STORE_I64(now_ns),
                                         STORE_I64(grace_until_ns), STORE_BLOB(sealed_reply)));

    if (err)
        return err;
    err = refresh_add(conn, next_hash, grant, now_ns);
    if (err)
        return err;
    return grant_live_on(conn, grant);
}

enum err oauth_refresh_keep(struct store_conn *conn, const unsigned char hash[OAUTH_HASH_BYTES],
                            const struct oauth_grant *grant)
{
    enum err err = exec_one(conn, &refresh_extend,
                            STORE_PARAMS(hash_value(hash), STORE_I64(grant->expires_at_ns)));

    if (err)
        return err;
    return grant_live_on(conn, grant);
}

/* ---- access tokens ----------------------------------------------------------------------------
 */

enum err oauth_access_revoke(struct store_conn *conn, struct span token_id, int64_t subject,
                             int64_t expires_at_ns, int64_t now_ns)
{
    enum err err = store_exec(conn, &revoked_insert,
                              STORE_PARAMS(STORE_TEXT(token_id), STORE_I64(expires_at_ns)), NULL);

    if (err)
        return err;
    return auth_change_add(conn, subject, (struct span){0}, "token", now_ns);
}
