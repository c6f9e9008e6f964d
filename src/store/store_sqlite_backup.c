/* SPDX-License-Identifier: MIT
 * A copy of a SQLite database as it is at one moment, beside whoever writes to it.
 *
 *   FILE.part is made for its owner alone -> all pages in one read transaction -> opened anew and
 *   checked from end to end -> FILE
 *
 * One read transaction sees one moment, and in WAL mode stands in no writer's way; copying in
 * pieces would begin again with every commit. A copy that was never looked at is no backup, so
 * SQLite checks it whole before it gets its name.
 *
 * Source: sqlite.org/backup.html, sqlite.org/pragma.html#pragma_integrity_check. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "store/store_sqlite_priv.h"

enum { PATH_BYTES_MAX = 4096, BUSY_TIMEOUT_MS = 5000 };

struct backup {
    const char *path;             /* where it is to be */
    char partial[PATH_BYTES_MAX]; /* where it is made */
    struct store_fault *reterr;
};

static enum err err_of_system(int number)
{
    return number == ENOSPC || number == EDQUOT ? ERR_STORE_FULL : ERR_IO;
}

static enum err tell_system(const struct backup *backup, const char *path)
{
    int number = errno;

    return store_fault_set(backup->reterr, err_of_system(number), "The backup %s: %s.", path,
                           strerror(number));
}

static enum err err_of_sqlite(int code)
{
    switch (code & 0xFF) {
    case SQLITE_FULL:
        return ERR_STORE_FULL;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_STORE_CORRUPT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_BUSY;
    case SQLITE_NOMEM:
        return ERR_NO_MEMORY;
    default:
        return ERR_STORE_UNAVAILABLE;
    }
}

/* `db` may be NULL, or one that could not be opened. */
static enum err tell_sqlite(const struct backup *backup, const char *path, sqlite3 *db, int code)
{
    return store_fault_set(backup->reterr, err_of_sqlite(code), "The file %s: %s.", path,
                           db == NULL ? sqlite3_errstr(code) : sqlite3_errmsg(db));
}

/* Nobody else may read it from the first moment, and nothing that is there is written over. */
static enum err file_make(struct backup *backup)
{
    int len = snprintf(backup->partial, sizeof(backup->partial), "%s.part", backup->path);
    struct stat seen;
    int fd;

    if (len < 0 || (size_t)len >= sizeof(backup->partial)) {
        errno = ENAMETOOLONG;
        return tell_system(backup, "file");
    }
    if (lstat(backup->path, &seen) == 0) {
        errno = EEXIST;
        return tell_system(backup, backup->path);
    }
    fd = open(backup->partial, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return tell_system(backup, backup->partial);
    (void)close(fd);
    return ERR_OK;
}

static enum err open_file(const struct backup *backup, const char *path, int flags, sqlite3 **ret)
{
    int code =
        sqlite3_open_v2(path, ret, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);

    if (code != SQLITE_OK)
        return tell_sqlite(backup, path, *ret, code);
    (void)sqlite3_busy_timeout(*ret, BUSY_TIMEOUT_MS);
    return ERR_OK;
}

/* All pages in one step, which ends with a sync. */
static enum err pages_copy(const struct backup *backup, const char *from_path, sqlite3 *from,
                           sqlite3 *into)
{
    sqlite3_backup *copy = sqlite3_backup_init(into, "main", from, "main");
    int code;

    if (copy == NULL)
        return tell_sqlite(backup, backup->partial, into, sqlite3_extended_errcode(into));
    code = sqlite3_backup_step(copy, -1);
    (void)sqlite3_backup_finish(copy);
    return code == SQLITE_DONE ? ERR_OK : tell_sqlite(backup, from_path, NULL, code);
}

static enum err copy(const struct backup *backup, const char *from_path)
{
    sqlite3 *from = NULL;
    sqlite3 *into = NULL;
    enum err err = open_file(backup, from_path, SQLITE_OPEN_READONLY, &from);

