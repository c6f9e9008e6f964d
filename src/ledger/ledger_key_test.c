/* SPDX-License-Identifier: MIT
 * Keys: one key is one effect and one answer, whatever happens in between. On both databases. */
#include "ledger/ledger_move_test_kit.h"

enum { STORM = 200 };

/* However it is written, the same request has the same answer, and one effect. */
static void a_key_is_one_effect(void **state)
{
    char text[256];

    (void)state;
    assert_int_equal(pay("one", "19.95"), 201);
    assert_silent("Idempotency-Replayed");
    assert_says("Location: /moves/2\r\n");
    keep_body();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pay("one", "19.95"), 201);
        assert_replayed();
        assert_says("Location: /moves/2\r\n");
        assert_says("Content-Type: application/json\r\n");
    }
    (void)snprintf(text, sizeof(text), "{ \"amount\" : \"19.950\", \"to\":%lld,\n\"from\":%lld }",
                   (long long)eve, (long long)ada);
    assert_int_equal(desk_ask("POST /moves", ADA, "one", text), 201);
    assert_replayed();
    assert_int_equal(desk_ask("POST /moves", ADA, "\"one\"", order_text(ada, eve, "19.95")), 201);
    assert_replayed();
    /* Wherever the route is mounted. */
    assert_int_equal(desk_ask("POST /api/v1/moves", ADA, "one", order_text(ada, eve, "19.95")),
                     201);
    assert_replayed();
    assert_int_equal(balance(eve), 1995);
    assert_int_equal(pay("two", "19.95"), 201);
    assert_silent("Idempotency-Replayed");
    assert_int_equal(pay(NULL, "19.95"), 201);
    assert_int_equal(pay(NULL, "19.95"), 201);
    assert_int_equal(balance(eve), 4 * 1995);
}

static void a_restart_forgets_nothing(void **state)
{
    (void)state;
    assert_int_equal(pay("one", "19.95"), 201);
    keep_body();
    desk_restart(routes);
    assert_int_equal(pay("one", "19.95"), 201);
    assert_replayed();
    assert_int_equal(balance(eve), 1995);
}

/* Another request under the key is refused and told what differs; what was kept stays. */
static void another_request_is_named(void **state)
{
    (void)state;
    assert_int_equal(pay("one", "19.95"), 201);
    keep_body();
    assert_int_equal(pay("one", "19.96"), 422);
    assert_says("idempotency-key-reused");
    assert_says("\"errors\":[{\"field\":\"amount\",");
    assert_silent("Idempotency-Replayed");
    assert_int_equal(desk_ask("POST /moves", ADA, "one", order_text(ada, ada_two, "19.95")), 422);
    assert_says("\"errors\":[{\"field\":\"to\",");
    assert_int_equal(pay("one", "19.95"), 201);
    assert_replayed();
    assert_int_equal(desk_ask("POST /moves/7", ADA, "one", order_text(ada, eve, "1")), 201);
    assert_int_equal(desk_ask("POST /moves/8", ADA, "one", order_text(ada, eve, "1")), 422);
    assert_says("\"errors\":[{\"field\":\"id\",");
    assert_int_equal(desk_ask("POST /moves/7", ADA, "one", order_text(ada, eve, "1")), 201);
    assert_says("Idempotency-Replayed: true\r\n");
    assert_int_equal(balance(eve), 1995 + 100);
}

/* A key is its sender's own, and one route's. */
static void strangers_do_not_meet(void **state)
{
    static const char *const who[] = {ADA, BANK, "u4.payments", ROBOT, "c3.payments"};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(who); i++) {
        assert_int_equal(desk_ask("POST /moves", who[i], "one", order_text(ada, eve, "1")), 201);
        assert_silent("Idempotency-Replayed");
        assert_int_equal(desk_ask("POST /same", who[i], "one", order_text(ada, eve, "1")), 201);
        assert_silent("Idempotency-Replayed");
    }
    assert_int_equal(balance(eve), 2 * 100 * (int64_t)PC_COUNT(who));
}

/* What was refused stays so under its key, byte by byte, though it would now be done. */
static void what_was_refused_stays_refused(void **state)
{
    (void)state;
    assert_int_equal(pay("one", "1000.01"), 409);
    assert_says("insufficient_funds");
    keep_body();
    paid_in(ada, 100000, CURRENCY_EUR);
    assert_int_equal(pay("one", "1000.01"), 409);
    assert_replayed();
    assert_says("Content-Type: application/problem+json\r\n");
    desk_restart(routes);
    assert_int_equal(pay("one", "1000.01"), 409);
    assert_replayed();
    assert_int_equal(pay("one", "1"), 422);
    assert_int_equal(pay("two", "1000.01"), 201);
    assert_int_equal(pay("three", "1.001"), 422);
    assert_says("amount-digits");
    keep_body();
    assert_int_equal(pay("three", "1.001"), 422);
    assert_replayed();
    assert_int_equal(balance(eve), 100001);
}

