/* SPDX-License-Identifier: MIT
 * Finds an embedded asset by its path. The tables are made by embed.py, sorted, so that the search
 * halves them at each step. */
#include "web/web.h"

#include "web/web_priv.h"

const struct span web_docs_csp = SPAN(WEB_DOCS_CSP);
const struct span web_redoc_csp = SPAN(WEB_REDOC_CSP);
const struct span web_console_csp = SPAN(WEB_CONSOLE_CSP);
const struct span web_cache_immutable = SPAN("public, max-age=31536000, immutable");
const struct span web_cache_page = SPAN("no-cache");

static const struct web_asset *find(const struct web_asset *table, size_t count, struct span path)
{
    size_t low = 0;
    size_t high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = span_compare(path, table[middle].path);

        if (order == 0)
            return &table[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const struct web_asset *web_find(struct span path)
{
    return find(web_table, web_table_count, path);
}

const struct web_asset *web_console_find(struct span name)
{
    return find(web_console_table, web_console_table_count, name);
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

const struct web_asset *web_console_list(size_t *ret_count)
{
    *ret_count = web_console_table_count;
    return web_console_table;
}

bool web_console_complete(void)
{
    return web_console_table_complete;
}
