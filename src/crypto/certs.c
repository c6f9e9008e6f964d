/* SPDX-License-Identifier: MIT
 * A certificate authority for one's own machine. All names are checked and all targets looked for
 * before the first file is written; each file appears whole or not at all. */
#include "crypto/certs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/alloc.h"
#include "crypto/crypto_priv.h"

enum {
    DAYS_MAX = 3650,
    CA_DAYS = 3650,
    BACKDATE_S = 300, /* for clocks that differ a little */
    SERIAL_BYTES = 16,
    NAME_CHARS_MAX = 253,
    CLIENT_CHARS_MAX = 64,
    PATH_BYTES = 1024,
    SAN_BYTES = CRYPTO_CERTS_NAMES_MAX * (NAME_CHARS_MAX + 8),
    HOST_BYTES = 256,
};

#define ORGANISATION "Portcullis development"

struct identity {
    EVP_PKEY *pkey;
    X509 *certificate;
};

/* What a certificate is to say. */
struct profile {
    const char *cn;
    const char *usage;    /* keyUsage */
    const char *extended; /* extendedKeyUsage; NULL: a CA */
    const char *names;    /* subjectAltName; NULL: none */
    int64_t days;
};

static void identity_auto(struct identity **identity)
{
    EVP_PKEY_free((*identity)->pkey);
    X509_free((*identity)->certificate);
}

static enum err openssl_fault(struct crypto_fault *fault, const char *what)
{
    char reason[128];

    crypto_openssl_reason(reason, sizeof(reason));
    crypto_fault_set(fault, "%s (%s)", what, reason);
    return ERR_KEY;
}

/* ---- names and paths ---- */

static bool is_address(const char *name)
{
    unsigned char address[16];

    return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

static bool name_is_plain(const char *name, size_t chars_max)
{
    size_t chars = strlen(name);

    for (size_t i = 0; i < chars; i++) {
        char c = name[i];
        bool good =
            (c >= '0' && c <= '9') || (span_lower_char(c) >= 'a' && span_lower_char(c) <= 'z');

        if (!good && !(i > 0 && (c == '.' || c == '-' || c == '_')))
            return false;
    }
    return chars > 0 && chars <= chars_max;
}

static bool host_is_plain(const char *name)
{
    if (is_address(name))
        return true;
    return name_is_plain(strncmp(name, "*.", 2) == 0 ? name + 2 : name, NAME_CHARS_MAX);
}

static void names_add(struct sbuf *out, const char *name)
{
    sbuf_add_format(out, "%s%s:%s", out->len > 0 ? "," : "", is_address(name) ? "IP" : "DNS", name);
}

/* "DNS:localhost,IP:127.0.0.1,..." */
static enum err names_write(const struct crypto_certs_options *options, struct sbuf *out,
                            struct crypto_fault *fault)
{
    char host[HOST_BYTES] = "";

    names_add(out, "localhost");
    names_add(out, "127.0.0.1");
    names_add(out, "::1");
    if (gethostname(host, sizeof(host) - 1) == 0 && host_is_plain(host) &&
        strcmp(host, "localhost") != 0)
        names_add(out, host);
    for (size_t i = 0; options->names != NULL && options->names[i] != NULL; i++) {
        if (i == CRYPTO_CERTS_NAMES_MAX || !host_is_plain(options->names[i])) {
            crypto_fault_set(fault, "\"%.60s\" cannot be the name of a server", options->names[i]);
            return ERR_USAGE;
        }
        names_add(out, options->names[i]);
    }
    sbuf_add_char(out, '\0');
    return out->full ? ERR_NO_SPACE : ERR_OK;
}

static enum err path_make(const char *folder, const char *name, const char *end,
                          char ret_path[PATH_BYTES], struct crypto_fault *fault)
{
    struct sbuf out = sbuf_over(ret_path, PATH_BYTES);

    sbuf_add_format(&out, "%s/%s%s", folder, name, end);
    sbuf_add_char(&out, '\0');
    if (!out.full)
        return ERR_OK;
    crypto_fault_set(fault, "the path of the folder is too long");
    return ERR_IO;
}

static enum err target_check(const struct crypto_certs_options *options, const char *name,
                             struct crypto_fault *fault)
{
    static const char *const ends[] = {".crt", ".key"};
    char path[PATH_BYTES];

    for (size_t i = 0; i < PC_COUNT(ends); i++) {
        enum err err = path_make(options->folder, name, ends[i], path, fault);

        if (err)
            return err;
        if (!options->force && access(path, F_OK) == 0) {
            crypto_fault_set(fault, "%s: is there already", path);
            return ERR_TAKEN;
        }
    }
    return ERR_OK;
}

static enum err leaves_check(const struct crypto_certs_options *options, const char *const *names,
                             struct crypto_fault *fault)
{
    for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
        const char *name = names[i];
        enum err err;

        if (i == CRYPTO_CERTS_NAMES_MAX || !name_is_plain(name, CLIENT_CHARS_MAX) ||
            strcmp(name, "ca") == 0 || strcmp(name, "server") == 0) {
            crypto_fault_set(fault, "\"%.60s\" cannot be the name of a certificate", name);
            return ERR_USAGE;
        }
        err = target_check(options, name, fault);
        if (err)
            return err;
    }
    return ERR_OK;
}

