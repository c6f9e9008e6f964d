/* SPDX-License-Identifier: MIT
 * The settings of a TLS listener, read once from its files. Everything that can be wrong with the
 * files is found here, with a sentence that names the file, and never at the first handshake.
 *
 * Sessions resume by ticket only: the server keeps nothing. The ticket key is the context's own, so
 * a reload ends all of them, and tickets carry the listener's name and its rule for client
 * certificates, so that none opens another door. */
#include <stdatomic.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/alloc.h"
#include "crypto/tls_priv.h"

/* RFC 9325, 4.2: forward secrecy and authenticated encryption only. */
#define CIPHERS_12                                                                                 \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"     \
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define GROUPS "X25519:P-256:P-384"

enum {
    SESSION_LIFE_S = 3600,
    CHAIN_DEPTH_MAX = 4,
    CHAIN_CERTIFICATES_MAX = 8,
    REASON_BYTES = 128,
    DATE_BYTES = 32,
};

static enum err config_fault(struct crypto_fault *fault, const char *path, const char *what)
{
    crypto_fault_set(fault, "%s: %s", path, what);
    return ERR_CONFIG;
}

/* The same with OpenSSL's reason, if it has one. */
static enum err openssl_fault(struct crypto_fault *fault, const char *path, const char *what)
{
    char reason[REASON_BYTES];

    crypto_openssl_reason(reason, sizeof(reason));
    crypto_fault_set(fault, reason[0] == '\0' ? "%s: %s" : "%s: %s (%s)", path, what, reason);
    return ERR_CONFIG;
}

/* ---- the server's own certificate ---- */

static int64_t seconds_of(const ASN1_TIME *time)
{
    struct tm parts;

    if (ASN1_TIME_to_tm(time, &parts) != 1)
        return 0;
    return (int64_t)timegm(&parts);
}

static enum err certificate_check(X509 *certificate, const struct clock *clock, const char *path,
                                  int64_t *ret_end_s, struct crypto_fault *fault)
{
    int64_t now_s = clock_realtime_s(clock);
    int64_t begin_s = seconds_of(X509_get0_notBefore(certificate));
    int64_t end_s = seconds_of(X509_get0_notAfter(certificate));
    char text[DATE_BYTES];
    struct sbuf date = sbuf_over(text, sizeof(text) - 1);

    clock_add_rfc3339(&date, (now_s >= end_s ? end_s : begin_s) * CLOCK_NS_PER_S, 0);
    text[date.len] = '\0';
    if (now_s >= end_s || now_s < begin_s) {
        crypto_fault_set(fault, "%s: the certificate %s %s", path,
                         now_s >= end_s ? "expired on" : "is not valid before", text);
        return ERR_CONFIG;
    }
    *ret_end_s = end_s;
    return ERR_OK;
}

static enum err chain_read(SSL_CTX *ssl, BIO *bio, const char *path, struct crypto_fault *fault)
{
    for (size_t i = 0; i < CHAIN_CERTIFICATES_MAX; i++) {
        X509 *link = PEM_read_bio_X509(bio, NULL, NULL, NULL);

        if (link == NULL) {
            ERR_clear_error(); /* the end of the file */
            return ERR_OK;
        }
        if (SSL_CTX_add0_chain_cert(ssl, link) != 1) {
            X509_free(link);
            return openssl_fault(fault, path, "a certificate of the chain is refused");
        }
    }
    return config_fault(fault, path, "the chain has more than 8 certificates");
}

static enum err certificate_use(struct crypto_tls_context *context, struct span pem,
                                const struct clock *clock, const char *path,
                                struct crypto_fault *fault)
{
    CRYPTO_AUTO(BIO) bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    CRYPTO_AUTO(X509) certificate = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, NULL, NULL);
    enum err err;

    if (certificate == NULL)
        return openssl_fault(fault, path, "there is no PEM certificate");
    err = certificate_check(certificate, clock, path, &context->end_s, fault);
    if (err)
        return err;
    if (SSL_CTX_use_certificate(context->ssl, certificate) != 1)
        return openssl_fault(fault, path, "the certificate is refused");
    return chain_read(context->ssl, bio, path, fault);
}

