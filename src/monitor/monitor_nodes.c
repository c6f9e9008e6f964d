/* SPDX-License-Identifier: MIT
 * Reports of nodes: their rows, and what becomes of them in memory. */
#include "monitor/monitor_nodes.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "json/json.h"
#include "monitor/monitor_rules.h"

static const struct store_statement node_write = {
    .name = "node_write",
    .sqlite = "INSERT INTO node_reports (node, at, stopped_at, report) VALUES (?1, ?2, ?3, ?4) "
              "ON CONFLICT (node) DO UPDATE SET at = excluded.at, "
              "stopped_at = excluded.stopped_at, report = excluded.report"};
static const struct store_statement node_rows = {
    .name = "node_rows",
    .sqlite = "SELECT n.node, n.at, n.stopped_at, CASE WHEN p.place <= ?2 THEN n.report END "
              "FROM (SELECT node, row_number() OVER (ORDER BY CASE WHEN stopped_at IS NULL "
              "THEN 0 ELSE 1 END, at DESC, node) AS place FROM node_reports) AS p "
              "JOIN node_reports AS n ON n.node = p.node WHERE p.place <= ?1 ORDER BY p.place"};
static const struct store_statement node_sweep = {
    .name = "node_sweep", .sqlite = "DELETE FROM node_reports WHERE at < ?1 OR stopped_at < ?2"};
static const struct store_statement store_bytes = {
    .name = "monitor_store_bytes",
    .sqlite = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
    .postgres = "SELECT pg_database_size(current_database())"};

enum {
    FAR_BEHIND_S = 300, /* no clock is so wrong: it is missing at first sight */
    READ_GAP_S_MAX = 5, /* what counts of the time between two readings */
    SCRATCH_BYTES_MAX = 2 * 1024 * 1024,
};

enum err monitor_node_write(struct store_conn *conn, struct span node, int64_t now_ns,
                            bool stopping, struct span report)
{
    return store_exec(conn, &node_write,
                      STORE_PARAMS(STORE_TEXT(node), STORE_I64(now_ns),
                                   stopping ? STORE_I64(now_ns) : STORE_NULL, STORE_TEXT(report)),
                      NULL);
}

/* What somebody else put there must not spoil what we tell. */
static struct span checked(struct span report)
{
    const struct json_value *root = NULL;
    struct arena scratch;
    bool whole;

    arena_init(&scratch, NULL, 0, SCRATCH_BYTES_MAX);
    whole = json_read(report, &scratch, &root, NULL) == ERR_OK && json_is_object(root);
    arena_reset(&scratch);
    return whole && report.len <= MONITOR_REPORT_BYTES_MAX ? report : (struct span){0};
}

enum err monitor_node_rows(struct store_conn *conn, struct arena *arena,
                           struct monitor_node_row **ret_list, size_t *ret_count, bool *ret_more)
{
    struct monitor_node_row *list = arena_array(arena, MONITOR_NODES_MAX, sizeof(*list));
    PC_AUTO(store_rows) rows = NULL;
    size_t count = 0;
    enum err err;

    if (list == NULL)
        return ERR_NO_MEMORY;
    err = store_query(
        conn, &node_rows,
        STORE_PARAMS(STORE_I64(MONITOR_NODES_MAX + 1), STORE_I64(MONITOR_NODE_REPORTS_MAX)), &rows);
    if (err)
        return err;
    for (; count < MONITOR_NODES_MAX && store_next(rows); count++)
        list[count] = (struct monitor_node_row){.node = store_rows_text(rows, 0, arena),
                                                .at_ns = store_rows_i64(rows, 1),
                                                .stopped_at_ns = store_rows_i64_or(rows, 2, 0),
                                                .report = checked(store_rows_text(rows, 3, arena))};
    *ret_list = list;
    *ret_count = count;
    *ret_more = count == MONITOR_NODES_MAX && store_next(rows);
    err = store_rows_err(rows);
    return !err && arena->overflowed ? ERR_NO_MEMORY : err;
}

enum err monitor_node_sweep(struct store_conn *conn, int64_t now_ns)
{
    return store_exec(conn, &node_sweep,
                      STORE_PARAMS(STORE_I64(now_ns - MONITOR_NODES_FORGET_S * CLOCK_NS_PER_S),
                                   STORE_I64(now_ns - MONITOR_STOPPED_FORGET_S * CLOCK_NS_PER_S)),
                      NULL);
}

