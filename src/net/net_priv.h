/* SPDX-License-Identifier: MIT
 * What the files of net/ share. Three layers, each knowing only the one below it:
 *
 *   stream (net_stream.c)     one request, as the application sees it
 *   codec  (http1_conn.c,     turns a connection's bytes into streams
 *           http2_conn.c)
 *   conn   (net_conn.c)       one socket: reading, writing, waiting, TLS, closing
 *
 * Threads: a loop's thread owns its connections; only what is marked atomic crosses threads. */
#ifndef PC_NET_NET_PRIV_H
#define PC_NET_NET_PRIV_H

#include <stdatomic.h>
#include <pthread.h>
#include <sys/socket.h>
#include <uv.h>

#include "base/hash.h"
#include "base/metric.h"
#include "crypto/tls.h"
#include "net/http1.h"
#include "net/http2_gate.h"
#include "net/http2_head.h"
#include "net/net.h"

enum {
    NET_READ_BYTES = 64 * 1024,      /* per loop: what one read takes of a body */
    NET_READ_HEAD_BYTES = 16 * 1024, /* and of a new request: less comes too early */
    NET_DRAIN_FIRST_MS = 500,        /* for the first request, when shutting down */
    NET_WIPE_MS = 50,                /* what passed through a loop's buffers stays so long */
    NET_SCRATCH_BYTES = 32 * 1024,   /* per loop: a small answer is put together here */
    NET_BLOCK_BYTES = 72 * 1024,     /* per loop: the head of an answer over HTTP/2 */
    NET_PLAIN_BYTES =
        NET_HTTP2_FRAME_HEAD_BYTES + 16 * 1024, /* per loop: a frame with a head, unpacked */
    NET_STREAM_FIRST_BYTES = 4096,              /* of a stream's arena */
    NET_STREAMS_SPARE_MAX = 64,                 /* per loop: kept for the next request */
    NET_OUTPUT_BYTES_MAX = 256 * 1024,          /* per connection: waiting for a slow client */
    NET_SEND_PARTS_MAX = 8,                     /* of one system call */
    NET_DRAIN_BYTES_MAX = 64 * 1024,         /* of a body that nobody wants, to keep a connection */
    NET_LINGER_BYTES_MAX = 16 * 1024 * 1024, /* read and dropped behind the last answer */
    NET_LINGER_MS = 2000,                    /* and for how long */
    NET_ACCEPT_BURST = 32,                   /* per readiness of a listening socket */
    NET_ACCEPT_PAUSE_MS = 100,               /* without file descriptors */
    NET_LISTENERS_MAX = 32,                  /* per server */
    NET_HTTP2_SPARE_SIZES = 16,              /* of blocks that are kept for nghttp2 */
    NET_LISTEN_BACKLOG = 4096,
};

/* --- net_timer.c: a wheel of timers ----------------------------------------------------------- */

#define NET_NO_DEADLINE INT64_MAX

enum {
    NET_WHEEL_SLOTS = 512,
    NET_WHEEL_TICK_BITS = 24, /* a tick is 2^24 ns = 16.8 ms */
};

struct net_wheel {
    struct net_timer *slots[NET_WHEEL_SLOTS];
    uint64_t used[NET_WHEEL_SLOTS / 64]; /* a bit per slot that may hold something */
    int64_t tick;                        /* everything before it has fired */
};

void net_wheel_init(struct net_wheel *wheel, int64_t now_ns);
void net_wheel_set(struct net_wheel *wheel, struct net_timer *timer, int64_t deadline_ns);
void net_wheel_run(struct net_wheel *wheel, int64_t now_ns);
/* When net_wheel_run has something to look at; NET_NO_DEADLINE if nothing hangs in the wheel. */
int64_t net_wheel_next_ns(const struct net_wheel *wheel);

/* --- net_admit.c: connections per address ----------------------------------------------------- */

struct net_admit;
PC_CHECKED enum err net_admit_new(size_t per_ip_max, const struct random_source *random,
                                  struct net_admit **ret_admit);
void net_admit_free(struct net_admit *admit); /* accepts NULL */
/* False if this address has its share already. Any thread. */
bool net_admit_take(struct net_admit *admit, const struct net_peer *peer);
void net_admit_give(struct net_admit *admit, const struct net_peer *peer);

