/* SPDX-License-Identifier: MIT
 * POST /oauth/consent: allow, deny, or "not you?". The decision, what it is kept as, and the code
 * that follows are one commit. The form's token covers the scopes that were shown, so nothing else
 * is granted though the user's rights grew since. */
#include "oauth/oauth_page_priv.h"

static const struct json_field fields[] = {
    {.name = "request",
     .kind = JSON_KIND_TEXT,
     .max = OAUTH_REQUEST_BYTES_MAX + 128, /* and the mark */
     .offset = offsetof(struct oauth_form, request)},
    {.name = "csrf",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .max = OAUTH_TOKEN_TEXT_BYTES,
     .offset = offsetof(struct oauth_form, csrf)},
    {.name = "decision",
     .kind = JSON_KIND_TEXT,
     .max = 8,
     .offset = offsetof(struct oauth_form, decision)},
};
const struct json_schema oauth_consent_form = {.name = "ConsentForm",
                                               .about = "What the consent page sends.",
                                               .fields = fields,
                                               .field_count = PC_COUNT(fields),
                                               .bytes = sizeof(struct oauth_form)};

static enum err allow(struct http_request *req, struct oauth_visit *visit)
{
    enum err err = oauth_consent_add(req->store, visit->login.user_id, visit->client.key,
                                     visit->scope, visit->now_ns, req->arena);

    if (err)
        return err;
    err = oauth_visit_record(req, visit, TRAIL_CONSENT, TRAIL_DONE, NULL);
    if (err)
        return err;
    return oauth_visit_issue(req, visit);
}

static enum err deny(struct http_request *req, struct oauth_visit *visit)
{
    visit->answer = OAUTH_ANSWER_ERROR;
    visit->error = "access_denied";
    visit->why = "The user said no.";
    return oauth_visit_record(req, visit, TRAIL_CONSENT, TRAIL_REFUSED, "denied");
}

static enum err switch_user(struct http_request *req, struct oauth_visit *visit)
{
    enum err err = oauth_login_end(req->store, &visit->login, visit->now_ns);

    if (err)
        return err;
    visit->ended = true;
    visit->answer = OAUTH_ANSWER_AGAIN;
    return oauth_visit_record(req, visit, TRAIL_LOGOUT, TRAIL_DONE, "another user signs in");
}

static enum err decide(struct http_request *req, struct oauth_visit *visit, struct span decision)
{
    if (span_is(decision, "allow"))
        return allow(req, visit);
    if (span_is(decision, "deny"))
        return deny(req, visit);
    if (span_is(decision, "switch"))
        return switch_user(req, visit);
    return http_fail(req, ERR_BAD_REQUEST, "The form is not one of ours.");
}

enum err oauth_consent_post(struct http_request *req)
{
    const struct oauth_form *form = req->body;
    struct oauth_visit *visit;
    struct span about;
    enum err err = oauth_visit_begin(req, form->request, &visit);

    if (err)
        return err;
    visit->agreed = true;
    err = oauth_visit_decide(req, visit);
    if (err)
        return err;
    err = oauth_visit_about(visit, req->arena, &about);
    if (err)
        return err;
    if (visit->answer == OAUTH_ANSWER_CODE) {
        if (!oauth_post_is_ours(req) ||
            !oauth_csrf_holds(visit->cookie, "consent", about, form->csrf))
            return http_fail(req, ERR_FORBIDDEN,
                             "This page is too old. Go back to the application and start again.");
        err = decide(req, visit, form->decision);
        if (err)
            return err;
    } else if (visit->answer == OAUTH_ANSWER_LOGIN) {
        visit->answer = OAUTH_ANSWER_AGAIN;
    }
    return http_hop(req, HTTP_RUN_LOOP, oauth_visit_reply);
}
