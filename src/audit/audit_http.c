/* SPDX-License-Identifier: MIT
 * The routes of the audit service. */
#include "audit/audit_priv.h"

/* Scope and certificate are both asked for: the token says that its client may write, the
 * certificate which service it is. */
#define WRITES                                                                                     \
    .method = NET_METHOD_POST, .access = HTTP_ACCESS_BEARER, .scopes = "audit:write",              \
    .certificate = true, .per_minute = 6000, .keyed = true, .reply_status = 201, .tag = "Events",  \
    .errors = {ERR_CERTIFICATE}

const struct http_route audit_write_routes[] = {
    {WRITES, .path = "/audit/events", .body = &audit_event_schema,
     .body_bytes_max = AUDIT_EVENT_BODY_BYTES_MAX, .reply = &audit_made_schema,
     .handle = audit_events_create, .id = "audit_events_create", .summary = "Keep an event",
     .about = "From a service that shows its client certificate, whose common name becomes "
              "`source_service`. The event is durable, and a leaf of the log, when it is answered. "
              "Card numbers and IBANs in its texts are masked before that."},
    {WRITES, .path = "/audit/events/batch", .body = &audit_batch_schema,
     .body_bytes_max = AUDIT_BATCH_BODY_BYTES_MAX, .reply = &audit_made_batch_schema,
     .handle = audit_batch_create, .id = "audit_events_batch",
     .summary = "Keep many events in one commit",
     .about = "Up to 1000 events, in their order: all of them, or a refusal that names what is "
              "wrong. Each counts towards `audit.events_per_minute` of its writer."},
    {.path = NULL},
};

/* Being an administrator is not enough: who looks after the system and who looks after its log may
 * be two. */
#define READS                                                                                      \
    .method = NET_METHOD_GET, .access = HTTP_ACCESS_BEARER, .scopes = "audit:read",                \
    .input_error = ERR_BAD_REQUEST, .run = HTTP_RUN_READ

const struct http_route audit_read_routes[] = {
    {READS, .path = "/audit/events", .input = &audit_filter_schema, .reply = &audit_entry_schema,
     .reply_is_list = true, .handle = audit_events_list, .id = "audit_events_list", .tag = "Events",
     .summary = "Events, newest first",
     .about = "Filters narrow the list together. The Link header leads to the next page. A page "
              "ends early, and may be empty, when 50 000 events were looked at for it: the header "
              "leads on as long as there is more to look at. That they were read is an event too, "
              "and is committed before the answer leaves."},
    {READS, .path = "/audit/events/{id}", .input = &audit_id_schema, .reply = &audit_entry_schema,
     .handle = audit_events_get, .id = "audit_events_get", .tag = "Events", .summary = "One event",
     .errors = {ERR_NOT_FOUND}},
    {READS, .path = "/audit/stream", .input = &audit_stream_schema, .reply = &audit_entry_schema,
     .reply_is_list = true, .per_minute = 600, .handle = audit_stream, .id = "audit_stream",
     .tag = "Events", .summary = "Events in the order of the log, for a SIEM",
     .about =
         "Every event has its `seq`, without a gap: one that is missing was lost on the way. "
         "The Link header leads on, also from the last page: ask it again for what came since. "
         "With `Accept: application/x-ndjson` one event a line."},
    {READS, .path = "/audit/export", .input = &audit_export_schema, .per_minute = 600,
     .reply_type = "application/x-ndjson", .handle = audit_export, .id = "audit_export",
     .tag = "Events", .summary = "The log as lines that can be checked without us",
     .about = "Head, events and checkpoint as `portcullis audit verify` reads them. The pages, one "
              "behind the other, are one export; what it holds is settled with the first, and "
              "ends with the newest checkpoint at the latest.",
     .errors = {ERR_CONFLICT}},
    {READS, .path = "/audit/checkpoint", .reply_type = "text/plain; charset=utf-8",
     .per_minute = 600, .handle = audit_checkpoint, .id = "audit_checkpoint", .tag = "Proofs",
     .summary = "The newest checkpoint, a signed note (C2SP tlog-checkpoint)",
     .errors = {ERR_NOT_FOUND}},
    {READS, .path = "/audit/checkpoints", .input = &audit_checkpoints_page_schema,
     .reply = &audit_checkpoint_schema, .reply_is_list = true, .handle = audit_checkpoints,
     .id = "audit_checkpoints", .tag = "Proofs", .summary = "Checkpoints, newest first"},
    {READS, .path = "/audit/key", .reply_type = "text/plain; charset=utf-8", .handle = audit_key,
     .id = "audit_key", .tag = "Proofs", .summary = "The key that checkpoints are checked by",
     .about = "Keep it, and a checkpoint, where nobody who can write the database can write.",
     .errors = {ERR_NOT_FOUND}},
    {READS, .path = "/audit/proof/inclusion", .input = &audit_inclusion_ask_schema,
     .reply = &audit_inclusion_schema, .per_minute = 600, .handle = audit_inclusion,
     .id = "audit_proof_inclusion", .tag = "Proofs", .summary = "That an event is in the log",
     .errors = {ERR_NOT_FOUND, ERR_CONFLICT}},
    {READS, .path = "/audit/proof/consistency", .input = &audit_consistency_ask_schema,
     .reply = &audit_consistency_schema, .per_minute = 600, .handle = audit_consistency,
     .id = "audit_proof_consistency", .tag = "Proofs", .summary = "That the log only grew",
     .errors = {ERR_NOT_FOUND}},
    {READS, .path = "/audit/tile/{level}/{number}", .input = &audit_tile_schema,
     .reply_type = "application/octet-stream", .per_minute = 600, .handle = audit_tile,
     .id = "audit_tile", .tag = "Proofs", .summary = "A tile of the tree (C2SP tlog-tiles)",
     .about = "At most 256 hashes of 32 bytes, one behind the other.", .errors = {ERR_NOT_FOUND}},
    {.path = NULL},
};
