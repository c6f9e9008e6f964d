/* SPDX-License-Identifier: MIT
 * Which tables of routes each listener offers, and the services made of them. A table that several
 * listeners offer is mounted again, below another path where the contract says so. */
#include "app/serve_priv.h"

#include <string.h>

/* Whose functions the rows of a table call. */
enum owner { OWNER_NOBODY, OWNER_AUTH, OWNER_OAUTH, OWNER_LEDGER, OWNER_ACCOUNTS };

struct mounted {
    const struct http_route *rows;
    const char *from, *to;
    const char *only; /* the path of the only row that is offered; NULL: all */
    enum owner owner;
};

static const struct mounted gateway_tables[] = {
    {.rows = gateway_routes},
    {.rows = auth_routes, .owner = OWNER_AUTH},
    {.rows = auth_admin_routes, .owner = OWNER_AUTH},
    {.rows = gateway_order_routes, .owner = OWNER_LEDGER},
    {.rows = account_routes, .from = "/", .to = "/api/v1/", .owner = OWNER_ACCOUNTS},
    {.rows = ledger_transaction_routes, .from = "/", .to = "/api/v1/", .owner = OWNER_LEDGER},
    {.rows = ledger_transfer_routes, .from = "/", .to = "/api/v1/", .owner = OWNER_LEDGER},
    {.rows = oauth_api_routes, .from = "/auth", .to = "/api/v1/oauth", .owner = OWNER_OAUTH},
    {.rows = oauth_self_routes,
     .only = "/whoami",
     .from = "/whoami",
     .to = "/api/v1/oauth/whoami",
     .owner = OWNER_OAUTH},
    {.rows = oauth_page_routes, .owner = OWNER_OAUTH},
    {.rows = oauth_metadata_routes, .owner = OWNER_OAUTH},
};

static const struct mounted auth_tables[] = {
    {.rows = oauth_api_routes, .owner = OWNER_OAUTH},
    {.rows = oauth_self_routes, .owner = OWNER_OAUTH},
    {.rows = oauth_page_routes, .owner = OWNER_OAUTH},
    {.rows = oauth_metadata_routes, .owner = OWNER_OAUTH},
};

/* So that their pages can sign in where they are: a browser asks no other origin for a token. */
#define SIGN_IN_TABLES                                                                             \
    {.rows = oauth_api_routes, .only = "/auth/token", .owner = OWNER_OAUTH},                       \
    {                                                                                              \
        .rows = oauth_page_routes, .owner = OWNER_OAUTH                                            \
    }

static const struct mounted account_tables[] = {
    {.rows = serve_health_routes},
    {.rows = account_routes, .owner = OWNER_ACCOUNTS},
    {.rows = account_user_routes, .owner = OWNER_ACCOUNTS},
    SIGN_IN_TABLES,
};

static const struct mounted transaction_tables[] = {
    {.rows = serve_health_routes},
    {.rows = ledger_transaction_routes, .owner = OWNER_LEDGER},
    {.rows = ledger_transfer_routes, .owner = OWNER_LEDGER},
    SIGN_IN_TABLES,
};

#define AUTH_ABOUT                                                                                 \
    "OAuth 2.0 and OpenID Connect: tokens for clients and for users who signed in here.\n\n"       \
    "The token endpoint answers errors as RFC 6749 says; all others are "                          \
    "`application/problem+json` (RFC 9457)."

#define ACCOUNT_ABOUT                                                                              \
    "Accounts of customers: opening, freezing and closing them, their balances and "               \
    "statements.\n\n"                                                                              \
    "Amounts are exact decimals of the account's currency, with whole minor units beside them. "   \
    "Errors are `application/problem+json` (RFC 9457)."

#define TRANSACTION_ABOUT                                                                          \
    "Payments on one account, transfers between two, and the postings of the double-entry ledger " \
    "behind both.\n\n"                                                                             \
    "Every request that moves money takes an `Idempotency-Key`: the same key and body are "        \
    "answered with the same bytes again. Errors are `application/problem+json` (RFC 9457)."

static const struct {
    const char *name, *title, *about, *docs_base, *token_path;
    const struct mounted *tables;
    size_t table_count;
} services[CONFIG_SERVICE_COUNT] = {
    [CONFIG_GATEWAY] = {.name = GATEWAY_SERVICE,
                        .title = GATEWAY_TITLE,
                        .about = GATEWAY_ABOUT,
                        .docs_base = "/api/",
                        .token_path = "/api/v1/oauth/token",
                        .tables = gateway_tables,
                        .table_count = PC_COUNT(gateway_tables)},
    [CONFIG_AUTH] = {.name = "auth-service",
                     .title = "Portcullis Auth Service",
                     .about = AUTH_ABOUT,
                     .docs_base = "/",
                     .token_path = "/auth/token",
                     .tables = auth_tables,
                     .table_count = PC_COUNT(auth_tables)},
    [CONFIG_ACCOUNT] = {.name = "account-service",
                        .title = "Portcullis Account Service",
                        .about = ACCOUNT_ABOUT,
                        .docs_base = "/",
                        .token_path = "/auth/token",
                        .tables = account_tables,
                        .table_count = PC_COUNT(account_tables)},
    [CONFIG_TRANSACTION] = {.name = "transaction-service",
                            .title = "Portcullis Transaction Service",
                            .about = TRANSACTION_ABOUT,
                            .docs_base = "/",
                            .token_path = "/auth/token",
                            .tables = transaction_tables,
                            .table_count = PC_COUNT(transaction_tables)},
};

static void *context_of(struct serve *serve, enum owner owner)
{
    if (serve == NULL)
        return NULL;
    switch (owner) {
    case OWNER_AUTH:
        return serve->auth;
    case OWNER_OAUTH:
        return serve->oauth;
    case OWNER_LEDGER:
        return serve->ledger;
    case OWNER_ACCOUNTS:
        return &serve->accounts;
    case OWNER_NOBODY:
        break;
    }
    return NULL;
}

/* The table's rows, or its only one that is offered. */
static const struct http_route *rows_of(const struct mounted *table, struct http_route one[2])
{
    const struct http_route *row = table->rows;

    if (table->only == NULL)
        return row;
    while (row->path != NULL && strcmp(row->path, table->only) != 0)
        row++;
    PC_ASSERT(row->path != NULL);
    one[0] = *row;
    one[1] = (struct http_route){.path = NULL};
    return one;
}

static struct http_service_options options_of(struct serve *serve, enum config_service service,
                                              const char *version, struct serve_mounts *mounts)
{
    for (size_t i = 0; i < services[service].table_count; i++) {
        const struct mounted *table = &services[service].tables[i];

        PC_ASSERT(i < SERVE_MOUNTS_MAX);
        mounts->list[i] = (struct http_mount){.rows = rows_of(table, mounts->one[i]),
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
                                         .mount_count = services[service].table_count,
                                         .oauth_authorize_url = "/oauth/authorize",
                                         .oauth_token_url = services[service].token_path,
                                         .oauth_client_id = "api-docs"};
}

/* What the settings say of the pages' signing in. */
static void add_settings(const struct config *config, struct http_service_options *options)
{
    if (config->oauth.authorize_url != NULL)
        options->oauth_authorize_url = config->oauth.authorize_url;
    if (config->oauth.token_url != NULL)
        options->oauth_token_url = config->oauth.token_url;
    options->oauth_client_id = config->docs.client_id;
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
        add_settings(serve->config, &options);
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
