/* SPDX-License-Identifier: MIT
 * What happens to an alert when somebody tells of it: the steps of monitor_alert.h, each with its
 * row, its history and its event. */
#include "monitor/monitor_alert.h"

#include "json/json_writer.h"

static const struct store_statement open_find = {
    .name = "alert_open_find",
    .sqlite = "SELECT id, starts_at, name, severity, labels, annotations FROM alerts "
              "WHERE source = ?1 AND fingerprint = ?2 AND status = 'firing'"};
static const struct store_statement known_find = {
    .name = "alert_known_find",
    .sqlite = "SELECT count(*) FROM alerts "
              "WHERE source = ?1 AND fingerprint = ?2 AND starts_at BETWEEN ?3 AND ?4"};
static const struct store_statement alert_add = {
    .name = "alert_add",
    .sqlite = "INSERT INTO alerts (fingerprint, source, name, severity, status, labels, "
              "annotations, generator_url, starts_at, received_at, last_at, times) "
              "VALUES (?1, ?2, ?3, ?4, 'firing', ?5, ?6, ?7, ?8, ?9, ?9, 1) RETURNING id"};
static const struct store_statement alert_touch = {
    .name = "alert_touch",
    .sqlite = "UPDATE alerts SET last_at = ?2, times = times + 1 WHERE id = ?1"};
static const struct store_statement alert_begin = {
    .name = "alert_begin", .sqlite = "UPDATE alerts SET starts_at = ?2 WHERE id = ?1"};
static const struct store_statement alert_change = {
    .name = "alert_change",
    .sqlite = "UPDATE alerts SET name = ?2, severity = ?3, labels = ?4, annotations = ?5, "
              "generator_url = ?6 WHERE id = ?1"};
static const struct store_statement alert_end = {
    .name = "alert_end",
    .sqlite = "UPDATE alerts SET status = 'resolved', ends_at = ?2, resolved_at = ?3, "
              "resolved_by = ?4, last_at = ?3 WHERE id = ?1"};
static const struct store_statement alert_acknowledge = {
    .name = "alert_acknowledge",
    .sqlite = "UPDATE alerts SET acknowledged_at = ?2, acknowledged_by = ?3 WHERE id = ?1"};
static const struct store_statement state_find = {
    .name = "alert_state_find",
    .sqlite = "SELECT status, acknowledged_at, name, severity, source, fingerprint FROM alerts "
              "WHERE id = ?1"};
static const struct store_statement history_add = {
    .name = "alert_history_add",
    .sqlite = "INSERT INTO alert_history (alert_id, at, what, who, note, was) "
              "VALUES (?1, ?2, ?3, ?4, ?5, ?6)"};
static const struct store_statement history_trim = {
    .name = "alert_history_trim",
    .sqlite = "DELETE FROM alert_history WHERE alert_id = ?1 AND what = 'changed' AND seq <= "
              "(SELECT seq FROM alert_history WHERE alert_id = ?1 AND what = 'changed' "
              "ORDER BY seq DESC LIMIT 1 OFFSET ?2)"};

enum { OBJECT_BYTES = 32, WAS_BYTES_MAX = 4 * 1024 * 1024, NAMED_BYTES = 256 };

const struct monitor_who monitor_who_system = {
    .shown = SPAN("system"), .kind = TRAIL_ACTOR_SYSTEM, .actor = SPAN("system")};

/* ---- history and trail ------------------------------------------------------------------------
 */

struct happening {
    const char *what;
    struct span note, was;
};

static enum err remember(struct store_conn *conn, int64_t id, int64_t now_ns,
                         const struct monitor_who *who, const struct happening *happening)
{
    return store_exec(conn, &history_add,
                      STORE_PARAMS(STORE_I64(id), STORE_I64(now_ns),
                                   STORE_TEXT(span_from(happening->what)), STORE_TEXT(who->shown),
                                   STORE_TEXT_OR_NULL(happening->note),
                                   STORE_TEXT_OR_NULL(happening->was)),
                      NULL);
}

/* Which alert an event is about. */
struct subject {
    int64_t id;
    struct span name, severity, source, fingerprint;
};

