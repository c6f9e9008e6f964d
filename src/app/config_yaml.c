/* SPDX-License-Identifier: MIT
 * The file's shape, keys and values, checked against the settings table before anything is loaded.
 *
 * libcyaml, which loads the file afterwards, stops at its first problem and knows no columns, takes
 * any word for true and 010 for eight. So a pass over libyaml's events comes first: it tells every
 * problem with line and column, suggests what a mistyped key may have meant, and lets nothing
 * through that two readers could read differently: no anchors, aliases, tags, merge keys, second
 * documents, duplicate or empty values. It streams, so a deep or endless file costs nothing. */
#include "app/config_priv.h"

#include <string.h>
#include <yaml.h>

enum {
    DEPTH_MAX = 16,
    SECTIONS_MAX = 64,
    ROW_SETTINGS_MAX = 48,
    SHOWN_BYTES_MAX = 3 * CONFIG_PATH_BYTES_MAX, /* "routes[2].request_headers.set[0].name" */
};

struct section {
    char path[CONFIG_PATH_BYTES_MAX];
    size_t line;
};

struct reader {
    struct config_loader *loader;
    yaml_parser_t parser;
    yaml_event_t event;
    bool stopped; /* a syntax problem was told: nothing after it can be trusted */
    enum err err;
    size_t section_count;
    struct section sections[SECTIONS_MAX]; /* that were opened, to find duplicates */
};

/* An item of a list, and the lines of what was read in it; 0: nothing. */
struct row {
    const char *shown;                      /* "limits.routes[2]" */
    size_t lines[ROW_SETTINGS_MAX];         /* by the member */
    size_t section_lines[ROW_SETTINGS_MAX]; /* by the section's first member */
};

/* What the keys of a mapping may be. */
struct scope {
    const struct config_setting *settings;
    size_t count;
    const char *prefix; /* "gateway.tls", "check" in a row; "" at the top and for a row itself */
    const char *shown;  /* "gateway.tls", "limits.routes[2]": how problems name it */
    struct row *row;    /* NULL: outside of lists, where origins hold the lines */
};

static void mapping_read(struct reader *reader, const struct scope *scope);

/* ---- events ---- */

static struct span scalar_of(const yaml_event_t *event)
{
    return span_make(event->data.scalar.value, event->data.scalar.length);
}

static void at_mark(struct reader *reader, yaml_mark_t mark, const char *text)
{
    config_problem_at(reader->loader, mark.line + 1, mark.column + 1, "%s", text);
}

/* The reader only knows how many bytes it had passed. */
static yaml_mark_t mark_at(struct span text, size_t offset)
{
    yaml_mark_t mark = {.index = offset};
    struct span rest = span_slice(text, 0, offset);
    struct span line = {0};

    while (span_cut(&rest, '\n', &line))
        mark.line++;
    mark.line -= mark.line > 0 ? 1 : 0;
    mark.column = span_utf8_length(line);
    return mark;
}

static void tell_syntax(struct reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    struct span text = reader->loader->text;
    yaml_mark_t mark = parser->problem_mark;

    if (parser->error == YAML_MEMORY_ERROR)
        reader->err = ERR_NO_MEMORY;
    else if (parser->error == YAML_READER_ERROR)
        at_mark(reader, mark_at(text, parser->problem_offset),
                "this character is not allowed in YAML");
    else if (mark.index < text.len && text.ptr[mark.index] == '\t')
        at_mark(reader, mark, "a tab cannot indent YAML, use spaces");
    else if (parser->context == NULL)
        at_mark(reader, mark, parser->problem);
    else
        config_problem_at(reader->loader, mark.line + 1, mark.column + 1,
                          "%s %s that began at line %zu", parser->problem, parser->context,
                          parser->context_mark.line + 1);
}

