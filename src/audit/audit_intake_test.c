/* SPDX-License-Identifier: MIT
 * Events that come in: from whom, in what form, once however often they are sent, many in one
 * commit, and without card data. */
#include "audit/audit_test_kit.h"

static void an_event_is_kept(void **state)
{
    const char *id;

    (void)state;
    assert_int_equal(post("/audit/events", EVENT), 201);
    id = text_of(said("id"));
    assert_int_equal(strlen(id), 36);
    assert_said("created_at", "2027-01-15T08:00:00.000000Z");
    assert_int_equal(read_log("GET /audit/events/%s", id), 200);
    assert_said("id", id);
    assert_said("seq", "0");
    assert_said("created_at", "2027-01-15T08:00:00.000000Z");
    assert_said("category", "compliance");
    assert_said("action", "report.filed");
    assert_said("actor", "ann");
    assert_said("actor_kind", "unknown");
    assert_said("principal", "team");
    assert_said("resource", "report:1");
    assert_said("severity", "warning");
    assert_said("outcome", "done");
    assert_said("reason", "null");
    assert_said("source_service", "scanner");
    assert_said("metadata", "{\"pages\":12}");
    assert_said("compliance_tags", "[\"sox\",\"gdpr\"]");
    assert_said("client_id", "robot");
    assert_said("address", "127.0.0.1");
    assert_said("erased", "");
}

static void what_is_left_out_is_usual(void **state)
{
    (void)state;
    assert_int_equal(post("/audit/events", SMALL), 201);
    assert_int_equal(read_log("GET /audit/events?actor=bob"), 200);
    assert_int_equal(said_count(), 1);
    assert_said("0.severity", "info");
    assert_said("0.outcome", "done");
    assert_said("0.metadata", "{}");
    assert_said("0.compliance_tags", "[]");
    assert_said("0.principal", "null");
    assert_said("0.resource", "null");
}

/* The certificate says who it is; a header says nothing. */
static void the_certificate_is_who_writes(void **state)
{
    (void)state;
    assert_problem(post_as("/audit/events", NULL, WRITER, "", SMALL), 403, "client-certificate");
    assert_problem(
        post_as("/audit/events", NULL, WRITER, "--header 'x-mtls-client-cn: scanner'", SMALL), 403,
        "client-certificate");
    assert_int_equal(events("seen"), 0);
    assert_int_equal(events("access.denied"), 2);
    assert_int_equal(
        post_as("/audit/events", "other", WRITER, "--header 'x-mtls-client-cn: scanner'", SMALL),
        201);
    assert_int_equal(read_log("GET /audit/events?source=other"), 200);
    assert_int_equal(said_count(), 1);
    assert_said("0.action", "seen");
}

static void the_scope_is_asked_for_too(void **state)
{
    (void)state;
    assert_problem(post_as("/audit/events", "scanner", "c3.robot.audit:read", "", SMALL), 403,
                   "insufficient-scope");
    assert_problem(post_as("/audit/events", "scanner", "u1.admin.admin", "", SMALL), 403,
                   "insufficient-scope");
    assert_problem(post_as("/audit/events", "scanner", "nobody", "", SMALL), 401, "invalid-token");
    assert_int_equal(events("seen"), 0);
}

#define SAYS(members) "{\"category\":\"security\",\"action\":\"a\",\"actor\":\"b\"," members "}"

