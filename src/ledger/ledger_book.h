/* SPDX-License-Identifier: MIT
 * The whole ledger at once, for `portcullis ledger check|export|import`: every invariant looked at
 * from the entries alone, and the ledger as JSON lines.
 *
 * Threads: inside one store job (reads: with a snapshot).    Memory: bounded, whatever the size.
 * Source:  README.md (invariants); docs/decisions/ledger-book.md (the lines). */
#ifndef PC_LEDGER_LEDGER_BOOK_H
#define PC_LEDGER_LEDGER_BOOK_H

#include "ledger/ledger.h"

/* One broken invariant: "I2 account 7: stored balance 1995, sum of its entries 1990". */
typedef void ledger_fault_fn(void *context, const char *invariant, struct span sentence);

struct ledger_summary {
    int64_t postings, entries, accounts, transactions, holds, keys;
    int64_t seq, at_ns; /* of the last posting */
    uint64_t faults;    /* all of them; told are the first LEDGER_FAULTS_MAX of each invariant */
};
enum { LEDGER_FAULTS_MAX = 20 };

/* ERR_OK also with faults: look at the summary. */
PC_CHECKED enum err ledger_check(struct store_conn *conn, int64_t now_ns, ledger_fault_fn *tell,
                                 void *context, struct ledger_summary *ret_summary);

/* Takes a whole line, with its line feed. An error stops the export. */
typedef enum err ledger_line_fn(void *context, struct span line);
PC_CHECKED enum err ledger_export(struct store_conn *conn, ledger_line_fn *line, void *context);

/* Gives the next line without its line feed; {NULL, 0} at the end. */
typedef enum err ledger_source_fn(void *context, struct span *ret_line);
struct ledger_import_fault {
    int64_t line;
    char text[256];
};
/* Into an empty ledger only (ERR_CONFLICT), in one commit, checked at its end: a file that breaks
 * an invariant changes nothing. Whatever is wrong with the file (ERR_VALIDATION, or what the store
 * refused it with) is told in *reterr; its line is 0 where no single line is wrong. */
PC_CHECKED enum err ledger_import(struct store_conn *conn, ledger_source_fn *source, void *context,
                                  int64_t now_ns, struct ledger_summary *ret_summary,
                                  struct ledger_import_fault *reterr);

#endif
