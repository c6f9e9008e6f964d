/* SPDX-License-Identifier: MIT
 * GET /audit/events and /audit/events/{id}: looking into the log. */
#include "audit/audit_priv.h"

enum { CURSOR_BYTES_MAX = 19, FILTERS_BYTES_MAX = 128, OBJECT_BYTES = 64 };

struct filter_input {
    struct http_page page;
    struct span actor, category, action, resource, severity, tag, source, outcome;
    int64_t from, to;
    bool has_from, has_to;
};

#define TEXT_FILTER(label, member, sample)                                                         \
    .name = (label), .kind = JSON_KIND_TEXT, .optional = true, .min = 1, .max = 512,               \
    .offset = offsetof(struct filter_input, member), .example = (sample)
#define CHOICE_FILTER(label, member, list, sample)                                                 \
    .name = (label), .kind = JSON_KIND_TEXT, .optional = true, .choices = (list),                  \
    .offset = offsetof(struct filter_input, member), .example = (sample)

static const struct json_field filter_fields[] = {
    HTTP_PAGE_FIELDS(CURSOR_BYTES_MAX, "1042"),
    {TEXT_FILTER("actor", actor, "42"), .about = "Who: exactly as `actor` says."},
    {CHOICE_FILTER("category", category, audit_categories, "security"), .about = "Of this kind."},
    {TEXT_FILTER("action", action, "user.login"), .about = "What was done."},
    {TEXT_FILTER("resource", resource, "account:7"), .about = "On what."},
    {CHOICE_FILTER("severity", severity, audit_severities, "warning"),
     .about = "As grave as this."},
    {TEXT_FILTER("tag", tag, "pci-dss"), .about = "One of its `compliance_tags`."},
    {TEXT_FILTER("source", source, "auth-service"), .about = "Its `source_service`."},
    {CHOICE_FILTER("outcome", outcome, audit_outcomes, "refused"), .about = "How it ended."},
    {.name = "from",
     .kind = JSON_KIND_TIME,
     .optional = true,
     .offset = offsetof(struct filter_input, from),
     .has_offset = offsetof(struct filter_input, has_from),
     .example = "2026-02-01T00:00:00Z",
     .about = "Then or later."},
    {.name = "to",
     .kind = JSON_KIND_TIME,
     .optional = true,
     .offset = offsetof(struct filter_input, to),
     .has_offset = offsetof(struct filter_input, has_to),
     .example = "2026-03-01T00:00:00Z",
     .about = "Before then."},
};
const struct json_schema audit_filter_schema = {.name = "AuditFilter",
                                                .fields = filter_fields,
                                                .field_count = PC_COUNT(filter_fields),
                                                .bytes = sizeof(struct filter_input)};

struct id_input {
    struct span id;
};
static const struct json_field id_fields[] = {
    {.name = "id",
     .kind = JSON_KIND_TEXT,
     .format = JSON_FORMAT_UUID,
     .offset = offsetof(struct id_input, id),
     .example = "0192a3b4-c5d6-7e8f-9a0b-1c2d3e4f5a6b",
     .about = "The event's."},
};
const struct json_schema audit_id_schema = {.name = "AuditEventId",
                                            .fields = id_fields,
                                            .field_count = PC_COUNT(id_fields),
                                            .bytes = sizeof(struct id_input)};

/* ---- the list ---------------------------------------------------------------------------------
 */

static enum err filter_fill(struct http_request *req, struct trail_filter *ret_filter)
{
    const struct filter_input *input = req->input;
    int64_t before = 0;

    if (input->page.cursor.len > 0 && (!span_to_i64(input->page.cursor, &before) || before <= 0))
        return audit_page_fail(req);
    if (input->has_from && input->has_to && input->from > input->to)
        return audit_input_fail(req, "from", "must not be later than to");
    *ret_filter = (struct trail_filter){.actor = input->actor,
                                        .category = input->category,
                                        .event = input->action,
                                        .object = input->resource,
                                        .severity = input->severity,
                                        .tag = input->tag,
                                        .source = input->source,
                                        .outcome = input->outcome,
                                        .from_ns = input->has_from ? input->from : 0,
                                        .to_ns = input->has_to && input->to <= 0 ? 1 : input->to,
                                        .before_seq = before,
                                        .limit = (size_t)input->page.limit + 1};
    return ERR_OK;
}

