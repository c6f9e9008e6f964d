/* SPDX-License-Identifier: MIT
 * `portcullis user ...` on a database of its own, and passwords typed on a terminal. */
#include "app/command_test.h"

#include "auth/auth.h"
#include "crypto/password.h"
#include "store/store.h"
#include "trail/trail.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#define GOOD  "a bridge of 9 arches"
#define OTHER "a bridge of 8 arches"

/* Cheap hashes, so that the tests are quick. */
static const char settings[] = "password:\n  scheme: bcrypt\n  bcrypt_cost: 4\n";

static int folder_make(void **state)
{
    FILE *file;

    if (command_test_folder_make(state) != 0)
        return -1;
    file = fopen("portcullis.yaml", "we");
    if (file == NULL || fputs(settings, file) < 0)
        return -1;
    return fclose(file);
}

static int create(const char *more, const char *password)
{
    char line[256];

    (void)snprintf(line, sizeof(line), "user create %s --password-stdin", more);
    return command_test_run_input(line, password);
}

/* Does the stored hash of the user with this id verify the password? */
struct stored {
    int64_t id;
    char hash[CRYPTO_PASSWORD_HASH_BYTES];
};

static enum err hash_read(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement statement = {
        .name = "test_hash", .sqlite = "SELECT password_hash FROM users WHERE id = ?1"};
    struct stored *stored = job->context;
    PC_AUTO(store_rows) rows = NULL;
    struct span hash;
    enum err err = store_query(conn, &statement, STORE_PARAMS(STORE_I64(stored->id)), &rows);

    if (err)
        return err;
    assert_true(store_next(rows));
    hash = store_rows_text(rows, 0, NULL);
    assert_true(hash.len < sizeof(stored->hash));
    memcpy(stored->hash, hash.ptr, hash.len);
    stored->hash[hash.len] = '\0';
    return store_rows_err(rows);
}

static bool password_is(int64_t id, const char *password)
{
    struct store_options options = {.url = SPAN("sqlite:portcullis.db"), .data_dir = "data"};
    struct stored stored = {.id = id};
    struct store *store = NULL;

    assert_int_equal(store_open(&options, &store, NULL), ERR_OK);
    assert_int_equal(store_do(store, hash_read, &stored, false), ERR_OK);
    store_close(store);
    return crypto_password_verify(span_from(stored.hash), span_from(password)) == ERR_OK;
}

struct number {
    const struct store_statement *statement;
    int64_t value;
};

static enum err number_read(struct store_conn *conn, struct store_job *job)
{
    struct number *number = job->context;
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, number->statement, NULL, 0, &rows);

    if (err)
        return err;
    assert_true(store_next(rows));
    number->value = store_rows_i64(rows, 0);
    return store_rows_err(rows);
}

static int64_t number_of(const struct store_statement *statement)
{
    struct store_options options = {.url = SPAN("sqlite:portcullis.db"), .data_dir = "data"};
    struct number number = {.statement = statement};
    struct store *store = NULL;

    assert_int_equal(store_open(&options, &store, NULL), ERR_OK);
    assert_int_equal(store_do(store, number_read, &number, false), ERR_OK);
    store_close(store);
    return number.value;
}

/* On a machine where nothing ran before, the first administrator can be made. */
static void first_admin_is_created(void **state)
{
    assert_int_equal(create("ada@example.com --admin", GOOD "\nmore\n"), COMMAND_GOOD);
    assert_string_equal(command_test_out,
                        "User 1, ada@example.com, was created as an administrator.\n");
    assert_true(password_is(1, GOOD));
    assert_false(password_is(1, OTHER));
    assert_int_equal(create("bob@example.com --username bobby", GOOD "\r\n"), COMMAND_GOOD);
    assert_true(password_is(2, GOOD));
    assert_int_equal(command_test_run("user list"), COMMAND_GOOD);
    assert_string_equal(
        command_test_out,
        "ID     E-MAIL                           USERNAME             STATE\n"
        "1      ada@example.com                  ada                  active, admin\n"
        "2      bob@example.com                  bobby                active\n");
    assert_int_equal(command_test_run("user list --json"), COMMAND_GOOD);
    assert_int_equal(strncmp(command_test_out,
                             "[\n{\"user_id\":1,\"username\":\"ada\",\"email\":\"ada@example.com\","
                             "\"is_admin\":true,\"is_active\":true,\"created_at\":\"",
                             104),
                     0);
    assert_non_null(strstr(command_test_out, "\"},\n{\"user_id\":2,"));
}

