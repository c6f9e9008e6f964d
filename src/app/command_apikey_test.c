/* SPDX-License-Identifier: MIT
 * `portcullis apikey ...` on a database of its own: what is made, listed, taken back and refused,
 * and what the trail is told. */
#include "app/command_test.h"

#include "auth/auth_key.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- looking into the database ---- */

struct look {
    const struct store_statement *statement;
    int64_t number;
};

static enum err look_run(struct store_conn *conn, struct store_job *job)
{
    struct look *look = job->context;
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, look->statement, NULL, 0, &rows);

    if (err)
        return err;
    look->number = store_next(rows) ? store_rows_i64(rows, 0) : -1;
    return store_rows_err(rows);
}

static int64_t number_of(const struct store_statement *statement)
{
    struct store_options options = {.url = SPAN("sqlite:portcullis.db"), .data_dir = "data"};
    struct look look = {.statement = statement};
    struct store *store = NULL;

    assert_int_equal(store_open(&options, &store, NULL), ERR_OK);
    assert_int_equal(store_do(store, look_run, &look, false), ERR_OK);
    store_close(store);
    return look.number;
}

static const struct store_statement made_for_ever = {
    .name = "test_made",
    .sqlite = "SELECT count(*) FROM trail_events WHERE event = 'apikey.created' AND "
              "object = 'apikey:1' AND actor_kind = 'system' AND actor LIKE 'uid:%' AND "
              "details LIKE '%\"owner\":\"shop\"%' AND "
              "details LIKE '%\"scopes\":\"orders:read orders:write x\"%' AND "
              "details LIKE '%\"roles\":\"clerk\"%' AND details LIKE '%\"never\"%'"};
static const struct store_statement taken_back = {
    .name = "test_back",
    .sqlite = "SELECT count(*) FROM trail_events WHERE event = 'apikey.revoked' AND "
              "object = 'apikey:1'"};
static const struct store_statement all_events = {
    .name = "test_events",
    .sqlite = "SELECT count(*) FROM trail_events WHERE event LIKE 'apikey.%'"};

static void expect_told(const char *line, int answer, const char *told)
{
    assert_int_equal(command_test_run(line), answer);
    assert_string_equal(command_test_err, told);
    assert_string_equal(command_test_out, "");
}

/* ---- commands ---- */

/* The key is printed when it is made and never again. */
static void a_key_is_made(void **state)
{
    static const char begin[] = "API key 1 of shop was created.\nThe key, shown this once: pck_";
    char key[AUTH_KEY_TEXT_BYTES + 1] = "";

    assert_int_equal(command_test_run("apikey create shop --scope orders:read,,orders:write "
                                      "--scope ,x, --role clerk"),
                     COMMAND_GOOD);
    assert_string_equal(command_test_err, "");
    assert_memory_equal(command_test_out, begin, sizeof(begin) - 1);
    memcpy(key, command_test_out + sizeof(begin) - 1 - 4, AUTH_KEY_TEXT_BYTES);
    assert_string_equal(command_test_out + sizeof(begin) - 1 - 4 + AUTH_KEY_TEXT_BYTES, "\n");
    assert_int_equal(number_of(&made_for_ever), 1);

    assert_int_equal(command_test_run("apikey list"), COMMAND_GOOD);
    assert_string_equal(command_test_out,
                        "1  shop                     active   never                 "
                        "orders:read orders:write x as clerk\n");
    assert_int_equal(command_test_run("apikey list --json"), COMMAND_GOOD);
    assert_null(strstr(command_test_out, key));
}

/* Nobody has a key yet, and a table of nobody is empty. */
static void there_may_be_none(void **state)
{
    assert_int_equal(command_test_run("apikey list"), COMMAND_GOOD);
    assert_string_equal(command_test_out, "");
    assert_int_equal(command_test_run("apikey list --json"), COMMAND_GOOD);
    assert_string_equal(command_test_out, "[]\n");
}

static void a_key_may_end(void **state)
{
    assert_int_equal(command_test_run("apikey create shop --days 3660"), COMMAND_GOOD);
    assert_int_equal(command_test_run("apikey create till --days 1"), COMMAND_GOOD);
    assert_int_equal(command_test_run("apikey list --json"), COMMAND_GOOD);
    assert_ptr_equal(
        strstr(command_test_out, "[\n{\"id\":1,\"owner\":\"shop\",\"state\":\"active\","),
        command_test_out);
    assert_non_null(strstr(command_test_out, ",\n{\"id\":2,\"owner\":\"till\",\"state\":\"active\","
                                             "\"scopes\":\"\",\"roles\":\"\",\"created_at\":\""));
    assert_non_null(strstr(command_test_out, "\"expires_at\":\""));
    assert_null(strstr(command_test_out, "revoked_at"));
    assert_string_equal(strstr(command_test_out, "}\n]"), "}\n]\n");
}

