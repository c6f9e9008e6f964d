/* SPDX-License-Identifier: MIT
 * The network, seen from above: loops, listeners, and one stream per request. Whoever answers
 * requests fills a `struct net_app` with functions; everything else here is called by them.
 *
 *   head -> (body)* -> end          the request arrives
 *   net_reply (net_reply_body)*     the answer leaves, any time after head
 *   recycle                         the stream and its arena are gone
 *
 * After a complete answer, or after refuse or gone, body and end are not called any more. recycle
 * is always the last call and comes exactly once for each head or refuse. The protocol below
 * (HTTP/1.1 or HTTP/2) does not show.
 *
 * Threads: a stream belongs to its loop's thread; every function that takes a stream or a timer is
 * called there. Another thread sends a task with net_loop_post, or lends the whole stream to its
 * job under net_stream_hold. Server functions say it themselves.
 * Memory: spans from here live as long as the stream, unless said otherwise.
 * Source: RFC 9110, RFC 9112, RFC 9113. */
#ifndef PC_NET_NET_H
#define PC_NET_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/random.h"
#include "base/span.h"

struct crypto_tls_context;
struct metrics;
struct net_listener;
struct net_loop;
struct net_server;
struct net_stream;

/* --- a request ------------------------------------------------------------------------------- */

enum net_method {
    NET_METHOD_OTHER, /* a registered method that this program never serves */
    NET_METHOD_GET,
    NET_METHOD_HEAD,
    NET_METHOD_POST,
    NET_METHOD_PUT,
    NET_METHOD_PATCH,
    NET_METHOD_DELETE,
    NET_METHOD_OPTIONS,
    NET_METHOD_TRACE,
    NET_METHOD_COUNT
};

/* A length that is not known before the end. */
#define NET_LENGTH_CHUNKED UINT64_MAX

struct net_header {
    struct span name;  /* lower case, valid token characters; may hold '_' */
    struct span value; /* without blanks around it, without control bytes; may be empty */
};

struct net_head {
    enum net_method method;
    struct span method_text; /* as sent: methods are case-sensitive */
    struct span target;      /* raw, as sent: any of the four forms; never empty */
    const struct net_header *headers;
    size_t header_count;
    int minor_version;       /* 0 or 1: HTTP/1.x */
    bool has_body;           /* content_length > 0, or chunked */
    bool expects_continue;   /* "Expect: 100-continue" and the body is not here yet */
    uint64_t content_length; /* or NET_LENGTH_CHUNKED; 0 without a body */
};

/* The first header of that (lower case) name, or NULL. */
const struct net_header *net_head_find(const struct net_head *head, struct span name);

/* How many headers have that (lower case) name. */
size_t net_head_count(const struct net_head *head, struct span name);

enum { NET_ADDRESS_TEXT_BYTES = 46 };

struct net_peer {
    struct span address;        /* "192.0.2.1", "2001:db8::1" (IPv4-mapped as IPv4), or "unix" */
    unsigned char bytes[16];    /* network order; IPv4 in the first four */
    int family;                 /* AF_INET, AF_INET6 or AF_UNIX */
    uint16_t port;              /* 0 for AF_UNIX */
    bool tls;                   /* encrypted */
    struct span tls_subject;    /* of the verified client certificate, RFC 2253; else empty */
    struct span tls_cn;         /* its common name; may be empty */
    struct span tls_thumbprint; /* SHA-256 of the certificate, base64url (RFC 8705); else empty */
};

/* --- what answers requests ------------------------------------------------------------------- */

/* A request's head is here. If has_body, body and end follow (unless the answer is complete
 * before); if not, end follows at once. */
typedef void net_head_fn(struct net_stream *stream, const struct net_head *head);
/* A piece of the body, valid during the call only. */
typedef void net_body_fn(struct net_stream *stream, struct span bytes);
typedef void net_stream_fn(struct net_stream *stream);
/* The request is malformed, too large or too slow, before head or after it. Answer with net_reply;
 * the connection (HTTP/2: the stream) closes behind the answer. net_stream_head is NULL if the head
 * was unreadable. */
typedef void net_refuse_fn(struct net_stream *stream, enum err err);

