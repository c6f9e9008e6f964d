/* SPDX-License-Identifier: MIT
 * Our side of json_oracle.h. A text that both read must come out the same, and what our writer
 * makes of it must be the same again. */
#include "json/json_oracle.h"

#include <stdlib.h>

#include "json/json.h"
#include "json/json_writer.h"

static void dump_value(struct sbuf *dump, const struct json_value *value);

static void dump_text(struct sbuf *dump, struct span text)
{
    sbuf_add_format(dump, "t%zu:", text.len);
    sbuf_add(dump, text);
}

/* The nearest double only because jansson has nothing better. */
static void dump_number(struct sbuf *dump, const struct json_value *value)
{
    char text[2048];
    struct sbuf copy = sbuf_over(text, sizeof(text));
    int64_t whole;

    if (json_to_i64(value, &whole)) {
        sbuf_add_format(dump, "i%lld;", (long long)whole);
        return;
    }
    sbuf_add(&copy, value->text);
    sbuf_add_char(&copy, '\0');
    sbuf_add_format(dump, "r%a;", strtod(text, NULL));
}

static void dump_items(struct sbuf *dump, const struct json_value *value)
{
    sbuf_add_text(dump, json_is_object(value) ? "o(" : "l(");
    for (size_t i = 0; i < value->count; i++) {
        if (json_is_object(value))
            dump_text(dump, value->items[i].name);
        dump_value(dump, &value->items[i]);
    }
    sbuf_add_char(dump, ')');
}

static void dump_value(struct sbuf *dump, const struct json_value *value)
{
    bool flag;

    if (json_is_object(value) || json_is_list(value))
        dump_items(dump, value);
    else if (json_is_text(value))
        dump_text(dump, value->text);
    else if (json_is(value, JSON_NUMBER))
        dump_number(dump, value);
    else if (json_to_bool(value, &flag))
        sbuf_add_char(dump, flag ? 'T' : 'F');
    else
        sbuf_add_char(dump, 'N');
}

static void write_value(struct json_writer *w, const struct json_value *value)
{
    bool object = json_is_object(value);

    if (json_is_text(value)) {
        json_text(w, value->text);
        return;
    }
    if (!object && !json_is_list(value)) {
        json_raw(w, value->source);
        return;
    }
    if (object)
        json_begin_object(w);
    else
        json_begin_list(w);
    for (size_t i = 0; i < value->count; i++) {
        if (object)
            json_key_span(w, value->items[i].name);
        write_value(w, &value->items[i]);
    }
    if (object)
        json_end_object(w);
    else
        json_end_list(w);
}

/* Written and read again, a value is the same. */
static const char *difference_after_writing(const struct json_value *root, struct span dump,
                                            struct arena *arena)
{
    struct sbuf text = sbuf_on(arena, JSON_ORACLE_BYTES_MAX);
    struct sbuf again = sbuf_on(arena, JSON_ORACLE_BYTES_MAX);
    struct json_writer w = json_writer_on(&text);
    const struct json_value *root_again;

    write_value(&w, root);
    if (text.full)
        return NULL;
    if (json_read(sbuf_span(&text), arena, &root_again, NULL))
        return "what the writer wrote does not read";
    dump_value(&again, root_again);
    return again.full || span_equal(sbuf_span(&again), dump) ? NULL : "writing changed a value";
}

static const char *difference_of(struct span text, struct arena *arena)
{
    struct sbuf theirs = sbuf_on(arena, JSON_ORACLE_BYTES_MAX);
    struct sbuf ours = sbuf_on(arena, JSON_ORACLE_BYTES_MAX);
    enum json_opinion opinion = json_oracle_jansson(text, &theirs);
    const struct json_value *root;
    struct json_fault fault;

    if (json_read(text, arena, &root, &fault)) {
        bool limit = fault.reason == JSON_REASON_DEPTH || fault.reason == JSON_REASON_MEMBERS ||
                     fault.reason == JSON_REASON_NUMBER_LONG ||
                     fault.reason == JSON_REASON_TOO_LARGE;

        if (fault.offset > text.len || fault.line == 0 || fault.column == 0)
            return "the fault lies outside the text";
        return opinion == JSON_OPINION_READ && !limit ? "only jansson reads it" : NULL;
    }
    if (opinion == JSON_OPINION_REFUSED)
        return "only json_read reads it";
    dump_value(&ours, root);
    if (ours.full || theirs.full)
        return NULL;
    if (opinion == JSON_OPINION_READ && !span_equal(sbuf_span(&ours), sbuf_span(&theirs)))
        return "the values differ";
    return difference_after_writing(root, sbuf_span(&ours), arena);
}

const char *json_oracle_difference(struct span text)
{
    struct arena arena;
    const char *difference;

    arena_init(&arena, NULL, 0, (size_t)8 * JSON_ORACLE_BYTES_MAX);
    difference = difference_of(text, &arena);
    arena_reset(&arena);
    return difference;
}
