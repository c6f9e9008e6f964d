/* SPDX-License-Identifier: MIT
 * TLS for servers: a context per listener, an object per connection over a non-blocking socket.
 * TLS 1.2 and 1.3 with forward-secret AEAD ciphers only; no renegotiation, no compression.
 *
 * Threads: a context may be used by all loop threads; a connection belongs to one.
 * Memory:  contexts are counted by their connections, so a reload swaps the context and frees the
 *          old one at once. A waiting connection keeps no buffer.
 * Signals: writing to a closed socket returns CRYPTO_TLS_FAILED; SIGPIPE is not raised.
 * Errors:  ERR_CONFIG with the reason in `fault`; ERR_NO_MEMORY.
 * Source:  RFC 8446, RFC 9325 (recommendations), RFC 7301 (ALPN), RFC 4514 (names). */
#ifndef PC_CRYPTO_TLS_H
#define PC_CRYPTO_TLS_H

#include "base/clock.h"
#include "base/err.h"
#include "base/span.h"
#include "crypto/fault.h"

enum crypto_tls_client {
    CRYPTO_TLS_CLIENT_NONE,     /* no certificate is asked for */
    CRYPTO_TLS_CLIENT_OPTIONAL, /* asked for; a bad one ends the handshake, none is let through */
    CRYPTO_TLS_CLIENT_REQUIRED, /* none or a bad one ends the handshake */
};

enum { CRYPTO_TLS_ALPN_MAX = 4 };

struct crypto_tls_options {
    const char *name;      /* the listener's: sessions resume on it alone; required */
    const char *cert_path; /* PEM, the server's own certificate first, then its chain */
    const char *key_path;  /* PEM; NULL: in cert_path */
    enum crypto_tls_client client;
    const char *client_ca_path;            /* PEM with the roots; required unless client is NONE */
    const char *alpn[CRYPTO_TLS_ALPN_MAX]; /* best first, "h2", "http/1.1"; unused ones NULL */
    bool tls13_only;                       /* refuse TLS 1.2 */
    const char *ciphers12;                 /* OpenSSL list for TLS 1.2; NULL: the modern default */
};

struct crypto_tls_context;
struct crypto_tls;

/* Reads the files and checks that they fit together and are valid now. */
PC_CHECKED enum err crypto_tls_context_new(const struct crypto_tls_options *options,
                                           const struct clock *clock,
                                           struct crypto_tls_context **ret_context,
                                           struct crypto_fault *fault);
void crypto_tls_context_free(struct crypto_tls_context *context); /* accepts NULL */
void crypto_tls_context_auto(struct crypto_tls_context **context);

/* When the server certificate ends, seconds since 1970: for a warning and a metric. */
int64_t crypto_tls_context_end_s(const struct crypto_tls_context *context);

enum crypto_tls_state {
    CRYPTO_TLS_DONE,       /* the call did what it should */
    CRYPTO_TLS_WANT_READ,  /* call again, with the same arguments, when the socket is readable */
    CRYPTO_TLS_WANT_WRITE, /* the same when it is writable */
    CRYPTO_TLS_CLOSED,     /* the peer said goodbye (close_notify); reads end here */
    CRYPTO_TLS_FAILED,     /* the connection is broken: close the socket */
};

/* The verified client certificate. Every span is empty when there was none. */
struct crypto_tls_peer {
    struct span subject;    /* RFC 4514 text, most specific name first */
    struct span cn;         /* UTF-8, empty unless there is exactly one */
    struct span thumbprint; /* SHA-256 of the DER, base64url (x5t#S256 of RFC 8705) */
};

/* The socket stays the caller's: it closes it after crypto_tls_free. */
PC_CHECKED enum err crypto_tls_new(struct crypto_tls_context *context, int fd,
                                   struct crypto_tls **ret_tls);
void crypto_tls_free(struct crypto_tls *tls); /* accepts NULL */

PC_CHECKED enum crypto_tls_state crypto_tls_handshake(struct crypto_tls *tls);

/* Up to `bytes` into `buffer`; *ret_bytes > 0 on DONE. Read until WANT_READ: what TLS has already
 * decoded is not seen by poll. */
PC_CHECKED enum crypto_tls_state crypto_tls_read(struct crypto_tls *tls, void *buffer, size_t bytes,
                                                 size_t *ret_bytes);

/* Takes some of the bytes; *ret_bytes > 0 on DONE. After WANT_* the repeated call may pass another
 * buffer that starts with the same bytes and is at least as long. */
PC_CHECKED enum crypto_tls_state crypto_tls_write(struct crypto_tls *tls, const void *data,
                                                  size_t bytes, size_t *ret_bytes);

/* Sends close_notify; does not wait for the peer's. */
PC_CHECKED enum crypto_tls_state crypto_tls_shutdown(struct crypto_tls *tls);

/* Bytes decoded and not yet read. */
size_t crypto_tls_pending(const struct crypto_tls *tls);

/* After the handshake. The spans live as long as the connection. */
const struct crypto_tls_peer *crypto_tls_peer(const struct crypto_tls *tls);
struct span crypto_tls_alpn(const struct crypto_tls *tls);    /* empty when none was agreed */
const char *crypto_tls_version(const struct crypto_tls *tls); /* "TLSv1.3" */
const char *crypto_tls_cipher(const struct crypto_tls *tls);
bool crypto_tls_resumed(const struct crypto_tls *tls);

/* Why it FAILED, for the log; "" if it did not. */
const char *crypto_tls_reason(const struct crypto_tls *tls);

#endif
