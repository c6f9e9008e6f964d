/* SPDX-License-Identifier: MIT
 * libFuzzer: arbitrary bytes as a JWK set, as claims with a path into them, and as a URL. Whatever
 * comes in, nothing crashes; no set holds what is not taken; what is taken fits into header lines.
 */
#include <string.h>

#include "issuer/issuer_priv.h"

enum { TEXT_BYTES_MAX = 32 * 1024, ARENA_BYTES_MAX = 1024 * 1024, PATH_BYTES = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void read_set(struct span text)
{
    const unsigned algs = 1U << CRYPTO_RS256 | 1U << CRYPTO_ES256 | 1U << CRYPTO_EDDSA;
    PC_AUTO(crypto_keyset) set = NULL;

    if (issuer_keys_read(text, algs, CRYPTO_RS256, &set, NULL) != ERR_OK)
        return;
    PC_ASSERT(crypto_keyset_count(set) > 0 && !issuer_keys_lost(set, set));
    for (size_t i = 0; i < crypto_keyset_count(set); i++) {
        const struct crypto_key *key = crypto_keyset_at(set, i);

        PC_ASSERT((algs >> crypto_key_alg(key) & 1) == 1 && !crypto_key_is_private(key));
    }
}

static void check_line(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        PC_ASSERT(text.ptr[i] >= ' ' && text.ptr[i] <= '~');
}

/* The first bytes are the path, the rest the claims. */
static void take_claims(struct span rest)
{
    const struct issuer_options options = {.scope_claim = "scope", .roles_claim = "a.b"};
    struct issuer_identity identity;
    struct crypto_jwt jwt = {0};
    char path[PATH_BYTES] = {0};
    size_t len = rest.len < PATH_BYTES - 1 ? rest.len : PATH_BYTES - 1;
    struct arena arena;

    memcpy(path, rest.ptr, len);
    rest = span_slice(rest, len, rest.len);
    arena_init(&arena, NULL, 0, ARENA_BYTES_MAX);
    if (json_read(rest, &arena, &jwt.claims, NULL) == ERR_OK) {
        (void)issuer_claim_find(jwt.claims, path);
        if (json_is_text(json_get(jwt.claims, "sub")))
            jwt.sub = json_get(jwt.claims, "sub")->text;
        if (issuer_claims_take(&options, &jwt, &arena, &identity) == ERR_OK) {
            check_line(identity.subject);
            check_line(identity.client_id);
            check_line(identity.scope);
            check_line(identity.roles);
        }
    }
    arena_reset(&arena);
}

static void read_url(struct span text)
{
    struct issuer_url url;
    struct arena arena;
    const char *string;

    arena_init(&arena, NULL, 0, ARENA_BYTES_MAX);
    string = arena_string(&arena, text);
    if (string != NULL && issuer_url_read(string, &url))
        PC_ASSERT(strlen(url.host) > 0 && url.path.len > 0);
    arena_reset(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes == 0 || bytes > TEXT_BYTES_MAX)
        return 0;
    if (data[0] % 3 == 0)
        read_set(span_make(data + 1, bytes - 1));
    else if (data[0] % 3 == 1)
        take_claims(span_make(data + 1, bytes - 1));
    else
        read_url(span_make(data + 1, bytes - 1));
    return 0;
}
