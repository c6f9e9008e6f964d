/* SPDX-License-Identifier: MIT
 * The settings table in words: what is in force and why (--explain), the reference in
 * docs/configuration.md, and the commented example file. All three are made from the same rows. */
#include "app/config_priv.h"

#include <string.h>

enum { EXPLAIN_NAME_WIDTH = 36, EXPLAIN_VALUE_WIDTH = 30, EXAMPLE_WIDTH = 92 };

/* The part of a path before its last dot; empty at the top. */
static struct span section_of(const char *path)
{
    const char *dot = strrchr(path, '.');

    return span_make(path, dot == NULL ? 0 : (size_t)(dot - path));
}

static const char *name_of(const char *path)
{
    const char *dot = strrchr(path, '.');

    return dot == NULL ? path : dot + 1;
}

/* ---- one value ---- */

static uint32_t number_at(const struct config_setting *setting, const void *base)
{
    uint32_t number;

    memcpy(&number, (const char *)base + setting->offset, sizeof(number));
    return number;
}

static void show_text(const struct config_setting *setting, const void *base, struct sbuf *out)
{
    const char *text;

    memcpy(&text, (const char *)base + setting->offset, sizeof(text));
    if (text == NULL)
        sbuf_add_lit(out, "(not set)");
    else if (setting->form == CONFIG_DATABASE || setting->form == CONFIG_REDIS)
        config_url_show(span_from(text), out);
    else if (setting->secret)
        sbuf_add_lit(out, "********");
    else
        sbuf_add_text(out, text);
}

static void show_texts(const struct config_texts *list, struct sbuf *out)
{
    sbuf_add_char(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0)
            sbuf_add_lit(out, ", ");
        sbuf_add_text(out, list->items[i]);
    }
    sbuf_add_char(out, ']');
}

/* Whether the item says nothing of this member, and that is what a reader thinks anyway. */
static bool is_left_out(const struct config_setting *member, const void *item)
{
    const void *at = (const char *)item + member->offset;
    const char *text;
    bool on;

    switch (member->type) {
    case CONFIG_NUMBER:
        return number_at(member, item) == 0 && member->fallback == NULL;
    case CONFIG_SWITCH:
        memcpy(&on, at, sizeof(on));
        return !on;
    case CONFIG_CHOICE:
        return number_at(member, item) < member->choice_first;
    case CONFIG_TEXT:
        memcpy(&text, at, sizeof(text));
        return text == NULL;
    case CONFIG_TEXTS:
        return ((const struct config_texts *)at)->count == 0;
    case CONFIG_ROWS:
        return config_rows_at(member, item).count == 0;
    }
    PC_WRONG("unknown type");
}

/* "{name: shop, check: {path: /}}" */
static void show_row(const struct config_setting *setting, const void *item, struct sbuf *out)
{
    struct span section = {0};
    bool first = true;

    sbuf_add_char(out, '{');
    for (size_t i = 0; i < setting->row_count; i++) {
        const struct config_setting *member = &setting->row[i];
        struct span now = section_of(member->path);

        if (is_left_out(member, item))
            continue;
        if (!span_equal(now, section) && section.len > 0)
            sbuf_add_char(out, '}');
        sbuf_add_text(out, first ? "" : ", ");
        first = false;
        if (!span_equal(now, section) && now.len > 0) {
            sbuf_add(out, now);
            sbuf_add_lit(out, ": {");
        }
        section = now;
        sbuf_add_format(out, "%s: ", name_of(member->path));
        config_value_show(member, item, out);
    }
    sbuf_add_text(out, section.len > 0 ? "}}" : "}");
}

static void show_rows(const struct config_setting *setting, const void *base, struct sbuf *out)
{
    const struct config_rows rows = config_rows_at(setting, base);

    sbuf_add_char(out, '[');
    for (size_t i = 0; i < rows.count; i++) {
        if (i > 0)
            sbuf_add_lit(out, ", ");
        show_row(setting, (const char *)rows.items + i * setting->row_bytes, out);
    }
    sbuf_add_char(out, ']');
}

