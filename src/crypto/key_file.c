/* SPDX-License-Identifier: MIT
 * Keys in PEM and in files. A file that holds a secret must be closed to others before it is read,
 * and comes into being whole, with mode 0600, under its final name.
 *
 * Nothing here ever asks on the terminal: an encrypted key is refused with a sentence. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/random.h"
#include "crypto/crypto_priv.h"
#include "crypto/jwk.h"
#include "crypto/vault.h"
#include "crypto/vault_priv.h"

enum { REASON_BYTES = 128, PATH_BYTES_MAX = 4096 };

struct descriptor {
    int fd;
};

static void descriptor_auto(struct descriptor **file)
{
    if ((*file)->fd >= 0)
        close((*file)->fd);
}

/* ---- reading ---- */

/* PostgreSQL's rule: ours and closed to all others, or root's and closed to all but its group. */
static const char *privacy_flaw(const struct stat *info)
{
    if (info->st_uid != geteuid() && info->st_uid != 0)
        return "belongs to another user";
    if (info->st_uid == 0)
        return info->st_mode & 037 ? "may be read by others: chmod 0640 or less" : NULL;
    return info->st_mode & 077 ? "may be read by others: chmod 0600" : NULL;
}

static enum err file_fault(struct crypto_fault *fault, const char *path, const char *what)
{
    crypto_fault_set(fault, "%s: %s", path, what);
    return ERR_IO;
}

static enum err read_all(int fd, char *buffer, size_t buffer_bytes, size_t *ret_bytes)
{
    size_t bytes = 0;

    while (bytes < buffer_bytes) {
        ssize_t n = read(fd, buffer + bytes, buffer_bytes - bytes);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ERR_IO;
        if (n == 0)
            break;
        bytes += (size_t)n;
    }
    *ret_bytes = bytes;
    return ERR_OK;
}

enum err crypto_file_read(const char *path, bool secret, char *buffer, size_t buffer_bytes,
                          struct span *ret_text, struct crypto_fault *fault)
{
    struct descriptor opened = {open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
    PC_AUTO(descriptor) file = &opened;
    struct stat info;
    size_t bytes;

    if (file->fd < 0 || fstat(file->fd, &info) != 0)
        return file_fault(fault, path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return file_fault(fault, path, "not a regular file");
    if (secret && privacy_flaw(&info) != NULL)
        return file_fault(fault, path, privacy_flaw(&info));
    if (info.st_size <= 0 || (size_t)info.st_size >= buffer_bytes)
        return file_fault(fault, path, info.st_size <= 0 ? "is empty" : "is too large");
    if (read_all(file->fd, buffer, buffer_bytes, &bytes) != ERR_OK)
        return file_fault(fault, path, strerror(errno));
    *ret_text = span_make(buffer, bytes);
    return ERR_OK;
}

/* Instead of asking on the terminal. */
static int no_passphrase(char *buffer, int bytes, int writing, void *context)
{
    (void)buffer, (void)bytes, (void)writing, (void)context;
    return -1;
}

static bool text_holds(struct span text, const char *part)
{
    return memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

static EVP_PKEY *certificate_key(BIO *bio, int64_t *ret_end_s)
{
    X509 *certificate = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
    EVP_PKEY *pkey = certificate == NULL ? NULL : X509_get_pubkey(certificate);
    struct tm end;

    if (pkey != NULL && ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) == 1)
        *ret_end_s = (int64_t)timegm(&end);
    X509_free(certificate);
    return pkey;
}

/* *ret_end_s is written for a certificate only. */
static EVP_PKEY *pem_read(struct span pem, bool is_private, int64_t *ret_end_s)
{
    CRYPTO_AUTO(BIO) bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);

    if (bio == NULL)
        return NULL;
    if (is_private)
        return PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    if (text_holds(pem, "-----BEGIN CERTIFICATE"))
        return certificate_key(bio, ret_end_s);
    return PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL);
}

enum err crypto_key_from_pem(struct span pem, enum crypto_alg alg, struct span kid,
                             struct crypto_key **ret_key, struct crypto_fault *fault)
{
    bool is_private = text_holds(pem, "PRIVATE KEY-----");
    char reason[REASON_BYTES];
    struct crypto_key *key;
    int64_t end_s = 0;
    EVP_PKEY *pkey;
    enum err err;

    if (text_holds(pem, "ENCRYPTED")) {
        crypto_fault_set(fault, "the key is encrypted with a passphrase; store it decrypted");
        return ERR_KEY;
    }
    pkey = pem_read(pem, is_private, &end_s);
    if (pkey == NULL) {
        crypto_openssl_reason(reason, sizeof(reason));
        crypto_fault_set(fault, "there is no readable PEM key (%s)", reason);
        return ERR_KEY;
    }
    err = crypto_key_adopt(pkey, alg, is_private, kid, &key, fault);
    if (err)
        return err;
    crypto_key_name_default(key);
    key->end_s = end_s;
    *ret_key = key;
    return ERR_OK;
}

static enum err key_from_text(struct span text, enum crypto_alg alg, struct span kid,
                              struct crypto_key **ret_key, struct crypto_fault *fault)
{
    PC_AUTO(crypto_key) key = NULL;
    struct span trimmed = span_trim(text);
    enum err err;

    if (trimmed.len == 0 || trimmed.ptr[0] != '{')
        return crypto_key_from_pem(text, alg, kid, ret_key, fault);
    err = crypto_key_from_jwk_text(text, alg, &key, fault);
    if (err)
        return err;
    if (key->alg != alg) {
        crypto_fault_set(fault, "the key is for %s, not for %s", crypto_alg_name(key->alg),
                         crypto_alg_name(alg));
        return ERR_KEY;
    }
    *ret_key = key;
    key = NULL;
    return ERR_OK;
}

