/* SPDX-License-Identifier: MIT
 * The currencies there are, and how many digits of each follow the point.
 *
 * Threads: pure functions, any thread.    Memory: static text.
 * Source:  ISO 4217 (currency.def). */
#ifndef PC_BASE_CURRENCY_H
#define PC_BASE_CURRENCY_H

#include "base/span.h"

enum currency {
    CURRENCY_NONE, /* valid nowhere */
#define CURRENCY(code, exponent) CURRENCY_##code,
#include "base/currency.def"
#undef CURRENCY
    CURRENCY_COUNT
};

enum { CURRENCY_EXPONENT_MAX = 4 };

/* "EUR", exactly three capital letters; CURRENCY_NONE for anything else. */
enum currency currency_from_code(struct span code);
const char *currency_code(enum currency currency);

/* How many digits follow the point: 0, 2, 3 or 4. */
unsigned currency_exponent(enum currency currency);

#endif
