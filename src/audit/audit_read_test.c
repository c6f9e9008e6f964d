/* SPDX-License-Identifier: MIT
 * Events that go out: filters, pages, the stream, who may read, and that reading is in the log. */
#include "audit/audit_test_kit.h"
#include "base/alloc.h"

enum { LARGE_BYTES = 4 * 1024 * 1024 };

/* Adds events without the service. */
struct add {
    struct trail_record record;
    size_t count;
};

static enum err add_run(struct store_conn *conn, struct store_job *job)
{
    const struct add *add = job->context;
    enum err err = ERR_OK;

    for (size_t i = 0; i < add->count && err == ERR_OK; i++)
        err = trail_add(conn, &add->record);
    return err;
}

static void add_many(enum trail_event event, const char *actor, const char *object, size_t count)
{
    struct add add = {.record = {.event = event,
                                 .outcome = TRAIL_DONE,
                                 .at_ns = clock_realtime_ns(&desk.clock.clock),
                                 .actor_kind = TRAIL_ACTOR_USER,
                                 .actor = span_from(actor),
                                 .object = span_from(object)},
                      .count = count};

    if (event == TRAIL_ACCOUNT_CLOSED)
        add.record.details[0] = (struct trail_detail){"status", SPAN("closed")};
    assert_int_equal(store_do(desk.store, add_run, &add, true), ERR_OK);
}

static void add_refused(enum trail_event event, const char *actor, const char *reason)
{
    struct add add = {.record = {.event = event,
                                 .at_ns = clock_realtime_ns(&desk.clock.clock),
                                 .actor_kind = TRAIL_ACTOR_USER,
                                 .actor = span_from(actor),
                                 .reason = span_from(reason)},
                      .count = 1};

    assert_int_equal(store_do(desk.store, add_run, &add, true), ERR_OK);
}

/* How many the list has with this query. */
static size_t found(const char *query)
{
    int status = read_log("GET /audit/events?limit=500&%s", query);

    if (status != 200)
        fail_msg("%s: %s", query, site.text);
    return said_count();
}

static void filters_narrow_together(void **state)
{
    (void)state;
    add_many(TRAIL_LOGIN, "1", "session:a", 2);
    add_many(TRAIL_LOGIN, "2", "session:b", 1);
    add_many(TRAIL_ACCOUNT_CLOSED, "2", "account:7", 1);
    add_refused(TRAIL_LOGIN, "3", "locked");
    assert_int_equal(post("/audit/events", EVENT), 201);
    assert_int_equal(found("actor=1"), 2);
    assert_int_equal(found("actor=2"), 2);
    assert_int_equal(found("actor=2&category=transaction"), 1);
    assert_said("0.action", "account.closed");
    assert_int_equal(found("action=user.login"), 4);
    assert_int_equal(found("action=user.login&outcome=refused"), 1);
    assert_said("0.reason", "locked");
    assert_int_equal(found("resource=account:7"), 1);
    assert_int_equal(found("resource=account%3A7&actor=1"), 0);
    assert_int_equal(found("tag=sox"), 1);
}

static void doubled_parameters_are_refused(void **state)
{
    (void)state;
    assert_problem(read_log("GET /audit/events?tag=a&tag=b"), 400, "bad-query");
}

static void sources_and_severities_are_filters(void **state)
{
    (void)state;
    add_many(TRAIL_LOGIN, "1", "session:a", 3);
    add_many(TRAIL_ACCOUNT_CLOSED, "2", "account:7", 1);
    assert_int_equal(post("/audit/events", EVENT), 201);
    assert_int_equal(found("source=account-service"), 1);
    assert_int_equal(found("source=scanner"), 1);
    assert_int_equal(found("severity=warning"), 2);
    assert_int_equal(found("severity=warning&source=scanner"), 1);
    assert_int_equal(found("severity=critical"), 0);
    assert_int_equal(found("source=nobody"), 0);
}

