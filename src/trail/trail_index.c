/* SPDX-License-Identifier: MIT
 * The index grows: entries become places of the block under way, a block that is complete becomes a
 * row, and 64 of those the rows of a segment. All in the commit that adds the leaf which completes
 * them, so how far the index goes follows from the size of the log, and nothing has to be caught up
 * with after a crash. */
#include "trail/trail_index.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "trail/trail_priv.h"

enum { PLACE_BYTES = 8, PLACE_HASH_SHIFT = 24 };

#define ROWS_OF "SELECT seq, actor, event, object, severity, category, id FROM trail_events "

static const struct store_statement rows_read = {
    .name = "trail_index_rows", .sqlite = ROWS_OF "WHERE seq >= ?1 AND seq < ?2 ORDER BY seq"};
static const struct store_statement block_put = {
    .name = "trail_block_put",
    .sqlite = "INSERT INTO trail_blocks (number, places) VALUES (?1, ?2) "
              "ON CONFLICT (number) DO UPDATE SET places = excluded.places"};
static const struct store_statement block_get = {
    .name = "trail_block_get", .sqlite = "SELECT places FROM trail_blocks WHERE number = ?1"};
static const struct store_statement blocks_read = {
    .name = "trail_blocks_read",
    .sqlite = "SELECT number, places FROM trail_blocks WHERE number >= ?1 AND number < ?2 "
              "ORDER BY number"};
static const struct store_statement blocks_drop = {
    .name = "trail_blocks_drop",
    .sqlite = "DELETE FROM trail_blocks WHERE number >= ?1 AND number < ?2"};
static const struct store_statement segment_put = {
    .name = "trail_segment_put",
    .sqlite = "INSERT INTO trail_segments (number, places) VALUES (?1, ?2) "
              "ON CONFLICT (number) DO UPDATE SET places = excluded.places"};
static const struct store_statement segment_get = {
    .name = "trail_segment_get", .sqlite = "SELECT places FROM trail_segments WHERE number = ?1"};

/* ---- places ------------------------------------------------------------------------------------
 */

/* 40 bits. The key is no secret and tells fields apart: whoever makes values meet makes searches
 * for them slower. */
uint64_t trail_index_hash(enum trail_index_field field, struct span value)
{
    const struct hash_key key = {.k0 = UINT64_C(0x7472616969642e31), .k1 = (uint64_t)field};

    return hash_span(&key, value) >> 24;
}

