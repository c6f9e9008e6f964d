/* SPDX-License-Identifier: MIT
 * Which tables of routes each listener offers, and the services made of them. A table that several
 * listeners offer is mounted again, below another path where the contract says so. */
#include "app/serve_priv.h"

#include <string.h>

/* Whose functions the rows of a table call. */
enum owner {
    OWNER_NOBODY,
    OWNER_AUTH,
    OWNER_OAUTH,
    OWNER_LEDGER,
    OWNER_ACCOUNTS,
    OWNER_AUDIT,
    OWNER_MONITOR,
};

struct mounted {
    const struct http_route *rows;
    const char *from, *to;
    const char *only; /* the path of the only row that is offered; NULL: all */
    enum owner owner;
    enum config_service home; /* which service answers, in this process or behind the gateway */
};

static const struct mounted gateway_tables[] = {
    {.rows = gateway_routes},
    {.rows = gateway_console_routes},
    {.rows = auth_routes, .owner = OWNER_AUTH},
    {.rows = auth_admin_routes, .owner = OWNER_AUTH},
    {.rows = gateway_order_routes, .owner = OWNER_LEDGER},
    {.rows = account_routes,
     .home = CONFIG_ACCOUNT,
     .from = "/",
     .to = "/api/v1/",
     .owner = OWNER_ACCOUNTS},
    {.rows = ledger_transaction_routes,
     .home = CONFIG_TRANSACTION,
     .from = "/",
     .to = "/api/v1/",
     .owner = OWNER_LEDGER},
    {.rows = ledger_transfer_routes,
     .home = CONFIG_TRANSACTION,
     .from = "/",
     .to = "/api/v1/",
     .owner = OWNER_LEDGER},
    {.rows = audit_read_routes,
     .home = CONFIG_AUDIT,
     .from = "/",
     .to = "/api/v1/",
     .owner = OWNER_AUDIT},
    {.rows = monitor_read_routes,
     .home = CONFIG_MONITORING,
     .from = "/",
     .to = "/api/v1/",
     .owner = OWNER_MONITOR},
    {.rows = oauth_api_routes,
     .home = CONFIG_AUTH,
     .from = "/auth",
     .to = "/api/v1/oauth",
     .owner = OWNER_OAUTH},
    {.rows = oauth_self_routes,
     .home = CONFIG_AUTH,
     .only = "/whoami",
     .from = "/whoami",
     .to = "/api/v1/oauth/whoami",
     .owner = OWNER_OAUTH},
    {.rows = oauth_page_routes, .home = CONFIG_AUTH, .owner = OWNER_OAUTH},
    {.rows = oauth_metadata_routes, .home = CONFIG_AUTH, .owner = OWNER_OAUTH},
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

static const struct mounted audit_tables[] = {
    {.rows = serve_health_bearer_routes},
    {.rows = audit_write_routes, .owner = OWNER_AUDIT},
    {.rows = audit_read_routes, .owner = OWNER_AUDIT},
    SIGN_IN_TABLES,
};

static const struct mounted monitoring_tables[] = {
    {.rows = serve_health_bearer_routes},
    {.rows = monitor_write_routes, .owner = OWNER_MONITOR},
    {.rows = monitor_read_routes, .owner = OWNER_MONITOR},
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

#define AUDIT_ABOUT                                                                                \
    "The audit log: every event is a leaf of an RFC 6962 Merkle tree, and nothing in it can be "   \
    "changed, dropped or put in between without the proofs telling.\n\n"                           \
    "Writers show a client certificate besides their token; its common name is the event's "       \
    "`source_service`. Errors are `application/problem+json` (RFC 9457)."

#define MONITORING_ABOUT                                                                           \
    "Alerts as Alertmanager sends them, who looks after them, and the state of every service and " \
    "node.\n\n"                                                                                    \
    "Errors are `application/problem+json` (RFC 9457)."

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
    [CONFIG_AUDIT] = {.name = "audit-service",
                      .title = "Portcullis Audit Service",
                      .about = AUDIT_ABOUT,
                      .docs_base = "/",
                      .token_path = "/auth/token",
                      .tables = audit_tables,
                      .table_count = PC_COUNT(audit_tables)},
    [CONFIG_MONITORING] = {.name = "monitoring-service",
                           .title = "Portcullis Monitoring Service",
                           .about = MONITORING_ABOUT,
                           .docs_base = "/",
                           .token_path = "/auth/token",
                           .tables = monitoring_tables,
                           .table_count = PC_COUNT(monitoring_tables)},
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
    case OWNER_AUDIT:
        return &serve->audit;
    case OWNER_MONITOR:
        return serve->monitor;
    case OWNER_NOBODY:
        break;
    }
    return NULL;
}

