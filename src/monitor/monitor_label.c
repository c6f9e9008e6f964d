/* SPDX-License-Identifier: MIT
 * Sets of named texts: reading them from JSON, making them fit to be kept, and naming them. */
#include "monitor/monitor_label.h"

#include <stdlib.h>
#include <string.h>

#include "base/mask.h"
#include "json/json.h"
#include "json/json_writer.h"

enum { JSON_BYTES_MAX = 2 * 1024 * 1024 };

/* FNV-1a, 64 bits; the byte between names and values is none of UTF-8. */
#define FNV_OFFSET UINT64_C(14695981039346656037)
#define FNV_PRIME  UINT64_C(1099511628211)
enum { SEPARATOR = 0xFF };

static int by_name(const void *one, const void *other)
{
    return span_compare(((const struct monitor_label *)one)->name,
                        ((const struct monitor_label *)other)->name);
}

static const char *fault_of(const struct json_value *member)
{
    if (member->name.len == 0 || member->name.len > MONITOR_LABEL_NAME_BYTES_MAX)
        return "must have names of 1 to 128 bytes";
    if (memchr(member->name.ptr, '\0', member->name.len) != NULL || mask_finds(member->name))
        return "must have names that are names";
    if (member->type != JSON_TEXT)
        return "must hold strings only";
    return NULL;
}

/* The reader has refused a name that comes twice. */
static enum err take_members(const struct json_value *root, struct monitor_labels *ret_labels,
                             const char **reterr_why)
{
    if (!json_is_object(root) || root->count > MONITOR_LABELS_MAX) {
        *reterr_why = "must be an object of at most 64 members";
        return ERR_VALIDATION;
    }
    for (size_t i = 0; i < root->count; i++) {
        *reterr_why = fault_of(&root->items[i]);
        if (*reterr_why != NULL)
            return ERR_VALIDATION;
        ret_labels->list[i] =
            (struct monitor_label){.name = root->items[i].name, .value = root->items[i].text};
    }
    ret_labels->count = root->count;
    qsort(ret_labels->list, ret_labels->count, sizeof(ret_labels->list[0]), by_name);
    return ERR_OK;
}

enum err monitor_labels_read(struct span json, struct arena *arena,
                             struct monitor_labels *ret_labels, const char **reterr_why)
{
    const struct json_value *root;
    enum err err;

    ret_labels->count = 0;
    if (json.len == 0)
        return ERR_OK;
    err = json_read(json, arena, &root, NULL);
    if (err == ERR_JSON_SYNTAX) {
        *reterr_why = "must be an object of strings";
        return ERR_VALIDATION;
    }
    return err ? err : take_members(root, ret_labels, reterr_why);
}

struct span monitor_text_cut(struct span text, size_t bytes_max)
{
    if (text.len <= bytes_max)
        return text;
    text.len = bytes_max;
    while (text.len > 0 && ((unsigned char)text.ptr[text.len] & 0xC0) == 0x80)
        text.len--;
    return text;
}

/* No database takes a NUL. */
static enum err without_nul(struct span text, struct arena *arena, struct span *ret_text)
{
    char *copy;

    *ret_text = text;
    if (text.len == 0 || memchr(text.ptr, '\0', text.len) == NULL)
        return ERR_OK;
    copy = arena_bytes(arena, text.len);
    if (copy == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < text.len; i++)
        copy[i] = text.ptr[i] != '\0' ? text.ptr[i] : ' ';
    *ret_text = span_make(copy, text.len);
    return ERR_OK;
}

/* Masked before it is cut, so that no half of a number passes. */
static enum err clean(struct span *text, size_t bytes_max, struct arena *arena)
{
    enum err err = without_nul(*text, arena, text);

    if (!err)
        err = mask_card_data(*text, arena, text);
    *text = monitor_text_cut(*text, bytes_max);
    return err;
}

enum err monitor_labels_clean(struct monitor_labels *labels, size_t value_bytes_max,
                              struct arena *arena)
{
    size_t left = MONITOR_LABELS_BYTES_MAX;

    for (size_t i = 0; i < labels->count; i++) {
        struct span *value = &labels->list[i].value;
        enum err err = clean(value, left < value_bytes_max ? left : value_bytes_max, arena);

        if (err)
            return err;
        left -= value->len;
    }
    return ERR_OK;
}

void monitor_labels_add(struct monitor_labels *labels, const char *name, struct span value)
{
    struct monitor_label label = {.name = span_from(name), .value = value};
    size_t at = labels->count;

    PC_ASSERT(labels->count < MONITOR_LABELS_MAX);
    while (at > 0 && span_compare(labels->list[at - 1].name, label.name) > 0) {
        labels->list[at] = labels->list[at - 1];
        at--;
    }
    PC_ASSERT(at == 0 || !span_equal(labels->list[at - 1].name, label.name));
    labels->list[at] = label;
    labels->count++;
}

struct span monitor_labels_value(const struct monitor_labels *labels, const char *name)
{
    for (size_t i = 0; i < labels->count; i++) {
        if (span_is(labels->list[i].name, name))
            return labels->list[i].value;
    }
    return (struct span){0};
}

enum err monitor_labels_write(const struct monitor_labels *labels, struct arena *arena,
                              struct span *ret_json)
{
    struct sbuf out = sbuf_on(arena, JSON_BYTES_MAX);
    struct json_writer w = json_writer_on(&out);

    json_begin_object(&w);
    for (size_t i = 0; i < labels->count; i++) {
        json_key_span(&w, labels->list[i].name);
        json_text(&w, labels->list[i].value);
    }
    json_end_object(&w);
    return sbuf_finish(&out, ret_json) == ERR_OK ? ERR_OK : ERR_NO_MEMORY;
}

static uint64_t hash_byte(uint64_t hash, unsigned char byte)
{
    return (hash ^ byte) * FNV_PRIME;
}

static uint64_t hash_text(uint64_t hash, struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        hash = hash_byte(hash, (unsigned char)text.ptr[i]);
    return hash_byte(hash, SEPARATOR);
}

void monitor_labels_fingerprint(const struct monitor_labels *labels,
                                char ret_text[MONITOR_FINGERPRINT_BYTES + 1])
{
    static const char digits[] = "0123456789abcdef";
    uint64_t hash = FNV_OFFSET;

    for (size_t i = 0; i < labels->count; i++)
        hash = hash_text(hash_text(hash, labels->list[i].name), labels->list[i].value);
    for (size_t i = MONITOR_FINGERPRINT_BYTES; i-- > 0; hash >>= 4)
        ret_text[i] = digits[hash & 15];
    ret_text[MONITOR_FINGERPRINT_BYTES] = '\0';
}
