/* SPDX-License-Identifier: MIT
 * What the files of http/ share among themselves. See README.md for the journey. */
#ifndef PC_HTTP_HTTP_PRIV_H
#define PC_HTTP_HTTP_PRIV_H

#include <pthread.h>

#include "base/hash.h"
#include "http/http.h"
#include "http/http_epoch.h"
#include "http/http_path.h"
#include "http/http_router.h"
#include "http/http_snapshot.h"
#include "limit/breaker.h"
#include "net/net_pool.h"
#include "trail/trail.h"
#include "web/web.h"

enum {
    HTTP_BUCKET_ROUTES = 16, /* the first bucket id of routes; those below are general */
    HTTP_REQUEST_ID_BYTES_MAX = 128,
    HTTP_REPLY_HEAD_BYTES = 1536, /* what a usual reply needs; it may grow to the maximum */
    HTTP_REPLY_HEAD_BYTES_MAX = 16 * 1024,
    HTTP_FEED_STALE_MS = 1000, /* rights are asked for again when the feed is silent for longer */
    HTTP_STATUS_COUNT = 500,   /* 100 .. 599 */
    HTTP_STATUS_CLIENT_GONE = 499,
    HTTP_LOG_TIME_BYTES = 19, /* "2026-02-03T04:05:06" */
    HTTP_NAMES_MAX = 64,      /* scopes, and roles, that rows name: one bit each */
    HTTP_NAME_BYTES_MAX = 64,
    HTTP_PATH_BYTES_MAX = 256, /* of a route's path, as it is mounted */
    HTTP_HOSTS = 1024,         /* places for host names; at most half are taken */
};

extern const struct json_schema http_problem_schema;
/* One of that error, as it may look. */
void http_problem_example(enum err err, struct sbuf *out);

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

/* What is known of a route and outlives its row: a reload makes the rows of upstreams anew, and a
 * route of the same host, method and path is the same route. */
struct http_lasting {
    struct http_lasting *next; /* of the engine's, in the order of their making */
    struct http_engine *engine;
    unsigned rows; /* that have it; of the one thread that makes them */
    bool shown;    /* its gauge asks this one */
    enum net_method method;
    const char *service;
    const char *path, *host; /* both in `text`; host NULL: any */
    uint32_t bucket;         /* ids of its own buckets: this and the next one */
    struct breaker *breaker; /* NULL when not guarded */
    struct breaker_options guard;
    struct metric_series *duration;
    struct metric_series *breaker_gauge;
    _Atomic(struct metric_series *) by_status[HTTP_STATUS_COUNT];
    _Atomic uint64_t strangers; /* denials that were only counted, and not yet taken to be told */
    uint64_t strangers_taken;   /* ... taken, and not yet in the log: until then it is not freed */
    struct http_lasting *telling; /* the next of those with such a count; of who tells them */
    char text[];
};

/* A route as it runs: its row, its counters, its breaker. */
struct http_route_state {
    struct http_service *service;
    struct http_route row;         /* a copy: built-in rows have paths made at run time */
    const struct web_asset *asset; /* of a documentation page; else NULL */
    void *context;                 /* of its mount */
    struct store *store;           /* the mount's, or the engine's */
    struct http_needs needs;
    struct http_lasting *lasting;
    struct breaker *breaker; /* of `lasting` */
    struct span log_tail;    /* the constant members of its access log line */
    struct span limit_name;  /* of its own limit, the same on every node */
};

struct http_draw;     /* http_limits_draw.c */
struct http_refusals; /* http_refusal.c */

struct http_route_rule {
    struct limit_rate rate; /* requests 0: not limited by itself */
    struct limit_sharing sharing;
};

/* The policy with everything that can be looked up once looked up. */
struct http_rules {
    const struct http_policy *policy;
    uint64_t snapshot;               /* whose they are; 0: of none */
    struct http_route_rule routes[]; /* by route index */
};

/* The routes of one host name, found before those of any host. */
struct http_host {
    struct span name; /* lower case; ptr NULL: a free place */
    struct http_router *router;
};

