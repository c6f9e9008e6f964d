/* SPDX-License-Identifier: MIT
 * The lines of a book: what stands in each, where it is read from and where it goes. */
#include "ledger/ledger_book_priv.h"

const char ledger_book_amounts[] = "whole minor units of the currency beside them";
const char ledger_book_times[] = "nanoseconds since 1970-01-01T00:00:00Z";

#define NUMBER(name_)                                                                              \
    {                                                                                              \
        .name = (name_), .type = LEDGER_BOOK_I64                                                   \
    }
#define NUMBER_OR_NOT(name_)                                                                       \
    {                                                                                              \
        .name = (name_), .type = LEDGER_BOOK_I64, .optional = true                                 \
    }
#define TEXT(name_)                                                                                \
    {                                                                                              \
        .name = (name_), .type = LEDGER_BOOK_TEXT                                                  \
    }
#define TEXT_OR_NOT(name_)                                                                         \
    {                                                                                              \
        .name = (name_), .type = LEDGER_BOOK_TEXT, .optional = true                                \
    }
#define CURRENCY_                                                                                  \
    {                                                                                              \
        .name = "currency", .type = LEDGER_BOOK_CURRENCY                                           \
    }
#define USER(name_)                                                                                \
    {                                                                                              \
        .name = (name_), .type = LEDGER_BOOK_USER                                                  \
    }
#define MEMBERS(table) .members = (table), .member_count = PC_COUNT(table)
#define INSERTS(table) .inserts = (table), .insert_count = PC_COUNT(table)

const struct ledger_book_member ledger_book_head[LEDGER_BOOK_HEAD_COUNT] = {
    NUMBER("version"), TEXT("amounts"), TEXT("times"),
    NUMBER("seq"),     NUMBER("at"),    NUMBER("transaction_id")};

/* ---- accounts ---- */

static const struct ledger_book_member account_members[] = {
    NUMBER("id"),
    {.name = "owner", .type = LEDGER_BOOK_USER, .optional = true}, /* the house's have none */
    CURRENCY_,
    {.name = "state", .type = LEDGER_BOOK_STATE},
    NUMBER("posted"),
    NUMBER("held"),
    NUMBER("incoming"),
    NUMBER("credit_limit"),
    NUMBER("seq"),
    TEXT_OR_NOT("number"),
    TEXT_OR_NOT("number_key"),
    TEXT_OR_NOT("type"),
    NUMBER_OR_NOT("created_at"),
    NUMBER_OR_NOT("updated_at"),
};
static const struct ledger_book_insert account_inserts[] = {
    {.statement = {.name = "ledger_import_account",
                   .sqlite = "INSERT INTO ledger_accounts (id, user_id, currency, state, posted, "
                             "held, incoming, credit_limit, seq) "
                             "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"},
     .member_count = 9,
     .members = {0, 1, 2, 3, 4, 5, 6, 7, 8}},
    {.statement = {.name = "ledger_import_number",
                   .sqlite = "INSERT INTO accounts (id, account_number, number_key, account_type, "
                             "created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"},
     .only_with = "number",
     .member_count = 6,
     .members = {0, 9, 10, 11, 12, 13}},
};

/* ---- limits ---- */

static const struct ledger_book_member limit_members[] = {NUMBER("account"), NUMBER("seq"),
                                                          NUMBER("at"), NUMBER("credit_limit")};
static const struct ledger_book_insert limit_inserts[] = {
    {.statement = {.name = "ledger_import_limit",
                   .sqlite = "INSERT INTO ledger_limits (account_id, seq, at, credit_limit) "
                             "VALUES (?1, ?2, ?3, ?4)"},
     .member_count = 4,
     .members = {0, 1, 2, 3}},
};

/* ---- postings ---- */

static const struct ledger_book_member leg_members[] = {
    NUMBER("account"),    CURRENCY_,
    NUMBER("posted"),     NUMBER("held"),
    NUMBER("incoming"),   NUMBER("posted_after"),
    NUMBER("held_after"), NUMBER("incoming_after"),
};
/* The account must be there, in this currency. */
static const struct ledger_book_insert leg_inserts[] = {
    {.statement = {.name = "ledger_import_leg",
                   .sqlite = "INSERT INTO ledger_entries (seq, leg, account_id, posted, held, "
                             "incoming, posted_after, held_after, incoming_after) "
                             "SELECT CAST(?1 AS bigint), CAST(?2 AS bigint), id, "
                             "CAST(?5 AS bigint), CAST(?6 AS bigint), CAST(?7 AS bigint), "
                             "CAST(?8 AS bigint), CAST(?9 AS bigint), CAST(?10 AS bigint) "
                             "FROM ledger_accounts WHERE id = ?3 AND currency = ?4"},
     .member_count = 8,
     .members = {0, 1, 2, 3, 4, 5, 6, 7}},
};
static const struct ledger_book_line leg = {
    .name = "leg",
    .scan = {.name = "ledger_export_legs",
             .sqlite =
                 "SELECT e.seq, e.leg, e.account_id, a.currency, e.posted, e.held, e.incoming, "
                 "e.posted_after, e.held_after, e.incoming_after "
                 "FROM ledger_entries e JOIN ledger_accounts a ON a.id = e.account_id "
                 "WHERE (e.seq, e.leg) > (?1, ?2) ORDER BY e.seq, e.leg LIMIT ?3"},
    .key_count = 2,
    MEMBERS(leg_members),
    INSERTS(leg_inserts)};

