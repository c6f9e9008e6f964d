/* SPDX-License-Identifier: MIT
 * `portcullis man`: the manual pages, made from the tables of commands and of settings, so that
 * they know what this very program knows. */
#include <string.h>

#include "app/command.h"
#include "app/roff.h"

static command_run_fn man_run;

static const char *const pages[] = {"portcullis", "portcullis.yaml", NULL};

static const struct command_example examples[] = {
    {"man >/usr/local/share/man/man1/portcullis.1", "The page about the program, for man(1)."},
    {"man portcullis.yaml >/usr/local/share/man/man5/portcullis.yaml.5",
     "The page about the settings."},
    {"man | man -l -", "Read it without installing it."},
};

const struct command command_man = {
    .name = "man",
    .operands = "[PAGE]",
    .operand_choices = pages,
    .operands_max = 1,
    .about = "Print a manual page for man(1)",
    .help = "PAGE is portcullis, the program and its commands, or portcullis.yaml, its settings.\n"
            "Without it, it is the first. The pages are made from the tables that also do the\n"
            "work. Installing the program installs both.",
    .examples = examples,
    .example_count = PC_COUNT(examples),
    .run = man_run,
};

static void add_options(const struct command *command, struct sbuf *out)
{
    for (size_t i = 0; i < command->option_count; i++) {
        const struct command_option *option = &command->options[i];

        roff_line(".TP\n.B ", option->name, out);
        if (option->value != NULL) {
            sbuf_truncate(out, out->len - 1); /* the line goes on in another font */
            sbuf_add_lit(out, " \\fI");
            roff_text(span_from(option->value), out);
            sbuf_add_text(out, option->many ? "\\fR...\n" : "\\fR\n");
        }
        roff_line("", option->about, out);
    }
}

static void add_examples(const struct command *command, struct sbuf *out)
{
    for (size_t i = 0; i < command->example_count; i++) {
        const struct command_example *example = &command->examples[i];
        struct span rest = span_from(example->line);
        struct span line;

        /* One that goes on in another line says so with a backslash. */
        sbuf_add_lit(out, ".PP\n.nf\n.RS\nportcullis ");
        while (span_cut(&rest, '\n', &line)) {
            roff_text(line, out);
            sbuf_add_char(out, '\n');
        }
        sbuf_add_lit(out, ".RE\n.fi\n.RS 11\n");
        roff_line("", example->about, out);
        sbuf_add_lit(out, ".RE\n");
    }
}

static void add_command(const struct command *command, struct sbuf *out)
{
    roff_line(".SS portcullis ", command->name, out);
    roff_line("", command->about, out);
    sbuf_truncate(out, out->len - 1);
    sbuf_add_lit(out, ".\n");
    if (command->operands != NULL)
        roff_line(".PP\nTakes: ", command->operands, out);
    roff_paragraphs(command->help, out);
    add_options(command, out);
    add_examples(command, out);
}

/* What is no table: how to call it, and where it looks. */
static void add_program(struct sbuf *out)
{
    sbuf_add_lit(
        out,
        ".SH SYNOPSIS\n"
        ".B portcullis\n"
        "\\fICOMMAND\\fR [\\fIOPTION\\fR]... [\\fIOPERAND\\fR]...\n"
        ".br\n"
        ".B portcullis \\-\\-version\n"
        ".br\n"
        ".B portcullis\n"
        "[\\fICOMMAND\\fR] \\fB\\-\\-help\\fR\n"
        ".SH DESCRIPTION\n"
        "Portcullis is an API gateway for money in one program: it authenticates, limits,\n"
        "validates and records every request before anything behind it is touched. It issues\n"
        "OAuth 2 tokens, keeps users, accounts, a ledger and an audit log, and watches itself.\n"
        "It works on an embedded store or on PostgreSQL.\n"
        ".PP\n"
        "An option may be written as \\fB\\-\\-name value\\fR or \\fB\\-\\-name=value\\fR; every\n"
        "command takes \\fB\\-\\-help\\fR. Behind \\fB\\-\\-\\fR stand operands alone.\n");
}

static void add_world(struct sbuf *out)
{
    sbuf_add_lit(
        out, ".SH SIGNALS\n"
             "Of\n.BR \"portcullis serve\" :\n"
             ".TP\n.B SIGTERM, SIGINT\n"
             "Takes no new connections, lets requests in flight finish within\n"
             ".IR shutdown.drain_seconds ,\nand leaves.\n"
             ".TP\n.B SIGHUP\n"
             "Reads the settings again without dropping a request, and opens the log file again.\n"
             ".SH EXIT STATUS\n"
             ".TP\n.B 0\nGood.\n"
             ".TP\n.B 1\nWhat was asked for is bad, or failed.\n"
             ".TP\n.B 2\nThe command line is wrong.\n"
             ".SH FILES\n"
             ".TP\n.I portcullis.yaml\n"
             "The settings, in the working folder unless\n.B \\-\\-config\nnames another file.\n"
             ".TP\n.I data/\n"
             "The embedded store, keys, and the operators\\(aq socket; the setting\n.I data\n"
             "names another folder.\n"
             ".SH ENVIRONMENT\n"
             "Settings may come from the environment and stand over the file then;\n"
             ".BR portcullis.yaml (5)\nnames the variables.\n"
             ".SH SEE ALSO\n"
             ".BR portcullis.yaml (5)\n");
}

void command_man_program(struct sbuf *out)
{
    roff_page("portcullis", "1", "API gateway for money", out);
    add_program(out);
    sbuf_add_lit(out, ".SH COMMANDS\n");
    for (size_t i = 0; i < command_count; i++)
        add_command(command_table[i], out);
    add_world(out);
}

enum { PAGE_BYTES_MAX = 512 * 1024 };

static enum command_exit man_run(const struct command_call *call)
{
    enum command_exit answer;
    struct arena arena;
    struct sbuf out;

    arena_init(&arena, NULL, 0, 4 * PAGE_BYTES_MAX);
    out = sbuf_on(&arena, PAGE_BYTES_MAX);
    if (call->operand_count > 0 && strcmp(call->operands[0], "portcullis.yaml") == 0)
        config_man(&out);
    else
        command_man_program(&out);
    answer = command_print(call, &out);
    arena_reset(&arena);
    return answer;
}