static enum err record(struct store_conn *conn, enum trail_event event,
                       const struct subject *subject, struct span note,
                       const struct monitor_who *who, int64_t now_ns)
{
    char text[OBJECT_BYTES];
    struct sbuf object = sbuf_over(text, sizeof(text));
    struct trail_record told = {.event = event,
                                .outcome = TRAIL_DONE,
                                .at_ns = now_ns,
                                .actor_kind = who->kind,
                                .actor = who->actor,
                                .client_id = who->client_id,
                                .address = who->address,
                                .request_id = who->request_id,
                                .reason = note,
                                .details = {{"name", subject->name},
                                            {"severity", subject->severity},
                                            {"source", subject->source},
                                            {"fingerprint", subject->fingerprint}}};

    sbuf_add_lit(&object, "alert:");
    sbuf_add_i64(&object, subject->id);
    told.object = sbuf_span(&object);
    return trail_add(conn, &told);
}

/* ---- telling ----------------------------------------------------------------------------------
 */

/* The row that is not over; id 0: there is none. */
struct open {
    int64_t id, starts_at;
    struct span name, severity, labels, annotations;
};

static enum err find_open(struct store_conn *conn, const struct monitor_told *told,
                          struct arena *arena, struct open *ret_open)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err =
        store_query(conn, &open_find,
                    STORE_PARAMS(STORE_TEXT(told->source), STORE_TEXT(told->fingerprint)), &rows);

    *ret_open = (struct open){0};
    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_err(rows);
    *ret_open = (struct open){.id = store_rows_i64(rows, 0),
                              .starts_at = store_rows_i64(rows, 1),
                              .name = store_rows_text(rows, 2, arena),
                              .severity = store_rows_text(rows, 3, arena),
                              .labels = store_rows_text(rows, 4, arena),
                              .annotations = store_rows_text(rows, 5, arena)};
    return arena->overflowed ? ERR_NO_MEMORY : store_rows_err(rows);
}

static struct subject subject_of(const struct monitor_told *told, int64_t id)
{
    return (struct subject){.id = id,
                            .name = told->name,
                            .severity = told->severity,
                            .source = told->source,
                            .fingerprint = told->fingerprint};
}

static enum err add_row(struct store_conn *conn, const struct monitor_told *told, int64_t now_ns,
                        int64_t *ret_id)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &alert_add,
                               STORE_PARAMS(STORE_TEXT(told->fingerprint), STORE_TEXT(told->source),
                                            STORE_TEXT(told->name), STORE_TEXT(told->severity),
                                            STORE_TEXT(told->labels), STORE_TEXT(told->annotations),
                                            STORE_TEXT_OR_NULL(told->generator_url),
                                            STORE_I64(told->starts_at_ns), STORE_I64(now_ns)),
                               &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_STORE_CORRUPT);
    *ret_id = store_rows_i64(rows, 0);
    return store_rows_err(rows);
}

static enum err fire(struct store_conn *conn, const struct monitor_told *told,
                     const struct monitor_who *who, int64_t now_ns, int64_t *ret_id)
{
    const struct happening fired = {.what = "fired"};
    struct subject subject;
    enum err err = add_row(conn, told, now_ns, ret_id);

    if (!err)
        err = remember(conn, *ret_id, now_ns, who, &fired);
    if (err)
        return err;
    subject = subject_of(told, *ret_id);
    return record(conn, TRAIL_ALERT_FIRED, &subject, (struct span){0}, who, now_ns);
}

static enum err end(struct store_conn *conn, const struct subject *subject, int64_t ends_at_ns,
                    struct span note, const struct monitor_who *who, int64_t now_ns)
{
    const struct happening resolved = {.what = "resolved", .note = note};
    enum err err = store_exec(conn, &alert_end,
                              STORE_PARAMS(STORE_I64(subject->id), STORE_I64(ends_at_ns),
                                           STORE_I64(now_ns), STORE_TEXT(who->shown)),
                              NULL);

    if (!err)
        err = remember(conn, subject->id, now_ns, who, &resolved);
    return err ? err : record(conn, TRAIL_ALERT_RESOLVED, subject, note, who, now_ns);
}

static bool is_as_told(const struct open *open, const struct monitor_told *told)
{
    return span_equal(open->labels, told->labels) &&
           span_equal(open->annotations, told->annotations) &&
           span_equal(open->severity, told->severity) && span_equal(open->name, told->name);
}

static struct span was(const struct open *open, struct arena *arena)
{
    struct sbuf out = sbuf_on(arena, WAS_BYTES_MAX);
    struct json_writer w = json_writer_on(&out);

    json_begin_object(&w);
    json_add_text(&w, "name", open->name);
    json_add_text(&w, "severity", open->severity);
    json_add_raw(&w, "labels", open->labels);
    json_add_raw(&w, "annotations", open->annotations);
    json_end_object(&w);
    return out.full ? (struct span){0} : sbuf_span(&out);
}

