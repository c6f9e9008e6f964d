/* SPDX-License-Identifier: MIT
 * Reads the cursor of a page and links to the next one. */
#include "http/http_page.h"

#include <string.h>

enum { LINK_BYTES_MAX = 3 * LIMIT_HTTP_TARGET_BYTES_MAX };

/* What would end the address or its part early is written as RFC 3986 says. */
static void add_address(struct sbuf *link, struct span text, const char *ends)
{
    static const char hex[] = "0123456789ABCDEF";

    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];

        if (c > ' ' && c < 0x7F && strchr(ends, c) == NULL) {
            sbuf_add_char(link, (char)c);
            continue;
        }
        sbuf_add_char(link, '%');
        sbuf_add_char(link, hex[c >> 4]);
        sbuf_add_char(link, hex[c & 15]);
    }
}

static bool is_of_page(struct span member)
{
    struct span name = span_slice(member, 0, span_find(member, '='));

    return name.len == 0 || span_is(name, "limit") || span_is(name, "cursor");
}

struct span http_page_next(struct http_request *req, const struct http_page *page,
                           struct span cursor)
{
    struct sbuf link = sbuf_on(req->arena, LINK_BYTES_MAX);
    struct span rest = req->query;
    struct span member;

    sbuf_add_char(&link, '<');
    add_address(&link, req->path, "<>\"%?");
    sbuf_add_char(&link, '?');
    while (rest.len > 0 && span_cut(&rest, '&', &member)) {
        if (is_of_page(member))
            continue;
        add_address(&link, member, "<>\"");
        sbuf_add_char(&link, '&');
    }
    sbuf_add_format(&link, "limit=%lld&cursor=", (long long)page->limit);
    add_address(&link, cursor, "<>\"&%");
    sbuf_add_lit(&link, ">; rel=\"next\"");
    return link.full ? (struct span){0} : sbuf_span(&link);
}

void http_page_link(struct http_request *req, const struct http_page *page, struct span cursor)
{
    struct span link = http_page_next(req, page, cursor);

    if (link.len > 0)
        http_reply_header(req, "Link", link);
}

enum err http_page_fail(struct http_request *req)
{
    return http_fail_field(req, "cursor", "is not one that this service gave out");
}

enum err http_page_after(struct http_request *req, const struct http_page *page, int64_t *ret_key)
{
    *ret_key = 0;
    if (page->cursor.len > 0 && !span_to_i64(page->cursor, ret_key))
        return http_page_fail(req);
    return ERR_OK;
}

void http_page_link_key(struct http_request *req, const struct http_page *page, int64_t last_key)
{
    char text[HTTP_PAGE_KEY_BYTES_MAX + 1];
    struct sbuf cursor = sbuf_over(text, sizeof(text));

    sbuf_add_i64(&cursor, last_key);
    http_page_link(req, page, sbuf_span(&cursor));
}
