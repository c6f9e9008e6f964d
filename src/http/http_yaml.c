/* SPDX-License-Identifier: MIT
 * JSON to YAML, for people who read API documents: block style, every text in double quotes, where
 * YAML and JSON escape alike. Reads only what http_openapi_write made. Source: YAML 1.2.2. */
#include "http/http.h"

#include "json/json.h"

enum { INDENT = 2 };

static void add_indent(struct sbuf *out, unsigned depth)
{
    for (unsigned i = 0; i < depth * INDENT; i++)
        sbuf_add_char(out, ' ');
}

/* A name that needs no quotes: begins with a letter, then letters, digits, '_' and '-'. */
static bool plain_name(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = span_lower_char(name.ptr[i]);
        bool letter = c >= 'a' && c <= 'z';

        if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '_' || c == '-')))
            return false;
    }
    /* YAML 1.1 readers take these for booleans or null. */
    return name.len > 1 && !span_is_nocase(name, "null") && !span_is_nocase(name, "true") &&
           !span_is_nocase(name, "false") && !span_is_nocase(name, "yes") &&
           !span_is_nocase(name, "no") && !span_is_nocase(name, "on") &&
           !span_is_nocase(name, "off");
}

static bool is_block(const struct json_value *value)
{
    return (json_is_object(value) || json_is_list(value)) && value->count > 0;
}

static void add_value(struct sbuf *out, const struct json_value *value, unsigned depth, bool here);

/* What is in a list stands behind its dash: "- name: x". */
static void add_item(struct sbuf *out, const struct json_value *item, bool list, unsigned depth)
{
    if (list) {
        sbuf_add_lit(out, "- ");
        add_value(out, item, depth + 1, true);
        return;
    }
    if (plain_name(item->name))
        sbuf_add(out, item->name);
    else
        sbuf_add_json(out, item->name);
    sbuf_add_char(out, ':');
    sbuf_add_char(out, is_block(item) ? '\n' : ' ');
    add_value(out, item, depth + 1, false);
}

/* `here`: the first line is begun already. Depth is bounded by the reader (LIMIT_JSON_DEPTH_MAX).
 */
static void add_value(struct sbuf *out, const struct json_value *value, unsigned depth, bool here)
{
    if (!is_block(value)) {
        if (json_is_text(value))
            sbuf_add_json(out, value->text); /* YAML knows no surrogate pairs: not as it was */
        else
            sbuf_add(out, value->source);
        sbuf_add_char(out, '\n');
        return;
    }
    for (uint32_t i = 0; i < value->count; i++) {
        if (i > 0 || !here)
            add_indent(out, depth);
        add_item(out, &value->items[i], json_is_list(value), depth);
    }
}

enum err http_openapi_yaml(struct span json, struct arena *arena, struct sbuf *out)
{
    const struct json_value *root;
    enum err err = json_read(json, arena, &root, NULL);

    if (err)
        return err;
    add_value(out, root, 0, false);
    return out->full ? ERR_NO_SPACE : ERR_OK;
}
