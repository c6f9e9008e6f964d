/* SPDX-License-Identifier: MIT
 * `portcullis user ...`: who may come in, for whoever has the machine. It works on the database
 * that the settings name, beside a running server too, which hears of every change within a second
 * (auth's feed). The first administrator of a production system comes from here. */
#include "app/command.h"

#include "app/command_password.h"
#include "app/command_store.h"
#include "app/serve.h"
#include "auth/auth.h"
#include "json/json_schema.h"
#include "json/json_writer.h"

#include <string.h>
#include <unistd.h>

enum { PAGE_USERS = 200, LINE_BYTES_MAX = 1024, WORK_BYTES_MAX = 1024 * 1024 };

static command_run_fn create_run, list_run, disable_run, enable_run, password_run, role_run;

/* ---- the rows of the table ---- */

static const struct command_option create_options[] = {
    COMMAND_CONFIG_OPTION,
    {.name = "--username", .value = "NAME", .about = "3 to 50 letters, digits, '.', '_' and '-'"},
    {.name = "--admin", .about = "Make the user an administrator"},
    COMMAND_PASSWORD_OPTION,
};
static const struct command_option list_options[] = {
    COMMAND_CONFIG_OPTION,
    {.name = "--json", .about = "Print them as a JSON array"},
};
static const struct command_option state_options[] = {COMMAND_CONFIG_OPTION};
static const struct command_option role_options[] = {COMMAND_CONFIG_OPTION};
static const struct command_option password_options[] = {COMMAND_CONFIG_OPTION,
                                                         COMMAND_PASSWORD_OPTION};

static const struct command_example create_examples[] = {
    {"user create ada@example.com --admin", "The first administrator; asks for a password twice."},
    {"user create bob@example.com --username bob --password-stdin <password.txt",
     "From a script. A password is never taken from the command line."},
};
static const struct command_example list_examples[] = {
    {"user list", "Everyone, in the order they came."},
    {"user list --json", "For scripts."},
};
static const struct command_example disable_examples[] = {
    {"user disable bob@example.com", "His sessions end at once, and he cannot log in."},
    {"user disable 42", "The same by the user's id."},
};
static const struct command_example enable_examples[] = {
    {"user enable bob@example.com", "He may log in again."},
};
static const struct command_example password_examples[] = {
    {"user password bob@example.com", "Asks for it twice; every session of his ends."},
};

static const struct command_example role_examples[] = {
    {"user role bob@example.com payments", "He may move money for customers, and nothing else."},
    {"user role ada@example.com auditor admin", "She administers, and reads the audit trail."},
};

const struct command command_user_create = {
    .name = "user create",
    .operands = "EMAIL",
    .operands_min = 1,
    .operands_max = 1,
    .about = "Create a user",
    .help = "The username is the part of the address before the @ unless another is given. The\n"
            "database is brought to this program's schema first if it has to be.",
    .options = create_options,
    .option_count = PC_COUNT(create_options),
    .examples = create_examples,
    .example_count = PC_COUNT(create_examples),
    .run = create_run,
};

const struct command command_user_list = {
    .name = "user list",
    .about = "List the users",
    .help = "One line a user: id, address, username, and whether active and administrator.",
    .options = list_options,
    .option_count = PC_COUNT(list_options),
    .examples = list_examples,
    .example_count = PC_COUNT(list_examples),
    .run = list_run,
};

const struct command command_user_disable = {
    .name = "user disable",
    .operands = "EMAIL|ID",
    .operands_min = 1,
    .operands_max = 1,
    .about = "Lock a user out and end the user's sessions",
    .help = "A running server refuses the user within one second. The last active administrator\n"
            "cannot be disabled.",
    .options = state_options,
    .option_count = PC_COUNT(state_options),
    .examples = disable_examples,
    .example_count = PC_COUNT(disable_examples),
    .run = disable_run,
};

const struct command command_user_enable = {
    .name = "user enable",
    .operands = "EMAIL|ID",
    .operands_min = 1,
    .operands_max = 1,
    .about = "Let a disabled user in again",
    .help = "The user logs in anew; ended sessions stay ended.",
    .options = state_options,
    .option_count = PC_COUNT(state_options),
    .examples = enable_examples,
    .example_count = PC_COUNT(enable_examples),
    .run = enable_run,
};

