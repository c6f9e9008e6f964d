/* SPDX-License-Identifier: MIT
 * An event of the log as it goes out: the names are those of the contract, a field that was erased
 * is null and is named in `erased`. */
#include "audit/audit_priv.h"

#include "json/json.h"

/* trail_leaf.c: the number of an erased field, then what stands for it. */
enum { ERASED_BYTES = 1 + TRAIL_HASH_BYTES, SALT_OF_STAYING = 0x80, TEXT_MAX = 512 };

struct entry_reply {
    int64_t seq, created_at;
    struct span id, category, action, actor, principal, resource, severity, outcome, source,
        metadata, client_id, request_id, address, reason, actor_kind;
    struct json_list tags, erased;
    bool has_erased;
};

static const struct json_field name_item = {.kind = JSON_KIND_TEXT, .max = TEXT_MAX};

#define TEXT_FIELD(label, member, longest, sample)                                                 \
    .name = (label), .kind = JSON_KIND_TEXT, .max = (longest),                                     \
    .offset = offsetof(struct entry_reply, member), .example = (sample)

static const struct json_field entry_fields[] = {
    {TEXT_FIELD("id", id, AUDIT_ID_TEXT_BYTES, "0192a3b4-c5d6-7e8f-9a0b-1c2d3e4f5a6b")},
    {.name = "seq",
     .kind = JSON_KIND_I64,
     .max = INT64_MAX,
     .offset = offsetof(struct entry_reply, seq),
     .example = "41",
     .about = "Its place in the log, from 0 and without a gap: the leaf's number in the tree."},
    {.name = "created_at",
     .kind = JSON_KIND_TIME,
     .offset = offsetof(struct entry_reply, created_at),
     .example = "2026-02-03T04:05:06.000007Z",
     .about = "When it was committed; never back from one event to the next."},
    {TEXT_FIELD("category", category, 32, "security")},
    {TEXT_FIELD("action", action, TEXT_MAX, "user.login")},
    {TEXT_FIELD("actor", actor, TEXT_MAX, "42"), .nullable = true,
     .about = "Who: a user's id, a client's, \"system\", or what somebody claimed to be."},
    {TEXT_FIELD("actor_kind", actor_kind, 16, "user"),
     .about = "What `actor` is: user, client, system, or unknown: it was only claimed."},
    {TEXT_FIELD("principal", principal, TEXT_MAX, "team-7"), .nullable = true,
     .about = "For whom the actor acted."},
    {TEXT_FIELD("resource", resource, TEXT_MAX, "account:7"), .nullable = true,
     .about = "On what."},
    {TEXT_FIELD("severity", severity, 16, "info")},
    {TEXT_FIELD("outcome", outcome, 16, "done"), .about = "done, or refused."},
    {TEXT_FIELD("reason", reason, TEXT_MAX, "locked"), .nullable = true,
     .about = "Why it was refused, or done."},
    {TEXT_FIELD("source_service", source, TEXT_MAX, "auth-service"),
     .about = "Which service told it: of an event from outside, its certificate's common name."},
    {.name = "metadata",
     .kind = JSON_KIND_MAP,
     .nullable = true,
     .max = 64 * 1024,
     .offset = offsetof(struct entry_reply, metadata),
     .example = "{\"scope\":\"openid\"}",
     .about = "What else there is to tell."},
    {.name = "compliance_tags",
     .kind = JSON_KIND_LIST,
     .item = &name_item,
     .max = AUDIT_TAGS_MAX,
     .offset = offsetof(struct entry_reply, tags),
     .example = "[\"pci-dss\"]"},
    {TEXT_FIELD("client_id", client_id, TEXT_MAX, "web-portal"), .nullable = true,
     .about = "Through which program."},
    {TEXT_FIELD("request_id", request_id, TEXT_MAX, "0b9d3f0e-6f0c-4f3e-9a53-8d9a4a1c2b3d"),
     .nullable = true, .about = "Of the request that it tells of; its X-Request-ID."},
    {TEXT_FIELD("address", address, TEXT_MAX, "192.0.2.1"), .nullable = true,
     .about = "Where from."},
    {.name = "erased",
     .kind = JSON_KIND_LIST,
     .item = &name_item,
     .max = TRAIL_PERSONAL_COUNT,
     .optional = true,
     .offset = offsetof(struct entry_reply, erased),
     .has_offset = offsetof(struct entry_reply, has_erased),
     .example = "[\"actor\"]",
     .about = "Members that were there and were erased since; the proofs stay valid."},
};
const struct json_schema audit_entry_schema = {.name = "AuditEvent",
                                               .about = "An event of the audit log.",
                                               .fields = entry_fields,
                                               .field_count = PC_COUNT(entry_fields),
                                               .bytes = sizeof(struct entry_reply)};

