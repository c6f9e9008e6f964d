/* SPDX-License-Identifier: MIT
 * Forged tokens, one row each: how it is forged, and for which reason it must be refused. The
 * reason is checked too, so that no row passes because something else about it was wrong. All keys
 * are made when the test starts.
 *
 * A row changes one thing of a good token. What it leaves out stays good:
 *
 *   header, claims -> early change -> signed with a key -> late change -> must give `why` */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/ecdsa.h>

#include "crypto/crypto_priv.h"
#include "crypto/jwt.h"

enum { NOW_S = 1000100, DRAFT_BYTES = 16 * 1024 };

#define HEADER "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"right\"}"
#define CLAIMS(more)                                                                               \
    "{\"iss\":\"https://"                                                                          \
    "issuer\",\"aud\":\"api\",\"sub\":\"7\",\"iat\":1000000,\"exp\":1000900" more "}"
/* A header with something more in it. */
#define HEADER_WITH(more) "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"right\"," more "}"
/* Good claims but for what stands for one of them. */
#define ISS(value)                                                                                 \
    "{\"iss\":" value ",\"aud\":\"api\",\"sub\":\"7\",\"iat\":1000000,\"exp\":1000900}"
#define AUD(value)   "{\"iss\":\"https://issuer\",\"aud\":" value ",\"sub\":\"7\",\"exp\":1000900}"
#define SUB(sub)     "{\"iss\":\"https://issuer\",\"aud\":\"api\",\"sub\":" sub ",\"exp\":1000900}"
#define TIMES(value) "{\"iss\":\"https://issuer\",\"aud\":\"api\",\"sub\":\"7\"," value "}"

/* Who signs. The verifier knows RIGHT, RSA and EDWARDS, or (SECRET_SET) the two secrets. */
enum with {
    RIGHT,
    RSA_KEY,
    EDWARDS,
    STRANGER,   /* another ES256 key */
    CURVE_384,  /* an ES384 key */
    RSA_AS_PSS, /* the RSA key, used for PS256 */
    PUBLIC_PEM, /* HMAC with the verifier's public key as the secret */
    PUBLIC_JWK, /* the same with its JWK */
    RSA_PEM,    /* the same with the RSA key's PEM */
    NOTHING,    /* an empty signature */
    SECRET_256,
    SECRET_512,
    OTHER_SECRET,
    ZERO_SECRET, /* 32 zero bytes */
    WITH_COUNT
};

struct draft {
    char text[DRAFT_BYTES];
    size_t len;
};

typedef void change_fn(struct draft *draft, const char *argument);

struct row {
    const char *how;
    const char *header; /* NULL: HEADER */
    const char *claims; /* NULL: good ones */
    change_fn *early;   /* before signing */
    change_fn *late;    /* after */
    const char *argument;
    const char *why;
    enum with with;
    enum err err; /* 0: ERR_TOKEN_INVALID */
    bool secret_set;
};

static struct crypto_key *signers[WITH_COUNT];
static struct crypto_keyset *public_set, *secret_set;

/* ---- changes ---- */

static size_t dot(const struct draft *draft, int nth)
{
    size_t at = 0;

    for (; nth > 0 && at < draft->len; at++)
        nth -= draft->text[at] == '.';
    return at - 1;
}

static void insert_at(struct draft *draft, size_t at, const char *text, size_t len)
{
    assert_true(draft->len + len < sizeof(draft->text));
    memmove(draft->text + at + len, draft->text + at, draft->len - at);
    memcpy(draft->text + at, text, len);
    draft->len += len;
}

static void set(struct draft *draft, const char *argument)
{
    draft->len = 0;
    insert_at(draft, 0, argument, strlen(argument));
}

static void append(struct draft *draft, const char *argument)
{
    insert_at(draft, draft->len, argument, strlen(argument));
}

static void prepend(struct draft *draft, const char *argument)
{
    insert_at(draft, 0, argument, strlen(argument));
}

static void into_header(struct draft *draft, const char *argument)
{
    insert_at(draft, dot(draft, 1), argument, strlen(argument));
}

static void into_payload(struct draft *draft, const char *argument)
{
    insert_at(draft, dot(draft, 2), argument, strlen(argument));
}

static void nul_into_header(struct draft *draft, const char *argument)
{
    (void)argument;
    insert_at(draft, dot(draft, 1), "\0", 1);
}

static void grow(struct draft *draft, const char *argument)
{
    while (draft->len <= LIMIT_JWS_BYTES_MAX)
        append(draft, argument);
}

static void cut_signature(struct draft *draft, const char *argument)
{
    (void)argument;
    draft->len = dot(draft, 2) + 1;
}

