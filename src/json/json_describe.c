/* SPDX-License-Identifier: MIT
 * A table as JSON Schema 2020-12, for the API pages. Bounds and forms come from the same functions
 * that bind values, so the pages promise what is checked. */
#include <string.h>

#include "json/json_schema_priv.h"
#include "json/json_writer.h"

struct describer {
    struct json_writer writer;
    const char *ref_prefix;
    bool written; /* as an answer, not as a request */
};

static void describe_field(struct describer *d, const struct json_field *field);

static const char *const type_names[JSON_KIND_COUNT] = {
    [JSON_KIND_TEXT] = "string",    [JSON_KIND_BOOL] = "boolean",  [JSON_KIND_I64] = "integer",
    [JSON_KIND_TIME] = "string",    [JSON_KIND_OBJECT] = "object", [JSON_KIND_LIST] = "array",
    [JSON_KIND_DECIMAL] = "number", [JSON_KIND_MAP] = "object",
};

static const char *const format_names[JSON_FORMAT_COUNT] = {
    [JSON_FORMAT_EMAIL] = "email",         [JSON_FORMAT_PASSWORD] = "password",
    [JSON_FORMAT_UUID] = "uuid",           [JSON_FORMAT_URI] = "uri",
    [JSON_FORMAT_DATE_TIME] = "date-time",
};

static const char *const format_patterns[JSON_FORMAT_COUNT] = {
    [JSON_FORMAT_USERNAME] = "^[A-Za-z0-9._-]+$",
    [JSON_FORMAT_TOKEN] = "^[A-Za-z0-9._~+/-]+=*$",
};

static void add(struct describer *d, const char *name, const char *text)
{
    if (text != NULL)
        json_add_text(&d->writer, name, span_from(text));
}

/* A decimal may come as a string too, since a number loses digits in careless clients. */
static void describe_type(struct describer *d, const struct json_field *field)
{
    struct json_writer *w = &d->writer;
    bool decimal = field->kind == JSON_KIND_DECIMAL;

    if (field->kind == JSON_KIND_ANY)
        return;
    if ((!decimal || d->written) && !field->nullable) {
        add(d, "type", type_names[field->kind]);
        return;
    }
    json_key(w, "type");
    json_begin_list(w);
    json_text(w, span_from(type_names[field->kind]));
    if (decimal && !d->written)
        json_text(w, SPAN_OF("string"));
    if (field->nullable)
        json_text(w, SPAN_OF("null"));
    json_end_list(w);
}

/* Bounds that say nothing are left out. */
static void describe_bounds(struct describer *d, const char *min_name, int64_t min,
                            const char *max_name, int64_t max)
{
    bool counts = strcmp(min_name, "minimum") != 0;

    if (min == 0 && max == 0)
        return;
    if (min != INT64_MIN && !(counts && min == 0))
        json_add_i64(&d->writer, min_name, min);
    if (max != INT64_MAX)
        json_add_i64(&d->writer, max_name, max);
}

static void describe_choices(struct describer *d, const struct json_field *field)
{
    struct json_writer *w = &d->writer;

    json_key(w, "enum");
    json_begin_list(w);
    for (size_t i = 0; field->choices[i] != NULL; i++)
        json_text(w, span_from(field->choices[i]));
    if (field->nullable)
        json_null(w);
    json_end_list(w);
}

static void describe_text(struct describer *d, const struct json_field *field)
{
    if (field->choices != NULL) {
        describe_choices(d, field);
        return;
    }
    describe_bounds(d, "minLength", field->min, "maxLength", json_text_max(field));
    add(d, "format", format_names[field->format]);
    add(d, "pattern", format_patterns[field->format]);
    if (field->format == JSON_FORMAT_PASSWORD)
        json_add_bool(&d->writer, "writeOnly", true);
}

static void describe_list(struct describer *d, const struct json_field *field)
{
    const struct json_field object = {.kind = JSON_KIND_OBJECT, .schema = field->schema};

    describe_bounds(d, "minItems", field->min, "maxItems", field->max);
    json_key(&d->writer, "items");
    describe_field(d, field->item ? field->item : &object);
}

bool json_field_is_unwritten(const struct json_field *field)
{
    return field->kind == JSON_KIND_TEXT && field->format == JSON_FORMAT_PASSWORD;
}

static bool is_left_out(const struct describer *d, const struct json_field *field)
{
    return d->written && json_field_is_unwritten(field);
}

/* What may be left out of a request and is null in an answer is always there in that. */
static bool is_required(const struct describer *d, const struct json_field *field)
{
    return !is_left_out(d, field) && (!field->optional || (d->written && field->nullable));
}

