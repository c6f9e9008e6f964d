/* SPDX-License-Identifier: MIT
 * What the files of trail/ share among themselves: records that wait for their commit, what a leaf
 * is made of, and adding leaves to the log.
 *
 *   trail_add -> trail_list_add -> (the seal, right before COMMIT) trail_append
 *                                                             or the outbox, as bytes
 *
 * A record that waits is a struct trail_entry whose seq, seed and leaf are not there yet; its id
 * may be zeroes, which is none.
 *
 * Threads: a list belongs to the thread of its handle; the rest is pure or runs in a store job.
 * Memory:  a list keeps copies of every text until it is emptied. */
#ifndef PC_TRAIL_TRAIL_PRIV_H
#define PC_TRAIL_TRAIL_PRIV_H

#include "base/random.h"
#include "trail/trail.h"
#include "trail/trail_hasher.h"
#include "trail/trail_index.h"
#include "trail/trail_log.h"

/* What of `text` may stand in a record: at most TRAIL_TEXT_BYTES_MAX bytes of whole UTF-8
 * characters. What would end a line, move a cursor or turn the direction of writing, and what is no
 * UTF-8, becomes U+FFFD. Lies in `room`, or is `text` itself where nothing is amiss. */
struct span trail_text(struct span text, char room[TRAIL_TEXT_BYTES_MAX]);

/* ---- trail_leaf.c: what a leaf is made of -------------------------------------------------- */

enum {
    TRAIL_SALT_OWN_BYTES = 16,                                          /* of a field in the seed */
    TRAIL_SEED_BYTES_MAX = TRAIL_PERSONAL_COUNT * TRAIL_SALT_OWN_BYTES, /* where all are there */
    TRAIL_TAGS_BYTES_MAX = 4096,
    TRAIL_ERASED_BYTES = 1 + TRAIL_HASH_BYTES, /* of one field in `erased` */
    TRAIL_ERASED_SALT = 0x80,                  /* the field stays: this is its salt */
};

/* The plain texts of an entry, in the order in which they enter the leaf behind id and at. */
enum {
    TRAIL_PLAIN_EVENT,
    TRAIL_PLAIN_CATEGORY,
    TRAIL_PLAIN_SEVERITY,
    TRAIL_PLAIN_OUTCOME,
    TRAIL_PLAIN_SOURCE,
    TRAIL_PLAIN_ACTOR_KIND,
    TRAIL_PLAIN_CLIENT,
    TRAIL_PLAIN_REQUEST_ID,
    TRAIL_PLAIN_TAGS,
    TRAIL_PLAIN_COUNT
};
void trail_plain(const struct trail_entry *entry, struct span ret[TRAIL_PLAIN_COUNT]);

/* How long the seed of such an entry is. */
size_t trail_seed_bytes(const struct trail_entry *entry);

/* "actor", "principal", ...: the field's name in a column, a line and a commitment. */
struct span trail_personal_name(enum trail_personal field);

/* How a field is hidden: SHA-256 of the name, a salt that only this entry has, and the value. */
void trail_salt(const struct trail_entry *entry, enum trail_personal field, struct trail_hash *ret);
void trail_commit(enum trail_personal field, const struct trail_hash *salt, struct span value,
                  struct trail_hash *ret);

/* A field as it stands in the leaf. */
enum trail_stand {
    TRAIL_STAND_NONE,   /* it never was there */
    TRAIL_STAND_VALUE,  /* it is: *ret_hash is its salt */
    TRAIL_STAND_ERASED, /* *ret_hash is its commitment */
};
/* ERR_STORE_CORRUPT if the entry cannot have been written so. */
PC_CHECKED enum err trail_stand(const struct trail_entry *entry, enum trail_personal field,
                                enum trail_stand *ret, struct trail_hash *ret_hash);

/* The leaf's data: what trail_hash_leaf is made of. ERR_NO_SPACE if it does not fit. */
PC_CHECKED enum err trail_leaf_write(const struct trail_entry *entry, struct sbuf *out);

/* trail_catalogue.c: tells when the record is not what the catalogue says of its event. */
void trail_look_at(const struct trail_record *record);

/* ---- trail_list.c: records that wait for their commit -------------------------------------- */

struct trail_list {
    struct trail_entry *entries;
    size_t count, room;
    struct arena arena; /* of the texts, and of what sealing needs */
    char *first;
    struct trail_block block;   /* of the index, under way */
    struct random_batch random; /* for ids and seeds: one draw serves many commits */
    struct trail_hasher hasher; /* makes their leaves */
};

/* For a struct store_seal: the state is a struct trail_list. */
void *trail_list_open(void);
void trail_list_close(void *state);
void trail_list_begin(void *state);
size_t trail_list_mark(const void *state);
void trail_list_undo(void *state, size_t mark);

/* Room for one more, zeroed, at the end; NULL: no memory. Its texts must live in list->arena, or
 * for ever. */
PC_CHECKED struct trail_entry *trail_list_push(struct trail_list *list);

/* ---- trail_count.c ------------------------------------------------------------------------- */

/* Entries that are committed. */
void trail_count(const struct trail_entry *entries, size_t count);

/* ---- trail_append.c: into the log ---------------------------------------------------------- */

/* SQLite: the row of the head is written by the commit that completes so many leaves; between them
 * the last row of each commit tells how the tree goes on from there. The index goes as far. */
enum { TRAIL_HEAD_LEAVES = TRAIL_INDEX_LEAVES };

/* Gives ids to those that have none, as the first step of both seals. */
void trail_ids(struct trail_list *list);

/* Adds the list's entries to the log, in the commit that `conn` is in, which must hold the log's
 * turn: their place, their time (never back), salts and leaves are made here, and the tree grows by
 * them. An id that was given in and is there already is ERR_STORE_UNIQUE ("trail_events.id", on
 * SQLite "trail_given.id"), told by the COMMIT at the latest. */
PC_CHECKED enum err trail_append(struct store_conn *conn, struct trail_list *list);

/* ---- trail_log.c ---------------------------------------------------------------------------- */

/* An entry from a row of all columns of trail_events, in their order. */
PC_CHECKED enum err trail_entry_take(struct store_rows *rows, struct arena *arena,
                                     struct trail_entry *ret);

/* ---- trail_wipe.c -------------------------------------------------------------------------- */

/* What this handle takes away from now on is written over and not only let go of, also where whole
 * pages of SQLite's file are freed. */
PC_CHECKED enum err trail_wipe(struct store_conn *conn);

#endif
