/* SPDX-License-Identifier: MIT
 * Which tables of routes each listener offers, and the services made of them. A table that several
 * listeners offer is mounted again, below another path where the contract says so. */
#include "app/serve_priv.h"

/* Whose functions the rows of a table call. */
enum owner { OWNER_NOBODY, OWNER_AUTH };

struct mounted {
    const struct http_route *rows;
    const char *from, *to;
    enum owner owner;
};

static const struct mounted gateway_tables[] = {
    {.rows = gateway_routes},
    {.rows = auth_routes, .owner = OWNER_AUTH},
    {.rows = auth_admin_routes, .owner = OWNER_AUTH},
    {.rows = gateway_order_routes, .owner = OWNER_AUTH},
};

#define AUTH_ABOUT                                                                                 \
    "OAuth 2.0 and OpenID Connect: tokens for clients and for users who signed in here.\n\n"       \
    "The token endpoint answers errors as RFC 6749 says; all others are "                          \
    "`application/problem+json` (RFC 9457)."

static const struct {
    const char *name, *title, *about, *docs_base;
    const struct mounted *tables;
    size_t table_count;
} services[CONFIG_SERVICE_COUNT] = {
    [CONFIG_GATEWAY] = {.name = GATEWAY_SERVICE,
                        .title = GATEWAY_TITLE,
                        .about = GATEWAY_ABOUT,
                        .docs_base = "/api/",
                        .tables = gateway_tables,
                        .table_count = PC_COUNT(gateway_tables)},
    [CONFIG_AUTH] = {.name = "auth-service",
                     .title = "Portcullis Auth Service",
                     .about = AUTH_ABOUT,
                     .docs_base = "/"},
};

static void *context_of(const struct serve *serve, enum owner owner)
{
    if (serve == NULL || owner == OWNER_NOBODY)
        return NULL;
    return serve->auth;
}

static struct http_service_options options_of(const struct serve *serve,
                                              enum config_service service, const char *version,
                                              struct serve_mounts *mounts)
{
    for (size_t i = 0; i < services[service].table_count; i++) {
        const struct mounted *table = &services[service].tables[i];

        PC_ASSERT(i < SERVE_MOUNTS_MAX);
        mounts->list[i] = (struct http_mount){.rows = table->rows,
                                              .context = context_of(serve, table->owner),
                                              .from = table->from,
                                              .to = table->to};
    }
    return (struct http_service_options){.name = services[service].name,
                                         .title = services[service].title,
                                         .about = services[service].about,
                                         .version = version,
                                         .docs_base = services[service].docs_base,
                                         .mounts = mounts->list,
                                         .mount_count = services[service].table_count};
}

struct http_service_options serve_service_options(enum config_service service, const char *version,
                                                  struct serve_mounts *mounts)
{
    return options_of(NULL, service, version, mounts);
}

enum err serve_services_new(struct serve *serve, struct serve_fault *fault)
{
    for (enum config_service i = 0; i < CONFIG_SERVICE_COUNT; i++) {
        struct serve_mounts mounts;
        struct http_service_options options = options_of(serve, i, serve->version, &mounts);
        const char *why = NULL;
        enum err err;

        if (!serve_serves(serve, i))
            continue;
        options.policy = &serve->policy->policy;
        err = http_service_new(serve->engine, &options, &serve->listeners[i].service, &why);
        if (err)
            return serve_fail(fault, err, "%s cannot be set up: %s", options.name,
                              why ? why : err_sentence(err));
    }
    return ERR_OK;
}

static enum err set_policy(struct serve *serve, size_t count, const struct http_policy *policy,
                           size_t *ret_done)
{
    for (*ret_done = 0; *ret_done < count; ++*ret_done) {
        struct http_service *service = serve->listeners[*ret_done].service;
        enum err err = service ? http_service_policy(service, policy) : ERR_OK;

        if (err)
            return err;
    }
    return ERR_OK;
}

/* All services or none: those that took it over before one failed get the former one back. */
enum err serve_services_policy(struct serve *serve, const struct http_policy *policy,
                               const struct http_policy *former)
{
    size_t done;
    size_t back;
    enum err err = set_policy(serve, CONFIG_SERVICE_COUNT, policy, &done);

    if (err && set_policy(serve, done, former, &back) != ERR_OK)
        log_error(serve->logger, "policies_differ", LOG_U64("services", done - back));
    return err;
}
