/* SPDX-License-Identifier: MIT
 * Requests at the same moment, on both databases: many in one commit, of which one fails none of
 * the others, and statements that are read while others post. */
#include "account/account_test_kit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

static void pause_1ms(void)
{
    const struct timespec wait = {.tv_nsec = 1000000};

    (void)nanosleep(&wait, NULL);
}

/* ---- one commit -------------------------------------------------------------------------------
 */

static atomic_bool held, holding;
static struct store_job hold_job;

static enum err hold_run(struct store_conn *conn, struct store_job *job)
{
    (void)conn, (void)job;
    atomic_store(&holding, true);
    while (atomic_load(&held))
        pause_1ms();
    return ERR_OK;
}

static void hold_done(struct store_job *job)
{
    (void)job;
    atomic_store(&holding, false);
}

/* The writer does nothing else until release. */
static void hold(void)
{
    hold_job = (struct store_job){.run = hold_run, .done = hold_done};
    atomic_store(&held, true);
    assert_int_equal(store_write(bench.store, &hold_job), ERR_OK);
    while (!atomic_load(&holding))
        pause_1ms();
}

static void release(size_t waiting)
{
    struct store_stats stats;

    do {
        pause_1ms();
        store_stats(bench.store, &stats);
    } while (stats.writes_queued < waiting);
    atomic_store(&held, false);
    while (atomic_load(&holding))
        pause_1ms();
}

