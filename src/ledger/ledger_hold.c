/* SPDX-License-Identifier: MIT
 * Holds: money that is promised and not yet paid.
 *
 *   ledger_hold --> open --ledger_capture, in part--> open
 *                    |
 *                    +--ledger_capture, to the end--> captured
 *                    +--ledger_void-----------------> voided
 *                    +--ledger_hold_settle,
 *                       ledger_expire---------------> expired
 *
 * What is promised counts as held on the one side and as incoming on the other, until it ends. */
#include "ledger/ledger_priv.h"

static const struct store_statement hold_read = {
    .name = "ledger_hold_read", .sqlite = "SELECT " LEDGER_HOLD_COLUMNS "WHERE seq = ?1"};

/* ---- finding ----------------------------------------------------------------------------------
 */

/* A number that was a hold's and was taken back may be another's by now. */
static enum err slot_reserve(struct ledger_turn *turn)
{
    enum err err = ledger_list_reserve(&turn->holds, 1);

    if (err == ERR_OK)
        err = ledger_index_reserve(&turn->hold_index, 1);
    return err;
}

static size_t slot_put(struct ledger_turn *turn, const struct ledger_hold_slot *slot)
{
    size_t index;

    if (!ledger_index_find(&turn->hold_index, slot->hold.seq, &index)) {
        index = turn->holds.count;
        (void)ledger_list_push(&turn->holds);
        ledger_index_put(&turn->hold_index, slot->hold.seq, index);
    }
    *ledger_hold_at(turn, index) = *slot;
    return index;
}

enum err ledger_hold_take(struct ledger_turn *turn, struct store_rows *rows, size_t *ret_index)
{
    struct ledger_hold_slot slot = {.exists = true, .is_stored = true};
    struct ledger_hold *hold = &slot.hold;
    enum err err;

    hold->seq = store_rows_i64(rows, 0);
    hold->from = store_rows_i64(rows, 1);
    hold->to = store_rows_i64(rows, 2);
    hold->amount = store_rows_i64(rows, 3);
    hold->captured = store_rows_i64(rows, 4);
    hold->expires_at_ns = store_rows_i64_or(rows, 5, 0);
    slot.ended_seq = store_rows_i64_or(rows, 6, 0);
    err = store_rows_err(rows);
    if (err == ERR_OK && (hold->seq <= 0 || hold->captured < 0 || hold->captured > hold->amount))
        err = ERR_STORE_CORRUPT;
    if (err || ledger_index_find(&turn->hold_index, hold->seq, ret_index))
        return err;
    err = slot_reserve(turn);
    if (err == ERR_OK)
        *ret_index = slot_put(turn, &slot);
    return err;
}

static enum err read_one(struct ledger_turn *turn, int64_t seq, size_t *ret_index)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(turn->conn, &hold_read, STORE_PARAMS(STORE_I64(seq)), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    return ledger_hold_take(turn, rows, ret_index);
}

static enum err find(struct ledger_turn *turn, int64_t seq, size_t *ret_index)
{
    enum err err = ERR_OK;

    if (!ledger_index_find(&turn->hold_index, seq, ret_index))
        err = ledger_turn_fail(turn, read_one(turn, seq, ret_index));
    if (err)
        return err;
    return ledger_hold_at(turn, *ret_index)->exists ? ERR_OK : ERR_NOT_FOUND;
}

enum err ledger_hold_get(struct ledger_turn *turn, int64_t hold_seq, struct ledger_hold *ret_hold)
{
    const struct ledger_hold_slot *slot;
    size_t index = 0;
    enum err err = find(turn, hold_seq, &index);

    if (err)
        return err;
    slot = ledger_hold_at(turn, index);
    *ret_hold = slot->hold;
    ret_hold->is_open = slot->ended_seq == 0 && (slot->hold.expires_at_ns == 0 ||
                                                 slot->hold.expires_at_ns > turn->clock_ns);
    return ERR_OK;
}

