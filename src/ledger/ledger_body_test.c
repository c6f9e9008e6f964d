/* SPDX-License-Identifier: MIT
 * Bodies that no client would send: whatever comes, the answer is one that is promised, and the
 * ledger is whole afterwards. The seed is printed; PORTCULLIS_TEST_SEED gives another. */
#include "ledger/ledger_site_test_kit.h"

#include "ledger/ledger_book.h"

enum { ROUNDS = 1500 };

static uint64_t dice;

static uint64_t roll(uint64_t sides)
{
    dice = dice * 6364136223846793005U + 1442695040888963407U;
    return (dice >> 33) % sides;
}

/* What can stand anywhere. */
static const char *const values[] = {
    "0",
    "-0",
    "0.0",
    "-0.00",
    "1",
    "2",
    "3",
    "4",
    "-1",
    "1.5",
    "0.01",
    "0.001",
    "19.95",
    "19.999",
    "100",
    "1e0",
    "1E2",
    "1e400",
    "1e-400",
    "-1e400",
    "92233720368547758.07",
    "92233720368547758.08",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "0.1e1",
    "00",
    "1.",
    ".5",
    "+1",
    "0x10",
    "NaN",
    "Infinity",
    "null",
    "true",
    "false",
    "\"\"",
    "\"1\"",
    "\"1.00\"",
    "\"-1\"",
    "\"1e2\"",
    "\" 1\"",
    "\"USD\"",
    "\"usd\"",
    "\"EUR\"",
    "\"XXX\"",
    "\"JPY\"",
    "\"debit\"",
    "\"credit\"",
    "\"completed\"",
    "\"pending\"",
    "\"reversed\"",
    "\"settlement:USD\"",
    "\"position:EUR\"",
    "\"settlement:\"",
    "\"2027-01-14T00:00:00Z\"",
    "\"2027-02-14T00:00:00Z\"",
    "\"1970-01-01T00:00:00Z\"",
    "\"9999-12-31T23:59:59Z\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"\\u202e\"",
    "\"4111111111111111\"",
    "[]",
    "{}",
    "[1,2]",
    "[[[[[[]]]]]]",
    "{\"a\":1}",
    "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"",
};

/* Where a value is rolled stands a %; what would be a good one follows it up to the next %. */
static const struct {
    const char *what, *body;
} forms[] = {
    {"POST /transactions", "{\"account_id\":%1%,\"amount\":%1%,\"direction\":%\"debit\"%}"},
    {"POST /transactions",
     "{\"account_id\":%2%,\"amount\":%1%,\"direction\":%\"debit\"%,\"hold\":%true%,"
     "\"hold_expires_at\":%\"2027-02-14T00:00:00Z\"%,\"description\":%\"x\"%}"},
    {"POST /transactions",
     "{\"account_id\":%1%,\"user_id\":%1%,\"currency\":%\"USD\"%,\"amount\":%\"2.50\"%,"
     "\"direction\":%\"credit\"%,\"effective_at\":%\"2027-01-14T00:00:00Z\"%}"},
    {"PUT /transactions/1", "{\"status\":%\"completed\"%,\"description\":%\"y\"%}"},
    {"PUT /transactions/2", "{\"status\":%\"reversed\"%}"},
    {"PUT /transactions/3", "{\"status\":%\"cancelled\"%}"},
    {"POST /transactions/1/reversals", "{\"amount\":%0.10%,\"description\":%null%}"},
    {"POST /transfers",
     "{\"from_account_id\":%1%,\"to_account_id\":%2%,\"amount\":%1.00%,\"currency\":%\"USD\"%,"
     "\"description\":%\"z\"%,\"effective_at\":%null%}"},
    {"POST /transfers", "{\"from_account_id\":%2%,\"to_account_id\":%1%,\"amount\":%1%}"},
    {"POST /transfers/batch",
     "{\"transfers\":[{\"from_account_id\":%1%,\"to_account_id\":%2%,\"amount\":%1%},"
     "{\"from_account_id\":%2%,\"to_account_id\":%1%,\"amount\":%2%}],\"atomic\":%false%}"},
    {"POST /transfers/batch",
     "{\"transfers\":%[{\"from_account_id\":1,\"to_account_id\":2,\"amount\":1}]%}"},
    {"POST /transfers/4/reversals", "{\"amount\":%0.01%}"},
    {"POST /transfers/9/reversals", "{\"description\":%\"r\"%}"},
    {"POST /postings",
     "{\"legs\":[{\"account\":%1%,\"amount\":%-1%},{\"account\":%2%,\"amount\":%1%}]}"},
    {"POST /postings",
     "{\"legs\":[{\"account\":%1%,\"amount\":%-1.00%},{\"account\":%\"position:USD\"%,\"amount\":"
     "%1.00%},{\"account\":%\"position:EUR\"%,\"amount\":%-1.00%},{\"account\":%3%,\"amount\":"
     "%1.00%}],\"effective_at\":%null%}"},
};

