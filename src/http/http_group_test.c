/* SPDX-License-Identifier: MIT
 * Many requests in one commit: who is told success is in it, who is refused is not, and whatever
 * happens to the commit every request is answered once. Routes of the test's own. */
#include "http/http_test_kit.h"

#include <stdatomic.h>
#include <time.h>

enum { MANY = 100, FEW = 3, FAILURES_MAX = 40, BAD = 900, LARGE = 901, RETRIED = 902, KEPT = 903 };

/* ---- routes -----------------------------------------------------------------------------------
 */

struct step {
    int64_t n;
};
static const struct json_field step_fields[] = {
    {.name = "n", .kind = JSON_KIND_I64, .max = 100000, .offset = offsetof(struct step, n)}};
static const struct json_schema step_schema = {.name = "Step",
                                               .about = "What a test sends.",
                                               .fields = step_fields,
                                               .field_count = PC_COUNT(step_fields),
                                               .bytes = sizeof(struct step)};

static const struct store_statement table = {
    .name = "steps_table", .sqlite = "CREATE TABLE steps (n integer PRIMARY KEY) STRICT"};
static const struct store_statement insert = {.name = "steps_insert",
                                              .sqlite = "INSERT INTO steps (n) VALUES (?1)"};
static const struct store_statement empty = {.name = "steps_empty", .sqlite = "DELETE FROM steps"};
static const struct store_statement how_many = {
    .name = "steps_count", .sqlite = "SELECT count(*) FROM steps WHERE n BETWEEN ?1 AND ?2"};

static atomic_int runs, visits, largest, retries, finals;
static atomic_bool refused_before_visits;

/* What the run kept of the last answer that it looked at. */
static char kept_body[2048], kept_location[64];
static size_t kept_bytes;
static int kept_status;

static void count_final(struct http_request *req, enum err err)
{
    (void)req;
    (void)err;
    atomic_fetch_add(&finals, 1);
}

static enum err step_run(struct http_request *req)
{
    const struct step *step = req->body;
    char text[32];
    struct sbuf location = sbuf_over(text, sizeof(text));
    enum err err;

    atomic_fetch_add(&visits, 1);
    if (step->n == 0)
        return http_fail(req, ERR_CONFLICT, "Zero is taken.");
    if (step->n == BAD)
        return http_fail(req, ERR_INTERNAL, "It broke.");
    err = store_exec(req->store, &insert, STORE_PARAMS(STORE_I64(step->n)), NULL);
    if (err)
        return err;
    if (step->n == RETRIED && atomic_load(&retries) == 0) /* in the run that will be undone */
        http_finally(req, count_final);
    sbuf_add_format(&location, "/steps/%lld", (long long)step->n);
    http_reply_header(req, "Location", sbuf_span(&location));
    if (step->n == LARGE) {
        static char value[12000];

        memset(value, 'x', sizeof(value));
        http_reply_header(req, "X-Long", span_make(value, sizeof(value)));
    }
    return http_reply(req, step);
}

static void keep(const struct http_request *req)
{
    struct http_answer answer = http_answer_of(req);

    PC_ASSERT(answer.body.len < sizeof(kept_body) && answer.location.len < sizeof(kept_location));
    kept_status = answer.status;
    kept_bytes = answer.body.len;
    memcpy(kept_body, answer.body.ptr, answer.body.len);
    (void)snprintf(kept_location, sizeof(kept_location), "%.*s", SPAN_ARG(answer.location));
}

/* A refusal stays with its request; whatever else goes wrong is everybody's. */
static enum err visit(struct http_request *req)
{
    const struct step *step = req->body;
    enum err err = http_visit(req, step_run);

    if (err_status(err) >= 500)
        return err;
    if (step->n == KEPT || step->n == 0) {
        http_settle(req, err);
        keep(req);
    }
    return step->n == RETRIED && atomic_fetch_add(&retries, 1) == 0 ? ERR_STORE_RETRY : ERR_OK;
}

