/* SPDX-License-Identifier: MIT
 * Holds from their placing to their end, reversals, and reads of now and then, through the calls
 * that others use; stories of them are in cases/. */
#include "ledger/ledger_test_kit.h"

/* One step of a test, in a turn of its own. */
struct step {
    struct ledger_hold_new hold;
    struct ledger_capture capture;
    struct ledger_reversal reversal;
    int64_t seq;
    struct ledger_posted posted;
    int64_t amount;
    struct ledger_hold seen;
    size_t count;
};

static enum err hold_work(struct ledger_turn *turn, void *context)
{
    struct step *step = context;

    return ledger_hold(turn, &step->hold, &step->posted);
}

static enum err capture_work(struct ledger_turn *turn, void *context)
{
    struct step *step = context;

    return ledger_capture(turn, &step->capture, &step->posted);
}

static enum err void_work(struct ledger_turn *turn, void *context)
{
    struct step *step = context;

    return ledger_void(turn, step->seq, &step->posted);
}

static enum err reverse_work(struct ledger_turn *turn, void *context)
{
    struct step *step = context;

    return ledger_reverse(turn, &step->reversal, &step->posted, &step->amount);
}

static enum err get_work(struct ledger_turn *turn, void *context)
{
    struct step *step = context;

    return ledger_hold_get(turn, step->seq, &step->seen);
}

static int64_t held_for(int64_t from, int64_t to, int64_t minor, int64_t expires_at_ns)
{
    struct step step = {.hold = {.from = from,
                                 .to = to,
                                 .amount = {.minor = minor, .currency = CURRENCY_USD},
                                 .expires_at_ns = expires_at_ns}};

    assert_int_equal(doing(hold_work, &step), ERR_OK);
    return step.posted.seq;
}

static enum err captured(int64_t hold_seq, int64_t amount, bool ends)
{
    struct step step = {
        .capture = {.hold_seq = hold_seq, .amount = amount, .ends = ends, .transaction_id = 0}};

    return doing(capture_work, &step);
}

static struct ledger_hold hold_of(int64_t seq)
{
    struct step step = {.seq = seq};

    assert_int_equal(doing(get_work, &step), ERR_OK);
    return step.seen;
}

/* What a reader is told. */
struct reading {
    int64_t id;
    struct ledger_account account;
    struct ledger_moment moment;
    struct ledger_balance balance;
};

static enum err read_now(struct store_conn *conn, struct store_job *job)
{
    struct reading *reading = job->context;

    return ledger_account_get(bench.ledger, conn, reading->id, &reading->account);
}

static enum err read_then(struct store_conn *conn, struct store_job *job)
{
    struct reading *reading = job->context;

    return ledger_balance_at(conn, reading->id, &reading->moment, &reading->balance);
}

static struct ledger_account read_of(int64_t id)
{
    struct reading reading = {.id = id};

    assert_int_equal(store_do(bench.store, read_now, &reading, false), ERR_OK);
    return reading.account;
}

static struct ledger_balance balance_of(int64_t id, struct ledger_moment moment)
{
    struct reading reading = {.id = id, .moment = moment};

    assert_int_equal(store_do(bench.store, read_then, &reading, false), ERR_OK);
    return reading.balance;
}

static void a_hold_is_captured_and_given_back(void **state)
{
    int64_t a = opened(CURRENCY_USD);
    int64_t b = opened(CURRENCY_USD);
    int64_t hold;

    (void)state;
    paid_in(a, 1000, CURRENCY_USD);
    hold = held_for(a, b, 600, 0);
    assert_int_equal(account_of(a).held, 600);
    assert_int_equal(account_of(b).incoming, 600);
    assert_int_equal(moved(a, b, 401, CURRENCY_USD), ERR_FUNDS);
    assert_int_equal(captured(hold, 200, false), ERR_OK);
    assert_int_equal(hold_of(hold).captured, 200);
    assert_true(hold_of(hold).is_open);
    assert_int_equal(captured(hold, 401, true), ERR_OVER_HOLD);
    assert_int_equal(captured(hold, 100, true), ERR_OK);
    assert_false(hold_of(hold).is_open);
    assert_int_equal(captured(hold, 1, false), ERR_HOLD_ENDED);
    assert_int_equal(account_of(a).posted, 700);
    assert_int_equal(account_of(a).held, 0);
    assert_int_equal(account_of(b).posted, 300);
    assert_int_equal(account_of(b).incoming, 0);
}