/* --- net_output.c: bytes that the socket did not take yet ------------------------------------- */

struct net_output_part;
struct net_output {
    struct net_output_part *oldest;
    struct net_output_part *newest;
    size_t bytes; /* waiting, all */
};

/* False without memory; then nothing was added. */
PC_CHECKED bool net_output_copy(struct net_output *output, struct span bytes);
PC_CHECKED bool net_output_refer(struct net_output *output, struct span bytes);
size_t net_output_peek(const struct net_output *output, struct iovec *vectors, size_t max);
void net_output_drop(struct net_output *output, size_t bytes);
void net_output_clear(struct net_output *output);
/* Keeps what is left of the parts after `sent` bytes; the last one is referred to if `stable`.
 * False without memory. */
PC_CHECKED bool net_output_keep(struct net_output *output, const struct span *parts, size_t count,
                                bool stable, size_t sent);

enum net_io { NET_IO_DONE, NET_IO_WAIT, NET_IO_END, NET_IO_FAILED };

/* One attempt to send; *ret_bytes > 0 on NET_IO_DONE. */
typedef enum net_io net_write_fn(void *owner, struct iovec *vectors, size_t count,
                                 size_t *ret_bytes);
/* Sends until nothing is left (NET_IO_DONE) or the socket takes no more; *ret_bytes were taken. */
PC_CHECKED enum net_io net_output_flush(struct net_output *output, net_write_fn *write, void *owner,
                                        size_t *ret_bytes);

/* --- net_edge.c: sockets that are told of once ---------------------------------------------------
 */

enum { NET_READS = UV_READABLE | UV_DISCONNECT };

/* A socket that is polled for reading alone. Of one on the edge the kernel tells when something new
 * has come, and not again as long as something is there: half of the looking. */
struct net_edge {
    bool on;
    bool end_told; /* the peer sends no more */
    uint8_t calm;  /* reads in a row that left nothing, up to what is wanted */
};

/* Behind each read, or when one was due and did not take place. `dry`: it is polled for NET_READS
 * and nothing else, and the read brought less than it had room for, so that it is empty now. */
void net_edge_read(struct net_edge *edge, struct net_loop *loop, int fd, bool dry);
/* libuv polls anew, or for something else. */
static inline void net_edge_forget(struct net_edge *edge)
{
    edge->on = false;
    edge->calm = 0;
}

/* --- net_outbox.c: what is sent when the loop has looked at everything -------------------------
 */

enum {
    NET_OUTBOX_LETTERS = 128,
    NET_OUTBOX_BYTES = 128 * 1024,
    NET_OUTBOX_FULL_BYTES = NET_OUTBOX_BYTES / 2,
    NET_LETTER_BYTES_MAX = 8192, /* what is longer is not copied but sent at once */
};

/* Who sends: a part of a connection or link. `post` writes to the socket and keeps what it does
 * not take. It may call the application, unless its owner is already entered. */
struct net_sender {
    void (*post)(struct net_sender *sender, struct span bytes);
    uint8_t letter; /* its letter's number, from 1; 0: none */
};

struct net_letter {
    struct net_sender *sender; /* NULL: gone */
    uint32_t at;
    uint32_t bytes;
};

struct net_outbox {
    char *bytes;
    uint32_t used;
    uint8_t count;
    uint32_t dirty; /* bytes that have been in use since they were wiped */
    bool shut;      /* takes no letters */
    struct net_letter letters[NET_OUTBOX_LETTERS];
};

PC_CHECKED enum err net_outbox_init(struct net_outbox *box);
void net_outbox_free(struct net_outbox *box);
/* Keeps a copy behind what this sender has put in before. False: push, and send it yourself. */
PC_CHECKED bool net_outbox_put(struct net_outbox *box, struct net_sender *sender,
                               const struct span *parts, size_t count, size_t bytes);
void net_outbox_push(struct net_outbox *box, struct net_sender *sender);
void net_outbox_forget(struct net_outbox *box, struct net_sender *sender);
/* Only when no call of the application is on the stack. */
void net_outbox_flush(struct net_outbox *box);
/* What has been in it and was sent. */
void net_outbox_wipe(struct net_outbox *box);

/* For where that is so: keeps the first from waiting for very many. */
static inline void net_outbox_check(struct net_outbox *box)
{
    if (box->count == NET_OUTBOX_LETTERS || box->used > NET_OUTBOX_FULL_BYTES)
        net_outbox_flush(box);
}

