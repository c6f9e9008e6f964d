/* SPDX-License-Identifier: MIT
 * What an operator does to the signing keys, on the database and the folder, beside running nodes:
 *
 *   rotate: file ──> one commit { new row published now and signing publish_s later;
 *                                 those we hold stop then and are gone verify_s after that }
 *   retire: one commit { gone now } ──> file
 *
 * A process that dies between the two leaves a file without a row, which is passed over, or a row
 * that is gone with its file, which the next look removes. Nothing signs that is not published. */
#include <unistd.h>

#include "oauth/oauth_keys_priv.h"

struct turn {
    const struct oauth_keys_options *options;
    struct arena arena; /* of the rows */
    struct oauth_key_folder folder;
    struct oauth_key_found *rows;
    size_t count;
    int64_t now_ns;
};

static enum err refuse(struct crypto_fault *fault, enum err err, const char *why)
{
    crypto_fault_set(fault, "%s", why);
    return err;
}

static enum err rows_read(struct turn *turn)
{
    return oauth_key_rows(turn->options->store, &turn->arena, &turn->rows, &turn->count);
}

/* Only the private keys of the algorithm that is turned are read. */
static enum err folder_read(struct turn *turn, enum crypto_alg alg, struct crypto_fault *fault)
{
    turn->folder.only = alg;
    return oauth_folder_scan(&turn->folder, fault);
}

static enum err turn_begin(struct turn *turn, const struct oauth_keys_options *options)
{
    *turn = (struct turn){.options = options,
                          .folder = {.dir = options->dir},
                          .now_ns = clock_realtime_ns(options->clock)};
    arena_init(&turn->arena, NULL, 0, OAUTH_KEYS_ARENA_BYTES_MAX);
    return rows_read(turn);
}

/* Leaves a sentence in any case. Returns err. */
static enum err turn_end(struct turn *turn, enum err err, const struct crypto_fault *why,
                         struct crypto_fault *fault)
{
    oauth_folder_close(&turn->folder);
    arena_reset(&turn->arena);
    if (err)
        crypto_fault_set(fault, "%s", why->text[0] != '\0' ? why->text : err_sentence(err));
    return err;
}

static const struct oauth_key_row *row_of(const struct turn *turn, struct span kid)
{
    for (size_t i = 0; i < turn->count; i++) {
        if (span_equal(turn->rows[i].row.kid, kid))
            return &turn->rows[i].row;
    }
    return NULL;
}

/* ---- rotate ---- */

static enum err rotate_check(const struct turn *turn, enum crypto_alg alg,
                             struct crypto_fault *fault)
{
    size_t published = 0;

    if (!oauth_key_alg_is_offered(alg))
        return refuse(fault, ERR_KEY, "this algorithm cannot sign what others verify");
    if (turn->options->private_path != NULL && alg == turn->options->alg) {
        crypto_fault_set(fault,
                         "the %s key is given by oauth.private_key_file: name another file there, "
                         "restart, and retire the old key when its last tokens are over",
                         crypto_alg_name(alg));
        return ERR_CONFLICT;
    }
    for (size_t i = 0; i < turn->count; i++)
        published += !oauth_key_is_gone(&turn->rows[i].row, turn->now_ns);
    if (published >= OAUTH_KEYS_FULL)
        return refuse(fault, ERR_CONFLICT,
                      "too many keys are published: wait until older ones are gone, or retire "
                      "those of nodes that are no more");
    return ERR_OK;
}

/* The kids of this algorithm in our folder that have a row. */
static size_t stopping_list(const struct turn *turn, enum crypto_alg alg,
                            struct span kids[OAUTH_KEYS_MAX])
{
    size_t count = 0;

    for (size_t i = 0; i < turn->folder.count; i++) {
        struct span kid = crypto_key_kid(turn->folder.files[i].key);

        if (turn->folder.files[i].alg == alg && row_of(turn, kid) != NULL)
            kids[count++] = kid;
    }
    return count;
}

/* After a commit that failed, or may have: the file goes unless the row is there. */
static enum err rotate_failed(struct turn *turn, enum err why)
{
    const struct oauth_key_file *file = &turn->folder.files[turn->folder.count - 1];

    if (rows_read(turn) != ERR_OK)
        return why;
    if (row_of(turn, crypto_key_kid(file->key)) != NULL)
        return ERR_OK;
    oauth_folder_remove(&turn->folder, file);
    return why;
}

