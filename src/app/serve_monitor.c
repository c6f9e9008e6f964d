/* SPDX-License-Identifier: MIT
 * The monitoring service of the running program: what this node is called, and the probes by which
 * its watcher sees what other folders own. */
#include "app/serve_priv.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/metric_read.h"
#include "trail/trail_pressure.h"

/* ---- probes: on the watcher's thread ----------------------------------------------------------
 */

static void look_at_services(void *context, struct monitor_report *report)
{
    const struct serve *serve = context;

    for (enum config_service i = 0; i < CONFIG_SERVICE_COUNT; i++) {
        struct serve_mounts mounts;
        char text[512];
        struct sbuf url = sbuf_over(text, sizeof(text));

        if (!serve_serves(serve, i))
            continue;
        config_listener_url(&serve->config->listeners[i], serve->listeners[i].address,
                            serve->listeners[i].port, &url);
        monitor_report_service(report,
                               span_from(serve_service_options(i, serve->version, &mounts).name),
                               sbuf_span(&url));
    }
}

static void look_at_queues(void *context, struct monitor_report *report)
{
    const struct serve *serve = context;
    const struct config *config = serve->config;

    monitor_report_queue(report, "hash", net_pool_length(serve->hash_pool),
                         config->workers.hash_queue_max);
    monitor_report_queue(report, "sign", net_pool_length(serve->sign_pool),
                         config->workers.sign_queue_max);
}

/* What ends is known to the metrics, which are safe to read while a reload changes it. */
struct expiries {
    struct monitor_report *report;
    const char *kind, *label, *prefix;
};

static void see_expiry(void *context, const struct metric_sample *sample)
{
    const struct expiries *expiries = context;
    struct span label = metric_sample_label(sample, expiries->label);
    char text[160];
    struct sbuf name = sbuf_over(text, sizeof(text));

    sbuf_add_text(&name, expiries->prefix);
    sbuf_add(&name, label);
    monitor_report_expiry(expiries->report, expiries->kind, sbuf_span(&name), sample->value);
}

static void look_at_expiries(void *context, struct monitor_report *report)
{
    const struct serve *serve = context;
    struct expiries certificates = {report, "certificate", "listener", "listener:"};
    struct expiries keys = {report, "key", "key", ""};

    metric_samples(serve->metrics, "portcullis_certificate_expiry_timestamp_seconds", see_expiry,
                   &certificates);
    metric_samples(serve->metrics, "portcullis_key_expiry_timestamp_seconds", see_expiry, &keys);
    monitor_report_expiry(report, "key", SPAN_OF("session"), 0);
    if (trail_keeper_key(serve->audit.keeper).len > 0)
        monitor_report_expiry(report, "key", SPAN_OF("audit"), 0);
}

/* "sqlite:/absolute/portcullis.db" to its log of writes; false: it has none to look at. */
static bool log_path(const struct serve *serve, char path[SERVE_PATH_BYTES])
{
    struct span shown = span_from(store_shown(serve->store));
    struct sbuf out = sbuf_over(path, SERVE_PATH_BYTES);
    struct span file = span_slice(shown, sizeof("sqlite:") - 1, shown.len);

    if (store_kind(serve->store) != STORE_SQLITE || !span_starts(shown, SPAN_OF("sqlite:")))
        return false;
    if (!span_starts(file, SPAN_OF("/")))
        sbuf_add_format(&out, "%s/", serve->config->data);
    sbuf_add(&out, file);
    sbuf_add_lit(&out, "-wal");
    sbuf_add_char(&out, '\0');
    return !out.full;
}

static void look_at_disk(void *context, struct monitor_report *report)
{
    const struct serve *serve = context;
    char path[SERVE_PATH_BYTES];
    struct statvfs disk;
    struct stat file;

    if (log_path(serve, path) && stat(path, &file) == 0) {
        report->store.log_bytes = (int64_t)file.st_size;
        report->store.has_log_bytes = true;
    }
    if (statvfs(serve->config->data, &disk) == 0) {
        report->store.free_bytes = (int64_t)(disk.f_bavail * disk.f_frsize);
        report->store.has_free_bytes = true;
    }
}

/* ---- the service ------------------------------------------------------------------------------
 */

/* The host and the first port: two nodes on one machine differ. */
static struct span node_name(const struct serve *serve, char room[MONITOR_NODE_BYTES_MAX + 1])
{
    struct sbuf out = sbuf_over(room, MONITOR_NODE_BYTES_MAX);
    char host[64] = "node";
    enum config_service first = 0;

    if (serve->config->monitor.node != NULL)
        return span_from(serve->config->monitor.node);
    (void)gethostname(host, sizeof(host) - 1);
    while (first + 1 < CONFIG_SERVICE_COUNT && !serve_serves(serve, first))
        first++;
    sbuf_add_format(&out, "%s:%u", host, (unsigned)serve->listeners[first].port);
    return sbuf_span(&out);
}

enum { SETTINGS_BYTES = CONFIG_HASH_BYTES + 8 };

/* "sha256:9f86d0…" */
static struct span settings_hash(const struct config *config, char room[SETTINGS_BYTES])
{
    struct sbuf out = sbuf_over(room, SETTINGS_BYTES);
    char hex[CONFIG_HASH_BYTES];

    config_hash(config, hex);
    sbuf_add_lit(&out, "sha256:");
    sbuf_add_bytes(&out, hex, sizeof(hex));
    return sbuf_span(&out);
}

void serve_monitor_settings(struct serve *serve, const struct config *config)
{
    char room[SETTINGS_BYTES];

    monitor_configuration(serve->monitor, settings_hash(config, room));
}

static void fill_probes(struct serve *serve)
{
    static monitor_probe_fn *const looks[] = {look_at_services, look_at_queues,
                                              look_at_expiries, look_at_disk,
                                              serve_audit_look, serve_limits_look};

    _Static_assert(PC_COUNT(looks) <= PC_COUNT(serve->probes), "a place for each probe");
    for (size_t i = 0; i < PC_COUNT(looks); i++)
        serve->probes[serve->probe_count++] =
            (struct monitor_probe){.look = looks[i], .context = serve};
}

enum err serve_monitor_start(struct serve *serve, struct serve_fault *fault)
{
    const struct config *config = serve->config;
    char node[MONITOR_NODE_BYTES_MAX + 1];
    char hash[SETTINGS_BYTES];
    struct monitor_options options = {.store = serve->store,
                                      .clock = serve->clock,
                                      .logger = serve->logger,
                                      .metrics = serve->metrics,
                                      .webhook_token = span_from(config->monitor.webhook_token),
                                      .node = node_name(serve, node),
                                      .version = span_from(serve->version),
                                      .configuration = settings_hash(config, hash),
                                      .keep_days = config->monitor.keep_days,
                                      .stale_after_s = config->monitor.stale_after_s,
                                      .store_queue_max = config->workers.store_queue_max,
                                      .probes = serve->probes};
    enum err err;

    fill_probes(serve);
    options.probe_count = serve->probe_count;
    err = monitor_new(&options, &serve->monitor);
    return err ? serve_fail(fault, err, "monitoring cannot be set up: %s", err_sentence(err))
               : ERR_OK;
}

/* When everything that the probes look at is there. */
enum err serve_monitor_watch(struct serve *serve)
{
    return monitor_start(serve->monitor);
}

void serve_monitor_stop(struct serve *serve)
{
    monitor_stop(serve->monitor);
}

void serve_monitor_free(struct serve *serve)
{
    monitor_free(serve->monitor);
    serve->monitor = NULL;
}
