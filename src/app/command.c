/* SPDX-License-Identifier: MIT
 * From the words of a command line to a call of one command.
 *
 *   words -> the command (two words before one) -> options and operands -> run
 *
 * Whatever is wrong is told in one sentence with a suggestion and answered with exit code 2. */
#include "app/command.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

enum { LINE_BYTES_MAX = 1024, TEXT_BYTES_MAX = 256 * 1024, SETTINGS_BYTES_MAX = 32 * 1024 * 1024 };

/* The words that are left. */
struct words {
    const char *const *at;
    size_t count;
};

/* ---- telling ---- */

PC_FORMAT(3, 0)
static void tell(const struct command_io *io, const char *name, const char *format, va_list args)
{
    char line[LINE_BYTES_MAX];

    (void)vsnprintf(line, sizeof(line), format, args);
    (void)fprintf(io->err, "portcullis%s%s: %s\n", name[0] == '\0' ? "" : " ", name, line);
}

void command_tell(const struct command_call *call, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    tell(call->io, call->command->name, format, args);
    va_end(args);
}

PC_FORMAT(2, 3) static void tell_top(const struct command_io *io, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    tell(io, "", format, args);
    va_end(args);
}

enum command_exit command_print(const struct command_call *call, const struct sbuf *text)
{
    struct span whole;

    if (sbuf_finish(text, &whole) != ERR_OK) {
        command_tell(call, "out of memory");
        return COMMAND_BAD;
    }
    if ((whole.len > 0 && fwrite(whole.ptr, 1, whole.len, call->io->out) != whole.len) ||
        fflush(call->io->out) != 0) {
        command_tell(call, "cannot write: %s", strerror(errno));
        return COMMAND_BAD;
    }
    return COMMAND_GOOD;
}

/* ---- finding the command ---- */

static size_t word_count(const char *name)
{
    return strchr(name, ' ') == NULL ? 1 : 2;
}

static bool begins_with_word(const char *name, const char *word)
{
    struct span first = span_slice(span_from(name), 0, span_find(span_from(name), ' '));

    return span_is(first, word);
}

static bool is_command(const struct command *command, struct words words)
{
    struct span name = span_from(command->name);
    size_t space = span_find(name, ' ');

    if (words.count < word_count(command->name))
        return false;
    if (!span_is(span_slice(name, 0, space), words.at[0]))
        return false;
    return space == name.len ||
           (words.count > 1 && span_is(span_slice(name, space + 1, name.len), words.at[1]));
}

static const struct command *find(struct words words)
{
    for (size_t i = 0; i < command_count; i++)
        if (is_command(command_table[i], words))
            return command_table[i];
    return NULL;
}

static bool is_group(const char *word)
{
    for (size_t i = 0; i < command_count; i++)
        if (word_count(command_table[i]->name) == 2 &&
            begins_with_word(command_table[i]->name, word))
            return true;
    return false;
}

/* The name nearest to what was typed, NULL when none is near. */
static const char *nearest_command(struct span typed)
{
    const char *best = NULL;
    size_t best_distance = 3;

    for (size_t i = 0; i < command_count; i++) {
        size_t distance = span_distance(typed, span_from(command_table[i]->name));

        if (distance < best_distance && distance < typed.len) {
            best = command_table[i]->name;
            best_distance = distance;
        }
    }
    return best;
}

static enum command_exit refuse_command(struct words words, const struct command_io *io)
{
    char typed[128];
    struct sbuf out = sbuf_over(typed, sizeof(typed) - 1);
    const char *nearest;

    sbuf_add_text(&out, words.at[0]);
    if (words.count > 1 && is_group(words.at[0])) {
        sbuf_add_char(&out, ' ');
        sbuf_add_text(&out, words.at[1]);
    }
    typed[out.len] = '\0';
    nearest = nearest_command(sbuf_span(&out));
    if (nearest != NULL)
        tell_top(io, "unknown command \"%s\", did you mean \"%s\"?", typed, nearest);
    else
        tell_top(io, "unknown command \"%s\", see `portcullis help`", typed);
    return COMMAND_USAGE;
}

/* ---- options ---- */

static size_t option_at(const struct command *command, struct span name)
{
    size_t i = 0;

    while (i < command->option_count && !span_is(name, command->options[i].name))
        i++;
    return i;
}

