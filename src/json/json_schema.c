/* SPDX-License-Identifier: MIT
 * Writes a C struct as JSON by its table: the way back of json_bind.c. What may not go out, a
 * password, is left out here and not at each reply. */
#include "json/json_schema.h"

#include "json/json_schema_priv.h"
#include "json/json_writer.h"

static void write_value(struct json_writer *w, const struct json_field *field, const char *at);

static bool is_there(const struct json_field *field, const char *base)
{
    if (field->has_offset != 0)
        return *(const bool *)(base + field->has_offset);
    return !json_kind_is_span(field->kind) ||
           ((const struct span *)(base + field->offset))->ptr != NULL;
}

static void write_object(struct json_writer *w, const struct json_schema *schema, const char *base)
{
    json_begin_object(w);
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct json_field *field = &schema->fields[i];
        bool there = is_there(field, base);

        if (field->format == JSON_FORMAT_PASSWORD)
            continue;
        if (!there && !field->nullable && field->optional)
            continue;
        json_key(w, field->name);
        if (!there && field->nullable)
            json_null(w);
        else
            write_value(w, field, base + field->offset);
    }
    json_end_object(w);
}

static void write_list(struct json_writer *w, const struct json_field *field,
                       const struct json_list *list)
{
    const struct json_field object = {.kind = JSON_KIND_OBJECT, .schema = field->schema};
    const struct json_field *item = field->item ? field->item : &object;
    size_t bytes = json_kind_bytes(item->kind, item->schema);
    const char *items = list->items;

    json_begin_list(w);
    for (size_t i = 0; i < list->count; i++)
        write_value(w, item, items + i * bytes);
    json_end_list(w);
}

static void write_value(struct json_writer *w, const struct json_field *field, const char *at)
{
    const void *value = at;

    switch (field->kind) {
    case JSON_KIND_TEXT:
        json_text(w, *(const struct span *)value);
        return;
    case JSON_KIND_BOOL:
        json_bool(w, *(const bool *)value);
        return;
    case JSON_KIND_I64:
        json_i64(w, *(const int64_t *)value);
        return;
    case JSON_KIND_TIME:
        json_time(w, *(const int64_t *)value);
        return;
    case JSON_KIND_OBJECT:
        write_object(w, field->schema, at);
        return;
    case JSON_KIND_LIST:
        write_list(w, field, value);
        return;
    case JSON_KIND_DECIMAL:
    case JSON_KIND_MAP:
    case JSON_KIND_ANY:
        json_raw(w, *(const struct span *)value);
        return;
    case JSON_KIND_NONE:
    case JSON_KIND_COUNT:
        break;
    }
    PC_WRONG("a field without a kind");
}

void json_write(struct sbuf *out, const struct json_schema *schema, const void *value)
{
    struct json_writer w = json_writer_on(out);

    write_object(&w, schema, value);
}
