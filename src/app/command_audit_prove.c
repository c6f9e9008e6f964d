/* SPDX-License-Identifier: MIT
 * `portcullis audit prove|checkpoint`: what the log can show of itself. A proof of one event stands
 * by itself; a checkpoint, kept elsewhere, is what all of the log is held against later. */
#include <string.h>

#include "app/command_audit.h"
#include "trail/trail_checkpoints.h"
#include "trail/trail_proof.h"
#include "trail/trail_tiles.h"

enum { WORK_BYTES_MAX = 8 * 1024 * 1024, ID_CHARS = 36 };

static command_run_fn prove_run, checkpoint_run;

static const struct command_option prove_options[] = {
    COMMAND_CONFIG_OPTION,
    {.name = "--seq", .value = "N", .about = "The event with this number"},
    {.name = "--id", .value = "UUID", .about = "The event with this id"},
    {.name = "--out",
     .value = "FILE",
     .kind = COMMAND_VALUE_FILE,
     .about = "Write to FILE, for its owner only, instead of standard output"},
};
static const struct command_option checkpoint_options[] = {
    COMMAND_CONFIG_OPTION,
    {.name = "--since",
     .value = "FILE",
     .kind = COMMAND_VALUE_FILE,
     .about = "Check that the log goes on from this older checkpoint"},
    COMMAND_AUDIT_KEY_OPTION,
};

static const struct command_example prove_examples[] = {
    {"audit prove --seq 4711 --out event.tlog-proof", "Something to hand to an auditor."},
    {"audit verify --proof event.tlog-proof --key portcullis.vkey", "What he does with it."},
};
static const struct command_example checkpoint_examples[] = {
    {"audit checkpoint >monday.txt", "Keep this where nobody of us can change it."},
    {"audit checkpoint --since monday.txt --key portcullis.vkey >tuesday.txt",
     "Is it still the log of Monday?"},
};

const struct command command_audit_prove = {
    .name = "audit prove",
    .about = "Write a proof that an event is in the audit log",
    .help = "A text of its own (C2SP tlog-proof): the event as it was written, the path to the\n"
            "root of the tree, and a signed checkpoint with that root. `audit verify --proof`\n"
            "checks it without a database. It is one event of the log that this was asked for.",
    .options = prove_options,
    .option_count = PC_COUNT(prove_options),
    .examples = prove_examples,
    .example_count = PC_COUNT(prove_examples),
    .run = prove_run,
};

const struct command command_audit_checkpoint = {
    .name = "audit checkpoint",
    .about = "Print the newest signed checkpoint of the audit log",
    .help =
        "A signed note (C2SP tlog-checkpoint): the name of the log, how many leaves it has,\n"
        "and the root of their tree. With --since, exit code 1 says that the log was cut or\n"
        "made anew since that older one. With --key both must be signed with that key; without\n"
        "it, somebody who can write the database can have written the newest one too.",
    .options = checkpoint_options,
    .option_count = PC_COUNT(checkpoint_options),
    .examples = checkpoint_examples,
    .example_count = PC_COUNT(checkpoint_examples),
    .run = checkpoint_run,
};

/* ---- prove ---- */

struct proving {
    bool by_id;
    int64_t seq;
    unsigned char id[TRAIL_ID_BYTES];
    struct arena arena;
    struct sbuf text;
};

static enum err entry_find(struct store_conn *conn, struct proving *proving,
                           struct trail_entry *ret)
{
    const struct trail_filter filter = {
        .from_seq = proving->seq, .before_seq = proving->seq + 1, .oldest_first = true, .limit = 1};
    struct trail_entry *list = NULL;
    size_t count = 0;
    enum err err;

    if (proving->by_id)
        return trail_get(conn, proving->id, &proving->arena, ret);
    err = trail_find(conn, &filter, &proving->arena, &list, &count);
    if (err || count == 0)
        return err ? err : ERR_NOT_FOUND;
    *ret = list[0];
    return ERR_OK;
}

static enum err prove_job(struct store_conn *conn, struct store_job *job)
{
    struct proving *proving = job->context;
    struct trail_entry entry;
    enum err err;

