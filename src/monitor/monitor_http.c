/* SPDX-License-Identifier: MIT
 * The routes of the monitoring service. */
#include "monitor/monitor_priv.h"
#include "monitor/monitor_webhook.h"

/* There is nothing to tell before the first look, a moment behind the start. */
enum err monitor_status(struct http_request *req)
{
    const struct monitor *monitor = http_context(req);
    struct span json;
    enum err err = monitor_watch_status(monitor->watch, req->arena, &json);

    if (err == ERR_AGAIN)
        return ERR_BUSY;
    return err ? err : http_reply_text(req, 200, "application/json", json);
}

/* A notification that is turned away for its number would be lost: it is not sent again. */
enum { WEBHOOK_PER_MINUTE = 1200, WEBHOOK_BYTES_MAX = 1024 * 1024, NOTE_BYTES_MAX = 8192 };

/* What an operator does about an alert: with a note, and the alert is the answer. */
#define STEP                                                                                       \
    .method = NET_METHOD_POST, .access = HTTP_ACCESS_BEARER, .scopes = "monitoring:write",         \
    .data = HTTP_DATA_INTERNAL, .input = &monitor_alert_input_schema,                              \
    .body = &monitor_note_schema, .body_bytes_max = NOTE_BYTES_MAX,                                \
    .reply = &monitor_alert_whole_schema, .run = HTTP_RUN_WRITE, .tag = "Alerts",                  \
    .errors = {ERR_NOT_FOUND, ERR_CONFLICT}

const struct http_route monitor_read_routes[] = {
    {.method = NET_METHOD_GET,
     .path = "/alerts",
     .access = HTTP_ACCESS_BEARER,
     .scopes = "monitoring:read",
     .data = HTTP_DATA_INTERNAL,
     .input = &monitor_alerts_input_schema,
     .reply = &monitor_alert_schema,
     .reply_is_list = true,
     .run = HTTP_RUN_READ,
     .handle = monitor_alerts_list,
     .id = "alerts_list",
     .tag = "Alerts",
     .summary = "Alerts, the newest first",
     .about =
         "Those that Alertmanager told of and those that the program found in itself. The "
         "`Link` header leads to the next page, which also begins early when alerts are long."},
    {.method = NET_METHOD_GET,
     .path = "/alerts/{id}",
     .access = HTTP_ACCESS_BEARER,
     .scopes = "monitoring:read",
     .data = HTTP_DATA_INTERNAL,
     .input = &monitor_alert_input_schema,
     .reply = &monitor_alert_whole_schema,
     .run = HTTP_RUN_READ,
     .handle = monitor_alert_show,
     .id = "alerts_get",
     .tag = "Alerts",
     .summary = "An alert and what became of it",
     .errors = {ERR_NOT_FOUND}},
    {STEP, .path = "/alerts/{id}/acknowledge", .handle = monitor_alert_take,
     .id = "alerts_acknowledge", .summary = "Say that you look after an alert",
     .about = "Once, while it is firing."},
    {STEP, .path = "/alerts/{id}/resolve", .handle = monitor_alert_close, .id = "alerts_resolve",
     .summary = "Say that an alert is over",
     .about = "While it is firing. If its cause is not gone it is told again, and is a new alert."},
    {.method = NET_METHOD_GET,
     .path = "/monitoring/status",
     .access = HTTP_ACCESS_BEARER,
     .scopes = "monitoring:read",
     .data = HTTP_DATA_INTERNAL,
     .guard = HTTP_GUARD_NONE,
     .reply = &monitor_status_schema,
     .handle = monitor_status,
     .id = "monitoring_status",
     .tag = "Monitoring",
     .summary = "How every service of every node is",
     .about = "Any node tells of all: its own report as of a second ago, and the others' as they "
              "stored them. Answered from memory, also while the store is away.",
     .errors = {ERR_BUSY}},
    {.path = NULL},
};

const struct http_route monitor_write_routes[] = {
    {.method = NET_METHOD_POST,
     .path = "/alerts",
     .access = HTTP_ACCESS_BEARER,
     .scopes = "monitoring:write",
     .tokens = HTTP_TOKENS_ANY,
     .bearer = monitor_webhook_bearer,
     .per_minute = WEBHOOK_PER_MINUTE,
     .data = HTTP_DATA_INTERNAL,
     .body = &monitor_webhook_schema,
     .body_bytes_max = WEBHOOK_BYTES_MAX,
     .reply = &monitor_received_schema,
     .reply_status = 202,
     .handle = monitor_webhook,
     .id = "alerts_receive",
     .tag = "Alerts",
     .summary = "Alertmanager tells of alerts",
     .about = "A `webhook_config` of Alertmanager, data of version 4. 202 means stored. Takes a "
              "token with the scope, which Alertmanager gets by `oauth2` (client credentials), or "
              "the secret of the setting `monitoring.webhook_token` as a constant bearer. Alerts "
              "are known by their fingerprint: one is kept once while it is firing, however often "
              "it is told. An alert that cannot be kept is left out, counted and logged, and only "
              "when there is no other the answer is 422."},
    {.path = NULL},
};