static void cut_signature_and_dot(struct draft *draft, const char *argument)
{
    (void)argument;
    draft->len = dot(draft, 2);
}

static void cut_to_header(struct draft *draft, const char *argument)
{
    (void)argument;
    draft->len = dot(draft, 1);
}

static void cut_header(struct draft *draft, const char *argument)
{
    size_t at = dot(draft, 1);

    (void)argument;
    memmove(draft->text, draft->text + at, draft->len - at);
    draft->len -= at;
}

static void cut_payload(struct draft *draft, const char *argument)
{
    size_t from = dot(draft, 1) + 1, to = dot(draft, 2);

    (void)argument;
    memmove(draft->text + from, draft->text + to, draft->len - to);
    draft->len -= to - from;
}

/* Sets the lowest bit of the character before `at`, which carries no data there. */
static void spare_bit(struct draft *draft, size_t at)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *place = strchr(alphabet, draft->text[at - 1]);

    assert_non_null(place);
    assert_int_equal((place - alphabet) % 2, 0);
    draft->text[at - 1] = place[1];
}

static void spare_header_bit(struct draft *draft, const char *argument)
{
    (void)argument;
    spare_bit(draft, dot(draft, 1));
}

static void spare_payload_bit(struct draft *draft, const char *argument)
{
    (void)argument;
    spare_bit(draft, draft->len); /* early: the payload is still last */
}

static void spare_signature_bit(struct draft *draft, const char *argument)
{
    (void)argument;
    spare_bit(draft, draft->len);
}

/* Puts other bytes in the signature's place. */
static void set_signature(struct draft *draft, const unsigned char *bytes, size_t len)
{
    struct sbuf out;

    cut_signature(draft, NULL);
    out = sbuf_over(draft->text + draft->len, sizeof(draft->text) - draft->len);
    crypto_base64url_add(&out, span_make(bytes, len));
    draft->len += out.len;
}

static size_t get_signature(const struct draft *draft, unsigned char *bytes, size_t room)
{
    size_t from = dot(draft, 2) + 1, len = 0;

    assert_int_equal(crypto_base64url_decode(span_make(draft->text + from, draft->len - from),
                                             bytes, room, &len),
                     ERR_OK);
    return len;
}

static void flip_signature_bit(struct draft *draft, const char *argument)
{
    unsigned char bytes[CRYPTO_SIGNATURE_BYTES_MAX];
    size_t len = get_signature(draft, bytes, sizeof(bytes));

    (void)argument;
    bytes[len - 1] ^= 1;
    set_signature(draft, bytes, len);
}

static void shorten_signature(struct draft *draft, const char *argument)
{
    unsigned char bytes[CRYPTO_SIGNATURE_BYTES_MAX];
    size_t len = get_signature(draft, bytes, sizeof(bytes));

    (void)argument;
    set_signature(draft, bytes, len - 1);
}

static void halve_signature(struct draft *draft, const char *argument)
{
    unsigned char bytes[CRYPTO_SIGNATURE_BYTES_MAX];
    size_t len = get_signature(draft, bytes, sizeof(bytes));

    (void)argument;
    set_signature(draft, bytes, len / 2);
}

static void lengthen_signature(struct draft *draft, const char *argument)
{
    unsigned char bytes[CRYPTO_SIGNATURE_BYTES_MAX] = {0};
    size_t len = get_signature(draft, bytes, sizeof(bytes) - 1);

    (void)argument;
    set_signature(draft, bytes, len + 1);
}

static void zero_signature(struct draft *draft, const char *argument)
{
    static const unsigned char zeros[64];

    (void)argument;
    set_signature(draft, zeros, sizeof(zeros));
}

static void ones_signature(struct draft *draft, const char *argument)
{
    unsigned char ones[64];

    (void)argument;
    memset(ones, 0xff, sizeof(ones));
    set_signature(draft, ones, sizeof(ones));
}

/* r = s = 1. */
static void unit_signature(struct draft *draft, const char *argument)
{
    unsigned char unit[64] = {0};

    (void)argument;
    unit[31] = unit[63] = 1;
    set_signature(draft, unit, sizeof(unit));
}

static void swap_signature(struct draft *draft, const char *argument)
{
    unsigned char bytes[CRYPTO_SIGNATURE_BYTES_MAX], swapped[64];

    (void)argument;
    assert_int_equal(get_signature(draft, bytes, sizeof(bytes)), 64);
    memcpy(swapped, bytes + 32, 32);
    memcpy(swapped + 32, bytes, 32);
    set_signature(draft, swapped, sizeof(swapped));
}

