/* SPDX-License-Identifier: MIT
 * Authenticated encryption of small secrets that must rest in the store for a while: who has the
 * key reads them whole, everyone else sees noise and any change is noticed.
 *
 * Threads: pure.    Memory: results live in the arena.
 * Source: NIST SP 800-38D (AES-256-GCM), a random 96-bit nonce in front. */
#ifndef PC_CRYPTO_SEAL_H
#define PC_CRYPTO_SEAL_H

#include "base/arena.h"
#include "base/err.h"
#include "base/random.h"
#include "base/span.h"

enum { CRYPTO_SEAL_KEY_BYTES = 32, CRYPTO_SEAL_EXTRA_BYTES = 12 + 16 };

PC_CHECKED enum err crypto_seal(const unsigned char key[CRYPTO_SEAL_KEY_BYTES], struct span plain,
                                const struct random_source *random, struct arena *arena,
                                struct span *ret_sealed);

/* ERR_KEY when the key is another or a bit was changed. */
PC_CHECKED enum err crypto_unseal(const unsigned char key[CRYPTO_SEAL_KEY_BYTES],
                                  struct span sealed, struct arena *arena, struct span *ret_plain);

#endif
