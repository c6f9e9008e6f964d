/* SPDX-License-Identifier: MIT
 * POST /api/v1/trading/orders. An order to buy holds on its account what it can cost at most, in
 * the commit that has the order; an order to sell holds nothing. */
#include "gateway/gateway_priv.h"

#include "base/random.h"

struct order_new {
    struct span symbol, side, type, limit_price, max_cost, currency;
    int64_t quantity, account_id;
    bool has_limit_price, has_max_cost;
};

static const struct json_field order_new_fields[] = {
    {.name = "account_id",
     .kind = JSON_KIND_I64,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct order_new, account_id),
     .example = "7",
     .about = "The caller's account that pays or is paid."},
    {.name = "symbol",
     .kind = JSON_KIND_TEXT,
     .free_text = true,
     .min = 1,
     .max = GATEWAY_SYMBOL_CHARS_MAX,
     .offset = offsetof(struct order_new, symbol),
     .example = "ACME",
     .about = "Letters, digits, and . : / _ - between them."},
    {.name = "side",
     .kind = JSON_KIND_TEXT,
     .offset = offsetof(struct order_new, side),
     .choices = (const char *const[]){"buy", "sell", NULL},
     .example = "buy"},
    {.name = "quantity",
     .kind = JSON_KIND_I64,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct order_new, quantity),
     .example = "10"},
    {.name = "type",
     .kind = JSON_KIND_TEXT,
     .offset = offsetof(struct order_new, type),
     .choices = (const char *const[]){"market", "limit", NULL},
     .example = "limit"},
    {.name = "limit_price",
     .kind = JSON_KIND_DECIMAL,
     .optional = true,
     .max = INT64_MAX,
     .offset = offsetof(struct order_new, limit_price),
     .has_offset = offsetof(struct order_new, has_limit_price),
     .example = "19.95",
     .about = "Of one, for a limit order: the most to buy for, or the least to sell for."},
    {.name = "max_cost",
     .kind = JSON_KIND_DECIMAL,
     .optional = true,
     .max = INT64_MAX,
     .offset = offsetof(struct order_new, max_cost),
     .has_offset = offsetof(struct order_new, has_max_cost),
     .about = "For a market order to buy: the most that it may cost in all. It is held."},
    {.name = "currency",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .min = 3,
     .max = 3,
     .offset = offsetof(struct order_new, currency),
     .example = "USD",
     .about = "That of the account, which is also meant when it is left out."},
};
const struct json_schema gateway_order_new_schema = {.name = "OrderNew",
                                                     .about = "An order to buy or sell.",
                                                     .fields = order_new_fields,
                                                     .field_count = PC_COUNT(order_new_fields),
                                                     .bytes = sizeof(struct order_new)};

/* What the order comes to. */
struct terms {
    enum currency currency;
    int64_t limit_price; /* 0: a market order */
    int64_t hold;        /* 0: holds nothing */
};

static bool is_buy(const struct order_new *order)
{
    return span_is(order->side, "buy");
}

static bool is_limit(const struct order_new *order)
{
    return span_is(order->type, "limit");
}

/* ---- what the body alone can tell -------------------------------------------------------------
 */

static bool is_symbol(struct span symbol)
{
    static const char between[] = ".:/_-";

    for (size_t i = 0; i < symbol.len; i++) {
        char c = symbol.ptr[i];
        bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

        if (!plain && (i == 0 || span_find(SPAN_OF(between), c) == sizeof(between) - 1))
            return false;
    }
    return true;
}

static enum err check_shape(struct http_request *req, const struct order_new *order)
{
    bool needs_cost = is_buy(order) && !is_limit(order);

    if (!is_symbol(order->symbol))
        return http_fail_field(req, "symbol", "must be letters, digits and . : / _ -");
    if (is_limit(order) && !order->has_limit_price)
        return http_fail_field(req, "limit_price", "is required for a limit order");
    if (!is_limit(order) && order->has_limit_price)
        return http_fail_field(req, "limit_price", "is for limit orders only");
    if (needs_cost && !order->has_max_cost)
        return http_fail_field(req, "max_cost", "is required for a market order to buy");
    if (!needs_cost && order->has_max_cost)
        return http_fail_field(req, "max_cost", "is for market orders to buy only");
    return ERR_OK;
}

/* ---- in the turn ------------------------------------------------------------------------------
 */

static enum err read_currency(struct http_request *req, const struct order_new *order,
                              const struct ledger_account *account)
{
    if (order->currency.len == 0)
        return ERR_OK;
    if (currency_from_code(order->currency) == CURRENCY_NONE)
        return http_fail_field(req, "currency", "must be a code of ISO 4217");
    return currency_from_code(order->currency) == account->currency ? ERR_OK
                                                                    : ERR_CURRENCY_MISMATCH;
}

/* Either side's limit order must come to an amount there is: its fills will. */
static enum err read_limit(struct http_request *req, const struct order_new *order,
                           struct terms *terms)
{
    struct money price = {0};
    struct money cost = {0};
    enum err err =
        ledger_amount_read(req, "limit_price", order->limit_price, terms->currency, &price);

