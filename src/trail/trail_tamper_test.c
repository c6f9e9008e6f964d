/* SPDX-License-Identifier: MIT
 * Somebody with every right on the database: the guards are dropped, rows changed, leaves hashed
 * again, head and tiles made to fit, checkpoints kept or taken away. He has neither the key nor the
 * checkpoints that were kept elsewhere. The keeper refuses to sign what he made, and an export of
 * it does not pass. On both databases; PORTCULLIS_TRIES says how often each is tried. */
#include <fcntl.h>

#include "base/random.h"
#include "trail/trail_edge.h"
#include "trail/trail_export.h"
#include "trail/trail_keeper.h"
#include "trail/trail_key.h"
#include "trail/trail_test_kit.h"
#include "trail/trail_verify.h"

enum { LEAVES = 40, TRIES = 12, WORK_BYTES_MAX = 16 * 1024 * 1024, NOTE_BYTES = 1024 };

static struct {
    struct trail_entry kept[LEAVES + 1]; /* as they were written */
    struct trail_entry entries[LEAVES + 1];
    size_t count;
    struct arena arena; /* of their texts */
    struct trail_verifier key;
    char key_path[96], memory[96], note[NOTE_BYTES];
    size_t note_bytes;
    struct random_seeded random;
    bool with_notes; /* he leaves the old checkpoints in the table */
} desk;

static unsigned pick(unsigned below)
{
    unsigned value;

    random_fill(&desk.random.source, &value, sizeof(value));
    return value % below;
}

/* ---- the database ---- */

