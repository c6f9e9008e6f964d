/* SPDX-License-Identifier: MIT
 * What the store's tests share: a clean database for each test, on SQLite or, under
 * tests/with_postgres, on a real PostgreSQL server. */
#ifndef PC_STORE_STORE_TEST_KIT_H
#define PC_STORE_STORE_TEST_KIT_H

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/folder_test_kit.h"
#include "store/store.h"

struct kit {
    char dir[TEST_FOLDER_BYTES];
    char url[256];
    bool postgres;
    struct store_options options; /* of this test's database */
};

static inline enum err kit_text_run(struct store_conn *conn, struct store_job *job)
{
    const struct store_statement *statement = job->context;

    return store_exec(conn, statement, NULL, 0, NULL);
}

static inline void kit_exec(struct store *store, const struct store_statement *statement)
{
    assert_int_equal(store_do(store, kit_text_run, (void *)(uintptr_t)statement, true), ERR_OK);
}

static const struct store_statement kit_one = {.name = "kit_one", .sqlite = "SELECT 1"};

/* After a call was made to fail: until readers and writer work again, for a handle that could not
 * be opened waits before it tries again, and what is asked meanwhile fails without a call. */
static inline void kit_heal(struct store *store)
{
    void *one = (void *)(uintptr_t)&kit_one;

    for (int tries = 0; tries < 20000; tries++) {
        if (store_do(store, kit_text_run, one, true) == ERR_OK &&
            store_do(store, kit_text_run, one, false) == ERR_OK && store_ready(store) == ERR_OK)
            return;
        (void)usleep(1000);
    }
    fail_msg("the store stays away");
}

static const struct store_statement kit_drop = {
    .name = "kit_drop", .sqlite = "SELECT 1", .postgres = "DROP SCHEMA public CASCADE"};
static const struct store_statement kit_create = {
    .name = "kit_create", .sqlite = "SELECT 1", .postgres = "CREATE SCHEMA public"};

static inline struct store *kit_open(struct kit *kit)
{
    struct store *store = NULL;
    struct store_fault fault = {""};
    enum err err = store_open(&kit->options, &store, &fault);

    if (err)
        fail_msg("%s: %s", err_name(err), fault.text);
    return store;
}

/* Takes away all that is in PostgreSQL's database; unsealed, since the table that those who seal
 * lock goes with the rest. */
static inline void kit_empty(const struct kit *kit)
{
    struct kit plain = *kit;
    struct store *store;

    plain.options.seal = NULL;
    store = kit_open(&plain);
    kit_exec(store, &kit_drop);
    kit_exec(store, &kit_create);
    store_close(store);
}

static inline int kit_setup(void **state)
{
    struct kit *kit = alloc_zero(sizeof(*kit));
    const char *postgres = getenv("PORTCULLIS_TEST_POSTGRES_URL");

    assert_non_null(kit);
    kit->postgres = postgres != NULL;
    assert_true(test_folder("store", kit->dir));
    (void)snprintf(kit->url, sizeof(kit->url), "%s", postgres ? postgres : "sqlite:test.db");
    kit->options = (struct store_options){.url = span_from(kit->url), .data_dir = kit->dir};
    *state = kit;
    if (kit->postgres)
        kit_empty(kit);
    return 0;
}

