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

/* The HTTP parser is built for SSE 4.2, which processors have had since 2011. */
static bool processor_fits(void)
{
#ifdef __x86_64__
    return __builtin_cpu_supports("sse4.2");
#else
    return true;
#endif
}

int main(int argc, char **argv)
{
    struct command_io io = {
        .out = stdout, .err = stderr, .in = STDIN_FILENO, .environ = (const char *const *)environ};

    if (!processor_fits()) {
        (void)fputs("portcullis: this processor has no SSE 4.2, which the program is built for; "
                    "build it without '-msse4.2' (src/net/meson.build)\n",
                    stderr);
        return 1;
    }
    trail_misfits_tell(misfit, NULL);
    return command_main(argc, (const char *const *)argv, &io);
}
