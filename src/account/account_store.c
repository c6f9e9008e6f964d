/* SPDX-License-Identifier: MIT
 * The accounts table, and what of the ledger's stands beside each of its rows. A list is read along
 * the index of what narrows it most: a user, a type, a currency, a state, or none of them. */
#include "account/account_priv.h"

#include "ledger/ledger_call.h"

#define COLUMNS                                                                                    \
    "a.id, l.user_id, a.account_number, a.account_type, l.currency, l.state, l.posted, "           \
    "a.created_at, a.updated_at FROM ledger_accounts l JOIN accounts a ON a.id = l.id "

static const struct store_statement account_by_id = {.name = "account_by_id",
                                                     .sqlite = "SELECT " COLUMNS "WHERE a.id = ?1"};

/* ?1 user, ?2 type, ?3 currency, ?4 state, ?5 the id behind which the page begins, ?6 how many. The
 * first of a statement's filters is the one that its index is for; NULL in another is any. */
#define ANY_USER     "AND (CAST(?1 AS bigint) IS NULL OR l.user_id = ?1) "
#define ANY_TYPE     "AND (CAST(?2 AS text) IS NULL OR a.account_type = ?2) "
#define ANY_CURRENCY "AND (CAST(?3 AS text) IS NULL OR l.currency = ?3) "
#define ANY_STATE    "AND (CAST(?4 AS text) IS NULL OR l.state = ?4) "

static const struct store_statement account_page_by_user = {
    .name = "account_page_by_user",
    .sqlite =
        "SELECT " COLUMNS "WHERE l.user_id = ?1 AND l.id < ?5 " ANY_TYPE ANY_CURRENCY ANY_STATE
        "ORDER BY l.id DESC LIMIT ?6"};
static const struct store_statement account_page_by_type = {
    .name = "account_page_by_type",
    .sqlite =
        "SELECT " COLUMNS "WHERE a.account_type = ?2 AND a.id < ?5 " ANY_USER ANY_CURRENCY ANY_STATE
        "ORDER BY a.id DESC LIMIT ?6"};
static const struct store_statement account_page_by_currency = {
    .name = "account_page_by_currency",
    .sqlite = "SELECT " COLUMNS "WHERE l.currency = ?3 AND l.id < ?5 " ANY_USER ANY_TYPE ANY_STATE
              "ORDER BY l.id DESC LIMIT ?6"};
static const struct store_statement account_page_by_state = {
    .name = "account_page_by_state",
    .sqlite = "SELECT " COLUMNS "WHERE l.state = ?4 AND l.id < ?5 " ANY_USER ANY_TYPE ANY_CURRENCY
              "ORDER BY l.id DESC LIMIT ?6"};
static const struct store_statement account_page_of_all = {
    .name = "account_page_of_all",
    .sqlite = "SELECT " COLUMNS "WHERE a.id < ?5 " ANY_USER ANY_TYPE ANY_CURRENCY ANY_STATE
              "ORDER BY a.id DESC LIMIT ?6"};

static const struct store_statement account_by_number = {
    .name = "account_by_number", .sqlite = "SELECT 1 FROM accounts WHERE number_key = ?1"};
static const struct store_statement account_insert = {
    .name = "account_insert",
    .sqlite = "INSERT INTO accounts (id, account_number, number_key, account_type, created_at, "
              "updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5) ON CONFLICT DO NOTHING"};
static const struct store_statement account_update = {
    .name = "account_update",
    .sqlite = "UPDATE accounts SET account_type = ?2, updated_at = ?3 WHERE id = ?1"};
static const struct store_statement account_head = {
    .name = "account_head", .sqlite = "SELECT seq, at FROM ledger_head WHERE id = 1"};

/* Whatever is not one of them is damage. */
static enum err state_of(struct span name, enum ledger_state *ret_state)
{
    for (size_t i = 0; i < LEDGER_STATE_COUNT; i++) {
        if (span_is(name, ledger_states[i])) {
            *ret_state = (enum ledger_state)i;
            return ERR_OK;
        }
    }
    return ERR_STORE_CORRUPT;
}

