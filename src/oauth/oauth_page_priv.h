/* SPDX-License-Identifier: MIT
 * What the pages share: the authorization request, the HTML, and what keeps strangers from posting
 * our forms. A page holds no state: its form carries the whole authorization request, and after
 * each POST the browser is sent back to GET /oauth/authorize, which decides anew.
 *
 *   GET authorize ──> login page ──POST login──> 303 authorize
 *        │ ──> consent page ──POST consent──> 303 client (code, or access_denied)
 *        └──> 303 client (code, or error)
 *
 * Threads: pure, or a request's own.    Memory: results live in the arena that is passed.
 * Source: RFC 6749 4.1; RFC 7636; RFC 9207; OpenID Connect Core 1.0, 3.1.2;
 * docs/decisions/oauth-pages.md. */
#ifndef PC_OAUTH_OAUTH_PAGE_PRIV_H
#define PC_OAUTH_OAUTH_PAGE_PRIV_H

#include "oauth/oauth_priv.h"

enum {
    OAUTH_STATE_BYTES_MAX = 2048,
    OAUTH_NONCE_BYTES_MAX = 512,
    OAUTH_CHALLENGE_BYTES = 43,     /* a SHA-256 as base64url: RFC 7636, 4.2 */
    OAUTH_REQUEST_BYTES_MAX = 8000, /* of a query: with path and mark it is a target again */
    OAUTH_LOCATION_BYTES_MAX = 16 * 1024,
    OAUTH_FRESH_S = 600, /* so long a login counts as made for the request it was made for */
};

/* ---- oauth_authorize.c: the request ------------------------------------------------------------
 */

/* Our own parameter, always last: a keyed hash that says "signed in for this request". */
#define OAUTH_MARK "portcullis_login"

/* RFC 6749, 3.1: a parameter without a value is as if it were not there, and none comes twice. */
struct oauth_parameter {
    const char *name;
    struct span value;
    bool once, twice;
};
/* Those that the list names; others are passed over. ERR_BAD_QUERY, ERR_NO_MEMORY. */
PC_CHECKED enum err oauth_parameters_read(struct span query, struct arena *arena,
                                          struct oauth_parameter *list, size_t count);

enum oauth_prompt {
    OAUTH_PROMPT_NONE = 1,
    OAUTH_PROMPT_LOGIN = 2,
    OAUTH_PROMPT_CONSENT = 4,
    OAUTH_PROMPT_SELECT = 8,
};

struct oauth_authorize {
    struct span query; /* as it came, without the mark */
    struct span mark;  /* of a login made for this very request; else empty */
    struct span client_id, redirect_uri;
    struct span state; /* as decoded; empty: none was sent */
    struct span scope, challenge, nonce;
    struct span login_hint, id_token_hint;
    unsigned prompt;   /* a set of enum oauth_prompt */
    int64_t max_age_s; /* -1: any */
    const char *error; /* for the client, by redirect; NULL: none */
    const char *why;
};

/* ERR_OAUTH_INVALID_REQUEST with a sentence in *reterr_why where nobody may be sent anywhere: the
 * client or its address is not told, or told twice, or the query cannot be read. Everything else
 * that is wrong stands in ->error. */
PC_CHECKED enum err oauth_authorize_read(struct span query, struct arena *arena,
                                         struct oauth_authorize *ret_request,
                                         const char **reterr_why);

/* What only the client's row can tell; sets ->error. The address is checked before, by
 * oauth_uri_allowed. */
void oauth_authorize_check(struct oauth_authorize *request, const struct oauth_client *client);

/* Whether a text can stand in a Location or a form as a query: visible ASCII, not too long. */
bool oauth_query_is_plain(struct span query);

/* The address with the answer added to its query; `iss` and `state` always. `name` is "code" or
 * "error"; `why` may be NULL. */
PC_CHECKED enum err oauth_authorize_location(const struct oauth_authorize *request,
                                             struct span issuer, const char *name,
                                             struct span value, const char *why,
                                             struct arena *arena, struct span *ret_location);
