/* SPDX-License-Identifier: MIT
 * Brings a database to the schema of this program: one transaction for each missing step, under a
 * lock, so that any number of processes may start at once. What was applied is written down with a
 * checksum, and a database that knows other steps than we do is refused rather than guessed at.
 *
 *   begin + lock -> table there? -> compare with our list -> first missing step -> record -> commit
 *        ^                                                                            |
 *        +------------------------------- until none is missing ---------------------+ */
#include "store/store_priv.h"

#include <string.h>

enum { STEPS_MAX = 1000 };

static const struct store_statement table_exists = {
    .name = "store_table_exists",
    .sqlite = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND"
              " name = 'schema_migrations'",
    .postgres = "SELECT count(*) FROM pg_class WHERE oid = to_regclass('schema_migrations')",
};
static const struct store_statement table_create = {
    .name = "store_table_create",
    .sqlite = "CREATE TABLE schema_migrations (number integer PRIMARY KEY, name text NOT NULL,"
              " checksum text NOT NULL, applied_at integer NOT NULL) STRICT",
    .postgres = "CREATE TABLE schema_migrations (number bigint PRIMARY KEY, name text NOT NULL,"
                " checksum text NOT NULL, applied_at bigint NOT NULL)",
};
static const struct store_statement steps_applied = {
    .name = "store_steps_applied",
    .sqlite = "SELECT number, name, checksum, applied_at FROM schema_migrations ORDER BY number",
};
static const struct store_statement step_record = {
    .name = "store_step_record",
    .sqlite = "INSERT INTO schema_migrations (number, name, checksum, applied_at)"
              " VALUES (?1, ?2, ?3, ?4)",
};

struct migration {
    struct store_conn conn;
    const struct store_migration *list;
    size_t count;
    size_t applied;      /* steps that the database has */
    int64_t *applied_at; /* NULL, or of `count` */
    struct store_fault fault;
};

static const char *checksum_of(const struct migration *m, const struct store_migration *step)
{
    return m->conn.store->target.kind == STORE_POSTGRES ? step->postgres_checksum
                                                        : step->sqlite_checksum;
}

static enum err failed(struct migration *m, enum err err, const char *doing)
{
    return store_fault_set(&m->fault, err, "%s in the database %.200s failed: %.200s.", doing,
                           m->conn.store->target.shown, m->conn.message);
}

/* ---- Comparing ---------------------------------------------------------------------------- */

static enum err compare_one(struct migration *m, size_t i, struct store_rows *rows)
{
    int64_t number = store_rows_i64(rows, 0);
    struct span name = store_rows_text(rows, 1, NULL);
    struct span checksum = store_rows_text(rows, 2, NULL);
    const char *shown = m->conn.store->target.shown;

    if (i >= m->count)
        return store_fault_set(&m->fault, ERR_STORE_VERSION,
                               "The database %.200s has step %lld (%.*s), which this program does "
                               "not know: run a newer Portcullis.",
                               shown, (long long)number, (int)(name.len < 60 ? name.len : 60),
                               name.ptr != NULL ? name.ptr : "");
    if (number == m->list[i].number && span_is(checksum, checksum_of(m, &m->list[i])))
        return ERR_OK;
    return store_fault_set(&m->fault, ERR_STORE_DRIFT,
                           "Step %lld (%s) of the database %.200s differs from this program's: the "
                           "program or the database was changed; run the program that made it, or "
                           "restore a backup.",
                           (long long)m->list[i].number, m->list[i].name, shown);
}

static enum err compare(struct migration *m)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(&m->conn, &steps_applied, NULL, 0, &rows);

    if (err)
        return failed(m, err, "Reading the applied steps");
    m->applied = 0;
    while (store_next(rows)) {
        err = compare_one(m, m->applied, rows);
        if (err)
            return err;
        if (m->applied_at != NULL)
            m->applied_at[m->applied] = store_rows_i64(rows, 3);
        m->applied++;
    }
    err = store_rows_err(rows);
    return err ? failed(m, err, "Reading the applied steps") : ERR_OK;
}

static enum err exists(struct migration *m, bool *ret_exists)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(&m->conn, &table_exists, NULL, 0, &rows);

    if (err == ERR_OK && !store_next(rows))
        err = store_rows_end(rows, ERR_STORE_CORRUPT);
    if (err == ERR_OK) {
        *ret_exists = store_rows_i64(rows, 0) > 0;
        err = store_rows_err(rows);
    }
    return err ? failed(m, err, "Looking for the applied steps") : ERR_OK;
}

/* ---- Applying ----------------------------------------------------------------------------- */

static enum err prepare(struct migration *m)
{
    bool there = false;
    enum err err = exists(m, &there);