#define SQL(name_, text_)                                                                          \
    static const struct store_statement name_ = {.name = "tamper_" #name_, .sqlite = (text_)}
static const struct store_statement guards[] = {
    {.name = "unguard1",
     .sqlite = "DROP TRIGGER IF EXISTS trail_events_no_update",
     .postgres = "DROP TRIGGER IF EXISTS trail_events_stay ON trail_events"},
    {.name = "unguard2",
     .sqlite = "DROP TRIGGER IF EXISTS trail_events_no_delete",
     .postgres = "DROP TRIGGER IF EXISTS trail_events_stay_whole ON trail_events"},
};
SQL(no_rows, "DELETE FROM trail_events");
SQL(no_tags, "DELETE FROM trail_tags");
SQL(no_tiles, "DELETE FROM trail_tiles");
SQL(no_notes, "DELETE FROM trail_checkpoints");
SQL(head_set, "UPDATE trail_head SET size = ?1, roots = ?2");
SQL(row_add,
    "INSERT INTO trail_events (seq, id, at, event, category, severity, outcome, source, "
    "actor_kind, "
    "client, request_id, tags, actor, principal, address, object, reason, details, seed, leaf) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, "
    "?20)");

static enum err row_write(struct store_conn *conn, const struct trail_entry *e)
{
    const struct span *p = e->personal;

    return store_exec(
        conn, &row_add,
        STORE_PARAMS(STORE_I64(e->seq), STORE_BLOB(span_make(e->id, sizeof(e->id))),
                     STORE_I64(e->at_ns), STORE_TEXT(e->event), STORE_TEXT(e->category),
                     STORE_TEXT(e->severity), STORE_TEXT(e->outcome), STORE_TEXT(e->source),
                     STORE_TEXT(e->actor_kind), STORE_TEXT_OR_NULL(e->client),
                     STORE_TEXT_OR_NULL(e->request_id), STORE_TEXT_OR_NULL(e->tags),
                     STORE_TEXT_OR_NULL(p[0]), STORE_TEXT_OR_NULL(p[1]), STORE_TEXT_OR_NULL(p[2]),
                     STORE_TEXT_OR_NULL(p[3]), STORE_TEXT_OR_NULL(p[4]), STORE_TEXT_OR_NULL(p[5]),
                     STORE_BLOB(e->seed), STORE_BLOB(span_make(e->leaf.bytes, TRAIL_HASH_BYTES))),
        NULL);
}

/* The tables as he would have them: all of them fit each other. */
static enum err rewrite_run(struct store_conn *conn, struct store_job *job)
{
    const struct store_statement *const all[] = {&guards[0], &guards[1], &no_rows,
                                                 &no_tags,   &no_tiles,  &no_notes};
    struct trail_tree tree = {.size = 0};
    enum err err = ERR_OK;

    (void)job;
    for (size_t i = 0; i < PC_COUNT(all) - (desk.with_notes ? 1 : 0) && !err; i++)
        err = store_exec(conn, all[i], NULL, 0, NULL);
    for (size_t i = 0; i < desk.count && !err; i++) {
        err = row_write(conn, &desk.entries[i]);
        trail_tree_add(&tree, &desk.entries[i].leaf);
    }
    if (err)
        return err;
    return store_exec(conn, &head_set,
                      STORE_PARAMS(STORE_I64((int64_t)tree.size),
                                   STORE_BLOB(span_make(tree.roots, trail_tree_roots(tree.size) *
                                                                        TRAIL_HASH_BYTES))),
                      NULL);
}

static void leaves_make(void)
{
    for (size_t i = 0; i < desk.count; i++) {
        desk.entries[i].seq = (int64_t)i;
        assert_int_equal(trail_entry_leaf(&desk.entries[i], &desk.entries[i].leaf), ERR_OK);
    }
}

static void rewrite(void)
{
    leaves_make();
    assert_int_equal(store_do(log_bench.store, rewrite_run, NULL, true), ERR_OK);
}

/* ---- the keeper, as after a new start ---- */

static enum err keeper_tries(struct trail_keeper_state *ret)
{
    const struct trail_keeper_options options = {.store = log_bench.store,
                                                 .clock = &clock_system,
                                                 .signer = &desk.key,
                                                 .memory = desk.memory};
    struct trail_keeper *keeper = NULL;
    enum err err;

    assert_int_equal(trail_keeper_new(&options, &keeper), ERR_OK);
    err = trail_keeper_round(keeper);
    trail_keeper_state(keeper, ret);
    trail_keeper_free(keeper);
    return err;
}

/* ---- an export, held against what was kept ---- */

static enum err export_run(struct store_conn *conn, struct store_job *job)
{
    struct sbuf *out = job->context;
    struct arena arena;
    uint64_t next = 0;
    enum err err;

    arena_init(&arena, NULL, 0, WORK_BYTES_MAX);
    sbuf_truncate(out, 0);
    err = trail_export_head(conn, SPAN_OF("log.example"), 0, desk.count, &arena, out);
    if (!err)
        err = trail_export_lines(conn, 0, desk.count, LEAVES + 1, &arena, out, &next);
    arena_reset(&arena);
    return err;
}

static void found(void *context, struct span sentence)
{
    size_t *count = context;

    assert_true(sentence.len > 0);
    ++*count;
}

static size_t findings(void)
{
    size_t count = 0;
    const struct trail_verify_options options = {
        .verifiers = &desk.key, .verifier_count = 1, .found = found, .context = &count};
    struct trail_verify_summary summary;
    struct trail_verify *verify = NULL;
    struct arena arena;
    struct sbuf out;
    char path[] = "/tmp/trail-tamper-XXXXXX";
    int fd = mkstemp(path);

    arena_init(&arena, NULL, 0, WORK_BYTES_MAX);
    out = sbuf_on(&arena, WORK_BYTES_MAX / 2);
    assert_int_equal(store_do(log_bench.store, export_run, &out, false), ERR_OK);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(write(fd, out.ptr, out.len), (ssize_t)out.len);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(trail_verify_new(&options, &verify), ERR_OK);
    assert_int_equal(trail_verify_note(verify, "kept", span_make(desk.note, desk.note_bytes)),
                     ERR_OK);
    assert_int_equal(trail_verify_file(verify, "export", fd), ERR_OK);
    trail_verify_end(verify, &summary);
    trail_verify_free(verify);
    arena_reset(&arena);
    assert_int_equal(close(fd), 0);
    return count;
}

/* ---- a log of which a checkpoint was kept ---- */

static enum err load_run(struct store_conn *conn, struct store_job *job)
{
    const struct trail_filter filter = {.limit = LEAVES, .oldest_first = true};
    struct trail_entry *list = NULL;
    size_t count = 0;
    enum err err = trail_find(conn, &filter, &desk.arena, &list, &count);

    (void)job;
    if (err)
        return err;
    assert_int_equal(count, LEAVES);
    memcpy(desk.kept, list, LEAVES * sizeof(*list));
    return ERR_OK;
}

static int setup(void **state)
{
    struct trail_keeper_state now;
    struct crypto_fault fault;
    FILE *file;

    if (log_setup(state) != 0)
        return -1;
    random_seeded_init(&desk.random, 11);
    arena_init(&desk.arena, NULL, 0, WORK_BYTES_MAX);
    (void)snprintf(desk.key_path, sizeof(desk.key_path), "%s/audit.pem", log_bench.kit->dir);
    (void)snprintf(desk.memory, sizeof(desk.memory), "%s/audit.checkpoint", log_bench.kit->dir);
    assert_int_equal(trail_key_open(desk.key_path, SPAN_OF("log.example"), true, &desk.key, &fault),
                     ERR_OK);
    for (int i = 0; i < LEAVES; i++) {
        char actor[16];

        (void)snprintf(actor, sizeof(actor), "%d", i);
        assert_int_equal(log_add(AT + i, actor, "session:1"), ERR_OK);
    }
    assert_int_equal(store_do(log_bench.store, load_run, NULL, false), ERR_OK);
    assert_int_equal(keeper_tries(&now), ERR_OK);
    file = fopen(desk.memory, "r");
    assert_non_null(file);
    desk.note_bytes = fread(desk.note, 1, sizeof(desk.note), file);
    assert_int_equal(fclose(file), 0);
    return 0;
}

static int teardown(void **state)
{
    trail_verifier_free(&desk.key);
    arena_reset(&desk.arena);
    (void)unlink(desk.key_path);
    (void)unlink(desk.memory);
    return log_teardown(state);
}

/* ---- what he does ---- */

static void set_text(struct span *text)
{
    *text = span_is(*text, "x") ? SPAN_OF("y") : SPAN_OF("x");
}

/* One field of a record, whichever: plain ones, personal ones, id, time and seed. */
static void edit(struct trail_entry *e, unsigned field)
{
    struct span *const texts[] = {
        &e->event,       &e->source,      &e->client,      &e->request_id,  &e->personal[0],
        &e->personal[1], &e->personal[2], &e->personal[3], &e->personal[4], &e->personal[5]};

    if (field < PC_COUNT(texts) && texts[field]->len == 0) /* it may need a salt */
        e->seed = log_entry_full().seed;
    if (field < PC_COUNT(texts))
        set_text(texts[field]);
    else if (field == PC_COUNT(texts))
        e->id[3] ^= 1;
    else if (field == PC_COUNT(texts) + 1)
        e->outcome = span_is(e->outcome, "done") ? SPAN_OF("refused") : SPAN_OF("done");
    else if (field == PC_COUNT(texts) + 2)
        e->category = span_is(e->category, "platform") ? SPAN_OF("security") : SPAN_OF("platform");
    else if (field == PC_COUNT(texts) + 3)
        e->severity = span_is(e->severity, "info") ? SPAN_OF("warning") : SPAN_OF("info");
    else if (field == PC_COUNT(texts) + 4)
        e->actor_kind = span_is(e->actor_kind, "user") ? SPAN_OF("client") : SPAN_OF("user");
    else if (field == PC_COUNT(texts) + 5)
        e->tags = SPAN_OF("[\"pci\"]");
    else if (field == PC_COUNT(texts) + 6)
        e->seed = log_entry_full().seed;
    else
        e->at_ns++;
}
enum { FIELDS = 10 + 8 };

static void do_edit(void)
{
    edit(&desk.entries[pick(LEAVES)], pick(FIELDS));
}

static void do_delete(void)
{
    size_t seq = pick(LEAVES);

    memmove(&desk.entries[seq], &desk.entries[seq + 1],
            (LEAVES - 1 - seq) * sizeof(desk.entries[0]));
    desk.count--;
}

/* And one more at the end, so that the count is right. */
static void do_replace(void)
{
    do_delete();
    desk.entries[desk.count] = desk.entries[desk.count - 1];
    desk.entries[desk.count].id[0] ^= 1;
    desk.count++;
}

static void do_insert(void)
{
    size_t seq = pick(LEAVES);

    memmove(&desk.entries[seq + 1], &desk.entries[seq], (LEAVES - seq) * sizeof(desk.entries[0]));
    desk.entries[seq].id[0] ^= 1;
    desk.count++;
}

static void do_reorder(void)
{
    size_t a = pick(LEAVES);
    size_t b = (a + 1 + pick(LEAVES - 1)) % LEAVES;
    struct trail_entry kept = desk.entries[a];

    desk.entries[a] = desk.entries[b];
    desk.entries[b] = kept;
    desk.entries[b].at_ns = desk.entries[a].at_ns;
    desk.entries[a].at_ns = kept.at_ns;
}

static void do_truncate(void)
{
    desk.count = LEAVES - 1 - pick(LEAVES - 2);
}

static void do_fork(void)
{
    for (size_t i = pick(LEAVES); i < LEAVES; i++)
        set_text(&desk.entries[i].personal[TRAIL_PERSONAL_OBJECT]);
}

/* He did it: the keeper says so, and the export does not pass. */
static void is_caught(void)
{
    struct trail_keeper_state now;

    rewrite();
    assert_int_equal(keeper_tries(&now), ERR_CONFLICT);
    assert_true(now.refused);
    assert_true(findings() > 0);
}

static void all_caught(void (*tamper)(void))
{
    const char *wish = getenv("PORTCULLIS_TRIES");
    uint64_t tries = TRIES;

    assert_true(wish == NULL || span_to_u64(span_from(wish), &tries));
    for (uint64_t i = 0; i < tries; i++) {
        memcpy(desk.entries, desk.kept, sizeof(desk.kept));
        desk.count = LEAVES;
        desk.with_notes = i % 2 == 0 && tamper != do_truncate && tamper != do_delete;
        tamper();
        is_caught();
    }
    /* Nothing but what he did was at fault. */
    memcpy(desk.entries, desk.kept, sizeof(desk.kept));
    desk.count = LEAVES;
    desk.with_notes = false;
    rewrite();
    assert_int_equal(findings(), 0);
}

static void every_field_of_a_record(void **state)
{
    (void)state;
    for (unsigned field = 0; field < FIELDS; field++) {
        memcpy(desk.entries, desk.kept, sizeof(desk.kept));
        desk.count = LEAVES;
        edit(&desk.entries[pick(LEAVES)], field);
        is_caught();
    }
}

/* Whoever writes the database can add to the log, as the program does; but no checkpoint that was
 * kept, nor one behind an export that he alone made, vouches for it. */
static void appending_is_caught_without_a_signature(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        memcpy(desk.entries, desk.kept, sizeof(desk.kept));
        desk.count = LEAVES;
        desk.with_notes = i % 2 == 0;
        desk.entries[desk.count] = desk.entries[desk.count - 1];
        desk.entries[desk.count].id[0] ^= 1;
        desk.count++;
        rewrite();
        assert_int_equal(findings(), 1);
    }
}

#define CAUGHT(name)                                                                               \
    static void name##_is_caught(void **state)                                                     \
    {                                                                                              \
        (void)state;                                                                               \
        all_caught(do_##name);                                                                     \
    }
CAUGHT(edit)
CAUGHT(delete)
CAUGHT(replace)
CAUGHT(insert)
CAUGHT(reorder)
CAUGHT(truncate)
CAUGHT(fork)

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(every_field_of_a_record), T(edit_is_caught),   T(delete_is_caught),
        T(replace_is_caught),       T(insert_is_caught), T(reorder_is_caught),
        T(truncate_is_caught),      T(fork_is_caught),   T(appending_is_caught_without_a_signature),
    };
#undef T

    return cmocka_run_group_tests_name("trail tamper", tests, NULL, NULL);
}
