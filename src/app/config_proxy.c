/* SPDX-License-Identifier: MIT
 * What holds between upstreams, routes and the gateway's own paths. Every problem is told where the
 * member stands in the file, or the item that lacks it. */
#include "app/config_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* An item under examination: "routes" and its place in the list. */
struct item {
    struct config_loader *loader;
    const char *list;
    size_t i;
};

enum { MEMBER_PATH_BYTES_MAX = 3 * CONFIG_PATH_BYTES_MAX };

static void path_write(const struct item *item, const char *member, char ret[MEMBER_PATH_BYTES_MAX])
{
    struct sbuf out = sbuf_over(ret, MEMBER_PATH_BYTES_MAX);

    sbuf_add_format(&out, "%s[%zu].%s", item->list, item->i, member);
    sbuf_add_char(&out, '\0');
    PC_ASSERT(!out.full);
}

PC_FORMAT(4, 5)
static void tell(const struct item *item, bool warning, const char *member, const char *format, ...)
{
    char text[CONFIG_LINE_BYTES_MAX];
    char path[MEMBER_PATH_BYTES_MAX];
    va_list args;
    int len;

    path_write(item, member, path);
    va_start(args, format);
    len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    PC_ASSERT(len >= 0);
    config_problem_with(item->loader, warning, path, "%s", text);
}

static bool is_given(const struct item *item, const char *member)
{
    char path[MEMBER_PATH_BYTES_MAX];
    uint32_t line;
    uint32_t column;

    path_write(item, member, path);
    return config_place_find(item->loader, span_from(path), &line, &column);
}

/* Tells every text that stands in the list before, too. */
static void twice_rule(const struct item *item, const char *member,
                       const struct config_texts *texts)
{
    for (size_t i = 0; i < texts->count; i++)
        for (size_t j = 0; j < i; j++)
            if (span_equal_nocase(span_from(texts->items[i]), span_from(texts->items[j]))) {
                tell(item, false, member, "%.128s is listed twice", texts->items[i]);
                break;
            }
}

/* ---- upstreams ---- */

static bool is_same_target(const char *a, const char *b)
{
    struct span left;
    struct span right;
    uint32_t left_port;
    uint32_t right_port;

    config_target_read(span_from(a), &left, &left_port);
    config_target_read(span_from(b), &right, &right_port);
    return left_port == right_port && span_equal_nocase(left, right);
}

static void targets_rule(const struct item *item, const struct config_upstream *upstream)
{
    size_t drained = 0;

    for (size_t i = 0; i < upstream->target_count; i++) {
        const struct config_target *target = &upstream->targets[i];
        char member[CONFIG_PATH_BYTES_MAX];
        struct sbuf out = sbuf_over(member, sizeof(member));

        drained += target->drain ? 1 : 0;
        sbuf_add_format(&out, "targets[%zu].url", i);
        sbuf_add_char(&out, '\0');
        for (size_t j = 0; j < i; j++)
            if (is_same_target(target->url, upstream->targets[j].url)) {
                tell(item, false, member, "%.300s is targets[%zu] too", target->url, j);
                break;
            }
    }
    if (drained == upstream->target_count)
        tell(item, true, "targets", "all are drained, so nobody answers");
}

static void hash_rule(const struct item *item, const struct config_upstream *upstream)
{
    bool named = upstream->hash_on == CONFIG_HASH_HEADER || upstream->hash_on == CONFIG_HASH_COOKIE;

    if (upstream->balance != CONFIG_HASH) {
        if (is_given(item, "hash_on"))
            tell(item, false, "hash_on", "needs balance: hash");
        if (is_given(item, "hash_name"))
            tell(item, false, "hash_name", "needs balance: hash");
        return;
    }
    if (named && upstream->hash_name == NULL)
        tell(item, false, "hash_on", "needs hash_name, the name of the %s",
             upstream->hash_on == CONFIG_HASH_HEADER ? "header" : "cookie");
    if (!named && upstream->hash_name != NULL)
        tell(item, false, "hash_name", "needs hash_on: header or cookie");
}

