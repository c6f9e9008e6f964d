/* SPDX-License-Identifier: MIT
 * Header blocks coming in: strings in Huffman's code, as clients send tokens with every request,
 * are put as they are before nghttp2 reads the block, which takes four bits at a time and a quarter
 * of the processor's time for it. What a block says stays the same, and what is wrong in it is left
 * for nghttp2 to find. A client says its token again with each request: what a long string meant is
 * kept until two others came.
 *
 * Threads: one at a time.    Memory: two strings.    Source: RFC 7541, 5 and 6. */
#ifndef PC_NET_HTTP2_PLAIN_H
#define PC_NET_HTTP2_PLAIN_H

#include <stddef.h>

#include "base/span.h"

enum { NET_HTTP2_HEARD_MAX = 2 };

/* Long strings that came on a connection last; zeros at first. */
struct net_http2_heard {
    struct net_http2_string *strings[NET_HTTP2_HEARD_MAX];
    size_t turn; /* whose place is taken next */
};

/* They may be secrets, and are overwritten. */
void net_http2_heard_free(struct net_http2_heard *heard);

/* The block's bytes in `to`, another number of them; 0: it must be read as it came, because nothing
 * in it can be put more simply, it would not fit, or it is none. */
PC_CHECKED size_t net_http2_plain(struct net_http2_heard *heard, struct span block, char *to,
                                  size_t room);

#endif
