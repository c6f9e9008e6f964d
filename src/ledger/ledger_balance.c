/* SPDX-License-Identifier: MIT
 * Balances now and then. An entry holds the balances behind it, so the past is a look into an
 * index; by effective date, what was posted later for an earlier day is added. */
#include "ledger/ledger_priv.h"

/* ---- now --------------------------------------------------------------------------------------
 */

#define DUE_SUM(account_column)                                                                    \
    "(SELECT coalesce(sum(h.amount - h.captured), 0) FROM ledger_holds h WHERE h." account_column  \
    " = a.id AND h.ended_seq IS NULL AND h.expires_at <= ?2)"

#define NOW_TEXT(cast)                                                                             \
    "SELECT a.user_id, a.currency, a.state, a.posted, a.held - " DUE_SUM("account_id") cast        \
        ", a.incoming - " DUE_SUM("to_account_id") cast                                            \
        ", a.credit_limit, a.seq FROM ledger_accounts a WHERE a.id = ?1"

static const struct store_statement account_now = {
    .name = "ledger_account_now", .sqlite = NOW_TEXT(""), .postgres = NOW_TEXT("::bigint")};

static enum err now_take(struct store_rows *rows, int64_t id, struct ledger_account *ret_account)
{
    struct ledger_account account = {.id = id};
    bool known;

    account.user_id = store_rows_i64_or(rows, 0, 0);
    account.currency = currency_from_code(store_rows_text(rows, 1, NULL));
    known = ledger_state_read(store_rows_text(rows, 2, NULL), &account.state);
    account.posted = store_rows_i64(rows, 3);
    account.held = store_rows_i64(rows, 4);
    account.incoming = store_rows_i64(rows, 5);
    account.credit_limit = store_rows_i64(rows, 6);
    account.seq = store_rows_i64(rows, 7);
    if (store_rows_err(rows))
        return store_rows_err(rows);
    if (!known || account.currency == CURRENCY_NONE || account.held < 0 || account.incoming < 0)
        return ERR_STORE_CORRUPT;
    *ret_account = account;
    return ERR_OK;
}

enum err ledger_account_get(struct ledger *ledger, struct store_conn *conn, int64_t id,
                            struct ledger_account *ret_account)
{
    int64_t now = clock_realtime_ns(ledger->options.clock);
    PC_AUTO(store_rows) rows = NULL;
    enum err err =
        store_query(conn, &account_now, STORE_PARAMS(STORE_I64(id), STORE_I64(now)), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    return now_take(rows, id, ret_account);
}

/* ---- then -------------------------------------------------------------------------------------
 */

static const struct store_statement last_entry = {
    .name = "ledger_last_entry", .sqlite = "SELECT seq FROM ledger_accounts WHERE id = ?1"};

/* The last of a part, ?2 to ?3. */
#define ENTRY_BEFORE                                                                               \
    "SELECT posted_after, held_after, incoming_after, seq FROM ledger_entries "                    \
    "WHERE account_id = ?1 AND seq >= ?2 AND seq < ?3 "
static const struct store_statement entry_before = {
    .name = "ledger_entry_before",
    .sqlite = ENTRY_BEFORE "AND " LEDGER_IN_PARTITION("seq", "?2") " ORDER BY seq DESC LIMIT 1",
    .postgres = ENTRY_BEFORE "ORDER BY seq DESC LIMIT 1"};

/* The last posting of that moment. Times rise with the numbers. */
static const struct store_statement seq_at = {
    .name = "ledger_seq_at",
    .sqlite = "SELECT seq FROM ledger_posts WHERE at <= ?1 ORDER BY at DESC LIMIT 1"};

/* What was posted later, up to ?3, for a day that lies before: few among all. */
#define BACKDATED                                                                                  \
    "FROM ledger_posts p JOIN ledger_entries e ON e.account_id = ?1 AND e.seq = p.seq "            \
    "WHERE p.effective_at < p.at AND p.seq > ?2 AND p.seq <= ?3 AND p.effective_at <= ?4"

/* In two halves, so that no sum on the way leaves 64 bits. */
#define BACKDATED_SUMS(cast)                                                                       \
    "SELECT coalesce(sum(e.posted >> 32), 0)" cast                                                 \
    ", coalesce(sum(e.posted & 4294967295), 0)" cast ", coalesce(max(e.seq), 0) " BACKDATED

static const struct store_statement backdated = {.name = "ledger_backdated",
                                                 .sqlite = BACKDATED_SUMS(""),
                                                 .postgres = BACKDATED_SUMS("::bigint")};

static enum err read_last(struct store_conn *conn, int64_t account_id, int64_t *ret_seq)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &last_entry, STORE_PARAMS(STORE_I64(account_id)), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    *ret_seq = store_rows_i64(rows, 0);
    return store_rows_err(rows);
}

