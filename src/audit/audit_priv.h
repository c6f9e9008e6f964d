/* SPDX-License-Identifier: MIT
 * What the files of audit/ share: an event as it comes in, as it goes out, and how what was read is
 * told to the log before it leaves. */
#ifndef PC_AUDIT_AUDIT_PRIV_H
#define PC_AUDIT_AUDIT_PRIV_H

#include "audit/audit.h"
#include "http/http_page.h"
#include "trail/trail.h"
#include "trail/trail_log.h"

enum {
    AUDIT_BATCH_MAX = 1000, /* events of one request */
    AUDIT_EVENT_BODY_BYTES_MAX = 64 * 1024,
    AUDIT_BATCH_BODY_BYTES_MAX = 1024 * 1024,
    AUDIT_NAME_CHARS_MAX = 128, /* of an actor, an action, ...; 512 bytes at the most */
    AUDIT_METADATA_BYTES_MAX = 8192,
    AUDIT_METADATA_DEPTH_MAX = 8,
    AUDIT_TAGS_MAX = 16,
    AUDIT_TAG_CHARS_MAX = 64,
    AUDIT_TAGS_BYTES_MAX = 2048,        /* all of them, as JSON */
    AUDIT_SOURCE_BYTES_MAX = 64,        /* X.520, ub-common-name */
    AUDIT_PAGE_BYTES_MAX = 1024 * 1024, /* a page ends behind what goes beyond */
    AUDIT_BODY_BYTES_MAX = 2 * AUDIT_PAGE_BYTES_MAX,
    AUDIT_READ_BYTES_MAX = 32 * 1024 * 1024, /* of events while a page is made */
    AUDIT_ID_TEXT_BYTES = 36,
    AUDIT_FIND_ROWS_MAX = 50000, /* of the log, for one page */
};

extern const char *const audit_categories[];
extern const char *const audit_severities[];
extern const char *const audit_outcomes[];

/* ---- coming in: audit_intake.c, audit_intake_http.c ------------------------------------------ */

struct audit_event {
    struct span category, action, actor, principal, resource, severity, outcome, reason;
    struct span metadata;  /* a JSON object */
    struct json_list tags; /* of spans */
};
struct audit_batch {
    struct json_list events;
};

/* What an event is told as. */
struct audit_made {
    struct span id;
    int64_t created_at;
};
struct audit_made_batch {
    struct json_list events;
};

extern const struct json_schema audit_event_schema;
extern const struct json_schema audit_batch_schema;
extern const struct json_schema audit_made_schema;
extern const struct json_schema audit_made_batch_schema;

/* 8-4-4-4-12; RFC 9562, 4. */
void audit_id_write(const unsigned char id[TRAIL_ID_BYTES], char text[AUDIT_ID_TEXT_BYTES]);
PC_CHECKED bool audit_id_read(struct span text, unsigned char ret_id[TRAIL_ID_BYTES]);

/* Its tags as a JSON array; the empty span when there are none. */
PC_CHECKED enum err audit_tags_write(const struct audit_event *event, struct sbuf *out,
                                     struct span *ret_tags);

/* Whether the log's entry is what became of the event. What was erased since is not held against
 * it. */
PC_CHECKED bool audit_event_became(const struct audit_event *event, struct span source,
                                   const struct trail_entry *entry);

http_handler_fn audit_events_create;
http_handler_fn audit_batch_create;

/* ---- going out: audit_entry.c ---------------------------------------------------------------- */

extern const struct json_schema audit_entry_schema;

/* The entry as JSON. What the writing needs lies in `scratch`. */
PC_CHECKED enum err audit_entry_write(const struct trail_entry *entry, struct arena *scratch,
                                      struct sbuf *out);

/* ---- reading is an event: audit_told.c --------------------------------------------------------
 */

/* An answer that is ready, but leaves only behind the commit of the event that tells of it. */
struct audit_told {
    enum trail_event event; /* TRAIL_AUDIT_READ or TRAIL_AUDIT_EXPORTED */
    struct span object;     /* "event:..."; empty: the log */
    struct trail_detail details[2];
    const char *type;
    struct span body;
    bool by_accept;   /* another form of it was to be had */
    struct span link; /* of the header Link; empty: there is no next page */
};
PC_CHECKED enum err audit_tell(struct http_request *req, const struct audit_told *told);

/* ---- pages: audit_page.c ----------------------------------------------------------------------
 */

/* How entries stand in a page. */
struct audit_form {
    const char *type, *open, *between, *close;
    enum err (*write)(const struct trail_entry *entry, struct arena *scratch, struct sbuf *out);
};
extern const struct audit_form audit_form_json, audit_form_lines, audit_form_export;

/* Writes entries until the page is full; at least one. *ret_done is how many. */
PC_CHECKED enum err audit_page_write(const struct audit_form *form, const struct trail_entry *list,
                                     size_t count, struct arena *scratch, struct sbuf *out,
                                     size_t *ret_done);

/* A number as text, in the request's arena. */
struct span audit_number(struct http_request *req, int64_t number);
/* 400: the cursor is none of ours; a parameter is wrong. */
PC_CHECKED enum err audit_page_fail(struct http_request *req);
PC_CHECKED enum err audit_input_fail(struct http_request *req, const char *field,
                                     const char *message);
/* "</audit/stream?after=7&limit=100>; rel=\"next\"" with what is given behind the path. */
PC_FORMAT(2, 3) struct span audit_link(struct http_request *req, const char *format, ...);

/* ---- reading: audit_events_http.c, audit_stream_http.c, audit_export_http.c-------------------
 */

extern const struct json_schema audit_filter_schema;
extern const struct json_schema audit_id_schema;
extern const struct json_schema audit_stream_schema;
extern const struct json_schema audit_export_schema;

http_handler_fn audit_events_list;
http_handler_fn audit_events_get;
http_handler_fn audit_stream;
http_handler_fn audit_export;

/* ---- what shows that it is whole: audit_proof_http.c, audit_checkpoint_http.c -----------------
 */

/* base64, in the arena. */
struct span audit_hash_text(struct arena *arena, const struct trail_hash *hash);

extern const struct json_schema audit_checkpoint_schema;
extern const struct json_schema audit_checkpoints_page_schema;
extern const struct json_schema audit_inclusion_ask_schema;
extern const struct json_schema audit_inclusion_schema;
extern const struct json_schema audit_consistency_ask_schema;
extern const struct json_schema audit_consistency_schema;
extern const struct json_schema audit_tile_schema;

http_handler_fn audit_checkpoint;
http_handler_fn audit_checkpoints;
http_handler_fn audit_key;
http_handler_fn audit_inclusion;
http_handler_fn audit_consistency;
http_handler_fn audit_tile;

#endif
