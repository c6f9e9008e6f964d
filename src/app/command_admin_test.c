/* SPDX-License-Identifier: MIT
 * `portcullis reload` and `portcullis admin ...` before a node of our own making: what is asked,
 * what is printed of the answer, and what is told when there is none or it makes no sense. */
#include "app/command_test.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the node ---- */

static const char *answer; /* all that it sends */
static char asked[8192];   /* the first line of what it heard */

static void *node_run(void *context)
{
    int server = *(int *)context;
    int fd = accept4(server, NULL, NULL, SOCK_CLOEXEC);
    size_t len = 0;
    ssize_t got = 1;

    while (fd >= 0 && got > 0 && strstr(asked, "\r\n\r\n") == NULL) {
        got = recv(fd, asked + len, sizeof(asked) - 1 - len, 0);
        len += got > 0 ? (size_t)got : 0;
    }
    for (size_t sent = 0, all = strlen(answer); fd >= 0 && sent < all;) {
        got = send(fd, answer + sent, all - sent, MSG_NOSIGNAL);
        if (got <= 0)
            break;
        sent += (size_t)got;
    }
    if (fd >= 0)
        (void)close(fd);
    return NULL;
}

/* Runs the line while a node at `path` gives `text` as its whole answer. */
static int told_at(const char *path, const char *line, const char *text)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pthread_t thread;
    char *end;
    int code;

    assert_true(strlen(path) < sizeof(at.sun_path));
    memcpy(at.sun_path, path, strlen(path));
    (void)unlink(path);
    memset(asked, 0, sizeof(asked));
    answer = text;
    assert_int_equal(bind(server, (const struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(server, 1), 0);
    assert_int_equal(pthread_create(&thread, NULL, node_run, &server), 0);
    code = command_test_run(line);
    (void)shutdown(server, SHUT_RDWR); /* so that accept ends where nobody came */
    assert_int_equal(pthread_join(thread, NULL), 0);
    (void)close(server);
    end = strstr(asked, "\r\n");
    if (end != NULL)
        *end = '\0';
    return code;
}

/* `line` with --socket, before a node that answers `status` with `body`. */
static int told(const char *line, int status, const char *body)
{
    static char text[COMMAND_TEST_BYTES_MAX];
    char whole[512];

    (void)snprintf(whole, sizeof(whole), "%s --socket node.sock", line);
    (void)snprintf(text, sizeof(text), "HTTP/1.1 %d Said\r\nConnection: close\r\n\r\n%s", status,
                   body);
    return told_at("node.sock", whole, text);
}

/* ---- asking ---- */

static void each_asks_for_its_path(void **state)
{
    static const struct {
        const char *line, *asked;
    } rows[] = {
        {"admin upstreams", "GET /upstreams HTTP/1.1"},
        {"admin breakers", "GET /breakers HTTP/1.1"},
        {"admin limits --json", "GET /limits HTTP/1.1"},
        {"admin config", "GET /config HTTP/1.1"},
        {"reload", "POST /reload HTTP/1.1"},
        {"admin drain shop http://10.0.0.7:9001",
         "POST /upstreams/shop/targets/http%3A%2F%2F10.0.0.7%3A9001/drain HTTP/1.1"},
        {"admin undrain a/b%.-_~ x\xC3\xA9",
         "POST /upstreams/a%2Fb%25.-_~/targets/x%C3%A9/undrain HTTP/1.1"},
    };

    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        (void)told(rows[i].line, 200, "{}");
        assert_string_equal(asked, rows[i].asked);
    }
}

/* What a program reads is what the node says, to the byte. */
static void json_is_passed_on(void **state)
{
    assert_int_equal(told("admin upstreams --json", 200, "{\"upstreams\":[]}\n"), COMMAND_GOOD);
    assert_string_equal(command_test_out, "{\"upstreams\":[]}\n");
    assert_int_equal(told("admin config", 200, "{\"hash\":\"1\"}\n"), COMMAND_GOOD);
    assert_string_equal(command_test_out, "{\"hash\":\"1\"}\n");
    assert_int_equal(told("admin drain a b", 200, "{\"drained\":true}\n"), COMMAND_GOOD);
    assert_string_equal(command_test_out, "{\"drained\":true}\n");
    assert_string_equal(command_test_err, "");
}

/* ---- what goes wrong ---- */

