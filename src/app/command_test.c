/* SPDX-License-Identifier: MIT
 * Command lines: what is understood, what is refused and with which words and exit code. */
#include "app/command_test.h"
#include "app/roff.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A wrong line is told in one sentence, with what may have been meant, and ends with 2. */
static void wrong_lines_are_told(void **state)
{
    static const struct {
        const char *line;
        const char *told;
    } cases[] = {
        {"chekc", "portcullis: unknown command \"chekc\", did you mean \"check\"?\n"},
        {"frobnicate", "portcullis: unknown command \"frobnicate\", see `portcullis help`\n"},
        {"c", "portcullis: unknown command \"c\", see `portcullis help`\n"},
        {"check --explian", "portcullis check: unknown option \"--explian\", did you mean "
                            "\"--explain\"?\n"},
        {"check --frobnicate", "portcullis check: unknown option \"--frobnicate\", see `portcullis "
                               "check --help`\n"},
        {"check -x", "portcullis check: unknown option \"-x\", see `portcullis check --help`\n"},
        {"keys retire -abc", "portcullis keys retire: unknown option \"-abc\"; if it is the KID, "
                             "write it behind --\n"},
        {"check --config", "portcullis check: --config needs a value: --config FILE\n"},
        {"check --config a --config b", "portcullis check: --config is given twice\n"},
        {"check --config=a --config=b", "portcullis check: --config is given twice\n"},
        {"check --explain=yes", "portcullis check: --explain takes no value\n"},
        {"check portcullis.yaml", "portcullis check: does not know what to do with "
                                  "\"portcullis.yaml\", see `portcullis check --help`\n"},
        {"check -- --explain", "portcullis check: does not know what to do with \"--explain\", see "
                               "`portcullis check --help`\n"},
        {"completion", "portcullis completion: needs bash|zsh|fish, see `portcullis completion "
                       "--help`\n"},
        {"completion tcsh",
         "portcullis completion: does not know \"tcsh\", there is: bash, zsh, fish\n"},
        {"openapi nothing",
         "portcullis openapi: does not know \"nothing\", there is: gateway, auth, account, "
         "transaction, audit, monitoring\n"},
        {"certs dve", "portcullis: unknown command \"certs dve\", did you mean \"certs dev\"?\n"},
        {"help chekc", "portcullis help: there is no command \"chekc\", see `portcullis help`\n"},
    };

    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        assert_int_equal(command_test_run(cases[i].line), COMMAND_USAGE);
        assert_string_equal(command_test_err, cases[i].told);
        assert_string_equal(command_test_out, "");
    }
}

/* Nothing at all is a question answered on standard error; asking is answered on standard output.
 */
static void usage_is_shown(void **state)
{
    assert_int_equal(command_test_run(""), COMMAND_USAGE);
    assert_non_null(strstr(command_test_err, "Usage: portcullis COMMAND"));
    assert_int_equal(command_test_run("--help"), COMMAND_GOOD);
    assert_non_null(strstr(command_test_out, "Usage: portcullis COMMAND"));
    assert_string_equal(command_test_err, "");
    assert_int_equal(command_test_run("help"), COMMAND_GOOD);
    assert_non_null(strstr(command_test_out, "\n  check "));
}

/* Every command teaches: a page with a usage line, what it does, its options and an example, the
 * same under `help X` and `X --help`, and no line too long for a terminal. */
static void every_command_has_a_page(void **state)
{
    for (size_t i = 0; i < command_count; i++) {
        const struct command *command = command_table[i];
        static char page[COMMAND_TEST_BYTES_MAX];
        char line[128];
        struct span rest;
        struct span part;

        assert_non_null(command->run);
        assert_true(command->example_count > 0);
        assert_true(command->option_count < COMMAND_OPTIONS_MAX);
        assert_true(command->operands_max < COMMAND_OPERANDS_MAX);
        (void)snprintf(line, sizeof(line), "help %s", command->name);
        assert_int_equal(command_test_run(line), COMMAND_GOOD);
        memcpy(page, command_test_out, sizeof(page));
        (void)snprintf(line, sizeof(line), "%s --help", command->name);
        assert_int_equal(command_test_run(line), COMMAND_GOOD);
        assert_string_equal(page, command_test_out);
        assert_non_null(strstr(page, command->about));
        assert_non_null(strstr(page, "\nExamples:\n"));
        for (rest = span_from(page); span_cut(&rest, '\n', &part);)
            assert_true(part.len <= 100);
    }
}

