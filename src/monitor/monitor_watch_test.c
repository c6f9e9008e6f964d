/* SPDX-License-Identifier: MIT
 * The watcher: what it finds is told at once, stored when that is possible, and over by itself; and
 * nodes that see each other. The looks are made by hand, on a clock that stands. */
#include "monitor/monitor_test_kit.h"
#include "monitor/monitor_watch_priv.h"

/* A second node over the same store. */
static struct monitor_inner *other_inner;
static struct monitor_watch *other;

/* What the probe says is wrong. */
static struct {
    bool pressure, forked, blind, full;
    int64_t key_end_s;
} wrong;

static void probe(void *context, struct monitor_report *report)
{
    (void)context;
    report->audit.pressure = wrong.pressure ? SPAN_OF("store-full") : SPAN_OF("none");
    report->audit.has_tree = true;
    report->audit.tree_size = wrong.blind ? 0 : INT64_MAX;
    report->audit.keeper = wrong.forked ? SPAN_OF("forked") : SPAN_OF("running");
    monitor_report_expiry(report, "key", SPAN_OF("issuer"), wrong.key_end_s);
    if (wrong.full)
        monitor_report_queue(report, "hash", 100, 100);
}
static const struct monitor_probe probes[] = {{.look = probe}};

static void make_monitor(void)
{
    const struct monitor_options options = {.store = desk.store,
                                            .clock = &desk.clock.clock,
                                            .metrics = desk.metrics,
                                            .node = SPAN("one"),
                                            .version = SPAN("1.2.3"),
                                            .configuration = SPAN("sha256:abc"),
                                            .keep_days = 1,
                                            .store_queue_max = 1024,
                                            .probes = probes,
                                            .probe_count = PC_COUNT(probes)};

    assert_int_equal(monitor_new(&options, &desk.monitor), ERR_OK);
}

static int setup(void **state)
{
    struct http_mount mounts[] = {{.rows = monitor_read_routes}, {.rows = monitor_write_routes}};
    const struct http_service_options options = {
        .mounts = mounts, .mount_count = PC_COUNT(mounts), .policy = &desk_policy};
    struct http_engine_options engine = {.clock = &desk.clock.clock,
                                         .identity = {.verify = desk_verify, .load = desk_load}};
    struct monitor_options others = {.clock = &desk.clock.clock, .node = SPAN_OF("two")};

    memset(&wrong, 0, sizeof(wrong));
    if (desk_setup_bare(state) != 0)
        return -1;
    monitor_free(desk.monitor);
    make_monitor();
    others.store = desk.store;
    assert_int_equal(monitor_inner_new(NULL, NULL, &other_inner), ERR_OK);
    assert_int_equal(monitor_watch_new(&others, other_inner, &other), ERR_OK);
    mounts[0].context = mounts[1].context = desk.monitor;
    engine.store = desk.store;
    engine.metrics = desk.metrics;
    return site_start(&options, engine);
}

static int teardown(void **state)
{
    int stopped;

    store_fail_at(0);
    stopped = site_stop(state);
    monitor_watch_free(other);
    monitor_inner_free(other_inner);
    return desk_teardown_bare(state) | stopped;
}

/* So many seconds, a look at the end of each. */
static void watch_for(int seconds)
{
    for (int i = 0; i < seconds; i++) {
        clock_fake_move(&desk.clock, CLOCK_NS_PER_S);
        monitor_watch_look(desk.monitor->watch);
        monitor_watch_settle(desk.monitor->watch);
    }
}

static void other_watches_for(int seconds)
{
    for (int i = 0; i < seconds; i++) {
        monitor_watch_look(other);
        monitor_watch_settle(other);
        watch_for(1);
    }
}

/* Without a word, as in a crash. */
static void start_again(void)
{
    monitor_watch_free(desk.monitor->watch);
    monitor_inner_free(desk.monitor->inner);
    assert_int_equal(monitor_inner_new(NULL, desk.metrics, &desk.monitor->inner), ERR_OK);
    assert_int_equal(
        monitor_watch_new(&desk.monitor->options, desk.monitor->inner, &desk.monitor->watch),
        ERR_OK);
}

