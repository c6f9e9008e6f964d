/* SPDX-License-Identifier: MIT
 * The signing keys of this node and the public keys of all nodes, as a picture that is drawn anew
 * when something changed and swapped whole; readers never wait. What time alone changes (a key
 * begins to sign, stops, is gone) is in the picture already: each answer takes the time.
 *
 *   look:  folder + rows ──> missing? made and entered ──> folder + rows ──> picture
 *
 * A node signs only with keys whose private part it holds, and verifies with every row that is not
 * gone yet, so nodes with folders of their own believe each other. docs/decisions/oauth-keys.md. */
#include <stdatomic.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "oauth/oauth_keys_priv.h"

enum { LOOKS_MAX = 4, ALGS_MAX = 4 };

struct entry {
    struct oauth_key_row row;    /* its kid is the key's */
    struct crypto_key *key;      /* the public part; a reference */
    struct crypto_key *held;     /* the private part; a reference, or NULL */
    struct crypto_signer signer; /* over `held` */
    bool given;                  /* by path: goes before those of the folder */
};

struct period { /* until the next one begins */
    int64_t from_ns;
    struct crypto_keyset *keys;
};

struct picture {
    struct picture *older;
    size_t count;
    struct entry entries[OAUTH_KEYS_MAX]; /* given, then the newest to sign first */
    size_t period_count;
    struct period periods[OAUTH_KEYS_MAX + 1];
};

struct oauth_keys {
    struct oauth_keys_options options;
    struct crypto_key *given;
    int64_t given_end_s; /* of the certificate that names it; 0: none does */
    struct oauth_key_folder folder;
    bool entered; /* a key came in by a look of ours */
    bool joined;
    _Atomic(struct picture *) picture;
};

/* The rows as one look found them. */
struct look {
    struct arena arena;
    struct oauth_key_found *rows;
    size_t count;
    int64_t now_ns;
};

/* ---- the picture ---- */

static void picture_free(struct picture *picture)
{
    if (picture == NULL)
        return;
    for (size_t i = 0; i < picture->count; i++) {
        crypto_key_free(picture->entries[i].key);
        crypto_key_free(picture->entries[i].held);
    }
    for (size_t i = 0; i < picture->period_count; i++)
        crypto_keyset_free(picture->periods[i].keys);
    alloc_free(picture);
}

static int entry_compare(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;

    if (left->given != right->given)
        return left->given ? -1 : 1;
    if (left->row.signs_from_ns != right->row.signs_from_ns)
        return left->row.signs_from_ns > right->row.signs_from_ns ? -1 : 1;
    return span_compare(left->row.kid, right->row.kid);
}

static int64_t gone_ns(const struct entry *entry)
{
    return entry->row.gone_at_ns == 0 ? INT64_MAX : entry->row.gone_at_ns;
}

static enum err period_add(struct picture *picture, int64_t from_ns)
{
    struct period *period = &picture->periods[picture->period_count];
    enum err err;

    PC_ASSERT(picture->period_count < PC_COUNT(picture->periods));
    *period = (struct period){.from_ns = from_ns};
    err = crypto_keyset_new(&period->keys);
    if (err)
        return err;
    picture->period_count++;
    for (size_t i = 0; i < picture->count && !err; i++) {
        if (gone_ns(&picture->entries[i]) > from_ns)
            err = crypto_keyset_add(period->keys, picture->entries[i].key);
    }
    return err;
}

/* One set of public keys from each moment on at which one is gone. */
static enum err periods_make(struct picture *picture)
{
    int64_t from_ns = INT64_MIN;

    for (;;) {
        int64_t next_ns = INT64_MAX;
        enum err err = period_add(picture, from_ns);

        if (err)
            return err;
        for (size_t i = 0; i < picture->count; i++) {
            int64_t at_ns = gone_ns(&picture->entries[i]);

            if (at_ns > from_ns && at_ns < next_ns)
                next_ns = at_ns;
        }
        if (next_ns == INT64_MAX)
            return ERR_OK;
        from_ns = next_ns;
    }
}

/* The public part: that of the picture before, since a row's key never changes. */
static enum err public_key(const struct picture *before, const struct oauth_key_found *found,
                           struct crypto_key **ret_key, struct crypto_fault *fault)
{
    enum err err;