/* Puts "PATH: " before what is wrong with the content. */
static void fault_locate(struct crypto_fault *fault, const char *path)
{
    struct crypto_fault inner;

    if (fault == NULL)
        return;
    inner = *fault;
    crypto_fault_set(fault, "%.160s: %.150s", path, inner.text);
}

enum err crypto_key_load(const char *path, enum crypto_alg alg, struct span kid,
                         struct crypto_key **ret_key, struct crypto_fault *fault)
{
    bool is_elsewhere = crypto_vault_is_there() && !crypto_alg_is_symmetric(alg);
    char *buffer = is_elsewhere ? NULL : alloc_zero(LIMIT_KEY_FILE_BYTES_MAX);
    struct span text;
    enum err err;

    if (is_elsewhere)
        return crypto_vault_load(path, alg, kid, ret_key, fault);
    if (buffer == NULL)
        return ERR_NO_MEMORY;
    err = crypto_file_read(path, false, buffer, LIMIT_KEY_FILE_BYTES_MAX, &text, fault);
    if (!err && (text_holds(text, "PRIVATE KEY-----") || text_holds(text, "\"d\"") ||
                 crypto_alg_is_symmetric(alg)))
        err = crypto_file_read(path, true, buffer, LIMIT_KEY_FILE_BYTES_MAX, &text, fault);
    if (!err) {
        err = key_from_text(text, alg, kid, ret_key, fault);
        if (err)
            fault_locate(fault, path);
    }
    alloc_wipe(buffer, LIMIT_KEY_FILE_BYTES_MAX);
    alloc_free(buffer);
    return err;
}

/* ---- writing ---- */

static bool write_all(int fd, struct span text)
{
    while (text.len > 0) {
        ssize_t n = write(fd, text.ptr, text.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        text = span_slice(text, (size_t)n, text.len);
    }
    return true;
}

static bool temporary_write(const char *path, unsigned mode, struct span text)
{
    struct descriptor opened = {
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)};
    PC_AUTO(descriptor) file = &opened;

    return file->fd >= 0 && write_all(file->fd, text) && fchmod(file->fd, (mode_t)mode) == 0 &&
           fsync(file->fd) == 0;
}

enum err crypto_file_write(const char *path, unsigned mode, bool force, struct span text,
                           struct crypto_fault *fault)
{
    char temporary[PATH_BYTES_MAX], suffix[RANDOM_UUID_BYTES];
    struct sbuf name = sbuf_over(temporary, sizeof(temporary));
    enum err err = ERR_OK;

    random_uuid(&random_system, suffix); /* processes of two containers may share their number */
    sbuf_add_format(&name, "%s.%.*s.new", path, RANDOM_UUID_BYTES, suffix);
    sbuf_add_char(&name, '\0');
    if (name.full)
        return file_fault(fault, path, "the path is too long");
    if (!temporary_write(temporary, mode, text)) {
        err = file_fault(fault, path, strerror(errno));
    } else if (force ? rename(temporary, path) != 0 : link(temporary, path) != 0) {
        err = errno == EEXIST ? ERR_TAKEN : ERR_IO;
        crypto_fault_set(fault, "%s: %s", path,
                         errno == EEXIST ? "is there already" : strerror(errno));
    }
    unlink(temporary);
    return err;
}

enum err crypto_pkey_save(EVP_PKEY *pkey, const char *path, bool force, struct crypto_fault *fault)
{
    CRYPTO_AUTO(BIO) bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    long bytes;
    enum err err;

    if (bio == NULL || PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL) != 1) {
        ERR_clear_error();
        return ERR_NO_MEMORY;
    }
    bytes = BIO_get_mem_data(bio, &text);
    err = crypto_file_write(path, 0600, force, span_make(text, (size_t)bytes), fault);
    alloc_wipe(text, (size_t)bytes);
    return err;
}

static enum err secret_save(const struct crypto_key *key, const char *path,
                            struct crypto_fault *fault)
{
    char text[2 * LIMIT_SECRET_BYTES_MAX];
    struct sbuf out = sbuf_over(text, sizeof(text));
    enum err err = crypto_jwk_add(&out, key, CRYPTO_JWK_PRIVATE);

    sbuf_add_char(&out, '\n');
    if (!err)
        err = crypto_file_write(path, 0600, false, sbuf_span(&out), fault);
    alloc_wipe(text, sizeof(text));
    return err;
}

enum err crypto_key_save(const struct crypto_key *key, const char *path, struct crypto_fault *fault)
{
    if (!key->is_private) {
        crypto_fault_set(fault, "%s: the key has no private part to save", path);
        return ERR_KEY;
    }
    if (key->vault != 0)
        return crypto_vault_save(key, path, fault);
    if (crypto_alg_is_symmetric(key->alg))
        return secret_save(key, path, fault);
    return crypto_pkey_save(key->pkey, path, false, fault);
}

enum err crypto_key_add_public_pem(const struct crypto_key *key, struct sbuf *out)
{
    char *text = NULL;
    long bytes;

    if (key->pkey == NULL)
        return ERR_KEY;
    CRYPTO_AUTO(BIO) bio = BIO_new(BIO_s_mem());

    if (bio == NULL || PEM_write_bio_PUBKEY(bio, key->pkey) != 1) {
        ERR_clear_error();
        return ERR_NO_MEMORY;
    }
    bytes = BIO_get_mem_data(bio, &text);
    sbuf_add_bytes(out, text, (size_t)bytes);
    return out->full ? ERR_NO_SPACE : ERR_OK;
}
