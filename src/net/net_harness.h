/* SPDX-License-Identifier: MIT
 * For the tests of net/: a server whose application does what the path asks for, and a client that
 * speaks in raw bytes.
 *
 * Paths: /hello, /echo, /close, /status/NNN, /early, /later, /paused, /continue, /pieces, /told,
 *        /short, /over, /large, /flood, /abort, /never, /peer, /lines, /long, /held (paused until
 * net_harness_resume). A refusal is answered with its status and err_slug as the body. */
#ifndef PC_NET_HARNESS_H
#define PC_NET_HARNESS_H

#include <stdatomic.h>

#include "net/net.h"

enum {
    HARNESS_LARGE_BYTES = 3 * 1024 * 1024, /* of /large, one body; of /flood, in pieces */
    HARNESS_LATER_MS = 30,
};

struct net_harness {
    struct net_server *server;
    struct net_listener *listener;
    _Atomic int told;     /* heads and refusals */
    _Atomic int recycled; /* must be the same in the end */
    _Atomic int gone;
    _Atomic int starved; /* how often /flood had to wait */
    _Atomic int64_t body_bytes;
    struct net_stream *held; /* loop thread */
    struct net_task resume;
};

/* `tls` may be NULL; options.loops is 1 when 0. */
void net_harness_start(struct net_harness *harness, const struct net_server_options *options,
                       struct crypto_tls_context *tls);
/* The same in clear, and for HTTP/2 alone. */
void net_harness_start_http2(struct net_harness *harness, const struct net_server_options *options);
/* What it answers with. */
const struct net_app *net_harness_app(void);
/* Asserts that every stream was recycled. */
void net_harness_stop(struct net_harness *harness);

/* Goes on with /held. */
void net_harness_resume(struct net_harness *harness);

/* A connected socket whose reads and writes wait at most 10 s. */
int net_harness_connect(struct net_harness *harness);
/* The same in two steps. */
int net_harness_socket(void);
void net_harness_connect_with(struct net_harness *harness, int fd);
/* The same over a socketpair that the server adopts. */
int net_harness_pair(struct net_harness *harness);

void net_client_send(int fd, struct span bytes);
/* The next bytes are exactly these. */
void net_client_expect(int fd, struct span bytes);
/* Up to the end of the connection, which must come without a reset. */
struct span net_client_rest(int fd, char *buffer, size_t bytes);
/* The server hung up, with nothing more said. */
void net_client_expect_end(int fd);

/* Waits until *counter is at least `value`, 10 s at most. */
void net_harness_wait(_Atomic int *counter, int value);
void net_harness_wait_conns(struct net_harness *harness, size_t count);
int64_t net_harness_ms(void); /* for measuring */

#endif