/* What the store says is checked again: without a currency there are no decimals to show. */
static enum err account_read(struct store_rows *rows, struct arena *arena,
                             struct account *ret_account)
{
    *ret_account = (struct account){.id = store_rows_i64(rows, 0),
                                    .user_id = store_rows_i64(rows, 1),
                                    .number = store_rows_text(rows, 2, arena),
                                    .type = store_rows_text(rows, 3, arena),
                                    .currency = currency_from_code(store_rows_text(rows, 4, NULL)),
                                    .posted = store_rows_i64(rows, 6),
                                    .created_at_ns = store_rows_i64(rows, 7),
                                    .updated_at_ns = store_rows_i64(rows, 8)};
    if (ret_account->currency == CURRENCY_NONE)
        return ERR_STORE_CORRUPT;
    if (arena->overflowed)
        return ERR_NO_MEMORY;
    return state_of(store_rows_text(rows, 5, NULL), &ret_account->state);
}

enum err account_find(struct store_conn *conn, int64_t id, struct arena *arena,
                      struct account *ret_account)
{
    PC_AUTO(store_rows) rows = NULL;
    struct account account;
    enum err err = store_query(conn, &account_by_id, STORE_PARAMS(STORE_I64(id)), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    err = account_read(rows, arena, &account);
    if (err || store_rows_err(rows))
        return store_rows_end(rows, err);
    *ret_account = account;
    return ERR_OK;
}

enum err account_find_seen(struct http_request *req, int64_t id, struct account *ret_account)
{
    struct account account = {0};
    enum err err = account_find(req->store, id, req->arena, &account);

    if (err)
        return err;
    if (!account_is_seen(req->principal, account.user_id))
        return ledger_not_owner(req, "account:", id);
    *ret_account = account;
    return ERR_OK;
}

static const struct store_statement *page_of(const struct account_filter *filter)
{
    if (filter->user_id != 0)
        return &account_page_by_user;
    if (filter->type.ptr != NULL)
        return &account_page_by_type;
    if (filter->currency.ptr != NULL)
        return &account_page_by_currency;
    return filter->status.ptr != NULL ? &account_page_by_state : &account_page_of_all;
}

enum err account_list(struct store_conn *conn, const struct account_filter *filter,
                      struct arena *arena, struct account **ret_accounts, size_t *ret_count)
{
    PC_AUTO(store_rows) rows = NULL;
    struct account *accounts = arena_array(arena, filter->limit, sizeof(*accounts));
    size_t count = 0;
    enum err err;

    if (accounts == NULL)
        return ERR_NO_MEMORY;
    err = store_query(conn, page_of(filter),
                      STORE_PARAMS(filter->user_id != 0 ? STORE_I64(filter->user_id) : STORE_NULL,
                                   STORE_TEXT_OR_NULL(filter->type),
                                   STORE_TEXT_OR_NULL(filter->currency),
                                   STORE_TEXT_OR_NULL(filter->status), STORE_I64(filter->before),
                                   STORE_I64((int64_t)filter->limit)),
                      &rows);
    while (err == ERR_OK && count < filter->limit && store_next(rows))
        err = account_read(rows, arena, &accounts[count++]);
    if (err == ERR_OK)
        err = store_rows_err(rows);
    if (err)
        return err;
    *ret_accounts = accounts;
    *ret_count = count;
    return ERR_OK;
}

enum err account_number_taken(struct store_conn *conn, struct span key, bool *ret_taken)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &account_by_number, STORE_PARAMS(STORE_TEXT(key)), &rows);

    if (err)
        return err;
    *ret_taken = store_next(rows);
    return store_rows_err(rows);
}

enum err account_add(struct store_conn *conn, const struct account *account, struct span number_key)
{
    int64_t changed = 0;
    enum err err = store_exec(conn, &account_insert,
                              STORE_PARAMS(STORE_I64(account->id), STORE_TEXT(account->number),
                                           STORE_TEXT(number_key), STORE_TEXT(account->type),
                                           STORE_I64(account->created_at_ns)),
                              &changed);

    if (err)
        return err;
    return changed == 1 ? ERR_OK : ERR_TAKEN;
}

enum err account_set_type(struct store_conn *conn, int64_t id, struct span type, int64_t now_ns)
{
    return store_exec(conn, &account_update,
                      STORE_PARAMS(STORE_I64(id), STORE_TEXT(type), STORE_I64(now_ns)), NULL);
}

enum err account_ledger_head(struct store_conn *conn, int64_t *ret_seq, int64_t *ret_at_ns)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &account_head, NULL, 0, &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_STORE_CORRUPT);
    *ret_seq = store_rows_i64(rows, 0);
    *ret_at_ns = store_rows_i64(rows, 1);
    return store_rows_err(rows);
}
