/* SPDX-License-Identifier: MIT
 * `portcullis ledger check`: every invariant of the ledger, looked at from its rows alone, on one
 * moment of the database, beside a running server or without one. */
#include "app/command_ledger.h"

#include <stdio.h>

#include "json/json_writer.h"
#include "trail/trail.h"

enum { WORK_BYTES_MAX = 4 * 1024 * 1024, TEXT_BYTES_MAX = 512 * 1024, STEPS_MAX = 1000 };

static command_run_fn check_run;

static const struct command_option check_options[] = {
    COMMAND_CONFIG_OPTION,
    {.name = "--json", .about = "Print a JSON object a line: each fault, then the summary"},
};

static const struct command_example check_examples[] = {
    {"ledger check", "Do the cents add up? Exit code 0 says yes."},
    {"ledger check --json | tail -n 1", "The numbers, for a monitor."},
};

const struct command command_ledger_check = {
    .name = "ledger check",
    .about = "Check every invariant of the ledger",
    .help =
        "Reads the whole ledger as it is at one moment, changes nothing in it, and prints a line\n"
        "for each fault, then a summary. It may run beside a server. Exit code 1: there are "
        "faults.\n\n"
        "  I1  as much is debited as credited, and held as incoming, in each currency\n"
        "  I2  each balance is the sum of the account's entries, behind each of them and now\n"
        "  I3  each posting has two legs or more, which add up to zero in each currency\n"
        "  I4  no account was ever below its floor\n"
        "  I5  each hold ends once, pays no more than it held, and accounts hold what it says\n"
        "  I6  reversals take back no more than the original\n"
        "  I7  a key has one answer, and the answer tells what is there\n"
        "  I8  numbers have no gap, and time never goes back\n"
        "  I10 transactions, orders and accounts agree with what was posted for them",
    .options = check_options,
    .option_count = PC_COUNT(check_options),
    .examples = check_examples,
    .example_count = PC_COUNT(check_examples),
    .run = check_run,
};

/* ---- the database, at this program's schema ---- */

enum command_exit command_ledger_open(const struct command_call *call,
                                      struct command_database *database)
{
    int64_t applied_at[STEPS_MAX] = {0};
    const struct store_migration *list;
    struct store_fault fault;
    size_t count;

    if (command_database_open(call, database) != COMMAND_GOOD)
        return COMMAND_BAD;
    store_migrations(&list, &count);
    PC_ASSERT(count <= STEPS_MAX);
    if (store_migrate_status(database->store, list, count, applied_at, &fault) != ERR_OK) {
        command_tell(call, "%s", fault.text);
        return COMMAND_BAD;
    }
    if (applied_at[count - 1] != 0)
        return COMMAND_GOOD;
    command_tell(call, "the database lacks steps of the schema, `portcullis migrate` applies them");
    return COMMAND_BAD;
}

/* ---- checking ---- */

/* Faults are kept until the end: the reading may begin again when a connection is lost. */
struct checking {
    struct arena arena;
    struct sbuf faults;
    bool json;
    struct ledger_summary summary;
};

static void fault_keep(void *context, const char *invariant, struct span sentence)
{
    struct checking *checking = context;
    struct json_writer w;

    if (!checking->json) {
        sbuf_add_format(&checking->faults, "%s %.*s\n", invariant, SPAN_ARG(sentence));
        return;
    }
    w = json_writer_on(&checking->faults);
    json_begin_object(&w);
    json_add_text(&w, "invariant", span_from(invariant));
    json_add_text(&w, "fault", sentence);
    json_end_object(&w);
    sbuf_add_char(&checking->faults, '\n');
}

static enum err check_job(struct store_conn *conn, struct store_job *job)
{
    struct checking *checking = job->context;

    sbuf_truncate(&checking->faults, 0);
    return ledger_check(conn, clock_realtime_ns(&clock_system), fault_keep, checking,
                        &checking->summary);
}

