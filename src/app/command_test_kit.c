/* SPDX-License-Identifier: MIT
 * The helpers of command_test.h. */
#include "app/command_test.h"

#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/folder_test_kit.h"
#include "trail/trail_catalogue.h"

enum { WORDS_MAX = 24 };

char command_test_out[COMMAND_TEST_BYTES_MAX];
char command_test_err[COMMAND_TEST_BYTES_MAX];
const char *const command_test_no_environ[] = {NULL};

static char folder[TEST_FOLDER_BYTES];

int command_test_run_fd(const char *line, const char *const *variables, int in)
{
    const char *argv[WORDS_MAX] = {"portcullis"};
    char words[512];
    struct span rest = span_from(line);
    struct span word;
    struct command_io io = {.in = in, .environ = variables};
    size_t used = 0;
    int argc = 1;
    int answer;

    while (line[0] != '\0' && span_cut(&rest, ' ', &word)) {
        assert_true(argc < WORDS_MAX && used + word.len < sizeof(words));
        memcpy(words + used, word.ptr, word.len);
        words[used + word.len] = '\0';
        argv[argc++] = words + used;
        used += word.len + 1;
    }
    memset(command_test_out, 0, sizeof(command_test_out));
    memset(command_test_err, 0, sizeof(command_test_err));
    io.out = fmemopen(command_test_out, sizeof(command_test_out) - 1, "w");
    io.err = fmemopen(command_test_err, sizeof(command_test_err) - 1, "w");
    assert_true(io.out != NULL && io.err != NULL);
    answer = command_main(argc, argv, &io);
    assert_int_equal(fclose(io.out), 0);
    assert_int_equal(fclose(io.err), 0);
    return answer;
}

int command_test_run_with(const char *line, const char *const *variables)
{
    return command_test_run_fd(line, variables, -1);
}

int command_test_run(const char *line)
{
    return command_test_run_with(line, command_test_no_environ);
}

int command_test_run_input(const char *line, const char *input)
{
    int ends[2];
    int answer;

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], input, strlen(input)), (ssize_t)strlen(input));
    (void)close(ends[1]);
    answer = command_test_run_fd(line, command_test_no_environ, ends[0]);
    (void)close(ends[0]);
    return answer;
}

int command_test_feed(const char *const *argv, const char *text)
{
    int ends[2];
    int status = -1;
    void (*before)(int);
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(ends[0], STDIN_FILENO);
        (void)close(ends[1]);
        (void)execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    (void)close(ends[0]);
    before = signal(SIGPIPE, SIG_IGN); /* a program that is not there reads nothing */
    (void)!write(ends[1], text, strlen(text));
    (void)close(ends[1]);
    (void)signal(SIGPIPE, before);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

int command_test_folder_make(void **state)
{
    trail_misfits_tell(trail_misfit_ends, NULL);
    return test_folder("command", folder) && chdir(folder) == 0 ? 0 : -1;
}

static int entry_remove(const char *path, const struct stat *about, int kind, struct FTW *place)
{
    return remove(path);
}

int command_test_folder_remove(void **state)
{
    return chdir("/") == 0 ? nftw(folder, entry_remove, 8, FTW_DEPTH | FTW_PHYS) : -1;
}
