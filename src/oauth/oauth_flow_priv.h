/* SPDX-License-Identifier: MIT
 * The way of every request for tokens, whatever the grant:
 *
 * (A client that proved itself lately is not looked up: begin, prove (LOOP), and on.)
 *
 *   begin (LOOP) -> find, prove, look (READ) [-> verify (HASH)] -> sign (SIGN) -> settle (WRITE)
 *                             `--- refused -----------`--------------`---------> settle (WRITE)
 *
 * A grant is a row of functions. What it needs is read in `look`; `judge` says whether it may have
 * tokens, from what was read alone; `settle` reads and judges again, since the world has moved, and
 * writes. So a refusal too is decided in the commit that remembers it, and nothing that was signed
 * leaves before it is settled. Proving by an assertion and signing by RSA are done on signing
 * threads, everything else where the request is: a secret and a curve need READ and WRITE alone.
 *
 * Threads: a flow is its request's.    Memory: the request's arena. */
#ifndef PC_OAUTH_OAUTH_FLOW_PRIV_H
#define PC_OAUTH_OAUTH_FLOW_PRIV_H

#include "oauth/oauth_priv.h"

struct oauth_flow;
typedef enum err oauth_flow_fn(struct http_request *req, struct oauth_flow *flow);

struct oauth_flow_kind {
    const char *name;      /* grant_type */
    oauth_flow_fn *look;   /* NULL: nothing to read */
    bool has_password;     /* of flow->login; verified before anything is judged */
    oauth_flow_fn *judge;  /* sets subject and grant; anything but ERR_OK is a refusal */
    oauth_flow_fn *made;   /* the reply is made; NULL: nothing to do with it */
    oauth_flow_fn *settle; /* ERR_OK: the tokens may leave. Writes nothing for them if ->refused */
};

struct oauth_flow {
    const struct oauth_flow_kind *kind;
    struct oauth_caller caller;
    bool is_proven;    /* the caller is who it says */
    bool looked;       /* what the grant needs was read */
    bool keeps;        /* the client may be kept (oauth_recent.c) */
    uint32_t mark;     /* of its subject */
    enum http_run run; /* where we are */
    int64_t now_ns;

    /* What was asked for; each may be empty. */
    struct span scope, code, redirect_uri, verifier, refresh_token;
    int64_t expires_in; /* 0: as long as the client may have */

    /* What was found. */
    unsigned char hash[OAUTH_HASH_BYTES]; /* of the code or refresh token */
    bool found;
    struct oauth_code code_row;
    struct oauth_refresh refresh_row;
    struct auth_login login;
    struct span roles; /* of the login's user */

    /* What comes of it. */
    struct oauth_subject subject;
    struct oauth_grant grant;
    char session[AUTH_ID_BYTES];               /* of a new grant */
    bool refreshes;                            /* there is a new refresh token */
    unsigned char next_hash[OAUTH_HASH_BYTES]; /* its hash */
    struct oauth_reply reply;
    struct span body;   /* the reply as it leaves */
    struct span sealed; /* the same, for whoever has the used refresh token */

    /* What came in the way. */
    enum err refused; /* why nothing was signed */
    bool is_final;    /* no second look at the store could change it */
    const char *why;  /* the sentence for the client; a literal */

    /* Of one run of settle. */
    struct span answer;     /* what is answered, when it is not `body` */
    enum trail_event event; /* of a refusal */
    struct span object;     /* the session it is about */
    int64_t forget;         /* the user whose caches must forget */
};

/* How a client says who it is, in the schema of a body whose struct has `struct oauth_shown shown`:
 * the same members wherever it may say so. */
#define OAUTH_SHOWN_FIELDS(type, client_example)                                                   \
    {.name = "client_id",                                                                          \
     .kind = JSON_KIND_TEXT,                                                                       \
     .optional = true,                                                                             \
     .max = 256,                                                                                   \
     .offset = offsetof(type, shown.client_id),                                                    \
     .example = (client_example),                                                                  \
     .about = "Unless the Authorization header or an assertion says it."},                         \
        {.name = "client_secret",                                                                  \
         .kind = JSON_KIND_TEXT,                                                                   \
         .optional = true,                                                                         \
         .max = LIMIT_SECRET_BYTES_MAX,                                                            \
         .offset = offsetof(type, shown.client_secret),                                            \
         .example = "change-me",                                                                   \
         .about = "Unless the client proves itself in another way."},                              \
        {.name = "client_assertion",                                                               \
         .kind = JSON_KIND_TEXT,                                                                   \
         .optional = true,                                                                         \
         .max = LIMIT_JWS_BYTES_MAX,                                                               \
         .offset = offsetof(type, shown.client_assertion),                                         \
         .about = "A JWT that the client signed: RFC 7523."},                                      \
    {                                                                                              \
        .name = "client_assertion_type", .kind = JSON_KIND_TEXT, .optional = true, .max = 128,     \
        .offset = offsetof(type, shown.client_assertion_type), .example = OAUTH_ASSERTION_TYPE     \
    }

/* The flow of this request, in req->work, with the client that calls; its bucket is drawn from. */
PC_CHECKED enum err oauth_flow_begin(struct http_request *req, const struct oauth_shown *shown,
                                     struct oauth_flow **ret_flow);
/* On its way. */
PC_CHECKED enum err oauth_flow_go(struct http_request *req, const struct oauth_flow_kind *kind);

/* A refusal with its sentence; returns err. */
enum err oauth_flow_no(struct oauth_flow *flow, enum err err, const char *why);
/* Whether an error is the client's to hear, or our own trouble. */
bool oauth_flow_is_refusal(enum err err);

/* The scope of a new token: what was wanted of what the client may have. Nothing wanted is all of
 * it but openid and offline_access, for which a client asks. A user's token has what the roles
 * allow; what they do not is left out. */
PC_CHECKED enum err oauth_flow_scope(struct http_request *req, struct oauth_flow *flow,
                                     struct span roles);
/* The same for a client itself, which is nobody's profile. */
PC_CHECKED enum err oauth_flow_scope_alone(struct http_request *req, struct oauth_flow *flow);
/* And of what was granted before: no more than that, and what client and user may still have. */
PC_CHECKED enum err oauth_flow_scope_of(struct http_request *req, struct oauth_flow *flow,
                                        struct span granted, struct span roles);

/* A new grant for the user, with a refresh token if the client may have one. */
void oauth_flow_grant(struct http_request *req, struct oauth_flow *flow, int64_t user_id);
/* How long the access token lives, and a refresh token of the client. */
int64_t oauth_flow_access_s(const struct http_request *req, const struct oauth_flow *flow);
int64_t oauth_flow_refresh_s(const struct http_request *req, const struct oauth_flow *flow);

/* oauth_token_http.c, oauth_refresh_http.c */
extern const struct oauth_flow_kind oauth_flow_refresh;
extern const struct json_schema oauth_token_schema, oauth_refresh_schema;
http_handler_fn oauth_token_post, oauth_refresh_post;

/* oauth_revoke_http.c: the body of both, and what each answers */
extern const struct json_schema oauth_ask_schema, oauth_revoked_schema, oauth_told_schema;
http_handler_fn oauth_revoke_post, oauth_introspect_post;

/* "a b" as a list of texts, for a reply. In the arena. (oauth_self_http.c) */
PC_CHECKED enum err oauth_names_split(struct span list, struct arena *arena,
                                      struct json_list *ret_list);

#endif
