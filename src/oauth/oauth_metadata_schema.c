/* SPDX-License-Identifier: MIT
 * What the keys and the metadata of the issuer look like, for the API document alone: they are
 * written from what is true of this issuer (oauth_metadata_http.c), not from a struct. */
#include "oauth/oauth_priv.h"

enum { URL_CHARS_MAX = 2048, NAMES_MAX = 64, NAME_CHARS_MAX = 256, KEY_CHARS_MAX = 2048 };

#define KEY_TEXT(label, sample)                                                                    \
    .name = (label), .kind = JSON_KIND_TEXT, .max = KEY_CHARS_MAX, .example = (sample)
#define ADDRESS(label, sample)                                                                     \
    {                                                                                              \
        .name = (label), .kind = JSON_KIND_TEXT, .format = JSON_FORMAT_URI, .max = URL_CHARS_MAX,  \
        .example = "https://auth.example" sample                                                   \
    }
#define NAMES(label, sample)                                                                       \
    {                                                                                              \
        .name = (label), .kind = JSON_KIND_LIST, .item = &name_item, .max = NAMES_MAX,             \
        .example = "[\"" sample "\"]"                                                              \
    }
#define FLAG(label, sample)                                                                        \
    {                                                                                              \
        .name = (label), .kind = JSON_KIND_BOOL, .example = (sample)                               \
    }

static const struct json_field key_fields[] = {
    {KEY_TEXT("kty", "EC"), .about = "RSA, EC or OKP."},
    {KEY_TEXT("kid", "2026-02-03")},
    {KEY_TEXT("use", "sig")},
    {KEY_TEXT("alg", "ES256")},
    {KEY_TEXT("n", NULL), .optional = true, .about = "Of RSA: the modulus."},
    {KEY_TEXT("e", NULL), .optional = true, .about = "Of RSA: the exponent."},
    {KEY_TEXT("crv", "P-256"), .optional = true, .about = "Of EC and OKP."},
    {KEY_TEXT("x", "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"), .optional = true,
     .about = "Of EC and OKP."},
    {KEY_TEXT("y", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"), .optional = true,
     .about = "Of EC."},
};
static const struct json_schema key_schema = {.name = "Jwk",
                                              .about = "A public key (RFC 7517).",
                                              .fields = key_fields,
                                              .field_count = PC_COUNT(key_fields)};

static const struct json_field keys_fields[] = {
    {.name = "keys", .kind = JSON_KIND_LIST, .schema = &key_schema, .max = NAMES_MAX}};
const struct json_schema oauth_keys_schema = {.name = "JwkSet",
                                              .about = "The keys of the issuer (RFC 7517).",
                                              .fields = keys_fields,
                                              .field_count = PC_COUNT(keys_fields)};

static const struct json_field name_item = {.kind = JSON_KIND_TEXT, .max = NAME_CHARS_MAX};

static const struct json_field metadata_fields[] = {
    {.name = "issuer",
     .kind = JSON_KIND_TEXT,
     .max = URL_CHARS_MAX,
     .example = "https://auth.example"},
    ADDRESS("authorization_endpoint", "/oauth/authorize"),
    ADDRESS("token_endpoint", "/auth/token"),
    ADDRESS("jwks_uri", "/.well-known/jwks.json"),
    ADDRESS("userinfo_endpoint", "/oauth/userinfo"),
    ADDRESS("introspection_endpoint", "/auth/introspect"),
    ADDRESS("revocation_endpoint", "/auth/revoke"),
    ADDRESS("end_session_endpoint", "/oauth/logout"),
    NAMES("scopes_supported", "accounts:read"),
    NAMES("response_types_supported", "code"),
    NAMES("response_modes_supported", "query"),
    NAMES("grant_types_supported", "authorization_code"),
    NAMES("code_challenge_methods_supported", "S256"),
    NAMES("prompt_values_supported", "login"),
    NAMES("ui_locales_supported", "en"),
    FLAG("authorization_response_iss_parameter_supported", "true"),
    FLAG("request_parameter_supported", "false"),
    FLAG("request_uri_parameter_supported", "false"),
    FLAG("claims_parameter_supported", "false"),
    NAMES("token_endpoint_auth_methods_supported", "client_secret_basic"),
    NAMES("token_endpoint_auth_signing_alg_values_supported", "RS256"),
    NAMES("introspection_endpoint_auth_methods_supported", "client_secret_basic"),
    NAMES("introspection_endpoint_auth_signing_alg_values_supported", "RS256"),
    NAMES("revocation_endpoint_auth_methods_supported", "client_secret_basic"),
    NAMES("revocation_endpoint_auth_signing_alg_values_supported", "RS256"),
    {.name = "tls_client_certificate_bound_access_tokens",
     .kind = JSON_KIND_BOOL,
     .optional = true,
     .about = "There where clients may show certificates (RFC 8705)."},
    NAMES("subject_types_supported", "public"),
    NAMES("id_token_signing_alg_values_supported", "RS256"),
    NAMES("claim_types_supported", "normal"),
    NAMES("claims_supported", "sub"),
};
const struct json_schema oauth_metadata_schema = {
    .name = "IssuerMetadata",
    .about = "What the issuer offers (RFC 8414, OpenID Connect Discovery 1.0).",
    .fields = metadata_fields,
    .field_count = PC_COUNT(metadata_fields)};
