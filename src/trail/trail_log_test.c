/* SPDX-License-Identifier: MIT
 * The log on both databases: places without a gap, times that never go back, leaves that can be
 * made again from what is stored, a tree that is that of the leaves, and every way to find an
 * event. */
#include "trail/trail_test_kit.h"

/* ---- places, times, leaves --------------------------------------------------------------------
 */

static const struct store_statement gaps_count = {
    .name = "test_trail_gaps",
    .sqlite = "SELECT count(*) FROM (SELECT seq, at, lag(seq) OVER (ORDER BY seq) AS seq_before, "
              "lag(at) OVER (ORDER BY seq) AS at_before FROM trail_events) AS steps "
              "WHERE seq_before IS NOT NULL AND (seq <> seq_before + 1 OR at < at_before)"};

static void places_have_no_gap_and_times_never_go_back(void **state)
{
    (void)state;
    for (int64_t i = 0; i < 10; i++)
        assert_int_equal(log_add(AT + (i % 3 == 0 ? -i : i), "7", "order:1"), ERR_OK);
    assert_int_equal(log_number(&gaps_count), 0);
    assert_int_equal(log_size(), 10);
    log_is_sound();
}

/* Jobs of one batch and groups that are run together share a commit and its seal. */
static void a_batch_is_sealed_whole(void **state)
{
    enum { JOBS = 40 };
    static struct log_job jobs[JOBS];

    (void)state;
    for (size_t i = 0; i < JOBS; i++)
        log_job_give(&jobs[i], i % 3 == 1 ? ERR_VALIDATION : ERR_OK);
    for (size_t i = 0; i < JOBS; i++)
        assert_int_equal(log_job_await(&jobs[i]), i % 3 == 1 ? ERR_VALIDATION : ERR_OK);
    assert_int_equal(log_size(), JOBS - 13);
    log_is_sound();
}

/* Whatever of a record is changed, its leaf is another. */
static void every_field_is_in_the_leaf(void **state)
{
    struct trail_entry entry = log_entry_full();
    struct span *const texts[] = {&entry.event,       &entry.category,    &entry.severity,
                                  &entry.outcome,     &entry.source,      &entry.actor_kind,
                                  &entry.client,      &entry.request_id,  &entry.tags,
                                  &entry.personal[0], &entry.personal[1], &entry.personal[2],
                                  &entry.personal[3], &entry.personal[4], &entry.personal[5]};
    struct trail_hash before, after;

    (void)state;
    assert_int_equal(trail_entry_leaf(&entry, &before), ERR_OK);
    for (size_t i = 0; i < PC_COUNT(texts); i++) {
        struct span kept = *texts[i];

        *texts[i] = SPAN_OF("else");
        assert_int_equal(trail_entry_leaf(&entry, &after), ERR_OK);
        assert_memory_not_equal(&before, &after, sizeof(before));
        *texts[i] = (struct span){0};
        assert_int_equal(trail_entry_leaf(&entry, &after), ERR_OK);
        assert_memory_not_equal(&before, &after, sizeof(before));
        *texts[i] = kept;
    }
    entry.at_ns++;
    assert_int_equal(trail_entry_leaf(&entry, &after), ERR_OK);
    assert_memory_not_equal(&before, &after, sizeof(before));
    entry.at_ns--;
    entry.id[15] ^= 1;
    assert_int_equal(trail_entry_leaf(&entry, &after), ERR_OK);
    assert_memory_not_equal(&before, &after, sizeof(before));
    entry.id[15] ^= 1;
    assert_int_equal(trail_entry_leaf(&entry, &after), ERR_OK);
    assert_memory_equal(&before, &after, sizeof(before));
}

/* A text that moves from one field to the next does not stay the same record. */
static void fields_do_not_run_together(void **state)
{
    struct trail_entry one = {.event = SPAN("ab"), .category = SPAN("c")};
    struct trail_entry other = {.event = SPAN("a"), .category = SPAN("bc")};
    struct trail_hash a, b;

    (void)state;
    assert_int_equal(trail_entry_leaf(&one, &a), ERR_OK);
    assert_int_equal(trail_entry_leaf(&other, &b), ERR_OK);
    assert_memory_not_equal(&a, &b, sizeof(a));
}

/* Written from the format's description alone, by another program (python3, hashlib). */
static void the_leaf_is_as_described(void **state)
{
    static const char wanted[] = "0c08e92f3543ef2e6106a39b1727e990dd7d8ebda18239c38b025857eb8f5e92";
    struct trail_entry entry = log_entry_full();
    struct trail_hash leaf;
    char text[2 * TRAIL_HASH_BYTES + 1];
    struct sbuf out = sbuf_over(text, sizeof(text));

    (void)state;
    assert_int_equal(trail_entry_leaf(&entry, &leaf), ERR_OK);
    sbuf_add_hex(&out, leaf.bytes, sizeof(leaf.bytes));
    if (!span_is(sbuf_span(&out), wanted))
        fail_msg("%.*s", SPAN_ARG(sbuf_span(&out)));
}

