/* SPDX-License-Identifier: MIT
 * `portcullis check`: is the configuration good, what is in force and why, and what could be set.
 */
#include "app/command.h"
#include "app/serve.h"
#include "base/clock.h"
#include "crypto/key.h"
#include "crypto/tls.h"

static command_run_fn check_run;

static const struct command_option options[] = {
    COMMAND_CONFIG_OPTION,
    {.name = "--explain", .about = "Print every setting in force and where it came from"},
    {.name = "--reference", .about = "Print what can be set, as the page docs/configuration.md"},
    {.name = "--example", .about = "Print a commented file with every default"},
};

static const struct command_example examples[] = {
    {"check", "Look at ./portcullis.yaml (if there is one) and the environment."},
    {"check --config /etc/portcullis.yaml --explain", "See what a deployment would run with."},
    {"check --example >portcullis.yaml", "Begin a file of your own."},
};

const struct command command_check = {
    .name = "check",
    .about = "Tell what is wrong with the settings",
    .help = "Reads the file and the environment just as `serve` does, and tells every mistake with "
            "its\n"
            "line and column, with a suggestion for a mistyped key. Exits with 1 if `serve` would\n"
            "refuse to start; warnings alone do not stop it. Secrets are never printed.",
    .options = options,
    .option_count = PC_COUNT(options),
    .examples = examples,
    .example_count = PC_COUNT(examples),
    .run = check_run,
};

enum { TEXT_BYTES_MAX = 1024 * 1024 };

/* What can be set is the same whatever is set. */
static enum command_exit print_pages(const struct command_call *call)
{
    enum command_exit answer;
    struct arena arena;
    struct sbuf out;

    arena_init(&arena, NULL, 0, 4 * TEXT_BYTES_MAX);
    out = sbuf_on(&arena, TEXT_BYTES_MAX);
    if (command_given(call, "--reference"))
        config_reference(&out);
    if (command_given(call, "--example"))
        config_example(&out);
    answer = command_print(call, &out);
    arena_reset(&arena);
    return answer;
}

static void add_verdict(const struct command_settings *settings, size_t warnings, struct sbuf *out)
{
    bool production = settings->config.environment == CONFIG_PRODUCTION;
    char hash[CONFIG_HASH_BYTES];

    sbuf_add_format(out, "The settings are good for %s", production ? "production" : "development");
    if (warnings > 0)
        sbuf_add_format(out, ", with %zu warning%s", warnings, warnings == 1 ? "" : "s");
    sbuf_add_lit(out, ".\nconfig hash ");
    config_hash(&settings->config, hash);
    sbuf_add_bytes(out, hash, sizeof(hash));
    sbuf_add_char(out, '\n');
}

/* ---- certificates and keys: what `serve` would read from them ---- */

enum { SOON_DAYS = 14, DAY_S = 86400 };

static void warn_of_end(const struct crypto_tls_context *context, const char *service,
                        const struct command_call *call, size_t *warnings)
{
    int64_t days = (crypto_tls_context_end_s(context) - clock_realtime_s(&clock_system)) / DAY_S;

    if (days >= SOON_DAYS)
        return;
    ++*warnings;
    (void)fprintf(call->io->err, "warning: %s.tls.certificate: ends within %lld days, renew it\n",
                  service, (long long)days + 1);
}

static enum command_exit certificate_check(const struct command_call *call,
                                           const struct config *config, enum config_service service,
                                           size_t *warnings)
{
    struct crypto_tls_identity others[CRYPTO_TLS_CERTIFICATES_MAX];
    const struct crypto_tls_options wanted = serve_tls_options(config, service, others);
    PC_AUTO(crypto_tls_context) context = NULL;
    struct crypto_fault fault = {{0}};

    if (wanted.cert_path == NULL)
        return COMMAND_GOOD;
    if (crypto_tls_context_new(&wanted, &clock_system, &context, &fault) == ERR_OK) {
        warn_of_end(context, wanted.name, call, warnings);
        return COMMAND_GOOD;
    }
    (void)fprintf(call->io->err, "%s.tls: %s\n", wanted.name, fault.text);
    return COMMAND_BAD;
}

