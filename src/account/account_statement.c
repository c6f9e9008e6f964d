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

/* Of a part, ?2 to ?3. */
#define LINE_IN      "AND e.seq >= ?2 AND e.seq < ?3 "
#define IN_PARTITION "AND " LEDGER_IN_PARTITION("e.seq", "?2") " "
static const struct store_statement lines_by_commit = {
    .name = "account_lines_by_commit",
    .sqlite = LINE LINE_IN IN_PARTITION "ORDER BY e.seq LIMIT ?4",
    .postgres = LINE LINE_IN "ORDER BY e.seq LIMIT ?4"};

/* What was dated when it was committed, behind the place (?5, ?6). */
#define PROMPT "AND p.effective_at = p.at AND (p.at > ?5 OR e.seq > ?6) ORDER BY e.seq LIMIT ?4"
static const struct store_statement lines_prompt = {.name = "account_lines_prompt",
                                                    .sqlite = LINE LINE_IN IN_PARTITION PROMPT,
                                                    .postgres = LINE LINE_IN PROMPT};

/* What is backdated, behind the place (?4, ?5) and before ?6: of the postings behind ?2, up to
 * ?7. */
static const struct store_statement lines_late = {
    .name = "account_lines_late",
    .sqlite = LINE "AND p.effective_at < p.at AND p.effective_at >= ?4 AND p.effective_at < ?6 "
                   "AND (p.effective_at > ?4 OR p.seq > ?5) AND p.seq > ?2 AND p.seq <= ?7 "
                   "ORDER BY p.effective_at, p.seq LIMIT ?3"};

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

/* ---- lists of lines ---------------------------------------------------------------------------
 */

/* Lines in their order, until the page is full: with one more than it may have, or with longer
 * texts than a reply. */
struct lines {
    struct account_line *items;
    size_t count, limit, text_bytes;
};

static bool is_full(const struct lines *lines)
{
    return lines->count > lines->limit || (lines->count > 1 && lines->text_bytes > TEXT_BYTES_MAX);
}

static enum err lines_new(struct lines *lines, const struct account_period *period,
                          struct arena *arena)
{
    *lines = (struct lines){.limit = period->limit};
    lines->items = arena_array(arena, period->limit + 1, sizeof(*lines->items));
    return lines->items == NULL ? ERR_NO_MEMORY : ERR_OK;
}

static void line_add(struct lines *lines, const struct account_line *line)
{
    lines->text_bytes += line->description.len;
    lines->items[lines->count++] = *line;
}

static enum err lines_take(struct store_rows *rows, struct arena *arena, struct lines *lines)
{
    while (!is_full(lines) && store_next(rows)) {
        struct account_line line = line_of(rows, arena);

        line_add(lines, &line);
    }
    return arena->overflowed ? ERR_NO_MEMORY : store_rows_err(rows);
}

/* The line that made it full begins the next page. */
static void page_take(struct account_page *page, const struct lines *lines)
{
    page->lines = lines->items;
    page->has_more = is_full(lines);
    page->count = lines->count - (page->has_more ? 1 : 0);
}

static enum err read_part(struct store_conn *conn, const struct account_period *period,
                          const struct ledger_window *part, const struct account_place *place,
                          struct arena *arena, struct lines *lines)
{
    const struct store_value values[] = {
        STORE_I64(period->account_id),
        STORE_I64(part->from),
        STORE_I64(part->below),
        STORE_I64((int64_t)(lines->limit + 1 - lines->count)),
        STORE_I64(place == NULL ? 0 : place->effective_at_ns),
        STORE_I64(place == NULL ? 0 : place->seq),
    };
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, place == NULL ? &lines_by_commit : &lines_prompt, values,
                               PC_COUNT(values) - (place == NULL ? 2 : 0), &rows);

    return err ? err : lines_take(rows, arena, lines);
}

/* Of all parts behind the posting `behind` up to another: by commit, or what was dated when it was
 * committed from a place on. */
static enum err read_parts(struct store_conn *conn, const struct account_period *period,
                           int64_t behind, int64_t to, const struct account_place *place,
                           struct arena *arena, struct lines *lines)
{
    struct ledger_walk walk = {.conn = conn,
                               .id = period->account_id,
                               .oldest_first = true,
                               .rest = {.from = behind + 1, .below = to + 1}};
    struct ledger_window part;
    bool found = true;
    enum err err = ERR_OK;

