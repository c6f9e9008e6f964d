/* SPDX-License-Identifier: MIT
 * Loading settings: what is refused and how it is told, what stands over what, and that no secret
 * is ever shown. */
#include "app/config_test.h"

#include "base/alloc.h"
#include "base/reason.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Every wrong file is told as the table says, word for word, with line and column. */
static void bad_files_are_told(void **state)
{
    for (size_t i = 0; i < config_bad_case_count; i++) {
        const struct config_case *bad = &config_bad_cases[i];
        enum err err = config_test_load(bad->text, NULL);

        assert_string_equal(config_test_told(), bad->told);
        assert_int_equal(err, strncmp(bad->told, "warning: ", 9) == 0 ? ERR_OK : ERR_CONFIG);
    }
    assert_true(config_bad_case_count >= 100);
}

/* Bytes that are no UTF-8, and a NUL, are found where they are. */
static void bytes_that_are_no_text(void **state)
{
    static const char nul[] = "data: a\nlog:\n  pa\0th: x\n";
    struct config_problems problems;
    struct config config;
    struct span text = span_make(nul, sizeof(nul) - 1);
    struct config_sources sources = {.path = "p.yaml", .text = &text};

    assert_int_equal(config_test_load("data: a\nlog:\n  path: \xC3\xA9\xFFx\n", NULL), ERR_CONFIG);
    assert_string_equal(config_test_told(),
                        "portcullis.yaml:3:10: this byte is a NUL or not UTF-8");
    assert_int_equal(config_load(&sources, &config_test.arena, &config, NULL, &problems),
                     ERR_CONFIG);
    assert_true(span_is(problems.list[0].line, "p.yaml:3:5: this byte is a NUL or not UTF-8"));
    assert_int_equal(config_test_load("\xFE\xFF", NULL), ERR_CONFIG);
}

/* The same of what stands in the items of a list. */
static void assert_good_members(const struct config_setting *list)
{
    assert_true(list->row_bytes > 0);
    for (size_t i = 0; i < list->row_count; i++) {
        const struct config_setting *member = &list->row[i];
        const char *values[] = {member->fallback, member->example};

        assert_non_null(member->about);
        assert_false(member->live);
        assert_true(member->offset < list->row_bytes);
        if (member->type == CONFIG_ROWS) {
            assert_null(member->fallback);
            for (size_t j = 0; j < member->row_count; j++)
                assert_false(member->row[j].file); /* looked for in items of the file alone */
            assert_good_members(member);
        }
        for (size_t j = 0; j < PC_COUNT(values); j++) {
            char buffer[256];
            struct sbuf why = sbuf_over(buffer, sizeof(buffer));

            if (values[j] != NULL)
                assert_true(config_value_check(member, span_from(values[j]), &why));
        }
    }
}

/* Every default in the table passes the check that a user's value would have to pass. */
static void defaults_are_good_values(void **state)
{
    for (size_t i = 0; i < config_setting_count; i++) {
        const struct config_setting *setting = &config_settings[i];
        const char *values[] = {setting->fallback, setting->fallback_production, setting->example};

        assert_true(strlen(setting->path) < CONFIG_PATH_BYTES_MAX);
        assert_non_null(setting->about);
        assert_true(setting->fallback == NULL || setting->type != CONFIG_ROWS);
        assert_true(setting->live || setting->type != CONFIG_TEXTS);
        if (setting->type == CONFIG_ROWS)
            assert_good_members(setting);
        for (size_t j = 0; j < PC_COUNT(values); j++) {
            char buffer[256];
            struct sbuf why = sbuf_over(buffer, sizeof(buffer));

            if (values[j] != NULL)
                assert_true(config_value_check(setting, span_from(values[j]), &why));
        }
    }
}

/* Without a file and an environment there are the defaults of development. */
static void nothing_given_is_development(void **state)
{
    assert_int_equal(config_test_load("", NULL), ERR_OK);
    assert_string_equal(config_test_told(), "");
    assert_int_equal(config_test.config.environment, CONFIG_DEVELOPMENT);
    assert_string_equal(config_test.config.listeners[CONFIG_GATEWAY].host, "127.0.0.1");
    assert_int_equal(config_test.config.listeners[CONFIG_GATEWAY].port, 8000);
    assert_int_equal(config_test.config.limits.requests_per_minute, 60);
    assert_int_equal(config_test.config.breaker.failure_threshold, 5);
    assert_int_equal(config_test.config.breaker.timeout_s, 60);
    assert_int_equal(config_test.config.jwt.access_minutes, 30);
    assert_string_equal(config_test.config.jwt.algorithm, "HS256");
    assert_null(config_test.config.jwt.secret);
    assert_int_equal(config_test.config.metrics.allow.count, 2);
    assert_string_equal(config_test.config.metrics.allow.items[1], "::1/128");
    assert_int_equal(config_test.config.listeners[CONFIG_GATEWAY].client_auth, CONFIG_CLIENT_NONE);
    assert_int_equal(config_test_load("# only a comment\n", NULL), ERR_OK);
    assert_int_equal(config_test_load("---\n", NULL), ERR_CONFIG);
}