static int begin(const char *what, const char *token, const char *body)
{
    char text[2048];
    int fd = site_dial();
    int len = snprintf(text, sizeof(text),
                       "%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer %s\r\n"
                       "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                       what, token, strlen(body), body);

    assert_in_range(len, 1, sizeof(text) - 1);
    site_say(fd, text);
    return fd;
}

static const struct store_statement count_both = {
    .name = "count_both",
    .sqlite = "SELECT count(*) * 1000 + (SELECT count(*) FROM ledger_accounts WHERE id > 0) "
              "FROM accounts"};

enum { CROWD = 12 };

/* Twelve ask for four numbers: each is given once, and those who come late fail alone. */
static void a_number_is_given_once_in_a_commit(void **state)
{
    int fds[CROWD], opened[4] = {0}, refused = 0;
    struct store_stats before, after;
    char body[256];

    (void)state;
    assert_int_equal(ask("GET /accounts", PAYMENTS, NULL), 200);
    store_stats(bench.store, &before);
    hold();
    for (int i = 0; i < CROWD; i++) {
        (void)snprintf(body, sizeof(body),
                       "{\"user_id\":1,\"account_number\":\"%s 100%d\",\"account_type\":\"x\","
                       "\"initial_deposit\":\"1.00\"}",
                       i < 4 ? "number" : "NUM-BER", i % 4);
        fds[i] = begin("POST /accounts", PAYMENTS, body);
    }
    release(CROWD);
    for (int i = 0; i < CROWD; i++) {
        int status = site_hear(fds[i]);

        opened[i % 4] += status == 201;
        refused += status == 409;
    }
    store_stats(bench.store, &after);
    assert_int_equal(refused, CROWD - 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(opened[i], 1);
    assert_int_equal(number_of(&count_both), 4004);
    assert_int_equal(after.commits - before.commits, 2); /* ours that held it, and theirs */
    assert_int_equal(events(TRAIL_ACCOUNT_OPENED), 4);
    assert_int_equal(events(TRAIL_LEDGER_DEPOSIT), 4);
}

/* What the first of a commit did, the second sees. */
static void changes_of_a_commit_see_each_other(void **state)
{
    static const char *const bodies[] = {"{\"account_type\":\"first\"}",
                                         "{\"account_type\":\"first\"}", "{\"status\":\"frozen\"}",
                                         "{\"status\":\"closed\"}", "{\"account_type\":\"late\"}"};
    static const int statuses[] = {200, 200, 200, 200, 409};
    int fds[PC_COUNT(bodies)];

    (void)state;
    assert_int_equal(account_of_user(1, "1001", "USD"), 1);
    hold();
    for (size_t i = 0; i < PC_COUNT(bodies); i++) {
        fds[i] = begin("PUT /accounts/1", PAYMENTS, bodies[i]);
        while (i + 1 < PC_COUNT(bodies)) {
            struct store_stats stats;

            store_stats(bench.store, &stats);
            if (stats.writes_queued > i)
                break;
            pause_1ms();
        }
    }
    release(PC_COUNT(bodies));
    for (size_t i = 0; i < PC_COUNT(bodies); i++)
        assert_int_equal(site_hear(fds[i]), statuses[i]);
    assert_int_equal(ask("GET /accounts/1", CUSTOMER, NULL), 200);
    assert_said("status", "closed");
    assert_said("account_type", "first");
    assert_int_equal(events(TRAIL_ACCOUNT_CHANGED), 2);
    assert_int_equal(events(TRAIL_ACCOUNT_CLOSED), 1);
}

/* ---- reading while others post ----------------------------------------------------------------
 */

static atomic_bool posting;

static enum err post_work(struct ledger_turn *turn, void *context)
{
    int64_t number = *(const int64_t *)context;
    struct ledger_transfer transfer =
        transfer_of(1 + number % 2, 2 - number % 2, 1 + number % 7, CURRENCY_USD);
    struct ledger_posted posted;

    if (number % 3 == 0)
        transfer.effective_at_ns = T0 - (number % 11) * CLOCK_NS_PER_S;
    return ledger_move(turn, &transfer, &posted);
}

static void *post_all_along(void *context)
{
    enum err *ret_err = context;
    enum err err = ERR_OK;

    /* Not as fast as it can: what a statement holds is read page by page meanwhile. */
    for (int64_t number = 0; err == ERR_OK && atomic_load(&posting); number++) {
        err = ledger_do(bench.ledger, post_work, &number);
        pause_1ms();
    }
    *ret_err = err;
    return NULL;
}

/* The page adds up, and begins with what the one before ended with. Gives its last balance. */
static int64_t assert_adds_up(int64_t opening, bool is_first)
{
    char path[48];
    int64_t balance = said_number("opening_balance_minor");

    assert_true(is_first || balance == opening);
    for (int i = 0;; i++) {
        (void)snprintf(path, sizeof(path), "lines.%d.amount_minor", i);
        if (said(path).len == 0)
            break;
        balance += said_number(path);
    }
    assert_int_equal(said_number("closing_balance_minor"), balance);
    return balance;
}

static void walk_pages(const char *order)
{
    char what[1024];
    int64_t balance = 0, seq = 0;
    bool is_first = true;

    (void)snprintf(what, sizeof(what), "GET /accounts/1/statement?limit=25&by=%s", order);
    do {
        assert_int_equal(ask(what, CUSTOMER, NULL), 200);
        balance = assert_adds_up(balance, is_first);
        assert_true(is_first || said_number("seq") == seq);
        seq = said_number("seq");
        is_first = false;
    } while (next_page(what)); /* it ends: all pages are of the first one's seq */
    assert_int_equal(ask_for(CUSTOMER, "GET /accounts/1/balance?seq=%lld", (long long)seq), 200);
    assert_int_equal(said_number("posted_minor"), balance);
}

static void statements_add_up_while_others_post(void **state)
{
    pthread_t poster;
    enum err err = ERR_OK;

    (void)state;
    (void)account_of_user(1, "1001", "USD");
    (void)account_of_user(2, "1002", "USD");
    paid_in(1, 100000000, CURRENCY_USD);
    paid_in(2, 100000000, CURRENCY_USD);
    atomic_store(&posting, true);
    assert_int_equal(pthread_create(&poster, NULL, post_all_along, &err), 0);
    while (events(TRAIL_LEDGER_TRANSFER) < 100)
        pause_1ms();
    for (int i = 0; i < 10; i++)
        walk_pages(i % 2 == 0 ? "commit" : "effective");
    atomic_store(&posting, false);
    assert_int_equal(pthread_join(poster, NULL), 0);
    assert_int_equal(err, ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DESK_TEST(a_number_is_given_once_in_a_commit),
        DESK_TEST(changes_of_a_commit_see_each_other),
        DESK_TEST(statements_add_up_while_others_post),
    };

    return cmocka_run_group_tests_name("account_together", tests, NULL, NULL);
}
