/* SPDX-License-Identifier: MIT
 * JSON lines into an empty ledger, in the caller's commit:
 *
 *   nobody else posts --> the ledger is empty --> head --> lines, kind by kind --> end
 *       --> what follows from the rows --> ledger_check --> the caller commits
 *
 * The first thing that is wrong is told with its line, and the caller takes all of it back. */
#include "ledger/ledger_book_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct store_statement head_take = {
    .name = "ledger_import_head_take",
    .sqlite = "SELECT seq, transaction_id FROM ledger_head WHERE id = 1",
    .postgres = "SELECT seq, transaction_id FROM ledger_head WHERE id = 1 FOR UPDATE"};
static const struct store_statement is_used = {
    .name = "ledger_import_is_used",
    .sqlite = "SELECT EXISTS (SELECT 1 FROM ledger_accounts) OR EXISTS (SELECT 1 FROM orders)"};
static const struct store_statement head_set = {
    .name = "ledger_import_head_set",
    .sqlite = "UPDATE ledger_head SET seq = ?1, at = ?2, transaction_id = ?3 WHERE id = 1"};
static const struct store_statement expiry_set = {
    .name = "ledger_import_expiry_set",
    .sqlite =
        "UPDATE ledger_accounts SET hold_expires_at = (SELECT min(h.expires_at) "
        "FROM ledger_holds h WHERE h.account_id = ledger_accounts.id AND h.ended_seq IS NULL) "
        "WHERE held > 0"};
/* The next account's number: SQLite keeps it by itself. */
static const struct store_statement number_set = {
    .name = "ledger_import_number_set",
    .sqlite = "SELECT 1",
    .postgres = "SELECT setval(pg_get_serial_sequence('ledger_accounts', 'id'), "
                "GREATEST(max(id), 1), max(id) > 0) FROM ledger_accounts"};

enum err ledger_import_refuse(struct ledger_import *import, const char *format, ...)
{
    va_list args;

    import->fault->line = import->line;
    va_start(args, format);
    (void)vsnprintf(import->fault->text, sizeof(import->fault->text), format, args);
    va_end(args);
    return ERR_VALIDATION;
}

/* ---- before and after ---- */

static enum err ask_number(struct store_conn *conn, const struct store_statement *statement,
                           bool *ret_yes)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, statement, NULL, 0, &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_STORE_CORRUPT);
    if (statement == &head_take)
        *ret_yes = store_rows_i64(rows, 0) != 0 || store_rows_i64(rows, 1) != 0;
    else if (statement == &is_used)
        *ret_yes = store_rows_bool(rows, 0);
    return store_rows_err(rows);
}

static enum err must_be_empty(struct ledger_import *import)
{
    bool posted = false;
    bool used = false;
    enum err err = ask_number(import->conn, &head_take, &posted);

    if (!err)
        err = ask_number(import->conn, &is_used, &used);
    if (err || (!posted && !used))
        return err;
    (void)ledger_import_refuse(import,
                               "the ledger is not empty: a book is imported into a new one");
    return ERR_CONFLICT;
}

static void fault_keep(void *context, const char *invariant, struct span sentence)
{
    struct ledger_import *import = context;

    if (import->fault->text[0] == '\0')
        (void)ledger_import_refuse(import, "the book is not whole: %s %.*s", invariant,
                                   SPAN_ARG(sentence));
}

/* What no line says follows from the rows; then the whole is looked at. */
static enum err settle(struct ledger_import *import, int64_t now_ns,
                       struct ledger_summary *ret_summary)
{
    bool unused = false;
    enum err err = store_exec(import->conn, &head_set,
                              STORE_PARAMS(STORE_I64(import->seq), STORE_I64(import->at),
                                           STORE_I64(import->transaction_id)),
                              NULL);

    if (!err)
        err = store_exec(import->conn, &expiry_set, NULL, 0, NULL);
    if (!err)
        err = ask_number(import->conn, &number_set, &unused);
    import->line = 0;
    if (!err)
        err = ledger_check(import->conn, now_ns, fault_keep, import, ret_summary);
    if (err)
        return err;
    return ret_summary->faults > 0 ? ERR_VALIDATION : ERR_OK;
}

/* ---- one line ---- */