/* libcyaml puts every kind of value where it belongs, and what is left out keeps its default. */
static void file_values_arrive(void **state)
{
    static const char text[] = "environment: development\n"
                               "data: /var/lib/portcullis\n"
                               "gateway: {host: \"::1\", port: 443}\n"
                               "tls_terminated_in_front: true\n"
                               "trusted_proxies: [10.0.0.0/8, \"2001:db8::/32\", 192.0.2.7]\n"
                               "password:\n  scheme: bcrypt\n"
                               "jwt:\n  algorithm: EdDSA\n  issuer: \"caf\\u00e9\"\n"
                               "limits:\n"
                               "  burst: 7\n"
                               "  plans:\n    - {plan: gold, requests_per_minute: 600}\n"
                               "  users:\n    - {user: \"7\", plan: gold}\n"
                               "  routes:\n"
                               "    - route: POST /api/v1/auth/login\n"
                               "      requests_per_minute: 10\n"
                               "      burst: 3\n"
                               "    - {route: \"GET /api/v1/x/{id}\", burst: 2}\n";
    const struct config *config = &config_test.config;

    assert_int_equal(config_test_load(text, NULL), ERR_OK);
    assert_string_equal(config_test_told(), "");
    assert_string_equal(config->data, "/var/lib/portcullis");
    assert_string_equal(config->listeners[CONFIG_GATEWAY].host, "::1");
    assert_int_equal(config->listeners[CONFIG_GATEWAY].port, 443);
    assert_true(config->tls_terminated_in_front);
    assert_int_equal(config->trusted_proxies.count, 3);
    assert_string_equal(config->trusted_proxies.items[2], "192.0.2.7");
    assert_int_equal(config->password.scheme, CONFIG_BCRYPT);
    assert_int_equal(config->password.bcrypt_cost, 12);
    assert_string_equal(config->jwt.issuer, "caf\xC3\xA9");
    assert_int_equal(config->limits.burst, 7);
    assert_int_equal(config->limits.requests_per_minute, 60);
    assert_string_equal(config->limits.plans.items[0].plan, "gold");
    assert_string_equal(config->limits.users.items[0].user, "7");
    assert_string_equal(config->limits.users.items[0].plan, "gold");
    assert_int_equal(config->limits.routes.count, 2);
    assert_int_equal(config->limits.routes.items[0].requests_per_minute, 10);
    assert_int_equal(config->limits.routes.items[0].burst, 3);
    assert_string_equal(config->limits.routes.items[1].route, "GET /api/v1/x/{id}");
    assert_int_equal(config->limits.routes.items[1].requests_per_minute, 0);
}

/* The edges of every number's range are read alike from the file and from the environment, and one
 * step beyond is refused by both. */
static void numbers_agree_at_their_edges(void **state)
{
    for (size_t i = 0; i < config_setting_count; i++) {
        const struct config_setting *setting = &config_settings[i];
        const uint64_t values[] = {setting->min, setting->max, (uint64_t)setting->max + 1};

        if (setting->type != CONFIG_NUMBER)
            continue;
        for (size_t j = 0; j < PC_COUNT(values); j++) {
            char digits[24];
            char text[256];
            struct sbuf number = sbuf_over(digits, sizeof(digits));
            struct sbuf yaml = sbuf_over(text, sizeof(text) - 1);
            struct sbuf why = sbuf_over(config_test.told_bytes, sizeof(config_test.told_bytes));
            struct span section =
                span_slice(span_from(setting->path), 0, span_find(span_from(setting->path), '.'));
            uint32_t loaded;

            sbuf_add_u64(&number, values[j]);
            assert_int_equal(config_value_check(setting, sbuf_span(&number), &why), j < 2);
            sbuf_add_format(&yaml, "%.*s:\n  %s: %.*s\n", SPAN_ARG(section),
                            setting->path + section.len + 1, SPAN_ARG(sbuf_span(&number)));
            text[yaml.len] = '\0';
            if (config_test_load(text, NULL) !=
                ERR_OK) { /* the rules may mind an edge, loading may not */
                assert_true(j == 2 || strstr(config_test_told(), "is not a number") == NULL);
                continue;
            }
            assert_true(j < 2);
            memcpy(&loaded, (const char *)&config_test.config + setting->offset, sizeof(loaded));
            assert_int_equal(loaded, values[j]);
        }
    }
}

