/* SPDX-License-Identifier: MIT
 * Judges tables themselves, at start-up and in tests, so that a row that would refuse everybody, or
 * write outside its struct, is found before the first request. Fallbacks and examples are bound
 * like values from a client: what the pages show is what the service takes. */
#include "json/json_schema_priv.h"

enum { SCRATCH_BYTES_MAX = 64 * 1024 };

static bool lies_within(const struct json_schema *schema, size_t offset, size_t bytes)
{
    return bytes <= schema->bytes && offset <= schema->bytes - bytes;
}

static bool is_placed(const struct json_schema *schema, const struct json_field *field)
{
    size_t bytes = json_kind_bytes(field->kind, field->schema);

    return lies_within(schema, field->offset, bytes) &&
           lies_within(schema, field->has_offset, sizeof(bool)) &&
           (field->has_offset == 0 || field->has_offset < field->offset ||
            field->has_offset >= field->offset + bytes);
}

/* A value that can be null without a span needs a bool that tells. */
static bool null_is_told(const struct json_field *field)
{
    return !field->nullable || json_kind_is_span(field->kind) || field->has_offset != 0;
}

static bool is_bounded(const struct json_field *field)
{
    int64_t max = field->kind == JSON_KIND_TEXT ? json_text_max(field) : field->max;

    if (field->kind == JSON_KIND_BOOL || field->kind == JSON_KIND_TIME ||
        field->kind == JSON_KIND_OBJECT || field->choices != NULL)
        return true;
    if (field->kind == JSON_KIND_I64 || field->kind == JSON_KIND_DECIMAL)
        return field->min <= max && (field->min != 0 || max != 0);
    return field->min >= 0 && field->min <= max && max > 0;
}

/* Only free text is masked: whatever has a form would lose it. */
static bool is_maskable(const struct json_field *field)
{
    bool any = field->kind == JSON_KIND_MAP || field->kind == JSON_KIND_ANY;

    if (!field->free_text)
        return field->depth == 0;
    return any || (field->kind == JSON_KIND_TEXT && field->format == JSON_FORMAT_NONE &&
                   field->choices == NULL && field->depth == 0);
}

/* Binds the fallback or example into a place of its own. */
static bool is_accepted(const struct json_field *field, const char *text)
{
    struct json_problems problems = {0};
    struct arena arena;
    struct json_binder b = {.arena = &arena, .problems = &problems};
    void *at;
    bool accepted;

    if (text == NULL)
        return true;
    arena_init(&arena, NULL, 0, SCRATCH_BYTES_MAX);
    at = arena_zero(&arena, json_kind_bytes(field->kind, field->schema));
    accepted = at != NULL && json_bind_table_text(&b, field, text, at, NULL);
    arena_reset(&arena);
    return accepted;
}

/* `name` stands for the field, since a list's item has none of its own. */
static const char *check_value(const struct json_field *field, const char *name)
{
    bool list = field->kind == JSON_KIND_LIST;

    if (field->kind <= JSON_KIND_NONE || field->kind >= JSON_KIND_COUNT ||
        field->format >= JSON_FORMAT_COUNT)
        return name;
    if (field->kind == JSON_KIND_OBJECT && field->schema == NULL)
        return name;
    if (list && (field->schema == NULL) == (field->item == NULL))
        return name;
    if (!is_bounded(field) || !is_maskable(field))
        return name;
    if (list && field->item != NULL)
        return check_value(field->item, name);
    return field->schema != NULL ? json_schema_check(field->schema) : NULL;
}

static const char *check_field(const struct json_schema *schema, size_t i)
{
    const struct json_field *field = &schema->fields[i];
    const char *wrong;

    if (field->name == NULL || field->name[0] == '\0')
        return "(a field without a name)";
    for (size_t j = 0; j < i; j++) {
        if (span_is(span_from(schema->fields[j].name), field->name))
            return field->name;
    }
    wrong = check_value(field, field->name);
    if (wrong != NULL)
        return wrong;
    if (!is_placed(schema, field) || !null_is_told(field) ||
        (field->fallback != NULL && !field->optional))
        return field->name;
    if (!is_accepted(field, field->fallback) || !is_accepted(field, field->example))
        return field->name;
    return NULL;
}

const char *json_schema_check(const struct json_schema *schema)
{
    if (schema->name == NULL || schema->bytes == 0)
        return "(a schema without name or size)";
    for (size_t i = 0; i < schema->field_count; i++) {
        const char *wrong = check_field(schema, i);

        if (wrong != NULL)
            return wrong;
    }
    return NULL;
}
