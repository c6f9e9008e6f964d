/* SPDX-License-Identifier: MIT
 * Leaves that two make: the same as one would, whoever made which, however many there are, and
 * nothing is touched behind the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "trail/trail_priv.h"

enum { MANY = TRAIL_HASHER_PARTS * TRAIL_HASHER_PART + 100 };

static const char seed[TRAIL_SEED_BYTES_MAX] = "of one field and of the other, and so on";
static char long_text[20 * 1024];

struct bench {
    struct trail_hasher hasher;
    struct trail_entry *entries;
    struct trail_hash *wanted;
};

static void entries_fill(struct trail_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        entries[i] = (struct trail_entry){.at_ns = (int64_t)i,
                                          .event = SPAN("user.login"),
                                          .personal[TRAIL_PERSONAL_ACTOR] = SPAN("7"),
                                          .personal[TRAIL_PERSONAL_DETAILS] = SPAN("{}"),
                                          .seed = span_make(seed, sizeof(seed))};
}

static int bench_setup(void **state)
{
    struct bench *bench = alloc_zero(sizeof(*bench));

    if (bench == NULL)
        return -1;
    *state = bench;
    bench->entries = alloc_zero(MANY * sizeof(*bench->entries));
    bench->wanted = alloc_zero(MANY * sizeof(*bench->wanted));
    if (bench->entries == NULL || bench->wanted == NULL)
        return -1;
    entries_fill(bench->entries, MANY);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(trail_entry_leaf(&bench->entries[i], &bench->wanted[i]), ERR_OK);
    trail_hasher_init(&bench->hasher);
    return 0;
}

static int bench_teardown(void **state)
{
    struct bench *bench = *state;

    trail_hasher_free(&bench->hasher);
    alloc_free(bench->entries);
    alloc_free(bench->wanted);
    alloc_free(bench);
    return 0;
}

/* As the log does: so many at a time, as they come. */
static void all_are_made(struct bench *bench, size_t count, size_t most)
{
    entries_fill(bench->entries, count);
    trail_hasher_begin(&bench->hasher, bench->entries, count);
    for (size_t done = 0, some = 0; done < count; done += some) {
        size_t rest = count - done;

        assert_int_equal(trail_hasher_some(&bench->hasher, done, rest < most ? rest : most, &some),
                         ERR_OK);
        assert_in_range(some, 1, rest < most ? rest : most);
        for (size_t i = done; i < done + some; i++)
            assert_memory_equal(&bench->entries[i].leaf, &bench->wanted[i], TRAIL_HASH_BYTES);
    }
    trail_hasher_end(&bench->hasher);
}

static void two_make_what_one_would(void **state)
{
    static const size_t counts[] = {0, 1, 7, 8, 9, 16, 17, 64, 100, 1000, MANY};
    static const size_t most[] = {1, 5, 8, 64, MANY};

    for (size_t i = 0; i < PC_COUNT(counts); i++) {
        for (size_t j = 0; j < PC_COUNT(most); j++)
            all_are_made(*state, counts[i], most[j]);
    }
}

/* Also without a thread beside, and for few nobody is started. */
static void few_are_made_alone(void **state)
{
    struct bench *bench = *state;

    all_are_made(bench, TRAIL_HASHER_FEW, 64);
    assert_false(bench->hasher.tried);
    bench->hasher.tried = true; /* and could not */
    all_are_made(bench, MANY, 64);
    assert_false(bench->hasher.runs);
}

/* Where a commit ends early the entries are the writer's again, whoever was at them. */
static void nothing_is_touched_behind_the_end(void **state)
{
    static const struct trail_hash none;
    struct bench *bench = *state;

    for (size_t round = 0; round < 200; round++) {
        size_t some = 0;

        entries_fill(bench->entries, 1000);
        trail_hasher_begin(&bench->hasher, bench->entries, 1000);
        if (round % 2 == 1)
            assert_int_equal(trail_hasher_some(&bench->hasher, 0, 64, &some), ERR_OK);
        trail_hasher_end(&bench->hasher);
        entries_fill(bench->entries, 1000);
        assert_int_equal(bench->hasher.begun, bench->hasher.parts);
        assert_int_equal(bench->hasher.over, bench->hasher.parts);
        for (size_t i = 0; i < 1000; i++)
            assert_memory_equal(&bench->entries[i].leaf, &none, sizeof(none));
    }
}

/* Whoever finds it. */
static void what_is_no_leaf_is_told(void **state)
{
    struct bench *bench = *state;
    enum err err = ERR_OK;

    memset(long_text, 'x', sizeof(long_text));
    for (size_t wrong = 0; wrong < 200; wrong += 13) {
        entries_fill(bench->entries, 200);
        bench->entries[wrong].client = span_make(long_text, sizeof(long_text));
        trail_hasher_begin(&bench->hasher, bench->entries, 200);
        for (size_t done = 0, some = 0; done < 200 && err == ERR_OK; done += some)
            err = trail_hasher_some(&bench->hasher, done, 200 - done, &some);
        trail_hasher_end(&bench->hasher);
        assert_int_equal(err, ERR_STORE_CORRUPT);
        err = ERR_OK;
        all_are_made(bench, 200, 64);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        T(two_make_what_one_would),
        T(few_are_made_alone),
        T(nothing_is_touched_behind_the_end),
        T(what_is_no_leaf_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
