/* SPDX-License-Identifier: MIT
 * Orders through their routes: what is held, taken, paid and given back; what is refused, and in
 * which order; whose orders anybody sees. */
#include "gateway/gateway_test_kit.h"

#define LIMIT_BUY                                                                                  \
    "{\"account_id\":1,\"symbol\":\"ACME\",\"side\":\"buy\",\"quantity\":10,\"type\":\"limit\","   \
    "\"limit_price\":19.95,\"currency\":\"USD\"}"
#define MARKET_BUY                                                                                 \
    "{\"account_id\":1,\"symbol\":\"ACME\",\"side\":\"buy\",\"quantity\":10,\"type\":\"market\","  \
    "\"max_cost\":\"250.00\"}"
#define LIMIT_SELL                                                                                 \
    "{\"account_id\":1,\"symbol\":\"ACME\",\"side\":\"sell\",\"quantity\":10,\"type\":\"limit\","  \
    "\"limit_price\":20}"

enum { START = 100000 };

/* Account 1 of the customer, with 1000.00 dollars. */
static int setup(void **state)
{
    if (bench_setup(state) != 0)
        return -1;
    assert_int_equal(bench_account(2, CURRENCY_USD, START), 1);
    return 0;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, bench_teardown)

/* ---- given in ---------------------------------------------------------------------------------
 */

static void an_order_to_buy_holds_its_cost(void **state)
{
    const char *id = order_of(CUSTOMER, LIMIT_BUY);
    char location[128];

    (void)state;
    (void)snprintf(location, sizeof(location), "\r\nLocation: " ORDERS "/%s\r\n", id);
    assert_says(location);
    assert_int_equal(strlen(id), 36);
    assert_said("symbol", "ACME");
    assert_said("side", "buy");
    assert_said("type", "limit");
    assert_said("quantity", "10");
    assert_said("filled_quantity", "0");
    assert_said("limit_price", "19.95");
    assert_said("limit_price_minor", "1995");
    assert_said("currency", "USD");
    assert_said("account_id", "1");
    assert_said("status", "open");
    assert_account(1, START, 19950);
    assert_int_equal(bench_look(ledger_house_account(LEDGER_SETTLEMENT, CURRENCY_USD)).incoming,
                     19950);
    assert_int_equal(ask(on_order("GET", id, ""), CUSTOMER, NULL), 200);
    assert_said("fills", "[]");
    assert_silent("user_id");
    assert_silent("hold_seq");
}

/* A hold of an order outlives any that is set. */
static void an_order_holds_for_as_long_as_it_is_open(void **state)
{
    const char *id = order_of(CUSTOMER, MARKET_BUY);

    (void)state;
    assert_said("max_cost", "250.00");
    assert_said("max_cost_minor", "25000");
    assert_silent("limit_price");
    clock_fake_move(&bench.clock, INT64_C(4000) * 86400 * CLOCK_NS_PER_S);
    assert_account(1, START, 25000);
    assert_int_equal(fill_of(id, 1, "10.00"), 201);
    assert_account(1, START - 1000, 24000);
}

static void an_order_to_sell_holds_nothing(void **state)
{
    (void)state;
    (void)order_of(CUSTOMER, LIMIT_SELL);
    assert_said("limit_price", "20.00");
    assert_account(1, START, 0);
    (void)order_of(CUSTOMER, "{\"account_id\":1,\"symbol\":\"a.b:c/d_e-9\",\"side\":\"sell\","
                             "\"quantity\":9223372036854775807,\"type\":\"market\"}");
    assert_account(1, START, 0);
}

static void all_of_the_money_may_be_ordered_with_and_no_more(void **state)
{
    (void)state;
    assert_int_equal(ask("POST " ORDERS, CUSTOMER,
                         "{\"account_id\":1,\"symbol\":\"A\",\"side\":\"buy\",\"quantity\":1,"
                         "\"type\":\"market\",\"max_cost\":1000.01}"),
                     409);
    assert_refused(409, "insufficient_funds");
    assert_account(1, START, 0);
    (void)order_of(CUSTOMER, "{\"account_id\":1,\"symbol\":\"A\",\"side\":\"buy\",\"quantity\":1,"
                             "\"type\":\"market\",\"max_cost\":1000.00}");
    assert_account(1, START, START);
    assert_int_equal(ask("POST " ORDERS, CUSTOMER, LIMIT_BUY), 409);
    assert_int_equal(ask("GET " ORDERS, CUSTOMER, NULL), 200);
    assert_said("total", "1");
}