/* The environment stands over the file, the file over the default, and each is remembered. */
static void origins_are_kept(void **state)
{
    static const char *const environ[] = {"HOME=/root", "PORT=9001", "ALLOWED_ORIGINS=", NULL};
    const struct config_origin *of = config_test.origins.of;
    struct sbuf out = sbuf_over(config_test.told_bytes, sizeof(config_test.told_bytes) - 1);

    assert_int_equal(config_test_load("gateway:\n  port: 1\n  host: 127.0.0.2\n", environ), ERR_OK);
    assert_int_equal(config_test.config.listeners[CONFIG_GATEWAY].port, 9001);
    assert_int_equal(of[config_setting_at("gateway.port")].kind, CONFIG_FROM_ENVIRONMENT);
    assert_string_equal(of[config_setting_at("gateway.port")].name, "PORT");
    assert_int_equal(of[config_setting_at("gateway.host")].kind, CONFIG_FROM_FILE);
    assert_int_equal(of[config_setting_at("gateway.host")].line, 3);
    assert_int_equal(of[config_setting_at("cors.allowed_origins")].kind, CONFIG_FROM_DEFAULT);

    config_explain(&config_test.config, &config_test.origins, &out);
    config_test.told_bytes[out.len] = '\0';
    assert_non_null(strstr(config_test_told(),
                           "gateway.port                        9001                "
                           "          environment PORT\n"));
    assert_non_null(strstr(config_test_told(),
                           "gateway.host                        127.0.0.2           "
                           "          portcullis.yaml:3\n"));
    assert_non_null(strstr(config_test_told(),
                           "log.level                           info                "
                           "          default\n"));
}

/* Lists and rows are explained as one would write them. */
static void lists_are_explained(void **state)
{
    struct sbuf out = sbuf_over(config_test.told_bytes, sizeof(config_test.told_bytes) - 1);

    assert_int_equal(
        config_test_load("trusted_proxies: [10.0.0.0/8, \"::1\"]\nlog:\n  access: false\n"
                         "limits:\n  plans:\n    - {plan: gold, burst: 5}\n"
                         "    - {plan: free, requests_per_minute: 9}\n",
                         NULL),
        ERR_OK);
    config_explain(&config_test.config, &config_test.origins, &out);
    config_test.told_bytes[out.len] = '\0';
    assert_non_null(strstr(config_test_told(), " [10.0.0.0/8, ::1] "));
    assert_non_null(strstr(config_test_told(),
                           " [{plan: gold, burst: 5}, {plan: free, requests_per_minute: 9}] "));
    assert_non_null(strstr(config_test_told(), "limits.users                        []"));
}

/* Wrong values of the environment are told by their name, all of them, along with the file's. */
static void bad_environment_is_told(void **state)
{
    static const char *const environ[] = {"PORT=80a",
                                          "ENVIRONMENT=prod",
                                          "ALLOWED_ORIGINS=https://a.example, b.example",
                                          "DATABASE_URL=mysql://root:hunter2@db/x",
                                          "ACCESS_TOKEN_EXPIRE_MINUTES=0",
                                          "JWT_ALGORITHM=none",
                                          NULL};

    assert_int_equal(config_test_load("log:\n  levle: info\n", environ), ERR_CONFIG);
    assert_string_equal(
        config_test_told(),
        "portcullis.yaml:2:3: unknown key \"levle\" in log, did you mean \"level\"?\n"
        "environment ENVIRONMENT: \"prod\" is not production or development, did you mean "
        "production?\n"
        "environment DATABASE_URL: the value is not a database URL that begins with sqlite: or "
        "postgresql://\n"
        "environment PORT: \"80a\" is not a number from 0 to 65535\n"
        "environment ALLOWED_ORIGINS: \"b.example\" is not an origin such as "
        "https://app.example.com, or *\n"
        "environment JWT_ALGORITHM: \"none\" is not HS256, HS384, HS512, RS256, RS384, RS512, "
        "PS256, PS384, PS512, ES256, ES384 or EdDSA\n"
        "environment ACCESS_TOKEN_EXPIRE_MINUTES: \"0\" is not a number from 1 to 1440");
}

/* Bytes that are no text, from where only bytes come. */
static void environment_must_be_text(void **state)
{
    static const char *const variables[] = {"PORTCULLIS_DATA=a\xFF", NULL};

    assert_int_equal(config_test_load("", variables), ERR_CONFIG);
    assert_string_equal(config_test_told(),
                        "environment PORTCULLIS_DATA: the text holds a NUL or is not "
                        "UTF-8");
}

/* Several names of one setting may be set when they agree. */
static void names_of_one_setting_agree(void **state)
{
    static const char *const same[] = {"ACCOUNT_DATABASE_URL=sqlite:a.db",
                                       "TRANSACTION_DATABASE_URL=sqlite:a.db", NULL};
    static const char *const other[] = {"ACCOUNT_DATABASE_URL=sqlite:a.db",
                                        "TRANSACTION_DATABASE_URL=sqlite:b.db", NULL};
    static const char *const auth[] = {"DATABASE_URL=sqlite:a.db", "AUTH_DATABASE_URL=sqlite:b.db",
                                       NULL};
    static const char *const alone[] = {"AUTH_DATABASE_URL=sqlite:b.db", NULL};

    assert_int_equal(config_test_load("", same), ERR_OK);
    assert_string_equal(config_test.config.database.url, "sqlite:a.db");
    assert_int_equal(config_test_load("", other), ERR_CONFIG);
    assert_string_equal(config_test_told(),
                        "environment TRANSACTION_DATABASE_URL: differs from "
                        "ACCOUNT_DATABASE_URL, but both name database.url; money and "
                        "accounts share one commit, so they need one database");
    assert_int_equal(config_test_load("", auth), ERR_CONFIG);
    assert_string_equal(config_test_told(),
                        "environment AUTH_DATABASE_URL: differs from DATABASE_URL, but both name "
                        "database.url; a user's rights are read where money is kept, so they need "
                        "one database");
    assert_int_equal(config_test_load("", alone), ERR_OK);
    assert_string_equal(config_test.config.database.url, "sqlite:b.db");
}