/* ---- certificates ---- */

static bool extension_add(X509 *certificate, X509 *issuer, int nid, const char *text)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;
    int added;

    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, text);
    added = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return added;
}

/* RFC 5280, 4.2. */
static bool extensions_add(X509 *certificate, X509 *issuer, const struct profile *profile)
{
    bool is_ca = profile->extended == NULL;

    return extension_add(certificate, issuer, NID_basic_constraints,
                         is_ca ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE") &&
           extension_add(certificate, issuer, NID_key_usage, profile->usage) &&
           extension_add(certificate, issuer, NID_subject_key_identifier, "hash") &&
           (is_ca || (extension_add(certificate, issuer, NID_authority_key_identifier, "keyid") &&
                      extension_add(certificate, issuer, NID_ext_key_usage, profile->extended))) &&
           (profile->names == NULL ||
            extension_add(certificate, issuer, NID_subject_alt_name, profile->names));
}

static bool serial_set(X509 *certificate)
{
    unsigned char bytes[SERIAL_BYTES];
    BIGNUM *number = NULL;
    bool good;

    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        return false;
    bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40); /* positive and never short */
    number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    good = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return good;
}

static bool subject_set(X509 *certificate, const char *cn)
{
    X509_NAME *name = X509_get_subject_name(certificate);

    return X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, (const unsigned char *)ORGANISATION,
                                      -1, -1, 0) == 1 &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1,
                                      0) == 1;
}

static bool times_set(X509 *certificate, int64_t now_s, int64_t days)
{
    time_t now = (time_t)now_s;

    return X509_time_adj_ex(X509_getm_notBefore(certificate), 0, -BACKDATE_S, &now) != NULL &&
           X509_time_adj_ex(X509_getm_notAfter(certificate), (int)days, 0, &now) != NULL;
}

/* Makes a key and a certificate for it, signed by `issuer`, or by itself when that is NULL. */
static enum err identity_make(const struct profile *profile, const struct identity *issuer,
                              int64_t now_s, struct identity *ret, struct crypto_fault *fault)
{
    const struct identity *by = issuer == NULL ? ret : issuer;

    ret->pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    ret->certificate = X509_new();
    if (ret->pkey == NULL || ret->certificate == NULL)
        return openssl_fault(fault, "a key could not be made");
    if (X509_set_version(ret->certificate, X509_VERSION_3) != 1 || !serial_set(ret->certificate) ||
        !subject_set(ret->certificate, profile->cn) ||
        !times_set(ret->certificate, now_s, profile->days) ||
        X509_set_issuer_name(ret->certificate, X509_get_subject_name(by->certificate)) != 1 ||
        X509_set_pubkey(ret->certificate, ret->pkey) != 1 ||
        !extensions_add(ret->certificate, by->certificate, profile) ||
        X509_sign(ret->certificate, by->pkey, EVP_sha256()) <= 0)
        return openssl_fault(fault, "a certificate could not be made");
    return ERR_OK;
}

