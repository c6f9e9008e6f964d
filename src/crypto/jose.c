/* SPDX-License-Identifier: MIT
 * Compact JWS. Reading goes one way only, and each step refuses before the next begins:
 *
 *   size -> three parts -> header (form, then members) -> keys that fit -> signature
 *
 * The header's algorithm is never asked what to do; it must equal that of a key we already hold. */
#include "crypto/jose.h"

#include "crypto/crypto_priv.h"
#include "json/json.h"

enum { CANDIDATES_MAX = 8 };

struct compact {
    struct span header, payload, signature; /* base64url */
    struct span input;                      /* header.payload, what is signed */
};

static enum err refuse(const char **ret_why, const char *why)
{
    if (ret_why != NULL)
        *ret_why = why;
    return ERR_TOKEN_INVALID;
}

/* Running out of memory says nothing about the token. */
static enum err refuse_unless_memory(enum err err, const char **ret_why, const char *why)
{
    return err == ERR_NO_MEMORY || err == ERR_BODY_TOO_LARGE ? ERR_NO_MEMORY : refuse(ret_why, why);
}

static enum err compact_split(struct span text, struct compact *ret, const char **ret_why)
{
    size_t first = span_find(text, '.');
    struct span rest = span_slice(text, first + 1, text.len);
    size_t second = span_find(rest, '.');

    if (text.len > LIMIT_JWS_BYTES_MAX)
        return refuse(ret_why, "the token is too long");
    if (second == rest.len || first >= text.len)
        return refuse(ret_why, "the token does not have three parts");
    ret->header = span_slice(text, 0, first);
    ret->payload = span_slice(rest, 0, second);
    ret->signature = span_slice(rest, second + 1, rest.len);
    ret->input = span_slice(text, 0, first + 1 + second);
    if (span_find(ret->signature, '.') != ret->signature.len)
        return refuse(ret_why, "the token does not have three parts");
    if (ret->header.len == 0 || ret->signature.len == 0)
        return refuse(ret_why, "a part of the token is empty");
    return ERR_OK;
}

/* An optional text member; false when it is there and is not a text of 1 to `bytes_max` bytes. */
static bool header_text(const struct json_value *header, const char *name, size_t bytes_max,
                        struct span *ret_text)
{
    const struct json_value *member = json_get(header, name);

    *ret_text = (struct span){0};
    if (member == NULL)
        return true;
    if (!json_is_text(member) || member->text.len == 0 || member->text.len > bytes_max)
        return false;
    *ret_text = member->text;
    return true;
}

/* Members that would change how a token is read or where its key comes from. */
static const char *header_surprise(const struct json_value *header)
{
    static const struct {
        const char *member, *why;
    } refused[] = {
        {"crit", "the header names a critical extension"},
        {"b64", "the header asks for an unencoded payload"},
        {"zip", "the header asks for compression"},
        {"enc", "the token is encrypted"},
        {"jku", "the header brings its own key"},
        {"jwk", "the header brings its own key"},
        {"x5u", "the header brings its own key"},
        {"x5c", "the header brings its own key"},
    };

    for (size_t i = 0; i < PC_COUNT(refused); i++) {
        if (json_get(header, refused[i].member) != NULL)
            return refused[i].why;
    }
    return NULL;
}

static enum err header_members(const struct json_value *header, struct crypto_jws *ret,
                               const char **ret_why)
{
    const struct json_value *alg = json_get(header, "alg");
    const char *surprise = header_surprise(header);

    if (surprise != NULL)
        return refuse(ret_why, surprise);
    if (!json_is_text(alg))
        return refuse(ret_why, "the header has no alg");
    ret->alg = crypto_alg_from(alg->text);
    if (ret->alg == CRYPTO_ALG_NONE)
        return refuse(ret_why, "the algorithm is not offered");
    if (!header_text(header, "kid", CRYPTO_KID_BYTES_MAX, &ret->kid) ||
        !header_text(header, "typ", CRYPTO_KID_BYTES_MAX, &ret->typ) ||
        !header_text(header, "cty", CRYPTO_KID_BYTES_MAX, &ret->cty))
        return refuse(ret_why, "kid, typ or cty of the header is not a short text");
    ret->header = header;
    return ERR_OK;
}

static enum err header_read(const struct compact *parts, struct arena *arena,
                            struct crypto_jws *ret, const char **ret_why)
{
    const struct json_value *header;
    struct span text;
    enum err err;

    err = crypto_base64url_read(parts->header, arena, &text);
    if (err)
        return refuse_unless_memory(err, ret_why, "the header is not base64url");
    err = json_read(text, arena, &header, NULL);
    if (err)
        return refuse_unless_memory(err, ret_why, "the header is not strict JSON");
    if (!json_is_object(header))
        return refuse(ret_why, "the header is not an object");
    return header_members(header, ret, ret_why);
}

/* Everything but the signature. */
static enum err jws_read(struct span compact, struct arena *arena, struct compact *ret_parts,
                         struct crypto_jws *ret, const char **ret_why)
{
    enum err err;

