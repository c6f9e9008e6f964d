/* SPDX-License-Identifier: MIT
 * Claims and their rules. The signature is checked first, so nothing of a forged payload is even
 * parsed; the end of its time is checked last, so that "expired" means otherwise perfect.
 *
 *   signature -> typ, cty -> claims are one object -> iss -> aud -> sub, jti -> iat, nbf -> exp */
#include "crypto/jwt.h"

#include "json/json.h"

/* 9999-12-31T23:59:59Z: the last second that RFC 3339 can write. */
#define TIME_S_MAX INT64_C(253402300799)

enum { NAME_BYTES_MAX = 512, AUDIENCES_MAX = 16 };

static enum err refuse(const char **ret_why, const char *why)
{
    if (ret_why != NULL)
        *ret_why = why;
    return ERR_TOKEN_INVALID;
}

/* RFC 7515, 4.1.9: case does not matter and "application/" may be left out. */
static bool media_equal(struct span a, struct span b)
{
    static const struct span prefix = SPAN("application/");

    if (a.len > prefix.len && span_equal_nocase(span_slice(a, 0, prefix.len), prefix))
        a = span_slice(a, prefix.len, a.len);
    if (b.len > prefix.len && span_equal_nocase(span_slice(b, 0, prefix.len), prefix))
        b = span_slice(b, prefix.len, b.len);
    return span_equal_nocase(a, b);
}

static const char *header_flaw(const struct crypto_jws *jws, const struct crypto_jwt_rules *rules)
{
    if (jws->cty.len > 0)
        return "the token is nested";
    if (rules->typ_any)
        return NULL;
    if (jws->typ.len == 0)
        return rules->typ.len == 0 || rules->typ_optional ? NULL : "the token has no typ";
    if (!media_equal(jws->typ, rules->typ.len > 0 ? rules->typ : SPAN_OF("JWT")))
        return "the token is of another typ";
    return NULL;
}

/* An optional claim of text; false when it is there and is empty, too long or no text. */
static bool claim_text(const struct json_value *claims, const char *name, struct span *ret_text)
{
    const struct json_value *claim = json_get(claims, name);

    if (claim == NULL)
        return true;
    if (!json_is_text(claim) || claim->text.len == 0 || claim->text.len > NAME_BYTES_MAX)
        return false;
    *ret_text = claim->text;
    return true;
}

/* An optional claim of time (RFC 7519, 2: NumericDate). */
static bool claim_time(const struct json_value *claims, const char *name, int64_t *ret_s)
{
    const struct json_value *claim = json_get(claims, name);
    int64_t value;

    if (claim == NULL)
        return true;
    if (!json_to_i64_floor(claim, &value) || value < 0 || value > TIME_S_MAX)
        return false;
    *ret_s = value;
    return true;
}

static const char *names_flaw(const struct crypto_jwt_rules *rules, struct crypto_jwt *jwt)
{
    if (!claim_text(jwt->claims, "iss", &jwt->iss) || !claim_text(jwt->claims, "sub", &jwt->sub) ||
        !claim_text(jwt->claims, "jti", &jwt->jti))
        return "iss, sub or jti is not a short text";
    if (!rules->iss_any && (rules->iss.len == 0 || !span_equal(jwt->iss, rules->iss)))
        return "the token is of another issuer";
    if (!rules->sub_optional && jwt->sub.len == 0)
        return "the token has no subject";
    if (rules->jti_required && jwt->jti.len == 0)
        return "the token has no id";
    return NULL;
}

static const char *audience_list_flaw(const struct json_value *list, struct span wanted)
{
    bool found = false;

    if (list->count == 0 || list->count > AUDIENCES_MAX)
        return "aud is empty or has too many members";
    for (uint32_t i = 0; i < list->count; i++) {
        if (!json_is_text(&list->items[i]))
            return "a member of aud is not text";
        found |= span_equal(list->items[i].text, wanted);
    }
    return found ? NULL : "the token is for another audience";
}

static const char *audience_flaw(const struct crypto_jwt_rules *rules,
                                 const struct json_value *claims)
{
    const struct json_value *aud = json_get(claims, "aud");

    if (rules->aud_any)
        return NULL;
    if (aud == NULL)
        return rules->aud.len == 0 ? NULL : "the token names no audience";
    if (rules->aud.len == 0)
        return "the token is for another audience";
    if (json_is_text(aud))
        return span_equal(aud->text, rules->aud) ? NULL : "the token is for another audience";
    if (!json_is_list(aud) || rules->aud_single)
        return "aud has the wrong form";
    return audience_list_flaw(aud, rules->aud);
}

