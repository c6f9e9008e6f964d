/* SPDX-License-Identifier: MIT
 * Settings of the services: their places, the issuer, and serving only some of them. */
#include "app/config_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
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

/* The ledger's settings, and the places of the services behind the gateway. */
static void money_settings_arrive(void **state)
{
    static const char *const environ[] = {"ACCOUNT_PORT=9002", "TRANSACTION_PORT=9003",
                                          "AUDIT_PORT=9004", "MONITORING_PORT=9005", NULL};
    const struct config *config = &config_test.config;

    assert_int_equal(config_test_load("", NULL), ERR_OK);
    assert_int_equal(config->listeners[CONFIG_ACCOUNT].port, 8002);
    assert_int_equal(config->listeners[CONFIG_TRANSACTION].port, 8003);
    assert_int_equal(config->listeners[CONFIG_AUDIT].port, 8004);
    assert_int_equal(config->listeners[CONFIG_MONITORING].port, 8005);
    assert_int_equal(config->ledger.key_hours, 24);
    assert_int_equal(config->ledger.backdate_days, 30);
    assert_int_equal(config->ledger.hold_hours, 168);
    assert_int_equal(
        config_test_load("ledger: {key_hours: 1, backdate_days: 0, hold_hours: 0}\n", environ),
        ERR_OK);
    assert_string_equal(config_test_told(), "");
    assert_int_equal(config->listeners[CONFIG_ACCOUNT].port, 9002);
    assert_int_equal(config->listeners[CONFIG_TRANSACTION].port, 9003);
    assert_int_equal(config->listeners[CONFIG_AUDIT].port, 9004);
    assert_int_equal(config->listeners[CONFIG_MONITORING].port, 9005);
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
        {"gateway,auth,account,transaction,audit,monitoring", CONFIG_SERVICES_ALL, NULL},
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

/* The audit log may have a database of its own. */
static void audit_settings_arrive(void **state)
{
    static const char *const environ[] = {"AUDIT_DATABASE_URL=postgresql://a:b@db/audit",
                                          "AUDIT_DATABASE_SSLMODE=verify-full", NULL};
    const struct config *config = &config_test.config;

    assert_int_equal(config_test_load("", NULL), ERR_OK);
    assert_null(config->audit.database.url);
    assert_null(config->audit.database.sslmode);
    assert_int_equal(config->audit.events_per_minute, 6000);
    assert_int_equal(config->audit.outbox_max, 100000);
    assert_int_equal(config->audit.outbox_wait_s, 30);
    assert_int_equal(config_test_load("audit: {outbox_max: 7, outbox_wait_s: 3}\n", environ),
                     ERR_OK);
    assert_string_equal(config_test_told(), "");
    assert_string_equal(config->audit.database.url, "postgresql://a:b@db/audit");
    assert_string_equal(config->audit.database.sslmode, "verify-full");
    assert_int_equal(config->audit.outbox_max, 7);
    assert_int_equal(config->audit.outbox_wait_s, 3);
}

/* A second name of the same database is no second database. */
static void audit_database_is_its_own_or_none(void **state)
{
    static const struct {
        const char *database, *audit;
        bool same;
    } cases[] = {
        {"sqlite:a.db", "sqlite:a.db", true},
        {"sqlite:a.db", "sqlite:./a.db", true},
        {"sqlite:a.db", "sqlite:/var/lib/portcullis/a.db", true},
        {"sqlite:a.db", "sqlite:b.db", false},
        {"sqlite:a.db", "postgresql://x@a/b", false},
        {"postgresql://x:1@DB/a", "postgresql+asyncpg://y:2@db:5432/a?sslmode=require", true},
        {"postgresql://x@localhost/a", "postgresql://x@127.0.0.1:5432/a", true},
        {"postgresql:///a", "postgresql://localhost/a", true},
        {"postgresql://x@[::1]/a", "postgresql://x@[::1]:5432/a", true},
        {"postgresql://x@db:5433/a", "postgresql://x@db/a", false},
        {"postgresql://x@db/a", "postgresql://x@db/b", false},
        {"postgresql://x@db/a", "postgresql://x@other/a", false},
        {"postgresql:///a?host=/run/x", "postgresql:///a?host=/run/y", false},
    };

    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        char database[128];
        char audit[128];
        const char *environ[] = {database, audit, "PORTCULLIS_DATA=/var/lib/portcullis", NULL};

        (void)snprintf(database, sizeof(database), "DATABASE_URL=%s", cases[i].database);
        (void)snprintf(audit, sizeof(audit), "AUDIT_DATABASE_URL=%s", cases[i].audit);
        assert_int_equal(config_test_load("", environ), ERR_OK);
        assert_string_equal(config_test_told(), "");
        if (cases[i].same)
            assert_null(config_test.config.audit.database.url);
        else
            assert_string_equal(config_test.config.audit.database.url, cases[i].audit);
    }
}

/* What is told of the one database is told of the other. */
static void audit_database_has_the_same_rules(void **state)
{
    static const struct {
        const char *environ[3];
        const char *told;
    } cases[] = {
        {{"AUDIT_DATABASE_SSLMODE=require"},
         "warning: environment AUDIT_DATABASE_SSLMODE: audit.database.sslmode: has no effect "
         "without audit.database.url, or with that of database.url"},
        {{"AUDIT_DATABASE_URL=sqlite:b.db", "AUDIT_DATABASE_SSLMODE=require"},
         "warning: environment AUDIT_DATABASE_SSLMODE: audit.database.sslmode: has no effect on "
         "the embedded store"},
        {{"AUDIT_DATABASE_URL=postgresql://a@db/x?sslmode=disable"},
         "warning: environment AUDIT_DATABASE_URL: audit.database.url: sslmode disable sends "
         "passwords and money in clear to another machine, use require or verify-full"},
        {{"AUDIT_DATABASE_URL=postgresql://a:postgres@db/x"},
         "warning: environment AUDIT_DATABASE_URL: audit.database.url: its password is well known "
         "from examples"},
    };

    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        assert_int_equal(config_test_load("", cases[i].environ), ERR_OK);
        assert_string_equal(config_test_told(), cases[i].told);
    }
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
        cmocka_unit_test(audit_settings_arrive),
        cmocka_unit_test(audit_database_is_its_own_or_none),
        cmocka_unit_test(audit_database_has_the_same_rules),
        cmocka_unit_test(urls_of_listeners),
    };

    return cmocka_run_group_tests(tests, config_test_set_up, config_test_tear_down);
}
