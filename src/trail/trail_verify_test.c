/* SPDX-License-Identifier: MIT
 * The offline check against every way to falsify a log: each byte of each line, each field of a
 * record, and whole logs that somebody with every right on the database made anew so that all of it
 * fits together, but for a checkpoint that was kept elsewhere. */
#include "trail/trail_verify_test_kit.h"

/* ---- what is whole -------------------------------------------------------------------------- */

static void a_whole_log_passes(void **state)
{
    struct trail_verify_summary summary;
    struct told told;

    (void)state;
    export_all(true);
    summary = check_text(sbuf_span(&desk.out), span_make(desk.note, desk.note_bytes), true, &told);
    assert_string_equal(told.first, "");
    assert_int_equal(summary.findings, 0);
    assert_int_equal(summary.size, LEAVES);
    assert_int_equal(summary.checkpoints, 2);
    assert_int_equal(summary.checkpoint_size, LEAVES);
    assert_true(summary.is_signed);
    summary = check_text(sbuf_span(&desk.out), (struct span){0}, false, &told);
    assert_int_equal(summary.findings, 0);
    assert_false(summary.is_signed);
}

/* What a line says comes out as it went in, erased fields too. */
static void lines_are_read_as_they_were_written(void **state)
{
    char line[LINE_BYTES], again[LINE_BYTES], erased[2 * TRAIL_ERASED_BYTES];
    struct trail_entry entry = desk.entries[1];
    struct trail_entry read;
    struct arena arena;

    (void)state;
    arena_init(&arena, NULL, 0, (size_t)1024 * 1024);
    for (int i = 0; i < 2; i++) {
        struct sbuf out = sbuf_over(line, sizeof(line));
        struct sbuf out_again = sbuf_over(again, sizeof(again));

        assert_int_equal(trail_line_write(&entry, &out), ERR_OK);
        assert_int_equal(trail_line_read(span_make(line, out.len - 1), &arena, &read), ERR_OK);
        assert_int_equal(trail_line_write(&read, &out_again), ERR_OK);
        assert_true(span_equal(sbuf_span(&out), sbuf_span(&out_again)));
        assert_true(span_equal(read.personal[TRAIL_PERSONAL_PRINCIPAL],
                               entry.personal[TRAIL_PERSONAL_PRINCIPAL]));
        assert_int_equal(trail_entry_leaf(&read, &read.leaf), ERR_OK);
        assert_memory_equal(read.leaf.bytes, entry.leaf.bytes, TRAIL_HASH_BYTES);
        /* The second time: the address is gone, the other fields have their salts. */
        memset(erased, 9, sizeof(erased));
        entry = read;
    }
    arena_reset(&arena);
}

/* Cut into files, and any part by itself when the newest checkpoint is joined by a proof. */
static void a_log_may_come_in_parts(void **state)
{
    struct trail_verify_summary summary;
    struct trail_verify *verify;
    struct told told;

    (void)state;
    verify = verify_new(&told, true);
    assert_int_equal(trail_verify_note(verify, "kept.txt", span_make(desk.note, desk.note_bytes)),
                     ERR_OK);
    for (size_t from = 0; from < LEAVES; from += 13) {
        size_t to = from + 13 < LEAVES ? from + 13 : LEAVES;
        struct trail_tree tree = tree_of(from);
        int fd;

        sbuf_truncate(&desk.out, 0);
        head_add(from, to, &tree);
        for (size_t i = from; i < to; i++)
            assert_int_equal(trail_line_write(&desk.entries[i], &desk.out), ERR_OK);
        fd = file_of(sbuf_span(&desk.out));
        assert_int_equal(trail_verify_file(verify, "part", fd), ERR_OK);
        assert_int_equal(close(fd), 0);
    }
    trail_verify_end(verify, &summary);
    trail_verify_free(verify);
    assert_string_equal(told.first, "");
    assert_int_equal(summary.findings, 0);
    assert_int_equal(summary.checkpoint_size, LEAVES);
}

/* ---- one thing changed ---------------------------------------------------------------------- */

