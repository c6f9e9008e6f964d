/* SPDX-License-Identifier: MIT
 * Searches over more events than a block and a segment of the index hold, against a model: every
 * filter, both ways, in steps of every kind; with rows of the index gone, after commits that failed
 * and from handles that did not write the block; and what is erased is not in the index. */
#include "trail/trail_erase.h"

#include "trail/trail_test_kit.h"

enum {
    SEGMENT = TRAIL_INDEX_LEAVES * TRAIL_INDEX_BLOCKS,
    ENTRIES = SEGMENT + 3 * TRAIL_INDEX_LEAVES + 57, /* a segment, blocks, and a tail */
    COMMIT = 500,
};

/* What stands in the log at each place, told by the place alone. */
struct model {
    char actor[32], object[32];
    enum trail_event event;
    bool done;
};

static const enum trail_event events[] = {TRAIL_LOGIN, TRAIL_LOGOUT, TRAIL_LOGIN, TRAIL_LOGIN};

static uint64_t mixed(uint64_t seq, uint64_t salt)
{
    uint64_t x = (seq + 1) * UINT64_C(0x9E3779B97F4A7C15) ^ salt * UINT64_C(0xC2B2AE3D27D4EB4F);

    x ^= x >> 29;
    x *= UINT64_C(0xBF58476D1CE4E5B9);
    return x ^ x >> 32;
}

/* Actors of every kind of spread: everywhere, in a stretch, here and there, once. */
static struct model model_of(int64_t seq)
{
    struct model model = {.event = events[mixed((uint64_t)seq, 1) % PC_COUNT(events)],
                          .done = mixed((uint64_t)seq, 2) % 7 != 0};
    uint64_t kind = mixed((uint64_t)seq, 3) % 100;

    if (seq >= 1000 && seq < 1900)
        (void)snprintf(model.actor, sizeof(model.actor), "stretch");
    else if (kind < 40)
        (void)snprintf(model.actor, sizeof(model.actor), "often");
    else if (kind < 43)
        (void)snprintf(model.actor, sizeof(model.actor), "seldom");
    else if (seq == 4711)
        (void)snprintf(model.actor, sizeof(model.actor), "once");
    else
        (void)snprintf(model.actor, sizeof(model.actor), "u%d",
                       (int)(mixed((uint64_t)seq, 4) % 3000));
    (void)snprintf(model.object, sizeof(model.object), "order:%d", (int)(seq / 2));
    return model;
}

static bool is_wanted(const struct trail_filter *filter, int64_t seq)
{
    struct model model = model_of(seq);

    return (filter->actor.len == 0 || span_is(filter->actor, model.actor)) &&
           (filter->object.len == 0 || span_is(filter->object, model.object)) &&
           (filter->event.len == 0 || span_is(filter->event, trail_event_name(model.event))) &&
           (filter->category.len == 0 ||
            span_is(filter->category, trail_event_category(model.event))) &&
           (filter->outcome.len == 0 || span_is(filter->outcome, model.done ? "done" : "refused"));
}

/* ---- the log -----------------------------------------------------------------------------------
 */

struct stretch {
    int64_t from, to;
    enum err fail_with;
};

static enum err stretch_run(struct store_conn *conn, struct store_job *job)
{
    const struct stretch *stretch = job->context;
    enum err err = ERR_OK;

    for (int64_t seq = stretch->from; seq < stretch->to && err == ERR_OK; seq++) {
        struct model model = model_of(seq);
        const struct trail_record record = {.event = model.event,
                                            .outcome = model.done ? TRAIL_DONE : TRAIL_REFUSED,
                                            .at_ns = AT + seq,
                                            .actor_kind = TRAIL_ACTOR_USER,
                                            .actor = span_from(model.actor),
                                            .object = span_from(model.object),
                                            .address = SPAN("192.0.2.1")};

        err = trail_add(conn, &record);
    }
    return err ? err : stretch->fail_with;
}

static void fill(struct store *store, int64_t from, int64_t to, int64_t commit)
{
    for (int64_t at = from; at < to; at += commit) {
        struct stretch stretch = {.from = at, .to = at + commit < to ? at + commit : to};

        assert_int_equal(store_do(store, stretch_run, &stretch, true), ERR_OK);
    }
}

