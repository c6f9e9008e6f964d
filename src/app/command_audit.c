/* SPDX-License-Identifier: MIT
 * What the commands `audit ...` share: the log's database, keys, files in and out. */
#include "app/command_audit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trail/trail_key.h"

enum { STEPS_MAX = 1000 };

/* ---- the database ---- */

static enum command_exit schema_check(const struct command_call *call, struct store *store)
{
    int64_t applied_at[STEPS_MAX] = {0};
    const struct store_migration *list;
    struct store_fault fault;
    size_t count;

    store_migrations(&list, &count);
    PC_ASSERT(count <= STEPS_MAX);
    if (store_migrate_status(store, list, count, applied_at, &fault) != ERR_OK) {
        command_tell(call, "%s", fault.text);
        return COMMAND_BAD;
    }
    if (applied_at[count - 1] != 0)
        return COMMAND_GOOD;
    command_tell(call, "the database lacks steps of the schema, `portcullis migrate` applies them");
    return COMMAND_BAD;
}

enum command_exit command_audit_open(const struct command_call *call,
                                     struct command_database *database)
{
    const struct config *config = &database->settings.config;
    struct store_options options;
    struct store_fault fault;

    database->store = NULL;
    if (command_settings_load(call, true, &database->settings) != COMMAND_GOOD)
        return COMMAND_BAD;
    options = (struct store_options){.url = span_from(config->database.url),
                                     .data_dir = config->data,
                                     .sslmode = config->database.sslmode,
                                     .seal = &trail_seal,
                                     .readers = 1};
    if (config->audit.database.url != NULL) {
        options.url = span_from(config->audit.database.url);
        options.sslmode = config->audit.database.sslmode;
    }
    if (store_open(&options, &database->store, &fault) != ERR_OK) {
        command_tell(call, "%s", fault.text);
        return COMMAND_BAD;
    }
    return schema_check(call, database->store);
}

struct remembering {
    enum trail_event event;
    struct span object;
};

static enum err remember_job(struct store_conn *conn, struct store_job *job)
{
    const struct remembering *remembering = job->context;
    const struct trail_record record = {.event = remembering->event,
                                        .outcome = TRAIL_DONE,
                                        .at_ns = clock_realtime_ns(&clock_system),
                                        .actor_kind = TRAIL_ACTOR_SYSTEM,
                                        .actor = SPAN("command"),
                                        .object = remembering->object};

    return trail_add(conn, &record);
}

enum command_exit command_audit_remember(const struct command_call *call, struct store *store,
                                         enum trail_event event, struct span object)
{
    struct remembering remembering = {.event = event, .object = object};
    enum err err = store_do(store, remember_job, &remembering, true);

    if (!err)
        return COMMAND_GOOD;
    command_tell(call, "the log cannot be told that it is looked at: %s", err_sentence(err));
    return COMMAND_BAD;
}

/* ---- keys ---- */

enum command_exit command_audit_keys(const struct command_call *call,
                                     struct command_audit_keys *ret)
{
    const char *const *values = command_values(call, "--key");

    ret->count = 0;
    while (values[ret->count] != NULL) {
        struct crypto_fault fault = {0};

        if (trail_key_public(values[ret->count], &ret->list[ret->count], &fault) != ERR_OK) {
            command_tell(call, "--key: %s", fault.text);
            return COMMAND_BAD;
        }
        ret->count++;
    }
    return COMMAND_GOOD;
}

void command_audit_keys_free(struct command_audit_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++)
        trail_verifier_free(&keys->list[i]);
    keys->count = 0;
}

/* ---- files ---- */

static enum command_exit told(const struct command_call *call, const char *path, int error)
{
    command_tell(call, "%s: %s", path, strerror(error));
    return COMMAND_BAD;
}

enum command_exit command_audit_read(const struct command_call *call, const char *path,
                                     size_t bytes_max, struct arena *arena, struct span *ret)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *room = arena_bytes(arena, bytes_max + 1);
    size_t bytes = 0;
    ssize_t n = 1;

    if (fd < 0)
        return told(call, path, errno);
    while (room != NULL && n > 0 && bytes <= bytes_max) {
        n = read(fd, room + bytes, bytes_max + 1 - bytes);
        bytes += n > 0 ? (size_t)n : 0;
    }
    if (n < 0 || room == NULL)
        (void)told(call, path, room == NULL ? ENOMEM : errno);
    else if (bytes > bytes_max)
        command_tell(call, "%s: the file is too large", path);
    (void)close(fd);
    if (n < 0 || room == NULL || bytes > bytes_max)
        return COMMAND_BAD;
    *ret = span_make(room, bytes);
    return COMMAND_GOOD;
}

enum command_exit command_audit_out_open(const struct command_call *call,
                                         struct command_audit_out *ret)
{
    struct sbuf partial = sbuf_over(ret->partial, sizeof(ret->partial));
    int fd;

    ret->call = call;
    ret->path = command_value(call, "--out");
    ret->file = call->io->out;
    ret->failed = false;
    if (ret->path == NULL)
        return COMMAND_GOOD;
    sbuf_add_format(&partial, "%s.partial", ret->path);
    sbuf_add_char(&partial, '\0');
    if (partial.full)
        return told(call, "--out", ENAMETOOLONG);
    fd = open(ret->partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    ret->file = fd < 0 ? NULL : fdopen(fd, "w");
    return ret->file == NULL ? told(call, ret->partial, errno) : COMMAND_GOOD;
}

void command_audit_out_add(struct command_audit_out *out, struct span text)
{
    if (!out->failed && text.len > 0 && fwrite(text.ptr, 1, text.len, out->file) != text.len)
        out->failed = true;
}

enum command_exit command_audit_out_close(struct command_audit_out *out, enum command_exit answer)
{
    const char *name = out->path == NULL ? "standard output" : out->path;

    if (out->file == NULL)
        return COMMAND_BAD;
    if (answer == COMMAND_GOOD && (out->failed || fflush(out->file) != 0))
        answer = told(out->call, name, errno != 0 ? errno : EIO);
    if (out->path == NULL)
        return answer;
    if (answer == COMMAND_GOOD && fsync(fileno(out->file)) != 0)
        answer = told(out->call, name, errno);
    if (fclose(out->file) != 0 && answer == COMMAND_GOOD)
        answer = told(out->call, name, errno);
    if (answer == COMMAND_GOOD && rename(out->partial, out->path) != 0)
        answer = told(out->call, name, errno);
    if (answer != COMMAND_GOOD)
        (void)unlink(out->partial);
    return answer;
}
