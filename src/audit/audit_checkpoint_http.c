/* SPDX-License-Identifier: MIT
 * What the log signed about itself: the newest note, those before it, and the key to check them by.
 * None of it holds an event, so asking is none. */
#include "audit/audit_priv.h"

#include "crypto/digest.h"
#include "trail/trail_checkpoints.h"
#include "trail/trail_keeper.h"

enum { CURSOR_BYTES_MAX = 19, HASH_TEXT_BYTES = 44, NOTE_BYTES_MAX = TRAIL_NOTE_BYTES_MAX };

struct checkpoint_reply {
    int64_t size, created_at;
    struct span root, note;
};

static const struct json_field checkpoint_fields[] = {
    {.name = "size",
     .kind = JSON_KIND_I64,
     .max = INT64_MAX,
     .offset = offsetof(struct checkpoint_reply, size),
     .example = "20852",
     .about = "How many events it is about."},
    {.name = "created_at",
     .kind = JSON_KIND_TIME,
     .offset = offsetof(struct checkpoint_reply, created_at),
     .example = "2026-02-03T04:05:06Z"},
    {.name = "root",
     .kind = JSON_KIND_TEXT,
     .max = HASH_TEXT_BYTES,
     .offset = offsetof(struct checkpoint_reply, root),
     .example = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=",
     .about = "The root of the tree, base64."},
    {.name = "note",
     .kind = JSON_KIND_TEXT,
     .max = NOTE_BYTES_MAX,
     .offset = offsetof(struct checkpoint_reply, note),
     .about = "The signed note."},
};
const struct json_schema audit_checkpoint_schema = {.name = "AuditCheckpoint",
                                                    .about = "What was signed about the log.",
                                                    .fields = checkpoint_fields,
                                                    .field_count = PC_COUNT(checkpoint_fields),
                                                    .bytes = sizeof(struct checkpoint_reply)};

static const struct json_field page_fields[] = {HTTP_PAGE_FIELDS(CURSOR_BYTES_MAX, "20852")};
const struct json_schema audit_checkpoints_page_schema = {.name = "AuditCheckpointsPage",
                                                          .fields = page_fields,
                                                          .field_count = PC_COUNT(page_fields),
                                                          .bytes = sizeof(struct http_page)};

enum err audit_checkpoint(struct http_request *req)
{
    struct trail_signed newest = {0};
    enum err err = trail_signed_newest(req->store, req->arena, &newest);

    if (err == ERR_NOT_FOUND)
        return http_fail(req, err, "Nothing is signed yet.");
    return err ? err : http_reply_text(req, 200, "text/plain; charset=utf-8", newest.note);
}

struct span audit_hash_text(struct arena *arena, const struct trail_hash *hash)
{
    struct sbuf out = sbuf_on(arena, HASH_TEXT_BYTES);

    crypto_base64_add(&out, span_make(hash->bytes, sizeof(hash->bytes)));
    return sbuf_span(&out);
}

enum err audit_checkpoints(struct http_request *req)
{
    const struct http_page *page = req->input;
    struct checkpoint_reply *replies;
    struct trail_signed *list = NULL;
    size_t count = 0;
    int64_t before = 0;
    enum err err;

    if (page->cursor.len > 0 && (!span_to_i64(page->cursor, &before) || before <= 0))
        return audit_page_fail(req);
    err = trail_signed_list(req->store, (uint64_t)before, (size_t)page->limit, req->arena, &list,
                            &count);
    if (err)
        return err;
    replies = arena_array(req->arena, count + 1, sizeof(*replies));
    if (replies == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        replies[i] = (struct checkpoint_reply){.size = (int64_t)list[i].size,
                                               .created_at = list[i].at_ns,
                                               .root = audit_hash_text(req->arena, &list[i].root),
                                               .note = list[i].note};
    if (count == (size_t)page->limit && list[count - 1].size > 0)
        http_page_link_key(req, page, (int64_t)list[count - 1].size);
    return http_reply_list(req, (struct json_list){.items = replies, .count = count});
}

enum err audit_key(struct http_request *req)
{
    const struct audit_service *service = http_context(req);
    struct span line =
        service->keeper != NULL ? trail_keeper_key(service->keeper) : (struct span){0};
    struct sbuf out = sbuf_on(req->arena, line.len + 1);

    if (line.len == 0)
        return http_fail(req, ERR_NOT_FOUND, "This node has no key; ask one that signs.");
    sbuf_add(&out, line);
    sbuf_add_char(&out, '\n');
    if (out.full)
        return ERR_NO_MEMORY;
    return http_reply_text(req, 200, "text/plain; charset=utf-8", sbuf_span(&out));
}
