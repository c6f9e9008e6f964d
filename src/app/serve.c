/* SPDX-License-Identifier: MIT
 * The wiring: from a configuration to a process that answers, floor by floor, and back down in the
 * opposite order. Nothing here decides anything; every choice is in the configuration or below. */
#include "app/serve.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "app/serve_events.h"
#include "app/serve_priv.h"
#include "base/alloc.h"
#include "base/limits.h"
#include "trail/trail_catalogue.h"

enum err serve_fail(struct serve_fault *fault, enum err err, const char *format, ...)
{
    va_list args;

    if (fault == NULL)
        return err;
    va_start(args, format);
    (void)vsnprintf(fault->text, sizeof(fault->text), format, args);
    va_end(args);
    return err;
}

static enum log_level level_of(enum config_log_level level)
{
    static const enum log_level levels[] = {[CONFIG_LOG_DEBUG] = LOG_DEBUG,
                                            [CONFIG_LOG_INFO] = LOG_INFO,
                                            [CONFIG_LOG_WARN] = LOG_WARN,
                                            [CONFIG_LOG_ERROR] = LOG_ERROR};

    return levels[level];
}

static enum err start_telemetry(struct serve *serve, struct serve_fault *fault)
{
    const struct log_options options = {.path = serve->config->log.path,
                                        .level = level_of(serve->config->log.level),
                                        .clock = serve->clock};
    enum err err = log_open(&options, &serve->logger);

    if (err)
        return serve_fail(fault, err, "%s: the log cannot be opened: %s", serve->config->log.path,
                          strerror(errno));
    err = metrics_new(&serve->metrics);
    return err ? serve_fail(fault, err, "no memory for metrics") : ERR_OK;
}

static enum err start_store(struct serve *serve, struct serve_fault *fault)
{
    const struct config *config = serve->config;
    const struct store_options options = {.url = span_from(config->database.url),
                                          .data_dir = config->data,
                                          .sslmode = config->database.sslmode,
                                          .clock = serve->clock,
                                          .logger = serve->logger,
                                          .seal = serve_audit_seal(serve),
                                          .readers = config->workers.readers,
                                          .queue_max = config->workers.store_queue_max,
                                          .clock_skew_ms_max = LIMIT_STORE_SKEW_MS};
    struct store_fault why = {0};
    enum err err = store_open(&options, &serve->store, &why);

    if (!err)
        err = serve_store_migrate(serve->store, serve->clock, "start", &why);
    if (err)
        return serve_fail(fault, err, "%s", why.text);
    return serve_audit_open(serve, fault);
}

struct crypto_password_policy serve_password_policy(const struct config *config)
{
    return (struct crypto_password_policy){.kind = config->password.scheme == CONFIG_BCRYPT
                                                       ? CRYPTO_PASSWORD_BCRYPT
                                                       : CRYPTO_PASSWORD_ARGON2ID,
                                           .bcrypt_cost = config->password.bcrypt_cost,
                                           .argon2_memory_kib = config->password.argon2_memory_kib,
                                           .argon2_passes = config->password.argon2_passes,
                                           .argon2_lanes = config->password.argon2_lanes};
}

enum crypto_password_common serve_password_common(const struct config *config)
{
    static const enum crypto_password_common commons[] = {
        [CONFIG_REFUSE_SIMILAR] = CRYPTO_COMMON_REFUSE_SIMILAR,
        [CONFIG_REFUSE_LISTED] = CRYPTO_COMMON_REFUSE_LISTED,
        [CONFIG_ALLOW_COMMON] = CRYPTO_COMMON_ALLOW};

    if (config->environment == CONFIG_DEVELOPMENT && !crypto_password_dictionary_is_there())
        return CRYPTO_COMMON_ALLOW;
    return commons[config->password.common];
}

