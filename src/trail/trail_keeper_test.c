/* SPDX-License-Identifier: MIT
 * The keeper: what it signs is the tree of the leaves, its tiles are the tree's nodes, failures of
 * the store and the heap cost a round and nothing else, and a log that was cut, changed or forked
 * behind its back is refused. Alike on both databases. */
#include <fcntl.h>
#include <sys/stat.h>

#include "trail/trail_checkpoints.h"
#include "trail/trail_export.h"
#include "trail/trail_keeper_priv.h"
#include "trail/trail_key.h"
#include "trail/trail_test_kit.h"

static struct {
    struct trail_verifier key;
    char key_path[96], memory[96];
    struct clock_fake clock;
    struct trail_keeper *keeper;
} desk;

static struct trail_keeper *keeper_new(const struct trail_verifier *signer)
{
    const struct trail_keeper_options options = {.store = log_bench.store,
                                                 .clock = &desk.clock.clock,
                                                 .origin = SPAN("log.example"),
                                                 .signer = signer,
                                                 .memory = desk.memory};
    struct trail_keeper *keeper = NULL;

    assert_int_equal(trail_keeper_new(&options, &keeper), ERR_OK);
    return keeper;
}

static int setup(void **state)
{
    struct crypto_fault fault;

    if (log_setup(state) != 0)
        return -1;
    (void)snprintf(desk.key_path, sizeof(desk.key_path), "%s/audit.pem", log_bench.kit->dir);
    (void)snprintf(desk.memory, sizeof(desk.memory), "%s/audit.checkpoint", log_bench.kit->dir);
    clock_fake_init(&desk.clock, AT);
    assert_int_equal(trail_key_open(desk.key_path, SPAN_OF("log.example"), true, &desk.key, &fault),
                     ERR_OK);
    desk.keeper = keeper_new(&desk.key);
    return 0;
}

static int teardown(void **state)
{
    store_fail_at(0);
    alloc_fail_at(0);
    trail_keeper_free(desk.keeper);
    trail_verifier_free(&desk.key);
    (void)unlink(desk.key_path);
    (void)unlink(desk.memory);
    return log_teardown(state);
}

/* As after a new start of the program. */
static void keeper_again(void)
{
    trail_keeper_free(desk.keeper);
    desk.keeper = keeper_new(&desk.key);
}

/* ---- adding ---- */

struct adding {
    size_t count;
    struct trail_record *records;
};

static enum err add_run(struct store_conn *conn, struct store_job *job)
{
    const struct adding *adding = job->context;

    return trail_add_many(conn, adding->records, adding->count);
}

static void add(size_t count)
{
    struct adding adding = {.count = count, .records = alloc_zero(count * sizeof(*adding.records))};

    assert_non_null(adding.records);
    for (size_t i = 0; i < count; i++)
        adding.records[i] = (struct trail_record){.event = TRAIL_LOGIN,
                                                  .outcome = TRAIL_DONE,
                                                  .at_ns = AT,
                                                  .actor_kind = TRAIL_ACTOR_USER,
                                                  .actor = SPAN("7")};
    assert_int_equal(store_do(log_bench.store, add_run, &adding, true), ERR_OK);
    alloc_free(adding.records);
}

/* ---- looking ---- */

struct seeing {
    struct trail_signed newest;
    struct trail_tree head;
    struct trail_entry *list;
    size_t count;
    uint64_t proved; /* this leaf, in `size` */
    uint64_t size;
    struct trail_proof inclusion, consistency;
    struct trail_hash root;
    enum err err;
};

static enum err see_run(struct store_conn *conn, struct store_job *job)
{
    struct seeing *seeing = job->context;
    int64_t at;
    enum err err = trail_tree_read(conn, &seeing->head, &at);

    return err ? err : trail_signed_newest(conn, &log_bench.arena, &seeing->newest);
}

static enum err find_run(struct store_conn *conn, struct store_job *job)
{
    struct seeing *seeing = job->context;
    const struct trail_filter filter = {.limit = (size_t)seeing->head.size, .oldest_first = true};

