/* SPDX-License-Identifier: MIT
 * GET /accounts/{id}/statement on both databases: random periods against a list that is added up
 * again, page by page, while others post; CSV; what is refused. */
#include "account/account_history_test_kit.h"

/* What a statement of a period must say, in its order. */
struct expected {
    int64_t opening;
    struct event events[HISTORY_MAX];
    size_t count;
};

static int64_t time_of(const struct event *event, bool by_effective)
{
    return by_effective ? event->effective : event->at;
}

static bool comes_before(const struct event *a, const struct event *b, bool by_effective)
{
    int64_t first = time_of(a, by_effective), second = time_of(b, by_effective);

    return first < second || (first == second && a->seq < b->seq);
}

static void insert(struct expected *expected, const struct event *event, bool by_effective)
{
    size_t i = expected->count++;

    for (; i > 0 && comes_before(event, &expected->events[i - 1], by_effective); i--)
        expected->events[i] = expected->events[i - 1];
    expected->events[i] = *event;
}

static struct expected expected;

static void expect(size_t account, bool by_effective, int64_t from, int64_t to, int64_t seq)
{
    expected = (struct expected){0};
    for (size_t i = 0; i < history.count; i++) {
        const struct event *event = &history.events[i];
        int64_t time = time_of(event, by_effective);

        if (event->seq > seq || event->posted[account] == 0)
            continue;
        if (time < from)
            expected.opening += event->posted[account];
        else if (time < to)
            insert(&expected, event, by_effective);
    }
}

/* One page: its lines are the next of those expected, and it adds up. Gives how many they were. */
static size_t assert_page(size_t account, size_t done, int64_t *balance)
{
    char path[48];
    size_t count = 0;

    assert_int_equal(said_number("opening_balance_minor"), *balance);
    for (;; count++) {
        const struct event *event = &expected.events[done + count];

        (void)snprintf(path, sizeof(path), "lines.%zu.seq", count);
        if (said(path).len == 0)
            break;
        assert_true(done + count < expected.count);
        assert_int_equal(said_number(path), event->seq);
        (void)snprintf(path, sizeof(path), "lines.%zu.amount_minor", count);
        assert_int_equal(said_number(path), event->posted[account]);
        *balance += event->posted[account];
        (void)snprintf(path, sizeof(path), "lines.%zu.balance_after_minor", count);
        assert_int_equal(said_number(path), *balance);
    }
    assert_int_equal(said_number("closing_balance_minor"), *balance);
    return count;
}

/* All pages of a period; after each of them others post, dated back too. */
static void assert_statement(size_t account, bool by_effective, int64_t from, int64_t to,
                             size_t limit)
{
    char what[1024];
    int64_t balance;
    size_t done = 0, count;

    (void)snprintf(what, sizeof(what), "GET /accounts/%lld/statement?from=%s&to=%s&by=%s&limit=%zu",
                   (long long)history.ids[account], when(from), when(to),
                   by_effective ? "effective" : "commit", limit);
    expect(account, by_effective, from, to, INT64_MAX);
    balance = expected.opening;
    do {
        if (ask(what, CUSTOMER, NULL) != 200)
            fail_msg("%s: %s", what, site.text);
        count = assert_page(account, done, &balance);
        done += count;
        if (done < expected.count)
            assert_int_equal(count, limit);
        history_grow(any(3));
    } while (next_page(what));
    assert_int_equal(done, expected.count);
}

static int64_t some_time(void)
{
    const struct event *event = &history.events[any(history.count)];

    if (any(4) == 0)
        return T0 - DAY + (int64_t)any(2 * DAY);
    return time_of(event, any(2) == 0) + (int64_t)any(3) - 1;
}

static void periods_add_up(uint64_t seed)
{
    history_begin(seed);
    history_grow(60);
    for (int i = 0; i < 40; i++) {
        int64_t from = some_time(), to = some_time();
        size_t account = any(HISTORY_ACCOUNTS), limit = 1 + any(12);
        bool by_effective = any(2) == 0;

        assert_statement(account, by_effective, from < to ? from : to, from < to ? to : from,
                         limit);
    }
}

static void statements_add_up(void **state)
{
    (void)state;
    periods_add_up(11);
}

static void other_statements_add_up(void **state)
{
    (void)state;
    periods_add_up(12);
}

