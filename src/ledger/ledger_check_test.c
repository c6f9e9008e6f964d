/* SPDX-License-Identifier: MIT
 * The check: silent on a ledger that is whole, and for each invariant something that breaks it in
 * the database behind the program's back, which the check must name. */
#include "ledger/ledger_book_test_kit.h"
#include "ledger/ledger_check_priv.h"

enum { STEPS_MAX = 8 };

/* ---- a whole ledger ---- */

static void a_whole_ledger_is_told_so(void **state)
{
    (void)state;
    story_check(bench.store);
    assert_string_equal(checked.text, "");
    assert_int_equal(checked.summary.postings, 0);
    story_tell();
    story_check(bench.store);
    assert_string_equal(checked.text, "");
    assert_int_equal(checked.summary.faults, 0);
    assert_int_equal(checked.summary.postings, 16);
    assert_int_equal(checked.summary.entries, 32);
    assert_int_equal(checked.summary.accounts, 6);
    assert_int_equal(checked.summary.transactions, 3);
    assert_int_equal(checked.summary.holds, 4);
    assert_int_equal(checked.summary.keys, 2);
    assert_int_equal(checked.summary.seq, 16);
}

/* ---- broken ones ---- */

#define EACH(sql)                                                                                  \
    {                                                                                              \
        .sqlite = (sql)                                                                            \
    }
#define PAIR(sqlite_, postgres_)                                                                   \
    {                                                                                              \
        .sqlite = (sqlite_), .postgres = (postgres_)                                               \
    }

/* Without what keeps the rows as they are. */
static const struct store_statement unlock[] = {
    PAIR("DROP TRIGGER ledger_posts_no_update", "ALTER TABLE ledger_posts DISABLE TRIGGER USER"),
    PAIR("DROP TRIGGER ledger_posts_no_delete", "SELECT 1"),
    PAIR("DROP TRIGGER ledger_entries_no_update",
         "ALTER TABLE ledger_entries DISABLE TRIGGER USER"),
    PAIR("DROP TRIGGER ledger_entries_no_delete", "SELECT 2"),
    PAIR("DROP TRIGGER ledger_limits_no_update", "ALTER TABLE ledger_limits DISABLE TRIGGER USER"),
    PAIR("DROP TRIGGER ledger_limits_no_delete", "SELECT 3"),
    PAIR("DROP TRIGGER transactions_no_delete", "ALTER TABLE transactions DISABLE TRIGGER USER"),
};

#define ORDER "11111111-1111-4111-8111-111111111111"
#define KEY_REPLY(text)                                                                            \
    PAIR("UPDATE ledger_keys SET reply = CAST('" text "' AS blob) WHERE id = 1",                   \
         "UPDATE ledger_keys SET reply = convert_to('" text "', 'UTF8') WHERE id = 1")

struct breach {
    const char *told; /* a line that must be among what the check tells */
    struct store_statement steps[STEPS_MAX];
};