/* --- server, listener, loop ------------------------------------------------------------------- */

/* How a link fails. */
enum net_link_kind {
    NET_LINK_REFUSED,     /* nobody listens there */
    NET_LINK_UNREACHABLE, /* no way to it, or anything else that kept it from opening */
    NET_LINK_TIMEOUT,     /* not open in time */
    NET_LINK_TLS,         /* reached, but TLS was not agreed */
    NET_LINK_RESET,       /* cut after it was open */
    NET_LINK_FILES,       /* no file descriptors */
    NET_LINK_MEMORY,
    NET_LINK_KINDS
};

struct net_counters {
    struct metric_series *accepted;
    struct metric_series *open;
    struct metric_series *refused_total;   /* the most connections are open */
    struct metric_series *refused_ip;      /* ... of this address */
    struct metric_series *refused_files;   /* no file descriptors */
    struct metric_series *refused_proxied; /* no good PROXY header, or from anybody */
    struct metric_series *bytes_in;
    struct metric_series *bytes_out;
    struct metric_series *tls_done;
    struct metric_series *tls_failed;
    struct metric_series *malformed[ERR_COUNT]; /* by what was wrong */
    struct metric_series *timeouts;
    struct metric_series *links;
    struct metric_series *links_open;
    struct metric_series *links_failed[NET_LINK_KINDS];
    struct metric_series *http2;                         /* connections that speak it */
    struct metric_series *floods[NET_HTTP2_FLOOD_COUNT]; /* and were closed for one */
};
PC_CHECKED enum err net_counters_init(struct net_counters *counters, struct metrics *metrics);
/* Counts a link that failed. With ERR_IO: as `where`, or by errno if that is UNREACHABLE. */
void net_counters_link_lost(struct net_counters *counters, enum net_link_kind where, enum err err,
                            int error);

struct net_listener {
    struct net_server *server;
    struct net_listener_options options;
    uint16_t port;
    bool bound;
};

struct net_server {
    struct net_server_options options; /* with defaults filled in */
    struct net_http1_limits limits;
    struct net_listener *listeners[NET_LISTENERS_MAX];
    size_t listener_count;
    struct net_loop **loops;
    size_t loop_count;
    bool started;
    struct net_admit *admit; /* NULL: no limit per address */
    struct net_counters counters;
    _Atomic size_t conn_count;
    _Atomic size_t adopt_next; /* which loop gets the next adopted socket */
};

/* One listener on one loop. */
struct net_door {
    struct net_loop *loop;
    struct net_listener *listener;
    struct crypto_tls_context *tls; /* loop thread */
    uv_poll_t poll;
    struct net_timer retry; /* accepting is paused */
    int fd;                 /* -1: none, or closed */
    bool polled;            /* poll was initialised */
};

/* What sessions of HTTP/2 gave back, by size. */
struct net_http2_block;
struct net_http2_spares {
    struct net_http2_block *blocks[NET_HTTP2_SPARE_SIZES];
    size_t bytes;
};

/* Buffers that everything on a loop passes through. */
enum net_buffer {
    NET_BUFFER_READ, /* NET_READ_BYTES */
    NET_BUFFER_LINK, /* NET_READ_BYTES; of its own: what a link reads can make a connection read */
    NET_BUFFER_SCRATCH, /* NET_SCRATCH_BYTES */
    NET_BUFFER_BLOCK,   /* NET_BLOCK_BYTES */
    NET_BUFFER_PLAIN,   /* NET_PLAIN_BYTES */
    NET_BUFFER_COUNT
};

