/* SPDX-License-Identifier: MIT
 * Refresh tokens: POST /auth/refresh, and the grant refresh_token of POST /auth/token. Public and
 * bearer clients get a new one each time; a used one that comes again after its grace means that
 * somebody else has it too, and the whole grant ends (RFC 9700, 4.14). Within the grace the same
 * request gets the same bytes, so a lost reply logs nobody out. A confidential client whose tokens
 * are bound to its certificate keeps its refresh token, which is worth nothing to a thief. */
#include "oauth/oauth_flow_priv.h"

#include <string.h>

#include "base/alloc.h"
#include "crypto/digest.h"
#include "crypto/seal.h"

enum { TEXT_BYTES_MAX = 2048, EXPIRES_S_MAX = 1 << 30 };

/* ---- the body ---------------------------------------------------------------------------------
 */

struct refresh_body {
    struct span refresh_token, scope;
    int64_t expires_in;
    bool has_expires_in;
    struct oauth_shown shown;
};

static const struct json_field refresh_fields[] = {
    {.name = "refresh_token",
     .kind = JSON_KIND_TEXT,
     .min = 1,
     .max = TEXT_BYTES_MAX,
     .offset = offsetof(struct refresh_body, refresh_token),
     .example = "jF2cyhGmmVPqB4Jy5mYk3k1yZ0eV0pVdP0bA3v1n2xQ",
     .about = "The newest one of the grant."},
    {.name = "scope",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .max = TEXT_BYTES_MAX,
     .offset = offsetof(struct refresh_body, scope),
     .example = "accounts:read",
     .about = "Less than was granted, for this access token."},
    {.name = "expires_in",
     .kind = JSON_KIND_I64,
     .optional = true,
     .min = 1,
     .max = EXPIRES_S_MAX,
     .offset = offsetof(struct refresh_body, expires_in),
     .has_offset = offsetof(struct refresh_body, has_expires_in),
     .example = "300",
     .about = "Seconds that are enough; more than the client may have is not given."},
    OAUTH_SHOWN_FIELDS(struct refresh_body, "web-portal"),
};
const struct json_schema oauth_refresh_schema = {.name = "RefreshRequest",
                                                 .about = "Asks for the next tokens.",
                                                 .fields = refresh_fields,
                                                 .field_count = PC_COUNT(refresh_fields),
                                                 .bytes = sizeof(struct refresh_body)};

/* ---- the reply at rest ------------------------------------------------------------------------
 */

/* Of the token and of what was asked with it: the same request, and no other, opens the reply. */
static void seal_key(const struct oauth_flow *flow, unsigned char key[CRYPTO_SEAL_KEY_BYTES])
{
    char text[24];
    struct sbuf expires = sbuf_over(text, sizeof(text));
    unsigned char digest[CRYPTO_HASH_BYTES_MAX];

    sbuf_add_i64(&expires, flow->expires_in);
    {
        const struct span pieces[] = {SPAN("portcullis oauth grace "),
                                      flow->refresh_token,
                                      SPAN(" "),
                                      sbuf_span(&expires),
                                      SPAN(" "),
                                      flow->scope};

        crypto_digest_pieces(CRYPTO_SHA256, pieces, PC_COUNT(pieces), digest);
    }
    memcpy(key, digest, CRYPTO_SEAL_KEY_BYTES);
    alloc_wipe(digest, sizeof(digest));
}

static enum err seal_reply(struct http_request *req, struct oauth_flow *flow)
{
    unsigned char key[CRYPTO_SEAL_KEY_BYTES];
    enum err err;

    if (!flow->refreshes) /* the token stays: there is nothing to repeat */
        return ERR_OK;
    seal_key(flow, key);
    err = crypto_seal(key, flow->body, oauth_of(req)->options.random, req->arena, &flow->sealed);
    alloc_wipe(key, sizeof(key));
    return err;
}

static enum err refuse_token(struct oauth_flow *flow, const char *why)
{
    return oauth_flow_no(flow, ERR_OAUTH_INVALID_GRANT, why);
}

static enum err answer_again(struct http_request *req, struct oauth_flow *flow)
{
    unsigned char key[CRYPTO_SEAL_KEY_BYTES];
    enum err err;

    seal_key(flow, key);
    err = crypto_unseal(key, flow->refresh_row.sealed_reply, req->arena, &flow->answer);
    alloc_wipe(key, sizeof(key));
    if (err == ERR_KEY)
        return refuse_token(flow, "The refresh token was used for another request.");
    flow->grant = flow->refresh_row.grant;
    flow->subject.user_id = flow->grant.user_id;
    return err;
}

/* ---- the flow ---------------------------------------------------------------------------------
 */

static enum err refresh_look(struct http_request *req, struct oauth_flow *flow)
{
    enum err err;

