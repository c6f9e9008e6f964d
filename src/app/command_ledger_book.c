/* SPDX-License-Identifier: MIT
 * `portcullis ledger export|import`: the whole ledger as JSON lines, out of one moment of a
 * database and into an empty ledger of another, of either kind. A file is written beside its place
 * and moved there when it is whole. */
#include "app/command_ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "trail/trail.h"

enum { PATH_BYTES = 4096, LINE_BYTES_MAX = 2 * 1024 * 1024 };

static command_run_fn export_run, import_run;

static const struct command_option options[] = {COMMAND_CONFIG_OPTION};

static const struct command_example export_examples[] = {
    {"ledger export ledger.jsonl", "The books as a file that only its owner may read."},
    {"ledger export | gzip >ledger.jsonl.gz", "On standard output."},
};
static const struct command_example import_examples[] = {
    {"ledger import ledger.jsonl", "Into a new database, whose users are there."},
};

const struct command command_ledger_export = {
    .name = "ledger export",
    .operands = "[FILE]",
    .operands_max = 1,
    .about = "Write the whole ledger as JSON lines",
    .help =
        "Accounts with their numbers and owners, limits, postings with their legs, holds,\n"
        "transactions and orders as they are at one moment, beside a running server or without\n"
        "one. The same ledger gives the same bytes. What is not in it: users beyond their\n"
        "e-mail addresses, kept answers to Idempotency-Keys, and the trail. The trail tells that\n"
        "it was exported, before the first line.",
    .options = options,
    .option_count = PC_COUNT(options),
    .examples = export_examples,
    .example_count = PC_COUNT(export_examples),
    .run = export_run,
};

const struct command command_ledger_import = {
    .name = "ledger import",
    .operands = "FILE",
    .operands_min = 1,
    .operands_max = 1,
    .about = "Read a ledger from JSON lines into an empty one",
    .help =
        "Owners are found by their e-mail addresses, so their users must be there. All of it is\n"
        "one commit, and every invariant is looked at before: a file that is wrong anywhere is\n"
        "refused with its line, and changes nothing.",
    .options = options,
    .option_count = PC_COUNT(options),
    .examples = import_examples,
    .example_count = PC_COUNT(import_examples),
    .run = import_run,
};

/* ---- export ---- */

struct exporting {
    FILE *out;
    uint64_t lines;
    bool seekable;
    int error; /* errno; 0: none */
};

static enum err line_write(void *context, struct span line)
{
    struct exporting *exporting = context;

    errno = 0;
    if (fwrite(line.ptr, 1, line.len, exporting->out) != line.len) {
        exporting->error = errno != 0 ? errno : EIO;
        return ERR_IO;
    }
    exporting->lines++;
    return ERR_OK;
}

/* The reading may begin again when a connection is lost: what was printed cannot be taken back. */
static enum err export_job(struct store_conn *conn, struct store_job *job)
{
    struct exporting *exporting = job->context;

    if (exporting->lines > 0) {
        if (!exporting->seekable || fseek(exporting->out, 0, SEEK_SET) != 0 ||
            ftruncate(fileno(exporting->out), 0) != 0)
            return ERR_IO;
        exporting->lines = 0;
    }
    return ledger_export(conn, line_write, exporting);
}

static enum command_exit told_export(const struct command_call *call, const char *path,
                                     const struct exporting *exporting, enum err err)
{
    command_tell(call, "%s: %s", path,
                 exporting->error != 0 ? strerror(exporting->error) : err_sentence(err));
    return COMMAND_BAD;
}

static enum command_exit export_to(const struct command_call *call, struct store *store,
                                   const char *path, struct exporting *exporting)
{
    enum err err = store_do(store, export_job, exporting, false);

    if (!err && (fflush(exporting->out) != 0 ||
                 (exporting->seekable && fsync(fileno(exporting->out)) != 0))) {
        exporting->error = errno;
        err = ERR_IO;
    }
    return err ? told_export(call, path, exporting, err) : COMMAND_GOOD;
}

