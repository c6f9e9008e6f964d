/* SPDX-License-Identifier: MIT
 * The ledger told once more, as plainly as possible: lists, loops and 128-bit sums, no database, no
 * cache, no index. It says what every call must answer, down to the number and moment of a posting.
 * Undoing takes the effect of each posting back, one by one. */
#ifndef PC_LEDGER_LEDGER_MODEL_TEST_KIT_H
#define PC_LEDGER_LEDGER_MODEL_TEST_KIT_H

#include "ledger/ledger_books_test_kit.h"

enum { MODEL_ACCOUNTS = 48, MODEL_LEGS = 6 };

struct model_account {
    struct ledger_account is;
    struct ledger_list entries; /* struct model_entry */
};

/* What one posting did to one account, and how it stood then. */
struct model_entry {
    size_t post; /* its place in posts */
    struct ledger_balance after;
};

struct model_hold {
    size_t from, to; /* places of accounts */
    int64_t seq, amount, captured, expires_at, ended_seq;
};

struct model_post {
    int64_t seq, at, effective_at, refers_to;
    enum ledger_kind kind;
    size_t count;
    size_t accounts[MODEL_LEGS];
    struct ledger_leg legs[MODEL_LEGS];
    int64_t reversed; /* what went back of it so far; -1: all of many legs */
};

struct model {
    struct model_account accounts[MODEL_ACCOUNTS];
    size_t account_count;
    struct ledger_list posts, holds; /* model_post, model_hold; a post's place is its seq - 1 */
    struct ledger_list open;         /* size_t: places of holds that have not ended */
    int64_t clock, now, at, backdate_ns, hold_life_ns;
};

/* What is not a posting's doing, for undo. */
struct model_mark {
    size_t posts;
    int64_t at;
    enum ledger_state states[MODEL_ACCOUNTS];
    int64_t limits[MODEL_ACCOUNTS];
};

static inline void *model_push(struct ledger_list *list, size_t bytes)
{
    list->item_bytes = bytes;
    assert_true(list->count < 40000000);
    if (list->count == list->room) {
        list->room = list->room == 0 ? 64 : 2 * list->room;
        list->items = alloc_resize(list->items, list->room * bytes);
        assert_non_null(list->items);
    }
    return memset(ledger_list_at(list, list->count++), 0, bytes);
}

static inline struct model_post *model_post_at(const struct model *m, size_t place)
{
    return ledger_list_at(&m->posts, place);
}

static inline struct model_hold *model_hold_at(const struct model *m, size_t place)
{
    return ledger_list_at(&m->holds, place);
}

static inline struct ledger_account *model_account_at(struct model *m, size_t place)
{
    return &m->accounts[place].is;
}

static inline bool model_find(const struct model *m, int64_t id, size_t *ret_place)
{
    for (size_t i = 0; i < m->account_count; i++) {
        if (m->accounts[i].is.id == id) {
            *ret_place = i;
            return true;
        }
    }
    return false;
}

