/* SPDX-License-Identifier: MIT
 * What shows that the log is whole: checkpoints, proofs and tiles over HTTP are those of the tree,
 * and the pages of an export are one export that the offline check accepts. */
#include "audit/audit_test_kit.h"

#include <pthread.h>

#include "crypto/digest.h"
#include "trail/trail_checkpoints.h"
#include "trail/trail_keeper.h"
#include "trail/trail_key.h"
#include "trail/trail_verify.h"

static struct {
    struct trail_verifier key;
    struct trail_keeper *keeper;
    char path[96], memory[96];
} log_key;

static int setup(void **state)
{
    struct trail_keeper_options options = {.clock = &desk.clock.clock, .origin = SPAN("test-log")};
    struct crypto_fault fault;

    if (desk_setup(state) != 0)
        return -1;
    (void)snprintf(log_key.path, sizeof(log_key.path), "%s/audit.pem", desk.folder);
    (void)snprintf(log_key.memory, sizeof(log_key.memory), "%s/audit.checkpoint", desk.folder);
    assert_int_equal(trail_key_open(log_key.path, SPAN_OF("test-log"), true, &log_key.key, &fault),
                     ERR_OK);
    options.store = desk.store;
    options.signer = &log_key.key;
    options.memory = log_key.memory;
    assert_int_equal(trail_keeper_new(&options, &log_key.keeper), ERR_OK);
    desk.service.keeper = log_key.keeper;
    return 0;
}

static int teardown(void **state)
{
    int over = desk_teardown(state);

    trail_keeper_free(log_key.keeper);
    trail_verifier_free(&log_key.key);
    return over;
}

#define PROOF_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

static void sign(void)
{
    assert_int_equal(trail_keeper_round(log_key.keeper), ERR_OK);
}

struct add {
    size_t count;
};

static enum err add_run(struct store_conn *conn, struct store_job *job)
{
    const struct add *add = job->context;
    const struct trail_record record = {.event = TRAIL_LOGIN,
                                        .outcome = TRAIL_DONE,
                                        .at_ns = T0,
                                        .actor_kind = TRAIL_ACTOR_USER,
                                        .actor = SPAN("7"),
                                        .object = SPAN("session:x")};
    enum err err = ERR_OK;

    for (size_t i = 0; i < add->count && err == ERR_OK; i++)
        err = trail_add(conn, &record);
    return err;
}

static void add(size_t count)
{
    struct add many = {.count = count};

    assert_int_equal(store_do(desk.store, add_run, &many, true), ERR_OK);
}

static struct trail_hash hash_said(const char *path)
{
    struct trail_hash hash = {{0}};
    size_t bytes = 0;

    assert_int_equal(crypto_base64_decode(said(path), hash.bytes, sizeof(hash.bytes), &bytes),
                     ERR_OK);
    assert_int_equal(bytes, sizeof(hash.bytes));
    return hash;
}

static uint64_t number_said(const char *path)
{
    uint64_t number = 0;

    assert_true(span_to_u64(said(path), &number));
    return number;
}

static struct trail_proof proof_said(void)
{
    struct trail_proof proof = {.count = 0};
    char path[32];

    for (;;) {
        (void)snprintf(path, sizeof(path), "hashes.%zu", proof.count);
        if (said(path).len == 0)
            return proof;
        proof.path[proof.count++] = hash_said(path);
    }
}

/* The note that an answer holds is ours and is about this tree. */
static void assert_note(struct span note, uint64_t size, const struct trail_hash *root)
{
    struct trail_checkpoint checkpoint = {.size = 0};

    assert_int_equal(trail_note_check(note, &log_key.key, 1, &checkpoint, NULL), ERR_OK);
    assert_int_equal(checkpoint.size, size);
    assert_memory_equal(checkpoint.root.bytes, root->bytes, TRAIL_HASH_BYTES);
}

/* ---- checkpoints ------------------------------------------------------------------------------
 */

