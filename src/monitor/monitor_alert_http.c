/* SPDX-License-Identifier: MIT
 * What operators see of alerts and do about them. */
#include "monitor/monitor_priv.h"

struct alerts_input {
    struct http_page page; /* first: HTTP_PAGE_FIELDS */
    struct span status, severity, name;
};

static const char *const statuses[] = {"firing", "resolved", NULL};

static const struct json_field alerts_input_fields[] = {
    HTTP_PAGE_FIELDS(HTTP_PAGE_KEY_BYTES_MAX, "100"),
    {.name = "status",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .choices = statuses,
     .offset = offsetof(struct alerts_input, status),
     .about = "Only those.",
     .example = "firing"},
    {.name = "severity",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .min = 1,
     .max = MONITOR_SEVERITY_BYTES_MAX,
     .offset = offsetof(struct alerts_input, severity),
     .about = "Only those whose label severity is this.",
     .example = "critical"},
    {.name = "name",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .min = 1,
     .max = MONITOR_NAME_BYTES_MAX,
     .offset = offsetof(struct alerts_input, name),
     .about = "Only those whose label alertname is this.",
     .example = "BreakerOpen"},
};
const struct json_schema monitor_alerts_input_schema = {.name = "AlertPage",
                                                        .fields = alerts_input_fields,
                                                        .field_count =
                                                            PC_COUNT(alerts_input_fields),
                                                        .bytes = sizeof(struct alerts_input)};

struct alert_input {
    int64_t id;
};

static const struct json_field alert_input_fields[] = {
    {.name = "id",
     .kind = JSON_KIND_I64,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct alert_input, id),
     .example = "1",
     .about = "The alert's."},
};
const struct json_schema monitor_alert_input_schema = {.name = "AlertId",
                                                       .fields = alert_input_fields,
                                                       .field_count = PC_COUNT(alert_input_fields),
                                                       .bytes = sizeof(struct alert_input)};

struct note_body {
    struct span note;
};

static const struct json_field note_fields[] = {
    {.name = "note",
     .kind = JSON_KIND_TEXT,
     .free_text = true,
     .optional = true,
     .nullable = true,
     .max = MONITOR_NOTE_CHARS_MAX,
     .offset = offsetof(struct note_body, note),
     .about = "What others should know; card data in it is masked.",
     .example = "Looking at the disk."},
};
const struct json_schema monitor_note_schema = {.name = "AlertNote",
                                                .about = "What is said about a step.",
                                                .fields = note_fields,
                                                .field_count = PC_COUNT(note_fields),
                                                .bytes = sizeof(struct note_body)};

/* ---- what is told of an alert -----------------------------------------------------------------
 */

struct happening_reply {
    struct monitor_happening of;
};

static const struct json_field happening_fields[] = {
    {.name = "at",
     .kind = JSON_KIND_TIME,
     .offset = offsetof(struct happening_reply, of.at),
     .example = "2026-02-03T04:05:06Z"},
    {.name = "what",
     .kind = JSON_KIND_TEXT,
     .choices = (const char *const[]){"fired", "changed", "acknowledged", "resolved", NULL},
     .offset = offsetof(struct happening_reply, of.what),
     .example = "fired"},
    {.name = "who",
     .kind = JSON_KIND_TEXT,
     .max = MONITOR_WHO_BYTES_MAX,
     .offset = offsetof(struct happening_reply, of.who),
     .about = "A user, a client, or the program itself.",
     .example = "user:1"},
    {.name = "note",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .nullable = true,
     .max = MONITOR_NOTE_CHARS_MAX,
     .offset = offsetof(struct happening_reply, of.note),
     .example = "Looking at the disk."},
    {.name = "was",
     .kind = JSON_KIND_MAP,
     .optional = true,
     .nullable = true,
     .max = INT32_MAX,
     .offset = offsetof(struct happening_reply, of.was),
     .about = "Name, severity, labels and annotations before a change.",
     .example = "{\"name\":\"BreakerOpen\",\"severity\":\"warning\",\"labels\":{},"
                "\"annotations\":{}}"},
};
static const struct json_schema happening_schema = {.name = "AlertStep",
                                                    .about = "What happened to an alert.",
                                                    .fields = happening_fields,
                                                    .field_count = PC_COUNT(happening_fields),
                                                    .bytes = sizeof(struct happening_reply)};

