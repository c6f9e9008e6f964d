/* SPDX-License-Identifier: MIT
 * TLS towards a server. Who answers must show a certificate for the very host that was meant, from
 * a root that is trusted, valid now; it is checked while the handshake runs, before a byte of ours
 * is sent.
 *
 * A session is resumed with the server it was made with alone: it is kept beside the host's name,
 * not in OpenSSL's cache. Each connection takes a copy, since OpenSSL writes into a session that it
 * resumes and connections are on many threads.
 *
 * Source: RFC 9525 (names in certificates), RFC 6066, 3 (SNI is for names, not addresses), RFC
 * 8446, 4.6.1 (a ticket is for the server that gave it). */
#include <stdatomic.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/alloc.h"
#include "crypto/tls_priv.h"

enum { CHAIN_DEPTH_MAX = 8, SESSION_AGE_S_MAX = 3600 };

static bool is_address(const char *host)
{
    ASN1_OCTET_STRING *bytes = a2i_IPADDRESS(host);
    bool is = bytes != NULL;

    ASN1_OCTET_STRING_free(bytes);
    ERR_clear_error();
    return is;
}

/* An address is looked for among the addresses of the certificate, a name among its names; never
 * in its subject. */
static bool host_use(X509_VERIFY_PARAM *param, const char *host)
{
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (is_address(host))
        return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
    return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1;
}

static bool is_host(const char *host)
{
    X509_VERIFY_PARAM *param = X509_VERIFY_PARAM_new();
    bool is = param != NULL && host[0] != '\0' && host_use(param, host);

    X509_VERIFY_PARAM_free(param);
    return is;
}

/* SSL_set_tlsext_host_name, whose cast drops the const: OpenSSL copies the name. */
static bool name_set(SSL *ssl, const char *name)
{
    return SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                    (void *)(uintptr_t)name) == 1;
}

/* ---- sessions ---- */

static int began_index;

static void began_index_take(void)
{
    began_index = SSL_SESSION_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    PC_ASSERT(began_index >= 0);
}

/* A session that is resumed goes on in another one, which OpenSSL makes a copy of it with a new
 * time. When it began, in whole, is kept beside it as a number in the place of a pointer, and
 * copied. */
static int began_at(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    PC_ASSERT(pthread_once(&once, began_index_take) == 0);
    return began_index;
}

static bool began_set(SSL_SESSION *session, int64_t began_s)
{
    return SSL_SESSION_set_ex_data(session, began_at(), (void *)(uintptr_t)began_s) == 1;
}

static int64_t began(const SSL_SESSION *session)
{
    return (int64_t)(uintptr_t)SSL_SESSION_get_ex_data(session, began_at());
}

/* OpenSSL has a session that can be resumed: with TLS 1.3 after the handshake, and more than once.
 */
static int session_keep(SSL *ssl, SSL_SESSION *session)
{
    struct crypto_tls_context *context = SSL_get_app_data(ssl);
    SSL_SESSION *copy = NULL;
    SSL_SESSION *old;

    if (SSL_get_verify_result(ssl) == X509_V_OK)
        copy = SSL_SESSION_dup(session);
    if (copy != NULL && SSL_session_reused(ssl) != 1 &&
        !began_set(copy, clock_realtime_s(context->clock))) {
        SSL_SESSION_free(copy);
        copy = NULL;
    }
    if (copy == NULL)
        return 0;
    PC_ASSERT(pthread_mutex_lock(&context->lock) == 0);
    old = context->session;
    context->session = copy;
    PC_ASSERT(pthread_mutex_unlock(&context->lock) == 0);
    SSL_SESSION_free(old);
    return 0; /* the one given is OpenSSL's */
}

void crypto_tls_client_forget(struct crypto_tls_context *context)
{
    SSL_SESSION *old;

    PC_ASSERT(pthread_mutex_lock(&context->lock) == 0);
    old = context->session;
    context->session = NULL;
    PC_ASSERT(pthread_mutex_unlock(&context->lock) == 0);
    SSL_SESSION_free(old);
}

/* What was checked in the whole handshake must hold still, and lists are looked at there alone. */
static bool is_good(SSL_SESSION *session, const struct clock *clock)
{
    const X509 *certificate = SSL_SESSION_get0_peer(session);
    int64_t age_s = clock_realtime_s(clock) - began(session);

    return SSL_SESSION_is_resumable(session) == 1 && age_s >= 0 && age_s < SESSION_AGE_S_MAX &&
           certificate != NULL && X509_cmp_current_time(X509_get0_notAfter(certificate)) > 0;
}