/* Leaves the balance as it is if there is none. */
static enum err read_before(struct store_conn *conn, int64_t account_id,
                            const struct ledger_window *part, struct ledger_balance *balance)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(
        conn, &entry_before,
        STORE_PARAMS(STORE_I64(account_id), STORE_I64(part->from), STORE_I64(part->below)), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_err(rows);
    balance->posted = store_rows_i64(rows, 0);
    balance->held = store_rows_i64(rows, 1);
    balance->incoming = store_rows_i64(rows, 2);
    balance->seq = store_rows_i64(rows, 3);
    return store_rows_err(rows);
}

static enum err read_entry(struct store_conn *conn, int64_t account_id, int64_t seq,
                           struct ledger_balance *balance)
{
    struct ledger_walk walk = {.conn = conn, .id = account_id, .rest = {.from = 1}};
    struct ledger_window part;
    bool found = true;
    int64_t last = 0;
    enum err err = read_last(conn, account_id, &last);

    walk.rest.below = (seq < last ? seq : last) + 1;
    *balance = (struct ledger_balance){0};
    while (err == ERR_OK && found && balance->seq == 0) {
        err = ledger_walk_next(&walk, &part, &found);
        if (err == ERR_OK && found)
            err = read_before(conn, account_id, &part, balance);
    }
    return err;
}

static enum err read_seq(struct store_conn *conn, int64_t at_ns, int64_t *ret_seq)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &seq_at, STORE_PARAMS(STORE_I64(at_ns)), &rows);

    if (err)
        return err;
    *ret_seq = 0;
    if (!store_next(rows))
        return store_rows_err(rows);
    *ret_seq = store_rows_i64(rows, 0);
    return store_rows_err(rows);
}

static enum err add_backdated(struct store_conn *conn, int64_t account_id, int64_t after,
                              int64_t seq, int64_t effective_at, struct ledger_balance *balance)
{
    PC_AUTO(store_rows) rows = NULL;
    ledger_wide posted = balance->posted;
    int64_t last;
    enum err err = store_query(conn, &backdated,
                               STORE_PARAMS(STORE_I64(account_id), STORE_I64(after), STORE_I64(seq),
                                            STORE_I64(effective_at)),
                               &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_STORE_CORRUPT);
    posted += (ledger_wide)store_rows_i64(rows, 0) * 4294967296 + store_rows_i64(rows, 1);
    last = store_rows_i64(rows, 2);
    if (last > balance->seq)
        balance->seq = last;
    if (posted > INT64_MAX || posted < INT64_MIN)
        return store_rows_end(rows, ERR_BALANCE_RANGE);
    balance->posted = (int64_t)posted;
    return store_rows_err(rows);
}

/* What was known behind `seq` of the moment `effective_at`: all that had been posted by then, and
 * what came later but counts for it. */
static enum err read_effective(struct store_conn *conn, int64_t account_id, int64_t seq,
                               int64_t effective_at, struct ledger_balance *balance)
{
    int64_t by_then = 0;
    enum err err = read_seq(conn, effective_at, &by_then);

    if (err == ERR_OK)
        err = read_entry(conn, account_id, by_then < seq ? by_then : seq, balance);
    if (err || by_then >= seq)
        return err;
    return add_backdated(conn, account_id, by_then, seq, effective_at, balance);
}

enum err ledger_balance_at(struct store_conn *conn, int64_t account_id,
                           const struct ledger_moment *moment, struct ledger_balance *ret_balance)
{
    struct ledger_balance balance = {0};
    int64_t seq = moment->seq == 0 ? INT64_MAX : moment->seq;
    int64_t by_then = INT64_MAX;
    enum err err = ERR_OK;

    if (moment->at_ns != 0)
        err = read_seq(conn, moment->at_ns, &by_then);
    if (err)
        return err;
    seq = by_then < seq ? by_then : seq;
    if (moment->effective_at_ns != 0)
        err = read_effective(conn, account_id, seq, moment->effective_at_ns, &balance);
    else
        err = read_entry(conn, account_id, seq, &balance);
    if (err == ERR_OK)
        *ret_balance = balance;
    return err;
}
