/* SPDX-License-Identifier: MIT
 * `portcullis audit erase`: what the log holds of a person goes, and every proof stays good. It
 * works beside a running server. */
#include "app/command.h"

#include <unistd.h>

#include "app/command_audit.h"
#include "trail/trail_erase.h"

enum { TEXT_BYTES_MAX = 1024, WAIT_S = 15, WAIT_S_MAX = 3600 };

static command_run_fn erase_run;

static const struct command_option options[] = {
    COMMAND_CONFIG_OPTION,
    {.name = "--basis", .value = "TEXT", .about = "On what ground; kept in the log"},
    {.name = "--dry-run", .about = "Only tell how many entries it concerns"},
    {.name = "--wait",
     .value = "SECONDS",
     .about = "For events on their way to the log, and for readers; 15 unless told"},
};
static const struct command_example examples[] = {
    {"audit erase anna@example.com --basis 'request 4711'",
     "The name, and with it addresses, reasons and details of her entries."},
    {"audit erase user:7 --dry-run", "How many entries are about user 7, or of that user."},
};

const struct command command_audit_erase = {
    .name = "audit erase",
    .operands = "SUBJECT",
    .operands_min = 1,
    .operands_max = 1,
    .about = "Erase what the audit log holds of a person",
    .help = "SUBJECT is a name as the log writes it: an actor, a principal or an object, such\n"
            "as an e-mail address that somebody tried to sign in with, or user:7, which is\n"
            "the actor 7 as well. Who has several names is erased by each of them.\n\n"
            "The name leaves every entry; where it is the actor or the principal, so do the\n"
            "entry's address, reason and details. The salts go with them, so that nothing can\n"
            "be guessed from what stays: the commitments that the log's tree is made of. Every\n"
            "proof and checkpoint stays good. What was exported or backed up before is yours to\n"
            "look after; PostgreSQL keeps old rows until VACUUM FULL trail_events.\n\n"
            "Where the log has a database of its own, both are looked through: the other one\n"
            "may have a log from before. What is still on its way between them is waited for,\n"
            "which needs the server to run. It answers 1, and says what is left, when something\n"
            "could not be erased: run it again then.\n\n"
            "The log records who erased, when, how many entries and the basis, not the name.",
    .options = options,
    .option_count = PC_COUNT(options),
    .examples = examples,
    .example_count = PC_COUNT(examples),
    .run = erase_run,
};

/* ---- one database ---- */

static void refused(const struct command_call *call, enum err err,
                    const struct trail_erased *erased)
{
    if (err == ERR_STORE_CORRUPT && erased->corrupt_seq >= 0)
        command_tell(call,
                     "entry %lld is not as it was written: see `portcullis audit verify`; %lld "
                     "entries before it were erased",
                     (long long)erased->corrupt_seq, (long long)erased->entries);
    else if (erased->log_holds)
        command_tell(call,
                     "%lld entries were erased from the rows, but SQLite's write-ahead log still "
                     "holds what they said, since somebody reads the database (a backup, an "
                     "export): run the same command again when that is over",
                     (long long)erased->entries);
    else
        command_tell(call, "%s; %lld entries were erased", err_sentence(err),
                     (long long)erased->entries);
}

static enum command_exit erase(const struct command_call *call, struct store *store,
                               int64_t wait_ns, int64_t *entries)
{
    char actor[32];
    struct sbuf who = sbuf_over(actor, sizeof(actor));
    struct trail_erase_order order = {.subject = span_from(call->operands[0]),
                                      .basis = span_from(command_value(call, "--basis")),
                                      .now_ns = clock_realtime_ns(&clock_system),
                                      .only_count = command_given(call, "--dry-run"),
                                      .wait_ns = wait_ns};
    struct trail_erased erased = {.corrupt_seq = -1};
    enum err err;

    sbuf_add_format(&who, "uid:%ld", (long)getuid());
    order.actor = sbuf_span(&who);
    err = trail_erase(store, &order, &erased);
    *entries += erased.entries;
    if (err)
        refused(call, err, &erased);
    return err ? COMMAND_BAD : COMMAND_GOOD;
}

/* ---- both ---- */

static enum command_exit await_outbox(const struct command_call *call, struct store *store,
                                      int64_t wait_ns)
{
    int64_t waiting = 0;
    enum err err = trail_erase_await(store, wait_ns, &waiting);

    if (err)
        command_tell(call, "what is on its way to the log cannot be looked at: %s",
                     err_sentence(err));
    else if (waiting > 0)
        command_tell(call,
                     "%lld events have not reached the log's database, and what they say is not "
                     "erased: run the same command again while the server runs",
                     (long long)waiting);
    return err || waiting > 0 ? COMMAND_BAD : COMMAND_GOOD;
}

/* Each as far as it goes; good only if all is. */
static enum command_exit erase_all(const struct command_call *call, struct store *audit,
                                   struct store *business, int64_t wait_ns)
{
    bool only_count = command_given(call, "--dry-run");
    char text[TEXT_BYTES_MAX];
    struct sbuf out = sbuf_over(text, sizeof(text));
    int64_t entries = 0;
    bool bad = false;

    if (business != NULL && !only_count)
        bad = await_outbox(call, business, wait_ns) != COMMAND_GOOD;
    bad |= erase(call, audit, wait_ns, &entries) != COMMAND_GOOD;
    if (business != NULL)
        bad |= erase(call, business, wait_ns, &entries) != COMMAND_GOOD;
    if (bad)
        return COMMAND_BAD;
    sbuf_add_format(&out, "%lld entries %s.\n", (long long)entries,
                    only_count ? "would be erased" : "were erased");
    return command_print(call, &out);
}

static enum command_exit open_and_erase(const struct command_call *call, int64_t wait_ns)
{
    struct command_database audit, business;
    bool apart;
    enum command_exit answer = command_audit_open(call, &audit);

    if (answer != COMMAND_GOOD) {
        command_database_close(&audit);
        return answer;
    }
    apart = audit.settings.config.audit.database.url != NULL;
    if (apart)
        answer = command_database_open(call, &business);
    if (answer == COMMAND_GOOD)
        answer = erase_all(call, audit.store, apart ? business.store : NULL, wait_ns);
    if (apart)
        command_database_close(&business);
    command_database_close(&audit);
    return answer;
}

static bool wait_read(const struct command_call *call, int64_t *ret_ns)
{
    const char *text = command_value(call, "--wait");
    int64_t seconds = WAIT_S;

    if (text != NULL &&
        (!span_to_i64(span_from(text), &seconds) || seconds < 0 || seconds > WAIT_S_MAX)) {
        command_tell(call, "--wait %s: a number of seconds from 0 to %d", text, WAIT_S_MAX);
        return false;
    }
    *ret_ns = seconds * CLOCK_NS_PER_S;
    return true;
}

static enum command_exit erase_run(const struct command_call *call)
{
    int64_t wait_ns;

    if (call->operands[0][0] == '\0') {
        command_tell(call, "SUBJECT is empty");
        return COMMAND_USAGE;
    }
    if (!command_given(call, "--dry-run") && span_from(command_value(call, "--basis")).len == 0) {
        command_tell(call, "--basis TEXT is missing: on what ground is it erased?");
        return COMMAND_USAGE;
    }
    if (!wait_read(call, &wait_ns))
        return COMMAND_USAGE;
    return open_and_erase(call, wait_ns);
}
