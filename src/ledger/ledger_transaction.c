/* SPDX-License-Identifier: MIT
 * Rows of `transactions`: how they are read, shown, added, changed and told to the trail. What they
 * move is in ledger_transaction_move.c. */
#include "ledger/ledger_transaction.h"

#include "ledger/ledger_list.h"

const char *const ledger_statuses[LEDGER_STATUS_COUNT] = {
    [LEDGER_PENDING - 1] = "pending",     [LEDGER_COMPLETED - 1] = "completed",
    [LEDGER_CANCELLED - 1] = "cancelled", [LEDGER_FAILED - 1] = "failed",
    [LEDGER_REVERSED - 1] = "reversed",
};
static const char *const directions[] = {"debit", "credit", NULL};

static const struct json_field transaction_fields[] = {
    {.name = "id",
     .kind = JSON_KIND_I64,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_transaction_row, id),
     .example = "12"},
    {.name = "account_id",
     .kind = JSON_KIND_I64,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_transaction_row, account_id),
     .example = "7"},
    {.name = "user_id",
     .kind = JSON_KIND_I64,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_transaction_row, user_id),
     .example = "2",
     .about = "Whose account it is."},
    {.name = "amount",
     .kind = JSON_KIND_DECIMAL,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_transaction_row, decimal),
     .example = "19.95",
     .about = "Exact, with all the digits of its currency."},
    {.name = "amount_minor",
     .kind = JSON_KIND_I64,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_transaction_row, amount) + offsetof(struct money, minor),
     .example = "1995",
     .about = "The same in minor units."},
    {.name = "currency",
     .kind = JSON_KIND_TEXT,
     .max = 3,
     .offset = offsetof(struct ledger_transaction_row, currency),
     .example = "USD"},
    {.name = "direction",
     .kind = JSON_KIND_TEXT,
     .choices = directions,
     .offset = offsetof(struct ledger_transaction_row, direction),
     .example = "debit",
     .about = "debit: out of the account; credit: into it."},
    {.name = "description",
     .kind = JSON_KIND_TEXT,
     .nullable = true,
     .max = LIMIT_LEDGER_DESCRIPTION_CHARS_MAX,
     .offset = offsetof(struct ledger_transaction_row, description),
     .example = "Invoice 4711"},
    {.name = "status",
     .kind = JSON_KIND_TEXT,
     .choices = ledger_statuses,
     .offset = offsetof(struct ledger_transaction_row, status),
     .example = "pending"},
    {.name = "effective_at",
     .kind = JSON_KIND_TIME,
     .optional = true,
     .offset = offsetof(struct ledger_transaction_row, effective_at),
     .has_offset = offsetof(struct ledger_transaction_row, has_effective),
     .example = "2026-02-03T04:05:06Z",
     .about = "The date that its posting is to count from, where it was given."},
    {.name = "hold_seq",
     .kind = JSON_KIND_I64,
     .optional = true,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_transaction_row, hold_seq),
     .has_offset = offsetof(struct ledger_transaction_row, has_hold),
     .example = "40",
     .about = "The posting that set the amount aside."},
    {.name = "posted_seq",
     .kind = JSON_KIND_I64,
     .optional = true,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_transaction_row, posted_seq),
     .has_offset = offsetof(struct ledger_transaction_row, is_posted),
     .example = "41",
     .about = "The posting that moved it."},
    {.name = "created_at",
     .kind = JSON_KIND_TIME,
     .offset = offsetof(struct ledger_transaction_row, created_at),
     .example = "2026-02-03T04:05:06Z"},
    {.name = "updated_at",
     .kind = JSON_KIND_TIME,
     .offset = offsetof(struct ledger_transaction_row, updated_at),
     .example = "2026-02-03T04:05:06Z"},
};
const struct json_schema ledger_transaction_schema = {
    .name = "Transaction",
    .about = "An instruction on one account, and what became of it.",
    .fields = transaction_fields,
    .field_count = PC_COUNT(transaction_fields),
    .bytes = sizeof(struct ledger_transaction_row)};

static const struct store_statement transaction_find = {
    .name = "transaction_find",
    .sqlite = "SELECT " LEDGER_TRANSACTION_COLUMNS " FROM transactions WHERE id = ?1"};
static const struct store_statement transaction_insert = {
    .name = "transaction_insert",
    .sqlite = "INSERT INTO transactions (" LEDGER_TRANSACTION_COLUMNS ") VALUES (?1, ?2, ?3, ?4, "
              "?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"};
static const struct store_statement transaction_update = {
    .name = "transaction_update",
    .sqlite = "UPDATE transactions SET description = ?3, status = ?4, posted_seq = ?5, "
              "updated_at = ?6 WHERE id = ?1 AND status = ?2"};

const char *ledger_status_name(enum ledger_transaction_status status)
{
    PC_ASSERT(status > LEDGER_STATUS_NONE && status < LEDGER_STATUS_COUNT);
    return ledger_statuses[status - 1];
}

enum ledger_transaction_status ledger_status_from(struct span name)
{
    for (size_t i = 0; ledger_statuses[i] != NULL; i++) {
        if (span_is(name, ledger_statuses[i]))
            return (enum ledger_transaction_status)(i + 1);
    }
    return LEDGER_STATUS_NONE;
}

