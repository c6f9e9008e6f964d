/* SPDX-License-Identifier: MIT
 * The help pages, made from the command table. */
#include "app/command.h"

#include <string.h>

enum { NAME_WIDTH = 22, OPTION_WIDTH = 24 };

static void pad(struct sbuf *out, size_t begin, size_t width)
{
    do
        sbuf_add_char(out, ' ');
    while (out->len < begin + width && !out->full);
}

static void add_line(struct sbuf *out, const char *name, size_t width, const char *about)
{
    size_t begin;

    sbuf_add_lit(out, "  ");
    begin = out->len;
    sbuf_add_text(out, name);
    pad(out, begin, width);
    sbuf_add_format(out, "%s\n", about);
}

void command_help_all(struct sbuf *out)
{
    sbuf_add_format(out, "portcullis %s: an API gateway for money\n\n", command_version_number());
    sbuf_add_lit(out, "Usage: portcullis COMMAND [OPTION]...\n\nCommands:\n");
    for (size_t i = 0; i < command_count; i++)
        add_line(out, command_table[i]->name, NAME_WIDTH, command_table[i]->about);
    sbuf_add_lit(out, "\n`portcullis COMMAND --help` tells more, with examples.\n"
                      "Exit codes: 0 good, 1 what was asked for is bad or failed, 2 wrong use.\n");
}

static void add_options(const struct command *command, struct sbuf *out)
{
    sbuf_add_lit(out, "\nOptions:\n");
    for (size_t i = 0; i < command->option_count; i++) {
        const struct command_option *option = &command->options[i];
        char name[64];
        struct sbuf text = sbuf_over(name, sizeof(name) - 1);

        sbuf_add_text(&text, option->name);
        if (option->value != NULL)
            sbuf_add_format(&text, " %s%s", option->value, option->many ? "..." : "");
        name[text.len] = '\0';
        add_line(out, name, OPTION_WIDTH, option->about);
    }
    add_line(out, "--help", OPTION_WIDTH, "Print this page");
}

static void add_page(const struct command *command, struct sbuf *out)
{
    sbuf_add_format(out, "portcullis %s: %s\n\nUsage: portcullis %s", command->name, command->about,
                    command->name);
    if (command->option_count > 0)
        sbuf_add_lit(out, " [OPTION]...");
    if (command->operands != NULL)
        sbuf_add_format(out, " %s", command->operands);
    sbuf_add_format(out, "\n\n%s\n", command->help);
    add_options(command, out);
    if (command->example_count > 0)
        sbuf_add_lit(out, "\nExamples:\n");
    for (size_t i = 0; i < command->example_count; i++)
        sbuf_add_format(out, "  portcullis %s\n      %s\n", command->examples[i].line,
                        command->examples[i].about);
}

static void add_group(const char *name, struct sbuf *out)
{
    size_t len = strlen(name);
    bool any = false;

    for (size_t i = 0; i < command_count; i++) {
        if (strncmp(command_table[i]->name, name, len) != 0 || command_table[i]->name[len] != ' ')
            continue;
        if (!any)
            sbuf_add_format(out, "Usage: portcullis %s COMMAND [OPTION]...\n\nCommands:\n", name);
        add_line(out, command_table[i]->name, NAME_WIDTH, command_table[i]->about);
        any = true;
    }
    if (any)
        sbuf_add_format(out, "\n`portcullis %s COMMAND --help` tells more, with examples.\n", name);
}

bool command_help_on(const char *name, struct sbuf *out)
{
    size_t begin = out->len;

    for (size_t i = 0; i < command_count; i++)
        if (strcmp(command_table[i]->name, name) == 0) {
            add_page(command_table[i], out);
            return true;
        }
    add_group(name, out);
    return out->len > begin;
}

/* ---- the command ---- */

static command_run_fn help_run;

const struct command command_help = {
    .name = "help",
    .operands = "[COMMAND]",
    .operands_max = 2,
    .about = "Tell what there is, or more about one command",
    .help = "Without a command it lists them all.",
    .examples = (const struct command_example[]){{"help serve", "How to start the gateway."},
                                                 {"help user", "What can be done with users."}},
    .example_count = 2,
    .run = help_run,
};

static enum command_exit help_run(const struct command_call *call)
{
    enum command_exit answer = COMMAND_GOOD;
    char name[64];
    struct sbuf joined = sbuf_over(name, sizeof(name) - 1);
    struct arena arena;
    struct sbuf out;

    arena_init(&arena, NULL, 0, 64 * 1024);
    out = sbuf_on(&arena, 64 * 1024);
    for (size_t i = 0; i < call->operand_count; i++)
        sbuf_add_format(&joined, "%s%s", i > 0 ? " " : "", call->operands[i]);
    name[joined.len] = '\0';
    if (call->operand_count == 0)
        command_help_all(&out);
    else if (!command_help_on(name, &out)) {
        command_tell(call, "there is no command \"%s\", see `portcullis help`", name);
        answer = COMMAND_USAGE;
    }
    if (answer == COMMAND_GOOD)
        answer = command_print(call, &out);
    arena_reset(&arena);
    return answer;
}
