/* SPDX-License-Identifier: MIT
 * Tokens of issuers outside of this program, on the routes that take them. The verdict is the
 * issuer's (a port); here it becomes a principal that the rest of the journey knows how to treat.
 *
 * With several issuers the claim iss, which nobody has verified yet, chooses the one that is asked;
 * that one insists on its own name, so a lie only leads to who refuses it. */
#include "http/http_priv.h"

#include <string.h>

#include "crypto/digest.h"
#include "crypto/jwt.h"

bool http_issuer_is_taken(const struct http_route *route, const struct http_principal *principal)
{
    const struct http_issuer *issuer = principal->issuer;

    if ((principal->kind == HTTP_TOKEN_KEY) != (route->access == HTTP_ACCESS_KEY))
        return false;
    for (size_t i = 0; i < route->issuer_count; i++) {
        if (route->issuers[i] == issuer)
            return true;
    }
    return issuer == NULL && route->issuer_count == 0;
}

/* NULL: none that is taken. */
static const struct http_issuer *issuer_of(const struct http_call *call, struct span token)
{
    const struct http_route *route = call->req.route;
    const struct json_value *header;
    const struct json_value *claims;
    struct span iss;

    if (route->issuer_count == 1)
        return route->issuers[0];
    if (crypto_jwt_peek(token, call->req.arena, &header, &claims) != ERR_OK ||
        !json_to_text(json_get(claims, "iss"), &iss))
        return NULL;
    for (size_t i = 0; i < route->issuer_count; i++) {
        if (span_equal(route->issuers[i]->iss, iss))
            return route->issuers[i];
    }
    return NULL;
}

/* A number that no user or client of ours has, and that nobody can choose to be another's. */
int64_t http_issuer_payer(const char *issuer, struct span subject)
{
    unsigned char digest[CRYPTO_SHA256_BYTES];
    unsigned char text[1024];
    struct sbuf whose = sbuf_over(text, sizeof(text));
    uint64_t number;

    sbuf_add_text(&whose, issuer);
    sbuf_add_char(&whose, '\0');
    sbuf_add(&whose, subject);
    crypto_sha256(sbuf_span(&whose), digest);
    memcpy(&number, digest, sizeof(number));
    return (int64_t)(number >> 1 | UINT64_C(1) << 62);
}

enum err http_issuer_verify(struct http_call *call, struct span token, int64_t now_s)
{
    const struct http_issuer *issuer = issuer_of(call, token);
    struct http_principal principal = {.kind = HTTP_TOKEN_FOREIGN, .issuer = issuer};
    enum err err;

    if (issuer == NULL)
        return ERR_TOKEN_INVALID;
    err = issuer->verify(issuer->context, token, now_s, net_loop_now_ns(call->lane->loop),
                         call->req.arena, &principal);
    if (err)
        return err;
    principal.payer = http_issuer_payer(issuer->name, principal.subject);
    principal.scope_bits = http_names_bits(http_scopes_of(call), principal.scope);
    principal.role_bits = http_names_bits(http_roles_of(call), principal.roles);
    call->principal = principal;
    call->user_rate = (struct limit_rate){0};
    http_cache_keep(call);
    return ERR_OK;
}
