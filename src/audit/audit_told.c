/* SPDX-License-Identifier: MIT
 * Who reads the log is in the log. A page is made by a reading thread, so that a slow search holds
 * up nobody who writes; then the event of it is committed, and only behind that commit the page
 * leaves. If the event cannot be written, nothing was read.
 *
 *   audit_events_list (reader) -> audit_tell -> told_run (writer, with all others who read)
 *                                                  -> commit -> the answer */
#include "audit/audit_priv.h"

enum { ACTOR_BYTES = 24 };

static enum err record_fill(struct http_request *req, const struct audit_told *told,
                            struct trail_record *record)
{
    const struct http_principal *who = req->principal;
    struct sbuf actor = sbuf_on(req->arena, ACTOR_BYTES);

    *record =
        (struct trail_record){.event = told->event,
                              .outcome = TRAIL_DONE,
                              .at_ns = clock_realtime_ns(http_engine_clock(http_engine_of(req))),
                              .actor_kind = TRAIL_ACTOR_CLIENT,
                              .actor = who->client_id,
                              .client_id = who->client_id,
                              .address = req->address,
                              .request_id = req->request_id,
                              .object = told->object.len > 0 ? told->object : SPAN_OF("audit-log"),
                              .details = {told->details[0], told->details[1]}};
    if (who->user_id == 0)
        return ERR_OK;
    sbuf_add_i64(&actor, who->user_id);
    record->actor_kind = TRAIL_ACTOR_USER;
    record->actor = sbuf_span(&actor);
    return actor.full ? ERR_NO_MEMORY : ERR_OK;
}

static enum err told_visit(struct http_request *req)
{
    const struct audit_told *told = req->group_work;
    struct trail_record record = {0};
    enum err err = record_fill(req, told, &record);

    if (err == ERR_OK)
        err = trail_add(req->store, &record);
    if (err)
        return err;
    if (told->link.len > 0)
        http_reply_header(req, "Link", told->link);
    if (told->by_accept)
        http_reply_header(req, "Vary", SPAN_OF("Accept"));
    return http_reply_text(req, 200, told->type, told->body);
}

static enum err told_run(const struct http_group *group, struct store_conn *conn,
                         struct http_request *const *requests, size_t count)
{
    enum err err = ERR_OK;

    (void)group, (void)conn;
    for (size_t i = 0; i < count && err == ERR_OK; i++)
        err = http_visit(requests[i], told_visit);
    return err;
}

static const struct http_group told_group = {.name = "audit_told", .run = told_run};

enum err audit_tell(struct http_request *req, const struct audit_told *told)
{
    struct audit_told *kept = arena_alloc(req->arena, sizeof(*kept));

    if (kept == NULL)
        return ERR_NO_MEMORY;
    *kept = *told;
    req->group_work = kept;
    return http_hop_together(req, &told_group, 1);
}