/* ---- files ---- */

/* The certificate, and its issuer's behind it when there is one. */
static enum err certificate_save(const struct identity *identity, const struct identity *issuer,
                                 const char *path, bool force, struct crypto_fault *fault)
{
    CRYPTO_AUTO(BIO) bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    long bytes;

    if (bio == NULL || PEM_write_bio_X509(bio, identity->certificate) != 1 ||
        (issuer != NULL && PEM_write_bio_X509(bio, issuer->certificate) != 1))
        return openssl_fault(fault, "a certificate could not be written");
    bytes = BIO_get_mem_data(bio, &text);
    return crypto_file_write(path, 0644, force, span_make(text, (size_t)bytes), fault);
}

static enum err identity_save(const struct crypto_certs_options *options, const char *name,
                              const struct identity *identity, const struct identity *issuer,
                              struct crypto_fault *fault)
{
    char path[PATH_BYTES];
    enum err err;

    err = path_make(options->folder, name, ".key", path, fault);
    if (err)
        return err;
    err = crypto_pkey_save(identity->pkey, path, options->force, fault);
    if (err)
        return err;
    err = path_make(options->folder, name, ".crt", path, fault);
    if (err)
        return err;
    return certificate_save(identity, issuer, path, options->force, fault);
}

static enum err pem_load(const char *folder, const char *end, bool secret, char *buffer, BIO **ret,
                         struct crypto_fault *fault)
{
    char path[PATH_BYTES];
    struct span text;
    enum err err;

    err = path_make(folder, "ca", end, path, fault);
    if (err)
        return err;
    err = crypto_file_read(path, secret, buffer, LIMIT_KEY_FILE_BYTES_MAX, &text, fault);
    if (err)
        return err;
    *ret = BIO_new_mem_buf(text.ptr, (int)text.len);
    return *ret == NULL ? ERR_NO_MEMORY : ERR_OK;
}

static int no_passphrase(char *buffer, int bytes, int writing, void *unused)
{
    (void)buffer, (void)bytes, (void)writing, (void)unused;
    return -1;
}

static enum err ca_parse(const char *folder, char *buffer, struct identity *ret,
                         struct crypto_fault *fault)
{
    CRYPTO_AUTO(BIO) key = NULL;
    CRYPTO_AUTO(BIO) certificate = NULL;
    enum err err;

    err = pem_load(folder, ".key", true, buffer, &key, fault);
    if (err)
        return err;
    ret->pkey = PEM_read_bio_PrivateKey(key, NULL, no_passphrase, NULL);
    err = pem_load(folder, ".crt", false, buffer, &certificate, fault);
    if (err)
        return err;
    ret->certificate = PEM_read_bio_X509(certificate, NULL, NULL, NULL);
    if (ret->pkey == NULL || ret->certificate == NULL ||
        X509_check_private_key(ret->certificate, ret->pkey) != 1)
        return openssl_fault(fault, "ca.crt and ca.key are not a readable pair");
    return ERR_OK;
}

static enum err ca_load(const char *folder, struct identity *ret, struct crypto_fault *fault)
{
    char *buffer = alloc_zero(LIMIT_KEY_FILE_BYTES_MAX);
    enum err err;

    if (buffer == NULL)
        return ERR_NO_MEMORY;
    err = ca_parse(folder, buffer, ret, fault);
    alloc_wipe(buffer, LIMIT_KEY_FILE_BYTES_MAX);
    alloc_free(buffer);
    return err;
}

enum err crypto_certs_ca_load(const char *folder, EVP_PKEY **ret_pkey, X509 **ret_ca,
                              struct crypto_fault *fault)
{
    struct identity ca = {NULL, NULL};
    enum err err = ca_load(folder, &ca, fault);

