/* SPDX-License-Identifier: MIT
 * All rows of a statement, whatever the size of the table: a page at a time, in the order of a key.
 * The first columns are the key, the first parameters the key that a page begins behind, the last
 * parameter how many rows a page has.
 *
 *   ledger_scan_begin(&scan, conn, &accounts_by_id, 1);
 *   for (; !scan.over; ledger_scan_next(&scan))
 *       look(scan.key[0], store_rows_i64(scan.rows, 1));
 *   err = ledger_scan_end(&scan);
 *
 * Threads: one store job, with a snapshot.    Memory: a page, where the database keeps it. */
#ifndef PC_LEDGER_LEDGER_SCAN_H
#define PC_LEDGER_LEDGER_SCAN_H

#include "store/store.h"

enum { LEDGER_SCAN_KEYS_MAX = 3, LEDGER_SCAN_PAGE = 2048, LEDGER_SCAN_PAGE_SMALL = 64 };

struct ledger_scan {
    struct store_conn *conn;
    const struct store_statement *statement;
    struct store_rows *rows; /* positioned on the row, unless `over` */
    int64_t key[LEDGER_SCAN_KEYS_MAX];
    size_t key_count, page;
    bool by_text; /* the first key is a text, and not in key[0] */
    struct span text;
    char text_bytes[64];
    size_t seen; /* in this page */
    bool over;
    enum err err;
};

/* Positions it on the first row. ledger_scan_end in any case. */
void ledger_scan_begin(struct ledger_scan *scan, struct store_conn *conn,
                       const struct store_statement *statement, size_t key_count);
/* The same with `page` rows at a time; `by_text` where the first column is a text, of at most 64
 * bytes. */
void ledger_scan_begin_as(struct ledger_scan *scan, struct store_conn *conn,
                          const struct store_statement *statement, size_t key_count, bool by_text,
                          size_t page);
void ledger_scan_next(struct ledger_scan *scan);
/* Columns of the wrong type are an error too. */
PC_CHECKED enum err ledger_scan_end(struct ledger_scan *scan);

#endif
