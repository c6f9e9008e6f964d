/* SPDX-License-Identifier: MIT
 * What holds between settings, and what production insists on. Each rule is one small function and
 * tells at most a sentence or two: what is wrong and what to do. Something that is unsafe in front
 * of money stops production and only warns in development; something that cannot work stops both.
 */
#include "app/config_priv.h"

#include <string.h>

#include "base/clock.h"
#include "crypto/password_common.h"
#include "limit/limit.h"

static bool in_production(const struct config_loader *loader)
{
    return loader->config->environment == CONFIG_PRODUCTION;
}

/* ---- tokens and secrets ---- */

static bool signs_with_secret(const struct config *config)
{
    return config->jwt.algorithm[0] == 'H';
}

/* RFC 7518, 3.2: the key is at least as long as the hash. */
static uint32_t secret_bytes_min(const struct config *config)
{
    if (strcmp(config->jwt.algorithm, "HS512") == 0)
        return 64;
    if (strcmp(config->jwt.algorithm, "HS384") == 0)
        return 48;
    return 32;
}

static void secret_rule(struct config_loader *loader)
{
    const struct config *config = loader->config;
    struct span secret = span_from(config->jwt.secret);
    const char *weakness;

    if (!signs_with_secret(config))
        return;
    if (config->jwt.secret == NULL) {
        if (in_production(loader) && config->jwt.secret_file == NULL)
            config_problem_with(loader, false, "jwt.secret",
                                "production needs a secret of its own, set JWT_SECRET_KEY or "
                                "jwt.secret_file, for example from `openssl rand -base64 48`");
        return;
    }
    weakness = config_secret_weakness(secret);
    if (secret.len < secret_bytes_min(config) && !config_secret_is_known(secret))
        config_problem_with(loader, false, "jwt.secret",
                            "the secret is shorter than the %u bytes that %s needs, make one with "
                            "`openssl rand -base64 48`",
                            secret_bytes_min(config), config->jwt.algorithm);
    else if (weakness != NULL)
        config_problem_with(
            loader, !in_production(loader) && secret.len >= secret_bytes_min(config), "jwt.secret",
            "the secret %s, make one with `openssl rand -base64 48`", weakness);
}

static void key_rule(struct config_loader *loader)
{
    const struct config *config = loader->config;

    if (signs_with_secret(config) && config->jwt.key_file != NULL)
        config_problem_with(loader, false, "jwt.key_file",
                            "%s signs with a secret, not with a key file, set jwt.algorithm to "
                            "what the key is for",
                            config->jwt.algorithm);
    if (!signs_with_secret(config) && config->jwt.secret != NULL)
        config_problem_with(loader, true, "jwt.secret", "is not used, %s signs with a key",
                            config->jwt.algorithm);
}

/* Whoever knows it can send alerts, and end them. */
static void webhook_rule(struct config_loader *loader)
{
    const char *token = loader->config->monitor.webhook_token;
    const char *weakness = token != NULL ? config_secret_weakness(span_from(token)) : NULL;

    if (weakness != NULL)
        config_problem_with(loader, !in_production(loader) && span_from(token).len >= 32,
                            "monitoring.webhook_token",
                            "the secret %s, make one with `openssl rand -base64 48`", weakness);
}

/* OWASP Password Storage Cheat Sheet: the weakest of its equal settings is 7 MiB in 5 passes. */
static void password_rule(struct config_loader *loader)
{
    const struct config *config = loader->config;
    uint64_t work = (uint64_t)config->password.argon2_memory_kib * config->password.argon2_passes;

    if (config->password.scheme == CONFIG_BCRYPT && config->password.bcrypt_cost < 10)
        config_problem_with(loader, !in_production(loader), "password.bcrypt_cost",
                            "%u is too cheap to guess against, take at least 10",
                            config->password.bcrypt_cost);
    if (config->password.scheme == CONFIG_ARGON2ID &&
        (work < 7168 * 5 || config->password.argon2_memory_kib < 7168))
        config_problem_with(loader, !in_production(loader), "password.argon2_memory_kib",
                            "%u KiB in %u passes is too cheap to guess against, take 19456 in 2",
                            config->password.argon2_memory_kib, config->password.argon2_passes);
    if (config->password.common != CONFIG_ALLOW_COMMON && !crypto_password_dictionary_is_there())
        config_problem_with(loader, !in_production(loader), "password.common",
                            "there is no dictionary at %.256s, install cracklib-runtime, or set "
                            "allow to do without",
                            crypto_password_dictionary());
}

