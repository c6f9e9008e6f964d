/* SPDX-License-Identifier: MIT
 * The program: everything is in the command table. */
#include "app/command.h"

#include <unistd.h>

int main(int argc, char **argv)
{
    struct command_io io = {
        .out = stdout, .err = stderr, .in = STDIN_FILENO, .environ = (const char *const *)environ};

    return command_main(argc, (const char *const *)argv, &io);
}