struct http_service {
    struct http_engine *engine;
    size_t place;                      /* of its rules in a snapshot */
    struct http_names *scopes, *roles; /* that its rows may name */
    struct http_service_options options;
    struct http_rules *rules; /* while there is no snapshot */
    struct http_router *router;
    struct http_host *hosts; /* HTTP_HOSTS places, by their hash; NULL: no route asks for a host */
    size_t host_count;
    struct http_route_state *routes;
    size_t route_count;
    struct http_route_state nowhere; /* counts what has no route */
    struct http_refusals *refusals;  /* counts them; NULL: of a snapshot, the listener's does */
    struct arena arena;              /* of texts made at start */
    struct span openapi_json, openapi_yaml;
    char etag[24];        /* of both, with its quotes */
    struct span docs_csp; /* of the page that may call the API and the issuer */
};

/* What became of a denial's event. */
enum http_denied_fate {
    HTTP_DENIED_RECORDED,
    HTTP_DENIED_COUNTED,
    HTTP_DENIED_BUSY,
    HTTP_DENIED_LOST
};
enum { HTTP_DENIED_FATES = 4 };

struct http_engine {
    struct http_engine_options options;
    struct limit_table *limits;
    uint32_t bucket_next; /* ids that routes have not taken yet; they are made by one thread */
    struct http_epochs epochs;
    _Atomic bool leaving;
    struct http_names scopes, roles;
    struct metric *requests;
    struct metric *durations;
    struct metric *limit_decisions;
    struct metric *breaker_states;
    struct metric *breaker_transitions;
    struct metric *token_cache;
    struct metric *refusals;
    struct metric_series *limited[2];    /* [allowed] */
    struct metric_series *token_seen[2]; /* [hit] */
    struct metric_series *breaker_moved[BREAKER_STATE_COUNT];
    _Atomic uint32_t breaker_telling; /* transitions on their way to the trail */
    struct metric_series *denied[HTTP_DENIED_FATES];
    struct metric_series *tunnels, *tunnel_bytes[2]; /* in, out */
    _Atomic uint32_t denied_waiting;                 /* events on their way to the store */
    struct limit_table *strangers; /* one bucket: of strangers' denials that are written each */
    int64_t strangers_told_ns;     /* until when those beyond it are in the log */
    pthread_mutex_t lasting_lock;  /* of the list */
    struct http_lasting *lasting, *newest; /* all of them; the last */
    struct http_lasting *hint;             /* the one found last */
    struct http_changer *changer;          /* http_snapshot.c */
};

struct http_cache; /* verified tokens of one loop */

/* What one loop keeps. */
struct http_lane {
    struct http_engine *engine;
    struct net_loop *loop;
    struct http_cache *cache;
    struct http_snapshot *snapshot; /* that new requests are served by; NULL: none */
    struct http_lane *next;         /* of the engine's */
    int64_t log_second;             /* the one that log_time tells */
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
    HTTP_STOP_DENIED, /* whatever the stop was; nothing comes behind it but the answer */
    HTTP_STOP_COUNT
};

/* What a handler said of an object that is there, but not the caller's. */
struct http_why_denied {
    enum err err; /* with which it is answered; ERR_OK: nothing was said */
    const char *reason;
    struct span object;
};

/* A request with all that handlers need not see. */
struct http_passage; /* http_proxy.c */
struct http_tunnel;

struct http_call {
    struct http_request req; /* first: a handler's pointer is this one */
    struct net_stream *stream;
    struct http_lane *lane;
    struct http_snapshot *snapshot; /* that it is served by; NULL: none */
    const struct http_rules *rules;
    struct http_route_state *state;
    struct http_known known;
    enum http_stop stop;
    bool waiting;   /* for another thread; the stream is held */
    enum err over;  /* what became of the request meanwhile; ERR_END: the client has gone */
    bool body_done; /* the request is complete */
    bool answered;
    bool close;
    bool same_origin;             /* an OPTIONS for a path that other origins may not call */
    const struct http_cors *cors; /* of the route that a preflight is about */

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