    if (err == ERR_OK)
        err = open_file(backup, backup->partial, SQLITE_OPEN_READWRITE, &into);
    if (err == ERR_OK)
        err = pages_copy(backup, from_path, from, into);
    (void)sqlite3_close(into);
    (void)sqlite3_close(from);
    return err;
}

/* The first column of the first row is `wanted`; without a row so is NULL. */
static enum err expect(const struct backup *backup, sqlite3 *db, const char *text,
                       const char *wanted)
{
    sqlite3_stmt *stmt = NULL;
    const char *seen = NULL;
    enum err err = ERR_OK;
    int code = sqlite3_prepare_v2(db, text, -1, &stmt, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(stmt);
    if (code == SQLITE_ROW)
        seen = (const char *)sqlite3_column_text(stmt, 0);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        err = tell_sqlite(backup, backup->partial, db, code);
    else if ((wanted == NULL) != (seen == NULL) || (seen != NULL && strcmp(seen, wanted) != 0))
        err = store_fault_set(backup->reterr, ERR_STORE_CORRUPT,
                              "The copy is not a whole database of Portcullis (%s: %s).", text,
                              seen == NULL ? "nothing" : seen);
    (void)sqlite3_finalize(stmt);
    return err;
}

static enum err check(const struct backup *backup)
{
    char id[16];
    sqlite3 *db = NULL;
    enum err err = open_file(backup, backup->partial, SQLITE_OPEN_READWRITE, &db);

    (void)snprintf(id, sizeof(id), "%d", STORE_SQLITE_APPLICATION_ID);
    if (err == ERR_OK)
        err = expect(backup, db, "PRAGMA application_id", id);
    if (err == ERR_OK)
        err = expect(backup, db, "PRAGMA integrity_check(1)", "ok");
    if (err == ERR_OK)
        err = expect(backup, db, "PRAGMA foreign_key_check", NULL);
    (void)sqlite3_close(db); /* the last one: nothing is left beside the file */
    return err;
}

/* The name is as durable as the file. */
static void folder_sync(const char *path)
{
    char folder[PATH_BYTES_MAX];
    const char *slash = strrchr(path, '/');
    int fd;

    (void)snprintf(folder, sizeof(folder), "%.*s", slash == NULL ? 1 : (int)(slash - path + 1),
                   slash == NULL ? "." : path);
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd);
    (void)close(fd);
}

static enum err place(const struct backup *backup, int64_t *ret_bytes)
{
    struct stat seen = {.st_size = 0};

    if (stat(backup->partial, &seen) != 0 || rename(backup->partial, backup->path) != 0)
        return tell_system(backup, backup->path);
    folder_sync(backup->path);
    *ret_bytes = seen.st_size;
    return ERR_OK;
}

static void forget(const struct backup *backup)
{
    static const char *const endings[] = {"", "-journal", "-wal", "-shm"};
    char path[PATH_BYTES_MAX + 16];

    for (size_t i = 0; i < PC_COUNT(endings); i++) {
        (void)snprintf(path, sizeof(path), "%s%s", backup->partial, endings[i]);
        (void)unlink(path);
    }
}

static enum err backup_sqlite(const struct store_target *target, struct backup *backup,
                              int64_t *ret_bytes)
{
    enum err err = file_make(backup);

    if (err)
        return err;
    err = copy(backup, target->path);
    if (err == ERR_OK)
        err = check(backup);
    if (err == ERR_OK)
        err = place(backup, ret_bytes);
    if (err)
        forget(backup);
    return err;
}

enum err store_backup(const struct store_options *options, const char *path, int64_t *ret_bytes,
                      struct store_fault *reterr)
{
    struct backup backup = {.path = path, .reterr = reterr};
    struct store_target target;
    char strings[STORE_STRINGS_BYTES];
    struct arena arena;
    enum err err;

    arena_init(&arena, strings, sizeof(strings), 0);
    err = store_target_read(options, &arena, &target, reterr);
    if (err == ERR_OK && target.kind == STORE_SQLITE)
        err = backup_sqlite(&target, &backup, ret_bytes);
    else if (err == ERR_OK)
        err = store_fault_set(reterr, ERR_NOT_IMPLEMENTED,
                              "The database %s is PostgreSQL: use pg_dump.", target.shown);
    arena_reset(&arena);
    alloc_wipe(strings, sizeof(strings)); /* the URI holds a password */
    return err;
}
