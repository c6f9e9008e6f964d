/* SPDX-License-Identifier: MIT
 * Turns: what is read once and written once, marks that take back, rows and events that wait, on
 * both databases. */
#include "ledger/ledger_test_kit.h"

static const struct store_statement count_posts = {.name = "count_posts",
                                                   .sqlite = "SELECT count(*) FROM ledger_posts"};
static const struct store_statement count_entries = {
    .name = "count_entries", .sqlite = "SELECT count(*) FROM ledger_entries"};
static const struct store_statement count_events = {
    .name = "count_events",
    .sqlite = "SELECT count(*) FROM trail_events WHERE event = 'ledger.transfer'"};
static const struct store_statement head_seq = {.name = "head_seq",
                                                .sqlite = "SELECT seq FROM ledger_head"};

static void money_moves_and_is_written(void **state)
{
    int64_t a = opened(CURRENCY_USD);
    int64_t b = opened(CURRENCY_USD);
    int64_t house = ledger_house_account(LEDGER_SETTLEMENT, CURRENCY_USD);

    (void)state;
    paid_in(a, 1000, CURRENCY_USD);
    assert_int_equal(moved(a, b, 300, CURRENCY_USD), ERR_OK);
    assert_int_equal(account_of(a).posted, 700);
    assert_int_equal(account_of(b).posted, 300);
    assert_int_equal(account_of(house).posted, -1000);
    assert_int_equal(account_of(a).seq, 2);
    assert_int_equal(number_of(&count_posts), 2);
    assert_int_equal(number_of(&count_entries), 4);
    assert_int_equal(number_of(&count_events), 2);
    assert_int_equal(number_of(&head_seq), 2);
    assert_int_equal(moved(a, b, 701, CURRENCY_USD), ERR_FUNDS);
    assert_int_equal(number_of(&head_seq), 2);
}

/* A refused one in the middle leaves no trace, and a mark takes back what went well. */
struct several {
    int64_t a, b;
    struct ledger_posted first, last;
};

static enum err several_work(struct ledger_turn *turn, void *context)
{
    struct several *several = context;
    struct ledger_transfer transfer = transfer_of(several->a, several->b, 10, CURRENCY_USD);
    struct ledger_posted posted = {0};
    struct ledger_account account;
    struct ledger_mark mark;

    ledger_turn_want(turn, several->a);
    ledger_turn_want(turn, several->b);
    ledger_turn_want(turn, several->a);
    ledger_turn_want(turn, 12345);
    PC_ASSERT(ledger_turn_load(turn) == ERR_OK);
    PC_ASSERT(ledger_turn_account(turn, 12345, &account) == ERR_NOT_FOUND);
    PC_ASSERT(ledger_move(turn, &transfer, &several->first) == ERR_OK);
    transfer.amount.minor = 1000;
    PC_ASSERT(ledger_move(turn, &transfer, &posted) == ERR_FUNDS);
    transfer.amount.minor = 20;
    mark = ledger_turn_mark(turn);
    PC_ASSERT(ledger_move(turn, &transfer, &posted) == ERR_OK && posted.seq == 3);
    PC_ASSERT(ledger_turn_transaction_id(turn) == 1);
    ledger_turn_undo(turn, mark);
    PC_ASSERT(ledger_turn_transaction_id(turn) == 1);
    transfer.amount.minor = 30;
    PC_ASSERT(ledger_move(turn, &transfer, &several->last) == ERR_OK);
    return ledger_turn_account(turn, several->a, &account);
}

static void a_mark_takes_back(void **state)
{
    struct several several = {.a = opened(CURRENCY_USD), .b = opened(CURRENCY_USD)};

    (void)state;
    paid_in(several.a, 100, CURRENCY_USD);
    assert_int_equal(doing(several_work, &several), ERR_OK);
    assert_int_equal(several.first.seq, 2);
    assert_int_equal(several.last.seq, 3);
    assert_true(several.last.at_ns > several.first.at_ns);
    assert_int_equal(account_of(several.a).posted, 60);
    assert_int_equal(account_of(several.b).posted, 40);
    assert_int_equal(number_of(&count_entries), 6);
    assert_int_equal(number_of(&count_events), 3);
}

/* Accounts that were changed behind the turn's back: it must not post on top of them. */
struct meddled {
    int64_t ids[4];
    size_t count;
};

