/* SPDX-License-Identifier: MIT
 * Amounts read from and shown as exact decimals, and the sums between them. No floating point
 * anywhere: every step is a whole number and knows where its range ends. */
#include "base/money.h"

void money_add_decimal(struct sbuf *out, struct money money)
{
    uint64_t amount = money.minor < 0 ? 0U - (uint64_t)money.minor : (uint64_t)money.minor;
    unsigned digits = currency_exponent(money.currency);
    char fraction[CURRENCY_EXPONENT_MAX];
    uint64_t whole = amount;

    for (unsigned i = digits; i-- > 0; whole /= 10)
        fraction[i] = (char)('0' + whole % 10);
    if (money.minor < 0)
        sbuf_add_char(out, '-');
    sbuf_add_u64(out, whole);
    if (digits > 0) {
        sbuf_add_char(out, '.');
        sbuf_add_bytes(out, fraction, digits);
    }
}

/* A decimal taken apart as it stands, its number not yet known. */
struct decimal {
    bool negative;
    struct span whole;
    struct span fraction; /* empty without a point */
};

static bool all_digits(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
    }
    return text.len > 0;
}

/* RFC 8259, 6, without the exponent. */
static bool decimal_from(struct span text, struct decimal *ret_decimal)
{
    bool negative = text.len > 0 && text.ptr[0] == '-';
    size_t point = span_find(text, '.');
    struct span whole = span_slice(text, negative ? 1 : 0, point);
    struct span fraction = span_slice(text, point + 1, text.len);

    if (!all_digits(whole) || (whole.len > 1 && whole.ptr[0] == '0'))
        return false;
    if (point < text.len && !all_digits(fraction))
        return false;
    *ret_decimal = (struct decimal){.negative = negative, .whole = whole, .fraction = fraction};
    return true;
}

/* Puts digits behind those that there are. Below zero from the start, since the range reaches one
 * farther there. */
static bool digits_append(struct span digits, int64_t *negative)
{
    for (size_t i = 0; i < digits.len; i++) {
        if (__builtin_mul_overflow(*negative, INT64_C(10), negative) ||
            __builtin_sub_overflow(*negative, (int64_t)(digits.ptr[i] - '0'), negative))
            return false;
    }
    return true;
}

/* The fraction filled up with zeros to what the currency has. */
static bool decimal_minor(const struct decimal *decimal, unsigned exponent, int64_t *ret_minor)
{
    struct span zeros = span_slice(SPAN_OF("0000"), 0, exponent - decimal->fraction.len);
    int64_t negative = 0;

    if (!digits_append(decimal->whole, &negative) || !digits_append(decimal->fraction, &negative) ||
        !digits_append(zeros, &negative))
        return false;
    if (decimal->negative) {
        *ret_minor = negative;
        return negative != 0; /* there is no minus zero */
    }
    return money_minor_subtract(0, negative, ret_minor);
}

enum err money_read(struct span decimal, enum currency currency, struct money *ret_money)
{
    unsigned exponent = currency_exponent(currency);
    struct decimal parts = {0};
    int64_t minor = 0;

    PC_ASSERT(exponent <= CURRENCY_EXPONENT_MAX);
    if (!decimal_from(decimal, &parts))
        return ERR_AMOUNT_RANGE;
    if (parts.fraction.len > exponent)
        return ERR_AMOUNT_DIGITS;
    if (!decimal_minor(&parts, exponent, &minor))
        return ERR_AMOUNT_RANGE;
    *ret_money = (struct money){.minor = minor, .currency = currency};
    return ERR_OK;
}

bool money_minor_add(int64_t a, int64_t b, int64_t *ret_sum)
{
    int64_t sum;

    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *ret_sum = sum;
    return true;
}

bool money_minor_subtract(int64_t a, int64_t b, int64_t *ret_difference)
{
    int64_t difference;

    if (__builtin_sub_overflow(a, b, &difference))
        return false;
    *ret_difference = difference;
    return true;
}

enum err money_sum(struct money a, struct money b, struct money *ret_sum)
{
    int64_t minor;

    PC_ASSERT(a.currency != CURRENCY_NONE && b.currency != CURRENCY_NONE);
    if (a.currency != b.currency)
        return ERR_CURRENCY_MISMATCH;
    if (!money_minor_add(a.minor, b.minor, &minor))
        return ERR_AMOUNT_RANGE;
    *ret_sum = (struct money){.minor = minor, .currency = a.currency};
    return ERR_OK;
}

enum err money_difference(struct money a, struct money b, struct money *ret_difference)
{
    int64_t minor;

    PC_ASSERT(a.currency != CURRENCY_NONE && b.currency != CURRENCY_NONE);
    if (a.currency != b.currency)
        return ERR_CURRENCY_MISMATCH;
    if (!money_minor_subtract(a.minor, b.minor, &minor))
        return ERR_AMOUNT_RANGE;
    *ret_difference = (struct money){.minor = minor, .currency = a.currency};
    return ERR_OK;
}

enum err money_times(struct money price, int64_t quantity, struct money *ret_cost)
{
    int64_t minor;

    PC_ASSERT(price.currency != CURRENCY_NONE);
    if (__builtin_mul_overflow(price.minor, quantity, &minor))
        return ERR_AMOUNT_RANGE;
    *ret_cost = (struct money){.minor = minor, .currency = price.currency};
    return ERR_OK;
}
