/* SPDX-License-Identifier: MIT
 * Reads a value into a C struct by its table. It stands between the reader and a handler: what a
 * handler sees has the types, bounds and forms that the API pages promise.
 *
 * Problems are collected, not returned: one answer tells all that is wrong. Only memory ends it. */
#include <string.h>

#include "json/json_schema_priv.h"

static bool bind_value(struct json_binder *b, const struct json_field *field,
                       const struct json_value *value, void *at, const struct json_place *place);

bool json_kind_is_span(enum json_kind kind)
{
    return kind == JSON_KIND_TEXT || kind == JSON_KIND_DECIMAL || kind == JSON_KIND_MAP ||
           kind == JSON_KIND_ANY;
}

size_t json_kind_bytes(enum json_kind kind, const struct json_schema *schema)
{
    switch (kind) {
    case JSON_KIND_TEXT:
    case JSON_KIND_DECIMAL:
    case JSON_KIND_MAP:
    case JSON_KIND_ANY:
        return sizeof(struct span);
    case JSON_KIND_BOOL:
        return sizeof(bool);
    case JSON_KIND_I64:
    case JSON_KIND_TIME:
        return sizeof(int64_t);
    case JSON_KIND_LIST:
        return sizeof(struct json_list);
    case JSON_KIND_OBJECT:
        PC_ASSERT(schema != NULL);
        return schema->bytes;
    case JSON_KIND_NONE:
    case JSON_KIND_COUNT:
        break;
    }
    PC_WRONG("a field without a kind");
}

bool json_bind_table_text(struct json_binder *b, const struct json_field *field, const char *text,
                          void *at, const struct json_place *place)
{
    const struct json_value *value;
    enum err err;

    if (field->kind < JSON_KIND_OBJECT)
        return json_bind_plain(b, field, span_from(text), at, place);
    err = json_read(span_from(text), b->arena, &value, NULL);
    if (err == ERR_JSON_SYNTAX)
        return json_problem_at(b, place, "has a malformed fallback or example");
    if (err) {
        b->err = err;
        return false;
    }
    return bind_value(b, field, value, at, place);
}

static bool bind_missing(struct json_binder *b, const struct json_field *field, char *base,
                         const struct json_place *place)
{
    if (!field->optional)
        return json_problem_at(b, place, "is required");
    return field->fallback == NULL ||
           json_bind_table_text(b, field, field->fallback, base + field->offset, place);
}

static void mark_given(const struct json_field *field, char *base)
{
    if (field->has_offset != 0)
        *(bool *)(base + field->has_offset) = true;
}

static bool bind_member(struct json_binder *b, const struct json_field *field,
                        const struct json_value *object, char *base,
                        const struct json_place *parent)
{
    struct json_place place = {.parent = parent, .name = field->name};
    const struct json_value *value = json_get(object, field->name);

    if (value == NULL)
        return bind_missing(b, field, base, &place);
    if (value->type == JSON_NULL && field->nullable)
        return true;
    if (value->type == JSON_NULL && field->kind != JSON_KIND_ANY)
        return json_problem_at(b, &place, "must not be null");
    if (!bind_value(b, field, value, base + field->offset, &place))
        return false;
    mark_given(field, base);
    return true;
}

static bool bind_object(struct json_binder *b, const struct json_schema *schema,
                        const struct json_value *value, char *base, const struct json_place *place)
{
    bool whole = true;

    if (!json_is_object(value))
        return json_problem_at(b, place, "must be an object");
    for (size_t i = 0; i < schema->field_count && b->err == ERR_OK; i++)
        whole = bind_member(b, &schema->fields[i], value, base, place) && whole;
    return whole;
}

static bool bind_items(struct json_binder *b, const struct json_field *item,
                       const struct json_value *value, struct json_list *at,
                       const struct json_place *parent)
{
    size_t bytes = json_kind_bytes(item->kind, item->schema);
    char *items = arena_array(b->arena, value->count, bytes);
    bool whole = true;

    if (items == NULL)
        return json_bind_no_room(b, value->count * bytes);
    for (size_t i = 0; i < value->count && b->err == ERR_OK; i++) {
        struct json_place place = {.parent = parent, .index = i};

        whole = bind_value(b, item, &value->items[i], items + i * bytes, &place) && whole;
    }
    *at = (struct json_list){.items = items, .count = value->count};
    return whole;
}