const struct command command_user_password = {
    .name = "user password",
    .operands = "EMAIL|ID",
    .operands_min = 1,
    .operands_max = 1,
    .about = "Set a user's password and end the user's sessions",
    .help = "For someone who lost it, or whose password others may know.",
    .options = password_options,
    .option_count = PC_COUNT(password_options),
    .examples = password_examples,
    .example_count = PC_COUNT(password_examples),
    .run = password_run,
};

const struct command command_user_role = {
    .name = "user role",
    .operands = "EMAIL|ID ROLE...",
    .operand_choices = auth_roles,
    .operand_choices_from = 1,
    .operands_min = 2,
    .operands_max = 7,
    .about = "Say which roles a user has",
    .help = "These and no others: customer, payments, risk, auditor, broker, admin. A running\n"
            "server goes by them within one second. The last active administrator keeps admin.",
    .options = role_options,
    .option_count = PC_COUNT(role_options),
    .examples = role_examples,
    .example_count = PC_COUNT(role_examples),
    .run = role_run,
};

/* ---- shared steps ---- */

/* One piece of work inside the store; run may begin again, so it sets results from scratch. */
struct work {
    struct arena arena;
    struct span wanted; /* the operand: an address or an id */
    struct auth_user_new user;
    struct auth_user_change change;
    struct span roles;
    struct span hash;
    int64_t now_ns;
    int64_t after; /* list: the last id seen */
    struct auth_user *users;
    size_t user_count;
    struct auth_user found;
    int64_t id;
    const char *taken;
};

static enum command_exit failed(const struct command_call *call, const struct work *work,
                                enum err err)
{
    switch ((int)err) {
    case ERR_TAKEN:
        if (strcmp(work->taken, "email") == 0)
            command_tell(call, "that e-mail address is taken");
        else
            command_tell(call, "that username is taken, give another one with --username");
        break;
    case ERR_NOT_FOUND:
        command_tell(call, "there is no user \"%s\", see `portcullis user list`",
                     call->operands[0]);
        break;
    case ERR_LAST_ADMIN:
        command_tell(call, "that is the last active administrator, make another one first");
        break;
    default:
        command_tell(call, "%s", err_sentence(err));
        break;
    }
    return COMMAND_BAD;
}

static enum command_exit open_ready(const struct command_call *call,
                                    struct command_database *database, struct work *work)
{
    *work = (struct work){.now_ns = clock_realtime_ns(&clock_system)};
    arena_init(&work->arena, NULL, 0, WORK_BYTES_MAX);
    return command_database_open_ready(call, database);
}

static void close_all(struct command_database *database, struct work *work)
{
    command_database_close(database);
    arena_reset(&work->arena);
}

static enum command_exit done(const struct command_call *call, const char *what,
                              const struct auth_user *user)
{
    char buffer[LINE_BYTES_MAX];
    struct sbuf out = sbuf_over(buffer, sizeof(buffer));

    sbuf_add_format(&out, "User %lld, %.*s, %s.\n", (long long)user->id, SPAN_ARG(user->email),
                    what);
    return command_print(call, &out);
}

/* Someone by address, or by id when the operand is a number. */
static enum err find(struct store_conn *conn, struct work *work, struct auth_user *ret)
{
    int64_t id;

    if (span_to_i64(work->wanted, &id))
        return auth_user_by_id(conn, id, &work->arena, ret);
    return auth_user_by_email(conn, work->wanted, &work->arena, ret);
}

/* Who typed the command is known by the operating system alone. */
static enum err record(struct store_conn *conn, const struct work *work, enum trail_event event,
                       int64_t user_id, struct span reason)
{
    char actor[32], object[32];
    struct sbuf who = sbuf_over(actor, sizeof(actor));
    struct sbuf what = sbuf_over(object, sizeof(object));
    struct trail_record entry = {.event = event,
                                 .outcome = TRAIL_DONE,
                                 .at_ns = work->now_ns,
                                 .actor_kind = TRAIL_ACTOR_SYSTEM,
                                 .reason = reason};

    sbuf_add_format(&who, "uid:%ld", (long)getuid());
    sbuf_add_format(&what, "user:%lld", (long long)user_id);
    entry.actor = sbuf_span(&who);
    entry.object = sbuf_span(&what);
    return trail_add(conn, &entry);
}

