/* SPDX-License-Identifier: MIT
 * GET /transfers: newest first, of one account, of a user's accounts, or of all. Numbers and times
 * of postings rise together, so a span of time is one of numbers, and every query walks an index
 * backwards from the cursor. */
#include "ledger/ledger_transfer.h"

#include "ledger/ledger_call.h"
#include "ledger/ledger_list.h"

static const struct json_field page_fields[] = {
    HTTP_PAGE_FIELDS(HTTP_PAGE_KEY_BYTES_MAX, "41"),
    LEDGER_FILTER_ACCOUNT,
    LEDGER_FILTER_USER,
    LEDGER_FILTER_TIMES,
};
const struct json_schema ledger_transfers_page_schema = {.name = "TransferPage",
                                                         .fields = page_fields,
                                                         .field_count = PC_COUNT(page_fields),
                                                         .bytes = sizeof(struct ledger_filters)};

/* ?1 and ?2: from which number and below which; ?3: how many; ?4: of whom. */
#define WINDOW(number) number " >= ?1 AND " number " < ?2 "
#define PART(number)   WINDOW(number) "AND " LEDGER_IN_PARTITION(number, "?1") " "
#define OF_ACCOUNT_TEXT(window)                                                                    \
    LEDGER_TRANSFERS_OF("SELECT i.seq FROM ledger_entries i CROSS JOIN ledger_posts q "            \
                        "WHERE i.account_id = ?4 AND " window                                      \
                        "AND q.seq = i.seq AND q.kind = 'transfer' ORDER BY i.seq DESC LIMIT ?3")
/* The newest of each account, and of these the newest. */
#define NEWEST_OF_EACH(window)                                                                     \
    "SELECT i.seq FROM ledger_entries i CROSS JOIN ledger_posts q WHERE i.account_id = o.id "      \
    "AND " window "AND q.seq = i.seq AND q.kind = 'transfer' ORDER BY i.seq DESC LIMIT ?3"

enum query { OF_ALL, OF_ACCOUNT, OF_USER, QUERY_COUNT };
_Static_assert((int)QUERY_COUNT == (int)LEDGER_TRANSFER_LISTS, "as the header says");
const struct store_statement ledger_transfer_lists[QUERY_COUNT] = {
    [OF_ALL] = {.name = "transfers_of_all",
                .sqlite = LEDGER_TRANSFERS_OF("SELECT seq FROM ledger_posts WHERE " WINDOW(
                    "seq") "AND kind = 'transfer' ORDER BY seq DESC LIMIT ?3")},
    [OF_ACCOUNT] = {.name = "transfers_of_account",
                    .sqlite = OF_ACCOUNT_TEXT(PART("i.seq")),
                    .postgres = OF_ACCOUNT_TEXT(WINDOW("i.seq"))},
    [OF_USER] = {.name = "transfers_of_user",
                 .sqlite = LEDGER_TRANSFERS_OF(
                     "SELECT DISTINCT n.seq FROM ledger_accounts o CROSS JOIN ledger_entries n "
                     "WHERE o.user_id = ?4 AND n.account_id = o.id "
                     "AND n.seq IN (" NEWEST_OF_EACH(PART("i.seq")) ") "
                                                                    "ORDER BY n.seq DESC LIMIT ?3"),
                 .postgres = LEDGER_TRANSFERS_OF(
                     "SELECT DISTINCT n.seq FROM ledger_accounts o "
                     "CROSS JOIN LATERAL (" NEWEST_OF_EACH(
                         WINDOW("i.seq")) ") n "
                                          "WHERE o.user_id = ?4 ORDER BY n.seq DESC LIMIT ?3")},
};

static const struct store_statement first_since = {
    .name = "posting_first_since",
    .sqlite = "SELECT seq FROM ledger_posts WHERE at >= ?1 ORDER BY at LIMIT 1"};

/* The first number at that time or later; none: beyond all. */
static enum err number_at(struct store_conn *conn, int64_t at_ns, int64_t *ret_seq)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &first_since, STORE_PARAMS(STORE_I64(at_ns)), &rows);

    if (err)
        return err;
    *ret_seq = store_next(rows) ? store_rows_i64(rows, 0) : INT64_MAX;
    return store_rows_err(rows);
}

/* Which numbers can be on the page. */
static enum err window_of(struct http_request *req, const struct ledger_filters *filters,
                          struct ledger_window *ret_window)
{
    struct ledger_window window = {.from = 1, .below = INT64_MAX};
    int64_t to = INT64_MAX;
    enum err err = ERR_OK;

    if (filters->page.cursor.len > 0 && !span_to_i64(filters->page.cursor, &window.below))
        return http_page_fail(req);
    if (filters->has_from)
        err = number_at(req->store, filters->created_from, &window.from);
    if (!err && filters->has_to)
        err = number_at(req->store, filters->created_to, &to);
    if (to < window.below)
        window.below = to;
    *ret_window = window;
    return err;
}

