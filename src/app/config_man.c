/* SPDX-License-Identifier: MIT
 * The settings table as the page portcullis.yaml(5). */
#include <string.h>

#include "app/config_priv.h"
#include "app/roff.h"

static void add_fallback(const struct config_setting *setting, struct sbuf *out)
{
    if (setting->fallback == NULL || setting->fallback[0] == '\0')
        return;
    sbuf_add_lit(out, ".br\nDefault:\n");
    roff_line(".B ", setting->fallback, out);
}

static void add_environ(const struct config_setting *setting, struct sbuf *out)
{
    for (size_t i = 0; i < PC_COUNT(setting->environ) && setting->environ[i] != NULL; i++)
        roff_line(i == 0 ? ".br\nEnvironment:\n.B " : "or\n.B ", setting->environ[i], out);
}

static void add_setting(const struct config_setting *setting, const char *name, struct sbuf *out)
{
    char text[256];
    struct sbuf kind = sbuf_over(text, sizeof(text) - 1);

    config_reference_kind(setting, &kind);
    text[kind.len] = '\0';
    roff_line(".TP\n.B ", name, out);
    roff_line("", setting->about, out);
    sbuf_add_lit(out, ".br\nTakes: ");
    for (const char *at = text; *at != '\0'; at++) /* the reference is Markdown */
        if (*at != '`')
            roff_text(span_make(at, 1), out);
    sbuf_add_char(out, '\n');
    add_fallback(setting, out);
    add_environ(setting, out);
    if (setting->live)
        sbuf_add_lit(out, ".br\nTaken over by a reload.\n");
    for (size_t i = 0; setting->type == CONFIG_ROWS && i < setting->row_count; i++) {
        char inner[3 * CONFIG_PATH_BYTES_MAX];
        struct sbuf path = sbuf_over(inner, sizeof(inner) - 1);

        sbuf_add_format(&path, "%s[].%s", name, setting->row[i].path);
        inner[path.len] = '\0';
        add_setting(&setting->row[i], inner, out);
    }
}

void config_man(struct sbuf *out)
{
    roff_page("portcullis.yaml", "5", "settings of portcullis(1)", out);
    sbuf_add_lit(
        out,
        ".SH DESCRIPTION\n"
        "The file is YAML without anchors, aliases and tags; unknown keys are errors. A setting\n"
        "called \\fBgateway.port\\fR here is the key \\fBport\\fR in the mapping\n"
        "\\fBgateway\\fR; \\fB[]\\fR stands for each item of a list. Names of the environment\n"
        "stand over the file; one that is set but empty counts as not set, and lists are\n"
        "written \\fBa,b\\fR there.\n"
        ".PP\n"
        "\\fBportcullis check\\fR tells everything that is wrong with line and column,\n"
        "\\fBportcullis check \\-\\-explain\\fR prints what is in force and where it came from,\n"
        "\\fBportcullis check \\-\\-example\\fR prints a commented file to begin with.\n"
        ".SH SETTINGS\n");
    for (size_t i = 0; i < config_setting_count; i++)
        add_setting(&config_settings[i], config_settings[i].path, out);
    sbuf_add_lit(out, ".SH SEE ALSO\n.BR portcullis (1)\n");
}
