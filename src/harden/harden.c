/* SPDX-License-Identifier: MIT
 * Rights given up, in this order: what a crash would write, what others may look at, what an
 * executed file would add, the capabilities, and who the process is.
 *
 *   harden_begin -> threads and files -> bind_begin -> sockets -> bind_end -> harden_filter
 *
 * Capabilities belong to threads, so a thread made in between must not have what binding needs: it
 * gets CAP_NET_BIND_SERVICE permitted, not effective, and the filter refuses the call (capset) by
 * which it could become so. */
#include "harden/harden.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harden/harden_priv.h"

enum { ENTRY_BYTES_MAX = 16 * 1024, GROUPS_MAX = 256, CAPABILITY_MAX = 63 };

#define BIT(capability) (1ULL << (capability))

#ifndef PR_SET_MDWE /* Linux 6.3; an older kernel answers EINVAL */
#define PR_SET_MDWE              65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

enum err harden_fail(struct harden_fault *fault, const char *what, const char *more)
{
    if (fault != NULL)
        (void)snprintf(fault->text, sizeof(fault->text), "%s%s%s", what, more ? ": " : "",
                       more ? more : "");
    return ERR_CONFIG;
}

static enum err failed(struct harden_fault *fault, const char *what)
{
    return harden_fail(fault, what, strerror(errno));
}

bool harden_stays_root(const struct harden_options *options)
{
    return geteuid() == 0 && options->user == NULL;
}

/* ---- capabilities ---- */

/* Who has no more than that already asks for nothing: a supervisor's filter may refuse the call. */
static bool capabilities_set(uint64_t permitted, uint64_t effective)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct now[2] = {{0}};
    const struct __user_cap_data_struct data[2] = {
        {.effective = (uint32_t)effective, .permitted = (uint32_t)permitted},
        {.effective = (uint32_t)(effective >> 32), .permitted = (uint32_t)(permitted >> 32)}};

    if (syscall(SYS_capget, &head, now) == 0 && memcmp(now, data, sizeof(now)) == 0)
        return true;
    return syscall(SYS_capset, &head, data) == 0;
}

static void capabilities_get(uint64_t *ret_permitted, uint64_t *ret_effective)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};

    if (syscall(SYS_capget, &head, data) != 0)
        memset(data, 0, sizeof(data));
    *ret_permitted = (uint64_t)data[1].permitted << 32 | data[0].permitted;
    *ret_effective = (uint64_t)data[1].effective << 32 | data[0].effective;
}

static uint64_t capabilities_permitted(void)
{
    uint64_t permitted, effective;

    capabilities_get(&permitted, &effective);
    return permitted;
}

/* ---- memory ---- */

/* As far as who started this allows. */
static void lock_limit_raise(void)
{
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};

    if (setrlimit(RLIMIT_MEMLOCK, &limit) == 0 || getrlimit(RLIMIT_MEMLOCK, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_MEMLOCK, &limit);
}

uint64_t harden_lock_limit(void)
{
    struct rlimit limit = {0, 0};

    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0)
        return 0;
    return limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
}

bool harden_lock(void)
{
    uint64_t permitted, effective;

    capabilities_get(&permitted, &effective);
    if (harden_lock_limit() != UINT64_MAX && (effective & BIT(CAP_IPC_LOCK)) == 0)
        return false;
    return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0;
}

/* ---- what stays ---- */

/* No file that is executed could give any of them. Only who has CAP_SETPCAP may; for others it is
 * no_new_privs that holds. */
static bool bounds_empty(void)
{
    for (unsigned long i = 0; i <= CAPABILITY_MAX; i++)
        if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1 && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) != 0)
            return false;
    return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0;
}

/* What stays until the end: root that was not told to become somebody may open what is another's,
 * as folders and certificates of containers are. */
static uint64_t kept(const struct harden_options *options)
{
    uint64_t keep =
        harden_stays_root(options) ? BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH) : 0;

    if (options->locks == HARDEN_LOCKS_SURELY && harden_lock_limit() != UINT64_MAX)
        keep |= BIT(CAP_IPC_LOCK);
    return keep;
}

static uint64_t for_binding(const struct harden_options *options)
{
    return options->binds_low ? BIT(CAP_NET_BIND_SERVICE) : 0;
}

/* ---- who it is ---- */

struct identity {
    uid_t uid;
    gid_t gid;
    gid_t groups[GROUPS_MAX];
    int group_count;
};

