/* SPDX-License-Identifier: MIT
 * What becomes of alerts by time alone: one that its sender does not tell of any more is over, and
 * one that is over for long is forgotten. Some at once, so that no commit grows long. */
#include "monitor/monitor_alert.h"

/* Only what Alertmanager told of: what the program found in itself it ends itself. */
static const struct store_statement untold_find = {
    .name = "alert_untold_find",
    .sqlite = "SELECT id FROM alerts WHERE status = 'firing' AND source = 'alertmanager' "
              "AND last_at < ?1 ORDER BY id LIMIT ?2"};

#define OLD_ONES                                                                                   \
    "(SELECT id FROM alerts WHERE status = 'resolved' AND resolved_at < ?1 ORDER BY "              \
    "resolved_at, id LIMIT ?2)"
static const struct store_statement sweep_history = {
    .name = "alert_sweep_history",
    .sqlite = "DELETE FROM alert_history WHERE alert_id IN " OLD_ONES};
static const struct store_statement sweep_alerts = {
    .name = "alert_sweep", .sqlite = "DELETE FROM alerts WHERE id IN " OLD_ONES};

enum { SWEEP_ROWS = 100 };

static enum err find_untold(struct store_conn *conn, int64_t before_ns, int64_t ids[SWEEP_ROWS],
                            size_t *ret_count)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &untold_find,
                               STORE_PARAMS(STORE_I64(before_ns), STORE_I64(SWEEP_ROWS)), &rows);

    *ret_count = 0;
    if (err)
        return err;
    while (*ret_count < SWEEP_ROWS && store_next(rows))
        ids[(*ret_count)++] = store_rows_i64(rows, 0);
    return store_rows_err(rows);
}

/* Alertmanager tells no end of what was silenced or inhibited when it ended. */
static enum err end_untold(struct store_conn *conn, int64_t before_ns, int64_t now_ns,
                           bool *ret_more)
{
    int64_t ids[SWEEP_ROWS];
    const char *why = NULL;
    size_t count;
    enum err err = find_untold(conn, before_ns, ids, &count);

    for (size_t i = 0; !err && i < count; i++)
        err = monitor_alert_resolve(conn, ids[i], SPAN_OF("It is not told of any more."),
                                    &monitor_who_system, now_ns, &why);
    *ret_more |= count == SWEEP_ROWS;
    return err;
}

static enum err forget(struct store_conn *conn, int64_t before_ns, bool *ret_more)
{
    int64_t gone = 0;
    enum err err = store_exec(conn, &sweep_history,
                              STORE_PARAMS(STORE_I64(before_ns), STORE_I64(SWEEP_ROWS)), NULL);

    if (!err)
        err = store_exec(conn, &sweep_alerts,
                         STORE_PARAMS(STORE_I64(before_ns), STORE_I64(SWEEP_ROWS)), &gone);
    *ret_more |= gone == SWEEP_ROWS;
    return err;
}

enum err monitor_alert_sweep(struct store_conn *conn, const struct monitor_keep *keep,
                             int64_t now_ns, bool *ret_more)
{
    enum err err = ERR_OK;

    *ret_more = false;
    if (keep->untold_ns > 0)
        err = end_untold(conn, now_ns - keep->untold_ns, now_ns, ret_more);
    if (!err && keep->resolved_ns > 0)
        err = forget(conn, now_ns - keep->resolved_ns, ret_more);
    return err;
}
