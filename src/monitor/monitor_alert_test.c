/* SPDX-License-Identifier: MIT
 * What Alertmanager tells when things go badly: very many alerts at once, some that are none,
 * tellings out of order, ends that never come, and alerts that change all the time. */
#include "base/metric_read.h"
#include "monitor/monitor_test_kit.h"
#include "monitor/monitor_watch_priv.h"

#define LABELS "{\"alertname\":\"DiskFull\",\"severity\":\"critical\"}"
#define PRINT  "c0ffee0123456789"
#define FIRST  "2027-01-15T07:00:00Z"
#define SECOND "2027-01-15T07:30:00Z"
#define NEVER  "0001-01-01T00:00:00Z"
#define HOUR   (INT64_C(3600) * CLOCK_NS_PER_S)

enum { STORM = 1000, BODY_BYTES_MAX = 1024 * 1024, LONG_BYTES = 4000 };

/* ---- telling ----------------------------------------------------------------------------------
 */

/* A notification under way. */
static struct sbuf body_begin(void)
{
    struct sbuf out = sbuf_on(&desk.arena, BODY_BYTES_MAX);

    sbuf_add_lit(&out, "{\"version\":\"4\",\"groupKey\":\"{}:{}\",\"truncatedAlerts\":0,"
                       "\"status\":\"firing\",\"receiver\":\"portcullis\",\"groupLabels\":{},"
                       "\"commonLabels\":{},\"commonAnnotations\":{},"
                       "\"externalURL\":\"http://alertmanager:9093\",\"alerts\":[");
    return out;
}

static int body_send(struct sbuf *out)
{
    sbuf_add_lit(out, "]}");
    sbuf_add_char(out, '\0');
    assert_false(out->full);
    return ask("POST /alerts", SENDER, out->ptr);
}

/* What to do about it, as long as people write it. */
#define ADVICE                                                                                     \
    "Requests to it are refused since its last five failed. Look whether the service behind it "   \
    "answers: its own page of state, its log of the last minutes, and what was deployed there "    \
    "today. The breaker lets a request through every minute and closes when that one succeeds, "   \
    "so nothing has to be done here once the service is well. If it stays open for an hour, ask "  \
    "those who look after payments, and tell the people at the counter that transfers wait."

static void add_usual(struct sbuf *out, int number, const char *status, const char *ends_at)
{
    sbuf_add_format(
        out,
        "%s{\"status\":\"%s\",\"labels\":{\"alertname\":\"PortcullisBreakerOpen\","
        "\"severity\":\"warning\",\"instance\":\"10.0.0.7:%d\",\"job\":\"portcullis\","
        "\"node\":\"gateway-%d\",\"service\":\"gateway\",\"breaker\":\"payments\"},"
        "\"annotations\":{\"summary\":\"The breaker of payments is open at gateway-%d\","
        "\"description\":\"" ADVICE "\","
        "\"runbook_url\":\"https://docs.example.com/portcullis/runbooks#breaker-open\"},"
        "\"startsAt\":\"" FIRST "\",\"endsAt\":\"%s\",\"generatorURL\":"
        "\"http://prometheus:9090/graph?g0.expr=portcullis_breaker_state+%%3E+0&g0.tab=1\","
        "\"fingerprint\":\"%016x\"}",
        number ? "," : "", status, number, number, number, ends_at, number);
}

static int storm(const char *status, const char *ends_at)
{
    struct sbuf out = body_begin();

    for (int i = 0; i < STORM; i++)
        add_usual(&out, i, status, ends_at);
    assert_in_range(out.len, 900 * 1024, BODY_BYTES_MAX);
    return body_send(&out);
}

static int tell(const char *status, const char *starts_at)
{
    const struct notice notice = {.status = status,
                                  .labels = LABELS,
                                  .starts_at = starts_at,
                                  .ends_at = strcmp(status, "firing") == 0 ? NEVER
                                                                           : "2027-01-15T07:50:00Z",
                                  .fingerprint = PRINT};

    clock_fake_move(&desk.clock, CLOCK_NS_PER_S);
    return notify_as(SENDER, &notice);
}