static void refuse_extras(struct reader *reader)
{
    const yaml_event_t *event = &reader->event;
    const yaml_char_t *anchor = NULL;
    const yaml_char_t *tag = NULL;

    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_ALIAS_EVENT) {
        anchor = event->data.alias.anchor;
    }
    if (anchor != NULL)
        at_mark(reader, event->start_mark, "anchors and aliases are not read here, write it out");
    if (tag != NULL)
        at_mark(reader, event->start_mark, "tags are not read here, leave it out");
}

/* Moves to the next event; false when there is no going on. */
static bool next(struct reader *reader)
{
    yaml_event_delete(&reader->event);
    if (reader->stopped)
        return false;
    if (!yaml_parser_parse(&reader->parser, &reader->event)) {
        reader->stopped = true;
        tell_syntax(reader);
        return false;
    }
    refuse_extras(reader);
    return true;
}

/* Passes over the node that begins with the present event. */
static void skip(struct reader *reader)
{
    size_t depth = 0;

    do {
        yaml_event_type_t type = reader->event.type;

        if (type == YAML_MAPPING_START_EVENT || type == YAML_SEQUENCE_START_EVENT)
            depth++;
        if (type == YAML_MAPPING_END_EVENT || type == YAML_SEQUENCE_END_EVENT)
            depth--;
        if (depth > DEPTH_MAX) {
            at_mark(reader, reader->event.start_mark, "this is nested too deeply");
            reader->stopped = true;
            return;
        }
    } while (depth > 0 && next(reader));
}

/* ---- keys ---- */

/* The first part of `path` after `prefix` and a dot; empty when the path is elsewhere. */
static struct span part_after(const char *path, const char *prefix)
{
    struct span rest = span_from(path);
    struct span head = span_from(prefix);

    if (head.len > 0) {
        if (!span_starts(rest, head) || rest.len <= head.len || rest.ptr[head.len] != '.')
            return (struct span){0};
        rest = span_slice(rest, head.len + 1, rest.len);
    }
    return span_slice(rest, 0, span_find(rest, '.'));
}

static struct span last_part(const char *path)
{
    const char *dot = strrchr(path, '.');

    return span_from(dot == NULL ? path : dot + 1);
}

/* A setting of this name in another section, which is likelier than any other spelling. */
static const char *same_name_elsewhere(const struct scope *scope, struct span key)
{
    for (size_t i = 0; i < scope->count; i++)
        if (span_equal(key, last_part(scope->settings[i].path)))
            return scope->settings[i].path;
    return NULL;
}

static bool is_path(const struct scope *scope, struct span key)
{
    for (size_t i = 0; i < scope->count; i++)
        if (span_is(key, scope->settings[i].path))
            return true;
    return false;
}

static void suggest(const struct scope *scope, struct span key, struct sbuf *out)
{
    const char *elsewhere = same_name_elsewhere(scope, key);
    struct span best = span_from(elsewhere);
    size_t best_distance = key.len < 6 ? 2 : key.len / 3 + 1;

    if (is_path(scope, key)) {
        sbuf_add_lit(out, ", sections are nested here, not dotted");
        return;
    }
    for (size_t i = 0; elsewhere == NULL && i < scope->count; i++) {
        struct span part = part_after(scope->settings[i].path, scope->prefix);
        size_t distance = span_distance(key, part);

        if (part.len > 0 && distance < best_distance && distance < part.len) {
            best = part;
            best_distance = distance;
        }
    }
    if (best.len > 0)
        sbuf_add_format(out, ", did you mean \"%.*s\"?", SPAN_ARG(best));
}

static void tell_unknown(struct reader *reader, const struct scope *scope, struct span key,
                         yaml_mark_t mark)
{
    char buffer[CONFIG_LINE_BYTES_MAX];
    struct sbuf out = sbuf_over(buffer, sizeof(buffer));

    sbuf_add_lit(&out, "unknown key ");
    config_shown(&out, key);
    if (scope->shown[0] != '\0')
        sbuf_add_format(&out, " in %s", scope->shown);
    suggest(scope, key, &out);
    config_problem_at(reader->loader, mark.line + 1, mark.column + 1, "%.*s",
                      SPAN_ARG(sbuf_span(&out)));
}