static int full_setup(void **state)
{
    if (log_setup(state) != 0)
        return -1;
    fill(log_bench.store, 0, ENTRIES, COMMIT);
    return 0;
}

/* ---- searches ----------------------------------------------------------------------------------
 */

static const struct trail_filter filters[] = {
    {.actor = SPAN("often")},
    {.actor = SPAN("seldom")},
    {.actor = SPAN("stretch")},
    {.actor = SPAN("once")},
    {.actor = SPAN("nobody")},
    {.actor = SPAN("u17")},
    {.actor = SPAN("often"), .outcome = SPAN("refused")},
    {.actor = SPAN("seldom"), .event = SPAN("user.logout"), .outcome = SPAN("refused")},
    {.object = SPAN("order:1")},
    {.object = SPAN("order:8500")},
    {.object = SPAN("order:2100"), .actor = SPAN("often")},
    {.event = SPAN("user.logout")},
    {.event = SPAN("user.logout"), .outcome = SPAN("refused")},
    {.category = SPAN("security"), .outcome = SPAN("refused")},
    {.outcome = SPAN("refused")},
};

static const struct trail_span ranges[] = {
    {0, ENTRIES},
    {0, SEGMENT},
    {SEGMENT - 3, SEGMENT + 300},
    {1000, 1003},
    {255, 257},
    {256, 512},
    {700, ENTRIES - 1},
    {ENTRIES - 60, ENTRIES},
    {ENTRIES - 20, ENTRIES},
};

struct seqs {
    size_t count;
    int64_t list[ENTRIES];
};

static void model_find(const struct trail_filter *filter, struct trail_span range,
                       bool oldest_first, struct seqs *ret)
{
    ret->count = 0;
    for (int64_t i = range.first; i < range.last; i++) {
        int64_t seq = oldest_first ? i : range.last - 1 - (i - range.first);

        if (is_wanted(filter, seq))
            ret->list[ret->count++] = seq;
    }
}

static void seqs_add(struct seqs *seqs, const struct trail_entry *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        seqs->list[seqs->count++] = list[i].seq;
}

/* A page after the other; the newest first through the bounded search, if there is a bound. */
struct paging {
    struct trail_filter filter;
    size_t rows_max;
    struct trail_entry *list;
    size_t count;
    int64_t before;
};

static enum err page_run(struct store_conn *conn, struct store_job *job)
{
    struct paging *paging = job->context;

    paging->before = 0;
    return paging->rows_max > 0
               ? trail_find_some(conn, &paging->filter, paging->rows_max, &log_bench.arena,
                                 &paging->list, &paging->count, &paging->before)
               : trail_find(conn, &paging->filter, &log_bench.arena, &paging->list, &paging->count);
}

static void page_find(struct paging *paging, struct trail_span range, struct seqs *ret)
{
    paging->filter.from_seq = range.first;
    paging->filter.before_seq = range.last;
    ret->count = 0;
    for (;;) {
        arena_reset(&log_bench.arena);
        assert_int_equal(store_do(log_bench.store, page_run, paging, false), ERR_OK);
        seqs_add(ret, paging->list, paging->count);
        if (paging->count < paging->filter.limit && paging->before == 0)
            return;
        if (paging->count < paging->filter.limit) {
            assert_true(paging->before <= paging->filter.before_seq);
            paging->filter.before_seq = paging->before;
        } else if (paging->filter.oldest_first) {
            paging->filter.from_seq = ret->list[ret->count - 1] + 1;
        } else {
            paging->filter.before_seq = ret->list[ret->count - 1];
        }
        if (paging->filter.before_seq <= range.first) /* 0 would be no bound */
            return;
    }
}

static void check_range(const struct trail_filter *filter, struct trail_span range)
{
    static const struct {
        size_t limit, rows_max;
        bool oldest_first;
    } ways[] = {{ENTRIES, 0, false}, {ENTRIES, 0, true},  {100, 0, false},
                {101, 0, true},      {100, 40000, false}, {ENTRIES, 1000, false}};
    static struct seqs wanted, found;

    for (size_t i = 0; i < PC_COUNT(ways); i++) {
        struct paging paging = {.filter = *filter, .rows_max = ways[i].rows_max};

        paging.filter.limit = ways[i].limit;
        paging.filter.oldest_first = ways[i].oldest_first;
        model_find(filter, range, ways[i].oldest_first, &wanted);
        page_find(&paging, range, &found);
        if (found.count != wanted.count ||
            memcmp(found.list, wanted.list, wanted.count * sizeof(wanted.list[0])) != 0)
            fail_msg("filter %zu, way %zu, [%lld, %lld): %zu, not %zu", (size_t)(filter - filters),
                     i, (long long)range.first, (long long)range.last, found.count, wanted.count);
    }
}

