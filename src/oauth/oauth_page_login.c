/* SPDX-License-Identifier: MIT
 * POST /oauth/login: who signs in with a password goes the way that auth/ has for everybody
 * (auth_login_...), and gets a new cookie, so that one planted before is worth nothing.
 *
 *   look (READ) ──> verify (HASH) ──> settle (WRITE) ──> 303 authorize (LOOP)
 *     └── refused ──────┴────────────────┴──> refuse (WRITE) ──> the page again, with the reason */
#include "oauth/oauth_page_priv.h"

static const struct json_field fields[] = {
    {.name = "request",
     .kind = JSON_KIND_TEXT,
     .max = OAUTH_REQUEST_BYTES_MAX,
     .offset = offsetof(struct oauth_form, request)},
    {.name = "csrf",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .max = OAUTH_TOKEN_TEXT_BYTES,
     .offset = offsetof(struct oauth_form, csrf)},
    {.name = "email",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .max = AUTH_EMAIL_BYTES_MAX,
     .offset = offsetof(struct oauth_form, email)},
    {.name = "password",
     .kind = JSON_KIND_TEXT,
     .format = JSON_FORMAT_PASSWORD,
     .optional = true,
     .offset = offsetof(struct oauth_form, password)},
};
const struct json_schema oauth_login_form = {.name = "LoginForm",
                                             .about = "What the login page sends.",
                                             .fields = fields,
                                             .field_count = PC_COUNT(fields),
                                             .bytes = sizeof(struct oauth_form)};

/* Every attempt that was let in is ended here, whatever became of it. */
static void over(struct http_request *req, enum err err)
{
    struct oauth *oauth = oauth_of(req);
    struct oauth_visit *visit = req->work;

    auth_login_over(oauth->options.auth, req, &visit->attempt, err);
    if (err == ERR_CREDENTIALS)
        metric_add(metric_series(oauth->failed_logins, &visit->client.client_id, 1), 1);
}

static bool is_refusal(enum err err)
{
    return err == ERR_CREDENTIALS || err == ERR_INACTIVE || err == ERR_LOCKED;
}

/* The refusal is kept; the page comes from oauth_page_problem. */
static enum err refuse(struct http_request *req)
{
    struct oauth_visit *visit = req->work;
    enum err err = auth_login_refused(oauth_of(req)->options.auth, req, &visit->attempt,
                                      visit->client.client_id, visit->refused);

    if (err)
        return err;
    return http_refuse(req, visit->refused);
}

/* Whoever was signed in here before: the same user goes on, another one is signed out. */
static enum err replace(struct http_request *req, struct oauth_visit *visit, struct span session_id)
{
    enum err err;

    if (!visit->signed_in)
        return ERR_OK;
    visit->ended = true;
    if (visit->login.user_id == visit->attempt.user.id)
        return oauth_login_renew(req->store, &visit->login, session_id, visit->now_ns);
    err = oauth_login_end(req->store, &visit->login, visit->now_ns);
    if (err)
        return err;
    return oauth_visit_record(req, visit, TRAIL_LOGOUT, TRAIL_DONE, "another user signed in");
}

static enum err open_login(struct http_request *req, struct oauth_visit *visit)
{
    const struct oauth_options *options = &oauth_of(req)->options;
    char id[AUTH_ID_BYTES];
    struct oauth_login login = {.session_id = span_make(id, sizeof(id)),
                                .user_id = visit->attempt.user.id,
                                .auth_at_ns = visit->now_ns};
    struct oauth_visit opened;
    unsigned char hash[OAUTH_HASH_BYTES];
    enum err err = oauth_token_make(options->random, req->arena, &visit->new_cookie, hash);

    if (err)
        return err;
    random_uuid(options->random, id);
    err = oauth_login_open(req->store, hash, &login, req->address, visit->now_ns,
                           visit->now_ns + options->login_s * CLOCK_NS_PER_S);
    if (err)
        return err;
    err = replace(req, visit, login.session_id);
    if (err)
        return err;
    opened = *visit; /* `visit` keeps the old login, in case this is rolled back and runs again */
    opened.login = login;
    return oauth_visit_record(req, &opened, TRAIL_LOGIN, TRAIL_DONE, NULL);
}

static enum err settle(struct http_request *req)
{
    struct oauth_visit *visit = req->work;
    enum err err = auth_login_settle(oauth_of(req)->options.auth, req, &visit->attempt);

    if (is_refusal(err)) {
        visit->refused = err;
        return refuse(req);
    }
    if (err)
        return err;
    visit->now_ns = clock_realtime_ns(oauth_of(req)->options.clock);
    err = open_login(req, visit);
    if (err)
        return err;
    visit->answer = OAUTH_ANSWER_AGAIN;
    return http_hop(req, HTTP_RUN_LOOP, oauth_visit_reply);
}

static enum err verify(struct http_request *req)
{
    struct oauth_visit *visit = req->work;
    enum err err = auth_login_verify(oauth_of(req)->options.auth, req, &visit->attempt);

    visit->refused = err;
    if (is_refusal(err))
        return http_hop(req, HTTP_RUN_WRITE, refuse);
    if (err)
        return err;
    return http_hop(req, HTTP_RUN_WRITE, settle);
}

enum err oauth_login_post(struct http_request *req)
{
    const struct oauth_form *form = req->body;
    struct span cookie = oauth_cookie_get(req, OAUTH_COOKIE_FORM);
    struct oauth_visit *visit;
    enum err err = oauth_visit_begin(req, form->request, &visit);

    if (err)
        return err;
    if (!oauth_post_is_ours(req) ||
        !oauth_csrf_holds(cookie, "login", visit->request.query, form->csrf))
        return http_fail(req, ERR_FORBIDDEN,
                         "This page is too old, or the browser keeps no cookies. Go back to the "
                         "application and start again.");
    visit->attempt.email = span_trim(form->email);
    visit->attempt.password = form->password;
    if (form->email.len == 0 || form->password.len == 0)
        return ERR_CREDENTIALS;
    err = auth_login_look(oauth_of(req)->options.auth, req, &visit->attempt);
    visit->refused = err;
    if (err == ERR_LOCKED)
        return http_hop(req, HTTP_RUN_WRITE, refuse);
    if (err)
        return err;
    http_finally(req, over);
    return http_hop(req, HTTP_RUN_HASH, verify);
}
