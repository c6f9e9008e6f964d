/* SPDX-License-Identifier: MIT
 * The runner and its keys: one key is one effect and one answer, whatever happens in between; and
 * who may move what. Routes of the test's own on a whole service, on both databases. */
#include "ledger/ledger_call_test_kit.h"
#include "ledger/ledger_key.h"

enum { STORM = 200, FEW = 3, FAILURES_MAX = 60, KEY_LIFE_S = 3600 };

#define ADA   "u1.customer"
#define EVE   "u2.customer"
#define BANK  "u3.payments"
#define ROBOT "c1.payments"

/* ---- routes -----------------------------------------------------------------------------------
 */

struct place {
    int64_t id;
};
static const struct json_field place_fields[] = {{.name = "id",
                                                  .kind = JSON_KIND_I64,
                                                  .min = 1,
                                                  .max = 1000000,
                                                  .offset = offsetof(struct place, id)}};
static const struct json_schema place_schema = {.name = "Place",
                                                .fields = place_fields,
                                                .field_count = PC_COUNT(place_fields),
                                                .bytes = sizeof(struct place)};

struct order {
    int64_t from, to;
    struct span amount;
};
static const struct json_field order_fields[] = {
    {.name = "from", .kind = JSON_KIND_I64, .max = 1000000, .offset = offsetof(struct order, from)},
    {.name = "to", .kind = JSON_KIND_I64, .max = 1000000, .offset = offsetof(struct order, to)},
    {.name = "amount",
     .kind = JSON_KIND_DECIMAL,
     .min = -1000000,
     .max = INT64_MAX,
     .offset = offsetof(struct order, amount)},
};
static const struct json_schema order_schema = {.name = "Order",
                                                .about = "What to move.",
                                                .fields = order_fields,
                                                .field_count = PC_COUNT(order_fields),
                                                .bytes = sizeof(struct order)};

struct done {
    int64_t seq;
};
static const struct json_field done_fields[] = {{.name = "seq",
                                                 .kind = JSON_KIND_I64,
                                                 .min = 1,
                                                 .max = INT64_MAX,
                                                 .offset = offsetof(struct done, seq)}};
static const struct json_schema done_schema = {.name = "Done",
                                               .about = "It was moved.",
                                               .fields = done_fields,
                                               .field_count = PC_COUNT(done_fields),
                                               .bytes = sizeof(struct done)};

static atomic_bool broken, told_off; /* the handler fails behind the posting: 500, 409 */

static const struct store_statement bad_statement = {.name = "call_test_bad",
                                                     .sqlite = "UPDATE ledger_head SET id = 2"};

static enum err move_run(struct http_request *req, struct ledger_turn *turn)
{
    const struct order *order = req->body;
    struct ledger_account from = {0}, to = {0};
    struct ledger_transfer transfer = {
        .kind = LEDGER_TRANSFER, .from = order->from, .to = order->to};
    struct ledger_posted posted = {0};
    char text[32];
    struct sbuf location = sbuf_over(text, sizeof(text));
    enum err err = ledger_account_moved(req, turn, order->from, &from);

    if (err == ERR_OK)
        err = ledger_turn_account(turn, order->to, &to);
    if (err == ERR_OK)
        err = ledger_amount_read(req, "amount", order->amount, from.currency, &transfer.amount);
    if (err == ERR_OK)
        err = ledger_move(turn, &transfer, &posted);
    if (err)
        return err;
    if (atomic_load(&broken))
        return http_fail(req, ERR_INTERNAL, "It broke.");
    if (atomic_load(&told_off))
        return ERR_TRANSITION;
    sbuf_add_format(&location, "/moves/%lld", (long long)posted.seq);
    http_reply_header(req, "Location", sbuf_span(&location));
    return http_reply(req, &(struct done){.seq = posted.seq});
}

static enum err move_create(struct http_request *req)
{
    const struct order *order = req->body;
    struct ledger_call *call = ledger_call_new(req, move_run);

