/* SPDX-License-Identifier: MIT
 * Signing out, begun by an application (OpenID Connect RP-Initiated Logout 1.0) or by the user. It
 * ends the login of this browser and every grant that came from it. An id_token of the user who is
 * signed in proves that the application knows them; without one we ask, so that a link on any page
 * cannot sign people out.
 *
 *   GET ──hint of this user──> end (WRITE) ──> 303 application, or "signed out"
 *    └──> page "sign out?" ──POST──> end (WRITE) ──^ */
#include "oauth/oauth_page_priv.h"

static const struct json_field fields[] = {
    {.name = "request",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .max = OAUTH_REQUEST_BYTES_MAX,
     .offset = offsetof(struct oauth_form, request)},
    {.name = "csrf",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .max = OAUTH_TOKEN_TEXT_BYTES,
     .offset = offsetof(struct oauth_form, csrf)},
};
const struct json_schema oauth_logout_form = {.name = "LogoutForm",
                                              .about = "What the logout page sends.",
                                              .fields = fields,
                                              .field_count = PC_COUNT(fields),
                                              .bytes = sizeof(struct oauth_form)};

enum { PLACE_HINT, PLACE_CLIENT_ID, PLACE_URI, PLACE_STATE, PLACE_COUNT };

/* req->work of these routes. */
struct goodbye {
    struct span query; /* as it came */
    struct span client_id, client_name;
    struct span uri, state; /* where to go afterwards; may be empty */
    int64_t hint_user_id;   /* 0: no hint */
    int64_t now_ns;
    struct span cookie;
    bool signed_in, ended;
    struct oauth_login login;
};

/* ---- reading ----------------------------------------------------------------------------------
 */

static enum err refuse(struct http_request *req, const char *why)
{
    enum err err = http_fail(req, ERR_OAUTH_INVALID_REQUEST, why);

    PC_ASSERT(err != ERR_OK);
    return err;
}

static bool list_has_line(struct span list, struct span line)
{
    struct span one;

    while (span_cut(&list, '\n', &one)) {
        if (one.len > 0 && span_equal(one, line))
            return true;
    }
    return false;
}

static enum err read_parameters(struct http_request *req, struct goodbye *bye,
                                struct span *ret_hint)
{
    struct oauth_parameter list[PLACE_COUNT] = {[PLACE_HINT] = {.name = "id_token_hint"},
                                                [PLACE_CLIENT_ID] = {.name = "client_id"},
                                                [PLACE_URI] = {.name = "post_logout_redirect_uri"},
                                                [PLACE_STATE] = {.name = "state"}};
    enum err err = oauth_parameters_read(bye->query, req->arena, list, PLACE_COUNT);

    if (err == ERR_BAD_QUERY)
        return refuse(req, "The request is malformed.");
    if (err)
        return err;
    for (size_t i = 0; i < PLACE_COUNT; i++) {
        if (list[i].twice)
            return refuse(req, "A parameter came twice.");
    }
    if (list[PLACE_STATE].value.len > OAUTH_STATE_BYTES_MAX)
        return refuse(req, "state is too long.");
    *ret_hint = list[PLACE_HINT].value;
    bye->client_id = list[PLACE_CLIENT_ID].value;
    bye->uri = list[PLACE_URI].value;
    bye->state = list[PLACE_STATE].value;
    return ERR_OK;
}

static enum err read_hint(struct http_request *req, struct goodbye *bye, struct span hint)
{
    struct span client_id;
    enum err err;

    if (hint.len == 0)
        return ERR_OK;
    err = oauth_hint_read(oauth_of(req), hint, bye->now_ns, req->arena, &bye->hint_user_id,
                          &client_id);
    if (err == ERR_TOKEN_INVALID)
        return refuse(req, "id_token_hint is not valid.");
    if (err)
        return err;
    if (bye->client_id.len > 0 && !span_equal(bye->client_id, client_id))
        return refuse(req, "id_token_hint is not of this client.");
    bye->client_id = client_id;
    return ERR_OK;
}

/* Section 3: the address is one that the client registered, to the letter; else nobody is sent
 * anywhere. */
static enum err check_client(struct http_request *req, struct goodbye *bye)
{
    struct oauth_client client;
    enum err err;

    if (bye->client_id.len == 0)
        return bye->uri.len == 0 ? ERR_OK
                                 : refuse(req, "The request does not say which application asks.");
    err = oauth_client_find(req->store, bye->client_id, req->arena, &client);
    if (err == ERR_NOT_FOUND || (err == ERR_OK && !client.is_active))
        return refuse(req, "The application that sent you here is not known.");
    if (err)
        return err;
    if (bye->uri.len > 0 && !list_has_line(client.logout_uris, bye->uri))
        return refuse(req, "The application asks to return to an address that is not its own.");
    bye->client_name = client.name;
    return ERR_OK;
}

