/* SPDX-License-Identifier: MIT
 * One round of the keeper:
 *
 *   revise   when few leaves came last time: read the rows of those that came from memory
 *   look     the head of the log, its newest checkpoint, the leaves behind the edge (one read);
 *            when there are many, those that memory has of them come from there
 *   grow     a copy of the edge by those leaves; full tiles are set aside
 *   compare  with the head and with what others signed: is it the same tree? else refuse; but if
 *            leaves came from memory, look again and read the rows of all
 *   sign     when the whole log was taken in
 *   write    tiles and the note, in a short commit of their own; only then the copy is the edge
 *
 * What fails on the way leaves the edge as it was, and the next round does it again. */
#include "trail/trail_keeper_priv.h"

#include "trail/trail_log.h"

enum { HOUR_S = 3600, THIN_S = 60, REMEMBER_MS = 1000 };

static const struct store_statement leaves_behind = {
    .name = "trail_leaves_behind",
    .sqlite = "SELECT seq, leaf FROM trail_events WHERE seq >= ?1 AND seq < ?2 ORDER BY seq"};

/* ---- look ---- */

/* The leaves [from, to) out of their rows. */
static enum err rows_take(struct store_conn *conn, uint64_t from, uint64_t to,
                          struct trail_hash *ret)
{
    PC_AUTO(store_rows) rows = NULL;
    uint64_t next = from;
    enum err err;

    if (to <= from)
        return ERR_OK;
    err = store_query(conn, &leaves_behind,
                      STORE_PARAMS(STORE_I64((int64_t)from), STORE_I64((int64_t)to)), &rows);
    if (err)
        return err;
    while (store_next(rows)) {
        struct span leaf = store_rows_blob(rows, 1, NULL);

        if (store_rows_i64(rows, 0) != (int64_t)next || leaf.len != TRAIL_HASH_BYTES)
            return store_rows_end(rows, ERR_STORE_CORRUPT);
        memcpy(ret[next++ - from].bytes, leaf.ptr, TRAIL_HASH_BYTES);
    }
    err = store_rows_err(rows);
    return err ? err : next == to ? ERR_OK : ERR_STORE_CORRUPT;
}

static enum err leaves_take(struct store_conn *conn, struct trail_keeper_look *look, uint64_t from)
{
    uint64_t to =
        look->head.size < from + KEEPER_LEAVES_MAX ? look->head.size : from + KEEPER_LEAVES_MAX;
    enum err err;

    look->count = 0;
    if (to <= from)
        return ERR_OK;
    if (look->recalls && to - from >= KEEPER_LEAVES_MANY && to == look->head.size)
        look->recalled = trail_recent_take(from, to, look->leaves);
    err = rows_take(conn, from + look->recalled, to, look->leaves + look->recalled);
    look->count = err ? 0 : (size_t)(to - from);
    return err;
}

static enum err newest_take(struct store_conn *conn, struct trail_keeper_look *look)
{
    char first[4096];
    struct arena arena;
    enum err err;

    arena_init(&arena, first, sizeof(first), KEEPER_WORK_BYTES);
    err = trail_signed_newest(conn, &arena, &look->newest);
    look->has_newest = !err && look->newest.note.len <= sizeof(look->note);
    if (look->has_newest) {
        memcpy(look->note, look->newest.note.ptr, look->newest.note.len);
        look->newest.note.ptr = look->note;
    }
    arena_reset(&arena);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err look_job(struct store_conn *conn, struct store_job *job)
{
    struct trail_keeper *keeper = job->context;
    struct trail_keeper_look *look = &keeper->look;
    int64_t at;
    enum err err = trail_tree_read(conn, &look->head, &at);

    look->recalled = 0;
    if (!err)
        err = newest_take(conn, look);
    if (!err)
        err = leaves_take(conn, look, keeper->edge.tree.size);
    return err;
}

/* ---- grow and compare ---- */

static void tile_set_aside(void *context, unsigned level, uint64_t number,
                           const struct trail_hash *hashes, size_t count)
{
    struct trail_keeper *keeper = context;
    struct trail_keeper_tile *tile = &keeper->tiles[keeper->tile_count];

    PC_ASSERT(keeper->tile_count < KEEPER_TILES_MAX);
    tile->level = level;
    tile->number = number;
    tile->count = count;
    memcpy(tile->hashes, hashes, count * sizeof(*hashes));
    keeper->tile_count++;
}

static bool is_root(const struct trail_tree *tree, const struct trail_hash *root)
{
    struct trail_hash own;

    trail_tree_root(tree, &own);
    return memcmp(own.bytes, root->bytes, sizeof(own.bytes)) == 0;
}

static bool is_head(const struct trail_tree *tree, const struct trail_tree *head)
{
    return tree->size == head->size &&
           memcmp(tree->roots, head->roots,
                  trail_tree_roots(head->size) * sizeof(head->roots[0])) == 0;
}

enum fit { FITS, NOT_SIGNED, NOT_HEAD };

/* What another node signed on the way, or we before, must be the tree of that moment; and at its
 * end, the tree must be that of the head. */
static enum fit grow(struct trail_keeper *keeper)
{
    const struct trail_keeper_look *look = &keeper->look;
    uint64_t there = look->has_newest ? look->newest.size : 0;

