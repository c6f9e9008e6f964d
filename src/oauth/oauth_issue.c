/* SPDX-License-Identifier: MIT
 * Tokens as text: access tokens (RFC 9068) and id_tokens (OpenID Connect Core, 2) signed, access
 * tokens verified, and what a token reply looks like. Nothing here touches the store: what a token
 * may say was decided before (oauth_flow.c), what it is still worth is asked after (the rights of
 * now).
 *
 * An access token names its type (typ at+jwt), an id_token is plain JWT and has no scope: neither
 * passes for the other. `sub` is a user's id in digits or a client's id, which is never digits
 * only, so the two never meet. */
#include "oauth/oauth_priv.h"

#include "crypto/digest.h"
#include "json/json_writer.h"

enum { CLAIMS_BYTES_MAX = 4096, TOKEN_BYTES_MAX = LIMIT_JWS_BYTES_MAX, ID_BYTES_MAX = 64 };

#define ACCESS_TYPE "at+jwt"

/* ---- the reply --------------------------------------------------------------------------------
 */

static const struct json_field reply_fields[] = {
    {.name = "access_token",
     .kind = JSON_KIND_TEXT,
     .max = LIMIT_JWS_BYTES_MAX,
     .offset = offsetof(struct oauth_reply, access_token),
     .example = "eyJhbGciOiJSUzI1NiIsInR5cCI6ImF0K2p3dCJ9.e30.c2lnbmF0dXJl",
     .about = "Goes into \"Authorization: Bearer\"."},
    {.name = "token_type",
     .kind = JSON_KIND_TEXT,
     .max = 6,
     .offset = offsetof(struct oauth_reply, token_type),
     .example = "bearer"},
    {.name = "expires_in",
     .kind = JSON_KIND_I64,
     .max = INT64_C(1) << 32,
     .offset = offsetof(struct oauth_reply, expires_in),
     .example = "900",
     .about = "Seconds the access token lives."},
    {.name = "refresh_token",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .max = OAUTH_TOKEN_TEXT_BYTES,
     .offset = offsetof(struct oauth_reply, refresh_token),
     .example = "jF2cyhGmmVPqB4Jy5mYk3k1yZ0eV0pVdP0bA3v1n2xQ",
     .about = "For POST /auth/refresh; only for a user's tokens, if the client may refresh."},
    {.name = "id_token",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .max = LIMIT_JWS_BYTES_MAX,
     .offset = offsetof(struct oauth_reply, id_token),
     .example = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.e30.c2lnbmF0dXJl",
     .about = "Who signed in, and when; with scope openid."},
    {.name = "scope",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .max = 1024,
     .offset = offsetof(struct oauth_reply, scope),
     .example = "accounts:read transactions:read",
     .about = "What the access token may do."},
    {.name = "issued_at",
     .kind = JSON_KIND_TIME,
     .offset = offsetof(struct oauth_reply, issued_at_ns),
     .example = "2026-02-03T04:05:06.000000Z"},
};
const struct json_schema oauth_reply_schema = {.name = "TokenReply",
                                               .about = "What a client gets.",
                                               .fields = reply_fields,
                                               .field_count = PC_COUNT(reply_fields),
                                               .bytes = sizeof(struct oauth_reply)};

/* ---- signing ----------------------------------------------------------------------------------
 */

static enum crypto_alg alg_or(const struct oauth *oauth, enum crypto_alg alg)
{
    return alg == CRYPTO_ALG_NONE ? oauth_keys_alg(oauth->options.keys) : alg;
}

/* RSA takes half a millisecond, the curves a twentieth of it. */
static bool is_fast(enum crypto_alg alg)
{
    return alg == CRYPTO_ES256 || alg == CRYPTO_EDDSA;
}

enum http_run oauth_sign_run(const struct oauth *oauth, const struct oauth_client *client)
{
    bool has_id = oauth_list_has(client->scopes, SPAN_OF("openid"));

