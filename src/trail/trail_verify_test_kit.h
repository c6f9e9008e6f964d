/* SPDX-License-Identifier: MIT
 * What the tests of the offline check share: a log of forty events, its key, and exports of it as
 * somebody writes them who has no database. */
#ifndef PC_TRAIL_TRAIL_VERIFY_TEST_KIT_H
#define PC_TRAIL_TRAIL_VERIFY_TEST_KIT_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/random.h"
#include "crypto/digest.h"
#include "json/json_writer.h"
#include "trail/trail_priv.h"
#include "trail/trail_verify.h"
#include "trail/trail_verify_priv.h"

enum { LEAVES = 40, TRIES = 200, TEXT_BYTES = 1024 * 1024, LINE_BYTES = 4096 };
#define AT INT64_C(1800000000000000000)

/* The log, as it is and as it was exported. */
static struct {
    struct trail_entry entries[LEAVES + 1];
    char seeds[LEAVES + 1][TRAIL_SEED_BYTES_MAX];
    char actors[LEAVES + 1][16];
    size_t count;
    struct trail_verifier key;
    char *note; /* of all leaves, kept elsewhere */
    size_t note_bytes;
    char *text; /* the export */
    struct sbuf out;
    struct random_seeded random;
} desk;

static inline unsigned pick(unsigned below)
{
    unsigned value;

    random_fill(&desk.random.source, &value, sizeof(value));
    return value % below;
}

static inline struct trail_entry entry_make(size_t i)
{
    struct trail_entry entry = {.seq = (int64_t)i,
                                .at_ns = AT + (int64_t)i,
                                .event = SPAN("user.login"),
                                .category = SPAN("security"),
                                .severity = SPAN("info"),
                                .outcome = SPAN("done"),
                                .source = SPAN("auth-service"),
                                .actor_kind = SPAN("user"),
                                .client = SPAN("web-portal"),
                                .request_id = SPAN("r-1"),
                                .tags = SPAN("[\"pci\",\"a ] \\\" b\"]"),
                                .seed = {desk.seeds[i], TRAIL_SEED_BYTES_MAX}};
    static const struct span values[TRAIL_PERSONAL_COUNT] = {
        [TRAIL_PERSONAL_PRINCIPAL] = SPAN("anna \"the\" first\\\n\t\x01"),
        [TRAIL_PERSONAL_ADDRESS] = SPAN("192.0.2.1"),
        [TRAIL_PERSONAL_OBJECT] = SPAN("order:1"),
        [TRAIL_PERSONAL_REASON] = SPAN("\xc3\xa9t\xc3\xa9"),
        [TRAIL_PERSONAL_DETAILS] = SPAN("{\"scope\":\"openid\"}"),
    };

    memcpy(entry.personal, values, sizeof(values));
    (void)snprintf(desk.actors[i], sizeof(desk.actors[i]), "%zu", i);
    entry.personal[TRAIL_PERSONAL_ACTOR] = span_from(desk.actors[i]);
    if (i % 7 == 0)
        entry.personal[TRAIL_PERSONAL_REASON] = (struct span){0};
    random_fill(&desk.random.source, desk.seeds[i], TRAIL_SEED_BYTES_MAX);
    random_fill(&desk.random.source, entry.id, sizeof(entry.id));
    assert_int_equal(trail_entry_leaf(&entry, &entry.leaf), ERR_OK);
    return entry;
}

/* ---- exporting ---- */

static inline void head_add(size_t from, size_t to, const struct trail_tree *tree)
{
    sbuf_add_format(&desk.out, "{\"log\":\"log.example\",\"format\":1,\"from\":%zu,\"to\":%zu",
                    from, to);
    for (size_t i = 0; from > 0 && i < trail_tree_roots(from); i++) {
        sbuf_add_text(&desk.out, i == 0 ? ",\"roots\":[\"" : ",\"");
        crypto_base64url_add(&desk.out, span_make(tree->roots[i].bytes, TRAIL_HASH_BYTES));
        sbuf_add_text(&desk.out, i + 1 == trail_tree_roots(from) ? "\"]" : "\"");
    }
    sbuf_add_text(&desk.out, "}\n");
}

static inline void note_add(struct span note)
{
    struct json_writer w = json_writer_on(&desk.out);

    json_begin_object(&w);
    json_add_text(&w, "checkpoint", note);
    json_end_object(&w);
    sbuf_add_char(&desk.out, '\n');
}

