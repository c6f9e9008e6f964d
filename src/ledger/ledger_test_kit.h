/* SPDX-License-Identifier: MIT
 * What the ledger's tests share: a migrated store with one user, a clock that stands, and turns
 * written as plain functions. */
#ifndef PC_LEDGER_LEDGER_TEST_KIT_H
#define PC_LEDGER_LEDGER_TEST_KIT_H

#include "ledger/ledger_priv.h"
#include "store/store_test_kit.h"
#include "trail/trail_catalogue.h"

#define T0    (INT64_C(1800000000) * CLOCK_NS_PER_S)
#define DAY_S (INT64_C(24) * 60 * 60)
#define DAY   (DAY_S * CLOCK_NS_PER_S)

/* The ledger of the running test. */
struct bench {
    struct kit *kit;
    struct store *store;
    struct ledger *ledger;
    struct clock_fake clock;
};
static struct bench bench;

static const struct store_statement bench_user = {
    .name = "bench_user",
    .sqlite = "INSERT INTO users (id, username, username_key, email, email_key, password_hash, "
              "created_at, updated_at, password_changed_at) "
              "VALUES (1, 'ada', 'ada', 'ada@example.com', 'ada@example.com', 'hash', 1, 1, 1)"};

static inline void bench_open(void)
{
    const struct store_migration *list;
    struct ledger_options options = {.clock = &bench.clock.clock, .backdate_s = 30 * DAY_S};
    size_t count;

    bench.store = kit_open(bench.kit);
    store_migrations(&list, &count);
    assert_int_equal(store_migrate(bench.store, list, count, NULL), ERR_OK);
    kit_exec(bench.store, &bench_user);
    options.store = bench.store;
    assert_int_equal(ledger_new(&options, &bench.ledger), ERR_OK);
}

static inline int bench_setup(void **state)
{
    if (kit_setup(state) != 0)
        return -1;
    bench.kit = *state;
    bench.kit->options.seal = &trail_seal;
    trail_misfits_tell(trail_misfit_ends, NULL);
    clock_fake_init(&bench.clock, T0);
    bench_open();
    return 0;
}

static inline int bench_teardown(void **state)
{
    store_fail_at(0);
    ledger_free(bench.ledger);
    store_close(bench.store);
    return kit_teardown(state);
}

#define BENCH_TEST(function) cmocka_unit_test_setup_teardown(function, bench_setup, bench_teardown)

/* As if many postings had been made that touch nobody: the next but one is the first of a partition
 * (LEDGER_PARTITION_POSTS) behind that of the last. The check would tell the gap. */
static inline void bench_leap(void)
{
    static const struct store_statement leap = {
        .name = "bench_leap",
        .sqlite = "UPDATE ledger_head SET seq = ((seq + 2) / 8192 + 1) * 8192 - 2"};

    kit_exec(bench.store, &leap);
}

/* ---- turns ------------------------------------------------------------------------------------
 */

static inline enum err doing(ledger_work_fn *work, void *context)
{
    return ledger_do(bench.ledger, work, context);
}

/* What an account is to people: account/ writes it. */
static const struct store_statement bench_number = {
    .name = "bench_number",
    .sqlite = "INSERT INTO accounts (id, account_number, number_key, account_type, created_at, "
              "updated_at) VALUES (?1, ?2, ?2, 'checking', 1, 1)"};

static inline enum err open_work(struct ledger_turn *turn, void *context)
{
    struct ledger_account *account = context;
    const struct ledger_account_new made = {
        .user_id = 1, .currency = account->currency, .state = LEDGER_ACTIVE};
    struct sbuf number = sbuf_on(ledger_turn_arena(turn), 24);
    enum err err = ledger_account_open(turn, &made, &account->id);

    if (err)
        return err;
    sbuf_add_i64(&number, account->id);
    return ledger_turn_add(turn, &bench_number,
                           STORE_PARAMS(STORE_I64(account->id), STORE_TEXT(sbuf_span(&number))));
}

static inline int64_t opened(enum currency currency)
{
    struct ledger_account account = {.currency = currency};

    assert_int_equal(doing(open_work, &account), ERR_OK);
    return account.id;
}

/* One movement in a turn of its own. */
struct movement {
    struct ledger_transfer transfer;
    struct ledger_posted posted;
};

static inline enum err move_work(struct ledger_turn *turn, void *context)
{
    struct movement *movement = context;

    return ledger_move(turn, &movement->transfer, &movement->posted);
}

static inline struct ledger_transfer transfer_of(int64_t from, int64_t to, int64_t minor,
                                                 enum currency currency)
{
    return (struct ledger_transfer){.kind = LEDGER_TRANSFER,
                                    .from = from,
                                    .to = to,
                                    .amount = {.minor = minor, .currency = currency}};
}

static inline enum err moved(int64_t from, int64_t to, int64_t minor, enum currency currency)
{
    struct movement movement = {.transfer = transfer_of(from, to, minor, currency)};

    return doing(move_work, &movement);
}

/* Money from the world. */
static inline void paid_in(int64_t account_id, int64_t minor, enum currency currency)
{
    assert_int_equal(
        moved(ledger_house_account(LEDGER_SETTLEMENT, currency), account_id, minor, currency),
        ERR_OK);
}

static inline enum err account_work(struct ledger_turn *turn, void *context)
{
    struct ledger_account *account = context;

    return ledger_turn_account(turn, account->id, account);
}

/* The account as a new turn finds it. */
static inline struct ledger_account account_of(int64_t id)
{
    struct ledger_account account = {.id = id};

    assert_int_equal(doing(account_work, &account), ERR_OK);
    return account;
}

/* ---- looking ----------------------------------------------------------------------------------
 */

static inline int64_t number_of(const struct store_statement *statement)
{
    struct kit_number number = {.statement = statement};

    assert_int_equal(store_do(bench.store, kit_number0_run, &number, false), ERR_OK);
    return number.result;
}

#endif
