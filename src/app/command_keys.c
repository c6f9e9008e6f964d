/* SPDX-License-Identifier: MIT
 * `portcullis keys ...`: the keys that the issuer signs with, for whoever has the machine. It works
 * on the database and the folder of keys that the settings name, beside a running server too, which
 * hears of every change within a second (auth's feed). */
#include "app/command_store.h"
#include "app/serve.h"
#include "json/json_writer.h"

#include <string.h>
#include <time.h>

enum { WORK_BYTES_MAX = 16 * 1024 * 1024, TEXT_BYTES_MAX = 4 * 1024 * 1024, TIME_BYTES = 32 };

static command_run_fn list_run, rotate_run, retire_run;

/* ---- the rows of the table ---- */

static const struct command_option list_options[] = {
    COMMAND_CONFIG_OPTION,
    {.name = "--json", .about = "Print them as a JSON array"},
};
static const struct command_option rotate_options[] = {
    COMMAND_CONFIG_OPTION,
    {.name = "--alg",
     .value = "ALG",
     .about = "RS256, PS256, ES256 or EdDSA; default: the issuer's"},
    {.name = "--now", .about = "Sign with the new key in a second: the old one may be stolen"},
};
static const struct command_option retire_options[] = {COMMAND_CONFIG_OPTION};

static const struct command_example list_examples[] = {
    {"keys list", "Every key, the newest first, and what it does at present."},
    {"keys list --json", "For scripts."},
};
static const struct command_example rotate_examples[] = {
    {"keys rotate", "As a habit: nobody notices."},
    {"keys rotate --alg ES256", "The key of clients that chose ES256."},
    {"keys rotate --now", "A key may be stolen: the new one signs in a second; retire the old."},
};
static const struct command_example retire_examples[] = {
    {"keys retire 4uO9l6yH0aVdRMfqPsxfZlLhJcSx2lSNEhBhmZ0Fh7o",
     "What it signed is no longer believed."},
    {"keys retire -- -uO9l6yH0aVdRMfqPsxfZlLhJcSx2lSNEhBhmZ0Fh7o",
     "One whose id begins with a dash."},
};

const struct command command_keys_list = {
    .name = "keys list",
    .about = "List the keys that the issuer signs with",
    .help = "One line a key: id, algorithm, and what it does at present:\n\n"
            "  published  verifiers learn it; it does not sign yet\n"
            "  signing    new tokens are signed with it\n"
            "  verifying  what it signed is still believed\n"
            "  gone       it is no longer published, and nothing that it signed is believed",
    .options = list_options,
    .option_count = PC_COUNT(list_options),
    .examples = list_examples,
    .example_count = PC_COUNT(list_examples),
    .run = list_run,
};

const struct command command_keys_rotate = {
    .name = "keys rotate",
    .about = "Make a new signing key in place of the present one",
    .help = "The new key is published at once and signs some minutes later, when every\n"
            "verifier has learnt it. The present one stops then and is gone when the last\n"
            "token that it signed is over. Running servers follow by themselves.\n\n"
            "It is the key of this machine's folder that is turned; where nodes have folders\n"
            "of their own, each turns its own. A key that is named in the settings is turned\n"
            "by naming another one there.",
    .options = rotate_options,
    .option_count = PC_COUNT(rotate_options),
    .examples = rotate_examples,
    .example_count = PC_COUNT(rotate_examples),
    .run = rotate_run,
};

const struct command command_keys_retire = {
    .name = "keys retire",
    .operands = "KID",
    .operands_min = 1,
    .operands_max = 1,
    .about = "Take a signing key out at once",
    .help = "Every token that it signed stops working within a second on our servers, and on\n"
            "others when they next ask for our keys. Its private part is deleted. The only\n"
            "key that signs cannot be retired: `portcullis keys rotate --now` comes first.",
    .options = retire_options,
    .option_count = PC_COUNT(retire_options),
    .examples = retire_examples,
    .example_count = PC_COUNT(retire_examples),
    .run = retire_run,
};

/* ---- shared steps ---- */

