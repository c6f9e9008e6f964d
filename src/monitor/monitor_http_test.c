/* SPDX-License-Identifier: MIT
 * The routes: who may send and see, what a notification becomes, and what operators do with it. */
#include "monitor/monitor_test_kit.h"

#define LABELS "{\"alertname\":\"DiskFull\",\"severity\":\"critical\",\"instance\":\"a:1\"}"
#define FIRE                                                                                       \
    {                                                                                              \
        .status = "firing", .labels = LABELS, .fingerprint = "c0ffee0123456789"                    \
    }
#define ALERT_URL "GET /alerts/1"

static const struct notice fire = FIRE;

static void a_notification_is_stored(void **state)
{
    const struct notice notice = {.status = "firing",
                                  .labels = LABELS,
                                  .annotations = "{\"summary\":\"Disk is full\"}",
                                  .starts_at = "2027-01-15T07:59:58.123456789Z",
                                  .ends_at = "0001-01-01T00:00:00Z",
                                  .fingerprint = "c0ffee0123456789"};

    (void)state;
    assert_int_equal(notify_as(SENDER, &notice), 202);
    assert_says("{\"status\":\"received\"}");
    assert_int_equal(ask("GET /alerts", READER, NULL), 200);
    assert_said("0.id", "1");
    assert_said("0.fingerprint", "c0ffee0123456789");
    assert_said("0.source", "alertmanager");
    assert_said("0.name", "DiskFull");
    assert_said("0.severity", "critical");
    assert_said("0.status", "firing");
    assert_said("0.labels.instance", "a:1");
    assert_said("0.annotations.summary", "Disk is full");
    assert_said("0.starts_at", "2027-01-15T07:59:58.123456Z");
    assert_said("0.ends_at", "null");
    assert_said("0.times", "1");
    assert_said("0.acknowledged_by", "null");
    assert_int_equal(events(TRAIL_ALERT_FIRED), 1);
}

static void a_repetition_is_the_same_alert(void **state)
{
    const struct notice resolved = {.status = "resolved",
                                    .labels = LABELS,
                                    .ends_at = "2027-01-15T08:10:00Z",
                                    .fingerprint = "c0ffee0123456789"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(notify_as(SENDER, &fire), 202);
        clock_fake_move(&desk.clock, CLOCK_NS_PER_S);
    }
    assert_int_equal(ask(ALERT_URL, READER, NULL), 200);
    assert_said("times", "3");
    assert_said("received_at", "2027-01-15T08:00:00.000000Z");
    assert_said("last_at", "2027-01-15T08:00:02.000000Z");
    assert_said("history.1.what", "");
    assert_int_equal(notify_as(SENDER, &resolved), 202);
    assert_int_equal(ask(ALERT_URL, READER, NULL), 200);
    assert_said("status", "resolved");
    assert_said("ends_at", "2027-01-15T08:10:00.000000Z");
    assert_said("resolved_by", "client:robot");
    assert_said("history.1.what", "resolved");
    clock_fake_move(&desk.clock, CLOCK_NS_PER_S);
    assert_int_equal(notify_as(SENDER, &fire), 202);
    assert_int_equal(ask("GET /alerts?status=firing", READER, NULL), 200);
    assert_said("0.id", "2");
    assert_int_equal(events(TRAIL_ALERT_FIRED), 2);
    assert_int_equal(events(TRAIL_ALERT_RESOLVED), 1);
}

static void a_change_is_history(void **state)
{
    struct notice notice = FIRE;

    (void)state;
    notice.annotations = "{\"value\":\"90 %\"}";
    assert_int_equal(notify_as(SENDER, &notice), 202);
    notice.annotations = "{\"value\":\"95 %\"}";
    assert_int_equal(notify_as(SENDER, &notice), 202);
    assert_int_equal(notify_as(SENDER, &notice), 202);
    assert_int_equal(ask(ALERT_URL, READER, NULL), 200);
    assert_said("times", "3");
    assert_said("annotations.value", "95 %");
    assert_said("history.0.what", "fired");
    assert_said("history.1.what", "changed");
    assert_said("history.1.was.annotations.value", "90 %");
    assert_said("history.1.who", "client:robot");
    assert_said("history.2", "");
}