/* {"NAME": {...}} */
static enum err line_read(struct ledger_import *import, struct span text,
                          const struct json_value **ret_member)
{
    const struct json_value *root = NULL;
    struct json_fault fault;
    enum err err;

    if (text.len > LEDGER_BOOK_LINE_BYTES_MAX)
        return ledger_import_refuse(import, "has more than %d bytes", LEDGER_BOOK_LINE_BYTES_MAX);
    err = json_read(text, &import->arena, &root, &fault);
    if (err == ERR_JSON_SYNTAX)
        return ledger_import_refuse(import, "column %zu: %s", fault.column,
                                    json_reason_text(fault.reason));
    if (err)
        return err;
    if (!json_is_object(root) || root->count != 1)
        return ledger_import_refuse(import, "is not an object with one member");
    *ret_member = &root->items[0];
    return ERR_OK;
}

static int keys_compare(const struct ledger_book_line *line, const struct ledger_book_key *a,
                        const struct store_value *b)
{
    if (line->by_text)
        return span_compare(a->text, b[0].bytes);
    for (size_t i = 0; i < line->key_count; i++)
        if (a->number[i] != b[i].number)
            return a->number[i] < b[i].number ? -1 : 1;
    return 0;
}

static enum err key_follow(struct ledger_import *import, const struct ledger_book_line *line,
                           const struct store_value *values)
{
    struct ledger_book_key *key = &import->key;

    if (import->keyed && keys_compare(line, key, values) >= 0)
        return ledger_import_refuse(import, "\"%s\" does not rise from one line to the next",
                                    line->members[0].name);
    import->keyed = true;
    for (size_t i = 0; i < line->key_count && !line->by_text; i++)
        key->number[i] = values[i].number;
    if (!line->by_text)
        return ERR_OK;
    if (values[0].bytes.len > sizeof(key->text_bytes))
        return ledger_import_refuse(import, "\"%s\" is too long", line->members[0].name);
    memcpy(key->text_bytes, values[0].bytes.ptr, values[0].bytes.len);
    key->text = span_make(key->text_bytes, values[0].bytes.len);
    return ERR_OK;
}

static enum err children_add(struct ledger_import *import, const struct ledger_book_line *line,
                             const struct json_value *object, const struct store_value *parent)
{
    const struct json_value *list = json_get(object, line->list);
    struct store_value values[LEDGER_BOOK_MEMBERS_MAX];
    enum err err = ERR_OK;

    if (!json_is_list(list))
        return ledger_import_refuse(import, "lacks the list \"%s\"", line->list);
    for (uint32_t i = 0; i < list->count && !err; i++) {
        err = ledger_import_members(import, &list->items[i], line->child->members,
                                    line->child->member_count, NULL, values);
        if (!err)
            err = ledger_import_rows_add(import, line->child, values, parent, (int64_t)i + 1);
    }
    return err;
}

/* Owners who are not there are told all together. */
static enum err owners_are_there(struct ledger_import *import)
{
    if (import->missing_count == 0)
        return ERR_OK;
    import->line = import->missing_line;
    return ledger_import_refuse(
        import, "%zu e-mail address%s no user here: %.*s%s", import->missing_count,
        import->missing_count == 1 ? " has" : "es have", SPAN_ARG(sbuf_span(&import->missing)),
        import->missing_count > 1 ? " (create them first)" : "");
}

static enum err row_add(struct ledger_import *import, const struct json_value *object)
{
    const struct ledger_book_line *line = &ledger_book_lines[import->kind];
    struct store_value values[LEDGER_BOOK_MEMBERS_MAX];
    enum err err = ledger_import_members(import, object, line->members, line->member_count,
                                         line->list, values);

    if (!err)
        err = key_follow(import, line, values);
    if (!err && import->kind != LEDGER_BOOK_ACCOUNT)
        err = owners_are_there(import);
    if (err || import->missing_count > 0)
        return err;
    err = ledger_import_rows_add(import, line, values, NULL, 0);
    if (!err && line->child != NULL)
        err = children_add(import, line, object, &values[0]);
    import->counts[import->kind]++;
    return err;
}

static enum err rows_write(struct ledger_import *import)
{
    enum err err = import->missing_count > 0 ? ERR_OK : ledger_import_rows_write(import);

    import->waiting = 0;
    arena_reset(&import->arena);
    return err;
}

/* A line of the tables, or the end. */
static enum err body_line(struct ledger_import *import, const struct json_value *member)
{
    enum err err;