size_t trail_places_seek(struct span bytes, uint64_t place)
{
    size_t low = 0;
    size_t high = bytes.len / PLACE_BYTES;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (trail_place_get(bytes, middle) < place)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void place_put(unsigned char *bytes, uint64_t place)
{
    for (size_t i = 0; i < PLACE_BYTES; i++)
        bytes[i] = (unsigned char)(place >> (56 - 8 * i));
}

/* Sorts by one byte, from `from` to `to`; what is equal stays in its order. */
static void places_sort_byte(const uint64_t *from, uint64_t *to, size_t count, unsigned shift)
{
    size_t starts[256] = {0};
    size_t next = 0;

    for (size_t i = 0; i < count; i++)
        starts[from[i] >> shift & 0xFF]++;
    for (size_t i = 0; i < PC_COUNT(starts); i++) {
        size_t some = starts[i];

        starts[i] = next;
        next += some;
    }
    for (size_t i = 0; i < count; i++)
        to[starts[from[i] >> shift & 0xFF]++] = from[i];
}

/* By hash: from its last byte to its first, to and fro. Places of one hash are in the order of
 * their leaves as they come. `other` has room for as many. */
static void places_sort(uint64_t *places, uint64_t *other, size_t count)
{
    for (unsigned shift = PLACE_HASH_SHIFT; shift < 64; shift += 8) {
        uint64_t *kept = places;

        places_sort_byte(places, other, count, shift);
        places = other;
        other = kept;
    }
    /* Five bytes: what came last is in the other one. */
    memcpy(other, places, count * sizeof(*places));
}

/* ---- the block under way -----------------------------------------------------------------------
 */

static void block_clear(struct trail_block *block)
{
    block->count = 0;
    memset(block->newest, 0, sizeof(block->newest));
}

/* Mostly it is the value that the event before had, whose span gets longer. */
static void value_add(struct trail_block *block, enum trail_index_field field, struct span value,
                      int64_t seq)
{
    uint64_t at = (uint64_t)seq % TRAIL_INDEX_LEAVES;
    uint64_t number = (uint64_t)seq / TRAIL_INDEX_LEAVES % TRAIL_INDEX_BLOCKS;
    uint64_t hash;
    size_t newest = block->newest[field];

    if (value.len == 0)
        return;
    hash = trail_index_hash(field, value);
    if (newest > 0 && trail_place_hash(block->places[newest - 1]) == hash) {
        block->places[newest - 1] = (block->places[newest - 1] & ~(uint64_t)0xFF) | at;
        return;
    }
    PC_ASSERT(block->count < TRAIL_INDEX_PLACES_MAX);
    block->places[block->count++] = hash << 24 | number << 16 | at << 8 | at;
    block->newest[field] = block->count;
}

static void values_add(struct trail_block *block, int64_t seq,
                       const struct span values[TRAIL_INDEX_FIELDS])
{
    for (size_t i = 0; i < TRAIL_INDEX_FIELDS; i++) {
        /* Most have these, so nobody looks for them here. */
        if ((i == TRAIL_INDEX_SEVERITY && span_is(values[i], "info")) ||
            (i == TRAIL_INDEX_CATEGORY && span_is(values[i], "transaction")))
            continue;
        value_add(block, (enum trail_index_field)i, values[i], seq);
    }
}

/* Sorted, and one for each value: from its first leaf to its last. */
static void block_settle(struct trail_block *block)
{
    uint64_t other[TRAIL_INDEX_PLACES_MAX];
    size_t count = 0;

    places_sort(block->places, other, block->count);
    for (size_t i = 0; i < block->count; i++) {
        uint64_t place = block->places[i];
        uint64_t *before = count > 0 ? &block->places[count - 1] : NULL;

        if (before == NULL || trail_place_hash(*before) != trail_place_hash(place))
            block->places[count++] = place;
        else if (trail_place_last(place) > trail_place_last(*before))
            *before = (*before & ~(uint64_t)0xFF) | trail_place_last(place);
    }
    block->count = count;
}

/* The leaves [from, to) of one block, out of their rows. */
static enum err block_load(struct store_conn *conn, int64_t from, int64_t to,
                           struct trail_block *block)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = ERR_OK;

    block_clear(block);
    if (from == to)
        return ERR_OK;
    err = store_query(conn, &rows_read, STORE_PARAMS(STORE_I64(from), STORE_I64(to)), &rows);
    if (err)
        return err;
    while (store_next(rows)) {
        struct span values[TRAIL_INDEX_FIELDS];

        for (size_t i = 0; i < TRAIL_INDEX_ID; i++)
            values[i] = store_rows_text(rows, 1 + i, NULL);
        values[TRAIL_INDEX_ID] = store_rows_blob(rows, 1 + TRAIL_INDEX_ID, NULL);
        values_add(block, store_rows_i64(rows, 0), values);
    }
    return store_rows_err(rows);
}

static enum err block_load_whole(struct store_conn *conn, int64_t number, struct trail_block *block)
{
    enum err err =
        block_load(conn, number * TRAIL_INDEX_LEAVES, (number + 1) * TRAIL_INDEX_LEAVES, block);

    if (err == ERR_OK)
        block_settle(block);
    return err;
}

static enum err block_write(struct store_conn *conn, int64_t number,
                            const struct trail_block *block)
{
    unsigned char bytes[TRAIL_INDEX_PLACES_MAX * PLACE_BYTES];

    for (size_t i = 0; i < block->count; i++)
        place_put(bytes + i * PLACE_BYTES, block->places[i]);
    return store_exec(
        conn, &block_put,
        STORE_PARAMS(STORE_I64(number), STORE_BLOB(span_make(bytes, block->count * PLACE_BYTES))),
        NULL);
}

/* ---- a segment ---------------------------------------------------------------------------------
 */

struct segment {
    uint64_t *places; /* in the order of their blocks, and then of their parts */
    size_t count, room;
};

static enum err segment_grow(struct segment *segment, size_t count)
{
    size_t room = segment->room == 0 ? (size_t)TRAIL_INDEX_BLOCKS * 512 : segment->room;
    uint64_t *places;

    while (room < segment->count + count)
        room *= 2;
    if (room == segment->room)
        return ERR_OK;
    places = alloc_resize(segment->places, room * sizeof(*places));
    if (places == NULL)
        return ERR_NO_MEMORY;
    segment->places = places;
    segment->room = room;
    return ERR_OK;
}

