/* SPDX-License-Identifier: MIT
 * `portcullis check`: is the configuration good, what is in force and why, and what could be set.
 */
#include "app/command.h"

static command_run_fn check_run;

static const struct command_option options[] = {
    COMMAND_CONFIG_OPTION,
    {.name = "--explain", .about = "Print every setting in force and where it came from"},
    {.name = "--reference", .about = "Print what can be set, as the page docs/configuration.md"},
    {.name = "--example", .about = "Print a commented file with every default"},
};

static const struct command_example examples[] = {
    {"check", "Look at ./portcullis.yaml (if there is one) and the environment."},
    {"check --config /etc/portcullis.yaml --explain", "See what a deployment would run with."},
    {"check --example >portcullis.yaml", "Begin a file of your own."},
};

const struct command command_check = {
    .name = "check",
    .about = "Tell what is wrong with the settings",
    .help = "Reads the file and the environment just as `serve` does, and tells every mistake with "
            "its\n"
            "line and column, with a suggestion for a mistyped key. Exits with 1 if `serve` would\n"
            "refuse to start; warnings alone do not stop it. Secrets are never printed.",
    .options = options,
    .option_count = PC_COUNT(options),
    .examples = examples,
    .example_count = PC_COUNT(examples),
    .run = check_run,
};

enum { TEXT_BYTES_MAX = 256 * 1024 };

/* What can be set is the same whatever is set. */
static enum command_exit print_pages(const struct command_call *call)
{
    enum command_exit answer;
    struct arena arena;
    struct sbuf out;

    arena_init(&arena, NULL, 0, 4 * TEXT_BYTES_MAX);
    out = sbuf_on(&arena, TEXT_BYTES_MAX);
    if (command_given(call, "--reference"))
        config_reference(&out);
    if (command_given(call, "--example"))
        config_example(&out);
    answer = command_print(call, &out);
    arena_reset(&arena);
    return answer;
}

static void add_verdict(const struct command_settings *settings, struct sbuf *out)
{
    size_t warnings = settings->problems.count - settings->problems.errors;
    bool production = settings->config.environment == CONFIG_PRODUCTION;

    sbuf_add_format(out, "The settings are good for %s", production ? "production" : "development");
    if (warnings > 0)
        sbuf_add_format(out, ", with %zu warning%s", warnings, warnings == 1 ? "" : "s");
    sbuf_add_lit(out, ".\n");
}

static enum command_exit check_run(const struct command_call *call)
{
    struct command_settings settings;
    enum command_exit answer;
    struct sbuf out;

    if (command_given(call, "--reference") || command_given(call, "--example"))
        return print_pages(call);
    answer = command_settings_load(call, false, &settings);
    if (answer == COMMAND_GOOD) {
        out = sbuf_on(&settings.arena, TEXT_BYTES_MAX);
        if (command_given(call, "--explain"))
            config_explain(&settings.config, &settings.origins, &out);
        else
            add_verdict(&settings, &out);
        answer = command_print(call, &out);
    }
    command_settings_free(&settings);
    return answer;
}
