/* SPDX-License-Identifier: MIT
 * A transfer, from the order to the posting and back from the store. The order of its refusals is
 * that of README.md: account from, account to, same account, currency, amount, and then what the
 * ledger itself refuses. */
#include "ledger/ledger_transfer.h"

#include "ledger/ledger_call.h"
#include "ledger/ledger_list.h"

static const char *const transfer_statuses[] = {"completed", NULL};

static const struct json_field order_fields[] = {
    {.name = "from_account_id",
     .kind = JSON_KIND_I64,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_transfer_order, from),
     .example = "7"},
    {.name = "to_account_id",
     .kind = JSON_KIND_I64,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_transfer_order, to),
     .example = "9"},
    {.name = "amount",
     .kind = JSON_KIND_DECIMAL,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_transfer_order, amount),
     .example = "19.95",
     .about = "Above zero; no more digits behind the point than the currency has. A number or a "
              "string."},
    {.name = "currency",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .nullable = true,
     .min = 3,
     .max = 3,
     .offset = offsetof(struct ledger_transfer_order, currency),
     .example = "USD",
     .about = "Must be that of both accounts; left out, it is that of the account it comes from."},
    {.name = "description",
     .kind = JSON_KIND_TEXT,
     .free_text = true,
     .optional = true,
     .nullable = true,
     .max = LIMIT_LEDGER_DESCRIPTION_CHARS_MAX,
     .offset = offsetof(struct ledger_transfer_order, description),
     .example = "Rent for March",
     .about = "Card data in it is masked before it is kept."},
    {.name = "effective_at",
     .kind = JSON_KIND_TIME,
     .optional = true,
     .nullable = true,
     .offset = offsetof(struct ledger_transfer_order, effective_at),
     .has_offset = offsetof(struct ledger_transfer_order, has_effective),
     .example = "2026-02-03T04:05:06Z",
     .about = "From when it counts; now, or a while ago."},
};
const struct json_schema ledger_transfer_new_schema = {
    .name = "TransferOrder",
    .about = "Money to be moved between two accounts.",
    .fields = order_fields,
    .field_count = PC_COUNT(order_fields),
    .bytes = sizeof(struct ledger_transfer_order)};

static const struct json_field transfer_fields[] = {
    {.name = "id",
     .kind = JSON_KIND_I64,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_transfer_row, id),
     .example = "41",
     .about = "The number of its posting."},
    {.name = "from_account_id",
     .kind = JSON_KIND_I64,
     .min = INT64_MIN,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_transfer_row, from),
     .example = "7"},
    {.name = "to_account_id",
     .kind = JSON_KIND_I64,
     .min = INT64_MIN,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_transfer_row, to),
     .example = "9"},
    {.name = "amount",
     .kind = JSON_KIND_DECIMAL,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_transfer_row, decimal),
     .example = "19.95"},
    {.name = "amount_minor",
     .kind = JSON_KIND_I64,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_transfer_row, amount) + offsetof(struct money, minor),
     .example = "1995",
     .about = "The same in minor units."},
    {.name = "currency",
     .kind = JSON_KIND_TEXT,
     .max = 3,
     .offset = offsetof(struct ledger_transfer_row, currency),
     .example = "USD"},
    {.name = "description",
     .kind = JSON_KIND_TEXT,
     .nullable = true,
     .max = LIMIT_LEDGER_DESCRIPTION_CHARS_MAX,
     .offset = offsetof(struct ledger_transfer_row, description),
     .example = "Rent for March"},
    {.name = "status",
     .kind = JSON_KIND_TEXT,
     .choices = transfer_statuses,
     .offset = offsetof(struct ledger_transfer_row, status),
     .example = "completed"},
    {.name = "reversed_amount",
     .kind = JSON_KIND_DECIMAL,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_transfer_row, reversed_decimal),
     .example = "0.00",
     .about = "How much of it was given back."},
    {.name = "reversed_amount_minor",
     .kind = JSON_KIND_I64,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_transfer_row, reversed) + offsetof(struct money, minor),
     .example = "0",
     .about = "The same in minor units."},
    {.name = "created_at",
     .kind = JSON_KIND_TIME,
     .offset = offsetof(struct ledger_transfer_row, created_at),
     .example = "2026-02-03T04:05:06Z"},
    {.name = "effective_at",
     .kind = JSON_KIND_TIME,
     .offset = offsetof(struct ledger_transfer_row, effective_at),
     .example = "2026-02-03T04:05:06Z"},
};
const struct json_schema ledger_transfer_schema = {.name = "Transfer",
                                                   .about = "Money that moved.",
                                                   .fields = transfer_fields,
                                                   .field_count = PC_COUNT(transfer_fields),
                                                   .bytes = sizeof(struct ledger_transfer_row)};

static const struct store_statement transfer_find = {
    .name = "transfer_find",
    .sqlite = LEDGER_TRANSFERS_OF("SELECT seq FROM ledger_posts "
                                  "WHERE seq = ?1 AND kind = 'transfer'")};

enum err ledger_transfer_show(struct arena *arena, struct ledger_transfer_row *row)
{
    row->currency = span_from(currency_code(row->amount.currency));
    row->status = SPAN_OF("completed");
    row->decimal = ledger_decimal(arena, row->amount);
    row->reversed_decimal = ledger_decimal(arena, row->reversed);
    return row->decimal.ptr == NULL || row->reversed_decimal.ptr == NULL ? ERR_NO_MEMORY : ERR_OK;
}

enum err ledger_transfer_read(struct store_rows *rows, struct arena *arena,
                              struct ledger_transfer_row *ret_row)
{
    enum currency currency = currency_from_code(store_rows_text(rows, 4, NULL));

