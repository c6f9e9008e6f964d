/* SPDX-License-Identifier: MIT
 * The checked file into the struct, by libcyaml. Its schema is built from the settings table, its
 * memory is the arena. What the file leaves out is zero here; the defaults come afterwards. */
#include "app/config_priv.h"

#include <cyaml/cyaml.h>
#include <string.h>

enum { MEMORY_HEAD_BYTES = 16 };

/* Every list is a pointer and, right behind it, a count. */
#define ALIKE(type, first, number)                                                                 \
    _Static_assert(offsetof(type, number) - offsetof(type, first) ==                               \
                           offsetof(struct config_rows, count) &&                                  \
                       sizeof(((type *)NULL)->number) == sizeof(size_t),                           \
                   "lists are alike")
ALIKE(struct config_texts, items, count);
ALIKE(struct config_limits, items, count);
ALIKE(struct config, upstreams.items, upstreams.count);
ALIKE(struct config, routes.items, routes.count);
ALIKE(struct config, issuers.items, issuers.count);
ALIKE(struct config_issuer, required, required_count);
ALIKE(struct config_upstream, targets, target_count);
ALIKE(struct config_route, request_set, request_set_count);
ALIKE(struct config_route, response_set, response_set_count);
ALIKE(struct config_route, limits, limit_count);

/* ---- memory ---- */

/* libcyaml's allocator, on the arena: nothing is given back before the arena is. Each block keeps
 * its size in front of it. Lists grow by one item at a time, so a block that grows gets room to
 * grow into. */
static void *memory(void *context, void *block, size_t bytes)
{
    struct arena *arena = context;
    char *head_before = block == NULL ? NULL : (char *)block - MEMORY_HEAD_BYTES;
    size_t bytes_before = 0;
    size_t room = block == NULL ? bytes : 2 * bytes;
    char *head;

    if (bytes == 0)
        return NULL;
    if (head_before != NULL)
        memcpy(&bytes_before, head_before, sizeof(bytes_before));
    if (bytes <= bytes_before)
        return block;
    head = arena_zero(arena, MEMORY_HEAD_BYTES + room);
    if (head == NULL)
        return NULL;
    memcpy(head, &room, sizeof(room));
    if (block != NULL)
        memcpy(head + MEMORY_HEAD_BYTES, block, bytes_before);
    return head + MEMORY_HEAD_BYTES;
}

/* ---- the schema ---- */

struct builder {
    struct arena *arena;
    const struct config_setting *settings;
    size_t count;
    uint32_t bytes; /* of the struct that the offsets are in */
    bool failed;    /* sticky: no memory */
};

static const cyaml_schema_field_t *fields_build(struct builder *builder, struct span prefix);

static struct cyaml_schema_value text_value(uint32_t bytes_max)
{
    return (struct cyaml_schema_value){.type = CYAML_STRING,
                                       .flags = CYAML_FLAG_POINTER,
                                       .data_size = sizeof(char),
                                       .string = {.min = 0, .max = bytes_max}};
}

static void choice_value(struct builder *builder, const struct config_setting *setting,
                         struct cyaml_schema_value *ret)
{
    cyaml_strval_t *strings;
    uint32_t count = 0;

    while (setting->choices[count] != NULL)
        count++;
    strings = arena_array(builder->arena, count, sizeof(*strings));
    if (strings == NULL) {
        builder->failed = true;
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        strings[i] = (cyaml_strval_t){.str = setting->choices[i], .val = i + setting->choice_first};
    *ret = (struct cyaml_schema_value){.type = CYAML_ENUM,
                                       .flags = CYAML_FLAG_STRICT,
                                       .data_size = sizeof(enum config_environment),
                                       .enumeration = {.strings = strings, .count = count}};
}

static void list_value(struct builder *builder, const struct config_setting *setting,
                       struct cyaml_schema_value *ret)
{
    struct cyaml_schema_value *entry = arena_zero(builder->arena, sizeof(*entry));
    struct builder row = {.arena = builder->arena,
                          .settings = setting->row,
                          .count = setting->row_count,
                          .bytes = (uint32_t)setting->row_bytes};

