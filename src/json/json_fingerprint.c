/* SPDX-License-Identifier: MIT
 * What a bound body says, in eight bytes for each of its members, so that a later one can be told
 * from it and the member named in which they differ. It is made from the values a handler sees, not
 * from the text: order of members, white space, 19.95 or "19.95" are all one.
 *
 * The key of the hash is fixed, since prints are kept for days: somebody may find two bodies with
 * one print, and so fool nobody but himself. */
#include <string.h>

#include "base/hash.h"
#include "json/json_schema_priv.h"

enum { PRINT_BYTES = 8, CANON_BYTES_MAX = 4 * 1024 * 1024 };

static const struct hash_key print_key = {UINT64_C(0x706f727463756c6c),
                                          UINT64_C(0x69732d626f647931)};

/* The values in one form each, one behind the other; every value tells where it ends. */
struct canon {
    struct arena *arena;
    struct sbuf out;
    enum err err;
};

static void canon_field(struct canon *c, const struct json_field *field, const char *base);

static void canon_number(struct canon *c, uint64_t value)
{
    unsigned char bytes[8];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(value >> (8 * i));
    sbuf_add_bytes(&c->out, bytes, sizeof(bytes));
}

static void canon_text(struct canon *c, struct span text)
{
    canon_number(c, text.len);
    sbuf_add(&c->out, text);
}

/* 19.950, 19.95 and -0.0 without the zeros that say nothing. */
static struct span shortest(struct span decimal)
{
    size_t point = span_find(decimal, '.');
    size_t end = decimal.len;

    if (point == decimal.len || span_find(decimal, 'e') < decimal.len ||
        span_find(decimal, 'E') < decimal.len)
        return decimal;
    while (end > point + 1 && decimal.ptr[end - 1] == '0')
        end--;
    return span_slice(decimal, 0, end == point + 1 ? point : end);
}

static uint64_t hash_from(struct canon *c, size_t mark)
{
    uint64_t hash = hash_bytes(&print_key, c->out.ptr + mark, c->out.len - mark);

    if (!c->out.full)
        sbuf_truncate(&c->out, mark);
    return hash;
}

/* Reading has bounded how deep values nest. Members count in any order. */
static void canon_value(struct canon *c, const struct json_value *value)
{
    uint64_t sum = 0;

    canon_number(c, (uint64_t)value->type);
    if (value->type == JSON_BOOL || value->type == JSON_TEXT)
        canon_text(c, value->type == JSON_BOOL ? value->source : value->text);
    else if (value->type == JSON_NUMBER)
        canon_text(c, shortest(value->text));
    for (size_t i = 0; i < value->count && !c->out.full; i++) {
        size_t mark = c->out.len;

        if (value->type == JSON_OBJECT)
            canon_text(c, value->items[i].name);
        canon_value(c, &value->items[i]);
        if (value->type == JSON_OBJECT)
            sum += hash_from(c, mark);
    }
    canon_number(c, value->count);
    canon_number(c, sum);
}

static void canon_source(struct canon *c, struct span source)
{
    const struct json_value *value;
    enum err err;

    if (source.ptr == NULL)
        return;
    err = json_read(source, c->arena, &value, NULL);
    if (err)
        c->err = err;
    else
        canon_value(c, value);
}

static struct json_field item_of(const struct json_field *list)
{
    const struct json_field object = {.kind = JSON_KIND_OBJECT, .schema = list->schema};

    return list->item != NULL ? *list->item : object;
}

static void canon_item(struct canon *c, const struct json_field *item, const struct json_list *list,
                       size_t i)
{
    struct json_field field = *item;

    field.offset = 0;
    field.has_offset = 0;
    canon_field(c, &field,
                (const char *)list->items + i * json_kind_bytes(item->kind, item->schema));
}

static void canon_list(struct canon *c, const struct json_field *field,
                       const struct json_list *list)
{
    const struct json_field item = item_of(field);

    canon_number(c, list->count);
    for (size_t i = 0; i < list->count; i++)
        canon_item(c, &item, list, i);
}

static void canon_object(struct canon *c, const struct json_schema *schema, const char *base)
{
    for (size_t i = 0; i < schema->field_count; i++)
        canon_field(c, &schema->fields[i], base);
}

static void canon_span(struct canon *c, const struct json_field *field, struct span text)
{
    sbuf_add_char(&c->out, text.ptr != NULL ? 1 : 0);
    if (field->kind == JSON_KIND_MAP || field->kind == JSON_KIND_ANY)
        canon_source(c, text);
    else
        canon_text(c, field->kind == JSON_KIND_DECIMAL ? shortest(text) : text);
}

/* A member and whether it was given. */
static void canon_field(struct canon *c, const struct json_field *field, const char *base)
{
    const void *at = base + field->offset;

    if (field->has_offset != 0)
        sbuf_add_char(&c->out, *(const bool *)(base + field->has_offset) ? 1 : 0);
    if (json_kind_is_span(field->kind))
        canon_span(c, field, *(const struct span *)at);
    else if (field->kind == JSON_KIND_OBJECT)
        canon_object(c, field->schema, at);
    else if (field->kind == JSON_KIND_LIST)
        canon_list(c, field, at);
    else if (field->kind == JSON_KIND_BOOL)
        sbuf_add_char(&c->out, *(const bool *)at ? 1 : 0);
    else
        canon_number(c, (uint64_t) * (const int64_t *)at);
}

