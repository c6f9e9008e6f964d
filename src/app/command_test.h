/* SPDX-License-Identifier: MIT
 * Running command lines inside the test's own process, in a folder of their own. */
#ifndef PC_APP_COMMAND_TEST_H
#define PC_APP_COMMAND_TEST_H

#include "app/command.h"

enum { COMMAND_TEST_BYTES_MAX = 2 * 1024 * 1024 };

/* What the last command printed. */
extern char command_test_out[COMMAND_TEST_BYTES_MAX];
extern char command_test_err[COMMAND_TEST_BYTES_MAX];
extern const char *const command_test_no_environ[];

/* Runs "portcullis LINE"; words are parted by one space. Gives the exit code. */
int command_test_run(const char *line);
int command_test_run_with(const char *line, const char *const *variables);

/* The same with something on standard input: a text, or a descriptor. */
int command_test_run_input(const char *line, const char *input);
int command_test_run_fd(const char *line, const char *const *variables, int in);

/* Runs another program on a text; its exit code, 127 when there is no such program. */
int command_test_feed(const char *const *argv, const char *text);

/* Set-up and tear-down of a test that writes: the working folder is new, and goes afterwards. */
int command_test_folder_make(void **state);
int command_test_folder_remove(void **state);

#endif
