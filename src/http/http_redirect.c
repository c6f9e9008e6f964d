/* SPDX-License-Identifier: MIT
 * From http to https: one Host, of our certificates, and a plain path, or 400. Nothing of what a
 * client sends reaches the answer unchecked. */
#include "http/http_redirect.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "http/http_priv.h"

enum {
    HEAD_BYTES_MAX = LIMIT_HTTP_TARGET_BYTES_MAX + 1024,
    BODY_BYTES_MAX = 256,
    HTTPS_PORT = 443
};

struct http_redirect {
    pthread_mutex_t lock; /* of `tls` */
    struct crypto_tls_context *tls;
    uint16_t port;
    struct metric_series *sent, *refused;
    struct http_refusals *refusals; /* the same by reason, beside those of the services */
};

static const struct metric_def answers = {.name = "portcullis_http_redirects_total",
                                          .help = "Requests in clear, sent to HTTPS or refused.",
                                          .kind = METRIC_COUNTER,
                                          .labels = {"answer"}};

enum err http_redirect_new(const struct http_redirect_options *options,
                           struct http_redirect **ret_redirect)
{
    static const struct span outcomes[] = {SPAN("redirected"), SPAN("refused")};
    struct http_redirect *redirect = alloc_zero(sizeof(*redirect));
    struct metric *metric = NULL;
    enum err err;

    if (redirect == NULL)
        return ERR_NO_MEMORY;
    err = metric_register(options->metrics, &answers, &metric);
    if (!err)
        err = http_refusals_new(options->metrics, "redirect", &redirect->refusals);
    if (err) {
        alloc_free(redirect);
        return err;
    }
    PC_ASSERT(pthread_mutex_init(&redirect->lock, NULL) == 0);
    redirect->sent = metric_series(metric, &outcomes[0], 1);
    redirect->refused = metric_series(metric, &outcomes[1], 1);
    redirect->port = options->port;
    redirect->tls = crypto_tls_context_share(options->tls);
    *ret_redirect = redirect;
    return ERR_OK;
}

void http_redirect_free(struct http_redirect *redirect)
{
    if (redirect == NULL)
        return;
    http_refusals_free(redirect->refusals);
    crypto_tls_context_free(redirect->tls);
    PC_ASSERT(pthread_mutex_destroy(&redirect->lock) == 0);
    alloc_free(redirect);
}

void http_redirect_set_tls(struct http_redirect *redirect, struct crypto_tls_context *tls)
{
    struct crypto_tls_context *old;

    PC_ASSERT(pthread_mutex_lock(&redirect->lock) == 0);
    old = redirect->tls;
    redirect->tls = crypto_tls_context_share(tls);
    PC_ASSERT(pthread_mutex_unlock(&redirect->lock) == 0);
    crypto_tls_context_free(old);
}

/* ---- what may be told back ---------------------------------------------------------------------
 */

static bool is_of(struct span s, const char *more)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = span_lower_char(s.ptr[i]);

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) &&
            (c == '\0' || strchr(more, c) == NULL))
            return false;
    }
    return s.len > 0;
}

/* The host of "name[:port]" or "[::1][:port]"; the port is of no interest, but must be one. */
static bool host_read(struct span text, struct span *ret_host, struct span *ret_name)
{
    size_t end = span_find(text, ':');
    uint64_t port;

    *ret_host = *ret_name = span_slice(text, 0, end);
    if (text.len > 0 && text.ptr[0] == '[') {
        end = span_find(text, ']');
        if (end == text.len)
            return false;
        *ret_name = span_slice(text, 1, end);
        *ret_host = span_slice(text, 0, ++end);
    }
    if (end < text.len &&
        (text.ptr[end] != ':' || end + 1 == text.len ||
         !span_to_u64(span_slice(text, end + 1, text.len), &port) || port > UINT16_MAX))
        return false;
    if (ret_name->len == ret_host->len)
        return is_of(*ret_name, ".-_");
    return is_of(*ret_name, ":.") && span_find(*ret_name, ':') < ret_name->len; /* no name */
}

