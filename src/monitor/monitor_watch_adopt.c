/* SPDX-License-Identifier: MIT
 * What the watcher reads of the alerts that the program raised: at its start those that it goes on
 * with, or nobody would end them; and how far the rows go that were counted. */
#include "base/limits.h"
#include "monitor/monitor_watch_priv.h"

/* By the source: Alertmanager may have any number of them firing. */
static const struct store_statement own_firing = {
    .name = "alerts_own_firing",
    .sqlite = "SELECT id, fingerprint, name, severity, labels, annotations, starts_at FROM alerts "
              "WHERE source = 'portcullis' AND status = 'firing' ORDER BY id DESC LIMIT ?1"};
static const struct store_statement last_id = {.name = "alerts_last_id",
                                               .sqlite = "SELECT coalesce(max(id), 0) FROM alerts"};

enum {
    ROWS_MAX = MONITOR_NODES_MAX * MONITOR_INNER_MAX, /* all that nodes can have raised */
    ROW_BYTES_MAX = 128 * 1024,                       /* labels as JSON, and as they are read */
};

/* What this node, or one that missed another, raised before it was started anew. */
static bool is_adoptable(struct span node, struct span name, struct span labels)
{
    struct monitor_labels list;
    struct arena scratch;
    const char *why;
    bool own;

    if (span_is(name, MONITOR_ALERT_MISSING))
        return true;
    arena_init(&scratch, NULL, 0, ROW_BYTES_MAX);
    own = monitor_labels_read(labels, &scratch, &list, &why) == ERR_OK &&
          span_equal(monitor_labels_value(&list, "node"), node);
    arena_reset(&scratch);
    return own;
}

/* Rows of other nodes go with the scratch arena that they were read into. */
static bool read_row(struct store_rows *rows, struct span node, struct arena *arena,
                     struct monitor_alert *ret_alert)
{
    struct span name, labels;
    struct arena scratch;
    bool own;

    arena_init(&scratch, NULL, 0, ROW_BYTES_MAX);
    name = store_rows_text(rows, 2, &scratch);
    labels = store_rows_text(rows, 4, &scratch);
    own = is_adoptable(node, name, labels);
    if (own)
        *ret_alert = (struct monitor_alert){.id = store_rows_i64(rows, 0),
                                            .source = SPAN_OF("portcullis"),
                                            .fingerprint = store_rows_text(rows, 1, arena),
                                            .name = arena_copy(arena, name),
                                            .severity = store_rows_text(rows, 3, arena),
                                            .labels = arena_copy(arena, labels),
                                            .annotations = store_rows_text(rows, 5, arena),
                                            .starts_at = store_rows_i64(rows, 6)};
    arena_reset(&scratch);
    return own;
}

enum err monitor_watch_adoptable(struct store_conn *conn, struct span node, struct arena *arena,
                                 struct monitor_alert **ret_list, size_t *ret_count)
{
    struct monitor_alert *list = arena_array(arena, MONITOR_INNER_MAX, sizeof(*list));
    PC_AUTO(store_rows) rows = NULL;
    size_t count = 0;
    enum err err;

    if (list == NULL)
        return ERR_NO_MEMORY;
    err = store_query(conn, &own_firing, STORE_PARAMS(STORE_I64(ROWS_MAX)), &rows);
    if (err)
        return err;
    while (count < MONITOR_INNER_MAX && store_next(rows))
        count += read_row(rows, node, arena, &list[count]);
    *ret_list = list;
    *ret_count = count;
    err = store_rows_err(rows);
    return !err && arena->overflowed ? ERR_NO_MEMORY : err;
}

enum err monitor_watch_last_id(struct store_conn *conn, int64_t *ret_id)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &last_id, NULL, 0, &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_STORE_CORRUPT);
    *ret_id = store_rows_i64(rows, 0);
    return store_rows_err(rows);
}
