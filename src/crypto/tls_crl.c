/* SPDX-License-Identifier: MIT
 * Lists of revoked certificates. With one, every certificate of a chain must be on no list, and a
 * list of its authority must be there and valid: what is not known to be good is refused.
 *
 * Source: RFC 5280, 5 and 6.3. */
#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/alloc.h"
#include "crypto/tls_priv.h"

enum { CRL_FILE_BYTES_MAX = 8 * 1024 * 1024 };

static enum err crl_check(const X509_CRL *crl, const struct clock *clock, const char *path,
                          struct crypto_fault *fault)
{
    const ASN1_TIME *end = X509_CRL_get0_nextUpdate(crl);
    time_t now = (time_t)clock_realtime_s(clock);

    if (ASN1_TIME_cmp_time_t(X509_CRL_get0_lastUpdate(crl), now) > 0) {
        crypto_fault_set(fault, "%s: a list of revoked certificates is not valid yet", path);
        return ERR_CONFIG;
    }
    if (end == NULL || ASN1_TIME_cmp_time_t(end, now) <= 0) {
        crypto_fault_set(fault, "%s: a list of revoked certificates has expired", path);
        return ERR_CONFIG;
    }
    return ERR_OK;
}

static enum err crls_add(X509_STORE *store, BIO *bio, const struct clock *clock, const char *path,
                         struct crypto_fault *fault)
{
    X509_CRL *crl;
    size_t count = 0;
    enum err err = ERR_OK;

    while (!err && (crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)) != NULL) {
        err = crl_check(crl, clock, path, fault);
        if (!err && X509_STORE_add_crl(store, crl) != 1)
            err = crypto_tls_fault(fault, path, "a list of revoked certificates is refused");
        X509_CRL_free(crl);
        count++;
    }
    if (err)
        return err;
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE || count == 0)
        return crypto_tls_fault(fault, path, "there is no readable list of revoked certificates");
    ERR_clear_error(); /* the end of the file */
    return ERR_OK;
}

enum err crypto_tls_crl_use(SSL_CTX *ssl, const char *path, const struct clock *clock,
                            struct crypto_fault *fault)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ssl);
    char *buffer = alloc_raw(CRL_FILE_BYTES_MAX);
    BIO *bio = NULL;
    struct span text;
    enum err err;

    if (buffer == NULL)
        return ERR_NO_MEMORY;
    err = crypto_file_read(path, false, buffer, CRL_FILE_BYTES_MAX, &text, fault);
    if (!err)
        bio = BIO_new_mem_buf(text.ptr, (int)text.len);
    if (!err)
        err = bio == NULL ? ERR_NO_MEMORY : crls_add(store, bio, clock, path, fault);
    BIO_free(bio);
    alloc_free(buffer);
    if (err)
        return err == ERR_IO ? ERR_CONFIG : err;
    PC_ASSERT(X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL) == 1);
    return ERR_OK;
}
