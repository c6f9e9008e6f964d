/* SPDX-License-Identifier: MIT
 * The floor under a ledger: what SQLite and the disk manage when there is nothing around them.
 *
 *   bare transfers FILE SECONDS BATCH ACCOUNTS [hot]   BATCH transfers a commit, one writer
 *   bare disk FILE SECONDS                             4 KiB written behind the end, fdatasync
 *
 * A transfer is what any double-entry ledger must at least do: look at the balance, write the
 * transfer with a unique key, move two balances, write two entries. WAL, synchronous=FULL, and the
 * same page cache and checkpoint interval as the program's. With `hot` all credit one account.
 * Prints one JSON object; times are in microseconds. The sums are looked at before it ends. */
#include <fcntl.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { COMMITS_MAX = 4000000, KEY_BYTES = 16, BLOCK_BYTES = 4096, OPENING = 1000000000 };

static sqlite3 *db;
static uint64_t dice = 88172645463325252U;
static int64_t times[COMMITS_MAX];
static size_t time_count;

static void die(const char *what)
{
    (void)fprintf(stderr, "bare: %s: %s\n", what, db == NULL ? "failed" : sqlite3_errmsg(db));
    exit(1);
}

static int64_t now_ns(clockid_t clock)
{
    struct timespec at;

    (void)clock_gettime(clock, &at);
    return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
}

/* xorshift64: the same transfers in every run. */
static uint64_t roll(void)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return dice;
}

static void run(const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        die(sql);
}

static sqlite3_stmt *prepare(const char *sql)
{
    sqlite3_stmt *statement = NULL;

    if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) != SQLITE_OK)
        die(sql);
    return statement;
}

static void finish(sqlite3_stmt *statement)
{
    if (sqlite3_step(statement) != SQLITE_DONE)
        die("step");
    (void)sqlite3_reset(statement);
}

static int64_t number(const char *sql)
{
    sqlite3_stmt *statement = prepare(sql);
    int64_t value;

    if (sqlite3_step(statement) != SQLITE_ROW)
        die(sql);
    value = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    return value;
}

static void make_books(const char *file, int accounts)
{
    sqlite3_stmt *add;

    (void)unlink(file);
    if (sqlite3_open(file, &db) != SQLITE_OK)
        die(file);
    run("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-65536;"
        "PRAGMA wal_autocheckpoint=16384;"
        "CREATE TABLE balances (id INTEGER PRIMARY KEY, minor INTEGER NOT NULL);"
        "CREATE TABLE moves (id INTEGER PRIMARY KEY, token BLOB NOT NULL UNIQUE,"
        " payer INTEGER NOT NULL, payee INTEGER NOT NULL, minor INTEGER NOT NULL,"
        " at INTEGER NOT NULL);"
        "CREATE TABLE lines (id INTEGER PRIMARY KEY, move INTEGER NOT NULL,"
        " owner INTEGER NOT NULL, minor INTEGER NOT NULL, after INTEGER NOT NULL);"
        "CREATE INDEX lines_by_owner ON lines (owner, id); BEGIN");
    add = prepare("INSERT INTO balances VALUES (?1, ?2)");
    for (int id = 1; id <= accounts; id++) {
        (void)sqlite3_bind_int(add, 1, id);
        (void)sqlite3_bind_int64(add, 2, OPENING);
        finish(add);
    }
    (void)sqlite3_finalize(add);
    run("COMMIT");
}

static struct {
    sqlite3_stmt *begin, *commit, *look, *move, *settle, *line;
} sql;

static void settle(int64_t move, int64_t owner, int64_t minor)
{
    int64_t after;

    (void)sqlite3_bind_int64(sql.settle, 1, owner);
    (void)sqlite3_bind_int64(sql.settle, 2, minor);
    if (sqlite3_step(sql.settle) != SQLITE_ROW)
        die("settle");
    after = sqlite3_column_int64(sql.settle, 0);
    (void)sqlite3_reset(sql.settle);
    (void)sqlite3_bind_int64(sql.line, 1, move);
    (void)sqlite3_bind_int64(sql.line, 2, owner);
    (void)sqlite3_bind_int64(sql.line, 3, minor);
    (void)sqlite3_bind_int64(sql.line, 4, after);
    finish(sql.line);
}

