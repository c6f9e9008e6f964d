/* SPDX-License-Identifier: MIT
 * What the files behind json_schema.h share: one binding under way, where it stands, and the rules
 * for a single value. */
#ifndef PC_JSON_JSON_SCHEMA_PRIV_H
#define PC_JSON_JSON_SCHEMA_PRIV_H

#include "json/json_schema.h"

enum {
    JSON_MESSAGE_BYTES_MAX = 1024,
    JSON_DECIMAL_CHARACTERS_MAX = 64,
};

/* One json_bind under way. A problem does not end it; `err` does. */
struct json_binder {
    struct arena *arena;
    struct json_problems *problems;
    bool failed;  /* a problem was found, whether or not the list had room for it */
    enum err err; /* ERR_NO_MEMORY or ERR_BODY_TOO_LARGE, and then the problems count for nothing */
};

/* Where a value stands: a chain of names and indexes, innermost first. NULL is the whole body. */
struct json_place {
    const struct json_place *parent;
    const char *name; /* NULL: the index counts */
    size_t index;
};

/* Each adds one problem at the place and answers false, so that a rule can end with it. */
bool json_problem_at(struct json_binder *b, const struct json_place *place, const char *message);

/* "must be 3 to 50 characters": lead "must be", unit "character". INT64_MIN and INT64_MAX stand for
 * no bound; an empty unit is a plain number. */
bool json_problem_range(struct json_binder *b, const struct json_place *place, const char *lead,
                        int64_t min, int64_t max, const char *unit);

/* "must be one of: debit, credit" */
bool json_problem_choices(struct json_binder *b, const struct json_place *place,
                          const char *const *choices);

/* A MAP or ANY that is free text: with card data masked, wherever it stands. */
bool json_bind_masked(struct json_binder *b, const struct json_field *field,
                      const struct json_value *value, struct span *ret_text,
                      const struct json_place *place);

/* Records that the arena refused `bytes`. */
bool json_bind_no_room(struct json_binder *b, size_t bytes);

/* A fallback or example of a field, which the table writes plain for texts. */
struct json_writer;
void json_write_plain(struct json_writer *w, const struct json_field *field, const char *text);

/* Whether json_write leaves a field out, and never writes it. */
bool json_field_is_unwritten(const struct json_field *field);

/* The longest text of a field in characters, from its format and its own max. */
int64_t json_text_max(const struct json_field *field);

/* "must be a valid e-mail address" */
const char *json_format_problem(enum json_format format);

/* The format's own limit in characters; 0: it has none. */
int64_t json_format_max(enum json_format format);

/* Rules for one value of a field, read from plain text; the result goes to `at`. */
PC_CHECKED bool json_bind_plain(struct json_binder *b, const struct json_field *field,
                                struct span text, void *at, const struct json_place *place);

/* A field's fallback or example, written as the table writes it. */
PC_CHECKED bool json_bind_table_text(struct json_binder *b, const struct json_field *field,
                                     const char *text, void *at, const struct json_place *place);

/* Whether it is held as a span, whose pointer tells if it is there. */
bool json_kind_is_span(enum json_kind kind);

/* What one value takes in a struct. */
size_t json_kind_bytes(enum json_kind kind, const struct json_schema *schema);

#endif
