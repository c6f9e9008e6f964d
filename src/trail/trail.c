/* SPDX-License-Identifier: MIT
 * The catalogue of events, and the one statement that adds to the trail. It runs in the job of what
 * it records, so both are committed or neither is. */
#include "trail/trail.h"

#include <string.h>

#include "base/mask.h"
#include "json/json_writer.h"
#include "trail/trail_priv.h"

static const struct {
    const char *name, *category, *severity;
} catalogue[TRAIL_EVENT_COUNT] = {
#define TRAIL_EVENT(id, event, group, weight, about)                                               \
    [id] = {.name = (event), .category = (group), .severity = (weight)},
#include "trail/trail.def"
#undef TRAIL_EVENT
};

static const char *const actor_kinds[] = {
    [TRAIL_ACTOR_UNKNOWN] = "unknown",
    [TRAIL_ACTOR_USER] = "user",
    [TRAIL_ACTOR_CLIENT] = "client",
    [TRAIL_ACTOR_SYSTEM] = "system",
};

static const struct store_statement trail_insert = {
    .name = "trail_insert",
    .sqlite = "INSERT INTO trail_events (at, event, outcome, actor_kind, actor, client, address, "
              "request_id, object, reason, details) "
              "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"};

/* Each text at its longest, each byte of it escaped, and the names. */
enum { DETAIL_NAME_BYTES_MAX = 32, DETAIL_BYTES_MAX = 2 * TRAIL_TEXT_BYTES_MAX + 64 };

const char *trail_event_name(enum trail_event event)
{
    PC_ASSERT(event < TRAIL_EVENT_COUNT);
    return catalogue[event].name;
}

const char *trail_event_category(enum trail_event event)
{
    PC_ASSERT(event < TRAIL_EVENT_COUNT);
    return catalogue[event].category;
}

const char *trail_event_severity(enum trail_event event)
{
    PC_ASSERT(event < TRAIL_EVENT_COUNT);
    return catalogue[event].severity;
}

/* {"scope":"openid"}: the details in their order. */
static struct span details_write(const struct trail_record *record, struct sbuf *out)
{
    struct json_writer w = json_writer_on(out);
    char room[TRAIL_TEXT_BYTES_MAX];

    json_begin_object(&w);
    for (size_t i = 0; i < TRAIL_DETAILS_MAX && record->details[i].name != NULL; i++) {
        PC_ASSERT(span_from(record->details[i].name).len <= DETAIL_NAME_BYTES_MAX);
        json_add_text(&w, record->details[i].name, trail_text(record->details[i].value, room));
    }
    json_end_object(&w);
    PC_ASSERT(!out->full);
    return sbuf_span(out);
}

/* Empty texts are NULL in the table. */
static struct store_value text_value(struct span text, char room[TRAIL_TEXT_BYTES_MAX])
{
    struct span clean = trail_text(text, room);

    return clean.len == 0 ? STORE_NULL : STORE_TEXT(clean);
}

/* What somebody claimed to be is what they typed, and may be a card number. */
static struct store_value claim_value(struct span text, char room[TRAIL_TEXT_BYTES_MAX])
{
    struct span clean = trail_text(text, room);

    if (clean.len == 0)
        return STORE_NULL;
    if (clean.ptr != room)
        memcpy(room, clean.ptr, clean.len);
    mask_in_place(room, clean.len);
    return STORE_TEXT(span_make(room, clean.len));
}

enum { COLUMNS = 11, TEXTS = 6 };

/* What a row is made of besides the record's own texts. */
struct rooms {
    char texts[TEXTS][TRAIL_TEXT_BYTES_MAX];
    char details[TRAIL_DETAILS_MAX * DETAIL_BYTES_MAX];
};

static void row_write(const struct trail_record *record, struct rooms *rooms,
                      struct store_value row[COLUMNS])
{
    struct sbuf out = sbuf_over(rooms->details, sizeof(rooms->details));
    const struct span texts[TEXTS] = {record->actor,      record->client_id, record->address,
                                      record->request_id, record->object,    record->reason};
    bool done = record->outcome == TRAIL_DONE;
    size_t at = 0;

    PC_ASSERT((size_t)record->actor_kind < PC_COUNT(actor_kinds));
    row[at++] = STORE_I64(record->at_ns);
    row[at++] = STORE_TEXT(span_from(trail_event_name(record->event)));
    row[at++] = STORE_TEXT(done ? SPAN_OF("done") : SPAN_OF("refused"));
    row[at++] = STORE_TEXT(span_from(actor_kinds[record->actor_kind]));
    for (size_t i = 0; i < TEXTS; i++) {
        bool claimed = i == 0 && record->actor_kind == TRAIL_ACTOR_UNKNOWN;

        row[at++] = claimed ? claim_value(texts[i], rooms->texts[i])
                            : text_value(texts[i], rooms->texts[i]);
    }
    row[at++] = STORE_TEXT(details_write(record, &out));
    PC_ASSERT(at == COLUMNS);
}

enum err trail_add(struct store_conn *conn, const struct trail_record *record)
{
    struct store_value row[COLUMNS];
    struct rooms rooms;

    row_write(record, &rooms, row);
    return store_exec(conn, &trail_insert, row, COLUMNS, NULL);
}

/* Moves what lies in the rooms, which serve the next record, to the arena. */
static bool row_keep(const struct rooms *rooms, struct arena *arena, struct store_value *row)
{
    uintptr_t begin = (uintptr_t)rooms;

    for (size_t i = 0; i < COLUMNS; i++) {
        uintptr_t at = (uintptr_t)row[i].bytes.ptr;

        if (row[i].type != STORE_TYPE_TEXT || at < begin || at >= begin + sizeof(*rooms))
            continue;
        row[i].bytes = arena_copy(arena, row[i].bytes);
        if (row[i].bytes.ptr == NULL)
            return false;
    }
    return true;
}

enum err trail_add_many(struct store_conn *conn, const struct trail_record *records, size_t count,
                        struct arena *arena)
{
    struct store_value *rows;
    struct rooms rooms;

    if (count == 0)
        return ERR_OK;
    rows = arena_alloc(arena, count * COLUMNS * sizeof(*rows));
    if (rows == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        row_write(&records[i], &rooms, rows + i * COLUMNS);
        if (!row_keep(&rooms, arena, rows + i * COLUMNS))
            return ERR_NO_MEMORY;
    }
    return store_exec_many(conn, &trail_insert, rows, COLUMNS, count, NULL);
}
