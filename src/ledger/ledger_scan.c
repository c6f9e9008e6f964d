/* SPDX-License-Identifier: MIT
 * Reading a table of any size in pages, each of which begins behind the last key of the one before.
 */
#include "ledger/ledger_scan.h"

#include <string.h>

static void page_open(struct ledger_scan *scan)
{
    struct store_value values[LEDGER_SCAN_KEYS_MAX + 1];
    size_t count = scan->key_count;

    for (size_t i = 0; i < count; i++)
        values[i] = i == 0 && scan->by_text ? STORE_TEXT(scan->text) : STORE_I64(scan->key[i]);
    values[count++] = STORE_I64((int64_t)scan->page);
    scan->seen = 0;
    scan->err = store_query(scan->conn, scan->statement, values, count, &scan->rows);
}

static void page_close(struct ledger_scan *scan)
{
    enum err err = scan->rows == NULL ? ERR_OK : store_rows_err(scan->rows);

    store_rows_close(scan->rows);
    scan->rows = NULL;
    if (scan->err == ERR_OK)
        scan->err = err;
}

static void key_keep(struct ledger_scan *scan)
{
    struct span text;

    for (size_t i = scan->by_text ? 1 : 0; i < scan->key_count; i++)
        scan->key[i] = store_rows_i64(scan->rows, i);
    if (!scan->by_text)
        return;
    text = store_rows_text(scan->rows, 0, NULL);
    if (text.len > sizeof(scan->text_bytes)) {
        scan->err = ERR_STORE_CORRUPT;
        text.len = sizeof(scan->text_bytes);
    }
    memcpy(scan->text_bytes, text.ptr, text.len);
    scan->text = span_make(scan->text_bytes, text.len);
}

void ledger_scan_next(struct ledger_scan *scan)
{
    while (!scan->over && scan->err == ERR_OK) {
        if (scan->rows == NULL)
            page_open(scan);
        if (scan->err == ERR_OK && store_next(scan->rows)) {
            key_keep(scan);
            scan->seen++;
            scan->over = scan->err != ERR_OK;
            return;
        }
        page_close(scan);
        scan->over = scan->seen < scan->page;
    }
    scan->over = true;
}

void ledger_scan_begin_as(struct ledger_scan *scan, struct store_conn *conn,
                          const struct store_statement *statement, size_t key_count, bool by_text,
                          size_t page)
{
    PC_ASSERT(key_count > 0 && key_count <= LEDGER_SCAN_KEYS_MAX);
    *scan = (struct ledger_scan){.conn = conn,
                                 .statement = statement,
                                 .key_count = key_count,
                                 .page = page,
                                 .by_text = by_text};
    scan->text = span_make(scan->text_bytes, 0);
    for (size_t i = 0; i < key_count; i++)
        scan->key[i] = INT64_MIN;
    ledger_scan_next(scan);
}

void ledger_scan_begin(struct ledger_scan *scan, struct store_conn *conn,
                       const struct store_statement *statement, size_t key_count)
{
    ledger_scan_begin_as(scan, conn, statement, key_count, false, LEDGER_SCAN_PAGE);
}

enum err ledger_scan_end(struct ledger_scan *scan)
{
    page_close(scan);
    scan->over = true;
    return scan->err;
}