static void assert_told(const char *status, const char *starts_at)
{
    assert_int_equal(tell(status, starts_at), 202);
}

struct seen {
    const char *reason;
    int64_t count;
};

static void see_skipped(void *context, const struct metric_sample *sample)
{
    struct seen *seen = context;

    if (span_is(metric_sample_label(sample, "reason"), seen->reason))
        seen->count = sample->value;
}

static int64_t skipped(const char *reason)
{
    struct seen seen = {.reason = reason, .count = -1};

    metric_samples(desk.metrics, "monitoring_alerts_skipped_total", see_skipped, &seen);
    return seen.count;
}

/* ---- many, and bad ones -----------------------------------------------------------------------
 */

static void a_storm_is_told_and_ended(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(storm("firing", NEVER), 202);
    assert_int_equal(events(TRAIL_ALERT_FIRED), STORM);
    for (int i = 0; i < 2; i++)
        assert_int_equal(storm("resolved", "2027-01-15T07:30:00Z"), 202);
    assert_int_equal(events(TRAIL_ALERT_FIRED), STORM);
    assert_int_equal(events(TRAIL_ALERT_RESOLVED), STORM);
    assert_int_equal(ask("GET /alerts?status=firing", READER, NULL), 200);
    assert_said("0", "");
    assert_int_equal(ask("GET /alerts/1000", READER, NULL), 200);
    assert_said("times", "3");
    assert_said("ends_at", "2027-01-15T07:30:00.000000Z");
    assert_int_equal(skipped("invalid") + skipped("excess") + skipped("truncated"), 0);
}

static void add_labels(struct sbuf *out, size_t count, size_t name_bytes)
{
    sbuf_add_lit(out, ",{\"status\":\"firing\",\"labels\":{\"alertname\":\"Bad\"");
    for (size_t i = 1; i < count; i++)
        sbuf_add_format(out, ",\"%0*zu\":\"x\"", (int)name_bytes, i);
    sbuf_add_lit(out, "}}");
}

static void what_is_bad_is_left_out(void **state)
{
    struct sbuf out = body_begin();

    (void)state;
    add_usual(&out, 0, "firing", NEVER);
    add_labels(&out, 65, 4);
    add_labels(&out, 2, 129);
    add_labels(&out, 64, 4);
    sbuf_add_lit(&out, ",{\"status\":\"firing\",\"labels\":{},\"endsAt\":\"late\"}");
    add_usual(&out, 1, "firing", NEVER);
    assert_int_equal(body_send(&out), 202);
    assert_int_equal(ask("GET /alerts", READER, NULL), 200);
    assert_said("0.fingerprint", "0000000000000001");
    assert_said("1.name", "Bad");
    assert_said("2.fingerprint", "0000000000000000");
    assert_said("3", "");
    assert_int_equal(skipped("invalid"), 3);
    assert_int_equal(skipped("excess"), 0);
}

/* Nothing is taken then, and the sender is told why. */
static void only_bad_ones_are_refused(void **state)
{
    (void)state;
    assert_problem(ask("POST /alerts", SENDER,
                       "{\"alerts\":[{\"status\":\"firing\",\"labels\":{\"a\":1}},"
                       "{\"status\":\"firing\",\"labels\":{},\"endsAt\":\"late\"}]}"),
                   422, "validation-failed");
    assert_says("alerts[0].labels");
    assert_int_equal(skipped("invalid"), 2);
}

static void what_is_too_much_is_counted(void **state)
{
    struct sbuf out = sbuf_on(&desk.arena, BODY_BYTES_MAX);

    (void)state;
    sbuf_add_lit(&out, "{\"version\":\"4\",\"truncatedAlerts\":7,\"alerts\":[{\"status\":"
                       "\"firing\",\"labels\":{\"alertname\":\"A\"}}");
    for (int i = 1; i < STORM + 5; i++)
        sbuf_add_format(&out, ",{\"status\":\"firing\",\"labels\":{\"n\":\"%d\"}}", i);
    assert_int_equal(body_send(&out), 202);
    assert_int_equal(skipped("excess"), 5);
    assert_int_equal(skipped("truncated"), 7);
    assert_int_equal(events(TRAIL_ALERT_FIRED), STORM);
}

