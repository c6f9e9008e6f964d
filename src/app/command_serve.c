/* SPDX-License-Identifier: MIT
 * `portcullis serve`: runs until a signal. SIGTERM and SIGINT drain and leave, SIGHUP takes over
 * what may change and opens the log again. */
#include "app/command.h"

#include <pthread.h>
#include <string.h>

#include "app/serve.h"
#include "app/supervisor.h"
#include "base/alloc.h"
#include "crypto/vault.h"
#include "json/json_writer.h"
#include "net/net.h"
#include "net/net_signal.h"

static command_run_fn serve_run;

static const struct command_option options[] = {
    COMMAND_CONFIG_OPTION,
    {.name = "--only",
     .value = "LIST",
     .about = "Serve only these, e.g. gateway,auth",
     .kind = COMMAND_VALUE_TEXT},
};

static const struct command_example examples[] = {
    {"serve", "Start from nothing: an embedded store and keys under ./data, port 8000 and up."},
    {"serve --only auth", "The auth service alone, beside a gateway on another machine."},
    {"serve --only gateway", "The gateway alone; gateway.behind says where the others are."},
    {"serve --config /etc/portcullis.yaml", "Run a deployment."},
};

const struct command command_serve = {
    .name = "serve",
    .about = "Run the gateway and the services behind it",
    .help = "Reads the settings, opens the store, applies migrations, makes what is missing and\n"
            "answers requests until SIGTERM or SIGINT, which let requests in flight finish.\n"
            "SIGHUP reads the settings again (upstreams, routes, limits, CORS, proxies,\n"
            "certificates) without dropping a request, and opens the log file again; `portcullis\n"
            "reload` does the same and tells what changed. A first start in development makes\n"
            "users and clients and prints them once.",
    .options = options,
    .option_count = PC_COUNT(options),
    .examples = examples,
    .example_count = PC_COUNT(examples),
    .run = serve_run,
};

static void settings_free(void *context)
{
    struct command_settings *settings = context;

    if (settings == NULL)
        return;
    command_settings_free(settings);
    alloc_free(settings);
}

/* Where each service is. The pages are told last: when they are there, all is. */
static void greet(const struct command_call *call, const struct config *config,
                  const struct serve *serve)
{
    static const char *const pages[CONFIG_SERVICE_COUNT] = {
        [CONFIG_GATEWAY] = "/api/docs", [CONFIG_AUTH] = "/docs",  [CONFIG_ACCOUNT] = "/docs",
        [CONFIG_TRANSACTION] = "/docs", [CONFIG_AUDIT] = "/docs", [CONFIG_MONITORING] = "/docs"};

    (void)fprintf(call->io->err, "portcullis %s answers on\n", command_version_number());
    for (enum config_service i = 0; i < CONFIG_SERVICE_COUNT; i++) {
        const struct config_listener *listener = &config->listeners[i];
        char text[512];
        struct sbuf url = sbuf_over(text, sizeof(text));

        if (!serve_serves(serve, i))
            continue;
        config_listener_url(listener, listener->host, serve_port(serve, i), &url);
        (void)fprintf(call->io->err, "  %-11s %.*s  API pages: %.*s%s\n", config_service_name(i),
                      SPAN_ARG(sbuf_span(&url)), SPAN_ARG(sbuf_span(&url)), pages[i]);
    }
    if (serve_seeded(serve) > 0)
        (void)fprintf(call->io->err,
                      "  First start in development: these users were made (printed only now)\n"
                      "    admin@example.com    admin123   administrator, role auditor\n"
                      "    user@example.com     user123\n"
                      "    analyst@example.com  P@ssw0rd!  role payments\n");
    if (serve_clients_seeded(serve) > 0)
        (void)fprintf(call->io->err,
                      "  and these clients of the auth service, with the secret change-me\n"
                      "    web-portal  payments-gateway  risk-engine  alertmanager\n"
                      "    api-docs, console: the API pages and the console, without a secret\n");
    (void)fflush(call->io->err);
}

static void tell_waiting(const struct command_call *call, const struct config *running,
                         const struct config *wanted)
{
    char names[2048];
    struct sbuf out = sbuf_over(names, sizeof(names));

    if (config_needs_restart(running, wanted, &out))
        command_tell(call, "these settings changed but wait for the next start: %.*s",
                     SPAN_ARG(sbuf_span(&out)));
}

/* No line holds a secret. */
static struct span first_problem(const struct config_problems *problems)
{
    for (size_t i = 0; i < problems->count; i++) {
        if (!problems->list[i].warning)
            return problems->list[i].line;
    }
    return (struct span){0};
}

/* The program that runs, and the settings that it was started with. Reloads are asked for by SIGHUP
 * and by operators, from two threads. */
