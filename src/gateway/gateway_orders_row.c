/* SPDX-License-Identifier: MIT
 * An order as it is stored and as it is shown. */
#include "gateway/gateway_priv.h"

#include "base/money.h"

enum { DECIMAL_BYTES_MAX = 32 };

static const struct json_field fill_fields[] = {
    {.name = "number",
     .kind = JSON_KIND_I64,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct gateway_fill, number),
     .example = "1",
     .about = "Counts the fills of this order."},
    {.name = "quantity",
     .kind = JSON_KIND_I64,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct gateway_fill, quantity),
     .example = "4"},
    {.name = "price",
     .kind = JSON_KIND_DECIMAL,
     .max = INT64_MAX,
     .offset = offsetof(struct gateway_fill, price),
     .example = "19.90",
     .about = "Of one, in the order's currency."},
    {.name = "amount",
     .kind = JSON_KIND_DECIMAL,
     .max = INT64_MAX,
     .offset = offsetof(struct gateway_fill, amount),
     .example = "79.60",
     .about = "What was taken from the account, or paid to it."},
    {.name = "amount_minor",
     .kind = JSON_KIND_I64,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct gateway_fill, amount_minor),
     .example = "7960",
     .about = "The same in minor units of the currency."},
    {.name = "at",
     .kind = JSON_KIND_TIME,
     .offset = offsetof(struct gateway_fill, at),
     .example = "2026-02-03T04:05:06Z"},
};
const struct json_schema gateway_fill_schema = {.name = "Fill",
                                                .about = "A part of an order that was settled.",
                                                .fields = fill_fields,
                                                .field_count = PC_COUNT(fill_fields),
                                                .bytes = sizeof(struct gateway_fill)};

static const struct json_field order_fields[] = {
    {.name = "id",
     .kind = JSON_KIND_TEXT,
     .format = JSON_FORMAT_UUID,
     .offset = offsetof(struct gateway_order, id),
     .example = "0b9d3f0e-6f0c-4f3e-9a53-8d9a4a1c2b3d"},
    {.name = "symbol",
     .kind = JSON_KIND_TEXT,
     .max = GATEWAY_SYMBOL_CHARS_MAX,
     .offset = offsetof(struct gateway_order, symbol),
     .example = "ACME"},
    {.name = "side",
     .kind = JSON_KIND_TEXT,
     .max = 4,
     .offset = offsetof(struct gateway_order, side),
     .choices = (const char *const[]){"buy", "sell", NULL},
     .example = "buy"},
    {.name = "quantity",
     .kind = JSON_KIND_I64,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct gateway_order, quantity),
     .example = "10"},
    {.name = "filled_quantity",
     .kind = JSON_KIND_I64,
     .max = INT64_MAX,
     .offset = offsetof(struct gateway_order, filled_quantity),
     .example = "4",
     .about = "How many of them are settled."},
    {.name = "type",
     .kind = JSON_KIND_TEXT,
     .max = 6,
     .offset = offsetof(struct gateway_order, type),
     .choices = (const char *const[]){"market", "limit", NULL},
     .example = "limit"},
    {.name = "limit_price",
     .kind = JSON_KIND_DECIMAL,
     .optional = true,
     .max = INT64_MAX,
     .offset = offsetof(struct gateway_order, limit_price),
     .has_offset = offsetof(struct gateway_order, has_limit_price),
     .example = "19.95",
     .about = "The exact price of a limit order, in its currency."},
    {.name = "limit_price_minor",
     .kind = JSON_KIND_I64,
     .optional = true,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct gateway_order, limit_price_minor),
     .has_offset = offsetof(struct gateway_order, has_limit_price),
     .example = "1995",
     .about = "The same in minor units of the currency."},
    {.name = "max_cost",
     .kind = JSON_KIND_DECIMAL,
     .optional = true,
     .max = INT64_MAX,
     .offset = offsetof(struct gateway_order, max_cost),
     .has_offset = offsetof(struct gateway_order, has_max_cost),
     .example = "250.00",
     .about = "What a market order to buy may cost in all."},
    {.name = "max_cost_minor",
     .kind = JSON_KIND_I64,
     .optional = true,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct gateway_order, max_cost_minor),
     .has_offset = offsetof(struct gateway_order, has_max_cost),
     .example = "25000",
     .about = "The same in minor units of the currency."},
    {.name = "currency",
     .kind = JSON_KIND_TEXT,
     .max = 3,
     .offset = offsetof(struct gateway_order, currency),
     .example = "USD"},
    {.name = "account_id",
     .kind = JSON_KIND_I64,
     .optional = true,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct gateway_order, account_id),
     .has_offset = offsetof(struct gateway_order, has_account),
     .example = "7"},
    {.name = "status",
     .kind = JSON_KIND_TEXT,
     .max = 9,
     .offset = offsetof(struct gateway_order, status),
     .choices = (const char *const[]){"open", "cancelled", "filled", "rejected", NULL},
     .example = "open"},
    {.name = "reason",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .max = LIMIT_LEDGER_DESCRIPTION_CHARS_MAX,
     .offset = offsetof(struct gateway_order, reason),
     .example = "The market is closed",
     .about = "Why it was rejected."},
    {.name = "fills",
     .kind = JSON_KIND_LIST,
     .optional = true,
     .max = LIMIT_PAGE_ITEMS_MAX,
     .offset = offsetof(struct gateway_order, fills),
     .has_offset = offsetof(struct gateway_order, has_fills),
     .schema = &gateway_fill_schema,
     .about = "The latest of them, in their order; where one order is asked for."},
    {.name = "created_at",
     .kind = JSON_KIND_TIME,
     .offset = offsetof(struct gateway_order, created_at),
     .example = "2026-02-03T04:05:06Z"},
    {.name = "updated_at",
     .kind = JSON_KIND_TIME,
     .offset = offsetof(struct gateway_order, updated_at),
     .example = "2026-02-03T04:05:06Z"},
};
const struct json_schema gateway_order_schema = {.name = "Order",
                                                 .about = "An order to buy or sell.",
                                                 .fields = order_fields,
                                                 .field_count = PC_COUNT(order_fields),
                                                 .bytes = sizeof(struct gateway_order)};

