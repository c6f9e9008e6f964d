/* SPDX-License-Identifier: MIT
 * `portcullis client ...`: which programs may ask for tokens, for whoever has the machine. It works
 * on the database that the settings name, beside a running server too, which hears of every change
 * within a second (auth's feed). Each change is recorded in the trail in the same commit. */
#include "app/command_client.h"

#include "app/command_store.h"
#include "trail/trail.h"

#include <unistd.h>

enum {
    PAGE_CLIENTS = 100,
    WORK_BYTES_MAX = 8 * 1024 * 1024,
    TEXT_BYTES_MAX = 1024 * 1024,
    OVERLAP_HOURS_MAX = 720,
};

static command_run_fn create_run, list_run, show_run, rotate_run, disable_run, enable_run,
    update_run;

/* ---- the rows of the table ---- */

static const struct command_option create_options[] = {
    COMMAND_CONFIG_OPTION,
    COMMAND_CLIENT_OPTIONS,
};
static const struct command_option update_options[] = {
    COMMAND_CONFIG_OPTION,
    COMMAND_CLIENT_OPTIONS,
    {.name = "--not-bound", .about = "No longer bind its tokens"},
};
static const struct command_option list_options[] = {
    COMMAND_CONFIG_OPTION,
    {.name = "--json", .about = "Print them as a JSON array"},
};
static const struct command_option show_options[] = {
    COMMAND_CONFIG_OPTION,
    {.name = "--json", .about = "Print it as a JSON object"},
};
static const struct command_option rotate_options[] = {
    COMMAND_CONFIG_OPTION,
    {.name = "--overlap", .value = "HOURS", .about = "The old secret works for so long still"},
    {.name = "--secret-stdin", .about = "Take the new secret from the first line of input"},
};
static const struct command_option state_options[] = {COMMAND_CONFIG_OPTION};

static const struct command_example create_examples[] = {
    {"client create robot --grant client_credentials --scope orders:read",
     "A service that acts for itself; its secret is printed once."},
    {"client create shop --grant authorization_code,refresh_token \\\n"
     "      --scope openid,accounts:read --redirect-uri https://shop.example/cb",
     "A web site that acts for its users."},
    {"client create app --method none --grant authorization_code \\\n"
     "      --scope openid --redirect-uri com.example.app:/cb",
     "A program on people's own machines: it can keep no secret."},
    {"client create bank --method private_key_jwt --jwks bank.json \\\n"
     "      --grant client_credentials --scope transactions:write --role payments",
     "A service that signs with a key of its own."},
};
static const struct command_example list_examples[] = {
    {"client list", "All of them, in the order they came."},
    {"client list --json", "For scripts."},
};
static const struct command_example show_examples[] = {
    {"client show shop", "Everything about one, except its secret."},
};
static const struct command_example rotate_examples[] = {
    {"client rotate-secret shop --overlap 24", "Both secrets work for a day."},
    {"client rotate-secret shop", "The old one may have been seen: it ends at once."},
};
static const struct command_example disable_examples[] = {
    {"client disable shop", "Its tokens end, and it gets no others."},
};
static const struct command_example enable_examples[] = {
    {"client enable shop", "It may ask for tokens again."},
};
static const struct command_example update_examples[] = {
    {"client update shop --scope openid,accounts:read", "These scopes and no others."},
    {"client update shop --role ''", "No role any more."},
};

const struct command command_client_create = {
    .name = "client create",
    .operands = "CLIENT_ID",
    .operands_min = 1,
    .operands_max = 1,
    .about = "Let a program ask for tokens",
    .help = "Grants: authorization_code, refresh_token, client_credentials, password. A\n"
            "client without any can only ask about tokens. Lists are parted by commas, or\n"
            "the option is given again.\n\n"
            "Scopes: openid, profile, email, offline_access, admin, and :read and :write of\n"
            "accounts, transactions, orders, audit and monitoring. Roles: customer, payments,\n"
            "risk, auditor, broker, admin.\n\n"
            "Methods: client_secret (the default; by header or form), client_secret_basic,\n"
            "client_secret_post, private_key_jwt, tls_client_auth, and none for public\n"
            "clients. A secret is made, printed once, and kept as a hash. A certificate's\n"
            "subject is written as in the access log (mtls_subject), RFC 2253.",
    .options = create_options,
    .option_count = PC_COUNT(create_options),
    .examples = create_examples,
    .example_count = PC_COUNT(create_examples),
    .run = create_run,
};

