/* SPDX-License-Identifier: MIT
 * Tiles in and out of the tables. A proof asks for some forty nodes, which lie in a handful of
 * tiles; each is read once. */
#include "trail/trail_tiles.h"

#include <string.h>

enum { KEPT_MAX = 16 };

struct tile {
    unsigned level;
    uint64_t number;
    size_t count;
    struct trail_hash hashes[TRAIL_TILE_HASHES];
};

struct trail_nodes {
    struct store_conn *conn;
    size_t kept, next; /* the oldest makes room */
    struct tile tiles[KEPT_MAX];
};

static const struct store_statement tile_get = {
    .name = "trail_tile_get",
    .sqlite = "SELECT hashes FROM trail_tiles WHERE level = ?1 AND number = ?2"};
static const struct store_statement tile_put = {
    .name = "trail_tile_put",
    .sqlite = "INSERT INTO trail_tiles (level, number, hashes) VALUES (?1, ?2, ?3) "
              "ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes "
              "WHERE length(excluded.hashes) > length(trail_tiles.hashes)"};
static const struct store_statement leaves_get = {
    .name = "trail_leaves_get",
    .sqlite = "SELECT seq, leaf FROM trail_events WHERE seq >= ?1 AND seq < ?2 ORDER BY seq"};

enum err trail_nodes_on(struct store_conn *conn, struct arena *arena, struct trail_nodes **ret)
{
    struct trail_nodes *nodes = arena_alloc(arena, sizeof(*nodes));

    if (nodes == NULL)
        return ERR_NO_MEMORY;
    nodes->conn = conn;
    nodes->kept = 0;
    nodes->next = 0;
    *ret = nodes;
    return ERR_OK;
}

void trail_hashes_root(const struct trail_hash *hashes, size_t count, struct trail_hash *ret)
{
    struct trail_hash row[TRAIL_TILE_HASHES];

    PC_ASSERT(count >= 1 && count <= TRAIL_TILE_HASHES && (count & (count - 1)) == 0);
    memcpy(row, hashes, count * sizeof(*hashes));
    for (size_t left = count; left > 1; left /= 2)
        for (size_t i = 0; i < left / 2; i++)
            trail_hash_node(&row[2 * i], &row[2 * i + 1], &row[i]);
    *ret = row[0];
}

/* ---- where hashes come from ---- */

/* What the table has of the tile. */
static enum err stored(struct store_conn *conn, unsigned level, uint64_t number,
                       struct trail_hash *ret, size_t *ret_count)
{
    PC_AUTO(store_rows) rows = NULL;
    struct span bytes;
    enum err err = store_query(conn, &tile_get,
                               STORE_PARAMS(STORE_I64(level), STORE_I64((int64_t)number)), &rows);

    *ret_count = 0;
    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_err(rows);
    bytes = store_rows_blob(rows, 0, NULL);
    if (bytes.len % TRAIL_HASH_BYTES != 0 || bytes.len > TRAIL_TILE_BYTES)
        return store_rows_end(rows, ERR_STORE_CORRUPT);
    *ret_count = bytes.len / TRAIL_HASH_BYTES;
    if (bytes.len > 0)
        memcpy(ret, bytes.ptr, bytes.len);
    return store_rows_err(rows);
}

/* The leaves [from, to) out of the events themselves; each of them must be there. */
static enum err leaves(struct store_conn *conn, uint64_t from, uint64_t to, struct trail_hash *ret)
{
    PC_AUTO(store_rows) rows = NULL;
    uint64_t next = from;
    enum err err = store_query(
        conn, &leaves_get, STORE_PARAMS(STORE_I64((int64_t)from), STORE_I64((int64_t)to)), &rows);

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

/* At least `need` hashes of the tile. Each level asks the one below for what the table lacks: as
 * deep as there are levels. */
static enum err gather(struct store_conn *conn, unsigned level, uint64_t number, size_t need,
                       struct trail_hash *ret, size_t *ret_count)
{
    uint64_t first = number << TRAIL_TILE_BITS;
    size_t have = 0;
    enum err err = stored(conn, level, number, ret, &have);

    *ret_count = have < need ? need : have;
    if (err || have >= need)
        return err;
    if (level == 0)
        return leaves(conn, first + have, first + need, ret + have);
    for (size_t i = have; i < need && !err; i++) {
        struct trail_hash below[TRAIL_TILE_HASHES];
        size_t count = 0;

        err = gather(conn, level - 1, first + i, TRAIL_TILE_HASHES, below, &count);
        if (!err)
            trail_hashes_root(below, TRAIL_TILE_HASHES, &ret[i]);
    }
    return err;
}

/* ---- the tiles that are kept ---- */

static struct tile *kept(struct trail_nodes *nodes, unsigned level, uint64_t number)
{
    for (size_t i = 0; i < nodes->kept; i++)
        if (nodes->tiles[i].level == level && nodes->tiles[i].number == number)
            return &nodes->tiles[i];
    return NULL;
}

static struct tile *room_for(struct trail_nodes *nodes)
{
    struct tile *tile = &nodes->tiles[nodes->next];

    nodes->next = (nodes->next + 1) % KEPT_MAX;
    if (nodes->kept < KEPT_MAX)
        nodes->kept++;
    tile->count = 0;
    return tile;
}

static enum err tile_of(struct trail_nodes *nodes, unsigned level, uint64_t number, size_t count,
                        const struct trail_hash **ret)
{
    struct tile *tile = kept(nodes, level, number);
    size_t have = 0;
    enum err err;

    if (tile == NULL) {
        tile = room_for(nodes);
        tile->level = level;
        tile->number = number;
    }
    *ret = tile->hashes;
    if (tile->count >= count)
        return ERR_OK;
    err = gather(nodes->conn, level, number, count, tile->hashes, &have);
    tile->count = err ? 0 : have;
    return err;
}

enum err trail_tile_read(struct trail_nodes *nodes, unsigned level, uint64_t number, size_t count,
                         struct trail_hash *ret)
{
    const struct trail_hash *hashes;
    enum err err;

    PC_ASSERT(level < TRAIL_TILE_LEVELS && count <= TRAIL_TILE_HASHES);
    err = tile_of(nodes, level, number, count, &hashes);
    if (!err && count > 0)
        memcpy(ret, hashes, count * sizeof(*hashes));
    return err;
}

enum err trail_node(void *context, unsigned level, uint64_t number, struct trail_hash *ret)
{
    struct trail_nodes *nodes = context;
    size_t count = (size_t)1 << (level % TRAIL_TILE_BITS);
    uint64_t first = number << (level % TRAIL_TILE_BITS);
    size_t offset = (size_t)(first % TRAIL_TILE_HASHES);
    const struct trail_hash *hashes;
    enum err err;

    PC_ASSERT(level <= TRAIL_LEVELS_MAX);
    err =
        tile_of(nodes, level / TRAIL_TILE_BITS, first >> TRAIL_TILE_BITS, offset + count, &hashes);
    if (!err)
        trail_hashes_root(hashes + offset, count, ret);
    return err;
}

enum err trail_tile_write(struct store_conn *conn, unsigned level, uint64_t number,
                          const struct trail_hash *hashes, size_t count)
{
    PC_ASSERT(count >= 1 && count <= TRAIL_TILE_HASHES);
    return store_exec(conn, &tile_put,
                      STORE_PARAMS(STORE_I64(level), STORE_I64((int64_t)number),
                                   STORE_BLOB(span_make(hashes, count * sizeof(*hashes)))),
                      NULL);
}
