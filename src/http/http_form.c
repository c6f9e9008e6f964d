/* SPDX-License-Identifier: MIT
 * Reads a form body in one pass: cuts at '&' and the first '=', decodes each side once. Stands
 * beside http_path.c as the second place where escapes are decoded. */
#include "http/http_form.h"

#include "base/check.h"
#include "http/http_path.h"

static bool byte_allowed(int c, bool escaped)
{
    if (escaped)
        return c > 0; /* a line break in a text is the sender's business; NUL is nobody's */
    return c >= 0x20 && c != 0x7F;
}

static enum err decode(struct span raw, struct arena *arena, struct span *ret_text)
{
    char *text;
    size_t len = 0;

    *ret_text = (struct span){0};
    if (raw.len == 0)
        return ERR_OK;
    text = arena_bytes(arena, raw.len);
    if (text == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < raw.len; i++) {
        bool escaped = raw.ptr[i] == '%';
        int c = escaped ? http_escape_byte(raw, i) : (unsigned char)raw.ptr[i];

        if (!byte_allowed(c, escaped))
            return ERR_BAD_REQUEST;
        if (escaped)
            i += 2;
        text[len++] = c == '+' && !escaped ? ' ' : (char)c;
    }
    *ret_text = span_make(text, len);
    return span_is_utf8(*ret_text) ? ERR_OK : ERR_BAD_REQUEST;
}

static bool has_name(const struct http_form_fields *fields, struct span name)
{
    for (size_t i = 0; i < fields->count; i++) {
        if (span_equal(fields->list[i].name, name))
            return true;
    }
    return false;
}

static enum err take(struct span part, struct arena *arena, struct http_form_fields *fields,
                     const char **reterr_why)
{
    size_t equals = span_find(part, '=');
    struct http_form_field field;
    enum err err;

    if (fields->count == LIMIT_FORM_FIELDS_MAX) {
        *reterr_why = "The form has too many fields.";
        return ERR_BAD_REQUEST;
    }
    err = decode(span_slice(part, 0, equals), arena, &field.name);
    if (err)
        return err;
    err = decode(span_slice(part, equals + 1, part.len), arena, &field.value);
    if (err)
        return err;
    if (has_name(fields, field.name)) {
        fields->doubled = field.name;
        *reterr_why = "A field of the form is given twice.";
        return ERR_BAD_REQUEST;
    }
    fields->list[fields->count++] = field;
    return ERR_OK;
}

enum err http_form_read(struct span text, struct arena *arena, struct http_form_fields *ret_fields,
                        const char **reterr_why)
{
    struct span part;
    enum err err;

    PC_ASSERT(text.len == 0 || text.ptr != NULL);
    ret_fields->count = 0;
    ret_fields->doubled = (struct span){0};
    *reterr_why = "The form is wrongly encoded.";
    while (text.len > 0 && span_cut(&text, '&', &part)) {
        err = part.len > 0 ? take(part, arena, ret_fields, reterr_why) : ERR_OK;
        if (err)
            return err;
    }
    return ERR_OK;
}

struct span http_form_value(const struct http_form_fields *fields, struct span name)
{
    for (size_t i = 0; i < fields->count; i++) {
        if (span_equal(fields->list[i].name, name))
            return fields->list[i].value;
    }
    return (struct span){0};
}