const struct command command_client_list = {
    .name = "client list",
    .about = "List the OAuth clients",
    .help = "One line a client: id, name, how it proves itself, and whether active.",
    .options = list_options,
    .option_count = PC_COUNT(list_options),
    .examples = list_examples,
    .example_count = PC_COUNT(list_examples),
    .run = list_run,
};

const struct command command_client_show = {
    .name = "client show",
    .operands = "CLIENT_ID",
    .operands_min = 1,
    .operands_max = 1,
    .about = "Show an OAuth client",
    .help = "Its secret is not shown: only a hash of it is kept.",
    .options = show_options,
    .option_count = PC_COUNT(show_options),
    .examples = show_examples,
    .example_count = PC_COUNT(show_examples),
    .run = show_run,
};

const struct command command_client_rotate_secret = {
    .name = "client rotate-secret",
    .operands = "CLIENT_ID",
    .operands_min = 1,
    .operands_max = 1,
    .about = "Give an OAuth client a new secret",
    .help = "The new secret is printed once. The old one ends at once unless --overlap gives\n"
            "the client time to change over; tokens that it has already stay good.",
    .options = rotate_options,
    .option_count = PC_COUNT(rotate_options),
    .examples = rotate_examples,
    .example_count = PC_COUNT(rotate_examples),
    .run = rotate_run,
};

const struct command command_client_disable = {
    .name = "client disable",
    .operands = "CLIENT_ID",
    .operands_min = 1,
    .operands_max = 1,
    .about = "Lock an OAuth client out and end its tokens",
    .help = "A running server refuses the client and every token of it within one second.",
    .options = state_options,
    .option_count = PC_COUNT(state_options),
    .examples = disable_examples,
    .example_count = PC_COUNT(disable_examples),
    .run = disable_run,
};

const struct command command_client_enable = {
    .name = "client enable",
    .operands = "CLIENT_ID",
    .operands_min = 1,
    .operands_max = 1,
    .about = "Let a disabled OAuth client in again",
    .help = "Tokens that ended stay ended: the client asks for new ones, its users sign in\n"
            "again.",
    .options = state_options,
    .option_count = PC_COUNT(state_options),
    .examples = enable_examples,
    .example_count = PC_COUNT(enable_examples),
    .run = enable_run,
};

const struct command command_client_update = {
    .name = "client update",
    .operands = "CLIENT_ID",
    .operands_min = 1,
    .operands_max = 1,
    .about = "Change what an OAuth client may do",
    .help = "What is not named stays. A list that is given replaces the one there was; an\n"
            "empty value empties it. Live tokens lose within one second what the client\n"
            "loses. They end when its method changes or --bound is switched on. Grants and\n"
            "methods are those of `portcullis client create`.",
    .options = update_options,
    .option_count = PC_COUNT(update_options),
    .examples = update_examples,
    .example_count = PC_COUNT(update_examples),
    .run = update_run,
};

/* ---- shared steps ---- */

/* One piece of work inside the store; run may begin again, so it sets results from scratch. */
struct work {
    struct command_database database;
    struct arena arena;
    struct span client_id; /* the operand */
    struct oauth_client client;
    struct oauth_secret secret;
    struct span secret_text; /* a new one, to be shown; else empty */
    int64_t now_ns, until_ns;
    bool active;
    bool changes_secret; /* update: the method needs one that there was not */
    int64_t after;       /* list: the last key seen */
    struct oauth_client *clients;
    size_t client_count;
};

static enum command_exit failed(const struct command_call *call, enum err err)
{
    if (err == ERR_TAKEN)
        command_tell(call, "there is a client \"%s\" already", call->operands[0]);
    else if (err == ERR_NOT_FOUND)
        command_tell(call, "there is no client \"%s\", see `portcullis client list`",
                     call->operands[0]);
    else
        command_tell(call, "%s", err_sentence(err));
    return COMMAND_BAD;
}