/* Mostly the good value, so that some get far. */
static const char *body_of(const char *form)
{
    struct sbuf out = sbuf_on(&site.arena, 4096);
    struct span rest = span_from(form);
    struct span plain, good;
    uint64_t wrong = roll(4);

    while (rest.len > 0 && span_cut(&rest, '%', &plain)) {
        sbuf_add(&out, plain);
        if (rest.len == 0 || !span_cut(&rest, '%', &good))
            break;
        if (wrong > 0 && roll(4) < wrong)
            sbuf_add_text(&out, values[roll(PC_COUNT(values))]);
        else
            sbuf_add(&out, good);
    }
    if (roll(20) == 0 && out.len > 0) /* a byte is lost or changed */
        out.ptr[roll(out.len)] = (char)(roll(255) + 1);
    return arena_string(&site.arena, sbuf_span(&out));
}

static bool is_promised(int status)
{
    static const int promised[] = {200, 201, 400, 404, 409, 413, 422};

    for (size_t i = 0; i < PC_COUNT(promised); i++) {
        if (status == promised[i])
            return true;
    }
    return false;
}

static void tell_fault(void *context, const char *invariant, struct span sentence)
{
    (void)context;
    (void)fprintf(stderr, "%s %.*s\n", invariant, SPAN_ARG(sentence));
}

static enum err check_run(struct store_conn *conn, struct store_job *job)
{
    return ledger_check(conn, clock_realtime_ns(&bench.clock.clock), tell_fault, NULL,
                        job->context);
}

static void assert_whole(void)
{
    struct ledger_summary summary = {0};

    assert_int_equal(store_do(bench.store, check_run, &summary, false), ERR_OK);
    assert_int_equal(summary.faults, 0);
    assert_in_range(summary.postings, 50, INT64_MAX);
}

static void whatever_comes_the_ledger_stays_whole(void **state)
{
    const char *seed = getenv("PORTCULLIS_TEST_SEED");
    size_t good = 0;

    (void)state;
    if (seed == NULL || !span_to_u64(span_from(seed), &dice))
        dice = 20270115;
    print_message("PORTCULLIS_TEST_SEED=%llu\n", (unsigned long long)dice);
    for (size_t i = 0; i < ROUNDS; i++) {
        size_t form = roll(PC_COUNT(forms));
        const char *body = body_of(forms[form].body);
        const char *key = roll(3) == 0 ? text_of("key-%d", (int)roll(40)) : NULL;

        (void)ask_keyed("pay", forms[form].what, key, body);
        if (!is_promised(site.status))
            fail_msg("%s %s: %s", forms[form].what, body, site.text);
        good += site.status < 300;
        if (roll(100) == 0)
            clock_fake_move(&bench.clock, DAY);
        if (i % 50 == 0)
            arena_reset(&site.arena);
    }
    assert_in_range(good, ROUNDS / 10, ROUNDS);
    assert_whole();
}

/* What the account service would have given them. */
static const struct store_statement numbers = {
    .name = "test_account_numbers",
    .sqlite = "INSERT INTO accounts (id, account_number, number_key, account_type, created_at, "
              "updated_at) SELECT id, CAST(id AS text), CAST(id AS text), 'checking', 1, 1 "
              "FROM ledger_accounts WHERE id > 0"};

static int setup(void **state)
{
    if (site_setup(state) != 0)
        return -1;
    (void)account_with(1, CURRENCY_USD, 50000);
    (void)account_with(2, CURRENCY_USD, 50000);
    (void)account_with(2, CURRENCY_EUR, 50000);
    kit_exec(bench.store, &numbers);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whatever_comes_the_ledger_stays_whole, setup,
                                        site_teardown),
    };

    return cmocka_run_group_tests_name("ledger_body", tests, NULL, NULL);
}
