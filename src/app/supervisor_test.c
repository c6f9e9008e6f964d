/* SPDX-License-Identifier: MIT
 * What a service manager hears, on sockets of the test's own. */
#include "app/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/supervisor_test_XXXXXX";
static char heard[512];

static int folder_make(void **state)
{
    (void)state;
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int folder_remove(void **state)
{
    (void)state;
    return rmdir(folder);
}

/* A manager at this name; "@" begins one that is in no file system. */
static int manager_at(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(name);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0 && len < sizeof(address.sun_path));
    memcpy(address.sun_path, name, len);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    assert_int_equal(
        bind(fd, (struct sockaddr *)&address,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (name[0] == '/' ? 1 : 0))),
        0);
    return fd;
}

static const char *hear(int fd)
{
    ssize_t got = recv(fd, heard, sizeof(heard) - 1, 0);

    heard[got > 0 ? got : 0] = '\0';
    return heard;
}

static struct supervisor opened(const char *socket_line, const char *more, const char *most)
{
    const char *const variables[] = {"A=b", socket_line, more, most, NULL};
    struct supervisor supervisor;
    const char *why = NULL;

    assert_true(supervisor_open(&supervisor, variables, &why));
    assert_null(why);
    return supervisor;
}

static void nobody_is_told(void **state)
{
    static const char *const none[] = {"NOTIFY_SOCKETS=/x", "NOTIFY_SOCKET=", NULL};
    struct supervisor supervisor;
    const char *why;

    (void)state;
    assert_true(supervisor_open(&supervisor, NULL, &why));
    assert_false(supervisor_is_there(&supervisor));
    assert_true(supervisor_open(&supervisor, none, &why));
    assert_false(supervisor_is_there(&supervisor));
    assert_int_equal(supervisor.beat_ms, 0);
    supervisor_tell(&supervisor, "READY=1");
    supervisor_close(&supervisor);
}

static void a_manager_hears_each_message(void **state)
{
    char path[64], line[96], name[64];
    const char *const names[] = {path, name};

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/n", folder);
    (void)snprintf(name, sizeof(name), "@portcullis-test-%d", (int)getpid());
    for (size_t i = 0; i < PC_COUNT(names); i++) {
        int fd = manager_at(names[i]);
        struct supervisor supervisor;
        long long moment = 0;

        (void)snprintf(line, sizeof(line), "NOTIFY_SOCKET=%s", names[i]);
        supervisor = opened(line, NULL, NULL);
        assert_true(supervisor_is_there(&supervisor));
        supervisor_tell(&supervisor, "READY=1\nSTATUS=x");
        supervisor_tell_reloading(&supervisor);
        supervisor_close(&supervisor);
        assert_string_equal(hear(fd), "READY=1\nSTATUS=x");
        assert_int_equal(sscanf(hear(fd), "RELOADING=1\nMONOTONIC_USEC=%lld", &moment), 1);
        assert_true(moment > 0);
        assert_string_equal(hear(fd), "");
        (void)close(fd);
    }
    assert_int_equal(unlink(path), 0);
}

/* The manager's own end is no end of ours. */
static void a_manager_may_go(void **state)
{
    char path[64], line[96];
    struct supervisor supervisor;
    int fd;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/n", folder);
    (void)snprintf(line, sizeof(line), "NOTIFY_SOCKET=%s", path);
    fd = manager_at(path);
    supervisor = opened(line, NULL, NULL);
    (void)close(fd);
    supervisor_tell(&supervisor, "WATCHDOG=1");
    supervisor_close(&supervisor);
    assert_int_equal(unlink(path), 0);
}

static void what_cannot_be_told_is_named(void **state)
{
    static char longer[200] = "NOTIFY_SOCKET=/";
    static const struct {
        const char *line, *why;
    } rows[] = {
        {"NOTIFY_SOCKET=relative", "is neither a path nor \"@\" and a name"},
        {"NOTIFY_SOCKET=@", "is neither a path nor \"@\" and a name"},
        {"NOTIFY_SOCKET=vsock:2:1", "is neither a path nor \"@\" and a name"},
        {longer, "is neither a path nor \"@\" and a name"},
        {"NOTIFY_SOCKET=/nonexistent/x", "leads to no socket that takes messages"},
    };

    (void)state;
    memset(longer + 15, 'x', 108);
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        const char *const variables[] = {rows[i].line, "WATCHDOG_USEC=1000000", NULL};
        struct supervisor supervisor;
        const char *why = "";

        assert_false(supervisor_open(&supervisor, variables, &why));
        assert_string_equal(why, rows[i].why);
        assert_false(supervisor_is_there(&supervisor));
        assert_int_equal(supervisor.beat_ms, 0);
    }
}