static inline bool model_hold_find(const struct model *m, int64_t seq, size_t *ret_place)
{
    size_t low = 0;
    size_t high = m->holds.count;

    while (low < high) { /* the first that is not below seq */
        size_t middle = (low + high) / 2;

        if (model_hold_at(m, middle)->seq < seq)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_place = low;
    return low < m->holds.count && model_hold_at(m, low)->seq == seq;
}

/* A turn begins when the clock shows this. */
static inline void model_begin(struct model *m, int64_t clock_ns)
{
    m->clock = clock_ns;
    m->now = clock_ns > m->at ? clock_ns : m->at + 1;
}

/* ---- postings ---------------------------------------------------------------------------------
 */

static inline void model_apply(struct model *m, const struct model_post *post, int sign)
{
    for (size_t i = 0; i < post->count; i++) {
        struct model_account *account = &m->accounts[post->accounts[i]];
        struct model_entry *entry;

        account->is.posted += sign * post->legs[i].posted;
        account->is.held += sign * post->legs[i].held;
        account->is.incoming += sign * post->legs[i].incoming;
        if (sign < 0) {
            account->entries.count--;
            entry = ledger_list_at(&account->entries, account->entries.count - 1);
            account->is.seq = account->entries.count == 0 ? 0 : entry->after.seq;
            continue;
        }
        account->is.seq = post->seq;
        entry = model_push(&account->entries, sizeof(*entry));
        *entry = (struct model_entry){
            (size_t)post->seq - 1,
            {account->is.posted, account->is.held, account->is.incoming, post->seq}};
    }
}

static inline void model_write(struct model *m, const struct model_post *wanted,
                               struct ledger_posted *ret_posted)
{
    struct model_post *post = model_push(&m->posts, sizeof(*post));

    *post = *wanted;
    post->seq = (int64_t)m->posts.count;
    m->at = post->at = m->now > m->at ? m->now : m->at + 1;
    if (post->effective_at == 0)
        post->effective_at = post->at;
    model_apply(m, post, 1);
    *ret_posted = (struct ledger_posted){post->seq, post->at, post->effective_at};
}

static inline enum err model_states(struct model *m, const struct model_post *post)
{
    for (size_t i = 0; i < post->count; i++) {
        if (model_account_at(m, post->accounts[i])->state == LEDGER_CLOSED)
            return ERR_ACCOUNT_CLOSED;
    }
    for (size_t i = 0; i < post->count; i++) {
        if (model_account_at(m, post->accounts[i])->state == LEDGER_FROZEN &&
            (post->legs[i].posted < 0 || post->legs[i].held > 0))
            return ERR_ACCOUNT_FROZEN;
    }
    return ERR_OK;
}

static inline bool model_outside(ledger_wide value)
{
    return value > INT64_MAX || value < INT64_MIN;
}

static inline enum err model_funds(struct model *m, const struct model_post *post)
{
    enum err err = ERR_OK;

    for (size_t i = 0; i < post->count; i++) {
        const struct ledger_account *account = model_account_at(m, post->accounts[i]);
        ledger_wide posted = (ledger_wide)account->posted + post->legs[i].posted;
        ledger_wide held = (ledger_wide)account->held + post->legs[i].held;
        ledger_wide incoming = (ledger_wide)account->incoming + post->legs[i].incoming;

        if (account->id > 0 && posted - held + account->credit_limit < 0)
            return ERR_FUNDS;
        if (model_outside(posted) || model_outside(held) || model_outside(incoming) ||
            model_outside(posted - held) || model_outside(posted + account->credit_limit))
            err = ERR_BALANCE_RANGE;
    }
    return err;
}

static inline enum err model_settle(struct model *m, size_t place);

static inline enum err model_accounts(struct model *m, struct model_post *post)
{
    for (size_t i = 0; i < post->count; i++) {
        if (!model_find(m, post->legs[i].account_id, &post->accounts[i]))
            return ERR_NOT_FOUND;
        (void)model_settle(m, post->accounts[i]);
    }
    return ERR_OK;
}

static inline bool model_has_twice(const struct model_post *post)
{
    for (size_t i = 0; i < post->count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (post->accounts[i] == post->accounts[k])
                return true;
        }
    }
    return false;
}

static inline bool model_is_balanced(struct model *m, const struct model_post *post)
{
    for (int currency = 1; currency < CURRENCY_COUNT; currency++) {
        ledger_wide posted = 0;

        for (size_t i = 0; i < post->count; i++) {
            if (model_account_at(m, post->accounts[i])->currency == (enum currency)currency)
                posted += post->legs[i].posted;
        }
        if (posted != 0)
            return false;
    }
    return true;
}

static inline bool model_is_dated(const struct model *m, int64_t effective_at)
{
    return effective_at == 0 || (effective_at <= m->now && effective_at >= m->now - m->backdate_ns);
}

static inline enum err model_post(struct model *m, struct model_post *post,
                                  struct ledger_posted *ret_posted)
{
    enum err err;

    if (post->count < 2)
        return ERR_UNBALANCED;
    err = model_accounts(m, post);
    if (err)
        return err;
    if (model_has_twice(post))
        return ERR_SAME_ACCOUNT;
    for (size_t i = 0; i < post->count; i++) {
        if (post->legs[i].posted == 0 || post->legs[i].posted == INT64_MIN)
            return ERR_AMOUNT_RANGE;
    }
    if (!model_is_balanced(m, post))
        return ERR_UNBALANCED;
    if (!model_is_dated(m, post->effective_at))
        return ERR_EFFECTIVE_AT;
    err = model_states(m, post);
    if (err == ERR_OK)
        err = model_funds(m, post);
    if (err == ERR_OK)
        model_write(m, post, ret_posted);
    return err;
}

