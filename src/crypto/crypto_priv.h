/* SPDX-License-Identifier: MIT
 * What the files of this folder share and nobody else sees: the key behind its name, the table of
 * algorithms, and closers for OpenSSL's handles. */
#ifndef PC_CRYPTO_PRIV_H
#define PC_CRYPTO_PRIV_H

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/limits.h"
#include "crypto/digest.h"
#include "crypto/key.h"

enum crypto_family { CRYPTO_HMAC, CRYPTO_RSA, CRYPTO_RSA_PSS, CRYPTO_ECDSA, CRYPTO_EDWARDS };

/* One algorithm, all of it. */
struct crypto_alg_row {
    const char *name;  /* as in the header */
    const char *kty;   /* as in a JWK */
    const char *crv;   /* as in a JWK; NULL unless it has curves */
    const char *group; /* OpenSSL's name for the curve or the key type */
    enum crypto_family family;
    enum crypto_hash hash;   /* unused for Edwards curves */
    size_t coordinate_bytes; /* of a curve point; half a signature */
    bool can_sign;
};

const struct crypto_alg_row *crypto_alg_row(enum crypto_alg alg);

/* Whether a header's algorithm is the key's: equal, but that "EdDSA" names two curves. */
static inline bool crypto_alg_fits(enum crypto_alg header, enum crypto_alg key)
{
    return header == key || (header == CRYPTO_EDDSA && key == CRYPTO_ED448);
}

const EVP_MD *crypto_hash_md(enum crypto_hash hash);

enum { CRYPTO_THUMBPRINT_CHARS = 43 };

struct crypto_key {
    _Atomic unsigned references;
    enum crypto_alg alg;
    bool is_private;
    uint64_t vault; /* its number there, where its private half is; 0: here, or nowhere */
    int64_t end_s;  /* of the certificate that it came in; 0: none */
    size_t kid_bytes;
    char kid[CRYPTO_KID_BYTES_MAX];
    char thumbprint[CRYPTO_THUMBPRINT_CHARS + 1];
    struct crypto_hmac hmac; /* HMAC only */
    struct span secret;      /* HMAC only; owned */
    EVP_PKEY *pkey;          /* the others; owned */
    EVP_MD_CTX *signing;     /* begun once, copied for each signature; NULL: cannot */
    EVP_MD_CTX *verifying;
};

/* Takes `pkey` over, also on failure; checks strength and fit and fills in kid and thumbprint. */
PC_CHECKED enum err crypto_key_adopt(EVP_PKEY *pkey, enum crypto_alg alg, bool is_private,
                                     struct span kid, struct crypto_key **ret_key,
                                     struct crypto_fault *fault);

/* A key without a name takes its thumbprint; only before it is shared. */
void crypto_key_name_default(struct crypto_key *key);

/* The required members of the public (or whole symmetric) key in the order of RFC 7638, without
 * the braces: "crv":"P-256","kty":"EC",... */
PC_CHECKED enum err crypto_jwk_members(const struct crypto_key *key, struct sbuf *out);

/* Opens a file that must be ours (or root's) alone; the whole content into `buffer`, which the
 * caller wipes. */
PC_CHECKED enum err crypto_file_read(const char *path, bool secret, char *buffer,
                                     size_t buffer_bytes, struct span *ret_text,
                                     struct crypto_fault *fault);

/* A new file, complete or not at all. ERR_TAKEN when it is there and `force` is not set. */
PC_CHECKED enum err crypto_file_write(const char *path, unsigned mode, bool force, struct span text,
                                      struct crypto_fault *fault);

/* The private key as PKCS #8 PEM into a new file of mode 0600. */
PC_CHECKED enum err crypto_pkey_save(EVP_PKEY *pkey, const char *path, bool force,
                                     struct crypto_fault *fault);

/* The development authority of a folder; both are the caller's, also on failure. */
PC_CHECKED enum err crypto_certs_ca_load(const char *folder, EVP_PKEY **ret_pkey, X509 **ret_ca,
                                         struct crypto_fault *fault);

/* OpenSSL's oldest queued reason as text ("" if none), and an empty queue. */
void crypto_openssl_reason(char *text, size_t text_bytes);

/* Closers for PC_AUTO-like scopes over OpenSSL's types. */
#define CRYPTO_AUTO(type) __attribute__((cleanup(auto_##type))) type *
#define CRYPTO_CLOSER(type)                                                                        \
    static inline void auto_##type(type **handle)                                                  \
    {                                                                                              \
        type##_free(*handle);                                                                      \
    }
CRYPTO_CLOSER(BIO)
CRYPTO_CLOSER(EVP_PKEY)
CRYPTO_CLOSER(EVP_PKEY_CTX)
CRYPTO_CLOSER(EVP_MD_CTX)
CRYPTO_CLOSER(X509)

#endif