struct net_loop {
    uv_loop_t uv;
    uv_async_t wake;
    uv_timer_t wheel_timer;
    uv_prepare_t prepare; /* before waiting: the kept time grows stale */
    struct net_server *server;
    size_t index;
    pthread_t thread;
    bool running;  /* the thread was started */
    bool draining; /* every answer closes its connection */
    bool stopping; /* leave when the last connection and link are gone */
    bool now_known;
    int64_t now_ns;
    int64_t realtime_ns;
    int64_t date_s; /* the second that `date` tells */
    char date[29];
    int64_t wheel_armed_ns;
    struct net_wheel wheel;
    struct random_batch random;
    void *slot;
    _Atomic(struct net_task *) tasks; /* newest first */
    struct net_conn *conns;           /* all of this loop's, newest first */
    struct net_link *links;           /* the same, of outgoing ones */
    struct net_stream *spare;
    size_t spare_count;
    bool spare_dirty; /* they hold what was said */
    struct net_http2_spares http2_spares;
    struct net_http2 *due; /* have frames to send before the loop waits */
    bool flushing;         /* they are sending */
    struct net_outbox outbox;
    struct net_door doors[NET_LISTENERS_MAX];
    struct net_task stop;
    char *buffers[NET_BUFFER_COUNT];
    size_t dirty[NET_BUFFER_COUNT]; /* bytes of each that were in use since they were wiped */
    struct net_timer wiper;
};

PC_CHECKED enum err net_loop_new(struct net_server *server, size_t index,
                                 struct net_loop **ret_loop);
PC_CHECKED enum err net_loop_start(struct net_loop *loop);
void net_loop_join(struct net_loop *loop);
void net_loop_free(struct net_loop *loop); /* its thread is not running; accepts NULL */
void net_loop_timer_set(struct net_loop *loop, struct net_timer *timer, int64_t deadline_ns);
/* So many bytes of a buffer hold what somebody sent or is sent: wiped when NET_WIPE_MS are over. */
static inline void net_loop_dirty(struct net_loop *loop, enum net_buffer buffer, size_t bytes)
{
    if (bytes > loop->dirty[buffer])
        loop->dirty[buffer] = bytes;
}
void net_loop_one_gone(struct net_loop *loop); /* a connection or link: leaves after the last */
void net_loop_drain(struct net_loop *loop);
void net_loop_cut(struct net_loop *loop); /* every connection, at once */

/* Runs `run` on every loop and returns when all did. Any thread but a loop's. */
typedef void net_loop_visit_fn(struct net_loop *loop, void *context);
void net_server_visit(struct net_server *server, net_loop_visit_fn *run, void *context);

/* --- net_door.c: accepting -------------------------------------------------------------------- */

/* 0, or errno. `alone`: check that nobody else has the port, shared or not. */
PC_CHECKED int net_door_bind(const struct net_listener_options *options, uint16_t port, bool alone,
                             int *ret_fd);
void net_door_open(struct net_door *door);  /* on the loop thread */
void net_door_close(struct net_door *door); /* accepts what waits at its own socket; then no more */

/* --- net_conn.c: a socket --------------------------------------------------------------------- */

struct net_conn;

/* How a protocol drives a connection and answers its streams. Calls come with the connection
 * entered (net_conn_enter). */
struct net_codec {
    const char *name;
    bool (*open)(struct net_conn *conn); /* false without memory; NULL: nothing to do */
    void (*input)(struct net_conn *conn, struct span bytes); /* takes all of it, or stashes */
    void (*input_end)(struct net_conn *conn);                /* the client sends no more */
    void (*settle)(struct net_conn *conn);  /* go on with what waited: last before leaving */
    bool (*timeout)(struct net_conn *conn); /* whether somebody's time was over */
    void (*lost)(struct net_conn *conn);    /* the socket is gone: tell the streams */
    void (*drain)(struct net_conn *conn);   /* the server is shutting down */
    int64_t (*deadline_ns)(const struct net_conn *conn);
    bool (*reads)(const struct net_conn *conn); /* whether input is wanted now */
    void (*reply)(struct net_stream *stream, const struct net_reply *reply);
    enum err (*reply_body)(struct net_stream *stream, struct span bytes, bool more);
    size_t (*write_room)(const struct net_stream *stream);
    void (*proceed)(struct net_stream *stream); /* 100 Continue */
    void (*resumed)(struct net_stream *stream); /* not paused any more; NULL: settle will see */
    void (*abort)(struct net_stream *stream);
};

extern const struct net_codec net_codec_http1;
extern const struct net_codec net_codec_http2;
extern const struct net_codec net_codec_tunnel; /* net_tunnel.c: behind a 101 */

enum net_conn_state {
    NET_CONN_PROXIED,   /* a proxy says whose it is */
    NET_CONN_HANDSHAKE, /* TLS */
    NET_CONN_OPEN,
    NET_CONN_GOODBYE, /* the last bytes are leaving; nothing more is read */
    NET_CONN_LINGER,  /* our side is shut down; the client's bytes are dropped */
    NET_CONN_CLOSED,  /* the socket is closed; memory waits for libuv and held streams */
};