static void what_is_odd_is_refused(void **state)
{
    static const struct {
        const char *body, *field;
    } odd[] = {
        {"{\"category\":\"security\",\"action\":\"a\"}", "actor"},
        {"{\"category\":\"security\",\"actor\":\"a\"}", "action"},
        {"{\"category\":\"Security\",\"action\":\"a\",\"actor\":\"b\"}", "category"},
        {"{\"action\":\"a\",\"actor\":\"b\"}", "category"},
        {SAYS("\"severity\":\"fatal\""), "severity"},
        {SAYS("\"outcome\":\"maybe\""), "outcome"},
        {SAYS("\"metadata\":[1]"), "metadata"},
        {SAYS("\"metadata\":\"x\""), "metadata"},
        {SAYS("\"metadata\":{\"a\":[[[[[[[[1]]]]]]]]}"), "metadata"},
        {SAYS("\"metadata\":{\"4111111111111111\":1}"), "metadata"},
        {SAYS("\"compliance_tags\":\"sox\""), "compliance_tags"},
        {SAYS("\"compliance_tags\":[\"\"]"), "compliance_tags[0]"},
        {SAYS("\"compliance_tags\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]"),
         "compliance_tags"},
        {"{\"category\":\"security\",\"action\":\"\",\"actor\":\"b\"}", "action"},
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(odd); i++) {
        assert_problem(post("/audit/events", odd[i].body), 422, "validation-failed");
        assert_said("errors.0.field", odd[i].field);
    }
    assert_int_equal(events(""), 0);
    assert_problem(post("/audit/events", "{\"a\":"), 400, "malformed-json");
}

static void sizes_are_bounded(void **state)
{
    static char body[70000];

    (void)state;
    (void)snprintf(body, sizeof(body), SAYS("\"metadata\":{\"a\":\"%08200d\"}"), 0);
    assert_problem(post("/audit/events", body), 422, "validation-failed");
    assert_said("errors.0.message", "must be 2 to 8192 bytes");
    (void)snprintf(body, sizeof(body), SAYS("\"resource\":\"%0129d\""), 0);
    assert_problem(post("/audit/events", body), 422, "validation-failed");
    (void)snprintf(body, sizeof(body), SAYS("\"x\":\"%066000d\""), 0);
    assert_problem(post("/audit/events", body), 413, "body-too-large");
}

/* Sixteen tags of the longest may be too long together, however they are counted. */
static void tags_are_bounded_together(void **state)
{
    char body[8192] = "";
    struct sbuf out = sbuf_over(body, sizeof(body) - 1);

    (void)state;
    sbuf_add_lit(&out, "{\"events\":[" SMALL "," SAYS("\"compliance_tags\":["));
    sbuf_truncate(&out, out.len - 1); /* the brace behind the list's beginning */
    for (size_t i = 0; i < 16; i++) {
        sbuf_add_text(&out, i ? ",\"" : "\"");
        for (size_t k = 0; k < 64; k++)
            sbuf_add_text(&out, "\\u20ac");
        sbuf_add_text(&out, "\"");
    }
    sbuf_add_text(&out, "]}]}");
    assert_problem(post("/audit/events/batch", body), 422, "validation-failed");
    assert_said("errors.0.field", "events[1].compliance_tags");
    assert_int_equal(events(""), 0);
}

static void card_data_is_masked_before_it_is_kept(void **state)
{
    (void)state;
    assert_int_equal(
        post("/audit/events",
             "{\"category\":\"security\",\"action\":\"a 4111111111111111\","
             "\"actor\":\"4111 1111 1111 1111\",\"principal\":\"5555555555554444\","
             "\"resource\":\"DE89370400440532013000\",\"reason\":\"378282246310005\","
             "\"metadata\":{\"deep\":[{\"pan\":\"4111111111111111\",\"n\":4111111111111111,"
             "\"cvv\":\"123\"}]},\"compliance_tags\":[\"4111111111111111\"]}"),
        201);
    assert_int_equal(read_log("GET /audit/events?category=security"), 200);
    assert_said("0.action", "a ************1111");
    assert_said("0.actor", "**** **** **** 1111");
    assert_said("0.principal", "************4444");
    assert_said("0.resource", "DE****************3000");
    assert_said("0.metadata", "{\"deep\":[{\"pan\":\"************1111\",\"n\":"
                              "\"************1111\",\"cvv\":\"***\"}]}");
    assert_said("0.compliance_tags", "[\"************1111\"]");
    assert_silent("4111111111111111");
    assert_silent("378282246310005");
}

/* ---- batches ----------------------------------------------------------------------------------
 */

