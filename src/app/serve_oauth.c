/* SPDX-License-Identifier: MIT
 * The issuer, from its settings: its keys below the data folder, where it says it is, and the
 * clients of a first start in development. */
#include "app/serve_priv.h"

#include <string.h>
#include <time.h>

/* What verifiers may cache our keys for, and time to fetch them: RFC 7517 leaves it to us. And the
 * time in which the feed of changes has come to every node. */
enum { PUBLISH_S = 300 + 60, HEARD_S = 1 };

static int64_t access_s(const struct config *config)
{
    return (int64_t)config->oauth.access_minutes * 60;
}

static enum err folder_make(const struct config *config, const char *name,
                            char ret_path[SERVE_PATH_BYTES], struct serve_fault *fault)
{
    struct sbuf out = sbuf_over(ret_path, SERVE_PATH_BYTES);

    sbuf_add_format(&out, "%s/%s", config->data, name);
    sbuf_add_char(&out, '\0');
    if (out.full)
        return serve_fail(fault, ERR_CONFIG, "the path of the data folder is too long");
    return serve_data_folder(ret_path, fault);
}

enum err serve_oauth_keys_options(const struct config *config, struct store *store,
                                  char dir[SERVE_PATH_BYTES], struct oauth_keys_options *ret,
                                  struct serve_fault *fault)
{
    int64_t longest_s =
        access_s(config) > OAUTH_ACCESS_S_MAX ? access_s(config) : OAUTH_ACCESS_S_MAX;
    enum err err = folder_make(config, "keys", dir, fault);

    if (!err)
        err = folder_make(config, "keys/oauth", dir, fault);
    if (err)
        return err;
    *ret = (struct oauth_keys_options){.clock = &clock_system,
                                       .store = store,
                                       .dir = dir,
                                       .alg = crypto_alg_from(span_from(config->oauth.algorithm)),
                                       .private_path = config->oauth.private_key_file,
                                       .public_path = config->oauth.public_key_file,
                                       .kid = span_from(config->oauth.kid),
                                       .publish_s = PUBLISH_S,
                                       .heard_s = HEARD_S,
                                       .verify_s = longest_s + config->oauth.leeway_s};
    return ERR_OK;
}

/* ---- where the issuer is ---- */

/* An address to listen on that is none to call. */
static bool is_any(const char *host)
{
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

static enum err url_find(struct serve *serve, struct serve_fault *fault)
{
    const struct config *config = serve->config;
    const struct config_listener *listener = &config->listeners[CONFIG_AUTH];
    struct sbuf out = sbuf_over(serve->oauth_url, sizeof(serve->oauth_url) - 1);

    if (config->oauth.url != NULL)
        sbuf_add_text(&out, config->oauth.url);
    else if (config->environment == CONFIG_PRODUCTION)
        sbuf_add_text(&out, config->oauth.issuer);
    else
        config_listener_url(listener, is_any(listener->host) ? "localhost" : listener->host,
                            serve_port(serve, CONFIG_AUTH), &out);
    if (out.full)
        return serve_fail(fault, ERR_CONFIG, "the address of the auth service is too long");
    serve->oauth_url[out.len] = '\0';
    return ERR_OK;
}

/* ---- start ---- */

/* Another node that was asked with a token of ours now would call it forged. */
static void heard_wait(const struct serve *serve)
{
    const struct timespec time = {.tv_sec = HEARD_S};

    if (oauth_keys_joined(serve->oauth_keys))
        (void)nanosleep(&time, NULL);
}

static enum err keys_start(struct serve *serve, struct serve_fault *fault)
{
    struct oauth_keys_options options;
    struct crypto_fault why = {0};
    enum err err = serve_oauth_keys_options(serve->config, serve->store, serve->oauth_keys_dir,
                                            &options, fault);

    if (err)
        return err;
    options.clock = serve->clock;
    options.logger = serve->logger;
    err = oauth_keys_open(&options, &serve->oauth_keys, &why);
    return err ? serve_fail(fault, err, "the issuer's keys: %s",
                            why.text[0] != '\0' ? why.text : err_sentence(err))
               : ERR_OK;
}

static bool takes_certificates(const struct config *config, enum config_service service)
{
    const struct config_listener *listener = &config->listeners[service];

    return listener->certificate != NULL && listener->client_auth != CONFIG_CLIENT_NONE;
}

enum err serve_oauth_start(struct serve *serve, struct serve_fault *fault)
{
    const struct config *config = serve->config;
    struct oauth_options options = {
        .clock = serve->clock,
        .random = serve->random,
        .logger = serve->logger,
        .metrics = serve->metrics,
        .auth = serve->auth,
        .issuer = span_from(config->oauth.issuer),
        .audience = span_from(config->oauth.audience),
        .token_url = span_from(config->oauth.token_url),
        .authorize_url = span_from(config->oauth.authorize_url),
        .access_s = access_s(config),
        .refresh_s = (int64_t)config->oauth.refresh_days * 86400,
        .code_s = config->oauth.code_s,
        .grace_s = config->oauth.grace_s,
        .login_s = (int64_t)config->oauth.login_hours * 3600,
        .leeway_s = config->oauth.leeway_s,
        .takes_certificates = config->listeners[CONFIG_AUTH].client_auth != CONFIG_CLIENT_NONE};
    enum err err = keys_start(serve, fault);

    if (!err)
        err = url_find(serve, fault);
    if (err)
        return err;
    heard_wait(serve);
    options.keys = serve->oauth_keys;
    options.base_url = span_from(serve->oauth_url);
    options.takes_certificates =
        takes_certificates(config, CONFIG_AUTH) || takes_certificates(config, CONFIG_GATEWAY);
    err = oauth_new(&options, &serve->oauth);
    if (!err && config->environment == CONFIG_DEVELOPMENT)
        err = oauth_seed(serve->store, &options, &serve->clients_seeded);
    return err ? serve_fail(fault, err, "the issuer cannot be set up: %s", err_sentence(err))
               : ERR_OK;
}

/* The keys tell why they could not be read; here is what follows from it. The next minute tries
 * again. */
static void keys_reload(struct serve *serve)
{
    enum err err = oauth_keys_reload(serve->oauth_keys);

    if (err)
        log_warn(serve->logger, "serving_with_former_keys", LOG_ERR("error", err));
    else if (serve->oauth_keys_behind) /* what a retired key signed was believed meanwhile */
        http_forget_subject(serve->engine, 0);
    serve->oauth_keys_behind = err != ERR_OK;
}

/* Another node, or a command, has turned the keys. */
void serve_oauth_changed(void *context, struct span what)
{
    if (span_is(what, "keys"))
        keys_reload(context);
}

/* Private keys that are gone by now leave the disk. */
void serve_oauth_minute(struct serve *serve)
{
    keys_reload(serve);
}

void serve_oauth_stop(struct serve *serve)
{
    oauth_free(serve->oauth);
    oauth_keys_free(serve->oauth_keys);
}
