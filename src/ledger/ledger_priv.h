/* SPDX-License-Identifier: MIT
 * What the files of ledger/ share among themselves: the turn with its accounts, holds and rows that
 * wait to be written, and the steps of a posting.
 *
 * Threads: a turn belongs to one store job.    Memory: lists that outlive the turn, see turn_free.
 * Source:  README.md; docs/decisions/ledger-turns.md. */
#ifndef PC_LEDGER_LEDGER_PRIV_H
#define PC_LEDGER_LEDGER_PRIV_H

#include <stdatomic.h>

#include "base/limits.h"
#include "ledger/ledger.h"

/* Sums of a few amounts, exact: they are compared with the bounds and never kept. */
__extension__ typedef __int128 ledger_wide;

/* ---- memory -----------------------------------------------------------------------------------
 */

/* Items one behind the other; it only grows, and its memory serves the next turn as well. */
struct ledger_list {
    char *items;
    size_t count, room, item_bytes;
};
PC_CHECKED enum err ledger_list_reserve(struct ledger_list *list, size_t more);
void *ledger_list_push(struct ledger_list *list); /* zeroed; the room was reserved */
void ledger_list_clear(struct ledger_list *list); /* gives a large block back */
void ledger_list_free(struct ledger_list *list);

static inline void *ledger_list_at(const struct ledger_list *list, size_t index)
{
    return list->items + index * list->item_bytes;
}

/* Where in a list the item with a number is; open addressing. A key is never 0. */
struct ledger_index_slot {
    int64_t key;
    size_t value;
};
struct ledger_index {
    struct ledger_index_slot *slots;
    size_t size, count;
};
PC_CHECKED enum err ledger_index_reserve(struct ledger_index *index, size_t more);
void ledger_index_put(struct ledger_index *index, int64_t key, size_t value);
PC_CHECKED bool ledger_index_find(const struct ledger_index *index, int64_t key, size_t *ret_value);
void ledger_index_clear(struct ledger_index *index);
void ledger_index_free(struct ledger_index *index);

/* "active" and so on; false for anything else. */
PC_CHECKED bool ledger_state_read(struct span text, enum ledger_state *ret_state);

/* ---- a turn -----------------------------------------------------------------------------------
 */

/* An account of the turn, read once and written once. */
struct ledger_slot {
    struct ledger_account account; /* as the turn has made it */
    int64_t hold_expires_at;       /* no open hold on it expires before; 0: none expires at all */
    int64_t seq_read;              /* its seq in the store */
    uint64_t stamp;                /* of the posting that named it last */
    bool exists;                   /* else: known not to */
    bool is_stored;                /* has a row */
    bool money_changed, terms_changed;
};

struct ledger_hold_slot {
    struct ledger_hold hold;
    int64_t ended_seq;
    bool exists, is_stored, is_changed;
};

/* An actor, and how it is written beside a posting: "user:7". */
struct ledger_who {
    struct ledger_actor actor;
    struct span text;
};
extern const struct ledger_who ledger_system;

struct ledger_post_row {
    int64_t seq, at, effective_at, refers_to, transaction_id;
    enum ledger_kind kind;
    size_t entry_first, entry_count;
    const struct ledger_who *who;
    struct span description;
};

struct ledger_entry_row {
    int64_t account_id, seq, leg;
    int64_t posted, held, incoming;
    int64_t posted_after, held_after, incoming_after;
};

/* What something was before it was changed. */
struct ledger_undo {
    bool is_hold;
    size_t index;
    union {
        struct ledger_slot slot;
        struct ledger_hold_slot hold;
    } before;
};

/* A row put off by ledger_turn_add. */
struct ledger_late_row {
    const struct store_statement *statement;
    size_t value_first, value_count;
};

/* An event that waits: a handler's, or that of a posting, which is put into words at the end. */
struct ledger_event {
    const struct trail_record *record; /* NULL: of a posting */
    size_t post;
    const struct ledger_who *who;
};

struct ledger_turn {
    struct ledger *ledger;
    struct store_conn *conn;
    struct arena arena;
    int64_t clock_ns; /* what the clock said; holds expire by it */
    int64_t now;      /* the same, but behind the last posting of all */
    int64_t seq, at, transaction_id;
    int64_t head_seq, head_at, head_transaction_id; /* as they were read */
    const struct ledger_who *who;
    uint64_t stamp;
    enum err failed; /* sticky: the turn cannot end well */
    bool ended;
    struct ledger_index slot_index, hold_index;
    struct ledger_list wanted;                 /* int64_t */
    struct ledger_list due;                    /* size_t: holds that have expired */
    struct ledger_list slots, holds;           /* struct ledger_slot, ledger_hold_slot */
    struct ledger_list posts, entries, undo;   /* ..._row, struct ledger_undo */
    struct ledger_list late_rows, late_values; /* ledger_late_row, store_value */
    struct ledger_list events;                 /* ledger_event */
    struct ledger_list values, records;        /* store_value, trail_record: being written */
    char first[16 * 1024];                     /* of the arena */
};