static bool is_ours(struct http_redirect *redirect, struct span name)
{
    bool is;

    PC_ASSERT(pthread_mutex_lock(&redirect->lock) == 0);
    is = crypto_tls_context_covers(redirect->tls, name);
    PC_ASSERT(pthread_mutex_unlock(&redirect->lock) == 0);
    return is;
}

/* A path and query of visible ASCII: RFC 9112, 3.2.1. */
static bool is_plain(struct span target)
{
    for (size_t i = 0; i < target.len; i++) {
        char c = target.ptr[i];

        if (c <= ' ' || c > '~' || c == '#' || c == '"' || c == '<' || c == '>' || c == '\\')
            return false;
    }
    return target.len > 0 && target.ptr[0] == '/';
}

static enum err check(struct http_redirect *redirect, const struct net_head *head,
                      struct span *ret_host)
{
    struct span name;

    if (net_head_count(head, SPAN_OF("host")) != 1 ||
        !host_read(net_head_find(head, SPAN_OF("host"))->value, ret_host, &name) ||
        !is_ours(redirect, name))
        return ERR_BAD_HOST;
    return is_plain(head->target) ? ERR_OK : ERR_BAD_REQUEST;
}

/* ---- answering ---------------------------------------------------------------------------------
 */

#define SAFE_LINES                                                                                 \
    "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"                               \
    "Referrer-Policy: no-referrer\r\n"

static void answer(struct net_stream *stream, int status, const struct sbuf *head,
                   const struct sbuf *body)
{
    struct net_reply reply = {.status = status, .head = SPAN(SAFE_LINES)};
    const struct net_head *asked = net_stream_head(stream);

    reply.close = asked == NULL || asked->has_body; /* which nobody reads */
    if (!head->full && !body->full) {
        reply.head = sbuf_span(head);
        reply.body = sbuf_span(body);
    }
    net_reply(stream, &reply);
}

static void refuse(struct net_stream *stream, enum err err)
{
    struct http_redirect *redirect = net_stream_context(stream);
    struct sbuf head = sbuf_on(net_stream_arena(stream), HEAD_BYTES_MAX);
    struct sbuf body = sbuf_on(net_stream_arena(stream), BODY_BYTES_MAX);

    metric_add(redirect->refused, 1);
    http_refusals_add(redirect->refusals, err);
    sbuf_add_lit(&head, SAFE_LINES "Content-Type: application/problem+json\r\n");
    sbuf_add_format(&body,
                    "{\"type\":\"urn:portcullis:problem:%s\",\"title\":\"%s\",\"status\":%d}",
                    err_slug(err), err_sentence(err), err_status(err));
    answer(stream, err_status(err), &head, &body);
}

static void on_head(struct net_stream *stream, const struct net_head *asked)
{
    struct http_redirect *redirect = net_stream_context(stream);
    struct sbuf head = sbuf_on(net_stream_arena(stream), HEAD_BYTES_MAX);
    const struct sbuf body = {0};
    struct span host;
    enum err err = check(redirect, asked, &host);

    if (err) {
        refuse(stream, err);
        return;
    }
    metric_add(redirect->sent, 1);
    sbuf_add_lit(&head, SAFE_LINES "Location: https://");
    sbuf_add(&head, host);
    if (redirect->port != HTTPS_PORT)
        sbuf_add_format(&head, ":%u", (unsigned)redirect->port);
    sbuf_add(&head, asked->target);
    sbuf_add_lit(&head, "\r\n");
    answer(stream, 308, &head, &body);
}

static void on_body(struct net_stream *stream, struct span bytes)
{
    (void)stream, (void)bytes;
}

static void on_end(struct net_stream *stream)
{
    (void)stream;
}

const struct net_app http_redirect_app = {
    .head = on_head, .body = on_body, .end = on_end, .refuse = refuse};
