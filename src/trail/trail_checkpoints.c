/* SPDX-License-Identifier: MIT
 * Checkpoints in and out of their table. */
#include "trail/trail_checkpoints.h"

#include <string.h>

enum { CLAIM_BYTES = 1024 };

#define COLUMNS "size, at, root, note"

static const struct store_statement newest_get = {
    .name = "trail_signed_newest",
    .sqlite = "SELECT " COLUMNS " FROM trail_checkpoints ORDER BY size DESC LIMIT 1"};
static const struct store_statement list_get = {
    .name = "trail_signed_list",
    .sqlite =
        "SELECT " COLUMNS " FROM trail_checkpoints WHERE size < ?1 ORDER BY size DESC LIMIT ?2"};
static const struct store_statement signed_put = {
    .name = "trail_signed_add",
    .sqlite = "INSERT INTO trail_checkpoints (" COLUMNS ") VALUES (?1, ?2, ?3, ?4) "
              "ON CONFLICT (size) DO NOTHING"};
/* 3600000000000 ns are an hour. */
static const struct store_statement signed_thin = {
    .name = "trail_signed_thin",
    .sqlite = "DELETE FROM trail_checkpoints WHERE at < ?1 AND size NOT IN "
              "(SELECT max(size) FROM trail_checkpoints GROUP BY at / 3600000000000) "
              "AND size <> (SELECT max(size) FROM trail_checkpoints)"};

static enum err signed_take(struct store_rows *rows, struct arena *arena, struct trail_signed *ret)
{
    int64_t size = store_rows_i64(rows, 0);
    struct span root = store_rows_blob(rows, 2, NULL);

    ret->size = (uint64_t)size;
    ret->at_ns = store_rows_i64(rows, 1);
    if (size < 0 || root.len != TRAIL_HASH_BYTES)
        return store_rows_end(rows, ERR_STORE_CORRUPT);
    memcpy(ret->root.bytes, root.ptr, TRAIL_HASH_BYTES);
    ret->note = store_rows_text(rows, 3, arena);
    if (ret->note.len == 0 && arena->overflowed)
        return ERR_NO_MEMORY;
    return store_rows_err(rows);
}

enum err trail_signed_newest(struct store_conn *conn, struct arena *arena, struct trail_signed *ret)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &newest_get, NULL, 0, &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    return signed_take(rows, arena, ret);
}

enum err trail_signed_list(struct store_conn *conn, uint64_t before_size, size_t limit,
                           struct arena *arena, struct trail_signed **ret_list, size_t *ret_count)
{
    PC_AUTO(store_rows) rows = NULL;
    int64_t below = before_size == 0 || before_size > INT64_MAX ? INT64_MAX : (int64_t)before_size;
    struct trail_signed *list = arena_array(arena, limit, sizeof(*list));
    size_t count = 0;
    enum err err;

    if (list == NULL)
        return ERR_NO_MEMORY;
    err = store_query(conn, &list_get, STORE_PARAMS(STORE_I64(below), STORE_I64((int64_t)limit)),
                      &rows);
    while (!err && count < limit && store_next(rows))
        err = signed_take(rows, arena, &list[count++]);
    if (!err)
        err = store_rows_err(rows);
    if (err)
        return err;
    *ret_list = list;
    *ret_count = count;
    return ERR_OK;
}

enum err trail_signed_add(struct store_conn *conn, const struct trail_signed *signed_)
{
    return store_exec(conn, &signed_put,
                      STORE_PARAMS(STORE_I64((int64_t)signed_->size), STORE_I64(signed_->at_ns),
                                   STORE_BLOB(span_make(signed_->root.bytes, TRAIL_HASH_BYTES)),
                                   STORE_TEXT(signed_->note)),
                      NULL);
}

/* Not ERR_TAKEN where it is the same key: a node that starts again, or shares its folder. */
static enum err claimed_check(const struct trail_signed *newest,
                              const struct trail_verifier *signer)
{
    struct trail_checkpoint said;
    enum err err = trail_note_check(newest->note, signer, 1, &said, NULL);

    return err == ERR_BAD_REQUEST ? ERR_TAKEN : err;
}

enum err trail_signed_claim(struct store_conn *conn, const struct trail_verifier *signer,
                            int64_t at_ns)
{
    char text[CLAIM_BYTES];
    struct sbuf note = sbuf_over(text, sizeof(text));
    struct trail_signed first = {.size = 0, .at_ns = at_ns};
    struct trail_signed newest = {.size = 0};
    struct arena arena;
    enum err err;

    arena_init(&arena, NULL, 0, (size_t)4 * TRAIL_NOTE_BYTES_MAX);
    err = trail_signed_newest(conn, &arena, &newest);
    if (!err)
        err = claimed_check(&newest, signer);
    arena_reset(&arena);
    if (err != ERR_NOT_FOUND)
        return err;
    trail_hash_empty(&first.root);
    err = trail_note_sign(signer, 0, &first.root, &note);
    first.note = sbuf_span(&note);
    return err ? err : trail_signed_add(conn, &first);
}

enum err trail_signed_thin(struct store_conn *conn, int64_t before_ns)
{
    return store_exec(conn, &signed_thin, STORE_PARAMS(STORE_I64(before_ns)), NULL);
}
