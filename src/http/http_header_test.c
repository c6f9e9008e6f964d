/* SPDX-License-Identifier: MIT
 * What names mean, and that nothing beside them means the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/http_header.h"

static const struct {
    const char *name;
    unsigned kind;
} names[] = {
    {"connection", HTTP_HEADER_HOP},
    {"keep-alive", HTTP_HEADER_HOP},
    {"proxy-connection", HTTP_HEADER_HOP},
    {"te", HTTP_HEADER_HOP},
    {"trailer", HTTP_HEADER_HOP},
    {"transfer-encoding", HTTP_HEADER_HOP},
    {"upgrade", HTTP_HEADER_HOP},
    {"proxy-authenticate", HTTP_HEADER_HOP},
    {"proxy-authorization", HTTP_HEADER_HOP},
    {"http2-settings", HTTP_HEADER_HOP},
    {"host", HTTP_HEADER_TO_UPSTREAM},
    {"expect", HTTP_HEADER_TO_UPSTREAM},
    {"forwarded", HTTP_HEADER_TO_UPSTREAM},
    {"via", HTTP_HEADER_TO_UPSTREAM},
    {"traceparent", HTTP_HEADER_TO_UPSTREAM},
    {"x-real-ip", HTTP_HEADER_TO_UPSTREAM},
    {"x-mtls-client-cn", HTTP_HEADER_TO_UPSTREAM},
    {"x-client-ip", HTTP_HEADER_TO_UPSTREAM},
    {"true-client-ip", HTTP_HEADER_TO_UPSTREAM},
    {"content-length", HTTP_HEADER_TO_UPSTREAM | HTTP_HEADER_TO_CLIENT},
    {"x-request-id", HTTP_HEADER_TO_UPSTREAM | HTTP_HEADER_TO_CLIENT},
    {"x-content-type-options", HTTP_HEADER_TO_CLIENT},
    {"x-frame-options", HTTP_HEADER_TO_CLIENT},
    {"x-xss-protection", HTTP_HEADER_TO_CLIENT},
    {"strict-transport-security", HTTP_HEADER_TO_CLIENT},
    {"referrer-policy", HTTP_HEADER_TO_CLIENT},
    {"x-process-time", HTTP_HEADER_TO_CLIENT},
    {"x-circuit-breaker-state", HTTP_HEADER_TO_CLIENT},
    {"ratelimit", HTTP_HEADER_LIMIT},
    {"ratelimit-policy", HTTP_HEADER_LIMIT},
    {"authorization", HTTP_HEADER_KEPT},
    {"cookie", HTTP_HEADER_KEPT},
    {"content-type", HTTP_HEADER_KEPT},
    {"content-encoding", HTTP_HEADER_KEPT},
    {"content-language", HTTP_HEADER_KEPT},
    {"range", HTTP_HEADER_KEPT},
    {"cache-control", HTTP_HEADER_KEPT},
    {"idempotency-key", HTTP_HEADER_KEPT},
    {"origin", HTTP_HEADER_KEPT},
    {"accept", HTTP_HEADER_KEPT},
};

static const struct {
    const char *start;
    unsigned kind;
} starts[] = {
    {"x-forwarded-", HTTP_HEADER_TO_UPSTREAM},    {"x-portcullis-", HTTP_HEADER_TO_UPSTREAM},
    {"x-user-", HTTP_HEADER_TO_UPSTREAM},         {"x-ratelimit-", HTTP_HEADER_LIMIT},
    {"access-control-allow-", HTTP_HEADER_CROSS},
};

static unsigned kind_of(const char *text)
{
    return http_header_kind(span_from(text));
}

static void names_mean_what_is_written(void **state)
{
    for (size_t i = 0; i < PC_COUNT(names); i++)
        assert_int_equal(kind_of(names[i].name), names[i].kind);
}

/* Every name with one byte changed, taken away or added is another name. */
static void neighbours_mean_nothing(void **state)
{
    for (size_t i = 0; i < PC_COUNT(names); i++) {
        char text[40];
        size_t len = strlen(names[i].name);

        for (size_t at = 0; at < len; at++) {
            memcpy(text, names[i].name, len + 1);
            text[at] = '~';
            assert_int_equal(http_header_kind(span_make(text, len)), 0);
        }
        memcpy(text, names[i].name, len + 1);
        text[len] = 's';
        assert_int_equal(http_header_kind(span_make(text, len + 1)), 0);
        assert_int_equal(http_header_kind(span_make(text, len - 1)), 0);
    }
    assert_int_equal(kind_of(""), 0);
}

static void starts_mean_the_same_for_all_that_follows(void **state)
{
    for (size_t i = 0; i < PC_COUNT(starts); i++) {
        for (size_t more = 0; more <= 20; more++) {
            char text[64] = {0};
            size_t len = strlen(starts[i].start);

            memcpy(text, starts[i].start, len + 1);
            memset(text + len, 'q', more);
            assert_int_equal(kind_of(text), starts[i].kind);
            text[len - 1] = '~';
            assert_int_equal(kind_of(text), 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_mean_what_is_written),
        cmocka_unit_test(neighbours_mean_nothing),
        cmocka_unit_test(starts_mean_the_same_for_all_that_follows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