/* Without one, or without memory, the handshake is a whole one. */
static void session_offer(SSL *ssl, struct crypto_tls_context *context)
{
    SSL_SESSION *copy = NULL;

    PC_ASSERT(pthread_mutex_lock(&context->lock) == 0);
    if (context->session != NULL && is_good(context->session, context->clock))
        copy = SSL_SESSION_dup(context->session);
    PC_ASSERT(pthread_mutex_unlock(&context->lock) == 0);
    if (copy != NULL && SSL_set_session(ssl, copy) != 1)
        ERR_clear_error();
    SSL_SESSION_free(copy);
}

bool crypto_tls_client_use(SSL *ssl, struct crypto_tls_context *context)
{
    bool good =
        SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE || host_use(SSL_get0_param(ssl), context->host);

    good = good && (is_address(context->host) || name_set(ssl, context->host)) &&
           SSL_set_app_data(ssl, context) == 1;
    SSL_set_connect_state(ssl);
    if (good)
        session_offer(ssl, context);
    ERR_clear_error();
    return good;
}

/* ---- the context ---- */

static enum err roots_use(SSL_CTX *ssl, const struct crypto_tls_client_options *options,
                          struct crypto_fault *fault)
{
    if (options->unverified) {
        SSL_CTX_set_verify(ssl, SSL_VERIFY_NONE, NULL);
        return ERR_OK;
    }
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_verify_depth(ssl, CHAIN_DEPTH_MAX);
    if (!is_host(options->host))
        return crypto_tls_fault(fault, options->host, "this cannot be the name of a server");
    if (options->ca_path == NULL && SSL_CTX_set_default_verify_paths(ssl) != 1)
        return crypto_tls_fault(fault, options->host, "the system has no certificates to trust");
    if (options->ca_path != NULL && SSL_CTX_load_verify_file(ssl, options->ca_path) != 1)
        return crypto_tls_fault(fault, options->ca_path, "there are no readable certificates");
    return ERR_OK;
}

static enum err host_keep(struct crypto_tls_context *context, const char *host)
{
    size_t bytes = strlen(host) + 1;

    context->host = alloc_raw(bytes);
    if (context->host == NULL)
        return ERR_NO_MEMORY;
    memcpy(context->host, host, bytes);
    return ERR_OK;
}

static enum err context_fill(struct crypto_tls_context *context,
                             const struct crypto_tls_client_options *options,
                             struct crypto_fault *fault)
{
    const struct clock *clock = options->clock != NULL ? options->clock : &clock_system;
    enum err err = host_keep(context, options->host);

    if (err)
        return err;
    context->clock = clock;
    if (!crypto_tls_rules_use(context->ssl, options->tls13_only))
        return crypto_tls_fault(fault, options->host, "TLS could not be set up");
    SSL_CTX_set_session_cache_mode(context->ssl,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context->ssl, session_keep);
    err = roots_use(context->ssl, options, fault);
    if (!err && options->crl_path != NULL)
        err = crypto_tls_crl_use(context->ssl, options->crl_path, clock, fault);
    if (!err && options->cert_path != NULL)
        err = crypto_tls_identity_use(context->ssl, options->cert_path, options->key_path, clock,
                                      &context->end_s, fault);
    return err;
}

enum err crypto_tls_client_context_new(const struct crypto_tls_client_options *options,
                                       struct crypto_tls_context **ret_context,
                                       struct crypto_fault *fault)
{
    PC_AUTO(crypto_tls_context) context = NULL;
    enum err err;

    PC_ASSERT(options->host != NULL && options->host[0] != '\0');
    err = crypto_tls_context_make(TLS_client_method(), &context);
    if (err)
        return err;
    err = context_fill(context, options, fault);
    if (err)
        return err;
    *ret_context = context;
    context = NULL;
    return ERR_OK;
}

enum err crypto_tls_client_context_for(const struct crypto_tls_context *client, const char *host,
                                       struct crypto_tls_context **ret_context)
{
    PC_AUTO(crypto_tls_context) context = NULL;
    enum err err;

    PC_ASSERT(client->host != NULL);
    if (!is_host(host)) {
        ERR_clear_error();
        return ERR_CONFIG;
    }
    err = crypto_tls_context_make(NULL, &context);
    if (err)
        return err;
    PC_ASSERT(SSL_CTX_up_ref(client->ssl) == 1);
    context->ssl = client->ssl;
    context->end_s = client->end_s;
    context->clock = client->clock;
    err = host_keep(context, host);
    if (err)
        return err;
    *ret_context = context;
    context = NULL;
    return ERR_OK;
}
