/* SPDX-License-Identifier: MIT
 * After a person is erased, on both databases: every leaf is what it was, nothing of them is in a
 * row, nor in SQLite's file, and what stays cannot be tried out against a list of names. */
#include "trail/trail_erase.h"

#include "trail/trail_test_kit.h"

#include "crypto/digest.h"

#define NAME "wilhelmina.harker@example.com"

/* The store's own keeper may be at the write-ahead log, and is waited for. */
static int64_t the_wait_ns = 10 * CLOCK_NS_PER_S;

static enum err erase(const char *subject, bool only_count, struct trail_erased *ret)
{
    const struct trail_erase_order order = {.subject = span_from(subject),
                                            .basis = SPAN("request 4711"),
                                            .actor = SPAN("uid:0"),
                                            .now_ns = AT + 1000,
                                            .wait_ns = the_wait_ns,
                                            .only_count = only_count};

    return trail_erase(log_bench.store, &order, ret);
}

static int64_t erased_entries(const char *subject)
{
    struct trail_erased erased = {0};

    assert_int_equal(erase(subject, false, &erased), ERR_OK);
    assert_int_equal(erased.corrupt_seq, -1);
    return erased.entries;
}

static void add(const char *actor, const char *object)
{
    const struct trail_record record = {.event = TRAIL_LOGIN,
                                        .outcome = TRAIL_REFUSED,
                                        .at_ns = AT,
                                        .actor_kind = TRAIL_ACTOR_USER,
                                        .actor = span_from(actor),
                                        .client_id = SPAN("web"),
                                        .address = SPAN("198.51.100.77"),
                                        .object = span_from(object),
                                        .reason = SPAN("a reason of " NAME),
                                        .details = {{"note", SPAN("details of " NAME)}}};

    assert_int_equal(log_add_record(&record), ERR_OK);
}

static struct trail_entry at(int64_t seq)
{
    struct trail_entry *list = NULL;
    size_t count = 0;
    struct trail_filter filter = {.from_seq = seq, .oldest_first = true, .limit = 1};

    assert_int_equal(log_find(filter, &list, &count), ERR_OK);
    assert_int_equal(count, 1);
    assert_int_equal(list[0].seq, seq);
    return list[0];
}

/* ---- what goes and what stays ------------------------------------------------------------------
 */

static void the_person_goes_and_the_leaf_stays(void **state)
{
    struct trail_entry before, after;

    (void)state;
    add(NAME, "order:1");
    add("somebody", "order:2");
    before = at(0);
    assert_int_equal(erased_entries(NAME), 1);
    after = at(0);
    assert_memory_equal(&before.leaf, &after.leaf, sizeof(after.leaf));
    assert_null(after.personal[TRAIL_PERSONAL_ACTOR].ptr);
    assert_null(after.personal[TRAIL_PERSONAL_ADDRESS].ptr);
    assert_null(after.personal[TRAIL_PERSONAL_REASON].ptr);
    assert_null(after.personal[TRAIL_PERSONAL_DETAILS].ptr);
    assert_null(after.seed.ptr);
    assert_true(span_is(after.personal[TRAIL_PERSONAL_OBJECT], "order:1"));
    assert_true(span_is(after.client, "web"));
    assert_true(span_is(at(1).personal[TRAIL_PERSONAL_ACTOR], "somebody"));
    log_is_sound(); /* every leaf is made again, of commitments and of salts that stayed */
}

/* Of whom somebody else did something: their name goes, and what the other did stays. */
static void objects_lose_their_name_alone(void **state)
{
    (void)state;
    add("7", "user:7");
    add("1", "user:7");
    add("7", "order:1");
    assert_int_equal(erased_entries("user:7"), 3);
    assert_null(at(0).personal[TRAIL_PERSONAL_ACTOR].ptr);
    assert_null(at(0).personal[TRAIL_PERSONAL_OBJECT].ptr);
    assert_true(span_is(at(1).personal[TRAIL_PERSONAL_ACTOR], "1"));
    assert_null(at(1).personal[TRAIL_PERSONAL_OBJECT].ptr);
    assert_non_null(at(1).personal[TRAIL_PERSONAL_REASON].ptr);
    assert_null(at(2).personal[TRAIL_PERSONAL_ACTOR].ptr);
    assert_true(span_is(at(2).personal[TRAIL_PERSONAL_OBJECT], "order:1"));
    log_is_sound();
}

/* Names that go one after the other leave nothing behind of the first. */
static void an_entry_is_erased_twice(void **state)
{
    (void)state;
    add(NAME, "user:7");
    assert_int_equal(erased_entries("user:7"), 1);
    log_is_sound();
    assert_int_equal(erased_entries(NAME), 1);
    assert_null(at(0).personal[TRAIL_PERSONAL_OBJECT].ptr);
    assert_int_equal(at(0).erased.len, 5 * TRAIL_ERASED_BYTES);
    log_is_sound();
    assert_int_equal(erased_entries(NAME), 0);
}