    if (err)
        return err;
    if (money_times(price, order->quantity, &cost) != ERR_OK)
        return http_fail_field(req, "quantity", "comes to more than there can be of the currency");
    terms->limit_price = price.minor;
    terms->hold = is_buy(order) ? cost.minor : 0;
    return ERR_OK;
}

static enum err read_terms(struct http_request *req, const struct order_new *order,
                           const struct ledger_account *account, struct terms *terms)
{
    struct money cost = {0};
    enum err err = read_currency(req, order, account);

    *terms = (struct terms){.currency = account->currency};
    if (err)
        return err;
    if (is_limit(order))
        return read_limit(req, order, terms);
    if (!is_buy(order))
        return ERR_OK;
    err = ledger_amount_read(req, "max_cost", order->max_cost, terms->currency, &cost);
    terms->hold = cost.minor;
    return err;
}

/* The last check: behind it nothing is refused. *ret_hold is 0 for an order to sell. */
static enum err hold_cost(struct ledger_turn *turn, const struct ledger_account *account,
                          const struct terms *terms, struct span id, int64_t *ret_hold)
{
    struct ledger_hold_new hold = {.from = account->id,
                                   .to = ledger_house_account(LEDGER_SETTLEMENT, terms->currency),
                                   .amount = {.minor = terms->hold, .currency = terms->currency},
                                   .expires_at_ns = LEDGER_NEVER};
    struct ledger_posted posted = {0};
    enum err err;

    *ret_hold = 0;
    if (terms->hold == 0)
        return account->state == LEDGER_CLOSED ? ERR_ACCOUNT_CLOSED : ERR_OK;
    err = gateway_order_text(ledger_turn_arena(turn), "order ", id, &hold.description);
    if (!err)
        err = ledger_hold(turn, &hold, &posted);
    *ret_hold = posted.seq;
    return err;
}

static const struct store_statement order_insert = {
    .name = "order_insert",
    .sqlite = "INSERT INTO orders (id, user_id, symbol, side, quantity, type, limit_price_minor, "
              "currency, account_id, status, created_at, updated_at, hold_seq, cost_max) "
              "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'open', ?10, ?10, ?11, ?12)"};

static struct store_value number_or_null(int64_t number)
{
    return number == 0 ? STORE_NULL : STORE_I64(number);
}

static enum err insert(struct http_request *req, struct ledger_turn *turn, struct span id,
                       const struct terms *terms, int64_t hold_seq)
{
    const struct order_new *order = req->body;
    int64_t cost_max = order->has_max_cost ? terms->hold : 0;

    return store_exec(ledger_turn_conn(turn), &order_insert,
                      STORE_PARAMS(STORE_TEXT(id), STORE_I64(req->principal->user_id),
                                   STORE_TEXT(order->symbol), STORE_TEXT(order->side),
                                   STORE_I64(order->quantity), STORE_TEXT(order->type),
                                   number_or_null(terms->limit_price),
                                   STORE_TEXT(span_from(currency_code(terms->currency))),
                                   STORE_I64(order->account_id), STORE_I64(ledger_turn_now(turn)),
                                   number_or_null(hold_seq), number_or_null(cost_max)),
                      NULL);
}

static enum err reply_created(struct http_request *req, struct ledger_turn *turn, struct span id)
{
    struct gateway_order order;
    struct span location;
    enum err err = gateway_order_find(req, ledger_turn_conn(turn), id, &order);

    if (!err)
        err = gateway_order_event(turn, TRAIL_ORDER_CREATED, &order, NULL);
    if (!err)
        err = gateway_order_text(req->arena, "/api/v1/trading/orders/", id, &location);
    if (err)
        return err;
    http_reply_header(req, "Location", location);
    http_finally(req, gateway_count_created);
    return http_reply(req, &order);
}

static enum err order_account(struct http_request *req, struct ledger_turn *turn,
                              struct ledger_account *account)
{
    const struct order_new *order = req->body;
    enum err err = ledger_account_seen(req, turn, order->account_id, account);

    if (err || account->user_id == req->principal->user_id)
        return err;
    return http_fail(req, ERR_FORBIDDEN, "An order is placed by the owner of its account.");
}

static enum err order_create_run(struct http_request *req, struct ledger_turn *turn)
{
    char text[RANDOM_UUID_BYTES];
    struct span id = {.ptr = text, .len = sizeof(text)};
    struct ledger_account account = {0};
    struct terms terms;
    int64_t hold_seq;
    enum err err = order_account(req, turn, &account);

    if (err)
        return err;
    random_uuid(&random_system, text);
    err = read_terms(req, req->body, &account, &terms);
    if (err)
        return err;
    err = hold_cost(turn, &account, &terms, id, &hold_seq);
    if (err)
        return err;
    err = insert(req, turn, id, &terms, hold_seq);
    return err ? err : reply_created(req, turn, id);
}

enum err gateway_order_create(struct http_request *req)
{
    const struct order_new *order = req->body;
    struct ledger_call *call;
    enum err err = check_shape(req, order);

    if (err)
        return err;
    call = ledger_call_new(req, order_create_run);
    if (call == NULL)
        return ERR_NO_MEMORY;
    ledger_call_want(call, order->account_id);
    return ledger_call_go(req, http_context(req), call);
}