static void a_batch_is_kept_in_its_order(void **state)
{
    (void)state;
    assert_int_equal(post("/audit/events/batch", "{\"events\":[" EVENT "," SMALL "," EVENT "]}"),
                     201);
    assert_said("events.2.created_at", "2027-01-15T08:00:00.000000Z");
    assert_said("events.3", "");
    assert_int_equal(read_log("GET /audit/stream"), 200);
    assert_int_equal(said_count(), 3);
    assert_said("0.action", "report.filed");
    assert_said("1.action", "seen");
    assert_said("1.seq", "1");
    assert_said("2.seq", "2");
}

static void a_batch_is_whole_or_not_at_all(void **state)
{
    (void)state;
    assert_problem(post("/audit/events/batch", "{\"events\":[" SMALL ",{\"action\":\"a\"}]}"), 422,
                   "validation-failed");
    assert_said("errors.0.field", "events[1].category");
    assert_problem(post("/audit/events/batch", "{\"events\":[]}"), 422, "validation-failed");
    assert_int_equal(events(""), 0);
}

static void a_batch_may_be_a_thousand(void **state)
{
    static char body[512 * 1024];
    struct sbuf out = sbuf_over(body, sizeof(body) - 1);

    (void)state;
    sbuf_add_lit(&out, "{\"events\":[");
    for (size_t i = 0; i < 1000; i++)
        sbuf_add_text(&out, i ? "," EVENT : EVENT);
    sbuf_add_lit(&out, "]}");
    body[out.len] = '\0';
    assert_int_equal(post("/audit/events/batch", body), 201);
    assert_int_equal(events("report.filed"), 1000);
    sbuf_truncate(&out, out.len - 2);
    sbuf_add_lit(&out, "," SMALL "]}");
    body[out.len] = '\0';
    assert_problem(post("/audit/events/batch", body), 422, "validation-failed");
    assert_int_equal(events("seen"), 0);
}

/* ---- the same again ---------------------------------------------------------------------------
 */

#define KEY(key) "--header 'Idempotency-Key: " key "'"

static void a_key_is_answered_as_before(void **state)
{
    const char *first, *id;

    (void)state;
    assert_int_equal(post_as("/audit/events", "scanner", WRITER, KEY("k1"), EVENT), 201);
    assert_silent("Idempotency-Replayed");
    first = text_of(answer_body());
    id = text_of(said("id"));
    clock_fake_move(&desk.clock, CLOCK_NS_PER_S);
    assert_int_equal(post_as("/audit/events", "scanner", WRITER, KEY("k1"), EVENT), 201);
    assert_says("Idempotency-Replayed: true");
    assert_string_equal(text_of(answer_body()), first);
    assert_int_equal(events("report.filed"), 1);
    assert_int_equal(post_as("/audit/events", "other", WRITER, KEY("k1"), EVENT), 201);
    assert_false(span_is(said("id"), id)); /* each source has keys of its own */
    assert_int_equal(post_as("/audit/events", "scanner", WRITER, KEY("k2"), EVENT), 201);
    assert_int_equal(events("report.filed"), 3);
}

static void a_key_is_for_one_event(void **state)
{
    (void)state;
    assert_int_equal(post_as("/audit/events", "scanner", WRITER, KEY("k1"), EVENT), 201);
    assert_problem(post_as("/audit/events", "scanner", WRITER, KEY("k1"), SMALL), 422,
                   "idempotency-key-reused");
    assert_int_equal(events("seen"), 0);
    assert_int_equal(events("audit.refused"), 1);
    assert_problem(post_as("/audit/events", "scanner", WRITER, KEY("a b"), SMALL), 422,
                   "validation-failed");
}

