/* SPDX-License-Identifier: MIT
 * The ledger as JSON lines: the rows of each table in the order of its key, children inside their
 * parent's line. The same ledger gives the same bytes, on either database. */
#include "ledger/ledger_book_priv.h"

#include "json/json_writer.h"

static const struct store_statement head_read = {
    .name = "ledger_export_head",
    .sqlite = "SELECT seq, at, transaction_id FROM ledger_head WHERE id = 1"};

struct exporting {
    struct store_conn *conn;
    ledger_line_fn *line;
    void *context;
    struct arena arena;
    int64_t counts[LEDGER_BOOK_LINE_COUNT];
};

/* ---- one line ---- */

static void add_members(struct json_writer *w, struct store_rows *rows, size_t column,
                        const struct ledger_book_member *members, size_t count)
{
    for (size_t i = 0; i < count; i++, column++) {
        if (store_rows_null(rows, column))
            continue;
        if (members[i].type == LEDGER_BOOK_I64)
            json_add_i64(w, members[i].name, store_rows_i64(rows, column));
        else
            json_add_text(w, members[i].name, store_rows_text(rows, column, NULL));
    }
}

static bool is_child_of(const struct ledger_scan *child, const struct ledger_scan *parent)
{
    if (child->over)
        return false;
    return parent->by_text ? span_equal(child->text, parent->text)
                           : child->key[0] == parent->key[0];
}

/* Children of nobody come before those of this parent: the check tells of them. */
static void skip_orphans(struct ledger_scan *child, const struct ledger_scan *parent)
{
    while (!child->over && (parent->by_text ? span_compare(child->text, parent->text) < 0
                                            : child->key[0] < parent->key[0]))
        ledger_scan_next(child);
}

static void add_children(struct json_writer *w, const struct ledger_book_line *line,
                         const struct ledger_scan *parent, struct ledger_scan *child)
{
    skip_orphans(child, parent);
    json_key(w, line->list);
    json_begin_list(w);
    for (; is_child_of(child, parent); ledger_scan_next(child)) {
        json_begin_object(w);
        add_members(w, child->rows, child->key_count, line->child->members,
                    line->child->member_count);
        json_end_object(w);
    }
    json_end_list(w);
}

static enum err give(struct exporting *exporting, struct sbuf *out)
{
    struct span text;
    enum err err;

    sbuf_add_char(out, '\n');
    err = sbuf_finish(out, &text);
    if (!err)
        err = exporting->line(exporting->context, text);
    arena_reset(&exporting->arena);
    return err;
}

static enum err give_row(struct exporting *exporting, const struct ledger_book_line *line,
                         const struct ledger_scan *scan, struct ledger_scan *child)
{
    struct sbuf out = sbuf_on(&exporting->arena, LEDGER_BOOK_LINE_BYTES_MAX);
    struct json_writer w = json_writer_on(&out);

    json_begin_object(&w);
    json_key(&w, line->name);
    json_begin_object(&w);
    add_members(&w, scan->rows, 0, line->members, line->member_count);
    if (line->child != NULL)
        add_children(&w, line, scan, child);
    json_end_object(&w);
    json_end_object(&w);
    return give(exporting, &out);
}

/* ---- all of a kind ---- */

static enum err give_kind(struct exporting *exporting, size_t kind)
{
    const struct ledger_book_line *line = &ledger_book_lines[kind];
    struct ledger_scan scan = {.over = true};
    struct ledger_scan child = {.over = true};
    enum err err = ERR_OK;
    enum err others[2];

    ledger_scan_begin_as(&scan, exporting->conn, &line->scan, line->key_count, line->by_text,
                         LEDGER_SCAN_PAGE);
    if (line->child != NULL)
        ledger_scan_begin_as(&child, exporting->conn, &line->child->scan, line->child->key_count,
                             line->child->by_text, LEDGER_SCAN_PAGE);
    for (; !scan.over && !err; ledger_scan_next(&scan)) {
        err = give_row(exporting, line, &scan, &child);
        exporting->counts[kind]++;
    }
    others[0] = ledger_scan_end(&scan);
    others[1] = ledger_scan_end(&child);
    if (err)
        return err;
    return others[0] ? others[0] : others[1];
}

static enum err give_head(struct exporting *exporting)
{
    PC_AUTO(store_rows) rows = NULL;
    struct sbuf out = sbuf_on(&exporting->arena, LEDGER_BOOK_LINE_BYTES_MAX);
    struct json_writer w = json_writer_on(&out);
    enum err err = store_query(exporting->conn, &head_read, NULL, 0, &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_STORE_CORRUPT);
    json_begin_object(&w);
    json_key(&w, "ledger");
    json_begin_object(&w);
    json_add_i64(&w, ledger_book_head[0].name, LEDGER_BOOK_VERSION);
    json_add_text(&w, ledger_book_head[1].name, span_from(ledger_book_amounts));
    json_add_text(&w, ledger_book_head[2].name, span_from(ledger_book_times));
    for (size_t i = LEDGER_BOOK_HEAD_SEQ; i < LEDGER_BOOK_HEAD_COUNT; i++)
        json_add_i64(&w, ledger_book_head[i].name, store_rows_i64(rows, i - LEDGER_BOOK_HEAD_SEQ));
    json_end_object(&w);
    json_end_object(&w);
    err = store_rows_err(rows);
    return err ? err : give(exporting, &out);
}

static enum err give_end(struct exporting *exporting)
{
    struct sbuf out = sbuf_on(&exporting->arena, LEDGER_BOOK_LINE_BYTES_MAX);
    struct json_writer w = json_writer_on(&out);

    json_begin_object(&w);
    json_key(&w, "end");
    json_begin_object(&w);
    for (size_t i = 0; i < LEDGER_BOOK_LINE_COUNT; i++)
        json_add_i64(&w, ledger_book_lines[i].name, exporting->counts[i]);
    json_end_object(&w);
    json_end_object(&w);
    return give(exporting, &out);
}

enum err ledger_export(struct store_conn *conn, ledger_line_fn *line, void *context)
{
    struct exporting exporting = {.conn = conn, .line = line, .context = context};
    enum err err;

    arena_init(&exporting.arena, NULL, 0, 2 * LEDGER_BOOK_LINE_BYTES_MAX);
    err = give_head(&exporting);
    for (size_t i = 0; i < LEDGER_BOOK_LINE_COUNT && !err; i++)
        err = give_kind(&exporting, i);
    if (!err)
        err = give_end(&exporting);
    arena_reset(&exporting.arena);
    return err;
}