/* The names of the filters, never what they look for: that may tell of a person. */
static struct span filter_names(struct http_request *req)
{
    const struct filter_input *input = req->input;
    const struct {
        const char *name;
        bool given;
    } filters[] = {{"actor", input->actor.len > 0},
                   {"category", input->category.len > 0},
                   {"action", input->action.len > 0},
                   {"resource", input->resource.len > 0},
                   {"severity", input->severity.len > 0},
                   {"tag", input->tag.len > 0},
                   {"source", input->source.len > 0},
                   {"outcome", input->outcome.len > 0},
                   {"from", input->has_from},
                   {"to", input->has_to}};
    struct sbuf out = sbuf_on(req->arena, FILTERS_BYTES_MAX);

    for (size_t i = 0; i < PC_COUNT(filters); i++) {
        if (!filters[i].given)
            continue;
        sbuf_add_text(&out, out.len > 0 ? " " : "");
        sbuf_add_text(&out, filters[i].name);
    }
    return sbuf_span(&out);
}

/* `before`: there is more to look at before that one, also when the page is not full. */
static enum err list_tell(struct http_request *req, const struct trail_entry *list, size_t count,
                          int64_t before, struct arena *scratch)
{
    const struct filter_input *input = req->input;
    size_t shown = count > (size_t)input->page.limit ? (size_t)input->page.limit : count;
    struct sbuf out = sbuf_on(req->arena, AUDIT_BODY_BYTES_MAX);
    size_t done = 0;
    enum err err = audit_page_write(&audit_form_json, list, shown, scratch, &out, &done);
    struct audit_told told = {
        .event = TRAIL_AUDIT_READ,
        .details = {{"events", audit_number(req, (int64_t)done)}, {"filters", filter_names(req)}},
        .type = audit_form_json.type,
        .body = sbuf_span(&out)};

    if (err)
        return err;
    if (told.details[1].value.len == 0)
        told.details[1].name = NULL;
    if (done < count)
        before = list[done - 1].seq;
    if (before > 0)
        told.link = http_page_next(req, &input->page, audit_number(req, before));
    return audit_tell(req, &told);
}

enum err audit_events_list(struct http_request *req)
{
    const struct audit_service *service = http_context(req);
    size_t rows_max = service->rows_max > 0 ? service->rows_max : AUDIT_FIND_ROWS_MAX;
    struct trail_filter filter = {0};
    struct trail_entry *list = NULL;
    struct arena scratch;
    size_t count = 0;
    int64_t before = 0;
    enum err err = filter_fill(req, &filter);

    if (err)
        return err;
    arena_init(&scratch, NULL, 0, AUDIT_READ_BYTES_MAX);
    err = trail_find_some(req->store, &filter, rows_max, &scratch, &list, &count, &before);
    if (err == ERR_OK)
        err = list_tell(req, list, count, before, &scratch);
    arena_reset(&scratch);
    return err;
}

/* ---- one --------------------------------------------------------------------------------------
 */

static enum err entry_tell(struct http_request *req, const struct trail_entry *entry,
                           struct arena *scratch)
{
    struct sbuf out = sbuf_on(req->arena, AUDIT_BODY_BYTES_MAX);
    struct sbuf object = sbuf_on(req->arena, OBJECT_BYTES);
    char id[AUDIT_ID_TEXT_BYTES];
    enum err err = audit_entry_write(entry, scratch, &out);
    struct audit_told told = {.event = TRAIL_AUDIT_READ,
                              .details = {{"events", SPAN("1")}},
                              .type = "application/json",
                              .body = sbuf_span(&out)};

    if (err)
        return err;
    audit_id_write(entry->id, id);
    sbuf_add_lit(&object, "event:");
    sbuf_add_bytes(&object, id, sizeof(id));
    if (object.full)
        return ERR_NO_MEMORY;
    told.object = sbuf_span(&object);
    return audit_tell(req, &told);
}

enum err audit_events_get(struct http_request *req)
{
    const struct id_input *input = req->input;
    unsigned char id[TRAIL_ID_BYTES];
    struct trail_entry entry = {0};
    struct arena scratch;
    enum err err;

    if (!audit_id_read(input->id, id))
        return ERR_NOT_FOUND;
    arena_init(&scratch, NULL, 0, AUDIT_READ_BYTES_MAX);
    err = trail_get(req->store, id, &scratch, &entry);
    if (err == ERR_OK)
        err = entry_tell(req, &entry, &scratch);
    arena_reset(&scratch);
    return err;
}