static void a_principal_is_erased(void **state)
{
    static const unsigned char id[16] = {5};
    struct trail_entry entry = {0};

    (void)state;
    assert_int_equal(log_add_external(id), ERR_OK);
    assert_int_equal(erased_entries("anna"), 1);
    assert_int_equal(log_get(id, &entry), ERR_OK);
    assert_null(entry.personal[TRAIL_PERSONAL_PRINCIPAL].ptr);
    assert_null(entry.personal[TRAIL_PERSONAL_DETAILS].ptr);
    assert_true(span_is(entry.personal[TRAIL_PERSONAL_ACTOR], "robot"));
    log_is_sound();
}

/* ---- what is told ------------------------------------------------------------------------------
 */

static void erasing_is_recorded_without_the_name(void **state)
{
    struct trail_entry told;

    (void)state;
    add(NAME, "order:1");
    add(NAME, "order:2");
    assert_int_equal(erased_entries(NAME), 2);
    told = at(2);
    assert_true(span_is(told.event, "audit.erased"));
    assert_true(span_is(told.personal[TRAIL_PERSONAL_ACTOR], "uid:0"));
    assert_true(span_is(told.personal[TRAIL_PERSONAL_REASON], "request 4711"));
    assert_true(span_is(told.personal[TRAIL_PERSONAL_DETAILS],
                        "{\"entries\":\"2\",\"first\":\"0\",\"last\":\"1\"}"));
    assert_null(told.personal[TRAIL_PERSONAL_OBJECT].ptr);
}

static void counting_changes_nothing(void **state)
{
    struct trail_erased erased = {0};

    (void)state;
    add(NAME, "order:1");
    assert_int_equal(erase(NAME, true, &erased), ERR_OK);
    assert_int_equal(erased.entries, 1);
    assert_int_equal(log_size(), 1);
    assert_true(span_is(at(0).personal[TRAIL_PERSONAL_ACTOR], NAME));
    assert_int_equal(erased_entries("nobody"), 0);
    assert_int_equal(log_size(), 1); /* and nothing is told of nothing */
}

/* More than one commit holds, and other entries between them. */
static void many_entries_are_erased(void **state)
{
    enum { ENTRIES = 300 };

    (void)state;
    for (int i = 0; i < ENTRIES; i++)
        add(i % 2 == 0 ? NAME : "somebody", "order:1");
    assert_int_equal(erased_entries(NAME), ENTRIES / 2);
    assert_int_equal(log_size(), ENTRIES + 2);
    log_is_sound();
}

/* ---- what is left ------------------------------------------------------------------------------
 */

static bool file_holds(const char *name, struct span text)
{
    char path[128];
    char *bytes;
    size_t len;
    bool found = false;
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", log_bench.kit->dir, name);
    file = fopen(path, "rb");
    if (file == NULL)
        return false;
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    len = (size_t)ftell(file);
    rewind(file);
    bytes = alloc_raw(len + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, len, file), len);
    found = len >= text.len && memmem(bytes, len, text.ptr, text.len) != NULL;
    alloc_free(bytes);
    (void)fclose(file);
    return found;
}

static bool files_hold(struct span text)
{
    return file_holds("test.db", text) || file_holds("test.db-wal", text);
}

/* The server still runs: nobody has closed the file. */
static void nothing_is_left_in_the_file(void **state)
{
    char long_name[400];
    struct trail_entry entry;
    char room[TRAIL_SEED_BYTES_MAX];
    struct span seed;

    (void)state;
    if (log_bench.kit->postgres)
        skip();
    memset(long_name, 'q', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    for (int i = 0; i < 40; i++) {
        add(NAME, "order:1");
        add(long_name, "order:2");
        assert_int_equal(log_add(AT, "somebody", "order:3"), ERR_OK);
    }
    entry = at(0);
    assert_int_equal(entry.seed.len, trail_seed_bytes(&entry));
    memcpy(room, entry.seed.ptr, entry.seed.len);
    seed = span_make(room, entry.seed.len);
    assert_true(files_hold(SPAN_OF("wilhelmina")) && files_hold(seed));
    assert_int_equal(erased_entries(NAME), 40);
    assert_int_equal(erased_entries(long_name), 40);
    assert_false(files_hold(seed));
    assert_false(files_hold(SPAN_OF("wilhelmina")));
    assert_false(files_hold(span_make(long_name, 100)));
    assert_true(files_hold(SPAN_OF("somebody")));
    log_is_sound();
}

/* ---- who is in the way -------------------------------------------------------------------------
 */

struct reading {
    struct store_job job;
    sem_t begun, go, over;
};

static enum err reading_run(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement all = {.name = "test_erase_all",
                                               .sqlite = "SELECT seq FROM trail_events"};
    struct reading *reading = PC_CONTAINER(job, struct reading, job);
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &all, NULL, 0, &rows);

    if (err == ERR_OK && !store_next(rows))
        err = ERR_NOT_FOUND;
    (void)sem_post(&reading->begun);
    while (sem_wait(&reading->go) != 0)
        continue;
    return err;
}

static void reading_done(struct store_job *job)
{
    (void)sem_post(&PC_CONTAINER(job, struct reading, job)->over);
}

