/* SPDX-License-Identifier: MIT
 * Settings of the services: their places, the issuer, and serving only some of them. */
#include "app/config_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Each service has its own place, and all names of the contract for the issuer arrive. */
static void issuer_settings_arrive(void **state)
{
    static const char *const environ[] = {"AUTH_PORT=9001",
                                          "HOST=127.0.0.2",
                                          "AUTH_JWT_ISSUER=https://issuer.example/a",
                                          "AUTH_JWT_AUDIENCE=those",
                                          "AUTH_PRIVATE_KEY_PATH=a.pem",
                                          "AUTH_PUBLIC_KEY_PATH=a.crt",
                                          "AUTH_JWT_KID=k1",
                                          "AUTH_ACCESS_TOKEN_MINUTES=5",
                                          "AUTH_REFRESH_TOKEN_DAYS=30",
                                          "AUTH_PUBLIC_URL=http://localhost:1",
                                          "AUTH_TOKEN_URL=http://localhost:2/t",
                                          "AUTH_AUTHORIZE_URL=http://localhost:3/a",
                                          "DOCS_OAUTH_CLIENT_ID=docs",
                                          NULL};
    const struct config *config = &config_test.config;

    assert_int_equal(config_test_load("", NULL), ERR_OK);
    assert_int_equal(config->listeners[CONFIG_AUTH].port, 8001);
    assert_string_equal(config->listeners[CONFIG_AUTH].host, "127.0.0.1");
    assert_string_equal(config->oauth.issuer, "https://auth-service.local");
    assert_string_equal(config->oauth.algorithm, "RS256");
    assert_string_equal(config->docs.client_id, "api-docs");
    assert_null(config->oauth.url);
    assert_int_equal(config->oauth.access_minutes, 15);
    assert_int_equal(config->oauth.refresh_days, 7);
    assert_int_equal(config->workers.signers, 2);
    assert_int_equal(config_test_load("oauth: {code_seconds: 30, login_hours: 1}\n", environ),
                     ERR_OK);
    assert_string_equal(config_test_told(), "");
    assert_int_equal(config->listeners[CONFIG_AUTH].port, 9001);
    assert_string_equal(config->listeners[CONFIG_AUTH].host, "127.0.0.2");
    assert_string_equal(config->oauth.issuer, "https://issuer.example/a");
    assert_string_equal(config->oauth.audience, "those");
    assert_string_equal(config->oauth.private_key_file, "a.pem");
    assert_string_equal(config->oauth.public_key_file, "a.crt");
    assert_string_equal(config->oauth.kid, "k1");
    assert_int_equal(config->oauth.access_minutes, 5);
    assert_int_equal(config->oauth.refresh_days, 30);
    assert_int_equal(config->oauth.code_s, 30);
    assert_int_equal(config->oauth.login_hours, 1);
    assert_string_equal(config->oauth.url, "http://localhost:1");
    assert_string_equal(config->oauth.token_url, "http://localhost:2/t");
    assert_string_equal(config->oauth.authorize_url, "http://localhost:3/a");
    assert_string_equal(config->docs.client_id, "docs");
}

/* The ledger's settings, and the places of the two services of money. */
static void money_settings_arrive(void **state)
{
    static const char *const environ[] = {"ACCOUNT_PORT=9002", "TRANSACTION_PORT=9003", NULL};
    const struct config *config = &config_test.config;

    assert_int_equal(config_test_load("", NULL), ERR_OK);
    assert_int_equal(config->listeners[CONFIG_ACCOUNT].port, 8002);
    assert_int_equal(config->listeners[CONFIG_TRANSACTION].port, 8003);
    assert_int_equal(config->ledger.key_hours, 24);
    assert_int_equal(config->ledger.backdate_days, 30);
    assert_int_equal(config->ledger.hold_hours, 168);
    assert_int_equal(
        config_test_load("ledger: {key_hours: 1, backdate_days: 0, hold_hours: 0}\n", environ),
        ERR_OK);
    assert_string_equal(config_test_told(), "");
    assert_int_equal(config->listeners[CONFIG_ACCOUNT].port, 9002);
    assert_int_equal(config->listeners[CONFIG_TRANSACTION].port, 9003);
    assert_int_equal(config->ledger.key_hours, 1);
    assert_int_equal(config->ledger.backdate_days, 0);
    assert_int_equal(config->ledger.hold_hours, 0);
}

/* What will not be served need not be fit to be. */
static void services_are_chosen(void **state)
{
    static const struct {
        const char *list;
        unsigned services;
        const char *wrong;
    } cases[] = {
        {"gateway", CONFIG_SERVICE_BIT(CONFIG_GATEWAY), NULL},
        {"auth, gateway", CONFIG_SERVICE_BIT(CONFIG_GATEWAY) | CONFIG_SERVICE_BIT(CONFIG_AUTH),
         NULL},
        {"gateway,auth,account,transaction", CONFIG_SERVICES_ALL, NULL},
        {"auth,auth", CONFIG_SERVICE_BIT(CONFIG_AUTH), NULL},
        {"auth,", 0, ""},
        {"", 0, ""},
        {"gateway,ledger,auth", 0, "ledger"},
    };
    static const char *const environ[] = {"ENVIRONMENT=production",
                                          "JWT_SECRET_KEY=" CONFIG_TEST_SECRET,
                                          "AUTH_JWT_ISSUER=https://auth.example.com", NULL};
    const struct config_sources only = {.text = &(struct span){"", 0},
                                        .environ = environ,
                                        .services = CONFIG_SERVICE_BIT(CONFIG_AUTH),
                                        .files_unchecked = true};
    struct config_problems problems;
    struct config config;

    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        unsigned services = 0;
        struct span wrong;

        assert_int_equal(config_services_read(span_from(cases[i].list), &services, &wrong),
                         cases[i].wrong == NULL);
        assert_int_equal(services, cases[i].services);
        assert_true(cases[i].wrong == NULL || span_is(wrong, cases[i].wrong));
    }
    assert_int_equal(config_load(&only, &config_test.arena, &config, NULL, &problems), ERR_CONFIG);
    assert_int_equal(problems.count, 1);
    assert_true(span_starts(problems.list[0].line, SPAN_OF("auth.tls.certificate: ")));
}

/* Where a service is reached, as people and metadata are told. */
static void urls_of_listeners(void **state)
{
    static const struct {
        const char *certificate, *host;
        uint16_t port;
        const char *url;
    } cases[] = {{NULL, "127.0.0.1", 8001, "http://127.0.0.1:8001"},
                 {"a.pem", "auth.example.com", 443, "https://auth.example.com:443"},
                 {NULL, "::1", 8001, "http://[::1]:8001"},
                 {NULL, "localhost", 0, "http://localhost"}};

    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        const struct config_listener listener = {.certificate = cases[i].certificate};
        char text[64];
        struct sbuf out = sbuf_over(text, sizeof(text));

        config_listener_url(&listener, cases[i].host, cases[i].port, &out);
        assert_true(span_is(sbuf_span(&out), cases[i].url));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(issuer_settings_arrive),
        cmocka_unit_test(money_settings_arrive),
        cmocka_unit_test(services_are_chosen),
        cmocka_unit_test(urls_of_listeners),
    };

    return cmocka_run_group_tests(tests, config_test_set_up, config_test_tear_down);
}
