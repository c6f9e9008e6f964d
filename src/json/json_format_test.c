/* SPDX-License-Identifier: MIT
 * The forms of texts, each with what it takes and what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "json/json_schema.h"

static const struct {
    enum json_format format;
    const char *text;
    bool holds;
} cases[] = {
    {JSON_FORMAT_NONE, "", true},
    {JSON_FORMAT_EMAIL, "a@b.co", true},
    {JSON_FORMAT_EMAIL, "first.last+tag@sub.example-1.com", true},
    {JSON_FORMAT_EMAIL, "!#$%&'*+-/=?^_`{|}~@example.com", true},
    {JSON_FORMAT_EMAIL, "1@2.x3", true},
    {JSON_FORMAT_EMAIL, "USER@EXAMPLE.COM", true},
    {JSON_FORMAT_EMAIL, "", false},
    {JSON_FORMAT_EMAIL, "a", false},
    {JSON_FORMAT_EMAIL, "@", false},
    {JSON_FORMAT_EMAIL, "a@", false},
    {JSON_FORMAT_EMAIL, "@b.co", false},
    {JSON_FORMAT_EMAIL, "a@b", false},
    {JSON_FORMAT_EMAIL, "a@b.", false},
    {JSON_FORMAT_EMAIL, "a@.b", false},
    {JSON_FORMAT_EMAIL, "a@b..co", false},
    {JSON_FORMAT_EMAIL, ".a@b.co", false},
    {JSON_FORMAT_EMAIL, "a.@b.co", false},
    {JSON_FORMAT_EMAIL, "a..b@b.co", false},
    {JSON_FORMAT_EMAIL, "a@b@c.co", false},
    {JSON_FORMAT_EMAIL, "a b@c.co", false},
    {JSON_FORMAT_EMAIL, " a@b.co", false},
    {JSON_FORMAT_EMAIL, "a@b.co ", false},
    {JSON_FORMAT_EMAIL, "a@b.co\n", false},
    {JSON_FORMAT_EMAIL, "a@-b.co", false},
    {JSON_FORMAT_EMAIL, "a@b-.co", false},
    {JSON_FORMAT_EMAIL, "a@b_c.co", false},
    {JSON_FORMAT_EMAIL, "a@127.0.0.1", false},
    {JSON_FORMAT_EMAIL, "a@[127.0.0.1]", false},
    {JSON_FORMAT_EMAIL, "\"a b\"@c.co", false},
    {JSON_FORMAT_EMAIL, "<a@b.co>", false},
    {JSON_FORMAT_EMAIL, "a,b@c.co", false},
    {JSON_FORMAT_EMAIL, "\xC3\xA9@b.co", false},
    {JSON_FORMAT_EMAIL, "a@\xC3\xA9.co", false},
    {JSON_FORMAT_USERNAME, "Ann.O_1-x", true},
    {JSON_FORMAT_USERNAME, "", false},
    {JSON_FORMAT_USERNAME, "a b", false},
    {JSON_FORMAT_USERNAME, "a@b", false},
    {JSON_FORMAT_USERNAME, "\xD0\xB0nn", false},
    {JSON_FORMAT_USERNAME, "a/b", false},
    {JSON_FORMAT_PASSWORD, "p\xC3\xA4ss word", true},
    {JSON_FORMAT_UUID, "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", true},
    {JSON_FORMAT_UUID, "F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6", true},
    {JSON_FORMAT_UUID, "f81d4fae-7dec-11d0-a765-00a0c91e6bf", false},
    {JSON_FORMAT_UUID, "f81d4fae-7dec-11d0-a765-00a0c91e6bf6a", false},
    {JSON_FORMAT_UUID, "f81d4fae07dec-11d0-a765-00a0c91e6bf6", false},
    {JSON_FORMAT_UUID, "g81d4fae-7dec-11d0-a765-00a0c91e6bf6", false},
    {JSON_FORMAT_UUID, "-81d4fae-7dec-11d0-a765-00a0c91e6bf6", false},
    {JSON_FORMAT_URI, "https://user@example.com:8443/a%20b?q=1&r=[2]#f", true},
    {JSON_FORMAT_URI, "urn:isbn:0451450523", true},
    {JSON_FORMAT_URI, "", false},
    {JSON_FORMAT_URI, ":", false},
    {JSON_FORMAT_URI, "https:", false},
    {JSON_FORMAT_URI, "/relative", false},
    {JSON_FORMAT_URI, "1http://x", false},
    {JSON_FORMAT_URI, "ht tp://x", false},
    {JSON_FORMAT_URI, "http://x y", false},
    {JSON_FORMAT_URI, "http://x\"", false},
    {JSON_FORMAT_URI, "http://x<", false},
    {JSON_FORMAT_URI, "http://x\\", false},
    {JSON_FORMAT_URI, "http://x\r\n", false},
    {JSON_FORMAT_URI, "http://x/%", false},
    {JSON_FORMAT_URI, "http://x/%2", false},
    {JSON_FORMAT_URI, "http://x/%zz", false},
    {JSON_FORMAT_URI, "http://\xC3\xA9", false},
    {JSON_FORMAT_DATE_TIME, "2026-02-03T04:05:06.123456789+00:00", true},
    {JSON_FORMAT_DATE_TIME, "2026-02-03", false},
    {JSON_FORMAT_DATE_TIME, "2026-02-03 04:05:06Z", false},
    {JSON_FORMAT_TOKEN, "eyJh.bGci-_~+/==", true},
    {JSON_FORMAT_TOKEN, "", false},
    {JSON_FORMAT_TOKEN, "==", false},
    {JSON_FORMAT_TOKEN, "a=b", false},
    {JSON_FORMAT_TOKEN, "a b", false},
    {JSON_FORMAT_TOKEN, "a,b", false},
};

static void forms_hold(void **state)
{
    (void)state;
    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        if (json_format_holds(cases[i].format, span_from(cases[i].text)) != cases[i].holds)
            fail_msg("case %zu: %s", i, cases[i].text);
    }
}

/* An address of local and domain, each as long as said; labels are of 60 letters. */
static struct span address(char *buffer, size_t local, size_t whole)
{
    memset(buffer, 'a', whole);
    buffer[local] = '@';
    for (size_t at = local + 61; at < whole - 1; at += 61)
        buffer[at] = '.';
    return span_make(buffer, whole);
}

