/* SPDX-License-Identifier: MIT
 * Orders against a small model of them: what is done, to which order and at what price, is drawn at
 * random, and each answer, each order and each balance must be the model's. PORTCULLIS_SEED repeats
 * a run. */
#include "gateway/gateway_test_kit.h"

enum { ACCOUNTS = 3, ORDERS_MAX = 400, STEPS = 900, STEPS_POSTGRES = 500, START = 1000000 };

struct model_order {
    const char *id;
    size_t account;
    bool is_buy;
    int64_t quantity, filled, limit_price; /* 0: market */
    int64_t held;
    const char *status;
    int64_t fills;
};

static struct {
    int64_t id, posted, held;
    enum ledger_state state;
} accounts[ACCOUNTS];
static struct model_order orders[ORDERS_MAX];
static size_t order_count;
static int64_t settled; /* what went to the settlement account since the start */
static struct random_seeded source;

static int64_t draw(int64_t below)
{
    uint64_t bits;

    random_fill(&source.source, &bits, sizeof(bits));
    return (int64_t)(bits % (uint64_t)below);
}

static const char *price_text(int64_t minor)
{
    struct sbuf out = sbuf_on(&bench.arena, 32);

    sbuf_add_format(&out, "%lld.%02lld", (long long)(minor / 100), (long long)(minor % 100));
    sbuf_add_char(&out, '\0');
    return sbuf_span(&out).ptr;
}

/* ---- what may be done -------------------------------------------------------------------------
 */

static int model_create(const struct model_order *order)
{
    if (!order->is_buy)
        return 201;
    if (accounts[order->account].state == LEDGER_FROZEN)
        return 409;
    return accounts[order->account].posted - accounts[order->account].held >= order->held ? 201
                                                                                          : 409;
}

static void step_create(void)
{
    struct model_order order = {.account = (size_t)draw(ACCOUNTS),
                                .is_buy = draw(3) > 0,
                                .quantity = 1 + draw(20),
                                .status = "open"};
    bool is_limit = draw(2) == 0;
    int64_t price = 1 + draw(9000);
    char body[256];
    int status;

    order.limit_price = is_limit ? price : 0;
    order.held = order.is_buy ? price * order.quantity : 0;
    (void)snprintf(body, sizeof(body),
                   "{\"account_id\":%lld,\"symbol\":\"ACME\",\"side\":\"%s\",\"quantity\":%lld,"
                   "\"type\":\"%s\"%s%s}",
                   (long long)accounts[order.account].id, order.is_buy ? "buy" : "sell",
                   (long long)order.quantity, is_limit ? "limit" : "market",
                   is_limit       ? ",\"limit_price\":"
                   : order.is_buy ? ",\"max_cost\":"
                                  : "",
                   is_limit       ? price_text(price)
                   : order.is_buy ? price_text(order.held)
                                  : "");
    status = ask("POST " ORDERS, CUSTOMER, body);
    assert_int_equal(status, model_create(&order));
    if (status != 201 || order_count == ORDERS_MAX)
        return;
    order.id = said_id();
    accounts[order.account].held += order.held;
    orders[order_count++] = order;
}

static int model_fill(const struct model_order *order, int64_t quantity, int64_t price)
{
    if (order->is_buy && accounts[order->account].state == LEDGER_FROZEN)
        return 409;
    if (strcmp(order->status, "open") != 0 || quantity > order->quantity - order->filled)
        return 409;
    if (order->limit_price > 0 &&
        (order->is_buy ? price > order->limit_price : price < order->limit_price))
        return 409;
    return order->is_buy && price * quantity > order->held ? 409 : 201;
}

static void step_fill(struct model_order *order)
{
    int64_t open = order->quantity - order->filled;
    int64_t quantity = draw(3) == 0 && open > 0 ? open : 1 + draw(12);
    int64_t near = order->limit_price > 0 ? order->limit_price : 4000;
    int64_t price = near + draw(200) - 100;
    int64_t amount;

    price = price < 1 ? 1 : price;
    amount = price * quantity;
    assert_int_equal(fill_of(order->id, quantity, price_text(price)),
                     model_fill(order, quantity, price));
    if (model_fill(order, quantity, price) != 201)
        return;
    order->filled += quantity;
    order->fills++;
    accounts[order->account].posted += order->is_buy ? -amount : amount;
    settled += order->is_buy ? amount : -amount;
    if (order->is_buy) {
        int64_t freed = order->filled == order->quantity ? order->held : amount;

        order->held -= freed;
        accounts[order->account].held -= freed;
    }
    if (order->filled == order->quantity)
        order->status = "filled";
}

static void model_end(struct model_order *order, const char *status)
{
    accounts[order->account].held -= order->held;
    order->held = 0;
    order->status = status;
}

