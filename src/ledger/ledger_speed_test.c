/* SPDX-License-Identifier: MIT
 * How long a transfer takes inside of the ledger, by how many share a turn, on either database, and
 * how much of that is the trail's. It promises nothing about time; PORTCULLIS_TEST_TRANSFERS makes
 * it long enough to tell. */
#include "ledger/ledger_test_kit.h"

#include <time.h>

enum { ACCOUNTS = 1000, TRANSFERS = 2000 };

struct crowd {
    int64_t ids[ACCOUNTS];
    size_t accounts; /* of them take part */
    size_t group;    /* transfers in a turn */
    uint64_t state;
};
static struct crowd crowd;

static uint64_t draw(struct crowd *c)
{
    c->state = c->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return c->state >> 33;
}

static enum err open_all(struct ledger_turn *turn, void *context)
{
    struct crowd *c = context;
    const struct ledger_account_new made = {
        .user_id = 1, .currency = CURRENCY_USD, .state = LEDGER_ACTIVE};
    struct ledger_posted posted;
    enum err err = ERR_OK;

    for (size_t i = 0; i < ACCOUNTS && err == ERR_OK; i++) {
        struct ledger_transfer first = transfer_of(
            ledger_house_account(LEDGER_SETTLEMENT, CURRENCY_USD), 0, 1000000000, CURRENCY_USD);

        err = ledger_account_open(turn, &made, &c->ids[i]);
        first.to = c->ids[i];
        if (err == ERR_OK)
            err = ledger_move(turn, &first, &posted);
    }
    return err;
}

static void pair_draw(struct crowd *c, struct ledger_transfer *transfer)
{
    size_t from = draw(c) % c->accounts;
    size_t to = (from + 1 + draw(c) % (ACCOUNTS - 1)) % ACCOUNTS;

    *transfer = transfer_of(c->ids[from], c->ids[to], 1 + (int64_t)(draw(c) % 100), CURRENCY_USD);
    transfer->description = SPAN_OF("rent of the month");
}

static enum err move_all(struct ledger_turn *turn, void *context)
{
    static struct ledger_transfer transfers[1000];
    const struct ledger_actor actor = {.kind = TRAIL_ACTOR_USER,
                                       .name = SPAN("1"),
                                       .client_id = SPAN("portal"),
                                       .address = SPAN("127.0.0.1"),
                                       .request_id = SPAN("0b0e7d5e-6a3f-4d0a-9c53-6f3c1d2e4f5a")};
    struct crowd *c = context;
    struct ledger_posted posted;
    enum err err;

    for (size_t i = 0; i < c->group; i++) {
        pair_draw(c, &transfers[i]);
        ledger_turn_want(turn, transfers[i].from);
        ledger_turn_want(turn, transfers[i].to);
    }
    err = ledger_turn_load(turn);
    for (size_t i = 0; i < c->group && err == ERR_OK; i++) {
        ledger_turn_actor(turn, &actor);
        err = ledger_move(turn, &transfers[i], &posted);
    }
    return err;
}

static size_t transfers_wanted(void)
{
    const char *text = getenv("PORTCULLIS_TEST_TRANSFERS");
    uint64_t count = 0;

    return text != NULL && span_to_u64(span_from(text), &count) && count > 0 ? (size_t)count
                                                                             : TRANSFERS;
}

/* Of all threads of this process: other work on the machine does not count. */
static int64_t processor_ns(void)
{
    struct timespec spent = {0};

    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent), 0);
    return spent.tv_sec * CLOCK_NS_PER_S + spent.tv_nsec;
}

static void run(size_t group, size_t accounts, const char *what)
{
    size_t total = group == 1 ? transfers_wanted() / 10 : transfers_wanted();
    int64_t started = clock_monotonic_ns(&clock_system);
    int64_t spent = processor_ns();
    size_t done = 0;

    crowd.group = group;
    crowd.accounts = accounts;
    do {
        clock_fake_move(&bench.clock, 1000000);
        assert_int_equal(doing(move_all, &crowd), ERR_OK);
        done += group;
    } while (done < total);
    started = clock_monotonic_ns(&clock_system) - started;
    spent = processor_ns() - spent;
    (void)fprintf(stderr, "%s, %zu in a turn: %lld ns for a transfer, %lld ns of them here\n", what,
                  group, (long long)(started / (int64_t)done), (long long)(spent / (int64_t)done));
}

/* ---- the price of the trail --------------------------------------------------------------------
 */

static bool trailed = true;

/* The trail's own, but that the log is left out of some commits. */
static enum err seal_some(struct store_conn *conn, void *state)
{
    return trailed ? trail_seal.seal(conn, state) : ERR_OK;
}

/* Rounds with and without the log in turn, so that what else the machine does meets both. */
static void the_trail_has_its_price(void **state)
{
    enum { ROUNDS = 8 };
    static const size_t groups[] = {1, 10, 100, 1000};
    int64_t spent[2];

    (void)state;
    crowd.state = 1;
    assert_int_equal(doing(open_all, &crowd), ERR_OK);
    crowd.accounts = ACCOUNTS;
    for (size_t i = 0; i < PC_COUNT(groups); i++) {
        size_t turns = transfers_wanted() / (groups[i] == 1 ? 10 : groups[i]) / ROUNDS + 1;

        spent[0] = spent[1] = 0;
        crowd.group = groups[i];
        for (size_t round = 0; round < 2 * (size_t)ROUNDS; round++) {
            int64_t before = processor_ns();

            trailed = round % 2 == 0;
            for (size_t turn = 0; turn < turns; turn++) {
                clock_fake_move(&bench.clock, 1000000);
                assert_int_equal(doing(move_all, &crowd), ERR_OK);
            }
            spent[trailed] += processor_ns() - before;
        }
        (void)fprintf(stderr,
                      "%zu in a turn: %lld ns for a transfer with its trail, %lld without\n",
                      groups[i], (long long)(spent[1] / (int64_t)(turns * groups[i] * ROUNDS)),
                      (long long)(spent[0] / (int64_t)(turns * groups[i] * ROUNDS)));
    }
    trailed = true;
}

static int seldom_setup(void **state)
{
    static struct store_seal some;

    if (kit_setup(state) != 0)
        return -1;
    bench.kit = *state;
    some = trail_seal;
    some.seal = seal_some;
    bench.kit->options.seal = &some;
    clock_fake_init(&bench.clock, T0);
    bench_open();
    return 0;
}

static void transfers_take_their_time(void **state)
{
    static const size_t groups[] = {1, 10, 100, 1000};

    (void)state;
    crowd.state = 1;
    assert_int_equal(doing(open_all, &crowd), ERR_OK);
    for (size_t i = 0; i < PC_COUNT(groups); i++) {
        run(groups[i], ACCOUNTS, "many accounts");
        run(groups[i], 1, "one account pays");
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        BENCH_TEST(transfers_take_their_time),
        cmocka_unit_test_setup_teardown(the_trail_has_its_price, seldom_setup, bench_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
