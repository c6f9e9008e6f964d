/* SPDX-License-Identifier: MIT
 * Reason codes that are no errors (err.h): why a connection was closed, why a denial or a breaker's
 * move is told. With the errors they are all that a refusal may give; docs/reasons.md is made here.
 *
 * Threads: pure.    Memory: static text.    Source: reason.def, err.def. */
#ifndef PC_BASE_REASON_H
#define PC_BASE_REASON_H

#include "base/sbuf.h"

enum reason {
#define REASON(name, where, code, meaning, remedy) name,
#include "base/reason.def"
#undef REASON
    REASON_COUNT
};

/* "not-owner" */
const char *reason_code(enum reason reason);

/* Every code with its meaning and what to do about it, as the page docs/reasons.md. */
void reason_page_write(struct sbuf *out);

#endif