enum err gateway_decimals(struct arena *arena, struct money money, struct span *ret_text)
{
    struct sbuf out = sbuf_on(arena, DECIMAL_BYTES_MAX);

    money_add_decimal(&out, money);
    if (out.full)
        return ERR_NO_MEMORY;
    *ret_text = sbuf_span(&out);
    return ERR_OK;
}

static enum err decimal_of(struct arena *arena, int64_t minor, enum currency currency,
                           struct span *ret_text)
{
    return gateway_decimals(arena, (struct money){.minor = minor, .currency = currency}, ret_text);
}

static enum err show_amounts(struct gateway_order *order, struct arena *arena)
{
    enum err err = ERR_OK;

    order->money = currency_from_code(order->currency);
    if (order->money == CURRENCY_NONE)
        return ERR_STORE_CORRUPT;
    if (order->has_limit_price)
        err = decimal_of(arena, order->limit_price_minor, order->money, &order->limit_price);
    if (!err && order->has_max_cost)
        err = decimal_of(arena, order->max_cost_minor, order->money, &order->max_cost);
    return err;
}

enum err gateway_order_row(struct store_rows *rows, struct arena *arena,
                           struct gateway_order *ret_order)
{
    *ret_order = (struct gateway_order){.id = store_rows_text(rows, 0, arena),
                                        .symbol = store_rows_text(rows, 1, arena),
                                        .side = store_rows_text(rows, 2, arena),
                                        .quantity = store_rows_i64(rows, 3),
                                        .type = store_rows_text(rows, 4, arena),
                                        .has_limit_price = !store_rows_null(rows, 5),
                                        .limit_price_minor = store_rows_i64_or(rows, 5, 0),
                                        .currency = store_rows_text(rows, 6, arena),
                                        .has_account = !store_rows_null(rows, 7),
                                        .account_id = store_rows_i64_or(rows, 7, 0),
                                        .status = store_rows_text(rows, 8, arena),
                                        .created_at = store_rows_i64(rows, 9),
                                        .updated_at = store_rows_i64(rows, 10),
                                        .user_id = store_rows_i64(rows, 11),
                                        .filled_quantity = store_rows_i64(rows, 12),
                                        .hold_seq = store_rows_i64_or(rows, 13, 0),
                                        .has_max_cost = !store_rows_null(rows, 14),
                                        .max_cost_minor = store_rows_i64_or(rows, 14, 0),
                                        .reason = store_rows_text(rows, 15, arena),
                                        .fill_count = store_rows_i64(rows, 16)};
    return show_amounts(ret_order, arena);
}

enum err gateway_fill_row(struct store_rows *rows, const struct gateway_order *order,
                          struct arena *arena, struct gateway_fill *ret_fill)
{
    enum err err;

    *ret_fill = (struct gateway_fill){.number = store_rows_i64(rows, 0),
                                      .quantity = store_rows_i64(rows, 1),
                                      .amount_minor = store_rows_i64(rows, 3),
                                      .at = store_rows_i64(rows, 4)};
    err = decimal_of(arena, store_rows_i64(rows, 2), order->money, &ret_fill->price);
    return err ? err : decimal_of(arena, ret_fill->amount_minor, order->money, &ret_fill->amount);
}

static const struct store_statement order_by_id = {
    .name = "order_by_id", .sqlite = "SELECT " GATEWAY_ORDER_COLUMNS " FROM orders WHERE id = ?1"};

bool gateway_sees_all_orders(const struct http_principal *principal)
{
    return http_has_role(principal, "broker") || ledger_sees_all(principal);
}

static enum err not_owner(struct http_request *req, struct span id)
{
    struct sbuf object = sbuf_on(req->arena, 64);

    sbuf_add_lit(&object, "order:");
    sbuf_add(&object, id);
    return http_denied(req, ERR_NOT_FOUND, REASON_NOT_OWNER, sbuf_span(&object));
}

enum err gateway_order_find(struct http_request *req, struct store_conn *conn, struct span id,
                            struct gateway_order *ret_order)
{
    PC_AUTO(store_rows) rows = NULL;
    struct gateway_order order;
    enum err err = store_query(conn, &order_by_id, STORE_PARAMS(STORE_TEXT(id)), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    err = gateway_order_row(rows, req->arena, &order);
    if (!err)
        err = store_rows_err(rows);
    if (err)
        return err;
    if (order.user_id != req->principal->user_id && !gateway_sees_all_orders(req->principal))
        return not_owner(req, id);
    *ret_order = order;
    return ERR_OK;
}
