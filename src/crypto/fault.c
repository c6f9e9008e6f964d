/* SPDX-License-Identifier: MIT
 * One sentence, formatted into its place. */
#include "crypto/fault.h"

#include <stdarg.h>
#include <stdio.h>

void crypto_fault_set(struct crypto_fault *fault, const char *format, ...)
{
    va_list args;

    if (fault == NULL)
        return;
    va_start(args, format);
    if (vsnprintf(fault->text, sizeof(fault->text), format, args) < 0)
        fault->text[0] = '\0';
    va_end(args);
}
