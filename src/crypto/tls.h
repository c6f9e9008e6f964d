/* SPDX-License-Identifier: MIT
 * TLS over non-blocking sockets: a context per listener or upstream, an object per connection.
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

enum { CRYPTO_TLS_ALPN_MAX = 4, CRYPTO_TLS_CERTIFICATES_MAX = 64 };

/* A further certificate of a listener. */
struct crypto_tls_identity {
    const char *cert_path;
    const char *key_path; /* NULL: in cert_path */
};

struct crypto_tls_options {
    const char *name;      /* the listener's: sessions resume on it alone; required */
    const char *cert_path; /* PEM, the server's own certificate first, then its chain */
    const char *key_path;  /* PEM; NULL: in cert_path */
    const struct crypto_tls_identity *others; /* shown to clients that ask for a name in them */
    size_t other_count;                       /* fewer than CRYPTO_TLS_CERTIFICATES_MAX */
    enum crypto_tls_client client;
    const char *client_ca_path;  /* PEM with the roots; required unless client is NONE */
    const char *client_crl_path; /* PEM, a list of each of them; NULL: none is looked at */
    const char *alpn[CRYPTO_TLS_ALPN_MAX]; /* best first, "h2", "http/1.1"; unused ones NULL */
    bool tls13_only;                       /* refuse TLS 1.2 */
    const char *ciphers12;                 /* OpenSSL list for TLS 1.2; NULL: the modern default */
};

/* Towards a server. Its certificate is verified, unless `unverified`. */
struct crypto_tls_client_options {
    const char *host;      /* what the certificate must be for, and asked for (SNI) if it is a name;
                              a literal address must stand in the certificate as one; required */
    const char *ca_path;   /* PEM with the roots; NULL: the system's */
    const char *crl_path;  /* PEM, a list of each authority; NULL: none is looked at */
    const char *cert_path; /* PEM, ours, for servers that ask who we are; NULL: none */
    const char *key_path;  /* PEM; NULL: in cert_path */
    const struct clock *clock; /* NULL: clock_system */
    bool unverified;           /* any certificate, of anybody, at any time: for tests */
    bool tls13_only;
};

struct crypto_tls_context;
struct crypto_tls;

/* Reads the files and checks that they fit together and are valid now. The clock outlives the
 * context. */
PC_CHECKED enum err crypto_tls_context_new(const struct crypto_tls_options *options,
                                           const struct clock *clock,
                                           struct crypto_tls_context **ret_context,
                                           struct crypto_fault *fault);
/* The same for connections to one server. No ALPN is offered. The last session is kept and offered
 * to the next connection, while the server's certificate is valid and for an hour after the whole
 * handshake that it began with. */
PC_CHECKED enum err crypto_tls_client_context_new(const struct crypto_tls_client_options *options,
                                                  struct crypto_tls_context **ret_context,
                                                  struct crypto_fault *fault);
/* A further server, with the same roots and certificate of ours; sessions stay apart. ERR_CONFIG
 * when `host` cannot be the name of one. */
PC_CHECKED enum err crypto_tls_client_context_for(const struct crypto_tls_context *client,
                                                  const char *host,
                                                  struct crypto_tls_context **ret_context);
/* The same context once more, to be freed once more. */
struct crypto_tls_context *crypto_tls_context_share(struct crypto_tls_context *context);
void crypto_tls_context_free(struct crypto_tls_context *context); /* accepts NULL */
void crypto_tls_context_auto(struct crypto_tls_context **context);

/* Does a certificate of the listener hold this name or address (without port or brackets)? */
bool crypto_tls_context_covers(const struct crypto_tls_context *context, struct span host);

/* When the first of its certificates ends, seconds since 1970: for a warning and a metric. */
int64_t crypto_tls_context_end_s(const struct crypto_tls_context *context);

enum crypto_tls_state {
    CRYPTO_TLS_DONE,       /* the call did what it should */
    CRYPTO_TLS_WANT_READ,  /* call again, with the same arguments, when the socket is readable */
    CRYPTO_TLS_WANT_WRITE, /* the same when it is writable */
    CRYPTO_TLS_CLOSED,     /* the peer said goodbye (close_notify); reads end here */
    CRYPTO_TLS_FAILED,     /* the connection is broken: close the socket */
};

/* The verified client certificate. Every span is empty when there was none, and towards a server.
 */
struct crypto_tls_peer {
    struct span subject;    /* RFC 4514 text, most specific name first */
    struct span cn;         /* UTF-8, empty unless there is exactly one */
    struct span thumbprint; /* SHA-256 of the DER, base64url (x5t#S256 of RFC 8705) */
};

/* Accepts or, with a client's context, connects. The socket stays the caller's: it closes it after
 * crypto_tls_free. */
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

/* Whether bytes were taken from the socket and not yet read, decoded or not: they may be less than
 * a record, so it is worth another read only when the last one did not wait. */
bool crypto_tls_pending(const struct crypto_tls *tls);

/* After the handshake. The spans live as long as the connection. */
const struct crypto_tls_peer *crypto_tls_peer(const struct crypto_tls *tls);
struct span crypto_tls_alpn(const struct crypto_tls *tls);    /* empty when none was agreed */
const char *crypto_tls_version(const struct crypto_tls *tls); /* "TLSv1.3" */
const char *crypto_tls_cipher(const struct crypto_tls *tls);
bool crypto_tls_resumed(const struct crypto_tls *tls);

/* Why it FAILED, for the log; "" if it did not. */
const char *crypto_tls_reason(const struct crypto_tls *tls);
/* It FAILED by what was said (a certificate, an alert, no common ground), or before it was agreed;
 * not because the socket broke later. */
bool crypto_tls_is_refused(const struct crypto_tls *tls);

#endif
