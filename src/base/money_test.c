/* SPDX-License-Identifier: MIT
 * Currencies are found by their exact code, and amounts are shown to the last digit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/money.h"

static void currency_is_found_by_its_code(void **state)
{
    (void)state;
    for (int i = CURRENCY_NONE + 1; i < CURRENCY_COUNT; i++)
        assert_int_equal(currency_from_code(span_from(currency_code((enum currency)i))), i);
    assert_int_equal(currency_from_code(SPAN_OF("usd")), CURRENCY_NONE);
    assert_int_equal(currency_from_code(SPAN_OF("US")), CURRENCY_NONE);
    assert_int_equal(currency_from_code(SPAN_OF("USDX")), CURRENCY_NONE);
    assert_int_equal(currency_from_code(SPAN_OF("")), CURRENCY_NONE);
    assert_int_equal(currency_exponent(CURRENCY_JPY), 0);
    assert_int_equal(currency_exponent(CURRENCY_EUR), 2);
    assert_int_equal(currency_exponent(CURRENCY_KWD), 3);
    assert_int_equal(currency_exponent(CURRENCY_CLF), 4);
}

static void money_is_shown_exactly(void **state)
{
    static const struct {
        struct money money;
        const char *text;
    } cases[] = {
        {{1995, CURRENCY_USD}, "19.95"},
        {{-5, CURRENCY_EUR}, "-0.05"},
        {{0, CURRENCY_EUR}, "0.00"},
        {{1000, CURRENCY_JPY}, "1000"},
        {{1, CURRENCY_KWD}, "0.001"},
        {{12345, CURRENCY_CLF}, "1.2345"},
        {{INT64_MAX, CURRENCY_USD}, "92233720368547758.07"},
        {{INT64_MIN, CURRENCY_USD}, "-92233720368547758.08"},
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        char text[40];
        struct sbuf out = sbuf_over(text, sizeof(text));

        money_add_decimal(&out, cases[i].money);
        if (!span_is(sbuf_span(&out), cases[i].text))
            fail_msg("%s became %.*s", cases[i].text, SPAN_ARG(sbuf_span(&out)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(currency_is_found_by_its_code),
        cmocka_unit_test(money_is_shown_exactly),
    };

    return cmocka_run_group_tests_name("money", tests, NULL, NULL);
}
