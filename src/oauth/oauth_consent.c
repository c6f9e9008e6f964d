/* SPDX-License-Identifier: MIT
 * What a user has let a client do, so that they are not asked again for the same. */
#include "oauth/oauth_page_priv.h"

enum { SCOPE_BYTES_MAX = 1024 };

static const struct store_statement consent_find = {
    .name = "oauth_consent_find",
    .sqlite = "SELECT scope FROM oauth_consents WHERE user_id = ?1 AND client = ?2"};
static const struct store_statement consent_put = {
    .name = "oauth_consent_put",
    .sqlite = "INSERT INTO oauth_consents (user_id, client, scope, given_at) "
              "VALUES (?1, ?2, ?3, ?4) ON CONFLICT (user_id, client) DO UPDATE "
              "SET scope = excluded.scope, given_at = excluded.given_at"};

enum err oauth_consent_find(struct store_conn *conn, int64_t user_id, int64_t client_key,
                            struct arena *arena, struct span *ret_scope)
{
    PC_AUTO(store_rows) rows = NULL;
    struct span scope = SPAN("");
    enum err err = store_query(conn, &consent_find,
                               STORE_PARAMS(STORE_I64(user_id), STORE_I64(client_key)), &rows);

    if (err)
        return err;
    if (store_next(rows))
        scope = store_rows_text(rows, 0, arena);
    err = store_rows_err(rows);
    if (err)
        return err;
    *ret_scope = scope;
    return ERR_OK;
}

/* Every name of either, once. */
static enum err join(struct span a, struct span b, struct arena *arena, struct span *ret_both)
{
    struct sbuf out = sbuf_on(arena, SCOPE_BYTES_MAX);
    struct span name;

    sbuf_add(&out, a);
    while (span_cut(&b, ' ', &name)) {
        if (oauth_list_has(a, name))
            continue;
        if (out.len > 0)
            sbuf_add_char(&out, ' ');
        sbuf_add(&out, name);
    }
    return sbuf_finish(&out, ret_both);
}

enum err oauth_consent_add(struct store_conn *conn, int64_t user_id, int64_t client_key,
                           struct span scope, int64_t now_ns, struct arena *arena)
{
    struct span before;
    struct span both;
    enum err err = oauth_consent_find(conn, user_id, client_key, arena, &before);

    if (err)
        return err;
    err = join(before, scope, arena, &both);
    if (err)
        return err;
    return store_exec(conn, &consent_put,
                      STORE_PARAMS(STORE_I64(user_id), STORE_I64(client_key), STORE_TEXT(both),
                                   STORE_I64(now_ns)),
                      NULL);
}
