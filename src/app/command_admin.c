/* SPDX-License-Identifier: MIT
 * `portcullis reload` and `portcullis admin ...`: asks the node that runs on this machine, by its
 * socket, and prints what it says. */
#include "app/command.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "json/json.h"

static command_run_fn reload_run, upstreams_run, drain_run, undrain_run, breakers_run, limits_run,
    config_run;

#define SOCKET_OPTION                                                                              \
    {                                                                                              \
        .name = "--socket", .value = "FILE", .kind = COMMAND_VALUE_FILE,                           \
        .about = "Ask there, and not where the settings say"                                       \
    }

static const struct command_option options[] = {COMMAND_CONFIG_OPTION, SOCKET_OPTION};
static const struct command_option options_shown[] = {
    COMMAND_CONFIG_OPTION,
    SOCKET_OPTION,
    {.name = "--json", .about = "Print what the node says, as JSON, for programs"}};

#define ASKS  .options = options, .option_count = PC_COUNT(options)
#define SHOWS .options = options_shown, .option_count = PC_COUNT(options_shown)

#define FINDS                                                                                      \
    "The node is found by its socket: `admin.socket` of the settings, else admin.sock in the\n"    \
    "data folder. Only its own user and root may use it. The same with curl:\n"                    \
    "  curl --unix-socket data/admin.sock http://node/"

static const struct command_example reload_examples[] = {
    {"reload", "Take over what was changed in ./portcullis.yaml."},
    {"reload --config /etc/portcullis.yaml", "Of a node that was started with this file."},
};

const struct command command_reload = {
    .name = "reload",
    .about = "Let the running node read its settings again",
    .help =
        "Waits until every new request is served by the new settings, and prints what changed;\n"
        "what waits for a restart says so. When they are wrong the former ones stay in force,\n"
        "the errors are printed with line and column, and the exit code is 1.\n" FINDS,
    ASKS,
    .examples = reload_examples,
    .example_count = PC_COUNT(reload_examples),
    .run = reload_run,
};

static const struct command_example upstreams_examples[] = {
    {"admin upstreams", "Which targets are well, and how busy are they?"},
};

const struct command command_admin_upstreams = {
    .name = "admin upstreams",
    .about = "Show upstreams, the health of their targets and requests in flight",
    .help =
        "A line for each target, or for each address of one by name: well, drained, down (its\n"
        "checks fail), ejected (requests failed), on_trial or absent (its name has no address);\n"
        "its weight, requests in flight and average latency.\n" FINDS,
    SHOWS,
    .examples = upstreams_examples,
    .example_count = PC_COUNT(upstreams_examples),
    .run = upstreams_run,
};

static const struct command_example drain_examples[] = {
    {"admin drain shop http://10.0.0.7:9001", "Before that server is taken down."},
};

const struct command command_admin_drain = {
    .name = "admin drain",
    .operands = "UPSTREAM TARGET",
    .about = "Send no new requests to a target",
    .help = "Requests under way come to their end. It stays so, whatever the settings say, until\n"
            "`admin undrain` or the end of the node. The target is named by its URL, or its host\n"
            "and port. It is an event of the audit log.\n" FINDS,
    ASKS,
    .examples = drain_examples,
    .example_count = PC_COUNT(drain_examples),
    .operands_min = 2,
    .operands_max = 2,
    .run = drain_run,
};

static const struct command_example undrain_examples[] = {
    {"admin undrain shop http://10.0.0.7:9001", "It is back."},
};

const struct command command_admin_undrain = {
    .name = "admin undrain",
    .operands = "UPSTREAM TARGET",
    .about = "Send requests to a drained target again",
    .help = "Also to one that the settings drain. It is an event of the audit log.\n" FINDS,
    ASKS,
    .examples = undrain_examples,
    .example_count = PC_COUNT(undrain_examples),
    .operands_min = 2,
    .operands_max = 2,
    .run = undrain_run,
};

static const struct command_example breakers_examples[] = {
    {"admin breakers", "Which routes are refused, and for how long?"},
    {"admin breakers --json", "The same for a program."},
};