static enum command_exit export_file(const struct command_call *call, struct store *store,
                                     const char *path)
{
    struct exporting exporting = {.seekable = true};
    char text[PATH_BYTES];
    struct sbuf partial = sbuf_over(text, sizeof(text));
    enum command_exit answer;
    int fd;

    sbuf_add_format(&partial, "%s.partial", path);
    sbuf_add_char(&partial, '\0');
    if (partial.full) {
        command_tell(call, "the path is too long");
        return COMMAND_BAD;
    }
    fd = open(text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    exporting.out = fd < 0 ? NULL : fdopen(fd, "w");
    if (exporting.out == NULL) {
        exporting.error = errno;
        return told_export(call, text, &exporting, ERR_IO);
    }
    answer = export_to(call, store, text, &exporting);
    if (fclose(exporting.out) != 0 && answer == COMMAND_GOOD) {
        exporting.error = errno;
        answer = told_export(call, text, &exporting, ERR_IO);
    }
    if (answer == COMMAND_GOOD && rename(text, path) != 0) {
        exporting.error = errno;
        answer = told_export(call, path, &exporting, ERR_IO);
    }
    if (answer != COMMAND_GOOD)
        (void)unlink(text);
    return answer;
}

/* Books leave the house only when that is remembered. */
static enum err tell_export(struct store_conn *conn, struct store_job *job)
{
    char text[32];
    struct sbuf who = sbuf_over(text, sizeof(text));
    struct trail_record record = {.event = TRAIL_LEDGER_EXPORTED,
                                  .outcome = TRAIL_DONE,
                                  .at_ns = clock_realtime_ns(&clock_system),
                                  .actor_kind = TRAIL_ACTOR_SYSTEM,
                                  .object = SPAN("ledger")};

    (void)job;
    sbuf_add_format(&who, "uid:%ld", (long)getuid());
    record.actor = sbuf_span(&who);
    return trail_add(conn, &record);
}

static enum command_exit remember_export(const struct command_call *call, struct store *store)
{
    enum err err = store_do(store, tell_export, NULL, true);

    if (err)
        command_tell(call, "the trail cannot be told of the export: %s", err_sentence(err));
    return err ? COMMAND_BAD : COMMAND_GOOD;
}

static enum command_exit export_run(const struct command_call *call)
{
    struct exporting exporting = {.out = call->io->out};
    struct command_database database;
    enum command_exit answer = command_ledger_open(call, &database);

    if (answer == COMMAND_GOOD)
        answer = remember_export(call, database.store);
    if (answer == COMMAND_GOOD)
        answer = call->operand_count > 0
                     ? export_file(call, database.store, call->operands[0])
                     : export_to(call, database.store, "standard output", &exporting);
    command_database_close(&database);
    return answer;
}

/* ---- import ---- */

struct importing {
    FILE *in;
    char *line; /* LINE_BYTES_MAX */
    struct ledger_summary summary;
    struct ledger_import_fault fault;
    int error; /* errno of reading; 0: none */
};

/* A line that is longer than any may be comes in two, of which neither is one. */
static enum err line_read(void *context, struct span *ret_line)
{
    struct importing *importing = context;
    size_t len;

    *ret_line = (struct span){0};
    errno = 0;
    if (fgets(importing->line, LINE_BYTES_MAX, importing->in) == NULL) {
        importing->error = ferror(importing->in) != 0 ? errno : 0;
        return ferror(importing->in) != 0 ? ERR_IO : ERR_OK;
    }
    len = strlen(importing->line);
    if (len > 0 && importing->line[len - 1] == '\n')
        len--;
    *ret_line = span_make(importing->line, len);
    return ERR_OK;
}

static enum err remember(struct store_conn *conn, const struct ledger_summary *summary)
{
    char text[2][24];
    struct sbuf postings = sbuf_over(text[0], sizeof(text[0]));
    struct sbuf accounts = sbuf_over(text[1], sizeof(text[1]));
    struct trail_record record = {.event = TRAIL_LEDGER_IMPORTED,
                                  .outcome = TRAIL_DONE,
                                  .at_ns = clock_realtime_ns(&clock_system),
                                  .actor_kind = TRAIL_ACTOR_SYSTEM,
                                  .actor = SPAN("command")};

    sbuf_add_i64(&postings, summary->postings);
    sbuf_add_i64(&accounts, summary->accounts);
    record.details[0] = (struct trail_detail){.name = "postings", .value = sbuf_span(&postings)};
    record.details[1] = (struct trail_detail){.name = "accounts", .value = sbuf_span(&accounts)};
    return trail_add(conn, &record);
}

static enum err import_job(struct store_conn *conn, struct store_job *job)
{
    struct importing *importing = job->context;
    enum err err;

    importing->error = 0;
    importing->fault = (struct ledger_import_fault){.line = 0};
    if (fseek(importing->in, 0, SEEK_SET) != 0) {
        importing->error = errno;
        return ERR_IO;
    }
    err = ledger_import(conn, line_read, importing, clock_realtime_ns(&clock_system),
                        &importing->summary, &importing->fault);
    return err ? err : remember(conn, &importing->summary);
}

static enum command_exit told_import(const struct command_call *call, const char *path,
                                     const struct importing *importing, enum err err)
{
    if (importing->error != 0)
        command_tell(call, "%s: cannot be read: %s", path, strerror(importing->error));
    else if (importing->fault.text[0] != '\0' && importing->fault.line > 0)
        command_tell(call, "%s:%lld: %s", path, (long long)importing->fault.line,
                     importing->fault.text);
    else
        command_tell(call, "%s: %s", path,
                     importing->fault.text[0] != '\0' ? importing->fault.text : err_sentence(err));
    return COMMAND_BAD;
}

static enum command_exit import_file(const struct command_call *call, struct store *store,
                                     struct importing *importing)
{
    const char *path = call->operands[0];
    char text[160];
    struct sbuf out = sbuf_over(text, sizeof(text));
    enum err err;

    importing->in = fopen(path, "re");
    importing->line = alloc_raw(LINE_BYTES_MAX);
    if (importing->in == NULL) {
        command_tell(call, "%s: cannot be opened: %s", path, strerror(errno));
        return COMMAND_BAD;
    }
    err = importing->line == NULL ? ERR_NO_MEMORY : store_do(store, import_job, importing, true);
    if (err)
        return told_import(call, path, importing, err);
    sbuf_add_format(&out, "%lld postings on %lld accounts were imported. Every invariant holds.\n",
                    (long long)importing->summary.postings, (long long)importing->summary.accounts);
    return command_print(call, &out);
}

static enum command_exit import_run(const struct command_call *call)
{
    struct importing importing = {.in = NULL};
    struct command_database database;
    enum command_exit answer = command_database_open_ready(call, &database);

    if (answer == COMMAND_GOOD)
        answer = import_file(call, database.store, &importing);
    if (importing.in != NULL)
        (void)fclose(importing.in);
    alloc_free(importing.line);
    command_database_close(&database);
    return answer;
}
