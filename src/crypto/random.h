/* SPDX-License-Identifier: MIT
 * Randomness for those who need much of it: OpenSSL's generator, which each thread has one of,
 * seeded by the kernel and again from time to time. Two thousand bytes cost a sixth of what the
 * kernel takes for them. Who needs a key or an id now and then asks random_system.
 *
 * Threads: any.    Memory: the generator's goes with its thread.
 * Source:  NIST SP 800-90A (CTR_DRBG); RAND_bytes(3). */
#ifndef PC_CRYPTO_RANDOM_H
#define PC_CRYPTO_RANDOM_H

#include "base/random.h"

/* Aborts rather than return predictable bytes. */
extern const struct random_source crypto_random;

#endif