    for (size_t i = 0; before != NULL && i < before->count; i++) {
        if (span_equal(before->entries[i].row.kid, found->row.kid)) {
            *ret_key = crypto_key_share(before->entries[i].key);
            return ERR_OK;
        }
    }
    err = crypto_key_from_jwk_text(found->jwk, found->row.alg, ret_key, fault);
    if (err == ERR_KEY) {
        crypto_fault_set(fault, "the key %.*s in the database is damaged",
                         SPAN_ARG(found->row.kid));
        return ERR_STORE_CORRUPT;
    }
    return err;
}

static struct crypto_key *private_key(const struct oauth_keys *keys, struct span kid)
{
    const struct oauth_key_file *file = oauth_folder_find(&keys->folder, kid);

    if (keys->given != NULL && span_equal(crypto_key_kid(keys->given), kid))
        return keys->given;
    return file != NULL ? file->key : NULL;
}

/* Nobody else's key may go under a name of ours, nor ours under another's. */
static enum err entry_hold(const struct oauth_keys *keys, struct entry *entry,
                           struct crypto_fault *fault)
{
    struct crypto_key *held = private_key(keys, entry->row.kid);

    if (held == NULL)
        return ERR_OK;
    if (!span_equal(crypto_key_thumbprint(held), crypto_key_thumbprint(entry->key))) {
        crypto_fault_set(fault,
                         "the key id %.*s belongs to another key already: a new key needs a new id",
                         SPAN_ARG(entry->row.kid));
        return ERR_KEY;
    }
    if (crypto_key_alg(held) != entry->row.alg) {
        crypto_fault_set(fault,
                         "the key %.*s is published for %s: another algorithm needs a new key",
                         SPAN_ARG(entry->row.kid), crypto_alg_name(entry->row.alg));
        return ERR_KEY;
    }
    entry->held = crypto_key_share(held);
    entry->given = held == keys->given;
    return crypto_signer_local(held, &entry->signer);
}

static enum err entry_add(const struct oauth_keys *keys, struct picture *picture,
                          const struct oauth_key_found *found, struct crypto_fault *fault)
{
    struct entry *entry = &picture->entries[picture->count];
    enum err err;

    if (picture->count == OAUTH_KEYS_MAX) {
        crypto_fault_set(fault,
                         "there are more than %d signing keys: retire those of nodes that "
                         "are no more",
                         OAUTH_KEYS_MAX);
        return ERR_NO_SPACE;
    }
    *entry = (struct entry){.row = found->row};
    err = public_key(atomic_load(&keys->picture), found, &entry->key, fault);
    if (err)
        return err;
    picture->count++;
    entry->row.kid = crypto_key_kid(entry->key);
    return entry_hold(keys, entry, fault);
}

static enum err picture_make(const struct oauth_keys *keys, const struct look *look,
                             struct picture **ret_picture, struct crypto_fault *fault)
{
    struct picture *picture = alloc_zero(sizeof(*picture));
    enum err err = picture == NULL ? ERR_NO_MEMORY : ERR_OK;

    for (size_t i = 0; !err && i < look->count; i++) {
        if (!oauth_key_is_gone(&look->rows[i].row, look->now_ns))
            err = entry_add(keys, picture, &look->rows[i], fault);
    }
    if (!err) {
        qsort(picture->entries, picture->count, sizeof(picture->entries[0]), entry_compare);
        err = periods_make(picture);
    }
    if (err) {
        picture_free(picture);
        return err;
    }
    *ret_picture = picture;
    return ERR_OK;
}

static bool picture_equal(const struct picture *a, const struct picture *b)
{
    if (a == NULL || a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        const struct entry *left = &a->entries[i], *right = &b->entries[i];

        if (left->key != right->key || left->held != right->held ||
            left->row.signs_from_ns != right->row.signs_from_ns ||
            left->row.signs_until_ns != right->row.signs_until_ns ||
            left->row.gone_at_ns != right->row.gone_at_ns)
            return false;
    }
    return true;
}

/* Readers may hold signers and sets of the old one: it stays until the end. Pictures that show the
 * same are not kept, so reloading often costs nothing. */
static void picture_show(struct oauth_keys *keys, struct picture *picture)
{
    struct picture *before = atomic_load(&keys->picture);

    if (picture_equal(before, picture)) {
        picture_free(picture);
        return;
    }
    picture->older = before;
    atomic_store(&keys->picture, picture);
}

/* ---- what is missing ---- */

