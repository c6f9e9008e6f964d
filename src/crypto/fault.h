/* SPDX-License-Identifier: MIT
 * Why something was refused, in words an operator can act on. An `enum err` says what kind of
 * failure it was; a fault says which file, which member, which rule.
 *
 * Threads: plain values.    Memory: fixed. Never holds a secret or a rejected value. */
#ifndef PC_CRYPTO_FAULT_H
#define PC_CRYPTO_FAULT_H

#include "base/check.h"

enum { CRYPTO_FAULT_BYTES = 320 };

struct crypto_fault {
    char text[CRYPTO_FAULT_BYTES]; /* one sentence without a full stop, NUL-terminated */
};

/* Writes the sentence, cut if it is too long; `fault` may be NULL. */
PC_FORMAT(2, 3) void crypto_fault_set(struct crypto_fault *fault, const char *format, ...);

#endif