static void checkpoints_are_signed_notes(void **state)
{
    struct trail_checkpoint first = {.size = 0}, second = {.size = 0};

    (void)state;
    assert_problem(read_log("GET /audit/checkpoint"), 404, "not-found");
    add(3);
    sign();
    assert_int_equal(read_log("GET /audit/checkpoint"), 200);
    assert_says("Content-Type: text/plain; charset=utf-8\r\n");
    assert_int_equal(
        trail_note_check(arena_copy(&desk.arena, answer_body()), &log_key.key, 1, &first, NULL),
        ERR_OK);
    assert_int_equal(first.size, 3);
    add(5);
    sign();
    assert_int_equal(read_log("GET /audit/checkpoints"), 200);
    assert_int_equal(said_count(), 2);
    assert_said("0.size", "8");
    assert_said("1.size", "3");
    assert_int_equal(trail_note_check(said("0.note"), &log_key.key, 1, &second, NULL), ERR_OK);
    assert_int_equal(second.size, 8);
    assert_int_equal(read_log("GET /audit/checkpoints?limit=1"), 200);
    assert_int_equal(said_count(), 1);
    {
        char what[1024];

        assert_true(next_page(what));
        assert_int_equal(ask(what, READER), 200);
        assert_said("0.size", "3");
    }
    assert_int_equal(events("audit.read"), 0); /* none of it holds an event */
}

static void the_key_is_told(void **state)
{
    struct trail_verifier key = {.key = NULL};
    struct crypto_fault fault;
    struct span line;

    (void)state;
    assert_int_equal(read_log("GET /audit/key"), 200);
    line = answer_body();
    assert_true(span_ends(line, SPAN_OF("\n")));
    line = span_slice(line, 0, line.len - 1);
    assert_int_equal(trail_verifier_read(line, &key, &fault), ERR_OK);
    assert_int_equal(key.hash, log_key.key.hash);
    trail_verifier_free(&key);
    desk.service.keeper = NULL;
    assert_problem(read_log("GET /audit/key"), 404, "not-found");
}

/* ---- proofs -----------------------------------------------------------------------------------
 */

static void an_event_is_proven_to_be_in_the_log(void **state)
{
    static const unsigned leaves[] = {0, 1, 254, 255, 256, 700, 998, 999};

    (void)state;
    assert_problem(read_log("GET /audit/proof/inclusion?seq=0"), 404, "not-found");
    add(1000);
    sign();
    for (size_t i = 0; i < PC_COUNT(leaves); i++) {
        struct trail_hash leaf, root;
        struct trail_proof proof;

        assert_int_equal(read_log("GET /audit/proof/inclusion?seq=%u", leaves[i]), 200);
        assert_int_equal(number_said("leaf_index"), leaves[i]);
        assert_int_equal(number_said("tree_size"), 1000);
        leaf = hash_said("leaf_hash");
        root = hash_said("root");
        proof = proof_said();
        assert_true(trail_check_inclusion(&leaf, leaves[i], 1000, &proof, &root));
        assert_note(said("checkpoint"), 1000, &root);
        leaf.bytes[0] ^= 1;
        assert_false(trail_check_inclusion(&leaf, leaves[i], 1000, &proof, &root));
    }
    assert_int_equal(read_log("GET /audit/proof/inclusion?seq=7&size=100"), 200);
    assert_int_equal(number_said("tree_size"), 100);
    assert_said("checkpoint", "null");
    assert_int_equal(events("audit.read"), 0);
}

static void an_event_is_proven_by_its_id(void **state)
{
    const char *id;

    (void)state;
    add(4);
    assert_int_equal(post("/audit/events", EVENT), 201);
    id = text_of(said("id"));
    assert_problem(read_log("GET /audit/proof/inclusion?id=%s", id), 404, "not-found");
    sign();
    assert_int_equal(read_log("GET /audit/proof/inclusion?id=%s", id), 200);
    assert_int_equal(number_said("leaf_index"), 4);
    add(1);
    assert_problem(read_log("GET /audit/proof/inclusion?seq=5"), 409, "conflict");
    assert_says("Retry-After: 1\r\n");
    assert_problem(read_log("GET /audit/proof/inclusion?seq=5&size=5"), 400, "bad-request");
    assert_problem(read_log("GET /audit/proof/inclusion?seq=5&size=7"), 400, "bad-request");
    assert_int_equal(read_log("GET /audit/proof/inclusion?seq=5&size=6"), 200);
    assert_problem(read_log("GET /audit/proof/inclusion"), 400, "bad-request");
    assert_problem(read_log("GET /audit/proof/inclusion?seq=1&id=%s", id), 400, "bad-request");
    assert_problem(read_log("GET /audit/proof/inclusion?id=0192a3b4-c5d6-7e8f-9a0b-1c2d3e4f5a6b"),
                   404, "not-found");
}