/* Told again with other words: what they were is kept. */
static enum err change(struct store_conn *conn, const struct open *open,
                       const struct monitor_told *told, const struct monitor_who *who,
                       int64_t now_ns, struct arena *arena)
{
    const struct happening changed = {.what = "changed", .was = was(open, arena)};
    enum err err;

    if (changed.was.ptr == NULL)
        return ERR_NO_MEMORY;
    err = store_exec(conn, &alert_change,
                     STORE_PARAMS(STORE_I64(open->id), STORE_TEXT(told->name),
                                  STORE_TEXT(told->severity), STORE_TEXT(told->labels),
                                  STORE_TEXT(told->annotations),
                                  STORE_TEXT_OR_NULL(told->generator_url)),
                     NULL);
    if (!err)
        err = remember(conn, open->id, now_ns, who, &changed);
    if (!err)
        err = store_exec(conn, &history_trim,
                         STORE_PARAMS(STORE_I64(open->id), STORE_I64(MONITOR_CHANGES_MAX)), NULL);
    return err;
}

/* Is there a row of that alert that began then, or later and not behind `until_ns`? */
static enum err is_known(struct store_conn *conn, const struct monitor_told *told, int64_t until_ns,
                         bool *ret_known)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &known_find,
                               STORE_PARAMS(STORE_TEXT(told->source), STORE_TEXT(told->fingerprint),
                                            STORE_I64(told->starts_at_ns), STORE_I64(until_ns)),
                               &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_STORE_CORRUPT);
    *ret_known = store_rows_i64(rows, 0) > 0;
    return store_rows_err(rows);
}

static bool is_earlier(const struct open *open, const struct monitor_told *told)
{
    return told->start_counts && told->starts_at_ns < open->starts_at;
}

static bool is_later(const struct open *open, const struct monitor_told *told)
{
    return told->start_counts && told->starts_at_ns > open->starts_at;
}

/* Alertmanager makes one of two tellings that overlap, which then began with the earlier: so did
 * the row, or its end would be taken for that of an earlier time. Unless that time is a row. */
static enum err begin_earlier(struct store_conn *conn, const struct open *open,
                              const struct monitor_told *told)
{
    bool known = false;
    enum err err = is_known(conn, told, told->starts_at_ns, &known);

    if (err || known)
        return err;
    return store_exec(conn, &alert_begin,
                      STORE_PARAMS(STORE_I64(open->id), STORE_I64(told->starts_at_ns)), NULL);
}

static enum err repeat(struct store_conn *conn, const struct open *open,
                       const struct monitor_told *told, const struct monitor_who *who,
                       int64_t now_ns, struct arena *arena)
{
    enum err err =
        store_exec(conn, &alert_touch, STORE_PARAMS(STORE_I64(open->id), STORE_I64(now_ns)), NULL);

    if (!err && is_earlier(open, told))
        err = begin_earlier(conn, open, told);
    if (err || is_as_told(open, told))
        return err;
    return change(conn, open, told, who, now_ns, arena);
}

static int64_t end_of(const struct monitor_told *told, int64_t now_ns)
{
    return told->ends_at_ns != 0 ? told->ends_at_ns : now_ns;
}

/* Nobody told when it began: both are kept now. Nothing is when the end is told twice, or is of a
 * time that somebody ended by hand. */
static enum err tell_late(struct store_conn *conn, const struct monitor_told *told,
                          const struct monitor_who *who, int64_t now_ns, int64_t *ret_id,
                          enum monitor_step *ret_step)
{
    struct subject subject;
    bool known = false;
    enum err err = is_known(conn, told, INT64_MAX, &known);

    if (err || known)
        return err;
    err = fire(conn, told, who, now_ns, ret_id);
    if (err)
        return err;
    *ret_step = MONITOR_RESOLVED;
    subject = subject_of(told, *ret_id);
    return end(conn, &subject, end_of(told, now_ns), (struct span){0}, who, now_ns);
}

static enum err tell_new(struct store_conn *conn, const struct monitor_told *told,
                         const struct monitor_who *who, int64_t now_ns, int64_t *ret_id,
                         enum monitor_step *ret_step)
{
    if (told->firing) {
        *ret_step = MONITOR_FIRED;
        return fire(conn, told, who, now_ns, ret_id);
    }
    if (told->only_open)
        return ERR_OK;
    return tell_late(conn, told, who, now_ns, ret_id, ret_step);
}

