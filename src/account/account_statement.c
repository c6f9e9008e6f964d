/* SPDX-License-Identifier: MIT
 * Reads one page of a statement. By commit, the lines stand in the order of their postings, and the
 * balance before the first of them is the one that the entry before it left. By effective date,
 * what was posted later with an earlier date stands where its date says; so the balance before a
 * line is the one by commit, and what was posted since with a date before the line's.
 *
 * Either way nothing behind the posting `seq` of the period is looked at. Entries never change, and
 * whoever posts takes turns, so whatever is read in whatever order is one moment. */
#include "account/account_priv.h"

enum { TEXT_BYTES_MAX = 128 * 1024 }; /* of a page's descriptions */

/* The last posting that was committed before a time. */
static const struct store_statement seq_before = {
    .name = "account_seq_before",
    .sqlite = "SELECT seq FROM ledger_posts WHERE at < ?1 ORDER BY at DESC LIMIT 1"};

static const struct store_statement balance_behind = {
    .name = "account_balance_behind",
    .sqlite = "SELECT posted_after FROM ledger_entries WHERE account_id = ?1 AND seq <= ?2 "
              "ORDER BY seq DESC LIMIT 1"};

/* What has effect up to a place (?3, ?4) though it was committed behind ?2, the last posting from
 * before that date: what is backdated, and the one posting of that very moment. Up to ?5. */
static const struct store_statement dated_before = {
    .name = "account_dated_before",
    .sqlite =
        "SELECT CAST(coalesce((SELECT sum(e.posted) FROM ledger_posts p JOIN ledger_entries e "
        "ON e.account_id = ?1 AND e.seq = p.seq WHERE p.effective_at < p.at AND "
        "p.effective_at <= ?3 AND (p.effective_at < ?3 OR p.seq <= ?4) AND p.seq > ?2 AND "
        "p.seq <= ?5), 0) + coalesce((SELECT e.posted FROM ledger_posts p JOIN ledger_entries e "
        "ON e.account_id = ?1 AND e.seq = p.seq WHERE p.at = ?3 AND p.effective_at = p.at AND "
        "p.seq <= ?4 AND p.seq <= ?5), 0) AS bigint)"};

#define LINE                                                                                       \
    "SELECT e.seq AS seq, p.at AS at, p.effective_at AS effective_at, p.kind AS kind, "            \
    "p.description AS description, e.posted AS posted, e.posted_after AS posted_after, "           \
    "(SELECT CASE WHEN count(*) = 1 THEN min(o.account_id) END FROM ledger_entries o "             \
    "WHERE o.seq = e.seq AND o.account_id <> e.account_id) AS other "                              \
    "FROM ledger_entries e JOIN ledger_posts p ON p.seq = e.seq "                                  \
    "WHERE e.account_id = ?1 AND e.posted <> 0 "

static const struct store_statement lines_by_commit = {
    .name = "account_lines_by_commit",
    .sqlite = LINE "AND e.seq > ?2 AND e.seq <= ?3 ORDER BY e.seq LIMIT ?4"};

/* Behind the place (?5, ?6) and before ?7: what was dated when it was committed, which is between
 * the postings ?2 and ?3, and what is backdated, which is behind ?2 as well, up to ?8. */
static const struct store_statement lines_by_date = {
    .name = "account_lines_by_date",
    .sqlite = "SELECT * FROM (SELECT * FROM (" LINE
              "AND e.seq > ?2 AND e.seq <= ?3 AND p.effective_at = p.at AND "
              "(p.at > ?5 OR e.seq > ?6) ORDER BY e.seq LIMIT ?4) AS prompt UNION ALL "
              "SELECT * FROM (" LINE "AND p.effective_at < p.at AND p.effective_at >= ?5 AND "
              "p.effective_at < ?7 AND (p.effective_at > ?5 OR p.seq > ?6) AND p.seq > ?2 AND "
              "p.seq <= ?8 "
              "ORDER BY p.effective_at, p.seq LIMIT ?4) AS late) AS lines "
              "ORDER BY effective_at, seq LIMIT ?4"};

static enum err number_or_zero(struct store_conn *conn, const struct store_statement *statement,
                               const struct store_value *values, size_t count, int64_t *ret_number)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, statement, values, count, &rows);

    if (err)
        return err;
    *ret_number = store_next(rows) ? store_rows_i64(rows, 0) : 0;
    return store_rows_err(rows);
}

/* The last posting before a time, but none behind the period's. */
static enum err last_before(struct store_conn *conn, const struct account_period *period,
                            int64_t at_ns, int64_t *ret_seq)
{
    int64_t seq = 0;
    enum err err = number_or_zero(conn, &seq_before, STORE_PARAMS(STORE_I64(at_ns)), &seq);

    *ret_seq = seq < period->seq ? seq : period->seq;
    return err;
}

