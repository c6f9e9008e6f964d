/* SPDX-License-Identifier: MIT
 * Random operations, each done by the ledger and by its model, and their answers compared. The
 * first difference is kept in run.fault; the rest of the run is ledger_model_test.c's. */
#ifndef PC_LEDGER_LEDGER_MODEL_RUN_TEST_KIT_H
#define PC_LEDGER_LEDGER_MODEL_RUN_TEST_KIT_H

#include "base/random.h"
#include "ledger/ledger_model_test_kit.h"

enum {
    KEPT_MAX = 256,
    BACKDATE_S = 20 * 24 * 60 * 60,
    HOLD_LIFE_S = 6 * 60 * 60,
};

/* What was read of the past, to be read again. */
struct kept {
    size_t place;
    struct ledger_moment moment;
    struct ledger_balance balance;
};

struct run {
    struct model model;
    struct random_seeded random;
    uint64_t seed;
    size_t operations, done;
    struct ledger_turn *turn;
    struct model_mark began; /* the present turn */
    size_t runs;             /* of the present turn's work */
    bool fails;              /* it is to fail at its end */
    bool has_mark;
    struct ledger_mark mark;
    struct model_mark model_mark;
    struct kept kept[KEPT_MAX];
    size_t kept_count;
    uint64_t answers[ERR_COUNT];
    char fault[256];
};
static struct run run;

/* ---- chance -----------------------------------------------------------------------------------
 */

static inline uint64_t below(uint64_t bound)
{
    uint64_t value;

    random_fill(&run.random.source, &value, sizeof(value));
    return value % bound;
}

static inline bool chance(uint64_t percent)
{
    return below(100) < percent;
}

static inline size_t any_place(void)
{
    return (size_t)below(run.model.account_count);
}

/* Now and then of nobody. */
static inline int64_t any_account(void)
{
    return chance(1) ? 4711 : run.model.accounts[any_place()].is.id;
}

/* Mostly small, sometimes nothing or less, seldom at the edge. */
static inline int64_t any_amount(void)
{
    if (chance(96))
        return 1 + (int64_t)below(1000);
    if (chance(50))
        return (int64_t)below(3) - 1;
    return INT64_MAX - (int64_t)below(3000);
}

/* Of another account's currency often enough. */
static inline struct money any_money(int64_t account_id)
{
    size_t place = 0;

    if (chance(4) || !model_find(&run.model, account_id, &place))
        place = any_place();
    return (struct money){any_amount(), run.model.accounts[place].is.currency};
}

/* An account of the same currency, mostly. */
static inline int64_t any_partner(int64_t account_id)
{
    size_t place = 0;

    if (chance(3) || !model_find(&run.model, account_id, &place))
        return any_account();
    for (size_t tries = 0; tries < 20; tries++) {
        size_t other = any_place();

        if (run.model.accounts[other].is.currency == run.model.accounts[place].is.currency)
            return run.model.accounts[other].is.id;
    }
    return any_account();
}

static inline int64_t any_posting(void)
{
    uint64_t count = run.model.posts.count;

    if (count == 0 || chance(1))
        return (int64_t)count + (int64_t)below(3);
    return (int64_t)(count - below(chance(80) && count > 30 ? 30 : count));
}

static inline int64_t any_hold(void)
{
    const struct model *m = &run.model;

    if (m->open.count > 0 && chance(70))
        return model_hold_at(m, *(size_t *)ledger_list_at(&m->open, below(m->open.count)))->seq;
    if (m->holds.count > 0 && chance(90))
        return model_hold_at(m, m->holds.count - 1 - below(m->holds.count > 40 ? 40 : 1))->seq;
    return any_posting();
}

static inline int64_t any_effective(void)
{
    if (chance(85))
        return 0;
    if (chance(5))
        return run.model.now + (int64_t)below(3) - 1;
    if (chance(5))
        return run.model.now - BACKDATE_S * CLOCK_NS_PER_S + (int64_t)below(3) - 1;
    return run.model.now - (int64_t)below(BACKDATE_S) * CLOCK_NS_PER_S;
}

/* ---- comparing --------------------------------------------------------------------------------
 */

PC_FORMAT(1, 2)
static inline void fault(const char *format, ...)
{
    va_list args;

    if (run.fault[0] != '\0')
        return;
    va_start(args, format);
    (void)vsnprintf(run.fault, sizeof(run.fault), format, args);
    va_end(args);
}

static inline void same_answer(const char *what, enum err real, enum err model,
                               const struct ledger_posted *one, const struct ledger_posted *other)
{
    run.answers[real]++;
    if (real != model)
        fault("%s: %s, the model says %s", what, err_name(real), err_name(model));
    else if (real == ERR_OK && (one->seq != other->seq || one->at_ns != other->at_ns ||
                                one->effective_at_ns != other->effective_at_ns))
        fault("%s: posting %lld, the model says %lld, or their times differ", what,
              (long long)one->seq, (long long)other->seq);
}

