/* SPDX-License-Identifier: MIT
 * May this request be sent once more? Two questions: is it safe (it cannot happen twice), and is
 * there budget (retries must not multiply the load on an upstream that is failing under it).
 *
 *   upstream_retry_earn(&loop->budget);                    for each request
 *   …
 *   if (upstream_retry_is_safe(&facts) && upstream_retry_take(&loop->budget, now_ns))
 *       pick another target, and send it again
 *
 * Threads: a budget belongs to one loop and one upstream.    Memory: plain values, zeroed.
 * Units: monotonic nanoseconds.
 * Source: RFC 9110, 9.2.2 (idempotent methods); Google SRE book, 22 (retry budgets);
 * draft-ietf-httpapi-idempotency-key-header. */
#ifndef PC_UPSTREAM_UPSTREAM_RETRY_H
#define PC_UPSTREAM_UPSTREAM_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum upstream_method {
    UPSTREAM_METHOD_OTHER = 0,  /* POST, PATCH, unknown: may change something each time */
    UPSTREAM_METHOD_IDEMPOTENT, /* GET, HEAD, OPTIONS, PUT, DELETE */
};
enum upstream_method upstream_method_of(struct span method); /* as written: case counts */

/* What became of the attempt. Zero is the strictest of each. */
struct upstream_attempt {
    enum upstream_method method;
    bool has_idempotency_key;
    bool answer_untouched;  /* not a byte of the answer has gone to the client */
    bool request_unwritten; /* not a byte of the request has been written to the target */
    bool body_repeatable;   /* it has none, none was sent, or all that was sent is still at hand */
};

/* Could sending it again do something twice, or break the answer? */
bool upstream_retry_is_safe(const struct upstream_attempt *attempt);

/* Each request earns a fifth of a retry, up to a hundred; beside that, ten a second are free, so
 * that an upstream with little traffic may retry at all. */
struct upstream_budget {
    uint32_t fifths; /* earned */
    uint32_t used;   /* free ones, in the second of since_ns */
    int64_t since_ns;
};

void upstream_retry_earn(struct upstream_budget *budget);
bool upstream_retry_take(struct upstream_budget *budget, int64_t now_ns);

#endif
