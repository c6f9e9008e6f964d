/* SPDX-License-Identifier: MIT
 * A table as one value that fits it, for the API pages: made of the rows' own examples, so that a
 * row says once what its values look like. */
#include "json/json_schema_priv.h"
#include "json/json_writer.h"

struct sampler {
    struct json_writer writer;
    bool written; /* as an answer, not as a request */
};

static void add_field(struct sampler *s, const struct json_field *field);

/* What a row without an example, choices or a fallback is shown as. */
static const char *const plain[JSON_KIND_COUNT] = {
    [JSON_KIND_TEXT] = "text",     [JSON_KIND_BOOL] = "true",
    [JSON_KIND_DECIMAL] = "10.00", [JSON_KIND_TIME] = "2026-02-03T04:05:06Z",
    [JSON_KIND_MAP] = "{}",        [JSON_KIND_ANY] = "null",
};

static bool has_own(const struct json_field *field)
{
    return field->example != NULL || field->fallback != NULL || field->choices != NULL;
}

/* Lists and objects show what they hold. */
static bool is_shown(const struct sampler *s, const struct json_field *field)
{
    if (s->written && json_field_is_unwritten(field))
        return false;
    return !field->optional || has_own(field) || (s->written && field->nullable) ||
           field->kind == JSON_KIND_OBJECT || field->kind == JSON_KIND_LIST;
}

static void add_members(struct sampler *s, const struct json_schema *schema)
{
    json_begin_object(&s->writer);
    for (size_t i = 0; i < schema->field_count; i++) {
        if (!is_shown(s, &schema->fields[i]))
            continue;
        json_key(&s->writer, schema->fields[i].name);
        add_field(s, &schema->fields[i]);
    }
    json_end_object(&s->writer);
}

/* One item, or as many as there have to be. */
static void add_items(struct sampler *s, const struct json_field *field)
{
    json_begin_list(&s->writer);
    for (int64_t i = 0; i < field->max && (i == 0 || i < field->min); i++) {
        if (field->item != NULL)
            add_field(s, field->item);
        else
            add_members(s, field->schema);
    }
    json_end_list(&s->writer);
}

static const char *sample_of(const struct json_field *field)
{
    if (field->example != NULL)
        return field->example;
    if (field->choices != NULL)
        return field->choices[0];
    return field->fallback != NULL ? field->fallback : plain[field->kind];
}

static void add_field(struct sampler *s, const struct json_field *field)
{
    bool own = has_own(field);

    if (!own && field->kind == JSON_KIND_OBJECT)
        add_members(s, field->schema);
    else if (!own && field->kind == JSON_KIND_LIST)
        add_items(s, field);
    else if (!own && field->nullable)
        json_null(&s->writer);
    else if (!own && field->kind == JSON_KIND_I64)
        json_i64(&s->writer, field->min > 0 ? field->min : 0);
    else
        json_write_plain(&s->writer, field, sample_of(field));
}

void json_schema_example(struct sbuf *out, const struct json_schema *schema)
{
    struct sampler s = {.writer = json_writer_on(out)};

    add_members(&s, schema);
}

void json_schema_example_written(struct sbuf *out, const struct json_schema *schema)
{
    struct sampler s = {.writer = json_writer_on(out), .written = true};

    add_members(&s, schema);
}
