/* SPDX-License-Identifier: MIT
 * GET /transactions and GET /transactions/accounts/{account_id}: newest first, by whatever filters
 * were given. One of a few queries is chosen by the narrowest filter that an index serves, in the
 * order of `enum query`; the others are looked at in the rows that it gives. Customers' lists are
 * always by user. */
#include "ledger/ledger_transaction.h"

#include "ledger/ledger_call.h"
#include "ledger/ledger_list.h"

enum { CURSOR_BYTES_MAX = 2 * HTTP_PAGE_KEY_BYTES_MAX + 1 };

static const char *const directions[] = {"debit", "credit", NULL};

static const struct json_field page_fields[] = {
    HTTP_PAGE_FIELDS(CURSOR_BYTES_MAX, "1759752000000000000.12"),
    LEDGER_FILTER_ACCOUNT,
    LEDGER_FILTER_USER,
    LEDGER_FILTER_TIMES,
    {.name = "status",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .choices = ledger_statuses,
     .offset = offsetof(struct ledger_filters, status),
     .example = "pending",
     .about = "In this state."},
    {.name = "direction",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .choices = directions,
     .offset = offsetof(struct ledger_filters, direction),
     .example = "debit",
     .about = "In this direction."},
    {.name = "currency",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .min = 3,
     .max = 3,
     .offset = offsetof(struct ledger_filters, currency),
     .example = "USD",
     .about = "In this currency."},
    {.name = "amount_min",
     .kind = JSON_KIND_DECIMAL,
     .optional = true,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_filters, amount_min),
     .example = "10.00",
     .about = "That much or more; needs a currency."},
    {.name = "amount_max",
     .kind = JSON_KIND_DECIMAL,
     .optional = true,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_filters, amount_max),
     .example = "20.00",
     .about = "That much or less; needs a currency."},
};
const struct json_schema ledger_transactions_page_schema = {.name = "TransactionPage",
                                                            .fields = page_fields,
                                                            .field_count = PC_COUNT(page_fields),
                                                            .bytes = sizeof(struct ledger_filters)};

/* What every query is told, in this order; what was not asked for is as wide as can be. A plus
 * keeps SQLite from choosing another index than the query is for; PostgreSQL knows by its counts.
 */
#define OTHERS(plus)                                                                               \
    "AND (CAST(?1 AS bigint) = 0 OR " plus "account_id = ?1) "                                     \
    "AND (CAST(?2 AS bigint) = 0 OR " plus "user_id = ?2) "                                        \
    "AND (?3 = '' OR " plus "status = ?3) AND (?4 = '' OR " plus "direction = ?4) "                \
    "AND (?5 = '' OR " plus "currency = ?5) AND " plus "amount >= ?6 AND " plus "amount <= ?7 "    \
    "AND " plus "created_at >= ?8 AND " plus "created_at < ?9 "
#define LIST(where, plus, order)                                                                   \
    "SELECT " LEDGER_TRANSACTION_COLUMNS " FROM transactions WHERE " where                         \
    " " OTHERS(plus) "ORDER BY " order " LIMIT ?11"
#define LISTS(where, order) .sqlite = LIST(where, "+", order), .postgres = LIST(where, "", order)
#define BEHIND              " AND id < ?10"

