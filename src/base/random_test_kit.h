/* SPDX-License-Identifier: MIT
 * Randomness of tests that take many random steps: a seed that a failed run can be repeated with,
 * and draws from it. Include it behind cmocka.h. */
#ifndef PC_BASE_RANDOM_TEST_KIT_H
#define PC_BASE_RANDOM_TEST_KIT_H

#include <stdlib.h>

#include "base/random.h"
#include "base/span.h"

/* A number that PORTCULLIS_TEST_... may give in place of the usual one. */
static inline uint64_t test_number(const char *name, uint64_t usual)
{
    const char *given = getenv(name);

    if (given != NULL)
        assert_true(span_to_u64(span_from(given), &usual));
    return usual;
}

/* Printed; PORTCULLIS_TEST_SEED repeats a run. */
static inline uint64_t test_seed(uint64_t usual)
{
    uint64_t seed = test_number("PORTCULLIS_TEST_SEED", usual);

    print_message("seed %llu\n", (unsigned long long)seed);
    return seed;
}

/* 0 to below - 1. */
static inline uint64_t test_draw(struct random_seeded *random, uint64_t below)
{
    uint64_t value;

    random_fill(&random->source, &value, sizeof(value));
    return value % below;
}

#endif