static void tell_twice(struct reader *reader, const char *shown, yaml_mark_t mark, size_t line)
{
    config_problem_at(reader->loader, mark.line + 1, mark.column + 1,
                      "%s is given twice, first at line %zu", shown, line);
}

/* ---- values ---- */

static const char *event_kind(const yaml_event_t *event)
{
    if (event->type == YAML_MAPPING_START_EVENT)
        return "a section";
    if (event->type == YAML_SEQUENCE_START_EVENT)
        return "a list";
    return "a single value";
}

/* "jwt.algorithm: takes HS256, ... not a list". */
static void tell_kind(struct reader *reader, const struct config_setting *setting,
                      const char *shown)
{
    char buffer[CONFIG_LINE_BYTES_MAX];
    struct sbuf out = sbuf_over(buffer, sizeof(buffer));
    yaml_mark_t mark = reader->event.start_mark;

    sbuf_add_format(&out, "%s: takes ", shown);
    config_value_kind(setting, &out);
    sbuf_add_format(&out, ", not %s", event_kind(&reader->event));
    config_problem_at(reader->loader, mark.line + 1, mark.column + 1, "%.*s",
                      SPAN_ARG(sbuf_span(&out)));
}

static bool is_plain(const yaml_event_t *event)
{
    return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static bool is_null(const yaml_event_t *event)
{
    struct span text = scalar_of(event);

    return is_plain(event) && (text.len == 0 || span_is(text, "~") || span_is_nocase(text, "null"));
}

/* Is the scalar under way a good value? Tells it otherwise. */
static void scalar_check(struct reader *reader, const struct config_setting *setting,
                         const char *shown)
{
    const yaml_event_t *event = &reader->event;
    char buffer[CONFIG_LINE_BYTES_MAX];
    struct sbuf why = sbuf_over(buffer, sizeof(buffer));
    bool good = false;

    sbuf_add_format(&why, "%s: ", shown);
    if (is_null(event)) {
        sbuf_add_lit(&why, "has no value, give it one or leave it out");
    } else if (setting->type != CONFIG_TEXT && setting->type != CONFIG_CHOICE && !is_plain(event)) {
        sbuf_add_lit(&why, "takes ");
        config_value_kind(setting, &why);
        sbuf_add_lit(&why, ", without quotes");
    } else {
        good = config_value_check(setting, scalar_of(event), &why);
    }
    if (!good) {
        config_problem_at(reader->loader, event->start_mark.line + 1, event->start_mark.column + 1,
                          "%.*s", SPAN_ARG(sbuf_span(&why)));
    } else if (config_names_text(reader->loader, shown, scalar_of(event)) != ERR_OK) {
        reader->err = ERR_NO_MEMORY;
        reader->stopped = true;
    }
}

static void count_check(struct reader *reader, const struct config_setting *setting,
                        const char *shown, yaml_mark_t mark, size_t count)
{
    if (count > setting->max)
        config_problem_at(reader->loader, mark.line + 1, mark.column + 1,
                          "%s: the list has more than %u items", shown, setting->max);
    if (count < setting->min && !reader->stopped)
        config_problem_at(reader->loader, mark.line + 1, mark.column + 1,
                          "%s: the list needs at least %u item%s", shown, setting->min,
                          setting->min == 1 ? "" : "s");
}

static void texts_read(struct reader *reader, const struct config_setting *setting,
                       const char *shown)
{
    struct config_setting item = *setting;
    yaml_mark_t mark = reader->event.start_mark;
    size_t count = 0;

    item.type = CONFIG_TEXT;
    item.min = 1;
    item.max = CONFIG_ITEM_BYTES_MAX;
    while (next(reader) && reader->event.type != YAML_SEQUENCE_END_EVENT) {
        count++;
        if (reader->event.type == YAML_SCALAR_EVENT) {
            scalar_check(reader, &item, shown);
        } else {
            tell_kind(reader, &item, shown);
            skip(reader);
        }
    }
    count_check(reader, setting, shown, mark, count);
}

/* Keeps the place for the rules. */
static void place_add(struct reader *reader, const char *shown, yaml_mark_t mark)
{
    if (config_place_add(reader->loader, shown, mark.line + 1, mark.column + 1) != ERR_OK) {
        reader->err = ERR_NO_MEMORY;
        reader->stopped = true;
    }
}

/* Where the first member of this section stands in the row's table; past its end: there is none. */
static size_t section_at(const struct config_setting *row, size_t count, const char *path)
{
    size_t i = 0;

    while (i < count && part_after(row[i].path, path).len == 0)
        i++;
    return i;
}

static bool is_lacking(const struct config_setting *setting, const struct row *row, size_t i)
{
    const char *path = setting->row[i].path;
    const char *dot = strchr(path, '.');
    char section[CONFIG_PATH_BYTES_MAX];

    if (!setting->row[i].required || row->lines[i] > 0)
        return false;
    if (dot == NULL)
        return true;
    memcpy(section, path, (size_t)(dot - path));
    section[dot - path] = '\0';
    return row->section_lines[section_at(setting->row, setting->row_count, section)] > 0;
}

static void tell_lacking(struct reader *reader, const struct config_setting *member,
                         const char *shown, yaml_mark_t mark)
{
    char buffer[CONFIG_LINE_BYTES_MAX];
    struct sbuf out = sbuf_over(buffer, sizeof(buffer));

    sbuf_add_format(&out, "%s: lacks \"%s\"", shown, member->path);
    if (member->type == CONFIG_CHOICE) {
        sbuf_add_lit(&out, ", give ");
        config_value_kind(member, &out);
    }
    config_problem_at(reader->loader, mark.line + 1, mark.column + 1, "%.*s",
                      SPAN_ARG(sbuf_span(&out)));
}

static void row_read(struct reader *reader, const struct config_setting *setting, const char *shown)
{
    struct row row = {.shown = shown};
    struct scope scope = {.settings = setting->row,
                          .count = setting->row_count,
                          .prefix = "",
                          .shown = shown,
                          .row = &row};
    yaml_mark_t mark = reader->event.start_mark;

    PC_ASSERT(setting->row_count <= ROW_SETTINGS_MAX);
    place_add(reader, shown, mark);
    mapping_read(reader, &scope);
    for (size_t i = 0; i < setting->row_count && !reader->stopped; i++)
        if (is_lacking(setting, &row, i))
            tell_lacking(reader, &setting->row[i], shown, mark);
}

static void rows_read(struct reader *reader, const struct config_setting *setting,
                      const char *shown)
{
    yaml_mark_t mark = reader->event.start_mark;
    size_t count = 0;

    while (next(reader) && reader->event.type != YAML_SEQUENCE_END_EVENT) {
        char name[SHOWN_BYTES_MAX];
        struct sbuf out = sbuf_over(name, sizeof(name) - 1);

        sbuf_add_format(&out, "%s[%zu]", shown, count++);
        name[out.len] = '\0';
        if (reader->event.type == YAML_MAPPING_START_EVENT) {
            row_read(reader, setting, name);
        } else {
            config_problem_at(reader->loader, reader->event.start_mark.line + 1,
                              reader->event.start_mark.column + 1, "%s: takes a section, not %s",
                              name, event_kind(&reader->event));
            skip(reader);
        }
    }
    config_names_listed(reader->loader, shown, count);
    count_check(reader, setting, shown, mark, count);
}

static void value_read(struct reader *reader, const struct config_setting *setting,
                       const char *shown)
{
    bool list = setting->type == CONFIG_TEXTS || setting->type == CONFIG_ROWS;

    if (reader->event.type == YAML_ALIAS_EVENT)
        return; /* told already */
    if (reader->event.type != (list ? YAML_SEQUENCE_START_EVENT : YAML_SCALAR_EVENT)) {
        tell_kind(reader, setting, shown);
        skip(reader);
        return;
    }
    if (setting->type == CONFIG_TEXTS)
        texts_read(reader, setting, shown);
    else if (setting->type == CONFIG_ROWS)
        rows_read(reader, setting, shown);
    else
        scalar_check(reader, setting, shown);
}

/* ---- mappings ---- */

/* A key that names a setting. */
static void setting_read(struct reader *reader, const struct scope *scope, size_t i,
                         const char *shown)
{
    const struct config_setting *setting = &scope->settings[i];
    yaml_mark_t mark = reader->event.start_mark;
    size_t line_before = 0;

    if (scope->row != NULL) {
        line_before = scope->row->lines[i];
        scope->row->lines[i] = mark.line + 1;
        place_add(reader, shown, mark);
    } else {
        struct config_origin *origin = &reader->loader->origins->of[i];

        line_before = origin->line;
        *origin = (struct config_origin){.kind = CONFIG_FROM_FILE,
                                         .line = (uint32_t)mark.line + 1,
                                         .column = (uint32_t)mark.column + 1,
                                         .name = reader->loader->file};
    }
    if (line_before > 0)
        tell_twice(reader, shown, mark, line_before);
    if (next(reader))
        value_read(reader, setting, shown);
}

static void section_note(struct reader *reader, const char *path, yaml_mark_t mark)
{
    struct section *section;

    for (size_t i = 0; i < reader->section_count; i++)
        if (strcmp(reader->sections[i].path, path) == 0) {
            tell_twice(reader, path, mark, reader->sections[i].line);
            return;
        }
    PC_ASSERT(reader->section_count < SECTIONS_MAX);
    section = &reader->sections[reader->section_count++];
    memcpy(section->path, path, strlen(path) + 1);
    section->line = mark.line + 1;
}

/* The same within an item of a list. */
static void row_section_note(struct reader *reader, const struct scope *scope, const char *path,
                             const char *shown)
{
    size_t *line = &scope->row->section_lines[section_at(scope->settings, scope->count, path)];
    yaml_mark_t mark = reader->event.start_mark;

    if (*line > 0)
        tell_twice(reader, shown, mark, *line);
    *line = mark.line + 1;
    place_add(reader, shown, mark);
}

/* A key that names a section. */
static void section_read(struct reader *reader, const struct scope *scope, const char *path,
                         const char *shown)
{
    struct scope inner = {.settings = scope->settings,
                          .count = scope->count,
                          .prefix = path,
                          .shown = shown,
                          .row = scope->row};

    if (scope->row != NULL)
        row_section_note(reader, scope, path, shown);
    else
        section_note(reader, path, reader->event.start_mark);
    if (!next(reader))
        return;
    if (reader->event.type == YAML_MAPPING_START_EVENT) {
        mapping_read(reader, &inner);
        return;
    }
    if (reader->event.type == YAML_ALIAS_EVENT)
        return;
    config_problem_at(reader->loader, reader->event.start_mark.line + 1,
                      reader->event.start_mark.column + 1,
                      "%s: is a section: give it members or leave it out", shown);
    skip(reader);
}

static bool is_section(const struct scope *scope, const char *path)
{
    return section_at(scope->settings, scope->count, path) < scope->count;
}

static bool join(char path[CONFIG_PATH_BYTES_MAX], const char *prefix, struct span key)
{
    struct sbuf out = sbuf_over(path, CONFIG_PATH_BYTES_MAX - 1);

    if (prefix[0] != '\0')
        sbuf_add_format(&out, "%s.", prefix);
    sbuf_add(&out, key);
    path[out.len] = '\0';
    return !out.full && key.len > 0 && memchr(key.ptr, '\0', key.len) == NULL &&
           span_find(key, '.') == key.len;
}

static void unknown_read(struct reader *reader, const struct scope *scope)
{
    tell_unknown(reader, scope, scalar_of(&reader->event), reader->event.start_mark);
    if (next(reader))
        skip(reader);
}

static void key_read(struct reader *reader, const struct scope *scope)
{
    char path[CONFIG_PATH_BYTES_MAX];
    char shown[SHOWN_BYTES_MAX];
    struct sbuf out = sbuf_over(shown, sizeof(shown) - 1);

    if (!join(path, scope->prefix, scalar_of(&reader->event))) {
        unknown_read(reader, scope);
        return;
    }
    if (scope->row != NULL)
        sbuf_add_format(&out, "%s.", scope->row->shown);
    sbuf_add_text(&out, path);
    shown[out.len] = '\0';
    for (size_t i = 0; i < scope->count; i++)
        if (strcmp(scope->settings[i].path, path) == 0) {
            setting_read(reader, scope, i, shown);
            return;
        }
    if (is_section(scope, path))
        section_read(reader, scope, path, shown);
    else
        unknown_read(reader, scope);
}

/* From after a mapping's start to its end. */
static void mapping_read(struct reader *reader, const struct scope *scope)
{
    while (next(reader) && reader->event.type != YAML_MAPPING_END_EVENT) {
        if (reader->event.type == YAML_SCALAR_EVENT) {
            key_read(reader, scope);
            continue;
        }
        at_mark(reader, reader->event.start_mark, "a key must be a plain word");
        skip(reader);
        if (next(reader))
            skip(reader);
    }
}

static void document_read(struct reader *reader)
{
    struct scope top = {
        .settings = config_settings, .count = config_setting_count, .prefix = "", .shown = ""};

    if (!next(reader) || !next(reader)) /* the stream's start, then its first document */
        return;
    if (reader->event.type == YAML_STREAM_END_EVENT || !next(reader))
        return;
    if (reader->event.type != YAML_MAPPING_START_EVENT) {
        at_mark(reader, reader->event.start_mark, "the file must hold keys and values");
        return;
    }
    mapping_read(reader, &top);
    if (!next(reader) || !next(reader)) /* the document's end, then the stream's */
        return;
    if (reader->event.type != YAML_STREAM_END_EVENT)
        at_mark(reader, reader->event.start_mark, "only one document is read");
}

/* ---- the whole ---- */

/* How many good characters a line begins with. */
static size_t good_characters(struct span line)
{
    size_t count = 0;

    while (line.len > 0 && line.ptr[0] != '\0') {
        size_t bytes = 1;

        while (bytes <= 4 && bytes <= line.len && !span_is_utf8(span_slice(line, 0, bytes)))
            bytes++;
        if (bytes > 4 || bytes > line.len)
            break;
        line = span_slice(line, bytes, line.len);
        count++;
    }
    return count;
}

/* The first byte that is not UTF-8, told by line and column. */
static bool utf8_check(struct config_loader *loader)
{
    struct span rest = loader->text;
    struct span line;
    size_t number = 0;

    if (span_is_utf8(rest) && memchr(rest.ptr, '\0', rest.len) == NULL)
        return true;
    while (span_cut(&rest, '\n', &line)) {
        number++;
        if (span_is_utf8(line) && memchr(line.ptr, '\0', line.len) == NULL)
            continue;
        config_problem_at(loader, number, good_characters(line) + 1,
                          "this byte is a NUL or not UTF-8");
        return false;
    }
    return false;
}

enum err config_yaml_check(struct config_loader *loader)
{
    struct reader reader = {.loader = loader};

    if (loader->text.len == 0)
        return ERR_OK;
    loader->cut_off = !utf8_check(loader);
    if (loader->cut_off)
        return ERR_OK;
    if (!yaml_parser_initialize(&reader.parser))
        return ERR_NO_MEMORY;
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)loader->text.ptr,
                                 loader->text.len);
    document_read(&reader);
    loader->cut_off = reader.stopped;
    yaml_event_delete(&reader.event);
    yaml_parser_delete(&reader.parser);
    return reader.err;
}
