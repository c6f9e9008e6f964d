/* SPDX-License-Identifier: MIT
 * Secrets of clients. They have 256 random bits, so one fast keyed hash keeps them; the slow one is
 * for what people think up. The key is the row's own: equal secrets look different. */
#include "base/alloc.h"
#include "crypto/digest.h"
#include "oauth/oauth_priv.h"

#include <string.h>

_Static_assert((int)OAUTH_HASH_BYTES == (int)CRYPTO_SHA256_BYTES, "the hash is HMAC-SHA256");

static void keyed_hash(const unsigned char key[OAUTH_HASH_BYTES], struct span text,
                       unsigned char ret_hash[OAUTH_HASH_BYTES])
{
    unsigned char tag[CRYPTO_HASH_BYTES_MAX];
    struct crypto_hmac hmac;

    crypto_hmac_init(&hmac, CRYPTO_SHA256, span_make(key, OAUTH_HASH_BYTES));
    crypto_hmac_sign(&hmac, text, tag);
    crypto_hmac_wipe(&hmac);
    memcpy(ret_hash, tag, OAUTH_HASH_BYTES);
}

bool oauth_secret_matches(const struct oauth_secret *secret, struct span text)
{
    unsigned char hash[OAUTH_HASH_BYTES];
    bool equal;

    keyed_hash(secret->key, text, hash);
    equal = span_equal_secret(span_make(hash, sizeof(hash)),
                              span_make(secret->hash, sizeof(secret->hash)));
    return equal && secret->set;
}

enum err oauth_secret_of(const struct random_source *random, struct span text,
                         struct oauth_secret *ret_secret)
{
    struct oauth_secret secret = {.set = true};

    random_fill(random, secret.key, sizeof(secret.key));
    keyed_hash(secret.key, text, secret.hash);
    *ret_secret = secret;
    return ERR_OK;
}

enum err oauth_secret_make(const struct random_source *random,
                           char ret_text[OAUTH_SECRET_TEXT_BYTES], struct oauth_secret *ret_secret)
{
    struct sbuf out = sbuf_over(ret_text, OAUTH_SECRET_TEXT_BYTES);
    unsigned char raw[OAUTH_TOKEN_RAW_BYTES];

    random_fill(random, raw, sizeof(raw));
    crypto_base64url_add(&out, span_make(raw, sizeof(raw)));
    alloc_wipe(raw, sizeof(raw));
    PC_ASSERT(!out.full && out.len == OAUTH_SECRET_TEXT_BYTES);
    return oauth_secret_of(random, sbuf_span(&out), ret_secret);
}
