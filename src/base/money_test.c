/* SPDX-License-Identifier: MIT
 * Currencies are found by their exact code; amounts are read and shown to the last digit, and no
 * sum leaves its range unnoticed. What reading must give is worked out on the text alone, what
 * sums must give in 128 bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/money.h"
#include "base/random.h"

enum { ROUNDS = 200000 };

static void currency_is_found_by_its_code(void **state)
{
    (void)state;
    for (int i = CURRENCY_NONE + 1; i < CURRENCY_COUNT; i++)
        assert_int_equal(currency_from_code(span_from(currency_code((enum currency)i))), i);
    assert_int_equal(currency_from_code(SPAN_OF("usd")), CURRENCY_NONE);
    assert_int_equal(currency_from_code(SPAN_OF("US")), CURRENCY_NONE);
    assert_int_equal(currency_from_code(SPAN_OF("AAA")), CURRENCY_NONE);
    assert_int_equal(currency_from_code(SPAN_OF("ZZZ")), CURRENCY_NONE);
    assert_int_equal(currency_from_code(SPAN_OF("USDX")), CURRENCY_NONE);
    assert_int_equal(currency_from_code(SPAN_OF("")), CURRENCY_NONE);
    assert_int_equal(currency_from_code(SPAN_OF("XAU")), CURRENCY_NONE);
    assert_int_equal(currency_exponent(CURRENCY_JPY), 0);
    assert_int_equal(currency_exponent(CURRENCY_EUR), 2);
    assert_int_equal(currency_exponent(CURRENCY_KWD), 3);
    assert_int_equal(currency_exponent(CURRENCY_CLF), 4);
}

/* List one of 2026-01-01: 17 currencies without a fraction, 139 with two digits, seven with three,
 * two with four. */
