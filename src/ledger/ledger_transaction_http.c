/* SPDX-License-Identifier: MIT
 * The routes /transactions: an instruction is given in, looked at, and moved on by its status. */
#include "ledger/ledger_transaction.h"

#include "ledger/ledger_call.h"
#include "ledger/ledger_list.h"
#include "ledger/ledger_transfer.h"

static enum err transaction_get(struct http_request *req)
{
    const struct ledger_id_input *input = req->input;
    struct ledger_transaction_row row = {0};
    enum err err = ledger_transaction_find(req->store, input->id, req->arena, &row);

    if (!err && !ledger_sees_all(req->principal) && row.user_id != req->principal->user_id)
        err = ledger_not_owner(req, "transaction:", input->id);
    return err ? err : http_reply(req, &row);
}

/* What is given back is a posting of its own, linked with both. */
static enum err give_back_run(struct http_request *req, struct ledger_turn *turn)
{
    const struct ledger_id_input *input = req->input;
    const struct ledger_reversal_order *order = req->body;
    struct ledger_transaction_row was = {0};
    struct ledger_reversal_row reversal = {.has_transaction = true, .transaction_id = input->id};
    struct ledger_transaction_row row;
    struct ledger_posted posted = {0};
    int64_t house;
    int64_t amount;
    enum err err = ledger_transaction_find(ledger_turn_conn(turn), input->id, req->arena, &was);

    row = was;
    if (!err)
        err = ledger_reversal_amount(req, row.amount.currency, &amount);
    if (!err)
        err = ledger_transaction_reverse(turn, &row, amount, order->description, &posted,
                                         &reversal.amount.minor);
    if (!err)
        err = ledger_transaction_change(turn, &was, &row);
    if (!err)
        err = ledger_transaction_tell(turn, &row, &was);
    if (err)
        return err;
    house = ledger_house_account(LEDGER_SETTLEMENT, row.amount.currency);
    reversal.id = posted.seq;
    reversal.reverses = row.posted_seq;
    reversal.from = ledger_transaction_is_debit(&row) ? house : row.account_id;
    reversal.to = ledger_transaction_is_debit(&row) ? row.account_id : house;
    reversal.amount.currency = row.amount.currency;
    reversal.description = ledger_words(order->description);
    reversal.created_at = posted.at_ns;
    reversal.effective_at = posted.effective_at_ns;
    return ledger_reversal_reply(req, &reversal);
}

static enum err transaction_give_back(struct http_request *req)
{
    struct ledger_call *call = ledger_call_new(req, give_back_run);

    return call == NULL ? ERR_NO_MEMORY : ledger_call_go(req, http_context(req), call);
}

#define WRITES                                                                                     \
    .access = HTTP_ACCESS_BEARER, .scopes = "transactions:write", .roles = "payments risk",        \
    .data = HTTP_DATA_CONFIDENTIAL, .body_bytes_max = 16 * 1024, .keyed = true
#define READS                                                                                      \
    .access = HTTP_ACCESS_BEARER, .scopes = "transactions:read", .data = HTTP_DATA_CONFIDENTIAL,   \
    .method = NET_METHOD_GET, .run = HTTP_RUN_READ

const struct http_route ledger_transaction_routes[] = {
    {WRITES, .method = NET_METHOD_POST, .path = "/transactions", .per_minute = 15,
     .body = &ledger_transaction_new_schema, .reply = &ledger_transaction_schema,
     .reply_status = 201, .handle = ledger_transaction_create, .id = "transactions_create",
     .tag = "Transactions", .summary = "Give in a transaction on one account",
     .about = "It is pending: nothing moves until its status is made completed. With hold the "
              "amount of a debit is set aside at once.",
     .errors = {ERR_NOT_FOUND, ERR_CURRENCY_MISMATCH, ERR_EFFECTIVE_AT, ERR_ACCOUNT_CLOSED,
                ERR_ACCOUNT_FROZEN, ERR_FUNDS, ERR_SAME_ACCOUNT, ERR_BALANCE_RANGE,
                ERR_AMOUNT_DIGITS, ERR_AMOUNT_RANGE}},
    {READS, .path = "/transactions", .per_minute = 50, .input = &ledger_transactions_page_schema,
     .reply = &ledger_transaction_schema, .reply_is_list = true, .handle = ledger_transactions_list,
     .id = "transactions_list", .tag = "Transactions", .summary = "Transactions, newest first",
     .about = "A customer's own; every customer's for payments, risk, auditors and administrators. "
              "All filters that are given apply. The Link header leads to the next page."},
    {READS, .path = "/transactions/{id}", .per_minute = 50, .input = &ledger_id_schema,
     .reply = &ledger_transaction_schema, .handle = transaction_get, .id = "transactions_get",
     .tag = "Transactions", .summary = "One transaction", .errors = {ERR_NOT_FOUND}},
    {READS, .path = "/transactions/accounts/{account_id}", .per_minute = 30,
     .input = &ledger_transactions_page_schema, .reply = &ledger_transaction_schema,
     .reply_is_list = true, .handle = ledger_transactions_of_account,
     .id = "transactions_of_account", .tag = "Transactions",
     .summary = "Transactions of one account, newest first",
     .about = "With the filters of the list of all.", .errors = {ERR_NOT_FOUND}},
    {WRITES, .method = NET_METHOD_PUT, .path = "/transactions/{id}", .per_minute = 15,
     .input = &ledger_id_schema, .body = &ledger_transaction_change_schema,
     .reply = &ledger_transaction_schema, .handle = ledger_transaction_put,
     .id = "transactions_change", .tag = "Transactions",
     .summary = "Move a transaction on, or describe it anew",
     .about = "pending becomes completed, cancelled or failed; completed becomes reversed. To "
              "complete it moves the money in the same commit, or leaves it pending. Asking for "
              "what is already so changes nothing.",
     .errors = {ERR_NOT_FOUND, ERR_ACCOUNT_CLOSED, ERR_ACCOUNT_FROZEN, ERR_TRANSITION, ERR_FUNDS,
                ERR_HOLD_ENDED, ERR_BALANCE_RANGE}},
    {WRITES, .method = NET_METHOD_POST, .path = "/transactions/{id}/reversals",
     .input = &ledger_id_schema, .body = &ledger_reversal_new_schema,
     .reply = &ledger_reversal_schema, .reply_status = 201, .handle = transaction_give_back,
     .id = "transactions_reverse", .tag = "Transactions",
     .summary = "Give a completed transaction back, in whole or in part",
     .about = "A new posting in the other direction. When nothing is left of it, the transaction "
              "is reversed.",
     .errors = {ERR_NOT_FOUND, ERR_ACCOUNT_CLOSED, ERR_ACCOUNT_FROZEN, ERR_TRANSITION,
                ERR_OVER_ORIGINAL, ERR_FUNDS, ERR_BALANCE_RANGE, ERR_AMOUNT_DIGITS,
                ERR_AMOUNT_RANGE, ERR_CURRENCY_MISMATCH}},
    {.path = NULL},
};
