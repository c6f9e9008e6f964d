/* SPDX-License-Identifier: MIT
 * What the tests of the log share: a store with the program's schema and its seal, adding, finding,
 * and whether the log is what its leaves say. */
#ifndef PC_TRAIL_TRAIL_TEST_KIT_H
#define PC_TRAIL_TRAIL_TEST_KIT_H

#include "store/store_test_kit.h"
#include "trail/trail_priv.h"

#define AT INT64_C(1800000000000000000)

struct log_bench {
    struct kit *kit;
    struct store *store;
    struct arena arena;
};
static struct log_bench log_bench;

static inline int log_setup(void **state)
{
    const struct store_migration *list;
    size_t count;

    if (kit_setup(state) != 0)
        return -1;
    log_bench.kit = *state;
    log_bench.kit->options.seal = &trail_seal;
    log_bench.store = kit_open(log_bench.kit);
    store_migrations(&list, &count);
    assert_int_equal(store_migrate(log_bench.store, list, count, NULL), ERR_OK);
    arena_init(&log_bench.arena, NULL, 0, (size_t)64 * 1024 * 1024);
    return 0;
}

static inline int log_teardown(void **state)
{
    store_fail_at(0);
    store_close(log_bench.store);
    arena_reset(&log_bench.arena);
    return kit_teardown(state);
}

static inline int64_t log_number(const struct store_statement *statement)
{
    struct kit_number number = {.statement = statement};

    assert_int_equal(store_do(log_bench.store, kit_number0_run, &number, false), ERR_OK);
    return number.result;
}

/* ---- adding ------------------------------------------------------------------------------------
 */

static inline enum err log_add_run(struct store_conn *conn, struct store_job *job)
{
    return trail_add(conn, job->context);
}

static inline enum err log_add_record(const struct trail_record *record)
{
    return store_do(log_bench.store, log_add_run, (void *)(uintptr_t)record, true);
}

static inline enum err log_add_outcome(int64_t at_ns, const char *actor, const char *object,
                                       bool done)
{
    const struct trail_record record = {.event = TRAIL_LOGIN,
                                        .outcome = done ? TRAIL_DONE : TRAIL_REFUSED,
                                        .at_ns = at_ns,
                                        .actor_kind = TRAIL_ACTOR_USER,
                                        .actor = span_from(actor),
                                        .object = span_from(object),
                                        .address = SPAN("192.0.2.1"),
                                        .details = {{"scope", SPAN("openid \"x\"")}}};

    return log_add_record(&record);
}

static inline enum err log_add(int64_t at_ns, const char *actor, const char *object)
{
    return log_add_outcome(at_ns, actor, object, true);
}

static inline enum err log_add_external(const unsigned char id[TRAIL_ID_BYTES])
{
    struct trail_external external = {.event = SPAN("card.read"),
                                      .category = SPAN("compliance"),
                                      .severity = SPAN("critical"),
                                      .principal = SPAN("anna"),
                                      .tags = SPAN("[\"pci\",\"gdpr\"]"),
                                      .metadata = SPAN("{\"n\":1}")};
    struct trail_record record = {.event = TRAIL_AUDIT_EXTERNAL,
                                  .outcome = TRAIL_DONE,
                                  .at_ns = AT + 100,
                                  .actor_kind = TRAIL_ACTOR_CLIENT,
                                  .actor = SPAN("robot"),
                                  .source = SPAN("scanner"),
                                  .external = &external};

    memcpy(external.id, id, sizeof(external.id));
    return log_add_record(&record);
}

/* A job that adds one event and fails, or does not. */
struct log_job {
    struct store_job job;
    sem_t over;
    enum err fail_with;
};

static inline enum err log_job_run(struct store_conn *conn, struct store_job *job)
{
    const struct log_job *mine = PC_CONTAINER(job, struct log_job, job);
    const struct trail_record record = {.event = TRAIL_LOGOUT, .at_ns = AT, .actor = SPAN("9")};
    enum err err = trail_add(conn, &record);

    return err ? err : mine->fail_with;
}

static inline void log_job_done(struct store_job *job)
{
    (void)sem_post(&PC_CONTAINER(job, struct log_job, job)->over);
}

static inline void log_job_give(struct log_job *job, enum err fail_with)
{
    *job =
        (struct log_job){.job = {.run = log_job_run, .done = log_job_done}, .fail_with = fail_with};
    assert_int_equal(sem_init(&job->over, 0, 0), 0);
    assert_int_equal(store_write(log_bench.store, &job->job), ERR_OK);
}