static const struct ledger_book_member posting_members[] = {
    NUMBER("seq"),
    NUMBER("at"),
    {.name = "kind", .type = LEDGER_BOOK_KIND},
    NUMBER("effective_at"),
    NUMBER_OR_NOT("refers_to"),
    NUMBER_OR_NOT("transaction"),
    TEXT("actor"),
    TEXT_OR_NOT("description"),
};
static const struct ledger_book_insert posting_inserts[] = {
    {.statement = {.name = "ledger_import_posting",
                   .sqlite = "INSERT INTO ledger_posts (seq, at, kind, effective_at, refers_to, "
                             "transaction_id, actor, description) "
                             "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"},
     .member_count = 8,
     .members = {0, 1, 2, 3, 4, 5, 6, 7}},
};

/* ---- holds ---- */

static const struct ledger_book_member hold_members[] = {
    NUMBER("seq"),
    NUMBER("account"),
    NUMBER("to"),
    NUMBER("amount"),
    CURRENCY_,
    NUMBER("captured"),
    NUMBER_OR_NOT("expires_at"),
    NUMBER_OR_NOT("ended_seq"),
};
static const struct ledger_book_insert hold_inserts[] = {
    {.statement = {.name = "ledger_import_hold",
                   .sqlite = "INSERT INTO ledger_holds (seq, account_id, to_account_id, amount, "
                             "captured, expires_at, ended_seq) "
                             "SELECT CAST(?1 AS bigint), id, CAST(?3 AS bigint), "
                             "CAST(?4 AS bigint), CAST(?6 AS bigint), CAST(?7 AS bigint), "
                             "CAST(?8 AS bigint) "
                             "FROM ledger_accounts WHERE id = ?2 AND currency = ?5"},
     .member_count = 8,
     .members = {0, 1, 2, 3, 4, 5, 6, 7}},
};

/* ---- transactions ---- */

static const struct ledger_book_member transaction_members[] = {
    NUMBER("id"),
    NUMBER("account"),
    USER("user"),
    NUMBER("amount"),
    CURRENCY_,
    TEXT("direction"),
    TEXT_OR_NOT("description"),
    TEXT("status"),
    NUMBER_OR_NOT("effective_at"),
    NUMBER_OR_NOT("hold"),
    NUMBER_OR_NOT("posting"),
    NUMBER("created_at"),
    NUMBER("updated_at"),
};
static const struct ledger_book_insert transaction_inserts[] = {
    {.statement = {.name = "ledger_import_transaction",
                   .sqlite = "INSERT INTO transactions (id, account_id, user_id, amount, currency, "
                             "direction, description, status, effective_at, hold_seq, posted_seq, "
                             "created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, "
                             "?10, ?11, ?12, ?13)"},
     .member_count = 13,
     .members = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}},
};

/* ---- orders ---- */

static const struct ledger_book_member fill_members[] = {
    NUMBER("quantity"), NUMBER("price"), NUMBER("amount"), NUMBER("posting"), NUMBER("at")};
static const struct ledger_book_insert fill_inserts[] = {
    {.statement = {.name = "ledger_import_fill",
                   .sqlite = "INSERT INTO order_fills (order_id, number, quantity, price, amount, "
                             "posted_seq, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"},
     .member_count = 5,
     .members = {0, 1, 2, 3, 4}},
};
static const struct ledger_book_line fill = {
    .name = "fill",
    .scan = {.name = "ledger_export_fills",
             .sqlite = "SELECT order_id, number, quantity, price, amount, posted_seq, at "
                       "FROM order_fills WHERE (order_id, number) > (?1, ?2) "
                       "ORDER BY order_id, number LIMIT ?3"},
    .key_count = 2,
    .by_text = true,
    MEMBERS(fill_members),
    INSERTS(fill_inserts)};

