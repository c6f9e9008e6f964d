/* SPDX-License-Identifier: MIT
 * A notification of Alertmanager as it comes, and an alert of it as it is kept.
 *
 * Threads: pure.    Memory: the arena's.    Units: nanoseconds since 1970. */
#ifndef PC_MONITOR_MONITOR_WEBHOOK_H
#define PC_MONITOR_MONITOR_WEBHOOK_H

#include "json/json_schema.h"
#include "monitor/monitor_alert.h"
#include "monitor/monitor_label.h"

struct monitor_webhook_alert {
    struct span status, labels, annotations, starts_at, ends_at, generator_url, fingerprint;
};

/* What is read past is here for the documents only. */
struct monitor_webhook_body {
    struct span version, status, group_key, receiver, external_url;
    struct span group_labels, common_labels, common_annotations;
    struct json_list alerts;
    int64_t truncated;
};

extern const struct json_schema monitor_webhook_schema;

/* The alert as it is kept: card data masked, long texts cut, in the order of its names.
 * ERR_VALIDATION with the member and the end of a sentence; ERR_NO_MEMORY. */
PC_CHECKED enum err monitor_webhook_read(const struct monitor_webhook_alert *alert, int64_t now_ns,
                                         struct arena *arena, struct monitor_told *ret_told,
                                         const char **reterr_member, const char **reterr_why);

/* Fills name, severity, labels, annotations and, where it is empty, the fingerprint. Both sets are
 * cleaned on the way. For alerts of our own, too. */
PC_CHECKED enum err monitor_told_fill(struct monitor_told *told, struct monitor_labels *labels,
                                      struct monitor_labels *annotations, struct arena *arena);

#endif
