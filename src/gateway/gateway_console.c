/* SPDX-License-Identifier: MIT
 * The console for operators: one page at /console, where people come back to after signing in
 * (/console/callback), and the few files it loads. All of them are public: what the page shows it
 * asks the API for, with the token of who signed in. */
#include "gateway/gateway.h"

#include "web/web.h"

enum { FILE_NAME_CHARS_MAX = 64 };

struct file_input {
    struct span file;
};

static const struct json_field file_fields[] = {
    {.name = "file",
     .kind = JSON_KIND_TEXT,
     .min = 1,
     .max = FILE_NAME_CHARS_MAX,
     .offset = offsetof(struct file_input, file),
     .example = "console.0123456789ab.js"},
};
static const struct json_schema file_schema = {.name = "ConsoleFile",
                                               .fields = file_fields,
                                               .field_count = PC_COUNT(file_fields),
                                               .bytes = sizeof(struct file_input)};

/* A page with a token in its memory shares its window with nobody. */
static enum err page(struct http_request *req)
{
    http_reply_header(req, "Cross-Origin-Opener-Policy", SPAN_OF("same-origin"));
    return http_reply_asset(req, web_console_find(SPAN_OF("page")));
}

/* One address for the page; what is behind a "?" was for nobody. */
static enum err slash(struct http_request *req)
{
    return http_reply_redirect(req, 303, SPAN_OF("/console"));
}

static enum err file(struct http_request *req)
{
    const struct file_input *input = req->input;
    const struct web_asset *found = web_console_find(input->file);

    if (found == NULL || found->csp.len > 0)
        return ERR_NOT_FOUND;
    http_reply_header(req, "Cross-Origin-Resource-Policy", SPAN_OF("same-origin"));
    return http_reply_asset(req, found);
}

#define CONSOLE_ROW                                                                                \
    .method = NET_METHOD_GET, .access = HTTP_ACCESS_OPEN, .rate = HTTP_RATE_EXEMPT,                \
    .guard = HTTP_GUARD_NONE, .data = HTTP_DATA_PUBLIC, .tag = "Console", .hidden = true

const struct http_route gateway_console_routes[] = {
    {CONSOLE_ROW, .path = "/console", .handle = page, .id = "console"},
    {CONSOLE_ROW, .path = "/console/", .handle = slash, .id = "console_slash"},
    {CONSOLE_ROW, .path = "/console/callback", .handle = page, .id = "console_callback"},
    {CONSOLE_ROW, .path = "/console/{file}", .input = &file_schema, .handle = file,
     .id = "console_file", .errors = {ERR_NOT_FOUND}},
    {.path = NULL},
};
