/* SPDX-License-Identifier: MIT
 * Issuers in the file: what arrives, and what is told of wrong ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "app/config_test.h"

#define FILE_AT(place) "portcullis.yaml:" place ": "
#define ISSUER(more)                                                                               \
    "issuers:\n  - name: partner\n    issuer: https://i\n    audience: [a]\n"                      \
    "    algorithms: [ES256]\n" more
#define GOOD ISSUER("    jwks_url: https://i/k\n")
#define ROUTE(more)                                                                                \
    "upstreams: [{name: shop, targets: [{url: http://a}]}]\n"                                      \
    "routes:\n  - path: /shop\n    upstream: shop\n" more

static const struct config_case bad_cases[] = {
    {ISSUER(""), FILE_AT("2:5") "issuers[0].jwks_file: give either jwks_file or jwks_url, one of "
                                "them"},
    {ISSUER("    jwks_url: https://i/k\n    jwks_file: /k\n"),
     FILE_AT("6:5") "issuers[0].jwks_url: give either jwks_file or jwks_url, one of them"},
    {ISSUER("    jwks_url: http://i/k\n"),
     FILE_AT("6:5") "issuers[0].jwks_url: must be https; http is for 127.0.0.1, [::1] and "
                    "localhost"},
    {ISSUER("    jwks_url: http://127.0.0.1.evil.example/k\n"),
     FILE_AT("6:5") "issuers[0].jwks_url: must be https; http is for 127.0.0.1, [::1] and "
                    "localhost"},
    {ISSUER("    jwks_url: http://localhost:90/k\n    ca_file: /c\n"),
     FILE_AT("7:5") "issuers[0].ca_file: needs a jwks_url that is https"},
    {ISSUER("    jwks_file: /k\n    public_only: true\n"),
     FILE_AT("7:5") "issuers[0].public_only: needs jwks_url"},
    {GOOD "  - {name: partner, issuer: x, audience: [a], algorithms: [ES256], jwks_file: /k}\n",
     FILE_AT("7:6") "issuers[1].name: \"partner\" is issuers[0] too"},
    {"issuers:\n  - {name: a, issuer: x, audience: [], algorithms: [ES256], jwks_file: /k}\n",
     FILE_AT("2:36") "issuers[0].audience: the list needs at least 1 item"},
    {"issuers:\n  - {name: a, issuer: x, audience: [a], jwks_file: /k}\n",
     FILE_AT("2:5") "issuers[0]: lacks \"algorithms\""},
    {"issuers:\n  - {name: a, issuer: x, audience: [a], algorithms: [HS256], jwks_file: /k}\n",
     NULL},
    {"issuers:\n  - {name: a, issuer: x, audience: [a], algorithms: [none], jwks_file: /k}\n",
     NULL},
    {GOOD ROUTE("    access: bearer\n    issuers: [other]\n"),
     FILE_AT("12:5") "routes[0].issuers: \"other\" is not in issuers"},
    {GOOD ROUTE("    access: open\n    issuers: [partner]\n"),
     FILE_AT("12:5") "routes[0].issuers: need access: bearer"},
    {GOOD ROUTE("    access: admin\n    issuers: [partner]\n"),
     FILE_AT("12:5") "routes[0].issuers: need access: bearer"},
    {ROUTE("    access: open\n    cors: {allowed_origins: [\"*\"], allow_credentials: true}\n"),
     FILE_AT("6:12") "routes[0].cors.allowed_origins: * never goes together with credentials, list "
                     "the origins"},
    {ROUTE("    access: open\n    cors: {allowed_origins: [\"*\", \"https://a\"]}\n"),
     FILE_AT("6:12") "routes[0].cors.allowed_origins: * stands alone"},
    {ROUTE("    access: bearer\n    api_key_header: X-Key\n"),
     FILE_AT("6:5") "routes[0].api_key_header: needs access: api_key"},
    {ROUTE("    access: open\n    cors: {max_age_seconds: 5}\n"),
     FILE_AT("3:5") "routes[0]: lacks \"cors.allowed_origins\""},
    {GOOD "  - {name: two, issuer: \"https://i\", audience: [b], algorithms: [ES256], jwks_file: "
          "/k}\n" ROUTE("    access: bearer\n    issuers: [partner, two]\n"),
     FILE_AT("13:5") "routes[0].issuers: \"partner\" and \"two\" have the same issuer: a token "
                     "does not say of which it is"},
};

static void bad_issuers_are_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < PC_COUNT(bad_cases); i++) {
        assert_int_equal(config_test_load(bad_cases[i].text, NULL), ERR_CONFIG);
        if (bad_cases[i].told != NULL)
            assert_string_equal(config_test_told(), bad_cases[i].told);
    }
}

static void issuers_arrive(void **state)
{
    const struct config_issuer *issuer;
    const struct config_route *route;

    (void)state;
    assert_int_equal(
        config_test_load(
            ISSUER("    jwks_url: http://[::1]:9000/k\n    required_claims:\n"
                   "      - {claim: realm.tenant, values: [blue, green]}\n"
                   "      - {claim: jti}\n    roles_claim: realm.roles\n"
                   "    refresh_seconds: 10\n    stale_seconds: 0\n    cooldown_seconds: 60\n"
                   "    timeout_ms: 100\n    bytes_max: 256\n    leeway_seconds: 0\n")
                ROUTE("    access: bearer\n    issuers: [partner]\n    scopes: [a]\n"),
            NULL),
        ERR_OK);
    issuer = &config_test.config.issuers.items[0];
    route = &config_test.config.routes.items[0];
    assert_int_equal(config_test.config.issuers.count, 1);
    assert_string_equal(issuer->issuer, "https://i");
    assert_string_equal(issuer->algorithms.items[0], "ES256");
    assert_int_equal(issuer->required_count, 2);
    assert_string_equal(issuer->required[0].claim, "realm.tenant");
    assert_string_equal(issuer->required[0].values.items[1], "green");
    assert_int_equal(issuer->required[1].values.count, 0);
    assert_string_equal(issuer->scope_claim, "scope");
    assert_string_equal(issuer->roles_claim, "realm.roles");
    assert_int_equal(issuer->refresh_seconds, 10);
    assert_int_equal(issuer->stale_seconds, 0);
    assert_int_equal(issuer->cooldown_seconds, 60);
    assert_int_equal(issuer->timeout_ms, 100);
    assert_int_equal(issuer->bytes_max, 256);
    assert_int_equal(issuer->leeway_seconds, 0);
    assert_int_equal(route->issuers.count, 1);
    assert_string_equal(route->issuers.items[0], "partner");
}

static void issuers_have_defaults(void **state)
{
    const struct config_issuer *issuer;

    (void)state;
    assert_int_equal(config_test_load(GOOD, NULL), ERR_OK);
    issuer = &config_test.config.issuers.items[0];
    assert_int_equal(issuer->refresh_seconds, 300);
    assert_int_equal(issuer->stale_seconds, 3600);
    assert_int_equal(issuer->cooldown_seconds, 10);
    assert_int_equal(issuer->timeout_ms, 5000);
    assert_int_equal(issuer->bytes_max, 65536);
    assert_int_equal(issuer->leeway_seconds, 30);
    assert_false(issuer->public_only);
}

static void add_line(void *context, const struct config_differs *difference)
{
    struct sbuf *out = context;

    config_differs_line(difference, out);
    sbuf_add_char(out, '\n');
}

/* A reload takes them over, and tells which routes that is about. */
static void changes_are_told(void **state)
{
    static const char before[] = GOOD ROUTE("    access: bearer\n    issuers: [partner]\n");
    static const struct {
        const char *text, *told;
    } cases[] = {
        {GOOD ROUTE("    access: bearer\n    issuers: [partner]\n"), ""},
        {ISSUER("    jwks_url: https://i/other\n    leeway_seconds: 1\n")
             ROUTE("    access: bearer\n    issuers: [partner]\n"),
         "~ issuer partner: jwks_url, leeway_seconds; affects /shop\n"},
        {"issuers: [{name: two, issuer: x, audience: [a], algorithms: [ES256], jwks_file: "
         "/k}]\n" ROUTE("    access: bearer\n"),
         "- issuer partner\n+ issuer two\n~ route /shop: issuers\n"},
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        char text[1024], names[256];
        struct sbuf out = sbuf_over(text, sizeof(text));
        struct sbuf waiting = sbuf_over(names, sizeof(names));
        struct config former;
        struct arena kept;

        assert_int_equal(config_test_load(before, NULL), ERR_OK);
        former = config_test.config; /* its texts must outlive the next loading */
        kept = config_test.arena;
        arena_init(&config_test.arena, NULL, 0, CONFIG_TEST_ARENA_BYTES_MAX);
        assert_int_equal(config_test_load(cases[i].text, NULL), ERR_OK);
        config_differences(&former, &config_test.config, add_line, &out);
        sbuf_add_char(&out, '\0');
        assert_string_equal(text, cases[i].told);
        assert_false(config_needs_restart(&former, &config_test.config, &waiting));
        arena_reset(&kept);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_issuers_are_told),
        cmocka_unit_test(issuers_arrive),
        cmocka_unit_test(issuers_have_defaults),
        cmocka_unit_test(changes_are_told),
    };

    return cmocka_run_group_tests(tests, config_test_set_up, config_test_tear_down);
}