/* The same r and s as TLS would write them. */
static void der_signature(struct draft *draft, const char *argument)
{
    unsigned char bytes[CRYPTO_SIGNATURE_BYTES_MAX], der[160], *end = der;
    ECDSA_SIG *parts = ECDSA_SIG_new();

    (void)argument;
    assert_int_equal(get_signature(draft, bytes, sizeof(bytes)), 64);
    ECDSA_SIG_set0(parts, BN_bin2bn(bytes, 32, NULL), BN_bin2bn(bytes + 32, 32, NULL));
    i2d_ECDSA_SIG(parts, &end);
    ECDSA_SIG_free(parts);
    set_signature(draft, der, (size_t)(end - der));
}

/* Other claims under a signature that was made for the first ones. */
static void change_claims(struct draft *draft, const char *argument)
{
    unsigned char bytes[CRYPTO_SIGNATURE_BYTES_MAX];
    size_t len = get_signature(draft, bytes, sizeof(bytes));
    struct sbuf out;

    draft->len = dot(draft, 1) + 1;
    out = sbuf_over(draft->text + draft->len, sizeof(draft->text) - draft->len);
    crypto_base64url_add(&out, span_from(argument));
    draft->len += out.len;
    append(draft, ".");
    set_signature(draft, bytes, len);
}

/* Another header under the first one's signature. */
static void change_header(struct draft *draft, const char *argument)
{
    char text[512];
    struct sbuf out = sbuf_over(text, sizeof(text) - 1);

    crypto_base64url_add(&out, span_from(argument));
    cut_header(draft, NULL);
    insert_at(draft, 0, text, out.len);
}

/* ---- the table ---- */

#define THREE  "the token does not have three parts"
#define EMPTY  "a part of the token is empty"
#define B64_H  "the header is not base64url"
#define B64_P  "the payload is not base64url"
#define B64_S  "the signature is not base64url"
#define JSON_H "the header is not strict JSON"
#define NOALG  "the algorithm is not offered"
#define NOKEY  "no key fits the kid and alg of the header"
#define WRONG  "the signature is wrong"
#define TEXTS  "kid, typ or cty of the header is not a short text"
#define OWNKEY "the header brings its own key"
#define CRIT   "the header names a critical extension"
#define JSON_C "the claims are not one strict JSON object"
#define NAMES  "iss, sub or jti is not a short text"
#define ISSUER "the token is of another issuer"
#define AUDIT  "the token is for another audience"
#define TIME   "exp, nbf or iat is not a time"
#define TYP    "the token is of another typ"

