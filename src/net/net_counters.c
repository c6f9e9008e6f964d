/* SPDX-License-Identifier: MIT
 * What the network counts, for /metrics. */
#include <errno.h>

#include "base/reason.h"
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

static const struct metric_def links = {.name = "portcullis_net_upstream_connections_total",
                                        .help = "Connections opened to upstreams.",
                                        .kind = METRIC_COUNTER};
static const struct metric_def links_open = {.name = "portcullis_net_upstream_connections_open",
                                             .help = "Connections open to upstreams now.",
                                             .kind = METRIC_GAUGE};
static const struct metric_def links_failed = {.name = "portcullis_net_upstream_failures_total",
                                               .help = "Connections to upstreams that failed.",
                                               .kind = METRIC_COUNTER,
                                               .labels = {"reason"}};
static const enum reason kinds[NET_LINK_KINDS] = {
    [NET_LINK_REFUSED] = REASON_LINK_REFUSED, [NET_LINK_UNREACHABLE] = REASON_LINK_UNREACHABLE,
    [NET_LINK_TIMEOUT] = REASON_LINK_TIMEOUT, [NET_LINK_TLS] = REASON_LINK_TLS,
    [NET_LINK_RESET] = REASON_LINK_RESET,     [NET_LINK_FILES] = REASON_LINK_FILES,
    [NET_LINK_MEMORY] = REASON_LINK_MEMORY,
};

static const struct metric_def http2 = {.name = "portcullis_net_http2_connections_total",
                                        .help = "Connections that speak HTTP/2.",
                                        .kind = METRIC_COUNTER};
static const struct metric_def floods = {.name = "portcullis_net_http2_floods_total",
                                         .help = "HTTP/2 connections closed for a flood.",
                                         .kind = METRIC_COUNTER,
                                         .labels = {"kind"}};

/* What a reader of requests can find wrong. */
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
        {&accepted, NULL, &c->accepted},
        {&open_now, NULL, &c->open},
        {&refused, reason_code(REASON_CONNECTIONS), &c->refused_total},
        {&refused, reason_code(REASON_ADDRESS), &c->refused_ip},
        {&refused, reason_code(REASON_FILES), &c->refused_files},
        {&refused, reason_code(REASON_PROXIED), &c->refused_proxied},
        {&bytes, "in", &c->bytes_in},
        {&bytes, "out", &c->bytes_out},
        {&handshakes, "done", &c->tls_done},
        {&handshakes, "failed", &c->tls_failed},
        {&timeouts, NULL, &c->timeouts},
        {&links, NULL, &c->links},
        {&links_open, NULL, &c->links_open},
        {&http2, NULL, &c->http2},
    };
    enum err err = ERR_OK;

    for (size_t i = 0; i < PC_COUNT(rows) && err == ERR_OK; i++)
        err = row_init(metrics, &rows[i]);
    for (size_t i = 0; i < NET_LINK_KINDS && err == ERR_OK; i++) {
        struct row row = {&links_failed, reason_code(kinds[i]), &c->links_failed[i]};

        err = row_init(metrics, &row);
    }
    for (size_t i = 0; i < PC_COUNT(reasons) && err == ERR_OK; i++) {
        struct row row = {&malformed, err_slug(reasons[i]), &c->malformed[reasons[i]]};

        err = row_init(metrics, &row);
    }
    for (size_t i = 0; i < NET_HTTP2_FLOOD_COUNT && err == ERR_OK; i++) {
        struct row row = {&floods, net_http2_flood_name((enum net_http2_flood)i), &c->floods[i]};

        err = row_init(metrics, &row);
    }
    return err;
}

static enum net_link_kind kind_before_open(int error)
{
    switch (error) {
    case ECONNREFUSED:
    case ECONNRESET:
    case ENOENT: /* of a path */
    case EAGAIN: /* its backlog is full */
        return NET_LINK_REFUSED;
    case ETIMEDOUT:
        return NET_LINK_TIMEOUT;
    default:
        return NET_LINK_UNREACHABLE;
    }
}

void net_counters_link_lost(struct net_counters *counters, enum net_link_kind where, enum err err,
                            int error)
{
    enum net_link_kind kind;

    if (err == ERR_IO)
        kind = where == NET_LINK_UNREACHABLE ? kind_before_open(error) : where;
    else if (err == ERR_REQUEST_TIMEOUT)
        kind = NET_LINK_TIMEOUT;
    else if (err == ERR_NO_MEMORY)
        kind = NET_LINK_MEMORY;
    else
        return; /* the peer closed in order, or we are stopping */
    metric_add(counters->links_failed[kind], 1);
}
