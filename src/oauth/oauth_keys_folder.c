/* SPDX-License-Identifier: MIT
 * The folder of private signing keys: one PEM file each, called ALG-NUMBER.pem. The numbers are
 * what makes processes agree: a file comes into being whole and under its final name, so of two
 * that make RS256-1.pem at once one succeeds and the other finds it. */
#include "oauth/oauth_keys_priv.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES_MAX = 1024, NUMBER_MAX = 999999, DIR_MODE = 0700 };

static enum err refuse(struct crypto_fault *fault, enum err err, const char *path, const char *what)
{
    crypto_fault_set(fault, "%s: %s", path, what);
    return err;
}

/* "…/oauth" below a data folder that may itself be new. */
static bool folders_make(const char *dir)
{
    char path[PATH_BYTES_MAX];
    size_t len = strlen(dir);

    if (len >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(path, dir, len + 1);
    for (size_t i = 1; i < len; i++) {
        if (path[i] != '/')
            continue;
        path[i] = '\0';
        if (mkdir(path, DIR_MODE) != 0 && errno != EEXIST)
            return false;
        path[i] = '/';
    }
    return mkdir(path, DIR_MODE) == 0 || errno == EEXIST;
}

static enum err folder_check(const char *dir, struct crypto_fault *fault)
{
    struct stat info;

    if (stat(dir, &info) != 0 && (errno != ENOENT || !folders_make(dir) || stat(dir, &info) != 0))
        return refuse(fault, ERR_IO, dir, strerror(errno));
    if (!S_ISDIR(info.st_mode))
        return refuse(fault, ERR_IO, dir, "this is where the folder of signing keys must be");
    if (info.st_uid != geteuid())
        return refuse(fault, ERR_KEY, dir, "belongs to another user: run as that user");
    if ((info.st_mode & 077) != 0)
        return refuse(fault, ERR_KEY, dir, "is open to other users: chmod 0700");
    return ERR_OK;
}

/* ---- names ---- */

static bool name_read(struct span name, enum crypto_alg *ret_alg, unsigned *ret_number)
{
    static const struct span ending = SPAN(".pem");
    size_t dash = span_find(name, '-');
    struct span digits;
    uint64_t number;

    if (dash == name.len || !span_ends(name, ending))
        return false;
    digits = span_slice(name, dash + 1, name.len - ending.len);
    *ret_alg = crypto_alg_from(span_slice(name, 0, dash));
    if (!crypto_alg_can_sign(*ret_alg) || crypto_alg_is_symmetric(*ret_alg) ||
        !span_to_u64(digits, &number) || number == 0 || number > NUMBER_MAX || digits.ptr[0] == '0')
        return false;
    *ret_number = (unsigned)number;
    return true;
}

static bool path_write(const struct oauth_key_folder *folder, enum crypto_alg alg, unsigned number,
                       char path[PATH_BYTES_MAX])
{
    struct sbuf out = sbuf_over(path, PATH_BYTES_MAX);

    sbuf_add_format(&out, "%s/%s-%u.pem", folder->dir, crypto_alg_name(alg), number);
    sbuf_add_char(&out, '\0');
    return !out.full;
}

/* ---- what is held ---- */

static struct oauth_key_file *file_of(struct oauth_key_folder *folder, enum crypto_alg alg,
                                      unsigned number)
{
    for (size_t i = 0; i < folder->count; i++) {
        if (folder->files[i].alg == alg && folder->files[i].number == number)
            return &folder->files[i];
    }
    return NULL;
}

const struct oauth_key_file *oauth_folder_find(const struct oauth_key_folder *folder,
                                               struct span kid)
{
    for (size_t i = 0; i < folder->count; i++) {
        if (span_equal(crypto_key_kid(folder->files[i].key), kid))
            return &folder->files[i];
    }
    return NULL;
}

static void file_drop(struct oauth_key_folder *folder, size_t index)
{
    crypto_key_free(folder->files[index].key);
    folder->files[index] = folder->files[--folder->count];
}

/* Takes `key` over, also on failure. */
static enum err file_hold(struct oauth_key_folder *folder, const char *path, struct crypto_key *key,
                          enum crypto_alg alg, unsigned number, struct crypto_fault *fault)
{
    struct oauth_key_file file = {.key = key, .alg = alg, .number = number, .seen = true};
    enum err err = ERR_OK;

    if (!crypto_key_is_private(key))
        err = refuse(fault, ERR_KEY, path, "holds no private key");
    else if (oauth_folder_find(folder, crypto_key_kid(key)) != NULL)
        err = refuse(fault, ERR_KEY, path, "another file of this folder holds the same key");
    else if (folder->count == OAUTH_KEYS_MAX)
        err = refuse(fault, ERR_NO_SPACE, folder->dir, "holds more keys than can be published");
    else if (stat(path, &file.info) != 0)
        err = refuse(fault, ERR_IO, path, strerror(errno));
    if (err) {
        crypto_key_free(key);
        return err;
    }
    folder->files[folder->count++] = file;
    return ERR_OK;
}

/* Whether the file is still the one that was read. */
static bool file_stands(const struct oauth_key_file *file, const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && info.st_dev == file->info.st_dev &&
           info.st_ino == file->info.st_ino && info.st_ctim.tv_sec == file->info.st_ctim.tv_sec &&
           info.st_ctim.tv_nsec == file->info.st_ctim.tv_nsec;
}

/* Who retires a key takes its file away, perhaps since it was listed. */
static bool file_is_gone(const char *path)
{
    struct stat info;

    return lstat(path, &info) != 0 && errno == ENOENT;
}

static enum err file_read(struct oauth_key_folder *folder, enum crypto_alg alg, unsigned number,
                          struct crypto_fault *fault)
{
    struct oauth_key_file *known = file_of(folder, alg, number);
    struct crypto_key *key = NULL;
    char path[PATH_BYTES_MAX];
    enum err err;

    if (!path_write(folder, alg, number, path))
        return refuse(fault, ERR_IO, folder->dir, "the path is too long");
    if (known != NULL && file_stands(known, path)) {
        known->seen = true;
        return ERR_OK;
    }
    if (known != NULL)
        file_drop(folder, (size_t)(known - folder->files));
    err = crypto_key_load(path, alg, (struct span){0}, &key, fault);
    if (err == ERR_OK)
        err = file_hold(folder, path, key, alg, number, fault);
    return err && file_is_gone(path) ? ERR_OK : err;
}

static void unseen_drop(struct oauth_key_folder *folder)
{
    for (size_t i = folder->count; i > 0; i--) {
        if (!folder->files[i - 1].seen)
            file_drop(folder, i - 1);
    }
}

static enum err entries_read(struct oauth_key_folder *folder, DIR *opened,
                             struct crypto_fault *fault)
{
    struct dirent *entry;
    enum err err;

    while ((entry = readdir(opened)) != NULL) {
        enum crypto_alg alg;
        unsigned number;

        if (!name_read(span_from(entry->d_name), &alg, &number) ||
            (folder->only != CRYPTO_ALG_NONE && folder->only != alg))
            continue;
        err = file_read(folder, alg, number, fault);
        if (err)
            return err;
    }
    return ERR_OK;
}

enum err oauth_folder_scan(struct oauth_key_folder *folder, struct crypto_fault *fault)
{
    DIR *opened;
    enum err err = folder_check(folder->dir, fault);

    if (err)
        return err;
    opened = opendir(folder->dir);
    if (opened == NULL)
        return refuse(fault, ERR_IO, folder->dir, strerror(errno));
    for (size_t i = 0; i < folder->count; i++)
        folder->files[i].seen = false;
    err = entries_read(folder, opened, fault);
    (void)closedir(opened);
    if (!err)
        unseen_drop(folder);
    return err;
}

enum err oauth_folder_make(struct oauth_key_folder *folder, enum crypto_alg alg,
                           struct crypto_fault *fault)
{
    struct crypto_key *key = NULL;
    char path[PATH_BYTES_MAX];
    unsigned number = 1;
    enum err err;

    for (size_t i = 0; i < folder->count; i++) {
        if (folder->files[i].alg == alg && folder->files[i].number >= number)
            number = folder->files[i].number + 1;
    }
    if (number > NUMBER_MAX || !path_write(folder, alg, number, path))
        return refuse(fault, ERR_IO, folder->dir, "the path is too long");
    err = crypto_key_generate(alg, (struct span){0}, &key);
    if (err)
        return refuse(fault, err, path, "no key could be made");
    err = crypto_key_save(key, path, fault);
    if (err) {
        crypto_key_free(key);
        return err;
    }
    return file_hold(folder, path, key, alg, number, fault);
}

void oauth_folder_remove(struct oauth_key_folder *folder, const struct oauth_key_file *file)
{
    char path[PATH_BYTES_MAX];

    if (path_write(folder, file->alg, file->number, path) && (unlink(path) == 0 || errno == ENOENT))
        file_drop(folder, (size_t)(file - folder->files));
}

void oauth_folder_close(struct oauth_key_folder *folder)
{
    while (folder->count > 0)
        file_drop(folder, folder->count - 1);
}