static void the_log_is_proven_to_have_only_grown(void **state)
{
    static const unsigned sizes[][2] = {{1, 600},   {255, 256}, {256, 600}, {300, 301},
                                        {599, 600}, {600, 600}, {1, 1}};

    (void)state;
    add(600);
    sign();
    for (size_t i = 0; i < PC_COUNT(sizes); i++) {
        struct trail_hash old_root, root;
        struct trail_proof proof;

        assert_int_equal(
            read_log("GET /audit/proof/consistency?from=%u&to=%u", sizes[i][0], sizes[i][1]), 200);
        old_root = hash_said("from_root");
        root = hash_said("root");
        proof = proof_said();
        assert_true(trail_check_consistency(sizes[i][0], &old_root, sizes[i][1], &root, &proof));
    }
    assert_int_equal(read_log("GET /audit/proof/consistency?from=10"), 200);
    assert_int_equal(number_said("tree_size"), 600);
    assert_problem(read_log("GET /audit/proof/consistency?from=601"), 400, "bad-request");
    assert_problem(read_log("GET /audit/proof/consistency?from=1&to=601"), 400, "bad-request");
    assert_problem(read_log("GET /audit/proof/consistency?from=5&to=4"), 400, "bad-request");
    assert_problem(read_log("GET /audit/proof/consistency"), 400, "bad-request");
}

/* A tile that was changed makes proofs that fit themselves, and not the note beside them. */
static enum err tile_change_run(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement change = {
        .name = "test_tile_change",
        .sqlite = "UPDATE trail_tiles SET hashes = ?1 WHERE level = 1 AND number = 0"};
    static const unsigned char hashes[TRAIL_HASH_BYTES] = {1};
    int64_t changed = 0;
    enum err err = store_exec(
        conn, &change, STORE_PARAMS(STORE_BLOB(span_make(hashes, sizeof(hashes)))), &changed);

    (void)job;
    return err ? err : changed == 1 ? ERR_OK : ERR_NOT_FOUND;
}

static void a_proof_must_fit_its_note(void **state)
{
    (void)state;
    add(300);
    sign();
    assert_int_equal(read_log("GET /audit/proof/inclusion?seq=290"), 200);
    assert_int_equal(store_do(desk.store, tile_change_run, NULL, true), ERR_OK);
    assert_problem(read_log("GET /audit/proof/inclusion?seq=290"), 503, "store-corrupt");
    assert_problem(read_log("GET /audit/proof/inclusion?seq=290&size=300"), 503, "store-corrupt");
    assert_problem(read_log("GET /audit/proof/consistency?from=256"), 503, "store-corrupt");
    assert_problem(read_log("GET /audit/proof/consistency?from=256&to=300"), 503, "store-corrupt");
}

/* ---- tiles ------------------------------------------------------------------------------------
 */

static void tiles_are_the_trees_own(void **state)
{
    struct trail_tree tree = {.size = 0};
    struct trail_hash root, whole;
    const unsigned char *bytes;

    (void)state;
    add(300);
    sign();
    assert_int_equal(read_log("GET /audit/tile/0/0"), 200);
    assert_says("Content-Type: application/octet-stream\r\n");
    assert_says("Content-Length: 8192\r\n");
    assert_says("Cache-Control: private, max-age=31536000, immutable\r\n");
    bytes = (const unsigned char *)strstr(site.text, "\r\n\r\n") + 4;
    for (size_t i = 0; i < 256; i++) {
        struct trail_hash leaf;

        memcpy(leaf.bytes, bytes + i * TRAIL_HASH_BYTES, TRAIL_HASH_BYTES);
        trail_tree_add(&tree, &leaf);
    }
    trail_tree_root(&tree, &whole);
    assert_int_equal(read_log("GET /audit/tile/1/0"), 200);
    assert_says("Content-Length: 32\r\n");
    assert_says("Cache-Control: no-store\r\n");
    memcpy(root.bytes, strstr(site.text, "\r\n\r\n") + 4, TRAIL_HASH_BYTES);
    assert_memory_equal(root.bytes, whole.bytes, TRAIL_HASH_BYTES);
    assert_int_equal(read_log("GET /audit/tile/0/1"), 200);
    assert_says("Content-Length: 1408\r\n"); /* the 44 behind the first 256 */
    assert_int_equal(read_log("GET /audit/tile/0/1?width=2"), 200);
    assert_says("Content-Length: 64\r\n");
    assert_int_equal(read_log("GET /audit/tile/0/1?width=45"), 404);
    assert_int_equal(read_log("GET /audit/tile/0/2"), 404);
    assert_int_equal(read_log("GET /audit/tile/1/1"), 404);
    assert_int_equal(read_log("GET /audit/tile/2/0"), 404);
    assert_int_equal(read_log("GET /audit/tile/7/9223372036854775807"), 404);
    assert_problem(read_log("GET /audit/tile/8/0"), 400, "bad-request");
    assert_problem(read_log("GET /audit/tile/0/-1"), 400, "bad-request");
    assert_problem(read_log("GET /audit/tile/0/0?width=257"), 400, "bad-request");
}

