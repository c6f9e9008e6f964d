/* SPDX-License-Identifier: MIT
 * The body of an HTML form and of OAuth's endpoints: application/x-www-form-urlencoded, read
 * strictly. Two readers who disagree about a body are a hole, so what is ambiguous is refused: a
 * broken escape, text that is not UTF-8, NUL and raw control bytes, and any name given twice.
 *
 * Threads: pure.    Memory: results live in the arena.
 * Source: WHATWG URL, 5.1; RFC 6749, 3.1 and 3.2 (no name twice), appendix B. */
#ifndef PC_HTTP_HTTP_FORM_H
#define PC_HTTP_HTTP_FORM_H

#include "base/arena.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/span.h"

struct http_form_field {
    struct span name, value; /* decoded; either may be empty */
};

struct http_form_fields {
    struct http_form_field list[LIMIT_FORM_FIELDS_MAX];
    size_t count;
    struct span doubled; /* the name that came twice, when that is what is wrong */
};

/* ERR_BAD_REQUEST with a sentence in reterr_why; ERR_NO_MEMORY. */
PC_CHECKED enum err http_form_read(struct span text, struct arena *arena,
                                   struct http_form_fields *ret_fields, const char **reterr_why);

/* The value of the name, or the empty span: who sends no value is taken to have sent nothing. */
struct span http_form_value(const struct http_form_fields *fields, struct span name);

#endif
