/* SPDX-License-Identifier: MIT
 * GET /monitoring/status: this node's own report as it was at the last look, and the others' as the
 * store had them, with how old each is. All of it lies in memory, so that the answer does not need
 * the store. Reports are JSON already; the tables here describe the whole to the documents. */
#include "base/clock.h"
#include "json/json_writer.h"
#include "monitor/monitor_watch_priv.h"

enum {
    HEAD_BYTES = 2048, /* of what is told beside nodes */
    NODE_BYTES = 256,  /* of one, beside its name and report */
    ESCAPED = 6,       /* bytes that one byte may become */
};

static const char *const states[] = {"up", "stopped", "missing", NULL};
static const char *const healths[] = {"ok", "degraded", "failing", NULL};

struct node_reply {
    struct span node, state;
    bool self, has_report;
    int64_t reported_at, age_s;
    struct monitor_report report;
};

static const struct json_field node_fields[] = {
    {.name = "node",
     .kind = JSON_KIND_TEXT,
     .max = MONITOR_NODE_BYTES_MAX,
     .offset = offsetof(struct node_reply, node),
     .example = "gateway-1:8000"},
    {.name = "state",
     .kind = JSON_KIND_TEXT,
     .choices = states,
     .offset = offsetof(struct node_reply, state),
     .about = "missing: it has not reported for 15 seconds; stopped: it said so before.",
     .example = "up"},
    {.name = "self",
     .kind = JSON_KIND_BOOL,
     .offset = offsetof(struct node_reply, self),
     .about = "It is the node that answers.",
     .example = "true"},
    {.name = "reported_at",
     .kind = JSON_KIND_TIME,
     .offset = offsetof(struct node_reply, reported_at),
     .about = "By the node's own clock.",
     .example = "2026-02-03T04:05:06Z"},
    {.name = "age_s",
     .kind = JSON_KIND_I64,
     .max = INT64_MAX,
     .offset = offsetof(struct node_reply, age_s),
     .about = "Seconds since the report last moved, by the clock of the node that answers.",
     .example = "1"},
    {.name = "report",
     .kind = JSON_KIND_OBJECT,
     .optional = true,
     .nullable = true,
     .schema = &monitor_report_schema,
     .offset = offsetof(struct node_reply, report),
     .has_offset = offsetof(struct node_reply, has_report)},
};
static const struct json_schema node_schema = {.name = "NodeStatus",
                                               .about = "A node and what it last told of itself.",
                                               .fields = node_fields,
                                               .field_count = PC_COUNT(node_fields),
                                               .bytes = sizeof(struct node_reply)};

#define TALLY_FIELD(member, words)                                                                 \
    {                                                                                              \
        .name = #member, .kind = JSON_KIND_I64, .max = INT64_MAX,                                  \
        .offset = offsetof(struct monitor_tally, member), .about = (words), .example = "0"         \
    }
static const struct json_field tally_fields[] = {
    TALLY_FIELD(firing, "That are not over."),
    TALLY_FIELD(critical, "Of them."),
    TALLY_FIELD(unacknowledged, "Of them, looked after by nobody."),
};
static const struct json_schema tally_schema = {.name = "AlertCounts",
                                                .about = "How many alerts there are.",
                                                .fields = tally_fields,
                                                .field_count = PC_COUNT(tally_fields),
                                                .bytes = sizeof(struct monitor_tally)};

struct status_reply {
    struct span status, node;
    int64_t at;
    struct monitor_tally alerts;
    bool has_alerts;
    struct json_list nodes;
};

static const struct json_field status_fields[] = {
    {.name = "status",
     .kind = JSON_KIND_TEXT,
     .choices = healths,
     .offset = offsetof(struct status_reply, status),
     .about = "The worst of the nodes; a missing one is failing.",
     .example = "ok"},
    {.name = "node",
     .kind = JSON_KIND_TEXT,
     .max = MONITOR_NODE_BYTES_MAX,
     .offset = offsetof(struct status_reply, node),
     .about = "The one that answers.",
     .example = "gateway-1:8000"},
    {.name = "at",
     .kind = JSON_KIND_TIME,
     .offset = offsetof(struct status_reply, at),
     .example = "2026-02-03T04:05:06Z"},
    {.name = "alerts",
     .kind = JSON_KIND_OBJECT,
     .optional = true,
     .nullable = true,
     .schema = &tally_schema,
     .offset = offsetof(struct status_reply, alerts),
     .has_offset = offsetof(struct status_reply, has_alerts),
     .about = "As the store last had them, and those that the node that answers raised and could "
              "not store yet; null before the store was read."},
    {.name = "nodes",
     .kind = JSON_KIND_LIST,
     .max = MONITOR_NODES_MAX + 1,
     .schema = &node_schema,
     .offset = offsetof(struct status_reply, nodes)},
};
const struct json_schema monitor_status_schema = {.name = "MonitoringStatus",
                                                  .about = "Every node that is known.",
                                                  .fields = status_fields,
                                                  .field_count = PC_COUNT(status_fields),
                                                  .bytes = sizeof(struct status_reply)};

/* ---- writing ----------------------------------------------------------------------------------
 */

/* One node as it will be told. */
struct told_node {
    struct span node, report;
    enum monitor_node_state state;
    bool self;
    int64_t at_ns, age_ns;
};