static int no_passphrase(char *buffer, int bytes, int writing, void *unused)
{
    (void)buffer, (void)bytes, (void)writing, (void)unused;
    return -1;
}

static enum err key_use(SSL_CTX *ssl, struct span pem, const char *path, struct crypto_fault *fault)
{
    CRYPTO_AUTO(BIO) bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    CRYPTO_AUTO(EVP_PKEY)
    pkey = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);

    if (pkey == NULL)
        return openssl_fault(fault, path, "there is no PEM private key without a passphrase");
    if (X509_check_private_key(SSL_CTX_get0_certificate(ssl), pkey) != 1) {
        ERR_clear_error();
        return config_fault(fault, path, "the key does not match the certificate");
    }
    if (SSL_CTX_use_PrivateKey(ssl, pkey) != 1)
        return openssl_fault(fault, path, "the key is refused");
    return ERR_OK;
}

/* Both files through one buffer, which is wiped. */
static enum err identity_use(struct crypto_tls_context *context,
                             const struct crypto_tls_options *options, const struct clock *clock,
                             struct crypto_fault *fault)
{
    const char *key_path = options->key_path == NULL ? options->cert_path : options->key_path;
    char *buffer = alloc_zero(LIMIT_KEY_FILE_BYTES_MAX);
    struct span pem;
    enum err err;

    if (buffer == NULL)
        return ERR_NO_MEMORY;
    err =
        crypto_file_read(options->cert_path, false, buffer, LIMIT_KEY_FILE_BYTES_MAX, &pem, fault);
    if (!err)
        err = certificate_use(context, pem, clock, options->cert_path, fault);
    if (!err)
        err = crypto_file_read(key_path, true, buffer, LIMIT_KEY_FILE_BYTES_MAX, &pem, fault);
    if (!err)
        err = key_use(context->ssl, pem, key_path, fault);
    alloc_wipe(buffer, LIMIT_KEY_FILE_BYTES_MAX);
    alloc_free(buffer);
    return err == ERR_IO ? ERR_CONFIG : err;
}

/* ---- client certificates, protocols, rules ---- */

static enum err clients_use(SSL_CTX *ssl, const struct crypto_tls_options *options,
                            struct crypto_fault *fault)
{
    int mode = SSL_VERIFY_PEER;
    STACK_OF(X509_NAME) * names;

    if (options->client == CRYPTO_TLS_CLIENT_NONE)
        return ERR_OK;
    if (options->client_ca_path == NULL)
        return config_fault(fault, options->name, "client certificates need a CA file");
    if (SSL_CTX_load_verify_file(ssl, options->client_ca_path) != 1)
        return openssl_fault(fault, options->client_ca_path, "there are no readable certificates");
    names = SSL_load_client_CA_file(options->client_ca_path);
    if (names == NULL)
        return openssl_fault(fault, options->client_ca_path, "there are no readable certificates");
    SSL_CTX_set_client_CA_list(ssl, names);
    if (options->client == CRYPTO_TLS_CLIENT_REQUIRED)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(ssl, mode, NULL);
    SSL_CTX_set_verify_depth(ssl, CHAIN_DEPTH_MAX);
    return ERR_OK;
}