struct alert_reply {
    struct monitor_alert of;
    bool stored, has_ends_at, has_acknowledged_at, has_resolved_at;
    bool history_cut;
    struct json_list history;
};

#define TIME_FIELD(member, has, words)                                                             \
    {                                                                                              \
        .name = #member, .kind = JSON_KIND_TIME, .optional = true, .nullable = true,               \
        .offset = offsetof(struct alert_reply, of.member),                                         \
        .has_offset = offsetof(struct alert_reply, has), .about = (words),                         \
        .example = "2026-02-03T04:05:06Z"                                                          \
    }
#define ALERT_FIELDS                                                                               \
    {.name = "id",                                                                                 \
     .kind = JSON_KIND_I64,                                                                        \
     .optional = true,                                                                             \
     .nullable = true,                                                                             \
     .min = 1,                                                                                     \
     .max = INT64_MAX,                                                                             \
     .offset = offsetof(struct alert_reply, of.id),                                                \
     .has_offset = offsetof(struct alert_reply, stored),                                           \
     .about = "Null while this node could not store it.",                                          \
     .example = "1"},                                                                              \
        {.name = "fingerprint",                                                                    \
         .kind = JSON_KIND_TEXT,                                                                   \
         .max = 128,                                                                               \
         .offset = offsetof(struct alert_reply, of.fingerprint),                                   \
         .about = "Names the alert: the hash of its labels.",                                      \
         .example = "c0ffee0123456789"},                                                           \
        {.name = "source",                                                                         \
         .kind = JSON_KIND_TEXT,                                                                   \
         .choices = (const char *const[]){"alertmanager", "portcullis", NULL},                     \
         .offset = offsetof(struct alert_reply, of.source),                                        \
         .about = "Who tells of it: the webhook, or the program itself.",                          \
         .example = "alertmanager"},                                                               \
        {.name = "name",                                                                           \
         .kind = JSON_KIND_TEXT,                                                                   \
         .max = MONITOR_NAME_BYTES_MAX,                                                            \
         .offset = offsetof(struct alert_reply, of.name),                                          \
         .about = "Its label alertname.",                                                          \
         .example = "BreakerOpen"},                                                                \
        {.name = "severity",                                                                       \
         .kind = JSON_KIND_TEXT,                                                                   \
         .max = MONITOR_SEVERITY_BYTES_MAX,                                                        \
         .offset = offsetof(struct alert_reply, of.severity),                                      \
         .about = "Its label severity.",                                                           \
         .example = "critical"},                                                                   \
        {.name = "status",                                                                         \
         .kind = JSON_KIND_TEXT,                                                                   \
         .choices = statuses,                                                                      \
         .offset = offsetof(struct alert_reply, of.status),                                        \
         .example = "firing"},                                                                     \
        {.name = "labels",                                                                         \
         .kind = JSON_KIND_MAP,                                                                    \
         .max = INT32_MAX,                                                                         \
         .offset = offsetof(struct alert_reply, of.labels),                                        \
         .example = "{\"alertname\":\"BreakerOpen\",\"severity\":\"critical\"}"},                  \
        {.name = "annotations",                                                                    \
         .kind = JSON_KIND_MAP,                                                                    \
         .max = INT32_MAX,                                                                         \
         .offset = offsetof(struct alert_reply, of.annotations),                                   \
         .example = "{\"summary\":\"A breaker is open\"}"},                                        \
        {.name = "generator_url",                                                                  \
         .kind = JSON_KIND_TEXT,                                                                   \
         .optional = true,                                                                         \
         .nullable = true,                                                                         \
         .max = 4096,                                                                              \
         .offset = offsetof(struct alert_reply, of.generator_url),                                 \
         .example = "http://prometheus.example.com/graph?g0.expr=up"},                             \
        {.name = "starts_at",                                                                      \
         .kind = JSON_KIND_TIME,                                                                   \
         .offset = offsetof(struct alert_reply, of.starts_at),                                     \
         .example = "2026-02-03T04:05:06Z"},                                                       \
        TIME_FIELD(ends_at, has_ends_at, "When it was over."),                                     \
        {.name = "received_at",                                                                    \
         .kind = JSON_KIND_TIME,                                                                   \
         .offset = offsetof(struct alert_reply, of.received_at),                                   \
         .about = "When it was first told.",                                                       \
         .example = "2026-02-03T04:05:06Z"},                                                       \
        {.name = "last_at",                                                                        \
         .kind = JSON_KIND_TIME,                                                                   \
         .offset = offsetof(struct alert_reply, of.last_at),                                       \
         .about = "When it was last told.",                                                        \
         .example = "2026-02-03T04:05:06Z"},                                                       \
        {.name = "times",                                                                          \
         .kind = JSON_KIND_I64,                                                                    \
         .min = 1,                                                                                 \
         .max = INT64_MAX,                                                                         \
         .offset = offsetof(struct alert_reply, of.times),                                         \
         .about = "How often it was told while it was firing.",                                    \
         .example = "1"},                                                                          \
        TIME_FIELD(acknowledged_at, has_acknowledged_at, "When somebody took it."),                \
        {.name = "acknowledged_by",                                                                \
         .kind = JSON_KIND_TEXT,                                                                   \
         .optional = true,                                                                         \
         .nullable = true,                                                                         \
         .max = MONITOR_WHO_BYTES_MAX,                                                             \
         .offset = offsetof(struct alert_reply, of.acknowledged_by),                               \
         .example = "user:1"},                                                                     \
        TIME_FIELD(resolved_at, has_resolved_at, "When its end was told."),                        \
    {                                                                                              \
        .name = "resolved_by", .kind = JSON_KIND_TEXT, .optional = true, .nullable = true,         \
        .max = MONITOR_WHO_BYTES_MAX, .offset = offsetof(struct alert_reply, of.resolved_by),      \
        .example = "client:alertmanager"                                                           \
    }

