/* SPDX-License-Identifier: MIT
 * Statements as CSV: what a spreadsheet makes of them, and who gets them. */
#include "account/account_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define HEAD                                                                                       \
    "seq,at,effective_at,kind,description,currency,amount,amount_minor,balance_after,"             \
    "balance_after_minor,counterparty_account_id\r\n"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, NULL, 0, 4 * 1024 * 1024);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_reset(&arena);
    return 0;
}

static struct span csv_of(struct account_line *lines, size_t count, enum currency currency)
{
    const struct account_page page = {.lines = lines, .count = count};
    struct span text = {0};

    assert_int_equal(account_statement_csv(&page, currency, &arena, &text), ERR_OK);
    return text;
}

static void assert_text(struct span text, const char *expected)
{
    if (!span_is(text, expected))
        fail_msg("\"%.*s\" is not \"%s\"", SPAN_ARG(text), expected);
}

static void lines_are_rfc4180(void **state)
{
    struct account_line lines[] = {{.seq = 7,
                                    .at = 1500000000 * CLOCK_NS_PER_S,
                                    .effective_at = 1400000000 * CLOCK_NS_PER_S,
                                    .kind = SPAN("transfer"),
                                    .description = SPAN("rent, \"May\"\r\nand June"),
                                    .amount_minor = -1995,
                                    .balance_after_minor = -5,
                                    .counterparty = -111906,
                                    .has_counterparty = true},
                                   {.seq = 8, .kind = SPAN("posting"), .amount_minor = 5}};

    (void)state;
    assert_text(csv_of(lines, 0, CURRENCY_USD), HEAD);
    assert_text(csv_of(lines, 2, CURRENCY_USD),
                HEAD "7,2017-07-14T02:40:00.000000Z,2014-05-13T16:53:20.000000Z,transfer,"
                     "\"rent, \"\"May\"\"\r\nand June\",USD,-19.95,-1995,-0.05,-5,-111906\r\n"
                     "8,1970-01-01T00:00:00.000000Z,1970-01-01T00:00:00.000000Z,posting,\"\",USD,"
                     "0.05,5,0.00,0,\r\n");
    assert_text(csv_of(lines + 1, 1, CURRENCY_JPY),
                HEAD "8,1970-01-01T00:00:00.000000Z,1970-01-01T00:00:00.000000Z,posting,\"\",JPY,"
                     "5,5,0,0,\r\n");
}

/* The cell of a description, with its quotes. */
static struct span cell_of(const char *description)
{
    struct account_line line = {.kind = SPAN("deposit"), .description = span_from(description)};
    struct span text = csv_of(&line, 1, CURRENCY_USD);
    size_t begin = sizeof(HEAD) - 1;

    while (!span_starts(span_slice(text, begin, text.len), SPAN_OF("deposit,")))
        begin++;
    begin += sizeof("deposit,") - 1;
    return span_slice(text, begin, text.len - (sizeof(",USD,0.00,0,0.00,0,\r\n") - 1));
}

/* A formula, or what could become one, is a text; what only holds such characters stays as it is.
 */
static void formulas_are_texts(void **state)
{
    (void)state;
    assert_text(cell_of("=1+1"), "\"'=1+1\"");
    assert_text(cell_of("+49 30 123"), "\"'+49 30 123\"");
    assert_text(cell_of("-2"), "\"'-2\"");
    assert_text(cell_of("@SUM(A1)"), "\"'@SUM(A1)\"");
    assert_text(cell_of("\t=1"), "\"'\t=1\"");
    assert_text(cell_of("\r=1"), "\"'\r=1\"");
    assert_text(cell_of("\n=1"), "\"'\n=1\"");
    assert_text(cell_of("=HYPERLINK(\"http://x\",\"y\")"),
                "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\"");
    assert_text(cell_of("a=1"), "\"a=1\"");
    assert_text(cell_of("\",=1"), "\"\"\",=1\"");
    assert_text(cell_of(""), "\"\"");
}

static bool likes_csv(const char *accept)
{
    bool csv = true;

    assert_int_equal(account_statement_form(span_from(accept), &csv), ERR_OK);
    return csv;
}

static void the_form_is_what_is_liked_best(void **state)
{
    bool csv;

    (void)state;
    assert_false(likes_csv(""));
    assert_false(likes_csv("*/*"));
    assert_false(likes_csv("application/json"));
    assert_false(likes_csv("text/csv, application/json"));
    assert_false(likes_csv("text/csv;q=0.5, application/json;q=0.51"));
    assert_false(likes_csv("text/csv;q=0, */*"));
    assert_true(likes_csv("text/csv"));
    assert_true(likes_csv("TEXT/CSV ; header=present"));
    assert_true(likes_csv("text/*, */*;q=0.1"));
    assert_true(likes_csv("text/html, text/csv;q=0.9, application/json;q=0.899"));
    assert_true(likes_csv("text/csv, */*;q=0"));
    assert_int_equal(account_statement_form(SPAN_OF("image/png"), &csv), ERR_NOT_ACCEPTABLE);
    assert_int_equal(account_statement_form(SPAN_OF("*/*;q=0"), &csv), ERR_NOT_ACCEPTABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_are_rfc4180, setup, teardown),
        cmocka_unit_test_setup_teardown(formulas_are_texts, setup, teardown),
        cmocka_unit_test(the_form_is_what_is_liked_best),
    };

    return cmocka_run_group_tests_name("account_statement_csv", tests, NULL, NULL);
}
