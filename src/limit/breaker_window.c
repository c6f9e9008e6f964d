/* SPDX-License-Identifier: MIT
 * The ring of buckets of breaker_window.h. A bucket's word:
 *
 *     63    48 47   32 31    16 15    0
 *     | round | slow  | errors | calls |
 *
 * The round tells apart the stretches of time that share a place in the ring. It has 16 bits, so a
 * bucket untouched for 65,536 rounds would be taken for one of now: whoever goes on to a new
 * stretch clears those that were passed over, and no bucket grows that old.
 *
 * A count that is full is halved with its two companions: shares stay what they are, and 32,767
 * calls are more than any minimum. */
#include "limit/breaker_window.h"

#include "base/check.h"
#include "base/clock.h"

enum { COUNT_BITS = 16, COUNT_MAX = (1 << COUNT_BITS) - 1, ROUND_SHIFT = 3 * COUNT_BITS };

static uint64_t pack(struct breaker_counts counts)
{
    return (uint64_t)counts.slow << (2 * COUNT_BITS) | (uint64_t)counts.errors << COUNT_BITS |
           counts.calls;
}

static struct breaker_counts unpack(uint64_t word)
{
    return (struct breaker_counts){.calls = (uint32_t)(word & COUNT_MAX),
                                   .errors = (uint32_t)(word >> COUNT_BITS & COUNT_MAX),
                                   .slow = (uint32_t)(word >> (2 * COUNT_BITS) & COUNT_MAX)};
}

/* Of the stretch of time: the upper bits of its bucket's word. */
static uint64_t round_of(uint64_t stretch)
{
    return stretch / BREAKER_BUCKETS << ROUND_SHIFT;
}

static bool is_of(uint64_t word, uint64_t stretch)
{
    return word >> ROUND_SHIFT << ROUND_SHIFT == round_of(stretch);
}

void breaker_window_init(struct breaker_window *window, int64_t window_ns)
{
    uint64_t ms = (uint64_t)(window_ns / CLOCK_NS_PER_MS);

    *window = (struct breaker_window){.bucket_ms = ms / BREAKER_BUCKETS};
    if (window_ns > 0 && window->bucket_ms == 0)
        window->bucket_ms = 1;
}

void breaker_window_clear(struct breaker_window *window)
{
    for (size_t i = 0; i < BREAKER_BUCKETS; i++)
        atomic_store(&window->buckets[i], 0);
}

/* Nobody called in these stretches, and their buckets hold what is past. */
static void pass_over(struct breaker_window *window, uint64_t from, uint64_t to)
{
    for (uint64_t stretch = from; stretch < to; stretch++) {
        _Atomic uint64_t *bucket = &window->buckets[stretch % BREAKER_BUCKETS];
        uint64_t word = atomic_load(bucket);

        if (!is_of(word, stretch))
            (void)atomic_compare_exchange_strong(bucket, &word, 0);
    }
}

/* Time goes on; one thread notices. What others count in the moment in which a ring that is all of
 * the past is cleared may be lost with it. */
static void go_on(struct breaker_window *window, uint64_t stretch)
{
    uint64_t newest = atomic_load_explicit(&window->newest, memory_order_relaxed);

    while (PC_UNLIKELY(newest < stretch)) {
        uint64_t was = newest;

        if (!atomic_compare_exchange_weak(&window->newest, &newest, stretch))
            continue;
        if (stretch - was >= BREAKER_BUCKETS)
            breaker_window_clear(window);
        else
            pass_over(window, was + 1, stretch);
        return;
    }
}

static uint64_t with_one_more(uint64_t word, uint64_t stretch, bool error, bool slow)
{
    struct breaker_counts counts = {0};

    if (is_of(word, stretch))
        counts = unpack(word);
    if (counts.calls == COUNT_MAX) {
        counts.calls /= 2;
        counts.errors /= 2;
        counts.slow /= 2;
    }
    counts.calls++;
    counts.errors += error;
    counts.slow += slow;
    return round_of(stretch) | pack(counts);
}

struct breaker_counts breaker_window_add(struct breaker_window *window, uint64_t now_ms, bool error,
                                         bool slow)
{
    uint64_t stretch = now_ms / window->bucket_ms;
    _Atomic uint64_t *bucket = &window->buckets[stretch % BREAKER_BUCKETS];
    uint64_t word;

    go_on(window, stretch);
    word = atomic_load_explicit(bucket, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(bucket, &word, with_one_more(word, stretch, error, slow)))
        continue;
    return breaker_window_read(window, now_ms);
}

struct breaker_counts breaker_window_read(const struct breaker_window *window, uint64_t now_ms)
{
    struct breaker_counts sum = {0};
    uint64_t stretch;

    if (window->bucket_ms == 0)
        return sum;
    stretch = now_ms / window->bucket_ms;
    for (uint64_t back = 0; back < BREAKER_BUCKETS && back <= stretch; back++) {
        uint64_t at = stretch - back;
        uint64_t word =
            atomic_load_explicit(&window->buckets[at % BREAKER_BUCKETS], memory_order_relaxed);
        struct breaker_counts counts = unpack(word);

        if (!is_of(word, at))
            continue;
        sum.calls += counts.calls;
        sum.errors += counts.errors;
        sum.slow += counts.slow;
    }
    return sum;
}
