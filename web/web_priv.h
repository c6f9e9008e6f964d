/* SPDX-License-Identifier: MIT
 * What embed.py makes, the tables of assets in the order of their paths, and the policies it puts
 * beside the pages. tests/e2e/docs.test.mjs and console.test.mjs prove in a real browser that they
 * fit. */
#ifndef PC_WEB_PRIV_H
#define PC_WEB_PRIV_H

#include "web/web.h"

#define WEB_CSP_REST                                                                               \
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

/* Swagger UI draws its icons from data: images in its style sheet; everything else is ours. */
#define WEB_DOCS_CSP                                                                               \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " WEB_CSP_REST

/* ReDoc puts its rules into one empty <style> by script. The hash is that of the empty text, so no
 * inline style with any content passes. Its link icon is a data: image. */
#define WEB_REDOC_CSP                                                                              \
    "default-src 'none'; script-src 'self'; "                                                      \
    "style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='; "                     \
    "img-src 'self' data:; " WEB_CSP_REST

/* The console draws everything by script out of text, so it can forbid every sink that would take
 * text for code: Trusted Types with no policy at all. */
#define WEB_CONSOLE_CSP                                                                            \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " WEB_CSP_REST       \
    "; require-trusted-types-for 'script'; trusted-types 'none'"

extern const struct web_asset web_table[];
extern const size_t web_table_count;
extern const bool web_table_complete;

extern const struct web_asset web_console_table[];
extern const size_t web_console_table_count;
extern const bool web_console_table_complete;

#endif
