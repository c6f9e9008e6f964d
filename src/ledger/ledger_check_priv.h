/* SPDX-License-Identifier: MIT
 * What the parts of the check share: telling a fault, and exact sums.
 *
 *   ledger_check.c              the order of things, telling
 *   ledger_check_posts.c        I1 I3 I8 I10: postings and entries by number
 *   ledger_check_accounts.c     I1 I2 I4 I5 I10: entries, limits and holds by account
 *   ledger_check_holds.c        I5: holds and what ended them
 *   ledger_check_reversals.c    I6: originals and what was taken back of them
 *   ledger_check_transactions.c I10: transactions and what they moved
 *   ledger_check_orders.c       I10: orders, their holds and fills
 *   ledger_check_keys.c         I7: answers that were kept, and what they tell of
 *
 * Threads: one store job.    Memory: one row of each scan, and the sums of accounts_max accounts,
 *                            whatever the size.
 * Source:  README.md (invariants). */
#ifndef PC_LEDGER_LEDGER_CHECK_PRIV_H
#define PC_LEDGER_LEDGER_CHECK_PRIV_H

#include "ledger/ledger_book.h"
#include "ledger/ledger_scan.h"

/* Sums of any number of amounts. */
__extension__ typedef __int128 ledger_wide;

enum ledger_invariant {
    LEDGER_I1 = 1,
    LEDGER_I2,
    LEDGER_I3,
    LEDGER_I4,
    LEDGER_I5,
    LEDGER_I6,
    LEDGER_I7,
    LEDGER_I8,
    LEDGER_I10 = 10, /* I9 shows when the power fails, not in rows */
    LEDGER_INVARIANT_COUNT
};

struct ledger_check {
    struct store_conn *conn;
    int64_t now_ns;
    ledger_fault_fn *tell;
    void *context;
    struct ledger_summary summary;
    uint64_t told[LEDGER_INVARIANT_COUNT];
    int64_t head_seq, head_at, head_transaction_id; /* as the head says */
    size_t accounts_max;                            /* whose sums are in memory at a time */
};

/* ledger_check with `accounts_max` accounts at a time. */
PC_CHECKED enum err ledger_check_by(struct store_conn *conn, int64_t now_ns, size_t accounts_max,
                                    ledger_fault_fn *tell, void *context,
                                    struct ledger_summary *ret_summary);

/* Counts the fault, and tells it unless many of its kind were told. */
PC_FORMAT(3, 4)
void ledger_check_fault(struct ledger_check *check, enum ledger_invariant invariant,
                        const char *format, ...);

/* A sum as text. */
enum { LEDGER_WIDE_BYTES = 48 };
const char *ledger_wide_text(ledger_wide value, char text[LEDGER_WIDE_BYTES]);

/* LEDGER_KIND_NONE for a name that is none. */
enum ledger_kind ledger_kind_read(struct span name);

/* ---- parts ------------------------------------------------------------------------------------
 */

PC_CHECKED enum err ledger_check_posts(struct ledger_check *check);
PC_CHECKED enum err ledger_check_accounts(struct ledger_check *check);
PC_CHECKED enum err ledger_check_holds(struct ledger_check *check);
PC_CHECKED enum err ledger_check_reversals(struct ledger_check *check);
PC_CHECKED enum err ledger_check_transactions(struct ledger_check *check);
PC_CHECKED enum err ledger_check_orders(struct ledger_check *check);
PC_CHECKED enum err ledger_check_keys(struct ledger_check *check);

#endif
