/* SPDX-License-Identifier: MIT
 * Every call to the database and every allocation of a short life fails once, one after the other.
 * Whatever the ledger then answers: the books stay sound, what was acknowledged is there, and what
 * was not is absent. */
#include "ledger/ledger_books_test_kit.h"

/* A life of two accounts, and what is known of it. */
struct life {
    int64_t a, b;
    int64_t posted_a, posted_b, held_a; /* by what was acknowledged */
    int64_t hold, transfer;
    bool strange; /* an answer that no failure explains */
};

static const struct store_statement count_keys = {.name = "fault_count",
                                                  .sqlite = "SELECT count(*) FROM ledger_posts"};

/* Both at once: they are there, or none of it is. */
static enum err begin_work(struct ledger_turn *turn, void *context)
{
    const struct ledger_account_new made = {
        .user_id = 1, .currency = CURRENCY_EUR, .state = LEDGER_ACTIVE};
    int64_t house = ledger_house_account(LEDGER_SETTLEMENT, CURRENCY_EUR);
    struct ledger_posted posted;
    struct ledger_transfer deposit = transfer_of(house, 0, 1000, CURRENCY_EUR);
    struct life *life = context;
    enum err err = ledger_account_open(turn, &made, &life->a);

    if (err == ERR_OK)
        err = ledger_account_open(turn, &made, &life->b);
    deposit.to = life->a;
    if (err == ERR_OK)
        err = ledger_move(turn, &deposit, &posted);
    if (err == ERR_OK)
        err = ledger_account_set_limit(turn, life->b, 100);
    return err;
}

static enum err pay_work(struct ledger_turn *turn, void *context)
{
    struct life *life = context;
    struct ledger_transfer pay = transfer_of(life->a, life->b, 100, CURRENCY_EUR);
    const struct ledger_hold_new hold = {.from = life->a,
                                         .to = life->b,
                                         .amount = {200, CURRENCY_EUR},
                                         .expires_at_ns = ledger_turn_now(turn) + DAY};
    struct ledger_posted posted = {0}, held = {0};
    enum err err;

    ledger_turn_want(turn, life->a);
    ledger_turn_want(turn, life->b);
    err = ledger_turn_load(turn);
    if (err == ERR_OK)
        err = ledger_move(turn, &pay, &posted);
    if (err == ERR_OK)
        err = ledger_hold(turn, &hold, &held);
    life->transfer = posted.seq;
    life->hold = held.seq;
    return err;
}

static enum err settle_work(struct ledger_turn *turn, void *context)
{
    struct life *life = context;
    const struct ledger_capture capture = {.hold_seq = life->hold, .amount = 50};
    const struct ledger_reversal reversal = {.seq = life->transfer, .amount = 30};
    struct ledger_posted posted;
    enum err err = ledger_capture(turn, &capture, &posted);

    if (err == ERR_OK)
        err = ledger_reverse(turn, &reversal, &posted, NULL);
    return err;
}

/* Whether it was done. What fails is told as such, never as an answer about money. */
static bool did(struct life *life, ledger_work_fn *work)
{
    enum err err = doing(work, life);

    if (err != ERR_OK && err_status(err) < 500)
        life->strange = true;
    return err == ERR_OK;
}

static void live(struct life *life)
{
    bool more = false;

    *life = (struct life){0};
    if (!did(life, begin_work))
        return;
    life->posted_a = 1000;
    if (!did(life, pay_work))
        return;
    life->posted_a -= 100, life->posted_b += 100, life->held_a += 200;
    if (did(life, settle_work))
        life->posted_a -= 20, life->posted_b += 20, life->held_a -= 50;
    clock_fake_move(&bench.clock, DAY + 1000);
    if (ledger_sweep(bench.ledger, &more) == ERR_OK)
        life->held_a = 0;
}

/* The sweep may have ended the hold and failed behind its commit. */
static void check(const struct life *life)
{
    struct ledger_account account;

    books_are_sound();
    assert_false(life->strange);
    if (life->posted_a == 0)
        return;
    account = account_of(life->a);
    assert_int_equal(account.posted, life->posted_a);
    assert_true(account.held == life->held_a || account.held == 0);
    account = account_of(life->b);
    assert_int_equal(account.posted, life->posted_b);
}

/* How often `arm` strikes before a life gets by without it. */
static size_t every(void (*arm)(uint64_t nth), bool (*is_pending)(void))
{
    struct life life;

    for (uint64_t nth = 1;; nth++) {
        bool over;

        assert_true(nth < 3000);
        arm(nth);
        live(&life);
        over = is_pending();
        arm(0);
        check(&life);
        if (over)
            return (size_t)nth - 1;
    }
}

static void every_call_fails_once(void **state)
{
    (void)state;
    assert_in_range(every(store_fail_at, store_fail_pending), 40, 200);
    assert_true(number_of(&count_keys) > 100);
}

static bool allocation_pending(void)
{
    return alloc_fail_pending() != 0;
}

/* A turn of its own memory each time: none is left over from the one before. */
static void allocations_arm(uint64_t nth)
{
    struct ledger_options options = *ledger_options_of(bench.ledger);

    alloc_fail_at(0);
    ledger_free(bench.ledger);
    assert_int_equal(ledger_new(&options, &bench.ledger), ERR_OK);
    alloc_fail_at(nth);
}

static void every_allocation_fails_once(void **state)
{
    (void)state;
    assert_in_range(every(allocations_arm, allocation_pending), 10, 400);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        BENCH_TEST(every_call_fails_once),
        BENCH_TEST(every_allocation_fails_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
