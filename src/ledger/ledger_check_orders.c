/* SPDX-License-Identifier: MIT
 * Orders beside the ledger: an open order to buy holds its cost, and each fill moved its amount. */
#include "ledger/ledger_check_priv.h"

static const struct store_statement orders_scan = {
    .name = "ledger_check_orders",
    .sqlite = "SELECT o.id, o.account_id, o.side, o.status, o.quantity, o.filled_quantity, "
              "o.hold_seq, h.account_id, h.captured, h.ended_seq, h.expires_at, p.kind, "
              "o.updated_at, o.currency, a.currency, h.amount "
              "FROM orders o LEFT JOIN ledger_holds h ON h.seq = o.hold_seq "
              "LEFT JOIN ledger_posts p ON p.seq = h.ended_seq "
              "LEFT JOIN ledger_accounts a ON a.id = o.account_id "
              "WHERE o.id > ?1 ORDER BY o.id LIMIT ?2"};
static const struct store_statement fills_scan = {
    .name = "ledger_check_fills",
    .sqlite = "SELECT f.order_id, f.number, f.quantity, f.price, f.amount, f.posted_seq, e.posted "
              "FROM order_fills f LEFT JOIN orders o ON o.id = f.order_id "
              "LEFT JOIN ledger_entries e ON e.account_id = o.account_id AND e.seq = f.posted_seq "
              "WHERE (f.order_id, f.number) > (?1, ?2) ORDER BY f.order_id, f.number LIMIT ?3"};

/* The order whose turn it is: as its fills make it. */
struct order {
    struct span id;
    bool buys;
    int64_t fills;
    ledger_wide quantity, amount;
};

#define ORDER "order %.*s"

static void fill_one(struct ledger_check *check, struct order *order,
                     const struct ledger_scan *fills)
{
    struct store_rows *rows = fills->rows;
    int64_t quantity = store_rows_i64(rows, 2);
    int64_t amount = store_rows_i64(rows, 4);
    int64_t posted = store_rows_i64_or(rows, 6, 0);

    if (fills->key[1] != ++order->fills)
        ledger_check_fault(check, LEDGER_I10, ORDER ": fill %lld follows fill %lld",
                           SPAN_ARG(order->id), (long long)fills->key[1],
                           (long long)(order->fills - 1));
    order->fills = fills->key[1];
    if ((ledger_wide)quantity * store_rows_i64(rows, 3) != amount)
        ledger_check_fault(check, LEDGER_I10, ORDER ": fill %lld of %lld at %lld comes to %lld",
                           SPAN_ARG(order->id), (long long)order->fills, (long long)quantity,
                           (long long)store_rows_i64(rows, 3), (long long)amount);
    if (posted != (order->buys ? -amount : amount))
        ledger_check_fault(check, LEDGER_I10, ORDER ": fill %lld of %lld, posting %lld moved %lld",
                           SPAN_ARG(order->id), (long long)order->fills, (long long)amount,
                           (long long)store_rows_i64(rows, 5), (long long)posted);
    order->quantity += quantity;
    order->amount += amount;
}

/* An order is open with nothing held when its market took all of the money before all of it was
 * filled. */
static bool is_used_up(struct store_rows *rows)
{
    return store_rows_i64_or(rows, 8, 0) == store_rows_i64_or(rows, 15, -1);
}

static void hold_agrees(struct ledger_check *check, const struct order *order, bool is_open,
                        struct store_rows *rows)
{
    int64_t seq = store_rows_i64_or(rows, 6, 0);
    bool expired = store_rows_i64_or(rows, 10, INT64_MAX) <= store_rows_i64(rows, 12) ||
                   ledger_kind_read(store_rows_text(rows, 11, NULL)) == LEDGER_EXPIRY;
    char text[LEDGER_WIDE_BYTES];