/* A reader sees it at once, a turn ends it, the sweep finds the rest. Never early. */
static void a_hold_expires_on_time(void **state)
{
    int64_t a = opened(CURRENCY_USD);
    int64_t b = opened(CURRENCY_USD);
    int64_t first, second;
    bool more = true;

    (void)state;
    paid_in(a, 1000, CURRENCY_USD);
    first = held_for(a, b, 600, T0 + 1000);
    second = held_for(a, b, 100, T0 + 2000);
    clock_fake_move(&bench.clock, 999);
    assert_int_equal(read_of(a).held, 700);
    assert_int_equal(account_of(a).held, 700);
    clock_fake_move(&bench.clock, 1);
    assert_int_equal(read_of(a).held, 100);
    assert_int_equal(read_of(b).incoming, 100);
    assert_int_equal(read_of(a).seq, 3);
    assert_false(hold_of(first).is_open);
    assert_int_equal(captured(first, 1, true), ERR_HOLD_ENDED);
    assert_int_equal(account_of(a).held, 100);
    assert_int_equal(read_of(a).seq, 4);
    clock_fake_move(&bench.clock, 1000);
    assert_int_equal(ledger_sweep(bench.ledger, &more), ERR_OK);
    assert_false(more);
    assert_int_equal(read_of(b).seq, 5);
    assert_int_equal(account_of(a).seq, 5);
    assert_int_equal(account_of(b).incoming, 0);
    assert_false(hold_of(second).is_open);
}

static void a_void_gives_back(void **state)
{
    int64_t a = opened(CURRENCY_USD);
    int64_t b = opened(CURRENCY_USD);
    struct step step = {0};

    (void)state;
    paid_in(a, 1000, CURRENCY_USD);
    step.seq = held_for(a, b, 600, LEDGER_NEVER);
    assert_int_equal(doing(void_work, &step), ERR_OK);
    assert_int_equal(account_of(a).held, 0);
    assert_int_equal(doing(void_work, &step), ERR_HOLD_ENDED);
    step.seq = 1;
    assert_int_equal(doing(void_work, &step), ERR_NOT_FOUND);
}

static void a_reversal_is_bounded(void **state)
{
    int64_t a = opened(CURRENCY_USD);
    int64_t b = opened(CURRENCY_USD);
    struct step step = {.reversal = {.seq = 2, .amount = 100}};

    (void)state;
    paid_in(a, 1000, CURRENCY_USD);
    assert_int_equal(moved(a, b, 300, CURRENCY_USD), ERR_OK);
    assert_int_equal(doing(reverse_work, &step), ERR_OK);
    assert_int_equal(step.amount, 100);
    assert_int_equal(account_of(b).posted, 200);
    step.reversal.amount = 201;
    assert_int_equal(doing(reverse_work, &step), ERR_OVER_ORIGINAL);
    step.reversal.amount = 0;
    assert_int_equal(doing(reverse_work, &step), ERR_OK);
    assert_int_equal(step.amount, 200);
    assert_int_equal(doing(reverse_work, &step), ERR_OVER_ORIGINAL);
    step.reversal.seq = 3;
    assert_int_equal(doing(reverse_work, &step), ERR_TRANSITION);
    step.reversal.seq = 99;
    assert_int_equal(doing(reverse_work, &step), ERR_NOT_FOUND);
}

static void the_past_stays(void **state)
{
    int64_t a = opened(CURRENCY_USD);
    struct movement late = {.transfer = {.kind = LEDGER_TRANSFER,
                                         .from = a,
                                         .to = opened(CURRENCY_USD),
                                         .amount = {.minor = 50, .currency = CURRENCY_USD},
                                         .effective_at_ns = T0 + DAY / 2}};

    (void)state;
    paid_in(a, 1000, CURRENCY_USD); /* 1, at T0 */
    clock_fake_move(&bench.clock, DAY);
    paid_in(a, 500, CURRENCY_USD); /* 2, a day later */
    clock_fake_move(&bench.clock, DAY);
    assert_int_equal(doing(move_work, &late), ERR_OK); /* 3, for half a day behind T0 */
    assert_int_equal(balance_of(a, (struct ledger_moment){0}).posted, 1450);
    assert_int_equal(balance_of(a, (struct ledger_moment){.seq = 2}).posted, 1500);
    assert_int_equal(balance_of(a, (struct ledger_moment){.at_ns = T0}).posted, 1000);
    assert_int_equal(balance_of(a, (struct ledger_moment){.at_ns = T0 - 1}).posted, 0);
    assert_int_equal(balance_of(a, (struct ledger_moment){.effective_at_ns = T0}).posted, 1000);
    assert_int_equal(balance_of(a, (struct ledger_moment){.effective_at_ns = T0 + DAY / 2}).posted,
                     950);
    assert_int_equal(
        balance_of(a, (struct ledger_moment){.effective_at_ns = T0 + DAY / 2, .seq = 2}).posted,
        1000);
    assert_int_equal(balance_of(a, (struct ledger_moment){.effective_at_ns = T0 + DAY / 2}).seq, 3);
    late.transfer.effective_at_ns = T0 - 29 * DAY;
    assert_int_equal(doing(move_work, &late), ERR_EFFECTIVE_AT);
    late.transfer.effective_at_ns = T0 + 3 * DAY;
    assert_int_equal(doing(move_work, &late), ERR_EFFECTIVE_AT);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        BENCH_TEST(a_hold_is_captured_and_given_back),
        BENCH_TEST(a_hold_expires_on_time),
        BENCH_TEST(a_void_gives_back),
        BENCH_TEST(a_reversal_is_bounded),
        BENCH_TEST(the_past_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
