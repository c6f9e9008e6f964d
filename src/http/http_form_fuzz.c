/* SPDX-License-Identifier: MIT
 * libFuzzer: any form body. What is accepted has no name twice, no NUL and only UTF-8; and written
 * again with every byte escaped it is the same form. */
#include "http/http_form.h"

#include "base/check.h"
#include "base/sbuf.h"

enum { ARENA_BYTES_MAX = 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(struct span text)
{
    PC_ASSERT(span_is_utf8(text));
    PC_ASSERT(span_find(text, '\0') == text.len);
}

static void check_fields(const struct http_form_fields *form)
{
    PC_ASSERT(form->count <= LIMIT_FORM_FIELDS_MAX && form->doubled.ptr == NULL);
    for (size_t i = 0; i < form->count; i++) {
        check_text(form->list[i].name);
        check_text(form->list[i].value);
        PC_ASSERT(span_equal(http_form_value(form, form->list[i].name), form->list[i].value));
        for (size_t j = 0; j < i; j++)
            PC_ASSERT(!span_equal(form->list[i].name, form->list[j].name));
    }
}

static void add_escaped(struct sbuf *out, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        sbuf_add_char(out, '%');
        sbuf_add_hex(out, text.ptr + i, 1);
    }
}

static void check_again(const struct http_form_fields *form, struct arena *arena)
{
    struct sbuf out = sbuf_on(arena, ARENA_BYTES_MAX / 2);
    struct http_form_fields again;
    const char *why;

    for (size_t i = 0; i < form->count; i++) {
        sbuf_add_text(&out, i > 0 ? "&" : "");
        add_escaped(&out, form->list[i].name);
        sbuf_add_char(&out, '=');
        add_escaped(&out, form->list[i].value);
    }
    PC_ASSERT(!out.full);
    PC_ASSERT(http_form_read(sbuf_span(&out), arena, &again, &why) == ERR_OK);
    PC_ASSERT(again.count == form->count);
    for (size_t i = 0; i < form->count; i++) {
        PC_ASSERT(span_equal(again.list[i].name, form->list[i].name));
        PC_ASSERT(span_equal(again.list[i].value, form->list[i].value));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_form_fields form;
    struct arena arena;
    const char *why = NULL;

    if (size > 4096)
        return 0;
    arena_init(&arena, NULL, 0, ARENA_BYTES_MAX);
    if (http_form_read(span_make(data, size), &arena, &form, &why) == ERR_OK) {
        check_fields(&form);
        check_again(&form, &arena);
    } else {
        PC_ASSERT(why != NULL);
    }
    arena_reset(&arena);
    return 0;
}
