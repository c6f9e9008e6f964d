/* SPDX-License-Identifier: MIT
 * A connection that a proxy passes on: its first bytes say who the client is
 * (net_proxy_protocol.h), before TLS and HTTP. Only those bytes are taken from the socket: what is
 * behind them is looked at and left. What came so far waits where early input does. */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "net/net_io.h"
#include "net/net_proxy_protocol.h"

enum { PEEK_BYTES = 512 };

static void refuse(struct net_conn *conn, const char *why)
{
    metric_add(conn->loop->server->counters.refused_proxied, 1);
    net_conn_tell(conn, "proxy_protocol", why);
    net_conn_fail(conn);
}

bool net_proxied_may(struct net_conn *conn)
{
    const struct net_listener_options *options = &conn->door->listener->options;

    if (options->proxied(options->door_context, &conn->peer))
        return true;
    refuse(conn, "the peer is not trusted to speak it");
    return false;
}

/* Takes what belongs to the header for sure of what is there. False when there is nothing, or the
 * connection is gone. */
static bool take(struct net_conn *conn)
{
    struct span have = span_make(conn->stash, conn->stash_bytes);
    char next[PEEK_BYTES];
    size_t bytes = 0;
    size_t share;

    switch (net_io_recv(conn->fd, next, sizeof(next), MSG_PEEK, &bytes)) {
    case NET_IO_DONE:
        break;
    case NET_IO_WAIT:
        return false;
    case NET_IO_END:
    case NET_IO_FAILED:
        net_conn_fail(conn); /* somebody looked whether we are here */
        return false;
    }
    share = net_proxy_share(have, span_make(next, bytes));
    if (share > NET_PROXY_BYTES_MAX - have.len)
        share = NET_PROXY_BYTES_MAX - have.len;
    if (net_io_recv(conn->fd, conn->stash + have.len, share, 0, &bytes) != NET_IO_DONE) {
        net_conn_fail(conn);
        return false;
    }
    conn->stash_bytes += (uint32_t)bytes;
    metric_add(conn->loop->server->counters.bytes_in, bytes);
    return true;
}

/* The client takes the proxy's place. */
static void adopt(struct net_conn *conn, const struct net_proxy_header *header)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(header->source_port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(header->source_port)};

    if (header->family == AF_INET) {
        memcpy(&in.sin_addr, header->source, sizeof(in.sin_addr));
        net_conn_address(conn, (const struct sockaddr *)&in);
    } else if (header->family == AF_INET6) {
        memcpy(&in6.sin6_addr, header->source, sizeof(in6.sin6_addr));
        net_conn_address(conn, (const struct sockaddr *)&in6);
    }
}

void net_proxied_input(struct net_conn *conn)
{
    enum net_proxy_answer answer = NET_PROXY_MORE;
    struct net_proxy_header header = {0};
    const char *why = "";

    if (conn->stash == NULL)
        conn->stash = alloc_raw(NET_PROXY_BYTES_MAX);
    if (conn->stash == NULL) {
        net_conn_fail(conn);
        return;
    }
    while (answer == NET_PROXY_MORE && take(conn))
        answer = net_proxy_read(span_make(conn->stash, conn->stash_bytes), &header, &why);
    if (answer == NET_PROXY_MORE)
        return;
    if (answer == NET_PROXY_BAD) {
        refuse(conn, why);
        return;
    }
    net_conn_unstash(conn);
    conn->stash_bytes = 0;
    adopt(conn, &header);
    net_conn_located(conn);
}