static const struct row rows[] = {
    /* its form */
    {"nothing at all", .late = set, .argument = "", .why = THREE},
    {"one part", .late = cut_to_header, .why = THREE},
    {"two parts", .late = cut_signature_and_dot, .why = THREE},
    {"four parts", .late = append, .argument = ".AAAA", .why = THREE},
    {"five parts, like an encrypted token", .late = append, .argument = ".AAAA.AAAA", .why = THREE},
    {"a dot at the end", .late = append, .argument = ".", .why = THREE},
    {"only dots", .late = set, .argument = "..", .why = EMPTY},
    {"no header", .late = cut_header, .why = EMPTY},
    {"no payload", .late = cut_payload, .why = WRONG},
    {"no signature", .late = cut_signature, .why = EMPTY},
    {"longer than allowed", .late = grow, .argument = "AAAA", .why = "the token is too long"},
    {"a space in front", .late = prepend, .argument = " ", .why = B64_H},
    {"a scheme in front", .late = prepend, .argument = "Bearer ", .why = B64_H},
    {"a newline behind", .late = append, .argument = "\n", .why = B64_S},
    {"padding behind the header", .late = into_header, .argument = "=", .why = B64_H},
    {"padding behind the payload", .early = append, .argument = "=", .why = B64_P},
    {"padding behind the signature", .late = append, .argument = "==", .why = B64_S},
    {"a plus in the payload", .early = append, .argument = "A+AA", .why = B64_P},
    {"a slash in the signature", .late = append, .argument = "A/A", .why = B64_S},
    {"a line break in the payload", .late = into_payload, .argument = "\r\n", .why = B64_P},
    {"a tab in the header", .late = into_header, .argument = "\t", .why = B64_H},
    {"a NUL in the header", .late = nul_into_header, .why = B64_H},
    {"a percent escape", .late = append, .argument = "%3D", .why = B64_S},
    {"a spare bit set in the header", .late = spare_header_bit, .why = B64_H},
    {"a spare bit set in the payload, and signed", .early = spare_payload_bit, .why = B64_P},
    {"a spare bit set in the signature", .late = spare_signature_bit, .why = B64_S},
    {"JSON serialization", .late = set,
     .argument = "{\"payload\":\"e30\",\"protected\":\"e30\",\"signature\":\"AA\"}", .why = THREE},

    /* its header as JSON */
    {"a header that is no JSON", .header = "ES256", .why = JSON_H},
    {"a header that is a list", .header = "[\"ES256\"]", .why = "the header is not an object"},
    {"a header that is null", .header = "null", .why = "the header is not an object"},
    {"alg twice", .header = "{\"alg\":\"ES256\",\"kid\":\"right\",\"alg\":\"none\"}",
     .why = JSON_H},
    {"alg twice, once in escapes",
     .header = "{\"alg\":\"ES256\",\"kid\":\"right\",\"\\u0061lg\":\"none\"}", .why = JSON_H},
    {"kid twice", .header = HEADER_WITH("\"kid\":\"right\""), .why = JSON_H},
    {"a byte order mark", .header = "\xef\xbb\xbf" HEADER, .why = JSON_H},
    {"bytes that are no UTF-8", .header = HEADER_WITH("\"x\":\"\xc0\xaf\""), .why = JSON_H},
    {"half a surrogate pair", .header = HEADER_WITH("\"x\":\"\\ud800\""), .why = JSON_H},
    {"something behind the object", .header = HEADER "{}", .why = JSON_H},
    {"a comment", .header = "/**/" HEADER, .why = JSON_H},
    {"a trailing comma", .header = "{\"alg\":\"ES256\",\"kid\":\"right\",}", .why = JSON_H},
    {"nesting without end",
     .header =
         HEADER_WITH("\"x\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
                     "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"),
     .why = JSON_H},

    /* its algorithm */
    {"no alg", .header = "{\"kid\":\"right\"}", .why = "the header has no alg"},
    {"alg is a number", .header = "{\"alg\":256,\"kid\":\"right\"}",
     .why = "the header has no alg"},
    {"alg is null", .header = "{\"alg\":null,\"kid\":\"right\"}", .why = "the header has no alg"},
    {"alg is a list", .header = "{\"alg\":[\"ES256\"],\"kid\":\"right\"}",
     .why = "the header has no alg"},
    {"none, unsigned", .header = "{\"alg\":\"none\"}", .with = NOTHING, .why = EMPTY},
    {"none, with a good signature", .header = "{\"alg\":\"none\",\"kid\":\"right\"}", .why = NOALG},
    {"None", .header = "{\"alg\":\"None\"}", .why = NOALG},
    {"NONE", .header = "{\"alg\":\"NONE\"}", .why = NOALG},
    {"nOnE", .header = "{\"alg\":\"nOnE\"}", .why = NOALG},
    {"an empty alg", .header = "{\"alg\":\"\"}", .why = NOALG},
    {"alg in lower case", .header = "{\"alg\":\"es256\",\"kid\":\"right\"}", .why = NOALG},
    {"alg with a space", .header = "{\"alg\":\"ES256 \",\"kid\":\"right\"}", .why = NOALG},
    {"alg with a NUL", .header = "{\"alg\":\"ES256\\u0000\",\"kid\":\"right\"}", .why = NOALG},
    {"SHA-1", .header = "{\"alg\":\"RS1\",\"kid\":\"rsa\"}", .with = RSA_KEY, .why = NOALG},
    {"an encryption algorithm", .header = "{\"alg\":\"RSA-OAEP\",\"kid\":\"rsa\"}", .why = NOALG},
    {"a password algorithm", .header = "{\"alg\":\"PBES2-HS256+A128KW\",\"p2c\":2000000000}",
     .why = NOALG},
    {"HS256 with the public PEM as secret", .header = "{\"alg\":\"HS256\",\"kid\":\"right\"}",
     .with = PUBLIC_PEM, .why = NOKEY},
    {"HS256 with the public JWK as secret", .header = "{\"alg\":\"HS256\",\"kid\":\"right\"}",
     .with = PUBLIC_JWK, .why = NOKEY},
    {"HS256 with the RSA PEM as secret", .header = "{\"alg\":\"HS256\",\"kid\":\"rsa\"}",
     .with = RSA_PEM, .why = NOKEY},
    {"HS256 with the public PEM, named ES256", .with = PUBLIC_PEM, .why = WRONG},
    {"HS256 with a secret of zeros", .header = "{\"alg\":\"HS256\"}", .with = ZERO_SECRET,
     .why = NOKEY},
    {"PS256 where the key is for RS256", .header = "{\"alg\":\"PS256\",\"kid\":\"rsa\"}",
     .with = RSA_AS_PSS, .why = NOKEY},
    {"a PS256 signature named RS256",
     .header = "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"rsa\"}", .with = RSA_AS_PSS,
     .why = WRONG},
    {"RS512 where the key is for RS256", .header = "{\"alg\":\"RS512\",\"kid\":\"rsa\"}",
     .with = RSA_KEY, .why = NOKEY},
    {"another curve under the right name", .header = "{\"alg\":\"ES384\",\"kid\":\"right\"}",
     .with = CURVE_384, .why = NOKEY},
    {"another curve, named ES256", .with = CURVE_384, .why = WRONG},
    {"EdDSA named ES256", .with = EDWARDS, .why = WRONG},
    {"ES256 named EdDSA", .header = "{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"edwards\"}",
     .why = WRONG},

    /* what it brings along */
    {"its own key (jwk)", .header = HEADER_WITH("\"jwk\":{\"kty\":\"EC\"}"), .with = STRANGER,
     .why = OWNKEY},
    {"its own key's address (jku)", .header = HEADER_WITH("\"jku\":\"https://evil.example/k\""),
     .why = OWNKEY},
    {"its own certificate (x5c)", .header = HEADER_WITH("\"x5c\":[\"AAAA\"]"), .why = OWNKEY},
    {"its own certificate's address (x5u)", .header = HEADER_WITH("\"x5u\":\"file:///etc/passwd\""),
     .why = OWNKEY},
    {"a critical extension", .header = HEADER_WITH("\"crit\":[\"exp\"],\"exp\":1"), .why = CRIT},
    {"an empty list of them", .header = HEADER_WITH("\"crit\":[]"), .why = CRIT},
    {"a critical null", .header = HEADER_WITH("\"crit\":null"), .why = CRIT},
    {"an unencoded payload", .header = HEADER_WITH("\"b64\":false"),
     .why = "the header asks for an unencoded payload"},
    {"the same, critical", .header = HEADER_WITH("\"b64\":false,\"crit\":[\"b64\"]"), .why = CRIT},
    {"compression", .header = HEADER_WITH("\"zip\":\"DEF\""),
     .why = "the header asks for compression"},
    {"encryption", .header = HEADER_WITH("\"enc\":\"A128GCM\""), .why = "the token is encrypted"},
    {"a token within", .header = HEADER_WITH("\"cty\":\"JWT\""), .why = "the token is nested"},

    /* its kid and typ */
    {"an unknown kid", .header = "{\"alg\":\"ES256\",\"kid\":\"left\"}", .why = NOKEY},
    {"another key's kid", .header = "{\"alg\":\"ES256\",\"kid\":\"rsa\"}", .why = NOKEY},
    {"a path as kid", .header = "{\"alg\":\"ES256\",\"kid\":\"../../../dev/null\"}", .why = NOKEY},
    {"SQL as kid", .header = "{\"alg\":\"ES256\",\"kid\":\"' UNION SELECT 'x' --\"}", .why = NOKEY},
    {"a kid that goes on after a NUL", .header = "{\"alg\":\"ES256\",\"kid\":\"right\\u0000x\"}",
     .why = NOKEY},
    {"an empty kid", .header = "{\"alg\":\"ES256\",\"kid\":\"\"}", .why = TEXTS},
    {"a numeric kid", .header = "{\"alg\":\"ES256\",\"kid\":0}", .why = TEXTS},
    {"an endless kid",
     .header = "{\"alg\":\"ES256\",\"kid\":"
               "\"0123456789012345678901234567890123456789012345678901234567890123456789"
               "01234567890123456789012345678901234567890123456789012345678\"}",
     .why = TEXTS},
    {"a numeric typ", .header = "{\"alg\":\"ES256\",\"kid\":\"right\",\"typ\":1}", .why = TEXTS},
    {"a plain JWT in place of an access token",
     .header = "{\"alg\":\"ES256\",\"kid\":\"right\",\"typ\":\"JWT\"}", .why = TYP},
    {"a proof of possession",
     .header = "{\"alg\":\"ES256\",\"kid\":\"right\",\"typ\":\"dpop+jwt\"}", .why = TYP},
    {"a logout token", .header = "{\"alg\":\"ES256\",\"kid\":\"right\",\"typ\":\"logout+jwt\"}",
     .why = TYP},
    {"no typ", .header = "{\"alg\":\"ES256\",\"kid\":\"right\"}", .why = "the token has no typ"},

    /* its signature */
    {"a stranger's key under the right kid", .with = STRANGER, .why = WRONG},
    {"one bit flipped", .late = flip_signature_bit, .why = WRONG},
    {"one byte less", .late = shorten_signature, .why = WRONG},
    {"one byte more", .late = lengthen_signature, .why = WRONG},
    {"half of it", .late = halve_signature, .why = WRONG},
    {"zeros (CVE-2022-21449)", .late = zero_signature, .why = WRONG},
    {"ones", .late = ones_signature, .why = WRONG},
    {"r = s = 1", .late = unit_signature, .why = WRONG},
    {"r and s swapped", .late = swap_signature, .why = WRONG},
    {"as DER", .late = der_signature, .why = WRONG},
    {"other claims under it", .late = change_claims, .argument = CLAIMS(",\"role\":\"admin\""),
     .why = WRONG},
    {"another header under it", .late = change_header,
     .argument = "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"right\",\"x\":1}", .why = WRONG},
    {"a space more in the header", .late = change_header,
     .argument = "{ \"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"right\"}", .why = WRONG},
    {"expired, and by a stranger", .claims = TIMES("\"exp\":1"), .with = STRANGER, .why = WRONG},
    {"RSA, one byte more", .header = "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"rsa\"}",
     .with = RSA_KEY, .late = lengthen_signature, .why = WRONG},
    {"Ed25519, one bit flipped",
     .header = "{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"edwards\"}", .with = EDWARDS,
     .late = flip_signature_bit, .why = WRONG},

    /* its claims */
    {"claims that are no JSON", .claims = "hello", .why = JSON_C},
    {"claims that are a list", .claims = "[]", .why = JSON_C},
    {"no claims", .claims = "", .why = JSON_C},
    {"exp twice", .claims = CLAIMS(",\"exp\":9999999"), .why = JSON_C},
    {"sub twice, once in escapes", .claims = CLAIMS(",\"s\\u0075b\":\"1\""), .why = JSON_C},
    {"a bare word", .claims = CLAIMS(",\"x\":NaN"), .why = JSON_C},
    {"no iss", .claims = "{\"aud\":\"api\",\"sub\":\"7\",\"exp\":1000900}", .why = ISSUER},
    {"another iss", .claims = ISS("\"https://evil\""), .why = ISSUER},
    {"an iss that begins like ours", .claims = ISS("\"https://issuer.evil\""), .why = ISSUER},
    {"an iss with a slash more", .claims = ISS("\"https://issuer/\""), .why = ISSUER},
    {"an iss in capitals", .claims = ISS("\"HTTPS://issuer\""), .why = ISSUER},
    {"an iss that is a list", .claims = ISS("[\"https://issuer\"]"), .why = NAMES},
    {"no aud", .claims = "{\"iss\":\"https://issuer\",\"sub\":\"7\",\"exp\":1000900}",
     .why = "the token names no audience"},
    {"another aud", .claims = AUD("\"web\""), .why = AUDIT},
    {"a list of others", .claims = AUD("[\"web\",\"apis\"]"), .why = AUDIT},
    {"an empty list", .claims = AUD("[]"), .why = "aud is empty or has too many members"},
    {"numbers in it", .claims = AUD("[\"api\",1]"), .why = "a member of aud is not text"},
    {"an aud that is an object", .claims = AUD("{\"api\":1}"), .why = "aud has the wrong form"},
    {"an aud that is null", .claims = AUD("null"), .why = "aud has the wrong form"},
    {"no sub", .claims = "{\"iss\":\"https://issuer\",\"aud\":\"api\",\"exp\":1000900}",
     .why = "the token has no subject"},
    {"an empty sub", .claims = SUB("\"\""), .why = NAMES},
    {"a numeric sub", .claims = SUB("7"), .why = NAMES},
    {"a numeric jti", .claims = CLAIMS(",\"jti\":1"), .why = NAMES},
    {"no exp", .claims = TIMES("\"iat\":1000000"), .why = "the token has no end"},
    {"exp as text", .claims = TIMES("\"exp\":\"1000900\""), .why = TIME},
    {"exp as true", .claims = TIMES("\"exp\":true"), .why = TIME},
    {"exp as null", .claims = TIMES("\"exp\":null"), .why = TIME},
    {"exp below zero", .claims = TIMES("\"exp\":-1"), .why = TIME},
    {"exp just below zero", .claims = TIMES("\"exp\":-0.5"), .why = TIME},
    {"exp without end", .claims = TIMES("\"exp\":1e999"), .why = TIME},
    {"exp past 64 bits", .claims = TIMES("\"exp\":18446744073710551616"), .why = TIME},
    {"exp past the year 9999", .claims = TIMES("\"exp\":253402300800"), .why = TIME},
    {"exp over", .claims = TIMES("\"iat\":1000000,\"exp\":1000090"), .why = "the token has expired",
     .err = ERR_TOKEN_EXPIRED},
    {"nbf ahead", .claims = CLAIMS(",\"nbf\":1000111"), .why = "the token is not valid yet"},
    {"nbf as text", .claims = CLAIMS(",\"nbf\":\"0\""), .why = TIME},
    {"iat ahead", .claims = TIMES("\"iat\":1000111,\"exp\":1000900"),
     .why = "the token was issued in the future"},
    {"iat as a list", .claims = TIMES("\"iat\":[1],\"exp\":1000900"), .why = TIME},
    {"exp before iat", .claims = TIMES("\"iat\":1000000,\"exp\":999999"),
     .why = "the token ends before it begins"},
    {"a life too long", .claims = TIMES("\"iat\":1000000,\"exp\":1100000"),
     .why = "the token lives too long"},
    {"a life without beginning", .claims = TIMES("\"exp\":1000900"),
     .why = "the token does not say when it was issued"},

    /* secrets instead of public keys */
    {"another secret", .header = "{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}", .with = OTHER_SECRET,
     .secret_set = true, .why = WRONG},
    {"a secret of zeros", .header = "{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}", .with = ZERO_SECRET,
     .secret_set = true, .why = WRONG},
    {"the tag cut in half", .header = "{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}", .with = SECRET_256,
     .late = halve_signature, .secret_set = true, .why = WRONG},
    {"a tag of the other secret", .header = "{\"alg\":\"HS512\",\"typ\":\"at+jwt\"}",
     .with = SECRET_256, .secret_set = true, .why = WRONG},
    {"HS384, which no secret is for", .header = "{\"alg\":\"HS384\",\"typ\":\"at+jwt\"}",
     .with = SECRET_512, .secret_set = true, .why = NOKEY},
    {"a public key's signature", .header = HEADER, .secret_set = true, .why = NOKEY},
};