/* ---- the export -------------------------------------------------------------------------------
 */

static void nothing_is_found(void *context, struct span sentence)
{
    (void)context;
    fail_msg("%.*s", SPAN_ARG(sentence));
}

/* All pages from there on, in a file; how many. */
static size_t export_pages(const char *query)
{
    char what[1024], path[128];
    size_t pages = 0;
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/log.jsonl", desk.folder);
    (void)snprintf(what, sizeof(what), "GET /audit/export%s", query);
    file = fopen(path, "w");
    assert_non_null(file);
    do {
        struct span body;

        assert_int_equal(ask(what, READER), 200);
        assert_says("Content-Type: application/x-ndjson\r\n");
        body = answer_body();
        assert_int_equal(fwrite(body.ptr, 1, body.len, file), body.len);
        pages++;
    } while (next_page(what));
    assert_int_equal(fclose(file), 0);
    return pages;
}

static struct trail_verify_summary verified(void)
{
    const struct trail_verify_options options = {
        .verifiers = &log_key.key, .verifier_count = 1, .found = nothing_is_found};
    struct trail_verify_summary summary = {.findings = 0};
    struct trail_verify *verify = NULL;
    char path[128];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/log.jsonl", desk.folder);
    file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(trail_verify_new(&options, &verify), ERR_OK);
    assert_int_equal(trail_verify_file(verify, "log.jsonl", fileno(file)), ERR_OK);
    trail_verify_end(verify, &summary);
    trail_verify_free(verify);
    assert_int_equal(fclose(file), 0);
    return summary;
}

static void pages_are_one_export(void **state)
{
    struct trail_verify_summary summary;

    (void)state;
    add(100);
    assert_int_equal(post("/audit/events", EVENT), 201);
    sign();
    assert_int_equal(export_pages("?limit=7"), 15);
    summary = verified();
    assert_int_equal(summary.findings, 0);
    assert_int_equal(summary.size, 101);
    assert_int_equal(summary.checkpoint_size, 101);
    assert_true(summary.is_signed);
    assert_int_equal(events("audit.exported"), 15);
    assert_int_equal(read_log("GET /audit/events?action=audit.exported&limit=1"), 200);
    assert_said("0.metadata", "{\"from\":\"98\",\"to\":\"101\"}");
}

static void a_part_may_be_exported(void **state)
{
    struct trail_verify_summary summary;

    (void)state;
    add(50);
    sign();
    assert_int_equal(export_pages("?from=10&to=30&limit=20"), 1);
    summary = verified();
    assert_int_equal(summary.from, 10);
    assert_int_equal(summary.size, 30);
    assert_int_equal(summary.checkpoints, 1);      /* the later one, by its consistency */
    assert_int_equal(export_pages("?from=50"), 1); /* nothing but head and checkpoint */
    assert_int_equal(verified().findings, 0);
    assert_problem(read_log("GET /audit/export?from=500"), 400, "bad-request");
    assert_problem(read_log("GET /audit/export?to=500"), 400, "bad-request");
    assert_problem(read_log("GET /audit/export?from=7&to=6"), 400, "bad-request");
    assert_problem(read_log("GET /audit/export?cursor=7"), 400, "bad-request");
    assert_problem(read_log("GET /audit/export?cursor=7.900"), 400, "bad-request");
    assert_problem(read_log("GET /audit/export?from=9&cursor=7.20"), 400, "bad-request");
}

/* What is not covered yet may be asked for again. */
static void an_export_ends_with_its_checkpoint(void **state)
{
    (void)state;
    add(20);
    sign();
    add(5);
    assert_int_equal(export_pages(""), 1);
    assert_int_equal(verified().size, 20);
    assert_problem(read_log("GET /audit/export?to=21"), 409, "conflict");
    assert_says("Retry-After: 1\r\n");
    assert_problem(read_log("GET /audit/export?from=21"), 409, "conflict");
    assert_problem(read_log("GET /audit/export?cursor=7.21"), 409, "conflict");
    sign();
    assert_int_equal(export_pages("?to=21"), 1);
    assert_int_equal(verified().size, 21);
    assert_int_equal(export_pages("?from=21"), 1);
    assert_int_equal(verified().findings, 0);
}