static void currencies_are_the_whole_list(void **state)
{
    size_t counts[CURRENCY_EXPONENT_MAX + 1] = {0};

    (void)state;
    for (int i = CURRENCY_NONE + 1; i < CURRENCY_COUNT; i++) {
        assert_in_range(currency_exponent((enum currency)i), 0, CURRENCY_EXPONENT_MAX);
        counts[currency_exponent((enum currency)i)]++;
    }
    assert_int_equal(counts[0], 17);
    assert_int_equal(counts[1], 0);
    assert_int_equal(counts[2], 139);
    assert_int_equal(counts[3], 7);
    assert_int_equal(counts[4], 2);
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

static void money_is_read_exactly(void **state)
{
    static const struct {
        const char *text;
        enum currency currency;
        int64_t minor;
    } cases[] = {
        {"0", CURRENCY_EUR, 0},
        {"0.00", CURRENCY_EUR, 0},
        {"19.95", CURRENCY_USD, 1995},
        {"1.5", CURRENCY_USD, 150},
        {"1.50", CURRENCY_USD, 150},
        {"-0.05", CURRENCY_EUR, -5},
        {"1000", CURRENCY_JPY, 1000},
        {"0.001", CURRENCY_KWD, 1},
        {"1.2345", CURRENCY_CLF, 12345},
        {"1.2", CURRENCY_UYW, 12000},
        {"92233720368547758.07", CURRENCY_USD, INT64_MAX},
        {"-92233720368547758.08", CURRENCY_USD, INT64_MIN},
        {"9223372036854775807", CURRENCY_JPY, INT64_MAX},
        {"-9223372036854775808", CURRENCY_JPY, INT64_MIN},
        {"922337203685477.5807", CURRENCY_CLF, INT64_MAX},
        {"92233720368547758", CURRENCY_USD, INT64_C(9223372036854775800)},
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        struct money money = {0};

        assert_int_equal(money_read(span_from(cases[i].text), cases[i].currency, &money), ERR_OK);
        assert_true(money.minor == cases[i].minor);
        assert_int_equal(money.currency, cases[i].currency);
    }
}

static void money_refuses_what_is_not_exact(void **state)
{
    static const struct {
        const char *text;
        enum currency currency;
        enum err err;
    } cases[] = {
        {"1.5", CURRENCY_JPY, ERR_AMOUNT_DIGITS},
        {"1.0", CURRENCY_JPY, ERR_AMOUNT_DIGITS},
        {"19.999", CURRENCY_USD, ERR_AMOUNT_DIGITS},
        {"19.990", CURRENCY_USD, ERR_AMOUNT_DIGITS},
        {"0.0001", CURRENCY_KWD, ERR_AMOUNT_DIGITS},
        {"0.00001", CURRENCY_CLF, ERR_AMOUNT_DIGITS},
        {"92233720368547758.08", CURRENCY_USD, ERR_AMOUNT_RANGE},
        {"-92233720368547758.09", CURRENCY_USD, ERR_AMOUNT_RANGE},
        {"92233720368547759", CURRENCY_USD, ERR_AMOUNT_RANGE},
        {"9223372036854775808", CURRENCY_JPY, ERR_AMOUNT_RANGE},
        {"18446744073709551617", CURRENCY_JPY, ERR_AMOUNT_RANGE}, /* 2^64 + 1 */
        {"340282366920938463463374607431768211457", CURRENCY_JPY, ERR_AMOUNT_RANGE},
        {"-0", CURRENCY_EUR, ERR_AMOUNT_RANGE},
        {"-0.00", CURRENCY_EUR, ERR_AMOUNT_RANGE},
        {"007", CURRENCY_EUR, ERR_AMOUNT_RANGE},
        {"00", CURRENCY_EUR, ERR_AMOUNT_RANGE},
        {"+1", CURRENCY_EUR, ERR_AMOUNT_RANGE},
        {"--1", CURRENCY_EUR, ERR_AMOUNT_RANGE},
        {"1e400", CURRENCY_EUR, ERR_AMOUNT_RANGE},
        {"1e0", CURRENCY_EUR, ERR_AMOUNT_RANGE},
        {"1.5e1", CURRENCY_EUR, ERR_AMOUNT_RANGE},
        {"", CURRENCY_EUR, ERR_AMOUNT_RANGE},
        {"-", CURRENCY_EUR, ERR_AMOUNT_RANGE},
        {".", CURRENCY_EUR, ERR_AMOUNT_RANGE},
        {".5", CURRENCY_EUR, ERR_AMOUNT_RANGE},
        {"5.", CURRENCY_EUR, ERR_AMOUNT_RANGE},
        {"1.2.3", CURRENCY_EUR, ERR_AMOUNT_RANGE},
        {"1,5", CURRENCY_EUR, ERR_AMOUNT_RANGE},
        {" 1", CURRENCY_EUR, ERR_AMOUNT_RANGE},
        {"1 ", CURRENCY_EUR, ERR_AMOUNT_RANGE},
        {"0x10", CURRENCY_EUR, ERR_AMOUNT_RANGE},
        {"NaN", CURRENCY_EUR, ERR_AMOUNT_RANGE},
        {"Infinity", CURRENCY_EUR, ERR_AMOUNT_RANGE},
        {"1\xD9\xA1", CURRENCY_EUR, ERR_AMOUNT_RANGE}, /* an Arabic digit */
    };
    struct money money = {.minor = 7, .currency = CURRENCY_KWD};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        if (money_read(span_from(cases[i].text), cases[i].currency, &money) != cases[i].err)
            fail_msg("%s of %s", cases[i].text, currency_code(cases[i].currency));
        assert_true(money.minor == 7);
        assert_int_equal(money.currency, CURRENCY_KWD);
    }
}

static void money_survives_a_million_digits(void **state)
{
    static char digits[1000000];
    struct money money = {0};
    size_t point = sizeof(digits) / 2;

    (void)state;
    memset(digits, '9', sizeof(digits));
    assert_int_equal(money_read(span_make(digits, sizeof(digits)), CURRENCY_EUR, &money),
                     ERR_AMOUNT_RANGE);
    digits[point] = '.';
    assert_int_equal(money_read(span_make(digits, sizeof(digits)), CURRENCY_EUR, &money),
                     ERR_AMOUNT_DIGITS);
    assert_int_equal(money_read(span_make(digits, point + 2), CURRENCY_EUR, &money),
                     ERR_AMOUNT_RANGE);
}

static uint64_t draw(struct random_seeded *seeded)
{
    uint64_t bits;

    random_fill(&seeded->source, &bits, sizeof(bits));
    return bits;
}

/* Half of the time small, else anywhere, at times at the very edge. */
static int64_t draw_minor(struct random_seeded *seeded)
{
    uint64_t bits = draw(seeded);

    switch (draw(seeded) % 8) {
    case 0:
        return INT64_MAX - (int64_t)(bits % 3);
    case 1:
        return INT64_MIN + (int64_t)(bits % 3);
    case 2:
    case 3:
        return (int64_t)bits;
    default:
        return (int64_t)(bits % 2000001) - 1000000;
    }
}

