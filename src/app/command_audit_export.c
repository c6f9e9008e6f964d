/* SPDX-License-Identifier: MIT
 * `portcullis audit export`: the log as JSON lines that can be checked by themselves, out of a
 * database beside a running server or without one. That it was exported is an event of the log. */
#include <string.h>

#include "app/command_audit.h"
#include "trail/trail_checkpoints.h"
#include "trail/trail_export.h"
#include "trail/trail_log.h"

enum { PAGE_LINES = 256, WORK_BYTES_MAX = 64 * 1024 * 1024 };

static command_run_fn export_run;

static const struct command_option options[] = {
    COMMAND_CONFIG_OPTION,
    {.name = "--from", .value = "N", .about = "Begin with this seq instead of 0"},
    {.name = "--to",
     .value = "N",
     .about = "End before this seq instead of with the newest checkpoint"},
    {.name = "--out",
     .value = "FILE",
     .kind = COMMAND_VALUE_FILE,
     .about = "Write to FILE, for its owner only, instead of standard output"},
};

static const struct command_example examples[] = {
    {"audit export --out log.jsonl", "All that is signed for so far."},
    {"audit export --from 20000 | gzip >log.jsonl.gz", "What came since."},
};

const struct command command_audit_export = {
    .name = "audit export",
    .about = "Write the audit log as JSON lines",
    .help =
        "Each line holds all that its leaf of the tree is made of, and a checkpoint closes the\n"
        "export, so that `portcullis audit verify` can check it anywhere. It holds personal data\n"
        "as the log does. The export itself is an event of the log.",
    .options = options,
    .option_count = PC_COUNT(options),
    .examples = examples,
    .example_count = PC_COUNT(examples),
    .run = export_run,
};

struct exporting {
    struct span origin;
    bool has_from, has_to;
    uint64_t from, to;
    uint64_t size;        /* of the log */
    uint64_t signed_size; /* of its newest checkpoint */
    bool unsigned_;       /* no checkpoint is of it yet */
    uint64_t at;          /* the next line */
    struct arena arena;
    struct sbuf text;
};

static void work_begin(struct exporting *exporting)
{
    arena_reset(&exporting->arena);
    exporting->text = sbuf_on(&exporting->arena, WORK_BYTES_MAX);
}

/* ---- jobs ---- */

/* The checkpoint first: one that is signed meanwhile would be of more than the head. */
static enum err bounds_job(struct store_conn *conn, struct store_job *job)
{
    struct exporting *exporting = job->context;
    struct trail_tree tree = {.size = 0};
    struct trail_signed newest = {.size = 0};
    int64_t at;
    enum err err;

    work_begin(exporting);
    err = trail_signed_newest(conn, &exporting->arena, &newest);
    exporting->unsigned_ = err == ERR_NOT_FOUND;
    if (!err || exporting->unsigned_)
        err = trail_tree_read(conn, &tree, &at);
    if (err)
        return err;
    exporting->size = tree.size;
    exporting->signed_size = exporting->unsigned_ ? tree.size : newest.size;
    if (!exporting->has_to)
        exporting->to = exporting->signed_size;
    return ERR_OK;
}

static enum err head_job(struct store_conn *conn, struct store_job *job)
{
    struct exporting *exporting = job->context;

    work_begin(exporting);
    return trail_export_head(conn, exporting->origin, exporting->from, exporting->to,
                             &exporting->arena, &exporting->text);
}

static enum err page_job(struct store_conn *conn, struct store_job *job)
{
    struct exporting *exporting = job->context;
    uint64_t next = 0;
    enum err err;

    work_begin(exporting);
    err = trail_export_lines(conn, exporting->at, exporting->to, PAGE_LINES, &exporting->arena,
                             &exporting->text, &next);
    if (!err)
        exporting->at = next; /* the job is over: it is not run again */
    return err;
}

static enum err checkpoint_job(struct store_conn *conn, struct store_job *job)
{
    struct exporting *exporting = job->context;