    struct http_passage *passage; /* to an upstream; NULL: none, or over */
    struct http_tunnel *tunnel;   /* what the upstream is offered; NULL: nothing */
    struct net_header hop;        /* what the answer's Connection names, for its trailers */
    struct sbuf body;
    enum http_form form; /* that the body is written in */
    struct http_principal principal;
    bool by_bearer; /* the principal is of the route's own bearer: no store knows of it */
    struct hash_mark token_mark; /* by which the lane's cache knows it */
    struct {                     /* as it was when the store was asked for rights */
        int64_t user_id, client_key;
        uint32_t moves;
    } asked;
    struct limit_rate user_rate; /* of this user, when it differs */
    unsigned char address[16];
    bool failure_charged; /* wrong credentials, to the address; once, however often it runs */
    bool verdict_given;
    struct limit_verdict verdict; /* the last bucket that was asked */
    uint32_t window_s;            /* of its rate; 0: a minute */
    struct http_draw *draw;       /* from several buckets, or shared ones: http_limits_draw.c */
    bool breaker_held;
    bool shared_held; /* the same of the upstream's */
    struct breaker_ticket ticket, ticket_shared;
    struct {                  /* for the access log */
        const char *upstream; /* NULL: nobody was asked */
        const char *target;   /* that was asked last; NULL: none was chosen */
        unsigned retries;
    } went_to;
    int64_t upstream_ns; /* until it began to answer; 0: nobody was asked, or it cannot be said */

