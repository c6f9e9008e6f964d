/* SPDX-License-Identifier: MIT
 * A posting: checked step by step in the order in which refusals are promised, then made in memory.
 * From ledger_draft_post's last check on nothing can fail; what was made is looked at once more
 * before anything of it is written. */
#include "ledger/ledger_priv.h"

/* ---- the steps --------------------------------------------------------------------------------
 */

enum err ledger_draft_find(struct ledger_turn *turn, struct ledger_draft *draft)
{
    enum err err = ERR_OK;

    PC_ASSERT(!turn->ended);
    if (draft->posting.leg_count < 2 || draft->posting.leg_count > LIMIT_LEDGER_LEGS_MAX)
        return ERR_UNBALANCED;
    for (size_t i = 0; i < draft->posting.leg_count && err == ERR_OK; i++) {
        int64_t id = draft->legs[i].account_id;

        err = draft->is_expiry ? ledger_slot_find(turn, id, &draft->slots[i])
                               : ledger_slot_settle(turn, id, &draft->slots[i]);
    }
    return err;
}

enum err ledger_draft_distinct(struct ledger_turn *turn, struct ledger_draft *draft)
{
    turn->stamp++;
    for (size_t i = 0; i < draft->posting.leg_count; i++) {
        struct ledger_slot *slot = ledger_slot_at(turn, draft->slots[i]);

        if (slot->stamp == turn->stamp)
            return ERR_SAME_ACCOUNT;
        slot->stamp = turn->stamp;
    }
    return ERR_OK;
}

static enum currency currency_of(const struct ledger_turn *turn, size_t slot)
{
    return ledger_slot_at(turn, slot)->account.currency;
}

struct sums {
    ledger_wide posted[CURRENCY_COUNT], promised[CURRENCY_COUNT]; /* promised: held - incoming */
};

static bool sums_are_zero(const struct sums *sums)
{
    for (size_t i = 0; i < CURRENCY_COUNT; i++) {
        if (sums->posted[i] != 0 || sums->promised[i] != 0)
            return false;
    }
    return true;
}

static bool many_are_balanced(const struct ledger_turn *turn, const struct ledger_leg *legs,
                              const size_t *slots, size_t count)
{
    struct sums sums = {0};

    for (size_t i = 0; i < count; i++) {
        enum currency currency = currency_of(turn, slots[i]);

        sums.posted[currency] += legs[i].posted;
        sums.promised[currency] += (ledger_wide)legs[i].held - legs[i].incoming;
    }
    return sums_are_zero(&sums);
}

static bool two_are_balanced(const struct ledger_turn *turn, const struct ledger_leg *legs,
                             const size_t *slots)
{
    return currency_of(turn, slots[0]) == currency_of(turn, slots[1]) &&
           (ledger_wide)legs[0].posted + legs[1].posted == 0 &&
           (ledger_wide)legs[0].held + legs[1].held - legs[0].incoming - legs[1].incoming == 0;
}

static bool is_balanced(const struct ledger_turn *turn, const struct ledger_draft *draft)
{
    if (draft->posting.leg_count == 2)
        return two_are_balanced(turn, draft->legs, draft->slots);
    return many_are_balanced(turn, draft->legs, draft->slots, draft->posting.leg_count);
}

enum err ledger_draft_balanced(const struct ledger_turn *turn, const struct ledger_draft *draft)
{
    for (size_t i = 0; i < draft->posting.leg_count; i++) {
        const struct ledger_leg *leg = &draft->legs[i];

        if (leg->posted == 0 && leg->held == 0 && leg->incoming == 0)
            return ERR_AMOUNT_RANGE;
        if (leg->posted == INT64_MIN) /* it could never go back */
            return ERR_AMOUNT_RANGE;
    }
    return is_balanced(turn, draft) ? ERR_OK : ERR_UNBALANCED;
}

/* Never in the future, and not further back than the books are open. */
enum err ledger_draft_dated(const struct ledger_turn *turn, struct ledger_draft *draft)
{
    int64_t wanted = draft->posting.effective_at_ns;
    int64_t back_ns = turn->ledger->options.backdate_s * CLOCK_NS_PER_S;

    if (wanted != 0 && (wanted > turn->now || wanted < turn->now - back_ns))
        return ERR_EFFECTIVE_AT;
    draft->effective_at = wanted;
    return ERR_OK;
}

enum err ledger_draft_open(const struct ledger_turn *turn, const struct ledger_draft *draft)
{
    size_t count = draft->posting.leg_count;

    for (size_t i = 0; i < count; i++) {
        if (ledger_slot_at(turn, draft->slots[i])->account.state == LEDGER_CLOSED)
            return ERR_ACCOUNT_CLOSED;
    }
    for (size_t i = 0; i < count; i++) {
        bool goes_out = draft->legs[i].posted < 0 || draft->legs[i].held > 0;

        if (goes_out && ledger_slot_at(turn, draft->slots[i])->account.state == LEDGER_FROZEN)
            return ERR_ACCOUNT_FROZEN;
    }
    return ERR_OK;
}