    if (!is_fast(alg_or(oauth, client->access_alg)))
        return HTTP_RUN_SIGN;
    return has_id && !is_fast(alg_or(oauth, client->id_alg)) ? HTTP_RUN_SIGN : HTTP_RUN_LOOP;
}

static enum err sign(const struct oauth *oauth, enum crypto_alg alg, struct span typ,
                     const struct sbuf *claims, int64_t now_ns, struct arena *arena,
                     struct span *ret_token)
{
    const struct crypto_signer *signer = oauth_keys_signer(oauth->options.keys, alg, now_ns);
    struct sbuf token = sbuf_on(arena, TOKEN_BYTES_MAX);
    enum err err;

    if (signer == NULL)
        return ERR_KEY;
    if (claims->full)
        return ERR_NO_SPACE;
    err = crypto_jwt_sign(signer, typ, sbuf_span(claims), &token);
    if (err)
        return err;
    return sbuf_finish(&token, ret_token);
}

static void add_list(struct json_writer *w, const char *name, struct span list)
{
    json_key(w, name);
    json_begin_list(w);
    for (struct span part; span_cut(&list, ' ', &part);)
        if (part.len > 0)
            json_text(w, part);
    json_end_list(w);
}

static void add_common(struct json_writer *w, const struct oauth *oauth,
                       const struct oauth_subject *subject, struct span aud, int64_t now_s)
{
    char text[24];
    struct sbuf id = sbuf_over(text, sizeof(text));

    sbuf_add_i64(&id, subject->user_id);
    json_add_text(w, "iss", oauth->options.issuer);
    json_add_text(w, "sub", subject->user_id != 0 ? sbuf_span(&id) : subject->client->client_id);
    json_add_text(w, "aud", aud);
    json_add_i64(w, "iat", now_s);
    json_add_i64(w, "exp", now_s + subject->access_s);
    if (subject->user_id != 0)
        json_add_text(w, "sid", subject->session_id);
}

enum err oauth_access_sign(const struct oauth *oauth, const struct oauth_subject *subject,
                           int64_t now_ns, struct arena *arena, struct span *ret_token)
{
    struct sbuf claims = sbuf_on(arena, CLAIMS_BYTES_MAX);
    struct json_writer w = json_writer_on(&claims);
    char id[RANDOM_UUID_BYTES];

    PC_ASSERT(subject->access_s > 0);
    PC_ASSERT((subject->user_id != 0) == (subject->session_id.len > 0));
    random_uuid(oauth->options.random, id);
    json_begin_object(&w);
    add_common(&w, oauth, subject, oauth->options.audience, now_ns / CLOCK_NS_PER_S);
    json_add_text(&w, "jti", span_make(id, sizeof(id)));
    json_add_text(&w, "scope", subject->scope);
    json_add_text(&w, "client_id", subject->client->client_id);
    add_list(&w, "roles", subject->roles);
    if (subject->thumbprint.len > 0) { /* RFC 8705, 3.1 */
        json_key(&w, "cnf");
        json_begin_object(&w);
        json_add_text(&w, "x5t#S256", subject->thumbprint);
        json_end_object(&w);
    }
    json_end_object(&w);
    return sign(oauth, alg_or(oauth, subject->client->access_alg), SPAN_OF(ACCESS_TYPE), &claims,
                now_ns, arena, ret_token);
}

/* OpenID Connect Core, 3.1.3.6: the left half of the digest that goes with the algorithm. For
 * Ed25519 that is the digest it is made with. */
static void add_at_hash(struct json_writer *w, enum crypto_alg alg, struct span access_token)
{
    unsigned char digest[CRYPTO_HASH_BYTES_MAX];
    enum crypto_hash hash = CRYPTO_SHA256;
    char text[64];
    struct sbuf out = sbuf_over(text, sizeof(text));

    if (alg == CRYPTO_EDDSA || alg == CRYPTO_RS512 || alg == CRYPTO_PS512)
        hash = CRYPTO_SHA512;
    else if (alg == CRYPTO_RS384 || alg == CRYPTO_PS384 || alg == CRYPTO_ES384)
        hash = CRYPTO_SHA384;
    crypto_digest(hash, access_token, digest);
    crypto_base64url_add(&out, span_make(digest, crypto_hash_bytes(hash) / 2));
    json_add_text(w, "at_hash", sbuf_span(&out));
}