/* Three times in its period, and only by the process that the period is for. */
static void it_beats_as_often_as_it_should(void **state)
{
    char path[64], line[96], own[32];
    const struct {
        const char *period, *pid;
        int32_t beat_ms;
    } rows[] = {
        {"WATCHDOG_USEC=30000000", "A=b", 10000},
        {"WATCHDOG_USEC=30000000", own, 10000},
        {"WATCHDOG_USEC=30000000", "WATCHDOG_PID=1", 0},
        {"WATCHDOG_USEC=30000000", "WATCHDOG_PID=x", 0},
        {"WATCHDOG_USEC=1", own, 1},
        {"WATCHDOG_USEC=0", own, 0},
        {"WATCHDOG_USEC=soon", own, 0},
        {"WATCHDOG_USEC=18446744073709551615", own, 3600000},
        {"A=b", own, 0},
    };
    int fd;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/n", folder);
    (void)snprintf(line, sizeof(line), "NOTIFY_SOCKET=%s", path);
    (void)snprintf(own, sizeof(own), "WATCHDOG_PID=%d", (int)getpid());
    fd = manager_at(path);
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        struct supervisor supervisor = opened(line, rows[i].period, rows[i].pid);

        if (supervisor.beat_ms != rows[i].beat_ms)
            fail_msg("row %zu: %d", i, supervisor.beat_ms);
        supervisor_close(&supervisor);
    }
    (void)close(fd);
    assert_int_equal(unlink(path), 0);
}

/* Only sockets that are for this process, and as many as there are. */
static void sockets_are_for_one_process(void **state)
{
    char own[32];
    const struct {
        const char *count, *pid, *why;
        unsigned expected;
    } rows[] = {
        {"A=b", own, NULL, 0},
        {"LISTEN_FDS=1", own, NULL, 1},
        {"LISTEN_FDS=1", "LISTEN_PID=1", NULL, 0},
        {"LISTEN_FDS=0", own, NULL, 0},
        {"LISTEN_FDS=1", "A=b", "LISTEN_PID must say for which process", 0},
        {"LISTEN_FDS=1", "LISTEN_PID=me", "LISTEN_PID must say for which process", 0},
        {"LISTEN_FDS=one", own, "is no number of sockets", 0},
        {"LISTEN_FDS=65", own, "is no number of sockets", 0},
        {"LISTEN_FDS=64", own, "counts more sockets than were handed over", 0},
    };
    int held = dup(3); /* whatever is there */

    (void)state;
    (void)snprintf(own, sizeof(own), "LISTEN_PID=%d", (int)getpid());
    assert_int_equal(dup2(0, 3), 3);
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        const char *const variables[] = {rows[i].count, rows[i].pid, NULL};
        const char *why = NULL;
        unsigned count = 99;
        int first = 0;

        assert_int_equal(fcntl(3, F_SETFD, 0), 0);
        assert_int_equal(supervisor_sockets(variables, &first, &count, &why), rows[i].why == NULL);
        if (count != rows[i].expected || (why == NULL) != (rows[i].why == NULL))
            fail_msg("row %zu: %u, %s", i, count, why == NULL ? "good" : why);
        if (why != NULL)
            assert_string_equal(why, rows[i].why);
        if (count > 0) {
            assert_int_equal(first, 3);
            assert_int_equal(fcntl(3, F_GETFD), FD_CLOEXEC);
        }
    }
    if (held >= 0)
        (void)dup2(held, 3);
    (void)close(held >= 0 ? held : 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_told),
        cmocka_unit_test(a_manager_hears_each_message),
        cmocka_unit_test(a_manager_may_go),
        cmocka_unit_test(what_cannot_be_told_is_named),
        cmocka_unit_test(it_beats_as_often_as_it_should),
        cmocka_unit_test(sockets_are_for_one_process),
    };

    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