    keeper->next = keeper->edge;
    keeper->tile_count = 0;
    for (size_t i = 0;; i++) {
        if (keeper->next.tree.size == there && look->has_newest &&
            !is_root(&keeper->next.tree, &look->newest.root))
            return NOT_SIGNED;
        if (i == look->count)
            break;
        trail_edge_add(&keeper->next, &look->leaves[i], tile_set_aside, keeper);
    }
    trail_edge_partial(&keeper->next, keeper->edge.tree.size, tile_set_aside, keeper);
    keeper->behind = keeper->next.tree.size < look->head.size;
    return keeper->behind || is_head(&keeper->next.tree, &look->head) ? FITS : NOT_HEAD;
}

static enum err refuse_misfit(struct trail_keeper *keeper, enum fit fit)
{
    const struct trail_keeper_look *look = &keeper->look;

    if (fit == NOT_SIGNED)
        return trail_keeper_refuse(keeper,
                                   "the log forked: a checkpoint of %llu leaves is not of it",
                                   (unsigned long long)look->newest.size);
    return trail_keeper_refuse(keeper, "the log's head is not that of its %llu leaves",
                               (unsigned long long)look->head.size);
}

static enum err compare_sizes(struct trail_keeper *keeper)
{
    const struct trail_keeper_look *look = &keeper->look;
    uint64_t known = keeper->edge.tree.size;
    uint64_t signed_size = look->has_newest ? look->newest.size : 0;

    if (look->head.size >= known && look->head.size >= signed_size)
        return ERR_OK;
    return trail_keeper_refuse(keeper, "the log was cut: %llu leaves were there, now it has %llu",
                               (unsigned long long)(known > signed_size ? known : signed_size),
                               (unsigned long long)look->head.size);
}

/* Mostly it is the one that we signed last: to the letter, or it is looked at like any other. */
static bool is_ours(const struct trail_keeper *keeper)
{
    return keeper->note_bytes > 0 &&
           span_equal(keeper->look.newest.note, span_make(keeper->note, keeper->note_bytes));
}

/* With a key: whoever signs this log has the same one. */
static enum err newest_check(struct trail_keeper *keeper)
{
    const struct trail_keeper_look *look = &keeper->look;
    struct trail_checkpoint said;
    struct crypto_fault fault = {0};
    enum err err;

    if (keeper->signer == NULL || !look->has_newest || look->newest.size == keeper->checked_size)
        return ERR_OK;
    err = is_ours(keeper) ? trail_note_read(look->newest.note, &said, &fault)
                          : trail_note_check(look->newest.note, keeper->signer, 1, &said, &fault);
    if (err == ERR_BAD_REQUEST)
        return trail_keeper_refuse_note(keeper, fault.text);
    if (!err && (said.size != look->newest.size ||
                 memcmp(said.root.bytes, look->newest.root.bytes, TRAIL_HASH_BYTES) != 0))
        return trail_keeper_refuse(keeper,
                                   "the newest checkpoint in the database is not what it says");
    if (!err)
        keeper->checked_size = look->newest.size;
    return err;
}

/* ---- sign and write ---- */

static enum err sign(struct trail_keeper *keeper)
{
    const struct trail_tree *tree = &keeper->next.tree;
    struct sbuf out = sbuf_over(keeper->note, sizeof(keeper->note));
    struct trail_hash root;
    enum err err;

    keeper->note_is_new = false;
    if (keeper->signer == NULL || tree->size != keeper->look.head.size || tree->size == 0 ||
        (keeper->look.has_newest && keeper->look.newest.size == tree->size))
        return ERR_OK;
    trail_tree_root(tree, &root);
    err = trail_note_sign(keeper->signer, tree->size, &root, &out);
    if (err)
        return err;
    keeper->note_bytes = out.len;
    keeper->noted_size = tree->size;
    keeper->note_is_new = true;
    return ERR_OK;
}

static enum err write_job(struct store_conn *conn, struct store_job *job)
{
    struct trail_keeper *keeper = job->context;
    int64_t now = clock_realtime_ns(keeper->clock);
    struct trail_signed note = {.size = keeper->noted_size,
                                .at_ns = now,
                                .note = span_make(keeper->note, keeper->note_bytes)};
    enum err err = ERR_OK;