const struct command command_admin_breakers = {
    .name = "admin breakers",
    .about = "Show circuit breakers that are not closed",
    .help = "A line for each: its state, method, route and host, and when it is tried again; then\n"
            "how many are closed.\n" FINDS,
    SHOWS,
    .examples = breakers_examples,
    .example_count = PC_COUNT(breakers_examples),
    .run = breakers_run,
};

static const struct command_example limits_examples[] = {
    {"admin limits", "What may a client ask for in a minute?"},
};

const struct command command_admin_limits = {
    .name = "admin limits",
    .about = "Show the rates in force",
    .help = "A line for each: in general, of routes, of users, of routes to upstreams by what\n"
            "they count.\n" FINDS,
    SHOWS,
    .examples = limits_examples,
    .example_count = PC_COUNT(limits_examples),
    .run = limits_run,
};

static const struct command_example config_examples[] = {
    {"admin config", "Did the reload arrive?"},
};

const struct command command_admin_config = {
    .name = "admin config",
    .about = "Show the settings that the running node has in force",
    .help = "As JSON, with --json and without it: secrets masked, with the hash that `check`\n"
            "prints of the file.\n" FINDS,
    SHOWS,
    .examples = config_examples,
    .example_count = PC_COUNT(config_examples),
    .run = config_run,
};

/* ---- asking ------------------------------------------------------------------------------------
 */

enum { ANSWER_BYTES_MAX = 2 * 1024 * 1024, PATH_BYTES_MAX = 4096 };

struct conversation {
    struct arena arena;
    struct span body;
    int status;
};

/* --socket, else by the settings. */
static enum command_exit place(const struct command_call *call, struct sockaddr_un *address)
{
    const char *given = command_value(call, "--socket");
    struct sbuf path = sbuf_over(address->sun_path, sizeof(address->sun_path) - 1);
    struct command_settings settings;
    enum command_exit answer = COMMAND_GOOD;

    address->sun_family = AF_UNIX;
    if (given != NULL) {
        sbuf_add_text(&path, given);
    } else {
        answer = command_settings_load(call, true, &settings);
        if (answer == COMMAND_GOOD && settings.config.admin.socket != NULL)
            sbuf_add_text(&path, settings.config.admin.socket);
        else if (answer == COMMAND_GOOD)
            sbuf_add_format(&path, "%s/admin.sock", settings.config.data);
        command_settings_free(&settings);
    }
    if (answer == COMMAND_GOOD && path.full) {
        command_tell(call, "the path of the socket is too long");
        answer = COMMAND_BAD;
    }
    return answer;
}

static bool send_all(int fd, struct span text)
{
    while (text.len > 0) {
        ssize_t sent = send(fd, text.ptr, text.len, MSG_NOSIGNAL);

        if (sent <= 0)
            return false;
        text = span_slice(text, (size_t)sent, text.len);
    }
    return true;
}

/* To the end of the connection. */
static bool hear(int fd, struct sbuf *out)
{
    char piece[16 * 1024];
    ssize_t got;

    while ((got = recv(fd, piece, sizeof(piece), 0)) > 0)
        sbuf_add_bytes(out, piece, (size_t)got);
    return got == 0 && !out->full;
}

static bool understand(struct conversation *talk, struct span text)
{
    uint64_t status;

    for (size_t i = 0; i + 4 <= text.len; i++) {
        if (memcmp(text.ptr + i, "\r\n\r\n", 4) != 0)
            continue;
        talk->body = span_slice(text, i + 4, text.len);
        if (i < 12 || !span_to_u64(span_slice(text, 9, 12), &status))
            return false;
        talk->status = (int)status;
        return true;
    }
    return false;
}

static enum command_exit ask(const struct command_call *call, const char *method, struct span path,
                             struct conversation *talk)
{
    struct sockaddr_un address = {0};
    char text[PATH_BYTES_MAX + 128];
    struct sbuf request = sbuf_over(text, sizeof(text));
    struct sbuf answer = sbuf_on(&talk->arena, ANSWER_BYTES_MAX);
    enum command_exit found = place(call, &address);
    int fd;
    bool good;