enum query {
    BY_ACCOUNT,
    BY_USER,
    BY_TIME,
    BY_STATUS,
    BY_AMOUNT,
    BY_CURRENCY,
    BY_DIRECTION,
    BY_ID,
    QUERY_COUNT
};
_Static_assert((int)QUERY_COUNT == (int)LEDGER_TRANSACTION_LISTS, "as the header says");
const struct store_statement ledger_transaction_lists[QUERY_COUNT] = {
    [BY_ACCOUNT] = {.name = "transactions_list_account",
                    LISTS("account_id = ?1" BEHIND, "id DESC")},
    [BY_USER] = {.name = "transactions_list_user", LISTS("user_id = ?2" BEHIND, "id DESC")},
    [BY_TIME] = {.name = "transactions_list_time",
                 LISTS("created_at >= ?8 AND created_at <= ?12 AND (created_at < ?12 OR id < ?10)",
                       "created_at DESC, id DESC")},
    [BY_STATUS] = {.name = "transactions_list_status", LISTS("status = ?3" BEHIND, "id DESC")},
    [BY_AMOUNT] = {.name = "transactions_list_amount",
                   LISTS("currency = ?5 AND amount >= ?6 AND amount <= ?7 AND +id < ?10",
                         "id DESC")},
    [BY_CURRENCY] = {.name = "transactions_list_currency",
                     LISTS("currency = ?5" BEHIND, "id DESC")},
    [BY_DIRECTION] = {.name = "transactions_list_direction",
                      LISTS("direction = ?4" BEHIND, "id DESC")},
    [BY_ID] = {.name = "transactions_list", LISTS("id < ?10", "id DESC")},
};

/* Amounts are sorted by number only if they are few: else many are among the newest anyway. */
enum { FEW = 10000 };
static const struct store_statement few_count = {
    .name = "transactions_list_few",
    .sqlite = "SELECT count(*) FROM (SELECT 1 FROM transactions WHERE currency = ?1 "
              "AND amount >= ?2 AND amount <= ?3 LIMIT ?4) few"};

/* What is asked for, with the caller's rights applied. */
struct wanted {
    const struct ledger_filters *filters;
    struct ledger_range range;
    int64_t account_id, user_id;  /* 0: any */
    int64_t before_id, before_ns; /* behind which row the page begins */
};

static enum err are_few(struct http_request *req, const struct wanted *wanted, bool *ret_few)
{
    const struct ledger_range *range = &wanted->range;
    PC_AUTO(store_rows) rows = NULL;
    enum err err =
        store_query(req->store, &few_count,
                    STORE_PARAMS(STORE_TEXT(range->currency), STORE_I64(range->amount_min),
                                 STORE_I64(range->amount_max), STORE_I64(FEW + 1)),
                    &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_STORE_CORRUPT);
    *ret_few = store_rows_i64(rows, 0) <= FEW;
    return store_rows_err(rows);
}

static enum err choose(struct http_request *req, const struct wanted *wanted, enum query *ret_query)
{
    const struct ledger_filters *filters = wanted->filters;
    bool few = false;
    enum err err = ERR_OK;

    *ret_query = BY_ID;
    if (wanted->account_id != 0)
        *ret_query = BY_ACCOUNT;
    else if (wanted->user_id != 0)
        *ret_query = BY_USER;
    else if (filters->has_from || filters->has_to)
        *ret_query = BY_TIME;
    else if (filters->status.ptr != NULL)
        *ret_query = BY_STATUS;
    else if (filters->amount_min.ptr != NULL || filters->amount_max.ptr != NULL) {
        err = are_few(req, wanted, &few);
        *ret_query = few ? BY_AMOUNT : BY_CURRENCY;
    } else if (filters->currency.ptr != NULL)
        *ret_query = BY_CURRENCY;
    else if (filters->direction.ptr != NULL)
        *ret_query = BY_DIRECTION;
    return err;
}

/* "<created_at>.<id>" of the last row that was seen. */
static enum err read_cursor(struct http_request *req, struct span cursor, struct wanted *wanted)
{
    size_t dot = span_find(cursor, '.');

    wanted->before_id = INT64_MAX;
    wanted->before_ns = INT64_MAX;
    if (cursor.len == 0)
        return ERR_OK;
    if (dot == cursor.len || !span_to_i64(span_slice(cursor, 0, dot), &wanted->before_ns) ||
        !span_to_i64(span_slice(cursor, dot + 1, cursor.len), &wanted->before_id))
        return http_page_fail(req);
    return ERR_OK;
}

static enum err want(struct http_request *req, struct wanted *ret_wanted)
{
    const struct ledger_filters *filters = req->input;
    struct wanted wanted = {.filters = filters,
                            .account_id = filters->has_account ? filters->account_id : 0,
                            .user_id = ledger_list_user(req, filters)};
    enum err err = ledger_range_read(req, filters, &wanted.range);