static bool bind_list(struct json_binder *b, const struct json_field *field,
                      const struct json_value *value, struct json_list *at,
                      const struct json_place *place)
{
    const struct json_field object = {.kind = JSON_KIND_OBJECT, .schema = field->schema};

    PC_ASSERT((field->schema == NULL) != (field->item == NULL));
    if (!json_is_list(value))
        return json_problem_at(b, place, "must be a list");
    if (value->count < field->min || value->count > field->max)
        return json_problem_range(b, place, "must have", field->min, field->max, "item");
    if (value->count == 0)
        return true;
    return bind_items(b, field->item ? field->item : &object, value, at, place);
}

static bool bind_source(struct json_binder *b, const struct json_field *field,
                        const struct json_value *value, struct span *at,
                        const struct json_place *place)
{
    struct span text = value->source;

    if (field->kind == JSON_KIND_MAP && value->type != JSON_OBJECT)
        return json_problem_at(b, place, "must be an object");
    if (field->free_text && !json_bind_masked(b, field, value, &text, place))
        return false;
    if ((int64_t)text.len < field->min || (int64_t)text.len > field->max)
        return json_problem_range(b, place, "must be", field->min, field->max, "byte");
    *at = text;
    return true;
}

/* The plain kinds, once the value is of the JSON type that carries them. */
static bool bind_scalar(struct json_binder *b, const struct json_field *field,
                        const struct json_value *value, void *at, const struct json_place *place)
{
    bool text = field->kind == JSON_KIND_TEXT || field->kind == JSON_KIND_TIME;

    if (text && value->type != JSON_TEXT)
        return json_problem_at(b, place, "must be a string");
    if (field->kind == JSON_KIND_BOOL && value->type != JSON_BOOL)
        return json_problem_at(b, place, "must be true or false");
    if (field->kind == JSON_KIND_I64 && value->type != JSON_NUMBER)
        return json_problem_at(b, place, "must be a whole number");
    if (field->kind == JSON_KIND_DECIMAL && value->type != JSON_NUMBER && value->type != JSON_TEXT)
        return json_problem_at(b, place, "must be a decimal number without an exponent");
    return json_bind_plain(b, field, value->type == JSON_BOOL ? value->source : value->text, at,
                           place);
}

static bool bind_value(struct json_binder *b, const struct json_field *field,
                       const struct json_value *value, void *at, const struct json_place *place)
{
    switch (field->kind) {
    case JSON_KIND_TEXT:
    case JSON_KIND_BOOL:
    case JSON_KIND_I64:
    case JSON_KIND_DECIMAL:
    case JSON_KIND_TIME:
        return bind_scalar(b, field, value, at, place);
    case JSON_KIND_OBJECT:
        PC_ASSERT(field->schema != NULL);
        return bind_object(b, field->schema, value, at, place);
    case JSON_KIND_LIST:
        return bind_list(b, field, value, at, place);
    case JSON_KIND_MAP:
    case JSON_KIND_ANY:
        return bind_source(b, field, value, at, place);
    case JSON_KIND_NONE:
    case JSON_KIND_COUNT:
        break;
    }
    PC_WRONG("a field without a kind");
}

static enum err bind_result(const struct json_binder *b)
{
    if (b->err)
        return b->err;
    return b->failed ? ERR_VALIDATION : ERR_OK;
}

enum err json_bind(const struct json_schema *schema, const struct json_value *value,
                   struct arena *arena, void *ret_struct, struct json_problems *problems)
{
    struct json_binder b = {.arena = arena, .problems = problems};

    PC_ASSERT(schema->bytes > 0);
    memset(ret_struct, 0, schema->bytes);
    (void)bind_object(&b, schema, value, ret_struct, NULL);
    return bind_result(&b);
}

enum err json_bind_text(const struct json_field *field, struct span text, struct arena *arena,
                        void *ret_struct, struct json_problems *problems)
{
    struct json_binder b = {.arena = arena, .problems = problems};
    struct json_place place = {.name = field->name};
    char *base = ret_struct;

    if (json_bind_plain(&b, field, text, base + field->offset, &place))
        mark_given(field, base);
    return bind_result(&b);
}

enum err json_bind_missing(const struct json_field *field, struct arena *arena, void *ret_struct,
                           struct json_problems *problems)
{
    struct json_binder b = {.arena = arena, .problems = problems};
    struct json_place place = {.name = field->name};

    (void)bind_missing(&b, field, ret_struct, &place);
    return bind_result(&b);
}
