/* SPDX-License-Identifier: MIT
 * The settings table in words: what is in force and why (--explain), the reference in
 * docs/configuration.md, and the commented example file. All three are made from the same rows. */
#include "app/config_priv.h"

#include <string.h>

enum { EXPLAIN_NAME_WIDTH = 36, EXPLAIN_VALUE_WIDTH = 30, EXAMPLE_WIDTH = 92 };

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
    else if (setting->form == CONFIG_DATABASE)
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

static void show_row(const struct config_setting *setting, const struct config_limit *row,
                     struct sbuf *out)
{
    bool first = true;

    sbuf_add_char(out, '{');
    for (size_t i = 0; i < setting->row_count; i++) {
        const struct config_setting *member = &setting->row[i];
        const char *text = NULL;

        if (member->type == CONFIG_TEXT)
            memcpy(&text, (const char *)row + member->offset, sizeof(text));
        if (member->type == CONFIG_TEXT ? text == NULL : number_at(member, row) == 0)
            continue;
        sbuf_add_format(out, "%s%s: ", first ? "" : ", ", member->path);
        config_value_show(member, row, out);
        first = false;
    }
    sbuf_add_char(out, '}');
}

static void show_rows(const struct config_setting *setting, const struct config_limits *list,
                      struct sbuf *out)
{
    sbuf_add_char(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0)
            sbuf_add_lit(out, ", ");
        show_row(setting, &list->items[i], out);
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
        sbuf_add_text(out, setting->choices[number_at(setting, base)]);
        return;
    case CONFIG_TEXT:
        show_text(setting, base, out);
        return;
    case CONFIG_TEXTS:
        show_texts(at, out);
        return;
    case CONFIG_ROWS:
        show_rows(setting, at, out);
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

void config_explain(const struct config *config, const struct config_origins *origins,
                    struct sbuf *out)
{
    for (size_t i = 0; i < config_setting_count; i++) {
        const struct config_setting *setting = &config_settings[i];
        size_t begin = out->len;

        sbuf_add_text(out, setting->path);
        pad_to(out, begin, EXPLAIN_NAME_WIDTH);
        begin = out->len;
        config_value_show(setting, config, out);
        pad_to(out, begin, EXPLAIN_VALUE_WIDTH);
        show_origin(&origins->of[i], out);
        sbuf_add_char(out, '\n');
    }
}

/* ---- the reference ---- */

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

static void reference_kind(const struct config_setting *setting, struct sbuf *out)
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
    reference_kind(setting, out);
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

static void reference_rows(const struct config_setting *setting, struct sbuf *out)
{
    if (setting->type != CONFIG_ROWS)
        return;
    for (size_t i = 0; i < setting->row_count; i++) {
        char name[CONFIG_PATH_BYTES_MAX];
        struct sbuf path = sbuf_over(name, sizeof(name) - 1);

        sbuf_add_format(&path, "%s[].%s", name_of(setting->path), setting->row[i].path);
        name[path.len] = '\0';
        reference_row(&setting->row[i], name, out);
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

        if (!span_equal(now, section)) {
            sbuf_add_format(out, "\n## `%.*s`\n\n", SPAN_ARG(now));
            reference_head(out);
            section = now;
        }
        reference_row(setting, name_of(setting->path), out);
        reference_rows(setting, out);
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

static void example_rows(const struct config_setting *setting, size_t depth, struct sbuf *out)
{
    static const char *const values[][2] = {
        {"route", "POST /api/v1/auth/login"}, {"plan", "gold"}, {"user", "42"}};

    sbuf_add_lit(out, "\n");
    indent(out, depth);
    sbuf_add_lit(out, "#  - ");
    for (size_t i = 0; i < PC_COUNT(values); i++)
        if (strcmp(values[i][0], setting->row[0].path) == 0)
            sbuf_add_format(out, "%s: %s\n", values[i][0], values[i][1]);
    indent(out, depth);
    if (strcmp(setting->row[0].path, "user") == 0)
        sbuf_add_lit(out, "#    plan: gold\n");
    else
        sbuf_add_lit(out, "#    requests_per_minute: 20\n");
}

static void example_value(const struct config_setting *setting, size_t depth, struct sbuf *out)
{
    const char *value = setting->example != NULL ? setting->example : setting->fallback;

    switch (setting->type) {
    case CONFIG_ROWS:
        example_rows(setting, depth, out);
        return;
    case CONFIG_TEXTS:
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
        return;
    case CONFIG_NUMBER:
    case CONFIG_SWITCH:
    case CONFIG_CHOICE:
    case CONFIG_TEXT:
        PC_ASSERT(value != NULL);
        if (strcmp(value, "-") == 0)
            sbuf_add_lit(out, " \"-\"\n");
        else
            sbuf_add_format(out, " %s\n", value);
        return;
    }
    PC_WRONG("unknown type");
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
        example_sections(setting->path, before, out);
        example_comment(setting->about, depth, out);
        indent(out, depth);
        sbuf_add_format(out, "#%s:", name_of(setting->path));
        example_value(setting, depth, out);
        before = setting->path;
    }
}
