/* SPDX-License-Identifier: MIT
 * A log of many events in a store of its own, for `bench/run --only audit`: adds them as the
 * program does, lets a keeper write tiles and sign, and says what appending, signing and proving
 * cost.
 *
 *   audit_log FOLDER EVENTS      prints one JSON object; FOLDER/portcullis.db and keys are new */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/random.h"
#include "store/store.h"
#include "trail/trail.h"
#include "trail/trail_checkpoints.h"
#include "trail/trail_keeper.h"
#include "trail/trail_key.h"
#include "trail/trail_log.h"
#include "trail/trail_proof.h"

enum { BATCH = 1000, PROOFS = 1000, WORK_BYTES_MAX = 8 * 1024 * 1024 };

static void insist(enum err err, const char *what)
{
    if (!err)
        return;
    (void)fprintf(stderr, "audit_log: %s: %s\n", what, err_sentence(err));
    exit(1);
}

static double seconds_since(int64_t began_ns)
{
    return (double)(clock_monotonic_ns(&clock_system) - began_ns) / 1e9;
}

static struct store *store_make(const char *folder)
{
    const struct store_options options = {
        .url = SPAN("sqlite:portcullis.db"), .data_dir = folder, .seal = &trail_seal};
    const struct store_migration *list;
    struct store *store = NULL;
    struct store_fault fault = {""};
    size_t count;

    insist(store_open(&options, &store, &fault), fault.text);
    store_migrations(&list, &count);
    insist(store_migrate(store, list, count, &fault), fault.text);
    return store;
}

static enum err add_run(struct store_conn *conn, struct store_job *job)
{
    struct trail_record records[BATCH];
    char actor[BATCH][16];

    (void)job;
    for (size_t i = 0; i < BATCH; i++) {
        (void)snprintf(actor[i], sizeof(actor[i]), "%zu", i);
        records[i] =
            (struct trail_record){.event = TRAIL_LEDGER_TRANSFER,
                                  .outcome = TRAIL_DONE,
                                  .at_ns = clock_realtime_ns(&clock_system),
                                  .actor_kind = TRAIL_ACTOR_USER,
                                  .actor = span_from(actor[i]),
                                  .client_id = SPAN("web-portal"),
                                  .address = SPAN("192.0.2.17"),
                                  .request_id = SPAN("7b0e6a52-54b4-4b7c-9a4e-2b1a5b3c4d5e"),
                                  .object = SPAN("transfer:4711"),
                                  .details = {{"from", SPAN("1017")},
                                              {"to", SPAN("2034")},
                                              {"amount", SPAN("19.95")},
                                              {"currency", SPAN("EUR")}}};
    }
    return trail_add_many(conn, records, BATCH);
}

struct proving {
    uint64_t events;
    double seconds, slowest;
};

static enum err prove_run(struct store_conn *conn, struct store_job *job)
{
    struct proving *proving = job->context;
    struct arena arena;
    enum err err = ERR_OK;

    arena_init(&arena, NULL, 0, WORK_BYTES_MAX);
    for (int i = 0; i < PROOFS && !err; i++) {
        uint64_t pick;
        struct trail_filter filter = {.oldest_first = true, .limit = 1};
        struct trail_entry *list = NULL;
        struct sbuf out = sbuf_on(&arena, TRAIL_PROOF_BYTES_MAX);
        int64_t began = clock_monotonic_ns(&clock_system);
        size_t count = 0;
        double took;

        random_fill(&random_system, &pick, sizeof(pick));
        filter.from_seq = (int64_t)(pick % proving->events);
        filter.before_seq = filter.from_seq + 1;
        err = trail_find(conn, &filter, &arena, &list, &count);
        if (!err && count == 1)
            err = trail_proof_write(conn, &list[0], &arena, &out);
        took = seconds_since(began);
        proving->seconds += took;
        proving->slowest = took > proving->slowest ? took : proving->slowest;
        arena_reset(&arena);
    }
    return err;
}

static double keep(struct store *store, const char *folder)
{
    char key_path[4096], memory[4096];
    struct trail_verifier key = {.key = NULL};
    struct trail_keeper_options options = {.store = store, .clock = &clock_system};
    struct trail_keeper_state state = {.size = 0};
    struct trail_keeper *keeper = NULL;
    struct crypto_fault fault = {""};
    int64_t began = clock_monotonic_ns(&clock_system);

    (void)snprintf(key_path, sizeof(key_path), "%s/keys", folder);
    (void)mkdir(key_path, 0700);
    (void)snprintf(key_path, sizeof(key_path), "%s/keys/audit.pem", folder);
    (void)snprintf(memory, sizeof(memory), "%s/audit.checkpoint", folder);
    insist(trail_key_open(key_path, SPAN_OF("portcullis"), true, &key, &fault), fault.text);
    options.signer = &key;
    options.memory = memory;
    insist(trail_keeper_new(&options, &keeper), "the keeper");
    do {
        insist(trail_keeper_round(keeper), "a round of the keeper");
        trail_keeper_state(keeper, &state);
    } while (state.signed_size < state.size);
    trail_keeper_free(keeper);
    trail_verifier_free(&key);
    return seconds_since(began);
}

int main(int argc, char **argv)
{
    struct proving proving = {.events = 0};
    struct store *store;
    double added, kept;
    int64_t began;

    if (argc != 3 || !span_to_u64(span_from(argv[2]), &proving.events) || proving.events < BATCH) {
        (void)fprintf(stderr, "usage: audit_log FOLDER EVENTS\n");
        return 2;
    }
    store = store_make(argv[1]);
    began = clock_monotonic_ns(&clock_system);
    proving.events -= proving.events % BATCH;
    for (uint64_t i = 0; i < proving.events; i += BATCH)
        insist(store_do(store, add_run, NULL, true), "adding");
    added = seconds_since(began);
    kept = keep(store, argv[1]);
    insist(store_do(store, prove_run, &proving, false), "proving");
    store_close(store);
    (void)printf("{\"events\": %llu, \"add_seconds\": %.3f, \"keep_seconds\": %.3f, "
                 "\"proof_ms\": %.4f, \"proof_slowest_ms\": %.4f}\n",
                 (unsigned long long)proving.events, added, kept, proving.seconds * 1e3 / PROOFS,
                 proving.slowest * 1e3);
    return 0;
}