static void the_status_tells_of_the_node(void **state)
{
    (void)state;
    assert_problem(ask("GET /monitoring/status", READER, NULL), 503, "busy");
    watch_for(3);
    assert_int_equal(ask("GET /monitoring/status", READER, NULL), 200);
    assert_said("status", "ok");
    assert_said("node", "one");
    assert_said("alerts.firing", "0");
    assert_said("nodes.0.node", "one");
    assert_said("nodes.0.state", "up");
    assert_said("nodes.0.self", "true");
    assert_said("nodes.0.report.version", "1.2.3");
    assert_said("nodes.0.report.configuration", "sha256:abc");
    assert_said("nodes.0.report.uptime_s", "3");
    assert_said("nodes.0.report.health", "ok");
    assert_said("nodes.0.report.store.writes", "ok");
    assert_said("nodes.0.report.store.kind", desk.kit->postgres ? "postgresql" : "sqlite");
    assert_said("nodes.0.report.queues.1.name", "store.writes");
    assert_said("nodes.0.report.audit.keeper", "running");
    assert_said("nodes.0.report.audit.outbox", "null");
    assert_said("nodes.0.report.expiries.0.expires_at", "null");
    assert_true(said("nodes.0.report.store.bytes").len > 4);
    monitor_configuration(desk.monitor, SPAN_OF("sha256:def"));
    watch_for(1);
    assert_int_equal(ask("GET /monitoring/status", READER, NULL), 200);
    assert_said("nodes.0.report.configuration", "sha256:def");
    assert_problem(ask("GET /monitoring/status", SENDER, NULL), 403, "insufficient-scope");
}

static void what_is_found_fires_and_ends_by_itself(void **state)
{
    (void)state;
    watch_for(2);
    wrong.pressure = true;
    watch_for(2);
    assert_int_equal(ask("GET /alerts?status=firing", READER, NULL), 200);
    assert_said("0.name", "AuditPressure");
    assert_said("0.source", "portcullis");
    assert_said("0.severity", "critical");
    assert_said("0.labels.node", "one");
    assert_said("0.id", "1");
    assert_said("1", "");
    assert_int_equal(ask("GET /monitoring/status", READER, NULL), 200);
    assert_said("status", "failing");
    assert_said("nodes.0.report.alerts", "1");
    assert_int_equal(events(TRAIL_ALERT_FIRED), 1);
    watch_for(10); /* it is one alert, however long */
    wrong.pressure = false;
    watch_for(3);
    assert_int_equal(ask("GET /alerts", READER, NULL), 200);
    assert_said("0.status", "resolved");
    assert_said("0.resolved_by", "system");
    assert_said("0.times", "1");
    assert_said("1", "");
    assert_int_equal(events(TRAIL_ALERT_RESOLVED), 1);
    assert_int_equal(ask("GET /monitoring/status", READER, NULL), 200);
    assert_said("status", "ok");
}

/* Not in the store yet, in it and not read, read: it is one. */
static void an_alert_is_counted_once(void **state)
{
    (void)state;
    watch_for(3);
    wrong.pressure = true;
    for (int i = 0; i < 6; i++) {
        watch_for(1);
        assert_int_equal(ask("GET /monitoring/status", READER, NULL), 200);
        assert_said("alerts.firing", "1");
        assert_said("alerts.critical", "1");
        assert_said("alerts.unacknowledged", "1");
    }
    assert_int_equal(ask("POST /alerts/1/acknowledge", OPERATOR, "{}"), 200);
    watch_for(4);
    assert_int_equal(ask("GET /monitoring/status", READER, NULL), 200);
    assert_said("alerts.firing", "1");
    assert_said("alerts.unacknowledged", "0");
}

/* A store that was away may need a moment to come back. */
static int ask_soon(const char *what, const char *token)
{
    int status = 503;

    for (int i = 0; i < 100 && status == 503; i++) {
        if (i > 0)
            (void)usleep(100000);
        status = ask(what, token, NULL);
    }
    return status;
}

