/* SPDX-License-Identifier: MIT
 * Lists of orders and of fills, a page at a time. A page begins behind the last row of the one
 * before, so rows that are added meanwhile move nothing. */
#include "gateway/gateway_priv.h"

enum { CURSOR_BYTES_MAX = 80 };

struct orders_input {
    struct http_page page; /* first: HTTP_PAGE_FIELDS */
    struct span status, symbol;
    int64_t account_id;
    bool has_account, all;
};

static const struct json_field orders_input_fields[] = {
    HTTP_PAGE_FIELDS(CURSOR_BYTES_MAX, "1759752000000000000.0b9d3f0e-6f0c-4f3e-9a53-8d9a4a1c2b3d"),
    {.name = "status",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .offset = offsetof(struct orders_input, status),
     .choices = (const char *const[]){"open", "cancelled", "filled", "rejected", NULL},
     .about = "Only those.",
     .example = "open"},
    {.name = "symbol",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .min = 1,
     .max = GATEWAY_SYMBOL_CHARS_MAX,
     .offset = offsetof(struct orders_input, symbol),
     .about = "Only of this.",
     .example = "ACME"},
    {.name = "account_id",
     .kind = JSON_KIND_I64,
     .optional = true,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct orders_input, account_id),
     .has_offset = offsetof(struct orders_input, has_account),
     .about = "Only of this account.",
     .example = "7"},
    {.name = "all",
     .kind = JSON_KIND_BOOL,
     .optional = true,
     .fallback = "false",
     .offset = offsetof(struct orders_input, all),
     .about = "Everybody's: for brokers, and those who see every account.",
     .example = "false"},
};
const struct json_schema gateway_orders_input_schema = {.name = "OrderPage",
                                                        .fields = orders_input_fields,
                                                        .field_count =
                                                            PC_COUNT(orders_input_fields),
                                                        .bytes = sizeof(struct orders_input)};

struct orders_reply {
    struct json_list orders;
    int64_t total, user_id;
};

static const struct json_field orders_fields[] = {
    {.name = "orders",
     .kind = JSON_KIND_LIST,
     .max = LIMIT_PAGE_ITEMS_MAX,
     .offset = offsetof(struct orders_reply, orders),
     .schema = &gateway_order_schema},
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
     .example = "2",
     .about = "Who asked."},
};
const struct json_schema gateway_orders_schema = {.name = "Orders",
                                                  .about = "One page of orders.",
                                                  .fields = orders_fields,
                                                  .field_count = PC_COUNT(orders_fields),
                                                  .bytes = sizeof(struct orders_reply)};

/* ?1 is what the index leads with, ?2 to ?4 the filters beside it, then the page. */
#define FILTERED                                                                                   \
    " AND (CAST(?2 AS text) IS NULL OR symbol = ?2) AND (CAST(?3 AS text) IS NULL OR status = ?3)" \
    " AND (CAST(?4 AS bigint) IS NULL OR account_id = ?4) "
#define PAGED                                                                                      \
    "AND created_at <= ?5 AND (created_at < ?5 OR id > ?6) ORDER BY created_at DESC, id LIMIT ?7"
#define PAGE_OF(lead)  "SELECT " GATEWAY_ORDER_COLUMNS " FROM orders WHERE " lead FILTERED PAGED
#define COUNT_OF(lead) "SELECT count(*) FROM orders WHERE " lead FILTERED

enum lead { LEAD_USER, LEAD_ACCOUNT, LEAD_STATUS, LEAD_TIME, LEAD_COUNT };
enum { FILTERS = 4, PAGE_VALUES = 7 };

