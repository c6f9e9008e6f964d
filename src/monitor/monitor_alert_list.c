/* SPDX-License-Identifier: MIT
 * Reading alerts: pages of them, one with its history, and how many there are. */
#include "monitor/monitor_alert.h"

#include "base/limits.h"

#define COLUMNS                                                                                    \
    "id, fingerprint, source, name, severity, status, labels, annotations, generator_url, "        \
    "starts_at, ends_at, received_at, last_at, times, acknowledged_at, acknowledged_by, "          \
    "resolved_at, resolved_by"

/* What the index leads with is ?2; the other filters stand beside it. */
#define PAGE_OF(lead)                                                                              \
    "SELECT " COLUMNS " FROM alerts WHERE id < ?1 " lead                                           \
    " AND (CAST(?3 AS text) IS NULL OR status = ?3)"                                               \
    " AND (CAST(?4 AS text) IS NULL OR severity = ?4) ORDER BY id DESC LIMIT ?5"

enum lead { LEAD_NAME, LEAD_SEVERITY, LEAD_STATUS, LEAD_ALL, LEAD_COUNT };

static const struct store_statement pages[LEAD_COUNT] = {
    [LEAD_NAME] = {.name = "alerts_of_name", .sqlite = PAGE_OF("AND name = ?2")},
    [LEAD_SEVERITY] = {.name = "alerts_of_severity", .sqlite = PAGE_OF("AND severity = ?2")},
    [LEAD_STATUS] = {.name = "alerts_of_status", .sqlite = PAGE_OF("AND status = ?2")},
    [LEAD_ALL] = {.name = "alerts_of_all", .sqlite = PAGE_OF("AND CAST(?2 AS text) IS NULL")},
};

static const struct store_statement alert_get = {
    .name = "alert_get", .sqlite = "SELECT " COLUMNS " FROM alerts WHERE id = ?1"};
static const struct store_statement history_get = {
    .name = "alert_history_get",
    .sqlite = "SELECT at, what, who, note, was FROM alert_history WHERE alert_id = ?1 "
              "ORDER BY seq DESC LIMIT ?2"};
static const struct store_statement tally_get = {
    .name = "alert_tally",
    .sqlite = "SELECT count(*), coalesce(sum(CASE severity WHEN 'critical' THEN 1 ELSE 0 END), 0), "
              "coalesce(sum(CASE WHEN acknowledged_at IS NULL THEN 1 ELSE 0 END), 0) FROM alerts "
              "WHERE status = 'firing'",
    .postgres = "SELECT count(*), coalesce(sum(CASE severity WHEN 'critical' THEN 1 ELSE 0 END), "
                "0)::bigint,"
                " coalesce(sum(CASE WHEN acknowledged_at IS NULL THEN 1 ELSE 0 END), 0)::bigint "
                "FROM alerts "
                "WHERE status = 'firing'"};

enum {
    PAGE_BYTES_MAX = 640 * 1024, /* a page ends early when its alerts are long */
    BYTES_BESIDE = 1024,         /* of an alert, besides the texts that may be long */
    ESCAPED = 6,                 /* bytes that one byte may become */
    HISTORY_ROWS_MAX = MONITOR_CHANGES_MAX + 8, /* fired, acknowledged and resolved come once */
    HISTORY_BYTES_MAX = 512 * 1024,             /* of an answer that has the alert to hold, too */
    HAPPENING_BYTES = 256,                      /* of a step, besides its texts */
};

static void read_row(struct store_rows *rows, struct arena *arena, struct monitor_alert *ret_alert)
{
    *ret_alert = (struct monitor_alert){
        .id = store_rows_i64(rows, 0),
        .fingerprint = store_rows_text(rows, 1, arena),
        .source = store_rows_text(rows, 2, arena),
        .name = store_rows_text(rows, 3, arena),
        .severity = store_rows_text(rows, 4, arena),
        .status = store_rows_text(rows, 5, arena),
        .labels = store_rows_text(rows, 6, arena),
        .annotations = store_rows_text(rows, 7, arena),
        .generator_url = store_rows_text(rows, 8, arena),
        .starts_at = store_rows_i64(rows, 9),
        .ends_at = store_rows_i64_or(rows, 10, 0),
        .received_at = store_rows_i64(rows, 11),
        .last_at = store_rows_i64(rows, 12),
        .times = store_rows_i64(rows, 13),
        .acknowledged_at = store_rows_i64_or(rows, 14, 0),
        .acknowledged_by = store_rows_text(rows, 15, arena),
        .resolved_at = store_rows_i64_or(rows, 16, 0),
        .resolved_by = store_rows_text(rows, 17, arena),
    };
}

/* At least as many bytes as the alert will be in an answer. */
static size_t bytes_of(const struct monitor_alert *alert)
{
    return BYTES_BESIDE + alert->labels.len + alert->annotations.len +
           ESCAPED * (alert->name.len + alert->severity.len + alert->generator_url.len);
}

