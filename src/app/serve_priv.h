/* SPDX-License-Identifier: MIT
 * What the files of the running program share. */
#ifndef PC_APP_SERVE_PRIV_H
#define PC_APP_SERVE_PRIV_H

#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>

#include "account/account.h"
#include "app/serve.h"
#include "audit/audit.h"
#include "auth/auth.h"
#include "auth/auth_key.h"
#include "crypto/tls.h"
#include "gateway/gateway.h"
#include "http/http.h"
#include "http/http_snapshot.h"
#include "ledger/ledger.h"
#include "ledger/ledger_call.h"
#include "monitor/monitor.h"
#include "net/net.h"
#include "net/net_pool.h"
#include "oauth/oauth.h"
#include "trail/trail_keeper.h"

/* A policy with the memory it lives in. */
struct serve_policy {
    struct http_policy policy;
    struct arena arena;
};

/* All that a reload swaps (serve_snapshot.c); each part owns its member. */
struct serve_snapshot {
    struct serve *serve;
    const struct config *config;
    struct serve_lease *settings; /* that `config` is of */
    struct http_snapshot *http;
    struct serve_policy *policy;
    struct serve_issuers *issuers;
    struct serve_upstreams *upstreams;
};

enum { SERVE_PROBES_MAX = 8 };

struct http_redirect;

/* What a listener's connections pass (serve_door.c). */
struct serve_door {
    struct serve *serve;
    const char *name;
    pthread_mutex_t lock;      /* of the networks */
    struct http_network *from; /* who may say whose a connection is */
    size_t from_count;
    _Atomic int64_t quiet_ns; /* until then no refusal is logged */
    _Atomic uint64_t untold;  /* refusals since the last one that was */
};

struct serve_listener {
    struct serve_door door;
    const char *name;             /* "gateway" */
    struct http_service *service; /* NULL: not served */
    struct crypto_tls_context *tls;
    struct metric_series *certificate_end; /* of `tls`; NULL without TLS */
    struct net_listener *net;
    char address[NI_MAXHOST]; /* literal */
    uint16_t port;
    bool reserves; /* a free port, by the socket `reserved` */
    int reserved;
    int given; /* a socket that listens there already; 0: none */
};

struct serve {
    const struct config *config;
    const char *version;
    const struct config *settled; /* what was taken over last */
    pthread_mutex_t change;       /* of `now` and what it holds */
    bool (*reload)(void *context, struct sbuf *answer);
    void *reload_context;
    struct serve_admin *admin;
    const struct config_origins *origins; /* of the first; may be NULL */
    unsigned services;                    /* bits of those that are served */
    int64_t started_ns;                   /* monotonic */
    bool is_started;                      /* the trail was told so */
    bool is_lenient;                      /* events that do not fit are logged */
    bool is_hardened;                     /* serve_harden was called */
    const struct clock *clock;
    const struct random_source *random;
    struct logger *logger;
    struct metrics *metrics;
    struct store *store;
    struct store *audit_store; /* that the log is in: the same, or its own */
    struct serve_trail *trail;
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
    struct audit_service audit;
    struct monitor *monitor;
    struct monitor_probe probes[SERVE_PROBES_MAX];
    size_t probe_count;
    struct serve_housekeeper *housekeeper;
    struct trail_verifier audit_key;
    char audit_memory[SERVE_PATH_BYTES]; /* the file of the last checkpoint */
    struct http_engine *engine;
    struct serve_limits *limits; /* NULL: none is shared */
    struct serve_behind *behind; /* NULL: this process serves all, or no gateway */
    struct serve_snapshot *now;  /* in force */
    struct serve_policy *policy; /* that services are made with; stays until the end */
    struct net_pool *hash_pool;
    struct net_pool *sign_pool;
    struct net_server *server;
    struct serve_pulse *pulses; /* one for each loop; NULL: nobody has asked yet */
    struct serve_listener listeners[CONFIG_SERVICE_COUNT];
    struct http_redirect *redirect; /* NULL: none */
    int redirect_given;             /* as of a listener */
    struct auth_feed *feed;
    size_t seeded;         /* users made by this start */
    size_t clients_seeded; /* the same of clients */
};

/* Writes the sentence and returns `err`. */
PC_FORMAT(3, 4)
PC_CHECKED enum err serve_fail(struct serve_fault *fault, enum err err, const char *format, ...);

/* serve_given.c: each socket that was handed over to the listener whose place it has, after
 * serve_listeners_place; ERR_CONFIG when one has no such place. Closed by serve_given_close. */
PC_CHECKED enum err serve_given_place(struct serve *serve, int first, unsigned count,
                                      struct serve_fault *fault);
void serve_given_close(struct serve *serve);

