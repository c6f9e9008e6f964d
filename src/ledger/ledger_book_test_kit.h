/* SPDX-License-Identifier: MIT
 * A ledger with something of everything in it, for the tests of check, export and import.
 *
 *   posting  1  settlement -> 1  10000  deposit
 *            2  1 -> 2            2500  transfer
 *            3  1 -> 2            4000  hold, of which 4 captures 1000 and 5 voids the rest
 *            6  2 -> settlement    500  hold of transaction 2, which is pending
 *            7  1 -> settlement   1995  transaction 1, completed
 *            8  2 -> 1             500  takes back a part of 2
 *            9  settlement -> 2    700  transaction 3
 *           10  2 -> settlement    700  takes it back: reversed
 *           11  1 -> settlement    300  hold of the order to buy, of which 12 captures 100
 *           13  settlement -> 4   5000  US dollars
 *           14  3 -> 1             600  out of a limit of 1000
 *           15  3 -> 1             100  hold, which 16 ends: it expired */
#ifndef PC_LEDGER_LEDGER_BOOK_TEST_KIT_H
#define PC_LEDGER_LEDGER_BOOK_TEST_KIT_H

#include "ledger/ledger_book.h"
#include "ledger/ledger_test_kit.h"

#define STORY_SETTLEMENT ledger_house_account(LEDGER_SETTLEMENT, CURRENCY_EUR)

static inline enum err story_move(struct ledger_turn *turn, enum ledger_kind kind, int64_t from,
                                  int64_t to, int64_t minor, int64_t transaction_id)
{
    struct ledger_transfer transfer = transfer_of(from, to, minor, CURRENCY_EUR);
    struct ledger_posted posted;

    transfer.kind = kind;
    transfer.transaction_id = transaction_id;
    transfer.description = SPAN_OF("as agreed, \"here\" – 5 €");
    return ledger_move(turn, &transfer, &posted);
}

static inline enum err story_hold(struct ledger_turn *turn, int64_t from, int64_t to, int64_t minor,
                                  int64_t expires_at, int64_t transaction_id)
{
    const struct ledger_hold_new hold = {.from = from,
                                         .to = to,
                                         .amount = {.minor = minor, .currency = CURRENCY_EUR},
                                         .expires_at_ns = expires_at,
                                         .transaction_id = transaction_id};
    struct ledger_posted posted;

    return ledger_hold(turn, &hold, &posted);
}

static inline enum err story_capture(struct ledger_turn *turn, int64_t hold_seq, int64_t minor)
{
    const struct ledger_capture capture = {.hold_seq = hold_seq, .amount = minor};
    struct ledger_posted posted;

    return ledger_capture(turn, &capture, &posted);
}

static inline enum err story_take_back(struct ledger_turn *turn, int64_t seq, int64_t from,
                                       int64_t to, int64_t minor, int64_t transaction_id)
{
    const struct ledger_leg legs[] = {{.account_id = from, .posted = -minor},
                                      {.account_id = to, .posted = minor}};
    const struct ledger_posting posting = {.kind = LEDGER_REVERSAL,
                                           .legs = legs,
                                           .leg_count = PC_COUNT(legs),
                                           .refers_to = seq,
                                           .transaction_id = transaction_id};
    struct ledger_posted posted;

    return ledger_post(turn, &posting, &posted);
}

#define STORY(step)                                                                                \
    do {                                                                                           \
        enum err story_err_ = (step);                                                              \
                                                                                                   \
        if (story_err_)                                                                            \
            return story_err_;                                                                     \
    } while (0)

static inline enum err story_first(struct ledger_turn *turn, void *context)
{
    struct ledger_posted posted;

    (void)context;
    STORY(story_move(turn, LEDGER_DEPOSIT, STORY_SETTLEMENT, 1, 10000, 0));
    STORY(story_move(turn, LEDGER_TRANSFER, 1, 2, 2500, 0));
    STORY(story_hold(turn, 1, 2, 4000, LEDGER_NEVER, 0));
    STORY(story_capture(turn, 3, 1000));
    STORY(ledger_void(turn, 3, &posted));
    STORY(story_hold(turn, 2, STORY_SETTLEMENT, 500, T0 + DAY, 2));
    STORY(story_move(turn, LEDGER_TRANSACTION, 1, STORY_SETTLEMENT, 1995, 1));
    STORY(story_take_back(turn, 2, 2, 1, 500, 0));
    STORY(story_move(turn, LEDGER_TRANSACTION, STORY_SETTLEMENT, 2, 700, 3));
    STORY(story_take_back(turn, 9, 2, STORY_SETTLEMENT, 700, 3));
    STORY(story_hold(turn, 1, STORY_SETTLEMENT, 300, LEDGER_NEVER, 0));
    STORY(story_capture(turn, 11, 100));
    for (int i = 0; i < 3; i++)
        (void)ledger_turn_transaction_id(turn);
    return ERR_OK;
}

static inline enum err story_second(struct ledger_turn *turn, void *context)
{
    const struct ledger_transfer dollars = {
        .kind = LEDGER_DEPOSIT,
        .from = ledger_house_account(LEDGER_SETTLEMENT, CURRENCY_USD),
        .to = 4,
        .amount = {.minor = 5000, .currency = CURRENCY_USD}};
    struct ledger_posted posted;

    (void)context;
    STORY(ledger_move(turn, &dollars, &posted));
    STORY(ledger_account_set_limit(turn, 3, 1000));
    STORY(story_move(turn, LEDGER_TRANSFER, 3, 1, 600, 0));
    return story_hold(turn, 3, 1, 100, T0 + 2 * CLOCK_NS_PER_S, 0);
}