/* Who typed the command is known by the operating system alone. */
static enum err record(struct store_conn *conn, const struct work *work, enum trail_event event,
                       const char *reason, const struct trail_detail *details, size_t count)
{
    char actor[32], object[OAUTH_CLIENT_ID_CHARS_MAX + 16];
    struct sbuf who = sbuf_over(actor, sizeof(actor));
    struct sbuf what = sbuf_over(object, sizeof(object));
    struct trail_record entry = {.event = event,
                                 .outcome = TRAIL_DONE,
                                 .at_ns = work->now_ns,
                                 .actor_kind = TRAIL_ACTOR_SYSTEM,
                                 .client_id = work->client_id,
                                 .reason = span_from(reason)};

    PC_ASSERT(count <= TRAIL_DETAILS_MAX);
    sbuf_add_format(&who, "uid:%ld", (long)getuid());
    sbuf_add_format(&what, "client:%.*s", SPAN_ARG(work->client_id));
    entry.actor = sbuf_span(&who);
    entry.object = sbuf_span(&what);
    for (size_t i = 0; i < count; i++)
        entry.details[i] = details[i];
    return trail_add(conn, &entry);
}

static enum err record_description(struct store_conn *conn, struct work *work,
                                   enum trail_event event, const char *reason)
{
    const struct oauth_client *client = &work->client;
    const struct trail_detail details[] = {
        {"method", span_from(oauth_method_name(client->method))},
        {"grants", client->grants},
        {"scopes", client->scopes},
        {"roles", client->roles},
        {"redirect_uris", oauth_uris_told(client->redirect_uris, &work->arena)},
        {"bound", client->is_bound ? SPAN_OF("yes") : SPAN_OF("no")},
    };

    return record(conn, work, event, reason, details, PC_COUNT(details));
}

static enum command_exit check(const struct command_call *call, struct work *work)
{
    struct crypto_fault fault;
    enum err err = oauth_client_check(&work->client, &work->arena, &fault);

    if (!err)
        return COMMAND_GOOD;
    if (err != ERR_VALIDATION)
        return failed(call, err);
    command_tell(call, "%s", fault.text);
    return COMMAND_USAGE;
}

/* "Client shop was created.", and the one time that its secret is shown. */
static enum command_exit done(const struct command_call *call, struct work *work, const char *what)
{
    struct sbuf out = sbuf_on(&work->arena, TEXT_BYTES_MAX);

    sbuf_add_format(&out, "Client %.*s %s.\n", SPAN_ARG(work->client_id), what);
    if (work->secret_text.len > 0)
        sbuf_add_format(&out, "Its secret, shown this once: %.*s\n", SPAN_ARG(work->secret_text));
    return command_print(call, &out);
}

static enum err find_in_store(struct store_conn *conn, struct store_job *job)
{
    struct work *work = job->context;

    return oauth_client_find(conn, work->client_id, &work->arena, &work->client);
}

/* ---- client create ---- */

static enum err create_in_store(struct store_conn *conn, struct store_job *job)
{
    struct work *work = job->context;
    enum err err = oauth_client_create(conn, &work->client, work->now_ns);

    return err ? err : record_description(conn, work, TRAIL_CLIENT_CREATED, "");
}

static enum command_exit create(const struct command_call *call, struct work *work)
{
    enum command_exit answer;
    enum err err;

    work->client = (struct oauth_client){
        .client_id = work->client_id, .name = work->client_id, .method = OAUTH_METHOD_SECRET};
    answer = command_client_read(call, &work->arena, &work->client);
    if (answer == COMMAND_GOOD && oauth_method_has_secret(work->client.method))
        answer =
            command_client_secret(call, &work->arena, &work->secret_text, &work->client.secret);
    if (answer == COMMAND_GOOD)
        answer = check(call, work);
    if (answer != COMMAND_GOOD)
        return answer;
    err = store_do(work->database.store, create_in_store, work, true);
    return err ? failed(call, err) : done(call, work, "was created");
}

