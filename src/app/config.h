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
    CONFIG_AUDIT,
    CONFIG_MONITORING,
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

enum { CONFIG_CERTIFICATES_MAX = 63 };

struct config_certificate {
    const char *cert_file; /* PEM chain */
    const char *key_file;
};

/* One place where connections are taken. `host` is a name or an address. TLS is
 * on when `certificate` is set. */
struct config_listener {
    const char *host;
    uint32_t port;
    const char *certificate; /* PEM chain; NULL: plain HTTP */
    const char *key;         /* PEM private key of it */
    const char *client_ca;   /* PEM bundle that client certificates are checked against */
    const char *crl_file;    /* what they must not be on; NULL: no list is looked at */
    enum config_client_auth client_auth;
    struct {
        struct config_certificate *items;
        size_t count;
    } certificates; /* beside `certificate`, chosen by the names in them */
    bool proxy_protocol;
    struct config_texts proxy_protocol_from; /* networks; none: trusted_proxies */
};

/* Whether a limit is kept with other nodes, and what holds while Redis is away. 0: as in general.
 */
enum config_limit_mode { CONFIG_LIMIT_OFF = 1, CONFIG_LIMIT_LEASED, CONFIG_LIMIT_EXACT };
enum config_outage { CONFIG_OUTAGE_SHARE = 1, CONFIG_OUTAGE_DENY, CONFIG_OUTAGE_ALLOW };
struct config_sharing {
    enum config_limit_mode mode;
    enum config_outage on_outage;
};

/* One of several limits of a route. */
struct config_limit_item {
    const char *per; /* "second", "seconds:10" */
    const char *key; /* "address", "header:x-key" */
    uint32_t requests;
    uint32_t burst; /* 0: as many as requests */
};
enum { CONFIG_LIMIT_ITEMS_MAX = 8 };

/* What was checked when it was read. */
uint32_t config_period_s(const char *per);
struct config_redis {
    bool tls;
    struct span user, password; /* percent-encoded still */
    struct span host;           /* without brackets */
    uint32_t port, database;
};
void config_redis_read(const char *url, struct config_redis *ret);

/* A limit that differs from the general one. Of the names exactly the one that its list is about is
 * set. A number left out is 0 and means: as in general. */
struct config_limit {
    const char *route; /* "POST /api/v1/auth/login": method and path as in the route table */
    const char *user;  /* the user's id, as in the claim user_id */
    const char *plan;  /* limits.plans: its name; limits.users: the plan this user is on */
    uint32_t requests_per_minute;
    uint32_t burst;
    struct config_sharing sharing; /* of limits.routes */
};

struct config_limits {
    struct config_limit *items;
    size_t count;
};

/* ---- what is forwarded: upstreams, and the routes to them ---- */

enum { CONFIG_UPSTREAMS_MAX = 64, CONFIG_TARGETS_MAX = 64, CONFIG_ROUTES_MAX = 512 };
enum { CONFIG_ISSUERS_MAX = 16 };

enum config_balance { CONFIG_ROUND_ROBIN, CONFIG_LEAST_REQUESTS, CONFIG_POWER_OF_TWO, CONFIG_HASH };
enum config_hash_on {
    CONFIG_HASH_ADDRESS,
    CONFIG_HASH_USER,
    CONFIG_HASH_HEADER,
    CONFIG_HASH_COOKIE
};

struct config_target {
    const char *url; /* http(s)://host[:port]; all of an upstream are https or none is */
    uint32_t weight;
    bool drain; /* no new requests */
};

/* Of a route or an upstream. */
struct config_breaker {
    uint32_t failures, seconds; /* 0: the general ones */
    uint32_t window_seconds, requests_min;
    uint32_t error_percent;         /* 0: no rate of errors */
    uint32_t slow_ms, slow_percent; /* both or neither */
    uint32_t probes_max;            /* exactly as many; 0: the general number at once */
};

/* Whether any of it is set. */
bool config_breaker_is_given(const struct config_breaker *breaker);

enum config_tls_version { CONFIG_TLS12, CONFIG_TLS13 };

struct config_upstream {
    const char *name;
    struct config_target *targets;
    size_t target_count; /* at least one */
    enum config_balance balance;
    enum config_hash_on hash_on;
    const char *hash_name;        /* of the header or cookie; NULL for the others */
    uint32_t connect_timeout_ms;  /* until a target takes the connection */
    uint32_t response_timeout_ms; /* until the first byte of its answer */
    uint32_t idle_timeout_ms;     /* between two pieces of it */
    uint32_t total_timeout_ms;    /* the whole of it, retries too; 0: any */
    uint32_t connections_max;     /* of each loop thread */
    uint32_t queue_max;           /* requests that wait for one, of each loop thread */
    uint32_t keep_alive_seconds;  /* an idle connection; 0: none is kept */
    uint32_t retries;             /* only where it is safe */
    struct {
        const char *path; /* NULL: no active checks; "tcp": only connect */
        uint32_t interval_s;
        uint32_t timeout_ms;
        uint32_t rise, fall; /* in a row */
    } check;
    struct {
        uint32_t failures; /* in a row */
        uint32_t seconds;
        uint32_t panic_percent;
    } eject;
    uint32_t slow_start_seconds;   /* 0: none */
    uint32_t resolve_seconds;      /* 0: 30 */
    struct config_breaker breaker; /* all 0: it has none of its own */
    struct {
        const char *ca_file;     /* NULL: the system's */
        const char *crl_file;    /* NULL: none is looked at */
        const char *server_name; /* NULL: the target's own host */
        const char *cert_file;   /* ours; NULL: none */
        const char *key_file;
        enum config_tls_version min_version;
    } tls; /* of https targets */
};

