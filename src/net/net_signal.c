/* SPDX-License-Identifier: MIT
 * Signals as a queue that one thread reads, so that no code ever runs inside a signal handler. */
#include "net/net_signal.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

#include "base/check.h"

static void watched(sigset_t *set)
{
    PC_ASSERT(sigemptyset(set) == 0);
    PC_ASSERT(sigaddset(set, SIGTERM) == 0);
    PC_ASSERT(sigaddset(set, SIGINT) == 0);
    PC_ASSERT(sigaddset(set, SIGHUP) == 0);
    PC_ASSERT(sigaddset(set, SIGCHLD) == 0);
}

void net_signals_block(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t set;

    watched(&set);
    PC_ASSERT(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    PC_ASSERT(sigaction(SIGPIPE, &ignore, NULL) == 0);
}

enum net_signal net_signals_wait(int timeout_ms)
{
    struct timespec wait = {.tv_sec = timeout_ms / 1000,
                            .tv_nsec = (long)(timeout_ms % 1000) * 1000000};
    sigset_t set;
    int signal;

    watched(&set);
    do {
        signal = timeout_ms < 0 ? sigwaitinfo(&set, NULL) : sigtimedwait(&set, NULL, &wait);
    } while (signal < 0 && errno == EINTR);
    if (signal < 0)
        return NET_SIGNAL_NONE;
    if (signal == SIGCHLD)
        return NET_SIGNAL_CHILD;
    return signal == SIGHUP ? NET_SIGNAL_RELOAD : NET_SIGNAL_STOP;
}
