/* SPDX-License-Identifier: MIT
 * POST /api/v1/trading/orders/{id}/fills: the broker settles an order, in whole or in part. What
 * was bought is taken from the order's hold; what was sold is paid from the currency's settlement
 * account. The last fill gives back what is left of the hold. */
#include "gateway/gateway_priv.h"

struct fill_new {
    int64_t quantity;
    struct span price;
};

static const struct json_field fill_new_fields[] = {
    {.name = "quantity",
     .kind = JSON_KIND_I64,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct fill_new, quantity),
     .example = "4"},
    {.name = "price",
     .kind = JSON_KIND_DECIMAL,
     .max = INT64_MAX,
     .offset = offsetof(struct fill_new, price),
     .example = "19.90",
     .about = "Of one, in the order's currency."},
};
const struct json_schema gateway_fill_new_schema = {.name = "FillNew",
                                                    .about = "A part of an order, settled.",
                                                    .fields = fill_new_fields,
                                                    .field_count = PC_COUNT(fill_new_fields),
                                                    .bytes = sizeof(struct fill_new)};

struct filled {
    struct gateway_order order;
    struct gateway_fill fill;
};

static const struct json_field filled_fields[] = {
    {.name = "order",
     .kind = JSON_KIND_OBJECT,
     .offset = offsetof(struct filled, order),
     .schema = &gateway_order_schema,
     .about = "As it is now."},
    {.name = "fill",
     .kind = JSON_KIND_OBJECT,
     .offset = offsetof(struct filled, fill),
     .schema = &gateway_fill_schema},
};
const struct json_schema gateway_filled_schema = {.name = "OrderFilled",
                                                  .about = "A fill, and its order.",
                                                  .fields = filled_fields,
                                                  .field_count = PC_COUNT(filled_fields),
                                                  .bytes = sizeof(struct filled)};

struct settlement {
    struct gateway_order *order;
    struct money price, amount;
    bool is_last;
    struct ledger_posted posted;
};

static bool is_buy(const struct gateway_order *order)
{
    return span_is(order->side, "buy");
}

static enum err read_amounts(struct http_request *req, struct settlement *settlement)
{
    const struct fill_new *fill = req->body;
    enum err err =
        ledger_amount_read(req, "price", fill->price, settlement->order->money, &settlement->price);

    if (err)
        return err;
    if (money_times(settlement->price, fill->quantity, &settlement->amount) != ERR_OK)
        return http_fail_field(req, "quantity", "comes to more than there can be of the currency");
    return ERR_OK;
}

/* Above everything else, as in the order of refusals: what the account does not allow at all. */
static enum err check_account(struct ledger_turn *turn, const struct gateway_order *order)
{
    struct ledger_account account;
    enum err err = ledger_turn_account(turn, order->account_id, &account);

    if (err)
        return err;
    if (account.state == LEDGER_CLOSED)
        return ERR_ACCOUNT_CLOSED;
    return account.state == LEDGER_FROZEN && is_buy(order) ? ERR_ACCOUNT_FROZEN : ERR_OK;
}

static enum err check_order(struct http_request *req, struct settlement *settlement)
{
    const struct gateway_order *order = settlement->order;
    const struct fill_new *fill = req->body;
    int64_t open = order->quantity - order->filled_quantity;
    int64_t price = settlement->price.minor;

    if (!span_is(order->status, "open"))
        return ERR_TRANSITION;
    if (order->has_limit_price &&
        (is_buy(order) ? price > order->limit_price_minor : price < order->limit_price_minor))
        return http_fail(req, ERR_CONFLICT, "The price is beyond the order's limit.");
    if (fill->quantity > open)
        return http_fail(req, ERR_CONFLICT, "The order is open for less than that.");
    settlement->is_last = fill->quantity == open;
    return ERR_OK;
}

static enum err pay_for(struct ledger_turn *turn, struct settlement *settlement,
                        struct span description)
{
    const struct ledger_capture capture = {.hold_seq = settlement->order->hold_seq,
                                           .amount = settlement->amount.minor,
                                           .ends = settlement->is_last,
                                           .description = description};

    return capture.hold_seq == 0 ? ERR_HOLD_ENDED
                                 : ledger_capture(turn, &capture, &settlement->posted);
}

static enum err pay_out(struct ledger_turn *turn, struct settlement *settlement,
                        struct span description)
{
    const struct ledger_transfer transfer = {
        .kind = LEDGER_POSTING,
        .from = ledger_house_account(LEDGER_SETTLEMENT, settlement->order->money),
        .to = settlement->order->account_id,
        .amount = settlement->amount,
        .description = description};

