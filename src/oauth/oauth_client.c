/* SPDX-License-Identifier: MIT
 * The clients in the store: every statement about them, and rows to structs.
 *
 *   active --(oauth_client_set_active false)--> disabled: grants, codes and tokens end
 *      ^------(oauth_client_set_active true)------'        they stay ended
 *
 * Each change adds a row to identity_changes under minus the client's key, in the same commit:
 * that makes every process read the client again within a second. */
#include "oauth/oauth_priv.h"

#include <string.h>

#define CLIENT_COLUMNS                                                                             \
    "id, client_id, client_name, auth_method, secret_key, secret_hash, old_secret_key, "           \
    "old_secret_hash, old_secret_until, grants, scopes, roles, redirect_uris, logout_uris, jwks, " \
    "tls_subject, is_bound, access_s, refresh_s, access_alg, id_alg, is_active, tokens_after, "    \
    "created_at, updated_at"

static const struct store_statement client_insert = {
    .name = "oauth_client_insert",
    .sqlite = "INSERT INTO oauth_clients (client_id, client_name, auth_method, secret_key, "
              "secret_hash, grants, scopes, roles, redirect_uris, logout_uris, jwks, tls_subject, "
              "is_bound, access_s, refresh_s, access_alg, id_alg, created_at, updated_at) "
              "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, "
              "?17, ?18, ?18) ON CONFLICT DO NOTHING RETURNING id"};
static const struct store_statement client_find = {
    .name = "oauth_client_find",
    .sqlite = "SELECT " CLIENT_COLUMNS " FROM oauth_clients WHERE client_id = ?1"};
static const struct store_statement client_page = {
    .name = "oauth_client_page",
    .sqlite = "SELECT " CLIENT_COLUMNS " FROM oauth_clients WHERE id > ?1 ORDER BY id LIMIT ?2"};
static const struct store_statement client_update = {
    .name = "oauth_client_update",
    .sqlite = "UPDATE oauth_clients SET client_name = ?2, auth_method = ?3, grants = ?4, "
              "scopes = ?5, roles = ?6, redirect_uris = ?7, logout_uris = ?8, jwks = ?9, "
              "tls_subject = ?10, is_bound = ?11, access_s = ?12, refresh_s = ?13, "
              "access_alg = ?14, id_alg = ?15, updated_at = ?16 WHERE id = ?1"};
static const struct store_statement client_set_secret = {
    .name = "oauth_client_set_secret",
    .sqlite = "UPDATE oauth_clients SET secret_key = ?2, secret_hash = ?3, old_secret_key = ?4, "
              "old_secret_hash = ?5, old_secret_until = ?6, updated_at = ?7 WHERE id = ?1"};
static const struct store_statement client_set_active = {
    .name = "oauth_client_set_active",
    .sqlite = "UPDATE oauth_clients SET is_active = ?2, updated_at = ?3 WHERE id = ?1"};
static const struct store_statement client_end_tokens = {
    .name = "oauth_client_end_tokens",
    .sqlite = "UPDATE oauth_clients SET tokens_after = ?2 WHERE id = ?1"};
static const struct store_statement client_end_grants = {
    .name = "oauth_client_end_grants",
    .sqlite = "UPDATE sessions SET ended_at = ?2, end_reason = ?3 "
              "WHERE ended_at IS NULL AND id IN "
              "(SELECT session_id FROM oauth_grants WHERE client = ?1)"};
static const struct store_statement client_end_codes = {
    .name = "oauth_client_end_codes",
    .sqlite = "DELETE FROM oauth_codes WHERE client = ?1 AND used_at IS NULL"};

/* ---- rows ----
 */

/* A hash is there whole or not at all. */
static enum err secret_read(struct store_rows *rows, size_t column, struct oauth_secret *secret)
{
    struct span key = store_rows_blob(rows, column, NULL);
    struct span hash = store_rows_blob(rows, column + 1, NULL);

    *secret = (struct oauth_secret){.set = key.ptr != NULL};
    if (!secret->set)
        return ERR_OK;
    if (key.len != OAUTH_HASH_BYTES || hash.len != OAUTH_HASH_BYTES)
        return ERR_STORE_CORRUPT;
    memcpy(secret->key, key.ptr, OAUTH_HASH_BYTES);
    memcpy(secret->hash, hash.ptr, OAUTH_HASH_BYTES);
    return ERR_OK;
}

static enum err client_read(struct store_rows *rows, struct arena *arena,
                            struct oauth_client *client)
{
    enum err err;