/* The plus sign keeps a planner from an index that is of no use. */
static const struct {
    struct store_statement page, count;
} lists[LEAD_COUNT] = {
    [LEAD_USER] = {{.name = "orders_of_user", .sqlite = PAGE_OF("user_id = ?1")},
                   {.name = "orders_of_user_count", .sqlite = COUNT_OF("user_id = ?1")}},
    [LEAD_ACCOUNT] = {{.name = "orders_of_account", .sqlite = PAGE_OF("account_id = ?1")},
                      {.name = "orders_of_account_count", .sqlite = COUNT_OF("account_id = ?1")}},
    [LEAD_STATUS] = {{.name = "orders_of_status", .sqlite = PAGE_OF("status = ?1")},
                     {.name = "orders_of_status_count", .sqlite = COUNT_OF("status = ?1")}},
    [LEAD_TIME] = {{.name = "orders_of_all", .sqlite = PAGE_OF("+user_id > ?1")},
                   {.name = "orders_of_all_count", .sqlite = COUNT_OF("+user_id > ?1")}},
};

struct listing {
    const struct orders_input *input;
    enum lead lead;
    struct store_value values[PAGE_VALUES];
};

static void choose_lead(struct http_request *req, struct listing *listing)
{
    const struct orders_input *input = listing->input;

    if (!input->all) {
        listing->lead = LEAD_USER;
        listing->values[0] = STORE_I64(req->principal->user_id);
    } else if (input->has_account) {
        listing->lead = LEAD_ACCOUNT;
        listing->values[0] = STORE_I64(input->account_id);
    } else if (input->status.len > 0) {
        listing->lead = LEAD_STATUS;
        listing->values[0] = STORE_TEXT(input->status);
    } else {
        listing->lead = LEAD_TIME;
        listing->values[0] = STORE_I64(0);
    }
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

static enum err plan(struct http_request *req, struct listing *listing)
{
    const struct orders_input *input = listing->input;
    int64_t before;
    struct span after;
    enum err err = read_cursor(req, input->page.cursor, &before, &after);

    if (err)
        return err;
    choose_lead(req, listing);
    listing->values[1] = store_text_or_null(input->symbol);
    listing->values[2] = store_text_or_null(input->status);
    listing->values[3] = input->has_account ? STORE_I64(input->account_id) : STORE_NULL;
    listing->values[4] = STORE_I64(before);
    listing->values[5] = STORE_TEXT(after);
    listing->values[6] = STORE_I64(input->page.limit + 1);
    return ERR_OK;
}

static enum err count_orders(struct http_request *req, const struct listing *listing,
                             int64_t *ret_total)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err =
        store_query(req->store, &lists[listing->lead].count, listing->values, FILTERS, &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_STORE_CORRUPT);
    *ret_total = store_rows_i64(rows, 0);
    return store_rows_err(rows);
}

/* One more than asked for tells whether there is a next page. */
static enum err read_orders(struct http_request *req, const struct listing *listing,
                            struct gateway_order *orders, size_t *ret_count)
{
    PC_AUTO(store_rows) rows = NULL;
    size_t max = (size_t)listing->input->page.limit + 1;
    size_t count = 0;
    enum err err =
        store_query(req->store, &lists[listing->lead].page, listing->values, PAGE_VALUES, &rows);

    if (err)
        return err;
    while (err == ERR_OK && count < max && store_next(rows))
        err = gateway_order_row(rows, req->arena, &orders[count++]);
    if (err == ERR_OK)
        err = store_rows_err(rows);
    *ret_count = count;
    return err;
}

static void add_link(struct http_request *req, const struct http_page *page,
                     const struct gateway_order *last)
{
    char text[CURSOR_BYTES_MAX + 1];
    struct sbuf cursor = sbuf_over(text, sizeof(text));

    sbuf_add_format(&cursor, "%lld.%.*s", (long long)last->created_at, SPAN_ARG(last->id));
    http_page_link(req, page, sbuf_span(&cursor));
}

enum err gateway_orders_list(struct http_request *req)
{
    struct listing listing = {.input = req->input};
    const struct http_page *page = &listing.input->page;
    struct orders_reply reply = {.user_id = req->principal->user_id};
    struct gateway_order *orders =
        arena_array(req->arena, (size_t)page->limit + 1, sizeof(*orders));
    size_t count;
    enum err err;