static enum err segment_take(struct segment *segment, struct span bytes)
{
    size_t count = bytes.len / PLACE_BYTES;
    enum err err = bytes.len % PLACE_BYTES == 0 ? segment_grow(segment, count) : ERR_STORE_CORRUPT;

    for (size_t i = 0; i < count && err == ERR_OK; i++)
        segment->places[segment->count++] = trail_place_get(bytes, i);
    return err;
}

/* A block whose row is gone is made again. */
static enum err segment_mend(struct store_conn *conn, struct segment *segment, int64_t number)
{
    struct trail_block block;
    enum err err = block_load_whole(conn, number, &block);

    if (err == ERR_OK)
        err = segment_grow(segment, block.count);
    if (err)
        return err;
    memcpy(segment->places + segment->count, block.places, block.count * sizeof(block.places[0]));
    segment->count += block.count;
    return ERR_OK;
}

static enum err segment_read(struct store_conn *conn, int64_t from, int64_t to,
                             struct segment *segment)
{
    PC_AUTO(store_rows) rows = NULL;
    int64_t next = from;
    enum err err =
        store_query(conn, &blocks_read, STORE_PARAMS(STORE_I64(from), STORE_I64(to)), &rows);

    while (err == ERR_OK && store_next(rows)) {
        while (err == ERR_OK && next < store_rows_i64(rows, 0))
            err = segment_mend(conn, segment, next++);
        if (err == ERR_OK)
            err = segment_take(segment, store_rows_blob(rows, 1, NULL));
        next++;
    }
    if (err == ERR_OK)
        err = store_rows_err(rows);
    while (err == ERR_OK && next < to)
        err = segment_mend(conn, segment, next++);
    return err;
}

/* Sorted as a whole, they are sorted by their parts. */
static enum err segment_write(struct store_conn *conn, int64_t number, struct segment *segment)
{
    uint64_t *other = alloc_raw((segment->count + 1) * sizeof(*other));
    unsigned char *bytes = (unsigned char *)other; /* once it is sorted */
    struct store_value params[2 * TRAIL_INDEX_PARTS];
    size_t next = 0;
    enum err err;

    if (bytes == NULL)
        return ERR_NO_MEMORY;
    if (segment->count > 0)
        places_sort(segment->places, other, segment->count);
    for (size_t i = 0; i < segment->count; i++)
        place_put(bytes + i * PLACE_BYTES, segment->places[i]);
    for (uint64_t part = 0; part < TRAIL_INDEX_PARTS; part++) {
        size_t from = next;

        while (next < segment->count && segment->places[next] >> 58 == part)
            next++;
        params[2 * part] = STORE_I64(trail_index_row(part << 34, number));
        params[2 * part + 1] =
            STORE_BLOB(span_make(bytes + from * PLACE_BYTES, (next - from) * PLACE_BYTES));
    }
    err = store_exec_many(conn, &segment_put, params, 2, TRAIL_INDEX_PARTS, NULL);
    alloc_free(bytes);
    return err;
}

static enum err segment_make(struct store_conn *conn, int64_t number)
{
    int64_t from = number * TRAIL_INDEX_BLOCKS;
    int64_t to = from + TRAIL_INDEX_BLOCKS;
    struct segment segment = {.count = 0};
    enum err err = segment_read(conn, from, to, &segment);

    if (err == ERR_OK)
        err = segment_write(conn, number, &segment);
    if (err == ERR_OK)
        err = store_exec(conn, &blocks_drop, STORE_PARAMS(STORE_I64(from), STORE_I64(to)), NULL);
    alloc_free(segment.places);
    return err;
}

/* ---- with the leaves ---------------------------------------------------------------------------
 */

static enum err block_complete(struct store_conn *conn, int64_t number, struct trail_block *block)
{
    enum err err;

    block_settle(block);
    err = block_write(conn, number, block);
    block_clear(block);
    if (err == ERR_OK && (number + 1) % TRAIL_INDEX_BLOCKS == 0)
        err = segment_make(conn, number / TRAIL_INDEX_BLOCKS);
    return err;
}

static enum err entry_add(struct store_conn *conn, struct trail_block *block,
                          const struct trail_entry *entry)
{
    const struct span values[TRAIL_INDEX_FIELDS] = {
        [TRAIL_INDEX_ACTOR] = entry->personal[TRAIL_PERSONAL_ACTOR],
        [TRAIL_INDEX_EVENT] = entry->event,
        [TRAIL_INDEX_OBJECT] = entry->personal[TRAIL_PERSONAL_OBJECT],
        [TRAIL_INDEX_SEVERITY] = entry->severity,
        [TRAIL_INDEX_CATEGORY] = entry->category,
        [TRAIL_INDEX_ID] = span_make(entry->id, TRAIL_ID_BYTES)};

    values_add(block, entry->seq, values);
    return (entry->seq + 1) % TRAIL_INDEX_LEAVES == 0
               ? block_complete(conn, entry->seq / TRAIL_INDEX_LEAVES, block)
               : ERR_OK;
}

