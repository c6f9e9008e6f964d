/* SPDX-License-Identifier: MIT
 * One enum for everything that can fail, with its HTTP status, problem type and sentence.
 * On failure a function leaves its results untouched.
 *
 * Threads: pure.    Memory: static text.    Source: err.def; RFC 9110 (statuses), RFC 9457. */
#ifndef PC_BASE_ERR_H
#define PC_BASE_ERR_H

#include "base/check.h"

enum err {
#define ERR(name, status, slug, sentence) name,
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

#endif
