/* SPDX-License-Identifier: MIT
 * `portcullis ledger ...` on a database of its own. */
#include "app/command_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "json/json.h"
#include "ledger/ledger.h"
#include "trail/trail.h"

#define OTHER "sqlite:other.db"

static const char *const other_environ[] = {"DATABASE_URL=" OTHER, NULL};

/* ---- a ledger with a transfer ---- */

struct work {
    enum err (*run)(struct ledger_turn *turn);
};

static enum err open_and_pay(struct ledger_turn *turn)
{
    static const struct store_statement number = {
        .name = "test_number",
        .sqlite = "INSERT INTO accounts (id, account_number, number_key, account_type, "
                  "created_at, updated_at) VALUES (?1, 'DE-1', 'DE1', 'checking', 1, 1)"};
    const struct ledger_account_new account = {
        .user_id = 1, .currency = CURRENCY_EUR, .state = LEDGER_ACTIVE};
    struct ledger_transfer deposit = {.kind = LEDGER_DEPOSIT,
                                      .from = ledger_house_account(LEDGER_SETTLEMENT, CURRENCY_EUR),
                                      .amount = {.minor = 1995, .currency = CURRENCY_EUR}};
    struct ledger_posted posted;
    enum err err = ledger_account_open(turn, &account, &deposit.to);

    if (!err)
        err = ledger_turn_add(turn, &number, STORE_PARAMS(STORE_I64(deposit.to)));
    return err ? err : ledger_move(turn, &deposit, &posted);
}

static enum err work_run(struct ledger_turn *turn, void *context)
{
    const struct work *work = context;

    return work->run(turn);
}

static void with_store(void (*use)(struct store *store))
{
    const struct store_options options = {
        .url = SPAN("sqlite:portcullis.db"), .data_dir = "data", .seal = &trail_seal};
    struct store *store = NULL;

    assert_int_equal(store_open(&options, &store, NULL), ERR_OK);
    use(store);
    store_close(store);
}

static void pay(struct store *store)
{
    struct work work = {.run = open_and_pay};
    const struct ledger_options options = {.store = store, .clock = &clock_system};
    struct ledger *ledger = NULL;

    assert_int_equal(ledger_new(&options, &ledger), ERR_OK);
    assert_int_equal(ledger_do(ledger, work_run, &work), ERR_OK);
    ledger_free(ledger);
}

static enum err text_run(struct store_conn *conn, struct store_job *job)
{
    return store_exec(conn, job->context, NULL, 0, NULL);
}

static void spoil(struct store *store)
{
    static const struct store_statement statement = {
        .name = "test_spoil",
        .sqlite = "UPDATE ledger_accounts SET posted = posted + 5 WHERE id = 1"};

    assert_int_equal(store_do(store, text_run, (void *)(uintptr_t)&statement, true), ERR_OK);
}

static void user_make(const char *const *variables)
{
    static const char line[] = "user create ada@example.com --password-stdin";
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "correct horse 9 battery\n", 24), 24);
    (void)close(ends[1]);
    assert_int_equal(command_test_run_fd(line, variables, ends[0]), COMMAND_GOOD);
    (void)close(ends[0]);
}

static void a_ledger(void)
{
    user_make(command_test_no_environ);
    with_store(pay);
}

/* ---- check ---- */

static void a_whole_ledger_is_good(void **state)
{
    (void)state;
    a_ledger();
    assert_int_equal(command_test_run("ledger check"), COMMAND_GOOD);
    assert_string_equal(command_test_err, "");
    assert_int_equal(strncmp(command_test_out,
                             "1 postings with 2 entries on 2 accounts, 0 transactions, 0 holds, 0 "
                             "keys; the last, 1, at ",
                             80),
                     0);
    assert_non_null(strstr(command_test_out, ".\nEvery invariant holds.\n"));
    assert_int_equal(command_test_run("ledger check --json"), COMMAND_GOOD);
    assert_int_equal(
        strncmp(command_test_out, "{\"faults\":0,\"postings\":1,\"entries\":2,\"accounts\":2,", 46),
        0);
}

static void a_fault_is_told(void **state)
{
    (void)state;
    a_ledger();
    with_store(spoil);
    assert_int_equal(command_test_run("ledger check"), COMMAND_BAD);
    assert_non_null(
        strstr(command_test_out, "I2 account 1: stored balance 2000, sum of its entries 1995\n"));
    assert_non_null(strstr(command_test_out, "\n2 faults: the ledger is not whole.\n"));
    assert_int_equal(command_test_run("ledger check --json"), COMMAND_BAD);
    assert_non_null(strstr(command_test_out,
                           "{\"invariant\":\"I2\",\"fault\":\"account 1: stored balance 2000, sum "
                           "of its entries 1995\"}\n"));
    assert_non_null(strstr(command_test_out, "{\"faults\":2,\"postings\":1,"));
}

