/* SPDX-License-Identifier: MIT
 * The documentation pages (Swagger UI and ReDoc), the console, and all they load, held inside the
 * program: no file is read and nothing is fetched from elsewhere when a page is shown. Every
 * address in the documentation is relative, so the same pages work under "/api/" at the gateway and
 * under
 * "/" at a service; the console stands below "/console" of the gateway.
 *
 * A listener mounts them under a base (the gateway: "/api/"), and asks here with what follows the
 * base: "docs" and "redoc" are the pages, "docs/..." is what they load. They expect to find
 * "openapi.json" and "openapi.yaml" at the same base.
 *
 * Threads: constant data, any thread.    Memory: lives as long as the program.
 * Floor:   0, plain data; any folder may include it. Source: README.md here, embed.py. */
#ifndef PC_WEB_WEB_H
#define PC_WEB_WEB_H

#include "base/span.h"

struct web_asset {
    struct span path;         /* "docs", "docs/swagger-ui.0123456789ab.css" */
    struct span content_type; /* with its charset where it has one */
    struct span etag;         /* of the identity form, with its quotes */
    struct span etag_gzip;    /* of the gzip form: other bytes, other tag (RFC 9110, 8.8.3) */
    struct span identity;     /* the bytes themselves */
    struct span gzip;         /* the same, compressed; len 0 when that saves nothing */
    struct span csp;          /* a page's own policy; len 0: the API's policy is right */
    bool immutable;           /* the path holds the content's hash: may be kept for a year */
};

/* The policies of the pages, the tightest under which each works without a complaint in the
 * browser's console. They take the place of the API's `default-src 'none'`. */
extern const struct span web_docs_csp;
extern const struct span web_redoc_csp;
extern const struct span web_console_csp;

/* What stands in Cache-Control: for an immutable asset, and for the pages, which are asked again
 * with If-None-Match. */
extern const struct span web_cache_immutable;
extern const struct span web_cache_page;

/* The asset at `path` (what follows the base), or NULL. Exact: no slash is added or dropped. */
const struct web_asset *web_find(struct span path);

/* All assets in the order of their paths. */
const struct web_asset *web_list(size_t *ret_count);

/* False when the program was built without the npm packages: the pages then say so. */
bool web_complete(void);

/* The same of the console, by the name that follows "/console/". The page itself is "page". */
const struct web_asset *web_console_find(struct span name);
const struct web_asset *web_console_list(size_t *ret_count);
bool web_console_complete(void);

#endif