/* serve_harden.c: binds the listeners, with what low ports need, and then takes the calls away. */
PC_CHECKED enum err serve_harden_bind(struct serve *serve, bool unbound, struct serve_fault *fault);
PC_CHECKED enum err serve_harden_filter(const struct serve *serve, struct serve_fault *fault);

/* serve_audit.c: before the stores, between them, with both; and back. */
struct store_seal;
PC_CHECKED enum err serve_audit_prepare(struct serve *serve);
const struct store_seal *serve_audit_seal(struct serve *serve);
PC_CHECKED enum err serve_audit_open(struct serve *serve, struct serve_fault *fault);
PC_CHECKED enum err serve_audit_start(struct serve *serve);
PC_CHECKED enum err serve_audit_metrics(struct serve *serve);
void serve_audit_look(void *context, struct monitor_report *report); /* a probe */
void serve_audit_stop(struct serve *serve);
void serve_audit_close(struct serve *serve);
void serve_audit_free(struct serve *serve);

/* serve_health.c */
extern const struct http_route serve_health_routes[];
extern const struct http_route serve_health_bearer_routes[];

/* serve_keys.c */
PC_CHECKED enum err serve_keys(struct serve *serve, struct serve_fault *fault);
PC_CHECKED enum err serve_data_folder(const char *path, struct serve_fault *fault);

/* serve_ledger.c */
PC_CHECKED enum err serve_ledger_start(struct serve *serve, struct serve_fault *fault);
PC_CHECKED enum err serve_housekeeper_start(struct serve *serve);
void serve_housekeeper_stop(struct serve *serve);

/* serve_monitor.c */
PC_CHECKED enum err serve_monitor_start(struct serve *serve, struct serve_fault *fault);
PC_CHECKED enum err serve_monitor_watch(struct serve *serve);
void serve_monitor_settings(struct serve *serve, const struct config *config); /* came into force */
void serve_monitor_stop(struct serve *serve); /* while what it looks at is there */
void serve_monitor_free(struct serve *serve);

/* serve_keeper.c */
PC_CHECKED enum err serve_keeper_start(struct serve *serve, struct serve_fault *fault);
void serve_keeper_stop(struct serve *serve); /* while the store is open */
void serve_keeper_free(struct serve *serve);

/* serve_issuers.c: a part of a snapshot. */
PC_CHECKED enum err serve_issuers_make(struct serve_snapshot *made,
                                       const struct serve_snapshot *now, struct serve_fault *fault);
/* Writes whose tokens the row takes. */
PC_CHECKED enum err serve_issuers_row(const struct serve_snapshot *made,
                                      const struct config_texts *names, struct arena *arena,
                                      struct http_route *row);
void serve_issuers_free(struct serve_snapshot *snapshot);

/* serve_snapshot.c */
PC_CHECKED enum err serve_snapshot_make(struct serve *serve, const struct serve_settings *settings,
                                        struct serve_snapshot **ret, struct serve_fault *fault);
void serve_snapshot_drop(struct serve_snapshot *made); /* never taken; accepts NULL */
void serve_snapshot_take(struct serve_snapshot *made); /* cannot fail */
/* For what points into settings and may outlive their snapshot. */
PC_CHECKED struct serve_lease *serve_lease_share(struct serve_lease *lease);
void serve_lease_end(struct serve_lease *lease); /* accepts NULL */

/* serve_admin.c: the operators' socket; when everything runs. */
PC_CHECKED enum err serve_admin_start(struct serve *serve, struct serve_fault *fault);
void serve_admin_stop(struct serve *serve); /* before what it looks at goes */

/* serve_admin_answers.c: the answer to a request, in JSON; its status. On the admin's thread. */
int serve_admin_answer(struct serve *serve, struct span method, struct span target,
                       struct sbuf *out);

/* serve_upstreams.c */
struct json_writer;
void serve_upstreams_tell(const struct serve_snapshot *snapshot, struct json_writer *w);
/* The target by its URL or its host and port; false when there is none. */
PC_CHECKED bool serve_upstreams_find(const struct serve_snapshot *snapshot, struct span name,
                                     struct span target, struct upstream **ret_upstream,
                                     size_t *ret_target);

/* serve_upstreams.c: a part of a snapshot. */
PC_CHECKED enum err serve_upstreams_make(struct serve_snapshot *made,
                                         const struct serve_snapshot *now,
                                         struct serve_fault *fault);
void serve_upstreams_taken(struct serve_snapshot *snapshot);
void serve_upstreams_enter(struct serve_snapshot *snapshot, struct net_loop *loop);
void serve_upstreams_leave(struct serve_snapshot *snapshot, struct net_loop *loop);
void serve_upstreams_free(struct serve_snapshot *snapshot);
const struct http_route *serve_upstreams_rows(const struct serve_snapshot *snapshot);
struct upstream_target;
PC_CHECKED enum err serve_target_read(const struct config_target *from, struct arena *arena,
                                      struct upstream_target *ret);

