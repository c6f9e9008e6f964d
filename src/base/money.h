/* SPDX-License-Identifier: MIT
 * Exact money: whole minor units of one ISO 4217 currency (cents for EUR, yen for JPY). All
 * arithmetic on amounts happens here; none of it knows a fraction.
 *
 * Threads: pure functions, any thread.    Memory: plain values, nothing to free.
 * Errors:  ERR_AMOUNT_DIGITS, ERR_AMOUNT_RANGE, ERR_CURRENCY_MISMATCH; results stay as they were.
 * Source:  ISO 4217 (exponents). */
#ifndef PC_BASE_MONEY_H
#define PC_BASE_MONEY_H

#include <stdint.h>

#include "base/currency.h"
#include "base/err.h"
#include "base/sbuf.h"

struct money {
    int64_t minor; /* may be negative: balances of liability accounts are */
    enum currency currency;
};

/* The exact decimal with all its digits: "19.95", "-0.05", "1000" for yen. */
void money_add_decimal(struct sbuf *out, struct money money);

/* "19.95", "-0.05", "1000", "1.5": as JSON writes numbers, without exponent; the whole int64_t, its
 * lowest value too. ERR_AMOUNT_DIGITS for more digits behind the point than the currency has, zeros
 * as well: somebody meant another currency. ERR_AMOUNT_RANGE beyond int64_t, for minus zero, and
 * for what is no decimal. */
PC_CHECKED enum err money_read(struct span decimal, enum currency currency,
                               struct money *ret_money);

/* Writes the result, and only on ERR_OK. ERR_CURRENCY_MISMATCH if the currencies differ,
 * ERR_AMOUNT_RANGE if the result leaves int64_t. */
PC_CHECKED enum err money_sum(struct money a, struct money b, struct money *ret_sum);
PC_CHECKED enum err money_difference(struct money a, struct money b, struct money *ret_difference);
PC_CHECKED enum err money_times(struct money price, int64_t quantity, struct money *ret_cost);

/* The same on bare minor units, where the currency is known to be one: false beyond int64_t. */
PC_CHECKED bool money_minor_add(int64_t a, int64_t b, int64_t *ret_sum);
PC_CHECKED bool money_minor_subtract(int64_t a, int64_t b, int64_t *ret_difference);

#endif
