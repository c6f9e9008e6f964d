/* SPDX-License-Identifier: MIT
 * The rows that lines become, written many at a time: a statement's rows in the order of their
 * lines, statements in the order in which rows need one another. */
#include "ledger/ledger_book_priv.h"

#include "base/alloc.h"

enum { STATEMENTS_MAX = 16, VALUES_ROOM = 4096 };

/* Rows that wait for one statement. */
struct pending {
    const struct ledger_book_insert *insert;
    struct store_value *values;
    size_t value_count, room, rows;
};
struct ledger_import_rows {
    struct pending of[STATEMENTS_MAX];
    size_t count;
};

static void pending_add(struct ledger_import_rows *rows, const struct ledger_book_line *line)
{
    for (size_t i = 0; i < line->insert_count; i++) {
        PC_ASSERT(rows->count < STATEMENTS_MAX);
        rows->of[rows->count++].insert = &line->inserts[i];
    }
    if (line->child != NULL)
        pending_add(rows, line->child);
}

enum err ledger_import_rows_new(struct ledger_import *import)
{
    import->rows = alloc_zero(sizeof(*import->rows));
    if (import->rows == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < LEDGER_BOOK_LINE_COUNT; i++)
        pending_add(import->rows, &ledger_book_lines[i]);
    return ERR_OK;
}

void ledger_import_rows_free(struct ledger_import *import)
{
    for (size_t i = 0; import->rows != NULL && i < import->rows->count; i++)
        alloc_free(import->rows->of[i].values);
    alloc_free(import->rows);
    import->rows = NULL;
}

static struct pending *pending_of(struct ledger_import *import,
                                  const struct ledger_book_insert *insert)
{
    size_t i = 0;

    while (import->rows->of[i].insert != insert)
        i++;
    return &import->rows->of[i];
}

static enum err reserve(struct pending *pending, size_t more)
{
    size_t room = pending->room == 0 ? VALUES_ROOM : pending->room;
    struct store_value *larger;

    while (room < pending->value_count + more)
        room *= 2;
    if (room == pending->room)
        return ERR_OK;
    larger = alloc_resize(pending->values, room * sizeof(*larger));
    if (larger == NULL)
        return ERR_NO_MEMORY;
    pending->values = larger;
    pending->room = room;
    return ERR_OK;
}

static size_t member_at(const struct ledger_book_line *line, const char *name)
{
    size_t i = 0;

    while (!span_is(span_from(line->members[i].name), name))
        i++;
    return i;
}

enum err ledger_import_rows_add(struct ledger_import *import, const struct ledger_book_line *line,
                                const struct store_value *values, const struct store_value *parent,
                                int64_t place)
{
    for (size_t i = 0; i < line->insert_count; i++) {
        const struct ledger_book_insert *insert = &line->inserts[i];
        struct pending *pending = pending_of(import, insert);
        enum err err;

        if (insert->only_with != NULL &&
            values[member_at(line, insert->only_with)].type == STORE_TYPE_NULL)
            continue;
        err = reserve(pending, insert->member_count + 2);
        if (err)
            return err;
        if (parent != NULL) {
            pending->values[pending->value_count++] = *parent;
            pending->values[pending->value_count++] = STORE_I64(place);
        }
        for (size_t j = 0; j < insert->member_count; j++)
            pending->values[pending->value_count++] = values[insert->members[j]];
        pending->rows++;
    }
    return ERR_OK;
}

static enum err pending_write(struct ledger_import *import, struct pending *pending)
{
    int64_t changed = 0;
    enum err err;

    if (pending->rows == 0)
        return ERR_OK;
    err = store_exec_many(import->conn, &pending->insert->statement, pending->values,
                          pending->value_count / pending->rows, pending->rows, &changed);
    if (err == ERR_STORE_UNIQUE || err == ERR_STORE_CONSTRAINT || err == ERR_VALIDATION)
        return ledger_import_refuse(import,
                                    "one of the lines from %lld to here cannot be taken (%s)",
                                    (long long)import->posts_at, store_conn_message(import->conn));
    if (err)
        return err;
    if (changed != (int64_t)pending->rows)
        return ledger_import_refuse(import,
                                    "one of the lines from %lld to here names an account that is "
                                    "not there, or of another currency",
                                    (long long)import->posts_at);
    pending->rows = pending->value_count = 0;
    return ERR_OK;
}

enum err ledger_import_rows_write(struct ledger_import *import)
{
    enum err err = ERR_OK;

    for (size_t i = 0; i < import->rows->count && !err; i++)
        err = pending_write(import, &import->rows->of[i]);
    return err;
}
