/* SPDX-License-Identifier: MIT
 * The routes /transfers and /postings: one transfer, many in a batch, what became of them, how they
 * are given back, and postings of several legs. */
#include "ledger/ledger_transfer.h"

#include "ledger/ledger_call.h"

static const struct json_field id_fields[] = {
    {.name = "id",
     .kind = JSON_KIND_I64,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_id_input, id),
     .example = "41",
     .about = "Its number."},
};
const struct json_schema ledger_id_schema = {.name = "LedgerId",
                                             .fields = id_fields,
                                             .field_count = PC_COUNT(id_fields),
                                             .bytes = sizeof(struct ledger_id_input)};

void ledger_reply_location(struct http_request *req, int64_t id)
{
    char text[128];
    struct sbuf location = sbuf_over(text, sizeof(text));

    sbuf_add(&location, req->path);
    sbuf_add_char(&location, '/');
    sbuf_add_i64(&location, id);
    PC_ASSERT(!location.full);
    http_reply_header(req, "Location", sbuf_span(&location));
}

static enum err transfer_run(struct http_request *req, struct ledger_turn *turn)
{
    struct ledger_transfer_row row;
    enum err err = ledger_transfer_make(req, turn, req->body, LEDGER_THE_ONLY, false, &row);

    if (err)
        return err;
    ledger_reply_location(req, row.id);
    return http_reply(req, &row);
}

static enum err transfer_create(struct http_request *req)
{
    const struct ledger_transfer_order *order = req->body;
    struct ledger_call *call = ledger_call_new(req, transfer_run);

    if (call == NULL)
        return ERR_NO_MEMORY;
    ledger_call_want(call, order->from);
    ledger_call_want(call, order->to);
    return ledger_call_go(req, http_context(req), call);
}

/* Whoever owns either side sees it. */
static bool is_seen(const struct http_principal *who, const struct ledger_transfer_row *row)
{
    return ledger_sees_all(who) ||
           (who->user_id != 0 && (row->from_user == who->user_id || row->to_user == who->user_id));
}

static enum err transfer_get(struct http_request *req)
{
    const struct ledger_id_input *input = req->input;
    struct ledger_transfer_row row = {0};
    enum err err = ledger_transfer_find(req->store, input->id, req->arena, &row);

    if (!err && !is_seen(req->principal, &row))
        err = ledger_not_owner(req, "transfer:", input->id);
    return err ? err : http_reply(req, &row);
}

#define MOVES                                                                                      \
    .access = HTTP_ACCESS_BEARER, .scopes = "transactions:write", .data = HTTP_DATA_CONFIDENTIAL,  \
    .method = NET_METHOD_POST, .reply_status = 201, .keyed = true
#define READS                                                                                      \
    .access = HTTP_ACCESS_BEARER, .scopes = "transactions:read", .data = HTTP_DATA_CONFIDENTIAL,   \
    .method = NET_METHOD_GET, .run = HTTP_RUN_READ

const struct http_route ledger_transfer_routes[] = {
    {MOVES, .path = "/transfers", .body = &ledger_transfer_new_schema, .body_bytes_max = 16 * 1024,
     .reply = &ledger_transfer_schema, .handle = transfer_create, .id = "transfers_create",
     .tag = "Transfers", .summary = "Move money between two accounts",
     .about =
         "Out of an account of the caller's own, or out of any with the role payments or risk. "
         "Both accounts must be of the same currency. The transfer is durable when it is "
         "answered.",
     .errors = {ERR_NOT_FOUND, ERR_CURRENCY_MISMATCH, ERR_EFFECTIVE_AT, ERR_ACCOUNT_CLOSED,
                ERR_ACCOUNT_FROZEN, ERR_FUNDS, ERR_SAME_ACCOUNT, ERR_BALANCE_RANGE,
                ERR_AMOUNT_RANGE, ERR_AMOUNT_DIGITS}},
    {MOVES, .path = "/transfers/batch", .body = &ledger_transfer_batch_schema,
     .body_bytes_max = LEDGER_BATCH_BODY_BYTES_MAX, .reply = &ledger_transfer_batch_reply_schema,
     .handle = ledger_transfers_batch, .id = "transfers_batch", .tag = "Transfers",
     .summary = "Move money many times in one commit",
     .about = "Up to 1000 transfers, one behind the other. Atomic, as it is unless said otherwise: "
              "all of them, or a refusal that names the first that cannot be. Else each by itself: "
              "201 with what became of every one.",
     .errors = {ERR_NOT_FOUND, ERR_CURRENCY_MISMATCH, ERR_EFFECTIVE_AT, ERR_ACCOUNT_CLOSED,
                ERR_ACCOUNT_FROZEN, ERR_FUNDS, ERR_SAME_ACCOUNT, ERR_BALANCE_RANGE,
                ERR_AMOUNT_RANGE, ERR_AMOUNT_DIGITS}},
    {READS, .path = "/transfers", .input = &ledger_transfers_page_schema,
     .reply = &ledger_transfer_schema, .reply_is_list = true, .handle = ledger_transfers_list,
     .id = "transfers_list", .tag = "Transfers", .summary = "Transfers, newest first",
     .about = "A customer's own; every customer's for payments, risk, auditors and administrators. "
              "The Link header leads to the next page."},
    {READS, .path = "/transfers/{id}", .input = &ledger_id_schema, .reply = &ledger_transfer_schema,
     .handle = transfer_get, .id = "transfers_get", .tag = "Transfers", .summary = "One transfer",
     .errors = {ERR_NOT_FOUND}},
    {MOVES, .path = "/transfers/{id}/reversals", .roles = "payments risk",
     .input = &ledger_id_schema, .body = &ledger_reversal_new_schema, .body_bytes_max = 16 * 1024,
     .reply = &ledger_reversal_schema, .handle = ledger_transfer_give_back,
     .id = "transfers_reverse", .tag = "Transfers",
     .summary = "Give a transfer back, in whole or in part",
     .about = "A new posting in the other direction that refers to the first. All reversals of a "
              "transfer together never exceed it.",
     .errors = {ERR_NOT_FOUND, ERR_ACCOUNT_CLOSED, ERR_ACCOUNT_FROZEN, ERR_OVER_ORIGINAL, ERR_FUNDS,
                ERR_BALANCE_RANGE}},
    {MOVES, .path = "/postings", .roles = "payments", .body = &ledger_posting_new_schema,
     .body_bytes_max = 64 * 1024, .reply = &ledger_posting_schema, .handle = ledger_posting_create,
     .id = "postings_create", .tag = "Postings", .summary = "Move money between several accounts",
     .about = "Legs that sum to zero in each currency: fees, splits, and exchanges through the "
              "house's position accounts.",
     .errors = {ERR_NOT_FOUND, ERR_SAME_ACCOUNT, ERR_UNBALANCED, ERR_ACCOUNT_CLOSED,
                ERR_ACCOUNT_FROZEN, ERR_FUNDS, ERR_CURRENCY_MISMATCH, ERR_EFFECTIVE_AT,
                ERR_BALANCE_RANGE, ERR_AMOUNT_RANGE, ERR_AMOUNT_DIGITS}},
    {READS, .path = "/postings/{id}", .input = &ledger_id_schema, .reply = &ledger_posting_schema,
     .handle = ledger_posting_get, .id = "postings_get", .tag = "Postings",
     .summary = "One posting with its legs",
     .about = "For those who see every customer's money; for others there is nothing here.",
     .errors = {ERR_NOT_FOUND}},
    {.path = NULL},
};
