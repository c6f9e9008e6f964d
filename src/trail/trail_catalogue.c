/* SPDX-License-Identifier: MIT
 * The catalogue of events with their fields: looked up by each record on its way to the log, and
 * written out as the page docs/events.md. */
#include "trail/trail_catalogue.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/check.h"
#include "trail/trail_priv.h"

#define ALWAYS    TRAIL_ALWAYS
#define SOMETIMES TRAIL_SOMETIMES
static const struct trail_field fields[] = {
#define TRAIL_FIELD(id, field, how_often, what)                                                    \
    {.event = (id), .name = (field), .need = (how_often), .about = (what)},
#include "trail/trail_fields.def"
#undef TRAIL_FIELD
};
#undef ALWAYS
#undef SOMETIMES

static const char *const abouts[TRAIL_EVENT_COUNT] = {
#define TRAIL_EVENT(id, name, category, severity, source, what) [id] = (what),
#include "trail/trail.def"
#undef TRAIL_EVENT
};

/* Where the fields of each event are among all; found once. */
static struct {
    size_t from, count;
} places[TRAIL_EVENT_COUNT];
static pthread_once_t places_once = PTHREAD_ONCE_INIT;

static void places_find(void)
{
    for (size_t i = 0; i < PC_COUNT(fields); i++) {
        enum trail_event event = fields[i].event;

        if (places[event].count == 0)
            places[event].from = i;
        PC_ASSERT(places[event].from + places[event].count == i); /* they stand together */
        places[event].count++;
    }
}

const struct trail_field *trail_event_fields(enum trail_event event, size_t *ret_count)
{
    PC_ASSERT(event < TRAIL_EVENT_COUNT);
    PC_ASSERT(pthread_once(&places_once, places_find) == 0);
    *ret_count = places[event].count;
    return &fields[places[event].from];
}

const char *trail_event_about(enum trail_event event)
{
    PC_ASSERT(event < TRAIL_EVENT_COUNT);
    return abouts[event];
}

/* ---- a record against it ----------------------------------------------------------------------
 */

/* Always false. */
static bool complain(struct sbuf *why, const struct trail_record *record, const char *what,
                     const char *field)
{
    sbuf_add_format(why, "the event %s %s \"%s\", see trail/trail_fields.def",
                    trail_event_name(record->event), what, field);
    return false;
}

/* What a record has by that name: a column, or a detail. */
static bool has(const struct trail_record *record, struct span name)
{
    if (span_is(name, "object"))
        return record->object.len > 0;
    if (span_is(name, "reason"))
        return record->reason.len > 0;
    for (size_t i = 0; i < TRAIL_DETAILS_MAX && record->details[i].name != NULL; i++) {
        if (span_is(name, record->details[i].name))
            return true;
    }
    return false;
}

static bool is_field(const struct trail_field *list, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (span_is(span_from(name), list[i].name))
            return true;
    }
    return false;
}

static bool has_no_others(const struct trail_record *record, const struct trail_field *list,
                          size_t count, struct sbuf *why)
{
    static const char *const columns[] = {"object", "reason"};

    for (size_t i = 0; i < PC_COUNT(columns); i++) {
        if (has(record, span_from(columns[i])) && !is_field(list, count, columns[i]))
            return complain(why, record, "has no field", columns[i]);
    }
    for (size_t i = 0; i < TRAIL_DETAILS_MAX && record->details[i].name != NULL; i++) {
        if (!is_field(list, count, record->details[i].name))
            return complain(why, record, "has no field", record->details[i].name);
    }
    return true;
}

bool trail_fits(const struct trail_record *record, struct sbuf *why)
{
    size_t count;
    const struct trail_field *list = trail_event_fields(record->event, &count);

    if (record->external != NULL)
        return true;
    for (size_t i = 0; i < count; i++) {
        if (list[i].need == TRAIL_ALWAYS && !has(record, span_from(list[i].name)))
            return complain(why, record, "always tells", list[i].name);
    }
    return has_no_others(record, list, count, why);
}

/* What of a record trail_fits looks at. */
struct shape {
    enum trail_event event;
    bool has_object, has_reason;
    const char *names[TRAIL_DETAILS_MAX];
};

static struct shape shape_of(const struct trail_record *record)
{
    struct shape shape = {.event = record->event,
                          .has_object = record->object.len > 0,
                          .has_reason = record->reason.len > 0};

