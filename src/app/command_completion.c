/* SPDX-License-Identifier: MIT
 * `portcullis completion`: scripts for bash, zsh and fish, made from the command table, so they
 * know what this very program knows. They call nothing and need no other package. */
#include "app/command.h"

#include <string.h>

static command_run_fn completion_run;

const char *const command_shells[] = {"bash", "zsh", "fish", NULL};

static const struct command_example examples[] = {
    {"completion bash >/etc/bash_completion.d/portcullis", "For every user, with bash."},
    {"completion zsh >~/.zfunc/_portcullis", "For yourself, with zsh; the folder is in $fpath."},
    {"completion fish >~/.config/fish/completions/portcullis.fish", "For yourself, with fish."},
};

const struct command command_completion = {
    .name = "completion",
    .operands = "bash|zsh|fish",
    .operand_choices = command_shells,
    .operands_min = 1,
    .operands_max = 1,
    .about = "Print a completion script for a shell",
    .help = "The script completes commands, options and file names.",
    .examples = examples,
    .example_count = PC_COUNT(examples),
    .run = completion_run,
};

static struct span first_word(const char *name)
{
    return span_slice(span_from(name), 0, span_find(span_from(name), ' '));
}

static struct span second_word(const char *name)
{
    struct span all = span_from(name);

    return span_slice(all, first_word(name).len + 1, all.len);
}

/* Is command i the first of the table with this first word? */
static bool is_first_of_word(size_t i)
{
    struct span word = first_word(command_table[i]->name);

    for (size_t j = 0; j < i; j++)
        if (span_equal(word, first_word(command_table[j]->name)))
            return false;
    return true;
}

static void add_first_words(struct sbuf *out)
{
    for (size_t i = 0; i < command_count; i++)
        if (is_first_of_word(i)) {
            sbuf_add(out, first_word(command_table[i]->name));
            sbuf_add_char(out, ' ');
        }
}

static void add_choices(const struct command *command, struct sbuf *out)
{
    for (size_t i = 0; i < command->option_count; i++)
        sbuf_add_format(out, "%s ", command->options[i].name);
    sbuf_add_lit(out, "--help ");
    for (size_t i = 0; command->operand_choices != NULL && command->operand_choices[i]; i++)
        sbuf_add_format(out, "%s ", command->operand_choices[i]);
}

/* ---- bash and zsh: a case over the words so far ---- */

static void add_group_cases(struct sbuf *out)
{
    for (size_t i = 0; i < command_count; i++) {
        struct span word = first_word(command_table[i]->name);

        if (second_word(command_table[i]->name).len == 0 || !is_first_of_word(i))
            continue;
        sbuf_add_format(out, "    '%.*s ') words='", SPAN_ARG(word));
        for (size_t j = i; j < command_count; j++)
            if (span_equal(word, first_word(command_table[j]->name))) {
                sbuf_add(out, second_word(command_table[j]->name));
                sbuf_add_char(out, ' ');
            }
        sbuf_add_lit(out, "' ;;\n");
    }
}

static void add_cases(struct sbuf *out)
{
    sbuf_add_lit(out, "    ' ' | 'help ') words='");
    add_first_words(out);
    sbuf_add_lit(out, "' ;;\n");
    add_group_cases(out);
    for (size_t i = 0; i < command_count; i++) {
        sbuf_add_format(out, "    '%s '*) words='", command_table[i]->name);
        add_choices(command_table[i], out);
        sbuf_add_lit(out, "' ;;\n");
    }
}

/* "--config|--data", of all commands, whose value is of this kind; false when there is none. */
static bool add_options_of(enum command_value kind, struct sbuf *out)
{
    size_t begin = out->len;

    for (size_t i = 0; i < command_count; i++)
        for (size_t j = 0; j < command_table[i]->option_count; j++) {
            const struct command_option *option = &command_table[i]->options[j];
            struct span so_far = span_slice(sbuf_span(out), begin, out->len);
            struct span name = span_from(option->name);
            bool listed = false;

            for (struct span part; span_cut(&so_far, '|', &part);)
                listed |= span_equal(span_trim(part), name);
            if (option->value == NULL || option->kind != kind || listed)
                continue;
            if (out->len > begin)
                sbuf_add_lit(out, " | ");
            sbuf_add(out, name);
        }
    return out->len > begin;
}

static void add_value_case(enum command_value kind, const char *action, struct sbuf *out)
{
    size_t begin = out->len;

    sbuf_add_lit(out, "    ");
    if (add_options_of(kind, out))
        sbuf_add_format(out, ") %s ;;\n", action);
    else
        sbuf_truncate(out, begin);
}

#define FILES(kind)                                                                                \
    "compopt -o filenames 2>/dev/null; "                                                           \
    "mapfile -t COMPREPLY < <(compgen " kind " -- \"$word\"); return"