/* One more event and a checkpoint of it, which nobody can look for until it is there. */
static enum err late_run(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement lock = {
        .name = "test_lock",
        .sqlite = "SELECT 1",
        .postgres = "LOCK TABLE trail_checkpoints IN ACCESS EXCLUSIVE MODE"};
    static const struct store_statement waiting = {
        .name = "test_waiting",
        .sqlite = "SELECT 1",
        .postgres = "SELECT count(*) FROM pg_locks JOIN pg_database ON oid = database"
                    " WHERE datname = current_database() AND NOT granted"};
    struct kit_number waiters = {.statement = &waiting};
    struct store_job ask = {.context = &waiters};
    struct add one = {.count = 1};
    struct store_job event = {.context = &one};
    struct trail_signed late = {.at_ns = T0, .note = SPAN("late\n")};
    struct trail_tree tree = {.size = 0};
    int64_t at;
    enum err err = store_exec(conn, &lock, NULL, 0, NULL);

    if (!err)
        err = trail_tree_read(conn, &tree, &at);
    (void)sem_post(job->context);
    while (!err && waiters.result == 0)
        err = kit_number0_run(conn, &ask);
    if (!err)
        err = add_run(conn, &event);
    late.size = tree.size + 1;
    return err ? err : trail_signed_add(conn, &late);
}

static void *late_thread(void *is_locked)
{
    PC_ASSERT(store_do(desk.store, late_run, is_locked, true) == ERR_OK);
    return NULL;
}

/* A checkpoint that is signed while the end is looked for is no reason to refuse. */
static void an_export_goes_with_what_is_signed_meanwhile(void **state)
{
    pthread_t thread;
    sem_t is_locked;

    (void)state;
    if (!desk.kit->postgres)
        skip(); /* there is nothing to hold a reader by */
    add(3);
    sign();
    assert_int_equal(sem_init(&is_locked, 0, 0), 0);
    assert_int_equal(pthread_create(&thread, NULL, late_thread, &is_locked), 0);
    assert_int_equal(sem_wait(&is_locked), 0);
    assert_int_equal(read_log("GET /audit/export"), 200);
    assert_says("\"to\":4}\n");
    assert_int_equal(pthread_join(thread, NULL), 0);
    (void)sem_destroy(&is_locked);
}

/* What nobody signed yet is exported all the same, without a checkpoint. */
static void what_is_not_signed_is_exported_without(void **state)
{
    (void)state;
    add(2);
    assert_int_equal(read_log("GET /audit/export"), 200);
    assert_says("{\"log\":\"test-log\",\"format\":1,\"from\":0,\"to\":2}\n{\"seq\":0,");
    assert_says("\n{\"seq\":1,");
    assert_silent("checkpoint");
    assert_int_equal(read_log("GET /audit/export"), 200);
    assert_says("\"to\":3}\n"); /* the first export is an event too */
}

static void proofs_need_the_scope(void **state)
{
    static const char *const paths[] = {"GET /audit/export",
                                        "GET /audit/checkpoint",
                                        "GET /audit/checkpoints",
                                        "GET /audit/key",
                                        "GET /audit/proof/inclusion?seq=0",
                                        "GET /audit/proof/consistency?from=1",
                                        "GET /audit/tile/0/0"};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(paths); i++) {
        assert_int_equal(ask(paths[i], "u1.admin.admin"), 403);
        assert_problem(ask(paths[i], "c1.robot.audit:write"), 403, "insufficient-scope");
        assert_int_equal(site_ask(paths[i], "", NULL), 401);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROOF_TEST(checkpoints_are_signed_notes),
        PROOF_TEST(the_key_is_told),
        PROOF_TEST(an_event_is_proven_to_be_in_the_log),
        PROOF_TEST(an_event_is_proven_by_its_id),
        PROOF_TEST(the_log_is_proven_to_have_only_grown),
        PROOF_TEST(a_proof_must_fit_its_note),
        PROOF_TEST(tiles_are_the_trees_own),
        PROOF_TEST(pages_are_one_export),
        PROOF_TEST(a_part_may_be_exported),
        PROOF_TEST(an_export_ends_with_its_checkpoint),
        PROOF_TEST(an_export_goes_with_what_is_signed_meanwhile),
        PROOF_TEST(what_is_not_signed_is_exported_without),
        PROOF_TEST(proofs_need_the_scope),
    };

    return cmocka_run_group_tests_name("audit_proof", tests, NULL, NULL);
}
