/* SPDX-License-Identifier: MIT
 * What stands in `circuit_breaker` of a route and of an upstream: rows of config_table_proxy.c.
 * For the configuration alone. */
#ifndef PC_APP_CONFIG_BREAKER_H
#define PC_APP_CONFIG_BREAKER_H

#include "app/config_priv.h"
#include "limit/breaker.h"

enum { CONFIG_BREAKER_MEMBER_COUNT = 8 };

#define CONFIG_BREAKER_NUMBER(item, member, low, high)                                             \
    .type = CONFIG_NUMBER, .offset = offsetof(struct item, breaker.member), .min = (low),          \
    .max = (high)

/* Rows of the item's table; its struct has a `struct config_breaker breaker`. */
#define CONFIG_BREAKER_MEMBERS(item)                                                               \
    {.path = "circuit_breaker.failure_threshold",                                                  \
     CONFIG_BREAKER_NUMBER(item, failures, 1, 1000),                                               \
     .about = "Failures in a row that open its breaker; when left out, as in general."},           \
        {.path = "circuit_breaker.timeout_seconds",                                                \
         .unit = "seconds",                                                                        \
         CONFIG_BREAKER_NUMBER(item, seconds, 1, 3600),                                            \
         .about = "How long its breaker stays open; when left out, as in general."},               \
        {.path = "circuit_breaker.window_seconds",                                                 \
         .unit = "seconds",                                                                        \
         CONFIG_BREAKER_NUMBER(item, window_seconds, 1, 3600),                                     \
         .about = "How far back shares of errors and of slow requests look; 10 when left out."},   \
        {.path = "circuit_breaker.requests_min",                                                   \
         CONFIG_BREAKER_NUMBER(item, requests_min, 1, BREAKER_CALLS_MIN_MAX),                      \
         .about = "Fewer requests within the window say nothing; 20 when left out."},              \
        {.path = "circuit_breaker.error_percent",                                                  \
         .unit = "percent",                                                                        \
         CONFIG_BREAKER_NUMBER(item, error_percent, 1, 100),                                       \
         .about = "The share of failures within the window that opens its breaker; when left "     \
                  "out, only failures in a row do."},                                              \
        {.path = "circuit_breaker.slow_ms",                                                        \
         .unit = "milliseconds",                                                                   \
         CONFIG_BREAKER_NUMBER(item, slow_ms, 1, 3600000),                                         \
         .about = "An answer that begins so long after its request was sent is slow; with "        \
                  "slow_percent."},                                                                \
        {.path = "circuit_breaker.slow_percent",                                                   \
         .unit = "percent",                                                                        \
         CONFIG_BREAKER_NUMBER(item, slow_percent, 1, 100),                                        \
         .about = "The share of slow answers within the window that opens its breaker; with "      \
                  "slow_ms."},                                                                     \
    {                                                                                              \
        .path = "circuit_breaker.probes_max",                                                      \
        CONFIG_BREAKER_NUMBER(item, probes_max, 1, BREAKER_PROBES_MAX),                            \
        .about = "Requests that pass while half open, exactly as many, all of which must go "      \
                 "well; when left out, the first that goes well closes it."                        \
    }

#endif
