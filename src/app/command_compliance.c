/* SPDX-License-Identifier: MIT
 * `portcullis compliance list|report`: what this program claims of the controls of some frameworks,
 * and the evidence that its checks found. The report says "evidence for" and no more. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "app/command_audit.h"
#include "app/compliance.h"
#include "trail/trail_checkpoints.h"

enum { WORK_BYTES_MAX = 64 * 1024 * 1024, REPORT_BYTES_MAX = 16 * 1024 * 1024 };

static command_run_fn list_run, report_run;

#define CONTROLS_OPTION                                                                            \
    {                                                                                              \
        .name = "--controls", .value = "DIR", .kind = COMMAND_VALUE_FOLDER,                        \
        .about = "The folder of the controls instead of the installed one"                         \
    }

static const struct command_option list_options[] = {
    CONTROLS_OPTION,
    {.name = "--json", .about = "Print all of them as JSON"},
};
static const struct command_option report_options[] = {
    COMMAND_CONFIG_OPTION,
    CONTROLS_OPTION,
    {.name = "--results",
     .value = "FILE",
     .kind = COMMAND_VALUE_FILE,
     .about = "What the checks wrote; without it no control has evidence"},
    {.name = "--html",
     .value = "FILE",
     .kind = COMMAND_VALUE_FILE,
     .about = "Write the report as a page into FILE"},
    {.name = "--json",
     .value = "FILE",
     .kind = COMMAND_VALUE_FILE,
     .about = "Write the report as JSON into FILE"},
    COMMAND_AUDIT_KEY_OPTION,
    {.name = "--allow-gaps", .about = "End with 0 although evidence is missing"},
};

static const struct command_example list_examples[] = {
    {"compliance list", "Which controls have checks, and which are for people?"},
};
static const struct command_example report_examples[] = {
    {"compliance report --results build/compliance/results.json --html evidence.html",
     "The report of a build that was tested."},
};

const struct command command_compliance_list = {
    .name = "compliance list",
    .about = "Print the controls that this program has claims for",
    .help = "Each file *.yaml of the folder is one framework. What is wrong with one is told with\n"
            "its line and column, and ends with exit code 1.",
    .options = list_options,
    .option_count = PC_COUNT(list_options),
    .examples = list_examples,
    .example_count = PC_COUNT(list_examples),
    .run = list_run,
};

const struct command command_compliance_report = {
    .name = "compliance report",
    .about = "Write what there is evidence for, as a page and as JSON",
    .help =
        "Puts the controls, what tests/compliance/run wrote about its checks, the hash of the\n"
        "configuration and the newest signed checkpoint of the audit log together. A control\n"
        "has evidence when each of its checks was green with the control in place and red with\n"
        "it switched off, on the very revision that this program was built from.\n"
        "\n"
        "Exit code 1: a check failed or was not run, the results are of another revision, the\n"
        "source had uncommitted changes, or the audit log has no signed checkpoint. The report\n"
        "is written all the same and says so. It says what there is evidence for; whether\n"
        "somebody meets a framework is for assessors.",
    .options = report_options,
    .option_count = PC_COUNT(report_options),
    .examples = report_examples,
    .example_count = PC_COUNT(report_examples),
    .run = report_run,
};

static bool matrix_read(const struct command_call *call, struct arena *arena,
                        struct compliance_matrix *ret)
{
    const char *folder = command_value(call, "--controls");

    return compliance_matrix_read(folder != NULL ? folder : PC_CONTROLS, call->io->err, arena, ret);
}

/* ---- list ---- */

static void list_write(const struct compliance_matrix *matrix, struct sbuf *out)
{
    for (size_t i = 0; i < matrix->count; i++) {
        const struct compliance_framework *one = &matrix->list[i];

        sbuf_add_format(out, "%.*s %.*s\n", SPAN_ARG(one->name), SPAN_ARG(one->version));
        for (size_t k = 0; k < one->count; k++) {
            const struct compliance_control *control = &one->controls[k];

            sbuf_add_format(out, "  %-12.*s %.*s:", SPAN_ARG(control->id),
                            SPAN_ARG(control->title));
            for (size_t n = 0; n < control->check_count; n++)
                sbuf_add_format(out, " %.*s", SPAN_ARG(control->checks[n]));
            sbuf_add_text(out, control->check_count == 0 ? " for people\n" : "\n");
        }
    }
}

static enum command_exit list_run(const struct command_call *call)
{
    enum command_exit answer = COMMAND_BAD;
    struct compliance_matrix matrix;
    struct arena arena;
    struct sbuf out;

    arena_init(&arena, NULL, 0, WORK_BYTES_MAX);
    if (matrix_read(call, &arena, &matrix)) {
        out = sbuf_on(&arena, REPORT_BYTES_MAX);
        if (command_given(call, "--json"))
            compliance_matrix_json(&matrix, &out);
        else
            list_write(&matrix, &out);
        answer = command_print(call, &out);
    }
    arena_reset(&arena);
    return answer;
}

/* ---- report ---- */

static enum command_exit results_read(const struct command_call *call, struct arena *arena,
                                      struct compliance_results *ret)
{
    const char *path = command_value(call, "--results");
    struct span text = {0};

    memset(ret, 0, sizeof(*ret));
    if (path == NULL) {
        command_tell(call, "no --results: no control has evidence");
        return COMMAND_GOOD;
    }
    if (command_audit_read(call, path, COMPLIANCE_FILE_BYTES_MAX, arena, &text) != COMMAND_GOOD)
        return COMMAND_BAD;
    return compliance_results_read(text, path, span_from(command_version_revision()), call->io->err,
                                   arena, ret)
               ? COMMAND_GOOD
               : COMMAND_BAD;
}

struct looking {
    struct arena arena;
    struct trail_signed newest;
};