    if (found != COMMAND_GOOD)
        return found;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        command_tell(call, "%s: no node answers there: %s", address.sun_path, strerror(errno));
        if (fd >= 0)
            (void)close(fd);
        return COMMAND_BAD;
    }
    sbuf_add_format(&request, "%s %.*s HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n", method,
                    SPAN_ARG(path));
    good = !request.full && send_all(fd, sbuf_span(&request)) && hear(fd, &answer) &&
           understand(talk, sbuf_span(&answer));
    (void)close(fd);
    if (!good)
        command_tell(call, "%s: the node's answer is not to be understood", address.sun_path);
    return good ? COMMAND_GOOD : COMMAND_BAD;
}

/* The answer as it is, when it was good; else why not. */
static enum command_exit show(const struct command_call *call, const struct conversation *talk)
{
    const struct json_value *root;
    struct sbuf out = {.ptr = NULL};
    struct arena *arena = &((struct conversation *)(uintptr_t)talk)->arena;
    struct span why;

    if (talk->status == 200) {
        out = sbuf_on(arena, ANSWER_BYTES_MAX);
        sbuf_add(&out, talk->body);
        return command_print(call, &out);
    }
    if (json_read(talk->body, arena, &root, NULL) == ERR_OK &&
        json_to_text(json_get(root, "error"), &why))
        command_tell(call, "%.*s", SPAN_ARG(why));
    else
        command_tell(call, "the node answers %d", talk->status);
    return COMMAND_BAD;
}

static enum command_exit simple(const struct command_call *call, const char *method,
                                struct span path)
{
    struct conversation talk = {0};
    enum command_exit answer;

    arena_init(&talk.arena, NULL, 0, 4 * ANSWER_BYTES_MAX);
    answer = ask(call, method, path, &talk);
    if (answer == COMMAND_GOOD)
        answer = show(call, &talk);
    arena_reset(&talk.arena);
    return answer;
}

static enum command_exit config_run(const struct command_call *call)
{
    return simple(call, "GET", SPAN_OF("/config"));
}

/* ---- draining ---- */

static void add_encoded(struct sbuf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        bool plain = (*text >= '0' && *text <= '9') || (*text >= 'a' && *text <= 'z') ||
                     (*text >= 'A' && *text <= 'Z') || strchr("-._~", *text) != NULL;

        if (plain)
            sbuf_add_char(out, *text);
        else
            sbuf_add_format(out, "%%%02X", (unsigned)(unsigned char)*text);
    }
}

static enum command_exit hold(const struct command_call *call, const char *verb)
{
    char text[PATH_BYTES_MAX];
    struct sbuf path = sbuf_over(text, sizeof(text));

    sbuf_add_lit(&path, "/upstreams/");
    add_encoded(&path, call->operands[0]);
    sbuf_add_lit(&path, "/targets/");
    add_encoded(&path, call->operands[1]);
    sbuf_add_format(&path, "/%s", verb);
    if (path.full) {
        command_tell(call, "the names are too long");
        return COMMAND_USAGE;
    }
    return simple(call, "POST", sbuf_span(&path));
}

static enum command_exit drain_run(const struct command_call *call)
{
    return hold(call, "drain");
}

static enum command_exit undrain_run(const struct command_call *call)
{
    return hold(call, "undrain");
}

/* ---- what people read --------------------------------------------------------------------------
 */

static struct span text_of(const struct json_value *object, const char *name)
{
    struct span text = {0};

    if (!json_to_text(json_get(object, name), &text))
        text = (struct span){0};
    return text;
}

static int64_t number_of(const struct json_value *object, const char *name)
{
    int64_t number = 0;

    if (!json_to_i64(json_get(object, name), &number))
        number = 0;
    return number;
}