static inline int kit_teardown(void **state)
{
    struct kit *kit = *state;
    static const char *const names[] = {"test.db",  "test.db-wal",  "test.db-shm",
                                        "other.db", "other.db-wal", "other.db-shm"};
    char path[128];

    for (size_t i = 0; i < PC_COUNT(names); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", kit->dir, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(kit->dir);
    alloc_free(kit);
    return 0;
}

/* A small table that most tests use. */
static const struct store_statement kit_table = {
    .name = "kit_table",
    .sqlite = "CREATE TABLE things (id integer PRIMARY KEY, name text NOT NULL UNIQUE,"
              " number integer, flag integer, bytes blob) STRICT",
    .postgres = "CREATE TABLE things (id bigint CONSTRAINT \"things.id\" PRIMARY KEY,"
                " name text NOT NULL CONSTRAINT \"things.name\" UNIQUE,"
                " number bigint, flag boolean, bytes bytea)"};
static const struct store_statement kit_insert = {
    .name = "kit_insert", .sqlite = "INSERT INTO things (id, name) VALUES (?1, ?2)"};
static const struct store_statement kit_has = {
    .name = "kit_has", .sqlite = "SELECT count(*) FROM things WHERE id = ?1"};
static const struct store_statement kit_count = {.name = "kit_count",
                                                 .sqlite = "SELECT count(*) FROM things"};

static inline struct store *kit_open_with_table(struct kit *kit)
{
    struct store *store = kit_open(kit);

    kit_exec(store, &kit_table);
    return store;
}

/* Inserts row `id`, called "thing-<id>" unless it has a name. */
struct kit_job {
    struct store_job job;
    sem_t over;
    int64_t id;
    const char *name;
    size_t runs;
    enum err fail_with;  /* returned after the insert */
    sem_t *wait_for;     /* posted when the job may go on */
    sem_t *tell_started; /* posted by the job */
};

static inline enum err kit_insert_run(struct store_conn *conn, struct store_job *job)
{
    struct kit_job *kj = PC_CONTAINER(job, struct kit_job, job);
    char name[32];
    enum err err;

    kj->runs++;
    (void)snprintf(name, sizeof(name), "thing-%lld", (long long)kj->id);
    err = store_exec(
        conn, &kit_insert,
        STORE_PARAMS(STORE_I64(kj->id), STORE_TEXT(span_from(kj->name ? kj->name : name))), NULL);
    if (kj->tell_started != NULL)
        (void)sem_post(kj->tell_started);
    while (kj->wait_for != NULL && sem_wait(kj->wait_for) != 0)
        continue;
    return err ? err : kj->fail_with;
}

static inline void kit_done(struct store_job *job)
{
    (void)sem_post(&PC_CONTAINER(job, struct kit_job, job)->over);
}

static inline void kit_job_init(struct kit_job *kj, int64_t id)
{
    *kj = (struct kit_job){.job = {.run = kit_insert_run, .done = kit_done}, .id = id};
    assert_int_equal(sem_init(&kj->over, 0, 0), 0);
}

static inline void kit_await(struct kit_job *kj)
{
    while (sem_wait(&kj->over) != 0)
        continue;
}

/* Inserts one row and waits. */
static inline enum err kit_add(struct store *store, int64_t id)
{
    struct kit_job kj;
    enum err err;

    kit_job_init(&kj, id);
    err = store_write(store, &kj.job);
    if (err == ERR_OK) {
        kit_await(&kj);
        err = kj.job.err;
    }
    (void)sem_destroy(&kj.over);
    return err;
}

struct kit_number {
    const struct store_statement *statement;
    int64_t id; /* 0: no parameter */
    int64_t result;
};

static inline enum err kit_number_run(struct store_conn *conn, struct store_job *job)
{
    struct kit_number *number = job->context;
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, number->statement, STORE_PARAMS(STORE_I64(number->id)), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    number->result = store_rows_i64(rows, 0);
    return store_rows_err(rows);
}

static inline enum err kit_number0_run(struct store_conn *conn, struct store_job *job)
{
    struct kit_number *number = job->context;
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, number->statement, NULL, 0, &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    number->result = store_rows_i64(rows, 0);
    return store_rows_err(rows);
}

static inline int64_t kit_things(struct store *store)
{
    struct kit_number number = {.statement = &kit_count};

    assert_int_equal(store_do(store, kit_number0_run, &number, false), ERR_OK);
    return number.result;
}

static inline bool kit_has_thing(struct store *store, int64_t id)
{
    struct kit_number number = {.statement = &kit_has, .id = id};

    assert_int_equal(store_do(store, kit_number_run, &number, false), ERR_OK);
    return number.result == 1;
}

/* Runs another program to its end, without its output. */
static inline void kit_command(const char *const *arguments)
{
    int status = -1;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        if (arguments[0] != NULL && freopen("/dev/null", "w", stdout) != NULL)
            (void)execvp(arguments[0], (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

#define KIT_TEST(function) cmocka_unit_test_setup_teardown(function, kit_setup, kit_teardown)

#endif
