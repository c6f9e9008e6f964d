/* SPDX-License-Identifier: MIT
 * What the files of the signing keys share: rows of oauth_keys, and the folder of private keys. */
#ifndef PC_OAUTH_OAUTH_KEYS_PRIV_H
#define PC_OAUTH_OAUTH_KEYS_PRIV_H

#include <sys/stat.h>

#include "oauth/oauth_priv.h"

enum {
    OAUTH_KEYS_MAX = LIMIT_JWK_KEYS_MAX,           /* published at once, and files of one folder */
    OAUTH_KEYS_FULL = OAUTH_KEYS_MAX / 2,          /* from here on nothing is rotated any more */
    OAUTH_KEYS_ARENA_BYTES_MAX = 16 * 1024 * 1024, /* of one look at all rows */
    OAUTH_KEYS_MAX_AGE_S = 300,
    OAUTH_KEYS_MARGIN_S = 60, /* between clocks, and until every node publishes a new key */
};

/* ---- oauth_keys_store.c ------------------------------------------------------------------------
 */
struct oauth_key_found { /* a row with what only we need of it */
    struct oauth_key_row row;
    struct span jwk;
};
/* Every row there is, newest first. */
PC_CHECKED enum err oauth_key_rows(struct store *store, struct arena *arena,
                                   struct oauth_key_found **ret_rows, size_t *ret_count);

/* One commit: keys that come in, keys that stop. A key that has a row already is passed over. */
struct oauth_key_entering {
    struct crypto_key *const *keys;
    size_t count;
    int64_t signs_from_ns;
    const char *reason; /* for the trail */

    const struct span *stopping; /* kids that sign no longer from signs_from_ns on */
    size_t stopping_count;
    int64_t gone_at_ns;

    int64_t now_ns;
};
PC_CHECKED enum err oauth_key_enter(struct store *store, const struct oauth_key_entering *entering);

/* Takes a key out now. */
PC_CHECKED enum err oauth_key_take_out(struct store *store, struct span kid, enum crypto_alg alg,
                                       int64_t now_ns);

/* Others verify what it signed. */
static inline bool oauth_key_alg_is_offered(enum crypto_alg alg)
{
    return crypto_alg_can_sign(alg) && !crypto_alg_is_symmetric(alg);
}

static inline bool oauth_key_is_gone(const struct oauth_key_row *row, int64_t now_ns)
{
    return row->gone_at_ns != 0 && row->gone_at_ns <= now_ns;
}

static inline bool oauth_key_is_stopped(const struct oauth_key_row *row, int64_t now_ns)
{
    return row->signs_until_ns != 0 && row->signs_until_ns <= now_ns;
}

static inline bool oauth_key_signs(const struct oauth_key_row *row, int64_t now_ns)
{
    return row->signs_from_ns <= now_ns && !oauth_key_is_stopped(row, now_ns);
}

/* ---- oauth_keys_folder.c: ALG-NUMBER.pem -------------------------------------------------------
 */
struct oauth_key_file {
    struct crypto_key *key;
    enum crypto_alg alg;
    unsigned number;
    struct stat info; /* when it was read: another file may come under the same name */
    bool seen;        /* in the scan under way */
};
struct oauth_key_folder {
    const char *dir;
    enum crypto_alg only; /* CRYPTO_ALG_NONE: of every algorithm */
    size_t count;
    struct oauth_key_file files[OAUTH_KEYS_MAX];
};
/* Reads what is new and forgets what is no longer there; makes the folder when it is missing. It
 * must be ours and closed to everybody else. */
PC_CHECKED enum err oauth_folder_scan(struct oauth_key_folder *folder, struct crypto_fault *fault);
/* A new key under the next number. ERR_TAKEN when another process has just used it: scan again. */
PC_CHECKED enum err oauth_folder_make(struct oauth_key_folder *folder, enum crypto_alg alg,
                                      struct crypto_fault *fault);
/* NULL if it is not here. */
const struct oauth_key_file *oauth_folder_find(const struct oauth_key_folder *folder,
                                               struct span kid);
/* Deletes the file. That it could not be is no failure: the next scan tries again. */
void oauth_folder_remove(struct oauth_key_folder *folder, const struct oauth_key_file *file);
void oauth_folder_close(struct oauth_key_folder *folder);

#endif