/* Whatever byte of a line is touched. */
static void every_byte_counts(void **state)
{
    struct told told;
    size_t begin, end;

    (void)state;
    desk.count = 3;
    export_all(true);
    begin = span_find(sbuf_span(&desk.out), '\n') + 1;
    end = begin + span_find(span_slice(sbuf_span(&desk.out), begin, desk.out.len), '\n');
    for (size_t i = begin; i <= end; i++) {
        char kept = desk.text[i];

        desk.text[i] ^= (char)(1U << pick(7));
        assert_true(check_text(sbuf_span(&desk.out), (struct span){0}, true, &told).findings > 0);
        desk.text[i] = kept;
    }
    assert_int_equal(check_text(sbuf_span(&desk.out), (struct span){0}, true, &told).findings, 0);
    for (size_t len = 0; len < desk.out.len; len += 13)
        assert_true(check_text(span_make(desk.text, len), (struct span){0}, true, &told).findings >
                    0);
}

typedef void change_fn(struct trail_entry *entry);

#define CHANGE_SPAN(name, member)                                                                  \
    static void name(struct trail_entry *entry)                                                    \
    {                                                                                              \
        entry->member = entry->member.len == 1 ? SPAN_OF("xy") : SPAN_OF("x");                     \
    }
CHANGE_SPAN(change_event, event)
CHANGE_SPAN(change_category, category)
CHANGE_SPAN(change_severity, severity)
CHANGE_SPAN(change_outcome, outcome)
CHANGE_SPAN(change_source, source)
CHANGE_SPAN(change_actor_kind, actor_kind)
CHANGE_SPAN(change_client, client)
CHANGE_SPAN(change_request_id, request_id)
CHANGE_SPAN(change_actor, personal[TRAIL_PERSONAL_ACTOR])
CHANGE_SPAN(change_principal, personal[TRAIL_PERSONAL_PRINCIPAL])
CHANGE_SPAN(change_address, personal[TRAIL_PERSONAL_ADDRESS])
CHANGE_SPAN(change_object, personal[TRAIL_PERSONAL_OBJECT])
CHANGE_SPAN(change_reason, personal[TRAIL_PERSONAL_REASON])
CHANGE_SPAN(change_details, personal[TRAIL_PERSONAL_DETAILS])

static void change_tags(struct trail_entry *entry)
{
    entry->tags = SPAN_OF("[]");
}

static void change_id(struct trail_entry *entry)
{
    entry->id[5] ^= 4;
}

static void change_at(struct trail_entry *entry)
{
    entry->at_ns++;
}

static void change_seed(struct trail_entry *entry)
{
    static const char other[TRAIL_SEED_BYTES_MAX] = {1};

    entry->seed = span_make(other, sizeof(other));
}

static void drop_actor(struct trail_entry *entry)
{
    entry->personal[TRAIL_PERSONAL_ACTOR] = (struct span){0};
}

static void drop_client(struct trail_entry *entry)
{
    entry->client = (struct span){0};
}

static void change_leaf(struct trail_entry *entry)
{
    entry->leaf.bytes[9] ^= 1;
}

static change_fn *const changes[] = {
    change_event,      change_category, change_severity,   change_outcome, change_source,
    change_actor_kind, change_client,   change_request_id, change_actor,   change_principal,
    change_address,    change_object,   change_reason,     change_details, change_tags,
    change_id,         change_at,       change_seed,       drop_actor,     drop_client,
    change_leaf,
};

/* The seq is told, and nothing else is wrong: the leaves are all there. */
static void every_field_counts(void **state)
{
    struct told told;

    (void)state;
    for (size_t i = 0; i < PC_COUNT(changes); i++) {
        size_t seq = pick(LEAVES);
        struct trail_entry kept = desk.entries[seq];
        char expected[64];

        changes[i](&desk.entries[seq]);
        export_all(false);
        assert_true(findings(&told) >= 1);
        (void)snprintf(expected, sizeof(expected), "seq %zu was changed", seq);
        assert_non_null(strstr(told.first, expected));
        desk.entries[seq] = kept;
    }
}

/* ---- the whole log made anew: everything fits, but for the checkpoint kept elsewhere --------- */

static void forge_edit(void)
{
    size_t seq = pick(LEAVES);

    changes[pick(PC_COUNT(changes) - 1)](&desk.entries[seq]);
    leaves_make(0);
}

static void forge_delete(void)
{
    size_t seq = pick(LEAVES);

    memmove(&desk.entries[seq], &desk.entries[seq + 1],
            (LEAVES - 1 - seq) * sizeof(desk.entries[0]));
    desk.count = LEAVES - 1;
    leaves_make(0);
}

static void forge_insert(void)
{
    size_t seq = pick(LEAVES);
    struct trail_entry one = entry_make(LEAVES);

    memmove(&desk.entries[seq + 1], &desk.entries[seq], (LEAVES - seq) * sizeof(desk.entries[0]));
    desk.entries[seq] = one;
    desk.entries[seq].at_ns = desk.entries[seq + 1].at_ns;
    desk.count = LEAVES + 1;
    leaves_make(0);
}

