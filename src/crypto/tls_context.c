/* SPDX-License-Identifier: MIT
 * The settings of a TLS listener, read once from its files. Everything that can be wrong with the
 * files is found here, with a sentence that names the file, and never at the first handshake.
 *
 * Sessions resume by ticket only: the server keeps nothing (tls_ticket.c). Tickets carry the
 * listener's name, its rule for client certificates and the certificate that it showed, so that
 * none opens another door. */
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
enum err crypto_tls_fault(struct crypto_fault *fault, const char *path, const char *what)
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
            return crypto_tls_fault(fault, path, "a certificate of the chain is refused");
        }
    }
    return config_fault(fault, path, "the chain has more than 8 certificates");
}

static enum err certificate_use(SSL_CTX *ssl, struct span pem, const struct clock *clock,
                                const char *path, int64_t *ret_end_s, struct crypto_fault *fault)
{
    CRYPTO_AUTO(BIO) bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    CRYPTO_AUTO(X509) certificate = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, NULL, NULL);
    enum err err;

    if (certificate == NULL)
        return crypto_tls_fault(fault, path, "there is no PEM certificate");
    err = certificate_check(certificate, clock, path, ret_end_s, fault);
    if (err)
        return err;
    if (SSL_CTX_use_certificate(ssl, certificate) != 1)
        return crypto_tls_fault(fault, path, "the certificate is refused");
    return chain_read(ssl, bio, path, fault);
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
        return crypto_tls_fault(fault, path, "there is no PEM private key without a passphrase");
    if (X509_check_private_key(SSL_CTX_get0_certificate(ssl), pkey) != 1) {
        ERR_clear_error();
        return config_fault(fault, path, "the key does not match the certificate");
    }
    if (SSL_CTX_use_PrivateKey(ssl, pkey) != 1)
        return crypto_tls_fault(fault, path, "the key is refused");
    return ERR_OK;
}

/* Both files through one buffer, which is wiped. */
enum err crypto_tls_identity_use(SSL_CTX *ssl, const char *cert_path, const char *key_path,
                                 const struct clock *clock, int64_t *ret_end_s,
                                 struct crypto_fault *fault)
{
    char *buffer = alloc_zero(LIMIT_KEY_FILE_BYTES_MAX);
    struct span pem;
    enum err err;

    key_path = key_path == NULL ? cert_path : key_path;
    if (buffer == NULL)
        return ERR_NO_MEMORY;
    err = crypto_file_read(cert_path, false, buffer, LIMIT_KEY_FILE_BYTES_MAX, &pem, fault);
    if (!err)
        err = certificate_use(ssl, pem, clock, cert_path, ret_end_s, fault);
    if (!err)
        err = crypto_file_read(key_path, true, buffer, LIMIT_KEY_FILE_BYTES_MAX, &pem, fault);
    if (!err)
        err = key_use(ssl, pem, key_path, fault);
    alloc_wipe(buffer, LIMIT_KEY_FILE_BYTES_MAX);
    alloc_free(buffer);
    return err == ERR_IO ? ERR_CONFIG : err;
}

/* ---- client certificates, protocols, rules ---- */

static enum err roots_use(SSL_CTX *ssl, const struct crypto_tls_options *options,
                          const struct clock *clock, struct crypto_fault *fault)
{
    STACK_OF(X509_NAME) * names;

    if (SSL_CTX_load_verify_file(ssl, options->client_ca_path) != 1)
        return crypto_tls_fault(fault, options->client_ca_path,
                                "there are no readable certificates");
    names = SSL_load_client_CA_file(options->client_ca_path);
    if (names == NULL)
        return crypto_tls_fault(fault, options->client_ca_path,
                                "there are no readable certificates");
    SSL_CTX_set_client_CA_list(ssl, names);
    if (options->client_crl_path == NULL)
        return ERR_OK;
    return crypto_tls_crl_use(ssl, options->client_crl_path, clock, fault);
}

