/* SPDX-License-Identifier: MIT
 * GET /api/v1/trading/orders: the caller's orders, newest first, a page at a time. A page begins
 * behind the last order of the one before (time and id), so orders added meanwhile move nothing. */
#include "gateway/gateway.h"

#include "base/money.h"
#include "http/http_page.h"

enum { CURSOR_BYTES_MAX = 80 };

static const struct json_field page_fields[] = {
    HTTP_PAGE_FIELDS(CURSOR_BYTES_MAX, "1759752000000000000.0b9d3f0e-6f0c-4f3e-9a53-8d9a4a1c2b3d"),
};
static const struct json_schema page_schema = {.name = "OrderPage",
                                               .fields = page_fields,
                                               .field_count = PC_COUNT(page_fields),
                                               .bytes = sizeof(struct http_page)};

struct order {
    struct span id, symbol, side, type, limit_price, currency, status;
    int64_t quantity, limit_price_minor, account_id, created_at, updated_at;
    bool has_limit_price, has_account;
};

static const struct json_field order_fields[] = {
    {.name = "id",
     .kind = JSON_KIND_TEXT,
     .format = JSON_FORMAT_UUID,
     .offset = offsetof(struct order, id),
     .example = "0b9d3f0e-6f0c-4f3e-9a53-8d9a4a1c2b3d"},
    {.name = "symbol",
     .kind = JSON_KIND_TEXT,
     .max = 32,
     .offset = offsetof(struct order, symbol),
     .example = "ACME"},
    {.name = "side",
     .kind = JSON_KIND_TEXT,
     .max = 4,
     .offset = offsetof(struct order, side),
     .choices = (const char *const[]){"buy", "sell", NULL},
     .example = "buy"},
    {.name = "quantity",
     .kind = JSON_KIND_I64,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct order, quantity),
     .example = "10"},
    {.name = "type",
     .kind = JSON_KIND_TEXT,
     .max = 6,
     .offset = offsetof(struct order, type),
     .choices = (const char *const[]){"market", "limit", NULL},
     .example = "limit"},
    {.name = "limit_price",
     .kind = JSON_KIND_DECIMAL,
     .optional = true,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct order, limit_price),
     .has_offset = offsetof(struct order, has_limit_price),
     .example = "19.95",
     .about = "The exact price of a limit order, in its currency."},
    {.name = "limit_price_minor",
     .kind = JSON_KIND_I64,
     .optional = true,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct order, limit_price_minor),
     .has_offset = offsetof(struct order, has_limit_price),
     .example = "1995",
     .about = "The same in minor units of the currency."},
    {.name = "currency",
     .kind = JSON_KIND_TEXT,
     .max = 3,
     .offset = offsetof(struct order, currency),
     .example = "USD"},
    {.name = "account_id",
     .kind = JSON_KIND_I64,
     .optional = true,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct order, account_id),
     .has_offset = offsetof(struct order, has_account),
     .example = "7"},
    {.name = "status",
     .kind = JSON_KIND_TEXT,
     .max = 9,
     .offset = offsetof(struct order, status),
     .choices = (const char *const[]){"open", "cancelled", "filled", "rejected", NULL},
     .example = "open"},
    {.name = "created_at",
     .kind = JSON_KIND_TIME,
     .offset = offsetof(struct order, created_at),
     .example = "2026-02-03T04:05:06Z"},
    {.name = "updated_at",
     .kind = JSON_KIND_TIME,
     .offset = offsetof(struct order, updated_at),
     .example = "2026-02-03T04:05:06Z"},
};
static const struct json_schema order_schema = {.name = "Order",
                                                .about = "An order to buy or sell.",
                                                .fields = order_fields,
                                                .field_count = PC_COUNT(order_fields),
                                                .bytes = sizeof(struct order)};

struct orders_reply {
    struct json_list orders;
    int64_t total, user_id;
};

static const struct json_field orders_fields[] = {
    {.name = "orders",
     .kind = JSON_KIND_LIST,
     .max = LIMIT_PAGE_ITEMS_MAX,
     .offset = offsetof(struct orders_reply, orders),
     .schema = &order_schema},
    {.name = "total",
     .kind = JSON_KIND_I64,
     .max = INT64_MAX,
     .offset = offsetof(struct orders_reply, total),
     .example = "1",
     .about = "Of all pages together."},
    {.name = "user_id",
     .kind = JSON_KIND_I64,
     .max = INT64_MAX,
     .offset = offsetof(struct orders_reply, user_id),
     .example = "2"},
};
static const struct json_schema orders_schema = {.name = "Orders",
                                                 .about = "One page of the caller's orders.",
                                                 .fields = orders_fields,
                                                 .field_count = PC_COUNT(orders_fields),
                                                 .bytes = sizeof(struct orders_reply)};

