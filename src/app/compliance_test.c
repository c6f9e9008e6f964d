/* SPDX-License-Identifier: MIT
 * Controls that are wrong, results that are missing, of another revision or failed, and a report
 * that says no more than there is. */
#include "app/compliance.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/command_test.h"

enum { ARENA_BYTES_MAX = 32 * 1024 * 1024, TOLD_BYTES = 4096 };

static struct arena arena;
static char told[TOLD_BYTES];

static int set_up(void **state)
{
    arena_init(&arena, NULL, 0, ARENA_BYTES_MAX);
    return 0;
}

static int tear_down(void **state)
{
    arena_reset(&arena);
    return 0;
}

#define ROW  "  - {id: 1.1, title: t, claim: c, scope: s, manual: m, checks: [one, two]}\n"
#define HEAD "framework: F\nversion: 1\ncontrols:\n"

static bool framework(const char *text, struct compliance_framework *ret)
{
    FILE *tell;
    bool good;

    memset(told, 0, sizeof(told));
    tell = fmemopen(told, sizeof(told) - 1, "w");
    assert_non_null(tell);
    good = compliance_framework_read(span_from(text), "f.yaml", tell, &arena, ret);
    assert_int_equal(fclose(tell), 0);
    return good;
}

static void controls_are_read(void **state)
{
    struct compliance_framework one;

    assert_true(
        framework(HEAD ROW "  - {id: 1.2, title: t, claim: c, scope: s, manual: m}\n", &one));
    assert_string_equal(told, "");
    assert_true(span_is(one.name, "F") && span_is(one.version, "1"));
    assert_int_equal(one.count, 2);
    assert_int_equal(one.controls[0].check_count, 2);
    assert_true(span_is(one.controls[0].checks[1], "two"));
    assert_int_equal(one.controls[1].check_count, 0);
    assert_int_equal(strlen(one.sha256), 64);
}

/* Whatever is wrong is told with the line and column where it stands. */
static void wrong_controls_are_told_with_their_place(void **state)
{
    static const struct {
        const char *text, *told;
    } cases[] = {
        {"", "f.yaml:1:1: the file must hold framework, version and controls\n"},
        {"- a\n", "f.yaml:1:1: the file must hold framework, version and controls\n"},
        {"framework: F\nversion: 1\ncontrols: []\n",
         "f.yaml:3:11: controls: takes a list of 1 to 512\n"},
        {"framework: F\nversion: 1\n", "f.yaml:1:1: lacks \"controls\"\n"},
        {HEAD "  - 7\n", "f.yaml:4:5: a control is a mapping: id, title, claim, ...\n"},
        {HEAD "  - {id: 1, title: t, claim: c, scope: s}\n", "f.yaml:4:5: lacks \"manual\"\n"},
        {HEAD ROW ROW, "f.yaml:5:5: the id 1.1 is used twice\n"},
        {HEAD "  - {id: 1, id: 2, title: t, claim: c, scope: s, manual: m}\n",
         "f.yaml:4:13: id: is given twice\n"},
        {HEAD "  - {id: 1, title: t, claim: c, scope: s, manual: m, test: x}\n",
         "f.yaml:4:54: unknown key; there is: id, ...\n"},
        {HEAD "  - {id: 1, title: t, claim: [], scope: s, manual: m}\n",
         "f.yaml:4:30: claim: takes a text\n"},
        {HEAD "  - {id: 1, title: t, claim: ' ', scope: s, manual: m}\n",
         "f.yaml:4:30: claim: takes 1 to 2000 bytes of text\n"},
        {HEAD "  - {id: 1, title: t, claim: c, scope: s, manual: m, checks: [One]}\n",
         "f.yaml:4:63: checks: a name is of a to z, 0 to 9 and -\n"},
        {HEAD "  - {id: 1, title: t, claim: c, scope: s, manual: m, checks: one}\n",
         "f.yaml:4:62: checks: takes a list of names\n"},
        {HEAD "  - {id: 1, title: t, claim: We are Compliant., scope: s, manual: m}\n",
         "f.yaml:4:30: \"compliant\" is not for a program to say: tell what there is evidence "
         "for\n"},
        {HEAD "  - {id: 1\n", "f.yaml:5:1: did not find expected ',' or '}'\n"},
    };

    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        struct compliance_framework one;

        assert_false(framework(cases[i].text, &one));
        assert_string_equal(told, cases[i].told);
    }
}