/* Each keeps the place's time, so that nothing goes back. */
static void forge_reorder(void)
{
    size_t a = pick(LEAVES);
    size_t b = (a + 1 + pick(LEAVES - 1)) % LEAVES;
    struct trail_entry kept = desk.entries[a];
    int64_t at = desk.entries[b].at_ns;

    desk.entries[a] = desk.entries[b];
    desk.entries[b] = kept;
    desk.entries[a].at_ns = kept.at_ns;
    desk.entries[b].at_ns = at;
    leaves_make(0);
}

static void forge_truncate(void)
{
    desk.count = LEAVES - 1 - pick(LEAVES - 1);
}

/* Another end from some point on. */
static void forge_fork(void)
{
    size_t from = pick(LEAVES);

    for (size_t i = from; i < LEAVES; i++)
        desk.entries[i].personal[TRAIL_PERSONAL_OBJECT] = SPAN_OF("order:2");
    leaves_make(from);
}

static void is_found(void (*forge)(void), const char *words)
{
    static struct trail_entry kept[LEAVES + 1];

    memcpy(kept, desk.entries, sizeof(kept));
    for (int i = 0; i < TRIES; i++) {
        struct told told;

        forge();
        export_all(true); /* by one who can even sign */
        assert_true(findings(&told) >= 1);
        assert_non_null(strstr(told.first, words));
        memcpy(desk.entries, kept, sizeof(kept));
        desk.count = LEAVES;
    }
}

static void an_edit_is_found(void **state)
{
    (void)state;
    is_found(forge_edit, "kept.txt is of another log");
}

static void a_deletion_is_found(void **state)
{
    (void)state;
    is_found(forge_delete, "kept.txt is of 40 leaves, the log was cut after 39");
}

static void an_insertion_is_found(void **state)
{
    (void)state;
    is_found(forge_insert, "kept.txt is of another log");
}

static void a_new_order_is_found(void **state)
{
    (void)state;
    is_found(forge_reorder, "kept.txt is of another log");
}

static void a_cut_is_found(void **state)
{
    (void)state;
    is_found(forge_truncate, "the log was cut after");
}

static void a_fork_is_found(void **state)
{
    (void)state;
    is_found(forge_fork, "kept.txt is of another log");
}

/* ---- the lines alone, with their numbers ---------------------------------------------------- */

/* Where each line begins, the head at 0. */
static size_t lines_find(size_t *ret, size_t max)
{
    size_t count = 0;

    for (size_t i = 0; i < desk.out.len && count < max; i++)
        if (i == 0 || desk.text[i - 1] == '\n')
            ret[count++] = i;
    ret[count] = desk.out.len;
    return count;
}

static void missing_lines_are_told(void **state)
{
    size_t at[LEAVES + 4];
    struct told told;

    (void)state;
    for (int i = 0; i < TRIES; i++) {
        size_t seq = pick(LEAVES);
        char expected[64];

        export_all(true);
        (void)lines_find(at, LEAVES + 3);
        memmove(desk.text + at[seq + 1], desk.text + at[seq + 2], desk.out.len - at[seq + 2]);
        desk.out.len -= at[seq + 2] - at[seq + 1];
        assert_true(findings(&told) >= 1);
        (void)snprintf(expected, sizeof(expected), "seq %zu is missing", seq);
        if (seq < LEAVES - 1)
            assert_non_null(strstr(told.first, expected));
    }
}

static void repeated_lines_are_told(void **state)
{
    size_t at[LEAVES + 4];
    struct told told;

    (void)state;
    for (int i = 0; i < TRIES; i++) {
        size_t from = pick(LEAVES), to = pick(LEAVES);
        char line[LINE_BYTES];
        size_t len;

        export_all(true);
        (void)lines_find(at, LEAVES + 3);
        len = at[from + 2] - at[from + 1];
        memcpy(line, desk.text + at[from + 1], len);
        memmove(desk.text + at[to + 1] + len, desk.text + at[to + 1], desk.out.len - at[to + 1]);
        memcpy(desk.text + at[to + 1], line, len);
        desk.out.len += len;
        assert_true(findings(&told) >= 1);
        assert_true(strstr(told.first, "stands behind") || strstr(told.first, "missing"));
    }
}