static void transfer(int accounts, bool hot)
{
    int64_t payer = (int64_t)(roll() % (uint64_t)accounts) + 1;
    int64_t payee = hot ? 1 : (int64_t)(roll() % (uint64_t)accounts) + 1;
    int64_t minor = (int64_t)(roll() % 100) + 1;
    uint64_t token[2] = {roll(), roll()};
    int64_t move;

    if (payer == payee)
        payer = payer % accounts + 1;
    (void)sqlite3_bind_int64(sql.look, 1, payer);
    if (sqlite3_step(sql.look) != SQLITE_ROW || sqlite3_column_int64(sql.look, 0) < minor)
        die("balance");
    (void)sqlite3_reset(sql.look);
    (void)sqlite3_bind_blob(sql.move, 1, token, KEY_BYTES, SQLITE_STATIC);
    (void)sqlite3_bind_int64(sql.move, 2, payer);
    (void)sqlite3_bind_int64(sql.move, 3, payee);
    (void)sqlite3_bind_int64(sql.move, 4, minor);
    (void)sqlite3_bind_int64(sql.move, 5, now_ns(CLOCK_REALTIME));
    finish(sql.move);
    move = sqlite3_last_insert_rowid(db);
    settle(move, payer, -minor);
    settle(move, payee, minor);
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static void tell(double per_second, double cpu_us)
{
    qsort(times, time_count, sizeof(times[0]), by_size);
    (void)printf("{\"per_second\": %.1f, \"cpu_us\": %.2f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n",
                 per_second, cpu_us, (double)times[time_count / 2] / 1e3,
                 (double)times[time_count * 99 / 100] / 1e3);
}

static void keep_time(int64_t took_ns)
{
    if (time_count < COMMITS_MAX)
        times[time_count++] = took_ns;
}

static void transfers(int64_t seconds, int batch, int accounts, bool hot)
{
    int64_t began = now_ns(CLOCK_MONOTONIC);
    int64_t cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    int64_t end = began + seconds * 1000000000;
    int64_t count = 0;
    int64_t at;

    sql.begin = prepare("BEGIN IMMEDIATE");
    sql.commit = prepare("COMMIT");
    sql.look = prepare("SELECT minor FROM balances WHERE id = ?1");
    sql.move = prepare("INSERT INTO moves (token, payer, payee, minor, at) "
                       "VALUES (?1, ?2, ?3, ?4, ?5)");
    sql.settle = prepare("UPDATE balances SET minor = minor + ?2 WHERE id = ?1 RETURNING minor");
    sql.line = prepare("INSERT INTO lines (move, owner, minor, after) VALUES (?1, ?2, ?3, ?4)");
    while ((at = now_ns(CLOCK_MONOTONIC)) < end) {
        finish(sql.begin);
        for (int i = 0; i < batch; i++)
            transfer(accounts, hot);
        finish(sql.commit);
        count += batch;
        keep_time(now_ns(CLOCK_MONOTONIC) - at);
    }
    at = now_ns(CLOCK_MONOTONIC) - began;
    cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    if (number("SELECT sum(minor) FROM balances") != (int64_t)OPENING * accounts ||
        number("SELECT coalesce(sum(minor), 0) FROM lines") != 0 ||
        number("SELECT count(*) FROM moves") != count)
        die("the books do not balance");
    tell((double)count / ((double)at / 1e9), (double)cpu / 1e3 / (double)count);
}

static void disk(const char *file, int64_t seconds)
{
    static char block[BLOCK_BYTES];
    int64_t began = now_ns(CLOCK_MONOTONIC);
    int64_t at;
    int fd = open(file, O_CREAT | O_WRONLY | O_TRUNC, 0600);

    if (fd < 0)
        die(file);
    while ((at = now_ns(CLOCK_MONOTONIC)) < began + seconds * 1000000000) {
        if (write(fd, block, sizeof(block)) != (ssize_t)sizeof(block) || fdatasync(fd) != 0)
            die(file);
        keep_time(now_ns(CLOCK_MONOTONIC) - at);
    }
    tell((double)time_count / (double)seconds, 0);
    (void)close(fd);
    (void)unlink(file);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "disk") == 0) {
        disk(argv[2], strtol(argv[3], NULL, 10));
        return 0;
    }
    if (argc < 6 || strcmp(argv[1], "transfers") != 0) {
        (void)fprintf(stderr, "bare transfers FILE SECONDS BATCH ACCOUNTS [hot] | "
                              "bare disk FILE SECONDS\n");
        return 2;
    }
    make_books(argv[2], (int)strtol(argv[5], NULL, 10));
    transfers(strtol(argv[3], NULL, 10), (int)strtol(argv[4], NULL, 10),
              (int)strtol(argv[5], NULL, 10), argc > 6);
    (void)sqlite3_close(db);
    return 0;
}
