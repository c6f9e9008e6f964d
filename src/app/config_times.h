/* SPDX-License-Identifier: MIT
 * What stands in `timeouts` of a route, and of an upstream's slow start: rows of
 * config_table_proxy.c. For the configuration alone. */
#ifndef PC_APP_CONFIG_TIMES_H
#define PC_APP_CONFIG_TIMES_H

#include "app/config_priv.h"

enum { CONFIG_TIMES_MEMBER_COUNT = 5 };

#define CONFIG_TIMES_MS(member)                                                                    \
    .type = CONFIG_NUMBER, .unit = "milliseconds",                                                 \
    .offset = offsetof(struct config_route, timeouts.member), .min = 1, .max = 3600000

#define CONFIG_TIMES_MEMBERS                                                                       \
    {.path = "timeouts.connect_ms",                                                                \
     CONFIG_TIMES_MS(connect_ms),                                                                  \
     .about = "Until a target takes the connection; the upstream's when left out."},               \
        {.path = "timeouts.response_ms",                                                           \
         CONFIG_TIMES_MS(response_ms),                                                             \
         .about = "Until the first byte of its answer; the upstream's when left out."},            \
        {.path = "timeouts.idle_ms",                                                               \
         CONFIG_TIMES_MS(idle_ms),                                                                 \
         .about = "Between two pieces of its answer; the upstream's when left out."},              \
        {.path = "timeouts.total_ms",                                                              \
         CONFIG_TIMES_MS(total_ms),                                                                \
         .about = "The whole request with all retries; the upstream's when left out."},            \
    {                                                                                              \
        .path = "timeouts.endless", .type = CONFIG_SWITCH,                                         \
        .offset = offsetof(struct config_route, timeouts.endless), .fallback = "false",            \
        .about = "Lets the whole take as long as it goes on, such as events and large files; in "  \
                 "place of total_ms."                                                              \
    }

#define CONFIG_RESOLVE_MEMBER                                                                      \
    {                                                                                              \
        .path = "resolve_seconds", .type = CONFIG_NUMBER, .unit = "seconds",                       \
        .offset = offsetof(struct config_upstream, resolve_seconds), .min = 1, .max = 3600,        \
        .about = "How often names of targets are looked up again; every 30 when left out. All "    \
                 "addresses of a name are asked, up to eight; when the look-up fails, the last "   \
                 "ones stay."                                                                      \
    }

#define CONFIG_SLOW_START_MEMBER                                                                   \
    {                                                                                              \
        .path = "slow_start_seconds", .type = CONFIG_NUMBER, .unit = "seconds",                    \
        .offset = offsetof(struct config_upstream, slow_start_seconds), .min = 1, .max = 3600,     \
        .about = "How long the share of a target grows that comes back or is new, from a tenth "   \
                 "to all of it; all at once when left out."                                        \
    }

#endif