/* A route that says nothing is refused at load. */
enum config_access {
    CONFIG_ACCESS_NONE_SAID,
    CONFIG_ACCESS_OPEN,
    CONFIG_ACCESS_BEARER,
    CONFIG_ACCESS_ADMIN,
    CONFIG_ACCESS_KEY
};

/* A claim that tokens must have. */
struct config_claim {
    const char *claim;
    struct config_texts values; /* one of them; empty: any */
};

/* Whose tokens routes may take, besides our own. */
struct config_issuer {
    const char *name;
    const char *issuer; /* the claim iss */
    struct config_texts audience;
    struct config_texts algorithms;
    const char *jwks_file; /* either this ... */
    const char *jwks_url;  /* ... or this */
    const char *ca_file;   /* NULL: the system's */
    bool public_only;
    struct config_claim *required;
    size_t required_count;
    const char *scope_claim;
    const char *roles_claim;
    uint32_t refresh_seconds;
    uint32_t stale_seconds;
    uint32_t cooldown_seconds;
    uint32_t timeout_ms;
    uint32_t bytes_max;
    uint32_t leeway_seconds;
};

struct config_header {
    const char *name;
    const char *value;
};

struct config_route {
    const char *path; /* "/shop", "/shop/{id}"; a last segment * is itself and all below */
    struct config_texts methods; /* empty: GET HEAD POST PUT PATCH DELETE */
    struct config_texts hosts;   /* lower case, without port; empty: any */
    const char *upstream;        /* one of config.upstreams */
    enum config_access access;
    struct config_texts issuers; /* whose tokens; empty: our own */
    const char *key_header;      /* of an API key; NULL: X-API-Key */
    struct {
        struct config_texts allowed_origins; /* empty: as in general */
        bool allow_credentials;
        uint32_t max_age_s;                                   /* 0: the general one */
        struct config_texts allowed_headers, exposed_headers; /* besides the usual ones */
    } cors;
    struct config_texts scopes; /* all of them */
    struct config_texts roles;  /* one of them */
    const char *strip_prefix;   /* begins `path`, ends where a segment ends */
    const char *add_prefix;     /* in front of what is left */
    struct config_header *request_set;
    size_t request_set_count;
    struct config_texts request_remove;
    struct config_header *response_set;
    size_t response_set_count;
    struct config_texts response_remove;
    uint32_t body_bytes_max;      /* 0: http.body_bytes_max */
    uint32_t requests_per_minute; /* 0: the general one */
    uint32_t burst;               /* 0: the general one */
    bool rate_exempt;
    struct config_limit_item *limits; /* in place of requests_per_minute; all of them count */
    size_t limit_count;
    struct config_sharing sharing;
    bool trailers;                 /* pass, both ways */
    struct config_texts upgrades;  /* protocols to go on in; empty: none */
    uint32_t upgrade_idle_seconds; /* 0: 300 */
    bool preserve_host;            /* the client's Host, not the target's */
    struct config_breaker breaker;
    bool breaker_off;
    struct {
        uint32_t connect_ms, response_ms, idle_ms, total_ms; /* 0: the upstream's */
        bool endless;                                        /* no total */
    } timeouts;
};

struct config;
bool config_limits_are_shared(const struct config *config); /* any of them */

/* What the gateway keeps for itself, closed by NULL: "/api/v1". A route may stand above or beside
 * these, and still gets nothing of what is in them. */
extern const char *const config_areas[];

/* "https://...": of a target that was checked. */
bool config_target_is_tls(const char *url);

enum config_keys { CONFIG_KEYS_SEPARATE, CONFIG_KEYS_INSIDE };
enum config_swap { CONFIG_SWAP_FORBIDDEN, CONFIG_SWAP_AVOIDED, CONFIG_SWAP_ALLOWED };
enum config_hardening { CONFIG_HARDENING_STRICT, CONFIG_HARDENING_OFF };

struct config {
    enum config_environment environment;
    const char *data; /* folder for the embedded store and keys */

    struct {
        const char *url;     /* sqlite:…, postgresql://… */
        const char *sslmode; /* PostgreSQL: disable, require, verify-ca, verify-full; NULL: the
                                URL's own, else require */
    } database;

    struct {
        struct config_upstream *items;
        size_t count;
    } upstreams;
    struct {
        struct config_route *items;
        size_t count;
    } routes;
    struct {
        struct config_issuer *items;
        size_t count;
    } issuers;