struct work {
    struct command_database database;
    struct arena arena;
    struct oauth_keys_options keys;
    char dir[SERVE_PATH_BYTES];
    int64_t now_ns;
    struct oauth_key_row *rows;
    size_t count;
};

typedef enum command_exit step_fn(const struct command_call *call, struct work *work);

static enum command_exit told(const struct command_call *call, const char *why)
{
    command_tell(call, "%s", why);
    return COMMAND_BAD;
}

static enum command_exit run(const struct command_call *call, step_fn *step)
{
    struct work work = {.now_ns = clock_realtime_ns(&clock_system)};
    enum command_exit answer = command_database_open_ready(call, &work.database);

    arena_init(&work.arena, NULL, 0, WORK_BYTES_MAX);
    if (answer == COMMAND_GOOD)
        answer = step(call, &work);
    arena_reset(&work.arena);
    command_database_close(&work.database);
    return answer;
}

/* Where the keys are: only those who change them need to come near. */
static enum command_exit keys_find(const struct command_call *call, struct work *work)
{
    struct serve_fault fault = {""};
    enum err err = serve_oauth_keys_options(&work->database.settings.config, work->database.store,
                                            work->dir, &work->keys, &fault);

    return err ? told(call, fault.text) : COMMAND_GOOD;
}

static void add_time(struct sbuf *out, int64_t ns)
{
    clock_add_rfc3339(out, ns, 0);
}

/* ---- keys list ---- */

static const char *state_of(const struct oauth_key_row *row, int64_t now_ns, int64_t *ret_at_ns,
                            const char **ret_word)
{
    *ret_word = "since";
    if (row->gone_at_ns != 0 && row->gone_at_ns <= now_ns) {
        *ret_at_ns = row->gone_at_ns;
        return "gone";
    }
    *ret_word = "until";
    if (row->signs_until_ns != 0 && row->signs_until_ns <= now_ns) {
        *ret_at_ns = row->gone_at_ns;
        return "verifying";
    }
    if (row->signs_from_ns > now_ns) {
        *ret_word = "from";
        *ret_at_ns = row->signs_from_ns;
        return "published";
    }
    if (row->signs_until_ns != 0) {
        *ret_at_ns = row->signs_until_ns;
        return "signing";
    }
    *ret_word = "since";
    *ret_at_ns = row->signs_from_ns;
    return "signing";
}

static void add_row(const struct oauth_key_row *row, int64_t now_ns, struct sbuf *out)
{
    const char *word;
    int64_t at_ns;
    const char *state = state_of(row, now_ns, &at_ns, &word);

    sbuf_add_format(out, "%-43.*s %-5s %-9s %s ", SPAN_ARG(row->kid), crypto_alg_name(row->alg),
                    state, word);
    add_time(out, at_ns);
    sbuf_add_char(out, '\n');
}

static void add_time_member(struct json_writer *w, const char *name, int64_t ns)
{
    json_key(w, name);
    if (ns == 0)
        json_null(w);
    else
        json_time(w, ns);
}

static void add_object(const struct oauth_key_row *row, int64_t now_ns, struct json_writer *w)
{
    const char *word;
    int64_t at_ns;

    json_begin_object(w);
    json_add_text(w, "kid", row->kid);
    json_add_text(w, "alg", span_from(crypto_alg_name(row->alg)));
    json_add_text(w, "state", span_from(state_of(row, now_ns, &at_ns, &word)));
    add_time_member(w, "created_at", row->created_at_ns);
    add_time_member(w, "signs_from", row->signs_from_ns);
    add_time_member(w, "signs_until", row->signs_until_ns);
    add_time_member(w, "gone_at", row->gone_at_ns);
    json_end_object(w);
}

static enum err list_in_store(struct store_conn *conn, struct store_job *job)
{
    struct work *work = job->context;

    return oauth_key_list(conn, &work->arena, &work->rows, &work->count);
}

static enum command_exit list(const struct command_call *call, struct work *work)
{
    struct sbuf out = sbuf_on(&work->arena, TEXT_BYTES_MAX);
    struct json_writer w = json_writer_on(&out);
    bool as_json = command_given(call, "--json");
    enum err err = store_do(work->database.store, list_in_store, work, false);

