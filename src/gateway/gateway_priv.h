/* SPDX-License-Identifier: MIT
 * What the files of orders share: the row of an order, its JSON, and how it is found.
 *
 * Threads, memory: as http/ says of handlers; texts are of the request's arena. */
#ifndef PC_GATEWAY_GATEWAY_PRIV_H
#define PC_GATEWAY_GATEWAY_PRIV_H

#include "gateway/gateway.h"
#include "http/http_page.h"
#include "ledger/ledger_call.h"

enum { GATEWAY_SYMBOL_CHARS_MAX = 32, GATEWAY_ORDER_ID_CHARS_MAX = 64 };

struct gateway_fill {
    int64_t number; /* from 1 on, within its order */
    int64_t quantity;
    struct span price, amount; /* exact decimals of the order's currency */
    int64_t amount_minor;
    int64_t at;
};

struct gateway_order {
    struct span id, symbol, side, type, limit_price, max_cost, currency, status, reason;
    int64_t quantity, filled_quantity, limit_price_minor, max_cost_minor, account_id;
    int64_t created_at, updated_at;
    struct json_list fills;
    bool has_limit_price, has_max_cost, has_account, has_fills;

    /* Not shown. */
    int64_t user_id;
    int64_t hold_seq; /* 0: holds nothing */
    int64_t fill_count;
    enum currency money; /* that of `currency` */
};

extern const struct json_schema gateway_fill_schema;
extern const struct json_schema gateway_order_schema;

/* The columns that gateway_order_row reads, in its order, of the table "orders". */
#define GATEWAY_ORDER_COLUMNS                                                                      \
    "id, symbol, side, quantity, type, limit_price_minor, currency, account_id, status, "          \
    "created_at, updated_at, user_id, filled_quantity, hold_seq, cost_max, reason, "               \
    "(SELECT count(*) FROM order_fills WHERE order_id = orders.id)"

/* An exact decimal. In the arena. */
PC_CHECKED enum err gateway_decimals(struct arena *arena, struct money money,
                                     struct span *ret_text);

/* What the store says is checked again: a currency that does not exist has no decimals to show.
 * ERR_STORE_CORRUPT. */
PC_CHECKED enum err gateway_order_row(struct store_rows *rows, struct arena *arena,
                                      struct gateway_order *ret_order);
/* number, quantity, price, amount, at */
PC_CHECKED enum err gateway_fill_row(struct store_rows *rows, const struct gateway_order *order,
                                     struct arena *arena, struct gateway_fill *ret_fill);

/* ERR_NOT_FOUND: there is none, or the caller may not see it. Its owner does, and the roles that
 * see all. */
PC_CHECKED enum err gateway_order_find(struct http_request *req, struct store_conn *conn,
                                       struct span id, struct gateway_order *ret_order);

/* Every customer's orders: brokers, and those who see every account. */
bool gateway_sees_all_orders(const struct http_principal *principal);

/* The {id} of a path. */
struct gateway_order_input {
    struct span id;
};
#define GATEWAY_ORDER_ID_FIELD(type, member)                                                       \
    {                                                                                              \
        .name = "id", .kind = JSON_KIND_TEXT, .min = 1, .max = GATEWAY_ORDER_ID_CHARS_MAX,         \
        .offset = offsetof(type, member), .about = "The order's id.",                              \
        .example = "0b9d3f0e-6f0c-4f3e-9a53-8d9a4a1c2b3d"                                          \
    }
extern const struct json_schema gateway_order_input_schema;

/* The id as it stands behind the order of which a posting tells: "order 0b9d…". In the arena. */
PC_CHECKED enum err gateway_order_text(struct arena *arena, const char *before, struct span id,
                                       struct span *ret_text);

/* Handlers. */
http_handler_fn gateway_order_create;
http_handler_fn gateway_order_cancel;
http_handler_fn gateway_order_reject;
http_handler_fn gateway_order_fill;
http_handler_fn gateway_orders_list;
http_handler_fn gateway_fills_list;
http_handler_fn gateway_order_get;

/* Bodies and inputs of the table. */
extern const struct json_schema gateway_order_new_schema;
extern const struct json_schema gateway_fill_new_schema;
extern const struct json_schema gateway_filled_schema;
extern const struct json_schema gateway_reject_schema;
extern const struct json_schema gateway_orders_input_schema;
extern const struct json_schema gateway_orders_schema;
extern const struct json_schema gateway_fills_input_schema;

/* The event in the trail, of the order: "order:0b9d…". */
PC_CHECKED enum err gateway_order_event(struct ledger_turn *turn, enum trail_event event,
                                        const struct gateway_order *order,
                                        const struct gateway_fill *fill);

/* One more in gateway_orders_total, once the commit is there: a handler gives one of these to
 * http_finally. */
http_finally_fn gateway_count_created;
http_finally_fn gateway_count_filled;
http_finally_fn gateway_count_cancelled;
http_finally_fn gateway_count_rejected;

#endif
