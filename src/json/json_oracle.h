/* SPDX-License-Identifier: MIT
 * For tests only: asks jansson for a second opinion on a text. jansson keeps no number's text, but
 * it is strict, widely used and not ours, which is what a second opinion is for.
 *
 * Threads: any.    Memory: nothing stays behind. */
#ifndef PC_JSON_JSON_ORACLE_H
#define PC_JSON_JSON_ORACLE_H

#include "base/sbuf.h"

enum json_opinion {
    JSON_OPINION_REFUSED,
    JSON_OPINION_READ, /* and dumped */
    JSON_OPINION_NONE, /* jansson reached one of its own limits */
};

enum { JSON_ORACLE_BYTES_MAX = 1 << 22 };

/* What jansson reads, in a form of its own: l( ) for a list, o( ) for an object, each text with its
 * length, whole numbers as int64_t, others as the nearest double. */
enum json_opinion json_oracle_jansson(struct span text, struct sbuf *dump);

/* NULL if reader, writer and jansson agree on the text, else what they differ in. Static text. */
const char *json_oracle_difference(struct span text);

#endif