/* Two accounts, an amount of a currency: the beginning of a movement and of a hold. */
static inline enum err model_pair(struct model *m, struct model_post *post, struct money amount)
{
    enum err err = model_accounts(m, post);

    if (err)
        return err;
    if (model_has_twice(post))
        return ERR_SAME_ACCOUNT;
    for (size_t i = 0; i < 2; i++) {
        if (model_account_at(m, post->accounts[i])->currency != amount.currency)
            return ERR_CURRENCY_MISMATCH;
    }
    return amount.minor > 0 ? ERR_OK : ERR_AMOUNT_RANGE;
}

static inline enum err model_move(struct model *m, const struct ledger_transfer *t,
                                  struct ledger_posted *ret_posted)
{
    struct model_post post = {.kind = t->kind, .effective_at = t->effective_at_ns, .count = 2};
    enum err err;

    post.legs[0].account_id = t->from;
    post.legs[1].account_id = t->to;
    err = model_pair(m, &post, t->amount);
    if (err)
        return err;
    post.legs[0].posted = -t->amount.minor;
    post.legs[1].posted = t->amount.minor;
    if (!model_is_dated(m, t->effective_at_ns))
        return ERR_EFFECTIVE_AT;
    err = model_states(m, &post);
    if (err == ERR_OK)
        err = model_funds(m, &post);
    if (err == ERR_OK)
        model_write(m, &post, ret_posted);
    return err;
}

/* ---- holds ------------------------------------------------------------------------------------
 */

static inline enum err model_hold(struct model *m, const struct ledger_hold_new *h,
                                  struct ledger_posted *ret_posted)
{
    struct model_post post = {.kind = LEDGER_HOLD, .count = 2};
    struct model_hold *hold;
    int64_t expires_at = h->expires_at_ns;
    enum err err;

    post.legs[0].account_id = h->from;
    post.legs[1].account_id = h->to;
    err = model_pair(m, &post, h->amount);
    if (err)
        return err;
    post.legs[0].held = post.legs[1].incoming = h->amount.minor;
    if (expires_at != 0 && expires_at <= m->now)
        return ERR_EFFECTIVE_AT;
    if (expires_at == 0 && m->hold_life_ns != 0)
        expires_at = m->now + m->hold_life_ns;
    err = model_states(m, &post);
    if (err == ERR_OK)
        err = model_funds(m, &post);
    if (err)
        return err;
    model_write(m, &post, ret_posted);
    *(size_t *)model_push(&m->open, sizeof(size_t)) = m->holds.count;
    hold = model_push(&m->holds, sizeof(*hold));
    *hold = (struct model_hold){
        post.accounts[0], post.accounts[1], ret_posted->seq, h->amount.minor, 0, 0, 0};
    hold->expires_at = expires_at == LEDGER_NEVER ? 0 : expires_at;
    return ERR_OK;
}

static inline void model_close_hold(struct model *m, size_t place, int64_t seq)
{
    size_t *open = ledger_list_at(&m->open, 0);
    size_t i = 0;

    model_hold_at(m, place)->ended_seq = seq;
    while (open[i] != place)
        i++;
    open[i] = open[--m->open.count];
}

static inline struct model_post model_hold_post(struct model *m, size_t place,
                                                enum ledger_kind kind)
{
    const struct model_hold *hold = model_hold_at(m, place);
    struct model_post post = {.kind = kind, .refers_to = hold->seq, .count = 2};

    post.accounts[0] = hold->from;
    post.accounts[1] = hold->to;
    post.legs[0].account_id = model_account_at(m, hold->from)->id;
    post.legs[1].account_id = model_account_at(m, hold->to)->id;
    return post;
}

static inline void model_release(struct model *m, size_t place, enum ledger_kind kind,
                                 struct ledger_posted *ret_posted)
{
    struct model_post post = model_hold_post(m, place, kind);
    const struct model_hold *hold = model_hold_at(m, place);

    post.legs[0].held = post.legs[1].incoming = hold->captured - hold->amount;
    model_write(m, &post, ret_posted);
    model_close_hold(m, place, ret_posted->seq);
}

