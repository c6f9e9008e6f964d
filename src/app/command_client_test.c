/* SPDX-License-Identifier: MIT
 * `portcullis client ...` on a database of its own: what is made, shown and refused, and what the
 * trail and the feed are told. */
#include "app/command_test.h"

#include "oauth/oauth.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define GIVEN "a-secret-of-thirty-two-characters"

static const char key_set[] = "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"one\","
                              "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
                              "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}";

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

static const struct store_statement plain_secrets = {
    .name = "test_plain",
    .sqlite = "SELECT count(*) FROM oauth_clients WHERE length(secret_hash) <> 32 OR "
              "length(secret_key) <> 32"};
static const struct store_statement changes = {
    .name = "test_changes",
    .sqlite = "SELECT count(*) FROM identity_changes WHERE subject = -1 AND what = 'client'"};
static const struct store_statement events = {
    .name = "test_events",
    .sqlite = "SELECT count(*) FROM trail_events WHERE object = 'client:shop' AND "
              "client = 'shop' AND actor_kind = 'system' AND actor LIKE 'uid:%' AND "
              "outcome = 'done'"};
static const struct store_statement created_events = {
    .name = "test_created",
    .sqlite = "SELECT count(*) FROM trail_events WHERE event = 'client.created' AND "
              "details LIKE '%\"scopes\":\"openid accounts:read\"%'"};
static const struct store_statement secret_events = {
    .name = "test_secrets",
    .sqlite = "SELECT count(*) FROM trail_events WHERE event = 'client.secret'"};

/* ---- commands ---- */

static void expect_out(const char *line, const char *out)
{
    assert_int_equal(command_test_run(line), COMMAND_GOOD);
    assert_string_equal(command_test_err, "");
    assert_string_equal(command_test_out, out);
}

static void expect_told(const char *line, int answer, const char *sentence)
{
    char told[512];
    const char *end = strstr(line, " ");

    assert_non_null(end);
    end = strstr(end + 1, " ");
    (void)snprintf(told, sizeof(told), "portcullis %.*s: %s\n",
                   (int)(end != NULL ? end - line : (long)strlen(line)), line, sentence);
    assert_int_equal(command_test_run(line), answer);
    assert_string_equal(command_test_err, told);
    assert_string_equal(command_test_out, "");
}

static void shop_make(void)
{
    assert_int_equal(
        command_test_run("client create shop --grant authorization_code,refresh_token --scope "
                         "openid,accounts:read --redirect-uri https://shop.example/cb"),
        COMMAND_GOOD);
}

/* The secret that was printed; it is in `room` from then on. */
static struct span secret_printed(char room[OAUTH_SECRET_TEXT_BYTES])
{
    const char *at = strstr(command_test_out, "shown this once: ");

    assert_non_null(at);
    at += strlen("shown this once: ");
    assert_int_equal(strcspn(at, "\n"), OAUTH_SECRET_TEXT_BYTES);
    memcpy(room, at, OAUTH_SECRET_TEXT_BYTES);
    return span_make(room, OAUTH_SECRET_TEXT_BYTES);
}

/* A secret is printed when it is made and never again, and only its hash is stored. */
static void a_client_is_created(void **state)
{
    char secret[OAUTH_SECRET_TEXT_BYTES + 1] = "";

    shop_make();
    assert_memory_equal(command_test_out, "Client shop was created.\nIts secret, shown this ", 47);
    (void)secret_printed(secret);
    assert_int_equal(number_of(&plain_secrets), 0);
    assert_int_equal(number_of(&created_events), 1);
    assert_int_equal(command_test_run("client show shop"), COMMAND_GOOD);
    assert_null(strstr(command_test_out, secret));
    assert_non_null(strstr(command_test_out, "client id        shop\n"
                                             "name             shop\n"
                                             "state            active\n"
                                             "method           client_secret\n"
                                             "secret           set\n"
                                             "key set          -\n"
                                             "tls subject      -\n"
                                             "tokens bound     no\n"
                                             "grants           authorization_code refresh_token\n"
                                             "scopes           openid accounts:read\n"
                                             "roles            -\n"
                                             "redirect URIs    https://shop.example/cb\n"
                                             "logout URIs      -\n"
                                             "access tokens    as the issuer's\n"
                                             "refresh tokens   as the issuer's\n"
                                             "id tokens        as the issuer's\n"
                                             "created          20"));
    assert_int_equal(command_test_run("client show shop --json"), COMMAND_GOOD);
    assert_null(strstr(command_test_out, secret));
    assert_non_null(strstr(command_test_out, "\"grant_types\":[\"authorization_code\","
                                             "\"refresh_token\"],\"scopes\":[\"openid\","
                                             "\"accounts:read\"],\"roles\":[]"));
    expect_told("client create shop", COMMAND_BAD, "there is a client \"shop\" already");
    expect_told("client show nobody", COMMAND_BAD,
                "there is no client \"nobody\", see `portcullis client list`");
}