/* ---- the issuer ---- */

static bool is_https(const char *url)
{
    return span_starts(span_from(url), SPAN_OF("https://"));
}

static void issuer_rule(struct config_loader *loader)
{
    const struct config *config = loader->config;

    if (in_production(loader) && strcmp(config->oauth.issuer, CONFIG_ISSUER_KNOWN) == 0)
        config_problem_with(loader, false, "oauth.issuer",
                            "production needs an issuer of its own, set AUTH_JWT_ISSUER to the "
                            "https URL below which clients find its metadata");
    if (strcmp(config->oauth.issuer, config->jwt.issuer) == 0)
        config_problem_with(loader, false, "oauth.issuer",
                            "is jwt.issuer too, but tokens of both kinds must be told apart");
}

/* What is said to clients in clear can be changed on the way, and their secrets read. */
static void urls_rule(struct config_loader *loader)
{
    const struct config *config = loader->config;
    const struct {
        const char *path, *url;
    } urls[] = {{"oauth.issuer", config->oauth.issuer},
                {"oauth.url", config->oauth.url},
                {"oauth.token_url", config->oauth.token_url},
                {"oauth.authorize_url", config->oauth.authorize_url}};

    for (size_t i = 0; i < PC_COUNT(urls) && in_production(loader); i++)
        if (urls[i].url != NULL && !is_https(urls[i].url))
            config_problem_with(loader, false, urls[i].path,
                                "%.256s is not HTTPS, which production insists on", urls[i].url);
}

static void oauth_key_rule(struct config_loader *loader)
{
    const struct config *config = loader->config;

    if (config->oauth.private_key_file != NULL)
        return;
    if (config->oauth.public_key_file != NULL)
        config_problem_with(loader, false, "oauth.public_key_file", "needs oauth.private_key_file");
    if (config->oauth.kid != NULL)
        config_problem_with(loader, true, "oauth.kid",
                            "has no effect without oauth.private_key_file, whose name it is");
}

/* ---- listeners ---- */

/* The paths of a listener's settings. */
struct listener_paths {
    char certificate[CONFIG_PATH_BYTES_MAX];
    char key[CONFIG_PATH_BYTES_MAX];
    char client_ca[CONFIG_PATH_BYTES_MAX];
    char client_auth[CONFIG_PATH_BYTES_MAX];
    char crl_file[CONFIG_PATH_BYTES_MAX];
    char certificates[CONFIG_PATH_BYTES_MAX];
};

static void path_make(enum config_service service, const char *name,
                      char ret_path[CONFIG_PATH_BYTES_MAX])
{
    struct sbuf out = sbuf_over(ret_path, CONFIG_PATH_BYTES_MAX);

    sbuf_add_format(&out, "%s.tls.%s", config_service_name(service), name);
    sbuf_add_char(&out, '\0');
    PC_ASSERT(!out.full);
}