static void used_rule(const struct item *item, const struct config *config)
{
    const char *name = config->upstreams.items[item->i].name;

    for (size_t i = 0; i < config->routes.count; i++)
        if (strcmp(config->routes.items[i].upstream, name) == 0)
            return;
    tell(item, true, "name", "no route leads to \"%s\"", name);
}

static void upstream_rules(const struct item *item, const struct config *config)
{
    const struct config_upstream *upstream = &config->upstreams.items[item->i];

    targets_rule(item, upstream);
    hash_rule(item, upstream);
    used_rule(item, config);
}

/* ---- paths ---- */

/* What the gateway serves itself. A test holds this against its tables. */
const char *const config_areas[] = {"/api/v1",  "/api/docs", "/api/redoc",
                                    "/console", "/oauth",    NULL};
static const char *const places[] = {"/",
                                     "/health",
                                     "/livez",
                                     "/readyz",
                                     "/metrics",
                                     "/openapi.json",
                                     "/openapi.yaml",
                                     "/api/openapi.json",
                                     "/api/openapi.yaml",
                                     "/.well-known/openid-configuration",
                                     "/.well-known/oauth-authorization-server",
                                     "/.well-known/jwks.json"};

/* Without a slash or a slash and star at its end; "/" stays. */
static struct span base_of(struct span path)
{
    if (path.len > 2 && span_ends(path, SPAN_OF("/*")))
        path.len -= 2;
    if (path.len > 1 && span_ends(path, SPAN_OF("/")))
        path.len--;
    return path;
}

static bool is_in(struct span path, struct span area)
{
    return span_starts(path, area) && (path.len == area.len || path.ptr[area.len] == '/');
}

/* The gateway's paths come first, so that a route above them takes nothing away. */
static void own_rule(const struct item *item, const struct config_route *route)
{
    struct span path = base_of(span_from(route->path));

    for (size_t i = 0; config_areas[i] != NULL; i++)
        if (is_in(path, span_from(config_areas[i])))
            tell(item, false, "path", "%.512s is in %s, which the gateway serves itself",
                 route->path, config_areas[i]);
    for (size_t i = 0; i < PC_COUNT(places); i++)
        if (span_is(path, places[i]))
            tell(item, false, "path", "%.512s takes %s, which the gateway serves itself",
                 route->path, places[i]);
}

static bool is_param(struct span segment)
{
    return segment.len > 0 && segment.ptr[0] == '{';
}

/* Do both match the same paths? What a parameter is called makes no difference. */
static bool is_same_pattern(const char *a, const char *b)
{
    struct span left = span_from(a);
    struct span right = span_from(b);
    struct span segment;
    struct span other;

    while (span_cut(&left, '/', &segment)) {
        if (!span_cut(&right, '/', &other))
            return false;
        if (!span_equal(segment, other) && !(is_param(segment) && is_param(other)))
            return false;
    }
    return !span_cut(&right, '/', &other);
}

/* A method of both; when none is given, all but OPTIONS are forwarded. */
static const char *shared_method(const struct config_route *a, const struct config_route *b)
{
    static const char *usual_items[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};
    static const struct config_texts usual = {usual_items, PC_COUNT(usual_items)};
    const struct config_texts *left = a->methods.count > 0 ? &a->methods : &usual;
    const struct config_texts *right = b->methods.count > 0 ? &b->methods : &usual;

    for (size_t i = 0; i < left->count; i++)
        for (size_t j = 0; j < right->count; j++)
            if (strcmp(left->items[i], right->items[j]) == 0)
                return left->items[i];
    return NULL;
}

/* A host of both, "" when both are for any; NULL when there is none. A route for a host comes
 * before one for any. */
static const char *shared_host(const struct config_route *a, const struct config_route *b)
{
    if (a->hosts.count == 0 && b->hosts.count == 0)
        return "";
    for (size_t i = 0; i < a->hosts.count; i++)
        for (size_t j = 0; j < b->hosts.count; j++)
            if (strcmp(a->hosts.items[i], b->hosts.items[j]) == 0)
                return a->hosts.items[i];
    return NULL;
}