/* ---- running it ---- */

static void draft_make(struct draft *draft, const struct row *row)
{
    unsigned char signature[CRYPTO_SIGNATURE_BYTES_MAX];
    struct sbuf out = sbuf_over(draft->text, sizeof(draft->text));
    size_t bytes = 0;

    crypto_base64url_add(&out, span_from(row->header == NULL ? HEADER : row->header));
    sbuf_add_char(&out, '.');
    crypto_base64url_add(&out, span_from(row->claims == NULL ? CLAIMS("") : row->claims));
    draft->len = out.len;
    if (row->early != NULL)
        row->early(draft, row->argument);
    if (row->with != NOTHING)
        assert_int_equal(crypto_key_sign(signers[row->with], span_make(draft->text, draft->len),
                                         signature, &bytes),
                         ERR_OK);
    append(draft, ".");
    set_signature(draft, signature, bytes);
    if (row->late != NULL)
        row->late(draft, row->argument);
}

static enum err judge(const struct draft *draft, bool secrets, const char **ret_why)
{
    const struct crypto_jwt_rules rules = {.iss = SPAN("https://issuer"),
                                           .aud = SPAN("api"),
                                           .typ = SPAN("at+jwt"),
                                           .leeway_s = 10,
                                           .life_s_max = 3600};
    struct crypto_jwt jwt = {.sub = SPAN("untouched")};
    struct arena arena;
    enum err err;

