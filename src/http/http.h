/* SPDX-License-Identifier: MIT
 * A request's journey, for the services above: they fill `const` tables of routes and write
 * handlers; everything between the wire and a handler happens here, in one order for all:
 *
 *   canonical request -> route -> limit per address -> authenticate -> limit per user -> authorize
 *   -> body read and validated -> circuit breaker -> run -> reply -> headers, metrics, access log
 *
 * Whoever is not let in (401, 403) is told so behind the commit of an event of the trail.
 *
 * A route is one row that holds all of its protection. Zero means strict: a row without an access
 * decision is refused when the service is made.
 *
 * Threads: a request belongs to its loop; while it runs elsewhere (HTTP_RUN_READ and so on) it
 * belongs to that thread alone. Services and engines are immutable after start except for the
 * policy, which is swapped whole.
 * Memory: everything of a request lives in its arena and goes with it. */
#ifndef PC_HTTP_HTTP_H
#define PC_HTTP_HTTP_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/reason.h"
#include "base/sbuf.h"
#include "base/span.h"
#include "json/json_schema.h"
#include "limit/breaker.h"
#include "limit/limit.h"
#include "net/net.h"
#include "store/store.h"
#include "trail/trail.h"

struct upstream;     /* upstream/upstream.h */
struct limit_shared; /* limit/limit_shared.h */
struct web_asset;    /* web/web.h */
struct http_engine;  /* the process: store, pools, clock, logger, metrics, identity */
struct http_service; /* one listener: its routes, name and policy */
struct http_request;
struct http_principal;

/* Who may come in. */
enum http_access {
    HTTP_ACCESS_DENIED = 0, /* nobody; a row that says nothing else is refused at start */
    HTTP_ACCESS_OPEN,       /* anyone */
    HTTP_ACCESS_NETWORK,    /* addresses of the allow-list (loopback by default) */
    HTTP_ACCESS_BEARER,     /* any valid token */
    HTTP_ACCESS_ADMIN,      /* a token of an active administrator */
    HTTP_ACCESS_KEY,        /* any valid API key */
};

enum http_rate {
    HTTP_RATE_LIMITED = 0, /* the row's own, else the service's rate */
    HTTP_RATE_EXEMPT,      /* health, documents */
    HTTP_RATE_CLIENT,      /* the handler says whose bucket it is: http_limit_client */
};

enum http_guard {
    HTTP_GUARD_BREAKER = 0, /* a circuit breaker of its own */
    HTTP_GUARD_NONE,
};

/* Which tokens a route with a bearer takes. The strict choice: those of a user's own session
 * (contract, section 2) and, only where the row names scopes, tokens of the OAuth issuer that hold
 * all of them. */
enum http_tokens {
    HTTP_TOKENS_BY_SCOPE = 0,
    HTTP_TOKENS_ANY,    /* both kinds; an issued one needs the row's scopes, if there are any */
    HTTP_TOKENS_ISSUED, /* of the OAuth issuer only */
};

/* What a body is written in. */
enum http_form {
    HTTP_FORM_JSON = 0,
    HTTP_FORM_URLENCODED, /* a name that comes twice is refused: RFC 6749, 3.2 */
    HTTP_FORM_EITHER,
};

/* Where the handler runs. */
enum http_run {
    HTTP_RUN_LOOP = 0, /* on the loop: pure, quick work only */
    HTTP_RUN_READ,     /* on a store reader: req->store is set */
    HTTP_RUN_WRITE,    /* on the store writer, in a savepoint; may be run again from its start */
    HTTP_RUN_HASH,     /* on a hash thread: slow, pure work */
    HTTP_RUN_SIGN,     /* on a signing thread: never behind a password */
};

/* What the data of a route is worth to a thief; goes into the access log. */
enum http_data {
    HTTP_DATA_RESTRICTED = 0, /* credentials, personal data */
    HTTP_DATA_CONFIDENTIAL,   /* a customer's own business data */
    HTTP_DATA_INTERNAL,
    HTTP_DATA_PUBLIC,
};

/* Answers the request by http_reply_...(), asks for another stop with http_hop(), or returns the
 * error that http/ turns into a problem. */
typedef enum err http_handler_fn(struct http_request *req);