/* What cannot be a user is refused in words, and nothing of it is stored. */
static void bad_users_are_refused(void **state)
{
    static const struct {
        const char *more;
        const char *password;
        int answer;
        const char *told;
    } cases[] = {
        {"nobody", GOOD, COMMAND_USAGE, "\"nobody\" is not an e-mail address"},
        {"x@example.com", GOOD, COMMAND_USAGE,
         "\"x\" cannot be a username, give one with --username: 3 to 50 letters, digits, '.', '_' "
         "and '-'"},
        {"xyz@example.com --username a/b", GOOD, COMMAND_USAGE,
         "\"a/b\" cannot be a username, give one with --username: 3 to 50 letters, digits, '.', "
         "'_' and '-'"},
        {"xyz@example.com", "1234567\n", COMMAND_BAD, "a password has at least 8 characters"},
        {"xyz@example.com", "", COMMAND_BAD, "a password has at least 8 characters"},
        {"xyz@example.com", "12345678\xFF\n", COMMAND_BAD, "a password is UTF-8 without NUL"},
        {"xyz@example.com", GOOD GOOD GOOD GOOD "\n", COMMAND_BAD,
         "with bcrypt a password has at most 72 bytes"},
        {"xyz@example.com", "Sunshine\n", COMMAND_BAD,
         "that password is a word that everybody tries first; take several words that have nothing "
         "to do with each other"},
        {"ADA@example.com --username other", GOOD, COMMAND_BAD, "that e-mail address is taken"},
        {"xyz@example.com --username ADA", GOOD, COMMAND_BAD,
         "that username is taken, give another one with --username"},
    };

    assert_int_equal(create("ada@example.com", GOOD), COMMAND_GOOD);
    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        char told[256];

        (void)snprintf(told, sizeof(told), "portcullis user create: %s\n", cases[i].told);
        assert_int_equal(create(cases[i].more, cases[i].password), cases[i].answer);
        assert_string_equal(command_test_err, told);
        assert_string_equal(command_test_out, "");
    }
    assert_int_equal(command_test_run("user list"), COMMAND_GOOD);
    assert_null(strstr(command_test_out, "xyz"));
}

/* A password may not be longer than any that is hashed; the terminal may go before it came. */
static void endless_passwords_are_refused(void **state)
{
    char input[LIMIT_PASSWORD_BYTES_MAX + 3];

    memset(input, 'x', sizeof(input));
    input[sizeof(input) - 1] = '\0';
    assert_int_equal(create("ada@example.com", input), COMMAND_BAD);
    assert_string_equal(command_test_err,
                        "portcullis user create: a password has at most 1024 bytes\n");
    assert_int_equal(command_test_run("user create ada@example.com --password-stdin"), COMMAND_BAD);
    assert_string_equal(command_test_err, "portcullis user create: cannot read the password\n");
}

/* Users are disabled and enabled by address or id; someone stays in charge. */
static void users_are_disabled(void **state)
{
    assert_int_equal(create("ada@example.com --admin", GOOD), COMMAND_GOOD);
    assert_int_equal(create("bob@example.com", GOOD), COMMAND_GOOD);
    assert_int_equal(command_test_run("user disable BOB@example.com"), COMMAND_GOOD);
    assert_string_equal(command_test_out, "User 2, bob@example.com, is disabled.\n");
    assert_int_equal(command_test_run("user list"), COMMAND_GOOD);
    assert_non_null(strstr(command_test_out, " disabled\n"));
    assert_int_equal(command_test_run("user enable 2"), COMMAND_GOOD);
    assert_string_equal(command_test_out, "User 2, bob@example.com, is active.\n");
    assert_int_equal(command_test_run("user disable 1"), COMMAND_BAD);
    assert_string_equal(command_test_err, "portcullis user disable: that is the last active "
                                          "administrator, make another one first\n");
    assert_int_equal(command_test_run("user disable 3"), COMMAND_BAD);
    assert_string_equal(command_test_err, "portcullis user disable: there is no user \"3\", see "
                                          "`portcullis user list`\n");
}

/* A new password replaces the old one. */
static void passwords_are_replaced(void **state)
{
    assert_int_equal(create("ada@example.com", GOOD), COMMAND_GOOD);
    assert_int_equal(
        command_test_run_input("user password ada@example.com --password-stdin", OTHER),
        COMMAND_GOOD);
    assert_string_equal(command_test_out, "User 1, ada@example.com, has the new password.\n");
    assert_true(password_is(1, OTHER));
    assert_false(password_is(1, GOOD));
    assert_int_equal(
        command_test_run_input("user password eve@example.com --password-stdin", OTHER),
        COMMAND_BAD);
    assert_int_equal(command_test_run_input("user password 1", OTHER), COMMAND_USAGE);
    assert_string_equal(command_test_err,
                        "portcullis user password: there is no terminal to ask for the password "
                        "on, give it to --password-stdin\n");
    assert_true(password_is(1, OTHER));
}