    work_begin(exporting);
    return trail_export_checkpoint(conn, exporting->to, &exporting->arena, &exporting->text);
}

/* ---- the whole ---- */

static enum err piece(struct store *store, store_run_fn *run, struct exporting *exporting,
                      struct command_audit_out *out)
{
    enum err err = store_do(store, run, exporting, false);

    if (!err)
        command_audit_out_add(out, sbuf_span(&exporting->text));
    return err;
}

static enum command_exit export_to(const struct command_call *call, struct store *store,
                                   struct exporting *exporting, struct command_audit_out *out)
{
    enum err err = piece(store, head_job, exporting, out);

    exporting->at = exporting->from;
    while (!err && exporting->at < exporting->to && !out->failed)
        err = piece(store, page_job, exporting, out);
    if (!err)
        err = piece(store, checkpoint_job, exporting, out);
    if (!err)
        return COMMAND_GOOD;
    command_tell(call, "the log cannot be read: %s", err_sentence(err));
    return COMMAND_BAD;
}

static enum command_exit bounds_check(const struct command_call *call, struct store *store,
                                      struct exporting *exporting)
{
    enum err err = store_do(store, bounds_job, exporting, false);

    if (err) {
        command_tell(call, "the log cannot be read: %s", err_sentence(err));
        return COMMAND_BAD;
    }
    if (exporting->from > exporting->to || exporting->to > exporting->size) {
        command_tell(call, "the log has %llu events, of which the first %llu are signed for",
                     (unsigned long long)exporting->size,
                     (unsigned long long)exporting->signed_size);
        return COMMAND_BAD;
    }
    if (exporting->to > exporting->signed_size) {
        command_tell(call,
                     "only the first %llu events are signed for yet, and nothing would vouch for "
                     "the others: ask again, or for less",
                     (unsigned long long)exporting->signed_size);
        return COMMAND_BAD;
    }
    if (exporting->unsigned_ && exporting->size > 0)
        command_tell(call, "no checkpoint has been signed yet: the export has none");
    return COMMAND_GOOD;
}

static enum command_exit number_read(const struct command_call *call, const char *name,
                                     bool *ret_given, uint64_t *ret)
{
    const char *text = command_value(call, name);

    *ret_given = text != NULL;
    if (text == NULL)
        return COMMAND_GOOD;
    if (span_to_u64(span_from(text), ret) && *ret <= INT64_MAX)
        return COMMAND_GOOD;
    command_tell(call, "%s: a whole number is expected", name);
    return COMMAND_USAGE;
}

static enum command_exit export_all(const struct command_call *call, struct store *store,
                                    struct exporting *exporting)
{
    struct command_audit_out out;
    enum command_exit answer = bounds_check(call, store, exporting);

    if (answer == COMMAND_GOOD)
        answer = command_audit_remember(call, store, TRAIL_AUDIT_EXPORTED, SPAN_OF("audit:export"));
    if (answer == COMMAND_GOOD)
        answer = command_audit_out_open(call, &out);
    if (answer != COMMAND_GOOD)
        return answer;
    answer = export_to(call, store, exporting, &out);
    return command_audit_out_close(&out, answer);
}

static enum command_exit export_run(const struct command_call *call)
{
    struct exporting exporting = {.from = 0};
    struct command_database database;
    enum command_exit answer = number_read(call, "--from", &exporting.has_from, &exporting.from);

    if (answer == COMMAND_GOOD)
        answer = number_read(call, "--to", &exporting.has_to, &exporting.to);
    if (answer != COMMAND_GOOD)
        return answer;
    answer = command_audit_open(call, &database);
    arena_init(&exporting.arena, NULL, 0, WORK_BYTES_MAX);
    if (answer == COMMAND_GOOD) {
        exporting.origin = span_from(database.settings.config.audit.origin);
        answer = export_all(call, database.store, &exporting);
    }
    arena_reset(&exporting.arena);
    command_database_close(&database);
    return answer;
}
