/* SPDX-License-Identifier: MIT
 * The routes under /oauth/, how a page leaves, and how an error becomes one. */
#include "oauth/oauth_page_priv.h"

enum { POLICY_BYTES_MAX = OAUTH_LOCATION_BYTES_MAX, FORM_BYTES_MAX = 32 * 1024 };

#define HTML "text/html; charset=utf-8"
/* form-action holds for the redirect that answers a form as well, so a page whose form may lead to
 * the client names it there. The icon of each page is the empty one. */
#define POLICY_BEGIN                                                                               \
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; "                       \
    "frame-ancestors 'none'; form-action 'self'"

static const char policy[] = POLICY_BEGIN;

enum err oauth_page_policy(struct http_request *req, struct span uri)
{
    struct sbuf out = sbuf_on(req->arena, POLICY_BYTES_MAX);
    struct span source;
    struct span text;
    enum err err;

    sbuf_add_lit(&out, POLICY_BEGIN);
    if (uri.len > 0) {
        err = oauth_uri_source(uri, req->arena, &source);
        if (err)
            return err;
        sbuf_add_char(&out, ' ');
        sbuf_add(&out, source);
    }
    err = sbuf_finish(&out, &text);
    if (err)
        return err;
    http_reply_csp(req, text);
    return ERR_OK;
}

enum err oauth_page_reply(struct http_request *req, int status, struct span html, struct span uri)
{
    enum err err = oauth_page_policy(req, uri);

    if (err)
        return err;
    return http_reply_text(req, status, HTML, html);
}

/* ---- errors -----------------------------------------------------------------------------------
 */

static const char *title_of(int status)
{
    if (status == 429)
        return "Too many requests";
    if (status >= 500)
        return "Something went wrong";
    return "This cannot go on";
}

/* The form again, with the reason. Not 401: no header could answer that challenge. */
static enum err login_again(struct http_request *req, struct http_problem *problem,
                            struct span *ret_html)
{
    struct oauth_visit *visit = req->work;
    enum err err = oauth_visit_login_page(req, visit, problem->err, ret_html);

    if (err)
        return err;
    if (problem->status == 401)
        problem->status = 403;
    return oauth_page_policy(req, visit->request.redirect_uri);
}

static void page_problem(struct http_request *req, struct http_problem *problem)
{
    bool from_login =
        req->work != NULL && (problem->err == ERR_CREDENTIALS || problem->err == ERR_INACTIVE ||
                              problem->err == ERR_LOCKED);
    struct span html;
    enum err err = ERR_AGAIN;

    if (from_login)
        err = login_again(req, problem, &html);
    if (err)
        err = oauth_page_error(title_of(problem->status),
                               problem->detail ? problem->detail : err_sentence(problem->err),
                               req->arena, &html);
    if (err)
        return; /* the problem stays as it is */
    problem->content_type = SPAN_OF(HTML);
    problem->body = html;
}

/* ---- routes -----------------------------------------------------------------------------------
 */

static enum err style(struct http_request *req)
{
    http_reply_cache(req, SPAN_OF("public, max-age=3600"));
    return http_reply_text(req, 200, "text/css; charset=utf-8", oauth_page_style);
}

/* Any form will do: its text is taken as it is. */
static const struct json_field any_fields[] = {
    {.name = "client_id", .kind = JSON_KIND_TEXT, .optional = true, .max = OAUTH_REQUEST_BYTES_MAX},
};
struct any {
    struct span client_id;
};
static const struct json_schema any_form = {.name = "AuthorizationForm",
                                            .about = "An authorization request as a form.",
                                            .fields = any_fields,
                                            .field_count = PC_COUNT(any_fields),
                                            .bytes = sizeof(struct any)};

/* What the rows of pages have in common, and those of the forms on them. */
#define PAGE                                                                                       \
    .access = HTTP_ACCESS_OPEN, .data = HTTP_DATA_RESTRICTED, .csp = policy,                       \
    .problem = page_problem, .same_origin = true, .tag = "OAuth"
