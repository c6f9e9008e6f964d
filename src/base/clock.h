/* SPDX-License-Identifier: MIT
 * Time as a parameter. Durations and deadlines use the monotonic clock; what people read uses the
 * real one. Tests hold both still with clock_fake.
 *
 * Threads: any.    Memory: plain values.    Units: nanoseconds.    Source: RFC 3339, RFC
 * 9110 5.6.7. */
#ifndef PC_BASE_CLOCK_H
#define PC_BASE_CLOCK_H

#include <stdint.h>

#include "base/sbuf.h"

#define CLOCK_NS_PER_US INT64_C(1000)
#define CLOCK_NS_PER_MS INT64_C(1000000)
#define CLOCK_NS_PER_S  INT64_C(1000000000)

typedef int64_t clock_read_fn(void *context);

struct clock {
    clock_read_fn *monotonic_ns; /* never goes back; zero is any moment */
    clock_read_fn *realtime_ns;  /* since 1970-01-01T00:00:00Z */
    void *context;
};

/* The machine's clock. */
extern const struct clock clock_system;

/* A clock that stands until it is moved. May be moved from any thread. */
struct clock_fake {
    struct clock clock; /* pass &fake.clock */
    _Atomic int64_t monotonic_ns;
    _Atomic int64_t realtime_ns;
};

void clock_fake_init(struct clock_fake *fake, int64_t realtime_ns);
void clock_fake_move(struct clock_fake *fake, int64_t ns); /* both clocks, forward */

static inline int64_t clock_monotonic_ns(const struct clock *clock)
{
    return clock->monotonic_ns(clock->context);
}

static inline int64_t clock_realtime_ns(const struct clock *clock)
{
    return clock->realtime_ns(clock->context);
}

/* Whole seconds since 1970. */
static inline int64_t clock_realtime_s(const struct clock *clock)
{
    return clock_realtime_ns(clock) / CLOCK_NS_PER_S;
}

/* "2026-02-03T04:05:06.789Z" with 0 to 9 digits of fraction. */
void clock_add_rfc3339(struct sbuf *out, int64_t realtime_ns, int digits);

/* Reads what clock_add_rfc3339 writes, any offset too. ERR_VALIDATION on anything else. */
PC_CHECKED enum err clock_from_rfc3339(struct span text, int64_t *ret_realtime_ns);

/* "Tue, 03 Feb 2026 04:05:06 GMT": always 29 bytes. */
void clock_add_http_date(struct sbuf *out, int64_t realtime_ns);

#endif