/* serve_behind.c: the services that this process does not serve, reached by its gateway. */
PC_CHECKED enum err serve_behind_start(struct serve *serve, struct serve_fault *fault);
/* The rows of such a service, passed on to it, as they are mounted from `from` to `to`. NULL
 * without memory. */
const struct http_route *serve_behind_rows(struct serve *serve, enum config_service service,
                                           const struct http_route *rows, const char *from,
                                           const char *to);
void serve_behind_free(struct serve *serve);

/* serve_breaker.c: a route's own time limits, complete; NULL: the upstream's. Without memory *ok is
 * false. */
const struct upstream_times *serve_times(const struct config_route *from,
                                         const struct upstream *upstream, struct arena *arena,
                                         bool *ok);
/* What the file says of breakers; NULL when an upstream has none of its own. */
struct breaker_options serve_breaker_options(const struct config_breaker *from);
PC_CHECKED enum err serve_breaker_make(const struct serve_snapshot *made,
                                       const struct config_upstream *from,
                                       struct http_breaker *former,
                                       struct http_breaker **ret_breaker);

/* Is the upstream's breaker the same by both? What it leaves out is as in general. */
bool serve_breaker_same(const struct config_upstream *from, const struct config *a,
                        const struct config *b);

/* serve_redis.c: where its name leads, now and whenever it is away. */
struct limit_redis_options;
struct limit_shared;
struct serve_redis;
PC_CHECKED enum err serve_redis_find(const struct config_redis *redis,
                                     struct limit_redis_options *ret, struct serve_fault *fault);
PC_CHECKED enum err serve_redis_follow(struct limit_shared *shared,
                                       const struct config_redis *redis, struct serve_redis **ret);
void serve_redis_free(struct serve_redis *follower); /* accepts NULL */

/* serve_limits.c: before the engine, and when no loop runs any more. */
PC_CHECKED enum err serve_limits_start(struct serve *serve, struct serve_fault *fault);
struct limit_shared *serve_limits_shared(const struct serve *serve); /* NULL: none is shared */
struct limit_sharing serve_sharing(const struct config *config, const struct config_sharing *own);
PC_CHECKED enum err serve_limits_route(const struct config *config,
                                       const struct config_route *route, struct arena *arena,
                                       const struct http_limits **ret);
void serve_limits_look(void *context, struct monitor_report *report); /* a probe */
void serve_limits_free(struct serve *serve);

/* serve_upstream_tls.c: a context for each target, to be freed when the upstream has them. */
enum { SERVE_TARGETS_MAX = CONFIG_TARGETS_MAX };
PC_CHECKED enum err serve_upstream_tls_make(const struct serve *serve,
                                            const struct config_upstream *from,
                                            struct crypto_tls_context *ret[SERVE_TARGETS_MAX],
                                            struct serve_fault *fault);
void serve_upstream_tls_free(struct crypto_tls_context **contexts, size_t count);

/* serve_oauth.c */
PC_CHECKED enum err serve_oauth_start(struct serve *serve, struct serve_fault *fault);
void serve_oauth_changed(void *context, struct span what); /* for the feed */
void serve_oauth_minute(struct serve *serve);
void serve_oauth_stop(struct serve *serve);

/* serve_listen.c: find every place, bind them, take over new certificates (all or none). */
PC_CHECKED enum err serve_listeners_place(struct serve *serve, bool unbound,
                                          struct serve_fault *fault);
PC_CHECKED enum err serve_listeners_bind(struct serve *serve, bool unbound,
                                         struct serve_fault *fault);
PC_CHECKED enum err serve_listeners_reload(struct serve *serve, const struct config *config,
                                           struct serve_fault *fault);
void serve_listeners_free(struct serve *serve);

/* serve_door.c */
PC_CHECKED enum err serve_door_make(struct serve *serve, enum config_service service,
                                    struct net_listener_options *options);
void serve_doors_reload(struct serve *serve, const struct config *config);
void serve_doors_free(struct serve *serve);
PC_CHECKED enum err serve_redirect_bind(struct serve *serve, struct serve_fault *fault);

/* serve_services.c */
PC_CHECKED enum err serve_services_new(struct serve *serve, struct serve_fault *fault);

/* serve_policy.c */
PC_CHECKED enum err serve_policy_make(const struct config *config, struct serve_policy **ret);
void serve_policy_free(struct serve_policy *policy); /* accepts NULL */
PC_CHECKED enum err serve_policy_part(struct serve_snapshot *made, const struct serve_snapshot *now,
                                      struct serve_fault *fault);
void serve_policy_part_free(struct serve_snapshot *snapshot);

/* serve_metrics.c */
PC_CHECKED enum err serve_metrics(struct serve *serve);

#endif
