/* SPDX-License-Identifier: MIT
 * Holds that have expired: ended when a turn looks at their account, or by the sweep. A hold ends
 * by what the clock says, so never early, even when the ledger's own time has run ahead of it. */
#include "ledger/ledger_priv.h"

#define HOLD_IS_DUE "ended_seq IS NULL AND expires_at <= "

static const struct store_statement due_from = {
    .name = "ledger_due_from",
    .sqlite = "SELECT " LEDGER_HOLD_COLUMNS "WHERE account_id = ?1 AND " HOLD_IS_DUE "?2 "
              "ORDER BY expires_at, seq"};

static const struct store_statement due_to = {
    .name = "ledger_due_to",
    .sqlite = "SELECT " LEDGER_HOLD_COLUMNS "WHERE to_account_id = ?1 AND " HOLD_IS_DUE "?2 "
              "ORDER BY expires_at, seq"};

static const struct store_statement due_all = {.name = "ledger_due_all",
                                               .sqlite = "SELECT " LEDGER_HOLD_COLUMNS
                                                         "WHERE " HOLD_IS_DUE "?1 "
                                                         "ORDER BY expires_at, seq LIMIT ?2"};

static const struct store_statement next_expiry = {
    .name = "ledger_next_expiry",
    .sqlite = "SELECT min(expires_at) FROM ledger_holds "
              "WHERE account_id = ?1 AND ended_seq IS NULL AND expires_at > ?2"};

/* Into turn->due: what the turn has not ended itself. */
static enum err due_read(struct ledger_turn *turn, const struct store_statement *statement,
                         int64_t one, int64_t other)
{
    PC_AUTO(store_rows) rows = NULL;
    size_t index = 0;
    enum err err =
        store_query(turn->conn, statement, STORE_PARAMS(STORE_I64(one), STORE_I64(other)), &rows);

    turn->due.count = 0;
    while (err == ERR_OK && store_next(rows)) {
        err = ledger_hold_take(turn, rows, &index);
        if (err == ERR_OK && ledger_hold_at(turn, index)->ended_seq == 0)
            err = ledger_list_reserve(&turn->due, 1);
        if (err == ERR_OK && ledger_hold_at(turn, index)->ended_seq == 0)
            *(size_t *)ledger_list_push(&turn->due) = index;
    }
    return err ? err : store_rows_err(rows);
}

/* The ledger itself does it, whoever's request came by. */
static enum err due_end(struct ledger_turn *turn, size_t max)
{
    const struct ledger_who *who = turn->who;
    struct ledger_posted posted;
    enum err err = ERR_OK;

    turn->who = &ledger_system;
    for (size_t i = 0; i < turn->due.count && i < max && err == ERR_OK; i++)
        err = ledger_hold_release(turn, *(size_t *)ledger_list_at(&turn->due, i), LEDGER_EXPIRY,
                                  &posted);
    turn->who = who;
    PC_ASSERT(!ledger_is_refusal(err)); /* nothing stands against giving back */
    return err;
}

/* ---- an account -------------------------------------------------------------------------------
 */

static enum err next_read(struct ledger_turn *turn, int64_t account_id, int64_t *ret_next)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err =
        store_query(turn->conn, &next_expiry,
                    STORE_PARAMS(STORE_I64(account_id), STORE_I64(turn->clock_ns)), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_STORE_CORRUPT);
    *ret_next = store_rows_i64_or(rows, 0, 0);
    return store_rows_err(rows);
}

/* Holds of this turn, which the store does not know yet. */
static int64_t earlier_in_turn(const struct ledger_turn *turn, int64_t account_id, int64_t next)
{
    for (size_t i = 0; i < turn->holds.count; i++) {
        const struct ledger_hold_slot *slot = ledger_hold_at(turn, i);
        int64_t expires_at = slot->hold.expires_at_ns;

        if (!slot->exists || slot->hold.from != account_id || slot->ended_seq != 0)
            continue;
        if (expires_at != 0 && (next == 0 || expires_at < next))
            next = expires_at;
    }
    return next;
}

enum err ledger_hold_settle(struct ledger_turn *turn, size_t slot_index)
{
    int64_t id = ledger_slot_at(turn, slot_index)->account.id;
    struct ledger_slot *slot;
    int64_t next = 0;
    enum err err = due_read(turn, &due_from, id, turn->clock_ns);

    if (err == ERR_OK)
        err = due_end(turn, turn->due.count);
    if (err == ERR_OK)
        err = next_read(turn, id, &next);
    if (err == ERR_OK)
        err = ledger_list_reserve(&turn->undo, 1);
    if (err)
        return err;
    ledger_slot_keep(turn, slot_index);
    slot = ledger_slot_at(turn, slot_index);
    slot->hold_expires_at = earlier_in_turn(turn, id, next);
    slot->money_changed = true;
    return ERR_OK;
}

enum err ledger_hold_settle_incoming(struct ledger_turn *turn, size_t slot_index)
{
    const struct ledger_account *account = &ledger_slot_at(turn, slot_index)->account;
    enum err err;

    if (account->incoming == 0)
        return ERR_OK;
    err = due_read(turn, &due_to, account->id, turn->clock_ns);
    return err ? err : due_end(turn, turn->due.count);
}

/* ---- the sweep --------------------------------------------------------------------------------
 */

enum err ledger_expire(struct ledger_turn *turn, size_t max, size_t *ret_count)
{
    size_t more = turn->holds.count; /* the store does not know which of them have ended */
    enum err err = due_read(turn, &due_all, turn->clock_ns, (int64_t)(max + more));

    for (size_t i = 0; i < turn->due.count && err == ERR_OK; i++) {
        const struct ledger_hold *hold =
            &ledger_hold_at(turn, *(size_t *)ledger_list_at(&turn->due, i))->hold;

        ledger_turn_want(turn, hold->from);
        ledger_turn_want(turn, hold->to);
    }
    if (err == ERR_OK)
        err = ledger_slots_read(turn);
    if (err == ERR_OK)
        err = due_end(turn, max);
    if (err == ERR_OK)
        *ret_count = turn->due.count < max ? turn->due.count : max;
    return ledger_turn_fail(turn, err);
}
