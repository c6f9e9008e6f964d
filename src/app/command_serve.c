/* SPDX-License-Identifier: MIT
 * `portcullis serve`: runs until a signal. SIGTERM and SIGINT drain and leave, SIGHUP takes over
 * what may change and opens the log again. */
#include "app/command.h"

#include <string.h>

#include "app/serve.h"
#include "base/alloc.h"
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
    {"serve --config /etc/portcullis.yaml", "Run a deployment."},
};

const struct command command_serve = {
    .name = "serve",
    .about = "Run the gateway and the services behind it",
    .help = "Reads the settings, opens the store, applies migrations, makes what is missing and\n"
            "answers requests until SIGTERM or SIGINT, which let requests in flight finish.\n"
            "SIGHUP reads the settings again (limits, CORS, proxies, certificates) without\n"
            "dropping a request, and opens the log file again. A first start in development makes\n"
            "users and clients and prints them once.",
    .options = options,
    .option_count = PC_COUNT(options),
    .examples = examples,
    .example_count = PC_COUNT(examples),
    .run = serve_run,
};

/* Settings of earlier reloads stay until the end: what runs may still point into them. */
struct generation {
    struct command_settings settings;
    struct generation *older;
};

static void generations_free(struct generation *generation)
{
    while (generation != NULL) {
        struct generation *older = generation->older;

        command_settings_free(&generation->settings);
        alloc_free(generation);
        generation = older;
    }
}

/* Where each service is. The pages are told last: when they are there, all is. */
static void greet(const struct command_call *call, const struct config *config,
                  const struct serve *serve)
{
    static const char *const pages[CONFIG_SERVICE_COUNT] = {[CONFIG_GATEWAY] = "/api/docs",
                                                            [CONFIG_AUTH] = "/docs",
                                                            [CONFIG_ACCOUNT] = "/docs",
                                                            [CONFIG_TRANSACTION] = "/docs"};

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
                      "    admin@example.com    admin123   administrator\n"
                      "    user@example.com     user123\n"
                      "    analyst@example.com  P@ssw0rd!  role payments\n");
    if (serve_clients_seeded(serve) > 0)
        (void)fprintf(call->io->err,
                      "  and these clients of the auth service, with the secret change-me\n"
                      "    web-portal  payments-gateway  risk-engine  alertmanager\n"
                      "    api-docs: the API pages, without a secret\n");
    (void)fflush(call->io->err);
}

/* The generation that the program was started with. */
static const struct generation *first_of(const struct generation *newest)
{
    while (newest->older != NULL)
        newest = newest->older;
    return newest;
}

static void tell_waiting(const struct command_call *call, const struct generation *running,
                         const struct generation *wanted)
{
    char names[2048];
    struct sbuf out = sbuf_over(names, sizeof(names));

    if (config_needs_restart(&running->settings.config, &wanted->settings.config, &out))
        command_tell(call, "these settings changed but wait for the next start: %.*s",
                     SPAN_ARG(sbuf_span(&out)));
}

static void reload(const struct command_call *call, unsigned services, struct serve *serve,
                   struct generation **newest)
{
    struct generation *next = alloc_zero(sizeof(*next));
    struct serve_fault fault;

    if (next == NULL)
        return;
    if (command_settings_load_for(call, false, services, &next->settings) != COMMAND_GOOD) {
        command_tell(call, "the former settings stay in force");
        generations_free(next);
        return;
    }
    if (serve_reload(serve, &next->settings.config, &fault) != ERR_OK) {
        command_tell(call, "%s; the former settings stay in force", fault.text);
        generations_free(next);
        return;
    }
    next->older = *newest;
    *newest = next;
    tell_waiting(call, first_of(next), next);
}

static enum command_exit run_until_told(const struct command_call *call, unsigned services,
                                        struct generation **newest)
{
    const struct serve_options start = {.config = &(*newest)->settings.config,
                                        .services = services,
                                        .version = command_version_number()};
    struct serve_fault fault;
    struct serve *serve;
    enum net_signal told;

    alloc_settle();
    net_signals_block();
    (void)net_raise_fd_limit();
    if (serve_start(&start, &serve, &fault) != ERR_OK) {
        command_tell(call, "%s", fault.text);
        return COMMAND_BAD;
    }
    greet(call, start.config, serve);
    while ((told = net_signals_wait(-1)) != NET_SIGNAL_STOP) {
        if (told == NET_SIGNAL_RELOAD)
            reload(call, services, serve, newest);
    }
    serve_stop(serve);
    return COMMAND_GOOD;
}

static bool services_of(const struct command_call *call, unsigned *ret_services)
{
    const char *only = command_value(call, "--only");
    struct span wrong;

    *ret_services = CONFIG_SERVICES_ALL;
    if (only == NULL || config_services_read(span_from(only), ret_services, &wrong))
        return true;
    command_tell(call, "--only: \"%.*s\" is none of gateway, auth, account, transaction",
                 SPAN_ARG(wrong));
    return false;
}

static enum command_exit serve_run(const struct command_call *call)
{
    struct generation *newest;
    enum command_exit answer;
    unsigned services;

    if (!services_of(call, &services))
        return COMMAND_USAGE;
    newest = alloc_zero(sizeof(*newest));
    if (newest == NULL)
        return COMMAND_BAD;
    answer = command_settings_load_for(call, false, services, &newest->settings);
    if (answer == COMMAND_GOOD)
        answer = run_until_told(call, services, &newest);
    generations_free(newest);
    return answer;
}