struct net_conn {
    uv_poll_t poll;
    struct net_loop *loop;
    struct net_door *door;
    const struct net_codec *codec;
    struct net_conn *next;     /* of the loop */
    struct net_conn **link;    /* what points at this one */
    struct crypto_tls *tls;    /* NULL: plain */
    struct net_stream *stream; /* http1: the present one */
    struct net_http2 *http2;   /* http2: all that it keeps */
    char *stash;               /* input that must wait, on the heap; NULL: none */
    struct net_output output;
    struct net_sender sender;
    struct net_timer timer;
    int64_t active_ns;    /* last progress of reading, or since when it is idle */
    int64_t written_ns;   /* last progress of writing */
    uint64_t requests;    /* answered or begun */
    uint32_t stash_at;    /* what has been taken of it */
    uint32_t stash_bytes; /* its end */
    uint32_t lingered;    /* bytes dropped */
    int fd;
    uint16_t refs;    /* libuv's handle, and each stream */
    uint8_t depth;    /* entered */
    uint8_t interest; /* NET_READS, UV_WRITABLE as libuv knows it */
    struct net_edge edge;
    enum net_conn_state state : 8;
    bool wants_write;    /* poll for it, though no output waits */
    bool failed : 1;     /* close it when the last caller leaves */
    bool input_over : 1; /* the client sends no more */
    bool linger : 1;     /* bytes may still come that must not reset our answer */
    bool read_dry : 1;   /* TLS has not got a whole record */
    bool counted : 1;    /* by the server */
    bool placed : 1;     /* by its address */
    bool read_held : 1;  /* readable, but nobody wants it: not polled until someone does */
    struct net_peer peer;
    char address[NET_ADDRESS_TEXT_BYTES];
};

/* Takes the fd over. */
void net_conn_open(struct net_door *door, int fd, const struct sockaddr *address);
/* Around everything that may call the application: the last leave settles and closes. */
void net_conn_enter(struct net_conn *conn);
void net_conn_leave(struct net_conn *conn);
void net_conn_unref(struct net_conn *conn);
/* Marks it broken. */
void net_conn_fail(struct net_conn *conn);
/* Sends or keeps `count` parts; the last one may be referred to if `stable`. */
void net_conn_send(struct net_conn *conn, const struct span *parts, size_t count, bool stable);
/* Whether the socket has all of it; what waits for the loop's turn to end is sent now. */
bool net_conn_is_drained(struct net_conn *conn);
/* Reads once, if anything is there. */
void net_conn_input(struct net_conn *conn);
/* Closes when everything is written, lingering if `linger`. */
void net_conn_goodbye(struct net_conn *conn, bool linger);
/* Keeps input for later. */
void net_conn_stash(struct net_conn *conn, struct span bytes);
void net_conn_unstash(struct net_conn *conn); /* forgets it */
void net_conn_address(struct net_conn *conn, const struct sockaddr *address);
/* Whose it is, is known: TLS or HTTP begin. */
void net_conn_located(struct net_conn *conn);
void net_conn_tell(struct net_conn *conn, const char *what, const char *why); /* it is refused */

/* --- net_proxied.c: the PROXY protocol -------------------------------------------------------- */

bool net_proxied_may(struct net_conn *conn); /* else it has failed */
void net_proxied_input(struct net_conn *conn);

/* --- net_link.c: a socket to elsewhere, see net_link.h -----------------------------------------
 */

void net_link_cut(struct net_loop *loop); /* every link, at once: lost with ERR_DRAINING */
bool net_link_is_own(int fd);             /* it is connected to itself */

/* --- net_tls.c -------------------------------------------------------------------------------- */

/* *wants_write is set when it waits for the socket to take bytes. */
PC_CHECKED enum net_io net_tls_handshake(struct crypto_tls *tls, bool *wants_write);
PC_CHECKED enum net_io net_tls_read(struct crypto_tls *tls, bool *wants_write, void *buffer,
                                    size_t bytes, size_t *ret_bytes);
PC_CHECKED enum net_io net_tls_write(struct crypto_tls *tls, bool *wants_write,
                                     const struct iovec *vectors, size_t count, size_t *ret_bytes);