static void tls_rule(struct config_loader *loader, const struct config_listener *listener,
                     const struct listener_paths *paths)
{
    if (listener->certificate != NULL && listener->key == NULL)
        config_problem_with(loader, false, paths->certificate, "needs %s", paths->key);
    if (listener->key != NULL && listener->certificate == NULL)
        config_problem_with(loader, false, paths->key, "needs %s", paths->certificate);
    if (listener->client_auth != CONFIG_CLIENT_NONE && listener->certificate == NULL)
        config_problem_with(loader, false, paths->client_auth,
                            "client certificates need HTTPS, set %s", paths->certificate);
    if (listener->client_auth != CONFIG_CLIENT_NONE && listener->client_ca == NULL)
        config_problem_with(loader, false, paths->client_auth,
                            "needs %s to check client certificates against", paths->client_ca);
    if (listener->client_auth == CONFIG_CLIENT_NONE && listener->client_ca != NULL)
        config_problem_with(loader, true, paths->client_ca, "has no effect while %s is none",
                            paths->client_auth);
    if (listener->crl_file != NULL && listener->client_auth == CONFIG_CLIENT_NONE)
        config_problem_with(loader, true, paths->crl_file, "has no effect while %s is none",
                            paths->client_auth);
    if (listener->certificates.count > 0 && listener->certificate == NULL)
        config_problem_with(loader, false, paths->certificates,
                            "needs %s, which is shown to whoever asks for none of these",
                            paths->certificate);
    if (listener->certificate == NULL && in_production(loader) &&
        !loader->config->tls_terminated_in_front)
        config_problem_with(loader, false, paths->certificate,
                            "production does not listen in plain HTTP, set a certificate and key, "
                            "or tls_terminated_in_front: true when a proxy in front speaks HTTPS");
}

/* Two services cannot share a place; port 0 is another one each time. */
static void port_rule(struct config_loader *loader, enum config_service service, unsigned served)
{
    const struct config_listener *listener = &loader->config->listeners[service];
    char path[CONFIG_PATH_BYTES_MAX];
    struct sbuf out = sbuf_over(path, sizeof(path));

    sbuf_add_format(&out, "%s.port", config_service_name(service));
    sbuf_add_char(&out, '\0');
    for (enum config_service i = 0; i < service; i++) {
        const struct config_listener *other = &loader->config->listeners[i];

        if ((served & CONFIG_SERVICE_BIT(i)) != 0 && listener->port != 0 &&
            listener->port == other->port && strcmp(listener->host, other->host) == 0)
            config_problem_with(loader, false, path, "%u is %s.port too", listener->port,
                                config_service_name(i));
    }
}

static void listeners_rule(struct config_loader *loader)
{
    const struct config *config = loader->config;
    unsigned served = loader->sources->services ? loader->sources->services : CONFIG_SERVICES_ALL;

    for (enum config_service i = 0; i < CONFIG_SERVICE_COUNT; i++) {
        struct listener_paths paths;

        if ((served & CONFIG_SERVICE_BIT(i)) == 0)
            continue;
        path_make(i, "certificate", paths.certificate);
        path_make(i, "key", paths.key);
        path_make(i, "client_ca", paths.client_ca);
        path_make(i, "client_auth", paths.client_auth);
        path_make(i, "crl_file", paths.crl_file);
        path_make(i, "certificates", paths.certificates);
        tls_rule(loader, &config->listeners[i], &paths);
        port_rule(loader, i, served);
    }
    if (config->tls_terminated_in_front && config->trusted_proxies.count == 0)
        config_problem_with(loader, true, "trusted_proxies",
                            "is empty though a proxy stands in front, so all clients share that "
                            "proxy's address and its limit");
}

static void everyone_rule(struct config_loader *loader)
{
    const struct config *config = loader->config;

    for (size_t i = 0; i < config->trusted_proxies.count; i++)
        if (span_ends(span_from(config->trusted_proxies.items[i]), SPAN_OF("/0")))
            config_problem_with(loader, !in_production(loader), "trusted_proxies",
                                "%s believes X-Forwarded-For of anyone, name your proxies",
                                config->trusted_proxies.items[i]);
    for (size_t i = 0; i < config->metrics.allow.count; i++)
        if (span_ends(span_from(config->metrics.allow.items[i]), SPAN_OF("/0")))
            config_problem_with(loader, true, "metrics.allow", "%s shows metrics to anyone",
                                config->metrics.allow.items[i]);
}