struct ledger {
    struct ledger_options options;
    _Atomic(struct ledger_turn *) spare; /* a turn that is over, for its memory */
};

/* A refusal leaves the turn as it was; anything else ends it. */
bool ledger_is_refusal(enum err err);

/* Returns err, and remembers it if it ends the turn. */
enum err ledger_turn_fail(struct ledger_turn *turn, enum err err);

/* A statement for many rows: row by row, or on PostgreSQL as a set, whose parameters are arrays of
 * the columns as text, and of an update how many it must touch. */
enum { LEDGER_COLUMNS_MAX = 9 };
struct ledger_rows {
    size_t columns;
    bool is_update;
    struct store_statement each, set;
};
PC_CHECKED enum err ledger_rows_run(struct ledger_turn *turn, const struct ledger_rows *rows,
                                    const struct store_value *values, size_t count);

/* Writes everything that was decided. */
PC_CHECKED enum err ledger_turn_write(struct ledger_turn *turn);

/* Accounts by their place in turn->slots, which stays the same while pointers may move. */
static inline struct ledger_slot *ledger_slot_at(const struct ledger_turn *turn, size_t index)
{
    return ledger_list_at(&turn->slots, index);
}

/* Reads what is wanted, without a look at its holds. */
PC_CHECKED enum err ledger_slots_read(struct ledger_turn *turn);

/* Finds or reads the account, without a look at its holds: ERR_NOT_FOUND. */
PC_CHECKED enum err ledger_slot_find(struct ledger_turn *turn, int64_t id, size_t *ret_index);

/* The same, and ends its expired holds. */
PC_CHECKED enum err ledger_slot_settle(struct ledger_turn *turn, int64_t id, size_t *ret_index);

/* A new account, whose row is there. */
PC_CHECKED enum err ledger_slot_add(struct ledger_turn *turn, const struct ledger_account *account);

/* Keeps what the account is now for ledger_turn_undo; the room was reserved. */
void ledger_slot_keep(struct ledger_turn *turn, size_t index);

/* ---- the steps of a posting -------------------------------------------------------------------
 * In the order of README.md, "Order of refusals". The caller's own checks stand between them, and
 * it may set amounts until ledger_draft_post. */
struct ledger_draft {
    struct ledger_posting posting;
    struct ledger_leg *legs; /* posting.legs */
    int64_t effective_at;    /* 0: when it is posted */
    bool is_expiry;          /* is itself what settles an account */
    size_t slots[LIMIT_LEDGER_LEGS_MAX];
};
PC_CHECKED enum err ledger_draft_find(struct ledger_turn *turn, struct ledger_draft *draft);
PC_CHECKED enum err ledger_draft_distinct(struct ledger_turn *turn, struct ledger_draft *draft);
PC_CHECKED enum err ledger_draft_balanced(const struct ledger_turn *turn,
                                          const struct ledger_draft *draft);
PC_CHECKED enum err ledger_draft_dated(const struct ledger_turn *turn, struct ledger_draft *draft);
PC_CHECKED enum err ledger_draft_open(const struct ledger_turn *turn,
                                      const struct ledger_draft *draft);
/* find, distinct, and two accounts of the amount's currency with something to move. */
PC_CHECKED enum err ledger_draft_pair(struct ledger_turn *turn, struct ledger_draft *draft,
                                      struct money amount);
/* Funds and range, and then it is done. */
PC_CHECKED enum err ledger_draft_post(struct ledger_turn *turn, const struct ledger_draft *draft,
                                      struct ledger_posted *ret_posted);

/* The words of a posting's event; its texts live in the turn's arena. */
PC_CHECKED enum err ledger_event_fill(struct ledger_turn *turn, const struct ledger_post_row *post,
                                      struct trail_record *ret_record);

/* ---- holds ------------------------------------------------------------------------------------
 */

#define LEDGER_HOLD_COLUMNS                                                                        \
    "seq, account_id, to_account_id, amount, captured, expires_at, ended_seq FROM ledger_holds "

static inline struct ledger_hold_slot *ledger_hold_at(const struct ledger_turn *turn, size_t index)
{
    return ledger_list_at(&turn->holds, index);
}

/* Takes a row of LEDGER_HOLD_COLUMNS, unless the turn knows the hold already and better. */
PC_CHECKED enum err ledger_hold_take(struct ledger_turn *turn, struct store_rows *rows,
                                     size_t *ret_index);

/* Gives back what is left of an open hold: LEDGER_VOID or LEDGER_EXPIRY. */
PC_CHECKED enum err ledger_hold_release(struct ledger_turn *turn, size_t index,
                                        enum ledger_kind kind, struct ledger_posted *ret_posted);

/* Ends the holds on the account that have expired; and those that were to pay it. */
PC_CHECKED enum err ledger_hold_settle(struct ledger_turn *turn, size_t slot_index);
PC_CHECKED enum err ledger_hold_settle_incoming(struct ledger_turn *turn, size_t slot_index);

#endif