/* Every salt is another one, also of another entry; a seed that lacks one cannot have been written.
 */
static void a_salt_is_of_one_field(void **state)
{
    struct trail_entry entry = log_entry_full();
    struct trail_hash salts[TRAIL_PERSONAL_COUNT], other, leaf;

    (void)state;
    for (size_t i = 0; i < TRAIL_PERSONAL_COUNT; i++) {
        trail_salt(&entry, (enum trail_personal)i, &salts[i]);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(&salts[i], &salts[j], TRAIL_SALT_OWN_BYTES);
    }
    entry.id[3] ^= 1;
    trail_salt(&entry, TRAIL_PERSONAL_ACTOR, &other);
    assert_memory_not_equal(&salts[0], &other, sizeof(other));
    entry.personal[TRAIL_PERSONAL_ACTOR] = (struct span){0};
    assert_int_equal(trail_seed_bytes(&entry), 5 * TRAIL_SALT_OWN_BYTES);
    entry.seed.len = trail_seed_bytes(&entry);
    assert_int_equal(trail_entry_leaf(&entry, &leaf), ERR_OK);
    entry.seed.len--;
    assert_int_equal(trail_entry_leaf(&entry, &leaf), ERR_STORE_CORRUPT);
}

/* ---- the head ----------------------------------------------------------------------------------
 */

static enum err crowd_run(struct store_conn *conn, struct store_job *job)
{
    const struct trail_record record = {
        .event = TRAIL_LOGOUT, .outcome = TRAIL_DONE, .at_ns = AT, .actor = SPAN("9")};
    const size_t *count = job->context;
    enum err err = ERR_OK;

    for (size_t i = 0; i < *count && err == ERR_OK; i++)
        err = trail_add(conn, &record);
    return err;
}

static void crowd(size_t count)
{
    assert_int_equal(store_do(log_bench.store, crowd_run, &count, true), ERR_OK);
}

/* Whether a commit ends before, at or behind 256 leaves, or many of them. */
static void every_commit_leaves_its_tree(void **state)
{
    static const size_t sizes[] = {1, 2, 1, 251, 1, 1, 255, 257, 256, 3, 700, 1, 1, 318, 1};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(sizes); i++) {
        crowd(sizes[i]);
        log_is_sound();
    }
    assert_int_equal(log_size(), 2049);
}

/* SQLite: the head's row is of the last 256 and stays; the last row has to go on from it. */
static void a_last_row_without_roots_is_damage(void **state)
{
    static const struct store_statement
        head = {.name = "head_size", .sqlite = "SELECT size FROM trail_head"},
        guard = {.name = "no_guard", .sqlite = "DROP TRIGGER trail_events_no_update"},
        drop = {.name = "no_roots",
                .sqlite = "UPDATE trail_events SET roots = NULL WHERE seq = 299"};
    struct log_read read = {.filter = {.limit = 1}};

    (void)state;
    if (log_bench.kit->postgres)
        skip();
    crowd(260);
    crowd(40);
    assert_int_equal(log_number(&head), 260);
    assert_int_equal(log_size(), 300);
    kit_exec(log_bench.store, &guard);
    kit_exec(log_bench.store, &drop);
    assert_int_equal(store_do(log_bench.store, log_all_run, &read, false), ERR_STORE_CORRUPT);
    assert_int_equal(log_add(AT, "7", "order:1"), ERR_STORE_CORRUPT);
}

/* ---- an event from outside ---------------------------------------------------------------------
 */

static const struct store_statement tags_count = {
    .name = "test_trail_tags", .sqlite = "SELECT count(*) FROM trail_tags WHERE tag = 'pci'"};

