/* SPDX-License-Identifier: MIT
 * What the files of monitor/ share. */
#ifndef PC_MONITOR_MONITOR_PRIV_H
#define PC_MONITOR_MONITOR_PRIV_H

#include "crypto/digest.h"
#include "http/http_page.h"
#include "monitor/monitor.h"
#include "monitor/monitor_alert.h"
#include "monitor/monitor_inner.h"
#include "monitor/monitor_watch.h"

/* Why an alert of a notification is not kept. */
enum monitor_skipped {
    MONITOR_SKIPPED_INVALID,   /* it is none */
    MONITOR_SKIPPED_EXCESS,    /* it stands behind as many as are taken */
    MONITOR_SKIPPED_TRUNCATED, /* the sender left it out */
    MONITOR_SKIPPED_COUNT
};

struct monitor {
    struct monitor_options options;
    bool takes_token;                              /* a static one, at the webhook */
    unsigned char token_hash[CRYPTO_SHA256_BYTES]; /* of it */
    struct monitor_inner *inner;
    struct monitor_watch *watch;
    struct metric_series *received[2]; /* alerts told by the webhook: [firing] */
    struct metric_series *skipped[MONITOR_SKIPPED_COUNT];
};

/* Who asks, in words that are kept; `shown` lies in `room`. */
struct monitor_who monitor_who_of(const struct http_request *req, char room[MONITOR_WHO_BYTES_MAX]);

/* monitor_webhook.c */
extern const struct json_schema monitor_received_schema;
http_handler_fn monitor_webhook;
http_bearer_fn monitor_webhook_bearer;

/* monitor_alert_http.c */
extern const struct json_schema monitor_alert_schema;
extern const struct json_schema monitor_alert_whole_schema; /* with its history */
extern const struct json_schema monitor_alerts_input_schema;
extern const struct json_schema monitor_alert_input_schema;
extern const struct json_schema monitor_note_schema;
http_handler_fn monitor_alerts_list;
http_handler_fn monitor_alert_show;
http_handler_fn monitor_alert_take;
http_handler_fn monitor_alert_close;
http_handler_fn monitor_status;

#endif