/* Roles are set as a whole; a name that is none is refused before anything is opened. */
static void roles_are_set(void **state)
{
    assert_int_equal(create("ada@example.com --admin", GOOD), COMMAND_GOOD);
    assert_int_equal(create("bob@example.com", GOOD), COMMAND_GOOD);
    assert_int_equal(command_test_run("user role bob@example.com risk payments"), COMMAND_GOOD);
    assert_string_equal(command_test_out,
                        "User 2, bob@example.com, has the roles risk payments.\n");
    assert_int_equal(command_test_run("user role 2 auditor admin"), COMMAND_GOOD);
    assert_int_equal(command_test_run("user list"), COMMAND_GOOD);
    assert_non_null(strstr(command_test_out, "bob                  active, admin\n"));
    assert_int_equal(command_test_run("user role 2 customer"), COMMAND_GOOD);
    assert_int_equal(command_test_run("user role 2 king"), COMMAND_USAGE);
    assert_non_null(strstr(command_test_err, "does not know \"king\", there is: customer, "
                                             "payments, risk, auditor, broker, admin"));
    assert_int_equal(command_test_run("user role 2"), COMMAND_USAGE);
    assert_int_equal(command_test_run("user role 1 customer"), COMMAND_BAD);
    assert_string_equal(command_test_err, "portcullis user role: that is the last active "
                                          "administrator, make another one first\n");
    assert_int_equal(command_test_run("user role eve@example.com customer"), COMMAND_BAD);
}

/* Who did what from the command line is in the trail, and what failed is not. */
static void commands_are_recorded(void **state)
{
    static const struct store_statement all = {.name = "test_trail",
                                               .sqlite = "SELECT count(*) FROM trail_events WHERE "
                                                         "event <> 'schema.migrated'"};
    static const struct store_statement whole = {
        .name = "test_trail_whole",
        .sqlite = "SELECT count(*) FROM trail_events WHERE actor_kind = 'system' AND actor LIKE "
                  "'uid:%' AND outcome = 'done' AND ((event = 'user.registered' AND "
                  "object = 'user:1' AND reason = 'is_admin=true') OR (event = "
                  "'user.registered' AND object = 'user:2') OR (event = 'user.changed' "
                  "AND reason = 'is_active=false') OR (event = 'user.password' AND "
                  "object = 'user:2') OR (event = 'user.changed' AND reason = "
                  "'roles=risk'))"};

    assert_int_equal(create("ada@example.com --admin", GOOD), COMMAND_GOOD);
    assert_int_equal(create("bob@example.com", GOOD), COMMAND_GOOD);
    assert_int_equal(create("bob@example.com", GOOD), COMMAND_BAD);
    assert_int_equal(command_test_run("user disable 2"), COMMAND_GOOD);
    assert_int_equal(command_test_run("user disable 1"), COMMAND_BAD);
    assert_int_equal(command_test_run_input("user password 2 --password-stdin", OTHER),
                     COMMAND_GOOD);
    assert_int_equal(command_test_run("user role 2 risk"), COMMAND_GOOD);
    assert_int_equal(number_of(&all), 5);
    assert_int_equal(number_of(&whole), 5);
}

static enum err many_create(struct store_conn *conn, struct store_job *job)
{
    for (size_t i = 0; i < 203; i++) {
        struct auth_user_new user = {.password_hash = SPAN("x")};
        const char *taken;
        char first[1024];
        char email[64];
        struct arena arena;
        int64_t id;
        enum err err;

        (void)snprintf(email, sizeof(email), "user%zu@example.com", i);
        user.email = span_from(email);
        user.username = span_slice(user.email, 0, span_find(user.email, '@'));
        arena_init(&arena, first, sizeof(first), 4096);
        err = auth_user_create(conn, &user, 1, &arena, &id, &taken);
        arena_reset(&arena);
        if (err)
            return err;
    }
    return ERR_OK;
}

/* More users than a page holds are all listed, once each. */
static void long_lists_are_whole(void **state)
{
    struct store_options options = {
        .url = SPAN("sqlite:portcullis.db"), .data_dir = "data", .seal = &trail_seal};
    struct store *store = NULL;
    struct span rest;
    struct span line;
    size_t lines = 0;

    assert_int_equal(command_test_run("migrate"), COMMAND_GOOD);
    assert_int_equal(store_open(&options, &store, NULL), ERR_OK);
    assert_int_equal(store_do(store, many_create, NULL, true), ERR_OK);
    store_close(store);
    assert_int_equal(command_test_run("user list"), COMMAND_GOOD);
    for (rest = span_from(command_test_out); span_cut(&rest, '\n', &line);)
        lines += line.len > 0 ? 1 : 0;
    assert_int_equal(lines, 204);
    assert_int_equal(command_test_run("user list --json"), COMMAND_GOOD);
    assert_non_null(strstr(command_test_out, "},\n{\"user_id\":201,"));
    assert_string_equal(command_test_out + strlen(command_test_out) - 4, "}\n]\n");
}