/* How an error leaves a route whose protocol has a form of its own for errors. Comes filled with
 * the usual problem; what it changes is what the client sees. On the loop. It sets its own
 * WWW-Authenticate (http_reply_header) on 401. */
struct http_problem {
    enum err err;
    const char *detail;                   /* NULL: none */
    const struct json_problems *problems; /* NULL: none */
    int status;
    struct span content_type;
    struct span body;
};
typedef void http_problem_fn(struct http_request *req, struct http_problem *problem);

/* A bearer of the route's own, besides tokens: for callers that can hold nothing but a constant
 * secret. True, with the principal filled, when `bearer` is it, which takes the same time whatever
 * it is; else it is taken for a token. What the row asks of a principal is asked of this one too.
 * On the loop. */
typedef bool http_bearer_fn(const struct http_request *req, struct span bearer,
                            struct http_principal *ret_principal);

enum { HTTP_PARAMS_MAX = 4, HTTP_ROUTE_ERRORS_MAX = 16 };

/* ---- routes to upstreams ----------------------------------------------------------------------
 * A row with a `proxy` has no handler: once the journey let the request through, it goes to the
 * upstream, and what the upstream says comes back, both ways as a stream (http_proxy.c). */
struct http_edit {
    struct span name; /* lower case */
    struct span value;
};

/* What requests that should go to the same target have in common. */
enum http_hash_on {
    HTTP_HASH_ADDRESS = 0,
    HTTP_HASH_USER, /* the token's subject; without one the address */
    HTTP_HASH_HEADER,
    HTTP_HASH_COOKIE,
};

/* An issuer outside of this program, whose tokens a route may take: the port that app/ fills. Its
 * tokens say all that there is to know of who shows them; no store is asked. */
struct http_issuer {
    const char *name;
    struct span iss;
    void *context;
    /* On a loop: the whole verdict. Fills the principal's texts, times and epoch; ERR_TOKEN_...,
     * ERR_ISSUER_UNAVAILABLE. */
    enum err (*verify)(void *context, struct span token, int64_t now_s, int64_t now_ns,
                       struct arena *arena, struct http_principal *ret_principal);
    /* Whether a verdict of this epoch still holds. */
    bool (*is_fresh)(const void *context, uint32_t epoch, int64_t now_ns);
};

/* Which scripts of other origins may call a route, in place of what the policy says. */
struct http_cors {
    const struct span *origins; /* "*" alone allows any */
    size_t origin_count;
    bool credentials;
    uint32_t max_age_s;
    struct span headers; /* that scripts may send besides the usual ones: ", X-Shop" */
    struct span exposed; /* that they may read besides */
};

struct http_proxy {
    struct upstream *upstream;
    struct span strip;           /* taken off the front of the path */
    struct span prefix;          /* put in front of what is left of it */
    const struct span *upgrades; /* protocols that a connection may go on in: http_tunnel.c */
    size_t upgrade_count;        /* 0: none */
    int64_t upgrade_idle_ms;     /* such a connection that is silent for so long is over */
    bool trailers;               /* pass, both ways: http_trailer.c */
    const struct http_edit *request_set, *response_set;
    size_t request_set_count, response_set_count;
    const struct span *request_remove, *response_remove; /* lower case */
    size_t request_remove_count, response_remove_count;
    enum http_hash_on hash_on;
    const char *hash_name; /* of the header (lower case) or cookie */
    bool is_ours; /* a service of ours in another process: bodies are its to read, and the row tells
                     of them for the document; paths in Link and Location are made the client's */
    bool keeps_host;                    /* the client's Host goes on, not the target's */
    const struct upstream_times *times; /* complete; NULL: the upstream's */
    struct breaker_options breaker;     /* of the route; what is 0 is the policy's */
    struct http_breaker *shared;        /* of its upstream; NULL: none */
};

/* The breaker that all routes to an upstream share. `service` and `upstream` name it in logs,
 * metrics and the trail; the first outlives it. Any thread; freed when no service asks it any more.
 * A former one (NULL: none) with the same options is given again, and freed as often as given: made
 * and freed by one thread. */
PC_CHECKED enum err http_breaker_new(struct http_engine *engine, const char *service,
                                     const char *upstream, const struct breaker_options *options,
                                     struct http_breaker *former,
                                     struct http_breaker **ret_breaker);