    if (orders == NULL)
        return ERR_NO_MEMORY;
    if (listing.input->all && !gateway_sees_all_orders(req->principal))
        return http_fail(req, ERR_FORBIDDEN, "Everybody's orders are shown to brokers.");
    err = plan(req, &listing);
    if (!err)
        err = count_orders(req, &listing, &reply.total);
    if (!err)
        err = read_orders(req, &listing, orders, &count);
    if (err)
        return err;
    if (count > (size_t)page->limit) {
        count = (size_t)page->limit;
        add_link(req, page, &orders[count - 1]);
    }
    reply.orders = (struct json_list){.items = orders, .count = count};
    return http_reply(req, &reply);
}

/* ---- fills ------------------------------------------------------------------------------------
 */

struct fills_input {
    struct http_page page; /* first: HTTP_PAGE_FIELDS */
    struct span id;
};

static const struct json_field fills_input_fields[] = {
    HTTP_PAGE_FIELDS(HTTP_PAGE_KEY_BYTES_MAX, "100"),
    GATEWAY_ORDER_ID_FIELD(struct fills_input, id),
};
const struct json_schema gateway_fills_input_schema = {.name = "FillPage",
                                                       .fields = fills_input_fields,
                                                       .field_count = PC_COUNT(fills_input_fields),
                                                       .bytes = sizeof(struct fills_input)};

static const struct store_statement fills_page = {
    .name = "fills_page",
    .sqlite = "SELECT number, quantity, price, amount, at FROM order_fills "
              "WHERE order_id = ?1 AND number > ?2 ORDER BY number LIMIT ?3"};

static enum err read_fills(struct http_request *req, const struct gateway_order *order,
                           int64_t after, size_t max, struct json_list *ret_fills)
{
    PC_AUTO(store_rows) rows = NULL;
    struct gateway_fill *fills = arena_array(req->arena, max, sizeof(*fills));
    size_t count = 0;
    enum err err;

    if (fills == NULL)
        return ERR_NO_MEMORY;
    err = store_query(
        req->store, &fills_page,
        STORE_PARAMS(STORE_TEXT(order->id), STORE_I64(after), STORE_I64((int64_t)max)), &rows);
    while (err == ERR_OK && count < max && store_next(rows))
        err = gateway_fill_row(rows, order, req->arena, &fills[count++]);
    if (err == ERR_OK)
        err = store_rows_err(rows);
    *ret_fills = (struct json_list){.items = fills, .count = count};
    return err;
}

enum err gateway_fills_list(struct http_request *req)
{
    const struct fills_input *input = req->input;
    size_t limit = (size_t)input->page.limit;
    struct gateway_order order;
    struct json_list fills;
    int64_t after;
    enum err err = http_page_after(req, &input->page, &after);

    if (!err)
        err = gateway_order_find(req, req->store, input->id, &order);
    if (!err)
        err = read_fills(req, &order, after, limit + 1, &fills);
    if (err)
        return err;
    if (fills.count > limit) {
        fills.count = limit;
        http_page_link_key(req, &input->page,
                           ((const struct gateway_fill *)fills.items)[limit - 1].number);
    }
    return http_reply_list(req, fills);
}

/* With its latest fills; all of them are a list of their own. */
enum err gateway_order_get(struct http_request *req)
{
    const struct gateway_order_input *input = req->input;
    struct gateway_order order;
    enum err err = gateway_order_find(req, req->store, input->id, &order);

    if (err)
        return err;
    err = read_fills(
        req, &order,
        order.fill_count > LIMIT_PAGE_ITEMS_MAX ? order.fill_count - LIMIT_PAGE_ITEMS_MAX : 0,
        LIMIT_PAGE_ITEMS_MAX, &order.fills);
    order.has_fills = true;
    return err ? err : http_reply(req, &order);
}
