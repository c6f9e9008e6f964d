/* SPDX-License-Identifier: MIT
 * Texts of the tables as pages for man(1). */
#include "app/roff.h"

#include <string.h>

#include "app/command.h"

/* When the layout of the pages changed last: a page wants a date, and the day of a build would make
 * two builds of one source differ. */
#define ROFF_DATE "2026-11-23"

void roff_page(const char *title, const char *section, const char *about, struct sbuf *out)
{
    sbuf_add_format(out,
                    ".\\\" Made by `portcullis man`; the tables of src/app/ are its source.\n"
                    ".TH \"%s\" \"%s\" \"" ROFF_DATE "\" \"portcullis %s\" \"Portcullis\"\n"
                    ".SH NAME\n",
                    title, section, command_version_number());
    roff_text(span_from(title), out);
    sbuf_add_lit(out, " \\- ");
    roff_text(span_from(about), out);
    sbuf_add_char(out, '\n');
}

void roff_text(struct span text, struct sbuf *out)
{
    bool begins = out->len == 0 || out->ptr[out->len - 1] == '\n';

    for (size_t i = 0; i < text.len; i++) {
        char byte = text.ptr[i];

        if (begins && (byte == '.' || byte == '\''))
            sbuf_add_lit(out, "\\&");
        if (byte == '\\')
            sbuf_add_lit(out, "\\e");
        else if (byte == '-')
            sbuf_add_lit(out, "\\-");
        else if (byte == '\'')
            sbuf_add_lit(out, "\\(aq");
        else if (byte == '`')
            sbuf_add_lit(out, "\\(ga");
        else if (byte == '^')
            sbuf_add_lit(out, "\\(ha");
        else if (byte == '~')
            sbuf_add_lit(out, "\\(ti");
        else
            sbuf_add_char(out, byte);
        begins = byte == '\n';
    }
}

void roff_line(const char *macro, const char *text, struct sbuf *out)
{
    sbuf_add_text(out, macro);
    roff_text(span_from(text), out);
    sbuf_add_char(out, '\n');
}

/* "\n\n", or the end. */
static size_t paragraph_end(struct span text)
{
    for (size_t i = 0; i + 1 < text.len; i++)
        if (text.ptr[i] == '\n' && text.ptr[i + 1] == '\n')
            return i;
    return text.len;
}

static bool is_laid_out(struct span text)
{
    if (text.len > 0 && text.ptr[0] == ' ')
        return true;
    for (size_t i = 0; i + 1 < text.len; i++)
        if (text.ptr[i] == '\n' && text.ptr[i + 1] == ' ')
            return true;
    return false;
}

void roff_paragraphs(const char *text, struct sbuf *out)
{
    struct span rest = span_from(text);

    while (rest.len > 0) {
        size_t end = paragraph_end(rest);
        struct span paragraph = span_slice(rest, 0, end);
        bool as_is = is_laid_out(paragraph);

        sbuf_add_text(out, as_is ? ".PP\n.nf\n" : ".PP\n");
        roff_text(paragraph, out);
        sbuf_add_text(out, as_is ? "\n.fi\n" : "\n");
        while (end < rest.len && rest.ptr[end] == '\n')
            end++;
        rest = span_slice(rest, end, rest.len);
    }
}