    if (!err)
        err = read_cursor(req, filters->page.cursor, &wanted);
    if (wanted.before_ns >= wanted.range.to_ns)
        wanted.before_ns = wanted.range.to_ns > INT64_MIN ? wanted.range.to_ns - 1 : INT64_MIN;
    *ret_wanted = wanted;
    return err;
}

static struct store_value text_or_any(struct span text)
{
    return text.ptr != NULL ? STORE_TEXT(text) : STORE_TEXT(SPAN_OF(""));
}

static enum err ask(struct http_request *req, const struct wanted *wanted, enum query query,
                    struct store_rows **ret_rows)
{
    const struct ledger_filters *filters = wanted->filters;
    const struct store_value params[] = {
        STORE_I64(wanted->account_id),       STORE_I64(wanted->user_id),
        text_or_any(filters->status),        text_or_any(filters->direction),
        text_or_any(filters->currency),      STORE_I64(wanted->range.amount_min),
        STORE_I64(wanted->range.amount_max), STORE_I64(wanted->range.from_ns),
        STORE_I64(wanted->range.to_ns),      STORE_I64(wanted->before_id),
        STORE_I64(filters->page.limit + 1),  STORE_I64(wanted->before_ns)};
    size_t count = PC_COUNT(params) - (query == BY_TIME ? 0 : 1);

    return store_query(req->store, &ledger_transaction_lists[query], params, count, ret_rows);
}

static void link_next(struct http_request *req, const struct ledger_filters *filters,
                      const struct ledger_transaction_row *last)
{
    char text[CURSOR_BYTES_MAX + 1];
    struct sbuf cursor = sbuf_over(text, sizeof(text));

    sbuf_add_i64(&cursor, last->created_at);
    sbuf_add_char(&cursor, '.');
    sbuf_add_i64(&cursor, last->id);
    http_page_link(req, &filters->page, sbuf_span(&cursor));
}

/* One row more than asked for, or more words than a page has room for, tell that there is a next
 * page. */
static enum err answer(struct http_request *req, const struct ledger_filters *filters,
                       struct store_rows *rows)
{
    size_t limit = (size_t)filters->page.limit;
    struct ledger_transaction_row *items = arena_array(req->arena, limit + 1, sizeof(*items));
    size_t count = 0;
    size_t words = 0;
    enum err err = items == NULL ? ERR_NO_MEMORY : ERR_OK;

    while (err == ERR_OK && count <= limit && words <= LEDGER_PAGE_WORDS_MAX && store_next(rows)) {
        err = ledger_transaction_read(rows, req->arena, &items[count]);
        words += err ? 0 : items[count++].description.len;
    }
    if (err == ERR_OK)
        err = store_rows_err(rows);
    if (err)
        return err;
    if (count > limit || words > LEDGER_PAGE_WORDS_MAX) {
        count -= count > 1 ? 1 : 0;
        link_next(req, filters, &items[count - 1]);
    }
    return http_reply_list(req, (struct json_list){.items = items, .count = count});
}

enum err ledger_transactions_list(struct http_request *req)
{
    PC_AUTO(store_rows) rows = NULL;
    struct wanted wanted = {0};
    enum query query = BY_ID;
    enum err err = want(req, &wanted);

    if (!err)
        err = choose(req, &wanted, &query);
    if (!err)
        err = ask(req, &wanted, query, &rows);
    return err ? err : answer(req, wanted.filters, rows);
}

/* The account's own list: here an account that is not the caller's is not found. */
enum err ledger_transactions_of_account(struct http_request *req)
{
    const struct ledger_filters *filters = req->input;
    struct ledger_account account = {0};
    enum err err = ledger_account_get(http_context(req), req->store, filters->account_id, &account);

    if (!err && !ledger_sees_all(req->principal) &&
        (account.user_id == 0 || account.user_id != req->principal->user_id))
        err = ledger_not_owner(req, "account:", account.id);
    return err ? err : ledger_transactions_list(req);
}
