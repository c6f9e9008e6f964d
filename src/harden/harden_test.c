/* SPDX-License-Identifier: MIT
 * What a hardened process can still do and what it cannot, each in a child of its own, since none
 * of it can be taken back. */
#include "harden/harden.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <seccomp.h>

enum { GOOD = 17 }; /* no exit code of anything else */

static const struct harden_options nobody_new = {0};

/* How a child ended that was hardened and then did this: its exit code, or minus the signal. */
static int ends(void (*act)(void), const struct harden_options *options, int kind)
{
    pid_t pid = fork();
    int status = 0;

    assert_true(pid >= 0);
    if (pid == 0) {
        struct harden_fault fault = {{0}};
        enum err err = options == NULL ? ERR_OK : harden_begin(options, &fault);

        if (!err && kind >= 0)
            err = harden_filter((enum harden_kind)kind, &fault);
        if (err) {
            (void)fprintf(stderr, "%s\n", fault.text);
            _exit(1);
        }
        act();
        _exit(GOOD);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

#define EXPECT(what)                                                                               \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            (void)fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #what, errno);     \
            _exit(2);                                                                              \
        }                                                                                          \
    } while (0)

/* ---- what goes on ---- */

static void *thread_body(void *context)
{
    return context;
}

static void serves(void)
{
    int ends_of[2];
    pthread_t thread;
    void *page;
    int fd;

    EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_of) == 0);
    EXPECT(send(ends_of[0], "x", 1, MSG_NOSIGNAL) == 1);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT(fd >= 0 && listen(fd, 1) == 0);
    fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    EXPECT(fd >= 0);
    EXPECT(pthread_create(&thread, NULL, thread_body, NULL) == 0);
    EXPECT(pthread_join(thread, NULL) == 0);
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT(page != MAP_FAILED && mprotect(page, 4096, PROT_READ) == 0);
    EXPECT(getpwnam("root") != NULL);
    (void)prctl(PR_SET_NAME, "hardened");
}

static void server_serves(void **state)
{
    (void)state;
    assert_int_equal(ends(serves, &nobody_new, HARDEN_SERVER), GOOD);
}

/* Under a supervisor whose filter lets nobody change capabilities, one without any goes on. */
static void begins_without_capset(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    struct harden_fault fault = {{0}};

    EXPECT(geteuid() != 0 || setresuid(65534, 65534, 65534) == 0);
    EXPECT(filter != NULL && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    EXPECT(seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(capset), 0) == 0);
    EXPECT(seccomp_load(filter) == 0);
    EXPECT(harden_begin(&nobody_new, &fault) == ERR_OK);
    EXPECT(harden_filter(HARDEN_SERVER, &fault) == ERR_OK);
}

static void nothing_to_give_up_is_well(void **state)
{
    (void)state;
    assert_int_equal(ends(begins_without_capset, NULL, -1), GOOD);
}

/* ---- what is the end ---- */

static void executes(void)
{
    char *argv[] = {(char *)(uintptr_t) "true", NULL};

    (void)execv("/bin/true", argv);
}

static void forks(void)
{
    (void)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

static void traces(void)
{
    (void)syscall(SYS_ptrace, 16, getppid(), NULL, NULL);
}

static void reads_another(void)
{
    (void)syscall(SYS_process_vm_readv, getppid(), NULL, 0UL, NULL, 0UL, 0UL);
}

static void intruders_end(void **state)
{
    (void)state;
    if (!harden_is_built())
        skip();
    for (int kind = HARDEN_SERVER; kind <= HARDEN_KEYS; kind++) {
        assert_int_equal(ends(executes, &nobody_new, kind), -SIGSYS);
        assert_int_equal(ends(forks, &nobody_new, kind), -SIGSYS);
        assert_int_equal(ends(traces, &nobody_new, kind), -SIGSYS);
        assert_int_equal(ends(reads_another, &nobody_new, kind), -SIGSYS);
    }
    assert_int_equal(ends(executes, NULL, -1), 0); /* /bin/true, when nothing is in its way */
}

/* ---- what is refused ---- */

static void asks_for_more(void)
{
    const struct rlimit core = {RLIM_INFINITY, RLIM_INFINITY};

    EXPECT(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                0) == MAP_FAILED);
    EXPECT(socket(AF_PACKET, SOCK_RAW, 0) < 0 && errno == EPERM);
    EXPECT(kill(getppid(), 0) != 0 && errno == EPERM);
    EXPECT(setrlimit(RLIMIT_CORE, &core) != 0 && errno == EPERM);
    EXPECT(syscall(SYS_capset, NULL, NULL) != 0 && errno == EPERM);
    EXPECT(syscall(SYS_setuid, 0) != 0 && errno == EPERM);
    EXPECT(prctl(PR_SET_DUMPABLE, 1) != 0 && errno == EPERM);
    EXPECT(syscall(SYS_io_uring_setup, 1, NULL) < 0 && errno == EPERM);
    EXPECT(syscall(SYS_clone3, NULL, 0) < 0 && errno == ENOSYS);
}

static void talks(void)
{
    EXPECT(socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EPERM);
    EXPECT(socket(AF_UNIX, SOCK_STREAM, 0) < 0 && errno == EPERM);
    EXPECT(mkdir("/tmp/x", 0700) != 0 && errno == EPERM);
}

static void more_is_refused(void **state)
{
    (void)state;
    if (!harden_is_built())
        skip();
    assert_int_equal(ends(asks_for_more, &nobody_new, HARDEN_SERVER), GOOD);
    assert_int_equal(ends(asks_for_more, &nobody_new, HARDEN_KEYS), GOOD);
    assert_int_equal(ends(talks, &nobody_new, HARDEN_KEYS), GOOD);
}

