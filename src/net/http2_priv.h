/* SPDX-License-Identifier: MIT
 * What the files of HTTP/2 share: http2_conn.c (requests coming in), http2_reply.c (answers going
 * out).
 *
 * nghttp2 may not send while it calls us, and an answer's head is put together when it is sent. So
 * frames are only queued where they arise and leave in net_http2_flush, once per turn of the loop;
 * and a stream is let go in one place, on_stream_close, when nghttp2 is done with it. */
#ifndef PC_NET_HTTP2_PRIV_H
#define PC_NET_HTTP2_PRIV_H

#include <nghttp2/nghttp2.h>

#include "net/http2_pack.h"
#include "net/http2_plain.h"
#include "net/net_priv.h"

enum {
    NET_HTTP2_STREAMS_MAX = 100,          /* of a connection at once */
    NET_HTTP2_HELD_MAX = 200,             /* with those that were reset, and are still worked on */
    NET_HTTP2_WINDOW_BYTES = 1024 * 1024, /* of bodies under way; 64 KiB - 1 each */
    NET_HTTP2_PIECES_BYTES_MAX = 4 * 256 * 1024,  /* of streamed answers, all of a connection */
    NET_HTTP2_QUEUE_MAX = 600,                    /* frames that wait to be sent */
    NET_HTTP2_MEMORY_BYTES_MAX = 2 * 1024 * 1024, /* of a session, without bodies */
    NET_HTTP2_TURN_BYTES = 256 * 1024,            /* sent in one turn, before others have theirs */
    NET_HTTP2_BLOCK_SLACK_BYTES = 16 * 1024,      /* a block beyond its limit gets 431 */
    NET_HTTP2_FRAMES_HEAD_BYTES_MAX = 64,         /* of the frames of a block in NET_BLOCK_BYTES */
};

/* What a HEADERS frame of ours is about. */
enum net_http2_says {
    NET_HTTP2_SAYS_CONTINUE,
    NET_HTTP2_SAYS_HEAD,
    NET_HTTP2_SAYS_TRAILERS,
};

struct net_http2_memory {
    struct net_http2_spares *spares; /* of the loop */
    struct net_http2_block *blocks;
    struct net_http2_block *frames; /* the one in which frames are put together; NULL: not known */
    size_t bytes;                   /* of all of them */
};

struct net_http2 {
    nghttp2_session *session;
    struct net_http2_memory memory; /* the session and all that is its */
    struct net_conn *conn;
    struct net_http2 *next_due;
    struct net_http2 **due_link; /* NULL: nothing is due */
    struct net_stream *streams;
    struct net_http2_pack *pack; /* NULL: nothing was answered yet, or it rests */
    struct net_http2_heard heard;
    struct span block;  /* goes out in place of the frame that nghttp2 is sending */
    struct iovec given; /* of a body, in nghttp2's buffer: wiped when the frame is on its way */
    int64_t look_ns;    /* nobody's time is over before it */
    int64_t idle_ns;    /* since when there is no stream */
    int64_t last_ns;    /* draining: when the last GOAWAY goes; 0: no */
    size_t queued;      /* bytes of streamed answers that wait in their streams */
    size_t stashed;     /* bytes of bodies that wait for the application */
    uint32_t stream_count;
    bool starved; /* a streamed answer waits for room */
    bool waiting; /* a body may wait for the application */
    bool ending;  /* the last GOAWAY is queued: nothing more is read */
    bool goaway;  /* no new streams */
    bool rests;   /* keeps only what it must, until the next request */
    bool renews;  /* the next pack tells the client to empty its table */
    bool stalled; /* the last time there was nothing to send after all */
    struct net_http2_gate gate;
};

static inline struct net_http2 *net_http2_of(const struct net_stream *stream)
{
    return stream->conn->http2;
}

static inline int64_t net_http2_now_ns(const struct net_http2 *http2)
{
    return net_loop_now_ns(http2->conn->loop);
}

/* --- http2_memory.c --------------------------------------------------------------------------- */

nghttp2_mem net_http2_memory_functions(struct net_http2_memory *memory);
/* The session is new. */
void net_http2_memory_made(struct net_http2_memory *memory);
/* It has nothing to send, and its memory for that is not needed until it has. */
void net_http2_memory_rest(struct net_http2_memory *memory);
/* Everything of the session, also what nghttp2 has lost sight of. */
void net_http2_memory_free(struct net_http2_memory *memory);

/* --- http2_conn.c ----------------------------------------------------------------------------- */

/* Looks at the clock not later than then. */
void net_http2_look_at(struct net_http2 *http2, int64_t at_ns);
/* Its last stream is over. */
void net_http2_idle(struct net_http2 *http2);
/* A flood: says ENHANCE_YOUR_CALM and ends when that is said. */
void net_http2_calm(struct net_http2 *http2, enum net_http2_flood kind);
/* Charges a stream that the client made us reset. */
void net_http2_made_reset(struct net_http2 *http2);
/* Takes no new streams. */
void net_http2_goaway(struct net_http2 *http2);

/* --- http2_stream.c --------------------------------------------------------------------------- */

void net_http2_stream_callbacks(nghttp2_session_callbacks *callbacks);
/* Resets it; answering is pointless from now on. */
void net_http2_cut(struct net_stream *stream, uint32_t code);
/* Bodies that waited for the application go on. */
void net_http2_go_on(struct net_http2 *http2);
/* The stream's time: by when something must have happened. */
int64_t net_http2_stream_deadline_ns(const struct net_stream *stream);
/* It has not. False if that is not the client's doing. */
bool net_http2_stream_timeout(struct net_stream *stream);
/* Unlinks it and tells the application, without nghttp2. */
void net_http2_stream_drop(struct net_stream *stream);

/* --- http2_reply.c ---------------------------------------------------------------------------- */

/* nghttp2 sends such a frame: puts together what goes out in its place. False without memory. */
PC_CHECKED bool net_http2_head_sent(struct net_stream *stream, const nghttp2_headers *headers);
void net_http2_forget(struct net_http2 *http2);
void net_http2_reply(struct net_stream *stream, const struct net_reply *reply);
enum err net_http2_reply_body(struct net_stream *stream, struct span bytes, bool more);
size_t net_http2_write_room(const struct net_stream *stream);
void net_http2_proceed(struct net_stream *stream);
void net_http2_offer_room(struct net_http2 *http2);
/* Whether bytes of the answer wait for the client. */
bool net_http2_is_writing(const struct net_stream *stream);

#endif