static const struct oauth_key_row *row_of(const struct look *look, struct span kid)
{
    for (size_t i = 0; i < look->count; i++) {
        if (span_equal(look->rows[i].row.kid, kid))
            return &look->rows[i].row;
    }
    return NULL;
}

/* A key that was taken out does not come back under another name. */
static enum err given_check(const struct oauth_keys *keys, const struct look *look,
                            struct crypto_fault *fault)
{
    for (size_t i = 0; i < look->count; i++) {
        const struct oauth_key_found *found = &look->rows[i];
        PC_AUTO(crypto_key) key = NULL;
        enum err err;

        if (!oauth_key_is_stopped(&found->row, look->now_ns))
            continue;
        err = crypto_key_from_jwk_text(found->jwk, found->row.alg, &key, NULL);
        if (err)
            return err;
        if (span_equal(crypto_key_thumbprint(key), crypto_key_thumbprint(keys->given))) {
            crypto_fault_set(fault, "%s: this key was taken out of service: a new one is needed",
                             keys->options.private_path);
            return ERR_KEY;
        }
    }
    return ERR_OK;
}

static bool signs_for(const struct oauth_keys *keys, const struct look *look, enum crypto_alg alg)
{
    for (size_t i = 0; i < keys->folder.count; i++) {
        const struct oauth_key_file *file = &keys->folder.files[i];
        const struct oauth_key_row *row = row_of(look, crypto_key_kid(file->key));

        if (file->alg == alg && row != NULL && oauth_key_signs(row, look->now_ns))
            return true;
    }
    return false;
}

/* A file that has no row: of a process that died between the two, or of another database. */
static struct crypto_key *unentered(const struct oauth_keys *keys, const struct look *look,
                                    enum crypto_alg alg)
{
    for (size_t i = 0; i < keys->folder.count; i++) {
        const struct oauth_key_file *file = &keys->folder.files[i];

        if (file->alg == alg && row_of(look, crypto_key_kid(file->key)) == NULL)
            return file->key;
    }
    return NULL;
}

/* What a look found missing, to be entered in one commit. */
struct missing {
    struct crypto_key *keys[ALGS_MAX];
    size_t count;
    bool taken; /* another process makes a key of ours right now: the next look finds it */
};

static enum err provide(struct oauth_keys *keys, const struct look *look, enum crypto_alg alg,
                        struct missing *missing, struct crypto_fault *fault)
{
    struct crypto_key *key;
    enum err err;

    if (signs_for(keys, look, alg))
        return ERR_OK;
    key = unentered(keys, look, alg);
    if (key == NULL) {
        err = oauth_folder_make(&keys->folder, alg, fault);
        missing->taken |= err == ERR_TAKEN;
        if (err)
            return err == ERR_TAKEN ? ERR_OK : err;
        key = keys->folder.files[keys->folder.count - 1].key;
    }
    missing->keys[missing->count++] = key;
    return ERR_OK;
}

static enum err provide_given(struct oauth_keys *keys, const struct look *look,
                              struct missing *missing, struct crypto_fault *fault)
{
    enum err err = given_check(keys, look, fault);

    if (!err && row_of(look, crypto_key_kid(keys->given)) == NULL)
        missing->keys[missing->count++] = keys->given;
    return err;
}

/* Every algorithm that is offered has a key that signs now. */
static enum err provide_all(struct oauth_keys *keys, const struct look *look,
                            struct missing *missing, struct crypto_fault *fault)
{
    static const enum crypto_alg others[ALGS_MAX - 1] = {CRYPTO_RS256, CRYPTO_ES256, CRYPTO_EDDSA};
    enum err err = keys->given != NULL ? provide_given(keys, look, missing, fault)
                                       : provide(keys, look, keys->options.alg, missing, fault);

    for (size_t i = 0; !err && i < PC_COUNT(others); i++) {
        if (others[i] != keys->options.alg)
            err = provide(keys, look, others[i], missing, fault);
    }
    return err;
}

static enum err enter(const struct oauth_keys *keys, const struct look *look,
                      const struct missing *missing)
{
    const struct oauth_key_entering entering = {.keys = missing->keys,
                                                .count = missing->count,
                                                .signs_from_ns = look->now_ns,
                                                .reason = "no key signed for this node",
                                                .now_ns = look->now_ns};

    return missing->count > 0 ? oauth_key_enter(keys->options.store, &entering) : ERR_OK;
}

/* ---- looking ---- */