/* The open hold that expired first, of those that pass. */
static inline bool model_due(struct model *m, const size_t *from, const size_t *to,
                             size_t *ret_place)
{
    bool found = false;

    for (size_t i = 0; i < m->open.count; i++) {
        size_t place = *(size_t *)ledger_list_at(&m->open, i);
        const struct model_hold *hold = model_hold_at(m, place);
        const struct model_hold *best = found ? model_hold_at(m, *ret_place) : NULL;

        if (hold->expires_at == 0 || hold->expires_at > m->clock ||
            (from != NULL && hold->from != *from) || (to != NULL && hold->to != *to))
            continue;
        if (best == NULL || hold->expires_at < best->expires_at ||
            (hold->expires_at == best->expires_at && hold->seq < best->seq)) {
            *ret_place = place;
            found = true;
        }
    }
    return found;
}

static inline enum err model_settle(struct model *m, size_t place)
{
    struct ledger_posted posted;
    size_t due = 0;

    while (model_due(m, &place, NULL, &due))
        model_release(m, due, LEDGER_EXPIRY, &posted);
    return ERR_OK;
}

static inline enum err model_capture(struct model *m, const struct ledger_capture *c,
                                     struct ledger_posted *ret_posted)
{
    struct model_post post;
    size_t place = 0;
    int64_t left, released;
    enum err err;

    if (!model_hold_find(m, c->hold_seq, &place))
        return ERR_NOT_FOUND;
    post = model_hold_post(m, place, LEDGER_CAPTURE);
    err = model_accounts(m, &post);
    if (err || c->amount <= 0)
        return err ? err : ERR_AMOUNT_RANGE;
    post.legs[0].posted = -c->amount;
    post.legs[1].posted = c->amount;
    err = model_states(m, &post);
    left = model_hold_at(m, place)->amount - model_hold_at(m, place)->captured;
    if (err == ERR_OK && model_hold_at(m, place)->ended_seq != 0)
        err = ERR_HOLD_ENDED;
    if (err == ERR_OK && c->amount > left)
        err = ERR_OVER_HOLD;
    released = c->ends ? left : c->amount;
    post.legs[0].held = post.legs[1].incoming = -released;
    if (err == ERR_OK)
        err = model_funds(m, &post);
    if (err)
        return err;
    model_write(m, &post, ret_posted);
    model_hold_at(m, place)->captured += c->amount;
    if (released == left)
        model_close_hold(m, place, ret_posted->seq);
    return ERR_OK;
}

static inline enum err model_void(struct model *m, int64_t seq, struct ledger_posted *ret_posted)
{
    struct model_post post;
    size_t place = 0;
    enum err err;

    if (!model_hold_find(m, seq, &place))
        return ERR_NOT_FOUND;
    post = model_hold_post(m, place, LEDGER_VOID);
    err = model_accounts(m, &post);
    if (err == ERR_OK)
        err = model_states(m, &post);
    if (err == ERR_OK && model_hold_at(m, place)->ended_seq != 0)
        err = ERR_HOLD_ENDED;
    if (err == ERR_OK)
        model_release(m, place, LEDGER_VOID, ret_posted);
    return err;
}

static inline size_t model_expire(struct model *m, size_t max)
{
    struct ledger_posted posted;
    size_t due = 0;
    size_t count = 0;

    for (; count < max && model_due(m, NULL, NULL, &due); count++)
        model_release(m, due, LEDGER_EXPIRY, &posted);
    return count;
}

/* ---- reversals --------------------------------------------------------------------------------
 */

static inline enum err model_reverse(struct model *m, const struct ledger_reversal *r,
                                     struct ledger_posted *ret_posted, int64_t *ret_amount)
{
    struct model_post original, post = {.kind = LEDGER_REVERSAL, .refers_to = r->seq};
    int64_t left, amount;
    enum err err;