/* Asked for by the seq that it names, a page is the same bytes for ever. */
static void a_page_of_the_past_stays(void **state)
{
    static const char *const orders[] = {"commit", "effective"};
    char first[SITE_TEXT_BYTES], what[1024];

    (void)state;
    history_begin(13);
    history_grow(40);
    for (size_t i = 0; i < PC_COUNT(orders); i++) {
        assert_int_equal(ask_for(CUSTOMER, "GET /accounts/1/statement?limit=7&by=%s", orders[i]),
                         200);
        (void)snprintf(what, sizeof(what), "GET /accounts/1/statement?limit=7&by=%s&seq=%lld",
                       orders[i], (long long)said_number("seq"));
        assert_true(said("lines.6.seq").len > 0);
        for (int page = 0; page < 2; page++) {
            char next[1024];

            assert_int_equal(ask(what, CUSTOMER, NULL), 200);
            (void)snprintf(first, sizeof(first), "%.*s", SPAN_ARG(answer_body()));
            assert_true(next_page(next));
            history_grow(25);
            assert_int_equal(ask(what, CUSTOMER, NULL), 200);
            assert_true(span_is(answer_body(), first));
            (void)snprintf(what, sizeof(what), "%s", next);
        }
    }
}

/* ---- lines ------------------------------------------------------------------------------------
 */

static enum err described_work(struct ledger_turn *turn, void *context)
{
    struct ledger_transfer transfer = transfer_of(1, 2, 1995, CURRENCY_USD);
    struct ledger_posted posted;

    transfer.description = span_from(context);
    transfer.effective_at_ns = T0 - DAY;
    return ledger_move(turn, &transfer, &posted);
}

static enum err many_work(struct ledger_turn *turn, void *context)
{
    const struct ledger_leg legs[] = {{.account_id = 1, .posted = -100},
                                      {.account_id = 2, .posted = 60},
                                      {.account_id = 3, .posted = 40}};
    const struct ledger_posting posting = {
        .kind = LEDGER_POSTING, .legs = legs, .leg_count = PC_COUNT(legs)};

    return ledger_post(turn, &posting, context);
}

static void make_lines(void)
{
    static char description[] = "=1+1, \"x\"";
    struct ledger_posted posted;

    (void)account_of_user(1, "1001", "USD");
    (void)account_of_user(2, "1002", "USD");
    (void)account_of_user(3, "1003", "USD");
    paid_in(1, 5000, CURRENCY_USD);
    assert_int_equal(doing(described_work, description), ERR_OK);
    assert_int_equal(doing(many_work, &posted), ERR_OK);
}

static void lines_tell_what_moved(void **state)
{
    char house[32];

    (void)state;
    make_lines();
    (void)snprintf(house, sizeof(house), "%lld",
                   (long long)ledger_house_account(LEDGER_SETTLEMENT, CURRENCY_USD));
    assert_int_equal(ask("GET /accounts/1/statement", CUSTOMER, NULL), 200);
    assert_says("Content-Type: application/json\r\n");
    assert_says("Vary: Accept\r\n");
    assert_said("account_id", "1");
    assert_said("currency", "USD");
    assert_said("by", "commit");
    assert_said("seq", "3");
    assert_said("opening_balance", "0.00");
    assert_said("lines.0.kind", "transfer");
    assert_said("lines.0.description", "null");
    assert_said("lines.0.amount", "50.00");
    assert_said("lines.0.counterparty_account_id", house);
    assert_said("lines.1.seq", "2");
    assert_said("lines.1.at", "2027-01-15T08:00:00.000000Z");
    assert_said("lines.1.effective_at", "2027-01-14T08:00:00.000000Z");
    assert_said("lines.1.description", "=1+1, \"x\"");
    assert_said("lines.1.amount", "-19.95");
    assert_said("lines.1.amount_minor", "-1995");
    assert_said("lines.1.balance_after", "30.05");
    assert_said("lines.1.balance_after_minor", "3005");
    assert_said("lines.1.counterparty_account_id", "2");
    assert_said("lines.2.kind", "posting");
    assert_said("lines.2.counterparty_account_id", "null");
    assert_said("lines.3", "");
    assert_said("closing_balance", "29.05");
    assert_said("closing_balance_minor", "2905");
    assert_int_equal(ask("GET /accounts/1/statement?by=effective", CUSTOMER, NULL), 200);
    assert_said("lines.0.seq", "2");
    assert_said("lines.0.balance_after", "-19.95");
    assert_said("closing_balance", "29.05");
}

