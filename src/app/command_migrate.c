/* SPDX-License-Identifier: MIT
 * `portcullis migrate`: brings the database to the schema of this program, or shows where it is.
 * `serve` does the same at its start; the command is for those who want it to happen before. */
#include "app/command.h"

#include "app/command_store.h"
#include "app/serve_events.h"
#include "base/clock.h"

static command_run_fn migrate_run;

static const struct command_option options[] = {
    COMMAND_CONFIG_OPTION,
    {.name = "--status", .about = "Change nothing, tell which steps were applied and when"},
    {.name = "--rehearse", .about = "Apply what is missing and take it all back again"},
};

static const struct command_example examples[] = {
    {"migrate --status", "What does the database have?"},
    {"migrate --rehearse", "Would it work?"},
    {"migrate", "Do it. Doing it again changes nothing."},
};

const struct command command_migrate = {
    .name = "migrate",
    .about = "Bring the database to this program's schema",
    .help =
        "Applies the steps that the database lacks, each in a transaction of its own. Any number\n"
        "of processes may do so at once. A database whose steps differ from this program's is\n"
        "refused and not touched. With --status it exits with 1 while steps are missing.",
    .options = options,
    .option_count = PC_COUNT(options),
    .examples = examples,
    .example_count = PC_COUNT(examples),
    .run = migrate_run,
};

enum { STEPS_MAX = 1000, TEXT_BYTES_MAX = 256 * 1024 };

static enum command_exit tell_fault(const struct command_call *call,
                                    const struct store_fault *fault)
{
    command_tell(call, "%s", fault->text);
    return COMMAND_BAD;
}

/* A line a step; how many are missing. */
static size_t add_status(const struct store_migration *list, size_t count,
                         const int64_t *applied_at, struct sbuf *out)
{
    size_t missing = 0;

    for (size_t i = 0; i < count; i++) {
        sbuf_add_format(out, "%04lld %-24s ", (long long)list[i].number, list[i].name);
        if (applied_at[i] == 0) {
            sbuf_add_lit(out, "missing");
            missing++;
        } else {
            sbuf_add_lit(out, "applied ");
            clock_add_rfc3339(out, applied_at[i], 0);
        }
        sbuf_add_char(out, '\n');
    }
    return missing;
}

static enum command_exit status(const struct command_call *call, struct command_database *database)
{
    int64_t applied_at[STEPS_MAX] = {0};
    const struct store_migration *list;
    struct store_fault fault;
    struct sbuf out = sbuf_on(&database->settings.arena, TEXT_BYTES_MAX);
    enum command_exit answer;
    size_t count;
    size_t missing;

    store_migrations(&list, &count);
    PC_ASSERT(count <= STEPS_MAX);
    if (store_migrate_status(database->store, list, count, applied_at, &fault) != ERR_OK)
        return tell_fault(call, &fault);
    missing = add_status(list, count, applied_at, &out);
    answer = command_print(call, &out);
    return missing > 0 ? COMMAND_BAD : answer;
}

static enum command_exit apply(const struct command_call *call, struct command_database *database)
{
    bool rehearse = command_given(call, "--rehearse");
    const struct store_migration *list;
    struct store_fault fault;
    struct sbuf out = sbuf_on(&database->settings.arena, TEXT_BYTES_MAX);
    enum err err;
    size_t count;

    store_migrations(&list, &count);
    if (rehearse)
        err = store_migrate_rehearse(database->store, list, count, &fault);
    else
        err = serve_store_migrate(database->store, &clock_system, "command", &fault);
    if (err)
        return tell_fault(call, &fault);
    sbuf_add_format(&out, "%s %s the schema of this program, step %zu.\n",
                    store_shown(database->store), rehearse ? "can be brought to" : "has", count);
    return command_print(call, &out);
}

static enum command_exit migrate_run(const struct command_call *call)
{
    struct command_database database;
    enum command_exit answer;

    if (command_given(call, "--status") && command_given(call, "--rehearse")) {
        command_tell(call, "give either --status or --rehearse");
        return COMMAND_USAGE;
    }
    answer = command_database_open(call, &database);
    if (answer == COMMAND_GOOD)
        answer = command_given(call, "--status") ? status(call, &database) : apply(call, &database);
    command_database_close(&database);
    return answer;
}
