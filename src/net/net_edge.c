/* SPDX-License-Identifier: MIT
 * libuv asks the kernel for readiness that lasts (level-triggered): a socket that was read empty is
 * looked at once more, in vain, each time the loop waits. A connection that is kept and read empty
 * again and again is put on the edge (EPOLLET) here, behind libuv's back, which never asks the
 * kernel how it holds a socket. What libuv does with it, it does with a registration of its own,
 * and that ends the edge.
 *
 * Nothing is lost by it: whatever comes behind a read is news, and is told; and whoever leaves
 * something behind in the socket, be it the peer's end, takes it off the edge, for which the kernel
 * looks at it at once. (Only behind urgent data something can be left that nobody sees: a read ends
 * there. Nobody who speaks HTTP sends any; who does waits until he sends more, or for a deadline.)
 */
#include <sys/epoll.h>

#include "net/net_priv.h"

enum { CALM_ENOUGH = 4 }; /* so that short connections do not pay for it */

/* What libuv asked for, and `more`. A socket that is not registered stays so. */
static void ask(struct net_loop *loop, int fd, uint32_t more)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | more, .data.fd = fd};

    (void)epoll_ctl(uv_backend_fd(&loop->uv), EPOLL_CTL_MOD, fd, &event);
}

void net_edge_read(struct net_edge *edge, struct net_loop *loop, int fd, bool dry)
{
    if (dry && !edge->end_told) {
        if (edge->on || ++edge->calm < CALM_ENOUGH)
            return;
        edge->on = true;
        ask(loop, fd, EPOLLET);
    } else {
        if (edge->on)
            ask(loop, fd, 0);
        net_edge_forget(edge);
    }
}
