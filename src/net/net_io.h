/* SPDX-License-Identifier: MIT
 * One step of reading or writing a plain socket, as net_conn.c and net_link.c both need it. Inline,
 * since every request comes through here. */
#ifndef PC_NET_NET_IO_H
#define PC_NET_NET_IO_H

#include <errno.h>
#include <sys/socket.h>

#include "net/net_priv.h"

static inline enum net_io net_io_of_errno(void)
{
    return errno == EAGAIN || errno == EINTR ? NET_IO_WAIT : NET_IO_FAILED;
}

/* `flags`: 0 or MSG_PEEK. */
static inline enum net_io net_io_recv(int fd, void *buffer, size_t bytes, int flags,
                                      size_t *ret_bytes)
{
    ssize_t got = recv(fd, buffer, bytes, flags);

    if (got < 0)
        return net_io_of_errno();
    *ret_bytes = (size_t)got;
    return got == 0 ? NET_IO_END : NET_IO_DONE;
}

static inline enum net_io net_io_send(int fd, struct iovec *vectors, size_t count,
                                      size_t *ret_bytes)
{
    struct msghdr message = {.msg_iov = vectors, .msg_iovlen = count};
    ssize_t sent;

    if (count == 1)
        sent = send(fd, vectors[0].iov_base, vectors[0].iov_len, MSG_NOSIGNAL);
    else
        sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    if (sent < 0)
        return net_io_of_errno();
    *ret_bytes = (size_t)sent;
    return NET_IO_DONE;
}

/* Lays the parts out for sending; tells how many bytes they are together. */
static inline size_t net_io_vectors(const struct span *parts, size_t count, struct iovec *vectors)
{
    size_t all = 0;

    PC_ASSERT(count <= NET_SEND_PARTS_MAX);
    for (size_t i = 0; i < count; i++) {
        vectors[i].iov_base = (void *)(uintptr_t)parts[i].ptr;
        vectors[i].iov_len = parts[i].len;
        all += parts[i].len;
    }
    return all;
}

#endif
