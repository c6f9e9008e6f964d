/* SPDX-License-Identifier: MIT
 * How far the checkpoints of an export reach: what is behind them was signed for by nobody, however
 * well it fits. And numbers that no tree has room for. */
#include "trail/trail_tiles.h"
#include "trail/trail_verify_test_kit.h"

static enum err node_make(void *context, unsigned level, uint64_t number, struct trail_hash *ret)
{
    struct trail_hash leaves[LEAVES];
    size_t count = (size_t)1 << level;

    (void)context;
    for (size_t i = 0; i < count; i++)
        leaves[i] = desk.entries[(number << level) + i].leaf;
    trail_hashes_root(leaves, count, ret);
    return ERR_OK;
}

/* The leaves [from, to), and behind them the note of `signed_count`, joined by a proof where it is
 * of more. */
static void part_export(size_t from, size_t to, size_t signed_count)
{
    struct trail_tree tree = tree_of(from);
    struct json_writer w = json_writer_on(&desk.out);
    char note[TRAIL_NOTE_BYTES_MAX];
    struct trail_proof proof;

    sbuf_truncate(&desk.out, 0);
    head_add(from, to, &tree);
    for (size_t i = from; i < to; i++)
        assert_int_equal(trail_line_write(&desk.entries[i], &desk.out), ERR_OK);
    assert_int_equal(trail_proof_consistency(to, signed_count, node_make, NULL, &proof), ERR_OK);
    json_begin_object(&w);
    json_add_text(&w, "checkpoint", note_of(signed_count, note));
    json_key(&w, "consistency");
    json_begin_list(&w);
    for (size_t i = 0; i < proof.count; i++) {
        char text[64];
        struct sbuf hash = sbuf_over(text, sizeof(text));

        crypto_base64url_add(&hash, span_make(proof.path[i].bytes, TRAIL_HASH_BYTES));
        json_text(&w, sbuf_span(&hash));
    }
    json_end_list(&w);
    json_end_object(&w);
    sbuf_add_char(&desk.out, '\n');
    assert_false(desk.out.full);
}

/* Without its last line, which is the checkpoint. */
static struct span unsigned_export(void)
{
    size_t len = desk.out.len - 1;

    while (desk.text[len - 1] != '\n')
        len--;
    return span_make(desk.text, len);
}

/* Up to `genuine` the log is the one that was signed for, and its note stands where it belongs; the
 * rest was written by who hands the export over. */
static void forged_export(size_t genuine, bool with_note)
{
    char note[TRAIL_NOTE_BYTES_MAX];

    sbuf_truncate(&desk.out, 0);
    head_add(0, desk.count, NULL);
    for (size_t i = 0; i < desk.count; i++) {
        assert_int_equal(trail_line_write(&desk.entries[i], &desk.out), ERR_OK);
        if (with_note && i + 1 == genuine)
            note_add(note_of(genuine, note));
    }
}

/* The note at the end is exchanged for an older one, and what came since is written anew. */
static void what_is_behind_the_last_checkpoint_is_told(void **state)
{
    char note[TRAIL_NOTE_BYTES_MAX], expected[64];
    struct trail_verify_summary summary;
    struct told told;

    (void)state;
    for (size_t genuine = 1; genuine < LEAVES; genuine++) {
        struct span kept = note_of(genuine, note);

        desk.entries[genuine].personal[TRAIL_PERSONAL_OBJECT] = SPAN_OF("order:2");
        leaves_make(genuine);
        (void)snprintf(expected, sizeof(expected), "events seq %zu to seq 39 are behind", genuine);
        for (int i = 0; i < 3; i++) {
            forged_export(genuine, i != 1);
            summary =
                check_text(sbuf_span(&desk.out), i == 0 ? (struct span){0} : kept, true, &told);
            assert_int_equal(summary.findings, 1);
            assert_int_equal(summary.checkpoints, i == 2 ? 2 : 1);
            assert_non_null(strstr(told.first, expected));
        }
    }
}

/* A later checkpoint vouches for the leaves that it is joined to, and no others. */
static void a_joined_checkpoint_covers_its_part(void **state)
{
    struct trail_verify_summary summary;
    struct trail_verify *verify;
    struct told told;
    int fd;

    (void)state;
    part_export(7, 13, LEAVES);
    assert_int_equal(check_text(sbuf_span(&desk.out), (struct span){0}, true, &told).findings, 0);
    verify = verify_new(&told, true);
    fd = file_of(sbuf_span(&desk.out));
    assert_int_equal(trail_verify_file(verify, "first", fd), ERR_OK);
    assert_int_equal(close(fd), 0);
    part_export(13, 15, LEAVES);
    fd = file_of(unsigned_export());
    assert_int_equal(trail_verify_file(verify, "second", fd), ERR_OK);
    assert_int_equal(close(fd), 0);
    trail_verify_end(verify, &summary);
    trail_verify_free(verify);
    assert_int_equal(summary.findings, 1);
    assert_non_null(strstr(told.first, "events seq 13 to seq 14 are behind"));
}

/* A log of no events needs one too; and its note may be of none, or of those before. */
static void an_empty_export_needs_a_checkpoint(void **state)
{
    struct told told;

    (void)state;
    for (size_t from = 0; from <= LEAVES; from += 8) {
        part_export(from, from, LEAVES);
        assert_int_equal(check_text(sbuf_span(&desk.out), (struct span){0}, true, &told).findings,
                         0);
        assert_int_equal(check_text(unsigned_export(), (struct span){0}, true, &told).findings, 1);
        assert_non_null(strstr(told.first, "there is no checkpoint"));
    }
    part_export(0, 0, 0);
    assert_int_equal(check_text(sbuf_span(&desk.out), (struct span){0}, true, &told).findings, 0);
}

/* Numbers that no tree has room for are findings and no end of the checker. */
static void the_largest_numbers_are_told(void **state)
{
    static const int64_t last = INT64_MAX - 1;
    struct told told;

    (void)state;
    for (int i = 0; i < 3; i++) {
        int64_t from = i == 0 ? INT64_MAX : last;

        sbuf_truncate(&desk.out, 0);
        head_add((size_t)from, (size_t)(i == 1 ? INT64_MAX : from),
                 &(const struct trail_tree){.size = (uint64_t)from});
        desk.entries[0].seq = from;
        assert_int_equal(trail_line_write(&desk.entries[0], &desk.out), ERR_OK);
        desk.entries[0].seq = INT64_MAX;
        assert_int_equal(trail_line_write(&desk.entries[0], &desk.out), ERR_OK);
        assert_true(check_text(sbuf_span(&desk.out), (struct span){0}, true, &told).findings > 0);
        assert_non_null(strstr(told.first, i < 2 ? "no head of an export"
                                                 : "seq 9223372036854775807 was changed"));
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(what_is_behind_the_last_checkpoint_is_told),
        T(a_joined_checkpoint_covers_its_part),
        T(an_empty_export_needs_a_checkpoint),
        T(the_largest_numbers_are_told),
    };
#undef T

    return cmocka_run_group_tests_name("trail cover", tests, NULL, NULL);
}
