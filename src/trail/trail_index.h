/* SPDX-License-Identifier: MIT
 * Which events have an id, an actor, an event's name, an object, a severity, a category: SQLite's
 * way to them. An index of the database would be written by every posting, a page here and a page
 * there; this one is written when 256 leaves are complete, in the commit that completes them, as
 * one row.
 *
 *   leaves    0 … 255 | 256 … 511 | …            a block: one row of trail_blocks
 *   blocks    0 … 63              | 64 … 127 …   a segment: its blocks' rows become 64 rows of
 *                                                trail_segments, one for each part of the hashes
 *   places    a number of 64 bits for each value in a block, sorted:
 *             hash of field and value (40), block in its segment (8), first and last leaf (8, 8)
 *
 * A search reads a row for each segment, those of the blocks behind, and the last leaves, which are
 * in no block yet. It gets spans, and looks at the events in them: a hash leads astray now and then
 * and never past an event. Blocks and segments whose rows are gone are looked through whole.
 *
 * PostgreSQL keeps indexes of its own: there a posting waits for the network and not for them.
 *
 * Threads: inside a store job.    Memory: the caller's.    Errors: the store's; ERR_NO_MEMORY.
 * Source:  docs/decisions/trail-index.md. */
#ifndef PC_TRAIL_TRAIL_INDEX_H
#define PC_TRAIL_TRAIL_INDEX_H

#include "trail/trail_log.h"

/* Stored, as what is hashed with a value: numbers stay. */
enum trail_index_field {
    TRAIL_INDEX_ACTOR,
    TRAIL_INDEX_EVENT,
    TRAIL_INDEX_OBJECT,
    TRAIL_INDEX_SEVERITY, /* but for "info" */
    TRAIL_INDEX_CATEGORY, /* but for "transaction" */
    TRAIL_INDEX_ID,
    TRAIL_INDEX_FIELDS
};

enum {
    TRAIL_INDEX_LEAVES = 256, /* of a block */
    TRAIL_INDEX_BLOCKS = 64,  /* of a segment */
    TRAIL_INDEX_PARTS = 64,
    TRAIL_INDEX_PLACES_MAX = TRAIL_INDEX_LEAVES * TRAIL_INDEX_FIELDS,
    TRAIL_INDEX_SPANS = 64,
};

/* ---- trail_index.c: written with the leaves ------------------------------------------------ */

/* The block that is under way, as a writing handle knows it; zero: it knows nothing. */
struct trail_block {
    bool known;
    struct trail_tree tree;            /* as of which it is */
    size_t count;                      /* of its places */
    size_t newest[TRAIL_INDEX_FIELDS]; /* the place that was added last for the field, plus 1 */
    uint64_t places[TRAIL_INDEX_PLACES_MAX];
};

/* Takes in the entries by which the tree grew from `before` to `after`, whose rows are written in
 * this commit. What the block lacks of the leaves before them, because another handle wrote them
 * or a commit failed, it reads. */
PC_CHECKED enum err trail_index_add(struct store_conn *conn, struct trail_block *block,
                                    const struct trail_tree *before, const struct trail_tree *after,
                                    const struct trail_entry *entries, size_t count);

struct trail_indexed {
    enum trail_index_field field;
    struct span value;
};

/* Events around that place had these values and lost them in this commit: the index loses what it
 * has of them for the block, but where another event of the block has them still. */
PC_CHECKED enum err trail_index_forget(struct store_conn *conn, int64_t seq,
                                       const struct trail_indexed *gone, size_t count);

/* ---- trail_index_read.c -------------------------------------------------------------------- */

struct trail_span {
    int64_t first, last;
};

struct trail_spans {
    struct trail_span list[TRAIL_INDEX_SPANS]; /* in the order that was asked for, apart */
    size_t count;
    bool more; /* it was full: go on behind the last one */
};

/* Up to which place the index goes; what is behind is at most TRAIL_INDEX_LEAVES - 1 events. */
PC_CHECKED enum err trail_index_end(struct store_conn *conn, int64_t *ret_end);

/* The spans in `range` where events with that value can be; none has it outside of them. The range
 * ends before `end`, as trail_index_end told it. */
PC_CHECKED enum err trail_index_find(struct store_conn *conn, enum trail_index_field field,
                                     struct span value, struct trail_span range, int64_t end,
                                     bool oldest_first, struct trail_spans *ret);

/* ---- for both ------------------------------------------------------------------------------ */

/* A place's hash, block and leaves. */
uint64_t trail_index_hash(enum trail_index_field field, struct span value);
static inline uint64_t trail_place_hash(uint64_t place)
{
    return place >> 24;
}
static inline unsigned trail_place_block(uint64_t place)
{
    return (unsigned)(place >> 16) & 0xFF;
}
static inline unsigned trail_place_first(uint64_t place)
{
    return (unsigned)(place >> 8) & 0xFF;
}
static inline unsigned trail_place_last(uint64_t place)
{
    return (unsigned)place & 0xFF;
}

/* The row of a segment that holds the places of a hash: parts lie one behind the other, and in each
 * the segments in their order. */
static inline int64_t trail_index_row(uint64_t hash, int64_t segment)
{
    return (int64_t)(hash >> 34) << 40 | segment;
}

/* As they are stored: big-endian, 8 bytes each. */
static inline uint64_t trail_place_get(struct span bytes, size_t at)
{
    uint64_t place = 0;

    for (size_t i = 0; i < sizeof(place); i++)
        place = place << 8 | (unsigned char)bytes.ptr[at * sizeof(place) + i];
    return place;
}

/* The first of the places, sorted, that is not before `place`; their number when there is none. */
size_t trail_places_seek(struct span bytes, uint64_t place);

#endif