    *client = (struct oauth_client){
        .key = store_rows_i64(rows, 0),
        .client_id = store_rows_text(rows, 1, arena),
        .name = store_rows_text(rows, 2, arena),
        .method = oauth_method_from(store_rows_text(rows, 3, NULL)),
        .old_secret_until_ns = store_rows_i64_or(rows, 8, 0),
        .grants = store_rows_text(rows, 9, arena),
        .scopes = store_rows_text(rows, 10, arena),
        .roles = store_rows_text(rows, 11, arena),
        .redirect_uris = store_rows_text(rows, 12, arena),
        .logout_uris = store_rows_text(rows, 13, arena),
        .jwks = store_rows_text(rows, 14, arena),
        .tls_subject = store_rows_text(rows, 15, arena),
        .is_bound = store_rows_bool(rows, 16),
        .access_s = store_rows_i64(rows, 17),
        .refresh_s = store_rows_i64(rows, 18),
        .access_alg = crypto_alg_from(store_rows_text(rows, 19, NULL)),
        .id_alg = crypto_alg_from(store_rows_text(rows, 20, NULL)),
        .is_active = store_rows_bool(rows, 21),
        .tokens_after_ns = store_rows_i64(rows, 22),
        .created_at_ns = store_rows_i64(rows, 23),
        .updated_at_ns = store_rows_i64(rows, 24),
    };
    err = secret_read(rows, 4, &client->secret);
    if (!err)
        err = secret_read(rows, 6, &client->old_secret);
    return err ? err : store_rows_err(rows);
}

enum err oauth_client_find(struct store_conn *conn, struct span client_id, struct arena *arena,
                           struct oauth_client *ret_client)
{
    PC_AUTO(store_rows) rows = NULL;
    struct oauth_client client;
    enum err err;

    /* What no text column can hold is nobody's. */
    if (client_id.len == 0 || client_id.len > OAUTH_CLIENT_ID_CHARS_MAX ||
        !span_is_utf8(client_id) || span_find(client_id, '\0') < client_id.len)
        return ERR_NOT_FOUND;
    err = store_query(conn, &client_find, STORE_PARAMS(STORE_TEXT(client_id)), &rows);
    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    err = client_read(rows, arena, &client);
    if (err)
        return err;
    *ret_client = client;
    return ERR_OK;
}

enum err oauth_client_list(struct store_conn *conn, int64_t after, size_t limit,
                           struct arena *arena, struct oauth_client **ret_clients,
                           size_t *ret_count)
{
    PC_AUTO(store_rows) rows = NULL;
    struct oauth_client *clients = arena_array(arena, limit, sizeof(*clients));
    size_t count = 0;
    enum err err;

    if (clients == NULL)
        return ERR_NO_MEMORY;
    err = store_query(conn, &client_page, STORE_PARAMS(STORE_I64(after), STORE_I64((int64_t)limit)),
                      &rows);
    if (err)
        return err;
    while (count < limit && store_next(rows)) {
        err = client_read(rows, arena, &clients[count++]);
        if (err)
            return err;
    }
    err = store_rows_err(rows);
    if (err)
        return err;
    *ret_clients = clients;
    *ret_count = count;
    return ERR_OK;
}

/* ---- changes ----
 */

static struct span text_of(struct span text)
{
    return text.ptr != NULL ? text : SPAN_OF("");
}

static struct span or_null(struct span text)
{
    return text.len > 0 ? text : (struct span){0};
}

static struct store_value blob_of(const struct oauth_secret *secret, const unsigned char *bytes)
{
    return secret->set ? STORE_BLOB(span_make(bytes, OAUTH_HASH_BYTES)) : STORE_NULL;
}

static struct store_value alg_of(enum crypto_alg alg)
{
    return STORE_TEXT(span_from(crypto_alg_name(alg)));
}

static enum err tell(struct store_conn *conn, int64_t key, int64_t now_ns)
{
    return auth_change_add(conn, -key, (struct span){0}, "client", now_ns);
}

enum err oauth_client_create(struct store_conn *conn, struct oauth_client *client, int64_t now_ns)
{
    PC_AUTO(store_rows) rows = NULL;
    const char *method = oauth_method_name(client->method);
    enum err err = store_query(
        conn, &client_insert,
        STORE_PARAMS(STORE_TEXT(client->client_id), STORE_TEXT(client->name),
                     STORE_TEXT(span_from(method)), blob_of(&client->secret, client->secret.key),
                     blob_of(&client->secret, client->secret.hash),
                     STORE_TEXT(text_of(client->grants)), STORE_TEXT(text_of(client->scopes)),
                     STORE_TEXT(text_of(client->roles)), STORE_TEXT(text_of(client->redirect_uris)),
                     STORE_TEXT(text_of(client->logout_uris)),
                     STORE_TEXT_OR_NULL(or_null(client->jwks)),
                     STORE_TEXT_OR_NULL(or_null(client->tls_subject)), STORE_BOOL(client->is_bound),
                     STORE_I64(client->access_s), STORE_I64(client->refresh_s),
                     alg_of(client->access_alg), alg_of(client->id_alg), STORE_I64(now_ns)),
        &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_TAKEN);
    client->key = store_rows_i64(rows, 0);
    client->is_active = true;
    client->created_at_ns = now_ns;
    while (store_next(rows))
        PC_WRONG("one insert, two rows");
    return store_rows_err(rows);
}