static void cors_rule(struct config_loader *loader)
{
    const struct config *config = loader->config;

    for (size_t i = 0; i < config->cors.allowed_origins.count; i++) {
        struct span origin = span_from(config->cors.allowed_origins.items[i]);

        if (span_is(origin, "*") && config->cors.allow_credentials)
            config_problem_with(loader, false, "cors.allowed_origins",
                                "* never goes together with credentials, list the origins or set "
                                "cors.allow_credentials: false");
        else if (in_production(loader) && span_is(origin, "*"))
            config_problem_with(loader, true, "cors.allowed_origins",
                                "* lets any page call the API");
        else if (in_production(loader) && span_starts(origin, SPAN_OF("http://")))
            config_problem_with(loader, true, "cors.allowed_origins",
                                "%.*s is not HTTPS, so its pages can be changed on the way",
                                SPAN_ARG(origin));
    }
}

static void http_rule(struct config_loader *loader)
{
    const struct config *config = loader->config;

    if (config->http.target_bytes_max > config->http.head_bytes_max)
        config_problem_with(loader, false, "http.target_bytes_max",
                            "%u is more than http.head_bytes_max, %u, of which it is a part",
                            config->http.target_bytes_max, config->http.head_bytes_max);
    if (config->http.connections_per_ip_max > config->http.connections_max)
        config_problem_with(loader, true, "http.connections_per_ip_max",
                            "%u has no effect, http.connections_max is %u",
                            config->http.connections_per_ip_max, config->http.connections_max);
}

/* ---- the database ---- */

/* The paths of a database's settings, and what they say. */
struct database {
    const char *url_path, *sslmode_path;
    const char *url, *sslmode;
};

static void sslmode_rule(struct config_loader *loader, const struct database *database,
                         const struct config_url *url)
{
    struct span mode = config_url_query_value(url, "sslmode");

    if (database->sslmode != NULL && mode.len > 0)
        config_problem_with(loader, true, database->url_path,
                            "names an sslmode, but %s, %s, stands over it", database->sslmode_path,
                            database->sslmode);
    if (database->sslmode != NULL)
        mode = span_from(database->sslmode);
    if (span_is(mode, "disable") && !config_url_is_loopback(url))
        config_problem_with(
            loader, !in_production(loader),
            database->sslmode ? database->sslmode_path : database->url_path,
            "sslmode disable sends passwords and money in clear to another machine, use "
            "require or verify-full");
}

static void database_rule(struct config_loader *loader, const struct database *database)
{
    struct config_url url = config_url_read(span_from(database->url));

    if (span_is(url.scheme, "sqlite")) {
        if (database->sslmode != NULL)
            config_problem_with(loader, true, database->sslmode_path,
                                "has no effect on the embedded store");
        return;
    }
    sslmode_rule(loader, database, &url);
    if (url.password.len > 0 && config_secret_is_known(url.password))
        config_problem_with(loader, !in_production(loader), database->url_path,
                            "its password is well known from examples");
}

static void databases_rule(struct config_loader *loader)
{
    const struct config *config = loader->config;
    const struct database own = {"database.url", "database.sslmode", config->database.url,
                                 config->database.sslmode};
    const struct database audit = {"audit.database.url", "audit.database.sslmode",
                                   config->audit.database.url, config->audit.database.sslmode};

    database_rule(loader, &own);
    if (audit.url != NULL)
        database_rule(loader, &audit);
    else if (audit.sslmode != NULL)
        config_problem_with(loader, true, audit.sslmode_path,
                            "has no effect without audit.database.url, or with that of "
                            "database.url");
}

