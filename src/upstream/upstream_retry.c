/* SPDX-License-Identifier: MIT
 * The rules of retrying: a table of what is safe, and a purse of what is affordable. */
#include "upstream/upstream_retry.h"

#include "base/clock.h"

enum { FIFTHS = 5, EARNED_MAX = 100 * FIFTHS, FREE_PER_S = 10 };

enum upstream_method upstream_method_of(struct span method)
{
    static const struct span idempotent[] = {SPAN("GET"), SPAN("HEAD"), SPAN("OPTIONS"),
                                             SPAN("PUT"), SPAN("DELETE")};

    for (size_t i = 0; i < PC_COUNT(idempotent); i++)
        if (span_equal(method, idempotent[i]))
            return UPSTREAM_METHOD_IDEMPOTENT;
    return UPSTREAM_METHOD_OTHER;
}

bool upstream_retry_is_safe(const struct upstream_attempt *attempt)
{
    if (!attempt->answer_untouched || !attempt->body_repeatable)
        return false;
    if (attempt->request_unwritten)
        return true; /* the target has seen nothing, whatever the method */
    return attempt->method == UPSTREAM_METHOD_IDEMPOTENT || attempt->has_idempotency_key;
}

void upstream_retry_earn(struct upstream_budget *budget)
{
    budget->fifths += budget->fifths < EARNED_MAX;
}

/* Free ones first: what is earned is kept for when many fail at once. */
bool upstream_retry_take(struct upstream_budget *budget, int64_t now_ns)
{
    if (now_ns - budget->since_ns >= CLOCK_NS_PER_S) {
        budget->since_ns = now_ns;
        budget->used = 0;
    }
    if (budget->used < FREE_PER_S) {
        budget->used++;
        return true;
    }
    if (budget->fifths < FIFTHS)
        return false;
    budget->fifths -= FIFTHS;
    return true;
}
