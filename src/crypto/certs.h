/* SPDX-License-Identifier: MIT
 * Certificates for development: a certificate authority of one's own, a server certificate for this
 * machine and client certificates for its services, so that HTTPS and mutual TLS can be tried with
 * one command. Not for production: there, certificates come from the operator's own authority.
 *
 * Threads: any.    Memory: nothing is kept.    Errors: ERR_TAKEN when a file is there and `force`
 * is not set; ERR_IO, ERR_KEY; the reason is in `fault`.    Source: RFC 5280. */
#ifndef PC_CRYPTO_CERTS_H
#define PC_CRYPTO_CERTS_H

#include "base/clock.h"
#include "base/err.h"
#include "base/span.h"
#include "crypto/fault.h"

enum { CRYPTO_CERTS_NAMES_MAX = 32, CRYPTO_CERTS_DAYS = 365 };

/* Lists end with NULL and may be NULL. Names are letters, digits, '.', '-' and '_', a server's with
 * "*." in front if need be; all are looked at before anything is written. */
struct crypto_certs_options {
    const char *folder;       /* made with mode 0700 when it is missing */
    const char *const *names; /* of the server, beside localhost, its addresses and the host name */
    const char *const *clients; /* common names of client certificates, and their files' names */
    const char *const *servers; /* names of further servers, one certificate each, and its files */
    const struct clock *clock;
    int64_t days; /* how long the certificates last; 0: 365 */
    bool force;   /* replace what is there */
};

/* Writes ca.crt, ca.key, server.crt (with the CA behind it), server.key and NAME.crt, NAME.key for
 * each client and each further server. Keys are EC P-256, PKCS #8, mode 0600. A CA that is there is
 * used again unless forced. ERR_USAGE for a name that cannot be one. */
PC_CHECKED enum err crypto_certs_make(const struct crypto_certs_options *options,
                                      struct crypto_fault *fault);

/* Writes ca.crl, the list of what is revoked, over the former one: what was on it, and the
 * certificates of these names (closed by NULL; may be NULL). It lasts as long as certificates do.
 */
PC_CHECKED enum err crypto_certs_revoke(const struct crypto_certs_options *options,
                                        const char *const *names, struct crypto_fault *fault);

#endif