    while (!err && found && !is_full(lines)) {
        err = ledger_walk_next(&walk, &part, &found);
        if (!err && found)
            err = read_part(conn, period, &part, place, arena, lines);
    }
    return err;
}

static bool stands_before(const struct account_line *one, const struct account_line *other)
{
    return one->effective_at < other->effective_at ||
           (one->effective_at == other->effective_at && one->seq < other->seq);
}

/* Each is in its order, and full if it goes on; so the page is full before one of them ends that
 * should not. */
static void lines_merge(const struct lines *one, const struct lines *other, struct lines *all)
{
    size_t i = 0, k = 0;

    while (!is_full(all) && (i < one->count || k < other->count)) {
        bool first = k == other->count ||
                     (i < one->count && stands_before(&one->items[i], &other->items[k]));

        line_add(all, first ? &one->items[i++] : &other->items[k++]);
    }
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

/* Behind a posting; 0 is before the first. */
static enum err balance_behind(struct store_conn *conn, const struct account_period *period,
                               int64_t seq, int64_t *ret_minor)
{
    const struct ledger_moment moment = {.seq = seq};
    struct ledger_balance balance = {0};
    enum err err =
        seq <= 0 ? ERR_OK : ledger_balance_at(conn, period->account_id, &moment, &balance);

    if (!err)
        *ret_minor = balance.posted;
    return err;
}

static enum err read_by_commit(struct store_conn *conn, const struct account_period *period,
                               struct arena *arena, struct account_page *page)
{
    int64_t from = period->after.seq, to = 0;
    struct lines lines;
    enum err err = lines_new(&lines, period, arena);

    if (!err && !period->continues)
        err = last_before(conn, period, period->from_ns, &from);
    if (!err)
        err = last_before(conn, period, period->to_ns, &to);
    if (!err)
        err = balance_behind(conn, period, from, &page->opening);
    if (!err)
        err = read_parts(conn, period, from, to, NULL, arena, &lines);
    if (!err)
        page_take(page, &lines);
    return err;
}

/* The balance at a place, and the last posting from before its date. */
static enum err open_by_date(struct store_conn *conn, const struct account_period *period,
                             struct account_place place, int64_t *ret_before, int64_t *ret_opening)
{
    int64_t before = 0, behind = 0, dated = 0;
    enum err err = last_before(conn, period, place.effective_at_ns, &before);

    if (!err)
        err = balance_behind(conn, period, before, &behind);
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

static enum err read_late(struct store_conn *conn, const struct account_period *period,
                          const struct account_place *place, int64_t behind, struct arena *arena,
                          struct lines *lines)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(
        conn, &lines_late,
        STORE_PARAMS(STORE_I64(period->account_id), STORE_I64(behind),
                     STORE_I64((int64_t)lines->limit + 1), STORE_I64(place->effective_at_ns),
                     STORE_I64(place->seq), STORE_I64(period->to_ns), STORE_I64(period->seq)),
        &rows);

    return err ? err : lines_take(rows, arena, lines);
}

static enum err read_by_date(struct store_conn *conn, const struct account_period *period,
                             struct arena *arena, struct account_page *page)
{
    const struct account_place start = {.effective_at_ns = period->from_ns};
    struct account_place place = period->continues ? period->after : start;
    struct lines prompt, late, all;
    int64_t from = 0, to = 0;
    enum err err = lines_new(&prompt, period, arena);

    if (!err)
        err = lines_new(&late, period, arena);
    if (!err)
        err = lines_new(&all, period, arena);
    if (!err)
        err = open_by_date(conn, period, place, &from, &page->opening);
    if (!err)
        err = last_before(conn, period, period->to_ns, &to);
    if (!err)
        err = read_parts(conn, period, from, to, &place, arena, &prompt);
    if (!err)
        err = read_late(conn, period, &place, from, arena, &late);
    if (err)
        return err;
    lines_merge(&prompt, &late, &all);
    page_take(page, &all);
    return ERR_OK;
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
