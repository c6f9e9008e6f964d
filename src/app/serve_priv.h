/* SPDX-License-Identifier: MIT
 * What the files of the running program share. */
#ifndef PC_APP_SERVE_PRIV_H
#define PC_APP_SERVE_PRIV_H

#include <netdb.h>

#include "account/account.h"
#include "app/serve.h"
#include "auth/auth.h"
#include "crypto/tls.h"
#include "gateway/gateway.h"
#include "http/http.h"
#include "ledger/ledger.h"
#include "ledger/ledger_call.h"
#include "net/net.h"
#include "net/net_pool.h"
#include "oauth/oauth.h"

/* A policy with the memory it lives in; older ones stay until the end, since requests in flight
 * may still look at them. */
struct serve_policy {
    struct http_policy policy;
    struct arena arena;
    struct serve_policy *older;
};

struct serve_listener {
    const char *name;             /* "gateway" */
    struct http_service *service; /* NULL: not served */
    struct crypto_tls_context *tls;
    struct net_listener *net;
    char address[NI_MAXHOST]; /* literal */
    uint16_t port;
    bool reserves; /* a free port, by the socket `reserved` */
    int reserved;
};

struct serve {
    const struct config *config;
    const char *version;
    unsigned services; /* bits of those that are served */
    const struct clock *clock;
    const struct random_source *random;
    struct logger *logger;
    struct metrics *metrics;
    struct store *store;
    struct crypto_key *key;
    struct crypto_keyset *keys;
    struct crypto_signer signer;
    struct auth *auth;
    char oauth_keys_dir[SERVE_PATH_BYTES];
    struct oauth_keys *oauth_keys;
    char oauth_url[512]; /* of the issuer's endpoints */
    struct oauth *oauth;
    bool oauth_keys_behind; /* the last reload failed */
    struct ledger *ledger;
    struct account_service accounts;
    struct serve_housekeeper *housekeeper;
    struct http_engine *engine;
    struct serve_policy *policy;
    struct net_pool *hash_pool;
    struct net_pool *sign_pool;
    struct net_server *server;
    struct serve_listener listeners[CONFIG_SERVICE_COUNT];
    struct auth_feed *feed;
    size_t seeded;         /* users made by this start */
    size_t clients_seeded; /* the same of clients */
};

/* Writes the sentence and returns `err`. */
PC_FORMAT(3, 4)
PC_CHECKED enum err serve_fail(struct serve_fault *fault, enum err err, const char *format, ...);

/* serve_health.c */
extern const struct http_route serve_health_routes[];

/* serve_keys.c */
PC_CHECKED enum err serve_keys(struct serve *serve, struct serve_fault *fault);
PC_CHECKED enum err serve_data_folder(const char *path, struct serve_fault *fault);

/* serve_ledger.c */
PC_CHECKED enum err serve_ledger_start(struct serve *serve, struct serve_fault *fault);
PC_CHECKED enum err serve_housekeeper_start(struct serve *serve);
void serve_housekeeper_stop(struct serve *serve);

/* serve_oauth.c */
PC_CHECKED enum err serve_oauth_start(struct serve *serve, struct serve_fault *fault);
void serve_oauth_changed(void *context, struct span what); /* for the feed */
void serve_oauth_minute(void *context);
void serve_oauth_stop(struct serve *serve);

/* serve_listen.c: find every place, bind them, take over new certificates (all or none). */
PC_CHECKED enum err serve_listeners_place(struct serve *serve, bool unbound,
                                          struct serve_fault *fault);
PC_CHECKED enum err serve_listeners_bind(struct serve *serve, bool unbound,
                                         struct serve_fault *fault);
PC_CHECKED enum err serve_listeners_reload(struct serve *serve, const struct config *config,
                                           struct serve_fault *fault);
void serve_listeners_free(struct serve *serve);

/* serve_services.c */
PC_CHECKED enum err serve_services_new(struct serve *serve, struct serve_fault *fault);
PC_CHECKED enum err serve_services_policy(struct serve *serve, const struct http_policy *policy,
                                          const struct http_policy *former);

/* serve_policy.c */
PC_CHECKED enum err serve_policy_make(const struct config *config, struct serve_policy **ret);
void serve_policy_free(struct serve_policy *policy);

/* serve_metrics.c */
PC_CHECKED enum err serve_metrics(struct serve *serve);

#endif