/* Nobody should believe that limits are shared when they are not. */
static void redis_alone_warns(void **state)
{
    static const char *const environ[] = {"REDIS_URL=redis://127.0.0.1:6379/0", NULL};

    assert_int_equal(config_test_load("", environ), ERR_OK);
    assert_string_equal(config_test_told(),
                        "warning: environment REDIS_URL: redis.url: has no effect: "
                        "limits.shared.mode is off, so every limit is this process's own");
}

#define ISSUER "AUTH_JWT_ISSUER=https://auth.example.com"
#define GOOD                                                                                       \
    "ENVIRONMENT=production", "JWT_SECRET_KEY=" CONFIG_TEST_SECRET,                                \
        "TLS_TERMINATED_IN_FRONT=true", "TRUSTED_PROXIES=10.0.0.0/8", ISSUER

static const struct {
    const char *environ[12];
    const char *told;
} production_cases[] = {
    {{GOOD}, ""},
    {{"ENVIRONMENT=production", "TLS_TERMINATED_IN_FRONT=true", "TRUSTED_PROXIES=10.0.0.0/8",
      ISSUER},
     "jwt.secret: production needs a secret of its own, set JWT_SECRET_KEY or jwt.secret_file, "
     "for example from `openssl rand -base64 48`"},
    {{"ENVIRONMENT=production", "JWT_SECRET_KEY=change-me", "TLS_TERMINATED_IN_FRONT=true",
      "TRUSTED_PROXIES=10.0.0.0/8", ISSUER},
     "environment JWT_SECRET_KEY: jwt.secret: the secret is well known from examples, make one "
     "with `openssl rand -base64 48`"},
    {{"ENVIRONMENT=production", "JWT_SECRET_KEY=" CONFIG_TEST_SECRET, ISSUER},
     "gateway.tls.certificate: production does not listen in plain HTTP, set a certificate and "
     "key, or tls_terminated_in_front: true when a proxy in front speaks HTTPS\n"
     "auth.tls.certificate: production does not listen in plain HTTP, set a certificate and "
     "key, or tls_terminated_in_front: true when a proxy in front speaks HTTPS\n"
     "account.tls.certificate: production does not listen in plain HTTP, set a certificate and "
     "key, or tls_terminated_in_front: true when a proxy in front speaks HTTPS\n"
     "transaction.tls.certificate: production does not listen in plain HTTP, set a certificate and "
     "key, or tls_terminated_in_front: true when a proxy in front speaks HTTPS\n"
     "audit.tls.certificate: production does not listen in plain HTTP, set a certificate and "
     "key, or tls_terminated_in_front: true when a proxy in front speaks HTTPS\n"
     "monitoring.tls.certificate: production does not listen in plain HTTP, set a certificate and "
     "key, or tls_terminated_in_front: true when a proxy in front speaks HTTPS"},
    {{"ENVIRONMENT=production", "JWT_SECRET_KEY=" CONFIG_TEST_SECRET, ISSUER,
      "TLS_TERMINATED_IN_FRONT=true"},
     "warning: trusted_proxies: is empty though a proxy stands in front, so all clients share "
     "that proxy's address and its limit"},
    {{GOOD, "ALLOWED_ORIGINS=*"},
     "environment ALLOWED_ORIGINS: cors.allowed_origins: * never goes together with "
     "credentials, list the origins or set cors.allow_credentials: false"},
    {{GOOD, "ALLOWED_ORIGINS=*", "CORS_ALLOW_CREDENTIALS=false"},
     "warning: environment ALLOWED_ORIGINS: cors.allowed_origins: * lets any page call the "
     "API"},
    {{GOOD, "ALLOWED_ORIGINS=https://a.example,http://b.example"},
     "warning: environment ALLOWED_ORIGINS: cors.allowed_origins: http://b.example is not "
     "HTTPS, so its pages can be changed on the way"},
    {{GOOD, "DATABASE_URL=postgresql://p@db/x", "DATABASE_SSLMODE=disable"},
     "environment DATABASE_SSLMODE: database.sslmode: sslmode disable sends passwords and "
     "money in "
     "clear to another machine, use require or verify-full"},
    {{GOOD, "DATABASE_URL=postgresql://p@localhost/x?host=db", "DATABASE_SSLMODE=disable"},
     "environment DATABASE_SSLMODE: database.sslmode: sslmode disable sends passwords and "
     "money in "
     "clear to another machine, use require or verify-full"},
    {{GOOD, "DATABASE_URL=postgresql:///x?hostaddr=192.0.2.1", "DATABASE_SSLMODE=disable"},
     "environment DATABASE_SSLMODE: database.sslmode: sslmode disable sends passwords and "
     "money in clear to another machine, use require or verify-full"},
    {{GOOD, "DATABASE_URL=postgresql://p@127.0.0.1:5432,[::1]/x", "DATABASE_SSLMODE=disable"}, ""},
    {{GOOD, "DATABASE_URL=postgresql:///x?host=/run/postgresql", "DATABASE_SSLMODE=disable"}, ""},
    {{GOOD, "DATABASE_URL=postgresql+asyncpg://postgres:postgres@db:5432/accounts"},
     "environment DATABASE_URL: database.url: its password is well known from examples"},
    {{GOOD, "DATABASE_URL=postgresql://p@db/x?sslmode=disable"},
     "environment DATABASE_URL: database.url: sslmode disable sends passwords and money in "
     "clear to another machine, use require or verify-full"},
    {{GOOD, "DATABASE_URL=postgresql://p@db/x?sslmode=disable", "DATABASE_SSLMODE=require"},
     "warning: environment DATABASE_URL: database.url: names an sslmode, but "
     "database.sslmode, require, stands over it"},
    {{GOOD, "JWT_ALGORITHM=HS512"},
     "environment JWT_SECRET_KEY: jwt.secret: the secret is shorter than the 64 bytes that "
     "HS512 needs, make one with `openssl rand -base64 48`"},
    {{GOOD, "JWT_ALGORITHM=ES256"},
     "warning: environment JWT_SECRET_KEY: jwt.secret: is not used, ES256 signs with a key"},
    {{"ENVIRONMENT=production", "JWT_SECRET_KEY=" CONFIG_TEST_SECRET,
      "TLS_TERMINATED_IN_FRONT=true", "TRUSTED_PROXIES=10.0.0.0/8"},
     "oauth.issuer: production needs an issuer of its own, set AUTH_JWT_ISSUER to the https URL "
     "below which clients find its metadata"},
    {{"ENVIRONMENT=production", "JWT_SECRET_KEY=" CONFIG_TEST_SECRET,
      "TLS_TERMINATED_IN_FRONT=true", "TRUSTED_PROXIES=10.0.0.0/8",
      "AUTH_JWT_ISSUER=https://auth-service.local"},
     "environment AUTH_JWT_ISSUER: oauth.issuer: production needs an issuer of its own, set "
     "AUTH_JWT_ISSUER to the https URL below which clients find its metadata"},
    {{"ENVIRONMENT=production", "JWT_SECRET_KEY=" CONFIG_TEST_SECRET,
      "TLS_TERMINATED_IN_FRONT=true", "TRUSTED_PROXIES=10.0.0.0/8",
      "AUTH_JWT_ISSUER=http://auth.example.com"},
     "environment AUTH_JWT_ISSUER: oauth.issuer: http://auth.example.com is not HTTPS, which "
     "production insists on"},
    {{GOOD, "AUTH_PUBLIC_URL=http://a.example", "AUTH_TOKEN_URL=http://b.example/auth/token",
      "AUTH_AUTHORIZE_URL=http://c.example/oauth/authorize"},
     "environment AUTH_PUBLIC_URL: oauth.url: http://a.example is not HTTPS, which production "
     "insists on\n"
     "environment AUTH_TOKEN_URL: oauth.token_url: http://b.example/auth/token is not HTTPS, "
     "which production insists on\n"
     "environment AUTH_AUTHORIZE_URL: oauth.authorize_url: http://c.example/oauth/authorize is "
     "not HTTPS, which production insists on"},
    {{GOOD, "AUTH_PUBLIC_URL=https://a.example", "AUTH_TOKEN_URL=https://b.example/auth/token"},
     ""},
};