static enum err start_auth(struct serve *serve, struct serve_fault *fault)
{
    const struct config *config = serve->config;
    struct auth_options options = {.clock = serve->clock,
                                   .random = serve->random,
                                   .logger = serve->logger,
                                   .metrics = serve->metrics,
                                   .signer = &serve->signer,
                                   .issuer = span_from(config->jwt.issuer),
                                   .access_s = (int64_t)config->jwt.access_minutes * 60,
                                   .refresh_s = (int64_t)config->jwt.refresh_days * 86400,
                                   .grace_s = config->jwt.grace_s,
                                   .leeway_s = config->jwt.leeway_s,
                                   .policy = serve_password_policy(config),
                                   .password_chars_min = config->password.length_min,
                                   .password_common = serve_password_common(config)};
    enum err err = serve_keys(serve, fault);

    if (err)
        return err;
    options.keys = serve->keys;
    err = auth_new(&options, &serve->auth);
    if (!err && config->environment == CONFIG_DEVELOPMENT)
        err = auth_seed(serve->store, &options, &serve->seeded);
    return err ? serve_fail(fault, err, "users cannot be set up: %s", err_sentence(err)) : ERR_OK;
}

enum { HASH_NICE = 10 };

/* Passwords are slow and may wait; a signature is quick and may not wait for them. */
static enum err start_pools(struct serve *serve, struct serve_fault *fault)
{
    const struct config *config = serve->config;
    enum err err = net_pool_new_nice("hash", config->workers.hashers,
                                     config->workers.hash_queue_max, HASH_NICE, &serve->hash_pool);

    if (!err)
        err = net_pool_new("sign", config->workers.signers, config->workers.sign_queue_max,
                           &serve->sign_pool);
    return err ? serve_fail(fault, err, "the worker threads cannot be started") : ERR_OK;
}

static enum err start_http(struct serve *serve, struct serve_fault *fault)
{
    const struct config *config = serve->config;
    struct http_engine_options options = {.clock = serve->clock,
                                          .random = serve->random,
                                          .logger = serve->logger,
                                          .metrics = serve->metrics,
                                          .store = serve->store,
                                          .identity = oauth_identity(serve->oauth),
                                          .keys = auth_key_identity(&serve->clock),
                                          .limit_slots = config->limits.clients_max,
                                          .access_log = config->log.access};
    const struct serve_settings first = {.config = config};
    struct serve_snapshot *made;
    enum err err = serve_routes_check(config, serve->services, fault);

    if (!err)
        err = start_pools(serve, fault);
    if (err)
        return err;
    options.hash_pool = serve->hash_pool;
    options.sign_pool = serve->sign_pool;
    err = serve_limits_start(serve, fault);
    if (err)
        return err;
    options.limits_shared = serve_limits_shared(serve);
    gateway_version_set(serve->version);
    err = http_engine_new(&options, &serve->engine);
    if (!err)
        err = serve_policy_make(config, &serve->policy);
    if (err)
        return serve_fail(fault, err, "the services cannot be set up: %s", err_sentence(err));
    err = serve_behind_start(serve, fault);
    if (!err)
        err = serve_services_new(serve, fault);
    if (!err)
        err = serve_snapshot_make(serve, &first, &made, fault);
    if (!err)
        serve_snapshot_take(made);
    serve_doors_reload(serve, config);
    return err;
}

static void on_minute(void *context)
{
    struct serve *serve = context;

    serve_oauth_minute(serve);
    http_strangers_tell(serve->engine);
    if (pthread_mutex_trylock(&serve->change) != 0)
        return; /* whoever changes something does the same */
    (void)http_snapshot_reap(serve->engine);
    PC_ASSERT(pthread_mutex_unlock(&serve->change) == 0);
}