    arena_reset(&proving->arena);
    proving->text = sbuf_on(&proving->arena, TRAIL_PROOF_BYTES_MAX);
    err = entry_find(conn, proving, &entry);
    return err ? err : trail_proof_write(conn, &entry, &proving->arena, &proving->text);
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool id_read(struct span text, unsigned char ret[TRAIL_ID_BYTES])
{
    size_t at = 0;

    if (text.len != ID_CHARS)
        return false;
    for (size_t i = 0; i < TRAIL_ID_BYTES; i++) {
        int high, low;

        if (at == 8 || at == 13 || at == 18 || at == 23) {
            if (text.ptr[at++] != '-')
                return false;
        }
        high = hex_value(text.ptr[at++]);
        low = hex_value(text.ptr[at++]);
        if (high < 0 || low < 0)
            return false;
        ret[i] = (unsigned char)((unsigned)high << 4 | (unsigned)low);
    }
    return true;
}

static bool which_read(const struct command_call *call, struct proving *ret)
{
    const char *seq = command_value(call, "--seq");
    const char *id = command_value(call, "--id");

    if ((seq == NULL) == (id == NULL))
        return false;
    ret->by_id = id != NULL;
    if (id != NULL)
        return id_read(span_from(id), ret->id);
    return span_to_i64(span_from(seq), &ret->seq) && ret->seq >= 0 && ret->seq < INT64_MAX;
}

static enum command_exit prove_told(const struct command_call *call, enum err err)
{
    if (err == ERR_NOT_FOUND)
        command_tell(call, "the log has no such event");
    else if (err == ERR_AGAIN)
        command_tell(call, "no checkpoint is of that event yet");
    else
        command_tell(call, "the log cannot be read: %s", err_sentence(err));
    return COMMAND_BAD;
}

static enum command_exit prove_one(const struct command_call *call, struct store *store,
                                   struct proving *proving)
{
    struct command_audit_out out;
    enum command_exit answer =
        command_audit_remember(call, store, TRAIL_AUDIT_READ, SPAN_OF("audit:proof"));
    enum err err;

    if (answer != COMMAND_GOOD)
        return answer;
    err = store_do(store, prove_job, proving, false);
    if (err)
        return prove_told(call, err);
    answer = command_audit_out_open(call, &out);
    if (answer != COMMAND_GOOD)
        return answer;
    command_audit_out_add(&out, sbuf_span(&proving->text));
    return command_audit_out_close(&out, answer);
}

static enum command_exit prove_run(const struct command_call *call)
{
    struct proving proving = {.by_id = false};
    struct command_database database;
    enum command_exit answer;

    if (!which_read(call, &proving)) {
        command_tell(call, "name one event, by --seq N or by --id UUID");
        return COMMAND_USAGE;
    }
    answer = command_audit_open(call, &database);
    arena_init(&proving.arena, NULL, 0, WORK_BYTES_MAX);
    if (answer == COMMAND_GOOD)
        answer = prove_one(call, database.store, &proving);
    arena_reset(&proving.arena);
    command_database_close(&database);
    return answer;
}

/* ---- checkpoint ---- */

struct comparing {
    bool is_since;
    struct trail_checkpoint since;
    bool is_same; /* the log goes on from it */
    struct trail_signed newest;
    struct command_audit_keys keys;
    struct arena arena;
};

static enum err compare(struct store_conn *conn, struct comparing *comparing)
{
    struct trail_nodes *nodes = NULL;
    struct trail_proof proof;
    enum err err;

    comparing->is_same = false;
    if (comparing->since.size > comparing->newest.size)
        return ERR_OK;
    err = trail_nodes_on(conn, &comparing->arena, &nodes);
    if (!err)
        err = trail_proof_consistency(comparing->since.size, comparing->newest.size, trail_node,
                                      nodes, &proof);
    if (err)
        return err;
    comparing->is_same =
        trail_check_consistency(comparing->since.size, &comparing->since.root,
                                comparing->newest.size, &comparing->newest.root, &proof);
    return ERR_OK;
}

static enum err checkpoint_job(struct store_conn *conn, struct store_job *job)
{
    struct comparing *comparing = job->context;
    enum err err;