/* What production insists on, one refusal (or warning) at a time, beside settings that are good. */
static void production_refuses(void **state)
{
    for (size_t i = 0; i < PC_COUNT(production_cases); i++) {
        bool good = production_cases[i].told[0] == '\0' ||
                    strncmp(production_cases[i].told, "warning: ", 9) == 0;

        assert_int_equal(config_test_load("", production_cases[i].environ),
                         good ? ERR_OK : ERR_CONFIG);
        assert_string_equal(config_test_told(), production_cases[i].told);
    }
    assert_int_equal(config_test_load("", production_cases[0].environ), ERR_OK);
    assert_string_equal(config_test.config.listeners[CONFIG_GATEWAY].host, "0.0.0.0");
    assert_string_equal(config_test.config.listeners[CONFIG_AUTH].host, "0.0.0.0");
    assert_int_equal(config_test.config.cors.allowed_origins.count, 0);
    assert_int_equal(config_test_load("password:\n  scheme: bcrypt\n  bcrypt_cost: 9\n",
                                      production_cases[0].environ),
                     ERR_CONFIG);
    assert_int_equal(config_test_load("password:\n  argon2_memory_kib: 7168\n  argon2_passes: 4\n",
                                      production_cases[0].environ),
                     ERR_CONFIG);
    assert_int_equal(config_test_load("password:\n  argon2_memory_kib: 4096\n  argon2_passes: 16\n",
                                      production_cases[0].environ),
                     ERR_CONFIG);
}

