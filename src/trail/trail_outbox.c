/* SPDX-License-Identifier: MIT
 * The outbox: records as bytes, into rows and out of them again. */
#include "trail/trail_outbox.h"

#include <string.h>

#include "base/limits.h"
#include "trail/trail_priv.h"

enum { FORMAT = 1, LENGTH_BYTES = 4, CHUNK_ROWS = 64 };

/* ---- bytes -------------------------------------------------------------------------------------
 * Lengths are big-endian. An empty field and one that is not there are the same, as in the log. */

static void number_add(struct sbuf *out, uint64_t number, size_t bytes)
{
    for (size_t i = bytes; i-- > 0;)
        sbuf_add_char(out, (char)(number >> (8 * i) & 0xFF));
}

static void field_add(struct sbuf *out, struct span field)
{
    number_add(out, field.len, LENGTH_BYTES);
    sbuf_add(out, field);
}

enum err trail_outbox_encode(const struct trail_entry *entry, struct sbuf *out)
{
    struct span plain[TRAIL_PLAIN_COUNT];

    sbuf_add_char(out, FORMAT);
    sbuf_add_bytes(out, (const char *)entry->id, TRAIL_ID_BYTES);
    number_add(out, (uint64_t)entry->at_ns, sizeof(entry->at_ns));
    trail_plain(entry, plain);
    for (size_t i = 0; i < TRAIL_PLAIN_COUNT; i++)
        field_add(out, plain[i]);
    for (size_t i = 0; i < TRAIL_PERSONAL_COUNT; i++)
        field_add(out, entry->personal[i]);
    return out->full ? ERR_NO_SPACE : ERR_OK;
}

static bool bytes_take(struct span *rest, size_t count, struct span *ret)
{
    if (rest->len < count)
        return false;
    *ret = span_slice(*rest, 0, count);
    *rest = span_slice(*rest, count, rest->len);
    return true;
}

static bool number_take(struct span *rest, size_t bytes, uint64_t *ret)
{
    struct span digits;

    if (!bytes_take(rest, bytes, &digits))
        return false;
    *ret = 0;
    for (size_t i = 0; i < bytes; i++)
        *ret = *ret << 8 | (unsigned char)digits.ptr[i];
    return true;
}

static bool field_take(struct span *rest, struct span *ret)
{
    uint64_t len;

    if (!number_take(rest, LENGTH_BYTES, &len) || !bytes_take(rest, len, ret))
        return false;
    if (len == 0)
        *ret = (struct span){0};
    return true;
}

enum err trail_outbox_decode(struct span record, struct trail_entry *ret)
{
    struct trail_entry entry = {0};
    struct span *const plain[] = {&entry.event,   &entry.category,   &entry.severity,
                                  &entry.outcome, &entry.source,     &entry.actor_kind,
                                  &entry.client,  &entry.request_id, &entry.tags};
    struct span id;
    uint64_t format;
    uint64_t at;

    _Static_assert(PC_COUNT(plain) == TRAIL_PLAIN_COUNT, "a field is not read");
    if (!number_take(&record, 1, &format) || format != FORMAT ||
        !bytes_take(&record, TRAIL_ID_BYTES, &id) || !number_take(&record, sizeof(at), &at))
        return ERR_STORE_CORRUPT;
    memcpy(entry.id, id.ptr, TRAIL_ID_BYTES);
    entry.at_ns = (int64_t)at;
    for (size_t i = 0; i < TRAIL_PLAIN_COUNT; i++)
        if (!field_take(&record, plain[i]))
            return ERR_STORE_CORRUPT;
    for (size_t i = 0; i < TRAIL_PERSONAL_COUNT; i++)
        if (!field_take(&record, &entry.personal[i]))
            return ERR_STORE_CORRUPT;
    if (record.len > 0)
        return ERR_STORE_CORRUPT;
    *ret = entry;
    return ERR_OK;
}

/* ---- in ----------------------------------------------------------------------------------------
 */

enum { INSERT_VALUES = 3 };

static const struct store_statement row_insert = {
    .name = "trail_outbox_insert",
    .sqlite = "INSERT INTO trail_outbox (id, at, record) VALUES (?1, ?2, ?3)"};

static enum err row_write(const struct trail_entry *entry, struct arena *arena,
                          struct store_value row[INSERT_VALUES])
{
    struct sbuf out = sbuf_on(arena, LIMIT_STORE_VALUE_BYTES_MAX);
    struct span record;
    enum err err = trail_outbox_encode(entry, &out);

