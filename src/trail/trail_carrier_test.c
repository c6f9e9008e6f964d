/* SPDX-License-Identifier: MIT
 * From the outbox to the log of another database: once each, in their order, whatever fails or is
 * killed on the way, and however many carry. On both databases; PostgreSQL's second one is another
 * schema. */
#include "trail/trail_carrier.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "base/random.h"
#include "store/store_test_kit.h"
#include "trail/trail.h"
#include "trail/trail_outbox.h"
#include "trail/trail_priv.h"

#define AT INT64_C(1800000000000000000)

static struct kit *the_kit;
static char log_url[512];
static sem_t the_written;
static struct trail_outbox the_outbox;
static struct store *the_store, *the_log;

static const struct store_statement schema_drop = {.name = "test_schema_drop",
                                                   .sqlite = "SELECT 1",
                                                   .postgres =
                                                       "DROP SCHEMA IF EXISTS apart CASCADE"};
static const struct store_statement schema_create = {
    .name = "test_schema_create", .sqlite = "SELECT 1", .postgres = "CREATE SCHEMA apart"};

static struct store *open_with(const struct store_seal *seal, const char *url)
{
    struct store_options options = the_kit->options;
    const struct store_migration *list;
    struct store_fault fault = {""};
    struct store *store = NULL;
    size_t count;

    options.seal = seal;
    options.url = span_from(url);
    if (store_open(&options, &store, &fault) != ERR_OK)
        fail_msg("%s", fault.text);
    store_migrations(&list, &count);
    if (store_migrate(store, list, count, &fault) != ERR_OK)
        fail_msg("%s", fault.text);
    return store;
}

static void open_both(struct trail_pressure *pressure)
{
    trail_outbox_init(&the_outbox, pressure, &the_written);
    the_store = open_with(&the_outbox.seal, the_kit->url);
    the_log = open_with(&trail_seal, log_url);
}

static void close_both(void)
{
    store_close(the_store);
    store_close(the_log);
    the_store = the_log = NULL;
}

static int setup(void **state)
{
    struct store *plain;

    if (kit_setup(state) != 0)
        return -1;
    the_kit = *state;
    assert_int_equal(sem_init(&the_written, 0, 0), 0);
    if (the_kit->postgres) {
        (void)snprintf(log_url, sizeof(log_url), "%s%coptions=-csearch_path%%3Dapart", the_kit->url,
                       strchr(the_kit->url, '?') != NULL ? '&' : '?');
        plain = kit_open(the_kit);
        kit_exec(plain, &schema_drop);
        kit_exec(plain, &schema_create);
        store_close(plain);
    } else {
        (void)snprintf(log_url, sizeof(log_url), "sqlite:other.db");
    }
    open_both(NULL);
    return 0;
}

static int teardown(void **state)
{
    store_fail_at(0);
    close_both();
    (void)sem_destroy(&the_written);
    return kit_teardown(state);
}

/* ---- what is added, and what is there ---- */

struct add {
    int from, count;
    enum err then; /* after them */
};

static enum err add_run(struct store_conn *conn, struct store_job *job)
{
    const struct add *add = job->context;

    for (int i = 0; i < add->count; i++) {
        char name[16];
        struct trail_record record = {.event = TRAIL_LOGIN,
                                      .outcome = TRAIL_DONE,
                                      .at_ns = AT + add->from + i,
                                      .actor_kind = TRAIL_ACTOR_USER,
                                      .actor = SPAN("7"),
                                      .details = {{"scope", SPAN("a \"b\"")}}};
        enum err err;

        (void)snprintf(name, sizeof(name), "n%05d", add->from + i);
        record.request_id = span_from(name);
        err = trail_add(conn, &record);
        if (err)
            return err;
    }
    return add->then;
}

static enum err add_then(int from, int count, enum err then)
{
    struct add add = {.from = from, .count = count, .then = then};

    return store_do(the_store, add_run, &add, true);
}

static void add(int from, int count)
{
    assert_int_equal(add_then(from, count, ERR_OK), ERR_OK);
}

static int64_t number(struct store *store, const struct store_statement *statement)
{
    struct kit_number number = {.statement = statement};

    assert_int_equal(store_do(store, kit_number0_run, &number, false), ERR_OK);
    return number.result;
}

static const struct store_statement waiting_count = {.name = "test_outbox_count",
                                                     .sqlite = "SELECT count(*) FROM trail_outbox"};
static const struct store_statement log_count = {.name = "test_log_count",
                                                 .sqlite = "SELECT count(*) FROM trail_events"};
static const struct store_statement log_distinct = {
    .name = "test_log_distinct", .sqlite = "SELECT count(DISTINCT request_id) FROM trail_events"};