static void statements_come_as_csv(void **state)
{
    static const char line[] = "\r\n2,2027-01-15T08:00:00.000000Z,2027-01-14T08:00:00.000000Z,"
                               "transfer,\"'=1+1, \"\"x\"\"\",USD,-19.95,-1995,30.05,3005,2\r\n";

    (void)state;
    make_lines();
    assert_int_equal(ask("GET /accounts/1/statement?format=csv", CUSTOMER, NULL), 200);
    assert_says("Content-Type: text/csv; charset=utf-8; header=present\r\n");
    assert_says("Content-Disposition: attachment; filename=\"statement-1.csv\"\r\n");
    assert_says("\r\n\r\nseq,at,effective_at,kind,");
    assert_says(line);
    assert_int_equal(ask_with("GET /accounts/1/statement", CUSTOMER, "Accept: text/csv\r\n", NULL),
                     200);
    assert_says(line);
    assert_int_equal(
        ask_with("GET /accounts/1/statement?format=json", CUSTOMER, "Accept: text/csv\r\n", NULL),
        200);
    assert_said("account_id", "1");
    assert_problem(ask_with("GET /accounts/1/statement", CUSTOMER, "Accept: image/png\r\n", NULL),
                   406, "not-acceptable");
    assert_int_equal(ask("GET /accounts/1/statement?format=csv&limit=1", CUSTOMER, NULL), 200);
    assert_says("Link: </accounts/1/statement?format=csv&limit=1&cursor=3.");
}

/* A page whose texts are long is a shorter page. */
static void long_texts_make_short_pages(void **state)
{
    static char description[4 * LIMIT_LEDGER_DESCRIPTION_CHARS_MAX + 1];
    char what[1024];
    int pages = 1;

    (void)state;
    for (size_t i = 0; i + 4 < sizeof(description); i += 4)
        memcpy(description + i, "\xF0\x9F\x92\xB0", 4);
    (void)account_of_user(1, "1001", "USD");
    (void)account_of_user(2, "1002", "USD");
    paid_in(1, 100000000, CURRENCY_USD);
    for (int i = 0; i < 150; i++)
        assert_int_equal(doing(described_work, description), ERR_OK);
    assert_int_equal(ask("GET /accounts/1/statement?limit=500", CUSTOMER, NULL), 200);
    for (; next_page(what); pages++)
        assert_int_equal(ask(what, CUSTOMER, NULL), 200);
    assert_int_equal(pages, 3);
}

static void wrong_periods_are_refused(void **state)
{
    static const char *const queries[][2] = {
        {"from=2027-01-15T08:00:01Z&to=2027-01-15T08:00:00Z", "from"},
        {"seq=4", "seq"},
        {"by=size", "by"},
        {"format=xml", "format"},
        {"limit=0", "limit"},
        {"cursor=1", "cursor"},
        {"cursor=1.1", "cursor"},
        {"cursor=1.1.x", "cursor"},
        {"cursor=4.0.1", "cursor"},
        {"cursor=-1.0.1", "cursor"},
        {"cursor=2.0.1&seq=3", "cursor"},
    };

    (void)state;
    make_lines();
    for (size_t i = 0; i < PC_COUNT(queries); i++) {
        assert_problem(ask_for(CUSTOMER, "GET /accounts/1/statement?%s", queries[i][0]), 422,
                       "validation-failed");
        assert_said("errors.0.field", queries[i][1]);
    }
    assert_int_equal(ask("GET /accounts/1/statement?from=2030-01-01T00:00:00Z", CUSTOMER, NULL),
                     200);
    assert_said("lines", "[]");
    assert_said("opening_balance", "29.05");
    assert_said("closing_balance", "29.05");
    assert_int_equal(ask("GET /accounts/1/statement?to=2001-01-01T00:00:00Z", CUSTOMER, NULL), 200);
    assert_said("lines", "[]");
    assert_said("closing_balance", "0.00");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DESK_TEST(statements_add_up),         DESK_TEST(other_statements_add_up),
        DESK_TEST(a_page_of_the_past_stays),  DESK_TEST(lines_tell_what_moved),
        DESK_TEST(statements_come_as_csv),    DESK_TEST(long_texts_make_short_pages),
        DESK_TEST(wrong_periods_are_refused),
    };

    return cmocka_run_group_tests_name("account_statement", tests, NULL, NULL);
}