    for (size_t i = 0; i < TRAIL_DETAILS_MAX && record->details[i].name != NULL; i++)
        shape.names[i] = record->details[i].name;
    return shape;
}

static bool is_shape(const struct shape *one, const struct shape *other)
{
    bool same = one->event == other->event && one->has_object == other->has_object &&
                one->has_reason == other->has_reason;

    for (size_t i = 0; i < TRAIL_DETAILS_MAX; i++)
        same = same && one->names[i] == other->names[i];
    return same;
}

static trail_misfit_fn *misfit_tell;
static void *misfit_context;
static _Atomic uint64_t misfit_count;

void trail_misfits_tell(trail_misfit_fn *tell, void *context)
{
    misfit_tell = tell;
    misfit_context = context;
}

uint64_t trail_misfits(void)
{
    return atomic_load_explicit(&misfit_count, memory_order_relaxed);
}

void trail_misfit_ends(void *context, enum trail_event event, struct span why)
{
    char text[256];

    (void)context;
    (void)event;
    (void)snprintf(text, sizeof(text), "%.*s", SPAN_ARG(why));
    PC_WRONG(text);
}

/* Postings come one after the other and look alike: names of the same place in memory are not read
 * again. */
void trail_look_at(const struct trail_record *record)
{
    static _Thread_local struct shape fitted; /* the last that did; zero: none, or a login */
    struct shape shape = shape_of(record);
    char text[256];
    struct sbuf why = sbuf_over(text, sizeof(text));

    if (shape.names[0] != NULL && is_shape(&shape, &fitted))
        return;
    if (PC_LIKELY(trail_fits(record, &why))) {
        fitted = shape;
        return;
    }
    atomic_fetch_add_explicit(&misfit_count, 1, memory_order_relaxed);
    if (misfit_tell != NULL)
        misfit_tell(misfit_context, record->event, sbuf_span(&why));
}

/* ---- the page ---------------------------------------------------------------------------------
 */

static const char preface[] =
    "# Events\n"
    "\n"
    "<!-- Made by `portcullis audit catalogue >docs/events.md`; do not edit. -->\n"
    "\n"
    "Every event that matters to security or money, by its stable name. The log has no others, and "
    "an event has no other\n"
    "fields than these. All of them have:\n"
    "\n"
    "| field | what |\n"
    "| --- | --- |\n"
    "| `seq`, `id`, `at` | its place in the log, without gaps; its own id; when |\n"
    "| `event`, `category`, `severity` | as below |\n"
    "| `outcome` | `done` or `refused` |\n"
    "| `source` | the service that tells it |\n"
    "| `actor`, `actor_kind` | who: a `user`'s id, a `client`'s id, the `system`; `unknown`: "
    "nobody, or what was only claimed |\n"
    "| `client`, `address`, `request_id` | through which client, where from, in which request; "
    "where there are some |\n"
    "\n"
    "`object` (on what) and `reason` (why) are fields beside these, the others below are in "
    "`details`. No field holds a\n"
    "password, a secret or a whole token; card numbers are masked.\n";

static void event_write(struct sbuf *out, enum trail_event event)
{
    size_t count;
    const struct trail_field *list = trail_event_fields(event, &count);

    sbuf_add_format(out, "\n### %s\n%s.\n\n", trail_event_name(event), trail_event_about(event));
    sbuf_add_format(out, "Severity `%s`, source `%s`.\n", trail_event_severity(event),
                    trail_event_source(event));
    if (count == 0)
        return;
    sbuf_add_lit(out, "\n| field | there | what |\n| --- | --- | --- |\n");
    for (size_t i = 0; i < count; i++)
        sbuf_add_format(out, "| `%s` | %s | %s |\n", list[i].name,
                        list[i].need == TRAIL_ALWAYS ? "always" : "sometimes", list[i].about);
}

void trail_catalogue_write(struct sbuf *out)
{
    static const char *const categories[] = {"security", "transaction", "compliance", "platform"};

    sbuf_add_text(out, preface);
    for (size_t i = 0; i < PC_COUNT(categories); i++) {
        sbuf_add_format(out, "\n## Category %s\n", categories[i]);
        for (enum trail_event event = 0; event < TRAIL_EVENT_COUNT; event++) {
            if (span_is(span_from(categories[i]), trail_event_category(event)))
                event_write(out, event);
        }
    }
}