static void add_node(struct json_writer *w, const struct told_node *told)
{
    json_begin_object(w);
    json_add_text(w, "node", told->node);
    json_add_text(w, "state", span_from(states[told->state]));
    json_add_bool(w, "self", told->self);
    json_add_time(w, "reported_at", told->at_ns);
    json_add_i64(w, "age_s", told->age_ns > 0 ? told->age_ns / CLOCK_NS_PER_S : 0);
    json_key(w, "report");
    if (told->report.len > 0)
        json_raw(w, told->report);
    else
        json_null(w);
    json_end_object(w);
}

/* The member health of a report, which stands near its front. */
static size_t health_of(struct span report)
{
    static const struct span marks[] = {SPAN("\"health\":\"ok\""), SPAN("\"health\":\"degraded\""),
                                        SPAN("\"health\":\"failing\"")};
    struct span head = span_slice(report, 0, 1024);

    for (size_t at = 0; at < head.len; at++) {
        for (size_t i = 0; i < PC_COUNT(marks); i++) {
            if (span_starts(span_slice(head, at, head.len), marks[i]))
                return i;
        }
    }
    return 0;
}

static size_t worse(size_t worst, const struct told_node *told)
{
    size_t health = told->state == MONITOR_NODE_MISSING   ? 2
                    : told->state == MONITOR_NODE_STOPPED ? 0
                                                          : health_of(told->report);

    return health > worst ? health : worst;
}

static bool is_self(const struct monitor_watch *watch, const struct monitor_node *node)
{
    return span_is(span_from(watch->node), node->name);
}

/* Under the lock. Our own first, as we know it ourselves. */
static size_t gather(struct monitor_watch *watch, int64_t now_ns, int64_t real_ns,
                     struct told_node told[MONITOR_NODES_MAX + 1])
{
    size_t count = 0;

    told[count++] = (struct told_node){.node = span_from(watch->node),
                                       .report = span_make(watch->own, watch->own_bytes),
                                       .state = MONITOR_NODE_UP,
                                       .self = true,
                                       .at_ns = watch->own_at,
                                       .age_ns = real_ns - watch->own_at};
    for (size_t i = 0; i < watch->nodes.count; i++) {
        const struct monitor_node *node = &watch->nodes.list[i];

        if (is_self(watch, node))
            continue;
        told[count++] = (struct told_node){.node = span_from(node->name),
                                           .report = span_make(node->report, node->report_bytes),
                                           .state = monitor_node_state(node),
                                           .at_ns = node->at_ns,
                                           .age_ns = now_ns - node->moved_ns};
    }
    return count;
}

/* The watcher's lock, then that of the alerts in memory: never the other way round. */
static void add_tally(struct monitor_watch *watch, struct json_writer *w)
{
    struct monitor_tally tally = watch->tally;

    if (!watch->has_tally) {
        json_null(w);
        return;
    }
    monitor_inner_tally_unread(watch->inner, watch->tally_id, &tally);
    json_begin_object(w);
    json_add_i64(w, "firing", tally.firing);
    json_add_i64(w, "critical", tally.critical);
    json_add_i64(w, "unacknowledged", tally.unacknowledged);
    json_end_object(w);
}

/* At most so many bytes. A reply's arena has no place for a buffer that grows to this by doubling.
 */
static size_t bytes_of(const struct told_node *told, size_t count)
{
    size_t bytes = HEAD_BYTES;

    for (size_t i = 0; i < count; i++)
        bytes += NODE_BYTES + ESCAPED * told[i].node.len + told[i].report.len;
    return bytes;
}

static void write_status(struct monitor_watch *watch, struct arena *arena, struct sbuf *out)
{
    struct told_node told[MONITOR_NODES_MAX + 1];
    int64_t real_ns = clock_realtime_ns(watch->options.clock);
    size_t count = gather(watch, clock_monotonic_ns(watch->options.clock), real_ns, told);
    size_t bytes = bytes_of(told, count);
    char *room = arena_bytes(arena, bytes);
    struct json_writer writer, *w = &writer;
    size_t worst = 0;

    *out = sbuf_over(room, room != NULL ? bytes : 0);
    writer = json_writer_on(out);

    for (size_t i = 0; i < count; i++)
        worst = worse(worst, &told[i]);
    json_begin_object(w);
    json_add_text(w, "status", span_from(healths[worst]));
    json_add_text(w, "node", span_from(watch->node));
    json_add_time(w, "at", real_ns);
    json_key(w, "alerts");
    add_tally(watch, w);
    json_key(w, "nodes");
    json_begin_list(w);
    for (size_t i = 0; i < count; i++)
        add_node(w, &told[i]);
    json_end_list(w);
    json_end_object(w);
}

enum err monitor_watch_status(struct monitor_watch *watch, struct arena *arena,
                              struct span *ret_json)
{
    struct sbuf out = {0};
    bool looked;

    monitor_watch_lock(watch);
    looked = watch->own_bytes > 0;
    if (looked)
        write_status(watch, arena, &out);
    monitor_watch_unlock(watch);
    if (!looked)
        return ERR_AGAIN;
    return sbuf_finish(&out, ret_json) == ERR_OK ? ERR_OK : ERR_NO_MEMORY;
}