/* ---- client update ---- */

static enum err update_in_store(struct store_conn *conn, struct store_job *job)
{
    struct work *work = job->context;
    enum err err = oauth_client_update(conn, &work->client, work->now_ns);

    if (!err)
        err = record_description(conn, work, TRAIL_CLIENT_CHANGED, "updated");
    if (!err && work->changes_secret)
        err = record(conn, work, TRAIL_CLIENT_SECRET, "updated", NULL, 0);
    return err;
}

static enum command_exit read_changes(const struct command_call *call, struct work *work)
{
    struct oauth_client *client = &work->client;
    enum command_exit answer = command_client_read(call, &work->arena, client);

    if (answer != COMMAND_GOOD)
        return answer;
    if (command_given(call, "--bound") && command_given(call, "--not-bound")) {
        command_tell(call, "--bound and --not-bound exclude each other");
        return COMMAND_USAGE;
    }
    if (command_given(call, "--not-bound"))
        client->is_bound = false;
    work->changes_secret = oauth_method_has_secret(client->method) && !client->secret.set;
    if (work->changes_secret)
        return command_client_secret(call, &work->arena, &work->secret_text, &client->secret);
    if (command_given(call, "--secret-stdin")) {
        command_tell(call, "a new secret comes from `portcullis client rotate-secret`");
        return COMMAND_USAGE;
    }
    return COMMAND_GOOD;
}

static enum command_exit update(const struct command_call *call, struct work *work)
{
    enum command_exit answer;
    enum err err = store_do(work->database.store, find_in_store, work, false);

    if (err)
        return failed(call, err);
    answer = read_changes(call, work);
    if (answer == COMMAND_GOOD)
        answer = check(call, work);
    if (answer != COMMAND_GOOD)
        return answer;
    err = store_do(work->database.store, update_in_store, work, true);
    return err ? failed(call, err) : done(call, work, "was updated");
}

/* ---- client rotate-secret ---- */

static enum err rotate_in_store(struct store_conn *conn, struct store_job *job)
{
    struct work *work = job->context;
    enum err err =
        oauth_client_set_secret(conn, work->client_id, &work->secret, work->until_ns, work->now_ns);

    return err ? err
               : record(conn, work, TRAIL_CLIENT_SECRET,
                        work->until_ns > 0 ? "rotated, the old one works on for a while"
                                           : "rotated, the old one ended",
                        NULL, 0);
}

static enum command_exit overlap_read(const struct command_call *call, struct work *work)
{
    const char *text = command_value(call, "--overlap");
    int64_t hours = 0;

    if (text != NULL &&
        (!span_to_i64(span_from(text), &hours) || hours < 0 || hours > OVERLAP_HOURS_MAX)) {
        command_tell(call, "--overlap needs a number of hours, at most %d", OVERLAP_HOURS_MAX);
        return COMMAND_USAGE;
    }
    if (hours > 0)
        work->until_ns = work->now_ns + hours * 3600 * CLOCK_NS_PER_S;
    return COMMAND_GOOD;
}

static enum command_exit rotate(const struct command_call *call, struct work *work)
{
    enum command_exit answer = overlap_read(call, work);
    enum err err;

    if (answer != COMMAND_GOOD)
        return answer;
    err = store_do(work->database.store, find_in_store, work, false);
    if (err)
        return failed(call, err);
    if (!oauth_method_has_secret(work->client.method)) {
        command_tell(call, "client \"%s\" has no secret, its method is %s", call->operands[0],
                     oauth_method_name(work->client.method));
        return COMMAND_BAD;
    }
    answer = command_client_secret(call, &work->arena, &work->secret_text, &work->secret);
    if (answer != COMMAND_GOOD)
        return answer;
    err = store_do(work->database.store, rotate_in_store, work, true);
    return err ? failed(call, err) : done(call, work, "has a new secret");
}

/* ---- client disable, enable ---- */

static enum err state_in_store(struct store_conn *conn, struct store_job *job)
{
    struct work *work = job->context;
    enum err err = oauth_client_set_active(conn, work->client_id, work->active, work->now_ns);

