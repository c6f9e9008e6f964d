/* SPDX-License-Identifier: MIT
 * The report as one page that needs nothing else: no script, no file, no font from elsewhere. It
 * can be printed, and follows the reader's choice of light or dark. Everything that comes from a
 * file is text, never markup. */
#include "app/compliance.h"

#include <string.h>

#include "base/clock.h"

static const char head[] =
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" "
    "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
    "<title>Portcullis: evidence for controls</title>\n<style>\n"
    ":root{color-scheme:light dark;--ink:#1a1f24;--page:#fff;--soft:#57606a;--line:#d0d7de;"
    "--good:#116329;--bad:#a40e26;--plain:#57606a;--band:#f6f8fa}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--page:#0d1117;--soft:#9da7b1;"
    "--line:#30363d;--good:#56d364;--bad:#ff8a80;--plain:#9da7b1;--band:#161b22}}\n"
    "body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);"
    "max-width:72rem;margin:2rem auto;padding:0 1rem}\n"
    "h1{font-size:1.6rem}h2{margin-top:2.5rem;font-size:1.25rem}\n"
    "code,pre{font:13px/1.45 ui-monospace,monospace;overflow-wrap:anywhere;white-space:pre-wrap}\n"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem}dt{color:var(--soft)}"
    "dd{margin:0;overflow-wrap:anywhere}\n"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;"
    "padding:.5rem;border-bottom:1px solid var(--line)}thead th{background:var(--band)}\n"
    "td p{margin:0 0 .3rem}.soft{color:var(--soft)}\n"
    ".state{font-weight:600;white-space:nowrap}.good{color:var(--good)}.bad{color:var(--bad)}"
    ".plain{color:var(--plain)}\n"
    ".gaps{border:2px solid var(--bad);padding:.5rem 1rem}\n"
    "@media print{body{margin:0;max-width:none;font-size:10pt}tr{break-inside:avoid}"
    "thead{display:table-header-group}}\n"
    "</style>\n</head>\n<body>\n<h1>Evidence for controls</h1>\n"
    "<p>What this program claims of itself, and what was seen when each claim was tried, with the "
    "control in place and with it switched off. Whether an organisation meets a framework is for "
    "its assessors to say; what stays with people stands at each control.</p>\n";

static void add_escaped(struct sbuf *out, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (c == '&')
            sbuf_add_lit(out, "&amp;");
        else if (c == '<')
            sbuf_add_lit(out, "&lt;");
        else if (c == '>')
            sbuf_add_lit(out, "&gt;");
        else if (c == '"')
            sbuf_add_lit(out, "&quot;");
        else if (c == '\'')
            sbuf_add_lit(out, "&#39;");
        else
            sbuf_add_char(out, c);
    }
}

static void add_entry(struct sbuf *out, const char *name, struct span value)
{
    sbuf_add_format(out, "<dt>%s</dt><dd><code>", name);
    add_escaped(out, value);
    sbuf_add_lit(out, "</code></dd>\n");
}

static void add_of_what(struct sbuf *out, const struct compliance_report *report)
{
    const struct compliance_results *results = report->results;
    char made[64];
    struct sbuf at = sbuf_over(made, sizeof(made));

    clock_add_rfc3339(&at, report->made_at_ns, 0);
    sbuf_add_lit(out, "<dl>\n");
    add_entry(out, "Program", report->version);
    add_entry(out, "Source revision", report->revision);
    add_entry(out, "Report made", sbuf_span(&at));
    add_entry(out, "Configuration hash", span_from(report->configuration_hash));
    add_entry(out, "Checks run", results->given ? results->ended_at : SPAN_OF("not at all"));
    if (results->given) {
        add_entry(out, "Checks run on revision", results->revision);
        add_entry(out, "Results, SHA-256", span_from(results->sha256));
    }
    sbuf_add_lit(out, "<dt>Audit checkpoint</dt><dd><pre>");
    add_escaped(out, report->checkpoint.len > 0 ? report->checkpoint
                                                : span_from(report->checkpoint_reason));
    sbuf_add_lit(out, "</pre></dd>\n</dl>\n");
    sbuf_add_lit(out, "<p class=\"soft\">The checks ran against servers of this program with "
                      "settings of their own. The configuration hash and the checkpoint are those "
                      "of the installation for which this report was made.</p>\n");
}

