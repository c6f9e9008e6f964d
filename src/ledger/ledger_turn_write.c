/* SPDX-License-Identifier: MIT
 * The end of a turn: everything that was decided becomes rows. New accounts of the house first,
 * since holds name them; then postings, entries, balances, holds, what others put off, the head,
 * and the events. On PostgreSQL none of them waits for the answer of another. */
#include "ledger/ledger_priv.h"

/* ---- statements -------------------------------------------------------------------------------
 */

/* Changes one row if as many were touched as there should be. */
#define ALL_TOUCHED(parameter)                                                                     \
    " UPDATE ledger_head SET id = 1 WHERE id = 1 "                                                 \
    "AND (SELECT count(*) FROM touched) = ?" parameter "::bigint"

static const struct store_statement house_insert = {
    .name = "ledger_house_insert",
    .sqlite = "INSERT INTO ledger_accounts (id, currency) VALUES (?1, ?2)"};

static const struct ledger_rows posts_insert = {
    .columns = 8,
    .each = {.name = "ledger_posts_insert",
             .sqlite = "INSERT INTO ledger_posts (seq, at, kind, effective_at, refers_to, "
                       "transaction_id, actor, description) VALUES (?1, ?2, ?3, ?4, ?5, ?6, "
                       "?7, ?8)"},
    .set = {.name = "ledger_posts_insert_set",
            .sqlite = "INSERT INTO ledger_posts (seq, at, kind, effective_at, refers_to, "
                      "transaction_id, actor, description) SELECT * FROM "
                      "unnest(?1::text::bigint[], ?2::text::bigint[], ?3::text::text[], "
                      "?4::text::bigint[], ?5::text::bigint[], ?6::text::bigint[], "
                      "?7::text::text[], ?8::text::text[])"}};

static const struct ledger_rows entries_insert = {
    .columns = 9,
    .each = {.name = "ledger_entries_insert",
             .sqlite = "INSERT INTO ledger_entries (account_id, seq, leg, posted, held, "
                       "incoming, posted_after, held_after, incoming_after) VALUES (?1, ?2, "
                       "?3, ?4, ?5, ?6, ?7, ?8, ?9)"},
    .set = {.name = "ledger_entries_insert_set",
            .sqlite = "INSERT INTO ledger_entries (account_id, seq, leg, posted, held, "
                      "incoming, posted_after, held_after, incoming_after) SELECT * FROM "
                      "unnest(?1::text::bigint[], ?2::text::bigint[], ?3::text::bigint[], "
                      "?4::text::bigint[], ?5::text::bigint[], ?6::text::bigint[], "
                      "?7::text::bigint[], ?8::text::bigint[], ?9::text::bigint[])"}};

/* The old seq is asked for again: what was read must still be there. */
static const struct ledger_rows money_update = {
    .columns = 7,
    .is_update = true,
    .each = {.name = "ledger_money_update",
             .sqlite = "UPDATE ledger_accounts SET posted = ?3, held = ?4, incoming = ?5, seq "
                       "= ?6, hold_expires_at = ?7 WHERE id = ?1 AND seq = ?2"},
    .set = {.name = "ledger_money_update_set",
            .sqlite = "WITH touched AS (UPDATE ledger_accounts a SET posted = n.posted, held "
                      "= n.held, incoming = n.incoming, seq = n.seq, hold_expires_at = "
                      "n.hold_expires_at FROM unnest(?1::text::bigint[], ?2::text::bigint[], "
                      "?3::text::bigint[], ?4::text::bigint[], ?5::text::bigint[], "
                      "?6::text::bigint[], ?7::text::bigint[]) AS n (id, seq_read, posted, "
                      "held, incoming, seq, hold_expires_at) WHERE a.id = n.id AND a.seq = "
                      "n.seq_read RETURNING 1)" ALL_TOUCHED("8")}};

