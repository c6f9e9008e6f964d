/* SPDX-License-Identifier: MIT
 * The log grows: entries get their place, time and salts, become leaves of the tree, and are
 * written with it. This is the last thing that happens in a commit, so nothing after it can leave a
 * gap, and writers take turns, so none finds the tree moved.
 *
 * SQLite takes rows one by one with the statement prepared once; to PostgreSQL they go as columns,
 * an array for each, in one statement. Nothing waits for an answer there but the look at the head.
 */
#include "trail/trail_priv.h"

#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "json/json.h"
#include "trail/trail_recent.h"

enum { SET_ROWS_MIN = 3, CHUNK_ROWS = 64 };

#define COLUMN_NAMES                                                                               \
    "seq, id, at, event, category, severity, outcome, source, actor_kind, client, request_id, "    \
    "tags, actor, principal, address, object, reason, details, seed, leaf"

enum column {
    COLUMN_SEQ,
    COLUMN_ID,
    COLUMN_AT,
    COLUMN_PLAIN,
    COLUMN_PERSONAL = COLUMN_PLAIN + TRAIL_PLAIN_COUNT,
    COLUMN_SEED = COLUMN_PERSONAL + TRAIL_PERSONAL_COUNT,
    COLUMN_LEAF,
    COLUMN_COUNT
};

static const struct store_statement entry_insert = {
    .name = "trail_insert",
    .sqlite = "INSERT INTO trail_events (" COLUMN_NAMES ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, "
              "?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)"};
/* SQLite: the last row of a commit, with the roots behind the last whole tile. */
static const struct store_statement last_insert = {
    .name = "trail_insert_last",
    .sqlite = "INSERT INTO trail_events (" COLUMN_NAMES ", roots) VALUES (?1, ?2, ?3, ?4, ?5, ?6, "
              "?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)"};

#define TEXTS(parameter) "?" parameter "::text::text[], "
static const struct store_statement entries_insert_set = {
    .name = "trail_insert_set",
    .sqlite = "INSERT INTO trail_events (" COLUMN_NAMES ") SELECT * FROM unnest("
              "?1::text::bigint[], ?2::text::bytea[], ?3::text::bigint[], " TEXTS("4") TEXTS("5")
                  TEXTS("6") TEXTS("7") TEXTS("8") TEXTS("9") TEXTS("10") TEXTS("11") TEXTS("12")
                      TEXTS("13") TEXTS("14") TEXTS("15") TEXTS("16") TEXTS("17")
                          TEXTS("18") "?19::text::bytea[], ?20::text::bytea[])"};

static const struct store_statement tag_insert = {
    .name = "trail_tag_insert",
    .sqlite = "INSERT INTO trail_tags (tag, seq) VALUES (?1, ?2) ON CONFLICT DO NOTHING"};

static const struct store_statement given_insert = {
    .name = "trail_given_insert", .sqlite = "INSERT INTO trail_given (id, seq) VALUES (?1, ?2)"};

static const struct store_statement head_update = {
    .name = "trail_head_update",
    .sqlite = "UPDATE trail_head SET size = ?1, at = ?2, roots = ?3 WHERE id = 1"};

/* ---- what an entry gets here -------------------------------------------------------------------
 */

static bool id_is_none(const unsigned char id[TRAIL_ID_BYTES])
{
    static const unsigned char none[TRAIL_ID_BYTES];

    return memcmp(id, none, TRAIL_ID_BYTES) == 0;
}

/* RFC 9562, 5.7: milliseconds since 1970, version, random bytes and variant. */
static void id_make(unsigned char id[TRAIL_ID_BYTES], int64_t at_ns, const unsigned char *random)
{
    uint64_t ms = (uint64_t)(at_ns < 0 ? 0 : at_ns) / 1000000U;

    for (size_t i = 0; i < 6; i++)
        id[i] = (unsigned char)(ms >> (40 - 8 * i));
    memcpy(id + 6, random, TRAIL_ID_BYTES - 6);
    id[6] = (unsigned char)(0x70 | (id[6] & 0x0F));
    id[8] = (unsigned char)(0x80 | (id[8] & 0x3F));
}

