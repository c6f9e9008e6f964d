/* SPDX-License-Identifier: MIT
 * API keys in the store, and as principals. A key is found by the hash of its text, so what is
 * compared says nothing about a key: whoever could choose a hash would know the key.
 *
 * In the feed of changes a key's subject is minus a number above those of all clients. */
#include "auth/auth_key.h"

#include <string.h>

#include "base/alloc.h"
#include "crypto/digest.h"

#define KEY_COLUMNS "id, owner, scopes, roles, created_at, expires_at, revoked_at"

/* Above every client's key: two kinds of subjects on one feed. */
#define KEY_SUBJECT_FIRST (INT64_C(1) << 40)

enum { RAW_BYTES = 32, NAME_BYTES_MAX = 64 };

static const struct span prefix = SPAN("pck_");

static const struct store_statement key_insert = {
    .name = "api_key_insert",
    .sqlite = "INSERT INTO api_keys (hash, owner, scopes, roles, created_at, expires_at) "
              "VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING id"};
static const struct store_statement key_revoke = {
    .name = "api_key_revoke",
    .sqlite = "UPDATE api_keys SET revoked_at = coalesce(revoked_at, ?2) WHERE id = ?1"};
static const struct store_statement key_page = {
    .name = "api_key_page",
    .sqlite = "SELECT " KEY_COLUMNS " FROM api_keys WHERE id > ?1 ORDER BY id LIMIT ?2"};
static const struct store_statement key_by_hash = {
    .name = "api_key_by_hash", .sqlite = "SELECT " KEY_COLUMNS " FROM api_keys WHERE hash = ?1"};

/* ---- what a key is ---- */

void auth_key_make(const struct random_source *random, char ret_text[AUTH_KEY_TEXT_BYTES])
{
    struct sbuf out = sbuf_over(ret_text, AUTH_KEY_TEXT_BYTES);
    unsigned char raw[RAW_BYTES];

    random_fill(random, raw, sizeof(raw));
    sbuf_add(&out, prefix);
    crypto_base64url_add(&out, span_make(raw, sizeof(raw)));
    alloc_wipe(raw, sizeof(raw));
    PC_ASSERT(!out.full && out.len == AUTH_KEY_TEXT_BYTES);
}

static bool is_form(struct span text)
{
    unsigned char raw[RAW_BYTES];
    size_t bytes;
    bool good = text.len == AUTH_KEY_TEXT_BYTES && span_starts(text, prefix) &&
                crypto_base64url_decode(span_slice(text, prefix.len, text.len), raw, sizeof(raw),
                                        &bytes) == ERR_OK;

    alloc_wipe(raw, sizeof(raw));
    return good;
}

static bool is_visible(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] <= ' ' || s.ptr[i] > '~' || s.ptr[i] == '"' || s.ptr[i] == '\\')
            return false;
    }
    return true;
}

static bool is_list(struct span list)
{
    struct span name;

    if (list.len > AUTH_KEY_NAMES_BYTES_MAX)
        return false;
    while (list.len > 0) {
        if (!span_cut(&list, ' ', &name) || name.len == 0 || name.len > NAME_BYTES_MAX ||
            !is_visible(name))
            return false;
    }
    return true;
}

const char *auth_key_flaw(const struct auth_key *key)
{
    if (key->owner.len == 0 || key->owner.len > AUTH_KEY_OWNER_BYTES_MAX || !is_visible(key->owner))
        return "owner";
    if (!is_list(key->scopes))
        return "scopes";
    if (!is_list(key->roles))
        return "roles";
    return key->expires_at_ns != 0 && key->expires_at_ns <= key->created_at_ns ? "expiry" : NULL;
}

/* ---- the store ---- */

enum err auth_key_create(struct store_conn *conn, const struct auth_key *key, struct span text,
                         int64_t *ret_id)
{
    PC_AUTO(store_rows) rows = NULL;
    unsigned char hash[CRYPTO_SHA256_BYTES];
    struct store_value expiry =
        key->expires_at_ns != 0 ? STORE_I64(key->expires_at_ns) : STORE_NULL;
    enum err err;

    if (auth_key_flaw(key) != NULL || !is_form(text))
        return ERR_VALIDATION;
    crypto_sha256(text, hash);
    err = store_query(conn, &key_insert,
                      STORE_PARAMS(STORE_BLOB(span_make(hash, sizeof(hash))),
                                   STORE_TEXT(key->owner), STORE_TEXT(key->scopes),
                                   STORE_TEXT(key->roles), STORE_I64(key->created_at_ns), expiry),
                      &rows);
    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_STORE_CORRUPT);
    *ret_id = store_rows_i64(rows, 0);
    return store_rows_err(rows);
}

