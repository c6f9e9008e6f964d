/* SPDX-License-Identifier: MIT
 * What the files of http/ share among themselves. See README.md for the journey. */
#ifndef PC_HTTP_HTTP_PRIV_H
#define PC_HTTP_HTTP_PRIV_H

#include "http/http.h"
#include "http/http_epoch.h"
#include "http/http_path.h"
#include "http/http_router.h"
#include "limit/breaker.h"
#include "net/net_pool.h"
#include "web/web.h"

enum {
    HTTP_TOKEN_HASH_BYTES = 32,
    HTTP_BUCKET_ROUTES = 16, /* the first bucket id of routes; those below are general */
    HTTP_REQUEST_ID_BYTES_MAX = 128,
    HTTP_REPLY_HEAD_BYTES = 1536, /* what a usual reply needs; it may grow to the maximum */
    HTTP_REPLY_HEAD_BYTES_MAX = 16 * 1024,
    HTTP_FEED_STALE_MS = 1000, /* rights are asked for again when the feed is silent for longer */
    HTTP_STATUS_COUNT = 500,   /* 100 .. 599 */
    HTTP_LOG_TIME_BYTES = 19,  /* "2026-02-03T04:05:06" */
    HTTP_NAMES_MAX = 64,       /* scopes, and roles, that rows name: one bit each */
    HTTP_NAME_BYTES_MAX = 64,
    HTTP_PATH_BYTES_MAX = 256, /* of a route's path, as it is mounted */
};

extern const struct json_schema http_problem_schema;

/* Names of scopes or roles; the place of each is its bit. Filled while services are made. */
struct http_names {
    size_t count;
    uint8_t len[HTTP_NAMES_MAX];
    char text[HTTP_NAMES_MAX][HTTP_NAME_BYTES_MAX];
};

/* What a row asks of a token. */
struct http_needs {
    unsigned kinds;  /* bits of enum http_token_kind */
    uint64_t scopes; /* all of these */
    uint64_t roles;  /* one of these; 0: none is needed */
};

/* A route as it runs: its row, its counters, its breaker. */
struct http_route_state {
    struct http_service *service;
    struct http_route row;         /* a copy: built-in rows have paths made at run time */
    const struct web_asset *asset; /* of a documentation page; else NULL */
    void *context;                 /* of its mount */
    struct http_needs needs;
    struct breaker *breaker; /* NULL when not guarded */
    struct span log_tail;    /* the constant members of its access log line */
    struct metric_series *duration;
    struct metric_series *breaker_gauge;
    _Atomic(struct metric_series *) by_status[HTTP_STATUS_COUNT];
};

/* The policy with everything that can be looked up once looked up. */
struct http_rules {
    const struct http_policy *policy;
    struct http_rules *older;
    struct limit_rate route_rates[]; /* by route index; requests 0: not limited by itself */
};

struct http_service {
    struct http_engine *engine;
    struct http_service_options options;
    _Atomic(struct http_rules *) rules;
    struct http_router *router;
    struct http_route_state *routes;
    size_t route_count;
    uint32_t bucket_first;           /* ids of its routes' own buckets; services share one table */
    struct http_route_state nowhere; /* counts what has no route */
    struct arena arena;              /* of texts made at start */
    struct span openapi_json, openapi_yaml;
    char etag[24];        /* of both, with its quotes */
    struct span docs_csp; /* of the page that may call the API and the issuer */
};

struct http_engine {
    struct http_engine_options options;
    struct limit_table *limits;
    uint32_t
        bucket_next; /* ids that services have not taken yet; services are made by one thread */
    struct http_epochs epochs;
    struct http_names scopes, roles;
    struct metric *requests;
    struct metric *durations;
    struct metric *limit_decisions;
    struct metric *breaker_states;
    struct metric *breaker_transitions;
    struct metric *token_cache;
    struct metric_series *limited[2];    /* [allowed] */
    struct metric_series *token_seen[2]; /* [hit] */
    struct metric_series *breaker_moved[BREAKER_STATE_COUNT];
};

