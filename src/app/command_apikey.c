/* SPDX-License-Identifier: MIT
 * `portcullis apikey ...`: keys for programs that cannot ask for tokens. It works on the database
 * that the settings name, beside a running server too, which hears of every change within a second
 * (auth's feed). */
#include <unistd.h>

#include "app/command_store.h"
#include "auth/auth_key.h"
#include "base/alloc.h"
#include "json/json_writer.h"
#include "trail/trail.h"

enum {
    WORK_BYTES_MAX = 8 * 1024 * 1024,
    TEXT_BYTES_MAX = 2 * 1024 * 1024,
    PAGE_KEYS = 500,
    TIME_BYTES = 32,
    DAYS_MAX = 3660,
};

static command_run_fn create_run, list_run, revoke_run;

static const struct command_option create_options[] = {
    COMMAND_CONFIG_OPTION,
    {.name = "--scope", .value = "NAME", .many = true, .about = "What it may do: orders:read"},
    {.name = "--role", .value = "NAME", .many = true, .about = "What it is"},
    {.name = "--days", .value = "N", .about = "How long it is good; default: until it is revoked"},
};
static const struct command_option list_options[] = {
    COMMAND_CONFIG_OPTION,
    {.name = "--json", .about = "Print them as a JSON array"},
};
static const struct command_option revoke_options[] = {COMMAND_CONFIG_OPTION};

static const struct command_example create_examples[] = {
    {"apikey create warehouse --scope orders:read,orders:write --days 90",
     "A key for a quarter of a year; it is printed once."},
};
static const struct command_example list_examples[] = {
    {"apikey list", "All of them, in the order they came, also those that are over."},
    {"apikey list --json", "For scripts."},
};
static const struct command_example revoke_examples[] = {
    {"apikey revoke 7", "Nobody is let in by it any more."},
};

const struct command command_apikey_create = {
    .name = "apikey create",
    .operands = "OWNER",
    .operands_min = 1,
    .operands_max = 1,
    .about = "Make an API key",
    .help = "For routes with access: api_key. The key is printed once and kept as a hash. Its\n"
            "owner is whom requests are counted for; several keys of one owner share the\n"
            "limits. Lists are parted by commas, or the option is given again.",
    .options = create_options,
    .option_count = PC_COUNT(create_options),
    .examples = create_examples,
    .example_count = PC_COUNT(create_examples),
    .run = create_run,
};

const struct command command_apikey_list = {
    .name = "apikey list",
    .about = "List the API keys",
    .help = "One line a key: id, owner, state, scopes and roles. The keys themselves are not\n"
            "known to anybody but who was given them.",
    .options = list_options,
    .option_count = PC_COUNT(list_options),
    .examples = list_examples,
    .example_count = PC_COUNT(list_examples),
    .run = list_run,
};

const struct command command_apikey_revoke = {
    .name = "apikey revoke",
    .operands = "ID",
    .operands_min = 1,
    .operands_max = 1,
    .about = "Take an API key back",
    .help = "Running servers refuse it within one second. There is no way back: make another.",
    .options = revoke_options,
    .option_count = PC_COUNT(revoke_options),
    .examples = revoke_examples,
    .example_count = PC_COUNT(revoke_examples),
    .run = revoke_run,
};

/* One piece of work inside the store; run may begin again, so it sets results from scratch. */
struct work {
    struct command_database database;
    struct arena arena;
    struct auth_key key;
    char text[AUTH_KEY_TEXT_BYTES]; /* a new one */
    int64_t now_ns;
    int64_t after; /* list: the last id seen */
    struct auth_key *keys;
    size_t count;
};

static enum command_exit failed(const struct command_call *call, enum err err)
{
    if (err == ERR_NOT_FOUND)
        command_tell(call, "there is no API key %s, see `portcullis apikey list`",
                     call->operands[0]);
    else
        command_tell(call, "%s", err_sentence(err));
    return COMMAND_BAD;
}

static struct span time_text(int64_t at_ns, char room[TIME_BYTES])
{
    struct sbuf out = sbuf_over(room, TIME_BYTES);

    clock_add_rfc3339(&out, at_ns, 0);
    return sbuf_span(&out);
}

/* Who typed the command is known by the operating system alone. */
static enum err record(struct store_conn *conn, const struct work *work, int64_t id,
                       enum trail_event event)
{
    char actor[32], object[32], expiry[TIME_BYTES];
    struct sbuf who = sbuf_over(actor, sizeof(actor));
    struct sbuf what = sbuf_over(object, sizeof(object));
    struct trail_record entry = {.event = event,
                                 .outcome = TRAIL_DONE,
                                 .at_ns = work->now_ns,
                                 .actor_kind = TRAIL_ACTOR_SYSTEM};

