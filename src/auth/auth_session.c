/* SPDX-License-Identifier: MIT
 * Sessions and their chains of refresh tokens, in the store.
 *
 *   open --(refresh: auth_refresh_use)--> open, a new newest token
 *     |--(logout, deactivation, new password: auth_session_end)--> ended
 *     `--(a used token comes again after its grace)--------------> ended, reason "reuse"
 *
 * Whatever ends a session also adds a row to identity_changes, in the same commit: that row is what
 * makes other processes forget the session within a second. */
#include "auth/auth_priv.h"

static const struct store_statement session_insert = {
    .name = "session_insert",
    .sqlite = "INSERT INTO sessions (id, user_id, client, created_at, expires_at, address) "
              "VALUES (?1, ?2, ?3, ?4, ?5, ?6)"};
static const struct store_statement session_extend = {
    .name = "session_extend", .sqlite = "UPDATE sessions SET expires_at = ?2 WHERE id = ?1"};
static const struct store_statement session_close = {
    .name = "session_close",
    .sqlite = "UPDATE sessions SET ended_at = ?3, end_reason = ?4 "
              "WHERE id = ?1 AND user_id = ?2 AND ended_at IS NULL"};
static const struct store_statement sessions_close = {
    .name = "sessions_close",
    .sqlite = "UPDATE sessions SET ended_at = ?2, end_reason = ?3 "
              "WHERE user_id = ?1 AND ended_at IS NULL"};
/* Of the latest logins only: who logs in all day must not make this slower for everybody. */
static const struct store_statement session_from = {
    .name = "session_from",
    .sqlite = "SELECT 1 FROM (SELECT address FROM sessions WHERE user_id = ?1 "
              "ORDER BY created_at DESC LIMIT 256) AS latest WHERE address = ?2 LIMIT 1"};
static const struct store_statement refresh_insert = {
    .name = "refresh_insert",
    .sqlite = "INSERT INTO refresh_tokens (id, session_id, parent, issued_at, expires_at) "
              "VALUES (?1, ?2, ?3, ?4, ?5)"};
static const struct store_statement refresh_find = {
    .name = "refresh_find",
    .sqlite = "SELECT u.id, u.username, u.email, u.is_admin, u.is_active, s.ended_at, "
              "r.expires_at, r.used_at, r.grace_until, r.successor_pair "
              "FROM refresh_tokens r JOIN sessions s ON s.id = r.session_id "
              "JOIN users u ON u.id = s.user_id WHERE r.id = ?1 AND r.session_id = ?2"};
static const struct store_statement refresh_mark = {
    .name = "refresh_mark",
    .sqlite = "UPDATE refresh_tokens SET used_at = ?2, grace_until = ?3, successor_pair = ?4 "
              "WHERE id = ?1 AND used_at IS NULL"};
static const struct store_statement change_insert = {
    .name = "change_insert",
    .sqlite = "INSERT INTO identity_changes (subject, session_id, what, at) "
              "VALUES (?1, ?2, ?3, ?4)"};

static struct span id_span(const char id[AUTH_ID_BYTES])
{
    return span_make(id, AUTH_ID_BYTES);
}

static enum err refresh_add(struct store_conn *conn, const struct auth_pair_ids *ids,
                            struct span parent, int64_t now_ns, int64_t refresh_s)
{
    return store_exec(conn, &refresh_insert,
                      STORE_PARAMS(STORE_TEXT(id_span(ids->refresh)),
                                   STORE_TEXT(id_span(ids->session)), STORE_TEXT_OR_NULL(parent),
                                   STORE_I64(now_ns),
                                   STORE_I64(now_ns + refresh_s * CLOCK_NS_PER_S)),
                      NULL);
}

/* The gateway's own sessions have no client; an address that is not known is no text either. */
static struct store_value text_or_null(struct span text)
{
    return text.len == 0 ? STORE_NULL : STORE_TEXT(text);
}

enum err auth_session_add(struct store_conn *conn, const struct auth_session_new *session,
                          int64_t now_ns)
{
    return store_exec(conn, &session_insert,
                      STORE_PARAMS(STORE_TEXT(session->id), STORE_I64(session->user_id),
                                   text_or_null(session->client), STORE_I64(now_ns),
                                   STORE_I64(session->expires_at_ns),
                                   text_or_null(session->address)),
                      NULL);
}

