/* SPDX-License-Identifier: MIT
 * OpenSSL's generator as a source; see random.h. */
#include "crypto/random.h"

#include <openssl/rand.h>

enum { PIECE_BYTES = 1024 * 1024 };

static void random_draw(void *context, void *ptr, size_t len)
{
    unsigned char *at = ptr;

    (void)context;
    while (len > 0) {
        size_t some = len < PIECE_BYTES ? len : PIECE_BYTES;

        PC_ASSERT(RAND_bytes(at, (int)some) == 1);
        at += some;
        len -= some;
    }
}

const struct random_source crypto_random = {.fill = random_draw};