    err = compact_split(compact, ret_parts, ret_why);
    if (err)
        return err;
    err = header_read(ret_parts, arena, ret, ret_why);
    if (err)
        return err;
    err = crypto_base64url_read(ret_parts->payload, arena, &ret->payload);
    if (err)
        return refuse_unless_memory(err, ret_why, "the payload is not base64url");
    return ERR_OK;
}

static enum err signature_check(const struct compact *parts, const struct crypto_key *const *keys,
                                size_t count, struct crypto_jws *ret, const char **ret_why)
{
    unsigned char signature[CRYPTO_SIGNATURE_BYTES_MAX];
    size_t bytes;

    if (crypto_base64url_decode(parts->signature, signature, sizeof(signature), &bytes) != ERR_OK)
        return refuse(ret_why, "the signature is not base64url");
    for (size_t i = 0; i < count; i++) {
        if (crypto_key_verify(keys[i], parts->input, span_make(signature, bytes))) {
            ret->key = keys[i];
            return ERR_OK;
        }
    }
    return refuse(ret_why, "the signature is wrong");
}

enum err crypto_jws_verify(const struct crypto_keyset *keys, struct span compact,
                           struct arena *arena, struct crypto_jws *ret_jws, const char **ret_why)
{
    const struct crypto_key *fitting[CANDIDATES_MAX];
    struct crypto_jws jws = {0};
    struct compact parts;
    size_t count;
    enum err err;

    err = jws_read(compact, arena, &parts, &jws, ret_why);
    if (err)
        return err;
    count = crypto_keyset_find(keys, jws.kid, jws.alg, fitting, CANDIDATES_MAX);
    if (count == 0)
        return refuse(ret_why, "no key fits the kid and alg of the header");
    if (count > CANDIDATES_MAX)
        return refuse(ret_why, "too many keys fit a header without kid");
    err = signature_check(&parts, fitting, count, &jws, ret_why);
    if (err)
        return err;
    *ret_jws = jws;
    return ERR_OK;
}

enum err crypto_jws_verify_key(const struct crypto_key *key, struct span compact,
                               struct arena *arena, struct crypto_jws *ret_jws,
                               const char **ret_why)
{
    struct crypto_jws jws = {0};
    struct compact parts;
    enum err err;

    err = jws_read(compact, arena, &parts, &jws, ret_why);
    if (err)
        return err;
    if (!crypto_alg_fits(jws.alg, key->alg))
        return refuse(ret_why, "the algorithm is not the key's");
    if (jws.kid.len > 0 && key->kid_bytes > 0 && !span_equal(jws.kid, crypto_key_kid(key)))
        return refuse(ret_why, "the kid is not the key's");
    err = signature_check(&parts, &key, 1, &jws, ret_why);
    if (err)
        return err;
    *ret_jws = jws;
    return ERR_OK;
}

enum err crypto_jws_peek(struct span compact, struct arena *arena, struct crypto_jws *ret_jws,
                         const char **ret_why)
{
    unsigned char signature[CRYPTO_SIGNATURE_BYTES_MAX];
    struct crypto_jws jws = {0};
    struct compact parts;
    size_t bytes;
    enum err err;

    err = jws_read(compact, arena, &parts, &jws, ret_why);
    if (err)
        return err;
    if (crypto_base64url_decode(parts.signature, signature, sizeof(signature), &bytes) != ERR_OK)
        return refuse(ret_why, "the signature is not base64url");
    *ret_jws = jws;
    return ERR_OK;
}

/* ---- signing ---- */

static void header_add(struct sbuf *out, const struct crypto_signer *signer, struct span typ)
{
    char text[512];
    struct sbuf header = sbuf_over(text, sizeof(text));

    sbuf_add_format(&header, "{\"alg\":\"%s\"", crypto_alg_name(signer->alg));
    if (typ.len > 0) {
        sbuf_add_lit(&header, ",\"typ\":");
        sbuf_add_json(&header, typ);
    }
    if (signer->kid.len > 0) {
        sbuf_add_lit(&header, ",\"kid\":");
        sbuf_add_json(&header, signer->kid);
    }
    sbuf_add_char(&header, '}');
    if (header.full)
        out->full = true;
    crypto_base64url_add(out, sbuf_span(&header));
}

enum err crypto_jws_sign(const struct crypto_signer *signer, struct span typ, struct span payload,
                         struct sbuf *out)
{
    unsigned char signature[CRYPTO_SIGNATURE_BYTES_MAX];
    size_t begin = out->len, bytes;
    enum err err;

    header_add(out, signer, typ);
    sbuf_add_char(out, '.');
    crypto_base64url_add(out, payload);
    if (out->full)
        return ERR_NO_SPACE;
    err = signer->sign(signer->context, span_slice(sbuf_span(out), begin, out->len), signature,
                       &bytes);
    if (err) {
        sbuf_truncate(out, begin);
        return err;
    }
    sbuf_add_char(out, '.');
    crypto_base64url_add(out, span_make(signature, bytes));
    return out->full ? ERR_NO_SPACE : ERR_OK;
}
