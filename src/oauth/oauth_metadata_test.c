/* SPDX-License-Identifier: MIT
 * The documents as verifiers and applications get them: exact, kept for as long as they may be, and
 * asked for again in a few bytes. */
#include "http/http_test_kit.h"
#include "json/json.h"
#include "oauth/oauth_keys_test_kit.h"

static struct oauth_keys *keys;
static struct oauth *oauth;

static int begin_with(void **state, bool takes_certificates, const char *token_url)
{
    struct oauth_options options = {.clock = &kit_clock.clock,
                                    .random = &random_system,
                                    .issuer = SPAN("https://auth-service.local"),
                                    .audience = SPAN("portcullis-services"),
                                    .base_url = SPAN("http://127.0.0.1:8001"),
                                    .token_url = span_from(token_url),
                                    .takes_certificates = takes_certificates};
    struct http_mount mount = {.rows = oauth_metadata_routes};
    const struct http_service_options service = {.mounts = &mount, .mount_count = 1};

    if (keys_setup(state) != 0)
        return -1;
    folder_fill('a');
    options.keys = keys = node_open('a');
    if (oauth_new(&options, &oauth) != ERR_OK)
        return -1;
    mount.context = oauth;
    return site_start(&service, (struct http_engine_options){.clock = &clock_system});
}

static int begin(void **state)
{
    return begin_with(state, true, "");
}

static int begin_bare(void **state)
{
    return begin_with(state, false, "https://elsewhere/token");
}

static int end(void **state)
{
    int answer = site_stop(state);

    oauth_free(oauth);
    oauth_keys_free(keys);
    return keys_teardown(state) == 0 ? answer : -1;
}

/* The value of a header of the last answer, or the empty span. */
static struct span header(const char *name)
{
    const char *found = strstr(site.text, name);
    size_t len = strlen(name);

    if (found == NULL || found[len] != ':')
        return (struct span){0};
    return span_make(found + len + 2, strcspn(found + len + 2, "\r"));
}

static struct span body(void)
{
    const char *found = strstr(site.text, "\r\n\r\n");

    assert_non_null(found);
    return span_from(found + 4);
}

/* A copy that outlives the next answer. */
static struct span kept(struct span s)
{
    return arena_copy(&bench.arena, s);
}

/* The keys of all nodes, public parts alone, for as long as a new key waits. */
static void keys_are_published(void **state)
{
    PC_AUTO(crypto_keyset) set = NULL;

    (void)state;
    assert_int_equal(site_ask("GET /.well-known/jwks.json", "", NULL), 200);
    assert_true(span_is(header("Content-Type"), "application/json"));
    assert_true(span_is(header("Cache-Control"), "public, max-age=300"));
    assert_null(strstr(site.text, "\"d\""));
    assert_int_equal(crypto_keyset_from_jwks(body(), CRYPTO_ALG_NONE, &set, NULL), ERR_OK);
    assert_int_equal(crypto_keyset_count(set), 3);
    for (size_t i = 0; i < PC_COUNT(kit_algs); i++) {
        const struct crypto_key *found[2];

        assert_int_equal(
            crypto_keyset_find(set, signer_of(keys, kit_algs[i])->kid, kit_algs[i], found, 2), 1);
        assert_false(crypto_key_is_private(found[0]));
    }
}

/* Who has it already is told so; a new key is a new document. */
static void documents_are_asked_again(void **state)
{
    char line[128];
    struct span before, tag;

    (void)state;
    assert_int_equal(site_ask("GET /.well-known/jwks.json", "", NULL), 200);
    before = kept(body());
    tag = kept(header("ETag"));
    assert_true(tag.len > 10 && tag.ptr[0] == '"');
    (void)snprintf(line, sizeof(line), "If-None-Match: \"x\", W/%.*s\r\n", SPAN_ARG(tag));
    assert_int_equal(site_ask("GET /.well-known/jwks.json", line, NULL), 304);
    assert_int_equal(body().len, 0);
    assert_true(span_equal(header("ETag"), tag));
    assert_true(span_is(header("Cache-Control"), "public, max-age=300"));
    assert_int_equal(site_ask("GET /.well-known/jwks.json", "If-None-Match: *\r\n", NULL), 304);
    assert_int_equal(site_ask("GET /.well-known/jwks.json", "If-None-Match: \"x\"\r\n", NULL), 200);

    (void)rotate('a', CRYPTO_ES256, false);
    assert_int_equal(oauth_keys_reload(keys), ERR_OK);
    assert_int_equal(site_ask("GET /.well-known/jwks.json", line, NULL), 200);
    assert_false(span_equal(header("ETag"), tag));
    assert_false(span_equal(body(), before));
    assert_int_equal(site_ask("GET /.well-known/openid-configuration", line, NULL), 200);
}

#define ALGS                                                                                       \
    "[\"RS256\",\"RS384\",\"RS512\",\"PS256\",\"PS384\",\"PS512\",\"ES256\",\"ES384\",\"EdDSA\","  \
    "\"ES512\",\"ES256K\"]"
