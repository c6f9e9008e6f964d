/* SPDX-License-Identifier: MIT
 * `portcullis backup`: a checked copy of the embedded database beside a running server. Nothing is
 * written to the database, so it works where the database cannot be written any more, too.
 * What else belongs to a backup, and how it is put back, is in docs/operations.md. */
#include "app/command.h"

#include <inttypes.h>

#include "store/store.h"

static command_run_fn backup_run;

static const struct command_option options[] = {
    COMMAND_CONFIG_OPTION,
    {.name = "--audit", .about = "Copy the audit log's own database (audit.database.url)"},
};

static const struct command_example examples[] = {
    {"backup /backup/portcullis-monday.db", "Beside the running server."},
    {"backup --audit /backup/audit-monday.db", "The log, where it has a database of its own."},
};

const struct command command_backup = {
    .name = "backup",
    .operands = "FILE",
    .operands_min = 1,
    .operands_max = 1,
    .about = "Copy the embedded database into a file, and check the copy",
    .help =
        "The copy is of one moment, whoever writes meanwhile, and nobody waits for it. SQLite\n"
        "reads it from end to end before it gets its name, so FILE is whole or not there. A file\n"
        "that is there is never written over. PostgreSQL has pg_dump for this.\n\n"
        "The keys in the data folder are not in it: without them tokens, clients' secrets and the\n"
        "signatures of the audit log end with this machine. docs/operations.md has all of it.",
    .options = options,
    .option_count = PC_COUNT(options),
    .examples = examples,
    .example_count = PC_COUNT(examples),
    .run = backup_run,
};

enum { TEXT_BYTES_MAX = 8 * 1024 };

static enum command_exit copy(const struct command_call *call, struct command_settings *settings)
{
    const struct config *config = &settings->config;
    bool audit = command_given(call, "--audit");
    struct store_options from = {.url = span_from(config->database.url), .data_dir = config->data};
    struct sbuf out = sbuf_on(&settings->arena, TEXT_BYTES_MAX);
    struct store_fault fault;
    int64_t bytes;

    if (audit && config->audit.database.url == NULL) {
        command_tell(call, "the audit log is in the same database: leave --audit out");
        return COMMAND_BAD;
    }
    if (audit)
        from.url = span_from(config->audit.database.url);
    if (store_backup(&from, call->operands[0], &bytes, &fault) != ERR_OK) {
        command_tell(call, "%s", fault.text);
        return COMMAND_BAD;
    }
    sbuf_add_format(&out, "%s: a whole copy, %" PRId64 " bytes.\n", call->operands[0], bytes);
    return command_print(call, &out);
}

static enum command_exit backup_run(const struct command_call *call)
{
    struct command_settings settings;
    enum command_exit answer = command_settings_load(call, true, &settings);

    if (answer == COMMAND_GOOD)
        answer = copy(call, &settings);
    command_settings_free(&settings);
    return answer;
}
