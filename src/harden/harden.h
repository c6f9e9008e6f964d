/* SPDX-License-Identifier: MIT
 * What the process gives up before it is told anything by strangers: the rights of root, new
 * rights by a program it would execute, a memory image on disk, and every system call that a
 * server of this kind has no use for. None of it can be taken back.
 *
 * Threads: begin and bind from the first thread while it is alone, or before the others could take
 *          over what it had; the filter counts for all threads there are and will be.
 * Memory:  nothing is kept.
 * Errors:  ERR_CONFIG with a sentence: what the kernel or the rights of the process do not allow.
 * Source:  capabilities(7), seccomp(2), prctl(2); docs/decisions/harden-filter.md. */
#ifndef PC_HARDEN_HARDEN_H
#define PC_HARDEN_HARDEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum { HARDEN_FAULT_BYTES = 256 };

struct harden_fault {
    char text[HARDEN_FAULT_BYTES]; /* one sentence: what is wrong and what to do */
};

/* Whether harden_lock comes later: its limit is raised while that is allowed. */
enum harden_locks {
    HARDEN_LOCKS_NOTHING,
    HARDEN_LOCKS_FREELY, /* if the limit is infinite then */
    HARDEN_LOCKS_SURELY, /* or else by a right that stays (CAP_IPC_LOCK), where there is one */
};

struct harden_options {
    const char *user;  /* to become, when this is root; NULL: stay who it is */
    const char *group; /* NULL: that of the user */
    bool binds_low;    /* a port below 1024 is to be bound between bind_begin and bind_end */
    bool only_user;    /* nothing but the change of user */
    enum harden_locks locks;
};

/* Whether this build may be filtered: sanitizers make calls of their own, and are not. */
bool harden_is_built(void);

/* Whether a process that may do anything (root) would stay that: no user is named. */
bool harden_stays_root(const struct harden_options *options);

/* No core dumps, no reading by others of the same user, no rights by execution, another user, and
 * of root's capabilities nothing but what binding takes. Before there are other threads. */
PC_CHECKED enum err harden_begin(const struct harden_options *options, struct harden_fault *fault);

/* Keeps all memory that this process has and will have out of swap; what is not touched stays
 * unused. False when that has a limit: taking memory would fail when it is reached. A child begins
 * without. After harden_begin, before the filter. */
PC_CHECKED bool harden_lock(void);

/* The bytes that may be locked (RLIMIT_MEMLOCK); UINT64_MAX: all. */
uint64_t harden_lock_limit(void);

/* The only time when a port below 1024 may be bound. Threads that are made before or after cannot.
 */
PC_CHECKED enum err harden_bind_begin(const struct harden_options *options,
                                      struct harden_fault *fault);
PC_CHECKED enum err harden_bind_end(const struct harden_options *options,
                                    struct harden_fault *fault);

/* From here on only the system calls of the server, in all threads. What is not listed fails with
 * EPERM and is told to the kernel's log; to execute, to fork, to trace and the like is the end. */
enum harden_kind {
    HARDEN_SERVER, /* files, sockets, threads */
    HARDEN_KEYS,   /* files and one pair of sockets that is there already */
};
PC_CHECKED enum err harden_filter(enum harden_kind kind, struct harden_fault *fault);

#endif
