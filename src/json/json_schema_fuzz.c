/* SPDX-License-Identifier: MIT
 * libFuzzer: bodies against a table with every kind in it. What binds must survive writing and
 * binding again; what does not must leave problems that are well-formed and hold none of the body.
 * A body that is no JSON is tried as the plain text of every field instead. */
#include <string.h>

#include "json/json_sample.h"

enum { ARENA_BYTES_MAX = 4 << 20, REPLY_BYTES_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_problems(const struct json_problems *problems)
{
    PC_ASSERT(problems->count > 0 && problems->count <= JSON_PROBLEMS_MAX);
    for (size_t i = 0; i < problems->count; i++) {
        PC_ASSERT(problems->list[i].field.len > 0 && span_is_utf8(problems->list[i].field));
        PC_ASSERT(strncmp(problems->list[i].message, "must ", 5) == 0 ||
                  strcmp(problems->list[i].message, "is required") == 0);
    }
}

static enum err bind(struct span text, struct arena *arena, struct json_sample *ret_order)
{
    struct json_problems problems = {0};
    const struct json_value *root;
    enum err err = json_read(text, arena, &root, NULL);

    if (err)
        return err;
    err = json_bind(&order_schema, root, arena, ret_order, &problems);
    if (err == ERR_VALIDATION)
        check_problems(&problems);
    return err;
}

static void check_round_trip(const struct json_sample *order, struct arena *arena)
{
    struct sbuf first = sbuf_on(arena, REPLY_BYTES_MAX);
    struct sbuf second = sbuf_on(arena, REPLY_BYTES_MAX);
    struct json_sample again;

    json_write(&first, &order_schema, order);
    if (first.full)
        return;
    PC_ASSERT(bind(sbuf_span(&first), arena, &again) == ERR_OK);
    json_write(&second, &order_schema, &again);
    PC_ASSERT(second.full || span_equal(sbuf_span(&first), sbuf_span(&second)));
}

static void try_as_parameters(struct span text, struct arena *arena)
{
    for (size_t i = 0; i < order_schema.field_count; i++) {
        const struct json_field *field = &order_schema.fields[i];
        struct json_problems problems = {0};
        struct json_sample order = {0};
        enum err err;

        if (field->kind >= JSON_KIND_OBJECT)
            continue;
        err = json_bind_text(field, text, arena, &order, &problems);
        PC_ASSERT(err == ERR_OK || err == ERR_VALIDATION);
        if (err)
            check_problems(&problems);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_make(data, size);
    struct arena arena;
    struct json_sample order;
    enum err err;

    arena_init(&arena, NULL, 0, ARENA_BYTES_MAX);
    err = bind(text, &arena, &order);
    if (err == ERR_OK)
        check_round_trip(&order, &arena);
    if (err == ERR_JSON_SYNTAX)
        try_as_parameters(text, &arena);
    arena_reset(&arena);
    return 0;
}
