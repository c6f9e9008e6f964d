/* SPDX-License-Identifier: MIT
 * One visit of a browser that a client sent: GET /oauth/authorize, and what the login and consent
 * forms have in common with it. What the answer is, is decided from the request and the store
 * alone, each time anew; nothing is remembered between two visits but who is signed in.
 *
 *   authorize_look (READ) ──code──> authorize_issue (WRITE) ──> oauth_visit_reply (LOOP)
 *        └── error, login page, consent page ─────────────────────────────^ */
#include "oauth/oauth_page_priv.h"

enum { ABOUT_BYTES_MAX = OAUTH_REQUEST_BYTES_MAX + 2048, ID_TEXT_BYTES = 24 };

/* ---- reading ----------------------------------------------------------------------------------
 */

/* For the person at the screen: nobody is sent anywhere. */
static enum err dead_end(struct http_request *req, const char *why)
{
    enum err err = http_fail(req, ERR_OAUTH_INVALID_REQUEST, why);

    PC_ASSERT(err != ERR_OK);
    return err;
}

static enum err find_client(struct http_request *req, struct oauth_visit *visit)
{
    enum err err =
        oauth_client_find(req->store, visit->request.client_id, req->arena, &visit->client);

    if (err == ERR_NOT_FOUND || (err == ERR_OK && !visit->client.is_active))
        return dead_end(req, "The application that sent you here is not known.");
    if (err)
        return err;
    if (!oauth_uri_allowed(visit->client.redirect_uris, visit->request.redirect_uri))
        return dead_end(req, "The application asks to return to an address that is not its own.");
    oauth_authorize_check(&visit->request, &visit->client);
    return ERR_OK;
}

static enum err find_login(struct http_request *req, struct oauth_visit *visit)
{
    struct auth_user user;
    enum err err;

    visit->cookie = oauth_cookie_get(req, OAUTH_COOKIE_LOGIN);
    visit->signed_in = false;
    err = oauth_login_find(req->store, visit->cookie, visit->now_ns, req->arena, &visit->login);
    if (err)
        return err == ERR_NOT_FOUND ? ERR_OK : err;
    err = auth_user_by_id(req->store, visit->login.user_id, req->arena, &user);
    if (err)
        return err;
    visit->email = user.email;
    visit->signed_in = true;
    return ERR_OK;
}

enum err oauth_visit_begin(struct http_request *req, struct span query,
                           struct oauth_visit **ret_visit)
{
    struct oauth_visit *visit = arena_zero(req->arena, sizeof(*visit));
    const char *why = NULL;
    enum err err;

    if (visit == NULL)
        return ERR_NO_MEMORY;
    visit->now_ns = clock_realtime_ns(oauth_of(req)->options.clock);
    visit->full = query;
    err = oauth_authorize_read(query, req->arena, &visit->request, &why);
    if (err)
        return why != NULL ? dead_end(req, why) : err;
    err = find_client(req, visit);
    if (err)
        return err;
    err = find_login(req, visit);
    if (err)
        return err;
    req->work = visit;
    *ret_visit = visit;
    return ERR_OK;
}

/* ---- deciding ---------------------------------------------------------------------------------
 */

static enum err answer_error(struct oauth_visit *visit, const char *error, const char *why)
{
    visit->answer = OAUTH_ANSWER_ERROR;
    visit->error = error;
    visit->why = why;
    return ERR_OK;
}

/* A page, unless the client asked for none. */
static enum err answer_page(struct oauth_visit *visit, enum oauth_answer answer, const char *error,
                            const char *why)
{
    if (visit->request.prompt & OAUTH_PROMPT_NONE)
        return answer_error(visit, error, why);
    visit->answer = answer;
    return ERR_OK;
}

/* Signed in for this very request, a moment ago: then no request can ask for it again. */
static bool is_fresh(const struct oauth_visit *visit)
{
    int64_t age_ns = visit->now_ns - visit->login.auth_at_ns;

    return age_ns < OAUTH_FRESH_S * CLOCK_NS_PER_S &&
           oauth_csrf_holds(visit->cookie, "signed in", visit->request.query, visit->request.mark);
}

