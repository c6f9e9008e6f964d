/* SPDX-License-Identifier: MIT
 * Reads the cursor of a page and links to the next one. */
#include "http/http_page.h"

enum { LINK_BYTES_MAX = 256 };

void http_page_link(struct http_request *req, const struct http_page *page, struct span cursor)
{
    char text[LINK_BYTES_MAX];
    struct sbuf link = sbuf_over(text, sizeof(text));

    sbuf_add_format(&link, "<%s?limit=%lld&cursor=%.*s>; rel=\"next\"", req->route->path,
                    (long long)page->limit, SPAN_ARG(cursor));
    http_reply_header(req, "Link", sbuf_span(&link));
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