static const struct json_field alert_fields[] = {ALERT_FIELDS};
const struct json_schema monitor_alert_schema = {.name = "Alert",
                                                 .about = "Something that went wrong.",
                                                 .fields = alert_fields,
                                                 .field_count = PC_COUNT(alert_fields),
                                                 .bytes = sizeof(struct alert_reply)};

static const struct json_field alert_whole_fields[] = {
    ALERT_FIELDS,
    {.name = "history_cut",
     .kind = JSON_KIND_BOOL,
     .offset = offsetof(struct alert_reply, history_cut),
     .about = "Whether older steps are left out of the history, since it is long.",
     .example = "false"},
    {.name = "history",
     .kind = JSON_KIND_LIST,
     .max = LIMIT_PAGE_ITEMS_MAX,
     .schema = &happening_schema,
     .offset = offsetof(struct alert_reply, history),
     .about = "What happened to it, the oldest first; of changes the last 100."},
};
const struct json_schema monitor_alert_whole_schema = {.name = "AlertWithHistory",
                                                       .about = "An alert and what became of it.",
                                                       .fields = alert_whole_fields,
                                                       .field_count = PC_COUNT(alert_whole_fields),
                                                       .bytes = sizeof(struct alert_reply)};

static struct alert_reply reply_of(const struct monitor_alert *alert)
{
    return (struct alert_reply){.of = *alert,
                                .stored = alert->id != 0,
                                .has_ends_at = alert->ends_at != 0,
                                .has_acknowledged_at = alert->acknowledged_at != 0,
                                .has_resolved_at = alert->resolved_at != 0};
}

/* ---- handlers ---------------------------------------------------------------------------------
 */

static bool is_asked_for(const struct monitor_filter *filter, const struct monitor_alert *alert)
{
    return (filter->status.len == 0 || span_equal(filter->status, alert->status)) &&
           (filter->severity.len == 0 || span_equal(filter->severity, alert->severity)) &&
           (filter->name.len == 0 || span_equal(filter->name, alert->name));
}

/* What only this node knows yet. */
struct unstored {
    struct monitor_alert *list;
    size_t count;
};

/* The end of a row that the store does not know of yet. */
static void look_over(const struct unstored *unstored, struct monitor_alert *alert)
{
    for (size_t i = 0; i < unstored->count; i++) {
        const struct monitor_alert *known = &unstored->list[i];

        if (known->id != alert->id || span_is(alert->status, "resolved"))
            continue;
        alert->status = known->status;
        alert->ends_at = known->ends_at;
        alert->resolved_at = known->resolved_at;
        alert->resolved_by = known->resolved_by;
    }
}

/* Stored between our two looks. */
static bool is_on(const struct monitor_page *page, const struct monitor_alert *alert)
{
    for (size_t i = 0; i < page->count; i++) {
        const struct monitor_alert *row = &page->list[i];

        if (row->starts_at == alert->starts_at && span_equal(row->source, alert->source) &&
            span_equal(row->fingerprint, alert->fingerprint))
            return true;
    }
    return false;
}

