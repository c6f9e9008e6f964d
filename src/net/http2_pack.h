/* SPDX-License-Identifier: MIT
 * Heads and trailers going out over HTTP/2: HPACK, as far as answers need it. A line that was said
 * on the connection before is one byte, found by its text as it stands; nothing is unpacked, put
 * in lower case or hashed twice for it. Nothing is said in Huffman's code.
 *
 * Threads: one at a time.    Memory: plain values, about 5 KB.
 * Source: RFC 7541; RFC 9113, 8.2. */
#ifndef PC_NET_HTTP2_PACK_H
#define PC_NET_HTTP2_PACK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/sbuf.h"
#include "base/span.h"

enum {
    NET_HTTP2_PACK_BYTES_MAX = 2048,  /* of the table, as RFC 7541, 4.1 counts them */
    NET_HTTP2_PACK_PEER_BYTES = 4096, /* what a client has room for at first */
    NET_HTTP2_PACK_LINES_MAX = 64,    /* a power of two, and more than fit into the bytes */
};

/* A line in the client's table. */
struct net_http2_packed {
    uint32_t hash;
    uint16_t at;    /* in `text` */
    uint16_t len;   /* of its text: "Name: value" as it was given, or the name alone */
    uint16_t bytes; /* of the table */
    uint32_t next;  /* the line that came behind it, the last time */
    bool name_only; /* its value is of no use to anybody */
};

struct net_http2_pack {
    uint32_t newest; /* lines that were ever put into the table */
    uint32_t oldest; /* those that have left it */
    uint32_t first;  /* the line that the last block began with */
    uint32_t *next;  /* where it is noted which one comes now, and which one came the last time */
    uint32_t bytes;  /* of the table */
    uint32_t bytes_max;
    uint32_t peer_bytes; /* what the client has room for, at most NET_HTTP2_PACK_PEER_BYTES */
    uint32_t end;        /* of `text` */
    bool resized;        /* the next block begins with the table's new size */
    struct net_http2_packed lines[NET_HTTP2_PACK_LINES_MAX];
    char text[2 * NET_HTTP2_PACK_BYTES_MAX];
};

void net_http2_pack_init(struct net_http2_pack *pack);

/* The client's table may hold lines of an earlier one: the next block empties it. */
void net_http2_pack_renew(struct net_http2_pack *pack);

/* The client said how much room its table has; called for each time that it says so. */
void net_http2_pack_resize(struct net_http2_pack *pack, uint32_t bytes);

/* At the beginning of each block. */
void net_http2_pack_begin(struct net_http2_pack *pack, struct sbuf *out);
/* The first field of an answer. */
void net_http2_pack_status(struct sbuf *out, int status);
/* "Name: value\r\n" lines, up to an empty one. The table is not what the client's is any more when
 * this leaves `out` full: then the connection must go. */
void net_http2_pack_lines(struct net_http2_pack *pack, struct sbuf *out, struct span lines);
void net_http2_pack_length(struct sbuf *out, uint64_t length);

#endif
