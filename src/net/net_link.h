/* SPDX-License-Identifier: MIT
 * A connection that this program opens: to an upstream, on a loop, plain or TLS. It knows
 * nothing of HTTP; whoever opened it fills a `struct net_link_app`.
 *
 *   net_link_open -> CONNECTING --connected--> OPEN (app->open) --> input*, room* --> lost
 *                                                        net_link_close, any time: no further call
 *
 * Threads: the loop's, for every function.
 * Memory: a link is freed when no call of it is on the stack and libuv has let go; its pointer is
 * dead after net_link_close and when lost has returned. Every call of the app may close this link
 * or another, send on any and open new ones.
 * Speed: an open link that is used again costs one send and one recv: no epoll_ctl, no allocation,
 * no timer operation (deadlines move by writing a number, net_timer.c). */
#ifndef PC_NET_NET_LINK_H
#define PC_NET_NET_LINK_H

#include <sys/socket.h>

#include "net/net.h"

struct net_link;

/* Called from the loop only, never from inside of a function of this header. */
struct net_link_app {
    void (*open)(struct net_link *link);                     /* it can be written to */
    void (*input)(struct net_link *link, struct span bytes); /* valid during the call */
    void (*room)(struct net_link *link); /* net_link_room was less than half, and is half again;
                                            may be NULL */
    void (*late)(struct net_link *link); /* the deadline has passed, it is disarmed; may be NULL */
    /* The peer sends no more. True: the owner goes on sending, and says so with net_link_shut when
     * it has done; lost (ERR_END) comes when both are over. False, or NULL: lost comes now. */
    bool (*ended)(struct net_link *link);
    /* The last call. ERR_END: the peer closed in order; ERR_IO: refused, reset, unreachable, not
     * the server that was meant (see net_link_errno, net_link_tls_reason); ERR_REQUEST_TIMEOUT: not
     * open within connect_ms; ERR_NO_MEMORY: what had to wait could not be kept; ERR_DRAINING: the
     * loop stops. What the peer sent before it hung up comes as input first (TLS: unless a
     * send had failed). */
    void (*lost)(struct net_link *link, enum err err);
};

struct net_link_options {
    struct sockaddr_storage address; /* AF_INET, AF_INET6 or AF_UNIX */
    socklen_t address_bytes;
    const struct net_link_app *app;
    void *context;
    int64_t connect_ms;             /* until open, TLS included; 0: 5000 */
    struct crypto_tls_context *tls; /* of crypto_tls_client_context_new; NULL: plain. May be freed
                                       when net_link_open has returned */
};

/* Never calls the app before it returns. ERR_NO_MEMORY; ERR_IO: no socket (errno tells why);
 * ERR_DRAINING: the loop stops. Everything about the peer comes later, as lost. */
PC_CHECKED enum err net_link_open(struct net_loop *loop, const struct net_link_options *options,
                                  struct net_link **ret_link);
void net_link_close(struct net_link *link); /* at once; what is unsent is dropped */

void *net_link_context(const struct net_link *link);
void net_link_set_context(struct net_link *link, const struct net_link_app *app, void *context);
struct net_loop *net_link_loop(struct net_link *link);
bool net_link_is_open(const struct net_link *link); /* false also when lost is due */
int net_link_errno(const struct net_link *link);    /* why ERR_IO; 0: not known */
/* Why TLS was not agreed, or was ended by what was said; "" if it was not, or the socket broke. */
const char *net_link_tls_reason(const struct net_link *link);

/* Sends or keeps copies of the parts (at most 8); only after open. Errors come as lost, later
 * (never from inside of this call). The owner keeps within net_link_room; one head beyond it is
 * taken. */
void net_link_send(struct net_link *link, const struct span *parts, size_t count);
size_t net_link_room(const struct net_link *link); /* of 256 KiB; 0 when not open */
bool net_link_is_drained(const struct net_link *link);

/* The owner sends no more: the peer is told behind what waits. Nothing may be sent after it. */
void net_link_shut(struct net_link *link);

/* No input calls until resumed; the peer is held back by TCP. lost may come while nothing that was
 * received waits. */
void net_link_pause(struct net_link *link);
void net_link_resume(struct net_link *link);

/* When app->late is called, on net_loop_now_ns; NET_LINK_NO_DEADLINE: never. Cheap: may be called
 * for each request. */
#define NET_LINK_NO_DEADLINE INT64_MAX
void net_link_deadline(struct net_link *link, int64_t deadline_ns);

/* Shutting the server down closes what is left (lost with ERR_DRAINING) when a loop stops; idle
 * links never keep a loop from stopping. */
#endif
