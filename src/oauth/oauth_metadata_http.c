/* SPDX-License-Identifier: MIT
 * What verifiers and applications read first: the public keys, and the description of this issuer
 * with all that is true of it and nothing that is not. RFC 7517, RFC 8414 and OpenID Connect
 * Discovery 1.0 in one document, since the latter two differ in their address alone.
 *
 * They are documents: open, outside of every limit, and kept by whoever asked for as long as a new
 * key waits before it signs (docs/decisions/oauth-keys.md). */
#include "crypto/digest.h"
#include "json/json_writer.h"
#include "oauth/oauth_priv.h"

enum { DOCUMENT_BYTES_MAX = 128 * 1024, TAG_BYTES = 12, URL_BYTES_MAX = 2048 };

static http_handler_fn jwks_get, metadata_get;

/* ---- a document -------------------------------------------------------------------------------
 */

/* RFC 9110, 13.1.2; a list of tags is searched as text, which weak tags pass too. */
static bool is_known(struct span header, struct span tag)
{
    if (span_is(header, "*"))
        return true;
    for (size_t i = 0; i + tag.len <= header.len; i++) {
        if (span_starts(span_slice(header, i, header.len), tag))
            return true;
    }
    return false;
}

static enum err document_reply(struct http_request *req, const struct sbuf *body)
{
    char cache_text[64], tag_text[64];
    struct sbuf cache = sbuf_over(cache_text, sizeof(cache_text));
    struct sbuf tag = sbuf_over(tag_text, sizeof(tag_text));
    unsigned char digest[CRYPTO_SHA256_BYTES];
    struct span text, kept;
    enum err err = sbuf_finish(body, &text);

    if (err)
        return err;
    crypto_sha256(text, digest);
    sbuf_add_char(&tag, '"');
    crypto_base64url_add(&tag, span_make(digest, TAG_BYTES));
    sbuf_add_char(&tag, '"');
    sbuf_add_format(&cache, "public, max-age=%lld",
                    (long long)oauth_keys_max_age_s(oauth_of(req)->options.keys));
    kept = arena_copy(req->arena, sbuf_span(&cache));
    if (kept.ptr == NULL)
        return ERR_NO_MEMORY;
    http_reply_cache(req, kept);
    http_reply_header(req, "ETag", sbuf_span(&tag));
    if (is_known(http_header(req, "if-none-match"), sbuf_span(&tag)))
        return http_reply_empty(req, 304);
    return http_reply_text(req, 200, "application/json", text);
}

static enum err jwks_get(struct http_request *req)
{
    const struct oauth_options *options = &oauth_of(req)->options;
    struct sbuf out = sbuf_on(req->arena, DOCUMENT_BYTES_MAX);
    enum err err =
        crypto_jwks_add(&out, oauth_keys_public(options->keys, clock_realtime_ns(options->clock)));

    return err ? err : document_reply(req, &out);
}

/* ---- what is true of this issuer --------------------------------------------------------------
 */

static void add_names(struct json_writer *w, const char *key, const char *const *names)
{
    json_key(w, key);
    json_begin_list(w);
    for (size_t i = 0; names[i] != NULL; i++)
        json_text(w, span_from(names[i]));
    json_end_list(w);
}

/* Below base_url, unless the settings name another address. */
static void add_url(struct json_writer *w, const char *key, const struct oauth_options *options,
                    struct span given, const char *path)
{
    char text[URL_BYTES_MAX];
    struct sbuf url = sbuf_over(text, sizeof(text));

    sbuf_add(&url, given.len > 0 ? given : options->base_url);
    if (given.len == 0)
        sbuf_add_text(&url, path);
    if (url.full)
        w->out->full = true;
    json_add_text(w, key, sbuf_span(&url));
}