void config_value_show(const struct config_setting *setting, const void *base, struct sbuf *out)
{
    const void *at = (const char *)base + setting->offset;
    bool on;

    switch (setting->type) {
    case CONFIG_NUMBER:
        sbuf_add_u64(out, number_at(setting, base));
        return;
    case CONFIG_SWITCH:
        memcpy(&on, at, sizeof(on));
        sbuf_add_text(out, on ? "true" : "false");
        return;
    case CONFIG_CHOICE:
        sbuf_add_text(out, setting->choices[number_at(setting, base) - setting->choice_first]);
        return;
    case CONFIG_TEXT:
        show_text(setting, base, out);
        return;
    case CONFIG_TEXTS:
        show_texts(at, out);
        return;
    case CONFIG_ROWS:
        show_rows(setting, base, out);
        return;
    }
    PC_WRONG("unknown type");
}

/* ---- --explain ---- */

static void pad_to(struct sbuf *out, size_t begin, size_t width)
{
    do
        sbuf_add_char(out, ' ');
    while (out->len < begin + width && !out->full);
}

static void show_origin(const struct config_origin *origin, struct sbuf *out)
{
    switch (origin->kind) {
    case CONFIG_FROM_DEFAULT:
        sbuf_add_lit(out, "default");
        return;
    case CONFIG_FROM_FILE:
        sbuf_add_format(out, "%s:%u", origin->name, origin->line);
        return;
    case CONFIG_FROM_ENVIRONMENT:
        sbuf_add_format(out, "environment %s", origin->name);
        return;
    }
    PC_WRONG("unknown origin");
}

/* Items that would not fit beside their list's name, a line each. */
enum { WIDE_MEMBERS = 5 };

void config_explain_value(const struct config_setting *setting, const struct config *config,
                          struct sbuf *out)
{
    size_t count;

    if (setting->type != CONFIG_ROWS || setting->row_count < WIDE_MEMBERS) {
        config_value_show(setting, config, out);
        return;
    }
    count = config_rows_at(setting, config).count;
    sbuf_add_format(out, "%zu item%s", count, count == 1 ? "" : "s");
}

static void explain_items(const struct config_setting *setting, const struct config *config,
                          struct sbuf *out)
{
    struct config_rows rows;

    if (setting->type != CONFIG_ROWS || setting->row_count < WIDE_MEMBERS)
        return;
    rows = config_rows_at(setting, config);
    for (size_t i = 0; i < rows.count; i++) {
        sbuf_add_lit(out, "  - ");
        show_row(setting, (const char *)rows.items + i * setting->row_bytes, out);
        sbuf_add_char(out, '\n');
    }
}

void config_explain(const struct config *config, const struct config_origins *origins,
                    struct sbuf *out)
{
    for (size_t i = 0; i < config_setting_count; i++) {
        const struct config_setting *setting = &config_settings[i];
        size_t begin = out->len;

        sbuf_add_text(out, setting->path);
        pad_to(out, begin, EXPLAIN_NAME_WIDTH);
        begin = out->len;
        config_explain_value(setting, config, out);
        pad_to(out, begin, EXPLAIN_VALUE_WIDTH);
        show_origin(&origins->of[i], out);
        sbuf_add_char(out, '\n');
        explain_items(setting, config, out);
    }
}

/* ---- the reference ---- */

void config_reference_kind(const struct config_setting *setting, struct sbuf *out)
{
    if (setting->type == CONFIG_NUMBER)
        sbuf_add_format(out, "%u to %u", setting->min, setting->max);
    else if (setting->type == CONFIG_ROWS)
        sbuf_add_format(out, "list of up to %u rows", setting->max);
    else if (setting->type == CONFIG_TEXTS)
        sbuf_add_format(out, "list of up to %u texts", setting->max);
    else
        config_value_kind(setting, out);
    if (setting->unit != NULL)
        sbuf_add_format(out, " %s", setting->unit);
}

static void reference_text(const char *value, struct sbuf *out)
{
    if (value[0] == '\0')
        sbuf_add_lit(out, "none");
    else
        sbuf_add_format(out, "`%s`", value);
}

static void reference_default(const struct config_setting *setting, struct sbuf *out)
{
    const char *value = setting->fallback;

    if (value == NULL)
        sbuf_add_text(out, setting->required ? "required" : "–");
    else
        reference_text(value, out);
    if (setting->fallback_production == NULL)
        return;
    sbuf_add_lit(out, " (production: ");
    reference_text(setting->fallback_production, out);
    sbuf_add_char(out, ')');
}