static void times_are_filters(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        add_many(TRAIL_LOGIN, "1", "session:a", 1);
        clock_fake_move(&desk.clock, CLOCK_NS_PER_S);
    }
    assert_int_equal(found("actor=1&from=2027-01-15T08:00:01Z"), 2);
    assert_int_equal(found("actor=1&to=2027-01-15T08:00:01Z"), 1);
    assert_int_equal(found("actor=1&from=2027-01-15T08:00:01Z&to=2027-01-15T08:00:02Z"), 1);
    assert_int_equal(found("actor=1&from=2027-01-15T09:00:01%2B01:00"), 2);
    assert_int_equal(found("actor=1&to=1950-01-01T00:00:00Z"), 0);
    assert_int_equal(found("actor=1&from=1950-01-01T00:00:00Z"), 3);
    assert_problem(read_log("GET /audit/events?from=2027-01-15T08:00:01Z&to=2027-01-15T08:00:00Z"),
                   400, "bad-request");
    assert_problem(read_log("GET /audit/events?from=yesterday"), 400, "bad-request");
    assert_said("errors.0.field", "from");
}

/* The contract says 400 where others say 422. */
static void limits_are_kept(void **state)
{
    (void)state;
    add_many(TRAIL_LOGIN, "1", "session:a", 150);
    assert_problem(read_log("GET /audit/events?limit=0"), 400, "bad-request");
    assert_said("errors.0.field", "limit");
    assert_problem(read_log("GET /audit/events?limit=501"), 400, "bad-request");
    assert_problem(read_log("GET /audit/events?limit=-1"), 400, "bad-request");
    assert_problem(read_log("GET /audit/events?limit=ten"), 400, "bad-request");
    assert_int_equal(read_log("GET /audit/events"), 200);
    assert_int_equal(said_count(), 100);
    assert_int_equal(read_log("GET /audit/events?limit=1"), 200);
    assert_int_equal(said_count(), 1);
    assert_problem(read_log("GET /audit/events?cursor=x"), 400, "bad-request");
    assert_problem(read_log("GET /audit/events?cursor=0"), 400, "bad-request");
    assert_problem(read_log("GET /audit/events?category=all"), 400, "bad-request");
}

/* Though each page is an event itself, no other event is shown twice or passed over. */
static void pages_follow_each_other(void **state)
{
    char what[1024] = "GET /api/v1/audit/events?actor=1&limit=7";
    size_t seen = 0;
    int64_t last = INT64_MAX;

    (void)state;
    add_many(TRAIL_LOGIN, "1", "session:a", 30);
    do {
        size_t count;

        assert_int_equal(ask(what, READER), 200);
        count = said_count();
        for (size_t i = 0; i < count; i++) {
            char path[32];
            int64_t seq;

            (void)snprintf(path, sizeof(path), "%zu.seq", i);
            assert_true(span_to_i64(said(path), &seq));
            assert_true(seq < last);
            last = seq;
        }
        seen += count;
        add_many(TRAIL_LOGIN, "1", "session:a", 3);
    } while (next_page(what));
    assert_int_equal(seen, 30);
    assert_int_equal(events("audit.read"), 5);
}

/* A filter that no index leads to looks at so many events and no further: the page may be empty,
 * and leads on. */
static void a_long_search_is_made_in_pages(void **state)
{
    char what[1024] = "GET /audit/events?outcome=refused";
    size_t pages = 0;
    size_t total = 0;

    (void)state;
    desk.service.rows_max = 5;
    add_refused(TRAIL_LOGIN, "3", "locked");
    add_many(TRAIL_LOGIN, "1", "session:a", 17);
    do {
        assert_int_equal(ask(what, READER), 200);
        total += said_count();
        assert_true(++pages < 20);
    } while (next_page(what));
    assert_int_equal(total, 1);
    assert_in_range(pages, 4, 6); /* that they are read are events too, behind where it began */
}

/* However many were asked for, a page stays below what a request may hold. */
static void a_large_page_ends_early(void **state)
{
    static char body[1000000];
    static char event[8200];
    struct sbuf out = sbuf_over(body, sizeof(body) - 1);
    char what[1024] = "GET /audit/events?source=scanner&limit=500";
    size_t seen = 0, pages = 0;

    (void)state;
    (void)snprintf(event, sizeof(event),
                   "{\"category\":\"security\",\"action\":\"a\",\"actor\":\"b\","
                   "\"metadata\":{\"a\":\"%08000d\"}}",
                   0);
    sbuf_add_lit(&out, "{\"events\":[");
    for (size_t i = 0; i < 110; i++) {
        sbuf_add_text(&out, i ? "," : "");
        sbuf_add_text(&out, event);
    }
    sbuf_add_lit(&out, "]}");
    body[out.len] = '\0';
    assert_int_equal(post("/audit/events/batch", body), 201);
    assert_int_equal(post("/audit/events/batch", body), 201);
    for (bool more = true; more; pages++) {
        char *read = alloc_raw(LARGE_BYTES); /* site_hear has less room */
        int fd = site_dial();
        size_t len = 0;

        assert_non_null(read);
        site_say(fd, what);
        site_say(fd, " HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer " READER
                     "\r\n\r\n");
        for (ssize_t got; (got = recv(fd, read + len, LARGE_BYTES - 1 - len, 0)) > 0;)
            len += (size_t)got;
        (void)close(fd);
        read[len] = '\0';
        assert_memory_equal(read, "HTTP/1.1 200", 12);
        for (const char *at = read; (at = strstr(at, "\"seq\":")) != NULL; at++)
            seen++;
        *strstr(read, "\r\n\r\n") = '\0';
        (void)snprintf(site.text, sizeof(site.text), "%s", read);
        more = next_page(what);
        alloc_free(read);
    }
    assert_int_equal(seen, 220);
    assert_int_equal(pages, 2);
}

