/* SPDX-License-Identifier: MIT
 * One const table says what a body looks like. From it come reading the body into a C struct, the
 * field-level problems of a 422, writing a reply from a C struct, and the JSON Schema that the API
 * pages show; so none of them can disagree.
 *
 *   struct login { struct span email; struct span password; bool remember; };
 *   static const struct json_field login_fields[] = {
 *       { .name = "email", .kind = JSON_KIND_TEXT, .format = JSON_FORMAT_EMAIL,
 *         .offset = offsetof(struct login, email), .example = "user@example.com" },
 *       { .name = "password", .kind = JSON_KIND_TEXT, .format = JSON_FORMAT_PASSWORD, .min = 8,
 *         .offset = offsetof(struct login, password) },
 *       { .name = "remember", .kind = JSON_KIND_BOOL, .optional = true, .fallback = "false",
 *         .offset = offsetof(struct login, remember) },
 *   };
 *   const struct json_schema login_schema = {
 *       .name = "Login", .fields = login_fields, .field_count = PC_COUNT(login_fields),
 *       .bytes = sizeof(struct login) };
 *
 * Zero is the strict choice: a field is required and not nullable unless it says otherwise, and a
 * text, list or number whose table row gives no bounds admits nothing but the empty text, the empty
 * list, and 0. Members that no row names are ignored. A rejected value is never repeated.
 *
 * Threads: pure.    Memory: results live in the arena, or in the value that was read.
 * Source:  JSON Schema 2020-12; RFC 5321 4.5.3.1 (lengths of addresses); RFC 3339; RFC 9562. */
#ifndef PC_JSON_JSON_SCHEMA_H
#define PC_JSON_JSON_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sbuf.h"
#include "json/json.h"

/* What stands at `offset` in the struct. */
enum json_kind {
    JSON_KIND_NONE,    /* a mistake in the table, asserted */
    JSON_KIND_TEXT,    /* struct span; never holds NUL */
    JSON_KIND_BOOL,    /* bool */
    JSON_KIND_I64,     /* int64_t, or a struct of one */
    JSON_KIND_DECIMAL, /* struct span: digits of a number or decimal text, without exponent */
    JSON_KIND_TIME,    /* int64_t: nanoseconds since 1970; RFC 3339 outside */
    JSON_KIND_OBJECT,  /* the struct of .schema, in place */
    JSON_KIND_LIST,    /* struct json_list of .schema's structs or of .item's kind */
    JSON_KIND_MAP,     /* struct span: an object of any members, exactly as written */
    JSON_KIND_ANY,     /* struct span: any value, exactly as written */
    JSON_KIND_COUNT
};

/* What a text must look like. A length given here may be lowered by .max. */
enum json_format {
    JSON_FORMAT_NONE,
    JSON_FORMAT_EMAIL,     /* at most 254 characters, 64 before the @ */
    JSON_FORMAT_USERNAME,  /* letters, digits, '.', '_', '-' */
    JSON_FORMAT_PASSWORD,  /* at most LIMIT_PASSWORD_BYTES_MAX bytes; never written */
    JSON_FORMAT_UUID,      /* 36 characters, either case */
    JSON_FORMAT_URI,       /* absolute, at most 2048 characters */
    JSON_FORMAT_DATE_TIME, /* RFC 3339, kept as text */
    JSON_FORMAT_TOKEN,     /* RFC 6750 b64token, at most 8192 characters */
    JSON_FORMAT_COUNT
};

struct json_schema;

struct json_field {
    const char *name;
    enum json_kind kind;
    enum json_format format;
    bool optional;     /* may be left out */
    bool nullable;     /* may be null: reads like left out, is written as null */
    bool free_text;    /* written by people: card data in it is masked while it is read (mask.h),
                          in a MAP or ANY in every text and number, which then is a text */
    uint8_t depth;     /* of a free MAP or ANY: its levels; 0: as many as the reader takes */
    size_t offset;     /* of the member in the struct */
    size_t has_offset; /* of a bool: a value was given (or: is to be written); 0: there is none */
    int64_t min, max;  /* characters, value, or items */
    const char *const *choices;       /* texts allowed, ended by NULL; they need no bounds */
    const struct json_schema *schema; /* of an object, or of a list's items */
    const struct json_field *item; /* of a list of anything else; its name and offset are unused */
    const char *fallback; /* stands in when left out: plain for TEXT, TIME, DECIMAL; else JSON */
    const char *about;    /* one sentence */
    const char *example;  /* written like fallback */
};