/* A fault of ours is not an answer: the next try is the first. */
static void a_fault_is_not_kept(void **state)
{
    (void)state;
    atomic_store(&broken, true);
    assert_int_equal(pay("one", "1"), 500);
    assert_says("It broke.");
    assert_silent("Location: ");
    assert_int_equal(pay("one", "1"), 500);
    assert_int_equal(balance(eve), 0);
    atomic_store(&broken, false);
    assert_int_equal(pay("one", "1"), 201);
    assert_silent("Idempotency-Replayed");
    assert_int_equal(balance(eve), 100);
}

/* A handler that refuses behind its posting: what it posted is taken back. */
static void a_refusal_leaves_nothing(void **state)
{
    int fds[2];

    (void)state;
    atomic_store(&told_off, true);
    assert_int_equal(pay("one", "1"), 409);
    assert_says("forbidden-transition");
    assert_silent("Location: ");
    keep_body();
    atomic_store(&told_off, false);
    desk_hold();
    fds[0] = desk_send("POST /moves", ADA, "one", order_text(ada, eve, "1"));
    fds[1] = desk_send("POST /moves", ADA, "two", order_text(ada, eve, "2"));
    desk_let_go(2);
    assert_int_equal(site_hear(fds[0]), 409);
    assert_replayed();
    assert_int_equal(site_hear(fds[1]), 201);
    assert_says("Location: /moves/2\r\n"); /* numbers have no gaps */
    assert_int_equal(balance(eve), 200);
}

/* Some at the same moment: one is done, the others are told to wait. Later, all are answered. */
static void the_second_is_told_to_wait(void **state)
{
    int fds[FEW];
    int done = 0;

    (void)state;
    desk_hold();
    for (int i = 0; i < FEW; i++)
        fds[i] = desk_send("POST /moves", ADA, "one", order_text(ada, eve, "1"));
    desk_let_go(FEW);
    for (int i = 0; i < FEW; i++) {
        int status = site_hear(fds[i]);

        done += status == 201;
        if (status == 201) {
            keep_body();
            continue;
        }
        assert_int_equal(status, 409);
        assert_says("idempotency-key-running");
        assert_says("Retry-After: 1\r\n");
    }
    assert_int_equal(done, 1);
    desk_hold();
    for (int i = 0; i < FEW; i++)
        fds[i] = desk_send("POST /moves", ADA, "one", order_text(ada, eve, "1"));
    desk_let_go(FEW);
    for (int i = 0; i < FEW; i++) {
        assert_int_equal(site_hear(fds[i]), 201);
        assert_replayed();
        assert_says("Content-Type: application/json\r\n");
    }
    assert_int_equal(balance(eve), 100);
}

/* Two hundred at once on one key. */
static void a_storm_is_one_effect(void **state)
{
    static int fds[STORM];
    int done = 0;

    (void)state;
    for (int i = 0; i < STORM; i++)
        fds[i] = desk_send("POST /moves", ADA, "storm", order_text(ada, eve, "1"));
    for (int i = 0; i < STORM; i++) {
        int status = site_hear(fds[i]);

        assert_true(status == 201 || status == 409);
        if (status != 201)
            continue;
        if (done++ == 0)
            keep_body();
        assert_string_equal(desk_body(), kept);
    }
    assert_true(done >= 1);
    assert_int_equal(balance(eve), 100);
}

/* What was damaged in the store is not sent to anybody, and brings nobody down. */
static void a_damaged_answer_is_not_given(void **state)
{
    static const struct store_statement damages[] = {
        {.name = "key_test_status", .sqlite = "UPDATE ledger_keys SET status = 700"},
        {.name = "key_test_huge", .sqlite = "UPDATE ledger_keys SET status = 4294967497"},
        {.name = "key_test_type",
         .sqlite = "UPDATE ledger_keys SET status = 201, content_type = 'a' || char(10) || 'b'",
         .postgres = "UPDATE ledger_keys SET status = 201, content_type = 'a' || chr(10) || 'b'"},
        {.name = "key_test_location",
         .sqlite = "UPDATE ledger_keys SET content_type = 'a', location = char(13)",
         .postgres = "UPDATE ledger_keys SET content_type = 'a', location = chr(13)"},
    };
    static const struct store_statement foreign = {
        .name = "key_test_print",
        .sqlite = "UPDATE ledger_keys SET location = NULL, fingerprint = hash"};

    (void)state;
    assert_int_equal(pay("one", "1"), 201);
    for (size_t i = 0; i < PC_COUNT(damages); i++) {
        kit_exec(bench.store, &damages[i]);
        assert_int_equal(pay("one", "1"), 503);
        assert_says("store-corrupt");
        assert_int_equal(pay(NULL, "0"), 422);
    }
    kit_exec(bench.store, &foreign);
    assert_int_equal(pay("one", "1"), 422);
    assert_says("\"field\":\"body\"");
    assert_int_equal(balance(eve), 100);
}

