/* SPDX-License-Identifier: MIT
 * The signer that has its key in this process. */
#include "crypto/signer.h"

#include "crypto/jwk.h"

static enum err local_sign(void *context, struct span data,
                           unsigned char ret_signature[CRYPTO_SIGNATURE_BYTES_MAX],
                           size_t *ret_bytes)
{
    return crypto_key_sign(context, data, ret_signature, ret_bytes);
}

static enum err local_publish(void *context, struct sbuf *out)
{
    return crypto_jwk_add(out, context, CRYPTO_JWK_PUBLIC);
}

enum err crypto_signer_local(struct crypto_key *key, struct crypto_signer *ret_signer)
{
    if (!crypto_key_is_private(key))
        return ERR_KEY;
    *ret_signer = (struct crypto_signer){
        .alg = crypto_key_alg(key),
        .kid = crypto_key_kid(key),
        .sign = local_sign,
        .publish = local_publish,
        .context = key,
    };
    return ERR_OK;
}