static enum err start_net(struct serve *serve, bool unbound, struct serve_fault *fault)
{
    const struct config *config = serve->config;
    const struct net_server_options options = {
        .loops = config->workers.loops,
        .conns_max = config->http.connections_max,
        .conns_per_ip_max = config->http.connections_per_ip_max,
        .head_ms = config->http.header_timeout_ms,
        .idle_ms = config->http.idle_timeout_ms,
        .body_ms = config->http.body_timeout_ms,
        .body_rate_min = config->http.body_rate_min,
        .write_ms = config->http.write_timeout_ms,
        .head_bytes_max = config->http.head_bytes_max,
        .headers_max = config->http.headers_max,
        .target_bytes_max = config->http.target_bytes_max,
        .requests_per_conn_max = config->http.requests_per_connection_max,
        .clock = serve->clock,
        .random = serve->random,
        .metrics = serve->metrics,
        .loop_started = http_loop_started,
        .loop_stopped = http_loop_stopped,
        .loop_context = serve->engine};
    const struct auth_feed_options feed = {.store = serve->store,
                                           .engine = serve->engine,
                                           .clock = serve->clock,
                                           .logger = serve->logger,
                                           .sweeps = oauth_sweeps,
                                           .sweep_count = oauth_sweep_count,
                                           .changed = serve_oauth_changed,
                                           .minute = on_minute,
                                           .context = serve};
    enum err err = net_server_new(&options, &serve->server);

    if (err)
        return serve_fail(fault, err, "the loops cannot be made: %s", err_sentence(err));
    err = serve_harden_bind(serve, unbound, fault);
    if (!err) /* in all threads that there are by now */
        err = serve_harden_filter(serve, fault);
    if (!err)
        err = auth_feed_start(&feed, &serve->feed);
    if (!err)
        err = serve_housekeeper_start(serve);
    if (!err) /* nobody is answered before it is known who answers */
        err = serve_event_started(serve, serve->origins, fault);
    if (!err)
        err = net_server_start(serve->server);
    return err;
}

static void log_places(const struct serve *serve)
{
    for (enum config_service i = 0; i < CONFIG_SERVICE_COUNT; i++)
        if (serve_serves(serve, i))
            log_info(serve->logger, "listening", LOG_STRING("listener", config_service_name(i)),
                     LOG_U64("port", serve_port(serve, i)),
                     LOG_BOOL("tls", serve->listeners[i].tls != NULL));
}

enum err serve_start(const struct serve_options *options, struct serve **ret_serve,
                     struct serve_fault *reterr)
{
    struct serve *serve = alloc_zero(sizeof(*serve));
    enum err err;

    if (serve == NULL)
        return serve_fail(reterr, ERR_NO_MEMORY, "no memory");
    if (reterr != NULL)
        *reterr = (struct serve_fault){.text = "the program cannot start"};
    serve->config = serve->settled = options->config;
    serve->origins = options->origins;
    serve->is_lenient = options->lenient;
    serve->is_hardened = options->hardened;
    serve->reload = options->reload;
    serve->reload_context = options->reload_context;
    PC_ASSERT(pthread_mutex_init(&serve->change, NULL) == 0);
    serve->version = options->version;
    serve->services = options->services ? options->services : CONFIG_SERVICES_ALL;
    serve->clock = options->clock ? options->clock : &clock_system;
    serve->random = options->random ? options->random : &random_system;
    err = serve_data_folder(serve->config->data, reterr);
    if (!err)
        err = start_telemetry(serve, reterr);
    if (!err)
        err = serve_audit_prepare(serve);
    if (!err)
        err = serve_event_watch(serve);
    if (!err)
        err = start_store(serve, reterr);
    if (!err)
        err = serve_listeners_place(serve, options->unbound, reterr);
    if (!err)
        err = serve_given_place(serve, options->given_first, options->given_count, reterr);
    if (!err)
        err = start_auth(serve, reterr);
    if (!err)
        err = serve_oauth_start(serve, reterr);
    if (!err)
        err = serve_ledger_start(serve, reterr);
    if (!err)
        err = serve_monitor_start(serve, reterr);
    if (!err)
        err = serve_keeper_start(serve, reterr);
    if (!err)
        err = start_http(serve, reterr);
    if (!err)
        err = serve_metrics(serve);
    if (!err)
        err = serve_audit_start(serve);
    if (!err)
        err = start_net(serve, options->unbound, reterr);
    if (!err)
        err = serve_monitor_watch(serve);
    if (!err)
        err = serve_admin_start(serve, reterr);
    if (err) {
        serve_stop(serve);
        return err;
    }
    log_info(serve->logger, "started", LOG_STRING("version", serve->version),
             LOG_STRING("store", store_shown(serve->store)));
    log_places(serve);
    *ret_serve = serve;
    return ERR_OK;
}