static void check_all(void)
{
    for (size_t i = 0; i < PC_COUNT(filters); i++)
        for (size_t k = 0; k < PC_COUNT(ranges); k++)
            check_range(&filters[i], ranges[k]);
}

static void searches_find_what_the_model_has(void **state)
{
    (void)state;
    check_all();
}

/* The index is a short way only. */
static void a_row_that_is_gone_hides_nothing(void **state)
{
    static const struct store_statement gone[] = {
        {.name = "test_block_gone", .sqlite = "DELETE FROM trail_blocks WHERE number % 2 = 1"},
        {.name = "test_segment_gone", .sqlite = "DELETE FROM trail_segments WHERE number % 3 = 0"},
        {.name = "test_segment_short", .sqlite = "DELETE FROM trail_segments"},
        {.name = "test_block_short", .sqlite = "DELETE FROM trail_blocks"},
    };

    (void)state;
    if (log_bench.kit->postgres)
        skip();
    for (size_t i = 0; i < PC_COUNT(gone); i++) {
        kit_exec(log_bench.store, &gone[i]);
        check_range(&filters[i], ranges[0]);
        check_range(&filters[8], ranges[0]);
    }
}

/* A block whose row is gone when its segment is made is made again. */
static void a_segment_is_made_whole(void **state)
{
    static const struct store_statement gone = {
        .name = "test_block_lost",
        .sqlite = "DELETE FROM trail_blocks WHERE number IN (0, 17, 18, 62)"};
    static const struct store_statement rows = {.name = "test_segment_rows",
                                                .sqlite = "SELECT count(*) FROM trail_segments"};

    (void)state;
    if (log_bench.kit->postgres)
        skip();
    fill(log_bench.store, 0, SEGMENT - 10, COMMIT);
    kit_exec(log_bench.store, &gone);
    fill(log_bench.store, SEGMENT - 10, ENTRIES, COMMIT);
    assert_int_equal(log_number(&rows), TRAIL_INDEX_PARTS);
    for (size_t i = 0; i < PC_COUNT(filters); i++)
        check_range(&filters[i], ranges[0]);
}

struct ids {
    int64_t seq; /* looked for: of the first events, of a block, of the tail */
    unsigned char id[TRAIL_ID_BYTES];
};

static enum err id_run(struct store_conn *conn, struct store_job *job)
{
    struct ids *ids = job->context;
    struct trail_filter filter = {.from_seq = ids->seq, .oldest_first = true, .limit = 1};
    struct trail_entry *list = NULL;
    size_t count = 0;
    enum err err = trail_find(conn, &filter, &log_bench.arena, &list, &count);

    if (err == ERR_OK)
        memcpy(ids->id, list[0].id, sizeof(ids->id));
    return err;
}

/* Whoever made it, and wherever it is. */
static void every_id_leads_to_its_event(void **state)
{
    static const int64_t seqs[] = {0,           1,       255,           256,
                                   SEGMENT - 1, SEGMENT, SEGMENT + 300, ENTRIES - 1};
    unsigned char given[TRAIL_ID_BYTES] = {6, 5, 4};
    struct trail_entry entry = {0};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(seqs); i++) {
        struct ids ids = {.seq = seqs[i]};

        assert_int_equal(store_do(log_bench.store, id_run, &ids, false), ERR_OK);
        assert_int_equal(log_get(ids.id, &entry), ERR_OK);
        assert_int_equal(entry.seq, seqs[i]);
        ids.id[15] ^= 1;
        assert_int_equal(log_get(ids.id, &entry), ERR_NOT_FOUND);
    }
    assert_int_equal(log_add_external(given), ERR_OK);
    assert_int_equal(log_get(given, &entry), ERR_OK);
    assert_int_equal(entry.seq, ENTRIES);
    fill(log_bench.store, ENTRIES, ENTRIES + 600, COMMIT);
    assert_int_equal(log_add_external(given), ERR_STORE_UNIQUE);
    assert_int_equal(log_get(given, &entry), ERR_OK);
    assert_int_equal(entry.seq, ENTRIES);
}

