/* SPDX-License-Identifier: MIT
 * Accounts with their entries, limits and open holds: every balance is the sum of what was posted,
 * at each entry and now; no floor was ever broken; what is held is what open holds hold.
 *
 *   some accounts --> all entries by number, theirs are added up --> each account, merged with its
 *       holds --> the next accounts
 *
 * Entries are in no index by account alone, so the sums of some accounts wait in memory while all
 * entries pass. */
#include "ledger/ledger_check_priv.h"

#include "base/alloc.h"

enum { ACCOUNTS_FIRST = 256 };

static const struct store_statement accounts_scan = {
    .name = "ledger_check_accounts",
    .sqlite =
        "SELECT a.id, a.currency, a.state, a.posted, a.held, a.incoming, a.credit_limit, a.seq, "
        "a.hold_expires_at, a.user_id, u.id, n.id FROM ledger_accounts a "
        "LEFT JOIN users u ON u.id = a.user_id LEFT JOIN accounts n ON n.id = a.id "
        "WHERE a.id > ?1 ORDER BY a.id LIMIT ?2"};
static const struct store_statement ids_scan = {
    .name = "ledger_check_account_ids",
    .sqlite = "SELECT id FROM ledger_accounts WHERE id > ?1 ORDER BY id LIMIT ?2"};
static const struct store_statement entries_scan = {
    .name = "ledger_check_account_entries",
    .sqlite = "SELECT seq, account_id, posted, held, incoming, posted_after, held_after, "
              "incoming_after FROM ledger_entries WHERE (seq, account_id) > (?1, ?2) "
              "ORDER BY seq, account_id LIMIT ?3"};
static const struct store_statement limits_scan = {
    .name = "ledger_check_limits",
    .sqlite = "SELECT account_id, seq, at, credit_limit FROM ledger_limits "
              "WHERE (account_id, seq, at) > (?1, ?2, ?3) ORDER BY account_id, seq, at LIMIT ?4"};
static const struct store_statement limit_next = {
    .name = "ledger_check_limit_next",
    .sqlite = "SELECT seq, at, credit_limit FROM ledger_limits "
              "WHERE account_id = ?1 AND (seq, at) > (?2, ?3) ORDER BY seq, at LIMIT 1"};
static const struct store_statement held_scan = {
    .name = "ledger_check_held",
    .sqlite = "SELECT account_id, seq, amount, captured, expires_at FROM ledger_holds "
              "WHERE ended_seq IS NULL AND (account_id, seq) > (?1, ?2) "
              "ORDER BY account_id, seq LIMIT ?3"};
static const struct store_statement incoming_scan = {
    .name = "ledger_check_incoming",
    .sqlite = "SELECT to_account_id, seq, amount, captured FROM ledger_holds "
              "WHERE ended_seq IS NULL AND (to_account_id, seq) > (?1, ?2) "
              "ORDER BY to_account_id, seq LIMIT ?3"};

/* A limit that will be in force behind posting `seq`; NO_LIMIT: there is none. */
#define NO_LIMIT INT64_MAX
struct limit {
    int64_t seq, at, minor;
    bool has_more; /* behind it */
};

/* An account as its entries make it. */
struct account {
    int64_t id, seq;
    ledger_wide posted, held, incoming;
    int64_t limit; /* in force */
    struct limit next;
};

struct accounts {
    struct ledger_check *check;
    struct ledger_scan accounts, ids, limits, held, incoming;
    struct account *some; /* by id */
    size_t count, room;
    enum err err;
    ledger_wide posted[CURRENCY_COUNT], held_all[CURRENCY_COUNT], incoming_all[CURRENCY_COUNT];
};

static void differs(struct ledger_check *check, const char *what, int64_t id, int64_t seq,
                    int64_t stored, ledger_wide sum)
{
    char text[LEDGER_WIDE_BYTES];

    if (sum == stored)
        return;
    if (seq == 0)
        ledger_check_fault(check, LEDGER_I2, "account %lld: stored %s %lld, sum of its entries %s",
                           (long long)id, what, (long long)stored, ledger_wide_text(sum, text));
    else
        ledger_check_fault(
            check, LEDGER_I2, "account %lld posting %lld: %s behind it %lld, sum of entries %s",
            (long long)id, (long long)seq, what, (long long)stored, ledger_wide_text(sum, text));
}

/* ---- floors ---- */

