/* SPDX-License-Identifier: MIT
 * What the status of a transaction may become, and what is moved by that.
 *
 *   pending --complete--> completed --reverse_all--> reversed
 *      \--release--> cancelled | failed
 *
 * A transaction moves money between its account and the settlement account of the currency: a debit
 * out of it, a credit into it. What was set aside is captured; if the hold has ended meanwhile, the
 * account must have enough again. */
#include "ledger/ledger_transaction.h"

typedef enum err step_fn(struct ledger_turn *turn, struct ledger_transaction_row *row);

static step_fn complete, release, reverse_all;

/* What is not here is ERR_TRANSITION. */
static const struct transition {
    enum ledger_transaction_status from, to;
    step_fn *step;
} transitions[] = {
    {LEDGER_PENDING, LEDGER_COMPLETED, complete},
    {LEDGER_PENDING, LEDGER_CANCELLED, release},
    {LEDGER_PENDING, LEDGER_FAILED, release},
    {LEDGER_COMPLETED, LEDGER_REVERSED, reverse_all},
};

static const struct transition *transition_of(enum ledger_transaction_status from,
                                              enum ledger_transaction_status to)
{
    for (size_t i = 0; i < PC_COUNT(transitions); i++) {
        if (transitions[i].from == from && transitions[i].to == to)
            return &transitions[i];
    }
    return NULL;
}

static enum err move(struct ledger_turn *turn, const struct ledger_transaction_row *row,
                     struct ledger_posted *ret_posted)
{
    int64_t house = ledger_house_account(LEDGER_SETTLEMENT, row->amount.currency);
    bool debit = ledger_transaction_is_debit(row);
    const struct ledger_transfer transfer = {.kind = LEDGER_TRANSACTION,
                                             .from = debit ? row->account_id : house,
                                             .to = debit ? house : row->account_id,
                                             .amount = row->amount,
                                             .effective_at_ns = row->effective_at,
                                             .transaction_id = row->id,
                                             .description = row->description};

    return ledger_move(turn, &transfer, ret_posted);
}

/* Whether its hold is there to be captured or voided. */
static enum err look_at_hold(struct ledger_turn *turn, const struct ledger_transaction_row *row,
                             bool *ret_is_open)
{
    struct ledger_hold hold = {0};
    enum err err;

    *ret_is_open = false;
    if (!row->has_hold)
        return ERR_OK;
    err = ledger_hold_get(turn, row->hold_seq, &hold);
    if (err)
        return err == ERR_NOT_FOUND ? ERR_STORE_CORRUPT : err;
    *ret_is_open = hold.is_open;
    return ERR_OK;
}

static enum err complete(struct ledger_turn *turn, struct ledger_transaction_row *row)
{
    const struct ledger_capture capture = {.hold_seq = row->hold_seq,
                                           .amount = row->amount.minor,
                                           .ends = true,
                                           .transaction_id = row->id,
                                           .description = row->description};
    struct ledger_posted posted = {0};
    bool is_open;
    enum err err = look_at_hold(turn, row, &is_open);

    if (!err)
        err = is_open ? ledger_capture(turn, &capture, &posted) : move(turn, row, &posted);
    if (err)
        return err;
    row->posted_seq = posted.seq;
    row->is_posted = true;
    return ERR_OK;
}

static enum err release(struct ledger_turn *turn, struct ledger_transaction_row *row)
{
    struct ledger_posted posted;
    bool is_open;
    enum err err = look_at_hold(turn, row, &is_open);

    if (err || !is_open)
        return err;
    return ledger_void(turn, row->hold_seq, &posted);
}

static enum err reverse(struct ledger_turn *turn, const struct ledger_transaction_row *row,
                        int64_t amount, struct span description, struct ledger_posted *ret_posted,
                        int64_t *ret_amount)
{
    const struct ledger_reversal reversal = {.seq = row->posted_seq,
                                             .amount = amount,
                                             .transaction_id = row->id,
                                             .description = description};

    return ledger_reverse(turn, &reversal, ret_posted, ret_amount);
}

static enum err reverse_all(struct ledger_turn *turn, struct ledger_transaction_row *row)
{
    struct ledger_posted posted;

    return reverse(turn, row, 0, row->description, &posted, NULL);
}

/* The account must take part before the status is looked at: README.md, "Order of refusals". What
 * moves nothing asks nothing of it. */
static enum err check_account(struct ledger_turn *turn, const struct ledger_transaction_row *row,
                              enum ledger_transaction_status to)
{
    bool debit = ledger_transaction_is_debit(row);
    bool out = to == LEDGER_COMPLETED ? debit : !debit;
    struct ledger_account account = {0};
    enum err err;

    if (to != LEDGER_COMPLETED && to != LEDGER_REVERSED)
        return ERR_OK;
    err = ledger_turn_account(turn, row->account_id, &account);
    if (err)
        return err == ERR_NOT_FOUND ? ERR_STORE_CORRUPT : err;
    if (account.state == LEDGER_CLOSED)
        return ERR_ACCOUNT_CLOSED;
    return out && account.state == LEDGER_FROZEN ? ERR_ACCOUNT_FROZEN : ERR_OK;
}

enum err ledger_transaction_move(struct ledger_turn *turn, struct ledger_transaction_row *row,
                                 enum ledger_transaction_status to)
{
    const struct transition *transition = transition_of(ledger_status_from(row->status), to);
    enum err err = check_account(turn, row, to);

    if (!err && transition == NULL)
        err = ERR_TRANSITION;
    if (!err)
        err = transition->step(turn, row);
    if (err)
        return err;
    row->status = span_from(ledger_status_name(to));
    row->updated_at = ledger_turn_now(turn);
    return ERR_OK;
}

/* With nothing left, a reversal of the rest is refused. */
static enum err look_for_rest(struct ledger_turn *turn, const struct ledger_transaction_row *row,
                              bool *ret_is_rest)
{
    struct ledger_mark mark = ledger_turn_mark(turn);
    struct ledger_posted posted;
    enum err err = reverse(turn, row, 0, row->description, &posted, NULL);

    ledger_turn_undo(turn, mark);
    *ret_is_rest = err != ERR_OVER_ORIGINAL;
    return err_status(err) >= 500 ? err : ERR_OK;
}

enum err ledger_transaction_reverse(struct ledger_turn *turn, struct ledger_transaction_row *row,
                                    int64_t amount, struct span description,
                                    struct ledger_posted *ret_posted, int64_t *ret_amount)
{
    bool is_rest;
    enum err err = check_account(turn, row, LEDGER_REVERSED);

    if (!err && ledger_status_from(row->status) != LEDGER_COMPLETED)
        err = ERR_TRANSITION;
    if (!err)
        err = reverse(turn, row, amount, description, ret_posted, ret_amount);
    if (!err)
        err = look_for_rest(turn, row, &is_rest);
    if (err)
        return err;
    if (!is_rest)
        row->status = span_from(ledger_status_name(LEDGER_REVERSED));
    row->updated_at = ledger_turn_now(turn);
    return ERR_OK;
}
