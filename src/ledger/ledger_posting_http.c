/* SPDX-License-Identifier: MIT
 * POST /postings: movements of several legs, in several currencies each of which sums to zero. The
 * house's accounts are named by what they are: "settlement:EUR". */
#include "ledger/ledger_posting_http.h"

#include "ledger/ledger_call.h"
#include "ledger/ledger_list.h"
#include "ledger/ledger_transfer.h"

/* ---- what is asked for ------------------------------------------------------------------------
 */

struct leg_order {
    struct span account; /* as it stands in the body: 7, "7" or "settlement:EUR" */
    struct span amount;
};

static const struct json_field leg_order_fields[] = {
    {.name = "account",
     .kind = JSON_KIND_ANY,
     .min = 1,
     .max = LEDGER_ACCOUNT_NAME_BYTES_MAX,
     .offset = offsetof(struct leg_order, account),
     .example = "\"settlement:EUR\"",
     .about = "An account's id, or one of the house's: settlement or position, a colon, and a "
              "currency."},
    {.name = "amount",
     .kind = JSON_KIND_DECIMAL,
     .min = INT64_MIN,
     .max = INT64_MAX,
     .offset = offsetof(struct leg_order, amount),
     .example = "-19.95",
     .about = "In the account's currency: above zero into it, below zero out of it."},
};
static const struct json_schema leg_order_schema = {.name = "PostingOrderLeg",
                                                    .about = "What one account gives or gets.",
                                                    .fields = leg_order_fields,
                                                    .field_count = PC_COUNT(leg_order_fields),
                                                    .bytes = sizeof(struct leg_order)};

struct posting_order {
    struct json_list legs;
    struct span description;
    int64_t effective_at;
    bool has_effective;
};

static const struct json_field order_fields[] = {
    {.name = "legs",
     .kind = JSON_KIND_LIST,
     .min = 2,
     .max = LIMIT_LEDGER_LEGS_MAX,
     .schema = &leg_order_schema,
     .offset = offsetof(struct posting_order, legs),
     .about = "Each account once; in each currency they sum to zero."},
    {.name = "description",
     .kind = JSON_KIND_TEXT,
     .free_text = true,
     .optional = true,
     .nullable = true,
     .max = LIMIT_LEDGER_DESCRIPTION_CHARS_MAX,
     .offset = offsetof(struct posting_order, description),
     .example = "Exchange 10.00 USD",
     .about = "Card data in it is masked before it is kept."},
    {.name = "effective_at",
     .kind = JSON_KIND_TIME,
     .optional = true,
     .nullable = true,
     .offset = offsetof(struct posting_order, effective_at),
     .has_offset = offsetof(struct posting_order, has_effective),
     .example = "2026-02-03T04:05:06Z",
     .about = "From when it counts; now, or a while ago."},
};
const struct json_schema ledger_posting_new_schema = {.name = "PostingOrder",
                                                      .about = "Money to be moved.",
                                                      .fields = order_fields,
                                                      .field_count = PC_COUNT(order_fields),
                                                      .bytes = sizeof(struct posting_order)};

/* ---- doing it ---------------------------------------------------------------------------------
 */

static const char *name_of(struct arena *arena, size_t i, const char *member)
{
    return ledger_member_name(arena, "legs", (int64_t)i, member);
}

/* Everyone there is, then nobody twice: the order of README.md. */
static enum err find_accounts(struct http_request *req, struct ledger_turn *turn,
                              struct ledger_account *accounts)
{
    const struct posting_order *order = req->body;
    const struct leg_order *legs = order->legs.items;
    enum err err = ERR_OK;

    for (size_t i = 0; i < order->legs.count && err == ERR_OK; i++) {
        err = ledger_turn_account(turn, ledger_account_from_name(legs[i].account), &accounts[i]);
        if (err == ERR_NOT_FOUND)
            return http_fail(req, err, name_of(req->arena, i, "account: There is nothing here"));
    }
    for (size_t i = 0; i < order->legs.count && err == ERR_OK; i++) {
        for (size_t j = 0; j < i; j++)
            err = accounts[i].id == accounts[j].id ? ERR_SAME_ACCOUNT : err;
    }
    return err;
}

