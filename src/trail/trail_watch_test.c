/* SPDX-License-Identifier: MIT
 * From trouble to the event that tells of it: a store that fails and comes back, and an outbox that
 * nobody empties for a while. */
#include "trail/trail_watch.h"

#include <time.h>

#include "store/store_test_kit.h"
#include "trail/trail.h"
#include "trail/trail_carrier.h"
#include "trail/trail_outbox.h"

static struct kit *the_kit;
static char log_url[512];
static sem_t the_written;
static struct trail_pressure *the_pressure;
static struct trail_outbox the_outbox;
static struct store *the_store, *the_log;
static struct trail_watch *the_watch;

static const struct store_statement schema_drop = {.name = "test_schema_drop",
                                                   .sqlite = "SELECT 1",
                                                   .postgres =
                                                       "DROP SCHEMA IF EXISTS apart CASCADE"};
static const struct store_statement schema_create = {
    .name = "test_schema_create", .sqlite = "SELECT 1", .postgres = "CREATE SCHEMA apart"};

static struct store *open_with(const struct store_seal *seal, const char *url)
{
    const struct store_migration *list;
    struct store *store;
    size_t count;

    the_kit->options.seal = seal;
    the_kit->options.url = span_from(url);
    store = kit_open(the_kit);
    store_migrations(&list, &count);
    assert_int_equal(store_migrate(store, list, count, NULL), ERR_OK);
    return store;
}

static int setup(void **state)
{
    struct store *plain;

    if (kit_setup(state) != 0)
        return -1;
    the_kit = *state;
    assert_int_equal(sem_init(&the_written, 0, 0), 0);
    (void)snprintf(log_url, sizeof(log_url), "sqlite:other.db");
    if (!the_kit->postgres)
        return 0;
    (void)snprintf(log_url, sizeof(log_url), "%s%coptions=-csearch_path%%3Dapart", the_kit->url,
                   strchr(the_kit->url, '?') != NULL ? '&' : '?');
    plain = kit_open(the_kit);
    kit_exec(plain, &schema_drop);
    kit_exec(plain, &schema_create);
    store_close(plain);
    return 0;
}

static void watch(bool apart, size_t waiting_max)
{
    const struct trail_pressure_options options = {
        .apart = apart, .waiting_max = waiting_max, .wait_ns_max = 3600 * CLOCK_NS_PER_S};
    struct trail_watch_options own = {.waiting_max = waiting_max};

    assert_int_equal(trail_pressure_new(&options, &the_pressure), ERR_OK);
    trail_outbox_init(&the_outbox, the_pressure, &the_written);
    the_store = open_with(apart ? &the_outbox.seal : &trail_seal, the_kit->url);
    the_log = apart ? open_with(&trail_seal, log_url) : the_store;
    own.store = the_store;
    own.log = the_log;
    own.pressure = the_pressure;
    assert_int_equal(trail_watch_start(&own, &the_watch), ERR_OK);
}

static int teardown(void **state)
{
    store_fail_at(0);
    trail_watch_stop(the_watch);
    if (the_log != the_store)
        store_close(the_log);
    store_close(the_store);
    trail_pressure_free(the_pressure);
    the_watch = NULL;
    the_store = the_log = NULL;
    the_pressure = NULL;
    (void)sem_destroy(&the_written);
    return kit_teardown(state);
}

/* ---- what is looked at ---- */

static struct trail_pressure_state seen(void)
{
    struct trail_pressure_state state = {0};

    trail_pressure_read(the_pressure, &state);
    return state;
}

static void sleep_ms(int64_t ms)
{
    const struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * CLOCK_NS_PER_MS};

    (void)nanosleep(&wait, NULL);
}

static bool is_well(void)
{
    return seen().err == ERR_OK;
}

static bool is_ill(void)
{
    return seen().err != ERR_OK;
}

static void await(bool (*holds)(void), int64_t ms)
{
    for (; !holds() && ms > 0; ms -= 20)
        sleep_ms(20);
    assert_true(holds());
}

static enum err add_run(struct store_conn *conn, struct store_job *job)
{
    const struct trail_record record = {.event = TRAIL_LOGIN,
                                        .outcome = TRAIL_DONE,
                                        .at_ns = clock_realtime_ns(&clock_system),
                                        .actor_kind = TRAIL_ACTOR_USER,
                                        .actor = SPAN("7")};

    (void)job;
    return trail_add(conn, &record);
}

static enum err add(void)
{
    return store_do(the_store, add_run, NULL, true);
}

/* What is being counted may be counted twice for a moment, never too little. */
static void add_at_last(void)
{
    enum err err;

    for (int64_t ms = 2000; (err = add()) == ERR_AUDIT_BEHIND && ms > 0; ms -= 50)
        sleep_ms(50);
    assert_int_equal(err, ERR_OK);
}

struct told {
    int64_t count;
    char reason[64], details[512];
};