enum err monitor_store_bytes(struct store_conn *conn, int64_t *ret_bytes)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &store_bytes, NULL, 0, &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_STORE_CORRUPT);
    *ret_bytes = store_rows_i64(rows, 0);
    return store_rows_err(rows);
}

/* ---- in memory --------------------------------------------------------------------------------
 */

static struct monitor_node *find(struct monitor_nodes *nodes, struct span name)
{
    for (size_t i = 0; i < nodes->count; i++) {
        if (span_is(name, nodes->list[i].name))
            return &nodes->list[i];
    }
    return NULL;
}

static struct monitor_node *add(struct monitor_nodes *nodes, struct span name)
{
    struct monitor_node *node;

    if (nodes->count == MONITOR_NODES_MAX || name.len == 0 || name.len > MONITOR_NODE_BYTES_MAX)
        return NULL;
    node = &nodes->list[nodes->count++];
    *node = (struct monitor_node){.at_ns = INT64_MIN};
    memcpy(node->name, name.ptr, name.len);
    return node;
}

static void keep_report(struct monitor_node *node, struct span report)
{
    alloc_free(node->report);
    node->report_bytes = 0;
    node->report = report.len > 0 ? alloc_zero(report.len) : NULL;
    if (node->report == NULL)
        return;
    memcpy(node->report, report.ptr, report.len);
    node->report_bytes = report.len;
}

/* One that was last heard of long ago is not given the time to be heard of again. */
static void take(struct monitor_node *node, const struct monitor_node_row *row, int64_t passed_ns,
                 int64_t now_ns, int64_t real_ns)
{
    bool first = node->at_ns == INT64_MIN;
    bool long_ago = real_ns - row->at_ns > FAR_BEHIND_S * CLOCK_NS_PER_S;

    node->present = true;
    node->stopped_at_ns = row->stopped_at_ns;
    if (row->at_ns == node->at_ns) {
        node->still_ns += passed_ns;
        return;
    }
    node->at_ns = row->at_ns;
    node->still_ns = first && long_ago ? FAR_BEHIND_S * CLOCK_NS_PER_S : 0;
    node->moved_ns = now_ns - node->still_ns;
    keep_report(node, row->report);
}

static void drop_absent(struct monitor_nodes *nodes)
{
    for (size_t i = nodes->count; i-- > 0;) {
        if (nodes->list[i].present)
            continue;
        alloc_free(nodes->list[i].report);
        nodes->list[i] = nodes->list[--nodes->count];
    }
}

/* How long the nodes were watched since the last reading. While the store was away nobody could
 * move: that time does not count. */
static int64_t watched_since(const struct monitor_nodes *nodes, int64_t now_ns)
{
    int64_t gap_ns = nodes->read_ns != 0 ? now_ns - nodes->read_ns : 0;
    int64_t most_ns = READ_GAP_S_MAX * CLOCK_NS_PER_S;

    return gap_ns < most_ns ? gap_ns : most_ns;
}

void monitor_nodes_take(struct monitor_nodes *nodes, const struct monitor_node_row *rows,
                        size_t count, int64_t now_ns, int64_t real_ns)
{
    int64_t passed_ns = watched_since(nodes, now_ns);

    for (size_t i = 0; i < nodes->count; i++)
        nodes->list[i].present = false;
    for (size_t i = 0; i < count; i++) {
        struct monitor_node *node = find(nodes, rows[i].node);

        if (node == NULL)
            node = add(nodes, rows[i].node);
        if (node != NULL)
            take(node, &rows[i], passed_ns, now_ns, real_ns);
    }
    drop_absent(nodes);
    nodes->read_ns = now_ns;
    nodes->watched_ns += passed_ns;
}

static bool is_too_long(int64_t still_ns)
{
    return still_ns > MONITOR_MISSING_S * CLOCK_NS_PER_S;
}

enum monitor_node_state monitor_node_state(const struct monitor_node *node)
{
    if (node->stopped_at_ns != 0)
        return MONITOR_NODE_STOPPED;
    return is_too_long(node->still_ns) ? MONITOR_NODE_MISSING : MONITOR_NODE_UP;
}

bool monitor_nodes_known(const struct monitor_nodes *nodes)
{
    return is_too_long(nodes->watched_ns);
}

void monitor_nodes_clear(struct monitor_nodes *nodes)
{
    for (size_t i = 0; i < nodes->count; i++)
        alloc_free(nodes->list[i].report);
    nodes->count = 0;
}