/* The roots of the first certificate are those of the others. */
static void roots_share(SSL_CTX *ssl, SSL_CTX *from)
{
    SSL_CTX_set1_cert_store(ssl, SSL_CTX_get_cert_store(from));
    SSL_CTX_set_client_CA_list(ssl, SSL_dup_CA_list(SSL_CTX_get_client_CA_list(from)));
}

static enum err clients_use(struct crypto_tls_context *context, SSL_CTX *ssl,
                            const struct crypto_tls_options *options, const struct clock *clock,
                            struct crypto_fault *fault)
{
    int mode = SSL_VERIFY_PEER;
    enum err err = ERR_OK;

    if (options->client == CRYPTO_TLS_CLIENT_NONE)
        return ERR_OK;
    if (options->client_ca_path == NULL)
        return config_fault(fault, options->name, "client certificates need a CA file");
    if (ssl == context->ssl)
        err = roots_use(ssl, options, clock, fault);
    else
        roots_share(ssl, context->ssl);
    if (err)
        return err;
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

static void alpn_use(struct crypto_tls_context *context, SSL_CTX *ssl,
                     const struct crypto_tls_options *options)
{
    struct sbuf out = sbuf_over(context->alpn, sizeof(context->alpn));

    for (size_t i = 0; i < CRYPTO_TLS_ALPN_MAX && options->alpn[i] != NULL; i++) {
        sbuf_add_char(&out, (char)strlen(options->alpn[i]));
        sbuf_add_text(&out, options->alpn[i]);
    }
    PC_ASSERT(!out.full);
    context->alpn_bytes = out.len;
    if (out.len > 0)
        SSL_CTX_set_alpn_select_cb(ssl, alpn_select, context);
}

/* Tickets of one listener, one rule for client certificates and one certificate of ours are
 * worthless elsewhere. */
static bool sessions_bind(SSL_CTX *ssl, const struct crypto_tls_options *options)
{
    const char *ca = options->client_ca_path == NULL ? "" : options->client_ca_path;
    const unsigned char client = (unsigned char)options->client;
    unsigned char shown[EVP_MAX_MD_SIZE];
    unsigned shown_bytes = 0;
    unsigned char digest[CRYPTO_HASH_BYTES_MAX];

    if (X509_digest(SSL_CTX_get0_certificate(ssl), EVP_sha256(), shown, &shown_bytes) != 1)
        return false;
    const struct span pieces[] = {span_make(options->name, strlen(options->name) + 1),
                                  span_make(&client, 1), span_make(shown, shown_bytes),
                                  span_from(ca)};
    crypto_digest_pieces(CRYPTO_SHA256, pieces, PC_COUNT(pieces), digest);
    SSL_CTX_set_timeout(ssl, CRYPTO_TLS_SESSION_LIFE_S);
    return SSL_CTX_set_session_id_context(ssl, digest, CRYPTO_SHA256_BYTES) == 1 &&
           SSL_CTX_set_num_tickets(ssl, 1) == 1;
}

bool crypto_tls_rules_use(SSL_CTX *ssl, bool tls13_only)
{
    char groups[] = GROUPS; /* the macro below wants it changeable */
    int version = tls13_only ? TLS1_3_VERSION : TLS1_2_VERSION;

    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                 SSL_OP_CLEANSE_PLAINTEXT);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_clear_mode(ssl, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    return SSL_CTX_set_min_proto_version(ssl, version) == 1 &&
           SSL_CTX_set1_groups_list(ssl, groups) == 1 &&
           SSL_CTX_set_cipher_list(ssl, CIPHERS_12) == 1;
}

static enum err rules_use(SSL_CTX *ssl, const struct crypto_tls_options *options,
                          struct crypto_fault *fault)
{
    SSL_CTX_set_default_passwd_cb(ssl, no_passphrase);
    SSL_CTX_set_read_ahead(ssl, 1); /* a record is one read, not one for its head and one more */
    if (!crypto_tls_rules_use(ssl, options->tls13_only))
        return crypto_tls_fault(fault, options->name, "TLS could not be set up");
    if (options->ciphers12 != NULL && SSL_CTX_set_cipher_list(ssl, options->ciphers12) != 1)
        return crypto_tls_fault(fault, options->name, "no cipher of the list is known");
    return ERR_OK;
}

/* One certificate of the listener, with the rules of all. */
static enum err side_fill(struct crypto_tls_context *context, size_t which,
                          const struct crypto_tls_options *options, const struct clock *clock,
                          struct crypto_fault *fault)
{
    const struct crypto_tls_identity own = {options->cert_path, options->key_path};
    const struct crypto_tls_identity *identity = which == 0 ? &own : &options->others[which - 1];
    SSL_CTX *ssl = which == 0 ? context->ssl : context->others[which - 1];
    int64_t end_s = 0;
    enum err err = rules_use(ssl, options, fault);