static const struct ledger_rows terms_update = {
    .columns = 9,
    .is_update = true,
    .each = {.name = "ledger_terms_update",
             .sqlite = "UPDATE ledger_accounts SET posted = ?3, held = ?4, incoming = ?5, seq "
                       "= ?6, hold_expires_at = ?7, state = ?8, credit_limit = ?9 WHERE id = "
                       "?1 AND seq = ?2"},
    .set = {.name = "ledger_terms_update_set",
            .sqlite =
                "WITH touched AS (UPDATE ledger_accounts a SET posted = n.posted, held "
                "= n.held, incoming = n.incoming, seq = n.seq, hold_expires_at = "
                "n.hold_expires_at, state = n.state, credit_limit = n.credit_limit FROM "
                "unnest(?1::text::bigint[], ?2::text::bigint[], ?3::text::bigint[], "
                "?4::text::bigint[], ?5::text::bigint[], ?6::text::bigint[], "
                "?7::text::bigint[], ?8::text::text[], ?9::text::bigint[]) AS n (id, "
                "seq_read, posted, held, incoming, seq, hold_expires_at, state, "
                "credit_limit) WHERE a.id = n.id AND a.seq = n.seq_read RETURNING 1)" ALL_TOUCHED(
                    "10")}};

static const struct ledger_rows holds_insert = {
    .columns = 7,
    .each = {.name = "ledger_holds_insert",
             .sqlite = "INSERT INTO ledger_holds (seq, account_id, to_account_id, amount, "
                       "captured, expires_at, ended_seq) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"},
    .set = {.name = "ledger_holds_insert_set",
            .sqlite = "INSERT INTO ledger_holds (seq, account_id, to_account_id, amount, "
                      "captured, expires_at, ended_seq) SELECT * FROM "
                      "unnest(?1::text::bigint[], ?2::text::bigint[], ?3::text::bigint[], "
                      "?4::text::bigint[], ?5::text::bigint[], ?6::text::bigint[], "
                      "?7::text::bigint[])"}};

static const struct ledger_rows holds_update = {
    .columns = 3,
    .is_update = true,
    .each = {.name = "ledger_holds_update",
             .sqlite = "UPDATE ledger_holds SET captured = ?2, ended_seq = ?3 WHERE seq = ?1 "
                       "AND ended_seq IS NULL"},
    .set = {.name = "ledger_holds_update_set",
            .sqlite =
                "WITH touched AS (UPDATE ledger_holds h SET captured = n.captured, "
                "ended_seq = n.ended_seq FROM unnest(?1::text::bigint[], "
                "?2::text::bigint[], ?3::text::bigint[]) AS n (seq, captured, "
                "ended_seq) WHERE h.seq = n.seq AND h.ended_seq IS NULL RETURNING 1)" ALL_TOUCHED(
                    "4")}};

static const struct store_statement head_update = {
    .name = "ledger_head_update",
    .sqlite = "UPDATE ledger_head SET seq = ?1, at = ?2, transaction_id = ?3 WHERE id = 1"};

/* ---- one statement for many rows --------------------------------------------------------------
 */

/* Room for the values of `rows` rows; the next call takes it again. */
static struct store_value *values_for(struct ledger_turn *turn, size_t rows, size_t count)
{
    turn->values.count = 0;
    if (ledger_list_reserve(&turn->values, rows * count + 1) != ERR_OK)
        return NULL;
    return ledger_list_at(&turn->values, 0);
}

static struct store_value number_or_null(int64_t number)
{
    return number == 0 ? STORE_NULL : STORE_I64(number);
}

static struct store_value text_or_null(struct span text)
{
    return text.len == 0 ? STORE_NULL : STORE_TEXT(text);
}

/* ---- postings and entries ---------------------------------------------------------------------
 */

static enum err posts_write(struct ledger_turn *turn)
{
    enum { COUNT = 8 };
    struct store_value *values = values_for(turn, turn->posts.count, COUNT);

    if (values == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < turn->posts.count; i++) {
        const struct ledger_post_row *post = ledger_list_at(&turn->posts, i);
        struct store_value *value = values + i * COUNT;

        value[0] = STORE_I64(post->seq);
        value[1] = STORE_I64(post->at);
        value[2] = STORE_TEXT(span_from(ledger_kind_name(post->kind)));
        value[3] = STORE_I64(post->effective_at);
        value[4] = number_or_null(post->refers_to);
        value[5] = number_or_null(post->transaction_id);
        value[6] = STORE_TEXT(post->who->text);
        value[7] = text_or_null(post->description);
    }
    return ledger_rows_run(turn, &posts_insert, values, turn->posts.count);
}

static enum err entries_write(struct ledger_turn *turn)
{
    enum { COUNT = 9 };
    struct store_value *values = values_for(turn, turn->entries.count, COUNT);