/* Told at once, by the node's memory; stored as soon as that is possible. */
static void an_alert_needs_no_store(void **state)
{
    (void)state;
    watch_for(3);
    store_fail_at(STORE_FAIL_ALWAYS);
    watch_for(4);
    store_fail_at(0);
    assert_int_equal(ask_soon("GET /alerts?status=firing&name=StoreNotWritable", READER), 200);
    assert_said("0.name", "StoreNotWritable");
    assert_said("0.id", "null");
    assert_said("0.annotations.summary", "The store takes no writes: store-unavailable.");
    assert_int_equal(ask("GET /alerts?status=resolved", READER, NULL), 200);
    assert_said("0", "");
    assert_int_equal(ask("GET /monitoring/status", READER, NULL), 200);
    assert_said("nodes.0.report.store.writes", "store-unavailable");
    assert_said("nodes.0.report.services.0.health", "failing");
    assert_said("status", "failing");
    assert_true(span_equal(said("alerts.firing"), said("nodes.0.report.alerts")));
    assert_true(span_equal(said("alerts.unacknowledged"), said("alerts.critical")));
    assert_false(span_is(said("alerts.critical"), "0"));
    watch_for(5);
    assert_int_equal(ask("GET /alerts?name=StoreNotWritable", READER, NULL), 200);
    assert_said("0.status", "resolved");
    assert_said("1", "");
    assert_true(said("0.id").len > 0 && !span_is(said("0.id"), "null"));
    assert_int_equal(ask("GET /monitoring/status", READER, NULL), 200);
    assert_said("status", "ok");
}

static void what_is_closed_by_hand_comes_again(void **state)
{
    (void)state;
    wrong.forked = true;
    watch_for(4);
    assert_int_equal(ask("POST /alerts/1/resolve", OPERATOR, "{}"), 200);
    watch_for(MONITOR_INNER_AGAIN_S + 2);
    assert_int_equal(ask("GET /alerts?status=firing", READER, NULL), 200);
    assert_said("0.id", "2");
    wrong.forked = false;
    watch_for(4);
    assert_int_equal(ask("GET /alerts?status=firing", READER, NULL), 200);
    assert_said("0", "");
}

/* Closed by hand, and over before it was told again: no third row. */
static void an_end_that_nobody_waits_for_is_no_row(void **state)
{
    (void)state;
    wrong.forked = true;
    watch_for(4);
    assert_int_equal(ask("POST /alerts/1/resolve", OPERATOR, "{}"), 200);
    wrong.forked = false;
    watch_for(4);
    assert_int_equal(ask("GET /alerts", READER, NULL), 200);
    assert_said("0.id", "1");
    assert_said("1", "");
}

/* The log grows, and its keeper does not see it. */
static void a_keeper_that_does_not_look_is_told(void **state)
{
    (void)state;
    wrong.forked = true; /* its event is a leaf */
    watch_for(4);
    wrong.forked = false;
    wrong.blind = true;
    watch_for(8);
    assert_int_equal(ask("GET /alerts?name=AuditKeeperStopped", READER, NULL), 200);
    assert_said("0", "");
    watch_for(8);
    assert_int_equal(ask("GET /alerts?name=AuditKeeperStopped", READER, NULL), 200);
    assert_said("0.status", "firing");
    wrong.blind = false;
    watch_for(3);
    assert_int_equal(ask("GET /alerts?name=AuditKeeperStopped", READER, NULL), 200);
    assert_said("0.status", "resolved");
}

/* As it gets more urgent it is another alert, and the first is over. */
static void a_key_that_ends_soon_is_told_twice(void **state)
{
    (void)state;
    wrong.key_end_s = T0 / CLOCK_NS_PER_S + 86400 * 10;
    watch_for(3);
    assert_int_equal(ask("GET /alerts?status=firing", READER, NULL), 200);
    assert_said("0.name", "KeyExpiring");
    assert_said("0.severity", "warning");
    assert_said("0.labels.key", "issuer");
    wrong.key_end_s = T0 / CLOCK_NS_PER_S + 86400 * 2;
    watch_for(4);
    assert_int_equal(ask("GET /alerts?status=firing", READER, NULL), 200);
    assert_said("0.severity", "critical");
    assert_said("1", "");
}

