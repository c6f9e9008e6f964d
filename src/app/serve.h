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
#include "http/http.h"

struct serve;
struct net_server;
struct net_listener;

enum { SERVE_FAULT_BYTES = 1024 };

struct serve_fault {
    char text[SERVE_FAULT_BYTES]; /* one sentence: what is wrong and what to do */
};

struct serve_options {
    const struct config *config;
    const char *version;                /* of the program; lives as long */
    const struct clock *clock;          /* NULL: clock_system */
    const struct random_source *random; /* NULL: random_system */
    bool unbound;                       /* no socket: connections come by serve_adopt (tests) */
};

/* Opens the store, applies migrations, makes what is missing (keys; users in development), binds
 * and starts to answer. */
PC_CHECKED enum err serve_start(const struct serve_options *options, struct serve **ret_serve,
                                struct serve_fault *reterr);

/* What the gateway's listener offers, without its context and policy: for its API document. */
struct http_service_options serve_gateway_options(const char *version);

/* How new passwords are hashed. */
struct crypto_password_policy serve_password_policy(const struct config *config);

/* Whether every route that is given a rate is one. ERR_CONFIG with the sentence. */
PC_CHECKED enum err serve_routes_check(const struct config *config, struct serve_fault *reterr);

/* The port that the gateway is bound to. */
uint16_t serve_port(const struct serve *serve);

/* How many development users were made by this start. */
size_t serve_seeded(const struct serve *serve);

/* Gives a connected socket to the gateway, as if it had been accepted. */
PC_CHECKED enum err serve_adopt(struct serve *serve, int fd);

/* Takes over what may change while running (limits, CORS, proxies, certificates), opens the log
 * again. The new configuration must outlive the program as well. On failure everything stays. */
PC_CHECKED enum err serve_reload(struct serve *serve, const struct config *config,
                                 struct serve_fault *reterr);

/* Answers what is in flight, for at most the configured time, and stops. Accepts NULL. */
void serve_stop(struct serve *serve);

#endif
