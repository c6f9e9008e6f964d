/* SPDX-License-Identifier: MIT
 * Lists that are given out a page at a time: `limit` and `cursor` of the request, and the Link
 * header (RFC 8288) that leads to the next page.
 *
 * Threads: the request's.    Memory: none; spans are the request's. */
#ifndef PC_HTTP_HTTP_PAGE_H
#define PC_HTTP_HTTP_PAGE_H

#include "http/http.h"

struct http_page {
    int64_t limit;
    struct span cursor; /* empty: the first page */
};

/* The fields of its schema. A cursor is the list's own: how long it can be, and how it looks. */
#define HTTP_PAGE_FIELDS(cursor_max, cursor_example)                                               \
    {.name = "limit",                                                                              \
     .kind = JSON_KIND_I64,                                                                        \
     .optional = true,                                                                             \
     .min = 1,                                                                                     \
     .max = LIMIT_PAGE_ITEMS_MAX,                                                                  \
     .offset = offsetof(struct http_page, limit),                                                  \
     .fallback = "100",                                                                            \
     .about = "How many at most.",                                                                 \
     .example = "100"},                                                                            \
    {                                                                                              \
        .name = "cursor", .kind = JSON_KIND_TEXT, .optional = true, .min = 1, .max = (cursor_max), \
        .offset = offsetof(struct http_page, cursor),                                              \
        .about = "Where the next page begins: as in the Link header of the one before.",           \
        .example = (cursor_example)                                                                \
    }

/* There is another page, which begins behind the cursor. Whatever else the query said (filters) is
 * said again. */
void http_page_link(struct http_request *req, const struct http_page *page, struct span cursor);
/* The header's value, for a handler that answers at a later stop; empty: no memory. */
struct span http_page_next(struct http_request *req, const struct http_page *page,
                           struct span cursor);
/* 422: the cursor is none of ours. */
PC_CHECKED enum err http_page_fail(struct http_request *req);

/* Where the cursor is the key of the last row seen: reads it, 0 on the first page; and links. */
enum { HTTP_PAGE_KEY_BYTES_MAX = 20 };
PC_CHECKED enum err http_page_after(struct http_request *req, const struct http_page *page,
                                    int64_t *ret_key);
void http_page_link_key(struct http_request *req, const struct http_page *page, int64_t last_key);

#endif