static void a_start_takes_over_what_was_left(void **state)
{
    (void)state;
    wrong.pressure = wrong.forked = true;
    watch_for(4);
    start_again();
    wrong.pressure = false;
    watch_for(6);
    assert_int_equal(ask("GET /alerts", READER, NULL), 200);
    assert_said("2", "");
    assert_int_equal(ask("GET /alerts?status=firing", READER, NULL), 200);
    assert_said("0.name", "AuditForked");
    assert_said("1", "");
}

/* Who is missing is not known before the others could have been heard of. */
static void a_start_ends_nobody_elses_absence(void **state)
{
    (void)state;
    other_watches_for(4);
    watch_for(20);
    assert_int_equal(ask("GET /alerts?status=firing", READER, NULL), 200);
    assert_said("0.name", "NodeMissing");
    assert_said("0.id", "1");
    assert_int_equal(ask("POST /alerts/1/acknowledge", OPERATOR, "{}"), 200);
    start_again();
    for (int i = 0; i < 30; i++) {
        watch_for(1);
        assert_int_equal(ask("GET /alerts", READER, NULL), 200);
        assert_said("0.id", "1");
        assert_said("0.status", "firing");
        assert_said("0.acknowledged_by", "user:2");
        assert_said("1", "");
    }
    other_watches_for(5);
    assert_int_equal(ask("GET /alerts?status=firing", READER, NULL), 200);
    assert_said("0", "");
}

/* It came back, or was swept away, while we were not there to see it. */
static void an_absence_that_is_over_ends_behind_a_start(void **state)
{
    (void)state;
    other_watches_for(4);
    watch_for(20);
    start_again();
    other_watches_for(MONITOR_MISSING_S + 6);
    assert_int_equal(ask("GET /alerts", READER, NULL), 200);
    assert_said("0.id", "1");
    assert_said("0.status", "resolved");
    assert_said("1", "");
}

/* Found once before the rows were read, and its rule wants twice: it goes on as it was. */
static void a_start_goes_on_with_what_it_is_finding(void **state)
{
    struct span began;

    (void)state;
    wrong.full = true;
    watch_for(4);
    assert_int_equal(ask("GET /alerts", READER, NULL), 200);
    assert_said("0.name", "QueueNearlyFull");
    began = said("0.starts_at");
    start_again();
    watch_for(MONITOR_INNER_AGAIN_S + 10);
    assert_int_equal(ask("GET /alerts", READER, NULL), 200);
    assert_said("0.id", "1");
    assert_said("0.status", "firing");
    assert_true(span_equal(said("0.starts_at"), began));
    assert_said("0.times", "2");
    assert_said("1", "");
}

static const struct store_statement storm = {
    .name = "test_storm",
    .sqlite = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250) "
              "INSERT INTO alerts (fingerprint, source, name, severity, status, labels, "
              "annotations, starts_at, received_at, last_at, times) "
              "SELECT 'f' || i, 'alertmanager', 'Storm', 'warning', 'firing', '{}', '{}', "
              "1800000000000000000, 1800000000000000000, 1800000000000000000, 1 FROM n"};

/* However many Alertmanager has told of since. */
static void a_start_finds_its_own_among_many(void **state)
{
    (void)state;
    wrong.forked = true;
    watch_for(4);
    kit_exec(desk.store, &storm);
    start_again();
    wrong.forked = false;
    watch_for(6);
    assert_int_equal(ask("GET /alerts?name=AuditForked", READER, NULL), 200);
    assert_said("0.id", "1");
    assert_said("0.status", "resolved");
    assert_said("1", "");
}

static void nodes_see_each_other(void **state)
{
    (void)state;
    other_watches_for(4);
    assert_int_equal(ask("GET /monitoring/status", READER, NULL), 200);
    assert_said("nodes.1.node", "two");
    assert_said("nodes.1.state", "up");
    assert_said("nodes.1.self", "false");
    assert_said("nodes.1.report.node", "two");
    watch_for(14);
    assert_int_equal(ask("GET /monitoring/status", READER, NULL), 200);
    assert_said("nodes.1.state", "up");
    watch_for(6);
    assert_int_equal(ask("GET /monitoring/status", READER, NULL), 200);
    assert_said("nodes.1.state", "missing");
    assert_said("status", "failing");
    assert_int_equal(ask("GET /alerts?status=firing", READER, NULL), 200);
    assert_said("0.name", "NodeMissing");
    assert_said("0.labels.node", "two");
    assert_said("1", "");
    other_watches_for(5);
    assert_int_equal(ask("GET /alerts?status=firing", READER, NULL), 200);
    assert_said("0", "");
}