/* ---- who may read -----------------------------------------------------------------------------
 */

static void reading_needs_its_scope(void **state)
{
    static const char *const paths[] = {"GET /audit/events",
                                        "GET /audit/events/0192a3b4-c5d6-7e8f-9a0b-1c2d3e4f5a6b",
                                        "GET /audit/stream", "GET /api/v1/audit/events"};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(paths); i++) {
        assert_int_equal(ask(paths[i], "u1.admin.admin+audit:write"), 403);
        assert_int_equal(ask(paths[i], "c1.robot.audit:write"), 403);
        assert_problem(ask(paths[i], "c1.robot.monitoring:read"), 403, "insufficient-scope");
        assert_int_equal(site_ask(paths[i], "", NULL), 401);
    }
    assert_int_equal(events("audit.read"), 0);
    assert_int_equal(events("access.denied"), 4 * PC_COUNT(paths));
}

static void reading_is_an_event(void **state)
{
    (void)state;
    add_many(TRAIL_LOGIN, "1", "session:a", 2);
    assert_int_equal(ask("GET /audit/events?actor=1&from=2020-01-01T00:00:00Z", "u5.auditor.audit:"
                                                                                "read"),
                     200);
    assert_int_equal(read_log("GET /audit/events?action=audit.read"), 200);
    assert_int_equal(said_count(), 1);
    assert_said("0.actor", "5");
    assert_said("0.actor_kind", "user");
    assert_said("0.source_service", "audit-service");
    assert_said("0.category", "compliance");
    assert_said("0.resource", "audit-log");
    assert_said("0.metadata", "{\"events\":\"2\",\"filters\":\"actor from\"}");
    assert_int_equal(read_log("GET /audit/events?action=audit.read&limit=1"), 200);
    assert_said("0.actor", "auditor");
    assert_said("0.actor_kind", "client");
    assert_said("0.client_id", "auditor");
}

/* Nothing is shown that nobody will know of. */
static void what_cannot_be_told_is_not_shown(void **state)
{
    bool shown = false;

    (void)state;
    add_many(TRAIL_LOGIN, "1", "session:a", 1);
    for (uint64_t nth = 1; nth < 60 && !shown; nth++) {
        int64_t told = events("audit.read");
        int status;

        store_fail_at(nth);
        status = read_log("GET /audit/events?actor=1");
        shown = store_fail_pending();
        store_fail_at(0);
        if (status != 200) {
            assert_int_equal(status, 503);
            assert_silent("session:a");
        }
        assert_int_equal(events("audit.read"), told + (status == 200));
    }
    assert_true(shown);
}

/* ---- one, and the stream ----------------------------------------------------------------------
 */

static void one_is_found_by_its_id(void **state)
{
    const char *id;

    (void)state;
    assert_int_equal(post("/audit/events", SMALL), 201);
    id = text_of(said("id"));
    assert_int_equal(read_log("GET /audit/events/%s", id), 200);
    assert_said("actor", "bob");
    assert_int_equal(events("audit.read"), 1);
    assert_problem(read_log("GET /audit/events/0192a3b4-c5d6-7e8f-9a0b-1c2d3e4f5a6b"), 404,
                   "not-found");
    assert_problem(read_log("GET /audit/events/1"), 400, "bad-request");
    assert_int_equal(events("audit.read"), 1);
}