    arena_init(&arena, NULL, 0, 256 * 1024);
    err = crypto_jwt_verify(secrets ? secret_set : public_set, &rules,
                            span_make(draft->text, draft->len), NOW_S, &arena, &jwt, ret_why);
    assert_int_equal(err == ERR_OK, span_is(jwt.sub, "7"));
    assert_int_equal(err != ERR_OK, span_is(jwt.sub, "untouched"));
    arena_reset(&arena);
    return err;
}

/* The good tokens that the rows spoil, so that a row is refused for what it changed. */
static void good_tokens_pass(void **state)
{
    static const struct row good[] = {
        {.with = RIGHT},
        {.header = "{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}", .with = RIGHT},
        {.header = HEADER_WITH("\"x5t\":\"AAAA\",\"made-up\":[1]"), .with = RIGHT},
        {.header = "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"right\" }", .with = RIGHT},
        {.claims = CLAIMS(" "), .with = RIGHT},
        {.claims = CLAIMS(",\"nbf\":1000110,\"jti\":\"x\""), .with = RIGHT},
        {.header = "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"rsa\"}", .with = RSA_KEY},
        {.header = "{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"edwards\"}", .with = EDWARDS},
        {.header = "{\"alg\":\"Ed25519\",\"typ\":\"at+jwt\",\"kid\":\"edwards\"}",
         .with = EDWARDS}, /* RFC 9864 */
        {.header = "{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}",
         .with = SECRET_256,
         .secret_set = true},
        {.header = "{\"alg\":\"HS512\",\"typ\":\"at+jwt\"}",
         .with = SECRET_512,
         .secret_set = true},
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(good); i++) {
        static struct draft draft;
        const char *why = "";
        enum err err;

        draft_make(&draft, &good[i]);
        err = judge(&draft, good[i].secret_set, &why);
        if (err)
            fail_msg("good token %zu: %s", i, why);
    }
}

