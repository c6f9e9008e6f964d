/* SPDX-License-Identifier: MIT
 * Transactions beside what they moved: their status, amount, direction, account and currency. */
#include "ledger/ledger_check_priv.h"

static const struct store_statement transactions_scan = {
    .name = "ledger_check_transactions",
    .sqlite =
        "SELECT t.id, t.account_id, t.amount, t.currency, t.direction, t.status, t.hold_seq, "
        "t.posted_seq, a.currency, p.kind, p.transaction_id, e.posted, h.account_id, h.amount, "
        "h.ended_seq, EXISTS (SELECT 1 FROM ledger_posts r WHERE r.refers_to = t.posted_seq "
        "AND r.kind = 'reversal'), t.created_at, t.updated_at, h.expires_at "
        "FROM transactions t LEFT JOIN ledger_accounts a ON a.id = t.account_id "
        "LEFT JOIN ledger_posts p ON p.seq = t.posted_seq "
        "LEFT JOIN ledger_entries e ON e.account_id = t.account_id AND e.seq = t.posted_seq "
        "LEFT JOIN ledger_holds h ON h.seq = t.hold_seq "
        "WHERE t.id > ?1 ORDER BY t.id LIMIT ?2"};

struct transaction {
    int64_t id, account, amount;
    bool debit;
    struct span status;
};

static void posted_agrees(struct ledger_check *check, const struct transaction *transaction,
                          struct store_rows *rows)
{
    int64_t seq = store_rows_i64_or(rows, 7, 0);
    int64_t posted = store_rows_i64_or(rows, 11, 0);
    int64_t wanted = transaction->debit ? -transaction->amount : transaction->amount;
    bool is_done =
        span_is(transaction->status, "completed") || span_is(transaction->status, "reversed");
    enum ledger_kind kind = ledger_kind_read(store_rows_text(rows, 9, NULL));

    if (is_done != (seq != 0))
        ledger_check_fault(check, LEDGER_I10, "transaction %lld: is %.*s, names posting %lld",
                           (long long)transaction->id, SPAN_ARG(transaction->status),
                           (long long)seq);
    if (seq == 0)
        return;
    if ((kind != LEDGER_TRANSACTION && kind != LEDGER_CAPTURE) ||
        store_rows_i64_or(rows, 10, 0) != transaction->id)
        ledger_check_fault(
            check, LEDGER_I10, "transaction %lld: names posting %lld, which is of transaction %lld",
            (long long)transaction->id, (long long)seq, (long long)store_rows_i64_or(rows, 10, 0));
    if (posted != wanted)
        ledger_check_fault(
            check, LEDGER_I10, "transaction %lld: of %lld, its posting %lld moved %lld",
            (long long)transaction->id, (long long)wanted, (long long)seq, (long long)posted);
}

static void hold_agrees(struct ledger_check *check, const struct transaction *transaction,
                        struct store_rows *rows)
{
    int64_t seq = store_rows_i64_or(rows, 6, 0);
    bool is_pending = span_is(transaction->status, "pending");

    if (seq == 0)
        return;
    if (!transaction->debit || store_rows_i64_or(rows, 12, 0) != transaction->account ||
        store_rows_i64_or(rows, 13, 0) != transaction->amount)
        ledger_check_fault(check, LEDGER_I10,
                           "transaction %lld: of %lld on account %lld, its hold %lld is of %lld "
                           "on account %lld",
                           (long long)transaction->id, (long long)transaction->amount,
                           (long long)transaction->account, (long long)seq,
                           (long long)store_rows_i64_or(rows, 13, 0),
                           (long long)store_rows_i64_or(rows, 12, 0));
    /* One that had expired by itself is ended later. */
    if (!is_pending && store_rows_null(rows, 14) &&
        store_rows_i64_or(rows, 18, INT64_MAX) > store_rows_i64(rows, 17))
        ledger_check_fault(check, LEDGER_I10, "transaction %lld: is %.*s, its hold %lld is open",
                           (long long)transaction->id, SPAN_ARG(transaction->status),
                           (long long)seq);
}

static void transaction_one(struct ledger_check *check, const struct ledger_scan *scan)
{
    struct store_rows *rows = scan->rows;
    const struct transaction transaction = {
        .id = scan->key[0],
        .account = store_rows_i64(rows, 1),
        .amount = store_rows_i64(rows, 2),
        .debit = span_is(store_rows_text(rows, 4, NULL), "debit"),
        .status = store_rows_text(rows, 5, NULL),
    };

    if (transaction.id != ++check->summary.transactions)
        ledger_check_fault(check, LEDGER_I8, "transaction %lld: %lld is missing",
                           (long long)transaction.id, (long long)check->summary.transactions);
    check->summary.transactions = transaction.id;
    if (!span_equal(store_rows_text(rows, 3, NULL), store_rows_text(rows, 8, NULL)))
        ledger_check_fault(check, LEDGER_I10,
                           "transaction %lld: its currency is not that of account %lld",
                           (long long)transaction.id, (long long)transaction.account);
    posted_agrees(check, &transaction, rows);
    hold_agrees(check, &transaction, rows);
    if (span_is(transaction.status, "reversed") && !store_rows_bool(rows, 15))
        ledger_check_fault(check, LEDGER_I10, "transaction %lld: is reversed, but no posting is",
                           (long long)transaction.id);
    if (store_rows_i64(rows, 17) < store_rows_i64(rows, 16))
        ledger_check_fault(check, LEDGER_I8, "transaction %lld: made at %lld, changed at %lld",
                           (long long)transaction.id, (long long)store_rows_i64(rows, 16),
                           (long long)store_rows_i64(rows, 17));
}

enum err ledger_check_transactions(struct ledger_check *check)
{
    struct ledger_scan scan;
    enum err err;

    ledger_scan_begin(&scan, check->conn, &transactions_scan, 1);
    for (; !scan.over; ledger_scan_next(&scan))
        transaction_one(check, &scan);
    err = ledger_scan_end(&scan);
    if (err == ERR_OK && check->head_transaction_id != check->summary.transactions)
        ledger_check_fault(check, LEDGER_I8, "the head says transaction %lld, the last is %lld",
                           (long long)check->head_transaction_id,
                           (long long)check->summary.transactions);
    return err;
}