/* ---- funds and range --------------------------------------------------------------------------
 */

/* What may be spent behind the leg, exactly. */
static ledger_wide available_after(const struct ledger_account *account,
                                   const struct ledger_leg *leg)
{
    return (ledger_wide)account->posted + leg->posted - account->held - leg->held +
           account->credit_limit;
}

static bool fits(ledger_wide value)
{
    return value >= INT64_MIN && value <= INT64_MAX;
}

/* With all of the limit used and nothing held: so that giving back what is held always fits. */
static bool leg_fits(const struct ledger_account *account, const struct ledger_leg *leg)
{
    ledger_wide posted = (ledger_wide)account->posted + leg->posted;
    ledger_wide held = (ledger_wide)account->held + leg->held;

    return fits(posted) && fits(held) && fits((ledger_wide)account->incoming + leg->incoming) &&
           fits(posted - held) && fits(posted + account->credit_limit);
}

static enum err check_balances(const struct ledger_turn *turn, const struct ledger_draft *draft)
{
    for (size_t i = 0; i < draft->posting.leg_count; i++) {
        const struct ledger_account *account = &ledger_slot_at(turn, draft->slots[i])->account;

        if (account->id > 0 && available_after(account, &draft->legs[i]) < 0)
            return ERR_FUNDS;
    }
    for (size_t i = 0; i < draft->posting.leg_count; i++) {
        if (!leg_fits(&ledger_slot_at(turn, draft->slots[i])->account, &draft->legs[i]))
            return ERR_BALANCE_RANGE;
    }
    return turn->seq < INT64_MAX ? ERR_OK : ERR_BALANCE_RANGE;
}

/* ---- making it --------------------------------------------------------------------------------
 */

static enum err reserve(struct ledger_turn *turn, size_t legs)
{
    enum err err = ledger_list_reserve(&turn->posts, 1);

    if (err == ERR_OK)
        err = ledger_list_reserve(&turn->entries, legs);
    if (err == ERR_OK)
        err = ledger_list_reserve(&turn->undo, legs);
    if (err == ERR_OK)
        err = ledger_list_reserve(&turn->events, 1);
    return err;
}

static void entry_make(struct ledger_turn *turn, const struct ledger_draft *draft, size_t i,
                       int64_t seq)
{
    const struct ledger_leg *leg = &draft->legs[i];
    struct ledger_slot *slot = ledger_slot_at(turn, draft->slots[i]);
    struct ledger_account *account = &slot->account;
    struct ledger_entry_row *entry = ledger_list_push(&turn->entries);

    ledger_slot_keep(turn, draft->slots[i]);
    account->posted += leg->posted;
    account->held += leg->held;
    account->incoming += leg->incoming;
    account->seq = seq;
    slot->money_changed = true;
    *entry = (struct ledger_entry_row){.account_id = account->id,
                                       .seq = seq,
                                       .leg = (int64_t)i + 1,
                                       .posted = leg->posted,
                                       .held = leg->held,
                                       .incoming = leg->incoming,
                                       .posted_after = account->posted,
                                       .held_after = account->held,
                                       .incoming_after = account->incoming};
}

/* The promises of README.md once more, about what will be written: I1, I3, I4 and I8. */
static void posting_assert(const struct ledger_turn *turn, const struct ledger_draft *draft,
                           const struct ledger_post_row *post)
{
    PC_ASSERT(is_balanced(turn, draft));
    PC_ASSERT(post->seq == turn->head_seq + (int64_t)turn->posts.count);
    PC_ASSERT(post->at >= turn->now && post->effective_at <= post->at);
    for (size_t i = 0; i < post->entry_count; i++) {
        const struct ledger_entry_row *entry =
            ledger_list_at(&turn->entries, post->entry_first + i);
        const struct ledger_slot *slot = ledger_slot_at(turn, draft->slots[i]);

        PC_ASSERT(entry->account_id == draft->legs[i].account_id);
        PC_ASSERT(entry->held_after >= 0 && entry->incoming_after >= 0);
        PC_ASSERT(entry->account_id < 0 ||
                  entry->posted_after - entry->held_after + slot->account.credit_limit >= 0);
    }
}

