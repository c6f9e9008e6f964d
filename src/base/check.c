/* SPDX-License-Identifier: MIT
 * Where a broken promise ends: one line that names it, then abort(), so that a core or a supervisor
 * sees it. Nothing here allocates or takes a lock, since the heap may be what is broken. */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void check_failed(const char *what, const char *file, int line, const char *function)
{
    char text[512];
    int len = snprintf(text, sizeof(text), "portcullis: broken promise: %s (%s:%d, %s)\n", what,
                       file, line, function);

    if (len > (int)sizeof(text) - 1)
        len = (int)sizeof(text) - 1;
    if (len > 0 && write(STDERR_FILENO, text, (size_t)len) < 0)
        abort();
    abort();
}