/* The address with one more parameter, if there is a value. */
PC_CHECKED enum err oauth_location_with(struct span uri, const char *name, struct span value,
                                        struct arena *arena, struct span *ret_location);

/* Where a form may lead, for form-action: "https://client.example:8443", or the scheme alone where
 * a source list has no words for the host. */
PC_CHECKED enum err oauth_uri_source(struct span uri, struct arena *arena, struct span *ret_source);

/* ---- oauth_page.c: HTML ------------------------------------------------------------------------
 */

/* Text of anybody's, safe in an element and between quotes. */
void oauth_html_add(struct sbuf *out, struct span text);

struct oauth_page_login {
    struct span client; /* its name */
    struct span request, csrf;
    struct span email;      /* what was typed, or hinted at */
    enum err why;           /* ERR_CREDENTIALS, ERR_INACTIVE, ERR_LOCKED; ERR_OK: nothing yet */
    int64_t retry_after_ns; /* of ERR_LOCKED; 0: unknown */
};
PC_CHECKED enum err oauth_page_login(const struct oauth_page_login *page, struct arena *arena,
                                     struct span *ret_html);

struct oauth_page_consent {
    struct span client, origin; /* its name, and where the answer goes */
    struct span username, email;
    struct span scope; /* what it would get */
    struct span request, csrf;
};
PC_CHECKED enum err oauth_page_consent(const struct oauth_page_consent *page, struct arena *arena,
                                       struct span *ret_html);

struct oauth_page_logout {
    struct span client;   /* who asks; may be empty */
    struct span username; /* empty: it is done */
    struct span request, csrf;
};
PC_CHECKED enum err oauth_page_logout(const struct oauth_page_logout *page, struct arena *arena,
                                      struct span *ret_html);

/* Something that cannot go on. */
PC_CHECKED enum err oauth_page_error(const char *title, const char *what, struct arena *arena,
                                     struct span *ret_html);

extern const struct span oauth_page_style; /* oauth_page_style.c */

/* ---- oauth_page_guard.c: cookies and forms -----------------------------------------------------
 */

enum oauth_cookie {
    OAUTH_COOKIE_LOGIN, /* who is signed in; new at each login */
    OAUTH_COOKIE_FORM,  /* of a browser that is not signed in: keys its login form */
};
/* The value, or the empty span unless it has the form of ours. */
struct span oauth_cookie_get(const struct http_request *req, enum oauth_cookie cookie);
/* Until the browser is closed; an empty value takes it away. */
PC_CHECKED enum err oauth_cookie_set(struct http_request *req, enum oauth_cookie cookie,
                                     struct span value);

/* What a form of ours holds, and nobody else can make: a keyed hash of what the form is about.
 * `purpose` keeps the forms apart. */
PC_CHECKED enum err oauth_csrf_make(struct span cookie, const char *purpose, struct span about,
                                    struct arena *arena, struct span *ret_token);
bool oauth_csrf_holds(struct span cookie, const char *purpose, struct span about,
                      struct span token);
/* Whether the browser says that the POST comes from a page of ours, where it says so at all. */
bool oauth_post_is_ours(const struct http_request *req);

/* ---- oauth_login.c -----------------------------------------------------------------------------
 */

/* The same user signed in again: what came from the old login belongs to the new one. */
PC_CHECKED enum err oauth_login_renew(struct store_conn *conn, const struct oauth_login *login,
                                      struct span new_session, int64_t now_ns);

/* ---- oauth_consent.c: what a user let a client do ----------------------------------------------
 */

/* The scope that was agreed to; empty: none. */
PC_CHECKED enum err oauth_consent_find(struct store_conn *conn, int64_t user_id, int64_t client_key,
                                       struct arena *arena, struct span *ret_scope);
/* Adds to what was agreed before. */
PC_CHECKED enum err oauth_consent_add(struct store_conn *conn, int64_t user_id, int64_t client_key,
                                      struct span scope, int64_t now_ns, struct arena *arena);

/* ---- oauth_authorize_http.c: one visit ---------------------------------------------------------
 * Everything a request for a code knows, from stop to stop; req->work of authorize, login and
 * consent. */

