/* SPDX-License-Identifier: MIT
 * What auth's tests share: a migrated, empty store, and jobs written as plain functions. */
#ifndef PC_AUTH_AUTH_TEST_KIT_H
#define PC_AUTH_AUTH_TEST_KIT_H

#include "auth/auth_priv.h"
#include "store/store_test_kit.h"
#include "trail/trail_catalogue.h"

enum { T0_S = 1800000000, ARENA_BYTES_MAX = 4 * 1024 * 1024 };
#define T0 (T0_S * CLOCK_NS_PER_S)

/* The store of the running test, and an arena that lives as long. */
struct bench {
    struct kit *kit;
    struct store *store;
    struct arena arena;
};
static struct bench bench;

static inline struct store *bench_open(void)
{
    const struct store_migration *list;
    struct store *store = kit_open(bench.kit);
    size_t count;

    store_migrations(&list, &count);
    assert_int_equal(store_migrate(store, list, count, NULL), ERR_OK);
    return store;
}

static inline int bench_setup(void **state)
{
    if (kit_setup(state) != 0)
        return -1;
    bench.kit = *state;
    bench.kit->options.seal = &trail_seal;
    trail_misfits_tell(trail_misfit_ends, NULL);
    bench.store = bench_open();
    arena_init(&bench.arena, NULL, 0, ARENA_BYTES_MAX);
    return 0;
}

static inline int bench_teardown(void **state)
{
    store_close(bench.store);
    arena_reset(&bench.arena);
    return kit_teardown(state);
}

/* A job of a test: its steps, and whatever they need. */
typedef enum err steps_fn(struct store_conn *conn, void *context);
struct steps {
    steps_fn *run;
    void *context;
};

static inline enum err steps_run(struct store_conn *conn, struct store_job *job)
{
    const struct steps *steps = job->context;

    return steps->run(conn, steps->context);
}

static inline enum err writing(struct store *store, steps_fn *run, void *context)
{
    struct steps steps = {.run = run, .context = context};

    return store_do(store, steps_run, &steps, true);
}

static inline enum err reading(struct store *store, steps_fn *run, void *context)
{
    struct steps steps = {.run = run, .context = context};

    return store_do(store, steps_run, &steps, false);
}

/* ---- a user -----------------------------------------------------------------------------------
 */

struct creation {
    const char *username, *email;
    bool is_admin;
    int64_t id;        /* result */
    const char *field; /* result of ERR_TAKEN */
};

static inline enum err create_steps(struct store_conn *conn, void *context)
{
    struct creation *made = context;
    const struct auth_user_new user = {.username = span_from(made->username),
                                       .email = span_from(made->email),
                                       .password_hash = SPAN("hash"),
                                       .is_admin = made->is_admin};

    return auth_user_create(conn, &user, T0, &bench.arena, &made->id, &made->field);
}

static inline int64_t create(const char *username, const char *email, bool is_admin)
{
    struct creation made = {.username = username, .email = email, .is_admin = is_admin};

    assert_int_equal(writing(bench.store, create_steps, &made), ERR_OK);
    return made.id;
}

/* ---- looking ----------------------------------------------------------------------------------
 */

struct number {
    const struct store_statement *statement;
    int64_t value;
};

static inline enum err number_steps(struct store_conn *conn, void *context)
{
    struct number *number = context;
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, number->statement, NULL, 0, &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    number->value = store_rows_i64(rows, 0);
    return store_rows_err(rows);
}

/* The number that a query answers. */
static inline int64_t number_of(const struct store_statement *statement)
{
    struct number number = {.statement = statement};

    assert_int_equal(reading(bench.store, number_steps, &number), ERR_OK);
    return number.value;
}

#endif