/* Development warns of a well-known secret, but one that is too short for its algorithm works
 * nowhere. RFC 7518, 3.2. */
static void development_is_lenient(void **state)
{
    static const char *const known[] = {"JWT_SECRET_KEY=your-secret-key-change-in-production",
                                        NULL};
    static const char *const brief[] = {"JWT_SECRET_KEY=tR7xQ2mK9vB4nL8wZ3cF6hJ1yD5gS0p", NULL};
    static const char *const both[] = {"JWT_SECRET_KEY=secret", NULL};

    assert_int_equal(config_test_load("", known), ERR_OK);
    assert_int_equal(config_test.problems.count, 1);
    assert_int_equal(config_test_load("", brief), ERR_CONFIG);
    assert_string_equal(config_test_told(),
                        "environment JWT_SECRET_KEY: jwt.secret: the secret is shorter than the 32 "
                        "bytes that HS256 needs, make one with `openssl rand -base64 48`");
    assert_int_equal(config_test_load("", both), ERR_CONFIG);
}

/* Weak secrets are seen through, good ones pass. */
static void secrets_are_weighed(void **state)
{
    static const struct {
        const char *secret;
        const char *weakness;
    } cases[] = {
        {CONFIG_TEST_SECRET, NULL},
        {CONFIG_TEST_SECRET_LONG, NULL},
        {"0f9d3c5e7a1b2846d0c8e6f4a2b39517", NULL},
        {"secret", "is well known from examples"},
        {"Change-Me", "is well known from examples"},
        {"your-secret-key-change-in-production", "is well known from examples"},
        {"PostGres", "is well known from examples"},
        {"your-secret-key", "is well known from examples"},
        {"your-super-secret-key", "is well known from examples"},
        {"2024-My-Super_Secret-Key-for-the-JWT-tokens", "is well known from examples"},
        {"tR7xQ2mK9vB4nL8wZ3cF6hJ1yD5gS0p", "is shorter than 32 bytes"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "has fewer than 10 different characters"},
        {"abababcabababcabababcabababcdefg", "has fewer than 10 different characters"},
        {"tR7xQ2mK9vB4nL8wtR7xQ2mK9vB4nL8w", "repeats itself"},
        {"tR7xQ2mK9vB4tR7xQ2mK9vB4tR7xQ2mK", "repeats itself"},
        {"abcdefghijklmnopqrstuvwxyz012345", "is a sequence"},
        {"zyxwvutsrqponmlkjihgfedcba987654", "is a sequence"},
    };

    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        const char *weakness = config_secret_weakness(span_from(cases[i].secret));

        if (cases[i].weakness == NULL)
            assert_null(weakness);
        else
            assert_string_equal(weakness, cases[i].weakness);
    }
}

/* Whatever goes wrong around a secret, nothing that is told or explained holds it. */
static void secrets_are_never_shown(void **state)
{
#define HIDDEN "hunter2"
    static const char *const texts[] = {
        "jwt:\n  secret: " HIDDEN "\n",
        "jwt:\n  secret: [" HIDDEN "]\n",
        "jwt:\n  secret: {" HIDDEN ": 1}\n  algorithm: x\n",
        "jwt: {secret: " HIDDEN "\n",
        "jwt:\n  secret: \"" HIDDEN "\n",
        "jwt:\n  secret: \"a\\0" HIDDEN "\"\n",
        "jwt: " HIDDEN "\n",
        "database:\n  url: mysql://a:" HIDDEN "@b/c\n",
        "database:\n  url: postgresql://a:" HIDDEN "@b/c\n",
        "database:\n  url: postgresql://a:x@y:" HIDDEN "@b/c\n",
        "database:\n  url: postgresql://b/c?password=" HIDDEN "\n",
        "sceret: " HIDDEN "\n",
    };
    static const char *const environs[][2] = {
        {"JWT_SECRET_KEY=" HIDDEN},
        {"DATABASE_URL=postgresql://a:" HIDDEN "@b/c"},
        {"DATABASE_URL=oracle://a:" HIDDEN "@b/c"},
    };

    for (size_t i = 0; i < PC_COUNT(texts) + PC_COUNT(environs); i++) {
        struct sbuf out = sbuf_over(config_test.told_bytes, sizeof(config_test.told_bytes) - 1);
        bool file = i < PC_COUNT(texts);
        enum err err =
            config_test_load(file ? texts[i] : "", file ? NULL : environs[i - PC_COUNT(texts)]);

        if (i != 2) /* there it is a key, not a value */
            assert_null(strstr(config_test_told(), HIDDEN));
        if (err)
            continue;
        config_explain(&config_test.config, &config_test.origins, &out);
        config_test.told_bytes[out.len] = '\0';
        assert_null(strstr(config_test_told(), HIDDEN));
        assert_non_null(strstr(config_test_told(), "********"));
    }
}