static const struct breach breaches[] = {
    {"I1 all accounts: EUR balances add up to 1\n",
     {EACH("UPDATE ledger_accounts SET posted = posted + 1 WHERE id = 1")}},
    {"I1 all accounts: EUR held 701, incoming 700\n",
     {EACH("UPDATE ledger_accounts SET held = held + 1 WHERE id = 2")}},
    {"I1 all postings: EUR out of accounts 18095, into accounts 18096\n",
     {EACH("UPDATE ledger_entries SET posted = posted + 1 WHERE account_id = 2 AND seq = 2")}},
    {"I1 all postings: EUR held 700, incoming 701\n",
     {EACH("UPDATE ledger_entries SET incoming = incoming + 1 WHERE account_id = 2 AND seq = 3")}},

    {"I2 account 4: stored balance 5001, sum of its entries 5000\n",
     {EACH("UPDATE ledger_accounts SET posted = posted + 1 WHERE id = 4")}},
    {"I2 account 4: stored held 1, sum of its entries 0\n",
     {EACH("UPDATE ledger_accounts SET held = 1 WHERE id = 4")}},
    {"I2 account 4: stored incoming 1, sum of its entries 0\n",
     {EACH("UPDATE ledger_accounts SET incoming = 1 WHERE id = 4")}},
    {"I2 account 4: stored last posting 12, last of its entries 13\n",
     {EACH("UPDATE ledger_accounts SET seq = 12 WHERE id = 4")}},
    {"I2 account 1 posting 2: balance behind it 7501, sum of entries 7500\n",
     {EACH("UPDATE ledger_entries SET posted_after = 7501 WHERE account_id = 1 AND seq = 2")}},
    {"I2 account 1 posting 3: held behind it 4001, sum of entries 4000\n",
     {EACH("UPDATE ledger_entries SET held_after = 4001 WHERE account_id = 1 AND seq = 3")}},
    {"I2 account 2 posting 3: incoming behind it 4001, sum of entries 4000\n",
     {EACH("UPDATE ledger_entries SET incoming_after = 4001 WHERE account_id = 2 AND seq = 3")}},

    {"I3 posting 2: has 1 legs, needs 2\n",
     {EACH("DELETE FROM ledger_entries WHERE account_id = 2 AND seq = 2")}},
    {"I3 posting 2: EUR out of accounts 2500, into accounts 2501\n",
     {EACH("UPDATE ledger_entries SET posted = posted + 1 WHERE account_id = 2 AND seq = 2")}},
    {"I3 posting 3: EUR held 4000, incoming 4001\n",
     {EACH("UPDATE ledger_entries SET incoming = incoming + 1 WHERE account_id = 2 AND seq = 3")}},
    {"I3 posting 13 account 2: changes nothing\n",
     {EACH("INSERT INTO ledger_entries (account_id, seq, leg, posted, held, incoming, "
           "posted_after, held_after, incoming_after) VALUES (2, 13, 3, 0, 0, 0, 0, 0, 0)")}},
    {"I3 posting 2 account 2: leg 1 is no leg of it\n",
     {EACH("UPDATE ledger_entries SET leg = 1 WHERE account_id = 2 AND seq = 2")}},
    {"I3 posting 2: leg 2 is missing\n",
     {EACH("UPDATE ledger_entries SET leg = 3 WHERE account_id = 2 AND seq = 2")}},

    {"I4 account 3 posting 14: available -600 with a limit of 0\n",
     {EACH("UPDATE ledger_limits SET seq = 14 WHERE account_id = 3")}},
    {"I4 account 3: stored limit 1001, the last it was given 1000\n",
     {EACH("UPDATE ledger_accounts SET credit_limit = 1001 WHERE id = 3")}},
    {"I4 account 2 posting 2: available -2500 with a limit of 0\n",
     {EACH("UPDATE ledger_entries SET posted = -posted WHERE account_id = 2 AND seq = 2")}},
    {"I4 account 1 posting 2: held -1 is below 0\n",
     {EACH("UPDATE ledger_entries SET held = -1 WHERE account_id = 1 AND seq = 2")}},
    {"I4 account 1 posting 2: incoming -1 is below 0\n",
     {EACH("UPDATE ledger_entries SET incoming = -1 WHERE account_id = 1 AND seq = 2")}},

    {"I5 hold 3: captured 2000, sum of its captures 1000\n",
     {EACH("UPDATE ledger_holds SET captured = 2000 WHERE seq = 3")}},
    {"I5 hold 3: says posting 4 ended it, it was 5\n",
     {EACH("UPDATE ledger_holds SET ended_seq = 4 WHERE seq = 3")}},
    {"I5 hold 3: ended by posting 5, and by 16 again\n",
     {EACH("UPDATE ledger_posts SET refers_to = 3 WHERE seq = 16")}},
    {"I5 hold 3 posting 4: takes 1000 and pays 1000 of 900 that are left\n",
     {EACH("UPDATE ledger_holds SET amount = 900, captured = 900 WHERE seq = 3")}},
    {"I5 hold 3: of 4001, its posting holds 4000 for 4000 incoming\n",
     {EACH("UPDATE ledger_holds SET amount = 4001 WHERE seq = 3")}},
    {"I5 hold 3 posting 4: -1000 paid and -1000 given back, the other account 1001 and -1000\n",
     {EACH("UPDATE ledger_entries SET posted = 1001 WHERE account_id = 2 AND seq = 4")}},
    {"I5 hold 15 posting 16: expired at 1800000003000000000, is due at 1800000004000000000\n",
     {EACH("UPDATE ledger_holds SET expires_at = 1800000004000000000 WHERE seq = 15")}},
    {"I5 posting 15: places a hold that is missing\n",
     {EACH("DELETE FROM ledger_holds WHERE seq = 15")}},
    {"I5 posting 16: ends hold 15, which does not exist\n",
     {EACH("DELETE FROM ledger_holds WHERE seq = 15")}},
    {"I5 posting 15: has a hold, but is of another kind\n",
     {EACH("UPDATE ledger_posts SET kind = 'transfer' WHERE seq = 15")}},
    {"I5 posting 2 account 1: held 1 and incoming 0, but is no hold\n",
     {EACH("UPDATE ledger_entries SET held = 1 WHERE account_id = 1 AND seq = 2")}},
    {"I5 account 2: held 500, its open holds 600\n",
     {EACH("UPDATE ledger_holds SET amount = 600 WHERE seq = 6")}},
    {"I5 account 2: incoming 0, open holds for it 500\n",
     {EACH("UPDATE ledger_holds SET to_account_id = 2, account_id = 1 WHERE seq = 6")}},
    {"I5 account 2: looks for expired holds at 0, one expires at 1800086400000000000\n",
     {EACH("UPDATE ledger_accounts SET hold_expires_at = NULL WHERE id = 2")}},

    {"I6 posting 2 account 1: -2500, its reversals 3000\n",
     {EACH("UPDATE ledger_entries SET posted = posted * 6 WHERE seq = 8")}},
    {"I6 posting 2 account 2: 2500, its reversals 500\n",
     {EACH("UPDATE ledger_entries SET posted = -posted WHERE seq = 8")}},
    {"I6 posting 8: reverses posting 3, which cannot be reversed\n",
     {EACH("UPDATE ledger_posts SET refers_to = 3 WHERE seq = 8")}},
    {"I6 posting 8: reverses posting 1, which has no account 2\n",
     {EACH("UPDATE ledger_posts SET refers_to = 1 WHERE seq = 8")}},

    {"I7 key 9: has the hash of an earlier one\n",
     {PAIR("CREATE TABLE other AS SELECT * FROM ledger_keys",
           "ALTER TABLE ledger_keys DROP CONSTRAINT \"ledger_keys.hash\""),
      PAIR("DROP TABLE ledger_keys", "SELECT 4"),
      PAIR("ALTER TABLE other RENAME TO ledger_keys", "SELECT 5"),
      EACH("INSERT INTO ledger_keys SELECT 9, hash, at, fingerprint, status, content_type, "
           "location, reply FROM ledger_keys WHERE id = 1")}},
    {"I7 key 2: keeps an answer of status 500\n",
     {EACH("UPDATE ledger_keys SET status = 500 WHERE id = 2")}},
    {"I7 key 2: a hash of 1 bytes, a fingerprint of 1\n",
     {PAIR("UPDATE ledger_keys SET hash = X'07' WHERE id = 2",
           "UPDATE ledger_keys SET hash = '\\x07' WHERE id = 2")}},
    {"I7 key 1: its answer is no JSON\n", {KEY_REPLY("{")}},
    {"I7 key 1: its answer tells no id\n", {KEY_REPLY("{}")}},
    {"I7 key 1: its answer tells of transfers 99, which is not there\n",
     {KEY_REPLY("{\"id\":99,\"amount_minor\":2500}")}},
    {"I7 key 1: its answer tells another amount than 2500\n",
     {KEY_REPLY("{\"id\":2,\"amount_minor\":2501,\"to_account_id\":2,\"currency\":\"EUR\"}")}},
    {"I7 key 1: its answer tells another account than 2\n",
     {KEY_REPLY("{\"id\":2,\"amount_minor\":2500,\"to_account_id\":3,\"currency\":\"EUR\"}")}},
    {"I7 key 1: its answer tells another currency than EUR\n",
     {KEY_REPLY("{\"id\":2,\"amount_minor\":2500,\"to_account_id\":2,\"currency\":\"USD\"}")}},

    {"I8 posting 17: follows posting 15\n",
     {EACH("UPDATE ledger_posts SET seq = 17 WHERE seq = 16"),
      EACH("UPDATE ledger_entries SET seq = 17 WHERE seq = 16"),
      EACH("UPDATE ledger_holds SET ended_seq = 17 WHERE ended_seq = 16"),
      EACH("UPDATE ledger_accounts SET seq = 17 WHERE seq = 16"),
      EACH("UPDATE ledger_head SET seq = 17")}},
    {"I8 posting 5: committed at 7, the one before at 1800000000000000003\n",
     {EACH("UPDATE ledger_posts SET at = 7, effective_at = 7 WHERE seq = 5")}},
    {"I8 the head says posting 17, the last is 16\n", {EACH("UPDATE ledger_head SET seq = 17")}},
    {"I8 the head says 7, the last commit was at 1800000003000000000\n",
     {EACH("UPDATE ledger_head SET at = 7")}},
    {"I8 the head is missing\n", {EACH("DELETE FROM ledger_head")}},
    {"I8 the head says transaction 4, the last is 3\n",
     {EACH("UPDATE ledger_head SET transaction_id = 4")}},
    {"I8 transaction 4: 3 is missing\n", {EACH("UPDATE transactions SET id = 4 WHERE id = 3")}},
    {"I8 transaction 1: made at 5, changed at 4\n",
     {EACH("UPDATE transactions SET updated_at = 4 WHERE id = 1")}},

    {"I10 account 4: has an entry of posting 99, which does not exist\n",
     {EACH("UPDATE ledger_entries SET seq = 99 WHERE account_id = 4")}},
    {"I10 posting 13: its account 99 does not exist\n",
     {EACH("UPDATE ledger_entries SET account_id = 99 WHERE account_id = 4")}},
    {"I10 posting 2: is of a kind that does not exist\n",
     {EACH("UPDATE ledger_posts SET kind = 'gift' WHERE seq = 2")}},
    {"I10 posting 8: refers to posting 9\n",
     {EACH("UPDATE ledger_posts SET refers_to = 9 WHERE seq = 8")}},
    {"I10 account 4: lacks a number\n", {EACH("DELETE FROM accounts WHERE id = 4")}},
    {"I10 account 4: its currency does not exist\n",
     {EACH("UPDATE ledger_accounts SET currency = 'XXX' WHERE id = 4")}},
    {"I10 account 4: is closed, but 5000 is posted, 0 held, 0 incoming\n",
     {EACH("UPDATE ledger_accounts SET state = 'closed' WHERE id = 4")}},
    {"I10 account -1: is no house account of EUR\n",
     {EACH("INSERT INTO ledger_accounts (id, currency) VALUES (-1, 'EUR')")}},
    {"I10 account -103241: is the house's, but has a limit of 5\n",
     {EACH("INSERT INTO ledger_limits (account_id, seq, credit_limit, at) "
           "SELECT min(id), 16, 5, 5 FROM ledger_accounts WHERE currency = 'EUR'")}},

    {"I10 transaction 1: of -1996, its posting 7 moved -1995\n",
     {EACH("UPDATE transactions SET amount = 1996 WHERE id = 1")}},
    {"I10 transaction 1: of 1995, its posting 7 moved -1995\n",
     {EACH("UPDATE transactions SET direction = 'credit' WHERE id = 1")}},
    {"I10 transaction 1: of -1995, its posting 7 moved 0\n",
     {EACH("UPDATE transactions SET account_id = 2 WHERE id = 1")}},
    {"I10 transaction 1: its currency is not that of account 1\n",
     {EACH("UPDATE transactions SET currency = 'USD' WHERE id = 1")}},
    {"I10 transaction 1: names posting 2, which is of transaction 0\n",
     {EACH("UPDATE transactions SET posted_seq = 2 WHERE id = 1")}},
    {"I10 posting 7: belongs to posting 7, transaction 1 names 2\n",
     {EACH("UPDATE transactions SET posted_seq = 2 WHERE id = 1")}},
    {"I10 posting 7: of transaction 9, which does not exist\n",
     {EACH("UPDATE ledger_posts SET transaction_id = 9 WHERE seq = 7")}},
    {"I10 transaction 2: is cancelled, its hold 6 is open\n",
     {EACH("UPDATE transactions SET status = 'cancelled' WHERE id = 2")}},
    {"I10 transaction 2: of 501 on account 2, its hold 6 is of 500 on account 2\n",
     {EACH("UPDATE transactions SET amount = 501 WHERE id = 2")}},
    {"I10 transaction 3: of 700 is not reversed, its reversals -700\n",
     {EACH("UPDATE transactions SET status = 'completed' WHERE id = 3")}},
    {"I10 transaction 1: is reversed, but no posting is\n",
     {EACH("UPDATE transactions SET status = 'reversed' WHERE id = 1")}},

    {"I10 order " ORDER ": is over, its hold 11 is open\n",
     {EACH("UPDATE orders SET status = 'cancelled' WHERE side = 'buy'")}},
    {"I10 order " ORDER ": is open to buy, its hold is 0\n",
     {EACH("UPDATE orders SET hold_seq = NULL WHERE side = 'buy'")}},
    {"I10 order " ORDER ": filled 2 of 3, its fills 1\n",
     {EACH("UPDATE orders SET filled_quantity = 2 WHERE side = 'buy'")}},
    {"I10 order " ORDER ": is filled, filled 1 of 3\n",
     {EACH("UPDATE orders SET status = 'filled' WHERE side = 'buy'")}},
    {"I10 order " ORDER ": fill 1 of 1 at 101 comes to 100\n",
     {EACH("UPDATE order_fills SET price = 101")}},
    {"I10 order " ORDER ": fill 1 of 101, posting 12 moved -100\n",
     {EACH("UPDATE order_fills SET amount = 101, price = 101")}},
    {"I10 order " ORDER ": its hold paid 100, its fills cost 101\n",
     {EACH("UPDATE order_fills SET amount = 101, price = 101")}},
    {"I10 order " ORDER ": fill 2 follows fill 0\n", {EACH("UPDATE order_fills SET number = 2")}},
    {"I10 order " ORDER ": on account 2, its hold on 1\n",
     {EACH("UPDATE orders SET account_id = 2 WHERE side = 'buy'")}},
    {"I10 order " ORDER ": its currency is not that of account 1\n",
     {EACH("UPDATE orders SET currency = 'USD' WHERE side = 'buy'")}},
};

