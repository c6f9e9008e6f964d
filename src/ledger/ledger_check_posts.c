/* SPDX-License-Identifier: MIT
 * Postings and their entries, merged by number: numbers without gaps, time that only rises, whole
 * postings, and in sum as much out as in. */
#include "ledger/ledger_check_priv.h"

#include <stdio.h>

#include "base/limits.h"

static const struct store_statement posts_scan = {
    .name = "ledger_check_posts",
    .sqlite = "SELECT p.seq, p.at, p.kind, p.effective_at, p.refers_to, p.transaction_id, h.seq, "
              "t.id, t.posted_seq, t.hold_seq, h.account_id "
              "FROM ledger_posts p LEFT JOIN ledger_holds h ON h.seq = p.seq "
              "LEFT JOIN transactions t ON t.id = p.transaction_id "
              "WHERE p.seq > ?1 ORDER BY p.seq LIMIT ?2"};
static const struct store_statement entries_scan = {
    .name = "ledger_check_entries",
    .sqlite = "SELECT e.seq, e.account_id, a.currency, e.leg, e.posted, e.held, e.incoming "
              "FROM ledger_entries e LEFT JOIN ledger_accounts a ON a.id = e.account_id "
              "WHERE (e.seq, e.account_id) > (?1, ?2) ORDER BY e.seq, e.account_id LIMIT ?3"};

/* What one currency has seen: of one posting, or of all. */
struct sums {
    ledger_wide out, in, held, incoming;
};

struct posts {
    struct ledger_check *check;
    struct ledger_scan posts, entries;
    struct sums of_all[CURRENCY_COUNT], of_one[CURRENCY_COUNT];
    enum currency touched[LIMIT_LEDGER_LEGS_MAX]; /* of of_one */
    size_t touched_count;
    int64_t seq, at; /* of the posting before */
    bool promises;   /* the posting is of a kind that may hold */
};

/* ---- one posting ---- */

static void sums_add(struct posts *posts, enum currency currency, int64_t posted, int64_t held,
                     int64_t incoming)
{
    struct sums *sums = &posts->of_one[currency];
    size_t i = 0;

    if (currency == CURRENCY_NONE)
        return; /* of an account that does not exist: told */
    while (i < posts->touched_count && posts->touched[i] != currency)
        i++;
    if (i == posts->touched_count && i < PC_COUNT(posts->touched))
        posts->touched[posts->touched_count++] = currency;
    if (posted < 0)
        sums->out -= posted;
    else
        sums->in += posted;
    sums->held += held;
    sums->incoming += incoming;
}

static void tell_sums(struct ledger_check *check, enum ledger_invariant invariant,
                      const char *whose, enum currency currency, const struct sums *sums)
{
    char first[LEDGER_WIDE_BYTES];
    char second[LEDGER_WIDE_BYTES];

    if (sums->out != sums->in)
        ledger_check_fault(check, invariant, "%s: %s out of accounts %s, into accounts %s", whose,
                           currency_code(currency), ledger_wide_text(sums->out, first),
                           ledger_wide_text(sums->in, second));
    if (sums->held != sums->incoming)
        ledger_check_fault(check, invariant, "%s: %s held %s, incoming %s", whose,
                           currency_code(currency), ledger_wide_text(sums->held, first),
                           ledger_wide_text(sums->incoming, second));
}

static void post_sums(struct posts *posts, int64_t seq)
{
    char whose[48];

    (void)snprintf(whose, sizeof(whose), "posting %lld", (long long)seq);
    for (size_t i = 0; i < posts->touched_count; i++) {
        struct sums *one = &posts->of_one[posts->touched[i]];
        struct sums *all = &posts->of_all[posts->touched[i]];

        tell_sums(posts->check, LEDGER_I3, whose, posts->touched[i], one);
        all->out += one->out;
        all->in += one->in;
        all->held += one->held;
        all->incoming += one->incoming;
        *one = (struct sums){0};
    }
    posts->touched_count = 0;
}