/* ---- placing ----------------------------------------------------------------------------------
 */

/* Not in the past: it would be gone before it is there. */
static enum err expiry_of(const struct ledger_turn *turn, int64_t wanted, int64_t *ret_expires_at)
{
    int64_t life_s = turn->ledger->options.hold_life_s;

    if (wanted != 0 && wanted <= turn->now)
        return ERR_EFFECTIVE_AT;
    *ret_expires_at = wanted == LEDGER_NEVER ? 0 : wanted;
    if (wanted == 0 && life_s != 0)
        *ret_expires_at = turn->now + life_s * CLOCK_NS_PER_S;
    return ERR_OK;
}

static void hold_make(struct ledger_turn *turn, const struct ledger_draft *draft, int64_t seq,
                      int64_t expires_at)
{
    struct ledger_slot *from = ledger_slot_at(turn, draft->slots[0]);
    struct ledger_hold_slot slot = {.hold = {.seq = seq,
                                             .from = draft->legs[0].account_id,
                                             .to = draft->legs[1].account_id,
                                             .amount = draft->legs[0].held,
                                             .expires_at_ns = expires_at},
                                    .exists = true};
    struct ledger_undo *undo = ledger_list_push(&turn->undo);

    undo->is_hold = true;
    undo->index = slot_put(turn, &slot);
    if (expires_at != 0 && (from->hold_expires_at == 0 || from->hold_expires_at > expires_at))
        from->hold_expires_at = expires_at;
}

enum err ledger_hold(struct ledger_turn *turn, const struct ledger_hold_new *hold,
                     struct ledger_posted *ret_posted)
{
    int64_t amount = hold->amount.minor;
    struct ledger_leg legs[] = {{.account_id = hold->from, .held = amount},
                                {.account_id = hold->to, .incoming = amount}};
    struct ledger_draft draft = {.posting = {.kind = LEDGER_HOLD,
                                             .legs = legs,
                                             .leg_count = PC_COUNT(legs),
                                             .transaction_id = hold->transaction_id,
                                             .description = hold->description},
                                 .legs = legs};
    int64_t expires_at = 0;
    enum err err = ledger_draft_pair(turn, &draft, hold->amount);

    if (err == ERR_OK)
        err = expiry_of(turn, hold->expires_at_ns, &expires_at);
    if (err == ERR_OK)
        err = ledger_draft_open(turn, &draft);
    if (err == ERR_OK)
        err = ledger_turn_fail(turn, slot_reserve(turn));
    if (err == ERR_OK)
        err = ledger_turn_fail(turn, ledger_list_reserve(&turn->undo, PC_COUNT(legs) + 1));
    if (err == ERR_OK)
        err = ledger_draft_post(turn, &draft, ret_posted);
    if (err == ERR_OK)
        hold_make(turn, &draft, ret_posted->seq, expires_at);
    return err;
}

/* ---- ending -----------------------------------------------------------------------------------
 */

/* The last check is behind; `released` of the hold is no longer promised. */
static void hold_change(struct ledger_turn *turn, size_t index, int64_t captured, int64_t released,
                        int64_t seq)
{
    struct ledger_hold_slot *slot = ledger_hold_at(turn, index);
    struct ledger_undo *undo = ledger_list_push(&turn->undo);
    bool ends = released == slot->hold.amount - slot->hold.captured;

    undo->is_hold = true;
    undo->index = index;
    undo->before.hold = *slot;
    slot->hold.captured += captured;
    slot->is_changed = true;
    if (ends)
        slot->ended_seq = seq;
    PC_ASSERT(slot->hold.captured <= slot->hold.amount);
    PC_ASSERT(ends || captured == released);
}

static enum err hold_post(struct ledger_turn *turn, struct ledger_draft *draft, size_t index,
                          struct ledger_posted *ret_posted)
{
    enum err err =
        ledger_turn_fail(turn, ledger_list_reserve(&turn->undo, draft->posting.leg_count + 1));

