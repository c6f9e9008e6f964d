/* SPDX-License-Identifier: MIT
 * Reading the log: one event, many by what they are about, and the tree over them.
 *
 * Threads: inside a store job.    Memory: the arena's.    Units: nanoseconds since 1970.
 * Errors:  the store's; ERR_NOT_FOUND; ERR_STORE_CORRUPT for a row that is not as it was written.
 */
#ifndef PC_TRAIL_TRAIL_LOG_H
#define PC_TRAIL_TRAIL_LOG_H

#include "base/arena.h"
#include "base/sbuf.h"
#include "store/store.h"
#include "trail/trail_tree.h"

enum { TRAIL_ID_BYTES = 16 };

/* The fields that may tell of a person, or are free text. The leaf holds a salted commitment in
 * place of each, so that they can be erased and every proof stays valid. */
enum trail_personal {
    TRAIL_PERSONAL_ACTOR,
    TRAIL_PERSONAL_PRINCIPAL,
    TRAIL_PERSONAL_ADDRESS,
    TRAIL_PERSONAL_OBJECT,
    TRAIL_PERSONAL_REASON,
    TRAIL_PERSONAL_DETAILS, /* JSON */
    TRAIL_PERSONAL_COUNT
};

/* An event as it was written. Texts that are not there are {NULL, 0}. */
struct trail_entry {
    int64_t seq; /* the leaf's number in the tree, from 0, without a gap */
    unsigned char id[TRAIL_ID_BYTES];
    int64_t at_ns; /* never back */
    struct span event, category, severity, outcome, source, actor_kind, client, request_id;
    struct span tags; /* a JSON array of texts */
    struct span personal[TRAIL_PERSONAL_COUNT];
    struct span seed;   /* of which salts are made; none where no field is there, or one erased */
    struct span erased; /* what stands for fields that were erased; see trail_leaf.c */
    struct trail_hash leaf;
};

/* Empty and zero: any. */
struct trail_filter {
    struct span actor, category, event, object, severity, tag, source, outcome;
    int64_t from_ns, to_ns; /* to_ns is not in it */
    int64_t from_seq;       /* from this one on */
    int64_t before_seq;     /* 0: no bound */
    bool oldest_first;      /* for streams and exports; else the newest first */
    size_t limit;           /* at least 1 */
};

PC_CHECKED enum err trail_find(struct store_conn *conn, const struct trail_filter *filter,
                               struct arena *arena, struct trail_entry **ret_list,
                               size_t *ret_count);
/* The same, newest first, with a bound on what it costs: where no index leads to what the filter
 * wants it looks at `rows_max` rows and no further. *ret_before_seq: 0 when there is nothing more
 * to be found but behind what was found; else go on before that one, also when nothing was found.
 */
PC_CHECKED enum err trail_find_some(struct store_conn *conn, const struct trail_filter *filter,
                                    size_t rows_max, struct arena *arena,
                                    struct trail_entry **ret_list, size_t *ret_count,
                                    int64_t *ret_before_seq);
PC_CHECKED enum err trail_get(struct store_conn *conn, const unsigned char id[TRAIL_ID_BYTES],
                              struct arena *arena, struct trail_entry *ret);
/* The same at the price of one row, if its id was given in and not made by the log. */
PC_CHECKED enum err trail_get_given(struct store_conn *conn, const unsigned char id[TRAIL_ID_BYTES],
                                    struct arena *arena, struct trail_entry *ret);

/* The tree as it is committed now. */
PC_CHECKED enum err trail_tree_read(struct store_conn *conn, struct trail_tree *ret,
                                    int64_t *ret_at);

/* The entry as a line of an export, newline and all: everything that is needed to make its leaf
 * again, so that the line can be checked without a database. */
PC_CHECKED enum err trail_line_write(const struct trail_entry *entry, struct sbuf *out);

/* Makes the leaf's hash of the entry's own fields, as trail_add did. */
PC_CHECKED enum err trail_entry_leaf(const struct trail_entry *entry, struct trail_hash *ret);

#endif
