/* SPDX-License-Identifier: MIT
 * The log's key: made at the first start, read at every one. */
#include "trail/trail_key.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE_BYTES_MAX = 512 };

/* Somebody else may make it at the same moment: then his is the one. */
static enum err key_make(const char *path, struct crypto_fault *fault)
{
    struct crypto_key *made = NULL;
    enum err err = crypto_key_generate(CRYPTO_EDDSA, (struct span){0}, &made);

    if (!err)
        err = crypto_key_save(made, path, fault);
    crypto_key_free(made);
    return err == ERR_TAKEN ? ERR_OK : err;
}

enum err trail_key_open(const char *path, struct span origin, bool make, struct trail_verifier *ret,
                        struct crypto_fault *fault)
{
    struct crypto_key *key = NULL;
    enum err err = ERR_OK;

    if (!trail_name_is_good(origin)) {
        crypto_fault_set(fault, "the log's name may hold no space and no plus sign");
        return ERR_BAD_REQUEST;
    }
    if (access(path, F_OK) != 0 && errno == ENOENT) {
        if (!make) {
            crypto_fault_set(fault, "%s: there is no such file", path);
            return ERR_NOT_FOUND;
        }
        err = key_make(path, fault);
    }
    if (!err)
        err = crypto_key_load(path, CRYPTO_EDDSA, (struct span){0}, &key, fault);
    if (!err && !crypto_key_is_private(key)) {
        crypto_fault_set(fault, "%s: the key is public only, it cannot sign", path);
        err = ERR_KEY;
    }
    if (!err)
        err = trail_verifier_of(key, origin, ret);
    crypto_key_free(key);
    return err;
}

/* ---- public keys ---- */

static enum err line_read(const char *path, char line[LINE_BYTES_MAX], struct crypto_fault *fault)
{
    FILE *file = fopen(path, "re");
    bool read;

    if (file == NULL) {
        crypto_fault_set(fault, "%s: %s", path, strerror(errno));
        return ERR_IO;
    }
    read = fgets(line, LINE_BYTES_MAX, file) != NULL;
    (void)fclose(file);
    if (!read) {
        crypto_fault_set(fault, "%s: there is no line with a key", path);
        return ERR_BAD_REQUEST;
    }
    line[strcspn(line, "\r\n")] = '\0';
    return ERR_OK;
}

/* A line has plus signs; if one that looks like that names a file, the file is meant. */
enum err trail_key_public(const char *text, struct trail_verifier *ret, struct crypto_fault *fault)
{
    char line[LINE_BYTES_MAX];
    enum err err;

    if (strchr(text, '+') != NULL && access(text, F_OK) != 0)
        return trail_verifier_read(span_from(text), ret, fault);
    err = line_read(text, line, fault);
    return err ? err : trail_verifier_read(span_from(line), ret, fault);
}