/* The private part of a key that is gone has no further use but to a thief. */
static void gone_remove(struct oauth_keys *keys, const struct look *look)
{
    for (size_t i = keys->folder.count; i > 0; i--) {
        const struct oauth_key_file *file = &keys->folder.files[i - 1];
        const struct oauth_key_row *row = row_of(look, crypto_key_kid(file->key));

        if (row != NULL && oauth_key_is_gone(row, look->now_ns)) {
            log_info(keys->options.logger, "signing_key_removed", LOG_TEXT("kid", row->kid));
            oauth_folder_remove(&keys->folder, file);
        }
    }
}

/* One look, then what is missing, until nothing is. */
static enum err look_once(struct oauth_keys *keys, struct look *look, bool *ret_changed,
                          struct crypto_fault *fault)
{
    struct missing missing = {0};
    enum err err;

    arena_reset(&look->arena);
    look->now_ns = clock_realtime_ns(keys->options.clock);
    err = oauth_folder_scan(&keys->folder, fault);
    if (err)
        return err;
    err = oauth_key_rows(keys->options.store, &look->arena, &look->rows, &look->count);
    if (err)
        return err;
    err = provide_all(keys, look, &missing, fault);
    if (!err)
        err = enter(keys, look, &missing);
    *ret_changed = missing.count > 0 || missing.taken;
    keys->entered |= missing.count > 0;
    if (!err && !*ret_changed)
        gone_remove(keys, look); /* after a new one has its number: none is used twice */
    return err;
}

static enum err look_and_show(struct oauth_keys *keys, struct look *look,
                              struct crypto_fault *fault)
{
    struct picture *picture = NULL;
    bool changed = true;
    enum err err = ERR_OK;

    for (size_t i = 0; changed && i < LOOKS_MAX && !err; i++)
        err = look_once(keys, look, &changed, fault);
    if (err || changed)
        return err ? err : ERR_BUSY;
    err = picture_make(keys, look, &picture, fault);
    if (err)
        return err;
    picture_show(keys, picture);
    return ERR_OK;
}

static enum err keys_look(struct oauth_keys *keys, struct crypto_fault *fault)
{
    struct look look = {0};
    enum err err;

    arena_init(&look.arena, NULL, 0, OAUTH_KEYS_ARENA_BYTES_MAX);
    err = look_and_show(keys, &look, fault);
    arena_reset(&look.arena);
    return err;
}

enum err oauth_keys_reload(struct oauth_keys *keys)
{
    struct crypto_fault fault = {""};
    enum err err = keys_look(keys, &fault);

    if (err)
        log_error(keys->options.logger, "signing_keys_unread", LOG_ERR("error", err),
                  LOG_STRING("why", fault.text));
    return err;
}

/* ---- opening ---- */

static enum err public_check(struct oauth_keys *keys, struct crypto_fault *fault)
{
    const struct oauth_keys_options *options = &keys->options;
    PC_AUTO(crypto_key) key = NULL;
    enum err err;

    if (options->public_path == NULL)
        return ERR_OK;
    err = crypto_key_load(options->public_path, options->alg, options->kid, &key, fault);
    if (err)
        return err;
    keys->given_end_s = crypto_key_end_s(key);
    if (span_equal(crypto_key_thumbprint(key), crypto_key_thumbprint(keys->given)))
        return ERR_OK;
    crypto_fault_set(fault, "%s: is not the public part of %s", options->public_path,
                     options->private_path);
    return ERR_KEY;
}

static enum err given_load(struct oauth_keys *keys, struct crypto_fault *fault)
{
    const struct oauth_keys_options *options = &keys->options;
    enum err err;

    if (options->private_path == NULL && options->public_path != NULL) {
        crypto_fault_set(fault, "%s: a public key without its private key is of no use",
                         options->public_path);
        return ERR_KEY;
    }
    if (options->private_path == NULL)
        return ERR_OK;
    err = crypto_key_load(options->private_path, options->alg, options->kid, &keys->given, fault);
    if (err)
        return err;
    if (!crypto_key_is_private(keys->given)) {
        crypto_fault_set(fault, "%s: holds no private key", options->private_path);
        return ERR_KEY;
    }
    return public_check(keys, fault);
}

static bool others_sign(const struct oauth_keys *keys)
{
    const struct picture *picture = atomic_load(&keys->picture);

    for (size_t i = 0; i < picture->count; i++) {
        const struct entry *entry = &picture->entries[i];

        if (entry->held == NULL &&
            !oauth_key_is_stopped(&entry->row, clock_realtime_ns(keys->options.clock)))
            return true;
    }
    return false;
}