    struct config_listener listeners[CONFIG_SERVICE_COUNT];
    const char *behind[CONFIG_SERVICE_COUNT]; /* where the gateway finds those that run elsewhere;
                                                 NULL: on loopback, at their listener's port */
    const char *behind_ca_file; /* of those that are https; NULL: the system's authorities */
    struct {
        uint32_t port;    /* 0: there is no such listener */
        uint32_t to_port; /* 0: the gateway's */
    } redirect;           /* in clear, to the gateway's HTTPS */
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
        bool http2; /* offered where there is TLS */
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
        struct {
            struct config_sharing general;
            uint32_t nodes; /* 0: not said */
            uint32_t lease_percent;
            uint32_t queue_max;
        } shared;
    } limits;

    struct {
        const char *url; /* redis://..., rediss://...; NULL: none */
        const char *password;
        const char *password_file; /* already read into `password` when set */
        const char *ca;            /* PEM that rediss:// is verified with; NULL: the system's */
        uint32_t connect_timeout_ms;
        uint32_t timeout_ms;
    } redis;

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
        struct {
            const char *url; /* NULL: the log is in `database` */
            const char *sslmode;
        } database;
        uint32_t events_per_minute; /* of each writer outside */
        uint32_t outbox_max;        /* events */
        uint32_t outbox_wait_s;
        const char *origin;   /* the log's name, under which it signs */
        const char *key_file; /* NULL: made at first start */
    } audit;

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
        const char *webhook_token;      /* NULL: tokens only */
        const char *webhook_token_file; /* already read into `webhook_token` when set */
        const char *node;               /* NULL: the host's name and the first port */
        uint32_t keep_days;
        uint32_t stale_after_s; /* 0: never */
    } monitor;

    struct {
        uint32_t notice_s;
        uint32_t drain_s;
    } shutdown;

    struct {
        const char *socket; /* NULL: in the data folder */
    } admin;

    struct {
        const char *user, *group; /* to become when started as root; NULL: stay */
        enum config_hardening hardening;
        enum config_swap swap;
        enum config_keys keys;
    } process;
};

/* Where the value of a setting came from. */
enum config_origin_kind { CONFIG_FROM_DEFAULT, CONFIG_FROM_FILE, CONFIG_FROM_ENVIRONMENT };
struct config_origin {
    enum config_origin_kind kind;
    uint32_t line;    /* of the file, from 1 */
    uint32_t column;  /* in characters, from 1 */
    const char *name; /* of the file, or of the environment variable */
};

enum { CONFIG_SETTINGS_MAX = 256 };
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

/* Is all that is said of the two the same? */
bool config_same_upstream(const struct config_upstream *a, const struct config_upstream *b);
bool config_same_issuer(const struct config_issuer *a, const struct config_issuer *b);
bool config_same_route(const struct config_route *a, const struct config_route *b);

/* What differs, in the order upstreams, issuers, routes, settings. The texts are valid during the
 * call. */
enum config_differs_kind {
    CONFIG_DIFFERS_UPSTREAM,
    CONFIG_DIFFERS_ISSUER,
    CONFIG_DIFFERS_ROUTE,
    CONFIG_DIFFERS_SETTING
};
enum config_differs_how { CONFIG_DIFFERS_NEW, CONFIG_DIFFERS_GONE, CONFIG_DIFFERS_CHANGED };
struct config_differs {
    enum config_differs_kind kind;
    enum config_differs_how how;
    struct span name;   /* "shop", "/shop", "limits.burst" */
    struct span detail; /* "balance, targets; affects /shop", "60 -> 120" */
    bool waits;         /* for a restart */
};
typedef void config_differs_fn(void *context, const struct config_differs *difference);
void config_differences(const struct config *before, const struct config *now,
                        config_differs_fn *told, void *context);
/* "~ setting limits.burst: 60 -> 120" */
void config_differs_line(const struct config_differs *difference, struct sbuf *out);

/* Names every setting that differs between the two and that a running program does not take over,
 * "gateway.port, workers.loops"; false when there is none. */
bool config_needs_restart(const struct config *running, const struct config *wanted,
                          struct sbuf *out);

/* SHA-256 over every setting in force, in hex; values of secrets left out. */
enum { CONFIG_HASH_BYTES = 64 };
void config_hash(const struct config *config, char hex[CONFIG_HASH_BYTES]);

/* "cors.max_age_seconds limits.burst and 3 more": names that fit into `out`. Those that differ, of
 * the settings that a reload takes over or of those that wait for the next start; and those that
 * are not left to their defaults. */
enum config_changes { CONFIG_CHANGED_LIVE, CONFIG_CHANGED_WAITING };
void config_changed(const struct config *before, const struct config *now,
                    enum config_changes which, struct sbuf *out);
void config_given(const struct config_origins *origins, struct sbuf *out);

/* docs/configuration.md and portcullis.example.yaml, made from the table. */
void config_reference(struct sbuf *out);
void config_example(struct sbuf *out);
/* The page portcullis.yaml(5), from the same rows. */
void config_man(struct sbuf *out);

#endif