/* One key, one order, one hold: the same bytes again. */
static void a_key_gives_in_one_order(void **state)
{
    static const char key[] = "Idempotency-Key: order-1\r\n";
    char first[4096];

    (void)state;
    assert_int_equal(ask_with("POST " ORDERS, CUSTOMER, key, LIMIT_BUY), 201);
    (void)snprintf(first, sizeof(first), "%.*s", SPAN_ARG(bench_body()));
    assert_int_equal(ask_with("POST " ORDERS, CUSTOMER, key, LIMIT_BUY), 201);
    assert_string_equal(first, bench_body().ptr);
    assert_says("\r\nLocation: " ORDERS "/");
    assert_account(1, START, 19950);
    assert_int_equal(ask_with("POST " ORDERS, CUSTOMER, key, MARKET_BUY), 422);
    assert_refused(422, "idempotency-key-reused");
    assert_account(1, START, 19950);
}

/* ---- refused ----------------------------------------------------------------------------------
 */

#define ORDER(more) "{\"account_id\":1,\"symbol\":\"ACME\"," more "}"

static void what_is_no_order_is_refused_by_its_field(void **state)
{
    static const struct {
        const char *body, *field;
    } cases[] = {
        {ORDER("\"side\":\"hold\",\"quantity\":1,\"type\":\"market\""), "side"},
        {ORDER("\"side\":\"sell\",\"quantity\":0,\"type\":\"market\""), "quantity"},
        {ORDER("\"side\":\"sell\",\"quantity\":-1,\"type\":\"market\""), "quantity"},
        {ORDER("\"side\":\"sell\",\"quantity\":1.5,\"type\":\"market\""), "quantity"},
        {ORDER("\"side\":\"sell\",\"quantity\":9223372036854775808,\"type\":\"market\""),
         "quantity"},
        {ORDER("\"side\":\"sell\",\"quantity\":1,\"type\":\"stop\""), "type"},
        {ORDER("\"side\":\"sell\",\"quantity\":1,\"type\":\"limit\""), "limit_price"},
        {ORDER("\"side\":\"sell\",\"quantity\":1,\"type\":\"market\",\"limit_price\":1"),
         "limit_price"},
        {ORDER("\"side\":\"sell\",\"quantity\":1,\"type\":\"limit\",\"limit_price\":0"),
         "limit_price"},
        {ORDER("\"side\":\"sell\",\"quantity\":1,\"type\":\"limit\",\"limit_price\":-0"),
         "limit_price"},
        {ORDER("\"side\":\"sell\",\"quantity\":1,\"type\":\"limit\",\"limit_price\":19.999"),
         "limit_price"},
        {ORDER("\"side\":\"sell\",\"quantity\":1,\"type\":\"limit\",\"limit_price\":1e2"),
         "limit_price"},
        {ORDER("\"side\":\"sell\",\"quantity\":1,\"type\":\"limit\","
               "\"limit_price\":92233720368547758.08"),
         "limit_price"},
        {ORDER("\"side\":\"sell\",\"quantity\":2,\"type\":\"limit\","
               "\"limit_price\":92233720368547758.07"),
         "quantity"},
        {ORDER("\"side\":\"buy\",\"quantity\":9223372036854775807,\"type\":\"limit\","
               "\"limit_price\":0.02"),
         "quantity"},
        {ORDER("\"side\":\"buy\",\"quantity\":1,\"type\":\"market\""), "max_cost"},
        {ORDER("\"side\":\"sell\",\"quantity\":1,\"type\":\"market\",\"max_cost\":5"), "max_cost"},
        {ORDER("\"side\":\"buy\",\"quantity\":1,\"type\":\"limit\",\"limit_price\":1,"
               "\"max_cost\":5"),
         "max_cost"},
        {ORDER("\"side\":\"sell\",\"quantity\":1,\"type\":\"market\",\"currency\":\"usd\""),
         "currency"},
        {"{\"account_id\":1,\"symbol\":\"\",\"side\":\"sell\",\"quantity\":1,\"type\":\"market\"}",
         "symbol"},
        {"{\"account_id\":1,\"symbol\":\"A B\",\"side\":\"sell\",\"quantity\":1,"
         "\"type\":\"market\"}",
         "symbol"},
        {"{\"account_id\":1,\"symbol\":\".A\",\"side\":\"sell\",\"quantity\":1,"
         "\"type\":\"market\"}",
         "symbol"},
        {"{\"account_id\":1,\"symbol\":\"4111111111111111\",\"side\":\"sell\",\"quantity\":1,"
         "\"type\":\"market\"}",
         "symbol"},
        {"{\"account_id\":0,\"symbol\":\"A\",\"side\":\"sell\",\"quantity\":1,\"type\":\"market\"}",
         "account_id"},
        {"{\"symbol\":\"A\",\"side\":\"sell\",\"quantity\":1,\"type\":\"market\"}", "account_id"},
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        if (ask("POST " ORDERS, CUSTOMER, cases[i].body) != 422)
            fail_msg("%s: %s", cases[i].body, site.text);
        assert_said("errors.0.field", cases[i].field);
    }
    assert_account(1, START, 0);
    assert_int_equal(ask("GET " ORDERS, CUSTOMER, NULL), 200);
    assert_said("total", "0");
}