/* ---- out of order -----------------------------------------------------------------------------
 */

/* Its end was never told, since it was silenced then: this is another time. */
static void a_later_start_is_another_alert(void **state)
{
    (void)state;
    assert_told("firing", FIRST);
    assert_told("firing", FIRST);
    assert_int_equal(ask("POST /alerts/1/acknowledge", OPERATOR, "{}"), 200);
    assert_told("firing", SECOND);
    assert_told("firing", SECOND);
    assert_int_equal(ask("GET /alerts/1", READER, NULL), 200);
    assert_said("status", "resolved");
    assert_said("resolved_by", "system");
    assert_said("times", "2");
    assert_said("ends_at", "2027-01-15T07:30:00.000000Z");
    assert_said("history.2.what", "resolved");
    assert_said("history.2.who", "system");
    assert_said("history.2.note", "It is told of a later start.");
    assert_int_equal(ask("GET /alerts/2", READER, NULL), 200);
    assert_said("status", "firing");
    assert_said("times", "2");
    assert_said("starts_at", "2027-01-15T07:30:00.000000Z");
    assert_said("acknowledged_at", "null");
    assert_int_equal(events(TRAIL_ALERT_FIRED), 2);
    assert_int_equal(events(TRAIL_ALERT_RESOLVED), 1);
}

static void the_end_of_an_earlier_time_ends_nothing(void **state)
{
    (void)state;
    assert_told("firing", FIRST);
    assert_told("firing", SECOND);
    assert_told("resolved", FIRST);
    assert_int_equal(ask("GET /alerts?status=firing", READER, NULL), 200);
    assert_said("0.id", "2");
    assert_told("resolved", SECOND);
    assert_told("resolved", FIRST);
    assert_int_equal(ask("GET /alerts", READER, NULL), 200);
    assert_said("0.status", "resolved");
    assert_said("0.resolved_by", "client:robot");
    assert_said("2", "");
    assert_int_equal(events(TRAIL_ALERT_RESOLVED), 2);
}

static void the_end_of_a_later_time_is_kept_beside(void **state)
{
    (void)state;
    assert_told("firing", FIRST);
    assert_told("resolved", SECOND);
    assert_int_equal(ask("GET /alerts", READER, NULL), 200);
    assert_said("0.status", "resolved");
    assert_said("0.starts_at", "2027-01-15T07:30:00.000000Z");
    assert_said("0.ends_at", "2027-01-15T07:50:00.000000Z");
    assert_said("0.resolved_by", "client:robot");
    assert_said("1.status", "resolved");
    assert_said("1.resolved_by", "system");
}

/* Alertmanager heard of it from two sides, and takes the earlier start when it knows of it. */
static void an_earlier_start_is_the_same_alert(void **state)
{
    (void)state;
    assert_told("firing", SECOND);
    assert_told("firing", FIRST);
    assert_int_equal(ask("GET /alerts/1", READER, NULL), 200);
    assert_said("times", "2");
    assert_said("starts_at", "2027-01-15T07:00:00.000000Z");
    assert_told("resolved", FIRST);
    assert_int_equal(ask("GET /alerts", READER, NULL), 200);
    assert_said("0.status", "resolved");
    assert_said("1", "");
}

/* But not when that time is a row of its own. */
static void a_known_earlier_start_moves_nothing(void **state)
{
    (void)state;
    assert_told("firing", FIRST);
    assert_told("firing", SECOND);
    assert_told("firing", FIRST);
    assert_int_equal(ask("GET /alerts", READER, NULL), 200);
    assert_said("0.id", "2");
    assert_said("0.times", "2");
    assert_said("0.starts_at", "2027-01-15T07:30:00.000000Z");
    assert_said("1.status", "resolved");
    assert_said("2", "");
}