    arena_reset(&comparing->arena);
    err = trail_signed_newest(conn, &comparing->arena, &comparing->newest);
    return err || !comparing->is_since ? err : compare(conn, comparing);
}

static enum err note_open(const struct command_audit_keys *keys, struct span note,
                          struct trail_checkpoint *ret, struct crypto_fault *fault)
{
    return keys->count == 0 ? trail_note_read(note, ret, fault)
                            : trail_note_check(note, keys->list, keys->count, ret, fault);
}

static enum command_exit since_read(const struct command_call *call, struct arena *arena,
                                    struct comparing *ret)
{
    const char *path = command_value(call, "--since");
    struct crypto_fault fault = {0};
    struct span note = {0};

    ret->is_since = path != NULL;
    if (path == NULL)
        return COMMAND_GOOD;
    if (command_audit_read(call, path, TRAIL_NOTE_BYTES_MAX, arena, &note) != COMMAND_GOOD)
        return COMMAND_BAD;
    if (note_open(&ret->keys, note, &ret->since, &fault) == ERR_OK)
        return COMMAND_GOOD;
    command_tell(call, "%s: %s", path, fault.text);
    return COMMAND_BAD;
}

/* Size and root stand beside the note, where whoever can write the database can set them: the note
 * must say the same, and bear the signature. */
static enum command_exit newest_check(const struct command_call *call,
                                      const struct comparing *comparing)
{
    static const char where[] = "the newest checkpoint in the database";
    const struct trail_signed *newest = &comparing->newest;
    struct trail_checkpoint said = {.size = 0};
    struct crypto_fault fault = {0};

    if (note_open(&comparing->keys, newest->note, &said, &fault) != ERR_OK) {
        command_tell(call, "%s: %s", where, fault.text);
        return COMMAND_BAD;
    }
    if (said.size == newest->size &&
        memcmp(said.root.bytes, newest->root.bytes, sizeof(said.root.bytes)) == 0)
        return COMMAND_GOOD;
    command_tell(call, "%s is not what stands beside it: it was changed", where);
    return COMMAND_BAD;
}

static enum command_exit checkpoint_print(const struct command_call *call, struct store *store,
                                          struct comparing *comparing)
{
    enum err err = store_do(store, checkpoint_job, comparing, false);
    struct sbuf out;
    enum command_exit answer;

    if (err) {
        command_tell(call, "%s",
                     err == ERR_NOT_FOUND ? "no checkpoint has been signed yet"
                                          : err_sentence(err));
        return COMMAND_BAD;
    }
    if (newest_check(call, comparing) != COMMAND_GOOD)
        return COMMAND_BAD;
    out = sbuf_on(&comparing->arena, TRAIL_NOTE_BYTES_MAX);
    sbuf_add(&out, comparing->newest.note);
    answer = command_print(call, &out);
    if (!comparing->is_since || comparing->is_same)
        return answer;
    command_tell(call, "the log does not go on from that checkpoint of %llu leaves: %s",
                 (unsigned long long)comparing->since.size,
                 comparing->since.size > comparing->newest.size ? "it was cut"
                                                                : "it is another one");
    return COMMAND_BAD;
}

static enum command_exit checkpoint_run(const struct command_call *call)
{
    struct comparing comparing = {.is_since = false};
    struct command_database database;
    struct arena arena;
    enum command_exit answer;

    arena_init(&arena, NULL, 0, WORK_BYTES_MAX);
    arena_init(&comparing.arena, NULL, 0, WORK_BYTES_MAX);
    answer = command_audit_keys(call, &comparing.keys);
    if (answer == COMMAND_GOOD)
        answer = since_read(call, &arena, &comparing);
    if (answer == COMMAND_GOOD) {
        answer = command_audit_open(call, &database);
        if (answer == COMMAND_GOOD)
            answer = checkpoint_print(call, database.store, &comparing);
        command_database_close(&database);
    }
    command_audit_keys_free(&comparing.keys);
    arena_reset(&comparing.arena);
    arena_reset(&arena);
    return answer;
}
