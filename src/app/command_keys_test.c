/* SPDX-License-Identifier: MIT
 * `portcullis keys ...` on a database and a folder of its own. */
#include "app/command_test.h"

#include "crypto/key.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { KID_CHARS = 43 };

/* ---- commands ---- */

static void expect_told(const char *line, int answer, const char *sentence)
{
    assert_int_equal(command_test_run(line), answer);
    assert_string_equal(command_test_out, "");
    if (strstr(command_test_err, sentence) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", command_test_err, sentence);
}

/* The id in "Key KID, ES256, is …". */
static void rotate(const char *line, char kid[KID_CHARS + 1])
{
    assert_int_equal(command_test_run(line), COMMAND_GOOD);
    assert_string_equal(command_test_err, "");
    assert_memory_equal(command_test_out, "Key ", 4);
    memcpy(kid, command_test_out + 4, KID_CHARS);
    kid[KID_CHARS] = '\0';
    assert_int_equal(command_test_out[4 + KID_CHARS], ',');
}

/* The state of a key, as a line of the list tells it. */
static bool state_is(const char *kid, const char *state)
{
    const char *line;

    assert_int_equal(command_test_run("keys list"), COMMAND_GOOD);
    line = strstr(command_test_out, kid);
    assert_non_null(line);
    return strncmp(line + KID_CHARS + 7, state, strlen(state)) == 0;
}

static bool file_is_private(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && (info.st_mode & 07777) == 0600;
}

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
    assert_true(store_next(rows));
    look->number = store_rows_i64(rows, 0);
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

/* ---- tests ---- */

/* A list without keys is a list too. */
static void no_key_is_listed(void **state)
{
    (void)state;
    assert_int_equal(command_test_run("keys list"), COMMAND_GOOD);
    assert_string_equal(command_test_out, "");
    assert_int_equal(command_test_run("keys list --json"), COMMAND_GOOD);
    assert_string_equal(command_test_out, "[]\n");
}

/* From published to gone, each state by its word, and all of it in the trail and the feed. */
static void keys_are_turned_over(void **state)
{
    static const struct store_statement events = {
        .name = "test_events",
        .sqlite = "SELECT count(*) FROM trail_events WHERE event LIKE 'key.%' AND "
                  "actor LIKE 'uid:%' AND object LIKE 'key:%'"};
    static const struct store_statement changes = {
        .name = "test_changes",
        .sqlite = "SELECT count(*) FROM identity_changes WHERE subject = 0 AND what = 'keys'"};
    char first[KID_CHARS + 1], second[KID_CHARS + 1], line[128], told[160];

    (void)state;
    rotate("keys rotate --alg ES256", first);
    assert_non_null(strstr(command_test_out, ", ES256, is published and signs from 2"));
    assert_null(strstr(command_test_out, "unless you retire it"));
    assert_true(file_is_private("data/keys/oauth/ES256-1.pem"));
    assert_true(state_is(first, "published from 2"));

    rotate("keys rotate --alg ES256 --now", second);
    assert_non_null(strstr(command_test_out, "Z, unless you retire it now.\n"));
    assert_true(file_is_private("data/keys/oauth/ES256-2.pem"));
    assert_true(state_is(second, "signing   since 2"));
    assert_true(state_is(first, "verifying until 2"));

    (void)snprintf(line, sizeof(line), "keys retire -- %s", first);
    assert_int_equal(command_test_run(line), COMMAND_GOOD);
    (void)snprintf(told, sizeof(told), "Key %s is gone: what it signed is no longer believed.\n",
                   first);
    assert_string_equal(command_test_out, told);
    assert_true(access("data/keys/oauth/ES256-1.pem", F_OK) != 0);
    assert_true(state_is(first, "gone      since 2"));
    rotate("keys rotate --alg ES256", first);
    assert_true(state_is(second, "signing   until 2"));
    assert_int_equal(number_of(&events), 4);
    assert_int_equal(number_of(&changes), 4);
}

/* For scripts: every time, and nothing that is private. */
static void lists_are_for_scripts(void **state)
{
    char kid[KID_CHARS + 1], begin[160];

    (void)state;
    rotate("keys rotate --alg EdDSA", kid);
    assert_int_equal(command_test_run("keys list --json"), COMMAND_GOOD);
    (void)snprintf(begin, sizeof(begin),
                   "[{\"kid\":\"%s\",\"alg\":\"EdDSA\",\"state\":\"published\",\"created_at\":\"2",
                   kid);
    assert_int_equal(strncmp(command_test_out, begin, strlen(begin)), 0);
    assert_non_null(strstr(command_test_out, "\"signs_until\":null,\"gone_at\":null}]\n"));
}

/* What cannot be done is told with what to do instead, and nothing is left behind. */
static void what_cannot_be_is_told(void **state)
{
    char kid[KID_CHARS + 1], line[128];

    (void)state;
    expect_told("keys rotate --alg HS256", COMMAND_USAGE,
                "portcullis keys rotate: \"HS256\" is none of RS256, PS256, ES256 and EdDSA\n");
    expect_told("keys retire nobody", COMMAND_BAD,
                "portcullis keys retire: no key \"nobody\" is in use, see "
                "`portcullis keys list`\n");
    rotate("keys rotate --alg EdDSA --now", kid);
    (void)snprintf(line, sizeof(line), "keys retire -- %s", kid);
    expect_told(line, COMMAND_BAD,
                "portcullis keys retire: no other key signs with its algorithm yet: `keys rotate "
                "--now` comes first\n");
    assert_int_equal(chmod("data/keys/oauth", 0755), 0);
    expect_told("keys rotate --alg EdDSA", COMMAND_BAD,
                "data/keys/oauth: is open to other users: chmod 0700\n");
    assert_int_equal(chmod("data/keys/oauth", 0700), 0);
    assert_true(access("data/keys/oauth/EdDSA-2.pem", F_OK) != 0);
}

/* A key that the settings name is turned by naming another. */
static void given_keys_are_not_turned(void **state)
{
    struct crypto_key *key = NULL;
    FILE *file;

    (void)state;
    assert_int_equal(crypto_key_generate(CRYPTO_RS256, (struct span){0}, &key), ERR_OK);
    assert_int_equal(crypto_key_save(key, "given.pem", NULL), ERR_OK);
    crypto_key_free(key);
    file = fopen("portcullis.yaml", "we");
    assert_non_null(file);
    assert_true(fputs("oauth:\n  private_key_file: given.pem\n", file) >= 0 && fclose(file) == 0);
    expect_told("keys rotate", COMMAND_BAD,
                "the RS256 key is given by oauth.private_key_file: name another file there, "
                "restart, and retire the old key when its last tokens are over\n");
    assert_int_equal(command_test_run("keys rotate --alg EdDSA"), COMMAND_GOOD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_key_is_listed, command_test_folder_make,
                                        command_test_folder_remove),
        cmocka_unit_test_setup_teardown(keys_are_turned_over, command_test_folder_make,
                                        command_test_folder_remove),
        cmocka_unit_test_setup_teardown(lists_are_for_scripts, command_test_folder_make,
                                        command_test_folder_remove),
        cmocka_unit_test_setup_teardown(what_cannot_be_is_told, command_test_folder_make,
                                        command_test_folder_remove),
        cmocka_unit_test_setup_teardown(given_keys_are_not_turned, command_test_folder_make,
                                        command_test_folder_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