    return trail_find(conn, &filter, &log_bench.arena, &seeing->list, &seeing->count);
}

static enum err prove_run(struct store_conn *conn, struct store_job *job)
{
    struct seeing *seeing = job->context;
    struct trail_nodes *nodes = NULL;
    struct arena arena;
    enum err err;

    arena_init(&arena, NULL, 0, (size_t)4 * 1024 * 1024);
    err = trail_nodes_on(conn, &arena, &nodes);
    if (!err)
        err = trail_proof_inclusion(seeing->proved, seeing->size, trail_node, nodes,
                                    &seeing->inclusion);
    if (!err)
        err = trail_proof_consistency(seeing->proved + 1, seeing->size, trail_node, nodes,
                                      &seeing->consistency);
    if (!err)
        err = trail_root_at(seeing->proved + 1, trail_node, nodes, &seeing->root);
    arena_reset(&arena);
    return err;
}

/* The newest checkpoint is of all leaves there are, bears the key's signature and the root. */
static void all_is_signed(void)
{
    struct seeing seeing = {.count = 0};
    struct trail_checkpoint said;
    struct trail_hash root;

    arena_reset(&log_bench.arena);
    assert_int_equal(store_do(log_bench.store, see_run, &seeing, false), ERR_OK);
    assert_int_equal(trail_note_check(seeing.newest.note, &desk.key, 1, &said, NULL), ERR_OK);
    trail_tree_root(&seeing.head, &root);
    assert_int_equal(said.size, seeing.head.size);
    assert_memory_equal(said.root.bytes, root.bytes, sizeof(root.bytes));
    assert_int_equal(seeing.newest.size, said.size);
}

/* Every so many leaves: a proof out of tiles and rows holds under the checkpoint's root. */
static void proofs_hold(size_t step)
{
    struct seeing seeing = {.count = 0};

    arena_reset(&log_bench.arena);
    assert_int_equal(store_do(log_bench.store, see_run, &seeing, false), ERR_OK);
    assert_int_equal(store_do(log_bench.store, find_run, &seeing, false), ERR_OK);
    seeing.size = seeing.newest.size;
    for (uint64_t i = 0; i < seeing.size; i += step) {
        seeing.proved = i;
        assert_int_equal(store_do(log_bench.store, prove_run, &seeing, false), ERR_OK);
        assert_true(trail_check_inclusion(&seeing.list[i].leaf, i, seeing.size, &seeing.inclusion,
                                          &seeing.newest.root));
        assert_true(trail_check_consistency(i + 1, &seeing.root, seeing.size, &seeing.newest.root,
                                            &seeing.consistency));
    }
}

static struct trail_keeper_state state_now(void)
{
    struct trail_keeper_state state;

    trail_keeper_state(desk.keeper, &state);
    return state;
}

static const struct store_statement count_notes = {
    .name = "test_count_notes", .sqlite = "SELECT count(*) FROM trail_checkpoints"};
static const struct store_statement count_tiles = {
    .name = "test_count_tiles", .sqlite = "SELECT count(*) FROM trail_tiles WHERE level = 0"};

/* ---- what it does ---- */

static void an_empty_log_is_not_signed(void **state)
{
    (void)state;
    assert_int_equal(trail_keeper_round(desk.keeper), ERR_OK);
    assert_int_equal(log_number(&count_notes), 0);
    assert_int_equal(state_now().size, 0);
}

static void what_came_is_signed_once(void **state)
{
    (void)state;
    add(3);
    assert_int_equal(trail_keeper_round(desk.keeper), ERR_OK);
    all_is_signed();
    assert_int_equal(trail_keeper_round(desk.keeper), ERR_OK);
    assert_int_equal(log_number(&count_notes), 1);
    add(1);
    assert_int_equal(trail_keeper_round(desk.keeper), ERR_OK);
    assert_int_equal(log_number(&count_notes), 2);
    all_is_signed();
    assert_int_equal(state_now().signed_size, 4);
    assert_int_equal(state_now().lag_ns, 0);
    proofs_hold(1);
}