static void post_make(struct ledger_turn *turn, const struct ledger_draft *draft)
{
    const struct ledger_posting *posting = &draft->posting;
    struct ledger_post_row *post = ledger_list_push(&turn->posts);

    turn->seq++;
    turn->at = turn->now > turn->at ? turn->now : turn->at + 1;
    *post = (struct ledger_post_row){.seq = turn->seq,
                                     .at = turn->at,
                                     .effective_at =
                                         draft->effective_at != 0 ? draft->effective_at : turn->at,
                                     .refers_to = posting->refers_to,
                                     .transaction_id = posting->transaction_id,
                                     .kind = posting->kind,
                                     .entry_first = turn->entries.count,
                                     .entry_count = posting->leg_count,
                                     .who = turn->who,
                                     .description = posting->description};
    for (size_t i = 0; i < posting->leg_count; i++)
        entry_make(turn, draft, i, turn->seq);
    *(struct ledger_event *)ledger_list_push(&turn->events) =
        (struct ledger_event){.post = turn->posts.count - 1, .who = turn->who};
    posting_assert(turn, draft, post);
}

enum err ledger_draft_post(struct ledger_turn *turn, const struct ledger_draft *draft,
                           struct ledger_posted *ret_posted)
{
    const struct ledger_post_row *post;
    enum err err;

    PC_ASSERT(draft->posting.legs == draft->legs);
    err = check_balances(turn, draft);
    if (err == ERR_OK)
        err = reserve(turn, draft->posting.leg_count);
    if (err)
        return ledger_turn_fail(turn, err);
    post_make(turn, draft);
    post = ledger_list_at(&turn->posts, turn->posts.count - 1);
    *ret_posted = (struct ledger_posted){
        .seq = post->seq, .at_ns = post->at, .effective_at_ns = post->effective_at};
    return ERR_OK;
}

/* ---- what others call -------------------------------------------------------------------------
 */

static bool is_promise(enum ledger_kind kind)
{
    return kind == LEDGER_HOLD || kind == LEDGER_CAPTURE || kind == LEDGER_VOID ||
           kind == LEDGER_EXPIRY;
}

enum err ledger_post(struct ledger_turn *turn, const struct ledger_posting *posting,
                     struct ledger_posted *ret_posted)
{
    struct ledger_leg legs[LIMIT_LEDGER_LEGS_MAX];
    struct ledger_draft draft = {.posting = *posting, .legs = legs};
    enum err err;

    PC_ASSERT(posting->kind > LEDGER_KIND_NONE && posting->kind < LEDGER_KIND_COUNT);
    for (size_t i = 0; i < posting->leg_count && i < PC_COUNT(legs); i++) {
        legs[i] = posting->legs[i];
        /* Promises are made and kept by holds alone. */
        PC_ASSERT(legs[i].held == 0 && legs[i].incoming == 0 && !is_promise(posting->kind));
    }
    draft.posting.legs = legs;
    err = ledger_draft_find(turn, &draft);
    if (err == ERR_OK)
        err = ledger_draft_distinct(turn, &draft);
    if (err == ERR_OK)
        err = ledger_draft_balanced(turn, &draft);
    if (err == ERR_OK)
        err = ledger_draft_dated(turn, &draft);
    if (err == ERR_OK)
        err = ledger_draft_open(turn, &draft);
    return err ? err : ledger_draft_post(turn, &draft, ret_posted);
}

/* Two different accounts of the amount's currency, and something to move. */
enum err ledger_draft_pair(struct ledger_turn *turn, struct ledger_draft *draft,
                           struct money amount)
{
    enum err err = ledger_draft_find(turn, draft);

    if (err == ERR_OK)
        err = ledger_draft_distinct(turn, draft);
    if (err)
        return err;
    if (currency_of(turn, draft->slots[0]) != amount.currency ||
        currency_of(turn, draft->slots[1]) != amount.currency)
        return ERR_CURRENCY_MISMATCH;
    return amount.minor > 0 ? ERR_OK : ERR_AMOUNT_RANGE;
}

enum err ledger_move(struct ledger_turn *turn, const struct ledger_transfer *transfer,
                     struct ledger_posted *ret_posted)
{
    int64_t amount = transfer->amount.minor > 0 ? transfer->amount.minor : 0;
    struct ledger_leg legs[] = {{.account_id = transfer->from, .posted = -amount},
                                {.account_id = transfer->to, .posted = amount}};
    struct ledger_draft draft = {.posting = {.kind = transfer->kind,
                                             .legs = legs,
                                             .leg_count = PC_COUNT(legs),
                                             .effective_at_ns = transfer->effective_at_ns,
                                             .transaction_id = transfer->transaction_id,
                                             .description = transfer->description},
                                 .legs = legs};
    enum err err;

    PC_ASSERT(transfer->kind > LEDGER_KIND_NONE && !is_promise(transfer->kind));
    err = ledger_draft_pair(turn, &draft, transfer->amount);
    if (err == ERR_OK)
        err = ledger_draft_dated(turn, &draft);
    if (err == ERR_OK)
        err = ledger_draft_open(turn, &draft);
    return err ? err : ledger_draft_post(turn, &draft, ret_posted);
}
