/* SPDX-License-Identifier: MIT
 * JSON Web Tokens: a signed set of claims, and the rules it must keep. Rules left at zero are the
 * strict ones: a token must name its issuer, its subject and its end, and must not name an audience
 * or a type that nobody asked for.
 *
 * Threads: pure; rules and keys may be shared.
 * Memory:  a crypto_jwt points into the arena and into `compact`.
 * Units:   seconds since 1970.
 * Errors:  ERR_TOKEN_EXPIRED only for an otherwise perfect token whose time is over;
 *          ERR_TOKEN_INVALID for every other refusal; ERR_NO_MEMORY when the arena is full.
 * Source:  RFC 7519, RFC 8725, RFC 9068 (typ at+jwt). */
#ifndef PC_CRYPTO_JWT_H
#define PC_CRYPTO_JWT_H

#include "crypto/jose.h"

enum { CRYPTO_LEEWAY_S_MAX = 300 };

struct crypto_jwt_rules {
    struct span iss;    /* must equal the claim; empty refuses every token unless iss_any */
    struct span aud;    /* must be (among) the claim; empty: the token must have none */
    struct span typ;    /* must equal the header, case-insensitive, "application/" left out; empty:
                           absent or "JWT" */
    int64_t leeway_s;   /* for exp, nbf and iat; 0..CRYPTO_LEEWAY_S_MAX */
    int64_t life_s_max; /* exp - iat at most this, and iat is then required; 0: no bound */
    bool iss_any;       /* do not look at iss (the caller chose the key by it) */
    bool aud_any;       /* do not look at aud */
    bool aud_single;    /* a string, not a list (client assertions) */
    bool typ_any;       /* do not look at typ */
    bool typ_optional;  /* the right typ or none */
    bool exp_optional;  /* a token without end is let through */
    bool sub_optional;  /* a token without subject is let through */
    bool jti_required;  /* a token without id is refused */
};

struct crypto_jwt {
    const struct json_value *claims;
    struct crypto_jws jws;
    struct span iss, sub, jti; /* empty when absent */
    int64_t exp_s;             /* INT64_MAX when absent */
    int64_t nbf_s;             /* 0 when absent */
    int64_t iat_s;             /* 0 when absent */
};

/* Checks form, signature, then claims, in that order. `ret_why` may be NULL. */
PC_CHECKED enum err crypto_jwt_verify(const struct crypto_keyset *keys,
                                      const struct crypto_jwt_rules *rules, struct span compact,
                                      int64_t now_s, struct arena *arena,
                                      struct crypto_jwt *ret_jwt, const char **ret_why);

/* Header and claims of a compact token as they stand, without any check of who wrote them: only to
 * choose the verifier. ERR_TOKEN_INVALID when the form is not whole. */
PC_CHECKED enum err crypto_jwt_peek(struct span compact, struct arena *arena,
                                    const struct json_value **ret_header,
                                    const struct json_value **ret_claims);

/* Signs a JSON object of claims; `typ` as in the rules ("JWT", "at+jwt"). */
PC_CHECKED enum err crypto_jwt_sign(const struct crypto_signer *signer, struct span typ,
                                    struct span claims_json, struct sbuf *out);

#endif
