/* SPDX-License-Identifier: MIT
 * Transactions: instructions on one account, whose status moves, and what each moved between the
 * account and the settlement account of its currency.
 *
 *   pending --complete--> completed --reverse--> reversed
 *      \--release--> cancelled | failed
 *
 * Threads: inside a turn, or with a reader's handle.    Memory: texts in the arena given.
 * Source:  README.md, "Transactions". */
#ifndef PC_LEDGER_LEDGER_TRANSACTION_H
#define PC_LEDGER_LEDGER_TRANSACTION_H

#include "http/http.h"
#include "ledger/ledger.h"

enum ledger_transaction_status {
    LEDGER_STATUS_NONE, /* valid nowhere */
    LEDGER_PENDING,
    LEDGER_COMPLETED,
    LEDGER_CANCELLED,
    LEDGER_FAILED,
    LEDGER_REVERSED,
    LEDGER_STATUS_COUNT
};
/* "pending", ..., ended by NULL: for schemas. */
extern const char *const ledger_statuses[LEDGER_STATUS_COUNT];
const char *ledger_status_name(enum ledger_transaction_status status);
/* All that is counted of transactions, at 0: what begins with the first transaction cannot show
 * that there is none. */
PC_CHECKED enum err ledger_submissions_begin(struct metrics *metrics);
/* LEDGER_STATUS_NONE for anything else. */
enum ledger_transaction_status ledger_status_from(struct span name);

/* A row, and how it is shown. */
struct ledger_transaction_row {
    int64_t id, account_id, user_id;
    struct money amount;
    struct span decimal, currency, direction, description, status;
    int64_t effective_at, hold_seq, posted_seq, created_at, updated_at;
    bool has_effective, has_hold, is_posted;
};
extern const struct json_schema ledger_transaction_schema;

/* The columns in the order in which ledger_transaction_read expects them. */
#define LEDGER_TRANSACTION_COLUMNS                                                                 \
    "id, account_id, user_id, amount, currency, direction, description, status, effective_at, "    \
    "hold_seq, posted_seq, created_at, updated_at"

PC_CHECKED enum err ledger_transaction_read(struct store_rows *rows, struct arena *arena,
                                            struct ledger_transaction_row *ret_row);
/* What the amount and currency look like. ERR_NO_MEMORY. */
PC_CHECKED enum err ledger_transaction_show(struct arena *arena,
                                            struct ledger_transaction_row *row);
/* ERR_NOT_FOUND. */
PC_CHECKED enum err ledger_transaction_find(struct store_conn *conn, int64_t id,
                                            struct arena *arena,
                                            struct ledger_transaction_row *ret_row);

/* Written at the end of the turn. */
PC_CHECKED enum err ledger_transaction_add(struct ledger_turn *turn,
                                           const struct ledger_transaction_row *row);
/* Written at once, so that whoever comes next in this turn reads it: nothing may fail behind it.
 * `was` is the row as it was read. */
PC_CHECKED enum err ledger_transaction_change(struct ledger_turn *turn,
                                              const struct ledger_transaction_row *was,
                                              const struct ledger_transaction_row *row);

/* Money leaves the account? */
bool ledger_transaction_is_debit(const struct ledger_transaction_row *row);

/* To another status: moves what must be moved and sets row->status and row->posted_seq.
 * ERR_ACCOUNT_CLOSED and ERR_ACCOUNT_FROZEN before ERR_TRANSITION, then what the ledger refuses. */
PC_CHECKED enum err ledger_transaction_move(struct ledger_turn *turn,
                                            struct ledger_transaction_row *row,
                                            enum ledger_transaction_status to);

/* Gives back `amount` of what a completed one moved (0: all that is left); with nothing left it is
 * reversed. ERR_TRANSITION unless it is completed. */
PC_CHECKED enum err ledger_transaction_reverse(struct ledger_turn *turn,
                                               struct ledger_transaction_row *row, int64_t amount,
                                               struct span description,
                                               struct ledger_posted *ret_posted,
                                               int64_t *ret_amount);

/* transaction.created, or transaction.changed when it was of another status before. */
PC_CHECKED enum err ledger_transaction_tell(struct ledger_turn *turn,
                                            const struct ledger_transaction_row *row,
                                            const struct ledger_transaction_row *was);

/* ---- routes -----------------------------------------------------------------------------------
 */

extern const struct json_schema ledger_transaction_new_schema, ledger_transaction_change_schema;
extern const struct json_schema ledger_transactions_page_schema;
http_handler_fn ledger_transaction_create, ledger_transaction_put;
http_handler_fn ledger_transactions_list, ledger_transactions_of_account;

#endif