static void an_order_needs_an_account_of_its_own(void **state)
{
    (void)state;
    assert_int_equal(ask("POST " ORDERS, STRANGER, LIMIT_BUY), 404);
    assert_int_equal(ask("POST " ORDERS, BROKER, LIMIT_BUY), 404);
    assert_int_equal(ask("POST " ORDERS, "0.broker.rw", LIMIT_BUY), 404);
    assert_int_equal(ask("POST " ORDERS, "3.payments.rw", LIMIT_BUY), 403);
    assert_int_equal(ask("POST " ORDERS, "0.payments.rw", LIMIT_BUY), 403);
    assert_int_equal(ask("POST " ORDERS, "2.customer.r", LIMIT_BUY), 403);
    assert_int_equal(ask("POST " ORDERS, "2.customer.none", LIMIT_BUY), 403);
    assert_int_equal(ask("POST " ORDERS, CUSTOMER,
                         "{\"account_id\":77,\"symbol\":\"A\",\"side\":\"sell\",\"quantity\":1,"
                         "\"type\":\"market\"}"),
                     404);
    assert_account(1, START, 0);
}

/* Whoever breaks several rules is told of the first. */
static void refusals_come_in_their_order(void **state)
{
#define TERMS(price, currency)                                                                     \
    ORDER("\"side\":\"buy\",\"quantity\":1000000,\"type\":\"limit\",\"limit_price\":" price        \
          ",\"currency\":\"" currency "\"")
    (void)state;
    bench_state(1, LEDGER_FROZEN);
    assert_int_equal(ask("POST " ORDERS, STRANGER, TERMS("1.999", "EUR")), 404);
    assert_int_equal(ask("POST " ORDERS, CUSTOMER, TERMS("1.999", "EUR")), 422);
    assert_refused(422, "currency-mismatch");
    assert_int_equal(ask("POST " ORDERS, CUSTOMER, TERMS("1.999", "USD")), 422);
    assert_said("errors.0.field", "limit_price");
    assert_int_equal(ask("POST " ORDERS, CUSTOMER, TERMS("1.99", "USD")), 409);
    assert_refused(409, "account-frozen");
    bench_state(1, LEDGER_ACTIVE);
    assert_int_equal(ask("POST " ORDERS, CUSTOMER, TERMS("1.99", "USD")), 409);
    assert_refused(409, "insufficient_funds");
    assert_account(1, START, 0);
}

