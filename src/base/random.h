/* SPDX-License-Identifier: MIT
 * Randomness as a parameter. In production it is the kernel's; a test passes a seeded source.
 * A batch draws many bytes at once for one thread, so that a request id costs no system call.
 *
 * Threads: a source from any thread; a batch belongs to one.    Memory: plain values.
 * Source: getrandom(2); RFC 9562 (UUID version 4). */
#ifndef PC_BASE_RANDOM_H
#define PC_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

enum { RANDOM_BATCH_BYTES = 2048, RANDOM_UUID_BYTES = 36 };

typedef void random_fill_fn(void *context, void *ptr, size_t len);

struct random_source {
    random_fill_fn *fill;
    void *context;
};

/* The kernel's; aborts rather than return predictable bytes. */
extern const struct random_source random_system;

/* A repeatable source for tests only (splitmix64; not secret). */
struct random_seeded {
    struct random_source source; /* pass &seeded.source */
    uint64_t state;
};
void random_seeded_init(struct random_seeded *seeded, uint64_t seed);

static inline void random_fill(const struct random_source *source, void *ptr, size_t len)
{
    source->fill(source->context, ptr, len);
}

struct random_batch {
    const struct random_source *source;
    size_t used; /* bytes already handed out and wiped */
    unsigned char bytes[RANDOM_BATCH_BYTES];
};
void random_batch_init(struct random_batch *batch, const struct random_source *source);
void random_batch_fill(struct random_batch *batch, void *ptr, size_t len);

/* Writes 36 characters, no NUL. */
void random_batch_uuid(struct random_batch *batch, char text[RANDOM_UUID_BYTES]);

/* The same straight from a source. */
void random_uuid(const struct random_source *source, char text[RANDOM_UUID_BYTES]);

#endif
