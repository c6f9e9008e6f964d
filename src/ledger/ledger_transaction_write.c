/* SPDX-License-Identifier: MIT
 * POST /transactions and PUT /transactions/{id}: what bodies say, and the steps of both inside a
 * turn. Refusals come in the order of README.md; behind the last of them nothing fails. */
#include "ledger/ledger_transaction.h"

#include "ledger/ledger_call.h"
#include "ledger/ledger_transfer.h"

static const char *const directions[] = {"debit", "credit", NULL};

struct new_order {
    int64_t account_id, user_id, hold_expires_at, effective_at;
    struct span amount, currency, direction, description;
    bool has_user, hold, has_expiry, has_effective;
};

static const struct json_field new_fields[] = {
    {.name = "account_id",
     .kind = JSON_KIND_I64,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct new_order, account_id),
     .example = "7"},
    {.name = "amount",
     .kind = JSON_KIND_DECIMAL,
     .max = INT64_MAX,
     .offset = offsetof(struct new_order, amount),
     .example = "19.95",
     .about = "Above zero; no more digits behind the point than the currency has. A number or a "
              "string."},
    {.name = "currency",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .nullable = true,
     .min = 3,
     .max = 3,
     .offset = offsetof(struct new_order, currency),
     .example = "USD",
     .about = "Must be that of the account, which it is when left out."},
    {.name = "direction",
     .kind = JSON_KIND_TEXT,
     .choices = directions,
     .offset = offsetof(struct new_order, direction),
     .example = "debit",
     .about = "debit: out of the account; credit: into it."},
    {.name = "description",
     .kind = JSON_KIND_TEXT,
     .free_text = true,
     .optional = true,
     .nullable = true,
     .max = LIMIT_LEDGER_DESCRIPTION_CHARS_MAX,
     .offset = offsetof(struct new_order, description),
     .example = "Invoice 4711",
     .about = "Card data in it is masked before it is kept."},
    {.name = "user_id",
     .kind = JSON_KIND_I64,
     .optional = true,
     .nullable = true,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct new_order, user_id),
     .has_offset = offsetof(struct new_order, has_user),
     .example = "2",
     .about = "If given: whose account it is."},
    {.name = "hold",
     .kind = JSON_KIND_BOOL,
     .optional = true,
     .fallback = "false",
     .offset = offsetof(struct new_order, hold),
     .example = "false",
     .about = "Sets the amount of a debit aside until the transaction is completed or not."},
    {.name = "hold_expires_at",
     .kind = JSON_KIND_TIME,
     .optional = true,
     .nullable = true,
     .offset = offsetof(struct new_order, hold_expires_at),
     .has_offset = offsetof(struct new_order, has_expiry),
     .about = "When the hold ends by itself; as is set for the service when left out. Needs hold."},
    {.name = "effective_at",
     .kind = JSON_KIND_TIME,
     .optional = true,
     .nullable = true,
     .offset = offsetof(struct new_order, effective_at),
     .has_offset = offsetof(struct new_order, has_effective),
     .example = "2026-02-03T04:05:06Z",
     .about = "From when the posting counts; left out, from when it is completed. Not with hold."},
};
const struct json_schema ledger_transaction_new_schema = {.name = "TransactionOrder",
                                                          .about = "What is to be done.",
                                                          .fields = new_fields,
                                                          .field_count = PC_COUNT(new_fields),
                                                          .bytes = sizeof(struct new_order)};

struct change_order {
    struct span description, status;
};

static const struct json_field change_fields[] = {
    {.name = "description",
     .kind = JSON_KIND_TEXT,
     .free_text = true,
     .optional = true,
     .nullable = true,
     .max = LIMIT_LEDGER_DESCRIPTION_CHARS_MAX,
     .offset = offsetof(struct change_order, description),
     .example = "Invoice 4711, second attempt",
     .about = "Card data in it is masked before it is kept."},
    {.name = "status",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .nullable = true,
     .choices = ledger_statuses,
     .offset = offsetof(struct change_order, status),
     .example = "completed"},
};
const struct json_schema ledger_transaction_change_schema = {
    .name = "TransactionChange",
    .about = "What is to change; the rest stays.",
    .fields = change_fields,
    .field_count = PC_COUNT(change_fields),
    .bytes = sizeof(struct change_order)};