static const struct store_statement log_size = {
    .name = "test_log_size",
    .sqlite = "SELECT max(size, coalesce((SELECT max(seq) + 1 FROM trail_events "
              "WHERE roots IS NOT NULL), 0)) FROM trail_head",
    .postgres = "SELECT size FROM trail_head"};
/* Events that do not stand behind the one before them. */
static const struct store_statement log_disorder = {
    .name = "test_log_disorder",
    .sqlite = "SELECT count(*) FROM trail_events a JOIN trail_events b ON b.seq = a.seq + 1 "
              "WHERE b.request_id <= a.request_id OR b.at < a.at"};

static void carry_all(void)
{
    size_t count;

    do
        assert_int_equal(trail_carry(the_store, the_log, &count), ERR_OK);
    while (count > 0);
}

static void assert_log(int64_t events)
{
    assert_int_equal(number(the_store, &waiting_count), 0);
    assert_int_equal(number(the_log, &log_count), events);
    assert_int_equal(number(the_log, &log_distinct), events);
    assert_int_equal(number(the_log, &log_size), events);
    assert_int_equal(number(the_log, &log_disorder), 0);
}

/* ---- the way ---- */

static void they_arrive_once_and_in_order(void **state)
{
    (void)state;
    add(0, 1);
    add(1, 70);
    for (int i = 71; i < 90; i++)
        add(i, 1);
    assert_int_equal(number(the_store, &waiting_count), 90);
    assert_int_equal(number(the_store, &log_count), 0);
    carry_all();
    assert_log(90);
    add(90, 3000); /* more than a round */
    carry_all();
    assert_log(3090);
}

static void what_was_undone_is_not_carried(void **state)
{
    (void)state;
    add(0, 2);
    assert_int_equal(add_then(2, 2, ERR_FORBIDDEN), ERR_FORBIDDEN);
    add(2, 1);
    carry_all();
    assert_log(3);
}

struct row {
    int64_t at_ns;
    struct span texts[7];
    char room[512];
    struct arena arena;
};

static const struct store_statement log_row = {
    .name = "test_log_row",
    .sqlite = "SELECT at, event, outcome, source, actor_kind, request_id, actor, details "
              "FROM trail_events WHERE seq = 0"};

static enum err row_run(struct store_conn *conn, struct store_job *job)
{
    struct row *row = job->context;
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &log_row, NULL, 0, &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    row->at_ns = store_rows_i64(rows, 0);
    for (size_t i = 0; i < PC_COUNT(row->texts); i++)
        row->texts[i] = store_rows_text(rows, i + 1, &row->arena);
    return store_rows_err(rows);
}

static void they_arrive_as_they_were(void **state)
{
    static const char *const wanted[] = {
        "user.login", "done", "auth-service", "user", "n00000", "7", "{\"scope\":\"a \\\"b\\\"\"}"};
    struct row row = {0};

    (void)state;
    arena_init(&row.arena, row.room, sizeof(row.room), sizeof(row.room));
    add(0, 1);
    carry_all();
    assert_int_equal(store_do(the_log, row_run, &row, false), ERR_OK);
    assert_int_equal(row.at_ns, AT);
    for (size_t i = 0; i < PC_COUNT(wanted); i++)
        assert_true(span_is(row.texts[i], wanted[i]));
}

/* ---- what fails on the way ---- */

/* Each call to a database fails in its turn; the next round makes good for it. */
static void every_call_may_fail(void **state)
{
    int64_t events = 0;
    uint64_t nth = 0;
    bool struck = true;

    (void)state;
    add((int)events, 1); /* all statements are prepared once */
    events++;
    carry_all();
    while (struck) {
        size_t count;
        enum err err;

        add((int)events, 3);
        events += 3;
        store_fail_at(++nth);
        err = trail_carry(the_store, the_log, &count);
        struck = !store_fail_pending();
        store_fail_at(0);
        assert_true(struck || err == ERR_OK);
        carry_all();
        assert_log(events);
    }
    assert_true(nth > 8);
}

static enum err append_run(struct store_conn *conn, struct store_job *job)
{
    size_t fresh;

    return trail_outbox_append(conn, job->context, &fresh);
}

struct reading {
    struct arena arena;
    struct trail_outbox_rows rows;
};

static enum err read_run(struct store_conn *conn, struct store_job *job)
{
    struct reading *reading = job->context;

    return trail_outbox_read(conn, 64, 65536, &reading->arena, &reading->rows);
}

