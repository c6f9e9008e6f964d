/* SPDX-License-Identifier: MIT
 * GET /audit/stream: the log from its oldest event on, for a SIEM that keeps up with it. It asks
 * with the `seq` of the last event it has; the next ones follow without a gap, so that it sees by
 * itself when one is missing. The last page leads on too: to what will have come by then. */
#include "audit/audit_priv.h"

struct stream_input {
    int64_t after, limit;
};

static const struct json_field stream_fields[] = {
    {.name = "after",
     .kind = JSON_KIND_I64,
     .optional = true,
     .fallback = "-1",
     .min = -1,
     .max = INT64_MAX - 1,
     .offset = offsetof(struct stream_input, after),
     .example = "1042",
     .about = "The `seq` of the last event you have; -1: from the first one on."},
    {.name = "limit",
     .kind = JSON_KIND_I64,
     .optional = true,
     .fallback = "100",
     .min = 1,
     .max = LIMIT_PAGE_ITEMS_MAX,
     .offset = offsetof(struct stream_input, limit),
     .example = "100",
     .about = "How many at most. Asking is an event too: with 1 you would never catch up."},
};
const struct json_schema audit_stream_schema = {.name = "AuditStream",
                                                .fields = stream_fields,
                                                .field_count = PC_COUNT(stream_fields),
                                                .bytes = sizeof(struct stream_input)};

/* Of the two forms the one that the header names first. */
static const struct audit_form *form_of(const struct http_request *req)
{
    struct span accept = http_header(req, "accept");
    struct span part;

    while (accept.len > 0 && span_cut(&accept, ',', &part)) {
        struct span type = span_trim(span_slice(part, 0, span_find(part, ';')));

        if (span_is_nocase(type, "application/x-ndjson"))
            return &audit_form_lines;
        if (span_is_nocase(type, "application/json") || span_is(type, "*/*"))
            break;
    }
    return &audit_form_json;
}

static enum err stream_tell(struct http_request *req, const struct trail_entry *list, size_t count,
                            struct arena *scratch)
{
    const struct stream_input *input = req->input;
    const struct audit_form *form = form_of(req);
    struct sbuf out = sbuf_on(req->arena, AUDIT_BODY_BYTES_MAX);
    size_t done = 0;
    enum err err = audit_page_write(form, list, count, scratch, &out, &done);
    long long last = done > 0 ? (long long)list[done - 1].seq : (long long)input->after;
    const struct audit_told told = {
        .event = TRAIL_AUDIT_READ,
        .details = {{"events", audit_number(req, (int64_t)done)},
                    {"filters", input->after >= 0 ? SPAN_OF("after") : SPAN_OF("")}},
        .type = form->type,
        .body = sbuf_span(&out),
        .by_accept = true,
        .link = audit_link(req, "after=%lld&limit=%lld", last, (long long)input->limit)};

    return err ? err : audit_tell(req, &told);
}

enum err audit_stream(struct http_request *req)
{
    const struct stream_input *input = req->input;
    const struct trail_filter filter = {
        .from_seq = input->after + 1, .oldest_first = true, .limit = (size_t)input->limit};
    struct trail_entry *list = NULL;
    struct arena scratch;
    size_t count = 0;
    enum err err;

    arena_init(&scratch, NULL, 0, AUDIT_READ_BYTES_MAX);
    err = trail_find(req->store, &filter, &scratch, &list, &count);
    if (err == ERR_OK)
        err = stream_tell(req, list, count, &scratch);
    arena_reset(&scratch);
    return err;
}