static const struct store_statement orders_page = {
    .name = "orders_page",
    .sqlite = "SELECT id, symbol, side, quantity, type, limit_price_minor, currency, account_id, "
              "status, created_at, updated_at FROM orders WHERE user_id = ?1 AND "
              "(created_at < ?2 OR (created_at = ?2 AND id > ?3)) "
              "ORDER BY created_at DESC, id LIMIT ?4"};
static const struct store_statement orders_count = {
    .name = "orders_count", .sqlite = "SELECT count(*) FROM orders WHERE user_id = ?1"};

/* The exact decimal of the price. What the store says is checked again: a currency that does not
 * exist has no decimals to show. */
static enum err order_price(struct order *order, struct arena *arena)
{
    const struct money price = {.minor = order->limit_price_minor,
                                .currency = currency_from_code(order->currency)};
    struct sbuf out = sbuf_on(arena, 32);

    if (!order->has_limit_price)
        return ERR_OK;
    if (price.currency == CURRENCY_NONE)
        return ERR_STORE_CORRUPT;
    money_add_decimal(&out, price);
    order->limit_price = sbuf_span(&out);
    return out.full ? ERR_NO_MEMORY : ERR_OK;
}

static enum err order_read(struct store_rows *rows, struct arena *arena, struct order *order)
{
    *order = (struct order){.id = store_rows_text(rows, 0, arena),
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
                            .updated_at = store_rows_i64(rows, 10)};
    return order_price(order, arena);
}

static enum err count_orders(struct http_request *req, int64_t *ret_total)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(req->store, &orders_count,
                               STORE_PARAMS(STORE_I64(req->principal->user_id)), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_STORE_CORRUPT);
    *ret_total = store_rows_i64(rows, 0);
    return store_rows_err(rows);
}

/* "<created_at>.<id>" of the last order that was seen. */
static enum err read_cursor(struct http_request *req, struct span cursor, int64_t *ret_before,
                            struct span *ret_after)
{
    size_t dot = span_find(cursor, '.');

    *ret_before = INT64_MAX;
    *ret_after = SPAN_OF("");
    if (cursor.len == 0)
        return ERR_OK;
    if (dot == cursor.len || !span_to_i64(span_slice(cursor, 0, dot), ret_before))
        return http_page_fail(req);
    *ret_after = span_slice(cursor, dot + 1, cursor.len);
    return ERR_OK;
}

static void add_link(struct http_request *req, const struct http_page *page,
                     const struct order *last)
{
    char text[CURSOR_BYTES_MAX + 1];
    struct sbuf cursor = sbuf_over(text, sizeof(text));

    sbuf_add_format(&cursor, "%lld.%.*s", (long long)last->created_at, SPAN_ARG(last->id));
    http_page_link(req, page, sbuf_span(&cursor));
}

static enum err orders_list(struct http_request *req)
{
    const struct http_page *page = req->input;
    PC_AUTO(store_rows) rows = NULL;
    size_t limit = (size_t)page->limit;
    struct orders_reply reply = {.user_id = req->principal->user_id};
    struct order *orders = arena_array(req->arena, limit + 1, sizeof(*orders));
    int64_t before;
    struct span after;
    enum err err;

    if (orders == NULL)
        return ERR_NO_MEMORY;
    err = read_cursor(req, page->cursor, &before, &after);
    if (err)
        return err;
    err = count_orders(req, &reply.total);
    if (err)
        return err;
    err = store_query(req->store, &orders_page,
                      STORE_PARAMS(STORE_I64(req->principal->user_id), STORE_I64(before),
                                   STORE_TEXT(after), STORE_I64((int64_t)limit + 1)),
                      &rows);
    if (err)
        return err;
    reply.orders.items = orders;
    while (err == ERR_OK && reply.orders.count <= limit && store_next(rows))
        err = order_read(rows, req->arena, &orders[reply.orders.count++]);
    if (err == ERR_OK)
        err = store_rows_err(rows);
    if (err)
        return err;
    if (reply.orders.count > limit) {
        reply.orders.count = limit;
        add_link(req, page, &orders[limit - 1]);
    }
    return http_reply(req, &reply);
}

const struct http_route gateway_order_routes[] = {
    {.method = NET_METHOD_GET,
     .path = "/api/v1/trading/orders",
     .access = HTTP_ACCESS_BEARER,
     .scopes = "orders:read",
     .data = HTTP_DATA_CONFIDENTIAL,
     .input = &page_schema,
     .reply = &orders_schema,
     .run = HTTP_RUN_READ,
     .handle = orders_list,
     .id = "orders_list",
     .tag = "Trading",
     .summary = "My orders, newest first"},
    {.path = NULL},
};