/* OpenID Connect Core, 3.1.2.1: prompt and max_age. */
static bool needs_login(const struct oauth_visit *visit)
{
    int64_t age_ns = visit->now_ns - visit->login.auth_at_ns;
    bool asked = visit->request.prompt & (OAUTH_PROMPT_LOGIN | OAUTH_PROMPT_SELECT);
    bool too_old =
        visit->request.max_age_s >= 0 && age_ns > visit->request.max_age_s * CLOCK_NS_PER_S;

    return !visit->signed_in || ((asked || too_old) && !is_fresh(visit));
}

/* Whom the client expects. ERR_OK with ->error set: its hint is none of our tokens. */
static enum err hint_differs(struct http_request *req, struct oauth_visit *visit, bool *ret_differs)
{
    struct span hint = visit->request.id_token_hint;
    struct span client_id;
    int64_t user_id = 0;
    enum err err;

    *ret_differs = false;
    if (hint.len == 0)
        return ERR_OK;
    err = oauth_hint_read(oauth_of(req), hint, visit->now_ns, req->arena, &user_id, &client_id);
    if (err == ERR_TOKEN_INVALID)
        return answer_error(visit, "invalid_request", "id_token_hint is not valid.");
    *ret_differs = visit->signed_in && user_id != visit->login.user_id;
    return err;
}

/* What the client asks for and the user may do at all. */
static enum err find_scope(struct http_request *req, struct oauth_visit *visit)
{
    struct span roles;
    struct span allowed;
    enum err err = auth_roles_of_user(req->store, visit->login.user_id, req->arena, &roles);

    if (err)
        return err;
    err = auth_scopes_of_roles(roles, req->arena, &allowed);
    if (err)
        return err;
    visit->scope = oauth_list_both(visit->request.scope, allowed, req->arena);
    return visit->scope.ptr == NULL ? ERR_NO_MEMORY : ERR_OK;
}

/* A public client could be anybody who knows its name: the user is asked each time (RFC 8252,
 * 8.6). */
static enum err decide_consent(struct http_request *req, struct oauth_visit *visit)
{
    bool is_public = visit->client.method == OAUTH_METHOD_NONE;
    struct span before;
    bool covered;
    enum err err = oauth_consent_find(req->store, visit->login.user_id, visit->client.key,
                                      req->arena, &before);

    if (err)
        return err;
    covered = oauth_list_within(visit->scope, before);
    if (visit->agreed || (covered && !is_public && !(visit->request.prompt & OAUTH_PROMPT_CONSENT)))
        visit->answer = OAUTH_ANSWER_CODE;
    else if (covered)
        return answer_page(visit, OAUTH_ANSWER_CONSENT, "interaction_required",
                           "The user must be asked each time.");
    else
        return answer_page(visit, OAUTH_ANSWER_CONSENT, "consent_required",
                           "The user has not agreed yet.");
    return ERR_OK;
}

enum err oauth_visit_decide(struct http_request *req, struct oauth_visit *visit)
{
    bool differs;
    enum err err;

    visit->error = NULL;
    if (visit->request.error != NULL)
        return answer_error(visit, visit->request.error, visit->request.why);
    err = hint_differs(req, visit, &differs);
    if (err || visit->error != NULL)
        return err;
    if (differs && is_fresh(visit))
        return answer_error(visit, "login_required", "Another user signed in.");
    if (differs || needs_login(visit))
        return answer_page(visit, OAUTH_ANSWER_LOGIN, "login_required",
                           "The user is not signed in.");
    err = find_scope(req, visit);
    if (err)
        return err;
    if (visit->scope.len == 0)
        return answer_error(visit, "access_denied", "The user may do none of this.");
    return decide_consent(req, visit);
}

/* ---- records ----------------------------------------------------------------------------------
 */

enum err oauth_visit_record(struct http_request *req, const struct oauth_visit *visit,
                            enum trail_event event, enum trail_outcome outcome, const char *reason)
{
    char user[ID_TEXT_BYTES];
    char session[ID_TEXT_BYTES + AUTH_ID_BYTES];
    struct sbuf user_id = sbuf_over(user, sizeof(user));
    struct sbuf object = sbuf_over(session, sizeof(session));
    struct trail_record record = {.event = event,
                                  .outcome = outcome,
                                  .at_ns = visit->now_ns,
                                  .actor_kind = TRAIL_ACTOR_USER,
                                  .client_id = visit->client.client_id,
                                  .address = req->address,
                                  .request_id = req->request_id,
                                  .reason = span_from(reason)};