static enum err begin(struct http_request *req, struct span query, struct goodbye **ret_bye)
{
    struct goodbye *bye = arena_zero(req->arena, sizeof(*bye));
    struct span hint;
    enum err err;

    if (bye == NULL)
        return ERR_NO_MEMORY;
    bye->query = query;
    bye->now_ns = clock_realtime_ns(oauth_of(req)->options.clock);
    err = read_parameters(req, bye, &hint);
    if (err)
        return err;
    err = read_hint(req, bye, hint);
    if (err)
        return err;
    err = check_client(req, bye);
    if (err)
        return err;
    bye->cookie = oauth_cookie_get(req, OAUTH_COOKIE_LOGIN);
    err = oauth_login_find(req->store, bye->cookie, bye->now_ns, req->arena, &bye->login);
    if (err != ERR_OK && err != ERR_NOT_FOUND)
        return err;
    bye->signed_in = err == ERR_OK;
    req->work = bye;
    *ret_bye = bye;
    return ERR_OK;
}

/* ---- answering --------------------------------------------------------------------------------
 */

static enum err ask(struct http_request *req, const struct goodbye *bye)
{
    struct oauth_page_logout page = {
        .client = bye->client_name, .username = bye->login.username, .request = bye->query};
    struct span html;
    enum err err = oauth_csrf_make(bye->cookie, "logout", bye->query, req->arena, &page.csrf);

    if (err)
        return err;
    err = oauth_page_logout(&page, req->arena, &html);
    if (err)
        return err;
    return oauth_page_reply(req, 200, html, bye->uri);
}

static enum err reply(struct http_request *req)
{
    const struct goodbye *bye = req->work;
    struct oauth_page_logout page = {0};
    struct span text;
    enum err err;

    if (bye->signed_in && !bye->ended)
        return ask(req, bye);
    if (bye->ended)
        http_forget_subject(http_engine_of(req), bye->login.user_id);
    if (bye->cookie.len > 0) { /* a POST from elsewhere brings none, and must not take it away */
        err = oauth_cookie_set(req, OAUTH_COOKIE_LOGIN, (struct span){0});
        if (err)
            return err;
    }
    if (bye->uri.len > 0) {
        err = oauth_location_with(bye->uri, "state", bye->state, req->arena, &text);
        return err ? err : http_reply_redirect(req, 303, text);
    }
    err = oauth_page_logout(&page, req->arena, &text);
    if (err)
        return err;
    return oauth_page_reply(req, 200, text, (struct span){0});
}

static enum err end(struct http_request *req)
{
    struct goodbye *bye = req->work;
    struct sbuf object = sbuf_on(req->arena, AUTH_ID_BYTES + 16);
    struct auth_event event = {.event = TRAIL_LOGOUT,
                               .outcome = TRAIL_DONE,
                               .user_id = bye->login.user_id,
                               .client_id = bye->client_id};
    enum err err = oauth_login_end(req->store, &bye->login, bye->now_ns);

    if (err)
        return err;
    sbuf_add_lit(&object, "session:");
    sbuf_add(&object, bye->login.session_id);
    event.object = sbuf_span(&object);
    err = auth_record(req, &event);
    if (err)
        return err;
    bye->ended = true;
    return http_hop(req, HTTP_RUN_LOOP, reply);
}

enum err oauth_logout_get(struct http_request *req)
{
    struct goodbye *bye;
    enum err err = begin(req, req->query, &bye);

    if (err)
        return err;
    if (bye->signed_in && bye->hint_user_id == bye->login.user_id)
        return http_hop(req, HTTP_RUN_WRITE, end);
    return http_hop(req, HTTP_RUN_LOOP, reply);
}

/* From an application, a POST brings no cookie of ours; the GET that follows does. */
static enum err post_of_application(struct http_request *req)
{
    struct sbuf out = sbuf_on(req->arena, OAUTH_LOCATION_BYTES_MAX);
    struct span location;
    enum err err;

    if (!oauth_query_is_plain(req->body_text))
        return refuse(req, "The request is malformed.");
    sbuf_add_lit(&out, "logout?");
    sbuf_add(&out, req->body_text);
    err = sbuf_finish(&out, &location);
    if (err)
        return err;
    return http_reply_redirect(req, 303, location);
}

enum err oauth_logout_post(struct http_request *req)
{
    const struct oauth_form *form = req->body;
    struct goodbye *bye;
    enum err err;

    if (form->csrf.len == 0)
        return post_of_application(req);
    err = begin(req, form->request, &bye);
    if (err)
        return err;
    if (bye->signed_in && (!oauth_post_is_ours(req) ||
                           !oauth_csrf_holds(bye->cookie, "logout", bye->query, form->csrf)))
        return http_fail(req, ERR_FORBIDDEN, "This page is too old. Please try again.");
    if (bye->signed_in)
        return http_hop(req, HTTP_RUN_WRITE, end);
    return http_hop(req, HTTP_RUN_LOOP, reply);
}
