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
    const char *text;
    enum json_format format;
    bool holds;
} cases[] = {
    {"", JSON_FORMAT_NONE, true},
    {"a@b.co", JSON_FORMAT_EMAIL, true},
    {"first.last+tag@sub.example-1.com", JSON_FORMAT_EMAIL, true},
    {"!#$%&'*+-/=?^_`{|}~@example.com", JSON_FORMAT_EMAIL, true},
    {"1@2.x3", JSON_FORMAT_EMAIL, true},
    {"USER@EXAMPLE.COM", JSON_FORMAT_EMAIL, true},
    {"", JSON_FORMAT_EMAIL, false},
    {"a", JSON_FORMAT_EMAIL, false},
    {"@", JSON_FORMAT_EMAIL, false},
    {"a@", JSON_FORMAT_EMAIL, false},
    {"@b.co", JSON_FORMAT_EMAIL, false},
    {"a@b", JSON_FORMAT_EMAIL, false},
    {"a@b.", JSON_FORMAT_EMAIL, false},
    {"a@.b", JSON_FORMAT_EMAIL, false},
    {"a@b..co", JSON_FORMAT_EMAIL, false},
    {".a@b.co", JSON_FORMAT_EMAIL, false},
    {"a.@b.co", JSON_FORMAT_EMAIL, false},
    {"a..b@b.co", JSON_FORMAT_EMAIL, false},
    {"a@b@c.co", JSON_FORMAT_EMAIL, false},
    {"a b@c.co", JSON_FORMAT_EMAIL, false},
    {" a@b.co", JSON_FORMAT_EMAIL, false},
    {"a@b.co ", JSON_FORMAT_EMAIL, false},
    {"a@b.co\n", JSON_FORMAT_EMAIL, false},
    {"a@-b.co", JSON_FORMAT_EMAIL, false},
    {"a@b-.co", JSON_FORMAT_EMAIL, false},
    {"a@b_c.co", JSON_FORMAT_EMAIL, false},
    {"a@127.0.0.1", JSON_FORMAT_EMAIL, false},
    {"a@[127.0.0.1]", JSON_FORMAT_EMAIL, false},
    {"\"a b\"@c.co", JSON_FORMAT_EMAIL, false},
    {"<a@b.co>", JSON_FORMAT_EMAIL, false},
    {"a,b@c.co", JSON_FORMAT_EMAIL, false},
    {"\xC3\xA9@b.co", JSON_FORMAT_EMAIL, false},
    {"a@\xC3\xA9.co", JSON_FORMAT_EMAIL, false},
    {"Ann.O_1-x", JSON_FORMAT_USERNAME, true},
    {"", JSON_FORMAT_USERNAME, false},
    {"a b", JSON_FORMAT_USERNAME, false},
    {"a@b", JSON_FORMAT_USERNAME, false},
    {"\xD0\xB0nn", JSON_FORMAT_USERNAME, false},
    {"a/b", JSON_FORMAT_USERNAME, false},
    {"p\xC3\xA4ss word", JSON_FORMAT_PASSWORD, true},
    {"f81d4fae-7dec-11d0-a765-00a0c91e6bf6", JSON_FORMAT_UUID, true},
    {"F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6", JSON_FORMAT_UUID, true},
    {"f81d4fae-7dec-11d0-a765-00a0c91e6bf", JSON_FORMAT_UUID, false},
    {"f81d4fae-7dec-11d0-a765-00a0c91e6bf6a", JSON_FORMAT_UUID, false},
    {"f81d4fae07dec-11d0-a765-00a0c91e6bf6", JSON_FORMAT_UUID, false},
    {"g81d4fae-7dec-11d0-a765-00a0c91e6bf6", JSON_FORMAT_UUID, false},
    {"-81d4fae-7dec-11d0-a765-00a0c91e6bf6", JSON_FORMAT_UUID, false},
    {"https://user@example.com:8443/a%20b?q=1&r=[2]#f", JSON_FORMAT_URI, true},
    {"urn:isbn:0451450523", JSON_FORMAT_URI, true},
    {"", JSON_FORMAT_URI, false},
    {":", JSON_FORMAT_URI, false},
    {"https:", JSON_FORMAT_URI, false},
    {"/relative", JSON_FORMAT_URI, false},
    {"1http://x", JSON_FORMAT_URI, false},
    {"ht tp://x", JSON_FORMAT_URI, false},
    {"http://x y", JSON_FORMAT_URI, false},
    {"http://x\"", JSON_FORMAT_URI, false},
    {"http://x<", JSON_FORMAT_URI, false},
    {"http://x\\", JSON_FORMAT_URI, false},
    {"http://x\r\n", JSON_FORMAT_URI, false},
    {"http://x/%", JSON_FORMAT_URI, false},
    {"http://x/%2", JSON_FORMAT_URI, false},
    {"http://x/%zz", JSON_FORMAT_URI, false},
    {"http://\xC3\xA9", JSON_FORMAT_URI, false},
    {"2026-02-03T04:05:06.123456789+00:00", JSON_FORMAT_DATE_TIME, true},
    {"2026-02-03", JSON_FORMAT_DATE_TIME, false},
    {"2026-02-03 04:05:06Z", JSON_FORMAT_DATE_TIME, false},
    {"eyJh.bGci-_~+/==", JSON_FORMAT_TOKEN, true},
    {"", JSON_FORMAT_TOKEN, false},
    {"==", JSON_FORMAT_TOKEN, false},
    {"a=b", JSON_FORMAT_TOKEN, false},
    {"a b", JSON_FORMAT_TOKEN, false},
    {"a,b", JSON_FORMAT_TOKEN, false},
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
    buffer[62] = 'a'; /* the label would go on to the end, */
    buffer[65] = '.'; /* but now it is of 63 */
    assert_true(json_format_holds(JSON_FORMAT_EMAIL, text));
    buffer[65] = 'a';
    buffer[66] = '.'; /* and now of 64 */
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