/* What is not stored is newer than what is: it leads the first page, on top of its limit. */
static size_t add_unstored(const struct unstored *unstored, const struct monitor_filter *filter,
                           const struct monitor_page *page, struct alert_reply *replies)
{
    size_t count = 0;

    for (size_t i = 0; i < unstored->count && filter->before_id == INT64_MAX; i++) {
        const struct monitor_alert *alert = &unstored->list[i];

        if (alert->id == 0 && is_asked_for(filter, alert) && !is_on(page, alert))
            replies[count++] = reply_of(alert);
    }
    return count;
}

static enum err reply_page(struct http_request *req, const struct unstored *unstored,
                           const struct monitor_filter *filter, const struct monitor_page *page)
{
    struct alert_reply *replies =
        arena_array(req->arena, page->count + unstored->count + 1, sizeof(*replies));
    size_t count;

    if (replies == NULL)
        return ERR_NO_MEMORY;
    count = add_unstored(unstored, filter, page, replies);
    for (size_t i = 0; i < page->count; i++) {
        look_over(unstored, &page->list[i]);
        if (is_asked_for(filter, &page->list[i]))
            replies[count++] = reply_of(&page->list[i]);
    }
    return http_reply_list(req, (struct json_list){.items = replies, .count = count});
}

enum err monitor_alerts_list(struct http_request *req)
{
    const struct monitor *monitor = http_context(req);
    const struct alerts_input *input = req->input;
    struct monitor_filter filter = {.status = input->status,
                                    .severity = input->severity,
                                    .name = input->name,
                                    .limit = (size_t)input->page.limit};
    struct monitor_page page = {0};
    struct unstored unstored = {0};
    enum err err = http_page_after(req, &input->page, &filter.before_id);

    if (!err && filter.before_id == 0)
        filter.before_id = INT64_MAX;
    if (!err) /* before the rows: what is stored in between is then seen twice, not never */
        err = monitor_inner_unstored(monitor->inner, req->arena, &unstored.list, &unstored.count);
    if (!err)
        err = monitor_alert_list(req->store, &filter, req->arena, &page);
    if (err)
        return err;
    if (page.more)
        http_page_link_key(req, &input->page, page.list[page.count - 1].id);
    return reply_page(req, &unstored, &filter, &page);
}

static enum err show(struct http_request *req, int64_t id)
{
    const struct monitor *monitor = http_context(req);
    struct monitor_history history;
    struct unstored unstored = {0};
    struct monitor_alert alert;
    struct alert_reply reply;
    enum err err =
        monitor_inner_unstored(monitor->inner, req->arena, &unstored.list, &unstored.count);

    if (!err)
        err = monitor_alert_get(req->store, id, req->arena, &alert);
    if (err)
        return err;
    look_over(&unstored, &alert);
    reply = reply_of(&alert);
    err = monitor_alert_history(req->store, id, req->arena, &history);
    if (err)
        return err;
    reply.history = (struct json_list){.items = history.list, .count = history.count};
    reply.history_cut = history.cut;
    return http_reply_json(req, 200, &monitor_alert_whole_schema, &reply);
}

enum err monitor_alert_show(struct http_request *req)
{
    return show(req, ((const struct alert_input *)req->input)->id);
}

typedef enum err step_fn(struct store_conn *conn, int64_t id, struct span note,
                         const struct monitor_who *who, int64_t now_ns, const char **reterr_why);

static enum err take_step(struct http_request *req, step_fn *step)
{
    const struct monitor *monitor = http_context(req);
    const struct alert_input *input = req->input;
    const struct note_body *body = req->body;
    char room[MONITOR_WHO_BYTES_MAX];
    const struct monitor_who who = monitor_who_of(req, room);
    struct span note = body->note.len > 0 ? body->note : (struct span){0};
    const char *why = NULL;
    enum err err =
        step(req->store, input->id, note, &who, clock_realtime_ns(monitor->options.clock), &why);

    if (err == ERR_CONFLICT)
        return http_fail(req, err, why);
    return err ? err : show(req, input->id);
}

enum err monitor_alert_take(struct http_request *req)
{
    return take_step(req, monitor_alert_acknowledge);
}

enum err monitor_alert_close(struct http_request *req)
{
    return take_step(req, monitor_alert_resolve);
}