struct http_cache; /* verified tokens of one loop */

/* What one loop keeps. */
struct http_lane {
    struct http_engine *engine;
    struct net_loop *loop;
    struct http_cache *cache;
    int64_t log_second; /* the one that log_time tells */
    char log_time[HTTP_LOG_TIME_BYTES];
};

/* The well-known headers of a request, found in one pass. */
struct http_known {
    struct span host;
    struct span authorization;
    struct span origin;
    struct span request_id;
    struct span traceparent;
    struct span content_type;
    struct span preflight_method;
    struct span preflight_headers;
    struct span accept_encoding;
    struct span if_none_match;
    unsigned host_count;
    unsigned authorization_count;
    unsigned content_type_count;
};

/* Where a request stands; the order is the journey. */
enum http_stop {
    HTTP_STOP_ROUTE,
    HTTP_STOP_ADDRESS_LIMIT,
    HTTP_STOP_TOKEN,
    HTTP_STOP_RIGHTS,
    HTTP_STOP_USER_LIMIT,
    HTTP_STOP_AUTHORIZE,
    HTTP_STOP_BODY,
    HTTP_STOP_INPUT,
    HTTP_STOP_BREAKER,
    HTTP_STOP_RUN,
    HTTP_STOP_COUNT
};

/* A request with all that handlers need not see. */
struct http_call {
    struct http_request req; /* first: a handler's pointer is this one */
    struct net_stream *stream;
    struct http_lane *lane;
    struct http_rules *rules;
    struct http_route_state *state;
    struct http_known known;
    enum http_stop stop;
    bool waiting;   /* for another thread; the stream is held */
    bool body_done; /* the request is complete */
    bool answered;
    bool close;
    bool same_origin; /* an OPTIONS for a path that other origins may not call */

    struct net_task back;   /* brings it home from another thread */
    struct store_job store; /* takes it to a store thread */
    struct net_job hash;    /* takes it to a hash thread */
    enum http_run run;      /* the stop asked for by http_hop */
    http_handler_fn *handle;
    http_handler_fn *visited; /* where it is; the stop asked for must not replace it */
    bool hopping;
    const struct http_group *group; /* the stop asked for is one of many in a commit */
    uint32_t weight;
    enum err visit_err; /* what the last visit on a store thread returned, unless it was settled */
    enum err run_err;

    struct sbuf body;
    enum http_form form; /* that the body is written in */
    struct http_principal principal;
    unsigned char token_hash[HTTP_TOKEN_HASH_BYTES];
    struct { /* as it was when the store was asked for rights */
        int64_t user_id, client_key;
        uint32_t moves;
    } asked;
    struct limit_rate user_rate; /* of this user, when it differs */
    unsigned char address[16];
    bool failure_charged; /* wrong credentials, to the address; once, however often it runs */
    bool verdict_given;
    struct limit_verdict verdict; /* the last bucket that was asked */
    bool breaker_held;
    struct breaker_ticket ticket;

    http_finally_fn *finally;
    http_finally_fn *finally_before; /* what it was when the store was asked to run something */

    /* The reply. */
    int status;
    struct span content_type;
    struct span reply_body;
    struct span csp; /* in place of the API's; empty: that one */
    struct span cache_control;
    struct sbuf extra; /* further header lines */
    enum err err;      /* it is a problem */
    bool settled;      /* which is written already */
    const char *detail;
    int64_t retry_after_ns;
    struct json_problems *problems;
};

static inline struct http_call *http_call_of(struct http_request *req)
{
    return PC_CONTAINER(req, struct http_call, req);
}

static inline const struct http_route_state *http_call_state(const struct http_request *req)
{
    return ((const struct http_call *)req)->state; /* req is its first member */
}

/* http_service.c: the row's path as its mount serves it, in `text`. The empty span when it does not
 * begin with the mount's `from`, or is too long. */
struct span http_mount_path(const struct http_mount *mount, const struct http_route *row,
                            char text[HTTP_PATH_BYTES_MAX]);