void trail_ids(struct trail_list *list)
{
    unsigned char random[TRAIL_ID_BYTES - 6];

    for (size_t i = 0; i < list->count; i++) {
        struct trail_entry *entry = &list->entries[i];

        if (!id_is_none(entry->id))
            continue;
        random_batch_fill(&list->random, random, sizeof(random));
        id_make(entry->id, entry->at_ns, random);
    }
}

/* Place, time and salts: all that the leaf is made of. */
static enum err entries_place(uint64_t size, int64_t *at, struct trail_list *list)
{
    char *seeds = arena_bytes(&list->arena, list->count * TRAIL_SEED_BYTES_MAX);

    if (seeds == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < list->count; i++) {
        struct trail_entry *entry = &list->entries[i];

        entry->seed = span_make(seeds, trail_seed_bytes(entry));
        random_batch_fill(&list->random, seeds, entry->seed.len);
        seeds += entry->seed.len;
        entry->seq = (int64_t)(size + i);
        *at = entry->at_ns > *at ? entry->at_ns : *at;
        entry->at_ns = *at;
    }
    return ERR_OK;
}

/* The tree grows by the next leaves, as far as they are made: at most so many, at least one. */
static enum err leaves_add(struct trail_list *list, size_t from, size_t most,
                           struct trail_tree *tree, size_t *ret_some)
{
    enum err err = trail_hasher_some(&list->hasher, from, most, ret_some);

    for (size_t i = 0; i < *ret_some && err == ERR_OK; i++)
        trail_tree_add(tree, &list->entries[from + i].leaf);
    return err;
}

/* ---- rows --------------------------------------------------------------------------------------
 */

static struct store_value text_or_null(struct span text)
{
    return text.len == 0 ? STORE_NULL : STORE_TEXT(text);
}

static void row_write(const struct trail_entry *entry, struct store_value row[COLUMN_COUNT])
{
    struct span plain[TRAIL_PLAIN_COUNT];

    row[COLUMN_SEQ] = STORE_I64(entry->seq);
    row[COLUMN_ID] = STORE_BLOB(span_make(entry->id, TRAIL_ID_BYTES));
    row[COLUMN_AT] = STORE_I64(entry->at_ns);
    trail_plain(entry, plain);
    for (size_t i = 0; i < TRAIL_PLAIN_COUNT; i++)
        row[COLUMN_PLAIN + i] = text_or_null(plain[i]);
    for (size_t i = 0; i < TRAIL_PERSONAL_COUNT; i++)
        row[COLUMN_PERSONAL + i] = text_or_null(entry->personal[i]);
    row[COLUMN_SEED] = entry->seed.len == 0 ? STORE_NULL : STORE_BLOB(entry->seed);
    row[COLUMN_LEAF] = STORE_BLOB(span_make(entry->leaf.bytes, TRAIL_HASH_BYTES));
}

/* The first `count`, each as soon as its leaf is there. */
static enum err rows_one_by_one(struct store_conn *conn, struct trail_list *list, size_t count,
                                struct trail_tree *tree)
{
    struct store_value rows[CHUNK_ROWS * COLUMN_COUNT];
    enum err err = ERR_OK;

    for (size_t done = 0, some = 0; done < count && err == ERR_OK; done += some) {
        some = count - done < CHUNK_ROWS ? count - done : CHUNK_ROWS;
        err = leaves_add(list, done, some, tree, &some);
        for (size_t i = 0; i < some && err == ERR_OK; i++)
            row_write(&list->entries[done + i], rows + i * COLUMN_COUNT);
        if (err == ERR_OK)
            err = store_exec_many(conn, &entry_insert, rows, COLUMN_COUNT, some, NULL);
    }
    return err;
}

/* "a\"b": an element of an array. PostgreSQL manual, 8.15.2. */
static void element_add(struct sbuf *out, struct span text)
{
    size_t done = 0;

    sbuf_add_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] != '"' && text.ptr[i] != '\\')
            continue;
        sbuf_add_bytes(out, text.ptr + done, i - done);
        sbuf_add_char(out, '\\');
        done = i;
    }
    sbuf_add_bytes(out, text.ptr + done, text.len - done);
    sbuf_add_char(out, '"');
}

