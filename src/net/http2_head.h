/* SPDX-License-Identifier: MIT
 * The head of an HTTP/2 request from its unpacked fields, without a socket: what comes out looks as
 * if it had come by HTTP/1.1, so that nobody behind net/ notices.
 *
 * Threads: one at a time.    Memory: everything lives in the arena.
 * Source: RFC 9113, 8.2 and 8.3; RFC 9110. */
#ifndef PC_NET_HTTP2_HEAD_H
#define PC_NET_HTTP2_HEAD_H

#include "net/http1.h"
#include "net/net.h"

enum { NET_HTTP2_FIELD_EXTRA_BYTES = 32 }; /* of each in a list's size (RFC 9113, 6.5.2) */

enum net_http2_verdict {
    NET_HTTP2_GOOD,
    NET_HTTP2_MALFORMED, /* the stream must be reset: PROTOCOL_ERROR */
    NET_HTTP2_FLOODED,   /* far more than any limit allows: the connection must go */
};

struct net_http2_head {
    struct net_head head;
    struct net_header *headers; /* room for `room` */
    size_t room;
    struct net_header *trailers; /* when complete: none that may not be one */
    size_t trailer_count, trailer_room;
    size_t bytes;            /* of all fields so far, as RFC 9113, 6.5.2 counts them */
    size_t count;            /* fields so far, pseudo and kept or not */
    enum err err;            /* what to answer in place of serving it; the first reason counts */
    bool regular;            /* a field that is not pseudo was seen */
    bool scheme;             /* was seen */
    bool authority;          /* was seen: it is the first header, "host" */
    bool in_trailers;        /* fields are kept apart */
    bool has_content_length; /* RFC 9110, 8.6 */
};

/* One field; `tls` says which scheme is the right one. */
enum net_http2_verdict net_http2_head_add(struct net_http2_head *h, struct arena *arena,
                                          const struct net_http1_limits *limits, bool tls,
                                          struct net_header field);

/* The list is over. After GOOD with no err the head is complete. */
enum net_http2_verdict net_http2_head_end(struct net_http2_head *h, struct arena *arena,
                                          bool end_stream);

#endif
