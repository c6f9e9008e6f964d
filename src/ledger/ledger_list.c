/* SPDX-License-Identifier: MIT
 * Reads what a list was asked for. */
#include "ledger/ledger_list.h"

#include "ledger/ledger_call.h"

enum { DECIMAL_BYTES_MAX = 32 };

static enum err read_amount(struct http_request *req, const char *field, struct span decimal,
                            enum currency currency, int64_t *ret_minor)
{
    struct money amount = {0};

    if (decimal.ptr == NULL)
        return ERR_OK;
    if (currency == CURRENCY_NONE)
        return http_fail_field(req, field, "needs a currency beside it");
    if (money_read(decimal, currency, &amount))
        return http_fail_field(req, field, "must be an amount of its currency");
    *ret_minor = amount.minor;
    return ERR_OK;
}

enum err ledger_range_read(struct http_request *req, const struct ledger_filters *filters,
                           struct ledger_range *ret_range)
{
    struct ledger_range range = {.currency = filters->currency,
                                 .amount_max = INT64_MAX,
                                 .from_ns = filters->has_from ? filters->created_from : INT64_MIN,
                                 .to_ns = filters->has_to ? filters->created_to : INT64_MAX};
    enum currency currency = CURRENCY_NONE;
    enum err err;

    if (range.currency.ptr == NULL)
        range.currency = SPAN_OF("");
    else if ((currency = currency_from_code(range.currency)) == CURRENCY_NONE)
        return http_fail_field(req, "currency", "is not a currency that is known here");
    err = read_amount(req, "amount_min", filters->amount_min, currency, &range.amount_min);
    if (!err)
        err = read_amount(req, "amount_max", filters->amount_max, currency, &range.amount_max);
    if (err)
        return err;
    *ret_range = range;
    return ERR_OK;
}

int64_t ledger_list_user(const struct http_request *req, const struct ledger_filters *filters)
{
    int64_t own = req->principal->user_id != 0 ? req->principal->user_id : -1;

    if (ledger_sees_all(req->principal))
        return filters->has_user ? filters->user_id : 0;
    return filters->has_user && filters->user_id != own ? -1 : own;
}

struct span ledger_decimal(struct arena *arena, struct money money)
{
    char text[DECIMAL_BYTES_MAX];
    struct sbuf out = sbuf_over(text, sizeof(text));

    money_add_decimal(&out, money);
    PC_ASSERT(!out.full);
    return arena_copy(arena, sbuf_span(&out));
}