    if (!err)
        err = crypto_tls_identity_use(ssl, identity->cert_path, identity->key_path, clock, &end_s,
                                      fault);
    if (!err)
        err = clients_use(context, ssl, options, clock, fault);
    if (err)
        return err;
    if (!sessions_bind(ssl, options) || !crypto_tls_tickets_use(context, ssl))
        return crypto_tls_fault(fault, options->name, "sessions could not be set up");
    alpn_use(context, ssl, options);
    if (which == 0 || end_s < context->end_s)
        context->end_s = end_s;
    return crypto_tls_names_add(&context->names, SSL_CTX_get0_certificate(ssl), which);
}

static enum err context_fill(struct crypto_tls_context *context,
                             const struct crypto_tls_options *options, const struct clock *clock,
                             struct crypto_fault *fault)
{
    enum err err = crypto_tls_tickets_new(clock, &context->tickets);

    PC_ASSERT(options->other_count < CRYPTO_TLS_CERTIFICATES_MAX);
    if (!err)
        err = side_fill(context, 0, options, clock, fault);
    for (size_t i = 0; i < options->other_count && !err; i++) {
        context->others[i] = SSL_CTX_new(TLS_server_method());
        if (context->others[i] == NULL) {
            ERR_clear_error();
            return ERR_NO_MEMORY;
        }
        context->other_count++;
        err = side_fill(context, i + 1, options, clock, fault);
    }
    if (!err)
        crypto_tls_names_use(context);
    return err;
}

enum err crypto_tls_context_make(const SSL_METHOD *method, struct crypto_tls_context **ret_context)
{
    struct crypto_tls_context *context = alloc_zero(sizeof(*context));

    if (context == NULL)
        return ERR_NO_MEMORY;
    atomic_init(&context->references, 1);
    PC_ASSERT(pthread_mutex_init(&context->lock, NULL) == 0);
    context->ssl = method == NULL ? NULL : SSL_CTX_new(method);
    if (context->ssl == NULL && method != NULL) {
        ERR_clear_error();
        crypto_tls_context_free(context);
        return ERR_NO_MEMORY;
    }
    *ret_context = context;
    return ERR_OK;
}

enum err crypto_tls_context_new(const struct crypto_tls_options *options, const struct clock *clock,
                                struct crypto_tls_context **ret_context, struct crypto_fault *fault)
{
    PC_AUTO(crypto_tls_context) context = NULL;
    enum err err;

    PC_ASSERT(options->name != NULL && options->cert_path != NULL);
    err = crypto_tls_context_make(TLS_server_method(), &context);
    if (err)
        return err;
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
    for (size_t i = 0; i < context->other_count; i++)
        SSL_CTX_free(context->others[i]);
    crypto_tls_names_free(&context->names);
    crypto_tls_tickets_free(context->tickets);
    SSL_SESSION_free(context->session);
    PC_ASSERT(pthread_mutex_destroy(&context->lock) == 0);
    alloc_free(context->host);
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