static enum err steps_run(const struct http_group *group, struct store_conn *conn,
                          struct http_request *const *requests, size_t count)
{
    enum err err = ERR_OK;

    (void)group;
    PC_ASSERT(conn == requests[0]->store);
    atomic_fetch_add(&runs, 1);
    if ((int)count > atomic_load(&largest))
        atomic_store(&largest, (int)count);
    if (atomic_load(&refused_before_visits) && atomic_load(&runs) > 1)
        return ERR_NO_SPACE;
    for (size_t i = 0; i < count && !err; i++)
        err = visit(requests[i]);
    if (!err && atomic_load(&refused_before_visits))
        return ERR_STORE_RETRY;
    return err;
}

static const struct http_group steps = {.name = "steps", .run = steps_run};
static const struct http_group other_steps = {.name = "other", .run = steps_run};

static enum err step_create(struct http_request *req)
{
    return http_hop_together(req, &steps, 1);
}

static enum err other_create(struct http_request *req)
{
    return http_hop_together(req, &other_steps, 1);
}

/* What was kept, as if it came from the store. */
static enum err step_again(struct http_request *req)
{
    const struct http_answer answer = {.status = kept_status,
                                       .content_type = SPAN("application/json"),
                                       .location = span_from(kept_location),
                                       .body = span_make(kept_body, kept_bytes)};

    http_reply_header(req, "X-Said-Before", SPAN_OF("1"));
    return http_answer_again(req, &answer);
}

/* Behind the commit, at another stop. */
static enum err last(struct http_request *req)
{
    return http_reply_text(req, 200, "text/plain", SPAN_OF("last"));
}

static enum err go_on_run(struct http_request *req)
{
    return http_hop(req, HTTP_RUN_HASH, last);
}

static enum err go_on_steps(const struct http_group *group, struct store_conn *conn,
                            struct http_request *const *requests, size_t count)
{
    (void)group, (void)conn;
    for (size_t i = 0; i < count; i++) {
        enum err err = http_visit(requests[i], go_on_run);

        if (err)
            return err;
    }
    return ERR_OK;
}
static const struct http_group go_on_group = {.name = "go on", .run = go_on_steps};

static enum err go_on(struct http_request *req)
{
    return http_hop_together(req, &go_on_group, 1);
}

#define ROW                                                                                        \
    .method = NET_METHOD_POST, .access = HTTP_ACCESS_OPEN, .body = &step_schema,                   \
    .reply = &step_schema, .reply_status = 201

static const struct http_route routes[] = {
    {ROW, .path = "/steps", .handle = step_create, .id = "step"},
    {ROW, .path = "/others", .handle = other_create, .id = "other"},
    {ROW, .path = "/again", .handle = step_again, .id = "again"},
    {ROW, .path = "/on", .handle = go_on, .id = "on"},
    {.path = NULL},
};
static const struct http_mount mounts[] = {{.rows = routes}};
static const struct http_service_options options = {.mounts = mounts, .mount_count = 1};

/* ---- the writer, held and let go --------------------------------------------------------------
 */

static atomic_bool held;
static atomic_bool holding;

static void pause_ms(long ms)
{
    const struct timespec wait = {.tv_nsec = ms * 1000000L};

    (void)nanosleep(&wait, NULL);
}

static enum err hold_run(struct store_conn *conn, struct store_job *job)
{
    (void)conn, (void)job;
    atomic_store(&holding, true);
    while (atomic_load(&held))
        pause_ms(1);
    return ERR_OK;
}

static void hold_done(struct store_job *job)
{
    (void)job;
    atomic_store(&holding, false);
}

static struct store_job hold_job;

static void hold_writer(void)
{
    hold_job = (struct store_job){.run = hold_run, .done = hold_done};
    atomic_store(&held, true);
    assert_int_equal(store_write(site.store, &hold_job), ERR_OK);
    while (!atomic_load(&holding))
        pause_ms(1);
}