    if (!order->buys || seq == 0) {
        if (seq != 0 || (order->buys && is_open))
            ledger_check_fault(check, LEDGER_I10, ORDER ": %s, its hold is %lld",
                               SPAN_ARG(order->id), order->buys ? "is open to buy" : "sells",
                               (long long)seq);
        return;
    }
    if (store_rows_i64_or(rows, 7, 0) != store_rows_i64(rows, 1))
        ledger_check_fault(check, LEDGER_I10, ORDER ": on account %lld, its hold on %lld",
                           SPAN_ARG(order->id), (long long)store_rows_i64(rows, 1),
                           (long long)store_rows_i64_or(rows, 7, 0));
    if (store_rows_i64_or(rows, 8, 0) != order->amount)
        ledger_check_fault(check, LEDGER_I10, ORDER ": its hold paid %lld, its fills cost %s",
                           SPAN_ARG(order->id), (long long)store_rows_i64_or(rows, 8, 0),
                           ledger_wide_text(order->amount, text));
    if (!expired && is_open != store_rows_null(rows, 9) && !(is_open && is_used_up(rows)))
        ledger_check_fault(check, LEDGER_I10, ORDER ": is %s, its hold %lld is %s",
                           SPAN_ARG(order->id), is_open ? "open" : "over", (long long)seq,
                           is_open ? "over" : "open");
}

static void order_agrees(struct ledger_check *check, const struct order *order,
                         struct store_rows *rows)
{
    struct span status = store_rows_text(rows, 3, NULL);
    int64_t quantity = store_rows_i64(rows, 4);
    int64_t filled = store_rows_i64(rows, 5);
    char text[LEDGER_WIDE_BYTES];

    if (order->quantity != filled || filled > quantity)
        ledger_check_fault(check, LEDGER_I10, ORDER ": filled %lld of %lld, its fills %s",
                           SPAN_ARG(order->id), (long long)filled, (long long)quantity,
                           ledger_wide_text(order->quantity, text));
    if (span_is(status, "filled") != (filled == quantity))
        ledger_check_fault(check, LEDGER_I10, ORDER ": is %.*s, filled %lld of %lld",
                           SPAN_ARG(order->id), SPAN_ARG(status), (long long)filled,
                           (long long)quantity);
    if (!span_equal(store_rows_text(rows, 13, NULL), store_rows_text(rows, 14, NULL)))
        ledger_check_fault(check, LEDGER_I10, ORDER ": its currency is not that of account %lld",
                           SPAN_ARG(order->id), (long long)store_rows_i64(rows, 1));
    hold_agrees(check, order, span_is(status, "open"), rows);
}

static void fills_without(struct ledger_check *check, struct ledger_scan *fills,
                          const struct span *before)
{
    for (; !fills->over && (before == NULL || span_compare(fills->text, *before) < 0);
         ledger_scan_next(fills))
        ledger_check_fault(check, LEDGER_I10, ORDER ": has fill %lld, but does not exist",
                           SPAN_ARG(fills->text), (long long)fills->key[1]);
}

/* An order from before there were accounts names none, and is beside the ledger. */
static void order_one(struct ledger_check *check, const struct ledger_scan *orders,
                      struct ledger_scan *fills)
{
    struct store_rows *rows = orders->rows;
    struct order order = {.id = orders->text,
                          .buys = span_is(store_rows_text(rows, 2, NULL), "buy")};

    fills_without(check, fills, &order.id);
    for (; !fills->over && span_equal(fills->text, order.id); ledger_scan_next(fills))
        fill_one(check, &order, fills);
    if (!store_rows_null(rows, 1))
        order_agrees(check, &order, rows);
}

enum err ledger_check_orders(struct ledger_check *check)
{
    struct ledger_scan orders;
    struct ledger_scan fills;
    enum err err;
    enum err other;

    ledger_scan_begin_as(&orders, check->conn, &orders_scan, 1, true, LEDGER_SCAN_PAGE);
    ledger_scan_begin_as(&fills, check->conn, &fills_scan, 2, true, LEDGER_SCAN_PAGE);
    for (; !orders.over; ledger_scan_next(&orders))
        order_one(check, &orders, &fills);
    fills_without(check, &fills, NULL);
    err = ledger_scan_end(&orders);
    other = ledger_scan_end(&fills);
    return err ? err : other;
}