#define PAGE_SHOWN PAGE, .method = NET_METHOD_GET, .reply_type = HTML, .run = HTTP_RUN_READ
#define PAGE_FORM  PAGE, .method = NET_METHOD_POST, .form = HTTP_FORM_URLENCODED, .hidden = true

const struct http_route oauth_page_routes[] = {
    {PAGE_SHOWN, .path = "/oauth/authorize", .handle = oauth_authorize_get, .id = "oauth_authorize",
     .summary = "Ask a user for an authorization code",
     .about = "Authorization code with PKCE (S256 only, for every client): the browser is shown a "
              "login and a consent page, then sent back to redirect_uri with code, state and iss.",
     .errors = {ERR_OAUTH_INVALID_REQUEST}},
    {PAGE_FORM, .path = "/oauth/authorize", .body = &any_form,
     .body_bytes_max = OAUTH_REQUEST_BYTES_MAX, .run = HTTP_RUN_LOOP,
     .handle = oauth_authorize_post, .id = "oauth_authorize_form"},
    {PAGE_FORM, .path = "/oauth/login", .body = &oauth_login_form, .body_bytes_max = FORM_BYTES_MAX,
     .run = HTTP_RUN_READ, .handle = oauth_login_post, .id = "oauth_login"},
    {PAGE_FORM, .path = "/oauth/consent", .body = &oauth_consent_form,
     .body_bytes_max = FORM_BYTES_MAX, .run = HTTP_RUN_WRITE, .handle = oauth_consent_post,
     .id = "oauth_consent"},
    {.method = NET_METHOD_GET,
     .path = "/oauth/userinfo",
     .access = HTTP_ACCESS_BEARER,
     .scopes = "openid",
     .tokens = HTTP_TOKENS_ISSUED,
     .data = HTTP_DATA_RESTRICTED,
     .reply = &oauth_userinfo_schema,
     .run = HTTP_RUN_READ,
     .handle = oauth_userinfo,
     .id = "oauth_userinfo",
     .tag = "OAuth",
     .summary = "Who the token speaks for",
     .about = "sub always; preferred_username, name and updated_at with the scope profile; email "
              "and email_verified with the scope email."},
    {.method = NET_METHOD_POST,
     .path = "/oauth/userinfo",
     .access = HTTP_ACCESS_BEARER,
     .scopes = "openid",
     .tokens = HTTP_TOKENS_ISSUED,
     .data = HTTP_DATA_RESTRICTED,
     .reply = &oauth_userinfo_schema,
     .run = HTTP_RUN_READ,
     .handle = oauth_userinfo,
     .id = "oauth_userinfo_post",
     .tag = "OAuth",
     .hidden = true},
    {PAGE_SHOWN, .path = "/oauth/logout", .handle = oauth_logout_get, .id = "oauth_logout",
     .summary = "Sign the user out of this browser",
     .about = "RP-initiated logout: ends the login and every grant that came from it. With an "
              "id_token_hint of the user who is signed in at once, else after asking.",
     .errors = {ERR_OAUTH_INVALID_REQUEST}},
    {PAGE_FORM, .path = "/oauth/logout", .body = &oauth_logout_form,
     .body_bytes_max = FORM_BYTES_MAX, .run = HTTP_RUN_READ, .handle = oauth_logout_post,
     .id = "oauth_logout_form"},
    {.method = NET_METHOD_GET,
     .path = "/oauth/style.css",
     .access = HTTP_ACCESS_OPEN,
     .rate = HTTP_RATE_EXEMPT,
     .guard = HTTP_GUARD_NONE,
     .data = HTTP_DATA_PUBLIC,
     .reply_type = "text/css; charset=utf-8",
     .run = HTTP_RUN_LOOP,
     .handle = style,
     .id = "oauth_style",
     .tag = "OAuth",
     .hidden = true},
    {.path = NULL},
};