static void tiles_are_the_trees_nodes(void **state)
{
    static const size_t parts[] = {255, 1, 1, 255, 256, 300, 5000};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(parts); i++) {
        add(parts[i]);
        assert_int_equal(trail_keeper_round(desk.keeper), ERR_OK);
        all_is_signed();
    }
    assert_int_equal(log_number(&count_tiles), 6068 / 256);
    proofs_hold(61);
    keeper_again();
    add(700);
    assert_int_equal(trail_keeper_round(desk.keeper), ERR_OK);
    all_is_signed();
    proofs_hold(61);
}

/* Without a keeper there are no tiles, and every node is worked out from the rows. */
static void proofs_need_no_tiles(void **state)
{
    static const struct store_statement no_tiles = {.name = "test_no_tiles",
                                                    .sqlite = "DELETE FROM trail_tiles"};

    (void)state;
    add(900);
    assert_int_equal(trail_keeper_round(desk.keeper), ERR_OK);
    kit_exec(log_bench.store, &no_tiles);
    proofs_hold(7);
    keeper_again();
    add(1);
    assert_int_equal(trail_keeper_round(desk.keeper), ERR_OK);
    all_is_signed();
}

/* A keeper that comes late takes several rounds. */
static void a_long_log_is_caught_up_with(void **state)
{
    int rounds = 0;

    (void)state;
    for (int i = 0; i < 4; i++)
        add(10000);
    do {
        assert_int_equal(trail_keeper_round(desk.keeper), ERR_OK);
        rounds++;
    } while (desk.keeper->behind);
    assert_int_equal(rounds, 3);
    all_is_signed();
    proofs_hold(1999);
}

static void takes(size_t count, size_t recalled)
{
    if (count > 0)
        add(count);
    assert_int_equal(trail_keeper_round(desk.keeper), ERR_OK);
    assert_int_equal(desk.keeper->look.recalled, recalled);
    all_is_signed();
}

/* Round the ring, and round it again; then their rows are read, so many a round. */
static void many_leaves_come_from_memory(void **state)
{
    (void)state;
    takes(255, 0);
    assert_int_equal(desk.keeper->rows.size, 255);
    for (size_t i = 0; i < 3; i++)
        takes(9000, 9000);
    takes(1, 0);
    assert_int_equal(desk.keeper->rows.size, 255);
    takes(0, 0);
    assert_int_equal(desk.keeper->rows.size, 255 + KEEPER_LEAVES_MAX);
    takes(1, 0);
    assert_int_equal(desk.keeper->rows.size, 255 + 27000 + 2);
    proofs_hold(1999);
}

/* What was committed elsewhere in between is read, and so is what is before it. */
static void leaves_of_others_come_from_their_rows(void **state)
{
    (void)state;
    takes(300, 300);
    add(200);
    trail_recent_add(&(struct trail_entry){.seq = 1000000}, 1);
    takes(200, 0);
    takes(300, 300);
    proofs_hold(7);
}

/* Memory that has another log's leaves under these places makes the keeper read, no more. */
static void memory_of_another_log_is_not_believed(void **state)
{
    struct trail_entry wrong[300] = {{.seq = 0}};

    (void)state;
    add(300);
    trail_recent_add(wrong, PC_COUNT(wrong));
    takes(0, 0);
    wrong[0].seq = 300;
    add(17000); /* more than one round takes */
    trail_recent_add(wrong, PC_COUNT(wrong));
    assert_int_equal(trail_keeper_round(desk.keeper), ERR_OK);
    takes(0, 0);
    proofs_hold(61);
}

