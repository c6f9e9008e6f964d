/* SPDX-License-Identifier: MIT
 * For this folder only. */
#ifndef PC_LIMIT_LIMIT_PRIV_H
#define PC_LIMIT_LIMIT_PRIV_H

#include "limit/limit.h"

/* Gives one token back. The proof in limit.c rests on debts that only grow, so only a caller that
 * holds a lock around all its calls may use this. */
void limit_return(struct limit_table *table, struct span key, const struct limit_rate *rate,
                  int64_t now_ns);

#endif