/* Every option arrives. */
static void a_client_is_described(void **state)
{
    FILE *file = fopen("keys.json", "we");

    assert_non_null(file);
    assert_true(fputs(key_set, file) >= 0);
    assert_int_equal(fclose(file), 0);
    expect_out("client create robot --method private_key_jwt --jwks keys.json --grant "
               "client_credentials --scope transactions:read --scope transactions:write",
               "Client robot was created.\n");
    expect_out("client update robot --role payments,risk --bound --access-minutes 5 --access-alg "
               "ES256 --id-alg EdDSA --name Robot",
               "Client robot was updated.\n");
    assert_int_equal(command_test_run("client show robot"), COMMAND_GOOD);
    assert_non_null(strstr(command_test_out, "name             Robot\n"));
    assert_non_null(strstr(command_test_out, "key set          set\n"));
    assert_non_null(strstr(command_test_out, "tokens bound     yes\n"));
    assert_non_null(strstr(command_test_out, "scopes           transactions:read "
                                             "transactions:write\n"));
    assert_non_null(strstr(command_test_out, "roles            payments risk\n"));
    assert_non_null(strstr(command_test_out, "access tokens    5 minutes, ES256\n"));
    assert_non_null(strstr(command_test_out, "id tokens        EdDSA\n"));
    assert_int_equal(command_test_run("client show robot --json"), COMMAND_GOOD);
    assert_non_null(strstr(command_test_out, "\"jwks\":{\"keys\":[{\"kty\":\"EC\""));
    expect_out("client create bank --method tls_client_auth --tls-subject CN=bank,O=Example "
               "--bound --grant client_credentials",
               "Client bank was created.\n");
    expect_out("client create app --method none --grant authorization_code --redirect-uri "
               "com.example.app:/cb --logout-uri com.example.app:/bye --refresh-days 30",
               "Client app was created.\n");
    expect_out("client list",
               "CLIENT ID                NAME                         METHOD               STATE\n"
               "robot                    Robot                        private_key_jwt      active\n"
               "bank                     bank                         tls_client_auth      active\n"
               "app                      app                          none                 "
               "active\n");
    assert_int_equal(command_test_run("client list --json"), COMMAND_GOOD);
    assert_memory_equal(command_test_out, "[\n{\"client_id\":\"robot\",", 23);
    assert_non_null(strstr(command_test_out, "},\n{\"client_id\":\"bank\","));
    assert_string_equal(strrchr(command_test_out, '}'), "}\n]\n");
}

static const struct store_statement uris_in_a_line = {
    .name = "test_uris",
    .sqlite = "SELECT count(*) FROM trail_events WHERE event = 'client.created' AND "
              "details LIKE '%\"redirect_uris\":\"a.b:/c d.e:/f\"%'"};

static void addresses_are_told_on_a_line(void **state)
{
    (void)state;
    expect_out("client create two --method none --grant authorization_code --redirect-uri a.b:/c "
               "--redirect-uri d.e:/f",
               "Client two was created.\n");
    assert_int_equal(number_of(&uris_in_a_line), 1);
}