    return ledger_move(turn, &transfer, &settlement->posted);
}

/* The last check: behind it nothing is refused. */
static enum err settle(struct ledger_turn *turn, struct settlement *settlement)
{
    struct span description;
    enum err err =
        gateway_order_text(ledger_turn_arena(turn), "order ", settlement->order->id, &description);

    if (err)
        return err;
    return is_buy(settlement->order) ? pay_for(turn, settlement, description)
                                     : pay_out(turn, settlement, description);
}

static const struct store_statement fill_insert = {
    .name = "fill_insert",
    .sqlite = "INSERT INTO order_fills (order_id, number, quantity, price, amount, posted_seq, at) "
              "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"};
static const struct store_statement order_filled = {
    .name = "order_filled",
    .sqlite = "UPDATE orders SET filled_quantity = ?2, status = ?3, updated_at = ?4 WHERE id = ?1"};

/* Fill and order, in the rows and in what is shown of them. */
static enum err keep(struct http_request *req, struct ledger_turn *turn,
                     const struct settlement *settlement, struct gateway_fill *fill)
{
    const struct fill_new *asked = req->body;
    struct gateway_order *order = settlement->order;
    struct store_conn *conn = ledger_turn_conn(turn);
    enum err err;

    *fill = (struct gateway_fill){.number = order->fill_count + 1,
                                  .quantity = asked->quantity,
                                  .price = asked->price,
                                  .amount_minor = settlement->amount.minor,
                                  .at = ledger_turn_now(turn)};
    order->filled_quantity += asked->quantity;
    order->updated_at = fill->at;
    if (settlement->is_last)
        order->status = SPAN_OF("filled");
    err = store_exec(conn, &fill_insert,
                     STORE_PARAMS(STORE_TEXT(order->id), STORE_I64(fill->number),
                                  STORE_I64(fill->quantity), STORE_I64(settlement->price.minor),
                                  STORE_I64(fill->amount_minor), STORE_I64(settlement->posted.seq),
                                  STORE_I64(fill->at)),
                     NULL);
    if (err)
        return err;
    return store_exec(conn, &order_filled,
                      STORE_PARAMS(STORE_TEXT(order->id), STORE_I64(order->filled_quantity),
                                   STORE_TEXT(order->status), STORE_I64(order->updated_at)),
                      NULL);
}

static enum err reply_filled(struct http_request *req, struct ledger_turn *turn,
                             const struct settlement *settlement)
{
    struct filled *filled = arena_array(req->arena, 1, sizeof(*filled));
    enum err err;

    if (filled == NULL)
        return ERR_NO_MEMORY;
    err = keep(req, turn, settlement, &filled->fill);
    if (!err)
        err = gateway_order_event(turn, TRAIL_ORDER_FILLED, settlement->order, &filled->fill);
    if (!err)
        err = gateway_decimals(req->arena, settlement->price, &filled->fill.price);
    if (!err)
        err = gateway_decimals(req->arena, settlement->amount, &filled->fill.amount);
    if (err)
        return err;
    filled->order = *settlement->order;
    http_finally(req, gateway_count_filled);
    return http_reply(req, filled);
}

/* Who fills an order says its price, which is not for those who pay or are paid it. */
static enum err check_who(struct http_request *req, const struct gateway_order *order)
{
    if (order->user_id != req->principal->user_id)
        return ERR_OK;
    return http_fail(req, ERR_FORBIDDEN, "An order is not filled by its owner.");
}

static enum err order_fill_run(struct http_request *req, struct ledger_turn *turn)
{
    const struct gateway_order_input *input = req->input;
    struct gateway_order order;
    struct settlement settlement = {.order = &order};
    enum err err = gateway_order_find(req, ledger_turn_conn(turn), input->id, &order);

    if (!err)
        err = check_who(req, &order);
    if (!err)
        err = read_amounts(req, &settlement);
    if (!err)
        err = check_account(turn, &order);
    if (!err)
        err = check_order(req, &settlement);
    if (!err)
        err = settle(turn, &settlement);
    return err ? err : reply_filled(req, turn, &settlement);
}

enum err gateway_order_fill(struct http_request *req)
{
    struct ledger_call *call = ledger_call_new(req, order_fill_run);

    return call == NULL ? ERR_NO_MEMORY : ledger_call_go(req, http_context(req), call);
}