/* Of what changed, a reload takes over some and the rest is named. */
static void changes_that_wait_are_named(void **state)
{
    static const char *const texts[] = {
        "gateway:\n  port: 1\n",
        "log:\n  level: warn\n",
        "password:\n  scheme: bcrypt\n",
        "log:\n  access: false\n",
        "jwt:\n  secret: " CONFIG_TEST_SECRET "\n",
        "jwt:\n  issuer: b\n",
        "limits: {burst: 5, requests_per_minute: 9, users: [{user: 1, burst: 2}]}\n",
        "trusted_proxies: [10.0.0.0/8]\ncors:\n  allowed_origins: []\n",
        "circuit_breaker: {failure_threshold: 9, timeout_seconds: 9, probes_max: 2}\n",
        "",
    };
    static const char *const names[] = {"gateway.port",
                                        "log.level",
                                        "password.scheme",
                                        "log.access",
                                        "jwt.secret",
                                        "jwt.issuer",
                                        "",
                                        "",
                                        "",
                                        ""};
    struct config before;
    struct arena kept;

    assert_int_equal(config_test_load("", NULL), ERR_OK);
    before = config_test.config; /* its texts must outlive the next loading */
    kept = config_test.arena;
    arena_init(&config_test.arena, NULL, 0, CONFIG_TEST_ARENA_BYTES_MAX);
    for (size_t i = 0; i < PC_COUNT(texts); i++) {
        char text[256];
        struct sbuf out = sbuf_over(text, sizeof(text));

        assert_int_equal(config_test_load(texts[i], NULL), ERR_OK);
        assert_int_equal(config_needs_restart(&before, &config_test.config, &out),
                         names[i][0] != '\0');
        assert_true(span_is(sbuf_span(&out), names[i]));
    }
    assert_int_equal(config_test_load("gateway:\n  port: 1\nworkers:\n  loops: 1\n", NULL), ERR_OK);
    {
        char text[256];
        struct sbuf out = sbuf_over(text, sizeof(text));

        assert_true(config_needs_restart(&before, &config_test.config, &out));
        assert_true(span_is(sbuf_span(&out), "gateway.port, workers.loops"));
    }
    arena_reset(&kept);
}

/* The list of problems is bounded and says how many found no room. */
static void many_problems_are_counted(void **state)
{
    char text[8192];
    struct sbuf yaml = sbuf_over(text, sizeof(text) - 1);

    for (size_t i = 0; i < 200; i++)
        sbuf_add_format(&yaml, "wrong%zu: 1\n", i);
    text[yaml.len] = '\0';
    assert_int_equal(config_test_load(text, NULL), ERR_CONFIG);
    assert_int_equal(config_test.problems.count, CONFIG_PROBLEMS_MAX);
    assert_int_equal(config_test.problems.errors, 200);
    assert_int_equal(config_test.problems.omitted, 200 - CONFIG_PROBLEMS_MAX);
}

/* ---- memory ---- */

/* Whatever allocation fails, loading says so and nothing else. */
static void memory_runs_out(void **state)
{
    static const char *const environ[] = {"ALLOWED_ORIGINS=https://a.example", "PORT=1", NULL};
    static const char text[] =
        "trusted_proxies: [10.0.0.0/8]\nlimits:\n  plans: [{plan: a, "
        "burst: 1}]\nupstreams: [{name: a, targets: [{url: http://a}]}]\n"
        "routes: [{path: /a, upstream: a, access: open}]\njwt:\n  secret: " CONFIG_TEST_SECRET "\n";
    size_t refused = 0;

    arena_reset(&config_test.arena);
    for (size_t bytes = 0; bytes < 80000; bytes += 160) {
        enum err err;

        arena_init(&config_test.arena, NULL, 0, bytes);
        err = config_test_load(text, environ);
        assert_true(err == ERR_OK || err == ERR_NO_MEMORY);
        refused += err == ERR_NO_MEMORY ? 1 : 0;
        arena_reset(&config_test.arena);
    }
    assert_true(refused > 20);
    arena_init(&config_test.arena, NULL, 0, CONFIG_TEST_ARENA_BYTES_MAX);
    for (uint64_t nth = 1;; nth++) {
        enum err err;

        alloc_fail_at(nth);
        err = config_test_load(text, environ);
        if (alloc_fail_pending())
            break;
        assert_int_equal(err, ERR_NO_MEMORY);
    }
    alloc_fail_at(0);
}

/* ---- what is made from the table ---- */

