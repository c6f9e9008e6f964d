/* SPDX-License-Identifier: MIT
 * `portcullis audit verify`: is this the log that was signed for? Without a database, a server and
 * a configuration: only the files that are named. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "app/command_audit.h"
#include "crypto/digest.h"
#include "trail/trail_proof.h"
#include "trail/trail_verify.h"

enum { WORK_BYTES_MAX = 8 * 1024 * 1024 };

static command_run_fn verify_run;

static const struct command_option options[] = {
    {.name = "--checkpoint",
     .value = "FILE",
     .kind = COMMAND_VALUE_FILE,
     .many = true,
     .about = "Hold the log against this checkpoint, which was kept elsewhere"},
    COMMAND_AUDIT_KEY_OPTION,
    {.name = "--proof",
     .value = "FILE",
     .kind = COMMAND_VALUE_FILE,
     .about = "Check this proof of one event instead of a log"},
};

static const struct command_example examples[] = {
    {"audit verify log.jsonl --checkpoint monday.txt --key portcullis.vkey",
     "Is the log whole, and the one of Monday?"},
    {"audit verify january.jsonl february.jsonl", "One log in two files."},
    {"audit verify --proof event.tlog-proof --key portcullis.vkey",
     "Was this event in the log, as it stands here?"},
};

const struct command command_audit_verify = {
    .name = "audit verify",
    .operands = "[FILE...]",
    .operands_max = COMMAND_OPERANDS_MAX - 1,
    .about = "Check an exported log, or a proof, without a database",
    .help =
        "Every record must give its leaf, every leaf must stand where its number says, and the\n"
        "tree of them must have the root of every checkpoint: of the export's own, and of those\n"
        "that are given. The last one must cover the last event. One line is printed for each\n"
        "finding, then a summary. FILE may be -, which is standard input. Exit code 1: something\n"
        "was changed, put in, taken out, moved or cut off, or stands behind the last checkpoint.\n"
        "\n"
        "Without --key nobody's signature is looked at: then only a checkpoint that was kept\n"
        "elsewhere shows more than that the lines fit each other.\n\n"
        "What somebody did who could write the whole database shows only against a checkpoint\n"
        "that he could not reach: fetch them regularly (`portcullis audit checkpoint`) and keep\n"
        "them elsewhere.",
    .options = options,
    .option_count = PC_COUNT(options),
    .examples = examples,
    .example_count = PC_COUNT(examples),
    .run = verify_run,
};

static void finding_print(void *context, struct span sentence)
{
    const struct command_call *call = context;

    (void)fprintf(call->io->out, "%.*s\n", SPAN_ARG(sentence));
}

/* ---- logs ---- */

static enum command_exit file_check(const struct command_call *call, struct trail_verify *verify,
                                    const char *path)
{
    bool is_input = strcmp(path, "-") == 0;
    int fd = is_input ? call->io->in : open(path, O_RDONLY | O_CLOEXEC);
    enum err err =
        fd < 0 ? ERR_IO : trail_verify_file(verify, is_input ? "standard input" : path, fd);

    if (err)
        command_tell(call, "%s: %s", path, strerror(errno));
    if (fd >= 0 && !is_input)
        (void)close(fd);
    return err ? COMMAND_BAD : COMMAND_GOOD;
}

static enum command_exit notes_read(const struct command_call *call, struct trail_verify *verify,
                                    struct arena *arena)
{
    const char *const *paths = command_values(call, "--checkpoint");

    for (size_t i = 0; paths[i] != NULL; i++) {
        struct span note = {0};

        if (command_audit_read(call, paths[i], TRAIL_NOTE_BYTES_MAX, arena, &note) != COMMAND_GOOD)
            return COMMAND_BAD;
        if (trail_verify_note(verify, paths[i], note) != ERR_OK) {
            command_tell(call, "%s", err_sentence(ERR_NO_MEMORY));
            return COMMAND_BAD;
        }
    }
    return COMMAND_GOOD;
}

/* Anybody can write a log with notes that nobody looked at: what was shown then, and what not. */
static void unsigned_add(const struct trail_verify_summary *summary, struct sbuf *out)
{
    sbuf_add_lit(out, "No key was given: who signed the checkpoints was not looked at.\n");
    if (summary->findings > 0)
        return;
    if (summary->kept_size > 0)
        sbuf_add_format(out, "Up to seq %llu this is the log of a checkpoint that was given.\n",
                        (unsigned long long)summary->kept_size - 1);
    if (summary->kept_size == 0 || summary->kept_size < summary->size)
        sbuf_add_format(out,
                        "%s only fits the export's own checkpoint, as a made-up log would too.\n",
                        summary->kept_size > 0 ? "What is behind it" : "All of it");
}

