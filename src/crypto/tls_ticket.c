/* SPDX-License-Identifier: MIT
 * Tickets: how sessions with clients are resumed while the server keeps nothing.
 *
 * Each context seals its tickets with keys of its own, so that no other listener, and none after a
 * reload, can open them; a key seals for an hour and opens for one more, then it is gone, and with
 * it the way into what was recorded. What a ticket is for (listener, rule for clients, certificate)
 * is compared by OpenSSL, see sessions_bind. A client's certificate is verified again each time:
 * it may be over, or on a list, since the session began. A chain that needs more than the
 * client's own certificate cannot be verified so, and makes a whole handshake.
 *
 * Clients of TLS 1.3 use a ticket once (RFC 8446, C.4), so each connection gives them a new one.
 * That must not make a session endless: a ticket tells when the whole handshake was that it comes
 * from, and two hours later another one is due (RFC 8446, 4.6.1).
 *
 * Source: RFC 5077, 4 (how a ticket is sealed) and 5.5 (its keys); CVE-2014-3616. */
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include "base/alloc.h"
#include "crypto/tls_priv.h"

enum { KEY_LIFE_S = CRYPTO_TLS_SESSION_LIFE_S, CHAIN_LIFE_S = 2 * KEY_LIFE_S };

static bool key_make(struct crypto_tls_ticket_key *key, int64_t now_s)
{
    key->made_s = now_s;
    key->is_made = RAND_bytes(key->name, sizeof(key->name)) == 1 &&
                   RAND_priv_bytes(key->cipher, sizeof(key->cipher)) == 1 &&
                   RAND_priv_bytes(key->mac, sizeof(key->mac)) == 1;
    return key->is_made;
}

/* keys[0] seals, keys[1] only opens. */
static bool keys_turn(struct crypto_tls_tickets *tickets)
{
    int64_t now_s = clock_monotonic_ns(tickets->clock) / CLOCK_NS_PER_S;

    if (tickets->keys[1].is_made && now_s - tickets->keys[1].made_s >= 2 * KEY_LIFE_S)
        alloc_wipe(&tickets->keys[1], sizeof(tickets->keys[1]));
    if (tickets->keys[0].is_made && now_s - tickets->keys[0].made_s < KEY_LIFE_S)
        return true;
    if (tickets->keys[0].is_made && now_s - tickets->keys[0].made_s < 2 * KEY_LIFE_S)
        tickets->keys[1] = tickets->keys[0];
    return key_make(&tickets->keys[0], now_s);
}

/* Copies the key that seals, or the one with this name. False when there is none. */
static bool key_take(struct crypto_tls_tickets *tickets, const unsigned char *name,
                     struct crypto_tls_ticket_key *ret, bool *ret_is_old)
{
    bool found = false;

    PC_ASSERT(pthread_mutex_lock(&tickets->lock) == 0);
    if (keys_turn(tickets)) {
        for (size_t i = 0; i < PC_COUNT(tickets->keys) && !found; i++) {
            const struct crypto_tls_ticket_key *key = &tickets->keys[i];

            found =
                key->is_made && (name == NULL || memcmp(key->name, name, sizeof(key->name)) == 0);
            *ret_is_old = i > 0;
            if (found)
                *ret = *key;
        }
    }
    PC_ASSERT(pthread_mutex_unlock(&tickets->lock) == 0);
    return found;
}

static bool ciphers_use(struct crypto_tls_ticket_key *key, unsigned char *iv,
                        EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, bool seals)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof(key->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};

    return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv, seals) == 1 &&
           EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* OpenSSL: -1 ends the handshake, 0 goes on without the ticket, 2 gives a new one. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int seals)
{
    struct crypto_tls_context *context = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct crypto_tls_ticket_key key;
    bool is_old = false;
    bool good;

    if (!key_take(context->tickets, seals ? NULL : name, &key, &is_old))
        return 0;
    good = !seals || RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1;
    if (good && seals)
        memcpy(name, key.name, sizeof(key.name));
    good = good && ciphers_use(&key, iv, cipher, mac, seals != 0);
    alloc_wipe(&key, sizeof(key));
    if (!good)
        return -1;
    return is_old || SSL_version(ssl) == TLS1_3_VERSION ? 2 : 1;
}

/* ---- the client's certificate, once more ---- */

static bool is_verified(SSL *ssl, X509_STORE *store, X509 *certificate)
{
    X509_STORE_CTX *check = X509_STORE_CTX_new();
    bool good = check != NULL && X509_STORE_CTX_init(check, store, certificate, NULL) == 1 &&
                X509_STORE_CTX_set_default(check, "ssl_client") == 1;

    if (good) {
        X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(check),
                                         SSL_get_security_level(ssl));
        X509_STORE_CTX_set_depth(check, SSL_get_verify_depth(ssl));
        good = X509_verify_cert(check) == 1;
    }
    X509_STORE_CTX_free(check);
    ERR_clear_error();
    return good;
}

/* ---- the whole handshake that a session goes back to ---- */

static int64_t second_of(const struct crypto_tls_context *context)
{
    return clock_monotonic_ns(context->tickets->clock) / CLOCK_NS_PER_S;
}

/* A resumed session has the mark already. */
static int on_seal(SSL *ssl, void *argument)
{
    int64_t begun_s = second_of(argument);

    return SSL_session_reused(ssl) == 1 ||
           SSL_SESSION_set1_ticket_appdata(SSL_get0_session(ssl), &begun_s, sizeof(begun_s)) == 1;
}

static bool is_recent(const struct crypto_tls_context *context, SSL_SESSION *session)
{
    int64_t begun_s;
    void *mark = NULL;
    size_t bytes = 0;

    if (SSL_SESSION_get0_ticket_appdata(session, &mark, &bytes) != 1 || bytes != sizeof(begun_s))
        return false;
    memcpy(&begun_s, mark, sizeof(begun_s));
    return second_of(context) - begun_s < CHAIN_LIFE_S;
}

static SSL_TICKET_RETURN on_session(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                    size_t name_bytes, SSL_TICKET_STATUS status, void *argument)
{
    const struct crypto_tls_context *context = argument;
    X509 *certificate;

    (void)name, (void)name_bytes;
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    if (!is_recent(context, session))
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    certificate = SSL_SESSION_get0_peer(session);
    if (certificate == NULL ? (SSL_get_verify_mode(ssl) & SSL_VERIFY_FAIL_IF_NO_PEER_CERT) != 0
                            : !is_verified(ssl, SSL_CTX_get_cert_store(context->ssl), certificate))
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

/* ---- making ---- */

enum err crypto_tls_tickets_new(const struct clock *clock, struct crypto_tls_tickets **ret)
{
    struct crypto_tls_tickets *tickets = alloc_zero(sizeof(*tickets));

    if (tickets == NULL)
        return ERR_NO_MEMORY;
    PC_ASSERT(pthread_mutex_init(&tickets->lock, NULL) == 0);
    tickets->clock = clock;
    *ret = tickets;
    return ERR_OK;
}

void crypto_tls_tickets_free(struct crypto_tls_tickets *tickets)
{
    if (tickets == NULL)
        return;
    PC_ASSERT(pthread_mutex_destroy(&tickets->lock) == 0);
    alloc_wipe(tickets, sizeof(*tickets));
    alloc_free(tickets);
}

bool crypto_tls_tickets_use(struct crypto_tls_context *context, SSL_CTX *ssl)
{
    return SSL_CTX_set_app_data(ssl, context) == 1 &&
           SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, on_ticket) == 1 &&
           SSL_CTX_set_session_ticket_cb(ssl, on_seal, on_session, context) == 1;
}