    if (err)
        return err;
    if (there)
        return compare(m);
    m->applied = 0;
    err = store_exec(&m->conn, &table_create, NULL, 0, NULL);
    return err ? failed(m, err, "Making the table of steps") : ERR_OK;
}

static enum err apply(struct migration *m, const struct store_migration *step)
{
    bool postgres = m->conn.store->target.kind == STORE_POSTGRES;
    enum err err;

    err = store_conn_script(&m->conn, postgres ? step->postgres : step->sqlite);
    if (err == ERR_OK)
        err = store_exec(&m->conn, &step_record,
                         STORE_PARAMS(STORE_I64(step->number), STORE_TEXT(span_from(step->name)),
                                      STORE_TEXT(span_from(checksum_of(m, step))),
                                      STORE_I64(clock_realtime_ns(m->conn.store->options.clock))),
                         NULL);
    if (err)
        return store_fault_set(
            &m->fault, err,
            "Step %lld (%s) could not be applied to the database %.200s: %.200s. "
            "Nothing of it was kept.",
            (long long)step->number, step->name, m->conn.store->target.shown, m->conn.message);
    m->applied++;
    return ERR_OK;
}

static enum err begin(struct migration *m)
{
    enum err err = store_conn_control(&m->conn, STORE_BEGIN_MIGRATE);

    m->conn.failed = ERR_OK;
    if (err == ERR_BUSY)
        return store_fault_set(&m->fault, err,
                               "The database %.200s is locked by another process: wait until it "
                               "has finished, or stop it.",
                               m->conn.store->target.shown);
    return err ? failed(m, err, "Beginning a step") : ERR_OK;
}

static enum err commit(struct migration *m)
{
    enum err err = store_conn_control(&m->conn, STORE_COMMIT);

    return err ? failed(m, err, "Committing a step") : ERR_OK;
}

/* One missing step, or none, in one transaction. */
static enum err advance(struct migration *m)
{
    enum err err = begin(m);

    if (err == ERR_OK)
        err = prepare(m);
    if (err == ERR_OK && m->applied < m->count)
        err = apply(m, &m->list[m->applied]);
    return err ? err : commit(m);
}

static enum err advance_all(struct migration *m)
{
    enum err err;

    for (size_t i = 0; i < STEPS_MAX; i++) {
        err = advance(m);
        if (err || m->applied == m->count)
            return err;
    }
    PC_WRONG("steps are never ending");
}

/* All steps in one transaction, which is then forgotten. */
static enum err rehearse_all(struct migration *m)
{
    enum err err = begin(m);

    if (err == ERR_OK)
        err = prepare(m);
    while (err == ERR_OK && m->applied < m->count)
        err = apply(m, &m->list[m->applied]);
    return err;
}

static enum err status_all(struct migration *m)
{
    bool there = false;
    enum err err = exists(m, &there);

    return err || !there ? err : compare(m);
}

/* A handle for this alone: migrating is patient, and the threads' statements are prepared anew. */
static enum err run(struct store *store, struct migration *m, enum err (*work)(struct migration *m),
                    struct store_fault *reterr)
{
    enum err err;

    PC_ASSERT(m->count <= STEPS_MAX);
    for (size_t i = 0; i < m->count; i++)
        PC_ASSERT(m->list[i].number == (int64_t)i + 1);
    store_conn_init(&m->conn, store, STORE_MIGRATOR);
    err = store_conn_open(&m->conn, &m->fault);
    if (err == ERR_OK)
        err = work(m);
    store_conn_rollback(&m->conn); /* whatever is still open */
    store_conn_close(&m->conn);
    if (err && m->fault.text[0] == '\0')
        (void)store_fault_set(&m->fault, err, "The schema is as it was: %s.", err_sentence(err));
    if (err && reterr != NULL)
        *reterr = m->fault;
    return err;
}

enum err store_migrate(struct store *store, const struct store_migration *list, size_t count,
                       struct store_fault *reterr)
{
    struct migration m = {.list = list, .count = count};

    return run(store, &m, advance_all, reterr);
}

enum err store_migrate_rehearse(struct store *store, const struct store_migration *list,
                                size_t count, struct store_fault *reterr)
{
    struct migration m = {.list = list, .count = count};

    return run(store, &m, rehearse_all, reterr);
}

enum err store_migrate_status(struct store *store, const struct store_migration *list, size_t count,
                              int64_t *ret_applied_at, struct store_fault *reterr)
{
    struct migration m = {.list = list, .count = count, .applied_at = ret_applied_at};

    memset(ret_applied_at, 0, count * sizeof(*ret_applied_at));
    return run(store, &m, status_all, reterr);
}
