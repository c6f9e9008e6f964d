/* SPDX-License-Identifier: MIT
 * The writer of json_writer.h. One bit per level says whether it is an object, another whether a
 * comma is due. */
#include "json/json_writer.h"

#include "base/clock.h"
#include "base/limits.h"

_Static_assert(LIMIT_JSON_DEPTH_MAX <= 64, "one bit a level");

enum { TIME_DIGITS = 6 };

struct json_writer json_writer_on(struct sbuf *out)
{
    return (struct json_writer){.out = out};
}

static uint64_t level_bit(const struct json_writer *w)
{
    return UINT64_C(1) << (w->depth - 1);
}

static bool in_object(const struct json_writer *w)
{
    return w->depth > 0 && (w->objects & level_bit(w)) != 0;
}

static void add_comma(struct json_writer *w)
{
    if (w->begun & level_bit(w))
        sbuf_add_char(w->out, ',');
    w->begun |= level_bit(w);
}

/* Before each value: it must be one that may stand here. */
static void begin_value(struct json_writer *w)
{
    PC_ASSERT(!w->done);
    PC_ASSERT(w->keyed == in_object(w));
    if (w->depth > 0 && !w->keyed)
        add_comma(w);
    w->keyed = false;
    w->done = w->depth == 0;
}

static void begin_level(struct json_writer *w, bool object)
{
    begin_value(w);
    PC_ASSERT(w->depth < LIMIT_JSON_DEPTH_MAX);
    w->depth++;
    w->done = false;
    w->begun &= ~level_bit(w);
    if (object)
        w->objects |= level_bit(w);
    else
        w->objects &= ~level_bit(w);
    sbuf_add_char(w->out, object ? '{' : '[');
}

static void end_level(struct json_writer *w, bool object)
{
    PC_ASSERT(w->depth > 0 && in_object(w) == object && !w->keyed);
    w->depth--;
    w->done = w->depth == 0;
    sbuf_add_char(w->out, object ? '}' : ']');
}

void json_begin_object(struct json_writer *w)
{
    begin_level(w, true);
}

void json_end_object(struct json_writer *w)
{
    end_level(w, true);
}

void json_begin_list(struct json_writer *w)
{
    begin_level(w, false);
}

void json_end_list(struct json_writer *w)
{
    end_level(w, false);
}

void json_key_span(struct json_writer *w, struct span name)
{
    PC_ASSERT(in_object(w) && !w->keyed);
    add_comma(w);
    sbuf_add_json(w->out, name);
    sbuf_add_char(w->out, ':');
    w->keyed = true;
}

void json_key(struct json_writer *w, const char *name)
{
    json_key_span(w, span_from(name));
}

void json_text(struct json_writer *w, struct span text)
{
    begin_value(w);
    sbuf_add_json(w->out, text);
}

void json_i64(struct json_writer *w, int64_t value)
{
    begin_value(w);
    sbuf_add_i64(w->out, value);
}

void json_u64(struct json_writer *w, uint64_t value)
{
    begin_value(w);
    sbuf_add_u64(w->out, value);
}

void json_bool(struct json_writer *w, bool value)
{
    begin_value(w);
    sbuf_add_text(w->out, value ? "true" : "false");
}

void json_null(struct json_writer *w)
{
    begin_value(w);
    sbuf_add_lit(w->out, "null");
}

void json_time(struct json_writer *w, int64_t realtime_ns)
{
    begin_value(w);
    sbuf_add_char(w->out, '"');
    clock_add_rfc3339(w->out, realtime_ns, TIME_DIGITS);
    sbuf_add_char(w->out, '"');
}

void json_raw(struct json_writer *w, struct span json)
{
    PC_ASSERT(json.len > 0);
    begin_value(w);
    sbuf_add(w->out, json);
}

void json_add_text(struct json_writer *w, const char *name, struct span text)
{
    json_key(w, name);
    json_text(w, text);
}

void json_add_i64(struct json_writer *w, const char *name, int64_t value)
{
    json_key(w, name);
    json_i64(w, value);
}

void json_add_u64(struct json_writer *w, const char *name, uint64_t value)
{
    json_key(w, name);
    json_u64(w, value);
}

void json_add_bool(struct json_writer *w, const char *name, bool value)
{
    json_key(w, name);
    json_bool(w, value);
}

void json_add_time(struct json_writer *w, const char *name, int64_t realtime_ns)
{
    json_key(w, name);
    json_time(w, realtime_ns);
}

void json_add_raw(struct json_writer *w, const char *name, struct span json)
{
    json_key(w, name);
    json_raw(w, json);
}