enum err auth_session_open(struct store_conn *conn, int64_t user_id,
                           const struct auth_pair_ids *ids, struct span address, int64_t now_ns,
                           int64_t refresh_s)
{
    const struct auth_session_new session = {.id = id_span(ids->session),
                                             .user_id = user_id,
                                             .address = address,
                                             .expires_at_ns = now_ns + refresh_s * CLOCK_NS_PER_S};
    enum err err = auth_session_add(conn, &session, now_ns);

    if (err)
        return err;
    return refresh_add(conn, ids, (struct span){0}, now_ns, refresh_s);
}

enum err auth_change_add(struct store_conn *conn, int64_t subject, struct span session_id,
                         const char *what, int64_t now_ns)
{
    return store_exec(conn, &change_insert,
                      STORE_PARAMS(STORE_I64(subject), STORE_TEXT_OR_NULL(session_id),
                                   STORE_TEXT(span_from(what)), STORE_I64(now_ns)),
                      NULL);
}

enum err auth_session_end(struct store_conn *conn, struct span session_id, int64_t user_id,
                          const char *reason, int64_t now_ns)
{
    enum err err = store_exec(conn, &session_close,
                              STORE_PARAMS(STORE_TEXT(session_id), STORE_I64(user_id),
                                           STORE_I64(now_ns), STORE_TEXT(span_from(reason))),
                              NULL);

    if (err)
        return err;
    return auth_change_add(conn, user_id, session_id, reason, now_ns);
}

enum err auth_sessions_end_all(struct store_conn *conn, int64_t user_id, const char *reason,
                               int64_t now_ns)
{
    enum err err = store_exec(
        conn, &sessions_close,
        STORE_PARAMS(STORE_I64(user_id), STORE_I64(now_ns), STORE_TEXT(span_from(reason))), NULL);

    if (err)
        return err;
    return auth_change_add(conn, user_id, (struct span){0}, reason, now_ns);
}

enum err auth_session_known(struct store_conn *conn, int64_t user_id, struct span address,
                            bool *ret_known)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &session_from,
                               STORE_PARAMS(STORE_I64(user_id), STORE_TEXT(address)), &rows);

    if (err)
        return err;
    *ret_known = store_next(rows);
    return store_rows_err(rows);
}

enum err auth_refresh_find(struct store_conn *conn, struct span token_id, struct span session_id,
                           struct arena *arena, struct auth_refresh *ret)
{
    PC_AUTO(store_rows) rows = NULL;
    struct auth_refresh found;
    enum err err = store_query(conn, &refresh_find,
                               STORE_PARAMS(STORE_TEXT(token_id), STORE_TEXT(session_id)), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_TOKEN_REVOKED);
    found = (struct auth_refresh){.user = {.id = store_rows_i64(rows, 0),
                                           .username = store_rows_text(rows, 1, arena),
                                           .email = store_rows_text(rows, 2, arena),
                                           .is_admin = store_rows_bool(rows, 3),
                                           .is_active = store_rows_bool(rows, 4)},
                                  .session_over = !store_rows_null(rows, 5),
                                  .expires_at_ns = store_rows_i64(rows, 6),
                                  .used = !store_rows_null(rows, 7),
                                  .grace_until_ns = store_rows_i64_or(rows, 8, 0),
                                  .sealed_pair = store_rows_blob(rows, 9, arena)};
    err = store_rows_err(rows);
    if (err)
        return err;
    *ret = found;
    return ERR_OK;
}

enum err auth_refresh_use(struct store_conn *conn, struct span token_id, struct span session_id,
                          const struct auth_pair_ids *next, struct span sealed_pair, int64_t now_ns,
                          int64_t grace_s, int64_t refresh_s)
{
    int64_t changed;
    enum err err = store_exec(conn, &refresh_mark,
                              STORE_PARAMS(STORE_TEXT(token_id), STORE_I64(now_ns),
                                           STORE_I64(now_ns + grace_s * CLOCK_NS_PER_S),
                                           STORE_BLOB(sealed_pair)),
                              &changed);

    if (err)
        return err;
    if (changed == 0)
        return ERR_CONFLICT;
    err = refresh_add(conn, next, token_id, now_ns, refresh_s);
    if (err)
        return err;
    return store_exec(
        conn, &session_extend,
        STORE_PARAMS(STORE_TEXT(session_id), STORE_I64(now_ns + refresh_s * CLOCK_NS_PER_S)), NULL);
}
