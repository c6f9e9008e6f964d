/* SPDX-License-Identifier: MIT
 * The console's page and files over the wire: what is found, under which policy, for how long it
 * may be kept. How it behaves in a browser is shown by tests/e2e/console.test.mjs. */
#include "gateway/gateway.h"

#include "http/http_test_kit.h"
#include "web/web.h"

enum { LINE_BYTES = 160 };

static int start(void **state)
{
    static const struct http_mount mount = {.rows = gateway_console_routes};
    const struct http_service_options options = {
        .title = "Test", .about = "Test.", .version = "1", .mounts = &mount, .mount_count = 1};

    (void)state;
    return site_start(&options, (struct http_engine_options){0});
}

static int ask(const char *path, const char *headers)
{
    char line[LINE_BYTES + sizeof("GET ")];

    (void)snprintf(line, sizeof(line), "GET %s", path);
    return site_ask(line, headers, NULL);
}

/* The same page at both addresses; its policy lets nothing in but its own files. */
static void the_page_is_strict(void **state)
{
    static const char *const paths[] = {"/console", "/console/callback?code=x&state=y"};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(paths); i++) {
        assert_int_equal(ask(paths[i], ""), 200);
        assert_says("\r\nContent-Type: text/html; charset=utf-8\r\n");
        assert_says("\r\nCache-Control: no-cache\r\n");
        assert_says("\r\nCross-Origin-Opener-Policy: same-origin\r\n");
        assert_says("\r\nContent-Security-Policy: default-src 'none'; script-src 'self'; "
                    "style-src 'self'; img-src 'self'; connect-src 'self'; "
                    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'; "
                    "require-trusted-types-for 'script'; trusted-types 'none'\r\n");
    }
}

/* Whoever types a slash behind it is sent to the one address of the page. */
static void a_slash_leads_to_the_page(void **state)
{
    static const char *const paths[] = {"/console/", "/console/?a=b"};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(paths); i++) {
        assert_int_equal(ask(paths[i], ""), 303);
        assert_says("\r\nLocation: /console\r\n");
    }
}

/* Each file is there under its name, may be kept, and is not sent again to who has it. */
static void every_file_is_served(void **state)
{
    size_t count;
    const struct web_asset *list = web_console_list(&count);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        const struct web_asset *file = &list[i];
        char path[LINE_BYTES], match[LINE_BYTES];

        if (file->csp.len > 0)
            continue;
        (void)snprintf(path, sizeof(path), "/console/%.*s", SPAN_ARG(file->path));
        (void)snprintf(match, sizeof(match), "If-None-Match: %.*s\r\n", SPAN_ARG(file->etag));
        assert_int_equal(ask(path, ""), 200);
        assert_int_equal(strstr(site.text, "immutable") != NULL, file->immutable);
        assert_silent("Content-Encoding");
        assert_int_equal(ask(path, match), 304);
        if (file->gzip.len == 0)
            continue;
        assert_int_equal(ask(path, "Accept-Encoding: gzip\r\n"), 200);
        assert_says("\r\nContent-Encoding: gzip\r\n");
    }
}

/* The page has its address; under its file's name it would lack what comes with that. */
static void nothing_else_is(void **state)
{
    static const char *const paths[] = {"/console/page", "/console/console.js", "/console/a/b"};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(paths); i++)
        assert_int_equal(ask(paths[i], ""), 404);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_is_strict),
        cmocka_unit_test(a_slash_leads_to_the_page),
        cmocka_unit_test(every_file_is_served),
        cmocka_unit_test(nothing_else_is),
    };

    return cmocka_run_group_tests(tests, start, site_stop);
}
