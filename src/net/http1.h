/* SPDX-License-Identifier: MIT
 * HTTP/1.1 requests from bytes, without a socket: bytes go in, events come out. llhttp (strict
 * mode) reads the grammar; what a gateway must be stricter about than a parser stands here, so that
 * no two readers of one connection can ever disagree about where a request ends.
 *
 * Threads: one at a time.    Memory: the head lives in the arena given to net_http1_start; body
 * pieces point into the input.    Source: RFC 9112; RFC 9110. */
#ifndef PC_NET_HTTP1_H
#define PC_NET_HTTP1_H

#include <llhttp/llhttp.h>

#include "base/arena.h"
#include "base/err.h"
#include "net/http1_parts.h"
#include "net/net.h"

#if !LLHTTP_STRICT_MODE
#error "llhttp must be compiled in strict mode"
#endif

enum net_http1_event {
    NET_HTTP1_MORE, /* the input is used up; give more */
    NET_HTTP1_HEAD, /* http1->head is filled in */
    NET_HTTP1_BODY, /* *ret_piece is a part of the body, in the input */
    NET_HTTP1_END,  /* the request is complete */
    NET_HTTP1_BAD,  /* *ret_err says why; the connection cannot be read any further */
};

struct net_http1_limits {
    size_t head_bytes_max; /* request line and headers; of trailers too */
    size_t headers_max;
    size_t target_bytes_max;
};

enum net_http1_state {
    NET_HTTP1_IN_HEAD,
    NET_HTTP1_IN_LENGTH,   /* a body of known length */
    NET_HTTP1_IN_CHUNKS,   /* a chunked body: chunk lines and data */
    NET_HTTP1_IN_TRAILERS, /* behind the last chunk */
    NET_HTTP1_COMPLETE,    /* END is due or was given */
    NET_HTTP1_UNREADABLE,  /* BAD was given */
};

/* One request. */
struct net_http1 {
    llhttp_t parser;
    enum net_http1_state state;
    bool keep_alive; /* what the client wishes; known with the head */
    bool head_seen;  /* HEAD was given */
    bool last_chunk; /* llhttp saw its line */
    const struct net_http1_limits *limits;
    struct net_lines lines;         /* the head or the trailers so far */
    size_t start;                   /* where the request line begins, after empty lines */
    size_t line_count;              /* complete ones, with the request line */
    size_t empty_lines;             /* before the request line */
    struct net_header_list headers; /* room for line_count - 1 */
    struct net_head head;
    const struct net_header *trailers; /* at END; none that may not be one */
    size_t trailer_count;
    uint64_t body_left;           /* IN_LENGTH */
    struct net_chunking chunking; /* IN_CHUNKS */
    struct span piece;            /* what on_body was given */
};

void net_http1_start(struct net_http1 *http1, struct arena *arena,
                     const struct net_http1_limits *limits);

/* Takes what it needs off the front of *input and returns the next event. After MORE the input is
 * empty; after END and BAD nothing more is taken. */
enum net_http1_event net_http1_next(struct net_http1 *http1, struct span *input,
                                    struct span *ret_piece, enum err *ret_err);

/* Whether a byte of the request has been seen. */
static inline bool net_http1_begun(const struct net_http1 *http1)
{
    return http1->lines.bytes > 0 || http1->head_seen;
}

#endif
