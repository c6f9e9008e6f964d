/* SPDX-License-Identifier: MIT
 * Browsers that are signed in, in the store. A login is a session of auth/ whose client is
 * "browser", so it ends with deactivation and a new password like any other; its cookie is kept as
 * a hash, and is a new one at each login.
 *
 *   open ──(signed in again as the same user: oauth_login_renew)──> ended; the new one takes over
 *     └──(signing out, another user: oauth_login_end)──> ended, and all that came from it */
#include "oauth/oauth_page_priv.h"

#include <string.h>

enum { GRANTS_AT_ONCE = 32 };

static const struct store_statement login_insert = {
    .name = "oauth_login_insert",
    .sqlite = "INSERT INTO oauth_logins (hash, session_id, auth_at) VALUES (?1, ?2, ?3)"};
static const struct store_statement login_find = {
    .name = "oauth_login_find",
    .sqlite = "SELECT l.session_id, s.user_id, l.auth_at, u.username FROM oauth_logins l "
              "JOIN sessions s ON s.id = l.session_id JOIN users u ON u.id = s.user_id "
              "WHERE l.hash = ?1 AND s.ended_at IS NULL AND s.expires_at > ?2 AND u.is_active"};
static const struct store_statement login_grants = {
    .name = "oauth_login_grants",
    .sqlite = "SELECT g.session_id FROM oauth_grants g JOIN sessions s ON s.id = g.session_id "
              "WHERE g.login_session = ?1 AND s.ended_at IS NULL LIMIT ?2"};
/* A code that nobody has fetched tokens for is nobody's loss. */
static const struct store_statement login_codes = {
    .name = "oauth_login_codes",
    .sqlite = "DELETE FROM oauth_codes WHERE expires_at > ?2 AND login_session = ?1 "
              "AND used_at IS NULL"};
static const struct store_statement login_move_grants = {
    .name = "oauth_login_move_grants",
    .sqlite = "UPDATE oauth_grants SET login_session = ?2 WHERE login_session = ?1"};
static const struct store_statement login_move_codes = {
    .name = "oauth_login_move_codes",
    .sqlite = "UPDATE oauth_codes SET login_session = ?2 WHERE expires_at > ?3 "
              "AND login_session = ?1"};

enum err oauth_login_find(struct store_conn *conn, struct span cookie, int64_t now_ns,
                          struct arena *arena, struct oauth_login *ret_login)
{
    PC_AUTO(store_rows) rows = NULL;
    unsigned char hash[OAUTH_HASH_BYTES];
    struct oauth_login login;
    enum err err;

    if (cookie.len == 0)
        return ERR_NOT_FOUND;
    oauth_token_hash(cookie, hash);
    err = store_query(conn, &login_find,
                      STORE_PARAMS(STORE_BLOB(span_make(hash, sizeof(hash))), STORE_I64(now_ns)),
                      &rows);
    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    login = (struct oauth_login){.session_id = store_rows_text(rows, 0, arena),
                                 .user_id = store_rows_i64(rows, 1),
                                 .auth_at_ns = store_rows_i64(rows, 2),
                                 .username = store_rows_text(rows, 3, arena)};
    err = store_rows_err(rows);
    if (err)
        return err;
    *ret_login = login;
    return ERR_OK;
}

enum err oauth_login_open(struct store_conn *conn, const unsigned char hash[OAUTH_HASH_BYTES],
                          const struct oauth_login *login, struct span address, int64_t now_ns,
                          int64_t expires_at_ns)
{
    const struct auth_session_new session = {.id = login->session_id,
                                             .user_id = login->user_id,
                                             .client = SPAN("browser"),
                                             .address = address,
                                             .expires_at_ns = expires_at_ns};
    enum err err = auth_session_add(conn, &session, now_ns);

    if (err)
        return err;
    return store_exec(conn, &login_insert,
                      STORE_PARAMS(STORE_BLOB(span_make(hash, OAUTH_HASH_BYTES)),
                                   STORE_TEXT(login->session_id), STORE_I64(login->auth_at_ns)),
                      NULL);
}

/* Up to GRANTS_AT_ONCE that are open. */
static enum err grants_read(struct store_conn *conn, const struct oauth_login *login,
                            char ids[GRANTS_AT_ONCE][AUTH_ID_BYTES], size_t *ret_count)
{
    PC_AUTO(store_rows) rows = NULL;
    size_t count = 0;
    enum err err =
        store_query(conn, &login_grants,
                    STORE_PARAMS(STORE_TEXT(login->session_id), STORE_I64(GRANTS_AT_ONCE)), &rows);

    if (err)
        return err;
    while (store_next(rows)) {
        struct span id = store_rows_text(rows, 0, NULL);

        if (id.len != AUTH_ID_BYTES)
            return store_rows_end(rows, ERR_STORE_CORRUPT);
        memcpy(ids[count++], id.ptr, AUTH_ID_BYTES);
    }
    *ret_count = count;
    return store_rows_err(rows);
}

static enum err grants_end(struct store_conn *conn, const struct oauth_login *login, int64_t now_ns)
{
    char ids[GRANTS_AT_ONCE][AUTH_ID_BYTES];
    size_t count = 0;

    do {
        enum err err = grants_read(conn, login, ids, &count);

        for (size_t i = 0; i < count && !err; i++)
            err = oauth_grant_end(conn, span_make(ids[i], AUTH_ID_BYTES), login->user_id, "logout",
                                  now_ns);
        if (err)
            return err;
    } while (count == GRANTS_AT_ONCE);
    return ERR_OK;
}

enum err oauth_login_end(struct store_conn *conn, const struct oauth_login *login, int64_t now_ns)
{
    enum err err = store_exec(conn, &login_codes,
                              STORE_PARAMS(STORE_TEXT(login->session_id), STORE_I64(now_ns)), NULL);

    if (err)
        return err;
    err = grants_end(conn, login, now_ns);
    if (err)
        return err;
    return auth_session_end(conn, login->session_id, login->user_id, "logout", now_ns);
}

enum err oauth_login_renew(struct store_conn *conn, const struct oauth_login *login,
                           struct span new_session, int64_t now_ns)
{
    enum err err =
        store_exec(conn, &login_move_grants,
                   STORE_PARAMS(STORE_TEXT(login->session_id), STORE_TEXT(new_session)), NULL);

    if (err)
        return err;
    err = store_exec(
        conn, &login_move_codes,
        STORE_PARAMS(STORE_TEXT(login->session_id), STORE_TEXT(new_session), STORE_I64(now_ns)),
        NULL);
    if (err)
        return err;
    return auth_session_end(conn, login->session_id, login->user_id, "login", now_ns);
}