size_t serve_seeded(const struct serve *serve)
{
    return serve->seeded;
}

size_t serve_clients_seeded(const struct serve *serve)
{
    return serve->clients_seeded;
}

static enum err take_over(struct serve *serve, const struct serve_settings *settings,
                          struct serve_fault *reterr)
{
    const struct config *config = settings->config;
    struct serve_snapshot *made;
    enum err err;

    log_reopen(serve->logger);
    err = serve_routes_check(config, serve->services, reterr);
    if (err)
        return err;
    err = serve_snapshot_make(serve, settings, &made, reterr);
    if (err)
        return err;
    err = serve_listeners_reload(serve, config, reterr);
    if (err) {
        serve_snapshot_drop(made);
        return err;
    }
    serve_snapshot_take(made);
    serve_monitor_settings(serve, config);
    log_info(serve->logger, "configuration_reloaded");
    return ERR_OK;
}

enum err serve_reload(struct serve *serve, const struct serve_settings *settings,
                      struct serve_fault *reterr)
{
    struct serve_fault fault = {{0}};
    enum err err;

    PC_ASSERT(pthread_mutex_lock(&serve->change) == 0);
    err = take_over(serve, settings, &fault);
    PC_ASSERT(pthread_mutex_unlock(&serve->change) == 0);
    if (!err)
        return ERR_OK;
    serve_event_not_reloaded(serve, settings->config, span_from(fault.text));
    if (reterr != NULL)
        *reterr = fault;
    return err;
}

void serve_not_reloaded(struct serve *serve, struct span why)
{
    log_reopen(serve->logger);
    serve_event_not_reloaded(serve, NULL, why);
}

void serve_leave(struct serve *serve)
{
    log_info(serve->logger, "leaving", LOG_U64("notice_s", serve->config->shutdown.notice_s));
    http_engine_leave(serve->engine);
}

/* Until no request is on its way, or the time for that is over. */
static bool drain(struct serve *serve, int64_t *ret_ns)
{
    int64_t begin_ns = clock_monotonic_ns(serve->clock);
    bool drained = net_server_drain(serve->server, (int64_t)serve->config->shutdown.drain_s * 1000);

    *ret_ns = clock_monotonic_ns(serve->clock) - begin_ns;
    log_info(serve->logger, "stopped", LOG_BOOL("drained", drained));
    return drained;
}

void serve_stop(struct serve *serve)
{
    int64_t drain_ns = 0;
    bool drained = false;

    if (serve == NULL)
        return;
    serve_admin_stop(serve);
    if (serve->server != NULL && serve->feed != NULL)
        drained = drain(serve, &drain_ns);
    serve_monitor_stop(serve);
    serve_housekeeper_stop(serve);
    auth_feed_stop(serve->feed);
    net_server_stop(serve->server); /* requests on their way still need what follows */
    net_pool_free(serve->hash_pool);
    net_pool_free(serve->sign_pool);
    if (serve->engine != NULL)
        http_strangers_tell(serve->engine);
    serve_event_stopped(serve, drained, drain_ns);
    serve_audit_stop(serve);
    serve_keeper_stop(serve);  /* signs what was carried last */
    store_close(serve->store); /* its threads may still be waking a loop */
    serve_audit_close(serve);
    net_server_free(serve->server);
    alloc_free(serve->pulses);
    serve_listeners_free(serve);
    serve_given_close(serve);
    http_engine_free(serve->engine);
    serve_limits_free(serve);
    serve_behind_free(serve);
    serve_policy_free(serve->policy);
    serve_monitor_free(serve);
    serve_keeper_free(serve);
    ledger_free(serve->ledger);
    serve_oauth_stop(serve);
    auth_free(serve->auth);
    crypto_keyset_free(serve->keys);
    crypto_key_free(serve->key);
    trail_misfits_tell(NULL, NULL);
    log_close(serve->logger);
    trail_count_stop();
    metrics_free(serve->metrics);
    serve_audit_free(serve);
    PC_ASSERT(pthread_mutex_destroy(&serve->change) == 0);
    alloc_free(serve);
}