/* Several writers at once, as several nodes would be: each key is still one effect. */
static void writers_do_not_meet(void **state)
{
    enum { KEYS = 10 };
    static int fds[STORM];
    static char bodies[KEYS][1024];
    char key[16];

    (void)state;
    bench.kit->options.writers = 4; /* on PostgreSQL; embedded there is but one */
    bench.kit->options.batch_max = 4;
    desk_restart(routes);
    memset(bodies, 0, sizeof(bodies));
    for (int i = 0; i < STORM; i++) {
        (void)snprintf(key, sizeof(key), "key-%d", i % KEYS);
        fds[i] = desk_send("POST /moves", ADA, key, order_text(ada, eve, "1"));
    }
    for (int i = 0; i < STORM; i++) {
        int status = site_hear(fds[i]);

        assert_true(status == 201 || status == 409);
        if (status == 201 && bodies[i % KEYS][0] == '\0')
            (void)snprintf(bodies[i % KEYS], sizeof(bodies[0]), "%s", desk_body());
        else if (status == 201)
            assert_string_equal(desk_body(), bodies[i % KEYS]);
    }
    for (int k = 0; k < KEYS; k++)
        assert_true(bodies[k][0] != '\0');
    assert_int_equal(balance(eve), 100 * KEYS);
}

static void keys_have_a_form(void **state)
{
    static const char *const good[] = {
        "a", "!~", "a\"b", "\"8e03978e-40d5-43dd-bc93-6894a57f9324\"", "\"a\\\"b\\\\\"", "a\\b"};
    static const char *const bad[] = {"",         "\"",      "\"\"",      "\"a",     "\"a\"b\"",
                                      "\"a\\b\"", "\"a\\\"", "a b",       "\"a b\"", "\"a\";q=1",
                                      "\xC3\xA4", "a\tb",    "\"a\x7F\"", "a\"b c\""};
    char text[300];

    (void)state;
    for (size_t i = 0; i < PC_COUNT(good); i++)
        assert_int_equal(pay(good[i], "1"), 201);
    for (size_t i = 0; i < PC_COUNT(bad); i++) {
        int status = pay(bad[i], "1");

        if (status != 422 && status != 400)
            fail_msg("%s: %d", bad[i], status);
        if (status == 422)
            assert_says("\"field\":\"Idempotency-Key\"");
    }
    memset(text, 'k', sizeof(text));
    text[256] = '\0';
    assert_int_equal(pay(text, "1"), 422);
    text[255] = '\0';
    assert_int_equal(pay(text, "1"), 201);
    assert_int_equal(pay("a\r\nIdempotency-Key: b", "1"), 422);
    assert_int_equal(balance(eve), 100 * ((int64_t)PC_COUNT(good) + 1));
    assert_int_equal(pay("a\"b", "1"), 201); /* quoted or not, it is one key */
    assert_says("Idempotency-Replayed: true\r\n");
}

/* What is old enough goes, a few at a time, and no other. */
static void keys_are_given_up(void **state)
{
    static const struct store_statement age = {
        .name = "call_test_age",
        .sqlite = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 700) "
                  "INSERT INTO ledger_keys (hash, at, fingerprint, status, content_type, reply) "
                  "SELECT CAST('old' || i AS blob), 1, CAST('' AS blob), 201, '', "
                  "CAST('' AS blob) FROM n",
        .postgres =
            "INSERT INTO ledger_keys (hash, at, fingerprint, status, content_type, reply) "
            "SELECT ('old' || i)::bytea, 1, '', 201, '', '' FROM generate_series(1, 700) i"};
    bool more = false;

    (void)state;
    kit_exec(bench.store, &age);
    assert_int_equal(pay("one", "1"), 201);
    clock_fake_move(&bench.clock, KEY_LIFE_S * CLOCK_NS_PER_S);
    assert_int_equal(pay("two", "1"), 201);
    assert_int_equal(ledger_keys_sweep(bench.ledger, &more), ERR_OK);
    assert_true(more);
    assert_int_equal(number_of(&count_keys), 202);
    assert_int_equal(ledger_keys_sweep(bench.ledger, &more), ERR_OK);
    assert_false(more);
    assert_int_equal(number_of(&count_keys), 2);
    assert_int_equal(pay("one", "1"), 201);
    assert_says("Idempotency-Replayed: true\r\n");
    clock_fake_move(&bench.clock, CLOCK_NS_PER_S);
    assert_int_equal(ledger_keys_sweep(bench.ledger, &more), ERR_OK);
    assert_int_equal(number_of(&count_keys), 1);
    assert_int_equal(pay("one", "1"), 201);
    assert_silent("Idempotency-Replayed");
    assert_int_equal(pay("two", "1"), 201);
    assert_says("Idempotency-Replayed: true\r\n");
}

