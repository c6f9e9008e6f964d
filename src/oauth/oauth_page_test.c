/* SPDX-License-Identifier: MIT
 * The pages hold whatever people and clients are called, and stay the pages that we wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "oauth/oauth_page_priv.h"

enum { ARENA_BYTES_MAX = 1024 * 1024 };

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, NULL, 0, ARENA_BYTES_MAX);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_reset(&arena);
    return 0;
}

static void must_become(struct span text, const char *html)
{
    struct sbuf out = sbuf_on(&arena, 4096);

    oauth_html_add(&out, text);
    assert_false(out.full);
    if (!span_is(sbuf_span(&out), html))
        fail_msg("%.*s", SPAN_ARG(sbuf_span(&out)));
}

static void every_byte_is_made_harmless(void **state)
{
    struct sbuf out = sbuf_on(&arena, 65536);

    (void)state;
    must_become(SPAN_OF("<script>alert(1)</script>"), "&lt;script&gt;alert(1)&lt;/script&gt;");
    must_become(SPAN_OF("\" onfocus='x' &amp;"), "&quot; onfocus=&#39;x&#39; &amp;amp;");
    must_become(SPAN_OF("a\0b\x1B[1m\x7F"), "a&#xFFFD;b&#xFFFD;[1m&#xFFFD;");
    must_become(SPAN_OF("a\r\nb\tc"), "a  b c");
    must_become(SPAN_OF("Z\xC3\xBCrich"), "Z\xC3\xBCrich");
    must_become(SPAN_OF("\xC3<\xFF"), "&#xFFFD;&lt;&#xFFFD;");
    must_become((struct span){0}, "");
    for (int c = 0; c < 256; c++) {
        char byte = (char)c;

        oauth_html_add(&out, span_make(&byte, 1));
    }
    for (size_t i = 0; i < out.len; i++)
        assert_null(memchr("<>\"'", out.ptr[i], 4));
}

/* ---- pages ------------------------------------------------------------------------------------
 */

#define HOSTILE "</bdi><script src=//evil.example>\"'\xE2\x80\xAE"

static bool has(struct span html, const char *text)
{
    struct span wanted = span_from(text);

    for (size_t i = 0; i + wanted.len <= html.len; i++) {
        if (span_starts(span_slice(html, i, html.len), wanted))
            return true;
    }
    return false;
}

static void must_have(struct span html, const char *text)
{
    if (!has(html, text))
        fail_msg("no %s in %.*s", text, SPAN_ARG(html));
}

static void must_lack(struct span html, const char *text)
{
    if (has(html, text))
        fail_msg("%s in %.*s", text, SPAN_ARG(html));
}

/* What holds for every page: nothing runs, nothing is fetched, it says its language and size. */
static void must_be_ours(struct span html)
{
    static const char *const never[] = {"<script", "<img",  "<svg",    "<style", "<iframe",
                                        "<base",   "http:", "@import", "url(",   "style=\""};

    must_have(html, "<!doctype html>\n<html lang=\"en\">");
    must_have(html, "<meta charset=\"utf-8\">");
    must_have(html, "name=\"viewport\"");
    must_have(html, "<h1>");
    for (size_t i = 0; i < PC_COUNT(never); i++)
        must_lack(html, never[i]);
}

static struct span login_page(struct oauth_page_login page)
{
    struct span html;

    assert_int_equal(oauth_page_login(&page, &arena, &html), ERR_OK);
    must_be_ours(html);
    return html;
}

static void the_login_page_says_what_is_wrong(void **state)
{
    struct oauth_page_login page = {.client = SPAN(HOSTILE),
                                    .request = SPAN("a=1&b=\"><script>"),
                                    .csrf = SPAN("token"),
                                    .email = SPAN("\"><script>@example.com")};
    struct span html = login_page(page);

    (void)state;
    must_have(html, "value=\"a=1&amp;b=&quot;&gt;&lt;script&gt;\"");
    must_have(html, "value=\"&quot;&gt;&lt;script&gt;@example.com\"");
    must_have(html, "<label for=\"email\">");
    must_have(html, "<label for=\"password\">");
    must_have(html, "autocomplete=\"username\"");
    must_have(html, "autocomplete=\"current-password\"");
    must_lack(html, "role=\"alert\"");
    page.why = ERR_CREDENTIALS;
    html = login_page(page);
    must_have(html, "role=\"alert\" aria-live=\"assertive\" tabindex=\"-1\" autofocus>"
                    "The e-mail address or password is wrong.");
    must_have(html, "aria-describedby=\"error\" aria-invalid=\"true\"");
    must_have(html, "<title>Error: ");
    page.why = ERR_INACTIVE;
    must_have(login_page(page), "This account is inactive.");
    page.why = ERR_LOCKED;
    must_have(login_page(page), "try again later.");
    page.retry_after_ns = 1;
    must_have(login_page(page), "try again in 1 second.");
    page.retry_after_ns = 119 * CLOCK_NS_PER_S + 1;
    must_have(login_page(page), "try again in 2 minutes.");
    page.retry_after_ns = 15 * 60 * CLOCK_NS_PER_S;
    must_have(login_page(page), "try again in 15 minutes.");
}

