/* SPDX-License-Identifier: MIT
 * A turn from its beginning to its end.
 *
 *   ledger_turn_begin --> head locked --> ledger_turn_load, ledger_post, ... --> ledger_turn_end
 *                                            ^                       |
 *                                            +-- ledger_turn_undo <--+
 *
 * The row of ledger_head is the lock of the whole ledger: whoever holds it posts, on this node or
 * another. So what a turn reads stays as it is until its commit. */
#include "ledger/ledger_priv.h"

#include "base/alloc.h"

static const struct store_statement head_read = {
    .name = "ledger_head_read",
    .sqlite = "SELECT seq, at, transaction_id FROM ledger_head WHERE id = 1",
    .postgres = "SELECT seq, at, transaction_id FROM ledger_head WHERE id = 1 FOR UPDATE"};

bool ledger_is_refusal(enum err err)
{
    int status = err_status(err);

    return status >= 400 && status < 500 && err != ERR_STORE_UNIQUE && err != ERR_STORE_CONSTRAINT;
}

enum err ledger_turn_fail(struct ledger_turn *turn, enum err err)
{
    if (err && !turn->failed && !ledger_is_refusal(err))
        turn->failed = err;
    return err;
}

/* ---- its memory -------------------------------------------------------------------------------
 */

struct list_size {
    size_t offset, item_bytes;
};
static const struct list_size lists[] = {
    {offsetof(struct ledger_turn, wanted), sizeof(int64_t)},
    {offsetof(struct ledger_turn, due), sizeof(size_t)},
    {offsetof(struct ledger_turn, slots), sizeof(struct ledger_slot)},
    {offsetof(struct ledger_turn, holds), sizeof(struct ledger_hold_slot)},
    {offsetof(struct ledger_turn, posts), sizeof(struct ledger_post_row)},
    {offsetof(struct ledger_turn, entries), sizeof(struct ledger_entry_row)},
    {offsetof(struct ledger_turn, undo), sizeof(struct ledger_undo)},
    {offsetof(struct ledger_turn, late_rows), sizeof(struct ledger_late_row)},
    {offsetof(struct ledger_turn, late_values), sizeof(struct store_value)},
    {offsetof(struct ledger_turn, events), sizeof(struct ledger_event)},
    {offsetof(struct ledger_turn, values), sizeof(struct store_value)},
    {offsetof(struct ledger_turn, records), sizeof(struct trail_record)},
};

static struct ledger_list *list_of(struct ledger_turn *turn, size_t i)
{
    return (struct ledger_list *)(void *)((char *)turn + lists[i].offset);
}

static struct ledger_turn *turn_new(struct ledger *ledger)
{
    struct ledger_turn *turn = atomic_exchange(&ledger->spare, NULL);

    if (turn != NULL)
        return turn;
    turn = alloc_zero(sizeof(*turn));
    for (size_t i = 0; turn != NULL && i < PC_COUNT(lists); i++)
        list_of(turn, i)->item_bytes = lists[i].item_bytes;
    return turn;
}

static void turn_destroy(struct ledger_turn *turn)
{
    if (turn == NULL)
        return;
    for (size_t i = 0; i < PC_COUNT(lists); i++)
        ledger_list_free(list_of(turn, i));
    ledger_index_free(&turn->slot_index);
    ledger_index_free(&turn->hold_index);
    alloc_free(turn);
}

void ledger_turn_free(struct ledger_turn *turn)
{
    if (turn == NULL)
        return;
    arena_reset(&turn->arena);
    for (size_t i = 0; i < PC_COUNT(lists); i++)
        ledger_list_clear(list_of(turn, i));
    ledger_index_clear(&turn->slot_index);
    ledger_index_clear(&turn->hold_index);
    turn_destroy(atomic_exchange(&turn->ledger->spare, turn));
}

void ledger_free(struct ledger *ledger)
{
    if (ledger == NULL)
        return;
    turn_destroy(atomic_exchange(&ledger->spare, NULL));
    alloc_free(ledger);
}

/* ---- begin and end ----------------------------------------------------------------------------
 */

static enum err head_take(struct ledger_turn *turn)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(turn->conn, &head_read, NULL, 0, &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_STORE_CORRUPT);
    turn->seq = turn->head_seq = store_rows_i64(rows, 0);
    turn->at = turn->head_at = store_rows_i64(rows, 1);
    turn->transaction_id = turn->head_transaction_id = store_rows_i64(rows, 2);
    err = store_rows_err(rows);
    if (err == ERR_OK && (turn->seq < 0 || turn->at < 0 || turn->at > INT64_MAX / 2))
        return ERR_STORE_CORRUPT;
    return err;
}

const struct ledger_who ledger_system = {
    .actor = {.kind = TRAIL_ACTOR_SYSTEM, .name = SPAN("system")}, .text = SPAN("system")};

enum err ledger_turn_begin(struct ledger *ledger, struct store_conn *conn,
                           struct ledger_turn **ret_turn)
{
    struct ledger_turn *turn = turn_new(ledger);
    enum err err;

    if (turn == NULL)
        return ERR_NO_MEMORY;
    turn->ledger = ledger;
    turn->conn = conn;
    turn->failed = ERR_OK;
    turn->ended = false;
    arena_init(&turn->arena, turn->first, sizeof(turn->first), LIMIT_LEDGER_TURN_BYTES_MAX);
    turn->who = &ledger_system;
    err = head_take(turn);
    if (err) {
        ledger_turn_free(turn);
        return err;
    }
    turn->clock_ns = clock_realtime_ns(ledger->options.clock);
    turn->now = turn->clock_ns > turn->at ? turn->clock_ns : turn->at + 1;
    *ret_turn = turn;
    return ERR_OK;
}