/* While the store cannot be read nobody is said to be missing. */
static void a_node_is_not_missing_for_want_of_a_store(void **state)
{
    (void)state;
    other_watches_for(4);
    store_fail_at(STORE_FAIL_ALWAYS);
    watch_for(40);
    store_fail_at(0);
    assert_int_equal(ask_soon("GET /monitoring/status", READER), 200);
    assert_said("nodes.1.state", "up");
    assert_said("nodes.0.report.store.reads", "store-unavailable");
}

/* It could not write while we could not read: that it stood still says nothing. */
static void nobody_is_missing_behind_an_outage(void **state)
{
    (void)state;
    other_watches_for(4);
    store_fail_at(STORE_FAIL_ALWAYS);
    watch_for(40);
    store_fail_at(0);
    assert_int_equal(ask_soon("GET /alerts", READER), 200);
    watch_for(4);
    assert_int_equal(ask("GET /monitoring/status", READER, NULL), 200);
    assert_said("nodes.0.report.store.reads", "ok");
    assert_said("nodes.1.node", "two");
    assert_said("nodes.1.state", "up");
    assert_int_equal(ask("GET /alerts?name=NodeMissing", READER, NULL), 200);
    assert_said("0", "");
    watch_for(14);
    assert_int_equal(ask("GET /alerts?name=NodeMissing", READER, NULL), 200);
    assert_said("0.status", "firing");
}

/* Names as pods have them: all but the last two stopped or died, and come first by the alphabet. */
static const struct store_statement rolled = {
    .name = "test_rolled",
    .sqlite = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) "
              "INSERT INTO node_reports (node, at, stopped_at, report) SELECT 'a' || i, "
              "1799999990000000000 + i, CASE WHEN i > 10 THEN 1799999990000000000 END, '{}' "
              "FROM n"};

static void who_runs_is_seen_among_many_who_do_not(void **state)
{
    (void)state;
    other_watches_for(4);
    assert_false(desk.monitor->watch->nodes_cut);
    kit_exec(desk.store, &rolled);
    watch_for(4);
    assert_true(desk.monitor->watch->nodes_cut);
    assert_int_equal(ask("GET /monitoring/status", READER, NULL), 200);
    assert_said("nodes.1.node", "two");
    assert_said("nodes.1.state", "up");
    assert_said("nodes.255.state", "stopped");
    assert_said("nodes.256", "");
    watch_for(16);
    assert_int_equal(ask("GET /alerts?status=firing", READER, NULL), 200);
    assert_said("10.name", "NodeMissing"); /* the ten that died, and */
    assert_said("11", "");
    assert_int_equal(ask("GET /monitoring/status", READER, NULL), 200);
    assert_said("nodes.1.node", "two");
    assert_said("nodes.1.state", "missing");
    other_watches_for(5);
    assert_int_equal(ask("GET /monitoring/status", READER, NULL), 200);
    assert_said("nodes.1.state", "up");
    assert_int_equal(ask("GET /alerts?status=firing", READER, NULL), 200);
    assert_said("9.name", "NodeMissing");
    assert_said("10", "");
}

static void who_stops_in_order_is_not_missing(void **state)
{
    (void)state;
    assert_int_equal(monitor_watch_start(other), ERR_OK);
    watch_for(2);
    for (int i = 0; i < 50 && other->own_bytes == 0; i++)
        (void)usleep(100000);
    (void)usleep(300000); /* its report is written */
    monitor_watch_stop(other);
    watch_for(30);
    assert_int_equal(ask("GET /monitoring/status", READER, NULL), 200);
    assert_said("nodes.1.state", "stopped");
    assert_said("status", "ok");
    clock_fake_move(&desk.clock, MONITOR_STOPPED_FORGET_S * CLOCK_NS_PER_S);
    watch_for(70); /* old reports are looked for once a minute */
    assert_int_equal(ask("GET /monitoring/status", READER, NULL), 200);
    assert_said("nodes.1", "");
}

