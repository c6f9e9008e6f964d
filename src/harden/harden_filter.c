/* SPDX-License-Identifier: MIT
 * The system calls of the server, and nothing else. The lists were found by running the program's
 * own tests under a filter that logs, and by reading what glibc, OpenSSL, SQLite, libpq, libuv and
 * hiredis call; calls that are wide by nature are narrowed by their arguments.
 *
 * Three answers: listed calls run; those by which an intruder would go on (execute, fork, trace,
 * mount, load) end the process; all others fail with EPERM and are told to the kernel's log, since
 * a library that asks for something new has a way without it, and an outage is a harm of its own.
 * Source: seccomp(2), seccomp_rule_add(3). */
#include "harden/harden_priv.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef PR_SET_VMA /* Linux 5.17: glibc names its arenas */
#define PR_SET_VMA 0x53564d41
#endif

#define CALL(name) SCMP_SYS(name)

/* What both processes need to live: memory, time, threads' locks, their own numbers. */
static const int calls_of_all[] = {
    CALL(read),
    CALL(readv),
    CALL(pread64),
    CALL(preadv),
    CALL(write),
    CALL(writev),
    CALL(pwrite64),
    CALL(pwritev),
    CALL(lseek),
    CALL(close),
    CALL(fcntl),
    CALL(fcntl64),
    CALL(fstat),
    CALL(fstat64),
    CALL(stat),
    CALL(stat64),
    CALL(lstat),
    CALL(lstat64),
    CALL(newfstatat),
    CALL(fstatat64),
    CALL(statx),
    CALL(open),
    CALL(openat),
    CALL(access),
    CALL(faccessat),
    CALL(faccessat2),
    CALL(link),
    CALL(linkat),
    CALL(unlink),
    CALL(unlinkat),
    CALL(fsync),
    CALL(fchmod),
    CALL(munmap),
    CALL(mremap),
    CALL(madvise),
    CALL(brk),
    CALL(mlock),
    CALL(mlock2),
    CALL(munlock),
    CALL(futex),
    CALL(futex_time64),
    CALL(set_robust_list),
    CALL(rseq),
    CALL(sched_yield),
    CALL(exit),
    CALL(exit_group),
    CALL(rt_sigaction),
    CALL(rt_sigprocmask),
    CALL(rt_sigreturn),
    CALL(sigreturn),
    CALL(sigaltstack),
    CALL(restart_syscall),
    CALL(clock_gettime),
    CALL(clock_gettime64),
    CALL(clock_getres),
    CALL(clock_nanosleep),
    CALL(clock_nanosleep_time64),
    CALL(nanosleep),
    CALL(gettimeofday),
    CALL(time),
    CALL(getpid),
    CALL(getppid),
    CALL(gettid),
    CALL(getuid),
    CALL(geteuid),
    CALL(getgid),
    CALL(getegid),
    CALL(getrandom),
    CALL(getcpu),
    CALL(getrusage),
    CALL(sysinfo),
    CALL(uname),
    CALL(poll),
    CALL(ppoll),
    CALL(recvfrom),
    CALL(recvmsg),
    CALL(sendto),
    CALL(sendmsg),
    CALL(recv),
    CALL(send),
};

/* Sockets, folders, databases, and asking for names. */
static const int calls_of_server[] = {
    CALL(preadv2),
    CALL(pwritev2),
    CALL(dup),
    CALL(dup2),
    CALL(dup3),
    CALL(statfs),
    CALL(statfs64),
    CALL(fstatfs),
    CALL(fstatfs64),
    CALL(readlink),
    CALL(readlinkat),
    CALL(getdents64),
    CALL(getcwd),
    CALL(mkdir),
    CALL(mkdirat),
    CALL(rmdir),
    CALL(rename),
    CALL(renameat),
    CALL(renameat2),
    CALL(truncate),
    CALL(ftruncate),
    CALL(ftruncate64),
    CALL(fallocate),
    CALL(fdatasync),
    CALL(sync_file_range),
    CALL(fadvise64),
    CALL(flock),
    CALL(chmod),
    CALL(fchmodat),
    CALL(fchown),
    CALL(umask),
    CALL(utimensat),
    CALL(membarrier),
    CALL(get_robust_list),
    CALL(sched_getaffinity),
    CALL(sched_setaffinity),
    CALL(getpriority),
    CALL(setpriority),
    CALL(times),
    CALL(getrlimit),
    CALL(getresuid),
    CALL(getresgid),
    CALL(getgroups),
    CALL(rt_sigtimedwait),
    CALL(rt_sigpending),
    CALL(rt_sigsuspend),
    CALL(connect),
    CALL(accept),
    CALL(accept4),
    CALL(bind),
    CALL(listen),
    CALL(getsockname),
    CALL(getpeername),
    CALL(getsockopt),
    CALL(setsockopt),
    CALL(sendmmsg),
    CALL(recvmmsg),
    CALL(shutdown),
    CALL(pselect6),
    CALL(select),
    CALL(epoll_create),
    CALL(epoll_create1),
    CALL(epoll_ctl),
    CALL(epoll_wait),
    CALL(epoll_pwait),
    CALL(epoll_pwait2),
    CALL(eventfd),
    CALL(eventfd2),
    CALL(pipe),
    CALL(pipe2),
    CALL(timerfd_create),
    CALL(timerfd_settime),
    CALL(wait4), /* for the process that keeps the keys */
};

