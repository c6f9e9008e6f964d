/* SPDX-License-Identifier: MIT
 * Several limits of one request: of a second, a minute and a day, of an address and a user. */
#include "limit/limit.h"

/* FNV-1a: names are the operator's, who gains nothing from two that meet. The ids of limits without
 * a name are small. */
uint64_t limit_name_id(struct span name)
{
    uint64_t id = UINT64_C(0xCBF29CE484222325);

    for (size_t i = 0; i < name.len; i++)
        id = (id ^ (unsigned char)name.ptr[i]) * UINT64_C(0x100000001B3);
    return id | (UINT64_C(1) << 63);
}

bool limit_is_tighter(const struct limit_verdict *a, const struct limit_verdict *b)
{
    if (a->allowed != b->allowed)
        return !a->allowed;
    if (!a->allowed)
        return a->retry_after_ns > b->retry_after_ns;
    if (a->remaining != b->remaining)
        return a->remaining < b->remaining;
    return a->full_after_ns > b->full_after_ns;
}

static void heed(const struct limit_verdict *verdict, size_t at, struct limit_verdict *tightest,
                 size_t *ret_at)
{
    if (at == 0 || limit_is_tighter(verdict, tightest)) {
        *tightest = *verdict;
        *ret_at = at;
    }
}

void limit_take_all(struct limit_table *table, const struct limit_ask *asks, size_t count,
                    int64_t now_ns, struct limit_verdict *ret_verdict, size_t *ret_tightest)
{
    struct limit_verdict verdict;

    PC_ASSERT(count > 0);
    for (size_t i = 0; i < count && count > 1; i++) {
        limit_peek(table, asks[i].key, &asks[i].rate, now_ns, &verdict);
        heed(&verdict, i, ret_verdict, ret_tightest);
    }
    if (count > 1 && !ret_verdict->allowed)
        return;
    for (size_t i = 0; i < count; i++) {
        limit_take(table, asks[i].key, &asks[i].rate, now_ns, &verdict);
        heed(&verdict, i, ret_verdict, ret_tightest);
        if (!verdict.allowed)
            return;
    }
}
