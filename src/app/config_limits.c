/* SPDX-License-Identifier: MIT
 * Limits that nodes share and several limits of a route: the forms of their texts, and what holds
 * between them. */
#include "app/config_priv.h"

#include <stdio.h>
#include <string.h>

#include "limit/limit.h"

enum { REDIS_PORT = 6379, DATABASE_MAX = 1023, SECONDS_MAX = 366 * 86400, HEADER_BYTES_MAX = 64 };

/* ---- where Redis is ---- */

static bool is_encoded(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] <= ' ' || s.ptr[i] > '~')
            return false;
        if (s.ptr[i] != '%')
            continue;
        if (i + 2 >= s.len || strspn(s.ptr + i + 1, "0123456789abcdefABCDEF") < 2)
            return false;
    }
    return true;
}

/* "[::1]:6379", "redis" */
static bool place_read(struct span place, struct span *ret_host, struct span *ret_port)
{
    size_t end = span_find(place, ':');

    *ret_host = span_slice(place, 0, end);
    if (span_starts(place, SPAN_OF("["))) {
        end = span_find(place, ']');
        *ret_host = span_slice(place, 1, end);
        end += end < place.len;
    }
    *ret_port = span_slice(place, end, place.len);
    if (ret_port->len > 0 && ret_port->ptr[0] != ':')
        return false;
    *ret_port = span_slice(*ret_port, 1, ret_port->len);
    return config_host_is_valid(*ret_host) && (end == place.len || config_port_is_valid(*ret_port));
}

static const char *redis_read(struct span url, struct config_redis *ret)
{
    const struct config_url parts = config_url_read(url);
    uint64_t number = 0;
    struct span port;

    if (!span_is(parts.scheme, "redis") && !span_is(parts.scheme, "rediss"))
        return "begins with neither redis:// nor rediss://";
    if (!place_read(parts.hosts, &ret->host, &port))
        return "has no host, or a port that is not one";
    if (!is_encoded(parts.user) || !is_encoded(parts.password))
        return "has a user or password with a byte that is not percent-encoded";
    if (parts.user.len > 0 && parts.password.len == 0)
        return "has a user without a password";
    if (parts.query.len > 0)
        return "has a query, which nobody reads";
    ret->port = REDIS_PORT;
    if (port.len > 0 && span_to_u64(port, &number))
        ret->port = (uint32_t)number;
    number = 0;
    if (parts.path.len > 1 &&
        (!span_to_u64(span_slice(parts.path, 1, parts.path.len), &number) || number > DATABASE_MAX))
        return "has a database that is not a number";
    ret->database = (uint32_t)number;
    ret->tls = span_is(parts.scheme, "rediss");
    ret->user = parts.user;
    ret->password = parts.password;
    return NULL;
}

const char *config_redis_fault(struct span s)
{
    struct config_redis ignored;

    return redis_read(s, &ignored);
}

void config_redis_read(const char *url, struct config_redis *ret)
{
    const char *fault = redis_read(span_from(url), ret);

    PC_ASSERT(fault == NULL);
}

/* ---- periods and keys ---- */

/* 0: it is not one. */
static uint32_t period_read(struct span s)
{
    static const struct {
        const char *name;
        uint32_t seconds;
    } names[] = {{"second", 1}, {"minute", 60}, {"hour", 3600}, {"day", 86400}};
    struct span prefix = SPAN_OF("seconds:");
    uint64_t number;

    for (size_t i = 0; i < PC_COUNT(names); i++)
        if (span_is(s, names[i].name))
            return names[i].seconds;
    if (!span_starts(s, prefix) || !span_to_u64(span_slice(s, prefix.len, s.len), &number) ||
        number > SECONDS_MAX)
        return 0;
    return (uint32_t)number;
}

const char *config_period_fault(struct span s)
{
    return period_read(s) > 0 ? NULL : "is not second, minute, hour, day or seconds:N";
}

uint32_t config_period_s(const char *per)
{
    return period_read(span_from(per));
}

static bool is_header_name(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", s.ptr[i]) ==
            NULL)
            return false;
    return s.len > 0 && s.len <= HEADER_BYTES_MAX;
}

const char *config_limit_key_fault(struct span s)
{
    static const char *const keys[] = {"address", "user", "client", "route"};
    struct span prefix = SPAN_OF("header:");

    for (size_t i = 0; i < PC_COUNT(keys); i++)
        if (span_is(s, keys[i]))
            return NULL;
    return span_starts(s, prefix) && is_header_name(span_slice(s, prefix.len, s.len))
               ? NULL
               : "is not address, user, client, route or header:NAME";
}

/* ---- rules ---- */

/* "routes[2].limits[0].key" */
static const char *place_of(char text[3 * CONFIG_PATH_BYTES_MAX], size_t route, const char *member,
                            size_t item, const char *of_item)
{
    int len = of_item != NULL ? snprintf(text, (size_t)3 * CONFIG_PATH_BYTES_MAX,
                                         "routes[%zu].%s[%zu].%s", route, member, item, of_item)
                              : snprintf(text, (size_t)3 * CONFIG_PATH_BYTES_MAX, "routes[%zu].%s",
                                         route, member);

    PC_ASSERT(len > 0 && len < 3 * CONFIG_PATH_BYTES_MAX);
    return text;
}

