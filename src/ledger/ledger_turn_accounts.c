/* SPDX-License-Identifier: MIT
 * The accounts of a turn: read once, in the order of their ids, and found by id from then on. The
 * house's own come into being when they are first asked for. */
#include "ledger/ledger_priv.h"

#include <stdlib.h>

#define SLOT_COLUMNS                                                                               \
    "id, user_id, currency, state, posted, held, incoming, credit_limit, seq, hold_expires_at "    \
    "FROM ledger_accounts WHERE id "

static const struct store_statement slots_read = {
    .name = "ledger_slots_read",
    .sqlite = "SELECT " SLOT_COLUMNS "IN (SELECT value FROM json_each(?1)) ORDER BY id",
    .postgres =
        "SELECT " SLOT_COLUMNS
        "IN (SELECT value::bigint FROM json_array_elements_text(?1::json)) ORDER BY id FOR UPDATE"};

static const struct store_statement slot_read = {.name = "ledger_slot_read",
                                                 .sqlite = "SELECT " SLOT_COLUMNS "= ?1",
                                                 .postgres =
                                                     "SELECT " SLOT_COLUMNS "= ?1 FOR UPDATE"};

/* ---- the house's ------------------------------------------------------------------------------
 */

/* The currency of one of the house's accounts, or CURRENCY_NONE: the way back from
 * ledger_house_account. */
static enum currency house_currency(int64_t id)
{
    int64_t letters = -(id % 100000);
    int64_t house = -(id / 100000);
    char code[3];
    enum currency currency;

    if (id >= 0 || house < LEDGER_SETTLEMENT || house > LEDGER_POSITION)
        return CURRENCY_NONE;
    for (size_t i = sizeof(code); i-- > 0; letters /= 26)
        code[i] = (char)('A' + letters % 26);
    currency = currency_from_code(span_make(code, sizeof(code)));
    if (currency == CURRENCY_NONE || ledger_house_account((enum ledger_house)house, currency) != id)
        return CURRENCY_NONE;
    return currency;
}

/* ---- reading ----------------------------------------------------------------------------------
 */

static enum err slot_put(struct ledger_turn *turn, const struct ledger_slot *slot)
{
    size_t index;
    enum err err;

    if (ledger_index_find(&turn->slot_index, slot->account.id, &index)) {
        *ledger_slot_at(turn, index) = *slot;
        return ERR_OK;
    }
    err = ledger_list_reserve(&turn->slots, 1);
    if (err == ERR_OK)
        err = ledger_index_reserve(&turn->slot_index, 1);
    if (err)
        return err;
    ledger_index_put(&turn->slot_index, slot->account.id, turn->slots.count);
    *(struct ledger_slot *)ledger_list_push(&turn->slots) = *slot;
    return ERR_OK;
}

/* No such row: one of the house's, which needs none yet, or nobody's. */
static enum err slot_put_absent(struct ledger_turn *turn, int64_t id)
{
    struct ledger_slot slot = {.account = {.id = id, .currency = house_currency(id)}};

    slot.exists = slot.account.currency != CURRENCY_NONE;
    slot.account.state = LEDGER_ACTIVE;
    return slot_put(turn, &slot);
}

/* What the store's own checks promise; who finds it otherwise must not post on top of it. */
static bool is_sound(const struct ledger_account *account)
{
    int64_t left;

    if (account->held < 0 || account->incoming < 0 || account->credit_limit < 0 || account->seq < 0)
        return false;
    if (__builtin_sub_overflow(account->posted, account->held, &left) ||
        __builtin_add_overflow(left, account->credit_limit, &left))
        return false;
    return account->id < 0 || left >= 0;
}

static enum err slot_take(struct ledger_turn *turn, struct store_rows *rows)
{
    struct ledger_slot slot = {.exists = true, .is_stored = true};
    struct ledger_account *account = &slot.account;
    bool known;

    account->id = store_rows_i64(rows, 0);
    account->user_id = store_rows_i64_or(rows, 1, 0);
    account->currency = currency_from_code(store_rows_text(rows, 2, NULL));
    known = ledger_state_read(store_rows_text(rows, 3, NULL), &account->state);
    account->posted = store_rows_i64(rows, 4);
    account->held = store_rows_i64(rows, 5);
    account->incoming = store_rows_i64(rows, 6);
    account->credit_limit = store_rows_i64(rows, 7);
    account->seq = slot.seq_read = store_rows_i64(rows, 8);
    slot.hold_expires_at = store_rows_i64_or(rows, 9, 0);
    if (store_rows_err(rows))
        return store_rows_err(rows);
    if (!known || account->currency == CURRENCY_NONE || !is_sound(account) ||
        account->seq > turn->head_seq)
        return ERR_STORE_CORRUPT;
    return slot_put(turn, &slot);
}

static enum err rows_take(struct ledger_turn *turn, struct store_rows *rows)
{
    enum err err = ERR_OK;

    while (err == ERR_OK && store_next(rows))
        err = slot_take(turn, rows);
    return err ? err : store_rows_err(rows);
}

static enum err read_one(struct ledger_turn *turn, int64_t id)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(turn->conn, &slot_read, STORE_PARAMS(STORE_I64(id)), &rows);

    return err ? err : rows_take(turn, rows);
}