    sbuf_add_i64(&user_id, visit->login.user_id);
    record.actor = sbuf_span(&user_id);
    sbuf_add_lit(&object, "session:");
    sbuf_add(&object, visit->login.session_id);
    record.object = sbuf_span(&object);
    if (visit->scope.len > 0)
        record.details[0] = (struct trail_detail){.name = "scope", .value = visit->scope};
    return trail_add(req->store, &record);
}

/* ---- the code ---------------------------------------------------------------------------------
 */

enum err oauth_visit_issue(struct http_request *req, struct oauth_visit *visit)
{
    const struct oauth_options *options = &oauth_of(req)->options;
    const struct oauth_code code = {.client_key = visit->client.key,
                                    .user_id = visit->login.user_id,
                                    .login_session = visit->login.session_id,
                                    .redirect_uri = visit->request.redirect_uri,
                                    .challenge = visit->request.challenge,
                                    .scope = visit->scope,
                                    .nonce = visit->request.nonce,
                                    .auth_at_ns = visit->login.auth_at_ns,
                                    .expires_at_ns =
                                        visit->now_ns + options->code_s * CLOCK_NS_PER_S};
    unsigned char hash[OAUTH_HASH_BYTES];
    enum err err = oauth_token_make(options->random, req->arena, &visit->code, hash);

    PC_ASSERT(visit->answer == OAUTH_ANSWER_CODE && visit->signed_in && visit->error == NULL);
    if (err)
        return err;
    err = oauth_code_add(req->store, hash, &code, visit->now_ns);
    if (err)
        return err;
    return oauth_visit_record(req, visit, TRAIL_CODE_ISSUED, TRAIL_DONE, NULL);
}

/* Again, since the world may have moved on since it was looked at. */
static enum err authorize_issue(struct http_request *req)
{
    struct oauth_visit *visit = req->work;
    enum err err = oauth_visit_begin(req, visit->full, &visit);

    if (err)
        return err;
    err = oauth_visit_decide(req, visit);
    if (err)
        return err;
    if (visit->answer == OAUTH_ANSWER_CODE) {
        err = oauth_visit_issue(req, visit);
        if (err)
            return err;
    }
    return http_hop(req, HTTP_RUN_LOOP, oauth_visit_reply);
}

enum err oauth_authorize_get(struct http_request *req)
{
    struct oauth_visit *visit;
    enum err err = oauth_visit_begin(req, req->query, &visit);

    if (err)
        return err;
    err = oauth_visit_decide(req, visit);
    if (err)
        return err;
    if (visit->answer == OAUTH_ANSWER_CODE)
        return http_hop(req, HTTP_RUN_WRITE, authorize_issue);
    return http_hop(req, HTTP_RUN_LOOP, oauth_visit_reply);
}

/* A POST from the client's site brings no cookie of ours; the GET that follows does. */
enum err oauth_authorize_post(struct http_request *req)
{
    struct sbuf out = sbuf_on(req->arena, OAUTH_LOCATION_BYTES_MAX);
    struct span location;
    enum err err;

    if (!oauth_query_is_plain(req->body_text))
        return dead_end(req, "The request is malformed.");
    sbuf_add_lit(&out, "authorize?");
    sbuf_add(&out, req->body_text);
    err = sbuf_finish(&out, &location);
    if (err)
        return err;
    return http_reply_redirect(req, 303, location);
}

/* ---- answering --------------------------------------------------------------------------------
 */

enum err oauth_visit_about(const struct oauth_visit *visit, struct arena *arena,
                           struct span *ret_about)
{
    struct sbuf out = sbuf_on(arena, ABOUT_BYTES_MAX);

    sbuf_add(&out, visit->scope);
    sbuf_add_char(&out, '\n');
    sbuf_add(&out, visit->full);
    return sbuf_finish(&out, ret_about);
}

static enum err reply_location(struct http_request *req, struct oauth_visit *visit)
{
    bool good = visit->answer == OAUTH_ANSWER_CODE;
    struct span location;
    enum err err = oauth_authorize_location(&visit->request, oauth_of(req)->options.issuer,
                                            good ? "code" : "error",
                                            good ? visit->code : span_from(visit->error),
                                            good ? NULL : visit->why, req->arena, &location);

    if (err)
        return err;
    return http_reply_redirect(req, 303, location);
}