static enum command_exit common_judge(const struct command_call *call, const struct config *config,
                                      struct span password, struct span username)
{
    const char *why;
    enum err err =
        crypto_password_common_check(serve_password_common(config), password, username, &why);

    if (err == ERR_VALIDATION)
        command_tell(call, "that password %s", why);
    else if (err)
        command_tell(call, "the dictionary of common passwords cannot be read: %s",
                     crypto_password_dictionary());
    return err ? COMMAND_BAD : COMMAND_GOOD;
}

static enum command_exit password_judge(const struct command_call *call,
                                        const struct config *config, struct span password,
                                        struct span username)
{
    if (!span_is_utf8(password) || !json_format_holds(JSON_FORMAT_PASSWORD, password)) {
        command_tell(call, "a password is UTF-8 without NUL");
        return COMMAND_BAD;
    }
    if (span_utf8_length(password) < config->password.length_min) {
        command_tell(call, "a password has at least %u characters", config->password.length_min);
        return COMMAND_BAD;
    }
    if (config->password.scheme == CONFIG_BCRYPT &&
        password.len > CRYPTO_BCRYPT_PASSWORD_BYTES_MAX) {
        command_tell(call, "with bcrypt a password has at most %d bytes",
                     CRYPTO_BCRYPT_PASSWORD_BYTES_MAX);
        return COMMAND_BAD;
    }
    return common_judge(call, config, password, username);
}

/* Reads a password for somebody of that name and keeps only its hash, in the work's arena. */
static enum command_exit hash_read(const struct command_call *call, const struct config *config,
                                   struct span username, struct work *work)
{
    struct crypto_password_policy policy = serve_password_policy(config);
    char hash[CRYPTO_PASSWORD_HASH_BYTES];
    struct command_password password;
    enum command_exit answer;
    enum err err = ERR_OK;

    answer = command_password_read(call, &password);
    if (answer != COMMAND_GOOD)
        return answer;
    answer = password_judge(call, config, command_password_span(&password), username);
    if (answer == COMMAND_GOOD)
        err = crypto_password_hash(&policy, &random_system, command_password_span(&password), hash);
    command_password_wipe(&password);
    if (answer != COMMAND_GOOD)
        return answer;
    if (err)
        return failed(call, work, err);
    work->hash = arena_copy(&work->arena, span_from(hash));
    return work->hash.ptr != NULL ? COMMAND_GOOD : failed(call, work, ERR_NO_MEMORY);
}

/* ---- user create ---- */

static enum err create_in_store(struct store_conn *conn, struct store_job *job)
{
    struct work *work = job->context;
    enum err err =
        auth_user_create(conn, &work->user, work->now_ns, &work->arena, &work->id, &work->taken);

    if (err)
        return err;
    return record(conn, work, TRAIL_USER_REGISTERED, work->id,
                  work->user.is_admin ? SPAN_OF("is_admin=true") : SPAN_OF(""));
}

static enum command_exit names_read(const struct command_call *call, struct work *work)
{
    struct span email = span_from(call->operands[0]);
    struct span username = span_from(command_value(call, "--username"));
    size_t length;

    if (!json_format_holds(JSON_FORMAT_EMAIL, email)) {
        command_tell(call, "\"%s\" is not an e-mail address", call->operands[0]);
        return COMMAND_USAGE;
    }
    if (username.ptr == NULL)
        username = span_slice(email, 0, span_find(email, '@'));
    length = span_utf8_length(username);
    if (!json_format_holds(JSON_FORMAT_USERNAME, username) || length < AUTH_USERNAME_CHARS_MIN ||
        length > AUTH_USERNAME_CHARS_MAX) {
        command_tell(call,
                     "\"%.*s\" cannot be a username, give one with --username: %d to %d "
                     "letters, digits, '.', '_' and '-'",
                     SPAN_ARG(username), AUTH_USERNAME_CHARS_MIN, AUTH_USERNAME_CHARS_MAX);
        return COMMAND_USAGE;
    }
    work->user.email = email;
    work->user.username = username;
    work->user.is_admin = command_given(call, "--admin");
    return COMMAND_GOOD;
}

