/* SPDX-License-Identifier: MIT
 * The trail on both databases: what goes in comes out, nothing ever leaves, and no change is made
 * without its record. */
#include "trail/trail_priv.h"

#include "store/store_test_kit.h"

enum { ARENA_BYTES = 64 * 1024 };
#define AT INT64_C(1800000000000000000)

static struct kit *the_kit;
static struct store *the_store;
static struct arena arena;

static int setup(void **state)
{
    const struct store_migration *list;
    size_t count;

    if (kit_setup(state) != 0)
        return -1;
    the_kit = *state;
    the_kit->options.seal = &trail_seal;
    the_store = kit_open(the_kit);
    store_migrations(&list, &count);
    assert_int_equal(store_migrate(the_store, list, count, NULL), ERR_OK);
    arena_init(&arena, NULL, 0, ARENA_BYTES);
    return 0;
}

static int teardown(void **state)
{
    store_fail_at(0);
    store_close(the_store);
    arena_reset(&arena);
    return kit_teardown(state);
}

static enum err add_run(struct store_conn *conn, struct store_job *job)
{
    return trail_add(conn, job->context);
}

static enum err add(const struct trail_record *record)
{
    return store_do(the_store, add_run, (void *)(uintptr_t)record, true);
}

static const struct store_statement events_count = {.name = "test_trail_count",
                                                    .sqlite = "SELECT count(*) FROM trail_events"};

static int64_t events(void)
{
    struct kit_number number = {.statement = &events_count};

    assert_int_equal(store_do(the_store, kit_number0_run, &number, false), ERR_OK);
    return number.result;
}

/* ---- what goes in -----------------------------------------------------------------------------
 */

enum { COLUMNS = 11 };

struct row {
    int64_t at_ns;
    struct span texts[COLUMNS]; /* from `event` on */
};

static const struct store_statement newest = {
    .name = "test_trail_newest",
    .sqlite = "SELECT at, event, outcome, actor_kind, actor, client, address, request_id, object, "
              "reason, details FROM trail_events ORDER BY seq DESC LIMIT 1"};

static enum err newest_run(struct store_conn *conn, struct store_job *job)
{
    struct row *row = job->context;
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &newest, NULL, 0, &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    row->at_ns = store_rows_i64(rows, 0);
    for (size_t i = 1; i < COLUMNS; i++)
        row->texts[i - 1] = store_rows_text(rows, i, &arena);
    return store_rows_err(rows);
}

static struct row newest_row(void)
{
    struct row row = {0};

    assert_int_equal(store_do(the_store, newest_run, &row, false), ERR_OK);
    return row;
}

static void a_record_comes_out_as_it_went_in(void **state)
{
    static const char *const wanted[] = {
        "token.reused",  "refused",
        "user",          "7",
        "web-portal",    "192.0.2.1",
        "request-1",     "session:abc",
        "grace is over", "{\"scope\":\"openid \\\"x\\\"\",\"grant\":\"refresh_token\"}"};
    const struct trail_record record = {
        .event = TRAIL_TOKEN_REUSED,
        .outcome = TRAIL_REFUSED,
        .at_ns = AT,
        .actor_kind = TRAIL_ACTOR_USER,
        .actor = SPAN("7"),
        .client_id = SPAN("web-portal"),
        .address = SPAN("192.0.2.1"),
        .request_id = SPAN("request-1"),
        .object = SPAN("session:abc"),
        .reason = SPAN("grace is over"),
        .details = {{"scope", SPAN("openid \"x\"")}, {"grant", SPAN("refresh_token")}}};
    struct row row;

    (void)state;
    assert_int_equal(add(&record), ERR_OK);
    row = newest_row();
    assert_int_equal(row.at_ns, AT);
    for (size_t i = 0; i < PC_COUNT(wanted); i++) {
        if (!span_is(row.texts[i], wanted[i]))
            fail_msg("column %zu is %.*s", i, SPAN_ARG(row.texts[i]));
    }
}

