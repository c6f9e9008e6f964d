/* SPDX-License-Identifier: MIT
 * TLS of an upstream: whose context a connection takes, and what is told when it fails. */
#include "upstream/upstream_tls.h"

#include "base/alloc.h"
#include "upstream/upstream_pool.h"

enum { TELL_EVERY_MS = 1000 };

enum err upstream_tls_new(struct crypto_tls_context *const *contexts, size_t count,
                          struct upstream_tls **ret_tls)
{
    struct upstream_tls *tls = alloc_zero(sizeof(*tls));

    if (tls == NULL)
        return ERR_NO_MEMORY;
    PC_ASSERT(count <= UPSTREAM_TARGETS_MAX);
    for (size_t i = 0; i < count; i++)
        tls->contexts[i] = crypto_tls_context_share(contexts[i]);
    tls->count = count;
    *ret_tls = tls;
    return ERR_OK;
}

void upstream_tls_free(struct upstream_tls *tls)
{
    if (tls == NULL)
        return;
    for (size_t i = 0; i < tls->count; i++)
        crypto_tls_context_free(tls->contexts[i]);
    alloc_free(tls);
}

struct crypto_tls_context *upstream_tls_of(const struct upstream *upstream, size_t target)
{
    return upstream->tls == NULL ? NULL : upstream->tls->contexts[upstream->targets[target].number];
}

/* Once a second for each target and loop: a target that nobody can agree with is asked often. */
void upstream_tls_tell(struct upstream_pool *pool, size_t target, const char *why)
{
    const struct upstream *upstream = pool->upstream;
    int64_t now_ns = net_loop_now_ns(pool->loop);

    if (now_ns < pool->tls_quiet_ns[target])
        return;
    pool->tls_quiet_ns[target] = now_ns + TELL_EVERY_MS * CLOCK_NS_PER_MS;
    upstream_tls_log(upstream, target, why);
}

void upstream_tls_log(const struct upstream *upstream, size_t target, const char *why)
{
    log_warn(upstream->options.logger, "upstream_tls_failed",
             LOG_STRING("upstream", upstream->options.name),
             LOG_STRING("target", upstream->targets[target].url), LOG_STRING("why", why));
}