/* Alertmanager's own: the labels {alertname="DiskFull", instance="a:1", severity="critical"}. */
static void a_missing_fingerprint_is_made(void **state)
{
    struct notice notice = FIRE;

    (void)state;
    notice.fingerprint = NULL;
    assert_int_equal(notify_as(SENDER, &notice), 202);
    assert_int_equal(notify_as(SENDER, &notice), 202);
    assert_int_equal(ask("GET /alerts", READER, NULL), 200);
    assert_said("0.times", "2");
    assert_said("0.fingerprint", "6ce0900e8582ec95");
    assert_said("1", "");
}

static void what_is_told_late_is_kept_once(void **state)
{
    const struct notice late = {.status = "resolved",
                                .labels = LABELS,
                                .starts_at = "2027-01-15T07:00:00Z",
                                .ends_at = "2027-01-15T07:30:00Z",
                                .fingerprint = "c0ffee0123456789"};

    (void)state;
    assert_int_equal(notify_as(SENDER, &late), 202);
    assert_int_equal(notify_as(SENDER, &late), 202);
    assert_int_equal(ask("GET /alerts", READER, NULL), 200);
    assert_said("0.status", "resolved");
    assert_said("0.ends_at", "2027-01-15T07:30:00.000000Z");
    assert_said("1", "");
}

static void card_data_is_masked(void **state)
{
    const struct notice notice = {
        .status = "firing",
        .labels = "{\"alertname\":\"4111 1111 1111 1111\",\"note\":\"pan 4111111111111111\"}",
        .annotations = "{\"summary\":\"card 4111111111111111 of cvv 123\"}"};

    (void)state;
    assert_int_equal(notify_as(SENDER, &notice), 202);
    assert_int_equal(
        ask("POST /alerts/1/acknowledge", OPERATOR, "{\"note\":\"it was 4111 1111 1111 1111\"}"),
        200);
    assert_silent("4111");
    assert_said("name", "**** **** **** 1111");
    assert_said("annotations.summary", "card ************1111 of cvv ***");
    assert_said("history.1.note", "it was **** **** **** 1111");
}

static void operators_take_and_close(void **state)
{
    (void)state;
    assert_int_equal(notify_as(SENDER, &fire), 202);
    assert_int_equal(ask("POST /alerts/1/acknowledge", OPERATOR, "{\"note\":\"on it\"}"), 200);
    assert_said("acknowledged_by", "user:2");
    assert_said("acknowledged_at", "2027-01-15T08:00:00.000000Z");
    assert_said("status", "firing");
    assert_said("history.1.what", "acknowledged");
    assert_said("history.1.note", "on it");
    assert_problem(ask("POST /alerts/1/acknowledge", OPERATOR, "{}"), 409, "conflict");
    assert_says("Somebody looks after the alert already.");
    assert_int_equal(ask("POST /alerts/1/resolve", OPERATOR, "{}"), 200);
    assert_said("status", "resolved");
    assert_said("resolved_by", "user:2");
    assert_said("history.2.note", "null");
    assert_problem(ask("POST /alerts/1/resolve", OPERATOR, "{}"), 409, "conflict");
    assert_problem(ask("POST /alerts/1/acknowledge", OPERATOR, "{}"), 409, "conflict");
    assert_says("The alert is over.");
    assert_problem(ask("POST /alerts/9/resolve", OPERATOR, "{}"), 404, "not-found");
    assert_problem(ask("POST /alerts/9/acknowledge", OPERATOR, "{}"), 404, "not-found");
    assert_problem(ask("GET /alerts/9", READER, NULL), 404, "not-found");
    assert_int_equal(events(TRAIL_ALERT_ACKNOWLEDGED), 1);
    assert_int_equal(events(TRAIL_ALERT_RESOLVED), 1);
}

