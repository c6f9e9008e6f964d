/* SPDX-License-Identifier: MIT
 * Reversals: a posting's money goes back the way it came, as a posting of its own that refers to
 * it. Two legs go back in part or in whole, as often as something is left; more legs in whole. What
 * went back so far is asked of the postings themselves. */
#include "ledger/ledger_priv.h"

/* With its legs in their order, as many rows as it has. */
static const struct store_statement original_read = {
    .name = "ledger_original_read",
    .sqlite = "SELECT p.kind, e.account_id, e.posted FROM ledger_entries e "
              "JOIN ledger_posts p ON p.seq = e.seq WHERE e.seq = ?1 ORDER BY e.leg"};

/* How many reversals there are, and what they moved on one of its accounts. */
static const struct store_statement reversed_read = {
    .name = "ledger_reversed_read",
    .sqlite = "SELECT count(*), coalesce(sum(e.posted), 0) FROM ledger_posts p "
              "JOIN ledger_entries e ON e.seq = p.seq AND e.account_id = ?2 "
              "WHERE p.refers_to = ?1 AND p.kind = 'reversal'",
    .postgres = "SELECT count(*), coalesce(sum(e.posted), 0)::bigint FROM ledger_posts p "
                "JOIN ledger_entries e ON e.seq = p.seq AND e.account_id = ?2 "
                "WHERE p.refers_to = ?1 AND p.kind = 'reversal'"};

struct original {
    enum ledger_kind kind;
    size_t count;
    struct ledger_leg legs[LIMIT_LEDGER_LEGS_MAX]; /* as they were posted */
    int64_t reversals, moved;                      /* on the first leg's account */
};

/* ---- finding ----------------------------------------------------------------------------------
 */

static enum ledger_kind kind_of(struct span name)
{
    for (int kind = LEDGER_KIND_NONE + 1; kind < LEDGER_KIND_COUNT; kind++) {
        if (span_is(name, ledger_kind_name((enum ledger_kind)kind)))
            return (enum ledger_kind)kind;
    }
    return LEDGER_KIND_NONE;
}

static enum err read_stored(struct ledger_turn *turn, int64_t seq, struct original *original)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(turn->conn, &original_read, STORE_PARAMS(STORE_I64(seq)), &rows);

    if (err)
        return err;
    while (store_next(rows) && original->count < PC_COUNT(original->legs)) {
        struct ledger_leg *leg = &original->legs[original->count++];

        original->kind = kind_of(store_rows_text(rows, 0, NULL));
        leg->account_id = store_rows_i64(rows, 1);
        leg->posted = store_rows_i64(rows, 2);
    }
    err = store_rows_end(rows, original->count == 0 ? ERR_NOT_FOUND : ERR_OK);
    if (err == ERR_OK && (original->kind == LEDGER_KIND_NONE || original->count < 2))
        return ERR_STORE_CORRUPT;
    return err;
}

/* One of this turn, which the store does not have yet. */
static void read_own(const struct ledger_turn *turn, int64_t seq, struct original *original)
{
    const struct ledger_post_row *post =
        ledger_list_at(&turn->posts, (size_t)(seq - turn->head_seq - 1));

    PC_ASSERT(post->seq == seq);
    original->kind = post->kind;
    original->count = post->entry_count;
    for (size_t i = 0; i < original->count; i++) {
        const struct ledger_entry_row *entry =
            ledger_list_at(&turn->entries, post->entry_first + i);

        original->legs[i].account_id = entry->account_id;
        original->legs[i].posted = entry->posted;
    }
}

static enum err find(struct ledger_turn *turn, int64_t seq, struct original *original)
{
    if (seq <= 0 || seq > turn->seq)
        return ERR_NOT_FOUND;
    if (seq <= turn->head_seq)
        return read_stored(turn, seq, original);
    read_own(turn, seq, original);
    return ERR_OK;
}

/* ---- what went back ---------------------------------------------------------------------------
 */

static enum err count_stored(struct ledger_turn *turn, int64_t seq, struct original *original)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err =
        store_query(turn->conn, &reversed_read,
                    STORE_PARAMS(STORE_I64(seq), STORE_I64(original->legs[0].account_id)), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_STORE_CORRUPT);
    original->reversals = store_rows_i64(rows, 0);
    original->moved = store_rows_i64(rows, 1);
    return store_rows_err(rows);
}