    if (call == NULL)
        return ERR_NO_MEMORY;
    for (int i = 0; i < 20; i++) /* more than there is room for at first */
        ledger_call_want(call, order->from), ledger_call_want(call, order->to);
    return ledger_call_go(req, http_context(req), call);
}

/* A statement that the database refuses. */
static enum err bad_run(struct http_request *req, struct ledger_turn *turn)
{
    enum err err = store_exec(ledger_turn_conn(turn), &bad_statement, NULL, 0, NULL);

    return err ? err : http_reply(req, &(struct done){.seq = 1});
}

static enum err bad_create(struct http_request *req)
{
    struct ledger_call *call = ledger_call_new(req, bad_run);

    return call == NULL ? ERR_NO_MEMORY : ledger_call_go(req, http_context(req), call);
}

/* 204 when the account may be seen. */
static enum err see_run(struct http_request *req, struct ledger_turn *turn)
{
    const struct place *place = req->input;
    struct ledger_account account = {0};
    enum err err = ledger_account_seen(req, turn, place->id, &account);

    return err ? err : http_reply_empty(req, 204);
}

static enum err see(struct http_request *req)
{
    struct ledger_call *call = ledger_call_new(req, see_run);

    return call == NULL ? ERR_NO_MEMORY : ledger_call_go(req, http_context(req), call);
}

#define ROW                                                                                        \
    .method = NET_METHOD_POST, .access = HTTP_ACCESS_BEARER, .tokens = HTTP_TOKENS_ANY,            \
    .reply = &done_schema, .reply_status = 201, .keyed = true

static const struct http_route routes[] = {
    {ROW, .path = "/moves", .body = &order_schema, .handle = move_create, .id = "move"},
    {ROW, .path = "/same", .body = &order_schema, .handle = move_create, .id = "same"},
    {ROW, .path = "/moves/{id}", .input = &place_schema, .body = &order_schema,
     .handle = move_create, .id = "move_of"},
    {ROW, .path = "/bad", .handle = bad_create, .id = "bad"},
    {ROW, .path = "/seen/{id}", .input = &place_schema, .handle = see, .id = "seen"},
    {.path = NULL},
};

/* ---- what every test begins with --------------------------------------------------------------
 */

static int64_t ada, ada_two, eve; /* accounts in euros; ada has 1000.00 */

static const struct store_statement more_users = {
    .name = "call_test_users",
    .sqlite = "INSERT INTO users (id, username, username_key, email, email_key, password_hash, "
              "created_at, updated_at, password_changed_at) "
              "VALUES (2, 'eve', 'eve', 'eve@example.com', 'eve@example.com', 'hash', 1, 1, 1)"};

struct opening {
    int64_t user_id, id;
};

static enum err opening_work(struct ledger_turn *turn, void *context)
{
    struct opening *opening = context;
    const struct ledger_account_new made = {
        .user_id = opening->user_id, .currency = CURRENCY_EUR, .state = LEDGER_ACTIVE};

    return ledger_account_open(turn, &made, &opening->id);
}

static int64_t account_for(int64_t user_id)
{
    struct opening opening = {.user_id = user_id};

    assert_int_equal(doing(opening_work, &opening), ERR_OK);
    return opening.id;
}

static int begin(void **state)
{
    struct ledger_options options;

    if (bench_setup(state) != 0)
        return -1;
    kit_exec(bench.store, &more_users);
    options = *ledger_options_of(bench.ledger);
    options.key_life_s = KEY_LIFE_S;
    ledger_free(bench.ledger);
    assert_int_equal(ledger_new(&options, &bench.ledger), ERR_OK);
    ada = account_for(1);
    ada_two = account_for(1);
    eve = account_for(2);
    paid_in(ada, 100000, CURRENCY_EUR);
    atomic_store(&broken, false);
    atomic_store(&told_off, false);
    desk_open(routes);
    return 0;
}

static int finish(void **state)
{
    desk_close();
    return bench_teardown(state);
}

static const char *order_text(int64_t from, int64_t to, const char *amount)
{
    static char text[256];

    (void)snprintf(text, sizeof(text), "{\"from\":%lld,\"to\":%lld,\"amount\":%s}", (long long)from,
                   (long long)to, amount);
    return text;
}