    sbuf_add_format(&who, "uid:%ld", (long)getuid());
    sbuf_add_lit(&what, "apikey:");
    sbuf_add_i64(&what, id);
    entry.actor = sbuf_span(&who);
    entry.object = sbuf_span(&what);
    if (event == TRAIL_APIKEY_CREATED) {
        entry.details[0] = (struct trail_detail){"owner", work->key.owner};
        entry.details[1] = (struct trail_detail){"scopes", work->key.scopes};
        entry.details[2] = (struct trail_detail){"roles", work->key.roles};
        entry.details[3] = (struct trail_detail){
            "expires_at", work->key.expires_at_ns != 0 ? time_text(work->key.expires_at_ns, expiry)
                                                       : SPAN_OF("never")};
    }
    return trail_add(conn, &entry);
}

/* ---- apikey create ---- */

static enum err create_in_store(struct store_conn *conn, struct store_job *job)
{
    struct work *work = job->context;
    enum err err =
        auth_key_create(conn, &work->key, span_make(work->text, sizeof(work->text)), &work->key.id);

    return err ? err : record(conn, work, work->key.id, TRAIL_APIKEY_CREATED);
}

/* Names, parted by blanks or commas, of all values: "a b c". */
static struct span names_read(const struct command_call *call, const char *option,
                              struct arena *arena)
{
    struct sbuf out = sbuf_on(arena, TEXT_BYTES_MAX);

    if (!command_given(call, option))
        return SPAN_OF("");
    for (const char *const *value = command_values(call, option); *value != NULL; value++) {
        for (const char *c = *value; *c != '\0'; c++) {
            bool part = *c == ' ' || *c == ',';

            if (!part && out.len > 0 && (c == *value || c[-1] == ' ' || c[-1] == ','))
                sbuf_add_char(&out, ' ');
            if (!part)
                sbuf_add_char(&out, *c);
        }
    }
    return out.len > 0 ? sbuf_span(&out) : SPAN_OF("");
}

static enum command_exit key_read(const struct command_call *call, struct work *work)
{
    const char *days = command_value(call, "--days");
    int64_t number = 0;
    const char *flaw;

    if (days != NULL &&
        (!span_to_i64(span_from(days), &number) || number < 1 || number > DAYS_MAX)) {
        command_tell(call, "--days needs a number from 1 to %d", DAYS_MAX);
        return COMMAND_USAGE;
    }
    work->key = (struct auth_key){
        .owner = span_from(call->operands[0]),
        .scopes = names_read(call, "--scope", &work->arena),
        .roles = names_read(call, "--role", &work->arena),
        .created_at_ns = work->now_ns,
        .expires_at_ns = number > 0 ? work->now_ns + number * 86400 * CLOCK_NS_PER_S : 0};
    flaw = auth_key_flaw(&work->key);
    if (flaw == NULL)
        return COMMAND_GOOD;
    command_tell(call, "the %s must be visible ASCII, and not too long", flaw);
    return COMMAND_USAGE;
}

static enum command_exit create(const struct command_call *call, struct work *work)
{
    struct sbuf out = sbuf_on(&work->arena, TEXT_BYTES_MAX);
    enum command_exit answer = key_read(call, work);
    enum err err;

    if (answer != COMMAND_GOOD)
        return answer;
    auth_key_make(&random_system, work->text);
    err = store_do(work->database.store, create_in_store, work, true);
    if (err)
        return failed(call, err);
    sbuf_add_lit(&out, "API key ");
    sbuf_add_i64(&out, work->key.id);
    sbuf_add_format(&out, " of %.*s was created.\nThe key, shown this once: %.*s\n",
                    SPAN_ARG(work->key.owner), AUTH_KEY_TEXT_BYTES, work->text);
    return command_print(call, &out);
}

/* ---- apikey revoke ---- */

static enum err revoke_in_store(struct store_conn *conn, struct store_job *job)
{
    struct work *work = job->context;
    enum err err = auth_key_revoke(conn, work->key.id, work->now_ns);

    return err ? err : record(conn, work, work->key.id, TRAIL_APIKEY_REVOKED);
}

static enum command_exit take_back(const struct command_call *call, struct work *work)
{
    struct sbuf out = sbuf_on(&work->arena, TEXT_BYTES_MAX);
    enum err err;

