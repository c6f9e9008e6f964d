/* SPDX-License-Identifier: MIT
 * The listeners of the services: where each one is, its certificate, and binding it. A port that
 * the system chooses is chosen before anything else is made, since the issuer names its own address
 * in its metadata; until net/ has bound it, a socket that does not listen keeps others away. */
#include "app/serve_events.h"
#include "app/serve_priv.h"
#include "http/http_redirect.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* net/ takes literal addresses; names are asked for once, here. */
static enum err resolve(const char *section, const char *host, char text[NI_MAXHOST],
                        struct serve_fault *fault)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    int code = getaddrinfo(host, NULL, &hints, &found);

    if (code == 0)
        code = getnameinfo(found->ai_addr, found->ai_addrlen, text, NI_MAXHOST, NULL, 0,
                           NI_NUMERICHOST);
    if (found != NULL)
        freeaddrinfo(found);
    if (code != 0)
        return serve_fail(fault, ERR_CONFIG,
                          "%s.host: \"%s\" is no address of this machine "
                          "and cannot be looked up: %s",
                          section, host, gai_strerror(code));
    return ERR_OK;
}

/* 0: it has none. */
static uint16_t port_of(const struct sockaddr_storage *address, socklen_t bytes)
{
    char text[NI_MAXSERV];
    uint64_t port;

    if (getnameinfo((const struct sockaddr *)address, bytes, NULL, 0, text, sizeof(text),
                    NI_NUMERICSERV) != 0 ||
        !span_to_u64(span_from(text), &port) || port > UINT16_MAX)
        return 0;
    return (uint16_t)port;
}

/* Takes a free port. SO_REUSEADDR lets net/ bind it as well as long as we do not listen, and the
 * system gives it to nobody else. */
static enum err reserve(struct serve_listener *listener, struct serve_fault *fault)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct sockaddr_storage bound = {0};
    socklen_t bytes = sizeof(bound);
    struct addrinfo *found = NULL;
    bool good = false;
    int on = 1;

    if (getaddrinfo(listener->address, "0", &hints, &found) == 0) {
        listener->reserved = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        listener->reserves = listener->reserved >= 0;
        good = listener->reserves &&
               setsockopt(listener->reserved, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
               bind(listener->reserved, found->ai_addr, found->ai_addrlen) == 0 &&
               getsockname(listener->reserved, (struct sockaddr *)&bound, &bytes) == 0;
        freeaddrinfo(found);
    }
    if (!good)
        return serve_fail(fault, ERR_IO, "%s: no free port can be had on %s: %s", listener->name,
                          listener->address, strerror(errno));
    listener->port = port_of(&bound, bytes);
    return ERR_OK;
}

static void release(struct serve_listener *listener)
{
    if (listener->reserves)
        (void)close(listener->reserved);
    listener->reserves = false;
}

enum err serve_listeners_place(struct serve *serve, bool unbound, struct serve_fault *fault)
{
    for (enum config_service i = 0; i < CONFIG_SERVICE_COUNT; i++) {
        const struct config_listener *from = &serve->config->listeners[i];
        struct serve_listener *listener = &serve->listeners[i];
        enum err err;

        listener->name = config_service_name(i);
        listener->port = (uint16_t)from->port;
        if (unbound || !serve_serves(serve, i))
            continue;
        err = resolve(listener->name, from->host, listener->address, fault);
        if (!err && listener->port == 0)
            err = reserve(listener, fault);
        if (err)
            return err;
    }
    return ERR_OK;
}

/* ---- TLS ---- */

struct crypto_tls_options
serve_tls_options(const struct config *config, enum config_service service,
                  struct crypto_tls_identity others[CRYPTO_TLS_CERTIFICATES_MAX])
{
    static const enum crypto_tls_client clients[] = {
        [CONFIG_CLIENT_REQUIRED] = CRYPTO_TLS_CLIENT_REQUIRED,
        [CONFIG_CLIENT_OPTIONAL] = CRYPTO_TLS_CLIENT_OPTIONAL,
        [CONFIG_CLIENT_NONE] = CRYPTO_TLS_CLIENT_NONE};
    const struct config_listener *listener = &config->listeners[service];
    size_t count = listener->certificates.count;

    PC_ASSERT(count < CRYPTO_TLS_CERTIFICATES_MAX);
    for (size_t i = 0; i < count; i++)
        others[i] = (struct crypto_tls_identity){listener->certificates.items[i].cert_file,
                                                 listener->certificates.items[i].key_file};
    return (struct crypto_tls_options){
        .name = config_service_name(service),
        .cert_path = listener->certificate,
        .key_path = listener->key,
        .others = others,
        .other_count = count,
        .client = clients[listener->client_auth],
        .client_ca_path = listener->client_ca,
        .client_crl_path = listener->crl_file,
        .alpn = {config->http.http2 ? "h2" : "http/1.1", config->http.http2 ? "http/1.1" : NULL}};
}