/* Once more changes nothing for anybody. */
static void a_key_is_taken_back(void **state)
{
    assert_int_equal(command_test_run("apikey create shop"), COMMAND_GOOD);
    assert_int_equal(command_test_run("apikey revoke 1"), COMMAND_GOOD);
    assert_string_equal(command_test_out, "API key 1 was revoked.\n");
    assert_int_equal(number_of(&taken_back), 1);
    assert_int_equal(command_test_run("apikey list"), COMMAND_GOOD);
    assert_string_equal(command_test_out,
                        "1  shop                     revoked  never                 "
                        "\n");
    assert_int_equal(command_test_run("apikey list --json"), COMMAND_GOOD);
    assert_non_null(strstr(command_test_out, "\"state\":\"revoked\""));
    assert_non_null(strstr(command_test_out, "\"revoked_at\":\""));
}

/* What is refused leaves no key and no event. */
static void wrong_lines_make_nothing(void **state)
{
    static const char days[] = "portcullis apikey create: --days needs a number from 1 to 3660\n";
    static const char id[] = "portcullis apikey revoke: the id of a key is a number, see "
                             "`portcullis apikey list`\n";
    char line[256] = "apikey create shop --scope ";

    expect_told("apikey create shop --days 0", COMMAND_USAGE, days);
    expect_told("apikey create shop --days 3661", COMMAND_USAGE, days);
    expect_told("apikey create shop --days=-1", COMMAND_USAGE, days);
    expect_told("apikey create shop --days soon", COMMAND_USAGE, days);
    expect_told("apikey create shop --days 1.5", COMMAND_USAGE, days);
    expect_told("apikey create sh\xC3\xB6p", COMMAND_USAGE,
                "portcullis apikey create: the owner must be visible ASCII, and not too long\n");
    expect_told("apikey create shop --scope a\tb", COMMAND_USAGE,
                "portcullis apikey create: the scopes must be visible ASCII, and not too long\n");
    expect_told("apikey create shop --role a\x7F", COMMAND_USAGE,
                "portcullis apikey create: the roles must be visible ASCII, and not too long\n");
    memset(line + strlen("apikey create "), 'o', AUTH_KEY_OWNER_BYTES_MAX + 1);
    expect_told(line, COMMAND_USAGE,
                "portcullis apikey create: the owner must be visible ASCII, and not too long\n");
    expect_told("apikey revoke seven", COMMAND_USAGE, id);
    expect_told("apikey revoke 0", COMMAND_USAGE, id);
    expect_told("apikey revoke 7", COMMAND_BAD,
                "portcullis apikey revoke: there is no API key 7, see `portcullis apikey list`\n");
    assert_int_equal(number_of(&all_events), 0);
    assert_int_equal(command_test_run("apikey list --json"), COMMAND_GOOD);
    assert_string_equal(command_test_out, "[]\n");
}

static enum command_exit failing_at(uint64_t nth, const char *line)
{
    int code;

    store_fail_at(nth);
    code = command_test_run(line);
    store_fail_at(0);
    return (enum command_exit)code;
}

/* Whichever call fails: the key and its event are both there or neither is. */
static void a_store_that_fails_is_told(void **state)
{
    static const char *const lines[] = {"apikey create shop", "apikey revoke 1", "apikey list"};

    assert_int_equal(command_test_run("apikey list"), COMMAND_GOOD); /* the tables are there */
    for (size_t i = 0; i < PC_COUNT(lines); i++) {
        uint64_t nth = 1;

        while (failing_at(nth, lines[i]) != COMMAND_GOOD) {
            assert_string_equal(command_test_out, "");
            assert_true(strncmp(command_test_err, "portcullis apikey ", 18) == 0);
            assert_int_equal(number_of(&all_events), i);
            assert_true(nth++ < 100);
        }
        assert_true(nth > 1);
    }
    assert_non_null(strstr(command_test_out, "1  shop                     revoked"));
    assert_null(strstr(command_test_out, "\n2"));
    assert_int_equal(number_of(&all_events), 2);
}

int main(void)
{
#define IN_FOLDER(test)                                                                            \
    cmocka_unit_test_setup_teardown(test, command_test_folder_make, command_test_folder_remove)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_key_is_made),
        IN_FOLDER(there_may_be_none),
        IN_FOLDER(a_key_may_end),
        IN_FOLDER(a_key_is_taken_back),
        IN_FOLDER(wrong_lines_make_nothing),
        IN_FOLDER(a_store_that_fails_is_told),
    };
#undef IN_FOLDER

    return cmocka_run_group_tests_name("command apikey", tests, NULL, NULL);
}