enum { LOOK_MS = 5000 }; /* whether the process that keeps the keys is there */

struct running {
    const struct command_call *call;
    unsigned services;
    const struct config *config, *now;
    struct serve *serve;
    struct supervisor manager;
    pthread_mutex_t lock;
};

static void add_difference(void *context, const struct config_differs *difference)
{
    struct json_writer *w = context;
    char text[2048];
    struct sbuf line = sbuf_over(text, sizeof(text));

    config_differs_line(difference, &line);
    json_text(w, sbuf_span(&line));
}

static void answer_changed(const struct config *before, const struct config *now,
                           struct sbuf *answer)
{
    struct json_writer w = json_writer_on(answer);
    char hash[CONFIG_HASH_BYTES];

    config_hash(now, hash);
    json_begin_object(&w);
    json_add_bool(&w, "reloaded", true);
    json_add_text(&w, "hash", span_make(hash, sizeof(hash)));
    json_key(&w, "changes");
    json_begin_list(&w);
    config_differences(before, now, add_difference, &w);
    json_end_list(&w);
    json_end_object(&w);
}

static void answer_errors(const struct config_problems *problems, struct span fault,
                          struct sbuf *answer)
{
    struct json_writer w = json_writer_on(answer);

    json_begin_object(&w);
    json_add_bool(&w, "reloaded", false);
    json_key(&w, "errors");
    json_begin_list(&w);
    for (size_t i = 0; i < problems->count; i++)
        if (!problems->list[i].warning)
            json_text(&w, problems->list[i].line);
    if (fault.len > 0)
        json_text(&w, fault);
    json_end_list(&w);
    json_end_object(&w);
}

#define SERVING "READY=1\nSTATUS=Serving."

static bool take_over(struct running *running, struct command_settings *next, struct sbuf *answer)
{
    const struct command_call *call = running->call;
    const struct serve_settings settings = {
        .config = &next->config, .over = settings_free, .context = next};
    struct serve_fault fault = {{0}};

    if (command_settings_load_for(call, false, running->services, next) != COMMAND_GOOD) {
        serve_not_reloaded(running->serve, first_problem(&next->problems));
        command_tell(call, "the former settings stay in force");
        answer_errors(&next->problems, (struct span){0}, answer);
        return false;
    }
    /* What is in force stays so until serve_reload returns, and may be gone then. */
    answer_changed(running->now, &next->config, answer);
    if (serve_reload(running->serve, &settings, &fault) != ERR_OK) {
        command_tell(call, "%s; the former settings stay in force", fault.text);
        sbuf_truncate(answer, 0);
        answer_errors(&next->problems, span_from(fault.text), answer);
        return false;
    }
    running->now = &next->config;
    tell_waiting(call, running->config, &next->config);
    return true;
}

static bool reload(void *context, struct sbuf *answer)
{
    struct running *running = context;
    struct command_settings *next = alloc_zero(sizeof(*next));
    bool good;

    if (next == NULL) {
        sbuf_add_lit(answer, "{\"reloaded\":false,\"errors\":[\"out of memory\"]}");
        return false;
    }
    PC_ASSERT(pthread_mutex_lock(&running->lock) == 0);
    supervisor_tell_reloading(&running->manager);
    good = take_over(running, next, answer);
    supervisor_tell(&running->manager,
                    good ? SERVING : "READY=1\nSTATUS=Serving; the last reload was refused.");
    PC_ASSERT(pthread_mutex_unlock(&running->lock) == 0);
    if (!good)
        settings_free(next);
    return good;
}

static void reload_by_signal(struct running *running)
{
    struct sbuf nowhere = {0}; /* all of it is told and logged */

    (void)reload(running, &nowhere);
}

/* Balancers get time to see that this node leaves, until somebody hurries us. */
static void give_notice(struct running *running, uint32_t notice_s)
{
    int64_t end_ns = clock_monotonic_ns(&clock_system) + notice_s * CLOCK_NS_PER_S;

    if (notice_s == 0)
        return;
    serve_leave(running->serve);
    for (;;) {
        int64_t left_ms = (end_ns - clock_monotonic_ns(&clock_system)) / CLOCK_NS_PER_MS;

        if (left_ms <= 0 || net_signals_wait((int)left_ms) == NET_SIGNAL_STOP)
            return;
    }
}