/* Who closed it by hand hears of it again while its cause is there; its end comes too late then. */
static void what_is_closed_by_hand_may_come_again(void **state)
{
    struct notice resolved = FIRE;

    (void)state;
    resolved.status = "resolved";
    assert_int_equal(notify_as(SENDER, &fire), 202);
    assert_int_equal(ask("POST /alerts/1/resolve", OPERATOR, "{}"), 200);
    resolved.starts_at = "2027-01-15T08:00:00Z";
    assert_int_equal(notify_as(SENDER, &resolved), 202);
    assert_int_equal(ask("GET /alerts", READER, NULL), 200);
    assert_said("1", "");
    clock_fake_move(&desk.clock, CLOCK_NS_PER_S);
    assert_int_equal(notify_as(SENDER, &fire), 202);
    assert_int_equal(ask("GET /alerts?status=firing", READER, NULL), 200);
    assert_said("0.id", "2");
}

static void rights_are_asked_for(void **state)
{
    static const struct {
        const char *what, *token, *body;
        int status;
    } cases[] = {
        {"POST /alerts", READER, "{\"alerts\":[]}", 403},
        {"POST /alerts", "u1.", "{\"alerts\":[]}", 403},
        {"POST /alerts", OPERATOR, "{\"alerts\":[]}", 202},
        {"POST /alerts", SECRET, "{\"alerts\":[]}", 202},
        {"POST /alerts", SECRET "x", "{\"alerts\":[]}", 401},
        {"POST /alerts", "a-static-bearer-of-more-than-32-byte", "{\"alerts\":[]}", 401},
        {"GET /alerts", SECRET, NULL, 401},
        {"GET /alerts/1", SECRET, NULL, 401},
        {"POST /alerts/1/acknowledge", SECRET, "{}", 401},
        {"POST /alerts/1/resolve", SECRET, "{}", 401},
        {"POST /alerts/1/acknowledge", READER, "{}", 403},
        {"POST /alerts/1/resolve", READER, "{}", 403},
        {"GET /alerts", SENDER, NULL, 403},
        {"GET /alerts/1", SENDER, NULL, 403},
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        int status = ask(cases[i].what, cases[i].token, cases[i].body);

        if (status != cases[i].status)
            fail_msg("%s as %s is %d", cases[i].what, cases[i].token, status);
    }
    assert_int_equal(notify_as(SECRET, &fire), 202);
    assert_int_equal(ask(ALERT_URL, READER, NULL), 200);
    assert_said("history.0.who", "client:monitoring.webhook_token");
}

static void what_is_no_notification_is_refused(void **state)
{
    static const struct {
        const char *body;
        int status;
        const char *says;
    } cases[] = {
        {"{", 400, "malformed-json"},
        {"{}", 422, "\"alerts\",\"message\":\"is required"},
        {"{\"version\":\"3\",\"alerts\":[]}", 422, "\"version\""},
        {"{\"alerts\":[{\"status\":\"firing\"}]}", 422, "alerts[0].labels"},
        {"{\"alerts\":[{\"status\":\"odd\",\"labels\":{}}]}", 422, "alerts[0].status"},
        {"{\"alerts\":[{\"status\":\"firing\",\"labels\":{\"a\":1}}]}", 422, "alerts[0].labels"},
        {"{\"alerts\":[{\"status\":\"firing\",\"labels\":{\"a\":\"b\",\"a\":\"c\"}}]}", 400,
         "the member name is used twice"},
        {"{\"alerts\":[{\"status\":\"firing\",\"labels\":{\"\":\"b\"}}]}", 422, "names"},
        {"{\"alerts\":[{\"status\":\"firing\",\"labels\":{\"4111111111111111\":\"b\"}}]}", 422,
         "names"},
        {"{\"alerts\":[{\"status\":\"firing\",\"labels\":{},\"annotations\":{\"a\":{}}}]}", 422,
         "alerts[0].annotations"},
        {"{\"alerts\":[{\"status\":\"firing\",\"labels\":{},\"startsAt\":\"soon\"}]}", 422,
         "alerts[0].startsAt"},
        {"{\"alerts\":[{\"status\":\"firing\",\"labels\":{},\"endsAt\":\"late\"}]}", 422,
         "alerts[0].endsAt"},
        {"{\"alerts\":[{\"status\":\"firing\",\"labels\":{},\"fingerprint\":\"a b\"}]}", 422,
         "alerts[0].fingerprint"},
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        int status = ask("POST /alerts", SENDER, cases[i].body);

        if (status != cases[i].status)
            fail_msg("%s is %d: %s", cases[i].body, status, site.text);
        assert_says(cases[i].says);
    }
    assert_int_equal(ask("GET /alerts", READER, NULL), 200);
    assert_said("0", "");
}