static const struct store_statement spoil = {.name = "test_spoil",
                                             .sqlite =
                                                 "INSERT INTO node_reports (node, at, report) "
                                                 "VALUES ('bad', 1799999000000000000, '{\"a\":')"};

static void a_spoiled_report_spoils_nothing(void **state)
{
    (void)state;
    kit_exec(desk.store, &spoil);
    watch_for(3);
    assert_int_equal(ask("GET /monitoring/status", READER, NULL), 200);
    assert_said("nodes.1.node", "bad");
    assert_said("nodes.1.report", "null");
    assert_said("nodes.1.state", "missing");
}

static const struct store_statement grow = {
    .name = "test_grow",
    .sqlite = "INSERT INTO node_reports (node, at, report) "
              "VALUES ('big', 1799999000000000000, hex(randomblob(500000)))",
    .postgres = "INSERT INTO node_reports (node, at, report) "
                "SELECT 'big', 1799999000000000000, string_agg(md5(i::text), '') "
                "FROM generate_series(1, 30000) AS i"};

static void the_size_is_measured_once_a_minute(void **state)
{
    char before[32];
    struct span bytes;

    (void)state;
    watch_for(3);
    assert_int_equal(ask("GET /monitoring/status", READER, NULL), 200);
    bytes = said("nodes.0.report.store.bytes");
    (void)snprintf(before, sizeof(before), "%.*s", (int)bytes.len, bytes.ptr);
    kit_exec(desk.store, &grow);
    watch_for(50);
    assert_int_equal(ask("GET /monitoring/status", READER, NULL), 200);
    assert_said("nodes.0.report.store.bytes", before);
    watch_for(15);
    assert_int_equal(ask("GET /monitoring/status", READER, NULL), 200);
    assert_true(said("nodes.0.report.store.bytes").len >= strlen(before) &&
                !span_is(said("nodes.0.report.store.bytes"), before));
}

static void old_alerts_are_forgotten(void **state)
{
    (void)state;
    wrong.forked = true;
    watch_for(3);
    wrong.forked = false;
    watch_for(4);
    clock_fake_move(&desk.clock, 86400 * CLOCK_NS_PER_S);
    watch_for(2);
    clock_fake_move(&desk.clock, 100 * CLOCK_NS_PER_S);
    watch_for(2);
    assert_int_equal(ask("GET /alerts", READER, NULL), 200);
    assert_said("0", "");
}

static const struct store_statement long_ago = {
    .name = "test_long_ago",
    .sqlite = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 350) "
              "INSERT INTO alerts (fingerprint, source, name, severity, status, labels, "
              "annotations, starts_at, received_at, last_at, times, ends_at, resolved_at) "
              "SELECT 'f' || i, 'alertmanager', 'Old', 'warning', 'resolved', '{}', '{}', "
              "1, 1, 1, 1, 2, 2 FROM n"};

/* A bounded number at once, and then at once the next. */
static void many_old_alerts_are_forgotten_soon(void **state)
{
    (void)state;
    kit_exec(desk.store, &long_ago);
    watch_for(6);
    assert_int_equal(ask("GET /alerts", READER, NULL), 200);
    assert_said("0", "");
}

static void no_number_of_days_is_for_ever(void **state)
{
    (void)state;
    kit_exec(desk.store, &long_ago);
    monitor_watch_look(other); /* which was told of none */
    monitor_watch_settle(other);
    assert_int_equal(ask("GET /alerts/1", READER, NULL), 200);
}

/* ---- many routes ---- */

enum { SERVICES = 8, ROUTES = 60 };

static void ask_route(struct metric *durations, int service, int route, int times)
{
    char texts[2][80];
    struct span labels[] = {{0}, {0}, SPAN("DELETE")};

    (void)snprintf(texts[0], sizeof(texts[0]), "service-%d", service);
    (void)snprintf(texts[1], sizeof(texts[1]),
                   "/api/v1/a/path/that/is/as/long/as/most/{id}/route/%d", route);
    labels[0] = span_from(texts[0]);
    labels[1] = span_from(texts[1]);
    for (int i = 0; i < times; i++)
        metric_observe_ns(metric_series(durations, labels, PC_COUNT(labels)), CLOCK_NS_PER_MS);
}

