/* SPDX-License-Identifier: MIT
 * The check of the whole ledger: every invariant of README.md, from the rows alone. Each part reads
 * its tables in the order of an index and merges them, so memory stays the same whatever the size
 * (the sums of ACCOUNTS_MAX accounts wait while all entries pass; more accounts take more passes);
 * no sum is left to the database, whose numbers end at 64 bits. */
#include "ledger/ledger_check_priv.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const invariants[LEDGER_INVARIANT_COUNT] = {
    [LEDGER_I1] = "I1", [LEDGER_I2] = "I2", [LEDGER_I3] = "I3",
    [LEDGER_I4] = "I4", [LEDGER_I5] = "I5", [LEDGER_I6] = "I6",
    [LEDGER_I7] = "I7", [LEDGER_I8] = "I8", [LEDGER_I10] = "I10",
};

enum { ACCOUNTS_MAX = 128 * 1024 }; /* 96 bytes each */

/* ---- telling ---- */

enum { SENTENCE_BYTES = 512 };

void ledger_check_fault(struct ledger_check *check, enum ledger_invariant invariant,
                        const char *format, ...)
{
    char text[SENTENCE_BYTES];
    va_list args;

    check->summary.faults++;
    if (check->told[invariant]++ >= LEDGER_FAULTS_MAX || check->tell == NULL)
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    check->tell(check->context, invariants[invariant], span_from(text));
}

const char *ledger_wide_text(ledger_wide value, char text[LEDGER_WIDE_BYTES])
{
    size_t at = LEDGER_WIDE_BYTES - 1;
    bool below = value < 0;

    text[at] = '\0';
    do {
        int digit = (int)(value % 10);

        text[--at] = (char)('0' + (digit < 0 ? -digit : digit));
        value /= 10;
    } while (value != 0);
    if (below)
        text[--at] = '-';
    return text + at;
}

enum ledger_kind ledger_kind_read(struct span name)
{
    for (enum ledger_kind kind = LEDGER_KIND_NONE + 1; kind < LEDGER_KIND_COUNT; kind++)
        if (span_is(name, ledger_kind_name(kind)))
            return kind;
    return LEDGER_KIND_NONE;
}

/* ---- all of it ---- */

static const struct store_statement head_read = {
    .name = "ledger_check_head",
    .sqlite = "SELECT seq, at, transaction_id FROM ledger_head WHERE id = 1"};

static enum err read_head(struct ledger_check *check)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(check->conn, &head_read, NULL, 0, &rows);

    if (err)
        return err;
    if (!store_next(rows)) {
        ledger_check_fault(check, LEDGER_I8, "the head is missing");
        return store_rows_err(rows);
    }
    check->head_seq = store_rows_i64(rows, 0);
    check->head_at = store_rows_i64(rows, 1);
    check->head_transaction_id = store_rows_i64(rows, 2);
    return store_rows_err(rows);
}

enum err ledger_check_by(struct store_conn *conn, int64_t now_ns, size_t accounts_max,
                         ledger_fault_fn *tell, void *context, struct ledger_summary *ret_summary)
{
    static enum err (*const parts[])(struct ledger_check *) = {
        read_head,           ledger_check_posts,     ledger_check_accounts,
        ledger_check_holds,  ledger_check_reversals, ledger_check_transactions,
        ledger_check_orders, ledger_check_keys,
    };
    struct ledger_check check = {.conn = conn,
                                 .now_ns = now_ns,
                                 .tell = tell,
                                 .context = context,
                                 .accounts_max = accounts_max};

    for (size_t i = 0; i < PC_COUNT(parts); i++) {
        enum err err = parts[i](&check);

        if (err)
            return err;
    }
    *ret_summary = check.summary;
    return ERR_OK;
}

enum err ledger_check(struct store_conn *conn, int64_t now_ns, ledger_fault_fn *tell, void *context,
                      struct ledger_summary *ret_summary)
{
    return ledger_check_by(conn, now_ns, ACCOUNTS_MAX, tell, context, ret_summary);
}