static void two_keepers_do_no_harm(void **state)
{
    struct trail_keeper *other = keeper_new(&desk.key);
    struct trail_keeper *keyless = keeper_new(NULL);

    (void)state;
    for (int i = 0; i < 20; i++) {
        add((size_t)i * 13 + 1);
        assert_int_equal(trail_keeper_round(i % 3 == 0   ? keyless
                                            : i % 3 == 1 ? other
                                                         : desk.keeper),
                         ERR_OK);
    }
    assert_int_equal(trail_keeper_round(desk.keeper), ERR_OK);
    assert_int_equal(trail_keeper_round(keyless), ERR_OK);
    assert_int_equal(trail_keeper_round(other), ERR_OK);
    all_is_signed();
    proofs_hold(11);
    trail_keeper_free(other);
    trail_keeper_free(keyless);
}

/* One an hour stays of those that are older than an hour; the newest in any case. */
static void old_checkpoints_are_thinned(void **state)
{
    (void)state;
    for (int i = 0; i < 40; i++) {
        add(1);
        assert_int_equal(trail_keeper_round(desk.keeper), ERR_OK);
        clock_fake_move(&desk.clock, 600 * CLOCK_NS_PER_S);
    }
    /* 400 minutes: those of the last hour, and one of each hour before. */
    assert_in_range(log_number(&count_notes), 12, 15);
    all_is_signed();
}

