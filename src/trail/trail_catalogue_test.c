/* SPDX-License-Identifier: MIT
 * The catalogue against itself and against records: names are in one form and used once, what does
 * not fit is told, and the page in the repository is the one that it makes. */
#include "trail/trail_catalogue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { PAGE_BYTES_MAX = 256 * 1024 };

/* "user.login_locked", "amount_minor": what a rule of a SIEM can hold. */
static bool is_word(const char *text, bool dotted)
{
    size_t dots = 0;

    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '.')
            dots++;
        else if (*at != '_' && (*at < 'a' || *at > 'z'))
            return false;
    }
    return text[0] != '\0' && dots == (dotted ? 1 : 0);
}

static bool is_one_of(const char *text, const char *const *list)
{
    while (*list != NULL && strcmp(text, *list) != 0)
        list++;
    return *list != NULL;
}

static void each_event_is_whole(void **state)
{
    static const char *const categories[] = {"security", "transaction", "compliance", "platform",
                                             NULL};
    static const char *const severities[] = {"info", "warning", "critical", NULL};

    (void)state;
    for (enum trail_event event = 0; event < TRAIL_EVENT_COUNT; event++) {
        assert_true(is_word(trail_event_name(event), true));
        assert_true(is_one_of(trail_event_category(event), categories));
        assert_true(is_one_of(trail_event_severity(event), severities));
        assert_true(strlen(trail_event_source(event)) > 0);
        assert_true(strlen(trail_event_about(event)) > 0);
        for (enum trail_event other = 0; other < event; other++)
            assert_string_not_equal(trail_event_name(event), trail_event_name(other));
    }
}

static void each_field_is_whole(void **state)
{
    (void)state;
    for (enum trail_event event = 0; event < TRAIL_EVENT_COUNT; event++) {
        size_t count;
        size_t details = 0;
        const struct trail_field *list = trail_event_fields(event, &count);

        for (size_t i = 0; i < count; i++) {
            assert_int_equal(list[i].event, event);
            assert_true(is_word(list[i].name, false));
            assert_true(strlen(list[i].about) > 0);
            details += strcmp(list[i].name, "object") != 0 && strcmp(list[i].name, "reason") != 0;
            for (size_t k = 0; k < i; k++)
                assert_string_not_equal(list[i].name, list[k].name);
        }
        if (event != TRAIL_AUDIT_EXTERNAL)
            assert_in_range(details, 0, TRAIL_DETAILS_MAX);
    }
}

static void assert_misfit(const struct trail_record *record, const char *told)
{
    char text[256] = {0};
    struct sbuf why = sbuf_over(text, sizeof(text) - 1);

    assert_false(trail_fits(record, &why));
    assert_non_null(strstr(text, told));
}

static void what_does_not_fit_is_told(void **state)
{
    struct trail_record record = {.event = TRAIL_ACCESS_DENIED,
                                  .reason = SPAN("forbidden"),
                                  .details = {{"method", SPAN("GET")}, {"route", SPAN("/a")}}};
    char text[256];
    struct sbuf why = sbuf_over(text, sizeof(text));

    (void)state;
    assert_true(trail_fits(&record, &why));
    assert_int_equal(why.len, 0);
    record.object = SPAN_OF("account:1");
    assert_true(trail_fits(&record, &why));
    record.details[2] = (struct trail_detail){"path", SPAN_OF("/a?b")};
    assert_misfit(&record, "access.denied has no field \"path\"");
    record.details[2].name = NULL;
    record.details[1].name = NULL;
    assert_misfit(&record, "access.denied always tells \"route\"");
    record = (struct trail_record){
        .event = TRAIL_USER_PASSWORD, .object = SPAN("user:1"), .reason = SPAN("secret")};
    assert_misfit(&record, "user.password has no field \"reason\"");
    record.object = record.reason = (struct span){0};
    assert_misfit(&record, "user.password always tells \"object\"");
}

/* The page in the repository is the one that the catalogue makes. If this fails:
 *   portcullis audit catalogue >docs/events.md */
static void the_page_has_not_drifted(void **state)
{
    static char made[PAGE_BYTES_MAX], kept[PAGE_BYTES_MAX];
    struct sbuf out = sbuf_over(made, sizeof(made));
    FILE *file = fopen(PC_SOURCE_ROOT "/docs/events.md", "re");
    size_t len;

    (void)state;
    assert_non_null(file);
    len = fread(kept, 1, sizeof(kept), file);
    (void)fclose(file);
    trail_catalogue_write(&out);
    assert_false(out.full);
    assert_int_equal(out.len, len);
    assert_memory_equal(made, kept, len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_event_is_whole),
        cmocka_unit_test(each_field_is_whole),
        cmocka_unit_test(what_does_not_fit_is_told),
        cmocka_unit_test(the_page_has_not_drifted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