/* ---- keys at random ---------------------------------------------------------------------------
 * Beside a map of what was answered under each key, whose, and on which route. */

enum { MODEL_STEPS = 600, MODEL_KEYS = 12, MODEL_PEOPLE = 3, MODEL_AMOUNTS = 4 };

struct modelled {
    bool is_taken;
    int amount, status;
    char body[1024];
};
static struct modelled model[MODEL_PEOPLE][2][MODEL_KEYS];

static uint32_t model_seed;

static int model_pick(int count)
{
    model_seed = model_seed * 1664525U + 1013904223U;
    return (int)((model_seed >> 16) % (uint32_t)count);
}

/* What the ledger must say to a new request, moving the money in the model too. */
static int model_answer(int amount, int64_t *funds, int64_t *got)
{
    static const int64_t minors[MODEL_AMOUNTS] = {1, 250, 0, 40000};

    if (minors[amount] == 0)
        return 422;
    if (minors[amount] > *funds)
        return 409;
    *funds -= minors[amount];
    *got += minors[amount];
    return 201;
}

static void model_step(int64_t *funds, int64_t *got)
{
    static const char *const people[MODEL_PEOPLE] = {ADA, BANK, ROBOT};
    static const char *const paths[] = {"POST /moves", "POST /same"};
    static const char *const amounts[MODEL_AMOUNTS] = {"0.01", "2.5", "0.00", "400"};
    int who = model_pick(MODEL_PEOPLE), where = model_pick(2), which = model_pick(MODEL_KEYS);
    int amount = model_pick(MODEL_AMOUNTS);
    struct modelled *m = &model[who][where][which];
    char key[16];
    int status;

    (void)snprintf(key, sizeof(key), "key-%d", which);
    atomic_store(&broken, model_pick(10) == 0);
    status = desk_ask(paths[where], people[who], key, order_text(ada, eve, amounts[amount]));
    if (m->is_taken && m->amount == amount) {
        assert_int_equal(status, m->status);
        assert_says("Idempotency-Replayed: true\r\n");
        assert_string_equal(desk_body(), m->body);
    } else if (m->is_taken) {
        assert_int_equal(status, 422);
        assert_says("\"field\":\"amount\"");
    } else if (atomic_load(&broken) && status == 500) {
        assert_silent("Idempotency-Replayed");
    } else {
        assert_int_equal(status, model_answer(amount, funds, got));
        assert_silent("Idempotency-Replayed");
        *m = (struct modelled){.is_taken = true, .amount = amount, .status = status};
        (void)snprintf(m->body, sizeof(m->body), "%s", desk_body());
    }
}

static void keys_are_a_map(void **state)
{
    const char *seed = getenv("PORTCULLIS_SEED");
    uint64_t start = (uint64_t)time(NULL);
    int64_t funds = 100000;
    int64_t got = 0;

    (void)state;
    memset(model, 0, sizeof(model));
    if (seed != NULL)
        assert_true(span_to_u64(span_from(seed), &start));
    model_seed = (uint32_t)start;
    print_message("seed %u\n", model_seed);
    for (int i = 0; i < MODEL_STEPS; i++) {
        model_step(&funds, &got);
        if (model_pick(200) == 0) {
            atomic_store(&broken, false);
            desk_restart(routes);
        }
    }
    atomic_store(&broken, false);
    assert_int_equal(balance(ada), funds);
    assert_int_equal(balance(eve), got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MOVE_TEST(a_key_is_one_effect),
        MOVE_TEST(a_restart_forgets_nothing),
        MOVE_TEST(another_request_is_named),
        MOVE_TEST(strangers_do_not_meet),
        MOVE_TEST(what_was_refused_stays_refused),
        MOVE_TEST(a_fault_is_not_kept),
        MOVE_TEST(a_refusal_leaves_nothing),
        MOVE_TEST(the_second_is_told_to_wait),
        MOVE_TEST(a_storm_is_one_effect),
        MOVE_TEST(a_damaged_answer_is_not_given),
        MOVE_TEST(writers_do_not_meet),
        MOVE_TEST(keys_have_a_form),
        MOVE_TEST(keys_are_given_up),
        MOVE_TEST(keys_are_a_map),
    };

    return cmocka_run_group_tests_name("key", tests, NULL, NULL);
}
