/* SPDX-License-Identifier: MIT
 * What a TLS context and its connections know of each other. Within the folder only. */
#ifndef PC_CRYPTO_TLS_PRIV_H
#define PC_CRYPTO_TLS_PRIV_H

#include <pthread.h>

#include <openssl/ssl.h>

#include "crypto/crypto_priv.h"
#include "crypto/tls.h"

enum { CRYPTO_TLS_ALPN_BYTES = 64, CRYPTO_TLS_SESSION_LIFE_S = 3600 };

/* tls_names.c: what a client may ask for, sorted. */
struct crypto_tls_name;
struct crypto_tls_names {
    struct crypto_tls_name *list;
    size_t count;
};

/* tls_ticket.c */
struct crypto_tls_ticket_key {
    unsigned char name[16];
    unsigned char cipher[32];
    unsigned char mac[32];
    int64_t made_s; /* monotonic */
    bool is_made;
};
struct crypto_tls_tickets {
    pthread_mutex_t lock;
    const struct clock *clock;
    struct crypto_tls_ticket_key keys[2]; /* the newer one first */
};

struct crypto_tls_context {
    _Atomic unsigned references; /* the owner's and one for each connection */
    SSL_CTX *ssl;
    SSL_CTX *others[CRYPTO_TLS_CERTIFICATES_MAX - 1]; /* of a listener's further certificates */
    size_t other_count;
    struct crypto_tls_names names;      /* in all of its certificates */
    struct crypto_tls_tickets *tickets; /* of a listener */
    int64_t end_s;
    const struct clock *clock; /* of sessions with it */
    char *host;                /* of the server to connect to; NULL: we are the server */
    pthread_mutex_t lock;      /* of `session` */
    SSL_SESSION *session;      /* the last one with that server, for the next; NULL: none */
    size_t alpn_bytes;
    unsigned char alpn[CRYPTO_TLS_ALPN_BYTES]; /* names with their lengths before them */
};

/* Versions, groups and ciphers, for both sides. False with OpenSSL's reason. */
PC_CHECKED bool crypto_tls_rules_use(SSL_CTX *ssl, bool tls13_only);
/* Sets the fault to the path, what is wrong, and OpenSSL's reason; ERR_CONFIG. */
PC_CHECKED enum err crypto_tls_fault(struct crypto_fault *fault, const char *path,
                                     const char *what);

/* The certificate with its chain, and the key, of one side. *ret_end_s is when it ends. */
PC_CHECKED enum err crypto_tls_identity_use(SSL_CTX *ssl, const char *cert_path,
                                            const char *key_path, const struct clock *clock,
                                            int64_t *ret_end_s, struct crypto_fault *fault);

/* Adds what the listener's certificate number `which` is for. */
PC_CHECKED enum err crypto_tls_names_add(struct crypto_tls_names *names, const X509 *certificate,
                                         size_t which);
void crypto_tls_names_sort(struct crypto_tls_names *names);
bool crypto_tls_names_find(const struct crypto_tls_names *names, struct span host,
                           size_t *ret_which);
void crypto_tls_names_free(struct crypto_tls_names *names);
/* All were added: clients are shown what they ask for. */
void crypto_tls_names_use(struct crypto_tls_context *context);

PC_CHECKED enum err crypto_tls_tickets_new(const struct clock *clock,
                                           struct crypto_tls_tickets **ret);
void crypto_tls_tickets_free(struct crypto_tls_tickets *tickets); /* accepts NULL */
PC_CHECKED bool crypto_tls_tickets_use(struct crypto_tls_context *context, SSL_CTX *ssl);

/* Certificates that this context verifies must not be on a list of the file. */
PC_CHECKED enum err crypto_tls_crl_use(SSL_CTX *ssl, const char *path, const struct clock *clock,
                                       struct crypto_fault *fault);

/* An empty context with one reference. ERR_NO_MEMORY. */
PC_CHECKED enum err crypto_tls_context_make(const SSL_METHOD *method,
                                            struct crypto_tls_context **ret_context);

/* Asks for, and insists on, the server of the context. False without memory. */
PC_CHECKED bool crypto_tls_client_use(SSL *ssl, struct crypto_tls_context *context);
/* A handshake failed: the next one begins anew. */
void crypto_tls_client_forget(struct crypto_tls_context *context);

/* A BIO over a socket that is not closed with it; NULL when out of memory. */
BIO *crypto_tls_bio(int fd);

/* Reads the certificate that the peer proved to own. *ret_peer stays NULL when there is none; else
 * it is one block for crypto_tls_peer_free. */
PC_CHECKED enum err crypto_tls_peer_read(SSL *ssl, struct crypto_tls_peer **ret_peer,
                                         const char **ret_why);

CRYPTO_CLOSER(SSL_CTX)

#endif