static void forged_tokens_are_refused(void **state)
{
    (void)state;
    assert_true(PC_COUNT(rows) >= 60);
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        static struct draft draft;
        enum err wanted = rows[i].err == ERR_OK ? ERR_TOKEN_INVALID : rows[i].err;
        const char *why = "no reason";
        enum err err;

        draft_make(&draft, &rows[i]);
        err = judge(&draft, rows[i].secret_set, &why);
        if (err != wanted || strcmp(why, rows[i].why) != 0)
            fail_msg("%s: wanted \"%s\", got %s, \"%s\"", rows[i].how, rows[i].why, err_name(err),
                     err ? why : "");
    }
}

/* ---- keys ---- */

static bool key_make(enum with with, enum crypto_alg alg, const char *kid)
{
    return crypto_key_generate(alg, span_from(kid), &signers[with]) == ERR_OK;
}

/* An HMAC key over a text that everyone knows. */
static bool key_from_public(enum with with, struct span text)
{
    return crypto_key_from_secret(CRYPTO_HS256, text, SPAN_OF("forged"), &signers[with], NULL) ==
           ERR_OK;
}

static bool keys_from_public(void)
{
    static const char zeros[32];
    char text[2048];
    struct sbuf out = sbuf_over(text, sizeof(text));
    bool good = crypto_key_add_public_pem(signers[RIGHT], &out) == ERR_OK &&
                key_from_public(PUBLIC_PEM, sbuf_span(&out));

    sbuf_truncate(&out, 0);
    good = good && crypto_key_add_public_pem(signers[RSA_KEY], &out) == ERR_OK &&
           key_from_public(RSA_PEM, sbuf_span(&out));
    sbuf_truncate(&out, 0);
    return good && crypto_jwk_add(&out, signers[RIGHT], CRYPTO_JWK_PUBLIC) == ERR_OK &&
           key_from_public(PUBLIC_JWK, sbuf_span(&out)) &&
           key_from_public(ZERO_SECRET, span_make(zeros, sizeof(zeros)));
}