/* All about time but its end. */
static const char *times_flaw(const struct crypto_jwt_rules *rules, int64_t now_s,
                              struct crypto_jwt *jwt)
{
    const struct json_value *claims = jwt->claims;

    jwt->exp_s = INT64_MAX;
    if (!claim_time(claims, "exp", &jwt->exp_s) || !claim_time(claims, "nbf", &jwt->nbf_s) ||
        !claim_time(claims, "iat", &jwt->iat_s))
        return "exp, nbf or iat is not a time";
    if (jwt->exp_s == INT64_MAX && !rules->exp_optional)
        return "the token has no end";
    if (jwt->nbf_s > now_s + rules->leeway_s)
        return "the token is not valid yet";
    if (jwt->iat_s > now_s + rules->leeway_s)
        return "the token was issued in the future";
    if (jwt->exp_s < jwt->iat_s || jwt->exp_s < jwt->nbf_s)
        return "the token ends before it begins";
    if (rules->life_s_max > 0 && json_get(claims, "iat") == NULL)
        return "the token does not say when it was issued";
    if (rules->life_s_max > 0 && jwt->exp_s - jwt->iat_s > rules->life_s_max)
        return "the token lives too long";
    return NULL;
}

static enum err claims_check(const struct crypto_jwt_rules *rules, int64_t now_s,
                             struct crypto_jwt *jwt, const char **ret_why)
{
    const char *flaw = names_flaw(rules, jwt);

    if (flaw == NULL)
        flaw = audience_flaw(rules, jwt->claims);
    if (flaw == NULL)
        flaw = times_flaw(rules, now_s, jwt);
    if (flaw != NULL)
        return refuse(ret_why, flaw);
    if (jwt->exp_s <= now_s - rules->leeway_s) {
        (void)refuse(ret_why, "the token has expired");
        return ERR_TOKEN_EXPIRED;
    }
    return ERR_OK;
}

/* The payload as one strict object. */
static enum err claims_read(const struct crypto_jws *jws, struct arena *arena,
                            const struct json_value **ret_claims, const char **ret_why)
{
    const struct json_value *claims;
    enum err err = json_read(jws->payload, arena, &claims, NULL);

    if (err == ERR_NO_MEMORY || err == ERR_BODY_TOO_LARGE)
        return ERR_NO_MEMORY;
    if (err || !json_is_object(claims))
        return refuse(ret_why, "the claims are not one strict JSON object");
    *ret_claims = claims;
    return ERR_OK;
}

enum err crypto_jwt_verify(const struct crypto_keyset *keys, const struct crypto_jwt_rules *rules,
                           struct span compact, int64_t now_s, struct arena *arena,
                           struct crypto_jwt *ret_jwt, const char **ret_why)
{
    struct crypto_jwt jwt = {0};
    const char *flaw;
    enum err err;

    PC_ASSERT(rules->leeway_s >= 0 && rules->leeway_s <= CRYPTO_LEEWAY_S_MAX);
    PC_ASSERT(now_s >= 0 && now_s <= TIME_S_MAX);
    err = crypto_jws_verify(keys, compact, arena, &jwt.jws, ret_why);
    if (err)
        return err;
    flaw = header_flaw(&jwt.jws, rules);
    if (flaw != NULL)
        return refuse(ret_why, flaw);
    err = claims_read(&jwt.jws, arena, &jwt.claims, ret_why);
    if (err)
        return err;
    err = claims_check(rules, now_s, &jwt, ret_why);
    if (err)
        return err;
    *ret_jwt = jwt;
    return ERR_OK;
}

enum err crypto_jwt_peek(struct span compact, struct arena *arena,
                         const struct json_value **ret_header, const struct json_value **ret_claims)
{
    const struct json_value *claims;
    struct crypto_jws jws;
    enum err err;

    err = crypto_jws_peek(compact, arena, &jws, NULL);
    if (err)
        return err;
    err = claims_read(&jws, arena, &claims, NULL);
    if (err)
        return err;
    *ret_header = jws.header;
    *ret_claims = claims;
    return ERR_OK;
}

enum err crypto_jwt_sign(const struct crypto_signer *signer, struct span typ,
                         struct span claims_json, struct sbuf *out)
{
    PC_ASSERT(claims_json.len >= 2 && claims_json.ptr[0] == '{');
    return crypto_jws_sign(signer, typ, claims_json, out);
}
