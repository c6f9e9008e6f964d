/* SPDX-License-Identifier: MIT
 * Accounts: opened, frozen, closed, and given a limit. The limits an account had are kept, so that
 * its floor can be looked at for every posting there was. */
#include "ledger/ledger_priv.h"

static const struct store_statement account_insert = {
    .name = "ledger_account_insert",
    .sqlite = "INSERT INTO ledger_accounts (user_id, currency, state) VALUES (?1, ?2, ?3) "
              "RETURNING id"};

static const struct store_statement limit_insert = {
    .name = "ledger_limit_insert",
    .sqlite = "INSERT INTO ledger_limits (account_id, seq, credit_limit, at) "
              "VALUES (?1, ?2, ?3, ?4)"};

int64_t ledger_available(const struct ledger_account *account)
{
    ledger_wide sum = (ledger_wide)account->posted - account->held + account->credit_limit;

    if (sum > INT64_MAX)
        return INT64_MAX;
    return sum < INT64_MIN ? INT64_MIN : (int64_t)sum;
}

static enum err insert(struct ledger_turn *turn, struct ledger_account *account)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(turn->conn, &account_insert,
                               STORE_PARAMS(STORE_I64(account->user_id),
                                            STORE_TEXT(span_from(currency_code(account->currency))),
                                            STORE_TEXT(span_from(ledger_states[account->state]))),
                               &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_STORE_CORRUPT);
    account->id = store_rows_i64(rows, 0);
    return store_rows_err(rows);
}

enum err ledger_account_open(struct ledger_turn *turn, const struct ledger_account_new *account,
                             int64_t *ret_id)
{
    struct ledger_account made = {
        .user_id = account->user_id, .currency = account->currency, .state = account->state};
    enum err err;

    PC_ASSERT(account->user_id > 0 && account->state < LEDGER_STATE_COUNT);
    err = ledger_turn_fail(turn, insert(turn, &made));
    if (err == ERR_OK)
        err = ledger_slot_add(turn, &made);
    if (err == ERR_OK)
        *ret_id = made.id;
    return err;
}

/* One of a customer's: the house's are neither frozen nor limited. */
static enum err find(struct ledger_turn *turn, int64_t id, size_t *ret_index)
{
    return id > 0 ? ledger_slot_settle(turn, id, ret_index) : ERR_NOT_FOUND;
}

enum err ledger_account_set_state(struct ledger_turn *turn, int64_t account_id,
                                  enum ledger_state state)
{
    struct ledger_slot *slot;
    size_t index = 0;
    enum err err;

    PC_ASSERT(state < LEDGER_STATE_COUNT);
    err = find(turn, account_id, &index);
    if (err == ERR_OK && state == LEDGER_CLOSED)
        err = ledger_turn_fail(turn, ledger_hold_settle_incoming(turn, index));
    if (err)
        return err;
    slot = ledger_slot_at(turn, index);
    if (slot->account.state == LEDGER_CLOSED)
        return ERR_ACCOUNT_CLOSED;
    if (state == LEDGER_CLOSED &&
        (slot->account.posted != 0 || slot->account.held != 0 || slot->account.incoming != 0))
        return ERR_BALANCE_LEFT;
    if (slot->account.state == state)
        return ERR_OK;
    err = ledger_turn_fail(turn, ledger_list_reserve(&turn->undo, 1));
    if (err)
        return err;
    ledger_slot_keep(turn, index);
    slot->account.state = state;
    slot->terms_changed = true;
    return ERR_OK;
}

static enum err limit_check(const struct ledger_account *account, int64_t credit_limit)
{
    ledger_wide left = (ledger_wide)account->posted - account->held + credit_limit;

    if (credit_limit < 0)
        return ERR_AMOUNT_RANGE;
    if (account->state == LEDGER_CLOSED)
        return ERR_ACCOUNT_CLOSED;
    if (left < 0)
        return ERR_FUNDS;
    return left + account->held > INT64_MAX ? ERR_BALANCE_RANGE : ERR_OK;
}

/* In force for every posting behind turn->seq. Its moment is its own, like a posting's, so that two
 * of them in one turn keep their order. */
static enum err limit_write(struct ledger_turn *turn, int64_t account_id, int64_t credit_limit)
{
    int64_t at = turn->now > turn->at ? turn->now : turn->at + 1;
    enum err err = ledger_turn_add(turn, &limit_insert,
                                   STORE_PARAMS(STORE_I64(account_id), STORE_I64(turn->seq),
                                                STORE_I64(credit_limit), STORE_I64(at)));

    if (err == ERR_OK)
        turn->at = at;
    return err;
}

enum err ledger_account_set_limit(struct ledger_turn *turn, int64_t account_id,
                                  int64_t credit_limit)
{
    struct ledger_slot *slot;
    size_t index = 0;
    enum err err = find(turn, account_id, &index);

    if (err)
        return err;
    slot = ledger_slot_at(turn, index);
    err = limit_check(&slot->account, credit_limit);
    if (err || slot->account.credit_limit == credit_limit)
        return err;
    err = ledger_turn_fail(turn, ledger_list_reserve(&turn->undo, 1));
    if (err == ERR_OK)
        err = limit_write(turn, account_id, credit_limit);
    if (err)
        return err;
    ledger_slot_keep(turn, index);
    slot->account.credit_limit = credit_limit;
    slot->terms_changed = true;
    return ERR_OK;
}
