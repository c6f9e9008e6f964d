/* SPDX-License-Identifier: MIT
 * What the files of issuer/ share. */
#ifndef PC_ISSUER_ISSUER_PRIV_H
#define PC_ISSUER_ISSUER_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "crypto/digest.h"
#include "crypto/jwt.h"
#include "issuer/issuer.h"
#include "json/json.h"
#include "net/net_lookup.h"

enum {
    ISSUER_HOST_BYTES_MAX = 253,
    ISSUER_TEXT_BYTES_MAX = 4 * 1024, /* of the scopes or roles of one token */
};

/* Keys in use; whoever verifies holds a reference while he does. */
struct issuer_keys {
    struct crypto_keyset *set;
    _Atomic size_t refs; /* of an issuer under its lock; the last one frees */
};

/* What came of fetching. */
enum issuer_outcome { ISSUER_FETCHED, ISSUER_SAME, ISSUER_FAILED, ISSUER_OUTCOMES };

struct issuer {
    struct issuer_options options;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct issuer_keys *keys;      /* under lock; NULL: none yet */
    bool stopping;                 /* under lock */
    _Atomic uint32_t epoch;        /* moves when a key was withdrawn, after it has gone */
    _Atomic int64_t good_until_ns; /* monotonic; 0: there were never keys */
    _Atomic int64_t asked_ns;      /* when the last fetch was asked for */
    _Atomic bool fetching;         /* one is due or under way */

    /* The thread's own. */
    pthread_t thread;
    bool has_thread;
    int stop[2];               /* a pipe: readable when it is time to stop */
    struct net_lookup *lookup; /* NULL: the keys are in a file */
    int64_t due_ns;
    unsigned failures;         /* in a row */
    struct crypto_fault fault; /* of the last look */
    unsigned char text_hash[CRYPTO_SHA256_BYTES];
    struct stat seen; /* of the file */
    struct metric_series *outcomes[ISSUER_OUTCOMES];
    struct metric_series *key_count;
    int64_t keys_told; /* our part of it: another one of this name may be on its way out */

    /* In place of the network, for tests. */
    enum err (*fetch)(struct issuer *issuer, struct arena *arena, struct span *ret_text,
                      struct crypto_fault *fault);
};

void issuer_keys_leave(struct issuer_keys *keys);
void issuer_keys_tell(struct issuer *issuer, const struct crypto_keyset *set); /* at /metrics */

/* issuer_keys.c: the usable keys of a JWK set. What is of unknown kind, for encryption, weak or
 * not taken is passed over; a secret, a private key or too many keys refuse the whole, and so does
 * a set of which nothing is left. */
PC_CHECKED enum err issuer_keys_read(struct span text, unsigned algs, enum crypto_alg alg_of_rsa,
                                     struct crypto_keyset **ret_set, struct crypto_fault *fault);
/* Whether `now` lacks a key that `before` had. */
bool issuer_keys_lost(const struct crypto_keyset *before, const struct crypto_keyset *now);

/* issuer_claims.c */

/* The claim of that very name, else the one that the dots lead to; NULL: there is none. */
const struct json_value *issuer_claim_find(const struct json_value *claims, const char *path);
/* NULL, or why the claims do not do. */
const char *issuer_claims_flaw(const struct issuer_options *options,
                               const struct json_value *claims);
/* Writes what the verified token says. ERR_TOKEN_INVALID, ERR_TOKEN_BOUND, ERR_NO_MEMORY. */
PC_CHECKED enum err issuer_claims_take(const struct issuer_options *options,
                                       const struct crypto_jwt *jwt, struct arena *arena,
                                       struct issuer_identity *ret);

/* issuer_turn.c: one look at where the keys come from, if it is due. Returns when the next is. */
int64_t issuer_turn(struct issuer *issuer, int64_t now_ns);
/* An unknown key was seen. True: a fetch is due or under way; false: there was one lately. */
bool issuer_ask(struct issuer *issuer, int64_t now_ns);
void *issuer_thread(void *context);

/* issuer_fetch.c */
struct issuer_url {
    bool tls;
    char host[ISSUER_HOST_BYTES_MAX + 1]; /* without brackets */
    char port[8];
    struct span authority; /* for Host */
    struct span path;      /* "/" at least */
};
PC_CHECKED bool issuer_url_read(const char *text, struct issuer_url *ret);
bool issuer_address_is_private(const struct sockaddr *address);
bool issuer_address_is_loopback(const struct sockaddr *address);
enum err issuer_fetch_url(struct issuer *issuer, struct arena *arena, struct span *ret_text,
                          struct crypto_fault *fault);

#endif
