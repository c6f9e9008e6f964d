/* SPDX-License-Identifier: MIT
 * What the network counts, for /metrics. */
#include "net/net_priv.h"

static const struct metric_def accepted = {.name = "portcullis_net_connections_total",
                                           .help = "Connections accepted.",
                                           .kind = METRIC_COUNTER};
static const struct metric_def open_now = {.name = "portcullis_net_connections_open",
                                           .help = "Connections open now.",
                                           .kind = METRIC_GAUGE};
static const struct metric_def refused = {.name = "portcullis_net_connections_refused_total",
                                          .help = "Connections closed at once.",
                                          .kind = METRIC_COUNTER,
                                          .labels = {"reason"}};
static const struct metric_def bytes = {.name = "portcullis_net_bytes_total",
                                        .help = "Bytes of requests and answers.",
                                        .kind = METRIC_COUNTER,
                                        .labels = {"direction"}};
static const struct metric_def handshakes = {.name = "portcullis_net_tls_handshakes_total",
                                             .help = "TLS handshakes.",
                                             .kind = METRIC_COUNTER,
                                             .labels = {"result"}};
static const struct metric_def malformed = {.name = "portcullis_net_requests_refused_total",
                                            .help = "Requests refused before routing.",
                                            .kind = METRIC_COUNTER,
                                            .labels = {"reason"}};
static const struct metric_def timeouts = {.name = "portcullis_net_timeouts_total",
                                           .help = "Connections that ran out of time.",
                                           .kind = METRIC_COUNTER};

/* What the HTTP/1.1 reader can find wrong. */
static const enum err reasons[] = {
    ERR_BAD_REQUEST,     ERR_BAD_FRAMING,     ERR_URI_TOO_LONG,       ERR_HEADERS_TOO_LARGE,
    ERR_VERSION_HTTP,    ERR_NOT_IMPLEMENTED, ERR_METHOD_NOT_ALLOWED, ERR_EXPECTATION,
    ERR_REQUEST_TIMEOUT, ERR_NO_MEMORY,
};

struct row {
    const struct metric_def *def;
    const char *value; /* of its label; NULL: it has none */
    struct metric_series **series;
};

static enum err row_init(struct metrics *metrics, const struct row *row)
{
    struct span value = span_from(row->value);
    struct metric *metric;
    enum err err = metric_register(metrics, row->def, &metric);

    if (err)
        return err;
    *row->series = metric_series(metric, &value, row->value != NULL ? 1 : 0);
    return ERR_OK;
}

enum err net_counters_init(struct net_counters *c, struct metrics *metrics)
{
    const struct row rows[] = {
        {&accepted, NULL, &c->accepted},         {&open_now, NULL, &c->open},
        {&refused, "total", &c->refused_total},  {&refused, "address", &c->refused_ip},
        {&refused, "files", &c->refused_files},  {&bytes, "in", &c->bytes_in},
        {&bytes, "out", &c->bytes_out},          {&handshakes, "done", &c->tls_done},
        {&handshakes, "failed", &c->tls_failed}, {&timeouts, NULL, &c->timeouts},
    };
    enum err err = ERR_OK;

    for (size_t i = 0; i < PC_COUNT(rows) && err == ERR_OK; i++)
        err = row_init(metrics, &rows[i]);
    for (size_t i = 0; i < PC_COUNT(reasons) && err == ERR_OK; i++) {
        struct row row = {&malformed, err_slug(reasons[i]), &c->malformed[reasons[i]]};

        err = row_init(metrics, &row);
    }
    return err;
}