/* ---- results ---- */

#define CHECK(name, on, off)                                                                       \
    "{\"name\":\"" name "\",\"about\":\"a\",\"on\":{\"green\":" on ",\"told\":\"x\"},"             \
    "\"off\":{\"red\":" off ",\"told\":\"y\",\"how\":\"<b>off</b>\"}}"
#define RESULTS(revision, checks)                                                                  \
    "{\"format\":\"portcullis-compliance-results-1\",\"version\":\"1\",\"revision\":\"" revision   \
    "\",\"began_at\":\"a\",\"ended_at\":\"b\",\"checks\":[" checks "]}"

static bool results_of(const char *text, struct compliance_results *ret)
{
    FILE *tell;
    bool good;

    memset(told, 0, sizeof(told));
    tell = fmemopen(told, sizeof(told) - 1, "w");
    assert_non_null(tell);
    good = compliance_results_read(span_from(text), "r.json", SPAN_OF("abc"), tell, &arena, ret);
    assert_int_equal(fclose(tell), 0);
    return good;
}

/* Evidence is: every check, of this revision, green with the control and red without. */
static void only_whole_results_are_evidence(void **state)
{
    static const struct {
        const char *text;
        enum compliance_state state;
    } cases[] = {
        {RESULTS("abc", CHECK("one", "true", "true") "," CHECK("two", "true", "true")),
         COMPLIANCE_EVIDENCE},
        {RESULTS("abc", CHECK("one", "true", "true")), COMPLIANCE_MISSING},
        {RESULTS("abc", ""), COMPLIANCE_MISSING},
        {RESULTS("abc", CHECK("one", "true", "false") "," CHECK("two", "true", "true")),
         COMPLIANCE_FAILED},
        {RESULTS("abc", CHECK("one", "true", "true") "," CHECK("two", "false", "true")),
         COMPLIANCE_FAILED},
        {RESULTS("abc", CHECK("two", "false", "true")), COMPLIANCE_FAILED},
        {RESULTS("abd", CHECK("one", "true", "true") "," CHECK("two", "true", "true")),
         COMPLIANCE_MISSING},
    };
    struct compliance_framework one;

    assert_true(framework(HEAD ROW, &one));
    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        struct compliance_results results = {.given = false};

        assert_true(results_of(cases[i].text, &results));
        assert_int_equal(compliance_state_of(&results, &one.controls[0]), cases[i].state);
    }
    assert_string_equal(told, "r.json: is of revision abd, this program is abc: nothing of it "
                              "counts\n");
}

static void wrong_results_are_told(void **state)
{
    static const struct {
        const char *text, *told;
    } cases[] = {
        {"{", "r.json:1:2: "},
        {"{}", "r.json: is not what tests/compliance/run writes"},
        {RESULTS("abc", "{}"), "r.json: checks[0] is not in the form of a check"},
        {RESULTS("abc", CHECK("one", "1", "true")), "r.json: checks[0] is not in the form"},
        {RESULTS("abc", CHECK("one", "true", "true") "," CHECK("one", "true", "true")),
         "r.json: checks[1] is not in the form of a check, or is there twice"},
    };

    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        struct compliance_results results = {.given = false};

        assert_false(results_of(cases[i].text, &results));
        assert_memory_equal(told, cases[i].told, strlen(cases[i].told));
    }
}

/* ---- the report ---- */

static const char *text_of(void (*form)(const struct compliance_report *, struct sbuf *),
                           const struct compliance_report *report)
{
    struct sbuf out = sbuf_on(&arena, 1024 * 1024);

    form(report, &out);
    sbuf_add_char(&out, '\0');
    assert_false(out.full);
    return out.ptr;
}

#define EVIL                                                                                       \
    "  - {id: 1, title: \"<script>alert(1)</script>\", claim: \"a & 'b' \\\"c\\\"\", scope: s, "   \
    "manual: m, checks: [one]}\n"