    if (err == ERR_OK)
        err = sbuf_finish(&out, &record);
    if (err)
        return ERR_NO_MEMORY;
    row[0] = STORE_BLOB(span_make((const char *)entry->id, TRAIL_ID_BYTES));
    row[1] = STORE_I64(entry->at_ns);
    row[2] = STORE_BLOB(record);
    return ERR_OK;
}

static enum err rows_write(struct store_conn *conn, const struct trail_entry *entries, size_t count,
                           struct arena *arena)
{
    struct store_value rows[CHUNK_ROWS * INSERT_VALUES];
    enum err err = ERR_OK;

    for (size_t done = 0, some; done < count && err == ERR_OK; done += some) {
        some = count - done < CHUNK_ROWS ? count - done : CHUNK_ROWS;
        for (size_t i = 0; i < some && err == ERR_OK; i++)
            err = row_write(&entries[done + i], arena, rows + i * INSERT_VALUES);
        if (err == ERR_OK)
            err = store_exec_many(conn, &row_insert, rows, INSERT_VALUES, some, NULL);
    }
    return err;
}

/* The seal is its first member. */
static const struct trail_outbox *outbox_of(const struct store_conn *conn)
{
    const void *seal = store_conn_sealed_by(conn);

    _Static_assert(offsetof(struct trail_outbox, seal) == 0, "the seal does not come first");
    return seal;
}

static enum err outbox_seal(struct store_conn *conn, void *state)
{
    const struct trail_outbox *outbox = outbox_of(conn);
    struct trail_list *list = state;
    enum err err = ERR_OK;

    if (outbox->pressure != NULL)
        err = trail_pressure_admit(outbox->pressure, list->count);
    if (err)
        return err;
    trail_ids(list);
    err = rows_write(conn, list->entries, list->count, &list->arena);
    if (err == ERR_OK && outbox->written != NULL)
        (void)sem_post(outbox->written); /* as many as it can count are enough */
    return err;
}

void trail_outbox_init(struct trail_outbox *outbox, struct trail_pressure *pressure, sem_t *written)
{
    *outbox = (struct trail_outbox){.seal = trail_seal, .pressure = pressure, .written = written};
    outbox->seal.seal = outbox_seal;
    outbox->seal.turn_table = NULL; /* rows stand in nobody's way */
}

/* ---- out ---------------------------------------------------------------------------------------
 */

static const struct store_statement rows_oldest = {
    .name = "trail_outbox_oldest",
    .sqlite = "SELECT number, record FROM trail_outbox ORDER BY number LIMIT ?1"};

enum err trail_outbox_read(struct store_conn *conn, size_t rows_max, size_t bytes_max,
                           struct arena *arena, struct trail_outbox_rows *ret)
{
    struct trail_entry *entries = arena_alloc(arena, rows_max * sizeof(*entries));
    int64_t *numbers = arena_alloc(arena, rows_max * sizeof(*numbers));
    PC_AUTO(store_rows) rows = NULL;
    size_t bytes = 0;
    size_t count = 0;
    enum err err;

    if (entries == NULL || numbers == NULL)
        return ERR_NO_MEMORY;
    err = store_query(conn, &rows_oldest, STORE_PARAMS(STORE_I64((int64_t)rows_max)), &rows);
    if (err)
        return err;
    while (bytes < bytes_max && store_next(rows)) {
        struct span record = store_rows_blob(rows, 1, arena);

        PC_ASSERT(count < rows_max);
        numbers[count] = store_rows_i64(rows, 0);
        err = store_rows_err(rows);
        if (err == ERR_OK)
            err = trail_outbox_decode(record, &entries[count]);
        if (err)
            return err;
        bytes += record.len;
        count++;
    }
    *ret = (struct trail_outbox_rows){.entries = entries, .numbers = numbers, .count = count};
    return store_rows_err(rows);
}

/* ---- on ----------------------------------------------------------------------------------------
 */

static const struct store_statement entry_there = {
    .name = "trail_outbox_there", .sqlite = "SELECT 1 FROM trail_given WHERE id = ?1"};

/* All ids behind each other in one value: which of them are there, by their place. */
static const struct store_statement entries_there = {
    .name = "trail_outbox_there_set",
    .sqlite = "SELECT place FROM generate_series(0, ?2::bigint - 1) AS place JOIN trail_events "
              "ON id = substr(?1::bytea, (place * 16 + 1)::integer, 16)"};

static enum err find_one_by_one(struct store_conn *conn, const struct trail_outbox_rows *rows,
                                bool *there)
{
    enum err err = ERR_OK;

    for (size_t i = 0; i < rows->count && err == ERR_OK; i++) {
        struct span id = span_make((const char *)rows->entries[i].id, TRAIL_ID_BYTES);
        PC_AUTO(store_rows) found = NULL;

        err = store_query(conn, &entry_there, STORE_PARAMS(STORE_BLOB(id)), &found);
        if (err)
            return err;
        there[i] = store_next(found);
        err = store_rows_err(found);
    }
    return err;
}

