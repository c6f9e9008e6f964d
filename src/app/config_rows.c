/* SPDX-License-Identifier: MIT
 * What the file says inside of lists: where each member stands, so that the rules can tell it with
 * line and column, and what an item leaves out and therefore has by default. */
#include "app/config_priv.h"

#include <string.h>

#include "base/hash.h"

struct config_place {
    struct config_place *next;
    uint32_t line, column;
    size_t len;
    char path[];
};

enum { ROW_PATH_BYTES_MAX = 3 * CONFIG_PATH_BYTES_MAX };

struct config_rows config_rows_at(const struct config_setting *setting, const void *base)
{
    struct config_rows rows;

    PC_ASSERT(setting->type == CONFIG_ROWS);
    memcpy(&rows, (const char *)base + setting->offset, sizeof(rows));
    return rows;
}

/* ---- places ---- */

/* The file's author gains nothing from paths that collide, so the key may be known. */
static size_t slot_of(struct span path)
{
    static const struct hash_key key = {.k0 = 1, .k1 = 2};

    return (size_t)(hash_span(&key, path) % CONFIG_PLACE_SLOTS);
}

enum err config_place_add(struct config_loader *loader, const char *path, size_t line,
                          size_t column)
{
    struct span text = span_from(path);
    struct config_place **slot = &loader->places[slot_of(text)];
    struct config_place *place = arena_zero(loader->arena, sizeof(*place) + text.len);

    if (place == NULL)
        return ERR_NO_MEMORY;
    place->next = *slot;
    place->line = (uint32_t)line;
    place->column = (uint32_t)column;
    place->len = text.len;
    memcpy(place->path, text.ptr, text.len);
    *slot = place;
    return ERR_OK;
}

bool config_place_find(const struct config_loader *loader, struct span path, uint32_t *ret_line,
                       uint32_t *ret_column)
{
    const struct config_place *place = loader->places[slot_of(path)];

    while (place != NULL && !span_equal(path, span_make(place->path, place->len)))
        place = place->next;
    if (place == NULL)
        return false;
    *ret_line = place->line;
    *ret_column = place->column;
    return true;
}

/* ---- defaults ---- */

static enum err rows_default(struct config_loader *loader, const struct config_setting *setting,
                             void *base, const char *path);

/* A member of an item; `path` is the member's own. */
static enum err member_default(struct config_loader *loader, const struct config_setting *member,
                               void *item, const char *path)
{
    uint32_t line;
    uint32_t column;

    if (member->type == CONFIG_ROWS)
        return rows_default(loader, member, item, path);
    if (config_place_find(loader, span_from(path), &line, &column))
        return ERR_OK;
    return config_value_set(member, span_from(member->fallback), loader->arena, item);
}

static enum err rows_default(struct config_loader *loader, const struct config_setting *setting,
                             void *base, const char *path)
{
    const struct config_rows rows = config_rows_at(setting, base);

    for (size_t i = 0; i < rows.count; i++)
        for (size_t j = 0; j < setting->row_count; j++) {
            const struct config_setting *member = &setting->row[j];
            char text[ROW_PATH_BYTES_MAX];
            struct sbuf out = sbuf_over(text, sizeof(text));
            enum err err;

            if (member->type != CONFIG_ROWS && member->fallback == NULL)
                continue;
            sbuf_add_format(&out, "%s[%zu].%s", path, i, member->path);
            sbuf_add_char(&out, '\0');
            PC_ASSERT(!out.full);
            err = member_default(loader, member, (char *)rows.items + i * setting->row_bytes, text);
            if (err)
                return err;
        }
    return ERR_OK;
}

enum err config_rows_default(struct config_loader *loader, const struct config_setting *setting)
{
    return rows_default(loader, setting, loader->config, setting->path);
}
