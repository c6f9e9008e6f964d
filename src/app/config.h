/* SPDX-License-Identifier: MIT
 * Every setting of the program, as one plain struct, and where each value came from.
 *
 * Defaults are overridden by the YAML file, and that by the environment names of the contract. All
 * three are made from one const table (config_settings, in config_table.c), and so are the range
 * checks, `portcullis check --explain` and docs/configuration.md. A struct config that config_load
 * returned has been checked whole: every number is in its range, every text has its form, and the
 * rules of production hold.
 *
 * Threads: loading in one; the loaded struct is read-only and may be read from any.
 * Memory:  everything lives in the arena given to config_load; secrets too, so a program that is
 *          done with them wipes its copy, never this one.
 * Units:   in the member's name; plain counts otherwise.
 * Source:  the table; docs/decisions/app-configuration.md. */
#ifndef PC_APP_CONFIG_H
#define PC_APP_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/sbuf.h"
#include "base/span.h"

/* Zero is the strict choice everywhere. */
enum config_environment { CONFIG_PRODUCTION, CONFIG_DEVELOPMENT };
enum config_client_auth { CONFIG_CLIENT_REQUIRED, CONFIG_CLIENT_OPTIONAL, CONFIG_CLIENT_NONE };
enum config_password_scheme { CONFIG_ARGON2ID, CONFIG_BCRYPT };
enum config_password_common {
    CONFIG_REFUSE_SIMILAR, /* words and what is made of them */
    CONFIG_REFUSE_LISTED,  /* the words themselves */
    CONFIG_ALLOW_COMMON,
};
enum config_log_level { CONFIG_LOG_DEBUG, CONFIG_LOG_INFO, CONFIG_LOG_WARN, CONFIG_LOG_ERROR };

/* What can be served, each on a listener of its own. */
enum config_service {
    CONFIG_GATEWAY,
    CONFIG_AUTH,
    CONFIG_ACCOUNT,
    CONFIG_TRANSACTION,
    CONFIG_SERVICE_COUNT
};
#define CONFIG_SERVICE_BIT(service) (1U << (service))
enum { CONFIG_SERVICES_ALL = (1U << CONFIG_SERVICE_COUNT) - 1 };

/* "gateway": its section of the file, and its name on the command line. */
const char *config_service_name(enum config_service service);

/* "gateway,auth" to bits. False with the name that is none of them. */
PC_CHECKED bool config_services_read(struct span list, unsigned *ret_services,
                                     struct span *ret_wrong);

struct config_listener;

/* "https://[::1]:8001": where it is reached at this host and port; a port of 0 is left out. */
void config_listener_url(const struct config_listener *listener, const char *host, uint16_t port,
                         struct sbuf *out);

/* A list of texts: origins, networks. */
struct config_texts {
    const char **items;
    size_t count;
};

/* One place where connections are taken. `host` is a name or an address. TLS is
 * on when `certificate` is set. */
struct config_listener {
    const char *host;
    uint32_t port;
    const char *certificate; /* PEM chain; NULL: plain HTTP */
    const char *key;         /* PEM private key of it */
    const char *client_ca;   /* PEM bundle that client certificates are checked against */
    enum config_client_auth client_auth;
};

/* A limit that differs from the general one. Of the names exactly the one that its list is about is
 * set. A number left out is 0 and means: as in general. */
struct config_limit {
    const char *route; /* "POST /api/v1/auth/login": method and path as in the route table */
    const char *user;  /* the user's id, as in the claim user_id */
    const char *plan;  /* limits.plans: its name; limits.users: the plan this user is on */
    uint32_t requests_per_minute;
    uint32_t burst;
};

struct config_limits {
    struct config_limit *items;
    size_t count;
};

struct config {
    enum config_environment environment;
    const char *data; /* folder for the embedded store and keys */

    struct {
        const char *url;     /* sqlite:…, postgresql://… */
        const char *sslmode; /* PostgreSQL: disable, require, verify-ca, verify-full; NULL: the
                                URL's own, else require */
    } database;

    struct config_listener listeners[CONFIG_SERVICE_COUNT];
    bool tls_terminated_in_front;
    struct config_texts trusted_proxies; /* networks, "10.0.0.0/8" */

    struct {
        uint32_t loops; /* 0: one per processor */
        uint32_t readers;
        uint32_t hashers;
        uint32_t store_queue_max;
        uint32_t hash_queue_max;
        uint32_t signers;
        uint32_t sign_queue_max;
    } workers;

    struct {
        uint32_t head_bytes_max;
        uint32_t headers_max;
        uint32_t target_bytes_max;
        uint32_t body_bytes_max;
        uint32_t header_timeout_ms; /* from the first byte of a head to its end */
        uint32_t idle_timeout_ms;   /* between requests */
        uint32_t body_timeout_ms;   /* between bytes of a body */
        uint32_t write_timeout_ms;  /* a reply that nobody takes */
        uint32_t body_rate_min;     /* bytes a second, after a grace of a few seconds */
        uint32_t connections_max;
        uint32_t connections_per_ip_max;
        uint32_t requests_per_connection_max;
    } http;