void http_breaker_free(struct http_breaker *breaker); /* accepts NULL */
void http_breaker_show(struct http_breaker *breaker); /* metrics ask this one; accepts NULL */
/* The breakers of all routes, one call each. Not from a loop. */
struct http_breaker_seen {
    const char *service, *route, *host; /* host NULL: any */
    struct span method;
    enum breaker_state state;
    int64_t open_left_ns; /* until it may be tried */
};
typedef void http_breaker_see_fn(void *context, const struct http_breaker_seen *seen);
void http_breakers_see(struct http_engine *engine, http_breaker_see_fn *see, void *context);
const struct breaker *http_breaker_inner(const struct http_breaker *breaker); /* to look at */

/* ---- limits of a route's own ------------------------------------------------------------------
 */

/* Whose requests are counted together. */
enum http_limit_key {
    HTTP_LIMIT_ADDRESS = 0,
    HTTP_LIMIT_USER,   /* or the client itself, when its token speaks for nobody else */
    HTTP_LIMIT_CLIENT, /* of an issued token, whoever it speaks for; else the user */
    HTTP_LIMIT_HEADER, /* its value; all that lack it are one */
    HTTP_LIMIT_ROUTE,  /* everybody's */
};

struct http_limit {
    struct limit_rate rate; /* its id is limit_name_id of `name` */
    enum http_limit_key key;
    struct span header; /* lower case */
    struct span name;   /* of its own, the same on every node */
};

struct http_limits {
    const struct http_limit *list; /* all of them must admit; at most LIMIT_ASKS_MAX */
    size_t count;                  /* 0: limited as without a list */
    bool has_sharing;
    struct limit_sharing sharing; /* in place of the policy's */
};

struct http_route {
    enum net_method method;
    const char *path; /* "/api/v1/admin/users/{id}" */
    enum http_access access;
    const char *scopes; /* all of them, separated by spaces; NULL: none */
    const char *roles;  /* one of them; NULL: none */
    enum http_tokens tokens;
    bool certificate;       /* a verified client certificate besides the token */
    http_bearer_fn *bearer; /* NULL: tokens only */
    enum http_rate rate;
    uint32_t per_minute;              /* 0: the service's default */
    const struct http_limits *limits; /* NULL: none of its own; a list is in place of per_minute */
    enum http_guard guard;
    enum http_data data;
    const struct json_schema *input; /* path parameters by name, the rest from the query */
    enum err input_error;            /* what wrong ones are told as; 0: ERR_VALIDATION */
    const struct json_schema *body;  /* NULL: a body is dropped unread */
    enum http_form form;             /* of the body */
    uint32_t body_bytes_max;         /* 0: the policy's */
    const struct json_schema *reply; /* of reply_status; NULL: none, or not JSON */
    uint16_t reply_status;           /* 0: 200. A redirect with a reply or type: 200, or that */
    bool reply_is_list;              /* the answer is an array of `reply`: http_reply_list */
    const char *reply_type;          /* of a reply that is not JSON: "text/html; charset=utf-8" */
    const char *reply_other;  /* type of what may come in place of a JSON reply; NULL: none */
    const char *csp;          /* of a page; NULL: that of an API */
    http_problem_fn *problem; /* NULL: application/problem+json */
    const struct json_schema *problem_reply; /* what it writes; NULL: of the reply_type */
    const struct http_cors *cors;            /* NULL: the policy's */
    bool same_origin;                        /* no CORS: other origins' scripts may not call it */
    bool keyed;                              /* takes an Idempotency-Key: ledger/ledger_call.h */
    enum http_run run;
    http_handler_fn *handle;
    const struct http_proxy *proxy;           /* in place of a handler */
    const struct http_issuer *const *issuers; /* whose tokens it takes, in place of our own */
    size_t issuer_count;                      /* 0: our own */
    struct span key_header; /* lower case: where an API key stands; empty: x-api-key */
    const char *host;       /* lower case: only requests to this host; NULL: any */

    /* For the documents. */
    const char *id; /* operationId: "admin_users_list" */
    const char *tag;
    const char *summary;
    const char *about;
    enum err errors[HTTP_ROUTE_ERRORS_MAX]; /* of the handler; those of the journey are added */
    bool hidden;                            /* left out of the OpenAPI document */
};