    *ret_pkey = ca.pkey;
    *ret_ca = ca.certificate;
    return err;
}

/* ---- the whole ---- */

static enum err folder_make(const char *folder, struct crypto_fault *fault)
{
    struct stat info;

    if (mkdir(folder, 0700) == 0)
        return ERR_OK;
    if (errno == EEXIST && stat(folder, &info) == 0 && S_ISDIR(info.st_mode))
        return ERR_OK;
    crypto_fault_set(fault, "%s: %s", folder, strerror(errno));
    return ERR_IO;
}

static enum err ca_take(const struct crypto_certs_options *options, int64_t now_s,
                        struct identity *ret, struct crypto_fault *fault)
{
    static const struct profile authority = {
        .cn = "Portcullis development CA",
        .usage = "critical,keyCertSign,cRLSign",
        .days = CA_DAYS,
    };
    char path[PATH_BYTES];
    enum err err;

    err = path_make(options->folder, "ca", ".crt", path, fault);
    if (err)
        return err;
    if (!options->force && access(path, F_OK) == 0)
        return ca_load(options->folder, ret, fault);
    err = identity_make(&authority, NULL, now_s, ret, fault);
    return err ? err : identity_save(options, "ca", ret, NULL, fault);
}

static enum err leaf_make(const struct crypto_certs_options *options, const char *file,
                          const struct profile *profile, const struct identity *ca, int64_t now_s,
                          struct crypto_fault *fault)
{
    struct identity made = {NULL, NULL};
    PC_AUTO(identity) leaf = &made;
    enum err err = identity_make(profile, ca, now_s, leaf, fault);

    return err ? err : identity_save(options, file, leaf, ca, fault);
}

static enum err leaves_make(const struct crypto_certs_options *options, const char *names,
                            const struct identity *ca, int64_t now_s, struct crypto_fault *fault)
{
    struct profile profile = {
        .cn = "localhost",
        .usage = "critical,digitalSignature",
        .extended = "serverAuth",
        .names = names,
        .days = options->days == 0 ? CRYPTO_CERTS_DAYS : options->days,
    };
    enum err err = leaf_make(options, "server", &profile, ca, now_s, fault);

    for (size_t i = 0; !err && options->servers != NULL && options->servers[i] != NULL; i++) {
        char own[2 * NAME_CHARS_MAX];
        struct sbuf out = sbuf_over(own, sizeof(own));

        names_add(&out, options->servers[i]);
        sbuf_add_lit(&out, ",DNS:localhost,IP:127.0.0.1,IP:::1");
        sbuf_add_char(&out, '\0');
        profile.cn = options->servers[i];
        profile.names = own;
        err = out.full ? ERR_NO_SPACE
                       : leaf_make(options, options->servers[i], &profile, ca, now_s, fault);
    }
    profile.extended = "clientAuth";
    profile.names = NULL;
    for (size_t i = 0; !err && options->clients != NULL && options->clients[i] != NULL; i++) {
        profile.cn = options->clients[i];
        err = leaf_make(options, options->clients[i], &profile, ca, now_s, fault);
    }
    return err;
}

enum err crypto_certs_make(const struct crypto_certs_options *options, struct crypto_fault *fault)
{
    struct identity made = {NULL, NULL};
    PC_AUTO(identity) ca = &made;
    char names[SAN_BYTES];
    struct sbuf names_text = sbuf_over(names, sizeof(names));
    int64_t now_s = clock_realtime_s(options->clock);
    enum err err;

    PC_ASSERT(options->days >= 0 && options->days <= DAYS_MAX);
    err = names_write(options, &names_text, fault);
    if (err)
        return err;
    err = folder_make(options->folder, fault);
    if (err)
        return err;
    err = target_check(options, "server", fault);
    if (err)
        return err;
    err = leaves_check(options, options->clients, fault);
    if (!err)
        err = leaves_check(options, options->servers, fault);
    if (err)
        return err;
    err = ca_take(options, now_s, ca, fault);
    if (err)
        return err;
    return leaves_make(options, names, ca, now_s, fault);
}