/* Only one thing has the focus: what the reader needs first. */
static void the_focus_is_where_it_is_needed(void **state)
{
    (void)state;
    must_have(login_page((struct oauth_page_login){0}), "maxlength=\"254\" required autofocus");
    must_have(login_page((struct oauth_page_login){.email = SPAN("a@b.example")}),
              "maxlength=\"1024\" required autofocus");
    must_lack(login_page((struct oauth_page_login){.why = ERR_CREDENTIALS}), "required autofocus");
}

static void the_consent_page_names_everything(void **state)
{
    const struct oauth_page_consent page = {.client = SPAN(HOSTILE),
                                            .origin = SPAN("https://app.example"),
                                            .username = SPAN("<b>anna"),
                                            .email = SPAN("anna@example.com"),
                                            .scope = SPAN("openid profile"),
                                            .request = SPAN("r&r"),
                                            .csrf = SPAN("c")};
    struct span html;

    (void)state;
    assert_int_equal(oauth_page_consent(&page, &arena, &html), ERR_OK);
    must_be_ours(html);
    must_have(html, "<bdi>&lt;b&gt;anna</bdi> (<bdi>anna@example.com</bdi>)");
    must_have(html, "name=\"decision\" value=\"allow\"");
    must_have(html, "name=\"decision\" value=\"deny\"");
    must_have(html, "name=\"decision\" value=\"switch\"");
    must_have(html, "name=\"request\" value=\"r&amp;r\"");
    must_have(html, "<bdi>https://app.example</bdi>");
    must_have(html, "<li>");
}

/* Each scope that a user can be asked for has its sentence, and none shows that was not asked. */
static void the_scopes_are_sentences(void **state)
{
    (void)state;
    for (const struct auth_scope *one = auth_scopes; one->name != NULL; one++) {
        struct oauth_page_consent page = {.scope = span_from(one->name)};
        struct span html;

        assert_int_equal(oauth_page_consent(&page, &arena, &html), ERR_OK);
        for (const struct auth_scope *other = auth_scopes; other->name != NULL; other++) {
            if (other->consent != NULL)
                assert_int_equal(has(html, other->consent), other == one);
        }
    }
}

static void the_logout_page_asks_or_says(void **state)
{
    struct oauth_page_logout page = {
        .client = SPAN(HOSTILE), .username = SPAN("anna"), .request = SPAN("state=1")};
    struct span html;

    (void)state;
    assert_int_equal(oauth_page_logout(&page, &arena, &html), ERR_OK);
    must_be_ours(html);
    must_have(html, "<form method=\"post\" action=\"logout\">");
    page.username = (struct span){0};
    assert_int_equal(oauth_page_logout(&page, &arena, &html), ERR_OK);
    must_be_ours(html);
    must_lack(html, "<form");
}

static void the_style_sheet_fetches_nothing(void **state)
{
    (void)state;
    must_lack(oauth_page_style, "url(");
    must_lack(oauth_page_style, "@import");
    must_have(oauth_page_style, "prefers-color-scheme: dark");
    must_have(oauth_page_style, ":focus-visible");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(every_byte_is_made_harmless),     T(the_login_page_says_what_is_wrong),
        T(the_focus_is_where_it_is_needed), T(the_consent_page_names_everything),
        T(the_scopes_are_sentences),        T(the_logout_page_asks_or_says),
        T(the_style_sheet_fetches_nothing),
    };
#undef T

    return cmocka_run_group_tests_name("oauth_page", tests, NULL, NULL);
}