/* What nobody knows is NULL, not an empty text that looks like an answer. */
static void what_is_not_known_is_null(void **state)
{
    const struct trail_record record = {
        .event = TRAIL_KEY_CREATED, .outcome = TRAIL_DONE, .actor_kind = TRAIL_ACTOR_SYSTEM};
    struct row row;

    (void)state;
    assert_int_equal(add(&record), ERR_OK);
    row = newest_row();
    assert_true(span_is(row.texts[1], "done"));
    assert_true(span_is(row.texts[2], "system"));
    for (size_t i = 3; i < 10; i++)
        assert_null(row.texts[i].ptr);
}

enum { MANY = 50 };

static enum err add_many_run(struct store_conn *conn, struct store_job *job)
{
    return trail_add_many(conn, job->context, MANY);
}

/* Each keeps its own texts, those that had to be cleaned as well; with one that cannot be written
 * none is. */
/* A card number that somebody typed in place of their name. */
static void claims_hold_no_card_data(void **state)
{
    struct trail_record record = {.event = TRAIL_LOGIN,
                                  .outcome = TRAIL_REFUSED,
                                  .at_ns = AT,
                                  .actor = SPAN("4111 1111 1111 1111"),
                                  .object = SPAN("session:4111111111111111")};

    (void)state;
    assert_int_equal(add(&record), ERR_OK);
    assert_true(span_is(newest_row().texts[3], "**** **** **** 1111"));
    assert_true(span_is(newest_row().texts[7], "session:4111111111111111"));
    record.actor_kind = TRAIL_ACTOR_USER;
    record.actor = SPAN_OF("4111111111111111"); /* the store's own id stays what it is */
    assert_int_equal(add(&record), ERR_OK);
    assert_true(span_is(newest_row().texts[3], "4111111111111111"));
}

static void many_records_are_added_at_once(void **state)
{
    struct trail_record records[MANY] = {0};
    char texts[MANY][16];
    int64_t before = events();
    struct row row;

    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "actor%c%zu", i % 2 == 0 ? '\n' : '.', i);
        records[i] = (struct trail_record){.event = TRAIL_LOGIN,
                                           .outcome = TRAIL_DONE,
                                           .at_ns = AT + (int64_t)i,
                                           .actor_kind = TRAIL_ACTOR_USER,
                                           .actor = span_from(texts[i]),
                                           .details = {{"scope", span_from(texts[i])}}};
    }
    assert_int_equal(store_do(the_store, add_many_run, records, true), ERR_OK);
    assert_int_equal(events(), before + MANY);
    row = newest_row();
    assert_int_equal(row.at_ns, AT + MANY - 1);
    assert_true(span_is(row.texts[3], "actor.49"));
    assert_true(span_is(row.texts[9], "{\"scope\":\"actor.49\"}"));
    records[MANY - 1] = records[MANY - 2];
    assert_int_equal(store_do(the_store, add_many_run, records, true), ERR_OK);
    row = newest_row();
    assert_true(span_is(row.texts[3], "actor\xEF\xBF\xBD"
                                      "48"));
    store_fail_at(2);
    assert_int_equal(store_do(the_store, add_many_run, records, true), ERR_STORE_UNAVAILABLE);
    store_fail_at(0);
    assert_int_equal(events(), before + 2 * MANY);
}

/* The longest texts there can be, each byte of which has to be escaped. */
static void the_longest_record_has_room(void **state)
{
    char text[2 * TRAIL_TEXT_BYTES_MAX] = {0};
    struct trail_record record = {.event = TRAIL_LOGIN};
    struct span all = span_make(text, sizeof(text));

    (void)state;
    memset(text, '"', sizeof(text));
    record.actor = record.client_id = record.address = all;
    record.request_id = record.object = record.reason = all;
    for (size_t i = 0; i < TRAIL_DETAILS_MAX; i++)
        record.details[i] = (struct trail_detail){"a_name_that_is_as_long_as_can_be", all};
    assert_int_equal(add(&record), ERR_OK);
    assert_int_equal(newest_row().texts[3].len, TRAIL_TEXT_BYTES_MAX);
}