/* What cannot be a client is refused in words, and nothing of it is stored. */
static void bad_clients_are_refused(void **state)
{
    static const struct {
        const char *line;
        int answer;
        const char *told;
    } cases[] = {
        {"client create 42", COMMAND_USAGE,
         "the client id may not be a number: it could be taken for a user's"},
        {"client create x --method magic", COMMAND_USAGE,
         "there is no method \"magic\"; there are client_secret, client_secret_basic, "
         "client_secret_post, private_key_jwt, tls_client_auth and none"},
        {"client create x --grant implicit", COMMAND_USAGE, "there is no grant \"implicit\""},
        {"client create x --scope everything", COMMAND_USAGE, "there is no scope \"everything\""},
        {"client create x --role king", COMMAND_USAGE, "there is no role \"king\""},
        {"client create x --grant authorization_code", COMMAND_USAGE,
         "the grant authorization_code needs a redirect address"},
        {"client create x --grant authorization_code --redirect-uri http://shop.example/cb",
         COMMAND_USAGE,
         "an address must be https with a lower-case host, http on 127.0.0.1, [::1] or localhost, "
         "or have a scheme like com.example.app"},
        {"client create x --access-minutes soon", COMMAND_USAGE,
         "--access-minutes needs a number, \"soon\" is none that it could be"},
        {"client create x --access-minutes 61", COMMAND_USAGE,
         "access tokens live 1 to 60 minutes"},
        {"client create x --refresh-days 367", COMMAND_USAGE,
         "refresh tokens live an hour to 366 days"},
        {"client create x --access-alg HS512", COMMAND_USAGE,
         "tokens are signed with RS256, PS256, ES256 or EdDSA"},
        {"client create x --id-alg none", COMMAND_USAGE,
         "--id-alg: \"none\" is none of RS256, PS256, ES256 and EdDSA"},
        {"client create x --method private_key_jwt", COMMAND_USAGE,
         "the method private_key_jwt needs a key set"},
        {"client create x --method private_key_jwt --jwks nowhere.json", COMMAND_BAD,
         "cannot open nowhere.json: No such file or directory"},
        {"client create x --method none --grant client_credentials", COMMAND_USAGE,
         "a public client may have the grants authorization_code and refresh_token only"},
        {"client update nobody --name x", COMMAND_BAD,
         "there is no client \"nobody\", see `portcullis client list`"},
        {"client disable nobody", COMMAND_BAD,
         "there is no client \"nobody\", see `portcullis client list`"},
        {"client rotate-secret nobody", COMMAND_BAD,
         "there is no client \"nobody\", see `portcullis client list`"},
        {"client rotate-secret shop --overlap 721", COMMAND_USAGE,
         "--overlap needs a number of hours, at most 720"},
        {"client update shop --bound --not-bound", COMMAND_USAGE,
         "--bound and --not-bound exclude each other"},
        {"client update shop --secret-stdin", COMMAND_USAGE,
         "a new secret comes from `portcullis client rotate-secret`"},
        {"client update shop --scope openid,king", COMMAND_USAGE, "there is no scope \"king\""},
    };

    shop_make();
    for (size_t i = 0; i < PC_COUNT(cases); i++)
        expect_told(cases[i].line, cases[i].answer, cases[i].told);
    assert_int_equal(command_test_run("client list"), COMMAND_GOOD);
    assert_null(strstr(command_test_out, "\nx "));
    assert_int_equal(number_of(&events), 1);
    assert_int_equal(number_of(&changes), 0);
}

/* Each change reaches running servers, by the feed, and the trail. */
static void changes_are_told(void **state)
{
    shop_make();
    expect_out("client disable shop", "Client shop is disabled.\n");
    assert_int_equal(number_of(&changes), 1);
    assert_int_equal(command_test_run("client show shop"), COMMAND_GOOD);
    assert_non_null(strstr(command_test_out, "state            disabled\n"));
    expect_out("client enable shop", "Client shop is active.\n");
    assert_int_equal(number_of(&changes), 2);
    expect_out("client update shop --scope openid", "Client shop was updated.\n");
    assert_int_equal(number_of(&changes), 3);
    assert_int_equal(command_test_run("client show shop"), COMMAND_GOOD);
    assert_non_null(strstr(command_test_out, "scopes           openid\n"));
    assert_int_equal(number_of(&events), 4);
    assert_int_equal(number_of(&secret_events), 0);
    assert_int_equal(command_test_run("client rotate-secret shop"), COMMAND_GOOD);
    assert_int_equal(number_of(&changes), 4);
    assert_int_equal(number_of(&secret_events), 1);
}