/* --help anywhere asks for help, but not as the value after `--`. */
static void help_is_found_anywhere(void **state)
{
    assert_int_equal(command_test_run("check --explain -h"), COMMAND_GOOD);
    assert_non_null(strstr(command_test_out, "Usage: portcullis check"));
    assert_int_equal(command_test_run("check -- --help"), COMMAND_USAGE);
}

/* The verdict, with the hash of the settings in its last line. */
static void assert_verdict(const char *verdict)
{
    size_t len = strlen(verdict);

    assert_int_equal(strlen(command_test_out), len + 65);
    assert_memory_equal(command_test_out, verdict, len);
    assert_int_equal(strspn(command_test_out + len, "0123456789abcdef"), 64);
}

/* Exit codes of check: good settings 0, bad ones 1; problems go to standard error. */
static void check_answers(void **state)
{
    static const char *const bad[] = {"PORT=80a", NULL};
    static const char *const port[] = {"PORT=81", "REDIS_URL=redis://127.0.0.1", NULL};

    assert_int_equal(chdir("/"), 0);
    assert_int_equal(command_test_run("check"), COMMAND_GOOD);
    assert_verdict("The settings are good for development.\nconfig hash ");
    assert_int_equal(command_test_run_with("check", bad), COMMAND_BAD);
    assert_string_equal(command_test_err,
                        "environment PORT: \"80a\" is not a number from 0 to 65535\n");
    assert_string_equal(command_test_out, "");
    assert_int_equal(command_test_run_with("check", port), COMMAND_GOOD);
    assert_verdict("The settings are good for development, with 1 warning.\nconfig hash ");
    assert_int_equal(strncmp(command_test_err, "warning: environment REDIS_URL", 30), 0);
    assert_int_equal(command_test_run_with("check --explain", port), COMMAND_GOOD);
    assert_non_null(strstr(command_test_out, "environment PORT\n"));
    assert_int_equal(command_test_run("check --config /nonexistent.yaml"), COMMAND_BAD);
    assert_string_equal(command_test_err,
                        "/nonexistent.yaml: cannot be read: No such file or directory\n");
    assert_int_equal(command_test_run("check --reference"), COMMAND_GOOD);
    assert_int_equal(strncmp(command_test_out, "# Configuration\n", 16), 0);
    assert_int_equal(command_test_run("check --example"), COMMAND_GOOD);
    assert_non_null(strstr(command_test_out, "#gateway:\n"));
}

/* A rate for a route that does not exist would limit nothing, so it is a mistake. */
static void check_knows_the_routes(void **state)
{
    static const char *const lines[][2] = {
        {"GET /api/v1/auth/mee", "did you mean \"GET /api/v1/auth/me\"?"},
        {"GET /no/such/route/at/all", "`portcullis openapi` lists the routes"},
        {"GET /api/v1/health", "is not a route that is limited"},
        {"POST /auth/token\", mode: exact, on_outage: \"deny", "it takes no mode"}};
    char path[] = "/tmp/portcullis-check-XXXXXX";
    char line[128];

    for (size_t i = 0; i <= PC_COUNT(lines); i++) {
        bool good = i == PC_COUNT(lines);
        FILE *file;
        int fd;

        (void)snprintf(path, sizeof(path), "/tmp/portcullis-check-XXXXXX");
        fd = mkstemp(path);
        assert_true(fd >= 0);
        file = fdopen(fd, "w");
        (void)fprintf(file,
                      "redis: {url: \"redis://127.0.0.1\"}\nlimits: {shared: {nodes: 2}, routes: "
                      "[{requests_per_minute: 5, route: \"%s\"}]}\n",
                      good ? "GET /api/v1/auth/me" : lines[i][0]);
        assert_int_equal(fclose(file), 0);
        (void)snprintf(line, sizeof(line), "check --config %s", path);
        assert_int_equal(command_test_run(line), good ? COMMAND_GOOD : COMMAND_BAD);
        if (!good)
            assert_non_null(strstr(command_test_err, lines[i][1]));
        assert_int_equal(unlink(path), 0);
    }
}

/* A full disk is told, not passed over. */
static void unwritten_output_fails(void **state)
{
    const char *const argv[] = {"portcullis", "version"};
    struct command_io io = {.in = -1, .environ = command_test_no_environ};

    memset(command_test_err, 0, sizeof(command_test_err));
    io.out = fopen("/dev/full", "we");
    io.err = fmemopen(command_test_err, sizeof(command_test_err) - 1, "w");
    assert_int_equal(command_main(2, argv, &io), COMMAND_BAD);
    (void)fclose(io.out);
    (void)fclose(io.err);
    assert_string_equal(command_test_err,
                        "portcullis version: cannot write: No space left on device\n");
}

