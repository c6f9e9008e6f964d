/* SPDX-License-Identifier: MIT
 * Free text of any shape: the objects and lists that a client makes up itself. Card data is masked
 * in every text that stands in them, however deep, and in numbers too, which then become texts. A
 * value is looked at beside its name as well, since {"cvv": "123"} tells only there what it is.
 *
 * What is found nothing in is kept as it was written, unless line ends stand between its parts:
 * whoever writes it into a file of lines must not have to look. */
#include "base/limits.h"
#include "base/mask.h"
#include "json/json_schema_priv.h"
#include "json/json_writer.h"

enum {
    NAMED_BYTES_MAX = 32, /* of a value that only its name gives away */
    ESCAPED_TIMES_MAX = 6,
    WRITTEN_BYTES_MORE = 64,
};

/* One value under way. */
struct masked {
    struct json_binder *b;
    const struct json_place *place;
    unsigned depth; /* levels that may follow */
    bool found;     /* something is to be masked */
};

/* What of "name: value" belongs to the value, as it may be shown. Empty: nothing is amiss. */
static bool masked_beside(struct masked *m, struct span name, struct span text,
                          struct span *ret_text)
{
    struct sbuf out = sbuf_on(m->b->arena, name.len + NAMED_BYTES_MAX + 2);
    struct span whole;

    *ret_text = (struct span){0};
    if (name.len == 0 || text.len == 0 || text.len > NAMED_BYTES_MAX)
        return true;
    sbuf_add(&out, name);
    sbuf_add_lit(&out, ": ");
    sbuf_add(&out, text);
    if (out.full)
        return json_bind_no_room(m->b, name.len + text.len);
    whole = sbuf_span(&out);
    if (!mask_finds(whole))
        return true;
    mask_in_place(out.ptr, out.len);
    *ret_text = span_slice(whole, name.len + 2, whole.len);
    return true;
}

/* A text or number as it may be shown; the same pointer when nothing is amiss. */
static bool masked_text(struct masked *m, struct span name, struct span text, struct span *ret_text)
{
    struct span beside;

    if (mask_card_data(text, m->b->arena, ret_text) != ERR_OK)
        return json_bind_no_room(m->b, text.len);
    if (ret_text->ptr != text.ptr)
        return true;
    if (!masked_beside(m, name, text, &beside))
        return false;
    if (beside.len > 0 && !span_equal(beside, text))
        *ret_text = beside;
    return true;
}

/* ---- looking ----------------------------------------------------------------------------------
 */

static bool look(struct masked *m, struct span name, const struct json_value *value,
                 unsigned depth);

static bool look_inside(struct masked *m, struct span name, const struct json_value *value,
                        unsigned depth)
{
    if (depth == 0)
        return json_problem_at(m->b, m->place, "must not be nested so deep");
    for (size_t i = 0; i < value->count; i++) {
        const struct json_value *item = &value->items[i];
        bool member = value->type == JSON_OBJECT;

        if (member && mask_finds(item->name))
            return json_problem_at(m->b, m->place, "must not have card data in a member's name");
        if (!look(m, member ? item->name : name, item, depth - 1))
            return false;
    }
    return true;
}

static bool look(struct masked *m, struct span name, const struct json_value *value, unsigned depth)
{
    struct span text;

    if (value->type == JSON_OBJECT || value->type == JSON_LIST)
        return look_inside(m, name, value, depth);
    if (value->type != JSON_TEXT && value->type != JSON_NUMBER)
        return true;
    if (!masked_text(m, name, value->text, &text))
        return false;
    m->found = m->found || text.ptr != value->text.ptr;
    return true;
}

/* ---- writing ----------------------------------------------------------------------------------
 */

static void write_value(struct masked *m, struct json_writer *w, struct span name,
                        const struct json_value *value);

static void write_inside(struct masked *m, struct json_writer *w, struct span name,
                         const struct json_value *value)
{
    bool object = value->type == JSON_OBJECT;

    object ? json_begin_object(w) : json_begin_list(w);
    for (size_t i = 0; i < value->count && m->b->err == ERR_OK; i++) {
        const struct json_value *item = &value->items[i];

        if (object)
            json_key_span(w, item->name);
        write_value(m, w, object ? item->name : name, item);
    }
    object ? json_end_object(w) : json_end_list(w);
}

static void write_value(struct masked *m, struct json_writer *w, struct span name,
                        const struct json_value *value)
{
    struct span text = value->text;

    if (value->type == JSON_OBJECT || value->type == JSON_LIST) {
        write_inside(m, w, name, value);
        return;
    }
    if (value->type != JSON_TEXT && value->type != JSON_NUMBER) {
        json_raw(w, value->source);
        return;
    }
    if (!masked_text(m, name, value->text, &text) ||
        (value->type == JSON_NUMBER && text.ptr == value->text.ptr))
        json_raw(w, value->source);
    else
        json_text(w, text);
}

static bool write_anew(struct masked *m, const struct json_value *value, struct span *ret_text)
{
    size_t bytes_max = ESCAPED_TIMES_MAX * value->source.len + WRITTEN_BYTES_MORE;
    struct sbuf out = sbuf_on(m->b->arena, bytes_max);
    struct json_writer w = json_writer_on(&out);

    write_value(m, &w, (struct span){0}, value);
    if (out.full)
        return json_bind_no_room(m->b, bytes_max);
    *ret_text = sbuf_span(&out);
    return m->b->err == ERR_OK;
}

static bool has_line_ends(struct span text)
{
    return span_find(text, '\n') < text.len || span_find(text, '\r') < text.len;
}

bool json_bind_masked(struct json_binder *b, const struct json_field *field,
                      const struct json_value *value, struct span *ret_text,
                      const struct json_place *place)
{
    struct masked m = {.b = b, .place = place};
    unsigned depth = field->depth > 0 ? field->depth : LIMIT_JSON_DEPTH_MAX;

    if (!look(&m, (struct span){0}, value, depth))
        return false;
    if (m.found || has_line_ends(value->source) || (int64_t)value->source.len > field->max)
        return write_anew(&m, value, ret_text);
    *ret_text = value->source;
    return true;
}