static enum err make_tls(const struct serve *serve, const struct config *config,
                         enum config_service service, struct crypto_tls_context **ret_tls,
                         struct serve_fault *fault)
{
    struct crypto_tls_identity others[CRYPTO_TLS_CERTIFICATES_MAX];
    const struct crypto_tls_options options = serve_tls_options(config, service, others);
    struct crypto_fault why = {0};
    enum err err;

    *ret_tls = NULL;
    if (options.cert_path == NULL)
        return ERR_OK;
    err = crypto_tls_context_new(&options, serve->clock, ret_tls, &why);
    return err ? serve_fail(fault, err, "%s: %s", options.name, why.text) : ERR_OK;
}

/* A gauge rather than a callback: a reload frees the former context while /metrics is read. */
static void take_over(struct serve_listener *listener, struct crypto_tls_context *tls)
{
    listener->tls = tls;
    if (tls != NULL)
        metric_set(listener->certificate_end, crypto_tls_context_end_s(tls));
}

/* ---- binding ---- */

static enum err bind_one(struct serve *serve, enum config_service service, bool unbound,
                         struct serve_fault *fault)
{
    struct serve_listener *listener = &serve->listeners[service];
    struct net_listener_options options = {.name = listener->name,
                                           .host = listener->address,
                                           .port = listener->port,
                                           .given = listener->given,
                                           .app = &http_net_app,
                                           .app_context = listener->service};
    struct crypto_tls_context *tls = NULL;
    int why = 0;
    enum err err = make_tls(serve, serve->config, service, &tls, fault);

    if (err)
        return err;
    take_over(listener, tls);
    options.tls = tls;
    err = serve_door_make(serve, service, &options);
    if (err)
        return serve_fail(fault, err, "%s: %s", listener->name, err_sentence(err));
    if (unbound)
        return net_server_listen_none(serve->server, &options, &listener->net);
    err = net_server_listen(serve->server, &options, &listener->net, &why);
    release(listener);
    return err ? serve_fail(fault, err, "%s: %s port %u cannot be bound: %s", listener->name,
                            listener->address, (unsigned)listener->port, strerror(why))
               : ERR_OK;
}

enum err serve_listeners_bind(struct serve *serve, bool unbound, struct serve_fault *fault)
{
    for (enum config_service i = 0; i < CONFIG_SERVICE_COUNT; i++) {
        enum err err = serve_serves(serve, i) ? bind_one(serve, i, unbound, fault) : ERR_OK;

        if (err)
            return err;
    }
    if (unbound || serve->config->redirect.port == 0 || !serve_serves(serve, CONFIG_GATEWAY))
        return ERR_OK;
    return serve_redirect_bind(serve, fault);
}

/* All certificates are read before the first is taken over. */
enum err serve_listeners_reload(struct serve *serve, const struct config *config,
                                struct serve_fault *fault)
{
    struct crypto_tls_context *made[CONFIG_SERVICE_COUNT] = {NULL};
    enum err err = ERR_OK;

    for (enum config_service i = 0; i < CONFIG_SERVICE_COUNT && !err; i++) {
        if (!serve_serves(serve, i))
            continue;
        if ((config->listeners[i].certificate != NULL) != (serve->listeners[i].tls != NULL))
            err = serve_fail(fault, ERR_CONFIG,
                             "%s: TLS cannot be switched on or off by a reload; restart instead",
                             config_service_name(i));
        else
            err = make_tls(serve, config, i, &made[i], fault);
    }
    if (!err) /* nothing is wrong with them: from here on they are taken over */
        err = serve_event_reloaded(serve, config, fault);
    for (enum config_service i = 0; i < CONFIG_SERVICE_COUNT; i++) {
        struct crypto_tls_context *old = serve->listeners[i].tls;

        if (made[i] != NULL && !err) {
            net_listener_set_tls(serve->listeners[i].net, made[i]);
            if (i == CONFIG_GATEWAY && serve->redirect != NULL)
                http_redirect_set_tls(serve->redirect, made[i]);
            take_over(&serve->listeners[i], made[i]);
            made[i] = old;
        }
        crypto_tls_context_free(made[i]);
    }
    return err;
}

void serve_listeners_free(struct serve *serve)
{
    http_redirect_free(serve->redirect);
    serve_doors_free(serve);
    for (enum config_service i = 0; i < CONFIG_SERVICE_COUNT; i++) {
        release(&serve->listeners[i]);
        crypto_tls_context_free(serve->listeners[i].tls);
        http_service_free(serve->listeners[i].service);
    }
}

bool serve_serves(const struct serve *serve, enum config_service service)
{
    return (serve->services & CONFIG_SERVICE_BIT(service)) != 0;
}

uint16_t serve_port(const struct serve *serve, enum config_service service)
{
    return serve->listeners[service].port;
}

enum err serve_adopt(struct serve *serve, enum config_service service, int fd)
{
    PC_ASSERT(serve_serves(serve, service));
    return net_server_adopt(serve->server, serve->listeners[service].net, fd);
}