/* A log that is where everything is needs nobody to carry events to it. */
static void audit_place(struct config *config)
{
    if (config->audit.database.url != NULL &&
        config_url_is_same(span_from(config->audit.database.url), span_from(config->database.url),
                           span_from(config->data)))
        config->audit.database.url = NULL;
}

/* ---- limits ---- */

static bool plan_exists(const struct config *config, const char *plan)
{
    for (size_t i = 0; i < config->limits.plans.count; i++)
        if (strcmp(config->limits.plans.items[i].plan, plan) == 0)
            return true;
    return false;
}

static const char *limit_name(const struct config_limit *limit)
{
    if (limit->route != NULL)
        return limit->route;
    return limit->user != NULL ? limit->user : limit->plan;
}

/* A bucket that takes years to fill is a mistake, and more than limit/ can count. A number left out
 * means: as in general. */
void config_rule_fill(struct config_loader *loader, const char *path, uint32_t requests,
                      uint32_t burst)
{
    const struct limit_rate rate = {
        .requests = requests ? requests : loader->config->limits.requests_per_minute,
        .period_ns = 60 * CLOCK_NS_PER_S,
        .burst = requests || burst ? burst : loader->config->limits.burst};

    if (!limit_rate_is_valid(&rate))
        config_problem_with(loader, false, path,
                            "a burst of %u takes more than a year to fill at %u requests a minute",
                            rate.burst, rate.requests);
}

static void limits_rule(struct config_loader *loader, const char *path,
                        const struct config_limits *limits)
{
    for (size_t i = 0; i < limits->count; i++) {
        const struct config_limit *limit = &limits->items[i];
        bool by_plan = limit->user != NULL && limit->plan != NULL;
        bool by_number = limit->requests_per_minute + limit->burst > 0;

        for (size_t j = 0; j < i; j++)
            if (strcmp(limit_name(&limits->items[j]), limit_name(limit)) == 0)
                config_problem_with(loader, false, path, "\"%.128s\" is listed twice",
                                    limit_name(limit));
        if (by_plan && by_number)
            config_problem_with(loader, false, path,
                                "\"%.128s\" has both a plan and numbers, give one of them",
                                limit_name(limit));
        if (!by_plan && !by_number && limit->sharing.mode == 0 && limit->sharing.on_outage == 0)
            config_problem_with(loader, false, path, "\"%.128s\" sets no limit", limit_name(limit));
        if (by_number)
            config_rule_fill(loader, path, limit->requests_per_minute, limit->burst);
        if (by_plan && !plan_exists(loader->config, limit->plan))
            config_problem_with(loader, false, path,
                                "\"%.128s\" is on the plan \"%.64s\", which limits.plans lacks",
                                limit_name(limit), limit->plan);
    }
}

/* The group goes with the user whom root becomes: alone it would be forgotten without a word. */
static void group_rule(struct config_loader *loader)
{
    const struct config *config = loader->config;

    if (config->process.group != NULL && config->process.user == NULL)
        config_problem_with(loader, false, "process.group",
                            "goes with process.user, which is not set: name the user, too");
}

void config_rules(struct config_loader *loader)
{
    const struct config *config = loader->config;

    audit_place(loader->config);
    secret_rule(loader);
    key_rule(loader);
    webhook_rule(loader);
    password_rule(loader);
    issuer_rule(loader);
    urls_rule(loader);
    oauth_key_rule(loader);
    listeners_rule(loader);
    everyone_rule(loader);
    cors_rule(loader);
    http_rule(loader);
    databases_rule(loader);
    group_rule(loader);
    config_rule_fill(loader, "limits.burst", 0, 0);
    limits_rule(loader, "limits.routes", &config->limits.routes);
    limits_rule(loader, "limits.plans", &config->limits.plans);
    limits_rule(loader, "limits.users", &config->limits.users);
    config_limits_rules(loader);
    config_names_rules(loader, true);
    config_proxy_rules(loader);
    config_breaker_rules(loader);
    config_issuer_rules(loader);
    config_tls_rules(loader);
}