static void the_stream_has_no_gap(void **state)
{
    char what[1024] = "GET /audit/stream?limit=10";
    int64_t next = 0;

    (void)state;
    add_many(TRAIL_LOGIN, "1", "session:a", 25);
    for (int page = 0; page < 5; page++) {
        size_t count;

        assert_int_equal(ask(what, READER), 200);
        assert_says("Vary: Accept");
        count = said_count();
        assert_int_equal(count, page < 2 ? 10 : page == 2 ? 7 : 1);
        for (size_t i = 0; i < count; i++) {
            char path[32], seq[24];

            (void)snprintf(path, sizeof(path), "%zu.seq", i);
            (void)snprintf(seq, sizeof(seq), "%lld", (long long)next++);
            assert_said(path, seq);
        }
        assert_true(next_page(what));
    }
    assert_string_equal(what, "GET /audit/stream?after=28&limit=10");
    assert_int_equal(read_log("GET /audit/stream?after=1000"), 200);
    assert_int_equal(said_count(), 0);
    assert_true(next_page(what));
    assert_string_equal(what, "GET /audit/stream?after=1000&limit=100");
    assert_problem(read_log("GET /audit/stream?limit=501"), 400, "bad-request");
    assert_problem(read_log("GET /audit/stream?after=-2"), 400, "bad-request");
}

static void the_stream_may_be_lines(void **state)
{
    struct span body, line;
    size_t lines = 0;

    (void)state;
    add_many(TRAIL_LOGIN, "1", "session:a", 3);
    assert_int_equal(ask_with("GET /audit/stream", READER, "Accept: application/x-ndjson\r\n"),
                     200);
    assert_says("Content-Type: application/x-ndjson\r\n");
    body = answer_body();
    for (; body.len > 0 && span_cut(&body, '\n', &line); lines++) {
        const struct json_value *value = NULL;

        assert_int_equal(json_read(line, &desk.arena, &value, NULL), ERR_OK);
        assert_true(json_is_object(value));
    }
    assert_int_equal(lines, 3);
    assert_int_equal(
        ask_with("GET /audit/stream", READER, "Accept: application/json, application/x-ndjson\r\n"),
        200);
    assert_says("Content-Type: application/json\r\n");
}

/* ---- what was erased --------------------------------------------------------------------------
 */

static const struct store_statement erase = {
    .name = "test_erase",
    .sqlite = "UPDATE trail_events SET actor = NULL, details = NULL, "
              "erased = CAST(x'"
              "000000000000000000000000000000000000000000000000000000000000000000"
              "050000000000000000000000000000000000000000000000000000000000000000"
              "830000000000000000000000000000000000000000000000000000000000000000' AS blob), "
              "seed = NULL WHERE seq = 0",
    .postgres = "UPDATE trail_events SET actor = NULL, details = NULL, "
                "erased = '\\x"
                "000000000000000000000000000000000000000000000000000000000000000000"
                "050000000000000000000000000000000000000000000000000000000000000000"
                "830000000000000000000000000000000000000000000000000000000000000000'::bytea, "
                "seed = NULL WHERE seq = 0"};

static void erased_fields_are_named(void **state)
{
    (void)state;
    assert_int_equal(
        post_as("/audit/events", "scanner", WRITER, "--header 'Idempotency-Key: e'", EVENT), 201);
    kit_exec(desk.store, &erase);
    assert_int_equal(read_log("GET /audit/events?source=scanner"), 200);
    assert_said("0.actor", "null");
    assert_said("0.metadata", "null");
    assert_said("0.resource", "report:1");
    assert_said("0.erased", "[\"actor\",\"metadata\"]");
    assert_int_equal(
        post_as("/audit/events", "scanner", WRITER, "--header 'Idempotency-Key: e'", EVENT), 201);
    assert_says("Idempotency-Replayed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DESK_TEST(filters_narrow_together),
        DESK_TEST(doubled_parameters_are_refused),
        DESK_TEST(sources_and_severities_are_filters),
        DESK_TEST(times_are_filters),
        DESK_TEST(limits_are_kept),
        DESK_TEST(pages_follow_each_other),
        DESK_TEST(a_long_search_is_made_in_pages),
        DESK_TEST(a_large_page_ends_early),
        DESK_TEST(reading_needs_its_scope),
        DESK_TEST(reading_is_an_event),
        DESK_TEST(what_cannot_be_told_is_not_shown),
        DESK_TEST(one_is_found_by_its_id),
        DESK_TEST(the_stream_has_no_gap),
        DESK_TEST(the_stream_may_be_lines),
        DESK_TEST(erased_fields_are_named),
    };

    return cmocka_run_group_tests_name("audit_read", tests, NULL, NULL);
}