static inline struct trail_tree tree_of(size_t count)
{
    struct trail_tree tree = {.size = 0};

    for (size_t i = 0; i < count; i++)
        trail_tree_add(&tree, &desk.entries[i].leaf);
    return tree;
}

static inline struct span note_of(size_t count, char room[TRAIL_NOTE_BYTES_MAX])
{
    struct sbuf out = sbuf_over(room, TRAIL_NOTE_BYTES_MAX);
    struct trail_tree tree = tree_of(count);
    struct trail_hash root;

    trail_tree_root(&tree, &root);
    assert_int_equal(trail_note_sign(&desk.key, count, &root, &out), ERR_OK);
    return sbuf_span(&out);
}

/* All of it, as somebody would export it who holds the key; without `note` nobody signs. */
static inline void export_all(bool with_note)
{
    char note[TRAIL_NOTE_BYTES_MAX];

    sbuf_truncate(&desk.out, 0);
    head_add(0, desk.count, NULL);
    for (size_t i = 0; i < desk.count; i++)
        assert_int_equal(trail_line_write(&desk.entries[i], &desk.out), ERR_OK);
    if (with_note)
        note_add(note_of(desk.count, note));
    assert_false(desk.out.full);
}

/* ---- checking ---- */

struct told {
    size_t count;
    char first[1024];
};

static inline void found(void *context, struct span sentence)
{
    struct told *told = context;

    if (told->count++ == 0)
        (void)snprintf(told->first, sizeof(told->first), "%.*s", SPAN_ARG(sentence));
}

static inline int file_of(struct span text)
{
    char path[] = "/tmp/trail-verify-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(write(fd, text.ptr, text.len), (ssize_t)text.len);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static inline struct trail_verify *verify_new(struct told *told, bool with_key)
{
    const struct trail_verify_options options = {.verifiers = with_key ? &desk.key : NULL,
                                                 .verifier_count = with_key ? 1 : 0,
                                                 .found = found,
                                                 .context = told};
    struct trail_verify *verify = NULL;

    *told = (struct told){.count = 0};
    assert_int_equal(trail_verify_new(&options, &verify), ERR_OK);
    return verify;
}

static inline struct trail_verify_summary check_text(struct span text, struct span note,
                                                     bool with_key, struct told *told)
{
    struct trail_verify *verify = verify_new(told, with_key);
    struct trail_verify_summary summary;
    int fd = file_of(text);

    if (note.len > 0)
        assert_int_equal(trail_verify_note(verify, "kept.txt", note), ERR_OK);
    assert_int_equal(trail_verify_file(verify, "log.jsonl", fd), ERR_OK);
    trail_verify_end(verify, &summary);
    trail_verify_free(verify);
    assert_int_equal(close(fd), 0);
    assert_int_equal(summary.findings > 0, told->count > 0);
    return summary;
}

/* Against the checkpoint that was kept. */
static inline size_t findings(struct told *told)
{
    return (size_t)check_text(sbuf_span(&desk.out), span_make(desk.note, desk.note_bytes), true,
                              told)
        .findings;
}

static inline int setup(void **state)
{
    char note[TRAIL_NOTE_BYTES_MAX];
    struct crypto_key *key = NULL;
    struct span text;

    (void)state;
    random_seeded_init(&desk.random, 7);
    desk.count = LEAVES;
    for (size_t i = 0; i <= LEAVES; i++)
        desk.entries[i] = entry_make(i);
    assert_int_equal(crypto_key_generate(CRYPTO_EDDSA, (struct span){0}, &key), ERR_OK);
    assert_int_equal(trail_verifier_of(key, SPAN_OF("log.example"), &desk.key), ERR_OK);
    crypto_key_free(key);
    desk.text = alloc_raw(TEXT_BYTES);
    assert_non_null(desk.text);
    desk.out = sbuf_over(desk.text, TEXT_BYTES);
    text = note_of(LEAVES, note);
    desk.note = alloc_raw(text.len);
    assert_non_null(desk.note);
    memcpy(desk.note, text.ptr, text.len);
    desk.note_bytes = text.len;
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    trail_verifier_free(&desk.key);
    alloc_free(desk.text);
    alloc_free(desk.note);
    return 0;
}

/* All from there on, so that the leaves are those of the records again. */
static inline void leaves_make(size_t from)
{
    for (size_t i = from; i < desk.count; i++) {
        desk.entries[i].seq = (int64_t)i;
        assert_int_equal(trail_entry_leaf(&desk.entries[i], &desk.entries[i].leaf), ERR_OK);
    }
}

#endif
