/* SPDX-License-Identifier: MIT
 * A gateway that runs without some of the services (`serve --only gateway`) passes their routes on
 * to where they run. It decides first what it decides in one process too: tokens, scopes, limits,
 * what a denial writes down. The service decides again, on the same token. Bodies are its to read.
 *
 * Paths: what a mount puts in front of a service's path is taken off on the way there, and put in
 * front again of the paths that Link and Location tell. */
#include <string.h>

#include "app/serve_priv.h"
#include "base/alloc.h"
#include "upstream/upstream.h"
#include "upstream/upstream_resolve.h"

enum { ARENA_BYTES_MAX = 1024 * 1024, URL_BYTES = 64, RETRIES = 1, TOTAL_MS = 60000 };

struct serve_behind {
    struct arena arena;
    struct upstream *list[CONFIG_SERVICE_COUNT]; /* of each that runs elsewhere */
    struct upstream_resolver *resolver;
};

static const char *name_of(enum config_service service)
{
    static const char *const names[CONFIG_SERVICE_COUNT] = {
        [CONFIG_AUTH] = "auth-service",
        [CONFIG_ACCOUNT] = "account-service",
        [CONFIG_TRANSACTION] = "transaction-service",
        [CONFIG_AUDIT] = "audit-service",
        [CONFIG_MONITORING] = "monitoring-service"};

    return names[service];
}

static const char *url_of(const struct config *config, enum config_service service,
                          struct arena *arena)
{
    char text[URL_BYTES];
    struct sbuf out = sbuf_over(text, sizeof(text));

    if (config->behind[service] != NULL)
        return config->behind[service];
    sbuf_add_format(&out, "http://127.0.0.1:%u", config->listeners[service].port);
    return arena_string(arena, sbuf_span(&out));
}

static enum err reach(struct serve *serve, enum config_service service, struct serve_fault *fault)
{
    struct serve_behind *behind = serve->behind;
    struct config_target from = {.url = url_of(serve->config, service, &behind->arena),
                                 .weight = 1};
    const struct config_upstream settings = {.name = name_of(service),
                                             .targets = &from,
                                             .target_count = 1,
                                             .tls.ca_file = serve->config->behind_ca_file};
    struct crypto_tls_context *tls[SERVE_TARGETS_MAX];
    bool is_tls = from.url != NULL && config_target_is_tls(from.url);
    struct upstream_target target;
    const struct upstream_options options = {.name = name_of(service),
                                             .targets = &target,
                                             .target_count = 1,
                                             .tls = is_tls ? tls : NULL,
                                             .balance = UPSTREAM_POWER_OF_TWO,
                                             .total_ms = TOTAL_MS,
                                             .retries = RETRIES,
                                             .clock = serve->clock,
                                             .metrics = serve->metrics,
                                             .logger = serve->logger};
    const char *why;
    enum err err =
        from.url != NULL ? serve_target_read(&from, &behind->arena, &target) : ERR_NO_MEMORY;

    if (!err && is_tls)
        err = serve_upstream_tls_make(serve, &settings, tls, fault);
    if (err)
        return err;
    err = upstream_new(&options, &behind->arena, &behind->list[service], &why);
    serve_upstream_tls_free(tls, is_tls ? 1 : 0);
    return err;
}

static enum err look_up(struct serve_behind *behind)
{
    struct upstream *list[CONFIG_SERVICE_COUNT];
    size_t count = 0;

    for (enum config_service i = 0; i < CONFIG_SERVICE_COUNT; i++) {
        if (behind->list[i] != NULL)
            list[count++] = behind->list[i];
    }
    return upstream_resolver_start(list, count, &behind->resolver);
}

enum err serve_behind_start(struct serve *serve, struct serve_fault *fault)
{
    enum err err = ERR_OK;

    if (!serve_serves(serve, CONFIG_GATEWAY) || serve->services == CONFIG_SERVICES_ALL)
        return ERR_OK;
    serve->behind = alloc_zero(sizeof(*serve->behind));
    if (serve->behind == NULL)
        return serve_fail(fault, ERR_NO_MEMORY, "no memory");
    arena_init(&serve->behind->arena, NULL, 0, ARENA_BYTES_MAX);
    for (enum config_service i = 0; i < CONFIG_SERVICE_COUNT && !err; i++) {
        if (!serve_serves(serve, i))
            err = reach(serve, i, fault);
    }
    if (!err)
        err = look_up(serve->behind);
    return err ? serve_fail(fault, err, "the services behind the gateway cannot be set up: %s",
                            err_sentence(err))
               : ERR_OK;
}

/* ---- rows --------------------------------------------------------------------------------------
 */

/* What both end with, by whole segments, is no part of what is exchanged: "/api/v1/oauth/whoami"
 * for "/whoami" is "/api/v1/oauth" for nothing. */
static void cut_common(struct span *from, struct span *to)
{
    for (size_t n = from->len < to->len ? from->len : to->len; n > 0; n--) {
        struct span tail = span_slice(*from, from->len - n, from->len);

        if (tail.ptr[0] == '/' && span_ends(*to, tail)) {
            from->len -= n;
            to->len -= n;
            return;
        }
    }
}

static const struct http_proxy *proxy_of(struct serve_behind *behind, enum config_service service,
                                         const char *from, const char *to)
{
    struct http_proxy *proxy = arena_zero(&behind->arena, sizeof(*proxy));
    struct span theirs = span_from(from != NULL ? from : "");
    struct span ours = span_from(to != NULL ? to : "");

    if (proxy == NULL)
        return NULL;
    cut_common(&theirs, &ours);
    *proxy = (struct http_proxy){.upstream = behind->list[service],
                                 .strip = ours,
                                 .prefix = theirs,
                                 .is_ours = true,
                                 .keeps_host = true};
    return proxy;
}

const struct http_route *serve_behind_rows(struct serve *serve, enum config_service service,
                                           const struct http_route *rows, const char *from,
                                           const char *to)
{
    struct serve_behind *behind = serve->behind;
    const struct http_proxy *proxy = proxy_of(behind, service, from, to);
    struct http_route *made;
    size_t count = 0;

    while (rows[count].path != NULL)
        count++;
    made = arena_array(&behind->arena, count + 1, sizeof(*made));
    if (made == NULL || proxy == NULL)
        return NULL;
    memcpy(made, rows, (count + 1) * sizeof(*made));
    for (size_t i = 0; i < count; i++) {
        made[i].handle = NULL;
        made[i].proxy = proxy;
    }
    return made;
}

void serve_behind_free(struct serve *serve)
{
    struct serve_behind *behind = serve->behind;

    if (behind == NULL)
        return;
    upstream_resolver_stop(behind->resolver);
    for (size_t i = 0; i < CONFIG_SERVICE_COUNT; i++)
        upstream_free(behind->list[i]);
    arena_reset(&behind->arena);
    alloc_free(behind);
}