    struct http_why_denied denied;
    struct trail_record *denial; /* on its way to the store */

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

/* http_service.c: rows that are made anew with each snapshot. */
PC_CHECKED enum err http_service_proxied(struct http_service *owner,
                                         const struct http_policy *policy, uint64_t snapshot,
                                         const struct http_route *rows, struct http_names *scopes,
                                         struct http_names *roles, struct http_service **ret,
                                         const char **reterr_why);
/* Metrics ask its breakers. */
void http_service_show(const struct http_service *service);

/* http_lasting.c: what is known of the row's route, by the breaker that it is to have; new unless
 * a row of the same host, method and path had it. */
PC_CHECKED enum err http_lasting_take(struct http_route_state *state,
                                      const struct breaker_options *guard);
void http_lasting_leave(struct http_service *service);
void http_lasting_free_all(struct http_engine *engine);

/* http_snapshot.c */
PC_CHECKED enum err http_changer_new(struct http_engine *engine);
void http_changer_free(struct http_engine *engine);
void http_changer_add(struct http_service *service);
void http_changer_remove(struct http_service *service);
void http_lane_enter(struct http_lane *lane);
void http_lane_leave(struct http_lane *lane);
/* A request is served by the loop's snapshot until it is over. */
void http_snapshot_use(struct http_call *call, const struct http_service *service);
void http_snapshot_done(struct http_call *call);
const struct http_service *http_snapshot_routes(const struct http_call *call); /* NULL: none */
const struct http_names *http_scopes_of(const struct http_call *call);
const struct http_names *http_roles_of(const struct http_call *call);

/* http_host.c: the route of this host. As http_router_find. */
PC_CHECKED enum err http_host_find_own(const struct http_service *service, struct span host,
                                       enum net_method method, struct span path,
                                       struct http_match *ret);
/* The route of this host, else of any. */
PC_CHECKED enum err http_host_find(const struct http_service *service, struct span host,
                                   enum net_method method, struct span path,
                                   struct http_match *ret);
PC_CHECKED enum err http_host_add(struct http_service *service, const char *host,
                                  struct http_router **ret_router);
void http_host_free(struct http_service *service);

/* http_head.c: the canonical request. */
PC_CHECKED enum err http_call_begin(struct http_call *call);
void http_call_identify(struct http_call *call); /* request id, trace id, address */

/* http_reply.c: "GET, HEAD, POST" of a router's bits, with HEAD beside GET, and OPTIONS. */
void http_methods_add(struct sbuf *out, uint32_t methods);

/* http_cors.c */
bool http_cors_is_preflight(const struct http_call *call);
bool http_cors_is_decided(const struct http_call *call); /* by us, whatever an upstream says */
/* The methods of the path for which a preflight's decision is the same; notes whose it is. */
uint32_t http_cors_find(struct http_call *call);
/* A preflight about a route with a decision of its own: no upstream is asked. */
bool http_cors_is_ours(const struct http_call *call);
void http_cors_preflight(struct http_call *call, uint32_t methods);
void http_cors_headers(const struct http_call *call, struct sbuf *out);

/* http_token.c: the stops from bearer to principal. */
PC_CHECKED enum err http_token_take(struct http_call *call, struct span *ret_token);
bool http_token_is_shown(const struct http_call *call); /* or what the route takes in its place */
bool http_token_is_key(const struct http_route *route, struct span header); /* a secret: stays */
bool http_cache_find(struct http_call *call, struct span token); /* fills principal on a hit */
void http_cache_keep(struct http_call *call);
bool http_rights_are_fresh(const struct http_lane *lane, const struct http_principal *principal);
void http_rights_ask(struct http_call *call);             /* before the store is asked */
void http_rights_keep(struct http_call *call);            /* when it has answered */
uint32_t http_rights_epoch(const struct http_call *call); /* of now, of the call's principal */
/* Is this principal, with rights read anew, still let in? Then the call's own are as new. */
PC_CHECKED enum err http_rights_judge(struct http_call *call, struct http_principal *seen);
const struct http_identity *http_identity_of(const struct http_call *call); /* http_journey.c */
bool http_token_is_at_home(const struct http_call *call);
PC_CHECKED enum err http_cache_new(const struct random_source *random,
                                   struct http_cache **ret_cache);
void http_cache_free(struct http_cache *cache);

/* http_issuer.c: tokens of others. */
/* Whether what is remembered of somebody counts on this route. */
bool http_issuer_is_taken(const struct http_route *route, const struct http_principal *principal);
int64_t http_issuer_payer(const char *issuer, struct span subject); /* for http_principal.payer */
PC_CHECKED enum err http_issuer_verify(struct http_call *call, struct span token, int64_t now_s);

/* http_authorize.c */
const char *http_needs_compile(struct http_names *scopes, struct http_names *roles,
                               struct http_route_state *state);
uint64_t http_names_bits(const struct http_names *names, struct span list);
/* Gives each name of the list a place. False if one is malformed, or there is no place left. */
PC_CHECKED bool http_names_add(struct http_names *names, const char *list, uint64_t *ret_bits);
PC_CHECKED enum err http_authorize(const struct http_call *call);

/* http_limits.c */
PC_CHECKED enum err http_limit_address(struct http_call *call);
PC_CHECKED enum err http_limit_verify(struct http_call *call);
PC_CHECKED enum err http_limit_user(struct http_call *call);
PC_CHECKED enum err http_limit_denied(struct http_call *call);
PC_CHECKED enum err http_limit_heed(struct http_call *call, const struct limit_verdict *verdict);
int64_t http_limit_subject(const struct http_call *call);
const struct http_route_rule *http_limit_rule(const struct http_call *call); /* of its route */
/* NULL: none of its own. Buckets: of an address, and the next one of a user. */
const struct limit_rate *http_limit_route(const struct http_call *call, uint32_t *ret_bucket);
void http_limit_headers(const struct http_call *call, struct sbuf *out);
PC_CHECKED enum err http_rules_new(const struct http_service *service,
                                   const struct http_policy *policy, uint64_t snapshot,
                                   struct http_rules **ret);
struct limit_rate http_rules_user(const struct http_rules *rules, int64_t user_id); /* 0: none */

/* http_limits_draw.c: from every bucket of the request, at a stop: the address's, or with
 * `by_user` those of who was identified. ERR_AGAIN: the call has left and comes to the stop again;
 * then the same again is the answer. */
PC_CHECKED enum err http_limit_draw(struct http_call *call, bool by_user);
PC_CHECKED enum err http_limit_name(struct http_service *service, struct http_route_state *state);

/* http_input.c */
PC_CHECKED enum err http_input_bind(struct http_call *call);
PC_CHECKED enum err http_body_bind(struct http_call *call);
PC_CHECKED enum err http_body_check(struct http_call *call); /* before it is read */
struct json_problems *http_problems(struct http_call *call); /* NULL: no memory */

/* http_problem.c */
void http_problem_write(struct http_call *call);
void http_problem_settle(struct http_call *call); /* the same, on any thread and for good */

/* http_denied.c: true when the call has gone to the store, or was answered. */
PC_CHECKED enum err http_denied_engine(struct http_engine *engine);
PC_CHECKED bool http_denied_go(struct http_call *call);
void http_denied_end(struct http_call *call);

/* http_strangers.c: true when the denial is a stranger's and was only counted. */
PC_CHECKED enum err http_strangers_engine(struct http_engine *engine);
PC_CHECKED bool http_strangers_count(struct http_call *call);

/* http_reply.c: the end of the journey. */
void http_call_answer(struct http_call *call);
/* The answer of last resort, when there is not even memory for a call. */
void http_answer_bare(struct net_stream *stream, int status);

/* The head lines of an answer that is not ours: `lines` are the upstream's, and `own` says which of
 * ours they stand in place of. */
struct http_passed {
    struct span lines;
    bool has_date, has_policy, has_permissions, has_cache;
};
struct span http_passed_head(struct http_call *call, const struct http_passed *passed);
/* The answer has left, or what there is of it: counted, logged, and told to the breaker. */
void http_passed_over(struct http_call *call);

/* http_breaker.c: the route's, and its upstream's. */
PC_CHECKED enum err http_breaker_make(struct http_service *service, struct http_route_state *state);
breaker_moved_fn http_breaker_route_moved; /* its context is a struct http_lasting */
/* A policy came into force: of the rows that the service was made with. */
void http_breakers_adjust(struct http_service *service, const struct http_policy *policy);
bool http_breaker_same(const struct breaker_options *a, const struct breaker_options *b);
PC_CHECKED bool http_breaker_admit(struct http_call *call, int64_t *ret_retry_after_ns);
void http_breaker_release(struct http_call *call, int64_t now_ns); /* how it went is known */
/* Whatever becomes of the request, it says nothing about what its breakers guard. */
void http_breaker_leave(struct http_call *call);
const char *http_breaker_shown(const struct http_call *call); /* NULL: it has none */

/* http_proxy.c: the request goes to the route's upstream. */
PC_CHECKED enum err http_proxy_go(struct http_call *call);
bool http_proxy_holds(const struct http_call *call); /* the body must wait */
void http_proxy_body(struct http_call *call, struct span bytes);
void http_proxy_end(struct http_call *call);
void http_proxy_gone(struct http_call *call); /* the client went, or sent what cannot be read */
void http_proxy_stop(struct http_call *call, enum err err); /* a tunnel that net/ ended */
void http_proxy_writable(struct http_call *call);

/* http_tunnel.c: the passage goes on in another protocol. */
struct http_tunnel {
    struct span offered;  /* to the upstream: "websocket" */
    struct span protocol; /* that it agreed to */
    bool open;
    bool upstream_over; /* it sends no more */
    int64_t opened_ns;
    uint64_t bytes_in, bytes_out; /* from the client, and to it */
    struct net_timer watch;       /* of the token that opened it */
    int64_t ends_ms;              /* when that expires, since 1970; 0: never */
    bool ended;
    bool looking; /* a store thread has what follows */
    struct store_job look;
    struct net_task home;
    struct http_principal seen; /* with the rights of now, in: */
    struct arena arena;
    struct http_call *call;
};
struct net_answer_head;
/* Before the upstream is asked: makes call->tunnel if there is something to offer. */
PC_CHECKED enum err http_tunnel_offer(struct http_call *call);
/* The upstream said 101. ERR_UPSTREAM_ANSWER: in what was not offered. */
struct upstream_call;
PC_CHECKED enum err http_tunnel_open(struct http_call *call, struct upstream_call *up,
                                     const struct net_answer_head *head);
bool http_tunnel_is_open(const struct http_call *call);
PC_CHECKED enum err http_tunnel_engine(struct http_engine *engine);
void http_tunnel_over(const struct http_call *call);                    /* if one was open */
void http_tunnel_lines(const struct http_call *call, struct sbuf *out); /* of the access log */

/* http_trailer.c: nothing of it where the route does not allow trailers. */
bool http_list_has(const struct net_header *headers, size_t count, const char *name,
                   struct span wanted); /* a comma-separated one */
/* The client looks at trailers: so the upstream is told. */
bool http_trailers_wanted(const struct http_call *call);
void http_trailers_announce(const struct http_call *call, struct sbuf *out);
/* Keeps what Connection names: the head is gone when trailers come. */
void http_trailers_announced(struct http_call *call, const struct net_answer_head *head,
                             struct sbuf *out);
/* Their lines, to the upstream at the end of the request, and back. */
struct span http_trailers_up(const struct http_call *call);
struct span http_trailers_down(const struct http_call *call, const struct net_header *trailers,
                               size_t count);

/* http_proxy_head.c */
struct upstream_target;
struct net_answer_head;
PC_CHECKED struct span http_proxy_request(struct http_call *call,
                                          const struct upstream_target *target);
/* Empty lines without memory. */
void http_proxy_lines(struct http_call *call, const struct net_answer_head *head,
                      struct http_passed *ret);
uint64_t http_proxy_key(const struct http_call *call);

/* http_record.c: access log and metrics. */
struct span http_method_name(enum net_method method);
PC_CHECKED enum err http_record_engine(struct http_engine *engine);
PC_CHECKED enum err http_record_route(struct http_service *service, struct http_route_state *state);
void http_record_lasting(struct http_lasting *lasting);
/* Metrics ask this one's breaker. */
void http_record_show(struct http_lasting *lasting);
/* Before its breaker goes: metrics ask it no more. */
void http_record_forget(struct http_lasting *lasting);
void http_record(const struct http_call *call, int64_t took_ns);

/* http_refusal.c: why, and by whom. Nobody is refused who ends a tunnel. */
PC_CHECKED enum err http_refusals_engine(struct http_engine *engine);
PC_CHECKED enum err http_refusals_make(struct http_service *service);
/* Of one who answers without a service, under this name, which must outlive it. */
PC_CHECKED enum err http_refusals_new(struct metrics *metrics, const char *service,
                                      struct http_refusals **ret_refusals);
void http_refusals_free(struct http_refusals *refusals); /* accepts NULL */
void http_refusals_add(struct http_refusals *refusals, enum err err);
static inline bool http_is_refusal(const struct http_call *call)
{
    return call->status >= 400 ||
           (call->err != ERR_OK && !(call->err == ERR_END && http_tunnel_is_open(call)));
}
void http_refusal_count(const struct http_call *call);
/* There was not even memory for a call. */
void http_refusal_bare(const struct http_service *service, enum err err);
void http_refusal_lines(const struct http_call *call, struct sbuf *out); /* of the access log */
/* What is no answer (err_is_told) is logged and becomes ERR_INTERNAL. */
PC_CHECKED enum err http_refusal_told(const struct http_call *call, enum err err);

/* http_builtin.c: health, metrics and documents, on every listener. */
extern const struct http_route http_builtin_routes[]; /* end with a NULL path */
extern const struct http_route http_builtin_documents[];
extern const struct http_route http_builtin_asset;
PC_CHECKED enum err http_builtin_render(struct http_service *service);

/* http_openapi_security.c */
struct json_writer;
void http_openapi_requirements(struct json_writer *w, const struct http_service_options *options,
                               const struct http_route *route);
/* Whom the row lets in, for other programs: x-access, x-roles. */
void http_openapi_access(struct json_writer *w, const struct http_route *route);
/* How the row is protected, in sentences. */
void http_openapi_protection(struct sbuf *out, const struct http_route *route);
void http_openapi_schemes(struct json_writer *w, const struct http_service_options *options);

/* http_journey.c */
/* As http_router_find, of the table that `ret_owner` has: those to upstreams that are for this
 * host, the service's own, those to upstreams for any; and only its own in its areas, so that an
 * upstream that takes everything says nothing of them. */
PC_CHECKED enum err http_route_find(const struct http_call *call, enum net_method method,
                                    const struct http_service **ret_owner, struct http_match *ret);
void http_call_fail(struct http_call *call, enum err err);
void http_call_leave(struct http_call *call);   /* the loop; comes back by http_call_go_home */
void http_call_go_home(struct http_call *call); /* on any thread, with run_err set */
void http_call_back(struct http_call *call);    /* the same on its loop, at once */
void http_call_forget(struct http_call *call);  /* all that was said of a reply */
PC_CHECKED enum err http_call_visit(struct http_call *call);

/* http_group.c: a store_together_fn. */
PC_CHECKED enum err http_group_run(struct store_conn *conn, struct store_job *const *jobs,
                                   size_t count, const void *group);

#endif
