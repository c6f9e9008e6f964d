/* SPDX-License-Identifier: MIT
 * What export and import share: the lines of a book, as tables. A line is
 *
 *   {"account": {"id": 7, "owner": "ada@example.com", "currency": "EUR", ...}}
 *
 * and its members stand in the order of the columns that it is read from. Lines come in the order
 * of ledger_book_lines, those of one kind in the order of their keys; the first line is the head,
 * the last says how many there were of each.
 *
 *   ledger_book_lines.c    the tables
 *   ledger_export.c        rows into lines
 *   ledger_import.c        lines into rows: the order of things
 *   ledger_import_line.c   one line into values
 *   ledger_import_rows.c   values into rows, many at a time
 *
 * Threads: one store job.    Memory: a line; on import, the rows of LEDGER_IMPORT_LINES lines.
 * Source:  docs/decisions/ledger-book.md. */
#ifndef PC_LEDGER_LEDGER_BOOK_PRIV_H
#define PC_LEDGER_LEDGER_BOOK_PRIV_H

#include "json/json.h"
#include "ledger/ledger_book.h"
#include "ledger/ledger_scan.h"

enum {
    LEDGER_BOOK_VERSION = 1,
    LEDGER_BOOK_LINE_BYTES_MAX = 1024 * 1024,
    LEDGER_BOOK_MEMBERS_MAX = 20,
    LEDGER_BOOK_INSERTS_MAX = 2,
    LEDGER_IMPORT_LINES = 256,
};

enum ledger_book_type {
    LEDGER_BOOK_I64,
    LEDGER_BOOK_TEXT,
    LEDGER_BOOK_USER,     /* of a user: the e-mail address there, the id in a column */
    LEDGER_BOOK_CURRENCY, /* texts of a list */
    LEDGER_BOOK_STATE,
    LEDGER_BOOK_KIND,
};

struct ledger_book_member {
    const char *name;
    enum ledger_book_type type;
    bool optional; /* a column that may be NULL: then it is left out */
};

/* A row made of a line. Its values: for a child the parent's key and its own place first, then the
 * members named by their place. */
struct ledger_book_insert {
    struct store_statement statement;
    const char *only_with; /* a member: without it there is no row; NULL: always one */
    size_t member_count;
    unsigned char members[LEDGER_BOOK_MEMBERS_MAX];
};

struct ledger_book_line {
    const char *name;
    struct store_statement scan; /* its columns are the members; a child's begin with the key of the
                                    parent and its own place */
    size_t key_count;            /* of the scan */
    bool by_text;
    const struct ledger_book_member *members;
    size_t member_count;
    const char *list; /* of children: the member they stand in */
    const struct ledger_book_line *child;
    const struct ledger_book_insert *inserts;
    size_t insert_count;
};

enum {
    LEDGER_BOOK_ACCOUNT,
    LEDGER_BOOK_LIMIT,
    LEDGER_BOOK_POSTING,
    LEDGER_BOOK_HOLD,
    LEDGER_BOOK_TRANSACTION,
    LEDGER_BOOK_ORDER,
    LEDGER_BOOK_LINE_COUNT
};
extern const struct ledger_book_line ledger_book_lines[LEDGER_BOOK_LINE_COUNT];

/* The head and the end. */
extern const struct ledger_book_member ledger_book_head[];
enum { LEDGER_BOOK_HEAD_COUNT = 6, LEDGER_BOOK_HEAD_SEQ = 3 };
extern const char ledger_book_amounts[], ledger_book_times[];

/* ---- import -----------------------------------------------------------------------------------
 */

struct ledger_import {
    struct store_conn *conn;
    ledger_source_fn *source;
    void *context;
    struct ledger_import_fault *fault;
    int64_t line; /* its number, from 1 */
    size_t kind;  /* of ledger_book_lines */
    bool ended;   /* the last line was read */
    bool keyed;   /* `key` is of a line of this kind */
    struct ledger_book_key {
        int64_t number[LEDGER_SCAN_KEYS_MAX];
        struct span text;
        char text_bytes[64];
    } key;
    int64_t counts[LEDGER_BOOK_LINE_COUNT];
    int64_t seq, at, transaction_id; /* of the head */
    int64_t posts_at;                /* of the line at which the rows that wait begin */
    size_t waiting;                  /* lines whose rows wait */
    struct ledger_import_rows *rows;
    struct arena arena; /* of the lines that wait */
    struct span user;   /* the last that was looked up, in user_bytes */
    char user_bytes[320];
    int64_t user_id;
    struct sbuf missing; /* users */
    char missing_bytes[160];
    size_t missing_count;
    int64_t missing_line;
};

/* Writes the sentence, and returns ERR_VALIDATION. */
PC_FORMAT(2, 3)
enum err ledger_import_refuse(struct ledger_import *import, const char *format, ...);

/* The object's members, checked and as values: of member i in ret_values[i]. */
PC_CHECKED enum err ledger_import_members(struct ledger_import *import,
                                          const struct json_value *object,
                                          const struct ledger_book_member *members, size_t count,
                                          const char *list,
                                          struct store_value ret_values[LEDGER_BOOK_MEMBERS_MAX]);

/* The rows of a line, kept until enough wait. */
PC_CHECKED enum err ledger_import_rows_new(struct ledger_import *import);
PC_CHECKED enum err ledger_import_rows_add(struct ledger_import *import,
                                           const struct ledger_book_line *line,
                                           const struct store_value *values,
                                           const struct store_value *parent, int64_t place);
PC_CHECKED enum err ledger_import_rows_write(struct ledger_import *import);
void ledger_import_rows_free(struct ledger_import *import);

#endif