struct json_schema {
    const char *name; /* "TokenPair": its name on the API pages */
    const char *about;
    const struct json_field *fields;
    size_t field_count;
    size_t bytes; /* sizeof the struct */
};

/* How a list is held: an array of structs, spans, int64_t or bool, by the item's kind. */
struct json_list {
    const void *items;
    size_t count;
};

enum { JSON_PROBLEMS_MAX = 16 };

struct json_problem {
    struct span field;   /* "transfers[3].amount"; "body" for the whole */
    const char *message; /* "must be 3 to 50 characters" */
};

/* Begin with {0}. Problems past the last place are dropped. */
struct json_problems {
    struct json_problem list[JSON_PROBLEMS_MAX];
    size_t count;
};

/* Fills the struct from the value. ERR_VALIDATION with every problem; ERR_NO_MEMORY or
 * ERR_BODY_TOO_LARGE as json_read. The struct is zeroed first and is whole only on ERR_OK. */
PC_CHECKED enum err json_bind(const struct json_schema *schema, const struct json_value *value,
                              struct arena *arena, void *ret_struct,
                              struct json_problems *problems);

/* The same for one parameter of a path or query: TEXT, BOOL, I64, DECIMAL and TIME, from plain
 * text. Sets only this field's place in the struct. */
PC_CHECKED enum err json_bind_text(const struct json_field *field, struct span text,
                                   struct arena *arena, void *ret_struct,
                                   struct json_problems *problems);

/* And for one that is not there: the fallback, or "is required" unless it is optional. */
PC_CHECKED enum err json_bind_missing(const struct json_field *field, struct arena *arena,
                                      void *ret_struct, struct json_problems *problems);

/* Adds a problem that a rule beyond the table found. `field` and `message` must outlive the list.
 * Returns ERR_VALIDATION, so that a handler can end with it. */
enum err json_problem_add(struct json_problems *problems, struct span field, const char *message);

/* A struct as a JSON object. A field is there when its `has` says so, or, having none, unless it is
 * a span without a pointer. One that is not there is null if nullable, else left out if optional.
 * Passwords are never written. Decimals are written as numbers, digit for digit. */
void json_write(struct sbuf *out, const struct json_schema *schema, const void *value);

/* JSON Schema 2020-12. With `ref_prefix` ("#/components/schemas/") inner schemas are referred to by
 * name instead of standing inside; NULL writes them out. */
void json_schema_describe(struct sbuf *out, const struct json_schema *schema,
                          const char *ref_prefix);
/* The same as json_write writes it: what is always there is required, a null included, decimals are
 * numbers, and passwords are left out. */
void json_schema_describe_written(struct sbuf *out, const struct json_schema *schema,
                                  const char *ref_prefix);
/* A value that fits, made of the rows' examples: what may be left out and has none is left out. */
void json_schema_example(struct sbuf *out, const struct json_schema *schema);
void json_schema_example_written(struct sbuf *out, const struct json_schema *schema);
void json_field_describe(struct sbuf *out, const struct json_field *field, const char *ref_prefix);

/* What a bound struct says, in a few bytes: equal for equal values whatever their layout in the
 * text was. Eight bytes for each field of the schema in its order, and behind them eight for each
 * item of its lists. In the arena; ERR_NO_MEMORY. */
PC_CHECKED enum err json_fingerprint(const struct json_schema *schema, const void *value,
                                     struct arena *arena, struct span *ret_print);
/* The first member in which two differ, appended to `name` ("amount", "transfers[3]"; "body" when
 * they are of different schemas). False when they do not differ. */
PC_CHECKED bool json_fingerprint_differs(const struct json_schema *schema, struct span one,
                                         struct span other, struct sbuf *name);

/* Whether a text is of the format, its length included. */
PC_CHECKED bool json_format_holds(enum json_format format, struct span text);

/* Start-up check of a table that bodies are read with: names, kinds, offsets, bounds, fallbacks.
 * Gives the name of the first wrong field, or NULL. */
const char *json_schema_check(const struct json_schema *schema);

#endif
