/* SPDX-License-Identifier: MIT
 * The double-entry ledger. Everything that moves money does it in a *turn*: one commit of one or
 * many postings, of which each sums to zero per currency. Within a turn accounts are read once,
 * postings are decided one after the other in memory, and all rows are written at its end.
 *
 *   err = ledger_turn_begin(ledger, conn, &turn);        takes the head: nobody else posts
 * meanwhile ledger_turn_want(turn, 7), ledger_turn_want(turn, 9), err = ledger_turn_load(turn); err
 * = ledger_transfer(turn, &transfer, &posted);     ERR_FUNDS and so on: nothing was changed err =
 * ledger_turn_end(turn);                         writes; the caller's commit makes it so
 *
 * What refuses a posting is an error of the 4xx kind and leaves the turn as it was, so the next one
 * goes on; any other error ends the turn, and with it the job. An error of several is the first in
 * the order of README.md, "Order of refusals". Behind the last check nothing fails.
 *
 * Threads: a turn belongs to the store job it runs in; struct ledger is for any thread.
 * Memory:  a turn has its own arena, gone with ledger_turn_free; texts that are passed in must live
 *          until ledger_turn_end.
 * Units:   minor units of the account's currency; nanoseconds since 1970.
 * Source:  README.md (terms, invariants), docs/decisions/ledger-turns.md. */
#ifndef PC_LEDGER_LEDGER_H
#define PC_LEDGER_LEDGER_H

#include "base/arena.h"
#include "base/clock.h"
#include "base/currency.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/money.h"
#include "base/span.h"
#include "store/store.h"
#include "trail/trail.h"

struct ledger;
struct ledger_turn;

struct ledger_options {
    struct store *store;
    const struct clock *clock;
    struct logger *logger;   /* may be NULL */
    struct metrics *metrics; /* may be NULL */
    int64_t key_life_s;      /* how long answers to an Idempotency-Key are kept */
    int64_t backdate_s;      /* how far back an effective date may lie; 0: not at all */
    int64_t hold_life_s;     /* of a hold that says nothing else; 0: until it is ended */
};
PC_CHECKED enum err ledger_new(const struct ledger_options *options, struct ledger **ret_ledger);
void ledger_free(struct ledger *ledger); /* accepts NULL */
const struct ledger_options *ledger_options_of(const struct ledger *ledger);

/* ---- accounts ---------------------------------------------------------------------------------
 * Customers' accounts count up from 1. The house's own are below 0, one of a class and currency,
 * made when first needed, without a floor. */

enum ledger_state { LEDGER_CLOSED = 0, LEDGER_FROZEN, LEDGER_ACTIVE, LEDGER_STATE_COUNT };
extern const char *const ledger_states[LEDGER_STATE_COUNT]; /* "closed", "frozen", "active" */

enum ledger_house {
    LEDGER_SETTLEMENT = 1, /* the other side of what comes from and goes to the world */
    LEDGER_POSITION,       /* of the house in a currency: both sides of an exchange go through it */
};
int64_t ledger_house_account(enum ledger_house house, enum currency currency);

struct ledger_account {
    int64_t id;
    int64_t user_id; /* 0: the house's */
    enum currency currency;
    enum ledger_state state;
    int64_t posted, held, incoming; /* held: without what has expired */
    int64_t credit_limit;           /* how far below zero it may go */
    int64_t seq;                    /* of its last entry; 0: none */
};

/* posted - held + credit_limit, within int64_t: a sum beyond is the edge. */
int64_t ledger_available(const struct ledger_account *account);

/* ---- a turn -----------------------------------------------------------------------------------
 */

/* Who does it, for the trail and the posting. Borrowed until ledger_turn_end. */
struct ledger_actor {
    enum trail_actor kind;
    struct span name;      /* a user's id, a client's id, "system" */
    struct span client_id; /* through which client; may be empty */
    struct span address;   /* may be empty */
    struct span request_id;
};

PC_CHECKED enum err ledger_turn_begin(struct ledger *ledger, struct store_conn *conn,
                                      struct ledger_turn **ret_turn);
void ledger_turn_free(struct ledger_turn *turn); /* accepts NULL */
PC_CHECKED enum err ledger_turn_end(struct ledger_turn *turn);

/* Who does what follows, until the next call. */
void ledger_turn_actor(struct ledger_turn *turn, const struct ledger_actor *actor);

/* Accounts that will be needed, read at once by ledger_turn_load, in the order of their ids; one
 * that was not wanted is read when it is asked for. Unknown ids are no error here. */
void ledger_turn_want(struct ledger_turn *turn, int64_t account_id);
PC_CHECKED enum err ledger_turn_load(struct ledger_turn *turn);

struct store_conn *ledger_turn_conn(const struct ledger_turn *turn);
struct arena *ledger_turn_arena(struct ledger_turn *turn);
int64_t ledger_turn_now(const struct ledger_turn *turn); /* one moment for the whole turn */

/* A number for a new row of `transactions`: without gaps. */
int64_t ledger_turn_transaction_id(struct ledger_turn *turn);