static bool harden(const struct command_call *call, const struct serve_options *start)
{
    struct serve_fault fault = {{0}};
    struct serve_rights rights = {false};
    bool is_production = start->config->environment == CONFIG_PRODUCTION;

    if (serve_harden(start->config, start->services, &rights, &fault) != ERR_OK) {
        command_tell(call, "%s", fault.text);
        return false;
    }
    if (serve_vault_start(start, &fault) != ERR_OK) {
        command_tell(call, "%s", fault.text);
        return false;
    }
    if (rights.is_root && is_production)
        command_tell(call, "warning: this runs as root; name a user in process.user "
                           "(PORTCULLIS_USER), or start it as one");
    if (rights.swaps && is_production)
        command_tell(call, "warning: memory may be written to swap, since the limit of locked "
                           "memory is not infinite (LimitMEMLOCK=infinity, ulimit -l unlimited)");
    return true;
}

/* Told only while all loops turn: a manager that hears nothing starts the program again. */
static void beat(struct running *running)
{
    if (running->manager.beat_ms > 0 && serve_is_alive(running->serve))
        supervisor_tell(&running->manager, "WATCHDOG=1");
}

/* Without the process that keeps the keys nothing can be signed, and it cannot be had again: who
 * supervises this one starts both. */
static enum command_exit wait_for_end(struct running *running)
{
    const int32_t beat_ms = running->manager.beat_ms;
    const int32_t look_ms = crypto_vault_is_there() ? LOOK_MS : -1;

    for (;;) {
        enum net_signal told = net_signals_wait(beat_ms > 0 ? beat_ms : look_ms);

        beat(running);
        if (told == NET_SIGNAL_STOP)
            return COMMAND_GOOD;
        if (told == NET_SIGNAL_RELOAD)
            reload_by_signal(running);
        if (crypto_vault_is_lost()) {
            command_tell(running->call, "the process that keeps the keys has ended, or stands "
                                        "still; this ends, too");
            return COMMAND_BAD;
        }
    }
}

static enum command_exit run_until_told(const struct command_call *call, unsigned services,
                                        const struct command_settings *settings)
{
    struct running running = {.call = call,
                              .services = services,
                              .config = &settings->config,
                              .now = &settings->config,
                              .lock = PTHREAD_MUTEX_INITIALIZER};
    struct serve_options start = {.config = &settings->config,
                                  .origins = &settings->origins,
                                  .services = services,
                                  .version = command_version_number(),
                                  .reload = reload,
                                  .reload_context = &running,
                                  .lenient = true,
                                  .hardened = true};
    struct serve_fault fault;
    enum command_exit answer;
    const char *why = NULL;

    if (!supervisor_sockets(call->io->environ, &start.given_first, &start.given_count, &why)) {
        command_tell(call, "LISTEN_FDS %s", why);
        return COMMAND_BAD;
    }
    alloc_settle();
    net_signals_block();
    (void)net_raise_fd_limit();
    if (!harden(call, &start))
        return COMMAND_BAD;
    if (!supervisor_open(&running.manager, call->io->environ, &why))
        command_tell(call, "warning: NOTIFY_SOCKET %s; nobody is told", why);
    PC_ASSERT(pthread_mutex_lock(&running.lock) == 0); /* until there is something to reload */
    if (serve_start(&start, &running.serve, &fault) != ERR_OK) {
        command_tell(call, "%s", fault.text);
        crypto_vault_stop();
        supervisor_close(&running.manager);
        return COMMAND_BAD;
    }
    PC_ASSERT(pthread_mutex_unlock(&running.lock) == 0);
    greet(call, start.config, running.serve);
    supervisor_tell(&running.manager, SERVING);
    answer = wait_for_end(&running);
    supervisor_tell(&running.manager, "STOPPING=1\nSTATUS=Answering what is under way.");
    if (answer == COMMAND_GOOD)
        give_notice(&running, start.config->shutdown.notice_s);
    serve_stop(running.serve);
    crypto_vault_stop();
    supervisor_close(&running.manager);
    return answer;
}

static bool services_of(const struct command_call *call, unsigned *ret_services)
{
    const char *only = command_value(call, "--only");
    struct span wrong;

    *ret_services = CONFIG_SERVICES_ALL;
    if (only == NULL || config_services_read(span_from(only), ret_services, &wrong))
        return true;
    command_tell(call,
                 "--only: \"%.*s\" is none of gateway, auth, account, transaction, "
                 "audit, monitoring",
                 SPAN_ARG(wrong));
    return false;
}

static enum command_exit serve_run(const struct command_call *call)
{
    struct command_settings *settings;
    enum command_exit answer;
    unsigned services;

    if (!services_of(call, &services))
        return COMMAND_USAGE;
    settings = alloc_zero(sizeof(*settings));
    if (settings == NULL)
        return COMMAND_BAD;
    answer = command_settings_load_for(call, false, services, settings);
    if (answer == COMMAND_GOOD)
        answer = run_until_told(call, services, settings);
    settings_free(settings);
    return answer;
}
