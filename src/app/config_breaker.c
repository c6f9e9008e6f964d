/* SPDX-License-Identifier: MIT
 * What holds between the members of a circuit breaker, and of time limits: a setting that would do
 * nothing is a mistake. */
#include "app/config_breaker.h"

enum { MEMBER_BYTES_MAX = 3 * CONFIG_PATH_BYTES_MAX };

/* Told at `routes[2].circuit_breaker.slow_ms`. */
static void tell_of(struct config_loader *loader, const char *list, size_t at, const char *section,
                    const char *member, const char *why)
{
    char path[MEMBER_BYTES_MAX];
    struct sbuf out = sbuf_over(path, sizeof(path));

    sbuf_add_format(&out, "%s[%zu].%s.%s", list, at, section, member);
    sbuf_add_char(&out, '\0');
    PC_ASSERT(!out.full);
    config_problem_with(loader, false, path, "%s", why);
}

static void tell(struct config_loader *loader, const char *list, size_t at, const char *member,
                 const char *why)
{
    tell_of(loader, list, at, "circuit_breaker", member, why);
}

static void rule(struct config_loader *loader, const char *list, size_t at,
                 const struct config_breaker *breaker)
{
    bool has_share = breaker->error_percent + breaker->slow_percent > 0;

    if (breaker->slow_ms > 0 && breaker->slow_percent == 0)
        tell(loader, list, at, "slow_ms", "needs slow_percent, the share that opens it");
    if (breaker->slow_percent > 0 && breaker->slow_ms == 0)
        tell(loader, list, at, "slow_percent", "needs slow_ms, from when on an answer is slow");
    if (breaker->window_seconds > 0 && !has_share)
        tell(loader, list, at, "window_seconds", "needs error_percent or slow_percent");
    if (breaker->requests_min > 0 && !has_share)
        tell(loader, list, at, "requests_min", "needs error_percent or slow_percent");
}

bool config_breaker_is_given(const struct config_breaker *breaker)
{
    return breaker->failures + breaker->seconds + breaker->window_seconds + breaker->requests_min +
               breaker->error_percent + breaker->slow_ms + breaker->slow_percent +
               breaker->probes_max >
           0;
}

void config_breaker_rules(struct config_loader *loader)
{
    const struct config *config = loader->config;

    for (size_t i = 0; i < config->upstreams.count; i++)
        rule(loader, "upstreams", i, &config->upstreams.items[i].breaker);
    for (size_t i = 0; i < config->routes.count; i++) {
        const struct config_route *route = &config->routes.items[i];

        rule(loader, "routes", i, &route->breaker);
        if (route->timeouts.endless && route->timeouts.total_ms > 0)
            tell_of(loader, "routes", i, "timeouts", "endless",
                    "excludes total_ms, give one of them");
        if (route->breaker_off && config_breaker_is_given(&route->breaker))
            tell(loader, "routes", i, "disabled", "excludes all other settings of the breaker");
    }
}