/* The account as it stands in this turn. ERR_NOT_FOUND. */
PC_CHECKED enum err ledger_turn_account(struct ledger_turn *turn, int64_t account_id,
                                        struct ledger_account *ret_account);

/* Everything since the mark is taken back: postings, and what was put off by ledger_turn_add and
 * ledger_turn_trail. Statements that were run at once are not. */
struct ledger_mark {
    size_t posts, entries, undo, rows, events;
    int64_t seq, at, transaction_id;
};
struct ledger_mark ledger_turn_mark(const struct ledger_turn *turn);
void ledger_turn_undo(struct ledger_turn *turn, struct ledger_mark mark);

/* A row to be written at the end of the turn together with others of the same statement; values
 * (not the texts) are copied. A statement's rows keep their order; statements run in the order in
 * which each was first given, behind postings and entries. */
PC_CHECKED enum err ledger_turn_add(struct ledger_turn *turn,
                                    const struct store_statement *statement,
                                    const struct store_value *values, size_t count);

/* An event of the turn's actor and moment, written at the end. */
PC_CHECKED enum err ledger_turn_trail(struct ledger_turn *turn, const struct trail_record *record);

/* ---- accounts in a turn -----------------------------------------------------------------------
 */

struct ledger_account_new {
    int64_t user_id;
    enum currency currency;
    enum ledger_state state;
};
PC_CHECKED enum err ledger_account_open(struct ledger_turn *turn,
                                        const struct ledger_account_new *account, int64_t *ret_id);
/* ERR_BALANCE_LEFT when it is to be closed with money, held or incoming; ERR_ACCOUNT_CLOSED when it
 * is closed already: a closed account stays so. */
PC_CHECKED enum err ledger_account_set_state(struct ledger_turn *turn, int64_t account_id,
                                             enum ledger_state state);
/* ERR_FUNDS when it is below the new limit already. */
PC_CHECKED enum err ledger_account_set_limit(struct ledger_turn *turn, int64_t account_id,
                                             int64_t credit_limit);

/* ---- postings ---------------------------------------------------------------------------------
 */

enum ledger_kind {
    LEDGER_KIND_NONE,
#define LEDGER_KIND(id, name, event) id,
#include "ledger/ledger_kind.def"
#undef LEDGER_KIND
    LEDGER_KIND_COUNT
};
const char *ledger_kind_name(enum ledger_kind kind);

struct ledger_leg {
    int64_t account_id;
    int64_t posted;         /* + in, - out */
    int64_t held, incoming; /* + promised, - no longer */
};

struct ledger_posting {
    enum ledger_kind kind;
    const struct ledger_leg *legs; /* each account once */
    size_t leg_count;              /* 2 .. LIMIT_LEDGER_LEGS_MAX */
    int64_t effective_at_ns;       /* 0: now */
    int64_t refers_to;             /* the posting it ends, captures or reverses; else 0 */
    int64_t transaction_id;        /* of `transactions`; else 0 */
    struct span description;       /* masked; may be empty */
};

struct ledger_posted {
    int64_t seq;
    int64_t at_ns;
    int64_t effective_at_ns;
};

/* The core: Σ posted = 0 and Σ held = Σ incoming per currency, every floor kept, and its event in
 * the trail. ERR_UNBALANCED, ERR_NOT_FOUND, ERR_SAME_ACCOUNT, ERR_EFFECTIVE_AT, ERR_ACCOUNT_CLOSED,
 * ERR_ACCOUNT_FROZEN (money out of it), ERR_FUNDS, ERR_BALANCE_RANGE. */
PC_CHECKED enum err ledger_post(struct ledger_turn *turn, const struct ledger_posting *posting,
                                struct ledger_posted *ret_posted);

struct ledger_transfer {
    enum ledger_kind kind; /* LEDGER_TRANSFER, LEDGER_DEPOSIT, LEDGER_TRANSACTION */
    int64_t from, to;
    struct money amount; /* above zero; ERR_CURRENCY_MISMATCH with either account */
    int64_t effective_at_ns, transaction_id;
    struct span description;
};
PC_CHECKED enum err ledger_move(struct ledger_turn *turn, const struct ledger_transfer *transfer,
                                struct ledger_posted *ret_posted);

/* ---- holds ------------------------------------------------------------------------------------
 * A hold is known by the seq of the posting that placed it. It ends once: captured to the end,
 * voided, or expired. */

#define LEDGER_NEVER INT64_MAX
struct ledger_hold_new {
    int64_t from, to;
    struct money amount;
    int64_t expires_at_ns; /* 0: hold_life_s from now; LEDGER_NEVER: when it is ended */
    int64_t transaction_id;
    struct span description;
};
PC_CHECKED enum err ledger_hold(struct ledger_turn *turn, const struct ledger_hold_new *hold,
                                struct ledger_posted *ret_posted);

struct ledger_hold {
    int64_t seq, from, to;
    int64_t amount, captured; /* of the from account's currency */
    int64_t expires_at_ns;    /* 0: never */
    bool is_open;             /* neither ended nor expired at the turn's moment */
};
PC_CHECKED enum err ledger_hold_get(struct ledger_turn *turn, int64_t hold_seq,
                                    struct ledger_hold *ret_hold); /* ERR_NOT_FOUND */