/* What comes from a file is text; gaps are told; and it never says more than evidence. */
static void the_page_is_escaped_and_tells_gaps(void **state)
{
    struct compliance_matrix matrix = {.count = 1};
    struct compliance_results results = {.given = false};
    struct compliance_report report = {.matrix = &matrix,
                                       .results = &results,
                                       .version = SPAN("1"),
                                       .revision = SPAN("abc"),
                                       .configuration_hash = "cafe",
                                       .checkpoint = SPAN("portcullis\n7\n<root>\n")};
    const char *page;

    assert_true(framework(HEAD EVIL, &matrix.list[0]));
    assert_true(results_of(RESULTS("abc", CHECK("one", "true", "true")), &results));
    assert_false(compliance_has_gaps(&report));
    page = text_of(compliance_html, &report);
    assert_null(strstr(page, "<script"));
    assert_non_null(strstr(page, "&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert_non_null(strstr(page, "a &amp; &#39;b&#39; &quot;c&quot;"));
    assert_non_null(strstr(page, "&lt;b&gt;off&lt;/b&gt;"));
    assert_non_null(strstr(page, "&lt;root&gt;"));
    assert_non_null(strstr(page, ">evidence for<"));
    assert_null(strstr(page, "This report has gaps"));
    assert_null(strstr(page, "ompliant"));
    assert_non_null(strstr(text_of(compliance_json, &report), "\"evidence_for\":1"));
    assert_non_null(strstr(text_of(compliance_summary, &report),
                           "F 1: evidence for 1 of 1 automated controls, 0 failed, 0 without"));

    report.checkpoint = (struct span){0};
    report.checkpoint_reason = "there is none";
    assert_non_null(strstr(text_of(compliance_html, &report), "no signed checkpoint"));
    assert_true(compliance_has_gaps(&report));
    report.checkpoint = SPAN_OF("x");
    report.revision = SPAN_OF("abc-dirty");
    assert_true(compliance_has_gaps(&report));
    report.revision = SPAN_OF("abc");
    assert_true(results_of(RESULTS("old", CHECK("one", "true", "true")), &results));
    assert_true(compliance_has_gaps(&report));
    assert_non_null(strstr(text_of(compliance_html, &report), "of another revision"));
    assert_non_null(strstr(text_of(compliance_json, &report), "\"state\":\"no evidence\""));
}

/* ---- the commands ---- */

static void file_make(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void commands_end_with_what_there_is(void **state)
{
    assert_int_equal(command_test_run("compliance list --controls ."), COMMAND_BAD);
    assert_non_null(strstr(command_test_err, ".: holds no *.yaml"));
    file_make("f.yaml", HEAD ROW);
    assert_int_equal(command_test_run("compliance list --controls ."), COMMAND_GOOD);
    assert_string_equal(command_test_out, "F 1\n  1.1          t: one two\n");

    /* Nothing was run and there is no log: the report says so, and ends with 1. */
    assert_int_equal(command_test_run("compliance report --controls . --html r.html"), COMMAND_BAD);
    assert_non_null(strstr(command_test_out, "F 1: evidence for 0 of 1 automated controls"));
    assert_non_null(strstr(command_test_err, "the evidence has gaps"));
    assert_int_equal(access("r.html", R_OK), 0);
    assert_int_equal(command_test_run("compliance report --controls . --allow-gaps"), COMMAND_GOOD);

    file_make("r.json", "{");
    assert_int_equal(command_test_run("compliance report --controls . --results r.json"),
                     COMMAND_BAD);
    assert_non_null(strstr(command_test_err, "r.json:1:2: "));
    file_make("g.yaml", HEAD "  - 7\n");
    assert_int_equal(command_test_run("compliance report --controls . --allow-gaps"), COMMAND_BAD);
    assert_non_null(strstr(command_test_err, "g.yaml:4:5: "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(controls_are_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wrong_controls_are_told_with_their_place, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(only_whole_results_are_evidence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wrong_results_are_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_page_is_escaped_and_tells_gaps, set_up, tear_down),
        cmocka_unit_test_setup_teardown(commands_end_with_what_there_is, command_test_folder_make,
                                        command_test_folder_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