static void a_closed_account_orders_nothing(void **state)
{
    int64_t id = bench_account(2, CURRENCY_USD, 0);
    char body[160];

    (void)state;
    (void)snprintf(body, sizeof(body),
                   "{\"account_id\":%lld,\"symbol\":\"A\",\"side\":\"sell\",\"quantity\":1,"
                   "\"type\":\"market\"}",
                   (long long)id);
    (void)order_of(CUSTOMER, body);
    bench_state(id, LEDGER_CLOSED);
    assert_int_equal(ask("POST " ORDERS, CUSTOMER, body), 409);
    assert_refused(409, "account-closed");
}

/* ---- filled -----------------------------------------------------------------------------------
 */

/* Parts at better prices; the last gives back what nobody asked for. */
static void what_is_bought_is_taken_from_the_hold(void **state)
{
    const char *id = order_of(CUSTOMER, LIMIT_BUY);

    (void)state;
    assert_int_equal(fill_of(id, 4, "19.90"), 201);
    assert_said("order.status", "open");
    assert_said("order.filled_quantity", "4");
    assert_said("fill.number", "1");
    assert_said("fill.quantity", "4");
    assert_said("fill.price", "19.90");
    assert_said("fill.amount", "79.60");
    assert_said("fill.amount_minor", "7960");
    assert_account(1, START - 7960, 19950 - 7960);
    assert_int_equal(fill_of(id, 6, "19.95"), 201);
    assert_said("order.status", "filled");
    assert_said("fill.number", "2");
    assert_account(1, START - 7960 - 11970, 0);
    assert_int_equal(ask(on_order("GET", id, ""), CUSTOMER, NULL), 200);
    assert_said("status", "filled");
    assert_said("filled_quantity", "10");
    assert_said("fills.0.amount", "79.60");
    assert_said("fills.1.price", "19.95");
    assert_int_equal(fill_of(id, 1, "19.95"), 409);
    assert_refused(409, "forbidden-transition");
    assert_account(1, START - 7960 - 11970, 0);
}

static void what_is_sold_is_paid_to_the_account(void **state)
{
    const char *id = order_of(CUSTOMER, LIMIT_SELL);

    (void)state;
    assert_int_equal(fill_of(id, 3, "20.00"), 201);
    assert_account(1, START + 6000, 0);
    assert_int_equal(fill_of(id, 7, "\"21.50\""), 201);
    assert_said("order.status", "filled");
    assert_account(1, START + 6000 + 15050, 0);
}

static void a_fill_stays_within_the_order(void **state)
{
    const char *buy = order_of(CUSTOMER, LIMIT_BUY);
    const char *sell = order_of(CUSTOMER, LIMIT_SELL);
    const char *market = order_of(CUSTOMER, MARKET_BUY);

    (void)state;
    assert_int_equal(fill_of(buy, 1, "19.96"), 409);
    assert_refused(409, "conflict");
    assert_int_equal(fill_of(buy, 11, "19.95"), 409);
    assert_refused(409, "conflict");
    assert_int_equal(fill_of(sell, 1, "19.99"), 409);
    assert_int_equal(fill_of(sell, 11, "20.00"), 409);
    assert_int_equal(fill_of(market, 1, "250.01"), 409);
    assert_refused(409, "more-than-held");
    assert_int_equal(fill_of(market, 10, "25.01"), 409);
    assert_int_equal(fill_of(buy, 1, "19.999"), 422);
    assert_said("errors.0.field", "price");
    assert_int_equal(fill_of(buy, 1, "0"), 422);
    assert_int_equal(fill_of(buy, 0, "1.00"), 422);
    assert_int_equal(fill_of(sell, 1000000, "92233720368547758.07"), 422);
    assert_said("errors.0.field", "quantity");
    assert_account(1, START, 19950 + 25000);
    assert_int_equal(ask(on_order("GET", market, ""), BROKER, NULL), 200);
    assert_said("filled_quantity", "0");
    assert_said("fills", "[]");
}

/* All of the hold may go before all of the order does: it can then only be cancelled. */
static void a_market_order_ends_with_its_money(void **state)
{
    const char *id = order_of(CUSTOMER, MARKET_BUY);

    (void)state;
    assert_int_equal(fill_of(id, 5, "50.00"), 201);
    assert_said("order.status", "open");
    assert_account(1, START - 25000, 0);
    assert_int_equal(fill_of(id, 1, "0.01"), 409);
    assert_adds_up();
    assert_int_equal(ask(on_order("DELETE", id, ""), CUSTOMER, NULL), 204);
    assert_account(1, START - 25000, 0);
}