/* Takes `amount` of it; with `ends` the rest is given back. ERR_HOLD_ENDED, ERR_OVER_HOLD, and
 * those of ledger_post. */
struct ledger_capture {
    int64_t hold_seq;
    int64_t amount;
    bool ends;
    int64_t transaction_id;
    struct span description;
};
PC_CHECKED enum err ledger_capture(struct ledger_turn *turn, const struct ledger_capture *capture,
                                   struct ledger_posted *ret_posted);
PC_CHECKED enum err ledger_void(struct ledger_turn *turn, int64_t hold_seq,
                                struct ledger_posted *ret_posted);

/* Ends up to `max` holds that have expired; *ret_count tells how many. */
PC_CHECKED enum err ledger_expire(struct ledger_turn *turn, size_t max, size_t *ret_count);

/* ---- reversals --------------------------------------------------------------------------------
 */

struct ledger_reversal {
    int64_t seq;    /* what is reversed: a posting of two legs in part, any in whole */
    int64_t amount; /* 0: all that is left */
    int64_t transaction_id;
    struct span description;
};
/* ERR_NOT_FOUND, ERR_TRANSITION (holds, their ends and reversals are not reversed),
 * ERR_OVER_ORIGINAL, and those of ledger_post. *ret_amount (may be NULL): what it came to. */
PC_CHECKED enum err ledger_reverse(struct ledger_turn *turn, const struct ledger_reversal *reversal,
                                   struct ledger_posted *ret_posted, int64_t *ret_amount);

/* ---- reading ----------------------------------------------------------------------------------
 * On a reader or in a turn; what they tell is one moment only in a job with a snapshot. */

/* As it is now: holds that have expired are not counted. ERR_NOT_FOUND. */
PC_CHECKED enum err ledger_account_get(struct ledger *ledger, struct store_conn *conn, int64_t id,
                                       struct ledger_account *ret_account);

/* Postings with from <= seq < below. On SQLite the index of entries by account begins anew every
 * LEDGER_PARTITION_POSTS postings, so that what a posting writes of it does not grow with the
 * ledger; who looks for an account's entries walks from one partition to the next, with
 * LEDGER_IN_PARTITION in the statement's text for SQLite. */
enum { LEDGER_PARTITION_BITS = 13, LEDGER_PARTITION_POSTS = 1 << LEDGER_PARTITION_BITS };
#define LEDGER_IN_PARTITION(seq, of) "(" seq " >> 13) = (" of " >> 13)"
struct ledger_window {
    int64_t from, below;
};
/* Takes the part with the highest, or the lowest, numbers off `rest`; false when nothing is left.
 */
PC_CHECKED bool ledger_window_newest(const struct store_conn *conn, struct ledger_window *rest,
                                     struct ledger_window *ret_part);
PC_CHECKED bool ledger_window_oldest(const struct store_conn *conn, struct ledger_window *rest,
                                     struct ledger_window *ret_part);

/* From one part to the next in which an account, or any of a user's, has entries; those between are
 * passed over, a microsecond each. `rest.below` must not lie far behind the last posting. */
struct ledger_walk {
    struct store_conn *conn;
    int64_t id; /* of the account, or of the user */
    bool of_user, oldest_first;
    struct ledger_window rest;
};
/* *ret_part may turn out to have none; *ret_found is false at the end. */
PC_CHECKED enum err ledger_walk_next(struct ledger_walk *walk, struct ledger_window *ret_part,
                                     bool *ret_found);

/* As it was: behind posting `seq`, or at a time by commit, or by effective date. ERR_NOT_FOUND;
 * ERR_BALANCE_RANGE where in the order of effective dates it would have left 64 bits. */
struct ledger_moment {
    int64_t seq;             /* 0: not by seq */
    int64_t at_ns;           /* 0: not by commit time */
    int64_t effective_at_ns; /* 0: not by effective date; joins either of the others */
};
struct ledger_balance {
    int64_t posted, held, incoming;
    int64_t seq; /* of the last entry that is counted */
};
PC_CHECKED enum err ledger_balance_at(struct store_conn *conn, int64_t account_id,
                                      const struct ledger_moment *moment,
                                      struct ledger_balance *ret_balance);

/* ---- work outside of requests -----------------------------------------------------------------
 */

typedef enum err ledger_work_fn(struct ledger_turn *turn, void *context);

/* A turn of its own for `work`, and waits for its commit; an error of `work` takes all of it back.
 * It may run again after a rollback. For commands, housekeeping and tests. ERR_OUTCOME_UNKNOWN. */
PC_CHECKED enum err ledger_do(struct ledger *ledger, ledger_work_fn *work, void *context);

/* Housekeeping, each in small commits: holds that expired, answers that are old enough. Called
 * every second by app/; *ret_more: there is more to do at once. */
PC_CHECKED enum err ledger_sweep(struct ledger *ledger, bool *ret_more);

#endif
