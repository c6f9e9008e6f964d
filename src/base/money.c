/* SPDX-License-Identifier: MIT
 * Amounts as exact decimals. No floating point anywhere. */
#include "base/money.h"

void money_add_decimal(struct sbuf *out, struct money money)
{
    uint64_t amount = money.minor < 0 ? 0U - (uint64_t)money.minor : (uint64_t)money.minor;
    unsigned digits = currency_exponent(money.currency);
    char fraction[8];
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
