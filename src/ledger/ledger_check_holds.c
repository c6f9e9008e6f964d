/* SPDX-License-Identifier: MIT
 * Holds, merged with what ended them: each was placed by its posting, ends once, gives back or pays
 * out all that it held and no more, and none expired before its time. */
#include "ledger/ledger_check_priv.h"

static const struct store_statement holds_scan = {
    .name = "ledger_check_holds",
    .sqlite = "SELECT h.seq, h.account_id, h.to_account_id, h.amount, h.captured, h.expires_at, "
              "h.ended_seq, f.held, t.incoming FROM ledger_holds h "
              "LEFT JOIN ledger_entries f ON f.account_id = h.account_id AND f.seq = h.seq "
              "LEFT JOIN ledger_entries t ON t.account_id = h.to_account_id AND t.seq = h.seq "
              "WHERE h.seq > ?1 ORDER BY h.seq LIMIT ?2"};
static const struct store_statement ends_scan = {
    .name = "ledger_check_hold_ends",
    .sqlite = "SELECT p.refers_to, p.seq, p.kind, p.at, f.posted, f.held, t.posted, t.incoming "
              "FROM ledger_posts p LEFT JOIN ledger_holds h ON h.seq = p.refers_to "
              "LEFT JOIN ledger_entries f ON f.account_id = h.account_id AND f.seq = p.seq "
              "LEFT JOIN ledger_entries t ON t.account_id = h.to_account_id AND t.seq = p.seq "
              "WHERE p.refers_to IS NOT NULL AND p.kind IN ('capture', 'void', 'expiry') "
              "AND (p.refers_to, p.seq) > (?1, ?2) ORDER BY p.refers_to, p.seq LIMIT ?3"};

/* The hold whose turn it is: as its postings make it. */
struct hold {
    int64_t seq, amount, expires_at;
    ledger_wide left, captured;
    int64_t ended_seq;
};

static void end_sides(struct ledger_check *check, const struct hold *hold, int64_t seq,
                      struct store_rows *rows)
{
    int64_t paid = store_rows_i64_or(rows, 4, 0);
    int64_t given = store_rows_i64_or(rows, 5, 0);

    if (store_rows_null(rows, 4) || store_rows_null(rows, 6) ||
        store_rows_i64_or(rows, 6, 0) != -paid || store_rows_i64_or(rows, 7, 0) != given)
        ledger_check_fault(check, LEDGER_I5,
                           "hold %lld posting %lld: %lld paid and %lld given back, the other "
                           "account %lld and %lld",
                           (long long)hold->seq, (long long)seq, (long long)paid, (long long)given,
                           (long long)store_rows_i64_or(rows, 6, 0),
                           (long long)store_rows_i64_or(rows, 7, 0));
}

static void end_time(struct ledger_check *check, const struct hold *hold, int64_t seq, int64_t at)
{
    if (hold->expires_at == 0 || at < hold->expires_at)
        ledger_check_fault(check, LEDGER_I5,
                           "hold %lld posting %lld: expired at %lld, is due at "
                           "%lld",
                           (long long)hold->seq, (long long)seq, (long long)at,
                           (long long)hold->expires_at);
}

/* Takes `given` from what is held, of which `paid` went to the other account. */
static void end_one(struct ledger_check *check, struct hold *hold, const struct ledger_scan *ends)
{
    struct store_rows *rows = ends->rows;
    int64_t seq = ends->key[1];
    enum ledger_kind kind = ledger_kind_read(store_rows_text(rows, 2, NULL));
    ledger_wide paid = -(ledger_wide)store_rows_i64_or(rows, 4, 0);
    ledger_wide given = -(ledger_wide)store_rows_i64_or(rows, 5, 0);

    if (hold->ended_seq != 0)
        ledger_check_fault(check, LEDGER_I5, "hold %lld: ended by posting %lld, and by %lld again",
                           (long long)hold->seq, (long long)hold->ended_seq, (long long)seq);
    end_sides(check, hold, seq, rows);
    if (kind == LEDGER_EXPIRY)
        end_time(check, hold, seq, store_rows_i64(rows, 3));
    if (paid < 0 || paid > given || given > hold->left || (kind != LEDGER_CAPTURE && paid != 0))
        ledger_check_fault(check, LEDGER_I5,
                           "hold %lld posting %lld: takes %lld and pays %lld of %lld that are left",
                           (long long)hold->seq, (long long)seq, (long long)given, (long long)paid,
                           (long long)hold->left);
    hold->left -= given;
    hold->captured += paid;
    if (hold->left <= 0)
        hold->ended_seq = seq;
}