/* http_head.c: the canonical request. */
PC_CHECKED enum err http_call_begin(struct http_call *call);
void http_call_identify(struct http_call *call); /* request id, trace id, address */

/* http_reply.c: "GET, HEAD, POST" of a router's bits, with HEAD beside GET, and OPTIONS. */
void http_methods_add(struct sbuf *out, uint32_t methods);

/* http_cors.c */
bool http_cors_is_preflight(const struct http_call *call);
void http_cors_preflight(struct http_call *call, uint32_t methods);
void http_cors_headers(const struct http_call *call, struct sbuf *out);

/* http_token.c: the stops from bearer to principal. */
PC_CHECKED enum err http_token_take(struct http_call *call, struct span *ret_token);
bool http_cache_find(struct http_call *call); /* fills principal on a hit */
bool http_rights_are_fresh(const struct http_lane *lane, const struct http_principal *principal);
void http_rights_ask(struct http_call *call);  /* before the store is asked */
void http_rights_keep(struct http_call *call); /* when it has answered */
bool http_token_is_at_home(const struct http_call *call);
PC_CHECKED enum err http_cache_new(struct http_cache **ret_cache);
void http_cache_free(struct http_cache *cache);

/* http_authorize.c */
const char *http_needs_compile(struct http_engine *engine, struct http_route_state *state);
uint64_t http_names_bits(const struct http_names *names, struct span list);
/* Gives each name of the list a place. False if one is malformed, or there is no place left. */
PC_CHECKED bool http_names_add(struct http_names *names, const char *list, uint64_t *ret_bits);
PC_CHECKED enum err http_authorize(const struct http_call *call);

/* http_limits.c */
PC_CHECKED enum err http_limit_address(struct http_call *call);
PC_CHECKED enum err http_limit_verify(struct http_call *call);
PC_CHECKED enum err http_limit_user(struct http_call *call);
void http_limit_headers(const struct http_call *call, struct sbuf *out);
PC_CHECKED enum err http_rules_new(const struct http_service *service,
                                   const struct http_policy *policy, struct http_rules **ret);
struct limit_rate http_rules_user(const struct http_rules *rules, int64_t user_id); /* 0: none */

/* http_input.c */
PC_CHECKED enum err http_input_bind(struct http_call *call);
PC_CHECKED enum err http_body_bind(struct http_call *call);
PC_CHECKED enum err http_body_check(struct http_call *call); /* before it is read */
struct json_problems *http_problems(struct http_call *call); /* NULL: no memory */

/* http_problem.c */
void http_problem_write(struct http_call *call);
void http_problem_settle(struct http_call *call); /* the same, on any thread and for good */

/* http_reply.c: the end of the journey. */
void http_call_answer(struct http_call *call);

/* http_record.c: access log and metrics. */
PC_CHECKED enum err http_record_engine(struct http_engine *engine);
PC_CHECKED enum err http_record_route(struct http_service *service, struct http_route_state *state);
void http_record(const struct http_call *call, int64_t took_ns);

/* http_builtin.c: health, metrics and documents, on every listener. */
extern const struct http_route http_builtin_routes[]; /* end with a NULL path */
extern const struct http_route http_builtin_documents[];
extern const struct http_route http_builtin_asset;
PC_CHECKED enum err http_builtin_render(struct http_service *service);

/* http_openapi_security.c */
struct json_writer;
void http_openapi_requirements(struct json_writer *w, const struct http_service_options *options,
                               const struct http_route *route);
void http_openapi_schemes(struct json_writer *w, const struct http_service_options *options);

/* http_journey.c */
void http_call_fail(struct http_call *call, enum err err);
void http_call_forget(struct http_call *call); /* all that was said of a reply */
PC_CHECKED enum err http_call_visit(struct http_call *call);

/* http_group.c: a store_together_fn. */
PC_CHECKED enum err http_group_run(struct store_conn *conn, struct store_job *const *jobs,
                                   size_t count, const void *group);

#endif