static void the_file_remembers(void **state)
{
    char note[TRAIL_NOTE_BYTES_MAX];
    struct trail_checkpoint said;
    struct stat info;
    size_t bytes;

    (void)state;
    add(5);
    assert_int_equal(trail_keeper_round(desk.keeper), ERR_OK);
    assert_int_equal(trail_memory_read(desk.memory, note, &bytes), ERR_OK);
    assert_int_equal(trail_note_check(span_make(note, bytes), &desk.key, 1, &said, NULL), ERR_OK);
    assert_int_equal(said.size, 5);
    assert_int_equal(stat(desk.memory, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    add(5);
    assert_int_equal(trail_keeper_round(desk.keeper), ERR_OK); /* within the second */
    clock_fake_move(&desk.clock, CLOCK_NS_PER_S);
    assert_int_equal(trail_keeper_round(desk.keeper), ERR_OK);
    assert_int_equal(trail_memory_read(desk.memory, note, &bytes), ERR_OK);
    assert_int_equal(trail_note_check(span_make(note, bytes), &desk.key, 1, &said, NULL), ERR_OK);
    assert_int_equal(said.size, 10);
}

/* ---- the thread ---- */

static void the_thread_signs_and_ends(void **state)
{
    (void)state;
    trail_keeper_free(desk.keeper);
    {
        const struct trail_keeper_options options = {.store = log_bench.store,
                                                     .clock = &clock_system,
                                                     .signer = &desk.key,
                                                     .memory = desk.memory};

        assert_int_equal(trail_keeper_new(&options, &desk.keeper), ERR_OK);
    }
    assert_int_equal(trail_keeper_start(desk.keeper), ERR_OK);
    add(10);
    for (int i = 0; i < 500 && state_now().signed_size < 10; i++)
        (void)usleep(10000);
    assert_int_equal(state_now().signed_size, 10);
    add(300);
    trail_keeper_stop(desk.keeper); /* signs what came last */
    all_is_signed();
    assert_int_equal(state_now().signed_size, 310);
}

/* ---- failures ---- */

/* Until it works again. */
static void round_in_the_end(void)
{
    enum err err = ERR_STORE_UNAVAILABLE;

    for (int i = 0; i < 500 && err != ERR_OK; i++) {
        err = trail_keeper_round(desk.keeper);
        assert_int_not_equal(err, ERR_CONFLICT);
        if (err)
            (void)usleep(10000);
    }
    assert_int_equal(err, ERR_OK);
}

/* True when the n-th call was made, and failed. */
static bool round_with_failure(uint64_t nth)
{
    bool made;

    store_fail_at(nth);
    assert_int_not_equal(trail_keeper_round(desk.keeper), ERR_CONFLICT);
    made = !store_fail_pending();
    store_fail_at(0);
    round_in_the_end();
    all_is_signed();
    return made;
}

static void a_failing_store_costs_a_round(void **state)
{
    uint64_t nth = 0;

    (void)state;
    do {
        add(1);
        nth++;
        assert_true(nth < 100);
    } while (round_with_failure(nth));
    assert_true(nth > 8);
    proofs_hold(7);
}

/* The round that begins at the last checkpoint. */
static void a_failing_store_costs_a_beginning(void **state)
{
    uint64_t nth = 0;

    (void)state;
    add(3);
    round_in_the_end();
    do {
        keeper_again();
        nth++;
        assert_true(nth < 100);
    } while (round_with_failure(nth));
    assert_true(nth > 8);
}

static void a_failing_heap_costs_a_round(void **state)
{
    bool done = false;

    (void)state;
    for (uint64_t nth = 1; !done && nth < 200; nth++) {
        enum err err;

        add(300);
        keeper_again();
        alloc_fail_at(nth);
        err = trail_keeper_round(desk.keeper);
        done = alloc_fail_pending() != 0;
        alloc_fail_at(0);
        assert_int_not_equal(err, ERR_CONFLICT);
        assert_int_equal(trail_keeper_round(desk.keeper), ERR_OK);
        all_is_signed();
    }
    assert_true(done);
}

/* ---- several programs at once ---- */

static struct trail_verifier key_make(void)
{
    struct trail_verifier made = {.key = NULL};
    struct crypto_key *key = NULL;

    assert_int_equal(crypto_key_generate(CRYPTO_EDDSA, (struct span){0}, &key), ERR_OK);
    assert_int_equal(trail_verifier_of(key, SPAN_OF("log.example"), &made), ERR_OK);
    crypto_key_free(key);
    return made;
}

static enum err claim_run(struct store_conn *conn, struct store_job *job)
{
    return trail_signed_claim(conn, job->context, AT);
}

static enum err claim(const struct trail_verifier *key)
{
    return store_do(log_bench.store, claim_run, (void *)(uintptr_t)key, true);
}

/* Two nodes with a data folder each start for the first time: both found no note and made a key.
 * One of them has the log, and the other knows before it signs anything. */
static void the_first_key_has_the_log(void **state)
{
    struct trail_verifier late = key_make();
    struct trail_keeper *other = keeper_new(NULL); /* the late one, without its key */

    (void)state;
    add(3);
    assert_int_equal(claim(&desk.key), ERR_OK);
    assert_int_equal(claim(&late), ERR_TAKEN);
    assert_int_equal(claim(&desk.key), ERR_OK); /* a new start */
    assert_int_equal(log_number(&count_notes), 1);
    assert_int_equal(trail_keeper_round(other), ERR_OK);
    assert_int_equal(log_number(&count_notes), 1);
    assert_int_equal(trail_keeper_round(desk.keeper), ERR_OK);
    assert_int_equal(trail_keeper_round(other), ERR_OK);
    all_is_signed();
    assert_int_equal(claim(&late), ERR_TAKEN);
    trail_keeper_free(other);
    trail_verifier_free(&late);
}

/* Who has a key of before, which is not the log's, is told what to do. */
static void a_key_that_is_not_the_logs_is_told(void **state)
{
    struct trail_verifier late = key_make();

    (void)state;
    assert_int_equal(claim(&desk.key), ERR_OK);
    trail_keeper_free(desk.keeper);
    desk.keeper = keeper_new(&late);
    assert_int_equal(trail_keeper_round(desk.keeper), ERR_CONFLICT);
    assert_non_null(strstr(state_now().why, "copy its key file here or set audit.key_file"));
    trail_keeper_free(desk.keeper);
    desk.keeper = NULL;
    trail_verifier_free(&late);
}

/* The old program of a restart: it signs once more while the new one reads the file. */
struct leaving {
    struct trail_keeper *keeper;
    char memory[96];
};

static void *leaving_thread(void *context)
{
    struct leaving *leaving = context;
    int fd = open(desk.memory, O_WRONLY | O_CLOEXEC); /* waits for the reader */

    PC_ASSERT(fd >= 0);
    add(3);
    PC_ASSERT(trail_keeper_round(leaving->keeper) == ERR_OK);
    PC_ASSERT(write(fd, leaving->keeper->note, leaving->keeper->note_bytes) ==
              (ssize_t)leaving->keeper->note_bytes);
    PC_ASSERT(close(fd) == 0);
    return NULL;
}

static void an_overlapping_restart_is_no_cut(void **state)
{
    struct leaving leaving = {.memory = ""};
    struct trail_keeper_options options = {.store = log_bench.store,
                                           .clock = &desk.clock.clock,
                                           .origin = SPAN("log.example"),
                                           .signer = &desk.key,
                                           .memory = leaving.memory};
    pthread_t thread;

    (void)state;
    (void)snprintf(leaving.memory, sizeof(leaving.memory), "%s/old.checkpoint", log_bench.kit->dir);
    assert_int_equal(trail_keeper_new(&options, &leaving.keeper), ERR_OK);
    add(5);
    assert_int_equal(trail_keeper_round(leaving.keeper), ERR_OK);
    assert_int_equal(mkfifo(desk.memory, 0600), 0);
    assert_int_equal(pthread_create(&thread, NULL, leaving_thread, &leaving), 0);
    assert_int_equal(trail_keeper_round(desk.keeper), ERR_OK);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(state_now().refused);
    all_is_signed();
    trail_keeper_free(leaving.keeper);
    (void)unlink(leaving.memory);
}

/* ---- what it refuses ---- */

#define SQL(name_, text_)                                                                          \
    static const struct store_statement name_ = {.name = #name_, .sqlite = (text_)}
/* Who has every right on the database: the guards go first. */
static const struct store_statement guards[] = {
    {.name = "unguard1",
     .sqlite = "DROP TRIGGER IF EXISTS trail_events_no_update",
     .postgres = "DROP TRIGGER IF EXISTS trail_events_stay ON trail_events"},
    {.name = "unguard2",
     .sqlite = "DROP TRIGGER IF EXISTS trail_events_no_delete",
     .postgres = "DROP TRIGGER IF EXISTS trail_events_stay_whole ON trail_events"},
    {.name = "unguard3",
     .sqlite = "DROP TRIGGER IF EXISTS trail_events_no_replace",
     .postgres = "SELECT 1"},
};
SQL(cut_all, "DELETE FROM trail_events");
SQL(cut_tags, "DELETE FROM trail_tags");
SQL(cut_tiles, "DELETE FROM trail_tiles");
SQL(cut_notes, "DELETE FROM trail_checkpoints");
SQL(hole, "DELETE FROM trail_events WHERE seq = 103");

static void unguard(void)
{
    for (size_t i = 0; i < PC_COUNT(guards); i++)
        kit_exec(log_bench.store, &guards[i]);
}

static void refuses(void)
{
    assert_int_equal(trail_keeper_round(desk.keeper), ERR_CONFLICT);
    assert_true(state_now().refused);
    assert_false(state_now().signs);
    assert_true(strlen(state_now().why) > 0);
    add(1);
    assert_int_equal(trail_keeper_round(desk.keeper), ERR_CONFLICT);
}

/* A log of `count` leaves from nothing, as the program itself would have made it. */
static void log_made_anew(size_t count)
{
    static const struct store_statement head_none = {
        .name = "test_head_none",
        .sqlite = "UPDATE trail_head SET size = 0, at = 0, roots = x''",
        .postgres = "UPDATE trail_head SET size = 0, at = 0, roots = ''"};

    unguard();
    kit_exec(log_bench.store, &cut_all);
    kit_exec(log_bench.store, &cut_tags);
    kit_exec(log_bench.store, &cut_tiles);
    kit_exec(log_bench.store, &cut_notes);
    kit_exec(log_bench.store, &head_none);
    if (count > 0)
        add(count);
}

static void signed_log(size_t count)
{
    add(count);
    assert_int_equal(trail_keeper_round(desk.keeper), ERR_OK);
}

static void a_shorter_log_is_refused(void **state)
{
    (void)state;
    signed_log(100);
    log_made_anew(60);
    refuses();
    keeper_again();
    refuses();
}

static void another_log_is_refused(void **state)
{
    (void)state;
    signed_log(100);
    log_made_anew(150);
    refuses();
}

/* The same after a new start, which knows no more than the file. */
static void another_log_is_refused_later(void **state)
{
    (void)state;
    signed_log(100);
    log_made_anew(150);
    keeper_again();
    refuses();
}

/* Who takes the file away as well must also sign, which he cannot. */
static void a_strange_checkpoint_is_refused(void **state)
{
    struct trail_verifier strange = key_make();

    (void)state;
    trail_keeper_free(desk.keeper);
    desk.keeper = keeper_new(&strange);
    signed_log(10);
    assert_int_equal(unlink(desk.memory), 0);
    keeper_again();
    refuses();
    trail_verifier_free(&strange);
}

static void a_missing_leaf_is_refused(void **state)
{
    (void)state;
    signed_log(100);
    add(10);
    unguard();
    kit_exec(log_bench.store, &hole);
    refuses();
}

/* While many come they are taken from memory; their rows are looked at when few do. */
static void a_missing_row_is_refused_later(void **state)
{
    (void)state;
    signed_log(100);
    add(300);
    unguard();
    kit_exec(log_bench.store, &hole);
    assert_int_equal(trail_keeper_round(desk.keeper), ERR_OK);
    all_is_signed();
    assert_int_equal(trail_keeper_round(desk.keeper), ERR_OK); /* few came */
    refuses();
}

static void a_row_of_another_leaf_is_refused_later(void **state)
{
    SQL(leaf_other, "UPDATE trail_events SET leaf = (SELECT leaf FROM trail_events WHERE seq = 7) "
                    "WHERE seq = 103");

    (void)state;
    signed_log(100);
    add(300);
    unguard();
    kit_exec(log_bench.store, &leaf_other);
    assert_int_equal(trail_keeper_round(desk.keeper), ERR_OK);
    assert_int_equal(trail_keeper_round(desk.keeper), ERR_OK);
    refuses();
}

static void a_damaged_file_is_refused(void **state)
{
    FILE *file;

    (void)state;
    signed_log(100);
    file = fopen(desk.memory, "r+");
    assert_non_null(file);
    assert_int_equal(fputc('x', file), 'x');
    assert_int_equal(fclose(file), 0);
    keeper_again();
    refuses();
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(an_empty_log_is_not_signed),
        T(what_came_is_signed_once),
        T(tiles_are_the_trees_nodes),
        T(proofs_need_no_tiles),
        T(a_long_log_is_caught_up_with),
        T(two_keepers_do_no_harm),
        T(old_checkpoints_are_thinned),
        T(the_file_remembers),
        T(the_thread_signs_and_ends),
        T(a_failing_store_costs_a_round),
        T(a_failing_store_costs_a_beginning),
        T(a_failing_heap_costs_a_round),
        T(a_shorter_log_is_refused),
        T(another_log_is_refused),
        T(another_log_is_refused_later),
        T(a_strange_checkpoint_is_refused),
        T(a_missing_leaf_is_refused),
        T(a_damaged_file_is_refused),
        T(the_first_key_has_the_log),
        T(a_key_that_is_not_the_logs_is_told),
        T(an_overlapping_restart_is_no_cut),
        T(many_leaves_come_from_memory),
        T(leaves_of_others_come_from_their_rows),
        T(memory_of_another_log_is_not_believed),
        T(a_missing_row_is_refused_later),
        T(a_row_of_another_leaf_is_refused_later),
    };
#undef T

    return cmocka_run_group_tests_name("trail keeper", tests, NULL, NULL);
}
