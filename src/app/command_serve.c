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
     .about = "Run only these listeners, e.g. gateway",
     .kind = COMMAND_VALUE_TEXT},
};

static const struct command_example examples[] = {
    {"serve", "Start from nothing: an embedded store and keys under ./data, port 8000."},
    {"serve --config /etc/portcullis.yaml", "Run a deployment."},
};

const struct command command_serve = {
    .name = "serve",
    .about = "Run the gateway",
    .help = "Reads the settings, opens the store, applies migrations, makes what is missing and\n"
            "answers requests until SIGTERM or SIGINT, which let requests in flight finish.\n"
            "SIGHUP reads the settings again (limits, CORS, proxies, certificates) without\n"
            "dropping a request, and opens the log file again. A first start in development makes\n"
            "three users and prints them once.",
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

static void greet(const struct command_call *call, const struct config *config,
                  const struct serve *serve)
{
    bool bare = strchr(config->gateway.host, ':') != NULL; /* RFC 3986, 3.2.2 */
    char url[512];
    struct sbuf out = sbuf_over(url, sizeof(url));

    sbuf_add_format(&out, "%s://%s%s%s:%u", config->gateway.certificate ? "https" : "http",
                    bare ? "[" : "", config->gateway.host, bare ? "]" : "", serve_port(serve));
    (void)fprintf(call->io->err,
                  "portcullis %s: the gateway answers on %.*s\n"
                  "  API pages: %.*s/api/docs\n",
                  command_version_number(), SPAN_ARG(sbuf_span(&out)), SPAN_ARG(sbuf_span(&out)));
    if (serve_seeded(serve) > 0)
        (void)fprintf(call->io->err,
                      "  First start in development: these users were made (printed only now)\n"
                      "    admin@example.com    admin123   administrator\n"
                      "    user@example.com     user123\n"
                      "    analyst@example.com  P@ssw0rd!  role payments\n");
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

static void reload(const struct command_call *call, struct serve *serve, struct generation **newest)
{
    struct generation *next = alloc_zero(sizeof(*next));
    struct serve_fault fault;

    if (next == NULL)
        return;
    if (command_settings_load(call, false, &next->settings) != COMMAND_GOOD) {
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

static enum command_exit run_until_told(const struct command_call *call, struct generation **newest)
{
    const struct serve_options start = {.config = &(*newest)->settings.config,
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
            reload(call, serve, newest);
    }
    serve_stop(serve);
    return COMMAND_GOOD;
}

static enum command_exit serve_run(const struct command_call *call)
{
    const char *only = command_value(call, "--only");
    struct generation *newest;
    enum command_exit answer;

    if (only != NULL && strcmp(only, "gateway") != 0) {
        command_tell(call, "--only: \"%s\" is not a listener of this version; there is: gateway",
                     only);
        return COMMAND_USAGE;
    }
    newest = alloc_zero(sizeof(*newest));
    if (newest == NULL)
        return COMMAND_BAD;
    answer = command_settings_load(call, false, &newest->settings);
    if (answer == COMMAND_GOOD)
        answer = run_until_told(call, &newest);
    generations_free(newest);
    return answer;
}