    oauth_token_hash(flow->refresh_token, flow->hash);
    err = oauth_refresh_find(req->store, flow->hash, flow->now_ns, req->arena, &flow->refresh_row);
    flow->found = err == ERR_OK;
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* Whether it is this client's, over this connection: nobody else's business ends a grant. */
static bool is_ours(const struct oauth_flow *flow)
{
    const struct oauth_grant *grant = &flow->refresh_row.grant;

    return flow->found && grant->client_key == flow->caller.client.key &&
           (grant->thumbprint.len == 0 || span_equal(grant->thumbprint, flow->caller.thumbprint));
}

/* It was used, its grace is over, and what hangs on it lives. */
static bool is_reused(const struct oauth_flow *flow)
{
    const struct oauth_refresh *row = &flow->refresh_row;

    return is_ours(flow) && !row->grant.is_over && row->used &&
           (flow->now_ns >= row->grace_until_ns || row->sealed_reply.len == 0);
}

/* ERR_CONFLICT: used, but in its grace. */
static enum err worth(struct oauth_flow *flow)
{
    const struct oauth_refresh *row = &flow->refresh_row;

    if (!is_ours(flow))
        return refuse_token(flow, "The refresh token is not valid.");
    if (row->grant.is_over)
        return refuse_token(flow, "What was granted is over.");
    if (is_reused(flow))
        return refuse_token(flow, "The refresh token was used before.");
    if (row->used)
        return ERR_CONFLICT;
    if (row->expires_at_ns <= flow->now_ns)
        return refuse_token(flow, "The refresh token has expired.");
    return ERR_OK;
}

static bool keeps_token(const struct oauth_flow *flow)
{
    return flow->caller.client.is_bound && flow->caller.client.method != OAUTH_METHOD_NONE &&
           flow->refresh_row.grant.thumbprint.len > 0;
}

static enum err refresh_judge(struct http_request *req, struct oauth_flow *flow)
{
    const struct oauth_client *client = &flow->caller.client;
    struct oauth_subject *subject = &flow->subject;
    enum err err = worth(flow);

    if (err)
        return err;
    flow->grant = flow->refresh_row.grant;
    err = oauth_flow_scope_of(req, flow, flow->grant.scope, flow->grant.roles);
    if (err)
        return err;
    flow->refreshes = !keeps_token(flow);
    flow->reply.refresh_token = flow->refresh_token; /* unless there is a new one */
    flow->grant.expires_at_ns = flow->now_ns + oauth_flow_refresh_s(req, flow) * CLOCK_NS_PER_S;
    subject->user_id = flow->grant.user_id;
    subject->session_id = flow->grant.session_id;
    subject->roles = flow->grant.roles;
    subject->auth_at_s = flow->grant.auth_at_ns / CLOCK_NS_PER_S;
    subject->access_s = oauth_flow_access_s(req, flow);
    subject->thumbprint = flow->grant.thumbprint;
    if (client->is_bound) /* check has seen to it that there is one */
        subject->thumbprint = flow->caller.thumbprint;
    return ERR_OK;
}

static enum err refresh_reused(struct http_request *req, struct oauth_flow *flow)
{
    const struct oauth_grant *grant = &flow->refresh_row.grant;

    flow->event = TRAIL_TOKEN_REUSED;
    flow->object = grant->session_id;
    flow->forget = grant->user_id;
    return oauth_grant_end(req->store, grant->session_id, grant->user_id, "reuse", flow->now_ns);
}

static enum err refresh_write(struct http_request *req, const struct oauth_flow *flow)
{
    int64_t grace_s = oauth_of(req)->options.grace_s;
    enum err err;

    if (!flow->refreshes)
        err = oauth_refresh_keep(req->store, flow->hash, &flow->grant);
    else
        err = oauth_refresh_use(req->store, flow->hash, &flow->grant, flow->next_hash, flow->sealed,
                                flow->now_ns + grace_s * CLOCK_NS_PER_S, flow->now_ns);
    return err == ERR_CONFLICT ? ERR_STORE_RETRY : err;
}

static enum err refresh_settle(struct http_request *req, struct oauth_flow *flow)
{
    enum err err = refresh_look(req, flow);

    if (err)
        return err;
    err = refresh_judge(req, flow);
    if (err == ERR_CONFLICT)
        return answer_again(req, flow);
    if (oauth_flow_is_refusal(err) && is_reused(flow)) {
        enum err ended = refresh_reused(req, flow);

        return ended ? ended : err;
    }
    if (err || flow->refused)
        return err;
    return refresh_write(req, flow);
}

const struct oauth_flow_kind oauth_flow_refresh = {.name = "refresh_token",
                                                   .look = refresh_look,
                                                   .judge = refresh_judge,
                                                   .made = seal_reply,
                                                   .settle = refresh_settle};

enum err oauth_refresh_post(struct http_request *req)
{
    const struct refresh_body *body = req->body;
    struct oauth_flow *flow;
    enum err err = oauth_flow_begin(req, &body->shown, &flow);

    if (err)
        return err;
    flow->refresh_token = body->refresh_token;
    flow->scope = body->scope;
    flow->expires_in = body->expires_in;
    return oauth_flow_go(req, &oauth_flow_refresh);
}