static void step_cancel(struct model_order *order)
{
    bool may = strcmp(order->status, "open") == 0;

    assert_int_equal(ask(on_order("DELETE", order->id, ""), STRANGER, NULL), 404);
    assert_int_equal(ask(on_order("DELETE", order->id, ""), CUSTOMER, NULL), may ? 204 : 409);
    if (may)
        model_end(order, "cancelled");
}

static void step_reject(struct model_order *order)
{
    bool may = strcmp(order->status, "open") == 0 && order->filled == 0;

    assert_int_equal(ask(on_order("POST", order->id, "/reject"), BROKER, "{\"reason\":\"no\"}"),
                     may ? 200 : 409);
    if (may)
        model_end(order, "rejected");
}

static void step_freeze(void)
{
    size_t i = (size_t)draw(ACCOUNTS);

    accounts[i].state = accounts[i].state == LEDGER_FROZEN ? LEDGER_ACTIVE : LEDGER_FROZEN;
    bench_state(accounts[i].id, accounts[i].state);
}

/* ---- comparing --------------------------------------------------------------------------------
 */

static void compare_accounts(void)
{
    int64_t held = 0;
    struct ledger_account house = bench_look(ledger_house_account(LEDGER_SETTLEMENT, CURRENCY_USD));

    for (size_t i = 0; i < ACCOUNTS; i++) {
        assert_account(accounts[i].id, accounts[i].posted, accounts[i].held);
        held += accounts[i].held;
    }
    assert_int_equal(house.posted, settled - (int64_t)ACCOUNTS * START);
    assert_int_equal(house.incoming, held);
}

static void compare_order(const struct model_order *order)
{
    char number[40];

    assert_int_equal(ask(on_order("GET", order->id, ""), CUSTOMER, NULL), 200);
    assert_said("status", order->status);
    (void)snprintf(number, sizeof(number), "%lld", (long long)order->filled);
    assert_said("filled_quantity", number);
    (void)snprintf(number, sizeof(number), "fills.%lld.number", (long long)order->fills - 1);
    if (order->fills > 0)
        assert_true(said(number).len > 0);
    (void)snprintf(number, sizeof(number), "fills.%lld.number", (long long)order->fills);
    assert_int_equal(said(number).len, 0);
}

static void compare_lists(void)
{
    static const char *const statuses[] = {"open", "filled", "cancelled", "rejected"};

    for (size_t i = 0; i < PC_COUNT(statuses); i++) {
        char what[96], total[24];
        int64_t count = 0;

        for (size_t j = 0; j < order_count; j++)
            count += strcmp(orders[j].status, statuses[i]) == 0;
        (void)snprintf(what, sizeof(what), "GET " ORDERS "?limit=1&status=%s", statuses[i]);
        (void)snprintf(total, sizeof(total), "%lld", (long long)count);
        assert_int_equal(ask(what, CUSTOMER, NULL), 200);
        assert_said("total", total);
    }
}

static void step(void)
{
    struct model_order *order =
        order_count == 0 ? NULL
        : draw(2) == 0   ? &orders[order_count - 1 - (size_t)draw((int64_t)order_count) % 8]
                         : &orders[draw((int64_t)order_count)];
    int64_t what = draw(100);

    if (order == NULL || (what < 25 && order_count < ORDERS_MAX))
        step_create();
    else if (what < 80)
        step_fill(order);
    else if (what < 88)
        step_cancel(order);
    else if (what < 94)
        step_reject(order);
    else if (what < 97)
        step_freeze();
    else
        clock_fake_move(&bench.clock, draw(30) * 86400 * CLOCK_NS_PER_S);
    if (order != NULL)
        compare_order(order);
}

static void orders_are_as_the_model_says(void **state)
{
    const char *given = getenv("PORTCULLIS_SEED");
    uint64_t seed = 0;
    int steps = bench.kit->postgres ? STEPS_POSTGRES : STEPS;

    (void)state;
    if (given == NULL || !span_to_u64(span_from(given), &seed))
        random_fill(&random_system, &seed, sizeof(uint32_t));
    print_message("PORTCULLIS_SEED=%llu\n", (unsigned long long)seed);
    random_seeded_init(&source, seed);
    for (size_t i = 0; i < ACCOUNTS; i++) {
        accounts[i].id = bench_account(2, CURRENCY_USD, START);
        accounts[i].posted = START;
        accounts[i].state = LEDGER_ACTIVE;
    }
    for (int i = 0; i < steps; i++) {
        step();
        compare_accounts();
        if (i % 100 == 99)
            assert_adds_up();
    }
    compare_lists();
}

int main(void)
{
    const struct CMUnitTest tests[] = {BENCH_TEST(orders_are_as_the_model_says)};

    return cmocka_run_group_tests_name("gateway_orders_model", tests, NULL, NULL);
}