static void describe_members(struct describer *d, const struct json_schema *schema)
{
    struct json_writer *w = &d->writer;
    bool required = false;

    json_key(w, "properties");
    json_begin_object(w);
    for (size_t i = 0; i < schema->field_count; i++) {
        if (is_left_out(d, &schema->fields[i]))
            continue;
        json_key(w, schema->fields[i].name);
        describe_field(d, &schema->fields[i]);
        required = required || is_required(d, &schema->fields[i]);
    }
    json_end_object(w);
    if (!required)
        return;
    json_key(w, "required");
    json_begin_list(w);
    for (size_t i = 0; i < schema->field_count; i++) {
        if (is_required(d, &schema->fields[i]))
            json_text(w, span_from(schema->fields[i].name));
    }
    json_end_list(w);
}

/* {"$ref": "#/components/schemas/Name"}, beside null where that may stand instead. */
static void describe_reference(struct describer *d, const struct json_field *field)
{
    struct json_writer *w = &d->writer;
    char buffer[256];
    struct sbuf ref = sbuf_over(buffer, sizeof(buffer));

    PC_ASSERT(field->schema != NULL);
    sbuf_add_text(&ref, d->ref_prefix);
    sbuf_add_text(&ref, field->schema->name);
    PC_ASSERT(!ref.full);
    if (!field->nullable) {
        json_add_text(w, "$ref", sbuf_span(&ref));
        return;
    }
    json_key(w, "anyOf");
    json_begin_list(w);
    json_begin_object(w);
    json_add_text(w, "$ref", sbuf_span(&ref));
    json_end_object(w);
    json_begin_object(w);
    json_add_text(w, "type", SPAN_OF("null"));
    json_end_object(w);
    json_end_list(w);
}

static void describe_kind(struct describer *d, const struct json_field *field)
{
    if (field->kind == JSON_KIND_OBJECT && d->ref_prefix != NULL) {
        describe_reference(d, field);
        return;
    }
    describe_type(d, field);
    if (field->kind == JSON_KIND_TEXT)
        describe_text(d, field);
    if (field->kind == JSON_KIND_TIME)
        add(d, "format", "date-time");
    if (field->kind == JSON_KIND_I64)
        add(d, "format", "int64");
    if (field->kind == JSON_KIND_DECIMAL && !d->written)
        add(d, "pattern", "^-?(0|[1-9][0-9]*)(\\.[0-9]+)?$");
    if (field->kind == JSON_KIND_I64 || field->kind == JSON_KIND_DECIMAL)
        describe_bounds(d, "minimum", field->min, "maximum", field->max);
    if (field->kind == JSON_KIND_LIST)
        describe_list(d, field);
    if (field->kind == JSON_KIND_OBJECT)
        describe_members(d, field->schema);
    if (field->kind == JSON_KIND_MAP)
        json_add_bool(&d->writer, "additionalProperties", true);
}

void json_write_plain(struct json_writer *w, const struct json_field *field, const char *text)
{
    if (field->kind == JSON_KIND_TEXT || field->kind == JSON_KIND_TIME)
        json_text(w, span_from(text));
    else
        json_raw(w, span_from(text));
}

static void describe_field(struct describer *d, const struct json_field *field)
{
    const struct json_schema *inner = field->kind == JSON_KIND_OBJECT ? field->schema : NULL;
    const char *about = field->about || inner == NULL ? field->about : inner->about;

    PC_ASSERT(field->kind > JSON_KIND_NONE && field->kind < JSON_KIND_COUNT);
    json_begin_object(&d->writer);
    describe_kind(d, field);
    add(d, "description", about);
    if (field->fallback != NULL) {
        json_key(&d->writer, "default");
        json_write_plain(&d->writer, field, field->fallback);
    }
    if (field->example != NULL) {
        json_key(&d->writer, "examples");
        json_begin_list(&d->writer);
        json_write_plain(&d->writer, field, field->example);
        json_end_list(&d->writer);
    }
    json_end_object(&d->writer);
}

void json_field_describe(struct sbuf *out, const struct json_field *field, const char *ref_prefix)
{
    struct describer d = {.writer = json_writer_on(out), .ref_prefix = ref_prefix};

    describe_field(&d, field);
}

static void describe_schema(struct describer *d, const struct json_schema *schema)
{
    json_begin_object(&d->writer);
    add(d, "title", schema->name);
    add(d, "type", "object");
    describe_members(d, schema);
    add(d, "description", schema->about);
    json_end_object(&d->writer);
}

void json_schema_describe(struct sbuf *out, const struct json_schema *schema,
                          const char *ref_prefix)
{
    struct describer d = {.writer = json_writer_on(out), .ref_prefix = ref_prefix};

    describe_schema(&d, schema);
}

void json_schema_describe_written(struct sbuf *out, const struct json_schema *schema,
                                  const char *ref_prefix)
{
    struct describer d = {.writer = json_writer_on(out), .ref_prefix = ref_prefix, .written = true};

    describe_schema(&d, schema);
}