/* Above or below zero. */
static enum err read_amount(struct http_request *req, size_t i, const struct leg_order *order,
                            enum currency currency, int64_t *ret_minor)
{
    bool negative = order->amount.ptr[0] == '-';
    struct span size = span_slice(order->amount, negative ? 1 : 0, order->amount.len);
    struct money amount = {0};
    enum err err = money_read(size, currency, &amount);

    if (!err && amount.minor == 0)
        return http_fail_field(req, name_of(req->arena, i, "amount"), "must not be zero");
    if (err)
        return ledger_amount_read(req, name_of(req->arena, i, "amount"), size, currency, &amount);
    *ret_minor = negative ? -amount.minor : amount.minor;
    return ERR_OK;
}

static enum err read_legs(struct http_request *req, const struct ledger_account *accounts,
                          struct ledger_leg *legs, struct ledger_leg_row *rows)
{
    const struct posting_order *order = req->body;
    const struct leg_order *orders = order->legs.items;
    enum err err = ERR_OK;

    for (size_t i = 0; i < order->legs.count && err == ERR_OK; i++) {
        legs[i].account_id = rows[i].account_id = accounts[i].id;
        err = read_amount(req, i, &orders[i], accounts[i].currency, &legs[i].posted);
        rows[i].minor = legs[i].posted;
        if (!err)
            err = ledger_leg_show(req->arena, accounts[i].currency, &rows[i]);
    }
    return err;
}

static enum err posting_run(struct http_request *req, struct ledger_turn *turn)
{
    const struct posting_order *order = req->body;
    size_t count = order->legs.count;
    struct ledger_account *accounts = arena_array(req->arena, count, sizeof(*accounts));
    struct ledger_leg *legs = arena_array(req->arena, count, sizeof(*legs));
    struct ledger_leg_row *rows = arena_array(req->arena, count, sizeof(*rows));
    const struct ledger_posting posting = {
        .kind = LEDGER_POSTING,
        .legs = legs,
        .leg_count = count,
        .effective_at_ns = ledger_effective_of(order->has_effective, order->effective_at),
        .description = ledger_words(order->description)};
    struct ledger_posted posted = {0};
    struct ledger_posting_row row = {.kind = span_from(ledger_kind_name(LEDGER_POSTING)),
                                     .description = ledger_words(order->description)};
    enum err err = ERR_OK;

    if (accounts == NULL || legs == NULL || rows == NULL)
        return ERR_NO_MEMORY;
    err = find_accounts(req, turn, accounts);
    if (!err)
        err = read_legs(req, accounts, legs, rows);
    if (!err)
        err = ledger_post(turn, &posting, &posted);
    if (err)
        return err;
    row.seq = posted.seq;
    row.legs = (struct json_list){.items = rows, .count = count};
    row.created_at = posted.at_ns;
    row.effective_at = posted.effective_at_ns;
    ledger_reply_location(req, row.seq);
    return http_reply(req, &row);
}

/* What a table cannot say: each account is one of the ways to name one. */
static enum err check_names(struct http_request *req, const struct posting_order *order)
{
    const struct leg_order *legs = order->legs.items;
    enum err err = ERR_OK;

    for (size_t i = 0; i < order->legs.count; i++) {
        if (ledger_account_from_name(legs[i].account) == 0)
            err = http_fail_field(req, name_of(req->arena, i, "account"),
                                  "must be an account's id, settlement:EUR or position:EUR");
    }
    return err;
}

enum err ledger_posting_create(struct http_request *req)
{
    const struct posting_order *order = req->body;
    const struct leg_order *legs = order->legs.items;
    struct ledger_call *call = ledger_call_new(req, posting_run);
    enum err err = check_names(req, order);

    if (err)
        return err;
    if (call == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < order->legs.count; i++)
        ledger_call_want(call, ledger_account_from_name(legs[i].account));
    return ledger_call_go(req, http_context(req), call);
}