bool ledger_transaction_is_debit(const struct ledger_transaction_row *row)
{
    return span_is(row->direction, "debit");
}

enum err ledger_transaction_show(struct arena *arena, struct ledger_transaction_row *row)
{
    row->currency = span_from(currency_code(row->amount.currency));
    row->decimal = ledger_decimal(arena, row->amount);
    return row->decimal.ptr == NULL ? ERR_NO_MEMORY : ERR_OK;
}

/* What the store says is checked again: a currency that does not exist has no decimals to show, and
 * a status that does not exist leads nowhere. */
enum err ledger_transaction_read(struct store_rows *rows, struct arena *arena,
                                 struct ledger_transaction_row *ret_row)
{
    *ret_row = (struct ledger_transaction_row){
        .id = store_rows_i64(rows, 0),
        .account_id = store_rows_i64(rows, 1),
        .user_id = store_rows_i64(rows, 2),
        .amount = {.minor = store_rows_i64(rows, 3),
                   .currency = currency_from_code(store_rows_text(rows, 4, NULL))},
        .direction = store_rows_text(rows, 5, arena),
        .description = store_rows_text(rows, 6, arena),
        .status = store_rows_text(rows, 7, arena),
        .has_effective = !store_rows_null(rows, 8),
        .effective_at = store_rows_i64_or(rows, 8, 0),
        .has_hold = !store_rows_null(rows, 9),
        .hold_seq = store_rows_i64_or(rows, 9, 0),
        .is_posted = !store_rows_null(rows, 10),
        .posted_seq = store_rows_i64_or(rows, 10, 0),
        .created_at = store_rows_i64(rows, 11),
        .updated_at = store_rows_i64(rows, 12)};
    if (store_rows_err(rows))
        return store_rows_err(rows);
    if (ret_row->amount.currency == CURRENCY_NONE ||
        ledger_status_from(ret_row->status) == LEDGER_STATUS_NONE)
        return ERR_STORE_CORRUPT;
    return ledger_transaction_show(arena, ret_row);
}

enum err ledger_transaction_find(struct store_conn *conn, int64_t id, struct arena *arena,
                                 struct ledger_transaction_row *ret_row)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &transaction_find, STORE_PARAMS(STORE_I64(id)), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    return ledger_transaction_read(rows, arena, ret_row);
}

static struct store_value number_or_null(bool is_there, int64_t number)
{
    return is_there ? STORE_I64(number) : STORE_NULL;
}

enum err ledger_transaction_add(struct ledger_turn *turn, const struct ledger_transaction_row *row)
{
    return ledger_turn_add(
        turn, &transaction_insert,
        STORE_PARAMS(STORE_I64(row->id), STORE_I64(row->account_id), STORE_I64(row->user_id),
                     STORE_I64(row->amount.minor), STORE_TEXT(row->currency),
                     STORE_TEXT(row->direction), STORE_TEXT_OR_NULL(row->description),
                     STORE_TEXT(row->status), number_or_null(row->has_effective, row->effective_at),
                     number_or_null(row->has_hold, row->hold_seq),
                     number_or_null(row->is_posted, row->posted_seq), STORE_I64(row->created_at),
                     STORE_I64(row->updated_at)));
}

/* Whoever changes a transaction holds the head of the ledger, so its row is as it was read. */
enum err ledger_transaction_change(struct ledger_turn *turn,
                                   const struct ledger_transaction_row *was,
                                   const struct ledger_transaction_row *row)
{
    int64_t changed = 0;
    enum err err = store_exec(
        ledger_turn_conn(turn), &transaction_update,
        STORE_PARAMS(STORE_I64(row->id), STORE_TEXT(was->status),
                     STORE_TEXT_OR_NULL(row->description), STORE_TEXT(row->status),
                     number_or_null(row->is_posted, row->posted_seq), STORE_I64(row->updated_at)),
        &changed);

    if (err)
        return err;
    return changed == 1 ? ERR_OK : ERR_STORE_CORRUPT;
}

static struct span text_in(struct arena *arena, const char *prefix, int64_t number)
{
    struct sbuf out = sbuf_on(arena, 64);

    sbuf_add_text(&out, prefix);
    sbuf_add_i64(&out, number);
    return out.full ? SPAN_OF("") : sbuf_span(&out);
}

enum err ledger_transaction_tell(struct ledger_turn *turn, const struct ledger_transaction_row *row,
                                 const struct ledger_transaction_row *was)
{
    struct arena *arena = ledger_turn_arena(turn);
    struct trail_record record = {
        .event = was == NULL ? TRAIL_TRANSACTION_CREATED : TRAIL_TRANSACTION_CHANGED,
        .outcome = TRAIL_DONE,
        .object = text_in(arena, "transaction:", row->id),
        .details = {{.name = "account", .value = text_in(arena, "", row->account_id)},
                    {.name = "direction", .value = row->direction},
                    {.name = "amount", .value = row->decimal},
                    {.name = "currency", .value = row->currency},
                    {.name = "status", .value = row->status}}};

    if (was != NULL)
        record.details[5] = (struct trail_detail){.name = "was", .value = was->status};
    return ledger_turn_trail(turn, &record);
}