static void only_brokers_fill_and_reject(void **state)
{
    const char *id = order_of(CUSTOMER, LIMIT_BUY);
    static const char *const others[] = {CUSTOMER, STRANGER, "2.payments.rw", "3.admin+auditor.rw",
                                         "4.broker.r"};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(others); i++) {
        assert_int_equal(
            ask(on_order("POST", id, "/fills"), others[i], "{\"quantity\":1,\"price\":1}"), 403);
        assert_int_equal(ask(on_order("POST", id, "/reject"), others[i], "{\"reason\":\"x\"}"),
                         403);
    }
    assert_account(1, START, 19950);
    assert_int_equal(
        ask(on_order("POST", id, "/fills"), "0.broker.rw", "{\"quantity\":1,\"price\":1}"), 201);
}

static void nobody_fills_an_order_of_their_own(void **state)
{
    const char *sell = order_of(CUSTOMER, LIMIT_SELL);
    const char *buy = order_of(CUSTOMER, LIMIT_BUY);
    static const char body[] = "{\"quantity\":1,\"price\":19.95}";
    static const char dear[] = "{\"quantity\":1,\"price\":1000000}";

    (void)state;
    assert_int_equal(ask(on_order("POST", sell, "/fills"), "2.customer+broker.rw", dear), 403);
    assert_refused(403, "forbidden");
    assert_int_equal(ask(on_order("POST", buy, "/fills"), "2.customer+broker.rw", body), 403);
    assert_account(1, START, 19950);
    assert_int_equal(ask(on_order("POST", sell, "/fills"), BROKER, dear), 201);
    assert_account(1, START + 100000000, 19950);
}

static void nothing_is_bought_from_a_frozen_account(void **state)
{
    const char *buy = order_of(CUSTOMER, LIMIT_BUY);
    const char *sell = order_of(CUSTOMER, LIMIT_SELL);

    (void)state;
    bench_state(1, LEDGER_FROZEN);
    assert_int_equal(fill_of(buy, 1, "19.95"), 409);
    assert_refused(409, "account-frozen");
    assert_int_equal(fill_of(sell, 1, "20.00"), 201);
    assert_account(1, START + 2000, 19950);
    assert_int_equal(ask(on_order("DELETE", buy, ""), CUSTOMER, NULL), 204);
    assert_account(1, START + 2000, 0);
}

static void a_key_fills_once(void **state)
{
    const char *id = order_of(CUSTOMER, LIMIT_BUY);
    const char *fills = on_order("POST", id, "/fills");
    static const char key[] = "Idempotency-Key: \"fill-1\"\r\n";

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask_with(fills, BROKER, key, "{\"quantity\":2,\"price\":19.95}"), 201);
        assert_said("order.filled_quantity", "2");
        assert_account(1, START - 3990, 19950 - 3990);
    }
    assert_int_equal(ask_with(fills, BROKER, key, "{\"quantity\":3,\"price\":19.95}"), 422);
    assert_account(1, START - 3990, 19950 - 3990);
}

/* ---- cancelled and rejected -------------------------------------------------------------------
 */

static void cancelling_gives_back_what_is_held(void **state)
{
    const char *id = order_of(CUSTOMER, LIMIT_BUY);

    (void)state;
    assert_int_equal(fill_of(id, 4, "19.95"), 201);
    assert_int_equal(ask(on_order("DELETE", id, ""), CUSTOMER, NULL), 204);
    assert_int_equal(bench_body().len, 0);
    assert_account(1, START - 7980, 0);
    assert_int_equal(ask(on_order("GET", id, ""), CUSTOMER, NULL), 200);
    assert_said("status", "cancelled");
    assert_said("filled_quantity", "4");
    assert_said("fills.0.amount_minor", "7980");
    assert_int_equal(ask(on_order("DELETE", id, ""), CUSTOMER, NULL), 409);
    assert_refused(409, "forbidden-transition");
    assert_int_equal(fill_of(id, 1, "19.95"), 409);
    assert_int_equal(ask(on_order("POST", id, "/reject"), BROKER, "{\"reason\":\"x\"}"), 409);
    assert_account(1, START - 7980, 0);
}