static void entry_one(struct posts *posts, bool seen[LIMIT_LEDGER_LEGS_MAX + 1])
{
    struct ledger_check *check = posts->check;
    struct store_rows *rows = posts->entries.rows;
    int64_t seq = posts->entries.key[0];
    int64_t account = posts->entries.key[1];
    enum currency currency = currency_from_code(store_rows_text(rows, 2, NULL));
    int64_t leg = store_rows_i64(rows, 3);
    int64_t posted = store_rows_i64(rows, 4);
    int64_t held = store_rows_i64(rows, 5);
    int64_t incoming = store_rows_i64(rows, 6);

    if (store_rows_null(rows, 2))
        ledger_check_fault(check, LEDGER_I10, "posting %lld: its account %lld does not exist",
                           (long long)seq, (long long)account);
    if (leg < 1 || leg > LIMIT_LEDGER_LEGS_MAX || seen[leg])
        ledger_check_fault(check, LEDGER_I3, "posting %lld account %lld: leg %lld is no leg of it",
                           (long long)seq, (long long)account, (long long)leg);
    else
        seen[leg] = true;
    if (posted == 0 && held == 0 && incoming == 0)
        ledger_check_fault(check, LEDGER_I3, "posting %lld account %lld: changes nothing",
                           (long long)seq, (long long)account);
    if (!posts->promises && (held != 0 || incoming != 0))
        ledger_check_fault(check, LEDGER_I5,
                           "posting %lld account %lld: held %lld and incoming %lld, but is no hold",
                           (long long)seq, (long long)account, (long long)held,
                           (long long)incoming);
    sums_add(posts, currency, posted, held, incoming);
}

/* Entries of numbers that no posting has. */
static void entries_orphaned(struct posts *posts, int64_t before)
{
    while (!posts->entries.over && posts->entries.key[0] < before) {
        ledger_check_fault(posts->check, LEDGER_I10,
                           "account %lld: has an entry of posting %lld, which does not exist",
                           (long long)posts->entries.key[1], (long long)posts->entries.key[0]);
        posts->check->summary.entries++;
        ledger_scan_next(&posts->entries);
    }
}

static void post_legs(struct posts *posts, int64_t seq)
{
    bool seen[LIMIT_LEDGER_LEGS_MAX + 1] = {false};
    int64_t legs = 0;

    for (; !posts->entries.over && posts->entries.key[0] == seq; legs++) {
        entry_one(posts, seen);
        ledger_scan_next(&posts->entries);
    }
    posts->check->summary.entries += legs;
    if (legs < 2)
        ledger_check_fault(posts->check, LEDGER_I3, "posting %lld: has %lld legs, needs 2",
                           (long long)seq, (long long)legs);
    for (int64_t leg = 1; leg <= legs && leg <= LIMIT_LEDGER_LEGS_MAX; leg++)
        if (!seen[leg])
            ledger_check_fault(posts->check, LEDGER_I3, "posting %lld: leg %lld is missing",
                               (long long)seq, (long long)leg);
    post_sums(posts, seq);
}

/* ---- its number, times and references ---- */

static void post_order(struct posts *posts, int64_t seq, int64_t at, int64_t effective_at)
{
    struct ledger_check *check = posts->check;

    if (seq != posts->seq + 1)
        ledger_check_fault(check, LEDGER_I8, "posting %lld: follows posting %lld", (long long)seq,
                           (long long)posts->seq);
    if (at <= posts->at)
        ledger_check_fault(check, LEDGER_I8,
                           "posting %lld: committed at %lld, the one before at "
                           "%lld",
                           (long long)seq, (long long)at, (long long)posts->at);
    if (effective_at > at)
        ledger_check_fault(check, LEDGER_I8, "posting %lld: effective at %lld, committed at %lld",
                           (long long)seq, (long long)effective_at, (long long)at);
}

static bool refers(enum ledger_kind kind)
{
    return kind == LEDGER_CAPTURE || kind == LEDGER_VOID || kind == LEDGER_EXPIRY ||
           kind == LEDGER_REVERSAL;
}