static void floor_look(struct ledger_check *check, const struct account *account)
{
    ledger_wide left = account->posted - account->held + account->limit;
    char text[LEDGER_WIDE_BYTES];

    if (account->id > 0 && left < 0)
        ledger_check_fault(check, LEDGER_I4,
                           "account %lld posting %lld: available %s with a limit of %lld",
                           (long long)account->id, (long long)account->seq,
                           ledger_wide_text(left, text), (long long)account->limit);
    if (account->held < 0)
        ledger_check_fault(check, LEDGER_I4, "account %lld posting %lld: held %s is below 0",
                           (long long)account->id, (long long)account->seq,
                           ledger_wide_text(account->held, text));
    if (account->incoming < 0)
        ledger_check_fault(check, LEDGER_I4, "account %lld posting %lld: incoming %s is below 0",
                           (long long)account->id, (long long)account->seq,
                           ledger_wide_text(account->incoming, text));
}

/* The one behind the next; most accounts were given one limit at most. */
static void limit_follow(struct accounts *all, struct account *account)
{
    struct limit *next = &account->next;
    PC_AUTO(store_rows) rows = NULL;
    enum err err;

    if (!next->has_more) {
        next->seq = NO_LIMIT;
        return;
    }
    err = store_query(
        all->check->conn, &limit_next,
        STORE_PARAMS(STORE_I64(account->id), STORE_I64(next->seq), STORE_I64(next->at)), &rows);
    next->seq = NO_LIMIT;
    if (!err && store_next(rows)) {
        next->seq = store_rows_i64(rows, 0);
        next->at = store_rows_i64(rows, 1);
        next->minor = store_rows_i64(rows, 2);
    }
    err = err ? err : store_rows_err(rows);
    all->err = all->err ? all->err : err;
}

/* A limit holds for every posting behind the one it names. */
static void limits_until(struct accounts *all, struct account *account, int64_t seq)
{
    while (account->next.seq < seq) {
        account->limit = account->next.minor;
        floor_look(all->check, account);
        if (account->id < 0)
            ledger_check_fault(all->check, LEDGER_I10,
                               "account %lld: is the house's, but has a limit of %lld",
                               (long long)account->id, (long long)account->limit);
        limit_follow(all, account);
    }
}

/* ---- entries ---- */

static void entry_one(struct accounts *all, struct account *account, struct store_rows *rows,
                      int64_t seq)
{
    struct ledger_check *check = all->check;

    limits_until(all, account, seq);
    account->seq = seq;
    account->posted += store_rows_i64(rows, 2);
    account->held += store_rows_i64(rows, 3);
    account->incoming += store_rows_i64(rows, 4);
    differs(check, "balance", account->id, seq, store_rows_i64(rows, 5), account->posted);
    differs(check, "held", account->id, seq, store_rows_i64(rows, 6), account->held);
    differs(check, "incoming", account->id, seq, store_rows_i64(rows, 7), account->incoming);
    floor_look(check, account);
}

/* NULL: of other accounts, or of one that does not exist, which is told with the postings. Most ids
 * follow one another without a gap. */
static struct account *account_find(const struct accounts *all, int64_t id)
{
    uint64_t guess = (uint64_t)id - (uint64_t)all->some[0].id;
    size_t low = 0, high = all->count;

