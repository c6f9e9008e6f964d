/* SPDX-License-Identifier: MIT
 * What a token may do, and for how long: never more than the client may have, never more than was
 * granted before, never more than the user's roles allow. What was asked for and is not the
 * client's is refused, not left out, so that nobody believes to have it; what a user's roles do not
 * hold is left out and the reply says so (RFC 6749, 3.3). */
#include "oauth/oauth_flow_priv.h"

/* Who somebody is: for a user's tokens only. */
#define USER_SCOPES "openid profile email offline_access"
/* What a client gets only when it asks. */
#define ASKED_SCOPES "openid offline_access"

static enum err refuse_scope(struct oauth_flow *flow, const char *why)
{
    return oauth_flow_no(flow, ERR_OAUTH_INVALID_SCOPE, why);
}

/* The names of `list` that are not in `without`. */
static enum err list_minus(struct span list, struct span without, struct arena *arena,
                           struct span *ret_list)
{
    struct sbuf out = sbuf_on(arena, list.len + 1);

    for (struct span name; span_cut(&list, ' ', &name);) {
        if (name.len == 0 || oauth_list_has(without, name))
            continue;
        if (out.len > 0)
            sbuf_add_char(&out, ' ');
        sbuf_add(&out, name);
    }
    if (out.full)
        return ERR_NO_MEMORY;
    *ret_list = out.len > 0 ? sbuf_span(&out) : SPAN_OF("");
    return ERR_OK;
}

/* `wanted`, which must be `allowed`, as far as it is `held`. */
static enum err choose(struct http_request *req, struct oauth_flow *flow, struct span wanted,
                       struct span allowed, struct span held)
{
    struct span chosen;

    if (wanted.len > 0 && !oauth_scope_is_valid(wanted))
        return refuse_scope(flow, "The scope is not a list of names with one space between.");
    if (!oauth_list_within(wanted, allowed))
        return refuse_scope(flow, "The scope is more than may be given.");
    chosen = oauth_list_both(wanted, held, req->arena);
    if (chosen.ptr == NULL)
        return ERR_NO_MEMORY;
    if (wanted.len > 0 && chosen.len == 0)
        return refuse_scope(flow, "Nothing of this scope may be given to this user.");
    flow->subject.scope = chosen;
    return ERR_OK;
}

/* All that is allowed and held, but what must be asked for. */
static enum err choose_all(struct http_request *req, struct oauth_flow *flow, struct span allowed,
                           struct span held)
{
    struct span both = oauth_list_both(allowed, held, req->arena);

    if (both.ptr == NULL)
        return ERR_NO_MEMORY;
    return list_minus(both, SPAN_OF(ASKED_SCOPES), req->arena, &flow->subject.scope);
}

enum err oauth_flow_scope(struct http_request *req, struct oauth_flow *flow, struct span roles)
{
    struct span allowed = flow->caller.client.scopes;
    struct span held;
    enum err err = auth_scopes_of_roles(roles, req->arena, &held);

    if (err)
        return err;
    return flow->scope.len > 0 ? choose(req, flow, flow->scope, allowed, held)
                               : choose_all(req, flow, allowed, held);
}

enum err oauth_flow_scope_alone(struct http_request *req, struct oauth_flow *flow)
{
    struct span allowed;
    enum err err =
        list_minus(flow->caller.client.scopes, SPAN_OF(USER_SCOPES), req->arena, &allowed);

    if (err)
        return err;
    return flow->scope.len > 0 ? choose(req, flow, flow->scope, allowed, allowed)
                               : choose_all(req, flow, allowed, allowed);
}

enum err oauth_flow_scope_of(struct http_request *req, struct oauth_flow *flow, struct span granted,
                             struct span roles)
{
    struct span wanted = flow->scope.len > 0 ? flow->scope : granted;
    struct span held;
    enum err err = auth_scopes_of_roles(roles, req->arena, &held);

    if (err)
        return err;
    held = oauth_list_both(held, flow->caller.client.scopes, req->arena);
    if (held.ptr == NULL)
        return ERR_NO_MEMORY;
    return choose(req, flow, wanted, granted, held);
}

int64_t oauth_flow_access_s(const struct http_request *req, const struct oauth_flow *flow)
{
    const struct oauth_client *client = &flow->caller.client;
    int64_t life_s = client->access_s > 0 ? client->access_s : oauth_of(req)->options.access_s;

    return flow->expires_in > 0 && flow->expires_in < life_s ? flow->expires_in : life_s;
}

int64_t oauth_flow_refresh_s(const struct http_request *req, const struct oauth_flow *flow)
{
    const struct oauth_client *client = &flow->caller.client;

    return client->refresh_s > 0 ? client->refresh_s : oauth_of(req)->options.refresh_s;
}

/* The session lives as long as the tokens that hang on it. A grant that is to outlast the browser's
 * login does not hang on that (OpenID Connect Back-Channel Logout 1.0, 2.7). */
void oauth_flow_grant(struct http_request *req, struct oauth_flow *flow, int64_t user_id)
{
    const struct oauth_client *client = &flow->caller.client;
    struct span thumbprint = client->is_bound ? flow->caller.thumbprint : (struct span){0};
    bool offline = oauth_list_has(flow->subject.scope, SPAN_OF("offline_access"));
    int64_t life_s = oauth_flow_access_s(req, flow);

    flow->refreshes = oauth_list_has(client->grants, SPAN_OF("refresh_token"));
    if (flow->refreshes && life_s < oauth_flow_refresh_s(req, flow))
        life_s = oauth_flow_refresh_s(req, flow);
    flow->grant = (struct oauth_grant){
        .session_id = span_make(flow->session, sizeof(flow->session)),
        .client_id = client->client_id,
        .client_key = client->key,
        .user_id = user_id,
        .login_session = offline ? (struct span){0} : flow->code_row.login_session,
        .scope = flow->subject.scope,
        .thumbprint = thumbprint,
        .address = req->address,
        .auth_at_ns = flow->subject.auth_at_s * CLOCK_NS_PER_S,
        .expires_at_ns = flow->now_ns + life_s * CLOCK_NS_PER_S};
    flow->subject.user_id = user_id;
    flow->subject.session_id = flow->grant.session_id;
    flow->subject.thumbprint = thumbprint;
    flow->subject.access_s = oauth_flow_access_s(req, flow);
}