/* A bound is one also where there is nothing to be found, or much that is not wanted. */
static void a_step_looks_at_so_many_rows(void **state)
{
    struct paging paging = {
        .filter = {.actor = SPAN("often"), .source = SPAN("nobody"), .limit = 9}, .rows_max = 2000};
    size_t steps = 0;

    (void)state;
    do {
        assert_int_equal(store_do(log_bench.store, page_run, &paging, false), ERR_OK);
        assert_int_equal(paging.count, 0);
        paging.filter.before_seq = paging.before;
    } while (++steps < 100 && paging.before > 0);
    assert_in_range(steps, ENTRIES * 2 / 5 / 2000, ENTRIES / 2000 + 2);
}

/* ---- who writes --------------------------------------------------------------------------------
 */

/* Two handles take turns, so neither saw all leaves of a block. */
static void handles_go_on_from_each_other(void **state)
{
    struct store *other = kit_open(log_bench.kit);
    int64_t at = 0;

    (void)state;
    while (at < ENTRIES) {
        int64_t to = at + 61 * (1 + at % 5) < ENTRIES ? at + 61 * (1 + at % 5) : ENTRIES;

        fill(at % 2 == 0 ? log_bench.store : other, at, to, 61);
        at = to;
    }
    store_close(other);
    for (size_t i = 0; i < PC_COUNT(filters); i++)
        check_range(&filters[i], ranges[0]);
}

/* Each statement of a commit that completes a block fails once: nothing of it is in the index. */
static void a_commit_that_failed_leaves_nothing(void **state)
{
    int64_t at = TRAIL_INDEX_LEAVES * 2 - 5;
    size_t failures = 0;

    (void)state;
    fill(log_bench.store, 0, at, COMMIT);
    for (uint64_t nth = 1; at < TRAIL_INDEX_LEAVES * 15; nth++) {
        struct stretch stretch = {.from = at, .to = at + 50};
        enum err err;

        store_fail_at(nth % 16 + 1);
        err = store_do(log_bench.store, stretch_run, &stretch, true);
        store_fail_at(0);
        failures += err != ERR_OK;
        at = err ? at : stretch.to;
        fill(log_bench.store, at, at + 1, 1);
        at++;
    }
    assert_true(failures > 20);
    log_is_sound();
    fill(log_bench.store, at, ENTRIES, COMMIT);
    check_range(&filters[0], ranges[0]);
    check_range(&filters[8], ranges[0]);
    check_range(&filters[11], ranges[0]);
}

/* ---- erasing -----------------------------------------------------------------------------------
 */

struct holding {
    uint64_t hash;
    size_t rows;
};

static enum err holds_run(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement all = {
        .name = "test_index_rows",
        .sqlite = "SELECT places FROM trail_blocks UNION ALL SELECT places FROM trail_segments"};
    struct holding *holding = job->context;
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &all, NULL, 0, &rows);

    if (err)
        return err;
    while (store_next(rows)) {
        struct span bytes = store_rows_blob(rows, 0, NULL);

        for (size_t i = 0; i < bytes.len / sizeof(uint64_t); i++)
            holding->rows += trail_place_hash(trail_place_get(bytes, i)) == holding->hash;
    }
    return store_rows_err(rows);
}

/* How many places the index has of it. */
static size_t index_holds(enum trail_index_field field, const char *value)
{
    struct holding holding = {.hash = trail_index_hash(field, span_from(value))};

    assert_int_equal(store_do(log_bench.store, holds_run, &holding, false), ERR_OK);
    return holding.rows;
}

static void erase(struct store *store, const char *subject)
{
    const struct trail_erase_order order = {.subject = span_from(subject),
                                            .basis = SPAN("request 4711"),
                                            .actor = SPAN("uid:0"),
                                            .now_ns = AT + ENTRIES,
                                            .wait_ns = 10 * CLOCK_NS_PER_S};
    struct trail_erased erased = {0};

    assert_int_equal(trail_erase(store, &order, &erased), ERR_OK);
    assert_true(erased.entries > 0);
}