static void post_reference(struct posts *posts, int64_t seq, enum ledger_kind kind)
{
    struct ledger_check *check = posts->check;
    struct store_rows *rows = posts->posts.rows;
    int64_t refers_to = store_rows_i64_or(rows, 4, 0);

    if (kind == LEDGER_KIND_NONE)
        ledger_check_fault(check, LEDGER_I10, "posting %lld: is of a kind that does not exist",
                           (long long)seq);
    if ((refers(kind) && refers_to < 1) || refers_to < 0 || refers_to >= seq)
        ledger_check_fault(check, LEDGER_I10, "posting %lld: refers to posting %lld",
                           (long long)seq, (long long)refers_to);
    if ((kind == LEDGER_HOLD) == store_rows_null(rows, 6))
        ledger_check_fault(check, LEDGER_I5, "posting %lld: %s", (long long)seq,
                           kind == LEDGER_HOLD ? "places a hold that is missing"
                                               : "has a hold, but is of another kind");
}

/* A posting of a transaction is the one that the transaction names. */
static void post_transaction(struct posts *posts, int64_t seq, enum ledger_kind kind)
{
    struct store_rows *rows = posts->posts.rows;
    int64_t id = store_rows_i64_or(rows, 5, 0);
    int64_t named = 0;
    int64_t is = seq;

    if (id == 0)
        return;
    if (store_rows_null(rows, 7)) {
        ledger_check_fault(posts->check, LEDGER_I10,
                           "posting %lld: of transaction %lld, which does not exist",
                           (long long)seq, (long long)id);
        return;
    }
    if (kind == LEDGER_HOLD || kind == LEDGER_VOID || kind == LEDGER_EXPIRY)
        named = store_rows_i64_or(rows, 9, 0);
    else
        named = store_rows_i64_or(rows, 8, 0);
    if (kind == LEDGER_REVERSAL || kind == LEDGER_VOID || kind == LEDGER_EXPIRY)
        is = store_rows_i64_or(rows, 4, 0);
    if (named != is)
        ledger_check_fault(posts->check, LEDGER_I10,
                           "posting %lld: belongs to posting %lld, transaction %lld names %lld",
                           (long long)seq, (long long)is, (long long)id, (long long)named);
}

static void post_one(struct posts *posts)
{
    struct store_rows *rows = posts->posts.rows;
    int64_t seq = posts->posts.key[0];
    int64_t at = store_rows_i64(rows, 1);
    enum ledger_kind kind = ledger_kind_read(store_rows_text(rows, 2, NULL));

    posts->promises = kind == LEDGER_HOLD || kind == LEDGER_CAPTURE || kind == LEDGER_VOID ||
                      kind == LEDGER_EXPIRY;
    post_order(posts, seq, at, store_rows_i64(rows, 3));
    post_reference(posts, seq, kind);
    post_transaction(posts, seq, kind);
    entries_orphaned(posts, seq);
    post_legs(posts, seq);
    posts->seq = seq;
    posts->at = at;
    posts->check->summary.postings++;
}

/* ---- all of them ---- */

static void head_agrees(const struct posts *posts)
{
    struct ledger_check *check = posts->check;

    if (check->head_seq != posts->seq)
        ledger_check_fault(check, LEDGER_I8, "the head says posting %lld, the last is %lld",
                           (long long)check->head_seq, (long long)posts->seq);
    if (check->head_at < posts->at)
        ledger_check_fault(check, LEDGER_I8, "the head says %lld, the last commit was at %lld",
                           (long long)check->head_at, (long long)posts->at);
}

enum err ledger_check_posts(struct ledger_check *check)
{
    struct posts posts = {.check = check};
    enum err err;
    enum err other;

    ledger_scan_begin(&posts.posts, check->conn, &posts_scan, 1);
    ledger_scan_begin(&posts.entries, check->conn, &entries_scan, 2);
    for (; !posts.posts.over; ledger_scan_next(&posts.posts))
        post_one(&posts);
    entries_orphaned(&posts, INT64_MAX);
    err = ledger_scan_end(&posts.posts);
    other = ledger_scan_end(&posts.entries);
    if (err || other)
        return err ? err : other;
    for (enum currency i = CURRENCY_NONE + 1; i < CURRENCY_COUNT; i++)
        tell_sums(check, LEDGER_I1, "all postings", i, &posts.of_all[i]);
    head_agrees(&posts);
    check->summary.seq = posts.seq;
    check->summary.at_ns = posts.at;
    return ERR_OK;
}