/* What the gateway shows to an upstream, and whom it trusts there. */
static bool upstream_check(const struct command_call *call, const struct config_upstream *upstream)
{
    struct crypto_tls_client_options wanted = serve_upstream_tls_options(upstream);
    PC_AUTO(crypto_tls_context) context = NULL;
    struct crypto_fault fault = {{0}};

    wanted.host = upstream->tls.server_name != NULL ? upstream->tls.server_name : "localhost";
    if (!config_target_is_tls(upstream->targets[0].url) ||
        crypto_tls_client_context_new(&wanted, &context, &fault) == ERR_OK)
        return true;
    (void)fprintf(call->io->err, "upstream %s: %s\n", upstream->name, fault.text);
    return false;
}

/* A key from a file that a setting names; *ret_key stays NULL when there is none. */
static bool key_load(const struct command_call *call, const char *setting, const char *path,
                     const char *algorithm, struct crypto_key **ret_key)
{
    struct crypto_fault fault = {{0}};
    enum crypto_alg alg = crypto_alg_from(span_from(algorithm));

    if (path == NULL || crypto_key_load(path, alg, SPAN_OF("check"), ret_key, &fault) == ERR_OK)
        return true;
    (void)fprintf(call->io->err, "%s: %s\n", setting, fault.text);
    return false;
}

static bool key_signs(const struct command_call *call, const char *setting,
                      const struct crypto_key *key)
{
    if (key == NULL || crypto_key_is_private(key))
        return true;
    (void)fprintf(call->io->err, "%s: holds no private key, so it cannot sign\n", setting);
    return false;
}

static bool session_key_check(const struct command_call *call, const struct config *config)
{
    PC_AUTO(crypto_key) key = NULL;

    return key_load(call, "jwt.key_file", config->jwt.key_file, config->jwt.algorithm, &key) &&
           key_signs(call, "jwt.key_file", key);
}

static bool issuer_keys_check(const struct command_call *call, const struct config *config)
{
    PC_AUTO(crypto_key) key = NULL;
    PC_AUTO(crypto_key) other = NULL;

    if (!key_load(call, "oauth.private_key_file", config->oauth.private_key_file,
                  config->oauth.algorithm, &key) ||
        !key_signs(call, "oauth.private_key_file", key) ||
        !key_load(call, "oauth.public_key_file", config->oauth.public_key_file,
                  config->oauth.algorithm, &other))
        return false;
    if (other == NULL || span_equal(crypto_key_thumbprint(key), crypto_key_thumbprint(other)))
        return true;
    (void)fprintf(call->io->err,
                  "oauth.public_key_file: does not belong to oauth.private_key_file\n");
    return false;
}

static enum command_exit keys_check(const struct command_call *call, const struct config *config,
                                    size_t *warnings)
{
    bool good = true;

    for (enum config_service i = 0; i < CONFIG_SERVICE_COUNT; i++)
        good &= certificate_check(call, config, i, warnings) == COMMAND_GOOD;
    for (size_t i = 0; i < config->upstreams.count; i++)
        good &= upstream_check(call, &config->upstreams.items[i]);
    good &= session_key_check(call, config);
    good &= issuer_keys_check(call, config);
    return good ? COMMAND_GOOD : COMMAND_BAD;
}

static enum command_exit routes_check(const struct command_call *call, const struct config *config)
{
    struct serve_fault fault;

    if (serve_routes_check(config, 0, &fault) == ERR_OK)
        return COMMAND_GOOD;
    (void)fprintf(call->io->err, "%s\n", fault.text);
    return COMMAND_BAD;
}

static enum command_exit check_run(const struct command_call *call)
{
    struct command_settings settings;
    enum command_exit answer;
    size_t warnings = 0; /* beside those of the settings */
    struct sbuf out;

    if (command_given(call, "--reference") || command_given(call, "--example"))
        return print_pages(call);
    answer = command_settings_load(call, false, &settings);
    if (answer == COMMAND_GOOD)
        answer = keys_check(call, &settings.config, &warnings);
    if (answer == COMMAND_GOOD)
        answer = routes_check(call, &settings.config);
    if (answer == COMMAND_GOOD) {
        out = sbuf_on(&settings.arena, TEXT_BYTES_MAX);
        if (command_given(call, "--explain"))
            config_explain(&settings.config, &settings.origins, &out);
        else
            add_verdict(&settings, settings.problems.count + warnings, &out);
        answer = command_print(call, &out);
    }
    command_settings_free(&settings);
    return answer;
}