#define METHODS "\"client_secret_basic\",\"client_secret_post\",\"private_key_jwt\""
#define HEAD                                                                                       \
    "{\"issuer\":\"https://auth-service.local\","                                                  \
    "\"authorization_endpoint\":\"http://127.0.0.1:8001/oauth/authorize\","
#define MIDDLE                                                                                     \
    "\"jwks_uri\":\"http://127.0.0.1:8001/.well-known/jwks.json\","                                \
    "\"userinfo_endpoint\":\"http://127.0.0.1:8001/oauth/userinfo\","                              \
    "\"introspection_endpoint\":\"http://127.0.0.1:8001/auth/introspect\","                        \
    "\"revocation_endpoint\":\"http://127.0.0.1:8001/auth/revoke\","                               \
    "\"end_session_endpoint\":\"http://127.0.0.1:8001/oauth/logout\","                             \
    "\"scopes_supported\":[\"openid\",\"profile\",\"email\",\"offline_access\","                   \
    "\"accounts:read\",\"accounts:write\",\"transactions:read\",\"transactions:write\","           \
    "\"orders:read\",\"orders:write\",\"audit:read\",\"audit:write\",\"monitoring:read\","         \
    "\"monitoring:write\",\"admin\"],"                                                             \
    "\"response_types_supported\":[\"code\"],\"response_modes_supported\":[\"query\"],"            \
    "\"grant_types_supported\":[\"authorization_code\",\"refresh_token\","                         \
    "\"client_credentials\",\"password\"],\"code_challenge_methods_supported\":[\"S256\"],"        \
    "\"prompt_values_supported\":[\"none\",\"login\",\"consent\"],"                                \
    "\"ui_locales_supported\":[\"en\"],"                                                           \
    "\"authorization_response_iss_parameter_supported\":true,"                                     \
    "\"request_parameter_supported\":false,\"request_uri_parameter_supported\":false,"             \
    "\"claims_parameter_supported\":false,"
#define TAIL                                                                                       \
    "\"subject_types_supported\":[\"public\"],"                                                    \
    "\"id_token_signing_alg_values_supported\":[\"RS256\",\"ES256\",\"EdDSA\"],"                   \
    "\"claim_types_supported\":[\"normal\"],\"claims_supported\":[\"iss\",\"sub\",\"aud\","        \
    "\"exp\",\"iat\",\"auth_time\",\"nonce\",\"at_hash\",\"sid\",\"name\","                        \
    "\"preferred_username\",\"email\",\"email_verified\",\"updated_at\"]}"

/* Both addresses tell the same, word for word. */
static void the_issuer_is_described(void **state)
{
    static const char wanted[] = HEAD
        "\"token_endpoint\":\"http://127.0.0.1:8001/auth/token\"," MIDDLE
        "\"token_endpoint_auth_methods_supported\":[" METHODS ",\"tls_client_auth\",\"none\"],"
        "\"token_endpoint_auth_signing_alg_values_supported\":" ALGS ","
        "\"introspection_endpoint_auth_methods_supported\":[" METHODS ",\"tls_client_auth\"],"
        "\"introspection_endpoint_auth_signing_alg_values_supported\":" ALGS ","
        "\"revocation_endpoint_auth_methods_supported\":[" METHODS ",\"tls_client_auth\",\"none\"],"
        "\"revocation_endpoint_auth_signing_alg_values_supported\":" ALGS ","
        "\"tls_client_certificate_bound_access_tokens\":true," TAIL;
    struct span first;

    (void)state;
    assert_int_equal(site_ask("GET /.well-known/oauth-authorization-server", "", NULL), 200);
    assert_true(span_is(header("Content-Type"), "application/json"));
    assert_true(span_is(header("Cache-Control"), "public, max-age=300"));
    first = kept(body());
    assert_int_equal(site_ask("GET /.well-known/openid-configuration", "", NULL), 200);
    assert_true(span_equal(body(), first));
    assert_string_equal(body().ptr, wanted);
}

/* What the settings move is told where it is, and nothing is told of certificates that no listener
 * asks for. */
static void nothing_untrue_is_told(void **state)
{
    static const char wanted[] =
        HEAD "\"token_endpoint\":\"https://elsewhere/token\"," MIDDLE
             "\"token_endpoint_auth_methods_supported\":[" METHODS ",\"none\"],"
             "\"token_endpoint_auth_signing_alg_values_supported\":" ALGS ","
             "\"introspection_endpoint_auth_methods_supported\":[" METHODS "],"
             "\"introspection_endpoint_auth_signing_alg_values_supported\":" ALGS ","
             "\"revocation_endpoint_auth_methods_supported\":[" METHODS ",\"none\"],"
             "\"revocation_endpoint_auth_signing_alg_values_supported\":" ALGS "," TAIL;

    (void)state;
    assert_int_equal(site_ask("GET /.well-known/openid-configuration", "", NULL), 200);
    assert_string_equal(body().ptr, wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys_are_published, begin, end),
        cmocka_unit_test_setup_teardown(documents_are_asked_again, begin, end),
        cmocka_unit_test_setup_teardown(the_issuer_is_described, begin, end),
        cmocka_unit_test_setup_teardown(nothing_untrue_is_told, begin_bare, end),
    };

    return cmocka_run_group_tests(tests, kit_begin, kit_end);
}