/* Ada pays Eve. */
static int pay(const char *key, const char *amount)
{
    return desk_ask("POST /moves", ADA, key, order_text(ada, eve, amount));
}

static int64_t balance(int64_t id)
{
    return account_of(id).posted;
}

static char kept[4096];

static void keep_body(void)
{
    (void)snprintf(kept, sizeof(kept), "%s", desk_body());
}

static void assert_replayed(void)
{
    assert_says("Idempotency-Replayed: true\r\n");
    assert_string_equal(desk_body(), kept);
}

/* ---- keys -------------------------------------------------------------------------------------
 */

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

static const struct store_statement count_keys = {.name = "call_test_keys",
                                                  .sqlite = "SELECT count(*) FROM ledger_keys"};

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

/* ---- commits ----------------------------------------------------------------------------------
 */

/* Many in one commit: one refused, one of no known account, the others done. */
static void many_are_one_commit(void **state)
{
    static const char *const amounts[] = {"1", "5000", "2", "-1", "3"};
    static const int statuses[] = {201, 409, 201, 422, 201};
    int fds[PC_COUNT(amounts)];
    struct store_stats before, after;
    char key[8];

    (void)state;
    desk_hold();
    store_stats(bench.store, &before);
    for (size_t i = 0; i < PC_COUNT(amounts); i++) {
        (void)snprintf(key, sizeof(key), "k%zu", i);
        fds[i] = desk_send("POST /moves", ADA, key, order_text(ada, eve, amounts[i]));
    }
    desk_let_go(PC_COUNT(amounts));
    for (size_t i = 0; i < PC_COUNT(amounts); i++)
        assert_int_equal(site_hear(fds[i]), statuses[i]);
    store_stats(bench.store, &after);
    assert_int_equal(after.commits - before.commits, 2); /* with the one that was held */
    assert_int_equal(balance(eve), 600);
    assert_int_equal(number_of(&count_keys), PC_COUNT(amounts));
}

/* A statement that the store refuses is our fault and nobody else's. */
static void a_refused_row_is_our_fault(void **state)
{
    int fds[FEW];

    (void)state;
    desk_hold();
    fds[0] = desk_send("POST /moves", ADA, "one", order_text(ada, eve, "1"));
    fds[1] = desk_send("POST /bad", ADA, "bad", "{}");
    fds[2] = desk_send("POST /moves", ADA, "two", order_text(ada, eve, "2"));
    desk_let_go(FEW);
    assert_int_equal(site_hear(fds[0]), 201);
    assert_int_equal(site_hear(fds[1]), 500);
    assert_int_equal(site_hear(fds[2]), 201);
    assert_int_equal(balance(eve), 300);
    assert_int_equal(number_of(&count_keys), 2);
}

/* Whatever store call fails, asking again until there is an answer does it once. */
static void any_store_failure_is_one_effect(void **state)
{
    bool struck = true;
    int failed = 0;

    (void)state;
    for (uint64_t nth = 1; struck && nth <= FAILURES_MAX; nth++) {
        int fds[FEW];
        int statuses[FEW];
        char key[FEW][24];

        desk_hold();
        for (int i = 0; i < FEW; i++) {
            (void)snprintf(key[i], sizeof(key[i]), "k%d-%d", (int)nth, i);
            fds[i] = desk_send("POST /moves", ADA, key[i], order_text(ada, eve, "0.01"));
        }
        /* All wait before the failure is set: a reader must not have it. */
        {
            struct store_stats stats;

            do {
                desk_pause();
                store_stats(bench.store, &stats);
            } while (stats.writes_queued < FEW);
        }
        store_fail_at(nth);
        desk_let_go(FEW);
        for (int i = 0; i < FEW; i++) {
            statuses[i] = site_hear(fds[i]);
            assert_true(statuses[i] == 201 || statuses[i] == 503);
            failed += statuses[i] == 503;
        }
        struck = !store_fail_pending();
        store_fail_at(0);
        for (int i = 0; i < FEW; i++) {
            assert_int_equal(desk_ask("POST /moves", ADA, key[i], order_text(ada, eve, "0.01")),
                             201);
            if (statuses[i] == 201)
                assert_says("Idempotency-Replayed: true\r\n");
        }
        assert_int_equal(balance(eve), FEW * (int64_t)nth);
    }
    assert_false(struck);
    assert_true(failed > 0);
}

