/* SPDX-License-Identifier: MIT
 * Pages of events: how they are written, and where they lead on. A page ends where it would become
 * too large, whatever limit was asked for, so that no list asks for more memory than a bound. */
#include "audit/audit_priv.h"

#include <stdarg.h>
#include <stdio.h>

enum { NUMBER_BYTES_MAX = 20, LINK_BYTES_MAX = 512 };

static enum err line_write(const struct trail_entry *entry, struct arena *scratch, struct sbuf *out)
{
    enum err err = audit_entry_write(entry, scratch, out);

    sbuf_add_char(out, '\n');
    return err == ERR_OK && out->full ? ERR_NO_SPACE : err;
}

static enum err export_write(const struct trail_entry *entry, struct arena *scratch,
                             struct sbuf *out)
{
    (void)scratch;
    return trail_line_write(entry, out);
}

const struct audit_form audit_form_json = {.type = "application/json",
                                           .open = "[",
                                           .between = ",",
                                           .close = "]",
                                           .write = audit_entry_write};
const struct audit_form audit_form_lines = {
    .type = "application/x-ndjson", .open = "", .between = "", .close = "", .write = line_write};
const struct audit_form audit_form_export = {
    .type = "application/x-ndjson", .open = "", .between = "", .close = "", .write = export_write};

enum err audit_page_write(const struct audit_form *form, const struct trail_entry *list,
                          size_t count, struct arena *scratch, struct sbuf *out, size_t *ret_done)
{
    enum err err = ERR_OK;
    size_t i = 0;

    sbuf_add_text(out, form->open);
    for (; i < count && err == ERR_OK && out->len < AUDIT_PAGE_BYTES_MAX; i++) {
        sbuf_add_text(out, i > 0 ? form->between : "");
        err = form->write(&list[i], scratch, out);
    }
    sbuf_add_text(out, form->close);
    *ret_done = i;
    return err == ERR_NO_SPACE || (err == ERR_OK && out->full) ? ERR_NO_MEMORY : err;
}

struct span audit_number(struct http_request *req, int64_t number)
{
    struct sbuf out = sbuf_on(req->arena, NUMBER_BYTES_MAX);

    sbuf_add_i64(&out, number);
    return sbuf_span(&out);
}

enum err audit_input_fail(struct http_request *req, const char *field, const char *message)
{
    enum err err = http_fail_field(req, field, message);

    return err == ERR_VALIDATION ? ERR_BAD_REQUEST : err;
}

enum err audit_page_fail(struct http_request *req)
{
    enum err err = http_page_fail(req);

    return err == ERR_VALIDATION ? ERR_BAD_REQUEST : err;
}

struct span audit_link(struct http_request *req, const char *format, ...)
{
    char query[LINK_BYTES_MAX];
    struct sbuf link = sbuf_on(req->arena, LINK_BYTES_MAX);
    va_list list;
    int len;

    va_start(list, format);
    len = vsnprintf(query, sizeof(query), format, list);
    va_end(list);
    PC_ASSERT(len > 0 && (size_t)len < sizeof(query));
    sbuf_add_char(&link, '<');
    sbuf_add(&link, req->path); /* of a route without parameters: nothing in it is to be escaped */
    sbuf_add_char(&link, '?');
    sbuf_add_bytes(&link, query, (size_t)len);
    sbuf_add_lit(&link, ">; rel=\"next\"");
    return link.full ? (struct span){0} : sbuf_span(&link);
}