static enum err rows_over(struct store_rows *rows, const struct arena *arena)
{
    enum err err = store_rows_err(rows);

    return !err && arena->overflowed ? ERR_NO_MEMORY : err;
}

static enum lead lead_of(const struct monitor_filter *filter, struct span *ret_value)
{
    const struct span values[] = {[LEAD_NAME] = filter->name,
                                  [LEAD_SEVERITY] = filter->severity,
                                  [LEAD_STATUS] = filter->status};
    enum lead lead = LEAD_NAME;

    while (lead < LEAD_ALL && values[lead].len == 0)
        lead++;
    *ret_value = lead < LEAD_ALL ? values[lead] : (struct span){0};
    return lead;
}

static struct store_value value_or_null(struct span text)
{
    return text.len == 0 ? STORE_NULL : STORE_TEXT(text);
}

enum err monitor_alert_list(struct store_conn *conn, const struct monitor_filter *filter,
                            struct arena *arena, struct monitor_page *ret_page)
{
    struct monitor_alert *list = arena_array(arena, filter->limit + 1, sizeof(*list));
    PC_AUTO(store_rows) rows = NULL;
    struct span value;
    enum lead lead = lead_of(filter, &value);
    size_t bytes = 0;
    enum err err;

    if (list == NULL)
        return ERR_NO_MEMORY;
    err = store_query(conn, &pages[lead],
                      STORE_PARAMS(STORE_I64(filter->before_id), value_or_null(value),
                                   value_or_null(filter->status), value_or_null(filter->severity),
                                   STORE_I64((int64_t)filter->limit + 1)),
                      &rows);
    if (err)
        return err;
    *ret_page = (struct monitor_page){.list = list};
    while (!ret_page->more && store_next(rows)) {
        ret_page->more = ret_page->count == filter->limit || bytes > PAGE_BYTES_MAX;
        if (ret_page->more)
            break;
        read_row(rows, arena, &list[ret_page->count]);
        bytes += bytes_of(&list[ret_page->count++]);
    }
    return rows_over(rows, arena);
}

enum err monitor_alert_get(struct store_conn *conn, int64_t id, struct arena *arena,
                           struct monitor_alert *ret_alert)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &alert_get, STORE_PARAMS(STORE_I64(id)), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    read_row(rows, arena, ret_alert);
    return rows_over(rows, arena);
}

static struct monitor_happening read_step(struct store_rows *rows, struct arena *arena)
{
    return (struct monitor_happening){.at = store_rows_i64(rows, 0),
                                      .what = store_rows_text(rows, 1, arena),
                                      .who = store_rows_text(rows, 2, arena),
                                      .note = store_rows_text(rows, 3, arena),
                                      .was = store_rows_text(rows, 4, arena)};
}

/* At least as many bytes as the step will be in an answer. */
static size_t bytes_of_step(const struct monitor_happening *step)
{
    return HAPPENING_BYTES + ESCAPED * (step->who.len + step->note.len) + step->was.len;
}

/* From the end of the list to its beginning, since the newest come first. */
static void read_steps(struct store_rows *rows, struct arena *arena,
                       struct monitor_history *history)
{
    struct monitor_happening *end = history->list + HISTORY_ROWS_MAX;
    size_t bytes = 0;

    while (!history->cut && store_next(rows)) {
        struct monitor_happening step = read_step(rows, arena);

        bytes += bytes_of_step(&step);
        history->cut = bytes > HISTORY_BYTES_MAX || history->count == HISTORY_ROWS_MAX;
        if (!history->cut)
            *(end - ++history->count) = step;
    }
    history->list = end - history->count;
}

enum err monitor_alert_history(struct store_conn *conn, int64_t id, struct arena *arena,
                               struct monitor_history *ret_history)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err;

    *ret_history = (struct monitor_history){
        .list = arena_array(arena, HISTORY_ROWS_MAX, sizeof(*ret_history->list))};
    if (ret_history->list == NULL)
        return ERR_NO_MEMORY;
    err = store_query(conn, &history_get,
                      STORE_PARAMS(STORE_I64(id), STORE_I64(HISTORY_ROWS_MAX + 1)), &rows);
    if (err)
        return err;
    read_steps(rows, arena, ret_history);
    return rows_over(rows, arena);
}

enum err monitor_alert_tally(struct store_conn *conn, struct monitor_tally *ret_tally)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &tally_get, NULL, 0, &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_STORE_CORRUPT);
    *ret_tally = (struct monitor_tally){.firing = store_rows_i64(rows, 0),
                                        .critical = store_rows_i64(rows, 1),
                                        .unacknowledged = store_rows_i64(rows, 2)};
    return store_rows_err(rows);
}
