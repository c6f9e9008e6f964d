/* SPDX-License-Identifier: MIT
 * HTTP/1.1 answers from bytes, without a socket: what an upstream sends goes in, events come out.
 * llhttp (strict mode) reads the grammar; what a proxy must be stricter about stands here, so that
 * no two readers of one connection can ever disagree about where an answer ends.
 *
 *   (INTERIM)*  HEAD  (BODY)*  END        MORE between any two; BAD instead of any
 *
 * Threads: one at a time.    Memory: heads and trailers live in the arena given to start; body
 * pieces point into the input.    Source: RFC 9112; RFC 9110. */
#ifndef PC_NET_HTTP1_ANSWER_H
#define PC_NET_HTTP1_ANSWER_H

#include "base/arena.h"
#include "net/http1_parts.h"
#include "net/net.h"

enum net_answer_event {
    NET_ANSWER_MORE,    /* the input is used up; give more */
    NET_ANSWER_INTERIM, /* a 1xx other than 101: head is filled until the next call */
    NET_ANSWER_HEAD,    /* the final head is filled */
    NET_ANSWER_BODY,    /* *ret_piece is a part of the body, in the input */
    NET_ANSWER_END,     /* the answer is complete; trailers are filled (there may be none) */
    NET_ANSWER_BAD, /* *ret_why says why (a literal); the connection cannot be used any further */
};

/* Until the connection ends; only when neither length nor chunks were told. */
#define NET_LENGTH_CLOSE (UINT64_MAX - 1)

struct net_answer_head {
    int status;                       /* 100 .. 599 */
    int minor_version;                /* 0 or 1 */
    const struct net_header *headers; /* names lower case, values without blanks around them */
    size_t header_count;
    bool has_body;           /* false for HEAD, 1xx, 204, 304, and a length of 0 */
    bool upgraded;           /* 101: every byte behind it belongs to the other protocol */
    uint64_t content_length; /* NET_LENGTH_CHUNKED, NET_LENGTH_CLOSE, or the number; for HEAD and
                                304 what was told, NET_LENGTH_CLOSE if nothing was; 0 for 1xx and
                                204 */
};

struct net_answer_limits {
    size_t head_bytes_max; /* of each head, status line and headers; of trailers too */
    size_t headers_max;    /* of each head; of trailers too */
    size_t interims_max;
};

enum net_answer_state {
    NET_ANSWER_IN_HEAD,
    NET_ANSWER_IN_LENGTH,   /* a body of known length */
    NET_ANSWER_IN_CHUNKS,   /* a chunked body: chunk lines and data */
    NET_ANSWER_IN_TRAILERS, /* behind the last chunk */
    NET_ANSWER_IN_CLOSE,    /* a body up to the close */
    NET_ANSWER_COMPLETE,    /* END is due or was given */
    NET_ANSWER_UNREADABLE,  /* BAD was given */
};

/* One answer. Read `head` and the trailers; the rest is for the functions below. */
struct net_answer {
    struct net_answer_head head;
    const struct net_header *trailers; /* like head.headers; none that may not be a trailer */
    size_t trailer_count;

    enum net_answer_state state;
    bool is_head;    /* the request was HEAD */
    bool upgrade;    /* ... asked for another protocol */
    bool begun;      /* a byte was seen */
    bool ended;      /* END was given */
    bool persistent; /* the connection may be used again; known with the head */
    bool spoiled;    /* something was told that another reader may have taken as a body */
    bool excess;     /* bytes behind the end */
    bool last_chunk; /* llhttp saw its line */
    struct net_answer_limits limits;
    struct llhttp__internal_s *parser; /* llhttp_t, in the arena */
    struct net_lines lines;            /* the head or the trailers so far */
    size_t line_count;                 /* complete ones, with the status line */
    struct net_header_list headers;    /* room for line_count - 1 */
    size_t interims;
    uint64_t body_left;           /* IN_LENGTH */
    struct net_chunking chunking; /* IN_CHUNKS */
    struct span piece;            /* what on_data was given */
    const char *why;              /* of BAD */
};

/* `is_head`: the request was HEAD, so there is no body (CONNECT is never asked). `upgrade`: it
 * asked for another protocol; a 101 that nobody asked for is BAD. The limits are copied. */
void net_answer_start(struct net_answer *answer, struct arena *arena,
                      const struct net_answer_limits *limits, bool is_head, bool upgrade);

/* Takes what it needs off the front of *input and returns the next event. After MORE the input is
 * empty; after END, BAD and an upgraded HEAD nothing more is taken, and calling again only says END
 * or BAD again. */
enum net_answer_event net_answer_next(struct net_answer *answer, struct span *input,
                                      struct span *ret_piece, const char **ret_why);

/* The peer closed: END for a body up to the close and for what is complete, else BAD (cut short, or
 * nothing at all). Give all input to net_answer_next before. */
enum net_answer_event net_answer_close(struct net_answer *answer, const char **ret_why);

/* After END: whether the connection may carry another request: persistent by version and
 * Connection, framed by length or chunks, no byte behind the end. Bytes that come later are for the
 * owner to notice; giving them to net_answer_next makes this false, too. */
bool net_answer_keeps(const struct net_answer *answer);

/* Whether a byte of it has been seen: then a retry because of a stale connection is not safe any
 * more. */
bool net_answer_begun(const struct net_answer *answer);

#endif
