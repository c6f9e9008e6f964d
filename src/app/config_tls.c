/* SPDX-License-Identifier: MIT
 * What holds between the settings of TLS: of upstreams here; of listeners in config_rules.c. */
#include "app/config_priv.h"

#include <stdio.h>

enum { MEMBER_PATH_BYTES_MAX = 3 * CONFIG_PATH_BYTES_MAX };

static void tell(struct config_loader *loader, size_t i, const char *member, const char *what)
{
    char path[MEMBER_PATH_BYTES_MAX];

    (void)snprintf(path, sizeof(path), "upstreams[%zu].%s", i, member);
    config_problem_with(loader, false, path, "%s", what);
}

static bool has_tls(const struct config_upstream *upstream)
{
    return upstream->tls.ca_file != NULL || upstream->tls.crl_file != NULL ||
           upstream->tls.server_name != NULL || upstream->tls.cert_file != NULL ||
           upstream->tls.key_file != NULL || upstream->tls.min_version != CONFIG_TLS12;
}

/* A request must not go in clear because the target that speaks TLS is away. */
static void upstream_rule(struct config_loader *loader, size_t i,
                          const struct config_upstream *upstream)
{
    size_t safe = 0;

    for (size_t j = 0; j < upstream->target_count; j++)
        safe += config_target_is_tls(upstream->targets[j].url) ? 1 : 0;
    if (safe > 0 && safe < upstream->target_count)
        tell(loader, i, "targets", "are http and https, make two upstreams of them");
    if (safe == 0 && has_tls(upstream))
        tell(loader, i, "tls", "has no effect, no target is https");
    if (upstream->tls.cert_file != NULL && upstream->tls.key_file == NULL)
        tell(loader, i, "tls.cert_file", "needs tls.key_file");
    if (upstream->tls.key_file != NULL && upstream->tls.cert_file == NULL)
        tell(loader, i, "tls.key_file", "needs tls.cert_file");
    if (upstream->tls.crl_file != NULL && upstream->tls.ca_file == NULL)
        tell(loader, i, "tls.crl_file", "needs tls.ca_file, of whose authorities the lists are");
}

/* ---- listeners ---- */

static void proxied_rule(struct config_loader *loader, enum config_service service)
{
    const struct config_listener *listener = &loader->config->listeners[service];
    char path[CONFIG_PATH_BYTES_MAX];

    (void)snprintf(path, sizeof(path), "%s.proxy_protocol_from", config_service_name(service));
    if (!listener->proxy_protocol && listener->proxy_protocol_from.count > 0)
        config_problem_with(loader, true, path, "has no effect without %s.proxy_protocol: true",
                            config_service_name(service));
    for (size_t i = 0; i < listener->proxy_protocol_from.count; i++)
        if (span_ends(span_from(listener->proxy_protocol_from.items[i]), SPAN_OF("/0")))
            config_problem_with(loader, loader->config->environment != CONFIG_PRODUCTION, path,
                                "%s lets anyone say who he is, name your proxies",
                                listener->proxy_protocol_from.items[i]);
    (void)snprintf(path, sizeof(path), "%s.proxy_protocol", config_service_name(service));
    if (listener->proxy_protocol && listener->proxy_protocol_from.count == 0 &&
        loader->config->trusted_proxies.count == 0)
        config_problem_with(loader, false, path,
                            "lets nobody in: name the proxies in %s.proxy_protocol_from or "
                            "trusted_proxies",
                            config_service_name(service));
}

static void redirect_rule(struct config_loader *loader)
{
    const struct config *config = loader->config;
    const struct config_listener *gateway = &config->listeners[CONFIG_GATEWAY];

    if (config->redirect.port == 0) {
        if (config->redirect.to_port != 0)
            config_problem_with(loader, true, "gateway.redirect_to_port",
                                "has no effect without gateway.redirect_port");
        return;
    }
    if (gateway->certificate == NULL)
        config_problem_with(loader, false, "gateway.redirect_port",
                            "needs gateway.tls.certificate, there is no HTTPS to send to");
    if (config->redirect.port == gateway->port)
        config_problem_with(loader, false, "gateway.redirect_port", "%u is gateway.port too",
                            config->redirect.port);
}

void config_tls_rules(struct config_loader *loader)
{
    const struct config *config = loader->config;

    for (enum config_service i = 0; i < CONFIG_SERVICE_COUNT; i++)
        proxied_rule(loader, i);
    redirect_rule(loader);

    for (size_t i = 0; i < config->upstreams.count; i++)
        upstream_rule(loader, i, &config->upstreams.items[i]);
}