/* Somebody else has carried them since they were read, and some are new. */
static void what_the_log_has_is_left_out(void **state)
{
    struct reading early = {0};
    struct reading late = {0};

    (void)state;
    arena_init(&early.arena, NULL, 0, 1024 * 1024);
    arena_init(&late.arena, NULL, 0, 1024 * 1024);
    add(0, 5);
    assert_int_equal(store_do(the_store, read_run, &early, false), ERR_OK);
    add(5, 3);
    assert_int_equal(store_do(the_store, read_run, &late, false), ERR_OK);
    assert_int_equal(early.rows.count, 5);
    assert_int_equal(late.rows.count, 8);
    assert_int_equal(store_do(the_log, append_run, &early.rows, true), ERR_OK);
    assert_int_equal(store_do(the_log, append_run, &late.rows, true), ERR_OK);
    assert_int_equal(store_do(the_log, append_run, &early.rows, true), ERR_OK);
    arena_reset(&early.arena);
    arena_reset(&late.arena);
    carry_all();
    assert_log(8);
}

static const struct store_statement spoil = {
    .name = "test_spoil",
    .sqlite = "INSERT INTO trail_outbox (id, at, record) "
              "VALUES (x'000102030405060708090a0b0c0d0e0f', 1, x'0100')",
    .postgres = "INSERT INTO trail_outbox (id, at, record) "
                "VALUES ('\\x000102030405060708090a0b0c0d0e0f', 1, '\\x0100')"};

/* What cannot be read is not passed over, nor is what stands behind it. */
static void a_spoiled_row_stops_the_way(void **state)
{
    size_t count;

    (void)state;
    add(0, 2);
    kit_exec(the_store, &spoil);
    add(2, 2);
    assert_int_equal(trail_carry(the_store, the_log, &count), ERR_STORE_CORRUPT);
    assert_int_equal(number(the_store, &waiting_count), 5);
    assert_int_equal(number(the_log, &log_count), 0);
}

/* ---- who is killed on the way ---- */

enum { ROUNDS = 12 };

/* Adds and carries until it is killed; tells of each commit that it was told of. */
static void child(int told, int from)
{
    struct trail_carrier_options options = {.written = &the_written};
    struct trail_carrier *carrier;

    open_both(NULL);
    options.from = the_store;
    options.to = the_log;
    assert_int_equal(trail_carrier_start(&options, &carrier), ERR_OK);
    for (int i = from;; i++) {
        add(i, 1);
        assert_int_equal(write(told, &i, sizeof(i)), sizeof(i));
    }
}

/* What it was told of, by number. */
enum { NUMBERS_MAX = 100000 };
static bool acknowledged[NUMBERS_MAX], there[NUMBERS_MAX];

static int killed_after(int from, int64_t ms)
{
    const struct timespec wait = {.tv_nsec = (long)(ms * CLOCK_NS_PER_MS)};
    int told[2];
    int newest = from;
    pid_t pid;

    assert_int_equal(pipe(told), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(told[0]);
        child(told[1], from);
        _exit(1);
    }
    (void)close(told[1]);
    assert_int_equal(read(told[0], &newest, sizeof(newest)), sizeof(newest));
    acknowledged[newest] = true;
    (void)nanosleep(&wait, NULL);
    assert_int_equal(kill(pid, SIGKILL), 0);
    while (read(told[0], &newest, sizeof(newest)) == (ssize_t)sizeof(newest))
        acknowledged[newest] = true;
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    (void)close(told[0]);
    return newest;
}

static const struct store_statement log_names = {.name = "test_log_names",
                                                 .sqlite = "SELECT request_id FROM trail_events"};

static enum err names_run(struct store_conn *conn, struct store_job *job)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &log_names, NULL, 0, &rows);

    (void)job;
    if (err)
        return err;
    while (store_next(rows)) {
        struct span name = store_rows_text(rows, 0, NULL);
        uint64_t at = 0;

        assert_true(span_to_u64(span_slice(name, 1, name.len), &at) && at < NUMBERS_MAX);
        assert_false(there[at]); /* none is there twice */
        there[at] = true;
    }
    return store_rows_err(rows);
}

/* Killed at any moment, time and again: what was told is in the log, once. */
static void kill_9_loses_nothing(void **state)
{
    unsigned char moments[ROUNDS];
    int next = 0;

    (void)state;
    close_both();
    random_fill(&random_system, moments, sizeof(moments));
    for (int i = 0; i < ROUNDS; i++) /* the next one may be there untold */
        next = killed_after(next, moments[i] / 2) + 2;
    open_both(NULL);
    carry_all();
    assert_int_equal(store_do(the_log, names_run, NULL, false), ERR_OK);
    for (int i = 0; i < next; i++)
        assert_true(there[i] || !acknowledged[i]);
    assert_int_equal(number(the_store, &waiting_count), 0);
    assert_int_equal(number(the_log, &log_count), number(the_log, &log_size));
    assert_int_equal(number(the_log, &log_disorder), 0);
}

/* ---- who carries at once ---- */