static void add_upstream(const struct json_value *upstream, struct sbuf *out)
{
    const struct json_value *targets = json_get(upstream, "targets");
    struct span breaker = text_of(upstream, "breaker");

    sbuf_add_format(out, "%.*s", SPAN_ARG(text_of(upstream, "name")));
    if (breaker.len > 0)
        sbuf_add_format(out, "  breaker %.*s", SPAN_ARG(breaker));
    sbuf_add_char(out, '\n');
    for (size_t i = 0; json_is_list(targets) && i < targets->count; i++) {
        const struct json_value *target = &targets->items[i];

        sbuf_add_format(out, "  %-9.*s %-40.*s weight %lld  in flight %lld  latency %lld us\n",
                        SPAN_ARG(text_of(target, "state")), SPAN_ARG(text_of(target, "url")),
                        (long long)number_of(target, "weight"),
                        (long long)number_of(target, "in_flight"),
                        (long long)number_of(target, "latency_us"));
    }
}

static void upstreams_write(const struct json_value *root, struct sbuf *out)
{
    const struct json_value *list = json_get(root, "upstreams");

    for (size_t i = 0; json_is_list(list) && i < list->count; i++)
        add_upstream(&list->items[i], out);
    if (out->len == 0)
        sbuf_add_lit(out, "There are no upstreams.\n");
}

/* "open       GET     /shop  at b.example  (api-gateway)  tried again in 12 s" */
static void add_breaker(const struct json_value *breaker, struct sbuf *out)
{
    struct span host = text_of(breaker, "host");
    int64_t left_ms = number_of(breaker, "tried_again_in_ms");

    sbuf_add_format(out, "%-10.*s %-7.*s %.*s", SPAN_ARG(text_of(breaker, "state")),
                    SPAN_ARG(text_of(breaker, "method")), SPAN_ARG(text_of(breaker, "route")));
    if (host.len > 0)
        sbuf_add_format(out, "  at %.*s", SPAN_ARG(host));
    sbuf_add_format(out, "  (%.*s)", SPAN_ARG(text_of(breaker, "service")));
    if (left_ms > 0)
        sbuf_add_format(out, "  tried again in %lld s", (long long)((left_ms + 999) / 1000));
    sbuf_add_char(out, '\n');
}

static void breakers_write(const struct json_value *root, struct sbuf *out)
{
    const struct json_value *list = json_get(root, "breakers");

    for (size_t i = 0; json_is_list(list) && i < list->count; i++)
        add_breaker(&list->items[i], out);
    sbuf_add_format(out, "closed: %lld\n", (long long)number_of(root, "closed"));
}

/* "60 a minute, burst 60". */
static void add_rate(const struct json_value *rate, struct sbuf *out)
{
    static const struct {
        int64_t period_s;
        const char *name;
    } periods[] = {{1, "a second"}, {60, "a minute"}, {3600, "an hour"}, {86400, "a day"}};
    int64_t period_s = number_of(rate, "period_s");
    size_t i = 0;

    while (i < PC_COUNT(periods) && periods[i].period_s != period_s)
        i++;
    sbuf_add_format(out, "%lld ", (long long)number_of(rate, "requests"));
    if (i < PC_COUNT(periods))
        sbuf_add_text(out, periods[i].name);
    else
        sbuf_add_format(out, "in %lld s", (long long)period_s);
    sbuf_add_format(out, ", burst %lld", (long long)number_of(rate, "burst"));
}

/* A line of the table, of which `text` is what is limited. */
static void add_limit(const char *kind, struct span text, const struct json_value *rate,
                      struct sbuf *out)
{
    sbuf_add_format(out, "%-8s %-32.*s ", kind, SPAN_ARG(text));
    add_rate(rate, out);
    sbuf_add_char(out, '\n');
}

static void add_limits(const struct json_value *root, const char *list_name, const char *member,
                       struct sbuf *out)
{
    const struct json_value *list = json_get(root, list_name);

    for (size_t i = 0; json_is_list(list) && i < list->count; i++)
        add_limit(member, text_of(&list->items[i], member), &list->items[i], out);
}