static void refuse_option(const struct command_call *call, struct span name)
{
    const struct command *command = call->command;
    const char *best = NULL;
    size_t best_distance = 4;

    for (size_t i = 0; i < command->option_count; i++) {
        size_t distance = span_distance(name, span_from(command->options[i].name));

        if (distance < best_distance) {
            best = command->options[i].name;
            best_distance = distance;
        }
    }
    if (command->operands_max > 0 && name.len > 2 && name.ptr[1] != '-')
        /* A key's id may look like this. */
        command_tell(call, "unknown option \"%.*s\"; if it is the %s, write it behind --",
                     SPAN_ARG(name), command->operands);
    else if (best != NULL)
        command_tell(call, "unknown option \"%.*s\", did you mean \"%s\"?", SPAN_ARG(name), best);
    else
        command_tell(call, "unknown option \"%.*s\", see `portcullis %s --help`", SPAN_ARG(name),
                     command->name);
}

/* Takes an option and its value off the words. */
static bool option_take(struct command_call *call, struct words *words)
{
    struct span word = span_from(words->at[0]);
    struct span name = span_slice(word, 0, span_find(word, '='));
    size_t i = option_at(call->command, name);
    const struct command_option *option = &call->command->options[i];
    const char *value = "";

    if (i == call->command->option_count) {
        refuse_option(call, name);
        return false;
    }
    words->at++, words->count--;
    if (option->value == NULL && name.len < word.len) {
        command_tell(call, "%s takes no value", option->name);
        return false;
    }
    if (option->value != NULL && name.len < word.len) {
        value = word.ptr + name.len + 1;
    } else if (option->value != NULL) {
        if (words->count == 0) {
            command_tell(call, "%s needs a value: %s %s", option->name, option->name,
                         option->value);
            return false;
        }
        value = words->at[0];
        words->at++, words->count--;
    }
    if (call->value_counts[i] == (option->many ? COMMAND_VALUES_MAX - 1 : 1)) {
        command_tell(call, "%s is given %s", option->name, option->many ? "too often" : "twice");
        return false;
    }
    call->values[i][call->value_counts[i]++] = value;
    return true;
}

static bool is_choice(const char *const *choices, const char *word)
{
    for (size_t i = 0; choices[i] != NULL; i++)
        if (strcmp(choices[i], word) == 0)
            return true;
    return false;
}

static void refuse_choice(const struct command_call *call, const char *word)
{
    char names[128];
    struct sbuf out = sbuf_over(names, sizeof(names));

    for (size_t i = 0; call->command->operand_choices[i] != NULL; i++)
        sbuf_add_format(&out, "%s%s", i > 0 ? ", " : "", call->command->operand_choices[i]);
    command_tell(call, "does not know \"%s\", there is: %.*s", word, SPAN_ARG(sbuf_span(&out)));
}

static bool operand_take(struct command_call *call, struct words *words)
{
    const char *const *choices = call->command->operand_choices;

    if (call->operand_count == call->command->operands_max) {
        command_tell(call, "does not know what to do with \"%s\", see `portcullis %s --help`",
                     words->at[0], call->command->name);
        return false;
    }
    if (choices != NULL && call->operand_count >= call->command->operand_choices_from &&
        !is_choice(choices, words->at[0])) {
        refuse_choice(call, words->at[0]);
        return false;
    }
    call->operands[call->operand_count++] = words->at[0];
    words->at++, words->count--;
    return true;
}

static bool words_take(struct command_call *call, struct words words)
{
    bool options_end = false;

    while (words.count > 0) {
        const char *word = words.at[0];
        bool is_option = !options_end && word[0] == '-' && word[1] != '\0';

        if (is_option && strcmp(word, "--") == 0) {
            options_end = true;
            words.at++, words.count--;
            continue;
        }
        if (!(is_option ? option_take(call, &words) : operand_take(call, &words)))
            return false;
    }
    if (call->operand_count < call->command->operands_min) {
        command_tell(call, "needs %s, see `portcullis %s --help`", call->command->operands,
                     call->command->name);
        return false;
    }
    return true;
}

const char *const *command_values(const struct command_call *call, const char *name)
{
    size_t i = option_at(call->command, span_from(name));

    PC_ASSERT(i < call->command->option_count);
    return call->values[i];
}

const char *command_value(const struct command_call *call, const char *name)
{
    return command_values(call, name)[0];
}