/* ---- texts ------------------------------------------------------------------------------------
 */

static void texts_cannot_forge_lines(void **state)
{
    static const struct {
        const char *given, *kept;
    } cases[] = {
        {"", ""},
        {"anna@example.com", "anna@example.com"},
        {"J\xC3\xB6rg \xE2\x82\xAC \xF0\x9F\x98\x80", "J\xC3\xB6rg \xE2\x82\xAC \xF0\x9F\x98\x80"},
        {"a\nuser.login done", "a\xEF\xBF\xBDuser.login done"},
        {"\x1B[2J\x7F\t", "\xEF\xBF\xBD[2J\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"a\xC2\x85z", "a\xEF\xBF\xBDz"},                         /* next line */
        {"a\xC2\xA0z", "a\xC2\xA0z"},                             /* the first that is no control */
        {"a\xE2\x80\xA8z", "a\xEF\xBF\xBDz"},                     /* line separator */
        {"a\xE2\x80\xAEz", "a\xEF\xBF\xBDz"},                     /* right to left from here */
        {"a\xE2\x81\xA7z", "a\xEF\xBF\xBDz"},                     /* the same, isolated */
        {"a\xD8\x9Cz", "a\xEF\xBF\xBDz"},                         /* Arabic letter mark */
        {"a\xE2\x80\xA6z", "a\xE2\x80\xA6z"},                     /* an ellipsis harms nobody */
        {"a\xC3", "a\xEF\xBF\xBD"},                               /* cut off */
        {"\xC0\xAF", "\xEF\xBF\xBD\xEF\xBF\xBD"},                 /* overlong */
        {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"}, /* half of a pair */
        {"\xFF"
         "a",
         "\xEF\xBF\xBD"
         "a"},
    };
    char room[TRAIL_TEXT_BYTES_MAX];

    (void)state;
    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        struct span kept = trail_text(span_from(cases[i].given), room);

        if (!span_is(kept, cases[i].kept))
            fail_msg("case %zu became %.*s", i, SPAN_ARG(kept));
    }
    assert_true(span_is(trail_text(span_make("a\0b", 3), room), "a\xEF\xBF\xBD"
                                                                "b"));
}

/* A cut falls between two characters, wherever the border is. */
static void texts_are_cut_between_characters(void **state)
{
    char text[TRAIL_TEXT_BYTES_MAX + 8];
    char room[TRAIL_TEXT_BYTES_MAX];

    (void)state;
    for (size_t before = 0; before < 8; before++) {
        struct span kept;
        size_t at = TRAIL_TEXT_BYTES_MAX - before;

        memset(text, 'x', sizeof(text));
        memcpy(text + at, "\xF0\x9F\x98\x80", 4);
        kept = trail_text(span_make(text, at + 4), room);
        assert_int_equal(kept.len, before >= 4 ? at + 4 : at);
        assert_true(span_is_utf8(kept));
    }
}

/* ---- the trail only grows ---------------------------------------------------------------------
 */

static enum err text_run(struct store_conn *conn, struct store_job *job)
{
    return store_exec(conn, job->context, NULL, 0, NULL);
}

static void nothing_is_ever_taken_away(void **state)
{
    static const struct store_statement attempts[] = {
        {.name = "test_trail_update", .sqlite = "UPDATE trail_events SET actor = 'nobody'"},
        {.name = "test_trail_delete", .sqlite = "DELETE FROM trail_events"},
        {.name = "test_trail_delete_one", .sqlite = "DELETE FROM trail_events WHERE seq = 0"},
        {.name = "test_trail_empty",
         .sqlite = "DELETE FROM trail_events WHERE TRUE",
         .postgres = "TRUNCATE trail_events"},
        {.name = "test_trail_replace",
         .sqlite = "INSERT OR REPLACE INTO trail_events SELECT * FROM trail_events",
         .postgres = "INSERT INTO trail_events SELECT * FROM trail_events "
                     "ON CONFLICT (seq) DO UPDATE SET actor = 'nobody'"},
    };
    const struct trail_record record = {.event = TRAIL_LOGIN, .actor = SPAN("anna")};

    (void)state;
    assert_int_equal(add(&record), ERR_OK);
    for (size_t i = 0; i < PC_COUNT(attempts); i++) {
        enum err err = store_do(the_store, text_run, (void *)(uintptr_t)&attempts[i], true);

        if (err != ERR_STORE_CONSTRAINT)
            fail_msg("%s: %s", attempts[i].name, err_name(err));
        assert_int_equal(events(), 1);
        assert_true(span_is(newest_row().texts[3], "anna"));
    }
}

/* ---- no record, no change ---------------------------------------------------------------------
 */

static const struct store_statement user_insert = {
    .name = "test_trail_user",
    .sqlite = "INSERT INTO users (username, username_key, email, email_key, password_hash, "
              "created_at, updated_at, password_changed_at) "
              "VALUES ('a', 'a', 'a', 'a', 'hash', 1, 1, 1)"};
static const struct store_statement users_count = {.name = "test_trail_users",
                                                   .sqlite = "SELECT count(*) FROM users"};

static int64_t users(void)
{
    struct kit_number number = {.statement = &users_count};

    assert_int_equal(store_do(the_store, kit_number0_run, &number, false), ERR_OK);
    return number.result;
}

static enum err change_run(struct store_conn *conn, struct store_job *job)
{
    const struct trail_record record = {.event = TRAIL_USER_REGISTERED, .outcome = TRAIL_DONE};
    enum err err = store_exec(conn, &user_insert, NULL, 0, NULL);

    (void)job;
    return err ? err : trail_add(conn, &record);
}

/* Whichever call to the database fails: both are there, or neither is. */
static void no_change_without_its_record(void **state)
{
    bool done = false;

    (void)state;
    for (uint64_t nth = 1; !done && nth < 64; nth++) {
        enum err err;

        store_fail_at(nth);
        err = store_do(the_store, change_run, NULL, true);
        done = store_fail_pending(); /* so many calls were not made */
        store_fail_at(0);
        for (int tries = 0; tries < 100 && store_ready(the_store) != ERR_OK; tries++)
            (void)usleep(10000);
        assert_int_equal(users(), events());
        assert_int_equal(events(), err == ERR_OK ? 1 : 0);
        done = done || err == ERR_OK;
    }
    assert_true(done);
}

static void the_catalogue_is_whole(void **state)
{
    static const char *const categories[] = {"security", "transaction", "compliance", "platform"};
    static const char *const severities[] = {"info", "warning", "critical"};

    (void)state;
    for (size_t i = 0; i < TRAIL_EVENT_COUNT; i++) {
        enum trail_event event = (enum trail_event)i;
        bool known = false;
        bool weighed = false;

        for (size_t j = 0; j < PC_COUNT(categories); j++)
            known = known || strcmp(trail_event_category(event), categories[j]) == 0;
        for (size_t j = 0; j < PC_COUNT(severities); j++)
            weighed = weighed || strcmp(trail_event_severity(event), severities[j]) == 0;
        assert_true(known && weighed);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(trail_event_name(event), trail_event_name((enum trail_event)j));
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_record_comes_out_as_it_went_in),
        T(what_is_not_known_is_null),
        T(claims_hold_no_card_data),
        T(the_longest_record_has_room),
        T(many_records_are_added_at_once),
        cmocka_unit_test(texts_cannot_forge_lines),
        cmocka_unit_test(texts_are_cut_between_characters),
        T(nothing_is_ever_taken_away),
        T(no_change_without_its_record),
        cmocka_unit_test(the_catalogue_is_whole),
    };
#undef T

    return cmocka_run_group_tests_name("trail", tests, NULL, NULL);
}
