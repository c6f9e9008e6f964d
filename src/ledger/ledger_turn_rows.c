/* SPDX-License-Identifier: MIT
 * Many rows of one statement. SQLite is quickest row by row, with the statement prepared once. To
 * PostgreSQL each statement is a trip through the executor, so there the rows become columns: one
 * array for each, and one statement for all. */
#include "ledger/ledger_priv.h"

enum { SET_ROWS_MIN = 3 }; /* fewer go one by one */

/* "a\"b": an element of an array. https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO */
static void text_add(struct sbuf *out, struct span text)
{
    size_t done = 0;

    sbuf_add_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] != '"' && text.ptr[i] != '\\')
            continue;
        sbuf_add_bytes(out, text.ptr + done, i - done);
        sbuf_add_char(out, '\\');
        done = i;
    }
    sbuf_add_bytes(out, text.ptr + done, text.len - done);
    sbuf_add_char(out, '"');
}

static void value_add(struct sbuf *out, const struct store_value *value)
{
    PC_ASSERT(value->type != STORE_TYPE_BLOB && value->type != STORE_TYPE_BOOL);
    if (value->type == STORE_TYPE_NULL)
        sbuf_add_lit(out, "NULL");
    else if (value->type == STORE_TYPE_I64)
        sbuf_add_i64(out, value->number);
    else
        text_add(out, value->bytes);
}

/* A column of `rows` rows that are `count` values apart: {1,2,NULL}. */
static enum err column_write(struct ledger_turn *turn, const struct store_value *first,
                             size_t count, size_t rows, struct store_value *ret_array)
{
    struct sbuf out = sbuf_on(&turn->arena, LIMIT_STORE_VALUE_BYTES_MAX);
    struct span text;

    for (size_t i = 0; i < rows; i++) {
        sbuf_add_char(&out, i == 0 ? '{' : ',');
        value_add(&out, &first[i * count]);
    }
    sbuf_add_char(&out, '}');
    if (sbuf_finish(&out, &text) != ERR_OK)
        return ERR_NO_MEMORY;
    *ret_array = STORE_TEXT(text);
    return ERR_OK;
}

/* An update tells as its last parameter how many rows it must touch, and changes one row only if
 * it did: so its answer may wait as well. */
static enum err set_run(struct ledger_turn *turn, const struct ledger_rows *rows,
                        const struct store_value *values, size_t count)
{
    struct store_value arrays[LEDGER_COLUMNS_MAX + 1];
    enum err err = ERR_OK;

    PC_ASSERT(rows->columns <= LEDGER_COLUMNS_MAX);
    for (size_t i = 0; i < rows->columns && err == ERR_OK; i++)
        err = column_write(turn, values + i, rows->columns, count, &arrays[i]);
    if (err)
        return err;
    if (!rows->is_update)
        return store_exec_many(turn->conn, &rows->set, arrays, rows->columns, 1, NULL);
    arrays[rows->columns] = STORE_I64((int64_t)count);
    return store_exec_each(turn->conn, &rows->set, arrays, rows->columns + 1, 1);
}

enum err ledger_rows_run(struct ledger_turn *turn, const struct ledger_rows *rows,
                         const struct store_value *values, size_t count)
{
    if (count == 0)
        return ERR_OK;
    if (store_conn_kind(turn->conn) == STORE_POSTGRES && count >= SET_ROWS_MIN)
        return set_run(turn, rows, values, count);
    return store_exec_each(turn->conn, &rows->each, values, rows->columns, count);
}