static const struct json_list *list_at(const struct json_field *field, const void *value)
{
    return (const struct json_list *)((const char *)value + field->offset);
}

static size_t print_bytes(const struct json_schema *schema, const void *value)
{
    size_t places = schema->field_count;

    for (size_t i = 0; i < schema->field_count; i++) {
        if (schema->fields[i].kind == JSON_KIND_LIST)
            places += list_at(&schema->fields[i], value)->count;
    }
    return places * PRINT_BYTES;
}

static void put(char **at, uint64_t value)
{
    for (size_t i = 0; i < PRINT_BYTES; i++)
        *(*at)++ = (char)(value >> (8 * i));
}

/* A list's own eight bytes say how many items follow behind the members, and whether it was given.
 */
static uint64_t list_print(const struct json_field *field, const char *base)
{
    uint64_t given = field->has_offset != 0 && *(const bool *)(base + field->has_offset);

    return (uint64_t)list_at(field, base)->count << 1 | given;
}

static void print_items(struct canon *c, const struct json_field *field, const void *value,
                        char **at)
{
    const struct json_list *list = list_at(field, value);
    const struct json_field item = item_of(field);

    for (size_t i = 0; i < list->count; i++) {
        canon_item(c, &item, list, i);
        put(at, hash_from(c, 0));
    }
}

enum err json_fingerprint(const struct json_schema *schema, const void *value, struct arena *arena,
                          struct span *ret_print)
{
    struct canon c = {.arena = arena, .out = sbuf_on(arena, CANON_BYTES_MAX)};
    size_t bytes = print_bytes(schema, value);
    char *print = arena_bytes(arena, bytes > 0 ? bytes : 1);
    char *at = print;

    if (print == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < schema->field_count; i++) {
        if (schema->fields[i].kind == JSON_KIND_LIST) {
            put(&at, list_print(&schema->fields[i], value));
            continue;
        }
        canon_field(&c, &schema->fields[i], value);
        put(&at, hash_from(&c, 0));
    }
    for (size_t i = 0; i < schema->field_count; i++) {
        if (schema->fields[i].kind == JSON_KIND_LIST)
            print_items(&c, &schema->fields[i], value, &at);
    }
    PC_ASSERT(at == print + bytes);
    if (c.err || c.out.full)
        return c.err ? c.err : ERR_NO_MEMORY;
    *ret_print = span_make(print, bytes);
    return ERR_OK;
}

/* ---- telling two apart ------------------------------------------------------------------------
 */

static uint64_t place_of(struct span print, size_t place)
{
    uint64_t value = 0;

    for (size_t i = PRINT_BYTES; i-- > 0;)
        value = value << 8 | (unsigned char)print.ptr[place * PRINT_BYTES + i];
    return value;
}

/* Whether it can be one of this schema: its lists fill it to the end. */
static bool is_print_of(const struct json_schema *schema, struct span print)
{
    uint64_t places = schema->field_count;

    if (print.len % PRINT_BYTES != 0 || print.len / PRINT_BYTES < schema->field_count)
        return false;
    for (size_t i = 0; i < schema->field_count; i++) {
        uint64_t count = place_of(print, i) >> 1;

        if (schema->fields[i].kind != JSON_KIND_LIST)
            continue;
        if (count > print.len)
            return false;
        places += count;
    }
    return places == print.len / PRINT_BYTES;
}

static bool say(struct sbuf *name, const char *field)
{
    sbuf_add_text(name, field);
    return true;
}

/* Two lists whose items begin at these places. */
static bool lists_differ(const struct json_field *field, struct span one, struct span other,
                         size_t at_one, size_t at_other, size_t i, struct sbuf *name)
{
    uint64_t counts[] = {place_of(one, i) >> 1, place_of(other, i) >> 1};
    uint64_t common = counts[0] < counts[1] ? counts[0] : counts[1];

    for (uint64_t k = 0; k < common; k++) {
        if (place_of(one, at_one + k) != place_of(other, at_other + k)) {
            sbuf_add_format(name, "%s[%llu]", field->name, (unsigned long long)k);
            return true;
        }
    }
    if (counts[0] == counts[1])
        return place_of(one, i) != place_of(other, i) && say(name, field->name);
    sbuf_add_format(name, "%s[%llu]", field->name, (unsigned long long)common);
    return true;
}

bool json_fingerprint_differs(const struct json_schema *schema, struct span one, struct span other,
                              struct sbuf *name)
{
    size_t at_one = schema->field_count;
    size_t at_other = at_one;

    if (span_equal(one, other))
        return false;
    if (!is_print_of(schema, one) || !is_print_of(schema, other))
        return say(name, "body");
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct json_field *field = &schema->fields[i];

        if (field->kind != JSON_KIND_LIST && place_of(one, i) != place_of(other, i))
            return say(name, field->name);
        if (field->kind != JSON_KIND_LIST)
            continue;
        if (lists_differ(field, one, other, at_one, at_other, i, name))
            return true;
        at_one += place_of(one, i) >> 1;
        at_other += place_of(other, i) >> 1;
    }
    return say(name, "body");
}