static int64_t moved_by(const struct ledger_turn *turn, const struct ledger_post_row *post,
                        int64_t account_id)
{
    for (size_t i = 0; i < post->entry_count; i++) {
        const struct ledger_entry_row *entry =
            ledger_list_at(&turn->entries, post->entry_first + i);

        if (entry->account_id == account_id)
            return entry->posted;
    }
    PC_WRONG("a reversal without its original's account");
}

static void count_own(const struct ledger_turn *turn, int64_t seq, struct original *original)
{
    for (size_t i = 0; i < turn->posts.count; i++) {
        const struct ledger_post_row *post = ledger_list_at(&turn->posts, i);

        if (post->kind != LEDGER_REVERSAL || post->refers_to != seq)
            continue;
        original->reversals++;
        original->moved += moved_by(turn, post, original->legs[0].account_id);
    }
}

static enum err count_reversals(struct ledger_turn *turn, int64_t seq, struct original *original)
{
    enum err err = ERR_OK;

    if (seq <= turn->head_seq)
        err = count_stored(turn, seq, original);
    if (err == ERR_OK)
        count_own(turn, seq, original);
    return ledger_turn_fail(turn, err);
}

/* ---- deciding ---------------------------------------------------------------------------------
 */

static bool may_be_reversed(enum ledger_kind kind)
{
    return kind == LEDGER_TRANSFER || kind == LEDGER_TRANSACTION || kind == LEDGER_DEPOSIT ||
           kind == LEDGER_POSTING || kind == LEDGER_CAPTURE;
}

static int64_t size_of(int64_t posted)
{
    return posted < 0 ? -posted : posted;
}

/* How much goes back; *ret_amount stays 0 for more than two legs. */
static enum err amount_of(const struct original *original, int64_t wanted, int64_t *ret_amount)
{
    int64_t left = size_of(original->legs[0].posted) - size_of(original->moved);

    if (original->count > 2)
        return original->reversals == 0 ? ERR_OK : ERR_OVER_ORIGINAL;
    PC_ASSERT(left >= 0);
    if (left == 0 || wanted > left)
        return ERR_OVER_ORIGINAL;
    *ret_amount = wanted == 0 ? left : wanted;
    return ERR_OK;
}

/* Against the direction in which it went; two legs by `amount`, if that is known already. */
static void legs_make(const struct original *original, int64_t amount, struct ledger_leg *legs)
{
    for (size_t i = 0; i < original->count; i++) {
        int64_t posted = original->legs[i].posted;

        legs[i] = (struct ledger_leg){.account_id = original->legs[i].account_id};
        legs[i].posted = -posted;
        if (amount != 0)
            legs[i].posted = posted < 0 ? amount : -amount;
    }
}

static enum err check(struct ledger_turn *turn, const struct ledger_reversal *reversal,
                      struct original *original, struct ledger_draft *draft, int64_t *ret_amount)
{
    enum err err = ledger_draft_find(turn, draft);

    if (err)
        return err;
    if (reversal->amount < 0 || (reversal->amount != 0 && original->count > 2))
        return ERR_AMOUNT_RANGE;
    err = ledger_draft_open(turn, draft);
    if (err)
        return err;
    if (!may_be_reversed(original->kind))
        return ERR_TRANSITION;
    err = count_reversals(turn, reversal->seq, original);
    return err ? err : amount_of(original, reversal->amount, ret_amount);
}

enum err ledger_reverse(struct ledger_turn *turn, const struct ledger_reversal *reversal,
                        struct ledger_posted *ret_posted, int64_t *ret_amount)
{
    struct original original = {.kind = LEDGER_KIND_NONE};
    struct ledger_leg legs[LIMIT_LEDGER_LEGS_MAX];
    struct ledger_draft draft = {.posting = {.kind = LEDGER_REVERSAL,
                                             .legs = legs,
                                             .refers_to = reversal->seq,
                                             .transaction_id = reversal->transaction_id,
                                             .description = reversal->description},
                                 .legs = legs};
    int64_t amount = 0;
    enum err err = ledger_turn_fail(turn, find(turn, reversal->seq, &original));

    if (err)
        return err;
    draft.posting.leg_count = original.count;
    legs_make(&original, 0, legs);
    err = check(turn, reversal, &original, &draft, &amount);
    if (err)
        return err;
    legs_make(&original, amount, legs);
    err = ledger_draft_post(turn, &draft, ret_posted);
    if (err == ERR_OK && ret_amount != NULL)
        *ret_amount = amount;
    return err;
}