/* The reason that the node gives is told; without one its status is. */
static void a_refusal_is_told(void **state)
{
    static const char *const lines[] = {"admin upstreams", "admin breakers --json", "admin limits",
                                        "admin config",    "admin drain a b",       "reload"};

    for (size_t i = 0; i < PC_COUNT(lines); i++) {
        char wanted[256];
        int words = lines[i][0] == 'r' ? 6 : (int)strcspn(lines[i] + 6, " ") + 6;

        assert_int_equal(told(lines[i], 404, "{\"error\":\"there is no such thing\"}"),
                         COMMAND_BAD);
        (void)snprintf(wanted, sizeof(wanted), "portcullis %.*s: there is no such thing\n", words,
                       lines[i]);
        assert_string_equal(command_test_err, wanted);
        assert_int_equal(told(lines[i], 503, "{\"error\":7}"), COMMAND_BAD);
        (void)snprintf(wanted, sizeof(wanted), "portcullis %.*s: the node answers 503\n", words,
                       lines[i]);
        assert_string_equal(command_test_err, wanted);
        assert_int_equal(told(lines[i], 500, "no JSON"), COMMAND_BAD);
        assert_non_null(strstr(command_test_err, "the node answers 500\n"));
        assert_string_equal(command_test_out, "");
    }
}

static void nobody_answers(void **state)
{
    static const char told_of_config[] = "portcullis admin config: nowhere.sock: no node answers "
                                         "there: No such file or directory\n";
    char line[512] = "admin config --socket ";

    assert_int_equal(command_test_run("admin config --socket nowhere.sock"), COMMAND_BAD);
    assert_string_equal(command_test_err, told_of_config);
    memset(line + strlen(line), 's', 200);
    assert_int_equal(command_test_run(line), COMMAND_BAD);
    assert_string_equal(command_test_err,
                        "portcullis admin config: the path of the socket is too long\n");
}

static void an_answer_may_be_no_answer(void **state)
{
    static const char *const answers[] = {
        "",         "HTTP/1.1 200 OK\r\n",   "HTTP/1.1 2x0 OK\r\n\r\n{}",
        "\r\n\r\n", "HTTP/1.1 20\r\n\r\n{}", "nothing of the kind",
    };

    for (size_t i = 0; i < PC_COUNT(answers); i++) {
        assert_int_equal(told_at("n.sock", "admin config --socket n.sock", answers[i]),
                         COMMAND_BAD);
        assert_string_equal(
            command_test_err,
            "portcullis admin config: n.sock: the node's answer is not to be understood\n");
    }
}

/* Two megabytes and not a byte more are taken in. */
static void an_endless_answer_is_refused(void **state)
{
    enum { BYTES = 2 * 1024 * 1024 };
    static char text[BYTES + 64];

    memset(text, ' ', sizeof(text) - 1);
    memcpy(text, "HTTP/1.1 200 OK\r\n\r\n", 19);
    assert_int_equal(told_at("n.sock", "admin config --socket n.sock", text), COMMAND_BAD);
    assert_non_null(strstr(command_test_err, "the node's answer is not to be understood\n"));
}

static void long_names_are_written_out(void **state)
{
    static char line[500] = "admin drain ";

    memset(line + strlen(line), '/', 400); /* which are three bytes each */
    memcpy(line + strlen(line), " b", 3);
    (void)told(line, 200, "{}");
    assert_non_null(strstr(asked, "/targets/b/drain HTTP/1.1"));
}