struct net_app {
    net_head_fn *head;
    net_body_fn *body;
    net_stream_fn *end; /* the request is complete: net_stream_trailers */
    net_refuse_fn *refuse;
    net_stream_fn *gone;     /* the client went before the answer was complete; may be NULL */
    net_stream_fn *hung_up;  /* the client sends no more, and may be gone altogether; may be NULL */
    net_stream_fn *writable; /* a streamed answer has room again; may be NULL if none streams */
    net_stream_fn *recycle;  /* the last call; the arena is about to be reset; may be NULL */
};

/* --- a stream -------------------------------------------------------------------------------- */

/* Lives until recycle. Its first 4 KiB cost nothing. */
struct arena *net_stream_arena(struct net_stream *stream);

/* One pointer for the application; NULL at the start. */
void **net_stream_slot(struct net_stream *stream);

const struct net_head *net_stream_head(struct net_stream *stream); /* NULL: unreadable */
/* Of the request, from `end` on: without those that may not be trailers (framing, routing,
 * authentication and the like). They are no headers, and must not become any. */
const struct net_header *net_stream_trailers(const struct net_stream *stream, size_t *ret_count);
/* Whether a name (lower case) may be announced as one. */
bool net_trailer_is_good(struct span name);
const struct net_peer *net_stream_peer(struct net_stream *stream);
struct net_loop *net_stream_loop(struct net_stream *stream);
void *net_stream_context(struct net_stream *stream); /* the listener's app_context */

/* When its first byte was seen, on the monotonic clock. */
int64_t net_stream_start_ns(struct net_stream *stream);

/* False once the client is gone: answering is harmless and pointless. */
bool net_stream_is_open(struct net_stream *stream);

/* While held, recycle waits: the stream and its arena stay valid though the client may go. Both are
 * called on the loop thread: hold before the job leaves, release after it came back. */
void net_stream_hold(struct net_stream *stream);
void net_stream_release(struct net_stream *stream);

struct net_reply {
    int status;           /* 200..599 */
    struct span head;     /* "Name: value\r\n" lines, valid; without Content-Length,
                             Transfer-Encoding and Connection, which are added here */
    struct span body;     /* the whole body, or its beginning when `more` */
    uint64_t body_length; /* only with `more`: total bytes, or NET_LENGTH_CHUNKED */
    bool more;            /* net_reply_body follows */
    bool close;           /* close the connection behind this answer; HTTP/2, where a stream
                             ends by itself, does not need it */
};

/* Answers, once per stream. head and body must stay valid until recycle (in the stream's arena, or
 * constant). An answer to HEAD, a 204 and a 304 carry no body whatever is given; the length told to
 * HEAD is that of `body`. Does nothing if the client is gone. */
void net_reply(struct net_stream *stream, const struct net_reply *reply);

/* More body; the bytes are sent or copied before this returns. ERR_BUSY, and nothing taken, if
 * bytes.len > net_stream_write_room; ERR_END if the client is gone; ERR_NO_MEMORY.
 * The last one has more = false (bytes may be empty). The sum must be body_length if one was told;
 * otherwise the connection is cut, so that the client notices. */
PC_CHECKED enum err net_reply_body(struct net_stream *stream, struct span bytes, bool more);

/* The end of a streamed answer, with trailers: lines as in net_reply's head, valid until recycle.
 * They are dropped where there is no place for them: HTTP/1.1 without chunks, HTTP/1.0, HEAD. */
PC_CHECKED enum err net_reply_end(struct net_stream *stream, struct span trailers);

/* How many bytes net_reply_body takes now. After a call left fewer than half of the most, writable
 * is called when there is at least half again. */
size_t net_stream_write_room(struct net_stream *stream);

/* Sends "100 Continue" if the client waits for it. Call it once it is sure that the body is wanted;
 * whoever answers without it makes the connection close. */
void net_stream_continue(struct net_stream *stream);

/* Stops and goes on with body calls; the client is held back by TCP, or by its window. */
void net_stream_pause(struct net_stream *stream);
void net_stream_resume(struct net_stream *stream);