static enum currency draw_currency(struct random_seeded *seeded)
{
    return (enum currency)(1 + draw(seeded) % (CURRENCY_COUNT - 1));
}

static void what_is_shown_is_read_back(void **state)
{
    struct random_seeded seeded;

    (void)state;
    random_seeded_init(&seeded, 4217);
    for (int i = 0; i < ROUNDS; i++) {
        struct money money = {draw_minor(&seeded), draw_currency(&seeded)};
        struct money read = {0};
        char text[40];
        struct sbuf out = sbuf_over(text, sizeof(text));

        money_add_decimal(&out, money);
        assert_int_equal(money_read(sbuf_span(&out), money.currency, &read), ERR_OK);
        assert_true(read.minor == money.minor && read.currency == money.currency);
    }
}

/* A decimal of random digits around the length at which the range ends, never a leading zero. */
static struct span draw_decimal(struct random_seeded *seeded, char text[64])
{
    struct sbuf out = sbuf_over(text, 64);
    size_t whole = 1 + draw(seeded) % 21;
    size_t fraction = draw(seeded) % 6;

    if (draw(seeded) % 2)
        sbuf_add_char(&out, '-');
    if (draw(seeded) % 4 == 0) {
        sbuf_add_i64(&out, INT64_MAX / (draw(seeded) % 2 ? 1 : 100));
    } else {
        sbuf_add_char(&out, (char)((whole > 1 ? '1' : '0') + draw(seeded) % 9));
        for (size_t i = 1; i < whole; i++)
            sbuf_add_char(&out, (char)('0' + draw(seeded) % 10));
    }
    if (fraction > 0)
        sbuf_add_char(&out, '.');
    for (size_t i = 0; i < fraction; i++)
        sbuf_add_char(&out, (char)('0' + draw(seeded) % 10));
    return sbuf_span(&out);
}

/* What must come of it, told from the text: its digits without point, sign and leading zeros, with
 * the missing zeros of the fraction, compared as text with those of the range's end. */
static enum err oracle_read(struct span text, enum currency currency, char minor[64])
{
    bool negative = text.ptr[0] == '-';
    struct span plain = span_slice(text, negative, text.len);
    size_t point = span_find(plain, '.');
    size_t fraction = point < plain.len ? plain.len - point - 1 : 0;
    struct span edge = negative ? SPAN_OF("9223372036854775808") : SPAN_OF("9223372036854775807");
    struct sbuf out = sbuf_over(minor, 64);
    struct span digits;

    if (fraction > currency_exponent(currency))
        return ERR_AMOUNT_DIGITS;
    sbuf_add(&out, span_slice(plain, 0, point));
    sbuf_add(&out, span_slice(plain, point + 1, plain.len));
    for (size_t i = fraction; i < currency_exponent(currency); i++)
        sbuf_add_char(&out, '0');
    digits = sbuf_span(&out);
    while (digits.len > 1 && digits.ptr[0] == '0')
        digits = span_slice(digits, 1, digits.len);
    if (negative && span_is(digits, "0"))
        return ERR_AMOUNT_RANGE;
    if (digits.len > edge.len || (digits.len == edge.len && span_compare(digits, edge) > 0))
        return ERR_AMOUNT_RANGE;
    memmove(minor + negative, digits.ptr, digits.len);
    minor[0] = negative ? '-' : minor[0];
    minor[digits.len + negative] = '\0';
    return ERR_OK;
}

static void reading_agrees_with_the_text(void **state)
{
    struct random_seeded seeded;
    size_t counts[3] = {0};

    (void)state;
    random_seeded_init(&seeded, 1978);
    for (int i = 0; i < ROUNDS; i++) {
        char text[64], minor[64], shown[64];
        struct span decimal = draw_decimal(&seeded, text);
        enum currency currency = draw_currency(&seeded);
        enum err expected = oracle_read(decimal, currency, minor);
        struct money money = {0};
        struct sbuf out = sbuf_over(shown, sizeof(shown));

        if (money_read(decimal, currency, &money) != expected)
            fail_msg("%.*s of %s", SPAN_ARG(decimal), currency_code(currency));
        counts[expected == ERR_OK ? 0 : expected == ERR_AMOUNT_DIGITS ? 1 : 2]++;
        sbuf_add_i64(&out, money.minor);
        if (expected == ERR_OK && !span_is(sbuf_span(&out), minor))
            fail_msg("%.*s of %s became %.*s, not %s", SPAN_ARG(decimal), currency_code(currency),
                     SPAN_ARG(sbuf_span(&out)), minor);
    }
    for (size_t i = 0; i < PC_COUNT(counts); i++)
        assert_true(counts[i] > ROUNDS / 20);
}