static void a_batch_has_one_key(void **state)
{
    const char *first;

    (void)state;
    assert_int_equal(post_as("/audit/events/batch", "scanner", WRITER, KEY("b"),
                             "{\"events\":[" EVENT "," SMALL "]}"),
                     201);
    first = text_of(answer_body());
    assert_int_equal(post_as("/audit/events/batch", "scanner", WRITER, KEY("b"),
                             "{\"events\":[" EVENT "," SMALL "]}"),
                     201);
    assert_string_equal(text_of(answer_body()), first);
    assert_problem(post_as("/audit/events/batch", "scanner", WRITER, KEY("b"),
                           "{\"events\":[" EVENT "," EVENT "]}"),
                   422, "idempotency-key-reused");
    assert_said("errors.0.field", "events[1]");
    assert_problem(post_as("/audit/events/batch", "scanner", WRITER, KEY("b"),
                           "{\"events\":[" EVENT "," SMALL "," SMALL "]}"),
                   422, "idempotency-key-reused");
    assert_problem(
        post_as("/audit/events/batch", "scanner", WRITER, KEY("b"), "{\"events\":[" EVENT "]}"),
        422, "idempotency-key-reused");
    assert_int_equal(events("seen"), 1);
}

/* What the log does not take of a text as it is, is still the same text. */
static void odd_texts_are_the_same_again(void **state)
{
    static const char body[] = "{\"category\":\"security\",\"action\":\"a\\nb\\u202ec\","
                               "\"actor\":\"4111111111111111\",\"metadata\":{ \"a\":\n1}}";

    (void)state;
    assert_int_equal(post_as("/audit/events", "scanner", WRITER, KEY("odd"), body), 201);
    assert_int_equal(post_as("/audit/events", "scanner", WRITER, KEY("odd"), body), 201);
    assert_says("Idempotency-Replayed: true");
    assert_int_equal(events(""), 1);
}

/* ---- many at once -----------------------------------------------------------------------------
 */

/* One key, many times at once: one event, and every answer is that of the first or "running". */
static void a_key_at_once_is_one_event(void **state)
{
    enum { TIMES = 8 };
    FILE *pipes[TIMES];
    size_t good = 0;

    (void)state;
    for (size_t i = 0; i < TIMES; i++)
        pipes[i] = post_begin("/audit/events", "scanner", WRITER, KEY("once"), SMALL);
    for (size_t i = 0; i < TIMES; i++) {
        int status = post_end(pipes[i]);

        assert_true(status == 201 || status == 409);
        good += status == 201;
    }
    assert_true(good > 0);
    assert_int_equal(events("seen"), 1);
}

/* The n-th call to the store fails: what is answered with 201 is there, and nothing else. */
static void a_failing_store_keeps_its_word(void **state)
{
    int64_t kept = 0;

    (void)state;
    for (uint64_t nth = 1; nth <= 40; nth++) {
        int status;

        store_fail_at(nth);
        status = post_as("/audit/events/batch", "scanner", WRITER, "",
                         "{\"events\":[" SMALL "," SMALL "]}");
        store_fail_at(0);
        kit_heal(desk.store);
        if (status == 201)
            kept += 2;
        else
            assert_int_equal(status, 503);
        assert_int_equal(events("seen"), kept);
    }
    assert_true(kept > 0);
}

/* ---- how much ---------------------------------------------------------------------------------
 */

static const char *batch_of(size_t count)
{
    static char body[200000];
    size_t len = (size_t)snprintf(body, sizeof(body), "{\"events\":[");

    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(body + len, sizeof(body) - len, "%s" SMALL, i > 0 ? "," : "");
    (void)snprintf(body + len, sizeof(body) - len, "]}");
    return body;
}

static int setup_poor(void **state)
{
    return desk_setup_limited(state, 30);
}

/* A request costs what it brings, so that no writer fills the log's disk within its limit. */
static void a_writer_pays_for_each_event(void **state)
{
    static char large[9000];

    (void)state;
    assert_int_equal(post("/audit/events/batch", batch_of(20)), 201);
    assert_problem(post("/audit/events/batch", batch_of(11)), 429, "rate-limited");
    assert_says("Retry-After: 2\r\n");
    assert_int_equal(events("seen"), 20);
    assert_int_equal(post("/audit/events", SMALL), 201);
    assert_int_equal(
        post_as("/audit/events/batch", "scanner", "c4.other.audit:write", "", batch_of(20)),
        201); /* another's bucket */
    (void)snprintf(large, sizeof(large), SAYS("\"metadata\":{\"a\":\"%08000d\"}"), 0);
    assert_int_equal(post("/audit/events", large), 201);
    assert_int_equal(post("/audit/events", SMALL), 201);
    assert_int_equal(post("/audit/events", SMALL), 201);
    assert_problem(post("/audit/events", SMALL), 429, "rate-limited"); /* 20 + 1 + 7 + 1 + 1 */
    clock_fake_move(&desk.clock, 60 * CLOCK_NS_PER_S);
    assert_int_equal(post("/audit/events/batch", batch_of(30)), 201);
    assert_problem(post("/audit/events/batch", batch_of(31)), 429, "rate-limited");
}