static enum err tell_open(struct store_conn *conn, const struct open *open,
                          const struct monitor_told *told, const struct monitor_who *who,
                          int64_t now_ns, struct arena *arena, enum monitor_step *ret_step)
{
    const struct subject subject = subject_of(told, open->id);

    if (told->firing) {
        *ret_step = MONITOR_REPEATED;
        return repeat(conn, open, told, who, now_ns, arena);
    }
    if (is_earlier(open, told))
        return ERR_OK;
    *ret_step = MONITOR_RESOLVED;
    return end(conn, &subject, end_of(told, now_ns), (struct span){0}, who, now_ns);
}

/* It ended at some moment before, which nobody tells of what was silenced or inhibited then. */
static enum err end_before(struct store_conn *conn, struct open *open,
                           const struct monitor_told *told, int64_t now_ns)
{
    const struct subject subject = {.id = open->id,
                                    .name = open->name,
                                    .severity = open->severity,
                                    .source = told->source,
                                    .fingerprint = told->fingerprint};

    *open = (struct open){0};
    return end(conn, &subject, told->starts_at_ns, SPAN_OF("It is told of a later start."),
               &monitor_who_system, now_ns);
}

enum err monitor_alert_tell(struct store_conn *conn, const struct monitor_told *told,
                            const struct monitor_who *who, int64_t now_ns, struct arena *arena,
                            int64_t *ret_id, enum monitor_step *ret_step)
{
    struct open open;
    enum err err = find_open(conn, told, arena, &open);

    *ret_step = MONITOR_NOTHING;
    if (!err && open.id != 0 && is_later(&open, told))
        err = end_before(conn, &open, told, now_ns);
    *ret_id = open.id;
    if (err)
        return err;
    if (open.id == 0)
        return tell_new(conn, told, who, now_ns, ret_id, ret_step);
    return tell_open(conn, &open, told, who, now_ns, arena, ret_step);
}

/* ---- what operators do ------------------------------------------------------------------------
 */

/* The alert as it stands; the texts lie in `room`. */
struct standing {
    struct subject subject;
    bool firing, acknowledged;
    char room[4 * NAMED_BYTES];
};

static struct span keep(struct store_rows *rows, size_t column, struct sbuf *room)
{
    struct span text = span_slice(store_rows_text(rows, column, NULL), 0, NAMED_BYTES);
    size_t at = room->len;

    sbuf_add(room, text);
    return span_make(room->ptr + at, room->len - at);
}

static enum err find_standing(struct store_conn *conn, int64_t id, struct standing *ret_standing)
{
    struct sbuf room = sbuf_over(ret_standing->room, sizeof(ret_standing->room));
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &state_find, STORE_PARAMS(STORE_I64(id)), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    ret_standing->firing = span_is(store_rows_text(rows, 0, NULL), "firing");
    ret_standing->acknowledged = !store_rows_null(rows, 1);
    ret_standing->subject = (struct subject){.id = id,
                                             .name = keep(rows, 2, &room),
                                             .severity = keep(rows, 3, &room),
                                             .source = keep(rows, 4, &room),
                                             .fingerprint = keep(rows, 5, &room)};
    return store_rows_err(rows);
}

static enum err refuse(const char *why, const char **reterr_why)
{
    *reterr_why = why;
    return ERR_CONFLICT;
}

enum err monitor_alert_acknowledge(struct store_conn *conn, int64_t id, struct span note,
                                   const struct monitor_who *who, int64_t now_ns,
                                   const char **reterr_why)
{
    const struct happening acknowledged = {.what = "acknowledged", .note = note};
    struct standing standing;
    enum err err = find_standing(conn, id, &standing);

    if (err)
        return err;
    if (!standing.firing)
        return refuse("The alert is over.", reterr_why);
    if (standing.acknowledged)
        return refuse("Somebody looks after the alert already.", reterr_why);
    err = store_exec(conn, &alert_acknowledge,
                     STORE_PARAMS(STORE_I64(id), STORE_I64(now_ns), STORE_TEXT(who->shown)), NULL);
    if (!err)
        err = remember(conn, id, now_ns, who, &acknowledged);
    return err ? err : record(conn, TRAIL_ALERT_ACKNOWLEDGED, &standing.subject, note, who, now_ns);
}

enum err monitor_alert_resolve(struct store_conn *conn, int64_t id, struct span note,
                               const struct monitor_who *who, int64_t now_ns,
                               const char **reterr_why)
{
    struct standing standing;
    enum err err = find_standing(conn, id, &standing);

    if (err)
        return err;
    if (!standing.firing)
        return refuse("The alert is over.", reterr_why);
    return end(conn, &standing.subject, now_ns, note, who, now_ns);
}
