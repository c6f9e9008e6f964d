/* SPDX-License-Identifier: MIT
 * The key that signs our tokens: given by the configuration, or made at first start and kept under
 * the data folder, readable by us alone. */
#include "app/serve_events.h"
#include "app/serve_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "crypto/digest.h"

enum { PATH_BYTES_MAX = 1024, SECRET_BYTES = 64, SECRET_TEXT_MAX = 256 };

enum err serve_data_folder(const char *path, struct serve_fault *fault)
{
    struct stat info;

    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return serve_fail(fault, ERR_IO, "%s: the data folder cannot be made: %s", path,
                          strerror(errno));
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        return serve_fail(fault, ERR_IO,
                          "%s: this is where the data folder must be, and it is "
                          "something else",
                          path);
    return ERR_OK;
}

static enum err key_path(const struct serve *serve, const char *name, char path[PATH_BYTES_MAX],
                         struct serve_fault *fault)
{
    struct sbuf out = sbuf_over(path, PATH_BYTES_MAX);
    enum err err;

    sbuf_add_format(&out, "%s/keys", serve->config->data);
    sbuf_add_char(&out, '\0');
    if (out.full)
        return serve_fail(fault, ERR_CONFIG, "the path of the data folder is too long");
    err = serve_data_folder(path, fault);
    if (err)
        return err;
    sbuf_truncate(&out, out.len - 1);
    sbuf_add_format(&out, "/%s", name);
    sbuf_add_char(&out, '\0');
    if (out.full)
        return serve_fail(fault, ERR_CONFIG, "the path of the data folder is too long");
    return ERR_OK;
}

/* Complete or not at all: written beside, then linked into place. Losing a race is no failure. */
static enum err secret_make(const struct serve *serve, const char *path, struct serve_fault *fault)
{
    unsigned char raw[SECRET_BYTES];
    char text[SECRET_TEXT_MAX];
    char beside[PATH_BYTES_MAX + 64];
    char suffix[RANDOM_UUID_BYTES];
    struct sbuf out = sbuf_over(text, sizeof(text));
    struct sbuf name = sbuf_over(beside, sizeof(beside));
    bool written;
    int fd;

    random_fill(serve->random, raw, sizeof(raw));
    crypto_base64url_add(&out, span_make(raw, sizeof(raw)));
    alloc_wipe(raw, sizeof(raw));
    sbuf_add_text(&name, path);
    sbuf_add_char(&name, '.');
    random_uuid(serve->random, suffix); /* a leftover of a start that died is in nobody's way */
    sbuf_add_bytes(&name, suffix, sizeof(suffix));
    sbuf_add_char(&name, '\0');
    fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return serve_fail(fault, ERR_IO, "%s: cannot be made: %s", beside, strerror(errno));
    written = write(fd, out.ptr, out.len) == (ssize_t)out.len && fsync(fd) == 0;
    alloc_wipe(text, sizeof(text));
    written = close(fd) == 0 && written && (link(beside, path) == 0 || errno == EEXIST);
    (void)unlink(beside);
    return written ? ERR_OK
                   : serve_fail(fault, ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
}

static enum err secret_read(const char *path, char text[SECRET_TEXT_MAX], size_t *ret_len,
                            struct serve_fault *fault)
{
    struct stat info;
    ssize_t len;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return errno == ENOENT ? ERR_NOT_FOUND
                               : serve_fail(fault, ERR_IO, "%s: %s", path, strerror(errno));
    len = fstat(fd, &info) == 0 ? read(fd, text, SECRET_TEXT_MAX) : -1;
    (void)close(fd);
    if (len < 0)
        return serve_fail(fault, ERR_IO, "%s: %s", path, strerror(errno));
    if ((info.st_mode & 077) != 0 || (info.st_uid != geteuid() && info.st_uid != 0))
        return serve_fail(fault, ERR_KEY,
                          "%s: others may read this secret; make it ours with mode 0600", path);
    if (len < SECRET_BYTES || len >= SECRET_TEXT_MAX)
        return serve_fail(fault, ERR_KEY, "%s: this is not a secret that we made", path);
    *ret_len = (size_t)len;
    return ERR_OK;
}

static enum err symmetric_key(struct serve *serve, enum crypto_alg alg, struct serve_fault *fault)
{
    const char *given = serve->config->jwt.secret;
    struct crypto_fault why = {0};
    char path[PATH_BYTES_MAX];
    char text[SECRET_TEXT_MAX];
    size_t len = 0;
    enum err err;

    if (given != NULL && given[0] != '\0') {
        err = crypto_key_from_secret(alg, span_from(given), (struct span){0}, &serve->key, &why);
        return err ? serve_fail(fault, err, "jwt.secret: %s", why.text) : ERR_OK;
    }
    err = key_path(serve, "jwt.secret", path, fault);
    if (err)
        return err;
    err = secret_read(path, text, &len, fault);
    if (err == ERR_NOT_FOUND) {
        err = serve_event_key(serve, SPAN_OF("key:session"), crypto_alg_name(alg), fault);
        if (!err)
            err = secret_make(serve, path, fault);
        if (!err)
            err = secret_read(path, text, &len, fault);
    }
    if (err)
        return err;
    err = crypto_key_from_secret(alg, span_make(text, len), (struct span){0}, &serve->key, &why);
    alloc_wipe(text, sizeof(text));
    return err ? serve_fail(fault, err, "%s: %s", path, why.text) : ERR_OK;
}

static enum err private_key(struct serve *serve, enum crypto_alg alg, struct serve_fault *fault)
{
    const char *given = serve->config->jwt.key_file;
    struct crypto_fault why = {0};
    char path[PATH_BYTES_MAX];
    char name[64];
    struct sbuf out = sbuf_over(name, sizeof(name));
    enum err err;

    sbuf_add_format(&out, "jwt-%s.pem", crypto_alg_name(alg));
    sbuf_add_char(&out, '\0');
    err = given ? ERR_OK : key_path(serve, name, path, fault);
    if (err)
        return err;
    if (given == NULL && access(path, F_OK) != 0) {
        struct crypto_key *made = NULL;

        err = serve_event_key(serve, SPAN_OF("key:session"), crypto_alg_name(alg), fault);
        if (err)
            return err;
        err = crypto_key_generate(alg, (struct span){0}, &made);
        if (!err)
            err = crypto_key_save(made, path, &why);
        crypto_key_free(made);
        if (err && err != ERR_TAKEN)
            return serve_fail(fault, err, "%s: %s", path, why.text);
    }
    err = crypto_key_load(given ? given : path, alg, (struct span){0}, &serve->key, &why);
    return err ? serve_fail(fault, err, "%s", why.text) : ERR_OK;
}

enum err serve_keys(struct serve *serve, struct serve_fault *fault)
{
    enum crypto_alg alg = crypto_alg_from(span_from(serve->config->jwt.algorithm));
    enum err err;

    if (!crypto_alg_can_sign(alg))
        return serve_fail(fault, ERR_CONFIG, "jwt.algorithm: %s cannot sign",
                          serve->config->jwt.algorithm);
    err = crypto_alg_is_symmetric(alg) ? symmetric_key(serve, alg, fault)
                                       : private_key(serve, alg, fault);
    if (err)
        return err;
    err = crypto_signer_local(serve->key, &serve->signer);
    if (!err)
        err = crypto_keyset_new(&serve->keys);
    if (!err)
        err = crypto_keyset_add(serve->keys, serve->key);
    return err ? serve_fail(fault, err, "the token key cannot sign") : ERR_OK;
}
