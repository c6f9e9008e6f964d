/* SPDX-License-Identifier: MIT
 * POST /transfers/{id}/reversals, and what it shares with that of a transaction: a new posting in
 * the other direction that refers to the first, up to what is left of it. */
#include "ledger/ledger_transfer.h"

#include "ledger/ledger_call.h"
#include "ledger/ledger_list.h"

static const struct json_field order_fields[] = {
    {.name = "amount",
     .kind = JSON_KIND_DECIMAL,
     .optional = true,
     .nullable = true,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_reversal_order, amount),
     .example = "5.00",
     .about = "How much of it; left out: all that is left."},
    {.name = "description",
     .kind = JSON_KIND_TEXT,
     .free_text = true,
     .optional = true,
     .nullable = true,
     .max = LIMIT_LEDGER_DESCRIPTION_CHARS_MAX,
     .offset = offsetof(struct ledger_reversal_order, description),
     .example = "Goods were sent back",
     .about = "Card data in it is masked before it is kept."},
};
const struct json_schema ledger_reversal_new_schema = {.name = "ReversalOrder",
                                                       .about = "What is to be given back.",
                                                       .fields = order_fields,
                                                       .field_count = PC_COUNT(order_fields),
                                                       .bytes =
                                                           sizeof(struct ledger_reversal_order)};

static const struct json_field reversal_fields[] = {
    {.name = "id",
     .kind = JSON_KIND_I64,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_reversal_row, id),
     .example = "44",
     .about = "The number of its posting."},
    {.name = "reverses",
     .kind = JSON_KIND_I64,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_reversal_row, reverses),
     .example = "41",
     .about = "The number of the posting that is given back."},
    {.name = "transaction_id",
     .kind = JSON_KIND_I64,
     .optional = true,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_reversal_row, transaction_id),
     .has_offset = offsetof(struct ledger_reversal_row, has_transaction),
     .example = "12"},
    {.name = "from_account_id",
     .kind = JSON_KIND_I64,
     .min = INT64_MIN,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_reversal_row, from),
     .example = "9",
     .about = "Below zero: the house's."},
    {.name = "to_account_id",
     .kind = JSON_KIND_I64,
     .min = INT64_MIN,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_reversal_row, to),
     .example = "7",
     .about = "Below zero: the house's."},
    {.name = "amount",
     .kind = JSON_KIND_DECIMAL,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_reversal_row, decimal),
     .example = "5.00"},
    {.name = "amount_minor",
     .kind = JSON_KIND_I64,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_reversal_row, amount) + offsetof(struct money, minor),
     .example = "500",
     .about = "The same in minor units."},
    {.name = "currency",
     .kind = JSON_KIND_TEXT,
     .max = 3,
     .offset = offsetof(struct ledger_reversal_row, currency),
     .example = "USD"},
    {.name = "description",
     .kind = JSON_KIND_TEXT,
     .nullable = true,
     .max = LIMIT_LEDGER_DESCRIPTION_CHARS_MAX,
     .offset = offsetof(struct ledger_reversal_row, description),
     .example = "Goods were sent back"},
    {.name = "created_at",
     .kind = JSON_KIND_TIME,
     .offset = offsetof(struct ledger_reversal_row, created_at),
     .example = "2026-02-03T04:05:06Z"},
    {.name = "effective_at",
     .kind = JSON_KIND_TIME,
     .offset = offsetof(struct ledger_reversal_row, effective_at),
     .example = "2026-02-03T04:05:06Z"},
};
const struct json_schema ledger_reversal_schema = {.name = "Reversal",
                                                   .about = "Money that was given back.",
                                                   .fields = reversal_fields,
                                                   .field_count = PC_COUNT(reversal_fields),
                                                   .bytes = sizeof(struct ledger_reversal_row)};

enum err ledger_reversal_amount(struct http_request *req, enum currency currency,
                                int64_t *ret_minor)
{
    const struct ledger_reversal_order *order = req->body;
    struct money amount = {0};
    enum err err;

    *ret_minor = 0;
    if (order->amount.ptr == NULL)
        return ERR_OK;
    err = ledger_amount_read(req, "amount", order->amount, currency, &amount);
    if (!err)
        *ret_minor = amount.minor;
    return err;
}

enum err ledger_reversal_reply(struct http_request *req, struct ledger_reversal_row *row)
{
    row->currency = span_from(currency_code(row->amount.currency));
    row->decimal = ledger_decimal(req->arena, row->amount);
    return row->decimal.ptr == NULL ? ERR_NO_MEMORY : http_reply(req, row);
}

static enum err give_back_run(struct http_request *req, struct ledger_turn *turn)
{
    const struct ledger_id_input *input = req->input;
    const struct ledger_reversal_order *order = req->body;
    struct ledger_reversal reversal = {.seq = input->id,
                                       .description = ledger_words(order->description)};
    struct ledger_reversal_row row = {.reverses = input->id,
                                      .description = ledger_words(order->description)};
    struct ledger_transfer_row transfer = {0};
    struct ledger_posted posted = {0};
    enum err err = ledger_transfer_find(ledger_turn_conn(turn), input->id, req->arena, &transfer);

    if (!err)
        err = ledger_reversal_amount(req, transfer.amount.currency, &reversal.amount);
    if (!err)
        err = ledger_reverse(turn, &reversal, &posted, &row.amount.minor);
    if (err)
        return err;
    row.id = posted.seq;
    row.from = transfer.to;
    row.to = transfer.from;
    row.amount.currency = transfer.amount.currency;
    row.created_at = posted.at_ns;
    row.effective_at = posted.effective_at_ns;
    return ledger_reversal_reply(req, &row);
}

enum err ledger_transfer_give_back(struct http_request *req)
{
    struct ledger_call *call = ledger_call_new(req, give_back_run);

    if (call == NULL)
        return ERR_NO_MEMORY;
    return ledger_call_go(req, http_context(req), call);
}