enum oauth_answer {
    OAUTH_ANSWER_ERROR,   /* back to the client */
    OAUTH_ANSWER_LOGIN,   /* the page */
    OAUTH_ANSWER_CONSENT, /* the page */
    OAUTH_ANSWER_CODE,    /* back to the client */
    OAUTH_ANSWER_AGAIN,   /* to GET authorize, with the same request */
};

struct oauth_visit {
    struct oauth_authorize request;
    struct oauth_client client;
    struct span full; /* the request with its mark */
    int64_t now_ns;
    struct span cookie; /* of the login; may be empty */
    bool signed_in;     /* then: */
    struct oauth_login login;
    struct span email;
    struct span scope; /* what the client would get */
    bool agreed;       /* to these scopes, in this request */
    enum oauth_answer answer;
    const char *error, *why; /* of OAUTH_ANSWER_ERROR */
    struct span code;        /* of OAUTH_ANSWER_CODE */
    struct auth_login attempt;
    enum err refused;       /* why the attempt failed */
    bool ended;             /* the login of ->login is over, and all that came from it */
    struct span new_cookie; /* after signing in */
};

/* Reads the request, the client and who is signed in. On a store thread. The errors are for the
 * person at the screen. */
PC_CHECKED enum err oauth_visit_begin(struct http_request *req, struct span query,
                                      struct oauth_visit **ret_visit);
/* Sets ->answer, from the store as it is now. OAUTH_ANSWER_CODE: one may be issued. */
PC_CHECKED enum err oauth_visit_decide(struct http_request *req, struct oauth_visit *visit);
/* The code of OAUTH_ANSWER_CODE, and its record. On the writer. */
PC_CHECKED enum err oauth_visit_issue(struct http_request *req, struct oauth_visit *visit);
/* What the user or we did for the client, in this commit; `reason` NULL: none. */
PC_CHECKED enum err oauth_visit_record(struct http_request *req, const struct oauth_visit *visit,
                                       enum trail_event event, enum trail_outcome outcome,
                                       const char *reason);
/* The last stop: the answer as a page or a redirect. On the loop. */
http_handler_fn oauth_visit_reply;
/* The login page, with what went wrong. On the loop. */
PC_CHECKED enum err oauth_visit_login_page(struct http_request *req, struct oauth_visit *visit,
                                           enum err why, struct span *ret_html);
/* What the token of a consent form is about: these scopes for this request. */
PC_CHECKED enum err oauth_visit_about(const struct oauth_visit *visit, struct arena *arena,
                                      struct span *ret_about);

http_handler_fn oauth_authorize_get, oauth_authorize_post;

/* ---- oauth_page_login.c, oauth_page_consent.c, oauth_page_logout.c: what the forms post --------
 */

struct oauth_form { /* of all of them */
    struct span request, csrf;
    struct span email, password; /* login */
    struct span decision;        /* consent: allow, deny, switch */
};
extern const struct json_schema oauth_login_form, oauth_consent_form, oauth_logout_form;
http_handler_fn oauth_login_post, oauth_consent_post, oauth_logout_get, oauth_logout_post;

/* An id_token of ours, whenever it was made: whose it is, and for which client. ERR_TOKEN_INVALID.
 */
PC_CHECKED enum err oauth_hint_read(const struct oauth *oauth, struct span token, int64_t now_ns,
                                    struct arena *arena, int64_t *ret_user_id,
                                    struct span *ret_client_id);

/* ---- oauth_page_http.c -------------------------------------------------------------------------
 */

/* A page, under the policy of the pages; its forms may lead to `uri` as well, if there is one. */
PC_CHECKED enum err oauth_page_reply(struct http_request *req, int status, struct span html,
                                     struct span uri);
/* The policy alone. */
PC_CHECKED enum err oauth_page_policy(struct http_request *req, struct span uri);

extern const struct json_schema oauth_userinfo_schema; /* oauth_userinfo_http.c */
http_handler_fn oauth_userinfo;

#endif