static inline enum err log_job_await(struct log_job *job)
{
    while (sem_wait(&job->over) != 0)
        continue;
    (void)sem_destroy(&job->over);
    return job->job.err;
}

/* ---- reading -----------------------------------------------------------------------------------
 */

struct log_read {
    struct trail_filter filter;
    unsigned char id[TRAIL_ID_BYTES];
    struct trail_entry *list;
    size_t count;
    struct trail_entry entry;
    struct trail_tree tree;
    int64_t at;
};

static inline enum err log_find_run(struct store_conn *conn, struct store_job *job)
{
    struct log_read *read = job->context;

    return trail_find(conn, &read->filter, &log_bench.arena, &read->list, &read->count);
}

static inline enum err log_find(struct trail_filter filter, struct trail_entry **ret_list,
                                size_t *ret_count)
{
    struct log_read read = {.filter = filter};
    enum err err = store_do(log_bench.store, log_find_run, &read, false);

    *ret_list = read.list;
    *ret_count = read.count;
    return err;
}

static inline enum err log_get_run(struct store_conn *conn, struct store_job *job)
{
    struct log_read *read = job->context;

    return trail_get(conn, read->id, &log_bench.arena, &read->entry);
}

static inline enum err log_get(const unsigned char id[TRAIL_ID_BYTES], struct trail_entry *ret)
{
    struct log_read read = {.count = 0};
    enum err err;

    memcpy(read.id, id, sizeof(read.id));
    err = store_do(log_bench.store, log_get_run, &read, false);
    *ret = read.entry;
    return err;
}

static inline enum err log_all_run(struct store_conn *conn, struct store_job *job)
{
    struct log_read *read = job->context;
    enum err err = trail_tree_read(conn, &read->tree, &read->at);

    return err ? err : trail_find(conn, &read->filter, &log_bench.arena, &read->list, &read->count);
}

static inline int64_t log_size(void)
{
    struct log_read read = {.filter = {.limit = 1}};

    assert_int_equal(store_do(log_bench.store, log_all_run, &read, false), ERR_OK);
    return (int64_t)read.tree.size;
}

/* Every leaf can be made again from its row, the tree is that of the leaves, no place is missing.
 */
static inline void log_is_sound(void)
{
    struct log_read read = {.filter = {.limit = 5000, .oldest_first = true}};
    struct trail_tree tree = {0};
    struct trail_hash leaf, root, wanted;

    assert_int_equal(store_do(log_bench.store, log_all_run, &read, false), ERR_OK);
    for (size_t i = 0; i < read.count; i++) {
        assert_int_equal(read.list[i].seq, i);
        assert_int_equal(trail_entry_leaf(&read.list[i], &leaf), ERR_OK);
        assert_memory_equal(&leaf, &read.list[i].leaf, sizeof(leaf));
        trail_tree_add(&tree, &leaf);
    }
    assert_int_equal(tree.size, read.tree.size);
    trail_tree_root(&tree, &root);
    trail_tree_root(&read.tree, &wanted);
    assert_memory_equal(&root, &wanted, sizeof(root));
    assert_true(read.count == 0 || read.at == read.list[read.count - 1].at_ns);
}

/* One with every field there is. */
static inline struct trail_entry log_entry_full(void)
{
    static const char seed[TRAIL_SEED_BYTES_MAX + 1] =
        "0123456789abcdef0123456789ABCDEF0123456789ghijkl0123456789GHIJKL0123456789mnopqr0123456789"
        "MNOPQR";

    return (struct trail_entry){
        .seq = 3,
        .id = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
        .at_ns = AT + 7,
        .event = SPAN("e"),
        .category = SPAN("c"),
        .severity = SPAN("s"),
        .outcome = SPAN("done"),
        .source = SPAN("f"),
        .actor_kind = SPAN("user"),
        .client = SPAN("k"),
        .request_id = SPAN("r"),
        .tags = SPAN("[\"pci\"]"),
        .personal = {SPAN("anna"), SPAN("bert"), SPAN("192.0.2.1"), SPAN("order:1"), SPAN("why"),
                     SPAN("{\"a\":1}")},
        .seed = {seed, TRAIL_SEED_BYTES_MAX},
    };
}

#endif