static void hold_placed(struct ledger_check *check, const struct hold *hold,
                        struct store_rows *rows)
{
    int64_t held = store_rows_i64_or(rows, 7, 0);
    int64_t incoming = store_rows_i64_or(rows, 8, 0);

    if (held != hold->amount || incoming != hold->amount)
        ledger_check_fault(
            check, LEDGER_I5, "hold %lld: of %lld, its posting holds %lld for %lld incoming",
            (long long)hold->seq, (long long)hold->amount, (long long)held, (long long)incoming);
}

static void hold_agrees(struct ledger_check *check, const struct hold *hold,
                        struct store_rows *rows)
{
    int64_t captured = store_rows_i64(rows, 4);
    int64_t ended_seq = store_rows_i64_or(rows, 6, 0);
    char text[LEDGER_WIDE_BYTES];

    if (captured != hold->captured)
        ledger_check_fault(check, LEDGER_I5, "hold %lld: captured %lld, sum of its captures %s",
                           (long long)hold->seq, (long long)captured,
                           ledger_wide_text(hold->captured, text));
    if (captured < 0 || captured > hold->amount)
        ledger_check_fault(check, LEDGER_I5, "hold %lld: captured %lld of %lld",
                           (long long)hold->seq, (long long)captured, (long long)hold->amount);
    if (ended_seq != hold->ended_seq)
        ledger_check_fault(check, LEDGER_I5, "hold %lld: says posting %lld ended it, it was %lld",
                           (long long)hold->seq, (long long)ended_seq, (long long)hold->ended_seq);
}

static void ends_without(struct ledger_check *check, struct ledger_scan *ends, int64_t before)
{
    for (; !ends->over && ends->key[0] < before; ledger_scan_next(ends))
        ledger_check_fault(check, LEDGER_I5, "posting %lld: ends hold %lld, which does not exist",
                           (long long)ends->key[1], (long long)ends->key[0]);
}

static void hold_one(struct ledger_check *check, const struct ledger_scan *holds,
                     struct ledger_scan *ends)
{
    struct store_rows *rows = holds->rows;
    struct hold hold = {.seq = holds->key[0],
                        .amount = store_rows_i64(rows, 3),
                        .expires_at = store_rows_i64_or(rows, 5, 0)};

    hold.left = hold.amount;
    ends_without(check, ends, hold.seq);
    hold_placed(check, &hold, rows);
    for (; !ends->over && ends->key[0] == hold.seq; ledger_scan_next(ends))
        end_one(check, &hold, ends);
    hold_agrees(check, &hold, rows);
    check->summary.holds++;
}

enum err ledger_check_holds(struct ledger_check *check)
{
    struct ledger_scan holds;
    struct ledger_scan ends;
    enum err err;
    enum err other;

    ledger_scan_begin(&holds, check->conn, &holds_scan, 1);
    ledger_scan_begin(&ends, check->conn, &ends_scan, 2);
    for (; !holds.over; ledger_scan_next(&holds))
        hold_one(check, &holds, &ends);
    ends_without(check, &ends, INT64_MAX);
    err = ledger_scan_end(&holds);
    other = ledger_scan_end(&ends);
    return err ? err : other;
}