/* ---- other texts ---------------------------------------------------------------------------- */

static void other_texts_are_no_export(void **state)
{
    static const char *const texts[] = {
        "",
        "\n",
        "x",
        "{}\n",
        "{\"log\":1}\n",
        "{\"log\":\"a\",\"format\":2,\"from\":0,\"to\":0}\n",
        "{\"log\":\"a\",\"format\":1,\"from\":-1,\"to\":0}\n",
        "{\"log\":\"a\",\"format\":1,\"from\":2,\"to\":1}\n",
        "{\"log\":\"a\",\"format\":1,\"from\":2,\"to\":2}\n",
        "{\"log\":\"a\",\"format\":1,\"from\":2,\"to\":2,\"roots\":[\"x\"]}\n",
        "{\"log\":\"a\",\"format\":1,\"from\":0,\"to\":1}\n",
        "{\"log\":\"a\",\"format\":1,\"from\":0,\"to\":0}\n{\"checkpoint\":7}\n",
        "{\"log\":\"a\",\"format\":1,\"from\":0,\"to\":0}\n{\"checkpoint\":\"a\\n0\\n\"}\n",
        "{\"log\":\"a\",\"format\":1,\"from\":0,\"to\":0}\n{\"seq\":0}\n",
        "{\"log\":\"a\",\"format\":1,\"from\":0,\"to\":0}\n"
        "{\"log\":\"a\",\"format\":1,\"from\":0,\"to\":0}\n",
    };
    struct told told;

    (void)state;
    for (size_t i = 0; i < PC_COUNT(texts); i++)
        assert_true(check_text(span_from(texts[i]), (struct span){0}, true, &told).findings > 0);
    assert_int_equal(check_text(SPAN_OF("{\"log\":\"a\",\"format\":1,\"from\":0,\"to\":0}\n"),
                                (struct span){0}, true, &told)
                         .findings,
                     1);
}

/* A log without a checkpoint proves nothing. */
static void a_checkpoint_is_needed(void **state)
{
    struct told told;

    (void)state;
    export_all(false);
    assert_int_equal(check_text(sbuf_span(&desk.out), (struct span){0}, true, &told).findings, 1);
    assert_non_null(strstr(told.first, "there is no checkpoint"));
}

/* Two threads share them, some at a time; whoever is behind, the answer has all. */
static void every_line_is_looked_at(void **state)
{
    enum { LINES = 5000, ROUNDS = 20 };
    static struct trail_verify_line lines[LINES];
    struct trail_verify_work work = {.started = false};
    char line[LINE_BYTES];
    struct sbuf out = sbuf_over(line, sizeof(line));

    (void)state;
    assert_int_equal(trail_line_write(&desk.entries[7], &out), ERR_OK);
    assert_int_equal(trail_verify_work_start(&work), ERR_OK);
    for (size_t round = 0; round < ROUNDS; round++) {
        size_t count = round == 0 ? 0 : LINES - round * 64;

        for (size_t i = 0; i < LINES; i++)
            lines[i] = (struct trail_verify_line){.text = span_make(line, out.len - 1)};
        trail_verify_work_do(&work, lines, count);
        for (size_t i = 0; i < LINES; i++)
            assert_int_equal(lines[i].kind, i < count ? VERIFY_GOOD : VERIFY_OTHER);
    }
    trail_verify_work_stop(&work);
}

static void a_failing_heap_is_told(void **state)
{
    struct told told;
    bool done = false;

    (void)state;
    export_all(true);
    for (uint64_t nth = 1; !done; nth++) {
        const struct trail_verify_options options = {.found = found, .context = &told};
        struct trail_verify *verify = NULL;

        alloc_fail_at(nth);
        done = trail_verify_new(&options, &verify) == ERR_OK;
        alloc_fail_at(0);
        trail_verify_free(verify);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_whole_log_passes),      T(lines_are_read_as_they_were_written),
        T(a_log_may_come_in_parts), T(every_byte_counts),
        T(every_field_counts),      T(an_edit_is_found),
        T(a_deletion_is_found),     T(an_insertion_is_found),
        T(a_new_order_is_found),    T(a_cut_is_found),
        T(a_fork_is_found),         T(missing_lines_are_told),
        T(repeated_lines_are_told), T(other_texts_are_no_export),
        T(a_checkpoint_is_needed),  T(a_failing_heap_is_told),
        T(every_line_is_looked_at),
    };
#undef T

    return cmocka_run_group_tests_name("trail verify", tests, NULL, NULL);
}