    if (err == ERR_OK)
        err = ledger_draft_post(turn, draft, ret_posted);
    if (err == ERR_OK)
        hold_change(turn, index, draft->legs[1].posted, -draft->legs[0].held, ret_posted->seq);
    return err;
}

static int64_t left_of(const struct ledger_turn *turn, size_t index)
{
    const struct ledger_hold_slot *slot = ledger_hold_at(turn, index);

    return slot->hold.amount - slot->hold.captured;
}

/* Behind the look at the accounts, which may have ended it. */
static enum err check_capture(const struct ledger_turn *turn, size_t index, int64_t amount)
{
    if (ledger_hold_at(turn, index)->ended_seq != 0)
        return ERR_HOLD_ENDED;
    return amount > left_of(turn, index) ? ERR_OVER_HOLD : ERR_OK;
}

static void capture_legs(const struct ledger_turn *turn, size_t index,
                         const struct ledger_capture *capture, struct ledger_leg *legs)
{
    int64_t released = capture->ends ? left_of(turn, index) : capture->amount;

    legs[0].held = -released;
    legs[1].incoming = -released;
}

enum err ledger_capture(struct ledger_turn *turn, const struct ledger_capture *capture,
                        struct ledger_posted *ret_posted)
{
    int64_t amount = capture->amount > 0 ? capture->amount : 0;
    struct ledger_leg legs[] = {{.posted = -amount}, {.posted = amount}};
    struct ledger_draft draft = {.posting = {.kind = LEDGER_CAPTURE,
                                             .legs = legs,
                                             .leg_count = PC_COUNT(legs),
                                             .refers_to = capture->hold_seq,
                                             .transaction_id = capture->transaction_id,
                                             .description = capture->description},
                                 .legs = legs};
    size_t index = 0;
    enum err err = find(turn, capture->hold_seq, &index);

    if (err)
        return err;
    legs[0].account_id = ledger_hold_at(turn, index)->hold.from;
    legs[1].account_id = ledger_hold_at(turn, index)->hold.to;
    err = ledger_draft_find(turn, &draft);
    if (err)
        return err;
    if (amount == 0)
        return ERR_AMOUNT_RANGE;
    err = ledger_draft_open(turn, &draft);
    if (err == ERR_OK)
        err = check_capture(turn, index, amount);
    if (err)
        return err;
    capture_legs(turn, index, capture, legs);
    return hold_post(turn, &draft, index, ret_posted);
}

enum err ledger_hold_release(struct ledger_turn *turn, size_t index, enum ledger_kind kind,
                             struct ledger_posted *ret_posted)
{
    const struct ledger_hold *hold = &ledger_hold_at(turn, index)->hold;
    struct ledger_leg legs[] = {{.account_id = hold->from}, {.account_id = hold->to}};
    struct ledger_draft draft = {.posting = {.kind = kind,
                                             .legs = legs,
                                             .leg_count = PC_COUNT(legs),
                                             .refers_to = hold->seq},
                                 .legs = legs,
                                 .is_expiry = kind == LEDGER_EXPIRY};
    enum err err = ledger_draft_find(turn, &draft);

    if (err == ERR_OK)
        err = ledger_draft_open(turn, &draft);
    if (err)
        return err;
    if (ledger_hold_at(turn, index)->ended_seq != 0)
        return ERR_HOLD_ENDED;
    legs[0].held = legs[1].incoming = -left_of(turn, index);
    return hold_post(turn, &draft, index, ret_posted);
}

enum err ledger_void(struct ledger_turn *turn, int64_t hold_seq, struct ledger_posted *ret_posted)
{
    size_t index = 0;
    enum err err = find(turn, hold_seq, &index);

    return err ? err : ledger_hold_release(turn, index, LEDGER_VOID, ret_posted);
}