static enum err newest_job(struct store_conn *conn, struct store_job *job)
{
    struct looking *looking = job->context;

    arena_reset(&looking->arena);
    return trail_signed_newest(conn, &looking->arena, &looking->newest);
}

/* The note must be what stands beside it, and signed with a key of --key when one is given. */
static bool note_is_good(const struct command_audit_keys *keys, const struct trail_signed *newest,
                         struct crypto_fault *fault)
{
    struct trail_checkpoint said = {.size = 0};
    enum err err = keys->count == 0
                       ? trail_note_read(newest->note, &said, fault)
                       : trail_note_check(newest->note, keys->list, keys->count, &said, fault);

    return !err && said.size == newest->size &&
           memcmp(said.root.bytes, newest->root.bytes, sizeof(said.root.bytes)) == 0;
}

static void checkpoint_read(const struct command_call *call, const struct command_audit_keys *keys,
                            struct arena *arena, struct compliance_report *report)
{
    struct command_database database;
    struct crypto_fault fault = {0};
    struct looking looking;

    arena_init(&looking.arena, NULL, 0, WORK_BYTES_MAX);
    report->checkpoint_reason = "the audit log cannot be read";
    if (command_audit_open(call, &database) == COMMAND_GOOD) {
        enum err err = store_do(database.store, newest_job, &looking, false);

        if (err)
            report->checkpoint_reason = "no checkpoint has been signed yet";
        else if (!note_is_good(keys, &looking.newest, &fault))
            report->checkpoint_reason = "the newest checkpoint is not what was signed";
        else
            report->checkpoint = arena_copy(arena, looking.newest.note);
        report->checkpoint_signed = keys->count > 0 && report->checkpoint.len > 0;
    }
    if (report->checkpoint.len == 0)
        command_tell(call, "%s", report->checkpoint_reason);
    command_database_close(&database);
    arena_reset(&looking.arena);
}

/* Whole or not at all: beside its place until it is. */
static enum command_exit file_write(const struct command_call *call, const char *path,
                                    struct span text)
{
    char partial[4096];
    int fd;
    bool good;

    if (snprintf(partial, sizeof(partial), "%s.partial", path) >= (int)sizeof(partial)) {
        command_tell(call, "%s: %s", path, strerror(ENAMETOOLONG));
        return COMMAND_BAD;
    }
    fd = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    good = fd >= 0;
    while (good && text.len > 0) {
        ssize_t n = write(fd, text.ptr, text.len);

        good = n > 0;
        text = span_slice(text, good ? (size_t)n : 0, text.len);
    }
    good = good && fsync(fd) == 0 && rename(partial, path) == 0;
    if (!good)
        command_tell(call, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    if (!good)
        (void)unlink(partial);
    return good ? COMMAND_GOOD : COMMAND_BAD;
}

typedef void form_fn(const struct compliance_report *report, struct sbuf *out);

static enum command_exit form_write(const struct command_call *call, const char *option,
                                    form_fn *form, const struct compliance_report *report,
                                    struct arena *arena)
{
    const char *path = command_value(call, option);
    struct sbuf out = sbuf_on(arena, REPORT_BYTES_MAX);
    struct span text;

    if (path == NULL)
        return COMMAND_GOOD;
    form(report, &out);
    if (sbuf_finish(&out, &text) == ERR_OK)
        return file_write(call, path, text);
    command_tell(call, "out of memory");
    return COMMAND_BAD;
}

static enum command_exit report_write(const struct command_call *call,
                                      const struct compliance_report *report, struct arena *arena)
{
    struct sbuf out = sbuf_on(arena, REPORT_BYTES_MAX);
    enum command_exit answer = form_write(call, "--html", compliance_html, report, arena);

    if (answer == COMMAND_GOOD)
        answer = form_write(call, "--json", compliance_json, report, arena);
    compliance_summary(report, &out);
    if (answer == COMMAND_GOOD)
        answer = command_print(call, &out);
    if (answer != COMMAND_GOOD || !compliance_has_gaps(report))
        return answer;
    if (compliance_is_dirty(report->revision))
        command_tell(call, "the source had changes that no commit holds");
    command_tell(call, "the evidence has gaps");
    return command_given(call, "--allow-gaps") ? COMMAND_GOOD : COMMAND_BAD;
}

static enum command_exit report_make(const struct command_call *call, struct arena *arena)
{
    struct compliance_report report = {.version = span_from(command_version_number()),
                                       .revision = span_from(command_version_revision()),
                                       .made_at_ns = clock_realtime_ns(&clock_system)};
    struct command_audit_keys keys = {.count = 0};
    struct command_settings settings;
    struct compliance_matrix matrix;
    struct compliance_results results;
    char hash[CONFIG_HASH_BYTES + 1] = {0};
    enum command_exit answer;

    if (!matrix_read(call, arena, &matrix) || results_read(call, arena, &results) != COMMAND_GOOD)
        return COMMAND_BAD;
    answer = command_settings_load(call, true, &settings);
    if (answer == COMMAND_GOOD)
        config_hash(&settings.config, hash);
    command_settings_free(&settings);
    if (answer == COMMAND_GOOD)
        answer = command_audit_keys(call, &keys);
    if (answer == COMMAND_GOOD) {
        report.matrix = &matrix;
        report.results = &results;
        report.configuration_hash = hash;
        checkpoint_read(call, &keys, arena, &report);
        answer = report_write(call, &report, arena);
    }
    command_audit_keys_free(&keys);
    return answer;
}

static enum command_exit report_run(const struct command_call *call)
{
    enum command_exit answer;
    struct arena arena;

    arena_init(&arena, NULL, 0, WORK_BYTES_MAX);
    answer = report_make(call, &arena);
    arena_reset(&arena);
    return answer;
}