    if (r->seq <= 0 || r->seq > (int64_t)m->posts.count)
        return ERR_NOT_FOUND;
    original = *model_post_at(m, (size_t)r->seq - 1);
    post.count = original.count;
    for (size_t i = 0; i < post.count; i++) {
        post.legs[i].account_id = original.legs[i].account_id;
        post.legs[i].posted = -original.legs[i].posted;
    }
    err = model_accounts(m, &post);
    original = *model_post_at(m, (size_t)r->seq - 1);
    if (err == ERR_OK && (r->amount < 0 || (r->amount > 0 && post.count > 2)))
        err = ERR_AMOUNT_RANGE;
    if (err == ERR_OK)
        err = model_states(m, &post);
    if (err)
        return err;
    if (original.kind == LEDGER_HOLD || original.kind == LEDGER_VOID ||
        original.kind == LEDGER_EXPIRY || original.kind == LEDGER_REVERSAL)
        return ERR_TRANSITION;
    left = llabs(original.legs[0].posted) - original.reversed;
    amount = r->amount == 0 ? left : r->amount;
    if (original.reversed < 0 || (post.count == 2 && (left == 0 || amount > left)))
        return ERR_OVER_ORIGINAL;
    for (size_t i = 0; i < post.count && post.count == 2; i++)
        post.legs[i].posted = original.legs[i].posted < 0 ? amount : -amount;
    err = model_funds(m, &post);
    if (err)
        return err;
    model_write(m, &post, ret_posted);
    *ret_amount = post.count == 2 ? amount : 0;
    model_post_at(m, (size_t)r->seq - 1)->reversed += post.count == 2 ? amount : -1;
    return ERR_OK;
}

/* ---- accounts ---------------------------------------------------------------------------------
 */

static inline size_t model_open(struct model *m, int64_t id, enum currency currency)
{
    assert_true(m->account_count < MODEL_ACCOUNTS);
    m->accounts[m->account_count].is = (struct ledger_account){
        .id = id, .user_id = id > 0 ? 1 : 0, .currency = currency, .state = LEDGER_ACTIVE};
    return m->account_count++;
}

static inline enum err model_set_state(struct model *m, int64_t id, enum ledger_state state)
{
    struct ledger_posted posted;
    struct ledger_account *account;
    size_t place = 0;
    size_t due = 0;

    if (id <= 0 || !model_find(m, id, &place))
        return ERR_NOT_FOUND;
    (void)model_settle(m, place);
    while (state == LEDGER_CLOSED && model_due(m, NULL, &place, &due))
        model_release(m, due, LEDGER_EXPIRY, &posted);
    account = model_account_at(m, place);
    if (account->state == LEDGER_CLOSED)
        return ERR_ACCOUNT_CLOSED;
    if (state == LEDGER_CLOSED &&
        (account->posted != 0 || account->held != 0 || account->incoming != 0))
        return ERR_BALANCE_LEFT;
    account->state = state;
    return ERR_OK;
}

static inline enum err model_set_limit(struct model *m, int64_t id, int64_t credit_limit)
{
    struct ledger_account *account;
    size_t place = 0;
    ledger_wide left;

    if (id <= 0 || !model_find(m, id, &place))
        return ERR_NOT_FOUND;
    (void)model_settle(m, place);
    account = model_account_at(m, place);
    left = (ledger_wide)account->posted - account->held + credit_limit;
    if (credit_limit < 0)
        return ERR_AMOUNT_RANGE;
    if (account->state == LEDGER_CLOSED)
        return ERR_ACCOUNT_CLOSED;
    if (left < 0)
        return ERR_FUNDS;
    if (left + account->held > INT64_MAX)
        return ERR_BALANCE_RANGE;
    if (account->credit_limit == credit_limit)
        return ERR_OK;
    account->credit_limit = credit_limit;
    m->at = m->now > m->at ? m->now : m->at + 1; /* a limit has a moment of its own */
    return ERR_OK;
}

/* ---- taking back ------------------------------------------------------------------------------
 */

static inline struct model_mark model_mark(const struct model *m)
{
    struct model_mark mark = {.posts = m->posts.count, .at = m->at};

    for (size_t i = 0; i < m->account_count; i++) {
        mark.states[i] = m->accounts[i].is.state;
        mark.limits[i] = m->accounts[i].is.credit_limit;
    }
    return mark;
}