    if (!span_to_i64(span_from(call->operands[0]), &work->key.id) || work->key.id < 1) {
        command_tell(call, "the id of a key is a number, see `portcullis apikey list`");
        return COMMAND_USAGE;
    }
    err = store_do(work->database.store, revoke_in_store, work, true);
    if (err)
        return failed(call, err);
    sbuf_add_format(&out, "API key %s was revoked.\n", call->operands[0]);
    return command_print(call, &out);
}

/* ---- apikey list ---- */

static const char *state_of(const struct auth_key *key, int64_t now_ns)
{
    if (key->revoked_at_ns != 0)
        return "revoked";
    return key->expires_at_ns != 0 && key->expires_at_ns <= now_ns ? "expired" : "active";
}

static void add_row(const struct auth_key *key, const struct work *work, struct sbuf *out)
{
    char expiry[TIME_BYTES];

    sbuf_add_i64(out, key->id);
    sbuf_add_format(out, "  %-24.*s %-8s %-21.*s %.*s%s%.*s\n", SPAN_ARG(key->owner),
                    state_of(key, work->now_ns),
                    SPAN_ARG(key->expires_at_ns != 0 ? time_text(key->expires_at_ns, expiry)
                                                     : SPAN_OF("never")),
                    SPAN_ARG(key->scopes), key->roles.len > 0 ? " as " : "", SPAN_ARG(key->roles));
}

static void add_time(struct json_writer *w, const char *name, int64_t at_ns)
{
    char text[TIME_BYTES];

    if (at_ns != 0)
        json_add_text(w, name, time_text(at_ns, text));
}

static void add_json(const struct auth_key *key, const struct work *work, struct sbuf *out)
{
    struct json_writer w = json_writer_on(out);

    json_begin_object(&w);
    json_add_i64(&w, "id", key->id);
    json_add_text(&w, "owner", key->owner);
    json_add_text(&w, "state", span_from(state_of(key, work->now_ns)));
    json_add_text(&w, "scopes", key->scopes);
    json_add_text(&w, "roles", key->roles);
    add_time(&w, "created_at", key->created_at_ns);
    add_time(&w, "expires_at", key->expires_at_ns);
    add_time(&w, "revoked_at", key->revoked_at_ns);
    json_end_object(&w);
}

static enum err page_in_store(struct store_conn *conn, struct store_job *job)
{
    struct work *work = job->context;

    return auth_key_list(conn, work->after, PAGE_KEYS, &work->arena, &work->keys, &work->count);
}

static enum command_exit page_print(const struct command_call *call, struct work *work, bool *first)
{
    struct sbuf out = sbuf_on(&work->arena, TEXT_BYTES_MAX);
    bool as_json = command_given(call, "--json");

    for (size_t i = 0; i < work->count; i++) {
        if (as_json) {
            sbuf_add_text(&out, *first ? "[\n" : ",\n");
            add_json(&work->keys[i], work, &out);
        } else {
            add_row(&work->keys[i], work, &out);
        }
        *first = false;
    }
    if (as_json && work->count < PAGE_KEYS)
        sbuf_add_text(&out, *first ? "[]\n" : "\n]\n");
    return command_print(call, &out);
}

static enum command_exit list(const struct command_call *call, struct work *work)
{
    bool first = true;

    do {
        enum command_exit answer;
        enum err err = store_do(work->database.store, page_in_store, work, false);

        if (err)
            return failed(call, err);
        answer = page_print(call, work, &first);
        if (answer != COMMAND_GOOD)
            return answer;
        if (work->count > 0)
            work->after = work->keys[work->count - 1].id;
        arena_reset(&work->arena);
    } while (work->count == PAGE_KEYS);
    return COMMAND_GOOD;
}

/* ---- the commands ---- */

typedef enum command_exit step_fn(const struct command_call *call, struct work *work);

static enum command_exit run(const struct command_call *call, step_fn *step)
{
    struct work work = {.now_ns = clock_realtime_ns(&clock_system)};
    enum command_exit answer;

    arena_init(&work.arena, NULL, 0, WORK_BYTES_MAX);
    answer = command_database_open_ready(call, &work.database);
    if (answer == COMMAND_GOOD)
        answer = step(call, &work);
    command_database_close(&work.database);
    arena_reset(&work.arena);
    alloc_wipe(work.text, sizeof(work.text));
    return answer;
}

static enum command_exit create_run(const struct command_call *call)
{
    return run(call, create);
}

static enum command_exit list_run(const struct command_call *call)
{
    return run(call, list);
}

static enum command_exit revoke_run(const struct command_call *call)
{
    return run(call, take_back);
}