/* ---- what time does ---------------------------------------------------------------------------
 */

struct sweeping {
    struct monitor_keep keep;
    bool more;
};

static enum err sweep_run(struct store_conn *conn, struct store_job *job)
{
    struct sweeping *sweeping = job->context;

    return monitor_alert_sweep(conn, &sweeping->keep, clock_realtime_ns(&desk.clock.clock),
                               &sweeping->more);
}

static bool sweep(int64_t resolved_ns, int64_t untold_ns)
{
    struct sweeping sweeping = {{.resolved_ns = resolved_ns, .untold_ns = untold_ns}, false};

    assert_int_equal(store_do(desk.store, sweep_run, &sweeping, true), ERR_OK);
    return sweeping.more;
}

static enum err own_run(struct store_conn *conn, struct store_job *job)
{
    const struct monitor_told told = {.source = SPAN_OF("portcullis"),
                                      .fingerprint = SPAN_OF("b"),
                                      .name = SPAN_OF("BreakerOpen"),
                                      .severity = SPAN_OF("critical"),
                                      .labels = SPAN_OF("{}"),
                                      .annotations = SPAN_OF("{}"),
                                      .starts_at_ns = T0,
                                      .firing = true};
    enum monitor_step step;
    int64_t id;

    (void)job;
    return monitor_alert_tell(conn, &told, &monitor_who_system, T0, &desk.arena, &id, &step);
}

static void what_is_not_told_any_more_is_over(void **state)
{
    (void)state;
    assert_told("firing", FIRST);
    assert_int_equal(store_do(desk.store, own_run, NULL, true), ERR_OK);
    clock_fake_move(&desk.clock, HOUR);
    assert_false(sweep(0, 0));
    assert_false(sweep(0, 2 * HOUR));
    assert_int_equal(events(TRAIL_ALERT_RESOLVED), 0);
    assert_false(sweep(0, HOUR / 2));
    assert_false(sweep(0, HOUR / 2));
    assert_int_equal(events(TRAIL_ALERT_RESOLVED), 1);
    assert_int_equal(ask("GET /alerts/1", READER, NULL), 200);
    assert_said("status", "resolved");
    assert_said("resolved_by", "system");
    assert_said("history.1.note", "It is not told of any more.");
    assert_int_equal(ask("GET /alerts/2", READER, NULL), 200);
    assert_said("status", "firing");
    assert_told("resolved", FIRST); /* late: nothing */
    assert_told("firing", FIRST);   /* it was not over */
    assert_int_equal(ask("GET /alerts", READER, NULL), 200);
    assert_said("0.id", "3");
    assert_said("0.status", "firing");
    assert_said("3", "");
}

static void many_are_over_in_steps(void **state)
{
    (void)state;
    assert_int_equal(storm("firing", NEVER), 202);
    clock_fake_move(&desk.clock, HOUR);
    for (int i = 0; i < STORM / 100; i++)
        assert_true(sweep(0, 1));
    assert_false(sweep(0, 1));
    assert_int_equal(events(TRAIL_ALERT_RESOLVED), STORM);
}

static void zero_keeps_for_ever(void **state)
{
    (void)state;
    assert_told("resolved", FIRST);
    clock_fake_move(&desk.clock, HOUR);
    assert_false(sweep(0, 1));
    assert_int_equal(ask("GET /alerts/1", READER, NULL), 200);
    assert_false(sweep(2 * HOUR, 1));
    assert_int_equal(ask("GET /alerts/1", READER, NULL), 200);
    assert_false(sweep(1, 1));
    assert_int_equal(ask("GET /alerts/1", READER, NULL), 404);
}

static void look_after(int64_t ns)
{
    clock_fake_move(&desk.clock, ns);
    monitor_watch_look(desk.monitor->watch);
    monitor_watch_settle(desk.monitor->watch);
}

