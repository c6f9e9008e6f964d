/* SPDX-License-Identifier: MIT
 * What a reload swaps, put together from parts. Each part makes its own from the new settings, may
 * take over what stays from the snapshot in force, and frees it when nobody looks at it any more:
 *
 *   make (every part; one that fails ends it, and nothing has changed) -> http_snapshot_take ->
 *   taken -> enter and leave on each loop -> (the last request of it is over) -> free
 *
 * So there is never half of a reload, and no request sees two. See README.md, "Swapping". */
#include "app/serve_priv.h"

#include "base/alloc.h"

struct serve_part {
    /* `now` is the one in force; NULL: none yet. On failure `fault` is filled, and free follows. */
    enum err (*make)(struct serve_snapshot *made, const struct serve_snapshot *now,
                     struct serve_fault *fault);
    void (*taken)(struct serve_snapshot *snapshot); /* it is in force; may be NULL */
    /* On each loop, for what it keeps to itself; may be NULL. */
    void (*enter)(struct serve_snapshot *snapshot, struct net_loop *loop);
    void (*leave)(struct serve_snapshot *snapshot, struct net_loop *loop);
    void (*free)(struct serve_snapshot *snapshot); /* also of one that was made in part */
};

static const struct serve_part parts[] = {
    {.make = serve_policy_part, .free = serve_policy_part_free},
    {.make = serve_issuers_make, .free = serve_issuers_free},
    {.make = serve_upstreams_make,
     .taken = serve_upstreams_taken,
     .enter = serve_upstreams_enter,
     .leave = serve_upstreams_leave,
     .free = serve_upstreams_free},
};

/* ---- settings that are pointed into ------------------------------------------------------------
 */

struct serve_lease {
    struct serve_settings settings;
    unsigned holders; /* of the thread that reloads */
};

static struct serve_lease *lease_new(const struct serve_settings *settings)
{
    struct serve_lease *lease = alloc_zero(sizeof(*lease));

    if (lease != NULL)
        *lease = (struct serve_lease){.settings = *settings, .holders = 1};
    return lease;
}

struct serve_lease *serve_lease_share(struct serve_lease *lease)
{
    lease->holders++;
    return lease;
}

void serve_lease_end(struct serve_lease *lease)
{
    if (lease == NULL || --lease->holders > 0)
        return;
    if (lease->settings.over != NULL)
        lease->settings.over(lease->settings.context);
    alloc_free(lease);
}

/* ---- what http/ calls --------------------------------------------------------------------------
 */

static void on_enter(void *context, struct net_loop *loop)
{
    for (size_t i = 0; i < PC_COUNT(parts); i++)
        if (parts[i].enter != NULL)
            parts[i].enter(context, loop);
}

static void on_leave(void *context, struct net_loop *loop)
{
    for (size_t i = 0; i < PC_COUNT(parts); i++)
        if (parts[i].leave != NULL)
            parts[i].leave(context, loop);
}

static void on_over(void *context)
{
    struct serve_snapshot *snapshot = context;

    for (size_t i = PC_COUNT(parts); i-- > 0;)
        parts[i].free(snapshot);
    serve_lease_end(snapshot->settings);
    alloc_free(snapshot);
}

/* ---- making and taking -------------------------------------------------------------------------
 */

static enum err publishable(struct serve_snapshot *made, struct serve_fault *fault)
{
    struct serve *serve = made->serve;
    const struct http_snapshot_options options = {.policy = &made->policy->policy,
                                                  .service =
                                                      serve->listeners[CONFIG_GATEWAY].service,
                                                  .routes = serve_upstreams_rows(made),
                                                  .enter = on_enter,
                                                  .leave = on_leave,
                                                  .over = on_over,
                                                  .context = made};
    const char *why;
    enum err err = http_snapshot_new(serve->engine, &options, &made->http, &why);

    return err ? serve_fail(fault, err, "the routes to upstreams cannot be set up: %s",
                            why != NULL ? why : err_sentence(err))
               : ERR_OK;
}

enum err serve_snapshot_make(struct serve *serve, const struct serve_settings *settings,
                             struct serve_snapshot **ret, struct serve_fault *fault)
{
    struct serve_snapshot *made = alloc_zero(sizeof(*made));
    enum err err = ERR_OK;

    if (made == NULL)
        return serve_fail(fault, ERR_NO_MEMORY, "no memory");
    made->serve = serve;
    made->config = settings->config;
    made->settings = lease_new(settings);
    if (made->settings == NULL) {
        alloc_free(made);
        return serve_fail(fault, ERR_NO_MEMORY, "no memory");
    }
    for (size_t i = 0; i < PC_COUNT(parts) && !err; i++)
        err = parts[i].make(made, serve->now, fault);
    if (!err)
        err = publishable(made, fault);
    if (err) {
        serve_snapshot_drop(made);
        return err;
    }
    *ret = made;
    return ERR_OK;
}

/* Whoever gave the settings keeps them. */
void serve_snapshot_drop(struct serve_snapshot *made)
{
    if (made == NULL)
        return;
    http_snapshot_free(made->http);
    made->settings->settings.over = NULL;
    on_over(made);
}

void serve_snapshot_take(struct serve_snapshot *made)
{
    struct serve *serve = made->serve;

    for (size_t i = 0; i < PC_COUNT(parts); i++)
        if (parts[i].taken != NULL)
            parts[i].taken(made);
    serve->now = made;
    serve->settled = made->config;
    http_snapshot_take(made->http);
}
