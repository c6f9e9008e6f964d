/* SPDX-License-Identifier: MIT
 * supervisor.h: one datagram a message, to a socket that the manager bound. */
#include "app/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

enum {
    TELL_MS_MAX = 5000,       /* a manager that reads nothing must not hold us up */
    BEATS_A_PERIOD = 3,       /* one may get lost, and one be late */
    BEAT_MS_MAX = 60 * 60000, /* often enough for any period */
    US_PER_MS = 1000,
    SOCKETS_FIRST = 3, /* SD_LISTEN_FDS_START */
    SOCKETS_MAX = 64
};

static struct span named(const char *const *variables, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; variables != NULL && variables[i] != NULL; i++)
        if (strncmp(variables[i], name, len) == 0 && variables[i][len] == '=')
            return span_from(variables[i] + len + 1);
    return (struct span){0};
}

/* A path, or "@" and a name that is in no file system. */
static bool address_of(struct span text, struct sockaddr_un *ret, socklen_t *ret_len)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (text.len < 2 || text.len >= sizeof(ret->sun_path) ||
        (text.ptr[0] != '/' && text.ptr[0] != '@'))
        return false;
    memcpy(ret->sun_path, text.ptr, text.len);
    if (text.ptr[0] == '@')
        ret->sun_path[0] = '\0';
    *ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + text.len +
                           (text.ptr[0] == '/' ? 1 : 0));
    return true;
}

static int connected(const struct sockaddr_un *address, socklen_t len)
{
    const struct timeval patience = {.tv_sec = TELL_MS_MAX / 1000};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0 ||
        connect(fd, (const struct sockaddr *)address, len) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* The period is for the process it names: a child of that one does not answer for it. */
static int32_t beat_of(const char *const *variables)
{
    struct span pid = named(variables, "WATCHDOG_PID");
    uint64_t period_us, number, beat_ms;

    if (!span_to_u64(named(variables, "WATCHDOG_USEC"), &period_us) || period_us == 0)
        return 0;
    if (pid.len > 0 && (!span_to_u64(pid, &number) || number != (uint64_t)getpid()))
        return 0;
    beat_ms = period_us / BEATS_A_PERIOD / US_PER_MS;
    return beat_ms == 0 ? 1 : beat_ms > BEAT_MS_MAX ? BEAT_MS_MAX : (int32_t)beat_ms;
}

bool supervisor_open(struct supervisor *supervisor, const char *const *variables,
                     const char **ret_why)
{
    struct span text = named(variables, "NOTIFY_SOCKET");
    struct sockaddr_un address;
    socklen_t len;

    *supervisor = (struct supervisor){.fd = -1};
    if (text.len == 0)
        return true;
    if (!address_of(text, &address, &len)) {
        *ret_why = "is neither a path nor \"@\" and a name";
        return false;
    }
    supervisor->fd = connected(&address, len);
    if (supervisor->fd < 0) {
        *ret_why = "leads to no socket that takes messages";
        return false;
    }
    supervisor->beat_ms = beat_of(variables);
    return true;
}

bool supervisor_sockets(const char *const *variables, int *ret_first, unsigned *ret_count,
                        const char **ret_why)
{
    struct span count_text = named(variables, "LISTEN_FDS");
    struct span pid = named(variables, "LISTEN_PID");
    uint64_t count, number;

    *ret_first = SOCKETS_FIRST;
    *ret_count = 0;
    if (count_text.len == 0)
        return true;
    if (!span_to_u64(pid, &number)) {
        *ret_why = "LISTEN_PID must say for which process";
        return false;
    }
    if (number != (uint64_t)getpid())
        return true; /* of one that started us, and not ours */
    if (!span_to_u64(count_text, &count) || count > SOCKETS_MAX) {
        *ret_why = "is no number of sockets";
        return false;
    }
    for (int fd = SOCKETS_FIRST; fd < SOCKETS_FIRST + (int)count; fd++)
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
            *ret_why = "counts more sockets than were handed over";
            return false;
        }
    *ret_count = (unsigned)count;
    return true;
}

bool supervisor_is_there(const struct supervisor *supervisor)
{
    return supervisor->fd >= 0;
}

void supervisor_tell(const struct supervisor *supervisor, const char *lines)
{
    ssize_t sent;

    if (supervisor->fd < 0)
        return;
    do
        sent = send(supervisor->fd, lines, strlen(lines), MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
}

void supervisor_tell_reloading(const struct supervisor *supervisor)
{
    char lines[64];

    (void)snprintf(lines, sizeof(lines), "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
                   clock_monotonic_ns(&clock_system) / 1000);
    supervisor_tell(supervisor, lines);
}

void supervisor_close(struct supervisor *supervisor)
{
    if (supervisor->fd >= 0)
        (void)close(supervisor->fd);
    *supervisor = (struct supervisor){.fd = -1};
}