static void reference_row(const struct config_setting *setting, const char *name, struct sbuf *out)
{
    sbuf_add_format(out, "| `%s` | ", name);
    config_reference_kind(setting, out);
    sbuf_add_lit(out, " | ");
    reference_default(setting, out);
    sbuf_add_lit(out, " | ");
    for (size_t i = 0; i < PC_COUNT(setting->environ) && setting->environ[i] != NULL; i++)
        sbuf_add_format(out, "%s`%s`", i > 0 ? ", " : "", setting->environ[i]);
    sbuf_add_format(out, " | %s%s |\n", setting->about, setting->live ? " ↻" : "");
}

static void reference_head(struct sbuf *out)
{
    sbuf_add_lit(out, "| setting | takes | default | environment | meaning |\n"
                      "| --- | --- | --- | --- | --- |\n");
}

/* The members of a list's items, "upstreams[].targets[].url". */
static void reference_rows(const struct config_setting *setting, const char *list, struct sbuf *out)
{
    for (size_t i = 0; setting->type == CONFIG_ROWS && i < setting->row_count; i++) {
        char name[3 * CONFIG_PATH_BYTES_MAX];
        struct sbuf path = sbuf_over(name, sizeof(name) - 1);

        sbuf_add_format(&path, "%s[].%s", list, setting->row[i].path);
        name[path.len] = '\0';
        reference_row(&setting->row[i], name, out);
        reference_rows(&setting->row[i], name, out);
    }
}

void config_reference(struct sbuf *out)
{
    struct span section = {0};

    sbuf_add_lit(
        out,
        "# Configuration\n\n"
        "<!-- Made by `portcullis check --reference`; change src/app/config_table.c instead. "
        "-->\n\n"
        "Settings are read from the file given with `--config`, else from `portcullis.yaml` in the "
        "working folder if there is one.\nThe names of the environment stand over the file; a name "
        "that is set but empty counts as not set, and lists are written `a,b` there.\n"
        "`portcullis check` tells everything that is wrong with line and column, `portcullis check "
        "--explain` prints what is in force and where it came from,\n`portcullis check --example` "
        "prints a commented file to begin with. Unknown keys are errors; anchors, aliases and tags "
        "are not read.\n\n"
        "SIGHUP makes a running program read its settings again; it takes over those marked ↻ and "
        "says which changed ones have to wait for its next start.\n\n"
        "## General\n\n");
    reference_head(out);
    for (size_t i = 0; i < config_setting_count; i++) {
        const struct config_setting *setting = &config_settings[i];
        struct span now = section_of(setting->path);

        if (now.len == 0 && setting->type == CONFIG_ROWS)
            now = span_from(setting->path); /* long enough to stand alone */
        if (!span_equal(now, section)) {
            if (now.len > 0)
                sbuf_add_format(out, "\n## `%.*s`\n\n", SPAN_ARG(now));
            else
                sbuf_add_lit(out, "\n## In front\n\n");
            reference_head(out);
            section = now;
        }
        reference_row(setting, name_of(setting->path), out);
        reference_rows(setting, name_of(setting->path), out);
    }
}

/* ---- the example ---- */

static void indent(struct sbuf *out, size_t depth)
{
    for (size_t i = 0; i < depth; i++)
        sbuf_add_lit(out, "  ");
}

/* "# text" in lines that are not too long. */
static void example_comment(const char *text, size_t depth, struct sbuf *out)
{
    struct span rest = span_from(text);
    struct span word;
    size_t width = 0;

    while (span_cut(&rest, ' ', &word)) {
        if (width == 0 || width + word.len > EXAMPLE_WIDTH) {
            if (width > 0)
                sbuf_add_char(out, '\n');
            indent(out, depth);
            sbuf_add_lit(out, "##");
            width = 2 * depth + 2;
        }
        sbuf_add_char(out, ' ');
        sbuf_add(out, word);
        width += word.len + 1;
    }
    sbuf_add_char(out, '\n');
}

static void example_value(const struct config_setting *setting, size_t depth, size_t inner,
                          struct sbuf *out);