    if (entry == NULL) {
        builder->failed = true;
        return;
    }
    *ret = (struct cyaml_schema_value){.type = CYAML_SEQUENCE,
                                       .flags = CYAML_FLAG_POINTER,
                                       .data_size = sizeof(const char *),
                                       .sequence = {.entry = entry, .max = setting->max}};
    if (setting->type == CONFIG_TEXTS) {
        *entry = text_value(CONFIG_ITEM_BYTES_MAX);
        return;
    }
    ret->data_size = row.bytes;
    *entry =
        (struct cyaml_schema_value){.type = CYAML_MAPPING,
                                    .data_size = row.bytes,
                                    .mapping = {.fields = fields_build(&row, (struct span){0})}};
    builder->failed |= row.failed;
}

static void setting_field(struct builder *builder, const struct config_setting *setting,
                          cyaml_schema_field_t *field)
{
    field->data_offset = (uint32_t)setting->offset;
    switch (setting->type) {
    case CONFIG_NUMBER:
        field->value.type = CYAML_UINT;
        field->value.data_size = sizeof(uint32_t);
        break;
    case CONFIG_SWITCH:
        field->value.type = CYAML_BOOL;
        field->value.data_size = sizeof(bool);
        break;
    case CONFIG_TEXT:
        field->value = text_value(setting->max);
        break;
    case CONFIG_CHOICE:
        choice_value(builder, setting, &field->value);
        break;
    case CONFIG_TEXTS:
    case CONFIG_ROWS:
        field->count_offset = (uint32_t)(setting->offset + offsetof(struct config_rows, count));
        field->count_size = sizeof(size_t);
        list_value(builder, setting, &field->value);
        break;
    }
    field->value.flags |= CYAML_FLAG_OPTIONAL;
}

/* Sections hold no memory of their own: every offset counts from the top struct. */
static void section_field(struct builder *builder, struct span path, cyaml_schema_field_t *field)
{
    field->value.type = CYAML_MAPPING;
    field->value.flags = CYAML_FLAG_OPTIONAL;
    field->value.data_size = builder->bytes;
    field->value.mapping.fields = fields_build(builder, path);
}

/* Is `path` below `prefix`? Its next part ends at *ret_end. */
static bool below(struct span path, struct span prefix, size_t *ret_begin, size_t *ret_end)
{
    size_t begin = prefix.len > 0 ? prefix.len + 1 : 0;

    if (!span_starts(path, prefix) || path.len <= begin)
        return false;
    if (begin > 0 && path.ptr[begin - 1] != '.')
        return false;
    *ret_begin = begin;
    *ret_end = begin + span_find(span_slice(path, begin, path.len), '.');
    return true;
}

static bool is_listed(const cyaml_schema_field_t *fields, size_t count, struct span name)
{
    for (size_t i = 0; i < count; i++)
        if (span_is(name, fields[i].key))
            return true;
    return false;
}

/* The keys directly under `prefix`. */
static const cyaml_schema_field_t *fields_build(struct builder *builder, struct span prefix)
{
    cyaml_schema_field_t *fields = arena_array(builder->arena, builder->count + 1, sizeof(*fields));
    size_t count = 0;

    if (fields == NULL) {
        builder->failed = true;
        return NULL;
    }
    for (size_t i = 0; i < builder->count && !builder->failed; i++) {
        struct span path = span_from(builder->settings[i].path);
        size_t begin;
        size_t end;

        if (!below(path, prefix, &begin, &end) ||
            is_listed(fields, count, span_slice(path, begin, end)))
            continue;
        fields[count].key = arena_string(builder->arena, span_slice(path, begin, end));
        if (fields[count].key == NULL)
            builder->failed = true;
        else if (end == path.len)
            setting_field(builder, &builder->settings[i], &fields[count++]);
        else
            section_field(builder, span_slice(path, 0, end), &fields[count++]);
    }
    return fields;
}

/* ---- loading ---- */

static bool anything_seen(const struct config_loader *loader)
{
    for (size_t i = 0; i < config_setting_count; i++)
        if (loader->origins->of[i].kind == CONFIG_FROM_FILE)
            return true;
    return false;
}

enum err config_yaml_load(struct config_loader *loader)
{
    struct builder builder = {.arena = loader->arena,
                              .settings = config_settings,
                              .count = config_setting_count,
                              .bytes = sizeof(struct config)};
    struct cyaml_schema_value top = {
        .type = CYAML_MAPPING, .flags = CYAML_FLAG_POINTER, .data_size = sizeof(struct config)};
    cyaml_config_t how = {.mem_fn = memory,
                          .mem_ctx = loader->arena,
                          .log_level = CYAML_LOG_ERROR,
                          .flags = CYAML_CFG_NO_ALIAS};
    cyaml_data_t *loaded = NULL;
    cyaml_err_t failure;

    if (!anything_seen(loader))
        return ERR_OK;
    top.mapping.fields = fields_build(&builder, (struct span){0});
    if (builder.failed)
        return ERR_NO_MEMORY;
    failure = cyaml_load_data((const uint8_t *)loader->text.ptr, loader->text.len, &how, &top,
                              &loaded, NULL);
    if (failure == CYAML_ERR_OOM)
        return ERR_NO_MEMORY;
    if (failure != CYAML_OK || loaded == NULL) {
        config_problem_at(loader, 0, 0, "cannot be loaded: %s", cyaml_strerror(failure));
        return ERR_CONFIG;
    }
    *loader->config = *(const struct config *)loaded;
    return ERR_OK;
}