static enum err keys_new(const struct oauth_keys_options *options, struct oauth_keys **ret_keys,
                         struct crypto_fault *fault)
{
    struct oauth_keys *keys = alloc_zero(sizeof(*keys));
    enum err err;

    if (keys == NULL)
        return ERR_NO_MEMORY;
    keys->options = *options;
    keys->folder.dir = options->dir;
    err = given_load(keys, fault);
    if (!err)
        err = keys_look(keys, fault);
    if (err) {
        oauth_keys_free(keys);
        return err;
    }
    keys->joined = keys->entered && others_sign(keys);
    *ret_keys = keys;
    return ERR_OK;
}

bool oauth_keys_joined(const struct oauth_keys *keys)
{
    return keys->joined;
}

enum err oauth_keys_open(const struct oauth_keys_options *options, struct oauth_keys **ret_keys,
                         struct crypto_fault *fault)
{
    struct crypto_fault why = {""};
    enum err err = ERR_KEY;

    if (oauth_key_alg_is_offered(options->alg))
        err = keys_new(options, ret_keys, &why);
    else
        crypto_fault_set(&why, "%s cannot sign what others verify", crypto_alg_name(options->alg));
    if (err)
        crypto_fault_set(fault, "%s", why.text[0] != '\0' ? why.text : err_sentence(err));
    return err;
}

void oauth_keys_free(struct oauth_keys *keys)
{
    struct picture *picture;

    if (keys == NULL)
        return;
    picture = atomic_load(&keys->picture);
    while (picture != NULL) {
        struct picture *older = picture->older;

        picture_free(picture);
        picture = older;
    }
    oauth_folder_close(&keys->folder);
    crypto_key_free(keys->given);
    alloc_free(keys);
}

/* ---- asking ---- */

const struct crypto_signer *oauth_keys_signer(const struct oauth_keys *keys, enum crypto_alg alg,
                                              int64_t now_ns)
{
    const struct picture *picture = atomic_load(&keys->picture);
    const struct crypto_signer *early = NULL;

    for (size_t i = 0; i < picture->count; i++) {
        const struct entry *entry = &picture->entries[i];

        if (entry->held == NULL || entry->row.alg != alg ||
            oauth_key_is_stopped(&entry->row, now_ns))
            continue;
        if (oauth_key_signs(&entry->row, now_ns))
            return &entry->signer;
        early = &entry->signer;
    }
    return early; /* when our clock is behind the one that dated the only key */
}

const struct crypto_keyset *oauth_keys_public(const struct oauth_keys *keys, int64_t now_ns)
{
    const struct picture *picture = atomic_load(&keys->picture);
    size_t i = picture->period_count;

    while (i > 1 && picture->periods[i - 1].from_ns > now_ns)
        i--;
    return picture->periods[i - 1].keys;
}

/* A key whose end is not set goes on for ever. */
static int64_t last_signature_ns(const struct oauth_keys *keys, int64_t now_ns)
{
    const struct picture *picture = atomic_load(&keys->picture);
    int64_t last_ns = 0;

    for (size_t i = 0; i < picture->count; i++) {
        const struct entry *entry = &picture->entries[i];

        if (entry->held == NULL || entry->row.alg != keys->options.alg ||
            oauth_key_is_stopped(&entry->row, now_ns))
            continue;
        if (entry->row.signs_until_ns == 0)
            return 0;
        if (entry->row.signs_until_ns > last_ns)
            last_ns = entry->row.signs_until_ns;
    }
    return last_ns;
}

int64_t oauth_keys_end_s(const struct oauth_keys *keys, int64_t now_ns)
{
    int64_t last_s = last_signature_ns(keys, now_ns) / CLOCK_NS_PER_S;

    if (keys->given_end_s != 0 && (last_s == 0 || keys->given_end_s < last_s))
        return keys->given_end_s;
    return last_s;
}

enum crypto_alg oauth_keys_alg(const struct oauth_keys *keys)
{
    return keys->options.alg;
}

int64_t oauth_keys_max_age_s(const struct oauth_keys *keys)
{
    int64_t most_s = keys->options.publish_s - OAUTH_KEYS_MARGIN_S;

    if (most_s > OAUTH_KEYS_MAX_AGE_S)
        return OAUTH_KEYS_MAX_AGE_S;
    return most_s > 0 ? most_s : 0;
}
