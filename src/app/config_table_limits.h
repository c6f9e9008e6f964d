/* SPDX-License-Identifier: MIT
 * The settings of limits that nodes share, and of several limits of a route. For the tables alone,
 * whose AT and RANGE stand in them. */
#ifndef PC_APP_CONFIG_TABLE_LIMITS_H
#define PC_APP_CONFIG_TABLE_LIMITS_H

#include "app/config_priv.h"

static const char *const limit_modes[] = {"off", "leased", "exact", NULL};
static const char *const limit_outages[] = {"local_share", "deny", "allow", NULL};

#define CONFIG_LIMITS_SHARED                                                                       \
    {.path = "limits.shared.mode",                                                                 \
     .type = CONFIG_CHOICE,                                                                        \
     AT(limits.shared.general.mode),                                                               \
     .choices = limit_modes,                                                                       \
     .choice_first = CONFIG_LIMIT_OFF,                                                             \
     .fallback = "off",                                                                            \
     .about = "Whether several gateways keep limits together, in Redis: asking for each request "  \
              "(exact), or taking some ahead (leased), so that at most one lease for each of "     \
              "them is admitted beyond the limit."},                                               \
        {.path = "limits.shared.on_outage",                                                        \
         .type = CONFIG_CHOICE,                                                                    \
         AT(limits.shared.general.on_outage),                                                      \
         .choices = limit_outages,                                                                 \
         .choice_first = CONFIG_OUTAGE_SHARE,                                                      \
         .fallback = "local_share",                                                                \
         .about = "While Redis is away: keep to this node's share of the limit, deny, or allow."}, \
        {.path = "limits.shared.nodes",                                                            \
         .type = CONFIG_NUMBER,                                                                    \
         AT(limits.shared.nodes),                                                                  \
         RANGE(1, 256),                                                                            \
         .example = "3",                                                                           \
         .about = "How many gateways share the limits; needed when any is shared."},               \
        {.path = "limits.shared.lease_percent",                                                    \
         .type = CONFIG_NUMBER,                                                                    \
         .unit = "percent",                                                                        \
         AT(limits.shared.lease_percent),                                                          \
         RANGE(1, 50),                                                                             \
         .fallback = "10",                                                                         \
         .about = "How much of a limit's burst one gateway takes ahead; each of its loop threads " \
                  "takes its part, at least one request."},                                        \
        {.path = "limits.shared.queue_max",                                                        \
         .type = CONFIG_NUMBER,                                                                    \
         AT(limits.shared.queue_max),                                                              \
         RANGE(1, 100000),                                                                         \
         .fallback = "1024",                                                                       \
         .about = "Requests of each loop thread that may wait for Redis; for one more it is "      \
                  "away."},                                                                        \
        {.path = "redis.url",                                                                      \
         .environ = {"REDIS_URL"},                                                                 \
         .type = CONFIG_TEXT,                                                                      \
         .form = CONFIG_REDIS,                                                                     \
         AT(redis.url),                                                                            \
         RANGE(1, 1024),                                                                           \
         .example = "rediss://redis.internal:6379/0",                                              \
         .about = "Where shared limits are kept: redis://[user:password@]host[:port][/database], " \
                  "or rediss:// over TLS. One server; no cluster."},                               \
        {.path = "redis.password",                                                                 \
         .environ = {"REDIS_PASSWORD"},                                                            \
         .type = CONFIG_TEXT,                                                                      \
         AT(redis.password),                                                                       \
         RANGE(1, 1024),                                                                           \
         .secret = true,                                                                           \
         .about = "Its password, unless that stands in the URL."},                                 \
        {.path = "redis.password_file",                                                            \
         .environ = {"REDIS_PASSWORD_FILE"},                                                       \
         .type = CONFIG_TEXT,                                                                      \
         AT(redis.password_file),                                                                  \
         PATH_RANGE,                                                                               \
         .file = true,                                                                             \
         .file_secret = true,                                                                      \
         .example = "/etc/portcullis/redis.secret",                                                \
         .about = "File whose first line is that password."},                                      \
        {.path = "redis.ca",                                                                       \
         .type = CONFIG_TEXT,                                                                      \
         AT(redis.ca),                                                                             \
         PATH_RANGE,                                                                               \
         .file = true,                                                                             \
         .example = "/etc/portcullis/tls/redis-ca.pem",                                            \
         .about = "PEM bundle that its certificate is checked against; the system's when left "    \
                  "out. Only with rediss://."},                                                    \
        {.path = "redis.connect_timeout_ms",                                                       \
         .type = CONFIG_NUMBER,                                                                    \
         .unit = "milliseconds",                                                                   \
         AT(redis.connect_timeout_ms),                                                             \
         RANGE(10, 60000),                                                                         \
         .fallback = "1000",                                                                       \
         .about = "Until a connection to it is ready."},                                           \
    {                                                                                              \
        .path = "redis.timeout_ms", .type = CONFIG_NUMBER, .unit = "milliseconds",                 \
        AT(redis.timeout_ms), RANGE(1, 1000), .fallback = "50",                                    \
        .about = "How long its answer may take before it counts as away."                          \
    }

/* How a route's own limit is shared; `place` is AT(...) of its struct config_sharing. */
#define CONFIG_ROUTE_SHARING(prefix, mode_at, outage_at)                                           \
    {.path = prefix "mode",                                                                        \
     .type = CONFIG_CHOICE,                                                                        \
     mode_at,                                                                                      \
     .choices = limit_modes,                                                                       \
     .choice_first = CONFIG_LIMIT_OFF,                                                             \
     .about = "As limits.shared.mode, for this route alone."},                                     \
    {                                                                                              \
        .path = prefix "on_outage", .type = CONFIG_CHOICE, outage_at, .choices = limit_outages,    \
        .choice_first = CONFIG_OUTAGE_SHARE,                                                       \
        .about = "As limits.shared.on_outage, for this route alone."                               \
    }

#endif