static void value_add(struct sbuf *out, const struct store_value *value)
{
    switch (value->type) {
    case STORE_TYPE_NULL:
        sbuf_add_lit(out, "NULL");
        return;
    case STORE_TYPE_I64:
        sbuf_add_i64(out, value->number);
        return;
    case STORE_TYPE_TEXT:
        element_add(out, value->bytes);
        return;
    case STORE_TYPE_BLOB:
        sbuf_add_lit(out, "\"\\\\x");
        sbuf_add_hex(out, value->bytes.ptr, value->bytes.len);
        sbuf_add_char(out, '"');
        return;
    case STORE_TYPE_BOOL:
        break;
    }
    PC_WRONG("no column is a truth");
}

/* {1,2,NULL}: a column of the rows. */
static enum err column_write(const struct store_value *rows, size_t count, size_t column,
                             struct arena *arena, struct store_value *ret_array)
{
    struct sbuf out = sbuf_on(arena, LIMIT_STORE_VALUE_BYTES_MAX);
    struct span text;

    for (size_t i = 0; i < count; i++) {
        sbuf_add_char(&out, i == 0 ? '{' : ',');
        value_add(&out, &rows[i * COLUMN_COUNT + column]);
    }
    sbuf_add_char(&out, '}');
    if (sbuf_finish(&out, &text) != ERR_OK)
        return ERR_NO_MEMORY;
    *ret_array = STORE_TEXT(text);
    return ERR_OK;
}

static enum err rows_as_columns(struct store_conn *conn, struct trail_list *list,
                                struct trail_tree *tree)
{
    size_t count = list->count;
    struct store_value *rows = arena_alloc(&list->arena, count * COLUMN_COUNT * sizeof(*rows));
    struct store_value arrays[COLUMN_COUNT];
    enum err err = rows == NULL ? ERR_NO_MEMORY : ERR_OK;

    for (size_t done = 0, some = 0; done < count && err == ERR_OK; done += some)
        err = leaves_add(list, done, count - done, tree, &some);
    for (size_t i = 0; i < count && err == ERR_OK; i++)
        row_write(&list->entries[i], rows + i * COLUMN_COUNT);
    for (size_t i = 0; i < COLUMN_COUNT && err == ERR_OK; i++)
        err = column_write(rows, count, i, &list->arena, &arrays[i]);
    if (err)
        return err;
    return store_exec_many(conn, &entries_insert_set, arrays, COLUMN_COUNT, 1, NULL);
}

/* SQLite: the last row says how the tree ends behind its last whole tile, and the head's stays as
 * it is. It is a page less to be written for each commit. */
static enum err rows_with_roots(struct store_conn *conn, struct trail_list *list,
                                struct trail_tree *tree)
{
    struct store_value row[COLUMN_COUNT + 1];
    size_t last = list->count - 1;
    size_t some, whole, rest;
    enum err err = rows_one_by_one(conn, list, last, tree);

    if (err == ERR_OK)
        err = leaves_add(list, last, 1, tree, &some);
    if (err)
        return err;
    whole = trail_tree_roots(tree->size / TRAIL_HEAD_LEAVES);
    rest = trail_tree_roots(tree->size) - whole;
    row_write(&list->entries[last], row);
    row[COLUMN_COUNT] = STORE_BLOB(span_make(&tree->roots[whole], rest * TRAIL_HASH_BYTES));
    return store_exec_many(conn, &last_insert, row, COLUMN_COUNT + 1, 1, NULL);
}

/* The tags are a JSON array of texts; who takes them in has seen to that. */
static enum err tags_write(struct store_conn *conn, const struct trail_entry *entry,
                           struct arena *arena)
{
    const struct json_value *list = NULL;
    struct store_value *values;
    enum err err = json_read(entry->tags, arena, &list, NULL);

    if (err || !json_is_list(list))
        return err ? err : ERR_JSON_SYNTAX;
    values = arena_alloc(arena, (2 * list->count + 1) * sizeof(*values));
    if (values == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < list->count; i++) {
        if (!json_is_text(&list->items[i]))
            return ERR_JSON_SYNTAX;
        values[2 * i] = STORE_TEXT(list->items[i].text);
        values[2 * i + 1] = STORE_I64(entry->seq);
    }
    return store_exec_many(conn, &tag_insert, values, 2, list->count, NULL);
}