static const struct store_statement told_rows = {
    .name = "test_told",
    .sqlite = "SELECT reason, details FROM trail_events WHERE event = 'audit.pressure'"};

static enum err told_run(struct store_conn *conn, struct store_job *job)
{
    struct told *told = job->context;
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &told_rows, NULL, 0, &rows);

    if (err)
        return err;
    for (told->count = 0; store_next(rows); told->count++) {
        struct span reason = store_rows_text(rows, 0, NULL);
        struct span details = store_rows_text(rows, 1, NULL);

        (void)snprintf(told->reason, sizeof(told->reason), "%.*s", SPAN_ARG(reason));
        (void)snprintf(told->details, sizeof(told->details), "%.*s", SPAN_ARG(details));
    }
    return store_rows_err(rows);
}

static struct told told(void)
{
    struct told told = {0};

    assert_int_equal(store_do(the_log, told_run, &told, false), ERR_OK);
    return told;
}

static int64_t lasted_ms(const struct told *told)
{
    static const char name[] = "\"lasted_ms\":\"";
    const char *at = strstr(told->details, name);
    struct span rest;
    struct span digits;
    int64_t ms = 0;

    assert_non_null(at);
    rest = span_from(at + sizeof(name) - 1);
    assert_true(span_cut(&rest, '"', &digits) && span_to_i64(digits, &ms));
    return ms;
}

/* ---- tests ---- */

/* Every call fails for a while: it is seen within five seconds, ends unaided, and is told once. */
static void a_store_that_fails_and_comes_back(void **state)
{
    struct told one;

    (void)state;
    watch(false, 0);
    assert_int_equal(add(), ERR_OK);
    sleep_ms(600);
    assert_true(is_well());
    store_fail_at(STORE_FAIL_ALWAYS);
    await(is_ill, 5000);
    assert_int_equal(seen().err, ERR_STORE_UNAVAILABLE);
    assert_true(seen().refusing);
    assert_int_not_equal(add(), ERR_OK);
    sleep_ms(1000);
    store_fail_at(0);
    await(is_well, 15000);
    assert_int_equal(add(), ERR_OK);
    one = told();
    assert_int_equal(one.count, 1);
    assert_string_equal(one.reason, "store-unavailable");
    assert_in_range(lasted_ms(&one), 1000, 20000);
    assert_true(seen().total_ns >= CLOCK_NS_PER_S);
    sleep_ms(1500);
    assert_int_equal(told().count, 1);
}

/* Nobody carries, so the outbox fills up; then somebody does. */
static void an_outbox_that_nobody_empties(void **state)
{
    struct trail_carrier_options options = {.written = &the_written};
    struct trail_carrier *carrier;
    struct told one;

    (void)state;
    watch(true, 10);
    for (int i = 0; i < 10; i++)
        add_at_last();
    assert_int_equal(add(), ERR_AUDIT_BEHIND);
    await(is_ill, 5000);
    assert_int_equal(add(), ERR_AUDIT_BEHIND);
    sleep_ms(1500);
    assert_int_equal(seen().waiting, 10);
    assert_true(seen().oldest_ns > 0);
    options.from = the_store;
    options.to = the_log;
    options.pressure = the_pressure;
    assert_int_equal(trail_carrier_start(&options, &carrier), ERR_OK);
    await(is_well, 10000);
    assert_int_equal(add(), ERR_OK);
    trail_carrier_stop(carrier);
    one = told();
    assert_int_equal(one.count, 1);
    assert_string_equal(one.reason, "audit-behind");
    assert_null(strstr(one.details, "\"refused\":\"0\""));
    assert_in_range(lasted_ms(&one), 1500, 12000);
}

/* More than the bound waits, as after a restart with a smaller one: trouble until it is carried. */
static void an_outbox_beyond_its_bound(void **state)
{
    struct trail_carrier_options options = {.written = &the_written};
    struct trail_carrier *carrier;
    struct told one;

    (void)state;
    watch(true, 1000);
    for (int i = 0; i < 20; i++)
        assert_int_equal(add(), ERR_OK);
    trail_watch_stop(the_watch);
    store_close(the_log);
    store_close(the_store);
    trail_pressure_free(the_pressure);
    watch(true, 10);
    await(is_ill, 5000);
    assert_int_equal(seen().err, ERR_AUDIT_BEHIND);
    assert_int_equal(add(), ERR_AUDIT_BEHIND);
    options.from = the_store;
    options.to = the_log;
    options.pressure = the_pressure;
    assert_int_equal(trail_carrier_start(&options, &carrier), ERR_OK);
    await(is_well, 10000);
    assert_int_equal(add(), ERR_OK);
    trail_carrier_stop(carrier);
    one = told();
    assert_int_equal(one.count, 1);
    assert_string_equal(one.reason, "audit-behind");
    assert_non_null(strstr(one.details, "\"refused\":\"1\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_store_that_fails_and_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(an_outbox_that_nobody_empties, setup, teardown),
        cmocka_unit_test_setup_teardown(an_outbox_beyond_its_bound, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
