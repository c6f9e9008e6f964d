/* SPDX-License-Identifier: MIT
 * Issuers outside of this program, whose tokens routes to upstreams may take: their keys, from a
 * file or a URL, and the verdict on a token.
 *
 * A thread of each issuer looks after its keys and nothing else ever waits for them: what a token
 * finds is what was fetched last. Keys that cannot be fetched any more stay good for a bound, and
 * then nobody is let in. A key's algorithm comes from its JWK, never from a token.
 *
 * Threads: issuer_new, issuer_start, issuer_free: one. All others: any, at once.
 * Memory:  options and all they point to must outlive the issuer; an identity's texts live in the
 *          arena.
 * Errors:  ERR_TOKEN_... for what the bearer shows; ERR_ISSUER_UNAVAILABLE when nobody can tell.
 * Source:  RFC 7517, RFC 7519, RFC 8725, RFC 8705 3, RFC 9068. See docs/decisions/issuers.md. */
#ifndef PC_ISSUER_ISSUER_H
#define PC_ISSUER_ISSUER_H

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "crypto/key.h"

struct issuer;

/* A claim that a token must have, and of which values. */
struct issuer_claim {
    const char *path; /* "tenant", "realm.name" */
    const struct span *values;
    size_t value_count; /* 0: any value will do */
};

struct issuer_options {
    const char *name; /* ours, for logs and upstreams */
    struct span iss;  /* the claim, exactly */
    const struct span *audiences;
    size_t audience_count;      /* the token must be for one of them */
    unsigned algs;              /* bits of enum crypto_alg that are taken; none is symmetric */
    enum crypto_alg alg_of_rsa; /* of an RSA key whose JWK names none; CRYPTO_ALG_NONE: passed
                                   over */
    const char *path;           /* of the file with the JWK set; NULL: `url` */
    const char *url;            /* https://..., or http:// to this machine */
    const char *ca_path;        /* PEM with the roots of that server; NULL: the system's */
    bool is_public;             /* the server's address must not be a private one */
    const struct issuer_claim *required;
    size_t required_count;
    const char *scope_claim, *roles_claim; /* paths; NULL: none are given */
    int64_t refresh_ns;                    /* from one fetch to the next */
    int64_t stale_ns;    /* how long keys stay good when a fetch is due and fails */
    int64_t cooldown_ns; /* between two fetches that unknown keys ask for */
    int64_t timeout_ns;  /* of a fetch, as a whole */
    size_t bytes_max;    /* of a JWK set */
    int64_t leeway_s;
    const struct clock *clock;
    struct logger *logger;   /* optional */
    struct metrics *metrics; /* optional */
    /* It stands in the place of this one, and begins with its keys when they are fetched from the
     * same place, in the same way; NULL: of none. Only looked at by issuer_new. */
    struct issuer *former;
};

/* What a token says, once it was verified; all of it fits into header lines. */
struct issuer_identity {
    struct span subject;
    struct span client_id; /* client_id, else azp; empty: neither */
    struct span token_id;
    struct span scope, roles; /* names separated by spaces */
    struct span thumbprint;   /* x5t#S256 of the certificate it is bound to; else empty */
    int64_t issued_at_s;      /* 0: not told */
    int64_t expires_at_s;
    uint32_t epoch; /* for issuer_is_fresh */
};

/* Reads a file with keys at once (ERR_KEY with the reason); keys behind a URL come later. */
PC_CHECKED enum err issuer_new(const struct issuer_options *options, struct issuer **ret_issuer,
                               struct crypto_fault *fault);
PC_CHECKED enum err issuer_start(struct issuer *issuer); /* its thread */
void issuer_free(struct issuer *issuer);                 /* accepts NULL; ends the thread */

struct span issuer_iss(const struct issuer *issuer);
const char *issuer_name(const struct issuer *issuer);

/* `now_ns` is monotonic. A key that nobody knows makes the thread fetch the keys, unless it did so
 * lately; until it has, the answer is ERR_ISSUER_UNAVAILABLE. */
PC_CHECKED enum err issuer_verify(struct issuer *issuer, struct span token, int64_t now_s,
                                  int64_t now_ns, struct arena *arena, struct issuer_identity *ret);

/* Whether what was verified under this epoch still holds: no key was withdrawn since, and the keys
 * are not too old. */
PC_CHECKED bool issuer_is_fresh(const struct issuer *issuer, uint32_t epoch, int64_t now_ns);

#endif
