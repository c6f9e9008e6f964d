/* SPDX-License-Identifier: MIT
 * libFuzzer: arbitrary bytes as a token, as claims, as a key set and as base64url. Whatever comes
 * in, nothing crashes, and nothing but the token we signed ourselves is ever valid.
 *
 * The first byte chooses: a token; claims that are signed first, so that the rules are reached; a
 * JWK set; base64url that must round-trip. */
#include <stdlib.h>
#include <string.h>

#include "crypto/digest.h"
#include "crypto/jwt.h"

enum { TEXT_BYTES_MAX = 32 * 1024, ARENA_BYTES_MAX = 1024 * 1024 };

static struct crypto_keyset *keys;
static struct crypto_signer signer;
static const struct crypto_jwt_rules lenient = {
    .iss_any = true, .aud_any = true, .typ_any = true, .exp_optional = true, .sub_optional = true};
static const struct crypto_jwt_rules strict = {
    .iss = SPAN("https://issuer"), .aud = SPAN("api"), .life_s_max = 600, .leeway_s = 30};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct crypto_key *key;

    (void)argc, (void)argv;
    PC_ASSERT(crypto_keyset_new(&keys) == ERR_OK);
    PC_ASSERT(crypto_key_generate(CRYPTO_HS256, (struct span){0}, &key) == ERR_OK);
    PC_ASSERT(crypto_keyset_add(keys, key) == ERR_OK);
    PC_ASSERT(crypto_signer_local(key, &signer) == ERR_OK);
    crypto_key_free(key);
    return 0;
}

static void verify(struct span compact, bool ours)
{
    const struct json_value *header, *claims;
    const char *why = NULL;
    struct crypto_jwt jwt;
    struct arena arena;

    arena_init(&arena, NULL, 0, ARENA_BYTES_MAX);
    if (crypto_jwt_verify(keys, &lenient, compact, 1000000, &arena, &jwt, &why) == ERR_OK)
        PC_ASSERT(ours && crypto_jwt_peek(compact, &arena, &header, &claims) == ERR_OK);
    else
        PC_ASSERT(why != NULL);
    if (crypto_jwt_verify(keys, &strict, compact, 1000000, &arena, &jwt, NULL) == ERR_OK)
        PC_ASSERT(ours && jwt.exp_s > 999970 && jwt.sub.len > 0);
    arena_reset(&arena);
}

static void sign_and_verify(struct span claims)
{
    static char text[TEXT_BYTES_MAX];
    struct sbuf out = sbuf_over(text, sizeof(text));

    if (crypto_jws_sign(&signer, SPAN_OF("JWT"), claims, &out) == ERR_OK)
        verify(sbuf_span(&out), true);
}

static void read_set(struct span text)
{
    static char written[TEXT_BYTES_MAX];
    PC_AUTO(crypto_keyset) set = NULL;
    PC_AUTO(crypto_keyset) again = NULL;
    struct sbuf out = sbuf_over(written, sizeof(written));

    if (crypto_keyset_from_jwks(text, CRYPTO_ALG_NONE, &set, NULL) != ERR_OK)
        return;
    if (crypto_jwks_add(&out, set) == ERR_OK)
        PC_ASSERT(crypto_keyset_from_jwks(sbuf_span(&out), CRYPTO_ALG_NONE, &again, NULL) ==
                  ERR_OK);
}

static void round_trip(struct span text)
{
    static char data[TEXT_BYTES_MAX], back[TEXT_BYTES_MAX];
    struct sbuf out = sbuf_over(back, sizeof(back));
    size_t bytes;

    if (crypto_base64url_decode(text, data, sizeof(data), &bytes) != ERR_OK)
        return;
    crypto_base64url_add(&out, span_make(data, bytes));
    PC_ASSERT(out.full || span_equal(sbuf_span(&out), text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct span rest;

    if (bytes == 0 || bytes > TEXT_BYTES_MAX / 2)
        return 0;
    rest = span_make(data + 1, bytes - 1);
    switch (data[0] % 4) {
    case 0:
        verify(rest, false);
        break;
    case 1:
        sign_and_verify(rest);
        break;
    case 2:
        read_set(rest);
        break;
    default:
        round_trip(rest);
    }
    return 0;
}