/* ---- counting ---------------------------------------------------------------------------------
 */

static const struct metric_def submissions = {
    .name = "transaction_service_submissions_total",
    .help = "Transactions given in or moved on, by the status they came to.",
    .kind = METRIC_COUNTER,
    .labels = {"status"}};

enum err ledger_submissions_begin(struct metrics *metrics)
{
    struct metric *metric = NULL;
    enum err err = metric_register(metrics, &submissions, &metric);

    for (size_t i = 0; !err && ledger_statuses[i] != NULL; i++) {
        struct span name = span_from(ledger_statuses[i]);

        (void)metric_series(metric, &name, 1);
    }
    return err;
}

static void count(struct http_request *req, enum ledger_transaction_status status)
{
    const struct ledger_options *options = ledger_options_of(http_context(req));
    struct span name = span_from(ledger_status_name(status));
    struct metric *metric = NULL;

    if (metric_register(options->metrics, &submissions, &metric) == ERR_OK && metric != NULL)
        metric_add(metric_series(metric, &name, 1), 1);
}

/* Behind the commit; a replay does not come here, since what it answers was done before. */
static void count_new(struct http_request *req, enum err err)
{
    if (err == ERR_OK)
        count(req, LEDGER_PENDING);
}

static void count_change(struct http_request *req, enum err err)
{
    const struct change_order *order = req->body;

    if (err == ERR_OK && order != NULL)
        count(req, ledger_status_from(order->status));
}

/* ---- a new one --------------------------------------------------------------------------------
 */

static enum err check_dates(struct http_request *req, const struct ledger_turn *turn,
                            const struct new_order *order)
{
    enum err err = ledger_effective_check(
        req, turn, ledger_effective_of(order->has_effective, order->effective_at));

    if (err)
        return err;
    if (order->has_expiry && order->hold_expires_at <= ledger_turn_now(turn))
        return http_fail_field(req, "hold_expires_at", "must lie in the future");
    return ERR_OK;
}

static enum err check_state(const struct new_order *order, const struct ledger_account *account)
{
    if (account->state == LEDGER_CLOSED)
        return ERR_ACCOUNT_CLOSED;
    if (account->state == LEDGER_FROZEN && span_is(order->direction, "debit"))
        return ERR_ACCOUNT_FROZEN;
    return ERR_OK;
}

static enum err check_order(struct http_request *req, struct ledger_turn *turn,
                            struct ledger_account *ret_account, struct money *ret_amount)
{
    const struct new_order *order = req->body;
    enum currency currency = CURRENCY_NONE;
    enum err err = ledger_account_moved(req, turn, order->account_id, ret_account);

    if (!err && order->has_user && order->user_id != ret_account->user_id)
        err = http_fail_field(req, "user_id", "is not whose account it is");
    if (!err)
        err = ledger_currency_choose(req, LEDGER_THE_ONLY, order->currency, ret_account->currency,
                                     &currency);
    if (!err)
        err = ledger_amount_read(req, "amount", order->amount, currency, ret_amount);
    if (!err)
        err = check_dates(req, turn, order);
    return err ? err : check_state(order, ret_account);
}

static enum err set_aside(struct ledger_turn *turn, const struct new_order *order,
                          struct ledger_transaction_row *row)
{
    const struct ledger_hold_new hold = {
        .from = row->account_id,
        .to = ledger_house_account(LEDGER_SETTLEMENT, row->amount.currency),
        .amount = row->amount,
        .expires_at_ns = order->has_expiry ? order->hold_expires_at : 0,
        .transaction_id = row->id,
        .description = row->description};
    struct ledger_posted posted = {0};
    enum err err;

    if (!order->hold)
        return ERR_OK;
    err = ledger_hold(turn, &hold, &posted);
    if (err)
        return err;
    row->hold_seq = posted.seq;
    row->has_hold = true;
    return ERR_OK;
}

static enum err place(struct http_request *req, struct ledger_turn *turn,
                      struct ledger_transaction_row *row)
{
    enum err err = ledger_transaction_show(req->arena, row);

