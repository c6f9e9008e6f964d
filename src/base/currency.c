/* SPDX-License-Identifier: MIT
 * The table of currencies, cut from currency.def, and its three questions. */
#include "base/currency.h"

static const struct {
    char code[4];
    unsigned char exponent;
} currencies[CURRENCY_COUNT] = {
    [CURRENCY_NONE] = {.code = "", .exponent = 0},
#define CURRENCY(code_, exponent_) [CURRENCY_##code_] = {.code = #code_, .exponent = (exponent_)},
#include "base/currency.def"
#undef CURRENCY
};

enum currency currency_from_code(struct span code)
{
    int low = CURRENCY_NONE + 1;
    int high = CURRENCY_COUNT - 1;

    while (low <= high) { /* the table is sorted by code */
        int middle = (low + high) / 2;
        int order = span_compare(code, span_from(currencies[middle].code));

        if (order == 0)
            return (enum currency)middle;
        if (order < 0)
            high = middle - 1;
        else
            low = middle + 1;
    }
    return CURRENCY_NONE;
}

const char *currency_code(enum currency currency)
{
    PC_ASSERT(currency > CURRENCY_NONE && currency < CURRENCY_COUNT);
    return currencies[currency].code;
}

unsigned currency_exponent(enum currency currency)
{
    PC_ASSERT(currency > CURRENCY_NONE && currency < CURRENCY_COUNT);
    return currencies[currency].exponent;
}