static void add_bash(struct sbuf *out)
{
    sbuf_add_lit(out, "# portcullis completion for bash\n"
                      "_portcullis() {\n"
                      "    local word=${COMP_WORDS[COMP_CWORD]} words=\n"
                      "    local before=${COMP_WORDS[COMP_CWORD - 1]}\n"
                      "    local line=\"${COMP_WORDS[*]:1:COMP_CWORD-1} \"\n"
                      "    COMPREPLY=()\n"
                      "    case $before in\n");
    add_value_case(COMMAND_VALUE_FILE, FILES("-f"), out);
    add_value_case(COMMAND_VALUE_FOLDER, FILES("-d"), out);
    add_value_case(COMMAND_VALUE_TEXT, "return", out);
    sbuf_add_lit(out, "    esac\n    case $line in\n");
    add_cases(out);
    sbuf_add_lit(out, "    esac\n"
                      "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
                      "}\n"
                      "complete -F _portcullis portcullis\n");
}

static void add_zsh(struct sbuf *out)
{
    sbuf_add_lit(out, "#compdef portcullis\n"
                      "# portcullis completion for zsh\n"
                      "_portcullis() {\n"
                      "    local line=\"${words[2,CURRENT-1]} \" before=${words[CURRENT-1]}\n"
                      "    local words=\n"
                      "    case $before in\n");
    add_value_case(COMMAND_VALUE_FILE, "_files; return", out);
    add_value_case(COMMAND_VALUE_FOLDER, "_files -/; return", out);
    add_value_case(COMMAND_VALUE_TEXT, "return", out);
    sbuf_add_lit(out, "    esac\n    case $line in\n");
    add_cases(out);
    sbuf_add_lit(out, "    esac\n"
                      "    compadd -- ${=words}\n"
                      "}\n"
                      "if [ \"$funcstack[1]\" = _portcullis ]; then\n"
                      "    _portcullis \"$@\"\n"
                      "else\n"
                      "    compdef _portcullis portcullis\n"
                      "fi\n");
}

/* ---- fish: a line each ---- */

/* A text in single quotes. */
static void add_quoted(const char *text, struct sbuf *out)
{
    sbuf_add_char(out, '\'');
    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\')
            sbuf_add_char(out, '\\');
        sbuf_add_char(out, *text);
    }
    sbuf_add_char(out, '\'');
}

/* When a command's options are offered: all of its words were typed. */
static void add_fish_condition(const struct command *command, struct sbuf *out)
{
    struct span second = second_word(command->name);

    sbuf_add_format(out, "complete -c portcullis -n '__fish_seen_subcommand_from %.*s",
                    SPAN_ARG(first_word(command->name)));
    if (second.len > 0)
        sbuf_add_format(out, "; and __fish_seen_subcommand_from %.*s", SPAN_ARG(second));
    sbuf_add_char(out, '\'');
}

static void add_fish_command(size_t i, struct sbuf *out)
{
    const struct command *command = command_table[i];
    struct span first = first_word(command->name);
    struct span second = second_word(command->name);

    if (is_first_of_word(i)) {
        sbuf_add_format(out, "complete -c portcullis -n __fish_use_subcommand -a %.*s -d ",
                        SPAN_ARG(first));
        add_quoted(second.len > 0 ? "Several commands" : command->about, out);
        sbuf_add_char(out, '\n');
    }
    if (second.len > 0) {
        sbuf_add_format(out,
                        "complete -c portcullis -n '__fish_seen_subcommand_from %.*s' -a %.*s "
                        "-d ",
                        SPAN_ARG(first), SPAN_ARG(second));
        add_quoted(command->about, out);
        sbuf_add_char(out, '\n');
    }
    for (size_t j = 0; j < command->option_count; j++) {
        const struct command_option *option = &command->options[j];

        add_fish_condition(command, out);
        sbuf_add_format(out, " -l %s -d ", option->name + 2);
        add_quoted(option->about, out);
        if (option->value != NULL)
            sbuf_add_text(out, option->kind == COMMAND_VALUE_TEXT ? " -x" : " -r -F");
        sbuf_add_char(out, '\n');
    }
    for (size_t j = 0; command->operand_choices != NULL && command->operand_choices[j]; j++) {
        add_fish_condition(command, out);
        sbuf_add_format(out, " -a %s\n", command->operand_choices[j]);
    }
}

static void add_fish(struct sbuf *out)
{
    sbuf_add_lit(out, "# portcullis completion for fish\n"
                      "complete -c portcullis -f\n"
                      "complete -c portcullis -l help -d 'Print help'\n");
    for (size_t i = 0; i < command_count; i++)
        add_fish_command(i, out);
}

bool command_completion_for(const char *shell, struct sbuf *out)
{
    if (strcmp(shell, "bash") == 0)
        add_bash(out);
    else if (strcmp(shell, "zsh") == 0)
        add_zsh(out);
    else if (strcmp(shell, "fish") == 0)
        add_fish(out);
    else
        return false;
    return true;
}

enum { SCRIPT_BYTES_MAX = 64 * 1024 };

static enum command_exit completion_run(const struct command_call *call)
{
    enum command_exit answer;
    struct arena arena;
    struct sbuf out;

    arena_init(&arena, NULL, 0, 4 * SCRIPT_BYTES_MAX);
    out = sbuf_on(&arena, SCRIPT_BYTES_MAX);
    PC_ASSERT(command_completion_for(call->operands[0], &out));
    answer = command_print(call, &out);
    arena_reset(&arena);
    return answer;
}
