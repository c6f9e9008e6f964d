/* SPDX-License-Identifier: MIT
 * The door of a listener: whom it believes who its clients are (the PROXY protocol), a word in the
 * log about who was refused there, and the listener in clear beside the gateway's that sends
 * everybody to HTTPS. */
#include "app/serve_priv.h"

#include <string.h>

#include "base/alloc.h"
#include "http/http_redirect.h"

enum { TELL_EVERY_S = 1 };

/* ---- refusals ---- */

/* One a second: strangers can make as many as they like. */
static void on_refused(void *context, const struct net_peer *peer, const char *what,
                       const char *why)
{
    struct serve_door *door = context;
    int64_t now_ns = clock_monotonic_ns(door->serve->clock);
    int64_t quiet_ns = atomic_load_explicit(&door->quiet_ns, memory_order_relaxed);

    if (now_ns < quiet_ns ||
        !atomic_compare_exchange_strong(&door->quiet_ns, &quiet_ns,
                                        now_ns + TELL_EVERY_S * CLOCK_NS_PER_S)) {
        atomic_fetch_add_explicit(&door->untold, 1, memory_order_relaxed);
        return;
    }
    log_warn(door->serve->logger, "connection_refused", LOG_STRING("listener", door->name),
             LOG_STRING("what", what), LOG_STRING("why", why), LOG_TEXT("ip", peer->address),
             LOG_U64("others", atomic_exchange(&door->untold, 0)));
}

/* ---- the PROXY protocol ---- */

static bool on_proxied(void *context, const struct net_peer *peer)
{
    struct serve_door *door = context;
    bool trusts;

    PC_ASSERT(pthread_mutex_lock(&door->lock) == 0);
    trusts = http_network_holds_peer(door->from, door->from_count, peer);
    PC_ASSERT(pthread_mutex_unlock(&door->lock) == 0);
    return trusts;
}

/* Those that are named for the listener, else the trusted proxies. */
static enum err networks_read(struct serve_door *door, const struct config *config,
                              enum config_service service)
{
    const struct config_texts *own = &config->listeners[service].proxy_protocol_from;
    const struct config_texts *texts = own->count > 0 ? own : &config->trusted_proxies;
    struct http_network *list = alloc_zero((texts->count + 1) * sizeof(*list));
    struct http_network *old;

    if (list == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < texts->count; i++) {
        if (!http_network_read(span_from(texts->items[i]), &list[i])) {
            alloc_free(list);
            return ERR_CONFIG;
        }
    }
    PC_ASSERT(pthread_mutex_lock(&door->lock) == 0);
    old = door->from;
    door->from = list;
    door->from_count = texts->count;
    PC_ASSERT(pthread_mutex_unlock(&door->lock) == 0);
    alloc_free(old);
    return ERR_OK;
}

enum err serve_door_make(struct serve *serve, enum config_service service,
                         struct net_listener_options *options)
{
    struct serve_door *door = &serve->listeners[service].door;

    PC_ASSERT(pthread_mutex_init(&door->lock, NULL) == 0);
    door->serve = serve;
    door->name = serve->listeners[service].name;
    options->refused = on_refused;
    options->door_context = door;
    options->proxied = serve->config->listeners[service].proxy_protocol ? on_proxied : NULL;
    return networks_read(door, serve->config, service);
}

void serve_doors_reload(struct serve *serve, const struct config *config)
{
    for (enum config_service i = 0; i < CONFIG_SERVICE_COUNT; i++) {
        struct serve_door *door = &serve->listeners[i].door;

        if (door->serve != NULL && networks_read(door, config, i) != ERR_OK)
            log_error(serve->logger, "proxies_not_reloaded", LOG_STRING("listener", door->name));
    }
}

void serve_doors_free(struct serve *serve)
{
    for (enum config_service i = 0; i < CONFIG_SERVICE_COUNT; i++) {
        struct serve_door *door = &serve->listeners[i].door;

        if (door->serve == NULL)
            continue;
        PC_ASSERT(pthread_mutex_destroy(&door->lock) == 0);
        alloc_free(door->from);
    }
}

/* ---- sending to HTTPS ---- */

enum err serve_redirect_bind(struct serve *serve, struct serve_fault *fault)
{
    const struct config *config = serve->config;
    struct serve_listener *gateway = &serve->listeners[CONFIG_GATEWAY];
    const uint32_t port = config->redirect.to_port != 0 ? config->redirect.to_port : gateway->port;
    const struct http_redirect_options wanted = {
        .tls = gateway->tls, .port = (uint16_t)port, .metrics = serve->metrics};
    struct net_listener_options options = {.name = "redirect",
                                           .host = gateway->address,
                                           .port = (uint16_t)config->redirect.port,
                                           .given = serve->redirect_given,
                                           .app = &http_redirect_app,
                                           .refused = on_refused,
                                           .door_context = &gateway->door};
    struct net_listener *ignored;
    int why = 0;
    enum err err;

    PC_ASSERT(gateway->tls != NULL); /* checked when the file was read */
    options.proxied = config->listeners[CONFIG_GATEWAY].proxy_protocol ? on_proxied : NULL;
    err = http_redirect_new(&wanted, &serve->redirect);
    if (err)
        return serve_fail(fault, err, "%s", err_sentence(err));
    options.app_context = serve->redirect;
    err = net_server_listen(serve->server, &options, &ignored, &why);
    return err ? serve_fail(fault, err, "gateway.redirect_port: %s port %u cannot be bound: %s",
                            gateway->address, (unsigned)options.port, strerror(why))
               : ERR_OK;
}