static enum err read_many(struct ledger_turn *turn, const int64_t *ids, size_t count)
{
    struct sbuf list = sbuf_on(&turn->arena, LIMIT_STORE_VALUE_BYTES_MAX);
    PC_AUTO(store_rows) rows = NULL;
    struct span text;
    enum err err;

    for (size_t i = 0; i < count; i++) {
        sbuf_add_char(&list, i == 0 ? '[' : ',');
        sbuf_add_i64(&list, ids[i]);
    }
    sbuf_add_char(&list, ']');
    if (sbuf_finish(&list, &text) != ERR_OK)
        return ERR_NO_MEMORY;
    err = store_query(turn->conn, &slots_read, STORE_PARAMS(STORE_TEXT(text)), &rows);
    return err ? err : rows_take(turn, rows);
}

/* ids: ascending, none twice, none known. */
static enum err slots_load(struct ledger_turn *turn, const int64_t *ids, size_t count)
{
    enum err err = ERR_OK;

    if (count == 1)
        err = read_one(turn, ids[0]);
    else if (count > 1)
        err = read_many(turn, ids, count);
    for (size_t i = 0, index; i < count && err == ERR_OK; i++) {
        if (!ledger_index_find(&turn->slot_index, ids[i], &index))
            err = slot_put_absent(turn, ids[i]);
    }
    return ledger_turn_fail(turn, err);
}

/* ---- wanting ----------------------------------------------------------------------------------
 */

void ledger_turn_want(struct ledger_turn *turn, int64_t account_id)
{
    size_t index;
    enum err err;

    if (account_id == 0 || ledger_index_find(&turn->slot_index, account_id, &index))
        return;
    err = ledger_list_reserve(&turn->wanted, 1);
    if (ledger_turn_fail(turn, err) == ERR_OK)
        *(int64_t *)ledger_list_push(&turn->wanted) = account_id;
}

static int compare_ids(const void *a, const void *b)
{
    const int64_t *one = a;
    const int64_t *other = b;

    return (*one > *other) - (*one < *other);
}

static size_t without_doubles(int64_t *ids, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (i == 0 || ids[i] != ids[i - 1])
            ids[kept++] = ids[i];
    }
    return kept;
}

enum err ledger_slots_read(struct ledger_turn *turn)
{
    int64_t *ids = (int64_t *)(void *)turn->wanted.items;
    enum err err;

    if (turn->failed)
        return turn->failed;
    if (turn->wanted.count == 0)
        return ERR_OK;
    qsort(ids, turn->wanted.count, sizeof(*ids), compare_ids);
    turn->wanted.count = without_doubles(ids, turn->wanted.count);
    err = slots_load(turn, ids, turn->wanted.count);
    turn->wanted.count = 0;
    return err;
}

/* Expired holds are ended here, in front of every mark that a request sets. */
enum err ledger_turn_load(struct ledger_turn *turn)
{
    size_t first = turn->slots.count;
    enum err err = ledger_slots_read(turn);
    size_t end = turn->slots.count; /* behind it come those that expired holds were to pay */

    for (size_t i = first, index; i < end && err == ERR_OK; i++) {
        err = ledger_slot_settle(turn, ledger_slot_at(turn, i)->account.id, &index);
        if (err == ERR_NOT_FOUND)
            err = ERR_OK;
    }
    return err;
}

/* ---- finding ----------------------------------------------------------------------------------
 */

enum err ledger_slot_find(struct ledger_turn *turn, int64_t id, size_t *ret_index)
{
    size_t index;
    enum err err;

    if (id == 0)
        return ERR_NOT_FOUND;
    if (!ledger_index_find(&turn->slot_index, id, &index)) {
        err = slots_load(turn, &id, 1);
        if (err)
            return err;
        PC_ASSERT(ledger_index_find(&turn->slot_index, id, &index));
    }
    if (!ledger_slot_at(turn, index)->exists)
        return ERR_NOT_FOUND;
    *ret_index = index;
    return ERR_OK;
}

enum err ledger_slot_settle(struct ledger_turn *turn, int64_t id, size_t *ret_index)
{
    const struct ledger_slot *slot;
    size_t index = 0;
    enum err err = ledger_slot_find(turn, id, &index);

    if (err)
        return err;
    slot = ledger_slot_at(turn, index);
    if (PC_UNLIKELY(slot->hold_expires_at != 0 && slot->hold_expires_at <= turn->clock_ns))
        err = ledger_turn_fail(turn, ledger_hold_settle(turn, index));
    if (err == ERR_OK)
        *ret_index = index;
    return err;
}

enum err ledger_slot_add(struct ledger_turn *turn, const struct ledger_account *account)
{
    struct ledger_slot slot = {.account = *account, .exists = true, .is_stored = true};

    return ledger_turn_fail(turn, slot_put(turn, &slot));
}

void ledger_slot_keep(struct ledger_turn *turn, size_t index)
{
    struct ledger_undo *undo = ledger_list_push(&turn->undo);

    undo->index = index;
    undo->before.slot = *ledger_slot_at(turn, index);
}

enum err ledger_turn_account(struct ledger_turn *turn, int64_t account_id,
                             struct ledger_account *ret_account)
{
    size_t index = 0;
    enum err err = ledger_slot_settle(turn, account_id, &index);

    if (err == ERR_OK)
        *ret_account = ledger_slot_at(turn, index)->account;
    return err;
}