/* A statement needs a name of its own, and stays where it is. */
static const struct store_statement *named(const struct store_statement *step)
{
    static struct store_statement statements[512];
    static char names[PC_COUNT(statements)][16];
    static size_t count;

    for (size_t i = 0; i < count; i++)
        if (statements[i].sqlite == step->sqlite)
            return &statements[i];
    assert_in_range(count, 0, PC_COUNT(statements) - 1);
    (void)snprintf(names[count], sizeof(names[count]), "step_%zu", count);
    statements[count] = *step;
    statements[count].name = names[count];
    return &statements[count++];
}

static size_t accounts_max; /* in memory at a time */

static enum err look_run(struct store_conn *conn)
{
    checked.out = sbuf_over(checked.text, sizeof(checked.text) - 1);
    return ledger_check_by(conn, T0, accounts_max, story_fault, NULL, &checked.summary);
}

/* Breaks, looks and takes back. */
static enum err breach_run(struct store_conn *conn, struct store_job *job)
{
    const struct breach *breach = job->context;

    for (size_t i = 0; i < PC_COUNT(unlock); i++)
        assert_int_equal(store_exec(conn, named(&unlock[i]), NULL, 0, NULL), ERR_OK);
    for (size_t i = 0; i < STEPS_MAX && breach->steps[i].sqlite != NULL; i++) {
        int64_t changed = 0;

        if (store_exec(conn, named(&breach->steps[i]), NULL, 0, &changed) != ERR_OK)
            fail_msg("%s: %s", breach->steps[i].sqlite, store_conn_message(conn));
    }
    assert_int_equal(look_run(conn), ERR_OK);
    return ERR_CONFLICT;
}

