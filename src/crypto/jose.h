/* SPDX-License-Identifier: MIT
 * JSON Web Signatures in compact form, strictly. There is one way to read a token: three parts of
 * canonical base64url, a header that is one JSON object without repeated members, an algorithm that
 * equals the key's. Whatever asks for something else (crit, b64, zip, jku, jwk, x5c, x5u) is
 * refused, never guessed at.
 *
 * Threads: pure; keys and sets may be shared.    Memory: results live in the arena or in `compact`.
 * Errors:  ERR_TOKEN_INVALID with the reason; ERR_NO_MEMORY when the arena is full.
 * Source:  RFC 7515, RFC 8725 3, RFC 7797 (refused). */
#ifndef PC_CRYPTO_JOSE_H
#define PC_CRYPTO_JOSE_H

#include "crypto/jwk.h"
#include "crypto/signer.h"

struct crypto_jws {
    enum crypto_alg alg;
    struct span kid;                 /* empty when absent */
    struct span typ;                 /* empty when absent */
    struct span cty;                 /* empty when absent */
    struct span payload;             /* decoded, in the arena */
    const struct json_value *header; /* the whole header */
    const struct crypto_key *key;    /* the key that verified it */
};

/* Appends the compact form. `typ` may be empty. ERR_NO_SPACE if it did not fit. */
PC_CHECKED enum err crypto_jws_sign(const struct crypto_signer *signer, struct span typ,
                                    struct span payload, struct sbuf *out);

/* Exactly one key fits a header: by kid when the token names one, else by algorithm. Several keys
 * that fit are each tried. `ret_why` may be NULL; it is a static sentence for the log. */
PC_CHECKED enum err crypto_jws_verify(const struct crypto_keyset *keys, struct span compact,
                                      struct arena *arena, struct crypto_jws *ret_jws,
                                      const char **ret_why);

/* With one key. A kid in the header must equal the key's, when it has one. */
PC_CHECKED enum err crypto_jws_verify_key(const struct crypto_key *key, struct span compact,
                                          struct arena *arena, struct crypto_jws *ret_jws,
                                          const char **ret_why);

/* Reads a token as strictly as the two above and looks at no key: nothing in it is true yet, and
 * ret_jws->key stays NULL. For choosing who verifies it. `ret_why` may be NULL. */
PC_CHECKED enum err crypto_jws_peek(struct span compact, struct arena *arena,
                                    struct crypto_jws *ret_jws, const char **ret_why);

#endif