/* The log may be in a database of its own. */
static struct store *store_of(const struct serve *serve, enum owner owner)
{
    return serve != NULL && owner == OWNER_AUDIT ? serve->audit.store : NULL;
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

/* Rows of a service that runs elsewhere are passed on to it. */
static const struct http_route *rows_here(struct serve *serve, const struct mounted *table,
                                          struct http_route one[2])
{
    const struct http_route *rows = rows_of(table, one);

    if (serve == NULL || serve->behind == NULL || serve_serves(serve, table->home))
        return rows;
    return serve_behind_rows(serve, table->home, rows, table->from, table->to);
}

static const struct {
    const char *name, *about;
} tags[] = {
    {"Gateway", "Who answers here, and whether it is well."},
    {"Authentication", "Users register, log in and out, and refresh their sessions."},
    {"Users", "Who has accounts."},
    {"Administration", "Users, as administrators see them."},
    {"Trading", "Orders to buy and sell, and what holds their cost."},
    {"Accounts", "Accounts, their balances and statements."},
    {"Transactions", "Money in or out of one account."},
    {"Transfers", "Money from one account to another."},
    {"Postings", "Entries of the ledger that touch several accounts."},
    {"Events", "The audit log, written and read."},
    {"Proofs", "What shows that the audit log only grew."},
    {"Alerts", "What Alertmanager and the program itself told."},
    {"Monitoring", "How every service and node is."},
    {"OAuth", "Tokens, and what is known of them."},
    {"Clients", "Programs that may ask for tokens."},
    {"Health", "Whether the service answers."},
};

static const char *tag_about(const char *tag)
{
    for (size_t i = 0; i < PC_COUNT(tags); i++) {
        if (strcmp(tags[i].name, tag) == 0)
            return tags[i].about;
    }
    return NULL;
}

static struct http_service_options options_of(struct serve *serve, enum config_service service,
                                              const char *version, struct serve_mounts *mounts)
{
    size_t count = services[service].table_count;

    PC_ASSERT(count < SERVE_MOUNTS_MAX);
    for (size_t i = 0; i < count; i++) {
        const struct mounted *table = &services[service].tables[i];

        mounts->list[i] = (struct http_mount){.rows = rows_here(serve, table, mounts->one[i]),
                                              .context = context_of(serve, table->owner),
                                              .store = store_of(serve, table->owner),
                                              .from = table->from,
                                              .to = table->to};
    }
    return (struct http_service_options){.name = services[service].name,
                                         .title = services[service].title,
                                         .about = services[service].about,
                                         .version = version,
                                         .docs_base = services[service].docs_base,
                                         .mounts = mounts->list,
                                         .mount_count = count,
                                         .oauth_authorize_url = "/oauth/authorize",
                                         .oauth_token_url = services[service].token_path,
                                         .oauth_client_id = "api-docs",
                                         .tag_about = tag_about};
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
        for (size_t m = 0; m < options.mount_count; m++) {
            if (mounts.list[m].rows == NULL)
                return serve_fail(fault, ERR_NO_MEMORY, "no memory for the routes");
        }
        options.policy = &serve->policy->policy;
        options.areas = i == CONFIG_GATEWAY ? config_areas : NULL;
        add_settings(serve->config, &options);
        err = http_service_new(serve->engine, &options, &serve->listeners[i].service, &why);
        if (err)
            return serve_fail(fault, err, "%s cannot be set up: %s", options.name,
                              why ? why : err_sentence(err));
    }
    return ERR_OK;
}
