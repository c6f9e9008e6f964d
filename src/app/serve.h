/* SPDX-License-Identifier: MIT
 * The running program: everything below wired together from one configuration. Used by
 * `portcullis serve`, and by tests that run it inside their own process.
 *
 * Threads: start, reload and stop from one thread.
 * Memory: serve_start / serve_stop. The configuration must outlive it. */
#ifndef PC_APP_SERVE_H
#define PC_APP_SERVE_H

#include "app/config.h"
#include "base/clock.h"
#include "base/random.h"
#include "crypto/password.h"
#include "crypto/password_common.h"
#include "crypto/tls.h"
#include "http/http.h"
#include "oauth/oauth.h"

struct serve;
struct net_server;
struct net_listener;

enum { SERVE_FAULT_BYTES = 1024, SERVE_PATH_BYTES = 1024 };

struct serve_fault {
    char text[SERVE_FAULT_BYTES]; /* one sentence: what is wrong and what to do */
};

struct serve_options {
    const struct config *config;
    const struct config_origins *origins; /* of its settings, for the trail; may be NULL */
    const char *version;                  /* of the program; lives as long */
    const struct clock *clock;            /* NULL: clock_system */
    const struct random_source *random;   /* NULL: random_system */
    unsigned services;                    /* bits of config_service; 0: all of them */
    /* What POST /reload of the operators' socket does; NULL: it is refused. Any thread. Writes an
     * answer in JSON; false when the former settings stay. */
    bool (*reload)(void *context, struct sbuf *answer);
    void *reload_context;
    /* Sockets that listen already, each at the place of a service or of the redirect: this one and
     * those that follow. serve_start closes them, in the end or when it fails. */
    int given_first;
    unsigned given_count;
    bool lenient;  /* an event that is not as the catalogue says is logged; else it is the end */
    bool hardened; /* after serve_harden: the process gives up the rest as well */
    bool unbound;  /* no socket: connections come by serve_adopt (tests) */
};

/* Takes from the process what it will not need, as `process` says; first of all, and while there
 * are no threads. It can never be had again. */
struct serve_rights {
    bool is_root; /* still, since no user is named */
    bool swaps;   /* its memory may be written to swap, though that is to be avoided */
};
PC_CHECKED enum err serve_harden(const struct config *config, unsigned services,
                                 struct serve_rights *ret, struct serve_fault *fault);

/* Private keys into a process of their own, unless process.keys says otherwise; before there are
 * threads, and before a key is read. It keeps no socket that was given. Ends with
 * crypto_vault_stop. */
PC_CHECKED enum err serve_vault_start(const struct serve_options *options,
                                      struct serve_fault *fault);

/* Opens the store, applies migrations, makes what is missing (keys; users in development), binds
 * and starts to answer. */
PC_CHECKED enum err serve_start(const struct serve_options *options, struct serve **ret_serve,
                                struct serve_fault *reterr);

/* Room for the tables of one service. */
enum { SERVE_MOUNTS_MAX = 16 };
struct serve_mounts {
    struct http_mount list[SERVE_MOUNTS_MAX];
    struct http_route one[SERVE_MOUNTS_MAX][2]; /* tables of which one row is offered */
};

/* What a service offers, without contexts and policy: for its API document. It points into
 * `mounts`. */
struct http_service_options serve_service_options(enum config_service service, const char *version,
                                                  struct serve_mounts *mounts);

/* What TLS is made from, pointing into `others`; cert_path is NULL where the service is plain. */
struct crypto_tls_options
serve_tls_options(const struct config *config, enum config_service service,
                  struct crypto_tls_identity others[CRYPTO_TLS_CERTIFICATES_MAX]);
/* The same of an upstream, but the host. */
struct crypto_tls_client_options serve_upstream_tls_options(const struct config_upstream *from);

/* How the issuer's keys are kept; makes their folder, whose path goes into `dir`. */
PC_CHECKED enum err serve_oauth_keys_options(const struct config *config, struct store *store,
                                             char dir[SERVE_PATH_BYTES],
                                             struct oauth_keys_options *ret,
                                             struct serve_fault *fault);

/* How new passwords are hashed. */
struct crypto_password_policy serve_password_policy(const struct config *config);
/* Without a dictionary all are allowed in development, of which the settings have warned. */
enum crypto_password_common serve_password_common(const struct config *config);

/* Whether every route that is given a rate is one, of any of the services (bits; 0: all).
 * ERR_CONFIG with the sentence. */
PC_CHECKED enum err serve_routes_check(const struct config *config, unsigned services,
                                       struct serve_fault *reterr);

bool serve_serves(const struct serve *serve, enum config_service service);

/* The port that a service is bound to. */
uint16_t serve_port(const struct serve *serve, enum config_service service);

/* How many development users and clients were made by this start. */
size_t serve_seeded(const struct serve *serve);
size_t serve_clients_seeded(const struct serve *serve);

/* Gives a connected socket to a service that is served, as if it had been accepted. */
PC_CHECKED enum err serve_adopt(struct serve *serve, enum config_service service, int fd);

/* Settings, and what to do when nothing points into them any more: on the thread that reloads or
 * stops. */
struct serve_settings {
    const struct config *config;
    void (*over)(void *context); /* may be NULL */
    void *context;
};

/* Takes over what may change while running (upstreams, routes, limits, CORS, proxies,
 * certificates), all in one, and opens the log again. Returns when every new request is served by
 * it. On failure everything stays, and the settings are their owner's: `over` is not called. */
PC_CHECKED enum err serve_reload(struct serve *serve, const struct serve_settings *settings,
                                 struct serve_fault *reterr);

/* The settings that should have been taken over are wrong, and `why` says what: for the trail. The
 * log is opened again all the same. */
void serve_not_reloaded(struct serve *serve, struct span why);

/* Whether every loop has answered since it was asked last; asks again then. The first time it is
 * true, as it is seldom asked. By one thread, between start and stop. */
bool serve_is_alive(struct serve *serve);

/* Says at /readyz that this process will stop, and goes on with everything else. */
void serve_leave(struct serve *serve);

/* Answers what is in flight, for at most the configured time, and stops. Accepts NULL. */
void serve_stop(struct serve *serve);

#endif