/* What is wrong with the use or the database is told; a database is never changed to fit. */
static void wrong_use_is_told(void **state)
{
    static const char *const nowhere[] = {"DATABASE_URL=sqlite:/nonexistent/x.db", NULL};

    (void)state;
    assert_int_equal(command_test_run("ledger check now"), COMMAND_USAGE);
    assert_int_equal(command_test_run("ledger import"), COMMAND_USAGE);
    assert_int_equal(command_test_run("ledger export a b"), COMMAND_USAGE);
    assert_int_equal(command_test_run_with("ledger check", nowhere), COMMAND_BAD);
    assert_int_equal(command_test_run("ledger check"), COMMAND_BAD);
    assert_string_equal(command_test_err,
                        "portcullis ledger check: the database lacks steps of the schema, "
                        "`portcullis migrate` applies them\n");
}

/* ---- export and import ---- */

static char first[COMMAND_TEST_BYTES_MAX];

static void a_ledger_moves_house(void **state)
{
    struct stat about;

    (void)state;
    a_ledger();
    assert_int_equal(command_test_run("ledger export"), COMMAND_GOOD);
    assert_string_equal(command_test_err, "");
    assert_int_equal(strncmp(command_test_out, "{\"ledger\":{\"version\":1,", 22), 0);
    memcpy(first, command_test_out, sizeof(first));
    assert_int_equal(command_test_run("ledger export book"), COMMAND_GOOD);
    assert_string_equal(command_test_out, "");
    assert_int_equal(stat("book", &about), 0);
    assert_int_equal(about.st_mode & 07777, 0600);
    assert_int_equal(access("book.partial", F_OK), -1);

    assert_int_equal(command_test_run_with("ledger import book", other_environ), COMMAND_BAD);
    assert_string_equal(command_test_err, "portcullis ledger import: book:3: 1 e-mail address has "
                                          "no user here: ada@example.com\n");
    user_make(other_environ);
    assert_int_equal(command_test_run_with("ledger import book", other_environ), COMMAND_GOOD);
    assert_string_equal(command_test_out,
                        "1 postings on 2 accounts were imported. Every invariant holds.\n");
    assert_int_equal(command_test_run_with("ledger export", other_environ), COMMAND_GOOD);
    assert_string_equal(command_test_out, first);
    assert_int_equal(command_test_run_with("ledger check", other_environ), COMMAND_GOOD);
    assert_int_equal(command_test_run_with("ledger import book", other_environ), COMMAND_BAD);
    assert_string_equal(command_test_err, "portcullis ledger import: book: the ledger is not "
                                          "empty: a book is imported into a new one\n");
}

static void bad_files_are_told(void **state)
{
    (void)state;
    user_make(command_test_no_environ);
    assert_int_equal(command_test_run("ledger import nothing"), COMMAND_BAD);
    assert_string_equal(command_test_err, "portcullis ledger import: nothing: cannot be opened: No "
                                          "such file or directory\n");
    assert_int_equal(mkdir("folder", 0700), 0);
    assert_int_equal(command_test_run("ledger import folder"), COMMAND_BAD);
    assert_non_null(strstr(command_test_err, "folder: cannot be read: Is a directory\n"));
    assert_int_equal(command_test_run("ledger export folder"), COMMAND_BAD);
    assert_non_null(strstr(command_test_err, "folder: Is a directory\n"));
    assert_int_equal(access("folder.partial", F_OK), -1);
    assert_int_equal(command_test_run("ledger export nowhere/book"), COMMAND_BAD);
    assert_non_null(strstr(command_test_err, "nowhere/book.partial: No such file or directory\n"));
    assert_int_equal(symlink("/dev/null", "book"), 0);
    assert_int_equal(command_test_run("ledger import book"), COMMAND_BAD);
    assert_non_null(strstr(command_test_err, "book:"));
    assert_non_null(strstr(command_test_err, "is not the head of a book"));
}

#define FOLDER_TEST(function)                                                                      \
    cmocka_unit_test_setup_teardown(function, command_test_folder_make, command_test_folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(a_whole_ledger_is_good), FOLDER_TEST(a_fault_is_told),
        FOLDER_TEST(wrong_use_is_told),      FOLDER_TEST(a_ledger_moves_house),
        FOLDER_TEST(bad_files_are_told),
    };

    return cmocka_run_group_tests_name("command_ledger", tests, NULL, NULL);
}
