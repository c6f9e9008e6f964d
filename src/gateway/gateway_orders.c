/* SPDX-License-Identifier: MIT
 * /api/v1/trading/orders: the table of routes, and what the files behind it share. Whatever changes
 * an order runs in a turn of the ledger, so an order and its money are one commit, and two changes
 * of one order wait for each other.
 *
 *                 cancel (owner)      gateway_orders_end.c
 *            +--------------------> cancelled      parts that were filled stay so
 *            |
 *   create --+--> open --- fill (broker) ---> open, until nothing is left: filled
 *                  |                  gateway_orders_fill.c
 *                  +---------------> rejected
 *                  reject (broker, while nothing is filled) */
#include "gateway/gateway_priv.h"

static const struct json_field order_input_fields[] = {
    GATEWAY_ORDER_ID_FIELD(struct gateway_order_input, id),
};
const struct json_schema gateway_order_input_schema = {.name = "OrderId",
                                                       .fields = order_input_fields,
                                                       .field_count = PC_COUNT(order_input_fields),
                                                       .bytes = sizeof(struct gateway_order_input)};

enum err gateway_order_text(struct arena *arena, const char *before, struct span id,
                            struct span *ret_text)
{
    struct sbuf out = sbuf_on(arena, 128);

    sbuf_add(&out, span_from(before));
    sbuf_add(&out, id);
    if (out.full)
        return ERR_NO_MEMORY;
    *ret_text = sbuf_span(&out);
    return ERR_OK;
}

/* ---- what is remembered and counted -----------------------------------------------------------
 */

static enum err add_number(struct ledger_turn *turn, struct trail_detail *detail, const char *name,
                           int64_t number)
{
    struct sbuf out = sbuf_on(ledger_turn_arena(turn), 24);

    sbuf_add_i64(&out, number);
    *detail = (struct trail_detail){.name = name, .value = sbuf_span(&out)};
    return out.full ? ERR_NO_MEMORY : ERR_OK;
}

static enum err add_fill(struct ledger_turn *turn, struct trail_detail *details,
                         const struct gateway_fill *fill)
{
    enum err err = add_number(turn, &details[0], "filled", fill->quantity);

    return err ? err : add_number(turn, &details[1], "amount_minor", fill->amount_minor);
}

/* No free text: neither symbol nor reason. */
enum err gateway_order_event(struct ledger_turn *turn, enum trail_event event,
                             const struct gateway_order *order, const struct gateway_fill *fill)
{
    struct trail_record record = {.event = event, .outcome = TRAIL_DONE};
    struct trail_detail *details = record.details;
    enum err err = gateway_order_text(ledger_turn_arena(turn), "order:", order->id, &record.object);

    details[0] = (struct trail_detail){.name = "status", .value = order->status};
    details[1] = (struct trail_detail){.name = "currency", .value = order->currency};
    if (!err)
        err = add_number(turn, &details[2], "account", order->account_id);
    if (!err)
        err = add_number(turn, &details[3], "quantity", order->quantity);
    if (!err && fill != NULL)
        err = add_fill(turn, &details[4], fill);
    return err ? err : ledger_turn_trail(turn, &record);
}

static const struct metric_def orders_total = {.name = "gateway_orders_total",
                                               .help = "Orders by what happened to them.",
                                               .kind = METRIC_COUNTER,
                                               .labels = {"event"}};

static void count(struct http_request *req, enum err err, struct span event)
{
    struct metrics *metrics = ledger_options_of(http_context(req))->metrics;
    struct metric *metric;

    if (err == ERR_OK && metric_register(metrics, &orders_total, &metric) == ERR_OK)
        metric_add(metric_series(metric, &event, 1), 1);
}

void gateway_count_created(struct http_request *req, enum err err)
{
    count(req, err, SPAN_OF("created"));
}

void gateway_count_filled(struct http_request *req, enum err err)
{
    count(req, err, SPAN_OF("filled"));
}

void gateway_count_cancelled(struct http_request *req, enum err err)
{
    count(req, err, SPAN_OF("cancelled"));
}

void gateway_count_rejected(struct http_request *req, enum err err)
{
    count(req, err, SPAN_OF("rejected"));
}

/* ---- routes -----------------------------------------------------------------------------------
 */

#define ABOUT_KEY                                                                                  \
    "With an `Idempotency-Key` the same request has one effect, however often it comes."