static void add_endpoints(struct json_writer *w, const struct oauth_options *options)
{
    static const struct {
        const char *key, *path;
    } rows[] = {
        {"jwks_uri", "/.well-known/jwks.json"},         {"userinfo_endpoint", "/oauth/userinfo"},
        {"introspection_endpoint", "/auth/introspect"}, {"revocation_endpoint", "/auth/revoke"},
        {"end_session_endpoint", "/oauth/logout"},
    };

    json_add_text(w, "issuer", options->issuer);
    add_url(w, "authorization_endpoint", options, options->authorize_url, "/oauth/authorize");
    add_url(w, "token_endpoint", options, options->token_url, "/auth/token");
    for (size_t i = 0; i < PC_COUNT(rows); i++)
        add_url(w, rows[i].key, options, (struct span){0}, rows[i].path);
}

static void add_scopes(struct json_writer *w)
{
    json_key(w, "scopes_supported");
    json_begin_list(w);
    for (size_t i = 0; auth_scopes[i].name != NULL; i++)
        json_text(w, span_from(auth_scopes[i].name));
    json_end_list(w);
}

static void add_flows(struct json_writer *w)
{
    static const char *const responses[] = {"code", NULL}, *const modes[] = {"query", NULL},
                             *const challenges[] = {"S256", NULL},
                             *const prompts[] = {"none", "login", "consent", NULL},
                             *const locales[] = {"en", NULL};
    static const char *const grants[] = {"authorization_code", "refresh_token",
                                         "client_credentials", "password", NULL};

    add_names(w, "response_types_supported", responses);
    add_names(w, "response_modes_supported", modes);
    add_names(w, "grant_types_supported", grants);
    add_names(w, "code_challenge_methods_supported", challenges);
    add_names(w, "prompt_values_supported", prompts);
    add_names(w, "ui_locales_supported", locales);
    json_add_bool(w, "authorization_response_iss_parameter_supported", true);
    json_add_bool(w, "request_parameter_supported", false);
    json_add_bool(w, "request_uri_parameter_supported", false);
    json_add_bool(w, "claims_parameter_supported", false);
}

/* The algorithms of client assertions: all that we verify with a public key, each name once. */
static void add_assertion_algs(struct json_writer *w)
{
    json_begin_list(w);
    for (enum crypto_alg alg = CRYPTO_ALG_NONE + 1; alg < CRYPTO_ALG_COUNT; alg++) {
        struct span name = span_from(crypto_alg_name(alg));

        if (!crypto_alg_is_symmetric(alg) && crypto_alg_from(name) == alg)
            json_text(w, name);
    }
    json_end_list(w);
}

static void add_key(struct json_writer *w, const char *endpoint, const char *rest)
{
    char text[80];
    struct sbuf key = sbuf_over(text, sizeof(text));

    sbuf_add_text(&key, endpoint);
    sbuf_add_text(&key, rest);
    PC_ASSERT(!key.full);
    json_key_span(w, sbuf_span(&key));
}

/* How a client proves itself at one endpoint. Only the token and revocation endpoints have
 * something for those that cannot. */
static void add_methods(struct json_writer *w, const struct oauth_options *options,
                        const char *endpoint, bool takes_public)
{
    add_key(w, endpoint, "_endpoint_auth_methods_supported");
    json_begin_list(w);
    for (enum oauth_method method = OAUTH_METHOD_SECRET_BASIC; method < OAUTH_METHOD_COUNT;
         method++) {
        if ((method == OAUTH_METHOD_CERTIFICATE && !options->takes_certificates) ||
            (method == OAUTH_METHOD_NONE && !takes_public))
            continue;
        json_text(w, span_from(oauth_method_name(method)));
    }
    json_end_list(w);
    add_key(w, endpoint, "_endpoint_auth_signing_alg_values_supported");
    add_assertion_algs(w);
}

static void add_clients(struct json_writer *w, const struct oauth_options *options)
{
    add_methods(w, options, "token", true);
    add_methods(w, options, "introspection", false);
    add_methods(w, options, "revocation", true);
    if (options->takes_certificates)
        json_add_bool(w, "tls_client_certificate_bound_access_tokens", true);
}