    if (values == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < turn->entries.count; i++) {
        const struct ledger_entry_row *entry = ledger_list_at(&turn->entries, i);
        struct store_value *value = values + i * COUNT;

        value[0] = STORE_I64(entry->account_id);
        value[1] = STORE_I64(entry->seq);
        value[2] = STORE_I64(entry->leg);
        value[3] = STORE_I64(entry->posted);
        value[4] = STORE_I64(entry->held);
        value[5] = STORE_I64(entry->incoming);
        value[6] = STORE_I64(entry->posted_after);
        value[7] = STORE_I64(entry->held_after);
        value[8] = STORE_I64(entry->incoming_after);
    }
    return ledger_rows_run(turn, &entries_insert, values, turn->entries.count);
}

/* ---- accounts ---------------------------------------------------------------------------------
 */

static bool is_changed(const struct ledger_slot *slot)
{
    return slot->money_changed || slot->terms_changed;
}

static enum err house_write(struct ledger_turn *turn)
{
    enum err err = ERR_OK;

    for (size_t i = 0; i < turn->slots.count && err == ERR_OK; i++) {
        const struct ledger_slot *slot = ledger_slot_at(turn, i);

        if (slot->is_stored || !is_changed(slot))
            continue;
        PC_ASSERT(slot->account.id < 0);
        err = store_exec(turn->conn, &house_insert,
                         STORE_PARAMS(STORE_I64(slot->account.id),
                                      STORE_TEXT(span_from(currency_code(slot->account.currency)))),
                         NULL);
    }
    return err;
}

static void slot_values(const struct ledger_slot *slot, struct store_value *value)
{
    const struct ledger_account *account = &slot->account;

    value[0] = STORE_I64(account->id);
    value[1] = STORE_I64(slot->seq_read);
    value[2] = STORE_I64(account->posted);
    value[3] = STORE_I64(account->held);
    value[4] = STORE_I64(account->incoming);
    value[5] = STORE_I64(account->seq);
    value[6] = number_or_null(slot->hold_expires_at);
}

static enum err money_write(struct ledger_turn *turn)
{
    enum { COUNT = 7 };
    struct store_value *values = values_for(turn, turn->slots.count, COUNT);
    size_t rows = 0;

    if (values == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < turn->slots.count; i++) {
        const struct ledger_slot *slot = ledger_slot_at(turn, i);

        if (slot->money_changed && !slot->terms_changed)
            slot_values(slot, values + rows++ * COUNT);
    }
    return ledger_rows_run(turn, &money_update, values, rows);
}

/* At once with the money: a floor and what lies above it may move in one turn. */
static enum err terms_write(struct ledger_turn *turn)
{
    enum { COUNT = 9 };
    struct store_value *values = values_for(turn, turn->slots.count, COUNT);
    size_t rows = 0;

    if (values == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < turn->slots.count; i++) {
        const struct ledger_slot *slot = ledger_slot_at(turn, i);
        struct store_value *value = values + rows * COUNT;

        if (!slot->terms_changed)
            continue;
        slot_values(slot, value);
        value[7] = STORE_TEXT(span_from(ledger_states[slot->account.state]));
        value[8] = STORE_I64(slot->account.credit_limit);
        rows++;
    }
    return ledger_rows_run(turn, &terms_update, values, rows);
}

/* ---- holds ------------------------------------------------------------------------------------
 */

static enum err holds_new_write(struct ledger_turn *turn)
{
    enum { COUNT = 7 };
    struct store_value *values = values_for(turn, turn->holds.count, COUNT);
    size_t rows = 0;

    if (values == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < turn->holds.count; i++) {
        const struct ledger_hold_slot *slot = ledger_list_at(&turn->holds, i);
        struct store_value *value = values + rows * COUNT;

        if (!slot->exists || slot->is_stored)
            continue;
        value[0] = STORE_I64(slot->hold.seq);
        value[1] = STORE_I64(slot->hold.from);
        value[2] = STORE_I64(slot->hold.to);
        value[3] = STORE_I64(slot->hold.amount);
        value[4] = STORE_I64(slot->hold.captured);
        value[5] = number_or_null(slot->hold.expires_at_ns);
        value[6] = number_or_null(slot->ended_seq);
        rows++;
    }
    return ledger_rows_run(turn, &holds_insert, values, rows);
}

static enum err holds_old_write(struct ledger_turn *turn)
{
    enum { COUNT = 3 };
    struct store_value *values = values_for(turn, turn->holds.count, COUNT);
    size_t rows = 0;

