/* SPDX-License-Identifier: MIT
 * The commands of the program. One const table is the dispatcher, the usage text, the help pages
 * and the completion scripts. A command is a row of it in a file of its own (command_check.c ...).
 *
 *   int main(...) { return command_main(argc, argv, &io); }
 *
 * Exit codes: 0 good, 1 what was asked for is bad or failed, 2 wrong use.
 * Threads: the main thread.    Memory: texts of argv and of the tables; each command its own arena.
 * Errors:  told in words on io->err by the command that met them. */
#ifndef PC_APP_COMMAND_H
#define PC_APP_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "app/config.h"

enum command_exit { COMMAND_GOOD, COMMAND_BAD, COMMAND_USAGE };

enum { COMMAND_OPTIONS_MAX = 24, COMMAND_VALUES_MAX = 16, COMMAND_OPERANDS_MAX = 16 };

/* What a value is, for the completion scripts. */
enum command_value { COMMAND_VALUE_TEXT, COMMAND_VALUE_FILE, COMMAND_VALUE_FOLDER };

struct command_option {
    const char *name;  /* "--config" */
    const char *value; /* "FILE", or NULL for a switch */
    const char *about;
    enum command_value kind;
    bool many; /* may be given several times */
};

struct command_example {
    const char *line; /* after "portcullis " */
    const char *about;
};

struct command_call;
typedef enum command_exit command_run_fn(const struct command_call *call);

struct command {
    const char *name;                     /* one or two words: "user create" */
    const char *operands;                 /* "EMAIL"; NULL: none are taken */
    const char *const *operand_choices;   /* closed by NULL; NULL: any text */
    size_t operand_choices_from;          /* the operands before this one are any text */
    const char *about;                    /* one line without a full stop */
    const char *help;                     /* paragraphs */
    const struct command_option *options; /* beside --help, which all have */
    const struct command_example *examples;
    size_t option_count, example_count;
    size_t operands_min, operands_max;
    command_run_fn *run;
};

/* The world outside, so that tests can be it. */
struct command_io {
    FILE *out;
    FILE *err;
    int in; /* file descriptor */
    const char *const *environ;
};

/* A command line that was understood. */
struct command_call {
    const struct command *command;
    const struct command_io *io;
    const char *values[COMMAND_OPTIONS_MAX][COMMAND_VALUES_MAX]; /* "" for a switch */
    size_t value_counts[COMMAND_OPTIONS_MAX];
    const char *operands[COMMAND_OPERANDS_MAX];
    size_t operand_count;
};

extern const struct command *const command_table[];
extern const size_t command_count;

/* Understands the command line and runs it. */
int command_main(int argc, const char *const *argv, const struct command_io *io);

/* The value of an option of this command, the first if it was given several times; NULL when it was
 * not given. The name must be one of its options. */
const char *command_value(const struct command_call *call, const char *name);
bool command_given(const struct command_call *call, const char *name);

/* All values of an option, closed by NULL. */
const char *const *command_values(const struct command_call *call, const char *name);

/* "portcullis check: TEXT" on io->err. */
PC_FORMAT(2, 3) void command_tell(const struct command_call *call, const char *format, ...);

/* Writes a finished text to io->out. COMMAND_BAD if it could not be written (told). */
PC_CHECKED enum command_exit command_print(const struct command_call *call,
                                           const struct sbuf *text);

/* ---- what several commands share ---- */

#define COMMAND_CONFIG_OPTION                                                                      \
    {                                                                                              \
        .name = "--config", .value = "FILE", .kind = COMMAND_VALUE_FILE,                           \
        .about = "Read settings from FILE instead of ./portcullis.yaml"                            \
    }

/* Settings as loaded for a command that has --config. */
struct command_settings {
    struct arena arena;
    struct config config;
    struct config_origins origins;
    struct config_problems problems;
};

/* Loads them and tells every problem on io->err; warnings too unless `quiet`. Free in any case. */
PC_CHECKED enum command_exit command_settings_load(const struct command_call *call, bool quiet,
                                                   struct command_settings *ret);
/* The same for a program that serves only some of the services (bits; 0: all). */
PC_CHECKED enum command_exit command_settings_load_for(const struct command_call *call, bool quiet,
                                                       unsigned services,
                                                       struct command_settings *ret);
/* From this file, without its warnings. */
PC_CHECKED enum command_exit command_settings_read(const struct command_call *call,
                                                   const char *path, struct command_settings *ret);
void command_settings_free(struct command_settings *settings);

/* ---- help ---- */

/* Help on all, on a group ("user") or on one command; NULL when there is nothing of that name. */
void command_help_all(struct sbuf *out);
bool command_help_on(const char *name, struct sbuf *out);

/* The page portcullis(1). */
void command_man_program(struct sbuf *out);

extern const char *const command_shells[]; /* closed by NULL */
bool command_completion_for(const char *shell, struct sbuf *out);

/* "0.1.0" and "0.1.0-12-gabcdef" (or the same again where there is no git). */
const char *command_version_number(void);
const char *command_version_revision(void);

#endif