/* Whose transfers, and by which query; none is behind `last`. */
struct choice {
    enum query query;
    int64_t key, last;
};

static const struct store_statement last_of_user = {
    .name = "transfers_last_of_user",
    .sqlite = "SELECT max(seq) FROM ledger_accounts WHERE user_id = ?1"};

static enum err choose_user(struct store_conn *conn, int64_t user_id, struct choice *ret_choice)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &last_of_user, STORE_PARAMS(STORE_I64(user_id)), &rows);

    if (err)
        return err;
    *ret_choice = (struct choice){.query = OF_USER, .key = user_id};
    if (store_next(rows))
        ret_choice->last = store_rows_i64_or(rows, 0, 0);
    return store_rows_err(rows);
}

/* Somebody else's account is like one that there is not: it has no transfers. */
static enum err choose_account(struct http_request *req, int64_t account_id, int64_t user_id,
                               struct choice *ret_choice)
{
    struct ledger_account account = {0};
    enum err err = ledger_account_get(http_context(req), req->store, account_id, &account);

    if (err == ERR_NOT_FOUND || (!err && user_id != 0 && account.user_id != user_id))
        account = (struct ledger_account){0};
    *ret_choice = (struct choice){.query = OF_ACCOUNT, .key = account.id, .last = account.seq};
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err choose(struct http_request *req, const struct ledger_filters *filters,
                       struct choice *ret_choice)
{
    int64_t user_id = ledger_list_user(req, filters);

    *ret_choice = (struct choice){.query = OF_ALL, .last = INT64_MAX};
    if (filters->has_account)
        return choose_account(req, filters->account_id, user_id, ret_choice);
    return user_id != 0 ? choose_user(req->store, user_id, ret_choice) : ERR_OK;
}

/* ---- a page -----------------------------------------------------------------------------------
 */

struct page {
    struct ledger_transfer_row *items; /* room for one more than asked for */
    size_t count, limit, words;
};

/* One row more than asked for, or more words than a page has room for, tell that there is a next
 * page. */
static bool has_more(const struct page *page)
{
    return page->count > page->limit || page->words > LEDGER_PAGE_WORDS_MAX;
}

static enum err ask(struct http_request *req, const struct ledger_window *window,
                    const struct choice *choice, size_t limit, struct store_rows **ret_rows)
{
    const struct store_value params[] = {STORE_I64(window->from), STORE_I64(window->below),
                                         STORE_I64((int64_t)limit), STORE_I64(choice->key)};

    return store_query(req->store, &ledger_transfer_lists[choice->query], params,
                       PC_COUNT(params) - (choice->query == OF_ALL ? 1 : 0), ret_rows);
}

static enum err fill(struct http_request *req, const struct ledger_window *window,
                     const struct choice *choice, struct page *page)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = ask(req, window, choice, page->limit + 1 - page->count, &rows);

    while (err == ERR_OK && !has_more(page) && store_next(rows)) {
        err = ledger_transfer_read(rows, req->arena, &page->items[page->count]);
        page->words += err ? 0 : page->items[page->count++].description.len;
    }
    return err ? err : store_rows_err(rows);
}

/* Of all: the numbers themselves are the index. */
static enum err fill_parts(struct http_request *req, const struct ledger_window *window,
                           const struct choice *choice, struct page *page)
{
    struct ledger_walk walk = {.conn = req->store,
                               .id = choice->key,
                               .of_user = choice->query == OF_USER,
                               .rest = *window};
    struct ledger_window part;
    bool found = true;
    enum err err = ERR_OK;

    if (choice->query == OF_ALL)
        return fill(req, window, choice, page);
    if (walk.rest.below > choice->last)
        walk.rest.below = choice->last + 1;
    while (err == ERR_OK && found && !has_more(page)) {
        err = ledger_walk_next(&walk, &part, &found);
        if (err == ERR_OK && found)
            err = fill(req, &part, choice, page);
    }
    return err;
}

static enum err answer(struct http_request *req, const struct ledger_filters *filters,
                       struct page *page)
{
    if (has_more(page)) {
        page->count -= page->count > 1 ? 1 : 0;
        http_page_link_key(req, &filters->page, page->items[page->count - 1].id);
    }
    return http_reply_list(req, (struct json_list){.items = page->items, .count = page->count});
}

enum err ledger_transfers_list(struct http_request *req)
{
    const struct ledger_filters *filters = req->input;
    struct ledger_window window = {0};
    struct choice choice = {0};
    struct page page = {.limit = (size_t)filters->page.limit};
    enum err err = window_of(req, filters, &window);

    page.items = arena_array(req->arena, page.limit + 1, sizeof(*page.items));
    if (page.items == NULL)
        return ERR_NO_MEMORY;
    if (!err)
        err = choose(req, filters, &choice);
    if (!err)
        err = fill_parts(req, &window, &choice, &page);
    return err ? err : answer(req, filters, &page);
}