static enum command_exit summary_print(const struct command_call *call,
                                       const struct trail_verify_summary *summary)
{
    char text[1024];
    bool has_keys = command_given(call, "--key");
    struct sbuf out = sbuf_over(text, sizeof(text));

    sbuf_add_format(&out, "%llu events", (unsigned long long)(summary->size - summary->from));
    if (summary->size > summary->from)
        sbuf_add_format(&out, " from seq %llu to seq %llu", (unsigned long long)summary->from,
                        (unsigned long long)summary->size - 1);
    sbuf_add_format(&out, "; %llu checkpoints held", (unsigned long long)summary->checkpoints);
    if (summary->checkpoints > 0)
        sbuf_add_format(&out, ", the largest of %llu leaves",
                        (unsigned long long)summary->checkpoint_size);
    sbuf_add_lit(&out, ".\n");
    if (!has_keys)
        unsigned_add(summary, &out);
    if (summary->findings == 0 && has_keys)
        sbuf_add_lit(&out, "The log is whole.\n");
    else if (summary->findings > 0)
        sbuf_add_format(&out, "%llu findings: this is not the log as it was written.\n",
                        (unsigned long long)summary->findings);
    if (command_print(call, &out) != COMMAND_GOOD)
        return COMMAND_BAD;
    return summary->findings == 0 ? COMMAND_GOOD : COMMAND_BAD;
}

static enum command_exit logs_check(const struct command_call *call,
                                    const struct command_audit_keys *keys, struct arena *arena)
{
    const struct trail_verify_options how = {.verifiers = keys->list,
                                             .verifier_count = keys->count,
                                             .found = finding_print,
                                             .context = (void *)(uintptr_t)call};
    struct trail_verify_summary summary;
    struct trail_verify *verify = NULL;
    enum command_exit answer;

    if (trail_verify_new(&how, &verify) != ERR_OK) {
        command_tell(call, "%s", err_sentence(ERR_NO_MEMORY));
        return COMMAND_BAD;
    }
    answer = notes_read(call, verify, arena);
    for (size_t i = 0; i < call->operand_count && answer == COMMAND_GOOD; i++)
        answer = file_check(call, verify, call->operands[i]);
    if (answer == COMMAND_GOOD) {
        trail_verify_end(verify, &summary);
        answer = summary_print(call, &summary);
    }
    trail_verify_free(verify);
    return answer;
}

/* ---- proofs ---- */

static enum command_exit proof_check(const struct command_call *call,
                                     const struct command_audit_keys *keys, struct arena *arena)
{
    const char *path = command_value(call, "--proof");
    struct crypto_fault fault = {0};
    struct trail_proved proved;
    struct span text = {0};
    struct sbuf out;

    if (command_audit_read(call, path, TRAIL_PROOF_BYTES_MAX, arena, &text) != COMMAND_GOOD)
        return COMMAND_BAD;
    if (trail_proof_check(text, keys->list, keys->count, arena, &proved, &fault) != ERR_OK) {
        finding_print((void *)(uintptr_t)call, span_from(fault.text));
        return COMMAND_BAD;
    }
    out = sbuf_on(arena, WORK_BYTES_MAX);
    sbuf_add(&out, proved.line);
    sbuf_add_format(&out, "\nThis is seq %lld of the log %.*s, in its checkpoint of %llu leaves.\n",
                    (long long)proved.entry.seq, SPAN_ARG(proved.said.origin),
                    (unsigned long long)proved.said.size);
    if (keys->count == 0)
        sbuf_add_lit(&out, "No key was given: who signed the checkpoint was not looked at.\n");
    return command_print(call, &out);
}

static enum command_exit verify_run(const struct command_call *call)
{
    bool is_proof = command_given(call, "--proof");
    struct command_audit_keys keys = {.count = 0};
    struct arena arena;
    enum command_exit answer;

    if (is_proof == (call->operand_count > 0)) {
        command_tell(call, "name the files of a log, or a proof with --proof");
        return COMMAND_USAGE;
    }
    arena_init(&arena, NULL, 0, WORK_BYTES_MAX);
    answer = command_audit_keys(call, &keys);
    if (answer == COMMAND_GOOD)
        answer = is_proof ? proof_check(call, &keys, &arena) : logs_check(call, &keys, &arena);
    command_audit_keys_free(&keys);
    arena_reset(&arena);
    return answer;
}
