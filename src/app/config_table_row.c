/* SPDX-License-Identifier: MIT
 * What stands in one item of a setting that is a list: limits of a route, a plan, a user. The lists
 * themselves are rows of config_table.c. */
#include "app/config_table_limits.h"

#define ROW_AT(member)   .offset = offsetof(struct config_limit, member)
#define RANGE(low, high) .min = (low), .max = (high)

#define LIMIT_NUMBERS(usual)                                                                       \
    {.path = "requests_per_minute",                                                                \
     .type = CONFIG_NUMBER,                                                                        \
     ROW_AT(requests_per_minute),                                                                  \
     RANGE(1, 1000000000),                                                                         \
     .example = (usual),                                                                           \
     .about = "Requests a minute; as in general when left out."},                                  \
    {                                                                                              \
        .path = "burst", .type = CONFIG_NUMBER, ROW_AT(burst), RANGE(1, 1000000000),               \
        .about = "Requests that may come at once; as many as requests_per_minute when left out."   \
    }

const struct config_setting config_route_row[CONFIG_ROUTE_ROW_COUNT] = {
    {.path = "route",
     .type = CONFIG_TEXT,
     .form = CONFIG_ROUTE,
     ROW_AT(route),
     RANGE(1, 512),
     .required = true,
     .example = "POST /api/v1/auth/login",
     .about = "Method and path as the API's pages show them."},
    LIMIT_NUMBERS("20"),
    CONFIG_ROUTE_SHARING("", ROW_AT(sharing.mode), ROW_AT(sharing.on_outage)),
};

const struct config_setting config_user_row[CONFIG_USER_ROW_COUNT] = {
    {.path = "user",
     .type = CONFIG_TEXT,
     ROW_AT(user),
     RANGE(1, 128),
     .required = true,
     .example = "42",
     .about = "The user's id, as in the claim user_id."},
    {.path = "plan",
     .type = CONFIG_TEXT,
     ROW_AT(plan),
     RANGE(1, 64),
     .example = "gold",
     .about = "The plan of limits.plans that this user is on."},
    LIMIT_NUMBERS(NULL),
};

const struct config_setting config_plan_row[CONFIG_PLAN_ROW_COUNT] = {
    {.path = "plan",
     .type = CONFIG_TEXT,
     ROW_AT(plan),
     RANGE(1, 64),
     .required = true,
     .example = "gold",
     .about = "The plan's name."},
    LIMIT_NUMBERS("20"),
};
