/* SPDX-License-Identifier: MIT
 * `portcullis serve` from its first word to its last, in a process of its own: what it prints, what
 * its signals do, and how it ends. */
#include "app/command_test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* The program under way, and what it has printed on standard error. */
static struct {
    pid_t pid;
    int err;
    char told[16 * 1024];
    size_t told_bytes;
} program;

static const char *const serve[] = {"portcullis", "serve", "--only", "auth,gateway"};
static const char *const serve_auth[] = {"portcullis", "serve", "--only", "auth"};
static const char *const any_port[] = {
    "PORT=0",       "AUTH_PORT=0",       "ACCOUNT_PORT=0",  "TRANSACTION_PORT=0",
    "AUDIT_PORT=0", "MONITORING_PORT=0", "LOG_LEVEL=error", NULL};

static void start(int count, const char *const *argv, const char *const *variables)
{
    int ends[2];

    memset(&program, 0, sizeof(program));
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    (void)fflush(NULL);
    program.pid = fork();
    assert_true(program.pid >= 0);
    if (program.pid == 0) {
        struct command_io io = {.in = -1, .environ = variables};

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves nothing running */
        io.err = fdopen(ends[1], "w");
        io.out = fopen("/dev/null", "we");
        (void)setvbuf(io.err, NULL, _IONBF, 0);
        exit(command_main(count, argv, &io));
    }
    (void)close(ends[1]);
    program.err = ends[0];
}

/* Reads on until the program has printed this. */
static void wait_for(const char *text)
{
    while (strstr(program.told, text) == NULL) {
        ssize_t got = read(program.err, program.told + program.told_bytes,
                           sizeof(program.told) - 1 - program.told_bytes);

        if (got <= 0)
            fail_msg("the program ended without \"%s\" after: %s", text, program.told);
        program.told_bytes += (size_t)got;
    }
}

