/* SPDX-License-Identifier: MIT
 * The PROXY protocol: what a proxy that passes bytes on says before them of who the client is.
 * Strict: whatever is not exactly as written down is refused, since an address that is believed
 * decides about limits and logs. Whether the proxy may say so at all is the caller's question.
 *
 * Threads: pure functions, any thread.    Memory: spans are read, nothing is kept.
 * Source: "The PROXY protocol, versions 1 & 2" (haproxy.org), 2.1 and 2.2; RFC 3720, B.4 (CRC32c).
 */
#ifndef PC_NET_NET_PROXY_PROTOCOL_H
#define PC_NET_NET_PROXY_PROTOCOL_H

#include <stdint.h>

#include "base/check.h"
#include "base/span.h"

enum { NET_PROXY_BYTES_MAX = 4096 }; /* of a header; addresses and what else it tells */

enum net_proxy_answer {
    NET_PROXY_MORE, /* it goes on */
    NET_PROXY_DONE, /* it is whole and good */
    NET_PROXY_BAD,
};

struct net_proxy_header {
    int family;               /* AF_INET, AF_INET6; AF_UNSPEC: the connection's own address holds */
    unsigned char source[16]; /* network order; IPv4 in the first four */
    uint16_t source_port;
};

/* How many of `next`, the bytes behind `have` (a header that is not whole), belong to it for sure.
 * At least one, if there is any; call again when they are taken. */
size_t net_proxy_share(struct span have, struct span next);

/* Reads what has been taken, which is never more than a header. *ret_why on BAD. */
PC_CHECKED enum net_proxy_answer net_proxy_read(struct span bytes, struct net_proxy_header *ret,
                                                const char **ret_why);

/* CRC32c, Castagnoli's polynomial. */
uint32_t net_proxy_crc32c(uint32_t crc, struct span bytes);

#endif
