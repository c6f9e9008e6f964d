/* SPDX-License-Identifier: MIT
 * Reading the log back: the head, one event by its id, and many by what they are about. */
#include "trail/trail_log.h"

#include "trail/trail_priv.h"

static const struct store_statement head_read = {
    .name = "trail_head_read",
    .sqlite = "SELECT h.size, h.at, h.roots, e.seq, e.at, e.roots FROM trail_head h "
              "LEFT JOIN trail_events e ON e.seq = (SELECT max(seq) FROM trail_events) "
              "WHERE h.id = 1",
    .postgres = "SELECT size, at, roots, CAST(NULL AS bigint) FROM trail_head WHERE id = 1"};

#define COLUMN_NAMES                                                                               \
    "e.seq, e.id, e.at, e.event, e.category, e.severity, e.outcome, e.source, e.actor_kind, "      \
    "e.client, e.request_id, e.tags, e.actor, e.principal, e.address, e.object, e.reason, "        \
    "e.details, e.seed, e.erased, e.leaf"

/* Of an id that was given in; PostgreSQL has an index of all. */
static const struct store_statement entry_given = {
    .name = "trail_by_id",
    .sqlite = "SELECT " COLUMN_NAMES " FROM trail_given g JOIN trail_events e ON e.seq = g.seq "
              "WHERE g.id = ?1 AND e.id = ?1",
    .postgres = "SELECT " COLUMN_NAMES " FROM trail_events e WHERE e.id = $1"};

static const struct store_statement entry_among = {
    .name = "trail_by_id_among",
    .sqlite = "SELECT " COLUMN_NAMES
              " FROM trail_events e WHERE e.seq >= ?2 AND e.seq <= ?3 AND e.id = ?1 LIMIT 1"};

/* ---- the head ----------------------------------------------------------------------------------
 */

static enum err head_check(const struct trail_tree *tree, struct span roots, int64_t size)
{
    if (size < 0 || roots.len != trail_tree_roots(tree->size) * TRAIL_HASH_BYTES)
        return ERR_STORE_CORRUPT;
    return ERR_OK;
}

static enum err head_take(struct store_rows *rows, struct trail_tree *ret, int64_t *ret_at)
{
    int64_t size = store_rows_i64(rows, 0);
    int64_t at = store_rows_i64(rows, 1);
    struct span roots = store_rows_blob(rows, 2, NULL);
    enum err err = store_rows_err(rows);

    ret->size = (uint64_t)size;
    if (err == ERR_OK)
        err = head_check(ret, roots, size);
    if (err)
        return err;
    if (roots.len > 0)
        memcpy(ret->roots, roots.ptr, roots.len);
    *ret_at = at;
    return ERR_OK;
}

/* What the last row tells of the tree, where it is behind the head's: the roots of the whole tiles
 * are the head's, those behind them its own. */
static enum err last_take(struct store_rows *rows, struct trail_tree *ret, int64_t *ret_at)
{
    uint64_t size = (uint64_t)store_rows_i64_or(rows, 3, -1) + 1;
    size_t whole = trail_tree_roots(size / TRAIL_HEAD_LEAVES);
    size_t rest = trail_tree_roots(size) - whole;
    struct span roots;
    int64_t at;

    if (size <= ret->size || size > INT64_MAX)
        return store_rows_err(rows);
    at = store_rows_i64(rows, 4);
    roots = store_rows_blob(rows, 5, NULL);
    if (size / TRAIL_HEAD_LEAVES != ret->size / TRAIL_HEAD_LEAVES ||
        roots.len != rest * TRAIL_HASH_BYTES)
        return store_rows_end(rows, ERR_STORE_CORRUPT);
    memcpy(&ret->roots[whole], roots.ptr, roots.len);
    ret->size = size;
    *ret_at = at;
    return store_rows_err(rows);
}

enum err trail_tree_read(struct store_conn *conn, struct trail_tree *ret, int64_t *ret_at)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &head_read, NULL, 0, &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_STORE_CORRUPT);
    err = head_take(rows, ret, ret_at);
    return err ? err : last_take(rows, ret, ret_at);
}