    for (size_t i = 0; i < keeper->tile_count && !err; i++) {
        const struct trail_keeper_tile *tile = &keeper->tiles[i];

        err = trail_tile_write(conn, tile->level, tile->number, tile->hashes, tile->count);
    }
    if (err || !keeper->note_is_new)
        return err;
    trail_tree_root(&keeper->next.tree, &note.root);
    err = trail_signed_add(conn, &note);
    if (!err && now - keeper->thinned_at >= THIN_S * CLOCK_NS_PER_S) {
        err = trail_signed_thin(conn, now - HOUR_S * CLOCK_NS_PER_S);
        keeper->thinned_at = err ? 0 : now;
    }
    return err;
}

/* At most once a second, since the disk is asked to be sure. What was signed since is in the
 * table. */
void trail_keeper_remember(struct trail_keeper *keeper, bool now)
{
    int64_t at = clock_monotonic_ns(keeper->clock);
    enum err err;

    if (keeper->memory == NULL || keeper->noted_size == keeper->remembered_size ||
        (!now && keeper->remembered_size > 0 &&
         at - keeper->remembered_at < REMEMBER_MS * CLOCK_NS_PER_MS))
        return;
    err = trail_memory_write(keeper->memory, span_make(keeper->note, keeper->note_bytes));
    keeper->remembered_at = at;
    if (!err)
        keeper->remembered_size = keeper->noted_size;
    else
        log_error(keeper->logger, "audit_memory_failed", LOG_STRING("path", keeper->memory),
                  LOG_ERR("error", err));
}

static enum err refuse_missing(struct trail_keeper *keeper, uint64_t behind)
{
    return trail_keeper_refuse(keeper, "leaves are missing in the log behind %llu",
                               (unsigned long long)behind);
}

static enum err take_in(struct trail_keeper *keeper, bool recalls, enum fit *ret_fit)
{
    enum err err;

    keeper->look.recalls = recalls;
    err = store_do(keeper->store, look_job, keeper, false);
    if (err == ERR_STORE_CORRUPT)
        return refuse_missing(keeper, keeper->edge.tree.size);
    if (!err)
        err = newest_check(keeper);
    if (!err)
        err = compare_sizes(keeper);
    if (!err)
        *ret_fit = grow(keeper);
    return err;
}

/* ---- revise ---- */

static enum err revise_job(struct store_conn *conn, struct store_job *job)
{
    struct trail_keeper *keeper = job->context;
    uint64_t from = keeper->rows.size;
    uint64_t to = keeper->edge.tree.size;

    if (to - from > KEEPER_LEAVES_MAX)
        to = from + KEEPER_LEAVES_MAX;
    return rows_take(conn, from, to, keeper->look.leaves);
}

/* The leaves of busy rounds were in memory: whether their rows are there, and say so, is looked at
 * here. */
static enum err revise(struct trail_keeper *keeper)
{
    uint64_t from = keeper->rows.size;
    uint64_t left = keeper->edge.tree.size - from;
    enum err err;

    if (left == 0)
        return ERR_OK;
    err = store_do(keeper->store, revise_job, keeper, false);
    if (err == ERR_STORE_CORRUPT)
        return refuse_missing(keeper, from);
    if (err)
        return err;
    for (size_t i = 0; i < left && i < KEEPER_LEAVES_MAX; i++)
        trail_tree_add(&keeper->rows, &keeper->look.leaves[i]);
    if (keeper->rows.size == keeper->edge.tree.size && !is_head(&keeper->rows, &keeper->edge.tree))
        return trail_keeper_refuse(keeper,
                                   "the log's rows are not the %llu leaves that were committed",
                                   (unsigned long long)keeper->rows.size);
    return ERR_OK;
}

/* ---- all of it ---- */

static void edge_move(struct trail_keeper *keeper)
{
    bool all_read = keeper->rows.size == keeper->edge.tree.size && keeper->look.recalled == 0;

    keeper->edge = keeper->next;
    if (all_read)
        keeper->rows = keeper->edge.tree;
}

enum err trail_keeper_turn(struct trail_keeper *keeper)
{
    enum err err = keeper->based ? ERR_OK : trail_keeper_base(keeper);
    enum fit fit = FITS;

    if (!err && keeper->look.count < KEEPER_LEAVES_MANY)
        err = revise(keeper);
    if (!err)
        err = take_in(keeper, true, &fit);
    if (!err && fit != FITS && keeper->look.recalled > 0)
        err = take_in(keeper, false, &fit);
    if (!err && fit != FITS)
        err = refuse_misfit(keeper, fit);
    if (!err)
        err = sign(keeper);
    if (!err && (keeper->tile_count > 0 || keeper->note_is_new))
        err = store_do(keeper->store, write_job, keeper, true);
    if (err)
        return err;
    edge_move(keeper);
    trail_keeper_remember(keeper, false);
    return ERR_OK;
}