enum err ledger_turn_end(struct ledger_turn *turn)
{
    PC_ASSERT(!turn->ended);
    turn->ended = true;
    if (turn->failed)
        return turn->failed;
    return ledger_turn_write(turn);
}

/* ---- what it knows ----------------------------------------------------------------------------
 */

static const char *const actor_prefixes[] = {
    [TRAIL_ACTOR_UNKNOWN] = "unknown:",
    [TRAIL_ACTOR_USER] = "user:",
    [TRAIL_ACTOR_CLIENT] = "client:",
    [TRAIL_ACTOR_SYSTEM] = "",
};

/* "user:7", "client:portal", "system": no two actors have the same text. */
void ledger_turn_actor(struct ledger_turn *turn, const struct ledger_actor *actor)
{
    struct ledger_who *who = arena_alloc(&turn->arena, sizeof(*who));
    struct sbuf text = sbuf_on(&turn->arena, 2 * TRAIL_TEXT_BYTES_MAX);

    PC_ASSERT((size_t)actor->kind < PC_COUNT(actor_prefixes));
    sbuf_add_text(&text, actor_prefixes[actor->kind]);
    sbuf_add(&text, span_slice(actor->name, 0, TRAIL_TEXT_BYTES_MAX));
    if (who == NULL || text.full) {
        (void)ledger_turn_fail(turn, ERR_NO_MEMORY);
        return;
    }
    *who = (struct ledger_who){.actor = *actor, .text = sbuf_span(&text)};
    turn->who = who;
}

struct store_conn *ledger_turn_conn(const struct ledger_turn *turn)
{
    return turn->conn;
}

struct arena *ledger_turn_arena(struct ledger_turn *turn)
{
    return &turn->arena;
}

int64_t ledger_turn_now(const struct ledger_turn *turn)
{
    return turn->now;
}

int64_t ledger_turn_transaction_id(struct ledger_turn *turn)
{
    PC_ASSERT(turn->transaction_id < INT64_MAX);
    return ++turn->transaction_id;
}

/* ---- taking back ------------------------------------------------------------------------------
 */

struct ledger_mark ledger_turn_mark(const struct ledger_turn *turn)
{
    return (struct ledger_mark){.posts = turn->posts.count,
                                .entries = turn->entries.count,
                                .undo = turn->undo.count,
                                .rows = turn->late_rows.count,
                                .events = turn->events.count,
                                .seq = turn->seq,
                                .at = turn->at,
                                .transaction_id = turn->transaction_id};
}

static void undo_one(struct ledger_turn *turn, const struct ledger_undo *undo)
{
    if (undo->is_hold)
        *(struct ledger_hold_slot *)ledger_list_at(&turn->holds, undo->index) = undo->before.hold;
    else
        *ledger_slot_at(turn, undo->index) = undo->before.slot;
}

void ledger_turn_undo(struct ledger_turn *turn, struct ledger_mark mark)
{
    PC_ASSERT(mark.posts <= turn->posts.count && mark.entries <= turn->entries.count);
    PC_ASSERT(mark.undo <= turn->undo.count && mark.rows <= turn->late_rows.count);
    while (turn->undo.count > mark.undo)
        undo_one(turn, ledger_list_at(&turn->undo, --turn->undo.count));
    if (mark.rows < turn->late_rows.count) {
        const struct ledger_late_row *row = ledger_list_at(&turn->late_rows, mark.rows);

        turn->late_values.count = row->value_first;
    }
    turn->late_rows.count = mark.rows;
    turn->posts.count = mark.posts;
    turn->entries.count = mark.entries;
    turn->events.count = mark.events;
    turn->seq = mark.seq;
    turn->at = mark.at;
    turn->transaction_id = mark.transaction_id;
}

/* ---- rows and events that wait ----------------------------------------------------------------
 */

enum err ledger_turn_add(struct ledger_turn *turn, const struct store_statement *statement,
                         const struct store_value *values, size_t count)
{
    struct ledger_late_row *row;
    enum err err;

    PC_ASSERT(!turn->ended && count <= LIMIT_STORE_PARAMS_MAX);
    err = ledger_list_reserve(&turn->late_rows, 1);
    if (err == ERR_OK)
        err = ledger_list_reserve(&turn->late_values, count);
    if (err)
        return ledger_turn_fail(turn, err);
    row = ledger_list_push(&turn->late_rows);
    *row = (struct ledger_late_row){
        .statement = statement, .value_first = turn->late_values.count, .value_count = count};
    for (size_t i = 0; i < count; i++)
        *(struct store_value *)ledger_list_push(&turn->late_values) = values[i];
    return ERR_OK;
}

enum err ledger_turn_trail(struct ledger_turn *turn, const struct trail_record *record)
{
    struct trail_record *kept = arena_alloc(&turn->arena, sizeof(*kept));
    enum err err = kept == NULL ? ERR_NO_MEMORY : ledger_list_reserve(&turn->events, 1);

    PC_ASSERT(!turn->ended);
    if (err)
        return ledger_turn_fail(turn, err);
    *kept = *record;
    kept->at_ns = turn->now;
    *(struct ledger_event *)ledger_list_push(&turn->events) =
        (struct ledger_event){.record = kept, .who = turn->who};
    return ERR_OK;
}
