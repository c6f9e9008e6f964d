/* SPDX-License-Identifier: MIT
 * Out of the index: from a value to the spans of leaves that can have it, in the order of the log
 * or against it. The rows come in that order, one for each block and one for each segment; where
 * one is not there, all that it would tell of is a span. */
#include "trail/trail_index.h"

#include "trail/trail_priv.h"

enum { NEAR = 8 }; /* events between two spans that are looked at rather than stepped over */

/* Of the head's row, which has the size as of the last whole block at least. */
static const struct store_statement size_read = {
    .name = "trail_index_size", .sqlite = "SELECT size FROM trail_head WHERE id = 1"};

/* ?1 the first row, ?2 the last one. */
#define WALK(name_, table, order)                                                                  \
    {                                                                                              \
        .name = "trail_walk_" name_, .sqlite = "SELECT number, places FROM " table                 \
                                               " WHERE number >= ?1 AND number <= ?2 "             \
                                               "ORDER BY number " order                            \
    }
static const struct store_statement blocks_walk[2] = {WALK("blocks_new", "trail_blocks", "DESC"),
                                                      WALK("blocks_old", "trail_blocks", "ASC")};
static const struct store_statement segments_walk[2] = {
    WALK("segments_new", "trail_segments", "DESC"), WALK("segments_old", "trail_segments", "ASC")};

struct walk {
    uint64_t hash;
    struct trail_span range; /* of leaves: what is outside is not wanted */
    bool oldest_first;
    struct trail_spans *spans;
};

enum err trail_index_end(struct store_conn *conn, int64_t *ret_end)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &size_read, NULL, 0, &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_STORE_CORRUPT);
    *ret_end = store_rows_i64(rows, 0);
    *ret_end -= *ret_end % TRAIL_INDEX_LEAVES;
    return store_rows_err(rows);
}

/* ---- spans -------------------------------------------------------------------------------------
 */

static bool joins(const struct walk *walk, struct trail_span *last, struct trail_span span)
{
    if (walk->oldest_first ? span.first - last->last > NEAR : last->first - span.last > NEAR)
        return false;
    if (walk->oldest_first)
        last->last = span.last;
    else
        last->first = span.first;
    return true;
}

/* False: there is no room for it. */
static bool span_add(const struct walk *walk, int64_t first, int64_t last)
{
    struct trail_spans *spans = walk->spans;
    struct trail_span span = {first > walk->range.first ? first : walk->range.first,
                              last < walk->range.last ? last : walk->range.last};

    if (span.first > span.last ||
        (spans->count > 0 && joins(walk, &spans->list[spans->count - 1], span)))
        return true;
    if (spans->count == TRAIL_INDEX_SPANS) {
        spans->more = true;
        return false;
    }
    spans->list[spans->count++] = span;
    return true;
}

/* What the row says of the hash; `leaf` is the first of its block, or of its segment. */
static bool places_add(const struct walk *walk, struct span bytes, int64_t leaf, unsigned block)
{
    size_t all = bytes.len / sizeof(uint64_t);
    size_t from = trail_places_seek(bytes, walk->hash << 24);
    size_t to = from;
    bool going = true;

    while (to < all && trail_place_hash(trail_place_get(bytes, to)) == walk->hash)
        to++;
    for (size_t i = 0; i < to - from && going; i++) {
        uint64_t place = trail_place_get(bytes, walk->oldest_first ? from + i : to - 1 - i);
        int64_t first =
            leaf + ((int64_t)trail_place_block(place) - (int64_t)block) * TRAIL_INDEX_LEAVES;

        going = span_add(walk, first + trail_place_first(place), first + trail_place_last(place));
    }
    return going;
}

/* ---- rows --------------------------------------------------------------------------------------
 */

/* Rows `low` to `high`, each of `leaves`; the first one's number in the table is `base` + `low`. */
struct table {
    const struct store_statement *walk;
    int64_t base, low, high, leaves;
};

static bool whole_add(const struct walk *walk, const struct table *table, int64_t number)
{
    return span_add(walk, number * table->leaves, (number + 1) * table->leaves - 1);
}

static bool row_add(const struct walk *walk, const struct table *table, int64_t number,
                    struct span bytes)
{
    unsigned block =
        table->leaves == TRAIL_INDEX_LEAVES ? (unsigned)(number % TRAIL_INDEX_BLOCKS) : 0;

    if (bytes.len % sizeof(uint64_t) != 0)
        return whole_add(walk, table, number);
    return places_add(walk, bytes, number * table->leaves, block);
}

static enum err table_walk(struct store_conn *conn, const struct walk *walk,
                           const struct table *table)
{
    int64_t step = walk->oldest_first ? 1 : -1;
    int64_t next = walk->oldest_first ? table->low : table->high;
    int64_t end = walk->oldest_first ? table->high + 1 : table->low - 1;
    PC_AUTO(store_rows) rows = NULL;
    bool going = true;
    enum err err;

    if (table->low > table->high || walk->spans->more)
        return ERR_OK;
    err = store_query(
        conn, table->walk,
        STORE_PARAMS(STORE_I64(table->base + table->low), STORE_I64(table->base + table->high)),
        &rows);
    if (err)
        return err;
    while (going && store_next(rows)) {
        int64_t number = store_rows_i64(rows, 0) - table->base;

        for (; going && next != number && next != end; next += step)
            going = whole_add(walk, table, next);
        going = going && row_add(walk, table, number, store_rows_blob(rows, 1, NULL));
        next = number + step;
    }
    for (; going && next != end; next += step)
        going = whole_add(walk, table, next);
    return store_rows_err(rows);
}

enum err trail_index_find(struct store_conn *conn, enum trail_index_field field, struct span value,
                          struct trail_span range, int64_t end, bool oldest_first,
                          struct trail_spans *ret)
{
    const struct walk walk = {.hash = trail_index_hash(field, value),
                              .range = range,
                              .oldest_first = oldest_first,
                              .spans = ret};
    int64_t whole = end / TRAIL_INDEX_LEAVES / TRAIL_INDEX_BLOCKS; /* segments */
    struct table blocks = {.walk = &blocks_walk[oldest_first ? 1 : 0],
                           .low = range.first / TRAIL_INDEX_LEAVES,
                           .high = range.last / TRAIL_INDEX_LEAVES,
                           .leaves = TRAIL_INDEX_LEAVES};
    struct table segments = {.walk = &segments_walk[oldest_first ? 1 : 0],
                             .base = trail_index_row(walk.hash, 0),
                             .low = blocks.low / TRAIL_INDEX_BLOCKS,
                             .high = blocks.high / TRAIL_INDEX_BLOCKS,
                             .leaves = TRAIL_INDEX_LEAVES * TRAIL_INDEX_BLOCKS};
    enum err err;

    ret->count = 0;
    ret->more = false;
    if (range.first > range.last)
        return ERR_OK;
    PC_ASSERT(range.first >= 0 && range.last < end);
    blocks.low = blocks.low > whole * TRAIL_INDEX_BLOCKS ? blocks.low : whole * TRAIL_INDEX_BLOCKS;
    segments.high = segments.high < whole ? segments.high : whole - 1;
    err = table_walk(conn, &walk, oldest_first ? &segments : &blocks);
    return err ? err : table_walk(conn, &walk, oldest_first ? &blocks : &segments);
}
