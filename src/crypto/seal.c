/* SPDX-License-Identifier: MIT
 * AES-256-GCM through OpenSSL's EVP: nonce, ciphertext, tag, in this order. */
#include "crypto/seal.h"

#include <openssl/evp.h>

#include "base/alloc.h"

enum { NONCE_BYTES = 12, TAG_BYTES = 16, SEAL_BYTES_MAX = 1 << 20 };

static bool seal_into(EVP_CIPHER_CTX *ctx, const unsigned char *key, struct span plain,
                      unsigned char *out)
{
    unsigned char *text = out + NONCE_BYTES;
    int len;
    int rest;

    return EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, out) == 1 &&
           EVP_EncryptUpdate(ctx, text, &len, (const unsigned char *)plain.ptr, (int)plain.len) ==
               1 &&
           EVP_EncryptFinal_ex(ctx, text + len, &rest) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, text + plain.len) == 1;
}

enum err crypto_seal(const unsigned char key[CRYPTO_SEAL_KEY_BYTES], struct span plain,
                     const struct random_source *random, struct arena *arena,
                     struct span *ret_sealed)
{
    size_t bytes = plain.len + CRYPTO_SEAL_EXTRA_BYTES;
    unsigned char *out;
    EVP_CIPHER_CTX *ctx;
    bool done;

    PC_ASSERT(plain.len > 0 && plain.len <= SEAL_BYTES_MAX);
    out = arena_alloc(arena, bytes);
    ctx = EVP_CIPHER_CTX_new();
    if (out == NULL || ctx == NULL) {
        EVP_CIPHER_CTX_free(ctx);
        return ERR_NO_MEMORY;
    }
    random_fill(random, out, NONCE_BYTES);
    done = seal_into(ctx, key, plain, out);
    EVP_CIPHER_CTX_free(ctx);
    if (!done)
        return ERR_NO_MEMORY;
    *ret_sealed = span_make(out, bytes);
    return ERR_OK;
}

static bool unseal_into(EVP_CIPHER_CTX *ctx, const unsigned char *key, struct span sealed,
                        unsigned char *out, size_t bytes)
{
    const unsigned char *in = (const unsigned char *)sealed.ptr;
    unsigned char tag[TAG_BYTES];
    int len;
    int rest;

    for (size_t i = 0; i < TAG_BYTES; i++)
        tag[i] = in[NONCE_BYTES + bytes + i];
    return EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, in) == 1 &&
           EVP_DecryptUpdate(ctx, out, &len, in + NONCE_BYTES, (int)bytes) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag) == 1 &&
           EVP_DecryptFinal_ex(ctx, out + len, &rest) == 1;
}

enum err crypto_unseal(const unsigned char key[CRYPTO_SEAL_KEY_BYTES], struct span sealed,
                       struct arena *arena, struct span *ret_plain)
{
    size_t bytes;
    unsigned char *out;
    EVP_CIPHER_CTX *ctx;
    bool done;

    if (sealed.len <= CRYPTO_SEAL_EXTRA_BYTES || sealed.len > SEAL_BYTES_MAX)
        return ERR_KEY;
    bytes = sealed.len - CRYPTO_SEAL_EXTRA_BYTES;
    out = arena_alloc(arena, bytes);
    ctx = EVP_CIPHER_CTX_new();
    if (out == NULL || ctx == NULL) {
        EVP_CIPHER_CTX_free(ctx);
        return ERR_NO_MEMORY;
    }
    done = unseal_into(ctx, key, sealed, out, bytes);
    EVP_CIPHER_CTX_free(ctx);
    if (!done) {
        alloc_wipe(out, bytes);
        return ERR_KEY;
    }
    *ret_plain = span_make(out, bytes);
    return ERR_OK;
}