enum http_token_kind {
    HTTP_TOKEN_SESSION, /* a user's own session: POST /api/v1/auth/login */
    HTTP_TOKEN_ISSUED,  /* an access token of the OAuth issuer */
    HTTP_TOKEN_FOREIGN, /* of an issuer outside of this program */
    HTTP_TOKEN_KEY,     /* an API key, which is no token */
};

/* Whom a verified token speaks for, with the rights the store gives now. */
struct http_principal {
    enum http_token_kind kind;
    const struct http_issuer *issuer; /* NULL: we ourselves */
    int64_t user_id;                  /* 0: the client itself (client_credentials) */
    int64_t client_key;               /* of an issued token's client, of an API key; else 0 */
    int64_t payer;        /* whose requests are counted together; 0: the user's or client's */
    struct span subject;  /* the claim sub */
    struct span username; /* of the user; else empty */
    struct span email;
    struct span session_id; /* empty for a client itself */
    struct span token_id;
    struct span client_id;  /* of an issued token; else empty */
    struct span scope;      /* what it may do now, separated by spaces */
    struct span roles;      /* the user's, or the client's; separated by spaces */
    struct span thumbprint; /* x5t#S256 of the certificate it is bound to; else empty */
    int64_t issued_at_s;    /* of an issued token; else 0 */
    int64_t expires_at_s;   /* of the token */
    bool is_admin;
    uint64_t scope_bits, role_bits; /* http/ fills them from the texts */
    uint32_t epoch; /* of user and client when the rights were read, see http_epoch.h; of the
                       issuer's keys, where there is one */
};

/* How tokens become principals: the port that app/ fills with auth/'s functions. */
struct http_identity {
    void *context;
    /* On a loop thread: the signature and claims alone. ERR_TOKEN_... on refusal. */
    enum err (*verify)(void *context, struct span token, int64_t now_s, struct arena *arena,
                       struct http_principal *ret_principal);
    /* On a store thread: the user's rights and session as they are now. */
    enum err (*load)(void *context, struct store_conn *conn, struct arena *arena,
                     struct http_principal *principal);
};

struct http_request {
    struct http_service *service;
    const struct http_policy *policy; /* the one in force when the request came in */
    const struct http_route *route;   /* NULL until found */
    struct arena *arena;
    const struct net_head *head;

    enum net_method method;
    struct span path;   /* canonical */
    bool path_is_plain; /* none of its bytes needs an escape on the wire */
    struct span query;  /* raw */
    struct span host;
    struct span params[HTTP_PARAMS_MAX];
    struct span request_id;
    struct span trace_id;
    struct span address; /* the client's, behind trusted proxies */
    int64_t begun_ns;    /* monotonic */

    const struct http_principal *principal; /* NULL on open routes */
    const void *input;                      /* the struct of route->input */
    const void *body;                       /* the struct of route->body */
    struct span body_text;                  /* as it came, for those who hash it */
    struct store_conn *store;               /* on HTTP_RUN_READ and HTTP_RUN_WRITE only */
    void *work;                             /* a handler's own, from stop to stop */
    void *group_work;                       /* what the group it waits for keeps of it */
};

/* Replies. The status is the route's unless said otherwise; the schema is the route's. */
PC_CHECKED enum err http_reply(struct http_request *req, const void *value);
PC_CHECKED enum err http_reply_json(struct http_request *req, int status,
                                    const struct json_schema *schema, const void *value);
/* A plain array; the list holds structs of the route's schema. */
PC_CHECKED enum err http_reply_list(struct http_request *req, struct json_list list);
PC_CHECKED enum err http_reply_text(struct http_request *req, int status, const char *content_type,
                                    struct span body);
PC_CHECKED enum err http_reply_empty(struct http_request *req, int status);
/* A file that lives as long as the program: with its tag, policy and form (gzip or not), or 304. On
 * the loop. */
PC_CHECKED enum err http_reply_asset(struct http_request *req, const struct web_asset *file);

/* One more header line of the reply; the text is copied. Like all that is said of a reply, it is
 * forgotten when the handler asks for another stop. */