void audit_id_write(const unsigned char id[TRAIL_ID_BYTES], char text[AUDIT_ID_TEXT_BYTES])
{
    struct sbuf out = sbuf_over(text, AUDIT_ID_TEXT_BYTES);

    for (size_t i = 0; i < TRAIL_ID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            sbuf_add_char(&out, '-');
        sbuf_add_hex(&out, id + i, 1);
    }
    PC_ASSERT(out.len == AUDIT_ID_TEXT_BYTES);
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = span_lower_char(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool audit_id_read(struct span text, unsigned char ret_id[TRAIL_ID_BYTES])
{
    unsigned char id[TRAIL_ID_BYTES];
    size_t at = 0;

    if (!json_format_holds(JSON_FORMAT_UUID, text))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        int high = digit_of(text.ptr[i]);

        if (text.ptr[i] == '-')
            continue;
        PC_ASSERT(at < TRAIL_ID_BYTES && high >= 0);
        id[at++] = (unsigned char)(high << 4 | digit_of(text.ptr[++i]));
    }
    PC_ASSERT(at == TRAIL_ID_BYTES);
    memcpy(ret_id, id, TRAIL_ID_BYTES);
    return true;
}

static enum err tags_fill(struct span text, struct arena *arena, struct json_list *ret_tags)
{
    const struct json_value *list = NULL;
    struct span *tags;
    enum err err;

    *ret_tags = (struct json_list){0};
    if (text.len == 0)
        return ERR_OK;
    err = json_read(text, arena, &list, NULL);
    if (err)
        return err == ERR_JSON_SYNTAX ? ERR_STORE_CORRUPT : ERR_NO_MEMORY;
    tags = arena_array(arena, list->count + 1, sizeof(*tags));
    if (tags == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < list->count; i++)
        tags[i] = list->items[i].text;
    *ret_tags = (struct json_list){.items = tags, .count = list->count};
    return ERR_OK;
}

/* Which fields are gone, by the names they have here. */
static enum err erased_fill(struct span erased, struct arena *arena, struct entry_reply *reply)
{
    static const struct span names[TRAIL_PERSONAL_COUNT] = {
        [TRAIL_PERSONAL_ACTOR] = SPAN("actor"),     [TRAIL_PERSONAL_PRINCIPAL] = SPAN("principal"),
        [TRAIL_PERSONAL_ADDRESS] = SPAN("address"), [TRAIL_PERSONAL_OBJECT] = SPAN("resource"),
        [TRAIL_PERSONAL_REASON] = SPAN("reason"),   [TRAIL_PERSONAL_DETAILS] = SPAN("metadata")};
    struct span *list = arena_array(arena, TRAIL_PERSONAL_COUNT, sizeof(*list));
    size_t count = 0;

    if (list == NULL)
        return ERR_NO_MEMORY;
    for (size_t at = 0; at + ERASED_BYTES <= erased.len; at += ERASED_BYTES) {
        unsigned char field = (unsigned char)erased.ptr[at];

        if (field & SALT_OF_STAYING)
            continue;
        if (field >= TRAIL_PERSONAL_COUNT || count == TRAIL_PERSONAL_COUNT)
            return ERR_STORE_CORRUPT;
        list[count++] = names[field];
    }
    reply->erased = (struct json_list){.items = list, .count = count};
    reply->has_erased = count > 0;
    return ERR_OK;
}

static bool is_erased(const struct entry_reply *reply, const char *name)
{
    const struct span *names = reply->erased.items;

    for (size_t i = 0; i < reply->erased.count; i++) {
        if (span_is(names[i], name))
            return true;
    }
    return false;
}

static struct span null_if_empty(struct span text)
{
    return text.len > 0 ? text : (struct span){0};
}

/* Tags are texts again by now, and what ends a line in them is to be escaped as it was. */
static void write_plain(struct sbuf *out, size_t mark, struct arena *scratch)
{
    struct span entry = span_slice(sbuf_span(out), mark, out->len);
    struct sbuf plain = sbuf_on(scratch, TRAIL_JSON_TIMES_MAX * entry.len + 1);

    if (out->full)
        return;
    trail_json_plain(entry, &plain);
    out->len = mark;
    sbuf_add(out, sbuf_span(&plain));
    out->full = out->full || plain.full;
}

enum err audit_entry_write(const struct trail_entry *entry, struct arena *scratch, struct sbuf *out)
{
    char id[AUDIT_ID_TEXT_BYTES] = "";
    const struct span *personal = entry->personal;
    struct entry_reply reply = {.id = span_make(id, sizeof(id)),
                                .seq = entry->seq,
                                .created_at = entry->at_ns,
                                .category = entry->category,
                                .action = entry->event,
                                .actor = null_if_empty(personal[TRAIL_PERSONAL_ACTOR]),
                                .actor_kind = entry->actor_kind,
                                .principal = null_if_empty(personal[TRAIL_PERSONAL_PRINCIPAL]),
                                .resource = null_if_empty(personal[TRAIL_PERSONAL_OBJECT]),
                                .severity = entry->severity,
                                .outcome = entry->outcome,
                                .reason = null_if_empty(personal[TRAIL_PERSONAL_REASON]),
                                .source = entry->source,
                                .metadata = null_if_empty(personal[TRAIL_PERSONAL_DETAILS]),
                                .client_id = null_if_empty(entry->client),
                                .request_id = null_if_empty(entry->request_id),
                                .address = null_if_empty(personal[TRAIL_PERSONAL_ADDRESS])};
    size_t mark = out->len;
    enum err err = tags_fill(entry->tags, scratch, &reply.tags);

    audit_id_write(entry->id, id);
    if (err == ERR_OK)
        err = erased_fill(entry->erased, scratch, &reply);
    if (err)
        return err;
    if (reply.metadata.ptr == NULL && !is_erased(&reply, "metadata"))
        reply.metadata = SPAN_OF("{}");
    json_write(out, &audit_entry_schema, &reply);
    if (reply.tags.count > 0)
        write_plain(out, mark, scratch);
    return out->full ? ERR_NO_SPACE : ERR_OK;
}