/* An empty list is a list too. */
static void empty_lists_are_lists(void **state)
{
    assert_int_equal(command_test_run("user list --json"), COMMAND_GOOD);
    assert_string_equal(command_test_out, "[]\n");
}

/* ---- a terminal ---- */

/* Someone at the other end of a terminal, who types an answer when asked. */
struct typist {
    int master;
    const char *answers[2];
    char seen[1024]; /* all that stood on the screen */
    size_t seen_bytes;
};

static const char *const questions[] = {"Password: ", "Once more: "};

static bool see(struct typist *typist, const char *wanted)
{
    while (strstr(typist->seen, wanted) == NULL) {
        ssize_t got = read(typist->master, typist->seen + typist->seen_bytes,
                           sizeof(typist->seen) - 1 - typist->seen_bytes);

        if (got <= 0)
            return false;
        typist->seen_bytes += (size_t)got;
    }
    return true;
}

static void *type(void *context)
{
    struct typist *typist = context;

    for (size_t i = 0; i < 2 && typist->answers[i] != NULL && see(typist, questions[i]); i++)
        (void)!write(typist->master, typist->answers[i], strlen(typist->answers[i]));
    (void)see(typist, "never seen");
    return NULL;
}

/* Creates a user on a terminal; what stood there is kept in command_test_err. */
static int create_typing(const char *first, const char *second)
{
    static const char *const argv[] = {"portcullis", "user", "create", "ada@example.com"};
    struct typist typist = {.answers = {first, second}};
    struct command_io io = {.environ = command_test_no_environ};
    struct termios after;
    pthread_t thread;
    int answer;

    typist.master = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(typist.master >= 0 && grantpt(typist.master) == 0 && unlockpt(typist.master) == 0);
    io.in = open(ptsname(typist.master), O_RDWR | O_NOCTTY);
    assert_true(io.in >= 0);
    io.err = fdopen(dup(io.in), "w");
    io.out = fopen("/dev/null", "we");
    assert_true(io.err != NULL && io.out != NULL);
    assert_int_equal(pthread_create(&thread, NULL, type, &typist), 0);
    answer = command_main(4, argv, &io);
    assert_int_equal(tcgetattr(io.in, &after), 0);
    assert_true((after.c_lflag & ECHO) && (after.c_lflag & ISIG) && (after.c_lflag & ICANON));
    (void)fclose(io.out);
    (void)fclose(io.err);
    (void)close(io.in);
    assert_int_equal(pthread_join(thread, NULL), 0); /* its terminal has hung up */
    memcpy(command_test_err, typist.seen, sizeof(typist.seen));
    (void)close(typist.master);
    return answer;
}

/* On a terminal the password is asked for twice without an echo; keys that edit work, Ctrl-C
 * refuses, and the terminal is always left as it was. */
static void passwords_are_typed(void **state)
{
    assert_int_equal(create_typing(GOOD "\r", OTHER "\r"), COMMAND_BAD);
    assert_string_equal(command_test_err,
                        "Password: \r\nOnce more: \r\nportcullis user create: the two "
                        "passwords differ\r\n");
    assert_int_equal(create_typing("abc\003", NULL), COMMAND_BAD);
    assert_string_equal(command_test_err, "Password: \r\nportcullis user create: cancelled\r\n");
    assert_int_equal(create_typing("\004", NULL), COMMAND_BAD);
    assert_int_equal(create_typing("wrong\025" GOOD "\xC3\xA9\177\r", GOOD "x\b\n"), COMMAND_GOOD);
    assert_string_equal(command_test_err, "Password: \r\nOnce more: \r\n");
    assert_true(password_is(1, GOOD));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(first_admin_is_created, folder_make,
                                        command_test_folder_remove),
        cmocka_unit_test_setup_teardown(bad_users_are_refused, folder_make,
                                        command_test_folder_remove),
        cmocka_unit_test_setup_teardown(endless_passwords_are_refused, folder_make,
                                        command_test_folder_remove),
        cmocka_unit_test_setup_teardown(users_are_disabled, folder_make,
                                        command_test_folder_remove),
        cmocka_unit_test_setup_teardown(passwords_are_replaced, folder_make,
                                        command_test_folder_remove),
        cmocka_unit_test_setup_teardown(roles_are_set, folder_make, command_test_folder_remove),
        cmocka_unit_test_setup_teardown(commands_are_recorded, folder_make,
                                        command_test_folder_remove),
        cmocka_unit_test_setup_teardown(long_lists_are_whole, folder_make,
                                        command_test_folder_remove),
        cmocka_unit_test_setup_teardown(empty_lists_are_lists, folder_make,
                                        command_test_folder_remove),
        cmocka_unit_test_setup_teardown(passwords_are_typed, folder_make,
                                        command_test_folder_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