static void external_events_keep_their_id(void **state)
{
    static const unsigned char id[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    struct trail_entry entry = {0};

    (void)state;
    assert_int_equal(log_add_external(id), ERR_OK);
    assert_int_equal(log_get(id, &entry), ERR_OK);
    assert_true(span_is(entry.event, "card.read"));
    assert_true(span_is(entry.source, "scanner"));
    assert_true(span_is(entry.tags, "[\"pci\",\"gdpr\"]"));
    assert_true(span_is(entry.personal[TRAIL_PERSONAL_DETAILS], "{\"n\":1}"));
    assert_int_equal(log_number(&tags_count), 1);
    assert_int_equal(log_add_external(id), ERR_STORE_UNIQUE); /* and nothing else is lost */
    assert_int_equal(log_add(AT, "7", "order:1"), ERR_OK);
    assert_int_equal(log_size(), 2);
    log_is_sound();
}

static void ids_are_of_version_7(void **state)
{
    struct trail_entry *list = NULL;
    size_t count = 0;

    (void)state;
    assert_int_equal(log_add(AT, "7", "order:1"), ERR_OK);
    assert_int_equal(log_find((struct trail_filter){.limit = 5}, &list, &count), ERR_OK);
    assert_int_equal(count, 1);
    assert_int_equal(list[0].id[6] >> 4, 7);
    assert_int_equal(list[0].id[8] >> 6, 2);
}

/* ---- finding ------------------------------------------------------------------------------------
 */

struct find_case {
    struct trail_filter filter;
    const char *wanted; /* seqs */
};

static void check_find(const struct find_case *c, size_t number)
{
    struct trail_entry *list = NULL;
    size_t count = 0;
    char text[256];
    struct sbuf out = sbuf_over(text, sizeof(text));

    assert_int_equal(log_find(c->filter, &list, &count), ERR_OK);
    for (size_t i = 0; i < count; i++)
        sbuf_add_format(&out, "%s%lld", i == 0 ? "" : " ", (long long)list[i].seq);
    if (!span_is(sbuf_span(&out), c->wanted))
        fail_msg("case %zu: %.*s", number, SPAN_ARG(sbuf_span(&out)));
}

static void every_filter_finds_its_events(void **state)
{
    static const unsigned char id[16] = {9};
    const struct find_case cases[] = {
        {{.limit = 10}, "7 6 5 4 3 2 1 0"},
        {{.limit = 3}, "7 6 5"},
        {{.limit = 3, .before_seq = 5}, "4 3 2"},
        {{.limit = 3, .oldest_first = true, .from_seq = 6}, "6 7"},
        {{.limit = 9, .actor = SPAN("1")}, "3 2 0"},
        {{.limit = 9, .actor = SPAN("1"), .oldest_first = true}, "0 2 3"},
        {{.limit = 9, .actor = SPAN("1"), .object = SPAN("a")}, "2 0"},
        {{.limit = 9, .object = SPAN("b")}, "6 3 1"},
        {{.limit = 1, .object = SPAN("b"), .before_seq = 6}, "3"},
        {{.limit = 9, .event = SPAN("user.login")}, "6 5 4 3 2 1 0"},
        {{.limit = 9, .event = SPAN("card.read")}, "7"},
        {{.limit = 9, .category = SPAN("compliance")}, "7"},
        {{.limit = 2, .category = SPAN("security"), .oldest_first = true}, "0 1"},
        {{.limit = 9, .category = SPAN("transaction")}, ""},
        {{.limit = 9, .severity = SPAN("info"), .actor = SPAN("2")}, "4 1"},
        {{.limit = 9, .severity = SPAN("critical")}, "7"},
        {{.limit = 9, .tag = SPAN("pci")}, "7"},
        {{.limit = 9, .tag = SPAN("pci"), .oldest_first = true, .actor = SPAN("1")}, ""},
        {{.limit = 9, .tag = SPAN("gdpr"), .actor = SPAN("robot")}, "7"},
        {{.limit = 9, .source = SPAN("scanner")}, "7"},
        {{.limit = 9, .outcome = SPAN("refused")}, "5"},
        {{.limit = 9, .from_ns = AT + 40}, "7 6 5 4"},
        {{.limit = 9, .from_ns = AT + 41}, "7 6 5"},
        {{.limit = 9, .to_ns = AT + 20}, "1 0"},
        {{.limit = 9, .from_ns = AT + 15, .to_ns = AT + 45, .oldest_first = true}, "2 3 4"},
        {{.limit = 9, .from_ns = AT + 1000}, ""},
        {{.limit = 9, .actor = SPAN("nobody")}, ""},
    };
    static const char *const actors[] = {"1", "2", "1", "1", "2", "3", "3"};
    static const char *const objects[] = {"a", "b", "a", "b", "a", "a", "b"};

    (void)state;
    for (int i = 0; i < 7; i++)
        assert_int_equal(log_add_outcome(AT + (int64_t)i * 10, actors[i], objects[i], i != 5),
                         ERR_OK);
    assert_int_equal(log_add_external(id), ERR_OK);
    for (size_t i = 0; i < PC_COUNT(cases); i++)
        check_find(&cases[i], i);
}

/* However few rows a search may look at, going on leads through all that there is to be found, and
 * none of its steps is longer. */
struct some {
    struct trail_filter filter;
    struct trail_entry *list;
    size_t count;
    int64_t before;
};

static enum err some_run(struct store_conn *conn, struct store_job *job)
{
    struct some *some = job->context;

    return trail_find_some(conn, &some->filter, 4, &log_bench.arena, &some->list, &some->count,
                           &some->before);
}

static void check_some(const struct find_case *c, size_t steps_max)
{
    struct some some = {.filter = c->filter};
    char text[256];
    struct sbuf out = sbuf_over(text, sizeof(text));
    size_t steps = 0;

    do {
        some.filter.before_seq = some.before;
        assert_int_equal(store_do(log_bench.store, some_run, &some, false), ERR_OK);
        for (size_t i = 0; i < some.count; i++)
            sbuf_add_format(&out, "%s%lld", out.len == 0 ? "" : " ", (long long)some.list[i].seq);
    } while (++steps < 100 && some.before > 0);
    if (!span_is(sbuf_span(&out), c->wanted))
        fail_msg("%.*s, not %s", SPAN_ARG(sbuf_span(&out)), c->wanted);
    assert_int_equal(steps, steps_max);
}

static void a_search_is_made_in_steps(void **state)
{
    enum { ENTRIES = 20 };

    (void)state;
    for (int i = 0; i < ENTRIES; i++)
        assert_int_equal(log_add_outcome(AT, i % 2 == 0 ? "1" : "2", "a", i != 3), ERR_OK);
    check_some(&(struct find_case){{.limit = 9, .outcome = SPAN("refused")}, "3"}, 5);
    check_some(&(struct find_case){{.limit = 9, .source = SPAN("nobody")}, ""}, 5);
    check_some(&(struct find_case){{.limit = 9, .category = SPAN("transaction")}, ""}, 5);
    check_some(
        &(struct find_case){{.limit = 9, .actor = SPAN("2"), .outcome = SPAN("refused")}, "3"}, 3);
    check_some(&(struct find_case){{.limit = 9, .object = SPAN("a"), .tag = SPAN("x")}, ""}, 5);
    check_some(
        &(struct find_case){{.limit = 9, .category = SPAN("security"), .actor = SPAN("3")}, ""}, 1);
    check_some(&(struct find_case){{.limit = 9, .actor = SPAN("2")}, "19 17 15 13 11 9 7 5 3"}, 1);
    check_some(&(struct find_case){{.limit = 30, .event = SPAN("user.login")},
                                   "19 18 17 16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 0"},
               1);
}

static void what_is_not_there_is_not_found(void **state)
{
    static const unsigned char id[16] = {7};
    struct trail_entry entry = {0};

    (void)state;
    assert_int_equal(log_get(id, &entry), ERR_NOT_FOUND);
}

/* ---- lines --------------------------------------------------------------------------------------
 */

static void a_line_shows_values_and_salts(void **state)
{
    static const char wanted[] =
        "{\"seq\":3,\"id\":\"01020304-0506-0708-090a-0b0c0d0e0f10\","
        "\"at\":\"2027-01-15T08:00:00.000000007Z\",\"at_ns\":\"1800000000000000007\","
        "\"event\":\"e\",\"category\":\"c\",\"severity\":\"s\",\"outcome\":\"done\","
        "\"source\":\"f\",\"actor_kind\":\"user\",\"client\":\"k\",\"request_id\":\"r\","
        "\"tags\":[\"pci\"],\"personal\":{\"actor\":{\"salt\":\"";
    struct trail_entry entry = log_entry_full();
    char text[4096];
    struct sbuf out = sbuf_over(text, sizeof(text));

    (void)state;
    assert_int_equal(trail_line_write(&entry, &out), ERR_OK);
    assert_true(span_starts(sbuf_span(&out), span_from(wanted)));
    assert_true(span_ends(sbuf_span(&out), SPAN_OF("\"}\n")));
    out = sbuf_over(text, 100);
    assert_int_equal(trail_line_write(&entry, &out), ERR_NO_SPACE);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, log_setup, log_teardown)
    const struct CMUnitTest tests[] = {
        T(places_have_no_gap_and_times_never_go_back),
        T(a_batch_is_sealed_whole),
        T(every_commit_leaves_its_tree),
        T(a_last_row_without_roots_is_damage),
        T(every_field_is_in_the_leaf),
        T(fields_do_not_run_together),
        T(the_leaf_is_as_described),
        cmocka_unit_test(a_salt_is_of_one_field),
        T(external_events_keep_their_id),
        T(ids_are_of_version_7),
        T(every_filter_finds_its_events),
        T(a_search_is_made_in_steps),
        T(what_is_not_there_is_not_found),
        T(a_line_shows_values_and_salts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
