/* SPDX-License-Identifier: MIT
 * Scopes and roles: what there is, and who may hold what. A scope says what a token may do, a role
 * what somebody is; both are lists of names with one space between. */
#include "auth/auth_priv.h"

enum { LIST_BYTES_MAX = 1024 };

/* Contract, sections 3 and 4. */
const struct auth_scope auth_scopes[] = {
    {"openid", NULL, "Know who you are"},
    {"profile", NULL, "See your name, username and e-mail address"},
    {"email", NULL, "See your e-mail address"},
    {"offline_access", NULL, "Stay connected while you are away"},
    {"accounts:read", NULL, "See your accounts and their balances"},
    {"accounts:write", NULL, "Open, change and close your accounts"},
    {"transactions:read", NULL, "See your payments"},
    {"transactions:write", NULL, "Move money from your accounts"},
    {"orders:read", NULL, "See your orders"},
    {"orders:write", NULL, "Place and cancel orders for you"},
    {"audit:read", "auditor", "Read the audit trail"},
    {"audit:write", "", NULL},
    {"monitoring:read", "auditor admin", "See alerts and the state of the services"},
    {"monitoring:write", "admin", "Take and close alerts"},
    {"admin", "admin", "Administer users and clients"},
    {.name = NULL},
};

const char *const auth_roles[] = {"customer", "payments", "risk", "auditor",
                                  "broker",   "admin",    NULL};

static const struct store_statement user_roles = {
    .name = "user_roles", .sqlite = "SELECT role, is_admin FROM users WHERE id = ?1"};
static const struct store_statement user_set_roles = {
    .name = "user_set_roles",
    .sqlite = "UPDATE users SET role = ?2, updated_at = ?3 WHERE id = ?1"};

static bool list_has(struct span list, struct span name)
{
    for (struct span part; span_cut(&list, ' ', &part);)
        if (part.len > 0 && span_equal(part, name))
            return true;
    return false;
}

static bool lists_meet(struct span a, struct span b)
{
    for (struct span part; span_cut(&a, ' ', &part);)
        if (part.len > 0 && list_has(b, part))
            return true;
    return false;
}

static void list_add(struct sbuf *list, struct span name)
{
    if (list->len > 0)
        sbuf_add_char(list, ' ');
    sbuf_add(list, name);
}

/* An empty list is a text all the same. */
static enum err list_finish(const struct sbuf *list, struct span *ret_list)
{
    if (list->full)
        return ERR_NO_MEMORY;
    *ret_list = list->len > 0 ? sbuf_span(list) : SPAN_OF("");
    return ERR_OK;
}

enum err auth_scopes_of_roles(struct span roles, struct arena *arena, struct span *ret_scopes)
{
    struct sbuf out = sbuf_on(arena, LIST_BYTES_MAX);

    for (const struct auth_scope *scope = auth_scopes; scope->name != NULL; scope++)
        if (scope->roles == NULL || lists_meet(span_from(scope->roles), roles))
            list_add(&out, span_from(scope->name));
    return list_finish(&out, ret_scopes);
}

enum err auth_roles_join(struct span roles, bool is_admin, struct arena *arena,
                         struct span *ret_roles)
{
    struct sbuf out = sbuf_on(arena, LIST_BYTES_MAX);

    for (const char *const *role = auth_roles; *role != NULL; role++) {
        struct span name = span_from(*role);

        if (span_is(name, "admin") ? is_admin : list_has(roles, name))
            list_add(&out, name);
    }
    return list_finish(&out, ret_roles);
}

enum err auth_roles_of_user(struct store_conn *conn, int64_t user_id, struct arena *arena,
                            struct span *ret_roles)
{
    PC_AUTO(store_rows) rows = NULL;
    struct span roles;
    enum err err = store_query(conn, &user_roles, STORE_PARAMS(STORE_I64(user_id)), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    err = auth_roles_join(store_rows_text(rows, 0, NULL), store_rows_bool(rows, 1), arena, &roles);
    if (err || store_rows_err(rows))
        return store_rows_end(rows, err);
    *ret_roles = roles;
    return ERR_OK;
}

/* Every name is a role, and there is at least one. */
static bool are_roles(struct span roles)
{
    size_t count = 0;

    for (struct span part; span_cut(&roles, ' ', &part);) {
        const char *const *role = auth_roles;

        if (part.len == 0)
            continue;
        while (*role != NULL && !span_is(part, *role))
            role++;
        if (*role == NULL)
            return false;
        count++;
    }
    return count > 0;
}

enum err auth_user_set_roles(struct store_conn *conn, int64_t user_id, struct span roles,
                             int64_t now_ns, struct arena *arena, struct auth_user *ret_user)
{
    const struct auth_user_change change = {.is_admin = list_has(roles, SPAN_OF("admin")),
                                            .sets_admin = true};
    struct span kept;
    enum err err;

    if (!are_roles(roles))
        return ERR_VALIDATION;
    err = auth_roles_join(roles, false, arena, &kept);
    if (err)
        return err;
    err = auth_user_update(conn, user_id, &change, now_ns, arena, ret_user);
    if (err)
        return err;
    return store_exec(conn, &user_set_roles,
                      STORE_PARAMS(STORE_I64(user_id), STORE_TEXT(kept), STORE_I64(now_ns)), NULL);
}