static size_t found(struct trail_filter filter)
{
    struct trail_entry *list = NULL;
    size_t count = 0;

    filter.limit = ENTRIES;
    assert_int_equal(log_find(filter, &list, &count), ERR_OK);
    return count;
}

static void who_is_erased_is_not_in_the_index(void **state)
{
    static const char *const gone[] = {"seldom", "stretch", "order:17", "order:8300"};

    (void)state;
    if (log_bench.kit->postgres)
        skip();
    assert_true(index_holds(TRAIL_INDEX_ACTOR, "seldom") > 30);
    for (size_t i = 0; i < PC_COUNT(gone); i++) {
        erase(log_bench.store, gone[i]);
        assert_int_equal(index_holds(TRAIL_INDEX_ACTOR, gone[i]), 0);
        assert_int_equal(index_holds(TRAIL_INDEX_OBJECT, gone[i]), 0);
        assert_int_equal(found((struct trail_filter){.actor = span_from(gone[i])}), 0);
        assert_int_equal(found((struct trail_filter){.object = span_from(gone[i])}), 0);
    }
    check_range(&filters[0], ranges[0]); /* everybody else is where they were */
    check_range(&filters[5], ranges[0]);
    check_range(&filters[8], ranges[0]);
    check_range(&filters[11], ranges[0]);
}

static void named_add(struct store *store, int64_t at_ns, enum trail_actor kind, const char *actor)
{
    const struct trail_record record = {.event = TRAIL_LOGIN,
                                        .outcome = TRAIL_DONE,
                                        .at_ns = at_ns,
                                        .actor_kind = kind,
                                        .actor = span_from(actor),
                                        .object = SPAN("order:1")};

    assert_int_equal(store_do(store, log_add_run, (void *)(uintptr_t)&record, true), ERR_OK);
}

/* The block is not complete yet, and a handle that did not erase completes it. */
static void who_is_erased_does_not_come_back(void **state)
{
    struct store *other = NULL;

    (void)state;
    if (log_bench.kit->postgres)
        skip();
    other = kit_open(log_bench.kit);
    for (int round = 0; round < 2; round++) {
        int64_t at = log_size();

        named_add(log_bench.store, AT, TRAIL_ACTOR_USER, "wilhelmina");
        fill(log_bench.store, at, at + 100, 10);
        erase(round == 0 ? log_bench.store : other, "wilhelmina");
        fill(log_bench.store, at, at + 300, 10);
        assert_int_equal(index_holds(TRAIL_INDEX_ACTOR, "wilhelmina"), 0);
        assert_true(index_holds(TRAIL_INDEX_ACTOR, "often") > 0);
    }
    store_close(other);
}

/* Another one of the same name, in the same block, is found as before. */
static void a_namesake_stays(void **state)
{
    (void)state;
    if (log_bench.kit->postgres)
        skip();
    named_add(log_bench.store, AT, TRAIL_ACTOR_USER, "7");
    named_add(log_bench.store, AT, TRAIL_ACTOR_CLIENT, "7");
    fill(log_bench.store, 2, 600, 10);
    erase(log_bench.store, "user:7");
    assert_int_equal(index_holds(TRAIL_INDEX_ACTOR, "7"), 1);
    assert_int_equal(found((struct trail_filter){.actor = SPAN("7")}), 1);
    log_is_sound();
}

int main(void)
{
#define T(name, setup) cmocka_unit_test_setup_teardown(name, setup, log_teardown)
    const struct CMUnitTest tests[] = {
        T(searches_find_what_the_model_has, full_setup),
        T(a_row_that_is_gone_hides_nothing, full_setup),
        T(a_segment_is_made_whole, log_setup),
        T(every_id_leads_to_its_event, full_setup),
        T(a_step_looks_at_so_many_rows, full_setup),
        T(handles_go_on_from_each_other, log_setup),
        T(a_commit_that_failed_leaves_nothing, log_setup),
        T(who_is_erased_is_not_in_the_index, full_setup),
        T(who_is_erased_does_not_come_back, log_setup),
        T(a_namesake_stays, log_setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