/* The RSA key once more, as if it were for PS256. */
static bool key_as_pss(void)
{
    EVP_PKEY *pkey = signers[RSA_KEY]->pkey;

    EVP_PKEY_up_ref(pkey);
    return crypto_key_adopt(pkey, CRYPTO_PS256, true, SPAN_OF("rsa"), &signers[RSA_AS_PSS], NULL) ==
           ERR_OK;
}

static int make_keys(void **state)
{
    (void)state;
    if (!key_make(RIGHT, CRYPTO_ES256, "right") || !key_make(RSA_KEY, CRYPTO_RS256, "rsa") ||
        !key_make(EDWARDS, CRYPTO_EDDSA, "edwards") || !key_make(STRANGER, CRYPTO_ES256, "right") ||
        !key_make(CURVE_384, CRYPTO_ES384, "right") || !key_make(SECRET_256, CRYPTO_HS256, "s") ||
        !key_make(SECRET_512, CRYPTO_HS512, "t") || !key_make(OTHER_SECRET, CRYPTO_HS256, "s") ||
        !keys_from_public() || !key_as_pss())
        return -1;
    if (crypto_keyset_new(&public_set) != ERR_OK || crypto_keyset_new(&secret_set) != ERR_OK ||
        crypto_keyset_add(public_set, signers[RIGHT]) != ERR_OK ||
        crypto_keyset_add(public_set, signers[RSA_KEY]) != ERR_OK ||
        crypto_keyset_add(public_set, signers[EDWARDS]) != ERR_OK ||
        crypto_keyset_add(secret_set, signers[SECRET_256]) != ERR_OK ||
        crypto_keyset_add(secret_set, signers[SECRET_512]) != ERR_OK)
        return -1;
    return 0;
}

static int free_keys(void **state)
{
    (void)state;
    crypto_keyset_free(public_set);
    crypto_keyset_free(secret_set);
    for (size_t i = 0; i < PC_COUNT(signers); i++)
        crypto_key_free(signers[i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_tokens_pass),
        cmocka_unit_test(forged_tokens_are_refused),
    };

    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
