/* SPDX-License-Identifier: MIT
 * Writes JSON text into an sbuf, keeping commas and nesting right, so that what comes out is one
 * well-formed value whatever the texts hold.
 *
 *   struct json_writer w = json_writer_on(&out);
 *   json_begin_object(&w);
 *   json_add_text(&w, "status", SPAN_OF("healthy"));
 *   json_key(&w, "items");
 *   json_begin_list(&w);
 *   json_i64(&w, 7);
 *   json_end_list(&w);
 *   json_end_object(&w);
 *   err = sbuf_finish(&out, &ret_text);
 *
 * A misplaced call (a value without a key, an end too many) is our own mistake and is asserted.
 *
 * Threads: one at a time.    Memory: none of its own.    Errors: the sbuf's sticky mark.
 * Bounds:  LIMIT_JSON_DEPTH_MAX levels. */
#ifndef PC_JSON_JSON_WRITER_H
#define PC_JSON_JSON_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/sbuf.h"

struct json_writer {
    struct sbuf *out;
    uint64_t objects; /* one bit a level: it is an object */
    uint64_t begun;   /* one bit a level: it holds something already */
    unsigned depth;   /* open levels */
    bool keyed;       /* a key stands and waits for its value */
    bool done;        /* the one outermost value is written */
};

struct json_writer json_writer_on(struct sbuf *out);

void json_begin_object(struct json_writer *w);
void json_end_object(struct json_writer *w);
void json_begin_list(struct json_writer *w);
void json_end_list(struct json_writer *w);

/* The name of the next value; inside an object only. */
void json_key(struct json_writer *w, const char *name);
void json_key_span(struct json_writer *w, struct span name);

/* Values. json_text replaces what is not UTF-8 by U+FFFD. */
void json_text(struct json_writer *w, struct span text);
void json_i64(struct json_writer *w, int64_t value);
void json_u64(struct json_writer *w, uint64_t value);
void json_bool(struct json_writer *w, bool value);
void json_null(struct json_writer *w);

/* RFC 3339 in UTC with microseconds, in quotes. */
void json_time(struct json_writer *w, int64_t realtime_ns);

/* A value that is JSON already: a value's `source`, a number's text, a part written before. */
void json_raw(struct json_writer *w, struct span json);

/* A key and its value in one call. */
void json_add_text(struct json_writer *w, const char *name, struct span text);
void json_add_i64(struct json_writer *w, const char *name, int64_t value);
void json_add_u64(struct json_writer *w, const char *name, uint64_t value);
void json_add_bool(struct json_writer *w, const char *name, bool value);
void json_add_time(struct json_writer *w, const char *name, int64_t realtime_ns);
void json_add_raw(struct json_writer *w, const char *name, struct span json);

#endif