/* --- another protocol -------------------------------------------------------------------------
 * Behind a 101 a stream is a tunnel: body brings the client's bytes as they are, and pause,
 * net_reply_body and writable do for ours what they do for an answer's. The ways end one by one:
 * `end` says that the client sends no more, net_reply_body with more = false that we do not; when
 * both are over the connection closes. Bytes that the client sent too early come first. Instead of
 * the ends may come `gone`, or `refuse`, where nothing can be answered any more: with
 * ERR_REQUEST_TIMEOUT when both ways were silent for idle_ms, with ERR_DRAINING when the server is
 * shutting down and the tunnel silent. */
struct net_upgrade {
    struct span head; /* lines as in net_reply, with the Upgrade; its Connection is added here */
    int64_t idle_ms;
};

/* Whether a 101 may answer: HTTP/1.1, a request without a body, not answered. */
bool net_stream_may_upgrade(const struct net_stream *stream);

/* Answers with 101; not before `end`. Does nothing if the client is gone. */
void net_upgrade(struct net_stream *stream, const struct net_upgrade *upgrade);

/* Cuts the connection (HTTP/2: resets the stream) at once, answered or not. gone is not called,
 * recycle is. */
void net_stream_abort(struct net_stream *stream);

/* --- a loop ---------------------------------------------------------------------------------- */

int64_t net_loop_now_ns(struct net_loop *loop);        /* monotonic, read once per iteration */
int64_t net_loop_realtime_ns(struct net_loop *loop);   /* of the same moment */
struct span net_loop_http_date(struct net_loop *loop); /* 29 bytes, valid until the next call */
struct random_batch *net_loop_random(struct net_loop *loop);
size_t net_loop_index(const struct net_loop *loop); /* 0 .. count - 1 */
void **net_loop_slot(struct net_loop *loop);        /* one pointer for the application */
bool net_loop_is_current(const struct net_loop *loop);

/* Work for a loop thread, embedded in whatever it works on. */
struct net_task;
typedef void net_task_fn(struct net_task *task);
struct net_task {
    struct net_task *next;
    net_task_fn *run;
};

/* From any thread. Tasks of one sender run in the order they were posted. A task must not be posted
 * again before it ran. Tasks posted before the server starts run when it does. */
void net_loop_post(struct net_loop *loop, struct net_task *task);

/* A timer of a loop, embedded in its owner and zeroed before first use. Fires once, at most about
 * 20 ms late, never early. */
struct net_timer;
typedef void net_timer_fn(struct net_timer *timer);
struct net_timer {
    struct net_timer *next;
    struct net_timer **link; /* what points at this one; NULL when not armed */
    int64_t deadline_ns;
    int64_t slot_ns; /* where it hangs in the wheel */
    net_timer_fn *fire;
};

/* Arms or moves it. */
void net_timer_start(struct net_loop *loop, struct net_timer *timer, int64_t timeout_ms,
                     net_timer_fn *fire);
/* Accepts one that is not armed. */
void net_timer_stop(struct net_timer *timer);

/* --- a server -------------------------------------------------------------------------------- */

typedef void net_loop_fn(struct net_loop *loop, void *context);

/* Zero means the default in parentheses. */
struct net_server_options {
    size_t loops;                       /* threads (one per core) */
    size_t conns_max;                   /* of all listeners together (16 384) */
    size_t conns_per_ip_max;            /* IPv6 by its /64 (no limit of its own) */
    int64_t head_ms;                    /* a head, from its first byte; a TLS handshake; what a
                                           proxy says before them (10 000) */
    int64_t idle_ms;                    /* between requests (75 000) */
    int64_t body_ms;                    /* between two pieces of a body (20 000) */
    int64_t body_grace_ms;              /* before body_rate_min counts (10 000) */
    int64_t body_rate_min;              /* bytes per second (256) */
    int64_t write_ms;                   /* without the client taking a byte (20 000) */
    size_t head_bytes_max;              /* LIMIT_HTTP_HEAD_BYTES_MAX */
    size_t headers_max;                 /* LIMIT_HTTP_HEADERS_MAX */
    size_t target_bytes_max;            /* LIMIT_HTTP_TARGET_BYTES_MAX */
    size_t arena_bytes_max;             /* heap of one stream's arena: LIMIT_HTTP_ARENA_BYTES_MAX */
    uint64_t requests_per_conn_max;     /* 100 000 */
    const struct clock *clock;          /* clock_system */
    const struct random_source *random; /* random_system */
    struct metrics *metrics;            /* none */
    net_loop_fn *loop_started; /* on each loop thread, before its first connection (none) */
    net_loop_fn *loop_stopped; /* on each loop thread, after its last (none) */
    void *loop_context;
};