static enum err meddled_work(struct ledger_turn *turn, void *context)
{
    static const struct store_statement meddle = {
        .name = "meddle", .sqlite = "UPDATE ledger_accounts SET seq = seq - 1 WHERE id = ?1"};
    const struct meddled *meddled = context;
    int64_t house = ledger_house_account(LEDGER_SETTLEMENT, CURRENCY_USD);
    struct ledger_posted posted;
    enum err err = ERR_OK;

    for (size_t i = 0; i < meddled->count && err == ERR_OK; i++) {
        struct ledger_transfer transfer = transfer_of(house, meddled->ids[i], 1, CURRENCY_USD);

        err = ledger_move(turn, &transfer, &posted);
    }
    if (err == ERR_OK)
        err = store_exec(ledger_turn_conn(turn), &meddle, STORE_PARAMS(STORE_I64(meddled->ids[0])),
                         NULL);
    return err;
}

static void what_was_read_must_still_be_there(void **state)
{
    struct meddled meddled = {.count = 1};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(meddled.ids); i++) {
        meddled.ids[i] = opened(CURRENCY_USD);
        paid_in(meddled.ids[i], 100, CURRENCY_USD);
    }
    for (; meddled.count <= PC_COUNT(meddled.ids); meddled.count++)
        assert_int_equal(doing(meddled_work, &meddled), ERR_STORE_CORRUPT);
    assert_int_equal(account_of(meddled.ids[0]).posted, 100);
    assert_int_equal(number_of(&head_seq), 4);
}

/* What cannot be is told as damage and not taken for an account. Nothing of it stays. */
static enum err damaged_work(struct ledger_turn *turn, void *context)
{
    static const struct store_statement damage = {
        .name = "damage", .sqlite = "UPDATE ledger_accounts SET currency = 'QQQ' WHERE id = ?1"};
    const int64_t *id = context;
    struct ledger_account account;
    enum err err = store_exec(ledger_turn_conn(turn), &damage, STORE_PARAMS(STORE_I64(*id)), NULL);

    return err ? err : ledger_account_get(bench.ledger, ledger_turn_conn(turn), *id, &account);
}

static void damage_is_told(void **state)
{
    int64_t id = opened(CURRENCY_USD);

    (void)state;
    assert_int_equal(doing(damaged_work, &id), ERR_STORE_CORRUPT);
    assert_int_equal(account_of(id).currency, CURRENCY_USD);
}

/* Texts that mean something inside of an array come back as they were. */
static enum err described_work(struct ledger_turn *turn, void *context)
{
    static const char *const texts[] = {"{a,\"b\"}", "\\", "NULL", " ", "\xc3\xa4,", "\\\"", "'"};
    const int64_t *id = context;
    struct ledger_transfer transfer =
        transfer_of(ledger_house_account(LEDGER_SETTLEMENT, CURRENCY_USD), *id, 1, CURRENCY_USD);
    struct ledger_posted posted;
    enum err err = ERR_OK;

    for (size_t i = 0; i < PC_COUNT(texts) && err == ERR_OK; i++) {
        transfer.description = span_from(texts[i]);
        err = ledger_move(turn, &transfer, &posted);
    }
    return err;
}

static void descriptions_stay_as_they_were(void **state)
{
    static const struct store_statement same = {
        .name = "same_descriptions",
        .sqlite = "SELECT count(*) FROM ledger_posts "
                  "WHERE (seq = 1 AND description = '{a,\"b\"}') "
                  "OR (seq = 2 AND description = '\\') OR (seq = 3 AND description = 'NULL') "
                  "OR (seq = 4 AND description = ' ') OR (seq = 5 AND description = '\xc3\xa4,') "
                  "OR (seq = 6 AND description = '\\\"') OR (seq = 7 AND description = '''')"};
    int64_t id = opened(CURRENCY_USD);

    (void)state;
    assert_int_equal(doing(described_work, &id), ERR_OK);
    assert_int_equal(number_of(&same), 7);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        BENCH_TEST(money_moves_and_is_written),        BENCH_TEST(a_mark_takes_back),
        BENCH_TEST(what_was_read_must_still_be_there), BENCH_TEST(damage_is_told),
        BENCH_TEST(descriptions_stay_as_they_were),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