    return err ? err
               : record(conn, work, TRAIL_CLIENT_CHANGED, work->active ? "enabled" : "disabled",
                        NULL, 0);
}

static enum command_exit set_state(const struct command_call *call, struct work *work, bool active)
{
    enum err err;

    work->active = active;
    err = store_do(work->database.store, state_in_store, work, true);
    return err ? failed(call, err) : done(call, work, active ? "is active" : "is disabled");
}

static enum command_exit disable(const struct command_call *call, struct work *work)
{
    return set_state(call, work, false);
}

static enum command_exit enable(const struct command_call *call, struct work *work)
{
    return set_state(call, work, true);
}

/* ---- client show, list ---- */

static enum command_exit show(const struct command_call *call, struct work *work)
{
    struct sbuf out = sbuf_on(&work->arena, TEXT_BYTES_MAX);
    bool as_json = command_given(call, "--json");
    enum err err = store_do(work->database.store, find_in_store, work, false);

    if (err)
        return failed(call, err);
    command_client_describe(&work->client, as_json, &out);
    if (as_json)
        sbuf_add_char(&out, '\n');
    return command_print(call, &out);
}

static enum err page_in_store(struct store_conn *conn, struct store_job *job)
{
    struct work *work = job->context;

    return oauth_client_list(conn, work->after, PAGE_CLIENTS, &work->arena, &work->clients,
                             &work->client_count);
}

static void add_row(const struct oauth_client *client, struct sbuf *out)
{
    sbuf_add_format(out, "%-24.*s %-28.*s %-20s %s\n", SPAN_ARG(client->client_id),
                    SPAN_ARG(client->name), oauth_method_name(client->method),
                    client->is_active ? "active" : "disabled");
}

/* A page at a time, so that any number of clients takes the same memory. As JSON every page but the
 * last is written without its closing bracket. */
static enum command_exit list_page(const struct command_call *call, struct work *work, bool *first)
{
    struct sbuf out = sbuf_on(&work->arena, WORK_BYTES_MAX / 2);
    bool as_json = command_given(call, "--json");

    if (!as_json && *first)
        sbuf_add_format(&out, "%-24s %-28s %-20s %s\n", "CLIENT ID", "NAME", "METHOD", "STATE");
    for (size_t i = 0; i < work->client_count; i++) {
        if (as_json) {
            sbuf_add_text(&out, *first ? "[\n" : ",\n");
            command_client_describe(&work->clients[i], true, &out);
        } else {
            add_row(&work->clients[i], &out);
        }
        *first = false;
    }
    if (as_json && work->client_count < PAGE_CLIENTS)
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
        answer = list_page(call, work, &first);
        if (answer != COMMAND_GOOD)
            return answer;
        if (work->client_count > 0)
            work->after = work->clients[work->client_count - 1].key;
        arena_reset(&work->arena);
    } while (work->client_count == PAGE_CLIENTS);
    return COMMAND_GOOD;
}

/* ---- the commands ---- */

typedef enum command_exit step_fn(const struct command_call *call, struct work *work);

static enum command_exit run(const struct command_call *call, step_fn *step)
{
    struct work work = {.now_ns = clock_realtime_ns(&clock_system)};
    enum command_exit answer;

    if (call->operand_count > 0)
        work.client_id = span_from(call->operands[0]);
    arena_init(&work.arena, NULL, 0, WORK_BYTES_MAX);
    answer = command_database_open_ready(call, &work.database);
    if (answer == COMMAND_GOOD)
        answer = step(call, &work);
    command_database_close(&work.database);
    arena_reset(&work.arena);
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

static enum command_exit show_run(const struct command_call *call)
{
    return run(call, show);
}

static enum command_exit rotate_run(const struct command_call *call)
{
    return run(call, rotate);
}

static enum command_exit disable_run(const struct command_call *call)
{
    return run(call, disable);
}

static enum command_exit enable_run(const struct command_call *call)
{
    return run(call, enable);
}

static enum command_exit update_run(const struct command_call *call)
{
    return run(call, update);
}