    if (guess < all->count && all->some[guess].id == id)
        return &all->some[guess];
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (all->some[middle].id == id)
            return &all->some[middle];
        if (all->some[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static void entries_pass(struct accounts *all)
{
    struct ledger_scan entries;
    enum err err;

    ledger_scan_begin(&entries, all->check->conn, &entries_scan, 2);
    for (; !entries.over && all->err == ERR_OK; ledger_scan_next(&entries)) {
        struct account *account = account_find(all, entries.key[1]);

        if (account != NULL)
            entry_one(all, account, entries.rows, entries.key[0]);
    }
    err = ledger_scan_end(&entries);
    all->err = all->err ? all->err : err;
}

static void skip_until(struct ledger_scan *scan, int64_t id)
{
    while (!scan->over && scan->key[0] < id)
        ledger_scan_next(scan);
}

/* ---- some accounts ---- */

static void limit_first(struct accounts *all, struct account *account)
{
    struct ledger_scan *limits = &all->limits;

    account->next.seq = NO_LIMIT;
    skip_until(limits, account->id);
    if (limits->over || limits->key[0] != account->id)
        return;
    account->next = (struct limit){
        .seq = limits->key[1], .at = limits->key[2], .minor = store_rows_i64(limits->rows, 3)};
    ledger_scan_next(limits);
    account->next.has_more = !limits->over && limits->key[0] == account->id;
}

static enum err room_make(struct accounts *all)
{
    size_t room = all->room == 0 ? ACCOUNTS_FIRST : 2 * all->room;
    struct account *larger;

    if (all->count < all->room)
        return ERR_OK;
    larger = alloc_resize(all->some, room * sizeof(*larger));
    if (larger == NULL)
        return ERR_NO_MEMORY;
    all->some = larger;
    all->room = room;
    return ERR_OK;
}

/* The next accounts, as they are before their first entry. */
static void some_take(struct accounts *all)
{
    all->count = 0;
    while (all->err == ERR_OK && all->count < all->check->accounts_max && !all->ids.over) {
        struct account *account;

        all->err = room_make(all);
        if (all->err)
            return;
        account = &all->some[all->count++];
        *account = (struct account){.id = all->ids.key[0]};
        limit_first(all, account);
        ledger_scan_next(&all->ids);
    }
}

/* ---- holds ---- */

static ledger_wide held_of(struct ledger_scan *scan, int64_t id, int64_t *ret_expires_at)
{
    ledger_wide sum = 0;

    skip_until(scan, id);
    for (; !scan->over && scan->key[0] == id; ledger_scan_next(scan)) {
        sum += (ledger_wide)store_rows_i64(scan->rows, 2) - store_rows_i64(scan->rows, 3);
        if (ret_expires_at != NULL) {
            int64_t expires_at = store_rows_i64_or(scan->rows, 4, INT64_MAX);

            *ret_expires_at = expires_at < *ret_expires_at ? expires_at : *ret_expires_at;
        }
    }
    return sum;
}

static void holds_agree(struct accounts *all, int64_t id, int64_t held, int64_t incoming,
                        int64_t looked_at)
{
    int64_t expires_at = INT64_MAX;
    ledger_wide sum = held_of(&all->held, id, &expires_at);
    char text[LEDGER_WIDE_BYTES];

    if (sum != held)
        ledger_check_fault(all->check, LEDGER_I5, "account %lld: held %lld, its open holds %s",
                           (long long)id, (long long)held, ledger_wide_text(sum, text));
    if (expires_at < (looked_at == 0 ? INT64_MAX : looked_at))
        ledger_check_fault(all->check, LEDGER_I5,
                           "account %lld: looks for expired holds at %lld, one expires at %lld",
                           (long long)id, (long long)looked_at, (long long)expires_at);
    sum = held_of(&all->incoming, id, NULL);
    if (sum != incoming)
        ledger_check_fault(all->check, LEDGER_I5,
                           "account %lld: incoming %lld, open holds for it %s", (long long)id,
                           (long long)incoming, ledger_wide_text(sum, text));
}

/* ---- one account ---- */

static bool is_house_of(int64_t id, enum currency currency)
{
    return id == ledger_house_account(LEDGER_SETTLEMENT, currency) ||
           id == ledger_house_account(LEDGER_POSITION, currency);
}

static void terms_agree(struct accounts *all, int64_t id, enum currency currency, bool is_empty)
{
    struct store_rows *rows = all->accounts.rows;
    struct ledger_check *check = all->check;

    if (currency == CURRENCY_NONE)
        ledger_check_fault(check, LEDGER_I10, "account %lld: its currency does not exist",
                           (long long)id);
    else if (id < 0 && !is_house_of(id, currency))
        ledger_check_fault(check, LEDGER_I10, "account %lld: is no house account of %s",
                           (long long)id, currency_code(currency));
    if (id > 0 && store_rows_null(rows, 10))
        ledger_check_fault(check, LEDGER_I10, "account %lld: its owner %lld does not exist",
                           (long long)id, (long long)store_rows_i64_or(rows, 9, 0));
    if ((id > 0) == store_rows_null(rows, 11))
        ledger_check_fault(check, LEDGER_I10, "account %lld: %s a number", (long long)id,
                           id > 0 ? "lacks" : "is the house's, but has");
    if (span_is(store_rows_text(rows, 2, NULL), ledger_states[LEDGER_CLOSED]) && !is_empty)
        ledger_check_fault(check, LEDGER_I10,
                           "account %lld: is closed, but %lld is posted, %lld held, %lld incoming",
                           (long long)id, (long long)store_rows_i64(rows, 3),
                           (long long)store_rows_i64(rows, 4), (long long)store_rows_i64(rows, 5));
}

static void sums_add(struct accounts *all, enum currency currency, int64_t posted, int64_t held,
                     int64_t incoming)
{
    all->posted[currency] += posted;
    all->held_all[currency] += held;
    all->incoming_all[currency] += incoming;
}

static void account_one(struct accounts *all, struct account *account)
{
    struct store_rows *rows = all->accounts.rows;
    enum currency currency = currency_from_code(store_rows_text(rows, 1, NULL));
    int64_t posted = store_rows_i64(rows, 3);
    int64_t held = store_rows_i64(rows, 4);
    int64_t incoming = store_rows_i64(rows, 5);

    limits_until(all, account, NO_LIMIT);
    differs(all->check, "balance", account->id, 0, posted, account->posted);
    differs(all->check, "held", account->id, 0, held, account->held);
    differs(all->check, "incoming", account->id, 0, incoming, account->incoming);
    if (store_rows_i64(rows, 6) != account->limit)
        ledger_check_fault(
            all->check, LEDGER_I4, "account %lld: stored limit %lld, the last it was given %lld",
            (long long)account->id, (long long)store_rows_i64(rows, 6), (long long)account->limit);
    if (store_rows_i64(rows, 7) != account->seq)
        ledger_check_fault(all->check, LEDGER_I2,
                           "account %lld: stored last posting %lld, last of its entries %lld",
                           (long long)account->id, (long long)store_rows_i64(rows, 7),
                           (long long)account->seq);
    holds_agree(all, account->id, held, incoming, store_rows_i64_or(rows, 8, 0));
    terms_agree(all, account->id, currency, posted == 0 && held == 0 && incoming == 0);
    sums_add(all, currency, posted, held, incoming);
    all->check->summary.accounts++;
}

/* Both are in the order of the ids, in one snapshot. */
static void some_agree(struct accounts *all)
{
    for (size_t i = 0; i < all->count && all->err == ERR_OK; i++) {
        if (all->accounts.over || all->accounts.key[0] != all->some[i].id) {
            all->err = ledger_scan_end(&all->accounts);
            all->err = all->err ? all->err : ERR_STORE_CORRUPT;
            return;
        }
        account_one(all, &all->some[i]);
        ledger_scan_next(&all->accounts);
    }
}

/* ---- all of them ---- */

static void sums_agree(const struct accounts *all)
{
    char first[LEDGER_WIDE_BYTES];
    char second[LEDGER_WIDE_BYTES];

    for (enum currency i = CURRENCY_NONE + 1; i < CURRENCY_COUNT; i++) {
        if (all->posted[i] != 0)
            ledger_check_fault(all->check, LEDGER_I1, "all accounts: %s balances add up to %s",
                               currency_code(i), ledger_wide_text(all->posted[i], first));
        if (all->held_all[i] != all->incoming_all[i])
            ledger_check_fault(all->check, LEDGER_I1, "all accounts: %s held %s, incoming %s",
                               currency_code(i), ledger_wide_text(all->held_all[i], first),
                               ledger_wide_text(all->incoming_all[i], second));
    }
}

enum err ledger_check_accounts(struct ledger_check *check)
{
    struct accounts all = {.check = check};
    struct ledger_scan *const scans[] = {&all.accounts, &all.ids, &all.limits, &all.held,
                                         &all.incoming};

    ledger_scan_begin(&all.accounts, check->conn, &accounts_scan, 1);
    ledger_scan_begin(&all.ids, check->conn, &ids_scan, 1);
    ledger_scan_begin(&all.limits, check->conn, &limits_scan, 3);
    ledger_scan_begin(&all.held, check->conn, &held_scan, 2);
    ledger_scan_begin(&all.incoming, check->conn, &incoming_scan, 2);
    while (all.err == ERR_OK && !all.ids.over) {
        some_take(&all);
        if (all.err == ERR_OK)
            entries_pass(&all);
        some_agree(&all);
    }
    for (size_t i = 0; i < PC_COUNT(scans); i++) {
        enum err other = ledger_scan_end(scans[i]);

        all.err = all.err ? all.err : other;
    }
    alloc_free(all.some);
    if (all.err == ERR_OK)
        sums_agree(&all);
    return all.err;
}
