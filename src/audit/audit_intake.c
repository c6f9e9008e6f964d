/* SPDX-License-Identifier: MIT
 * An event as a program gives it in: what it may look like, and whether it is the one that is in
 * the log already. Card data is masked while it is read, before anybody else sees it. */
#include "audit/audit_priv.h"

#include <string.h>

#include "json/json_writer.h"

const char *const audit_categories[] = {"security", "transaction", "compliance", "platform", NULL};
const char *const audit_severities[] = {"info", "warning", "critical", NULL};
const char *const audit_outcomes[] = {"done", "refused", NULL};

static const struct json_field tag_item = {
    .kind = JSON_KIND_TEXT, .free_text = true, .min = 1, .max = AUDIT_TAG_CHARS_MAX};

#define FREE_FIELD(label, member, least, sample)                                                   \
    .name = (label), .kind = JSON_KIND_TEXT, .free_text = true, .min = (least),                    \
    .max = AUDIT_NAME_CHARS_MAX, .offset = offsetof(struct audit_event, member),                   \
    .example = (sample)

static const struct json_field event_fields[] = {
    {.name = "category",
     .kind = JSON_KIND_TEXT,
     .choices = audit_categories,
     .offset = offsetof(struct audit_event, category),
     .example = "compliance"},
    {FREE_FIELD("action", action, 1, "report.filed"), .about = "What happened, by a stable name."},
    {FREE_FIELD("actor", actor, 1, "analyst-7"), .about = "Who did it, as you know them."},
    {FREE_FIELD("principal", principal, 0, "team-7"), .optional = true, .nullable = true,
     .about = "For whom the actor acted."},
    {FREE_FIELD("resource", resource, 0, "report:2026-02"), .optional = true, .nullable = true,
     .about = "On what."},
    {.name = "severity",
     .kind = JSON_KIND_TEXT,
     .choices = audit_severities,
     .optional = true,
     .fallback = "info",
     .offset = offsetof(struct audit_event, severity),
     .example = "info"},
    {.name = "outcome",
     .kind = JSON_KIND_TEXT,
     .choices = audit_outcomes,
     .optional = true,
     .fallback = "done",
     .offset = offsetof(struct audit_event, outcome),
     .example = "done",
     .about = "Whether it was done, or refused."},
    {FREE_FIELD("reason", reason, 0, "quarterly"), .optional = true, .nullable = true,
     .about = "Why it was refused, or done."},
    {.name = "metadata",
     .kind = JSON_KIND_MAP,
     .free_text = true,
     .depth = AUDIT_METADATA_DEPTH_MAX,
     .optional = true,
     .fallback = "{}",
     .min = 2,
     .max = AUDIT_METADATA_BYTES_MAX,
     .offset = offsetof(struct audit_event, metadata),
     .example = "{\"pages\":12}",
     .about = "Whatever else there is to tell: an object of at most 8192 bytes and 8 levels. Card "
              "numbers and IBANs in it are masked."},
    {.name = "compliance_tags",
     .kind = JSON_KIND_LIST,
     .item = &tag_item,
     .optional = true,
     .max = AUDIT_TAGS_MAX,
     .offset = offsetof(struct audit_event, tags),
     .example = "[\"sox\",\"gdpr\"]",
     .about = "At most 2048 bytes together."},
};
const struct json_schema audit_event_schema = {.name = "AuditEventNew",
                                               .about = "An event to be kept.",
                                               .fields = event_fields,
                                               .field_count = PC_COUNT(event_fields),
                                               .bytes = sizeof(struct audit_event)};

static const struct json_field batch_fields[] = {
    {.name = "events",
     .kind = JSON_KIND_LIST,
     .min = 1,
     .max = AUDIT_BATCH_MAX,
     .offset = offsetof(struct audit_batch, events),
     .schema = &audit_event_schema,
     .about = "All of them are kept, in this order, or none."},
};
const struct json_schema audit_batch_schema = {.name = "AuditEventsNew",
                                               .about = "Events to be kept.",
                                               .fields = batch_fields,
                                               .field_count = PC_COUNT(batch_fields),
                                               .bytes = sizeof(struct audit_batch)};

static const struct json_field made_fields[] = {
    {.name = "id",
     .kind = JSON_KIND_TEXT,
     .max = AUDIT_ID_TEXT_BYTES,
     .offset = offsetof(struct audit_made, id),
     .example = "0192a3b4-c5d6-7e8f-9a0b-1c2d3e4f5a6b"},
    {.name = "created_at",
     .kind = JSON_KIND_TIME,
     .offset = offsetof(struct audit_made, created_at),
     .example = "2026-02-03T04:05:06.000007Z"},
};
const struct json_schema audit_made_schema = {.name = "AuditEventMade",
                                              .about = "The event is in the log.",
                                              .fields = made_fields,
                                              .field_count = PC_COUNT(made_fields),
                                              .bytes = sizeof(struct audit_made)};