static void item_rule(struct config_loader *loader, size_t at, size_t i)
{
    const struct config_route *route = &loader->config->routes.items[at];
    const struct config_limit_item *item = &route->limits[i];
    const struct limit_rate rate = {.requests = item->requests,
                                    .period_ns = config_period_s(item->per) * INT64_C(1000000000),
                                    .burst = item->burst};
    char text[3 * CONFIG_PATH_BYTES_MAX];

    if (!limit_rate_is_valid(&rate))
        config_problem_with(loader, false,
                            place_of(text, at, "limits", i, item->burst ? "burst" : "requests"),
                            "a burst of %u takes more than a year to fill at %u a %.24s",
                            item->burst ? item->burst : item->requests, item->requests, item->per);
    for (size_t j = 0; j < i; j++)
        if (config_period_s(route->limits[j].per) == config_period_s(item->per) &&
            strcmp(route->limits[j].key, item->key) == 0) {
            config_problem_with(loader, false, place_of(text, at, "limits", i, "per"),
                                "limits[%zu] counts by %.72s in that time too", j, item->key);
            break;
        }
    if (route->access == CONFIG_ACCESS_OPEN &&
        (strcmp(item->key, "user") == 0 || strcmp(item->key, "client") == 0))
        config_problem_with(loader, false, place_of(text, at, "limits", i, "key"),
                            "%s needs access: bearer or admin, nobody shows a token here",
                            item->key);
}

static void route_rule(struct config_loader *loader, size_t at)
{
    const struct config_route *route = &loader->config->routes.items[at];
    char text[3 * CONFIG_PATH_BYTES_MAX];

    if (route->limit_count > 0 && route->rate_exempt)
        config_problem_with(loader, false, place_of(text, at, "rate_exempt", 0, NULL),
                            "excludes limits, give one of them");
    if (route->limit_count > 0 && route->requests_per_minute + route->burst > 0)
        config_problem_with(
            loader, false,
            place_of(text, at, route->burst > 0 ? "burst" : "requests_per_minute", 0, NULL),
            "stands in limits when there are any");
    for (size_t i = 0; i < route->limit_count; i++)
        item_rule(loader, at, i);
}

/* The first place where a limit is shared; false when none is. */
static bool is_shared(const struct config *config, char ret_place[3 * CONFIG_PATH_BYTES_MAX])
{
    const struct config_limits *own = &config->limits.routes;

    (void)snprintf(ret_place, (size_t)3 * CONFIG_PATH_BYTES_MAX, "limits.shared.mode");
    if (config->limits.shared.general.mode > CONFIG_LIMIT_OFF)
        return true;
    for (size_t i = 0; i < config->routes.count; i++)
        if (config->routes.items[i].sharing.mode > CONFIG_LIMIT_OFF) {
            (void)place_of(ret_place, i, "shared.mode", 0, NULL);
            return true;
        }
    (void)snprintf(ret_place, (size_t)3 * CONFIG_PATH_BYTES_MAX, "limits.routes");
    for (size_t i = 0; i < own->count; i++)
        if (own->items[i].sharing.mode > CONFIG_LIMIT_OFF)
            return true;
    return false;
}

bool config_limits_are_shared(const struct config *config)
{
    char ignored[3 * CONFIG_PATH_BYTES_MAX];

    return is_shared(config, ignored);
}

static void redis_rule(struct config_loader *loader)
{
    const struct config *config = loader->config;
    const struct config_url url =
        config_url_read(span_from(config->redis.url != NULL ? config->redis.url : ""));
    bool tls = span_is(url.scheme, "rediss");

    if (config->redis.ca != NULL && !tls)
        config_problem_with(loader, false, "redis.ca", "needs a redis.url with rediss://");
    if (config->redis.password != NULL && url.password.len > 0)
        config_problem_with(loader, false, "redis.url",
                            "has a password, and redis.password is another");
    if (config->redis.url != NULL && !tls && !config_url_is_loopback(&url))
        config_problem_with(loader, true, "redis.url",
                            "is another machine, and redis:// is not encrypted; use rediss://");
}

void config_limits_rules(struct config_loader *loader)
{
    const struct config *config = loader->config;
    char place[3 * CONFIG_PATH_BYTES_MAX];
    bool shared = is_shared(config, place);

    for (size_t i = 0; i < config->routes.count; i++)
        route_rule(loader, i);
    redis_rule(loader);
    if (shared && config->redis.url == NULL)
        config_problem_with(loader, false, place, "needs redis.url, where the limits are kept");
    if (shared && config->limits.shared.nodes == 0)
        config_problem_with(loader, false, place,
                            "needs limits.shared.nodes, how many gateways share the limits");
    if (!shared && config->redis.url != NULL)
        config_problem_with(loader, true, "redis.url",
                            "has no effect: limits.shared.mode is off, so every limit is this "
                            "process's own");
}