static int stop(int with)
{
    int status = -1;

    if (with != 0)
        assert_int_equal(kill(program.pid, with), 0);
    while (read(program.err, program.told, 1) > 0)
        continue;
    assert_int_equal(waitpid(program.pid, &status, 0), program.pid);
    (void)close(program.err);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* The status of GET /livez at the URL that was told for this service. */
static int ask(const char *service)
{
    static const char request[] = "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    const char *url = strstr(strstr(program.told, service), "http://127.0.0.1:");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct span digits = span_from(url + 17);
    uint64_t port;
    char answer[64] = {0};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(span_to_u64(span_slice(digits, 0, span_find(digits, ' ')), &port));
    address.sin_port = htons((uint16_t)port);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(write(fd, request, sizeof(request) - 1), sizeof(request) - 1);
    assert_true(recv(fd, answer, 12, MSG_WAITALL) == 12);
    (void)close(fd);
    assert_int_equal(strncmp(answer, "HTTP/1.1 ", 9), 0);
    return (answer[9] - '0') * 100 + (answer[10] - '0') * 10 + (answer[11] - '0');
}

static void settings_write(const char *text)
{
    FILE *file = fopen("portcullis.yaml", "we");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

#define LOG "log:\n  path: log\n"

static int folder_make(void **state)
{
    if (command_test_folder_make(state) != 0)
        return -1;
    settings_write(LOG);
    return 0;
}

/* A first start from nothing answers, tells its users once, and ends well on SIGTERM. */
static void serves_from_nothing(void **state)
{
    start(2, serve, any_port);
    wait_for("/api/docs\n");
    wait_for("admin@example.com    admin123   administrator, role auditor\n");
    wait_for("web-portal  payments-gateway  risk-engine  alertmanager\n");
    assert_int_equal(ask("  gateway"), 200);
    assert_int_equal(stop(SIGTERM), COMMAND_GOOD);

    start(4, serve, any_port);
    wait_for("/docs\n");
    assert_null(strstr(program.told, "admin123"));
    assert_null(strstr(program.told, "change-me"));
    assert_int_equal(stop(SIGINT), COMMAND_GOOD);
}

/* What is served is what was asked for. */
static void serves_some(void **state)
{
    start(2, serve, any_port);
    wait_for("  auth        http://127.0.0.1:");
    wait_for("/docs\n");
    assert_int_equal(ask("  auth"), 200);
    assert_int_equal(stop(SIGTERM), COMMAND_GOOD);

    start(4, serve_auth, any_port);
    wait_for("  auth        http://127.0.0.1:");
    wait_for("/docs\n");
    assert_null(strstr(program.told, "  gateway"));
    assert_int_equal(ask("  auth"), 200);
    assert_int_equal(stop(SIGTERM), COMMAND_GOOD);

    assert_int_equal(command_test_run("serve --only gateway,"), COMMAND_USAGE);
    assert_int_equal(command_test_run("serve --only gateway,ledger"), COMMAND_USAGE);
    assert_non_null(strstr(command_test_err,
                           "--only: \"ledger\" is none of gateway, auth, account, transaction"));
}

/* SIGHUP takes over what it can and names what waits; a bad file changes nothing. */
static void reloads_when_told(void **state)
{
    start(2, serve, any_port);
    wait_for("/api/docs\n");
    settings_write(LOG "workers:\n  loops: 3\nlimits:\n  burst: 5\n");
    assert_int_equal(kill(program.pid, SIGHUP), 0);
    wait_for("these settings changed but wait for the next start: workers.loops\n");
    settings_write("workers:\n  lops: 3\n");
    assert_int_equal(kill(program.pid, SIGHUP), 0);
    wait_for("portcullis.yaml:2:3: unknown key \"lops\" in workers, did you mean \"loops\"?\n");
    wait_for("the former settings stay in force\n");
    settings_write(LOG "gateway:\n  tls: {certificate: portcullis.yaml, key: portcullis.yaml}\n");
    assert_int_equal(kill(program.pid, SIGHUP), 0);
    wait_for("restart instead; the former settings stay in force\n");
    assert_int_equal(ask("  gateway"), 200);
    assert_int_equal(stop(SIGTERM), COMMAND_GOOD);
}

/* The next message of the program to its manager, which comes without being asked for. */
static const char *hear(int manager)
{
    static char heard[512];
    ssize_t got = recv(manager, heard, sizeof(heard) - 1, 0);

    assert_true(got > 0);
    heard[got] = '\0';
    return heard;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* The next that is not about being alive. */
static const char *hear_news(int manager)
{
    const char *told;

    do
        told = hear(manager);
    while (begins(told, "WATCHDOG=1"));
    return told;
}

/* A service manager hears when it is ready, that it lives, each reload and the end. */
static void a_manager_is_told(void **state)
{
    static const struct timeval patience = {.tv_sec = 60};
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "manager"};
    int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    char place[4096 + 32] = "NOTIFY_SOCKET=";
    const char *variables[PC_COUNT(any_port) + 2];

    memcpy(variables, any_port, sizeof(any_port));
    variables[PC_COUNT(any_port) - 1] = place;
    variables[PC_COUNT(any_port)] = "WATCHDOG_USEC=30000";
    variables[PC_COUNT(any_port) + 1] = NULL;
    assert_non_null(getcwd(place + strlen(place), 4096));
    memcpy(place + strlen(place), "/manager", sizeof("/manager"));
    assert_int_equal(bind(manager, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(setsockopt(manager, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);

    start(2, serve, variables);
    assert_string_equal(hear(manager), "READY=1\nSTATUS=Serving.");
    wait_for("/api/docs\n");
    assert_int_equal(ask("  gateway"), 200);
    for (int i = 0; i < 3; i++)
        assert_string_equal(hear(manager), "WATCHDOG=1");
    assert_int_equal(kill(program.pid, SIGHUP), 0);
    assert_true(begins(hear_news(manager), "RELOADING=1\nMONOTONIC_USEC="));
    assert_string_equal(hear_news(manager), "READY=1\nSTATUS=Serving.");
    settings_write("workers:\n  lops: 3\n");
    assert_int_equal(kill(program.pid, SIGHUP), 0);
    assert_true(begins(hear_news(manager), "RELOADING=1\n"));
    assert_string_equal(hear_news(manager),
                        "READY=1\nSTATUS=Serving; the last reload was refused.");
    assert_int_equal(kill(program.pid, SIGTERM), 0);
    assert_string_equal(hear_news(manager), "STOPPING=1\nSTATUS=Answering what is under way.");
    assert_int_equal(stop(0), COMMAND_GOOD);
    (void)close(manager);
    assert_int_equal(unlink("manager"), 0);
}

/* A manager that is not there is told of, and is no reason not to serve. */
static void a_manager_may_be_missing(void **state)
{
    const char *variables[PC_COUNT(any_port) + 1];

    memcpy(variables, any_port, sizeof(any_port));
    variables[PC_COUNT(any_port) - 1] = "NOTIFY_SOCKET=/nonexistent/notify";
    variables[PC_COUNT(any_port)] = NULL;
    start(2, serve, variables);
    wait_for("warning: NOTIFY_SOCKET leads to no socket that takes messages; nobody is told\n");
    wait_for("/api/docs\n");
    assert_int_equal(stop(SIGTERM), COMMAND_GOOD);
}

/* What cannot start says why and ends with 1; wrong use with 2. */
static void refuses_to_start(void **state)
{
    static const char *const production[] = {"ENVIRONMENT=production", NULL};
    static const char *const nowhere[] = {"PORT=0",
                                          "AUTH_PORT=0",
                                          "ACCOUNT_PORT=0",
                                          "TRANSACTION_PORT=0",
                                          "AUDIT_PORT=0",
                                          "MONITORING_PORT=0",
                                          "LOG_LEVEL=error",
                                          "DATABASE_URL=sqlite:/nonexistent/x.db",
                                          NULL};

    assert_int_equal(command_test_run_with("serve", production), COMMAND_BAD);
    assert_non_null(strstr(command_test_err, "jwt.secret: production needs a secret of its own"));
    assert_non_null(strstr(command_test_err, "production does not listen in plain HTTP"));
    assert_int_equal(command_test_run("serve --only ledger"), COMMAND_USAGE);
    start(2, serve, nowhere);
    wait_for("portcullis serve: ");
    assert_int_equal(stop(0), COMMAND_BAD);
}

/* The API document needs no server. */
static void describes_itself(void **state)
{
    assert_int_equal(command_test_run("openapi"), COMMAND_GOOD);
    assert_int_equal(strncmp(command_test_out, "{", 1), 0);
    assert_non_null(strstr(command_test_out, "\"/api/v1/auth/login\""));
    assert_int_equal(command_test_run("openapi gateway --yaml"), COMMAND_GOOD);
    assert_non_null(strstr(command_test_out, "openapi: "));
    assert_int_equal(command_test_run("openapi auth"), COMMAND_GOOD);
    assert_non_null(strstr(command_test_out, "Portcullis Auth Service"));
    assert_int_equal(command_test_run("openapi nothing"), COMMAND_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(serves_from_nothing, folder_make,
                                        command_test_folder_remove),
        cmocka_unit_test_setup_teardown(serves_some, folder_make, command_test_folder_remove),
        cmocka_unit_test_setup_teardown(reloads_when_told, folder_make, command_test_folder_remove),
        cmocka_unit_test_setup_teardown(a_manager_is_told, folder_make, command_test_folder_remove),
        cmocka_unit_test_setup_teardown(a_manager_may_be_missing, folder_make,
                                        command_test_folder_remove),
        cmocka_unit_test_setup_teardown(refuses_to_start, folder_make, command_test_folder_remove),
        cmocka_unit_test_setup_teardown(describes_itself, folder_make, command_test_folder_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