/* ---- entries -----------------------------------------------------------------------------------
 */

static void hash_take(struct store_rows *rows, size_t column, unsigned char *ret, size_t bytes,
                      bool *bad)
{
    struct span value = store_rows_blob(rows, column, NULL);

    if (value.len == bytes)
        memcpy(ret, value.ptr, bytes);
    else
        *bad = true;
}

enum err trail_entry_take(struct store_rows *rows, struct arena *arena, struct trail_entry *ret)
{
    size_t at = 0;
    bool bad = false;
    struct span *const plain[TRAIL_PLAIN_COUNT] = {
        &ret->event,      &ret->category, &ret->severity,   &ret->outcome, &ret->source,
        &ret->actor_kind, &ret->client,   &ret->request_id, &ret->tags};

    ret->seq = store_rows_i64(rows, at++);
    hash_take(rows, at++, ret->id, TRAIL_ID_BYTES, &bad);
    ret->at_ns = store_rows_i64(rows, at++);
    for (size_t i = 0; i < TRAIL_PLAIN_COUNT; i++)
        *plain[i] = store_rows_text(rows, at++, arena);
    for (size_t i = 0; i < TRAIL_PERSONAL_COUNT; i++)
        ret->personal[i] = store_rows_text(rows, at++, arena);
    ret->seed = store_rows_blob(rows, at++, arena);
    ret->erased = store_rows_blob(rows, at++, arena);
    hash_take(rows, at, ret->leaf.bytes, TRAIL_HASH_BYTES, &bad);
    return store_rows_end(rows, bad ? ERR_STORE_CORRUPT : ERR_OK);
}

static enum err entry_query(struct store_conn *conn, const struct store_statement *statement,
                            const struct store_value *params, size_t count, struct arena *arena,
                            struct trail_entry *ret)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, statement, params, count, &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    return trail_entry_take(rows, arena, ret);
}

enum err trail_get_given(struct store_conn *conn, const unsigned char id[TRAIL_ID_BYTES],
                         struct arena *arena, struct trail_entry *ret)
{
    return entry_query(conn, &entry_given, STORE_PARAMS(STORE_BLOB(span_make(id, TRAIL_ID_BYTES))),
                       arena, ret);
}

static enum err get_among(struct store_conn *conn, struct span id, int64_t first, int64_t last,
                          struct arena *arena, struct trail_entry *ret)
{
    return entry_query(conn, &entry_among,
                       STORE_PARAMS(STORE_BLOB(id), STORE_I64(first), STORE_I64(last)), arena, ret);
}

/* The newest first: among those that are in no block of the index yet, and then along it. */
static enum err get_indexed(struct store_conn *conn, struct span id, struct arena *arena,
                            struct trail_entry *ret)
{
    struct trail_spans spans = {.more = true};
    struct trail_span range = {.first = 0};
    int64_t end = 0;
    enum err err = trail_index_end(conn, &end);

    if (err == ERR_OK)
        err = get_among(conn, id, end, INT64_MAX, arena, ret);
    range.last = end - 1;
    while (err == ERR_NOT_FOUND && spans.more) {
        enum err finding = trail_index_find(conn, TRAIL_INDEX_ID, id, range, end, false, &spans);

        if (finding)
            return finding;
        for (size_t i = 0; i < spans.count && err == ERR_NOT_FOUND; i++)
            err = get_among(conn, id, spans.list[i].first, spans.list[i].last, arena, ret);
        range.last = spans.count > 0 ? spans.list[spans.count - 1].first - 1 : -1;
    }
    return err;
}

enum err trail_get(struct store_conn *conn, const unsigned char id[TRAIL_ID_BYTES],
                   struct arena *arena, struct trail_entry *ret)
{
    enum err err = trail_get_given(conn, id, arena, ret);

    if (err != ERR_NOT_FOUND || store_conn_kind(conn) == STORE_POSTGRES)
        return err;
    return get_indexed(conn, span_make(id, TRAIL_ID_BYTES), arena, ret);
}