/* Of a route to an upstream: none at all, so many a minute as the program's own, or a list. */
static void add_route_limits(const struct json_value *route, struct sbuf *out)
{
    const struct json_value *limits = json_get(route, "limits");
    struct span path = text_of(route, "route");
    int64_t requests = number_of(route, "requests_per_minute");
    bool exempt = false;

    if (json_to_bool(json_get(route, "exempt"), &exempt) && exempt)
        sbuf_add_format(out, "%-8s %-32.*s without a limit\n", "upstream", SPAN_ARG(path));
    if (requests > 0)
        sbuf_add_format(out, "%-8s %-32.*s %lld a minute\n", "upstream", SPAN_ARG(path),
                        (long long)requests);
    for (size_t i = 0; json_is_list(limits) && i < limits->count; i++) {
        sbuf_add_format(out, "%-8s %-32.*s ", "upstream", SPAN_ARG(path));
        add_rate(&limits->items[i], out);
        sbuf_add_format(out, ", by %.*s\n", SPAN_ARG(text_of(&limits->items[i], "key")));
    }
}

static void limits_write(const struct json_value *root, struct sbuf *out)
{
    const struct json_value *routes = json_get(root, "upstream_routes");

    add_limit("default", (struct span){0}, json_get(root, "default"), out);
    add_limits(root, "routes", "route", out);
    add_limits(root, "users", "user", out);
    for (size_t i = 0; json_is_list(routes) && i < routes->count; i++)
        add_route_limits(&routes->items[i], out);
}

typedef void table_write_fn(const struct json_value *root, struct sbuf *out);

/* Asks, and prints the table that `write` makes of the answer, or with --json the answer itself. */
static enum command_exit table(const struct command_call *call, struct span path,
                               table_write_fn *write)
{
    struct conversation talk = {0};
    const struct json_value *root = NULL;
    enum command_exit answer;
    struct sbuf out;

    if (command_given(call, "--json"))
        return simple(call, "GET", path);
    arena_init(&talk.arena, NULL, 0, 8 * ANSWER_BYTES_MAX);
    answer = ask(call, "GET", path, &talk);
    if (answer == COMMAND_GOOD &&
        (talk.status != 200 || json_read(talk.body, &talk.arena, &root, NULL) != ERR_OK)) {
        answer = show(call, &talk);
    } else if (answer == COMMAND_GOOD) {
        out = sbuf_on(&talk.arena, ANSWER_BYTES_MAX);
        write(root, &out);
        answer = command_print(call, &out);
    }
    arena_reset(&talk.arena);
    return answer;
}

static enum command_exit upstreams_run(const struct command_call *call)
{
    return table(call, SPAN_OF("/upstreams"), upstreams_write);
}

static enum command_exit breakers_run(const struct command_call *call)
{
    return table(call, SPAN_OF("/breakers"), breakers_write);
}

static enum command_exit limits_run(const struct command_call *call)
{
    return table(call, SPAN_OF("/limits"), limits_write);
}

static enum command_exit told(const struct command_call *call, struct conversation *talk)
{
    const struct json_value *root = NULL, *errors, *changes;
    struct sbuf out = sbuf_on(&talk->arena, ANSWER_BYTES_MAX);

    if (json_read(talk->body, &talk->arena, &root, NULL) != ERR_OK)
        return show(call, talk);
    errors = json_get(root, "errors");
    changes = json_get(root, "changes");
    for (size_t i = 0; json_is_list(errors) && i < errors->count; i++)
        (void)fprintf(call->io->err, "%.*s\n", SPAN_ARG(errors->items[i].text));
    if (json_is_list(errors)) {
        command_tell(call, "the former settings stay in force");
        return COMMAND_BAD;
    }
    if (talk->status != 200 || !json_is_list(changes))
        return show(call, talk);
    for (size_t i = 0; i < changes->count; i++)
        sbuf_add_format(&out, "%.*s\n", SPAN_ARG(changes->items[i].text));
    if (out.len == 0)
        sbuf_add_lit(&out, "Read again; nothing has changed.\n");
    return command_print(call, &out);
}

static enum command_exit reload_run(const struct command_call *call)
{
    struct conversation talk = {0};
    enum command_exit answer;

    arena_init(&talk.arena, NULL, 0, 8 * ANSWER_BYTES_MAX);
    answer = ask(call, "POST", SPAN_OF("/reload"), &talk);
    if (answer == COMMAND_GOOD)
        answer = told(call, &talk);
    arena_reset(&talk.arena);
    return answer;
}