void http_reply_header(struct http_request *req, const char *name, struct span value);
/* 302 or 303 to a finished URL, without a body. */
PC_CHECKED enum err http_reply_redirect(struct http_request *req, int status, struct span location);
/* In place of the row's; the text must live as long as the request. */
void http_reply_csp(struct http_request *req, struct span csp);
/* In place of "no-store". */
void http_reply_cache(struct http_request *req, struct span cache_control);

/* The next stop: `handle` runs there, later. Returns ERR_OK, so `return http_hop(...)`. */
PC_CHECKED enum err http_hop(struct http_request *req, enum http_run run, http_handler_fn *handle);

/* ---- many requests in one commit --------------------------------------------------------------
 * A handler on the loop asks for it with http_hop_together; the store's writer then calls `run` for
 * all that wait for the same group. `run` visits each of them with http_visit, may look at and keep
 * the answer, and returns ERR_OK: the commit follows, then the answers leave. Any error of `run`
 * undoes all; each request then comes again in a call of its own, and fails by itself if it must.
 * When nobody can tell whether the commit was done, the answer is ERR_OUTCOME_UNKNOWN. */
struct http_group {
    const char *name;
    enum err (*run)(const struct http_group *group, struct store_conn *conn,
                    struct http_request *const *requests, size_t count);
};
/* `weight`: how much of a commit it is; see store_job.weight. */
PC_CHECKED enum err http_hop_together(struct http_request *req, const struct http_group *group,
                                      uint32_t weight);

/* Inside of `run`: one clean visit of `handle` for this request. What it returns is returned, and
 * stays the request's answer unless it is settled. A request may be visited again in the same run:
 * the last visit counts. */
PC_CHECKED enum err http_visit(struct http_request *req, http_handler_fn *handle);

/* Inside of a visited handler or behind it: the answer is this problem, written now, so that its
 * bytes can be kept. With ERR_OK: the reply as it stands. */
void http_settle(struct http_request *req, enum err err);

/* The answer as it stands; behind a visit that ended well, or http_settle. */
struct http_answer {
    int status;
    struct span content_type, location, body;
};
struct http_answer http_answer_of(const struct http_request *req);

/* Gives an answer that was kept, and says so by "Idempotency-Replayed: true". Its texts are copied.
 * ERR_NO_MEMORY. */
PC_CHECKED enum err http_answer_again(struct http_request *req, const struct http_answer *answer);

/* Whether the principal has the role. */
bool http_has_role(const struct http_principal *principal, const char *role);

/* Adds a sentence (a literal or arena text) to the problem that `err` becomes; returns err. */
PC_CHECKED enum err http_fail(struct http_request *req, enum err err, const char *detail);
/* 422 with one named field. */
PC_CHECKED enum err http_fail_field(struct http_request *req, const char *field,
                                    const char *message);
/* Retry-After, rounded up to whole seconds, at least one. */
PC_CHECKED enum err http_fail_retry(struct http_request *req, enum err err, int64_t after_ns);

/* A problem like the others, but the handler ends well: what it wrote is committed. For refusals
 * that must be remembered. Returns ERR_OK. */
PC_CHECKED enum err http_refuse(struct http_request *req, enum err err);

/* ---- who is not let in ------------------------------------------------------------------------
 * A returned error of status 401 or 403 is an event of the trail, written before the answer leaves;
 * if it cannot be written the answer is 503. What a handler refuses by http_refuse it has recorded
 * by an event of its own. */

/* Returns `err`, the answer to give for something that is there but not the caller's (404, like one
 * that there is not), and has it recorded as a denial. The object ("account:17") lives in the
 * arena. */
PC_CHECKED enum err http_denied(struct http_request *req, enum err err, enum reason reason,
                                struct span object);

/* Of those whose identity nobody has verified, only so many a minute are written each
 * (http_engine_options.strangers); those beyond are answered at once and counted. This writes the
 * counts since it was called last: one event for each route that has one. Blocks; one thread at a
 * time, each minute and once the last request is answered. What cannot be written stays counted,
 * and is logged. */
void http_strangers_tell(struct http_engine *engine);

/* "account:17" in the arena; the empty span when there is no memory. */
struct span http_object(struct http_request *req, const char *kind, int64_t id);

/* For who writes events in a commit of its own (a group): whether answering with `err` is such a
 * denial, and the event to be written in place of one's own. Forgets what http_denied said. */