const struct http_route gateway_order_routes[] = {
    {.method = NET_METHOD_GET,
     .path = "/api/v1/trading/orders",
     .access = HTTP_ACCESS_BEARER,
     .scopes = "orders:read",
     .data = HTTP_DATA_CONFIDENTIAL,
     .input = &gateway_orders_input_schema,
     .reply = &gateway_orders_schema,
     .run = HTTP_RUN_READ,
     .handle = gateway_orders_list,
     .id = "orders_list",
     .tag = "Trading",
     .summary = "My orders, newest first",
     .errors = {ERR_FORBIDDEN}},
    {.method = NET_METHOD_POST,
     .path = "/api/v1/trading/orders",
     .access = HTTP_ACCESS_BEARER,
     .scopes = "orders:write",
     .data = HTTP_DATA_CONFIDENTIAL,
     .body = &gateway_order_new_schema,
     .body_bytes_max = 4096,
     .reply = &gateway_order_schema,
     .reply_status = 201,
     .run = HTTP_RUN_LOOP,
     .keyed = true,
     .handle = gateway_order_create,
     .id = "orders_create",
     .tag = "Trading",
     .summary = "Order to buy or sell",
     .about = "An order to buy holds what it can cost on its account. " ABOUT_KEY,
     .errors = {ERR_NOT_FOUND, ERR_FUNDS, ERR_ACCOUNT_FROZEN, ERR_ACCOUNT_CLOSED,
                ERR_CURRENCY_MISMATCH, ERR_KEY_RUNNING, ERR_BALANCE_RANGE, ERR_AMOUNT_DIGITS,
                ERR_AMOUNT_RANGE}},
    {.method = NET_METHOD_GET,
     .path = "/api/v1/trading/orders/{id}",
     .access = HTTP_ACCESS_BEARER,
     .scopes = "orders:read",
     .data = HTTP_DATA_CONFIDENTIAL,
     .input = &gateway_order_input_schema,
     .reply = &gateway_order_schema,
     .run = HTTP_RUN_READ,
     .handle = gateway_order_get,
     .id = "orders_get",
     .tag = "Trading",
     .summary = "One order with its fills",
     .errors = {ERR_NOT_FOUND}},
    {.method = NET_METHOD_DELETE,
     .path = "/api/v1/trading/orders/{id}",
     .access = HTTP_ACCESS_BEARER,
     .scopes = "orders:write",
     .data = HTTP_DATA_CONFIDENTIAL,
     .input = &gateway_order_input_schema,
     .reply_status = 204,
     .run = HTTP_RUN_LOOP,
     .keyed = true,
     .handle = gateway_order_cancel,
     .id = "orders_cancel",
     .tag = "Trading",
     .summary = "Cancel an open order",
     .about = "What it still holds is given back. What was filled stays filled.",
     .errors = {ERR_NOT_FOUND, ERR_TRANSITION}},
    {.method = NET_METHOD_GET,
     .path = "/api/v1/trading/orders/{id}/fills",
     .access = HTTP_ACCESS_BEARER,
     .scopes = "orders:read",
     .data = HTTP_DATA_CONFIDENTIAL,
     .input = &gateway_fills_input_schema,
     .reply = &gateway_fill_schema,
     .reply_is_list = true,
     .run = HTTP_RUN_READ,
     .handle = gateway_fills_list,
     .id = "orders_fills_list",
     .tag = "Trading",
     .summary = "The fills of an order, oldest first",
     .errors = {ERR_NOT_FOUND}},
    {.method = NET_METHOD_POST,
     .path = "/api/v1/trading/orders/{id}/fills",
     .access = HTTP_ACCESS_BEARER,
     .scopes = "orders:write",
     .roles = "broker",
     .data = HTTP_DATA_CONFIDENTIAL,
     .input = &gateway_order_input_schema,
     .body = &gateway_fill_new_schema,
     .body_bytes_max = 4096,
     .reply = &gateway_filled_schema,
     .reply_status = 201,
     .run = HTTP_RUN_LOOP,
     .keyed = true,
     .handle = gateway_order_fill,
     .id = "orders_fill",
     .tag = "Trading",
     .summary = "Settle an order, in whole or in part",
     .about = "What was bought is taken from what the order holds, what was sold is paid to the "
              "account. The last fill gives back what is left of the hold. " ABOUT_KEY,
     .errors = {ERR_NOT_FOUND, ERR_TRANSITION, ERR_CONFLICT, ERR_OVER_HOLD, ERR_HOLD_ENDED,
                ERR_ACCOUNT_FROZEN, ERR_ACCOUNT_CLOSED, ERR_BALANCE_RANGE, ERR_AMOUNT_DIGITS,
                ERR_AMOUNT_RANGE, ERR_KEY_RUNNING}},
    {.method = NET_METHOD_POST,
     .path = "/api/v1/trading/orders/{id}/reject",
     .access = HTTP_ACCESS_BEARER,
     .scopes = "orders:write",
     .roles = "broker",
     .data = HTTP_DATA_CONFIDENTIAL,
     .input = &gateway_order_input_schema,
     .body = &gateway_reject_schema,
     .body_bytes_max = 8192,
     .reply = &gateway_order_schema,
     .run = HTTP_RUN_LOOP,
     .keyed = true,
     .handle = gateway_order_reject,
     .id = "orders_reject",
     .tag = "Trading",
     .summary = "Refuse an order of which nothing is filled",
     .errors = {ERR_NOT_FOUND, ERR_TRANSITION, ERR_KEY_RUNNING}},
    {.path = NULL},
};
