/* SPDX-License-Identifier: MIT
 * Reversals, by what they take back: the opposite of the original on each of its accounts, all
 * together no more than it. */
#include "ledger/ledger_check_priv.h"

static const struct store_statement reversals_scan = {
    .name = "ledger_check_reversals",
    .sqlite =
        "SELECT p.refers_to, e.account_id, p.seq, e.posted, o.posted, op.kind, "
        "t.id, t.amount, t.status "
        "FROM ledger_posts p JOIN ledger_entries e ON e.seq = p.seq "
        "LEFT JOIN ledger_posts op ON op.seq = p.refers_to "
        "LEFT JOIN ledger_entries o ON o.account_id = e.account_id AND o.seq = p.refers_to "
        "LEFT JOIN transactions t ON t.id = op.transaction_id AND t.account_id = e.account_id "
        "AND t.posted_seq = op.seq "
        "WHERE p.refers_to IS NOT NULL AND p.kind = 'reversal' AND p.refers_to >= ?1 "
        "AND (p.refers_to > ?1 OR e.account_id > ?2 OR (e.account_id = ?2 AND p.seq > ?3)) "
        "ORDER BY p.refers_to, e.account_id, p.seq LIMIT ?4"};

/* One account of one original. */
struct reversed {
    int64_t original, account, posted;
    int64_t transaction_id, amount; /* 0: none */
    bool is_reversed;               /* what the transaction says */
    ledger_wide sum;
};

static bool may_be_reversed(struct span kind)
{
    enum ledger_kind of = ledger_kind_read(kind);

    return of != LEDGER_HOLD && of != LEDGER_VOID && of != LEDGER_EXPIRY && of != LEDGER_REVERSAL;
}

static void row_look(struct ledger_check *check, const struct ledger_scan *scan)
{
    struct store_rows *rows = scan->rows;

    if (store_rows_null(rows, 5) || !may_be_reversed(store_rows_text(rows, 5, NULL)))
        ledger_check_fault(check, LEDGER_I6,
                           "posting %lld: reverses posting %lld, which cannot be reversed",
                           (long long)scan->key[2], (long long)scan->key[0]);
    else if (store_rows_null(rows, 4))
        ledger_check_fault(
            check, LEDGER_I6, "posting %lld: reverses posting %lld, which has no account %lld",
            (long long)scan->key[2], (long long)scan->key[0], (long long)scan->key[1]);
}

static void original_look(struct ledger_check *check, const struct reversed *reversed)
{
    ledger_wide left = reversed->posted + reversed->sum;
    char text[LEDGER_WIDE_BYTES];

    /* What is left of it has its sign, and is no more than it was. */
    if ((reversed->posted >= 0) ? left < 0 || left > reversed->posted
                                : left > 0 || left < reversed->posted)
        ledger_check_fault(check, LEDGER_I6, "posting %lld account %lld: %lld, its reversals %s",
                           (long long)reversed->original, (long long)reversed->account,
                           (long long)reversed->posted, ledger_wide_text(reversed->sum, text));
    if (reversed->transaction_id != 0 && reversed->is_reversed != (left == 0))
        ledger_check_fault(check, LEDGER_I10, "transaction %lld: of %lld is %s, its reversals %s",
                           (long long)reversed->transaction_id, (long long)reversed->amount,
                           reversed->is_reversed ? "reversed" : "not reversed",
                           ledger_wide_text(reversed->sum, text));
}

static struct reversed reversed_begin(const struct ledger_scan *scan)
{
    struct store_rows *rows = scan->rows;

    return (struct reversed){.original = scan->key[0],
                             .account = scan->key[1],
                             .posted = store_rows_i64_or(rows, 4, 0),
                             .transaction_id = store_rows_i64_or(rows, 6, 0),
                             .amount = store_rows_i64_or(rows, 7, 0),
                             .is_reversed = span_is(store_rows_text(rows, 8, NULL), "reversed")};
}

enum err ledger_check_reversals(struct ledger_check *check)
{
    struct ledger_scan scan;

    ledger_scan_begin(&scan, check->conn, &reversals_scan, 3);
    while (!scan.over) {
        struct reversed reversed = reversed_begin(&scan);

        for (; !scan.over && scan.key[0] == reversed.original && scan.key[1] == reversed.account;
             ledger_scan_next(&scan)) {
            row_look(check, &scan);
            reversed.sum += store_rows_i64(scan.rows, 3);
        }
        original_look(check, &reversed);
    }
    return ledger_scan_end(&scan);
}