    if (!err)
        err = set_aside(turn, req->body, row);
    if (!err)
        err = ledger_transaction_add(turn, row);
    if (!err)
        err = ledger_transaction_tell(turn, row, NULL);
    return err;
}

static enum err create_run(struct http_request *req, struct ledger_turn *turn)
{
    const struct new_order *order = req->body;
    struct ledger_account account = {0};
    struct money amount = {0};
    struct ledger_transaction_row row;
    enum err err = check_order(req, turn, &account, &amount);

    if (err)
        return err;
    row = (struct ledger_transaction_row){
        .id = ledger_turn_transaction_id(turn),
        .account_id = account.id,
        .user_id = account.user_id,
        .amount = amount,
        .direction = order->direction,
        .description = order->description,
        .status = span_from(ledger_status_name(LEDGER_PENDING)),
        .effective_at = ledger_effective_of(order->has_effective, order->effective_at),
        .has_effective = order->has_effective,
        .created_at = ledger_turn_now(turn),
        .updated_at = ledger_turn_now(turn)};
    err = place(req, turn, &row);
    if (err) /* whoever runs us takes all of it back, its number too */
        return err;
    http_finally(req, count_new);
    ledger_reply_location(req, row.id);
    return http_reply(req, &row);
}

/* What a table cannot say. */
static enum err check_hold(struct http_request *req, const struct new_order *order)
{
    if (order->hold && !span_is(order->direction, "debit"))
        return http_fail_field(req, "hold", "is for debits only");
    if (order->has_expiry && !order->hold)
        return http_fail_field(req, "hold_expires_at", "needs hold");
    if (order->hold && order->has_effective)
        return http_fail_field(req, "effective_at", "is not for transactions with hold");
    return ERR_OK;
}

enum err ledger_transaction_create(struct http_request *req)
{
    const struct new_order *order = req->body;
    struct ledger_call *call = ledger_call_new(req, create_run);
    enum err err = check_hold(req, order);

    if (err)
        return err;
    if (call == NULL)
        return ERR_NO_MEMORY;
    ledger_call_want(call, order->account_id);
    return ledger_call_go(req, http_context(req), call);
}

/* ---- a change ---------------------------------------------------------------------------------
 */

static bool is_new_text(struct span wanted, struct span now)
{
    return wanted.ptr != NULL && (now.ptr == NULL || !span_equal(wanted, now));
}

/* The present status together with a new description is a transition to where it is already. */
static enum err change(struct http_request *req, struct ledger_turn *turn,
                       struct ledger_transaction_row *row)
{
    const struct change_order *order = req->body;
    struct ledger_transaction_row was = *row;
    bool moves = order->status.ptr != NULL && (!span_equal(order->status, row->status) ||
                                               is_new_text(order->description, row->description));
    enum err err = ERR_OK;

    if (is_new_text(order->description, row->description))
        row->description = order->description;
    if (moves)
        err = ledger_transaction_move(turn, row, ledger_status_from(order->status));
    if (err)
        return err;
    row->updated_at = ledger_turn_now(turn);
    err = ledger_transaction_change(turn, &was, row);
    if (!err)
        err = ledger_transaction_tell(turn, row, &was);
    if (!err && moves)
        http_finally(req, count_change);
    return err;
}

static bool is_as_wanted(const struct change_order *order, const struct ledger_transaction_row *row)
{
    bool same_status = order->status.ptr == NULL || span_equal(order->status, row->status);

    return same_status && !is_new_text(order->description, row->description);
}

static enum err put_run(struct http_request *req, struct ledger_turn *turn)
{
    const struct ledger_id_input *input = req->input;
    struct ledger_transaction_row row = {0};
    enum err err = ledger_transaction_find(ledger_turn_conn(turn), input->id, req->arena, &row);

    if (!err && !is_as_wanted(req->body, &row))
        err = change(req, turn, &row);
    return err ? err : http_reply(req, &row);
}

enum err ledger_transaction_put(struct http_request *req)
{
    struct ledger_call *call = ledger_call_new(req, put_run);

    return call == NULL ? ERR_NO_MEMORY : ledger_call_go(req, http_context(req), call);
}