static void *carrying(void *context)
{
    _Atomic bool *over = context;
    bool nodes = the_kit->postgres; /* of SQLite a process has one handle that writes */
    struct store *from = nodes ? open_with(&the_outbox.seal, the_kit->url) : the_store;
    struct store *to = nodes ? open_with(&trail_seal, log_url) : the_log;
    size_t count = 1;

    while (!*over || count > 0) {
        enum err err = trail_carry(from, to, &count);

        /* Whoever waits too long for the other one tries again, as the thread does. */
        assert_true(err == ERR_OK || err == ERR_BUSY || err == ERR_STORE_RETRY ||
                    err == ERR_STORE_SLOW);
        count = err == ERR_OK ? count : 1;
    }
    if (nodes) {
        store_close(from);
        store_close(to);
    }
    return NULL;
}

static void two_carry_at_once(void **state)
{
    enum { CARRIERS = 2, EVENTS = 300 };
    pthread_t threads[CARRIERS];
    _Atomic bool over = false;

    (void)state;
    for (size_t i = 0; i < CARRIERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, carrying, &over), 0);
    for (int i = 0; i < EVENTS; i++)
        add(i, 1);
    over = true;
    for (size_t i = 0; i < CARRIERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    carry_all();
    assert_log(EVENTS);
}

/* ---- the bounds ---- */

static void a_full_outbox_refuses(void **state)
{
    const struct trail_pressure_options options = {
        .apart = true, .waiting_max = 10, .wait_ns_max = INT64_MAX / 2};
    struct trail_pressure *pressure;

    (void)state;
    close_both();
    assert_int_equal(trail_pressure_new(&options, &pressure), ERR_OK);
    open_both(pressure);
    kit_exec(the_store, &kit_table);
    add(0, 10);
    assert_int_equal(add_then(10, 1, ERR_OK), ERR_AUDIT_BEHIND);
    assert_int_equal(number(the_store, &waiting_count), 10);
    assert_int_equal(kit_add(the_store, 1), ERR_OK); /* what need not be remembered is done */
    assert_int_equal(number(the_store, &kit_count), 1);
    carry_all();
    trail_pressure_counted(pressure, 0, 0, trail_pressure_admitted(pressure));
    add(10, 1);
    carry_all();
    assert_log(11);
    close_both();
    trail_pressure_free(pressure);
}

/* ---- bytes ---- */

static void a_record_comes_back_from_bytes(void **state)
{
    const struct trail_entry entry = {
        .id = {1, 2, 3},
        .at_ns = -1,
        .event = SPAN("a"),
        .category = SPAN("bb"),
        .severity = SPAN("ccc"),
        .outcome = SPAN("done"),
        .source = SPAN("s"),
        .actor_kind = SPAN("user"),
        .client = SPAN("c"),
        .request_id = SPAN("r"),
        .tags = SPAN("[\"t\"]"),
        .personal = {SPAN("1"), {0}, SPAN("3"), SPAN("4"), SPAN("5"), SPAN("{}")},
    };
    char bytes[512];
    struct sbuf out = sbuf_over(bytes, sizeof(bytes));
    struct trail_entry back = {0};
    struct span record;

    (void)state;
    assert_int_equal(trail_outbox_encode(&entry, &out), ERR_OK);
    record = sbuf_span(&out);
    assert_int_equal(trail_outbox_decode(record, &back), ERR_OK);
    assert_memory_equal(back.id, entry.id, TRAIL_ID_BYTES);
    assert_int_equal(back.at_ns, -1);
    assert_true(span_is(back.event, "a") && span_is(back.category, "bb"));
    assert_true(span_is(back.severity, "ccc") && span_is(back.outcome, "done"));
    assert_true(span_is(back.source, "s") && span_is(back.actor_kind, "user"));
    assert_true(span_is(back.client, "c") && span_is(back.request_id, "r"));
    assert_true(span_is(back.tags, "[\"t\"]"));
    for (size_t i = 0; i < TRAIL_PERSONAL_COUNT; i++)
        assert_true(span_equal(back.personal[i], entry.personal[i]));
    for (size_t len = 0; len < record.len; len++)
        assert_int_equal(trail_outbox_decode(span_slice(record, 0, len), &back), ERR_STORE_CORRUPT);
    sbuf_add_char(&out, 'x');
    assert_int_equal(trail_outbox_decode(sbuf_span(&out), &back), ERR_STORE_CORRUPT);
    bytes[0] = 2;
    assert_int_equal(trail_outbox_decode(record, &back), ERR_STORE_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(they_arrive_once_and_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_undone_is_not_carried, setup, teardown),
        cmocka_unit_test_setup_teardown(they_arrive_as_they_were, setup, teardown),
        cmocka_unit_test_setup_teardown(every_call_may_fail, setup, teardown),
        cmocka_unit_test_setup_teardown(what_the_log_has_is_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(a_spoiled_row_stops_the_way, setup, teardown),
        cmocka_unit_test_setup_teardown(kill_9_loses_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(two_carry_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_outbox_refuses, setup, teardown),
        cmocka_unit_test(a_record_comes_back_from_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