static const struct ledger_book_member order_members[] = {
    TEXT("id"),
    USER("user"),
    TEXT("symbol"),
    TEXT("side"),
    NUMBER("quantity"),
    TEXT("type"),
    NUMBER_OR_NOT("limit_price"),
    CURRENCY_,
    NUMBER_OR_NOT("account"),
    TEXT("status"),
    NUMBER("filled_quantity"),
    NUMBER_OR_NOT("hold"),
    NUMBER_OR_NOT("cost_max"),
    TEXT_OR_NOT("reason"),
    NUMBER("created_at"),
    NUMBER("updated_at"),
};
static const struct ledger_book_insert order_inserts[] = {
    {.statement = {.name = "ledger_import_order",
                   .sqlite = "INSERT INTO orders (id, user_id, symbol, side, quantity, type, "
                             "limit_price_minor, currency, account_id, status, filled_quantity, "
                             "hold_seq, cost_max, reason, created_at, updated_at) VALUES (?1, ?2, "
                             "?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"},
     .member_count = 16,
     .members = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}},
};

/* ---- all ---- */

const struct ledger_book_line ledger_book_lines[LEDGER_BOOK_LINE_COUNT] = {
    [LEDGER_BOOK_ACCOUNT] =
        {.name = "account",
         .scan = {.name = "ledger_export_accounts",
                  .sqlite = "SELECT a.id, u.email_key, a.currency, a.state, a.posted, a.held, "
                            "a.incoming, a.credit_limit, a.seq, n.account_number, n.number_key, "
                            "n.account_type, n.created_at, n.updated_at "
                            "FROM ledger_accounts a LEFT JOIN users u ON u.id = a.user_id "
                            "LEFT JOIN accounts n ON n.id = a.id "
                            "WHERE a.id > ?1 ORDER BY a.id LIMIT ?2"},
         .key_count = 1,
         MEMBERS(account_members),
         INSERTS(account_inserts)},
    [LEDGER_BOOK_LIMIT] =
        {.name = "limit",
         .scan = {.name = "ledger_export_limits",
                  .sqlite = "SELECT account_id, seq, at, credit_limit FROM ledger_limits "
                            "WHERE (account_id, seq, at) > (?1, ?2, ?3) "
                            "ORDER BY account_id, seq, at LIMIT ?4"},
         .key_count = 3,
         MEMBERS(limit_members),
         INSERTS(limit_inserts)},
    [LEDGER_BOOK_POSTING] =
        {.name = "posting",
         .scan = {.name = "ledger_export_postings",
                  .sqlite = "SELECT seq, at, kind, effective_at, refers_to, transaction_id, actor, "
                            "description FROM ledger_posts WHERE seq > ?1 ORDER BY seq LIMIT ?2"},
         .key_count = 1,
         MEMBERS(posting_members),
         INSERTS(posting_inserts),
         .list = "legs",
         .child = &leg},
    [LEDGER_BOOK_HOLD] =
        {.name = "hold",
         .scan = {.name = "ledger_export_holds",
                  .sqlite = "SELECT h.seq, h.account_id, h.to_account_id, h.amount, a.currency, "
                            "h.captured, h.expires_at, h.ended_seq FROM ledger_holds h "
                            "JOIN ledger_accounts a ON a.id = h.account_id "
                            "WHERE h.seq > ?1 ORDER BY h.seq LIMIT ?2"},
         .key_count = 1,
         MEMBERS(hold_members),
         INSERTS(hold_inserts)},
    [LEDGER_BOOK_TRANSACTION] =
        {.name = "transaction",
         .scan = {.name = "ledger_export_transactions",
                  .sqlite = "SELECT t.id, t.account_id, u.email_key, t.amount, t.currency, "
                            "t.direction, t.description, t.status, t.effective_at, t.hold_seq, "
                            "t.posted_seq, t.created_at, t.updated_at FROM transactions t "
                            "JOIN users u ON u.id = t.user_id "
                            "WHERE t.id > ?1 ORDER BY t.id LIMIT ?2"},
         .key_count = 1,
         MEMBERS(transaction_members),
         INSERTS(transaction_inserts)},
    [LEDGER_BOOK_ORDER] =
        {.name = "order",
         .scan = {.name = "ledger_export_orders",
                  .sqlite = "SELECT o.id, u.email_key, o.symbol, o.side, o.quantity, o.type, "
                            "o.limit_price_minor, o.currency, o.account_id, o.status, "
                            "o.filled_quantity, o.hold_seq, o.cost_max, o.reason, o.created_at, "
                            "o.updated_at FROM orders o JOIN users u ON u.id = o.user_id "
                            "WHERE o.id > ?1 ORDER BY o.id LIMIT ?2"},
         .key_count = 1,
         .by_text = true,
         MEMBERS(order_members),
         INSERTS(order_inserts),
         .list = "fills",
         .child = &fill},
};