    *ret_row = (struct ledger_transfer_row){
        .id = store_rows_i64(rows, 0),
        .from = store_rows_i64(rows, 1),
        .to = store_rows_i64(rows, 2),
        .amount = {.minor = store_rows_i64(rows, 3), .currency = currency},
        .description = store_rows_text(rows, 5, arena),
        .created_at = store_rows_i64(rows, 6),
        .effective_at = store_rows_i64(rows, 7),
        .from_user = store_rows_i64_or(rows, 8, 0),
        .to_user = store_rows_i64_or(rows, 9, 0),
        .reversed = {.minor = store_rows_i64(rows, 10), .currency = currency}};
    if (store_rows_err(rows))
        return store_rows_err(rows);
    if (currency == CURRENCY_NONE)
        return ERR_STORE_CORRUPT;
    return ledger_transfer_show(arena, ret_row);
}

enum err ledger_transfer_find(struct store_conn *conn, int64_t id, struct arena *arena,
                              struct ledger_transfer_row *ret_row)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &transfer_find, STORE_PARAMS(STORE_I64(id)), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    return ledger_transfer_read(rows, arena, ret_row);
}

const char *ledger_member_name(struct arena *arena, const char *list, int64_t item,
                               const char *member)
{
    struct sbuf out = sbuf_on(arena, 128);
    const char *name;

    if (item == LEDGER_THE_ONLY)
        return member;
    sbuf_add_format(&out, "%s[%lld].%s", list, (long long)item, member);
    name = out.full ? NULL : arena_string(arena, sbuf_span(&out));
    return name != NULL ? name : "body";
}

enum err ledger_currency_choose(struct http_request *req, int64_t item, struct span code,
                                enum currency of_account, enum currency *ret_currency)
{
    enum currency currency = code.ptr == NULL ? of_account : currency_from_code(code);

    if (currency == CURRENCY_NONE)
        return http_fail_field(req, ledger_member_name(req->arena, "transfers", item, "currency"),
                               "is not a currency that is known here");
    if (currency != of_account)
        return ERR_CURRENCY_MISMATCH;
    *ret_currency = currency;
    return ERR_OK;
}

struct span ledger_words(struct span description)
{
    return description.len > 0 ? description : (struct span){0};
}

int64_t ledger_effective_of(bool is_given, int64_t effective_at_ns)
{
    if (!is_given)
        return 0;
    return effective_at_ns != 0 ? effective_at_ns : 1;
}

enum err ledger_effective_check(struct http_request *req, const struct ledger_turn *turn,
                                int64_t effective_at_ns)
{
    const struct ledger_options *options = ledger_options_of(http_context(req));
    int64_t now = ledger_turn_now(turn);
    int64_t oldest = now - options->backdate_s * CLOCK_NS_PER_S;

    if (effective_at_ns == 0 || (effective_at_ns <= now && effective_at_ns >= oldest))
        return ERR_OK;
    return ERR_EFFECTIVE_AT;
}

/* Whose money, where to, and in which currency. */
static enum err check_accounts(struct http_request *req, struct ledger_turn *turn,
                               const struct ledger_transfer_order *order, int64_t item,
                               enum currency *ret_currency)
{
    struct ledger_account from = {0};
    struct ledger_account to = {0};
    enum err err = ledger_account_moved(req, turn, order->from, &from);

    if (!err)
        err = ledger_turn_account(turn, order->to, &to);
    if (err)
        return err;
    if (order->from == order->to)
        return ERR_SAME_ACCOUNT;
    err = ledger_currency_choose(req, item, order->currency, from.currency, ret_currency);
    if (err)
        return err;
    return to.currency == from.currency ? ERR_OK : ERR_CURRENCY_MISMATCH;
}

static enum err read_amount(struct http_request *req, const struct ledger_transfer_order *order,
                            int64_t item, bool quiet, enum currency currency,
                            struct money *ret_amount)
{
    struct money amount = {0};
    enum err err = money_read(order->amount, currency, &amount);

    if (!err && amount.minor <= 0)
        err = ERR_AMOUNT_RANGE;
    if (err && !quiet)
        return ledger_amount_read(req, ledger_member_name(req->arena, "transfers", item, "amount"),
                                  order->amount, currency, ret_amount);
    if (!err)
        *ret_amount = amount;
    return err;
}

enum err ledger_transfer_make(struct http_request *req, struct ledger_turn *turn,
                              const struct ledger_transfer_order *order, int64_t item, bool quiet,
                              struct ledger_transfer_row *ret_row)
{
    struct ledger_transfer transfer = {
        .kind = LEDGER_TRANSFER,
        .from = order->from,
        .to = order->to,
        .effective_at_ns = ledger_effective_of(order->has_effective, order->effective_at),
        .description = ledger_words(order->description)};
    struct ledger_posted posted = {0};
    enum currency currency = CURRENCY_NONE;
    enum err err = check_accounts(req, turn, order, item, &currency);

    if (!err)
        err = read_amount(req, order, item, quiet, currency, &transfer.amount);
    if (!err)
        err = ledger_move(turn, &transfer, &posted);
    if (err)
        return err;
    *ret_row = (struct ledger_transfer_row){.id = posted.seq,
                                            .from = order->from,
                                            .to = order->to,
                                            .amount = transfer.amount,
                                            .reversed = {.currency = currency},
                                            .description = ledger_words(order->description),
                                            .created_at = posted.at_ns,
                                            .effective_at = posted.effective_at_ns};
    return ledger_transfer_show(req->arena, ret_row);
}
