/* SPDX-License-Identifier: MIT
 * id_token_hint: an id_token of ours that comes back, often long after its time. It says who is
 * meant, and opens nothing. */
#include "oauth/oauth_page_priv.h"

#include "crypto/jwt.h"
#include "json/json.h"

/* When it says that it was made; 0: it does not. */
static int64_t made_at_s(struct span token, struct arena *arena)
{
    const struct json_value *header;
    const struct json_value *claims;
    int64_t iat_s;

    if (crypto_jwt_peek(token, arena, &header, &claims) != ERR_OK ||
        !json_to_i64(json_get(claims, "iat"), &iat_s))
        return 0;
    return iat_s;
}

/* Verified as of the moment it was made, since being over is no fault here. OpenID Connect
 * RP-Initiated Logout 1.0, 2. The type "JWT" keeps access tokens out. */
enum err oauth_hint_read(const struct oauth *oauth, struct span token, int64_t now_ns,
                         struct arena *arena, int64_t *ret_user_id, struct span *ret_client_id)
{
    const struct crypto_jwt_rules rules = {.iss = oauth->options.issuer, .aud_any = true};
    int64_t iat_s = made_at_s(token, arena);
    struct crypto_jwt jwt;
    struct span client_id;
    int64_t user_id;
    enum err err;

    if (iat_s <= 0 || iat_s > now_ns / CLOCK_NS_PER_S + CRYPTO_LEEWAY_S_MAX)
        return ERR_TOKEN_INVALID;
    err = crypto_jwt_verify(oauth_keys_public(oauth->options.keys, now_ns), &rules, token, iat_s,
                            arena, &jwt, NULL);
    if (err == ERR_NO_MEMORY)
        return err;
    if (err || !json_to_text(json_get(jwt.claims, "aud"), &client_id) ||
        !span_to_i64(jwt.sub, &user_id) || user_id <= 0)
        return ERR_TOKEN_INVALID;
    *ret_user_id = user_id;
    *ret_client_id = client_id;
    return ERR_OK;
}