/* A node that was away hears of it again soon: it waits for that. */
static void the_watcher_waits_and_then_ends(void **state)
{
    struct monitor_options *options = &desk.monitor->watch->options;

    (void)state;
    options->stale_after_s = 60;
    assert_int_equal(options->keep_days, 0);
    assert_told("firing", FIRST);
    look_after(10 * 60 * CLOCK_NS_PER_S);
    assert_int_equal(ask("GET /alerts/1", READER, NULL), 200);
    assert_said("status", "firing");
    look_after(10 * 60 * CLOCK_NS_PER_S);
    look_after(HOUR);
    assert_int_equal(ask("GET /alerts/1", READER, NULL), 200);
    assert_said("status", "resolved");
}

/* ---- a long history ---------------------------------------------------------------------------
 */

static enum err history_run(struct store_conn *conn, struct store_job *job)
{
    return monitor_alert_history(conn, 1, &desk.arena, job->context);
}

static void tell_long(int number)
{
    static char annotations[3 * LONG_BYTES];
    const struct notice notice = {
        .status = "firing", .labels = LABELS, .annotations = annotations, .fingerprint = PRINT};

    (void)snprintf(annotations, sizeof(annotations), "{\"a\":\"%0*d\",\"b\":\"%0*d\"}", LONG_BYTES,
                   number, LONG_BYTES, number);
    assert_int_equal(notify_as(SENDER, &notice), 202);
}

static void a_long_history_is_cut(void **state)
{
    struct monitor_history history;

    (void)state;
    for (int i = 0; i <= MONITOR_CHANGES_MAX; i++)
        tell_long(i);
    assert_int_equal(ask("GET /alerts/1", READER, NULL), 200);
    assert_says("\"history_cut\":true");
    assert_int_equal(ask("POST /alerts/1/acknowledge", OPERATOR, "{}"), 200);
    assert_says("\"history_cut\":true");
    assert_int_equal(ask("POST /alerts/1/resolve", OPERATOR, "{}"), 200);
    assert_int_equal(store_do(desk.store, history_run, &history, false), ERR_OK);
    assert_true(history.cut);
    assert_in_range(history.count, 50, MONITOR_CHANGES_MAX - 1);
    assert_true(span_is(history.list[history.count - 1].what, "resolved"));
    assert_true(span_is(history.list[history.count - 2].what, "acknowledged"));
    assert_true(span_is(history.list[0].what, "changed"));
    for (size_t i = 1; i < history.count; i++)
        assert_true(history.list[i - 1].at <= history.list[i].at);
}

static void a_short_history_is_whole(void **state)
{
    (void)state;
    tell_long(1);
    tell_long(2);
    assert_int_equal(ask("GET /alerts/1", READER, NULL), 200);
    assert_said("history_cut", "false");
    assert_said("history.0.what", "fired");
    assert_said("history.1.what", "changed");
    assert_said("history.2", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DESK_TEST(a_storm_is_told_and_ended),
        DESK_TEST(what_is_bad_is_left_out),
        DESK_TEST(only_bad_ones_are_refused),
        DESK_TEST(what_is_too_much_is_counted),
        DESK_TEST(a_later_start_is_another_alert),
        DESK_TEST(the_end_of_an_earlier_time_ends_nothing),
        DESK_TEST(the_end_of_a_later_time_is_kept_beside),
        DESK_TEST(an_earlier_start_is_the_same_alert),
        DESK_TEST(a_known_earlier_start_moves_nothing),
        DESK_TEST(what_is_not_told_any_more_is_over),
        DESK_TEST(many_are_over_in_steps),
        DESK_TEST(zero_keeps_for_ever),
        DESK_TEST(the_watcher_waits_and_then_ends),
        DESK_TEST(a_long_history_is_cut),
        DESK_TEST(a_short_history_is_whole),
    };

    return cmocka_run_group_tests_name("monitor_alert", tests, NULL, NULL);
}
