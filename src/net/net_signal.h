/* SPDX-License-Identifier: MIT
 * The process's signals, for the main thread: it waits here while loops work.
 *
 * Threads: block before any thread starts, then wait on one.    Source: signalfd(2). */
#ifndef PC_NET_SIGNAL_H
#define PC_NET_SIGNAL_H

enum net_signal {
    NET_SIGNAL_NONE,   /* time is up */
    NET_SIGNAL_STOP,   /* SIGTERM, SIGINT: drain and leave */
    NET_SIGNAL_RELOAD, /* SIGHUP */
    NET_SIGNAL_CHILD,  /* SIGCHLD: a process that this one started has ended */
};

/* Blocks these for the calling thread and those it starts, and ignores SIGPIPE. */
void net_signals_block(void);

/* Waits for the next; -1: for ever. */
enum net_signal net_signals_wait(int timeout_ms);

#endif