/* ---- another thread ---- */

static int gate[2];

static void *executes_when_told(void *context)
{
    char told;

    if (read(gate[0], &told, 1) == 1)
        executes();
    return context;
}

/* A thread that was there before is filtered as well. */
static void threads_are_filtered(void **state)
{
    pid_t pid = fork();
    int status = 0;

    (void)state;
    if (!harden_is_built())
        skip();
    if (pid == 0) {
        pthread_t thread;

        EXPECT(pipe2(gate, O_CLOEXEC) == 0);
        EXPECT(pthread_create(&thread, NULL, executes_when_told, NULL) == 0);
        EXPECT(harden_begin(&nobody_new, NULL) == ERR_OK);
        EXPECT(harden_filter(HARDEN_SERVER, NULL) == ERR_OK);
        EXPECT(write(gate[1], "x", 1) == 1);
        (void)pthread_join(thread, NULL);
        _exit(GOOD);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

/* ---- rights ---- */

static unsigned long long hex_of(const char *digits)
{
    unsigned long long value = 0;

    digits += strspn(digits, "\t ");
    for (; strchr("0123456789abcdef", *digits) != NULL && *digits != '\0'; digits++)
        value =
            value * 16 + (unsigned long long)(*digits >= 'a' ? *digits - 'a' + 10 : *digits - '0');
    return value;
}

static unsigned long long status_of(const char *name)
{
    char line[256];
    unsigned long long value = UINT64_MAX;
    FILE *file = fopen("/proc/self/status", "re");

    EXPECT(file != NULL);
    while (fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            value = hex_of(line + strlen(name));
    (void)fclose(file);
    return value;
}

static void is_closed(void)
{
    struct rlimit core;

    EXPECT(getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == 0 && core.rlim_max == 0);
    EXPECT(prctl(PR_GET_DUMPABLE) == 0);
    EXPECT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
}

static void process_is_closed(void **state)
{
    (void)state;
    assert_int_equal(ends(is_closed, &nobody_new, -1), GOOD);
    assert_int_equal(ends(is_closed, &nobody_new, HARDEN_SERVER), GOOD);
}

static void is_nobody(void)
{
    const struct passwd *nobody = getpwnam("nobody");

    EXPECT(nobody != NULL && getuid() == nobody->pw_uid && geteuid() == nobody->pw_uid);
    EXPECT(getegid() == nobody->pw_gid);
    EXPECT(setuid(0) != 0 && seteuid(0) != 0 && setgid(0) != 0);
    EXPECT(status_of("CapEff:") == 0 && status_of("CapPrm:") == 0 && status_of("CapBnd:") == 0);
    EXPECT(access("/etc/shadow", R_OK) != 0);
}

static void root_becomes_a_user(void **state)
{
    const struct harden_options options = {.user = "nobody"};

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(ends(is_nobody, &options, -1), GOOD);
}

static void stays_root(void)
{
    EXPECT(geteuid() == 0 && status_of("CapBnd:") == 0);
    EXPECT(status_of("CapEff:") == 0x6); /* CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH */
    /* Not libc's, which gives up when other threads, a sanitizer's, may do what this one may not.
     */
    EXPECT(syscall(SYS_setgid, 1) != 0 && chroot("/") != 0);
}

static void root_keeps_little(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_true(harden_stays_root(&nobody_new));
    assert_int_equal(ends(stays_root, &nobody_new, -1), GOOD);
}

static const struct harden_options low = {.user = "nobody", .binds_low = true};

static void binds_low(void)
{
    EXPECT(status_of("CapEff:") == 0);
    EXPECT(harden_bind_begin(&low, NULL) == ERR_OK);
    EXPECT(status_of("CapEff:") == 1 << 10); /* CAP_NET_BIND_SERVICE */
    EXPECT(harden_bind_end(&low, NULL) == ERR_OK);
    EXPECT(status_of("CapEff:") == 0 && status_of("CapPrm:") == 0);
    EXPECT(harden_bind_begin(&low, NULL) == ERR_OK); /* but there is nothing to be had */
    EXPECT(status_of("CapEff:") == 0);
}

static void low_ports_have_their_time(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(ends(binds_low, &low, -1), GOOD);
}

static void unknown_user_is_told(void **state)
{
    const struct harden_options unknown = {.user = "no-such-user"};
    const struct harden_options unknown_group = {.user = "nobody", .group = "no-such-group"};
    struct harden_fault fault = {{0}};

    (void)state;
    assert_int_equal(harden_begin(&unknown, &fault), ERR_CONFIG);
    assert_non_null(strstr(fault.text, "no-such-user"));
    assert_int_equal(harden_begin(&unknown_group, &fault), ERR_CONFIG);
    assert_non_null(strstr(fault.text, "no-such-group"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(server_serves),
        cmocka_unit_test(nothing_to_give_up_is_well),
        cmocka_unit_test(intruders_end),
        cmocka_unit_test(more_is_refused),
        cmocka_unit_test(threads_are_filtered),
        cmocka_unit_test(process_is_closed),
        cmocka_unit_test(root_becomes_a_user),
        cmocka_unit_test(root_keeps_little),
        cmocka_unit_test(low_ports_have_their_time),
        cmocka_unit_test(unknown_user_is_told),
    };

    return cmocka_run_group_tests_name("harden", tests, NULL, NULL);
}