static inline void same_account(const char *what, const struct ledger_account *real,
                                const struct ledger_account *model)
{
    if (real->posted != model->posted || real->held != model->held ||
        real->incoming != model->incoming || real->credit_limit != model->credit_limit ||
        real->state != model->state || real->currency != model->currency ||
        real->user_id != model->user_id || real->seq != model->seq)
        fault("%s: account %lld is %lld %lld %lld behind %lld, the model says %lld %lld %lld "
              "behind %lld",
              what, (long long)real->id, (long long)real->posted, (long long)real->held,
              (long long)real->incoming, (long long)real->seq, (long long)model->posted,
              (long long)model->held, (long long)model->incoming, (long long)model->seq);
}

/* ---- operations -------------------------------------------------------------------------------
 */

static inline void op_move(void)
{
    struct ledger_transfer t = {.kind = chance(50) ? LEDGER_TRANSFER : LEDGER_TRANSACTION,
                                .from = any_account(),
                                .effective_at_ns = any_effective()};
    struct ledger_posted one = {0}, other = {0};
    size_t place = 0;
    enum err real;

    t.to = any_partner(t.from);
    t.amount = any_money(t.from);
    if (chance(8) && model_find(&run.model, t.from, &place)) /* all there is */
        t.amount.minor = run.model.accounts[place].is.posted;
    real = ledger_move(run.turn, &t, &one);
    same_answer("move", real, model_move(&run.model, &t, &other), &one, &other);
}

/* Money comes in more often than it goes. */
static inline void op_deposit(void)
{
    size_t place = any_place();
    const struct ledger_account *account = &run.model.accounts[place].is;
    struct ledger_transfer t = {.kind = LEDGER_DEPOSIT,
                                .from = ledger_house_account(LEDGER_SETTLEMENT, account->currency),
                                .to = account->id,
                                .amount = {any_amount(), account->currency}};
    struct ledger_posted one = {0}, other = {0};
    enum err real = ledger_move(run.turn, &t, &one);

    same_answer("deposit", real, model_move(&run.model, &t, &other), &one, &other);
}

static inline void op_post(void)
{
    struct model_post post = {.kind = LEDGER_POSTING,
                              .effective_at = any_effective(),
                              .count = 1 + (size_t)below(MODEL_LEGS)};
    struct ledger_posting posting = {.kind = LEDGER_POSTING,
                                     .legs = post.legs,
                                     .leg_count = post.count,
                                     .effective_at_ns = post.effective_at};
    struct ledger_leg legs[MODEL_LEGS];
    int64_t sum = 0;
    struct ledger_posted one = {0}, other = {0};
    enum err real;

    post.legs[0].account_id = any_account();
    for (size_t i = 1; i < post.count; i++) {
        post.legs[i].account_id = any_partner(post.legs[0].account_id);
        post.legs[i].posted = (int64_t)below(100) - (chance(20) ? 50 : 0);
        sum += post.legs[i].posted;
    }
    post.legs[0].posted = -sum + (chance(3) ? 1 : 0);
    memcpy(legs, post.legs, sizeof(legs));
    posting.legs = legs;
    real = ledger_post(run.turn, &posting, &one);
    same_answer("post", real, model_post(&run.model, &post, &other), &one, &other);
}

static inline void op_hold(void)
{
    struct ledger_hold_new h = {.from = any_account()};
    struct ledger_posted one = {0}, other = {0};
    enum err real;

    h.to = any_partner(h.from);
    h.amount = any_money(h.from);
    if (chance(40)) /* soon, and often at the same moment as others */
        h.expires_at_ns = run.model.clock + (int64_t)below(30) * CLOCK_NS_PER_S;
    else if (chance(30))
        h.expires_at_ns = run.model.now - 10 + (int64_t)below(2 * HOLD_LIFE_S) * CLOCK_NS_PER_S;
    else if (chance(10))
        h.expires_at_ns = LEDGER_NEVER;
    real = ledger_hold(run.turn, &h, &one);
    same_answer("hold", real, model_hold(&run.model, &h, &other), &one, &other);
}

static inline void op_capture(void)
{
    struct ledger_capture c = {
        .hold_seq = any_hold(), .amount = 1 + (int64_t)below(600), .ends = chance(40)};
    struct ledger_posted one = {0}, other = {0};
    size_t place = 0;
    enum err real;

    if (chance(30) && model_hold_find(&run.model, c.hold_seq, &place)) /* to the last cent */
        c.amount = model_hold_at(&run.model, place)->amount -
                   model_hold_at(&run.model, place)->captured + (int64_t)below(3) - 1;
    real = ledger_capture(run.turn, &c, &one);
    same_answer("capture", real, model_capture(&run.model, &c, &other), &one, &other);
}