/* RFC 5321, 4.5.3.1: 64 before the @, 254 in all, 63 in a label. */
static void address_lengths_are_bounded(void **state)
{
    char buffer[300];
    struct span text;

    (void)state;
    assert_true(json_format_holds(JSON_FORMAT_EMAIL, address(buffer, 64, 254)));
    assert_false(json_format_holds(JSON_FORMAT_EMAIL, address(buffer, 65, 254)));
    assert_false(json_format_holds(JSON_FORMAT_EMAIL, address(buffer, 64, 255)));
    text = address(buffer, 1, 70);
    memcpy(buffer + 60, "aaaaa.aaaa", 10); /* a label of 63 */
    assert_true(json_format_holds(JSON_FORMAT_EMAIL, text));
    memcpy(buffer + 60, "aaaaaa.aaa", 10); /* and of 64 */
    assert_false(json_format_holds(JSON_FORMAT_EMAIL, text));
}

static void long_texts_are_refused(void **state)
{
    static char buffer[LIMIT_JWS_BYTES_MAX + 1];

    (void)state;
    memset(buffer, 'a', sizeof(buffer));
    assert_true(
        json_format_holds(JSON_FORMAT_PASSWORD, span_make(buffer, LIMIT_PASSWORD_BYTES_MAX)));
    assert_false(
        json_format_holds(JSON_FORMAT_PASSWORD, span_make(buffer, LIMIT_PASSWORD_BYTES_MAX + 1)));
    assert_false(json_format_holds(JSON_FORMAT_PASSWORD, SPAN_OF("a\0b")));
    assert_true(json_format_holds(JSON_FORMAT_TOKEN, span_make(buffer, sizeof(buffer) - 1)));
    assert_false(json_format_holds(JSON_FORMAT_TOKEN, span_make(buffer, sizeof(buffer))));
    buffer[1] = ':';
    assert_true(json_format_holds(JSON_FORMAT_URI, span_make(buffer, 2048)));
    assert_false(json_format_holds(JSON_FORMAT_URI, span_make(buffer, 2049)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_hold),
        cmocka_unit_test(address_lengths_are_bounded),
        cmocka_unit_test(long_texts_are_refused),
    };

    return cmocka_run_group_tests_name("json_format", tests, NULL, NULL);
}
