/* SPDX-License-Identifier: MIT
 * What a TLS context and its connections know of each other. Within the folder only. */
#ifndef PC_CRYPTO_TLS_PRIV_H
#define PC_CRYPTO_TLS_PRIV_H

#include <openssl/ssl.h>

#include "crypto/crypto_priv.h"
#include "crypto/tls.h"

enum { CRYPTO_TLS_ALPN_BYTES = 64 };

struct crypto_tls_context {
    _Atomic unsigned references; /* the owner's and one for each connection */
    SSL_CTX *ssl;
    int64_t end_s;
    size_t alpn_bytes;
    unsigned char alpn[CRYPTO_TLS_ALPN_BYTES]; /* names with their lengths before them */
};

struct crypto_tls_context *crypto_tls_context_share(struct crypto_tls_context *context);

/* A BIO over a socket that is not closed with it; NULL when out of memory. */
BIO *crypto_tls_bio(int fd);

/* Reads the certificate that the peer proved to own. *ret_peer stays NULL when there is none; else
 * it is one block for crypto_tls_peer_free. */
PC_CHECKED enum err crypto_tls_peer_read(SSL *ssl, struct crypto_tls_peer **ret_peer,
                                         const char **ret_why);

CRYPTO_CLOSER(SSL_CTX)

#endif
