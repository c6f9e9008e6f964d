/* SPDX-License-Identifier: MIT
 * Exact money: whole minor units of one ISO 4217 currency (cents for EUR, yen for JPY). So far
 * only what reading and showing needs; arithmetic joins it with the ledger.
 *
 * Threads: pure functions, any thread.    Memory: plain values, nothing to free.
 * Source:  ISO 4217 (exponents). */
#ifndef PC_BASE_MONEY_H
#define PC_BASE_MONEY_H

#include <stdint.h>

#include "base/currency.h"
#include "base/sbuf.h"

struct money {
    int64_t minor; /* may be negative: balances of liability accounts are */
    enum currency currency;
};

/* The exact decimal with all its digits: "19.95", "-0.05", "1000" for yen. */
void money_add_decimal(struct sbuf *out, struct money money);

#endif