static void breaches_are_named(void)
{
    story_tell();
    for (size_t i = 0; i < PC_COUNT(breaches); i++) {
        const char *told = breaches[i].told;

        assert_int_equal(store_do(bench.store, breach_run, (void *)(uintptr_t)&breaches[i], true),
                         ERR_CONFLICT);
        checked.text[checked.out.len] = '\0';
        if (strncmp(checked.text, told, strlen(told)) != 0 &&
            (strstr(checked.text, told) == NULL || strstr(checked.text, told)[-1] != '\n'))
            fail_msg("not \"%.*s\" but:\n%s", (int)strlen(told) - 1, told, checked.text);
        assert_true(checked.summary.faults > 0);
    }
    story_check(bench.store);
    assert_string_equal(checked.text, "");
}

static void each_breach_is_named(void **state)
{
    (void)state;
    accounts_max = 1024;
    breaches_are_named();
}

/* Where there are more accounts than are looked at together. */
static void each_breach_is_named_two_accounts_at_a_time(void **state)
{
    (void)state;
    accounts_max = 2;
    breaches_are_named();
}

/* Many faults of one kind are counted, and not all told. */
static enum err many_run(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement many = {
        .name = "check_many",
        .sqlite = "INSERT INTO ledger_accounts (user_id, currency, state, posted) "
                  "SELECT 1, 'EUR', 'active', 5 FROM ledger_entries"};

    assert_int_equal(store_exec(conn, &many, NULL, 0, NULL), ERR_OK);
    assert_int_equal(story_check_run(conn, job), ERR_OK);
    return ERR_CONFLICT;
}