static void same_rule(const struct item *item, const struct config *config)
{
    const struct config_route *route = &config->routes.items[item->i];

    for (size_t j = 0; j < item->i; j++) {
        const struct config_route *other = &config->routes.items[j];
        const char *method = shared_method(route, other);
        const char *host = shared_host(route, other);

        if (method == NULL || host == NULL || !is_same_pattern(route->path, other->path))
            continue;
        tell(item, false, "path", "%s %s%.512s is routes[%zu] too", method, host, route->path, j);
        return;
    }
}

static void strip_rule(const struct item *item, const struct config_route *route)
{
    if (route->strip_prefix != NULL &&
        !is_in(span_from(route->path), span_from(route->strip_prefix)))
        tell(item, false, "strip_prefix", "%.512s is not how %.256s begins, by whole segments",
             route->strip_prefix, route->path);
}

/* ---- who may use it ---- */

static void access_rule(const struct item *item, const struct config *config)
{
    const struct config_route *route = &config->routes.items[item->i];

    if (route->access != CONFIG_ACCESS_OPEN)
        return;
    if (route->scopes.count > 0)
        tell(item, false, "scopes", "need access: bearer or admin, nobody shows a token here");
    if (route->roles.count > 0)
        tell(item, false, "roles", "need access: bearer or admin, nobody shows a token here");
    if (config->environment == CONFIG_PRODUCTION)
        tell(item, true, "access", "open lets anyone use %.256s without a token", route->path);
}

/* ---- headers ---- */

static bool is_listed(const struct config_texts *texts, const char *name)
{
    for (size_t i = 0; i < texts->count; i++)
        if (span_is_nocase(span_from(name), texts->items[i]))
            return true;
    return false;
}

/* `section`: "request_headers" or "response_headers". */
static void headers_rule(const struct item *item, const char *section,
                         const struct config_header *set, size_t count,
                         const struct config_texts *removed)
{
    char member[CONFIG_PATH_BYTES_MAX];

    for (size_t i = 0; i < count; i++) {
        struct sbuf out = sbuf_over(member, sizeof(member));

        sbuf_add_format(&out, "%s.set[%zu].name", section, i);
        sbuf_add_char(&out, '\0');
        for (size_t j = 0; j < i; j++)
            if (span_is_nocase(span_from(set[i].name), set[j].name))
                tell(item, false, member, "%s is set twice", set[i].name);
        if (is_listed(removed, set[i].name))
            tell(item, false, member, "%s is removed too, which setting it does anyway",
                 set[i].name);
    }
    (void)snprintf(member, sizeof(member), "%s.remove", section);
    twice_rule(item, member, removed);
}

/* ---- limits ---- */

static void limits_rule(const struct item *item, const struct config_route *route)
{
    char path[MEMBER_PATH_BYTES_MAX];
    bool limited = route->requests_per_minute + route->burst > 0;

    if (route->rate_exempt && limited)
        tell(item, false, "rate_exempt",
             "excludes requests_per_minute and burst, give one of them");
    path_write(item, route->burst > 0 ? "burst" : "requests_per_minute", path);
    if (limited)
        config_rule_fill(item->loader, path, route->requests_per_minute, route->burst);
}

/* ---- all of them ---- */

static void route_rules(const struct item *item, const struct config *config)
{
    const struct config_route *route = &config->routes.items[item->i];

    own_rule(item, route);
    same_rule(item, config);
    strip_rule(item, route);
    twice_rule(item, "methods", &route->methods);
    twice_rule(item, "hosts", &route->hosts);
    access_rule(item, config);
    twice_rule(item, "scopes", &route->scopes);
    twice_rule(item, "roles", &route->roles);
    twice_rule(item, "upgrades", &route->upgrades);
    headers_rule(item, "request_headers", route->request_set, route->request_set_count,
                 &route->request_remove);
    headers_rule(item, "response_headers", route->response_set, route->response_set_count,
                 &route->response_remove);
    limits_rule(item, route);
}

void config_proxy_rules(struct config_loader *loader)
{
    const struct config *config = loader->config;

    for (size_t i = 0; i < config->upstreams.count; i++) {
        const struct item item = {loader, "upstreams", i};

        upstream_rules(&item, config);
    }
    for (size_t i = 0; i < config->routes.count; i++) {
        const struct item item = {loader, "routes", i};

        route_rules(&item, config);
    }
}
