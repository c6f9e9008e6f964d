/* SPDX-License-Identifier: MIT
 * From a request to a record of the trail: who asked, through which client, where from. */
#include "auth/auth_priv.h"

struct span auth_id_text(int64_t id, char room[AUTH_ID_TEXT_BYTES])
{
    struct sbuf out = sbuf_over(room, AUTH_ID_TEXT_BYTES);

    sbuf_add_i64(&out, id);
    return sbuf_span(&out);
}

struct trail_record auth_record_begin(const struct http_request *req, enum trail_event event,
                                      enum trail_outcome outcome)
{
    return (struct trail_record){.event = event,
                                 .outcome = outcome,
                                 .at_ns = clock_realtime_ns(http_engine_clock(http_engine_of(req))),
                                 .address = req->address,
                                 .request_id = req->request_id};
}

enum err auth_record(struct http_request *req, const struct auth_event *event)
{
    const struct http_principal *principal = req->principal;
    struct trail_record record = auth_record_begin(req, event->event, event->outcome);
    int64_t user_id = event->user_id;
    char id[AUTH_ID_TEXT_BYTES];

    if (user_id == 0 && principal != NULL)
        user_id = principal->user_id;
    record.client_id = event->client_id;
    if (record.client_id.len == 0 && principal != NULL)
        record.client_id = principal->client_id;
    if (user_id != 0) {
        record.actor_kind = TRAIL_ACTOR_USER;
        record.actor = auth_id_text(user_id, id);
    } else if (record.client_id.len > 0) {
        record.actor_kind = TRAIL_ACTOR_CLIENT;
        record.actor = record.client_id;
    }
    record.object = event->object;
    record.reason = event->reason;
    return trail_add(req->store, &record);
}

enum err auth_record_on(struct http_request *req, enum trail_event event, int64_t user_id,
                        const char *kind, struct span id, const char *reason)
{
    struct auth_event what = {.event = event,
                              .outcome = reason == NULL ? TRAIL_DONE : TRAIL_REFUSED,
                              .user_id = user_id,
                              .reason = span_from(reason)};
    char object[AUTH_OBJECT_BYTES_MAX];
    struct sbuf out = sbuf_over(object, sizeof(object));

    sbuf_add_text(&out, kind);
    sbuf_add(&out, id);
    what.object = sbuf_span(&out);
    return auth_record(req, &what);
}
