/* SPDX-License-Identifier: MIT
 * Problems of a 422: where, and what the value must be instead. Built from the table alone, never
 * from what the client sent, so no rejected secret can come back in an answer or a log. */
#include <string.h>

#include "json/json_schema_priv.h"

enum { PLACE_BYTES_MAX = 1024 };

enum err json_problem_add(struct json_problems *problems, struct span field, const char *message)
{
    if (problems->count < JSON_PROBLEMS_MAX)
        problems->list[problems->count++] = (struct json_problem){field, message};
    return ERR_VALIDATION;
}

bool json_bind_no_room(struct json_binder *b, size_t bytes)
{
    if (b->err == ERR_OK)
        b->err = bytes > b->arena->bytes_left ? ERR_BODY_TOO_LARGE : ERR_NO_MEMORY;
    return false;
}

/* Outermost first. As deep as the value was, which json_read bounds. */
static void add_place(struct sbuf *out, const struct json_place *place)
{
    if (place == NULL)
        return;
    add_place(out, place->parent);
    if (place->name == NULL) {
        sbuf_add_format(out, "[%zu]", place->index);
        return;
    }
    if (place->parent != NULL)
        sbuf_add_char(out, '.');
    sbuf_add_text(out, place->name);
}

bool json_problem_at(struct json_binder *b, const struct json_place *place, const char *message)
{
    struct sbuf out;
    struct span field = SPAN("body");

    b->failed = true;
    if (b->problems->count == JSON_PROBLEMS_MAX)
        return false;
    if (place != NULL) {
        out = sbuf_on(b->arena, PLACE_BYTES_MAX);
        add_place(&out, place);
        if (b->arena->overflowed)
            return json_bind_no_room(b, PLACE_BYTES_MAX);
        field = sbuf_span(&out); /* a place too long is cut; its beginning still helps */
    }
    json_problem_add(b->problems, field, message);
    return false;
}

/* A problem whose message was put together; the plain one stands in when it grew too long. */
static bool problem_built(struct json_binder *b, const struct json_place *place, struct sbuf *out,
                          const char *plain)
{
    sbuf_add_char(out, '\0');
    if (b->arena->overflowed)
        return json_bind_no_room(b, JSON_MESSAGE_BYTES_MAX);
    return json_problem_at(b, place, out->full ? plain : out->ptr);
}

static void add_bounds(struct sbuf *out, int64_t min, int64_t max)
{
    if (min == max)
        sbuf_add_i64(out, min);
    else if (max == INT64_MAX)
        sbuf_add_format(out, "at least %lld", (long long)min);
    else if (min == INT64_MIN)
        sbuf_add_format(out, "at most %lld", (long long)max);
    else
        sbuf_add_format(out, "%lld to %lld", (long long)min, (long long)max);
}

bool json_problem_range(struct json_binder *b, const struct json_place *place, const char *lead,
                        int64_t min, int64_t max, const char *unit)
{
    struct sbuf out = sbuf_on(b->arena, JSON_MESSAGE_BYTES_MAX);
    int64_t last = max == INT64_MAX ? min : max;

    sbuf_add_text(&out, lead);
    sbuf_add_char(&out, ' ');
    if (*unit != '\0' && min == 0 && max > 0) /* "at most", as no text is shorter than nothing */
        min = INT64_MIN;
    add_bounds(&out, min, max);
    if (*unit != '\0') {
        sbuf_add_char(&out, ' ');
        sbuf_add_text(&out, unit);
        sbuf_add_text(&out, last == 1 ? "" : "s");
    }
    return problem_built(b, place, &out, "is out of range");
}

bool json_problem_choices(struct json_binder *b, const struct json_place *place,
                          const char *const *choices)
{
    struct sbuf out = sbuf_on(b->arena, JSON_MESSAGE_BYTES_MAX);

    sbuf_add_lit(&out, "must be one of: ");
    for (size_t i = 0; choices[i] != NULL; i++) {
        sbuf_add_text(&out, i == 0 ? "" : ", ");
        sbuf_add_text(&out, choices[i]);
    }
    return problem_built(b, place, &out, "must be one of the values in the documentation");
}