    struct {
        struct config_texts allowed_origins;
        bool allow_credentials;
        uint32_t max_age_s;
    } cors;

    struct {
        uint32_t requests_per_minute;
        uint32_t burst; /* 0: as many as requests_per_minute */
        uint32_t clients_max;
        struct config_limits routes;
        struct config_limits users;
        struct config_limits plans;
    } limits;

    struct {
        uint32_t failure_threshold;
        uint32_t timeout_s;
        uint32_t probes_max;
    } breaker;

    struct {
        const char *secret; /* HS*; NULL: made at first start, kept under `data` (development) */
        const char *secret_file; /* already read into `secret` when set */
        const char *algorithm;   /* HS256 … EdDSA */
        const char *key_file;    /* RS*, PS*, ES*, EdDSA; NULL: made at first start */
        const char *issuer;
        uint32_t access_minutes;
        uint32_t refresh_days;
        uint32_t grace_s;
        uint32_t leeway_s;
    } jwt;

    struct {
        const char *issuer; /* a URL without trailing slash */
        const char *audience;
        const char *url;              /* of the endpoints; NULL: see the table */
        const char *token_url;        /* NULL: below url */
        const char *authorize_url;    /* NULL: below url */
        const char *algorithm;        /* RS256 … EdDSA */
        const char *private_key_file; /* NULL: made at first start */
        const char *public_key_file;
        const char *kid; /* of private_key_file; NULL: its thumbprint */
        uint32_t access_minutes;
        uint32_t refresh_days;
        uint32_t code_s;
        uint32_t grace_s;
        uint32_t login_hours;
        uint32_t leeway_s;
    } oauth;

    struct {
        uint32_t key_hours;
        uint32_t backdate_days;
        uint32_t hold_hours; /* 0: until it is ended */
    } ledger;

    struct {
        const char *client_id; /* as which the API's pages sign in */
    } docs;

    struct {
        enum config_password_scheme scheme;
        uint32_t bcrypt_cost;
        uint32_t argon2_memory_kib;
        uint32_t argon2_passes;
        uint32_t argon2_lanes;
        uint32_t length_min; /* characters */
        enum config_password_common common;
    } password;

    struct {
        const char *path; /* "-": standard output */
        enum config_log_level level;
        bool access;
    } log;

    struct {
        struct config_texts allow; /* networks that may read /metrics */
    } metrics;

    struct {
        uint32_t drain_s;
    } shutdown;
};

/* Where the value of a setting came from. */
enum config_origin_kind { CONFIG_FROM_DEFAULT, CONFIG_FROM_FILE, CONFIG_FROM_ENVIRONMENT };
struct config_origin {
    enum config_origin_kind kind;
    uint32_t line;    /* of the file, from 1 */
    uint32_t column;  /* in characters, from 1 */
    const char *name; /* of the file, or of the environment variable */
};

enum { CONFIG_SETTINGS_MAX = 192 };
struct config_origins {
    struct config_origin of[CONFIG_SETTINGS_MAX]; /* by the setting's place in the table */
};

/* Where to look. `text` stands for the file in tests, with `path` as its name. */
struct config_sources {
    const char *path;           /* NULL: ./portcullis.yaml if there is one, else no file */
    const struct span *text;    /* NULL: read the file */
    const char *const *environ; /* "NAME=value" lines closed by NULL; NULL: none */
    unsigned services;          /* bits of those that will be served; 0: all of them */
    bool files_unchecked;       /* leave out what needs the disk: files exist, modes are safe */
};

/* What is wrong, each as one finished line such as
 *   portcullis.yaml:14:7: unknown key "upstrems", did you mean "upstreams"?
 * Warnings do not stop the start. No line ever holds a secret's value. */
enum { CONFIG_PROBLEMS_MAX = 50 };
struct config_problem {
    bool warning;
    struct span line;
};
struct config_problems {
    struct config_problem list[CONFIG_PROBLEMS_MAX];
    size_t count;   /* in the list */
    size_t errors;  /* in all */
    size_t omitted; /* that found no room in the list */
};

/* Reads, checks and returns the settings. ERR_CONFIG with every problem told (not only the first);
 * ERR_IO when the file cannot be read (told as well); ERR_NO_MEMORY. `ret_origins` may be NULL.
 * *ret_problems is always written. */
PC_CHECKED enum err config_load(const struct config_sources *sources, struct arena *arena,
                                struct config *ret, struct config_origins *ret_origins,
                                struct config_problems *ret_problems);

/* Every effective setting with its origin, a line each; secrets are masked. */
void config_explain(const struct config *config, const struct config_origins *origins,
                    struct sbuf *out);

/* Names every setting that differs between the two and that a running program does not take over,
 * "gateway.port, workers.loops"; false when there is none. */
bool config_needs_restart(const struct config *running, const struct config *wanted,
                          struct sbuf *out);

/* docs/configuration.md and portcullis.example.yaml, made from the table. */
void config_reference(struct sbuf *out);
void config_example(struct sbuf *out);

#endif