static void assert_same_as_file(const char *path, struct span text)
{
    static char bytes[CONFIG_TEST_TEXT_BYTES_MAX];
    FILE *file = fopen(path, "re");
    size_t len;

    assert_non_null(file);
    len = fread(bytes, 1, sizeof(bytes), file);
    (void)fclose(file);
    assert_int_equal(len, text.len);
    assert_memory_equal(bytes, text.ptr, len);
}

/* The pages in the repository are the ones that the table makes. If this fails:
 *   portcullis check --reference >docs/configuration.md
 *   portcullis check --example >portcullis.example.yaml
 *   portcullis reasons >docs/reasons.md */
static void pages_have_not_drifted(void **state)
{
    struct sbuf reference = sbuf_on(&config_test.arena, CONFIG_TEST_TEXT_BYTES_MAX);
    struct sbuf reasons = sbuf_on(&config_test.arena, CONFIG_TEST_TEXT_BYTES_MAX);
    struct sbuf example = sbuf_on(&config_test.arena, CONFIG_TEST_TEXT_BYTES_MAX);

    config_reference(&reference);
    assert_false(reference.full);
    assert_same_as_file(PC_SOURCE_ROOT "/docs/configuration.md", sbuf_span(&reference));
    config_example(&example);
    assert_false(example.full);
    assert_same_as_file(PC_SOURCE_ROOT "/portcullis.example.yaml", sbuf_span(&example));
    reason_page_write(&reasons);
    assert_false(reasons.full);
    assert_same_as_file(PC_SOURCE_ROOT "/docs/reasons.md", sbuf_span(&reasons));
}

/* The example with every line uncommented is a good file but for settings that exclude each other,
 * and says what the defaults say. */
static void example_can_be_used(void **state)
{
    struct sbuf example = sbuf_on(&config_test.arena, CONFIG_TEST_TEXT_BYTES_MAX);
    static char text[CONFIG_TEST_TEXT_BYTES_MAX];
    struct sbuf yaml = sbuf_over(text, sizeof(text) - 1);
    struct span rest;
    struct span line;

    config_example(&example);
    rest = sbuf_span(&example);
    while (span_cut(&rest, '\n', &line)) {
        size_t at = span_find(line, '#');

        if (at < line.len && (at + 1 == line.len || line.ptr[at + 1] != '#')) {
            sbuf_add(&yaml, span_slice(line, 0, at));
            sbuf_add(&yaml, span_slice(line, at + 1, line.len));
            sbuf_add_char(&yaml, '\n');
        }
    }
    text[yaml.len] = '\0';
    assert_int_equal(config_test_load(text, NULL), ERR_CONFIG);
    assert_int_equal(config_test.problems.errors, 1);
    assert_non_null(strstr(config_test_told(), "jwt.key_file: HS256 signs with a secret"));
}

/* The parts of a URL, however wild its password. */
static void urls_are_read(void **state)
{
    struct config_url url =
        config_url_read(SPAN_OF("postgresql://me:p@ss/w?rd@db:5432,db2/bank?host=x&a=b"));

    assert_true(span_is(url.scheme, "postgresql"));
    assert_true(span_is(url.user, "me"));
    assert_true(span_is(url.password, "p@ss/w?rd"));
    assert_true(span_is(url.hosts, "db:5432,db2"));
    assert_true(span_is(url.path, "/bank"));
    assert_true(span_is(config_url_query_value(&url, "a"), "b"));
    assert_false(config_url_is_loopback(&url));
    url = config_url_read(SPAN_OF("sqlite:/var/lib/a@b.db"));
    assert_true(span_is(url.path, "/var/lib/a@b.db"));
    assert_int_equal(url.password.len, 0);
    url = config_url_read(SPAN_OF("nothing"));
    assert_int_equal(url.path.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_files_are_told),
        cmocka_unit_test(bytes_that_are_no_text),
        cmocka_unit_test(defaults_are_good_values),
        cmocka_unit_test(nothing_given_is_development),
        cmocka_unit_test(file_values_arrive),
        cmocka_unit_test(numbers_agree_at_their_edges),
        cmocka_unit_test(origins_are_kept),
        cmocka_unit_test(lists_are_explained),
        cmocka_unit_test(bad_environment_is_told),
        cmocka_unit_test(environment_must_be_text),
        cmocka_unit_test(names_of_one_setting_agree),
        cmocka_unit_test(redis_alone_warns),
        cmocka_unit_test(production_refuses),
        cmocka_unit_test(development_is_lenient),
        cmocka_unit_test(secrets_are_weighed),
        cmocka_unit_test(secrets_are_never_shown),
        cmocka_unit_test(changes_that_wait_are_named),
        cmocka_unit_test(many_problems_are_counted),
        cmocka_unit_test(memory_runs_out),
        cmocka_unit_test(pages_have_not_drifted),
        cmocka_unit_test(example_can_be_used),
        cmocka_unit_test(urls_are_read),
    };

    return cmocka_run_group_tests(tests, config_test_set_up, config_test_tear_down);
}
