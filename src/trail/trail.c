/* SPDX-License-Identifier: MIT
 * The catalogue of events, and the one statement that adds to the trail. It runs in the job of what
 * it records, so both are committed or neither is. */
#include "trail/trail.h"

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

enum err trail_add(struct store_conn *conn, const struct trail_record *record)
{
    char rooms[6][TRAIL_TEXT_BYTES_MAX];
    char details[TRAIL_DETAILS_MAX * DETAIL_BYTES_MAX];
    struct sbuf out = sbuf_over(details, sizeof(details));
    const char *name = trail_event_name(record->event);

    PC_ASSERT((size_t)record->actor_kind < PC_COUNT(actor_kinds));
    return store_exec(
        conn, &trail_insert,
        STORE_PARAMS(
            STORE_I64(record->at_ns), STORE_TEXT(span_from(name)),
            STORE_TEXT(record->outcome == TRAIL_DONE ? SPAN_OF("done") : SPAN_OF("refused")),
            STORE_TEXT(span_from(actor_kinds[record->actor_kind])),
            text_value(record->actor, rooms[0]), text_value(record->client_id, rooms[1]),
            text_value(record->address, rooms[2]), text_value(record->request_id, rooms[3]),
            text_value(record->object, rooms[4]), text_value(record->reason, rooms[5]),
            STORE_TEXT(details_write(record, &out))),
        NULL);
}