/* The version for people and for programs. */
static void version_is_told(void **state)
{
    assert_int_equal(command_test_run("version"), COMMAND_GOOD);
    assert_int_equal(strncmp(command_test_out, "portcullis ", 11), 0);
    assert_int_equal(command_test_run("--version"), COMMAND_GOOD);
    assert_int_equal(command_test_run("version --json"), COMMAND_GOOD);
    assert_int_equal(strncmp(command_test_out, "{\"name\":\"portcullis\",\"version\":\"", 32), 0);
    assert_non_null(strstr(command_test_out, "\"revision\":\""));
}

/* A new database is behind, can be rehearsed, is brought up to date, and then stays as it is. */
static void migrate_brings_up_to_date(void **state)
{
    assert_int_equal(command_test_run("migrate --status"), COMMAND_BAD);
    assert_non_null(strstr(command_test_out, "0001 identity                 missing\n"));
    assert_int_equal(command_test_run("migrate --rehearse"), COMMAND_GOOD);
    assert_int_equal(command_test_run("migrate --status"), COMMAND_BAD);
    assert_int_equal(command_test_run("migrate"), COMMAND_GOOD);
    assert_non_null(
        strstr(command_test_out, "sqlite:portcullis.db has the schema of this program"));
    assert_int_equal(command_test_run("migrate --status"), COMMAND_GOOD);
    assert_null(strstr(command_test_out, "missing"));
    assert_int_equal(command_test_run("migrate"), COMMAND_GOOD);
    assert_int_equal(command_test_run("migrate --status --rehearse"), COMMAND_USAGE);
}

/* What is wrong with the database is told in the store's words, without its password. */
static void migrate_tells_what_is_wrong(void **state)
{
    static const char *const nowhere[] = {"DATABASE_URL=sqlite:/nonexistent/folder/x.db", NULL};
    static const char *const remote[] = {"DATABASE_URL=postgresql://u:hunter2@127.0.0.1:1/x",
                                         "DATABASE_SSLMODE=disable", NULL};
    static const char *const bad[] = {"PORT=x", NULL};

    assert_int_equal(command_test_run_with("migrate", nowhere), COMMAND_BAD);
    assert_int_equal(strncmp(command_test_err, "portcullis migrate: ", 20), 0);
    assert_int_equal(command_test_run_with("migrate", remote), COMMAND_BAD);
    assert_int_equal(strncmp(command_test_err, "portcullis migrate: ", 20), 0);
    assert_null(strstr(command_test_err, "hunter2"));
    assert_int_equal(command_test_run_with("migrate", bad), COMMAND_BAD);
    assert_string_equal(command_test_err,
                        "environment PORT: \"x\" is not a number from 0 to 65535\n");
}

