/* SPDX-License-Identifier: MIT
 * How a request moves money: its handler runs inside a turn, beside those of other requests that
 * wait at the same moment, behind the look at its Idempotency-Key and before the commit that holds
 * its answer.
 *
 *   static enum err transfer_run(struct http_request *req, struct ledger_turn *turn);
 *
 *   static enum err transfers_create(struct http_request *req)         (the route's handler, LOOP)
 *   {
 *       const struct transfer_order *order = req->body;
 *       struct ledger_call *call = ledger_call_new(req, transfer_run);
 *
 *       if (call == NULL)
 *           return ERR_NO_MEMORY;
 *       ledger_call_want(call, order->from), ledger_call_want(call, order->to);
 *       return ledger_call_go(req, http_context(req), call);
 *   }
 *
 * transfer_run answers with http_reply…, or returns an error before it changed anything (http_fail
 * and http_fail_field add their words). An error of the 4xx kind is an answer like any other: with
 * a key it is remembered and given again, byte by byte, and it is an event of the trail. Statements
 * of its own it runs only behind its last check.
 *
 * Threads: ledger_call_new and _go on the loop; the rest on the store's writer.
 * Memory:  the request's arena.
 * Source:  draft-ietf-httpapi-idempotency-key-header-07; docs/decisions/ledger-idempotency.md. */
#ifndef PC_LEDGER_LEDGER_CALL_H
#define PC_LEDGER_LEDGER_CALL_H

#include "http/http.h"
#include "ledger/ledger.h"

struct ledger_call;

typedef enum err ledger_run_fn(struct http_request *req, struct ledger_turn *turn);

/* `run` may run again after a rollback; it starts clean. NULL when the arena is full. */
PC_CHECKED struct ledger_call *ledger_call_new(struct http_request *req, ledger_run_fn *run);

/* An account that will be read, so that a turn reads all of its accounts at once. */
void ledger_call_want(struct ledger_call *call, int64_t account_id);

/* How many postings it is, where it is not one. */
void ledger_call_weight(struct ledger_call *call, uint32_t postings);

/* 422 for a malformed Idempotency-Key; else off to the writer. `ledger` is the service's. */
PC_CHECKED enum err ledger_call_go(struct http_request *req, struct ledger *ledger,
                                   struct ledger_call *call);

/* ---- who may ----------------------------------------------------------------------------------
 */

/* payments, risk, auditor and admin see every customer's; others what they own. */
bool ledger_sees_all(const struct http_principal *principal);

/* payments and risk move every customer's money; others move what they own. */
bool ledger_moves_all(const struct http_principal *principal);

/* ERR_NOT_FOUND, for what is there but not the caller's; an event tells of it. `kind`: "account:".
 */
PC_CHECKED enum err ledger_not_owner(struct http_request *req, const char *kind, int64_t id);

/* The account if the caller may see it, or may move money out of it: else ERR_NOT_FOUND, as if
 * there were none. */
PC_CHECKED enum err ledger_account_seen(struct http_request *req, struct ledger_turn *turn,
                                        int64_t account_id, struct ledger_account *ret_account);
PC_CHECKED enum err ledger_account_moved(struct http_request *req, struct ledger_turn *turn,
                                         int64_t account_id, struct ledger_account *ret_account);

/* Reads an amount of a body: 422 that names the field. Above zero. */
PC_CHECKED enum err ledger_amount_read(struct http_request *req, const char *field,
                                       struct span decimal, enum currency currency,
                                       struct money *ret_amount);

/* The routes of the transaction service; their context is a struct ledger. */
extern const struct http_route ledger_transaction_routes[];
extern const struct http_route ledger_transfer_routes[];

#endif
