/* SPDX-License-Identifier: MIT
 * Transfers: postings that move one amount from one account to another, known by their number. A
 * batch is many of them in one request.
 *
 * Threads: inside a turn, or with a reader's handle.    Memory: the request's arena.
 * Source:  README.md, "Transfers" and "Order of refusals". */
#ifndef PC_LEDGER_LEDGER_TRANSFER_H
#define PC_LEDGER_LEDGER_TRANSFER_H

#include "http/http.h"
#include "ledger/ledger.h"

/* What was asked for. */
struct ledger_transfer_order {
    int64_t from, to, effective_at;
    struct span amount, currency, description;
    bool has_effective;
};
extern const struct json_schema ledger_transfer_new_schema;

/* A transfer that was posted, as it is shown. */
struct ledger_transfer_row {
    int64_t id, from, to, created_at, effective_at;
    int64_t from_user, to_user; /* 0: the house's */
    struct money amount, reversed;
    struct span decimal, currency, description, status, reversed_decimal;
};
extern const struct json_schema ledger_transfer_schema;

/* Moves it. `item` is its place in the request's list, or LEDGER_THE_ONLY. With `quiet` no member
 * that is not valid is named. */
enum { LEDGER_THE_ONLY = -1 };
PC_CHECKED enum err ledger_transfer_make(struct http_request *req, struct ledger_turn *turn,
                                         const struct ledger_transfer_order *order, int64_t item,
                                         bool quiet, struct ledger_transfer_row *ret_row);

/* What the amounts look like. ERR_NO_MEMORY. */
PC_CHECKED enum err ledger_transfer_show(struct arena *arena, struct ledger_transfer_row *row);
/* ERR_NOT_FOUND, also for a posting of another kind. */
PC_CHECKED enum err ledger_transfer_find(struct store_conn *conn, int64_t id, struct arena *arena,
                                         struct ledger_transfer_row *ret_row);
PC_CHECKED enum err ledger_transfer_read(struct store_rows *rows, struct arena *arena,
                                         struct ledger_transfer_row *ret_row);

/* A query of transfers out of one that gives their numbers as `seq`. */
#define LEDGER_TRANSFERS_OF(pick)                                                                  \
    "SELECT p.seq, f.account_id, t.account_id, t.posted, a.currency, p.description, p.at, "        \
    "p.effective_at, a.user_id, b.user_id, CAST((SELECT COALESCE(sum(e.posted), 0) "               \
    "FROM ledger_posts r JOIN ledger_entries e ON e.seq = r.seq AND e.account_id = f.account_id "  \
    "WHERE r.refers_to = p.seq AND r.kind = 'reversal') AS bigint) "                               \
    "FROM (" pick ") s CROSS JOIN ledger_posts p CROSS JOIN ledger_entries f "                     \
    "CROSS JOIN ledger_entries t CROSS JOIN ledger_accounts a CROSS JOIN ledger_accounts b "       \
    "WHERE p.seq = s.seq AND f.seq = s.seq AND f.posted < 0 AND t.seq = s.seq AND t.posted > 0 "   \
    "AND a.id = f.account_id AND b.id = t.account_id ORDER BY s.seq DESC"

/* ---- what requests that move money share ------------------------------------------------------
 */

/* The currency asked for, which must be the account's; without one, the account's. A 422 that names
 * "currency" of the item if there is none of that name, ERR_CURRENCY_MISMATCH. */
PC_CHECKED enum err ledger_currency_choose(struct http_request *req, int64_t item, struct span code,
                                           enum currency of_account, enum currency *ret_currency);
/* A posting without words has no description: neither now nor when it is read. */
struct span ledger_words(struct span description);
/* The date as the ledger takes it: 0 where none was given, so the first moment of 1970 is the one
 * behind it. */
int64_t ledger_effective_of(bool is_given, int64_t effective_at_ns);
/* ERR_EFFECTIVE_AT for a date to come, or too long ago. 0 is now. */
PC_CHECKED enum err ledger_effective_check(struct http_request *req, const struct ledger_turn *turn,
                                           int64_t effective_at_ns);
/* "amount", or "transfers[3].amount". "body" when there is no room. */
const char *ledger_member_name(struct arena *arena, const char *list, int64_t item,
                               const char *member);
/* Where the new thing can be found: the request's path and its id. */
void ledger_reply_location(struct http_request *req, int64_t id);

/* ---- routes -----------------------------------------------------------------------------------
 */

/* {amount?, description?}: of a transfer or a transaction. */
struct ledger_reversal_order {
    struct span amount, description;
};
extern const struct json_schema ledger_reversal_new_schema, ledger_reversal_schema;
/* How much of it is given back: 0 where the order does not say, for all that is left. */
PC_CHECKED enum err ledger_reversal_amount(struct http_request *req, enum currency currency,
                                           int64_t *ret_minor);
struct ledger_reversal_row {
    int64_t id, reverses, transaction_id, from, to, created_at, effective_at;
    struct money amount;
    struct span decimal, currency, description;
    bool has_transaction;
};
/* Answers 201 with it. */
PC_CHECKED enum err ledger_reversal_reply(struct http_request *req,
                                          struct ledger_reversal_row *row);

extern const struct json_schema ledger_transfer_batch_schema, ledger_transfer_batch_reply_schema;
extern const struct json_schema ledger_transfers_page_schema, ledger_id_schema;
http_handler_fn ledger_transfers_batch, ledger_transfers_list, ledger_transfer_give_back;

extern const struct json_schema ledger_posting_new_schema, ledger_posting_schema;
http_handler_fn ledger_posting_create, ledger_posting_get;

/* Room for a batch of transfers with long descriptions; its answer, which says more of each, still
 * fits into what a reply may be. */
enum { LEDGER_BATCH_BODY_BYTES_MAX = 384 * 1024 };

/* A path's {id}. */
struct ledger_id_input {
    int64_t id;
};

#endif