static inline void op_void(void)
{
    int64_t seq = any_hold();
    struct ledger_posted one = {0}, other = {0};
    enum err real = ledger_void(run.turn, seq, &one);

    same_answer("void", real, model_void(&run.model, seq, &other), &one, &other);
}

static inline void op_reverse(void)
{
    struct ledger_reversal r = {.seq = any_posting()};
    struct ledger_posted one = {0}, other = {0};
    int64_t amount = 0, model_amount = 0;
    enum err real;

    if (chance(60))
        r.amount = chance(2) ? -1 : (int64_t)below(700);
    real = ledger_reverse(run.turn, &r, &one, &amount);
    same_answer("reverse", real, model_reverse(&run.model, &r, &other, &model_amount), &one,
                &other);
    if (amount != model_amount)
        fault("reverse: %lld, the model says %lld", (long long)amount, (long long)model_amount);
}

/* One without money, though maybe with promises. */
static inline int64_t any_empty(int64_t otherwise)
{
    for (size_t tries = 0; tries < 40; tries++) {
        const struct ledger_account *account = &run.model.accounts[any_place()].is;

        if (account->id > 0 && account->posted == 0 && account->state != LEDGER_CLOSED)
            return account->id;
    }
    return otherwise;
}

static inline void op_state(void)
{
    int64_t id = any_account();
    enum ledger_state state = chance(70)   ? LEDGER_ACTIVE
                              : chance(80) ? LEDGER_FROZEN
                                           : LEDGER_CLOSED;
    struct ledger_posted none = {0};
    enum err real;

    if (state == LEDGER_CLOSED && chance(50))
        id = any_empty(id);
    real = ledger_account_set_state(run.turn, id, state);

    same_answer("state", real, model_set_state(&run.model, id, state), &none, &none);
}

static inline void op_limit(void)
{
    int64_t id = any_account();
    int64_t limit = chance(90) ? (int64_t)below(2000) : any_amount();
    struct ledger_posted none = {0};
    enum err real = ledger_account_set_limit(run.turn, id, limit);

    same_answer("limit", real, model_set_limit(&run.model, id, limit), &none, &none);
}

static inline void op_look(void)
{
    struct ledger_account account = {0};
    struct ledger_hold hold = {0};
    int64_t id = any_account();
    int64_t seq = any_hold();
    size_t place = 0;
    bool known = model_find(&run.model, id, &place);
    enum err err = ledger_turn_account(run.turn, id, &account);

    if ((err == ERR_OK) != known)
        fault("account %lld: %s", (long long)id, err_name(err));
    if (known) {
        (void)model_settle(&run.model, place);
        same_account("look", &account, model_account_at(&run.model, place));
    }
    err = ledger_hold_get(run.turn, seq, &hold);
    if ((err == ERR_OK) != model_hold_find(&run.model, seq, &place)) {
        fault("hold %lld: %s", (long long)seq, err_name(err));
    } else if (err == ERR_OK) {
        const struct model_hold *other = model_hold_at(&run.model, place);
        bool is_open = other->ended_seq == 0 &&
                       (other->expires_at == 0 || other->expires_at > run.model.clock);

        if (hold.amount != other->amount || hold.captured != other->captured ||
            hold.expires_at_ns != other->expires_at || hold.is_open != is_open)
            fault("hold %lld: of %lld captured %lld", (long long)seq, (long long)hold.amount,
                  (long long)hold.captured);
    }
}

static inline void op_mark(void)
{
    if (!run.has_mark) {
        run.mark = ledger_turn_mark(run.turn);
        run.model_mark = model_mark(&run.model);
    } else if (chance(60)) {
        ledger_turn_undo(run.turn, run.mark);
        model_undo(&run.model, &run.model_mark);
    }
    run.has_mark = !run.has_mark;
}

static inline void op_expire(void)
{
    size_t max = (size_t)below(3);
    size_t count = 0;
    enum err err = ledger_expire(run.turn, max, &count);
    size_t expected = model_expire(&run.model, max);

    if (err || count != expected)
        fault("expire: %zu, the model says %zu", count, expected);
}

static const struct {
    unsigned weight;
    void (*run)(void);
} ops[] = {
    {30, op_move},    {20, op_deposit}, {8, op_post},    {14, op_hold},
    {10, op_capture}, {4, op_void},     {6, op_reverse}, {4, op_state},
    {2, op_limit},    {6, op_look},     {5, op_mark},    {1, op_expire},
};

static inline void op_any(void)
{
    uint64_t total = 0;
    uint64_t drawn;
    size_t i = 0;

    for (size_t k = 0; k < PC_COUNT(ops); k++)
        total += ops[k].weight;
    for (drawn = below(total); drawn >= ops[i].weight; i++)
        drawn -= ops[i].weight;
    ops[i].run();
}

#endif