static enum command_exit create(const struct command_call *call, struct command_database *database,
                                struct work *work)
{
    enum command_exit answer;
    enum err err;

    answer = names_read(call, work);
    if (answer != COMMAND_GOOD)
        return answer;
    answer = hash_read(call, &database->settings.config, work->user.username, work);
    if (answer != COMMAND_GOOD)
        return answer;
    work->user.password_hash = work->hash;
    err = store_do(database->store, create_in_store, work, true);
    if (err)
        return failed(call, work, err);
    work->found = (struct auth_user){.id = work->id, .email = work->user.email};
    return done(call, work->user.is_admin ? "was created as an administrator" : "was created",
                &work->found);
}

/* ---- user disable, enable ---- */

static enum err change_in_store(struct store_conn *conn, struct store_job *job)
{
    struct work *work = job->context;
    struct auth_user before;
    enum err err;

    err = find(conn, work, &before);
    if (err)
        return err;
    err =
        auth_user_update(conn, before.id, &work->change, work->now_ns, &work->arena, &work->found);
    if (err)
        return err;
    return record(conn, work, TRAIL_USER_CHANGED, before.id,
                  work->change.is_active ? SPAN_OF("is_active=true") : SPAN_OF("is_active=false"));
}

static enum command_exit change(const struct command_call *call, struct command_database *database,
                                struct work *work)
{
    enum err err;

    work->wanted = span_from(call->operands[0]);
    err = store_do(database->store, change_in_store, work, true);
    if (err)
        return failed(call, work, err);
    return done(call, work->change.is_active ? "is active" : "is disabled", &work->found);
}

/* ---- user password ---- */

static enum err find_in_store(struct store_conn *conn, struct store_job *job)
{
    struct work *work = job->context;

    return find(conn, work, &work->found);
}

static enum err password_in_store(struct store_conn *conn, struct store_job *job)
{
    struct work *work = job->context;
    enum err err = auth_user_set_password(conn, work->found.id, work->hash, work->now_ns);

    return err ? err : record(conn, work, TRAIL_USER_PASSWORD, work->found.id, SPAN_OF(""));
}

/* Looks first whether there is such a user, so that nobody types a password in vain. */
static enum command_exit password(const struct command_call *call,
                                  struct command_database *database, struct work *work)
{
    enum command_exit answer;
    enum err err;

    work->wanted = span_from(call->operands[0]);
    err = store_do(database->store, find_in_store, work, false);
    if (err)
        return failed(call, work, err);
    answer = hash_read(call, &database->settings.config, work->found.username, work);
    if (answer != COMMAND_GOOD)
        return answer;
    err = store_do(database->store, password_in_store, work, true);
    if (err)
        return failed(call, work, err);
    return done(call, "has the new password", &work->found);
}

/* ---- user role ---- */

/* "roles=auditor admin" */
static enum err record_roles(struct store_conn *conn, const struct work *work)
{
    char text[LINE_BYTES_MAX];
    struct sbuf out = sbuf_over(text, sizeof(text));

    sbuf_add_format(&out, "roles=%.*s", SPAN_ARG(work->roles));
    return record(conn, work, TRAIL_USER_CHANGED, work->found.id, sbuf_span(&out));
}

static enum err roles_in_store(struct store_conn *conn, struct store_job *job)
{
    struct work *work = job->context;
    struct auth_user before;
    enum err err = find(conn, work, &before);

    if (!err)
        err = auth_user_set_roles(conn, before.id, work->roles, work->now_ns, &work->arena,
                                  &work->found);
    return err ? err : record_roles(conn, work);
}

static enum command_exit role(const struct command_call *call, struct command_database *database,
                              struct work *work)
{
    char text[LINE_BYTES_MAX];
    struct sbuf what = sbuf_over(text, sizeof(text));
    struct sbuf roles = sbuf_on(&work->arena, LINE_BYTES_MAX);
    enum err err;

    for (size_t i = 1; i < call->operand_count; i++)
        sbuf_add_format(&roles, "%s%s", i > 1 ? " " : "", call->operands[i]);
    work->wanted = span_from(call->operands[0]);
    work->roles = sbuf_span(&roles);
    err = store_do(database->store, roles_in_store, work, true);
    if (err)
        return failed(call, work, err);
    sbuf_add_format(&what, "has the roles %.*s", SPAN_ARG(work->roles));
    sbuf_add_char(&what, '\0');
    return done(call, text, &work->found);
}