bool command_given(const struct command_call *call, const char *name)
{
    return command_value(call, name) != NULL;
}

/* ---- help ---- */

static bool wants_help(struct words words)
{
    for (size_t i = 0; i < words.count && strcmp(words.at[i], "--") != 0; i++)
        if (strcmp(words.at[i], "--help") == 0 || strcmp(words.at[i], "-h") == 0)
            return true;
    return false;
}

static void print_help(const char *name, FILE *file)
{
    struct arena arena;
    struct sbuf out;

    arena_init(&arena, NULL, 0, TEXT_BYTES_MAX);
    out = sbuf_on(&arena, TEXT_BYTES_MAX);
    if (name == NULL)
        command_help_all(&out);
    else
        (void)command_help_on(name, &out);
    if (out.len > 0)
        (void)fwrite(out.ptr, 1, out.len, file);
    (void)fflush(file);
    arena_reset(&arena);
}

/* Words that only ask what there is; false when they name a command. */
static bool only_asks(struct words words, const struct command_io *io, enum command_exit *ret)
{
    if (words.count == 0) {
        print_help(NULL, io->err);
        *ret = COMMAND_USAGE;
        return true;
    }
    if (strcmp(words.at[0], "--help") == 0 || strcmp(words.at[0], "-h") == 0) {
        print_help(NULL, io->out);
        *ret = COMMAND_GOOD;
        return true;
    }
    if (is_group(words.at[0]) && (words.count == 1 || words.at[1][0] == '-')) {
        bool asked = wants_help(words);

        print_help(words.at[0], asked ? io->out : io->err);
        *ret = asked ? COMMAND_GOOD : COMMAND_USAGE;
        return true;
    }
    return false;
}

int command_main(int argc, const char *const *argv, const struct command_io *io)
{
    struct words words = {.at = argv + (argc > 0), .count = argc > 0 ? (size_t)argc - 1 : 0};
    static const char *const version[] = {"version"};
    struct command_call call = {.io = io};
    enum command_exit answer;
    size_t taken;

    if (only_asks(words, io, &answer))
        return (int)answer;
    if (strcmp(words.at[0], "--version") == 0)
        words = (struct words){.at = version, .count = 1};
    call.command = find(words);
    if (call.command == NULL)
        return (int)refuse_command(words, io);
    taken = word_count(call.command->name);
    words = (struct words){.at = words.at + taken, .count = words.count - taken};
    if (wants_help(words)) {
        print_help(call.command->name, io->out);
        return COMMAND_GOOD;
    }
    if (!words_take(&call, words))
        return COMMAND_USAGE;
    return (int)call.command->run(&call);
}

/* ---- settings ---- */

enum command_exit command_settings_load(const struct command_call *call, bool quiet,
                                        struct command_settings *ret)
{
    return command_settings_load_for(call, quiet, 0, ret);
}

static enum command_exit load(const struct command_call *call, const char *path, bool quiet,
                              unsigned services, struct command_settings *ret)
{
    struct config_sources sources = {
        .path = path, .environ = call->io->environ, .services = services};
    const struct config_problems *problems = &ret->problems;
    enum err err;

    arena_init(&ret->arena, NULL, 0, SETTINGS_BYTES_MAX);
    err = config_load(&sources, &ret->arena, &ret->config, &ret->origins, &ret->problems);
    for (size_t i = 0; i < problems->count; i++)
        if (!problems->list[i].warning || !quiet)
            (void)fprintf(call->io->err, "%s%.*s\n", problems->list[i].warning ? "warning: " : "",
                          SPAN_ARG(problems->list[i].line));
    if (problems->omitted > 0)
        (void)fprintf(call->io->err, "and %zu more\n", problems->omitted);
    if (err == ERR_NO_MEMORY)
        command_tell(call, "out of memory");
    return err ? COMMAND_BAD : COMMAND_GOOD;
}

enum command_exit command_settings_load_for(const struct command_call *call, bool quiet,
                                            unsigned services, struct command_settings *ret)
{
    return load(call, command_value(call, "--config"), quiet, services, ret);
}

enum command_exit command_settings_read(const struct command_call *call, const char *path,
                                        struct command_settings *ret)
{
    return load(call, path, true, 0, ret);
}

void command_settings_free(struct command_settings *settings)
{
    arena_reset(&settings->arena);
}