static void many_faults_are_counted(void **state)
{
    size_t lines = 0;

    (void)state;
    story_tell();
    assert_int_equal(store_do(bench.store, many_run, NULL, true), ERR_CONFLICT);
    for (size_t i = 0; i < checked.out.len; i++)
        lines += checked.text[i] == '\n';
    assert_int_equal(lines, 2 * LEDGER_FAULTS_MAX + 1); /* I2, I10; I1 once */
    assert_int_equal(checked.summary.faults, 2 * 32 + 1);
}

/* More rows than a page of a scan holds. */
static enum err crowd_work(struct ledger_turn *turn, void *context)
{
    int64_t *hot = context;

    for (int i = 0; i < 3000; i++)
        STORY(story_move(turn, LEDGER_TRANSFER, i % 2 == 0 ? STORY_SETTLEMENT : *hot,
                         i % 2 == 0 ? *hot : STORY_SETTLEMENT, 5, 0));
    return ERR_OK;
}

static void pages_follow_each_other(void **state)
{
    int64_t hot = opened(CURRENCY_EUR);

    (void)state;
    assert_int_equal(doing(crowd_work, &hot), ERR_OK);
    story_check(bench.store);
    assert_string_equal(checked.text, "");
    assert_int_equal(checked.summary.postings, 3000);
    assert_int_equal(checked.summary.entries, 6000);
}

/* A call to the database that fails ends the check with its error, whichever it is. */
static void every_failure_is_an_error(void **state)
{
    (void)state;
    story_tell();
    for (uint64_t nth = 1;; nth++) {
        enum err err;
        bool pending;

        store_fail_at(nth);
        err = store_do(bench.store, story_check_run, NULL, true);
        pending = store_fail_pending();
        store_fail_at(0);
        if (pending)
            break;
        assert_true(err == ERR_OK || err == ERR_STORE_UNAVAILABLE);
        kit_heal(bench.store);
        assert_in_range(nth, 1, 1000);
    }
    story_check(bench.store);
    assert_string_equal(checked.text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(a_whole_ledger_is_told_so),
        BENCH_TEST(each_breach_is_named),
        BENCH_TEST(many_faults_are_counted),
        BENCH_TEST(pages_follow_each_other),
        BENCH_TEST(every_failure_is_an_error),
        BENCH_TEST(each_breach_is_named_two_accounts_at_a_time),
    };

    return cmocka_run_group_tests_name("ledger_check", tests, NULL, NULL);
}
