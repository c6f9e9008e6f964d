/* SPDX-License-Identifier: MIT
 * The users table: every statement about it, and rows to structs. */
#include "auth/auth_priv.h"

#define USER_COLUMNS                                                                               \
    "id, username, email, password_hash, is_admin, is_active, created_at, full_name"

/* Both names are asked about in the same transaction that inserts; the unique constraints decide a
 * race that is lost after that. */
static const struct store_statement user_insert = {
    .name = "user_insert",
    .sqlite = "INSERT INTO users (username, username_key, email, email_key, password_hash, "
              "full_name, is_admin, is_active, created_at, updated_at, password_changed_at) "
              "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, TRUE, ?8, ?8, ?8) "
              "ON CONFLICT DO NOTHING RETURNING id"};
static const struct store_statement user_email_taken = {
    .name = "user_email_taken", .sqlite = "SELECT 1 FROM users WHERE email_key = ?1"};
static const struct store_statement user_by_email = {
    .name = "user_by_email", .sqlite = "SELECT " USER_COLUMNS " FROM users WHERE email_key = ?1"};
static const struct store_statement user_by_id = {
    .name = "user_by_id", .sqlite = "SELECT " USER_COLUMNS " FROM users WHERE id = ?1"};
static const struct store_statement user_page = {
    .name = "user_page",
    .sqlite = "SELECT " USER_COLUMNS " FROM users WHERE id > ?1 ORDER BY id LIMIT ?2"};
static const struct store_statement user_count = {.name = "user_count",
                                                  .sqlite = "SELECT count(*) FROM users"};
static const struct store_statement user_other_admin = {
    .name = "user_other_admin",
    .sqlite = "SELECT 1 FROM users WHERE is_admin AND is_active AND id <> ?1 LIMIT 1"};
static const struct store_statement user_set_rights = {
    .name = "user_set_rights",
    .sqlite = "UPDATE users SET is_active = ?2, is_admin = ?3, updated_at = ?4 WHERE id = ?1"};
static const struct store_statement user_set_hash = {
    .name = "user_set_hash",
    .sqlite = "UPDATE users SET password_hash = ?2, updated_at = ?3, password_changed_at = ?3 "
              "WHERE id = ?1"};

static const struct store_statement user_rehash = {
    .name = "user_rehash", .sqlite = "UPDATE users SET password_hash = ?2 WHERE id = ?1"};

struct span auth_key_of(struct span name, struct arena *arena)
{
    struct span trimmed = span_trim(name);
    char *text = arena_bytes(arena, trimmed.len);

    if (text == NULL)
        return (struct span){0};
    for (size_t i = 0; i < trimmed.len; i++)
        text[i] = span_lower_char(trimmed.ptr[i]);
    return span_make(text, trimmed.len);
}

static void user_read(struct store_rows *rows, struct arena *arena, struct auth_user *user)
{
    *user = (struct auth_user){.id = store_rows_i64(rows, 0),
                               .username = store_rows_text(rows, 1, arena),
                               .email = store_rows_text(rows, 2, arena),
                               .password_hash = store_rows_text(rows, 3, arena),
                               .is_admin = store_rows_bool(rows, 4),
                               .is_active = store_rows_bool(rows, 5),
                               .created_at_ns = store_rows_i64(rows, 6),
                               .full_name = store_rows_text(rows, 7, arena)};
}

/* One user or ERR_NOT_FOUND. */
static enum err user_one(struct store_conn *conn, const struct store_statement *statement,
                         struct store_value key, struct arena *arena, struct auth_user *ret_user)
{
    PC_AUTO(store_rows) rows = NULL;
    struct auth_user user;
    enum err err = store_query(conn, statement, &key, 1, &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    user_read(rows, arena, &user);
    err = store_rows_err(rows);
    if (err)
        return err;
    *ret_user = user;
    return ERR_OK;
}

enum err auth_user_by_email(struct store_conn *conn, struct span email, struct arena *arena,
                            struct auth_user *ret_user)
{
    struct span key = auth_key_of(email, arena);

    if (key.ptr == NULL)
        return ERR_NO_MEMORY;
    return user_one(conn, &user_by_email, STORE_TEXT(key), arena, ret_user);
}

enum err auth_user_by_id(struct store_conn *conn, int64_t id, struct arena *arena,
                         struct auth_user *ret_user)
{
    return user_one(conn, &user_by_id, STORE_I64(id), arena, ret_user);
}

static enum err row_exists(struct store_conn *conn, const struct store_statement *statement,
                           struct store_value key, bool *ret_exists)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, statement, &key, 1, &rows);

    if (err)
        return err;
    *ret_exists = store_next(rows);
    return store_rows_err(rows);
}