/* Either the exact result, or refused and the old one left alone. */
static void judge(enum err err, struct money got, __int128_t expected)
{
    bool fits = expected >= INT64_MIN && expected <= INT64_MAX;

    assert_int_equal(err, fits ? ERR_OK : ERR_AMOUNT_RANGE);
    assert_true(got.minor == (fits ? (int64_t)expected : 7));
    assert_int_equal(got.currency, fits ? CURRENCY_EUR : CURRENCY_KWD);
}

static void sums_agree_with_wide_numbers(void **state)
{
    struct random_seeded seeded;

    (void)state;
    random_seeded_init(&seeded, 128);
    for (int i = 0; i < ROUNDS; i++) {
        const struct money old = {7, CURRENCY_KWD};
        struct money a = {draw_minor(&seeded), CURRENCY_EUR};
        struct money b = {draw_minor(&seeded), CURRENCY_EUR};
        struct money got = old;
        int64_t minor = 7;
        bool fits;

        judge(money_sum(a, b, &got), got, (__int128_t)a.minor + b.minor);
        got = old;
        judge(money_difference(a, b, &got), got, (__int128_t)a.minor - b.minor);
        got = old;
        judge(money_times(a, b.minor, &got), got, (__int128_t)a.minor * b.minor);

        fits = money_minor_add(a.minor, b.minor, &minor);
        assert_true(fits ? minor == (__int128_t)a.minor + b.minor : minor == 7);
        minor = 7;
        fits = money_minor_subtract(a.minor, b.minor, &minor);
        assert_true(fits ? minor == (__int128_t)a.minor - b.minor : minor == 7);
    }
}

static void sums_end_at_the_edge(void **state)
{
    struct money max = {INT64_MAX, CURRENCY_EUR};
    struct money min = {INT64_MIN, CURRENCY_EUR};
    struct money one = {1, CURRENCY_EUR};
    struct money yen = {1, CURRENCY_JPY};
    struct money got = {7, CURRENCY_KWD};

    (void)state;
    assert_int_equal(money_sum(max, one, &got), ERR_AMOUNT_RANGE);
    assert_int_equal(money_difference(min, one, &got), ERR_AMOUNT_RANGE);
    assert_int_equal(money_difference((struct money){0, CURRENCY_EUR}, min, &got),
                     ERR_AMOUNT_RANGE);
    assert_int_equal(money_times(min, -1, &got), ERR_AMOUNT_RANGE);
    assert_int_equal(money_times(max, 2, &got), ERR_AMOUNT_RANGE);
    assert_int_equal(money_sum(one, yen, &got), ERR_CURRENCY_MISMATCH);
    assert_int_equal(money_difference(one, yen, &got), ERR_CURRENCY_MISMATCH);
    assert_int_equal(money_sum(max, yen, &got), ERR_CURRENCY_MISMATCH);
    assert_true(got.minor == 7);

    assert_int_equal(money_sum(max, min, &got), ERR_OK);
    assert_true(got.minor == -1);
    assert_int_equal(money_times((struct money){-1, CURRENCY_EUR}, INT64_MAX, &got), ERR_OK);
    assert_true(got.minor == -INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(currency_is_found_by_its_code),
        cmocka_unit_test(currencies_are_the_whole_list),
        cmocka_unit_test(money_is_shown_exactly),
        cmocka_unit_test(money_is_read_exactly),
        cmocka_unit_test(money_refuses_what_is_not_exact),
        cmocka_unit_test(money_survives_a_million_digits),
        cmocka_unit_test(what_is_shown_is_read_back),
        cmocka_unit_test(reading_agrees_with_the_text),
        cmocka_unit_test(sums_agree_with_wide_numbers),
        cmocka_unit_test(sums_end_at_the_edge),
    };

    return cmocka_run_group_tests_name("money", tests, NULL, NULL);
}