static enum err identity_find(const struct harden_options *options, struct identity *ret,
                              struct harden_fault *fault)
{
    static char buffer[ENTRY_BYTES_MAX]; /* begin is called once, by one thread */
    struct passwd user, *found = NULL;
    struct group group, *found_group = NULL;

    (void)getpwnam_r(options->user, &user, buffer, sizeof(buffer), &found);
    if (found == NULL)
        return harden_fail(fault, "process.user: there is no such user", options->user);
    ret->uid = user.pw_uid;
    ret->gid = user.pw_gid;
    if (options->group != NULL) {
        (void)getgrnam_r(options->group, &group, buffer, sizeof(buffer), &found_group);
        if (found_group == NULL)
            return harden_fail(fault, "process.group: there is no such group", options->group);
        ret->gid = group.gr_gid;
    }
    ret->group_count = GROUPS_MAX;
    if (getgrouplist(options->user, ret->gid, ret->groups, &ret->group_count) < 0)
        return harden_fail(fault, "process.user: is in too many groups", options->user);
    return ERR_OK;
}

/* Nobody gets back what was given up, or the process does not start. */
static enum err become(const struct identity *who, struct harden_fault *fault)
{
    uid_t real, effective, saved;

    if (setgroups((size_t)who->group_count, who->groups) != 0 ||
        setresgid(who->gid, who->gid, who->gid) != 0 ||
        setresuid(who->uid, who->uid, who->uid) != 0)
        return failed(fault, "process.user: the process cannot become that user");
    if (getresuid(&real, &effective, &saved) != 0 || real != who->uid || effective != who->uid ||
        saved != who->uid || getegid() != who->gid)
        return harden_fail(fault, "process.user: the process did not become that user", NULL);
    return ERR_OK;
}

static enum err cannot_regain(const struct identity *who, struct harden_fault *fault)
{
    if (who->uid != 0 && (setuid(0) == 0 || seteuid(0) == 0))
        return harden_fail(fault, "process.user: root could be regained", NULL);
    return ERR_OK;
}

static enum err rights_drop(const struct harden_options *options, struct harden_fault *fault)
{
    uint64_t keep = (kept(options) | for_binding(options)) & capabilities_permitted();
    struct identity who = {.uid = 0};
    enum err err = options->user != NULL ? identity_find(options, &who, fault) : ERR_OK;

    if (err)
        return err;
    if (geteuid() != 0) {
        if (options->user != NULL && who.uid != geteuid())
            return harden_fail(fault, "process.user: only root can become another user", NULL);
        return capabilities_set(keep, keep & kept(options))
                   ? ERR_OK
                   : failed(fault, "capabilities cannot be dropped");
    }
    if (!bounds_empty())
        return failed(fault, "the capability bounding set cannot be emptied");
    if (options->user != NULL) {
        if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0)
            return failed(fault, "capabilities cannot be kept for binding");
        err = become(&who, fault);
    }
    if (!err && !capabilities_set(keep, keep & kept(options)))
        err = failed(fault, "capabilities cannot be dropped");
    if (!err && options->user != NULL && prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) != 0)
        err = failed(fault, "capabilities cannot be dropped");
    return err || options->user == NULL ? err : cannot_regain(&who, fault);
}

/* ---- the first step ---- */

enum err harden_begin(const struct harden_options *options, struct harden_fault *fault)
{
    const struct rlimit none = {0, 0};
    enum err err;

    if (options->locks != HARDEN_LOCKS_NOTHING)
        lock_limit_raise();
    err = options->only_user && options->user == NULL ? ERR_OK : rights_drop(options, fault);
    if (err || options->only_user)
        return err;
    if (setrlimit(RLIMIT_CORE, &none) != 0)
        return failed(fault, "core dumps cannot be switched off");
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) /* after the change of user, which sets it */
        return failed(fault, "the process cannot be closed to debuggers");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return failed(fault, "no_new_privs cannot be set");
    (void)prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0);
    return ERR_OK;
}

enum err harden_bind_begin(const struct harden_options *options, struct harden_fault *fault)
{
    uint64_t now = (kept(options) | for_binding(options)) & capabilities_permitted();

    if (options->only_user && options->user == NULL)
        return ERR_OK;
    return capabilities_set(now, now) ? ERR_OK
                                      : failed(fault, "low ports cannot be bound by this process");
}

enum err harden_bind_end(const struct harden_options *options, struct harden_fault *fault)
{
    uint64_t now = kept(options) & capabilities_permitted();

    if (options->only_user && options->user == NULL)
        return ERR_OK;
    return capabilities_set(now, now) ? ERR_OK : failed(fault, "capabilities cannot be dropped");
}
