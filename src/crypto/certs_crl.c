/* SPDX-License-Identifier: MIT
 * The list of revoked certificates of a development authority. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/alloc.h"
#include "crypto/certs.h"
#include "crypto/crypto_priv.h"

enum { BACKDATE_S = 300, PATH_BYTES = 1024 };

static enum err openssl_fault(struct crypto_fault *fault, const char *what)
{
    char reason[128];

    crypto_openssl_reason(reason, sizeof(reason));
    crypto_fault_set(fault, "%s (%s)", what, reason);
    return ERR_KEY;
}

/* The file as a BIO; *ret stays NULL when it is not there. */
static enum err pem_open(const char *folder, const char *name, const char *end, char *buffer,
                         BIO **ret, struct crypto_fault *fault)
{
    char path[PATH_BYTES];
    struct sbuf out = sbuf_over(path, sizeof(path));
    struct span text;
    enum err err;

    sbuf_add_format(&out, "%s/%s%s", folder, name, end);
    sbuf_add_char(&out, '\0');
    if (out.full)
        return ERR_NO_SPACE;
    if (access(path, F_OK) != 0 && errno == ENOENT) {
        crypto_fault_set(fault, "%s: is not there", path);
        return ERR_OK;
    }
    err = crypto_file_read(path, false, buffer, LIMIT_KEY_FILE_BYTES_MAX, &text, fault);
    if (err)
        return err;
    *ret = BIO_new_mem_buf(text.ptr, (int)text.len);
    return *ret == NULL ? ERR_NO_MEMORY : ERR_OK;
}

/* What was revoked before stays so. */
static enum err former_copy(X509_CRL *crl, BIO *bio, struct crypto_fault *fault)
{
    X509_CRL *former = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL);
    STACK_OF(X509_REVOKED) *list = former == NULL ? NULL : X509_CRL_get_REVOKED(former);
    bool good = former != NULL;

    for (int i = 0; good && i < sk_X509_REVOKED_num(list); i++) {
        X509_REVOKED *copy = X509_REVOKED_dup(sk_X509_REVOKED_value(list, i));

        good = copy != NULL && X509_CRL_add0_revoked(crl, copy) == 1;
    }
    X509_CRL_free(former);
    return good ? ERR_OK : openssl_fault(fault, "ca.crl is no readable list");
}

static enum err name_add(X509_CRL *crl, BIO *bio, const ASN1_TIME *now, struct crypto_fault *fault)
{
    CRYPTO_AUTO(X509) certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    X509_REVOKED *entry = X509_REVOKED_new();
    X509_REVOKED *there = NULL;
    bool good;

    if (certificate != NULL && X509_CRL_get0_by_cert(crl, &there, certificate) == 1) {
        X509_REVOKED_free(entry);
        return ERR_OK;
    }
    good = certificate != NULL && entry != NULL &&
           X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(certificate)) == 1 &&
           X509_REVOKED_set_revocationDate(entry, (ASN1_TIME *)(uintptr_t)now) == 1 &&
           X509_CRL_add0_revoked(crl, entry) == 1;
    if (good)
        return ERR_OK;
    X509_REVOKED_free(entry);
    return openssl_fault(fault, "a certificate cannot be revoked");
}

static enum err names_add(X509_CRL *crl, const struct crypto_certs_options *options,
                          const char *const *names, const ASN1_TIME *now, char *buffer,
                          struct crypto_fault *fault)
{
    CRYPTO_AUTO(BIO) former = NULL;
    enum err err = pem_open(options->folder, "ca", ".crl", buffer, &former, fault);

    if (!err && former != NULL)
        err = former_copy(crl, former, fault);
    for (size_t i = 0; !err && names != NULL && names[i] != NULL; i++) {
        CRYPTO_AUTO(BIO) bio = NULL;

        err = pem_open(options->folder, names[i], ".crt", buffer, &bio, fault);
        if (!err)
            err = bio == NULL ? ERR_IO : name_add(crl, bio, now, fault);
    }
    return err;
}

static enum err crl_write(X509_CRL *crl, const char *folder, struct crypto_fault *fault)
{
    CRYPTO_AUTO(BIO) bio = BIO_new(BIO_s_mem());
    char path[PATH_BYTES];
    struct sbuf out = sbuf_over(path, sizeof(path));
    char *text = NULL;
    long bytes;

    if (bio == NULL || PEM_write_bio_X509_CRL(bio, crl) != 1)
        return openssl_fault(fault, "a list could not be written");
    sbuf_add_format(&out, "%s/ca.crl", folder);
    sbuf_add_char(&out, '\0');
    if (out.full)
        return ERR_NO_SPACE;
    bytes = BIO_get_mem_data(bio, &text);
    return crypto_file_write(path, 0644, true, span_make(text, (size_t)bytes), fault);
}

static enum err crl_make(X509_CRL *crl, const struct crypto_certs_options *options,
                         const char *const *names, char *buffer, struct crypto_fault *fault)
{
    CRYPTO_AUTO(EVP_PKEY) pkey = NULL;
    CRYPTO_AUTO(X509) ca = NULL;
    int64_t days = options->days == 0 ? CRYPTO_CERTS_DAYS : options->days;
    time_t now = (time_t)clock_realtime_s(options->clock);
    ASN1_TIME *begins = X509_time_adj_ex(NULL, 0, -BACKDATE_S, &now);
    ASN1_TIME *ends = X509_time_adj_ex(NULL, (int)days, 0, &now);
    enum err err = crypto_certs_ca_load(options->folder, &pkey, &ca, fault);

    if (!err &&
        (begins == NULL || ends == NULL || X509_CRL_set_version(crl, X509_CRL_VERSION_2) != 1 ||
         X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca)) != 1 ||
         X509_CRL_set1_lastUpdate(crl, begins) != 1 || X509_CRL_set1_nextUpdate(crl, ends) != 1))
        err = openssl_fault(fault, "a list could not be made");
    if (!err)
        err = names_add(crl, options, names, begins, buffer, fault);
    if (!err && (X509_CRL_sort(crl) != 1 || X509_CRL_sign(crl, pkey, EVP_sha256()) <= 0))
        err = openssl_fault(fault, "a list could not be signed");
    ASN1_TIME_free(begins);
    ASN1_TIME_free(ends);
    return err ? err : crl_write(crl, options->folder, fault);
}

enum err crypto_certs_revoke(const struct crypto_certs_options *options, const char *const *names,
                             struct crypto_fault *fault)
{
    char *buffer = alloc_zero(LIMIT_KEY_FILE_BYTES_MAX);
    X509_CRL *crl = X509_CRL_new();
    enum err err = ERR_NO_MEMORY;

    if (buffer != NULL && crl != NULL)
        err = crl_make(crl, options, names, buffer, fault);
    X509_CRL_free(crl);
    alloc_free(buffer);
    ERR_clear_error();
    return err;
}
