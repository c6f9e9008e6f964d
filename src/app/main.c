/* SPDX-License-Identifier: MIT
 * The program: everything is in the command table. */
#include "app/command.h"

#include <unistd.h>

#include "trail/trail_catalogue.h"

/* Commands have no log: who typed one is told. `serve` has its own way. */
static void misfit(void *context, enum trail_event event, struct span why)
{
    (void)context;
    (void)event;
    (void)fprintf(stderr, "portcullis: %.*s\n", SPAN_ARG(why));
}

int main(int argc, char **argv)
{
    struct command_io io = {
        .out = stdout, .err = stderr, .in = STDIN_FILENO, .environ = (const char *const *)environ};

    trail_misfits_tell(misfit, NULL);
    return command_main(argc, (const char *const *)argv, &io);
}