enum err auth_key_revoke(struct store_conn *conn, int64_t id, int64_t now_ns)
{
    int64_t changed = 0;
    enum err err =
        store_exec(conn, &key_revoke, STORE_PARAMS(STORE_I64(id), STORE_I64(now_ns)), &changed);

    if (err)
        return err;
    if (changed == 0)
        return ERR_NOT_FOUND;
    return auth_change_add(conn, -(KEY_SUBJECT_FIRST + id), (struct span){0}, "apikey", now_ns);
}

static void key_read(struct store_rows *rows, struct arena *arena, struct auth_key *key)
{
    *key = (struct auth_key){.id = store_rows_i64(rows, 0),
                             .owner = store_rows_text(rows, 1, arena),
                             .scopes = store_rows_text(rows, 2, arena),
                             .roles = store_rows_text(rows, 3, arena),
                             .created_at_ns = store_rows_i64(rows, 4),
                             .expires_at_ns = store_rows_i64_or(rows, 5, 0),
                             .revoked_at_ns = store_rows_i64_or(rows, 6, 0)};
}

enum err auth_key_list(struct store_conn *conn, int64_t after, size_t limit, struct arena *arena,
                       struct auth_key **ret_keys, size_t *ret_count)
{
    PC_AUTO(store_rows) rows = NULL;
    struct auth_key *keys = arena_array(arena, limit + 1, sizeof(*keys));
    size_t count = 0;
    enum err err;

    if (keys == NULL)
        return ERR_NO_MEMORY;
    err = store_query(conn, &key_page, STORE_PARAMS(STORE_I64(after), STORE_I64((int64_t)limit)),
                      &rows);
    if (err)
        return err;
    while (count < limit && store_next(rows))
        key_read(rows, arena, &keys[count++]);
    err = store_rows_err(rows);
    if (err)
        return err;
    *ret_keys = keys;
    *ret_count = count;
    return arena->overflowed ? ERR_NO_MEMORY : ERR_OK;
}

/* ---- the port of http/ ------------------------------------------------------------------------
 */

/* On the loop: the form, and the hash that the store is asked for. */
static enum err identity_verify(void *context, struct span text, int64_t now_s, struct arena *arena,
                                struct http_principal *ret_principal)
{
    unsigned char hash[CRYPTO_SHA256_BYTES];
    struct span kept;

    (void)context;
    (void)now_s;
    if (!is_form(text))
        return ERR_TOKEN_INVALID;
    crypto_sha256(text, hash);
    kept = arena_copy(arena, span_make(hash, sizeof(hash)));
    if (kept.ptr == NULL)
        return ERR_NO_MEMORY;
    *ret_principal = (struct http_principal){.kind = HTTP_TOKEN_KEY, .token_id = kept};
    return ERR_OK;
}

static struct span numbered(const char *before, int64_t id, struct arena *arena)
{
    struct sbuf out = sbuf_on(arena, 32);

    sbuf_add_text(&out, before);
    sbuf_add_i64(&out, id);
    return out.full ? (struct span){0} : sbuf_span(&out);
}

static enum err principal_of(const struct auth_key *key, int64_t now_ns, struct arena *arena,
                             struct http_principal *principal)
{
    struct http_principal now = {
        .kind = HTTP_TOKEN_KEY,
        .client_key = KEY_SUBJECT_FIRST + key->id,
        .subject = key->owner,
        .token_id = numbered("", key->id, arena),
        .client_id = numbered("key:", key->id, arena),
        .scope = key->scopes,
        .roles = key->roles,
        .issued_at_s = key->created_at_ns / CLOCK_NS_PER_S,
        .expires_at_s = key->expires_at_ns != 0 ? key->expires_at_ns / CLOCK_NS_PER_S : INT64_MAX};

    if (now.client_id.ptr == NULL || key->owner.ptr == NULL || key->scopes.ptr == NULL ||
        key->roles.ptr == NULL)
        return ERR_NO_MEMORY;
    if (key->revoked_at_ns != 0)
        return ERR_TOKEN_REVOKED;
    if (key->expires_at_ns != 0 && key->expires_at_ns <= now_ns)
        return ERR_TOKEN_EXPIRED;
    *principal = now;
    return ERR_OK;
}

static enum err identity_load(void *context, struct store_conn *conn, struct arena *arena,
                              struct http_principal *principal)
{
    PC_AUTO(store_rows) rows = NULL;
    const struct clock *const *clock = context;
    struct auth_key key;
    enum err err =
        store_query(conn, &key_by_hash, STORE_PARAMS(STORE_BLOB(principal->token_id)), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_TOKEN_INVALID);
    key_read(rows, arena, &key);
    err = store_rows_err(rows);
    return err ? err : principal_of(&key, clock_realtime_ns(*clock), arena, principal);
}

struct http_identity auth_key_identity(const struct clock **clock)
{
    return (struct http_identity){
        .context = clock, .verify = identity_verify, .load = identity_load};
}