static void await(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0)
        continue;
}

static int impatient_setup(void **state)
{
    if (log_setup(state) != 0)
        return -1;
    store_close(log_bench.store);
    log_bench.kit->options.busy_timeout_ms = 50;
    log_bench.store = kit_open(log_bench.kit);
    return 0;
}

/* The rows are erased, and what was in them is still in the file beside them: that is no success,
 * and the next try mends it though it finds nothing. */
static void a_reader_in_the_way_is_told(void **state)
{
    struct reading reading = {.job = {.run = reading_run, .done = reading_done}};
    struct trail_erased erased = {0};
    struct store *other;

    (void)state;
    if (log_bench.kit->postgres)
        skip();
    for (int i = 0; i < 40; i++)
        add(NAME, "order:1");
    other = kit_open(log_bench.kit);
    assert_int_equal(sem_init(&reading.begun, 0, 0) + sem_init(&reading.go, 0, 0) +
                         sem_init(&reading.over, 0, 0),
                     0);
    assert_int_equal(store_read(other, &reading.job), ERR_OK);
    await(&reading.begun);
    the_wait_ns = 0;
    assert_int_equal(erase(NAME, false, &erased), ERR_BUSY);
    the_wait_ns = 10 * CLOCK_NS_PER_S;
    assert_int_equal(erased.entries, 40);
    assert_true(erased.log_holds);
    assert_null(at(0).personal[TRAIL_PERSONAL_ACTOR].ptr);
    assert_true(files_hold(SPAN_OF("wilhelmina")));
    (void)sem_post(&reading.go);
    await(&reading.over);
    assert_int_equal(reading.job.err, ERR_OK);
    store_close(other);
    assert_int_equal(erased_entries(NAME), 0);
    assert_false(files_hold(SPAN_OF("wilhelmina")));
    (void)sem_destroy(&reading.begun);
    (void)sem_destroy(&reading.go);
    (void)sem_destroy(&reading.over);
}

static bool has(struct span bytes, const struct trail_hash *hash)
{
    return bytes.ptr != NULL &&
           memmem(bytes.ptr, bytes.len, hash->bytes, sizeof(hash->bytes)) != NULL;
}

/* Who has the row and the right name still cannot tell that it is the right one. */
static void what_stays_resists_guessing(void **state)
{
    struct trail_entry entry;
    const struct span name = SPAN(NAME);
    struct trail_hash guess;

    (void)state;
    add(NAME, "order:1");
    assert_int_equal(erased_entries(NAME), 1);
    entry = at(0);
    for (size_t i = 0; i + TRAIL_HASH_BYTES <= entry.erased.len; i++) {
        struct trail_hash salt;

        memcpy(salt.bytes, entry.erased.ptr + i, sizeof(salt.bytes));
        trail_commit(TRAIL_PERSONAL_ACTOR, &salt, name, &guess);
        assert_false(has(entry.erased, &guess));
        memcpy(salt.bytes + TRAIL_SALT_OWN_BYTES, entry.id, TRAIL_ID_BYTES);
        trail_commit(TRAIL_PERSONAL_ACTOR, &salt, name, &guess);
        assert_false(has(entry.erased, &guess));
    }
    crypto_sha256(name, guess.bytes);
    assert_false(has(entry.erased, &guess));
}

/* ---- what was tampered with --------------------------------------------------------------------
 */

static const struct store_statement open_up = {
    .name = "test_erase_open",
    .sqlite = "DROP TRIGGER trail_events_no_update",
    .postgres = "DROP TRIGGER trail_events_stay ON trail_events"};
static const struct store_statement tamper = {
    .name = "test_erase_tamper",
    .sqlite = "UPDATE trail_events SET object = 'order:9' WHERE seq = 1"};

/* Erasing must not make a forged entry look as if it had always been so. */
static void a_forged_entry_is_left_alone(void **state)
{
    struct trail_erased erased = {0};

    (void)state;
    add("somebody", "order:1");
    add(NAME, "order:2");
    kit_exec(log_bench.store, &open_up);
    kit_exec(log_bench.store, &tamper);
    assert_int_equal(erase(NAME, false, &erased), ERR_STORE_CORRUPT);
    assert_int_equal(erased.corrupt_seq, 1);
    assert_int_equal(erased.entries, 0);
    assert_true(span_is(at(1).personal[TRAIL_PERSONAL_ACTOR], NAME));
    assert_int_equal(log_size(), 2);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, log_setup, log_teardown)
    const struct CMUnitTest tests[] = {
        T(the_person_goes_and_the_leaf_stays),
        T(objects_lose_their_name_alone),
        T(an_entry_is_erased_twice),
        T(a_principal_is_erased),
        T(erasing_is_recorded_without_the_name),
        T(counting_changes_nothing),
        T(many_entries_are_erased),
        T(nothing_is_left_in_the_file),
        cmocka_unit_test_setup_teardown(a_reader_in_the_way_is_told, impatient_setup, log_teardown),
        T(what_stays_resists_guessing),
        T(a_forged_entry_is_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
