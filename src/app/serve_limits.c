/* SPDX-License-Identifier: MIT
 * Limits from the configuration: those of a route's own, and the Redis in which nodes keep limits
 * together. */
#include "app/serve_priv.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "limit/limit_shared.h"
#include "monitor/monitor_report.h"

enum { ARENA_BYTES_MAX = 64 * 1024, NAME_BYTES_MAX = 2048 };

struct serve_limits {
    struct arena arena; /* of user and password */
    struct crypto_tls_context *tls;
    struct limit_shared *shared;
    struct serve_redis *follower; /* NULL: an address needs none */
};

/* ---- how a limit is shared ---------------------------------------------------------------------
 */

struct limit_sharing serve_sharing(const struct config *config, const struct config_sharing *own)
{
    static const enum limit_mode modes[] = {[0] = LIMIT_LOCAL,
                                            [CONFIG_LIMIT_OFF] = LIMIT_LOCAL,
                                            [CONFIG_LIMIT_LEASED] = LIMIT_LEASED,
                                            [CONFIG_LIMIT_EXACT] = LIMIT_EXACT};
    static const enum limit_outage outages[] = {[0] = LIMIT_OUTAGE_LOCAL_SHARE,
                                                [CONFIG_OUTAGE_SHARE] = LIMIT_OUTAGE_LOCAL_SHARE,
                                                [CONFIG_OUTAGE_DENY] = LIMIT_OUTAGE_DENY,
                                                [CONFIG_OUTAGE_ALLOW] = LIMIT_OUTAGE_ALLOW};
    const struct config_sharing *general = &config->limits.shared.general;

    return (struct limit_sharing){
        .mode = modes[own->mode ? own->mode : general->mode],
        .on_outage = outages[own->on_outage ? own->on_outage : general->on_outage]};
}

/* ---- limits of a route's own -------------------------------------------------------------------
 */

static enum http_limit_key key_of(const char *key)
{
    static const struct {
        const char *name;
        enum http_limit_key key;
    } keys[] = {{"address", HTTP_LIMIT_ADDRESS},
                {"user", HTTP_LIMIT_USER},
                {"client", HTTP_LIMIT_CLIENT},
                {"route", HTTP_LIMIT_ROUTE}};

    for (size_t i = 0; i < PC_COUNT(keys); i++) {
        if (strcmp(key, keys[i].name) == 0)
            return keys[i].key;
    }
    return HTTP_LIMIT_HEADER;
}

static struct span header_of(const char *key, struct arena *arena)
{
    struct span name = span_from(key);
    size_t begin = span_find(name, ':');
    char *text;

    if (begin == name.len)
        return (struct span){0};
    name = span_slice(name, begin + 1, name.len);
    text = arena_bytes(arena, name.len);
    for (size_t i = 0; text != NULL && i < name.len; i++)
        text[i] = span_lower_char(name.ptr[i]);
    return text != NULL ? span_make(text, name.len) : (struct span){0};
}

/* The same on every node that has this route, and another for every other limit of it. */
static struct span name_of(const struct config_route *route, const struct config_limit_item *item,
                           struct arena *arena)
{
    struct sbuf name = sbuf_on(arena, NAME_BYTES_MAX);
    struct span text = {0};

    sbuf_add_lit(&name, "route ");
    for (size_t i = 0; i < route->methods.count; i++)
        sbuf_add_format(&name, "%s,", route->methods.items[i]);
    for (size_t i = 0; i < route->hosts.count; i++)
        sbuf_add_format(&name, " %s", route->hosts.items[i]);
    sbuf_add_format(&name, " %s %u %s", route->path, config_period_s(item->per), item->key);
    return sbuf_finish(&name, &text) == ERR_OK ? text : (struct span){0};
}

static bool limit_make(const struct config_route *route, const struct config_limit_item *item,
                       struct arena *arena, struct http_limit *ret)
{
    *ret = (struct http_limit){.rate = {.requests = item->requests,
                                        .period_ns = config_period_s(item->per) * CLOCK_NS_PER_S,
                                        .burst = item->burst},
                               .key = key_of(item->key),
                               .header = header_of(item->key, arena),
                               .name = name_of(route, item, arena)};
    ret->rate.id = limit_name_id(ret->name);
    return ret->name.ptr != NULL && (ret->key != HTTP_LIMIT_HEADER || ret->header.ptr != NULL);
}

enum err serve_limits_route(const struct config *config, const struct config_route *route,
                            struct arena *arena, const struct http_limits **ret)
{
    struct http_limits *limits = arena_zero(arena, sizeof(*limits));
    struct http_limit *list = arena_array(arena, route->limit_count + 1, sizeof(*list));