    for (size_t i = 0; i < LEDGER_BOOK_LINE_COUNT; i++) {
        if (!span_is(member->name, ledger_book_lines[i].name))
            continue;
        if (i < import->kind)
            return ledger_import_refuse(import, "a line \"%s\" stands behind one of \"%s\"",
                                        ledger_book_lines[i].name,
                                        ledger_book_lines[import->kind].name);
        import->keyed = import->keyed && i == import->kind;
        import->kind = i;
        if (import->waiting++ == 0)
            import->posts_at = import->line;
        err = row_add(import, member);
        if (!err && import->waiting == LEDGER_IMPORT_LINES)
            err = rows_write(import);
        return err;
    }
    import->ended = span_is(member->name, "end");
    if (import->ended)
        return ERR_OK;
    return ledger_import_refuse(import, "is no line of a book that is known here");
}

/* ---- all of them ---- */

static enum err next(struct ledger_import *import, const struct json_value **ret_member)
{
    struct span text = {0};
    enum err err = import->source(import->context, &text);

    *ret_member = NULL;
    if (err || text.ptr == NULL)
        return err;
    import->line++;
    text = arena_copy(&import->arena, text); /* values wait longer than the source keeps it */
    if (text.ptr == NULL)
        return ERR_NO_MEMORY;
    return line_read(import, text, ret_member);
}

static enum err head_line(struct ledger_import *import)
{
    struct store_value values[LEDGER_BOOK_MEMBERS_MAX];
    const struct json_value *member = NULL;
    enum err err = next(import, &member);

    if (err)
        return err;
    if (member == NULL || !span_is(member->name, "ledger"))
        return ledger_import_refuse(import, "is not the head of a book: %s",
                                    "{\"ledger\": {\"version\": 1, ...}}");
    err = ledger_import_members(import, member, ledger_book_head, LEDGER_BOOK_HEAD_COUNT, NULL,
                                values);
    if (err)
        return err;
    if (values[0].number != LEDGER_BOOK_VERSION)
        return ledger_import_refuse(import, "is of version %lld, this program reads %d",
                                    (long long)values[0].number, LEDGER_BOOK_VERSION);
    if (!span_is(values[1].bytes, ledger_book_amounts) ||
        !span_is(values[2].bytes, ledger_book_times))
        return ledger_import_refuse(import, "has other amounts or times than this program reads");
    import->seq = values[LEDGER_BOOK_HEAD_SEQ].number;
    import->at = values[LEDGER_BOOK_HEAD_SEQ + 1].number;
    import->transaction_id = values[LEDGER_BOOK_HEAD_SEQ + 2].number;
    return ERR_OK;
}

static enum err end_line(struct ledger_import *import, const struct json_value *object)
{
    const struct json_value *more = NULL;
    enum err err;

    for (size_t i = 0; i < LEDGER_BOOK_LINE_COUNT; i++) {
        const char *name = ledger_book_lines[i].name;
        int64_t count;

        if (!json_to_i64(json_get(object, name), &count) || count != import->counts[i])
            return ledger_import_refuse(import, "does not count the %lld lines \"%s\" before it",
                                        (long long)import->counts[i], name);
    }
    if (object->count != LEDGER_BOOK_LINE_COUNT)
        return ledger_import_refuse(import, "counts something that is not known");
    err = next(import, &more);
    if (!err && more != NULL)
        err = ledger_import_refuse(import, "stands behind the end");
    return err;
}

static enum err lines(struct ledger_import *import)
{
    const struct json_value *member = NULL;
    enum err err = head_line(import);

    while (!err && !import->ended) {
        err = next(import, &member);
        if (!err && member == NULL) {
            import->line++;
            return ledger_import_refuse(import, "is missing: the book has no end");
        }
        if (!err)
            err = body_line(import, member);
    }
    if (!err)
        err = owners_are_there(import);
    if (!err)
        err = end_line(import, member);
    return err ? err : rows_write(import);
}

enum err ledger_import(struct store_conn *conn, ledger_source_fn *source, void *context,
                       int64_t now_ns, struct ledger_summary *ret_summary,
                       struct ledger_import_fault *reterr)
{
    struct ledger_import import = {
        .conn = conn, .source = source, .context = context, .fault = reterr};
    enum err err;

    *reterr = (struct ledger_import_fault){.line = 0};
    arena_init(&import.arena, NULL, 0, (size_t)LEDGER_IMPORT_LINES * LEDGER_BOOK_LINE_BYTES_MAX);
    err = ledger_import_rows_new(&import);
    if (!err)
        err = must_be_empty(&import);
    if (!err)
        err = lines(&import);
    if (!err)
        err = settle(&import, now_ns, ret_summary);
    ledger_import_rows_free(&import);
    arena_reset(&import.arena);
    return err;
}
