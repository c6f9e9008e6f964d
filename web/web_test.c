/* SPDX-License-Identifier: MIT
 * The embedded table: found by path, sound in itself, and free of outside addresses. How the pages
 * behave in a browser is shown by tests/e2e/docs.test.mjs. */
#include "web/web.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "base/span.h"

static bool holds(struct span text, const char *part)
{
    return text.len > 0 && memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

/* Both pages stand at the path that a person types, and carry their own policy. */
static void pages_are_found(void **state)
{
    const struct web_asset *docs = web_find(SPAN_OF("docs"));
    const struct web_asset *redoc = web_find(SPAN_OF("redoc"));

    (void)state;
    assert_non_null(docs);
    assert_non_null(redoc);
    assert_true(span_is(docs->content_type, "text/html; charset=utf-8"));
    assert_true(span_is(redoc->content_type, "text/html; charset=utf-8"));
    assert_false(docs->immutable);
    assert_true(!web_complete() || span_equal(docs->csp, web_docs_csp));
    assert_true(!web_complete() || span_equal(redoc->csp, web_redoc_csp));
}

/* A path that is nearly right is not found: no prefix, no slash, no case folding. */
static void other_paths_are_not(void **state)
{
    static const char *const none[] = {"",     "doc", "docs/",        "docs/nothing.js",
                                       "Docs", "zzz", "docs/../docs", "/docs"};

    (void)state;
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_null(web_find(span_from(none[i])));
}

/* Each asset is found by its own path, so the table is in order. */
static void every_asset_is_found(void **state)
{
    size_t count;
    const struct web_asset *list = web_list(&count);

    (void)state;
    assert_true(count >= 4);
    for (size_t i = 0; i < count; i++)
        assert_ptr_equal(web_find(list[i].path), &list[i]);
}

/* RFC 1952, 2.3.1: a gzip member ends in the length of what it holds. */
static void gzip_holds_the_same_length(void **state)
{
    size_t count;
    const struct web_asset *list = web_list(&count);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        const unsigned char *end = (const unsigned char *)list[i].gzip.ptr + list[i].gzip.len;
        size_t length;

        if (list[i].gzip.len == 0)
            continue;
        assert_true(list[i].gzip.len > 18);
        assert_memory_equal(list[i].gzip.ptr, "\x1f\x8b\x08", 3);
        length =
            (size_t)end[-4] | (size_t)end[-3] << 8 | (size_t)end[-2] << 16 | (size_t)end[-1] << 24;
        assert_int_equal(length, list[i].identity.len);
        assert_false(span_equal(list[i].etag, list[i].etag_gzip));
    }
}

/* A page has no inline script or style, and names no address outside: its policy would refuse it,
 * and nobody should see an error in the console. */
static void pages_load_nothing_from_outside(void **state)
{
    size_t count;
    const struct web_asset *list = web_list(&count);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        if (!span_starts(list[i].content_type, SPAN_OF("text/html")))
            continue;
        assert_false(holds(list[i].identity, "<script>"));
        assert_false(holds(list[i].identity, "<style"));
        assert_false(holds(list[i].identity, "style="));
        assert_false(holds(list[i].identity, "://"));
        assert_false(holds(list[i].identity, "@"));
    }
}

/* The console's page, and each file by its own name; what it loads is small. */
static void the_console_is_whole(void **state)
{
    size_t count;
    size_t bytes = 0;
    const struct web_asset *list = web_console_list(&count);
    const struct web_asset *page = web_console_find(SPAN_OF("page"));

    (void)state;
    assert_non_null(page);
    assert_true(span_equal(page->csp, web_console_csp));
    assert_false(holds(page->identity, "<script>"));
    assert_false(holds(page->identity, "style="));
    assert_false(holds(page->identity, "://"));
    assert_null(web_console_find(SPAN_OF("docs")));
    assert_null(web_find(SPAN_OF("page")));
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(web_console_find(list[i].path), &list[i]);
        bytes += list[i].identity.len;
    }
    assert_in_range(bytes, 1, 150 * 1024);
}

/* What may be kept for ever has its hash in its name; what has none is asked for again. */
static void immutable_names_hold_a_hash(void **state)
{
    size_t count;
    const struct web_asset *list = web_list(&count);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        struct span rest = list[i].path;
        struct span part;
        size_t dots = 0;

        while (span_cut(&rest, '.', &part))
            dots++;
        assert_int_equal(dots == 3, list[i].immutable);
        assert_true(list[i].etag.len == 18 && list[i].etag.ptr[0] == '"');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_found),
        cmocka_unit_test(other_paths_are_not),
        cmocka_unit_test(every_asset_is_found),
        cmocka_unit_test(gzip_holds_the_same_length),
        cmocka_unit_test(pages_load_nothing_from_outside),
        cmocka_unit_test(the_console_is_whole),
        cmocka_unit_test(immutable_names_hold_a_hash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