static void lists_are_emptied(void **state)
{
    shop_make();
    expect_out("client update shop --scope= --grant= --redirect-uri=",
               "Client shop was updated.\n");
    assert_int_equal(command_test_run("client show shop"), COMMAND_GOOD);
    assert_non_null(strstr(command_test_out, "grants           -\nscopes           -\n"));
    assert_non_null(strstr(command_test_out, "redirect URIs    -\n"));
}

static void secrets_are_replaced(void **state)
{
    char first[OAUTH_SECRET_TEXT_BYTES], second[OAUTH_SECRET_TEXT_BYTES];

    shop_make();
    (void)secret_printed(first);
    assert_int_equal(command_test_run("client rotate-secret shop --overlap 24"), COMMAND_GOOD);
    (void)secret_printed(second);
    assert_memory_not_equal(first, second, sizeof(first));
    assert_int_equal(command_test_run("client show shop"), COMMAND_GOOD);
    assert_non_null(strstr(command_test_out, "secret           set, the one before works until "));
    assert_int_equal(command_test_run("client rotate-secret shop"), COMMAND_GOOD);
    assert_int_equal(command_test_run("client show shop"), COMMAND_GOOD);
    assert_non_null(strstr(command_test_out, "secret           set\n"));
    expect_out("client create app --method none --grant authorization_code --redirect-uri a.b:/c",
               "Client app was created.\n");
    expect_told("client rotate-secret app", COMMAND_BAD,
                "client \"app\" has no secret, its method is none");
}

/* A secret that others chose has to be as hard to guess as one of ours. */
static void given_secrets_are_taken(void **state)
{
    static const char sentence[] =
        "portcullis client create: a secret has at least 32 printable characters without blanks; "
        "without --secret-stdin a good one is made\n";
    static const char *const bad[] = {"short\n", "a secret of thirty-two characters!\n",
                                      "a-secret-of-thirty-tw\xC3\xB6-characters\n"};

    for (size_t i = 0; i < PC_COUNT(bad); i++) {
        assert_int_equal(command_test_run_input("client create shop --secret-stdin", bad[i]),
                         COMMAND_USAGE);
        assert_string_equal(command_test_err, sentence);
    }
    assert_int_equal(command_test_run_input("client create shop --secret-stdin", GIVEN "\r\n"),
                     COMMAND_GOOD);
    assert_string_equal(command_test_out, "Client shop was created.\n");
    assert_int_equal(
        command_test_run_input("client rotate-secret shop --secret-stdin", GIVEN "2\n"),
        COMMAND_GOOD);
    assert_string_equal(command_test_out, "Client shop has a new secret.\n");
}

/* What belongs to a method comes and goes with it. */
static void methods_change(void **state)
{
    char secret[OAUTH_SECRET_TEXT_BYTES];
    FILE *file = fopen("keys.json", "we");

    assert_non_null(file);
    assert_true(fputs(key_set, file) >= 0);
    assert_int_equal(fclose(file), 0);
    shop_make();
    expect_out("client update shop --method private_key_jwt --jwks keys.json",
               "Client shop was updated.\n");
    assert_int_equal(command_test_run("client show shop"), COMMAND_GOOD);
    assert_non_null(strstr(command_test_out, "secret           -\nkey set          set\n"));
    assert_int_equal(command_test_run("client update shop --method client_secret_post"),
                     COMMAND_GOOD);
    (void)secret_printed(secret);
    assert_int_equal(number_of(&secret_events), 1);
    assert_int_equal(command_test_run("client show shop"), COMMAND_GOOD);
    assert_non_null(strstr(command_test_out, "secret           set\nkey set          -\n"));
}

int main(void)
{
#define T(name)                                                                                    \
    cmocka_unit_test_setup_teardown(name, command_test_folder_make, command_test_folder_remove)
    const struct CMUnitTest tests[] = {
        T(a_client_is_created),     T(a_client_is_described), T(bad_clients_are_refused),
        T(changes_are_told),        T(lists_are_emptied),     T(secrets_are_replaced),
        T(given_secrets_are_taken), T(methods_change),        T(addresses_are_told_on_a_line),
    };
#undef T

    return cmocka_run_group_tests_name("command_client", tests, NULL, NULL);
}