/* The login form is keyed by a cookie too, so that nobody can sign somebody else in. */
static enum err form_cookie(struct http_request *req, struct span *ret_cookie)
{
    unsigned char hash[OAUTH_HASH_BYTES];
    enum err err;

    *ret_cookie = oauth_cookie_get(req, OAUTH_COOKIE_FORM);
    if (ret_cookie->len > 0)
        return ERR_OK;
    err = oauth_token_make(oauth_of(req)->options.random, req->arena, ret_cookie, hash);
    if (err)
        return err;
    return oauth_cookie_set(req, OAUTH_COOKIE_FORM, *ret_cookie);
}

enum err oauth_visit_login_page(struct http_request *req, struct oauth_visit *visit, enum err why,
                                struct span *ret_html)
{
    struct span hint = visit->request.login_hint;
    struct oauth_page_login page = {.client = visit->client.name,
                                    .request = visit->request.query,
                                    .email = visit->attempt.email,
                                    .why = why,
                                    .retry_after_ns = visit->attempt.attempt.retry_after_ns};
    struct span cookie;
    enum err err = form_cookie(req, &cookie);

    if (err)
        return err;
    if (why == ERR_OK && json_format_holds(JSON_FORMAT_EMAIL, hint))
        page.email = hint;
    err = oauth_csrf_make(cookie, "login", page.request, req->arena, &page.csrf);
    if (err)
        return err;
    return oauth_page_login(&page, req->arena, ret_html);
}

static enum err consent_page(struct http_request *req, struct oauth_visit *visit,
                             struct span *ret_html)
{
    struct oauth_page_consent page = {.client = visit->client.name,
                                      .username = visit->login.username,
                                      .email = visit->email,
                                      .scope = visit->scope,
                                      .request = visit->full};
    struct span about;
    enum err err = oauth_uri_source(visit->request.redirect_uri, req->arena, &page.origin);

    if (err)
        return err;
    err = oauth_visit_about(visit, req->arena, &about);
    if (err)
        return err;
    err = oauth_csrf_make(visit->cookie, "consent", about, req->arena, &page.csrf);
    if (err)
        return err;
    return oauth_page_consent(&page, req->arena, ret_html);
}

static enum err reply_page(struct http_request *req, struct oauth_visit *visit)
{
    struct span html;
    enum err err = visit->answer == OAUTH_ANSWER_LOGIN
                       ? oauth_visit_login_page(req, visit, ERR_OK, &html)
                       : consent_page(req, visit, &html);

    if (err)
        return err;
    return oauth_page_reply(req, 200, html, visit->request.redirect_uri);
}

/* After signing in, the request carries the mark of it; after signing out, none. */
static enum err reply_again(struct http_request *req, struct oauth_visit *visit)
{
    struct sbuf out = sbuf_on(req->arena, OAUTH_LOCATION_BYTES_MAX);
    struct span mark;
    struct span location;
    enum err err;

    sbuf_add_lit(&out, "authorize?");
    sbuf_add(&out, visit->request.query);
    if (visit->new_cookie.len > 0) {
        err = oauth_csrf_make(visit->new_cookie, "signed in", visit->request.query, req->arena,
                              &mark);
        if (err)
            return err;
        sbuf_add_lit(&out, "&" OAUTH_MARK "=");
        sbuf_add(&out, mark);
        err = oauth_cookie_set(req, OAUTH_COOKIE_LOGIN, visit->new_cookie);
        if (err)
            return err;
    }
    err = sbuf_finish(&out, &location);
    if (err)
        return err;
    return http_reply_redirect(req, 303, location);
}

enum err oauth_visit_reply(struct http_request *req)
{
    struct oauth_visit *visit = req->work;
    enum err err;

    if (visit->ended) {
        http_forget_subject(http_engine_of(req), visit->login.user_id);
        if (visit->new_cookie.len == 0) {
            err = oauth_cookie_set(req, OAUTH_COOKIE_LOGIN, (struct span){0});
            if (err)
                return err;
        }
    }
    if (visit->answer == OAUTH_ANSWER_ERROR || visit->answer == OAUTH_ANSWER_CODE)
        return reply_location(req, visit);
    if (visit->answer == OAUTH_ANSWER_AGAIN)
        return reply_again(req, visit);
    return reply_page(req, visit);
}