/* The roots say that the leaves are those that it took in, whatever became of its last commit. */
static bool is_of(const struct trail_block *block, const struct trail_tree *tree)
{
    return block->known && block->tree.size == tree->size &&
           memcmp(block->tree.roots, tree->roots,
                  trail_tree_roots(tree->size) * sizeof(tree->roots[0])) == 0;
}

enum err trail_index_add(struct store_conn *conn, struct trail_block *block,
                         const struct trail_tree *before, const struct trail_tree *after,
                         const struct trail_entry *entries, size_t count)
{
    int64_t size = (int64_t)before->size;
    enum err err = ERR_OK;

    if (store_conn_kind(conn) == STORE_POSTGRES)
        return ERR_OK;
    if (!is_of(block, before))
        err = block_load(conn, size - size % TRAIL_INDEX_LEAVES, size, block);
    block->known = false;
    for (size_t i = 0; i < count && err == ERR_OK; i++)
        err = entry_add(conn, block, &entries[i]);
    block->known = err == ERR_OK;
    block->tree = *after;
    return err;
}

/* ---- forgetting --------------------------------------------------------------------------------
 */

/* The row without the place; without a row there is nothing to be done. */
static enum err row_forget(struct store_conn *conn, const struct store_statement *get,
                           const struct store_statement *put, int64_t row, uint64_t hash,
                           uint64_t block)
{
    PC_AUTO(store_rows) rows = NULL;
    uint64_t least = hash << 24 | block << 16;
    struct span bytes;
    unsigned char *kept;
    size_t at, rest;
    enum err err = store_query(conn, get, STORE_PARAMS(STORE_I64(row)), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_err(rows);
    bytes = store_rows_blob(rows, 0, NULL);
    at = trail_places_seek(bytes, least);
    if (at * PLACE_BYTES >= bytes.len || trail_place_get(bytes, at) >> 16 != least >> 16)
        return store_rows_err(rows);
    kept = alloc_raw(bytes.len);
    if (kept == NULL)
        return ERR_NO_MEMORY;
    rest = bytes.len - (at + 1) * PLACE_BYTES;
    memcpy(kept, bytes.ptr, at * PLACE_BYTES);
    memcpy(kept + at * PLACE_BYTES, bytes.ptr + (at + 1) * PLACE_BYTES, rest);
    err = store_exec(
        conn, put,
        STORE_PARAMS(STORE_I64(row), STORE_BLOB(span_make(kept, bytes.len - PLACE_BYTES))), NULL);
    alloc_free(kept);
    return err;
}

static bool block_has(const struct trail_block *block, uint64_t hash)
{
    for (size_t i = 0; i < block->count; i++) {
        if (trail_place_hash(block->places[i]) == hash)
            return true;
    }
    return false;
}

static enum err value_forget(struct store_conn *conn, int64_t number, uint64_t hash)
{
    uint64_t in_segment = (uint64_t)number % TRAIL_INDEX_BLOCKS;
    int64_t row = trail_index_row(hash, number / TRAIL_INDEX_BLOCKS);
    enum err err = row_forget(conn, &block_get, &block_put, number, hash, in_segment);

    return err ? err : row_forget(conn, &segment_get, &segment_put, row, hash, in_segment);
}

enum err trail_index_forget(struct store_conn *conn, int64_t seq, const struct trail_indexed *gone,
                            size_t count)
{
    int64_t number = seq / TRAIL_INDEX_LEAVES;
    struct trail_list *list = store_conn_seal(conn);
    struct trail_block block;
    enum err err;

    if (store_conn_kind(conn) == STORE_POSTGRES)
        return ERR_OK;
    if (list != NULL)
        list->block.known = false;
    err = block_load(conn, number * TRAIL_INDEX_LEAVES, (number + 1) * TRAIL_INDEX_LEAVES, &block);
    for (size_t i = 0; i < count && err == ERR_OK; i++) {
        uint64_t hash = trail_index_hash(gone[i].field, gone[i].value);

        if (!block_has(&block, hash))
            err = value_forget(conn, number, hash);
    }
    return err;
}