enum err oauth_id_sign(const struct oauth *oauth, const struct oauth_subject *subject,
                       struct span access_token, int64_t now_ns, struct arena *arena,
                       struct span *ret_token)
{
    enum crypto_alg alg = alg_or(oauth, subject->client->id_alg);
    struct sbuf claims = sbuf_on(arena, CLAIMS_BYTES_MAX);
    struct json_writer w = json_writer_on(&claims);

    PC_ASSERT(subject->user_id != 0);
    json_begin_object(&w);
    add_common(&w, oauth, subject, subject->client->client_id, now_ns / CLOCK_NS_PER_S);
    json_add_i64(&w, "auth_time", subject->auth_at_s);
    if (subject->nonce.len > 0)
        json_add_text(&w, "nonce", subject->nonce);
    add_at_hash(&w, alg, access_token);
    json_end_object(&w);
    return sign(oauth, alg, SPAN_OF("JWT"), &claims, now_ns, arena, ret_token);
}

/* ---- verifying --------------------------------------------------------------------------------
 */

static bool is_id(struct span text)
{
    return text.len > 0 && text.len <= ID_BYTES_MAX;
}

/* A user's token names its session, a client's own has its client for a subject; there is no third
 * kind. */
static enum err read_subject(struct oauth_access *access)
{
    const struct json_value *sid = json_get(access->jwt.claims, "sid");

    if (sid == NULL)
        return span_equal(access->jwt.sub, access->client_id) ? ERR_OK : ERR_TOKEN_INVALID;
    if (!json_to_text(sid, &access->session_id) || !is_id(access->session_id))
        return ERR_TOKEN_INVALID;
    if (!span_to_i64(access->jwt.sub, &access->user_id) || access->user_id <= 0)
        return ERR_TOKEN_INVALID;
    return ERR_OK;
}

/* A token that says it is bound, but not to what, is bound to nothing we could check. */
static enum err read_binding(struct oauth_access *access)
{
    const struct json_value *cnf = json_get(access->jwt.claims, "cnf");

    if (cnf == NULL)
        return ERR_OK;
    if (!json_to_text(json_get(cnf, "x5t#S256"), &access->thumbprint) ||
        access->thumbprint.len == 0)
        return ERR_TOKEN_INVALID;
    return ERR_OK;
}

static enum err read_access(struct oauth_access *access)
{
    const struct json_value *claims = access->jwt.claims;
    enum err err;

    if (!json_to_text(json_get(claims, "client_id"), &access->client_id) ||
        !is_id(access->client_id) || !json_to_text(json_get(claims, "scope"), &access->scope) ||
        !is_id(access->jwt.jti))
        return ERR_TOKEN_INVALID;
    err = read_subject(access);
    if (err)
        return err;
    return read_binding(access);
}

enum err oauth_access_verify(const struct oauth *oauth, struct span token, int64_t now_ns,
                             struct arena *arena, struct oauth_access *ret_access)
{
    const struct crypto_keyset *keys = oauth_keys_public(oauth->options.keys, now_ns);
    const struct crypto_jwt_rules rules = {.iss = oauth->options.issuer,
                                           .aud = oauth->options.audience,
                                           .typ = SPAN(ACCESS_TYPE),
                                           .leeway_s = oauth->options.leeway_s,
                                           .aud_single = true,
                                           .jti_required = true};
    struct oauth_access access = {0};
    enum err err =
        crypto_jwt_verify(keys, &rules, token, now_ns / CLOCK_NS_PER_S, arena, &access.jwt, NULL);

    if (err)
        return err;
    err = read_access(&access);
    if (err)
        return err;
    *ret_access = access;
    return ERR_OK;
}