/* Each service keeps its busiest ones, the busiest first. */
static void assert_routes_of(const struct json_value *root, int service)
{
    char path[80], expected[80];
    const struct json_value *routes, *first;

    (void)snprintf(path, sizeof(path), "nodes.0.report.services.%d.routes", service);
    routes = value_at(root, span_from(path));
    assert_non_null(routes);
    assert_in_range(routes->count, 8, ROUTES - 1);
    (void)snprintf(expected, sizeof(expected), "route/%d", ROUTES - 1);
    first = value_at(routes, SPAN_OF("0.route"));
    assert_true(span_ends(first->text, span_from(expected)));
}

static void a_report_that_is_too_long_tells_of_fewer_routes(void **state)
{
    static const struct metric_def def = {.name = "http_request_duration_seconds",
                                          .help = "x",
                                          .kind = METRIC_HISTOGRAM,
                                          .labels = {"service", "route", "method"}};
    struct monitor_options options = {
        .store = desk.store, .clock = &desk.clock.clock, .node = SPAN_OF("three")};
    const struct json_value *root;
    struct monitor_watch *watch;
    struct metric *durations;
    struct span status;

    (void)state;
    assert_int_equal(metrics_new(&options.metrics), ERR_OK);
    assert_int_equal(metric_register(options.metrics, &def, &durations), ERR_OK);
    for (int i = 0; i < SERVICES * ROUTES; i++)
        ask_route(durations, i % SERVICES, i / SERVICES, 1 + i / SERVICES);
    assert_int_equal(monitor_watch_new(&options, other_inner, &watch), ERR_OK);
    monitor_watch_look(watch);
    monitor_watch_settle(watch);
    assert_in_range(watch->own_bytes, MONITOR_REPORT_BYTES_MAX * 7 / 8, MONITOR_REPORT_BYTES_MAX);
    assert_int_equal(monitor_watch_status(watch, &desk.arena, &status), ERR_OK);
    assert_int_equal(json_read(status, &desk.arena, &root, NULL), ERR_OK);
    for (int i = 0; i < SERVICES; i++)
        assert_routes_of(root, i);
    monitor_watch_free(watch);
    metrics_free(options.metrics);
}

#define WATCH_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WATCH_TEST(the_status_tells_of_the_node),
        WATCH_TEST(what_is_found_fires_and_ends_by_itself),
        WATCH_TEST(an_alert_is_counted_once),
        WATCH_TEST(an_alert_needs_no_store),
        WATCH_TEST(what_is_closed_by_hand_comes_again),
        WATCH_TEST(an_end_that_nobody_waits_for_is_no_row),
        WATCH_TEST(a_keeper_that_does_not_look_is_told),
        WATCH_TEST(a_key_that_ends_soon_is_told_twice),
        WATCH_TEST(a_start_takes_over_what_was_left),
        WATCH_TEST(a_start_ends_nobody_elses_absence),
        WATCH_TEST(an_absence_that_is_over_ends_behind_a_start),
        WATCH_TEST(a_start_goes_on_with_what_it_is_finding),
        WATCH_TEST(a_start_finds_its_own_among_many),
        WATCH_TEST(nodes_see_each_other),
        WATCH_TEST(a_node_is_not_missing_for_want_of_a_store),
        WATCH_TEST(nobody_is_missing_behind_an_outage),
        WATCH_TEST(who_runs_is_seen_among_many_who_do_not),
        WATCH_TEST(who_stops_in_order_is_not_missing),
        WATCH_TEST(a_spoiled_report_spoils_nothing),
        WATCH_TEST(the_size_is_measured_once_a_minute),
        WATCH_TEST(old_alerts_are_forgotten),
        WATCH_TEST(many_old_alerts_are_forgotten_soon),
        WATCH_TEST(no_number_of_days_is_for_ever),
        WATCH_TEST(a_report_that_is_too_long_tells_of_fewer_routes),
    };

    return cmocka_run_group_tests_name("monitor_watch", tests, NULL, NULL);
}
