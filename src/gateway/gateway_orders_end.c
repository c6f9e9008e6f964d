/* SPDX-License-Identifier: MIT
 * How an open order ends without being filled: its owner cancels it, or the broker rejects it. What
 * is left of its hold is given back in the same commit. */
#include "gateway/gateway_priv.h"

struct rejection {
    struct span reason;
};

static const struct json_field reject_fields[] = {
    {.name = "reason",
     .kind = JSON_KIND_TEXT,
     .free_text = true,
     .min = 1,
     .max = LIMIT_LEDGER_DESCRIPTION_CHARS_MAX,
     .offset = offsetof(struct rejection, reason),
     .example = "The market is closed",
     .about = "What its owner is told."},
};
const struct json_schema gateway_reject_schema = {.name = "OrderRejection",
                                                  .about = "Why an order is not taken.",
                                                  .fields = reject_fields,
                                                  .field_count = PC_COUNT(reject_fields),
                                                  .bytes = sizeof(struct rejection)};

static const struct store_statement order_end = {
    .name = "order_end",
    .sqlite = "UPDATE orders SET status = ?2, reason = ?3, updated_at = ?4 WHERE id = ?1"};

/* A hold that was taken to its end has nothing to give back. */
static enum err give_back(struct ledger_turn *turn, const struct gateway_order *order)
{
    struct ledger_hold hold;
    struct ledger_posted posted;
    enum err err;

    if (order->hold_seq == 0)
        return ERR_OK;
    err = ledger_hold_get(turn, order->hold_seq, &hold);
    if (err)
        return err;
    return hold.is_open ? ledger_void(turn, order->hold_seq, &posted) : ERR_OK;
}

static enum err end_order(struct ledger_turn *turn, struct gateway_order *order, const char *status,
                          enum trail_event event)
{
    enum err err = give_back(turn, order);

    if (err)
        return err;
    order->status = span_from(status);
    order->updated_at = ledger_turn_now(turn);
    err = store_exec(ledger_turn_conn(turn), &order_end,
                     STORE_PARAMS(STORE_TEXT(order->id), STORE_TEXT(order->status),
                                  STORE_TEXT_OR_NULL(order->reason), STORE_I64(order->updated_at)),
                     NULL);
    return err ? err : gateway_order_event(turn, event, order, NULL);
}

static enum err find(struct http_request *req, struct ledger_turn *turn,
                     struct gateway_order *order)
{
    const struct gateway_order_input *input = req->input;

    return gateway_order_find(req, ledger_turn_conn(turn), input->id, order);
}

static enum err order_cancel_run(struct http_request *req, struct ledger_turn *turn)
{
    struct gateway_order order;
    enum err err = find(req, turn, &order);

    if (err)
        return err;
    if (order.user_id != req->principal->user_id && !ledger_moves_all(req->principal))
        return http_fail(req, ERR_FORBIDDEN, "An order is cancelled by its owner.");
    if (!span_is(order.status, "open"))
        return ERR_TRANSITION;
    err = end_order(turn, &order, "cancelled", TRAIL_ORDER_CANCELLED);
    if (err)
        return err;
    http_finally(req, gateway_count_cancelled);
    return http_reply_empty(req, 204);
}

static enum err order_reject_run(struct http_request *req, struct ledger_turn *turn)
{
    const struct rejection *rejection = req->body;
    struct gateway_order order;
    enum err err = find(req, turn, &order);

    if (err)
        return err;
    if (!span_is(order.status, "open"))
        return ERR_TRANSITION;
    if (order.filled_quantity > 0)
        return http_fail(req, ERR_TRANSITION, "A part of the order is filled already.");
    order.reason = rejection->reason;
    err = end_order(turn, &order, "rejected", TRAIL_ORDER_REJECTED);
    if (err)
        return err;
    http_finally(req, gateway_count_rejected);
    return http_reply(req, &order);
}

static enum err go(struct http_request *req, ledger_run_fn *run)
{
    struct ledger_call *call = ledger_call_new(req, run);

    return call == NULL ? ERR_NO_MEMORY : ledger_call_go(req, http_context(req), call);
}

enum err gateway_order_cancel(struct http_request *req)
{
    return go(req, order_cancel_run);
}

enum err gateway_order_reject(struct http_request *req)
{
    return go(req, order_reject_run);
}