/* Nothing here happens by mistake. */
static const int calls_of_intruders[] = {
    CALL(execve),
    CALL(execveat),
    CALL(fork),
    CALL(vfork),
    CALL(ptrace),
    CALL(process_vm_readv),
    CALL(process_vm_writev),
    CALL(kcmp),
    CALL(pidfd_getfd),
    CALL(bpf),
    CALL(perf_event_open),
    CALL(userfaultfd),
    CALL(add_key),
    CALL(request_key),
    CALL(keyctl),
    CALL(init_module),
    CALL(finit_module),
    CALL(delete_module),
    CALL(kexec_load),
    CALL(kexec_file_load),
    CALL(mount),
    CALL(umount2),
    CALL(move_mount),
    CALL(open_tree),
    CALL(fsopen),
    CALL(pivot_root),
    CALL(chroot),
    CALL(setns),
    CALL(unshare),
    CALL(swapon),
    CALL(swapoff),
    CALL(reboot),
    CALL(open_by_handle_at),
    CALL(iopl),
    CALL(ioperm),
    CALL(personality),
    CALL(memfd_secret),
    CALL(process_madvise),
};

/* A listed call runs only when this argument, below this mask, is that; of several rows of one call
 * one has to fit. */
struct narrow {
    int call;
    unsigned argument;
    uint64_t mask, value;
};

#define EXACT(call, argument, value)                                                               \
    {                                                                                              \
        CALL(call), argument, UINT32_MAX, (uint32_t)(value)                                        \
    }

static const struct narrow narrow_of_all[] = {
    /* memory is written or executed, never both */
    {CALL(mmap), 2, PROT_EXEC, 0},
    {CALL(mmap), 2, PROT_EXEC | PROT_WRITE, PROT_EXEC},
    {CALL(mmap2), 2, PROT_EXEC, 0},
    {CALL(mmap2), 2, PROT_EXEC | PROT_WRITE, PROT_EXEC},
    {CALL(mprotect), 2, PROT_EXEC, 0},
    {CALL(mprotect), 2, PROT_EXEC | PROT_WRITE, PROT_EXEC},
    /* threads, no processes */
    {CALL(clone), 0, CLONE_THREAD, CLONE_THREAD},
    EXACT(prctl, 0, PR_SET_NAME),
    EXACT(prctl, 0, PR_GET_NAME),
    EXACT(prctl, 0, PR_SET_VMA),
    EXACT(prctl, 0, PR_GET_DUMPABLE),
    EXACT(prctl, 0, PR_GET_NO_NEW_PRIVS),
};

static const struct narrow narrow_of_server[] = {
    EXACT(socket, 0, AF_UNIX),     EXACT(socket, 0, AF_INET), EXACT(socket, 0, AF_INET6),
    EXACT(socket, 0, AF_NETLINK), /* getaddrinfo asks which addresses there are */
    EXACT(socketpair, 0, AF_UNIX), EXACT(ioctl, 1, FIONREAD), EXACT(ioctl, 1, FIONBIO),
    EXACT(ioctl, 1, FIOCLEX),      EXACT(ioctl, 1, FIONCLEX), EXACT(ioctl, 1, TCGETS),
    EXACT(ioctl, 1, TIOCGWINSZ),
};

static int add_all(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t count)
{
    int wrong = 0;

    /* A call that this processor does not have gets a number below zero, and no rule. */
    for (size_t i = 0; i < count && wrong == 0; i++)
        wrong = calls[i] < 0 ? 0 : seccomp_rule_add(filter, action, calls[i], 0);
    return wrong;
}

