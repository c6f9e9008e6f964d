/* SPDX-License-Identifier: MIT
 * Where a keeper begins: at the checkpoint that this node signed last, out of its file, else at the
 * newest in the table, else at the first leaf. The tree as the database has it now must have that
 * checkpoint's root at that checkpoint's size; from there on the keeper grows it itself.
 *
 * The file is read before the log: while one program takes over from another, the old one may still
 * sign, and a file of later than the log that was seen would look like a log that was cut. */
#include "trail/trail_keeper_priv.h"

#include "trail/trail_log.h"

struct basing {
    struct trail_edge *edge;
    uint64_t size;
    bool has_newest;
    struct trail_signed newest;
    char *note;
    struct trail_tree head;
};

/* ---- jobs ---- */

static enum err head_job(struct store_conn *conn, struct store_job *job)
{
    struct basing *basing = job->context;
    char first[4096];
    struct arena arena;
    int64_t at;
    enum err err;

    arena_init(&arena, first, sizeof(first), KEEPER_WORK_BYTES);
    basing->has_newest = false;
    err = trail_tree_read(conn, &basing->head, &at);
    if (!err)
        err = trail_signed_newest(conn, &arena, &basing->newest);
    if (!err && basing->newest.note.len <= TRAIL_NOTE_BYTES_MAX) {
        memcpy(basing->note, basing->newest.note.ptr, basing->newest.note.len);
        basing->newest.note.ptr = basing->note;
        basing->has_newest = true;
    }
    arena_reset(&arena);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err edge_job(struct store_conn *conn, struct store_job *job)
{
    struct basing *basing = job->context;
    struct trail_nodes *nodes = NULL;
    struct arena arena;
    enum err err;

    arena_init(&arena, NULL, 0, KEEPER_WORK_BYTES);
    err = trail_nodes_on(conn, &arena, &nodes);
    if (!err)
        err = trail_edge_load(nodes, basing->size, basing->edge);
    arena_reset(&arena);
    return err;
}

/* ---- which checkpoint ---- */

/* Out of the file. ERR_NOT_FOUND: there is none. */
static enum err remembered(struct trail_keeper *keeper, struct trail_checkpoint *ret)
{
    struct crypto_fault fault = {0};
    size_t bytes = 0;
    enum err err = keeper->memory == NULL || keeper->signer == NULL
                       ? ERR_NOT_FOUND
                       : trail_memory_read(keeper->memory, keeper->note, &bytes);

    if (err)
        return err;
    err = trail_note_check(span_make(keeper->note, bytes), keeper->signer, 1, ret, &fault);
    if (err == ERR_BAD_REQUEST)
        return trail_keeper_refuse(keeper, "%s: %s", keeper->memory, fault.text);
    return err;
}

/* Out of the table; with a key, only one that it signed. */
static enum err stored(struct trail_keeper *keeper, const struct basing *basing,
                       struct trail_checkpoint *ret)
{
    struct crypto_fault fault = {0};
    enum err err;

    if (!basing->has_newest) {
        *ret = (struct trail_checkpoint){.size = 0};
        trail_hash_empty(&ret->root);
        return ERR_OK;
    }
    err = keeper->signer == NULL
              ? trail_note_read(basing->newest.note, ret, &fault)
              : trail_note_check(basing->newest.note, keeper->signer, 1, ret, &fault);
    return err == ERR_BAD_REQUEST ? trail_keeper_refuse_note(keeper, fault.text) : err;
}

static enum err edge_take(struct trail_keeper *keeper, struct basing *basing,
                          const struct trail_checkpoint *from)
{
    struct trail_hash root;
    enum err err;

    if (from->size > basing->head.size)
        return trail_keeper_refuse(
            keeper, "the log was cut: %llu leaves were signed for, %llu are there",
            (unsigned long long)from->size, (unsigned long long)basing->head.size);
    basing->edge = &keeper->edge;
    basing->size = from->size;
    err = store_do(keeper->store, edge_job, basing, false);
    if (err == ERR_STORE_CORRUPT)
        return trail_keeper_refuse(keeper, "leaves are missing before %llu, for which was signed",
                                   (unsigned long long)from->size);
    if (err)
        return err;
    trail_tree_root(&keeper->edge.tree, &root);
    if (memcmp(root.bytes, from->root.bytes, sizeof(root.bytes)) != 0)
        return trail_keeper_refuse(
            keeper,
            "the log is another one: its first %llu leaves are not those that "
            "were signed for",
            (unsigned long long)from->size);
    return ERR_OK;
}

enum err trail_keeper_base(struct trail_keeper *keeper)
{
    struct basing basing = {.note = keeper->look.note};
    struct trail_checkpoint from = {.size = 0};
    enum err remembers = remembered(keeper, &from);
    enum err err = remembers == ERR_NOT_FOUND ? ERR_OK : remembers;

    if (!err)
        err = store_do(keeper->store, head_job, &basing, false);
    if (!err && remembers == ERR_NOT_FOUND)
        err = stored(keeper, &basing, &from);
    if (!err)
        err = edge_take(keeper, &basing, &from);
    if (!err) {
        keeper->rows = keeper->edge.tree;
        keeper->based = true;
    }
    return err;
}
