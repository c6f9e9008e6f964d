/* SPDX-License-Identifier: MIT
 * Sets of labels: what is read and refused, how they are written, and their hash, against what
 * Alertmanager makes of the same labels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "monitor/monitor_label.h"

static struct arena arena;
static struct monitor_labels labels;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, NULL, 0, 8 * 1024 * 1024);
    labels = (struct monitor_labels){.count = 0};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_reset(&arena);
    return 0;
}

static enum err labels_of(const char *json)
{
    const char *why = NULL;
    enum err err = monitor_labels_read(span_from(json), &arena, &labels, &why);

    assert_true(err != ERR_VALIDATION || why != NULL);
    return err;
}

static void assert_written(const char *wanted)
{
    struct span json;

    assert_int_equal(monitor_labels_write(&labels, &arena, &json), ERR_OK);
    if (!span_is(json, wanted))
        fail_msg("%.*s", SPAN_ARG(json));
}

static void names_are_put_in_order(void **state)
{
    (void)state;
    assert_int_equal(labels_of("{\"b\":\"2\",\"a\":\"1\",\"B\":\"0\"}"), ERR_OK);
    assert_written("{\"B\":\"0\",\"a\":\"1\",\"b\":\"2\"}");
    monitor_labels_add(&labels, "ab", SPAN_OF("x\"y"));
    assert_written("{\"B\":\"0\",\"a\":\"1\",\"ab\":\"x\\\"y\",\"b\":\"2\"}");
    assert_true(span_is(monitor_labels_value(&labels, "a"), "1"));
    assert_null(monitor_labels_value(&labels, "c").ptr);
    assert_int_equal(labels_of("{}"), ERR_OK);
    assert_written("{}");
    assert_int_equal(labels_of(""), ERR_OK);
    assert_int_equal(labels.count, 0);
}

static void what_is_no_set_is_refused(void **state)
{
    static const char *const wrong[] = {"[]",
                                        "\"a\"",
                                        "{\"a\":1}",
                                        "{\"a\":null}",
                                        "{\"\":\"x\"}",
                                        "{\"a\":[\"x\"]}",
                                        "{\"a\\u0000\":\"x\"}",
                                        "{"};
    char many[4096] = "{";
    size_t len = 1;

    (void)state;
    for (size_t i = 0; i < PC_COUNT(wrong); i++)
        assert_int_equal(labels_of(wrong[i]), ERR_VALIDATION);
    for (int i = 0; i < MONITOR_LABELS_MAX + 1; i++)
        len += (size_t)snprintf(many + len, sizeof(many) - len, "%s\"n%d\":\"\"", i ? "," : "", i);
    (void)snprintf(many + len, sizeof(many) - len, "}");
    assert_int_equal(labels_of(many), ERR_VALIDATION);
}

static void long_values_are_cut_between_characters(void **state)
{
    (void)state;
    assert_int_equal(labels_of("{\"a\":\"xx\\u00e9y\",\"b\":\"\\u0000z\"}"), ERR_OK);
    assert_int_equal(monitor_labels_clean(&labels, 3, &arena), ERR_OK);
    assert_written("{\"a\":\"xx\",\"b\":\" z\"}");
}

/* All values of a set together have a bound, too. */
static void a_set_is_bounded(void **state)
{
    static char json[64 * 1100];
    size_t len = 1, bytes = 0;

    (void)state;
    json[0] = '{';
    for (int i = 0; i < 60; i++)
        len += (size_t)snprintf(json + len, sizeof(json) - len, "%s\"n%02d\":\"%01000d\"",
                                i ? "," : "", i, 0);
    json[len++] = '}';
    json[len] = '\0';
    assert_int_equal(labels_of(json), ERR_OK);
    assert_int_equal(monitor_labels_clean(&labels, 1024, &arena), ERR_OK);
    for (size_t i = 0; i < labels.count; i++)
        bytes += labels.list[i].value.len;
    assert_int_equal(bytes, MONITOR_LABELS_BYTES_MAX);
}

static void assert_fingerprint(const char *json, const char *wanted)
{
    char text[MONITOR_FINGERPRINT_BYTES + 1];

    assert_int_equal(labels_of(json), ERR_OK);
    monitor_labels_fingerprint(&labels, text);
    assert_string_equal(text, wanted);
}

/* What Alertmanager 0.25 answered for these labels at its /api/v2/alerts. */
static void the_hash_is_alertmanagers(void **state)
{
    (void)state;
    assert_fingerprint("{}", "cbf29ce484222325");
    assert_fingerprint(
        "{\"alertname\":\"DiskFull\",\"severity\":\"critical\",\"instance\":\"a:1\"}",
        "6ce0900e8582ec95");
    assert_fingerprint("{\"alertname\":\"\\u00dcn\\u00ef\",\"b\":\"x\\\"y\",\"a\":\"1\"}",
                       "c33455bda23c11b0");
    assert_fingerprint("{\"alertname\":\"BreakerOpen\",\"node\":\"gateway-1:8000\","
                       "\"severity\":\"critical\","
                       "\"breaker\":\"api-gateway GET /api/v1/admin/users\"}",
                       "f51ddc0b5741a2a7");
}

#define LABEL_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LABEL_TEST(names_are_put_in_order),
        LABEL_TEST(what_is_no_set_is_refused),
        LABEL_TEST(long_values_are_cut_between_characters),
        LABEL_TEST(a_set_is_bounded),
        LABEL_TEST(the_hash_is_alertmanagers),
    };

    return cmocka_run_group_tests_name("monitor_label", tests, NULL, NULL);
}