static void settings_write(const char *text)
{
    int fd = open("portcullis.yaml", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
}

/* Certificates are made, told how to use, and the told settings are good. */
static void certs_are_made(void **state)
{
#define TLS                                                                                        \
    ":\n  tls:\n    certificate: certs/server.crt\n    key: certs/server.key\n"                    \
    "    client_ca: certs/ca.crt\n    client_auth: optional\n"
    static const char settings[] = "gateway" TLS "auth" TLS "account" TLS "transaction" TLS;
#undef TLS

    assert_int_equal(command_test_run("certs dev --host api.test alice"), COMMAND_GOOD);
    assert_non_null(strstr(command_test_out, settings));
    assert_non_null(strstr(command_test_out, "--cert certs/alice.crt"));
    settings_write(settings);
    assert_int_equal(command_test_run("check"), COMMAND_GOOD);
    assert_string_equal(command_test_err, "");
    assert_int_equal(rename("certs/alice.key", "certs/server.key"), 0);
    assert_int_equal(command_test_run("check"), COMMAND_BAD);
    assert_int_equal(strncmp(command_test_err, "gateway.tls: ", 13), 0);
    assert_non_null(strstr(command_test_err, "\nauth.tls: "));
    assert_int_equal(command_test_run("certs dev"), COMMAND_BAD);
    assert_int_equal(strncmp(command_test_err, "portcullis certs dev: ", 22), 0);
    assert_int_equal(command_test_run("certs dev --days 0"), COMMAND_USAGE);
    assert_int_equal(command_test_run("certs dev --days 9x"), COMMAND_USAGE);
    assert_int_equal(command_test_run("certs dev --folder new --days 1"), COMMAND_GOOD);
    assert_int_equal(access("new/server.key", F_OK), 0);
    assert_int_equal(rename("new", "certs.new"), 0);
    assert_int_equal(command_test_run("certs dev --force --days 2"), COMMAND_GOOD);
    assert_int_equal(command_test_run("check"), COMMAND_GOOD);
    assert_non_null(strstr(command_test_err, "warning: gateway.tls.certificate: ends within "));
    assert_verdict("The settings are good for development, with 4 warnings.\nconfig hash ");
    assert_int_equal(command_test_run("certs"), COMMAND_USAGE);
    assert_non_null(strstr(command_test_err, "certs dev"));
}

/* A key file must hold a key for the algorithm. */
static void token_keys_are_read(void **state)
{
    static const char *const wrong[] = {"JWT_ALGORITHM=ES384", NULL};
    static const char *const right[] = {"JWT_ALGORITHM=ES256", NULL};

    settings_write("jwt:\n  key_file: certs/server.key\n");
    assert_int_equal(command_test_run("certs dev"), COMMAND_GOOD);
    assert_int_equal(command_test_run_with("check", right), COMMAND_GOOD);
    assert_int_equal(command_test_run_with("check", wrong), COMMAND_BAD);
    assert_int_equal(strncmp(command_test_err, "jwt.key_file: ", 14), 0);
}

/* So must the issuer's, and the public part must be that of the private one. */
static void issuer_keys_are_read(void **state)
{
    static const char *const right[] = {"AUTH_PRIVATE_KEY_PATH=certs/server.key",
                                        "AUTH_PUBLIC_KEY_PATH=certs/server.crt", NULL};
    static const char *const other[] = {"AUTH_PRIVATE_KEY_PATH=certs/server.key",
                                        "AUTH_PUBLIC_KEY_PATH=certs/ca.crt", NULL};
    static const char *const open[] = {"AUTH_PRIVATE_KEY_PATH=certs/server.crt", NULL};

    assert_int_equal(command_test_run("certs dev"), COMMAND_GOOD);
    assert_int_equal(command_test_run_with("check", right), COMMAND_BAD);
    assert_int_equal(strncmp(command_test_err, "oauth.private_key_file: ", 24), 0);
    settings_write("oauth:\n  algorithm: ES256\n");
    assert_int_equal(command_test_run_with("check", right), COMMAND_GOOD);
    assert_int_equal(command_test_run_with("check", other), COMMAND_BAD);
    assert_string_equal(command_test_err,
                        "oauth.public_key_file: does not belong to oauth.private_key_file\n");
    assert_int_equal(command_test_run_with("check", open), COMMAND_BAD);
    assert_non_null(strstr(command_test_err,
                           "oauth.private_key_file: holds no private key, so it cannot sign\n"));
}

/* Each shell reads its script without a complaint, where that shell is installed. */
static void scripts_are_well_formed(void **state)
{
    static const char *const shells[][4] = {
        {"bash", "-n", NULL}, {"zsh", "-n", NULL}, {"fish", "--no-execute", "/dev/stdin", NULL}};

    for (size_t i = 0; i < PC_COUNT(shells); i++) {
        char line[64];
        int answer;

        (void)snprintf(line, sizeof(line), "completion %s", shells[i][0]);
        assert_int_equal(command_test_run(line), COMMAND_GOOD);
        answer = command_test_feed(shells[i], command_test_out);
        assert_true(answer == 0 || (answer == 127 && i > 0));
    }
}

/* A text as it stands in a page for man(1). */
static bool page_has(const char *before, const char *text, size_t len)
{
    char wanted[256];
    struct sbuf out = sbuf_over(wanted, sizeof(wanted) - 1);

    sbuf_add_text(&out, before);
    roff_text(span_make(text, len), &out);
    wanted[out.len] = '\0';
    return strstr(command_test_out, wanted) != NULL;
}

static void page_reads_well(void)
{
    static const char *const readers[][6] = {{"groff", "-man", "-Tutf8", "-ww", "-z", NULL},
                                             {"mandoc", "-Tlint", "-Wwarning", NULL}};

    for (size_t i = 0; i < PC_COUNT(readers); i++) {
        int answer = command_test_feed(readers[i], command_test_out);

        assert_true(answer == 0 || answer == 127);
    }
}

/* The page of the program has every command with every option and example. */
static void program_page_is_whole(void **state)
{
    (void)state;
    assert_int_equal(command_test_run("man"), COMMAND_GOOD);
    for (size_t i = 0; i < command_count; i++) {
        const struct command *command = command_table[i];

        assert_true(page_has(".SS portcullis ", command->name, strlen(command->name)));
        for (size_t j = 0; j < command->option_count; j++) {
            assert_true(
                page_has(".TP\n.B ", command->options[j].name, strlen(command->options[j].name)));
            assert_true(
                page_has("\n", command->options[j].about, strlen(command->options[j].about)));
        }
        for (size_t j = 0; j < command->example_count; j++)
            assert_true(page_has("portcullis ", command->examples[j].line,
                                 strcspn(command->examples[j].line, "\n")));
    }
    page_reads_well();
}

/* The page of the settings has every row of the reference. */
static void settings_page_is_whole(void **state)
{
    static char reference[COMMAND_TEST_BYTES_MAX];
    struct span rest, line;
    size_t rows = 0;

    (void)state;
    assert_int_equal(command_test_run("check --reference"), COMMAND_GOOD);
    memcpy(reference, command_test_out, sizeof(reference));
    assert_int_equal(command_test_run("man portcullis.yaml"), COMMAND_GOOD);
    rest = span_from(reference);
    while (span_cut(&rest, '\n', &line)) {
        if (line.len < 4 || strncmp(line.ptr, "| `", 3) != 0)
            continue;
        rows++; /* of the file the path is told, and here the last name stands in its section */
        assert_true(page_has("", line.ptr + 3, strcspn(line.ptr + 3, "`")));
    }
    assert_true(rows > 150);
    assert_true(page_has(".TP\n.B ", "gateway.tls.certificates", 24));
    page_reads_well();
}

/* What bash offers after some words. */
static void bash_completes(void **state)
{
    static const struct {
        const char *words; /* the last is under way */
        const char *count;
        const char *wanted; /* a pattern of grep over the offered words */
    } cases[] = {
        {"portcullis che", "1", "^check$"},
        {"portcullis help ver", "2", "^version$"},
        {"portcullis check --ex", "2", "^--explain$"},
        {"portcullis check --config /etc/host", "3", "^/etc/hosts$"},
        {"portcullis certs d", "2", "^dev$"},
        {"portcullis certs dev --fo", "3", "^--force$"},
        {"portcullis completion z", "2", "^zsh$"},
    };

    assert_int_equal(command_test_run("completion bash"), COMMAND_GOOD);
    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        static char script[COMMAND_TEST_BYTES_MAX + 512];
        static const char *const bash[] = {"bash", NULL};

        (void)snprintf(script, sizeof(script),
                       "%s\nCOMP_WORDS=(%s); COMP_CWORD=%s; _portcullis; "
                       "printf '%%s\\n' \"${COMPREPLY[@]}\" | grep -q -- '%s'\n",
                       command_test_out, cases[i].words, cases[i].count, cases[i].wanted);
        assert_int_equal(command_test_feed(bash, script), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_lines_are_told),
        cmocka_unit_test(usage_is_shown),
        cmocka_unit_test(every_command_has_a_page),
        cmocka_unit_test(help_is_found_anywhere),
        cmocka_unit_test(check_answers),
        cmocka_unit_test(check_knows_the_routes),
        cmocka_unit_test(unwritten_output_fails),
        cmocka_unit_test(version_is_told),
        cmocka_unit_test(scripts_are_well_formed),
        cmocka_unit_test(program_page_is_whole),
        cmocka_unit_test(settings_page_is_whole),
        cmocka_unit_test(bash_completes),
        cmocka_unit_test_setup_teardown(migrate_brings_up_to_date, command_test_folder_make,
                                        command_test_folder_remove),
        cmocka_unit_test_setup_teardown(migrate_tells_what_is_wrong, command_test_folder_make,
                                        command_test_folder_remove),
        cmocka_unit_test_setup_teardown(certs_are_made, command_test_folder_make,
                                        command_test_folder_remove),
        cmocka_unit_test_setup_teardown(token_keys_are_read, command_test_folder_make,
                                        command_test_folder_remove),
        cmocka_unit_test_setup_teardown(issuer_keys_are_read, command_test_folder_make,
                                        command_test_folder_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