/* When that many wait. */
static void let_writer_go(size_t waiting)
{
    struct store_stats stats;

    do {
        pause_ms(1);
        store_stats(site.store, &stats);
    } while (stats.writes_queued < waiting);
    atomic_store(&held, false);
    while (atomic_load(&holding))
        pause_ms(1);
}

/* The store lies: what became of the commit is not known. */
static atomic_bool lie;
enum err __real_store_write(struct store *store, struct store_job *job);
enum err __wrap_store_write(struct store *store, struct store_job *job);
enum err __wrap_store_write(struct store *store, struct store_job *job)
{
    if (job->together == NULL || !atomic_load(&lie))
        return __real_store_write(store, job);
    job->err = ERR_STORE_UNAVAILABLE;
    job->unknown = true;
    job->done(job);
    return ERR_OK;
}

/* ---- a client ---------------------------------------------------------------------------------
 */

static int ask(const char *path, int n)
{
    char text[256];
    char body[32];
    int fd = site_dial();
    int len = snprintf(body, sizeof(body), "{\"n\":%d}", n);

    (void)snprintf(text, sizeof(text),
                   "POST %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                   "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                   path, len, body);
    site_say(fd, text);
    return fd;
}

static const char *body_of_answer(void)
{
    const char *end = strstr(site.text, "\r\n\r\n");

    assert_non_null(end);
    return end + 4;
}

struct count {
    int64_t from, to, found;
};

static enum err count_run(struct store_conn *conn, struct store_job *job)
{
    struct count *count = job->context;
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &how_many,
                               STORE_PARAMS(STORE_I64(count->from), STORE_I64(count->to)), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    count->found = store_rows_i64(rows, 0);
    return store_rows_err(rows);
}

static int64_t written(int64_t from, int64_t to)
{
    struct count count = {.from = from, .to = to};

    assert_int_equal(store_do(site.store, count_run, &count, false), ERR_OK);
    return count.found;
}

static enum err exec_run(struct store_conn *conn, struct store_job *job)
{
    return store_exec(conn, job->context, NULL, 0, NULL);
}

static void execute(const struct store_statement *statement)
{
    assert_int_equal(store_do(site.store, exec_run, (void *)(uintptr_t)statement, true), ERR_OK);
}

static int start(void **state)
{
    (void)state;
    if (site_start(&options, (struct http_engine_options){0}) != 0)
        return -1;
    execute(&table);
    return 0;
}

static int begin(void **state)
{
    (void)state;
    execute(&empty);
    atomic_store(&runs, 0);
    atomic_store(&visits, 0);
    atomic_store(&largest, 0);
    atomic_store(&retries, 0);
    atomic_store(&refused_before_visits, false);
    return 0;
}

/* ---- tests ------------------------------------------------------------------------------------
 */

/* Whoever waits at the same moment is in the same commit. */
static void many_are_one_commit(void **state)
{
    int fds[MANY];
    struct store_stats before, after;

    (void)state;
    hold_writer();
    store_stats(site.store, &before);
    for (int i = 0; i < MANY; i++)
        fds[i] = ask("/steps", i + 1);
    let_writer_go(MANY);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(site_hear(fds[i]), 201);
    assert_says("Location: /steps/100\r\n");
    store_stats(site.store, &after);
    assert_int_equal(atomic_load(&runs), 1);
    assert_int_equal(atomic_load(&largest), MANY);
    assert_int_equal(after.commits - before.commits, 2); /* with the one that was held */
    assert_int_equal(written(1, MANY), MANY);
}

