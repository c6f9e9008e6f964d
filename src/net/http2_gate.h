/* SPDX-License-Identifier: MIT
 * What a client may do on one HTTP/2 connection: frame headers are read here before nghttp2 sees a
 * byte, and whatever costs us more than it costs the client has a budget. Who overdraws one is told
 * ENHANCE_YOUR_CALM and goes.
 *
 * Threads: one at a time.    Memory: plain values.    Units: nanoseconds, frames, bytes.
 * Source: RFC 9113, 4.1 and 10.5; CVE-2019-9511 to 9518, CVE-2023-44487, CVE-2024-27316,
 * CVE-2025-8671. */
#ifndef PC_NET_HTTP2_GATE_H
#define PC_NET_HTTP2_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum net_http2_flood {
    NET_HTTP2_FLOOD_RESET,    /* streams that the client resets */
    NET_HTTP2_FLOOD_MADE,     /* streams that it makes us reset */
    NET_HTTP2_FLOOD_HEADERS,  /* a header block without an end, or far too large when unpacked */
    NET_HTTP2_FLOOD_SETTINGS, /* each wants an answer */
    NET_HTTP2_FLOOD_PING,     /* the same */
    NET_HTTP2_FLOOD_EMPTY,    /* frames that carry nothing */
    NET_HTTP2_FLOOD_PRIORITY, /* and frames of unknown types */
    NET_HTTP2_FLOOD_WINDOW,   /* WINDOW_UPDATE */
    NET_HTTP2_FLOOD_QUEUE,    /* answers to control frames that it does not read */
    NET_HTTP2_FLOOD_COUNT
};

/* "reset", "made-reset", ...: for metrics. */
const char *net_http2_flood_name(enum net_http2_flood kind);

enum { NET_HTTP2_FRAME_HEAD_BYTES = 9, NET_HTTP2_PREFACE_BYTES = 24 };

struct net_http2_gate {
    int64_t until_ns[NET_HTTP2_FLOOD_COUNT]; /* each kind's budget is whole again then */
    int64_t block_ns;                        /* since when a header block is open; 0: none is */
    uint32_t skip;                           /* bytes of the preface or a payload still to come */
    uint32_t block_bytes;                    /* of the open block */
    uint32_t block_bytes_max;
    uint32_t resets; /* in all */
    uint32_t made;
    uint32_t windows_owed; /* WINDOW_UPDATE frames that what was sent may bring */
    uint32_t completed;    /* streams answered to the end */
    uint16_t block_parts;  /* CONTINUATION frames of the open block */
    uint8_t have;          /* bytes of `head` */
    bool ends_block;       /* the present frame carries END_HEADERS */
    bool pad_due;          /* the next byte tells how much of a DATA frame is padding */
    unsigned char head[NET_HTTP2_FRAME_HEAD_BYTES];
};

/* `block_bytes_max`: of a header block as it comes, compressed. */
void net_http2_gate_open(struct net_http2_gate *gate, size_t block_bytes_max);

/* Looks at what came. False, with *ret_kind, if a budget is overdrawn: then none of these bytes
 * must be read. */
PC_CHECKED bool net_http2_gate_pass(struct net_http2_gate *gate, struct span bytes, int64_t now_ns,
                                    enum net_http2_flood *ret_kind);

/* A stream was reset by us for what the client did. False: once too often. */
PC_CHECKED bool net_http2_gate_made(struct net_http2_gate *gate, int64_t now_ns);

/* A stream was answered to the end: it earns some of every budget. */
void net_http2_gate_completed(struct net_http2_gate *gate);

/* A DATA frame went out: windows may be opened for it. */
void net_http2_gate_data(struct net_http2_gate *gate);

#endif