    if (limits == NULL || list == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < route->limit_count; i++) {
        if (!limit_make(route, &route->limits[i], arena, &list[i]))
            return ERR_NO_MEMORY;
    }
    *limits = (struct http_limits){.list = list,
                                   .count = route->limit_count,
                                   .has_sharing = true,
                                   .sharing = serve_sharing(config, &route->sharing)};
    *ret = limits;
    return ERR_OK;
}

/* ---- where Redis is ----------------------------------------------------------------------------
 */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return (c | 0x20) - 'a' + 10;
}

static struct span decoded(struct span text, struct arena *arena)
{
    char *out = arena_bytes(arena, text.len + 1);
    size_t len = 0;

    for (size_t i = 0; out != NULL && i < text.len; i++) {
        out[len++] = text.ptr[i] != '%'
                         ? text.ptr[i]
                         : (char)(hex_value(text.ptr[i + 1]) * 16 + hex_value(text.ptr[i + 2]));
        i += text.ptr[i] == '%' ? 2 : 0;
    }
    return out != NULL ? span_make(out, len) : (struct span){0};
}

static enum err encrypt(struct serve_limits *made, const struct config *config,
                        const struct config_redis *redis, struct serve_fault *fault)
{
    char host[NI_MAXHOST];
    const struct crypto_tls_client_options options = {.host = host, .ca_path = config->redis.ca};
    struct crypto_fault why = {{0}};
    enum err err;

    (void)snprintf(host, sizeof(host), "%.*s", SPAN_ARG(redis->host));
    err = crypto_tls_client_context_new(&options, &made->tls, &why);
    return err ? serve_fail(fault, err, "redis.url: %s", why.text) : ERR_OK;
}

static enum err shared_make(struct serve *serve, struct serve_limits *made,
                            struct serve_fault *fault)
{
    const struct config *config = serve->config;
    size_t loops = config->workers.loops;
    struct config_redis redis;
    struct limit_shared_options options = {.nodes = config->limits.shared.nodes,
                                           .lease_percent = config->limits.shared.lease_percent,
                                           .loops = loops > 0 ? loops : net_loops_usual(),
                                           .slots = config->limits.clients_max,
                                           .random = serve->random,
                                           .logger = serve->logger,
                                           .metrics = serve->metrics};
    enum err err;

    config_redis_read(config->redis.url, &redis);
    err = serve_redis_find(&redis, &options.redis, fault);
    if (!err && redis.tls)
        err = encrypt(made, config, &redis, fault);
    if (err)
        return err;
    options.redis.tls = made->tls;
    options.redis.user = decoded(redis.user, &made->arena);
    options.redis.password = config->redis.password != NULL ? span_from(config->redis.password)
                                                            : decoded(redis.password, &made->arena);
    options.redis.database = redis.database;
    options.redis.connect_ms = config->redis.connect_timeout_ms;
    options.redis.timeout_ms = config->redis.timeout_ms;
    options.redis.waiting_max = config->limits.shared.queue_max;
    err = limit_shared_new(&options, &made->shared);
    return err ? err : serve_redis_follow(made->shared, &redis, &made->follower);
}

enum err serve_limits_start(struct serve *serve, struct serve_fault *fault)
{
    struct serve_limits *made;
    enum err err;

    if (!config_limits_are_shared(serve->config))
        return ERR_OK;
    made = alloc_zero(sizeof(*made));
    if (made == NULL)
        return ERR_NO_MEMORY;
    serve->limits = made;
    arena_init(&made->arena, NULL, 0, ARENA_BYTES_MAX);
    err = shared_make(serve, made, fault);
    return err;
}

struct limit_shared *serve_limits_shared(const struct serve *serve)
{
    return serve->limits != NULL ? serve->limits->shared : NULL;
}

void serve_limits_look(void *context, struct monitor_report *report)
{
    struct serve *serve = context;
    struct limit_shared_state state;

    if (serve_limits_shared(serve) == NULL)
        return;
    limit_shared_look(serve_limits_shared(serve), &state);
    report->limits_shared = state.connected < state.loops ? SPAN_OF("away") : SPAN_OF("up");
}

void serve_limits_free(struct serve *serve)
{
    struct serve_limits *made = serve->limits;

    if (made == NULL)
        return;
    serve_redis_free(made->follower);
    limit_shared_free(made->shared);
    crypto_tls_context_free(made->tls);
    arena_reset(&made->arena);
    alloc_free(made);
    serve->limits = NULL;
}
