/* SPDX-License-Identifier: MIT
 * An issuer outside of the program, and what its signatures cost to verify:
 *
 *     issued ALGORITHM ISSUER AUDIENCE COUNT JWKS TOKENS
 *
 * makes a key, writes its public part as a JWK set and COUNT tokens that differ in their subject,
 * one a line, then verifies each signature once, and prints the processor time that took:
 * microseconds for one, by libcrypto as the program calls it and with nothing around it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/digest.h"
#include "crypto/jwk.h"
#include "crypto/jwt.h"

enum { TOKEN_BYTES = 1024, JWKS_BYTES = 4096, LIFE_S = 86400 };

static char *tokens;

static void must(bool good, const char *what)
{
    if (good)
        return;
    (void)fprintf(stderr, "issued: %s\n", what);
    exit(1);
}

static char *token_at(size_t i)
{
    return tokens + i * TOKEN_BYTES;
}

static void publish(struct crypto_key *key, const char *path)
{
    static char text[JWKS_BYTES];
    struct sbuf out = sbuf_over(text, sizeof(text));
    struct crypto_keyset *set;
    struct span jwks;
    FILE *file = fopen(path, "w");

    must(file != NULL, path);
    must(crypto_keyset_new(&set) == ERR_OK && crypto_keyset_add(set, key) == ERR_OK, "the set");
    must(crypto_jwks_add(&out, set) == ERR_OK && sbuf_finish(&out, &jwks) == ERR_OK, "the set");
    must(fwrite(jwks.ptr, 1, jwks.len, file) == jwks.len && fclose(file) == 0, path);
    crypto_keyset_free(set);
}

static void issue(struct crypto_key *key, const char *iss, const char *aud, size_t i)
{
    struct crypto_signer signer;
    struct sbuf out = sbuf_over(token_at(i), TOKEN_BYTES - 1);
    struct span token;
    char claims[512];
    int64_t now_s = (int64_t)time(NULL);
    int len = snprintf(claims, sizeof(claims),
                       "{\"iss\":\"%s\",\"aud\":\"%s\",\"sub\":\"user-%zu\",\"iat\":%" PRId64
                       ",\"exp\":%" PRId64 ",\"scope\":\"accounts:read\"}",
                       iss, aud, i, now_s, now_s + LIFE_S);

    must(len > 0 && (size_t)len < sizeof(claims), "the claims are too long");
    must(crypto_signer_local(key, &signer) == ERR_OK, "the signer");
    must(crypto_jwt_sign(&signer, span_from("at+jwt"), span_make(claims, (size_t)len), &out) ==
             ERR_OK,
         "signing");
    must(sbuf_finish(&out, &token) == ERR_OK, "a token is too long");
    token_at(i)[token.len] = 0;
}

static double cpu_us(void)
{
    struct timespec now;

    must(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) == 0, "the clock");
    return 1e6 * (double)now.tv_sec + 1e-3 * (double)now.tv_nsec;
}

/* Only the verification itself is counted. */
static double verify_us(const struct crypto_key *key, size_t count)
{
    double used = 0;

    for (size_t i = 0; i < count; i++) {
        const char *end = strrchr(token_at(i), '.');
        struct span signed_part = span_make(token_at(i), (size_t)(end - token_at(i)));
        unsigned char signature[CRYPTO_SIGNATURE_BYTES_MAX];
        size_t len;
        double began;
        bool good;

        must(crypto_base64url_decode(span_from(end + 1), signature, sizeof(signature), &len) ==
                 ERR_OK,
             "a signature cannot be read");
        began = cpu_us();
        good = crypto_key_verify(key, signed_part, span_make((char *)signature, len));
        used += cpu_us() - began;
        must(good, "a signature is not good");
    }
    return used / (double)count;
}

int main(int argc, char **argv)
{
    struct crypto_key *key;
    size_t count;
    FILE *file;

    must(argc == 7, "issued ALGORITHM ISSUER AUDIENCE COUNT JWKS TOKENS");
    count = strtoul(argv[4], NULL, 10);
    tokens = calloc(count, TOKEN_BYTES);
    must(count > 0 && tokens != NULL, "how many?");
    must(crypto_key_generate(crypto_alg_from(span_from(argv[1])), span_from("bench"), &key) ==
             ERR_OK,
         argv[1]);
    publish(key, argv[5]);
    file = fopen(argv[6], "w");
    must(file != NULL, argv[6]);
    for (size_t i = 0; i < count; i++) {
        issue(key, argv[2], argv[3], i);
        must(fprintf(file, "%s\n", token_at(i)) > 0, argv[6]);
    }
    must(fclose(file) == 0, argv[6]);
    (void)printf("%.2f\n", verify_us(key, count));
    crypto_key_free(key);
    free(tokens);
    return 0;
}