/* The settings say where, when nobody else does. */
static void the_settings_say_where(void **state)
{
    static const char good[] = "HTTP/1.1 200 OK\r\n\r\n{}";
    FILE *file = fopen("portcullis.yaml", "w");

    assert_non_null(file);
    assert_true(fputs("admin: {socket: there.sock}\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(told_at("there.sock", "admin config", good), COMMAND_GOOD);
    assert_string_equal(command_test_out, "{}");
    file = fopen("portcullis.yaml", "w");
    assert_non_null(file);
    assert_true(fputs("data: .\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(told_at("admin.sock", "admin config", good), COMMAND_GOOD);
    assert_string_equal(command_test_out, "{}");
    file = fopen("portcullis.yaml", "w");
    assert_non_null(file);
    assert_true(fputs("data: [\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_not_equal(command_test_run("admin config"), COMMAND_GOOD);
    assert_string_equal(command_test_out, "");
}

/* ---- tables ---- */

static void upstreams_are_a_table(void **state)
{
    assert_int_equal(told("admin upstreams", 200, "{\"upstreams\":[]}"), COMMAND_GOOD);
    assert_string_equal(command_test_out, "There are no upstreams.\n");
    assert_int_equal(
        told("admin upstreams", 200,
             "{\"upstreams\":[{\"name\":\"shop\",\"breaker\":\"open\",\"targets\":[{\"state\":"
             "\"well\",\"url\":\"http://a\",\"weight\":2,\"in_flight\":3,\"latency_us\":4},"
             "{\"state\":7}]},{\"name\":\"bank\",\"targets\":\"none\"}]}"),
        COMMAND_GOOD);
    assert_string_equal(
        command_test_out,
        "shop  breaker open\n"
        "  well      http://a                                 weight 2  in flight 3  latency 4 us\n"
        "                                                     weight 0  in flight 0  latency 0 us\n"
        "bank\n");
}

/* Seconds are rounded up: "in 0 s" would be now. */
static void breakers_are_a_table(void **state)
{
    assert_int_equal(told("admin breakers", 200, "{\"breakers\":[],\"closed\":7}"), COMMAND_GOOD);
    assert_string_equal(command_test_out, "closed: 7\n");
    assert_int_equal(told("admin breakers", 200,
                          "{\"breakers\":[{\"service\":\"api-gateway\",\"route\":\"/shop\","
                          "\"host\":\"b.example\",\"method\":\"GET\",\"state\":\"open\","
                          "\"tried_again_in_ms\":11001},{\"service\":\"s\",\"route\":\"/a\","
                          "\"method\":\"POST\",\"state\":\"half_open\",\"tried_again_in_ms\":0}],"
                          "\"closed\":0}"),
                     COMMAND_GOOD);
    assert_string_equal(command_test_out,
                        "open       GET     /shop  at b.example  (api-gateway)  tried again in 12 "
                        "s\n"
                        "half_open  POST    /a  (s)\n"
                        "closed: 0\n");
}

static void limits_are_a_table(void **state)
{
    assert_int_equal(
        told("admin limits", 200,
             "{\"default\":{\"requests\":60,\"period_s\":60,\"burst\":61},"
             "\"routes\":[{\"route\":\"GET /a\",\"requests\":1,\"period_s\":1,\"burst\":1}],"
             "\"users\":[{\"user\":\"u\",\"requests\":2,\"period_s\":7,\"burst\":3}],"
             "\"upstream_routes\":[{\"route\":\"/x\",\"exempt\":true},"
             "{\"route\":\"/y\",\"exempt\":false,\"requests_per_minute\":5,"
             "\"limits\":[{\"key\":\"ip\",\"requests\":9,\"period_s\":86400,\"burst\":9},"
             "{\"key\":\"user\",\"requests\":8,\"period_s\":3600,\"burst\":1}]}]}"),
        COMMAND_GOOD);
    assert_string_equal(command_test_out,
                        "default                                   60 a minute, burst 61\n"
                        "route    GET /a                           1 a second, burst 1\n"
                        "user     u                                2 in 7 s, burst 3\n"
                        "upstream /x                               without a limit\n"
                        "upstream /y                               5 a minute\n"
                        "upstream /y                               9 a day, burst 9, by ip\n"
                        "upstream /y                               8 an hour, burst 1, by user\n");
}

/* ---- reload ---- */

static void a_reload_tells_what_changed(void **state)
{
    assert_int_equal(told("reload", 200, "{\"changes\":[]}"), COMMAND_GOOD);
    assert_string_equal(command_test_out, "Read again; nothing has changed.\n");
    assert_int_equal(told("reload", 200, "{\"changes\":[\"limits.burst: 5\",\"more\"]}"),
                     COMMAND_GOOD);
    assert_string_equal(command_test_out, "limits.burst: 5\nmore\n");
    assert_string_equal(command_test_err, "");
}

static void a_reload_tells_what_is_wrong(void **state)
{
    assert_int_equal(told("reload", 422, "{\"errors\":[\"a.yaml:1:2: no\",\"a.yaml:3:4: nor\"]}"),
                     COMMAND_BAD);
    assert_string_equal(command_test_err, "a.yaml:1:2: no\na.yaml:3:4: nor\n"
                                          "portcullis reload: the former settings stay in force\n");
    assert_string_equal(command_test_out, "");
}

int main(void)
{
#define IN_FOLDER(test)                                                                            \
    cmocka_unit_test_setup_teardown(test, command_test_folder_make, command_test_folder_remove)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(each_asks_for_its_path),
        IN_FOLDER(json_is_passed_on),
        IN_FOLDER(a_refusal_is_told),
        IN_FOLDER(nobody_answers),
        IN_FOLDER(an_answer_may_be_no_answer),
        IN_FOLDER(an_endless_answer_is_refused),
        IN_FOLDER(long_names_are_written_out),
        IN_FOLDER(the_settings_say_where),
        IN_FOLDER(upstreams_are_a_table),
        IN_FOLDER(breakers_are_a_table),
        IN_FOLDER(limits_are_a_table),
        IN_FOLDER(a_reload_tells_what_changed),
        IN_FOLDER(a_reload_tells_what_is_wrong),
    };
#undef IN_FOLDER

    return cmocka_run_group_tests_name("command admin", tests, NULL, NULL);
}