static int add_narrow(scmp_filter_ctx filter, const struct narrow *rows, size_t count)
{
    int wrong = 0;

    for (size_t i = 0; i < count && wrong == 0; i++) {
        struct scmp_arg_cmp fits =
            SCMP_CMP(rows[i].argument, SCMP_CMP_MASKED_EQ, rows[i].mask, rows[i].value);

        wrong = rows[i].call < 0
                    ? 0
                    : seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rows[i].call, 1, &fits);
    }
    return wrong;
}

/* Signals to nobody but itself: abort() and the end of a thread. Limits are looked at, not set. */
static int add_own(scmp_filter_ctx filter)
{
    const struct scmp_arg_cmp self = SCMP_CMP(0, SCMP_CMP_EQ, (uint64_t)getpid());
    const struct scmp_arg_cmp looked_at = SCMP_CMP(2, SCMP_CMP_EQ, 0);
    const struct scmp_arg_cmp process = SCMP_CMP(0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0);
    int wrong = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, CALL(tgkill), 1, &self);

    if (wrong == 0)
        wrong = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, CALL(prlimit64), 1, &looked_at);
    if (wrong == 0)
        wrong = seccomp_rule_add_array(filter, SCMP_ACT_KILL_PROCESS, CALL(clone), 1, &process);
    if (wrong == 0) /* threads_add refuses it, without a word */
        wrong = seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(clone3), 0);
    return wrong;
}

static int attributes_set(scmp_filter_ctx filter, bool told)
{
    int wrong = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);

    if (wrong == 0)
        wrong = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    /* Not needed for what it keeps off: an older kernel only logs less, looks calls up one by one,
     * or slows the whole process down against a kind of code that we do not run. */
    (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, told ? 1 : 0);
    (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
    (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    return wrong;
}

static int lists_add(scmp_filter_ctx filter, enum harden_kind kind)
{
    int wrong =
        add_all(filter, SCMP_ACT_KILL_PROCESS, calls_of_intruders, PC_COUNT(calls_of_intruders));

    if (wrong == 0)
        wrong = add_all(filter, SCMP_ACT_ALLOW, calls_of_all, PC_COUNT(calls_of_all));
    if (wrong == 0)
        wrong = add_narrow(filter, narrow_of_all, PC_COUNT(narrow_of_all));
    if (wrong == 0)
        wrong = add_own(filter);
    if (wrong != 0 || kind == HARDEN_KEYS)
        return wrong;
    wrong = add_all(filter, SCMP_ACT_ALLOW, calls_of_server, PC_COUNT(calls_of_server));
    if (wrong == 0)
        wrong = add_narrow(filter, narrow_of_server, PC_COUNT(narrow_of_server));
    return wrong;
}

bool harden_is_built(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer) || __has_feature(undefined_behavior_sanitizer)
    return false;
#else
    return true;
#endif
#else
    return true;
#endif
}

typedef int rules_fn(scmp_filter_ctx filter, enum harden_kind kind);

static int filter_load(uint32_t otherwise, bool told, rules_fn *rules, enum harden_kind kind)
{
    scmp_filter_ctx filter = seccomp_init(otherwise);
    int wrong;

    if (filter == NULL)
        return -ENOMEM;
    wrong = attributes_set(filter, told);
    if (wrong == 0)
        wrong = rules(filter, kind);
    if (wrong == 0)
        wrong = seccomp_load(filter);
    seccomp_release(filter);
    return wrong;
}

/* What clone3 would do stands in memory, where no filter looks. glibc tries it for each thread and
 * falls back to clone; a filter of its own, since there is nothing to be told of that. */
static int threads_add(scmp_filter_ctx filter, enum harden_kind kind)
{
    (void)kind;
    return seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), CALL(clone3), 0);
}

enum err harden_filter(enum harden_kind kind, struct harden_fault *fault)
{
    int wrong;

    if (!harden_is_built())
        return ERR_OK;
    wrong = filter_load(SCMP_ACT_ALLOW, false, threads_add, kind);
    if (wrong == 0)
        wrong = filter_load(SCMP_ACT_ERRNO(EPERM), true, lists_add, kind);
    if (wrong == 0)
        return ERR_OK;
    return harden_fail(fault,
                       "this kernel takes no system call filter (seccomp); start on one that does, "
                       "or set process.hardening to off",
                       strerror(-wrong));
}