/* The entries become leaves and rows; the tree grows by them. */
static enum err rows_write(struct store_conn *conn, struct trail_list *list, bool with_head,
                           struct trail_tree *tree)
{
    const struct trail_entry *entries = list->entries;
    size_t count = list->count;
    bool as_columns = store_conn_kind(conn) == STORE_POSTGRES && count >= SET_ROWS_MIN;
    enum err err;

    trail_hasher_begin(&list->hasher, list->entries, count);
    err = as_columns  ? rows_as_columns(conn, list, tree)
          : with_head ? rows_one_by_one(conn, list, count, tree)
                      : rows_with_roots(conn, list, tree);
    trail_hasher_end(&list->hasher);
    for (size_t i = 0; i < count && err == ERR_OK; i++) {
        if (entries[i].tags.len > 0)
            err = tags_write(conn, &entries[i], &list->arena);
    }
    return err;
}

/* SQLite: ids that were not made here have to be nobody else's, and are found without the index. */
static enum err given_write(struct store_conn *conn, const struct trail_list *list, uint64_t size)
{
    enum err err = ERR_OK;

    if (store_conn_kind(conn) == STORE_POSTGRES)
        return ERR_OK;
    for (size_t i = 0; i < list->count && err == ERR_OK; i++) {
        const unsigned char *id = list->entries[i].id;

        if (!id_is_none(id))
            err = store_exec(conn, &given_insert,
                             STORE_PARAMS(STORE_BLOB(span_make(id, TRAIL_ID_BYTES)),
                                          STORE_I64((int64_t)(size + i))),
                             NULL);
    }
    return err;
}

/* ---- the log -----------------------------------------------------------------------------------
 */

static enum err head_write(struct store_conn *conn, const struct trail_tree *tree, int64_t at)
{
    size_t bytes = trail_tree_roots(tree->size) * TRAIL_HASH_BYTES;

    return store_exec_many(conn, &head_update,
                           STORE_PARAMS(STORE_I64((int64_t)tree->size), STORE_I64(at),
                                        STORE_BLOB(span_make(tree->roots, bytes))),
                           1, NULL);
}

/* SQLite: not before 256 leaves are complete. */
static bool writes_head(const struct store_conn *conn, const struct trail_tree *before,
                        size_t count)
{
    return store_conn_kind(conn) == STORE_POSTGRES ||
           before->size / TRAIL_HEAD_LEAVES != (before->size + count) / TRAIL_HEAD_LEAVES;
}

enum err trail_append(struct store_conn *conn, struct trail_list *list)
{
    struct trail_tree before, tree;
    bool with_head = false;
    int64_t at = 0;
    enum err err;

    if (list->count == 0)
        return ERR_OK;
    err = trail_tree_read(conn, &before, &at);
    if (err)
        return err;
    tree = before;
    err = given_write(conn, list, before.size);
    if (err)
        return err;
    trail_ids(list);
    err = entries_place(before.size, &at, list);
    with_head = writes_head(conn, &before, list->count);
    if (err == ERR_OK)
        err = rows_write(conn, list, with_head, &tree);
    if (err == ERR_OK)
        err = trail_index_add(conn, &list->block, &before, &tree, list->entries, list->count);
    return err || !with_head ? err : head_write(conn, &tree, at);
}

static enum err log_seal(struct store_conn *conn, void *state)
{
    return trail_append(conn, state);
}

static void log_committed(const void *state)
{
    const struct trail_list *list = state;

    trail_count(list->entries, list->count);
    trail_recent_add(list->entries, list->count);
}

const struct store_seal trail_seal = {.open = trail_list_open,
                                      .close = trail_list_close,
                                      .begin = trail_list_begin,
                                      .mark = trail_list_mark,
                                      .undo = trail_list_undo,
                                      .seal = log_seal,
                                      .committed = log_committed,
                                      .turn_table = "trail_turn"};