/* ---- user list ---- */

static enum err page_in_store(struct store_conn *conn, struct store_job *job)
{
    struct work *work = job->context;

    return auth_user_list(conn, work->after, PAGE_USERS, &work->arena, &work->users,
                          &work->user_count);
}

static void add_row(const struct auth_user *user, struct sbuf *out)
{
    sbuf_add_format(out, "%-6lld %-32.*s %-20.*s %s%s\n", (long long)user->id,
                    SPAN_ARG(user->email), SPAN_ARG(user->username),
                    user->is_active ? "active" : "disabled", user->is_admin ? ", admin" : "");
}

static void add_object(const struct auth_user *user, struct json_writer *json)
{
    json_begin_object(json);
    json_key(json, "user_id");
    json_i64(json, user->id);
    json_key(json, "username");
    json_text(json, user->username);
    json_key(json, "email");
    json_text(json, user->email);
    json_key(json, "is_admin");
    json_bool(json, user->is_admin);
    json_key(json, "is_active");
    json_bool(json, user->is_active);
    json_key(json, "created_at");
    json_time(json, user->created_at_ns);
    json_end_object(json);
}

/* A page at a time, so that any number of users takes the same memory. As JSON every page but the
 * last is written without its closing bracket. */
static enum command_exit list_page(const struct command_call *call, struct work *work, bool *first)
{
    struct sbuf out = sbuf_on(&work->arena, WORK_BYTES_MAX / 2);
    bool as_json = command_given(call, "--json");

    if (!as_json && *first)
        sbuf_add_format(&out, "%-6s %-32s %-20s %s\n", "ID", "E-MAIL", "USERNAME", "STATE");
    for (size_t i = 0; i < work->user_count; i++) {
        struct json_writer json = json_writer_on(&out);

        if (as_json) {
            sbuf_add_text(&out, *first ? "[\n" : ",\n");
            add_object(&work->users[i], &json);
        } else {
            add_row(&work->users[i], &out);
        }
        *first = false;
    }
    if (as_json && work->user_count < PAGE_USERS)
        sbuf_add_text(&out, *first ? "[]\n" : "\n]\n");
    return command_print(call, &out);
}

static enum command_exit list(const struct command_call *call, struct command_database *database,
                              struct work *work)
{
    bool first = true;

    do {
        enum command_exit answer;
        enum err err = store_do(database->store, page_in_store, work, false);

        if (err)
            return failed(call, work, err);
        answer = list_page(call, work, &first);
        if (answer != COMMAND_GOOD)
            return answer;
        if (work->user_count > 0)
            work->after = work->users[work->user_count - 1].id;
        arena_reset(&work->arena);
    } while (work->user_count == PAGE_USERS);
    return COMMAND_GOOD;
}

/* ---- the commands ---- */

typedef enum command_exit step_fn(const struct command_call *call,
                                  struct command_database *database, struct work *work);

static enum command_exit run(const struct command_call *call, struct auth_user_change what,
                             step_fn *step)
{
    struct command_database database;
    struct work work;
    enum command_exit answer = open_ready(call, &database, &work);

    work.change = what;
    if (answer == COMMAND_GOOD)
        answer = step(call, &database, &work);
    close_all(&database, &work);
    return answer;
}

static enum command_exit create_run(const struct command_call *call)
{
    return run(call, (struct auth_user_change){0}, create);
}

static enum command_exit list_run(const struct command_call *call)
{
    return run(call, (struct auth_user_change){0}, list);
}

static enum command_exit disable_run(const struct command_call *call)
{
    return run(call, (struct auth_user_change){.sets_active = true, .is_active = false}, change);
}

static enum command_exit enable_run(const struct command_call *call)
{
    return run(call, (struct auth_user_change){.sets_active = true, .is_active = true}, change);
}

static enum command_exit password_run(const struct command_call *call)
{
    return run(call, (struct auth_user_change){0}, password);
}

static enum command_exit role_run(const struct command_call *call)
{
    return run(call, (struct auth_user_change){0}, role);
}
