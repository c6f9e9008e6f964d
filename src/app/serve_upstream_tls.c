/* SPDX-License-Identifier: MIT
 * TLS to upstreams: the roots, our certificate and the name that each target must prove, from the
 * settings and their files. Made at the start and again with each reload: files change while their
 * names stay. */
#include "app/serve_priv.h"

#include "upstream/upstream.h"

enum { HOST_BYTES = 256 };

void serve_upstream_tls_free(struct crypto_tls_context **contexts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        crypto_tls_context_free(contexts[i]);
}

/* "::1" of "https://[::1]:9443", which was checked when it was read. */
static const char *host_of(const char *url, char ret[HOST_BYTES])
{
    struct sbuf out = sbuf_over(ret, HOST_BYTES);
    struct span host = span_from(url);
    bool is_literal;

    host = span_slice(host, span_find(host, '/') + 2, host.len);
    is_literal = span_starts(host, SPAN_OF("["));
    host = span_slice(host, is_literal ? 1 : 0, span_find(host, is_literal ? ']' : ':'));
    sbuf_add(&out, host);
    sbuf_add_char(&out, '\0');
    PC_ASSERT(!out.full);
    return ret;
}

struct crypto_tls_client_options serve_upstream_tls_options(const struct config_upstream *from)
{
    return (struct crypto_tls_client_options){.ca_path = from->tls.ca_file,
                                              .crl_path = from->tls.crl_file,
                                              .cert_path = from->tls.cert_file,
                                              .key_path = from->tls.key_file,
                                              .tls13_only = from->tls.min_version == CONFIG_TLS13};
}

static enum err contexts_make(const struct serve *serve, const struct config_upstream *from,
                              struct crypto_tls_context **ret, struct crypto_fault *fault)
{
    struct crypto_tls_client_options options = serve_upstream_tls_options(from);
    enum err err = ERR_OK;

    options.clock = serve->clock;

    for (size_t i = 0; i < from->target_count && !err; i++) {
        char host[HOST_BYTES];

        options.host = from->tls.server_name != NULL ? from->tls.server_name
                                                     : host_of(from->targets[i].url, host);
        ret[i] = NULL;
        if (i == 0)
            err = crypto_tls_client_context_new(&options, &ret[i], fault);
        else
            err = crypto_tls_client_context_for(ret[0], options.host, &ret[i]);
        if (err == ERR_CONFIG && fault->text[0] == '\0')
            crypto_fault_set(fault, "%s: this cannot be the name of a server", options.host);
        if (err)
            serve_upstream_tls_free(ret, i);
    }
    return err;
}

enum err serve_upstream_tls_make(const struct serve *serve, const struct config_upstream *from,
                                 struct crypto_tls_context *ret[SERVE_TARGETS_MAX],
                                 struct serve_fault *fault)
{
    struct crypto_fault why = {.text = ""};
    enum err err;

    PC_ASSERT(from->target_count <= SERVE_TARGETS_MAX);
    err = contexts_make(serve, from, ret, &why);
    if (err)
        return serve_fail(fault, err, "upstream %s: %s", from->name,
                          why.text[0] != '\0' ? why.text : err_sentence(err));
    return ERR_OK;
}