    if (err)
        return told(call, err_sentence(err));
    if (as_json)
        json_begin_list(&w);
    for (size_t i = 0; i < work->count; i++) {
        if (as_json)
            add_object(&work->rows[i], work->now_ns, &w);
        else
            add_row(&work->rows[i], work->now_ns, &out);
    }
    if (as_json) {
        json_end_list(&w);
        sbuf_add_char(&out, '\n');
    }
    return command_print(call, &out);
}

static enum command_exit list_run(const struct command_call *call)
{
    return run(call, list);
}

/* ---- keys rotate ---- */

/* Running servers hear of the key before it signs: what they sign once the command has ended is
 * signed with it, so retiring the old one next hurts no token that was just given out. The rest is
 * for clocks that differ a little. */
static void heard_wait(const struct oauth_keys_options *keys)
{
    const struct timespec time = {.tv_sec = (time_t)keys->heard_s, .tv_nsec = 200000000};

    (void)nanosleep(&time, NULL);
}

static const char *const algs[] = {"RS256", "PS256", "ES256", "EdDSA", NULL};

static enum command_exit alg_read(const struct command_call *call, enum crypto_alg *ret_alg)
{
    const char *name = command_value(call, "--alg");

    *ret_alg = CRYPTO_ALG_NONE;
    if (name == NULL)
        return COMMAND_GOOD;
    for (size_t i = 0; algs[i] != NULL; i++) {
        if (strcmp(algs[i], name) == 0)
            *ret_alg = crypto_alg_from(span_from(name));
    }
    if (*ret_alg != CRYPTO_ALG_NONE)
        return COMMAND_GOOD;
    command_tell(call, "\"%s\" is none of RS256, PS256, ES256 and EdDSA", name);
    return COMMAND_USAGE;
}

static enum command_exit rotate(const struct command_call *call, struct work *work)
{
    struct sbuf out = sbuf_on(&work->arena, TEXT_BYTES_MAX);
    bool at_once = command_given(call, "--now");
    struct crypto_fault fault = {""};
    struct oauth_key_row row;
    enum crypto_alg alg;
    enum command_exit answer = alg_read(call, &alg);
    enum err err;

    if (answer == COMMAND_GOOD)
        answer = keys_find(call, work);
    if (answer != COMMAND_GOOD)
        return answer;
    err = oauth_key_rotate(&work->keys, alg, at_once, &work->arena, &row, &fault);
    if (err)
        return told(call, fault.text);
    if (at_once)
        heard_wait(&work->keys);
    sbuf_add_format(&out, "Key %.*s, %s, is published and signs from ", SPAN_ARG(row.kid),
                    crypto_alg_name(row.alg));
    add_time(&out, row.signs_from_ns);
    sbuf_add_lit(&out, " on.\nThe one before it stops then and is gone at ");
    add_time(&out, row.signs_from_ns + work->keys.verify_s * CLOCK_NS_PER_S);
    sbuf_add_text(&out, at_once ? ", unless you retire it now.\n" : ".\n");
    return command_print(call, &out);
}

static enum command_exit rotate_run(const struct command_call *call)
{
    return run(call, rotate);
}

/* ---- keys retire ---- */

static enum command_exit retire(const struct command_call *call, struct work *work)
{
    struct sbuf out = sbuf_on(&work->arena, TEXT_BYTES_MAX);
    struct crypto_fault fault = {""};
    enum command_exit answer = keys_find(call, work);
    enum err err;

    if (answer != COMMAND_GOOD)
        return answer;
    err = oauth_key_retire(&work->keys, span_from(call->operands[0]), &fault);
    if (err == ERR_NOT_FOUND) {
        command_tell(call, "no key \"%s\" is in use, see `portcullis keys list`",
                     call->operands[0]);
        return COMMAND_BAD;
    }
    if (err)
        return told(call, fault.text);
    sbuf_add_format(&out, "Key %s is gone: what it signed is no longer believed.\n",
                    call->operands[0]);
    return command_print(call, &out);
}

static enum command_exit retire_run(const struct command_call *call)
{
    return run(call, retire);
}