static inline void model_undo_hold(struct model *m, const struct model_post *post)
{
    size_t place = 0;

    if (post->kind == LEDGER_HOLD) {
        assert_true(model_hold_find(m, post->seq, &place));
        model_close_hold(m, place, post->seq);
        m->holds.count--;
        return;
    }
    assert_true(model_hold_find(m, post->refers_to, &place));
    if (post->kind == LEDGER_CAPTURE)
        model_hold_at(m, place)->captured -= post->legs[1].posted;
    if (model_hold_at(m, place)->ended_seq == post->seq) {
        model_hold_at(m, place)->ended_seq = 0;
        *(size_t *)model_push(&m->open, sizeof(size_t)) = place;
    }
}

static inline void model_undo(struct model *m, const struct model_mark *mark)
{
    while (m->posts.count > mark->posts) {
        const struct model_post *post = model_post_at(m, m->posts.count - 1);

        model_apply(m, post, -1);
        if (post->kind == LEDGER_REVERSAL) {
            struct model_post *original = model_post_at(m, (size_t)post->refers_to - 1);

            original->reversed -= post->count == 2 ? llabs(post->legs[0].posted) : -1;
        } else if (post->kind == LEDGER_HOLD || post->kind == LEDGER_CAPTURE ||
                   post->kind == LEDGER_VOID || post->kind == LEDGER_EXPIRY) {
            model_undo_hold(m, post);
        }
        m->posts.count--;
    }
    m->at = mark->at;
    for (size_t i = 0; i < m->account_count; i++) {
        m->accounts[i].is.state = mark->states[i];
        m->accounts[i].is.credit_limit = mark->limits[i];
    }
}

/* ---- reading ----------------------------------------------------------------------------------
 */

/* As a reader must see it when the clock shows this. */
static inline struct ledger_account model_now(const struct model *m, size_t place, int64_t clock_ns)
{
    struct ledger_account account = m->accounts[place].is;

    for (size_t i = 0; i < m->open.count; i++) {
        const struct model_hold *hold = model_hold_at(m, *(size_t *)ledger_list_at(&m->open, i));

        if (hold->expires_at == 0 || hold->expires_at > clock_ns)
            continue;
        if (hold->from == place)
            account.held -= hold->amount - hold->captured;
        if (hold->to == place)
            account.incoming -= hold->amount - hold->captured;
    }
    return account;
}

/* How many of an account's entries lie up to a number and a time. Both only rise. */
static inline size_t model_reach(const struct model *m, const struct ledger_list *entries,
                                 int64_t seq, int64_t at)
{
    size_t low = 0;
    size_t high = entries->count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct model_entry *entry = ledger_list_at(entries, middle);
        const struct model_post *post = model_post_at(m, entry->post);

        if (post->seq <= seq && post->at <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* As it was: the last entry that is old enough, and by effective date what was posted behind it for
 * an earlier day. */
static inline enum err model_then(const struct model *m, size_t place,
                                  const struct ledger_moment *moment,
                                  struct ledger_balance *ret_balance)
{
    const struct ledger_list *entries = &m->accounts[place].entries;
    int64_t seq = moment->seq == 0 ? INT64_MAX : moment->seq;
    int64_t at = moment->at_ns == 0 ? INT64_MAX : moment->at_ns;
    int64_t effective_at = moment->effective_at_ns == 0 ? INT64_MAX : moment->effective_at_ns;
    size_t end = model_reach(m, entries, seq, at);
    size_t then = model_reach(m, entries, seq, at < effective_at ? at : effective_at);
    struct ledger_balance balance = {0};
    ledger_wide posted;

    if (then > 0)
        balance = ((struct model_entry *)ledger_list_at(entries, then - 1))->after;
    posted = balance.posted;
    for (size_t i = then; i < end; i++) {
        const struct model_entry *entry = ledger_list_at(entries, i);
        const struct model_post *post = model_post_at(m, entry->post);

        if (post->effective_at > effective_at)
            continue;
        for (size_t k = 0; k < post->count; k++)
            posted += post->accounts[k] == place ? post->legs[k].posted : 0;
        balance.seq = post->seq;
    }
    balance.posted = (int64_t)posted;
    *ret_balance = balance;
    return model_outside(posted) ? ERR_BALANCE_RANGE : ERR_OK;
}

static inline void model_free(struct model *m)
{
    for (size_t i = 0; i < m->account_count; i++)
        alloc_free(m->accounts[i].entries.items);
    alloc_free(m->posts.items);
    alloc_free(m->holds.items);
    alloc_free(m->open.items);
}

#endif
