/* SPDX-License-Identifier: MIT
 * Client assertions (RFC 7523, 3): a token that the client signed with a key of its own, for this
 * issuer and nobody else, for five minutes at most, once. Only the client's own key set is asked,
 * so a token can choose neither its key nor, since keys are pinned to one, its algorithm. */
#include "crypto/digest.h"
#include "oauth/oauth_priv.h"

enum {
    LIFE_S_MAX = 300,
    AHEAD_S = 10, /* how far a client's clock may be before ours */
    KEPT_S = 60,  /* an id is remembered for so long after its assertion is over */
    JTI_BYTES_MAX = 1024,
};

static bool text_claim(const struct json_value *claims, const char *name, struct span *ret_text)
{
    return json_to_text(json_get(claims, name), ret_text) && ret_text->len > 0;
}

bool oauth_assertion_claims(struct span assertion, struct arena *arena, struct span *ret_client_id)
{
    const struct json_value *header, *claims;
    struct span iss, sub;

    if (crypto_jwt_peek(assertion, arena, &header, &claims) != ERR_OK)
        return false;
    if (!text_claim(claims, "iss", &iss) || !text_claim(claims, "sub", &sub) ||
        !span_equal(iss, sub))
        return false;
    *ret_client_id = sub;
    return true;
}

/* RFC 7523bis names a type; most clients send "JWT" or none. */
static struct span wanted_type(struct span assertion, struct arena *arena)
{
    const struct json_value *header, *claims;
    struct span typ;

    if (crypto_jwt_peek(assertion, arena, &header, &claims) == ERR_OK &&
        text_claim(header, "typ", &typ) &&
        (span_is_nocase(typ, "client-authentication+jwt") ||
         span_is_nocase(typ, "application/client-authentication+jwt")))
        return SPAN_OF("client-authentication+jwt");
    return (struct span){0};
}

/* What crypto_jwt_verify leaves open. The end has no leeway: the life is short, and whoever makes
 * the assertion chose it. */
static const char *judge(const struct crypto_jwt *jwt, struct span client_id, int64_t now_s)
{
    if (!span_equal(jwt->sub, client_id))
        return "the assertion's subject is another client";
    if (jwt->exp_s <= now_s)
        return "the assertion is over";
    if (jwt->exp_s - now_s > LIFE_S_MAX + AHEAD_S ||
        (json_get(jwt->claims, "iat") != NULL && jwt->exp_s - jwt->iat_s > LIFE_S_MAX))
        return "the assertion lives too long";
    if (jwt->jti.len == 0 || jwt->jti.len > JTI_BYTES_MAX)
        return "the assertion's id is empty or too long";
    return NULL;
}

static enum err verify(const struct oauth *oauth, const struct crypto_keyset *keys,
                       struct arena *arena, struct oauth_caller *caller)
{
    struct crypto_jwt_rules rules = {.iss = caller->client.client_id,
                                     .aud = oauth->options.issuer,
                                     .aud_single = true,
                                     .typ = wanted_type(caller->assertion, arena),
                                     .leeway_s = AHEAD_S,
                                     .jti_required = true};
    int64_t now_s = clock_realtime_s(oauth->options.clock);
    struct crypto_jwt jwt;
    enum err err =
        crypto_jwt_verify(keys, &rules, caller->assertion, now_s, arena, &jwt, &caller->why);

    if (err == ERR_NO_MEMORY)
        return err;
    if (err && caller->why == NULL)
        caller->why = err_sentence(err);
    if (!err)
        caller->why = judge(&jwt, caller->client.client_id, now_s);
    if (caller->why != NULL)
        return ERR_TOKEN_INVALID;
    crypto_sha256(jwt.jti, caller->assertion_hash);
    caller->assertion_until_ns = (jwt.exp_s + KEPT_S) * CLOCK_NS_PER_S;
    return ERR_OK;
}

enum err oauth_assertion_check(const struct oauth *oauth, struct arena *arena,
                               struct oauth_caller *caller)
{
    struct oauth_jwks *jwks;
    enum err err = oauth_jwks_of(oauth->jwks, caller->client.jwks, &jwks);

    if (err)
        return err;
    err = verify(oauth, oauth_jwks_keys(jwks), arena, caller);
    oauth_jwks_free(jwks);
    return err;
}