enum err auth_user_create(struct store_conn *conn, const struct auth_user_new *user, int64_t now_ns,
                          struct arena *arena, int64_t *ret_id, const char **ret_field)
{
    PC_AUTO(store_rows) rows = NULL;
    struct span email_key = auth_key_of(user->email, arena);
    struct span username_key = auth_key_of(user->username, arena);
    bool email_taken;
    enum err err;

    if (email_key.ptr == NULL || username_key.ptr == NULL)
        return ERR_NO_MEMORY;
    err = store_query(conn, &user_insert,
                      STORE_PARAMS(STORE_TEXT(user->username), STORE_TEXT(username_key),
                                   STORE_TEXT(user->email), STORE_TEXT(email_key),
                                   STORE_TEXT(user->password_hash),
                                   STORE_TEXT_OR_NULL(user->full_name), STORE_BOOL(user->is_admin),
                                   STORE_I64(now_ns)),
                      &rows);
    if (err)
        return err;
    if (store_next(rows)) {
        *ret_id = store_rows_i64(rows, 0);
        while (store_next(rows))
            PC_WRONG("one insert, two rows");
        return store_rows_err(rows);
    }
    err = store_rows_err(rows);
    if (err)
        return err;
    err = row_exists(conn, &user_email_taken, STORE_TEXT(email_key), &email_taken);
    if (err)
        return err;
    *ret_field = email_taken ? "email" : "username";
    return ERR_TAKEN;
}

enum err auth_user_list(struct store_conn *conn, int64_t after, size_t limit, struct arena *arena,
                        struct auth_user **ret_users, size_t *ret_count)
{
    PC_AUTO(store_rows) rows = NULL;
    struct auth_user *users = arena_array(arena, limit, sizeof(*users));
    size_t count = 0;
    enum err err;

    if (users == NULL)
        return ERR_NO_MEMORY;
    err = store_query(conn, &user_page, STORE_PARAMS(STORE_I64(after), STORE_I64((int64_t)limit)),
                      &rows);
    if (err)
        return err;
    while (count < limit && store_next(rows))
        user_read(rows, arena, &users[count++]);
    err = store_rows_err(rows);
    if (err)
        return err;
    *ret_users = users;
    *ret_count = count;
    return ERR_OK;
}

enum err auth_user_count(struct store_conn *conn, int64_t *ret_count)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &user_count, NULL, 0, &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_STORE_CORRUPT);
    *ret_count = store_rows_i64(rows, 0);
    return store_rows_err(rows);
}

/* Nobody may take the last active administrator away, by whichever of the two ways. */
static enum err keep_an_admin(struct store_conn *conn, const struct auth_user *before,
                              const struct auth_user *after)
{
    bool another;
    enum err err;

    if (!before->is_admin || !before->is_active || (after->is_admin && after->is_active))
        return ERR_OK;
    err = row_exists(conn, &user_other_admin, STORE_I64(before->id), &another);
    if (err)
        return err;
    return another ? ERR_OK : ERR_LAST_ADMIN;
}

enum err auth_user_update(struct store_conn *conn, int64_t id,
                          const struct auth_user_change *change, int64_t now_ns,
                          struct arena *arena, struct auth_user *ret_user)
{
    struct auth_user before = {0};
    struct auth_user after;
    enum err err = auth_user_by_id(conn, id, arena, &before);

    if (err)
        return err;
    after = before;
    if (change->sets_active)
        after.is_active = change->is_active;
    if (change->sets_admin)
        after.is_admin = change->is_admin;
    err = keep_an_admin(conn, &before, &after);
    if (err)
        return err;
    err = store_exec(conn, &user_set_rights,
                     STORE_PARAMS(STORE_I64(id), STORE_BOOL(after.is_active),
                                  STORE_BOOL(after.is_admin), STORE_I64(now_ns)),
                     NULL);
    if (err)
        return err;
    if (before.is_active && !after.is_active)
        err = auth_sessions_end_all(conn, id, "deactivated", now_ns);
    else
        err = auth_change_add(conn, id, (struct span){0}, "rights", now_ns);
    if (err)
        return err;
    *ret_user = after;
    return ERR_OK;
}

enum err auth_user_set_password(struct store_conn *conn, int64_t id, struct span hash,
                                int64_t now_ns)
{
    int64_t changed;
    enum err err =
        store_exec(conn, &user_set_hash,
                   STORE_PARAMS(STORE_I64(id), STORE_TEXT(hash), STORE_I64(now_ns)), &changed);

    if (err)
        return err;
    if (changed == 0)
        return ERR_NOT_FOUND;
    return auth_sessions_end_all(conn, id, "password", now_ns);
}

enum err auth_user_rehash(struct store_conn *conn, int64_t id, struct span hash)
{
    return store_exec(conn, &user_rehash, STORE_PARAMS(STORE_I64(id), STORE_TEXT(hash)), NULL);
}