static void only_the_owner_cancels(void **state)
{
    const char *id = order_of(CUSTOMER, LIMIT_BUY);

    (void)state;
    assert_int_equal(ask(on_order("DELETE", id, ""), STRANGER, NULL), 404);
    assert_int_equal(ask(on_order("DELETE", id, ""), BROKER, NULL), 403);
    assert_int_equal(ask(on_order("DELETE", id, ""), "3.auditor.rw", NULL), 403);
    assert_int_equal(ask(on_order("DELETE", id, ""), "2.customer.r", NULL), 403);
    assert_account(1, START, 19950);
    assert_int_equal(ask(on_order("DELETE", id, ""), "3.risk.rw", NULL), 204);
    assert_account(1, START, 0);
}

static void a_broker_rejects_what_is_not_begun(void **state)
{
    const char *id = order_of(CUSTOMER, LIMIT_BUY);
    const char *begun = order_of(CUSTOMER, LIMIT_BUY);

    (void)state;
    assert_int_equal(ask(on_order("POST", id, "/reject"), BROKER, "{\"reason\":\"\"}"), 422);
    assert_int_equal(ask(on_order("POST", id, "/reject"), BROKER, "{}"), 422);
    assert_int_equal(ask(on_order("POST", id, "/reject"), BROKER,
                         "{\"reason\":\"card 4111 1111 1111 1111 of the closed market\"}"),
                     200);
    assert_said("status", "rejected");
    assert_silent("4111 1111");
    assert_account(1, START, 19950);
    assert_int_equal(ask(on_order("GET", id, ""), CUSTOMER, NULL), 200);
    assert_said("status", "rejected");
    assert_true(span_ends(said("reason"), SPAN_OF("1111 of the closed market")));
    assert_int_equal(ask(on_order("DELETE", id, ""), CUSTOMER, NULL), 409);
    assert_int_equal(ask(on_order("POST", id, "/reject"), BROKER, "{\"reason\":\"x\"}"), 409);
    assert_int_equal(fill_of(begun, 1, "19.95"), 201);
    assert_int_equal(ask(on_order("POST", begun, "/reject"), BROKER, "{\"reason\":\"x\"}"), 409);
    assert_refused(409, "forbidden-transition");
    assert_account(1, START - 1995, 19950 - 1995);
}

/* ---- seen -------------------------------------------------------------------------------------
 */

static void an_order_is_seen_by_its_owner_and_the_desk(void **state)
{
    const char *id = order_of(CUSTOMER, LIMIT_BUY);
    static const char *const seers[] = {CUSTOMER,       BROKER,       "3.auditor.rw",
                                        "3.payments.r", "0.broker.r", "3.admin.r"};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(seers); i++)
        assert_int_equal(ask(on_order("GET", id, ""), seers[i], NULL), 200);
    assert_int_equal(ask(on_order("GET", id, ""), STRANGER, NULL), 404);
    assert_int_equal(ask(on_order("GET", id, "/fills"), STRANGER, NULL), 404);
    assert_int_equal(
        ask(on_order("GET", "0b9d3f0e-6f0c-4f3e-9a53-8d9a4a1c2b3d", ""), CUSTOMER, NULL), 404);
    assert_int_equal(ask(on_order("GET", "77", ""), CUSTOMER, NULL), 404);
    assert_int_equal(ask(on_order("GET", id, ""), "2.customer.none", NULL), 403);
}