/* ---- who and what is taken for something else -------------------------------------------------
 */

static void our_own_names_are_nobody_elses(void **state)
{
    (void)state;
    assert_problem(post_as("/audit/events", "auth-service", WRITER, "",
                           "{\"category\":\"security\",\"action\":\"user.login\","
                           "\"actor\":\"admin\"}"),
                   403, "client-certificate");
    assert_says("a service of this program");
    assert_problem(post_as("/audit/events/batch", "auth-service", WRITER, "", batch_of(2)), 403,
                   "client-certificate");
    assert_int_equal(events("user.login"), 0);
    assert_int_equal(events("seen"), 0);
    assert_true(trail_is_own_source(SPAN_OF("Portcullis")));
    assert_false(trail_is_own_source(SPAN_OF("scanner")));
}

/* U+2028, U+0085 and U+202E end lines and turn texts around in who reads the log; the event says
 * the same with them escaped, and comes again under its key as the same. */
static void what_moves_a_line_is_escaped(void **state)
{
    static const char body[] =
        SAYS("\"metadata\":{\"a\xE2\x80\xA8z\":\"x\xC2\x85y\xE2\x80\xAE\xC3\xA9\"},"
             "\"compliance_tags\":[\"s\xE2\x80\xA9x\"]");

    (void)state;
    assert_int_equal(
        post_as("/audit/events", "scanner", WRITER, "--header 'Idempotency-Key: once'", body), 201);
    assert_int_equal(ask_with("GET /audit/stream", READER, "Accept: application/x-ndjson\r\n"),
                     200);
    assert_silent("\xE2\x80");
    assert_silent("\xC2\x85");
    assert_says("u2028z");
    assert_says("u0085y");
    assert_says("u202e\xC3\xA9");
    assert_says("u2029x");
    assert_int_equal(
        post_as("/audit/events", "scanner", WRITER, "--header 'Idempotency-Key: once'", body), 201);
    assert_says("Idempotency-Replayed: true");
    assert_int_equal(read_log("GET /audit/events?tag=s%%E2%%80%%A9x"), 200);
    assert_int_equal(said_count(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DESK_TEST(an_event_is_kept),
        DESK_TEST(what_is_left_out_is_usual),
        DESK_TEST(the_certificate_is_who_writes),
        DESK_TEST(the_scope_is_asked_for_too),
        DESK_TEST(what_is_odd_is_refused),
        DESK_TEST(sizes_are_bounded),
        DESK_TEST(tags_are_bounded_together),
        DESK_TEST(card_data_is_masked_before_it_is_kept),
        DESK_TEST(a_batch_is_kept_in_its_order),
        DESK_TEST(a_batch_is_whole_or_not_at_all),
        DESK_TEST(a_batch_may_be_a_thousand),
        DESK_TEST(a_key_is_answered_as_before),
        DESK_TEST(a_key_is_for_one_event),
        DESK_TEST(a_batch_has_one_key),
        DESK_TEST(odd_texts_are_the_same_again),
        DESK_TEST(a_key_at_once_is_one_event),
        DESK_TEST(a_failing_store_keeps_its_word),
        cmocka_unit_test_setup_teardown(a_writer_pays_for_each_event, setup_poor, desk_teardown),
        DESK_TEST(our_own_names_are_nobody_elses),
        DESK_TEST(what_moves_a_line_is_escaped),
    };

    return cmocka_run_group_tests_name("audit_intake", tests, NULL, NULL);
}
