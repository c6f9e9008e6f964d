/* SPDX-License-Identifier: MIT
 * Copies of a database: whole while others write, checked, never over something, and not at all
 * where they could not be made. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store_test_kit.h"

struct place {
    char path[TEST_FOLDER_BYTES + 32], partial[TEST_FOLDER_BYTES + 32];
};

static struct place place_of(const struct kit *kit, const char *name)
{
    struct place place;

    (void)snprintf(place.path, sizeof(place.path), "%s/%s", kit->dir, name);
    (void)snprintf(place.partial, sizeof(place.partial), "%s/%s.part", kit->dir, name);
    return place;
}

static bool is_there(const char *path)
{
    struct stat seen;

    return lstat(path, &seen) == 0;
}

static void is_refused(const struct kit *kit, const char *name, enum err err, const char *words)
{
    struct place place = place_of(kit, name);
    struct store_fault fault = {""};
    int64_t bytes = -7;

    assert_int_equal(store_backup(&kit->options, place.path, &bytes, &fault), err);
    if (strstr(fault.text, words) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", fault.text, words);
    assert_int_equal(bytes, -7);
    assert_false(is_there(place.partial));
}

static int64_t things_in(const struct kit *kit, const char *url)
{
    struct kit other = *kit;
    struct store *store;
    int64_t count;

    other.options.url = span_from(url);
    store = kit_open(&other);
    count = kit_things(store);
    store_close(store);
    return count;
}

/* What was there before is in it, what came behind is not, and the store goes on. */
static void a_copy_is_of_one_moment(void **state)
{
    struct kit *kit = *state;
    struct place place = place_of(kit, "other.db");
    struct store_fault fault = {""};
    struct store *store;
    struct stat seen;
    int64_t bytes = 0;

    if (kit->postgres)
        skip();
    store = kit_open_with_table(kit);
    for (int64_t i = 1; i <= 500; i++)
        assert_int_equal(kit_add(store, i), ERR_OK);
    if (store_backup(&kit->options, place.path, &bytes, &fault) != ERR_OK)
        fail_msg("%s", fault.text);
    assert_int_equal(kit_add(store, 501), ERR_OK);
    assert_int_equal(stat(place.path, &seen), 0);
    assert_int_equal(seen.st_mode & 0777, 0600);
    assert_int_equal(seen.st_size, bytes);
    assert_false(is_there(place.partial));
    assert_int_equal(things_in(kit, "sqlite:other.db"), 500);
    assert_int_equal(kit_things(store), 501);
    store_close(store);
}

/* Each has at least what was acknowledged before it began. */
static void copies_under_writes_are_whole(void **state)
{
    struct kit *kit = *state;
    struct place place = place_of(kit, "other.db");
    struct kit_job jobs[64];
    struct store *store;

    if (kit->postgres)
        skip();
    store = kit_open_with_table(kit);
    for (int round = 0; round < 8; round++) {
        int64_t bytes;

        for (size_t i = 0; i < PC_COUNT(jobs); i++) {
            kit_job_init(&jobs[i], round * 100 + (int64_t)i + 1);
            assert_int_equal(store_write(store, &jobs[i].job), ERR_OK);
        }
        assert_int_equal(store_backup(&kit->options, place.path, &bytes, NULL), ERR_OK);
        for (size_t i = 0; i < PC_COUNT(jobs); i++) {
            kit_await(&jobs[i]);
            assert_int_equal(jobs[i].job.err, ERR_OK);
            (void)sem_destroy(&jobs[i].over);
        }
        assert_in_range(things_in(kit, "sqlite:other.db"), (uintmax_t)round * 64,
                        ((uintmax_t)round + 1) * 64);
        assert_int_equal(unlink(place.path), 0);
    }
    store_close(store);
}

static void nothing_is_written_over(void **state)
{
    struct kit *kit = *state;
    struct place place = place_of(kit, "other.db");
    int fd;

    if (kit->postgres)
        skip();
    store_close(kit_open_with_table(kit));
    fd = open(place.path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "mine", 4), 4);
    assert_int_equal(close(fd), 0);
    is_refused(kit, "other.db", ERR_IO, "File exists");
    is_refused(kit, "nowhere/other.db", ERR_IO, "No such file");
}

/* A database that is not there is not made, and another program's is no backup of ours. */
static void only_a_database_of_ours(void **state)
{
    struct kit *kit = *state;
    struct place place = place_of(kit, "test.db");
    int fd;

    if (kit->postgres)
        skip();
    is_refused(kit, "other.db", ERR_STORE_UNAVAILABLE, "unable to open");
    assert_false(is_there(place.path));
    fd = open(place.path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    is_refused(kit, "other.db", ERR_STORE_CORRUPT, "application_id");
}

/* A page in the middle is spoilt: the copy would be, too, so there is none. */
static void a_damaged_database_gives_no_copy(void **state)
{
    static const char junk[64] = "this is not a page of a database";
    struct kit *kit = *state;
    struct place place = place_of(kit, "test.db");
    struct store *store;
    int fd;

    if (kit->postgres)
        skip();
    store = kit_open_with_table(kit);
    for (int64_t i = 1; i <= 500; i++)
        assert_int_equal(kit_add(store, i), ERR_OK);
    store_close(store);
    fd = open(place.path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, junk, sizeof(junk), 2 * 4096L), sizeof(junk));
    assert_int_equal(close(fd), 0);
    is_refused(kit, "other.db", ERR_STORE_CORRUPT, "");
    assert_false(is_there(place_of(kit, "other.db").path));
}

static void postgres_has_its_own(void **state)
{
    struct kit *kit = *state;

    if (!kit->postgres)
        kit->options.url = SPAN_OF("postgresql://ada:secret@db.example/money");
    is_refused(kit, "other.db", ERR_NOT_IMPLEMENTED, "pg_dump");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(a_copy_is_of_one_moment),          KIT_TEST(copies_under_writes_are_whole),
        KIT_TEST(nothing_is_written_over),          KIT_TEST(only_a_database_of_ours),
        KIT_TEST(a_damaged_database_gives_no_copy), KIT_TEST(postgres_has_its_own)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