    if (values == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < turn->holds.count; i++) {
        const struct ledger_hold_slot *slot = ledger_list_at(&turn->holds, i);
        struct store_value *value = values + rows * COUNT;

        if (!slot->is_stored || !slot->is_changed)
            continue;
        value[0] = STORE_I64(slot->hold.seq);
        value[1] = STORE_I64(slot->hold.captured);
        value[2] = number_or_null(slot->ended_seq);
        rows++;
    }
    return ledger_rows_run(turn, &holds_update, values, rows);
}

/* ---- what others put off ----------------------------------------------------------------------
 */

/* The rows of one statement together, in their order. */
static enum err late_write(struct ledger_turn *turn, size_t first)
{
    const struct ledger_late_row *leader = ledger_list_at(&turn->late_rows, first);
    size_t count = leader->value_count;
    struct store_value *values = values_for(turn, turn->late_rows.count - first, count);
    size_t rows = 0;

    if (values == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = first; i < turn->late_rows.count; i++) {
        const struct ledger_late_row *row = ledger_list_at(&turn->late_rows, i);

        if (row->statement != leader->statement)
            continue;
        PC_ASSERT(row->value_count == count);
        for (size_t k = 0; k < count; k++)
            values[rows * count + k] =
                *(struct store_value *)ledger_list_at(&turn->late_values, row->value_first + k);
        rows++;
    }
    return store_exec_many(turn->conn, leader->statement, values, count, rows, NULL);
}

static bool came_before(const struct ledger_turn *turn, size_t at)
{
    const struct ledger_late_row *row = ledger_list_at(&turn->late_rows, at);

    for (size_t i = 0; i < at; i++) {
        const struct ledger_late_row *other = ledger_list_at(&turn->late_rows, i);

        if (other->statement == row->statement)
            return true;
    }
    return false;
}

static enum err late_rows_write(struct ledger_turn *turn)
{
    enum err err = ERR_OK;

    for (size_t i = 0; i < turn->late_rows.count && err == ERR_OK; i++) {
        if (!came_before(turn, i))
            err = late_write(turn, i);
    }
    return err;
}

/* ---- head and events --------------------------------------------------------------------------
 */

static enum err head_write(struct ledger_turn *turn)
{
    const struct store_value values[] = {STORE_I64(turn->seq), STORE_I64(turn->at),
                                         STORE_I64(turn->transaction_id)};

    if (turn->seq == turn->head_seq && turn->at == turn->head_at &&
        turn->transaction_id == turn->head_transaction_id)
        return ERR_OK;
    PC_ASSERT(turn->seq - turn->head_seq == (int64_t)turn->posts.count);
    PC_ASSERT(turn->seq == turn->head_seq || turn->at > turn->head_at);
    return store_exec_each(turn->conn, &head_update, values, PC_COUNT(values), 1);
}

static enum err event_fill(struct ledger_turn *turn, const struct ledger_event *event,
                           struct trail_record *record)
{
    const struct ledger_actor *actor = &event->who->actor;
    enum err err = ERR_OK;

    if (event->record != NULL)
        *record = *event->record;
    else
        err = ledger_event_fill(turn, ledger_list_at(&turn->posts, event->post), record);
    record->actor_kind = actor->kind;
    record->actor = actor->name;
    record->client_id = actor->client_id;
    record->address = actor->address;
    record->request_id = actor->request_id;
    return err;
}

static enum err events_write(struct ledger_turn *turn)
{
    size_t count = turn->events.count;
    enum err err = ledger_list_reserve(&turn->records, count);

    for (size_t i = 0; i < count && err == ERR_OK; i++)
        err = event_fill(turn, ledger_list_at(&turn->events, i), ledger_list_push(&turn->records));
    if (err || count == 0)
        return err;
    return trail_add_many(turn->conn, ledger_list_at(&turn->records, 0), count);
}

enum err ledger_turn_write(struct ledger_turn *turn)
{
    static enum err (*const steps[])(struct ledger_turn *) = {
        house_write,     posts_write,     entries_write,   money_write, terms_write,
        holds_new_write, holds_old_write, late_rows_write, head_write,  events_write,
    };
    enum err err = ERR_OK;

    for (size_t i = 0; i < PC_COUNT(steps) && err == ERR_OK; i++)
        err = steps[i](turn);
    return ledger_turn_fail(turn, err);
}
