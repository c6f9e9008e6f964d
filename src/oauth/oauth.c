/* SPDX-License-Identifier: MIT
 * What oauth/ makes once at start. */
#include "oauth/oauth.h"

#include "base/alloc.h"
#include "oauth/oauth_priv.h"

/* Clients that exist are labels by their id; all others together are "unknown". */
static const struct metric_def failed_logins_def = {
    .name = "auth_service_failed_logins_total",
    .help = "Clients and users that could not prove who they are, by client.",
    .kind = METRIC_COUNTER,
    .labels = {"client_id"}};

static const struct metric_def issued_def = {.name = "oauth_tokens_issued_total",
                                             .help = "Token answers by grant.",
                                             .kind = METRIC_COUNTER,
                                             .labels = {"grant"}};

enum err oauth_new(const struct oauth_options *options, struct oauth **ret_oauth)
{
    struct oauth *oauth = alloc_zero(sizeof(*oauth));
    enum err err;

    if (oauth == NULL)
        return ERR_NO_MEMORY;
    oauth->options = *options;
    err = metric_register(options->metrics, &failed_logins_def, &oauth->failed_logins);
    if (!err)
        err = metric_register(options->metrics, &issued_def, &oauth->issued);
    if (!err)
        err = oauth_jwks_cache_new(&oauth->jwks);
    if (!err)
        err = oauth_recent_new(options->random, &oauth->recent);
    if (err) {
        oauth_free(oauth);
        return err;
    }
    *ret_oauth = oauth;
    return ERR_OK;
}

void oauth_free(struct oauth *oauth)
{
    if (oauth == NULL)
        return;
    oauth_recent_free(oauth->recent);
    oauth_jwks_cache_free(oauth->jwks);
    alloc_free(oauth);
}