static const struct store_statement refusals = {
    .name = "call_test_refusals",
    .sqlite = "SELECT count(*) FROM trail_events WHERE event = 'ledger.refused' AND actor = '1' "
              "AND outcome = 'refused' AND reason IN ('insufficient_funds', "
              "'idempotency-key-reused')"};

/* A refusal is an event, once; a replay of it is none. */
static void refusals_are_in_the_trail(void **state)
{
    (void)state;
    assert_int_equal(pay("one", "5000"), 409);
    assert_int_equal(number_of(&refusals), 1);
    assert_int_equal(pay("one", "5000"), 409);
    assert_int_equal(number_of(&refusals), 1);
    assert_int_equal(pay("one", "5001"), 422);
    assert_int_equal(number_of(&refusals), 2);
}

/* ---- who may, and what ------------------------------------------------------------------------
 */

static void others_accounts_are_not_there(void **state)
{
    static const struct {
        const char *token;
        int seen, moved;
    } cases[] = {
        {"u1.customer", 204, 201}, {"u2.customer", 404, 404},  {"u9.", 404, 404},
        {"u9.payments", 204, 201}, {"u9.risk", 204, 201},      {"u9.auditor", 204, 404},
        {"u9.admin", 204, 404},    {"c1.customer", 404, 404},  {"c1.payments", 204, 201},
        {"c1.auditor", 204, 404},  {"u9.paymentsx", 404, 404},
    };
    char text[64];

    (void)state;
    (void)snprintf(text, sizeof(text), "POST /seen/%lld", (long long)ada);
    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        assert_int_equal(desk_ask(text, cases[i].token, NULL, ""), cases[i].seen);
        assert_int_equal(desk_ask("POST /moves", cases[i].token, NULL, order_text(ada, eve, "1")),
                         cases[i].moved);
    }
    assert_int_equal(desk_ask("POST /seen/999999", "u9.payments", NULL, ""), 404);
}

static void amounts_name_their_field(void **state)
{
    (void)state;
    assert_int_equal(pay(NULL, "0"), 422);
    assert_says("\"field\":\"amount\",\"message\":\"must be above zero\"");
    assert_int_equal(pay(NULL, "-1"), 422);
    assert_says("amount-range");
    assert_int_equal(pay(NULL, "1.001"), 422);
    assert_says("amount-digits");
    assert_says("at most 2 digits");
    assert_int_equal(pay(NULL, "92233720368547758.08"), 422);
    assert_says("\"field\":\"amount\",\"message\":\"is out of range\"");
    assert_int_equal(pay(NULL, "1.00"), 201);
}

#define CALL_TEST(function) cmocka_unit_test_setup_teardown(function, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CALL_TEST(a_key_is_one_effect),
        CALL_TEST(a_restart_forgets_nothing),
        CALL_TEST(another_request_is_named),
        CALL_TEST(strangers_do_not_meet),
        CALL_TEST(what_was_refused_stays_refused),
        CALL_TEST(a_fault_is_not_kept),
        CALL_TEST(a_refusal_leaves_nothing),
        CALL_TEST(the_second_is_told_to_wait),
        CALL_TEST(a_storm_is_one_effect),
        CALL_TEST(keys_have_a_form),
        CALL_TEST(keys_are_given_up),
        CALL_TEST(many_are_one_commit),
        CALL_TEST(a_refused_row_is_our_fault),
        CALL_TEST(any_store_failure_is_one_effect),
        CALL_TEST(refusals_are_in_the_trail),
        CALL_TEST(others_accounts_are_not_there),
        CALL_TEST(amounts_name_their_field),
    };

    return cmocka_run_group_tests_name("call", tests, NULL, NULL);
}