PC_CHECKED enum err net_server_new(const struct net_server_options *options,
                                   struct net_server **ret_server);

/* Does this peer, a proxy in front, say truly who its clients are? */
typedef bool net_proxied_fn(void *context, const struct net_peer *peer);
/* A connection was refused before its first request: "tls" or "proxy_protocol", and why. For a log;
 * strangers can make it happen as often as they like. */
typedef void net_refused_fn(void *context, const struct net_peer *peer, const char *what,
                            const char *why);

struct net_listener_options {
    const char *name;               /* for logs and metrics; must outlive the server */
    const char *host;               /* "127.0.0.1", "::", ...: a literal address */
    uint16_t port;                  /* 0: any free one, see net_listener_port */
    int given;                      /* a socket that listens already and stays its owner's: all
                                       loops share it, and who connects while we stop waits there
                                       for whoever is next. 0: one is bound */
    struct crypto_tls_context *tls; /* NULL: plain; its ALPN says what is spoken */
    const struct net_app *app;
    void *app_context;
    bool http2_clear; /* without TLS: HTTP/2 and nothing else. For tests */
    /* Both on the loops' threads. With `proxied` each connection begins with a header of the PROXY
     * protocol, from a peer for whom it says true, and the address told there is the client's;
     * others are closed. */
    net_proxied_fn *proxied; /* NULL: the protocol is not spoken */
    net_refused_fn *refused; /* may be NULL */
    void *door_context;
};

/* Binds (SO_REUSEPORT, one socket per loop) before net_server_start, so that an address in use is
 * known at once. ERR_IO, with *ret_errno telling why if it is not NULL. */
PC_CHECKED enum err net_server_listen(struct net_server *server,
                                      const struct net_listener_options *options,
                                      struct net_listener **ret_listener, int *ret_errno);

/* A listener that never binds: its connections come through net_server_adopt. host, port unused. */
PC_CHECKED enum err net_server_listen_none(struct net_server *server,
                                           const struct net_listener_options *options,
                                           struct net_listener **ret_listener);

uint16_t net_listener_port(const struct net_listener *listener);
const char *net_listener_name(const struct net_listener *listener);

/* New connections use `tls` from now on; returns when no loop uses the former one for a new
 * connection, so that the caller may free it. Any thread but a loop's; the server runs. */
void net_listener_set_tls(struct net_listener *listener, struct crypto_tls_context *tls);

/* Starts the threads; on return each loop has run loop_started and accepts. */
PC_CHECKED enum err net_server_start(struct net_server *server);

/* Gives a connected stream socket (a socketpair's end, an accepted one) to a loop, as if `listener`
 * had accepted it. The fd belongs to the server from now on, also on failure. Any thread. */
PC_CHECKED enum err net_server_adopt(struct net_server *server, struct net_listener *listener,
                                     int fd);

/* Accepts no more, closes idle connections, answers what is in flight with "Connection: close".
 * Returns true when the last connection is gone; false at the deadline, when the rest is cut.
 * Any thread but a loop's; once. */
bool net_server_drain(struct net_server *server, int64_t deadline_ms);

/* Cuts what is left, waits until every held stream is released and joins the threads. The threads
 * that hold streams must still run, and may post to the loops until the server is freed. Accepts
 * NULL. */
void net_server_stop(struct net_server *server);

/* Stops, unless that was done, and frees. Threads that post to a loop must be over. Accepts
 * NULL. */
void net_server_free(struct net_server *server);

size_t net_loops_usual(void); /* how many a server has that is told 0 */
size_t net_server_loop_count(const struct net_server *server);
struct net_loop *net_server_loop(struct net_server *server, size_t index);
size_t net_server_conn_count(const struct net_server *server);

/* Raises the soft limit of open files to the hard one; returns it. */
uint64_t net_raise_fd_limit(void);

#endif
