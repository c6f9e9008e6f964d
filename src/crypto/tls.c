/* SPDX-License-Identifier: MIT
 * One TLS connection over a non-blocking socket. Each call clears the thread's error queue first
 * and leaves it empty, so that what goes wrong here is never blamed on the next connection.
 *
 *   handshake ... DONE -> read, write -> CLOSED (their goodbye) -> shutdown (ours) -> free
 *        any call -> FAILED: nothing more is sent, the socket is closed */
#include "crypto/tls.h"

#include <openssl/err.h>

#include "base/alloc.h"
#include "crypto/tls_priv.h"

struct crypto_tls {
    SSL *ssl;
    struct crypto_tls_context *context;
    struct crypto_tls_peer *peer; /* NULL: no certificate */
    const char *reason;           /* static; NULL unless it failed */
    bool agreed;                  /* the handshake is done */
    bool refused;                 /* by what was said, not by the socket */
};

static const struct crypto_tls_peer nobody;

enum err crypto_tls_new(struct crypto_tls_context *context, int fd, struct crypto_tls **ret_tls)
{
    struct crypto_tls *tls = alloc_zero(sizeof(*tls));
    BIO *bio = NULL;

    if (tls == NULL)
        return ERR_NO_MEMORY;
    tls->context = crypto_tls_context_share(context);
    tls->ssl = SSL_new(context->ssl);
    if (tls->ssl != NULL)
        bio = crypto_tls_bio(fd);
    if (bio == NULL) {
        ERR_clear_error();
        crypto_tls_free(tls);
        return ERR_NO_MEMORY;
    }
    SSL_set_bio(tls->ssl, bio, bio);
    if (context->host == NULL) {
        SSL_set_accept_state(tls->ssl);
    } else if (!crypto_tls_client_use(tls->ssl, context)) {
        crypto_tls_free(tls);
        return ERR_NO_MEMORY;
    }
    *ret_tls = tls;
    return ERR_OK;
}

void crypto_tls_free(struct crypto_tls *tls)
{
    if (tls == NULL)
        return;
    SSL_free(tls->ssl);
    crypto_tls_context_free(tls->context);
    alloc_free(tls->peer);
    alloc_free(tls);
    ERR_clear_error();
}

static enum crypto_tls_state fail(struct crypto_tls *tls, const char *reason)
{
    tls->reason = reason;
    ERR_clear_error();
    return CRYPTO_TLS_FAILED;
}

/* Why OpenSSL gave up: a bad certificate before all else, then its queue, then the socket. */
static enum crypto_tls_state fail_openssl(struct crypto_tls *tls)
{
    long verified = SSL_get_verify_result(tls->ssl);
    unsigned long code = ERR_peek_error();
    const char *reason = NULL;

    tls->refused = ERR_GET_LIB(code) == ERR_LIB_SSL &&
                   ERR_GET_REASON(code) != SSL_R_UNEXPECTED_EOF_WHILE_READING;

    if (!SSL_is_init_finished(tls->ssl) && verified != X509_V_OK)
        reason = X509_verify_cert_error_string(verified);
    if (reason == NULL)
        reason = ERR_reason_error_string(code);
    if (!tls->agreed && tls->context->host != NULL)
        crypto_tls_client_forget(tls->context);
    return fail(tls, reason == NULL ? "the connection was closed or reset" : reason);
}

/* What a call that did not succeed is waiting for. */
static enum crypto_tls_state outcome(struct crypto_tls *tls, int result)
{
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return CRYPTO_TLS_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return CRYPTO_TLS_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return CRYPTO_TLS_CLOSED;
    default:
        return fail_openssl(tls);
    }
}

enum crypto_tls_state crypto_tls_handshake(struct crypto_tls *tls)
{
    const char *why = "";
    int result;

    if (tls->reason != NULL)
        return CRYPTO_TLS_FAILED;
    ERR_clear_error();
    result = SSL_do_handshake(tls->ssl);
    if (result != 1)
        return outcome(tls, result);
    tls->agreed = true;
    if (tls->context->host != NULL)
        return CRYPTO_TLS_DONE; /* it is the host we asked for: nothing else of it matters */
    if (tls->peer == NULL && crypto_tls_peer_read(tls->ssl, &tls->peer, &why) != ERR_OK)
        return fail(tls, why);
    return CRYPTO_TLS_DONE;
}

enum crypto_tls_state crypto_tls_read(struct crypto_tls *tls, void *buffer, size_t bytes,
                                      size_t *ret_bytes)
{
    int result;

    PC_ASSERT(bytes > 0);
    if (tls->reason != NULL)
        return CRYPTO_TLS_FAILED;
    ERR_clear_error();
    result = SSL_read_ex(tls->ssl, buffer, bytes, ret_bytes);
    return result == 1 ? CRYPTO_TLS_DONE : outcome(tls, result);
}

enum crypto_tls_state crypto_tls_write(struct crypto_tls *tls, const void *data, size_t bytes,
                                       size_t *ret_bytes)
{
    int result;

    PC_ASSERT(bytes > 0);
    if (tls->reason != NULL)
        return CRYPTO_TLS_FAILED;
    ERR_clear_error();
    result = SSL_write_ex(tls->ssl, data, bytes, ret_bytes);
    return result == 1 ? CRYPTO_TLS_DONE : outcome(tls, result);
}

enum crypto_tls_state crypto_tls_shutdown(struct crypto_tls *tls)
{
    int result;

    if (tls->reason != NULL)
        return CRYPTO_TLS_FAILED;
    if (!SSL_is_init_finished(tls->ssl))
        return fail(tls, "closed before the handshake was done");
    ERR_clear_error();
    result = SSL_shutdown(tls->ssl);
    return result >= 0 ? CRYPTO_TLS_DONE : outcome(tls, result);
}

bool crypto_tls_pending(const struct crypto_tls *tls)
{
    return SSL_has_pending(tls->ssl) == 1;
}

const struct crypto_tls_peer *crypto_tls_peer(const struct crypto_tls *tls)
{
    return tls->peer == NULL ? &nobody : tls->peer;
}

struct span crypto_tls_alpn(const struct crypto_tls *tls)
{
    const unsigned char *name = NULL;
    unsigned bytes = 0;

    SSL_get0_alpn_selected(tls->ssl, &name, &bytes);
    return span_make(name, bytes);
}

const char *crypto_tls_version(const struct crypto_tls *tls)
{
    return SSL_get_version(tls->ssl);
}

const char *crypto_tls_cipher(const struct crypto_tls *tls)
{
    return SSL_get_cipher_name(tls->ssl);
}

bool crypto_tls_resumed(const struct crypto_tls *tls)
{
    return SSL_session_reused(tls->ssl) == 1;
}

const char *crypto_tls_reason(const struct crypto_tls *tls)
{
    return tls->reason == NULL ? "" : tls->reason;
}

bool crypto_tls_is_refused(const struct crypto_tls *tls)
{
    return tls->reason != NULL && (tls->refused || !tls->agreed);
}