static void lists_are_one_s_own_or_everybody_s(void **state)
{
    const char *gone = order_of(CUSTOMER, LIMIT_SELL);

    (void)state;
    assert_int_equal(bench_account(3, CURRENCY_EUR, 0), 2);
    (void)order_of(STRANGER, "{\"account_id\":2,\"symbol\":\"INIT\",\"side\":\"sell\","
                             "\"quantity\":1,\"type\":\"market\"}");
    (void)order_of(CUSTOMER, LIMIT_BUY);
    assert_int_equal(ask(on_order("DELETE", gone, ""), CUSTOMER, NULL), 204);
    assert_int_equal(ask("GET " ORDERS, CUSTOMER, NULL), 200);
    assert_said("total", "2");
    assert_said("user_id", "2");
    assert_silent("INIT");
    assert_silent("fills");
    assert_int_equal(ask("GET " ORDERS "?status=open", CUSTOMER, NULL), 200);
    assert_said("total", "1");
    assert_said("orders.0.side", "buy");
    assert_int_equal(ask("GET " ORDERS "?account_id=2", CUSTOMER, NULL), 200);
    assert_said("total", "0");
    assert_int_equal(
        ask("GET " ORDERS "?symbol=ACME&account_id=1&status=cancelled", CUSTOMER, NULL), 200);
    assert_said("total", "1");
    assert_said("orders.0.side", "sell");
    assert_int_equal(ask("GET " ORDERS "?all=true", CUSTOMER, NULL), 403);
    assert_int_equal(ask("GET " ORDERS "?all=true", BROKER, NULL), 200);
    assert_said("total", "3");
    assert_int_equal(ask("GET " ORDERS "?all=true&status=open", BROKER, NULL), 200);
    assert_said("total", "2");
    assert_int_equal(ask("GET " ORDERS "?all=true&account_id=2", "3.auditor.r", NULL), 200);
    assert_said("total", "1");
    assert_said("orders.0.symbol", "INIT");
    assert_int_equal(ask("GET " ORDERS "?all=true&symbol=INIT", BROKER, NULL), 200);
    assert_said("total", "1");
    assert_int_equal(ask("GET " ORDERS "?status=maybe", CUSTOMER, NULL), 422);
    assert_int_equal(ask("GET " ORDERS, BROKER, NULL), 200);
    assert_said("total", "0");
}

/* The path of the next page, in the test's arena; NULL when there is none. */
static const char *next_page(void)
{
    const char *from = strstr(site.text, "\r\nLink: <");
    const char *to = from == NULL ? NULL : strchr(from, '>');
    struct sbuf what = sbuf_on(&bench.arena, 512);

    if (to == NULL)
        return NULL;
    sbuf_add_format(&what, "GET %.*s", (int)(to - from - 9), from + 9);
    sbuf_add_char(&what, '\0');
    return sbuf_span(&what).ptr;
}