/* What it was given ends, with the tokens that came of it. */
static enum err end_all(struct store_conn *conn, int64_t key, const char *reason, int64_t now_ns)
{
    enum err err = store_exec(
        conn, &client_end_grants,
        STORE_PARAMS(STORE_I64(key), STORE_I64(now_ns), STORE_TEXT(span_from(reason))), NULL);

    if (!err)
        err = store_exec(conn, &client_end_codes, STORE_PARAMS(STORE_I64(key)), NULL);
    if (!err)
        err = store_exec(conn, &client_end_tokens, STORE_PARAMS(STORE_I64(key), STORE_I64(now_ns)),
                         NULL);
    return err;
}

/* The texts of a client that is only changed need not stay. */
enum { LOOK_ARENA_BYTES_MAX = 256 * 1024 };

static enum err look(struct store_conn *conn, struct span client_id, struct oauth_client *ret)
{
    struct arena arena;
    enum err err;

    arena_init(&arena, NULL, 0, LOOK_ARENA_BYTES_MAX);
    err = oauth_client_find(conn, client_id, &arena, ret);
    arena_reset(&arena);
    return err;
}

enum err oauth_client_set_active(struct store_conn *conn, struct span client_id, bool active,
                                 int64_t now_ns)
{
    struct oauth_client client = {0};
    enum err err = look(conn, client_id, &client);

    if (!err)
        err = store_exec(conn, &client_set_active,
                         STORE_PARAMS(STORE_I64(client.key), STORE_BOOL(active), STORE_I64(now_ns)),
                         NULL);
    if (!err && !active)
        err = end_all(conn, client.key, "client disabled", now_ns);
    return err ? err : tell(conn, client.key, now_ns);
}

static const struct oauth_secret no_secret;

static enum err write_secrets(struct store_conn *conn, int64_t key,
                              const struct oauth_secret *secret, const struct oauth_secret *old,
                              int64_t until_ns, int64_t now_ns)
{
    return store_exec(conn, &client_set_secret,
                      STORE_PARAMS(STORE_I64(key), blob_of(secret, secret->key),
                                   blob_of(secret, secret->hash), blob_of(old, old->key),
                                   blob_of(old, old->hash),
                                   old->set ? STORE_I64(until_ns) : STORE_NULL, STORE_I64(now_ns)),
                      NULL);
}

enum err oauth_client_set_secret(struct store_conn *conn, struct span client_id,
                                 const struct oauth_secret *secret, int64_t until_ns,
                                 int64_t now_ns)
{
    struct oauth_client client = {0};
    enum err err = look(conn, client_id, &client);

    if (!err)
        err = write_secrets(conn, client.key, secret,
                            until_ns > now_ns ? &client.secret : &no_secret, until_ns, now_ns);
    return err ? err : tell(conn, client.key, now_ns);
}

static enum err write_description(struct store_conn *conn, int64_t key,
                                  const struct oauth_client *client, int64_t now_ns)
{
    const char *method = oauth_method_name(client->method);

    return store_exec(
        conn, &client_update,
        STORE_PARAMS(STORE_I64(key), STORE_TEXT(client->name), STORE_TEXT(span_from(method)),
                     STORE_TEXT(text_of(client->grants)), STORE_TEXT(text_of(client->scopes)),
                     STORE_TEXT(text_of(client->roles)), STORE_TEXT(text_of(client->redirect_uris)),
                     STORE_TEXT(text_of(client->logout_uris)),
                     STORE_TEXT_OR_NULL(or_null(client->jwks)),
                     STORE_TEXT_OR_NULL(or_null(client->tls_subject)), STORE_BOOL(client->is_bound),
                     STORE_I64(client->access_s), STORE_I64(client->refresh_s),
                     alg_of(client->access_alg), alg_of(client->id_alg), STORE_I64(now_ns)),
        NULL);
}

enum err oauth_client_update(struct store_conn *conn, const struct oauth_client *client,
                             int64_t now_ns)
{
    struct oauth_client before = {0};
    enum err err = look(conn, client->client_id, &before);

    if (!err)
        err = write_description(conn, before.key, client, now_ns);
    if (!err && before.secret.set != client->secret.set)
        err = write_secrets(conn, before.key, &client->secret, &no_secret, 0, now_ns);
    if (!err && (before.method != client->method || (client->is_bound && !before.is_bound)))
        err = end_all(conn, before.key, "client changed", now_ns);
    return err ? err : tell(conn, before.key, now_ns);
}