static inline enum err story_third(struct ledger_turn *turn, void *context)
{
    size_t count = 0;

    (void)context;
    return ledger_expire(turn, 10, &count);
}

/* What others write beside the ledger. */
static const struct store_statement story_rows[] = {
    {.name = "story_transaction_1",
     .sqlite = "INSERT INTO transactions (id, account_id, user_id, amount, currency, direction, "
               "status, posted_seq, created_at, updated_at) "
               "VALUES (1, 1, 1, 1995, 'EUR', 'debit', 'completed', 7, 5, 6)"},
    {.name = "story_transaction_2",
     .sqlite = "INSERT INTO transactions (id, account_id, user_id, amount, currency, direction, "
               "description, status, hold_seq, created_at, updated_at) "
               "VALUES (2, 2, 1, 500, 'EUR', 'debit', 'later', 'pending', 6, 5, 5)"},
    {.name = "story_transaction_3",
     .sqlite = "INSERT INTO transactions (id, account_id, user_id, amount, currency, direction, "
               "status, effective_at, posted_seq, created_at, updated_at) "
               "VALUES (3, 2, 1, 700, 'EUR', 'credit', 'reversed', 4, 9, 5, 7)"},
    {.name = "story_order_1",
     .sqlite = "INSERT INTO orders (id, user_id, symbol, side, quantity, type, limit_price_minor, "
               "currency, account_id, status, created_at, updated_at, filled_quantity, hold_seq) "
               "VALUES ('11111111-1111-4111-8111-111111111111', 1, 'ACME', 'buy', 3, 'limit', 100, "
               "'EUR', 1, 'open', 5, 6, 1, 11)"},
    {.name = "story_order_2",
     .sqlite = "INSERT INTO orders (id, user_id, symbol, side, quantity, type, currency, "
               "account_id, status, created_at, updated_at, reason) "
               "VALUES ('22222222-2222-4222-8222-222222222222', 1, 'ACME', 'sell', 3, 'market', "
               "'EUR', 1, 'cancelled', 5, 6, 'enough')"},
    {.name = "story_fill",
     .sqlite =
         "INSERT INTO order_fills (order_id, number, quantity, price, amount, posted_seq, at) "
         "VALUES ('11111111-1111-4111-8111-111111111111', 1, 1, 100, 100, 12, 6)"},
    {.name = "story_key_1",
     .sqlite =
         "INSERT INTO ledger_keys (hash, at, fingerprint, status, content_type, location, reply) "
         "VALUES (X'000102030405060708090a0b0c0d0e0f', 5, X'01', 201, 'application/json', "
         "'/transfers/2', "
         "CAST('{\"id\":2,\"from_account_id\":1,\"to_account_id\":2,\"amount\":25.00,"
         "\"amount_minor\":2500,\"currency\":\"EUR\"}' AS blob))",
     .postgres =
         "INSERT INTO ledger_keys (hash, at, fingerprint, status, content_type, location, reply) "
         "VALUES ('\\x000102030405060708090a0b0c0d0e0f', 5, '\\x01', 201, 'application/json', "
         "'/transfers/2', "
         "convert_to('{\"id\":2,\"from_account_id\":1,\"to_account_id\":2,\"amount\":25.00,"
         "\"amount_minor\":2500,\"currency\":\"EUR\"}', 'UTF8'))"},
    {.name = "story_key_2",
     .sqlite = "INSERT INTO ledger_keys (hash, at, fingerprint, status, content_type, reply) "
               "VALUES (X'100102030405060708090a0b0c0d0e0f', 5, X'01', 409, "
               "'application/problem+json', X'7b7d')",
     .postgres = "INSERT INTO ledger_keys (hash, at, fingerprint, status, content_type, reply) "
                 "VALUES ('\\x100102030405060708090a0b0c0d0e0f', 5, '\\x01', 409, "
                 "'application/problem+json', '\\x7b7d')"},
};

static inline void story_tell(void)
{
    static const enum currency currencies[] = {CURRENCY_EUR, CURRENCY_EUR, CURRENCY_EUR,
                                               CURRENCY_USD};

    for (size_t i = 0; i < PC_COUNT(currencies); i++)
        assert_int_equal(opened(currencies[i]), i + 1);
    assert_int_equal(doing(story_first, NULL), ERR_OK);
    assert_int_equal(doing(story_second, NULL), ERR_OK);
    clock_fake_move(&bench.clock, 3 * CLOCK_NS_PER_S);
    assert_int_equal(doing(story_third, NULL), ERR_OK);
    for (size_t i = 0; i < PC_COUNT(story_rows); i++)
        kit_exec(bench.store, &story_rows[i]);
}

/* ---- checking ---------------------------------------------------------------------------------
 */

enum { STORY_TOLD_BYTES = 64 * 1024 };

/* What the check told: a line each fault. */
static struct {
    char text[STORY_TOLD_BYTES];
    struct sbuf out;
    struct ledger_summary summary;
} checked;

static inline void story_fault(void *context, const char *invariant, struct span sentence)
{
    (void)context;
    sbuf_add_format(&checked.out, "%s %.*s\n", invariant, SPAN_ARG(sentence));
}

static inline enum err story_check_run(struct store_conn *conn, struct store_job *job)
{
    (void)job;
    checked.out = sbuf_over(checked.text, sizeof(checked.text) - 1);
    return ledger_check(conn, T0, story_fault, NULL, &checked.summary);
}

static inline void story_check(struct store *store)
{
    assert_int_equal(store_do(store, story_check_run, NULL, false), ERR_OK);
    checked.text[checked.out.len] = '\0';
}

#endif