static void add_gaps(struct sbuf *out, const struct compliance_report *report)
{
    if (!compliance_has_gaps(report))
        return;
    sbuf_add_lit(out, "<div class=\"gaps\"><p><strong>This report has gaps.</strong></p>\n<ul>\n");
    if (compliance_is_dirty(report->revision))
        sbuf_add_lit(out, "<li>The source had changes that no commit holds.</li>\n");
    if (report->checkpoint.len == 0)
        sbuf_add_lit(out, "<li>There is no signed checkpoint of the audit log.</li>\n");
    if (!report->results->given)
        sbuf_add_lit(out, "<li>No results of checks were given.</li>\n");
    else if (!report->results->fits)
        sbuf_add_lit(out, "<li>The results are of another revision: none of them counts.</li>\n");
    if (compliance_count(report, COMPLIANCE_MISSING) > 0)
        sbuf_add_format(out, "<li>%zu controls are without evidence.</li>\n",
                        compliance_count(report, COMPLIANCE_MISSING));
    if (compliance_count(report, COMPLIANCE_FAILED) > 0)
        sbuf_add_format(out, "<li>The checks of %zu controls failed.</li>\n",
                        compliance_count(report, COMPLIANCE_FAILED));
    sbuf_add_lit(out, "</ul></div>\n");
}

static void add_check(struct sbuf *out, const struct compliance_results *results, struct span name)
{
    const struct compliance_check *check =
        results->fits ? compliance_check_find(results, name) : NULL;

    sbuf_add_lit(out, "<p><code>");
    add_escaped(out, name);
    sbuf_add_lit(out, "</code>: ");
    if (check == NULL) {
        sbuf_add_lit(out, "not run.</p>");
        return;
    }
    sbuf_add_format(out, "%s with it, ", check->on_green ? "green" : "<b class=\"bad\">red</b>");
    sbuf_add_format(out, "%s without (", check->off_red ? "red" : "<b class=\"bad\">green</b>");
    add_escaped(out, check->how);
    sbuf_add_lit(out, ").</p>");
}

static void add_control(struct sbuf *out, const struct compliance_report *report,
                        const struct compliance_control *control)
{
    static const char *const classes[] = {[COMPLIANCE_MISSING] = "bad",
                                          [COMPLIANCE_FAILED] = "bad",
                                          [COMPLIANCE_MANUAL] = "plain",
                                          [COMPLIANCE_EVIDENCE] = "good"};
    enum compliance_state state = compliance_state_of(report->results, control);

    sbuf_add_lit(out, "<tr><th scope=\"row\">");
    add_escaped(out, control->id);
    sbuf_add_format(out, "</th><td class=\"state %s\">%s</td><td><p><strong>", classes[state],
                    compliance_state_text(state));
    add_escaped(out, control->title);
    sbuf_add_lit(out, "</strong></p><p>");
    add_escaped(out, control->claim);
    sbuf_add_lit(out, "</p><p class=\"soft\">Scope: ");
    add_escaped(out, control->scope);
    sbuf_add_lit(out, "</p></td><td>");
    for (size_t i = 0; i < control->check_count; i++)
        add_check(out, report->results, control->checks[i]);
    sbuf_add_lit(out, "</td><td>");
    add_escaped(out, control->manual);
    sbuf_add_lit(out, "</td></tr>\n");
}

static void add_framework(struct sbuf *out, const struct compliance_report *report,
                          const struct compliance_framework *framework)
{
    sbuf_add_lit(out, "<h2>");
    add_escaped(out, framework->name);
    sbuf_add_char(out, ' ');
    add_escaped(out, framework->version);
    sbuf_add_lit(out, "</h2>\n<p class=\"soft\"><code>");
    add_escaped(out, framework->file);
    sbuf_add_format(out, "</code>, SHA-256 <code>%s</code></p>\n", framework->sha256);
    sbuf_add_lit(out, "<table>\n<thead><tr><th>Control</th><th>State</th><th>Claim</th>"
                      "<th>Checks</th><th>Stays with people</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < framework->count; i++)
        add_control(out, report, &framework->controls[i]);
    sbuf_add_lit(out, "</tbody>\n</table>\n");
}

void compliance_html(const struct compliance_report *report, struct sbuf *out)
{
    sbuf_add_text(out, head);
    add_gaps(out, report);
    add_of_what(out, report);
    for (size_t i = 0; i < report->matrix->count; i++)
        add_framework(out, report, &report->matrix->list[i]);
    sbuf_add_lit(out, "</body>\n</html>\n");
}