/* Groups do not mix. */
static void other_groups_have_their_own(void **state)
{
    int fds[4];

    (void)state;
    hold_writer();
    for (int i = 0; i < 4; i++)
        fds[i] = ask(i % 2 ? "/steps" : "/others", i + 1);
    let_writer_go(4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(site_hear(fds[i]), 201);
    assert_int_equal(atomic_load(&runs), 2);
    assert_int_equal(atomic_load(&largest), 2);
}

/* A refusal is its own request's answer; the others are done. */
static void a_refusal_disturbs_nobody(void **state)
{
    int fds[FEW];

    (void)state;
    hold_writer();
    for (int i = 0; i < FEW; i++)
        fds[i] = ask("/steps", i == 1 ? 0 : i + 1);
    let_writer_go(FEW);
    assert_int_equal(site_hear(fds[0]), 201);
    assert_int_equal(site_hear(fds[1]), 409);
    assert_says("Zero is taken.");
    assert_int_equal(site_hear(fds[2]), 201);
    assert_int_equal(atomic_load(&runs), 1);
    assert_int_equal(written(0, FEW), 2);
}

/* What breaks the commit is undone with all of it; each comes again alone, and only the broken one
 * fails. */
static void a_fault_is_its_own(void **state)
{
    static const int faults[] = {BAD, LARGE};

    for (size_t f = 0; f < PC_COUNT(faults); f++) {
        int fds[FEW];

        (void)begin(state);
        hold_writer();
        for (int i = 0; i < FEW; i++)
            fds[i] = ask("/steps", i == 1 ? faults[f] : i + 1);
        let_writer_go(FEW);
        assert_int_equal(site_hear(fds[0]), 201);
        assert_int_equal(site_hear(fds[1]), 500);
        assert_silent("Location: ");
        assert_int_equal(site_hear(fds[2]), 201);
        assert_int_equal(atomic_load(&runs), 1 + FEW);
        assert_int_equal(written(0, 1000), 2);
    }
}

/* A lost transaction is run again; the answer is given once. */
static void what_is_rolled_back_answers_once(void **state)
{
    int fds[FEW];

    (void)state;
    hold_writer();
    for (int i = 0; i < FEW; i++)
        fds[i] = ask("/steps", i == 1 ? RETRIED : i + 1);
    let_writer_go(FEW);
    for (int i = 0; i < FEW; i++) {
        assert_int_equal(site_hear(fds[i]), 201);
        assert_null(strstr(body_of_answer(), "HTTP/1.1"));
    }
    assert_true(atomic_load(&runs) > 1);
    assert_int_equal(written(1, 1000), FEW);
    assert_int_equal(atomic_load(&finals), 0);
}

/* Whatever store call fails: who is told success is there, and who is not told is not. */
static void any_store_failure_is_told(void **state)
{
    int failed = 0;

    for (uint64_t nth = 1; nth <= FAILURES_MAX; nth++) {
        int fds[FEW];
        int status[FEW];
        int told = 0;
        bool pending;

        (void)begin(state);
        hold_writer();
        for (int i = 0; i < FEW; i++)
            fds[i] = ask("/steps", i + 1);
        store_fail_at(nth);
        let_writer_go(FEW);
        for (int i = 0; i < FEW; i++) {
            status[i] = site_hear(fds[i]);
            assert_true(status[i] == 201 || status[i] == 503);
            if (status[i] == 503)
                assert_silent("Location: ");
            told += status[i] == 201;
        }
        pending = store_fail_pending();
        store_fail_at(0);
        for (int i = 0; i < FEW; i++)
            assert_int_equal(written(i + 1, i + 1), status[i] == 201);
        failed += told < FEW;
        if (pending)
            break;
        assert_true(nth < FAILURES_MAX);
    }
    assert_true(failed > 0);
}

/* What an earlier visit said is void when a later run fails before it comes to visit. */
static void what_was_undone_is_not_said(void **state)
{
    int fd;

    (void)state;
    atomic_store(&refused_before_visits, true);
    fd = ask("/steps", 5);
    assert_int_equal(site_hear(fd), 500);
    assert_silent("Location: ");
    assert_silent("/steps/5");
    assert_int_equal(written(5, 5), 0);
}

/* Who went away is served like the others. */
static void a_client_may_be_gone(void **state)
{
    int fds[FEW];

    (void)state;
    hold_writer();
    for (int i = 0; i < FEW; i++)
        fds[i] = ask("/steps", i + 1);
    let_writer_go(0);
    (void)begin(state);
    for (int i = 0; i < FEW; i++)
        (void)site_hear(fds[i]);
    hold_writer();
    for (int i = 0; i < FEW; i++)
        fds[i] = ask("/steps", i + 11);
    pause_ms(20);
    (void)close(fds[1]);
    let_writer_go(FEW);
    assert_int_equal(site_hear(fds[0]), 201);
    assert_int_equal(site_hear(fds[2]), 201);
    assert_int_equal(written(11, 13), FEW);
}

/* The bytes that were kept are those that were sent, of a problem too; and they are sent again. */
static void what_was_kept_is_what_was_sent(void **state)
{
    (void)state;
    assert_int_equal(site_hear(ask("/steps", KEPT)), 201);
    assert_int_equal(kept_status, 201);
    assert_string_equal(kept_location, "/steps/903");
    assert_int_equal(strlen(body_of_answer()), kept_bytes);
    assert_memory_equal(body_of_answer(), kept_body, kept_bytes);
    assert_int_equal(site_hear(ask("/again", 1)), 201);
    assert_says("Idempotency-Replayed: true\r\n");
    assert_says("Location: /steps/903\r\n");
    assert_silent("X-Said-Before");
    assert_string_equal(body_of_answer(), "{\"n\":903}");

    assert_int_equal(site_hear(ask("/steps", 0)), 409);
    assert_says("application/problem+json");
    assert_int_equal(kept_status, 409);
    assert_int_equal(strlen(body_of_answer()), kept_bytes);
    assert_memory_equal(body_of_answer(), kept_body, kept_bytes);
}

/* Nobody knows: the client is told just that, and when to ask again. */
static void an_unknown_outcome_is_told(void **state)
{
    (void)state;
    atomic_store(&lie, true);
    assert_int_equal(site_hear(ask("/steps", 7)), 503);
    atomic_store(&lie, false);
    assert_says("urn:portcullis:problem:outcome-unknown");
    assert_says("Retry-After: 1\r\n");
}

static void another_stop_may_follow(void **state)
{
    (void)state;
    assert_int_equal(site_hear(ask("/on", 7)), 200);
    assert_string_equal(body_of_answer(), "last");
}

static void roles_are_words(void **state)
{
    const struct http_principal principal = {.roles = SPAN("customer payments")};
    const struct http_principal nobody = {0};

    (void)state;
    assert_true(http_has_role(&principal, "customer"));
    assert_true(http_has_role(&principal, "payments"));
    assert_false(http_has_role(&principal, "payment"));
    assert_false(http_has_role(&principal, "customer payments"));
    assert_false(http_has_role(&nobody, "customer"));
    assert_false(http_has_role(&nobody, ""));
}

#define GROUP_TEST(function) cmocka_unit_test_setup(function, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        GROUP_TEST(many_are_one_commit),
        GROUP_TEST(other_groups_have_their_own),
        GROUP_TEST(a_refusal_disturbs_nobody),
        GROUP_TEST(a_fault_is_its_own),
        GROUP_TEST(what_is_rolled_back_answers_once),
        GROUP_TEST(any_store_failure_is_told),
        GROUP_TEST(what_was_undone_is_not_said),
        GROUP_TEST(a_client_may_be_gone),
        GROUP_TEST(what_was_kept_is_what_was_sent),
        GROUP_TEST(an_unknown_outcome_is_told),
        GROUP_TEST(another_stop_may_follow),
        GROUP_TEST(roles_are_words),
    };

    return cmocka_run_group_tests_name("group", tests, start, site_stop);
}
