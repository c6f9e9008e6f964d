/* SPDX-License-Identifier: MIT
 * jansson's side of json_oracle.h, in a file of its own since its names and ours would clash. */
#include "json/json_oracle.h"

#include <jansson.h>

static void dump_value(struct sbuf *dump, json_t *value);

static void dump_text(struct sbuf *dump, const char *text, size_t len)
{
    sbuf_add_format(dump, "t%zu:", len);
    sbuf_add_bytes(dump, text, len);
}

static void dump_object(struct sbuf *dump, json_t *object)
{
    sbuf_add_lit(dump, "o(");
    for (void *at = json_object_iter(object); at != NULL; at = json_object_iter_next(object, at)) {
        dump_text(dump, json_object_iter_key(at), json_object_iter_key_len(at));
        dump_value(dump, json_object_iter_value(at));
    }
    sbuf_add_char(dump, ')');
}

static void dump_list(struct sbuf *dump, json_t *list)
{
    sbuf_add_lit(dump, "l(");
    for (size_t i = 0; i < json_array_size(list); i++)
        dump_value(dump, json_array_get(list, i));
    sbuf_add_char(dump, ')');
}

static void dump_value(struct sbuf *dump, json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        dump_object(dump, value);
        return;
    case JSON_ARRAY:
        dump_list(dump, value);
        return;
    case JSON_STRING:
        dump_text(dump, json_string_value(value), json_string_length(value));
        return;
    case JSON_INTEGER:
        sbuf_add_format(dump, "i%lld;", (long long)json_integer_value(value));
        return;
    case JSON_REAL:
        sbuf_add_format(dump, "r%a;", json_real_value(value));
        return;
    case JSON_TRUE:
        sbuf_add_char(dump, 'T');
        return;
    case JSON_FALSE:
        sbuf_add_char(dump, 'F');
        return;
    case JSON_NULL:
        sbuf_add_char(dump, 'N');
        return;
    }
    PC_WRONG("a type jansson does not have");
}

enum json_opinion json_oracle_jansson(struct span text, struct sbuf *dump)
{
    size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL;
    json_error_t error;
    json_t *root = json_loadb(text.ptr ? text.ptr : "", text.len, flags, &error);
    enum json_error_code code;

    if (root != NULL) {
        dump_value(dump, root);
        json_decref(root);
        /* jansson 2.14 passes over a NUL byte behind a number ("[7\0]" reads as "[7]"). */
        return span_find(text, '\0') < text.len ? JSON_OPINION_NONE : JSON_OPINION_READ;
    }
    code = json_error_code(&error);
    if (code == json_error_numeric_overflow || code == json_error_null_byte_in_key ||
        code == json_error_stack_overflow || code == json_error_out_of_memory)
        return JSON_OPINION_NONE;
    return JSON_OPINION_REFUSED;
}
