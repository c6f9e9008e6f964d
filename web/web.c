/* SPDX-License-Identifier: MIT
 * Finds an embedded asset by its path. The table is made by embed.py, sorted, so that the search
 * halves it at each step. */
#include "web/web.h"

#include "web/web_priv.h"

const struct span web_docs_csp = SPAN(WEB_DOCS_CSP);
const struct span web_redoc_csp = SPAN(WEB_REDOC_CSP);
const struct span web_cache_immutable = SPAN("public, max-age=31536000, immutable");
const struct span web_cache_page = SPAN("no-cache");

const struct web_asset *web_find(struct span path)
{
    size_t low = 0;
    size_t high = web_table_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = span_compare(path, web_table[middle].path);

        if (order == 0)
            return &web_table[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const struct web_asset *web_list(size_t *ret_count)
{
    *ret_count = web_table_count;
    return web_table;
}

bool web_complete(void)
{
    return web_table_complete;
}
