/* SPDX-License-Identifier: MIT
 * A listener in clear that sends everybody to HTTPS, and does nothing else: no route, health or
 * metric is answered there. Where it sends them is never the client's choice: the host must be one
 * that a certificate of the HTTPS listener holds.
 *
 * Threads: made and changed by one; asked by the loops.    Source: RFC 9110, 15.4.9 (308). */
#ifndef PC_HTTP_HTTP_REDIRECT_H
#define PC_HTTP_HTTP_REDIRECT_H

#include "base/metric.h"
#include "crypto/tls.h"
#include "net/net.h"

struct http_redirect;

struct http_redirect_options {
    struct crypto_tls_context *tls; /* of the listener that they are sent to; shared with us */
    uint16_t port;                  /* where that is reached; 443 is not told */
    struct metrics *metrics;        /* NULL: none */
};
PC_CHECKED enum err http_redirect_new(const struct http_redirect_options *options,
                                      struct http_redirect **ret_redirect);
void http_redirect_free(struct http_redirect *redirect); /* accepts NULL */
/* The certificates have changed. */
void http_redirect_set_tls(struct http_redirect *redirect, struct crypto_tls_context *tls);

/* Its app_context is a struct http_redirect. */
extern const struct net_app http_redirect_app;

#endif
