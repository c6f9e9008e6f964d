/* SPDX-License-Identifier: MIT
 * The catalogue of events, and how a record is handed over: checked, copied, and left with the
 * writing handle, which seals it into the log right before the COMMIT of what it tells of. So both
 * are committed or neither is. */
#include "trail/trail.h"

#include <string.h>

#include "base/limits.h"
#include "base/mask.h"
#include "json/json_writer.h"
#include "trail/trail_priv.h"

static const struct {
    const char *name, *category, *severity, *source;
} catalogue[TRAIL_EVENT_COUNT] = {
#define TRAIL_EVENT(id, event, group, weight, from, about)                                         \
    [id] = {.name = (event), .category = (group), .severity = (weight), .source = (from)},
#include "trail/trail.def"
#undef TRAIL_EVENT
};

static const char *const actor_kinds[] = {
    [TRAIL_ACTOR_UNKNOWN] = "unknown",
    [TRAIL_ACTOR_USER] = "user",
    [TRAIL_ACTOR_CLIENT] = "client",
    [TRAIL_ACTOR_SYSTEM] = "system",
};

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

const char *trail_event_source(enum trail_event event)
{
    PC_ASSERT(event < TRAIL_EVENT_COUNT);
    return catalogue[event].source;
}

bool trail_is_own_source(struct span name)
{
    for (size_t i = 0; i < TRAIL_EVENT_COUNT; i++) {
        if (span_is_nocase(name, catalogue[i].source))
            return true;
    }
    return false;
}

/* ---- texts ------------------------------------------------------------------------------------
 */

/* False: no memory. */
static bool text_keep(struct arena *arena, struct span text, bool claimed, struct span *ret)
{
    char room[TRAIL_TEXT_BYTES_MAX];
    struct span clean = trail_text(text, room);
    char *copy;

    if (clean.len == 0)
        return true;
    copy = arena_bytes(arena, clean.len);
    if (copy == NULL)
        return false;
    memcpy(copy, clean.ptr, clean.len);
    if (claimed) /* it is what somebody typed, and may be a card number */
        mask_in_place(copy, clean.len);
    *ret = span_make(copy, clean.len);
    return true;
}

static bool whole_keep(struct arena *arena, struct span text, struct span *ret)
{
    if (text.len > 0)
        *ret = arena_copy(arena, text);
    return text.len == 0 || ret->ptr != NULL;
}

static bool json_keep(struct arena *arena, struct span json, struct span *ret)
{
    struct sbuf out = sbuf_on(arena, TRAIL_JSON_TIMES_MAX * json.len + 1);

    if (json.len == 0)
        return true;
    trail_json_plain(json, &out);
    return sbuf_finish(&out, ret) == ERR_OK;
}

/* {"scope":"openid"}: the details in their order. */
static bool details_keep(struct arena *arena, const struct trail_record *record, struct span *ret)
{
    char text[TRAIL_DETAILS_MAX * DETAIL_BYTES_MAX];
    struct sbuf out = sbuf_over(text, sizeof(text));
    struct json_writer w = json_writer_on(&out);
    char room[TRAIL_TEXT_BYTES_MAX];

    if (record->details[0].name == NULL)
        return true;
    json_begin_object(&w);
    for (size_t i = 0; i < TRAIL_DETAILS_MAX && record->details[i].name != NULL; i++) {
        PC_ASSERT(span_from(record->details[i].name).len <= DETAIL_NAME_BYTES_MAX);
        json_add_text(&w, record->details[i].name, trail_text(record->details[i].value, room));
    }
    json_end_object(&w);
    PC_ASSERT(!out.full);
    return whole_keep(arena, sbuf_span(&out), ret);
}

/* ---- a record ---------------------------------------------------------------------------------
 */

/* Of the catalogue's events; these words live for ever. */
static bool names_keep(struct arena *arena, const struct trail_record *record,
                       struct trail_entry *entry)
{
    entry->event = span_from(trail_event_name(record->event));
    entry->category = span_from(trail_event_category(record->event));
    entry->severity = span_from(trail_event_severity(record->event));
    entry->source = span_from(trail_event_source(record->event));
    entry->outcome = record->outcome == TRAIL_DONE ? SPAN_OF("done") : SPAN_OF("refused");
    entry->actor_kind = span_from(actor_kinds[record->actor_kind]);
    return text_keep(arena, record->source, false, &entry->source);
}

static bool external_keep(struct arena *arena, const struct trail_external *external,
                          struct trail_entry *entry)
{
    memcpy(entry->id, external->id, sizeof(entry->id));
    return text_keep(arena, external->event, false, &entry->event) &&
           text_keep(arena, external->category, false, &entry->category) &&
           text_keep(arena, external->severity, false, &entry->severity) &&
           text_keep(arena, external->principal, false,
                     &entry->personal[TRAIL_PERSONAL_PRINCIPAL]) &&
           json_keep(arena, external->tags, &entry->tags) &&
           json_keep(arena, external->metadata, &entry->personal[TRAIL_PERSONAL_DETAILS]);
}

static bool record_keep(struct arena *arena, const struct trail_record *record,
                        struct trail_entry *entry)
{
    struct span *personal = entry->personal;
    bool claimed = record->actor_kind == TRAIL_ACTOR_UNKNOWN;

    entry->at_ns = record->at_ns;
    return names_keep(arena, record, entry) &&
           text_keep(arena, record->client_id, false, &entry->client) &&
           text_keep(arena, record->request_id, false, &entry->request_id) &&
           text_keep(arena, record->actor, claimed, &personal[TRAIL_PERSONAL_ACTOR]) &&
           text_keep(arena, record->address, false, &personal[TRAIL_PERSONAL_ADDRESS]) &&
           text_keep(arena, record->object, false, &personal[TRAIL_PERSONAL_OBJECT]) &&
           text_keep(arena, record->reason, false, &personal[TRAIL_PERSONAL_REASON]) &&
           details_keep(arena, record, &personal[TRAIL_PERSONAL_DETAILS]) &&
           (record->external == NULL || external_keep(arena, record->external, entry));
}

enum err trail_add(struct store_conn *conn, const struct trail_record *record)
{
    struct trail_list *list = store_conn_seal(conn);
    struct trail_entry *entry;

    PC_ASSERT((size_t)record->actor_kind < PC_COUNT(actor_kinds));
    PC_ASSERT((record->external != NULL) == (record->event == TRAIL_AUDIT_EXTERNAL));
    if (list == NULL) /* nobody would write it */
        return ERR_INTERNAL;
    if (record->external != NULL && record->external->tags.len > TRAIL_TAGS_BYTES_MAX)
        return ERR_VALIDATION;
    trail_look_at(record);
    entry = trail_list_push(list);
    if (entry == NULL || !record_keep(&list->arena, record, entry))
        return ERR_NO_MEMORY;
    return ERR_OK;
}

enum err trail_add_many(struct store_conn *conn, const struct trail_record *records, size_t count)
{
    enum err err = ERR_OK;

    for (size_t i = 0; i < count && err == ERR_OK; i++)
        err = trail_add(conn, &records[i]);
    return err;
}