void net_tls_goodbye(struct crypto_tls *tls); /* close_notify */

/* --- net_stream.c ----------------------------------------------------------------------------- */

enum net_reply_state {
    NET_REPLY_NONE,
    NET_REPLY_STREAMING, /* net_reply_body follows */
    NET_REPLY_DONE,      /* the application has given everything */
};

/* What HTTP/2 keeps of a stream. */
struct net_http2_stream {
    struct net_stream *next; /* of the connection */
    struct net_stream **link;
    int32_t id;
    int status;               /* of the answer */
    struct net_http2_head in; /* of the request */
    struct span lines;        /* of the answer's head */
    uint64_t length;          /* told in it, if says_length */
    struct span body;         /* what is left of an answer that was given whole */
    struct net_output pieces; /* what is left of a streamed one */
    struct net_output stash;  /* of the request's body, while it is paused */
    int64_t read_ns;          /* last progress of reading it */
    int64_t written_ns;       /* last progress of writing it */
    bool ended : 1;           /* the client has sent all of it */
    bool end_waits : 1;       /* ... and the application is to hear of it after the stash */
    bool client_reset : 1;    /* by the client, not by us */
    bool counted : 1;         /* charged as one that we had to reset */
    bool deferred : 1;        /* nghttp2 waits for more of the answer */
    bool says_length : 1;     /* the answer's head has a Content-Length */
};

struct net_stream {
    struct net_conn *conn;
    struct net_stream *next_spare;
    const struct net_head *head; /* NULL: not here yet, or unreadable */
    struct span trailers;        /* of the answer, with its end */
    struct arena arena;
    void *slot;
    int64_t start_ns;
    uint32_t holds;
    enum net_reply_state reply : 8;
    bool told : 1;          /* head or refuse was called: recycle is due */
    bool refused : 1;       /* after refuse, or malformed while draining */
    bool complete : 1;      /* the request is complete */
    bool paused : 1;        /* by the application */
    bool orphan : 1;        /* the connection let go of it; waiting for holds */
    bool must_close : 1;    /* behind the answer */
    bool want_continue : 1; /* the client waits for 100 Continue */
    bool no_body : 1;       /* the answer has none: HEAD, 204, 304 */
    bool chunked : 1;       /* the answer */
    bool starved : 1;       /* writable is due */
    bool cut : 1;           /* http2: reset by us; answering is pointless */
    bool shut : 1;          /* a tunnel: our end of it was said */
    uint64_t reply_left;    /* told and not given yet; NET_LENGTH_CHUNKED: not told */
    uint64_t body_bytes;    /* of the request, received */
    int64_t body_ns;        /* since when its rate counts */
    int64_t tunnel_idle_ns; /* behind a 101: silent for so long in both ways, it is over */
    union {
        struct net_http1 http1;
        struct net_http2_stream http2;
    };
    _Alignas(16) char first[NET_STREAM_FIRST_BYTES];
};

PC_CHECKED struct net_stream *net_stream_new(struct net_conn *conn); /* NULL without memory */
/* The connection lets go: recycle now, or when the last hold is released. */
void net_stream_done(struct net_stream *stream);
/* Takes `bytes` off what the answer told of its length. False if it is more, or ends too early. */
PC_CHECKED bool net_stream_account(struct net_stream *stream, size_t bytes, bool more);

/* --- http2_conn.c ----------------------------------------------------------------------------- */

/* Sends what every connection of the loop has to say. */
void net_http2_flush(struct net_loop *loop);

/* --- http2_memory.c --------------------------------------------------------------------------- */

void net_http2_spares_free(struct net_http2_spares *spares);

/* --- http1_reply.c ---------------------------------------------------------------------------- */

struct net_framing {
    int status;
    int minor_version;
    bool close;      /* say so */
    bool keep_alive; /* say so: HTTP/1.0 */
    bool no_length;  /* 204, 304, or up to the end of the connection */
    bool chunked;
    bool upgrade; /* 101: say so */
    uint64_t length;
};

/* Status line, the given lines, framing lines, empty line. ERR_NO_SPACE. */
void net_http1_reply_head(struct sbuf *out, const struct net_framing *framing, struct span lines);

static inline const struct net_app *net_conn_app(const struct net_conn *conn)
{
    return conn->door->listener->options.app;
}

#endif