static enum err rotate_enter(struct turn *turn, enum crypto_alg alg, bool at_once,
                             struct arena *arena, struct oauth_key_row *ret_row)
{
    struct span stopping[OAUTH_KEYS_MAX];
    size_t stopping_count = stopping_list(turn, alg, stopping);
    struct crypto_key *key = turn->folder.files[turn->folder.count - 1].key;
    int64_t wait_ns =
        (at_once ? turn->options->heard_s : turn->options->publish_s) * CLOCK_NS_PER_S;
    const struct oauth_key_entering entering = {
        .keys = &key,
        .count = 1,
        .signs_from_ns = turn->now_ns + wait_ns,
        .reason = at_once ? "rotated at once" : "rotated",
        .stopping = stopping,
        .stopping_count = stopping_count,
        .gone_at_ns = turn->now_ns + wait_ns + turn->options->verify_s * CLOCK_NS_PER_S,
        .now_ns = turn->now_ns};
    struct span kid = arena_copy(arena, crypto_key_kid(key));
    enum err err = kid.ptr == NULL ? ERR_NO_MEMORY : ERR_OK;

    if (!err)
        err = oauth_key_enter(turn->options->store, &entering);
    if (err)
        err = rotate_failed(turn, err);
    if (err)
        return err;
    *ret_row = (struct oauth_key_row){.kid = kid,
                                      .alg = alg,
                                      .created_at_ns = turn->now_ns,
                                      .signs_from_ns = entering.signs_from_ns};
    return ERR_OK;
}

static enum err rotate(struct turn *turn, enum crypto_alg alg, bool at_once, struct arena *arena,
                       struct oauth_key_row *ret_row, struct crypto_fault *fault)
{
    enum err err = rotate_check(turn, alg, fault);

    if (!err)
        err = folder_read(turn, alg, fault);
    if (err)
        return err;
    err = oauth_folder_make(&turn->folder, alg, fault);
    if (err == ERR_TAKEN)
        return refuse(fault, ERR_CONFLICT, "somebody else is rotating this key right now");
    if (err)
        return err;
    return rotate_enter(turn, alg, at_once, arena, ret_row);
}

enum err oauth_key_rotate(const struct oauth_keys_options *options, enum crypto_alg alg,
                          bool at_once, struct arena *arena, struct oauth_key_row *ret_row,
                          struct crypto_fault *fault)
{
    struct crypto_fault why = {""};
    struct turn turn;
    enum err err = turn_begin(&turn, options);

    if (!err)
        err = rotate(&turn, alg == CRYPTO_ALG_NONE ? options->alg : alg, at_once, arena, ret_row,
                     &why);
    return turn_end(&turn, err, &why, fault);
}

/* ---- retire ---- */

/* When the last of the other keys that sign without a break from `from_ns` on stops; from_ns itself
 * when none does, INT64_MAX when one goes on for ever. */
static int64_t others_sign_until(const struct turn *turn, const struct oauth_key_row *row,
                                 int64_t from_ns)
{
    bool held = oauth_folder_find(&turn->folder, row->kid) != NULL;
    int64_t until_ns = from_ns;

    for (size_t i = 0; i < turn->count; i++) {
        const struct oauth_key_row *other = &turn->rows[i].row;

        if (other->alg != row->alg || span_equal(other->kid, row->kid) ||
            !oauth_key_signs(other, from_ns) ||
            (held && oauth_folder_find(&turn->folder, other->kid) == NULL))
            continue;
        if (other->signs_until_ns == 0)
            return INT64_MAX;
        until_ns = other->signs_until_ns > until_ns ? other->signs_until_ns : until_ns;
    }
    return until_ns;
}

/* Other keys of the algorithm sign from now on and for ever: keys that this folder holds, when it
 * holds the key itself. */
static bool is_replaced(const struct turn *turn, const struct oauth_key_row *row)
{
    int64_t from_ns = turn->now_ns;

    for (;;) {
        int64_t until_ns = others_sign_until(turn, row, from_ns);

        if (until_ns == INT64_MAX || until_ns == from_ns)
            return until_ns == INT64_MAX;
        from_ns = until_ns;
    }
}

static enum err retire(struct turn *turn, struct span kid, struct crypto_fault *fault)
{
    const struct oauth_key_row *row = row_of(turn, kid);
    const struct oauth_key_file *file;
    enum err err;

    if (row == NULL || oauth_key_is_gone(row, turn->now_ns))
        return refuse(fault, ERR_NOT_FOUND, "there is no such key");
    err = folder_read(turn, row->alg, fault);
    if (err)
        return err;
    if (!oauth_key_is_stopped(row, turn->now_ns) && !is_replaced(turn, row))
        return refuse(fault, ERR_CONFLICT,
                      "no other key signs with its algorithm yet: `keys rotate --now` comes first");
    err = oauth_key_take_out(turn->options->store, kid, row->alg, turn->now_ns);
    if (err)
        return err;
    file = oauth_folder_find(&turn->folder, kid);
    if (file != NULL)
        oauth_folder_remove(&turn->folder, file);
    return ERR_OK;
}

enum err oauth_key_retire(const struct oauth_keys_options *options, struct span kid,
                          struct crypto_fault *fault)
{
    struct crypto_fault why = {""};
    struct turn turn;
    enum err err = turn_begin(&turn, options);

    if (!err)
        err = retire(&turn, kid, &why);
    return turn_end(&turn, err, &why, fault);
}