static struct account_line line_of(struct store_rows *rows, struct arena *arena)
{
    return (struct account_line){.seq = store_rows_i64(rows, 0),
                                 .at = store_rows_i64(rows, 1),
                                 .effective_at = store_rows_i64(rows, 2),
                                 .kind = store_rows_text(rows, 3, arena),
                                 .description = store_rows_text(rows, 4, arena),
                                 .amount_minor = store_rows_i64(rows, 5),
                                 .balance_after_minor = store_rows_i64(rows, 6),
                                 .counterparty = store_rows_i64_or(rows, 7, 0),
                                 .has_counterparty = !store_rows_null(rows, 7)};
}

/* One more than asked for tells whether there is a next page, which also begins where the texts of
 * this one would grow too long for a reply. */
static enum err read_lines(struct store_rows *rows, const struct account_period *period,
                           struct arena *arena, struct account_page *page)
{
    size_t text_bytes = 0;

    page->lines = arena_array(arena, period->limit + 1, sizeof(*page->lines));
    if (page->lines == NULL)
        return ERR_NO_MEMORY;
    while (!page->has_more && store_next(rows)) {
        struct account_line *line = &page->lines[page->count];

        *line = line_of(rows, arena);
        text_bytes += line->description.len;
        page->has_more =
            page->count == period->limit || (page->count > 0 && text_bytes > TEXT_BYTES_MAX);
        page->count += !page->has_more;
    }
    return arena->overflowed ? ERR_NO_MEMORY : store_rows_err(rows);
}

/* Each line's balance is what the one before it left and its amount. By commit the entry says the
 * same, or the store is damaged. */
static enum err add_up(const struct account_period *period, struct account_page *page)
{
    int64_t balance = page->opening;

    for (size_t i = 0; i < page->count; i++) {
        struct account_line *line = &page->lines[i];

        if (!money_minor_add(balance, line->amount_minor, &balance) ||
            (!period->by_effective && balance != line->balance_after_minor))
            return ERR_STORE_CORRUPT;
        line->balance_after_minor = balance;
    }
    page->closing = balance;
    return ERR_OK;
}

static enum err read_by_commit(struct store_conn *conn, const struct account_period *period,
                               struct arena *arena, struct account_page *page)
{
    PC_AUTO(store_rows) rows = NULL;
    int64_t from = period->after.seq, to = 0;
    enum err err = ERR_OK;

    if (!period->continues)
        err = last_before(conn, period, period->from_ns, &from);
    if (!err)
        err = last_before(conn, period, period->to_ns, &to);
    if (!err)
        err = number_or_zero(conn, &balance_behind,
                             STORE_PARAMS(STORE_I64(period->account_id), STORE_I64(from)),
                             &page->opening);
    if (!err)
        err = store_query(conn, &lines_by_commit,
                          STORE_PARAMS(STORE_I64(period->account_id), STORE_I64(from),
                                       STORE_I64(to), STORE_I64((int64_t)period->limit + 1)),
                          &rows);
    return err ? err : read_lines(rows, period, arena, page);
}

/* The balance at a place, and the last posting from before its date. */
static enum err open_by_date(struct store_conn *conn, const struct account_period *period,
                             struct account_place place, int64_t *ret_before, int64_t *ret_opening)
{
    int64_t before = 0, behind = 0, dated = 0;
    enum err err = last_before(conn, period, place.effective_at_ns, &before);

    if (!err)
        err =
            number_or_zero(conn, &balance_behind,
                           STORE_PARAMS(STORE_I64(period->account_id), STORE_I64(before)), &behind);
    if (!err)
        err = number_or_zero(conn, &dated_before,
                             STORE_PARAMS(STORE_I64(period->account_id), STORE_I64(before),
                                          STORE_I64(place.effective_at_ns), STORE_I64(place.seq),
                                          STORE_I64(period->seq)),
                             &dated);
    if (err)
        return err;
    *ret_before = before;
    return money_minor_add(behind, dated, ret_opening) ? ERR_OK : ERR_STORE_CORRUPT;
}

static enum err read_by_date(struct store_conn *conn, const struct account_period *period,
                             struct arena *arena, struct account_page *page)
{
    PC_AUTO(store_rows) rows = NULL;
    const struct account_place start = {.effective_at_ns = period->from_ns};
    struct account_place place = period->continues ? period->after : start;
    int64_t from = 0, to = 0;
    enum err err = open_by_date(conn, period, place, &from, &page->opening);

    if (!err)
        err = last_before(conn, period, period->to_ns, &to);
    if (!err)
        err = store_query(conn, &lines_by_date,
                          STORE_PARAMS(STORE_I64(period->account_id), STORE_I64(from),
                                       STORE_I64(to), STORE_I64((int64_t)period->limit + 1),
                                       STORE_I64(place.effective_at_ns), STORE_I64(place.seq),
                                       STORE_I64(period->to_ns), STORE_I64(period->seq)),
                          &rows);
    return err ? err : read_lines(rows, period, arena, page);
}

enum err account_statement_read(struct store_conn *conn, const struct account_period *period,
                                struct arena *arena, struct account_page *ret_page)
{
    struct account_page page = {0};
    enum err err = period->by_effective ? read_by_date(conn, period, arena, &page)
                                        : read_by_commit(conn, period, arena, &page);

    if (!err)
        err = add_up(period, &page);
    if (err)
        return err;
    *ret_page = page;
    return ERR_OK;
}