static const struct json_field made_batch_fields[] = {
    {.name = "events",
     .kind = JSON_KIND_LIST,
     .max = AUDIT_BATCH_MAX,
     .offset = offsetof(struct audit_made_batch, events),
     .schema = &audit_made_schema,
     .about = "In the order in which they came."},
};
const struct json_schema audit_made_batch_schema = {.name = "AuditEventsMade",
                                                    .about = "The events are in the log.",
                                                    .fields = made_batch_fields,
                                                    .field_count = PC_COUNT(made_batch_fields),
                                                    .bytes = sizeof(struct audit_made_batch)};

enum err audit_tags_write(const struct audit_event *event, struct sbuf *out, struct span *ret_tags)
{
    const struct span *tags = event->tags.items;
    char room[AUDIT_TAGS_BYTES_MAX];
    struct sbuf raw = sbuf_over(room, sizeof(room));
    size_t mark = out->len;
    struct json_writer w;

    *ret_tags = (struct span){0};
    if (event->tags.count == 0)
        return ERR_OK;
    w = json_writer_on(&raw);
    json_begin_list(&w);
    for (size_t i = 0; i < event->tags.count; i++)
        json_text(&w, tags[i]);
    json_end_list(&w);
    trail_json_plain(sbuf_span(&raw), out);
    if (raw.full || out->full)
        return ERR_NO_SPACE;
    *ret_tags = span_slice(sbuf_span(out), mark, out->len);
    return ERR_OK;
}

/* ---- is it the same? --------------------------------------------------------------------------
 */

/* How long the character at the front is; what is none is a byte. */
static size_t character(struct span rest)
{
    size_t len = 1;

    while (len < 4 && len < rest.len && ((unsigned char)rest.ptr[len] & 0xC0) == 0x80)
        len++;
    return len;
}

/* What the log does not take of a text stands in it as U+FFFD; and it cuts what is too long. */
static bool text_became(struct span text, struct span kept)
{
    static const char replaced[] = "\xEF\xBF\xBD";

    while (text.len > 0 && kept.len > 0) {
        size_t one = character(text);
        bool odd = span_starts(kept, SPAN_OF(replaced));

        if (!odd && !span_starts(kept, span_slice(text, 0, one)))
            return false;
        kept = span_slice(kept, odd ? sizeof(replaced) - 1 : one, kept.len);
        text = span_slice(text, one, text.len);
    }
    return text.len == 0 && kept.len == 0;
}

/* Erased: it is not there, but something stands for it. */
static bool field_became(struct span text, const struct trail_entry *entry,
                         enum trail_personal field)
{
    struct span kept = entry->personal[field];

    if (kept.len == 0 && entry->erased.len > 0)
        return true;
    return text_became(text, kept);
}

/* Entries of before the log escaped anything have it as it came. */
static bool metadata_became(struct span metadata, const struct trail_entry *entry)
{
    char room[TRAIL_JSON_TIMES_MAX * AUDIT_METADATA_BYTES_MAX];
    struct sbuf plain = sbuf_over(room, sizeof(room));

    if (span_is(metadata, "{}"))
        metadata = (struct span){0};
    if (field_became(metadata, entry, TRAIL_PERSONAL_DETAILS))
        return true;
    trail_json_plain(metadata, &plain);
    return !plain.full && field_became(sbuf_span(&plain), entry, TRAIL_PERSONAL_DETAILS);
}

bool audit_event_became(const struct audit_event *event, struct span source,
                        const struct trail_entry *entry)
{
    char room[AUDIT_TAGS_BYTES_MAX];
    struct sbuf out = sbuf_over(room, sizeof(room));
    struct span tags;

    if (audit_tags_write(event, &out, &tags) != ERR_OK)
        return false;
    return span_equal(entry->source, source) && span_equal(entry->category, event->category) &&
           span_equal(entry->severity, event->severity) &&
           span_equal(entry->outcome, event->outcome) && span_equal(entry->tags, tags) &&
           text_became(event->action, entry->event) &&
           field_became(event->actor, entry, TRAIL_PERSONAL_ACTOR) &&
           field_became(event->principal, entry, TRAIL_PERSONAL_PRINCIPAL) &&
           field_became(event->resource, entry, TRAIL_PERSONAL_OBJECT) &&
           field_became(event->reason, entry, TRAIL_PERSONAL_REASON) &&
           metadata_became(event->metadata, entry);
}