static enum err find_set(struct store_conn *conn, const struct trail_outbox_rows *rows,
                         struct arena *arena, bool *there)
{
    struct sbuf ids = sbuf_on(arena, LIMIT_STORE_VALUE_BYTES_MAX);
    PC_AUTO(store_rows) found = NULL;
    struct span list;
    enum err err;

    for (size_t i = 0; i < rows->count; i++)
        sbuf_add_bytes(&ids, (const char *)rows->entries[i].id, TRAIL_ID_BYTES);
    err = sbuf_finish(&ids, &list);
    if (err)
        return ERR_NO_MEMORY;
    err = store_query(conn, &entries_there,
                      STORE_PARAMS(STORE_BLOB(list), STORE_I64((int64_t)rows->count)), &found);
    if (err)
        return err;
    while (store_next(found)) {
        int64_t place = store_rows_i64(found, 0);

        if (place < 0 || (size_t)place >= rows->count)
            return store_rows_end(found, ERR_STORE_CORRUPT);
        there[place] = true;
    }
    return store_rows_err(found);
}

enum err trail_outbox_append(struct store_conn *conn, const struct trail_outbox_rows *rows,
                             size_t *ret_count)
{
    struct trail_list *list = store_conn_seal(conn);
    bool *there = arena_zero(&list->arena, rows->count * sizeof(*there));
    enum err err;

    *ret_count = 0;
    if (there == NULL)
        return ERR_NO_MEMORY;
    err = store_conn_kind(conn) == STORE_POSTGRES ? find_set(conn, rows, &list->arena, there)
                                                  : find_one_by_one(conn, rows, there);
    for (size_t i = 0; i < rows->count && err == ERR_OK; i++) {
        struct trail_entry *entry;

        if (there[i])
            continue;
        entry = trail_list_push(list);
        if (entry == NULL)
            return ERR_NO_MEMORY;
        *entry = rows->entries[i];
        ++*ret_count;
    }
    return err;
}

static const struct store_statement row_delete = {
    .name = "trail_outbox_delete", .sqlite = "DELETE FROM trail_outbox WHERE number = ?1"};

enum err trail_outbox_delete(struct store_conn *conn, const struct trail_outbox_rows *rows,
                             struct arena *arena)
{
    struct store_value *values = arena_alloc(arena, (rows->count + 1) * sizeof(*values));
    enum err err;

    if (values == NULL)
        return ERR_NO_MEMORY;
    err = trail_wipe(conn); /* erasing a person later finds only what is in rows */
    if (err)
        return err;
    for (size_t i = 0; i < rows->count; i++)
        values[i] = STORE_I64(rows->numbers[i]);
    return store_exec_many(conn, &row_delete, values, 1, rows->count, NULL);
}

/* SQLite's numbers have no gaps but those at the front, so nothing need be counted there. */
static const struct store_statement rows_look = {
    .name = "trail_outbox_look",
    .sqlite = "SELECT coalesce((SELECT max(number) FROM trail_outbox) "
              "- (SELECT min(number) FROM trail_outbox) + 1, 0), "
              "(SELECT at FROM trail_outbox ORDER BY number LIMIT 1), "
              "(SELECT min(number) FROM trail_outbox), (SELECT max(number) FROM trail_outbox), ?1",
    .postgres = "SELECT (SELECT count(*) FROM (SELECT 1 FROM trail_outbox LIMIT ?1) AS counted), "
                "(SELECT at FROM trail_outbox ORDER BY number LIMIT 1), "
                "(SELECT min(number) FROM trail_outbox), (SELECT max(number) FROM trail_outbox)"};

enum err trail_outbox_look(struct store_conn *conn, size_t count_max, struct trail_outbox_look *ret)
{
    PC_AUTO(store_rows) rows = NULL;
    int64_t count;
    enum err err;

    err = store_query(conn, &rows_look, STORE_PARAMS(STORE_I64((int64_t)count_max + 1)), &rows);
    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_STORE_CORRUPT);
    count = store_rows_i64(rows, 0);
    *ret = (struct trail_outbox_look){.count = count > 0 ? (size_t)count : 0,
                                      .oldest_at_ns = store_rows_i64_or(rows, 1, 0),
                                      .oldest = store_rows_i64_or(rows, 2, 0),
                                      .newest = store_rows_i64_or(rows, 3, 0)};
    return store_rows_err(rows);
}
