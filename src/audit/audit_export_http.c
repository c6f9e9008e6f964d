/* SPDX-License-Identifier: MIT
 * GET /audit/export: the log as lines that hold all that their leaves are made of, page by page;
 * the pages one behind the other are one export, which `portcullis audit verify` checks without us.
 *
 *   first page: head, lines -> lines -> ... -> last page: lines, checkpoint
 *
 * What is exported is settled with the first page: its cursor says where the next one begins and
 * where all end. It ends with the newest checkpoint at the latest, since nothing would vouch for
 * what is behind; only a log that nobody signs at all is exported without one. */
#include "audit/audit_priv.h"
#include "trail/trail_checkpoints.h"
#include "trail/trail_export.h"

enum { CURSOR_BYTES_MAX = 2 * 19 + 1, UNSIGNED = -1 };

struct export_input {
    struct http_page page;
    int64_t from, to;
    bool has_to;
};

static const struct json_field export_fields[] = {
    HTTP_PAGE_FIELDS(CURSOR_BYTES_MAX, "500.20852"),
    {.name = "from",
     .kind = JSON_KIND_I64,
     .optional = true,
     .fallback = "0",
     .max = INT64_MAX,
     .offset = offsetof(struct export_input, from),
     .example = "0",
     .about = "The `seq` of the first event."},
    {.name = "to",
     .kind = JSON_KIND_I64,
     .optional = true,
     .max = INT64_MAX,
     .offset = offsetof(struct export_input, to),
     .has_offset = offsetof(struct export_input, has_to),
     .example = "20852",
     .about = "The `seq` behind the last one, at most what the newest checkpoint signs; left out: "
              "all of that."},
};
const struct json_schema audit_export_schema = {.name = "AuditExport",
                                                .fields = export_fields,
                                                .field_count = PC_COUNT(export_fields),
                                                .bytes = sizeof(struct export_input)};

/* What one page is of: [from, to) of an export that begins with `first`. */
struct range {
    int64_t first, from, to;
};

static enum err cursor_read(struct http_request *req, struct span cursor, struct range *range)
{
    struct span part;
    bool good = span_cut(&cursor, '.', &part) && span_to_i64(part, &range->from) &&
                span_to_i64(cursor, &range->to) && range->from > range->first &&
                range->from < range->to;

    return good ? ERR_OK : audit_page_fail(req);
}

/* How many events the log has, and how many of them the newest checkpoint is of. That one first:
 * one that is signed meanwhile would be of more than there are. */
static enum err sizes_read(struct http_request *req, struct arena *scratch, int64_t *ret_size,
                           int64_t *ret_signed)
{
    struct trail_signed newest = {.size = 0};
    struct trail_tree tree = {.size = 0};
    int64_t at_ns;
    enum err err = trail_signed_newest(req->store, scratch, &newest);

    *ret_signed = err == ERR_OK ? (int64_t)newest.size : UNSIGNED;
    if (err == ERR_OK || err == ERR_NOT_FOUND)
        err = trail_tree_read(req->store, &tree, &at_ns);
    *ret_size = (int64_t)tree.size;
    return err;
}

static enum err range_check(struct http_request *req, const struct range *range, int64_t size,
                            int64_t signed_size)
{
    const struct export_input *input = req->input;
    enum err err;

    if (range->to > size)
        return audit_input_fail(req, "to", "is more than the log has");
    if (range->from > size || (range->from > range->to && input->has_to))
        return audit_input_fail(req, "from", "must not be behind to");
    if (range->from <= range->to && (signed_size == UNSIGNED || range->to <= signed_size))
        return ERR_OK;
    err = http_fail(req, ERR_CONFLICT, "No checkpoint covers these events yet; ask again.");
    return http_fail_retry(req, err, CLOCK_NS_PER_S);
}

static enum err range_find(struct http_request *req, struct arena *scratch, struct range *ret)
{
    const struct export_input *input = req->input;
    int64_t size = 0;
    int64_t signed_size = UNSIGNED;
    enum err err = sizes_read(req, scratch, &size, &signed_size);

    *ret = (struct range){.first = input->from, .from = input->from};
    if (err == ERR_OK && input->page.cursor.len > 0)
        err = cursor_read(req, input->page.cursor, ret);
    else
        ret->to = input->has_to ? input->to : signed_size == UNSIGNED ? size : signed_size;
    return err ? err : range_check(req, ret, size, signed_size);
}

static enum err lines_write(struct http_request *req, struct range *range, struct arena *scratch,
                            struct sbuf *out, size_t *ret_done)
{
    const struct export_input *input = req->input;
    const struct trail_filter filter = {.from_seq = range->from,
                                        .before_seq = range->to,
                                        .oldest_first = true,
                                        .limit = (size_t)input->page.limit};
    struct trail_entry *list = NULL;
    size_t count = 0;
    enum err err = ERR_OK;

    *ret_done = 0;
    if (range->from < range->to)
        err = trail_find(req->store, &filter, scratch, &list, &count);
    if (err == ERR_OK)
        err = audit_page_write(&audit_form_export, list, count, scratch, out, ret_done);
    if (err == ERR_OK && *ret_done == 0 && range->from < range->to)
        err = ERR_STORE_CORRUPT; /* the tree has leaves that are not there */
    return err;
}

static enum err page_write(struct http_request *req, struct range *range, struct arena *scratch,
                           struct sbuf *out, size_t *ret_done)
{
    const struct audit_service *service = http_context(req);
    enum err err = ERR_OK;

    *ret_done = 0;
    if (range->from == range->first)
        err = trail_export_head(req->store, span_from(service->origin), (uint64_t)range->from,
                                (uint64_t)range->to, scratch, out);
    if (err == ERR_OK)
        err = lines_write(req, range, scratch, out, ret_done);
    if (err == ERR_OK && range->from + (int64_t)*ret_done == range->to)
        err = trail_export_checkpoint(req->store, (uint64_t)range->to, scratch, out);
    return err == ERR_NO_SPACE || (err == ERR_OK && out->full) ? ERR_NO_MEMORY : err;
}

static enum err export_tell(struct http_request *req, struct arena *scratch)
{
    const struct export_input *input = req->input;
    struct sbuf out = sbuf_on(req->arena, AUDIT_BODY_BYTES_MAX);
    struct range range = {0};
    struct audit_told told = {.event = TRAIL_AUDIT_EXPORTED, .type = audit_form_export.type};
    size_t done = 0;
    int64_t next;
    enum err err = range_find(req, scratch, &range);

    if (err == ERR_OK)
        err = page_write(req, &range, scratch, &out, &done);
    if (err)
        return err;
    next = range.from + (int64_t)done;
    told.body = sbuf_span(&out);
    told.details[0] = (struct trail_detail){"from", audit_number(req, range.from)};
    told.details[1] = (struct trail_detail){"to", audit_number(req, next)};
    if (next < range.to)
        told.link = audit_link(req, "from=%lld&limit=%lld&cursor=%lld.%lld", (long long)range.first,
                               (long long)input->page.limit, (long long)next, (long long)range.to);
    return audit_tell(req, &told);
}

enum err audit_export(struct http_request *req)
{
    struct arena scratch;
    enum err err;

    arena_init(&scratch, NULL, 0, AUDIT_READ_BYTES_MAX);
    err = export_tell(req, &scratch);
    arena_reset(&scratch);
    return err;
}