PC_CHECKED bool http_denial(struct http_request *req, enum err err,
                            struct trail_record *ret_record);

/* Runs once, on the loop, when the answer is decided and before it leaves: `err` is ERR_OK or what
 * the answer's problem is. For what must follow a commit, and for giving back. */
typedef void http_finally_fn(struct http_request *req, enum err err);
void http_finally(struct http_request *req, http_finally_fn *finally);

/* The value of a request header (lower-case name), or the empty span. Doubled: the first. */
struct span http_header(const struct http_request *req, const char *name);

/* The cookie's value, or the empty span. Twice under one name: the empty span. */
struct span http_cookie(const struct http_request *req, const char *name);

/* The connection: address, whether it is encrypted, the verified certificate. */
const struct net_peer *http_peer(const struct http_request *req);

/* HTTP_RATE_CLIENT: draws from the route's bucket of this key at this address, once, before
 * anything is looked up. ERR_RATE_LIMITED, also when the address has used up its own bucket. On the
 * loop. */
PC_CHECKED enum err http_limit_client(struct http_request *req, struct span key);

/* Wrong credentials on such a route: charged to the address like any anonymous request, so that
 * keys that do not exist are no way around. ERR_RATE_LIMITED when that is used up. Any thread. */
PC_CHECKED enum err http_limit_failure(struct http_request *req);

/* Where requests differ much in what they cost: draws `cost` tokens from a bucket of the subject's
 * own, beside that of its requests, or none of them. ERR_RATE_LIMITED. On the loop, with a token.
 */
PC_CHECKED enum err http_limit_cost(struct http_request *req, uint32_t per_minute, uint32_t cost);

/* The subject's rights, sessions or tokens changed: whatever is cached about it is stale from now
 * on. A user's id, or minus a client's key; 0: everybody. Any thread. */
void http_forget_subject(struct http_engine *engine, int64_t subject);

/* For a service that keeps something of its own about a subject. Before the store is asked:
 *     seen = http_changes_seen(engine);
 * and after: it may be kept if http_changes_seen still says the same, together with
 *     mark = http_subject_mark(engine, subject);
 * and is good while http_subject_is_fresh says so: nothing changed, and the feed is alive. Any
 * thread. */
uint32_t http_changes_seen(const struct http_engine *engine);
uint32_t http_subject_mark(const struct http_engine *engine, int64_t subject);
PC_CHECKED bool http_subject_is_fresh(const struct http_engine *engine, int64_t subject,
                                      uint32_t mark);

/* What the process shares. Borrowed for as long as the engine lives; NULL where optional. */
struct http_engine_options {
    const struct clock *clock;
    const struct random_source *random;
    struct logger *logger;      /* optional: access log and events */
    struct metrics *metrics;    /* optional */
    struct store *store;        /* optional only if no route needs it */
    struct net_pool *hash_pool; /* optional only if no route needs it */
    struct net_pool *sign_pool; /* the same */
    struct http_identity identity;
    struct http_identity keys; /* API keys as principals; optional unless a route takes them */
    size_t limit_slots;        /* of the table of rate limits; 0: 65536 */
    struct limit_shared *limits_shared; /* NULL: every limit is this process's own */
    uint32_t strangers; /* denials without an identity that are written each, a minute; 0: 600 */
    bool access_log;
};
PC_CHECKED enum err http_engine_new(const struct http_engine_options *options,
                                    struct http_engine **ret_engine);
void http_engine_free(struct http_engine *engine);
const struct clock *http_engine_clock(const struct http_engine *engine);
struct logger *http_engine_logger(const struct http_engine *engine);

/* For net_server_options: what a loop keeps for itself (the cache of verified tokens). The context
 * is the engine. */
net_loop_fn http_loop_started;
net_loop_fn http_loop_stopped;

/* Rights are trusted from the cache only while the feed of changes is alive: whoever polls it says
 * so here, after each successful poll. */
void http_engine_feed_alive(struct http_engine *engine, int64_t monotonic_ns);

/* This process is about to leave: from now on /readyz says so, and each answer over HTTP/1.1 ends
 * its connection. Everything else is served as before. */
void http_engine_leave(struct http_engine *engine);

