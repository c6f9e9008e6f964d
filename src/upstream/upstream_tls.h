/* SPDX-License-Identifier: MIT
 * TLS of an upstream: a context for each target. They never change: when their files do, another
 * upstream stands in place of this one. For the folder alone.
 *
 * Threads: any. */
#ifndef PC_UPSTREAM_UPSTREAM_TLS_H
#define PC_UPSTREAM_UPSTREAM_TLS_H

#include "crypto/tls.h"
#include "upstream/upstream.h"

struct upstream_tls {
    struct crypto_tls_context *contexts[UPSTREAM_TARGETS_MAX];
    size_t count;
};

PC_CHECKED enum err upstream_tls_new(struct crypto_tls_context *const *contexts, size_t count,
                                     struct upstream_tls **ret_tls);
void upstream_tls_free(struct upstream_tls *tls); /* accepts NULL */

/* For a connection to the target; NULL when the upstream is plain. */
struct crypto_tls_context *upstream_tls_of(const struct upstream *upstream, size_t target);

void upstream_tls_tell(struct upstream_pool *pool, size_t target, const char *why);
void upstream_tls_log(const struct upstream *upstream, size_t target, const char *why);

#endif