/* Nothing that is only long is lost. */
static void what_is_long_is_cut(void **state)
{
    char labels[8 * 1024];
    struct notice notice = {.status = "firing", .labels = labels};

    (void)state;
    (void)snprintf(labels, sizeof(labels), "{\"alertname\":\"%0300d\",\"long\":\"%05000d\"}", 7, 7);
    assert_int_equal(notify_as(SENDER, &notice), 202);
    assert_int_equal(ask(ALERT_URL, READER, NULL), 200);
    assert_int_equal(said("name").len, MONITOR_NAME_BYTES_MAX);
    assert_int_equal(said("labels.long").len, MONITOR_LABEL_BYTES_MAX);
}

static void lists_are_filtered_and_paged(void **state)
{
    static const char *const severities[] = {"critical", "warning", "info"};
    char labels[128];
    char what[1024] = "GET /alerts?limit=4&severity=warning";
    struct notice notice = {.status = "firing", .labels = labels};
    size_t count = 0;
    int64_t last = INT64_MAX;

    (void)state;
    for (int i = 0; i < 30; i++) {
        (void)snprintf(labels, sizeof(labels),
                       "{\"alertname\":\"A%d\",\"severity\":\"%s\",\"n\":\"%d\"}", i % 2,
                       severities[i % 3], i);
        assert_int_equal(notify_as(SENDER, &notice), 202);
    }
    do {
        assert_int_equal(ask(what, READER, NULL), 200);
        for (size_t i = 0; i < 4; i++) {
            char path[32];
            int64_t id;

            (void)snprintf(path, sizeof(path), "%zu.id", i);
            if (said(path).len == 0)
                break;
            assert_true(span_to_i64(said(path), &id) && id < last);
            (void)snprintf(path, sizeof(path), "%zu.severity", i);
            assert_said(path, "warning");
            last = id;
            count++;
        }
    } while (next_page(what));
    assert_int_equal(count, 10);
    assert_int_equal(ask("GET /alerts?name=A1&severity=info&status=firing", READER, NULL), 200);
    assert_said("0.name", "A1");
    assert_said("5", "");
    assert_int_equal(ask("GET /alerts?status=resolved", READER, NULL), 200);
    assert_said("0", "");
    assert_problem(ask("GET /alerts?cursor=x", READER, NULL), 422, "validation-failed");
    assert_problem(ask("GET /alerts?limit=0", READER, NULL), 422, "validation-failed");
    assert_problem(ask("GET /alerts?status=open", READER, NULL), 422, "validation-failed");
}

/* 202 is said behind the commit, and nothing is kept without its event. */
static void a_failing_store_is_told(void **state)
{
    (void)state;
    assert_int_equal(ask("GET /alerts", READER, NULL), 200);
    store_fail_at(STORE_FAIL_ALWAYS);
    assert_int_equal(notify_as(SECRET, &fire), 503);
    assert_says("Retry-After");
    store_fail_at(0);
    assert_int_equal(ask("GET /alerts", READER, NULL), 200);
    assert_said("0", "");
    assert_int_equal(events(TRAIL_ALERT_FIRED), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DESK_TEST(a_notification_is_stored),
        DESK_TEST(a_repetition_is_the_same_alert),
        DESK_TEST(a_change_is_history),
        DESK_TEST(a_missing_fingerprint_is_made),
        DESK_TEST(what_is_told_late_is_kept_once),
        DESK_TEST(card_data_is_masked),
        DESK_TEST(operators_take_and_close),
        DESK_TEST(what_is_closed_by_hand_may_come_again),
        DESK_TEST(rights_are_asked_for),
        DESK_TEST(what_is_no_notification_is_refused),
        DESK_TEST(what_is_long_is_cut),
        DESK_TEST(lists_are_filtered_and_paged),
        DESK_TEST(a_failing_store_is_told),
    };

    return cmocka_run_group_tests_name("monitor_http", tests, NULL, NULL);
}