/* Every order once, though others come meanwhile and the filter holds. */
static void pages_stand_still(void **state)
{
    const char *page = "GET " ORDERS "?side=x&status=open&limit=2";
    char seen[16][40];
    size_t count = 0;

    (void)state;
    for (int i = 0; i < 7; i++)
        (void)order_of(CUSTOMER, LIMIT_SELL);
    clock_fake_move(&bench.clock, CLOCK_NS_PER_S);
    while (page != NULL && count < 12) {
        assert_int_equal(ask(page, CUSTOMER, NULL), 200);
        page = next_page();
        for (const char *at = site.text; (at = strstr(at, "{\"id\":\"")) != NULL; at += 7)
            (void)snprintf(seen[count++], sizeof(seen[0]), "%.36s", at + 7);
        (void)order_of(CUSTOMER, LIMIT_SELL);
    }
    assert_int_equal(count, 7);
    for (size_t i = 1; i < count; i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(seen[i], seen[j]);
}

static void fills_are_a_list_of_their_own(void **state)
{
    const char *id = order_of(CUSTOMER, LIMIT_SELL);
    const char *page = on_order("GET", id, "/fills?limit=2");
    size_t pages = 0;

    (void)state;
    for (int i = 0; i < 5; i++)
        assert_int_equal(fill_of(id, 1, "20.00"), 201);
    for (; page != NULL; page = next_page(), pages++)
        assert_int_equal(ask(page, CUSTOMER, NULL), 200);
    assert_int_equal(pages, 3);
    assert_said("0.number", "5");
    assert_said("1", "");
}

/* ---- what is left of it -----------------------------------------------------------------------
 */

static const struct store_statement count_events = {
    .name = "test_order_events",
    .sqlite = "SELECT count(*) FROM trail_events WHERE event = ?1 AND outcome = 'done' AND "
              "object = ?2 AND actor = ?3"};

struct event_count {
    const char *event, *object, *actor;
    int64_t count;
};

static enum err count_events_run(struct store_conn *conn, struct store_job *job)
{
    struct event_count *wanted = job->context;
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &count_events,
                               STORE_PARAMS(STORE_TEXT(span_from(wanted->event)),
                                            STORE_TEXT(span_from(wanted->object)),
                                            STORE_TEXT(span_from(wanted->actor))),
                               &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    wanted->count = store_rows_i64(rows, 0);
    return store_rows_err(rows);
}

static void assert_events(const char *event, const char *id, const char *actor, int64_t count)
{
    char object[64];
    struct event_count wanted = {.event = event, .object = object, .actor = actor};

    (void)snprintf(object, sizeof(object), "order:%s", id);
    assert_int_equal(store_do(site.store, count_events_run, &wanted, false), ERR_OK);
    assert_int_equal(wanted.count, count);
}

static void every_step_is_in_the_trail(void **state)
{
    const char *id = order_of(CUSTOMER, LIMIT_BUY);
    const char *other = order_of(CUSTOMER, LIMIT_SELL);

    (void)state;
    assert_int_equal(fill_of(id, 1, "19.95"), 201);
    assert_int_equal(fill_of(id, 1, "19.95"), 201);
    assert_int_equal(fill_of(id, 99, "19.95"), 409);
    assert_int_equal(ask(on_order("DELETE", id, ""), CUSTOMER, NULL), 204);
    assert_int_equal(ask(on_order("POST", other, "/reject"), BROKER, "{\"reason\":\"x\"}"), 200);
    assert_events("order.created", id, "2", 1);
    assert_events("order.filled", id, "4", 2);
    assert_events("order.cancelled", id, "2", 1);
    assert_events("order.rejected", other, "4", 1);
    assert_events("order.rejected", id, "4", 0);
}

static void orders_are_counted(void **state)
{
    const char *id = order_of(CUSTOMER, LIMIT_BUY);
    struct sbuf text = sbuf_on(&bench.arena, 65536);

    (void)state;
    assert_int_equal(fill_of(id, 1, "19.95"), 201);
    assert_int_equal(fill_of(id, 10, "19.95"), 409);
    assert_int_equal(ask(on_order("DELETE", id, ""), CUSTOMER, NULL), 204);
    metric_render(bench.metrics, &text);
    sbuf_add_char(&text, '\0');
    assert_non_null(strstr(text.ptr, "gateway_orders_total{event=\"created\"} 1\n"));
    assert_non_null(strstr(text.ptr, "gateway_orders_total{event=\"filled\"} 1\n"));
    assert_non_null(strstr(text.ptr, "gateway_orders_total{event=\"cancelled\"} 1\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_order_to_buy_holds_its_cost),
        TEST(an_order_holds_for_as_long_as_it_is_open),
        TEST(an_order_to_sell_holds_nothing),
        TEST(all_of_the_money_may_be_ordered_with_and_no_more),
        TEST(a_key_gives_in_one_order),
        TEST(what_is_no_order_is_refused_by_its_field),
        TEST(an_order_needs_an_account_of_its_own),
        TEST(refusals_come_in_their_order),
        TEST(a_closed_account_orders_nothing),
        TEST(what_is_bought_is_taken_from_the_hold),
        TEST(what_is_sold_is_paid_to_the_account),
        TEST(a_fill_stays_within_the_order),
        TEST(a_market_order_ends_with_its_money),
        TEST(only_brokers_fill_and_reject),
        TEST(nobody_fills_an_order_of_their_own),
        TEST(nothing_is_bought_from_a_frozen_account),
        TEST(a_key_fills_once),
        TEST(cancelling_gives_back_what_is_held),
        TEST(only_the_owner_cancels),
        TEST(a_broker_rejects_what_is_not_begun),
        TEST(an_order_is_seen_by_its_owner_and_the_desk),
        TEST(lists_are_one_s_own_or_everybody_s),
        TEST(pages_stand_still),
        TEST(fills_are_a_list_of_their_own),
        TEST(every_step_is_in_the_trail),
        TEST(orders_are_counted),
    };

    return cmocka_run_group_tests_name("gateway_orders", tests, NULL, NULL);
}
