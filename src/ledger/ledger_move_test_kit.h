/* SPDX-License-Identifier: MIT
 * A service that moves money, for tests of the runner and its keys: three accounts, and routes of
 * the test's own whose handlers can be made to fail. */
#ifndef PC_LEDGER_LEDGER_MOVE_TEST_KIT_H
#define PC_LEDGER_LEDGER_MOVE_TEST_KIT_H

#include "ledger/ledger_call_test_kit.h"
#include "ledger/ledger_key.h"

enum { FEW = 3, KEY_LIFE_S = 3600 };

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
                                                  .min = INT64_MIN,
                                                  .max = INT64_MAX,
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

static inline enum err move_run(struct http_request *req, struct ledger_turn *turn)
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

static inline enum err move_create(struct http_request *req)
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
static inline enum err bad_run(struct http_request *req, struct ledger_turn *turn)
{
    enum err err = store_exec(ledger_turn_conn(turn), &bad_statement, NULL, 0, NULL);

    return err ? err : http_reply(req, &(struct done){.seq = 1});
}

static inline enum err bad_create(struct http_request *req)
{
    struct ledger_call *call = ledger_call_new(req, bad_run);

    return call == NULL ? ERR_NO_MEMORY : ledger_call_go(req, http_context(req), call);
}

/* 204 when the account may be seen. */
static inline enum err see_run(struct http_request *req, struct ledger_turn *turn)
{
    const struct place *place = req->input;
    struct ledger_account account = {0};
    enum err err = ledger_account_seen(req, turn, place->id, &account);

    return err ? err : http_reply_empty(req, 204);
}

static inline enum err see(struct http_request *req)
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

static inline enum err opening_work(struct ledger_turn *turn, void *context)
{
    struct opening *opening = context;
    const struct ledger_account_new made = {
        .user_id = opening->user_id, .currency = CURRENCY_EUR, .state = LEDGER_ACTIVE};

    return ledger_account_open(turn, &made, &opening->id);
}

static inline int64_t account_for(int64_t user_id)
{
    struct opening opening = {.user_id = user_id};

    assert_int_equal(doing(opening_work, &opening), ERR_OK);
    return opening.id;
}

static inline int begin(void **state)
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

static inline int finish(void **state)
{
    desk_close();
    return bench_teardown(state);
}

static inline const char *order_text(int64_t from, int64_t to, const char *amount)
{
    static char text[256];

    (void)snprintf(text, sizeof(text), "{\"from\":%lld,\"to\":%lld,\"amount\":%s}", (long long)from,
                   (long long)to, amount);
    return text;
}

/* Ada pays Eve. */
static inline int pay(const char *key, const char *amount)
{
    return desk_ask("POST /moves", ADA, key, order_text(ada, eve, amount));
}

static inline int64_t balance(int64_t id)
{
    return account_of(id).posted;
}

static char kept[4096];

static inline void keep_body(void)
{
    (void)snprintf(kept, sizeof(kept), "%s", desk_body());
}

static inline void assert_replayed(void)
{
    assert_says("Idempotency-Replayed: true\r\n");
    assert_string_equal(desk_body(), kept);
}

static const struct store_statement count_keys = {.name = "call_test_keys",
                                                  .sqlite = "SELECT count(*) FROM ledger_keys"};

#define MOVE_TEST(function) cmocka_unit_test_setup_teardown(function, begin, finish)

#endif