/* RFC 7301, 3.2: ours in our order; a client that shares none is refused. */
static int alpn_select(SSL *ssl, const unsigned char **out, unsigned char *out_bytes,
                       const unsigned char *theirs, unsigned their_bytes, void *argument)
{
    const struct crypto_tls_context *context = argument;
    unsigned char *chosen = NULL;

    (void)ssl;
    if (SSL_select_next_proto(&chosen, out_bytes, context->alpn, (unsigned)context->alpn_bytes,
                              theirs, their_bytes) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static void alpn_use(struct crypto_tls_context *context, const struct crypto_tls_options *options)
{
    struct sbuf out = sbuf_over(context->alpn, sizeof(context->alpn));

    for (size_t i = 0; i < CRYPTO_TLS_ALPN_MAX && options->alpn[i] != NULL; i++) {
        sbuf_add_char(&out, (char)strlen(options->alpn[i]));
        sbuf_add_text(&out, options->alpn[i]);
    }
    PC_ASSERT(!out.full);
    context->alpn_bytes = out.len;
    if (out.len > 0)
        SSL_CTX_set_alpn_select_cb(context->ssl, alpn_select, context);
}

/* Tickets of one listener and one rule for client certificates are worthless elsewhere. */
static bool sessions_bind(SSL_CTX *ssl, const struct crypto_tls_options *options)
{
    const char *ca = options->client_ca_path == NULL ? "" : options->client_ca_path;
    const unsigned char client = (unsigned char)options->client;
    const struct span pieces[] = {span_make(options->name, strlen(options->name) + 1),
                                  span_make(&client, 1), span_from(ca)};
    unsigned char digest[CRYPTO_HASH_BYTES_MAX];

    crypto_digest_pieces(CRYPTO_SHA256, pieces, PC_COUNT(pieces), digest);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(ssl, SESSION_LIFE_S);
    return SSL_CTX_set_session_id_context(ssl, digest, CRYPTO_SHA256_BYTES) == 1 &&
           SSL_CTX_set_num_tickets(ssl, 1) == 1;
}

static enum err rules_use(SSL_CTX *ssl, const struct crypto_tls_options *options,
                          struct crypto_fault *fault)
{
    const char *ciphers = options->ciphers12 == NULL ? CIPHERS_12 : options->ciphers12;
    char groups[] = GROUPS; /* the macro below wants it changeable */
    int version = options->tls13_only ? TLS1_3_VERSION : TLS1_2_VERSION;

    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_clear_mode(ssl, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_default_passwd_cb(ssl, no_passphrase);
    if (SSL_CTX_set_min_proto_version(ssl, version) != 1 ||
        SSL_CTX_set1_groups_list(ssl, groups) != 1 || !sessions_bind(ssl, options))
        return openssl_fault(fault, options->name, "TLS could not be set up");
    if (SSL_CTX_set_cipher_list(ssl, ciphers) != 1)
        return openssl_fault(fault, options->name, "no cipher of the list is known");
    return ERR_OK;
}

static enum err context_fill(struct crypto_tls_context *context,
                             const struct crypto_tls_options *options, const struct clock *clock,
                             struct crypto_fault *fault)
{
    enum err err;

    err = rules_use(context->ssl, options, fault);
    if (err)
        return err;
    err = identity_use(context, options, clock, fault);
    if (err)
        return err;
    err = clients_use(context->ssl, options, fault);
    if (err)
        return err;
    alpn_use(context, options);
    return ERR_OK;
}

enum err crypto_tls_context_new(const struct crypto_tls_options *options, const struct clock *clock,
                                struct crypto_tls_context **ret_context, struct crypto_fault *fault)
{
    PC_AUTO(crypto_tls_context) context = alloc_zero(sizeof(*context));
    enum err err;

    PC_ASSERT(options->name != NULL && options->cert_path != NULL);
    if (context == NULL)
        return ERR_NO_MEMORY;
    atomic_init(&context->references, 1);
    context->ssl = SSL_CTX_new(TLS_server_method());
    if (context->ssl == NULL) {
        ERR_clear_error();
        return ERR_NO_MEMORY;
    }
    err = context_fill(context, options, clock, fault);
    if (err)
        return err;
    *ret_context = context;
    context = NULL;
    return ERR_OK;
}

struct crypto_tls_context *crypto_tls_context_share(struct crypto_tls_context *context)
{
    atomic_fetch_add_explicit(&context->references, 1, memory_order_relaxed);
    return context;
}

void crypto_tls_context_free(struct crypto_tls_context *context)
{
    if (context == NULL ||
        atomic_fetch_sub_explicit(&context->references, 1, memory_order_acq_rel) != 1)
        return;
    SSL_CTX_free(context->ssl);
    alloc_free(context);
}

void crypto_tls_context_auto(struct crypto_tls_context **context)
{
    crypto_tls_context_free(*context);
}

int64_t crypto_tls_context_end_s(const struct crypto_tls_context *context)
{
    return context->end_s;
}
