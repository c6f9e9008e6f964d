/* SPDX-License-Identifier: MIT
 * The service itself: made at start, and who asks it. */
#include "monitor/monitor.h"

#include <string.h>

#include "base/alloc.h"
#include "monitor/monitor_priv.h"

static const struct metric_def received_def = {.name = "monitoring_alerts_received_total",
                                               .help = "Alerts that the webhook was told.",
                                               .kind = METRIC_COUNTER,
                                               .labels = {"status"}};
static const struct metric_def skipped_def = {
    .name = "monitoring_alerts_skipped_total",
    .help = "Alerts of notifications that are not kept: invalid, more than are taken, or left out "
            "by the sender.",
    .kind = METRIC_COUNTER,
    .labels = {"reason"}};

static enum err count_on(struct monitor *monitor)
{
    static const struct span statuses[] = {SPAN("resolved"), SPAN("firing")};
    static const struct span reasons[MONITOR_SKIPPED_COUNT] = {
        [MONITOR_SKIPPED_INVALID] = SPAN("invalid"),
        [MONITOR_SKIPPED_EXCESS] = SPAN("excess"),
        [MONITOR_SKIPPED_TRUNCATED] = SPAN("truncated")};
    struct metric *metric;
    enum err err = metric_register(monitor->options.metrics, &received_def, &metric);

    for (size_t i = 0; !err && i < PC_COUNT(statuses); i++)
        monitor->received[i] = metric_series(metric, &statuses[i], 1);
    if (!err)
        err = metric_register(monitor->options.metrics, &skipped_def, &metric);
    for (size_t i = 0; !err && i < PC_COUNT(reasons); i++)
        monitor->skipped[i] = metric_series(metric, &reasons[i], 1);
    return err;
}

enum err monitor_new(const struct monitor_options *options, struct monitor **ret_monitor)
{
    struct span token = options->webhook_token;
    struct monitor *monitor;
    enum err err;

    if (token.len > 0 && token.len < MONITOR_TOKEN_BYTES_MIN)
        return ERR_CONFIG;
    monitor = alloc_zero(sizeof(*monitor));
    if (monitor == NULL)
        return ERR_NO_MEMORY;
    monitor->options = *options;
    monitor->options.webhook_token = (struct span){0};
    monitor->takes_token = token.len > 0;
    if (monitor->takes_token)
        crypto_sha256(token, monitor->token_hash);
    err = count_on(monitor);
    if (!err)
        err = monitor_inner_new(options->logger, options->metrics, &monitor->inner);
    if (!err)
        err = monitor_watch_new(options, monitor->inner, &monitor->watch);
    if (err) {
        monitor_free(monitor);
        return err;
    }
    *ret_monitor = monitor;
    return ERR_OK;
}

void monitor_free(struct monitor *monitor)
{
    if (monitor == NULL)
        return;
    monitor_watch_free(monitor->watch);
    monitor_inner_free(monitor->inner);
    alloc_free(monitor);
}

enum err monitor_start(struct monitor *monitor)
{
    return monitor_watch_start(monitor->watch);
}

void monitor_stop(struct monitor *monitor)
{
    if (monitor != NULL)
        monitor_watch_stop(monitor->watch);
}

void monitor_configuration(struct monitor *monitor, struct span hash)
{
    monitor_watch_configuration(monitor->watch, hash);
}

struct monitor_who monitor_who_of(const struct http_request *req, char room[MONITOR_WHO_BYTES_MAX])
{
    const struct http_principal *principal = req->principal;
    struct sbuf shown = sbuf_over(room, MONITOR_WHO_BYTES_MAX);
    struct monitor_who who = {.kind = TRAIL_ACTOR_CLIENT,
                              .actor = principal->client_id,
                              .client_id = principal->client_id,
                              .address = req->address,
                              .request_id = req->request_id};
    size_t kind_bytes;

    if (principal->user_id != 0) {
        sbuf_add_lit(&shown, "user:");
        kind_bytes = shown.len;
        sbuf_add_i64(&shown, principal->user_id);
        who.kind = TRAIL_ACTOR_USER;
        who.actor = span_slice(sbuf_span(&shown), kind_bytes, shown.len);
    } else {
        sbuf_add_lit(&shown, "client:");
        sbuf_add(&shown, span_slice(principal->client_id, 0, MONITOR_WHO_BYTES_MAX - shown.len));
    }
    who.shown = sbuf_span(&shown);
    return who;
}