/* A line's begin, `inner` deep in a list: behind the # stands what a reader uncomments. */
static void example_lead(size_t depth, size_t inner, struct sbuf *out)
{
    indent(out, depth);
    sbuf_add_char(out, '#');
    indent(out, inner);
}

static bool has_example(const struct config_setting *member)
{
    for (size_t i = 0; member->type == CONFIG_ROWS && i < member->row_count; i++)
        if (has_example(&member->row[i]))
            return true;
    return member->example != NULL;
}

/* One item, of the members that have an example. */
static void example_rows(const struct config_setting *setting, size_t depth, size_t inner,
                         struct sbuf *out)
{
    struct span section = {0};
    bool first = true;

    sbuf_add_char(out, '\n');
    for (size_t i = 0; i < setting->row_count; i++) {
        const struct config_setting *member = &setting->row[i];
        struct span now = section_of(member->path);

        if (!has_example(member))
            continue;
        if (!span_equal(now, section) && now.len > 0) {
            example_lead(depth, inner + 2, out);
            sbuf_add_format(out, "%.*s:\n", SPAN_ARG(now));
        }
        section = now;
        if (first) {
            example_lead(depth, inner + 1, out);
            sbuf_add_lit(out, "- ");
        } else {
            example_lead(depth, inner + (now.len > 0 ? 3 : 2), out);
        }
        first = false;
        sbuf_add_format(out, "%s:", name_of(member->path));
        example_value(member, depth, inner + (now.len > 0 ? 3 : 2), out);
    }
}

static void example_texts(const char *value, struct sbuf *out)
{
    sbuf_add_lit(out, " [");
    for (size_t i = 0; value[i] != '\0'; i++) {
        if (i == 0 || value[i - 1] == ',')
            sbuf_add_char(out, '"');
        if (value[i] == ',')
            sbuf_add_lit(out, "\", ");
        else
            sbuf_add_char(out, value[i]);
    }
    sbuf_add_text(out, value[0] == '\0' ? "]\n" : "\"]\n");
}

static void example_value(const struct config_setting *setting, size_t depth, size_t inner,
                          struct sbuf *out)
{
    const char *value = setting->example != NULL ? setting->example : setting->fallback;

    if (setting->type == CONFIG_ROWS) {
        example_rows(setting, depth, inner, out);
        return;
    }
    PC_ASSERT(value != NULL);
    if (setting->type == CONFIG_TEXTS)
        example_texts(value, out);
    else if (strcmp(value, "-") == 0)
        sbuf_add_lit(out, " \"-\"\n");
    else
        sbuf_add_format(out, " %s\n", value);
}

static size_t depth_of(const char *path)
{
    size_t depth = 0;

    for (; *path != '\0'; path++)
        depth += *path == '.' ? 1 : 0;
    return depth;
}

/* Opens the sections of `path` that the setting before it was not in. */
static void example_sections(const char *path, const char *before, struct sbuf *out)
{
    size_t depth = 0;

    for (size_t begin = 0, i = 0; path[i] != '\0'; i++) {
        if (path[i] != '.')
            continue;
        if (strncmp(path, before, i + 1) != 0) {
            sbuf_add_char(out, '\n');
            indent(out, depth);
            sbuf_add_format(out, "#%.*s:\n", (int)(i - begin), path + begin);
        }
        begin = i + 1;
        depth++;
    }
}

void config_example(struct sbuf *out)
{
    const char *before = "";

    sbuf_add_lit(out,
                 "## Every setting with its default. A line that begins with # and a name is one\n"
                 "## to uncomment, together with the section it stands in.\n"
                 "## Made by `portcullis check --example`.\n\n");
    for (size_t i = 0; i < config_setting_count; i++) {
        const struct config_setting *setting = &config_settings[i];
        size_t depth = depth_of(setting->path);

        if (setting->secret && setting->fallback == NULL)
            continue; /* a secret in an example would become a well-known one */
        if (depth == 0 && setting->type == CONFIG_ROWS)
            sbuf_add_char(out, '\n');
        example_sections(setting->path, before, out);
        example_comment(setting->about, depth, out);
        indent(out, depth);
        sbuf_add_format(out, "#%s:", name_of(setting->path));
        example_value(setting, depth, 0, out);
        before = setting->path;
    }
}