/* The issuer's own first; the others only where this node can sign with them. */
static void add_id_token_algs(struct json_writer *w, const struct oauth_options *options)
{
    static const enum crypto_alg others[] = {CRYPTO_RS256, CRYPTO_PS256, CRYPTO_ES256,
                                             CRYPTO_EDDSA};
    enum crypto_alg own = oauth_keys_alg(options->keys);
    int64_t now_ns = clock_realtime_ns(options->clock);

    json_key(w, "id_token_signing_alg_values_supported");
    json_begin_list(w);
    json_text(w, span_from(crypto_alg_name(own)));
    for (size_t i = 0; i < PC_COUNT(others); i++) {
        if (others[i] != own && oauth_keys_signer(options->keys, others[i], now_ns) != NULL)
            json_text(w, span_from(crypto_alg_name(others[i])));
    }
    json_end_list(w);
}

static void add_openid(struct json_writer *w, const struct oauth_options *options)
{
    static const char *const subjects[] = {"public", NULL}, *const types[] = {"normal", NULL};
    static const char *const claims[] = {"iss",
                                         "sub",
                                         "aud",
                                         "exp",
                                         "iat",
                                         "auth_time",
                                         "nonce",
                                         "at_hash",
                                         "sid",
                                         "name",
                                         "preferred_username",
                                         "email",
                                         "email_verified",
                                         "updated_at",
                                         NULL};

    add_names(w, "subject_types_supported", subjects);
    add_id_token_algs(w, options);
    add_names(w, "claim_types_supported", types);
    add_names(w, "claims_supported", claims);
}

static enum err metadata_get(struct http_request *req)
{
    const struct oauth_options *options = &oauth_of(req)->options;
    struct sbuf out = sbuf_on(req->arena, DOCUMENT_BYTES_MAX);
    struct json_writer w = json_writer_on(&out);

    json_begin_object(&w);
    add_endpoints(&w, options);
    add_scopes(&w);
    add_flows(&w);
    add_clients(&w, options);
    add_openid(&w, options);
    json_end_object(&w);
    return document_reply(req, &out);
}

/* ---- the rows ---------------------------------------------------------------------------------
 */

const struct http_route oauth_metadata_routes[] = {
    {.method = NET_METHOD_GET,
     .path = "/.well-known/jwks.json",
     .access = HTTP_ACCESS_OPEN,
     .rate = HTTP_RATE_EXEMPT,
     .guard = HTTP_GUARD_NONE,
     .data = HTTP_DATA_PUBLIC,
     .reply = &oauth_keys_schema,
     .run = HTTP_RUN_LOOP,
     .handle = jwks_get,
     .id = "oauth_jwks",
     .tag = "OAuth",
     .summary = "The keys that tokens are verified with",
     .about = "A JWK set (RFC 7517). A key is here before it signs, for longer than an answer may "
              "be kept (Cache-Control), and until its last token is over. ETag and If-None-Match "
              "are understood."},
    {.method = NET_METHOD_GET,
     .path = "/.well-known/oauth-authorization-server",
     .access = HTTP_ACCESS_OPEN,
     .rate = HTTP_RATE_EXEMPT,
     .guard = HTTP_GUARD_NONE,
     .data = HTTP_DATA_PUBLIC,
     .reply = &oauth_metadata_schema,
     .run = HTTP_RUN_LOOP,
     .handle = metadata_get,
     .id = "oauth_metadata",
     .tag = "OAuth",
     .summary = "What this issuer offers",
     .about = "Authorization server metadata (RFC 8414)."},
    {.method = NET_METHOD_GET,
     .path = "/.well-known/openid-configuration",
     .access = HTTP_ACCESS_OPEN,
     .rate = HTTP_RATE_EXEMPT,
     .guard = HTTP_GUARD_NONE,
     .data = HTTP_DATA_PUBLIC,
     .reply = &oauth_metadata_schema,
     .run = HTTP_RUN_LOOP,
     .handle = metadata_get,
     .id = "openid_configuration",
     .tag = "OAuth",
     .summary = "What this OpenID provider offers",
     .about = "OpenID Connect Discovery 1.0; the same document as that of RFC 8414."},
    {.path = NULL},
};
