/* SPDX-License-Identifier: MIT
 * One enum for everything that can fail, with its HTTP status, problem type and sentence.
 * On failure a function leaves its results untouched.
 *
 * Threads: pure.    Memory: static text.    Source: err.def; RFC 9110 (statuses), RFC 9457. */
#ifndef PC_BASE_ERR_H
#define PC_BASE_ERR_H

#include <stdbool.h>

#include "base/check.h"

enum err {
#define ERR(name, status, slug, sentence, remedy) name,
#include "base/err.def"
#undef ERR
    ERR_COUNT
};

/* "ERR_NOT_FOUND", for logs. */
const char *err_name(enum err err);

/* The HTTP status that answers it. */
int err_status(enum err err);

/* "not-found": the end of the problem type URI. */
const char *err_slug(enum err err);

/* "There is nothing here": the problem's title. */
const char *err_sentence(enum err err);

/* Whether it may be a request's answer; if not, ERR_INTERNAL is told in its place. */
bool err_is_told(enum err err);

/* "Check the path.": what to do about one that is told; NULL of the others. */
const char *err_remedy(enum err err);

#endif