/* An address range, or a single address. */
struct http_network {
    unsigned char bytes[16]; /* IPv4 is mapped */
    unsigned bits;           /* of the 128 */
};
PC_CHECKED bool http_network_read(struct span text, struct http_network *ret_network);
bool http_network_holds(const struct http_network *list, size_t count,
                        const unsigned char bytes[16]);
/* The same of who is at the other end of a connection. */
bool http_network_holds_peer(const struct http_network *list, size_t count,
                             const struct net_peer *peer);
/* "192.0.2.1", "2001:db8::1" (no brackets, no port) to its 16 bytes. */
PC_CHECKED bool http_address_read(struct span text, unsigned char ret_bytes[16]);

struct http_rate_override {
    struct span what; /* "GET /api/v1/auth/me", or a user's id */
    struct limit_rate rate;
    struct limit_sharing sharing; /* of a route */
};

/* What may change while running; swapped whole (http_snapshot.h). All memory is the owner's. */
struct http_policy {
    struct limit_rate rate;        /* default for each client */
    struct limit_rate rate_verify; /* unverified tokens per address */
    struct limit_sharing sharing;  /* of routes that say nothing else */
    const struct http_rate_override *route_rates;
    size_t route_rate_count;
    const struct http_rate_override *user_rates;
    size_t user_rate_count;
    const struct span *origins; /* CORS; "*" alone allows any */
    size_t origin_count;
    bool origin_credentials;
    uint32_t origin_max_age_s;          /* how long a browser may keep a preflight's answer */
    const struct http_network *proxies; /* whose X-Forwarded-For is believed */
    size_t proxy_count;
    const struct http_network *metrics_from;
    size_t metrics_from_count;
    uint32_t body_bytes_max;
    uint32_t breaker_failures; /* consecutive, until it opens */
    int64_t breaker_open_ns;
    uint32_t breaker_probes;
};

/* A table of routes in a service: as it is, or below another path. Every path of the rows begins
 * with `from`, in place of which stands `to`. */
struct http_mount {
    const struct http_route *rows; /* end with a NULL path */
    void *context;                 /* for their handlers: http_context(req) */
    const char *from, *to;         /* NULL: as they are */
    struct store *store;           /* where their handlers read and write; NULL: the engine's */
};

struct http_service_options {
    const char *name;      /* "api-gateway": in logs and metrics */
    const char *title;     /* of the API document */
    const char *about;     /* Markdown, for the API document */
    const char *version;   /* of the program */
    const char *docs_base; /* "/api/": where docs, redoc and openapi.json are; NULL: none */
    const struct http_mount *mounts;
    size_t mount_count;
    const char *const *areas; /* closed by NULL: "/api/v1"; no route to an upstream takes what is in
                                 one; NULL: none */
    const struct http_policy *policy; /* the first one; must outlive the service */
    /* How the documentation pages sign in: authorization code with PKCE. Addresses may be relative
     * to the listener's root; NULL: not offered. */
    const char *oauth_authorize_url;
    const char *oauth_token_url;
    const char *oauth_client_id;
    const char *(*oauth_scope_about)(struct span scope); /* one sentence; NULL: none */
    const char *(*tag_about)(const char *tag);           /* one sentence; NULL: none */
};
/* ERR_CONFIG with a sentence in reterr_why (an arena-free literal) for a row that is not whole. */
PC_CHECKED enum err http_service_new(struct http_engine *engine,
                                     const struct http_service_options *options,
                                     struct http_service **ret_service, const char **reterr_why);
void http_service_free(struct http_service *service);

/* Whether `name` ("GET /api/v1/auth/me") is a route whose rate can be set, and how it is. If not,
 * the name most like it is appended to `nearest`, unless none is near. */
bool http_route_is_limited(const struct http_service_options *options, struct span name,
                           struct sbuf *nearest, enum http_rate *ret_rate);

void *http_context(const struct http_request *req);
struct http_engine *http_engine_of(const struct http_request *req);

/* What net/ calls; pass to net_listener_options with the service as its context. */
extern const struct net_app http_net_app;

/* The OpenAPI 3.1 document made from the tables. */
PC_CHECKED enum err http_openapi_write(const struct http_service_options *options,
                                       struct sbuf *out);
/* The same as YAML. */
PC_CHECKED enum err http_openapi_yaml(struct span json, struct arena *arena, struct sbuf *out);

#endif