static void add_summary_json(const struct ledger_summary *summary, struct sbuf *out)
{
    struct json_writer w = json_writer_on(out);

    json_begin_object(&w);
    json_add_u64(&w, "faults", summary->faults);
    json_add_i64(&w, "postings", summary->postings);
    json_add_i64(&w, "entries", summary->entries);
    json_add_i64(&w, "accounts", summary->accounts);
    json_add_i64(&w, "transactions", summary->transactions);
    json_add_i64(&w, "holds", summary->holds);
    json_add_i64(&w, "keys", summary->keys);
    json_add_i64(&w, "seq", summary->seq);
    json_key(&w, "at");
    if (summary->at_ns == 0)
        json_null(&w);
    else
        json_time(&w, summary->at_ns);
    json_end_object(&w);
    sbuf_add_char(out, '\n');
}

static void add_summary(const struct ledger_summary *summary, struct sbuf *out)
{
    sbuf_add_format(out,
                    "%lld postings with %lld entries on %lld accounts, %lld transactions, "
                    "%lld holds, %lld keys",
                    (long long)summary->postings, (long long)summary->entries,
                    (long long)summary->accounts, (long long)summary->transactions,
                    (long long)summary->holds, (long long)summary->keys);
    if (summary->at_ns != 0) {
        sbuf_add_format(out, "; the last, %lld, at ", (long long)summary->seq);
        clock_add_rfc3339(out, summary->at_ns, 6);
    }
    if (summary->faults == 0)
        sbuf_add_lit(out, ".\nEvery invariant holds.\n");
    else
        sbuf_add_format(out, ".\n%llu faults: the ledger is not whole.\n",
                        (unsigned long long)summary->faults);
}

/* That somebody looked, and what was found, is remembered where it can be written. */
static enum err remember_job(struct store_conn *conn, struct store_job *job)
{
    const struct checking *checking = job->context;
    char text[3][24];
    const int64_t numbers[] = {(int64_t)checking->summary.faults, checking->summary.postings,
                               checking->summary.seq};
    struct span values[PC_COUNT(numbers)];
    struct trail_record record = {.event = TRAIL_LEDGER_CHECKED,
                                  .outcome =
                                      checking->summary.faults == 0 ? TRAIL_DONE : TRAIL_REFUSED,
                                  .at_ns = clock_realtime_ns(&clock_system),
                                  .actor_kind = TRAIL_ACTOR_SYSTEM,
                                  .actor = SPAN("command")};

    for (size_t i = 0; i < PC_COUNT(numbers); i++) {
        struct sbuf out = sbuf_over(text[i], sizeof(text[i]));

        sbuf_add_i64(&out, numbers[i]);
        values[i] = sbuf_span(&out);
    }
    record.details[0] = (struct trail_detail){.name = "faults", .value = values[0]};
    record.details[1] = (struct trail_detail){.name = "postings", .value = values[1]};
    record.details[2] = (struct trail_detail){.name = "seq", .value = values[2]};
    return trail_add(conn, &record);
}

static enum command_exit check_store(const struct command_call *call, struct store *store,
                                     struct checking *checking)
{
    enum command_exit answer;
    enum err err = store_do(store, check_job, checking, false);

    if (err) {
        command_tell(call, "the ledger cannot be read: %s", err_sentence(err));
        return COMMAND_BAD;
    }
    if (checking->json)
        add_summary_json(&checking->summary, &checking->faults);
    else
        add_summary(&checking->summary, &checking->faults);
    answer = command_print(call, &checking->faults);
    err = store_do(store, remember_job, checking, true);
    if (err)
        command_tell(call, "the trail cannot be told of the check: %s", err_sentence(err));
    return checking->summary.faults == 0 && !err ? answer : COMMAND_BAD;
}

static enum command_exit check_run(const struct command_call *call)
{
    struct checking checking = {.json = command_given(call, "--json")};
    struct command_database database;
    enum command_exit answer = command_ledger_open(call, &database);

    arena_init(&checking.arena, NULL, 0, WORK_BYTES_MAX);
    checking.faults = sbuf_on(&checking.arena, TEXT_BYTES_MAX);
    if (answer == COMMAND_GOOD)
        answer = check_store(call, database.store, &checking);
    arena_reset(&checking.arena);
    command_database_close(&database);
    return answer;
}
